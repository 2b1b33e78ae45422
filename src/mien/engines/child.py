"""What a child process does: one task at a time, within the memory and the time that its parent allows.

It is started by `children`, imports a task's module when the task first comes, and ends with its parent. It knows no
album, and nothing that it says is believed: the parent reads a line of JSON and a counted number of bytes. Only the
standard library is imported here, so that a child is there at once.
"""

from __future__ import annotations

import contextlib
import json
import mmap
import os
import signal
import sys
import time
from collections.abc import Callable, Mapping
from importlib import import_module
from pathlib import Path
from typing import Any, BinaryIO

Task = Callable[[Mapping[str, Any], bytes], tuple[dict[str, Any], bytes | memoryview]]
"""What a child can be asked for: (what it is about, data) to (what came of it, data); "about" is plain JSON. One that
fails says so under "fault". Data that lie in `room` need not be copied."""

KEPT = 32_000_000
"""Bytes that stay allocated for what a child gives, and for what it works with: a photo of 12 megapixels takes a third.
"""

_WORST_FIRST = "1000"
"""The score by which Linux, out of memory, ends a child before any other process of this user."""


class _Shared:
    """Memory of the parent's as well, which is the file of this number; 0 is none."""

    def __init__(self, file: int = 0) -> None:
        self._file = file
        self._map: mmap.mmap | None = None
        self.lent: memoryview | None = None
        self.is_free = False

    def room(self, size: int) -> memoryview:
        """See `room`."""
        if not self.is_free or not size:
            return memoryview(bytearray(size))
        if self._map is None or len(self._map) < size:
            os.ftruncate(self._file, max(size, os.fstat(self._file).st_size))
            self._map = mmap.mmap(self._file, size)
        self.lent = memoryview(self._map)[:size]
        return self.lent

    def put(self, given: bytes | memoryview) -> None:
        """Leaves what a task gives where the parent reads it, unless it lies there already."""
        if given and given is not self.lent:
            self.room(len(given))[:] = given
        self.lent = None
        if self._map and len(self._map) > KEPT:
            self._map = None


_shared = _Shared()


def room(size: int) -> memoryview:
    """Memory for `size` bytes that a task is about to give, which its parent reads where they lie. It holds what was
    there before; a task takes it once."""
    return _shared.room(size)


def lent() -> memoryview | None:
    """The room that the task has taken, if any."""
    return _shared.lent


def main(shared: str, module: str) -> None:
    """Answers requests from standard input until there are no more; the module of the first may be imported before.
    What a task gives goes into the file of the number `shared`, which is memory of the parent's as well. It follows the
    reply if there is no such file, or the parent still reads there."""
    global _shared
    _shared = _Shared(int(shared))
    requests, replies = _channels()
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent ends its children
    with contextlib.suppress(OSError):  # not Linux
        Path("/proc/self/oom_score_adj").write_text(_WORST_FIRST, "ascii")
    held, computed = _data_held(), _stopwatch()
    if module:
        with contextlib.suppress(Exception):  # the task that needs it says so
            import_module(module)
    while line := requests.readline():
        asked = json.loads(line)
        data = requests.read(asked["bytes"])
        _shared.is_free = asked["shared"]
        _limit(held + asked["memory"], computed() + asked["seconds"])
        try:
            said, given = _task(asked["task"])(asked["about"], data)
            short = "fault" in said and not _could_hold(asked["memory"])  # not every library says what it lacked
            reply = {"memory": "short"} if short else {"said": said}
        except MemoryError:
            data, given = b"", b""
            reply = {"memory": "too much" if _could_hold(asked["memory"]) else "short"}
        except Exception as error:  # a task reports what it foresees; the rest is told, and the child goes on
            given, reply = b"", {"broke": f"{type(error).__name__}: {error}"}
        if asked["shared"]:
            _shared.put(given)
        replies.write(json.dumps({**reply, "bytes": len(given)}).encode() + b"\n")
        if not asked["shared"]:
            replies.write(given)
        replies.flush()
        data = given = b""  # so that they are not held beside the next


def _channels() -> tuple[BinaryIO, BinaryIO]:
    """Where requests come from and replies go. Nothing else reads the one or writes into the other: a library that
    prints, prints into nothing."""
    requests, replies = os.fdopen(os.dup(0), "rb"), os.fdopen(os.dup(1), "wb")
    nothing = os.open(os.devnull, os.O_RDWR)
    for stream in (0, 1, 2):
        os.dup2(nothing, stream)
    os.close(nothing)
    return requests, replies


def _task(name: str) -> Task:
    module, _, function = name.partition(":")
    task: Task = getattr(import_module(module), function)
    return task


def _data_held() -> int:
    """Bytes that this process has allocated; 0 where the system does not say."""
    try:
        return int(Path("/proc/self/statm").read_text("ascii").split()[5]) * mmap.PAGESIZE
    except OSError:
        return 0


def _stopwatch() -> Callable[[], float]:
    """A function that returns the CPU seconds of this process as the system counts them for RLIMIT_CPU. Linux counts
    ticks of its clock for that, and may be far ahead of what it says of the process anywhere else: after an hour it
    would end good photos."""
    if sys.platform == "win32":
        return time.process_time
    before, most = time.process_time(), 1e9
    signal.setitimer(signal.ITIMER_PROF, most)
    return lambda: before + most - signal.getitimer(signal.ITIMER_PROF)[0]


def _limit(memory: int, seconds: float) -> None:
    """Lets this process allocate `memory` bytes in all, and compute until it has taken `seconds` in all. Systems other
    than Linux do not hold the first, and Windows neither."""
    if sys.platform == "win32":
        return
    import resource

    for which, most in (
        (resource.RLIMIT_CORE, 0),  # what a decoder held when it broke down are somebody's photos
        (resource.RLIMIT_DATA, memory),
        (resource.RLIMIT_CPU, int(seconds) + 1),
    ):
        _, hard = resource.getrlimit(which)
        resource.setrlimit(which, (most if hard == resource.RLIM_INFINITY else min(most, hard), hard))


def _could_hold(memory: int) -> bool:
    """Whether about as much can be allocated now that the task is over: then it was the task that wanted too much, and
    otherwise the system that had too little."""
    try:
        mmap.mmap(
            -1, memory * 3 // 4
        ).close()  # the rest is what the C library keeps for the next photo, see `children`
    except (OSError, MemoryError):
        return False
    return True
