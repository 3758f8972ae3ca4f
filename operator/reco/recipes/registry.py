"""The recipes as a table: kind, how they answer, and the hyperparameters they accept.

Names, ranges and defaults of `aws-` recipes are those of the Amazon Personalize developer guide's
recipe pages. Those that are not `effective` are accepted for compatibility: a closed-form model has
no hidden variables. `reco-` recipes are of this project, and no service lists them.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

Kind = Literal["USER_PERSONALIZATION", "PERSONALIZED_RANKING", "RELATED_ITEMS"]
Family = Literal["linear", "popularity", "trending", "related", "factors", "topics"]
Engine = Literal["Personalize", "InCluster"]
Type = Literal["Integer", "Continuous", "Categorical"]
Value = bool | int | float | str

BOOLEAN = ("false", "true")


@dataclass(frozen=True, slots=True)
class Hyperparameter:
    """One setting of a recipe; numbers have inclusive bounds, categories a list.

    A categorical setting without a list takes any text. `tunable` says whether hyperparameter
    optimisation may search it, `effective` whether it changes anything.
    """

    name: str
    type: Type
    default: Value
    minimum: float | None = None
    maximum: float | None = None
    tunable: bool = False
    categories: tuple[str, ...] = ()
    effective: bool = True

    def parse(self, text: str) -> Value:
        """Return the value; raise ValueError with what is allowed."""
        if self.type == "Categorical":
            return self._category(text)
        try:
            value = int(text) if self.type == "Integer" else float(text)
        except ValueError:
            raise ValueError(self._allowed(text)) from None
        low = -float("inf") if self.minimum is None else self.minimum
        high = float("inf") if self.maximum is None else self.maximum
        if not low <= value <= high:
            raise ValueError(self._allowed(text))
        return value

    def _category(self, text: str) -> bool | str:
        if self.categories and text.lower() not in self.categories:
            raise ValueError(self._allowed(text))
        return text.lower() == "true" if self.categories == BOOLEAN else text

    def _allowed(self, text: str) -> str:
        if self.type == "Categorical":
            allowed = " or ".join(reversed(self.categories))
            return f"{self.name}: '{text}' is not allowed; it must be {allowed}"
        what = "an integer" if self.type == "Integer" else "a number"
        return (
            f"{self.name}: '{text}' is not allowed; it must be {what} "
            f"between {self.minimum} and {self.maximum}"
        )


@dataclass(frozen=True, slots=True)
class Recipe:
    """A named way of training; `family` chooses the mathematics, `engines` say who offers it.

    `remove_seen`: recommendations leave out the user's own items. `with_scores`: answers carry
    scores. `explores`: exploration settings of a campaign apply.
    """

    name: str
    kind: Kind
    family: Family
    hyperparameters: Mapping[str, Hyperparameter]
    remove_seen: bool = False
    with_scores: bool = True
    explores: bool = False
    engines: tuple[Engine, ...] = ("Personalize", "InCluster")

    @property
    def updatable(self) -> bool:
        """Whether training mode `Update` goes on from a full training, see `refreshing`."""
        return self.family == "linear"

    def settings(self, given: Mapping[str, str]) -> dict[str, Value]:
        """Return every hyperparameter's value; raise ValueError for what is refused."""
        problems = validate_hyperparameters(self.name, given)
        if problems:
            raise ValueError("; ".join(problems))
        return {
            name: known.parse(given[name]) if name in given else known.default
            for name, known in self.hyperparameters.items()
        }


def _table(*hyperparameters: Hyperparameter) -> Mapping[str, Hyperparameter]:
    return MappingProxyType({known.name: known for known in hyperparameters})


def _percentile(name: str, default: float) -> Hyperparameter:
    return Hyperparameter(name, "Continuous", default, 0.0, 1.0)


def _hidden(name: str, default: int, minimum: int, maximum: int) -> Hyperparameter:
    return Hyperparameter(name, "Integer", default, minimum, maximum, tunable=True, effective=False)


_SEQUENCE = (
    _hidden("hidden_dimension", 149, 32, 256),
    Hyperparameter("bptt", "Integer", 32, 2, 32, tunable=True),
    Hyperparameter("recency_mask", "Categorical", default=True, tunable=True, categories=BOOLEAN),
    _percentile("min_user_history_length_percentile", 0.0),
    _percentile("max_user_history_length_percentile", 0.99),
)
_RECENCY_BIAS = (
    Hyperparameter("apply_recency_bias", "Categorical", default=True, categories=BOOLEAN),
)
_SIMS = (
    Hyperparameter("popularity_discount_factor", "Continuous", 0.5, 0.0, 1.0, tunable=True),
    Hyperparameter("min_cointeraction_count", "Integer", 3, 0, 10, tunable=True),
    _percentile("min_user_history_length_percentile", 0.005),
    _percentile("max_user_history_length_percentile", 0.995),
    _percentile("min_item_interaction_count_percentile", 0.01),
    # Documented as 0.9. Taken literally that hides the most popular tenth of the catalogue and
    # costs three quarters of NDCG@10 on MovieLens, which the service's own results rule out.
    _percentile("max_item_interaction_count_percentile", 1.0),
)
_SIMILAR = (
    Hyperparameter("popularity_discount_factor", "Continuous", 0.0, 0.0, 1.0),
    _hidden("item_id_hidden_dim", 100, 30, 200),
    _hidden("item_metadata_hidden_dim", 100, 30, 200),
)
# The guide's table and its example differ in which values it lists; this is the table.
_TRENDING = (
    Hyperparameter(
        "trend_discovery_frequency",
        "Categorical",
        "2 hours",
        categories=("30 minutes", "1 hour", "2 hours", "3 hours", "1 day"),
    ),
)
_ALS = (
    Hyperparameter("factors", "Integer", 64, 8, 256, tunable=True),
    Hyperparameter("regularization", "Continuous", 1.0, 0.001, 1000.0, tunable=True),
    Hyperparameter("alpha", "Continuous", 2.0, 1.0, 1000.0, tunable=True),
    Hyperparameter("iterations", "Integer", 15, 1, 100),
)
_TOPICS = (
    # Empty means the only categorical column that there is.
    Hyperparameter("user_topics_column", "Categorical", ""),
    Hyperparameter("item_topics_column", "Categorical", ""),
)

RECIPES: Mapping[str, Recipe] = MappingProxyType(
    {
        recipe.name: recipe
        for recipe in (
            Recipe(
                "aws-user-personalization",
                "USER_PERSONALIZATION",
                "linear",
                _table(*_SEQUENCE),
                remove_seen=True,
                explores=True,
            ),
            Recipe(
                "aws-user-personalization-v2",
                "USER_PERSONALIZATION",
                "linear",
                _table(*_RECENCY_BIAS),
                remove_seen=True,
                explores=True,
            ),
            Recipe(
                "aws-popularity-count",
                "USER_PERSONALIZATION",
                "popularity",
                _table(),
                with_scores=False,
            ),
            Recipe(
                "aws-personalized-ranking",
                "PERSONALIZED_RANKING",
                "linear",
                _table(*_SEQUENCE),
                remove_seen=True,
            ),
            Recipe(
                "aws-personalized-ranking-v2",
                "PERSONALIZED_RANKING",
                "linear",
                _table(*_RECENCY_BIAS),
                remove_seen=True,
            ),
            Recipe("aws-sims", "RELATED_ITEMS", "related", _table(*_SIMS), with_scores=False),
            Recipe(
                "aws-similar-items",
                "RELATED_ITEMS",
                "related",
                _table(*_SIMILAR),
                with_scores=False,
            ),
            Recipe(
                "aws-trending-now",
                "USER_PERSONALIZATION",
                "trending",
                _table(*_TRENDING),
                with_scores=False,
            ),
            Recipe(
                "reco-als",
                "USER_PERSONALIZATION",
                "factors",
                _table(*_ALS),
                remove_seen=True,
                explores=True,
                engines=("InCluster",),
            ),
            Recipe(
                "reco-heuristic-topics",
                "USER_PERSONALIZATION",
                "topics",
                _table(*_TOPICS),
                with_scores=False,
                engines=("InCluster",),
            ),
        )
    }
)


def recipe_named(name: str) -> Recipe:
    """Return a recipe by its short name; raise ValueError listing what there is."""
    try:
        return RECIPES[name]
    except KeyError:
        raise ValueError(
            f"there is no recipe '{name}'; there are {', '.join(sorted(RECIPES))}"
        ) from None


def validate_hyperparameters(recipe: str, given: Mapping[str, str]) -> list[str]:
    """Return a text for each hyperparameter that is unknown or out of range; empty if all pass."""
    known = recipe_named(recipe).hyperparameters
    problems = []
    for name, text in sorted(given.items()):
        if name not in known:
            allowed = ", ".join(sorted(known)) or "no hyperparameters"
            problems.append(f"{name}: {recipe} does not know it; it has {allowed}")
            continue
        try:
            known[name].parse(text)
        except ValueError as error:
            problems.append(str(error))
    return problems
