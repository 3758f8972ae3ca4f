"""Solution: a recipe with its settings, and when to train it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import (
    ApiModel,
    Cron,
    Decimal,
    ExternalStatus,
    Fraction,
    Must,
    Name,
    Reference,
    SharedSpec,
    ShortText,
    TimeZone,
    immutable,
    rules,
)

ParameterValue = Annotated[str, StringConstraints(max_length=1000)]
Parameters = Annotated[dict[ShortText, ParameterValue], Field(max_length=100)]
Column = Annotated[
    str,
    StringConstraints(min_length=1, max_length=150, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$"),
    Must("must be the name of a column: letters, digits and '_', not starting with a digit"),
]
ColumnSet = Annotated[
    list[Column], Field(max_length=50, json_schema_extra={"x-kubernetes-list-type": "set"})
]
Count = Annotated[
    str,
    StringConstraints(min_length=1, max_length=9, pattern=r"^[1-9][0-9]*$"),
    Must("must be a whole number above 0 as a string, such as '10'"),
]
Rate = Annotated[
    str,
    StringConstraints(
        min_length=11, max_length=16, pattern=r"^rate\(([1-9]|[12][0-9]|30) days?\)$"
    ),
    Must("must be 'rate(N days)' with N from 1 to 30, such as 'rate(7 days)'"),
]
Recipe = Annotated[
    str,
    StringConstraints(
        min_length=1,
        max_length=256,
        pattern=r"^(arn:[a-z0-9-]+:personalize:[^:]*:[^:]*:recipe/)?[a-z0-9][a-z0-9-]*$",
    ),
    Must("must be the name or the ARN of a recipe, such as 'aws-user-personalization-v2'"),
]
UPDATABLE_RECIPES = ("aws-user-personalization", "aws-hrnn-coldstart")
"""Recipes whose trainings can start from the version before, by the service's documentation."""
_NEW_SOLUTION = immutable("make a new Solution")
_NAMED: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


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
    """Five cron fields: minute, hour, day of month, month, day of week."""
    time_zone: TimeZone = "Etc/UTC"
    """The zone the schedule is read in."""
    suspend: bool = False
    """Start no new trainings by this schedule."""


class Training(ApiModel):
    """Who trains, and when. Each training is a SolutionVersion."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "self.owner == 'Operator' || (!has(self.full) && !has(self.update))",
                "full and update must be left out unless owner is 'Operator'",
            ),
            (
                "!has(self.startingDeadlineSeconds) || has(self.full) || has(self.update)",
                "startingDeadlineSeconds must be left out unless full or update has a schedule",
            ),
            (
                "!self.onlyIfNewData || has(self.full) || has(self.update)",
                "onlyIfNewData must be false unless full or update has a schedule",
            ),
        )
    )

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
    """`Maximize` or `Minimize`."""
    metric_name: ShortText | None = None
    """The metric to optimize."""
    metric_regex: ShortText | None = None
    """The regular expression that finds the metric in the training's log."""


class HpoResourceConfig(ApiModel):
    """What hyperparameter optimization may use."""

    max_number_of_training_jobs: Count | None = None
    """Training jobs in all, as a string; the service allows 40."""
    max_parallel_training_jobs: Count | None = None
    """Training jobs at the same time, as a string; the service allows 10."""


class IntegerRange(ApiModel):
    """A range of whole numbers."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            ("self.minValue <= self.maxValue", "minValue must not be above maxValue")
        )
    )

    name: ShortText
    """The hyperparameter."""
    min_value: int = Field(ge=-1_000_000, le=1_000_000)
    """The lowest value to try."""
    max_value: int = Field(ge=-1_000_000, le=1_000_000)
    """The highest value to try."""


class ContinuousRange(ApiModel):
    """A range of decimals."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "double(self.minValue) <= double(self.maxValue)",
                "minValue must not be above maxValue",
            )
        )
    )

    name: ShortText
    """The hyperparameter."""
    min_value: Decimal
    """The lowest value to try."""
    max_value: Decimal
    """The highest value to try."""


class CategoricalRange(ApiModel):
    """A list of values."""

    name: ShortText
    """The hyperparameter."""
    values: Annotated[list[ParameterValue], Field(min_length=1, max_length=100)]
    """The values to try."""


class HyperparameterRanges(ApiModel):
    """What hyperparameter optimization searches."""

    integer_hyper_parameter_ranges: (
        Annotated[list[IntegerRange], Field(max_length=100, json_schema_extra=_NAMED)] | None
    ) = None
    """Hyperparameters that are whole numbers."""
    continuous_hyper_parameter_ranges: (
        Annotated[list[ContinuousRange], Field(max_length=100, json_schema_extra=_NAMED)] | None
    ) = None
    """Hyperparameters that are decimals."""
    categorical_hyper_parameter_ranges: (
        Annotated[list[CategoricalRange], Field(max_length=100, json_schema_extra=_NAMED)] | None
    ) = None
    """Hyperparameters that are one of a list of values."""


class HpoConfig(ApiModel):
    """Hyperparameter optimization."""

    hpo_objective: HpoObjective | None = Field(default=None, alias="hpoObjective")
    """What to optimize; left out, the recipe's own metric."""
    hpo_resource_config: HpoResourceConfig | None = Field(default=None, alias="hpoResourceConfig")
    """How many training jobs to spend."""
    algorithm_hyper_parameter_ranges: HyperparameterRanges | None = None
    """What to search; left out, the recipe's own ranges."""


class AutoMLConfig(ApiModel):
    """Automatic choice of the recipe."""

    metric_name: ShortText | None = None
    """The metric to choose by."""
    recipe_list: (
        Annotated[
            list[Recipe], Field(max_length=100, json_schema_extra={"x-kubernetes-list-type": "set"})
        ]
        | None
    ) = None
    """The recipes to choose from."""


class EventParameters(ApiModel):
    """How much one type of event counts."""

    event_type: ShortText
    """The type of event."""
    event_value_threshold: Decimal | None = None
    """Events of this type with a lower EVENT_VALUE don't count."""
    weight: Fraction | None = None
    """How much one event of this type counts, from 0 to 1."""


class EventsConfig(ApiModel):
    """Which events train the model, and how much they count."""

    event_parameters_list: (
        Annotated[
            list[EventParameters],
            Field(
                max_length=10,
                json_schema_extra={
                    "x-kubernetes-list-type": "map",
                    "x-kubernetes-list-map-keys": ["eventType"],
                },
            ),
        ]
        | None
    ) = None
    """The types of event that count, at most 10, each named once."""


class OptimizationObjective(ApiModel):
    """A business objective beside relevance."""

    item_attribute: Column | None = None
    """The numerical column of the Items dataset to optimize."""
    objective_sensitivity: ObjectiveSensitivity | None = None
    """How much the objective counts against relevance."""


class Columns(ApiModel):
    """Columns of each dataset."""

    interactions: ColumnSet | None = None
    """Columns of the Interactions dataset."""
    items: ColumnSet | None = None
    """Columns of the Items dataset."""
    users: ColumnSet | None = None
    """Columns of the Users dataset."""


class TrainingDataConfig(ApiModel):
    """Which columns train the model."""

    excluded_dataset_columns: Columns | None = None
    """Columns to train without."""
    included_dataset_columns: Columns | None = None
    """Columns to train with, and no others."""


class AutoTrainingConfig(ApiModel):
    """How often the service trains on its own."""

    scheduling_expression: Rate
    """`rate(N days)`, N from 1 to 30."""


class SolutionConfig(ApiModel):
    """The service's settings of a solution, one to one."""

    event_value_threshold: Decimal | None = Field(default=None, json_schema_extra=_NEW_SOLUTION)
    """Events with a lower EVENT_VALUE don't train the model."""
    hpo_config: HpoConfig | None = Field(
        default=None, alias="hpoConfig", json_schema_extra=_NEW_SOLUTION
    )
    """How hyperparameters are searched, with `performHPO: true`."""
    algorithm_hyper_parameters: Parameters | None = Field(
        default=None, json_schema_extra=_NEW_SOLUTION
    )
    """Hyperparameters of the recipe; values are strings."""
    feature_transformation_parameters: Parameters | None = Field(
        default=None, json_schema_extra=_NEW_SOLUTION
    )
    """Parameters of the recipe's feature transformation; values are strings."""
    auto_ml_config: AutoMLConfig | None = Field(default=None, json_schema_extra=_NEW_SOLUTION)
    """How the recipe is chosen, with `performAutoML: true`."""
    events_config: EventsConfig | None = None
    """Which types of event train the model, and how much each counts."""
    optimization_objective: OptimizationObjective | None = Field(
        default=None, json_schema_extra=_NEW_SOLUTION
    )
    """A business objective to optimize beside relevance."""
    training_data_config: TrainingDataConfig | None = Field(
        default=None, json_schema_extra=_NEW_SOLUTION
    )
    """Which columns train the model."""
    auto_training_config: AutoTrainingConfig | None = None
    """How often the service trains, with `training.owner: Service`."""


class SolutionSpec(SharedSpec):
    """What a Solution says."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            (
                "has(self.recipe) != self.performAutoML",
                "spec must have exactly one of 'recipe' and 'performAutoML: true'",
            ),
            (
                "!has(self.solutionConfig) || !has(self.solutionConfig.autoMLConfig)"
                " || self.performAutoML",
                "solutionConfig.autoMLConfig must be left out unless performAutoML is true",
            ),
            (
                "!has(self.solutionConfig) || !has(self.solutionConfig.hpoConfig)"
                " || self.performHPO",
                "solutionConfig.hpoConfig must be left out unless performHPO is true",
            ),
            (
                "!has(self.solutionConfig) || !has(self.solutionConfig.autoTrainingConfig)"
                " || self.training.owner == 'Service'",
                "solutionConfig.autoTrainingConfig must be left out unless training.owner is"
                " 'Service'",
            ),
            (
                "!has(self.training.update) || (has(self.recipe)"
                f" && self.recipe.matches('^(.*/)?({'|'.join(UPDATABLE_RECIPES)})$'))",
                "training.update must be left out unless the recipe is one of "
                + ", ".join(UPDATABLE_RECIPES)
                + "; other recipes train by training.full",
            ),
        )
    )

    dataset_group_ref: Reference = Field(json_schema_extra=_NEW_SOLUTION)
    """The DatasetGroup whose data trains the model."""
    recipe: Recipe | None = Field(default=None, json_schema_extra=_NEW_SOLUTION)
    """The recipe, by short name (`aws-user-personalization-v2`) or ARN."""
    perform_hpo: bool = Field(default=False, json_schema_extra=_NEW_SOLUTION)
    """Search hyperparameters in each training."""
    perform_auto_ml: bool = Field(default=False, json_schema_extra=_NEW_SOLUTION)
    """Let the service choose the recipe."""
    perform_incremental_update: bool = False
    """Let the service take up new items between trainings, for recipes that can."""
    event_type: ShortText | None = Field(default=None, json_schema_extra=_NEW_SOLUTION)
    """The type of event that trains the model; left out, all."""
    solution_config: SolutionConfig | None = None
    """Settings of the recipe and the training."""
    training: Training = Training()
    """Who trains, and when. Each training is a SolutionVersion."""
    successful_versions_history_limit: int = Field(default=3, ge=1, le=100)
    """How many good SolutionVersions to keep. What serves or is pinned is always kept."""
    failed_versions_history_limit: int = Field(default=1, ge=0, le=100)
    """How many failed SolutionVersions to keep."""


class SkippedRun(ApiModel):
    """A scheduled run that was not started, and why."""

    time: datetime
    """The scheduled time."""
    reason: Annotated[str, StringConstraints(max_length=256)]
    """Why it was not started."""


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
    """When a schedule is due next."""
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
