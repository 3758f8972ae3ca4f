"""The operator: everything wired together, from the lease to the workers, and taken down in order.

At SIGTERM no worker takes another key; those that hold one may finish within the grace period while
the lease is still renewed; then the lease is released. Whatever ends otherwise - a lost lease, a
watch that can't go on - ends the process with an error, because a fresh start is cheap and safe.
"""

import asyncio
import logging
import random
import secrets
import signal
from collections.abc import Callable, Mapping
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from typing import Any, Final

from reco.api.resource import Key
from reco.cluster.api import KubernetesAPI
from reco.cluster.credentials import Credentials, load_access
from reco.cluster.errors import StoreError
from reco.decide.model import Identity
from reco.engines.port import EngineFactory
from reco.loop.engines import Engines
from reco.loop.events import EventRecorder
from reco.loop.health import Health, Server
from reco.loop.informer import Informer
from reco.loop.installed import InstalledCRDs
from reco.loop.key import KeyUnavailable, operator_key
from reco.loop.kubernetes import KubernetesLease, KubernetesStore
from reco.loop.lease import Lease, LeaseLost
from reco.loop.metrics import Metrics
from reco.loop.namespaces import Namespaces
from reco.loop.queue import WorkQueue
from reco.loop.reconciler import Reconciler
from reco.loop.routing import connect
from reco.loop.settings import Settings
from reco.loop.watch import Watch
from reco.loop.workers import Workers

PULSE: Final = 1.0
_JITTER: Final = (0.9, 1.1)

OnEngineCall = Callable[[str, float, str], None]
"""Told of each call to an engine: operation, seconds, and `OK` or the class of the error."""


@dataclass(frozen=True, slots=True)
class Means:
    """What engines are made with."""

    settings: Settings
    on_call: OnEngineCall
    api: KubernetesAPI
    cluster: Callable[[], str]
    """The cluster id; known once work begins."""
    key: Callable[[], bytes]
    """The operator's own key; known once work begins. Raises ValueError where there is none."""


EngineSource = Callable[[Means], EngineFactory]
"""Makes the factory of engines."""

logger = logging.getLogger(__name__)


def run(settings: Settings, engine_source: EngineSource) -> int:
    """Run the operator until SIGTERM or SIGINT; return the exit code of the process."""
    try:
        return asyncio.run(_run(settings, engine_source))
    except (StoreError, ValueError, OSError) as error:
        logger.error("the operator can't start: %s", error)  # noqa: TRY400 - the text says it all
        return 1


async def _run(settings: Settings, engine_source: EngineSource) -> int:
    metrics = Metrics()
    load = partial(load_access, settings.kubeconfig)
    access = await load()
    credentials = Credentials(load, access)
    api = KubernetesAPI(
        access.configuration,
        timeout=settings.request_timeout,
        observer=metrics,
        credentials=credentials,
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(api.close)
        operator = Operator(settings, engine_source, api, metrics, credentials.failed)
        server = stack.enter_context(Server(settings.address, operator.health, metrics.registry))
        host, port = server.address
        logger.info("serving health and metrics", extra={"host": host, "port": port})
        stop = asyncio.Event()
        for number in (signal.SIGTERM, signal.SIGINT):
            asyncio.get_running_loop().add_signal_handler(number, stop.set)
        return await operator.run(stop)


class Operator:
    """One replica."""

    def __init__(
        self,
        settings: Settings,
        engine_source: EngineSource,
        api: KubernetesAPI,
        metrics: Metrics,
        locked_out: asyncio.Future[None] | None = None,
        *,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """Wire everything; nothing is asked or started yet.

        Args:
            settings: what the operator was started with.
            engine_source: makes the engines of classes.
            api: of the cluster to work in.
            metrics: is told of everything.
            locked_out: gets an error once there are no credentials of the API any more.
            now: the time in UTC; left out, that of this machine.
        """
        self._locked_out: set[asyncio.Future[None]] = {locked_out} if locked_out else set()
        self._cluster = settings.cluster_id or ""
        self._key: bytes | KeyUnavailable = KeyUnavailable("the operator's key was not read yet")
        clock = asyncio.get_running_loop().time
        self._now = now or partial(datetime.now, UTC)
        self._settings = settings
        self._api = api
        self._metrics = metrics
        self._queue = WorkQueue[Key](clock, backoff=settings.backoff, observer=metrics)
        self._cache = connect(self._queue, clock, changed=metrics.changed)
        self._store = KubernetesStore(
            api, EventRecorder(api, settings.identity, self._now), settings.namespaces
        )
        self._informer = Informer(
            self._cache, self._store, clock=clock, relist=settings.relist, missed=metrics.missed
        )
        self._watch = Watch(
            lambda: load_access(settings.kubeconfig),
            self._informer.handle,
            identity=settings.identity,
            namespaces=settings.namespaces,
        )
        self._engines = Engines(
            engine_source(
                Means(settings, metrics.called_engine, api, lambda: self._cluster, self._own_key)
            ),
            notify=self._queue.add,
        )
        self._lease: Lease | None = None
        if settings.lease:
            self._lease = Lease(
                KubernetesLease(api, settings.lease_namespace, settings.lease_name),
                # A restarted container has the name of the one that died, but not its lease.
                f"{settings.identity}_{secrets.token_hex(4)}",
                clock=clock,
                now=self._now,
                timing=settings.lease_timing,
            )
        self._crds = InstalledCRDs(api)
        self._working = False
        self.health = Health(
            alive={"queue": self._stuck, "watch": self._stale, "lease": self._lost},
            ready={"caches": self._unsynced, "crds": lambda: self._crds.problem},
            facts=self._facts,
        )

    async def run(self, stop: asyncio.Event) -> int:
        """Work until `stop` is set or something ends that must not; return the exit code."""
        pulse = asyncio.create_task(self._beat(), name="pulse")
        comparing = asyncio.create_task(self._crds.run(), name="crds")
        stopping = asyncio.create_task(stop.wait(), name="stop")
        try:
            elected = asyncio.create_task(self._elected(), name="election")
            awaited: set[asyncio.Future[Any]] = {elected, stopping, pulse, *self._locked_out}
            await asyncio.wait(awaited, return_when=asyncio.FIRST_COMPLETED)
            if not elected.done():
                await _cancel(elected)
                for locked_out in self._locked_out:
                    if locked_out.done():
                        logger.error("the operator stops: %s", _problem(locked_out))
                        return 1
                if pulse.done():
                    pulse.result()
                return 0
            elected.result()
            return await self._lead(stopping, pulse)
        finally:
            await _cancel(pulse, comparing, stopping)

    async def _elected(self) -> None:
        if self._lease is not None:
            logger.info("waiting for the lease", extra={"lease": self._settings.lease_name})
            await self._lease.acquire()
        self._metrics.leader.set(1)

    async def _lead(self, stopping: asyncio.Task[Any], pulse: asyncio.Task[Any]) -> int:
        """Do the work of the leader, and clean up after it."""
        holding = (
            [asyncio.create_task(self._lease.hold(), name="lease")]
            if self._lease is not None
            else []
        )
        watching = self._watch.start()
        working = asyncio.create_task(self._work(), name="work")
        vital: set[asyncio.Future[Any]] = {*holding, watching, working, pulse, *self._locked_out}
        try:
            await asyncio.wait({*vital, stopping}, return_when=asyncio.FIRST_COMPLETED)
            problems = [_problem(task) for task in vital if task.done()]
            if stopping.done() and not problems:
                await self._finish(working, holding)
                return 0
            for problem in problems:
                logger.error("the operator stops: %s", problem)
            return 1
        finally:
            self._queue.close()
            # Without the lease nothing may go on, so whoever still works is cut off.
            await _cancel(working, *holding)
            await self._engines.close()
            await self._watch.stop()
            if self._lease is not None:
                await self._lease.release()
            self._metrics.leader.set(0)

    async def _work(self) -> None:
        """Fill the caches, then keep them true and look at whatever is queued."""
        await self._informer.sync()
        logger.info("caches filled", extra={"queued": len(self._queue)})
        self._working = True
        workers = Workers(self._queue, await self._reconciler(), self._metrics)
        async with asyncio.TaskGroup() as group:
            informing = group.create_task(self._informer.run(), name="informer")
            await workers.run(self._settings.workers)
            informing.cancel()

    async def _reconciler(self) -> Reconciler:
        settings = self._settings
        self._cluster = self._cluster or await self._store.namespace_uid("kube-system")
        try:
            self._key = await operator_key(
                self._api, settings.lease_namespace, settings.key_secret, secrets.token_bytes
            )
        except KeyUnavailable as error:
            self._key = error  # engines that need none work all the same
            logger.warning("%s", error)
        logger.info("working", extra={"cluster": self._cluster, "workers": settings.workers})
        return Reconciler(
            store=self._store,
            cache=self._cache,
            queue=self._queue,
            engines=self._engines,
            identity=Identity(self._cluster),
            clock=self._now,
            fence=self._lease.valid if self._lease is not None else lambda: True,
            namespaces=Namespaces(
                self._store, asyncio.get_running_loop().time, settings.namespaces
            ),
            timing=settings.timing,
            jitter=partial(random.uniform, *_JITTER),
        )

    def _own_key(self) -> bytes:
        if isinstance(self._key, KeyUnavailable):
            raise self._key
        return self._key

    async def _finish(self, working: asyncio.Task[None], holding: list[asyncio.Task[None]]) -> None:
        """Let the workers finish what they hold, within the grace, for as long as we lead."""
        self._queue.close()
        logger.info("stopping", extra={"grace_seconds": self._settings.shutdown_grace})
        if not self._working:
            return
        done, _ = await asyncio.wait(
            {working, *holding},
            timeout=self._settings.shutdown_grace,
            return_when=asyncio.FIRST_COMPLETED,
        )
        if working not in done:
            logger.warning("workers are cut off in the middle of their work")

    async def _beat(self) -> None:
        while True:
            self._metrics.sample(self._queue)
            self._metrics.silence.set(self._informer.silence())
            self.health.publish()
            await asyncio.sleep(PULSE)

    # --- health -----------------------------------------------------------------------------

    def _stuck(self) -> str | None:
        limit = self._settings.stuck_after
        if self._working and self._queue.longest_wait() > limit:
            return f"a key has waited for a worker for more than {limit:g} s"
        if self._queue.longest_work() > limit:
            return f"a worker has held its key for more than {limit:g} s"
        return None

    def _stale(self) -> str | None:
        silence = self._informer.silence()
        if silence <= self._settings.stale_after:
            return None
        return f"nothing was heard of some kind for {silence:.0f} s, neither by watch nor by list"

    def _lost(self) -> str | None:
        if self._lease is not None and self._lease.leading and not self._lease.valid():
            return "the lease could not be renewed in time"
        return None

    def _unsynced(self) -> str | None:
        if self._standby or self._cache.synced:
            return None
        return f"not listed yet: {', '.join(self._cache.unsynced)}"

    @property
    def _standby(self) -> bool:
        return self._lease is not None and not self._lease.leading

    def _facts(self) -> Mapping[str, Any]:
        return {
            "role": "standby" if self._standby else "leader",
            "queued": len(self._queue),
            "scheduled": self._queue.scheduled,
        }


def _problem(task: asyncio.Future[Any]) -> str:
    error = task.exception() if not task.cancelled() else None
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    if isinstance(error, LeaseLost | StoreError | ValueError):
        return str(error)
    name = task.get_name() if isinstance(task, asyncio.Task) else "watch"
    if error is not None:
        logger.error("%s failed", name, exc_info=error)
    return f"{name} has ended: {error!r}"


async def _cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
