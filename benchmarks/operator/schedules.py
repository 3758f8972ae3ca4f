"""Whether schedules run once: every IANA zone, every clock change of 2020 to 2035.

What should run is worked out here anew, from the zones' offsets alone, by CronJob's documented
rules, and compared with what `reco.decide.schedule` runs and with what bare croniter runs. Zones
whose clocks go the same way all those years stand for each other. Every expression is walked
around every change, and one of them through all sixteen years, as nothing happens to clocks on the
other days.
"""

import itertools
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo, available_timezones

from croniter import croniter

from reco.decide.schedule import Schedule

BEGIN: Final = datetime(2020, 1, 1, tzinfo=UTC)
END: Final = datetime(2036, 1, 1, tzinfo=UTC)
MARGIN: Final = timedelta(hours=36)
_STEP: Final = timedelta(days=1)
_SECOND: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Plan:
    """An expression, and what it says in plain terms: no cron is parsed to work out what is right.

    `hours` is None for an expression of every hour, which counts elapsed time.
    """

    expression: str
    minutes: tuple[int, ...]
    hours: tuple[int, ...] | None
    on: Callable[[date], bool] = lambda _day: True


PLANS: Final = (
    Plan("0 0 * * *", (0,), (0,)),
    Plan("30 0 * * *", (30,), (0,)),
    Plan("30 1 * * *", (30,), (1,)),
    Plan("0 2 * * *", (0,), (2,)),
    Plan("30 2 * * *", (30,), (2,)),
    Plan("0 3 * * *", (0,), (3,)),
    Plan("30 23 * * *", (30,), (23,)),
    Plan("15 1,2,3 * * *", (15,), (1, 2, 3)),
    Plan("*/20 2 * * *", (0, 20, 40), (2,)),
    Plan("30 2 * * 0", (30,), (2,), lambda day: day.isoweekday() == 7),
    Plan("0 1 1 * *", (0,), (1,), lambda day: day.day == 1),
    Plan("0 * * * *", (0,), None),
)
ALL_YEARS: Final = Plan("30 1 15 * *", (30,), (1,), lambda day: day.day == 15)


@dataclass(frozen=True, slots=True)
class Offset:
    """For how long, from `begin` to `end` (UTC), a zone has an offset."""

    begin: datetime
    end: datetime
    offset: timedelta


@dataclass(slots=True)
class Tally:
    """How runs compare with what should have run, by calendar day in the zone."""

    runs: int = 0
    double: int = 0
    missed: int = 0
    examples: list[str] = field(default_factory=list)

    def add(
        self, where: str, zone: ZoneInfo, right: set[datetime], ran: Sequence[datetime]
    ) -> None:
        """Compare one walk."""
        self.runs += len(ran)
        wanted = Counter(time.astimezone(zone).date() for time in right)
        found = Counter(time.astimezone(zone).date() for time in ran)
        for day in wanted.keys() | found.keys():
            more = found[day] - wanted[day]
            self.double += max(0, more)
            self.missed += max(0, -more)
            if more and len(self.examples) < 3:
                self.examples.append(f"{where} on {day}: {found[day]} instead of {wanted[day]}")


@dataclass(frozen=True, slots=True)
class Report:
    """Everything that was found."""

    zones: int
    clocks: int
    changes: int
    expected: int
    wrong_instants: int
    """Runs of ours that are not exactly when they should be, or that `due` tells otherwise."""
    ours: Tally
    peer: Tally


def verify(*, quick: bool = False) -> Report:
    """Walk all zones; `quick` takes every tenth."""
    clocks = distinct_clocks()
    taken = list(clocks.items())[:: 10 if quick else 1]
    ours, peer = Tally(), Tally()
    expected = wrong = changes = 0
    for offsets, names in taken:
        changes += len(offsets) - 1
        zone = ZoneInfo(names[0])
        for plan, begin, end in _walks(offsets):
            right = {time for time in _right(plan, offsets, begin, end) if begin < time <= end}
            ran = list(_ours(plan, names[0], begin, end))
            where = f"{plan.expression!r} in {names[0]}"
            expected += len(right)
            wrong += len(right.symmetric_difference(ran))
            ours.add(where, zone, right, ran)
            peer.add(where, zone, right, list(_croniter(plan, zone, begin, end)))
    return Report(
        zones=sum(len(names) for _, names in taken),
        clocks=len(taken),
        changes=changes,
        expected=expected,
        wrong_instants=wrong,
        ours=ours,
        peer=peer,
    )


def distinct_clocks() -> dict[tuple[Offset, ...], list[str]]:
    """Return how clocks go, and the zones whose clocks go so."""
    found: dict[tuple[Offset, ...], list[str]] = {}
    for name in sorted(available_timezones()):
        found.setdefault(_offsets(ZoneInfo(name)), []).append(name)
    return found


def _offsets(zone: ZoneInfo) -> tuple[Offset, ...]:
    begins = [BEGIN - 2 * MARGIN]
    time, now = begins[0], _offset(begins[0], zone)
    while time < END + 2 * MARGIN:
        before, now = now, _offset(time + _STEP, zone)
        if before != now:
            begins.append(_change(time, time + _STEP, zone))
        time += _STEP
    ends = [*begins[1:], time]
    return tuple(
        Offset(begin, end, _offset(begin, zone)) for begin, end in zip(begins, ends, strict=True)
    )


def _offset(time: datetime, zone: ZoneInfo) -> timedelta:
    offset = time.astimezone(zone).utcoffset()
    if offset is None:
        raise ValueError(f"{zone.key} has no offset at {time}")
    return offset


def _change(low: datetime, high: datetime, zone: ZoneInfo) -> datetime:
    """Return the second from which on the offset is that of `high`."""
    while high - low > _SECOND:
        middle = low + (high - low) // 2
        if _offset(middle, zone) == _offset(low, zone):
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def _walks(offsets: Sequence[Offset]) -> Iterator[tuple[Plan, datetime, datetime]]:
    for before in offsets[:-1]:
        for plan in PLANS:
            yield plan, before.end - MARGIN, before.end + MARGIN
    yield ALL_YEARS, BEGIN, END


def _right(
    plan: Plan, offsets: Sequence[Offset], begin: datetime, end: datetime
) -> Iterator[datetime]:
    """Yield when a plan should run, by offsets alone."""
    near = [one for one in offsets if one.end > begin - MARGIN and one.begin < end + MARGIN]
    if plan.hours is None:
        for one in near:
            local = (max(one.begin, begin - MARGIN) + one.offset).replace(second=0, microsecond=0)
            while local - one.offset < min(one.end, end + MARGIN):
                if local.minute in plan.minutes and local - one.offset >= one.begin:
                    yield local - one.offset
                local += timedelta(minutes=1)
        return
    day = (begin - MARGIN).date()
    while day <= (end + MARGIN).date():
        if plan.on(day):
            for hour, minute in itertools.product(plan.hours, plan.minutes):
                wall = datetime(day.year, day.month, day.day, hour, minute, tzinfo=UTC)
                yield _instant(wall, near)
        day += timedelta(days=1)


def _instant(wall: datetime, offsets: Sequence[Offset]) -> datetime:
    """Return when clocks first show a wall time, or first show a later one."""
    return min(max(wall - one.offset, one.begin) for one in offsets if wall - one.offset < one.end)


def _ours(plan: Plan, zone: str, begin: datetime, end: datetime) -> Iterator[datetime]:
    """Yield the runs of a loop that sleeps until `next` and then asks what is `due`."""
    schedule = Schedule(plan.expression, zone)
    last = begin
    while True:
        upcoming = schedule.next(last)
        if upcoming is None or upcoming > end:
            return
        due = schedule.due(last, upcoming + _SECOND)
        if due is None:
            last = upcoming
            continue  # a missed run
        yield due
        if schedule.due(due, upcoming + 2 * _SECOND) is not None:
            yield due  # a second run
        last = due


def _croniter(plan: Plan, zone: ZoneInfo, begin: datetime, end: datetime) -> Iterator[datetime]:
    walk = croniter(plan.expression, begin.astimezone(zone))
    while True:
        time = walk.get_next(datetime).astimezone(UTC)
        if time > end:
            return
        yield time
