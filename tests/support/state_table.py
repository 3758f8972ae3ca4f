"""The state table of a serving kind: each row a situation, what it shows, and what kstatus says.

Tests of decisions and of the real kstatus library read the same rows. The table stands in prose in
`docs/architecture.md`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field

from reco.decide.decision import AddFinalizer, CreateExternal, DeleteExternal, UpdateExternal
from reco.decide.model import (
    Absent,
    ErrorClass,
    Failure,
    Situation,
    State,
    Unsupported,
    Update,
    Waiting,
)
from tests.support.situations import (
    desired,
    observed,
    resource,
    settled_status,
    situation,
)


@dataclass(frozen=True)
class Row:
    """One row: the situation, what it shows, and what it does."""

    name: str
    make: Callable[[], Situation]
    ready: str
    available: str
    synced: str
    verdict: str
    """Of kstatus."""
    present: frozenset[str] = field(default_factory=frozenset)
    actions: tuple[type, ...] = ()


WANTED = desired()
PINNED = desired(solutionVersionArn="arn:v2")


def fresh() -> Situation:
    return situation(resource("Campaign", finalizers=()))


def waiting() -> Situation:
    return situation(resource("Campaign"), desired=Waiting("SolutionVersion shop/v does not exist"))


def creating() -> Situation:
    campaign = resource("Campaign")
    return situation(campaign, observation=observed(campaign, WANTED, State.CREATING))


def steady() -> Situation:
    campaign = resource("Campaign", status=settled_status(WANTED))
    return situation(campaign, observation=observed(campaign, WANTED))


def following_a_new_version(state: State | None = None) -> Situation:
    campaign = resource("Campaign", status=settled_status(WANTED))
    update = Update(state, {"solutionVersionArn": "arn:v2"}, "no capacity") if state else None
    there = observed(campaign, WANTED, update=update)
    return situation(campaign, desired=PINNED, observation=there)


def pinned_by_spec(state: State | None = None) -> Situation:
    campaign = resource("Campaign", generation=2, status=settled_status(WANTED))
    update = Update(state, {"solutionVersionArn": "arn:v2"}, "no capacity") if state else None
    there = observed(campaign, WANTED, update=update)
    return situation(campaign, desired=PINNED, observation=there)


def drift(policy: str) -> Situation:
    campaign = resource("Campaign", spec={"driftPolicy": policy}, status=settled_status(WANTED))
    there = observed(campaign, WANTED, fields={**WANTED.fields, "minProvisionedTPS": 9})
    return situation(campaign, observation=there)


def failing(error: ErrorClass, failures: int = 0, *, serving: bool = True) -> Situation:
    campaign = resource("Campaign", status=settled_status(WANTED) if serving else {})
    failure = Failure(error, "the engine's own words", "DescribeCampaign")
    return situation(campaign, observation=failure, failures=failures)


def deleted_by_others(policy: str) -> Situation:
    campaign = resource("Campaign", spec={"driftPolicy": policy}, status=settled_status(WANTED))
    return situation(campaign, observation=Absent())


def paused() -> Situation:
    campaign = resource("Campaign", spec={"suspend": True}, status=settled_status(WANTED))
    there = observed(campaign, WANTED, fields={**WANTED.fields, "minProvisionedTPS": 9})
    return situation(campaign, observation=there)


def stopped() -> Situation:
    return situation(resource("Campaign", spec={"desiredState": "Stopped"}))


def deleting() -> Situation:
    campaign = resource(
        "Campaign",
        spec={"deletionPolicy": "Delete"},
        status=settled_status(WANTED),
        deleted=True,
    )
    return situation(campaign, observation=observed(campaign, WANTED, State.ACTIVE))


def deletion_blocked() -> Situation:
    group = resource("DatasetGroup", status=settled_status(WANTED), deleted=True)
    return situation(group, dependents=[resource("Dataset", "data")])


def unsupported() -> Situation:
    campaign = resource("Campaign", status=settled_status(WANTED))
    return situation(campaign, desired=Unsupported("no such feature"))


REPAIR = frozenset({"Reconciling"})
STALLED = frozenset({"Stalled"})

ROWS = [
    Row("finalizer first", fresh, "Unknown/Creating", "False/Creating", "False/Creating",
        "InProgress", REPAIR, (AddFinalizer,)),
    Row("2 waiting for a version", waiting, "False/AwaitingDependency",
        "False/AwaitingDependency", "Unknown/AwaitingDependency", "InProgress", REPAIR),
    Row("4 not there yet", lambda: situation(resource("Campaign")), "Unknown/Creating",
        "False/Creating", "False/Creating", "InProgress", REPAIR, (CreateExternal,)),
    Row("4 creating", creating, "Unknown/Creating", "False/Creating", "False/Creating",
        "InProgress", REPAIR),
    Row("5 steady", steady, "True/InSync", "True/InSync", "True/InSync", "Current"),
    Row("6 a retrained version rolls out", following_a_new_version, "True/InSync",
        "True/OutOfSync", "False/OutOfSync", "Current", frozenset(), (UpdateExternal,)),
    Row("6 and is on its way", lambda: following_a_new_version(State.CREATING), "True/InSync",
        "True/OutOfSync", "False/OutOfSync", "Current"),
    Row("7 its rollout failed", lambda: following_a_new_version(State.FAILED), "True/InSync",
        "True/ExternalFailure", "False/ExternalFailure", "Current"),
    Row("8 a person pinned a version", pinned_by_spec, "Unknown/OutOfSync", "True/OutOfSync",
        "False/OutOfSync", "InProgress", REPAIR, (UpdateExternal,)),
    Row("8 and it rolls", lambda: pinned_by_spec(State.CREATING), "Unknown/OutOfSync",
        "True/OutOfSync", "False/OutOfSync", "InProgress", REPAIR),
    Row("9 the pinned version failed", lambda: pinned_by_spec(State.FAILED),
        "False/ExternalFailure", "True/ExternalFailure", "False/ExternalFailure", "Failed",
        STALLED),
    Row("11 drift, Warn", lambda: drift("Warn"), "True/InSync", "True/OutOfSync",
        "False/OutOfSync", "Current", frozenset({"Drifted"})),
    Row("11 drift, Ignore", lambda: drift("Ignore"), "True/InSync", "True/InSync",
        "True/InSync", "Current"),
    Row("12 drift, Correct", lambda: drift("Correct"), "Unknown/OutOfSync", "True/OutOfSync",
        "False/OutOfSync", "InProgress", frozenset({"Reconciling", "Drifted"}),
        (UpdateExternal,)),
    Row("13 throttled while serving", lambda: failing(ErrorClass.THROTTLED), "True/InSync",
        "True/InSync", "Unknown/Throttled", "Current"),
    Row("13 throttled before it was made",
        lambda: failing(ErrorClass.THROTTLED, serving=False), "Unknown/Throttled",
        "False/Throttled", "Unknown/Throttled", "InProgress", REPAIR),
    Row("14 denied while serving", lambda: failing(ErrorClass.ACCESS_DENIED), "True/InSync",
        "True/InSync", "Unknown/AccessDenied", "Current", frozenset({"CredentialsValid"})),
    Row("14 denied for long", lambda: failing(ErrorClass.ACCESS_DENIED, 3, serving=False),
        "False/AccessDenied", "False/AccessDenied", "Unknown/AccessDenied", "Failed",
        frozenset({"CredentialsValid", "Stalled"})),
    Row("15 unsupported", unsupported, "False/UnsupportedFeature", "True/InSync",
        "False/UnsupportedFeature", "Failed", STALLED),
    Row("16 deleted by others, Correct", lambda: deleted_by_others("Correct"),
        "False/ExternalDeleted", "False/ExternalDeleted", "False/ExternalDeleted", "InProgress",
        REPAIR),
    Row("16 deleted by others, Warn", lambda: deleted_by_others("Warn"),
        "False/ExternalDeleted", "False/ExternalDeleted", "False/ExternalDeleted", "Failed",
        STALLED),
    Row("17 paused", paused, "True/InSync", "True/OutOfSync", "False/OutOfSync", "Current",
        frozenset({"Paused", "Drifted"})),
    Row("18 stopped by desiredState", stopped, "True/Suspended", "False/Suspended",
        "True/Suspended", "Current"),
    Row("19 deleting", deleting, "False/Deleting", "False/Deleting", "Unknown/Deleting",
        "Terminating", REPAIR, (DeleteExternal,)),
]  # fmt: skip
