"""Tools that many threads share by borrowing them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Tool = TypeVar("Tool")


class Pool(Generic[Tool]):
    """At most `most` tools, of which each is lent to one thread at a time.

    A tool is made when it is wanted and all others are lent, and then kept. The tool that came back last, and is warm,
    is lent first. Tools that are `made` already count as given back. While there are fewer than `few`, one is made
    rather than one lent of which `is_ready` says no.
    """

    def __init__(
        self,
        make: Callable[[], Tool],
        most: int,
        made: Iterable[Tool] = (),
        is_ready: Callable[[Tool], bool] = lambda tool: True,
        few: int = 0,
    ) -> None:
        self._make, self._is_ready, self._few = make, is_ready, few
        self._free = threading.Semaphore(most)
        self._idle = list(made)
        self._there = len(self._idle)
        self._lock = threading.Lock()

    @contextmanager
    def borrow(self) -> Iterator[Tool]:
        """A tool, for the block; waits while all are lent."""
        with self._free:
            tool = self._taken()
            try:
                yield tool
            finally:
                self._idle.append(tool)

    def _taken(self) -> Tool:
        with self._lock:
            for number in reversed(range(len(self._idle))):
                if self._is_ready(self._idle[number]):
                    return self._idle.pop(number)
            if self._idle and self._there >= self._few:
                return self._idle.pop()
            self._there += 1
        return self._make()

    def idle(self) -> Iterator[Tool]:
        """The tools that are lent to nobody, which are given away for good."""
        while True:
            with self._lock:
                if not self._idle:
                    return
                self._there -= 1
                tool = self._idle.pop()
            yield tool
