"""Related items: what the same users touched soon before or after, and what shares metadata.

Two items are the more alike the more users touched both, and the closer together: every common user
counts by a half-life over the number of places between them. Counting common users alone ranks
whatever is popular first.
"""

from dataclasses import dataclass

import numpy as np
from scipy import sparse

from reco.recipes.encoding import Catalogue, Histories
from reco.recipes.labels import Labels
from reco.recipes.matrices import SparseRows
from reco.recipes.near import Near
from reco.recipes.scorers import best

MOST_NEIGHBOURS = 500

# In places of a history: beyond the window nothing of a half-life this short is left.
_HALF_LIFE = 6.0
_WINDOW = 40
# Rows that are dense for a moment, as elements.
_DENSE_AT_ONCE = 1 << 23


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
    near = Near.of(histories, size, settings.half_life, _WINDOW)
    counts = np.maximum(catalogue.counts, 1).astype(np.float32)
    low, high = np.quantile(
        catalogue.counts[catalogue.counts > 0], [settings.fewest, settings.most]
    )
    takes_part = (catalogue.counts >= low) & (catalogue.counts <= high)
    as_neighbour = takes_part / counts**settings.discount
    as_asked = takes_part / counts ** (1 - settings.discount)
    categories = None if labels is None or settings.metadata_share == 0 else _unit_rows(labels)

    found = []
    similarities = []
    for part in near.parts(np.arange(size)):
        pairs = near.count(part)
        close = pairs.data.real * (pairs.data.imag >= settings.minimum_pairs)
        close *= as_asked[np.repeat(part, np.diff(pairs.indptr))] * as_neighbour[pairs.indices]
        table = sparse.csr_array((close, pairs.indices, pairs.indptr), shape=pairs.shape)
        rows_at_once = max(1, _DENSE_AT_ONCE // size)
        for first in range(0, len(part), rows_at_once):
            items = part[first : first + rows_at_once]
            dense = table[first : first + rows_at_once].toarray()
            if categories is not None:
                shared = (categories[items] @ categories.T).toarray()
                dense += np.float32(settings.metadata_share) * shared
            dense[np.arange(len(items)), items] = 0
            for row in dense:
                ranked = best(row, row > 0, settings.most_neighbours)
                found.append(ranked.astype(np.int32))
                similarities.append(row[ranked].astype(np.float32))
    starts = np.cumsum([0, *map(len, found)]).astype(np.int64)
    return SparseRows(starts, np.concatenate(found), np.concatenate(similarities))


def _unit_rows(labels: Labels) -> sparse.csr_array:
    """Return items x labels with rows of unit length, so that products are cosines."""
    table = labels.table()
    lengths = np.sqrt(np.maximum(np.diff(labels.starts), 1)).astype(np.float32)
    unit: sparse.csr_array = (sparse.diags_array(1 / lengths) @ table).tocsr()
    return unit
