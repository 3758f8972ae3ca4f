"""The words of every status: condition types, reasons, policies and annotations.

Both lists are closed: a status never carries a type or a reason that is not here, so alerts,
dashboards and `kubectl wait` can rely on them. `docs/api.md` is rendered from these docstrings.
"""

from enum import StrEnum

GROUP = "reco.dev"
VERSION = "v1alpha1"
API_VERSION = f"{GROUP}/{VERSION}"
CATEGORY = "reco"
FINALIZER = f"{GROUP}/external"
FIELD_MANAGER = "reco"

ANNOTATION_PAUSED = f"{GROUP}/paused"
"""`"true"`: leave the external object alone and start nothing new; deletion still works."""
ANNOTATION_RECONCILE = f"{GROUP}/reconcile-requested-at"
"""Any new value: look again at once, also where something failed for good. Echoed in
`status.lastHandledReconcileAt`, cut after 256 characters."""
ANNOTATION_RUN_NOW = f"{GROUP}/run-now"
"""Any new value, on a Solution or a Dataset: train or import now, whatever the schedule says.
Echoed in `lastRunNow`, cut after 256 characters."""
ANNOTATION_ADOPT_FROM = f"{GROUP}/adopt-from"
"""`cluster/namespace/name` of the owner that an external object is taken over from. It takes effect
once that owner has released the object, or the EngineClass allows it where the owner is gone."""
ANNOTATION_RELEASE_TO = f"{GROUP}/release-to"
"""`cluster/namespace/name` of the resource of the same kind that may take over this one's external
object. From then on nothing of the object is changed or deleted for this resource."""
ANNOTATION_DEFAULT_CLASS = f"{GROUP}/is-default-class"
"""`"true"`, on an EngineClass: the class of everything that names none."""


class ConditionType(StrEnum):
    """Condition types, in the order in which they stand in every status (summary first)."""

    READY = "Ready"
    """The resource is as its spec says, or nothing but scheduled work keeps it from being so."""
    SUCCEEDED = "Succeeded"
    """A run-to-completion resource has done its work; Unknown while it runs."""
    AVAILABLE = "Available"
    """Consumers can be served right now, whatever else is going on."""
    STALLED = "Stalled"
    """Only a change of the spec, its data, permissions or a person can help. Present while True."""
    RECONCILING = "Reconciling"
    """A change of the spec, or a repair, is being carried out. Present while True."""
    SYNCED = "Synced"
    """The external object is as the spec wants it."""
    ACCEPTED = "Accepted"
    """The spec is valid and the engine supports it."""
    DEPENDENCIES_READY = "DependenciesReady"
    """Everything the spec refers to exists and can be used."""
    CREDENTIALS_VALID = "CredentialsValid"
    """The engine lets the operator in. Present while False."""
    DRIFTED = "Drifted"
    """The external object was changed behind our back. Present while True."""
    PAUSED = "Paused"
    """A person has told the operator to leave this resource alone. Present while True."""
    LAST_TRAINING_SUCCEEDED = "LastTrainingSucceeded"
    """The newest training of a Solution ended well. What serves is not touched by a bad one."""
    LAST_IMPORT_SUCCEEDED = "LastImportSucceeded"
    """The newest import of a Dataset ended well. Data from before is not touched by a bad one."""
    RUNS_HELD = "RunsHeld"
    """Due trainings or imports are held back, because the last one was refused and would fail
    again. The message says since when and what ends it. Present while True."""
    DELETION_BLOCKED = "DeletionBlocked"
    """The resource can't be deleted before something else is gone. Present while True."""


ABNORMAL_TRUE = frozenset(
    {
        ConditionType.STALLED,
        ConditionType.RECONCILING,
        ConditionType.DRIFTED,
        ConditionType.PAUSED,
        ConditionType.RUNS_HELD,
        ConditionType.DELETION_BLOCKED,
    }
)
"""Conditions that are present only while True (the kstatus convention)."""


class Reason(StrEnum):
    """Why a condition has its status. One closed list for all kinds."""

    PENDING = "Pending"
    """Seen, nothing done yet."""
    ACCEPTED = "Accepted"
    """Nothing is wrong with the spec."""
    FOUND = "Found"
    """Everything referred to is there."""
    CREATING = "Creating"
    """The engine is making the external object."""
    IN_SYNC = "InSync"
    """The external object is as the spec wants it."""
    OUT_OF_SYNC = "OutOfSync"
    """The external object differs from the spec; the message says in what."""
    QUEUED = "Queued"
    """The engine has accepted the work and not started it."""
    TRAINING = "Training"
    """The engine is training this version."""
    TRAINED = "Trained"
    """The version is trained and can serve."""
    IMPORTING = "Importing"
    """The engine is importing."""
    IMPORTED = "Imported"
    """The data is imported."""
    STOPPED = "Stopped"
    """The training was stopped before its end."""
    AWAITING_DEPENDENCY = "AwaitingDependency"
    """A resource that the spec refers to is missing or not ready; the message names it."""
    AWAITING_DATA = "AwaitingData"
    """No data has been imported yet; the message names the dataset."""
    AWAITING_QUOTA = "AwaitingQuota"
    """The engine's quota is used up; the message says whether waiting helps."""
    THROTTLED = "Throttled"
    """The engine asks for fewer calls, or could not be reached; retried with backoff."""
    ACCESS_DENIED = "AccessDenied"
    """The engine refuses the operator's credentials or permissions."""
    NOT_PERMITTED = "NotPermitted"
    """The EngineClass does not let this namespace do it; the message says what, and whom to ask."""
    INVALID_SPEC = "InvalidSpec"
    """The spec was refused; the message says what is allowed."""
    UNSUPPORTED_FEATURE = "UnsupportedFeature"
    """The engine has no such thing; the message lists what it has."""
    EXTERNAL_FAILURE = "ExternalFailure"
    """The engine reports a failure; the message is the engine's own."""
    TRANSIENT_FAILURE = "TransientFailure"
    """A run failed by a fault of the engine or the cluster, or an unknown one: it may succeed when
    it is tried again."""
    LAST_RUN_REFUSED = "LastRunRefused"
    """The engine refused the last run for its spec or its data, and neither has changed."""
    EXTERNAL_DELETED = "ExternalDeleted"
    """Somebody else deleted the external object."""
    EXTERNAL_MISSING = "ExternalMissing"
    """There is no such external object, and the policy says to make none."""
    NAME_CONFLICT = "NameConflict"
    """The external name is taken by something that nobody marked as ours."""
    OWNED_ELSEWHERE = "OwnedElsewhere"
    """The external name is taken by another resource or another cluster."""
    ENGINE_MISMATCH = "EngineMismatch"
    """The external object lives in another account or region than the class now names."""
    DRIFTED = "Drifted"
    """The external object was changed behind our back; the message says in what."""
    PAUSED = "Paused"
    """Paused by `spec.suspend` or by annotation."""
    SUSPENDED = "Suspended"
    """Stopped on purpose by the spec."""
    DELETING = "Deleting"
    """The external object is being deleted."""
    DEPENDENTS_EXIST = "DependentsExist"
    """Other resources, or things in the engine, still need this one; the message names them."""
    CRD_OUTDATED = "CRDOutdated"
    """The installed CRDs lack what this operator needs; the message names it."""
    STATUS_REFUSED = "StatusRefused"
    """The API server refuses the status that is to be shown; the message is its own."""
    INTERNAL_ERROR = "InternalError"
    """The operator itself failed; its log has the traceback."""


class ManagementPolicy(StrEnum):
    """What the operator may do to the external object."""

    MANAGE = "Manage"
    OBSERVE = "Observe"


class AdoptionPolicy(StrEnum):
    """What to do when an external object of the wanted name exists already."""

    ADOPT_OR_CREATE = "AdoptOrCreate"
    ADOPT = "Adopt"
    NEVER = "Never"


class DeletionPolicy(StrEnum):
    """What becomes of the external object when the resource is deleted."""

    DELETE = "Delete"
    RETAIN = "Retain"


class DriftPolicy(StrEnum):
    """What to do when somebody else changed or deleted the external object."""

    CORRECT = "Correct"
    WARN = "Warn"
    IGNORE = "Ignore"
