"""What is particular to the creation of each kind; ``lifecycle.create`` does the rest."""

import gzip
import uuid
from collections.abc import Mapping
from typing import Any

from reco.emulator import schemas, training
from reco.emulator.catalogue import RECIPES
from reco.emulator.errors import access_denied, already_exists, invalid
from reco.emulator.errors import not_found as no_such
from reco.emulator.kinds import KINDS, Kind
from reco.emulator.lifecycle import (
    Attributes,
    References,
    Rules,
    echo,
    existing,
    require_active,
)
from reco.emulator.ports import Columns, ObjectAccessError, ObjectStoreError
from reco.emulator.store import Resource
from reco.emulator.world import Call

LATEST = "/$LATEST"
_NO_PRIVILEGES = (
    "Insufficient privileges for accessing data in S3. Please look at "
    "https://docs.aws.amazon.com/personalize/latest/dg/granting-personalize-s3-access.html and "
    "ensure your role is configured correctly."
)
_INCREMENTAL_MINIMUM = 1000
_MAX_RATE_DAYS = 30
_HPO_MOST = {"maxNumberOfTrainingJobs": 40, "maxParallelTrainingJobs": 10}


# DatasetGroup


def _dataset_group(kind: Kind, call: Call, references: References) -> Attributes:
    role = call.parameters.get("roleArn")
    if role and role.split(":")[4] != call.account:
        raise access_denied("Cross-account pass role is not allowed.")
    if ("roleArn" in call.parameters) != ("kmsKeyArn" in call.parameters):
        raise invalid("roleArn and kmsKeyArn must be given together.")
    return echo(kind, call, references)


# Schema


def _schema(kind: Kind, call: Call, references: References) -> Attributes:
    schemas.parse(call.parameters["schema"])
    return echo(kind, call, references)


# Dataset


def _dataset_place(_kind: Kind, call: Call, references: References) -> str:
    dataset_type = call.parameters["datasetType"].upper()
    if dataset_type not in schemas.REQUIRED:
        raise invalid(
            f"Dataset type {dataset_type} is not supported by this emulator; supported are "
            f"{', '.join(schemas.REQUIRED)}."
        )
    group = references["datasetGroupArn"]
    suffix = f"{group.name}/{dataset_type}"
    if call.get("Dataset", call.arn("dataset", suffix)):
        raise already_exists(
            f"Another dataset of type: {dataset_type} already exists in the provided dataset group"
        )
    return suffix


def _dataset(kind: Kind, call: Call, references: References) -> Attributes:
    dataset_type = call.parameters["datasetType"].upper()
    schema = references["schemaArn"]
    schemas.check_for_dataset(schemas.parse(schema.attributes["schema"]), dataset_type)
    return {**echo(kind, call, references), "datasetType": dataset_type}


# DatasetImportJob


def _import_job(kind: Kind, call: Call, references: References) -> Attributes:
    if not call.parameters["dataSource"].get("dataLocation"):
        raise invalid("Invalid Data location.")
    return {"importMode": "FULL", **echo(kind, call, references)}


def _import_created(call: Call, job: Resource) -> None:
    """Read and check the data before the call is answered, as the service does."""
    dataset = existing(KINDS["Dataset"], call, job.attributes["datasetArn"])
    mode = job.attributes["importMode"]
    if mode == "INCREMENTAL" and not call.world.store.has_import(dataset.arn):
        raise invalid(
            f"An incremental import needs data of an earlier full import in dataset {dataset.arn}."
        )
    columns = _read(call, dataset, job.attributes["dataSource"]["dataLocation"])
    rows = len(next(iter(columns.values()), ()))
    small = rows < _INCREMENTAL_MINIMUM and dataset.attributes["datasetType"] == "INTERACTIONS"
    if mode == "INCREMENTAL" and small:
        raise invalid(
            f"An incremental import of interactions needs at least {_INCREMENTAL_MINIMUM} rows; "
            f"the source has {rows}."
        )
    call.world.store.add_import(job.arn, dataset.arn, mode, columns)


def _read(call: Call, dataset: Resource, location: str) -> Columns:
    schema = existing(KINDS["Schema"], call, dataset.attributes["schemaArn"])
    fields = schemas.parse(schema.attributes["schema"])
    try:
        files = call.world.objects.read(location)
    except ObjectAccessError as error:
        raise invalid(_NO_PRIVILEGES) from error
    except ObjectStoreError as error:
        raise invalid("Invalid Data location.") from error
    if not files:
        raise invalid("Invalid Data location.")
    columns: Columns = {one.name: [] for one in fields}
    for key, content in files:
        try:
            plain = gzip.decompress(content) if key.endswith(".gz") else content
        except (OSError, EOFError) as error:
            raise invalid("Invalid Data location.") from error
        for name, values in schemas.read_csv(plain, fields).items():
            columns[name].extend(values)
    return columns


# Solution


def _solution(kind: Kind, call: Call, references: References) -> Attributes:
    parameters = call.parameters
    if parameters.get("performAutoML"):
        raise invalid("performAutoML is no longer supported; name a recipe with recipeArn.")
    arn = parameters.get("recipeArn")
    if not arn:
        raise invalid("recipeArn must be given.")
    recipe = RECIPES.get(arn)
    if recipe is None:
        raise no_such(f"Resource Arn {arn} does not exist.")
    if recipe.domain:
        raise invalid(f"Recipe {arn} is for recommenders of domain dataset groups.")
    if not recipe.trainable:
        raise invalid(
            f"Recipe {arn} is not implemented by this emulator; it trains "
            f"{', '.join(one.name for one in RECIPES.values() if one.trainable)}."
        )
    check_incremental_update(parameters)
    config = dict(parameters.get("solutionConfig", {}))
    check_rate(config)
    _check_hpo_resources(config)
    try:
        call.world.trainer.check(
            recipe.name,
            config.get("algorithmHyperParameters", {}),
            config.get("hpoConfig", {}) if parameters.get("performHPO") else None,
        )
    except ValueError as error:
        raise invalid(str(error)) from error
    threshold = config.get("eventValueThreshold")
    if threshold:
        try:
            float(threshold)
        except ValueError as error:
            raise invalid(f"eventValueThreshold must be a number, not {threshold!r}.") from error
    attributes = {
        "performHPO": False,
        "performAutoML": False,
        "performAutoTraining": True,
        **echo(kind, call, references),
    }
    if "user-personalization" in recipe.name:
        attributes.setdefault("solutionConfig", {})
    return attributes


def check_rate(config: Mapping[str, Any]) -> None:
    """Refuse an automatic training rate outside 1 to 30 days."""
    expression = config.get("autoTrainingConfig", {}).get("schedulingExpression")
    if expression is None:
        return
    days = int("".join(digit for digit in expression if digit.isdigit()))
    if not 1 <= days <= _MAX_RATE_DAYS:
        raise invalid(
            f"The schedulingExpression must be a rate of 1 to {_MAX_RATE_DAYS} days, "
            f"not {expression}."
        )


def _check_hpo_resources(config: Mapping[str, Any]) -> None:
    for name, text in config.get("hpoConfig", {}).get("hpoResourceConfig", {}).items():
        most = _HPO_MOST[name]
        if not (text.isdecimal() and 1 <= int(text) <= most):
            raise invalid(f"{name} must be a number from 1 to {most}, not {text!r}.")


def check_incremental_update(parameters: Mapping[str, Any]) -> None:
    """Refuse what only a recipe can that this emulator does not have."""
    if parameters.get("performIncrementalUpdate"):
        raise invalid("performIncrementalUpdate is for recipe aws-semantic-similarity only.")


# SolutionVersion


def _version_place(_kind: Kind, call: Call, references: References) -> str:
    solution = references["solutionArn"]
    name = call.parameters.get("name")
    if name and call.world.settings.refuse_repeated_version_names:
        for version in call.world.store.find("SolutionVersion", parent=solution.arn, name=name):
            raise already_exists(f"Another resource with Arn {version.arn} already exists.")
    return f"{solution.name}/{training.hex_id(call.world, f'{solution.arn}/')}"


def _version(_kind: Kind, call: Call, references: References) -> Attributes:
    solution = references["solutionArn"]
    mode = call.parameters.get("trainingMode", "FULL")
    if mode == "AUTOTRAIN":
        raise invalid("trainingMode AUTOTRAIN is for the service's own trainings.")
    base = None
    if mode == "UPDATE":
        recipe = RECIPES[solution.attributes["recipeArn"]]
        if not recipe.updatable:
            raise invalid(f"trainingMode UPDATE is not supported by recipe {recipe.arn}.")
        full = training.full_versions(call.world, solution.arn)
        if not full:
            raise invalid(
                f"trainingMode UPDATE needs an ACTIVE solution version of {solution.arn} that was "
                "trained with trainingMode FULL."
            )
        base = full[-1].arn
    return {
        **training.new_version(
            call.world,
            solution,
            name=call.parameters.get("name"),
            suffix="",
            mode=mode,
            training_type="MANUAL",
        ),
        "_base": base,
    }


def _version_created(call: Call, version: Resource) -> None:
    if not version.name:
        version.name = version.attributes["name"] = version.arn.rpartition(":solution/")[2]
        call.world.store.put(version)
    if call.failure is None:
        training.begin(call.world, version)


# Campaign


def resolve_version(call: Call, config: dict[str, Any]) -> Resource:
    """Find the version a campaign asks for: a given one, or the newest of a solution's.

    ``<solution ARN>/$LATEST`` and syncWithLatestSolutionVersion go together.
    """
    arn = call.parameters["solutionVersionArn"]
    follows = bool(config.get("syncWithLatestSolutionVersion"))
    if follows != arn.endswith(LATEST):
        raise invalid(
            "syncWithLatestSolutionVersion must be true exactly if solutionVersionArn is the "
            f"solution's ARN followed by {LATEST}."
        )
    if not follows:
        return existing(KINDS["SolutionVersion"], call, arn)
    solution = existing(KINDS["Solution"], call, arn.removesuffix(LATEST))
    newest = training.newest_active(call.world, solution.arn)
    if newest is None:
        raise invalid(f"The given solution has no solution version in the ACTIVE state: {arn}")
    return newest


_EXPLORATION_BOUNDS = {"explorationWeight": (0.0, 1.0), "explorationItemAgeCutOff": (0.0, 1e5)}


def check_campaign_config(config: Mapping[str, Any]) -> None:
    """Refuse exploration settings that are unknown, no numbers or out of bounds."""
    for name, text in config.get("itemExplorationConfig", {}).items():
        low, high = _EXPLORATION_BOUNDS.get(name, (1.0, 0.0))
        try:
            fits = low <= float(text) <= high
        except ValueError:
            fits = False
        if not fits:
            allowed = ", ".join(
                f"{known} from {bounds[0]:g} to {bounds[1]:g}"
                for known, bounds in _EXPLORATION_BOUNDS.items()
            )
            raise invalid(f"itemExplorationConfig may have {allowed}; it has {name}={text!r}.")


def _campaign_references(_kind: Kind, call: Call) -> dict[str, Resource]:
    version = resolve_version(call, call.parameters.get("campaignConfig", {}))
    solution = existing(KINDS["Solution"], call, version.attributes["solutionArn"])
    return {"solutionVersionArn": version, "solutionArn": solution}


def _campaign(kind: Kind, call: Call, references: References) -> Attributes:
    check_campaign_config(call.parameters.get("campaignConfig", {}))
    return {
        "minProvisionedTPS": 1,
        "campaignConfig": {},
        **echo(kind, call, references),
        "solutionVersionArn": references["solutionVersionArn"].arn,
    }


# EventTracker


def _tracker_place(_kind: Kind, call: Call, references: References) -> str:
    group = references["datasetGroupArn"]
    for tracker in call.world.store.find("EventTracker", parent=group.arn):
        raise already_exists(
            f"EventTracker {tracker.arn} already exists for DatasetGroup {group.arn}"
        )
    require_active(group)
    return training.hex_id(call.world, call.arn("event-tracker", ""))


def _tracker(kind: Kind, call: Call, references: References) -> Attributes:
    tracking = uuid.UUID(int=call.world.random.getrandbits(128), version=4)
    return {
        **echo(kind, call, references),
        "accountId": call.account,
        "trackingId": str(tracking),
    }


RULES: dict[str, Rules] = {
    "DatasetGroup": Rules(attributes=_dataset_group, answer=("domain",)),
    "Schema": Rules(attributes=_schema),
    "Dataset": Rules(place=_dataset_place, attributes=_dataset),
    "DatasetImportJob": Rules(attributes=_import_job, created=_import_created),
    "Solution": Rules(attributes=_solution),
    "SolutionVersion": Rules(
        place=_version_place,
        attributes=_version,
        phases=lambda _kind, attributes: training.phase_labels(attributes),
        created=_version_created,
    ),
    "Campaign": Rules(refer=_campaign_references, attributes=_campaign),
    "EventTracker": Rules(place=_tracker_place, attributes=_tracker, answer=("trackingId",)),
}
"""The rules of each kind, by its name."""
