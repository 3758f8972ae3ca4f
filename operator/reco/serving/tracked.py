"""Reads of the online store over one connection on which it tells what changes afterwards.

This is the server-assisted caching of Redis and Valkey: a server that was told `CLIENT TRACKING ON`
remembers which keys a connection has read, and sends a message there when one of them changes,
expires or is too many to remember (https://valkey.io/topics/client-side-caching). Answers and
messages come in the order in which they happened, so nothing that was read is taken for current
after its change was told.

A connection that is lost loses messages. So all that was read is in doubt at once: whatever goes
wrong with a question, the connection is closed and everything that was current is not any more. A
store that went away without a word is noticed by a ping every half second.
"""

import asyncio
import logging
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

from hiredis import PushNotification
from redis.asyncio import Connection, Redis
from redis.asyncio.connection import DefaultParser
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError, ResponseError
from typing_extensions import override

logger = logging.getLogger(__name__)

PING_SECONDS: Final = 0.5
MOST_CURRENT: Final = 100_000
"""Keys that are known to be current; when there are more, all are in doubt again."""


class _Parser(DefaultParser):  # type: ignore[misc, valid-type] # one of two, by what is installed
    """Returns messages as they are; redis-py's swallows those that it has no handler for."""

    @override
    async def handle_push_response(self, response: list[Any], **_: Any) -> list[Any]:
        return response


class Tracked:
    """Strings of the online store, and which of those that were read are still as they were.

    A question may take `timeout` seconds.
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        self._pool = client.connection_pool
        self._timeout = timeout
        self._connection: Connection | None = None
        self._connecting = asyncio.Lock()
        self._tracks = True
        self._asked: deque[tuple[Sequence[str], asyncio.Future[Any]]] = deque()
        self._current: set[str] = set()
        self._tasks: tuple[asyncio.Task[None], ...] = ()

    def current(self, key: str) -> bool:
        """Return whether the key has the value that was last read of it."""
        return key in self._current

    async def get(self, keys: Sequence[str]) -> list[bytes | None]:
        """Return the values of keys, None for what there is not.

        Raises:
            TimeoutError: it took too long.
            RedisError: the store is away, or refuses.
        """
        found: list[bytes | None] = await self._ask("MGET", *keys, keys=keys)
        return found

    async def ping(self) -> None:
        """Raise as `get` does if the store doesn't answer."""
        await self._ask("PING")

    async def close(self) -> None:
        """Close the connection."""
        await self._lose(self._connection, RedisConnectionError("closed"))

    async def _ask(self, *command: str, keys: Sequence[str] = ()) -> Any:  # noqa: ANN401 - the wire's
        connection = self._connection
        try:
            async with asyncio.timeout(self._timeout):
                connection = connection or await self._connected()
                answer: asyncio.Future[Any] = asyncio.get_running_loop().create_future()
                self._asked.append((keys, answer))
                await connection.send_command(*command)
                return await answer
        except (TimeoutError, RedisError) as error:
            await self._lose(connection, error)
            raise

    async def _connected(self) -> Connection:
        async with self._connecting:
            if self._connection is None:
                self._connection = await self._connect()
                self._tasks = (
                    asyncio.create_task(self._read(self._connection)),
                    asyncio.create_task(self._watch()),
                )
            return self._connection

    async def _connect(self) -> Connection:
        connection: Connection = self._pool.make_connection()  # type: ignore[no-untyped-call] # redis-py's
        connection.set_parser(_Parser)
        await connection.connect()  # type: ignore[no-untyped-call] # redis-py's
        connection.socket_timeout = None  # questions have a deadline; messages come when they come
        try:
            for command in (("HELLO", "3"), ("CLIENT", "TRACKING", "ON")):
                await connection.send_command(*command)
                await connection.read_response()
        except ResponseError as error:
            if self._tracks:
                logger.warning("Each answer asks the online store, which can't tell: %s", error)
            self._tracks = False
        else:
            connection.protocol = 3
            self._tracks = True
        return connection

    async def _read(self, connection: Connection) -> None:
        """Take in answers and messages as they come."""
        try:
            while True:
                told = await connection.read_response(push_request=True, disconnect_on_error=False)
                if isinstance(told, PushNotification):
                    self._changed(told)
                else:
                    self._answered(told)
        except RedisError as error:
            await self._lose(connection, error)

    async def _watch(self) -> None:
        """Notice a store that went away without a word."""
        with suppress(TimeoutError, RedisError):  # the connection is lost by then
            while True:
                await asyncio.sleep(PING_SECONDS)
                await self.ping()

    async def _lose(self, connection: Connection | None, why: Exception) -> None:
        """Let go of a connection, and of all that hangs on it, unless that was done."""
        if connection is None or connection is not self._connection:
            return
        self._connection = None
        asked, self._asked = self._asked, deque()
        tasks, self._tasks = self._tasks, ()
        self._current.clear()
        for task in tasks:
            if task is not asyncio.current_task():
                task.cancel()
        for _, answer in asked:
            if not answer.done():
                answer.set_exception(why)
        await connection.disconnect(nowait=True)

    def _answered(self, told: object) -> None:
        keys, answer = self._asked.popleft()
        if self._tracks:
            if len(self._current) > MOST_CURRENT:
                self._current.clear()
            self._current.update(keys)
        if not answer.done():
            answer.set_result(told)

    def _changed(self, message: Sequence[Any]) -> None:
        """Heed `invalidate`, with keys, or with nothing when the store was emptied."""
        if message[0] != b"invalidate":
            return
        if message[1] is None:
            self._current.clear()
        else:
            self._current.difference_update(key.decode() for key in message[1])
