"""Reading users' recent events, and never waiting for a store that doesn't answer."""

import asyncio
import logging
import os
from typing import Final

from redis.asyncio import Redis
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff
from redis.exceptions import RedisError
from redis.exceptions import TimeoutError as RedisTimeoutError

from reco.serving.history import Keys
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


class Histories:
    """Users' recent events in the online store.

    A few failures in a row open the circuit: from then on nobody waits, and a look every half
    second closes it again. One GET a request; `timeout` is in seconds.
    """

    def __init__(self, client: Redis, keys: Keys, timeout: float) -> None:
        self._client = client
        self._keys = keys
        self._timeout = timeout
        self._failures = 0
        self._probing: asyncio.Task[None] | None = None

    @property
    def away(self) -> bool:
        """Whether the circuit is open."""
        return self._probing is not None

    async def of(self, user: str) -> bytes:
        """Return a user's history, see `history.parse`; empty if there is none.

        Raises:
            HistoryUnavailableError: the store is slow, away or refuses.
        """
        if self._probing is not None:
            raise HistoryUnavailableError("away")
        try:
            async with asyncio.timeout(self._timeout):
                found = await self._client.get(self._keys.history(user))
        except (TimeoutError, RedisTimeoutError) as error:
            self._failed(f"did not answer within {self._timeout * 1000:g} ms")
            raise HistoryUnavailableError("timeout") from error
        except RedisError as error:
            self._failed(str(error))
            raise HistoryUnavailableError("error") from error
        self._failures = 0
        return found or b""

    async def close(self) -> None:
        """Stop looking, and close connections."""
        if self._probing is not None:
            self._probing.cancel()
        await self._client.aclose()

    def _failed(self, how: str) -> None:
        self._failures += 1
        if self._failures >= FAILURES and self._probing is None:
            logger.warning("The online store %s; answers go on without recent events", how)
            self._probing = asyncio.create_task(self._probe())

    async def _probe(self) -> None:
        while True:
            await asyncio.sleep(PROBE_SECONDS)
            try:
                async with asyncio.timeout(self._timeout):
                    await self._client.echo("")
            except (TimeoutError, RedisError):
                continue
            logger.warning("The online store is back")
            self._failures = 0
            self._probing = None
            return
