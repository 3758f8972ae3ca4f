"""`reco serve consumer`: takes events from the stream to histories and to the offline log.

It also keeps the log's files few, for it is one of a group and has time.

Nobody calls it, so its readiness is free to tell what collectors can't, for they must go on
refusing: that the online store takes nothing just now.
"""

import asyncio
import logging
import os
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from functools import partial
from typing import Final

from redis.asyncio import Redis
from redis.exceptions import RedisError

from reco import storage
from reco.serving import history
from reco.serving.claiming import await_claim
from reco.serving.compaction import Compaction
from reco.serving.event_log import EventLog, Flushing
from reco.serving.folding import CLAIM_SECONDS, Folder, Limits
from reco.serving.history import Keys
from reco.serving.http import Application
from reco.serving.metrics import Metrics
from reco.serving.online import connect, meaning
from reco.serving.server import Pod, run
from reco.serving.stream import PAUSE_SECONDS, Reader, await_groups, pause, trim
from reco.workload.storage import Places
from reco.workload.tasks import ConsumerTask

logger = logging.getLogger(__name__)

NAME_VARIABLE: Final = "RECO_CONSUMER_NAME"
"""This consumer's name; the host's without it. No two may have the same at a time."""
TIMEOUT: Final = 10.0
_TRIM_SECONDS: Final = 1.0
_CHECK_SECONDS: Final = 1.0
_LONGEST_PAUSE: Final = 10.0


def serve(task: ConsumerTask) -> int:
    """Run a consumer until it is told to end; return the exit code."""
    return run(partial(_built, task), task.port)


def _built(task: ConsumerTask) -> Pod:
    app = Application({}, Metrics())
    return app, _working(task, app)


@asynccontextmanager
async def _working(task: ConsumerTask, app: Application) -> AsyncIterator[None]:
    client = connect(task.online_store, timeout=TIMEOUT)
    try:
        await await_claim(client, task.group, app)
        async with consuming(task, client, app):
            yield
    finally:
        await client.aclose()


@asynccontextmanager
async def consuming(task: ConsumerTask, client: Redis, app: Application) -> AsyncIterator[None]:
    """Consume meanwhile; at the end write what waits."""
    metrics, keys = app.metrics, Keys(task.group.name)
    name = os.environ.get(NAME_VARIABLE) or socket.gethostname()
    stop = asyncio.Event()
    folder = Folder(
        client,
        keys,
        Reader(client, keys.stream, history.FOLD_GROUP, name, claim_after=CLAIM_SECONDS),
        Limits(task.history_length, task.history_seconds),
        metrics,
    )
    files = storage.open_storage(task.group.storage)
    compaction = Compaction(files, task.group, metrics)
    log = EventLog(
        Reader(
            client,
            keys.stream,
            history.LOG_GROUP,
            name,
            claim_after=2 * task.flush_seconds + CLAIM_SECONDS,
        ),
        files,
        Places(task.group.name),
        Flushing(task.flush_seconds, task.flush_rows),
        metrics,
    )
    lag = metrics.gauge("reco_stream_lag", "Entries that a group has not finished.", "group")

    async def tidy() -> None:
        for group, behind in (await trim(client, keys.stream)).items():
            lag.labels(group).set(behind)
        await pause(_TRIM_SECONDS, stop)

    async def compact() -> None:
        if await pause(task.compact_seconds, stop):
            await asyncio.to_thread(compaction.run, stop.is_set)

    await await_groups(client, keys.stream)

    async def check() -> None:
        # Changes nothing, and is refused like any other write: the pod's readiness tells.
        try:
            await client.setrange(keys.owner, 0, "")
        except RedisError as error:
            app.problem = meaning(error)
        else:
            app.problem = None
        await pause(_CHECK_SECONDS, stop)

    tasks = [
        asyncio.create_task(_repeat(step, stop), name=name)
        for step, name in (
            (folder.step, "fold"),
            (log.step, "log"),
            (compact, "compact"),
            (tidy, "trim"),
            (check, "check"),
        )
    ]
    for one in tasks:
        app.needs(one)
    try:
        yield
    finally:
        stop.set()
        await asyncio.wait(tasks)
        try:
            await log.flush()
        except (RedisError, storage.StorageError) as error:
            logger.warning("What waits stays in the stream: %s", error)


async def _repeat(step: Callable[[], Awaitable[None]], stop: asyncio.Event) -> None:
    """Do a step again and again; after failures of others wait, longer each time."""
    seconds = PAUSE_SECONDS
    while not stop.is_set():
        try:
            await step()
        except (RedisError, storage.StorageError, TimeoutError) as error:
            name = getattr(asyncio.current_task(), "get_name", str)()
            logger.warning("%s: %s; trying again in %.1f s", name, error, seconds)
            await pause(seconds, stop)
            seconds = min(seconds * 2, _LONGEST_PAUSE)
        else:
            seconds = PAUSE_SECONDS
