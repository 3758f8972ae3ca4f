"""The two operators that are compared: how each is started, and when each has seen everything."""

import re
import sys
import urllib.request
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from benchmarks.operator.estate import CREDENTIALS, ROOT, Estate
from hack.processes import LOOPBACK, Process, free_port
from reco.loop.settings import Settings

PERIODS: Final = ("poll_fast", "poll_slow", "resync", "relist", "sweep", "settle")
REAL: Final = {name: float(Settings.model_fields[name].default) for name in PERIODS}
"""How often reco looks, in seconds, as it does by default; the peer polls alike."""


@dataclass(frozen=True, slots=True)
class Running:
    """An operator's process, and how to tell that it has looked at `n` resources and rests."""

    process: Process
    settled: Callable[[int], bool]


@dataclass(frozen=True, slots=True)
class Side:
    """One of the operators.

    `start` takes how many times as fast time runs for ours, and the seconds between a peer's polls.
    """

    name: str
    start: Callable[[Estate, float, float], Running]


def start_ours(estate: Estate, faster: float, _interval: float) -> Running:
    """Start reco, which finds out by itself how often to look."""
    url = f"{LOOPBACK}:{free_port()}"
    process = Process(
        "reco",
        [
            sys.executable, "-m", "reco.cli.main", "operate",
            "--kubeconfig", str(estate.plane.kubeconfig),
            *(f"--{name.replace('_', '-')}={REAL[name] / faster}" for name in PERIODS),
            "--listen", url, "--no-lease",
        ],
        log=estate.folder / "ours.log",
        env=CREDENTIALS,
    )  # fmt: skip

    def settled(count: int) -> bool:
        try:
            with urllib.request.urlopen(f"http://{url}/metrics", timeout=5) as answer:
                text = answer.read().decode()
        except OSError:
            return False
        looks = _sum(text, "controller_runtime_reconcile_total")
        busy = ("workqueue_depth", "workqueue_unfinished_work_seconds")
        return looks >= count and not any(_sum(text, name) for name in busy)

    return Running(process, settled)


def start_peer(estate: Estate, _faster: float, interval: float) -> Running:
    """Start the plain kopf operator."""
    position, described = estate.mark(), set[str]()
    process = Process(
        "peer",
        [
            sys.executable, "-m", "kopf", "run", "--standalone", "--all-namespaces",
            "--module", "benchmarks.operator.peer",
        ],
        log=estate.folder / "peer.log",
        env={
            **CREDENTIALS,
            "AWS_ENDPOINT_URL": estate.emulator_url,
            "INTERVAL": f"{interval}",
            "KUBECONFIG": str(estate.plane.kubeconfig),
        },
        cwd=ROOT,
    )  # fmt: skip

    def settled(count: int) -> bool:
        nonlocal position
        calls = estate.calls(position, operation="DescribeDatasetGroup")
        described.update(call["parameters"]["datasetGroupArn"] for call in calls)
        position = max([position, *(call["id"] for call in calls)])
        return len(described) >= count

    return Running(process, settled)


OURS: Final = Side("reco", start_ours)
PEER: Final = Side("plain kopf operator", start_peer)


def _sum(text: str, name: str) -> float:
    found = re.findall(rf"^{name}(?:\{{[^}}]*\}})? (\S+)$", text, re.MULTILINE)
    return sum(float(value) for value in found)
