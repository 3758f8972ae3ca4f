"""Categories of items and users: what is known of those nobody has met yet.

A categorical column holds strings; several values of one row are separated by ``|``. A *label* is
a value in its column (`GENRES=Drama`), so that equal values of different columns stay apart.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reco.recipes.data import Indices, Items, Strings, Users
from reco.recipes.encoding import Catalogue, latest_mentions, positions

SEPARATOR = "|"


@dataclass(frozen=True, slots=True)
class Labels:
    """Sorted label names, and the labels of every row (CSR): `labels[starts[k]:starts[k + 1]]`."""

    names: Strings
    starts: NDArray[np.int64]
    labels: Indices

    @classmethod
    def of(cls, columns: Mapping[str, Strings], at: Indices, rows: int) -> Self:
        """Build from columns whose record k describes row `at[k]`; -1 leaves a record out.

        Of several records of one row the last counts.
        """
        described = np.full_like(at, -1)
        last = latest_mentions(at)
        described[last] = at[last]
        texts: list[str] = []
        owners: list[int] = []
        for name, column in sorted(columns.items()):
            for row, text in zip(described.tolist(), column.tolist(), strict=True):
                values = sorted(set(filter(None, text.split(SEPARATOR)))) if row >= 0 else []
                texts.extend(f"{name}={value}" for value in values)
                owners.extend([row] * len(values))
        names, labels = np.unique(np.array(texts, dtype=np.str_), return_inverse=True)
        order = np.lexsort((labels, np.array(owners, dtype=np.int64)))
        starts = np.searchsorted(np.array(owners, dtype=np.int64)[order], np.arange(rows + 1))
        return cls(names, starts.astype(np.int64), labels[order].astype(np.int32))

    @classmethod
    def of_items(cls, items: Items | None, catalogue: Catalogue) -> Self | None:
        """Build from the categories of an items data set; None if it has none."""
        if items is None or not items.categories:
            return None
        return cls.of(items.categories, catalogue.index(items.ids), len(catalogue.item_ids))

    @classmethod
    def none(cls, rows: int) -> Self:
        """Return rows without labels."""
        return cls.of({}, np.zeros(0, dtype=np.int32), rows)

    def row(self, at: int) -> Indices:
        """Return the labels of one row."""
        return self.labels[self.starts[at] : self.starts[at + 1]]

    def encode(self, attributes: Mapping[str, str]) -> Indices:
        """Return the known labels among attributes given by column."""
        given = np.array(
            [
                f"{name}={value}"
                for name, text in attributes.items()
                for value in text.split(SEPARATOR)
            ],
            dtype=np.str_,
        )
        return np.flatnonzero(np.isin(self.names, given)).astype(np.int32)

    def table(self) -> sparse.csr_array:
        """Return the rows x labels table of ones."""
        return sparse.csr_array(
            (np.ones(len(self.labels), np.float32), self.labels, self.starts),
            shape=(len(self.starts) - 1, len(self.names)),
        )


@dataclass(frozen=True, slots=True)
class UserLabels:
    """The labels of every user of a users data set; `user_ids` is sorted."""

    user_ids: Strings
    labels: Labels

    @classmethod
    def of(cls, users: Users) -> Self:
        """Encode a users data set."""
        user_ids = np.unique(users.ids)
        at = positions(user_ids, users.ids)
        return cls(user_ids, Labels.of(users.categories, at, len(user_ids)))

    def of_user(self, user_id: str | None, attributes: Mapping[str, str] | None) -> Indices:
        """Return a user's labels: of the attributes where given, else as known from training."""
        if attributes is not None:
            return self.labels.encode(attributes)
        if user_id is None:
            return self.labels.labels[:0]
        at = int(positions(self.user_ids, [user_id])[0])
        return self.labels.row(at) if at >= 0 else self.labels.labels[:0]

    def labels_of(self, user_ids: Strings) -> sparse.csr_array:
        """Return the table of ones of these users (any order) x labels."""
        at = positions(self.user_ids, user_ids)
        known = at >= 0
        chosen: sparse.csr_array = self.labels.table()[np.where(known, at, 0)]
        known_only: sparse.csr_array = (
            sparse.diags_array(known.astype(np.float32)) @ chosen
        ).tocsr()
        return known_only


@dataclass(frozen=True, slots=True)
class Likeness:
    """What an item without a score of its own is worth: what its labels are worth on average.

    A label is worth the mean score of the items that have one. Runs of equal length in the two
    halves: `scored[scored_starts[k]:]` are the scored items of the k-th label in use, and
    `used[unscored_starts[j]:]` the labels in use of the j-th item in `unscored`.
    """

    scored_starts: NDArray[np.int64]
    scored: Indices
    unscored: Indices
    unscored_starts: NDArray[np.int64]
    used: Indices

    @classmethod
    def of(cls, labels: Labels, has_score: NDArray[np.bool_]) -> Self | None:
        """Build from the items' labels; None if it would place no item."""
        table = labels.table()
        by_label = table[np.flatnonzero(has_score)].T.tocsr()
        in_use = np.flatnonzero(np.diff(by_label.indptr) > 0)
        of_unscored = table[:, in_use].tocsr()
        unscored = np.flatnonzero(~has_score & (np.diff(of_unscored.indptr) > 0))
        if len(unscored) == 0:
            return None
        by_label, of_unscored = by_label[in_use], of_unscored[unscored]
        return cls(
            by_label.indptr[:-1].astype(np.int64),
            np.flatnonzero(has_score)[by_label.indices].astype(np.int32),
            unscored.astype(np.int32),
            of_unscored.indptr[:-1].astype(np.int64),
            of_unscored.indices.astype(np.int32),
        )

    def moved(self, to: Indices) -> Self:
        """Return the same over a catalogue in which the items stand at `to`, ascending."""
        return replace(self, scored=to[self.scored], unscored=to[self.unscored])

    def fill(self, scores: NDArray[np.float32]) -> None:
        """Write the scores of the unscored items, in place."""
        of_labels = _means(scores[self.scored], self.scored_starts)
        scores[self.unscored] = _means(of_labels[self.used], self.unscored_starts)


def _means(values: NDArray[np.float32], starts: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the mean of each run of values; no run is empty."""
    lengths = np.diff(starts, append=len(values)).astype(np.float32)
    return (np.add.reduceat(values, starts) / lengths).astype(np.float32, copy=False)
