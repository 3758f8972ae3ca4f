"""What drivers may ask: the settings, the cluster's objects, and the catalogs of storage."""

from collections.abc import Callable
from dataclasses import dataclass

from reco.engines.incluster.catalog import Catalogs
from reco.engines.incluster.cluster import Cluster
from reco.engines.incluster.objects import ObjectKey
from reco.engines.incluster.place import Place
from reco.workload.addresses import catalog_service


@dataclass(frozen=True, slots=True)
class Known:
    """What drivers may ask."""

    place: Place
    cluster: Cluster
    catalogs: Catalogs
    now: Callable[[], float]
    """Monotonic seconds."""


def catalog_key(namespace: str, group: str) -> ObjectKey:
    """Return which Deployment is a group's catalog."""
    return ObjectKey("Deployment", namespace, catalog_service(group, namespace))
