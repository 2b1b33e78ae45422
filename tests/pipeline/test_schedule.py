from __future__ import annotations

import os
import shlex
import signal
from collections.abc import Callable
from datetime import UTC, datetime, time, timedelta, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import BusyError, UsageError
from mien.pipeline.schedule import LOOK_EVERY, cron_line, due_day, forever, systemd_units, time_of_day

AT = time(3, 30)
NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


@pytest.mark.parametrize(("text", "expected"), [("03:30", AT), ("3:30", AT), ("23:59", time(23, 59))])
def test_a_time_of_day(text: str, expected: time) -> None:
    assert time_of_day(text) == expected


@pytest.mark.parametrize("text", ["", "24:00", "3", "03:60", "03:30:00", "3.30", "-1:00", "03:30\n", "٣:30"])
def test_no_time_of_day(text: str) -> None:
    with pytest.raises(UsageError, match="such as 03:30"):
        time_of_day(text)


@given(st.times(), st.datetimes(datetime(2020, 1, 1), datetime(2030, 1, 1), timezones=st.just(UTC)))
def test_the_day_due_began_within_the_last_day(at: time, now: datetime) -> None:
    due = datetime.combine(due_day(at, now), at, UTC)
    assert now - timedelta(days=1) < due <= now


def test_a_timer_catches_up_and_names_the_album(tmp_path: Path) -> None:
    service, timer = systemd_units(Path("/opt/m/mien"), Path("/home/a/My club 100%"), AT)
    assert (service.name, timer.name) == ("mien-My-club-100.service", "mien-My-club-100.timer")
    assert 'ExecStart=/opt/m/mien -C "/home/a/My club 100%%" daily' in service.text
    assert "OnCalendar=*-*-* 03:30:00" in timer.text and "Persistent=true" in timer.text


def test_a_cron_line_survives_the_shell_and_cron() -> None:
    line = cron_line(Path("/opt/m/mien"), Path("/home/a/it's 100%"), AT)
    assert line.startswith("30 3 * * * ")
    assert shlex.split(line.replace(r"\%", "%"))[5:] == ["/opt/m/mien", "-C", "/home/a/it's 100%", "daily"]
    assert "%" not in line.replace(r"\%", "")


@pytest.mark.parametrize("make", [cron_line, systemd_units])
def test_a_path_of_two_lines_is_refused(make: object) -> None:
    with pytest.raises(UsageError, match="Rename the folder"):
        make(Path("/opt/mien"), Path("/a\nExecStart=/bin/sh"), AT)  # type: ignore[operator]


class EnoughError(Exception):
    pass


class Days:
    """A clock that only sleeping moves, and a first run that takes its time. Ends after `most` sleeps."""

    def __init__(self, begin: datetime, most: int, takes: timedelta = timedelta(0)) -> None:
        self.now, self.left, self.takes = begin, most, takes
        self.runs: list[datetime] = []

    def clock(self) -> datetime:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += timedelta(seconds=seconds)
        self.left -= 1
        if not self.left:
            raise EnoughError

    def run(self) -> None:
        self.runs.append(self.now)
        self.now += self.takes
        self.takes = timedelta(0)


A_DAY = int(86400 / LOOK_EVERY)


def test_each_day_once_and_on_time() -> None:
    days = Days(NOON, 3 * A_DAY)
    with pytest.raises(EnoughError):
        forever(days.run, AT, None, days.clock, days.sleep)
    assert [run.isoformat()[:16] for run in days.runs] == [f"2026-11-{day}T03:30" for day in (25, 26, 27)]


def test_days_that_were_missed_are_caught_up_once_and_at_once() -> None:
    days = Days(NOON, 2)
    with pytest.raises(EnoughError):
        forever(days.run, AT, NOON - timedelta(days=9), days.clock, days.sleep)
    assert days.runs == [NOON]


def test_a_run_of_three_days_is_followed_by_one() -> None:
    days = Days(NOON, A_DAY, timedelta(days=3))
    with pytest.raises(EnoughError):
        forever(days.run, AT, None, days.clock, days.sleep)
    assert [run.isoformat()[:16] for run in days.runs] == ["2026-11-25T03:30", "2026-11-28T03:30"]


def test_while_somebody_else_holds_the_album_it_waits() -> None:
    days = Days(NOON, A_DAY // 2)

    def run() -> None:
        if days.now < NOON + timedelta(minutes=10):
            raise BusyError("The album", "is in use", "Wait.")
        days.run()

    with pytest.raises(EnoughError):
        forever(run, AT, NOON - timedelta(days=1), days.clock, days.sleep)
    assert days.runs == [NOON + timedelta(minutes=10)]


class Clock:
    """Local time somewhere, as `datetime.now().astimezone()` gives it, which is `ahead` by so much; sleeping moves it
    until it has slept for `days`."""

    def __init__(self, begin: datetime, days: float, ahead: Callable[[timedelta], timedelta] | None = None) -> None:
        self.begin, self.zone, self.slept, self.most = begin, begin.tzinfo, timedelta(0), timedelta(days=days)
        self.ahead = ahead or (lambda slept: timedelta(0))
        self.runs: list[str] = []

    def __call__(self) -> datetime:
        local = (self.begin.astimezone(UTC) + self.slept + self.ahead(self.slept)).astimezone(self.zone)
        return local.replace(tzinfo=timezone(local.utcoffset() or timedelta(0)))

    def sleep(self, seconds: float) -> None:
        self.slept += timedelta(seconds=seconds)
        if self.slept > self.most:
            raise EnoughError

    def days(self, at: time, last: datetime | None = None) -> list[str]:
        """When the runs began."""
        with pytest.raises(EnoughError):
            forever(lambda: self.runs.append(f"{self():%Y-%m-%d %H:%M}"), at, last, self, self.sleep)
        return self.runs


BERLIN = ZoneInfo("Europe/Berlin")


@pytest.mark.parametrize("at", [time(2, 0), time(2, 30), time(2, 59), time(3, 0), time(3, 30)])
@pytest.mark.parametrize("day", [datetime(2026, 10, 24, 12, tzinfo=BERLIN), datetime(2027, 3, 27, 12, tzinfo=BERLIN)])
def test_the_nights_in_which_summer_time_begins_and_ends_have_one_run(at: time, day: datetime) -> None:
    runs = Clock(day, 3).days(at)
    assert [run[:10] for run in runs] == [f"{day + timedelta(days=n):%Y-%m-%d}" for n in (1, 2, 3)]


def test_a_clock_that_was_ahead_costs_one_run_at_most() -> None:
    hour = timedelta(hours=1)
    clock = Clock(NOON, 4, lambda slept: timedelta(days=10 if hour <= slept < 2 * hour else 0))
    assert [run[:10] for run in clock.days(AT)] == ["2026-12-04", *(f"2026-11-{day}" for day in (25, 26, 27, 28))]


def test_a_clock_that_was_ahead_for_years_is_forgotten() -> None:
    years = timedelta(days=3650)
    clock = Clock(NOON, 4, lambda slept: years if slept < timedelta(days=1) else timedelta(0))
    assert [run[:10] for run in clock.days(AT)][1:] == [f"2026-11-{day}" for day in (26, 27, 28)]


@pytest.mark.parametrize("back", [timedelta(seconds=1), timedelta(minutes=5), timedelta(hours=3)])
def test_a_small_correction_brings_no_second_run(back: timedelta) -> None:
    after = timedelta(hours=15, minutes=31)  # of noon, and one minute after the run
    runs = Clock(NOON, 2, lambda slept: -back if slept > after else timedelta(0)).days(AT)
    assert [run[:10] for run in runs] == ["2026-11-25", "2026-11-26"]


def test_a_run_that_is_said_to_have_been_next_year_owes_nothing() -> None:
    assert [run[:10] for run in Clock(NOON, 2).days(AT, NOON + timedelta(days=365))] == ["2026-11-25", "2026-11-26"]


def test_whatever_happens_today_the_next_day_comes() -> None:
    days, told = Days(NOON, 3 * A_DAY), list[str]()

    def run() -> None:
        days.run()
        raise ValueError(f"{days.now:%d}")

    with pytest.raises(EnoughError):
        forever(run, AT, None, days.clock, days.sleep, lambda error: told.append(str(error)))
    assert told == ["25", "26", "27"]


def test_where_nobody_can_be_told_the_next_day_comes_too() -> None:
    days = Days(NOON, 2 * A_DAY)

    def run() -> None:
        days.run()
        raise ValueError

    def failed(error: Exception) -> None:
        raise BrokenPipeError

    with pytest.raises(EnoughError):
        forever(run, AT, None, days.clock, days.sleep, failed)
    assert len(days.runs) == 2


ZONES = ("Asia/Kathmandu", "Australia/Lord_Howe", "America/St_Johns", "Pacific/Apia", "Africa/Casablanca")


@pytest.mark.parametrize("zone", ZONES)
@pytest.mark.parametrize("at", [time(0, 0), time(2, 0), time(2, 15), time(11, 59)])
def test_in_every_zone_each_day_has_one_run(zone: str, at: time) -> None:
    begin = datetime(2026, 10, 2, 12, tzinfo=ZoneInfo(zone))  # Lord Howe's clocks change by half an hour on the 4th
    assert [run[:10] for run in Clock(begin, 3).days(at)] == [f"2026-10-{day:02}" for day in (3, 4, 5)]


def test_whoever_travels_has_a_run_a_day() -> None:
    """The machine's zone is set to another one while the schedule runs."""
    zones = [timezone(timedelta(hours=hours)) for hours in (1, -5, 9, 1)]
    clock = Clock(NOON, 8)
    with pytest.raises(EnoughError):
        forever(
            lambda: clock.runs.append(f"{clock():%j}"),
            AT,
            None,
            lambda: clock().astimezone(zones[clock.slept // timedelta(days=2) % 4]),
            clock.sleep,
        )
    assert 7 <= len(clock.runs) <= 9


def test_what_a_run_raises_ends_it() -> None:
    def run() -> None:
        raise EnoughError

    with pytest.raises(EnoughError):
        forever(run, AT, NOON - timedelta(days=1), lambda: NOON, lambda seconds: None)


@pytest.mark.skipif(os.name == "nt", reason="Windows sends no SIGTERM")
def test_a_stopped_service_ends_as_by_ctrl_c() -> None:
    before = signal.getsignal(signal.SIGTERM)
    with pytest.raises(KeyboardInterrupt):
        forever(lambda: os.kill(os.getpid(), signal.SIGTERM), AT, NOON - timedelta(days=1), lambda: NOON)
    assert signal.getsignal(signal.SIGTERM) is before
