"""What differs from kind to kind, as a table: everything else is the generic lifecycle."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from reco.api.resource import Resource
from reco.api.vocabulary import Reason
from reco.decide import imports, rollout, schedule, training
from reco.decide.decision import Decision
from reco.decide.model import Observed, Situation, Waiting
from reco.decide.references import Lookup, References


def _no_problem(_resource: Resource) -> str | None:
    return None


def _as_found(_resource: Resource, references: References, _lookup: Lookup) -> References | Waiting:
    return references


def _unchanged(_situation: Situation, decision: Decision) -> Decision:
    return decision


def _never(_situation: Situation) -> Decision | None:
    return None


def _nothing_more(_situation: Situation, _observed: Observed) -> Mapping[str, Any]:
    return {}


def _by_nobody(_situation: Situation) -> Sequence[Resource]:
    return ()


ITSELF = ""


@dataclass(frozen=True, slots=True)
class Rules:
    """How one kind differs from the generic lifecycle."""

    stoppable: bool = False
    """Whether a run of it can be stopped."""
    outlives_external: bool = False
    """Whether a finished run stays finished when its external object goes."""
    moving: Reason = Reason.CREATING
    """What it is doing while the engine works on it."""
    done: Reason = Reason.IN_SYNC
    """What it has done when the engine is through."""
    problem: Callable[[Resource], str | None] = _no_problem
    """What is wrong with a spec that no schema can see."""
    complete: Callable[[Resource, References, Lookup], References | Waiting] = _as_found
    """Adds what the spec names only indirectly, such as the version that a campaign follows."""
    related: Mapping[str, str] = field(default_factory=dict)
    """Kinds of other resources that the kind's decisions look at: those that name the resource
    (`ITSELF`), or that name the same as one of its references does."""
    instead: Callable[[Situation], Decision | None] = _never
    """A decision that takes the place of the generic one, such as for a stopped campaign, about
    what is not there, or is there and was taken charge of."""
    held_by: Callable[[Situation], Sequence[Resource]] = _by_nobody
    """Other resources that can't do without this one, though their specs don't name it."""
    details: Callable[[Situation, Observed], Mapping[str, Any]] = _nothing_more
    """Status fields of the kind's own, read off the external object."""
    orchestrate: Callable[[Situation, Decision], Decision] = _unchanged
    """Adds the resources that this one makes and prunes."""


def version_details(_situation: Situation, observed: Observed) -> Mapping[str, Any]:
    """Return a trained version's own status fields."""
    names = {
        "metrics": "metrics",
        "training_hours": "trainingHours",
        "training_type": "trainingType",
        "artifact": "artifact",
        "needs": "needs",
    }
    return {
        field: observed.details[key]
        for key, field in names.items()
        if observed.details.get(key) is not None
    }


def tracker_details(_situation: Situation, observed: Observed) -> Mapping[str, Any]:
    """Return an event tracker's own status fields."""
    return {
        "trackingID": observed.details.get("tracking_id"),
        "endpoint": observed.details.get("endpoint"),
    }


RULES: dict[str, Rules] = {
    "DatasetGroup": Rules(),
    "Schema": Rules(),
    "Dataset": Rules(
        problem=schedule.problem_of_dataset,
        related={"DatasetImportJob": ITSELF},
        orchestrate=imports.orchestrate,
    ),
    "DatasetImportJob": Rules(
        complete=imports.with_schema,
        outlives_external=True,
        moving=Reason.IMPORTING,
        done=Reason.IMPORTED,
    ),
    "Solution": Rules(
        problem=schedule.problem_of_solution,
        related={
            "Dataset": "datasetGroupRef",
            "EventTracker": "datasetGroupRef",
            "SolutionVersion": ITSELF,
            "Campaign": ITSELF,
        },
        orchestrate=training.orchestrate,
    ),
    "SolutionVersion": Rules(
        stoppable=True,
        moving=Reason.TRAINING,
        done=Reason.TRAINED,
        related={"SolutionVersion": "solutionRef", "Campaign": "solutionRef"},
        held_by=rollout.served_by,
        details=version_details,
    ),
    "Campaign": Rules(
        complete=rollout.choose_version,
        related={"SolutionVersion": "solutionRef"},
        instead=rollout.instead,
        details=rollout.details,
    ),
    "EventTracker": Rules(
        complete=imports.with_datasets,
        related={"Dataset": "datasetGroupRef"},
        details=tracker_details,
    ),
}


def related(
    resource: Resource, references: References, lookup: Lookup
) -> Mapping[str, Sequence[Resource]]:
    """Return the other resources that decisions about a resource look at, by kind."""
    found: dict[str, Sequence[Resource]] = {}
    for kind, shared in RULES[resource.key.kind].related.items():
        named = resource if shared == ITSELF else references.direct.get(shared)
        found[kind] = lookup.referring(named.key, kind) if named is not None else ()
    return found


def onlookers(kind: str) -> list[str]:
    """Return the kinds that look at resources of a kind beside them, which they don't name.

    Not the kind itself: what a resource writes must not wake it again.
    """
    return [
        other
        for other, rules in RULES.items()
        if other != kind and rules.related.get(kind, ITSELF) != ITSELF
    ]
