"""A version that serves can't be deleted under the campaign that serves it, pinned or not."""

import asyncio
from typing import Any

import pytest

from reco.api.resource import Key
from reco.api.vocabulary import ANNOTATION_RUN_NOW
from tests.simulation.memory_store import key_of
from tests.simulation.staged import NAMESPACE, Stage, estate, key

CAMPAIGN, SOLUTION = key("Campaign", "for-you"), key("Solution", "for-you")


async def serve(stage: Stage, **campaign: Any) -> Key:
    """Have a campaign that follows; return the key of the one version."""
    left_out = {"by-hand", "once-more"}
    manifests = [one for one in estate(stage) if one["metadata"]["name"] not in left_out]
    stage.want(*manifests)
    stage.user.wanted[CAMPAIGN]["spec"] |= {"version": {"follow": "Latest"}} | campaign
    stage.user.apply_all()
    stage.world.start("a")
    await stage.settled()
    (version,) = versions(stage)
    return version


def versions(stage: Stage) -> list[Key]:
    return [key_of(one) for one in stage.world.server.list("SolutionVersion")]


def serving(stage: Stage) -> str | None:
    found = stage.world.server.objects[CAMPAIGN]["status"].get("serving") or {}
    return found.get("current")


def blocked(stage: Stage, version: Key) -> str:
    conditions = stage.world.server.objects[version]["status"]["conditions"]
    return "".join(one["message"] for one in conditions if one["type"] == "DeletionBlocked")


def train(stage: Stage, token: str) -> None:
    stage.user.wanted[SOLUTION]["metadata"]["annotations"] = {ANNOTATION_RUN_NOW: token}
    stage.user.apply(SOLUTION)


def test_the_one_version_that_serves_stays_until_another_does() -> None:
    async def scenario(stage: Stage) -> None:
        version = await serve(stage)
        stage.delete(version)
        await asyncio.sleep(3600)
        assert versions(stage) == [version]
        assert "Campaign shop/for-you serves it" in blocked(stage, version)
        assert serving(stage) == version.name
        training = stage.world.server.objects[SOLUTION]["status"]["training"]
        assert training["latest"] == version.name
        train(stage, "once more")
        await stage.gone(version)
        (newer,) = versions(stage)
        assert serving(stage) == newer.name
        await stage.settled()

    Stage().play(scenario)


def test_a_version_goes_once_the_campaign_has_fallen_back_to_the_one_before() -> None:
    async def scenario(stage: Stage) -> None:
        before = await serve(stage)
        train(stage, "once more")
        await stage.settled()
        (newer,) = set(versions(stage)) - {before}
        assert serving(stage) == newer.name
        stage.delete(newer)
        seen = []
        while stage.world.server.get(newer) is not None:
            seen.append(serving(stage))
            await asyncio.sleep(10)
        assert newer.name in seen
        assert serving(stage) == before.name
        await stage.settled()

    Stage().play(scenario)


@pytest.mark.parametrize("pause", [0, 5, 400])
@pytest.mark.parametrize("first", ["campaign", "version"])
def test_a_campaign_and_its_version_go_together_in_any_order(first: str, pause: int) -> None:
    async def scenario(stage: Stage) -> None:
        version = await serve(stage)
        stage.edit(SOLUTION, training={"owner": "None"})
        order = [CAMPAIGN, version] if first == "campaign" else [version, CAMPAIGN]
        for one in order:
            stage.delete(one)
            await asyncio.sleep(pause)
        await stage.gone(*order)
        assert not stage.world.external("Campaign")

    Stage().play(scenario)


def test_a_namespace_goes_as_a_whole() -> None:
    async def scenario(stage: Stage) -> None:
        await serve(stage)
        stage.user.wanted = {k: one for k, one in stage.user.wanted.items() if not k.namespace}
        stage.world.server.delete_namespace(NAMESPACE)
        await stage.until(
            "gone", lambda: [str(k) for k in stage.world.server.objects if k.namespace]
        )

    Stage().play(scenario)


def test_history_limits_still_prune() -> None:
    async def scenario(stage: Stage) -> None:
        await serve(stage)
        stage.edit(SOLUTION, successfulVersionsHistoryLimit=1)
        for number in range(4):
            train(stage, f"run {number}")
            await stage.settled()
        await asyncio.sleep(1800)
        assert len(versions(stage)) <= 2, "what serves, and what served before"
        assert not any(blocked(stage, one) for one in versions(stage))

    Stage().play(scenario)


def test_a_stopped_campaign_holds_no_version_back() -> None:
    async def scenario(stage: Stage) -> None:
        version = await serve(stage)
        stage.edit(CAMPAIGN, desiredState="Stopped")
        await stage.settled()
        stage.edit(SOLUTION, training={"owner": "None"})
        stage.delete(version)
        await stage.gone(version)

    Stage().play(scenario)
