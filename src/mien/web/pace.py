"""How many requests a host gets at once, and how far apart they start, over all threads of one client."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from mien.errors import FetchError
from mien.text.fetching import FetchFault

LONGEST_HOLD = 60.0
"""Seconds that mien waits when a host asks for a pause; a host that asks for more is left alone for this run."""
MOST_HOLDS = 4
"""Pauses for which a host may ask one after the other, without an answer between them, before it is left alone."""
MOST_MISSED = 12
"""Requests in a row that a host may leave without an answer before it is left alone: with four at once and the longest
wait for each (`deadline.TOTAL`), a quarter of an hour."""


class _Lane:
    """The turns of one host. The thread that holds `starting` is the next to start; the others queue behind it."""

    def __init__(self, per_host: int, delay: float) -> None:
        self.places = threading.Semaphore(per_host)
        self.starting = threading.Lock()
        self.delay = delay
        self.last_start = float("-inf")
        self.held_until = float("-inf")
        self.holds = 0
        self.missed: list[FetchFault] = []

    def left_alone(self) -> tuple[str, FetchFault] | None:
        """Why nothing more is asked of the host in this run."""
        if self.holds >= MOST_HOLDS:
            return f"has asked for {self.holds} pauses one after the other, and is left alone", FetchFault.REFUSED
        if len(self.missed) >= MOST_MISSED:
            return f"has not answered {len(self.missed)} times in a row, and is left alone", self.missed[-1]
        return None


class Pace:
    """At most `per_host` turns of a host at once, their starts at least `delay` seconds apart, and none from the time
    `ends` of the clock on."""

    def __init__(
        self,
        per_host: int,
        delay: float,
        clock: Callable[[], float],
        sleep: Callable[[float], None],
        ends: float = float("inf"),
    ) -> None:
        self._ends = ends
        self._per_host = per_host
        self._delay = delay
        self._clock = clock
        self._sleep = sleep
        self._lock = threading.Lock()
        self._lanes: dict[str, _Lane] = {}

    @contextmanager
    def turn(self, host: str) -> Iterator[None]:
        """Waits for a turn, which lasts as long as this is open. Raises FetchError: LATER if it would come after the
        end, REFUSED if the host has asked for a pause longer than LONGEST_HOLD or for too many, and what it was last
        where the host does not answer."""
        lane = self._lane(host)
        with lane.places:
            with lane.starting:
                while True:
                    if alone := lane.left_alone():
                        raise FetchError(host, alone[0], "Collect again later.", alone[1])
                    wait = max(lane.last_start + lane.delay, lane.held_until) - self._clock()
                    if self._clock() + max(wait, 0.0) >= self._ends:
                        raise FetchError(host, FetchFault.LATER.words, FetchFault.LATER.remedy, FetchFault.LATER)
                    if wait <= 0:
                        break
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
            lane.holds += self._clock() >= lane.held_until  # those that were under way together ask for one
            lane.held_until = max(lane.held_until, self._clock() + seconds)

    def answered(self, host: str) -> None:
        """A request of `host` had its answer."""
        lane = self._lane(host)
        with self._lock:
            lane.holds, lane.missed = 0, []

    def missed(self, host: str, fault: FetchFault) -> None:
        """A request of `host` had no answer, for this reason."""
        lane = self._lane(host)
        with self._lock:
            lane.missed.append(fault)

    def _lane(self, host: str) -> _Lane:
        with self._lock:
            return self._lanes.setdefault(host, _Lane(self._per_host, self._delay))
