"""The table of kinds: one row says all that generic code needs to know of a kind.

Adding a kind is a module with its two models, a row here, and a driver in each engine.
"""

from collections.abc import Callable
from dataclasses import dataclass

from reco.api.base import ApiModel, ExternalStatus, SharedSpec, SharedStatus
from reco.api.campaign import CampaignSpec, CampaignStatus
from reco.api.dataset import DatasetSpec, DatasetStatus
from reco.api.dataset_group import DatasetGroupSpec, DatasetGroupStatus
from reco.api.dataset_import_job import DatasetImportJobSpec, DatasetImportJobStatus
from reco.api.engine_class import EngineClassSpec, EngineClassStatus
from reco.api.event_tracker import EventTrackerSpec, EventTrackerStatus
from reco.api.schema import SchemaSpec, SchemaStatus
from reco.api.solution import SolutionSpec, SolutionStatus
from reco.api.solution_version import SolutionVersionSpec, SolutionVersionStatus


@dataclass(frozen=True, slots=True)
class ReferenceField:
    """A spec field that names another resource."""

    path: str
    """Where the field stands in the manifest's spec, such as `datasetGroupRef.name`."""
    target: str
    """The kind it names."""
    name: Callable[..., str | None]
    """Reads the name out of the spec model; None where the field is left out."""
    parent: bool = False
    """Whether the target leads on to the DatasetGroup, and so to the EngineClass."""


@dataclass(frozen=True, slots=True)
class Column:
    """A column of `kubectl get`."""

    name: str
    json_path: str
    type: str = "string"
    wide: bool = False


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of resource."""

    name: str
    plural: str
    short_names: tuple[str, ...]
    spec: type[ApiModel]
    status: type[SharedStatus]
    references: tuple[ReferenceField, ...] = ()
    columns: tuple[Column, ...] = ()
    selectable: tuple[str, ...] = ()
    """JSON paths that `--field-selector` understands."""
    namespaced: bool = True
    serves: bool = False
    """Whether consumers are served by it, so that it has the condition Available."""
    runs_to_completion: bool = False
    """Whether it is a job, so that it has the condition Succeeded."""
    retained_by_default: bool = False
    """Whether deleting the resource keeps the object: it holds data, cost a training, or is what
    such data can't be without."""
    lives_in_parent: bool = False
    """Whether its object is part of its parent's and goes with it: whose the parent is, its is."""

    @property
    def singular(self) -> str:
        """The singular name in lower case."""
        return self.name.lower()

    @property
    def external(self) -> bool:
        """Whether it stands for an object in an engine."""
        return issubclass(self.spec, SharedSpec) and issubclass(self.status, ExternalStatus)

    @property
    def editable_until_made(self) -> bool:
        """Whether even immutable fields may change until the external object was once in sync.

        So what the engine refused, or a mistyped name of what is adopted, is corrected by an edit.
        A job is what it was asked to run from the start, and an EngineClass is what others were
        made with.
        """
        return self.external and not self.runs_to_completion


def condition_column(name: str, condition: str, field: str = "status") -> Column:
    """Return a column that shows one field of one condition."""
    return Column(name, f'.status.conditions[?(@.type=="{condition}")].{field}')


_READY = condition_column("Ready", "Ready")
_SUCCEEDED = condition_column("Succeeded", "Succeeded")
_REASON = condition_column("Reason", "Ready", "reason")
_ENGINE = Column("Engine", ".status.engineClassName")
_AGE = Column("Age", ".metadata.creationTimestamp", "date")
_EXTERNAL = Column("External", ".status.external.name", wide=True)
_MESSAGE = Column("Message", '.status.conditions[?(@.type=="Ready")].message', wide=True)
_TAIL = (_REASON, _AGE, _EXTERNAL, _MESSAGE)

_GROUP = ReferenceField(
    "datasetGroupRef.name", "DatasetGroup", lambda spec: spec.dataset_group_ref.name, parent=True
)
_CLASS = ReferenceField(
    "engineClassName", "EngineClass", lambda spec: spec.engine_class_name, parent=True
)
_SOLUTION = ReferenceField(
    "solutionRef.name", "Solution", lambda spec: spec.solution_ref.name, parent=True
)

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Kind(
            name="EngineClass",
            plural="engineclasses",
            short_names=("rec",),
            spec=EngineClassSpec,
            status=EngineClassStatus,
            namespaced=False,
            columns=(
                _READY,
                Column("Engine", ".spec.engine"),
                Column("Region", ".spec.personalize.region"),
                _REASON,
                _AGE,
                _MESSAGE,
            ),
            selectable=(".spec.engine",),
        ),
        Kind(
            name="DatasetGroup",
            plural="datasetgroups",
            short_names=("dsg",),
            spec=DatasetGroupSpec,
            status=DatasetGroupStatus,
            references=(_CLASS,),
            columns=(_READY, _ENGINE, *_TAIL),
            selectable=(".spec.engineClassName",),
            retained_by_default=True,
        ),
        Kind(
            name="Schema",
            plural="schemas",
            short_names=("rsch",),
            spec=SchemaSpec,
            status=SchemaStatus,
            references=(_CLASS,),
            columns=(_READY, _ENGINE, *_TAIL),
            selectable=(".spec.engineClassName",),
            retained_by_default=True,
        ),
        Kind(
            name="Dataset",
            plural="datasets",
            short_names=("dset",),
            spec=DatasetSpec,
            status=DatasetStatus,
            references=(
                _GROUP,
                ReferenceField("schemaRef.name", "Schema", lambda spec: spec.schema_ref.name),
            ),
            columns=(
                _READY,
                Column("Type", ".spec.type"),
                Column("Group", ".spec.datasetGroupRef.name"),
                Column("Last Import", ".status.import.lastSuccessfulTime", "date"),
                *_TAIL,
            ),
            selectable=(".spec.datasetGroupRef.name", ".spec.type"),
            retained_by_default=True,
            lives_in_parent=True,
        ),
        Kind(
            name="DatasetImportJob",
            plural="datasetimportjobs",
            short_names=("dij",),
            spec=DatasetImportJobSpec,
            status=DatasetImportJobStatus,
            references=(
                ReferenceField(
                    "datasetRef.name",
                    "Dataset",
                    lambda spec: spec.dataset_ref.name,
                    parent=True,
                ),
            ),
            columns=(
                _SUCCEEDED,
                Column("Dataset", ".spec.datasetRef.name"),
                Column("Mode", ".spec.mode"),
                *_TAIL,
            ),
            selectable=(".spec.datasetRef.name",),
            runs_to_completion=True,
            retained_by_default=True,
        ),
        Kind(
            name="Solution",
            plural="solutions",
            short_names=("sol",),
            spec=SolutionSpec,
            status=SolutionStatus,
            references=(_GROUP,),
            columns=(
                _READY,
                Column("Recipe", ".spec.recipe"),
                Column("Latest", ".status.training.latest"),
                Column("Last Trained", ".status.training.lastTrainedTime", "date"),
                Column("Next", ".status.training.nextScheduleTime"),
                *_TAIL,
            ),
            selectable=(".spec.datasetGroupRef.name", ".spec.recipe"),
            retained_by_default=True,
        ),
        Kind(
            name="SolutionVersion",
            plural="solutionversions",
            short_names=("solv",),
            spec=SolutionVersionSpec,
            status=SolutionVersionStatus,
            references=(_SOLUTION,),
            columns=(
                _SUCCEEDED,
                Column("Solution", ".spec.solutionRef.name"),
                Column("Mode", ".spec.trainingMode"),
                Column("NDCG@10", ".status.metrics.normalized_discounted_cumulative_gain_at_10"),
                *_TAIL,
            ),
            selectable=(".spec.solutionRef.name",),
            runs_to_completion=True,
            retained_by_default=True,
            lives_in_parent=True,
        ),
        Kind(
            name="Campaign",
            plural="campaigns",
            short_names=("camp",),
            spec=CampaignSpec,
            status=CampaignStatus,
            references=(
                _SOLUTION,
                ReferenceField("version.name", "SolutionVersion", lambda spec: spec.version.name),
            ),
            columns=(
                _READY,
                condition_column("Available", "Available"),
                Column("Version", ".status.serving.current"),
                _ENGINE,
                *_TAIL,
            ),
            selectable=(".spec.solutionRef.name",),
            serves=True,
        ),
        Kind(
            name="EventTracker",
            plural="eventtrackers",
            short_names=("evt",),
            spec=EventTrackerSpec,
            status=EventTrackerStatus,
            references=(_GROUP,),
            columns=(
                _READY,
                Column("Group", ".spec.datasetGroupRef.name"),
                Column("Tracking ID", ".status.trackingID"),
                *_TAIL,
            ),
            selectable=(".spec.datasetGroupRef.name",),
        ),
    )
}
"""All kinds by name, in the order in which things are made."""

EXTERNAL_KINDS = frozenset(name for name, kind in KINDS.items() if kind.external)
"""Kinds that stand for an object in an engine."""
