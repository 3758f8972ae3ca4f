"""Columns as integers: who did what when, over sorted ids.

`Log.of` turns batches of interactions into positions as they come; `encode` turns a log into a
catalogue and every user's history over it. Ids are sorted, so that "lower position" and "smaller
item id" mean the same thing and every later tie-break by item id is free.
"""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reco.recipes.data import (
    Indices,
    Interactions,
    Items,
    Strings,
    Timestamps,
    TrainingDataError,
)
from reco.recipes.times import believed, in_seconds

MINIMUM_INTERACTIONS = 1000
MINIMUM_USERS = 25

# Rows of a history that are worked on at once where an array of all of them would be large.
_ROWS_AT_ONCE = 1 << 21


@dataclass(frozen=True, slots=True)
class Log:
    """Interactions with users and items as positions in sorted ids, 16 bytes a row.

    Times are in epoch seconds; those outside `earliest` to `latest` are not believed, see `times`.
    `event_type` is the type all rows have, where rows were chosen by one.
    """

    user_ids: Strings
    item_ids: Strings
    users: Indices
    items: Indices
    timestamps: Timestamps
    earliest: int
    latest: int
    event_type: str | None = None

    @classmethod
    def of(
        cls,
        data: "Data",
        event_type: str | None = None,
        event_value_threshold: float | None = None,
        now: int | None = None,
    ) -> "Log":
        """Encode batches as they come, so that no more than one of them is in memory at a time.

        What is encoded already stays as it is: its rows were chosen then. `now` is the reader's
        clock, in epoch seconds: what is dated later is not believed.
        """
        if isinstance(data, Log):
            return data
        users, items = _Vocabulary(), _Vocabulary()
        columns = [np.zeros(0, np.int64)]
        for batch in [data] if isinstance(data, Interactions) else data:
            chosen = batch.selected(event_type, event_value_threshold)
            users.extend(chosen.user_ids)
            items.extend(chosen.item_ids)
            columns.append(in_seconds(chosen.timestamps.astype(np.int64)))
        user_ids, user_positions = users.sorted()
        item_ids, item_positions = items.sorted()
        timestamps = np.concatenate(columns)
        return cls(
            user_ids,
            item_ids,
            user_positions,
            item_positions,
            timestamps,
            *believed(timestamps, now),
            event_type,
        )

    def __len__(self) -> int:
        """Return the number of rows."""
        return len(self.timestamps)

    def where(self, rows: NDArray[np.bool_]) -> Self:
        """Return the chosen rows, and the users that have one; items keep their positions."""
        users, at = np.unique(self.users[rows], return_inverse=True)
        return replace(
            self,
            user_ids=self.user_ids[users],
            users=at.astype(np.int32),
            items=self.items[rows],
            timestamps=self.timestamps[rows],
        )


Data = Interactions | Iterable[Interactions] | Log
"""Interactions at once, batch by batch, or encoded already."""


class _Vocabulary:
    """Strings numbered as they come, and renumbered in their order at the end."""

    def __init__(self) -> None:
        self._numbers: defaultdict[str, int] = defaultdict()
        self._numbers.default_factory = self._numbers.__len__
        self._columns: list[Indices] = [np.zeros(0, np.int32)]

    def extend(self, column: Strings) -> None:
        """Number one more column of a batch."""
        numbers = map(self._numbers.__getitem__, column.tolist())
        self._columns.append(np.fromiter(numbers, np.int32, len(column)))

    def sorted(self) -> tuple[Strings, Indices]:
        """Return the distinct strings, sorted, and every row's position in them."""
        ids = sorted(self._numbers)
        in_order = np.array([self._numbers[one] for one in ids], dtype=np.int64)
        position_of = np.empty(len(in_order), dtype=np.int32)
        position_of[in_order] = np.arange(len(in_order), dtype=np.int32)
        return np.array(ids, dtype=np.str_), position_of[np.concatenate(self._columns)]


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Every item of the interactions and items data sets, sorted by id.

    `counts` is the number of distinct users per item; `created` is when an item appeared, in
    epoch seconds: its creation timestamp, else its first interaction, else the newest interaction.
    `latest` is the time of the newest interaction. Both leave out times that are not believed.
    """

    item_ids: Strings
    counts: Indices
    created: Timestamps
    latest: int

    def index(self, item_ids: Sequence[str] | Strings) -> Indices:
        """Return the position of each id, -1 for the unknown."""
        return positions(self.item_ids, item_ids)


@dataclass(frozen=True, slots=True)
class Histories:
    """Every user's distinct items, oldest first, each at its latest interaction (CSR layout).

    What is dated later than is believed keeps its place, and counts as of its user's latest time
    that is.
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
        at = int(positions(self.user_ids, [user_id])[0])
        if at < 0:
            return slice(0, 0)
        return slice(int(self.starts[at]), int(self.starts[at + 1]))

    def lengths(self) -> NDArray[np.int64]:
        """Return the number of items per user."""
        return np.diff(self.starts)

    def lagged(self, longest: int) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield each lag 0..longest with rows that have an item so many places later, in parts."""
        to_the_end = self.to_the_end()
        for lag in range(min(longest, int(to_the_end.max(initial=-1))) + 1):
            for first in range(0, len(to_the_end), _ROWS_AT_ONCE):
                part = to_the_end[first : first + _ROWS_AT_ONCE]
                yield lag, first + np.flatnonzero(part >= lag)

    def to_the_end(self) -> Indices:
        """Return, per row, how many items of the same user follow."""
        ends = np.repeat(self.starts[1:], self.lengths())
        ends -= np.arange(1, len(ends) + 1)
        return ends.astype(np.int32)

    def seen(self, items: int) -> sparse.csc_array:
        """Return the users x items table of ones (sums are exact up to 16 million users)."""
        return sparse.csr_array(
            (np.ones(len(self.items), np.float32), self.items, self.starts),
            shape=(len(self), items),
        ).tocsc()

    def owners(self) -> Indices:
        """Return each row's user."""
        return np.repeat(np.arange(len(self), dtype=np.int32), self.lengths())

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


def longest(ids: Strings) -> int:
    """Return how many characters the array has room for in each string."""
    return ids.dtype.itemsize // np.dtype("U1").itemsize


def positions(ids: Strings, wanted: Sequence[str] | Strings) -> Indices:
    """Return where each wanted string is in sorted ids, -1 for those that are not.

    Everything is compared at the width of `ids`: a wanted string of ten thousand characters must
    not make numpy widen all of them.
    """
    if len(ids) == 0 or len(wanted) == 0:
        return np.full(len(wanted), -1, dtype=np.int32)
    width = longest(ids)
    given = wanted.tolist() if isinstance(wanted, np.ndarray) else wanted
    # Numpy takes trailing NULs for padding.
    fits = np.array([len(one) <= width and one[-1:] != "\0" for one in given], dtype=np.bool_)
    cut = np.array(given, dtype=ids.dtype)
    at = np.minimum(np.searchsorted(ids, cut), len(ids) - 1)
    return np.where(fits & (ids[at] == cut), at, -1).astype(np.int32)


def latest_mentions(values: NDArray[np.integer]) -> NDArray[np.int64]:
    """Return the rows that are the last mention of their value, in order."""
    _, from_the_end = np.unique(values[::-1], return_index=True)
    return np.sort(len(values) - 1 - from_the_end)


def check_sufficient(log: Log) -> None:
    """Raise `TrainingDataError` in the service's words if there is too little to train on.

    Limits and wordings: the developer guide's quotas and its list of training failures.
    """
    kind = log.event_type
    after = f" after filtering by event type: {kind}" if kind is not None else ""
    if len(log) < MINIMUM_INTERACTIONS:
        raise TrainingDataError(
            f"Dataset has fewer than {MINIMUM_INTERACTIONS} interactions{after}"
        )
    if np.count_nonzero(np.bincount(log.users) > 1) < MINIMUM_USERS:
        raise TrainingDataError(
            f"Dataset has fewer than {MINIMUM_USERS} users with at least 2 interactions each"
        )


def encode(log: Log, items: Items | None) -> tuple[Catalogue, Histories]:
    """Return the catalogue of both data sets and every user's history over it."""
    item_ids = log.item_ids if items is None else np.union1d(log.item_ids, items.ids)
    item = np.searchsorted(item_ids, log.item_ids).astype(np.int32)[log.items]

    created = _first_seen(log, item, len(item_ids))
    if items is not None and items.creation_timestamps is not None:
        created[np.searchsorted(item_ids, items.ids)] = in_seconds(items.creation_timestamps)

    order = np.lexsort((log.timestamps, log.users))
    pair = (log.users.astype(np.int64) * len(item_ids) + item)[order]
    order = order[latest_mentions(pair)]
    del pair
    user, item = log.users[order], item[order]
    timestamps = _plausible(log)[order]
    counts = np.bincount(item, minlength=len(item_ids)).astype(np.int32)
    starts = np.searchsorted(user, np.arange(len(log.user_ids) + 1)).astype(np.int64)
    return (
        Catalogue(item_ids, counts, created, log.latest),
        Histories(log.user_ids, starts, item, timestamps),
    )


def _plausible(log: Log) -> Timestamps:
    """Return times, and in place of those too late to be believed their user's latest before.

    A user without one gets the median of all: a time that says nothing moves nothing.
    """
    late = log.timestamps > log.latest
    if not late.any():
        return log.timestamps
    never = np.iinfo(np.int64).min
    newest = np.full(len(log.user_ids), never)
    np.maximum.at(newest, log.users[~late], log.timestamps[~late])
    newest[newest == never] = np.median(log.timestamps[~late])
    return np.where(late, newest[log.users], log.timestamps)


def _first_seen(log: Log, item: Indices, items: int) -> Timestamps:
    """Return when each item had its first interaction; the latest time for those without.

    A row that is not believed counts only where an item has no other.
    """
    times = np.clip(log.timestamps, log.earliest, log.latest)
    never = np.iinfo(np.int64).max
    first = np.full(items, never)
    doubtful = times != log.timestamps
    np.minimum.at(first, item[~doubtful], times[~doubtful])
    if doubtful.any():
        rest = doubtful & (first[item] == never)
        np.minimum.at(first, item[rest], times[rest])
    first[first == never] = log.latest
    return first
