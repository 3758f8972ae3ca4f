"""What is acknowledged is kept: by the store as we run it, and as collectors ask of any other."""

import asyncio
import json
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis
from redis.asyncio import Redis

from hack.valkey import ValkeyServer
from reco.serving.collector import Collector, check
from reco.serving.errors import ServiceError
from reco.serving.history import Keys
from reco.serving.http import Request
from reco.serving.metrics import Metrics
from reco.serving.online import connect
from reco.workload.tasks import CollectorTask, Group, OnlineStore, Storage
from tests.serving.stack import GROUP, OWNER, TRACKING, event
from tests.unit.engines.incluster.test_specs import objects, place

DURABLE = {"appendonly": "yes", "appendfsync": "always", "maxmemory-policy": "noeviction"}
EVENTS = json.dumps({"trackingId": TRACKING, "sessionId": "s", "eventList": [event("i1")]}).encode()


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "store") as server:
        yield server


def collector(store: ValkeyServer, client: Redis) -> Collector:
    task = CollectorTask(
        group=Group(name=GROUP, storage=Storage(path="/nowhere"), owner=OWNER),
        tracking_id=TRACKING,
        online_store=OnlineStore(url=store.url),
    )
    made = Collector(task, Metrics())
    made.start(client)
    return made


def settings_of_ours() -> dict[str, str]:
    """Return the settings of the store that the operator runs."""
    [container] = [
        container
        for one in objects("DatasetGroup", place())
        if one["kind"] == "StatefulSet"
        for container in one["spec"]["template"]["spec"]["containers"]
    ]
    words = iter(container["args"])
    return {name.removeprefix("--"): value for name, value in zip(words, words, strict=True)}


def told(store: ValkeyServer, **changed: str) -> set[str]:
    """Return what a collector says of a store with some settings."""

    async def look() -> set[str]:
        client = connect(OnlineStore(url=store.url), timeout=5)
        try:
            for name, value in changed.items():
                await client.config_set(name.replace("_", "-"), value)
            return set(await check(client))
        finally:
            await client.aclose()

    return asyncio.run(look())


def test_the_store_that_we_run_writes_through_and_drops_nothing(store: ValkeyServer) -> None:
    ours = {name: settings_of_ours()[name] for name in DURABLE}
    assert ours == DURABLE
    assert told(store, **{name.replace("-", "_"): value for name, value in ours.items()}) == set()


@pytest.mark.parametrize(
    ("name", "value"),
    [("appendfsync", "everysec"), ("appendonly", "no"), ("maxmemory-policy", "allkeys-lru")],
)
def test_a_store_that_may_lose_events_is_told_of(
    store: ValkeyServer, name: str, value: str
) -> None:
    assert told(store) == set()
    assert told(store, **{name.replace("-", "_"): value}) == {name}


@pytest.mark.parametrize("fault", ["away", "full"])
def test_nothing_is_acknowledged_that_the_store_has_not(store: ValkeyServer, fault: str) -> None:
    async def put() -> None:
        client = connect(OnlineStore(url=store.url), timeout=2)
        try:
            await collector(store, client).put_events(Request(EVENTS, ()))
        finally:
            await client.aclose()

    asyncio.run(put())
    with redis.Redis.from_url(store.url) as client:
        if fault == "full":
            client.config_set("maxmemory", 1)
    if fault == "away":
        store.kill()
    with pytest.raises(ServiceError, match="could not be kept"):
        asyncio.run(put())
    if fault == "away":
        store.start()
    with redis.Redis.from_url(store.url) as client:
        assert client.xlen(Keys(GROUP).stream) == 1
