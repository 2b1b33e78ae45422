"""The intakes of `mien.storage.layout`."""

from __future__ import annotations

import sys
import unicodedata
from datetime import date
from pathlib import Path

import pytest

from mien.storage.layout import LINKED_FOLDER, LINKED_PHOTO, NO_PERSON, NO_PHOTO, UNSUPPORTED, Training, Workspace

DAY, NEXT = "2026-11-23-training-images", "2026-11-24-training-images"
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


@pytest.fixture
def album(tmp_path: Path) -> Workspace:
    return Workspace.create(tmp_path / "album", "personal")


def put(album: Workspace, path: str) -> Path:
    file = album.folder / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"x" * len(path))
    return file


def test_an_intake_is_named_by_its_day(album: Workspace) -> None:
    assert album.intake(date(2026, 11, 23)) == album.folder / DAY
    assert album.intake(date(926, 1, 2)).name == "0926-01-02-training-images"


def test_intakes_come_oldest_first_and_nothing_else_is_one(album: Workspace) -> None:
    for name in (
        NEXT,
        DAY,
        "2025-12-31-training-images",
        "20261123-training-images",
        "2026-W48-1-training-images",
        "2026-02-30-training-images",
        "2026-11-23-training-images-2",
        "x2026-11-23-training-images",
        "2026-11-25",
        "2026-11-26-Training-Images",
    ):
        (album.folder / name).mkdir()
    (album.folder / "2026-11-27-training-images").write_bytes(b"")
    assert album.intakes() == [
        (date(2025, 12, 31), album.folder / "2025-12-31-training-images"),
        (date(2026, 11, 23), album.folder / DAY),
        (date(2026, 11, 24), album.folder / NEXT),
    ]


@LINKS
def test_a_link_is_no_intake(album: Workspace, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (album.folder / DAY).symlink_to(tmp_path / "elsewhere")
    assert album.intakes() == []


def test_what_waits_is_walked_as_training_images_are(album: Workspace) -> None:
    decomposed = unicodedata.normalize("NFD", "José")
    for path in (
        f"{NEXT}/Ann/a.jpg",
        f"{DAY}/{decomposed}/deep/b.jpg",
        f"{DAY}/Ann/a.jpg",
        f"{DAY}/Ann/film.mp4",
        f"{DAY}/Ann/notes.txt",
        f"{DAY}/Ann/.mien-0123456789abcdef.tmp",
        f"{DAY}/Ann/@eaDir/a.jpg",
        f"{DAY}/nobody.jpg",
    ):
        put(album, path)
    (album.folder / NEXT / "Bo").mkdir()
    waiting = album.walk_intakes()
    assert waiting.people == ("Ann", "Bo", "José")
    assert [(one.path, one.person, one.size) for one in waiting.placements] == [
        (path, person, len(path))
        for path, person in (
            (f"{DAY}/Ann/a.jpg", "Ann"),
            (f"{DAY}/{decomposed}/deep/b.jpg", "José"),
            (f"{NEXT}/Ann/a.jpg", "Ann"),
        )
    ]
    assert [(one.path, one.reason) for one in waiting.left_out] == [
        (f"{DAY}/Ann/film.mp4", UNSUPPORTED),
        (f"{DAY}/Ann/notes.txt", NO_PHOTO),
        (f"{DAY}/nobody.jpg", NO_PERSON),
    ]
    assert album.waiting_file(waiting.placements[0].path).is_file()
    assert album.walk_training() == Training((), (), ())


@LINKS
def test_here_not_even_links_to_photos_are_followed(album: Workspace, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    put(album, f"{DAY}/Ann/a.jpg")
    (album.folder / DAY / "Ann/link.jpg").symlink_to(tmp_path / "x.jpg")
    (album.folder / DAY / "Bo").symlink_to(tmp_path)
    waiting = album.walk_intakes()
    assert [one.path for one in waiting.placements] == [f"{DAY}/Ann/a.jpg"]
    assert [(one.path, one.reason) for one in waiting.left_out] == [
        (f"{DAY}/Ann/link.jpg", LINKED_PHOTO),
        (f"{DAY}/Bo", LINKED_FOLDER),
    ]


def test_an_album_without_intakes(album: Workspace) -> None:
    assert (album.intakes(), album.walk_intakes()) == ([], Training((), (), ()))
