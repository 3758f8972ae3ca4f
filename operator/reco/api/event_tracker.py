"""EventTracker: where applications send events."""

from typing import Annotated

from pydantic import Field, StringConstraints

from reco.api.base import URL, ExternalStatus, Reference, SharedSpec, immutable


class EventTrackerSpec(SharedSpec):
    """What an EventTracker says."""

    dataset_group_ref: Reference = Field(json_schema_extra=immutable("make a new EventTracker"))
    """The DatasetGroup whose data the events join. A group has at most one tracker."""


class EventTrackerStatus(ExternalStatus):
    """What the operator says of an EventTracker."""

    tracking_id: Annotated[str, StringConstraints(max_length=256)] | None = None
    """The id that PutEvents takes."""
    endpoint: URL | None = None
    """Where the events API answers."""
