from __future__ import annotations

import os
from pathlib import Path

import pytest

from mien.errors import UsageError
from mien.storage.walk import photos_below


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_folders_are_walked_in_order_and_only_photos_taken(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.JPG", "deep/er/c.png", ".hidden.jpg", ".git/d.jpg", "@eaDir/e.jpg", "notes.txt"):
        touch(tmp_path / name)
    found = photos_below([tmp_path])
    assert [relative.as_posix() for _, relative in found] == ["a.JPG", "b.jpg", "deep/er/c.png"]
    assert all(photo == tmp_path / relative for photo, relative in found)


def test_a_file_named_outright_is_taken_whatever_it_is_called_and_only_once(tmp_path: Path) -> None:
    odd = touch(tmp_path / "scan.0001")
    plain = touch(tmp_path / "a.jpg")
    assert [photo for photo, _ in photos_below([odd, plain, tmp_path])] == [odd, plain]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.jpg does not exist"):
        photos_below([tmp_path / "nowhere.jpg"])
    with pytest.raises(UsageError, match="no photo in"):
        photos_below([tmp_path])


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_to_a_folder_above_does_not_walk_for_ever(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "a.jpg")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(photos_below([tmp_path])) == 1
