"""A storage of the library `limits`: what is counted in the album's own database, which all its servers share."""

from __future__ import annotations

import time
from typing import Final

from limits.storage import Storage
from limits.storage.base import SlidingWindowCounterSupport

from mien.errors import MienError
from mien.records.hits import Hits

MINUTE: Final = 60
_ALONE: Final = "sliding windows of a minute alone are counted here"


class CountedByAll(Storage, SlidingWindowCounterSupport):
    """Counts for sliding windows of a minute, and for nothing else that the library knows. By the clock of each
    server: those that are seconds apart let in as many more."""

    STORAGE_SCHEME = None

    def __init__(self, hits: Hits) -> None:
        super().__init__()
        self._hits = hits

    @property
    def base_exceptions(self) -> type[Exception]:
        return MienError

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        minute, into = divmod(time.time(), MINUTE)
        return self._hits.take(key, int(minute), 1 - into / MINUTE, limit)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        minute, into = divmod(time.time(), MINUTE)
        before, now = self._hits.counted(key, int(minute))
        return before, (MINUTE - into if before else 0.0), now, 2 * MINUTE - into

    def check(self) -> bool:
        return True

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        raise NotImplementedError(_ALONE)

    def get(self, key: str) -> int:
        raise NotImplementedError(_ALONE)

    def get_expiry(self, key: str) -> float:
        raise NotImplementedError(_ALONE)

    def reset(self) -> int | None:
        raise NotImplementedError(_ALONE)

    def clear(self, key: str) -> None:
        raise NotImplementedError(_ALONE)

    def clear_sliding_window(self, key: str, expiry: int) -> None:
        raise NotImplementedError(_ALONE)
