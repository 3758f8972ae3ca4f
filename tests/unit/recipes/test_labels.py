"""Categories as labels, and what they say of items without a score."""

import numpy as np
import pytest

from reco.recipes import Users
from reco.recipes.labels import Labels, Likeness, UserLabels


def labels(*rows: str) -> Labels:
    return Labels.of({"G": np.array(rows)}, np.arange(len(rows), dtype=np.int32), len(rows))


def names(of: Labels, row: int) -> list[str]:
    return [str(name) for name in of.names[of.row(row)]]


def test_values_are_told_apart_by_their_column_and_split_at_bars() -> None:
    both = Labels.of(
        {"A": np.array(["x|y", ""]), "B": np.array(["y", "x"])}, np.array([0, 1], np.int32), 2
    )
    assert names(both, 0) == ["A=x", "A=y", "B=y"]
    assert names(both, 1) == ["B=x"]
    assert both.encode({"A": "y|unheard", "B": "", "C": "x"}).tolist() == [1]


def test_the_last_record_of_a_row_counts_and_unknown_rows_are_left_out() -> None:
    some = Labels.of({"G": np.array(["a", "b", "c", "d|d"])}, np.array([0, 0, -1, 1], np.int32), 3)
    assert [names(some, row) for row in range(3)] == [["G=b"], ["G=d"], []]


def test_a_user_is_known_by_the_users_dataset_unless_attributes_are_given() -> None:
    users = UserLabels.of(Users.of(["b", "a", "b"], {"T": ["x", "y", "y|z"]}))
    assert users.labels.names[users.of_user("b", None)].tolist() == ["T=y", "T=z"]
    assert users.labels.names[users.of_user("b", {"T": "z"})].tolist() == ["T=z"]
    assert users.of_user("c", None).size == users.of_user(None, None).size == 0
    assert users.labels_of(np.array(["c", "a"])).toarray().tolist() == [[0, 0], [1, 0]]


def test_an_item_without_a_score_is_worth_what_its_labels_are_on_average() -> None:
    likeness = Likeness.of(
        labels("a", "a|b", "b", "a", "a|b", "c", ""),
        np.array([True, True, True, False, False, False, False]),
    )
    assert likeness is not None
    scores = np.array([1, 2, 6, 0, 0, 9, 9], dtype=np.float32)
    likeness.fill(scores)
    assert scores.tolist() == pytest.approx([1, 2, 6, 1.5, 2.75, 9, 9])


def test_no_likeness_where_it_would_place_no_item() -> None:
    assert Likeness.of(labels("a", "b"), np.array([True, False])) is None
    assert Likeness.of(labels("a", "a"), np.array([True, True])) is None
    assert Likeness.of(labels("a", "a"), np.array([False, False])) is None
