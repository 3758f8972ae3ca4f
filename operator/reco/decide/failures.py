"""Failures: what each class of engine error means for a status, and when to try again."""

from dataclasses import replace

from reco.api.resource import Resource
from reco.api.vocabulary import GROUP, Reason
from reco.api.vocabulary import ConditionType as C
from reco.decide import pictures, refusals
from reco.decide.decision import CreateExternal, Decision, Keep, UpdateExternal, Verdict
from reco.decide.model import Desired, ErrorClass, Failure, Situation

DENIED_BEFORE_STALLED = 3
"""Refused looks in a row before a resource is shown as stalled: a role may still be spreading."""


MISSING_BEFORE_INVALID = 5
"""Calls in a row that name what the engine does not have, before the spec is blamed: a parent may
be on its way out, or so new that not all of the engine knows it. With backoff, half a minute."""


def decide(situation: Situation, failure: Failure, action: object = None) -> Decision:
    """Return what to show and when to try again after the engine failed a call.

    Args:
        situation: the resource it was about.
        failure: the engine's error, classed.
        action: the action that failed; None when it was the look itself.
    """
    if situation.resource.deleted is not None:
        return _while_deleting(situation, failure)
    decision = _show(situation, failure, action)
    refused_for_sure = isinstance(action, CreateExternal) and not (
        failure.outcome_unknown or failure.error_class is ErrorClass.EXISTS
    )
    if refused_for_sure and situation.resource.status.intent is not None:
        return Decision(
            decision.conditions,
            decision.actions,
            {**decision.status, "intent": None},
            decision.look_again,
            decision.retry,
        )
    return decision


def status_refused(resource: Resource, error: str) -> Decision:
    """Return what little to show of a resource whose status the API server refuses."""
    verdict = Verdict(
        "False",
        Reason.STATUS_REFUSED,
        f"the API server refuses what is to be written: {error}; until it accepts it, nothing is"
        " asked of the engine: install the CRDs of this operator; where they are, report a bug",
    )
    conditions: pictures.Conditions = {C.READY: replace(verdict, status="Unknown")}
    if resource.kind.external:
        conditions[C.SYNCED] = verdict
    if not resource.is_true(C.SUCCEEDED):
        conditions[C.STALLED] = replace(verdict, status="True")
    if resource.kind.runs_to_completion:
        conditions = pictures.of_job(resource, conditions)
    return Decision(conditions, retry=True)


def intent_lost(situation: Situation) -> Decision:
    """Return what to show after an intent did not stay in the status that the API server keeps.

    The call is not made: after a crash nobody would know of it, and it would be paid twice.
    """
    kind = situation.resource.kind
    return Decision(
        pictures.show(
            situation,
            Reason.CRD_OUTDATED,
            f"the API server does not keep status.intent of a {kind.name}, and Create{kind.name} is"
            f" not called without: CRD {kind.plural}.{GROUP} is older than this operator; install"
            " the CRDs of this operator",
            ready="Unknown",
            available="False",
            synced="False",
            stalled=True,
        ),
        look_again=situation.timing.denied,
    )


def shows_refused_status(resource: Resource) -> bool:
    """Whether the API server has refused a resource's status, and has accepted none since."""
    return any(
        condition.reason == Reason.STATUS_REFUSED for condition in resource.status.conditions
    )


def _show(situation: Situation, failure: Failure, action: object) -> Decision:
    message = failure.message
    timing = situation.timing
    match failure.error_class:
        case ErrorClass.INVALID if action is not None:
            return _refused(situation, failure)
        case ErrorClass.NOT_FOUND if isinstance(action, CreateExternal | UpdateExternal):
            return _missing(situation, failure)
        case ErrorClass.ACCESS_DENIED:
            return _denied(situation, failure)
        case ErrorClass.QUOTA_WAIT:
            return Decision(
                _held_up(situation, Reason.AWAITING_QUOTA, f"{message} It is tried again."),
                look_again=timing.quota,
            )
        case ErrorClass.QUOTA_EXHAUSTED if situation.resource.kind.runs_to_completion:
            # Nothing has been tried yet, so nothing has failed.
            return Decision(
                _held_up(
                    situation,
                    Reason.AWAITING_QUOTA,
                    f"{message} Delete something or have the quota raised.",
                ),
                look_again=timing.denied,
            )
        case ErrorClass.QUOTA_EXHAUSTED:
            return Decision(
                pictures.stuck(
                    situation,
                    Reason.AWAITING_QUOTA,
                    f"{message} Delete something or have the quota raised.",
                ),
                look_again=timing.denied,
            )
        case ErrorClass.CONFLICT:
            return Decision(
                _held_up(situation, Reason.OUT_OF_SYNC, f"the engine is busy: {message}"),
                look_again=timing.busy,
                retry=True,
            )
        case ErrorClass.EXISTS:
            return Decision(
                _held_up(situation, Reason.CREATING, f"looking whose it is: {message}"),
                retry=True,
            )
        case ErrorClass.THROTTLED | ErrorClass.TRANSIENT | ErrorClass.NOT_FOUND:
            return Decision(_held_up(situation, Reason.THROTTLED, message), retry=True)
        case _:
            return Decision(_held_up(situation, Reason.EXTERNAL_FAILURE, message), retry=True)


def _held_up(situation: Situation, reason: Reason, message: str) -> pictures.Conditions:
    """Show a trouble that passes: what was Ready and Available stays so."""
    return pictures.show(
        situation,
        reason,
        message,
        ready=None,
        synced="Unknown",
        reconciling=pictures.spec_driven(situation)
        and not situation.resource.kind.runs_to_completion,
        dependencies=None,
        accepted=_keep_accepted(reason, message),
    )


def _keep_accepted(reason: Reason, message: str) -> Keep:
    return Keep(Verdict("Unknown", reason, message))


def _refused(
    situation: Situation, failure: Failure, of_job: Reason = Reason.EXTERNAL_FAILURE
) -> Decision:
    """Show a call that the engine will refuse again until something is changed."""
    job = situation.resource.kind.runs_to_completion
    reason = of_job if job else Reason.INVALID_SPEC
    desired = situation.desired
    refusal = (
        refusals.record(desired, reason, failure.message) if isinstance(desired, Desired) else None
    )
    conditions = (
        pictures.stuck(situation, reason, failure.message)
        if job
        else pictures.rejected(situation, reason, failure.message)
    )
    return Decision(conditions, status={"refusal": refusal})


def _missing(situation: Situation, failure: Failure) -> Decision:
    """Show that a call names what the engine does not have: soon, that is the spec's fault.

    What can't be paid twice is tried again now and then: what is missing may come.
    """
    before = situation.resource.condition(C.STALLED)
    blamed = before is not None and before.reason == Reason.INVALID_SPEC
    if situation.failures < MISSING_BEFORE_INVALID and not blamed:
        message = f"the engine lacks what the call names: {failure.message}"
        return Decision(_held_up(situation, Reason.CREATING, message), retry=True)
    if situation.resource.kind.runs_to_completion:
        # What is missing may come, so that the same spec may do.
        return _refused(situation, failure, Reason.TRANSIENT_FAILURE)
    message = f"{failure.message} What the spec names is not there: correct it, or make that first."
    return Decision(
        pictures.rejected(situation, Reason.INVALID_SPEC, message),
        look_again=situation.timing.denied,
    )


def _denied(situation: Situation, failure: Failure) -> Decision:
    serves = situation.resource.is_true(C.AVAILABLE)
    # A run that can't be seen has not failed: it may be under way.
    otherwise = "Unknown" if situation.resource.kind.runs_to_completion else "False"
    before = situation.resource.condition(C.STALLED)
    stalled = situation.failures >= DENIED_BEFORE_STALLED or (
        before is not None and before.reason == Reason.ACCESS_DENIED
    )
    verdict = Verdict("False", Reason.ACCESS_DENIED, failure.message)
    return Decision(
        pictures.show(
            situation,
            Reason.ACCESS_DENIED,
            failure.message,
            ready=None if serves else otherwise,
            synced="Unknown",
            stalled=stalled,
            dependencies=None,
            extra={C.CREDENTIALS_VALID: verdict},
        ),
        look_again=situation.timing.denied,
        retry=not stalled,
    )


def _while_deleting(situation: Situation, failure: Failure) -> Decision:
    timing = situation.timing
    match failure.error_class:
        case ErrorClass.CONFLICT:
            reason, wait = Reason.DEPENDENTS_EXIST, timing.busy
        case ErrorClass.ACCESS_DENIED:
            reason, wait = Reason.ACCESS_DENIED, timing.denied
        case ErrorClass.THROTTLED | ErrorClass.TRANSIENT | ErrorClass.NOT_FOUND:
            return Decision(
                pictures.deleting(situation, f"tried again: {failure.message}"), retry=True
            )
        case _:
            reason, wait = Reason.EXTERNAL_FAILURE, timing.denied
    return Decision(
        pictures.deleting(
            situation,
            "the external object could not be deleted yet",
            blocked=f"{failure.message} To leave it behind, set spec.deletionPolicy to 'Retain'.",
            reason=reason,
        ),
        look_again=wait,
        retry=failure.error_class is ErrorClass.CONFLICT,
    )
