"""From manifests to recommendations on one machine: what `scripts/quickstart` runs.

Starts a real Kubernetes API, an S3, the Personalize emulator and the operator as processes of their
own on loopback, applies `examples/quickstart/`, shows what each resource waits for, and calls the
campaign as an application would.
"""

import argparse
import csv
import io
import json
import os
import socket
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from threading import Event
from typing import Any, Final

import boto3
from rich.console import Console
from rich.live import Live
from rich.table import Table

from benchmarks.datasets import Dataset, default_dataset
from hack.control_plane import ControlPlane
from hack.processes import LOOPBACK, Process, ProcessError, free_port, heed_signals
from hack.s3 import S3Server

ROOT: Final = Path(__file__).resolve().parent.parent
MANIFESTS: Final = ROOT / "examples" / "quickstart"
BUCKET: Final = "reco-quickstart"
ACCOUNT: Final = "000000000000"
REGION: Final = "eu-west-1"
EMULATOR_PORT: Final = 19010
S3_PORT: Final = 19011
TIME_SCALE: Final = 300
NAMESPACE: Final = "default"
DEADLINE_SECONDS: Final = 300.0

CREDENTIALS: Final = {
    "AWS_ACCESS_KEY_ID": "quickstart",
    "AWS_SECRET_ACCESS_KEY": "quickstart",
    "AWS_DEFAULT_REGION": REGION,
}

# A log has no width of its own; what people look at later should not be folded at 80.
console = Console(width=None if sys.stdout.isatty() else 140)


@dataclass(frozen=True, slots=True)
class Estate:
    """What runs."""

    control_plane: ControlPlane
    s3: S3Server
    emulator_url: str


def main() -> int:
    """Run the quickstart and return the exit code."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", action="store_true", help="leave everything running at the end")
    parser.add_argument("--dir", type=Path, help="where logs and state go (default: temporary)")
    options = parser.parse_args()
    heed_signals()
    started = time.monotonic()
    try:
        with ExitStack() as stack:
            folder = options.dir or Path(
                stack.enter_context(tempfile.TemporaryDirectory(prefix="reco-quickstart-"))
            )
            estate = start(stack, folder.resolve())
            run(estate)
            console.print(f"\n[green]Done in {time.monotonic() - started:.0f} s.[/green]")
            if options.keep:
                explain(estate, folder)
                Event().wait()
    except KeyboardInterrupt:
        console.print("\nStopped; everything that was started is gone.")
        return 130
    except ProcessError as error:
        console.print(f"[red]error:[/red] {error}", highlight=False)
        return 1
    return 0


@contextmanager
def step(text: str) -> Iterator[None]:
    """Say what is being done, and how long it took."""
    console.print(f"[bold]>[/bold] {text} ...", end="", highlight=False)
    started = time.monotonic()
    yield
    console.print(f" [dim]{time.monotonic() - started:.1f} s[/dim]", highlight=False)


# Starting --------------------------------------------------------------------------------------


def start(stack: ExitStack, folder: Path) -> Estate:
    """Start all processes; each is ended when the stack is."""
    os.environ.update(CREDENTIALS)
    for port in (EMULATOR_PORT, S3_PORT):
        refuse_taken(port)
    with step("data set"):
        dataset = default_dataset()
    console.print(
        f"  {dataset.name}: {len(dataset.interactions.item_ids):,} interactions,"
        f" {len(dataset.items.ids):,} items",
        highlight=False,
    )
    with step("S3 (moto)"):
        s3 = S3Server(folder / "s3.log", region=REGION, port=S3_PORT)
        stack.enter_context(s3)
        upload(s3, dataset)
    _titles.update(dataset.titles)
    _example_user.append(busiest_user(dataset))
    emulator_url = f"http://{LOOPBACK}:{EMULATOR_PORT}"
    with step(f"Amazon Personalize (emulator, time runs {TIME_SCALE} times faster)"):
        emulator = Process(
            "emulator",
            [
                sys.executable, "-m", "reco.cli.main", "emulate",
                "--listen", f"{LOOPBACK}:{EMULATOR_PORT}",
                "--state", str(folder / "emulator.sqlite"),
                "--time-scale", str(TIME_SCALE),
                "--s3-endpoint", s3.url,
                "--account", ACCOUNT,
            ],
            log=folder / "emulator.log",
            env=s3.environment,
        )  # fmt: skip
        stack.enter_context(emulator)
        emulator.wait_ready(f"{emulator_url}/_reco/health")
    with step("Kubernetes API (etcd, kube-apiserver)"):
        control_plane = stack.enter_context(ControlPlane(folder / "control-plane"))
    with step("CRDs"):
        control_plane.kubectl("apply", "--server-side", "-f", str(ROOT / "crds"))
        control_plane.kubectl(
            "wait", "--for=condition=Established", "crd", "--all", "--timeout=60s"
        )
    with step("operator"):
        start_operator(stack, folder, control_plane)
    return Estate(control_plane, s3, emulator_url)


def refuse_taken(port: int) -> None:
    """Fail if somebody listens on a port that the manifests name.

    Raises:
        ProcessError: if the port is taken.
    """
    with socket.socket() as probe:
        if probe.connect_ex((LOOPBACK, port)) == 0:
            raise ProcessError(
                f"port {port} of {LOOPBACK} is taken, and {MANIFESTS.name}/10-engine-class.yaml"
                " names it: is another quickstart running?"
            )


def start_operator(stack: ExitStack, folder: Path, control_plane: ControlPlane) -> None:
    """Start the operator with looks as frequent as the emulator's time is fast."""
    listen = f"{LOOPBACK}:{free_port()}"
    operator = Process(
        "operator",
        [
            sys.executable, "-m", "reco.cli.main", "operate",
            "--kubeconfig", str(control_plane.kubeconfig),
            "--poll-fast", "0.5",
            "--poll-slow", "5",
            "--listen", listen,
        ],
        log=folder / "operator.log",
        env=CREDENTIALS,
    )  # fmt: skip
    stack.enter_context(operator)
    operator.wait_ready(f"http://{listen}/readyz")


def upload(s3: S3Server, dataset: Dataset) -> None:
    """Put the data set into S3 as Personalize wants it."""
    s3.create_bucket(BUCKET)
    data = dataset.interactions
    types = data.event_types if data.event_types is not None else ["watch"] * len(data.item_ids)
    rows = zip(data.user_ids, data.item_ids, types, data.timestamps, strict=True)
    header = ("USER_ID", "ITEM_ID", "EVENT_TYPE", "TIMESTAMP")
    s3.upload(BUCKET, "interactions/interactions.csv", table(header, rows))
    genres = dataset.items.categories["GENRES"]
    s3.upload(
        BUCKET,
        "items/items.csv",
        table(("ITEM_ID", "GENRES"), zip(dataset.items.ids, genres, strict=True)),
    )


def table(header: tuple[str, ...], rows: Any) -> str:  # noqa: ANN401 - any rows
    """Return rows as CSV."""
    buffer = io.StringIO()
    writer = csv.writer(buffer)
    writer.writerow(header)
    writer.writerows(rows)
    return buffer.getvalue()


_titles: dict[str, str] = {}
_example_user: list[str] = []


def busiest_user(dataset: Dataset) -> str:
    """Return the user in the middle of the field: enough history, not an outlier."""
    counts: dict[str, int] = {}
    for user in dataset.interactions.user_ids:
        counts[str(user)] = counts.get(str(user), 0) + 1
    return sorted(counts, key=lambda user: (counts[user], user))[len(counts) // 2]


# Running ---------------------------------------------------------------------------------------


def run(estate: Estate) -> None:
    """Apply the manifests, wait for the campaign, ask it, and tell it something."""
    kubectl = estate.control_plane.kubectl
    with step(f"kubectl apply -f {MANIFESTS.relative_to(ROOT)}"):
        kubectl("apply", "-f", str(MANIFESTS))
    wait_until_ready(kubectl)
    console.print("\n[bold]$ kubectl get reco[/bold]")
    console.print(kubectl("get", "reco").rstrip(), highlight=False, soft_wrap=True)
    recommend(estate)


def wait_until_ready(kubectl: Callable[..., str]) -> None:
    """Show each resource and what it waits for until all are ready."""
    deadline = time.monotonic() + DEADLINE_SECONDS
    shown: dict[str, str] = {}
    with Live(console=console, refresh_per_second=4, transient=True) as live:
        while True:
            items = json.loads(kubectl("get", "reco", "-o", "json"))["items"]
            ready = all(condition(item, "Ready").get("status") == "True" for item in items)
            live.update(picture(items))
            if not console.is_terminal:
                report(items, shown)
            if ready and any(item["kind"] == "Campaign" for item in items):
                break
            stalled = [item for item in items if condition(item, "Stalled")]
            if stalled:
                message = condition(stalled[0], "Stalled")["message"]
                raise ProcessError(f"{title(stalled[0])} is stalled: {message}")
            if time.monotonic() > deadline:
                raise ProcessError(f"not ready after {DEADLINE_SECONDS:.0f} s")
            time.sleep(0.5)


def condition(item: Mapping[str, Any], type_: str) -> dict[str, str]:
    """Return one condition of a resource, empty if it is not there."""
    conditions = item.get("status", {}).get("conditions", [])
    return next((c for c in conditions if c["type"] == type_), {})


def title(item: Mapping[str, Any]) -> str:
    """Return kind and name."""
    return f"{item['kind']} {item['metadata']['name']}"


MARKS: Final = {"True": "[green]ready[/green]", "False": "[yellow]waits[/yellow]"}


def picture(items: list[dict[str, Any]]) -> Table:
    """Return the resources as a table."""
    grid = Table(box=None, show_header=False, padding=(0, 2, 0, 2))
    for column in ("state", "resource", "what it waits for"):
        grid.add_column(column, no_wrap=True, overflow="ellipsis")
    for item in items:
        ready = condition(item, "Ready")
        mark = MARKS.get(ready.get("status", ""), "[cyan]works[/cyan]")
        reason, message = ready.get("reason", "Pending"), ready.get("message", "")
        grid.add_row(mark, title(item), f"[dim]{reason}: {message}[/dim]")
    return grid


def report(items: list[dict[str, Any]], shown: dict[str, str]) -> None:
    """Print what has changed, where no terminal can show a table that moves."""
    for item in items:
        ready = condition(item, "Ready")
        line = f"{ready.get('reason', 'Pending')}: {ready.get('message', '')[:110]}"
        if shown.get(title(item)) != line:
            shown[title(item)] = line
            console.print(f"  {title(item)}: {line}", highlight=False)


def recommend(estate: Estate) -> None:
    """Ask for recommendations, send one event, and ask again."""
    campaign = resource(estate, "campaign", "movies-for-you")["status"]
    tracker = resource(estate, "eventtracker", "movies")["status"]
    runtime = boto3.client("personalize-runtime", endpoint_url=campaign["endpoint"])
    events = boto3.client("personalize-events", endpoint_url=tracker["endpoint"])
    user = _example_user[0]

    def ask() -> list[str]:
        answer = runtime.get_recommendations(
            campaignArn=campaign["external"]["arn"], userId=user, numResults=10
        )
        return [item["itemId"] for item in answer["itemList"]]

    before = ask()
    clicked = before[-1]
    events.put_events(
        trackingId=tracker["trackingID"],
        userId=user,
        sessionId="quickstart",
        eventList=[{"eventType": "watch", "itemId": clicked, "sentAt": datetime.now(UTC)}],
    )
    after = ask()
    console.print(
        f"\n[bold]GetRecommendations[/bold] for user {user}, before and after"
        f" [bold]PutEvents[/bold]: watched {_titles.get(clicked, clicked)}",
        highlight=False,
    )
    grid = Table(box=None, padding=(0, 2, 0, 2))
    for column in ("", "before", "after"):
        grid.add_column(column, no_wrap=True, overflow="ellipsis")
    for place, (old, new) in enumerate(zip(before, after, strict=True), start=1):
        text = _titles.get(new, new)
        mark = text if new in before else f"[green]{text}  (new)[/green]"
        grid.add_row(str(place), _titles.get(old, old), mark)
    console.print(grid)
    if before == after:
        raise ProcessError("the event did not change the recommendations")


def resource(estate: Estate, kind: str, name: str) -> dict[str, Any]:
    """Return one resource."""
    text = estate.control_plane.kubectl("get", kind, name, "-o", "json")
    found: dict[str, Any] = json.loads(text)
    return found


def explain(estate: Estate, folder: Path) -> None:
    """Say how to look around in what was left running."""
    arn = resource(estate, "campaign", "movies-for-you")["status"]["external"]["arn"]
    console.print(
        f"""
Everything goes on running until Ctrl-C. In another terminal:

  export KUBECONFIG={estate.control_plane.kubeconfig}
  export AWS_ACCESS_KEY_ID=quickstart AWS_SECRET_ACCESS_KEY=quickstart AWS_DEFAULT_REGION={REGION}
  {estate.control_plane.program("kubectl")} get reco
  aws --endpoint-url {estate.emulator_url} personalize list-campaigns
  aws --endpoint-url {estate.emulator_url} personalize-runtime get-recommendations \\
      --campaign-arn {arn} --user-id {_example_user[0]}

Logs: {folder}""",
        highlight=False,
        soft_wrap=True,
    )


if __name__ == "__main__":
    sys.exit(main())
