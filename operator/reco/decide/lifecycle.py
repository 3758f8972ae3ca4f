"""The lifecycle that all kinds with an external object share.

Create, adopt, observe only, update what can be changed, report what can't, repair drift by policy,
pause, and never try again for money what failed with the same input. One look leads to at most one
mutating call; the next look starts from what the engine then says.
"""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from reco.api.vocabulary import (
    ANNOTATION_PAUSED,
    ANNOTATION_RECONCILE,
    FINALIZER,
    AdoptionPolicy,
    DriftPolicy,
    ManagementPolicy,
    Reason,
)
from reco.api.vocabulary import ConditionType as C
from reco.decide import deletion, failures, names, ownership, pictures
from reco.decide.conditions import timestamp
from reco.decide.model import (
    MOVING,
    Absent,
    Action,
    AddFinalizer,
    CreateExternal,
    Decision,
    DeleteExternal,
    Desired,
    EngineAction,
    Failure,
    Observed,
    Situation,
    State,
    TagExternal,
    Unsupported,
    Update,
    UpdateExternal,
    Verdict,
    Waiting,
)
from reco.decide.rules import RULES


def decide(situation: Situation) -> Decision:
    """Decide about one resource that stands for an external object."""
    if situation.resource.deleted is not None:
        if isinstance(situation.observation, Failure):
            return failures.decide(situation, situation.observation)
        return deletion.decide(situation)
    decision = _live(situation)
    reason = pause_reason(situation)
    if reason is not None:
        decision = Decision(
            pictures.paused(decision.conditions, reason),
            status={**decision.status, "refusal": _kept_refusal(situation)},
        )
    return replace(decision, status=_shared_status(situation) | dict(decision.status))


def pause_reason(situation: Situation) -> str | None:
    """Return why a resource is to be left alone, or None."""
    resource = situation.resource
    if resource.spec is not None and resource.spec.suspend:
        return "spec.suspend is true"
    value = resource.annotations.get(ANNOTATION_PAUSED, "false")
    if value in {"", "false"}:
        return None
    if value == "true":
        return f"annotation {ANNOTATION_PAUSED} is set"
    return None if value <= timestamp(situation.now) else f"annotation {ANNOTATION_PAUSED}: {value}"


def forced(situation: Situation) -> bool:
    """Whether a person has asked, by annotation, to try again now."""
    resource = situation.resource
    token = resource.annotations.get(ANNOTATION_RECONCILE)
    return token is not None and token != resource.status.last_handled_reconcile_at


def _kept_refusal(situation: Situation) -> Mapping[str, Any] | None:
    refusal = situation.resource.status.refusal
    return None if refusal is None else refusal.manifest()


def _shared_status(situation: Situation) -> dict[str, Any]:
    status: dict[str, Any] = {}
    token = situation.resource.annotations.get(ANNOTATION_RECONCILE)
    if token is not None:
        status["lastHandledReconcileAt"] = token
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
    if isinstance(situation.observation, Failure):
        return failures.decide(situation, situation.observation)
    instead = rules.instead(situation)
    if instead is not None:
        return instead
    if isinstance(situation.observation, Absent):
        return _absent(situation, situation.observation)
    decision = _present(situation, situation.observation)
    if pause_reason(situation) is not None or not _in_charge(situation, situation.observation):
        return decision
    return rules.orchestrate(situation, decision)


def _in_charge(situation: Situation, observed: Observed) -> bool:
    """Whether an external object is this resource's to build on, and held or only observed."""
    resource = situation.resource
    if resource.spec.management_policy is ManagementPolicy.OBSERVE:
        return True
    return FINALIZER in resource.finalizers and ownership.foreign(situation, observed) is None


def _moved_engine(situation: Situation) -> str | None:
    recorded, engine = situation.resource.status.external, situation.engine
    if recorded is None or engine is None:
        return None
    for what, was, is_now in (
        ("region", recorded.region, engine.region),
        ("account", recorded.account, engine.account),
    ):
        if was is not None and is_now is not None and was != is_now:
            return (
                f"{recorded.name} lives in {what} {was}, and EngineClass {engine.class_name} now"
                f" names {is_now}: put the class back, or make new resources under a new class"
            )
    return None


# Nothing is there ------------------------------------------------------------------------------


def _absent(situation: Situation, absent: Absent) -> Decision:
    resource = situation.resource
    desired = situation.desired
    if resource.kind.runs_to_completion and RULES[resource.key.kind].outlives_external:
        finished = resource.condition(C.SUCCEEDED)
        if finished is not None and finished.status == "True":
            return Decision({})
    if isinstance(desired, Waiting):
        gone = resource.status.external is not None and resource.kind.serves
        return Decision(
            pictures.waiting(situation, desired.reason, desired.message, exists=False),
            status={"external": None, "applied": None} if gone else {},
        )
    if isinstance(desired, Unsupported):
        return Decision(pictures.rejected(situation, desired.reason, desired.message))
    refusal = resource.status.refusal
    if refusal is not None and refusal.digest == desired.digest and not forced(situation):
        return _still_refused(situation)
    if resource.status.external is not None:
        return _deleted_behind_our_back(situation, desired)
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


def _create(situation: Situation, desired: Desired, absent: Absent) -> Decision:
    resource = situation.resource
    intent = resource.status.intent
    if RULES[resource.key.kind].records_intent and intent is not None:
        age = (situation.now - intent.time).total_seconds()
        if not absent.settled or age < situation.timing.settle:
            return Decision(
                pictures.creating(
                    situation,
                    Reason.PENDING,
                    f"{intent.operation} was about to be called at {timestamp(intent.time)}:"
                    " looking whether it was carried out",
                ),
                look_again=max(1.0, min(situation.timing.busy, situation.timing.settle - age)),
            )
    action: Action = CreateExternal(
        desired,
        ownership.wanted_tags(situation, desired) if desired.tags is not None else {},
        record_intent=RULES[resource.key.kind].records_intent,
    )
    if FINALIZER not in resource.finalizers:
        action = AddFinalizer()
    return Decision(
        pictures.creating(situation, Reason.CREATING, f"creating {desired.name}"),
        (action,),
        {"refusal": None},
        look_again=0.0 if isinstance(action, AddFinalizer) else situation.timing.busy,
    )


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


# Something is there ----------------------------------------------------------------------------


def _present(situation: Situation, observed: Observed) -> Decision:
    resource = situation.resource
    rules = RULES[resource.key.kind]
    observe_only = resource.spec.management_policy is ManagementPolicy.OBSERVE
    if not observe_only:
        foreign = ownership.foreign(situation, observed)
        if foreign is not None:
            return Decision(pictures.stuck(situation, foreign.reason, foreign.message))
        if FINALIZER not in resource.finalizers:
            return Decision(
                pictures.creating(situation, Reason.PENDING, f"taking charge of {observed.name}"),
                (AddFinalizer(),),
                look_again=0.0,
            )
    status = {
        "external": external_record(observed),
        "intent": None,
        **rules.details(situation, observed),
    }
    decision = _by_state(situation, observed)
    if observe_only:
        decision = replace(
            decision,
            actions=tuple(a for a in decision.actions if not isinstance(a, EngineAction)),
        )
    return replace(decision, status=status | dict(decision.status))


def external_record(observed: Observed) -> dict[str, Any]:
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
            return Decision(pictures.creating(situation, Reason.QUEUED, "waits for the engine"))
        case State.CREATING | State.RUNNING:
            return Decision(
                pictures.creating(situation, rules.moving, f"the engine works on {observed.name}")
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
            return Decision(pictures.in_sync(situation, _done(observed), rules.done))
        case State.ACTIVE:
            return _active(situation, observed)


def _done(observed: Observed) -> str:
    return f"made {timestamp(observed.created)}"


def _failed(situation: Situation, observed: Observed) -> Decision:
    message = observed.failure or f"{observed.name} failed, and the engine gave no reason"
    desired = situation.desired
    resource = situation.resource
    if resource.kind.runs_to_completion:
        return Decision(pictures.stuck(situation, Reason.EXTERNAL_FAILURE, message))
    failed = pictures.stuck(situation, Reason.EXTERNAL_FAILURE, message, available="False")
    if not isinstance(desired, Desired):
        return Decision(failed)
    refusal = resource.status.refusal
    if refusal is None or (refusal.digest == desired.digest and not forced(situation)):
        record = _refusal(desired, Reason.EXTERNAL_FAILURE, message)
        return Decision(
            failed, status={"refusal": record if refusal is None else refusal.manifest()}
        )
    again = pictures.creating(situation, Reason.CREATING, f"tried again; before: {message}")
    if RULES[resource.key.kind].mended_by_update:
        fields = {key: desired.fields[key] for key in desired.mutable & desired.fields.keys()}
        return Decision(
            again,
            (UpdateExternal(observed, fields, desired),),
            {"refusal": _refusal(desired, Reason.EXTERNAL_FAILURE, message)},
            look_again=situation.timing.busy,
        )
    return Decision(
        again,
        (DeleteExternal(observed),),
        {"external": None, "applied": None, "refusal": None},
        look_again=situation.timing.busy,
    )


def _refusal(desired: Desired, reason: Reason, message: str) -> dict[str, str]:
    return {"digest": desired.digest, "reason": reason.value, "message": message[:4096]}


def _active(situation: Situation, observed: Observed) -> Decision:
    desired = situation.desired
    if isinstance(desired, Waiting):
        return Decision(pictures.waiting(situation, desired.reason, desired.message, exists=True))
    if isinstance(desired, Unsupported):
        return Decision(pictures.rejected(situation, desired.reason, desired.message))
    differing = {
        key: value for key, value in desired.fields.items() if observed.fields.get(key) != value
    }
    tagging = _tagging(situation, observed, desired)
    if not differing and tagging is None:
        return Decision(
            pictures.in_sync(situation, f"{observed.name} is as wanted"),
            status={"applied": _applied(situation, desired), "refusal": None},
        )
    return _out_of_sync(situation, observed, desired, differing, tagging)


def _applied(situation: Situation, desired: Desired) -> dict[str, Any]:
    return {
        "digest": desired.digest,
        "generation": situation.resource.generation,
        "tagKeys": sorted(desired.tags) if desired.tags else None,
    }


def _out_of_sync(
    situation: Situation,
    observed: Observed,
    desired: Desired,
    differing: Mapping[str, Any],
    tagging: TagExternal | None,
) -> Decision:
    resource = situation.resource
    applied = resource.status.applied
    update = observed.update
    spec_driven = pictures.spec_driven(situation)
    drift = applied is not None and applied.digest == desired.digest
    says = _differences(observed, differing, tagging)
    if update is not None and update.state in MOVING:
        return Decision(
            pictures.updating(
                situation, f"the engine is updating: {says}", spec_driven=spec_driven
            ),
            look_again=situation.timing.busy,
        )
    if drift and not forced(situation) and resource.spec.drift_policy is DriftPolicy.IGNORE:
        # Tags are not read at every look: a message about them would come and go.
        ignored = _differences(observed, differing, None)
        message = f"drift is ignored: {ignored}" if ignored else f"{observed.name} is as wanted"
        return Decision(pictures.in_sync(situation, message))
    if drift and resource.spec.drift_policy is DriftPolicy.WARN:
        return Decision(pictures.drifted(situation, says))
    fixed = sorted(differing.keys() - desired.mutable)
    if fixed:
        return Decision(
            pictures.stuck(
                situation,
                Reason.OUT_OF_SYNC,
                f"{says}; {', '.join(fixed)} can't be changed in place: make a new resource, or set"
                " spec.driftPolicy to 'Ignore'",
                available="True",
                extra={C.DRIFTED: Verdict("True", Reason.DRIFTED, says)},
            )
        )
    refusal = resource.status.refusal
    if refusal is not None and refusal.digest == desired.digest and not forced(situation):
        return _still_refused(situation)
    if _failed_before(update, differing) and not forced(situation):
        failure = (update.failure if update is not None else None) or "the engine gave no reason"
        return Decision(
            pictures.update_failed(
                situation,
                f"the update failed and what was there serves on: {failure}",
                spec_driven=spec_driven or drift,
            )
        )
    action: Action = (
        UpdateExternal(observed, differing, desired) if differing else tagging  # type: ignore[assignment]
    )
    conditions = pictures.updating(situation, says, spec_driven=spec_driven or drift)
    if drift:
        conditions[C.DRIFTED] = Verdict("True", Reason.DRIFTED, says)
    # Tags are set at once, and no list shows that they were.
    wait = 1.0 if isinstance(action, TagExternal) else situation.timing.busy
    return Decision(conditions, (action,), {"refusal": None}, look_again=wait)


def _still_refused(situation: Situation) -> Decision:
    refusal = situation.resource.status.refusal
    reason = Reason(refusal.reason)
    if reason is Reason.INVALID_SPEC:
        return Decision(pictures.rejected(situation, reason, refusal.message))
    return Decision(pictures.stuck(situation, reason, refusal.message))


def _failed_before(update: Update | None, differing: Mapping[str, Any]) -> bool:
    """Whether the latest update failed at exactly what is wanted now."""
    return (
        update is not None
        and update.state is State.FAILED
        and bool(differing)
        and all(update.fields.get(key) == value for key, value in differing.items())
    )


def _tagging(situation: Situation, observed: Observed, desired: Desired) -> TagExternal | None:
    if desired.tags is None or observed.tags is None:
        return None
    wanted = ownership.wanted_tags(situation, desired)
    missing = {key: value for key, value in wanted.items() if observed.tags.get(key) != value}
    applied = situation.resource.status.applied
    set_before = (applied.tag_keys or []) if applied is not None else []
    stale = [key for key in set_before if key not in wanted and key in observed.tags]
    return TagExternal(observed, missing, stale) if missing or stale else None


def _differences(
    observed: Observed, differing: Mapping[str, Any], tagging: TagExternal | None
) -> str:
    parts = [
        f"{key} is {_brief(observed.fields.get(key))}, wanted {_brief(value)}"
        for key, value in sorted(differing.items())
    ]
    if tagging is not None:
        changed = sorted(k for k in tagging.set if k not in names.OWNERSHIP_TAGS)
        parts.append(f"tags differ: {', '.join([*changed, *tagging.remove]) or 'ownership'}")
    return "; ".join(parts)


_BRIEF = 160


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."
