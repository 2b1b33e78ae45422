"""Child processes, in which whatever reads bytes of strangers works: decoders, parsers.

A file of a few hundred bytes can make a decoder take all memory, compute for ever, or break down, and no check before
it foresees every way. A child is held by the system itself (`setrlimit`), and when it dies it costs that one file.
Children are kept and asked again, so that what a photo costs extra is the way through a pipe.
"""

from __future__ import annotations

import atexit
import contextlib
import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, cast

from mien.engines.pool import Pool

if TYPE_CHECKING:
    from io import BufferedReader

Reason = Literal["time", "hung", "too much memory", "short of memory", "killed", "broke"]

MEMORY = 800_000_000
"""Bytes that a task may allocate. A photo of 100 megapixels takes 300 to 600 million, whatever its format but WebP and
AVIF. With the parent's share and the child's own 30 MB it is under 1 GB."""

PATIENCE = 20
"""Times the seconds that a task may compute after which it ends by the clock: a machine may be busy with other things.
"""
_LONGEST_LINE = 64 << 20
"""Bytes of the longest line that is read of a child."""
_KEPT = 32_000_000
"""Bytes that stay allocated for what a child gives."""
_MOST = 256
"""Children at a time, more than there are workers."""
_START = "import sys; sys.path[:] = sys.argv[2:]; from mien.engines.child import main; main(sys.argv[1])"


class TaskEndedError(Exception):
    """A task came to no end of its own. `reason` says what ended it, `said` what is known of a task that broke."""

    def __init__(self, reason: Reason, said: str = "") -> None:
        super().__init__(reason, said)
        self.reason, self.said = reason, said


def ask(
    task: str, about: Mapping[str, Any], data: bytes = b"", *, seconds: float, memory: int = MEMORY
) -> tuple[dict[str, Any], bytearray]:
    """What `task` ("module:function", see `child.Task`) makes of `about` and `data` in a child that may allocate
    `memory` bytes and compute for `seconds`. Raises TaskEndedError."""
    with _children.borrow() as child:
        return child.ask(task, about, data, seconds=seconds, memory=memory)


class Apart:
    """A child process, started when it is first asked, and anew when it has died. Whoever has one of their own ends it:
    what it has loaded for one kind of task would count as memory of the next."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._shared: int | None = None

    def ask(
        self, task: str, about: Mapping[str, Any], data: bytes = b"", *, seconds: float, memory: int
    ) -> tuple[dict[str, Any], bytearray]:
        """See `ask`."""
        process = self._process or self._start()
        request = {"task": task, "about": about, "bytes": len(data), "seconds": seconds, "memory": memory}
        try:
            with _ended_by(process, PATIENCE * seconds) as over:
                reply, given = _exchange(process, json.dumps(request).encode() + b"\n", data, self._shared)
        except BaseException:  # Ctrl-C too: nobody knows what the child would say next, and to what
            self.end()
            raise
        if reply is None:
            self.end()
            raise TaskEndedError(
                "hung" if over.is_set() else _reason(process.returncode), f"it ended with {process.returncode}"
            )
        if "memory" in reply:
            raise TaskEndedError("too much memory" if reply["memory"] == "too much" else "short of memory")
        if "broke" in reply:
            raise TaskEndedError("broke", str(reply["broke"]))
        return reply["said"], given

    def _start(self) -> subprocess.Popen[bytes]:
        if hasattr(os, "memfd_create"):
            self._shared = os.memfd_create("mien")
        self._process = _started(self._shared)
        return self._process

    def end(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        shared, self._shared = self._shared, None
        if shared is not None:
            os.close(shared)
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    stream and stream.close()
            process.wait()


def _started(shared: int | None) -> subprocess.Popen[bytes]:
    """A new child. It finds modules where this process does, and takes nothing from the environment that Python would
    heed. What it gives comes through the file `shared`, which is memory, or through a pipe at three times the cost."""
    here = str(Path(__file__).parents[2])
    process = subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _START, str(shared or ""), here, *filter(None, sys.path)],
        pass_fds=() if shared is None else (shared,),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"},
    )
    if sys.platform == "linux" and process.stdout:
        import fcntl

        with contextlib.suppress(OSError):  # a megabyte at a time wakes both sides less often than 64 KiB
            fcntl.fcntl(process.stdout, fcntl.F_SETPIPE_SZ, 1 << 20)
    return process


def _exchange(
    process: subprocess.Popen[bytes], request: bytes, data: bytes, shared: int | None
) -> tuple[dict[str, Any] | None, bytearray]:
    """Sends a request and returns the reply; None if the child has died."""
    assert process.stdin and process.stdout
    got, given = 0, bytearray()
    try:
        process.stdin.write(request)
        process.stdin.write(data)
        process.stdin.flush()
        line = process.stdout.readline(_LONGEST_LINE)
        reply = json.loads(line)
        given = bytearray(reply["bytes"])
        place = memoryview(given)
        if shared is None:
            replies = cast("BufferedReader", process.stdout)
            while got < len(given) and (more := replies.readinto(place[got:])):
                got += more
        else:
            while got < len(given) and (more := os.preadv(shared, [place[got:]], got)):
                got += more
            if got > _KEPT:
                os.ftruncate(shared, 0)
    except (BrokenPipeError, ConnectionResetError, ValueError, KeyError, TypeError):
        reply = None
    if reply is None or got < len(given):
        process.kill()
        process.wait()
        return None, bytearray()
    return reply, given


@contextlib.contextmanager
def _ended_by(process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
    """Ends the child when it has neither come to an end nor computed to its limit in all this time, as where a network
    drive does not answer; the event says whether it did. Windows knows no limit but this."""
    over = threading.Event()

    def end() -> None:
        over.set()
        process.kill()

    timer = threading.Timer(seconds, end)
    timer.daemon = True
    timer.start()
    try:
        yield over
    finally:
        timer.cancel()


def _reason(code: int) -> Reason:
    """What ended a child that has died, by its exit code: minus the number of the signal."""
    if sys.platform == "win32":
        return "broke"
    import signal

    if code == -signal.SIGXCPU:
        return "time"
    return "killed" if code == -signal.SIGKILL else "broke"


_children = Pool(Apart, _MOST)


@atexit.register
def end_all() -> None:
    """Ends the children that are not at work; the next request starts another."""
    for child in _children.idle():
        child.end()


def _forget() -> None:
    """In a fork of this process the children are its parent's."""
    global _children
    _children = Pool(Apart, _MOST)


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
