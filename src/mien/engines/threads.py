"""Many items through many threads, with a bounded queue: memory stays flat however long the list is.

Threads rather than processes because the work is in ONNX Runtime, OpenCV and Pillow, which let the interpreter go; each
thread makes its own tools once (an ONNX session per worker and one worker per core beat one session with many threads).
"""

from __future__ import annotations

import os
import threading
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, ThreadPoolExecutor, wait
from contextlib import contextmanager
from itertools import islice
from typing import TypeVar

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")

AHEAD = 2
"""Items in flight per worker: one being worked on and one waiting, so that none idles while results are written."""


def usable_cores() -> int:
    """Cores this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


class _OpenCVThreads:
    """While workers fill the cores, threads of OpenCV's own only get in their way: a chip costs twice the CPU.

    Their number belongs to the whole process, so of runs that overlap the first notes it and the last restores it.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._runs = self._before = 0

    @contextmanager
    def single(self) -> Iterator[None]:
        import cv2

        with self._lock:
            if self._runs == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._runs += 1
        try:
            yield
        finally:
            with self._lock:
                self._runs -= 1
                if self._runs == 0:
                    cv2.setNumThreads(self._before)


_opencv_threads = _OpenCVThreads()


def early(make_tool: Callable[[], Tool]) -> Callable[[], Tool]:
    """`make_tool`, the first of whose tools is being made already, in a thread: for one that takes long to open."""
    with_first = ThreadPoolExecutor(1, thread_name_prefix="mien-early")
    first = deque([with_first.submit(make_tool)])
    with_first.shutdown(wait=False)

    def make() -> Tool:
        try:
            being_made = first.pop()
        except IndexError:
            return make_tool()
        return being_made.result()

    return make


def run(
    items: Iterable[Item],
    make_tool: Callable[[], Tool],
    work: Callable[[Tool, Item], Result],
    workers: int = 0,
    in_order: bool = False,
    ahead: int = AHEAD,
) -> Generator[tuple[Item, Result]]:
    """Yield (item, work(tool, item)) for every item, as they finish or, with `in_order`, as they came.

    `make_tool` is called once in each thread that works. At most `ahead` items a worker are held at a time: with
    `in_order`, more of them keep the others busy while a slow one is waited for. An exception in `work` is raised here,
    after what was in flight has finished; so it is when the caller stops early.
    """
    count = workers or usable_cores()
    own = threading.local()

    def job(item: Item) -> tuple[Item, Result]:
        if not hasattr(own, "tool"):
            own.tool = make_tool()
        return item, work(own.tool, item)

    source = iter(items)
    with _opencv_threads.single(), ThreadPoolExecutor(count, thread_name_prefix="mien") as pool:
        flying: deque[Future[tuple[Item, Result]]] = deque(pool.submit(job, i) for i in islice(source, ahead * count))
        try:
            while flying:
                if in_order:
                    done = [flying.popleft()]
                else:
                    finished = wait(flying, return_when=FIRST_COMPLETED).done
                    done = [f for f in flying if f in finished]
                    flying = deque(f for f in flying if f not in finished)
                flying.extend(pool.submit(job, item) for item in islice(source, len(done)))
                for future in done:
                    yield future.result()
        finally:
            for future in flying:
                future.cancel()
