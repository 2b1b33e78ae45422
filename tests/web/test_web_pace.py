from __future__ import annotations

import threading
from concurrent.futures import ThreadPoolExecutor
from itertools import pairwise

import pytest

from mien.errors import FetchError
from mien.text.fetching import FetchFault
from mien.web.pace import LONGEST_HOLD, MOST_HOLDS, MOST_MISSED, Pace


class Clock:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.now = 1000.1
        self.naps: list[float] = []

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.naps.append(seconds)
        self.now += seconds


def pace(clock: Clock, per_host: int = 4, delay: float = 0.0) -> Pace:
    return Pace(per_host, delay, clock, clock.sleep)


def test_turns_of_a_host_start_so_far_apart() -> None:
    clock = Clock()
    turns = pace(clock, delay=0.7)
    starts = []
    for _ in range(4):
        with turns.turn("a"):
            starts.append(clock.now)
    assert [later - at for at, later in pairwise(starts)] == pytest.approx([0.7] * 3)
    with turns.turn("b"):
        assert clock.now == starts[-1]  # another host


def test_nobody_waits_without_a_delay() -> None:
    clock = Clock()
    turns = pace(clock)
    for _ in range(3):
        with turns.turn("a"):
            pass
    assert clock.naps == []


def test_a_delay_learned_late_holds_from_the_last_start() -> None:
    clock = Clock()
    turns = pace(clock)
    with turns.turn("a"):
        turns.slow("a", 5.0)
        turns.slow("a", 2.0)  # the longest holds
    clock.now += 1.0
    with turns.turn("a"):
        assert clock.naps == pytest.approx([4.0])


def test_a_host_gets_so_many_turns_at_once() -> None:
    turns = Pace(3, 0.0, lambda: 0.0, lambda seconds: None)
    lock, full = threading.Lock(), threading.Barrier(3)
    now, most = 0, 0

    def work(number: int) -> None:
        nonlocal now, most
        with turns.turn("a"):
            with lock:
                now += 1
                most = max(most, now)
            if number < 3:
                full.wait(10)  # three do get in together
            with lock:
                now -= 1

    with ThreadPoolExecutor(12) as pool:
        list(pool.map(work, range(3)))
        list(pool.map(work, range(3, 60)))
    assert most == 3


def test_a_turn_ends_where_its_work_fails() -> None:
    turns = Pace(1, 0.0, lambda: 0.0, lambda seconds: None)
    for _ in range(3):
        with pytest.raises(KeyError), turns.turn("a"):
            raise KeyError


def test_a_host_that_asks_for_a_pause_gets_it() -> None:
    clock = Clock()
    turns = pace(clock)
    turns.hold("a", 30.0)
    turns.hold("a", 10.0)
    with turns.turn("b"):
        assert clock.naps == []
    with turns.turn("a"):
        assert clock.naps == pytest.approx([30.0])


def test_a_pause_asked_for_meanwhile_is_kept_too() -> None:
    clock = Clock()

    def sleep(seconds: float) -> None:
        if not clock.naps:
            turns.hold("a", 8.0)
        clock.sleep(seconds)

    turns = Pace(1, 1.0, clock, sleep)
    for _ in range(2):
        with turns.turn("a"):
            pass
    assert clock.now == pytest.approx(1000.1 + 8.0)


def test_a_host_that_asks_for_too_long_a_pause_is_left_alone() -> None:
    clock = Clock()
    turns = pace(clock)
    turns.hold("a", LONGEST_HOLD + 1)
    with pytest.raises(FetchError) as caught, turns.turn("a"):
        pass
    assert caught.value.kind == "refused"
    assert clock.naps == []
    clock.now += 2
    with turns.turn("a"):
        assert clock.naps == pytest.approx([LONGEST_HOLD - 1])


def test_a_host_that_asks_for_one_pause_after_the_other_is_left_alone() -> None:
    clock = Clock()
    turns = pace(clock)
    for _ in range(MOST_HOLDS - 1):
        with turns.turn("a"):
            turns.hold("a", 59)
            turns.hold("a", 58)  # another that was under way
    with turns.turn("a"):
        turns.answered("a")  # it counts anew
    for _ in range(MOST_HOLDS):
        with turns.turn("a"):
            turns.hold("a", 59)
    with pytest.raises(FetchError, match="4 pauses one after the other") as caught, turns.turn("a"):
        pass
    assert caught.value.kind is FetchFault.REFUSED
    with turns.turn("b"):
        pass


def test_a_host_that_never_answers_is_left_alone() -> None:
    turns = pace(Clock())
    for _ in range(MOST_MISSED):
        with turns.turn("a"):
            turns.missed("a", FetchFault.TIMEOUT)
    with pytest.raises(FetchError, match="12 times in a row") as caught, turns.turn("a"):
        pass
    assert caught.value.kind is FetchFault.TIMEOUT


def test_no_turn_begins_after_the_end_or_is_waited_for() -> None:
    clock = Clock()
    turns = Pace(1, 60.0, clock, clock.sleep, ends=clock.now + 100)
    for _ in range(2):
        with turns.turn("a"):
            pass
    with pytest.raises(FetchError) as caught, turns.turn("a"):
        pass
    assert caught.value.kind is FetchFault.LATER and clock.naps == pytest.approx([60.0])
