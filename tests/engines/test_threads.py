from __future__ import annotations

import threading
from collections.abc import Iterator

import cv2
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.engines import threads


@given(st.lists(st.integers(), max_size=60), st.integers(1, 5), st.booleans())
@settings(max_examples=40, deadline=None)
def test_every_item_is_worked_once(items: list[int], count: int, in_order: bool) -> None:
    found = list(threads.run(items, lambda: 10, lambda tool, item: tool * item, count, in_order))
    assert sorted(found) == sorted((item, 10 * item) for item in items)
    if in_order:
        assert [item for item, _ in found] == items


@pytest.mark.parametrize("ahead", [threads.AHEAD, 7])
def test_no_more_items_are_held_than_the_queue_allows(ahead: int) -> None:
    taken = given_back = most = 0

    def items() -> Iterator[int]:
        nonlocal taken, most
        for item in range(200):
            taken += 1
            most = max(most, taken - given_back)
            yield item

    for _ in threads.run(items(), lambda: None, lambda _, item: item, workers=3, in_order=True, ahead=ahead):
        given_back += 1
    assert taken == 200
    assert most <= 3 * ahead + 1


def test_the_others_go_on_while_a_slow_one_is_waited_for() -> None:
    others = threading.Semaphore(0)

    def work(tool: None, item: int) -> int:
        if item:
            others.release()
        else:
            for _ in range(2 * 6 - 1):
                assert others.acquire(timeout=30), "fewer were worked on meanwhile than may be held"
        return item

    assert len(list(threads.run(range(50), lambda: None, work, workers=2, in_order=True, ahead=6))) == 50


def test_each_thread_makes_its_tool_once() -> None:
    made: list[int] = []
    barrier = threading.Barrier(2)

    def make() -> int:
        made.append(threading.get_ident())
        return len(made)

    def work(tool: int, item: int) -> int:
        if item < 2:
            barrier.wait(timeout=30)  # both threads are at work, so both have made theirs
        return tool

    list(threads.run(range(20), make, work, workers=2))
    assert len(made) == len(set(made)) == 2


def test_an_error_is_raised_to_the_caller() -> None:
    def work(_: None, item: int) -> int:
        if item == 5:
            raise ValueError("five")
        return item

    with pytest.raises(ValueError, match="five"):
        list(threads.run(range(10), lambda: None, work, workers=2))


def test_there_is_at_least_one_core() -> None:
    assert threads.usable_cores() >= 1


def test_opencv_gets_its_threads_back_when_the_last_of_several_runs_is_over() -> None:
    before = cv2.getNumThreads()
    cv2.setNumThreads(3)
    try:
        first, second = (threads.run(range(9), lambda: None, lambda _, item: item, workers=1) for _ in range(2))
        next(first)
        next(second)
        assert cv2.getNumThreads() == 1
        list(first)
        assert cv2.getNumThreads() == 1, "the second is still at work"
        list(second)
        assert cv2.getNumThreads() == 3
    finally:
        cv2.setNumThreads(before)


def test_an_early_tool_is_made_at_once_in_another_thread_and_handed_out_once() -> None:
    makers: list[int] = []
    made = threading.Event()

    def make_tool() -> int:
        makers.append(threading.get_ident())
        made.set()
        return len(makers)

    make = threads.early(make_tool)
    assert made.wait(10)
    assert [make(), make(), make()] == [1, 2, 3]
    assert makers[0] != threading.get_ident() == makers[1] == makers[2]


def test_what_goes_wrong_in_making_it_is_raised_where_it_is_wanted() -> None:
    def make_tool() -> int:
        raise ValueError("no tool")

    make = threads.early(make_tool)
    with pytest.raises(ValueError, match="no tool"):
        make()
