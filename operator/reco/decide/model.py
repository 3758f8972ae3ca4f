"""What decisions look at: what is wanted, and what is there.

Everything here is a frozen value. The loop gathers a `Situation`, and a pure function turns it into
a `decision.Decision`.
"""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

from reco.api.resource import Resource
from reco.api.tenancy import Tenancy
from reco.api.vocabulary import DeletionPolicy, Reason

CLOCK_SKEW = timedelta(minutes=5)
"""By how much the clocks of replicas and of the engine may differ."""

# What is wanted --------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Desired:
    """What the external object should be, in the engine's own field names."""

    name: str
    """The name in the engine."""
    fields: Mapping[str, Any]
    """Fields that are sent on creation and compared with what is there."""
    mutable: frozenset[str] = frozenset()
    """Those of `fields` that the engine can change in place."""
    tags: Mapping[str, str] | None = None
    """The user's tags, ours not among them; None where the kind takes no tags."""
    once: Mapping[str, Any] = field(default_factory=dict)
    """Parameters that are sent on creation only and can't be read back."""
    input: object = None
    """What a run made of it learns from or is told, as JSON; None where that is all of `fields`."""

    @property
    def digest(self) -> str:
        """A short digest that changes with any wanted value."""
        return digest([self.fields, self.tags])

    def input_with(self, data: object) -> str:
        """Return a digest of what a run made of it would start from, with the data there is."""
        return digest([self.fields if self.input is None else self.input, data])


def digest(value: object) -> str:
    """Return 16 hexadecimal digits that change with a JSON-like value."""
    text = json.dumps(value, sort_keys=True, separators=(",", ":"), default=_plain)
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def _plain(value: object) -> object:
    """Let `json` see through read-only mappings and times."""
    match value:
        case Mapping():
            return dict(value)
        case datetime():
            return value.isoformat()
        case frozenset():
            return sorted(value)
        case _:
            return str(value)


NEVER_APPLIED = digest("only observed")
"""What is recorded as applied of an object that was only observed: it stands for no wish."""


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why nothing can be wanted yet: what the spec refers to is not there or not ready."""

    message: str
    reason: Reason = Reason.AWAITING_DEPENDENCY


@dataclass(frozen=True, slots=True)
class Unsupported:
    """Why nothing can ever be wanted of this spec: the engine can't do it, or it makes no sense."""

    message: str
    reason: Reason = Reason.UNSUPPORTED_FEATURE


# What is there ---------------------------------------------------------------------------------


class State(StrEnum):
    """What an external object is doing, in words common to all engines."""

    CREATING = "Creating"
    RUNNING = "Running"
    """A job or training that has started."""
    ACTIVE = "Active"
    FAILED = "Failed"
    STOPPING = "Stopping"
    STOPPED = "Stopped"
    DELETING = "Deleting"


MOVING = frozenset({State.CREATING, State.RUNNING, State.STOPPING, State.DELETING})
"""States that end by themselves."""


@dataclass(frozen=True, slots=True)
class Update:
    """The latest change of an external object."""

    state: State
    fields: Mapping[str, Any]
    """What it was asked to become."""
    failure: str | None = None


@dataclass(frozen=True, slots=True)
class ExternalVersion:
    """One trained version of a solution, as the engine lists it."""

    id: str
    name: str | None
    """None for versions that the solution's status says are known already."""
    state: State
    created: datetime
    training_mode: str
    """`Full` or `Update`."""
    training_type: str | None
    """`Manual`, or `Automatic` when the service started the training; None where it is not said."""


@dataclass(frozen=True, slots=True)
class Observed:
    """An external object as the engine describes it."""

    id: str
    """What the engine calls it: an ARN in Personalize."""
    name: str
    state: State
    fields: Mapping[str, Any]
    """What it is, under the keys of `Desired.fields`."""
    created: datetime
    account: str | None = None
    region: str | None = None
    doing: str | None = None
    """What it is doing or waits for, in the engine's words."""
    failure: str | None = None
    """Why it failed, in the engine's words."""
    refused: bool = False
    """Whether that is the fault of the spec or the data, so that it would fail again."""
    update: Update | None = None
    tags: Mapping[str, str] | None = None
    """None where the kind has no tags, or they were not read this time."""
    details: Mapping[str, Any] = field(default_factory=dict)
    """What the status shows beside, under names common to all engines: `tracking_id`, `metrics`,
    `training_hours`, `endpoint`, `versions`, `source` (a digest), `schema` (the id of a dataset's
    schema), `serves` (the id of the version that a campaign serves), `streamed` (what a group's
    events have brought, where the engine counts them).

    In the cluster, of a Solution: `streamed`, `{"rows": interactions that a training may use,
    "last": the newest one's time in epoch seconds or None, "records": {"Items": n, "Users": n}}`,
    left out while more was streamed than is counted yet; and `imported`, the rows of the imports
    that count by dataset type. Of a training that failed because it has nothing to go on from:
    `needs`, the mode that makes it (`Full`). Of a version: `trained_through`, the newest event that
    it learned from, in epoch seconds."""


@dataclass(frozen=True, slots=True)
class Absent:
    """The engine has confirmed that there is no such object."""

    settled: bool = True
    """False while an answer might still be older than a call whose outcome is unknown."""
    blocked_by: str | None = None
    """Something else that stands where ours should, such as the group's other event tracker."""


@dataclass(frozen=True, slots=True)
class NotAsked:
    """No engine was asked, so nothing is known of the object: least of all that it is gone."""


class ErrorClass(StrEnum):
    """What an engine's error means for us. One class, one way to go on."""

    THROTTLED = "Throttled"
    TRANSIENT = "Transient"
    CONFLICT = "Conflict"
    """Something is in use or in transition: later it will be free."""
    EXISTS = "Exists"
    """The name is taken."""
    QUOTA_WAIT = "QuotaWait"
    """Too much at once: waiting helps."""
    QUOTA_EXHAUSTED = "QuotaExhausted"
    """Too much in all: a person has to raise the quota or delete something."""
    ACCESS_DENIED = "AccessDenied"
    INVALID = "Invalid"
    NOT_FOUND = "NotFound"
    UNKNOWN = "Unknown"


@dataclass(frozen=True, slots=True)
class Failure:
    """An engine's error, classed."""

    error_class: ErrorClass
    message: str
    """The engine's own words, with its code."""
    operation: str = ""
    outcome_unknown: bool = False
    """Whether the call may have been carried out: no answer came."""


Observation = Observed | Absent | NotAsked | Failure
"""What the engine said when asked about an object, or that nobody asked it."""


Wish = Desired | Waiting | Unsupported
"""What is wanted, or why nothing is."""


# Where it happens ------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class EngineView:
    """What decisions need to know of the engine in charge."""

    class_name: str
    region: str | None = None
    account: str | None = None
    """The account, where it is known before anything is there."""
    deletion_policy: DeletionPolicy | None = None
    """The class's default."""
    unproven: frozenset[str] = frozenset()
    """Kinds for which the call that makes one can't be proved afterwards: it may be carried out
    again when it is repeated, or its result carries no mark of ours. The intent is recorded."""
    repeatable: frozenset[str] = frozenset()
    """Those of them of which a repeated call may be carried out again, and be paid again."""
    goes_with_parent: frozenset[str] = frozenset()
    """Kinds that the engine can't delete alone."""
    tenancy: Tenancy = field(default_factory=Tenancy)
    """Who may do what with the class."""
    changes_any_time: bool = False
    """Whether what is still being made or moved can be changed again meanwhile."""
    keeps_data: bool = False
    """Whether imported data outlives the object that stands for its dataset."""


@dataclass(frozen=True, slots=True)
class Identity:
    """Who we are, for ownership tags."""

    cluster: str
    """The cluster id: the UID of namespace kube-system, unless the settings say otherwise."""


@dataclass(frozen=True, slots=True)
class Timing:
    """Periods of the decisions, in seconds."""

    resync: float = 900.0
    """How often a resource is looked at when nothing happens."""
    settle: float = 180.0
    """How long a list of the engine may lag behind a call whose outcome is unknown."""
    busy: float = 30.0
    """How soon to look again when something is in the way."""
    denied: float = 600.0
    """How soon to try again after the engine refused us."""
    quota: float = 120.0
    """How soon to try again when a quota is used up."""


@dataclass(frozen=True, slots=True)
class Situation:
    """All that a decision about one resource may look at."""

    resource: Resource
    now: datetime
    identity: Identity
    engine: EngineView | None
    """None while the EngineClass is unknown."""
    desired: Wish
    observation: Observation
    children: Sequence[Resource] = ()
    """Resources that this one owns, or that name it as their parent: versions, import jobs."""
    dependents: Sequence[Resource] = ()
    """Live and deleting resources whose specs name this one."""
    parent: Resource | None = None
    """The resource that this one names as its parent."""
    related: Mapping[str, Sequence[Resource]] = field(default_factory=dict)
    """Other resources that some kinds look at, by kind, such as a solution's campaigns."""
    barred: str | None = None
    """Why the EngineClass lets nothing be done for the resource; None where it lets."""
    owner: Resource | None = None
    """Another living resource of the kind that stands for the observed object, by the object's
    tags, or by what is recorded where it has none."""
    owner_hidden: bool = False
    """Whether such a resource may live in a namespace that this operator does not watch."""
    failures: int = 0
    """How many looks in a row have failed."""
    timing: Timing = Timing()

    @property
    def unproven(self) -> bool:
        """Whether the call that makes the object can't be proved afterwards."""
        return self.engine is not None and self.resource.key.kind in self.engine.unproven

    @property
    def repeatable(self) -> bool:
        """Whether a repeated call may make the object twice."""
        return self.engine is not None and self.resource.key.kind in self.engine.repeatable

    @property
    def goes_with_parent(self) -> bool:
        """Whether the engine can't delete the object alone."""
        return self.engine is not None and self.resource.key.kind in self.engine.goes_with_parent

    @property
    def changes_any_time(self) -> bool:
        """Whether the object can be changed while it is still being made or moved."""
        return self.engine is not None and self.engine.changes_any_time
