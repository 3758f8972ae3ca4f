"""Runs: what trainings and imports have in common.

A run is a child resource that runs to completion. What it is, how it ended, what it was started
with and whose it is stand on the run itself; what starts one is in `triggers`.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from reco.api.resource import Resource
from reco.api.runs import RunTrigger
from reco.api.vocabulary import (
    API_VERSION,
    GROUP,
    ConditionType,
    ManagementPolicy,
    Reason,
)
from reco.decide.decision import Action, DeleteResource, OwnResource

ANNOTATION_TRIGGER = f"{GROUP}/trigger"
ANNOTATION_INPUT = f"{GROUP}/input"
ANNOTATION_STARTED = f"{GROUP}/started-time"
ANNOTATION_SCHEDULED = f"{GROUP}/scheduled-time"
ANNOTATION_NUMBER = f"{GROUP}/run-number"
ANNOTATION_ATTEMPT = f"{GROUP}/attempt"


class Cause(StrEnum):
    """Why a run was started, as its annotation says."""

    INITIAL = "Initial"
    """Nothing has run before."""
    SCHEDULED = "Scheduled"
    CHANGED = "Changed"
    """The spec or the data has changed."""
    RETRY = "Retry"
    """The run before ended badly."""
    RECREATED = "Recreated"
    """The external object was made anew, and the work done to the one before is lost."""
    RUN_NOW = "RunNow"
    """A person asked for it."""
    ADOPTED = "Adopted"
    """The engine had it already."""


_AUTOMATIC = frozenset(
    {Cause.INITIAL, Cause.SCHEDULED, Cause.CHANGED, Cause.RETRY, Cause.RECREATED}
)
"""Causes without a person: a bad end of such a run counts for its trigger."""


def finished(run: Resource) -> bool:
    """Whether a run has ended, well or not."""
    condition = run.condition(ConditionType.SUCCEEDED)
    return condition is not None and (
        condition.status == "True"
        or (condition.status == "False" and run.is_true(ConditionType.STALLED))
    )


def good(run: Resource) -> bool:
    """Whether a run has ended well."""
    return run.is_true(ConditionType.SUCCEEDED)


def looked_at(run: Resource) -> bool:
    """Whether the engine has said of a run what it is doing, or that there is none of it."""
    condition = run.condition(ConditionType.SUCCEEDED)
    return condition is not None and (
        condition.status != "Unknown" or condition.reason in _KNOWN_TO_RUN
    )


def idle(run: Resource) -> bool:
    """Whether a run that has not ended will not go on by itself, so that none waits for it.

    Someone only observes what does not exist, say, or has paused what was never started.
    """
    condition = run.condition(ConditionType.SUCCEEDED)
    if condition is None or condition.status != "Unknown":
        return condition is not None and condition.reason == Reason.EXTERNAL_MISSING
    return run.is_true(ConditionType.PAUSED) and run.status.external is None


_KNOWN_TO_RUN = frozenset(
    {
        Reason.CREATING,
        Reason.QUEUED,
        Reason.TRAINING,
        Reason.IMPORTING,
        Reason.AWAITING_QUOTA,
        Reason.PAUSED,
        Reason.DELETING,
    }
)
"""Reasons of a run that has not ended, given by somebody who has looked."""


def input_of(run: Resource, otherwise: str | None) -> str | None:
    """Return the digest of what a run was started with: it stands on the run from the start."""
    return run.annotations.get(ANNOTATION_INPUT, otherwise)


def started(run: Resource) -> datetime | None:
    """Return when a run was made by whoever started it, or None where nobody wrote that down.

    It is older than anything that the engine made of the run, even where the resource is younger,
    because it was restored from a backup.
    """
    return _time(run.annotations.get(ANNOTATION_STARTED))


def _time(text: str | None) -> datetime | None:
    try:
        time = datetime.fromisoformat(text) if text is not None else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


_COMES_BACK_AFTER = timedelta(minutes=20)
"""More than the clocks of the operator and the API server differ."""


def came_back(run: Resource) -> bool:
    """Whether a run that its parent made is younger than its start: it comes from a backup.

    It may have been superseded, or have failed. Its parent decides anew what is due.
    """
    began = started(run)
    return (
        run.kind.runs_to_completion
        and is_ours(run)
        and began is not None
        and run.created - began > _COMES_BACK_AFTER
    )


def made(run: Resource) -> datetime:
    """Return when the engine made a run's object; when the resource was made, before that."""
    external = run.status.external
    if external is not None and external.creation_time is not None:
        return external.creation_time  # type: ignore[no-any-return]
    return run.created


def ended(run: Resource) -> datetime:
    """Return when a run was seen to have ended, by our own clock."""
    condition = run.condition(ConditionType.SUCCEEDED)
    return run.created if condition is None else condition.last_transition_time


def newest_first(runs: Iterable[Resource]) -> list[Resource]:
    """Return runs ordered by when they were made, the newest first; by number within a second."""
    return sorted(runs, key=lambda run: (made(run), number(run), run.key.name), reverse=True)


def number(run: Resource) -> int:
    """Return a run's number among those of its parent; 0 where nobody gave it one."""
    text = run.annotations.get(ANNOTATION_NUMBER, "")
    return int(text) if text.isascii() and text.isdigit() else 0


def last_started(runs: Iterable[Resource]) -> Resource | None:
    """Return the run that was started last, by number, or None of none."""
    return max(runs, key=lambda run: (number(run), made(run)), default=None)


def attempt(run: Resource) -> int:
    """Return how many runs in a row a run makes."""
    text = run.annotations.get(ANNOTATION_ATTEMPT, "")
    return max(1, int(text)) if text.isascii() and text.isdigit() else 1


def scheduled(run: Resource) -> datetime | None:
    """Return the scheduled time a run was made for."""
    return _time(run.annotations.get(ANNOTATION_SCHEDULED))


def is_ours(run: Resource) -> bool:
    """Whether a run was made by its parent, as its mark says, and not by hand."""
    return ANNOTATION_TRIGGER in run.annotations


def is_run_of(parent: Resource, other: Resource) -> bool:
    """Whether a parent made a run, whatever owner references say: they may be lost or outdated."""
    reference = next((r for r in other.kind.references if r.parent), None)
    return (
        other.kind.runs_to_completion
        and is_ours(other)
        and reference is not None
        and reference.target == parent.key.kind
        and other.spec is not None
        and reference.name(other.spec) == parent.key.name
    )


def trigger_of(run: Resource) -> RunTrigger | None:
    """Return what started a run; None for a run that a person started."""
    if run.annotations.get(ANNOTATION_TRIGGER) not in _AUTOMATIC or run.spec is None:
        return None
    mode = getattr(run.spec, "training_mode", None)
    return RunTrigger.IMPORT if mode is None else RunTrigger(mode.value)


def last_number(recorded: int | None, runs: Iterable[Resource]) -> int:
    """Return the number of the newest run there was, as the status and the runs tell."""
    return max([recorded or 0, *map(number, runs)])


def collected(run: Resource, parent: Resource | None) -> bool:
    """Whether garbage collection deletes a run because it names an owner of before a restore."""
    return (
        run.deleted is not None
        and run.kind.runs_to_completion
        and is_ours(run)
        and bool(run.owners)
        and (parent is None or all(owner.uid != parent.uid for owner in run.owners))
    )


def told_by(parent: Resource, run: Resource) -> bool:
    """Whether a parent's status tells of a run, or the parent starts none.

    What the status tells of is not started again, even where the run is gone.
    """
    if parent.spec is not None and parent.spec.management_policy is ManagementPolicy.OBSERVE:
        return True
    status = parent.status
    told = getattr(status, "training", None) or getattr(status, "import_", None)
    return told is not None and (told.run_number or 0) >= number(run)


def owner_reference(parent: Resource) -> dict[str, Any]:
    """Return the reference by which a child says whose it is."""
    return {
        "apiVersion": API_VERSION,
        "kind": parent.key.kind,
        "name": parent.key.name,
        "uid": parent.uid,
        "controller": True,
        "blockOwnerDeletion": True,
    }


def own(parent: Resource, runs: Iterable[Resource]) -> list[OwnResource]:
    """Return what gives a parent its runs again after a restore took the owner references away.

    Garbage collection deletes what names an owner by a UID of before, and a parent without its
    runs could never be deleted.
    """
    return [
        OwnResource(run, owner_reference(parent))
        for run in runs
        if is_ours(run) and run.deleted is None and all(o.uid != parent.uid for o in run.owners)
    ]


def remade(run: Resource, parent: Resource) -> dict[str, Any]:
    """Return the manifest by which a run is made again under its parent, with all its marks."""
    return {
        "apiVersion": API_VERSION,
        "kind": run.key.kind,
        "metadata": {
            "namespace": run.key.namespace,
            "name": run.key.name,
            "annotations": {
                name: value
                for name, value in run.annotations.items()
                if name.partition("/")[0] == GROUP
            },
            "ownerReferences": [owner_reference(parent)],
        },
        "spec": run.spec.manifest(),
    }


def prune(
    runs: Sequence[Resource],
    *,
    owner: Resource,
    good_limit: int,
    failed_limit: int,
    keep: frozenset[str],
) -> list[Action]:
    """Return the deletions that history limits ask for.

    Only finished runs that `owner` made are ever pruned, and none that is named in `keep`.
    """
    owned = [
        run
        for run in newest_first(runs)
        if finished(run) and any(o.uid == owner.uid for o in run.owners)
    ]
    surplus = [run for run in owned if good(run)][good_limit:]
    surplus += [run for run in owned if not good(run)][failed_limit:]
    return [
        DeleteResource(run.key, run.uid)
        for run in surplus
        if run.deleted is None and run.key.name not in keep
    ]


def failure_reason(run: Resource) -> Reason:
    """Return the reason with which a failure of a run is shown elsewhere."""
    condition = run.condition(ConditionType.SUCCEEDED)
    transient = condition is not None and condition.reason == Reason.TRANSIENT_FAILURE
    return Reason.TRANSIENT_FAILURE if transient else Reason.EXTERNAL_FAILURE


def failure_text(run: Resource) -> str:
    """Return why a run failed, with its name."""
    condition = run.condition(ConditionType.SUCCEEDED)
    return f"{run.key.name}: {condition.message}" if condition is not None else run.key.name
