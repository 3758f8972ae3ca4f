"""The work queue: which resource to look at next, with the guarantees of client-go's workqueue.

- A key waits at most once, however often it is added.
- No two workers ever hold the same key: one that is added while a worker holds it becomes dirty
  and is queued again when that worker is done.
- A key has at most one deadline; the earliest wins. Taking the key cancels the deadline, because
  whoever looks at a resource says anew when to look again.
- Failures are counted per key and back off exponentially, with jitter.

Time is the event loop's clock, so a loop with virtual time moves the queue too.
"""

import asyncio
import heapq
import random
from collections import deque
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Generic, Protocol, TypeVar

K = TypeVar("K", bound=Hashable)

_HEAP_SLACK = 64


class QueueObserver(Protocol):
    """What wants to know how the queue fares: the metrics."""

    def added(self) -> None:
        """A key that was not waiting was added."""
        ...

    def retried(self) -> None:
        """A key failed and will be tried again."""
        ...

    def taken(self, waited: float) -> None:
        """A worker took a key that had been ready for `waited` seconds."""
        ...

    def finished(self, worked: float) -> None:
        """A worker was done with a key after `worked` seconds."""
        ...


class _Silent:
    """Observes nothing."""

    def added(self) -> None: ...

    def retried(self) -> None: ...

    def taken(self, waited: float) -> None: ...

    def finished(self, worked: float) -> None: ...


@dataclass(frozen=True, slots=True)
class Backoff:
    """How long to wait after a failure: doubling with each in a row, `base` to `cap` seconds."""

    base: float = 1.0
    cap: float = 300.0

    def delay(self, failures: int, rng: random.Random) -> float:
        """Return a delay between half of the full one and all of it ("equal jitter")."""
        doublings = min(failures - 1, 64)  # beyond, a float overflows long after any cap
        full: float = min(self.cap, self.base * 2.0**doublings)
        return full * rng.uniform(0.5, 1.0)


class WorkQueue(Generic[K]):
    """Keys to work on. Not thread-safe: call it from the event loop alone."""

    def __init__(
        self,
        clock: Callable[[], float],
        *,
        rng: random.Random | None = None,
        backoff: Backoff | None = None,
        observer: QueueObserver | None = None,
    ) -> None:
        """Make an empty queue.

        Args:
            clock: monotonic seconds; `loop.time` of the loop that `get` is awaited in.
            rng: spreads retries.
            backoff: of failing keys.
            observer: told of everything that moves.
        """
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - jitter is no secret
        self._backoff = backoff or Backoff()
        self._observer = observer or _Silent()
        self._order: deque[K] = deque()
        self._ready_since: dict[K, float] = {}
        self._processing: dict[K, float] = {}
        self._dirty: dict[K, float] = {}
        self._deadlines: dict[K, tuple[float, int]] = {}
        self._heap: list[tuple[float, int, K]] = []
        self._sequence = 0
        self._failures: dict[K, int] = {}
        self._waiters: deque[asyncio.Future[None]] = deque()
        self._closed = False

    # --- for producers ----------------------------------------------------------------------

    def add(self, key: K) -> None:
        """Queue a key, unless it waits already."""
        if self._closed or key in self._ready_since or key in self._dirty:
            return
        self._observer.added()
        if key in self._processing:
            self._dirty[key] = self._clock()
            return
        self._ready_since[key] = self._clock()
        self._order.append(key)
        self._wake_one()

    def add_after(self, key: K, seconds: float) -> None:
        """Queue a key in a while; of several deadlines of one key the earliest wins."""
        if self._closed:
            return
        if seconds <= 0:
            self.add(key)
            return
        self._promote()
        deadline = self._clock() + seconds
        scheduled = self._deadlines.get(key)
        if scheduled is not None and scheduled[0] <= deadline:
            return
        self._sequence += 1
        self._deadlines[key] = (deadline, self._sequence)
        self._compact()
        heapq.heappush(self._heap, (deadline, self._sequence, key))
        if deadline <= self._heap[0][0]:
            self._wake_one()  # whoever sleeps until the next deadline sleeps too long now

    def fail(self, key: K) -> float:
        """Count a failure and queue the key again after its backoff, which is returned."""
        self._failures[key] = self._failures.get(key, 0) + 1
        delay = self._backoff.delay(self._failures[key], self._rng)
        self._observer.retried()
        self.add_after(key, delay)
        return delay

    def forget(self, key: K) -> None:
        """Forget a key's failures: it went well, or it is gone."""
        self._failures.pop(key, None)

    def failures(self, key: K) -> int:
        """How often in a row a key has failed."""
        return self._failures.get(key, 0)

    def close(self) -> None:
        """Hand out no more keys and wake everyone who waits for one."""
        self._closed = True
        while self._waiters:
            self._wake_one()

    # --- for workers ------------------------------------------------------------------------

    async def get(self) -> K | None:
        """Wait for a key and hold it until `done`; None once the queue is closed."""
        while not self._closed:
            key = self.take()
            if key is not None:
                return key
            await self._wait()
        return None

    def take(self) -> K | None:
        """Return a key that is ready now, to be held until `done`; None if there is none."""
        self._promote()
        if self._closed or not self._order:
            return None
        key = self._order.popleft()
        now = self._clock()
        self._observer.taken(now - self._ready_since.pop(key))
        self._deadlines.pop(key, None)
        self._processing[key] = now
        if self._order:
            self._wake_one()
        return key

    def done(self, key: K) -> None:
        """Let go of a key; if it was added meanwhile it is queued again.

        Raises:
            KeyError: if nobody holds it.
        """
        self._observer.finished(self._clock() - self._processing.pop(key))
        since = self._dirty.pop(key, None)
        if since is not None and not self._closed:
            self._ready_since[key] = since
            self._order.append(key)
            self._wake_one()

    # --- for metrics and health -------------------------------------------------------------

    def __len__(self) -> int:
        """How many keys are ready and not taken; deadlines in the future do not count."""
        return len(self._order)

    @property
    def idle(self) -> bool:
        """Whether no key is ready, none is held and none is due."""
        self._promote()
        return not self._order and not self._processing

    @property
    def scheduled(self) -> int:
        """How many keys have a deadline in the future."""
        return len(self._deadlines)

    def next_deadline(self) -> float | None:
        """Return the clock's time at which the next scheduled key is due."""
        while self._heap and not self._counts(self._heap[0]):
            heapq.heappop(self._heap)
        return self._heap[0][0] if self._heap else None

    def longest_wait(self) -> float:
        """Return the seconds for which the oldest ready key has waited for a worker."""
        now = self._clock()
        return now - min(self._ready_since.values(), default=now)

    def longest_work(self) -> float:
        """Return the seconds for which the slowest worker has held its key."""
        now = self._clock()
        return now - min(self._processing.values(), default=now)

    def unfinished_work(self) -> float:
        """Return the sum of the seconds for which all held keys have been held."""
        now = self._clock()
        return sum(now - since for since in self._processing.values())

    # --- within -----------------------------------------------------------------------------

    def _promote(self) -> None:
        """Move keys whose deadline has come into the queue."""
        now = self._clock()
        while self._heap and self._heap[0][0] <= now:
            entry = heapq.heappop(self._heap)
            if self._counts(entry):
                key = entry[2]
                del self._deadlines[key]
                self.add(key)

    def _counts(self, entry: tuple[float, int, K]) -> bool:
        """Whether an earlier deadline, or taking the key, has not made a heap entry void."""
        deadline, sequence, key = entry
        return self._deadlines.get(key) == (deadline, sequence)

    def _compact(self) -> None:
        """Rebuild the heap once most of it is void, so that it can't outgrow the keys."""
        if len(self._heap) > _HEAP_SLACK + 2 * len(self._deadlines):
            self._heap = [entry for entry in self._heap if self._counts(entry)]
            heapq.heapify(self._heap)

    async def _wait(self) -> None:
        """Sleep until something is added, the next deadline comes or the queue is closed."""
        loop = asyncio.get_running_loop()
        waiter: asyncio.Future[None] = loop.create_future()
        self._waiters.append(waiter)
        deadline = self.next_deadline()
        timer = None if deadline is None else loop.call_at(deadline, _resolve, waiter)
        try:
            await waiter
        except asyncio.CancelledError:
            if waiter.done() and not waiter.cancelled():
                self._wake_one()  # the wake-up was for whoever takes this worker's place
            raise
        finally:
            if timer is not None:
                timer.cancel()
            if waiter in self._waiters:
                self._waiters.remove(waiter)

    def _wake_one(self) -> None:
        while self._waiters:
            waiter = self._waiters.popleft()
            if not waiter.done():
                waiter.set_result(None)
                return


def _resolve(waiter: asyncio.Future[None]) -> None:
    if not waiter.done():
        waiter.set_result(None)
