import csv
from pathlib import Path

import numpy as np
import pytest
from numpy.testing import assert_array_equal

from hack.datasets import Dataset, find_movielens, movielens, synthetic, write_csv


def test_the_same_seed_makes_the_same_data_and_another_does_not(dataset: Dataset) -> None:
    again = synthetic(3, users=150, items=600, ratings=12_000)
    other = synthetic(4, users=150, items=600, ratings=12_000)
    assert_array_equal(again.interactions.item_ids, dataset.interactions.item_ids)
    assert_array_equal(again.interactions.timestamps, dataset.interactions.timestamps)
    assert len(other.interactions) != len(dataset.interactions)


def test_every_user_has_history_and_every_item_a_title(dataset: Dataset) -> None:
    users, events = np.unique(dataset.interactions.user_ids, return_counts=True)
    assert len(users) == 150
    assert events.min() >= 20
    assert len(set(dataset.titles.values())) == len(dataset.items.ids) == 600


def test_the_csv_files_hold_what_an_import_wants(dataset: Dataset, tmp_path: Path) -> None:
    interactions, items = write_csv(dataset, tmp_path)
    with interactions.open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(dataset.interactions)
    assert set(rows[0]) == {"USER_ID", "ITEM_ID", "TIMESTAMP", "EVENT_TYPE"}
    with items.open(newline="") as file:
        assert set(next(csv.DictReader(file))) == {"ITEM_ID", "TITLE", "GENRES"}


def test_another_release_of_movielens_is_refused(tmp_path: Path) -> None:
    (tmp_path / "ratings.csv").write_text("userId,movieId,rating,timestamp\n1,1,4.0,964982703\n")
    with pytest.raises(ValueError, match="1 ratings of 1 users is not the 2018 release"):
        movielens(tmp_path)


@pytest.mark.skipif(find_movielens() is None, reason="MovieLens is not at hand")
def test_movielens_gives_the_published_number_of_events() -> None:
    directory = find_movielens()
    assert directory is not None
    events = movielens(directory).interactions
    assert len(events) == 158_371
    assert len(np.unique(events.item_ids)) == 9_477
