"""The README's first command, as a newcomer runs it, to its end and to the last process."""

import os
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import boto3
import pytest

from hack.kube_assets import locate

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 400.0
KINDS = {
    "list_campaigns": "campaigns",
    "list_datasets": "datasets",
    "list_dataset_groups": "datasetGroups",
    "list_event_trackers": "eventTrackers",
    "list_schemas": "schemas",
    "list_solutions": "solutions",
}


@dataclass
class Run:
    """A quickstart that was left running at its end."""

    process: subprocess.Popen[str]
    output: str

    def after(self, pattern: str) -> str:
        found = re.search(pattern, self.output)
        assert found, self.output
        return found[1]


@pytest.fixture(scope="module")
def run() -> Iterator[Run]:
    process = subprocess.Popen(
        [ROOT / "scripts" / "quickstart", "--keep"],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        start_new_session=True,
    )
    try:
        yield Run(process, read_until(process, "Logs: "))
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.stdout is not None
        process.stdout.close()


def read_until(process: subprocess.Popen[str], last: str) -> str:
    """Read lines until one starts with `last`; the pipe's end or the clock fails the test."""
    assert process.stdout is not None
    lines: list[str] = []
    deadline = time.monotonic() + PATIENCE
    for line in process.stdout:
        lines.append(line)
        if line.startswith(last):
            return "".join(lines)
        assert time.monotonic() < deadline, "".join(lines)
    raise AssertionError("".join(lines))


def descendants(pid: int) -> set[int]:
    """Return the live processes of a session, guardians and grandchildren included."""
    out = subprocess.run(
        ["ps", "-ww", "-eo", "pid=,ppid="], capture_output=True, text=True, check=True
    ).stdout
    parents = {int(child): int(parent) for child, parent in map(str.split, out.splitlines())}
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found


@pytest.mark.timeout(900)
def test_manifests_become_recommendations_and_deleting_them_leaves_nothing(run: Run) -> None:
    assert re.search(
        r"campaign.reco.dev/movies-for-you +True +True +movies-for-you-\d+", run.output
    )
    assert "(new)" in run.output, "the event changed nothing"

    environment = os.environ | {"KUBECONFIG": run.after(r"export KUBECONFIG=(\S+)")}
    kubectl = str(locate("kubectl")["kubectl"])
    subprocess.run(
        [kubectl, "delete", "-f", "examples/quickstart", "--timeout=120s"],
        cwd=ROOT,
        env=environment,
        check=True,
        capture_output=True,
    )
    assert left_in(run.after(r"aws --endpoint-url (\S+) personalize list")) == {}

    started = descendants(run.process.pid)
    os.kill(run.process.pid, signal.SIGINT)
    assert run.process.wait(timeout=60) == 130
    assert wait_for_end(started) == set()


def left_in(emulator: str) -> dict[str, Any]:
    """Return what an emulator still has, by kind."""
    client: Any = boto3.client(
        "personalize",
        endpoint_url=emulator,
        region_name="eu-west-1",
        aws_access_key_id="quickstart",
        aws_secret_access_key="quickstart",
    )
    found = {operation: getattr(client, operation)()[key] for operation, key in KINDS.items()}
    return {operation: items for operation, items in found.items() if items}


def wait_for_end(pids: set[int]) -> set[int]:
    """Return which of some processes are still there after ten seconds."""
    deadline = time.monotonic() + 10
    while alive := {pid for pid in pids if Path(f"/proc/{pid}").exists()}:
        if time.monotonic() > deadline:
            return alive
        time.sleep(0.1)
    return set()
