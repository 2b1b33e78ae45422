from __future__ import annotations

import os
import subprocess
import sys
import time
from pathlib import Path

import pytest

from mien.errors import StorageError
from mien.storage.files import temporary_file
from mien.storage.layout import Layout, photos_at
from mien.storage.leftovers import DAYS, remove_abandoned, remove_old, remove_unfinished, sweep
from mien.storage.scratch import scratch_folder


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


# What a kill leaves half-written


NAME, OTHER = f".mien-{'0123456789abcdef'}.tmp", ".mien-new-2026-11-23-001.tmp"


def test_only_what_mien_calls_so_goes_and_through_no_link(tmp_path: Path) -> None:
    kept = tmp_path / "kept"
    (kept / "photos").mkdir(parents=True)
    (kept / NAME).mkdir()
    (kept / NAME / "model.onnx").write_bytes(b"")
    (kept / OTHER).symlink_to(kept / "photos")
    names = (".mien-copies", ".mien-old-retail-0095", ".mien-0123.tmp", "x.mien-0123456789abcdef.tmp")
    for name in names:
        (kept / name).write_bytes(b"")
    remove_unfinished(kept)
    assert left(kept) == {"photos", *names}
    remove_unfinished(tmp_path / "nowhere")


def test_an_album_is_swept_where_mien_writes(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / ".mien/catalog.sqlite")
    near = [tmp_path, tmp_path / ".mien", layout.models_folder, layout.models_folder / "2026-11-23-001"]
    far = [
        *(layout.aligned / "Ada", layout.training / "Ada", layout.removed / "Ada/2019"),
        *(tmp_path / "2026-11-23-training-images", tmp_path / "2026-11-23-training-images/Ada"),
    ]
    elsewhere = tmp_path / "my own folder"
    for folder in (*near, *far, elsewhere):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / NAME).write_bytes(b"Ada")
    sweep(layout, thorough=False)
    assert [folder for folder in (*near, *far, elsewhere) if (folder / NAME).exists()] == [*far, elsewhere]
    sweep(layout, thorough=True)
    assert [folder for folder in (*near, *far, elsewhere) if (folder / NAME).exists()] == [elsewhere]


def test_what_was_on_its_way_to_a_bucket_is_swept(tmp_path: Path) -> None:
    layout = Layout(tmp_path, tmp_path / ".mien/catalog.sqlite", photos_at(tmp_path, "memory://club"))
    arriving = layout.photos.arriving(layout.training)
    arriving.mkdir(parents=True)
    (arriving / NAME).write_bytes(b"Ada")
    sweep(layout, thorough=False)
    assert left(arriving) == set()


def test_what_cannot_be_swept_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / NAME).write_bytes(b"")
    monkeypatch.setattr(os, "unlink", lambda path: (_ for _ in ()).throw(PermissionError(13, "Permission denied")))
    with pytest.raises(StorageError, match="permission denied"):
        remove_unfinished(tmp_path)


def test_of_a_folder_that_a_user_named_only_what_nobody_writes_goes(tmp_path: Path) -> None:
    if os.name == "nt":
        pytest.skip("Windows lets nobody remove what is open")
    dead, alive = temporary_file(tmp_path / "a"), temporary_file(tmp_path / "a")
    dead.write_bytes(b"")
    code = "import os; from pathlib import Path; from mien.storage.files import created; "
    code += f"held = created(Path({str(alive)!r})); os.write(1, b'!'); os.read(0, 1)"
    with subprocess.Popen([sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as child:
        assert child.stdout and child.stdout.read(1) == b"!"
        remove_abandoned([tmp_path, tmp_path / "nowhere"])
        assert left(tmp_path) == {alive.name}
        child.kill()
    remove_abandoned([tmp_path])
    assert left(tmp_path) == set()


def test_a_killed_runs_scratch_folder_goes_with_the_next(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.name == "nt":
        pytest.skip("Windows tells it by its age")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    abandoned = tmp_path / "mien-scratch-abc"
    abandoned.mkdir()
    (abandoned / "copy").write_bytes(b"Ada")
    with scratch_folder() as one, scratch_folder() as other:
        assert one != other and left(tmp_path) == {one.name, other.name}
        (one / "copy").write_bytes(b"Ada")
    assert left(tmp_path) == set()
