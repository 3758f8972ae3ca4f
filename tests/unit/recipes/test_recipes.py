"""What each recipe is for: trends, topics, factors, and a place for the new."""

from collections.abc import Callable

import numpy as np
import pytest

from hack.datasets import Dataset
from reco.recipes import (
    RECIPES,
    Event,
    Interactions,
    Items,
    Model,
    Scored,
    Session,
    TrainingDataError,
    Users,
    evaluate,
    train,
    validate_hyperparameters,
)
from reco.recipes.linear import LinearSettings
from reco.recipes.matrices import SparseRows
from reco.recipes.scorers import LinearScorer

PERSONAL = "aws-user-personalization-v2"
NDCG = "normalized_discounted_cumulative_gain_at_10"
HOUR = 3_600
DAY = 86_400
NOW = 1_700_000_000


def items_of(answer: list[Scored]) -> list[str]:
    return [item for item, _ in answer]


def touched(pattern: dict[str, list[int]]) -> Interactions:
    """Give each item one interaction at each of the ages (seconds), by users in turn."""
    rows = [
        (f"u{at % 60:02}", item, NOW - age)
        for item, ages in pattern.items()
        for at, age in enumerate(ages)
    ]
    rows += [(f"u{at % 60:02}", "everyday", NOW - at * DAY) for at in range(1, 1001)]
    users, items, times = zip(*rows, strict=True)
    return Interactions.of(users, items, times)


def trending(pattern: dict[str, list[int]], frequency: str | None = None) -> list[str]:
    given = {} if frequency is None else {"trend_discovery_frequency": frequency}
    return items_of(train("aws-trending-now", touched(pattern), hyperparameters=given).recommend())


def test_trending_is_what_grew_most_since_the_interval_before() -> None:
    answer = trending(
        {
            "steady": [HOUR] * 40 + [3 * HOUR] * 40,
            "rising": [0] * 12 + [3 * HOUR] * 2,
            "falling": [HOUR] * 2 + [3 * HOUR] * 30,
        }
    )
    assert answer[0] == "rising"
    assert answer[-1] == "falling"


def test_the_frequency_says_how_long_an_interval_is() -> None:
    pattern = {"today": [10 * HOUR] * 30, "now": [0] * 10 + [HOUR] * 5}
    assert trending(pattern, "1 hour")[0] == "now"
    assert trending(pattern, "1 day")[0] == "today"
    assert trending(pattern) == trending(pattern, "2 hours")


def test_items_that_grew_alike_come_by_popularity() -> None:
    assert trending({"a": [0], "b": [0, 9 * DAY], "c": [0, 9 * DAY, 9 * DAY]}) == [
        "c",
        "b",
        "a",
        "everyday",
    ]


def test_an_unknown_frequency_is_refused_with_those_there_are() -> None:
    [problem] = validate_hyperparameters(
        "aws-trending-now", {"trend_discovery_frequency": "1 week"}
    )
    assert problem == (
        "trend_discovery_frequency: '1 week' is not allowed; it must be "
        "1 day or 3 hours or 2 hours or 1 hour or 30 minutes"
    )


def test_topics_order_items_by_how_many_are_shared_then_by_popularity(
    dataset: Dataset, model_of: Callable[[str], Model]
) -> None:
    model = model_of("reco-heuristic-topics")
    genre_of = dict(
        zip(dataset.items.ids.tolist(), dataset.items.categories["GENRES"].tolist(), strict=True)
    )
    users = dict(zip(model.item_ids.tolist(), model.catalogue.counts.tolist(), strict=True))
    answer = items_of(
        model.top(model.session(attributes={"TOPICS": "Heist|Fable"}), len(model.item_ids))
    )
    assert answer == sorted(
        answer, key=lambda item: (genre_of[item] not in {"Heist", "Fable"}, -users[item], item)
    )


def test_topics_of_a_user_come_from_the_users_dataset_or_the_request(
    dataset: Dataset, model_of: Callable[[str], Model]
) -> None:
    model = model_of("reco-heuristic-topics")
    assert dataset.users is not None
    declared = dataset.users.categories["TOPICS"][7]
    mine = model.top(model.session(user_id="u0007"))
    assert mine == model.top(model.session(attributes={"TOPICS": str(declared)}))
    assert mine == model.top(model.session(user_id="u0007", attributes={"TOPICS": str(declared)}))
    nobody = model.top(model.session(user_id="unheard-of"))
    assert items_of(nobody) == items_of(
        train("aws-popularity-count", dataset.interactions).recommend()
    )
    assert mine != nobody


def test_topics_place_an_item_that_nobody_touched(dataset: Dataset) -> None:
    ids = [*dataset.items.ids.tolist(), "cold"]
    genres = [*dataset.items.categories["GENRES"].tolist(), "Heist|Fable"]
    model = train(
        "reco-heuristic-topics",
        dataset.interactions,
        items=Items.of(ids, categories={"GENRES": genres}),
        users=dataset.users,
    )
    session = model.session(attributes={"TOPICS": "Heist|Fable"})
    assert items_of(model.top(session, 1)) == ["cold"]
    assert model.ranked(session, ["i00001", "cold", "unheard-of"])[0].item_id == "cold"


def test_topics_need_a_column_of_topics(dataset: Dataset) -> None:
    with pytest.raises(TrainingDataError, match=r"users dataset must have .* it has none"):
        train("reco-heuristic-topics", dataset.interactions, items=dataset.items)
    two = Items.of(["i00001"], categories={"GENRES": ["Heist"], "LANGUAGE": ["en"]})
    with pytest.raises(TrainingDataError, match=r"item_topics_column .* it has GENRES, LANGUAGE"):
        train("reco-heuristic-topics", dataset.interactions, items=two, users=dataset.users)
    chosen = {"item_topics_column": "GENRES", "user_topics_column": "TOPICS"}
    train(
        "reco-heuristic-topics",
        dataset.interactions,
        items=two,
        users=dataset.users,
        hyperparameters=chosen,
    )


def test_declared_topics_beat_popularity_where_tastes_differ(dataset: Dataset) -> None:
    data = dataset.interactions
    topics = evaluate("reco-heuristic-topics", data, items=dataset.items, users=dataset.users)
    assert topics[NDCG] > evaluate("aws-popularity-count", data)[NDCG]


def test_als_beats_popularity_and_hears_of_new_events(
    dataset: Dataset, model_of: Callable[[str], Model]
) -> None:
    data = dataset.interactions
    popular = evaluate("aws-popularity-count", data)
    assert evaluate("reco-als", data)[NDCG] > 1.5 * popular[NDCG]
    model = model_of("reco-als")
    session = model.session(user_id="u0007")
    before = model.top(session)
    item = before[0].item_id
    assert session.add(Event(item, 2 * NOW))
    assert item not in items_of(model.top(session))


@pytest.mark.parametrize("name", [PERSONAL, "reco-als"])
def test_a_cold_item_is_ranked_by_what_shares_its_categories(dataset: Dataset, name: str) -> None:
    ids = [*dataset.items.ids.tolist(), "cold-heist", "cold-fable", "cold-unknown"]
    genres = [*dataset.items.categories["GENRES"].tolist(), "Heist", "Fable", ""]
    model = train(name, dataset.interactions, items=Items.of(ids, categories={"GENRES": genres}))
    cold = ["cold-fable", "cold-heist", "cold-unknown"]
    for liked in ("Heist", "Fable"):
        popular = [
            item
            for item in items_of(model.recommend(count=len(ids)))
            if dict(zip(ids, genres, strict=True))[item] == liked
        ]
        history = [Event(item, at) for at, item in enumerate(popular[:12])]
        ranked = model.rank(candidates=cold, user_history=history)
        assert ranked[0].item_id == f"cold-{liked.lower()}"
        assert ranked[-1] == ("cold-unknown", None)


def test_exploration_shows_first_the_cold_items_of_liked_categories(dataset: Dataset) -> None:
    latest = int(dataset.interactions.timestamps.max())
    ids = dataset.items.ids.tolist()
    genres = dataset.items.categories["GENRES"].tolist()
    cold = {f"cold-{genre}-{k}": genre for genre in ("Heist", "Fable") for k in range(30)}
    model = train(
        PERSONAL,
        dataset.interactions,
        items=Items.of(
            [*ids, *cold],
            [latest - 400 * DAY] * len(ids) + [latest - DAY] * len(cold),
            {"GENRES": [*genres, *cold.values()]},
        ),
    )
    by_genre = dict(zip(ids, genres, strict=True))
    popular = items_of(model.recommend(count=len(ids)))
    history = [
        Event(item, at)
        for at, item in enumerate([i for i in popular if by_genre.get(i) == "Heist"][:12])
    ]
    session = model.session(history)
    shown = [
        cold[item]
        for seed in range(60)
        for item in items_of(model.top(session, exploration_weight=0.4, seed=seed))
        if item in cold
    ]
    assert shown.count("Heist") > 3 * shown.count("Fable")
    unexplored = items_of(model.top(session, len(model.item_ids)))
    assert unexplored.index("cold-Heist-0") < unexplored.index("cold-Fable-0") / 4


def test_a_new_user_is_welcomed_by_what_their_like_touch() -> None:
    rng = np.random.default_rng(0)
    users = [f"u{user:02}" for user in range(90)]
    rows = [
        (user, f"{'news' if at < 30 and rng.random() < 0.8 else 'jazz'}{rng.integers(40):02}", at)
        for at, user in enumerate(users)
        for _ in range(30)
    ]
    of_users, items, times = zip(*rows, strict=True)
    model = train(
        PERSONAL,
        Interactions.of(of_users, items, times),
        users=Users.of(users, {"AGE": ["old"] * 30 + ["young"] * 60}),
    )

    def news(session: Session) -> int:
        return sum(item.startswith("news") for item in items_of(model.top(session, 10)))

    assert news(model.session(attributes={"AGE": "old"})) == 10
    assert news(model.session(attributes={"AGE": "young"})) == 0
    assert news(model.session(user_id="u89", attributes={"AGE": "old"})) < 10
    anybody = model.recommend()
    assert model.top(model.session(attributes={"AGE": "unheard-of"})) == anybody
    assert model.top(model.session(attributes={"SIZE": "old"})) == anybody
    assert model.top(model.session(user_id="unheard-of")) == anybody


def test_many_items_are_kept_as_neighbours_and_still_beat_popularity(dataset: Dataset) -> None:
    data = dataset.interactions
    few = LinearSettings(dense_items=100, neighbours=50)
    model = train(PERSONAL, data, linear_settings=few)
    assert isinstance(model.scorer, LinearScorer)
    assert isinstance(model.scorer.rows, SparseRows)
    sparse = evaluate(PERSONAL, data, linear_settings=few)
    assert sparse[NDCG] > 1.5 * evaluate("aws-popularity-count", data)[NDCG]


def test_batches_give_the_model_that_all_rows_at_once_give(dataset: Dataset) -> None:
    data = dataset.interactions
    rows = np.arange(len(data))
    batches = (data.where(rows[at : at + 700]) for at in range(0, len(data), 700))
    assert train(PERSONAL, batches).recommend() == train(PERSONAL, data).recommend()
    chosen = train(PERSONAL, iter([data]), event_type="watch")
    assert chosen.recommend() == train(PERSONAL, data, event_type="watch").recommend()


def test_only_recipes_of_the_service_are_offered_there() -> None:
    offered = {name for name, recipe in RECIPES.items() if "Personalize" in recipe.engines}
    assert offered == {name for name in RECIPES if name.startswith("aws-")}
    assert all("InCluster" in recipe.engines for recipe in RECIPES.values())
