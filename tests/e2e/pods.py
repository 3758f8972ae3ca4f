"""Pods as tests make them: of the strictest security standard, and ended at once when deleted."""

import json
from collections.abc import Mapping, Sequence
from typing import Any

from hack.kube_access import Cluster, KubectlError

USER = 65532
CONTAINER_SECURITY = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}
POD_SECURITY = {
    "runAsNonRoot": True,
    "fsGroup": USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}


def pod_spec(
    image: str,
    args: Sequence[str] = (),
    *,
    command: Sequence[str] = (),
    env: Mapping[str, str] | None = None,
    **container: Any,
) -> dict[str, Any]:
    """Return the spec of a pod of one container, called main."""
    main = {
        "name": "main",
        "image": image,
        "imagePullPolicy": "Never",
        "args": list(args),
        "env": [{"name": name, "value": value} for name, value in (env or {}).items()],
        "securityContext": CONTAINER_SECURITY,
        **({"command": list(command)} if command else {}),
        **container,
    }
    return {
        "containers": [main],
        "securityContext": POD_SECURITY,
        "automountServiceAccountToken": False,
        "terminationGracePeriodSeconds": 1,
    }


def create(cluster: Cluster, namespace: str, *manifests: dict[str, Any]) -> None:
    """Create objects in a namespace."""
    items = {"apiVersion": "v1", "kind": "List", "items": list(manifests)}
    cluster.kubectl("create", "-n", namespace, "-f", "-", stdin=json.dumps(items))


def run(cluster: Cluster, namespace: str, name: str, spec: dict[str, Any]) -> str:
    """Run a pod to its end and return its log; a failed one raises with what there is to know."""
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {**spec, "restartPolicy": "Never"},
    }
    create(cluster, namespace, pod)
    in_namespace = ("-n", namespace)
    try:
        succeeded = "--for=jsonpath={.status.phase}=Succeeded"
        cluster.kubectl("wait", succeeded, f"pod/{name}", "--timeout=40s", *in_namespace)
    except KubectlError as error:
        described = cluster.kubectl("describe", "pod", name, *in_namespace)
        log = cluster.kubectl("logs", name, "--ignore-errors", *in_namespace)
        raise AssertionError(f"{error}\n{described}\n{log}") from error
    return cluster.kubectl("logs", name, *in_namespace)


def deployment(name: str, spec: dict[str, Any], replicas: int = 1) -> dict[str, Any]:
    """Return a Deployment of such pods, labelled ``app: name``."""
    labels = {"app": name}
    return {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": name},
        "spec": {
            "replicas": replicas,
            "selector": {"matchLabels": labels},
            "template": {"metadata": {"labels": labels}, "spec": spec},
        },
    }


def service(name: str, port: int) -> dict[str, Any]:
    """Return the Service of a Deployment or StatefulSet."""
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": name},
        "spec": {"selector": {"app": name}, "ports": [{"port": port}]},
    }
