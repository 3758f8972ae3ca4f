"""The offline log: an entry leaves the stream only once the file that holds it is written."""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import msgspec
import pyarrow.parquet as pq
import pytest
from redis.asyncio import Redis

from hack.valkey import ValkeyServer
from reco.serving import history
from reco.serving.event_log import EventLog, Flushing
from reco.serving.events import kept_events
from reco.serving.history import Keys
from reco.serving.metrics import Metrics
from reco.serving.online import connect
from reco.serving.requests import PutEventsRequest
from reco.serving.stream import Reader, create_groups, trim
from reco.serving.validation import decode
from reco.storage import StorageError
from reco.storage.folder import FolderStore
from reco.workload.storage import Places
from reco.workload.tasks import OnlineStore
from tests.serving.stack import GROUP, TRACKING, event

KEYS = Keys(GROUP)


@dataclass
class Bench:
    """A stream with events in it, and a volume that can be taken away."""

    client: Redis
    volume: Path

    def log(self) -> EventLog:
        """Return the log as a consumer that was just started has it."""
        reader = Reader(self.client, KEYS.stream, history.LOG_GROUP, "one", claim_after=60)
        flushing = Flushing(seconds=0.0, entries=1)
        return EventLog(reader, FolderStore(self.volume), Places(GROUP), flushing, Metrics())

    async def send(self, count: int) -> None:
        """Put events into the stream, one an entry."""
        for number in range(count):
            body = {"trackingId": TRACKING, "sessionId": "s", "eventList": [event(f"i{number}")]}
            kept = kept_events(decode(PutEventsRequest, msgspec.json.encode(body)), 0.0)
            fields = {history.KIND: history.EVENTS, history.DATA: msgspec.json.encode(kept)}
            await self.client.xadd(KEYS.stream, fields)  # type: ignore[arg-type] # bytes are fine

    async def unfinished(self, group: str) -> int:
        """Return how many entries were handed to a group and not acknowledged."""
        return int((await self.client.xpending(KEYS.stream, group))["pending"])

    def logged(self) -> set[str]:
        """Return the items of all events in storage."""
        files = self.volume.rglob("*.parquet")
        return {row["ITEM_ID"] for file in files for row in pq.read_table(file).to_pylist()}


@asynccontextmanager
async def bench(folder: Path, url: str) -> AsyncIterator[Bench]:
    client = connect(OnlineStore(url=url), timeout=5)
    try:
        await create_groups(client, KEYS.stream)
        yield Bench(client, folder / "volume")
    finally:
        await client.aclose()


def play(folder: Path, scenario: Callable[[Bench], Coroutine[None, None, None]]) -> None:
    async def go(url: str) -> None:
        async with bench(folder, url) as made:
            await scenario(made)

    with ValkeyServer(folder / "store") as store:
        asyncio.run(go(store.url))


@pytest.mark.parametrize("restarts", [False, True])
def test_what_storage_did_not_take_stays_in_the_stream(tmp_path: Path, *, restarts: bool) -> None:
    async def scenario(at: Bench) -> None:
        await at.send(3)
        log = at.log()
        with pytest.raises(StorageError):
            await log.step()  # the volume is not mounted
        assert await at.unfinished(history.LOG_GROUP) == 3
        at.volume.mkdir()
        await (at.log() if restarts else log).step()
        assert at.logged() == {"i0", "i1", "i2"}
        assert await at.unfinished(history.LOG_GROUP) == 0

    play(tmp_path, scenario)


def test_what_one_group_still_holds_is_not_trimmed(tmp_path: Path) -> None:
    async def scenario(at: Bench) -> None:
        await at.send(300)  # the server trims by the hundred
        await Reader(at.client, KEYS.stream, history.LOG_GROUP, "one", claim_after=60).read(300)
        fold = Reader(at.client, KEYS.stream, history.FOLD_GROUP, "one", claim_after=60)
        await fold.acknowledge([entry.id for entry in await fold.read(300)])
        assert await trim(at.client, KEYS.stream) == {history.LOG_GROUP: 300, history.FOLD_GROUP: 0}
        assert await at.client.xlen(KEYS.stream) == 300
        log = Reader(at.client, KEYS.stream, history.LOG_GROUP, "one", claim_after=60)
        await log.acknowledge([entry.id for entry in await log.read(300)])
        await trim(at.client, KEYS.stream)
        assert await at.client.xlen(KEYS.stream) < 100

    play(tmp_path, scenario)
