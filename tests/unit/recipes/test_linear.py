import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose
from numpy.typing import NDArray

from reco.recipes import Interactions
from reco.recipes.encoding import Histories, Log, encode
from reco.recipes.linear import LinearSettings, fit, most_interacted

ITEMS = 7
SEQUENCES = st.lists(st.permutations(range(ITEMS)).map(lambda p: p[:5]), min_size=2, max_size=6)


def encoded(sequences: list[list[int]]) -> tuple[Histories, NDArray[np.int32]]:
    rows = [
        (f"u{user}", f"i{item}", time)
        for user, sequence in enumerate(sequences)
        for time, item in enumerate(sequence)
    ]
    users, items, times = zip(*rows, strict=True)
    catalogue, histories = encode(Log.of(Interactions.of(users, items, times)), None)
    return histories, catalogue.counts


def together_step_by_step(histories: Histories, size: int, ridge: float) -> NDArray[np.float64]:
    seen = np.zeros((len(histories), size))
    for user in range(len(histories)):
        seen[user, histories.items[histories.starts[user] : histories.starts[user + 1]]] = 1
    inverse = np.linalg.inv(seen.T @ seen + ridge * np.eye(size))
    weights = -inverse / np.diag(inverse)
    np.fill_diagonal(weights, 0)
    return weights


def next_step_by_step(
    histories: Histories, size: int, shape: LinearSettings
) -> NDArray[np.float64]:
    decay = 0.5 ** (1 / shape.half_life)
    pasts, futures = [], []
    for user in range(len(histories)):
        items = histories.items[histories.starts[user] : histories.starts[user + 1]].tolist()
        for split in range(len(items) - 1):
            past, future = np.zeros(size), np.zeros(size)
            for at, item in enumerate(items):
                if split - shape.window < at <= split:
                    past[item] = decay ** (split - at)
                elif at > split:
                    future[item] = decay ** (at - split - 1)
            pasts.append(past)
            futures.append(future)
    before, after = np.array(pasts), np.array(futures)
    regularised = before.T @ before + shape.ridge_next * np.eye(size)
    return np.asarray(np.linalg.solve(regularised, before.T @ after), dtype=np.float64)


@settings(max_examples=40, deadline=None)
@given(SEQUENCES)
def test_sums_over_lags_equal_a_regression_over_every_split(sequences: list[list[int]]) -> None:
    histories, counts = encoded(sequences)
    shape = LinearSettings(
        half_life=3.0, minimum_predictor_count=1, minimum_target_count=1, ridge_next=2.0
    )
    _, _, weights = fit(histories, counts, shape)
    expected = together_step_by_step(
        histories, len(counts), shape.ridge_together
    ) + next_step_by_step(histories, len(counts), shape)
    assert_allclose(weights, expected, atol=1e-6)


@settings(max_examples=20, deadline=None)
@given(SEQUENCES, st.integers(1, 6), st.floats(0.5, 200))
def test_any_window_and_half_life_can_be_solved(
    sequences: list[list[int]], window: int, half_life: float
) -> None:
    histories, counts = encoded(sequences)
    shape = LinearSettings(
        half_life=half_life, window=window, minimum_predictor_count=1, ridge_next=1e-6
    )
    _, _, weights = fit(histories, counts, shape)
    assert np.isfinite(weights).all()


@settings(max_examples=20, deadline=None)
@given(SEQUENCES)
def test_an_item_too_rare_to_predict_is_still_predicted(sequences: list[list[int]]) -> None:
    everywhere = [[0, 1, *(item for item in sequence if item > 1)] for sequence in sequences]
    histories, counts = encoded(everywhere)
    shape = LinearSettings(
        minimum_predictor_count=len(sequences), minimum_target_count=1, cheap_predictors=2
    )
    predictors, targets, weights = fit(histories, counts, shape)
    assert list(targets) == list(range(len(counts)))
    assert set(predictors) >= {0, 1}
    assert weights.shape == (len(predictors), len(targets))


def test_the_cap_keeps_the_items_with_most_users_and_breaks_ties_by_item() -> None:
    counts = np.array([5, 9, 5, 1, 7], dtype=np.int32)
    assert most_interacted(counts, minimum=2, maximum=3).tolist() == [0, 1, 4]
    assert most_interacted(counts, minimum=6, maximum=3).tolist() == [1, 4]
