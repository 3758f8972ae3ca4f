"""The status writer: from a decision to the one merge patch that changes something, or to none."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from reco.api.base import Condition
from reco.api.resource import Resource
from reco.decide import conditions
from reco.decide.decision import Decision


def patch(
    resource: Resource, decision: Decision, now: datetime
) -> tuple[dict[str, Any], list[Condition]]:
    """Return the merge patch for a resource's status, and its new conditions.

    The patch is empty when the status already says all of it: a resource in steady state is
    never written.
    """
    new = conditions.merge(
        resource.status.conditions, decision.conditions, generation=resource.generation, now=now
    )
    wanted = {
        **decision.status,
        "observedGeneration": resource.generation,
        "conditions": conditions.manifest(new),
    }
    return difference(resource.raw_status, wanted), new


def difference(before: Mapping[str, Any], wanted: Mapping[str, Any]) -> dict[str, Any]:
    """Return the merge patch (RFC 7386) that makes `before` say what `wanted` says.

    Only what `wanted` names is looked at. None means that a field should not be there; in nested
    objects the fields that `wanted` does not name are left alone.
    """
    changes: dict[str, Any] = {}
    for key, value in wanted.items():
        present = before.get(key)
        if isinstance(value, Mapping):
            nested = difference(present if isinstance(present, Mapping) else {}, value)
            if nested or (not isinstance(present, Mapping) and _says_something(value)):
                changes[key] = nested
        elif present != value:
            changes[key] = value
    return changes


def _says_something(value: Mapping[str, Any]) -> bool:
    return any(item is not None for item in value.values())
