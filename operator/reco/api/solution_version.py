"""SolutionVersion: one training of a Solution, made by the Solution or by hand."""

from typing import Annotated

from pydantic import Field, StringConstraints

from reco.api.base import (
    Decimal,
    Digest,
    ExternalStatus,
    Reference,
    SharedSpec,
    ShortText,
    immutable,
)
from reco.api.solution import TrainingMode

_NEW_VERSION = immutable("a training runs once; make a new SolutionVersion")


class SolutionVersionSpec(SharedSpec):
    """What a SolutionVersion says."""

    solution_ref: Reference = Field(json_schema_extra=_NEW_VERSION)
    """The Solution to train."""
    training_mode: TrainingMode = Field(default=TrainingMode.FULL, json_schema_extra=_NEW_VERSION)
    """`Full` trains anew; `Update` starts from the version before, for recipes that can."""


class SolutionVersionStatus(ExternalStatus):
    """What the operator says of a SolutionVersion."""

    training_hours: Decimal | None = None
    """Hours of training that are billed."""
    training_type: Annotated[str, StringConstraints(max_length=32)] | None = None
    """`Manual`, or `Automatic` when the service started the training."""
    needs: TrainingMode | None = None
    """`Full`, where an update failed because the version it starts from is gone."""
    artifact: Digest | None = None
    """SHA-256 of the model file, where the engine keeps models in storage of our own."""
    metrics: Annotated[dict[ShortText, Decimal], Field(max_length=64)] | None = None
    """Offline metrics under the service's names."""
