"""Deletion: from a deletionTimestamp to the finalizer's release, dependents first.

The external object is deleted only when it is ours and the policy says so; the finalizer goes only
when the engine has confirmed that the object is gone. `Retain` asks the engine nothing, so it works
with the engine down or the credentials lost. Nothing is ever deleted for being absent from a cache.
"""

from datetime import timedelta

from reco.api.resource import Resource
from reco.api.vocabulary import FINALIZER, DeletionPolicy, ManagementPolicy, Reason
from reco.decide import failures, handover, ownership, pictures, runs
from reco.decide.absent import unlisted_for
from reco.decide.decision import (
    Decision,
    DeleteExternal,
    DeleteResource,
    RecreateResource,
    RemoveFinalizer,
    StopExternal,
)
from reco.decide.model import (
    MOVING,
    Absent,
    EngineView,
    Failure,
    NotAsked,
    Observed,
    Situation,
    State,
    Waiting,
)
from reco.decide.rules import RULES

_SHOWN = 5


def policy(resource: Resource, engine: EngineView | None) -> DeletionPolicy:
    """Return what becomes of the external object: the spec's word, the class's, the kind's."""
    if resource.spec is not None:
        if resource.spec.management_policy is ManagementPolicy.OBSERVE:
            return DeletionPolicy.RETAIN
        if resource.spec.deletion_policy is not None:
            return resource.spec.deletion_policy  # type: ignore[no-any-return]
    if engine is not None and engine.deletion_policy is not None:
        return engine.deletion_policy
    return DeletionPolicy.RETAIN if resource.kind.retained_by_default else DeletionPolicy.DELETE


def class_decides(resource: Resource) -> bool:
    """Whether a resource that is being deleted leaves the policy to its EngineClass."""
    if resource.deleted is None:
        return False
    spec = resource.spec
    return spec is None or (
        spec.management_policy is not ManagementPolicy.OBSERVE and spec.deletion_policy is None
    )


def asks_engine(resource: Resource, engine: EngineView | None) -> bool:
    """Whether deleting this resource needs to know what the engine has."""
    return FINALIZER in resource.finalizers and policy(resource, engine) is DeletionPolicy.DELETE


def decide(situation: Situation) -> Decision:
    """Decide about a resource with a deletionTimestamp.

    What the engine would make twice is let go only once lists are sure to show it: whoever applies
    it again then finds it, instead of paying again. What has ended took longer than lists lag.
    """
    decision = _decide(situation)
    doubtful = situation.repeatable and not runs.finished(situation.resource)
    wait = unlisted_for(situation) if doubtful else 0.0
    if wait <= 0 or RemoveFinalizer() not in decision.actions:
        return decision
    return Decision(
        pictures.deleting(situation, "waits until the engine's lists show what was started"),
        look_again=max(1.0, wait),
    )


def _decide(situation: Situation) -> Decision:
    resource = situation.resource
    if FINALIZER not in resource.finalizers:
        return Decision({})
    first = _first(situation) or _collected(situation) or _served(situation)
    if first is not None:
        return first
    stays = _stays(situation)
    if stays is not None:
        return Decision(
            pictures.deleting(situation, f"the external object is {stays}"), (RemoveFinalizer(),)
        )
    match situation.observation:
        case NotAsked():
            return _without_engine(situation)
        case Failure() as failure:
            return failures.decide(situation, failure)
        case Absent() as absent:
            return _absent(situation, absent)
        case Observed() as observed:
            return _present(situation, observed)


def _first(situation: Situation) -> Decision | None:
    """Return what to do while others have to go first, or None."""
    if situation.dependents:
        blockers = _listed(situation.dependents)
        return Decision(
            pictures.deleting(
                situation,
                f"waits for {blockers}",
                blocked=f"{blockers} still refer to this resource: delete them first",
            ),
        )
    if situation.children:
        live = [child for child in situation.children if child.deleted is None]
        return Decision(
            pictures.deleting(situation, f"waits for {_listed(situation.children)} to be gone"),
            tuple(DeleteResource(child.key, child.uid) for child in live),
        )
    return None


def _served(situation: Situation) -> Decision | None:
    """Return what to show while others can't do without, though they don't name it; or None."""
    holding = RULES[situation.resource.key.kind].held_by(situation)
    if not holding:
        return None
    holders = _listed(holding)
    return Decision(
        pictures.deleting(
            situation,
            f"waits for {holders}",
            blocked=f"{holders} serves it: let it serve another version (spec.version), or delete"
            " it first",
        ),
    )


def _stays(situation: Situation) -> str | None:
    """Return how an external object is kept that is not to be deleted, or None."""
    if policy(situation.resource, situation.engine) is DeletionPolicy.RETAIN:
        return "retained"
    taker = handover.left_to(situation)
    return None if taker is None else f"left to {taker}"


def _collected(situation: Situation) -> Decision | None:
    """Return what to do about a run that garbage collection deletes, and no person; else None.

    After a restore owner references hold UIDs of before. What names such an owner is deleted by
    Kubernetes, but nobody wants it gone: it is made again, under the parent that there is now.
    For a moment it is not there at all. So the parent's status has to tell of it before, or the
    parent would take what the run was started for as not done. Without a parent the run is let go
    and nothing in the engine is touched.
    """
    run, parent = situation.resource, situation.parent
    if not runs.collected(run, parent):
        return None
    message = "its owner is of before a restore: the external object is retained"
    if parent is None or parent.deleted is not None or run.spec is None:
        return Decision(pictures.deleting(situation, message), (RemoveFinalizer(),))
    if not runs.told_by(parent, run) and not _waited_long(situation):
        waits = f"{message}; it is made again once the status of {parent.key} tells of it"
        wait = _PARENT_TELLS_WITHIN.total_seconds()
        return Decision(pictures.deleting(situation, waits), look_again=wait)
    return Decision(
        pictures.deleting(situation, f"{message}, and the resource is made again"),
        (RecreateResource(runs.remade(run, parent)),),
    )


_PARENT_TELLS_WITHIN = timedelta(minutes=10)
"""How long a run waits for its parent's status. A parent that is not in charge of its external
object by then, for want of a Schema, say, starts nothing either."""


def _waited_long(situation: Situation) -> bool:
    deleted = situation.resource.deleted
    return deleted is not None and situation.now - deleted >= _PARENT_TELLS_WITHIN


def _without_engine(situation: Situation) -> Decision:
    status = situation.resource.status
    if status.external is None and status.intent is None:
        return Decision(pictures.deleting(situation, "nothing was ever made"), (RemoveFinalizer(),))
    return Decision(
        pictures.deleting(
            situation,
            "the external object can't be reached",
            blocked=(
                f"EngineClass {status.engine_class_name} can't be used{_why(situation)}: mend it,"
                " or set spec.deletionPolicy to 'Retain'"
            ),
            reason=Reason.AWAITING_DEPENDENCY,
        )
    )


def _why(situation: Situation) -> str:
    return f" ({situation.desired.message})" if isinstance(situation.desired, Waiting) else ""


def _absent(situation: Situation, absent: Absent) -> Decision:
    if absent.settled:
        return _gone(situation)
    return Decision(
        pictures.deleting(situation, "making sure that nothing was started"),
        look_again=situation.timing.busy,
    )


def _gone(situation: Situation) -> Decision:
    return Decision(pictures.deleting(situation, "gone"), (RemoveFinalizer(),))


def _present(situation: Situation, observed: Observed) -> Decision:
    rules = RULES[situation.resource.key.kind]
    if ownership.foreign(situation, observed) is not None:
        return _gone(situation)
    if not ownership.provably_ours(situation, observed):
        return Decision(
            pictures.deleting(
                situation, f"{observed.name} is left alone: nothing proves that it is this one's"
            ),
            (RemoveFinalizer(),),
        )
    wait = Decision(
        pictures.deleting(situation, f"{observed.name} is {observed.state.value.lower()}"),
        look_again=situation.timing.busy,
    )
    if observed.state is State.DELETING or observed.state is State.STOPPING:
        return wait
    if rules.stoppable and observed.state in MOVING:
        return Decision(
            pictures.deleting(situation, f"stopping {observed.name}"),
            (StopExternal(observed),),
            look_again=situation.timing.busy,
        )
    if situation.goes_with_parent:
        return _gone(situation)
    if observed.state in MOVING:
        return wait
    return Decision(
        pictures.deleting(situation, f"deleting {observed.name}"),
        (DeleteExternal(observed),),
        look_again=situation.timing.busy,
    )


def _listed(resources: object) -> str:
    keys = [str(resource.key) for resource in resources]  # type: ignore[attr-defined]
    more = f" and {len(keys) - _SHOWN} more" if len(keys) > _SHOWN else ""
    return ", ".join(keys[:_SHOWN]) + more
