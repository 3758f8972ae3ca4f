"""What the operator costs and how fast it is, beside a plain kopf operator in the same run.

    uv run python -m benchmarks.operator.run [--only NAME ...] [--json FILE] [--quick]

Both operators run as processes of their own against a real Kubernetes API and the Personalize
emulator, one after the other, each in an estate of its own. Needs Linux, for /proc.
"""

import argparse
import json
import os
import platform
import shlex
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.operator import scenario, schedules
from benchmarks.operator.scenario import QUICK, Measured, Scenario, Sizes
from benchmarks.operator.sides import OURS, PEER

SCHEDULE: Final = "schedule"
NAMES: Final = (*scenario.NAMES, SCHEDULE)

WIDTH: Final = 140
"""Of the table where it goes to a file."""

console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Line:
    """What one number of ``Measured`` is called, and its bar: at most one of the last three."""

    name: str
    unit: str
    field: str
    below: float | None = None
    most: float | None = None
    times_fewer: float | None = None

    @property
    def bar(self) -> str:
        """The bar in words."""
        if self.below is not None:
            return f"< {self.below:g}"
        if self.most is not None:
            return f"{self.most:g}"
        return "" if self.times_fewer is None else f"{self.times_fewer:g} times fewer"

    def passed(self, ours: float, peer: float | None) -> bool | None:
        """Whether ours clears the bar; None without one."""
        if self.below is not None:
            return ours < self.below
        if self.most is not None:
            return ours <= self.most
        if self.times_fewer is None or peer is None:
            return None
        return peer >= self.times_fewer * ours


LINES: Final = (
    Line("engine calls, {n} resources in flight", "per minute", "calls_per_minute",
         times_fewer=10),
    Line("Kubernetes writes, {n} resources at rest, {hours} hours", "", "steady_writes", most=0),
    Line("mutating calls, {n} resources at rest, {hours} hours", "", "steady_mutating", most=0),
    Line("reading calls at rest", "per hour", "steady_reads_per_hour"),
    Line("of these, pages of lists", "per hour", "steady_pages_per_hour"),
    Line("apply to create call, {applies} applies, p50", "ms", "latency_50"),
    Line("apply to create call, {applies} applies, p99", "ms", "latency_99", below=1000),
    Line("{n} applied at once, until all are created and recorded", "s", "burst_seconds"),
    Line("{n} applied at once, until all are ready: processor", "s", "burst_processor", below=60),
    Line("{n} applied at once: superfluous create calls", "", "burst_excess_creates", most=0),
    Line("{n} applied at once: Kubernetes writes", "", "burst_writes"),
    Line("resident memory, {n} resources", "MiB", "resident", below=200),
    Line("from there to {many} resources, until all are created and recorded", "s", "many_seconds"),
    Line("resident memory, {many} resources", "MiB", "resident_many", below=350),
    Line("its peak while they were made", "MiB", "peak"),
    Line("restart, {many} resources, until all are seen", "s", "restart_seconds", below=30),
    Line("restart, {many} resources: mutating calls", "", "restart_mutating", most=0),
    Line("restart, {many} resources: engine calls", "", "restart_calls"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. Numbers are None where they were not measured or mean nothing.

    Of who gave up, the number is the limit that was not enough.
    """

    name: str
    unit: str
    ours: float | None
    peer: float | None
    bar: str = ""
    passed: bool | None = None
    ours_gave_up: bool = False
    peer_gave_up: bool = False

    @property
    def ratio(self) -> float | None:
        """How many times as much the peer needs: at least, if it gave up."""
        if not self.ours or self.ours_gave_up or self.peer is None:
            return None
        return self.peer / self.ours


def rows(ours: Measured, peer: Measured, sizes: Sizes) -> Iterator[Row]:
    """Put what was measured beside each other and beside the bars."""
    words = {
        "n": f"{sizes.resources:,}",
        "many": f"{sizes.many:,}",
        "hours": f"{sizes.hours:g}",
        "applies": f"{sizes.applies}",
    }
    for line in LINES:
        number, gave_up = _number(ours, line.field)
        beside, peer_gave_up = _number(peer, line.field)
        if number is not None:
            passed = False if gave_up else line.passed(number, beside)
            yield Row(
                line.name.format_map(words), line.unit, number, beside, line.bar, passed,
                gave_up, peer_gave_up,
            )  # fmt: skip


def _number(measured: Measured, field: str) -> tuple[float | None, bool]:
    limit = measured.limits.get(field)
    return (getattr(measured, field), False) if limit is None else (limit, True)


def schedule_rows(report: schedules.Report) -> Iterator[Row]:
    """Put the schedules beside bare croniter's."""
    where = f"{report.expected:,} runs, {report.changes:,} clock changes, {report.zones} zones"
    for name, ours, peer in (
        (f"double runs of schedules: {where}", report.ours.double, report.peer.double),
        ("missed runs of schedules", report.ours.missed, report.peer.missed),
        ("runs at a wrong time", report.wrong_instants, None),
    ):
        yield Row(name, "", ours, peer, "0", ours == 0)


def table(found: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    grid = Table(title=f"reco beside {PEER.name}")
    for title in ("", "unit"):
        grid.add_column(title)
    for title in ("reco", "peer", "peer / reco", "bar", ""):
        grid.add_column(title, justify="right")
    for row in found:
        verdict = {True: "[green]pass[/green]", False: "[red]MISS[/red]", None: ""}[row.passed]
        ratio = _text(row.ratio, at_least=row.peer_gave_up, digits=1)
        ours, peer = (
            _text(row.ours, at_least=row.ours_gave_up),
            _text(row.peer, at_least=row.peer_gave_up),
        )
        grid.add_row(row.name, row.unit, ours, peer, ratio, row.bar, verdict)
    return grid


def _text(value: float | None, *, at_least: bool = False, digits: int = 0) -> str:
    if value is None:
        return ""
    whole = digits == 0 and (value == round(value) or value >= 100)
    return (
        f"{'> ' if at_least else ''}{value:,.0f}"
        if whole
        else f"{'> ' if at_least else ''}{value:,.1f}"
    )


def machine() -> dict[str, object]:
    """Return what kind of machine this is."""
    memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 2**30
    return {
        "cores": os.cpu_count(),
        "memory_gib": round(memory),
        "python": platform.python_version(),
        "system": f"{platform.system()} {platform.machine()}",
        "load": round(os.getloadavg()[2], 1),
    }


def main() -> int:
    """Measure, print, write; the exit code is 1 if a bar was missed."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--only", nargs="+", choices=NAMES, default=NAMES, metavar="NAME",
                        help=f"measure only these: {', '.join(NAMES)}")  # fmt: skip
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the numbers here too")
    parser.add_argument("--quick", action="store_true", help="few resources and short times")
    parser.add_argument("--dir", type=Path, help="where logs go (default: temporary)")
    options = parser.parse_args()
    sizes = QUICK if options.quick else Sizes()
    began = time.monotonic()

    def say(text: str) -> None:
        console.print(f"[dim]{time.monotonic() - began:6.0f} s[/dim]  {text}", highlight=False)

    found: list[Row] = []
    wanted = [name for name in options.only if name != SCHEDULE]
    with (
        tempfile.TemporaryDirectory(prefix="reco-benchmark-") as temporary,
        ProcessPoolExecutor(1, get_context("spawn"), os.nice, (10,)) as beside,
    ):
        folder = (options.dir or Path(temporary)).resolve()
        walks: list[Future[schedules.Report]] = []

        def walk() -> None:
            """Start on the schedules, where they are wanted and were not begun."""
            if SCHEDULE in options.only and not walks:
                say("schedules: every zone and clock change, meanwhile")
                walks.append(beside.submit(schedules.verify, quick=options.quick))

        if wanted:
            # Of an operator at rest nothing is timed, so the schedules' arithmetic may run beside.
            ours = Scenario(OURS, sizes, wanted, folder / "ours", say, at_rest=walk).run()
            peer = Scenario(PEER, sizes, wanted, folder / "peer", say).run()
            found.extend(rows(ours, peer, sizes))
        walk()
        found.extend(row for report in walks for row in schedule_rows(report.result()))
    here = machine()
    Console(width=None if sys.stdout.isatty() else WIDTH).print(table(found))
    command = shlex.join(["uv", "run", "python", "-m", "benchmarks.operator.run", *sys.argv[1:]])
    print(f"{datetime.now(UTC):%Y-%m-%d}, {here['cores']} cores, {here['memory_gib']} GiB,"
          f" {here['system']}, Python {here['python']}, load {here['load']}:"
          f" {time.monotonic() - began:.0f} s for\n  {command}")  # fmt: skip
    if options.json:
        rows_ = [{**asdict(row), "ratio": row.ratio} for row in found]
        content = {"date": f"{datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ}", "command": command}
        options.json.write_text(json.dumps({**content, "machine": here, "rows": rows_}, indent=2))
    return 1 if any(row.passed is False for row in found) else 0


if __name__ == "__main__":
    sys.exit(main())
