"""How runs end, what is remembered of a bad end, and when the next one may start.

A run that ended badly was refused (its spec or data would fail again), met a transient fault, was
stopped by a person, or its object is gone. Only a refusal holds later runs back: those of the same
trigger, until the spec, the data or a person changes something. Transient faults are tried again a
bounded number of times. A run that a person started holds nothing back.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from reco.api.resource import Resource
from reco.api.runs import FailedRun, RunOutcome, RunTrigger
from reco.api.vocabulary import ConditionType, Reason
from reco.decide import requests, runs
from reco.decide.conditions import timestamp
from reco.decide.decision import Verdict

RETRY_DELAYS = (timedelta(minutes=5), timedelta(minutes=30), timedelta(hours=2))
"""How long after each transient failure in a row the run is tried again; then it is given up until
the next scheduled time."""
UNSEEN_DELAYS = (
    timedelta(hours=1),
    timedelta(hours=4),
    timedelta(hours=12),
    timedelta(days=1),
)
"""How long a refusal holds where nobody can see whether the data has changed, such as events that
the service does not count. The last one repeats."""
_RESET = timedelta(days=1)
"""A run whose object lived this long before it was gone starts a new count of attempts."""
_MESSAGE_LIMIT = 1024

_OUTCOMES = {
    Reason.TRANSIENT_FAILURE: RunOutcome.TRANSIENT,
    Reason.STOPPED: RunOutcome.STOPPED,
    Reason.EXTERNAL_DELETED: RunOutcome.GONE,
    Reason.EXTERNAL_FAILURE: RunOutcome.REFUSED,
    Reason.INVALID_SPEC: RunOutcome.REFUSED,
    Reason.UNSUPPORTED_FEATURE: RunOutcome.REFUSED,
}


def outcome(run: Resource) -> RunOutcome | None:
    """Return how a run ended badly; None where it has not, or was never tried.

    A run whose name somebody else holds was never tried: another under another name is no better.
    """
    condition = run.condition(ConditionType.SUCCEEDED)
    if not runs.finished(run) or runs.good(run) or condition is None:
        return None
    try:
        return _OUTCOMES.get(Reason(condition.reason))
    except ValueError:
        return RunOutcome.TRANSIENT  # a later release said so in words that this one has not


def untried(run: Resource) -> bool:
    """Whether a run could not be tried, because somebody else holds its name."""
    condition = run.condition(ConditionType.SUCCEEDED)
    return condition is not None and condition.reason in {
        Reason.NAME_CONFLICT,
        Reason.OWNED_ELSEWHERE,
    }


def remembered(
    before: Sequence[FailedRun] | None, made: Sequence[Resource], triggers: Iterable[RunTrigger]
) -> list[FailedRun]:
    """Return the last bad end of each trigger, also where its run is pruned by now.

    Args:
        before: what the status remembers.
        made: all runs there are.
        triggers: those of this parent.
    """
    known = {failed.trigger: failed for failed in before or ()}
    found = (_remembered(known.get(trigger), made, trigger) for trigger in triggers)
    return [failed for failed in found if failed is not None]


def _remembered(
    before: FailedRun | None, made: Sequence[Resource], trigger: RunTrigger
) -> FailedRun | None:
    automatic = [run for run in made if runs.trigger_of(run) is trigger and runs.finished(run)]
    newest = runs.last_started(automatic)
    if newest is None or (before is not None and runs.number(newest) < before.number):
        return before
    ended = outcome(newest)
    if ended is None:
        return None
    if before is not None and before.name == newest.key.name and before.outcome is ended:
        return before
    condition = newest.condition(ConditionType.SUCCEEDED)
    long_lived = ended is RunOutcome.GONE and runs.ended(newest) - runs.made(newest) > _RESET
    return FailedRun(
        trigger=trigger,
        name=newest.key.name,
        number=runs.number(newest),
        outcome=ended,
        input=runs.input_of(newest, None),
        time=runs.ended(newest),
        attempts=1 if long_lived else runs.attempt(newest),
        scheduled_time=runs.scheduled(newest),
        request=requests.token(newest),
        message="" if condition is None else condition.message[:_MESSAGE_LIMIT],
    )


def of(failures: Sequence[FailedRun], trigger: RunTrigger) -> FailedRun | None:
    """Return what is remembered of a trigger."""
    return next((failed for failed in failures if failed.trigger is trigger), None)


def retry_time(failed: FailedRun | None, deadline: int | None, now: datetime) -> datetime | None:
    """Return when a transient failure is tried again, or None where it is not.

    Args:
        failed: the last run of the trigger, if it ended badly.
        deadline: seconds after its scheduled time within which a run may start.
        now: the present time.
    """
    if failed is None or failed.outcome not in {RunOutcome.TRANSIENT, RunOutcome.GONE}:
        return None
    if failed.attempts > len(RETRY_DELAYS):
        return None
    time = failed.time + RETRY_DELAYS[failed.attempts - 1]
    scheduled = failed.scheduled_time
    if deadline is not None and scheduled is not None:
        late = max(time, now) - scheduled
        return time if late <= timedelta(seconds=deadline) else None
    return time


def hold_ends(failed: FailedRun, *, seen: bool) -> datetime | None:
    """Return when a refusal holds no longer by itself; None where only a change ends it.

    Args:
        failed: the run that was refused.
        seen: whether a change of all of its data would be seen.
    """
    if seen:
        return None
    return failed.time + UNSEEN_DELAYS[min(failed.attempts, len(UNSEEN_DELAYS)) - 1]


def holds(failed: FailedRun | None, *, changed: bool, seen: bool, now: datetime) -> bool:
    """Whether a bad end holds runs of its trigger back.

    Args:
        failed: the last run of the trigger, if it ended badly.
        changed: whether the spec or the data is known to have changed since.
        seen: whether a change of all of its data would be seen.
        now: the present time.
    """
    if failed is None or failed.outcome is not RunOutcome.REFUSED or changed:
        return False
    ends = hold_ends(failed, seen=seen)
    return ends is None or now < ends


def held(what: str, failed: FailedRun, *, ends: datetime | None, changes: str) -> Verdict:
    """Return the condition that shows a hold.

    Args:
        what: what is held back, such as `trainings`.
        failed: the run that was refused.
        ends: when the hold ends by itself.
        changes: what ends it before.
    """
    by_itself = "" if ends is None else f", or at {timestamp(ends)} by itself"
    message = (
        f"{what} are held back since {timestamp(failed.time)}, because {failed.name} was refused:"
        f" {failed.message.rstrip('.')}. {changes} ends this{by_itself}; to try again now, set"
        " reco.dev/run-now"
    )
    return Verdict("True", Reason.LAST_RUN_REFUSED, message)


def verdict(failed: FailedRun, then: str) -> Verdict:
    """Return what to show of a bad end whose run is pruned by now, with what happens next."""
    transient = failed.outcome is not RunOutcome.REFUSED
    reason = Reason.TRANSIENT_FAILURE if transient else Reason.EXTERNAL_FAILURE
    return Verdict("False", reason, f"{failed.name}: {failed.message}{then}")


def next_step(failed: FailedRun, *, retry: datetime | None) -> str:
    """Return what happens next after a bad end, to follow the reason in a message."""
    if retry is not None:
        of_all = len(RETRY_DELAYS) + 1
        return (
            f"; it is tried again at {timestamp(retry)} (attempt {failed.attempts + 1} of {of_all})"
        )
    if failed.outcome is RunOutcome.REFUSED:
        return ""
    tried = failed.attempts > len(RETRY_DELAYS)
    what = f"given up after {failed.attempts} attempts" if tried else "not tried again by itself"
    return f"; {what}: to try again, set reco.dev/run-now"


_LONGEST_WAIT = timedelta(minutes=10)


def soonest(
    now: datetime,
    look_again: float | None,
    failures: Iterable[FailedRun],
    *,
    seen: bool,
    due: Iterable[datetime | None],
) -> float | None:
    """Return after how many seconds a scheduled time, a retry or the end of a hold may be due.

    Times that have passed are none to wait for: what they ask for waits for something else.

    Args:
        now: the present time.
        look_again: the seconds after which to look again in any case.
        failures: what is remembered.
        seen: whether a change of all of the data would be seen.
        due: other times, as far as there are any.
    """
    times = [*due, *(hold_ends(failed, seen=seen) for failed in failures)]
    waits = [
        min(time - now, _LONGEST_WAIT).total_seconds()
        for time in times
        if time is not None and time > now
    ]
    return min([*waits, *([] if look_again is None else [look_again])], default=None)
