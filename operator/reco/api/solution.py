"""Solution: a recipe with its settings, and when to train it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from reco.api.base import (
    ApiModel,
    Cron,
    Decimal,
    ExternalStatus,
    Fraction,
    Name,
    Reference,
    SharedSpec,
    TimeZone,
    immutable,
    rules,
)

ShortText = Annotated[str, StringConstraints(min_length=1, max_length=256)]
ParameterValue = Annotated[str, StringConstraints(max_length=1000)]
Parameters = Annotated[dict[ShortText, ParameterValue], Field(max_length=100)]
Column = Annotated[str, StringConstraints(max_length=150, pattern=r"^[A-Za-z_][A-Za-z\d_]*$")]
Rate = Annotated[str, StringConstraints(max_length=16, pattern=r"^rate\([0-9]+ days?\)$")]
Recipe = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=256,
        pattern=r"^(arn:[a-z\d-]+:personalize:[^:]*:[^:]*:recipe/)?[a-z0-9][a-z0-9-]*$",
    ),
]


class TrainingOwner(StrEnum):
    """Who starts trainings."""

    OPERATOR = "Operator"
    SERVICE = "Service"
    NONE = "None"


class ConcurrencyPolicy(StrEnum):
    """What to do when a training is due while another one runs."""

    FORBID = "Forbid"


class TrainingMode(StrEnum):
    """Whether a training starts anew or from the version before."""

    FULL = "Full"
    UPDATE = "Update"


class ObjectiveSensitivity(StrEnum):
    """How much the optimization objective counts against relevance."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    OFF = "Off"


class TrainingSchedule(ApiModel):
    """When to train, in CronJob's words."""

    schedule: Cron
    time_zone: TimeZone = "Etc/UTC"
    """The zone the schedule is read in."""
    suspend: bool = False
    """Start no new trainings by this schedule."""


class Training(ApiModel):
    """Who trains, and when. Each training is a SolutionVersion."""

    owner: TrainingOwner = TrainingOwner.OPERATOR
    """`Operator`: once when data is there, then by the schedules. `Service`: the service's own
    automatic training. `None`: by hand only."""
    full: TrainingSchedule | None = None
    """Trainings from scratch."""
    update: TrainingSchedule | None = None
    """Trainings that start from the version before, for recipes that can."""
    only_if_new_data: bool = False
    """Skip a scheduled training when nothing was imported since the last good one."""
    starting_deadline_seconds: int | None = Field(default=None, ge=60, le=2_678_400)
    """How late a scheduled training may start; later it is skipped."""
    concurrency_policy: ConcurrencyPolicy = ConcurrencyPolicy.FORBID
    """`Forbid`: a training that is due while another runs waits for it, within the deadline."""


class HpoObjective(ApiModel):
    """What hyperparameter optimization optimizes."""

    type: ShortText | None = None
    metric_name: ShortText | None = None
    metric_regex: ShortText | None = None


class HpoResourceConfig(ApiModel):
    """What hyperparameter optimization may use."""

    max_number_of_training_jobs: ShortText | None = None
    max_parallel_training_jobs: ShortText | None = None


class IntegerRange(ApiModel):
    """A range of whole numbers."""

    name: ShortText
    min_value: int = Field(ge=-1_000_000, le=1_000_000)
    max_value: int = Field(ge=-1_000_000, le=1_000_000)


class ContinuousRange(ApiModel):
    """A range of decimals."""

    name: ShortText
    min_value: Decimal
    max_value: Decimal


class CategoricalRange(ApiModel):
    """A list of values."""

    name: ShortText
    values: Annotated[list[ParameterValue], Field(max_length=100)]


class HyperparameterRanges(ApiModel):
    """What hyperparameter optimization searches."""

    integer_hyper_parameter_ranges: Annotated[list[IntegerRange], Field(max_length=100)] | None = (
        None
    )
    continuous_hyper_parameter_ranges: (
        Annotated[list[ContinuousRange], Field(max_length=100)] | None
    ) = None
    categorical_hyper_parameter_ranges: (
        Annotated[list[CategoricalRange], Field(max_length=100)] | None
    ) = None


class HpoConfig(ApiModel):
    """Hyperparameter optimization."""

    hpo_objective: HpoObjective | None = Field(default=None, alias="hpoObjective")
    hpo_resource_config: HpoResourceConfig | None = Field(default=None, alias="hpoResourceConfig")
    algorithm_hyper_parameter_ranges: HyperparameterRanges | None = None


class AutoMLConfig(ApiModel):
    """Automatic choice of the recipe."""

    metric_name: ShortText | None = None
    recipe_list: Annotated[list[Recipe], Field(max_length=100)] | None = None


class EventParameters(ApiModel):
    """How much one type of event counts."""

    event_type: ShortText
    event_value_threshold: Decimal | None = None
    weight: Fraction | None = None


class EventsConfig(ApiModel):
    """Which events train the model, and how much they count."""

    event_parameters_list: Annotated[list[EventParameters], Field(max_length=10)] | None = None


class OptimizationObjective(ApiModel):
    """A business objective beside relevance."""

    item_attribute: Annotated[str, StringConstraints(min_length=1, max_length=150)] | None = None
    objective_sensitivity: ObjectiveSensitivity | None = None


class Columns(ApiModel):
    """Columns of each dataset."""

    interactions: Annotated[list[Column], Field(max_length=50)] | None = None
    items: Annotated[list[Column], Field(max_length=50)] | None = None
    users: Annotated[list[Column], Field(max_length=50)] | None = None


class TrainingDataConfig(ApiModel):
    """Which columns train the model."""

    excluded_dataset_columns: Columns | None = None
    included_dataset_columns: Columns | None = None


class AutoTrainingConfig(ApiModel):
    """How often the service trains on its own."""

    scheduling_expression: Rate


class SolutionConfig(ApiModel):
    """The service's settings of a solution, one to one."""

    event_value_threshold: ShortText | None = None
    hpo_config: HpoConfig | None = Field(default=None, alias="hpoConfig")
    algorithm_hyper_parameters: Parameters | None = None
    """Hyperparameters of the recipe; values are strings."""
    feature_transformation_parameters: Parameters | None = None
    auto_ml_config: AutoMLConfig | None = None
    events_config: EventsConfig | None = None
    optimization_objective: OptimizationObjective | None = None
    training_data_config: TrainingDataConfig | None = None
    auto_training_config: AutoTrainingConfig | None = None
    """Only for `training.owner: Service`."""


_IMMUTABLE_CONFIG = (
    "eventValueThreshold",
    "hpoConfig",
    "algorithmHyperParameters",
    "featureTransformationParameters",
    "autoMLConfig",
    "optimizationObjective",
    "trainingDataConfig",
)


def _unchanged(path: str, field: str) -> str:
    """Return the CEL expression saying that an optional field is as it was, or still absent."""
    old, new = path.replace("self", "oldSelf", 1), path
    return (
        f"has({new}.{field}) == has({old}.{field})"
        f" && (!has({new}.{field}) || {new}.{field} == {old}.{field})"
    )


class SolutionSpec(SharedSpec):
    """What a Solution says."""

    model_config = {
        "json_schema_extra": rules(
            (
                "has(self.recipe) != (has(self.performAutoML) && self.performAutoML)",
                "spec.recipe must be given, unless spec.performAutoML is true",
            ),
            *(
                (_unchanged("self", field), f"{field} can't be changed: make a new Solution")
                for field in ("recipe", "eventType")
            ),
            *(
                (
                    "has(self.solutionConfig) && has(oldSelf.solutionConfig)"
                    f" ? ({_unchanged('self.solutionConfig', field)})"
                    f" : (!has(self.solutionConfig) || !has(self.solutionConfig.{field}))"
                    f" && (!has(oldSelf.solutionConfig) || !has(oldSelf.solutionConfig.{field}))",
                    f"solutionConfig.{field} can't be changed: make a new Solution",
                )
                for field in _IMMUTABLE_CONFIG
            ),
            (
                "!has(self.solutionConfig) || !has(self.solutionConfig.autoTrainingConfig)"
                " || (has(self.training) && self.training.owner == 'Service')",
                "solutionConfig.autoTrainingConfig is allowed only with training.owner 'Service'",
            ),
            (
                "!has(self.training) || self.training.owner == 'Operator'"
                " || (!has(self.training.full) && !has(self.training.update))",
                "training.full and training.update are allowed only with training.owner 'Operator'",
            ),
        )
    }

    dataset_group_ref: Reference = Field(
        json_schema_extra=immutable("make a new Solution", "datasetGroupRef")
    )
    recipe: Recipe | None = None
    """The recipe, by short name (`aws-user-personalization-v2`) or ARN."""
    perform_hpo: bool = Field(
        default=False, json_schema_extra=immutable("make a new Solution", "performHPO")
    )
    """Search hyperparameters in each training."""
    perform_auto_ml: bool = Field(
        default=False, json_schema_extra=immutable("make a new Solution", "performAutoML")
    )
    """Let the service choose the recipe."""
    perform_incremental_update: bool = False
    """Let the service take up new items between trainings, for recipes that can."""
    event_type: ShortText | None = None
    """The type of event that trains the model; left out, all."""
    solution_config: SolutionConfig | None = None
    training: Training = Training()
    successful_versions_history_limit: int = Field(default=3, ge=1, le=100)
    """How many good SolutionVersions to keep. What serves or is pinned is always kept."""
    failed_versions_history_limit: int = Field(default=1, ge=0, le=100)
    """How many failed SolutionVersions to keep."""


class SkippedRun(ApiModel):
    """A scheduled run that was not started, and why."""

    time: datetime
    """The scheduled time."""
    reason: Annotated[str, StringConstraints(max_length=256)]


class TrainingStatus(ApiModel):
    """What is known of a solution's trainings."""

    running: Name | None = None
    """The SolutionVersion in training."""
    latest: Name | None = None
    """The newest good SolutionVersion."""
    last_trained_time: datetime | None = None
    """When the newest good version was made."""
    last_schedule_time: datetime | None = None
    """The scheduled time that was last acted upon."""
    next_schedule_time: datetime | None = None
    last_skipped: SkippedRun | None = None
    last_run_now: Annotated[str, StringConstraints(max_length=256)] | None = None
    """Echo of the annotation `reco.dev/run-now`."""
    last_input: Annotated[str, StringConstraints(max_length=64)] | None = None
    """Digest of the spec and data that the newest version was trained on."""
    known_through: datetime | None = None
    """External versions made until then have, or had, a SolutionVersion."""


class SolutionStatus(ExternalStatus):
    """What the operator says of a Solution."""

    training: TrainingStatus | None = None
