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
from scipy import linalg

from reco.recipes.data import Indices
from reco.recipes.encoding import Histories
from reco.recipes.near import Near

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
    represent an item that is none. Where more than `dense_items` items could be targets, no matrix
    is solved for: each item keeps `neighbours` instead.
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
    dense_items: int = 50_000
    neighbours: int = 200


def most_interacted(counts: Indices, minimum: int, maximum: int) -> Indices:
    """Return the items with at least `minimum` users, at most `maximum` of them, sorted."""
    by_count = np.argsort(-counts, kind="stable")[:maximum]
    return np.sort(by_count[counts[by_count] >= minimum]).astype(np.int32)


def rows_of_items(
    histories: Histories, predictors: Indices, items: int, settings: LinearSettings
) -> tuple[NDArray[np.int64], Indices, NDArray[np.float32]]:
    """Return the items x predictors table (CSR) that turns a history into a profile.

    A predictor is itself; any other item is its nearest predictors, in shares that sum to 1.
    """
    row_of = np.full(items, -1, dtype=np.int32)
    row_of[predictors] = np.arange(len(predictors), dtype=np.int32)
    rows: list[Indices] = [row_of[at : at + 1] for at in range(items)]
    shares = [np.ones(1, np.float32)] * items
    near = Near.of(histories, items, settings.half_life, settings.window)
    for part in near.parts(np.flatnonzero(row_of < 0)):
        counted = near.count(part)
        for item, start, end in zip(
            part.tolist(), counted.indptr.tolist(), counted.indptr[1:].tolist(), strict=False
        ):
            others = row_of[counted.indices[start:end]]
            weight = counted.data.real[start:end][others >= 0]
            others = others[others >= 0]
            nearest = np.lexsort((others, -weight))[: settings.stand_ins]
            rows[item] = others[nearest]
            shares[item] = weight[nearest] / max(weight[nearest].sum(), np.float32(1e-12))
    starts = np.cumsum([0, *map(len, rows)]).astype(np.int64)
    return starts, np.concatenate(rows), np.concatenate(shares)


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

    weights = _next(histories, predictors, targets, row_of, settings)
    weights *= np.float32(settings.next_share)
    _add_together(weights, histories, predictors, targets, row_of, settings)
    return predictors, targets, weights


def _add_together(
    weights: NDArray[np.float32],
    histories: Histories,
    predictors: Indices,
    targets: Indices,
    row_of: Indices,
    settings: LinearSettings,
) -> None:
    """EASE: with P the inverse of the regularised Gram matrix, B = -P / diag(P), diagonal 0.

    A target that is no predictor has no diagonal to keep at zero: its column is plain ridge. Adds
    to `weights`, because a second matrix of this size would be most of the memory.
    """
    seen = histories.seen(len(row_of))
    of_predictors = seen[:, predictors]
    gram = (of_predictors.T @ of_predictors).toarray().astype(np.float64)
    gram[np.diag_indices_from(gram)] += settings.ridge_together
    inverse = _inverse(gram)
    diagonal = -np.diag(inverse)
    for start in range(0, len(targets), _TARGETS_PER_BLOCK):
        block = targets[start : start + _TARGETS_PER_BLOCK]
        rows = row_of[block]
        dense, plain = np.flatnonzero(rows >= 0), np.flatnonzero(rows < 0)
        columns = inverse[:, rows[dense]] / diagonal[rows[dense]]
        columns[rows[dense], np.arange(len(dense))] = 0
        weights[:, start + dense] += columns
        weights[:, start + plain] += inverse @ (of_predictors.T @ seen[:, block[plain]]).toarray()


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
    column_of = np.full(len(row_of), -1, dtype=np.int32)
    column_of[targets] = np.arange(len(targets), dtype=np.int32)

    past = np.zeros(len(predictors) ** 2)
    future = np.zeros(len(predictors) * len(targets), dtype=np.float32)
    for lag, rows in histories.lagged(settings.window):
        row = row_of[items[rows]].astype(np.int64)
        earlier, row = rows[row >= 0], row[row >= 0]
        later = earlier + lag
        if lag > 0:
            column = column_of[items[later]]
            pairs = (row * len(targets) + column)[column >= 0]
            np.add.at(future, pairs, np.float32(lag * decay ** (lag - 1)))
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

    weights = future.reshape(len(predictors), len(targets))
    for start in range(0, len(targets), _TARGETS_PER_BLOCK):
        block = slice(start, start + _TARGETS_PER_BLOCK)
        weights[:, block] = linalg.cho_solve(
            factor, weights[:, block].astype(np.float64), overwrite_b=True, check_finite=False
        )
    return weights
