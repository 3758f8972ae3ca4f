"""Cron in time zones, through every change of the clocks."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo, reset_tzpath

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from reco.decide.schedule import Schedule

ZONES = [
    "Europe/Berlin",
    "America/New_York",
    "America/Sao_Paulo",
    "Australia/Lord_Howe",
    "Africa/Casablanca",
    "Asia/Kathmandu",
    "Pacific/Apia",
    "Etc/UTC",
]


def every_run(schedule: Schedule, start: datetime, end: datetime) -> list[datetime]:
    runs, time = [], start
    while (following := schedule.next(time)) is not None and following <= end:
        runs.append(following)
        time = following
    return runs


def utc(year: int, month: int = 1, day: int = 1, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


def test_a_time_that_does_not_exist_runs_at_the_next_one_that_does() -> None:
    runs = every_run(Schedule("30 2 * * *", "Europe/Berlin"), utc(2024, 3, 30, 12), utc(2024, 4, 1))

    assert runs == [utc(2024, 3, 31, 1, 0)]


def test_a_time_that_comes_twice_runs_once() -> None:
    schedule = Schedule("30 2 * * *", "Europe/Berlin")

    assert every_run(schedule, utc(2024, 10, 26, 12), utc(2024, 10, 27, 23)) == [
        utc(2024, 10, 27, 0, 30)
    ]


def test_what_runs_every_half_hour_runs_through_both_hours() -> None:
    schedule = Schedule("*/30 * * * *", "Europe/Berlin")

    runs = every_run(schedule, utc(2024, 10, 27, 0, 0), utc(2024, 10, 27, 2, 0))

    assert [later - earlier for earlier, later in pairwise(runs)] == [timedelta(minutes=30)] * 3


def test_a_zone_is_known_by_its_older_name_whatever_the_system_has() -> None:
    try:
        reset_tzpath(to=[])
        ZoneInfo.clear_cache()
        assert Schedule("0 3 * * *", "US/Eastern").problem() is None
    finally:
        reset_tzpath()
        ZoneInfo.clear_cache()


@pytest.mark.parametrize("zone", ZONES)
def test_a_daily_run_comes_once_on_each_calendar_day(zone: str) -> None:
    schedule = Schedule("30 2 * * *", zone)

    runs = every_run(schedule, utc(2020, 1, 1), utc(2024, 1, 1))

    days = [run.astimezone(ZoneInfo(zone)).date() for run in runs]
    assert len(days) == len(set(days))
    assert len(days) >= 365 * 4


@settings(max_examples=60, deadline=None)
@given(
    expression=st.sampled_from(
        ["0 3 * * 0", "30 2 * * *", "*/15 * * * *", "0 0 1 * *", "15 */6 * * 1-5", "0 12 29 2 *"]
    ),
    zone=st.sampled_from(ZONES),
    after=st.datetimes(utc(2020).replace(tzinfo=None), utc(2035).replace(tzinfo=None)),
    span=st.integers(min_value=1, max_value=60 * 24 * 3),
)
def test_what_is_due_is_the_last_of_what_comes_next(
    expression: str, zone: str, after: datetime, span: int
) -> None:
    schedule = Schedule(expression, zone)
    start = after.replace(tzinfo=UTC, second=0, microsecond=0)
    now = start + timedelta(minutes=span)

    runs = every_run(schedule, start, now)

    assert schedule.due(start, now) == (runs[-1] if runs else None)


@pytest.mark.parametrize(
    ("expression", "zone"),
    [("61 * * * *", "Etc/UTC"), ("0 0 31 2 *", "Etc/UTC"), ("0 3 * * *", "Mars/Olympus")],
)
def test_what_can_never_run_is_named(expression: str, zone: str) -> None:
    problem = Schedule(expression, zone).problem()

    assert problem is not None
    assert expression in problem or zone in problem
