"""What has to go from storage before a resource's objects go, and when it stays.

Only a deletionTimestamp leads here, and only what the catalog's group owns is deleted: see R5.
"""

import logging

from reco.api.resource import Resource
from reco.decide import names
from reco.decide.model import ErrorClass, Observed, State
from reco.engines.incluster import pods, states
from reco.engines.incluster.failures import classed
from reco.engines.incluster.judging import version_place
from reco.engines.incluster.known import Known, catalog_key
from reco.engines.incluster.objects import Manifest
from reco.engines.incluster.place import owner_label
from reco.engines.port import EngineError
from reco.workload.tasks import ImportTask

logger = logging.getLogger(__name__)


async def dataset(known: Known, resource: Resource, _: Observed) -> None:
    """Delete a dataset's data, unless another Dataset stands for the same, as after a new name."""
    namespace = resource.key.namespace
    for one in known.cluster.owned(namespace, owner_label(resource.key)):
        if not pods.plays(one, "dataset"):
            continue
        same = [
            other
            for other in known.cluster.of_kind("ConfigMap", namespace)
            if pods.plays(other, "dataset") and _table(other) == _table(one)
        ]
        name, type_ = _table(one)
        uid = await _owner(known, namespace, name)
        if len(same) == 1 and uid is not None:
            await known.catalogs.delete_dataset(namespace, name, type_, uid)


def _table(one: Manifest) -> tuple[str, str]:
    return one["data"]["group"], one["data"]["type"]


async def snapshot(known: Known, resource: Resource, _: Observed) -> None:
    """Delete an import's rows unless they count.

    One that has not ended may still write, and with its Job it ends: what it leaves counts for
    nothing, and goes with the dataset.
    """
    namespace = resource.key.namespace
    for job in known.cluster.owned(namespace, owner_label(resource.key)):
        if job["kind"] != "Job" or not states.is_over(job):
            continue
        task = pods.task_of(job, ImportTask)
        uid = await _owner(known, namespace, task.group.name)
        if uid is None:
            continue
        try:
            await known.catalogs.delete_snapshot(
                namespace, task.group.name, task.type, task.job, uid
            )
        except EngineError as error:
            if error.failure.error_class is not ErrorClass.CONFLICT:
                raise
            logger.info("%s goes, and what it imported stays: %s", resource.key, error)


async def version(known: Known, resource: Resource, observed: Observed) -> None:
    """Delete a version, and its model unless another has the same."""
    namespace = resource.key.namespace
    name, solution, version_ = version_place(observed.id)
    uid = await _owner(known, namespace, name) or ""
    await known.catalogs.delete_version(namespace, name, solution, version_, uid)


async def group(known: Known, resource: Resource, observed: Observed) -> None:
    """Delete everything that a group keeps."""
    namespace, name = resource.key.namespace, names.external_name(resource)
    if observed.state is State.DELETING or known.cluster.get(catalog_key(namespace, name)) is None:
        return  # the catalog goes after what it tells of: see `goes_last`
    await known.catalogs.delete_group(namespace, name, resource.uid)


async def _owner(known: Known, namespace: str, name: str) -> str | None:
    """Return the uid of a group by its catalog; None without one, for there is nobody to ask."""
    with classed("GetDeployment"):
        catalog = await known.cluster.find(catalog_key(namespace, name))
    if catalog is None:
        return None
    owners = catalog["metadata"].get("ownerReferences")
    return str(owners[0]["uid"]) if owners else ""
