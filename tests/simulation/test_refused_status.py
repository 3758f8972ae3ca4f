"""A status that the API server refuses is told of, and costs no engine call twice."""

import asyncio
from typing import Any

from reco.api.resource import Key
from reco.api.vocabulary import ANNOTATION_RECONCILE, ANNOTATION_RUN_NOW
from reco.decide.model import Desired
from tests.simulation.desk import CAMPAIGN, Desk, OneObjectEngine, campaign, opened, standing

LONG = "2026-03-02T12:00:00Z because " + "x" * 300
TOO_LONG_ARN = "arn:" + "x" * 300


def annotate(desk: Desk, key: Key, name: str, value: str) -> None:
    desk.server.update(key, {"metadata": {"annotations": {name: value}}})


def test_a_long_token_is_handled_once_and_told_from_another() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign())
        await desk.look(CAMPAIGN)
        echoes = []
        for token in (LONG, LONG + "1", LONG, "short", ""):
            annotate(desk, CAMPAIGN, ANNOTATION_RECONCILE, token)
            fresh = len(desk.engine.asked_afresh)
            for _ in range(3):
                await desk.look(CAMPAIGN)
            assert sum(desk.engine.asked_afresh[fresh:]) == 1, "one look asks for all anew"
            assert desk.conditions(CAMPAIGN)["Ready"] == "True/InSync"
            echoes.append(desk.status(CAMPAIGN)["lastHandledReconcileAt"])
        assert echoes[0] == echoes[2] != echoes[1]
        assert echoes[0].startswith("2026-03-02T12:00:00Z because ")
        assert echoes[3:] == ["short", ""]

    asyncio.run(scenario())


def stretched(desk: Desk, arn: str = TOO_LONG_ARN) -> None:
    """Let the engine call its object what no status can hold."""
    desk.engine.seen = standing(id=arn)
    desk.engine.wanted = Desired("shop_thing", {"size": 2}, frozenset({"size"}), tags={})


def test_a_refused_status_is_told_and_no_call_is_repeated() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign())
        await desk.look(CAMPAIGN)
        stretched(desk)
        desk.events.clear()
        for _ in range(6):
            await desk.look(CAMPAIGN)
            desk.queue.take()
        assert desk.engine.calls == ["update Campaign {'size': 2}"]
        conditions = desk.conditions(CAMPAIGN)
        assert conditions["Synced"] == "False/StatusRefused"
        assert conditions["Ready"] == "Unknown/StatusRefused"
        assert conditions["Stalled"] == "True/StatusRefused"
        assert conditions["Available"] == "True/InSync"
        (synced,) = [c for c in desk.status(CAMPAIGN)["conditions"] if c["type"] == "Synced"]
        assert "status.external.arn" in synced["message"]
        warnings = [event for event in desk.events if event[1] == "StatusRefused"]
        assert [type_ for type_, _, _ in warnings] == ["Warning"]
        assert desk.queue.failures(CAMPAIGN) == 6

        stretched(desk, "arn:thing")
        await desk.look(CAMPAIGN)
        assert len(desk.engine.calls) == 2
        conditions = desk.conditions(CAMPAIGN)
        assert conditions["Synced"] == "False/OutOfSync"
        assert "Stalled" not in conditions

    asyncio.run(scenario())


def test_a_refused_status_is_written_once_and_then_left() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign())
        await desk.look(CAMPAIGN)
        stretched(desk)
        await desk.look(CAMPAIGN)
        version = desk.server.get(CAMPAIGN)
        for _ in range(3):
            await desk.look(CAMPAIGN)
        assert desk.server.get(CAMPAIGN) == version

    asyncio.run(scenario())


def test_a_job_that_has_ended_stays_so_with_a_refused_status() -> None:
    async def scenario() -> None:
        key = Key("SolutionVersion", "shop", "good")
        desk = opened(OneObjectEngine(seen=standing(id=TOO_LONG_ARN)))
        await desk.look(key)
        await desk.look(key)
        conditions = desk.conditions(key)
        assert conditions["Succeeded"] == conditions["Ready"] == "True/InSync"
        assert conditions["Synced"] == "False/StatusRefused"
        assert "Stalled" not in conditions

    asyncio.run(scenario())


def test_a_long_run_now_trains_once() -> None:
    async def scenario() -> None:
        solution = Key("Solution", "shop", "sol")
        desk = opened(OneObjectEngine(seen=standing()))
        trained: list[Any] = []
        for token in (LONG, LONG + "1"):
            annotate(desk, solution, ANNOTATION_RUN_NOW, token)
            for _ in range(4):
                await desk.look(solution)
            versions = [one["metadata"]["name"] for one in desk.server.list("SolutionVersion")]
            trained.append(set(versions) - {"good"} - set().union(*trained))
            for name in trained[-1]:
                desk.server.delete(Key("SolutionVersion", "shop", name))
            await desk.look(solution)
            assert [one["metadata"]["name"] for one in desk.server.list("SolutionVersion")] == [
                "good"
            ]
        assert [len(made) for made in trained] == [1, 1]

    asyncio.run(scenario())
