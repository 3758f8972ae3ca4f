"""Kinds that are only said, not run: Schema, Dataset and Solution become ConfigMaps.

A ConfigMap can be looked at, has a creation time, and goes like everything else; what it says is
what Jobs are told later.
"""

from typing import Any, Final

from reco.api.resource import Resource
from reco.api.solution import TrainingOwner
from reco.api.vocabulary import Reason
from reco.decide import names
from reco.decide.model import Unsupported
from reco.decide.references import References
from reco.engines.incluster import pods, schemas
from reco.engines.incluster.place import Place
from reco.engines.incluster.rendering import Rendered, Rendering, as_json
from reco.recipes.registry import RECIPES, Recipe, validate_hyperparameters
from reco.workload.addresses import service

OFFERED: Final = {name: one for name, one in RECIPES.items() if "InCluster" in one.engines}
"""The recipes that this engine has, by name."""

_LACKS: Final = (
    ("performHPO", lambda spec: spec.perform_hpo, "searches no hyperparameters"),
    ("performAutoML", lambda spec: spec.perform_auto_ml, "chooses no recipe by itself"),
    (
        "performIncrementalUpdate",
        lambda spec: spec.perform_incremental_update,
        "takes up new items as they come and needs no such setting",
    ),
    (
        "training.owner: Service",
        lambda spec: spec.training.owner is TrainingOwner.SERVICE,
        "does not train by itself: use 'Operator' with schedules",
    ),
)
_CONFIG_HAS: Final = frozenset({"algorithmHyperParameters", "eventValueThreshold", "eventsConfig"})


def schema(resource: Resource, _: References, place: Place) -> Rendering:
    """Render a Schema."""
    problem = schemas.problem(resource.spec.avro)
    if problem is not None:
        return Unsupported(problem, Reason.INVALID_SPEC)
    content = {"schema.avsc": as_json(resource.spec.avro.manifest())}
    return _record(place, resource, "schema", content)


def dataset(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a Dataset."""
    avro = references.direct["schemaRef"].spec.avro
    problem = schemas.problem_for(resource.spec.type.value, avro)
    if problem is not None:
        return Unsupported(problem, Reason.INVALID_SPEC)
    content = {
        "group": names.external_name(references.direct["datasetGroupRef"]),
        "type": resource.spec.type.value,
        "fields": as_json([one.model_dump(mode="json") for one in schemas.fields(avro)]),
    }
    return _record(place, resource, "dataset", content)


def solution(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a Solution."""
    spec = resource.spec
    for name, asks, why in _LACKS:
        if asks(spec):
            return Unsupported(f"spec.{name}: the engine InCluster {why}")
    recipe = recipe_of(resource)
    if recipe is None:
        return Unsupported(
            f"spec.recipe: the engine InCluster has no {spec.recipe!r}; it has"
            f" {', '.join(sorted(OFFERED))}"
        )
    config = spec.solution_config.manifest() if spec.solution_config is not None else {}
    lacking = sorted(config.keys() - _CONFIG_HAS)
    if lacking:
        return Unsupported(
            f"spec.solutionConfig: the engine InCluster has no {', '.join(lacking)}; it has"
            f" {', '.join(sorted(_CONFIG_HAS))}"
        )
    problem = _events_problem(config)
    if problem is not None:
        return Unsupported(problem)
    parameters = hyperparameters(resource, recipe, place)
    problems = validate_hyperparameters(recipe.name, parameters)
    if problems:
        return Unsupported(
            f"spec.solutionConfig.algorithmHyperParameters: {'; '.join(problems)}",
            Reason.INVALID_SPEC,
        )
    content = {
        "group": names.external_name(references.direct["datasetGroupRef"]),
        "recipe": recipe.name,
        "hyperparameters": as_json(parameters),
        "events": as_json(events_of(resource)),
    }
    return _record(place, resource, "solution", content)


def recipe_of(solution_: Resource) -> Recipe | None:
    """Return the recipe that a Solution names, by short name or ARN; None if there is none."""
    return OFFERED.get((solution_.spec.recipe or "").rpartition("/")[2])


def hyperparameters(solution_: Resource, recipe: Recipe, place: Place) -> dict[str, str]:
    """Return a Solution's hyperparameters over those of its class."""
    defaults = (place.settings.recipe_parameters or {}).get(recipe.name, {})
    config = solution_.spec.solution_config
    own = config.algorithm_hyper_parameters if config is not None else None
    return {**defaults, **(own or {})}


def events_of(solution_: Resource) -> dict[str, Any]:
    """Return which events train a Solution: `type` and `threshold`, either None for all."""
    spec = solution_.spec
    config = spec.solution_config
    type_, threshold = spec.event_type, None
    if config is not None:
        threshold = config.event_value_threshold
        parameters = config.events_config.event_parameters_list if config.events_config else None
        for one in parameters or ():
            type_ = one.event_type or type_
            threshold = one.event_value_threshold or threshold
    return {"type": type_, "threshold": float(threshold) if threshold is not None else None}


def _events_problem(config: dict[str, Any]) -> str | None:
    parameters = config.get("eventsConfig", {}).get("eventParametersList") or []
    if len(parameters) > 1 or any("weight" in one for one in parameters):
        return (
            "spec.solutionConfig.eventsConfig: the engine InCluster learns from one type of event,"
            " without weights: name one, or leave it out to learn from all"
        )
    return None


def _record(place: Place, resource: Resource, role: str, content: dict[str, str]) -> Rendered:
    name = service(resource.key.name, role)
    made = pods.config_map(place, resource, name, role, content)
    return Rendered((made,), input=content)
