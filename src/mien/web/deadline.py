"""An end to every exchange. The timeouts of a network library start anew with each byte that comes, so that a server
that sends one every 29 seconds could hold a thread for months."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class OutOfTime(Exception):  # noqa: N818 - never seen outside this room
    """The deadline has passed."""


class Deadline(threading.local):
    """The deadline of what the calling thread does. httpcore reads and writes in the thread that asks, so each thread
    finds its own here, whichever pooled connection it got."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._end: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """While this is open, `capped` knows of an end so many seconds from now."""
        self._end = self._clock() + seconds
        try:
            yield
        finally:
            self._end = None

    def capped(self, timeout: float | None) -> float | None:
        """`timeout`, or what is left if that is less. Raises OutOfTime where nothing is."""
        if self._end is None:
            return timeout
        left = self._end - self._clock()
        if left <= 0:
            raise OutOfTime
        return left if timeout is None else min(timeout, left)
