"""What the real kstatus library says of each row of the state table: R2."""

from typing import Any

from reco.api.vocabulary import API_VERSION
from reco.decide.lifecycle import decide
from reco.decide.model import Absent, Situation, State, Waiting
from reco.loop.status import patch
from tests.kstatus.verdicts import judge
from tests.support.situations import NOW, desired, observed, resource, situation
from tests.support.state_table import ROWS, deletion_blocked


def merged(before: Any, change: Any) -> Any:
    """Apply a merge patch (RFC 7386), as the API server does."""
    if not isinstance(change, dict):
        return change
    kept = dict(before) if isinstance(before, dict) else {}
    for key, value in change.items():
        if value is None:
            kept.pop(key, None)
        else:
            kept[key] = merged(kept.get(key), value)
    return kept


def written(it: Situation) -> dict[str, Any]:
    """Return the object as the cluster holds it after one look."""
    of = it.resource
    metadata: dict[str, Any] = {
        "name": of.key.name,
        "namespace": of.key.namespace,
        "generation": of.generation,
    }
    if of.deleted is not None:
        metadata |= {"deletionTimestamp": NOW.isoformat(), "finalizers": list(of.finalizers)}
    status = merged(of.raw_status, patch(of, decide(it), NOW)[0])
    return {
        "apiVersion": API_VERSION,
        "kind": of.key.kind,
        "metadata": metadata,
        "status": status,
    }


def test_r2_kstatus_reads_each_row_as_it_is_meant() -> None:
    verdicts = judge([written(row.make()) for row in ROWS])

    read = {row.name: verdict.status for row, verdict in zip(ROWS, verdicts, strict=True)}
    assert read == {row.name: row.verdict for row in ROWS}


def test_r2_what_nobody_has_looked_at_yet_is_in_progress() -> None:
    unseen = {
        "apiVersion": API_VERSION,
        "kind": "Campaign",
        "metadata": {"name": "thing", "namespace": "shop", "generation": 1},
        "status": {"observedGeneration": -1},
    }
    assert [verdict.status for verdict in judge([unseen])] == ["InProgress"]


def test_r2_a_blocked_deletion_is_terminating() -> None:
    assert [verdict.status for verdict in judge([written(deletion_blocked())])] == ["Terminating"]


JOBS = {
    "waits": ("InProgress", Waiting("Solution shop/sol does not exist"), None),
    "about to be made": ("InProgress", desired(), None),
    "queued": ("InProgress", desired(), State.CREATING),
    "running": ("InProgress", desired(), State.RUNNING),
    "done": ("Current", desired(), State.ACTIVE),
    "failed": ("Failed", desired(), State.FAILED),
    "stopped": ("Failed", desired(), State.STOPPED),
}


def test_r2_jobs_are_current_when_they_are_done_and_failed_when_they_fail() -> None:
    looks = []
    for _, wanted, state in JOBS.values():
        job = resource("SolutionVersion")
        there = Absent() if state is None else observed(job, desired(), state, failure="no luck")
        looks.append(written(situation(job, desired=wanted, observation=there)))

    verdicts = judge(looks)

    read = {name: verdict.status for name, verdict in zip(JOBS, verdicts, strict=True)}
    assert read == {name: verdict for name, (verdict, _, _) in JOBS.items()}
