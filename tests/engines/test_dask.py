"""The engine Dask, on a scheduler and workers in processes of their own."""

from __future__ import annotations

import os
import signal
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from unittest.mock import Mock

import pytest

from mien.engines import dask
from mien.engines.dask import Dask, resources_in
from mien.engines.dask_worker import Job, work
from mien.errors import EngineError, MissingExtraError, PhotoError, UsageError
from mien.protocols import Elsewhere, Task
from mien.text.photos import PhotoFault

if TYPE_CHECKING:
    from conftest import Scheduler


def task(do: Callable[[Any, Any], Any], facts: Callable[[], dict[str, str]] = dict) -> Task[Any, Any, Any]:
    """A task of functions, made so that a worker need not have this file: its tool is the number of its process."""
    do_it, facts_of = do, facts

    @dataclass(frozen=True)
    class Made:
        def open(self) -> int:
            import os

            return os.getpid()

        def do(self, tool: Any, item: Any) -> Any:
            return do_it(tool, item)

        def facts(self) -> dict[str, str]:
            return facts_of()

    return Made()


@pytest.fixture
def engine(scheduler: Scheduler) -> Iterator[Dask]:
    engine = Dask(scheduler.address, 0, "")
    yield engine
    engine.close()


def results(engine: Dask, doing: Task[Any, Any, Any], items: Any) -> tuple[dict[Any, Any], list[Any]]:
    """What each item became, and the items that were given up."""
    given_up: list[Any] = []
    blocks = list(engine.run(doing, items, lambda item, made: made, given_up.append))
    found = [pair for block in blocks for pair in block]
    assert len(dict(found)) == len(found), "an item came twice"
    return dict(found), given_up


def test_every_item_is_worked_on_once_in_blocks_with_tools_that_stay(engine: Dask) -> None:
    assert isinstance(engine, Elsewhere)
    doing = task(lambda tool, item: (tool, item * item))
    blocks = list(engine.run(doing, iter(range(300)), lambda item, made: (item, made), [].append))
    found = [made for block in blocks for _, made in block]
    assert sorted((item, square) for item, (_, square) in found) == [(item, item * item) for item in range(300)]
    assert os.getpid() not in {process for _, (process, _) in found}
    assert 1 < len(blocks) < 60, "blocks grow with what is quick"
    assert engine.ask(doing, 7)[0][1] == 49


def test_nothing_is_started_for_no_items() -> None:
    nowhere = Dask("tcp://127.0.0.1:1", 0, "")
    assert list(nowhere.run(task(lambda tool, item: item), [], lambda item, made: made, [].append)) == []
    nowhere.close()


def test_what_is_in_flight_is_bounded_and_an_early_end_stops_it(engine: Dask) -> None:
    taken: list[int] = []

    def items() -> Iterator[int]:
        for item in range(10_000):
            taken.append(item)
            yield item

    def slow(tool: int, item: int) -> int:
        import time

        time.sleep(0.05)
        return item

    run = engine.run(task(slow), items(), lambda item, made: made, [].append)
    next(run)
    run.close()
    assert len(taken) <= engine.places() + 1


def test_an_error_of_a_task_is_raised_here(engine: Dask) -> None:
    def fail(tool: int, item: int) -> int:
        from mien.errors import UsageError

        raise UsageError("It", "is wrong", "Change it.") if item else ValueError("a mistake")

    with pytest.raises(UsageError, match="It is wrong"):
        list(engine.run(task(fail), [1], lambda item, made: made, [].append))
    with pytest.raises(RuntimeError, match="ValueError: a mistake"):
        list(engine.run(task(fail), [0], lambda item, made: made, [].append))
    with pytest.raises(UsageError):
        engine.ask(task(fail), 1)


def test_an_item_that_ends_its_workers_costs_itself_alone_and_a_late_worker_helps(
    engine: Dask, scheduler: Scheduler
) -> None:
    def deadly(tool: int, item: int) -> int:
        import os
        import signal

        if item == 13:
            os.kill(os.getpid(), signal.SIGKILL)
        return item

    scheduler.start_worker()  # which joins while the other is lost
    found, given_up = results(engine, task(deadly), range(40))
    assert sorted(found) == [item for item in range(40) if item != 13]
    assert given_up == [13]


@pytest.mark.skipif(sys.platform == "win32", reason="no such signal")
def test_a_worker_that_is_killed_by_somebody_costs_nothing(engine: Dask) -> None:
    killed: list[int] = []

    def then(item: int, process: int) -> int:
        if len(killed) < 1 and item > 3:
            killed.append(process)
            os.kill(process, signal.SIGKILL)
        return process

    def work(tool: int, item: int) -> int:
        import time

        time.sleep(0.02)
        return tool

    given_up: list[int] = []
    found = [pair for block in engine.run(task(work), range(60), then, given_up.append) for pair in block]
    assert sorted(item for item, _ in found) == list(range(60))
    assert killed and not given_up


class Ends(Dask):
    """An engine whose first blocks end as `ends` says, and the others well; no worker is there when they do."""

    def __init__(self, *ends: str) -> None:
        super().__init__("tcp://127.0.0.1:1", 0, "")
        self._width, self.ends = 1, list(ends)

    def _job(self, task: Task[Any, Any, Any]) -> Job:
        return Job(task, {}, "ends")

    def _sent(self, job: Job, items: Any) -> Any:
        from distributed.protocol.pickle import dumps
        from distributed.scheduler import KilledWorker

        end = self.ends.pop(0) if self.ends else "finished"
        killed = KilledWorker("block", Mock(address="tcp://127.0.0.1:2"), 0)

        def result() -> bytes:
            if end == "killed while it is fetched":
                raise killed
            return work(dumps((job, items)))

        status = {"killed": "error", "killed while it is fetched": "finished"}.get(end, end)
        future = Mock(status=status, result=result)
        future.exception.return_value = killed
        return future

    def _finished(self, waiting: Any) -> Any:
        self._width = 0
        return list(waiting)


@pytest.mark.parametrize("end", ["killed", "lost", "pending", "killed while it is fetched"])
def test_a_block_whose_worker_is_lost_goes_again_also_when_no_other_worker_is_there(end: str) -> None:
    engine = Ends(end)
    assert results(engine, task(lambda tool, item: -item), range(5)) == ({item: -item for item in range(5)}, [])
    assert Ends(end).ask(task(lambda tool, item: item), 1) == ()


def test_where_the_scheduler_is_lost_nothing_goes_again() -> None:
    with pytest.raises(EngineError, match=r"The scheduler tcp://127.0.0.1:1 was lost"):
        results(Ends("cancelled"), task(lambda tool, item: item), range(5))


def test_a_worker_that_is_set_up_otherwise_is_refused(engine: Dask, monkeypatch: pytest.MonkeyPatch) -> None:
    def pid() -> dict[str, str]:
        import os

        return {"encoder": f"of {os.getpid()}"}

    with pytest.raises(
        EngineError, match=r"The worker tcp://\S+ has another encoder: of \d+, and here it is of"
    ) as error:
        results(engine, task(lambda tool, item: item, pid), [1])
    assert "mien encoders add" in error.value.remedy

    def fails() -> dict[str, str]:
        import multiprocessing

        from mien.errors import EncoderError

        if multiprocessing.parent_process():
            raise EncoderError("The encoder x", "is not on this machine", "Add it.")
        return {}

    with pytest.raises(EngineError, match="cannot do it: The encoder x is not on this machine"):
        results(engine, task(lambda tool, item: item, fails), [1])
    monkeypatch.setattr(dask, "_version", lambda: "9.9")
    with pytest.raises(EngineError, match=r"has another mien: \S+, and here it is 9.9"):
        results(engine, task(lambda tool, item: -item), [1])


def test_resources_are_asked_for(scheduler: Scheduler, monkeypatch: pytest.MonkeyPatch) -> None:
    with_lamp = Dask(scheduler.address, 0, "LAMP=1")
    assert results(with_lamp, task(lambda tool, item: item), range(3)) == ({0: 0, 1: 1, 2: 2}, [])
    with_lamp.close()
    monkeypatch.setattr(dask, "WORKERS_SECONDS", 0.2)
    without = Dask(scheduler.address, 0, "GPU=1")
    with pytest.raises(EngineError, match=r"has had no worker that offers GPU=1 for"):
        results(without, task(lambda tool, item: item), range(3))
    assert resources_in("GPU=1, MEM=2.5") == {"GPU": 1.0, "MEM": 2.5}


def test_a_scheduler_that_is_not_there_is_told_with_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dask, "REACH_SECONDS", 0.3)
    nowhere = Dask("tcp://127.0.0.1:1", 0, "")
    with pytest.raises(EngineError, match=r"The scheduler tcp://127.0.0.1:1 cannot be reached") as error:
        nowhere.places()
    assert "--engine local" in error.value.remedy
    nowhere.close()


def test_without_dask_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "distributed", None)
    with pytest.raises(MissingExtraError, match=r"pip install 'mien\[scale\]'"):
        Dask("tcp://127.0.0.1:1", 0, "").places()


def test_errors_survive_the_way_back() -> None:
    from distributed.protocol.pickle import dumps, loads

    error = PhotoError("a.jpg", PhotoFault.DISK, {"said": "it is broken"}, "ab")
    for one in (error, EngineError("a", "b", "c"), UsageError("a", "b", "c")):
        again = loads(dumps(one))
        assert (type(again), str(again)) == (type(one), str(one))
    assert (loads(dumps(error)).fault, loads(dumps(error)).sha256) == (PhotoFault.DISK, "ab")
