"""From wanted fields to the parameters of calls: what differs from sending them as they are."""

import json
from typing import Any

from reco.engines.personalize.wire import Answer


def present(fields: Answer) -> dict[str, Any]:
    """Leave out what is not wanted, and the service's own defaults: false and empty."""
    return {
        name: value
        for name, value in fields.items()
        if value is not None and value is not False and value not in ({}, [])
    }


def schema(fields: Answer) -> dict[str, Any]:
    """Send the Avro schema as text."""
    return present(fields) | {"schema": json.dumps(fields["schema"], separators=(",", ":"))}


def solution(fields: Answer) -> dict[str, Any]:
    """Send a solution: put the changeable parts back into the configuration."""
    parts = dict(fields)
    config = dict(parts.pop("solutionConfig"))
    if parts["eventsConfig"]["eventParametersList"]:
        config["eventsConfig"] = parts["eventsConfig"]
    if "autoTrainingConfig" in parts:
        config["autoTrainingConfig"] = parts.pop("autoTrainingConfig")
    del parts["eventsConfig"]
    # Left out, automatic training would be on.
    return present(parts | {"solutionConfig": config}) | {
        "performAutoTraining": fields["performAutoTraining"]
    }


def campaign(fields: Answer) -> dict[str, Any]:
    """Send a campaign without the defaults of its configuration."""
    return present(dict(fields) | {"campaignConfig": present(fields["campaignConfig"])})


def solution_update(changed: Answer, _: Answer, __: Answer) -> dict[str, Any]:
    """Send the parts of a solution that changed."""
    flags = ("performAutoTraining", "performIncrementalUpdate")
    parameters = {name: changed[name] for name in flags if name in changed}
    config = {
        name: changed[name] for name in ("autoTrainingConfig", "eventsConfig") if name in changed
    }
    return parameters | ({"solutionUpdateConfig": config} if config else {})


def campaign_update(changed: Answer, wanted: Answer, observed: Answer) -> dict[str, Any]:
    """Send version and configuration together where either side follows `$LATEST`.

    To enter or leave that mode the service wants both; a configuration replaces the old one whole.
    """
    parameters = dict(changed)
    follows = any(
        fields.get("campaignConfig", {}).get("syncWithLatestSolutionVersion")
        for fields in (wanted, observed)
    )
    if follows and parameters.keys() & {"solutionVersionArn", "campaignConfig"}:
        parameters |= {name: wanted[name] for name in ("solutionVersionArn", "campaignConfig")}
    if "campaignConfig" in parameters:
        config = dict(parameters["campaignConfig"])
        if not config["rankingInfluence"] and not observed["campaignConfig"]["rankingInfluence"]:
            del config["rankingInfluence"]
        parameters["campaignConfig"] = config
    return parameters


def dataset_update(changed: Answer, _: Answer, __: Answer) -> dict[str, Any]:
    """Send the parts of a dataset that changed."""
    return dict(changed)
