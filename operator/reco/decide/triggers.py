"""Triggers: what starts a run, at most once for each event.

Runs are numbered, and the child's name follows from the number of the next one and from what is
asked (or from the scheduled time). So a crash, a stale cache or a second controller meets the same
name and starts nothing twice, and a return to an earlier state is an event of its own.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from reco.api.resource import Resource
from reco.api.runs import RunTrigger, ScheduleProgress
from reco.api.vocabulary import ANNOTATION_RUN_NOW, API_VERSION
from reco.decide import names, runs
from reco.decide.conditions import timestamp
from reco.decide.decision import CreateResource
from reco.decide.model import CLOCK_SKEW
from reco.decide.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Trigger:
    """Why a run is due."""

    cause: runs.Cause
    asked: str
    """What is asked for: with the number of the run it makes the child's name."""
    scheduled: datetime | None = None
    """The scheduled time, which makes the name alone."""
    mode: str | None = None
    attempt: int = 1
    """How many runs in a row this one makes, the ones before having ended badly."""
    minute: datetime | None = None
    """A time that makes the child's name instead, where there is no scheduled one."""


@dataclass(frozen=True, slots=True)
class Skip:
    """Why a scheduled time passes without a run."""

    scheduled: datetime
    reason: str
    trigger: RunTrigger


def token(resource: Resource) -> str | None:
    """Return a person's `reco.dev/run-now`, short enough to be echoed."""
    asked = resource.annotations.get(ANNOTATION_RUN_NOW)
    return None if asked is None else names.echo(asked)


def handled_token(
    resource: Resource,
    all_runs: Sequence[Resource],
    *,
    recorded: str | None,
    recorded_number: int | None,
    taken_over: bool,
) -> str | None:
    """Return the `reco.dev/run-now` that was handled last; None where none was.

    Args:
        resource: the parent.
        all_runs: its runs.
        recorded: the token that the parent's status names as handled last.
        recorded_number: the number of the newest run that the status knows of.
        taken_over: whether there is no status yet, but work that was done before. This is so after
            a restore from a backup and when an estate is rebuilt from its manifests. A token that
            stands there already was handled then, even if its run is pruned by now.
    """
    if taken_over:
        return token(resource)
    started_so = [
        run
        for run in all_runs
        if run.annotations.get(runs.ANNOTATION_TRIGGER) == runs.Cause.RUN_NOW
    ]
    newest = max(started_so, key=runs.number, default=None)
    # The newest run may be newer than the status.
    if newest is not None and (recorded is None or runs.number(newest) > (recorded_number or 0)):
        return token(newest)
    return recorded


def run_now(resource: Resource, handled: str | None) -> Trigger | None:
    """Return the trigger of a `reco.dev/run-now` that was not handled yet.

    Args:
        resource: the parent.
        handled: the token that was handled last.
    """
    asked = token(resource)
    return None if asked is None or asked == handled else Trigger(runs.Cause.RUN_NOW, asked)


def progress(
    before: Sequence[ScheduleProgress] | None,
    plans: Mapping[RunTrigger, Schedule],
    *,
    now: datetime,
    anew: bool,
) -> dict[RunTrigger, ScheduleProgress]:
    """Return how far each schedule in force has been acted upon.

    A schedule counts from when it is first seen in force: what was due before another expression,
    a suspension or a pause ended is not caught up on. What a clock that was ahead wrote down does
    not count.

    Args:
        before: what the status says.
        plans: the schedules in force.
        now: the present time.
        anew: whether no schedule was in force until now.
    """
    known = {one.trigger: one for one in before or ()}
    found = {}
    for trigger, plan in plans.items():
        last, said = known.get(trigger), f"{plan.expression} {plan.time_zone}"
        if anew or last is None or last.schedule != said or last.handled_through > now + CLOCK_SKEW:
            last = ScheduleProgress(
                trigger=trigger, schedule=said, handled_through=now.replace(microsecond=0)
            )
        found[trigger] = last
    return found


def progress_manifest(
    progress: Mapping[RunTrigger, ScheduleProgress],
) -> list[dict[str, Any]] | None:
    """Return how far schedules have been acted upon, as it stands in a status."""
    return [
        one.manifest() | {"handledThrough": timestamp(one.handled_through)}
        for one in progress.values()
    ] or None


def handled(
    progress: Mapping[RunTrigger, ScheduleProgress], trigger: RunTrigger, scheduled: datetime
) -> dict[str, Any]:
    """Return what a status says once a scheduled time was acted upon."""
    now = progress[trigger].model_copy(update={"handled_through": scheduled})
    return {
        "lastScheduleTime": timestamp(scheduled),
        "schedules": progress_manifest({**progress, trigger: now}),
    }


def next_time(status: Mapping[str, Any]) -> datetime | None:
    """Return the next scheduled time that a status tells of."""
    text = status.get("nextScheduleTime")
    return None if text is None else datetime.fromisoformat(text)


def newest_start(all_runs: Iterable[Resource], now: datetime) -> datetime | None:
    """Return when the newest run was started, by whoever; None where none was."""
    times = [
        time
        for run in all_runs
        if (time := runs.started(run) or runs.made(run)) <= now + CLOCK_SKEW
    ]
    return max(times, default=None)


def on_schedule(
    schedule: Schedule,
    progress: ScheduleProgress,
    newest: datetime | None,
    *,
    deadline: int | None,
    now: datetime,
    why_not: str | None,
) -> Trigger | Skip | None:
    """Return what is due by a schedule: the latest missed time alone, never all of them.

    Args:
        schedule: the schedule, which is in force.
        progress: how far it has been acted upon.
        newest: when the newest run was started; a time before that asks for nothing.
        deadline: seconds after its time within which a run may start.
        now: the present time.
        why_not: why no run is to start, if none is.
    """
    through = progress.handled_through
    due = schedule.due(through if newest is None else max(through, newest), now)
    if due is None:
        return None
    trigger = progress.trigger
    if deadline is not None and now - due > timedelta(seconds=deadline):
        return Skip(due, f"more than startingDeadlineSeconds ({deadline}) late", trigger)
    if why_not is not None:
        return Skip(due, why_not, trigger)
    mode = None if trigger is RunTrigger.IMPORT else trigger.value
    return Trigger(runs.Cause.SCHEDULED, timestamp(due), due, mode)


def create(
    parent: Resource,
    kind: str,
    trigger: Trigger,
    input_: str,
    spec: dict[str, Any],
    *,
    now: datetime,
    number: int,
) -> CreateResource:
    """Return the action that starts a run."""
    annotations = {
        runs.ANNOTATION_TRIGGER: trigger.cause.value,
        runs.ANNOTATION_INPUT: input_,
        runs.ANNOTATION_STARTED: timestamp(now),
        runs.ANNOTATION_NUMBER: str(number),
    }
    if trigger.scheduled is not None:
        annotations[runs.ANNOTATION_SCHEDULED] = timestamp(trigger.scheduled)
    if trigger.attempt > 1:
        annotations[runs.ANNOTATION_ATTEMPT] = str(trigger.attempt)
    if trigger.cause is runs.Cause.RUN_NOW:
        annotations[ANNOTATION_RUN_NOW] = trigger.asked
    return CreateResource(
        {
            "apiVersion": API_VERSION,
            "kind": kind,
            "metadata": {
                "namespace": parent.key.namespace,
                "name": child_name(parent, trigger, number),
                "annotations": annotations,
                "ownerReferences": [runs.owner_reference(parent)],
            },
            "spec": spec,
        }
    )


def child_name(parent: Resource, trigger: Trigger, number: int) -> str:
    """Return the name of the run that a trigger starts.

    Args:
        parent: what starts it.
        trigger: why.
        number: the run's number among those of its parent.
    """
    minute = trigger.scheduled or trigger.minute
    if minute is not None:
        return names.scheduled_child(parent.key.name, minute)
    return names.triggered_child(parent.key.name, f"{number}:{trigger.asked}")
