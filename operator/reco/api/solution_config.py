"""The service's settings of a Solution, one to one, in Kubernetes spelling."""

from enum import StrEnum
from typing import Annotated, Any

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import ApiModel, Decimal, Fraction, Must, ShortText, immutable, rules

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
_NEW_SOLUTION = immutable("make a new Solution")
_NAMED: dict[str, Any] = {"x-kubernetes-list-type": "map", "x-kubernetes-list-map-keys": ["name"]}


class ObjectiveSensitivity(StrEnum):
    """How much the optimization objective counts against relevance."""

    LOW = "Low"
    MEDIUM = "Medium"
    HIGH = "High"
    OFF = "Off"


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
