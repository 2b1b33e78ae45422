"""How the command line speaks: results on standard output, everything about the work on standard error.

A bar with rate and time left on a terminal, plain lines elsewhere; colour only on a terminal, and never with NO_COLOR.
On a terminal lines end between words; elsewhere each is one line, however long, so that programs can take it apart.
"""

from __future__ import annotations

import errno
import json
import os
import re
import sys
import time
import traceback
import unicodedata
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TextIO

from mien import __version__
from mien.errors import MienError, StorageError
from mien.storage.files import opening_error, storage_error
from mien.text.shell import command

if TYPE_CHECKING:
    from rich.progress import Progress as RichBar
    from rich.progress import TaskID

EVERY = 10.0
"""Seconds between the plain lines of long work."""

FEW = 8
"""Fewer steps than this are over before a bar could be read."""

LABEL = 12
"""Cells before the text of an `entry`."""

SHOWN = 10
"""Lines of one kind printed before the rest is only counted; --json has them all."""

WIDEST = 120
"""Cells of a line of prose on a wider terminal."""

LONGEST = 40
"""Cells of a name in a table; longer ones are cut there. --json and --csv have every name whole."""


def say(line: str = "", whole: bool = False) -> None:
    """A line of the result, which ends between words on a terminal unless it is to stay `whole`. Raises
    BrokenPipeError if nobody reads it any more, StorageError if it cannot be kept."""
    try:
        print(_tamed(line if whole else fitted(line, sys.stdout)), flush=True)
    except OSError as error:
        _leave_output()
        if error.errno in (errno.EPIPE, errno.EINVAL):  # EINVAL is what Windows says
            raise BrokenPipeError from error
        raise storage_error(Path("standard output"), error) from error


def _tamed(line: str) -> str:
    """`line` without anything that steers a terminal, but for the colours of `paint`."""
    return _UNTAMED.sub(lambda found: printable(found[0]), line)


def say_json(value: object) -> None:
    """The result for programs."""
    say(json_text(value, indent=2), whole=True)


def json_text(value: object, indent: int | None = None) -> str:
    """`value` as JSON in which nothing can steer a terminal: what is invisible and changes what is seen is escaped, as
    JSON has it, so that a reader gets the same texts."""
    return _STEERS.sub(_escaped, json.dumps(value, ensure_ascii=False, indent=indent))


def csv_text(text: str) -> str:
    """`text` for a cell of a table, with what could steer a terminal or end the row as JSON escapes it (\\u001b).

    A backslash that would be taken for the beginning of such an escape is one itself (\\u005c), so that the text can be
    read back: each \\u with four hexadecimal digits is one letter, in UTF-16.
    """
    return re.sub(f"{_STEERS.pattern}|\n|{_LOOKS_ESCAPED}", _escaped, text)


_STEERS = re.compile(
    # Unicode's categories Cc but the line feed, Cf but the two joiners that scripts and pictures need, Cs, Zl and Zp
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u0600-\u0605\u061c\u06dd\u070f\u0890\u0891\u08e2\u180e\u200b\u200e\u200f"
    "\u2028-\u202e\u2060-\u206f\ud800-\udfff\ufeff\ufff0-\ufffb\U000110bd\U000110cd\U00013430-\U0001343f"
    "\U0001bca0-\U0001bca3\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_COLOUR = r"\x1b\[[\d;]*m"
_UNTAMED = re.compile(rf"(?!{_COLOUR}){_STEERS.pattern}")
_LOOKS_ESCAPED = r"\\(?=u[0-9a-fA-F]{4})"


def _escaped(found: re.Match[str]) -> str:
    units = found[0].encode("utf-16-be", "surrogatepass")
    return "".join(f"\\u{units[at]:02x}{units[at + 1]:02x}" for at in range(0, len(units), 2))


def say_more(number: int) -> None:
    """That of `number` lines of one kind only the first `SHOWN` were printed, if so."""
    if number > SHOWN:
        say(f"{'':<{LABEL}}… and {number - SHOWN:,} more; --json has them all")


def _leave_output() -> None:
    """Lets what is still in the buffer of standard output go nowhere, or Python would complain of it on its way out."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def tell(line: str, hanging: int | None = None) -> None:
    """A line about the work; on a terminal long ones go on after `hanging` blanks."""
    print(_tamed(fitted(for_reader(line), sys.stderr, hanging)), file=sys.stderr, flush=True)


def tell_error(error: BaseException) -> None:
    """What went wrong and what to do about it; of what nobody foresaw, where it was."""
    head = paint("mien:", "31", sys.stderr)
    if isinstance(error, OSError):
        error = of_the_system(error) or error
    if isinstance(error, MienError):
        tell(f"{head} {printable(error.message)}", 6)
        tell(f"      {printable(error.remedy)}", 6)
        return
    what = " ".join(traceback.format_exception_only(error)[-1].split())
    frames = traceback.extract_tb(error.__traceback__)
    where = f" ({Path(frames[-1].filename).name}, line {frames[-1].lineno})" if frames else ""
    tell(f"{head} A mistake in mien {__version__} itself: {printable(what)}{where}.", 6)
    tell("      Please report it with this line and your command; with MIEN_DEBUG=1 set, it says more.", 6)


def of_the_system(error: OSError) -> MienError | None:
    """What to tell of an error of the disk or the system that no room of mien's has foreseen; None for one that only a
    program can have made."""
    if error.errno is None:
        return None
    if error.filename is None:  # such as the folder in which mien was started, which somebody has deleted
        remedy = "Check the disk and the folder in which you are, then run the same command again."
        return StorageError("The system", f"refused: {error.strerror}", remedy)
    file = Path(os.fsdecode(error.filename))
    is_full = error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG)
    return storage_error(file, error) if is_full else opening_error(file, error)


def entry(label: str, text: str, style: str = "") -> None:
    """A line of the result that begins with what it is about; on a terminal long text goes on below itself."""
    text, label = for_reader(printable(text)), printable(label)
    head = fit(label, max(cells(label), LABEL - 1)) + " "  # a source's name may be longer
    columns = columns_of(sys.stdout)
    parts = broken(text, max(min(columns, WIDEST) - LABEL, 20)) if columns else [text]
    for number, part in enumerate(parts):
        say(f"{' ' * LABEL if number else head}{paint(part, style)}", whole=True)


def columns_of(stream: TextIO) -> int:
    """How many cells a line has on the terminal that `stream` writes to; 0 where it is none."""
    if not stream.isatty():
        return 0
    try:
        return int(os.environ.get("COLUMNS", "")) or os.get_terminal_size(stream.fileno()).columns
    except ValueError:
        pass
    try:
        return os.get_terminal_size(stream.fileno()).columns or 80
    except OSError:
        return 80


def fitted(line: str, stream: TextIO | None = None, hanging: int | None = None) -> str:
    """`line` as it goes to `stream`, standard output if none is named: on a terminal in as many lines as it needs, the
    later ones after `hanging` blanks."""
    columns = columns_of(stream or sys.stdout)
    if not columns:
        return line
    return "\n".join(part for each in line.split("\n") for part in _parts(each, columns, hanging))


def _parts(each: str, columns: int, hanging: int | None) -> list[str]:
    indent = len(each) - len(each.lstrip()) + 2 if hanging is None else hanging
    first, *others = broken(each, columns, columns - indent)
    return [first, *(" " * indent + other for other in others)]


def broken(text: str, width: int, later: int | None = None) -> list[str]:
    """`text` in lines of at most `width` cells, and of `later` after the first, which end between words. A word that is
    wider has a line of its own. A command is one word where it fits into a line, so that it can be copied, and so is a
    number with its unit."""
    held = _TOGETHER.sub(lambda found: found[0].replace(" ", "\0") if cells(found[0]) <= width else found[0], text)
    lines, line, room = [], "", width
    for part in re.findall(r"\s*\S+|\s+$", held):
        if line.strip() and cells(line + part) > room:
            lines.append(line)
            line, room = part.lstrip(), later or width
        else:
            line += part
    return [each.replace("\0", " ") for each in (*lines, line)]


_TOGETHER = re.compile(
    r"""`[^`]+`|\bmien -C ('[^']*'|"[^"]*"|\S+)( \S+){1,3}|(?<=: )mien( \S+){1,3}|\bmien \S+"""
    r"""|\d (?:%|px|MB|s)(?!\w)|\bbox \S+ \S+"""
)
"""What looks like a command of mien in a text, a number's unit, and a box."""


_reader: tuple[str, str] | None = None
"""How commands name the album in which this one works, and how its user may name it where they are."""


def commands_for(album: Path | None, named: Path | None) -> None:
    """From now on commands name this album as its user may: not at all in it, otherwise as it was `named`. None forgets
    the album."""
    global _reader
    _reader = (command(album), command(named)) if album else None


def for_reader(text: str) -> str:
    """`text` with its commands as they can be typed where the user is: those that name the album name it as the user
    did, and those in `backquotes`, which name none, name it where they must."""
    if _reader is None:
        return text
    ours, theirs = _reader
    return _BACKQUOTED.sub(f"`{theirs} ".replace("\\", r"\\"), text.replace(f"{ours} ", f"{theirs} "))


_BACKQUOTED = re.compile(r"`mien (?!-|init\b|convert\b|encoders( add| remove)?`)(?=[a-z])")
"""The beginning of a command that works in an album and does not name it."""


def paint(text: str, style: str, stream: TextIO | None = None) -> str:
    """`text` in an ANSI `style` ("1" bold, "2" dim, "32" green, "33" yellow, "31" red) where colour is wanted."""
    if not style or not text or not _has_colour(stream or sys.stdout):
        return text
    return f"\x1b[{_ON_ANY_GROUND.get(style, style) if _has_many_colours() else style}m{text}\x1b[0m"


_ON_ANY_GROUND = {"2": "38;5;243", "31": "38;5;161", "32": "38;5;28", "33": "38;5;130"}
"""Colours of xterm's palette of 256 whose contrast is 4 or more to black and to white alike (by WCAG 2.2's formula); of
the old 16, yellow and green cannot be read on white."""


def _has_many_colours() -> bool:
    return "256" in os.environ.get("TERM", "") or bool({"COLORTERM", "WT_SESSION"} & os.environ.keys())


def _has_colour(stream: TextIO) -> bool:
    if not stream.isatty() or os.environ.get("NO_COLOR") or os.environ.get("TERM") == "dumb":
        return False
    return os.name != "nt" or "WT_SESSION" in os.environ or "TERM" in os.environ  # older consoles print the codes


def printable(text: str) -> str:
    """`text` without control characters, so that a file's name cannot drive the terminal."""
    return "".join(c if c.isprintable() else _code(ord(c)) for c in text)


def _code(number: int) -> str:
    return f"\\x{number:02x}" if number < 0x100 else f"\\u{number:04x}" if number < 0x10000 else f"\\U{number:08x}"


def cells(text: str) -> int:
    """How wide a terminal shows `text`: East Asian letters take two cells, combining marks and colours none."""
    text = re.sub(_COLOUR, "", text)
    if text.isascii():
        return len(text)
    return sum(
        0 if unicodedata.combining(c) else 2 if unicodedata.east_asian_width(c) in ("W", "F") else 1 for c in text
    )


def fit(text: str, width: int) -> str:
    """`text`, made printable, in exactly `width` cells: filled up with blanks, or cut off with "…"."""
    text = printable(text)
    if cells(text) > width:
        while cells(text) >= width:
            text = text[:-1]
        text += "…"
    return text + " " * (width - cells(text))


_LAST = 30
"""Cells that the last column of a table has at least, if it needs as many."""


def table(heads: Sequence[str], rows: Iterable[Sequence[str]]) -> None:
    """A table whose first column says what a row is about; columns whose head begins with ">" are flush right. The last
    cell of a row that is too short goes on to its end. On a terminal that is too narrow the last column goes on below
    itself, or each row is a paragraph."""
    rows = [list(row) for row in rows]
    names = [head.removeprefix(">") for head in heads]
    full = [row for row in (names, *rows) if len(row) == len(names)]
    wide = [max(cells(row[column]) for row in full) for column in range(len(names))]
    columns = columns_of(sys.stdout)
    last = sum(wide[:-1]) + 2 * (len(wide) - 1)
    if columns and last + min(wide[-1], _LAST) > columns:
        for first, *others in rows:
            say(first.rstrip())
            pairs = zip(names[1:], others, strict=False)
            told = [f"{head.strip()} {cell.strip()}" for head, cell in pairs if cell.strip() not in ("", "-")]
            say(f"    {'; '.join(told if len(others) + 1 == len(names) else others)}")
        return
    for row in (names, *rows):
        line = []
        for head, cell, width in zip(heads, row, wide, strict=False):
            room = " " * (width - cells(cell))
            line.append(room + cell if head.startswith(">") else cell + room)
        at = last if len(row) == len(names) else wide[0] + 4
        say(fitted("  ".join(line).rstrip(), hanging=at), whole=True)


def widest(texts: Iterable[str]) -> int:
    """The width of a column that holds `texts`, at most `LONGEST` cells."""
    return min(max((cells(printable(text)) for text in texts), default=0), LONGEST)


class Reporter:
    """A `Progress` on standard error; use it as a context manager so that no bar outlives its work.

    `notes` is False for work whose summary names the bad photos: nothing is said twice. `quiet` work says nothing.
    """

    def __init__(self, notes: bool = True, quiet: bool = False) -> None:
        self._notes, self._quiet = notes and not quiet, quiet
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
        is_screen = sys.stderr.isatty() and os.environ.get("TERM") != "dumb"
        if total and total >= FEW and is_screen and not self._quiet:
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
        if not self._notes:
            return
        if self._bar is not None:
            self._bar.console.print(
                fitted(for_reader(printable(line)), sys.stderr),
                style="color(130)",
                markup=False,
                highlight=False,
                soft_wrap=True,
            )
        else:
            tell(printable(line))

    def say(self, line: str) -> None:
        """A line of the result, whole, above the bar where both are on one screen."""
        if self._bar is not None and sys.stdout.isatty():
            from rich.text import Text

            self._bar.console.print(Text.from_ansi(line), highlight=False, soft_wrap=True)
        else:
            say(line, whole=True)

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
        redirect_stdout=False,  # rich would send the results to where the bar is: to standard error
        redirect_stderr=False,
    )
