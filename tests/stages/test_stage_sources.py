from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mien.records.ledger import FailedFetch, Fetch, Ledger, Outcome, SourceRun
from mien.settings import SourceSettings
from mien.stages.sources import sources

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = NOON.date()
CLUB = SourceSettings(kind="folder", basis="consent", licence="own work")


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite") as opened:
        yield opened


def ran(source: str, at: datetime, brought: int, error: str | None = None) -> SourceRun:
    return SourceRun(source, at, at + timedelta(minutes=1), brought, 0, 0, 0, 0, error)


def fetch(source: str, location: str, sha256: str, outcome: Outcome = "placed") -> Fetch:
    return Fetch(
        source,
        location,
        "Ada",
        sha256,
        "",
        1,
        "",
        "own work",
        "consent",
        "",
        NOON,
        NOON,
        outcome,
        location,
    )


def test_before_the_first_run_they_are_listed_as_they_are_configured() -> None:
    found = sources({"b": CLUB, "a": CLUB}, None, TODAY)
    assert [(one.name, one.last, one.photos, one.failing, one.problem) for one in found] == [
        ("b", None, 0, 0, ""),
        ("a", None, 0, 0, ""),
    ]
    assert sources({}, None, TODAY) == ()


def test_what_the_last_run_of_each_brought(ledger: Ledger) -> None:
    for run in (ran("a", NOON, 9), ran("a", NOON + timedelta(days=1), 2), ran("b", NOON, 1, "It is down.")):
        ledger.source_ran(run)
    ledger.record(
        [
            fetch("a", "1.jpg", "aa"),
            fetch("a", "copy of 1.jpg", "aa", "duplicate"),
            fetch("a", "2.jpg", "bb"),
            fetch("a", "page.jpg", "cc", "refused"),
            fetch("b", "1.jpg", "aa", "duplicate"),
        ],
        [FailedFetch("b", "2.jpg", "Ada", "gone", "2.jpg is gone.", NOON)],
    )
    first, second, third = sources({"a": CLUB, "b": CLUB, "new": CLUB}, ledger, TODAY)
    assert first.last is not None and first.last.brought == 2
    assert (first.photos, first.failing, first.problem) == (2, 0, ""), "photos, not files; what was refused is none"
    assert (second.photos, second.failing) == (1, 1)
    assert second.problem == "failed when it last ran: It is down."
    assert (third.last, third.photos) == (None, 0)
    told = json.loads(json.dumps([one.to_json() for one in (first, second, third)]))
    assert told[0]["last"]["started"] == "2026-11-25T12:00:00+00:00" and told[2]["last"] is None
    assert (told[0]["kind"], told[0]["basis"], told[0]["licence"], told[0]["until"]) == (
        "folder",
        "consent",
        "own work",
        None,
    )


@pytest.mark.parametrize(
    ("change", "problem"),
    [
        ({"basis": ""}, "is not collected: basis must be set in mien.toml"),
        ({"basis": "", "licence": ""}, "is not collected: basis and licence must be set in mien.toml"),
        ({"until": TODAY}, ""),
        ({"until": TODAY - timedelta(days=1)}, "is not collected any more: its photos might be used until 2026-11-23"),
    ],
)
def test_what_keeps_one_from_running(change: dict[str, str | date], problem: str) -> None:
    (found,) = sources({"a": CLUB.model_copy(update=change)}, None, TODAY)
    assert found.problem == problem
