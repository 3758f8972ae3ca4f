"""What happens by itself as virtual time passes.

Nothing runs in the background: each call first settles everything that became due since the last
one, in the order of virtual time, so that lists and Describes see the state of their moment.
"""

from collections.abc import Callable
from typing import Any

from reco.emulator import refreshing, training
from reco.emulator.kinds import IN_PROGRESS, KINDS
from reco.emulator.store import Resource, Step
from reco.emulator.world import World

GONE = "(gone)"
"""The step with which a deletion ends."""

ENDED = frozenset({"ACTIVE", "CREATE FAILED", "UPDATE FAILED"})
"""States of an update that is over."""

_UPDATED_MEMBERS = {
    "Campaign": ("solutionVersionArn", "minProvisionedTPS", "campaignConfig"),
    "Solution": ("performAutoTraining", "performIncrementalUpdate"),
}


def settle(world: World, now: float) -> None:
    """Do everything that is due. Trainings whose real work isn't done yet are left for later."""
    waiting: set[str] = set()
    while resource := world.store.first_due(now, waiting):
        step = min(resource.plan, key=lambda one: one.at)
        if resource.kind == "SolutionVersion" and step.status == "ACTIVE":
            outcome = training.outcome(world, resource, step)
            if outcome is None:
                # The version is late: it will end when somebody next looks, not when it should.
                step.at = now
                world.store.put(resource)
                waiting.add(resource.arn)
                continue
            resource.plan = [one for one in resource.plan if one is not step]
            _apply(world, resource, outcome)
        else:
            resource.plan = [one for one in resource.plan if one is not step]
            _apply(world, resource, step)


def vanish(world: World, resource: Resource) -> None:
    """Remove a resource and all that goes with it."""
    for kind in KINDS[resource.kind].cascade:
        for child in world.store.find(kind, parent=resource.arn):
            vanish(world, child)
    if resource.kind == "SolutionVersion":
        world.trainer.discard(resource.arn)
        refreshing.forget(world, resource)
    world.store.remove(resource.arn)


def latest_update(resource: Resource) -> dict[str, Any] | None:
    """Find the summary of the newest update of a resource, if it ever had one."""
    return resource.attributes.get(f"latest{resource.kind}Update")


def begin_update(
    world: World, resource: Resource, now: float, changes: dict[str, Any], failure: str | None
) -> None:
    """Start an update, which shows apart from the top level until it has succeeded.

    Its words are those of a creation, except for datasets: UPDATE PENDING, UPDATE IN_PROGRESS.
    """
    word = "UPDATE" if resource.kind == "Dataset" else "CREATE"
    phase = world.settings.phase(f"{resource.kind}Update")
    resource.attributes[f"latest{resource.kind}Update"] = {
        **changes,
        "status": f"{word} PENDING",
        "creationDateTime": now,
        "lastUpdatedDateTime": now,
    }
    if phase.pending < phase.total:
        resource.plan.append(Step(now + phase.pending, f"{word} IN_PROGRESS", update=True))
    end = f"{word} FAILED" if failure else "ACTIVE"
    resource.plan.append(Step(now + phase.total, end, update=True, reason=failure))
    world.store.put(resource)


def _apply(world: World, resource: Resource, step: Step) -> None:
    if step.status == GONE:
        vanish(world, resource)
        return
    if step.status == training.AUTOMATIC:
        training.automatic(world, resource, step.at)
        return
    resource.updated = step.at
    if step.update:
        update = latest_update(resource)
        if update is None:
            raise AssertionError(f"{resource.arn} has a step of an update that never began")
        update.update(status=step.status, lastUpdatedDateTime=step.at)
        if step.reason is not None:
            update["failureReason"] = step.reason
    else:
        resource.status = step.status
        if step.reason is not None and KINDS[resource.kind].has_failure_reason:
            resource.attributes["failureReason"] = step.reason
    world.store.put(resource)
    effect = _EFFECTS.get((resource.kind, step.status, step.update))
    if effect is not None:
        effect(world, resource, step.at)


def _import_arrived(world: World, job: Resource, now: float) -> None:
    for campaign in world.store.find("Campaign", dataset_group=job.dataset_group):
        served = world.store.get(campaign.attributes["solutionVersionArn"], "SolutionVersion")
        if served is not None:  # what it would have seen until now may be about to go
            refreshing.begin(world, served, now)
    world.store.activate_import(job.arn, now)
    versions = world.store.states("SolutionVersion", dataset_group=job.dataset_group)
    if job.parent and not versions.keys() & IN_PROGRESS:
        world.store.drop_superseded_imports(job.parent)


def _version_trained(world: World, version: Resource, now: float) -> None:
    for campaign in world.store.find("Campaign", parent=version.parent):
        update = latest_update(campaign)
        busy = update is not None and update["status"] not in ENDED
        follows = campaign.attributes["campaignConfig"].get("syncWithLatestSolutionVersion")
        if follows and campaign.status == "ACTIVE" and not busy:
            begin_update(world, campaign, now, {"solutionVersionArn": version.arn}, None)


def _training_ended(world: World, version: Resource, _now: float) -> None:
    world.trainer.discard(version.arn)


def _campaign_ready(world: World, campaign: Resource, now: float) -> None:
    """Let a campaign that follows catch up with what was trained while it was busy."""
    if not campaign.attributes["campaignConfig"].get("syncWithLatestSolutionVersion"):
        return
    newest = training.newest_active(world, campaign.parent or "")
    if newest and newest.arn != campaign.attributes["solutionVersionArn"]:
        begin_update(world, campaign, now, {"solutionVersionArn": newest.arn}, None)


def _campaign_updated(world: World, campaign: Resource, now: float) -> None:
    _take_over(campaign)
    campaign.status = "ACTIVE"
    campaign.attributes.pop("failureReason", None)
    world.store.put(campaign)
    _campaign_ready(world, campaign, now)


def _solution_ready(world: World, solution: Resource, now: float) -> None:
    training.schedule_first(world, solution, now)


def _solution_updated(world: World, solution: Resource, now: float) -> None:
    update = _take_over(solution)
    changed = update.get("solutionUpdateConfig", {})
    if changed:
        solution.attributes["solutionConfig"] = {
            **solution.attributes.get("solutionConfig", {}),
            **changed,
        }
    solution.plan = [step for step in solution.plan if step.status != training.AUTOMATIC]
    world.store.put(solution)
    training.schedule_first(world, solution, now)


def _take_over(resource: Resource) -> dict[str, Any]:
    update = latest_update(resource) or {}
    for member in _UPDATED_MEMBERS[resource.kind]:
        if member in update:
            resource.attributes[member] = update[member]
    return update


_EFFECTS: dict[tuple[str, str, bool], Callable[[World, Resource, float], None]] = {
    ("DatasetImportJob", "ACTIVE", False): _import_arrived,
    ("SolutionVersion", "ACTIVE", False): _version_trained,
    ("SolutionVersion", "CREATE FAILED", False): _training_ended,
    ("SolutionVersion", "CREATE STOPPED", False): _training_ended,
    ("Campaign", "ACTIVE", False): _campaign_ready,
    ("Campaign", "ACTIVE", True): _campaign_updated,
    ("Solution", "ACTIVE", False): _solution_ready,
    ("Solution", "ACTIVE", True): _solution_updated,
}
