"""What happens to a resource when the operator itself fails, or may no longer act."""

import asyncio
import itertools
import random
from collections.abc import Callable, Collection
from datetime import UTC, datetime
from typing import Any, NoReturn

import pytest

from reco.api.resource import Key, Resource
from reco.api.vocabulary import API_VERSION, FINALIZER
from reco.decide.model import Absent, Desired, EngineView, Identity
from reco.decide.references import References
from reco.loop.acting import FenceLost
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


class LeadershipGoesWhileWaiting:
    """An engine whose turn comes only after this process has lost the lease."""

    view = EngineView("personalize", region="eu-west-1")

    def __init__(self) -> None:
        self.leads = True
        self.created: list[str] = []

    def get(self, _engine_class: Resource) -> Any:
        return self

    def forget(self, key: Key) -> None:
        """Do nothing."""

    def desired(self, _resource: Resource, _references: References) -> Desired:
        return Desired("shop_movies", {}, tags={})

    async def observe(self, *_args: Any, **_options: Any) -> Absent:
        return Absent()

    async def turn(self) -> None:
        self.leads = False

    async def create(self, kind: str, _desired: Desired, _tags: dict[str, str]) -> str:
        self.created.append(kind)
        return "arn"


class EmptyEngine:
    """An engine that has nothing, and makes whatever it is asked for."""

    def __init__(self, unproven: Collection[str] = ()) -> None:
        self.view = EngineView("personalize", region="eu-west-1", unproven=frozenset(unproven))
        self.created: list[str] = []

    def get(self, _engine_class: Resource) -> Any:
        return self

    def forget(self, key: Key) -> None:
        """Do nothing."""

    def desired(self, _resource: Resource, _references: References) -> Desired:
        return Desired("shop_movies", {}, tags={})

    async def observe(self, *_args: Any, **_options: Any) -> Absent:
        return Absent()

    async def turn(self) -> None:
        """Let it go on at once."""

    async def create(self, kind: str, _desired: Desired, _tags: dict[str, str]) -> str:
        self.created.append(kind)
        return "arn"


class Bench:
    """A reconciler over a store in memory that holds a class and a dataset group."""

    key = Key("DatasetGroup", "shop", "movies")

    def __init__(self, engines: Any, fence: Callable[[], bool] = lambda: True) -> None:
        self.server = server = MemoryStore(lambda: NOW, map(str, itertools.count()).__next__)
        server.create_namespace("shop")
        queue = WorkQueue[Key](lambda: 0.0, rng=random.Random(0))
        self.cache = connect(queue, lambda: 0.0)
        self.store = StoreClient(server, carry)
        self.reconciler = Reconciler(
            store=self.store,
            cache=self.cache,
            queue=queue,
            engines=engines,
            identity=Identity("cluster"),
            clock=lambda: NOW,
            fence=fence,
        )
        for kind, metadata, spec in (
            ("EngineClass", {"name": "personalize"}, CLASS),
            (
                "DatasetGroup",
                {"name": "movies", "namespace": "shop", "finalizers": [FINALIZER]},
                SPECS["DatasetGroup"],
            ),
        ):
            server.create(
                {"apiVersion": API_VERSION, "kind": kind, "metadata": metadata, "spec": spec}
            )

    async def hear(self) -> None:
        """Bring the cache up to date."""
        for kind in ("EngineClass", "DatasetGroup"):
            for resource in await self.store.list(kind):
                self.cache.replace(resource)

    async def look(self) -> None:
        await self.hear()
        await self.reconciler.reconcile(self.key)

    async def look_late(self) -> dict[str, Any]:
        """Look with news from before another replica wrote; return the status in the end."""
        await self.hear()
        self.server.patch_status(self.key, {"observedGeneration": 0}, None, "another replica")
        await self.reconciler.reconcile(self.key)
        body = self.server.get(self.key)
        assert body is not None
        return dict(body["status"])

    async def conditions(self) -> dict[str, str]:
        shown = await self.store.get(self.key)
        assert shown is not None
        return {c.type: f"{c.reason}: {c.message}" for c in shown.status.conditions}


def test_r11_a_bug_is_told_in_the_status_and_not_only_in_the_log() -> None:
    bench = Bench(BrokenEngines())

    with pytest.raises(ZeroDivisionError):
        asyncio.run(bench.look())

    conditions = asyncio.run(bench.conditions())
    assert conditions["Synced"].startswith("InternalError: the operator failed: ZeroDivisionError")


def test_r12_who_loses_the_lease_while_waiting_for_a_turn_changes_nothing() -> None:
    engine = LeadershipGoesWhileWaiting()
    bench = Bench(engine, fence=lambda: engine.leads)

    with pytest.raises(FenceLost):
        asyncio.run(bench.look())

    assert engine.created == []


def test_a_status_that_another_replica_has_written_since_is_left_alone() -> None:
    engine = EmptyEngine()

    assert asyncio.run(Bench(engine).look_late()) == {"observedGeneration": 0}
    assert engine.created == ["DatasetGroup"], "what may be repeated is not held up"


def test_r4_who_has_old_news_makes_no_call_that_must_not_be_repeated() -> None:
    engine = EmptyEngine(unproven={"DatasetGroup"})

    assert asyncio.run(Bench(engine).look_late()) == {"observedGeneration": 0}
    assert engine.created == []
