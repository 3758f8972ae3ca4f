"""What decisions say: what to do about a resource, and what to show.

The loop carries a `Decision` out, at most one mutating engine call at a time, so that every point
between two calls is a point from which the next look can go on.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reco.api.resource import Key, Resource
from reco.api.vocabulary import ConditionType, Reason
from reco.decide.model import Desired, Observed


@dataclass(frozen=True, slots=True)
class AddFinalizer:
    """Hold the resource until its external object is dealt with."""


@dataclass(frozen=True, slots=True)
class RemoveFinalizer:
    """Let the resource go."""


@dataclass(frozen=True, slots=True)
class CreateExternal:
    """Make the external object."""

    desired: Desired
    tags: Mapping[str, str]
    """The user's tags and ours."""
    record_intent: bool = False
    """Write down the intent before the call: the engine can't tell a repeated call from a first."""


@dataclass(frozen=True, slots=True)
class UpdateExternal:
    """Change the external object in place."""

    observed: Observed
    fields: Mapping[str, Any]
    """The wanted values of the mutable fields that differ."""
    desired: Desired


@dataclass(frozen=True, slots=True)
class TagExternal:
    """Set and remove tags."""

    observed: Observed
    set: Mapping[str, str]
    remove: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class StopExternal:
    """Stop a training that runs."""

    observed: Observed


@dataclass(frozen=True, slots=True)
class DeleteExternal:
    """Delete the external object."""

    observed: Observed


@dataclass(frozen=True, slots=True)
class CreateResource:
    """Make a resource of ours; one of that name that exists already is the one."""

    manifest: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class DeleteResource:
    """Delete a resource of ours that this one owns."""

    key: Key
    uid: str


@dataclass(frozen=True, slots=True)
class OwnResource:
    """Give a resource of ours the owner it should have, which a restore has taken from it."""

    resource: Resource
    owner: Mapping[str, Any]
    """The owner reference."""


@dataclass(frozen=True, slots=True)
class RecreateResource:
    """Let the resource go, and make it again: nobody asked for its deletion."""

    manifest: Mapping[str, Any]


Action = (
    AddFinalizer
    | RemoveFinalizer
    | CreateExternal
    | UpdateExternal
    | TagExternal
    | StopExternal
    | DeleteExternal
    | CreateResource
    | DeleteResource
    | OwnResource
    | RecreateResource
)
"""One thing to do."""

EngineAction = CreateExternal | UpdateExternal | TagExternal | StopExternal | DeleteExternal
"""An action that changes something in an engine."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What one condition should say."""

    status: str
    """`True`, `False` or `Unknown`."""
    reason: Reason
    message: str = ""


@dataclass(frozen=True, slots=True)
class Keep:
    """Leave a condition as it was, or start it with `otherwise`."""

    otherwise: Verdict


@dataclass(frozen=True, slots=True)
class Decision:
    """What to do about one resource, what to show, and when to look again."""

    conditions: Mapping[ConditionType, Verdict | Keep]
    """Conditions that are left out are removed where they are abnormal-true, else kept."""
    actions: Sequence[Action] = ()
    status: Mapping[str, Any] = field(default_factory=dict)
    """Top-level status fields to set, in manifest spelling; None removes one."""
    look_again: float | None = None
    """Seconds until the next look; None waits for an event or the resync."""
    retry: bool = False
    """Whether to look again with the queue's backoff for this key."""
