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
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.table import Table

from benchmarks.operator import scenario, schedules
from benchmarks.operator.scenario import QUICK, Measured, Scenario, Sizes
from benchmarks.operator.sides import OURS, PEER

SCHEDULE: Final = "schedule"
NAMES: Final = (*scenario.NAMES, SCHEDULE)

console = Console(stderr=True)


@dataclass(frozen=True, slots=True)
class Row:
    """One row of the table. Numbers are None where they were not measured or mean nothing."""

    name: str
    unit: str
    ours: float | None
    peer: float | None
    bar: str = ""
    passed: bool | None = None

    @property
    def ratio(self) -> float | None:
        """How many times as much the peer needs."""
        return self.peer / self.ours if self.peer is not None and self.ours else None


def rows(ours: Measured, peer: Measured, sizes: Sizes) -> Iterator[Row]:
    """Put what was measured beside each other and beside the bars."""
    n, many = f"{sizes.resources:,}", f"{sizes.many:,}"
    if ours.calls_per_minute is not None and peer.calls_per_minute is not None:
        yield Row(
            f"engine calls, {n} resources in flight", "per minute",
            ours.calls_per_minute, peer.calls_per_minute,
            "10 times fewer", peer.calls_per_minute >= 10 * ours.calls_per_minute,
        )  # fmt: skip
    if ours.steady_hours is not None:
        hours = f"{n} resources at rest, {ours.steady_hours:g} hours"
        yield _row(
            f"Kubernetes writes, {hours}",
            "",
            ours.steady_writes,
            _scaled(peer, peer.steady_writes, ours),
            most=0,
        )
        yield _row(
            f"mutating calls, {hours}",
            "",
            ours.steady_mutating,
            _scaled(peer, peer.steady_mutating, ours),
            most=0,
        )
        yield Row(
            "reading calls at rest",
            "per hour",
            ours.steady_reads_per_hour,
            peer.steady_reads_per_hour,
        )
        yield Row(
            "of these, pages of lists",
            "per hour",
            ours.steady_pages_per_hour,
            peer.steady_pages_per_hour,
        )
    if ours.latencies and peer.latencies:
        for share, bar in ((0.5, None), (0.99, 1000.0)):
            yield _row(
                f"apply to create call, {len(ours.latencies)} applies, p{share * 100:.0f}", "ms",
                ours.latency(share) * 1000, peer.latency(share) * 1000, below=bar,
            )  # fmt: skip
    burst = f"{n} applied at once"
    yield Row(
        f"{burst}, until all are created and recorded", "s", ours.burst_seconds, peer.burst_seconds
    )
    yield _row(
        f"{burst}, until all are ready: processor",
        "s",
        ours.burst_processor,
        peer.burst_processor,
        below=60,
    )
    yield _row(
        f"{burst}: superfluous create calls",
        "",
        ours.burst_excess_creates,
        peer.burst_excess_creates,
        most=0,
    )
    yield Row(f"{burst}: Kubernetes writes", "", ours.burst_writes, peer.burst_writes)
    if ours.resident is not None:
        yield _row(
            f"resident memory, {n} resources", "MiB", ours.resident, peer.resident, below=200
        )
        yield _row(
            f"resident memory, {many} resources",
            "MiB",
            ours.resident_many,
            peer.resident_many,
            below=350,
        )
        yield Row("its peak while they were made", "MiB", ours.peak, peer.peak)
    if ours.restart_seconds is not None:
        yield _row(
            f"restart, {many} resources, until all are seen",
            "s",
            ours.restart_seconds,
            peer.restart_seconds,
            below=30,
        )
        yield _row(
            "restart: mutating calls", "", ours.restart_mutating, peer.restart_mutating, most=0
        )
        yield Row("restart: engine calls", "", ours.restart_calls, peer.restart_calls)


def schedule_rows(report: schedules.Report) -> Iterator[Row]:
    """Put the schedules beside bare croniter's."""
    where = f"{report.expected:,} runs, {report.changes:,} clock changes, {report.zones} zones"
    yield _row(
        f"double runs of schedules: {where}", "", report.ours.double, report.peer.double, most=0
    )
    yield _row("missed runs of schedules", "", report.ours.missed, report.peer.missed, most=0)
    yield _row("runs at a wrong time", "", report.wrong_instants, None, most=0)


def _row(
    name: str, unit: str, ours: float | None, peer: float | None,
    *, below: float | None = None, most: float | None = None,
) -> Row:  # fmt: skip
    if ours is None or (below is None and most is None):
        return Row(name, unit, ours, peer)
    if below is not None:
        return Row(name, unit, ours, peer, f"< {below:g}", ours < below)
    return Row(name, unit, ours, peer, f"{most:g}", most is not None and ours <= most)


def _scaled(peer: Measured, count: int | None, ours: Measured) -> float | None:
    """Return what the peer would have done in as many hours as ours was watched."""
    if count is None or not peer.steady_hours or ours.steady_hours is None:
        return None
    return count * ours.steady_hours / peer.steady_hours


def table(found: Sequence[Row]) -> Table:
    """Return the rows as a table."""
    grid = Table(title=f"reco beside {PEER.name}")
    for title in ("", "unit"):
        grid.add_column(title)
    for title in ("reco", "peer", "peer / reco", "bar", ""):
        grid.add_column(title, justify="right")
    for row in found:
        verdict = {True: "[green]pass[/green]", False: "[red]MISS[/red]", None: ""}[row.passed]
        ratio = "" if row.ratio is None else f"{row.ratio:,.1f}"
        grid.add_row(row.name, row.unit, _text(row.ours), _text(row.peer), ratio, row.bar, verdict)
    return grid


def _text(value: float | None) -> str:
    if value is None:
        return ""
    return f"{value:,.0f}" if value == round(value) or value >= 100 else f"{value:,.1f}"


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
    with tempfile.TemporaryDirectory(prefix="reco-benchmark-") as temporary:
        folder = (options.dir or Path(temporary)).resolve()
        if wanted:
            ours = Scenario(OURS, sizes, wanted, folder / "ours", say).run()
            peer = Scenario(PEER, sizes, wanted, folder / "peer", say).run()
            found.extend(rows(ours, peer, sizes))
    if SCHEDULE in options.only:
        say("schedules: every zone and clock change")
        found.extend(schedule_rows(schedules.verify(quick=options.quick)))
    here = machine()
    Console().print(table(found))
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
