"""A dataset group in the cluster: an online store, a catalog of its storage, and one runtime.

The online store is a Valkey server with a volume and an append-only file that is written through
before a write is acknowledged: an event that a client was told is kept must survive a crash.
"""

from typing import Any, Final

from reco.api.in_cluster import ManagedStore, Resources
from reco.api.resource import Resource
from reco.api.vocabulary import DeletionPolicy
from reco.decide import names
from reco.decide.deletion import policy
from reco.decide.model import Unsupported
from reco.decide.references import References
from reco.engines.incluster import pods, traffic
from reco.engines.incluster.objects import quantity
from reco.engines.incluster.place import (
    Place,
    catalog_name,
    memory_limit,
    resources,
    runtime_name,
    store_name,
)
from reco.engines.incluster.pods import Program
from reco.engines.incluster.rendering import Rendered, Rendering, Secret
from reco.workload.addresses import PORT, STORE_PORT
from reco.workload.tasks import PASSWORD_VARIABLE, CatalogTask, RuntimeTask

_SMALL: Final = Resources(cpu="50m", memory="256Mi")
_STORE: Final = Resources(cpu="100m", memory="512Mi")


def dataset_group(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a DatasetGroup; its catalog stands for the whole."""
    spec = resource.spec
    if spec.domain is not None:
        return Unsupported(
            "spec.domain: the engine InCluster has no domain dataset groups: leave it out"
        )
    if spec.kms_key_arn is not None or spec.role_arn is not None:
        return Unsupported(
            "spec.kmsKeyARN and spec.roleARN: the engine InCluster has no KMS; encrypt the bucket"
            " or the volume instead"
        )
    objects = [
        _catalog(place, resource, references),
        *_runtime(place, resource),
        *traffic.policies(place, resource),
    ]
    namespace, name = resource.key.namespace, names.external_name(resource)
    token = Secret(
        place.token_secret(resource), "token", place.credentials.catalog_token(namespace, name)
    )
    managed = place.settings.online_store.managed
    if managed is None:
        return Rendered(objects, rolls=True, secrets=(token,))
    store = store_name(resource)
    password = Secret(
        store,
        "password",
        place.credentials.store_password(namespace, store),
        goes_with=f"StatefulSet/{store}",
    )
    objects += _online_store(place, resource, managed)
    return Rendered(objects, rolls=True, secrets=(token, password))


def _catalog(place: Place, resource: Resource, references: References) -> dict[str, Any]:
    environment = [
        *place.token_environment(resource),
        *place.storage_environment(),
        *place.source_environment(),
    ]
    store = None
    if place.settings.online_store.managed is None:
        store = place.online_store(resource)
        environment += place.store_environment(resource)
    program = Program(
        role="catalog",
        group=resource,
        arguments=("serve", "catalog"),
        task=CatalogTask(
            group=place.claimant(resource, references),
            sources=place.sources(),
            online_store=store,
            port=PORT,
        ),
        placement=place.settings.events,
        default=_SMALL,
        environment=environment,
        volumes=place.volumes(),
    )
    return pods.deployment(place, resource, catalog_name(resource), program, replicas=1)


def _runtime(place: Place, resource: Resource) -> list[dict[str, Any]]:
    name = runtime_name(resource)
    program = Program(
        role="runtime",
        group=resource,
        arguments=("serve", "runtime"),
        task=RuntimeTask(
            namespace=resource.key.namespace,
            authentication=place.authentication(),
            allowed_origins=place.allowed_origins,
            port=PORT,
        ),
        placement=place.settings.events,
        default=_SMALL,
        volumes=place.client_keys(),
    )
    return [
        pods.deployment(place, resource, name, program, replicas=2),
        pods.service(place, resource, name, "runtime"),
        pods.disruption_budget(place, resource, name, "runtime"),
    ]


def _online_store(place: Place, resource: Resource, store: ManagedStore) -> list[dict[str, Any]]:
    name = store_name(resource)
    labels = place.labels(resource, "online-store")
    selector = pods.selector(labels)
    goes_along = policy(resource, place.view) is DeletionPolicy.DELETE
    claim: dict[str, Any] = {
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "resources": {"requests": {"storage": store.storage}},
        },
    }
    if store.storage_class_name is not None:
        claim["spec"]["storageClassName"] = store.storage_class_name
    stateful_set = pods.named(
        place,
        resource,
        "StatefulSet",
        name,
        "online-store",
        holds_data=True,
        spec={
            "serviceName": name,
            "replicas": 1,
            # With OrderedReady, a pod that never gets ready is not replaced by a mended one.
            "podManagementPolicy": "Parallel",
            "selector": {"matchLabels": selector},
            "persistentVolumeClaimRetentionPolicy": {
                "whenDeleted": "Delete" if goes_along else "Retain",
                "whenScaled": "Retain",
            },
            "template": {
                "metadata": {"labels": place.pod_labels(resource, "online-store", resource)},
                "spec": pods.pod_spec(place, place.settings.events)
                | {
                    "terminationGracePeriodSeconds": 60,
                    "containers": [_valkey(place, resource, store)],
                },
            },
            "volumeClaimTemplates": [claim],
        },
    )
    service = pods.named(
        place,
        resource,
        "Service",
        name,
        "online-store",
        holds_data=True,
        spec={
            "clusterIP": "None",
            "selector": selector,
            "ports": [
                {
                    "name": "valkey",
                    "port": STORE_PORT,
                    "targetPort": "valkey",
                    "protocol": "TCP",
                }
            ],
        },
    )
    return [stateful_set, service]


def _valkey(place: Place, resource: Resource, store: ManagedStore) -> dict[str, Any]:
    rendered = resources(store.resources, _STORE)
    limit = memory_limit(rendered)
    number = quantity(store.max_memory) if store.max_memory is not None else None
    most = int(number) if number is not None else (limit or 0) * 3 // 4
    settings = {
        "--dir": "/data",
        "--appendonly": "yes",
        # Written through before a write is acknowledged: see the module's docstring.
        "--appendfsync": "always",
        "--save": "",
        "--maxmemory": str(most),
        # Full means that writers wait, not that somebody's history is dropped.
        "--maxmemory-policy": "noeviction",
        # Of the memory for data: keys that rankers have read and are told of when they change.
        "--tracking-table-max-keys": "100000",
        "--requirepass": f"$({PASSWORD_VARIABLE})",
        "--port": str(STORE_PORT),
    }
    probe = {"tcpSocket": {"port": "valkey"}}
    return {
        "name": "online-store",
        **place.pulled(place.settings.images.valkey),
        "args": [word for pair in settings.items() for word in pair],
        "env": place.store_environment(resource),
        "resources": rendered,
        "securityContext": pods.SECURITY,
        "ports": [{"name": "valkey", "containerPort": STORE_PORT, "protocol": "TCP"}],
        "readinessProbe": probe | {"periodSeconds": 2},
        "livenessProbe": probe | {"periodSeconds": 10, "failureThreshold": 6},
        "volumeMounts": [{"name": "data", "mountPath": "/data"}],
    }
