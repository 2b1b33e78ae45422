"""Photos from anywhere come in under a person: `mien.stages.add`."""

from __future__ import annotations

import errno
import os
import unicodedata
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import AlbumError, PhotoError, StorageError, UsageError
from mien.settings import Settings
from mien.stages.add import copy_in
from mien.storage.layout import TRAINING, Layout, create_album
from mien.storage.walk import walk
from mien.text.names import nfc, valid_person
from mien.vision.images import file_sha256

if TYPE_CHECKING:
    from conftest import Painted

COMPOSED, DECOMPOSED = "José", unicodedata.normalize("NFD", "José")


def made(folder: Path) -> Layout:
    create_album(folder, "personal")
    return Layout.of(folder, Settings())


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return made(tmp_path / "album")


def photo(path: Path, data: bytes = b"1") -> Path:
    path.parent.mkdir(exist_ok=True)
    path.write_bytes(data)
    return path


def test_a_photo_is_copied_with_its_time_and_the_original_stays(layout: Layout, tmp_path: Path) -> None:
    source = photo(tmp_path / "Été 1.JPG", b"pixels")
    os.utime(source, ns=(10**18, 10**18))
    added, is_new = copy_in(layout, "山田", source)
    assert is_new and added == layout.training / "山田" / "Été 1.JPG"
    assert added.read_bytes() == source.read_bytes() == b"pixels"
    assert added.stat().st_mtime_ns == source.stat().st_mtime_ns
    assert [file.name for file in added.parent.iterdir()] == [added.name]


def test_nothing_is_overwritten_and_nothing_added_twice(layout: Layout, tmp_path: Path) -> None:
    names = []
    for content in (b"one", b"two", b"one", b"two", b"six"):
        added, is_new = copy_in(layout, "Ann", photo(tmp_path / "x" / "a.b.jpg", content))
        names.append((added.name, is_new))
        assert added.read_bytes() == content
    assert names == [
        ("a.b.jpg", True),
        ("a.b-2.jpg", True),
        ("a.b.jpg", False),
        ("a.b-2.jpg", False),
        ("a.b-3.jpg", True),
    ]


def test_an_add_that_was_killed_before_its_end_is_made_up_for(painted: Painted, tmp_path: Path) -> None:
    source = painted.paint(tmp_path / "camera/1.png", "Ada")
    os.utime(source, ns=(10**18, 10**18))
    with painted.writing() as album:
        target, _ = copy_in(album.layout, "Ada", source)  # and no more
    assert target.stat().st_mtime_ns == 10**18, "it has its time from the beginning"
    for _ in range(2):
        added = painted.open().add("Ada", [source])
        assert (added.added, added.known) == ((), 1)
        with painted.reading() as album:
            [fetch] = album.ledger.history.provenance(file_sha256(target))
        assert (fetch.person, fetch.location, fetch.path) == ("Ada", str(source), "training-images/Ada/1.png")


def test_where_the_people_cannot_be_listed_afterwards_it_says_so_and_is_made_up_for(
    painted: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photo, scandir = painted.paint(tmp_path / "new.png", "Ada"), os.scandir
    painted.training.mkdir(exist_ok=True)

    def fails(path: str | Path) -> object:
        if Path(path) == painted.training and (painted.training / "Ada" / "new.png").exists():
            raise OSError(errno.EIO, "Input/output error", str(path))
        return scandir(path)

    with monkeypatch.context() as now:
        now.setattr(os, "scandir", fails)
        with pytest.raises(PhotoError, match="training-images"):
            painted.open().add("Ada", photo)
    assert painted.open().add("Ada", photo).known == 1
    with painted.reading() as album:
        [fetch] = album.ledger.history.provenance(file_sha256(photo))
    assert (fetch.person, fetch.location, fetch.path) == ("Ada", str(photo), "training-images/Ada/new.png")


@pytest.mark.parametrize("error", [OSError(errno.EINVAL, "Invalid argument"), OverflowError("timestamp out of range")])
def test_a_date_that_the_disk_cannot_hold_costs_no_photo(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise error

    source = photo(tmp_path / "1.jpg")
    monkeypatch.setattr(os, "utime", refuse)
    added, is_new = copy_in(layout, "Ann", source)
    assert is_new and added.read_bytes() == source.read_bytes()


def test_what_is_there_is_a_file_or_not_it_is_not_overwritten(layout: Layout, tmp_path: Path) -> None:
    ann = layout.training / "Ann"
    (ann / "a.jpg").mkdir(parents=True)
    (ann / "a-2.jpg").symlink_to(tmp_path / "nowhere.jpg")
    source = photo(tmp_path / "a.jpg")
    assert copy_in(layout, "Ann", source) == (ann / "a-3.jpg", True)
    assert copy_in(layout, "Ann", source) == (ann / "a-3.jpg", False)
    assert not (tmp_path / "nowhere.jpg").exists()


def test_a_person_is_found_by_the_other_spelling_of_their_name(layout: Layout, tmp_path: Path) -> None:
    photo(layout.training / DECOMPOSED / "1.jpg")
    assert copy_in(layout, COMPOSED, photo(tmp_path / "2.jpg", b"2"))[1]
    assert [one.name for one in layout.training.iterdir()] == [DECOMPOSED]
    assert walk(layout, [TRAINING]).people == (COMPOSED,)


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_nothing_is_written_through_a_link(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    (layout.training / "Ann").symlink_to(tmp_path / "outside", target_is_directory=True)
    with pytest.raises(AlbumError, match="is a link"):
        copy_in(layout, "Ann", photo(tmp_path / "1.jpg"))
    assert list((tmp_path / "outside").iterdir()) == []


def test_what_is_no_photo_is_not_added(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("x")
    (tmp_path / "folder.jpg").mkdir()
    for name, kind in (
        ("notes.txt", UsageError),
        (".jpg", UsageError),
        ("gone.jpg", PhotoError),
        ("folder.jpg", PhotoError),
    ):
        with pytest.raises(kind, match=name):
            copy_in(layout, "Ann", tmp_path / name)
    assert list(layout.training.iterdir()) == []


def test_a_full_disk_leaves_no_half_photo(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    source = photo(tmp_path / "1.jpg")
    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"):
        copy_in(layout, "Ann", source)
    assert list((layout.training / "Ann").iterdir()) == []


def test_a_read_only_album_is_refused_kindly(layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    source = photo(tmp_path / "1.jpg")
    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match="read-only"):
        copy_in(layout, "Ann", source)


def test_a_photo_of_that_name_that_cannot_be_read_is_told(
    layout: Layout, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    there, source = photo(layout.training / "Ann" / "1.jpg"), photo(tmp_path / "1.jpg")

    def refuse(self: Path) -> bytes:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "read_bytes", refuse)
    with pytest.raises(StorageError, match="cannot be read: Permission denied") as caught:
        copy_in(layout, "Ann", source)
    assert caught.value.about == str(there)


WILD = st.text(st.sampled_from("./\\: \0~a1é\u0301\u202e\udcff") | st.characters(), max_size=12)


@settings(deadline=None)
@given(WILD)
def test_no_name_lands_outside_or_is_bent_into_another(tmp_path_factory: pytest.TempPathFactory, name: str) -> None:
    root = tmp_path_factory.mktemp("root")
    source = photo(root / "1.jpg")
    layout = made(root / "album")
    before = set(root.rglob("*"))
    try:
        added, _ = copy_in(layout, valid_person(name), source)
    except UsageError:
        assert set(root.rglob("*")) == before
        return
    assert added.resolve().parent.parent == layout.training.resolve()
    assert walk(layout, [TRAINING]).people == (nfc(name),)
    assert set(root.rglob("*")) - before == {added, added.parent}
