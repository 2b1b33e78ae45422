"""How many requests a host gets at once, and how far apart they start, over all threads of one client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mien.errors import FetchError
from mien.text.fetching import FetchFault

LONGEST_HOLD = 60.0
"""Seconds that mien waits when a host asks for a pause; a host that asks for more is left alone for this run."""


class _Lane:
    """The turns of one host. The thread that holds `starting` is the next to start; the others queue behind it."""

    def __init__(self, per_host: int, delay: float) -> None:
        self.places = threading.Semaphore(per_host)
        self.starting = threading.Lock()
        self.delay = delay
        self.last_start = float("-inf")
        self.held_until = float("-inf")


class Pace:
    """At most `per_host` turns of a host at once, their starts at least `delay` seconds apart."""

    def __init__(self, per_host: int, delay: float, clock: Callable[[], float], sleep: Callable[[float], None]) -> None:
        self._per_host = per_host
        self._delay = delay
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Waits for a turn, which lasts as long as this is open. Raises FetchError (REFUSED) if the host has asked for
        a pause longer than LONGEST_HOLD."""
        lane = self._lane(host)
        with lane.places:
            with lane.starting:
                while (wait := max(lane.last_start + lane.delay, lane.held_until) - self._clock()) > 0:
                    if lane.held_until - self._clock() > LONGEST_HOLD:
                        raise FetchError(
                            host,
                            f"asks for a pause of {lane.held_until - self._clock():.0f} seconds",
                            "Collect again later, with a longer delay for this source.",
                            FetchFault.REFUSED,
                        )
                    self._sleep(wait)
                lane.last_start = self._clock()
            yield

    def slow(self, host: str, delay: float) -> None:
        """From now on the starts of `host` are at least `delay` seconds apart, the last one's included."""
        lane = self._lane(host)
        with self._lock:
            lane.delay = max(lane.delay, delay)

    def hold(self, host: str, seconds: float) -> None:
        """No turn of `host` starts for so many seconds."""
        lane = self._lane(host)
        with self._lock:
            lane.held_until = max(lane.held_until, self._clock() + seconds)

    def _lane(self, host: str) -> _Lane:
        with self._lock:
            return self._lanes.setdefault(host, _Lane(self._per_host, self._delay))
