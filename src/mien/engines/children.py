"""Child processes, in which whatever reads bytes of strangers works: decoders, parsers.

A file of a few hundred bytes can make a decoder take all memory, compute for ever, or break down, and no check before
it foresees every way. A child is held by the system itself (`setrlimit`), and when it dies it costs that one file.
Children are kept and asked again, and what they give lies in memory that both can read, so that a photo costs hardly
more than without them (`benchmarks/children.py`).
"""

from __future__ import annotations

import atexit
import contextlib
import json
import math
import mmap
import os
import subprocess
import sys
import threading
import time
import weakref
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

from mien.engines.child import KEPT
from mien.engines.pool import Pool

Reason = Literal["time", "hung", "too much memory", "short of memory", "killed", "broke"]

MEMORY = 800_000_000
"""Bytes that a task may allocate where it names no other bound. With the parent's share and the child's own 30 MB it is
under 1 GB."""

PATIENCE = 20
"""Times the seconds that a task may compute after which it ends by the clock: a machine may be busy with other things.
"""
_LONGEST_LINE = 64 << 20
"""Bytes of the longest line that is read of a child."""
_MOST = 256
"""Children at a time, more than there are workers."""
_START = "import sys; sys.path[:] = sys.argv[3:]; from mien.engines.child import main; main(*sys.argv[1:3])"
_REMOVE = getattr(mmap, "MADV_REMOVE", 0)
_MALLOC = {"MALLOC_MMAP_THRESHOLD_": str(KEPT), "MALLOC_TRIM_THRESHOLD_": str(KEPT)}
"""Has the C library of Linux keep the memory of a photo for the next one: to ask the system for it again takes longer
than all else that a child costs."""


class TaskEndedError(Exception):
    """A task came to no end of its own. `reason` says what ended it, `said` what is known of a task that broke."""

    def __init__(self, reason: Reason, said: str = "") -> None:
        super().__init__(reason, said)
        self.reason, self.said = reason, said


def ask(
    task: str, about: Mapping[str, Any], data: bytes = b"", *, seconds: float, memory: int = MEMORY
) -> tuple[dict[str, Any], memoryview]:
    """What `task` ("module:function", see `child.Task`) makes of `about` and `data` in a child that may allocate
    `memory` bytes and compute for `seconds`. What it gives may lie in memory of the child's, for as long as anybody
    holds it. Raises TaskEndedError."""
    with _children.borrow() as child:
        return child.ask(task, about, data, seconds=seconds, memory=memory)


def start_early(module: str) -> None:
    """Starts a child that imports the module of the tasks to come, while this process does something else."""
    with _children.borrow() as child, contextlib.suppress(OSError):  # whoever asks is told
        child.start(module)


class Apart:
    """A child process, started when it is first asked, and anew when it has died. Whoever has one of their own ends it:
    what it has loaded for one kind of task would count as memory of the next."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None
        self._room: _Room | None = None

    def ask(
        self, task: str, about: Mapping[str, Any], data: bytes = b"", *, seconds: float, memory: int
    ) -> tuple[dict[str, Any], memoryview]:
        """See `ask`."""
        process = self.start()
        room = self._room if self.is_ready() else None
        request = {"task": task, "about": about, "bytes": len(data), "seconds": seconds, "memory": memory}
        request["shared"] = room is not None
        try:
            with _watch.over(process, PATIENCE * seconds) as late:
                reply, given = _exchange(process, json.dumps(request).encode() + b"\n", data, room)
        except BaseException:  # Ctrl-C too: nobody knows what the child would say next, and to what
            self.end()
            raise
        if reply is None:
            self.end()
            raise TaskEndedError(
                "hung" if late.is_set() else _reason(process.returncode), f"it ended with {process.returncode}"
            )
        if "memory" in reply:
            raise TaskEndedError("too much memory" if reply["memory"] == "too much" else "short of memory")
        if "broke" in reply:
            raise TaskEndedError("broke", str(reply["broke"]))
        if "said" not in reply:
            raise TaskEndedError("broke", "it said nothing")
        return reply["said"], given

    def start(self, module: str = "") -> subprocess.Popen[bytes]:
        """The process, which is started if there is none, and then imports the module before it is asked."""
        if self._process is None:
            if self._room is None and sys.platform == "linux":
                with contextlib.suppress(OSError):  # a system that knows no such files, or allows none: pipes will do
                    self._room = _Room()
            self._process = _started(self._room, module)
        return self._process

    def is_ready(self) -> bool:
        """Whether nobody reads what the child gave last where it lies, so that the next can lie there."""
        return self._room is None or self._room.is_free()

    def end(self) -> None:
        """Ends the process, if there is one."""
        process, self._process = self._process, None
        room, self._room = self._room, None
        if room is not None:
            os.close(room.file)
        if process is not None:
            process.kill()
            for stream in (process.stdin, process.stdout):
                with contextlib.suppress(OSError):
                    stream and stream.close()
            process.wait()


class _Room:
    """A file of memory in which a child leaves what it gives, where it is read without being copied. It cannot be made
    smaller, so that a child cannot take away what is being read."""

    def __init__(self) -> None:
        import fcntl

        self.file = os.memfd_create("mien", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
        try:
            fcntl.fcntl(self.file, fcntl.F_ADD_SEALS, fcntl.F_SEAL_SHRINK | fcntl.F_SEAL_SEAL)
        except OSError:
            os.close(self.file)
            raise
        self._map: mmap.mmap | None = None
        self._large: weakref.ref[_Large] | None = None

    def is_free(self) -> bool:
        """Whether nobody reads what was given last."""
        if self._large and self._large():
            return False
        try:
            if self._map:  # there is no query, but an error that says that something refers to it; a file only grows
                self._map.resize(os.fstat(self.file).st_size)
        except (BufferError, OSError):
            return False
        return True

    def given(self, size: int) -> memoryview:
        """The first `size` bytes. Raises ValueError where there are fewer."""
        if not size:
            return memoryview(b"")
        if size > KEPT:
            large = _Large(self.file, size)
            self._large = weakref.ref(large)
            return memoryview(large).toreadonly()
        if self._map is None or len(self._map) < size:
            self._map = mmap.mmap(self.file, size)
        return memoryview(self._map)[:size].toreadonly()


class _Large(mmap.mmap):
    """What is too large to be kept: its memory is given back once nothing refers to it in the process that mapped it.
    (A fork of that process has the same memory, and must not take it away.)"""

    by: int

    def __new__(cls, file: int, size: int) -> _Large:
        made = super().__new__(cls, file, size)
        made.by = os.getpid()
        return made

    def __del__(self) -> None:
        if self.by == os.getpid():
            self.madvise(_REMOVE)


def _started(room: _Room | None, module: str) -> subprocess.Popen[bytes]:
    """A new child, which imports the module, if any. It finds modules where this process does, and takes nothing from
    the environment that Python would heed. What it gives comes through the room, or through a pipe at five times the
    cost."""
    here, file = str(Path(__file__).parents[2]), room.file if room else 0
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _START, str(file), module, here, *filter(None, sys.path)],
        pass_fds=(file,) if file else (),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", **_MALLOC},
    )


def _exchange(
    process: subprocess.Popen[bytes], request: bytes, data: bytes, room: _Room | None
) -> tuple[dict[str, Any] | None, memoryview]:
    """Sends a request and returns the reply; None if the child has died."""
    assert process.stdin and process.stdout
    try:
        process.stdin.write(request)
        process.stdin.write(data)
        process.stdin.flush()
        reply = json.loads(process.stdout.readline(_LONGEST_LINE))
        size = reply["bytes"]
        if room:
            return reply, room.given(size)
        given = process.stdout.read(size)
        if len(given) == size:
            return reply, memoryview(given)
    except (OSError, ValueError, KeyError, TypeError, OverflowError):  # it has ended, or says what makes no sense
        pass
    process.kill()
    process.wait()
    return None, memoryview(b"")


class _Watch:
    """Ends children that have neither come to an end nor computed to their limit in all the time they were given, as
    where a network drive does not answer. Windows knows no limit but this. One thread does it for all."""

    def __init__(self) -> None:
        self._news = threading.Condition()
        self._watched: dict[threading.Event, tuple[float, subprocess.Popen[bytes]]] = {}
        self._until = math.inf
        self._thread: threading.Thread | None = None

    @contextlib.contextmanager
    def over(self, process: subprocess.Popen[bytes], seconds: float) -> Iterator[threading.Event]:
        """Ends the process when the block takes longer than so many seconds; the event then says so."""
        late, end = threading.Event(), time.monotonic() + seconds
        with self._news:
            self._watched[late] = end, process
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, name="mien-children", daemon=True)
                self._thread.start()
            elif end < self._until:
                self._news.notify()
        try:
            yield late
        finally:
            with self._news:
                del self._watched[late]

    def _run(self) -> None:
        with self._news:
            while True:
                now = time.monotonic()
                for late, (end, process) in self._watched.items():
                    if end <= now and not late.is_set():
                        late.set()
                        process.kill()
                self._until = min((end for end, _ in self._watched.values() if end > now), default=math.inf)
                self._news.wait(None if self._until == math.inf else self._until - now)


def _reason(code: int) -> Reason:
    """What ended a child that has died, by its exit code: minus the number of the signal."""
    if sys.platform == "win32":
        return "broke"
    import signal

    if code == -signal.SIGXCPU:
        return "time"
    return "killed" if code == -signal.SIGKILL else "broke"


def _pool() -> Pool[Apart]:
    return Pool(Apart, _MOST, is_ready=Apart.is_ready, few=1 + (os.cpu_count() or 1))


_children, _watch = _pool(), _Watch()


@atexit.register
def end_all() -> None:
    """Ends the children that are not at work; the next request starts another."""
    for child in _children.idle():
        child.end()


def _forget() -> None:
    """In a fork of this process the children are its parent's."""
    global _children, _watch
    _children, _watch = _pool(), _Watch()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)
