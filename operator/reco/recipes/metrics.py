"""Offline metrics under Amazon Personalize's names and definitions.

Source: the developer guide, "Evaluating an Amazon Personalize solution version with metrics". Its
NDCG is not the textbook one: the ideal list is the returned one re-sorted, so a single hit at
rank 3 gives 0.5 however many relevant items there were.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

CUT_OFFS = (5, 10, 25)
LONGEST = max(CUT_OFFS)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One test user: the items returned, best first, and the ones held back."""

    returned: Sequence[str]
    relevant: frozenset[str]


def reciprocal_rank(hits: NDArray[np.bool_]) -> float:
    """Return 1 / rank of the first hit, 0 without one."""
    ranks = np.flatnonzero(hits[:LONGEST])
    return 1.0 / (int(ranks[0]) + 1) if len(ranks) else 0.0


def discounted_gain(hits: NDArray[np.bool_], cut_off: int) -> float:
    """Return the gain of the first `cut_off` hits over that of the same hits sorted first."""
    top = hits[:cut_off].astype(np.float64)
    if not top.any():
        return 0.0
    discount = 1 / np.log2(np.arange(len(top)) + 2)
    return float((top @ discount) / (np.sort(top)[::-1] @ discount))


def precision(hits: NDArray[np.bool_], cut_off: int) -> float:
    """Return hits in the first `cut_off` over `cut_off`, however few items are relevant."""
    return float(np.count_nonzero(hits[:cut_off])) / cut_off


def per_user(outcomes: Iterable[Outcome]) -> dict[str, NDArray[np.float64]]:
    """Return every per-user metric, one value a user: their means are the reported metrics."""
    names = [
        "mean_reciprocal_rank_at_25",
        *(f"normalized_discounted_cumulative_gain_at_{k}" for k in CUT_OFFS),
        *(f"precision_at_{k}" for k in CUT_OFFS),
    ]
    rows = []
    for outcome in outcomes:
        hits = np.array([item in outcome.relevant for item in outcome.returned], dtype=np.bool_)
        rows.append(
            [
                reciprocal_rank(hits),
                *(discounted_gain(hits, k) for k in CUT_OFFS),
                *(precision(hits, k) for k in CUT_OFFS),
            ]
        )
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return {name: table[:, column] for column, name in enumerate(names)}


def textbook_per_user(outcomes: Iterable[Outcome]) -> dict[str, NDArray[np.float64]]:
    """Return NDCG and recall as textbooks have them, one value a user.

    The ideal list holds as many relevant items as fit, returned or not (Järvelin and Kekäläinen,
    2002). The names differ from the service's, because so do the values: on the same lists its
    NDCG reads about twice as high.
    """
    names = [*(f"textbook_ndcg_at_{k}" for k in CUT_OFFS), *(f"recall_at_{k}" for k in CUT_OFFS)]
    discount = 1 / np.log2(np.arange(LONGEST) + 2)
    rows = []
    for outcome in outcomes:
        hits = np.zeros(LONGEST)
        for at, item in enumerate(outcome.returned[:LONGEST]):
            hits[at] = item in outcome.relevant
        ideal = np.cumsum(discount)[np.minimum(len(outcome.relevant), CUT_OFFS) - 1]
        gain = np.cumsum(hits * discount)[np.array(CUT_OFFS) - 1]
        found = np.cumsum(hits)[np.array(CUT_OFFS) - 1]
        rows.append([*(gain / ideal), *(found / len(outcome.relevant))])
    table = np.array(rows, dtype=np.float64).reshape(len(rows), len(names))
    return {name: table[:, column] for column, name in enumerate(names)}


def coverage(outcomes: Iterable[Outcome], catalogue_size: int) -> float:
    """Return distinct items returned to anyone over the items of both data sets."""
    returned = {item for outcome in outcomes for item in outcome.returned}
    return len(returned) / catalogue_size if catalogue_size else 0.0


def summary(outcomes: Sequence[Outcome], catalogue_size: int) -> dict[str, float]:
    """Return all metrics, rounded to the service's four decimals."""
    averages = {
        name: float(values.mean()) if len(values) else 0.0
        for name, values in per_user(outcomes).items()
    }
    averages["coverage"] = coverage(outcomes, catalogue_size)
    return {name: round(value, 4) for name, value in sorted(averages.items())}
