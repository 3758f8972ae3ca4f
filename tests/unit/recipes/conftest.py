"""A small made-up data set and one model of each recipe, trained once per session."""

from collections.abc import Callable
from functools import cache

import pytest

from hack.datasets import Dataset, synthetic
from reco.recipes import RECIPES, Model, train


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return synthetic(3, users=150, items=600, ratings=12_000)


@pytest.fixture(scope="session")
def model_of(dataset: Dataset) -> Callable[[str], Model]:
    return cache(
        lambda recipe: train(recipe, dataset.interactions, items=dataset.items, users=dataset.users)
    )


@pytest.fixture(params=sorted(RECIPES))
def recipe(request: pytest.FixtureRequest) -> str:
    name: str = request.param
    return name


@pytest.fixture
def model(recipe: str, model_of: Callable[[str], Model]) -> Model:
    return model_of(recipe)


@pytest.fixture
def personal(model_of: Callable[[str], Model]) -> Model:
    return model_of("aws-user-personalization-v2")


@pytest.fixture
def sims(model_of: Callable[[str], Model]) -> Model:
    return model_of("aws-sims")
