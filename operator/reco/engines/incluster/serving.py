"""Campaigns and event trackers in the cluster: Deployments that answer, and how many of them."""

import math
import uuid
from typing import Any, Final

from reco.api.in_cluster import Resources
from reco.api.resource import Resource
from reco.decide import names
from reco.decide.model import Unsupported, Waiting
from reco.decide.references import References
from reco.engines.incluster import pods, schemas
from reco.engines.incluster.place import Place, address, group_of, runtime_name
from reco.engines.incluster.pods import Program
from reco.engines.incluster.records import recipe_of
from reco.engines.incluster.rendering import Rendered, Rendering, id_of
from reco.workload.addresses import PORT, arn, campaign_service, service
from reco.workload.tasks import CollectorTask, ConsumerTask, RankerTask

ANNOTATION_VERSION: Final = "reco.dev/solution-version"
"""On a ranker's pods: the id of the version that they serve."""
_RANKER: Final = Resources(cpu="250m", memory="512Mi")
_EVENTS: Final = Resources(cpu="100m", memory="256Mi")
_TRACKERS: Final = uuid.UUID("6a1f3f0e-6d0f-5d53-9c0b-3e1f0a7b9d11")


def campaign(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a Campaign that serves the version chosen for it (`references.direct["version"]`)."""
    spec = resource.spec
    wanted = spec.campaign_config.manifest() if spec.campaign_config is not None else {}
    if wanted.get("syncWithLatestSolutionVersion"):
        return Unsupported(
            "spec.campaignConfig.syncWithLatestSolutionVersion: the engine InCluster moves no"
            " campaign by itself: use spec.version.follow"
        )
    if any(float(value) for value in wanted.get("rankingInfluence", {}).values()):
        return Unsupported("spec.campaignConfig.rankingInfluence: the engine InCluster has none")
    solution, version = references.direct["solutionRef"], references.direct.get("version")
    if version is None:
        return Waiting(f"{solution.key} has no version to serve yet")
    artifact, recipe = version.status.artifact, recipe_of(solution)
    if artifact is None or recipe is None:
        return Waiting(f"{version.key} has no model yet")
    group = group_of(references.lineage)
    program = Program(
        role="ranker",
        group=group,
        arguments=("serve", "ranker"),
        task=RankerTask(
            group=place.group(group),
            campaign=names.external_name(resource),
            arn=arn("campaign", names.external_name(resource)),
            version=names.external_name(version),
            artifact=artifact,
            recipe=recipe.name,
            online_store=place.online_store(group),
            exploration=wanted.get("itemExplorationConfig", {}),
            metadata=wanted.get("enableMetadataWithRecommendations", False),
            authentication=place.authentication(),
            allowed_origins=place.allowed_origins,
            port=PORT,
        ),
        placement=place.settings.serving,
        default=_RANKER,
        environment=[*place.storage_environment(), *place.store_environment(group)],
        volumes=[*place.volumes(), *place.client_keys()],
    )
    name = campaign_service(names.external_name(resource), resource.key.namespace)
    rankers = pods.deployment(
        place,
        resource,
        name,
        program,
        progress_seconds=place.settings.serving.progress_deadline_seconds,
    )
    rankers["spec"]["template"]["metadata"]["annotations"] = {ANNOTATION_VERSION: id_of(version)}
    return Rendered(
        [
            rankers,
            pods.service(place, resource, name, "ranker"),
            _autoscaler(place, resource, name),
            pods.disruption_budget(place, resource, name, "ranker"),
            pods.config_map(
                place,
                resource,
                service(resource.key.name, "endpoint"),
                "endpoint",
                {
                    "endpoint": runtime_endpoint(group),
                    "campaignArn": arn("campaign", names.external_name(resource)),
                },
            ),
        ],
        rolls=True,
    )


def runtime_endpoint(group: Resource) -> str:
    """Return where the runtime API answers for all campaigns of a group."""
    return address(runtime_name(group), group.key.namespace)


def replicas(place: Place, throughput: int) -> tuple[int, int]:
    """Return the fewest and the most rankers for a campaign's `minProvisionedTPS`."""
    serving = place.settings.serving
    fewest = max(
        serving.min_replicas, math.ceil(throughput / serving.requests_per_second_per_replica)
    )
    return fewest, max(fewest, serving.max_replicas)


def _autoscaler(place: Place, resource: Resource, name: str) -> dict[str, Any]:
    serving = place.settings.serving
    fewest, most = replicas(place, resource.spec.min_provisioned_tps)
    return pods.named(
        place,
        resource,
        "HorizontalPodAutoscaler",
        name,
        "ranker",
        spec={
            "scaleTargetRef": {"apiVersion": "apps/v1", "kind": "Deployment", "name": name},
            "minReplicas": fewest,
            "maxReplicas": most,
            "metrics": [
                {
                    "type": "Resource",
                    "resource": {
                        "name": "cpu",
                        "target": {
                            "type": "Utilization",
                            "averageUtilization": serving.target_cpu_utilization,
                        },
                    },
                }
            ],
            "behavior": {"scaleDown": {"stabilizationWindowSeconds": serving.scale_down_seconds}},
        },
    )


def event_tracker(resource: Resource, references: References, place: Place) -> Rendering:
    """Render an EventTracker: collectors that take events in, and a consumer that spreads them."""
    group = references.direct["datasetGroupRef"]
    store, environment = place.online_store(group), place.store_environment(group)
    name = collector_name(resource)
    datasets, fields = _datasets(references)
    collectors = Program(
        role="collector",
        group=group,
        arguments=("serve", "collector"),
        task=CollectorTask(
            group=place.claimant(group, references),
            tracking_id=tracking_id(resource),
            tracker=names.external_name(resource),
            online_store=store,
            datasets=datasets,
            fields=fields,
            authentication=place.authentication(),
            allowed_origins=place.allowed_origins,
            port=PORT,
        ),
        placement=place.settings.events,
        default=_EVENTS,
        environment=environment,
        volumes=place.client_keys(),
    )
    consumers = Program(
        role="consumer",
        group=group,
        arguments=("serve", "consumer"),
        task=ConsumerTask(group=place.claimant(group, references), online_store=store, port=PORT),
        placement=place.settings.events,
        default=_EVENTS,
        environment=[*environment, *place.storage_environment()],
        volumes=place.volumes(),
    )
    return Rendered(
        [
            pods.deployment(place, resource, name, collectors, replicas=2),
            pods.service(place, resource, name, "collector"),
            pods.disruption_budget(place, resource, name, "collector"),
            pods.deployment(
                place, resource, service(resource.key.name, "consumer"), consumers, replicas=1
            ),
            pods.config_map(
                place,
                resource,
                service(resource.key.name, "events-endpoint"),
                "endpoint",
                {"endpoint": events_endpoint(resource), "trackingId": tracking_id(resource)},
            ),
        ],
        rolls=True,
    )


def tracking_id(resource: Resource) -> str:
    """Return a tracker's id: the same for the same name, so that a rebuilt estate keeps it."""
    return str(uuid.uuid5(_TRACKERS, names.external_name(resource)))


def collector_name(resource: Resource) -> str:
    """Return the name of a tracker's collectors."""
    return service(resource.key.name, "events")


def events_endpoint(resource: Resource) -> str:
    """Return where the events API answers."""
    return address(collector_name(resource), resource.key.namespace)


def _datasets(references: References) -> tuple[dict[str, str], dict[str, Any]]:
    """Return names and schemas of the datasets that PutItems and PutUsers may fill, by type."""
    found = {one.key: one for one in references.siblings}
    datasets, fields = {}, {}
    for one in found.values():
        if one.key.kind != "Dataset" or one.spec is None:
            continue
        schema = next(
            (
                other
                for other in found.values()
                if other.key.kind == "Schema" and other.key.name == one.spec.schema_ref.name
            ),
            None,
        )
        type_ = one.spec.type.value
        if type_ in {"Items", "Users"} and schema is not None and schema.spec is not None:
            datasets[type_] = names.external_name(one)
            fields[type_] = schemas.fields(schema.spec.avro)
    return datasets, fields
