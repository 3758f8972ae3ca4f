"""From data to a model, and how good such a model is.

`train`, `evaluate` and `train_and_evaluate` take the same arguments. Evaluation follows Amazon
Personalize: train on 90 % of users, give the model the oldest 90 % of each remaining user's events,
and compare its answer with the newest 10 %.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Self, TypedDict, Unpack

import numpy as np

from reco.recipes import linear, related
from reco.recipes.data import (
    Catalogue,
    Event,
    Histories,
    Interactions,
    Items,
    Strings,
    check_sufficient,
    encode,
)
from reco.recipes.linear import LinearSettings
from reco.recipes.metrics import LONGEST, Outcome, summary
from reco.recipes.model import SECONDS_PER_DAY, Model
from reco.recipes.registry import Recipe, Value, recipe_named
from reco.recipes.related import RelatedSettings
from reco.recipes.scorers import (
    LinearScorer,
    Logits,
    NeighbourScorer,
    PopularityScorer,
    Scorers,
    standardised,
)

TEST_SHARE = 0.1
INPUT_SHARE = 0.9

# An interaction is worth half as much every so many days when a new user is welcomed.
_PRIOR_HALF_LIFE_DAYS = 180.0
_PRIOR_SHARE = 0.05
# In items: long enough to weigh the whole window about equally.
_UNHURRIED_HALF_LIFE = 100.0
# Enough to order items that nobody touched together, too little to outweigh those who did.
_METADATA_SHARE = 0.005


class Options(TypedDict, total=False):
    """Keyword arguments of training and evaluation.

    items: the items data set; its items are recommendable even without interactions.
    hyperparameters: as strings, checked against the recipe.
    event_type, event_value_threshold: which interactions to learn from, as in a solution.
    seed: chooses the test users.
    progress: told the stage's name and the share of the work done, 0 to 1.
    linear_settings: replaces the personalised model's own settings, for measurements.
    """

    items: Items | None
    hyperparameters: Mapping[str, str]
    event_type: str | None
    event_value_threshold: float | None
    seed: int
    progress: Callable[[str, float], None] | None
    linear_settings: LinearSettings


@dataclass(frozen=True, slots=True)
class HeldOutUser:
    """A user held back: the events the model may see, and the items that came next."""

    history: list[Event]
    relevant: frozenset[str]


def train(recipe: str, interactions: Interactions, **options: Unpack[Options]) -> Model:
    """Train a model; the same arguments give the same bytes on the same number of threads.

    Raises `TrainingDataError` for too little data and ValueError for an unknown recipe or a refused
    hyperparameter.
    """
    task = _Task.of(recipe, interactions, options)
    task.progress("training", 0.0)
    model = task.fit(task.interactions)
    task.progress("done", 1.0)
    return model


def evaluate(
    recipe: str, interactions: Interactions, **options: Unpack[Options]
) -> dict[str, float]:
    """Return the offline metrics of a recipe on this data; errors as `train`."""
    task = _Task.of(recipe, interactions, options)
    metrics = task.evaluate()
    task.progress("done", 1.0)
    return metrics


def train_and_evaluate(
    recipe: str, interactions: Interactions, **options: Unpack[Options]
) -> tuple[Model, dict[str, float]]:
    """Return a model of all the data and the metrics of one trained without the test users."""
    task = _Task.of(recipe, interactions, options)
    metrics = task.evaluate()
    task.progress("training", 0.5)
    model = task.fit(task.interactions)
    task.progress("done", 1.0)
    return model, metrics


def hold_out(
    interactions: Interactions, test_users: Strings
) -> tuple[Interactions, list[HeldOutUser]]:
    """Return the other users' rows, and each test user's events split by age.

    A test user with fewer than two events has nothing to split and is left out.
    """
    held_out = np.isin(interactions.user_ids, test_users)
    tests = interactions.where(held_out)
    order = np.lexsort((tests.timestamps, tests.user_ids))
    tests = tests.where(order)
    _, starts = np.unique(tests.user_ids, return_index=True)
    users = [
        _split(tests.where(rows))
        for rows in np.split(np.arange(len(tests)), starts[1:])
        if len(rows) > 1
    ]
    return interactions.where(~held_out), users


def _split(events: Interactions) -> HeldOutUser:
    """Split one user's events, oldest first, into input and what came next."""
    count = len(events)
    inputs = min(max(round(count * INPUT_SHARE), 1), count - 1)
    items = events.item_ids.tolist()
    types = [None] * count if events.event_types is None else events.event_types.tolist()
    history = [Event(items[row], int(events.timestamps[row]), types[row]) for row in range(inputs)]
    return HeldOutUser(history, frozenset(items[inputs:]))


def outcomes(
    model: Model, users: list[HeldOutUser], *, remove_seen: bool | None = None
) -> list[Outcome]:
    """Ask the model for every test user; related items are asked for the latest item."""
    asked = model.answers_items
    return [
        Outcome(
            [
                scored.item_id
                for scored in model.recommend(
                    user_history=user.history,
                    item_id=user.history[-1].item_id if asked else None,
                    count=LONGEST,
                    remove_seen=remove_seen,
                )
            ],
            user.relevant,
        )
        for user in users
    ]


@dataclass(frozen=True, slots=True)
class _Task:
    """A recipe with checked settings and the rows to use it on."""

    recipe: Recipe
    values: Mapping[str, Value]
    interactions: Interactions
    items: Items | None
    event_type: str | None
    linear_settings: LinearSettings
    seed: int
    progress: Callable[[str, float], None]

    @classmethod
    def of(cls, recipe: str, interactions: Interactions, options: Options) -> Self:
        chosen = recipe_named(recipe)
        values = chosen.settings(options.get("hyperparameters", {}))
        event_type = options.get("event_type")
        selected = interactions.selected(event_type, options.get("event_value_threshold"))
        check_sufficient(selected, event_type)
        return cls(
            recipe=chosen,
            values=values,
            interactions=selected,
            items=options.get("items"),
            event_type=event_type,
            linear_settings=_shaped(options.get("linear_settings", LinearSettings()), values),
            seed=options.get("seed", 0),
            progress=options.get("progress") or _silent,
        )

    def evaluate(self) -> dict[str, float]:
        """Train without a tenth of the users and measure on them."""
        self.progress("evaluating", 0.0)
        user_ids = np.unique(self.interactions.user_ids)
        shuffled = np.random.default_rng(self.seed).permutation(user_ids)
        rest, users = hold_out(
            self.interactions, shuffled[: max(1, round(len(shuffled) * TEST_SHARE))]
        )
        known = self.interactions.item_ids
        size = len(np.unique(known if self.items is None else np.union1d(known, self.items.ids)))
        return summary(outcomes(self.fit(rest), users), size)

    def fit(self, interactions: Interactions) -> Model:
        """Train on these rows."""
        catalogue, everyone = encode(interactions, self.items)
        learned = everyone.without_outliers(
            float(self.values.get("min_user_history_length_percentile", 0.0)),
            float(self.values.get("max_user_history_length_percentile", 1.0)),
        )
        popularity = np.log1p(catalogue.counts).astype(np.float32)
        scorer: Scorers
        match self.recipe.family:
            case "popularity":
                scorer = PopularityScorer(popularity)
            case "linear":
                scorer = self._linear(learned, catalogue)
            case "related":
                scorer = NeighbourScorer(
                    *related.neighbours(learned, catalogue, self.items, self._related()),
                    popularity,
                )
        return Model(
            recipe=self.recipe.name,
            catalogue=catalogue,
            histories=everyone,
            scorer=scorer,
            event_type=self.event_type,
            remove_seen=self.recipe.remove_seen,
            with_scores=self.recipe.with_scores,
            explores=self.recipe.explores,
        )

    def _linear(self, learned: Histories, catalogue: Catalogue) -> LinearScorer:
        settings = self.linear_settings
        predictors, targets, weights = linear.fit(learned, catalogue.counts, settings)
        table = linear.rows_of_items(learned, predictors, len(catalogue.item_ids), settings)
        return LinearScorer(
            weights=weights,
            targets=targets,
            starts=table.indptr.astype(np.int64),
            rows=table.indices.astype(np.int32),
            shares=table.data,
            prior=_recent_popularity(learned, catalogue),
            half_life=settings.half_life,
            window=settings.window,
            prior_share=_PRIOR_SHARE,
        )

    def _related(self) -> RelatedSettings:
        """Similar-items has no count limits of its own and looks at metadata; SIMS the reverse."""
        sims = self.recipe.name == "aws-sims"
        return RelatedSettings(
            discount=float(self.values["popularity_discount_factor"]),
            minimum_pairs=int(self.values.get("min_cointeraction_count", 2)),
            fewest=float(self.values.get("min_item_interaction_count_percentile", 0.0)),
            most=float(self.values.get("max_item_interaction_count_percentile", 1.0)),
            metadata_share=0.0 if sims else _METADATA_SHARE,
        )


def _shaped(settings: LinearSettings, values: Mapping[str, Value]) -> LinearSettings:
    """Apply the hyperparameters that have a meaning for a closed-form model."""
    if not (values.get("recency_mask", True) and values.get("apply_recency_bias", True)):
        settings = replace(settings, half_life=_UNHURRIED_HALF_LIFE)
    if "bptt" in values:
        settings = replace(settings, window=int(values["bptt"]))
    return settings


def _recent_popularity(histories: Histories, catalogue: Catalogue) -> Logits:
    """Return how much each item was touched lately, standardised: the answer for a new user."""
    age_in_days = (catalogue.latest - histories.timestamps) / SECONDS_PER_DAY
    recent = np.bincount(
        histories.items,
        weights=np.exp2(-age_in_days / _PRIOR_HALF_LIFE_DAYS),
        minlength=len(catalogue.item_ids),
    )
    return standardised(np.log1p(recent).astype(np.float32))


def _silent(_stage: str, _share: float) -> None:
    """Report progress to nobody."""
