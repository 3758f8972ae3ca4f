"""Drift: an active object against what is wanted, and what to do about the difference."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import AdoptionPolicy, DriftPolicy, ManagementPolicy, Reason
from reco.api.vocabulary import ConditionType as C
from reco.decide import names, ownership, pictures, refusals, tags
from reco.decide.decision import Action, Decision, TagExternal, UpdateExternal, Verdict
from reco.decide.model import (
    MOVING,
    NEVER_APPLIED,
    Desired,
    Observed,
    Situation,
    State,
    Unsupported,
    Update,
    Waiting,
)
from reco.decide.requests import forced

_BRIEF = 160
_SHOWN = 5


def decide(situation: Situation, observed: Observed) -> Decision:
    """Decide about a resource whose external object is active."""
    desired = situation.desired
    if isinstance(desired, Waiting):
        return Decision(pictures.waiting(situation, desired.reason, desired.message, exists=True))
    if isinstance(desired, Unsupported):
        return Decision(pictures.rejected(situation, desired.reason, desired.message))
    differing = _differing(observed, desired)
    if situation.resource.spec.management_policy is ManagementPolicy.OBSERVE:
        return _only_observed(situation, observed, differing)
    tagging = tags.difference(situation, observed, desired)
    if not differing and tagging is None:
        return Decision(
            pictures.in_sync(situation, f"{observed.name} is as wanted"),
            status={
                "applied": _applied(situation, desired),
                "refusal": None,
                **tags.settled(situation.resource, observed),
            },
        )
    return _out_of_sync(situation, observed, desired, differing, tagging)


def meanwhile(situation: Situation, observed: Observed) -> tuple[Action, ...]:
    """Return what to change of an object that is still being made, where its engine lets us.

    What was asked for may never come to be, such as pods of an image that does not exist.
    """
    desired, resource = situation.desired, situation.resource
    if not isinstance(desired, Desired) or not situation.changes_any_time:
        return ()
    differing = _differing(observed, desired)
    policy = resource.spec.drift_policy
    left = policy is DriftPolicy.WARN or (policy is DriftPolicy.IGNORE and not forced(resource))
    if left and _is_drift(situation, observed, desired):
        return ()
    if not differing or not differing.keys() <= desired.mutable:
        return ()
    if refusals.standing(situation, desired) is not None:
        return ()
    return (UpdateExternal(observed, differing, desired),)


def _is_drift(situation: Situation, observed: Observed, desired: Desired) -> bool:
    """Whether a difference is somebody else's doing: all that is wanted was applied before.

    A policy other than `Correct` also speaks of how an object was found: one that was there before
    the resource, or was not made for it, or was only observed until now.
    """
    resource = situation.resource
    applied = resource.status.applied
    if applied is not None and applied.digest != NEVER_APPLIED:
        return bool(applied.digest == desired.digest)
    spec = resource.spec
    found = (
        applied is not None
        or observed.created < resource.created
        or spec.adoption_policy is AdoptionPolicy.ADOPT
    )
    return found and spec.drift_policy is not DriftPolicy.CORRECT


def _differing(observed: Observed, desired: Desired) -> dict[str, Any]:
    return {
        key: value for key, value in desired.fields.items() if observed.fields.get(key) != value
    }


def _applied(situation: Situation, desired: Desired) -> dict[str, Any]:
    return {
        "digest": desired.digest,
        "generation": situation.resource.generation,
        "tagKeys": sorted(desired.tags) if desired.tags else None,
    }


def _only_observed(
    situation: Situation, observed: Observed, differing: Mapping[str, Any]
) -> Decision:
    """Show what is only watched. Others can build on it; a difference is shown and stays.

    It counts as never applied: once it is to be managed, all of it is compared anew, and by its
    tags whose it is.
    """
    applied = {
        "digest": NEVER_APPLIED,
        "generation": situation.resource.generation,
        "tagKeys": None,
    }
    if differing:
        says = f"{_differences(observed, differing, None)}; it is only observed"
        conditions = pictures.drifted(situation, says)
    else:
        conditions = pictures.in_sync(situation, f"{observed.name} is as wanted")
    return Decision(conditions, status={"applied": applied, "refusal": None})


def _out_of_sync(
    situation: Situation,
    observed: Observed,
    desired: Desired,
    differing: Mapping[str, Any],
    tagging: TagExternal | None,
) -> Decision:
    resource = situation.resource
    update = observed.update
    spec_driven = pictures.spec_driven(situation)
    drift = _is_drift(situation, observed, desired)
    says = _differences(observed, differing, tagging)
    if update is not None and update.state in MOVING:
        beside = {key: value for key, value in differing.items() if update.fields.get(key) != value}
        if not (beside and situation.changes_any_time):
            message = f"the engine is updating: {observed.doing or says}"
            return Decision(
                pictures.updating(situation, message, spec_driven=spec_driven),
                look_again=situation.timing.busy,
            )
        differing, says = beside, _differences(observed, beside, tagging)
    if drift and resource.spec.drift_policy is DriftPolicy.IGNORE and not forced(resource):
        # Tags are not read at every look: a message about them would come and go.
        ignored = _differences(observed, differing, None)
        message = f"drift is ignored: {ignored}" if ignored else f"{observed.name} is as wanted"
        return _taken_as_found(situation, desired, tagging, pictures.in_sync(situation, message))
    if drift and resource.spec.drift_policy is DriftPolicy.WARN:
        return _taken_as_found(situation, desired, tagging, pictures.drifted(situation, says))
    fixed = sorted(differing.keys() - desired.mutable)
    if fixed and not _was_applied(resource):
        return _never_in_sync(situation, observed, says, fixed)
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
    refused = refusals.standing(situation, desired)
    if refused is not None:
        return refused
    if _failed_before(update, differing) and not forced(situation.resource):
        failure = (update.failure if update is not None else None) or "the engine gave no reason"
        return Decision(
            pictures.update_failed(
                situation,
                f"the update failed and what was there serves on: {failure}",
                spec_driven=spec_driven or drift,
            )
        )
    return _change(situation, observed, desired, differing, tagging, says, drift=drift)


def _change(
    situation: Situation,
    observed: Observed,
    desired: Desired,
    differing: Mapping[str, Any],
    tagging: TagExternal | None,
    says: str,
    *,
    drift: bool,
) -> Decision:
    """Make an object what the spec wants, as far as that can be done in place."""
    spec_driven = pictures.spec_driven(situation) or drift
    conditions = pictures.updating(situation, says, spec_driven=spec_driven)
    if drift:
        conditions[C.DRIFTED] = Verdict("True", Reason.DRIFTED, says)
        unread = observed.tags is None and desired.tags is not None
        if unread and not situation.resource.is_true(C.DRIFTED):
            # Who changed it may own it by now: tags are read of what has drifted.
            return Decision(conditions, look_again=0.0)
    action: Action = (
        UpdateExternal(observed, differing, desired) if differing else tagging  # type: ignore[assignment]
    )
    to_record = tags.to_record(situation.resource, desired, observed.tags)
    if isinstance(action, TagExternal) and to_record is not None:
        return Decision(conditions, (), {"pendingTagKeys": to_record}, look_again=0.0)
    # Tags are set at once, and no list shows that they were.
    wait = 1.0 if isinstance(action, TagExternal) else situation.timing.busy
    return Decision(conditions, (action,), {"refusal": None}, look_again=wait)


def _was_applied(resource: Resource) -> bool:
    applied = resource.status.applied
    return applied is not None and applied.digest != NEVER_APPLIED


def _taken_as_found(
    situation: Situation, desired: Desired, tagging: TagExternal | None, shown: pictures.Conditions
) -> Decision:
    """Leave a difference as it is. What is only just adopted is marked, and counts as applied."""
    if _was_applied(situation.resource):
        return Decision(shown)
    to_record = tags.to_record(situation.resource, desired) if tagging is not None else None
    if to_record is not None:
        return Decision(shown, (), {"pendingTagKeys": to_record}, look_again=0.0)
    return Decision(
        shown,
        (tagging,) if tagging is not None else (),
        {"applied": _applied(situation, desired), "refusal": None},
    )


def _never_in_sync(
    situation: Situation, observed: Observed, says: str, fixed: Sequence[str]
) -> Decision:
    """Show that what was found is not what the spec speaks of: a name may be mistyped."""
    safe = "it is neither marked nor changed, and deleting this resource leaves it alone"
    marked = ownership.provably_ours(situation, observed)
    return Decision(
        pictures.stuck(
            situation,
            Reason.OUT_OF_SYNC,
            f"{observed.name} was found under this name, and {says}; {', '.join(fixed)} can't be"
            " changed in place. Set spec.externalName to the object that is meant, or these fields"
            " to what is there, or spec.driftPolicy to 'Ignore' to take it as it is"
            f"{'' if marked else f'; until then {safe}'}",
            available="True",
            extra={C.DRIFTED: Verdict("True", Reason.DRIFTED, says)},
        )
    )


def _failed_before(update: Update | None, differing: Mapping[str, Any]) -> bool:
    """Whether the latest update failed at exactly what is wanted now."""
    return (
        update is not None
        and update.state is State.FAILED
        and bool(differing)
        and all(update.fields.get(key) == value for key, value in differing.items())
    )


def _differences(
    observed: Observed, differing: Mapping[str, Any], tagging: TagExternal | None
) -> str:
    leaves = [
        leaf
        for key, value in sorted(differing.items())
        for leaf in _leaves(key, observed.fields.get(key), value)
    ]
    parts = [f"{path} is {_brief(found)}, wanted {_brief(value)}" for path, found, value in leaves]
    if len(parts) > _SHOWN:
        parts[_SHOWN:] = [f"and {len(parts) - _SHOWN} more"]
    if tagging is not None:
        changed = sorted(k for k in tagging.set if k not in names.OWNERSHIP_TAGS)
        parts.append(f"tags differ: {', '.join([*changed, *tagging.remove]) or 'ownership'}")
    return "; ".join(parts)


def _leaves(path: str, found: object, wanted: object) -> Iterator[tuple[str, object, object]]:
    """Yield where two values differ, as deep as both have the same shape."""
    if isinstance(found, Mapping) and isinstance(wanted, Mapping):
        for key in sorted(found.keys() | wanted.keys()):
            yield from _leaves(f"{path}.{key}", found.get(key), wanted.get(key))
    elif isinstance(found, list) and isinstance(wanted, list) and len(found) == len(wanted):
        for at, pair in enumerate(zip(found, wanted, strict=True)):
            yield from _leaves(f"{path}[{at}]", *pair)
    elif found != wanted:
        yield path, found, wanted


def _brief(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _BRIEF else f"{text[:_BRIEF]}..."
