"""Related items: what the same users touched soon before or after, and what shares metadata.

Two items are the more alike the more users touched both, and the closer together: every common user
counts by a half-life over the number of places between them. Counting common users alone ranks
whatever is popular first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import sparse

from reco.recipes.data import Catalogue, Histories, Indices, Items
from reco.recipes.scorers import best

MOST_NEIGHBOURS = 500

# In places of a history: beyond the window nothing of a half-life this short is left.
_HALF_LIFE = 6.0
_WINDOW = 40
_ROWS_PER_BLOCK = 512


@dataclass(frozen=True, slots=True)
class RelatedSettings:
    """`discount` is how strongly the popularity of a neighbour counts against it.

    0 ranks by how many went from one to the other, 0.5 as the cosine does, 1 by lift. A pair needs
    `minimum_pairs` common users; items whose number of users lies outside the percentiles `fewest`
    and `most` (fractions) take no part. `metadata_share` is the weight of shared categories.
    """

    discount: float
    minimum_pairs: int
    fewest: float = 0.0
    most: float = 1.0
    metadata_share: float = 0.0


def neighbours(
    histories: Histories, catalogue: Catalogue, items: Items | None, settings: RelatedSettings
) -> tuple[NDArray[np.int64], Indices, NDArray[np.float32]]:
    """Return CSR starts, neighbours and positive similarities, at most 500 a row, best first."""
    size = len(catalogue.item_ids)
    seen = histories.seen(size)
    near = histories.near(size, _HALF_LIFE, _WINDOW)
    counts = np.maximum(catalogue.counts, 1).astype(np.float64)
    low, high = np.quantile(
        catalogue.counts[catalogue.counts > 0], [settings.fewest, settings.most]
    )
    takes_part = (catalogue.counts >= low) & (catalogue.counts <= high)
    as_neighbour = takes_part / counts**settings.discount
    as_asked = takes_part / counts ** (1 - settings.discount)
    categories = categories_of(catalogue, items) if settings.metadata_share > 0 else None

    starts, found, similarities = [0], [], []
    for first in range(0, size, _ROWS_PER_BLOCK):
        block = slice(first, min(first + _ROWS_PER_BLOCK, size))
        table = near[block].toarray()
        table[(seen[:, block].T @ seen).toarray() < settings.minimum_pairs] = 0
        table *= as_asked[block, None] * as_neighbour
        if categories is not None:
            table += settings.metadata_share * (categories[block] @ categories.T).toarray()
        table[np.arange(block.stop - first), np.arange(first, block.stop)] = 0
        for row in table:
            ranked = best(row, row > 0, MOST_NEIGHBOURS)
            found.append(ranked.astype(np.int32))
            similarities.append(row[ranked].astype(np.float32))
            starts.append(starts[-1] + len(ranked))
    return np.array(starts, dtype=np.int64), np.concatenate(found), np.concatenate(similarities)


def categories_of(catalogue: Catalogue, items: Items | None) -> sparse.csr_array | None:
    """Return items x categories with rows of unit length, so that products are cosines."""
    if items is None or not items.categories:
        return None
    labels: list[str] = []
    rows: list[int] = []
    at = catalogue.index(items.ids).tolist()
    for name, column in sorted(items.categories.items()):
        for row, value in zip(at, column.tolist(), strict=True):
            for label in filter(None, value.split("|")):
                labels.append(f"{name}={label}")
                rows.append(row)
    names, columns = np.unique(np.array(labels, dtype=np.str_), return_inverse=True)
    table = sparse.csr_array(
        (np.ones(len(rows), np.float64), (rows, columns)),
        shape=(len(catalogue.item_ids), len(names)),
    )
    lengths = np.sqrt(np.asarray(table.multiply(table).sum(axis=1)).ravel())
    return (sparse.diags_array(1 / np.maximum(lengths, 1)) @ table).tocsr()
