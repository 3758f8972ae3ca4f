"""The table of kinds: all that differs between resources and can be said in a row.

The generic lifecycle (``lifecycle``) reads these rows; rules that need code of their own stand in
``creation``, ``updates`` and ``settling``. Texts are the service's own where a recording shows
them; the others follow the nearest recorded pattern.
"""

from dataclasses import dataclass

IN_PROGRESS = frozenset({"CREATE PENDING", "CREATE IN_PROGRESS", "CREATE STOPPING"})
"""States in which a resource counts against the quotas of work in progress."""

GOING = frozenset({"DELETE PENDING", "DELETE IN_PROGRESS"})
"""States of a resource whose deletion was asked for."""


@dataclass(frozen=True, slots=True)
class Phase:
    """How long a transition takes (virtual seconds), and how much of that it only waits."""

    total: float
    pending: float

    def within(self, total: float) -> "Phase":
        """Stretch or shrink to another total; the waiting never takes more than half of it."""
        return Phase(total, min(self.pending, total / 2))


PHASES: dict[str, Phase] = {
    "DatasetGroup": Phase(30, 30),
    "DatasetGroupDelete": Phase(30, 30),
    "Dataset": Phase(30, 30),
    "DatasetUpdate": Phase(109, 30),
    "DatasetDelete": Phase(80, 20),
    "DatasetImportJob": Phase(330, 60),
    "Solution": Phase(0, 0),
    "SolutionUpdate": Phase(30, 10),
    "SolutionDelete": Phase(60, 20),
    "SolutionVersion": Phase(1350, 60),
    "SolutionVersion/aws-personalized-ranking": Phase(2440, 60),
    "SolutionVersion/aws-personalized-ranking-v2": Phase(2440, 60),
    "SolutionVersion/aws-sims": Phase(1040, 60),
    "SolutionVersion/aws-similar-items": Phase(2820, 60),
    "SolutionVersion/performHPO": Phase(5400, 60),
    "SolutionVersionStop": Phase(60, 0),
    "Campaign": Phase(600, 60),
    "CampaignUpdate": Phase(840, 10),
    "CampaignDelete": Phase(990, 60),
    "EventTracker": Phase(30, 30),
    "EventTrackerDelete": Phase(30, 10),
}
"""Default durations, from recordings of the service; where it recorded a range, its middle."""


@dataclass(frozen=True, slots=True)
class Quota:
    """At most ``limit`` resources of a kind in a region or a dataset group.

    With ``in_progress`` only work in progress counts; waiting helps then. Without it everything
    that exists counts, and somebody has to delete something.
    """

    limit: int
    scope: str = "region"
    in_progress: bool = False
    try_again: bool = True

    def text(self, limit: int, *, all_active: bool) -> str:
        """Word the refusal as the service does."""
        if self.in_progress:
            advice = " Please try again later." if self.try_again else ""
            return f"More than {limit} resources with PENDING or IN_PROGRESS status.{advice}"
        if all_active:
            return f"More than {limit} resources in ACTIVE state. Please delete some and try again."
        return (
            f"More than {limit} resources with ACTIVE or PENDING or IN_PROGRESS status. "
            "Please try again later."
        )


@dataclass(frozen=True, slots=True)
class Reference:
    """A member of a create request that names another resource, which must be ACTIVE."""

    member: str
    kind: str


@dataclass(frozen=True, slots=True)
class Hold:
    """Something whose existence (or work in progress) forbids a deletion.

    ``by`` is the column of the holder that points at what it holds; ``via`` is the column of the
    held resource that it points at.
    """

    kind: str
    by: str
    text: str
    via: str = "arn"
    in_progress: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource.

    ``noun`` is its word in ARNs, ``member`` the key of a Describe answer, ``parent`` the member
    that names the resource it is listed under. An ``opaque`` kind's ARN ends in random hex
    digits. ``cascade`` names the kinds that vanish with it.
    """

    name: str
    noun: str
    member: str
    parent: Reference | None = None
    references: tuple[Reference, ...] = ()
    name_member: str = "name"
    has_status: bool = True
    has_failure_reason: bool = True
    taggable: bool = True
    missing: str = "Resource Arn {arn} does not exist."
    quotas: tuple[Quota, ...] = ()
    holds: tuple[Hold, ...] = ()
    cascade: tuple[str, ...] = ()

    @property
    def arn_member(self) -> str:
        """Name the member that holds the ARN, in requests and answers."""
        return f"{self.member}Arn"

    @property
    def list_member(self) -> str:
        """Name the member of a List answer that holds the summaries."""
        return f"{self.member}s"


_GROUP = Reference("datasetGroupArn", "DatasetGroup")
_SCHEMA = Reference("schemaArn", "Schema")
_DATASET = Reference("datasetArn", "Dataset")
_SOLUTION = Reference("solutionArn", "Solution")

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="DatasetGroup",
            noun="dataset-group",
            member="datasetGroup",
            missing="The given dataset group does not exist: {arn}",
            quotas=(Quota(5),),
            holds=tuple(
                Hold(
                    kind,
                    "dataset_group",
                    f"The provided dataset-group is being referenced by one or more {noun}s",
                )
                for kind, noun in (
                    ("Solution", "solution"),
                    ("EventTracker", "event-tracker"),
                    ("Dataset", "dataset"),
                )
            ),
        ),
        Kind(
            name="Schema",
            noun="schema",
            member="schema",
            has_status=False,
            has_failure_reason=False,
            taggable=False,
            quotas=(Quota(500),),
            holds=(
                Hold(
                    "Dataset",
                    "schema_arn",
                    "The provided schema is being referenced by one or more datasets",
                ),
            ),
        ),
        Kind(
            name="Dataset",
            noun="dataset",
            member="dataset",
            parent=_GROUP,
            references=(_GROUP, _SCHEMA),
            has_failure_reason=False,
            holds=(
                Hold(
                    "DatasetImportJob",
                    "parent",
                    "The provided dataset is being referenced by a dataset import job in progress",
                    in_progress=True,
                ),
                Hold(
                    "SolutionVersion",
                    "dataset_group",
                    "The provided dataset is being referenced by a solution version in progress",
                    via="dataset_group",
                    in_progress=True,
                ),
                Hold(
                    "Campaign",
                    "dataset_group",
                    "The provided dataset is being referenced by one or more campaigns",
                    via="dataset_group",
                ),
            ),
            cascade=("DatasetImportJob",),
        ),
        Kind(
            name="DatasetImportJob",
            noun="dataset-import-job",
            member="datasetImportJob",
            name_member="jobName",
            parent=_DATASET,
            references=(_DATASET,),
            quotas=(Quota(5, in_progress=True, try_again=False),),
        ),
        Kind(
            name="Solution",
            noun="solution",
            member="solution",
            parent=_GROUP,
            references=(_GROUP,),
            has_failure_reason=False,
            missing="The given solution does not exist: {arn}",
            quotas=(Quota(10, scope="dataset_group"),),
            holds=(
                Hold(
                    "Campaign",
                    "parent",
                    "Solution ARN {arn} is being referenced in one or more campaigns",
                ),
                Hold(
                    "SolutionVersion",
                    "parent",
                    "Solution ARN {arn} has one or more solution versions in progress",
                    in_progress=True,
                ),
            ),
            cascade=("SolutionVersion",),
        ),
        Kind(
            name="SolutionVersion",
            noun="solution",
            member="solutionVersion",
            parent=_SOLUTION,
            references=(_SOLUTION,),
            missing="The given solution does not exist: {arn}",
            quotas=(Quota(20, in_progress=True),),
        ),
        Kind(
            name="Campaign",
            noun="campaign",
            member="campaign",
            parent=_SOLUTION,
            quotas=(Quota(5, scope="dataset_group"),),
        ),
        Kind(
            name="EventTracker",
            noun="event-tracker",
            member="eventTracker",
            parent=_GROUP,
            references=(_GROUP,),
            has_failure_reason=False,
        ),
    )
}
