"""Work in turn, and a queue that has an end."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING

import pytest

from mien.server.problems import Problem
from mien.server.turns import Turns

if TYPE_CHECKING:
    from conftest import Served


def test_what_would_wait_too_long_is_turned_away_at_once() -> None:
    async def main() -> None:
        turns, go = Turns("test", 1, 1), threading.Event()
        first = asyncio.create_task(turns.run(go.wait))
        second = asyncio.create_task(turns.run(lambda: "second"))
        await asyncio.sleep(0)
        with pytest.raises(Problem) as refused:
            await turns.run(lambda: "third")
        assert (refused.value.status, refused.value.headers) == (503, {"Retry-After": "1"})
        go.set()
        assert [await first, await second] == [True, "second"]
        await asyncio.sleep(0)
        assert turns.taken == 0
        turns.close()

    asyncio.run(main())


def test_many_pictures_at_once_find_room_where_nobody_else_is() -> None:
    async def main() -> None:
        turns = Turns("test", 1, 1)
        turns.require_room(50)
        assert len(await asyncio.gather(*[turns.take(lambda: 1) for _ in range(50)])) == 50
        turns.close()

    asyncio.run(main())


def test_whoever_goes_away_frees_no_thread_and_no_error_is_left_over() -> None:
    async def main() -> None:
        turns, go, begun = Turns("test", 1, 0), threading.Event(), threading.Event()

        def fail() -> None:
            begun.set()
            go.wait()
            raise ValueError("nobody hears this")

        gone = asyncio.create_task(turns.run(fail))
        await asyncio.to_thread(begun.wait)
        gone.cancel()
        with pytest.raises(asyncio.CancelledError):
            await gone
        with pytest.raises(Problem):
            await turns.run(lambda: None)
        go.set()
        while turns.taken:
            await asyncio.sleep(0.001)
        turns.close()

    asyncio.run(main())


def test_a_full_queue_answers_before_the_body_is_read(untaught: Served) -> None:
    untaught.house.looking.taken = 10_000
    answer = untaught.post("/v1/detect", content=untaught.photo("Ada"))
    untaught.house.looking.taken = 0
    assert answer.status_code == 503 and answer.headers["retry-after"] == "1"
    assert answer.json()["type"] == "urn:mien:problem:full" and answer.headers["connection"] == "close"
    assert b"mien_turned_away_total 1.0" in untaught.client.get("/metrics").content
