"""A cluster that is lost comes back from a backup: nothing is paid for again, nothing rolls back.

A backup by Velero has neither statuses nor owner references; one by `kubectl get -o yaml` names
owners by UIDs of before, and garbage collection deletes what names them.
"""

import asyncio
import copy
from typing import Any

import pytest

from reco.api.kinds import KINDS
from reco.api.resource import Key
from tests.simulation.estate import manifest
from tests.simulation.memory_store import Body
from tests.simulation.staged import NAMESPACE, Stage, estate, key

HOUR = 3600.0
SOLUTION, CAMPAIGN = key("Solution", "for-you"), key("Campaign", "for-you")
DATASET = key("Dataset", "interactions")
HOURLY = {"owner": "Operator", "full": {"schedule": "0 * * * *"}}
OWNERS = ("none", "outdated")
NO_HARM = {"TagResource"}
"""Mutating calls that cost nothing and change no recommendation."""


def wanted(stage: Stage) -> list[dict[str, Any]]:
    """Return an estate whose campaign follows the newest version of an hourly training."""
    left_out = {"SolutionVersion", "DatasetImportJob"}
    manifests = [one for one in estate(stage) if one["kind"] not in left_out]
    for one in manifests:
        if one["kind"] == "Solution":
            one["spec"] |= {"training": HOURLY}
        if one["kind"] == "Campaign":
            one["spec"] |= {"version": {"follow": "Latest"}}
    return manifests


def backup(stage: Stage, owners: str) -> list[Body]:
    """Return all objects, parents first, as a tool saves them."""
    objects = copy.deepcopy(stage.world.server.objects)
    for body in objects.values():
        if owners == "none":
            body["metadata"].pop("ownerReferences", None)
    return [objects[one] for one in sorted(objects, key=lambda k: (list(KINDS).index(k.kind), k))]


async def lose_and_restore(stage: Stage, owners: str, *, collect_first: bool = True) -> None:
    """Lose the cluster and the operator, and bring both back; garbage is collected meanwhile."""
    world = stage.world
    saved = backup(stage, owners)
    for replica in list(world.processes):
        world.processes.pop(replica).kill("its cluster is lost")
    world.server.wipe()
    world.server.lease = None
    for body in saved:
        if "namespace" in body["metadata"]:
            world.server.create_namespace(body["metadata"]["namespace"])
        world.server.create(body)
    if collect_first:
        world.server.collect_garbage()
    world.start("b")
    for _ in range(4):
        await asyncio.sleep(10.0)
        world.server.collect_garbage()


def conditions(stage: Stage, of: Key) -> dict[str, str]:
    """Return a resource's conditions as `Status/Reason`."""
    body = stage.world.server.get(of)
    assert body is not None, f"{of} is gone"
    return {one["type"]: f"{one['status']}/{one['reason']}" for one in body["status"]["conditions"]}


def versions(stage: Stage) -> set[str]:
    """Return the names of the SolutionVersions."""
    return {key.name for key in stage.world.server.objects if key.kind == "SolutionVersion"}


@pytest.mark.parametrize("collect_first", [True, False])
@pytest.mark.parametrize("owners", OWNERS)
def test_a_restore_costs_no_call_and_rolls_nothing_back(owners: str, collect_first: bool) -> None:  # noqa: FBT001
    async def scenario(stage: Stage) -> None:
        stage.want(*wanted(stage))
        stage.user.apply_all()
        stage.world.start("a")
        await asyncio.sleep(3.2 * HOUR)
        for of in (SOLUTION, DATASET):  # a token is part of the backup, what became of it is not
            asked = {"metadata": {"annotations": {"reco.dev/run-now": "please"}}}
            stage.world.server.update(of, asked)
        await asyncio.sleep(0.3 * HOUR)
        served, before = campaign_serves(stage), versions(stage)
        made = len(stage.world.calls)
        await lose_and_restore(stage, owners, collect_first=collect_first)
        await asyncio.sleep(600.0)
        carried_out = set(stage.carried_out(made)) - NO_HARM
        assert carried_out == set()
        assert campaign_serves(stage) == served
        assert versions(stage) == before
        not_ready = {
            str(key): conditions(stage, key).get("Ready")
            for key in stage.world.server.objects
            if not conditions(stage, key).get("Ready", "").startswith("True")
        }
        assert not_ready == {}
        await asyncio.sleep(2 * HOUR)
        assert stage.carried_out(made)["CreateSolutionVersion"] == 2, "the schedule goes on"

    Stage().play(scenario)


def campaign_serves(stage: Stage) -> str:
    """Return the ARN of the version that the campaign serves in the engine."""
    (campaign,) = stage.world.external("Campaign")
    return str(campaign.attributes["solutionVersionArn"])


@pytest.mark.parametrize("owners", OWNERS)
def test_after_a_restore_a_solution_can_be_deleted(owners: str) -> None:
    async def scenario(stage: Stage) -> None:
        stage.want(*[one for one in wanted(stage) if one["kind"] != "Campaign"])
        stage.user.apply_all()
        stage.world.start("a")
        await asyncio.sleep(2.5 * HOUR)
        await lose_and_restore(stage, owners)
        await asyncio.sleep(600.0)
        stage.delete(SOLUTION)
        await stage.gone(SOLUTION)
        assert versions(stage) == set()
        assert stage.world.external("Solution") == []

    Stage().play(scenario)


def test_runs_whose_parent_is_restored_later_lose_nothing_in_the_engine() -> None:
    async def scenario(stage: Stage) -> None:
        stage.want(*[one for one in wanted(stage) if one["kind"] != "Campaign"])
        stage.user.apply_all()
        stage.world.start("a")
        await asyncio.sleep(2.5 * HOUR)
        trained = {one.arn for one in stage.world.external("SolutionVersion")}
        saved = backup(stage, "outdated")
        stage.world.processes.pop("a").kill("its cluster is lost")
        stage.world.server.wipe()
        stage.world.server.lease = None
        late = [one for one in saved if one["kind"] == "Solution"]
        for body in saved:
            if body["kind"] != "Solution":
                stage.world.server.create(body)
        made = len(stage.world.calls)
        stage.world.server.collect_garbage()
        stage.world.start("b")
        await asyncio.sleep(300.0)
        for body in late:
            stage.world.server.create(body)
        await asyncio.sleep(600.0)
        assert {one.arn for one in stage.world.external("SolutionVersion")} == trained
        assert set(stage.carried_out(made)) <= NO_HARM
        assert conditions(stage, SOLUTION)["LastTrainingSucceeded"] == "True/Trained"

    Stage().play(scenario)


def test_a_version_by_hand_is_nobodys_to_own() -> None:
    async def scenario(stage: Stage) -> None:
        by_hand = manifest(
            "SolutionVersion", NAMESPACE, "try", {"solutionRef": {"name": "for-you"}}
        )
        stage.want(*[one for one in wanted(stage) if one["kind"] != "Campaign"], by_hand)
        stage.user.apply_all()
        stage.world.start("a")
        await asyncio.sleep(2.5 * HOUR)
        body = stage.world.server.get(key("SolutionVersion", "try"))
        assert body is not None
        assert "ownerReferences" not in body["metadata"]

    Stage().play(scenario)


@pytest.mark.parametrize("seed", range(1, 7))
def test_a_crash_while_runs_are_made_again_costs_nothing(seed: int) -> None:
    async def scenario(stage: Stage) -> None:
        stage.want(*wanted(stage))
        stage.user.apply_all()
        stage.world.start("a")
        await asyncio.sleep(1.5 * HOUR)
        served, made = campaign_serves(stage), len(stage.world.calls)
        saved = backup(stage, "outdated")
        stage.world.processes.pop("a").kill("its cluster is lost")
        server = stage.world.server
        server.wipe()
        server.lease = None
        for body in saved:
            server.create(body)
        server.collect_garbage()
        runs = {
            key for key in server.objects if key.kind in {"DatasetImportJob", "SolutionVersion"}
        }
        stage.world.start("b")
        while runs <= server.objects.keys():  # noqa: ASYNC110 - virtual time
            await asyncio.sleep(0.001)
        stage.world.processes.pop("b").kill("between a run's end and its return")
        stage.world.start("c")
        await asyncio.sleep(600.0)
        assert set(stage.carried_out(made)) <= NO_HARM
        assert campaign_serves(stage) == served
        assert conditions(stage, SOLUTION)["LastTrainingSucceeded"] == "True/Trained"

    Stage(seed).play(scenario)
