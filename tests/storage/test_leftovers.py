from __future__ import annotations

import os
import time
from pathlib import Path

from mien.storage.leftovers import DAYS, remove_old


def file_of_age(file: Path, days: float) -> str:
    file.write_bytes(b"")
    os.utime(file, (time.time() - days * 86_400,) * 2)
    return file.name


def left(folder: Path) -> set[str]:
    return {file.name for file in folder.iterdir()}


def test_old_files_go_and_of_the_others_the_newest_stay(tmp_path: Path) -> None:
    names = [file_of_age(tmp_path / f"left-{days}", days) for days in (0, 1, 2, DAYS + 1)]
    other = file_of_age(tmp_path / "other", DAYS + 1)
    remove_old(tmp_path, "left-*")
    assert left(tmp_path) == {*names[:3], other}
    remove_old(tmp_path, "left-*", most=2)
    assert left(tmp_path) == {*names[:2], other}


def test_what_cannot_be_removed_stays(tmp_path: Path) -> None:
    (tmp_path / "left-folder").mkdir()
    os.utime(tmp_path / "left-folder", (0, 0))
    old = file_of_age(tmp_path / "left-old", DAYS + 1)
    remove_old(tmp_path, "left-*")
    assert left(tmp_path) == {"left-folder"} and old == "left-old"
    remove_old(tmp_path / "nowhere", "*")
