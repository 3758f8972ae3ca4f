"""Imports and trainings in the cluster: Jobs that are tried again only where that can help."""

import math
from typing import Any, Final

from reco.api.in_cluster import JobPlacement, Resources
from reco.api.resource import Resource
from reco.decide import names, runs
from reco.decide.model import Unsupported, Waiting
from reco.decide.references import References
from reco.engines.incluster import pods, schemas
from reco.engines.incluster.objects import quantity
from reco.engines.incluster.place import Place, group_of, memory_limit, resources
from reco.engines.incluster.pods import Program
from reco.engines.incluster.records import events_of, hyperparameters, recipe_of
from reco.engines.incluster.rendering import Rendered, Rendering
from reco.workload.addresses import service
from reco.workload.results import EXIT_FAILED, EXIT_KILLED
from reco.workload.tasks import SOURCES, ImportTask, TrainTask

KUEUE_QUEUE: Final = "kueue.x-k8s.io/queue-name"
_IMPORT: Final = Resources(cpu="250m", memory="1Gi")
_TRAIN: Final = Resources(cpu="500m", memory="2Gi")
_RETRIES: Final = 3


def dataset_import_job(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a DatasetImportJob."""
    spec = resource.spec
    dataset = references.direct["datasetRef"]
    if spec.role_arn is not None or spec.publish_attribution_metrics_to_s3:
        return Unsupported(
            "spec.roleARN and spec.publishAttributionMetricsToS3: the engine InCluster has neither"
            " roles nor attribution reports: leave them out"
        )
    schema = next(iter(references.siblings), None)
    if schema is None or schema.spec is None:
        return Waiting(f"the Schema of {dataset.key} does not exist")
    volume = spec.source.persistent_volume_claim
    source = spec.source.s3 or f"file://{SOURCES}/{volume.path}"
    group = group_of(references.lineage)
    program = Program(
        role="import",
        group=group,
        arguments=("job", "import"),
        task=ImportTask(
            group=place.group(group),
            job=names.external_name(resource),
            type=dataset.spec.type.value,
            mode=spec.mode.value,
            asked=runs.started(resource) or resource.created,
            fields=schemas.fields(schema.spec.avro),
            source=source,
            sources=place.sources(),
        ),
        placement=place.settings.jobs,
        default=_IMPORT,
        environment=[*place.storage_environment(), *place.source_environment()],
        volumes=place.volumes(volume.claim_name if volume is not None else None),
    )
    return _job(place, resource, program, place.settings.jobs)


def solution_version(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a SolutionVersion."""
    solution = references.direct["solutionRef"]
    recipe = recipe_of(solution)
    if recipe is None:
        return Unsupported(f"{solution.key} names a recipe that the engine InCluster lacks")
    events = events_of(solution)
    placement = place.settings.training
    limit = memory_limit(resources(placement.resources, _TRAIN))
    group = group_of(references.lineage)
    program = Program(
        role="train",
        group=group,
        arguments=("job", "train"),
        task=TrainTask(
            group=place.group(group),
            solution=names.external_name(solution),
            version=names.external_name(resource),
            recipe=recipe.name,
            mode=resource.spec.training_mode.value,
            hyperparameters=hyperparameters(solution, recipe, place),
            event_type=events["type"],
            event_value_threshold=events["threshold"],
            memory_limit=limit,
        ),
        placement=placement,
        default=_TRAIN,
        environment=[*place.storage_environment(), *_threads(placement.resources)],
        volumes=place.volumes(),
    )
    return _job(place, resource, program, placement)


def _threads(wanted: Resources) -> list[dict[str, Any]]:
    """Let the linear algebra use as many threads as processors were asked for, and no more."""
    cores = quantity(wanted.cpu_limit or wanted.cpu or _TRAIN.cpu or "") or 1
    return [{"name": "OPENBLAS_NUM_THREADS", "value": str(max(1, math.ceil(cores)))}]


def _job(place: Place, resource: Resource, program: Program, placement: JobPlacement) -> Rendered:
    name = service(resource.key.name, program.role)
    job = pods.named(
        place,
        resource,
        "Job",
        name,
        program.role,
        spec={
            "backoffLimit": _RETRIES,
            "activeDeadlineSeconds": placement.deadline_seconds,
            "podFailurePolicy": {"rules": _FAILURE_RULES},
            "template": pods.template(
                place, resource, program, serves=False, restartPolicy="Never"
            ),
        },
    )
    if placement.queue_name is not None:
        job["metadata"]["labels"][KUEUE_QUEUE] = placement.queue_name
    return Rendered((job,), fixed=True)


_FAILURE_RULES: Final = [
    # An eviction, a preemption or a lost node says nothing of the work.
    {
        "action": "Ignore",
        "onPodConditions": [{"type": "DisruptionTarget", "status": "True"}],
    },
    # The same input would fail again, and need as much memory again.
    {
        "action": "FailJob",
        "onExitCodes": {"operator": "In", "values": [EXIT_FAILED, EXIT_KILLED]},
    },
]
