"""How quick the data plane is, beside a service that teams write by themselves.

    uv run python -m benchmarks.serving.run [--quick] [--only NAME ...] [--json FILE]

Every part is a process of its own, the load generator too. Latency is measured in an open loop at
half of what the same connections get through in a closed loop; rounds of all sides take turns, and
medians of the rounds are shown.
"""

import argparse
import http.client
import json
import platform
import statistics
import sys
import tempfile
import time
import urllib.request
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import numpy as np
import redis
from rich.console import Console
from rich.table import Table

from benchmarks.serving import losses, signing
from benchmarks.serving.load import WARM_UP, Load, Result, run
from benchmarks.serving.plane import GROUP, RECIPES, Plane, Users, with_profiles
from hack.datasets import default_dataset
from hack.valkey import ValkeyServer
from reco.recipes import Interactions
from reco.serving.events import KeptEvent
from reco.serving.history import Keys, line
from reco.workload import tasks
from reco.workload.addresses import arn

CONNECTIONS: Final = (1, 4, 16)
RANKED: Final = 500
PEERS: Final = ("ALS", "ItemKNN")
PATHS: Final = {"recommend": "/recommendations", "rank": "/personalize-ranking"}
Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Side:
    """Whom the load goes to, and which requests."""

    name: str
    pod: str
    path: str
    bodies: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Effort:
    """How long is measured."""

    seconds: float
    rounds: int
    kills: int


def main() -> int:
    """Measure what was asked for, print tables, write JSON."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true", help="short rounds, few kills")
    parser.add_argument("--only", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    effort = Effort(2.0, 1, 3) if options.quick else Effort(3.0, 3, 20)
    console = Console(width=120)
    results: dict[str, list[Row]] = {}
    with tempfile.TemporaryDirectory(prefix="reco-serving-") as folder:
        (Path(folder) / "storage").mkdir()
        with ValkeyServer(Path(folder) / "store") as store:
            plane = Plane(Path(folder), store)
            try:
                for name in options.only:
                    results[name] = PARTS[name](plane, effort)
                    show(console, name, results[name])
            finally:
                plane.stop_all()
    machine = f"Python {platform.python_version()}, {datetime.now(UTC).date()}"
    console.print(f"{' '.join(['benchmarks.serving.run', *sys.argv[1:]])}; {machine}")
    if options.json:
        options.json.write_text(json.dumps(results, indent=2), encoding="utf-8")
    return 0


def recommendations(plane: Plane, effort: Effort) -> list[Row]:
    """GetRecommendations: 25 of the catalogue for users with 50 items."""
    data, users = with_profiles(default_dataset())
    digest, size = plane.artifact(RECIPES["recommend"], data)
    plane.start("ranker", "recommend", plane.ranker("recommend", digest))
    addresses = {"recommend": plane.url("recommend")}
    plane.start("runtime", "runtime", tasks.RuntimeTask(namespace="bench", addresses=addresses))
    know(plane, users)
    start_peers(plane, data)
    seen = asking("recommend", users.known)
    sides = [
        Side("reco, users seen before", "recommend", PATHS["recommend"], seen),
        Side("the same through the runtime", "runtime", PATHS["recommend"], seen),
        *(Side(f"FastAPI, {peer}", peer, PATHS["recommend"], seen) for peer in PEERS),
    ]
    rows = cold(plane, users)
    for side in sides:  # so that everybody was seen before
        once(plane.url(side.pod) + side.path, side.bodies)
    rows += compare(plane, sides, effort)
    memory = {name: plane.memory(name)["resident"] for name in ("recommend", "runtime", *PEERS)}
    for name in ("recommend", "runtime", *PEERS):
        plane.stop(name)
    return [*rows, {"model MiB": size / 2**20, **{f"{k} MiB": v for k, v in memory.items()}}]


def ranking(plane: Plane, effort: Effort) -> list[Row]:
    """GetPersonalizedRanking: the order of 500 items for users with 50 items."""
    data, users = with_profiles(default_dataset())
    digest, _ = plane.artifact(RECIPES["rank"], data)
    plane.start("ranker", "rank", plane.ranker("rank", digest))
    start_peers(plane, data)
    random = np.random.default_rng(1)
    catalogue = np.unique(data.item_ids)
    bodies = asking(
        "rank",
        users.known,
        lambda: {"inputList": random.choice(catalogue, RANKED, replace=False).tolist()},
    )
    sides = [
        Side("reco", "rank", PATHS["rank"], bodies),
        *(Side(f"FastAPI, {peer}", peer, PATHS["rank"], bodies) for peer in PEERS),
    ]
    for side in sides:  # so that everybody was seen before
        once(plane.url(side.pod) + side.path, side.bodies)
    rows = compare(plane, sides, effort)
    for name in ("rank", *PEERS):
        plane.stop(name)
    return rows


def events(plane: Plane, effort: Effort) -> list[Row]:
    """PutEvents: accepted a second, and how soon they count at half of that."""
    plane.start("collector", "collector", plane.collector())
    plane.start("consumer", "consumer", plane.consumer())
    url = f"{plane.url('collector')}/events"
    bodies = signing.sending(200_000)
    rows = []
    for connections in (16, 64):
        peak = run(Load(url, bodies, connections, effort.seconds))
        settle(plane)
        before = buckets(plane)
        half = run(Load(url, bodies[::-1], connections, 2 * effort.seconds, peak.throughput / 2))
        settle(plane)
        after = buckets(plane)
        rows.append(
            {
                "connections": connections,
                "accepted a second": peak.throughput,
                "at half: p50 ms": half.percentile(0.5),
                "p99 ms": half.percentile(0.99),
                "reflection p50 ms": 1000 * quantile(before, after, 0.5),
                "reflection p99 ms, at most": 1000 * quantile(before, after, 0.99),
                "sent": peak.sent + half.sent,
                "failed": peak.failed + half.failed,
            }
        )
    for name in ("collector", "consumer"):
        plane.stop(name)
    return rows


def kills(plane: Plane, effort: Effort) -> list[Row]:
    """SIGKILL of each part, again and again, while events come."""
    parts = {"collector": plane.collector(), "consumer": losses.consumer(plane)}
    for name, task in parts.items():
        plane.start(name, name, task)

    def again(name: str) -> Callable[[], None]:
        def restart() -> None:
            plane.pods[name].stop(grace=0)
            plane.start(name, name, parts[name])

        return restart

    def store() -> None:
        plane.store.kill()
        plane.store.start()

    restarts = {"collector": again("collector"), "consumer": again("consumer"), "store": store}
    rows = [
        {"part": name, **losses.count(plane, name, restart, effort.kills)}
        for name, restart in restarts.items()
    ]
    for name in parts:
        plane.stop(name)
    return rows


def signatures(plane: Plane, effort: Effort) -> list[Row]:
    """What checking clients' signatures costs, with their keys derived before."""
    del effort  # a signature is not good for long
    data, users = with_profiles(default_dataset())
    digest, _ = plane.artifact(RECIPES["recommend"], data)
    ranker = plane.ranker("recommend", digest)
    exploring = ranker.model_copy(update={"exploration": {"explorationWeight": "0.3"}})
    path, seen = PATHS["recommend"], asking("recommend", users.known)
    return [
        signing.compare(plane, "GetRecommendations, answers kept", "ranker", ranker, path, seen),
        signing.compare(plane, "GetRecommendations, exploring", "ranker", exploring, path, seen),
        signing.compare(
            plane, "PutEvents", "collector", plane.collector(), "/events", signing.sending(500)
        ),
    ]


PARTS: Final[dict[str, Callable[[Plane, Effort], list[Row]]]] = {
    "recommendations": recommendations,
    "ranking": ranking,
    "events": events,
    "kills": kills,
    "signatures": signatures,
}


def know(plane: Plane, users: Users) -> None:
    """Let the online store have the events of users that no model has seen."""
    with redis.Redis.from_url(plane.store.url) as client:
        for user, items in users.cold.items():
            kept = [
                line(KeptEvent(f"{user}-{item}", "watch", 1_600_000_000.0 + at, item))
                for at, item in enumerate(items)
            ]
            client.set(Keys(GROUP).history(user), b"".join(one for one in kept if one))


def start_peers(plane: Plane, data: Interactions) -> None:
    """Give the peers the same interactions."""
    users, rows = np.unique(data.user_ids, return_inverse=True)
    items, columns = np.unique(data.item_ids, return_inverse=True)
    np.savez(
        plane.folder / "interactions.npz", users=users, items=items, rows=rows, columns=columns
    )
    for peer in PEERS:
        plane.peer(peer, plane.folder, peer)


def asking(
    campaign: str, users: Sequence[str], more: Callable[[], Row] = lambda: {"numResults": 25}
) -> tuple[str, ...]:
    """Return a request a user."""
    address = arn("campaign", campaign)
    return tuple(json.dumps({"campaignArn": address, "userId": user, **more()}) for user in users)


def cold(plane: Plane, users: Users) -> list[Row]:
    """Ask for users that the ranker has never met, and again when each has done something."""
    url = plane.url("recommend") + PATHS["recommend"]
    bodies = asking("recommend", tuple(users.cold))
    rows = []
    for name in ("reco, cold users, each once", "reco, the same, an event later"):
        before = plane.processor_seconds("recommend")
        result = once(url, bodies)
        row = figures(name, 1, result, Result(latencies=result.latencies))
        busy = plane.processor_seconds("recommend") - before
        rows.append({**row, "processor ms a request": 1000 * busy / len(bodies)})
        with redis.Redis.from_url(plane.store.url) as client:
            for user in users.cold:
                event = line(KeptEvent("later", "watch", 1_700_000_000.0, users.known_item))
                client.append(Keys(GROUP).history(user), event or b"")
    return rows


def once(url: str, bodies: Sequence[str]) -> Result:
    """Send each body once, one after another."""
    result = Result()
    parts = urlsplit(url)
    connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=30)
    for body in bodies:
        started = time.perf_counter()
        connection.request("POST", parts.path, body, {"Content-Type": "application/json"})
        connection.getresponse().read()
        result.latencies.append((time.perf_counter() - started) * 1000)
        result.seconds += result.latencies[-1] / 1000
        result.sent += 1
    connection.close()
    return result


def compare(plane: Plane, sides: Sequence[Side], effort: Effort) -> list[Row]:
    """Measure all sides in turns, and return the medians of the rounds."""
    rows = []
    for connections in CONNECTIONS:
        rounds: dict[str, list[Row]] = {side.name: [] for side in sides}
        for _ in range(effort.rounds):
            for side in sides:
                rounds[side.name].append(measure(plane, side, connections, effort.seconds))
        rows += [
            {
                **found[0],
                **{
                    key: statistics.median(one[key] for one in found)
                    for key, value in found[0].items()
                    if isinstance(value, float)
                },
                "sent": sum(one["sent"] for one in found),
                "failed": sum(one["failed"] for one in found),
            }
            for found in rounds.values()
        ]
    return rows


def measure(plane: Plane, side: Side, connections: int, seconds: float) -> Row:
    """Measure throughput, then latency at half of it."""
    url = plane.url(side.pod) + side.path
    before = plane.processor_seconds(side.pod)
    peak = run(Load(url, side.bodies, connections, seconds))
    half = run(Load(url, side.bodies, connections, seconds, peak.throughput / 2))
    row = figures(side.name, connections, peak, half)
    busy = plane.processor_seconds(side.pod) - before
    # The warm-up's requests kept the processor busy too, and are not counted as sent.
    sent = (peak.sent + half.sent) * (seconds + WARM_UP) / seconds
    row["processor ms a request"] = 1000 * busy / max(1.0, sent)
    return row


def figures(name: str, connections: int, peak: Result, half: Result) -> Row:
    """Return one row."""
    return {
        "side": name,
        "connections": connections,
        "requests/s": peak.throughput,
        "p50 ms": half.percentile(0.5),
        "p99 ms": half.percentile(0.99),
        "processor ms a request": 0.0,
        "sent": peak.sent + half.sent,
        "failed": peak.failed + half.failed,
    }


def settle(plane: Plane) -> None:
    """Wait until the consumer has folded everything."""
    with redis.Redis.from_url(plane.store.url) as client:
        while any(int(group.get("lag") or 0) for group in client.xinfo_groups(Keys(GROUP).stream)):
            time.sleep(0.1)


def buckets(plane: Plane) -> dict[float, float]:
    """Return the consumer's histogram of reflection times: events up to so many seconds."""
    with urllib.request.urlopen(f"{plane.url('consumer')}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    name = "reco_reflection_seconds_bucket"
    return {
        float(text.partition('le="')[2].partition('"')[0]): float(text.rpartition(" ")[2])
        for text in lines
        if text.startswith(name)
    }


def quantile(before: dict[float, float], after: dict[float, float], share: float) -> float:
    """Return the bound of the bucket that holds this share of what came between."""
    counts = {bound: after[bound] - before.get(bound, 0.0) for bound in after}
    total = max(counts.values())
    return min(bound for bound, found in counts.items() if found >= share * total)


def show(console: Console, title: str, rows: Sequence[Row]) -> None:
    """Print rows, a table for each set of columns."""
    kinds: dict[tuple[str, ...], list[Row]] = {}
    for row in rows:
        kinds.setdefault(tuple(row), []).append(row)
    for columns, some in kinds.items():
        table = Table(title=title)
        for column in columns:
            table.add_column(column, justify="left" if column in {"side", "part"} else "right")
        for row in some:
            table.add_row(*(f"{v:,.2f}" if isinstance(v, float) else str(v) for v in row.values()))
        console.print(table)


if __name__ == "__main__":
    sys.exit(main())
