"""When the daily run is due, and how the system's own scheduler is told to start it.

Three ways to the same end: `forever` in the foreground (a container, a terminal), a systemd timer, a cron line. Days
that were missed are caught up once, not once each: what a run collects is everything that is new.
"""

from __future__ import annotations

import contextlib
import re
import shlex
import signal
from collections.abc import Callable
from datetime import date, datetime, time, timedelta
from pathlib import Path
from time import sleep as wait
from types import FrameType
from typing import NamedTuple

from mien.errors import BusyError, UsageError

LOOK_EVERY = 30.0
"""Seconds between two looks at the clock."""

SET_BACK = timedelta(hours=12)
"""A clock that goes back as far was wrong. The end of summer time, a journey and a correction are less."""


class Unit(NamedTuple):
    """A file for the system's scheduler: its name, and what stands in it."""

    name: str
    text: str


def time_of_day(text: str) -> time:
    """ "03:30" as a time. Raises UsageError."""
    if not re.fullmatch(r"([01]?[0-9]|2[0-3]):[0-5][0-9]", text):
        raise UsageError(text, "is no time of day", "Give hours and minutes, such as 03:30.")
    hour, minute = text.split(":")
    return time(int(hour), int(minute))


def due_day(at: time, now: datetime) -> date:
    """The day of the newest daily run that should have begun, by the calendar and the clock of `now`."""
    return now.date() if now.time() >= at else now.date() - timedelta(days=1)


def forever(
    run: Callable[[], None],
    at: time,
    last: datetime | None,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None] = wait,
    failed: Callable[[Exception], None] | None = None,
) -> None:
    """Calls `run` each day at `at` until SIGINT or SIGTERM, which raise KeyboardInterrupt; the first time at once if a
    day was missed since the run that began at `last`. `failed` is told what `run` raises, and the next day comes all
    the same; without it what `run` raises ends the schedule. After BusyError the run is tried again at once.

    `clock` gives the local time and is asked every `LOOK_EVERY` seconds, so that a laptop that slept needs no thought.
    Days are counted by the calendar: an hour that comes twice in autumn brings one run. A clock that was put back by
    `SET_BACK` was wrong before, and the days that it counted are forgotten. A run that takes longer than a day makes no
    second one.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        looked = clock()
        served = due_day(at, last.astimezone(looked.tzinfo) if last else looked)
        while True:
            now = clock()
            due = due_day(at, now)
            if looked - now >= SET_BACK or served - due > timedelta(days=1):
                served = due  # the clock was ahead, now or in the run before
            looked = now
            if due > served:
                with contextlib.suppress(BusyError):  # somebody is at work in the album, and will be done
                    try:
                        run()
                    except BusyError:
                        raise
                    except Exception as error:
                        if failed is None:
                            raise
                        with contextlib.suppress(Exception):  # nobody may be there who could be told
                            failed(error)
                    served = due
                    continue
            sleep(LOOK_EVERY)
    finally:
        signal.signal(signal.SIGTERM, before)


def _interrupt(number: int, frame: FrameType | None) -> None:
    """A service that is stopped ends as by Ctrl-C: what was finished is kept."""
    raise KeyboardInterrupt


def systemd_units(program: Path, album: Path, at: time) -> tuple[Unit, Unit]:
    """The service and its timer, for ~/.config/systemd/user."""
    name = f"mien-{re.sub(r'[^A-Za-z0-9]+', '-', album.name).strip('-') or 'album'}"
    command = " ".join(map(_systemd_word, [str(program), "-C", str(album), "daily"]))
    service = f"""[Unit]
Description=mien: collect, learn and measure for {_one_line(album).replace("%", "%%")}

[Service]
Type=oneshot
ExecStart={command}
# 14: something needs a human, which the summary in the journal names.
SuccessExitStatus=14
Nice=10
"""
    timer = f"""[Unit]
Description=mien, daily

[Timer]
OnCalendar=*-*-* {at:%H:%M}:00
# A day that was missed is caught up once.
Persistent=true

[Install]
WantedBy=timers.target
"""
    return Unit(f"{name}.service", service), Unit(f"{name}.timer", timer)


def cron_line(program: Path, album: Path, at: time) -> str:
    """A line for `crontab -e`. cron takes a bare % for the end of the line."""
    words = " ".join(shlex.quote(word) for word in (str(program), "-C", _one_line(album), "daily"))  # cron runs sh
    return f"{at.minute} {at.hour} * * * {words}".replace("%", r"\%")


def _systemd_word(word: str) -> str:
    r"""A word of ExecStart as systemd.service(5) quotes it: "…" with \ and " escaped, % and $ doubled."""
    escaped = word.replace("\\", "\\\\").replace('"', '\\"').replace("%", "%%").replace("$", "$$")
    return f'"{_one_line(Path(escaped))}"' if re.search(r"[^\w/.+:-]", escaped) else escaped


def _one_line(path: Path) -> str:
    """Raises UsageError for a path that cannot stand in one line."""
    if not str(path).isprintable():
        raise UsageError(
            f"{str(path)!r}",
            "cannot stand in a line of the scheduler",
            "Rename the folder, or use plain `mien schedule`.",
        )
    return str(path)
