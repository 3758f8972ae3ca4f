"""What a training is said to take, beside what it takes."""

import multiprocessing

import pytest

from benchmarks.recipes import scale
from reco.recipes import RECIPES, predict
from reco.recipes.memory import FACTOR


@pytest.mark.parametrize(
    "recipe",
    ["aws-popularity-count", "aws-user-personalization-v2", "aws-similar-items", "reco-als"],
)
def test_a_training_takes_no_more_than_predicted_and_not_much_less(recipe: str) -> None:
    with multiprocessing.get_context("spawn").Pool(1) as fresh:
        cost = fresh.apply(scale.measure, (recipe, 1.0))
    assert cost.peak_megabytes <= cost.predicted_megabytes <= FACTOR * cost.peak_megabytes


def test_more_of_anything_never_takes_less(recipe: str) -> None:
    def taken(users: int, items: int, interactions: int) -> int:
        return predict(recipe, users=users, items=items, interactions=interactions)

    least = taken(1_000, 1_000, 10_000)
    assert taken(30_000, 1_000, 10_000) >= least
    assert taken(1_000, 30_000, 10_000) >= least
    assert taken(1_000, 1_000, 300_000) > least


def test_factors_are_those_that_the_training_is_asked_for() -> None:
    def predicted(hyperparameters: dict[str, str]) -> int:
        return predict(
            "reco-als",
            users=1_000,
            items=1_000,
            interactions=10_000,
            hyperparameters=hyperparameters,
        )

    assert predicted({"factors": "256"}) - predicted({}) == 8 * (256 - 64) * 2_000


def test_memory_stays_bounded_as_the_catalogue_grows() -> None:
    most = max(
        predict(recipe, users=100_000, items=100_000, interactions=10_000_000) for recipe in RECIPES
    )
    assert most < 6 << 30


def test_an_unknown_recipe_has_no_cost() -> None:
    with pytest.raises(ValueError, match="there is no recipe 'aws-hrnn'"):
        predict("aws-hrnn", users=1, items=1, interactions=1)
