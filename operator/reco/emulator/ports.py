"""What the core needs from outside: object storage and a trainer. Both are injected."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

Columns = dict[str, list[Any]]
"""Records as columns of equal length, by column name."""


class ObjectStoreError(Exception):
    """The location does not exist, or is not one."""


class ObjectAccessError(Exception):
    """The location may exist, but may not be read."""


class ObjectStore(Protocol):
    """Where imports come from."""

    def read(self, location: str) -> Sequence[tuple[str, bytes]]:
        """Read the object, or every object below the prefix, as (key, content) in key order.

        Raises ``ObjectStoreError`` where there is nothing, ``ObjectAccessError`` where reading is
        not allowed.
        """
        ...


@dataclass(frozen=True, slots=True)
class TrainingJob:
    """One training: the data it may see, and how to train.

    ``interactions`` and ``items`` hold columns named as in the schemas; ``interactions`` always
    has USER_ID, ITEM_ID and TIMESTAMP (epoch seconds), and EVENT_TYPE and EVENT_VALUE (None where
    a row has none). ``categories`` names the columns of ``items`` that are categorical. With
    ``base``, the ARN of a training that ended well, nothing is learned: its model takes in the
    data. ``hpo``, an hpoConfig of the service, asks to look for hyperparameters first.
    """

    arn: str
    recipe: str
    interactions: Columns
    items: Columns
    hyperparameters: Mapping[str, str] = field(default_factory=dict)
    categories: tuple[str, ...] = ()
    event_type: str | None = None
    event_value_threshold: float | None = None
    seed: int = 0
    base: str | None = None
    hpo: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """How a training ended: with metrics, or with the reason why it failed.

    ``tuned`` are the hyperparameters that were found, where it was asked to look for some.
    """

    metrics: Mapping[str, float] = field(default_factory=dict)
    failure_reason: str | None = None
    tuned: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Event:
    """One event of a user that came after the training: newest last in lists of them."""

    item: str
    event_type: str | None
    value: float | None
    timestamp: float


@dataclass(frozen=True, slots=True)
class Scored:
    """One item of an answer; ``score`` is None where the recipe gives none."""

    item_id: str
    score: float | None


class ServingModel(Protocol):
    """A trained model that answers."""

    def knows(self, user: str) -> bool:
        """Say whether the user was in the data that it was trained with."""
        ...

    def recommend(
        self,
        *,
        user: str | None,
        item: str | None,
        count: int,
        events: Sequence[Event],
        exploration: Mapping[str, str],
    ) -> Sequence[Scored]:
        """Give up to ``count`` items, the best first.

        ``events`` are the user's since the training; ``exploration`` is the campaign's
        itemExplorationConfig.
        """
        ...

    def rank(self, *, user: str, items: Sequence[str], events: Sequence[Event]) -> Sequence[Scored]:
        """Order all given items, those the model doesn't know last and without a score."""
        ...


class Trainer(Protocol):
    """Whoever trains. A job may be started twice (after a restart); the second time is free."""

    def check(
        self, recipe: str, hyperparameters: Mapping[str, str], hpo: Mapping[str, Any] | None = None
    ) -> None:
        """Raise ``ValueError`` with a text for the user if the recipe refuses them.

        ``hpo`` is the hpoConfig where hyperparameters are to be looked for, else None.
        """
        ...

    def start(self, job: TrainingJob) -> None:
        """Begin a training without waiting for its end."""
        ...

    def result(self, arn: str) -> TrainingResult | None:
        """Give the end of a training that was started; None while it runs."""
        ...

    def knows(self, arn: str) -> bool:
        """Say whether a training was started here and not discarded, or has left its result."""
        ...

    def model(self, arn: str) -> ServingModel:
        """Give the model of a training that ended well."""
        ...

    def discard(self, arn: str) -> None:
        """Stop a training that runs, and forget its results."""
        ...
