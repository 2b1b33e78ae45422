"""Work in turn: a bounded queue before worker threads, which turns away at once what would wait too long."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from mien.server.problems import later

Result = TypeVar("Result")


class Turns:
    """`workers` threads, before which `waiting` pieces of work may wait. It belongs to one event loop."""

    def __init__(self, name: str, workers: int, waiting: int) -> None:
        self._name, self.workers, self._most = name, workers, workers + waiting
        self._executor = ThreadPoolExecutor(workers, thread_name_prefix=f"mien-{name}")
        self.taken = 0
        """Pieces of work that are done now or wait."""

    def require_room(self, pieces: int = 1) -> None:
        """Raises Problem (503) where so many more pieces of work find no room, unless there is none taken."""
        if self.taken and self.taken + pieces > self._most:
            raise later("full", "The server has as much to do as it takes.", seconds=1)

    async def run(self, work: Callable[[], Result]) -> Result:
        """What `work` returns, from one of the threads. Raises Problem (503) at once where the queue is full."""
        self.require_room()
        return await self.take(work)

    def take(self, work: Callable[[], Result]) -> asyncio.Future[Result]:
        """The same without a look at the queue, for work whose room was required before: it has its place at once."""
        self.taken += 1
        done = asyncio.get_running_loop().run_in_executor(self._executor, work)
        done.add_done_callback(self._one_less)
        return asyncio.shield(done)  # a client that goes away frees no thread, and its work counts until it ends

    def _one_less(self, done: asyncio.Future[Result]) -> None:
        self.taken -= 1
        if not done.cancelled():
            done.exception()  # nobody may be left to hear of it

    def close(self) -> None:
        """Waits for what is being done."""
        self._executor.shutdown(wait=True, cancel_futures=True)
