from __future__ import annotations

import os
import shlex
import signal
from datetime import UTC, datetime, time, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import BusyError, UsageError
from mien.pipeline.schedule import LOOK_EVERY, cron_line, forever, is_missed, last_due, systemd_units, time_of_day

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
def test_the_last_due_time_is_within_the_last_day(at: time, now: datetime) -> None:
    due = last_due(at, now)
    assert now - timedelta(days=1) < due <= now
    assert (due.hour, due.minute) == (at.hour, at.minute)


@pytest.mark.parametrize(
    ("last", "missed"),
    [
        (None, False),
        (datetime(2026, 11, 24, 3, 30, tzinfo=UTC), False),
        (datetime(2026, 11, 23, 3, 30, tzinfo=UTC), True),
        (datetime(2026, 11, 1, 3, 30, tzinfo=UTC), True),
    ],
)
def test_missed_days_are_one_debt(last: datetime | None, missed: bool) -> None:
    assert is_missed(AT, NOON, last) is missed


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
