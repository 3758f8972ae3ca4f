"""The personalised model: two closed-form linear models in one item-to-item matrix.

*What goes together*: EASE (Steck, "Embarrassingly Shallow Autoencoders", 2019), a ridge regression
of every item on all others, from co-occurrence alone. *What comes next*: the transition half of
SLIST (Choi et al., "Session-aware Linear Item-Item Models", 2021), a ridge regression of the
recency-weighted future of a history on its recency-weighted past.

Both are `(n predictors, n targets)` matrices applied to the same recency-weighted profile, so
their sum is one matrix and one product at serving time.

Only items with enough interactions predict, because the cost is cubic in their number; a rarer one
in a history is stood in for by the predictors its users touched next to it. Nearly every item can
be predicted, which is cheap. Nothing here iterates, so nothing has to converge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy import linalg, sparse

from reco.recipes.data import Histories, Indices

Matrix = NDArray[np.float64]

_TARGETS_PER_BLOCK = 2048


@dataclass(frozen=True, slots=True)
class LinearSettings:
    """What shapes the matrix.

    `half_life` counts items of a history, newest first: the weight of an item halves every so
    many. `window` is the longest transition counted, in items. `ridge_*` are the regularisers,
    `next_share` weighs the second model against the first. An item predicts if at least
    `minimum_predictor_count` users touched it, up to `maximum_predictors`, or if it is among the
    `cheap_predictors` most touched; likewise for targets. `stand_ins` is how many predictors
    represent an item that is none.
    """

    half_life: float = 4.0
    window: int = 60
    ridge_together: float = 300.0
    ridge_next: float = 100.0
    next_share: float = 1.0
    minimum_predictor_count: int = 10
    minimum_target_count: int = 2
    cheap_predictors: int = 1024
    maximum_predictors: int = 4096
    maximum_targets: int = 20_000
    stand_ins: int = 8


def most_interacted(counts: Indices, minimum: int, maximum: int) -> Indices:
    """Return the items with at least `minimum` users, at most `maximum` of them, sorted."""
    by_count = np.argsort(-counts, kind="stable")[:maximum]
    return np.sort(by_count[counts[by_count] >= minimum]).astype(np.int32)


def rows_of_items(
    histories: Histories, predictors: Indices, items: int, settings: LinearSettings
) -> sparse.csr_array:
    """Return the items x predictors table that turns a history into a profile.

    A predictor is itself; any other item is its nearest predictors, in shares that sum to 1.
    """
    near = histories.near(items, settings.half_life, settings.window)[:, predictors].tocsr()
    near.sort_indices()
    itself = np.full(items, -1, dtype=np.int32)
    itself[predictors] = np.arange(len(predictors), dtype=np.int32)
    starts, rows, shares = [0], [np.zeros(0, np.int32)], [np.zeros(0, np.float32)]
    for item in range(items):
        if itself[item] >= 0:
            rows.append(itself[item : item + 1])
            shares.append(np.ones(1, np.float32))
        else:
            of_item = slice(near.indptr[item], near.indptr[item + 1])
            nearest = np.argsort(-near.data[of_item], kind="stable")[: settings.stand_ins]
            weight = near.data[of_item][nearest]
            rows.append(near.indices[of_item][nearest].astype(np.int32))
            shares.append((weight / max(weight.sum(), 1e-12)).astype(np.float32))
        starts.append(starts[-1] + len(rows[-1]))
    return sparse.csr_array(
        (np.concatenate(shares), np.concatenate(rows), starts), shape=(items, len(predictors))
    )


def fit(
    histories: Histories, counts: Indices, settings: LinearSettings
) -> tuple[Indices, Indices, NDArray[np.float32]]:
    """Return predictors (item indices), targets (item indices) and weights (predictor x target)."""
    predictors = np.union1d(
        most_interacted(counts, settings.minimum_predictor_count, settings.maximum_predictors),
        most_interacted(counts, settings.minimum_target_count, settings.cheap_predictors),
    )
    targets = most_interacted(counts, settings.minimum_target_count, settings.maximum_targets)
    if len(predictors) == 0:
        return predictors, targets, np.zeros((0, len(targets)), dtype=np.float32)
    row_of = np.full(len(counts), -1, dtype=np.int32)
    row_of[predictors] = np.arange(len(predictors), dtype=np.int32)

    weights = _together(histories, predictors, targets, row_of, settings)
    weights += settings.next_share * _next(histories, predictors, targets, row_of, settings)
    return predictors, targets, weights


def _together(
    histories: Histories,
    predictors: Indices,
    targets: Indices,
    row_of: Indices,
    settings: LinearSettings,
) -> NDArray[np.float32]:
    """EASE: with P the inverse of the regularised Gram matrix, B = -P / diag(P), diagonal 0.

    A target that is no predictor has no diagonal to keep at zero: its column is plain ridge.
    """
    seen = histories.seen(len(row_of))
    of_predictors = seen[:, predictors]
    gram = (of_predictors.T @ of_predictors).toarray()
    gram[np.diag_indices_from(gram)] += settings.ridge_together
    inverse = _inverse(gram)

    weights = np.empty((len(predictors), len(targets)), dtype=np.float32)
    for start in range(0, len(targets), _TARGETS_PER_BLOCK):
        block = targets[start : start + _TARGETS_PER_BLOCK]
        rows = row_of[block]
        dense, plain = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        weights[:, start + dense] = inverse[:, rows[dense]] / -np.diag(inverse)[rows[dense]]
        weights[rows[dense], start + dense] = 0
        weights[:, start + plain] = inverse @ (of_predictors.T @ seen[:, block[plain]]).toarray()
    return weights


def _inverse(positive_definite: Matrix) -> Matrix:
    """Invert in place by Cholesky; a third of the work of a general inverse."""
    factor, failed = linalg.lapack.dpotrf(positive_definite.T, lower=True, overwrite_a=True)
    if failed == 0:
        factor, failed = linalg.lapack.dpotri(factor, lower=True, overwrite_c=True)
    if failed != 0:
        raise linalg.LinAlgError(f"Gram matrix is not positive definite (LAPACK info {failed})")
    lower = np.tril_indices_from(factor, -1)
    factor.T[lower] = factor[lower]
    inverse: Matrix = factor
    return inverse


def _next(
    histories: Histories,
    predictors: Indices,
    targets: Indices,
    row_of: Indices,
    settings: LinearSettings,
) -> NDArray[np.float32]:
    """SLIT: ridge from past to future over every split of every history.

    With decay d per item, past_t = sum over i of d^(t-i) e_i for the window's items up to t, and
    future_t = sum over j > t of d^(j-t-1) e_j. Summed over the splits t of a history of n items:
    past past' gives the pair (i, j = i + lag) d^lag (1 - d^2s) / (1 - d^2), where
    s = min(n - 1 - j, window - lag) counts the splits that see both, and past future' gives it
    lag d^(lag-1). So it takes sums over lags, never a row per split. Pairs further apart than the
    window count for nothing.
    """
    decay = 2.0 ** (-1.0 / settings.half_life)
    items = histories.items
    to_the_end = histories.to_the_end()
    column_of = np.full(len(row_of), -1, dtype=np.int64)
    column_of[targets] = np.arange(len(targets))

    past = np.zeros(len(predictors) ** 2)
    to_future: list[tuple[NDArray[np.int64], float]] = []
    for lag, rows in histories.lagged(settings.window):
        row = row_of[items[rows]].astype(np.int64)
        earlier, row = rows[row >= 0], row[row >= 0]
        later = earlier + lag
        if lag > 0:
            column = column_of[items[later]]
            pairs = (row * len(targets) + column)[column >= 0]
            to_future.append((pairs, lag * decay ** (lag - 1)))
        other = row_of[items[later]].astype(np.int64)
        both = other >= 0
        splits = np.minimum(to_the_end[later[both]], settings.window - lag)
        weight = decay**lag * (1 - decay ** (2 * splits)) / (1 - decay**2)
        np.add.at(past, row[both] * len(predictors) + other[both], weight)

    gram = past.reshape(len(predictors), len(predictors))
    gram = gram + gram.T
    diagonal = np.diag_indices_from(gram)
    gram[diagonal] = gram[diagonal] / 2 + settings.ridge_next
    factor = linalg.cho_factor(gram, lower=True, overwrite_a=True, check_finite=False)

    future = _summed(to_future, len(predictors), len(targets))
    weights = np.empty((len(predictors), len(targets)), dtype=np.float32)
    for start in range(0, len(targets), _TARGETS_PER_BLOCK):
        block = slice(start, start + _TARGETS_PER_BLOCK)
        weights[:, block] = linalg.cho_solve(
            factor, future[:, block].toarray(), overwrite_b=True, check_finite=False
        )
    return weights


def _summed(
    weighted_pairs: list[tuple[NDArray[np.int64], float]], rows: int, columns: int
) -> sparse.csc_array:
    """Add up flat (row * columns + column) positions, each group with its own weight."""
    pairs = np.concatenate([pairs for pairs, _ in weighted_pairs] or [np.zeros(0, np.int64)])
    weights = np.concatenate([np.full(len(p), w) for p, w in weighted_pairs] or [np.zeros(0)])
    return sparse.coo_array(
        (weights, (pairs // columns, pairs % columns)), shape=(rows, columns)
    ).tocsc()
