"""The quickstart on the engine in the cluster, as a newcomer runs it: real pods, and no trace."""

import subprocess
from pathlib import Path

import pytest

from hack.node import NodeCluster

ROOT = Path(__file__).resolve().parents[2]
PATIENCE = 800


def links() -> set[str]:
    """Return the host's network links by name."""
    shown = subprocess.run(["ip", "-o", "link"], capture_output=True, text=True, check=True)
    return {line.split(": ")[1] for line in shown.stdout.splitlines()}


@pytest.mark.timeout(PATIENCE + 60)
def test_manifests_become_recommendations_from_pods(node: NodeCluster) -> None:
    """Beside the node of the other tests: the quickstart has one of its own."""
    assert node.server
    before = links()
    done = subprocess.run(
        [ROOT / "scripts" / "quickstart", "--engine", "in-cluster"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
        timeout=PATIENCE,
    )
    assert done.returncode == 0, done.stdout
    assert "campaign.reco.dev/movies-for-you   True    True" in done.stdout
    assert "(new)" in done.stdout, "the event changed nothing"
    assert links() <= before
