"""What a worker of Dask does for mien: blocks of items, with tools that stay open from one block to the next.

What it is sent is opened here and nowhere before, so that a worker of another version of mien says so. What comes of it
goes back as one value, an error too, so that Dask writes nothing about photos into its logs.
"""

from __future__ import annotations

import threading
import time
import traceback
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mien.engines.pool import Pool
from mien.engines.threads import single_opencv_thread
from mien.errors import MienError
from mien.protocols import Task

MOST = 1024
"""Threads of a worker that may work at once: each has a tool of its own."""
KEPT = 2
"""Sorts of tools that a worker keeps open: those of the album that is worked on, and of the one before."""


@dataclass(frozen=True, slots=True)
class Job:
    """A task, the facts that it needs, and the `key` under which its tools are kept."""

    task: Task[Any, Any, Any]
    facts: Mapping[str, str]
    key: str


@dataclass(frozen=True, slots=True)
class Done:
    """What came of a block: the results in the order of the items and the seconds that each took, or else an error; or
    the first fact that `differs`, with what it is here and there."""

    results: Sequence[Any] = ()
    seconds: float = 0.0
    error: Exception | None = None
    differs: tuple[str, str, str] | None = None


_tools: dict[str, Pool[Any]] = {}
_changing = threading.Lock()


def work(data: bytes) -> bytes:
    """What comes of (job, items), pickled as a `Done`. Without items it only says whether they would be worked on."""
    from distributed.protocol.pickle import dumps, loads

    try:
        job, items = loads(data)
        return bytes(dumps(_done(job, items)))
    except MienError as error:
        return bytes(dumps(Done(error=error)))
    except Exception as error:  # a mistake, which is raised where somebody sees it
        return bytes(dumps(Done(error=RuntimeError("".join(traceback.format_exception(error))))))


def let_go(key: str) -> None:
    """Closes the tools that are kept under this key."""
    with _changing:
        _tools.pop(key, None)


def _done(job: Job, items: Sequence[Any]) -> Done:
    if job.key not in _tools and (differs := difference(job.facts, job.task.facts())):
        return Done(differs=differs)
    if not items:
        return Done()
    with single_opencv_thread(), _pool(job.key, job.task.open).borrow() as tool:
        begin = time.perf_counter()
        results = [job.task.do(tool, item) for item in items]
    return Done(results, (time.perf_counter() - begin) / len(items))


def difference(wanted: Mapping[str, str], found: Mapping[str, str]) -> tuple[str, str, str] | None:
    """The first fact that is another one, with what is wanted and what was found; None where all are the same."""
    return next(((name, fact, found.get(name, "")) for name, fact in wanted.items() if found.get(name) != fact), None)


def _pool(key: str, make: Callable[[], Any]) -> Pool[Any]:
    with _changing:
        pool = _tools.pop(key, None) or Pool(make, MOST)
        _tools[key] = pool  # the last one used comes last
        while len(_tools) > KEPT:
            del _tools[next(iter(_tools))]
        return pool
