"""An album as one command has it open: reading creates nothing, writing holds the lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album, open_album, wiring
from mien.errors import BusyError
from mien.open_album import OpenAlbum, read_settings
from mien.protocols import Silent
from mien.storage.layout import TRAINING

if TYPE_CHECKING:
    from conftest import Painted

NOW = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)

Snapshot = dict[str, tuple[int, int]]


def snapshot(folder: Path) -> Snapshot:
    """Every file and folder, with size and time: a file that was only opened to be written has another time."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
    }


READING: dict[str, Callable[[Album, Path], Any]] = {
    "show": lambda album, sample: album.show(next(album.folder.rglob("training-images/*/*"))),
    "status": lambda album, sample: album.status(),
    "check": lambda album, sample: album.check(),
    "models": lambda album, sample: album.models(),
    "runs": lambda album, sample: album.runs(),
    "sources": lambda album, sample: album.sources(),
    "report": lambda album, sample: album.report(),
    "classify a photo": lambda album, sample: list(album.classify(sample / "people/Amara/20.jpg")),
    "evaluate": lambda album, sample: album.evaluate(sample / "strangers"),
    "version": lambda album, sample: album.version,
}
BEFORE_A_MODEL = ("show", "status", "check", "models", "runs", "sources", "version")


@pytest.mark.parametrize("verb", READING)
def test_reading_a_trained_album_changes_nothing(trained_album: Path, sample: Path, verb: str) -> None:
    before = snapshot(trained_album)
    READING[verb](Album(trained_album), sample)
    assert snapshot(trained_album) == before


@pytest.mark.parametrize("verb", BEFORE_A_MODEL)
def test_reading_an_album_that_was_never_aligned_makes_no_catalog(
    three_people: Painted, sample: Path, verb: str
) -> None:
    before = snapshot(three_people.folder)
    READING[verb](three_people.open(), sample)
    assert snapshot(three_people.folder) == before
    assert not (three_people.folder / ".mien").exists()


@pytest.mark.parametrize("verb", READING)
def test_an_album_that_may_only_be_read_is_read(album: Path, sample: Path, verb: str) -> None:
    """As root permissions do not bind, so this says more for other users; the test above holds for both."""
    for path in [album, *album.rglob("*")]:
        path.chmod(0o555 if path.is_dir() else 0o444)
    try:
        READING[verb](Album(album), sample)
    finally:
        for path in [album, *album.rglob("*")]:
            path.chmod(0o755 if path.is_dir() else 0o644)


def test_reading_goes_on_while_somebody_writes(three_people: Painted) -> None:
    three_people.open().train()
    layout, settings = read_settings(three_people.folder, {})
    with open_album.for_writing(layout, settings, wiring.tools, "train", lambda: NOW, Silent()) as writer:
        assert writer.catalog.files.people(TRAINING) == {"Ada", "Bo", "Cy"}
        assert three_people.open().status().photos == 9
        with pytest.raises(BusyError, match="train"):
            three_people.open().train()


def test_what_is_removed_by_hand_can_be_seen_again_but_not_who_people_are(three_people: Painted) -> None:
    """The catalog is disposable: ids, basis and the day on which people came in stand in the ledger."""
    three_people.open().train()

    def people() -> list[Any]:
        layout, settings = read_settings(three_people.folder, {})
        with open_album.for_reading(layout, settings, wiring.tools, lambda: NOW, Silent()) as album:
            return [album.ledger.people.person(name) for name in ("Ada", "Bo", "Cy")]

    before = people()
    assert all(person.basis == "painted squares" for person in before)
    (three_people.folder / ".mien/catalog.sqlite").unlink()
    three_people.open().train()
    assert people() == before


def opened(folder: Path, clock: Callable[[], datetime] = lambda: NOW) -> OpenAlbum:
    layout, settings = read_settings(folder, {})
    with open_album.for_reading(layout, settings, wiring.tools, clock, Silent()) as album:
        return album


def test_it_knows_the_day_and_who_may_be_recognised_until_when(painted: Painted) -> None:
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('\n[people."Jose\u0301"]\nuntil = 2027-12-31\n')
    album = opened(painted.folder)
    assert album.today == date(2026, 11, 24)
    assert album.until == {"José": date(2027, 12, 31)}


def test_a_copied_album_is_read_where_it_lies(album: Path, tmp_path: Path) -> None:
    moved = shutil.move(os.fspath(album), tmp_path / "elsewhere")
    assert Album(moved).status().stale == ()
