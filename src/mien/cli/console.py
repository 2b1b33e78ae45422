"""How the command line speaks: results on standard output, everything about the work on standard error.

A bar with rate and time left on a terminal, plain lines elsewhere; colour only on a terminal, and never with NO_COLOR.
"""

from __future__ import annotations

import os
import sys
import time
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

EVERY = 10.0
"""Seconds between the plain lines of long work."""


def say(line: str = "") -> None:
    """A line of the result."""
    print(line, flush=True)


def tell(line: str) -> None:
    """A line about the work."""
    print(line, file=sys.stderr, flush=True)


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in an ANSI `style` ("1" bold, "2" dim, "32" green, "33" yellow, "31" red) where colour is wanted."""
    stream = stream or sys.stdout
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return text
    return f"\x1b[{style}m{text}\x1b[0m"


def printable(text: str) -> str:
    """`text` without control characters, so that a file's name cannot drive the terminal."""
    return "".join(c if c.isprintable() else f"\\x{ord(c):02x}" for c in text)


def percent(value: float | None, digits: int = 1) -> str:
    """A fraction as a percentage; "-" where there is none."""
    return "-" if value is None else f"{100 * value:.{digits}f} %"


def count(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 photo", "2,300 photos", "2 people"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


class Reporter:
    """A `Progress` on standard error; use it as a context manager so that no bar outlives its work."""

    def __init__(self, quiet: bool = False) -> None:
        self._quiet = quiet
        self._bar: RichBar | None = None
        self._task: TaskID | None = None
        self._title, self._done = "", 0
        self._total: int | None = None
        self._started = self._said = 0.0

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.finish()

    def start(self, title: str, total: int | None) -> None:
        self.finish()
        self._title, self._total, self._done = title, total, 0
        self._started = self._said = time.monotonic()
        if self._quiet or not total:
            return
        if sys.stderr.isatty() and os.environ.get("TERM") != "dumb":
            self._bar = _rich_bar()
            self._bar.start()
            self._task = self._bar.add_task(title, total=total)

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if self._bar is not None and self._task is not None:
            self._bar.advance(self._task, steps)
        elif not self._quiet and time.monotonic() - self._said >= EVERY:
            self._said = time.monotonic()
            tell(self._line())

    def note(self, line: str) -> None:
        if self._quiet:
            return
        if self._bar is not None:
            self._bar.console.print(printable(line), style="yellow", markup=False, highlight=False, soft_wrap=True)
        else:
            tell(printable(line))

    def finish(self) -> None:
        if self._bar is not None:
            self._bar.stop()
        self._bar = self._task = None

    def _line(self) -> str:
        seconds = time.monotonic() - self._started
        rate = self._done / seconds if seconds else 0.0
        total = f" of {self._total:,}" if self._total else ""
        left = f", {_duration((self._total - self._done) / rate)} left" if self._total and rate else ""
        return f"{self._title}: {self._done:,}{total} ({rate:.1f}/s{left})"


def _duration(seconds: float) -> str:
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def _rich_bar() -> RichBar:
    from rich.console import Console
    from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, TextColumn, TimeRemainingColumn
    from rich.text import Text

    class Rate(ProgressColumn):
        def render(self, task: Any) -> Text:
            return Text(f"{task.speed:.1f}/s" if task.speed else "", style="dim")

    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        Rate(),
        TimeRemainingColumn(),
        console=Console(stderr=True),
        transient=True,
    )
