"""The table of control-plane operations: the generic lifecycle per kind, and the few others."""

from collections.abc import Callable
from functools import partial
from typing import Any

from reco.emulator import lifecycle, paging, schemas, settling, training
from reco.emulator.catalogue import PAGE_BEFORE_FILTER, RECIPES
from reco.emulator.creation import (
    RULES,
    check_campaign_config,
    check_incremental_update,
    check_rate,
    resolve_version,
)
from reco.emulator.errors import in_use, invalid
from reco.emulator.errors import not_found as no_such
from reco.emulator.kinds import KINDS
from reco.emulator.model import CONTROL, answer_shape, operation_model, project
from reco.emulator.store import Resource, Step
from reco.emulator.world import Call

Operation = Callable[[Call], dict[str, Any]]


def _updatable(call: Call, kind: str) -> Resource:
    resource = lifecycle.existing(KINDS[kind], call, call.parameters[KINDS[kind].arn_member])
    update = settling.latest_update(resource)
    if update and update["status"] not in settling.ENDED:
        raise in_use(f"{kind} is already being updated")
    if resource.status not in {"ACTIVE", "CREATE FAILED"}:
        raise in_use(f"Resource {resource.arn} is in {resource.status} state.")
    return resource


def _update(call: Call, resource: Resource, changes: dict[str, Any]) -> dict[str, Any]:
    settling.begin_update(call.world, resource, call.now, changes, call.failure)
    settling.settle(call.world, call.now)
    return {KINDS[resource.kind].arn_member: resource.arn}


def _update_campaign(call: Call) -> dict[str, Any]:
    """Serve another version, or otherwise; the old one serves until the update has succeeded."""
    campaign = _updatable(call, "Campaign")
    changes = {name: value for name, value in call.parameters.items() if name != "campaignArn"}
    check_campaign_config(changes.get("campaignConfig", {}))
    if "solutionVersionArn" in changes:
        config = changes.get("campaignConfig", campaign.attributes["campaignConfig"])
        version = resolve_version(call, config)
        if version.parent != campaign.parent:
            raise invalid(
                f"Solution version {version.arn} is not of the campaign's solution "
                f"{campaign.parent}."
            )
        lifecycle.require_active(version)
        changes["solutionVersionArn"] = version.arn
    return _update(call, campaign, changes)


def _update_solution(call: Call) -> dict[str, Any]:
    """Change how the service trains by itself."""
    solution = _updatable(call, "Solution")
    changes = {name: value for name, value in call.parameters.items() if name != "solutionArn"}
    check_rate(changes.get("solutionUpdateConfig", {}))
    check_incremental_update(changes)
    return _update(call, solution, changes)


def _update_dataset(call: Call) -> dict[str, Any]:
    """Replace the schema of an Items or Users dataset by one that keeps its fields."""
    dataset = _updatable(call, "Dataset")
    if dataset.attributes["datasetType"] == "INTERACTIONS":
        raise invalid("The schema of an INTERACTIONS dataset cannot be replaced.")
    new = lifecycle.existing(KINDS["Schema"], call, call.parameters["schemaArn"])
    old = lifecycle.existing(KINDS["Schema"], call, dataset.attributes["schemaArn"])
    fields = schemas.parse(new.attributes["schema"])
    schemas.check_replacement(schemas.parse(old.attributes["schema"]), fields)
    dataset.attributes["schemaArn"] = new.arn
    return _update(call, dataset, {"schemaArn": new.arn})


def _stop_version(call: Call) -> dict[str, Any]:
    """Stop a training: at once while it waits, by way of CREATE STOPPING while it runs."""
    version = lifecycle.existing(
        KINDS["SolutionVersion"], call, call.parameters["solutionVersionArn"]
    )
    if version.status not in {"CREATE PENDING", "CREATE IN_PROGRESS"}:
        raise in_use(
            f"Solution version {version.arn} is in {version.status} state; only CREATE PENDING "
            "and CREATE IN_PROGRESS can be stopped."
        )
    delay = 0.0
    if version.status == "CREATE IN_PROGRESS":
        delay = call.world.settings.phase("SolutionVersionStop").total
        version.status, version.updated = "CREATE STOPPING", call.now
    version.plan = [Step(call.now + delay, "CREATE STOPPED")]
    call.world.store.put(version)
    settling.settle(call.world, call.now)
    return {}


def _solution_metrics(call: Call) -> dict[str, Any]:
    """Show the offline metrics of a version that has them."""
    version = lifecycle.existing(
        KINDS["SolutionVersion"], call, call.parameters["solutionVersionArn"]
    )
    if not training.is_active(version):
        raise in_use("Cannot get metrics for solution since it is not in ACTIVE state.")
    return {"solutionVersionArn": version.arn, "metrics": version.attributes["_metrics"]}


def _list_versions(call: Call) -> dict[str, Any]:
    solution = call.parameters.get("solutionArn")
    if solution:
        lifecycle.existing(KINDS["Solution"], call, solution)
    return lifecycle.list_all(KINDS["SolutionVersion"], call)


def _describe_recipe(call: Call) -> dict[str, Any]:
    arn = call.parameters["recipeArn"]
    if arn not in RECIPES:
        raise no_such(f"Resource Arn {arn} does not exist.")
    return {"recipe": project(answer_shape("DescribeRecipe", "recipe"), RECIPES[arn].describe())}


def _list_recipes(call: Call) -> dict[str, Any]:
    """List recipes in pages that are cut before they are filtered, hence sometimes short."""
    after = paging.start(call.parameters, str)
    recipes = [one for one in RECIPES.values() if after is None or [one.arn] > after]
    size = min(PAGE_BEFORE_FILTER, call.parameters.get("maxResults", PAGE_BEFORE_FILTER))
    chosen, token = paging.cut(recipes, size, lambda one: [one.arn])
    shape = answer_shape("ListRecipes", "recipes")
    domain = call.parameters.get("domain")
    shown = [one for one in chosen if domain is None or one.domain == domain]
    if domain and not any(one.domain == domain for one in recipes[size:]):
        token = {}
    return {"recipes": [project(shape, one.describe()) for one in shown], **token}


def _table() -> dict[str, Operation]:
    table: dict[str, Operation] = {}
    for kind in KINDS.values():
        table[f"Create{kind.name}"] = partial(lifecycle.create, kind, RULES[kind.name])
        table[f"Describe{kind.name}"] = partial(lifecycle.describe, kind)
        table[f"List{kind.name}s"] = partial(lifecycle.list_all, kind)
        if operation_model(CONTROL, f"Delete{kind.name}"):
            table[f"Delete{kind.name}"] = partial(lifecycle.delete, kind)
    return table | {
        "UpdateCampaign": _update_campaign,
        "UpdateDataset": _update_dataset,
        "UpdateSolution": _update_solution,
        "StopSolutionVersionCreation": _stop_version,
        "GetSolutionMetrics": _solution_metrics,
        "ListSolutionVersions": _list_versions,
        "DescribeRecipe": _describe_recipe,
        "ListRecipes": _list_recipes,
        "ListTagsForResource": lifecycle.list_tags,
        "TagResource": lifecycle.tag,
        "UntagResource": lifecycle.untag,
    }


OPERATIONS: dict[str, Operation] = _table()
"""What the control plane implements; every other operation answers "not implemented"."""
