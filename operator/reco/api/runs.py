"""What a status remembers of runs: how they failed, and through when schedules are handled.

A run is a resource and may be pruned, deleted or lost. What decides about the next run must not
go with it.
"""

from datetime import datetime
from enum import StrEnum
from typing import Annotated

from pydantic import Field, StringConstraints

from reco.api.base import ApiModel, Name

RunInput = Annotated[str, StringConstraints(max_length=512)]
"""A digest of what a run started from: the spec, and the data there was."""
RunToken = Annotated[str, StringConstraints(max_length=256)]

_BY_TRIGGER = {
    "x-kubernetes-list-type": "map",
    "x-kubernetes-list-map-keys": ["trigger"],
}


class RunTrigger(StrEnum):
    """What starts runs without a person's word."""

    FULL = "Full"
    """A training from scratch."""
    UPDATE = "Update"
    """A training that starts from the version before."""
    IMPORT = "Import"
    """An import."""


class RunOutcome(StrEnum):
    """How a run ended badly."""

    REFUSED = "Refused"
    """Its spec or its data would fail again."""
    TRANSIENT = "Transient"
    """The fault of the service or the cluster, or an unknown one."""
    STOPPED = "Stopped"
    """A person stopped it."""
    GONE = "Gone"
    """What it made was deleted elsewhere."""


class FailedRun(ApiModel):
    """The last run of a trigger, if it ended badly. It stays when the run itself is pruned."""

    trigger: RunTrigger
    """What started it."""
    name: Name
    """The run."""
    number: int = Field(default=0, ge=0, le=2_147_483_647)
    """Its number among the runs of its parent."""
    outcome: RunOutcome
    """How it ended. Only `Refused` holds later runs of the trigger back."""
    input: RunInput | None = None
    """What it started from; left out where nobody knows."""
    time: datetime
    """When it was seen to have ended."""
    attempts: int = Field(default=1, ge=1, le=2_147_483_647)
    """How many runs in a row have ended badly, this one included."""
    scheduled_time: datetime | None = None
    """The scheduled time that it was made for."""
    request: RunToken | None = None
    """Its annotation `reco.dev/reconcile-requested-at` when it ended: another value asks for
    another attempt."""
    message: Annotated[str, StringConstraints(max_length=1024)] = ""
    """Why it failed."""


FailedRuns = Annotated[list[FailedRun], Field(max_length=3, json_schema_extra=_BY_TRIGGER)]


class ScheduleProgress(ApiModel):
    """How far a schedule has been acted upon."""

    trigger: RunTrigger
    """What the schedule starts."""
    schedule: Annotated[str, StringConstraints(max_length=256)]
    """The expression and its time zone. Another one starts anew."""
    handled_through: datetime
    """Scheduled times until then are dealt with: they ran, were skipped, or lie before the
    schedule was first seen in force."""


ScheduleProgresses = Annotated[
    list[ScheduleProgress], Field(max_length=3, json_schema_extra=_BY_TRIGGER)
]
