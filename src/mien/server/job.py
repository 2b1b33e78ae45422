"""A job as a process of its own: `python -m mien.server.job`, which a server starts and talks to through pipes.

In comes one line of JSON (the album's folder, the verb, its options, who asks), and later perhaps "cancel"; when the
pipe ends, so does the job, for the server is gone. Out come lines of JSON: how far it is, and in the end what came of
it. Whatever else is printed goes nowhere. A killed job costs nothing: each verb goes on where it was stopped.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import IO, Any, Final

from mien.album import Album
from mien.errors import NEEDS_HUMAN, BusyError, FetchError, MienError, PhotoError, SourceError
from mien.open_album import EyesFor
from mien.types import By

BUSY_PAUSE: Final = 0.5
"""Seconds after which an album that another run holds is tried again."""
EVERY: Final = 0.1
"""Seconds between two lines about progress."""
NICE: Final = 5
"""By so much a job gives way to the server, whose answers are waited for."""
INTERRUPTED: Final = 130
MISTAKE: Final = 1
"""Exit codes as those of the command line: Ctrl-C, and what nobody foresaw."""

Result = tuple[int, Any]
"""The exit code that the command would have had, and what it prints with --json."""


def align(album: Album, _: Mapping[str, Any]) -> Result:
    """What `mien align` does."""
    done = album.align()
    return PhotoError.exit_code if done.fails(album.settings.strict) else 0, done.to_json()


def train(album: Album, _: Mapping[str, Any]) -> Result:
    """What `mien train` does."""
    done = album.train()
    if not done.in_use:
        return NEEDS_HUMAN, done.to_json()
    return PhotoError.exit_code if done.aligned.fails(album.settings.strict) else 0, done.to_json()


def collect(album: Album, options: Mapping[str, Any]) -> Result:
    """What `mien collect` does."""
    done = album.collect(options.get("sources", ()), options.get("dry_run", False))
    if any(source.error for source in done.sources):
        return SourceError.exit_code, done.to_json()
    return 0 if done.complete else FetchError.exit_code, done.to_json()


def daily(album: Album, _: Mapping[str, Any]) -> Result:
    """What `mien daily` does."""
    done = album.daily()
    return done.exit_code, done.to_json()


VERBS: Final[Mapping[str, Callable[[Album, Mapping[str, Any]], Result]]] = {
    "align": align,
    "train": train,
    "collect": collect,
    "daily": daily,
}


class Told:
    """A `Progress` as lines of JSON."""

    def __init__(self, out: IO[str]) -> None:
        self._out = out
        self._step, self._done, self._of, self._said = "", 0, 0, 0.0

    def say(self, **said: Any) -> None:
        """Writes a line."""
        self._out.write(json.dumps(said) + "\n")
        self._out.flush()

    def start(self, title: str, total: int | None) -> None:
        self._step, self._done, self._of = title, 0, total or 0
        self._tell()

    def advance(self, steps: int = 1) -> None:
        self._done += steps
        if time.monotonic() - self._said >= EVERY:
            self._tell()

    def note(self, line: str) -> None:
        """What is said of single photos stands in the result."""

    def finish(self) -> None:
        if self._step:
            self._tell()
        self._step = ""

    def _tell(self) -> None:
        self._said = time.monotonic()
        self.say(step=self._step, done=self._done, of=self._of or None)


def main(eyes: EyesFor | None = None) -> int:
    """Runs the job of which standard input tells; `eyes` are for tests. Returns the exit code."""
    told, inward = Told(_only_output()), os.fdopen(os.dup(sys.stdin.fileno()), "rb", buffering=0)
    asked = json.loads(inward.readline())
    threading.Thread(target=_listen, args=(inward,), daemon=True).start()
    if hasattr(os, "nice"):
        os.nice(NICE)
    try:
        while True:
            try:
                album = Album(Path(asked["folder"]), eyes=eyes, progress=told, by=By(**asked["by"]))
                code, result = VERBS[asked["verb"]](album, asked["options"])
                told.say(code=code, result=result)
                return 0
            except BusyError:
                told.say(waiting="the album is in use by another run")
                time.sleep(BUSY_PAUSE)
    except KeyboardInterrupt:
        told.say(code=INTERRUPTED, cancelled=True)
    except MienError as error:
        told.say(code=error.exit_code, error={"message": error.message, "remedy": error.remedy})
    except Exception as error:
        trace = error.__traceback__
        while trace and trace.tb_next:
            trace = trace.tb_next
        where = f"{Path(trace.tb_frame.f_code.co_filename).name}, line {trace.tb_lineno}" if trace else ""
        said = {"message": f"mien made a mistake: {type(error).__name__} ({where}).", "remedy": "Please report it."}
        told.say(code=MISTAKE, error=said)
    return 0


def _only_output() -> IO[str]:
    """Standard output for this file alone: what libraries print there goes to standard error from now on."""
    out = os.fdopen(os.dup(sys.stdout.fileno()), "w", encoding="utf-8")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())
    return out


def _listen(inward: IO[bytes]) -> None:
    """Interrupts the work where the server says so, and ends the process where the server is gone."""
    for line in inward:
        if line.strip() == b"cancel":
            if sys.platform == "win32":
                import _thread

                _thread.interrupt_main()
            else:
                os.kill(os.getpid(), signal.SIGINT)
    os._exit(INTERRUPTED)


if __name__ == "__main__":
    sys.exit(main())
