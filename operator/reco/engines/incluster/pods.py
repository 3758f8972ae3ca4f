"""Pods: one shape for all of them, fit for namespaces with pod security `restricted`.

Non-root, read-only root file system, no capabilities, no service account token. A pod is told what
to do by its task; its image and its arguments say which program of ours it runs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, TypeVar

from reco.api.in_cluster import Placement, Resources
from reco.api.resource import Resource
from reco.engines.incluster.objects import Manifest, manifest
from reco.engines.incluster.place import Place, placed, resources
from reco.workload.addresses import HEALTH, PORT, READY, SERVICE_PORT
from reco.workload.tasks import TASK_VARIABLE, Task

OfTask = TypeVar("OfTask", bound=Task)

USER: Final = 65532
DRAIN_SECONDS: Final = 5
"""How long a pod that ends still answers, until nobody sends it anything new."""
GRACE_SECONDS: Final = 45

SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Program:
    """What a pod runs."""

    role: str
    group: Resource
    """The DatasetGroup that it works for."""
    arguments: Sequence[str]
    """Of the command `reco`."""
    task: Task
    placement: Placement
    default: Resources
    """Resources where the class says nothing."""
    environment: Sequence[Mapping[str, Any]] = ()
    volumes: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]] = field(default_factory=list)


def template(
    place: Place, resource: Resource, program: Program, *, serves: bool, **spec: object
) -> dict[str, Any]:
    """Return a pod template; `spec` adds fields to the pod's spec."""
    container: dict[str, Any] = {
        "name": program.role,
        **place.pulled(place.engine_image),
        "args": list(program.arguments),
        "env": [
            {"name": TASK_VARIABLE, "value": program.task.environment()},
            *program.environment,
        ],
        "resources": resources(program.placement.resources, program.default),
        "securityContext": SECURITY,
        "volumeMounts": [
            {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108 - an emptyDir of the pod's own
            *(mount for _, mount in program.volumes),
        ],
    }
    if serves:
        container |= _serving()
    return {
        "metadata": {"labels": place.pod_labels(resource, program.role, program.group)},
        "spec": pod_spec(place, program.placement)
        | {
            "containers": [container],
            "volumes": [{"name": "tmp", "emptyDir": {}}, *(one for one, _ in program.volumes)],
        }
        | spec,
    }


def task_of(workload: Manifest, sort: type[OfTask]) -> OfTask:
    """Return the task that the pods of a Job, say, are given.

    Raises:
        ValueError: there is none, or it is no task of this sort.
    """
    given = workload["spec"]["template"]["spec"]["containers"][0].get("env") or ()
    return sort.from_environment({one["name"]: one.get("value", "") for one in given})


def plays(one: Manifest, role: str) -> bool:
    """Say whether an object of ours has a role, such as `catalog`."""
    return (one["metadata"].get("labels") or {}).get("app.kubernetes.io/name") == f"reco-{role}"


def pod_spec(place: Place, placement: Placement) -> dict[str, Any]:
    """Return what the specs of all pods have in common."""
    settings = place.settings
    spec: dict[str, Any] = {
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": USER,
            "runAsGroup": USER,
            "fsGroup": USER,
            "fsGroupChangePolicy": "OnRootMismatch",
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        **placed(placement),
    }
    if settings.service_account_name is not None:
        spec["serviceAccountName"] = settings.service_account_name
    if settings.images.pull_secrets:
        spec["imagePullSecrets"] = [one.manifest() for one in settings.images.pull_secrets]
    return spec


def _serving() -> dict[str, Any]:
    def probe(path: str, **settings: int) -> dict[str, Any]:
        return {"httpGet": {"path": path, "port": "http"}, **settings}

    return {
        "ports": [{"name": "http", "containerPort": PORT, "protocol": "TCP"}],
        # Fetching and warming a model may take minutes; only then do the other probes begin.
        "startupProbe": probe(HEALTH, periodSeconds=1, failureThreshold=600),
        "readinessProbe": probe(READY, periodSeconds=2, failureThreshold=2, timeoutSeconds=2),
        "livenessProbe": probe(HEALTH, periodSeconds=10, failureThreshold=6, timeoutSeconds=5),
        "lifecycle": {"preStop": {"sleep": {"seconds": DRAIN_SECONDS}}},
    }


def deployment(
    place: Place,
    resource: Resource,
    name: str,
    program: Program,
    *,
    replicas: int | None = None,
    progress_seconds: int = 600,
) -> dict[str, Any]:
    """Return a Deployment that never has fewer pods than it had before while it is rolled.

    Without `replicas` an autoscaler sets their number. When it got no further for
    `progress_seconds`, it says so.
    """
    labels = place.labels(resource, program.role)
    spec: dict[str, Any] = {
        "selector": {"matchLabels": selector(labels)},
        "strategy": {
            "type": "RollingUpdate",
            "rollingUpdate": {"maxSurge": 1, "maxUnavailable": 0},
        },
        "progressDeadlineSeconds": progress_seconds,
        "revisionHistoryLimit": 3,
        "template": template(
            place,
            resource,
            program,
            serves=True,
            terminationGracePeriodSeconds=GRACE_SECONDS,
        ),
    }
    if replicas is not None:
        spec["replicas"] = replicas
    return named(place, resource, "Deployment", name, program.role, spec=spec)


def service(place: Place, resource: Resource, name: str, role: str) -> dict[str, Any]:
    """Return the Service of a Deployment."""
    spec = {
        "selector": selector(place.labels(resource, role)),
        "ports": [{"name": "http", "port": SERVICE_PORT, "targetPort": "http", "protocol": "TCP"}],
    }
    return named(place, resource, "Service", name, role, spec=spec)


def disruption_budget(place: Place, resource: Resource, name: str, role: str) -> dict[str, Any]:
    """Return the budget by which a drained node takes one pod at a time."""
    labels = place.labels(resource, role)
    return named(
        place,
        resource,
        "PodDisruptionBudget",
        name,
        role,
        spec={"maxUnavailable": 1, "selector": {"matchLabels": selector(labels)}},
    )


def config_map(
    place: Place, resource: Resource, name: str, role: str, data: Mapping[str, str]
) -> dict[str, Any]:
    """Return a ConfigMap."""
    return named(place, resource, "ConfigMap", name, role, data=dict(data))


def named(
    place: Place,
    resource: Resource,
    kind: str,
    name: str,
    role: str,
    *,
    holds_data: bool = False,
    **content: object,
) -> dict[str, Any]:
    """Return the manifest of one of a resource's objects, with its labels and owner."""
    made = manifest(kind, resource.key.namespace, name, place.labels(resource, role), **content)
    references = place.owned(resource, holds_data=holds_data)
    if references:
        made["metadata"]["ownerReferences"] = references
    return made


def selector(labels: Mapping[str, str]) -> dict[str, str]:
    """Return those of an object's labels by which its pods are chosen."""
    chosen = ("app.kubernetes.io/name", "app.kubernetes.io/instance")
    return {name: labels[name] for name in chosen}
