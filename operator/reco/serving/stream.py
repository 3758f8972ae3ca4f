"""The stream of what clients sent, as one consumer of one of its groups reads it.

A group hands every entry to one of its consumers and remembers it until it is acknowledged. What a
consumer held when it died is read again: by itself at its next start if it has the same name, else
by another consumer once nobody has touched it for `claim_after` seconds.
"""

import asyncio
import logging
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

from redis.asyncio import Redis
from redis.exceptions import RedisError, ResponseError

from reco.serving import history

logger = logging.getLogger(__name__)

PAUSE_SECONDS: Final = 0.2
"""After a failure of the online store."""
_FIRST: Final = "0-0"
_NEW: Final = ">"
_BLOCK: Final = 1000
"""Milliseconds to wait for new entries."""
_CLAIM_SECONDS: Final = 2.0


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry; `data` is empty if it was trimmed before it was read again."""

    id: str
    kind: bytes
    data: bytes

    @property
    def milliseconds(self) -> int:
        """When the online store got it, by its clock."""
        return int(self.id.partition("-")[0])


class Reader:
    """One consumer of a group."""

    def __init__(
        self, client: Redis, stream: str, group: str, consumer: str, *, claim_after: float
    ) -> None:
        self._client = client
        self._stream = stream
        self._group = group
        self._consumer = consumer
        self._claim_after = claim_after
        self._from = _FIRST
        self._claimed = time.monotonic()

    def start_over(self) -> None:
        """Read again what was read and not acknowledged."""
        self._from = _FIRST

    async def read(self, count: int, block: int = _BLOCK) -> list[Entry]:
        """Return at most `count` entries: own unfinished ones first, others' left ones, new ones.

        Waits up to `block` milliseconds for new ones. Raises `redis.RedisError`.
        """
        if self._from != _NEW:
            found = await self._read(self._from, count, None)
            if found:
                self._from = found[-1].id
                return found
            self._from = _NEW
        if time.monotonic() - self._claimed >= _CLAIM_SECONDS:
            self._claimed = time.monotonic()
            answer: Any = await self._client.xautoclaim(
                self._stream,
                self._group,
                self._consumer,
                min_idle_time=int(self._claim_after * 1000),
                count=count,
            )
            if answer[1]:
                return _entries(answer[1])
        return await self._read(_NEW, count, block)

    async def acknowledge(self, ids: Sequence[str]) -> None:
        """Say that entries are done with."""
        if ids:
            await self._client.xack(self._stream, self._group, *ids)

    async def _read(self, start: str, count: int, block: int | None) -> list[Entry]:
        try:
            answer: Any = await self._client.xreadgroup(
                self._group, self._consumer, {self._stream: start}, count=count, block=block
            )
        except ResponseError as error:
            if not str(error).startswith("NOGROUP"):
                raise
            await create_groups(self._client, self._stream)
            return []
        return _entries(answer[0][1]) if answer else []


async def create_groups(client: Redis, stream: str) -> None:
    """Make the stream and its groups where they don't exist; they begin with the first entry."""
    try:
        found = {_text(group["name"]) for group in await client.xinfo_groups(stream)}
    except ResponseError as error:
        if "no such key" not in str(error):
            raise
        found = set()
    # Looked for first, because a full store refuses to make even what exists.
    for group in set(history.GROUPS) - found:
        try:
            await client.xgroup_create(stream, group, id="0", mkstream=True)
        except ResponseError as error:
            if not str(error).startswith("BUSYGROUP"):
                raise


async def await_groups(client: Redis, stream: str) -> None:
    """Do as `create_groups` once the store answers, however long that takes."""
    while True:
        try:
            await create_groups(client, stream)
        except RedisError as error:
            logger.warning("The online store is not ready: %s", error)
            await asyncio.sleep(PAUSE_SECONDS)
        else:
            return


async def trim(client: Redis, stream: str) -> dict[str, int]:
    """Remove what every group has acknowledged; return how many entries each is behind."""
    behind: dict[str, int] = {}
    oldest: list[tuple[int, int]] = []
    for group in await client.xinfo_groups(stream):
        name = _text(group["name"])
        # The order matters: what is delivered between the two calls is newer than both tell.
        delivered = _parts(_text(group["last-delivered-id"]))
        pending = await client.xpending(stream, name)
        first = pending["min"]
        oldest.append(_parts(_text(first)) if first else (delivered[0], delivered[1] + 1))
        behind[name] = int(group.get("lag") or 0) + int(pending["pending"])
    if oldest and set(behind) >= set(history.GROUPS):
        milliseconds, number = min(oldest)
        await client.xtrim(stream, minid=f"{milliseconds}-{number}", approximate=True)
    return behind


async def pause(seconds: float, stop: asyncio.Event) -> bool:
    """Wait, but not beyond `stop`; tell whether to go on."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return True
    return False


def _entries(answer: Iterable[Any]) -> list[Entry]:
    return [
        Entry(
            _text(id_), (fields or {}).get(history.KIND, b""), (fields or {}).get(history.DATA, b"")
        )
        for id_, fields in answer
    ]


def _parts(id_: str) -> tuple[int, int]:
    milliseconds, _, number = id_.partition("-")
    return int(milliseconds), int(number)


def _text(value: bytes | str) -> str:
    return value.decode() if isinstance(value, bytes) else value
