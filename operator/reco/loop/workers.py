"""The workers: each takes a key, has it looked at, and lets it go, whatever happens."""

import asyncio
import logging
import time
from typing import Protocol

from reco.api.resource import Key
from reco.loop.acting import FenceLost
from reco.loop.metrics import Metrics
from reco.loop.queue import WorkQueue

logger = logging.getLogger(__name__)


class _Reconciler(Protocol):
    async def reconcile(self, key: Key) -> None: ...


class Workers:
    """Look at queued resources, several at a time."""

    def __init__(self, queue: WorkQueue[Key], reconciler: _Reconciler, metrics: Metrics) -> None:
        """Prepare; nothing runs yet."""
        self._queue = queue
        self._reconciler = reconciler
        self._metrics = metrics

    async def run(self, count: int) -> None:
        """Run `count` workers until the queue is closed and each is done with its last key.

        Raises:
            ExceptionGroup: of `FenceLost`, if leadership was lost.
        """
        self._metrics.max_workers.set(count)
        async with asyncio.TaskGroup() as group:
            for number in range(count):
                group.create_task(self._work(), name=f"worker {number}")

    async def _work(self) -> None:
        while (key := await self._queue.get()) is not None:
            try:
                await self.look(key)
            finally:
                self._queue.done(key)

    async def look(self, key: Key) -> None:
        """Have one resource looked at; an unexpected failure is logged and tried again.

        Raises:
            FenceLost: if leadership was lost.
        """
        began = time.monotonic()
        failures = self._queue.failures(key)
        panicked = False
        try:
            await self._reconciler.reconcile(key)
        except FenceLost:
            raise
        except Exception:
            panicked = True
            logger.exception("looking at %s failed unexpectedly", key)
            self._queue.fail(key)
        self._metrics.reconciled(
            time.monotonic() - began,
            failed=self._queue.failures(key) > failures,
            panicked=panicked,
        )
