"""What models learn from: columnar interactions and items, and their encoded form.

Callers hand over plain columns in any order. `encode` turns them into integer indices over a
sorted catalogue, so that "lower index" and "smaller item id" mean the same thing and every later
tie-break by item id is free.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

MINIMUM_INTERACTIONS = 1000
MINIMUM_USERS = 25

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
class Catalogue:
    """Every item of the interactions and items data sets, sorted by id.

    `counts` is the number of distinct users per item; `created` is when an item appeared, in
    epoch seconds: its creation timestamp, else its first interaction, else the newest interaction.
    `latest` is the time of the newest interaction.
    """

    item_ids: Strings
    counts: Indices
    created: Timestamps
    latest: int

    def index(self, item_ids: Sequence[str] | Strings) -> Indices:
        """Return the position of each id, -1 for the unknown."""
        wanted = np.asarray(item_ids, dtype=np.str_)
        if wanted.size == 0:
            return np.zeros(0, dtype=np.int32)
        at = np.searchsorted(self.item_ids, wanted)
        at[at == len(self.item_ids)] = 0
        return np.where(self.item_ids[at] == wanted, at, -1).astype(np.int32)


@dataclass(frozen=True, slots=True)
class Histories:
    """Every user's distinct items, oldest first, each at its latest interaction (CSR layout).

    User k (ids are sorted) owns `items[starts[k]:starts[k + 1]]` and the same `timestamps`.
    """

    user_ids: Strings
    starts: NDArray[np.int64]
    items: Indices
    timestamps: Timestamps

    def __len__(self) -> int:
        """Return the number of users."""
        return len(self.user_ids)

    def rows_of(self, user_id: str) -> slice:
        """Return where a user's items are; empty for a user never seen."""
        at = int(np.searchsorted(self.user_ids, user_id))
        if at == len(self.user_ids) or self.user_ids[at] != user_id:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of items per user."""
        return np.diff(self.starts)

    def lagged(self, longest: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield each lag 0..longest with the rows that have an item so many places later."""
        to_the_end = self.to_the_end()
        for lag in range(min(longest, int(to_the_end.max(initial=-1))) + 1):
            yield lag, np.flatnonzero(to_the_end >= lag)

    def to_the_end(self) -> NDArray[np.int64]:
        """Return, per row, how many items of the same user follow."""
        return np.repeat(self.starts[1:], self.lengths()) - np.arange(len(self.items)) - 1

    def seen(self, items: int) -> sparse.csc_array:
        """Return the users x items table of ones."""
        return sparse.csr_array(
            (np.ones(len(self.items)), self.items, self.starts), shape=(len(self), items)
        ).tocsc()

    def near(self, items: int, half_life: float, window: int) -> sparse.csr_array:
        """Return the symmetric items x items table of common users, each by how close together.

        A user counts 1 for neighbouring items and half as much every `half_life` places further.
        """
        earlier, later, weights = [self.items[:0]], [self.items[:0]], [np.zeros(0)]
        for lag, rows in self.lagged(window):
            if lag > 0:
                earlier.append(self.items[rows])
                later.append(self.items[rows + lag])
                weights.append(np.full(len(rows), 2.0 ** ((1 - lag) / half_life)))
        one_way = sparse.coo_array(
            (np.concatenate(weights), (np.concatenate(earlier), np.concatenate(later))),
            shape=(items, items),
        ).tocsr()
        both_ways: sparse.csr_array = (one_way + one_way.T).tocsr()
        return both_ways

    def without_outliers(self, shortest: float, longest: float) -> Self:
        """Keep users whose history length lies between two percentiles, given as fractions."""
        lengths = self.lengths()
        if len(lengths) == 0:
            return self
        low, high = np.quantile(lengths, [shortest, max(shortest, longest)])
        kept = (lengths >= low) & (lengths <= high)
        rows = np.repeat(kept, lengths)
        return type(self)(
            self.user_ids[kept],
            np.concatenate([[0], np.cumsum(lengths[kept])]).astype(np.int64),
            self.items[rows],
            self.timestamps[rows],
        )


def latest_mentions(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the rows that are the last mention of their value, in order."""
    _, from_the_end = np.unique(values[::-1], return_index=True)
    return np.sort(len(values) - 1 - from_the_end)


def check_sufficient(interactions: Interactions, event_type: str | None) -> None:
    """Raise `TrainingDataError` in the service's words if there is too little to train on.

    Limits and wordings: the developer guide's quotas and its list of training failures.
    """
    after = f" after filtering by event type: {event_type}" if event_type is not None else ""
    if len(interactions) < MINIMUM_INTERACTIONS:
        raise TrainingDataError(
            f"Dataset has fewer than {MINIMUM_INTERACTIONS} interactions{after}"
        )
    _, per_user = np.unique(interactions.user_ids, return_counts=True)
    if np.count_nonzero(per_user > 1) < MINIMUM_USERS:
        raise TrainingDataError(
            f"Dataset has fewer than {MINIMUM_USERS} users with at least 2 interactions each"
        )


def encode(interactions: Interactions, items: Items | None) -> tuple[Catalogue, Histories]:
    """Return the catalogue of both data sets and every user's history over it."""
    known = interactions.item_ids if items is None else np.union1d(interactions.item_ids, items.ids)
    item_ids = np.unique(known)
    item = np.searchsorted(item_ids, interactions.item_ids).astype(np.int32)
    user_ids, user = np.unique(interactions.user_ids, return_inverse=True)

    order = np.lexsort((interactions.timestamps, user))
    pair = (user.astype(np.int64) * len(item_ids) + item)[order]
    order = order[latest_mentions(pair)]
    user, item, timestamps = user[order], item[order], interactions.timestamps[order]

    latest = int(interactions.timestamps.max(initial=0))
    created = np.full(len(item_ids), np.iinfo(np.int64).max)
    np.minimum.at(
        created,
        np.searchsorted(item_ids, interactions.item_ids),
        interactions.timestamps,
    )
    created[created == np.iinfo(np.int64).max] = latest
    if items is not None and items.creation_timestamps is not None:
        created[np.searchsorted(item_ids, items.ids)] = items.creation_timestamps

    counts = np.bincount(item, minlength=len(item_ids)).astype(np.int32)
    starts = np.searchsorted(user, np.arange(len(user_ids) + 1)).astype(np.int64)
    return (
        Catalogue(item_ids, counts, created, latest),
        Histories(user_ids, starts, item, timestamps),
    )
