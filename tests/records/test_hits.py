"""Requests of a key, counted once for all servers: as the library `limits` counts them in its own memory."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
import sqlalchemy as sa
from limits import RateLimitItemPerMinute
from limits.storage import MemoryStorage
from limits.strategies import SlidingWindowCounterRateLimiter

from mien.records.access import Access
from mien.records.schema import hits
from mien.server.counted import CountedByAll
from mien.storage.layout import Place


@pytest.fixture
def accesses(place_of: Callable[[str], Place]) -> Iterator[tuple[Access, Access]]:
    """The same database, open at two servers."""
    with Access.for_writing(place_of("access")) as one, Access.for_writing(place_of("access")) as other:
        yield one, other


def test_two_servers_let_in_what_one_would(accesses: tuple[Access, Access], monkeypatch: pytest.MonkeyPatch) -> None:
    at = 29_000_000 * 60.0
    monkeypatch.setattr(time, "time", lambda: at)
    limit, chance = RateLimitItemPerMinute(5), random.Random(1)
    both = [SlidingWindowCounterRateLimiter(CountedByAll(access.hits)) for access in accesses]
    alone = SlidingWindowCounterRateLimiter(MemoryStorage())
    for step in range(200):
        at += chance.uniform(0, 6) if step % 20 else 70  # and never where rounding decides
        who, server = chance.choice(("desk", "gate")), chance.choice(both)
        assert server.test(limit, who) == alone.test(limit, who)
        assert server.get_window_stats(limit, who) == pytest.approx(alone.get_window_stats(limit, who))
        assert server.hit(limit, who) == alone.hit(limit, who), (step, at)


def test_a_file_from_before_there_were_several_servers_opens(tmp_path: Path) -> None:
    file, now = tmp_path / "access.sqlite", datetime(2026, 11, 26, tzinfo=UTC)
    with Access.for_writing(file) as access:
        job = access.jobs.ask("align", "desk", now)
    with closing(sqlite3.connect(file)) as plain:
        plain.executescript("DELETE FROM jobs; DROP TABLE hits; ALTER TABLE jobs DROP COLUMN progress")
        plain.execute("PRAGMA user_version = 1")
    with Access.for_writing(file) as access:
        assert access.jobs.job(job.id) is None and access.hits.take("desk", 1000, 1.0, 5)
        job = access.jobs.ask("align", "desk", now)
        assert access.jobs.start_next(now)
        access.jobs.tell(job.id, {"done": 1})
        told = access.jobs.job(job.id)
        assert told and told.progress == {"done": 1}


def test_nothing_is_kept_of_what_was_counted_long_ago(accesses: tuple[Access, Access]) -> None:
    one, other = accesses
    for minute in (1000, 1001, 1005):
        for key in ("desk", "gate"):
            assert one.hits.take(key, minute, 1.0, 5) and other.hits.take(key, minute, 1.0, 5)
    with one._database.transaction() as connection:
        found = connection.execute(sa.select(hits.c.key, hits.c.minute, hits.c.requests)).all()
    assert sorted(found) == [("desk", 1005, 2), ("gate", 1005, 2)]
    assert one.hits.counted("desk", 1006) == (2, 0) and one.hits.counted("desk", 1007) == (0, 0)
