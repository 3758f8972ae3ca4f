"""How much memory a training takes, known before it starts.

Every array that grows with the data is a line here; the test compares the sum with what trainings
really take.
"""

from reco.recipes.linear import LinearSettings
from reco.recipes.registry import recipe_named

# The interpreter with numpy and scipy.
_PROCESS = 120 << 20


def predict(
    recipe: str,
    *,
    users: int,
    items: int,
    interactions: int,
    settings: LinearSettings | None = None,
) -> int:
    """Return the most bytes that training a recipe takes, evaluation included.

    Raises ValueError for an unknown recipe.
    """
    shape = settings or LinearSettings()
    family = recipe_named(recipe).family
    total = _PROCESS + 80 * interactions + 300 * (users + items)
    if family == "linear":
        predictors = min(items, shape.maximum_predictors)
        targets = min(items, shape.maximum_targets)
        total += 8 * 3 * predictors**2 + 2 * 4 * predictors * targets
    return total
