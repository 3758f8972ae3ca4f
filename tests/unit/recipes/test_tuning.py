"""Looking for hyperparameters: within the ranges, by what ranks best, and repeatably."""

import pytest

from hack.datasets import Dataset
from reco.recipes import RECIPES, Range, evaluate, search_space, tune
from reco.recipes.tuning import OBJECTIVE

SIMS = "aws-sims"


def test_what_is_found_lies_in_the_ranges_and_is_the_best_of_what_was_tried(
    dataset: Dataset,
) -> None:
    space = search_space(SIMS, [Range("min_cointeraction_count", "Integer", ("0", "10"))])
    found = tune(SIMS, dataset.interactions, space, tries=3)
    assert found.keys() == {"min_cointeraction_count"}
    assert 0 <= int(found["min_cointeraction_count"]) <= 10
    assert tune(SIMS, dataset.interactions, space, tries=3) == found, "it is repeatable"
    one_try = tune(SIMS, dataset.interactions, space, tries=1)
    goodness = [
        evaluate(SIMS, dataset.interactions, hyperparameters=one)[OBJECTIVE]
        for one in (found, one_try)
    ]
    assert goodness[0] >= goodness[1]


def test_a_fixed_hyperparameter_counts_in_every_try(dataset: Dataset) -> None:
    space = [Range("popularity_discount_factor", "Continuous", ("0.25", "0.25"))]
    found = tune(
        SIMS, dataset.interactions, space, tries=1,
        hyperparameters={"min_cointeraction_count": "2"},
    )  # fmt: skip
    assert found == {"popularity_discount_factor": "0.25"}


def test_without_ranges_all_that_can_be_optimised_is(recipe: str) -> None:
    tunable = {name for name, one in RECIPES[recipe].hyperparameters.items() if one.tunable}
    if tunable:
        assert {one.name for one in search_space(recipe)} == tunable
    else:
        with pytest.raises(ValueError, match=f"{recipe} has no hyperparameters that can be"):
            search_space(recipe)


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (Range("hidden_dimension", "Integer", ("1", "2")), "cannot optimise it; it can optimise"),
        (
            Range("max_item_interaction_count_percentile", "Continuous", ("0", "1")),
            "cannot optimise it",
        ),
        (
            Range("min_cointeraction_count", "Continuous", ("0", "1")),
            "a range of it is integer, not continuous",
        ),
        (Range("min_cointeraction_count", "Integer", ("0", "11")), "must be an integer between"),
        (Range("min_cointeraction_count", "Integer", ("9", "3")), "least value 9 .* above"),
        (Range("min_cointeraction_count", "Integer", ("9",)), "needs a least and a greatest"),
    ],
)
def test_a_range_that_cannot_be_searched_is_refused_with_what_can(wrong: Range, text: str) -> None:
    with pytest.raises(ValueError, match=text):
        search_space(SIMS, [wrong])
