"""Something is there: take charge of it, and follow what it is doing."""

from dataclasses import replace
from typing import Any

from reco.api.vocabulary import FINALIZER, ManagementPolicy, Reason
from reco.decide import drift, forgetting, names, ownership, pictures, refusals, tenancy
from reco.decide.conditions import timestamp
from reco.decide.decision import (
    AddFinalizer,
    Decision,
    DeleteExternal,
    EngineAction,
    TagExternal,
    UpdateExternal,
)
from reco.decide.model import Desired, Observed, Situation, State
from reco.decide.rules import RULES


def decide(situation: Situation, observed: Observed) -> Decision:
    """Decide about a resource whose external object was found."""
    resource = situation.resource
    rules = RULES[resource.key.kind]
    observe_only = resource.spec.management_policy is ManagementPolicy.OBSERVE
    if observe_only:
        refusal = tenancy.may_not_observe(situation, observed)
        if refusal is not None:
            return forgetting.refused(situation, refusal)
    else:
        foreign = ownership.foreign(situation, observed)
        if foreign is not None:
            return Decision(
                pictures.stuck(situation, foreign.reason, foreign.message),
                status=forgetting.lost(situation),
            )
        if FINALIZER not in resource.finalizers:
            return Decision(
                pictures.creating(situation, Reason.PENDING, f"taking charge of {observed.name}"),
                (AddFinalizer(),),
                look_again=0.0,
            )
        if _found_by_an_earlier_spec(situation, observed):
            return Decision(
                pictures.creating(
                    situation, Reason.PENDING, "the spec has changed: looking what it speaks of now"
                ),
                status={"external": None, "intent": None},
                look_again=0.0,
            )
    # Of what could be made twice the intent stays: it says when lists are sure to show the first.
    decision = _instead(situation, observed) or _by_state(situation, observed)
    # Until it was once in sync the intent proves that what takes no tags was made for us.
    settled = resource.kind.runs_to_completion or decision.status.get("applied") is not None
    status = {
        "external": _external_record(observed),
        **({"intent": None} if settled and not situation.repeatable else {}),
        **rules.details(situation, observed),
    }
    if observe_only:
        decision = replace(
            decision,
            actions=tuple(a for a in decision.actions if not isinstance(a, EngineAction)),
        )
    return replace(decision, status=status | dict(decision.status))


def _instead(situation: Situation, observed: Observed) -> Decision | None:
    """Return the kind's own decision, if it has one; it acts on what carries our marks only."""
    decision = RULES[situation.resource.key.kind].instead(situation)
    if decision is None or not decision.actions or observed.tags is None:
        return decision
    marks = names.ownership_tags(situation.resource, situation.identity.cluster)
    missing = {key: value for key, value in marks.items() if observed.tags.get(key) != value}
    return replace(decision, actions=(TagExternal(observed, missing),)) if missing else decision


def _found_by_an_earlier_spec(situation: Situation, observed: Observed) -> bool:
    """Whether another object may be meant now: this one was found, and never was as wanted."""
    resource, desired = situation.resource, situation.desired
    status = resource.status
    marks_known = isinstance(desired, Desired) and (
        observed.tags is not None or desired.tags is None
    )
    return (
        marks_known
        and status.external is not None
        and status.applied is None
        and status.observed_generation != resource.generation
        and not resource.kind.runs_to_completion
        and not ownership.provably_ours(situation, observed)
    )


def _external_record(observed: Observed) -> dict[str, Any]:
    """Return how an external object is recorded in a status."""
    record = {
        "name": observed.name,
        "arn": observed.id,
        "account": observed.account,
        "region": observed.region,
        "creationTime": timestamp(observed.created),
    }
    return {key: value for key, value in record.items() if value is not None}


def _by_state(situation: Situation, observed: Observed) -> Decision:
    resource = situation.resource
    rules = RULES[resource.key.kind]
    job = resource.kind.runs_to_completion
    match observed.state:
        case State.CREATING if job:
            return Decision(
                pictures.creating(
                    situation, Reason.QUEUED, observed.doing or "waits for the engine"
                )
            )
        case State.CREATING | State.RUNNING:
            return Decision(
                pictures.creating(
                    situation,
                    rules.moving,
                    observed.doing or f"the engine works on {observed.name}",
                ),
                drift.meanwhile(situation, observed),
            )
        case State.STOPPING | State.STOPPED:
            return Decision(
                pictures.stuck(situation, Reason.STOPPED, f"{observed.name} was stopped")
            )
        case State.DELETING:
            return Decision(
                pictures.show(
                    situation,
                    Reason.EXTERNAL_DELETED,
                    f"{observed.name} is being deleted",
                    ready="False",
                    available="False",
                    synced="False",
                    reconciling=True,
                ),
                look_again=situation.timing.busy,
            )
        case State.FAILED:
            return _failed(situation, observed)
        case State.ACTIVE if job:
            return Decision(
                pictures.in_sync(situation, f"made {timestamp(observed.created)}", rules.done)
            )
        case State.ACTIVE:
            return drift.decide(situation, observed)


def _failed(situation: Situation, observed: Observed) -> Decision:
    message = observed.failure or f"{observed.name} failed, and the engine gave no reason"
    desired = situation.desired
    resource = situation.resource
    if resource.kind.runs_to_completion:
        reason = Reason.EXTERNAL_FAILURE if observed.refused else Reason.TRANSIENT_FAILURE
        return Decision(pictures.stuck(situation, reason, message))
    failed = pictures.stuck(situation, Reason.EXTERNAL_FAILURE, message, available="False")
    if not isinstance(desired, Desired):
        return Decision(failed)
    if not ownership.provably_ours(situation, observed):
        return Decision(failed)  # another's, under a mistyped name, is not deleted to be made anew
    record = refusals.record(desired, Reason.EXTERNAL_FAILURE, message)
    if resource.status.refusal is None:
        return Decision(failed, status={"refusal": record})
    if refusals.standing(situation, desired) is not None:
        return Decision(failed, status={"refusal": refusals.kept(situation)})
    again = pictures.creating(situation, Reason.CREATING, f"tried again; before: {message}")
    fields = {key: desired.fields[key] for key in desired.mutable & desired.fields.keys()}
    # What can be changed as a whole is never deleted to be made anew: it may hold data.
    if fields and fields == desired.fields:
        return Decision(
            again,
            (UpdateExternal(observed, fields, desired),),
            {"refusal": record},
            look_again=situation.timing.busy,
        )
    return Decision(
        again,
        (DeleteExternal(observed),),
        {"external": None, "applied": None, "refusal": None},
        look_again=situation.timing.busy,
    )
