"""Which items stand close together in histories, counted part by part.

Histories hold a hundred times more pairs than items, so all of them are never in memory at once:
the items that are asked about are cut into parts of about equally many pairs.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reco.recipes.data import Indices
from reco.recipes.encoding import Histories

# Pairs counted at once; each takes about 40 bytes while it is.
PAIRS_AT_ONCE = 1 << 23
# Where a history has more pairs than this in all, only its closest are counted.
MOST_PAIRS = 400_000_000


@dataclass(frozen=True, slots=True)
class Near:
    """Who stood next to whom.

    A user counts 1 for neighbouring items and half as much every `half_life` places further, up to
    `window` places. `by_item` are the histories' rows by item, those of item k from `starts[k]`;
    `owners` is each row's user.
    """

    histories: Histories
    owners: Indices
    by_item: Indices
    starts: NDArray[np.int64]
    half_life: float
    window: int

    @classmethod
    def of(cls, histories: Histories, items: int, half_life: float, window: int) -> Self:
        """Prepare to count; a long log gets a shorter window, so that the work stays bounded."""
        rows = len(histories.items)
        counts = np.bincount(histories.items, minlength=items)
        return cls(
            histories,
            np.repeat(np.arange(len(histories), dtype=np.int32), histories.lengths()),
            np.argsort(histories.items, kind="stable").astype(np.int32),
            np.concatenate([[0], np.cumsum(counts)]).astype(np.int64),
            half_life,
            max(4, min(window, MOST_PAIRS // max(1, 2 * rows))),
        )

    def parts(self, items: NDArray[np.integer]) -> Iterator[NDArray[np.integer]]:
        """Cut items into parts of at most about `PAIRS_AT_ONCE` pairs each."""
        pairs = 2 * self.window * (self.starts[items + 1] - self.starts[items])
        part = np.cumsum(pairs) // PAIRS_AT_ONCE
        return iter(np.split(items, np.flatnonzero(np.diff(part)) + 1))

    def count(self, items: NDArray[np.integer]) -> sparse.csr_array:
        """Return these items x all items: the closeness, and as imaginary part the common users.

        Both in one number, because adding up what belongs to one pair is most of the work.
        """
        lengths = self.starts[items + 1] - self.starts[items]
        within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
        rows = self.by_item[np.repeat(self.starts[items], lengths) + within].astype(np.int64)
        asked = np.repeat(np.arange(len(items), dtype=np.int32), lengths)
        owners = self.owners[rows]
        first, end = self.histories.starts[owners], self.histories.starts[owners + 1]

        askers, others, weights = [asked[:0]], [asked[:0]], [np.zeros(0, np.complex64)]
        for lag in range(1, self.window + 1):
            weight = 2.0 ** ((1 - lag) / self.half_life) + 1j
            for there in (rows + lag, rows - lag):
                at = np.flatnonzero((there >= first) & (there < end))
                askers.append(asked[at])
                others.append(self.histories.items[there[at]])
                weights.append(np.full(len(at), weight, np.complex64))
        return sparse.coo_array(
            (np.concatenate(weights), (np.concatenate(askers), np.concatenate(others))),
            shape=(len(items), len(self.starts) - 1),
        ).tocsr()
