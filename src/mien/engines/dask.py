"""Dask: blocks of items go to processes on any number of machines, or on this one, which is then theirs alone.

A block is worked on where its worker is, and comes back whole. Its size follows from what items cost: some seconds of
work, so that neither the messages nor a lost worker cost much. The items of a block whose worker is lost go again one
by one, those that are lost once more go again when nothing else is on its way, and one that is lost then, too, has
ended its workers itself, and is given up.

Without a scheduler's address, a scheduler and workers are started on 127.0.0.1, with keys (TLS) of their own, as Dask's
messages are pickles: whoever could connect could run anything. They end with this process, however it ends.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import CancelledError
from contextlib import ExitStack
from importlib import metadata
from itertools import chain, islice
from typing import TYPE_CHECKING, Any, TypeVar

from mien.engines.dask_worker import Done, Job, let_go, work
from mien.engines.threads import AHEAD, threads_for
from mien.errors import EngineError, MienError, MissingExtraError

if TYPE_CHECKING:
    from distributed import Client, Future

    from mien.protocols import Task

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")
Made = TypeVar("Made")

BLOCK_SECONDS = 2.0
"""Seconds of work in a block: some hundred times what its messages take, and what a lost worker costs at most."""
LARGEST_BLOCK = 64
"""Items of a block at most, however quick they are."""
REACH_SECONDS = 10
"""Seconds in which a scheduler has to answer."""
WORKERS_SECONDS = 60.0
"""Seconds that a scheduler is waited for that has no worker: one that was lost may come back."""
TICK = 2.0
"""Seconds after which it is looked at who is there."""

UNREACHABLE = OSError, ValueError, TypeError
"""What Dask raises where it cannot connect: TimeoutError is an OSError; the others are for addresses, and for TLS
without a certificate."""

_WAY_OUT = 'To look at photos here instead, set engine = "local", or give --engine local.'
_SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,
    "distributed.worker.memory.target": False,  # nothing of anybody's photos is written to a disk
    "distributed.worker.memory.spill": False,
    "distributed.admin.large-graph-warning-threshold": "1 GiB",  # photos that were given as bytes
    "distributed.diagnostics.nvml": False,
    "distributed.scheduler.http.routes": [],  # there is always an HTTP server, which has nothing to tell here
    "distributed.worker.http.routes": [],
}
"""Settings of Dask, nearly all for a scheduler of our own. The first has it tell at once when a worker is lost."""


class Dask:
    """The `Elsewhere` of Dask. `scheduler` is an address, "" for processes on this machine: as many as the setting
    `workers` says. `resources` ("GPU=1") are what a block takes of its worker. Nothing is started or connected before
    it is needed."""

    def __init__(self, scheduler: str, workers: int, resources: str) -> None:
        self._scheduler, self._workers, self._resources = scheduler, threads_for(workers), resources_in(resources)
        self._opening = threading.RLock()
        self._opened = ExitStack()
        self._client: Client | None = None
        self._jobs: dict[Task[Any, Any, Any], Job] = {}
        self._width, self._looked, self._there = 0, 0.0, 0.0

    def places(self) -> int:
        """See `Elsewhere`."""
        if not self._scheduler:
            return AHEAD * self._workers
        self._connected()
        return self._most()

    def run(
        self,
        task: Task[Tool, Item, Result],
        items: Iterable[Item],
        then: Callable[[Item, Result], Made],
        give_up: Callable[[Item], None],
    ) -> Generator[Sequence[tuple[Item, Made]]]:
        """See `Engine`."""
        source = iter(items)
        first = list(islice(source, 1))
        if not first:
            return
        source, job, size = chain(first, source), self._job(task), 1
        waiting: dict[Future[bytes], tuple[list[Item], int]] = {}
        once, twice = deque[Item](), deque[Item]()  # items whose worker was lost so often

        def following() -> tuple[list[Item], int]:
            if once:
                return [once.popleft()], 1
            if block := list(islice(source, size)):
                return block, 0
            return ([twice.popleft()], 2) if twice and not waiting else ([], 0)

        try:
            while True:
                while len(waiting) < self._most() and (coming := following())[0]:
                    waiting[self._sent(job, coming[0])] = coming
                if not waiting:
                    return
                for future in self._finished(waiting):
                    block, lost = waiting.pop(future)
                    done = self._came(future)
                    if done:
                        size = max(1, min(LARGEST_BLOCK, round(BLOCK_SECONDS / max(done.seconds, 1e-9))))
                        yield [(item, then(item, made)) for item, made in zip(block, done.results, strict=True)]
                    elif lost < 2:
                        (twice if lost else once).extend(block)
                    else:
                        give_up(block[0])
        finally:
            self._stop(waiting)

    def ask(self, task: Task[Tool, Item, Result], item: Item) -> Sequence[Result]:
        """See `Elsewhere`."""
        future = self._sent(self._job(task), [item])
        try:
            self._finished([future])
            done = self._came(future)
            return done.results if done else ()
        finally:
            self._stop([future])

    def close(self) -> None:
        """Ends the workers that were started here; those of a scheduler close the tools that were opened for it."""
        with self._opening:
            client, self._client = self._client, None
            if client and client.status == "running" and self._scheduler:
                for job in self._jobs.values():
                    with contextlib.suppress(Exception):  # whoever cannot be told any more keeps them for the next time
                        client.run(let_go, job.key, on_error="ignore")
            self._opened.close()
            self._jobs.clear()

    # The scheduler, and who works for it

    def _connected(self) -> Client:
        with self._opening:
            if self._client is None:
                try:
                    self._client = self._connect()
                    self._wait_for_workers()
                except BaseException:
                    self.close()
                    raise
            return self._client

    def _connect(self) -> Client:
        try:
            import dask
            from distributed import Client, LocalCluster, Security
            from distributed.utils import silence_logging_cmgr
        except ImportError as error:
            raise MissingExtraError(
                "Dask", "is not installed here", f"Install it: pip install 'mien[scale]'. {_WAY_OUT}"
            ) from error
        self._opened.enter_context(dask.config.set(_SETTINGS))
        self._opened.enter_context(silence_logging_cmgr(logging.CRITICAL))
        if self._scheduler:
            try:
                client = Client(self._scheduler, timeout=REACH_SECONDS, set_as_default=False, name="mien")
            except UNREACHABLE as error:
                raise unreachable(self._scheduler, error) from error
        else:
            cluster = LocalCluster(
                n_workers=self._workers,
                threads_per_worker=1,
                processes=True,
                host="127.0.0.1",
                dashboard_address=None,
                scheduler_kwargs={"dashboard_address": "127.0.0.1:0"},
                silence_logs=logging.CRITICAL,
                security=Security.temporary(),
                resources=self._resources,
            )
            self._opened.callback(cluster.close, timeout=REACH_SECONDS)
            client = Client(cluster, set_as_default=False, name="mien")
        self._opened.callback(client.close, timeout=REACH_SECONDS)
        return client

    def _wait_for_workers(self) -> None:
        self._there = time.monotonic()
        while not self._look():
            time.sleep(0.1)

    def _look(self) -> int:
        """How many blocks can be worked on at once now. Raises EngineError where the scheduler is gone, or has had no
        worker that would do for too long."""
        client = self._client
        try:
            workers = client.scheduler_info()["workers"] if client and client.status == "running" else None
        except (OSError, ValueError):
            workers = None
        if workers is None:
            raise self._lost()
        self._looked = now = time.monotonic()
        self._width = sum(
            min([one["nthreads"], *(int(one["resources"].get(name, 0) // of) for name, of in self._resources.items())])
            for one in workers.values()
        )
        if self._width:
            self._there = now
        elif now - self._there > WORKERS_SECONDS:
            needed = f" that offers {_told(self._resources)}" if self._resources else ""
            raise EngineError(
                f"The scheduler {self._scheduler}".rstrip(),
                f"has had no worker{needed} for {WORKERS_SECONDS:.0f} seconds",
                f"Start workers, and run the command again: what was done is kept. {_WAY_OUT}",
            )
        return self._width

    def _most(self) -> int:
        """How many blocks are on their way at once. Where no worker is there just now, some wait for the next."""
        return AHEAD * max(1, self._width)

    def _lost(self) -> EngineError:
        return EngineError(
            f"The scheduler {self._scheduler}".rstrip(),
            "was lost",
            f"Start it and its workers, and run the command again: what was done is kept. {_WAY_OUT}",
        )

    # Jobs, and whether workers can do them

    def _job(self, task: Task[Any, Any, Any]) -> Job:
        """The job of a task, once every worker that is there was asked whether it can do it. Raises EngineError."""
        with self._opening:
            if task not in self._jobs:
                from distributed.protocol.pickle import dumps

                client = self._connected()
                facts = dict(task.facts())
                key = hashlib.sha256(dumps((task.open, facts))).hexdigest()
                job = Job(task, facts, key)
                for worker, version in _asked(client, metadata.version, "mien"):
                    if version != (ours := _version()):
                        raise _differs(worker, ("mien", ours, version if isinstance(version, str) else ""))
                for worker, data in _asked(client, work, dumps((job, ()))):
                    _checked(data, worker)
                self._jobs[task] = job
            return self._jobs[task]

    # Blocks

    def _sent(self, job: Job, items: Sequence[Any]) -> Future[bytes]:
        from distributed.protocol.pickle import dumps

        return self._connected().submit(
            work, dumps((job, items)), key=f"mien-{uuid.uuid4().hex}", pure=False, resources=self._resources or None
        )

    def _finished(self, waiting: Iterable[Future[bytes]]) -> list[Future[bytes]]:
        """Those that are finished; waits until one is. Raises EngineError where nobody works any more."""
        from distributed import wait

        futures, client = list(waiting), self._connected()
        while True:
            if time.monotonic() - self._looked > TICK:
                self._look()
            try:
                with client.as_current():
                    finished = wait(futures, timeout=TICK, return_when="FIRST_COMPLETED").done
            except TimeoutError:
                continue
            except CancelledError as error:
                raise self._lost() from error
            return [future for future in futures if future in finished]

    def _came(self, future: Future[bytes]) -> Done | None:
        """What came of a block; None where its workers were lost. Raises what the task raised, and EngineError."""
        from distributed.scheduler import KilledWorker

        status = future.status
        if status in ("lost", "pending"):  # since it was finished, with the worker that had it
            return None
        if status == "finished":
            try:
                data = future.result()
            except KilledWorker:
                return None
            return _checked(data, "")
        if status != "error":
            raise self._lost()
        error = future.exception()
        if isinstance(error, KilledWorker):
            return None
        raise EngineError("A worker of Dask", f"failed: {_first_line(error)}", _WAY_OUT) from error

    def _stop(self, waiting: Iterable[Future[bytes]]) -> None:
        """Has what is still in flight be forgotten."""
        futures = [future for future in waiting if not future.done()]
        if futures and self._client and self._client.status == "running":
            with contextlib.suppress(Exception):  # whoever cannot be told any more is lost
                self._client.cancel(futures, force=True)


def unreachable(scheduler: str, error: Exception) -> EngineError:
    """What is told of a scheduler to which no connection could be made."""
    return EngineError(
        f"The scheduler {scheduler}",
        f"cannot be reached ({_first_line(error)})",
        f"Start it, or check the address and what lies between: docs/engines.md says how. {_WAY_OUT}",
    )


def _asked(client: Client, function: Callable[[Any], Any], about: object) -> Iterator[tuple[str, object]]:
    """What each worker says, or the error that it meets; nothing of one that is lost meanwhile."""
    for worker, said in client.run(function, about, on_error="return").items():
        if not isinstance(said, OSError):  # of the connection
            yield worker, said


def _version() -> str:
    return metadata.version("mien")


def resources_in(text: str) -> dict[str, float]:
    """The resources that a setting like "GPU=1, MEM=2" names, as `dask worker --resources` does."""
    pairs = (one.split("=") for one in text.replace(",", " ").split())
    return {name: float(of) for name, of in pairs}


def _told(resources: Mapping[str, float]) -> str:
    return ", ".join(f"{name}={of:g}" for name, of in resources.items())


def _checked(data: object, worker: str) -> Done:
    """What a worker sent back. Raises what the task raised, and EngineError where the worker is set up otherwise."""
    from distributed.protocol.pickle import loads

    about = f"The worker {worker}" if worker else "A worker"
    if not isinstance(data, bytes):
        raise EngineError(about, f"cannot do it: {_first_line(data)}", _REMEDIES[""])
    done = loads(data)
    assert isinstance(done, Done)
    if done.differs:
        raise _differs(worker, done.differs)
    if isinstance(done.error, MienError) and worker:
        raise EngineError(about, f"cannot do it: {done.error.message}", f"{done.error.remedy} {_WAY_OUT}")
    if done.error:
        raise done.error
    return done


_REMEDIES = {
    "mien": "Install the same version everywhere, and start the workers again.",
    "encoder": "Add the same encoder on each machine, from the same files: `mien encoders add`. Then start the workers "
    "again.",
    "decoders": "Install the same versions everywhere, and start the workers again.",
    "folder": "Mount the album's folder at the same path on each machine.",
    "": "Install the same everywhere, and start the workers again.",
}
"""What to do where a worker has another of these."""


def _differs(worker: str, differs: tuple[str, str, str]) -> EngineError:
    what, here, there = differs
    about = f"The worker {worker}" if worker else "A worker"
    return EngineError(
        about, f"has another {what}: {there or 'none'}, and here it is {here}", f"{_REMEDIES.get(what, '')} {_WAY_OUT}"
    )


def _first_line(error: object) -> str:
    said = str(error).strip().splitlines()
    return (said[0] if said else type(error).__name__).rstrip(".")
