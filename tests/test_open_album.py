"""An album as one command has it open: reading creates nothing, writing holds the lock."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album, open_album, wiring
from mien.errors import AlbumError, BusyError
from mien.open_album import OpenAlbum, read_settings
from mien.protocols import Silent
from mien.storage.layout import TRAINING

if TYPE_CHECKING:
    from conftest import Painted

NOW = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)

Snapshot = dict[str, tuple[int, int]]


def snapshot(folder: Path) -> Snapshot:
    """Every file and folder, with size and time: a file that was only opened to be written has another time. Left out
    is what is remembered of photos that were asked about, with the time of its folder."""
    return {
        path.relative_to(folder).as_posix(): (path.stat().st_size, path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.name not in (".mien", "catalog-asked.sqlite")
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


def test_reading_goes_on_while_somebody_writes(taught: Painted) -> None:
    layout, settings = read_settings(taught.folder, {})
    with open_album.for_writing(layout, settings, wiring.tools, "train", lambda: NOW, Silent()) as writer:
        assert writer.catalog.files.people(TRAINING) == {"Ada", "Bo", "Cy"}
        assert taught.open().status().photos == 9
        with pytest.raises(BusyError, match="train"):
            taught.open().train()


def test_what_is_removed_by_hand_can_be_seen_again_but_not_who_people_are(taught: Painted) -> None:
    """The catalog is disposable: ids, basis and the day on which people came in stand in the ledger."""

    def people() -> list[Any]:
        layout, settings = read_settings(taught.folder, {})
        with open_album.for_reading(layout, settings, wiring.tools, lambda: NOW, Silent()) as album:
            return [album.ledger.people.person(name) for name in ("Ada", "Bo", "Cy")]

    before = people()
    assert all(person.basis == "painted squares" for person in before)
    (taught.folder / ".mien/catalog.sqlite").unlink()
    taught.open().train()
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


# Whose the catalog is that does not lie in its album


def at(painted: Painted, folder: Path) -> Painted:
    """Another folder of the same eyes."""
    return replace(painted, folder=folder, seen=[])


@pytest.fixture
def away(three_people: Painted) -> Painted:
    """Three people, trained, whose catalog lies beside the album."""
    file = three_people.folder / "mien.toml"
    catalog = (three_people.folder.parent / "local/catalog.sqlite").as_posix()
    file.write_text(f'catalog = "{catalog}"\n{file.read_text("utf-8")}', "utf-8")
    three_people.open().train()
    return three_people


def test_a_copy_may_not_use_the_catalog_of_its_original(away: Painted) -> None:
    """attacks/17-copied-album-shares-its-catalog: each forgot the other's photos, and resumed the other's run."""
    copy = at(away, shutil.copytree(away.folder, away.folder.with_name("copy")))
    shutil.rmtree(copy.training / "Ada")
    catalog = away.folder.parent / "local/catalog.sqlite"
    before = catalog.read_bytes()
    for verb in (Album.align, Album.train, Album.daily, Album.status, Album.check, Album.runs):
        with pytest.raises(AlbumError) as caught:
            verb(copy.open())
        assert f"is the catalog of another album, {away.folder}" in caught.value.message
        assert f"name another file as catalog in {copy.folder / 'mien.toml'}" in caught.value.remedy
    assert catalog.read_bytes() == before
    assert away.open().status().stale == ()

    ledger = Path(shutil.copy(away.folder.parent / "local/catalog-ledger.sqlite", copy.folder / "own-ledger.sqlite"))
    settings = copy.folder / "mien.toml"
    settings.write_text(settings.read_text("utf-8").replace("local/catalog", "copy/own"), "utf-8")
    assert ledger.exists() and len(copy.open().align().failures) == 0
    assert [person.name for person in copy.open().status().people] == ["Bo", "Cy"]
    assert away.open().status().stale == () and len(away.open().status().people) == 3


def test_an_album_that_was_moved_or_restored_keeps_its_catalog(away: Painted) -> None:
    moved = at(away, away.folder.rename(away.folder.with_name("moved")))
    assert moved.open().status().stale == () and moved.open().align().computed == 0
    restored = at(away, shutil.copytree(moved.folder, away.folder))
    shutil.rmtree(moved.folder)
    shutil.rmtree(restored.folder / ".mien")
    assert restored.open().status().stale == () and restored.open().align().new == 0


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
def test_an_album_may_be_named_by_a_link(away: Painted) -> None:
    link = away.folder.with_name("link")
    link.symlink_to(away.folder)
    for _ in range(2):
        assert at(away, link).open().align().new == 0 and away.open().align().new == 0


def test_an_album_with_another_catalog_by_now_owns_none_but_that(away: Painted) -> None:
    settings = away.folder / "mien.toml"
    heir = at(away, shutil.copytree(away.folder, away.folder.with_name("heir")))
    settings.write_text(settings.read_text("utf-8").replace("local/catalog", "local/mine"), "utf-8")
    assert heir.open().align().new == 0
    assert away.open().align().new == 9


def test_a_catalog_in_its_album_knows_of_no_folder(taught: Painted) -> None:
    copy = at(taught, shutil.copytree(taught.folder, taught.folder.with_name("copy")))
    assert copy.open().align().new == 0 and taught.open().status().stale == ()
    assert str(taught.folder).encode() not in (taught.folder / ".mien/catalog-ledger.sqlite").read_bytes()
