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
from datetime import datetime, time, timedelta
from pathlib import Path
from time import sleep as wait
from types import FrameType
from typing import NamedTuple

from mien.errors import BusyError, UsageError

LOOK_EVERY = 30.0
"""Seconds between two looks at the clock."""


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


def last_due(at: time, now: datetime) -> datetime:
    """When the newest daily run should have begun, in the time zone of `now`."""
    due = now.replace(hour=at.hour, minute=at.minute, second=0, microsecond=0)
    return due if due <= now else due - timedelta(days=1)


def is_missed(at: time, now: datetime, last: datetime | None) -> bool:
    """Whether a run is owed now, the last having begun at `last`. Before the first there is nothing to catch up on."""
    return last is not None and last < last_due(at, now)


def forever(
    run: Callable[[], None],
    at: time,
    last: datetime | None,
    clock: Callable[[], datetime],
    sleep: Callable[[float], None] = wait,
) -> None:
    """Calls `run` each day at `at` until SIGINT or SIGTERM, which raise KeyboardInterrupt; the first time at once if a
    day was missed since the run that began at `last`. What `run` raises ends it; only BusyError has it tried again.

    `clock` gives the local time and is asked every `LOOK_EVERY` seconds: so a laptop that slept, a clock that was set
    and the change to summer time need no thought. A run that takes longer than a day makes no second one.
    """
    before = signal.signal(signal.SIGTERM, _interrupt)
    try:
        begun = last or clock()
        while True:
            now = clock()
            if is_missed(at, now, begun):
                with contextlib.suppress(BusyError):  # somebody is at work in the album, and will be done
                    run()
                    begun = now
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
            "Rename the folder, or use plain mien schedule.",
        )
    return str(path)
