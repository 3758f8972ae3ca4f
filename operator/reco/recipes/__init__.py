"""The models: train, score and evaluate with numpy and scipy alone.

`train` makes a `Model` of columns, `train_and_evaluate` its offline metrics too; a model answers
`recommend` and `rank`; `refresh` takes it to newer data; `save` and `load` keep it. `RECIPES` says
what there is and which hyperparameters each recipe accepts.
"""

from reco.recipes.artifact import ArtifactError, load, save
from reco.recipes.data import Event, Interactions, Items, TrainingDataError
from reco.recipes.model import Model, Scored
from reco.recipes.refreshing import refresh
from reco.recipes.registry import RECIPES, Hyperparameter, Recipe, validate_hyperparameters
from reco.recipes.training import evaluate, train, train_and_evaluate

__all__ = [
    "RECIPES",
    "ArtifactError",
    "Event",
    "Hyperparameter",
    "Interactions",
    "Items",
    "Model",
    "Recipe",
    "Scored",
    "TrainingDataError",
    "evaluate",
    "load",
    "refresh",
    "save",
    "train",
    "train_and_evaluate",
    "validate_hyperparameters",
]
