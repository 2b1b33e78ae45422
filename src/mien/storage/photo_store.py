"""Where the photos of an album lie: the verbs by which every room looks at them, reads them and puts them elsewhere.

A photo, or a person's folder, is named by the path at which it lies, or would lie, below the album's folder:
album/training-images/Ada/1.jpg. A store knows what that means. In folders (`mien.storage.in_folder`) it is the file of
that name; in a bucket (`mien.storage.in_bucket`) it is an object, and nothing lies at the path itself. A store is a
frozen value that can be pickled, so that a worker in another process, or on another machine, reads the same photos.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:  # which loads numpy, and `mien --help` can do without
    from mien.types import Picture


@dataclass(frozen=True, slots=True)
class Stored:
    """A file as a store lists it: its path below the folder that was listed, with forward slashes, its `size` in bytes,
    and its `version`, which is another whenever its bytes are. The path of a folder with nothing in it ends with a
    slash."""

    path: str
    size: int
    version: int


def file_at(folder: Path, path: str) -> Path | None:
    """The file that a store lists as `path` below a folder; None for what leads elsewhere, or is written otherwise, as
    a key of a bucket may be: "/etc/passwd", "../Bo/1.jpg", "a//1.jpg"."""
    file = folder / path
    is_below = folder in file.parents and ".." not in file.relative_to(folder).parts
    return file if is_below and file.relative_to(folder).as_posix() == path else None


class PhotoStore(Protocol):
    """Where photos lie. Each verb takes paths below the album's folder; unless it says otherwise it raises StorageError
    where the store cannot be reached, or refuses: what cannot be looked at is never taken for gone."""

    @property
    def in_folders(self) -> bool:
        """Whether the photos are files in folders. Elsewhere a listing may be late: lack what was written a moment ago,
        and have what was deleted."""

    # Looking

    def where(self, path: Path) -> str:
        """Where it lies, as people are told: a path, or a URL without secrets."""

    def is_there(self, path: Path) -> bool:
        """Whether anything has this name, be it a link to nothing."""

    def is_folder(self, path: Path) -> bool:
        """Whether it is a folder, or a link to one."""

    def is_file(self, path: Path) -> bool:
        """Whether it is a file, or a link to one."""

    def is_link(self, path: Path) -> bool:
        """Whether it is a link. Raises nothing."""

    def is_same(self, one: Path, other: Path) -> bool:
        """Whether two names are of one file or folder, as on a disk that takes "ada" and "Ada" for one."""

    def real(self, path: Path) -> Path:
        """The path at which it lies, whatever links lead there; `path` may be relative, or lead elsewhere."""

    def entries(self, folder: Path) -> list[Path]:
        """What lies in a folder, sorted; nothing if there is no such folder."""

    def folders(self, folder: Path) -> list[Path]:
        """The folders in a folder, sorted; whatever may be one, as it cannot be looked at, and links to folders."""

    def shelves(self, album: Path) -> list[str]:
        """The names of the real folders in an album's folder in which photos may lie. Raises OSError."""

    def flat(self, folder: Path, names: Iterable[str] = ()) -> Iterator[Stored] | None:
        """Every file below a folder in one listing, in order of its bytes, of these folders in it alone if `names` are
        given; None where a store has real folders, which are walked. Raises OSError as soon as the listing fails."""

    def find(self, path: Path) -> Stored | None:
        """The file at a path, asked for by itself; None where there is none. `path` of it is ""."""

    def written(self, path: Path) -> int | None:
        """When the store last wrote a file, or its version; None where it cannot be said. Raises nothing."""

    def size(self, path: Path) -> int:
        """Bytes of a file."""

    # Reading

    def read(self, path: Path) -> bytes:
        """The bytes of a photo. Raises PhotoError, also where there are more than `mien.vision.decoding.MAX_BYTES`."""

    def first_bytes(self, path: Path, most: int) -> bytes:
        """The first bytes of a file, at `most` so many."""

    def sha256(self, path: Path) -> str:
        """The hex digest of a file's bytes. Raises PhotoError."""

    def picture(self, path: Path, least_scale: float | None = None) -> Picture:
        """The photo decoded, its bytes read once; `least_scale` is that of `mien.vision.images.decode`, by which it is
        decoded if None is given. Raises PhotoError."""

    def as_file(self, path: Path) -> AbstractContextManager[Path]:
        """The photo as a file of this machine, for as long as the context lasts. Raises PhotoError."""

    def holds(self, path: Path, data: bytes) -> bool:
        """Whether it is a file with these bytes."""

    def is_copy(self, path: Path, other: Path) -> bool:
        """Whether `other` is a file, and no link, with the bytes of the file at `path`."""

    # Writing

    def arriving(self, folder: Path) -> Path:
        """A folder of this machine in which a file is written that `move` then takes to `folder`."""

    def make_folder(self, folder: Path) -> None:
        """Makes a folder that files can be put into, and those above it."""

    def add_folder(self, folder: Path) -> None:
        """Makes a folder that is there with nothing in it."""

    def write_new(self, path: Path, data: bytes, times: os.stat_result | None = None) -> bool:
        """Puts bytes at a path, whole or not at all, with the `times` of another file where the store keeps such;
        False, and nothing done, if anything has that name already."""

    def move(self, source: Path, target: Path, sync: bool = True) -> bool:
        """Moves a file of the album, or one of `arriving`, to `target`; False, and nothing done, if anything has that
        name already. At no moment are the bytes nowhere; killed, it may leave the file at both places. Who moves many
        into a folder says not to `sync`, and calls `sync` after the last."""

    def rename_folder(self, folder: Path, target: Path) -> bool:
        """Gives a folder another name; False, and nothing done, if something else has that. May be repeated."""

    def remove(self, path: Path) -> None:
        """Deletes a file; no harm if it is gone."""

    def remove_empty(self, folder: Path) -> None:
        """Removes a folder and those in it, as far as nothing is left in them. Raises nothing."""

    def sync(self, folder: Path) -> None:
        """Lets what was moved into a folder survive a power cut."""
