"""What a Solution shows of its trainings: what runs, what is newest, what is next, and why not."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reco.api.resource import Resource
from reco.api.runs import FailedRun
from reco.api.vocabulary import ConditionType, Reason
from reco.decide import outcomes, pictures, runs, triggers
from reco.decide.conditions import timestamp
from reco.decide.decision import Decision, Verdict
from reco.decide.model import Situation
from reco.decide.training_history import MODES, History, holds


def describe(situation: Situation, history: History) -> dict[str, Any]:
    """Return the status fields that say what is there, in manifest spelling."""
    before, good = situation.resource.status.training, history.good
    running = history.running
    status: dict[str, Any] = {
        "running": running.key.name if running is not None else None,
        "latest": good.key.name if good is not None else None,
        "lastTrainedTime": timestamp(runs.made(good)) if good is not None else None,
        "failures": [one.manifest() for one in history.failures] or None,
        "schedules": triggers.progress_manifest(history.progress),
    }
    if history.number:
        status["runNumber"] = history.number
    if history.same or good is not None:
        status["objectTime"] = timestamp(history.made)
    if before is not None:
        kept = {"lastScheduleTime", "lastSkipped", "lastInput"}
        kept |= {"objectTime"} - status.keys()
        status |= {key: value for key, value in before.manifest().items() if key in kept}
    if history.token is not None:
        status["lastRunNow"] = history.token
    if history.trained_on is not None:
        status["lastInput"] = history.trained_on.text
    upcoming = [time for plan in history.plans.values() if (time := plan.next(situation.now))]
    if upcoming:
        status["nextScheduleTime"] = timestamp(min(upcoming))
    return status


def conditions(
    situation: Situation, decision: Decision, history: History, waits_for: str | None
) -> pictures.Conditions:
    """Return a decision's conditions with what there is to say of trainings."""
    shown = dict(decision.conditions)
    ready = shown.get(ConditionType.READY)
    in_sync = isinstance(ready, Verdict) and ready.status == "True"
    if waits_for is not None and in_sync:
        message = f"in sync; the first training waits: {waits_for}"
        shown[ConditionType.READY] = Verdict("True", Reason.IN_SYNC, message)
        shown[ConditionType.DEPENDENCIES_READY] = Verdict("False", Reason.AWAITING_DATA, waits_for)
    held = _held(situation, history)
    if held is not None:
        shown[ConditionType.RUNS_HELD] = held
    newest = _newest_end(history)
    if newest is not None and runs.good(newest):
        shown[ConditionType.LAST_TRAINING_SUCCEEDED] = Verdict(
            "True", Reason.TRAINED, newest.key.name
        )
        return shown
    bad = _bad_end(newest, history)
    if bad is None:
        return shown
    shown[ConditionType.LAST_TRAINING_SUCCEEDED] = bad
    over = history.running is None and waits_for is None
    if history.good is None and in_sync and over:
        none = replace(bad, message=f"no version was ever trained; {bad.message}")
        shown[ConditionType.READY] = none
        tried_again = bool(history.retries)
        type_ = ConditionType.RECONCILING if tried_again else ConditionType.STALLED
        shown[type_] = replace(none, status="True")
    return shown


def _newest_end(history: History) -> Resource | None:
    """Return the newest version that has ended; None where a newer one failed and is pruned."""
    newest = next((one for one in history.versions if runs.finished(one)), None)
    known = {version.key.name for version in history.versions}
    pruned = [one.number for one in history.failures if one.name not in known]
    return None if newest is None or max(pruned, default=0) > runs.number(newest) else newest


def _bad_end(newest: Resource | None, history: History) -> Verdict | None:
    """Return how the newest training ended badly, also where its version is pruned by now."""
    if newest is None:
        pruned = max(history.failures, key=lambda one: one.number, default=None)
        return None if pruned is None else outcomes.verdict(pruned, _then(pruned, history))
    failed = next((one for one in history.failures if one.name == newest.key.name), None)
    then = "" if failed is None else _then(failed, history)
    return Verdict("False", runs.failure_reason(newest), f"{runs.failure_text(newest)}{then}")


def _then(failed: FailedRun, history: History) -> str:
    return outcomes.next_step(failed, retry=history.retries.get(failed.trigger))


def _held(situation: Situation, history: History) -> Verdict | None:
    for trigger in MODES:
        failed = outcomes.of(history.failures, trigger)
        if failed is not None and holds(history, failed, situation.now):
            return outcomes.held(
                f"{trigger} trainings",
                failed,
                ends=outcomes.hold_ends(failed, seen=history.seen),
                changes="A change of the spec, or new data",
            )
    return None


def look_again(
    situation: Situation, decision: Decision, history: History, status: Mapping[str, Any]
) -> float | None:
    """Return after how many seconds the next scheduled time, retry or end of a hold may be due."""
    return outcomes.soonest(
        situation.now,
        decision.look_again,
        history.failures,
        seen=history.seen,
        due=(triggers.next_time(status), *history.retries.values()),
    )
