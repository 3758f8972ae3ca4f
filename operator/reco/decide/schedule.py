"""Schedules: five-field cron in an IANA time zone, as CronJob has them.

croniter reads the expression; the clock changes are handled here. An expression with a fixed hour
means wall time: a time that does not exist runs at the next one that does, and a repeated one runs
once. An expression for every hour means elapsed time and runs through both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from croniter import CroniterBadCronError, CroniterBadDateError, croniter

from reco.api.resource import Resource

_MARGIN = timedelta(hours=26)
"""More than any change of a zone's offset, and than any two zones are apart."""


@dataclass(frozen=True, slots=True)
class Schedule:
    """A cron expression in a time zone."""

    expression: str
    time_zone: str = "Etc/UTC"

    def problem(self) -> str | None:
        """Return what is wrong with the schedule, or None."""
        try:
            ZoneInfo(self.time_zone)
        except (ZoneInfoNotFoundError, ValueError, OSError):
            return f"timeZone {self.time_zone!r} is not an IANA time zone such as 'Europe/Paris'"
        try:
            croniter(self.expression, datetime(2024, 1, 1)).get_next(datetime)  # noqa: DTZ001
        except (CroniterBadCronError, CroniterBadDateError, ValueError, KeyError) as error:
            return (
                f"schedule {self.expression!r} must be five cron fields that match a day: {error}"
            )
        return None

    def due(self, after: datetime, now: datetime) -> datetime | None:
        """Return the latest scheduled time in `(after, now]`, in UTC, or None."""
        for time in self._times(now, backwards=True):
            if time <= after:
                return None
            if time <= now:
                return time
        return None

    def next(self, now: datetime) -> datetime | None:
        """Return the first scheduled time after `now`, in UTC."""
        return next((time for time in self._times(now) if time > now), None)

    def _times(self, start: datetime, *, backwards: bool = False) -> Iterator[datetime]:
        """Yield scheduled times in UTC around and beyond a start, until cron finds no more.

        Wall times begin a good day before the start, since a zone's offset may have changed.
        """
        zone = ZoneInfo(self.time_zone)
        if self.expression.split()[1] == "*":
            yield from self._elapsed(start, zone, backwards=backwards)
            return
        margin = _MARGIN if backwards else -_MARGIN
        walk = croniter(self.expression, (start + margin).astimezone(zone).replace(tzinfo=None))
        while True:
            try:
                wall: datetime = walk.get_prev(datetime) if backwards else walk.get_next(datetime)
            except CroniterBadDateError:
                return
            yield _instant(wall, zone)

    def _elapsed(self, start: datetime, zone: ZoneInfo, *, backwards: bool) -> Iterator[datetime]:
        """Yield the times of an expression for every hour: by day, in wall time, without gaps.

        The minutes are matched in elapsed time, so both passes through a repeated hour count;
        the date fields are matched on the wall.
        """
        minutes = _minutes(self.expression)
        step = timedelta(minutes=-1 if backwards else 1)
        time = start.astimezone(UTC).replace(second=0, microsecond=0)
        if backwards:
            time -= step  # the start itself may be a scheduled time
        limit = timedelta(days=366 * 9)
        end = time - limit if backwards else time + limit
        while (time > end) if backwards else (time < end):
            time += step
            wall = time.astimezone(zone)
            if wall.minute not in minutes:
                continue
            if croniter.match(self.expression, wall.replace(tzinfo=None)):
                yield time
            elif not _day_matches(self.expression, wall):
                time = _day_edge(wall, zone, backwards=backwards)


def _minutes(expression: str) -> frozenset[int]:
    expanded = croniter.expand(expression)[0][0]
    values = range(60) if "*" in expanded else expanded
    return frozenset(int(value) for value in values)


def _day_matches(expression: str, wall: datetime) -> bool:
    day_only = " ".join(["*", "*", *expression.split()[2:]])
    return bool(croniter.match(day_only, wall.replace(tzinfo=None)))


def _day_edge(wall: datetime, zone: ZoneInfo, *, backwards: bool) -> datetime:
    """Return the last minute of this day, or its first when walking backwards, in UTC."""
    midnight = wall.replace(hour=0, minute=0, tzinfo=None)
    if backwards:
        return _instant(midnight, zone)
    return _instant(midnight + timedelta(days=1), zone) - timedelta(minutes=1)


def _instant(wall: datetime, zone: ZoneInfo) -> datetime:
    """Return the instant of a wall time; the first of two, or the first that exists after a gap."""
    aware = wall.replace(tzinfo=zone)
    instant = aware.astimezone(UTC)
    if instant.astimezone(zone).replace(tzinfo=None) == wall:
        return instant
    # In a gap, fold=0 reads the wall time with the offset before the change, which lands after
    # the gap by as much as the wall time lies in it; the first valid instant is the change itself.
    before, after = aware.utcoffset(), aware.replace(fold=1).utcoffset()
    if before is None or after is None:
        raise ValueError(f"zone {zone.key} has no offset at {wall}")
    low, high = instant - abs(before - after), instant
    while high - low > timedelta(seconds=1):
        middle = low + (high - low) / 2
        if middle.astimezone(zone).utcoffset() == low.astimezone(zone).utcoffset():
            low = middle
        else:
            high = middle
    return high.replace(microsecond=0)


def problem_of_dataset(resource: Resource) -> str | None:
    """Return what is wrong with a Dataset's import schedule, or None."""
    source = resource.spec.import_
    if source is None or source.schedule is None:
        return None
    problem = Schedule(source.schedule, source.time_zone).problem()
    return None if problem is None else f"spec.import: {problem}"


def problem_of_solution(resource: Resource) -> str | None:
    """Return what is wrong with a Solution's training schedules, or None."""
    training = resource.spec.training
    for name in ("full", "update"):
        plan = getattr(training, name)
        if plan is not None:
            problem = Schedule(plan.schedule, plan.time_zone).problem()
            if problem is not None:
                return f"spec.training.{name}: {problem}"
    return None
