"""Kubernetes objects: where each kind is served, and which of their fields we speak of.

A manifest is compared with what the cluster has only in the fields that it names: defaults that the
API server fills in, and what others add beside (a sidecar, a replica count that an autoscaler
sets), are no difference.
"""

import re
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any, Final, NamedTuple

Manifest = Mapping[str, Any]


class ObjectKey(NamedTuple):
    """What identifies an object of Kubernetes."""

    kind: str
    namespace: str
    name: str


APIS: Final[Mapping[str, tuple[str, str]]] = {
    "ConfigMap": ("v1", "configmaps"),
    "Secret": ("v1", "secrets"),
    "Service": ("v1", "services"),
    "Pod": ("v1", "pods"),
    "Deployment": ("apps/v1", "deployments"),
    "StatefulSet": ("apps/v1", "statefulsets"),
    "Job": ("batch/v1", "jobs"),
    "HorizontalPodAutoscaler": ("autoscaling/v2", "horizontalpodautoscalers"),
    "PodDisruptionBudget": ("policy/v1", "poddisruptionbudgets"),
    "NetworkPolicy": ("networking.k8s.io/v1", "networkpolicies"),
}
"""API version and plural of each kind that the engine makes or reads."""


def collection(kind: str, namespace: str = "") -> str:
    """Return the path of all objects of a kind, in one namespace or (empty) everywhere."""
    version, plural = APIS[kind]
    root = f"/api/{version}" if "/" not in version else f"/apis/{version}"
    return f"{root}/namespaces/{namespace}/{plural}" if namespace else f"{root}/{plural}"


def path_of(key: ObjectKey) -> str:
    """Return the path of one object."""
    return f"{collection(key.kind, key.namespace)}/{key.name}"


def key_of(manifest: Manifest) -> ObjectKey:
    """Return what identifies an object."""
    metadata = manifest["metadata"]
    return ObjectKey(manifest["kind"], metadata["namespace"], metadata["name"])


def reference(owner: Manifest) -> dict[str, Any]:
    """Return the reference by which an object says what it goes along with."""
    metadata = owner["metadata"]
    return {
        "apiVersion": APIS[owner["kind"]][0],
        "kind": owner["kind"],
        "name": metadata["name"],
        "uid": metadata["uid"],
    }


def manifest(
    kind: str, namespace: str, name: str, labels: Mapping[str, str], **content: object
) -> dict[str, Any]:
    """Return the manifest of an object."""
    return {
        "apiVersion": APIS[kind][0],
        "kind": kind,
        "metadata": {"namespace": namespace, "name": name, "labels": dict(labels)},
        **content,
    }


def within(wanted: Any, found: Any) -> Any:  # noqa: ANN401 - JSON
    """Return of `found` what `wanted` speaks of, at every depth.

    Entries of a list are matched by their `name` where they have one, else by position. Quantities
    that mean the same (`1000m` and `1`) are shown as they are wanted.
    """
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return {name: within(wanted[name], found[name]) for name in wanted if name in found}
    if isinstance(wanted, list) and isinstance(found, list):
        return _within_list(wanted, found)
    if isinstance(wanted, str) and isinstance(found, str) and wanted != found:
        return wanted if _same_quantity(wanted, found) else found
    return found


def _within_list(wanted: Sequence[Any], found: Sequence[Any]) -> list[Any]:
    names = [one.get("name") if isinstance(one, Mapping) else None for one in wanted]
    if wanted and None not in names:
        by_name = {one.get("name"): one for one in found if isinstance(one, Mapping)}
        return [
            within(one, by_name[name])
            for name, one in zip(names, wanted, strict=True)
            if name in by_name
        ]
    if len(wanted) != len(found):
        return list(found)
    return [within(*pair) for pair in zip(wanted, found, strict=True)]


_QUANTITY: Final = re.compile(r"([0-9]+(?:\.[0-9]+)?)(m|k|M|G|T|P|Ki|Mi|Gi|Ti|Pi)?")
_UNITS: Final = {
    "": Decimal(1),
    "m": Decimal("0.001"),
    **{unit: Decimal(1000) ** power for power, unit in enumerate("kMGTP", start=1)},
    **{f"{unit}i": Decimal(1024) ** power for power, unit in enumerate("KMGTP", start=1)},
}


def quantity(text: str) -> Decimal | None:
    """Return the number that a quantity of Kubernetes means, or None if it is none."""
    match = _QUANTITY.fullmatch(text)
    return Decimal(match[1]) * _UNITS[match[2] or ""] if match is not None else None


def _same_quantity(one: str, other: str) -> bool:
    number = quantity(one)
    return number is not None and number == quantity(other)
