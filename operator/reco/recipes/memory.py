"""How much memory a training takes, known before it starts.

What grows with the data stands here, a term for each array or group of arrays that are alive
together, in bytes:

    all             120 MiB + 110 a row + (250 + 8 * longest id) a user or item
    linear, dense   32 P^2 + (4 T + 48 Ki) P: the Gram matrices and their inverse, the weights, one
                    block of the right-hand side; P predictors and T targets, both capped
    pairs           24 a pair counted at once: the largest of a fixed part and of one item's pairs
    neighbours      16 for each that an item keeps
    factors         8 a dimension of each user and item, 24 a row
    welcome         12 an item for each label of users that is welcomed by itself

`predict` is meant to be asked before a training: it is never less than what is taken and at most
`FACTOR` times as much, which a test holds it to. The slack is in how many items predict others,
which only the data can tell.
"""

from collections.abc import Mapping

from reco.recipes.fitting import MOST_WELCOME_CELLS, MOST_WELCOMES
from reco.recipes.linear import LinearSettings
from reco.recipes.near import PAIRS_AT_ONCE
from reco.recipes.registry import recipe_named
from reco.recipes.related import MOST_NEIGHBOURS, WINDOW

FACTOR = 4.0

_PROCESS = 120 << 20


def predict(
    recipe: str,
    *,
    users: int,
    items: int,
    interactions: int,
    hyperparameters: Mapping[str, str] | None = None,
    longest_id: int = 36,
) -> int:
    """Return the most bytes that training and evaluating a recipe take, the process included.

    `hyperparameters` are those of the training, the recipe's defaults where none are given;
    `longest_id` is in characters. Batches of interactions that are handed over come on top.
    Raises ValueError for an unknown recipe or a refused hyperparameter.
    """
    chosen = recipe_named(recipe)
    values = chosen.settings(hyperparameters or {})
    shape = LinearSettings()
    everything = _PROCESS + 110 * interactions + (250 + 8 * longest_id) * (users + items)
    welcome = 12 * min(MOST_WELCOMES * items, MOST_WELCOME_CELLS)
    match chosen.family:
        case "linear" if items > shape.dense_items:
            kept = 16 * items * shape.neighbours
            return everything + kept + welcome + _pairs(users, interactions, WINDOW)
        case "linear":
            predictors = min(items, shape.maximum_predictors)
            targets = min(items, shape.maximum_targets)
            matrices = 32 * predictors**2 + (4 * targets + (48 << 10)) * predictors
            return everything + matrices + welcome + _pairs(users, interactions, shape.window)
        case "related":
            kept = 16 * items * MOST_NEIGHBOURS
            return everything + kept + _pairs(users, interactions, WINDOW)
        case "factors":
            factors = int(values["factors"])
            return everything + welcome + 8 * factors * (users + items) + 24 * interactions
        case "popularity" | "trending" | "topics":
            return everything


def _pairs(users: int, interactions: int, window: int) -> int:
    of_one_item = 2 * window * users
    return 24 * min(2 * window * interactions, max(PAIRS_AT_ONCE, of_one_item))
