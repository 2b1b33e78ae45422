"""Tools that many threads share by borrowing them."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from typing import Generic, TypeVar

Tool = TypeVar("Tool")


class Pool(Generic[Tool]):
    """At most `most` tools, of which each is lent to one thread at a time.

    A tool is made when it is wanted and all others are lent, and then kept. The tool that came back last, and is warm,
    is lent first. Tools that are `made` already count as given back.
    """

    def __init__(self, make: Callable[[], Tool], most: int, made: Iterable[Tool] = ()) -> None:
        self._make = make
        self._free = threading.Semaphore(most)
        self._idle = deque(made)

    @contextmanager
    def borrow(self) -> Iterator[Tool]:
        """A tool, for the block; waits while all are lent."""
        with self._free:
            try:
                tool = self._idle.pop()
            except IndexError:
                tool = self._make()
            try:
                yield tool
            finally:
                self._idle.append(tool)

    def idle(self) -> Iterator[Tool]:
        """The tools that are lent to nobody, which are given away for good."""
        while self._idle:
            yield self._idle.pop()
