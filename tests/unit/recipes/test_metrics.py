from math import log2

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from reco.recipes.metrics import (
    Outcome,
    discounted_gain,
    per_user,
    precision,
    reciprocal_rank,
    summary,
    textbook_per_user,
)


def hits(*ranks: int, length: int = 25) -> np.ndarray[tuple[int], np.dtype[np.bool_]]:
    return np.isin(np.arange(1, length + 1), ranks)


def test_reciprocal_rank_counts_the_first_hit_only() -> None:
    assert reciprocal_rank(hits(4, 5)) == 0.25
    assert reciprocal_rank(hits()) == 0


def test_one_hit_at_rank_three_gains_half_of_the_ideal() -> None:
    assert discounted_gain(hits(3), 5) == pytest.approx(0.5)


def test_gain_compares_with_the_returned_hits_sorted_first() -> None:
    ideal = 1 + 1 / log2(3)
    assert discounted_gain(hits(2, 5), 5) == pytest.approx((1 / log2(3) + 1 / log2(6)) / ideal)
    assert discounted_gain(hits(1, 2), 5) == 1
    assert discounted_gain(hits(6), 5) == 0


def test_precision_divides_by_the_cut_off_however_short_the_list() -> None:
    assert precision(hits(1, 2, length=3), 5) == pytest.approx(0.4)


def test_summary_has_the_services_names_and_four_decimals() -> None:
    outcomes = [
        Outcome(["a", "b", "c"], frozenset({"c"})),
        Outcome(["a", "d", "e"], frozenset({"z"})),
    ]
    assert summary(outcomes, catalogue_size=15) == {
        "coverage": 0.3333,
        "mean_reciprocal_rank_at_25": 0.1667,
        "normalized_discounted_cumulative_gain_at_5": 0.25,
        "normalized_discounted_cumulative_gain_at_10": 0.25,
        "normalized_discounted_cumulative_gain_at_25": 0.25,
        "precision_at_5": 0.1,
        "precision_at_10": 0.05,
        "precision_at_25": 0.02,
    }


def test_textbook_metrics_count_what_was_not_returned() -> None:
    found = textbook_per_user([Outcome(["x", "y", "a"], frozenset("abc"))])
    assert found["textbook_ndcg_at_5"][0] == pytest.approx(0.5 / (1 + 1 / log2(3) + 0.5))
    assert found["recall_at_10"][0] == pytest.approx(1 / 3)
    alone = textbook_per_user([Outcome(["x", "y", "a"], frozenset("a"))])
    assert alone["textbook_ndcg_at_5"][0] == pytest.approx(0.5)
    assert per_user([Outcome(["x", "y", "a"], frozenset("abc"))])[
        "normalized_discounted_cumulative_gain_at_5"
    ][0] == pytest.approx(0.5)


def test_nobody_to_test_gives_zeros() -> None:
    assert set(summary([], catalogue_size=10).values()) == {0.0}


@given(
    returned=st.lists(st.sampled_from("abcdefghij"), unique=True),
    relevant=st.frozensets(st.sampled_from("abcdefghij")),
)
def test_every_metric_lies_between_nothing_and_perfection(
    returned: list[str], relevant: frozenset[str]
) -> None:
    for values in per_user([Outcome(returned, relevant)]).values():
        assert 0 <= values[0] <= 1 + 1e-12
