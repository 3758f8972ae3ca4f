"""Related items: what the same users touched soon before or after, and what shares metadata.

Two items are the more alike the more users touched both, and the closer together: every common user
counts by a half-life over the number of places between them. Counting common users alone ranks
whatever is popular first.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Self

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reco.recipes.encoding import Catalogue, Histories
from reco.recipes.labels import Labels
from reco.recipes.matrices import SparseRows
from reco.recipes.near import Near
from reco.recipes.scorers import best

MOST_NEIGHBOURS = 500

# In places of a history: beyond the window nothing of a half-life this short is left.
_HALF_LIFE = 6.0
WINDOW = 40


@dataclass(frozen=True, slots=True)
class RelatedSettings:
    """`discount` is how strongly the popularity of a neighbour counts against it.

    0 ranks by how many went from one to the other, 0.5 as the cosine does, 1 by lift. A pair needs
    `minimum_pairs` common users; items whose number of users lies outside the percentiles `fewest`
    and `most` (fractions) take no part. `metadata_share` is the weight of shared categories,
    `most_neighbours` how many each item keeps.
    """

    discount: float
    minimum_pairs: int
    fewest: float = 0.0
    most: float = 1.0
    metadata_share: float = 0.0
    most_neighbours: int = MOST_NEIGHBOURS
    half_life: float = _HALF_LIFE


def neighbours(
    histories: Histories, catalogue: Catalogue, labels: Labels | None, settings: RelatedSettings
) -> SparseRows:
    """Return every item's neighbours by positive similarity, best first."""
    size = len(catalogue.item_ids)
    near = Near.of(histories, size, settings.half_life, WINDOW)
    counts = np.maximum(catalogue.counts, 1).astype(np.float32)
    low, high = np.quantile(
        catalogue.counts[catalogue.counts > 0], [settings.fewest, settings.most]
    )
    takes_part = (catalogue.counts >= low) & (catalogue.counts <= high)
    as_neighbour = takes_part / counts**settings.discount
    as_asked = takes_part / counts ** (1 - settings.discount)
    kinds = _Kinds.of(
        labels if labels is not None and settings.metadata_share > 0 else Labels.none(size)
    )
    share = np.float32(settings.metadata_share)
    most = settings.most_neighbours

    found: list[NDArray[np.int32]] = [np.zeros(0, np.int32)] * size
    similarities: list[NDArray[np.float32]] = [np.zeros(0, np.float32)] * size
    for part in near.parts(np.arange(size)):
        pairs = near.count(part)
        close = pairs.data.real * (pairs.data.imag >= settings.minimum_pairs)
        close *= as_asked[np.repeat(part, np.diff(pairs.indptr))] * as_neighbour[pairs.indices]
        for kind, rows in kinds.groups(part):
            alike = kinds.alike(kind)
            most_alike = best(_positive(alike), most + 1)
            for row in rows.tolist():
                item = int(part[row])
                span = slice(pairs.indptr[row], pairs.indptr[row + 1])
                others = np.concatenate([pairs.indices[span], most_alike]).astype(np.int32)
                values = np.concatenate([close[span], np.zeros(len(most_alike), np.float32)])
                # A pair comes before what is merely alike, and so is the one that stays.
                others, at = np.unique(others, return_index=True)
                values = values[at] + share * alike[others]
                values[others == item] = 0
                ranked = best(_positive(values), most)
                found[item], similarities[item] = others[ranked], values[ranked]
    starts = np.cumsum([0, *map(len, found)]).astype(np.int64)
    return SparseRows(starts, np.concatenate(found), np.concatenate(similarities))


def _positive(values: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the values with minus infinity for those that are not positive."""
    return np.where(values > 0, values, np.float32(-np.inf))


@dataclass(frozen=True, slots=True)
class _Kinds:
    """Items by their set of labels: those of one kind are alike in metadata.

    `of_item` is each item's kind; `unit` is kinds x labels with rows of unit length, so that
    products are cosines.
    """

    of_item: NDArray[np.int64]
    unit: sparse.csr_array

    @classmethod
    def of(cls, labels: Labels) -> Self:
        numbers: dict[bytes, int] = {}
        items = len(labels.starts) - 1
        of_item = np.array(
            [numbers.setdefault(labels.row(at).tobytes(), len(numbers)) for at in range(items)],
            dtype=np.int64,
        )
        _, first = np.unique(of_item, return_index=True)
        table = labels.table()[first]
        lengths = np.sqrt(np.maximum(np.diff(table.indptr), 1)).astype(np.float32)
        return cls(of_item, (sparse.diags_array(1 / lengths) @ table).tocsr())

    def groups(self, items: NDArray[np.integer]) -> Iterator[tuple[int, NDArray[np.int64]]]:
        """Yield each kind among items, and where in them it is."""
        order = np.argsort(self.of_item[items], kind="stable")
        kinds, starts = np.unique(self.of_item[items][order], return_index=True)
        return zip(kinds.tolist(), np.split(order, starts[1:]), strict=True)

    def alike(self, kind: int) -> NDArray[np.float32]:
        """Return the cosine between a kind's labels and every item's."""
        cosines = (self.unit[[kind]] @ self.unit.T).toarray()[0]
        of_items: NDArray[np.float32] = cosines[self.of_item].astype(np.float32)
        return of_items
