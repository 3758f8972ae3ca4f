"""What was read of the online store is current until it changes, or until nobody could tell."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
from redis.exceptions import RedisError

from hack.valkey import ValkeyServer
from reco.serving.online import connect
from reco.serving.tracked import MOST_CURRENT, Tracked
from reco.workload.tasks import OnlineStore

TIMEOUT = 0.2


@pytest.fixture
def store(tmp_path: Path) -> Iterator[ValkeyServer]:
    with ValkeyServer(tmp_path / "store") as server:
        yield server


@pytest.fixture
def other(store: ValkeyServer) -> Iterator["redis.Redis"]:
    """Somebody else who writes."""
    with redis.Redis.from_url(store.url) as client:
        yield client


@asynccontextmanager
async def reading(url: str) -> AsyncIterator[Tracked]:
    client = connect(OnlineStore(url=url), timeout=TIMEOUT)
    tracked = Tracked(client, TIMEOUT)
    try:
        yield tracked
    finally:
        await tracked.close()
        await client.aclose()


async def until(condition: Callable[[], object], seconds: float = 5.0) -> None:
    async with asyncio.timeout(seconds):
        while not condition():  # noqa: ASYNC110 - what tells is what is tested
            await asyncio.sleep(0.001)


def run(store: ValkeyServer, test: Callable[[Tracked], Coroutine[None, None, None]]) -> None:
    async def go() -> None:
        async with reading(store.url) as tracked:
            await test(tracked)

    asyncio.run(go())


@pytest.mark.parametrize(
    "change",
    [
        lambda other: other.append("a", b"2"),
        lambda other: other.delete("a"),
        lambda other: other.pexpire("a", 1),
        lambda other: other.eval("redis.call('SET', KEYS[1], '3')", 1, "a"),
    ],
    ids=["appended", "deleted", "expired", "by a script"],
)
def test_what_was_read_is_current_until_it_changes(
    store: ValkeyServer, other: "redis.Redis", change: Callable[["redis.Redis"], object]
) -> None:
    async def test(tracked: Tracked) -> None:
        other.mset({"a": b"1", "b": b"1"})
        assert not tracked.current("a"), "it was never read"
        assert await tracked.get(["a", "b", "none"]) == [b"1", b"1", None]
        assert all(map(tracked.current, ("a", "b", "none")))
        change(other)
        await until(lambda: not tracked.current("a"))
        assert tracked.current("b")
        assert await tracked.get(["a"]) == [other.get("a")]
        await until(lambda: tracked.current("a"))

    run(store, test)


def test_what_there_was_not_is_current_until_there_is(
    store: ValkeyServer, other: "redis.Redis"
) -> None:
    async def test(tracked: Tracked) -> None:
        assert await tracked.get(["a"]) == [None]
        assert tracked.current("a")
        other.set("a", b"1")
        await until(lambda: not tracked.current("a"))

    run(store, test)


def test_a_store_that_was_emptied_leaves_nothing_current(
    store: ValkeyServer, other: "redis.Redis"
) -> None:
    async def test(tracked: Tracked) -> None:
        await tracked.get(["a", "b"])
        other.flushall()
        await until(lambda: not tracked.current("a") and not tracked.current("b"))

    run(store, test)


def test_changes_that_cross_questions_are_never_missed(
    store: ValkeyServer, other: "redis.Redis"
) -> None:
    keys = [f"k{number}" for number in range(20)]

    async def test(tracked: Tracked) -> None:
        read: dict[str, bytes | None] = {}

        def write() -> None:
            for number in range(2000):
                other.set(keys[number % len(keys)], str(number))

        async def ask(mine: list[str]) -> None:
            while not writing.done():
                read.update(zip(mine, await tracked.get(mine), strict=True))

        writing = asyncio.ensure_future(asyncio.to_thread(write))
        await asyncio.gather(writing, ask(keys[:10]), ask(keys[10:]), ask(keys[5:7]))
        settled = {key: other.get(key) for key in keys}
        await until(lambda: all(read[key] == settled[key] for key in keys if tracked.current(key)))

    run(store, test)


@pytest.mark.parametrize("fault", ["stopped", "frozen", "connection closed"])
def test_nothing_is_current_that_nobody_can_tell_of(
    store: ValkeyServer, other: "redis.Redis", fault: str
) -> None:
    faults: dict[str, tuple[Callable[[], object], Callable[[], object]]] = {
        "stopped": (store.kill, store.start),
        "frozen": (store.freeze, store.thaw),
        "connection closed": (lambda: other.client_kill_filter(_type="normal"), lambda: None),
    }
    begin, end = faults[fault]

    async def test(tracked: Tracked) -> None:
        await tracked.get(["a"])
        assert tracked.current("a")
        started = time.monotonic()
        await asyncio.to_thread(begin)
        await until(lambda: not tracked.current("a"))
        assert time.monotonic() - started < 1, "answers are never older than that"
        if fault != "connection closed":
            with pytest.raises((TimeoutError, RedisError)):
                await tracked.get(["a"])
        await asyncio.to_thread(end)
        assert await tracked.get(["a"]) == [None]
        assert tracked.current("a")

    run(store, test)


def test_a_store_that_may_not_tell_is_asked_each_time(
    store: ValkeyServer, other: "redis.Redis", caplog: pytest.LogCaptureFixture
) -> None:
    other.acl_setuser(
        "reader", enabled=True, passwords=["+secret"], keys=["*"],
        commands=["+@all", "-client|tracking"],
    )  # fmt: skip

    async def go() -> None:
        async with reading(store.url.replace("://", "://reader:secret@")) as tracked:
            for value in (b"1", b"2"):
                other.set("a", value)
                assert await tracked.get(["a"]) == [value]
                assert not tracked.current("a")

    asyncio.run(go())
    assert [record.message for record in caplog.records if "can't tell" in record.message]


def test_how_much_is_known_to_be_current_is_bounded(store: ValkeyServer) -> None:
    async def test(tracked: Tracked) -> None:
        await tracked.get(["a"])
        await tracked.get([f"k{number}" for number in range(MOST_CURRENT)])
        await tracked.get(["b"])
        assert tracked.current("b")
        assert not tracked.current("a")

    run(store, test)
