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

PEER_AT_REST: Final = 60.0
"""Seconds between the peer's polls where nothing is counted: often enough to see what we wait for,
seldom enough for the machine to bear thousands of them.
"""
_PATIENCE: Final = 1200.0


@dataclass(frozen=True, slots=True)
class Sizes:
    """How much is measured."""

    resources: int = 1000
    many: int = 5000
    applies: int = 100
    creation: float = 180.0
    """Seconds for which a resource is in flight; enough for all to be made, and for the window."""
    window: float = 45.0
    """Seconds for which calls are counted while everything is in flight."""
    hours: float = 10.0
    """Hours of steady state."""
    faster: float = 120.0
    """How many times as fast those hours pass: all periods are divided by it."""


QUICK: Final = Sizes(
    resources=200, many=400, applies=20, creation=90, window=30, hours=1, faster=60
)


@dataclass(slots=True)
class Measured:
    """What was found out about one operator; None was not measured."""

    calls_per_minute: float | None = None
    steady_hours: float | None = None
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
    peak: float | None = None
    restart_seconds: float | None = None
    restart_mutating: int | None = None
    restart_calls: int | None = None

    def latency(self, share: float) -> float:
        """Return a percentile of the latencies by nearest rank, in seconds."""
        ordered = sorted(self.latencies)
        return ordered[math.ceil(share * len(ordered)) - 1]


class Scenario:
    """One operator's run."""

    def __init__(
        self, side: Side, sizes: Sizes, only: Sequence[str], folder: Path, say: Say
    ) -> None:
        self._side = side
        self._sizes = sizes
        self._only = frozenset(only)
        self._folder = folder
        self._tell = say
        self._measured = Measured()
        self._made = 0

    def run(self) -> Measured:
        """Measure what was asked for, in an estate of its own."""
        with (
            Estate(self._folder, creation_seconds=self._sizes.creation) as estate,
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
        self, stack: ExitStack, estate: Estate, *, interval: float = REAL.fast, faster: float = 1.0
    ) -> Running:
        running = self._side.start(estate, REAL.times_faster(faster), interval)
        stack.enter_context(running.process)
        return running

    # --- the estate grows -------------------------------------------------------------------

    def _burst(self, estate: Estate, operator: Running) -> None:
        """Apply all at once; look at the calls while they are in flight; let them become ready."""
        count = self._sizes.resources
        wait_for("the operator starts", lambda: processor_seconds(operator.process) > 1, timeout=60)
        time.sleep(5)
        self._say(f"{count} resources applied at once")
        mark, writes = estate.mark(), estate.writes()
        used, began = processor_seconds(operator.process), time.monotonic()
        self._grow(estate, count)
        self._measured.burst_seconds = time.monotonic() - began
        used = processor_seconds(operator.process) - used
        if CALLS in self._only:
            self._calls(estate, estate.mark(mark))
        self._say("they become ready")
        used -= processor_seconds(operator.process)
        self._become_ready(estate)
        self._measured.burst_processor = used + processor_seconds(operator.process)
        creates = estate.calls(mark, operation="CreateDatasetGroup")
        self._measured.burst_excess_creates = len(creates) - count
        self._measured.burst_writes = estate.writes() - writes - count

    def _grow(self, estate: Estate, count: int) -> None:
        """Apply `count` more and wait until each shows its external object."""
        first, self._made = self._made, self._made + count
        estate.apply(group(f"group-{number:05}") for number in range(first, self._made))
        wait_for(
            f"{self._made} resources show their external objects",
            lambda: recorded(estate.groups()) >= self._made,
            timeout=_PATIENCE,
            tick=2,
        )

    def _become_ready(self, estate: Estate) -> None:
        wait_for(
            f"{self._made} resources are ready",
            lambda: ready(estate.groups()) >= self._made,
            timeout=_PATIENCE,
            tick=2,
        )

    def _calls(self, estate: Estate, mark: int) -> None:
        window = self._sizes.window
        self._say(f"calls for {window:.0f} s while all are in flight")
        time.sleep(REAL.fast)  # what still follows from the creation
        mark = estate.mark(mark)
        time.sleep(window)
        self._measured.calls_per_minute = len(estate.calls(mark)) * 60 / window
        if ready(estate.groups()):
            raise LateError(
                f"the first creations, which take {self._sizes.creation:.0f} s, were over before"
                " all calls were counted: the machine is too busy to measure"
            )

    # --- it rests ---------------------------------------------------------------------------

    def _steady(self, stack: ExitStack, estate: Estate, operator: Running) -> Running:
        """Let hours pass in minutes, by dividing all periods; then go on with real ones."""
        operator.process.stop(grace=20)
        # A peer that polls each object can't run as fast, so fewer of its hours are watched.
        faster, hours = self._steady_pace()
        quick = self._start(stack, estate, interval=REAL.slow / faster, faster=faster)
        wait_for("all are seen", lambda: quick.settled(self._made), timeout=_PATIENCE)
        time.sleep(2 * REAL.slow / faster)
        self._say(f"{hours:g} hours of steady state, {faster:.0f} times as fast")
        mark, writes = estate.mark(), estate.writes()
        time.sleep(hours * 3600 / faster)
        calls = estate.calls(mark)
        measured = self._measured
        measured.steady_hours = hours
        measured.steady_writes = estate.writes() - writes
        measured.steady_mutating = sum(call["mutating"] for call in calls)
        measured.steady_reads_per_hour = len(calls) / hours
        operations = by_operation(calls)
        lists = sum(operations[name] for name in operations if name.startswith("List"))
        measured.steady_pages_per_hour = (lists - operations["ListTagsForResource"]) / hours
        quick.process.stop(grace=20)
        again = self._start(stack, estate, interval=PEER_AT_REST)
        wait_for("all are seen", lambda: again.settled(self._made), timeout=_PATIENCE)
        return again

    def _steady_pace(self) -> tuple[float, float]:
        sizes = self._sizes
        if self._side.name == "reco":
            return sizes.faster, sizes.hours
        return REAL.slow / REAL.fast, sizes.hours / 20

    # --- someone works on it ----------------------------------------------------------------

    def _latency(self, estate: Estate) -> None:
        """Apply one after the other, and read in the engine's log when each was created."""
        count = self._sizes.applies
        self._say(f"{count} single applies")
        time.sleep(5)
        names = [f"single-{number:03}" for number in range(count)]
        sent: dict[str, float] = {}
        mark = estate.mark()
        for name in names:
            sent[f"default_{name}"] = time.time()
            estate.apply([group(name)])
            time.sleep(0.4)
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
        for _ in range(10):
            time.sleep(1)
            samples.append(resident_mebibytes(operator.process))
        return statistics.median(samples)

    def _many(self, stack: ExitStack, estate: Estate, operator: Running) -> None:
        more = self._sizes.many - self._made
        self._say(f"{more} more resources")
        self._grow(estate, more)
        self._become_ready(estate)
        if MEMORY in self._only:
            self._measured.resident_many = self._resident(operator)
            self._measured.peak = resident_mebibytes(operator.process, "VmHWM")
        if RESTART in self._only:
            self._say(f"restart with {self._made} resources")
            operator.process.stop(grace=20)
            mark = estate.mark()
            began = time.monotonic()
            again = self._start(stack, estate, interval=PEER_AT_REST)
            wait_for("all are seen", lambda: again.settled(self._made), timeout=_PATIENCE)
            self._measured.restart_seconds = time.monotonic() - began
            calls = estate.calls(mark)
            self._measured.restart_calls = len(calls)
            self._measured.restart_mutating = sum(call["mutating"] for call in calls)
