"""The table of kinds: how each is rendered, judged and deleted in the cluster."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from reco.api.resource import Resource
from reco.decide import names
from reco.decide.model import Observed
from reco.decide.references import References
from reco.engines.incluster import deletion, groups, judging, pods, records, serving, tasks
from reco.engines.incluster.judging import Judge, Seen
from reco.engines.incluster.known import Known
from reco.engines.incluster.objects import Manifest, ObjectKey
from reco.engines.incluster.place import Place
from reco.engines.incluster.rendering import Rendering
from reco.workload.addresses import arn


def _nowhere(_seen: Seen) -> ObjectKey | None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Driver:
    """One kind in the cluster."""

    kind: str
    noun: str
    """What its ids are called."""
    main: tuple[str, str]
    """Kind and role of the object that stands for the whole."""
    render: Callable[[Resource, References, Place], Rendering]
    judge: Judge
    identify: Callable[[Resource, References], str] | None = None
    """The id, where it is not just the noun and the external name."""
    beyond: Callable[[Seen], ObjectKey | None] = _nowhere
    """The object to ask when there is no main one, for something may be there all the same."""
    stops_first: bool = False
    """Whether what it does has to be stopped before it is deleted: it writes elsewhere."""
    delete_before: Callable[[Known, Resource, Observed], Awaitable[None]] | None = None
    """What has to be deleted elsewhere before the objects."""

    def goes_last(self, one: Manifest) -> int:
        """Return a key that sorts the main object behind the others.

        So whoever answers for what lies elsewhere is there until all of that is deleted.
        """
        kind, role = self.main
        return int(one["kind"] == kind and pods.plays(one, role))

    def id_of(self, resource: Resource, references: References) -> str:
        """Return the id of a resource's external object: it follows from names alone."""
        if self.identify is not None:
            return self.identify(resource, references)
        return arn(self.noun, names.external_name(resource))


DRIVERS: dict[str, Driver] = {
    driver.kind: driver
    for driver in (
        Driver(
            kind="DatasetGroup",
            noun="dataset-group",
            main=("Deployment", "catalog"),
            render=groups.dataset_group,
            judge=judging.group,
            delete_before=deletion.group,
        ),
        Driver(
            kind="Schema",
            noun="schema",
            main=("ConfigMap", "schema"),
            render=records.schema,
            judge=judging.record,
        ),
        Driver(
            kind="Dataset",
            noun="dataset",
            main=("ConfigMap", "dataset"),
            render=records.dataset,
            judge=judging.dataset,
            delete_before=deletion.dataset,
        ),
        Driver(
            kind="DatasetImportJob",
            noun="dataset-import-job",
            main=("Job", "import"),
            render=tasks.dataset_import_job,
            judge=judging.import_job,
            delete_before=deletion.snapshot,
        ),
        Driver(
            kind="Solution",
            noun="solution",
            main=("ConfigMap", "solution"),
            render=records.solution,
            judge=judging.solution,
        ),
        Driver(
            kind="SolutionVersion",
            noun="solution-version",
            main=("Job", "train"),
            render=tasks.solution_version,
            judge=judging.version,
            identify=judging.identify_version,
            beyond=judging.catalog_of,
            stops_first=True,
            delete_before=deletion.version,
        ),
        Driver(
            kind="Campaign",
            noun="campaign",
            main=("Deployment", "ranker"),
            render=serving.campaign,
            judge=judging.campaign,
        ),
        Driver(
            kind="EventTracker",
            noun="event-tracker",
            main=("Deployment", "collector"),
            render=serving.event_tracker,
            judge=judging.tracker,
        ),
    )
}
"""By kind."""
