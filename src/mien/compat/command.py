"""How the commands of 2017 end: with an exit code, and with one line where something went wrong."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Callable
from pathlib import Path

from mien.errors import MienError, UsageError
from mien.storage.files import is_file, is_folder, opening_error, read_plain, storage_error

INTERRUPTED, BROKEN_PIPE = 130, 141
"""What a shell reports for Ctrl-C, and for a program whose reader has gone."""

STEERS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code != 0x09}
"""What steers a terminal or begins another line, and what is printed for it: paths and names are anybody's."""


def say(line: str) -> None:
    """A line of standard output, where the originals' words go. Raises BrokenPipeError if nobody reads it any more."""
    print(_tamed(line), flush=True)


def warn(line: str) -> None:
    """A line of standard error: of mien's own words."""
    print(_tamed(line), file=sys.stderr, flush=True)


def _tamed(line: str) -> str:
    return line.encode("utf-8", "backslashreplace").decode().translate(STEERS)


def read(file: str, most: int, remedy: str) -> bytes:
    """The bytes of a file of at most `most` bytes that a flag names. Raises UsageError, which ends in the remedy, where
    there is no such file, and StorageError where it cannot be read."""
    path = Path(file)
    if not is_file(path):
        raise UsageError(file, "is a folder" if is_folder(path) else "does not exist", remedy)
    try:
        return read_plain(path, most)
    except OSError as error:
        raise opening_error(path, error) from error


def ends(program: str, run: Callable[[], int]) -> int:
    """The exit code of what `run` does, which is its own, or that of the error that it raises. `program` is the name
    under which the error is told."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # whatever the system's encoding is, names are anybody's
            stream.reconfigure(encoding="utf-8", errors="backslashreplace")
    try:
        return run()
    except MienError as error:
        warn(f"{program}: {error}")
        return error.exit_code
    except KeyboardInterrupt:
        warn(f"{program}: stopped. The same command goes on from there.")
        return INTERRUPTED
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return BROKEN_PIPE
    except OSError as error:
        said = storage_error(Path(error.filename or "standard output"), error)
        warn(f"{program}: {said}")
        return said.exit_code
