"""Nothing is there: make the external object, or say why not."""

from reco.api.resource import Resource
from reco.api.vocabulary import FINALIZER, AdoptionPolicy, DriftPolicy, ManagementPolicy, Reason
from reco.api.vocabulary import ConditionType as C
from reco.decide import ownership, pictures, refusals, runs, tags
from reco.decide.conditions import timestamp
from reco.decide.decision import AddFinalizer, CreateExternal, Decision
from reco.decide.model import CLOCK_SKEW, Absent, Desired, Situation, Unsupported, Waiting
from reco.decide.rules import RULES


def decide(situation: Situation, absent: Absent) -> Decision:
    """Decide about a resource whose external object the engine does not have."""
    resource = situation.resource
    desired = situation.desired
    if resource.kind.runs_to_completion and RULES[resource.key.kind].outlives_external:
        finished = resource.condition(C.SUCCEEDED)
        if finished is not None and finished.status == "True":
            return Decision({})
    if isinstance(desired, Waiting):
        return Decision(
            pictures.waiting(situation, desired.reason, desired.message, exists=False),
            status=_forgotten(resource),
        )
    if isinstance(desired, Unsupported):
        return Decision(pictures.rejected(situation, desired.reason, desired.message))
    refused = refusals.standing(situation, desired)
    if refused is not None:
        return refused
    if resource.status.external is not None:
        return _deleted_behind_our_back(situation, desired)
    if runs.came_back(resource):
        message = (
            f"{resource.key} was started before a restore, and the engine has no {desired.name}:"
            " it is not carried out again"
        )
        return Decision(pictures.stuck(situation, Reason.EXTERNAL_DELETED, message))
    if absent.blocked_by is not None:
        return Decision(pictures.stuck(situation, Reason.NAME_CONFLICT, absent.blocked_by))
    spec = resource.spec
    if (
        spec.management_policy is ManagementPolicy.OBSERVE
        or spec.adoption_policy is AdoptionPolicy.ADOPT
    ):
        return Decision(
            pictures.show(
                situation,
                Reason.EXTERNAL_MISSING,
                f"there is no {desired.name}, and the policy is to make none",
                ready="False",
                available="False",
                synced="False",
            )
        )
    return _create(situation, desired, absent)


def _forgotten(resource: Resource) -> dict[str, None]:
    """Return what to clear of the record of an object that is gone, while it can't be made again.

    Nobody must build on it meanwhile. That there was one is remembered where the policy on drift
    has yet to say what to do about it.
    """
    if resource.status.external is None or resource.kind.runs_to_completion:
        return {}
    return {"external": None, "applied": None} if resource.kind.serves else {"applied": None}


def _create(situation: Situation, desired: Desired, absent: Absent) -> Decision:
    resource = situation.resource
    ahead = _intent_ahead(situation)
    if ahead is not None:
        return ahead
    unproved = _unproved_call(situation, absent)
    if unproved is not None:
        wait = unlisted_for(situation) or situation.timing.busy
        return Decision(
            pictures.creating(
                situation, Reason.PENDING, f"{unproved}: looking whether it was carried out"
            ),
            look_again=max(1.0, min(situation.timing.busy, wait)),
        )
    creating = pictures.creating(situation, Reason.CREATING, f"creating {desired.name}")
    to_record = tags.to_record(resource, desired)
    recorded = {} if to_record is None else {"pendingTagKeys": to_record}
    if FINALIZER not in resource.finalizers:
        return Decision(creating, (AddFinalizer(),), {"refusal": None, **recorded}, look_again=0.0)
    if recorded:
        return Decision(creating, (), recorded, look_again=0.0)
    action = CreateExternal(
        desired,
        ownership.wanted_tags(situation, desired) if desired.tags is not None else {},
        record_intent=situation.unproven,
    )
    return Decision(creating, (action,), {"refusal": None}, look_again=situation.timing.busy)


def _intent_ahead(situation: Situation) -> Decision | None:
    """Return what to do about an intent that a clock which was ahead wrote down, else None.

    It would be waited for until then. How old it is nobody knows, so its time starts anew.
    """
    intent = situation.resource.status.intent
    if intent is None or intent.time <= situation.now + CLOCK_SKEW:
        return None
    message = f"{intent.operation} was about to be called at a time that is yet to come"
    return Decision(
        pictures.creating(situation, Reason.PENDING, f"{message}: looking whether it was"),
        status={"intent": {**intent.manifest(), "time": timestamp(situation.now)}},
        look_again=situation.timing.busy,
    )


def _unproved_call(situation: Situation, absent: Absent) -> str | None:
    """Return which call may have made the object that no list shows yet, or None."""
    intent = situation.resource.status.intent
    if not situation.unproven:
        return None
    if intent is not None and (not absent.settled or unlisted_for(situation) > 0):
        return f"{intent.operation} was about to be called at {timestamp(intent.time)}"
    if situation.repeatable and not absent.settled:
        return "a call about this name was made a moment ago"
    return None


def unlisted_for(situation: Situation) -> float:
    """Return the seconds for which lists may still not show what the recorded intent led to."""
    intent = situation.resource.status.intent
    if intent is None:
        return 0.0
    age: float = (situation.now - intent.time).total_seconds()
    return max(0.0, situation.timing.settle - age)


def _deleted_behind_our_back(situation: Situation, desired: Desired) -> Decision:
    resource = situation.resource
    name = resource.status.external.name or desired.name
    message = f"{name} was deleted by somebody else"
    if resource.kind.runs_to_completion:
        return Decision(
            pictures.stuck(situation, Reason.EXTERNAL_DELETED, f"{message}: make a new one")
        )
    spec = resource.spec
    if spec.drift_policy is DriftPolicy.CORRECT and (
        spec.management_policy is ManagementPolicy.MANAGE
    ):
        return Decision(
            pictures.show(
                situation,
                Reason.EXTERNAL_DELETED,
                f"{message}; making it again",
                ready="False",
                available="False",
                synced="False",
                reconciling=True,
            ),
            (),
            {"external": None, "applied": None, "refusal": None},
            look_again=0.0,
        )
    return Decision(
        pictures.stuck(
            situation,
            Reason.EXTERNAL_DELETED,
            f"{message}, and spec.driftPolicy is '{spec.drift_policy.value}': set it to 'Correct'"
            " to make it again",
            available="False",
        )
    )
