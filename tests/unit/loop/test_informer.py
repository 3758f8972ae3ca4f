import asyncio
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from reco.api.kinds import KINDS
from reco.api.resource import Key, Resource, parse
from reco.cluster.errors import StoreUnavailable
from reco.loop.informer import Informer
from reco.loop.queue import WorkQueue
from reco.loop.routing import connect

Body = dict[str, Any]


class Cluster:
    """What lists show."""

    def __init__(self) -> None:
        self.bodies: dict[Key, Body] = {}
        self.lists: list[str] = []
        self.away = False

    def keep(self, body: Body) -> None:
        self.bodies[parse(body).key] = body

    async def list(self, kind: str) -> Sequence[Resource]:
        if self.away:
            raise StoreUnavailable("away")
        self.lists.append(kind)
        return [parse(body) for key, body in self.bodies.items() if key.kind == kind]


class World:
    def __init__(self) -> None:
        clock = asyncio.get_running_loop().time
        self.cluster = Cluster()
        self.queue = WorkQueue[Key](clock)
        self.cache = connect(self.queue, clock)
        self.missed: list[tuple[str, int]] = []
        self.informer = Informer(
            self.cache,
            self.cluster,  # type: ignore[arg-type]  # the informer only lists
            clock=clock,
            relist=300,
            missed=lambda kind, count: self.missed.append((kind, count)),
        )

    def names(self, kind: str) -> list[str]:
        return [resource.key.name for resource in self.cache.all(kind)]

    def queued(self) -> list[str]:
        names = []
        while (key := self.queue.take()) is not None:
            names.append(key.name)
            self.queue.done(key)
        return names


def test_the_first_lists_fill_the_cache_and_queue_everything(
    run: Any, body: Callable[..., Body]
) -> None:
    async def main() -> None:
        world = World()
        world.cluster.keep(body("Schema", "a", spec={"avro": {}}))
        world.cluster.keep(body("Solution", "b"))
        await world.informer.sync()
        assert world.cache.synced
        assert sorted(world.queued()) == ["a", "b"]
        assert world.missed == []

    run(main)


def test_watch_events_change_the_cache(run: Any, body: Callable[..., Body]) -> None:
    async def main() -> None:
        world = World()
        world.informer.handle("ADDED", body("Solution", "a"))
        world.informer.handle("ADDED", body("Solution", "b"))
        world.informer.handle("MODIFIED", body("Solution", "b", 2, generation=2))
        world.informer.handle("DELETED", body("Solution", "a", 3))
        assert world.names("Solution") == ["b"]
        assert world.queued() == ["a", "b"]

    run(main)


def test_what_was_deleted_while_disconnected_leaves_the_cache_soon_after_the_replay(
    run: Any, body: Callable[..., Body]
) -> None:
    async def main() -> None:
        world = World()
        for name in ("kept", "vanished"):
            world.cluster.keep(body("Solution", name))
        await world.informer.sync()
        del world.cluster.bodies[Key("Solution", "shop", "vanished")]
        running = asyncio.create_task(world.informer.run())
        world.informer.handle(None, body("Solution", "kept"))  # the watch comes back
        await asyncio.sleep(5)
        assert world.names("Solution") == ["kept"]
        assert world.missed == [("Solution", 1)]
        running.cancel()

    run(main)


def test_every_kind_is_listed_once_a_period_and_not_all_at_once(run: Any) -> None:
    async def main() -> None:
        world = World()
        await world.informer.sync()
        running = asyncio.create_task(world.informer.run())
        await asyncio.sleep(301)
        assert world.cluster.lists.count("EngineClass") == 2
        assert world.cluster.lists.count("EventTracker") == 1
        await asyncio.sleep(299)
        assert all(world.cluster.lists.count(kind) >= 2 for kind in KINDS)
        assert world.missed == []
        running.cancel()

    run(main)


def test_nothing_begins_before_the_api_has_shown_every_kind(run: Any) -> None:
    async def main() -> None:
        world = World()
        world.cluster.away = True
        syncing = asyncio.create_task(world.informer.sync())
        await asyncio.sleep(60)
        assert not syncing.done()
        assert not world.cache.synced
        world.cluster.away = False
        await asyncio.wait_for(syncing, 10)
        assert world.cache.synced

    run(main)


def test_silence_grows_while_the_api_is_away(run: Any) -> None:
    async def main() -> None:
        world = World()
        await world.informer.sync()
        world.cluster.away = True
        running = asyncio.create_task(world.informer.run())
        await asyncio.sleep(1000)
        assert world.informer.silence() == pytest.approx(1000, abs=2)
        world.cluster.away = False
        await asyncio.sleep(10)
        assert world.informer.silence() <= 10
        running.cancel()

    run(main)


def test_copies_of_the_spec_that_kubectl_leaves_behind_are_not_kept(
    run: Any, body: Callable[..., Body]
) -> None:
    async def main() -> None:
        world = World()
        annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "note": "mine"}
        world.informer.handle("ADDED", body("Solution", "a", annotations=annotations))
        resource = world.cache.get(Key("Solution", "shop", "a"))
        assert resource is not None
        assert dict(resource.annotations) == {"note": "mine"}

    run(main)
