"""Simulated operator processes: the real loop, with everything that leaves the process on wires.

A process may be killed when it sends a request, when the server has carried one out, or at any time
in between; what was sent is carried out even so. It may be paused and go on later, believing what
it believed. A new process knows nothing but what the store and the engine tell it.
"""

import asyncio
import random
from collections import deque
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any, TypeVar

from reco.api.kinds import KINDS
from reco.api.resource import Key
from reco.cluster.errors import StoreUnavailable
from reco.decide.model import Identity, Timing
from reco.emulator.errors import LostResponseError, ServiceError
from reco.engines.personalize import errors
from reco.engines.personalize.client import SourceListing, SourceObject
from reco.engines.personalize.engine import PersonalizeEngine
from reco.engines.personalize.polling import Timers
from reco.engines.personalize.throttle import TokenBucket
from reco.loop.acting import FenceLost
from reco.loop.engines import Engines
from reco.loop.informer import Informer
from reco.loop.lease import Lease, LeaseLost, LeaseTiming
from reco.loop.metrics import Metrics
from reco.loop.namespaces import Namespaces
from reco.loop.queue import Backoff, WorkQueue
from reco.loop.reconciler import Reconciler
from reco.loop.routing import connect
from reco.loop.workers import Workers
from tests.simulation.loop import Domain, Life
from tests.simulation.memory_store import Body, LeaseClient, StoreClient

if TYPE_CHECKING:
    from reco.loop.cache import Cache
    from tests.simulation.world import World

T = TypeVar("T")

WORKERS = 4
LEASE = LeaseTiming(duration=60.0, renew_deadline=40.0, retry=10.0)
"""Slower than in a cluster, so that a seed is not mostly renewals."""
READ_TIMEOUT = 20.0
"""Seconds after which the client gives up waiting for the engine."""


class Process:
    """One replica of the operator, from its start to its death."""

    def __init__(self, world: "World", name: str) -> None:
        self.world = world
        self.domain = Domain(name)
        self.rng = random.Random(world.rng.getrandbits(64))
        self.lease: Lease | None = None
        self.cache: Cache | None = None
        self.queue: WorkQueue[Key] | None = None
        world.loop.spawn(self.domain, self._main())

    @property
    def alive(self) -> bool:
        """Whether it was not killed and has not ended."""
        return self.domain.life is not Life.DEAD

    def kill(self, why: str) -> None:
        """End it without a last word."""
        if self.alive:
            self.domain.life = Life.DEAD
            self.world.trace(f"{self.domain.name} dies: {why}")
            self.world.ended(self)

    # --- the operator -----------------------------------------------------------------------

    async def _main(self) -> None:
        world, loop = self.world, self.world.loop
        store = StoreClient(world.server, self.to_store, world.told)
        self.lease = Lease(
            LeaseClient(world.server, self.to_store),
            self.domain.name,
            clock=loop.time,
            now=world.now,
            rng=self.rng,
            timing=LEASE,
        )
        await self.lease.acquire()
        world.trace(f"{self.domain.name} leads")
        self.queue = WorkQueue(loop.time, rng=self.rng, backoff=Backoff(cap=world.backoff_cap))
        self.cache = connect(self.queue, loop.time)
        informer = Informer(self.cache, store, clock=loop.time, relist=world.relist)
        client = SimulatedClient(self)
        timers = Timers(world.now, loop.time, asyncio.sleep, self.rng)
        engines = Engines(
            lambda class_: PersonalizeEngine(class_, client, timers, world.polling), self.queue.add
        )
        for kind in KINDS:
            loop.spawn(None, Watch(self, kind, informer.handle).run())
        reconciler = Reconciler(
            store=store,
            cache=self.cache,
            queue=self.queue,
            engines=engines,
            identity=Identity(world.cluster),
            clock=world.operators_now,
            fence=self.lease.valid,
            namespaces=Namespaces(store, loop.time),
            timing=Timing(settle=world.polling.settle),
            jitter=lambda: self.rng.uniform(0.9, 1.1),
        )
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self.lease.hold())
                await informer.sync()
                group.create_task(informer.run())
                group.create_task(Workers(self.queue, reconciler, Metrics()).run(WORKERS))
        except* (LeaseLost, FenceLost):
            self.kill("it lost the lease")

    # --- what leaves the process ------------------------------------------------------------

    async def to_store(self, what: str, request: Callable[[], T]) -> T:
        """Send a request to the Kubernetes API."""
        weather = self.world.weather
        broken = self.rng.random() < weather.store_failures
        error = StoreUnavailable(f"{what}: connection lost")
        latency = self._latency(0.002, slow=2.0)
        unsent = broken and self.rng.random() < 0.5
        return await self._carry(
            what,
            request,
            latency,
            before=error if unsent else None,
            after=error if broken else None,
        )

    async def to_engine(self, operation: str, request: Callable[[], T]) -> T:
        """Send a call to the engine."""
        world, weather = self.world, self.world.weather
        before = after = None
        latency = self._latency(0.08, slow=4.0)
        chance = self.rng.random()
        if weather.denied:
            before = errors.service_error(
                operation, "AccessDeniedException", "not authorized to perform this"
            )
        elif chance < weather.throttles:
            before = errors.service_error(operation, "ThrottlingException", "Rate exceeded")
        elif chance < weather.throttles + weather.server_errors:
            error = errors.service_error(operation, "InternalFailure", "Oops", 500)
            before, after = (error, None) if self.rng.random() < 0.5 else (None, error)
        elif chance < weather.throttles + weather.server_errors + weather.lost:
            error = errors.no_answer(operation, "Read timeout")
            before, after = (error, None) if self.rng.random() < 0.5 else (None, error)
        world.called(self, operation)
        return await self._carry(operation, request, latency, before=before, after=after)

    def _latency(self, usual: float, *, slow: float) -> float:
        if self.rng.random() < self.world.weather.slow:
            return self.rng.uniform(0.0, slow)
        return usual * self.rng.uniform(0.5, 2.0)

    async def _carry(
        self,
        what: str,
        request: Callable[[], T],
        latency: float,
        *,
        before: Exception | None,
        after: Exception | None,
    ) -> T:
        """Carry a request to a server and its answer back; what is on its way outlives us."""
        world = self.world
        if world.loop.ending:
            raise asyncio.CancelledError
        if self._dies(what):
            self.kill(f"before {what}")
            await asyncio.sleep(0)
        answer: asyncio.Future[T] = world.loop.create_future()
        world.loop.later(latency, self._arrive, what, request, latency, before, after, answer)
        return await answer

    def _arrive(
        self,
        what: str,
        request: Callable[[], T],
        latency: float,
        before: Exception | None,
        after: Exception | None,
        answer: "asyncio.Future[T]",
    ) -> None:
        """Carry a request out at the server, unless it was lost on its way."""
        error, result = before, None
        if error is None:
            try:
                result = request()
            except Exception as raised:  # noqa: BLE001 - it is the answer
                error = raised
            if self._dies(what):
                self.kill(f"after {what}")
        self.world.loop.later(latency, self._answer, what, answer, error or after, result)

    def _answer(
        self, what: str, answer: "asyncio.Future[T]", error: Exception | None, result: T | None
    ) -> None:
        if answer.done():
            return
        if error is not None:
            self.world.trace(f"{self.domain.name}: {what}: {type(error).__name__}: {error}")
            answer.set_exception(error)
        else:
            answer.set_result(result)  # type: ignore[arg-type]

    def _dies(self, what: str) -> bool:
        if not self.alive:
            return False
        return self.world.fuse.blows(what) or self.rng.random() < self.world.weather.crashes


class SimulatedClient:
    """A `PersonalizeClient` on the emulator's core."""

    def __init__(self, process: Process) -> None:
        self._process = process
        self._world = process.world
        self._bucket = TokenBucket(
            process.world.requests_per_second, process.world.loop.time, asyncio.sleep
        )

    async def call(self, operation: str, /, **parameters: Any) -> dict[str, Any]:
        await self._bucket.take()
        answer: dict[str, Any] = await self._process.to_engine(
            operation, lambda: self._execute(operation, parameters)
        )
        return answer

    def _execute(self, operation: str, parameters: Mapping[str, Any]) -> dict[str, Any]:
        try:
            return self._world.execute(self._process, operation, parameters)
        except LostResponseError as error:
            raise errors.no_answer(operation, "connection closed") from error
        except ServiceError as error:
            raise errors.service_error(
                operation, error.code, error.message, error.http_status
            ) from error

    async def turn(self) -> None:
        """Let everything through at once."""

    async def account(self) -> str:
        account: str = await self._process.to_engine(
            "GetCallerIdentity", lambda: self._world.emulator.settings.account
        )
        return account

    async def list_source(self, location: str) -> SourceListing:
        def read() -> SourceListing:
            found = self._world.bucket.listed(location)
            return SourceListing(
                tuple(
                    SourceObject(name, len(body), body.hex()[-16:], self._world.files.written[name])
                    for name, body in found
                )
            )

        listing: SourceListing = await self._process.to_engine("ListObjectsV2", read)
        return listing


class Watch:
    """The watch of one kind: late, repeated, interrupted, now and then from a stale replica."""

    def __init__(
        self, process: Process, kind: str, sink: Callable[[str | None, Body], None]
    ) -> None:
        self._process = process
        self._world = process.world
        self._kind = kind
        self._sink = sink
        self._news = asyncio.Event()
        self._due: deque[tuple[str | None, Body]] = deque()
        self._world.server.listeners.append(self._wake)

    def _wake(self, change: Any) -> None:
        if key_kind(change.body) == self._kind:
            self._news.set()

    async def run(self) -> None:
        """Watch for as long as the process lives."""
        rng, world = self._process.rng, self._world
        while self._process.alive:
            position = self._replay(rng)
            while self._process.alive:
                if rng.random() < world.weather.watch_breaks:
                    await asyncio.sleep(rng.uniform(0.0, 30.0))
                    break
                self._news.clear()
                for change in world.server.log[position:]:
                    position += 1
                    if key_kind(change.body) != self._kind:
                        continue
                    await asyncio.sleep(rng.random() * world.weather.watch_delay)
                    self._hand_over(change.type, change.body)
                    if rng.random() < world.weather.watch_repeats:
                        self._hand_over(change.type, change.body)
                if position >= len(world.server.log):
                    await self._news.wait()
        self._world.server.listeners.remove(self._wake)

    def _replay(self, rng: random.Random) -> int:
        """Tell what exists, now or a moment ago; return where in the log to go on."""
        server = self._world.server
        state = {key: body for key, body in server.objects.items() if key.kind == self._kind}
        position = len(server.log)
        behind = rng.randrange(20) if rng.random() < self._world.weather.stale else 0
        for change in reversed(server.log[max(0, position - behind) :]):
            position -= 1
            if key_kind(change.body) != self._kind:
                continue
            key = Key(
                self._kind,
                change.body["metadata"].get("namespace", ""),
                change.body["metadata"]["name"],
            )
            if change.before is None:
                state.pop(key, None)
            else:
                state[key] = change.before
        for key in sorted(state):
            self._hand_over(None, state[key])
        return position

    def _hand_over(self, type_: str | None, body: Body) -> None:
        self._due.append((type_, body))
        self._world.loop.call_in(self._process.domain, self._next)

    def _next(self) -> None:
        self._sink(*self._due.popleft())


def key_kind(body: Body) -> str:
    """Return the kind of a body."""
    return str(body["kind"])
