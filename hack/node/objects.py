"""What stands in the API of a node from its start: rights of its own services, and volumes."""

from pathlib import Path
from typing import Any, Final

from hack.node.configuration import METRICS_PORT
from hack.node.layout import NODE_NAME, Layout

STORAGE_CLASS: Final = "local"


def objects(layout: Layout, volumes: Path, count: int) -> list[dict[str, Any]]:
    """Return what must be in the API for the node's own services, and ``count`` volumes."""
    reads_services = [
        {"apiGroups": [""], "resources": ["services", "namespaces", "pods"], "verbs": _LOOK},
        {"apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": _LOOK},
    ]
    reads_metrics = [
        {"apiGroups": [""], "resources": ["nodes/metrics"], "verbs": ["get"]},
        {"apiGroups": [""], "resources": ["pods", "nodes"], "verbs": _LOOK},
    ]
    return [
        *_may("coredns", reads_services),
        *_may("metrics-server", reads_metrics),
        _binding("metrics-server:delegated", "ClusterRole", "system:auth-delegator"),
        {
            **_binding("metrics-server", "Role", "extension-apiserver-authentication-reader"),
            "kind": "RoleBinding",
            "metadata": {"name": "metrics-server", "namespace": "kube-system"},
        },
        *_metrics_service(layout),
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": STORAGE_CLASS,
                "annotations": {"storageclass.kubernetes.io/is-default-class": "true"},
            },
            "provisioner": "kubernetes.io/no-provisioner",
            "volumeBindingMode": "WaitForFirstConsumer",
        },
        *(_volume(f"volume-{number}", volumes) for number in range(count)),
    ]


_LOOK: Final = ["get", "list", "watch"]
_RBAC: Final = "rbac.authorization.k8s.io"


def _may(user: str, rules: list[dict[str, Any]]) -> list[dict[str, Any]]:
    role = {"apiVersion": f"{_RBAC}/v1", "kind": "ClusterRole", "metadata": {"name": user}}
    return [{**role, "rules": rules}, _binding(user, "ClusterRole", user)]


def _binding(name: str, kind: str, role: str) -> dict[str, Any]:
    user = name.partition(":")[0]
    return {
        "apiVersion": f"{_RBAC}/v1",
        "kind": "ClusterRoleBinding",
        "metadata": {"name": name},
        "roleRef": {"apiGroup": _RBAC, "kind": kind, "name": role},
        "subjects": [{"apiGroup": _RBAC, "kind": "User", "name": user}],
    }


def _metrics_service(layout: Layout) -> list[dict[str, Any]]:
    named = {"name": "metrics-server", "namespace": "kube-system"}
    return [
        {
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": named,
            "spec": {"ports": [{"name": "https", "port": 443, "targetPort": METRICS_PORT}]},
        },
        {
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {**named, "labels": {"kubernetes.io/service-name": "metrics-server"}},
            "addressType": "IPv4",
            "ports": [{"name": "https", "port": METRICS_PORT}],
            "endpoints": [{"addresses": [layout.node_address], "conditions": {"ready": True}}],
        },
        {
            "apiVersion": "apiregistration.k8s.io/v1",
            "kind": "APIService",
            "metadata": {"name": "v1beta1.metrics.k8s.io"},
            "spec": {
                "service": {"name": "metrics-server", "namespace": "kube-system"},
                "group": "metrics.k8s.io",
                "version": "v1beta1",
                "insecureSkipTLSVerify": True,
                "groupPriorityMinimum": 100,
                "versionPriority": 100,
            },
        },
    ]


def _volume(name: str, folder: Path) -> dict[str, Any]:
    """One claimable volume; of type local, for hostPath ignores a pod's fsGroup."""
    here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [NODE_NAME]}
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolume",
        "metadata": {"name": name},
        "spec": {
            "storageClassName": STORAGE_CLASS,
            "capacity": {"storage": "100Gi"},
            "accessModes": ["ReadWriteOnce", "ReadWriteMany"],
            "persistentVolumeReclaimPolicy": "Retain",
            "local": {"path": str(folder / name)},
            "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
        },
    }
