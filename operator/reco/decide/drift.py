"""Drift: an active object against what is wanted, and what to do about the difference."""

from collections.abc import Iterator, Mapping
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import ConditionType as C
from reco.api.vocabulary import DriftPolicy, ManagementPolicy, Reason
from reco.decide import names, pictures, refusals, tags
from reco.decide.decision import Action, Decision, TagExternal, UpdateExternal, Verdict
from reco.decide.model import (
    MOVING,
    Desired,
    Observed,
    Situation,
    State,
    Unsupported,
    Update,
    Waiting,
    digest,
)
from reco.decide.requests import forced

NEVER_APPLIED = digest("only observed")
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
    if left and _is_drift(resource, desired):
        return ()
    if not differing or not differing.keys() <= desired.mutable:
        return ()
    if refusals.standing(situation, desired) is not None:
        return ()
    return (UpdateExternal(observed, differing, desired),)


def _is_drift(resource: Resource, desired: Desired) -> bool:
    """Whether a difference is somebody else's doing: all that is wanted was applied before."""
    applied = resource.status.applied
    return applied is not None and applied.digest == desired.digest


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
    drift = _is_drift(resource, desired)
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
    action: Action = (
        UpdateExternal(observed, differing, desired) if differing else tagging  # type: ignore[assignment]
    )
    conditions = pictures.updating(situation, says, spec_driven=spec_driven or drift)
    if drift:
        conditions[C.DRIFTED] = Verdict("True", Reason.DRIFTED, says)
    to_record = tags.to_record(resource, desired, observed.tags)
    if isinstance(action, TagExternal) and to_record is not None:
        return Decision(conditions, (), {"pendingTagKeys": to_record}, look_again=0.0)
    # Tags are set at once, and no list shows that they were.
    wait = 1.0 if isinstance(action, TagExternal) else situation.timing.busy
    return Decision(conditions, (action,), {"refusal": None}, look_again=wait)


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
