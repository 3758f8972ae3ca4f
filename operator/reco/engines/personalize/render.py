"""From specs to what the service should hold: pure translation, one function a kind.

Fields are in the service's own names and types. Defaults that come from the EngineClass and can't
be changed later are sent once and not compared: an edit of the class moves nothing that exists.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from reco.api.engine_class import PersonalizeSettings
from reco.api.resource import Resource
from reco.api.solution import TrainingOwner
from reco.decide.model import Unsupported, Waiting
from reco.decide.references import References

LATEST = "$LATEST"
"""What stands for the version id of a campaign that the service itself keeps up to date."""

_DOMAINS = {"Ecommerce": "ECOMMERCE", "VideoOnDemand": "VIDEO_ON_DEMAND"}
_DATASET_TYPES = {
    "Interactions": "INTERACTIONS",
    "Items": "ITEMS",
    "Users": "USERS",
    "Actions": "ACTIONS",
    "ActionInteractions": "ACTION_INTERACTIONS",
}
_CHANGEABLE_SCHEMA = {"ITEMS", "USERS"}


@dataclass(frozen=True, slots=True)
class Place:
    """Where an engine works, and the defaults of its class."""

    settings: PersonalizeSettings
    recipes: frozenset[str] | None = None
    """The short names of the recipes it offers; None while they are not known."""

    @property
    def region(self) -> str:
        """The AWS region."""
        return self.settings.region

    @property
    def partition(self) -> str:
        """The AWS partition the region belongs to."""
        if self.region.startswith("cn-"):
            return "aws-cn"
        return "aws-us-gov" if self.region.startswith("us-gov-") else "aws"

    def recipe(self, name: str) -> str:
        """Return the ARN of a recipe given by short name or ARN."""
        return (
            name if name.startswith("arn:") else f"arn:{self.partition}:personalize:::recipe/{name}"
        )

    def lacks(self, name: str) -> str | None:
        """Return why a recipe, given by short name or ARN, can't be had, or None."""
        if self.recipes is None or self.recipe(name) in map(self.recipe, self.recipes):
            return None
        return (
            f"Personalize offers no {name!r} in {self.region}; it offers"
            f" {', '.join(sorted(self.recipes))}"
        )

    def endpoint(self, service: str) -> str:
        """Return the URL of `personalize-runtime` or `personalize-events`."""
        if self.settings.endpoint_url is not None:
            return self.settings.endpoint_url
        suffix = "amazonaws.com.cn" if self.partition == "aws-cn" else "amazonaws.com"
        return f"https://{service}.{self.region}.{suffix}"


@dataclass(frozen=True, slots=True)
class Rendered:
    """What a spec comes to: `fields`, `mutable` and `once` of `Desired`."""

    fields: Mapping[str, Any]
    mutable: frozenset[str] = frozenset()
    once: Mapping[str, Any] = field(default_factory=dict)


Rendering = Rendered | Waiting | Unsupported


def arn_of(resource: Resource) -> str:
    """Return the recorded ARN of a resource that others may build on."""
    arn = resource.status.external.arn
    if arn is None:
        raise ValueError(f"{resource.key} has no recorded ARN: wait for it first")
    return str(arn)


def dataset_group(resource: Resource, _: References, place: Place) -> Rendering:
    """Render a DatasetGroup."""
    spec = resource.spec
    own = {"roleArn": spec.role_arn, "kmsKeyArn": spec.kms_key_arn}
    fields = {"domain": _domain(spec.domain)} | _given(own)
    once = {}
    # The service refuses a role without a key, so the class's role only goes with a key.
    if spec.kms_key_arn is None and place.settings.kms_key_arn is not None:
        once["kmsKeyArn"] = place.settings.kms_key_arn
    if spec.role_arn is None and (once or spec.kms_key_arn):
        once |= _given({"roleArn": place.settings.role_arn})
    return Rendered(fields, once=once)


def schema(resource: Resource, _: References, __: Place) -> Rendering:
    """Render a Schema; the Avro schema is compared as JSON, not as text."""
    return Rendered(
        {"schema": resource.spec.avro.manifest(), "domain": _domain(resource.spec.domain)}
    )


def dataset(resource: Resource, references: References, _: Place) -> Rendering:
    """Render a Dataset."""
    type_ = _DATASET_TYPES[resource.spec.type]
    return Rendered(
        {
            "datasetGroupArn": arn_of(references.direct["datasetGroupRef"]),
            "datasetType": type_,
            "schemaArn": arn_of(references.direct["schemaRef"]),
        },
        mutable=frozenset({"schemaArn"} if type_ in _CHANGEABLE_SCHEMA else ()),
    )


def dataset_import_job(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a DatasetImportJob."""
    spec = resource.spec
    role = spec.role_arn or place.settings.role_arn
    if role is None:
        return Unsupported(
            "an import needs a role that may read the source: set spec.roleARN, or"
            " spec.personalize.roleARN of the EngineClass"
        )
    if spec.source.s3 is None:
        return Unsupported(
            "Personalize imports from S3 only: set spec.source.s3, or use the engine InCluster"
        )
    once: dict[str, Any] = {"roleArn": role}
    if spec.publish_attribution_metrics_to_s3:
        once["publishAttributionMetricsToS3"] = True
    return Rendered(
        {
            "datasetArn": arn_of(references.direct["datasetRef"]),
            "dataSource": {"dataLocation": spec.source.s3},
            "importMode": spec.mode.upper(),
        },
        once=once,
    )


SOLUTION_MUTABLE = frozenset(
    {"performAutoTraining", "performIncrementalUpdate", "autoTrainingConfig", "eventsConfig"}
)


def solution(resource: Resource, references: References, place: Place) -> Rendering:
    """Render a Solution.

    `solutionConfig` comes without the two parts that can be changed; they stand beside it. The
    service trains by itself unless it is told not to, so `performAutoTraining` is always said.
    """
    spec = resource.spec
    # What was made with a recipe long ago goes on.
    if resource.status.external is None:
        for field_, name in _recipes(spec):
            lacking = place.lacks(name)
            if lacking is not None:
                return Unsupported(f"{field_}: {lacking}")
    config = _solution_config(
        spec.solution_config.manifest() if spec.solution_config is not None else {}, place
    )
    events = config.pop("eventsConfig", None) or {}
    rate = config.pop("autoTrainingConfig", None)
    fields: dict[str, Any] = {
        "datasetGroupArn": arn_of(references.direct["datasetGroupRef"]),
        "recipeArn": place.recipe(spec.recipe) if spec.recipe is not None else None,
        "performHPO": spec.perform_hpo,
        "performAutoML": spec.perform_auto_ml,
        "performAutoTraining": spec.training.owner is TrainingOwner.SERVICE,
        "performIncrementalUpdate": spec.perform_incremental_update,
        "eventType": spec.event_type,
        "solutionConfig": config,
        "eventsConfig": {"eventParametersList": events.get("eventParametersList", [])},
    }
    if rate is not None and fields["performAutoTraining"]:
        fields["autoTrainingConfig"] = rate
    return Rendered(fields, mutable=SOLUTION_MUTABLE & fields.keys())


def _recipes(spec: Any) -> list[tuple[str, str]]:  # noqa: ANN401 - a kind's spec
    """Return the recipes that a spec names, each with the field that does."""
    auto = spec.solution_config.auto_ml_config if spec.solution_config is not None else None
    listed = (auto.recipe_list if auto is not None else None) or ()
    named = [("spec.recipe", spec.recipe)] if spec.recipe is not None else []
    return [*named, *(("spec.solutionConfig.autoMLConfig.recipeList", one) for one in listed)]


def _solution_config(config: dict[str, Any], place: Place) -> dict[str, Any]:
    """Turn decimals into numbers and our spellings into the service's."""
    for parameters in config.get("eventsConfig", {}).get("eventParametersList") or []:
        for name in ("eventValueThreshold", "weight"):
            if name in parameters:
                parameters[name] = float(parameters[name])
    ranges = config.get("hpoConfig", {}).get("algorithmHyperParameterRanges", {})
    for range_ in ranges.get("continuousHyperParameterRanges") or []:
        range_ |= {name: float(range_[name]) for name in ("minValue", "maxValue")}
    objective = config.get("optimizationObjective", {})
    if "objectiveSensitivity" in objective:
        objective["objectiveSensitivity"] = objective["objectiveSensitivity"].upper()
    for which, columns in config.get("trainingDataConfig", {}).items():
        config["trainingDataConfig"][which] = {
            dataset.upper(): names for dataset, names in columns.items()
        }
    if recipes := config.get("autoMLConfig", {}).get("recipeList"):
        config["autoMLConfig"]["recipeList"] = [place.recipe(name) for name in recipes]
    return dict(_pruned(config))


def _pruned(value: Any) -> Any:  # noqa: ANN401 - JSON
    """Leave out empty parts, which the service does not echo."""
    if isinstance(value, Mapping):
        inner = {name: _pruned(part) for name, part in value.items()}
        return {name: part for name, part in inner.items() if part not in ({}, [])}
    return [_pruned(part) for part in value] if isinstance(value, list) else value


def solution_version(resource: Resource, references: References, _: Place) -> Rendering:
    """Render a SolutionVersion."""
    return Rendered(
        {
            "solutionArn": arn_of(references.direct["solutionRef"]),
            "trainingMode": resource.spec.training_mode.upper(),
        }
    )


CAMPAIGN_MUTABLE = frozenset({"solutionVersionArn", "minProvisionedTPS", "campaignConfig"})


def campaign(resource: Resource, references: References, _: Place) -> Rendering:
    """Render a Campaign that serves the version chosen for it (`references.direct["version"]`)."""
    spec = resource.spec
    wanted = spec.campaign_config.manifest() if spec.campaign_config is not None else {}
    sync = wanted.get("syncWithLatestSolutionVersion", False)
    solution_arn = arn_of(references.direct["solutionRef"])
    version = references.direct.get("version")
    if sync:
        version_arn = f"{solution_arn}/{LATEST}"
    elif version is not None:
        version_arn = arn_of(version)
    else:
        return Waiting(f"{references.direct['solutionRef'].key} has no version to serve yet")
    config: dict[str, Any] = {
        "enableMetadataWithRecommendations": wanted.get("enableMetadataWithRecommendations", False),
        "syncWithLatestSolutionVersion": sync,
        "rankingInfluence": {
            name.upper(): float(value) for name, value in wanted.get("rankingInfluence", {}).items()
        },
    }
    if wanted.get("itemExplorationConfig"):
        config["itemExplorationConfig"] = wanted["itemExplorationConfig"]
    return Rendered(
        {
            "solutionVersionArn": version_arn,
            "minProvisionedTPS": spec.min_provisioned_tps,
            "campaignConfig": config,
        },
        mutable=CAMPAIGN_MUTABLE,
    )


def event_tracker(_: Resource, references: References, __: Place) -> Rendering:
    """Render an EventTracker."""
    return Rendered({"datasetGroupArn": arn_of(references.direct["datasetGroupRef"])})


def _domain(domain: str | None) -> str | None:
    return _DOMAINS[domain] if domain is not None else None


def _given(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
