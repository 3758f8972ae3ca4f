"""The online store as a client has it: what its failures mean, and reads that never wait for it."""

import asyncio
import logging
import os
from collections.abc import Sequence
from itertools import islice
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import (
    AuthenticationError,
    AuthorizationError,
    NoPermissionError,
    OutOfMemoryError,
    RedisError,
)
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError

from reco.serving.tracked import Tracked
from reco.workload.results import Outcome
from reco.workload.tasks import PASSWORD_VARIABLE, OnlineStore

logger = logging.getLogger(__name__)

PROBE_SECONDS: Final = 0.5
"""How often a store that went away is looked for."""
FAILURES: Final = 3
"""In a row open the circuit: one slow answer is no reason to stop asking."""
CONNECTIONS: Final = 1024


class HistoryUnavailableError(Exception):
    """A history can't be read just now; `reason` is `timeout`, `error` or `away`."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def connect(store: OnlineStore, *, timeout: float, connections: int = CONNECTIONS) -> Redis:
    """Return a client that gives up after `timeout` seconds and tries nothing twice."""
    return Redis.from_url(
        store.url,
        password=os.environ.get(PASSWORD_VARIABLE) or None,
        socket_timeout=timeout,
        socket_connect_timeout=timeout,
        max_connections=connections,
        retry=Retry(NoBackoff(), 0),
    )


def meaning(error: RedisError) -> str:
    """Return what a failure of the store means, and what to do."""
    if isinstance(error, (AuthenticationError, AuthorizationError, NoPermissionError)):
        return (
            f"{Outcome.ACCESS_DENIED}: the online store refuses the password: {error}. Put the"
            " Secret of spec.inCluster.onlineStore.passwordSecretRef right, then restart the"
            " Deployments of its namespace, for pods read it when they start"
        )
    if isinstance(error, OutOfMemoryError):
        return (
            f"{Outcome.UNAVAILABLE}: the online store is full and refuses events: {error} Raise"
            " spec.inCluster.onlineStore.managed.resources.memory, and maxMemory if it is set, or"
            " maxmemory of a server of your own"
        )
    return (
        f"{Outcome.UNAVAILABLE}: the online store fails: {error}. If it is a server of your own,"
        " check that it runs, spec.inCluster.onlineStore.url and what the network lets through"
    )


class Histories:
    """Users' recent events in the online store.

    A few failures in a row open the circuit: from then on nobody waits, and a look every half
    second closes it again. Requests that come while others wait for the store share one MGET;
    `timeout` is in seconds.
    """

    def __init__(self, client: Redis, timeout: float) -> None:
        self._store = Tracked(client, timeout)
        self._failures = 0
        self._waiting: list[tuple[Sequence[str], asyncio.Future[bytes]]] = []
        self._fetching: asyncio.Task[None] | None = None
        self._probing: asyncio.Task[None] | None = None

    def unchanged(self, keys: Sequence[str]) -> bool:
        """Return whether what was last read at these keys is still there."""
        return bool(keys) and all(map(self._store.current, keys))

    async def of(self, keys: Sequence[str]) -> bytes:
        """Return the first history that there is at these keys, see `history.parse`; else nothing.

        Raises:
            HistoryUnavailableError: the store is slow, away or refuses.
        """
        if self._probing is not None:
            raise HistoryUnavailableError("away")
        found: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        self._waiting.append((keys, found))
        if self._fetching is None:
            self._fetching = asyncio.create_task(self._fetch())
        return await found

    async def _fetch(self) -> None:
        """Ask for all that wait, until nobody does."""
        try:
            while self._waiting:
                asked, self._waiting = self._waiting, []
                try:
                    await self._ask(asked)
                except (TimeoutError, RedisError) as error:
                    late = isinstance(error, (TimeoutError, RedisTimeoutError))
                    self._failed(f"fails: {error!r}")
                    # Whoever came meanwhile has waited long enough, too.
                    for _, found in (*asked, *self._waiting):
                        if not found.done():
                            reason = "timeout" if late else "error"
                            found.set_exception(HistoryUnavailableError(reason))
                    self._waiting = []
        finally:
            self._fetching = None

    async def _ask(self, asked: list[tuple[Sequence[str], "asyncio.Future[bytes]"]]) -> None:
        keys = [key for some, _ in asked for key in some]
        try:
            histories = await self._store.get(keys)
        except RedisConnectionError:  # it was closed since the last question
            histories = await self._store.get(keys)
        self._failures = 0
        answers = iter(histories)
        for some, found in asked:
            history = next(filter(None, list(islice(answers, len(some)))), b"")
            if not found.done():
                found.set_result(history)

    async def close(self) -> None:
        """Stop looking, and close the connection."""
        for task in (self._probing, self._fetching):
            if task is not None:
                task.cancel()
        await self._store.close()

    def _failed(self, how: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES and self._probing is None:
            logger.warning("The online store %s; answers go on without recent events", how)
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                await self._store.ping()
            except (TimeoutError, RedisError):
                continue
            logger.warning("The online store is back")
            self._failures = 0
            self._probing = None
            return
