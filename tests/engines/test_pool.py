from __future__ import annotations

import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from mien.engines.pool import Pool


def test_a_tool_is_lent_to_one_thread_at_a_time_and_no_more_are_made_than_may_be() -> None:
    made: list[object] = []
    lent: Counter[int] = Counter()
    most, guard = 0, threading.Lock()

    def make() -> object:
        made.append(object())
        return made[-1]

    pool = Pool(make, 3)

    def work(_: int) -> None:
        nonlocal most
        with pool.borrow() as tool:
            with guard:
                lent[id(tool)] += 1
                assert lent[id(tool)] == 1
                most = max(most, lent.total())
            with guard:
                lent[id(tool)] -= 1

    with ThreadPoolExecutor(16) as executor:
        list(executor.map(work, range(500)))
    assert 1 <= len(made) <= 3 and most <= 3


def test_whoever_finds_all_lent_waits() -> None:
    pool, came = Pool(object, 1), threading.Event()

    def borrow() -> None:
        with pool.borrow():
            came.set()

    with pool.borrow():
        other = threading.Thread(target=borrow)
        other.start()
        assert not came.wait(0.05)
    assert came.wait(30)
    other.join()


def test_the_tool_that_came_back_last_is_lent_first_and_those_made_before_count() -> None:
    pool = Pool(lambda: "new", 3, ["made"])
    with pool.borrow() as first, pool.borrow() as second:
        assert (first, second) == ("made", "new")
    with pool.borrow() as again:
        assert again == "made", "it came back after the other"


def test_an_error_gives_the_tool_back_and_one_in_making_it_keeps_no_place() -> None:
    tools = iter(["one"])
    pool = Pool(lambda: next(tools), 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="in the block"), pool.borrow() as tool:
            assert tool == "one"
            raise ValueError("in the block")

    def make() -> str:
        raise ValueError("no tool")

    broken = Pool(make, 1)
    for _ in range(2):
        with pytest.raises(ValueError, match="no tool"), broken.borrow():
            pass


def test_one_that_is_not_ready_is_lent_where_there_are_enough() -> None:
    busy: set[object] = set()
    pool = Pool(object, 9, is_ready=lambda tool: tool not in busy, few=2)
    with pool.borrow() as first:
        busy.add(first)
    with pool.borrow() as second:
        assert second is not first
    with pool.borrow() as third:
        assert third is second
        busy.add(second)
    with pool.borrow() as fourth:
        assert fourth in (first, second)
    busy.clear()
    assert list(pool.idle())
    with pool.borrow() as fifth:
        assert fifth not in (first, second)
