"""The models: train, score and evaluate with numpy and scipy alone.

`train` makes a `Model` of columns, `train_and_evaluate` its offline metrics too; `refresh` takes a
model to newer data. `RECIPES` says what there is, which engine offers it, and which hyperparameters
each recipe accepts; `tune` looks for good ones.

Serving. A `Session` is what a model knows of one user now; it takes in events one by one:

    model = load(path)                                   # verified, then mapped: pages are shared
    session = model.session(events, user_id="429")       # training history plus newer events
    session = model.session(events, attributes={"TOPICS": "jazz|news"})  # of the users data set
    session.add(Event("185", timestamp, "click"))        # True if the model listens to it
    model.top(session, 25, allowed=mask, exclude=ids)    # list[Scored], best first
    model.top(session, 25, item_id="185")                # related items
    model.ranked(session, item_ids)                      # all of them, reordered

A model is frozen and may be used by any number of threads; a session by one at a time.
`model.recommend` and `model.rank` are the same for a history given whole.

Memory. `predict(recipe, users=..., items=..., interactions=...)` is the most bytes that training
and keeping the model takes: ask before starting.

Names are imported when they are first used: the table of recipes needs no numpy, and the operator,
which checks hyperparameters by it, has none.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from reco.recipes.artifact import ArtifactError, load, save
    from reco.recipes.data import Event, Interactions, Items, TrainingDataError, Users
    from reco.recipes.memory import predict
    from reco.recipes.model import Model, Scored
    from reco.recipes.refreshing import refresh
    from reco.recipes.registry import RECIPES, Hyperparameter, Recipe, validate_hyperparameters
    from reco.recipes.session import Session
    from reco.recipes.training import evaluate, train, train_and_evaluate
    from reco.recipes.tuning import Range, search_space, tune

__all__ = [
    "RECIPES",
    "ArtifactError",
    "Event",
    "Hyperparameter",
    "Interactions",
    "Items",
    "Model",
    "Range",
    "Recipe",
    "Scored",
    "Session",
    "TrainingDataError",
    "Users",
    "evaluate",
    "load",
    "predict",
    "refresh",
    "save",
    "search_space",
    "train",
    "train_and_evaluate",
    "tune",
    "validate_hyperparameters",
]

_HOMES = {
    "ArtifactError": "reco.recipes.artifact",
    "Event": "reco.recipes.data",
    "Hyperparameter": "reco.recipes.registry",
    "Interactions": "reco.recipes.data",
    "Items": "reco.recipes.data",
    "Model": "reco.recipes.model",
    "RECIPES": "reco.recipes.registry",
    "Range": "reco.recipes.tuning",
    "Recipe": "reco.recipes.registry",
    "Scored": "reco.recipes.model",
    "Session": "reco.recipes.session",
    "TrainingDataError": "reco.recipes.data",
    "Users": "reco.recipes.data",
    "evaluate": "reco.recipes.training",
    "load": "reco.recipes.artifact",
    "predict": "reco.recipes.memory",
    "refresh": "reco.recipes.refreshing",
    "save": "reco.recipes.artifact",
    "search_space": "reco.recipes.tuning",
    "train": "reco.recipes.training",
    "train_and_evaluate": "reco.recipes.training",
    "tune": "reco.recipes.tuning",
    "validate_hyperparameters": "reco.recipes.registry",
}


def __getattr__(name: str) -> object:
    """Return a name of this package from the module it lives in."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name]), name)
