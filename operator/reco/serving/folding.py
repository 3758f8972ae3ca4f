"""Events into users' histories: the consumer that makes the next answer different."""

import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import NoScriptError, RedisError, ResponseError

from reco.serving import history
from reco.serving.events import KeptEvents
from reco.serving.history import FOLD, Keys
from reco.serving.metrics import REFLECTIONS, Metrics
from reco.serving.stream import Entry, Reader

logger = logging.getLogger(__name__)

BATCH: Final = 500
CLAIM_SECONDS: Final = 5.0


@dataclass(frozen=True, slots=True)
class Limits:
    """What stays of a history: at most so many events, so many seconds after the last one."""

    events: int
    seconds: int


class Folder:
    """Folds what a reader gives; entries are folded at least once, and once only counts."""

    def __init__(
        self, client: Redis, keys: Keys, reader: Reader, limits: Limits, metrics: Metrics
    ) -> None:
        self._client = client
        self._keys = keys
        self._reader = reader
        self._limits = limits
        self._script = ""
        self._seconds = metrics.histogram(
            "reco_reflection_seconds", "From an event's arrival to its place in the history.",
            REFLECTIONS,
        )  # fmt: skip
        self._folded = metrics.counter("reco_events_folded", "Events new to a history.")
        self._unreadable = metrics.counter("reco_entries_unreadable", "Entries that hold no event.")

    async def step(self) -> None:
        """Fold the next entries; raises `RedisError` if that fails, and tries them again then."""
        entries = await self._reader.read(BATCH)
        if not entries:
            return
        try:
            done = await self._fold(entries)
            await self._reader.acknowledge([entry.id for entry in done])
        except RedisError:
            self._reader.start_over()
            raise
        if len(done) < len(entries):
            self._reader.start_over()
            raise ResponseError(f"{len(entries) - len(done)} entries could not be folded")

    async def _fold(self, entries: Sequence[Entry]) -> list[Entry]:
        """Return those that are done: folded, or never will be."""
        if not self._script:
            self._script = await self._client.script_load(FOLD)
        kept = [(entry, self._read(entry)) for entry in entries]
        pipeline = self._client.pipeline(transaction=False)
        for _, one in kept:
            if one is not None:
                self._add(pipeline, one)
        results = iter(await pipeline.execute(raise_on_error=False))
        now = time.time()
        done = []
        for entry, one in kept:
            result = None if one is None else next(results)
            if isinstance(result, NoScriptError):
                self._script = ""  # the server was restarted
            if isinstance(result, RedisError) and not _is_hopeless(result):
                logger.warning("Entry %s was not folded: %s", entry.id, result)
                continue
            if isinstance(result, RedisError):
                logger.error("Entry %s is left out: %s", entry.id, result)
                self._unreadable.inc()
            elif one is not None:
                self._folded.inc(int(result or 0))
                self._seconds.observe(max(0.0, now - one.received))
            done.append(entry)
        return done

    def _read(self, entry: Entry) -> KeptEvents | None:
        if entry.kind != history.EVENTS:
            return None
        try:
            return _DECODER.decode(entry.data)
        except msgspec.MsgspecError as error:
            logger.error("Entry %s holds no events and is left out: %s", entry.id, error)  # noqa: TRY400 - the text says it all
            self._unreadable.inc()
            return None

    def _add(self, pipeline: Redis, kept: KeptEvents) -> None:
        session = self._keys.session(kept.session)
        lines = [line for line in map(history.line, kept.events) if line is not None]
        pipeline.evalsha(
            self._script,
            2,
            self._keys.history(kept.user) if kept.user else session,
            session,
            self._limits.events,
            self._limits.seconds,
            *lines,
        )


def _is_hopeless(error: RedisError) -> bool:
    """Say whether folding can never succeed: somebody else keeps something under the key."""
    return str(error).startswith("WRONGTYPE")


_DECODER: Final = msgspec.json.Decoder(KeptEvents)
