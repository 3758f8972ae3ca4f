"""Wrong clocks in the data: what "now" means must not hang on them."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from hack.datasets import Dataset
from reco.recipes import Interactions, Items, Model, train
from reco.recipes.data import Timestamps
from reco.recipes.encoding import Log
from reco.recipes.refreshing import refresh
from reco.recipes.times import believed, in_seconds

DAY = 86_400
IN_2100 = 4_102_444_800
RECIPES = ("aws-user-personalization-v2", "reco-als", "aws-trending-now", "aws-popularity-count")


def first(data: Interactions, times: int) -> Interactions:
    """Return the data with another time in its first row."""
    stamps = data.timestamps.copy()
    stamps[0] = times
    return Interactions(data.user_ids, data.item_ids, stamps, data.event_types)


def each_hundredth(data: Interactions, change: Callable[[Timestamps], Any]) -> Interactions:
    stamps = data.timestamps.copy()
    stamps[::100] = change(stamps[::100])
    return Interactions(data.user_ids, data.item_ids, stamps, data.event_types)


SKEWS: dict[str, Callable[[Interactions], Interactions]] = {
    "one event in 2100": lambda data: first(data, IN_2100),
    "one event in 1970": lambda data: first(data, 0),
    "one event two years early": lambda data: first(data, int(data.timestamps.max()) + 730 * DAY),
    "1 % in 2100": lambda data: each_hundredth(data, lambda _: IN_2100),
    "1 % in 1970": lambda data: each_hundredth(data, lambda _: 3),
    "1 % in milliseconds": lambda data: each_hundredth(data, lambda times: times * 1000),
    "1 % at the ends of time": lambda data: each_hundredth(
        data, lambda times: np.where(np.arange(len(times)) % 2, -(2**63), 2**63 - 1)
    ),
}


def welcomed(model: Model) -> list[str]:
    return [one.item_id for one in model.recommend(user_id="nobody", count=10)]


@pytest.mark.parametrize("skew", SKEWS)
@pytest.mark.parametrize("name", RECIPES)
@pytest.mark.parametrize("days", [1, None], ids=["with a clock", "without"])
def test_wrong_clocks_hardly_move_what_new_users_get(
    dataset: Dataset, model_of: Callable[[str], Model], name: str, skew: str, days: int | None
) -> None:
    data = dataset.interactions
    now = None if days is None else int(data.timestamps.max()) + days * DAY
    model = train(
        name,
        SKEWS[skew](data),
        items=dataset.items,
        users=dataset.users,
        now=now,
    )
    expected = welcomed(model_of(name))
    assert len(set(expected) & set(welcomed(model))) >= 8
    assert abs(model.catalogue.latest - int(data.timestamps.max())) <= DAY
    assert np.isfinite(model.recommend(user_id="u1", count=1)[0].score or 0.0)


def test_a_clock_behind_the_data_is_not_believed_either(dataset: Dataset) -> None:
    data = dataset.interactions
    assert Log.of(data, now=0).latest == data.timestamps.max()


def test_an_event_in_the_past_makes_no_new_item_old(dataset: Dataset) -> None:
    """Exploration asks how old an item is: one event dated 1970 must not end it."""
    data = dataset.interactions
    latest = int(data.timestamps.max())
    new = Interactions.of(["u1", "u2"], ["new", "new"], [latest, 0], ["watch", "watch"])
    model = train("aws-user-personalization-v2", [data, new])
    assert model.catalogue.created[model.catalogue.index(["new"])] == [latest]


def test_what_is_dated_too_late_comes_last_and_counts_as_the_one_before(dataset: Dataset) -> None:
    data = dataset.interactions
    latest = int(data.timestamps.max())
    late = Interactions.of(["u", "u"], ["i1", "i2"], [IN_2100, latest - DAY], ["watch", "watch"])
    history = train("aws-user-personalization-v2", [data, late]).history_of("u")
    assert [(one.item_id, one.timestamp) for one in history] == [
        ("i2", latest - DAY),
        ("i1", latest - DAY),
    ]


def test_a_refresh_believes_what_a_training_does(dataset: Dataset) -> None:
    data = dataset.interactions
    model = train("aws-user-personalization-v2", data)
    assert refresh(model, SKEWS["1 % in 2100"](data)).catalogue.latest == model.catalogue.latest


def test_a_creation_time_in_milliseconds_is_one(dataset: Dataset) -> None:
    items = Items.of(["new"], [1_600_000_000_000])
    model = train("aws-user-personalization-v2", dataset.interactions, items=items)
    assert model.catalogue.created[model.catalogue.index(["new"])] == [1_600_000_000]


def test_a_stream_that_began_lately_is_believed_with_a_clock() -> None:
    """Old bulk data, and some new events: they are few, and what the clock says is sure."""
    old = np.arange(100_000) + 1_500_000_000
    times = np.concatenate([old, np.arange(200) + 1_700_000_000])
    assert believed(times, 1_700_000_300)[1] == times.max()
    assert believed(times[:-150], 1_700_000_300)[1] == old.max(), "too few to be sure"
    assert believed(times)[1] == old.max()


@given(arrays.arrays(np.int64, st.integers(1, 300), elements=st.integers(0, 2 * 10**9)))
def test_most_rows_are_believed(times: Timestamps) -> None:
    earliest, latest = believed(times)
    assert earliest in times
    assert latest in times
    assert np.mean((times >= earliest) & (times <= latest)) >= 0.96


def test_ordinary_times_are_all_believed(dataset: Dataset) -> None:
    times = dataset.interactions.timestamps
    assert believed(times) == (times.min(), times.max())
    assert in_seconds(times) is times
