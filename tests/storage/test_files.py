"""A file is the old one or the new one, whole."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from mien.errors import StorageError
from mien.storage.files import (
    HALF_WRITTEN,
    make_folder,
    move_file,
    read_plain,
    remove_empty,
    remove_file,
    same_bytes,
    storage_error,
    temporary_file,
    write_atomically,
    write_new,
)


def test_writes_and_replaces(tmp_path: Path) -> None:
    path = tmp_path / "näme.bin"
    write_atomically(path, b"old")
    write_atomically(path, b"new and longer")
    assert path.read_bytes() == b"new and longer"
    assert list(tmp_path.iterdir()) == [path]


@pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")
def test_what_is_new_is_its_owners_alone_and_what_is_replaced_stays_as_open_as_it_was(tmp_path: Path) -> None:
    def mode(path: Path) -> int:
        return path.stat().st_mode & 0o777

    before = os.umask(0)
    try:
        make_folder(tmp_path / "new" / "below")
        write_atomically(tmp_path / "new" / "a", b"")
        write_new(tmp_path / "new" / "b", b"")
        write_new(tmp_path / "new" / "c", b"", mode=0o644)
    finally:
        os.umask(before)
    assert [mode(tmp_path / "new"), mode(tmp_path / "new" / "below")] == [0o700, 0o700]
    assert [mode(tmp_path / "new" / name) for name in "abc"] == [0o600, 0o600, 0o644]
    (tmp_path / "new" / "a").chmod(0o664)
    write_atomically(tmp_path / "new" / "a", b"again")
    assert mode(tmp_path / "new" / "a") == 0o664


def test_a_pipe_and_a_file_without_end_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"12345")
    assert read_plain(tmp_path / "a", 5) == b"12345"
    with pytest.raises(OSError, match="more than 4 bytes"):
        read_plain(tmp_path / "a", 4)
    if hasattr(os, "mkfifo"):
        os.mkfifo(tmp_path / "pipe")
        for path in (tmp_path / "pipe", Path("/dev/zero")):
            with pytest.raises(OSError, match="no plain file"):
                read_plain(path, 4)


@pytest.mark.parametrize("function", ["fsync", "replace"])
@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "disk is full"),
        (errno.EDQUOT, "quota"),
        (errno.EROFS, "read-only"),
        (errno.EACCES, "permission denied"),
        (errno.EIO, os.strerror(errno.EIO)),
    ],
)
def test_a_failure_leaves_the_old_file_and_no_temporary(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, function: str, number: int, words: str
) -> None:
    def fail(*_: object) -> None:
        raise OSError(number, os.strerror(number))

    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, function, fail)
    with pytest.raises(StorageError, match=words) as caught:
        write_atomically(path, b"new")
    assert caught.value.about == str(path)
    assert caught.value.what.startswith("could not be written: ")
    assert caught.value.remedy.endswith(".")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_disk_that_fills_up_while_writing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a"
    path.write_bytes(b"old")
    opened = os.open

    def limited(file: Path, flags: int, *mode: int) -> int:
        handle = opened(file, flags, *mode)
        if flags & os.O_CREAT:
            os.close(handle)  # the name appears, but not a byte fits
            raise OSError(errno.ENOSPC, "No space left on device")
        return handle

    monkeypatch.setattr(os, "open", limited)
    with pytest.raises(StorageError, match="disk is full"):
        write_atomically(path, b"new")
    monkeypatch.undo()
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_an_interruption_leaves_the_old_file_and_no_temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    path = tmp_path / "a"
    path.write_bytes(b"old")
    monkeypatch.setattr(os, "fsync", interrupt)
    with pytest.raises(KeyboardInterrupt):
        write_atomically(path, b"new")
    assert path.read_bytes() == b"old"
    assert list(tmp_path.iterdir()) == [path]


def test_a_folder_that_cannot_be_synced_is_no_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    sync, calls = os.fsync, []

    def only_files(handle: int) -> None:
        calls.append(handle)
        if len(calls) > 1:
            raise OSError(errno.EINVAL, "Invalid argument")
        sync(handle)

    monkeypatch.setattr(os, "fsync", only_files)
    write_atomically(tmp_path / "a", b"new")
    assert (tmp_path / "a").read_bytes() == b"new"
    assert len(calls) == (1 if os.name == "nt" else 2)


def test_no_such_folder(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="folder does not exist"):
        write_atomically(tmp_path / "nowhere" / "a", b"")


def test_a_folder_in_the_way(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with pytest.raises(StorageError):
        write_atomically(tmp_path / "a", b"")
    assert [p.name for p in tmp_path.iterdir()] == ["a"]


def test_make_folder(tmp_path: Path) -> None:
    for _ in range(2):
        make_folder(tmp_path / "a" / "b")
    assert (tmp_path / "a" / "b").is_dir()
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(StorageError, match="in the way"):
        make_folder(tmp_path / "file")
    with pytest.raises(StorageError, match="could not be written"):
        make_folder(tmp_path / "file" / "below")


def test_all_folders_that_were_made_survive_a_power_cut(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    synced: list[Path] = []
    monkeypatch.setattr("mien.storage.files.sync_folder", synced.append)
    make_folder(tmp_path / "a/b/c")
    assert synced == [tmp_path, tmp_path / "a", tmp_path / "a/b"]


def test_a_new_file_replaces_nothing(tmp_path: Path) -> None:
    assert write_new(tmp_path / "a", b"first")
    assert not write_new(tmp_path / "a", b"second")
    assert [(file.name, file.read_bytes()) for file in tmp_path.iterdir()] == [("a", b"first")]
    with pytest.raises(StorageError, match="does not exist"):
        write_new(tmp_path / "missing/a", b"first")


@pytest.mark.parametrize("refusal", [None, errno.EXDEV, errno.EPERM])
def test_a_moved_file_keeps_bytes_and_time_and_replaces_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, refusal: int | None
) -> None:
    """On the same disk, on another one, and on one where no file has two names."""
    link = os.link

    def refusing(source: Path, target: Path) -> None:
        if refusal == errno.EPERM or (refusal and Path(source) == tmp_path / "a"):
            raise OSError(refusal, os.strerror(refusal))
        link(source, target)

    monkeypatch.setattr(os, "link", refusing)
    (tmp_path / "a").write_bytes(b"mine")
    os.utime(tmp_path / "a", ns=(10**18, 10**18 + 7))
    (tmp_path / "taken").write_bytes(b"yours")
    assert not move_file(tmp_path / "a", tmp_path / "taken")
    assert move_file(tmp_path / "a", tmp_path / "b")
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == {"b": b"mine", "taken": b"yours"}
    assert (tmp_path / "b").stat().st_mtime_ns == 10**18 + 7


def test_same_bytes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.storage.files._PART", 4)
    one, other = tmp_path / "one", tmp_path / "other"
    for content, same in ((b"12345678", True), (b"1234567", False), (b"123456789", False), (b"1234x678", False)):
        one.write_bytes(b"12345678")
        other.write_bytes(content)
        assert same_bytes(one, other) is same


def test_a_removed_file_is_gone_and_one_that_is_gone_is_no_error(tmp_path: Path) -> None:
    (tmp_path / "a").write_bytes(b"")
    for _ in range(2):
        remove_file(tmp_path / "a")
    assert list(tmp_path.iterdir()) == []
    (tmp_path / "folder").mkdir()
    with pytest.raises(StorageError, match="folder could not be written"):
        remove_file(tmp_path / "folder")


def test_folders_are_removed_as_far_as_nothing_is_in_them(tmp_path: Path) -> None:
    for folder in ("a/b/c", "a/d", "e/f"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "a/d/photo.jpg").touch()
    for folder in ("a", "e", "not there"):
        remove_empty(tmp_path / folder)
    assert sorted(one.relative_to(tmp_path).as_posix() for one in tmp_path.rglob("*")) == [
        "a",
        "a/d",
        "a/d/photo.jpg",
    ]


def test_what_becomes_a_file_lies_beside_it_under_a_name_that_is_known(tmp_path: Path) -> None:
    one, other = temporary_file(tmp_path / "a.jpg"), temporary_file(tmp_path / "a.jpg")
    assert one != other and one.parent == tmp_path
    for file in (one, other, tmp_path / "a.jpg", tmp_path / ".mien-0123456789abcdef.tmp.jpg"):
        file.touch()
    assert set(tmp_path.glob(HALF_WRITTEN)) == {one, other}


@pytest.mark.parametrize(
    ("error", "what"),
    [
        (OSError(errno.ENOSPC, "No space left on device"), "could not be written: the disk is full"),
        (OSError(errno.EIO, "Input/output error"), "could not be written: Input/output error"),
        (OSError("odd"), "could not be written: odd"),
    ],
)
def test_why_something_could_not_be_written_is_told(error: OSError, what: str) -> None:
    told = storage_error(Path("a.jpg"), error)
    assert (told.about, told.what) == ("a.jpg", what)
    assert str(told) == f"a.jpg {what}. {told.remedy}"
