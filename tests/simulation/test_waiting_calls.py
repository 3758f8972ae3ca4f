"""A call that waits for its turn is made only if it would be decided again by then."""

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from reco.api.resource import Key
from reco.api.vocabulary import ANNOTATION_PAUSED
from reco.decide.model import Desired, State
from tests.simulation.desk import (
    CAMPAIGN,
    CLASS,
    HELD,
    VERSION,
    Desk,
    OneObjectEngine,
    campaign,
    opened,
    standing,
    version,
)


def edit_spec(desk: Desk, key: Key, **spec: Any) -> None:
    desk.server.update(key, {"spec": spec})


def pause(desk: Desk, key: Key) -> None:
    desk.server.update(key, {"metadata": {"annotations": {ANNOTATION_PAUSED: "true"}}})


def released(desk: Desk, key: Key) -> None:
    """Take the finalizer off a resource that is being deleted, as a desperate person does."""
    desk.server.update(key, {"metadata": {"finalizers": []}})


Edit = Callable[[Desk], object]


def test_a_delete_that_waits_heeds_a_retain_said_meanwhile() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign(deletionPolicy="Delete"))
        desk.server.delete(CAMPAIGN)
        await desk.look_and_meanwhile(
            CAMPAIGN, lambda: edit_spec(desk, CAMPAIGN, deletionPolicy="Retain")
        )
        assert desk.engine.calls == []
        await desk.look(CAMPAIGN)
        assert desk.engine.calls == []
        assert desk.server.get(CAMPAIGN) is None

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("spec", "edit"),
    [
        ({}, lambda desk: edit_spec(desk, CLASS, deletionPolicy="Retain")),
        ({"deletionPolicy": "Delete"}, lambda desk: released(desk, CAMPAIGN)),
        (
            {"deletionPolicy": "Delete"},
            lambda desk: desk.server.update(CAMPAIGN, {"spec": {"deletionPolicy": "Retain"}}),
        ),
    ],
    ids=["the class says Retain", "the resource is let go", "the spec says Retain"],
)
def test_a_delete_asks_the_api_server_and_not_a_lagging_cache(
    spec: dict[str, Any], edit: Edit
) -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign(**spec))
        desk.server.delete(CAMPAIGN)
        desk.lagging = True
        await desk.look_and_meanwhile(CAMPAIGN, lambda: edit(desk))
        assert desk.engine.calls == []

    asyncio.run(scenario())


def test_a_finalizer_goes_by_the_policy_that_the_class_has_now() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign())
        edit_spec(desk, CLASS, deletionPolicy="Retain")
        desk.server.delete(CAMPAIGN)
        desk.lagging = True
        edit_spec(desk, CLASS, deletionPolicy="Delete")
        await desk.look(CAMPAIGN)
        assert desk.server.get(CAMPAIGN) is not None
        await desk.look(CAMPAIGN)
        assert desk.engine.calls == ["delete Campaign"]

    asyncio.run(scenario())


def test_a_delete_for_a_stop_heeds_running_again() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign(desiredState="Stopped"))
        await desk.look_and_meanwhile(
            CAMPAIGN, lambda: edit_spec(desk, CAMPAIGN, desiredState="Running")
        )
        assert desk.engine.calls == []

    asyncio.run(scenario())


def test_an_update_heeds_a_pause_and_a_later_edit() -> None:
    async def scenario() -> None:
        wanted = Desired("shop_thing", {"size": 2}, frozenset({"size"}), tags={})
        desk = opened(OneObjectEngine(wanted, standing()), campaign())
        await desk.look_and_meanwhile(CAMPAIGN, lambda: pause(desk, CAMPAIGN))
        assert desk.engine.calls == []
        desk.server.update(CAMPAIGN, {"metadata": {"annotations": {ANNOTATION_PAUSED: None}}})

        def bigger() -> None:
            desk.engine.wanted = Desired("shop_thing", {"size": 3}, frozenset({"size"}), tags={})
            edit_spec(desk, CAMPAIGN, minProvisionedTPS=3)

        await desk.look_and_meanwhile(CAMPAIGN, bigger)
        assert desk.engine.calls == []
        await desk.look(CAMPAIGN)
        assert desk.engine.calls == ["update Campaign {'size': 3}"]

    asyncio.run(scenario())


@pytest.mark.parametrize(
    "edit",
    [
        lambda desk: pause(desk, VERSION),
        lambda desk: desk.server.delete(VERSION),
        lambda desk: edit_spec(desk, VERSION, managementPolicy="Observe"),
        lambda desk: desk.server.delete(Key("Solution", "shop", "sol")),
    ],
    ids=["paused", "deleted", "only observed", "its parent is going"],
)
def test_a_paid_call_that_waits_is_not_made_for_what_changed(edit: Edit) -> None:
    async def scenario() -> None:
        made = version()
        made["status"] = {}
        desk = opened(OneObjectEngine(), made)
        desk.server.update(Key("Solution", "shop", "sol"), {"metadata": HELD})
        await desk.look_and_meanwhile(VERSION, lambda: edit(desk))
        assert desk.engine.calls == []
        assert "intent" not in desk.status(VERSION)

    asyncio.run(scenario())


def test_a_paid_call_is_not_made_for_a_pause_that_the_cache_has_not_heard_of() -> None:
    async def scenario() -> None:
        made = version()
        made["status"] = {}
        desk = opened(OneObjectEngine(), made)
        desk.lagging = True
        await desk.look_and_meanwhile(VERSION, lambda: pause(desk, VERSION))
        assert desk.engine.calls == []

    asyncio.run(scenario())


def test_a_training_is_stopped_only_while_it_is_to_be_deleted() -> None:
    async def scenario() -> None:
        engine = OneObjectEngine(seen=standing(State.RUNNING))
        desk = opened(engine, version(deletionPolicy="Delete"))
        desk.server.delete(VERSION)
        desk.lagging = True
        await desk.look_and_meanwhile(
            VERSION, lambda: edit_spec(desk, VERSION, deletionPolicy="Retain")
        )
        assert engine.calls == []

    asyncio.run(scenario())


def test_what_did_not_change_is_done_after_the_wait_at_once() -> None:
    async def scenario() -> None:
        desk = opened(OneObjectEngine(seen=standing()), campaign(deletionPolicy="Delete"))
        desk.server.delete(CAMPAIGN)
        await desk.look_and_meanwhile(
            CAMPAIGN,
            lambda: desk.server.update(CAMPAIGN, {"metadata": {"labels": {"team": "media"}}}),
        )
        assert desk.engine.calls == ["delete Campaign"]
        reads = [request for request in desk.requests if request.startswith("get")]
        assert reads == [f"get {CAMPAIGN}"]

    asyncio.run(scenario())
