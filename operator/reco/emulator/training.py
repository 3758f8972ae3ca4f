"""Trainings: what data they see, when they end, and those that the service starts by itself.

New solutions are trained by the service every seven days unless their creator says
``performAutoTraining=false``: a first time within the hour, later on only if interactions arrived
since the last training. The cadence counts from the start of the newest training, whoever asked
for it.
"""

import re
from typing import Any

from reco.emulator import schemas
from reco.emulator.catalogue import RECIPES
from reco.emulator.kinds import IN_PROGRESS
from reco.emulator.ports import Columns, TrainingJob
from reco.emulator.store import Resource, Step
from reco.emulator.world import World

AUTOMATIC = "(automatic training)"
"""The step with which the service starts a training by itself."""

FIRST_AUTOMATIC = 3600.0
DEFAULT_RATE_DAYS = 7
_DAY = 86400.0
# Recordings bill about three hours for each hour on the wall.
_BILLED_PER_HOUR = 3.0
_INTERACTION_COLUMNS = ("USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE", "EVENT_VALUE")


def begin(world: World, version: Resource) -> None:
    """Hand a version's training to the trainer, with the data of the moment of its creation."""
    world.trainer.start(
        job(
            world,
            version,
            at=version.created,
            arn=version.arn,
            base=version.attributes.get("_base"),
        )
    )


def job(world: World, version: Resource, *, at: float, arn: str, base: str | None) -> TrainingJob:
    """Describe a training with a version's settings and the data as of a time."""
    config = version.attributes.get("solutionConfig", {})
    threshold = config.get("eventValueThreshold")
    group = version.dataset_group or ""
    return TrainingJob(
        arn=arn,
        recipe=RECIPES[version.attributes["recipeArn"]].name,
        interactions=interactions(world, group, at),
        items=dataset_columns(world, group, "ITEMS", at),
        categories=_categories(world, group),
        hyperparameters=config.get("algorithmHyperParameters", {}),
        event_type=version.attributes.get("eventType"),
        event_value_threshold=float(threshold) if threshold else None,
        seed=version.attributes["_seed"],
        base=base,
        hpo=config.get("hpoConfig", {}) if version.attributes["performHPO"] else None,
    )


def resume(world: World) -> None:
    """Start again the trainings that were under way when the emulator stopped."""
    for version in world.store.find("SolutionVersion"):
        if version.status in IN_PROGRESS and not world.trainer.knows(version.arn):
            begin(world, version)


def outcome(world: World, version: Resource, step: Step) -> Step | None:
    """Say how a version whose time has come ends; None while its real training still runs."""
    result = world.trainer.result(version.arn)
    if result is None:
        return None
    if result.failure_reason is not None:
        return Step(step.at, "CREATE FAILED", reason=result.failure_reason)
    hours = (step.at - version.created) / 3600 * _BILLED_PER_HOUR
    version.attributes["trainingHours"] = round(hours, 3)
    version.attributes["_metrics"] = {
        name: round(float(value), 4) for name, value in sorted(result.metrics.items())
    }
    if result.tuned:
        version.attributes["tunedHPOParams"] = {"algorithmHyperParameters": dict(result.tuned)}
    return step


def newest(world: World, solution: str) -> Resource | None:
    """Find the newest version of a solution, whatever its state."""
    return world.store.newest("SolutionVersion", parent=solution)


def newest_active(world: World, solution: str) -> Resource | None:
    """Find the newest ACTIVE version of a solution."""
    return world.store.newest("SolutionVersion", parent=solution, status="ACTIVE")


def full_versions(world: World, solution: str) -> list[Resource]:
    """Find the ACTIVE versions of a solution that were trained in full, the newest last."""
    found = world.store.find("SolutionVersion", parent=solution, status="ACTIVE")
    return sorted(filter(is_full, found), key=order)


def is_full(version: Resource) -> bool:
    """Say whether a version was trained anew, whoever asked for it."""
    return str(version.attributes["trainingMode"]) == "FULL"


def order(version: Resource) -> tuple[float, int]:
    """Give the order in which versions of a solution were made."""
    return version.created, version.attributes["_serial"]


def is_active(version: Resource) -> bool:
    """Say whether a version can serve."""
    return version.status == "ACTIVE"


def new_version(
    world: World,
    solution: Resource,
    *,
    name: str | None,
    suffix: str,
    mode: str,
    training_type: str,
) -> dict[str, Any]:
    """Give the attributes of a new version: the solution's settings as they are now."""
    shown = {
        member: solution.attributes.get(member)
        for member in (
            "performHPO",
            "performAutoML",
            "performIncrementalUpdate",
            "recipeArn",
            "datasetGroupArn",
            "eventType",
            "solutionConfig",
        )
    }
    return {
        **{member: value for member, value in shown.items() if value is not None},
        "name": name or suffix,
        "solutionArn": solution.arn,
        "trainingMode": mode,
        "trainingType": training_type,
        "_serial": sum(world.store.states("SolutionVersion", parent=solution.arn).values()),
        "_seed": world.random.getrandbits(31),
    }


def hex_id(world: World, prefix: str) -> str:
    """Draw eight hex digits that no resource with this ARN prefix has yet."""
    while True:
        drawn = f"{world.random.getrandbits(32):08x}"
        if world.store.get(f"{prefix}{drawn}") is None:
            return drawn


def schedule_first(world: World, solution: Resource, now: float) -> None:
    """Plan the service's first look at a solution that it trains by itself."""
    if solution.attributes.get("performAutoTraining"):
        solution.plan.append(Step(now + FIRST_AUTOMATIC, AUTOMATIC))
        solution.attributes["_automatic_since"] = now
        world.store.put(solution)


def automatic(world: World, solution: Resource, now: float) -> None:
    """Train a solution by the service's own schedule, or put it off."""
    rate = _rate(solution)
    latest = newest(world, solution.arn)
    last = latest.created if latest else None
    since = solution.attributes["_automatic_since"]
    if last is not None and last > since and now < last + rate:
        again = last + rate
    elif not data_since(world, solution, -1.0 if last is None else last, ("INTERACTIONS",)):
        # Nothing to train on: the first time it looks every hour, later at the solution's rate.
        again = now + (rate if last is not None else FIRST_AUTOMATIC)
    else:
        _train(world, solution, now)
        again = now + rate
    solution.plan.append(Step(again, AUTOMATIC))
    world.store.put(solution)


def _train(world: World, solution: Resource, now: float) -> None:
    suffix = f"{solution.name}/{hex_id(world, f'{solution.arn}/')}"
    attributes = new_version(
        world,
        solution,
        name=None,
        suffix=suffix,
        mode="FULL",
        training_type="AUTOMATIC",
    )
    phase = world.settings.phase(*phase_labels(attributes))
    version = Resource(
        arn=f"{solution.arn.rpartition('/')[0]}/{suffix}",
        kind="SolutionVersion",
        account=solution.account,
        region=solution.region,
        name=suffix,
        created=now,
        updated=now,
        status="CREATE PENDING",
        parent=solution.arn,
        dataset_group=solution.dataset_group,
        attributes=attributes,
        plan=[
            Step(now + phase.pending, "CREATE IN_PROGRESS"),
            Step(now + phase.total, "ACTIVE"),
        ],
    )
    world.store.put(version)
    begin(world, version)


def phase_labels(attributes: dict[str, Any]) -> tuple[str, ...]:
    """Name the durations of a version, from its recipe's own to that of all versions."""
    recipe = f"SolutionVersion/{RECIPES[attributes['recipeArn']].name}"
    tuned = ("SolutionVersion/performHPO",) if attributes["performHPO"] else ()
    return (*tuned, recipe, "SolutionVersion")


def interactions(world: World, group: str, at: float) -> Columns:
    """Collect the interactions of a group as of a time: imported rows, then streamed events.

    Of streamed events with the same id the first counts.
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
        if event.get("itemId") and not repeated:
            columns["USER_ID"].append(event["subject"])
            columns["ITEM_ID"].append(event["itemId"])
            columns["TIMESTAMP"].append(int(event["sentAt"]))
            columns["EVENT_TYPE"].append(event["eventType"])
            columns["EVENT_VALUE"].append(event.get("eventValue"))
    return columns


def dataset_columns(world: World, group: str, dataset_type: str, at: float) -> Columns:
    """Collect the rows of an Items or Users dataset: the newest row of an id stands."""
    key = {"ITEMS": "ITEM_ID", "USERS": "USER_ID"}[dataset_type]
    rows: dict[str, dict[str, Any]] = {}
    for imported in _imports(world, group, dataset_type, at):
        names = list(imported)
        for values in zip(*imported.values(), strict=True):
            row = dict(zip(names, values, strict=True))
            rows[row[key]] = row
    for dataset in _datasets(world, group, dataset_type):
        for record in world.store.records(dataset.arn, until=at):
            rows[record["subject"]] = {key: record["subject"], **record["columns"]}
    names = sorted({name for row in rows.values() for name in row})
    return {name: [row.get(name) for row in rows.values()] for name in names}


def _categories(world: World, group: str) -> tuple[str, ...]:
    """Name the columns of the Items dataset that its schema calls categorical."""
    found = [
        world.store.get(one.attributes["schemaArn"]) for one in _datasets(world, group, "ITEMS")
    ]
    return tuple(
        field.name
        for schema in found
        if schema is not None
        for field in schemas.parse(schema.attributes["schema"])
        if field.categorical and field.type == "string"
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


def data_since(
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


def _rate(solution: Resource) -> float:
    config = solution.attributes.get("solutionConfig", {}).get("autoTrainingConfig", {})
    found = re.search(r"\d+", config.get("schedulingExpression", ""))
    return (int(found.group()) if found else DEFAULT_RATE_DAYS) * _DAY
