"""SolutionVersion: one training of a Solution, made by the Solution or by hand."""

from typing import Annotated

from pydantic import Field, StringConstraints

from reco.api.base import Decimal, ExternalStatus, Reference, SharedSpec, rules
from reco.api.solution import ShortText, TrainingMode


class SolutionVersionSpec(SharedSpec):
    """What a SolutionVersion says."""

    model_config = {
        "json_schema_extra": rules(
            (
                "self.solutionRef == oldSelf.solutionRef"
                " && self.trainingMode == oldSelf.trainingMode",
                "a training runs once and can't be changed: make a new SolutionVersion",
            )
        )
    }

    solution_ref: Reference
    training_mode: TrainingMode = TrainingMode.FULL


class SolutionVersionStatus(ExternalStatus):
    """What the operator says of a SolutionVersion."""

    training_hours: Decimal | None = None
    """Hours of training that are billed."""
    training_type: Annotated[str, StringConstraints(max_length=32)] | None = None
    """`Manual`, or `Automatic` when the service started the training."""
    metrics: Annotated[dict[ShortText, Decimal], Field(max_length=64)] | None = None
    """Offline metrics under the service's names."""
