"""From what the service describes to what can be compared: one function a kind.

Each returns the keys that `render` gives for the kind, in the same normal form, so that two equal
values mean that nothing needs to be done. Where the service fills in defaults of its own, only
what is wanted is compared.
"""

import json
from collections.abc import Mapping
from typing import Any

from reco.engines.personalize.render import LATEST

Answer = Mapping[str, Any]


def dataset_group(answer: Answer, wanted: Answer) -> dict[str, Any]:
    """Read a dataset group; its role and key count only where the spec names them."""
    optional = {
        name: answer.get(name) for name in ("roleArn", "kmsKeyArn") if not wanted or name in wanted
    }
    return {"domain": answer.get("domain")} | optional


def schema(answer: Answer, _: Answer) -> dict[str, Any]:
    """Read a schema; the service keeps the caller's text, spacing and all."""
    avro = json.loads(answer["schema"])
    defaults = {"namespace": "com.amazonaws.personalize.schema", "version": "1.0"}
    return {"schema": defaults | avro, "domain": answer.get("domain")}


def dataset(answer: Answer, _: Answer) -> dict[str, Any]:
    """Read a dataset."""
    return {
        "datasetGroupArn": answer["datasetGroupArn"],
        "datasetType": answer["datasetType"].upper(),
        "schemaArn": answer["schemaArn"],
    }


def dataset_update(latest: Answer, _: Answer) -> dict[str, Any]:
    """Read what a dataset was asked to become."""
    return {"schemaArn": latest["schemaArn"]} if "schemaArn" in latest else {}


def dataset_import_job(answer: Answer, _: Answer) -> dict[str, Any]:
    """Read an import; the mode is left out of old ones, which were full."""
    return {
        "datasetArn": answer["datasetArn"],
        "dataSource": dict(answer["dataSource"]),
        "importMode": answer.get("importMode", "FULL"),
    }


def solution(answer: Answer, wanted: Answer) -> dict[str, Any]:
    """Read a solution, with the two changeable parts of its configuration beside it."""
    config = dict(answer.get("solutionConfig") or {})
    events = config.pop("eventsConfig", None) or {}
    rate = config.pop("autoTrainingConfig", None)
    if "trainingDataConfig" in config:
        config["trainingDataConfig"] = {
            which: {dataset.upper(): names for dataset, names in columns.items()}
            for which, columns in config["trainingDataConfig"].items()
        }
    fields = {
        "datasetGroupArn": answer["datasetGroupArn"],
        # With AutoML the service chooses the recipe.
        "recipeArn": answer.get("recipeArn") if not answer.get("performAutoML") else None,
        "performHPO": answer.get("performHPO", False),
        "performAutoML": answer.get("performAutoML", False),
        "performAutoTraining": answer.get("performAutoTraining", False),
        "performIncrementalUpdate": answer.get("performIncrementalUpdate", False),
        "eventType": answer.get("eventType"),
        "solutionConfig": like(wanted["solutionConfig"], config) if wanted else config,
        "eventsConfig": _events(events, wanted),
    }
    if not wanted or "autoTrainingConfig" in wanted:
        fields["autoTrainingConfig"] = rate
    return fields


def solution_update(latest: Answer, wanted: Answer) -> dict[str, Any]:
    """Read what a solution was asked to become."""
    names = ("performAutoTraining", "performIncrementalUpdate")
    fields: dict[str, Any] = {name: latest[name] for name in names if name in latest}
    config = latest.get("solutionUpdateConfig") or {}
    if config.get("autoTrainingConfig"):
        fields["autoTrainingConfig"] = config["autoTrainingConfig"]
    if "eventsConfig" in config:
        fields["eventsConfig"] = _events(config["eventsConfig"], wanted)
    return fields


def _events(events: Answer, wanted: Answer) -> dict[str, Any]:
    found = {"eventParametersList": list(events.get("eventParametersList") or [])}
    expected = wanted.get("eventsConfig")
    return found if expected is None else like(expected, found)


def solution_version(answer: Answer, _: Answer) -> dict[str, Any]:
    """Read a solution version. The service's own trainings (AUTOTRAIN) are full ones."""
    mode = answer.get("trainingMode", "FULL")
    return {
        "solutionArn": answer["solutionArn"],
        "trainingMode": "FULL" if mode == "AUTOTRAIN" else mode,
    }


def campaign(answer: Answer, wanted: Answer) -> dict[str, Any]:
    """Read a campaign."""
    return {
        "solutionVersionArn": _version(answer["solutionVersionArn"], wanted),
        "minProvisionedTPS": answer.get("minProvisionedTPS", 1),
        "campaignConfig": _campaign_config(answer.get("campaignConfig") or {}, wanted),
    }


def campaign_update(latest: Answer, wanted: Answer) -> dict[str, Any]:
    """Read what a campaign was asked to become; only what was passed is there."""
    fields: dict[str, Any] = {}
    if "solutionVersionArn" in latest:
        fields["solutionVersionArn"] = _version(latest["solutionVersionArn"], wanted)
    if "minProvisionedTPS" in latest:
        fields["minProvisionedTPS"] = latest["minProvisionedTPS"]
    if latest.get("campaignConfig"):
        fields["campaignConfig"] = _campaign_config(latest["campaignConfig"], wanted)
    return fields


def _version(arn: str, wanted: Answer) -> str:
    """Show any version of a solution as `$LATEST` where that is wanted.

    What a campaign in this mode is described with is not documented.
    """
    expected = str(wanted.get("solutionVersionArn", ""))
    solution_arn, _, version = expected.rpartition("/")
    return expected if version == LATEST and arn.startswith(f"{solution_arn}/") else arn


def _campaign_config(config: Answer, wanted: Answer) -> dict[str, Any]:
    found: dict[str, Any] = {
        "enableMetadataWithRecommendations": config.get("enableMetadataWithRecommendations", False),
        "syncWithLatestSolutionVersion": config.get("syncWithLatestSolutionVersion", False),
        "rankingInfluence": dict(config.get("rankingInfluence") or {}),
    }
    exploration = config.get("itemExplorationConfig") or {}
    expected = wanted.get("campaignConfig", {}).get("itemExplorationConfig")
    if expected is not None:
        found["itemExplorationConfig"] = like(expected, exploration)
    elif not wanted and exploration:
        found["itemExplorationConfig"] = dict(exploration)
    return found


def event_tracker(answer: Answer, _: Answer) -> dict[str, Any]:
    """Read an event tracker."""
    return {"datasetGroupArn": answer["datasetGroupArn"]}


def like(wanted: Any, found: Any) -> Any:  # noqa: ANN401 - JSON
    """Keep of `found` what `wanted` names, at every depth; lists of another length stay whole."""
    if isinstance(wanted, Mapping) and isinstance(found, Mapping):
        return {name: like(wanted[name], found[name]) for name in wanted if name in found}
    if isinstance(wanted, list) and isinstance(found, list) and len(wanted) == len(found):
        return [like(*pair) for pair in zip(wanted, found, strict=True)]
    return found
