import asyncio
import random
from collections.abc import Callable
from typing import Any

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule
from typing_extensions import override

from reco.loop.queue import Backoff, WorkQueue

KEYS = st.sampled_from("abcd")


class QueueModel(RuleBasedStateMachine):
    """Compares the queue with what it promises, whatever is called in whatever order."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0
        self.queue = WorkQueue[str](lambda: self.now, rng=random.Random(1))
        self.held: set[str] = set()
        self.owed: set[str] = set()
        self.deadlines: dict[str, float] = {}

    def pass_time(self, seconds: float) -> None:
        self.now += seconds
        self.owed |= {key for key, due in self.deadlines.items() if due <= self.now}
        self.deadlines = {key: due for key, due in self.deadlines.items() if due > self.now}

    def schedule(self, key: str, due: float) -> None:
        if due <= self.now:
            self.owed.add(key)
        else:
            self.deadlines[key] = min(due, self.deadlines.get(key, due))

    @rule(key=KEYS)
    def add(self, key: str) -> None:
        self.queue.add(key)
        self.owed.add(key)

    @rule(key=KEYS, seconds=st.integers(0, 100))
    def add_after(self, key: str, seconds: int) -> None:
        self.queue.add_after(key, seconds)
        self.schedule(key, self.now + seconds)

    @rule(key=KEYS)
    def fail(self, key: str) -> None:
        failures = self.queue.failures(key)
        delay = self.queue.fail(key)
        assert self.queue.failures(key) == failures + 1
        self.schedule(key, self.now + delay)

    @rule(seconds=st.integers(0, 200))
    def wait(self, seconds: int) -> None:
        self.pass_time(seconds)

    @rule()
    def take(self) -> None:
        key = self.queue.take()
        waiting = self.owed - self.held
        if key is None:
            assert not waiting, "a key was lost"
            return
        assert key in waiting, "a key was handed out that nobody asked for, or twice at once"
        self.owed.discard(key)
        self.deadlines.pop(key, None)
        self.held.add(key)

    @precondition(lambda self: self.held)
    @rule(data=st.data())
    def done(self, data: st.DataObject) -> None:
        key = data.draw(st.sampled_from(sorted(self.held)))
        self.queue.done(key)
        self.held.discard(key)

    @invariant()
    def the_next_deadline_is_the_earliest(self) -> None:
        deadline = self.queue.next_deadline()
        if self.deadlines and deadline is not None and deadline > self.now:
            assert deadline == min(self.deadlines.values())

    @override
    def teardown(self) -> None:
        """In the end every key that is owed comes out, once."""
        for key in self.held:
            self.queue.done(key)
        self.pass_time(10_000)
        out = []
        while (taken := self.queue.take()) is not None:
            out.append(taken)
            self.queue.done(taken)
        assert sorted(out) == sorted(self.owed)


TestQueue = QueueModel.TestCase
TestQueue.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


def test_a_failing_key_backs_off_to_the_cap_and_starts_over_once_forgotten() -> None:
    queue = WorkQueue[str](lambda: 0.0, backoff=Backoff(base=1, cap=60), rng=random.Random(7))
    delays = [queue.fail("a") for _ in range(100)]
    for failures, delay in enumerate(delays):
        full = min(60, 2**failures)
        assert full / 2 <= delay <= full
    queue.forget("a")
    assert queue.fail("a") <= 1


def test_a_key_that_is_rescheduled_for_ever_does_not_grow_the_queue() -> None:
    queue = WorkQueue[str](lambda: 0.0)
    for _ in range(10_000):
        queue.add("a")
        queue.take()
        queue.add_after("a", 900)
        queue.done("a")
    assert len(queue._heap) < 200


def test_workers_share_the_keys_and_end_when_the_queue_is_closed(run: Any) -> None:
    async def main() -> list[tuple[float, str]]:
        loop = asyncio.get_running_loop()
        queue = WorkQueue[str](loop.time)
        seen: list[tuple[float, str]] = []

        async def work() -> None:
            while (key := await queue.get()) is not None:
                seen.append((loop.time(), key))
                await asyncio.sleep(10)
                queue.done(key)

        workers = [asyncio.create_task(work()) for _ in range(3)]
        queue.add_after("late", 5)
        for key in ("a", "b", "a"):
            queue.add(key)
        await asyncio.sleep(6)
        queue.add("a")  # still held: comes again after its worker is done
        await asyncio.sleep(100)
        queue.close()
        await asyncio.gather(*workers)
        return seen

    assert run(main) == [(0, "a"), (0, "b"), (5, "late"), (10, "a")]


def test_a_cancelled_worker_does_not_take_a_wake_up_with_it(run: Any) -> None:
    async def main() -> str | None:
        queue = WorkQueue[str](asyncio.get_running_loop().time)
        first = asyncio.create_task(queue.get())
        second = asyncio.create_task(queue.get())
        await asyncio.sleep(0)
        queue.add("a")
        first.cancel()
        return await asyncio.wait_for(second, 5)

    assert run(main) == "a"


def test_the_observer_hears_of_every_step() -> None:
    now = 0.0
    heard: list[tuple[Any, ...]] = []

    class Observer:
        added: Callable[[], None] = staticmethod(lambda: heard.append(("added",)))
        retried: Callable[[], None] = staticmethod(lambda: heard.append(("retried",)))
        taken: Callable[[float], None] = staticmethod(lambda s: heard.append(("taken", s)))
        finished: Callable[[float], None] = staticmethod(lambda s: heard.append(("finished", s)))

    queue = WorkQueue[str](lambda: now, observer=Observer())
    queue.add("a")
    queue.add("a")
    now = 2.0
    queue.take()
    now = 5.0
    assert queue.longest_work() == 3
    queue.fail("a")
    queue.done("a")
    assert heard == [("added",), ("taken", 2.0), ("retried",), ("finished", 3.0)]
