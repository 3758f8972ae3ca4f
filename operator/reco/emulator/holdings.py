"""What a dataset group holds at a time: imported rows, and what was streamed since."""

from collections.abc import Mapping
from typing import Any

from reco.emulator import schemas
from reco.emulator.ports import Columns
from reco.emulator.store import Resource
from reco.emulator.world import World
from reco.workload.storage import ANONYMOUS

_INTERACTION_COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE")


def interactions(world: World, group: str, at: float) -> Columns:
    """Collect the interactions of a group as of a time: imported rows, then streamed events.

    Of streamed events with the same id the first counts. What an anonymous session did counts once
    the session has turned out to be a user's:
    https://docs.aws.amazon.com/personalize/latest/dg/recording-anonymous-user-events.html
    """
    columns: Columns = {name: [] for name in _INTERACTION_COLUMNS}
    for imported in _imports(world, group, "INTERACTIONS", at):
        count = len(imported["USER_ID"])
        for name in _INTERACTION_COLUMNS:
            columns[name].extend(imported.get(name) or [None] * count)
    known: set[str] = set()
    for event in world.store.records(group, until=at):
        repeated = event.get("eventId") in known
        known |= {event["eventId"]} if "eventId" in event else set()
        anonymous = event["subject"].startswith(ANONYMOUS)
        if event.get("itemId") and not repeated and not anonymous:
            columns["USER_ID"].append(event["subject"])
            columns["ITEM_ID"].append(event["itemId"])
            columns["TIMESTAMP"].append(int(event["sentAt"]))
            columns["EVENT_TYPE"].append(event["eventType"])
            columns["EVENT_VALUE"].append(event.get("eventValue"))
    return columns


def rows(world: World, group: str, dataset_type: str, at: float) -> Columns:
    """Collect the rows of an Items or Users dataset: the newest row of an id stands."""
    key = {"ITEMS": "ITEM_ID", "USERS": "USER_ID"}[dataset_type]
    found: dict[str, dict[str, Any]] = {}
    for imported in _imports(world, group, dataset_type, at):
        names = list(imported)
        for values in zip(*imported.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            found[row[key]] = row
    for dataset in _datasets(world, group, dataset_type):
        for record in world.store.records(dataset.arn, until=at):
            found[record["subject"]] = {key: record["subject"], **record["columns"]}
    names = sorted({name for row in found.values() for name in row})
    return {name: [row.get(name) for row in found.values()] for name in names}


def categories(world: World, group: str, chosen: Mapping[str, Any]) -> tuple[str, ...]:
    """Name the columns of the Items dataset that its schema calls categorical.

    ``chosen``, a trainingDataConfig, says which columns to learn from: all, without some or some.
    """
    included, excluded = (
        {
            name
            for of, names in chosen.get(member, {}).items()
            if of.upper() == "ITEMS"
            for name in names
        }
        for member in ("includedDatasetColumns", "excludedDatasetColumns")
    )
    found = [
        world.store.get(one.attributes["schemaArn"]) for one in _datasets(world, group, "ITEMS")
    ]
    return tuple(
        field.name
        for schema in found
        if schema is not None
        for field in schemas.parse(schema.attributes["schema"])
        if field.categorical and field.type == "string"
        if field.name not in excluded and (not included or field.name in included)
    )


def _datasets(world: World, group: str, dataset_type: str) -> list[Resource]:
    found = world.store.find("Dataset", dataset_group=group)
    return [one for one in found if one.attributes["datasetType"] == dataset_type]


def _imports(world: World, group: str, dataset_type: str, at: float) -> list[Columns]:
    return [
        imported
        for dataset in _datasets(world, group, dataset_type)
        for imported in world.store.imported(dataset.arn, at)
    ]


def arrived_since(
    world: World,
    resource: Resource,
    since: float,
    types: tuple[str, ...] = ("INTERACTIONS", "ITEMS"),
) -> bool:
    """Say whether the dataset group of a resource got data of some types after a time."""
    group = resource.dataset_group or ""
    arrivals = [world.store.last_record(group) if "INTERACTIONS" in types else None]
    for dataset in (one for name in types for one in _datasets(world, group, name)):
        arrivals += [world.store.last_import(dataset.arn), world.store.last_record(dataset.arn)]
    return any(arrival is not None and arrival > since for arrival in arrivals)
