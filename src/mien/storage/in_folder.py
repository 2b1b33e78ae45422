"""Photos in folders of this machine's disks and shares: each is the file of its name."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from mien.errors import StorageError
from mien.storage.files import (
    PRIVATE_FILE,
    entries,
    is_file,
    is_folder,
    is_there,
    make_folder,
    move_file,
    opening_error,
    remove_empty,
    remove_file,
    same_bytes,
    storage_error,
    sync_folder,
    write_new,
)
from mien.storage.photo_store import Stored

if TYPE_CHECKING:  # which loads numpy, and `mien --help` can do without
    from mien.types import Picture


@dataclass(frozen=True, slots=True)
class FolderPhotos:
    """The `PhotoStore` of an album whose photos lie in its folder."""

    @property
    def in_folders(self) -> bool:
        return True

    def where(self, path: Path) -> str:
        return str(path)

    def is_there(self, path: Path) -> bool:
        return is_there(path)

    def is_folder(self, path: Path) -> bool:
        return is_folder(path)

    def is_file(self, path: Path) -> bool:
        return is_file(path)

    def is_link(self, path: Path) -> bool:
        return path.is_symlink() or is_junction(path)

    def is_same(self, one: Path, other: Path) -> bool:
        return one.samefile(other)

    def real(self, path: Path) -> Path:
        return Path(os.path.realpath(path))

    def entries(self, folder: Path) -> list[Path]:
        return entries(folder)

    def folders(self, folder: Path) -> list[Path]:
        return [entry for entry in entries(folder) if _may_be_folder(entry)]

    def shelves(self, album: Path) -> list[str]:
        with os.scandir(album) as found:
            return [one.name for one in found if is_real_folder(one)]

    def flat(self, folder: Path, names: Iterable[str] = ()) -> Iterator[Stored] | None:
        return None

    def find(self, path: Path) -> Stored | None:
        try:
            found = path.stat()
        except (FileNotFoundError, NotADirectoryError):
            return None
        except OSError as error:
            raise opening_error(path, error) from error
        return Stored("", found.st_size, found.st_ctime_ns)

    def written(self, path: Path) -> int | None:
        try:
            return path.lstat().st_ctime_ns
        except OSError:
            return None

    def size(self, path: Path) -> int:
        try:
            return path.stat().st_size
        except OSError as error:
            raise opening_error(path, error) from error

    def read(self, path: Path) -> bytes:
        from mien.vision.images import read_bytes

        return read_bytes(path)

    def first_bytes(self, path: Path, most: int) -> bytes:
        try:
            with path.open("rb") as opened:
                return opened.read(most)
        except OSError as error:
            raise opening_error(path, error) from error

    def sha256(self, path: Path) -> str:
        from mien.vision.images import file_sha256

        return file_sha256(path)

    def picture(self, path: Path, least_scale: float | None = None) -> Picture:
        from mien.vision.images import read_picture

        return read_picture(path) if least_scale is None else read_picture(path, least_scale=least_scale)

    def as_file(self, path: Path) -> AbstractContextManager[Path]:
        return contextlib.nullcontext(path)

    def holds(self, path: Path, data: bytes) -> bool:
        try:
            return is_file(path) and path.stat().st_size == len(data) and path.read_bytes() == data
        except OSError as error:
            raise StorageError(str(path), f"cannot be read: {error.strerror}", "Check its permissions.") from error

    def is_copy(self, path: Path, other: Path) -> bool:
        try:
            return stat.S_ISREG(other.lstat().st_mode) and (path.samefile(other) or same_bytes(path, other))
        except OSError as error:
            raise storage_error(other, error) from error

    def arriving(self, folder: Path) -> Path:
        return folder

    def make_folder(self, folder: Path) -> None:
        make_folder(folder)

    def add_folder(self, folder: Path) -> None:
        make_folder(folder)

    def write_new(self, path: Path, data: bytes, times: os.stat_result | None = None) -> bool:
        return not os.path.lexists(path) and write_new(path, data, mode=PRIVATE_FILE, times=times)

    def move(self, source: Path, target: Path, sync: bool = True) -> bool:
        return move_file(source, target, sync)

    def rename_folder(self, folder: Path, target: Path) -> bool:
        if is_there(target) and not folder.samefile(target):
            return False
        try:
            os.rename(folder, target)  # noqa: PTH104 - the call whose atomicity is documented
        except OSError as error:
            raise storage_error(target, error) from error
        return True

    def remove(self, path: Path) -> None:
        remove_file(path)

    def remove_empty(self, folder: Path) -> None:
        remove_empty(folder)

    def sync(self, folder: Path) -> None:
        sync_folder(folder)


IN_FOLDERS: Final = FolderPhotos()


def is_real_folder(entry: os.DirEntry[str]) -> bool:
    """Whether it is a folder and no link to one."""
    return entry.is_dir(follow_symlinks=False) and not is_junction(entry)


def is_junction(entry: os.DirEntry[str] | Path) -> bool:
    """Whether it is Windows' older kind of link to a folder, which `is_symlink` does not see (but Python 3.12 can)."""
    test = getattr(entry, "is_junction", None)
    return bool(test and test())


def _may_be_folder(entry: Path) -> bool:
    """Whether it is a folder, or may be one, as it cannot be looked at."""
    try:
        return is_folder(entry)
    except StorageError:
        return True
