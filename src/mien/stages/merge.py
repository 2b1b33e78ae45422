"""merge: what waits in the intakes goes into training-images, where it is learned from.

Goes in: an album. Comes out: the photos, each in its person's folder under a name that nothing had, and a `Merged` that
says where each went. Sub-folders of an intake are not kept, names are. Nothing is overwritten; what is there already,
byte for byte and for the same person, is a duplicate and goes; what cannot be placed stays where it is. Killed anywhere
and run again, it ends as if it had not been.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable
from dataclasses import dataclass, replace
from datetime import date
from pathlib import Path
from typing import Any

from mien.errors import AlbumError, StorageError, UsageError
from mien.open_album import OpenAlbum
from mien.records.files import in_groups
from mien.storage.layout import TRAINING, Shelf, day_of, shelf_of, shown
from mien.storage.person_folders import PersonFolders
from mien.storage.photo_store import PhotoStore
from mien.storage.walk import CLOSED, LeftOut, ShelfFile
from mien.text.findings import LeftOutKind
from mien.text.photos import PhotoFault
from mien.text.retries import is_of_the_photo
from mien.vision.sniff import sniff

_FIRST_BYTES = 4096
"""Enough to tell what a file is."""

_GROUP = 200
"""Photos after which the catalog is told where they are: a kill costs as many hashes."""


@dataclass(frozen=True, slots=True)
class Move:
    """A photo that was merged: `photo` is where it waited, `to` where it is or what it is a duplicate of; both relative
    to the album."""

    photo: str
    to: str

    @property
    def renamed(self) -> bool:
        """Whether it got another name, as its own was taken."""
        return self.photo.rpartition("/")[2] != self.to.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did with the intakes of `days`, the oldest first; `left` stays where it was, each for a reason."""

    days: tuple[date, ...]
    moved: tuple[Move, ...]
    duplicates: tuple[Move, ...]
    left: tuple[LeftOut, ...]

    def fails(self, strict: bool) -> bool:
        """Whether something could not be looked at, or not be read this time; if `strict`, whether anything could not
        be read."""
        return any(
            one.kind in CLOSED or (isinstance(one.kind, PhotoFault) and (strict or not is_of_the_photo(one.kind)))
            for one in self.left
        )

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "days": [day.isoformat() for day in self.days],
            "moved": [{"photo": one.photo, "to": shown(one.to)} for one in self.moved],
            "duplicates": [{"photo": one.photo, "of": shown(one.to)} for one in self.duplicates],
            "left": [one.to_json() for one in self.left],
        }


def merge(album: OpenAlbum, days: Collection[date] | None = None, hold: Collection[str] = ()) -> Merged:
    """Merges the intakes of `days`, by default all, but for the photos in `hold` (paths relative to the album). A day
    that has no intake any more is merged already. The album is open for writing.

    Raises StorageError where the disk refuses, and as `OpenAlbum.require_training` does; what was moved by then stays
    moved.
    """
    album.require_training()
    intakes = [shelf for shelf in album.layout.intakes() if days is None or day_of(shelf) in days]
    _require_apart(album, intakes)
    shelved, _ = album.sync([TRAINING, *intakes])
    waiting = [file for file in shelved.files if shelf_of(file.path) != TRAINING]
    left = [one for one in shelved.left_out if shelf_of(one.path) != TRAINING]
    merging = _Merging(album, intakes, hold)
    moved: list[Move] = []
    duplicates: list[Move] = []
    for group in in_groups(waiting, _GROUP):
        moves: list[tuple[str, ShelfFile]] = []
        gone: list[str] = []
        for photo in group:
            if hindrance := merging.hindrance(photo):
                left.append(hindrance)
            elif twin := merging.twin(photo):
                album.layout.photos.remove(album.layout.file(photo.path))
                duplicates.append(Move(photo.path, twin))
                gone.append(photo.path)
            else:
                there = merging.move_in(photo)
                moved.append(Move(photo.path, there.path))
                moves.append((photo.path, there))
        album.catalog.files.move(moves)
        album.catalog.files.drop(gone)
    for shelf in intakes:
        album.layout.photos.remove_empty(album.layout.shelf(shelf))
    left.sort(key=lambda one: one.path)
    return Merged(tuple(filter(None, map(day_of, intakes))), tuple(moved), tuple(duplicates), tuple(left))


def _require_apart(album: OpenAlbum, intakes: Iterable[Shelf]) -> None:
    """Raises AlbumError if training-images is a link into an intake, or to a folder around it: each photo would be
    taken for its own duplicate."""
    training, real_of = album.layout.require_training(), album.layout.photos.real
    real = real_of(training)
    for intake in (real_of(album.layout.shelf(shelf)) for shelf in intakes):
        if real.is_relative_to(intake) or intake.is_relative_to(real):
            raise AlbumError(str(training), f"is a link to {real}", "Link it to a folder of its own.")


def _flaw(path: str, file: Path, photos: PhotoStore) -> LeftOut | None:
    """Why the file is no photo by its first bytes; None if it is one."""
    try:
        data = photos.first_bytes(file, _FIRST_BYTES)
    except StorageError:
        return LeftOut(path, LeftOutKind.UNREADABLE)
    if not data:
        return LeftOut(path, PhotoFault.EMPTY)
    file_type = sniff(data, file.name)
    return LeftOut(path, file_type.fault, {"file_type": file_type.value}) if file_type.fault else None


class _Merging:
    """What tells where a photo of the intakes goes: what is known of it, and what its person has already."""

    def __init__(self, album: OpenAlbum, intakes: Collection[Shelf], hold: Collection[str]) -> None:
        self._layout, self._hold = album.layout, hold
        self._hashes = {file.path: file.sha256 for file in album.catalog.files.on(intakes)}
        self._broken = album.catalog.faces.broken(intakes)
        self._removals = album.ledger.removals
        self._folders = PersonFolders(album.layout, TRAINING)
        self._there: dict[tuple[str, str], list[str]] = {}
        for file in album.catalog.files.on([TRAINING]):
            self._there.setdefault((file.person, file.sha256), []).append(file.path)

    def hindrance(self, photo: ShelfFile) -> LeftOut | None:
        """Why a photo stays where it is, if it does."""
        path, about = photo.path, {"person": photo.person}
        if path in self._hold:
            return LeftOut(path, LeftOutKind.HELD)
        if path in self._broken:
            return LeftOut(path, *self._broken[path])
        if path not in self._hashes:
            return LeftOut(path, LeftOutKind.UNREADABLE)
        if self._removals.has_photo(photo.person, self._hashes[path]):
            return LeftOut(path, LeftOutKind.PHOTO_REMOVED, about)
        if flaw := _flaw(path, self._layout.file(path), self._layout.photos):
            return flaw
        if other := self._folders.namesake(photo.person):
            return LeftOut(path, LeftOutKind.SAME_IN_LETTERS, {**about, "other": other})
        try:
            self._folders.of(photo.person)
        except UsageError:
            return LeftOut(path, LeftOutKind.NO_NAME, about)
        except (AlbumError, StorageError):
            return LeftOut(path, LeftOutKind.NO_FOLDER, about)
        return None

    def twin(self, photo: ShelfFile) -> str | None:
        """A photo of the person in training-images, at any depth, with the same bytes. Not a link: what it points to
        may be the waiting photo itself."""
        file = self._layout.file(photo.path)
        for path in self._there.get((photo.person, self._hashes[photo.path]), ()):
            other = self._layout.file(path)
            with contextlib.suppress(StorageError):  # one that cannot be read is nobody's twin
                if self._layout.photos.is_copy(file, other):
                    return path
        return None

    def move_in(self, photo: ShelfFile) -> ShelfFile:
        """Moves a photo into its person's folder, under a name that is free. The photo as it lies there: by a move the
        system writes the file anew, and whoever has changed it since it was hashed is not to be missed for that."""
        file, written = self._layout.file(photo.path), self._layout.photos.written
        is_still = written(file) == photo.ctime_ns
        target = self._folders.move_in(photo.person, file, file.name)
        path = self._layout.path(target)
        self._there.setdefault((photo.person, self._hashes[photo.path]), []).append(path)
        return replace(photo, path=path, ctime_ns=written(target) if is_still else None)
