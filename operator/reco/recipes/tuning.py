"""Hyperparameter optimisation: try some values from ranges, keep those that rank best.

A random search (Bergstra and Bengio, "Random Search for Hyper-Parameter Optimization", 2012): with
few tries it finds more than a grid, as only some hyperparameters matter.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Unpack

import numpy as np

from reco.recipes.data import Interactions
from reco.recipes.registry import Hyperparameter, Type, recipe_named
from reco.recipes.training import Options, evaluate

_BOUNDS = 2
OBJECTIVE = "normalized_discounted_cumulative_gain_at_25"


@dataclass(frozen=True, slots=True)
class Range:
    """Where to look for one hyperparameter: two bounds, inclusive, or the values of a category."""

    name: str
    type: Type
    values: tuple[str, ...]

    def draw(self, random: np.random.Generator) -> str:
        """Return one value, as uniform as they come."""
        if self.type == "Categorical":
            return self.values[int(random.integers(len(self.values)))]
        low, high = (float(value) for value in self.values)
        if self.type == "Integer":
            return str(random.integers(int(low), int(high), endpoint=True))
        return f"{random.uniform(low, high):.6g}"


def search_space(recipe: str, given: Sequence[Range] = ()) -> tuple[Range, ...]:
    """Return the ranges to search: those given, else all that the recipe can search.

    Raises ValueError for a range that the recipe cannot search, and for a recipe without any.
    """
    known = recipe_named(recipe).hyperparameters
    tunable = {name: one for name, one in known.items() if one.tunable}
    if not tunable:
        raise ValueError(f"{recipe} has no hyperparameters that can be optimised")
    for one in given:
        _check(recipe, tunable, one)
    return tuple(given) or tuple(_whole(one) for one in tunable.values())


def tune(
    recipe: str,
    interactions: Interactions,
    space: Sequence[Range],
    *,
    tries: int,
    **options: Unpack[Options],
) -> dict[str, str]:
    """Return the hyperparameters of ``space`` whose model ranks what users did next best.

    Each of the ``tries`` costs a training; errors as of `training.evaluate`. The objective is
    NDCG@25 of the usual evaluation; of equally good ones the first is kept.
    """
    random = np.random.default_rng(options.get("seed", 0))
    fixed = options.get("hyperparameters", {})
    drawn = [{one.name: one.draw(random) for one in space} for _ in range(max(1, tries))]

    def goodness(candidate: Mapping[str, str]) -> float:
        wanted: Options = {**options, "hyperparameters": {**fixed, **candidate}}
        return evaluate(recipe, interactions, **wanted)[OBJECTIVE]

    return max(drawn, key=goodness)


def _check(recipe: str, tunable: Mapping[str, Hyperparameter], one: Range) -> None:
    known = tunable.get(one.name)
    if known is None:
        raise ValueError(
            f"{one.name}: {recipe} cannot optimise it; it can optimise {', '.join(sorted(tunable))}"
        )
    if one.type != known.type:
        raise ValueError(
            f"{one.name}: a range of it is {known.type.lower()}, not {one.type.lower()}"
        )
    if not one.values or (one.type != "Categorical" and len(one.values) != _BOUNDS):
        raise ValueError(f"{one.name}: a range needs a least and a greatest value, or values")
    for value in one.values:
        known.parse(value)
    if one.type != "Categorical" and float(one.values[0]) > float(one.values[1]):
        raise ValueError(
            f"{one.name}: the least value {one.values[0]} of the range is above its greatest, "
            f"{one.values[-1]}"
        )


def _whole(known: Hyperparameter) -> Range:
    if known.type == "Categorical":
        return Range(known.name, known.type, known.categories)
    return Range(known.name, known.type, (f"{known.minimum:g}", f"{known.maximum:g}"))
