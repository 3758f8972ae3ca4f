"""What a trained model answers, whichever recipe made it."""

from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from hack.datasets import Dataset
from reco.recipes import Event, Interactions, Items, Model, train

PERSONAL = "aws-user-personalization-v2"
USER = "u0007"
DAY = 86_400


def everything(model: Model) -> int:
    return len(model.item_ids)


def newest_time(model: Model) -> int:
    return model.history_of(USER)[-1].timestamp


def item_list(model: Model, **question: object) -> list[str]:
    return [scored.item_id for scored in model.recommend(**question)]  # type: ignore[arg-type]  # each test names the members it varies


def test_scores_sum_to_one_over_everything_a_user_could_get(personal: Model) -> None:
    answer = personal.recommend(user_history=personal.history_of(USER), count=everything(personal))
    scores = [scored.score for scored in answer if scored.score is not None]
    assert len(scores) == len(answer)
    assert sum(scores) == pytest.approx(1)
    assert scores == sorted(scores, reverse=True)


def test_a_filter_shortens_an_answer_and_leaves_its_scores_alone(personal: Model) -> None:
    history = personal.history_of(USER)
    unfiltered = personal.recommend(user_history=history, count=everything(personal))
    even = np.array([int(item[1:]) % 2 == 0 for item in personal.item_ids])
    filtered = personal.recommend(user_history=history, count=everything(personal), allowed=even)
    assert filtered == [scored for scored in unfiltered if int(scored.item_id[1:]) % 2 == 0]


def test_a_filter_that_allows_nothing_gives_an_empty_answer(model: Model) -> None:
    nothing = np.zeros(everything(model), dtype=np.bool_)
    assert model.recommend(allowed=nothing) == []


def test_seen_items_are_left_out_unless_asked_for(personal: Model) -> None:
    history = personal.history_of(USER)
    seen = {event.item_id for event in history}
    without = item_list(personal, user_history=history, count=everything(personal))
    assert seen.isdisjoint(without)
    assert len(without) == everything(personal) - len(seen)
    with_seen = item_list(
        personal, user_history=history, count=everything(personal), remove_seen=False
    )
    assert seen <= set(with_seen)


def test_popularity_is_the_same_for_everyone(model_of: Callable[[str], Model]) -> None:
    model = model_of("aws-popularity-count")
    assert item_list(model, user_history=model.history_of(USER)) == item_list(model)


def test_popular_means_touched_by_most_users(
    dataset: Dataset, model_of: Callable[[str], Model]
) -> None:
    model = model_of("aws-popularity-count")
    pairs = set(
        zip(
            dataset.interactions.item_ids.tolist(),
            dataset.interactions.user_ids.tolist(),
            strict=True,
        )
    )
    users = dict.fromkeys(model.item_ids.tolist(), 0)
    for item, _ in pairs:
        users[item] += 1
    expected = sorted(users, key=lambda item: (-users[item], item))[:25]
    assert item_list(model) == expected


def test_a_new_user_gets_what_is_popular_lately() -> None:
    year = 365 * DAY
    rows = [(f"u{user:02}", f"old{item:02}", item) for user in range(60) for item in range(20)]
    rows += [
        (f"u{user:02}", f"new{item:02}", 3 * year + item)
        for user in range(20)
        for item in range(10)
    ]
    users, items, times = zip(*rows, strict=True)
    data = Interactions.of(users, items, times)
    assert all(item.startswith("new") for item in item_list(train(PERSONAL, data), count=10))
    popular = train("aws-popularity-count", data)
    assert all(item.startswith("old") for item in item_list(popular, count=20))


@pytest.mark.parametrize("rank_of_popularity", [0, 100, 400, 590])
def test_one_recent_event_changes_the_next_answer(personal: Model, rank_of_popularity: int) -> None:
    before = personal.history_of(USER)
    seen = {event.item_id for event in before}
    by_popularity = personal.item_ids[np.argsort(-personal.catalogue.counts, kind="stable")]
    item = next(item for item in by_popularity[rank_of_popularity:].tolist() if item not in seen)
    after = [*before, Event(item, newest_time(personal) + 60)]
    changed = item_list(personal, user_history=after)
    assert changed != item_list(personal, user_history=before)
    assert item not in changed


def test_events_may_come_in_any_order(personal: Model) -> None:
    history = personal.history_of(USER)
    times = [event.timestamp for event in history]
    assert len(set(times)) == len(times)
    assert personal.recommend(user_history=history[::-1]) == personal.recommend(
        user_history=history
    )


def test_items_the_model_never_met_are_passed_over_in_a_history(personal: Model) -> None:
    history = personal.history_of(USER)
    stranger = Event("brand-new", newest_time(personal) + 60)
    assert personal.recommend(user_history=[*history, stranger]) == personal.recommend(
        user_history=history
    )


def test_a_user_seen_in_training_is_remembered_oldest_first(dataset: Dataset, model: Model) -> None:
    mine = dataset.interactions.where(dataset.interactions.user_ids == USER)
    remembered = model.history_of(USER)
    assert {event.item_id for event in remembered} == set(mine.item_ids.tolist())
    assert [event.timestamp for event in remembered] == sorted(
        event.timestamp for event in remembered
    )
    assert model.history_of("nobody") == []


def test_ranking_returns_every_candidate_and_the_known_sum_to_one(personal: Model) -> None:
    candidates = ["nowhere", "i00003", "i00001", "unheard-of", "i00002"]
    ranked = personal.rank(candidates=candidates, user_history=personal.history_of(USER))
    scores = [scored.score for scored in ranked[:3]]
    assert sorted(scored.item_id for scored in ranked) == sorted(candidates)
    assert sum(score for score in scores if score is not None) == pytest.approx(1)
    assert [(scored.item_id, scored.score) for scored in ranked[3:]] == [
        ("nowhere", None),
        ("unheard-of", None),
    ]


def test_ranking_orders_as_recommending_does(personal: Model) -> None:
    history = personal.history_of(USER)
    recommended = item_list(personal, user_history=history, count=50)
    ranked = personal.rank(candidates=sorted(recommended), user_history=history)
    assert [scored.item_id for scored in ranked] == recommended


def test_ranking_nothing_known_gives_no_scores(personal: Model) -> None:
    assert [scored.score for scored in personal.rank(candidates=["x", "y"])] == [None, None]
    assert personal.rank(candidates=[]) == []


def test_equal_scores_are_ordered_by_item_id() -> None:
    users = [f"u{user:03}" for user in range(50) for _ in range(20)]
    items = [f"i{item:03}" for _ in range(50) for item in range(20)]
    model = train("aws-popularity-count", Interactions.of(users, items, range(1000)))
    assert item_list(model, count=20) == sorted(set(items))


def test_related_items_leave_out_the_item_asked_about_and_show_no_scores(sims: Model) -> None:
    answer = sims.recommend(item_id="i00001", count=everything(sims))
    assert "i00001" not in {scored.item_id for scored in answer}
    assert {scored.score for scored in answer} == {None}


def test_an_unknown_item_is_related_to_what_is_popular(
    sims: Model, model_of: Callable[[str], Model]
) -> None:
    assert item_list(sims, item_id="unheard-of") == item_list(model_of("aws-popularity-count"))


def test_neighbours_in_a_series_are_related(dataset: Dataset, sims: Model) -> None:
    genre_of = dict(
        zip(dataset.items.ids.tolist(), dataset.items.categories["GENRES"].tolist(), strict=True)
    )
    popular = item_list(sims, count=20)
    same = [
        genre_of[other] == genre_of[item]
        for item in popular
        for other in item_list(sims, item_id=item, count=5)
    ]
    assert np.mean(same) > 0.8


def test_metadata_relates_items_that_nobody_touched_together(dataset: Dataset) -> None:
    ids = [*dataset.items.ids.tolist(), "cold-1", "cold-2", "cold-3"]
    genres = [*dataset.items.categories["GENRES"].tolist(), "Western", "Western", "Opera"]
    model = train(
        "aws-similar-items",
        dataset.interactions,
        items=Items.of(ids, categories={"GENRES": genres}),
    )
    assert item_list(model, item_id="cold-1", count=1) == ["cold-2"]


def test_exploration_lifts_new_items_more_the_more_it_weighs(dataset: Dataset) -> None:
    latest = int(dataset.interactions.timestamps.max())
    fresh = [f"new{k}" for k in range(20)]
    ids = dataset.items.ids.tolist()
    items = Items.of([*ids, *fresh], [latest - 400 * DAY] * len(ids) + [latest - DAY] * 20)
    model = train("aws-user-personalization-v2", dataset.interactions, items=items)

    def explored(weight: float, cut_off: float = 30.0) -> float:
        shown = [
            item_list(
                model,
                user_history=model.history_of(f"u{user:04}"),
                exploration_weight=weight,
                exploration_item_age_cut_off=cut_off,
                seed=user,
            )
            for user in range(30)
        ]
        return float(np.mean([item in fresh for answer in shown for item in answer]))

    assert explored(0.0) == 0
    assert 0 < explored(0.3) < explored(1.0) < 0.9
    assert explored(1.0, cut_off=0.5) == 0


def test_exploration_gives_the_same_answer_for_the_same_seed(personal: Model) -> None:
    history = personal.history_of(USER)

    def answer(seed: int) -> list[str]:
        return item_list(
            personal,
            user_history=history,
            exploration_weight=1.0,
            exploration_item_age_cut_off=10_000.0,
            seed=seed,
        )

    assert answer(1) == answer(1)
    assert answer(1) != answer(2)


def test_exploration_concerns_only_user_personalization(sims: Model) -> None:
    plain = sims.recommend(item_id="i00001")
    assert sims.recommend(item_id="i00001", exploration_weight=1.0) == plain


@settings(
    max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(
    history=st.lists(st.tuples(st.integers(0, 700), st.integers(0, 2_000_000_000)), max_size=30),
    asked=st.one_of(st.none(), st.integers(0, 700)),
    count=st.integers(0, 800),
)
def test_any_question_gets_distinct_known_items_and_no_more_than_asked_for(
    model: Model, history: list[tuple[int, int]], asked: int | None, count: int
) -> None:
    answer = model.recommend(
        user_history=[Event(f"i{item:05}", time) for item, time in history],
        item_id=None if asked is None else f"i{asked:05}",
        count=count,
    )
    items = [scored.item_id for scored in answer]
    assert len(items) == len(set(items)) <= count
    assert set(items) <= set(model.item_ids.tolist())
