from __future__ import annotations

import os
import unicodedata
from datetime import date
from pathlib import Path

import pytest

from mien.errors import AlbumError, UsageError
from mien.storage.layout import TRAINING, Layout, Shelf, intake_of
from mien.storage.person_folders import PersonFolders

INTAKE = intake_of(date(2026, 11, 23))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    (tmp_path / "album" / TRAINING).mkdir(parents=True)
    return Layout(tmp_path / "album", tmp_path / "album/.mien/catalog.sqlite")


def new(layout: Layout, content: str) -> Path:
    """A file that is to come in."""
    file = layout.folder / f"{content}.new"
    file.write_text(content)
    return file


def tree(layout: Layout) -> dict[str, str]:
    files = (file for file in layout.folder.rglob("*") if file.is_file())
    return {layout.path(file): file.read_text() for file in files}


@pytest.mark.parametrize("shelf", [TRAINING, INTAKE])
def test_files_come_in_under_names_that_are_free(layout: Layout, shelf: Shelf) -> None:
    (layout.shelf(shelf) / "Ada").mkdir(parents=True)
    (layout.shelf(shelf) / "Ada/A.jpg").write_text("old")
    folders = PersonFolders(layout, shelf)
    moved = [folders.move_in("Ada", new(layout, content), "a.jpg") for content in ("one", "two")]
    assert [layout.path(file) for file in moved] == [f"{shelf}/Ada/a-2.jpg", f"{shelf}/Ada/a-3.jpg"]
    assert layout.path(folders.move_in("Bo", new(layout, "three"), "a.jpg", sync=False)) == f"{shelf}/Bo/a.jpg"
    assert tree(layout) == {
        f"{shelf}/Ada/A.jpg": "old",
        f"{shelf}/Ada/a-2.jpg": "one",
        f"{shelf}/Ada/a-3.jpg": "two",
        f"{shelf}/Bo/a.jpg": "three",
    }


def test_what_a_killed_move_left_is_removed_and_takes_no_name(layout: Layout) -> None:
    (layout.training / "Ada").mkdir()
    (layout.training / "Ada/.mien-0123456789abcdef.tmp").write_text("half")
    assert PersonFolders(layout, TRAINING).of("Ada") == layout.training / "Ada"
    assert tree(layout) == {}


def test_nobody_gets_a_folder_before_something_comes_in(layout: Layout) -> None:
    folders = PersonFolders(layout, INTAKE)
    assert folders.of("Ada") == layout.shelf(INTAKE) / "Ada"
    assert not layout.shelf(INTAKE).exists()


def test_a_folder_is_found_however_it_is_spelt(layout: Layout) -> None:
    (layout.training / unicodedata.normalize("NFD", "José")).mkdir()
    folders = PersonFolders(layout, TRAINING)
    assert folders.namesake("José") is None
    folders.move_in("José", new(layout, "one"), "a.jpg")
    assert len(list(layout.training.iterdir())) == 1
    (layout.training / "\u200bBo ").mkdir()
    folders = PersonFolders(layout, TRAINING)
    assert folders.namesake("Bo") is None and folders.of("Bo") == layout.training / "\u200bBo "


def test_whom_a_disk_may_take_for_another(layout: Layout) -> None:
    (layout.training / "Ada").mkdir()
    folders = PersonFolders(layout, TRAINING)
    assert [folders.namesake(person) for person in ("Ada", "ada", "ADA")] == [None, "Ada", "Ada"]
    assert [folders.namesake(person) for person in ("bo", "Bo", "bo")] == [None, "bo", None], "whoever comes first"
    assert [folders.namesake(person) for person in ("\u0410da", "Вова", "вова")] == ["Ada", None, "Вова"]


@pytest.mark.skipif(os.path.normcase("A") == "a", reason="the disk takes the two for one")
def test_two_who_have_folders_are_two(layout: Layout) -> None:
    (layout.training / "Ada").mkdir()
    (layout.training / "ada").mkdir()
    folders = PersonFolders(layout, TRAINING)
    assert [folders.namesake(person) for person in ("Ada", "ada")] == [None, None]


def test_a_name_that_no_folder_can_have(layout: Layout) -> None:
    (layout.training / "con").mkdir()
    folders = PersonFolders(layout, TRAINING)
    assert folders.of("con") == layout.training / "con", "it is there, and so it can"
    for person in ("..", "a/b", "aux"):
        with pytest.raises(UsageError, match="cannot be a person's name"):
            folders.move_in(person, new(layout, "one"), "a.jpg")
    assert list(tree(layout)) == ["one.new"]


@pytest.mark.skipif(os.name == "nt", reason="not everybody may make links on Windows")
@pytest.mark.parametrize("shelf", [TRAINING, INTAKE])
def test_nothing_comes_in_through_a_link(layout: Layout, tmp_path: Path, shelf: Shelf) -> None:
    (tmp_path / "outside").mkdir()
    layout.shelf(shelf).mkdir(exist_ok=True)
    (layout.shelf(shelf) / "Ada").symlink_to(tmp_path / "outside")
    with pytest.raises(AlbumError, match="is a link"):
        PersonFolders(layout, shelf).move_in("Ada", new(layout, "one"), "a.jpg")
    assert list((tmp_path / "outside").iterdir()) == []
