"""A recipe is known by its short name or its very ARN, and by nothing that only looks like it."""

import pytest

from reco.api.engine_class import PersonalizeSettings
from reco.engines.personalize.render import Place

PLACE = Place(PersonalizeSettings(region="eu-west-1"), frozenset({"aws-sims"}))


@pytest.mark.parametrize("name", ["aws-sims", "arn:aws:personalize:::recipe/aws-sims"])
def test_a_recipe_that_the_service_offers_is_taken(name: str) -> None:
    assert PLACE.lacks(name) is None
    assert PLACE.recipe(name) == "arn:aws:personalize:::recipe/aws-sims"


@pytest.mark.parametrize(
    "name",
    [
        "aws-simms",
        "arn:aws:personalize:::recipe/aws-simms",
        "arn:aws-cn:personalize:::recipe/aws-sims",
        "arn:aws:personalize:eu-west-1:123456789012:recipe/aws-sims",
        "arn:aws:personalize:::algorithm/aws-sims",
    ],
)
def test_a_recipe_that_it_does_not_offer_is_refused_with_those_it_does(name: str) -> None:
    refused = PLACE.lacks(name)
    assert refused is not None
    assert name in refused
    assert "it offers aws-sims" in refused


def test_without_a_list_of_recipes_nothing_is_refused() -> None:
    assert Place(PersonalizeSettings(region="eu-west-1")).lacks("aws-simms") is None
