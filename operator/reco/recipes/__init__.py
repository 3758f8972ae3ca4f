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
"""

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
