"""Solution: a recipe with its settings, and when to train it."""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import ConfigDict, Field, StringConstraints

from reco.api.base import (
    ApiModel,
    Cron,
    ExternalStatus,
    Name,
    Reference,
    SharedSpec,
    ShortText,
    TimeZone,
    immutable,
    rules,
)
from reco.api.runs import FailedRuns, RunInput, RunToken, ScheduleProgresses
from reco.api.solution_config import Recipe, SolutionConfig

UPDATABLE_RECIPES = ("aws-user-personalization", "aws-hrnn-coldstart")
"""Recipes whose trainings can start from the version before, by the service's documentation."""
_NEW_SOLUTION = immutable("make a new Solution")


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
    """When the engine made the newest good version."""
    last_schedule_time: datetime | None = None
    """The scheduled time that was last acted upon."""
    next_schedule_time: datetime | None = None
    """When a schedule is due next."""
    last_skipped: SkippedRun | None = None
    last_run_now: RunToken | None = None
    """Echo of the annotation `reco.dev/run-now`."""
    last_input: RunInput | None = None
    """Digest of the spec and data that the newest good version was trained on."""
    run_number: int | None = Field(default=None, ge=0, le=2_147_483_647)
    """How many trainings this solution has started."""
    object_time: datetime | None = None
    """When the external solution was made that all of this speaks of."""
    failures: FailedRuns | None = None
    """The last trainings that ended badly, by what started them."""
    schedules: ScheduleProgresses | None = None
    """How far each schedule has been acted upon."""
    known_through: datetime | None = None
    """External versions made until then have, or had, a SolutionVersion."""


class SolutionStatus(ExternalStatus):
    """What the operator says of a Solution."""

    training: TrainingStatus | None = None
