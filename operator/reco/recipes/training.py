"""From data to a model, and how good such a model is.

`train`, `evaluate` and `train_and_evaluate` take the same arguments: interactions at once, as an
iterable of batches (the strings of one batch at a time are in memory), or encoded already.
Evaluation follows Amazon Personalize: train on 90 % of users, give the model the oldest 90 % of
each remaining user's events, and compare its answer with the newest 10 %.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Self, TypedDict, Unpack

import numpy as np
from numpy.typing import NDArray

from reco.recipes.data import Event, Items, Strings, Users
from reco.recipes.encoding import Data, Log, check_sufficient
from reco.recipes.fitting import Settings, fit, shaped
from reco.recipes.linear import LinearSettings
from reco.recipes.metrics import LONGEST, Outcome, summary
from reco.recipes.model import Model
from reco.recipes.registry import Recipe, recipe_named

TEST_SHARE = 0.1
INPUT_SHARE = 0.9


class Options(TypedDict, total=False):
    """Keyword arguments of training and evaluation.

    items: the items data set; its items are recommendable even without interactions.
    users: the users data set.
    hyperparameters: as strings, checked against the recipe.
    event_type, event_value_threshold: which interactions to learn from, as in a solution.
    now: the clock of whoever trains, in epoch seconds; what is dated later is not believed.
    seed: chooses the test users, and starts what a recipe draws.
    threads: how many a recipe may use that runs threads of its own; changes no result.
    progress: told the stage's name and the share of the work done, 0 to 1.
    linear_settings: replaces the personalised model's own settings, for measurements.
    """

    items: Items | None
    users: Users | None
    hyperparameters: Mapping[str, str]
    event_type: str | None
    event_value_threshold: float | None
    now: int | None
    seed: int
    threads: int
    progress: Callable[[str, float], None] | None
    linear_settings: LinearSettings


@dataclass(frozen=True, slots=True)
class HeldOutUser:
    """A user held back: the events the model may see, and the items that came next."""

    user_id: str
    history: list[Event]
    relevant: frozenset[str]


def train(recipe: str, interactions: Data, **options: Unpack[Options]) -> Model:
    """Train a model; the same arguments give the same bytes on the same number of threads.

    Raises `TrainingDataError` for too little data and ValueError for an unknown recipe or a refused
    hyperparameter.
    """
    task = _Task.of(recipe, interactions, options)
    task.progress("training", 0.0)
    model = task.fit(task.log)
    task.progress("done", 1.0)
    return model


def evaluate(recipe: str, interactions: Data, **options: Unpack[Options]) -> dict[str, float]:
    """Return the offline metrics of a recipe on this data; errors as `train`."""
    task = _Task.of(recipe, interactions, options)
    metrics = task.evaluate()
    task.progress("done", 1.0)
    return metrics


def train_and_evaluate(
    recipe: str, interactions: Data, **options: Unpack[Options]
) -> tuple[Model, dict[str, float]]:
    """Return a model of all the data and the metrics of one trained without the test users."""
    task = _Task.of(recipe, interactions, options)
    metrics = task.evaluate()
    task.progress("training", 0.5)
    model = task.fit(task.log)
    task.progress("done", 1.0)
    return model, metrics


def hold_out(interactions: Data, test_users: Strings) -> tuple[Log, list[HeldOutUser]]:
    """Return the other users' rows, and each test user's events split by age.

    A test user with fewer than two events has nothing to split and is left out.
    """
    log = Log.of(interactions)
    held_out = np.isin(log.user_ids, test_users)[log.users]
    tests = log.where(held_out)
    order = np.lexsort((tests.timestamps, tests.users))
    starts = np.searchsorted(tests.users[order], np.arange(1, len(tests.user_ids)))
    users = [_split(tests, rows) for rows in np.split(order, starts) if len(rows) > 1]
    return log.where(~held_out), users


def _split(log: Log, rows: NDArray[np.int64]) -> HeldOutUser:
    """Split one user's events, oldest first, into input and what came next."""
    inputs = min(max(round(len(rows) * INPUT_SHARE), 1), len(rows) - 1)
    items = log.item_ids[log.items[rows]].tolist()
    times = log.timestamps[rows].tolist()
    history = [Event(items[row], times[row], log.event_type) for row in range(inputs)]
    user_id = str(log.user_ids[log.users[rows[0]]])
    return HeldOutUser(user_id, history, frozenset(items[inputs:]))


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
                    user_id=user.user_id,
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
    log: Log
    items: Items | None
    users: Users | None
    settings: Settings
    progress: Callable[[str, float], None]

    @classmethod
    def of(cls, recipe: str, interactions: Data, options: Options) -> Self:
        chosen = recipe_named(recipe)
        values = chosen.settings(options.get("hyperparameters", {}))
        log = Log.of(
            interactions,
            options.get("event_type"),
            options.get("event_value_threshold"),
            options.get("now"),
        )
        check_sufficient(log)
        return cls(
            recipe=chosen,
            log=log,
            items=options.get("items"),
            users=options.get("users"),
            settings=Settings(
                values,
                shaped(options.get("linear_settings", LinearSettings()), values),
                options.get("seed", 0),
                options.get("threads", 1),
            ),
            progress=options.get("progress") or _silent,
        )

    def evaluate(self) -> dict[str, float]:
        """Train without a tenth of the users and measure on them."""
        self.progress("evaluating", 0.0)
        shuffled = np.random.default_rng(self.settings.seed).permutation(self.log.user_ids)
        rest, users = hold_out(self.log, shuffled[: max(1, round(len(shuffled) * TEST_SHARE))])
        model = self.fit(rest)
        return summary(outcomes(model, users), len(model.item_ids))

    def fit(self, log: Log) -> Model:
        """Train on these rows."""
        return fit(self.recipe, log, self.items, self.users, self.settings)


def _silent(_stage: str, _share: float) -> None:
    """Report progress to nobody."""
