"""An event loop in which a seed decides everything that is otherwise left to chance.

Time is virtual: when nothing is ready it jumps to the next timer. Of what is ready, the seed picks
what runs next, so every order that asyncio would allow can come up. Callbacks belong to a domain (a
simulated process, by a context variable): a paused domain's callbacks wait until it goes on, and a
dead one's never run, not even its `finally` blocks, as after SIGSTOP and SIGKILL.

No threads, no sockets, no wall clock.
"""

import asyncio
import contextvars
import heapq
import random
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, field
from enum import Enum, auto
from typing import Any, Self, TypeVar

from typing_extensions import override

T = TypeVar("T")


class Life(Enum):
    """What a domain does."""

    RUNNING = auto()
    PAUSED = auto()
    DEAD = auto()


@dataclass(eq=False, slots=True)
class Domain:
    """A simulated process, as far as the loop cares."""

    name: str
    life: Life = Life.RUNNING
    waiting: list[asyncio.Handle] = field(default_factory=list)
    """Callbacks that came due while the domain did not run."""


CURRENT: contextvars.ContextVar[Domain | None] = contextvars.ContextVar("domain", default=None)
"""The domain whose code runs; None for the world around the processes."""


_WORLD = contextvars.Context()
"""Where the world's own callbacks run."""


class _Task(asyncio.Task[Any]):
    """A task whose place in a set does not depend on where in memory it lies."""

    _serial: int

    def __new__(cls, *_: Any, loop: "SimulatedLoop", **__: Any) -> Self:
        task = super().__new__(cls)
        task._serial = loop.next_serial()  # before the constructor puts the task into a set
        return task

    @override
    def __hash__(self) -> int:
        return self._serial


class _Future(asyncio.Future[Any]):
    """Likewise."""

    def __init__(self, *, loop: "SimulatedLoop") -> None:
        self._serial = loop.next_serial()
        super().__init__(loop=loop)

    @override
    def __hash__(self) -> int:
        return self._serial


class DeadlockError(RuntimeError):
    """Nothing is ready and nothing ever will be."""


class SimulatedLoop(asyncio.AbstractEventLoop):
    """The part of an event loop that code without I/O uses."""

    def __init__(self, rng: random.Random) -> None:
        self._rng = rng
        self._now = 0.0
        self._ready: list[asyncio.Handle] = []
        self._timers: list[tuple[float, int, asyncio.TimerHandle]] = []
        self._sequence = 0
        self._tasks: dict[asyncio.Task[Any], Domain | None] = {}
        self._running = False
        self.ending = False
        """Whether everything is being taken down, so that nobody may begin anything."""
        self.errors: list[dict[str, Any]] = []
        """What was given to the exception handler."""

    # --- what processes are made of ---------------------------------------------------------

    def spawn(self, domain: Domain | None, coroutine: Coroutine[Any, Any, T]) -> asyncio.Task[T]:
        """Start a task in a domain."""
        context = contextvars.copy_context()
        context.run(CURRENT.set, domain)
        return context.run(self.create_task, coroutine)

    def call_in(self, domain: Domain | None, callback: Callable[..., object], *args: Any) -> None:
        """Run a callback soon in a domain."""
        context = contextvars.copy_context()
        context.run(CURRENT.set, domain)
        self.call_soon(callback, *args, context=context)

    def later(self, delay: float, callback: Callable[..., object], *args: Any) -> None:
        """Run a callback of the world's after a while."""
        self.call_at(self._now + delay, callback, *args, context=_WORLD)

    def resume(self, domain: Domain) -> None:
        """Let a paused domain go on."""
        if domain.life is Life.PAUSED:
            domain.life = Life.RUNNING
            self._ready += domain.waiting
            domain.waiting.clear()

    # --- running ----------------------------------------------------------------------------

    def run(self, main: Coroutine[Any, Any, T]) -> T:
        """Run until `main` is done.

        Raises:
            DeadlockError: if it never will be.
        """
        asyncio.set_event_loop(self)
        asyncio._set_running_loop(self)
        self._running = True
        try:
            task = self.create_task(main)
            while not task.done():
                self._step()
            result: T = task.result()
            return result
        finally:
            self._abandon()
            self._running = False
            asyncio._set_running_loop(None)
            asyncio.set_event_loop(None)

    def _step(self) -> None:
        while self._timers and (self._timers[0][0] <= self._now or self._timers[0][2].cancelled()):
            self._ready.append(heapq.heappop(self._timers)[2])
        if not self._ready:
            if not self._timers:
                raise DeadlockError("nothing is ready, and no timer is set")
            self._now = max(self._now, self._timers[0][0])
            return
        if len(self._ready) > 1:
            position = int(self._rng.random() * len(self._ready))
            self._ready[position], self._ready[-1] = self._ready[-1], self._ready[position]
        handle = self._ready.pop()
        if handle.cancelled():
            return
        domain = handle._context.get(CURRENT)  # type: ignore[attr-defined]
        if domain is None or domain.life is Life.RUNNING:
            handle._run()
        else:
            domain.waiting.append(handle)

    def _abandon(self) -> None:
        """Take down what is left, dead or alive, so that nothing complains when it is collected."""
        self.ending = True
        while self._tasks:
            for task, domain in list(self._tasks.items()):
                if domain is not None:
                    domain.life = Life.RUNNING
                    self._ready += domain.waiting
                    domain.waiting.clear()
                task.cancel()
            while self._ready:
                handle = self._ready.pop()
                if not handle.cancelled():
                    handle._run()
        self._timers.clear()

    def next_serial(self) -> int:
        """Return a number that orders what is made."""
        self._sequence += 1
        return self._sequence

    # --- asyncio ----------------------------------------------------------------------------

    @override
    def time(self) -> float:
        return self._now

    @override
    def call_soon(  # type: ignore[override]
        self,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.Handle:
        handle = asyncio.Handle(callback, args, self, context)
        self._ready.append(handle)
        return handle

    @override
    def call_at(  # type: ignore[override]
        self,
        when: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        handle = asyncio.TimerHandle(when, callback, args, self, context)
        self._sequence += 1
        heapq.heappush(self._timers, (when, self._sequence, handle))
        return handle

    @override
    def call_later(  # type: ignore[override]
        self,
        delay: float,
        callback: Callable[..., object],
        *args: Any,
        context: contextvars.Context | None = None,
    ) -> asyncio.TimerHandle:
        return self.call_at(self._now + delay, callback, *args, context=context)

    def _timer_handle_cancelled(self, handle: asyncio.TimerHandle) -> None:
        """Leave it in the heap; it is skipped when its time comes."""

    @override
    def create_future(self) -> asyncio.Future[Any]:
        return _Future(loop=self)

    @override
    def create_task(self, coro: Any, **options: Any) -> asyncio.Task[Any]:
        task = _Task(coro, loop=self, **options)
        self._tasks[task] = CURRENT.get()
        task.add_done_callback(self._tasks.pop)
        return task

    @override
    def get_debug(self) -> bool:
        return False

    @override
    def is_running(self) -> bool:
        return self._running

    @override
    def is_closed(self) -> bool:
        return False

    @override
    def call_exception_handler(self, context: dict[str, Any]) -> None:
        self.errors.append(context)
