"""A small made-up data set and one model of each recipe, trained once per session."""

import sys
from collections.abc import Callable
from functools import cache
from pathlib import Path

import pytest

from reco.recipes import RECIPES, Model, train

# `benchmarks` lies beside `tests` and is not installed.
sys.path.insert(0, str(Path(__file__).resolve().parents[3]))

from benchmarks.datasets import Dataset, synthetic


@pytest.fixture(scope="session")
def dataset() -> Dataset:
    return synthetic(3, users=150, items=600, ratings=12_000)


@pytest.fixture(scope="session")
def model_of(dataset: Dataset) -> Callable[[str], Model]:
    return cache(lambda recipe: train(recipe, dataset.interactions, items=dataset.items))


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
