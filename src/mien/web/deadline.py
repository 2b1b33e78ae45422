"""An end to every exchange. The timeouts of a network library start anew with each byte that comes, so that a server
that sends a byte every 29 seconds could hold a thread for months."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

TOTAL = 300.0
"""Seconds for one request with its answer."""


class OutOfTime(Exception):  # noqa: N818 - never seen outside this room
    """The deadline has passed."""


class Deadline(threading.local):
    """The deadline of the exchange in the calling thread. httpcore reads and writes in the thread that asks, so each
    thread finds its own deadline here, whichever pooled connection it got."""

    def __init__(self, clock: Callable[[], float], ends: float = float("inf")) -> None:
        self._clock = clock
        self._last = ends
        self._end: float | None = None

    @contextmanager
    def within(self, seconds: float) -> Iterator[None]:
        """Sets the deadline so many seconds from now, for as long as this is open; never after the time `ends`."""
        self._end = min(self._clock() + seconds, self._last)
        try:
            yield
        finally:
            self._end = None

    def capped(self, timeout: float | None) -> float | None:
        """`timeout`, or the seconds to the deadline if these are fewer. Raises OutOfTime after the deadline."""
        if self._end is None:
            return timeout
        left = self._end - self._clock()
        if left <= 0:
            raise OutOfTime
        return left if timeout is None else min(timeout, left)
