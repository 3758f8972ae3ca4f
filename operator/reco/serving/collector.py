"""`reco serve collector`: PutEvents, PutItems and PutUsers, acknowledged once they are kept.

What a client gets a 200 for is in the stream of the online store, and on its disk where the server
runs with `appendfsync always`. Whatever else happens answers an error that every SDK tries again:
nothing waits here in memory but the requests themselves.
"""

import asyncio
import logging
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

import msgspec
from redis.asyncio import Redis
from redis.exceptions import RedisError

from reco.serving import events, history
from reco.serving.claiming import await_claim
from reco.serving.clients import guarding
from reco.serving.errors import no_such_resource, unavailable
from reco.serving.events import KeptEvents, KeptRows
from reco.serving.history import Keys
from reco.serving.http import Application, Request
from reco.serving.metrics import Metrics
from reco.serving.online import connect
from reco.serving.requests import PutEventsRequest, PutItemsRequest, PutUsersRequest
from reco.serving.server import Pod, run
from reco.serving.stream import await_groups
from reco.serving.validation import decode
from reco.workload.addresses import named_in
from reco.workload.tasks import CollectorTask

logger = logging.getLogger(__name__)

TIMEOUT: Final = 2.0
"""Seconds a client waits at most until it is told to try again."""
_WANTED: Final = {
    "maxmemory-policy": ("noeviction", "events that were acknowledged may be evicted"),
    "appendonly": ("yes", "events that were acknowledged are lost when the server restarts"),
    "appendfsync": ("always", "events of the last second are lost when the server's machine fails"),
}


class Collector:
    """Takes what clients send for one event tracker and its group's Items and Users datasets."""

    def __init__(self, task: CollectorTask, metrics: Metrics) -> None:
        self._task = task
        self._stream = Keys(task.group.name).stream
        self._client: Redis | None = None
        self._failing = False
        self._columns = {
            type_: events.columns_by_property(field.name for field in fields)
            for type_, fields in task.fields.items()
        }
        self._accepted = metrics.counter(
            "reco_events_accepted", "Events and rows that the online store has, by kind.", "kind"
        )

    def start(self, client: Redis) -> None:
        """Keep in this store from now on."""
        self._client = client

    async def put_events(self, given: Request) -> bytes:
        """Answer PutEvents."""
        request = decode(PutEventsRequest, given.body)
        if request.trackingId != self._task.tracking_id:
            raise events.no_such_tracker(request.trackingId)
        kept = events.kept_events(request, time.time())
        if request.sessionId != events.DROPPED_SESSION:
            await self._keep(history.EVENTS, kept, len(kept.events))
        return b""

    async def put_items(self, given: Request) -> bytes:
        """Answer PutItems."""
        request = decode(PutItemsRequest, given.body)
        rows = [(one.itemId, one.properties) for one in request.items]
        return await self._put_rows("Items", request.datasetArn, rows)

    async def put_users(self, given: Request) -> bytes:
        """Answer PutUsers."""
        request = decode(PutUsersRequest, given.body)
        rows = [(one.userId, one.properties) for one in request.users]
        return await self._put_rows("Users", request.datasetArn, rows)

    async def _put_rows(self, type_: str, arn: str, rows: list[tuple[str, str | None]]) -> bytes:
        if not self._names(arn, type_):
            if any(self._names(arn, other) for other in self._task.datasets):
                raise events.wrong_dataset(arn, type_.upper())
            raise no_such_resource(arn)
        kept = events.kept_rows(type_, rows, self._columns.get(type_, {}), time.time())
        await self._keep(type_.encode(), kept, len(kept.rows))
        return b""

    def _names(self, arn: str, type_: str) -> bool:
        """Say whether an ARN is that of the group's dataset of a type: by name, or as AWS does."""
        name = self._task.datasets.get(type_)
        found = named_in(arn)
        return name is not None and (
            found == name or found.rpartition("/")[2].upper() == type_.upper()
        )

    async def _keep(self, kind: bytes, kept: KeptEvents | KeptRows, count: int) -> None:
        if self._client is None:
            raise unavailable("The collector is starting.")
        fields: dict[bytes, bytes] = {history.KIND: kind, history.DATA: msgspec.json.encode(kept)}
        try:
            async with asyncio.timeout(TIMEOUT):
                await self._client.xadd(self._stream, fields)  # type: ignore[arg-type] # bytes are fine
        except (TimeoutError, RedisError) as error:
            if not self._failing:
                logger.warning("Nothing is acknowledged: the online store fails: %r", error)
            self._failing = True
            raise unavailable("The events could not be kept. Please try again.") from error
        if self._failing:
            logger.warning("The online store keeps events again")
        self._failing = False
        self._accepted.labels(kind.decode()).inc(count)


async def check(client: Redis) -> Mapping[str, str]:
    """Say in the log what of the server's settings may lose events; return them by name."""
    problems = {}
    try:
        for name, (wanted, otherwise) in _WANTED.items():
            found = (await client.config_get(name)).get(name)
            if found != wanted:
                problems[name] = f"{name} is {found}, not {wanted}: {otherwise}"
    except RedisError as error:
        problems["config"] = f"the settings of the online store can't be read: {error}"
    for problem in problems.values():
        logger.warning("Online store: %s", problem)
    return problems


def serve(task: CollectorTask) -> int:
    """Run a collector until it is told to end; return the exit code."""
    return run(partial(_built, task), task.port)


def _built(task: CollectorTask) -> Pod:
    metrics = Metrics()
    collector = Collector(task, metrics)
    operations = {
        "PutEvents": collector.put_events,
        "PutItems": collector.put_items,
        "PutUsers": collector.put_users,
    }
    names = tuple(name for name in (task.tracker, task.tracking_id) if name)
    guard = guarding(task.authentication, "event-tracker", lambda _: names)
    app = Application(operations, metrics, guard, task.allowed_origins)
    return app, _working(task, collector, app)


@asynccontextmanager
async def _working(
    task: CollectorTask, collector: Collector, app: Application
) -> AsyncIterator[None]:
    client = connect(task.online_store, timeout=TIMEOUT)
    try:
        await await_claim(client, task.group, app)
        # A full store makes no groups: without them, what fills it could not be taken out.
        await await_groups(client, Keys(task.group.name).stream)
        await check(client)
        collector.start(client)
        yield
    finally:
        await client.aclose()
