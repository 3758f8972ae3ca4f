"""Renders docs/recipes.md from the table of recipes: what each does, and what it accepts."""

from pathlib import PurePosixPath
from typing import Final

from reco.recipes.registry import RECIPES, Family, Hyperparameter, Kind, Recipe

PATH: Final = PurePosixPath("docs/recipes.md")

_HEADER: Final = """\
<!-- Rendered by `reco generate` from operator/reco/recipes; edit the table, not this file. -->

# Recipes

What the engine in the cluster trains, by the names and hyperparameters of Amazon Personalize; a
recipe that begins with `reco-` is this project's own. `spec.recipe` of a Solution takes the name or
the service's ARN. Hyperparameters are strings, in `spec.solutionConfig.algorithmHyperParameters` of
a Solution, or by recipe in `spec.inCluster.recipeParameters` of an EngineClass for solutions that
say nothing else. One that a recipe does not know, or that is out of its range, is refused with
`InvalidSpec`. Those marked *no effect* are accepted so that manifests need no change.
"""

_KINDS: Final[dict[Kind, str]] = {
    "USER_PERSONALIZATION": "GetRecommendations for a user",
    "PERSONALIZED_RANKING": "GetPersonalizedRanking: given items in a user's order",
    "RELATED_ITEMS": "GetRecommendations for an item",
}
_FAMILIES: Final[dict[Family, str]] = {
    "linear": (
        "Two closed-form item-to-item models in one matrix, what goes together and what comes next,"
        " applied to the user's history, the newest item foremost. Items without interactions get a"
        " place by their categorical columns, users without by theirs."
    ),
    "related": "Items that the same users touched, the closer together the more alike.",
    "popularity": "The items with most interactions, the same for everybody.",
    "trending": "The items whose interactions grew most, the last interval beside the one before.",
    "factors": "Factors by alternating least squares for implicit feedback, by library implicit.",
    "topics": (
        "Items by how many of the topics that a user has declared they have, popular ones first"
        " among equals: a baseline that needs no history."
    ),
}


def recipe_reference() -> str:
    """Return the whole page, in Markdown."""
    return "\n".join([_HEADER, *(_recipe(one) for one in RECIPES.values())])


def _recipe(recipe: Recipe) -> str:
    facts = [
        _KINDS[recipe.kind],
        "without items that the user had already"
        if recipe.remove_seen and _recommends(recipe)
        else "",
        "with scores" if recipe.with_scores else "without scores",
        "`itemExplorationConfig` applies" if recipe.explores else "",
        "training mode `Update` goes on from a full training" if recipe.updatable else "",
        "" if "Personalize" in recipe.engines else "in the cluster only",
    ]
    text = f"## {recipe.name}\n\n{_FAMILIES[recipe.family]}\n\n{'; '.join(filter(None, facts))}.\n"
    if not recipe.hyperparameters:
        return f"{text}\nIt has no hyperparameters.\n"
    rows = "".join(_row(one) for one in recipe.hyperparameters.values())
    return f"{text}\n| hyperparameter | default | allowed |\n| --- | --- | --- |\n{rows}"


def _recommends(recipe: Recipe) -> bool:
    return recipe.kind == "USER_PERSONALIZATION"


def _row(one: Hyperparameter) -> str:
    default = str(one.default).lower() if isinstance(one.default, bool) else one.default
    note = "" if one.effective else "; *no effect*"
    return f"| `{one.name}` | {f'`{default}`' if default != '' else ''} | {_allowed(one)}{note} |\n"


def _allowed(one: Hyperparameter) -> str:
    if one.type == "Categorical":
        return ", ".join(f"`{name}`" for name in one.categories) or "a text"
    what = "whole number" if one.type == "Integer" else "number"
    return f"{what}, {one.minimum:g} to {one.maximum:g}"
