from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

from mien import Album, wiring
from mien.open_album import OpenAlbum, for_reading, for_writing, read_settings
from mien.protocols import Silent
from mien.records.history import FailedFetch, Fetch, Outcome, SourceRun
from mien.settings import SourceSettings
from mien.stages.sources import SourceStatus, sources
from mien.text.fetching import FetchFault, SourceFault
from mien.types import Finding

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = NOON.date()
CLUB = SourceSettings(kind="folder", basis="consent", licence="own work")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return Album.create(tmp_path / "album").folder


def listed(folder: Path, configured: dict[str, SourceSettings]) -> tuple[SourceStatus, ...]:
    """The sources of an album in whose mien.toml these are configured."""
    layout, settings = read_settings(folder, {})
    chosen = settings.model_copy(update={"sources": configured})
    with for_reading(layout, chosen, wiring.tools, lambda: NOON, Silent()) as album:
        return sources(album)


def remember(folder: Path, write: Callable[[OpenAlbum], None]) -> None:
    layout, settings = read_settings(folder, {})
    with for_writing(layout, settings, wiring.tools, "collect", lambda: NOON, Silent()) as album:
        write(album)


def ran(source: str, at: datetime, brought: int, fault: SourceFault | None = None) -> SourceRun:
    return SourceRun(source, at, at + timedelta(minutes=1), brought, 0, 0, 0, 0, fault)


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


def test_before_the_first_run_they_are_listed_as_they_are_configured(folder: Path) -> None:
    found = listed(folder, {"b": CLUB, "a": CLUB})
    assert [(one.name, one.last, one.photos, one.failing, one.problem) for one in found] == [
        ("b", None, 0, 0, None),
        ("a", None, 0, 0, None),
    ]
    assert listed(folder, {}) == ()


def test_what_the_last_run_of_each_brought(folder: Path) -> None:
    def write(album: OpenAlbum) -> None:
        history = album.ledger.history
        for run in (
            ran("a", NOON, 9),
            ran("a", NOON + timedelta(days=1), 2),
            ran("b", NOON, 1, SourceFault.UNLISTED),
        ):
            history.source_ran(run)
        album.ledger.people.enter(["Ada"], "consent", NOON)
        history.record(
            [
                fetch("a", "1.jpg", "aa"),
                fetch("a", "copy of 1.jpg", "aa", "duplicate"),
                fetch("a", "2.jpg", "bb"),
                fetch("a", "page.jpg", "cc", "refused"),
                fetch("b", "1.jpg", "aa", "duplicate"),
            ],
            [FailedFetch("b", "2.jpg", "Ada", FetchFault.GONE, NOON)],
        )

    remember(folder, write)
    first, second, third = listed(folder, {"a": CLUB, "b": CLUB, "new": CLUB})
    assert first.last is not None and first.last.brought == 2
    assert (first.photos, first.failing, first.problem) == (2, 0, None), "photos, not files; what was refused is none"
    assert (second.photos, second.failing) == (1, 1)
    assert second.problem == Finding(SourceFault.UNLISTED)
    assert (third.last, third.photos) == (None, 0)
    told = json.loads(json.dumps([one.to_json() for one in (first, second, third)]))
    assert told[0]["last"]["started"] == "2026-11-25T12:00:00+00:00" and told[2]["last"] is None
    assert (told[1]["last"]["fault"], told[1]["problem"]["why"]) == ("unlisted", "could not be listed")
    assert (told[0]["kind"], told[0]["basis"], told[0]["licence"], told[0]["until"]) == (
        "folder",
        "consent",
        "own work",
        None,
    )


@pytest.mark.parametrize(
    ("change", "kind", "why"),
    [
        ({"basis": ""}, SourceFault.UNSET, "does not state its basis, so nothing is collected from it"),
        (
            {"basis": "", "licence": ""},
            SourceFault.UNSET,
            "does not state its basis and licence, so nothing is collected from it",
        ),
        ({"people": {"ann": "../ann"}}, SourceFault.OPTIONS, "is set up wrongly"),
        ({"until": TODAY}, None, ""),
        (
            {"until": TODAY - timedelta(days=1)},
            SourceFault.OVER,
            "is not collected any more: its photos might be used until 2026-11-23",
        ),
    ],
)
def test_what_keeps_one_from_running(
    folder: Path, change: dict[str, str | date], kind: SourceFault | None, why: str
) -> None:
    (found,) = listed(folder, {"a": CLUB.model_copy(update=change)})
    assert ((found.problem.kind, found.problem.why) if found.problem else (None, "")) == (kind, why)


def test_none_may_have_the_name_of_what_is_added_by_hand(folder: Path) -> None:
    (found,) = listed(folder, {"hand": CLUB})
    assert found.problem == Finding(SourceFault.NAME)
    assert found.problem.why == "has the name that stands for what is added by hand"
