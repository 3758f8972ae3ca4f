"""The lifecycle that all kinds with an external object share.

Create, adopt, observe only, update what can be changed, report what can't, repair drift by policy,
pause, and never try again for money what failed with the same input. One look leads to at most one
mutating call; the next look starts from what the engine then says.
"""

from dataclasses import replace
from typing import Any

from reco.api.vocabulary import (
    FINALIZER,
    ConditionType,
    ManagementPolicy,
    Reason,
)
from reco.decide import (
    absent,
    deletion,
    failures,
    forgetting,
    ownership,
    pictures,
    placement,
    present,
    refusals,
)
from reco.decide.decision import Decision, Keep, Verdict
from reco.decide.model import Absent, Failure, NotAsked, Observed, Situation, Waiting
from reco.decide.requests import pause_reason, token
from reco.decide.rules import RULES


def decide(situation: Situation) -> Decision:
    """Decide about one resource that stands for an external object."""
    if situation.resource.deleted is not None:
        return deletion.decide(situation)
    decision = _live(situation)
    reason = pause_reason(situation)
    if reason is not None:
        decision = Decision(
            pictures.paused(decision.conditions, reason),
            status={**decision.status, "refusal": refusals.kept(situation)},
        )
    if situation.resource.kind.runs_to_completion:
        conditions = pictures.of_job(situation.resource, decision.conditions)
        decision = replace(decision, conditions=conditions)
    return replace(decision, status=_shared_status(situation) | dict(decision.status))


def _shared_status(situation: Situation) -> dict[str, Any]:
    status: dict[str, Any] = {}
    asked = token(situation.resource)
    if asked is not None:
        status["lastHandledReconcileAt"] = asked
    if situation.engine is not None:
        status["engineClassName"] = situation.engine.class_name
    return status


def _live(situation: Situation) -> Decision:
    resource = situation.resource
    rules = RULES[resource.key.kind]
    if resource.problem is not None:
        return Decision(pictures.rejected(situation, Reason.INVALID_SPEC, resource.problem))
    problem = rules.problem(resource)
    if problem is not None:
        return Decision(pictures.rejected(situation, Reason.INVALID_SPEC, problem))
    moved = _moved_engine(situation)
    if moved is not None:
        return Decision(pictures.stuck(situation, Reason.ENGINE_MISMATCH, moved))
    if situation.barred is not None:
        return forgetting.refused(situation, situation.barred)
    observation = situation.observation
    match observation:
        case NotAsked():
            return _unasked(situation)
        case Failure():
            return failures.decide(situation, observation)
        case Absent():
            return rules.instead(situation) or absent.decide(situation, observation)
        case Observed() if _without_its_parent(situation):
            return _unasked(situation)
        case Observed():
            return _present(situation, observation)


def _present(situation: Situation, observed: Observed) -> Decision:
    decision = present.decide(situation, observed)
    if pause_reason(situation) is not None or not _in_charge(situation, observed):
        return decision
    return RULES[situation.resource.key.kind].orchestrate(situation, decision)


def _unasked(situation: Situation) -> Decision:
    """Show that no engine could be asked: what was made is still there for all we know."""
    wish = situation.desired
    waiting = wish if isinstance(wish, Waiting) else Waiting("no engine was asked")
    exists = situation.resource.status.external is not None
    conditions = pictures.waiting(situation, waiting.reason, waiting.message, exists=exists)
    if situation.resource.kind.serves:
        unknown = Verdict("Unknown" if exists else "False", waiting.reason, waiting.message)
        conditions[ConditionType.AVAILABLE] = Keep(unknown)
    return Decision(conditions)


def _without_its_parent(situation: Situation) -> bool:
    """Whether what was found may be of the right name and in somebody else's parent."""
    resource = situation.resource
    return (
        resource.kind.lives_in_parent
        and resource.status.external is None
        and isinstance(situation.desired, Waiting)
    )


def _in_charge(situation: Situation, observed: Observed) -> bool:
    """Whether an external object is this resource's to build on, and held or only observed."""
    resource = situation.resource
    if resource.spec.management_policy is ManagementPolicy.OBSERVE:
        return True
    return FINALIZER in resource.finalizers and ownership.foreign(situation, observed) is None


def _moved_engine(situation: Situation) -> str | None:
    recorded = situation.resource.status.external
    return placement.moved(recorded.name if recorded else None, recorded, situation.engine)
