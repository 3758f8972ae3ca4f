from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hack.datasets import Dataset
from reco.recipes import (
    RECIPES,
    Event,
    Interactions,
    TrainingDataError,
    evaluate,
    train,
    train_and_evaluate,
    validate_hyperparameters,
)
from reco.recipes.metrics import per_user
from reco.recipes.training import HeldOutUser, hold_out, outcomes
from tests.unit.recipes.made_up import options

PERSONAL = "aws-user-personalization-v2"
NDCG = "normalized_discounted_cumulative_gain_at_10"


def interactions(users: int, each: int, event_type: str = "click") -> Interactions:
    total = users * each
    return Interactions.of(
        [f"u{row // each}" for row in range(total)],
        [f"i{row % 40}" for row in range(total)],
        range(total),
        [event_type] * total,
    )


def test_fewer_than_a_thousand_interactions_fail_in_the_services_words(recipe: str) -> None:
    with pytest.raises(TrainingDataError) as failure:
        train(recipe, interactions(users=37, each=27))
    assert str(failure.value) == "Dataset has fewer than 1000 interactions"


def test_the_failure_names_the_event_type_that_left_too_little() -> None:
    with pytest.raises(TrainingDataError) as failure:
        train(PERSONAL, interactions(users=50, each=40), event_type="purchase")
    assert str(failure.value) == (
        "Dataset has fewer than 1000 interactions after filtering by event type: purchase"
    )


def test_fewer_than_25_users_with_two_interactions_fail_in_the_services_words() -> None:
    few = interactions(users=24, each=45)
    with pytest.raises(TrainingDataError) as failure:
        train(PERSONAL, few)
    assert str(failure.value) == (
        "Dataset has fewer than 25 users with at least 2 interactions each"
    )


def test_just_enough_data_trains_and_evaluates_with_every_recipe(recipe: str) -> None:
    data = interactions(users=25, each=40)
    model, metrics = train_and_evaluate(recipe, data, **options(data))
    assert model.recommend(count=5)
    assert 0 <= metrics["coverage"] <= 1


@pytest.mark.parametrize("items", [1, 1200], ids=["one item", "every item once"])
def test_data_that_teaches_nothing_still_gives_a_model(recipe: str, items: int) -> None:
    data = Interactions.of(
        [f"u{row % 40}" for row in range(1200)],
        [f"i{row % items}" for row in range(1200)],
        range(1200),
    )
    model, metrics = train_and_evaluate(recipe, data, **options(data))
    assert len(model.recommend(count=5)) == min(5, items)
    assert metrics["precision_at_5"] <= 0.2


def test_training_on_an_event_type_ignores_the_others(dataset: Dataset) -> None:
    data = dataset.interactions
    assert data.event_types is not None
    watched = data.where(data.event_types == "watch")
    chosen = train(PERSONAL, data, event_type="watch")
    alone = train(PERSONAL, watched)
    assert [s.item_id for s in chosen.recommend(user_history=chosen.history_of("u0001"))] == [
        s.item_id for s in alone.recommend(user_history=alone.history_of("u0001"))
    ]


def test_an_event_value_below_the_threshold_does_not_count() -> None:
    base = interactions(users=50, each=40)
    values = np.where(base.item_ids == "i7", 0.2, 0.9)
    data = Interactions(base.user_ids, base.item_ids, base.timestamps, base.event_types, values)
    model = train("aws-popularity-count", data, event_value_threshold=0.5)
    assert "i7" not in model.item_ids
    assert "i6" in model.item_ids


def test_rows_may_come_in_any_order(dataset: Dataset) -> None:
    data = dataset.interactions
    shuffled = data.where(np.random.default_rng(0).permutation(len(data)))
    one, other = train(PERSONAL, data), train(PERSONAL, shuffled)
    assert one.recommend() == other.recommend()


def test_a_personalised_model_beats_popularity_by_far(dataset: Dataset) -> None:
    personal = evaluate(PERSONAL, dataset.interactions, seed=5)
    popular = evaluate("aws-popularity-count", dataset.interactions, seed=5)
    assert personal[NDCG] > 2 * popular[NDCG]
    assert personal["coverage"] > popular["coverage"]


def test_training_and_evaluating_at_once_gives_what_each_gives_alone(dataset: Dataset) -> None:
    data = dataset.interactions
    model, metrics = train_and_evaluate(PERSONAL, data, seed=2)
    assert metrics == evaluate(PERSONAL, data, seed=2)
    assert model.recommend() == train(PERSONAL, data).recommend()


def test_metrics_carry_the_services_names(dataset: Dataset, recipe: str) -> None:
    metrics = evaluate(recipe, dataset.interactions, items=dataset.items, users=dataset.users)
    assert set(metrics) == {
        "coverage",
        "mean_reciprocal_rank_at_25",
        *(f"normalized_discounted_cumulative_gain_at_{k}" for k in (5, 10, 25)),
        *(f"precision_at_{k}" for k in (5, 10, 25)),
    }


def test_progress_runs_from_nothing_to_done(dataset: Dataset) -> None:
    told: list[tuple[str, float]] = []
    train_and_evaluate(
        PERSONAL, dataset.interactions, progress=lambda stage, share: told.append((stage, share))
    )
    shares = [share for _, share in told]
    assert shares[0] == 0
    assert told[-1] == ("done", 1.0)
    assert shares == sorted(shares)


@given(st.integers(2, 60))
def test_the_oldest_nine_tenths_of_a_test_user_are_input(events: int) -> None:
    data = interactions(users=3, each=events)
    rest, users = hold_out(data, np.array(["u1"]))
    [user] = users
    assert "u1" not in rest.user_ids
    assert len(rest) == 2 * events
    inputs = len(user.history)
    assert 1 <= inputs < events
    assert abs(inputs - 0.9 * events) <= 1
    assert user.history[-1].timestamp == events + inputs - 1


def test_a_test_user_with_one_event_has_nothing_to_split() -> None:
    _, users = hold_out(interactions(users=3, each=1), np.array(["u0", "u1"]))
    assert users == []


@pytest.mark.parametrize(
    ("recipe", "given_", "expected"),
    [
        ("aws-user-personalization", {"bptt": "16", "hidden_dimension": "32"}, []),
        ("aws-user-personalization", {"recency_mask": "False"}, []),
        (
            "aws-user-personalization",
            {"bptt": "64"},
            ["bptt: '64' is not allowed; it must be an integer between 2 and 32"],
        ),
        (
            "aws-user-personalization",
            {"hidden_dimension": "many"},
            ["hidden_dimension: 'many' is not allowed; it must be an integer between 32 and 256"],
        ),
        (
            "aws-user-personalization-v2",
            {"apply_recency_bias": "yes"},
            ["apply_recency_bias: 'yes' is not allowed; it must be true or false"],
        ),
        (
            "aws-sims",
            {"popularity_discount_factor": "nan"},
            [
                "popularity_discount_factor: 'nan' is not allowed; it must be a number "
                "between 0.0 and 1.0"
            ],
        ),
        (
            "aws-user-personalization-v2",
            {"bptt": "16"},
            ["bptt: aws-user-personalization-v2 does not know it; it has apply_recency_bias"],
        ),
        (
            "aws-popularity-count",
            {"depth": "1"},
            ["depth: aws-popularity-count does not know it; it has no hyperparameters"],
        ),
    ],
)
def test_a_hyperparameter_is_accepted_or_refused_with_what_is_allowed(
    recipe: str, given_: dict[str, str], expected: list[str]
) -> None:
    assert validate_hyperparameters(recipe, given_) == expected


def test_training_refuses_what_validation_refuses(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match="bptt: '64' is not allowed"):
        train("aws-user-personalization", dataset.interactions, hyperparameters={"bptt": "64"})


def test_an_unknown_recipe_is_refused_with_the_known_ones(dataset: Dataset) -> None:
    with pytest.raises(ValueError, match=r"no recipe 'aws-hrnn'; there are aws-personalized-r"):
        train("aws-hrnn", dataset.interactions)


def test_every_default_is_within_its_own_range() -> None:
    for recipe in RECIPES.values():
        defaults = {name: str(known.default) for name, known in recipe.hyperparameters.items()}
        assert validate_hyperparameters(recipe.name, defaults) == []


def test_without_recency_the_order_of_a_history_hardly_matters(dataset: Dataset) -> None:
    def kept_when_reversed(apply_recency_bias: str) -> float:
        model = train(
            PERSONAL,
            dataset.interactions,
            hyperparameters={"apply_recency_bias": apply_recency_bias},
        )
        kept = []
        for user in range(20):
            history = model.history_of(f"u{user:04}")[-40:]
            backwards = [Event(event.item_id, -event.timestamp) for event in history]
            answers = [
                {scored.item_id for scored in model.recommend(user_history=events)}
                for events in (history, backwards)
            ]
            kept.append(len(answers[0] & answers[1]) / 25)
        return float(np.mean(kept))

    assert kept_when_reversed("false") > 1.5 * kept_when_reversed("true")


def test_knowing_a_users_newest_events_improves_the_answer(dataset: Dataset) -> None:
    rest, users = hold_out(dataset.interactions, np.unique(dataset.interactions.user_ids)[:60])
    model = train(PERSONAL, rest)
    stale = [replace(user, history=user.history[:-5]) for user in users]

    def gain(known: list[HeldOutUser]) -> float:
        return float(per_user(outcomes(model, known))[NDCG].mean())

    assert gain(users) > 1.15 * gain(stale)
