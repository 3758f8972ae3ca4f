"""What is measured of each operator, in the order in which an estate grows and ages."""

import math
import statistics
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from benchmarks.operator.estate import (
    Estate,
    LateError,
    by_operation,
    group,
    processor_seconds,
    ready,
    recorded,
    resident_mebibytes,
    wait_for,
)
from benchmarks.operator.sides import REAL, Running, Side

Say = Callable[[str], None]

BURST: Final = "burst"
CALLS: Final = "calls"
STEADY: Final = "steady"
LATENCY: Final = "latency"
MEMORY: Final = "memory"
RESTART: Final = "restart"
NAMES: Final = (BURST, CALLS, STEADY, LATENCY, MEMORY, RESTART)

FAST: Final = REAL["poll_fast"]
SLOW: Final = REAL["poll_slow"]
PEER_AT_REST: Final = 60.0
"""Seconds between the peer's polls where nothing is counted: often enough to see what we wait for,
seldom enough for the machine to bear thousands of them.
"""
BETWEEN_APPLIES: Final = 0.2
_PATIENCE: Final = 1200.0
_IMPORTED: Final = 0.3
"""Processor seconds after which an operator has begun to run: less than any spends on imports."""


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    resources: int = 1000
    many: int = 5000
    applies: int = 100
    polls: int = 2
    """Fast polls for which calls are counted while everything is in flight."""
    in_flight: float = 150.0
    """Seconds that a creation takes the engine: long enough to count calls meanwhile. The engine's
    clock is never moved, for what a restart can go on from is told by it."""
    hours: float = 10.0
    """Hours of steady state."""
    faster: float = 240.0
    """How many times as fast those hours pass: all periods are divided by it."""
    peer_polls: int = 2
    """Slow polls for which the peer's steady state is watched, which goes on as it goes."""
    growth: float = 600.0
    """Seconds that an operator may take to make `many` of `resources`."""
    restart: float = 90.0
    """Seconds that it may take to see them after a restart."""


QUICK: Final = Sizes(resources=200, many=400, applies=20, in_flight=60, hours=1, faster=60)


@dataclass(slots=True)
class Measured:
    """What was found out about one operator; None was not measured."""

    calls_per_minute: float | None = None
    steady_writes: int | None = None
    steady_mutating: int | None = None
    steady_reads_per_hour: float | None = None
    steady_pages_per_hour: float | None = None
    latencies: list[float] = field(default_factory=list)
    burst_seconds: float | None = None
    burst_processor: float | None = None
    burst_excess_creates: int | None = None
    burst_writes: int | None = None
    resident: float | None = None
    resident_many: float | None = None
    many_seconds: float | None = None
    peak: float | None = None
    restart_seconds: float | None = None
    restart_mutating: int | None = None
    restart_calls: int | None = None
    limits: dict[str, float] = field(default_factory=dict)
    """What took longer than its limit, and was given up then: the field, and its limit."""

    @property
    def latency_50(self) -> float | None:
        """The median latency, in milliseconds."""
        return self._latency(0.5)

    @property
    def latency_99(self) -> float | None:
        """The 99th percentile of the latencies by nearest rank, in milliseconds."""
        return self._latency(0.99)

    def _latency(self, share: float) -> float | None:
        ordered = sorted(self.latencies)
        return ordered[math.ceil(share * len(ordered)) - 1] * 1000 if ordered else None


class Scenario:
    """One operator's run."""

    def __init__(
        self,
        side: Side,
        sizes: Sizes,
        only: Sequence[str],
        folder: Path,
        say: Say,
        at_rest: Callable[[], object] = lambda: None,
    ) -> None:
        """Choose what to measure.

        Args:
            side: of which operator.
            sizes: how much.
            only: names of the parts.
            folder: for logs and data.
            say: receives progress.
            at_rest: called when nothing but counts is measured for a while, so that other work
                may run.
        """
        self._side = side
        self._sizes = sizes
        self._only = frozenset(only)
        self._folder = folder
        self._tell = say
        self._measured = Measured()
        self._made = 0
        self._at_rest = at_rest

    def run(self) -> Measured:
        """Measure what was asked for, in an estate of its own."""
        with (
            Estate(self._folder, in_flight=self._sizes.in_flight) as estate,
            ExitStack() as stack,
        ):
            operator = self._start(stack, estate)
            self._burst(estate, operator)
            if MEMORY in self._only:
                self._measured.resident = self._resident(operator)
            if STEADY in self._only:
                operator = self._steady(stack, estate, operator)
            if LATENCY in self._only:
                self._latency(estate)
            if self._only & {MEMORY, RESTART}:
                self._many(stack, estate, operator)
        return self._measured

    def _say(self, text: str) -> None:
        self._tell(f"{self._side.name}: {text}")

    def _start(
        self, stack: ExitStack, estate: Estate, *, interval: float = FAST, faster: float = 1.0
    ) -> Running:
        running = self._side.start(estate, faster, interval)
        stack.enter_context(running.process)
        return running

    # --- the estate grows -------------------------------------------------------------------

    def _burst(self, estate: Estate, operator: Running) -> None:
        """Apply all at once; look at the calls while they are in flight; let them become ready."""
        count = self._sizes.resources
        wait_for(
            "the operator starts",
            lambda: processor_seconds(operator.process) > _IMPORTED,
            timeout=60,
        )
        time.sleep(5)
        self._say(f"{count} resources applied at once")
        mark, writes = estate.mark(), estate.writes()
        used, began = processor_seconds(operator.process), time.monotonic()
        self._grow(estate, count)
        self._measured.burst_seconds = time.monotonic() - began
        used = processor_seconds(operator.process) - used
        if CALLS in self._only:
            self._calls(estate)
        self._say("they become ready")
        used -= processor_seconds(operator.process)
        self._become_ready(estate)
        self._measured.burst_processor = used + processor_seconds(operator.process)
        creates = estate.calls(mark, operation="CreateDatasetGroup")
        self._measured.burst_excess_creates = len(creates) - count
        self._measured.burst_writes = estate.writes() - writes - count

    def _grow(self, estate: Estate, count: int, *, timeout: float = _PATIENCE) -> None:
        """Apply `count` more and wait until each shows its external object."""
        first, self._made = self._made, self._made + count
        until = time.monotonic() + timeout
        estate.apply(group(f"group-{number:05}") for number in range(first, self._made))
        wait_for(
            f"{self._made} resources show their external objects",
            lambda: recorded(estate.groups()) >= self._made,
            timeout=until - time.monotonic(),
            tick=self._tick(),
        )

    def _become_ready(self, estate: Estate) -> None:
        wait_for(
            f"{self._made} resources are ready",
            lambda: ready(estate.groups()) >= self._made,
            timeout=_PATIENCE,
            tick=self._tick(),
        )

    def _tick(self) -> float:
        """Seconds between two looks at everything: too rare to weigh on who is measured."""
        return 1 + self._made / 1000

    def _calls(self, estate: Estate) -> None:
        window = self._sizes.polls * FAST
        self._say(f"calls for {window:.0f} s while all are in flight")
        time.sleep(FAST)  # what still follows from the creation
        mark = estate.mark()
        time.sleep(window)
        self._measured.calls_per_minute = len(estate.calls(mark)) * 60 / window

    # --- it rests ---------------------------------------------------------------------------

    def _steady(self, stack: ExitStack, estate: Estate, operator: Running) -> Running:
        """Let hours pass in minutes, by dividing all periods; then go on with real ones."""
        operator.process.stop(grace=20)
        # One Describe per object can't be had so fast, so the peer's time runs as it does.
        ours, sizes = self._side.name == "reco", self._sizes
        faster = sizes.faster if ours else SLOW / FAST
        hours = sizes.hours if ours else sizes.peer_polls * SLOW / 3600
        quick = self._start(stack, estate, interval=SLOW / faster, faster=faster)
        wait_for("all are seen", lambda: quick.settled(self._made), timeout=_PATIENCE)
        time.sleep(max(5, SLOW / faster))
        self._say(f"{hours:g} hours of steady state, {faster:.0f} times as fast")
        self._at_rest()
        mark, writes = estate.mark(), estate.writes()
        time.sleep(hours * 3600 / faster)
        calls = estate.calls(mark)
        measured = self._measured
        measured.steady_writes = round((estate.writes() - writes) * sizes.hours / hours)
        mutating = sum(call["mutating"] for call in calls)
        measured.steady_mutating = round(mutating * sizes.hours / hours)
        measured.steady_reads_per_hour = (len(calls) - mutating) / hours
        operations = by_operation(calls)
        lists = sum(operations[name] for name in operations if name.startswith("List"))
        measured.steady_pages_per_hour = (lists - operations["ListTagsForResource"]) / hours
        quick.process.stop(grace=20)
        again = self._start(stack, estate, interval=PEER_AT_REST)
        wait_for("all are seen", lambda: again.settled(self._made), timeout=_PATIENCE)
        return again

    # --- someone works on it ----------------------------------------------------------------

    def _latency(self, estate: Estate) -> None:
        """Apply one after the other, and read in the engine's log when each was created."""
        count = self._sizes.applies
        self._say(f"{count} single applies")
        time.sleep(5)
        names = [f"single-{number:03}" for number in range(count)]
        sent: dict[str, float] = {}
        mark = estate.mark()
        ahead = estate.engine_time() - time.time()
        for name in names:
            sent[f"default_{name}"] = time.time() + ahead
            estate.apply([group(name)])
            time.sleep(BETWEEN_APPLIES)
        self._made += count
        wait_for(
            "all of them are created",
            lambda: recorded(estate.groups()) >= self._made,
            timeout=120,
        )
        for call in estate.calls(mark, operation="CreateDatasetGroup"):
            began = sent.pop(call["parameters"]["name"], None)
            if began is not None:
                self._measured.latencies.append(call["time"] - began)

    def _resident(self, operator: Running) -> float:
        samples = []
        for _ in range(5):
            time.sleep(1)
            samples.append(resident_mebibytes(operator.process))
        return statistics.median(samples)

    def _many(self, stack: ExitStack, estate: Estate, operator: Running) -> None:
        more, limit, measured = self._sizes.many - self._made, self._sizes.growth, self._measured
        self._say(f"{more} more resources")
        began = time.monotonic()
        try:
            self._grow(estate, more, timeout=limit)
        except LateError as error:
            self._say(f"{error}: given up")
            measured.limits["many_seconds"] = limit
            return
        measured.many_seconds = time.monotonic() - began
        if MEMORY in self._only:
            measured.resident_many = self._resident(operator)
            measured.peak = resident_mebibytes(operator.process, "VmHWM")
        if RESTART in self._only:
            self._say(f"restart with {self._made} resources")
            operator.process.stop(grace=20)
            mark = estate.mark()
            began = time.monotonic()
            again = self._start(stack, estate, interval=PEER_AT_REST)
            limit = self._sizes.restart
            try:
                wait_for("all are seen", lambda: again.settled(self._made), timeout=limit)
                measured.restart_seconds = time.monotonic() - began
            except LateError as error:
                self._say(f"{error}: given up")
                measured.limits["restart_seconds"] = limit
            calls = estate.calls(mark)
            measured.restart_calls = len(calls)
            measured.restart_mutating = sum(call["mutating"] for call in calls)
