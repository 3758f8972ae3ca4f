"""EngineClass: whether an engine lets us in, what it offers, and when the class may go."""

from collections.abc import Sequence
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import FINALIZER, Reason
from reco.api.vocabulary import ConditionType as C
from reco.decide.decision import Action, AddFinalizer, Decision, RemoveFinalizer, Verdict
from reco.decide.model import ErrorClass, Failure, Timing
from reco.decide.pictures import Conditions

_SHOWN = 5


def decide(
    resource: Resource,
    *,
    offered: tuple[Sequence[str], Sequence[str]] | Failure | str,
    users: Sequence[Resource],
    timing: Timing,
) -> Decision:
    """Decide about one EngineClass.

    Args:
        resource: the class.
        offered: features and recipes of the engine; its failure; or why there is no engine.
        users: the resources that name the class.
        timing: the periods of decisions.
    """
    if resource.deleted is not None:
        return _deleting(resource, users)
    actions: tuple[Action, ...] = () if FINALIZER in resource.finalizers else (AddFinalizer(),)
    if isinstance(offered, str):
        return Decision(_conditions("False", Reason.INVALID_SPEC, offered, stalled=True), actions)
    if isinstance(offered, Failure):
        return _failed(offered, actions, timing)
    features, recipes = offered
    status: dict[str, Any] = {
        "supportedFeatures": sorted(features),
        "recipes": sorted(recipes),
    }
    conditions = _conditions("True", Reason.IN_SYNC, f"offers {len(recipes)} recipes")
    return Decision(conditions, actions, status)


def _failed(failure: Failure, actions: tuple[Action, ...], timing: Timing) -> Decision:
    message = failure.message
    if failure.error_class is ErrorClass.ACCESS_DENIED:
        conditions = _conditions("False", Reason.ACCESS_DENIED, message, stalled=True)
        conditions[C.CREDENTIALS_VALID] = Verdict("False", Reason.ACCESS_DENIED, message)
        return Decision(conditions, actions, look_again=timing.denied)
    if failure.error_class is ErrorClass.INVALID:
        conditions = _conditions("False", Reason.INVALID_SPEC, message, stalled=True)
        return Decision(conditions, actions)
    return Decision(_conditions("Unknown", Reason.THROTTLED, message), actions, retry=True)


def _deleting(resource: Resource, users: Sequence[Resource]) -> Decision:
    if FINALIZER not in resource.finalizers:
        return Decision({})
    if not users:
        return Decision({}, (RemoveFinalizer(),))
    names = ", ".join(str(user.key) for user in users[:_SHOWN])
    more = f" and {len(users) - _SHOWN} more" if len(users) > _SHOWN else ""
    message = f"{names}{more} still use this class: delete them first"
    conditions = _conditions("False", Reason.DELETING, message)
    conditions[C.DELETION_BLOCKED] = Verdict("True", Reason.DEPENDENTS_EXIST, message)
    return Decision(conditions)


def _conditions(status: str, reason: Reason, message: str, *, stalled: bool = False) -> Conditions:
    accepted = "False" if stalled and reason is Reason.INVALID_SPEC else "True"
    conditions: Conditions = {
        C.READY: Verdict(status, reason, message),
        C.ACCEPTED: Verdict(accepted, Reason.ACCEPTED if accepted == "True" else reason, message),
    }
    if stalled:
        conditions[C.STALLED] = Verdict("True", reason, message)
    return conditions
