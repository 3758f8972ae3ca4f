"""What callers hand over to learn from: interactions, items and users as plain columns.

Rows come in any order, and interactions may come in batches. `encoding` makes integers of them.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray

Strings = NDArray[np.str_]
Indices = NDArray[np.int32]
Timestamps = NDArray[np.int64]


class TrainingDataError(Exception):
    """The data cannot train a model; the text is the failure reason the service reports."""


@dataclass(frozen=True, slots=True)
class Event:
    """One thing a user did: which item, when (epoch seconds), and of what type if known."""

    item_id: str
    timestamp: int
    event_type: str | None = None


@dataclass(frozen=True, slots=True)
class Interactions:
    """An interactions data set as columns of equal length, rows in any order.

    Timestamps are epoch seconds. Rows of one user with equal timestamps keep their order.
    """

    user_ids: Strings
    item_ids: Strings
    timestamps: Timestamps
    event_types: Strings | None = None
    event_values: NDArray[np.float64] | None = None

    def __post_init__(self) -> None:
        """Refuse columns of different lengths."""
        lengths = {
            name: len(column)
            for name, column in (
                ("user_ids", self.user_ids),
                ("item_ids", self.item_ids),
                ("timestamps", self.timestamps),
                ("event_types", self.event_types),
                ("event_values", self.event_values),
            )
            if column is not None
        }
        if len(set(lengths.values())) > 1:
            raise ValueError(f"columns of interactions must have equal lengths, got {lengths}")

    @classmethod
    def of(
        cls,
        user_ids: Sequence[str],
        item_ids: Sequence[str],
        timestamps: Sequence[int],
        event_types: Sequence[str] | None = None,
        event_values: Sequence[float] | None = None,
    ) -> Self:
        """Build from any sequences."""
        return cls(
            np.asarray(user_ids, dtype=np.str_),
            np.asarray(item_ids, dtype=np.str_),
            np.asarray(timestamps, dtype=np.int64),
            None if event_types is None else np.asarray(event_types, dtype=np.str_),
            None if event_values is None else np.asarray(event_values, dtype=np.float64),
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.timestamps)

    def where(self, rows: NDArray[np.bool_] | NDArray[np.int64]) -> Self:
        """Return the chosen rows, by mask or by index."""
        return type(self)(
            self.user_ids[rows],
            self.item_ids[rows],
            self.timestamps[rows],
            None if self.event_types is None else self.event_types[rows],
            None if self.event_values is None else self.event_values[rows],
        )

    def selected(self, event_type: str | None, event_value_threshold: float | None) -> Self:
        """Return the rows a solution trains on, as its event type and threshold choose them."""
        rows = np.ones(len(self), dtype=np.bool_)
        if event_type is not None:
            rows &= (
                self.event_types == event_type
                if self.event_types is not None
                else np.zeros(len(self), dtype=np.bool_)
            )
        if event_value_threshold is not None and self.event_values is not None:
            rows &= self.event_values >= event_value_threshold
        return self if rows.all() else self.where(rows)


@dataclass(frozen=True, slots=True)
class Items:
    """An items data set as columns: ids, creation times in epoch seconds, categorical columns.

    A categorical value is a string; several values of one item are separated by ``|``.
    """

    ids: Strings
    creation_timestamps: Timestamps | None = None
    categories: Mapping[str, Strings] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        ids: Sequence[str],
        creation_timestamps: Sequence[int] | None = None,
        categories: Mapping[str, Sequence[str]] | None = None,
    ) -> Self:
        """Build from any sequences."""
        return cls(
            np.asarray(ids, dtype=np.str_),
            None
            if creation_timestamps is None
            else np.asarray(creation_timestamps, dtype=np.int64),
            {name: np.asarray(column, np.str_) for name, column in (categories or {}).items()},
        )


@dataclass(frozen=True, slots=True)
class Users:
    """A users data set as columns: ids, and categorical columns as in `Items`."""

    ids: Strings
    categories: Mapping[str, Strings] = field(default_factory=dict)

    @classmethod
    def of(cls, ids: Sequence[str], categories: Mapping[str, Sequence[str]] | None = None) -> Self:
        """Build from any sequences."""
        return cls(
            np.asarray(ids, dtype=np.str_),
            {name: np.asarray(column, np.str_) for name, column in (categories or {}).items()},
        )
