"""Photos in a bucket: each is an object, at any URL that fsspec knows.

training-images is the folder of the URL itself, s3://bucket/prefix/Ada/1.jpg; the intakes and removed-images lie below
s3://bucket/prefix/.mien/. A path that is on no shelf is a file of this machine, as the folder's store has it: a photo
on its way into the album, a chip, a photo that somebody names.

Nothing is renamed in a bucket. To move is to copy, to look at the copy, and to delete what was copied.
"""

from __future__ import annotations

import atexit
import contextlib
import errno
import hashlib
import os
import secrets
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

from mien.errors import PhotoError, StorageError
from mien.storage.files import remove_file
from mien.storage.in_folder import IN_FOLDERS
from mien.storage.objects import PAGE, Object, Objects, asked
from mien.storage.photo_store import Stored, file_at
from mien.storage.scratch import scratch_folder
from mien.text.photos import PhotoFault

if TYPE_CHECKING:  # which loads numpy, and `mien --help` can do without
    from mien.types import Picture

HIDDEN: Final = ".mien"
"""The folder below the URL in which all shelves lie but training-images."""
MARKER: Final = ".mien-folder"
"""The object that makes a folder be there with nothing in it: in a bucket there are no folders."""

Result = TypeVar("Result")


@dataclass(frozen=True, slots=True)
class BucketPhotos:
    """The `PhotoStore` of the album in `folder` (absolute) whose photos lie in a bucket; `training` is the name of the
    shelf that lies at the URL itself, and `shelf` says whether a name is that of another shelf."""

    objects: Objects
    folder: Path
    training: str
    shelf: Callable[[str], bool]

    @property
    def in_folders(self) -> bool:
        return False

    def where(self, path: Path) -> str:
        key = "" if path == self.folder else self._key(path)
        return str(path) if key is None else f"{self.objects.url}/{key}".rstrip("/")

    def is_there(self, path: Path) -> bool:
        if self._key(path) is None:
            return IN_FOLDERS.is_there(path)
        return self.is_file(path) or self.is_folder(path)

    def is_folder(self, path: Path) -> bool:
        """The shelf training-images is always there: a bucket that is missing is told by whatever looks into it."""
        key = self._key(path)
        if key is None:
            return IN_FOLDERS.is_folder(path)
        return key == "" or self._asked(path, lambda: any(self._listed_now(_inside(key), most=10)))

    def is_file(self, path: Path) -> bool:
        if self._key(path) is None:
            return IN_FOLDERS.is_file(path)
        return self.find(path) is not None

    def is_link(self, path: Path) -> bool:
        return self._key(path) is None and IN_FOLDERS.is_link(path)

    def is_same(self, one: Path, other: Path) -> bool:
        keys = self._key(one), self._key(other)
        return IN_FOLDERS.is_same(one, other) if keys == (None, None) else keys[0] == keys[1]

    def real(self, path: Path) -> Path:
        parts = self._parts(path)
        return IN_FOLDERS.real(path) if parts is None else self.folder.joinpath(*parts)

    def entries(self, folder: Path) -> list[Path]:
        key = self._key(folder)
        if key is None:
            return IN_FOLDERS.entries(folder)

        folders, objects = self._asked(folder, lambda: self.objects.inside(_inside(key)))
        return _files_at(folder, {*folders, *objects} - {HIDDEN, MARKER})

    def folders(self, folder: Path) -> list[Path]:
        key = self._key(folder)
        if key is None:
            return IN_FOLDERS.folders(folder)
        names, _ = self._asked(folder, lambda: self.objects.inside(_inside(key)))
        return _files_at(folder, set(names) - {HIDDEN})

    def shelves(self, album: Path) -> list[str]:
        return self.objects.inside(f"{HIDDEN}/")[0]

    def flat(self, folder: Path, names: Iterable[str] = ()) -> Iterator[Stored] | None:
        key = self._key(folder)
        if key is None:
            return None
        inside = _inside(key)
        parts = [f"{inside}{name}/" for name in names] or [inside]
        found = (one for part in parts for one in self._listed_now(part, "" if key else HIDDEN))
        return (_stored(one, one.key.removeprefix(inside)) for one in found if one.key != inside)

    def _listed_now(self, below: str, but: str = "", most: int = PAGE) -> Iterator[Object]:
        """What lies below a key, by a listing that may be late: what this process has put and does not find in it, and
        what it has deleted and does find, is asked for by itself."""
        recent = _recent(self.objects.url)
        put = {key for key in recent.put.copy() if key.startswith(below) and not (but and key.startswith(f"{but}/"))}
        deleted = {key for key in recent.deleted.copy() if key.startswith(below)}
        for one in self.objects.listed(below, but, most):
            put.discard(one.key)
            recent.put.discard(one.key)
            if one.key not in deleted:
                yield one
            elif again := self.objects.find(one.key):
                yield again
        for key in sorted(put):
            if found := self.objects.find(key):
                yield found

    def find(self, path: Path) -> Stored | None:
        key = self._key(path)
        if key is None:
            return IN_FOLDERS.find(path)
        found = self._asked(path, lambda: self.objects.find(key)) if key else None
        return _stored(found, "") if found else None

    def written(self, path: Path) -> int | None:
        if self._key(path) is None:
            return IN_FOLDERS.written(path)
        with contextlib.suppress(StorageError):
            found = self.find(path)
            return found.version if found else None
        return None

    def size(self, path: Path) -> int:
        if self._key(path) is None:
            return IN_FOLDERS.size(path)
        found = self.find(path)
        if found is None:
            raise StorageError(self.where(path), "is not there any more", "Run the same command again.")
        return found.size

    def read(self, path: Path) -> bytes:
        from mien.vision.decoding import MAX_BYTES

        if self._key(path) is None:
            return IN_FOLDERS.read(path)
        found = self._photo(path)
        if found.size > MAX_BYTES:
            figures = {"megabytes": found.size / 2**20, "limit": MAX_BYTES / 2**20}
            raise PhotoError(self.where(path), PhotoFault.TOO_LARGE, figures)
        with self._reading(path):
            return self.objects.read(found.key, found.size)

    def first_bytes(self, path: Path, most: int) -> bytes:
        key = self._key(path)
        if key is None:
            return IN_FOLDERS.first_bytes(path, most)
        size = self.size(path)
        return self._asked(path, lambda: self.objects.read(key, min(size, most)))

    def sha256(self, path: Path) -> str:
        if self._key(path) is None:
            return IN_FOLDERS.sha256(path)
        found, digest = self._photo(path), hashlib.sha256()
        with self._reading(path):
            for block in self.objects.blocks(found):
                digest.update(block)
        return digest.hexdigest()

    def picture(self, path: Path, least_scale: float | None = None) -> Picture:
        from mien.vision.images import decode

        if self._key(path) is None:
            return IN_FOLDERS.picture(path, least_scale)
        data, name = self.read(path), self.where(path)
        return decode(data, name) if least_scale is None else decode(data, name, least_scale=least_scale)

    @contextlib.contextmanager
    def as_file(self, path: Path) -> Iterator[Path]:
        if self._key(path) is None:
            yield path
            return
        file = _scratch(os.getpid()) / f"{secrets.token_hex(8)}{path.suffix}"
        try:
            file.write_bytes(self.read(path))
            yield file
        except OSError as error:
            raise PhotoError.of_file(self.where(path), error) from error
        finally:
            file.unlink(missing_ok=True)

    def holds(self, path: Path, data: bytes) -> bool:
        key = self._key(path)
        if key is None:
            return IN_FOLDERS.holds(path, data)
        found = self._asked(path, lambda: self.objects.find(key))
        return found is not None and self._asked(path, lambda: self.objects.holds(found, data))

    def is_copy(self, path: Path, other: Path) -> bool:
        mine, theirs = self._key(path), self._key(other)
        if mine is None or theirs is None:
            return IN_FOLDERS.is_copy(path, other)

        def same() -> bool:
            one, two = self.objects.find(mine), self.objects.find(theirs)
            return one is not None and two is not None and self.objects.same(one, two)

        return self._asked(other, same)

    def arriving(self, folder: Path) -> Path:
        return self.folder / HIDDEN / "arriving"

    def make_folder(self, folder: Path) -> None:
        """Nothing is to be done in a bucket, where there are no folders."""
        if self._key(folder) is None:
            IN_FOLDERS.make_folder(folder)

    def add_folder(self, folder: Path) -> None:
        key = self._key(folder)
        if key is None:
            IN_FOLDERS.add_folder(folder)
        else:
            self._asked(folder, lambda: self.objects.put(f"{key}/{MARKER}", b""))
            self._has_put(f"{key}/{MARKER}")

    def write_new(self, path: Path, data: bytes, times: os.stat_result | None = None) -> bool:
        key = self._key(path)
        if key is None:
            return IN_FOLDERS.write_new(path, data, times)
        return self._has_put(key, self._asked(path, lambda: self.objects.put_new(key, data)))

    def move(self, source: Path, target: Path, sync: bool = True) -> bool:
        mine, theirs = self._key(source), self._key(target)
        if theirs is None:
            return IN_FOLDERS.move(source, target, sync)
        if mine is None:
            try:
                data = source.read_bytes()
            except OSError as error:
                raise StorageError(str(source), f"cannot be read: {error.strerror}", "Check the disk.") from error
            if self._has_put(theirs, self._asked(target, lambda: self.objects.put_new(theirs, data))):
                remove_file(source)
                return True
            return False
        if not self._has_put(theirs, self._asked(target, lambda: self.objects.copy(mine, theirs))):
            return False
        self.remove(source)
        return True

    def rename_folder(self, folder: Path, target: Path) -> bool:
        mine, theirs = self._key(folder), self._key(target)
        if mine is None or theirs is None:
            return IN_FOLDERS.rename_folder(folder, target)
        found = self._asked(folder, lambda: list(self._listed(mine)))
        names = [name for one in found if file_at(folder, name := one.key.removeprefix(_inside(mine)))]
        there = {one.key.removeprefix(_inside(theirs)) for one in self._asked(target, lambda: [*self._listed(theirs)])}
        copied = there.intersection(names)  # it was killed between copy and delete
        if not all(self.is_copy(folder / name, target / name) for name in copied):
            return False
        for name in names:
            if name in copied or not self.move(folder / name, target / name):
                if not self.is_copy(folder / name, target / name):
                    return False
                self.remove(folder / name)
        return True

    def remove(self, path: Path) -> None:
        """Raises StorageError also for a path with ".." in it, which leads to another photo than it seems to."""
        if path.is_relative_to(self.folder) and ".." in path.relative_to(self.folder).parts:
            raise StorageError(
                str(path), "leads elsewhere, and is not deleted", "Name it by the path at which it lies."
            )
        key = self._key(path)
        if key is None:
            IN_FOLDERS.remove(path)
        else:
            self._asked(path, lambda: self.objects.remove(key))
            recent = _recent(self.objects.url)
            recent.put.discard(key)
            recent.deleted.add(key)

    def remove_empty(self, folder: Path) -> None:
        """Takes away what made a folder be there, where nothing else is in it."""
        key = self._key(folder)
        if key is None:
            IN_FOLDERS.remove_empty(folder)
            return
        with contextlib.suppress(StorageError, OSError):
            found = [one.key for one in islice(self._listed(key, most=100), 100)]
            if all(one.endswith(("/", f"/{MARKER}")) for one in found):
                for one in found:
                    self.objects.remove(one)

    def sync(self, folder: Path) -> None:
        if self._key(folder) is None:
            IN_FOLDERS.sync(folder)

    def _has_put(self, key: str, done: bool = True) -> bool:
        """Remembers for a while that this process has put an object, if it is `done`; whether it is."""
        if done:
            recent = _recent(self.objects.url)
            recent.deleted.discard(key)
            recent.put.add(key)
        return done

    def _parts(self, path: Path) -> tuple[str, ...] | None:
        """The shelf of a path and its parts below; None for a path that is on no shelf of the album."""
        whole = Path(os.path.abspath(path))  # noqa: PTH100 - nothing lies there that could be a link
        for top in (self.folder, Path(os.path.realpath(self.folder))):
            if whole.is_relative_to(top):
                parts = whole.relative_to(top).parts
                return parts if parts and (parts[0] == self.training or self.shelf(parts[0])) else None
        return None

    def _key(self, path: Path) -> str | None:
        """The key of a path below the URL, "" for training-images; None for a path that is on no shelf."""
        parts = self._parts(path)
        if parts is None:
            return None
        return "/".join(parts[1:] if parts[0] == self.training else (HIDDEN, *parts))

    def _listed(self, key: str, most: int = 1000) -> Iterator[Object]:
        return self.objects.listed(_inside(key), "" if key else HIDDEN, most)

    def _photo(self, path: Path) -> Object:
        """The object at a path on a shelf. Raises PhotoError."""
        key = self._key(path) or ""
        with self._reading(path):
            found = self.objects.find(key) if key else None
            if found is None:
                raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT))
            return found

    @contextlib.contextmanager
    def _reading(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise PhotoError.of_file(self.where(path), error) from error

    def _asked(self, path: Path, question: Callable[[], Result]) -> Result:
        return asked(question, self.where(path))


@dataclass(frozen=True, slots=True)
class _Recent:
    """Keys that this process has put, until a listing has them, and keys that it has deleted."""

    put: set[str] = field(default_factory=set)
    deleted: set[str] = field(default_factory=set)


@lru_cache(8)
def _recent(url: str) -> _Recent:
    return _Recent()


@lru_cache(1)
def _scratch(process: int) -> Path:
    """A folder for photos that are being decoded, which goes at the end of this process; of one that was killed, with
    the next that needs one."""
    until = contextlib.ExitStack()
    atexit.register(until.close)
    return until.enter_context(scratch_folder())


def _files_at(folder: Path, names: Iterable[str]) -> list[Path]:
    return sorted(file for name in names if (file := file_at(folder, name)))


def _inside(key: str) -> str:
    """What the keys in a folder begin with."""
    return f"{key}/" if key else ""


def _stored(found: Object, path: str) -> Stored:
    """The version of an object as a number that is taken for no time: below zero, of 56 bits."""
    digest = hashlib.sha256(found.stamp.encode()).digest()
    return Stored(path, found.size, -1 - int.from_bytes(digest[:7]))
