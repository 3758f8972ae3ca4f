"""Pictures: what a status shows in each situation, as one table of conditions.

Every condition is set here and nowhere else, so no two code paths can disagree about one. The rows
follow the state table in `docs/architecture.md`.
"""

from collections.abc import Mapping

from reco.api.resource import Resource
from reco.api.vocabulary import ConditionType as C
from reco.api.vocabulary import Reason
from reco.decide.decision import Keep, Verdict
from reco.decide.model import Situation

Conditions = dict[C, Verdict | Keep]

ACCEPTED = Verdict("True", Reason.ACCEPTED)
FOUND = Verdict("True", Reason.FOUND)


def show(
    situation: Situation,
    reason: Reason,
    message: str,
    *,
    ready: str | None,
    synced: str | None,
    available: str | None = None,
    reconciling: bool = False,
    stalled: bool = False,
    accepted: Verdict | Keep = ACCEPTED,
    dependencies: Verdict | None = FOUND,
    extra: Mapping[C, Verdict | Keep] | None = None,
) -> Conditions:
    """Return the conditions of one picture.

    Args:
        situation: whose status it is.
        reason: why Ready is what it is; the other conditions share it.
        message: the same in words.
        ready: `True`, `False`, `Unknown`; None keeps what was shown before.
        synced: likewise.
        available: likewise; only for kinds that serve.
        reconciling: whether a change of the spec or a repair is under way.
        stalled: whether only a person, or a change from outside, can help.
        accepted: what to say of the spec.
        dependencies: what to say of references; None keeps what was shown before.
        extra: further conditions, which win.
    """
    verdict = Verdict("True", reason, message)
    kind = situation.resource.kind
    conditions: Conditions = {
        C.READY: _say(ready, reason, message),
        C.SYNCED: _say(synced, reason, message),
        C.ACCEPTED: accepted,
        C.DEPENDENCIES_READY: dependencies or Keep(Verdict("Unknown", reason, message)),
    }
    if kind.runs_to_completion:
        if situation.resource.is_true(C.SUCCEEDED) and reason not in _UNDOING:
            conditions[C.READY] = Keep(verdict)
            stalled = False
        conditions[C.SUCCEEDED] = conditions[C.READY]
    if kind.serves:
        conditions[C.AVAILABLE] = _say(available, reason, message, otherwise="False")
    if reconciling:
        conditions[C.RECONCILING] = verdict
    if stalled:
        conditions[C.STALLED] = verdict
    return conditions | dict(extra or {})


_UNDOING = frozenset({Reason.DELETING, Reason.EXTERNAL_DELETED})
"""Reasons for which a run that has succeeded is of no use any more: no other trouble undoes it."""


def _say(
    status: str | None, reason: Reason, message: str, otherwise: str = "Unknown"
) -> Verdict | Keep:
    if status is None:
        return Keep(Verdict(otherwise, reason, message))
    return Verdict(status, reason, message)


def spec_driven(situation: Situation) -> bool:
    """Whether the spec has changed since the external object was last in sync."""
    applied = situation.resource.status.applied
    return applied is None or applied.generation != situation.resource.generation


def creating(situation: Situation, reason: Reason, message: str) -> Conditions:
    """The engine is making the object, or is about to."""
    if situation.resource.kind.runs_to_completion:
        return show(situation, reason, message, ready="Unknown", synced="True")
    return show(
        situation,
        reason,
        message,
        ready="Unknown",
        available="False",
        synced="False",
        reconciling=True,
    )


def in_sync(
    situation: Situation,
    message: str,
    reason: Reason = Reason.IN_SYNC,
    extra: Mapping[C, Verdict | Keep] | None = None,
) -> Conditions:
    """Everything is as the spec wants it."""
    return show(
        situation, reason, message, ready="True", available="True", synced="True", extra=extra
    )


def waiting(situation: Situation, reason: Reason, message: str, *, exists: bool) -> Conditions:
    """Something that the spec refers to is missing. What exists already goes on serving.

    What was in sync with this spec stays Ready: nothing is being carried out that waits.
    """
    wants_more = not exists or spec_driven(situation)
    return show(
        situation,
        reason,
        message,
        ready=None if not wants_more and situation.resource.is_true(C.READY) else "False",
        available="True" if exists else "False",
        synced="Unknown",
        reconciling=wants_more and not situation.resource.kind.runs_to_completion,
        dependencies=Verdict("False", reason, message),
        extra=(
            {C.SUCCEEDED: Verdict("Unknown", reason, message)}
            if situation.resource.kind.runs_to_completion and not exists
            else None
        ),
    )


def rejected(situation: Situation, reason: Reason, message: str) -> Conditions:
    """The spec is invalid, or the engine has no such thing."""
    return show(
        situation,
        reason,
        message,
        ready="False",
        synced="False",
        stalled=True,
        accepted=Verdict("False", reason, message),
        dependencies=None,
    )


def stuck(
    situation: Situation,
    reason: Reason,
    message: str,
    *,
    available: str | None = None,
    extra: Mapping[C, Verdict | Keep] | None = None,
) -> Conditions:
    """Only a person, or a change from outside, can help."""
    return show(
        situation,
        reason,
        message,
        ready="False",
        available=available,
        synced="False",
        stalled=True,
        extra=extra,
    )


def updating(situation: Situation, message: str, *, spec_driven: bool) -> Conditions:
    """The object is being changed in place and serves as before meanwhile.

    Only a change of the spec, or a repair, takes Ready away: moving to a newly trained version is
    scheduled work.
    """
    if spec_driven:
        return show(
            situation,
            Reason.OUT_OF_SYNC,
            message,
            ready="Unknown",
            available="True",
            synced="False",
            reconciling=True,
        )
    return _serving_as_before(situation, Reason.OUT_OF_SYNC, message)


def update_failed(situation: Situation, message: str, *, spec_driven: bool) -> Conditions:
    """A change in place failed; what was there before serves on."""
    if spec_driven:
        return stuck(situation, Reason.EXTERNAL_FAILURE, message, available="True")
    return _serving_as_before(situation, Reason.EXTERNAL_FAILURE, message)


def _serving_as_before(situation: Situation, reason: Reason, message: str) -> Conditions:
    return show(
        situation,
        reason,
        message,
        ready="True",
        available="True",
        synced="False",
        extra={C.READY: Verdict("True", Reason.IN_SYNC, message)},
    )


def drifted(situation: Situation, message: str) -> Conditions:
    """Somebody changed the object, and the policy is to say so and leave it."""
    return _serving_as_before(situation, Reason.OUT_OF_SYNC, message) | {
        C.DRIFTED: Verdict("True", Reason.DRIFTED, message)
    }


def deleting(
    situation: Situation, message: str, *, blocked: str | None = None, reason: Reason | None = None
) -> Conditions:
    """The resource is going; `blocked` says what has to go first."""
    conditions = show(
        situation,
        Reason.DELETING,
        message,
        ready="False",
        available="False" if blocked is None else None,
        synced="Unknown",
        reconciling=blocked is None,
        accepted=Keep(Verdict("Unknown", Reason.DELETING, message)),
        dependencies=None,
    )
    if situation.resource.kind.runs_to_completion:
        # What has ended stays so: a version that can't go yet must not look like a training.
        conditions[C.SUCCEEDED] = Keep(Verdict("Unknown", Reason.DELETING, message))
    if blocked is not None:
        conditions[C.DELETION_BLOCKED] = Verdict("True", reason or Reason.DEPENDENTS_EXIST, blocked)
    return conditions


def paused(conditions: Mapping[C, Verdict | Keep], message: str) -> Conditions:
    """A person said to leave the resource alone: Ready stays, the rest is still observed."""
    pending = Verdict("Unknown", Reason.PAUSED, message)
    succeeded = conditions.get(C.SUCCEEDED)
    ended = isinstance(succeeded, Verdict) and succeeded.status == "False"
    busy = {C.RECONCILING} if ended else _BUSY  # a run that has failed has done so for good
    return {
        **{key: value for key, value in conditions.items() if key not in busy},
        C.READY: Keep(pending),
        C.PAUSED: Verdict("True", Reason.PAUSED, message),
    }


_BUSY = frozenset({C.RECONCILING, C.STALLED})


def of_job(resource: Resource, conditions: Mapping[C, Verdict | Keep]) -> Conditions:
    """Derive a job's Ready from how it has ended, whatever was shown before.

    While it runs, or waits, Ready says what the decision says.
    """
    succeeded = conditions.get(C.SUCCEEDED)
    before = resource.condition(C.SUCCEEDED)
    if not isinstance(succeeded, Verdict) and before is not None and before.reason in _REASONS:
        succeeded = Verdict(before.status, Reason(before.reason), before.message)
    if not isinstance(succeeded, Verdict) or succeeded.status == "Unknown":
        return dict(conditions)
    return {**conditions, C.READY: succeeded}


_REASONS = frozenset(reason.value for reason in Reason)
