"""What a resource shows when the operator itself fails."""

import asyncio
import random
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest

from reco.api.resource import Key, Resource
from reco.api.vocabulary import API_VERSION
from reco.decide.model import Identity
from reco.loop.queue import WorkQueue
from reco.loop.reconciler import Reconciler
from reco.loop.routing import connect
from tests.simulation.memory_store import MemoryStore, StoreClient
from tests.support.situations import SPECS

NOW = datetime(2026, 3, 2, 12, tzinfo=UTC)
CLASS = {
    "engine": "Personalize",
    "personalize": {"region": "eu-west-1"},
}


class BrokenEngines:
    """Engines with a bug."""

    def get(self, engine_class: Resource) -> NoReturn:
        raise ZeroDivisionError(engine_class.key.name)

    def forget(self, key: Key) -> None:
        """Do nothing."""


async def carry(_what: str, request: Callable[[], Any]) -> Any:
    return request()


def test_r11_a_bug_is_told_in_the_status_and_not_only_in_the_log() -> None:
    server = MemoryStore(lambda: NOW, iter("abcdefgh").__next__)
    server.create_namespace("shop")
    queue = WorkQueue[Key](lambda: 0.0, rng=random.Random(0))
    cache = connect(queue, lambda: 0.0)
    send: Callable[[str, Callable[[], Any]], Awaitable[Any]] = carry
    store = StoreClient(server, send)
    reconciler = Reconciler(
        store=store,
        cache=cache,
        queue=queue,
        engines=BrokenEngines(),
        identity=Identity("cluster"),
        clock=lambda: NOW,
        fence=lambda: True,
    )
    for kind, namespace, name, spec in (
        ("EngineClass", "", "personalize", CLASS),
        ("DatasetGroup", "shop", "movies", SPECS["DatasetGroup"]),
    ):
        metadata = {"name": name} | ({"namespace": namespace} if namespace else {})
        server.create({"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec})
    key = Key("DatasetGroup", "shop", "movies")

    async def look() -> dict[str, str]:
        for resource in [*await store.list("EngineClass"), *await store.list("DatasetGroup")]:
            cache.replace(resource)
        with pytest.raises(ZeroDivisionError):
            await reconciler.reconcile(key)
        shown = await store.get(key)
        assert shown is not None
        return {c.type: f"{c.reason}: {c.message}" for c in shown.status.conditions}

    conditions = asyncio.run(look())

    assert conditions["Synced"].startswith("InternalError: the operator failed: ZeroDivisionError")
