"""Runs: what trainings and imports have in common.

A run is a child resource that runs to completion. It is started at most once for each trigger: the
child's name follows from the trigger alone, so a crash, a stale cache or a second controller meets
the same name and starts nothing twice.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import ANNOTATION_RUN_NOW, API_VERSION, GROUP, ConditionType, Reason
from reco.decide import names
from reco.decide.conditions import timestamp
from reco.decide.decision import Action, CreateResource, DeleteResource
from reco.decide.schedule import Schedule

ANNOTATION_TRIGGER = f"{GROUP}/trigger"
ANNOTATION_INPUT = f"{GROUP}/input"
ANNOTATION_STARTED = f"{GROUP}/started-time"


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a run is due."""

    cause: str
    """`Initial`, `Scheduled`, `RunNow` or `Changed`."""
    name: str
    """The name of the child."""
    scheduled: datetime | None = None
    mode: str | None = None


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a scheduled time passes without a run."""

    scheduled: datetime
    reason: str


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


def failed(run: Resource) -> bool:
    """Whether a run has not ended well, and the engine had a part in it.

    One whose name somebody else holds was never tried: another under another name is no better.
    """
    condition = run.condition(ConditionType.SUCCEEDED)
    return not good(run) and (condition is None or condition.reason not in _NOT_OURS)


_NOT_OURS = frozenset({Reason.NAME_CONFLICT, Reason.OWNED_ELSEWHERE})


def input_of(run: Resource, otherwise: str | None) -> str | None:
    """Return the digest of what a run was started with: it stands on the run from the start."""
    return run.annotations.get(ANNOTATION_INPUT, otherwise)


def started(run: Resource) -> datetime | None:
    """Return when a run was made by whoever started it, or None where nobody wrote that down.

    It is older than anything that the engine made of the run, even where the resource is younger,
    because it was restored from a backup.
    """
    text = run.annotations.get(ANNOTATION_STARTED)
    try:
        time = datetime.fromisoformat(text) if text is not None else None
    except ValueError:
        return None
    return time if time is not None and time.tzinfo is not None else None


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
    """Return runs ordered by when they were made, the newest first."""
    return sorted(runs, key=lambda run: (made(run), run.key.name), reverse=True)


def run_now(resource: Resource, last: str | None) -> Trigger | None:
    """Return the trigger of a `reco.dev/run-now` that was not handled yet."""
    token = resource.annotations.get(ANNOTATION_RUN_NOW)
    if token is None or token == last:
        return None
    return Trigger("RunNow", names.triggered_child(resource.key.name, token))


def on_schedule(
    resource: Resource,
    schedule: Schedule,
    *,
    last: datetime | None,
    deadline: int | None,
    now: datetime,
    mode: str | None = None,
) -> Trigger | Skip | None:
    """Return what is due by a schedule: the latest missed time alone, never all of them."""
    due = schedule.due(last or resource.created, now)
    if due is None:
        return None
    if deadline is not None and now - due > timedelta(seconds=deadline):
        return Skip(due, f"more than startingDeadlineSeconds ({deadline}) late")
    return Trigger("Scheduled", names.scheduled_child(resource.key.name, due), due, mode)


def create(
    parent: Resource,
    kind: str,
    trigger: Trigger,
    input_: str,
    spec: dict[str, Any],
    *,
    now: datetime,
) -> CreateResource:
    """Return the action that starts a run."""
    annotations = {
        ANNOTATION_TRIGGER: trigger.cause,
        ANNOTATION_INPUT: input_,
        ANNOTATION_STARTED: timestamp(now),
    }
    if trigger.scheduled is not None:
        annotations[f"{GROUP}/scheduled-time"] = timestamp(trigger.scheduled)
    return CreateResource(
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {
                "namespace": parent.key.namespace,
                "name": trigger.name,
                "annotations": annotations,
                "ownerReferences": [owner_reference(parent)],
            },
            "spec": spec,
        }
    )


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


def failure_text(run: Resource) -> str:
    """Return why a run failed, with its name."""
    condition = run.condition(ConditionType.SUCCEEDED)
    return f"{run.key.name}: {condition.message}" if condition is not None else run.key.name
