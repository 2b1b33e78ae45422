from __future__ import annotations

import errno
import hashlib
import os
from io import BytesIO
from pathlib import Path

import pytest
from PIL import Image

from mien.errors import FetchError, PhotoError, StorageError
from mien.storage.files import HALF_WRITTEN
from mien.storage.hidden_file import HELD, HiddenFile, remove_hidden
from mien.text.fetching import FetchFault
from mien.text.photos import PhotoFault
from mien.types import Receipt

RECEIPT = Receipt("a stamp")


def picture(fmt: str = "PNG", side: int = 8) -> bytes:
    buffer = BytesIO()
    Image.frombytes("RGB", (side, side), os.urandom(3 * side * side)).save(buffer, fmt)
    return buffer.getvalue()


@pytest.mark.parametrize("side", [8, 800])
def test_a_photo_is_in_a_hidden_file_however_large_it_is(tmp_path: Path, side: int) -> None:
    data = picture(side=side)
    assert (len(data) > HELD) == (side == 800)
    with HiddenFile(tmp_path, "a.png", 1 << 30) as file:
        file.write(data[:1000])
        file.restart()
        file.write(data[:77])
        file.write(data[77:])
        assert file.size == len(data)
        arrived = file.arrived("a.png", RECEIPT)
    assert (arrived.receipt, arrived.size, arrived.error) == (RECEIPT, len(data), None)
    assert arrived.photo and arrived.photo.sha256 == arrived.sha256 == hashlib.sha256(data).hexdigest()
    assert list(tmp_path.glob(HALF_WRITTEN)) == [arrived.file] and arrived.file.read_bytes() == data


@pytest.mark.parametrize("length", [100, 2 * HELD])
def test_what_is_no_photo_leaves_no_file(tmp_path: Path, length: int) -> None:
    with HiddenFile(tmp_path, "a.png", 1 << 30) as file:
        file.write(b"<html>" + b" " * length)
        arrived = file.arrived("a.png", RECEIPT)
    assert arrived.photo is None and isinstance(arrived.error, PhotoError)
    assert (arrived.error.about, arrived.error.fault) == ("a.png", PhotoFault.NOT_A_PICTURE)
    assert arrived.sha256 == hashlib.sha256(b"<html>" + b" " * length).hexdigest()
    assert list(tmp_path.iterdir()) == []


def test_what_is_too_large_is_refused_and_leaves_no_file(tmp_path: Path) -> None:
    with (
        pytest.raises(FetchError, match=r"here is larger than 2 MB\.") as caught,
        HiddenFile(tmp_path, "here", 2 << 20) as file,
    ):
        for _ in range(100):
            file.write(bytes(HELD // 3))
    assert caught.value.kind is FetchFault.TOO_LARGE and file.size <= 2 << 20
    assert list(tmp_path.iterdir()) == []


def test_a_fetch_that_breaks_off_leaves_no_file(tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), HiddenFile(tmp_path, "a.png", 1 << 30) as file:
        file.write(bytes(2 * HELD))
        assert len(list(tmp_path.iterdir())) == 1
        raise KeyboardInterrupt
    assert list(tmp_path.iterdir()) == []


def test_a_disk_that_refuses_is_the_disk_s_fault(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(handle: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(StorageError, match="disk is full"), HiddenFile(tmp_path, "a.png", 1 << 30) as file:
        file.write(picture())
        file.arrived("a.png", RECEIPT)
    assert list(tmp_path.iterdir()) == []


def test_what_a_killed_run_was_fetching_goes_and_the_folder_if_that_was_all(tmp_path: Path) -> None:
    for name in ("empty", "used"):
        (tmp_path / name).mkdir()
        (tmp_path / name / ".mien-0123456789abcdef.tmp").write_bytes(b"half")
    (tmp_path / "used/photo.jpg").write_bytes(b"x")
    for name in ("empty", "used", "missing"):
        remove_hidden(tmp_path / name)
    assert [file.relative_to(tmp_path).as_posix() for file in tmp_path.rglob("*")] == ["used", "used/photo.jpg"]
