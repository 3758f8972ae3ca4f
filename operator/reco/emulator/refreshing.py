"""The service's own refresh: every two hours a deployed version takes in what is new.

It concerns the newest fully trained version of a solution, if its recipe is one that refreshes,
and shows in answers alone: ARN, metrics and times of the version stay. The refreshed model is made
when somebody asks, of the data as of the last full two hours, and by the trainer, so that the
former model answers until the new one is there.
"""

from reco.emulator import training
from reco.emulator.catalogue import RECIPES
from reco.emulator.ports import ServingModel, TrainingJob
from reco.emulator.store import Resource
from reco.emulator.world import World

PERIOD = 7200.0

_BEGUN, _SERVES = "_refresh_begun", "_refresh_serves"
"""Attributes of a version: as of when it was last refreshed, and as of when it serves."""


def serving(world: World, version: Resource, now: float) -> ServingModel:
    """Give the model with which a version answers now."""
    begin(world, version, now)
    begun, serves = version.attributes.get(_BEGUN), version.attributes.get(_SERVES)
    if begun is not None and begun != serves:
        if not world.trainer.knows(_id(version, begun)):  # the emulator was restarted
            world.trainer.start(_job(world, version, begun))
        result = world.trainer.result(_id(version, begun))
        if result is not None and result.failure_reason is None:
            if serves is not None:
                world.trainer.discard(_id(version, serves))
            version.attributes[_SERVES] = serves = begun
            world.store.put(version)
    return world.trainer.model(version.arn if serves is None else _id(version, serves))


def begin(world: World, version: Resource, now: float) -> None:
    """Start a refresh if one is due, something is new, and the last one is over."""
    due = _last_due(world, version, now)
    begun = version.attributes.get(_BEGUN)
    since = version.created if begun is None else begun
    if due is None or due <= since or not training.data_since(world, version, since):
        return
    if begun is not None and world.trainer.result(_id(version, begun)) is None:
        return
    if begun is not None and begun != version.attributes.get(_SERVES):
        world.trainer.discard(_id(version, begun))
    version.attributes[_BEGUN] = due
    world.store.put(version)
    world.trainer.start(_job(world, version, due))


def forget(world: World, version: Resource) -> None:
    """Drop the refreshed models of a version."""
    for time in {
        version.attributes[name] for name in (_BEGUN, _SERVES) if name in version.attributes
    }:
        world.trainer.discard(_id(version, time))


def _last_due(world: World, version: Resource, now: float) -> float | None:
    """Give the end of the last full two hours in which the version was its solution's newest."""
    recipe = RECIPES[version.attributes["recipeArn"]]
    if not recipe.refreshes or not training.is_full(version):
        return None
    newer = [
        other.updated
        for other in training.full_versions(world, version.parent or "")
        if training.order(other) > training.order(version)
    ]
    periods = (min([now, *newer]) - version.updated) // PERIOD
    return version.updated + periods * PERIOD if periods >= 1 else None


def _job(world: World, version: Resource, at: float) -> TrainingJob:
    return training.job(world, version, at=at, arn=_id(version, at), base=version.arn)


def _id(version: Resource, at: float) -> str:
    return f"{version.arn}@{at:.3f}"
