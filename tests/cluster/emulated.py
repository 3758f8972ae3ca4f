"""The Personalize emulator as a process, and the data that the cluster tests train on."""

import json
import random
import sys
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from hack.processes import LOOPBACK, Process, free_port
from hack.s3 import S3Server

ACCOUNT: Final = "000000000000"
BUCKET: Final = "estate"
TIME_SCALE: Final = 20
# In virtual seconds: long enough for a watcher to see each state, short enough to wait for.
DURATIONS: Final[Mapping[str, int]] = {
    "DatasetGroup": 3,
    "DatasetGroupDelete": 3,
    "Dataset": 3,
    "DatasetUpdate": 4,
    "DatasetDelete": 3,
    "DatasetImportJob": 5,
    "SolutionUpdate": 3,
    "SolutionDelete": 4,
    "SolutionVersion": 8,
    "SolutionVersion/aws-sims": 8,
    "SolutionVersionStop": 3,
    "Campaign": 8,
    "CampaignUpdate": 16,
    "CampaignDelete": 6,
    "EventTracker": 3,
    "EventTrackerDelete": 3,
}


class EmulatorProcess(Process):
    """A running emulator and its admin API, at an address of this machine.

    Pods do not reach loopback.
    """

    def __init__(self, folder: Path, s3: S3Server, *, address: str = LOOPBACK) -> None:
        port = free_port()
        self.url = f"http://{address}:{port}"
        super().__init__(
            "emulator",
            [
                Path(sys.executable).with_name("reco"),
                "emulate",
                f"--listen={address}:{port}",
                f"--state={folder / 'emulator.sqlite'}",
                f"--time-scale={TIME_SCALE}",
                f"--s3-endpoint={s3.url}",
                f"--account={ACCOUNT}",
                "--quota=DatasetGroup=100",
                *(f"--duration={label}={seconds}" for label, seconds in DURATIONS.items()),
            ],
            log=folder / "emulator.log",
            env=s3.environment,
        )
        self.wait_ready(f"{self.url}/_reco/health")

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = urllib.request.Request(f"{self.url}/_reco/{path}", data, method=method)
        with urllib.request.urlopen(request, timeout=30) as answer:
            return json.load(answer)

    def calls(
        self, region: str, *, after: int = 0, operation: str | None = None, mutating: bool = False
    ) -> list[dict[str, Any]]:
        """Return the calls that one region has received since the call of id `after`."""
        query = f"&operation={operation}" if operation else ""
        query += "&mutating=true" if mutating else ""
        found: list[dict[str, Any]] = []
        page: int | None = after
        while page is not None:
            answer = self.ask("GET", f"calls?after={page}{query}")
            found += answer["calls"]
            page = answer["next"]
        return [call for call in found if call["region"] == region]

    def mark(self) -> int:
        """Return the id of the newest call."""
        newest, page = 0, 0
        while page is not None:
            answer = self.ask("GET", f"calls?after={page}")
            newest = answer["calls"][-1]["id"] if answer["calls"] else newest
            page = answer["next"]
        return newest

    @contextmanager
    def fault(self, kind: str, **members: Any) -> Iterator[None]:
        """Have calls fail within the block."""
        self.ask("POST", "faults", {"kind": kind, **members})
        try:
            yield
        finally:
            self.ask("DELETE", "faults")


def carried_out(calls: list[dict[str, Any]]) -> list[str]:
    """Return the operations that were executed, whether the answer arrived or not, in order."""
    return [call["operation"] for call in calls if call["outcome"] in {"OK", "LOST"}]


def interactions(rows: int = 1200, *, seed: int = 1) -> str:
    """Return an interactions file: 60 users with tastes, 40 items."""
    rng = random.Random(seed)
    lines = ["USER_ID,ITEM_ID,TIMESTAMP"]
    for number in range(rows):
        user = number % 60
        taste = user % 4
        item = rng.randrange(10) * 4 + taste if rng.random() < 0.8 else rng.randrange(40)
        lines.append(f"u{user},i{item},{1_700_000_000 + number}")
    return "\n".join(lines) + "\n"
