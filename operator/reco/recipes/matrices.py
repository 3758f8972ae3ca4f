"""Item-to-item matrices in two shapes: dense where the catalogue allows it, else sparse.

A row says what having an item is worth for every other item. Both shapes answer the same three
questions, so that a scorer does not care which it has.
"""

from dataclasses import dataclass, replace
from typing import Self

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Indices


@dataclass(frozen=True, slots=True)
class DenseRows:
    """`weights` is predictors x targets, float32; `targets` are item positions.

    `starts`, `rows` and `shares` are CSR rows, one per item of the catalogue: the rows of `weights`
    an item adds up, and in what shares. A profile is one score a target.
    """

    weights: NDArray[np.float32]
    targets: Indices
    starts: NDArray[np.int64]
    rows: Indices
    shares: NDArray[np.float32]

    @property
    def width(self) -> int:
        """The length of a profile."""
        return len(self.targets)

    def scored(self, items: int) -> NDArray[np.bool_]:
        """Say which items of the catalogue some row gives a score."""
        return np.isin(np.arange(items), self.targets)

    def has(self, item: int) -> bool:
        """Say whether an item has a row."""
        return bool(self.starts[item + 1] > self.starts[item])

    def add(self, profile: NDArray[np.float32], item: int, weight: np.float32) -> None:
        """Add an item's row to a profile, in place."""
        for at in range(int(self.starts[item]), int(self.starts[item + 1])):
            profile += (weight * self.shares[at]) * self.weights[self.rows[at]]

    def moved(self, to: Indices, items: int) -> Self:
        """Return the rows over a larger catalogue in which the items stand at `to`, ascending."""
        return replace(self, targets=to[self.targets], starts=_starts(self.starts, to, items))

    def spread(self, profile: NDArray[np.float32], items: int) -> NDArray[np.float32]:
        """Return the scores of the whole catalogue, as a new array."""
        scores = np.zeros(items, dtype=np.float32)
        scores[self.targets] = profile
        return scores


@dataclass(frozen=True, slots=True)
class SparseRows:
    """CSR rows, one per item of the catalogue: other items and their weights, best first."""

    starts: NDArray[np.int64]
    others: Indices
    weights: NDArray[np.float32]

    @property
    def width(self) -> int:
        """The length of a profile."""
        return len(self.starts) - 1

    def scored(self, items: int) -> NDArray[np.bool_]:
        """Say which items of the catalogue some row gives a score."""
        return np.bincount(self.others, minlength=items) > 0

    def row(self, item: int) -> slice:
        """Return where an item's row is."""
        return slice(int(self.starts[item]), int(self.starts[item + 1]))

    def has(self, item: int) -> bool:
        """Say whether an item has a row."""
        return bool(self.starts[item + 1] > self.starts[item])

    def add(self, profile: NDArray[np.float32], item: int, weight: np.float32) -> None:
        """Add an item's row to a profile, in place."""
        row = self.row(item)
        profile[self.others[row]] += weight * self.weights[row]

    def moved(self, to: Indices, items: int) -> Self:
        """Return the rows over a larger catalogue in which the items stand at `to`, ascending."""
        return replace(self, others=to[self.others], starts=_starts(self.starts, to, items))

    def spread(self, profile: NDArray[np.float32], items: int) -> NDArray[np.float32]:
        """Return the scores of the whole catalogue, as a new array."""
        del items
        return profile.copy()


def _starts(starts: NDArray[np.int64], to: Indices, items: int) -> NDArray[np.int64]:
    lengths = np.zeros(items, dtype=np.int64)
    lengths[to] = np.diff(starts)
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
