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
from contextlib import closing, contextmanager
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from mien.protocols import Task

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")
Made = TypeVar("Made")

AHEAD = 2
"""Items in flight per worker: one being worked on and one waiting, so that none idles while results are written."""


def usable_cores() -> int:
    """Cores this process may use, at least 1."""
    if hasattr(os, "sched_getaffinity"):
        return max(1, len(os.sched_getaffinity(0)))
    return max(1, os.cpu_count() or 1)


def threads_for(workers: int) -> int:
    """How many threads the setting `workers` stands for: 0 is one a core."""
    return workers or usable_cores()


class _OpenCVThreads:
    """The number of threads that OpenCV uses, which belongs to the whole process: of several that want one thread at a
    time, the first to begin notes the number there was, and the last to end restores it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wanting = self._before = 0

    @contextmanager
    def single(self) -> Iterator[None]:
        import cv2

        with self._lock:
            if self._wanting == 0:
                self._before = cv2.getNumThreads()
                cv2.setNumThreads(1)
            self._wanting += 1
        try:
            yield
        finally:
            with self._lock:
                self._wanting -= 1
                if self._wanting == 0:
                    cv2.setNumThreads(self._before)


single_opencv_thread = _OpenCVThreads().single
"""A context in which OpenCV uses one thread a call: while workers fill the cores, threads of OpenCV's own get in their
way, and a chip costs twice the CPU. Contexts may overlap in any order."""


def early(make_tool: Callable[[], Tool]) -> Callable[[], Tool]:
    """Begins to make a tool at once, in a thread, and returns a function that hands it out the first time it is called;
    further calls make further tools. For a tool that takes long to open. An error is raised where the tool is wanted.
    """
    starter = ThreadPoolExecutor(1, thread_name_prefix="mien-early")
    first = deque([starter.submit(make_tool)])
    starter.shutdown(wait=False)

    def make() -> Tool:
        try:
            being_made = first.pop()
        except IndexError:
            return make_tool()
        return being_made.result()

    return make


@dataclass(frozen=True, slots=True)
class Threads:
    """The `Engine` of this process: `workers` threads, as the setting says. Each item is a block."""

    workers: int = 0

    def run(
        self,
        task: Task[Tool, Item, Result],
        items: Iterable[Item],
        then: Callable[[Item, Result], Made],
        give_up: Callable[[Item], None],
    ) -> Generator[tuple[tuple[Item, Made]]]:
        def work(tool: Tool, item: Item) -> Made:
            return then(item, task.do(tool, item))

        with closing(run(items, task.open, work, self.workers)) as done:
            for each in done:
                yield (each,)

    def close(self) -> None: ...


def run(
    items: Iterable[Item],
    make_tool: Callable[[], Tool],
    work: Callable[[Tool, Item], Result],
    workers: int = 0,
    in_order: bool = False,
    ahead: int = AHEAD,
) -> Generator[tuple[Item, Result]]:
    """Yields (item, work(tool, item)) for every item, as they finish or, with `in_order`, as they came.

    `workers` is the setting, 0 for a thread a core; `make_tool` is called once in each thread that works. At most
    `ahead` items a worker are held at a time: with `in_order`, more of them keep the others busy while a slow one is
    waited for. An exception in `work` is raised here, after what was in flight has finished; so it is when the caller
    stops early.
    """
    threads = threads_for(workers)
    own = threading.local()

    def job(item: Item) -> tuple[Item, Result]:
        if not hasattr(own, "tool"):
            own.tool = make_tool()
        return item, work(own.tool, item)

    source = iter(items)
    with single_opencv_thread(), ThreadPoolExecutor(threads, thread_name_prefix="mien") as executor:
        waiting = deque(executor.submit(job, item) for item in islice(source, ahead * threads))
        try:
            while waiting:
                done, waiting = _finished(waiting, in_order)
                waiting.extend(executor.submit(job, item) for item in islice(source, len(done)))
                for future in done:
                    yield future.result()
        finally:
            for future in waiting:
                future.cancel()


def _finished(waiting: deque[Future[Result]], in_order: bool) -> tuple[list[Future[Result]], deque[Future[Result]]]:
    """The futures whose results come next, and the others, in their order. Waits until there is one."""
    if in_order:
        return [waiting.popleft()], waiting
    finished = wait(waiting, return_when=FIRST_COMPLETED).done
    return [one for one in waiting if one in finished], deque(one for one in waiting if one not in finished)
