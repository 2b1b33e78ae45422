"""How the commands of 2017 end: with an exit code, and with one line where something went wrong."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path

from mien.errors import MienError
from mien.storage.files import storage_error

INTERRUPTED, BROKEN_PIPE = 130, 141
"""What a shell reports for Ctrl-C, and for a program whose reader has gone."""

STEERS = {code: f"\\x{code:02x}" for code in (*range(0x20), *range(0x7F, 0xA0)) if code not in (0x09, 0x0A)}
"""What steers a terminal, and what is printed for it: paths and names are anybody's."""


def say(line: str) -> None:
    """A line of standard output, where the originals' words go. Raises BrokenPipeError if nobody reads it any more."""
    print(line.encode("utf-8", "backslashreplace").decode().translate(STEERS), flush=True)


def warn(line: str) -> None:
    """A line of standard error: of mien's own words."""
    print(line.encode("utf-8", "backslashreplace").decode().translate(STEERS), file=sys.stderr, flush=True)


def ends(program: str, run: Callable[[], int]) -> int:
    """The exit code of what `run` does, which is its own, or that of the error that it raises. `program` is the name
    under which the error is told."""
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
        if error.filename is None:
            raise
        said = storage_error(Path(error.filename), error)
        warn(f"{program}: {said}")
        return said.exit_code
