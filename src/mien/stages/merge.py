"""merge: what waits in the intakes goes into training-images, where it is learned from.

Goes in: an album and its catalog. Comes out: the photos, each in its person's folder under a name that nothing had, and
a `Merged` that says where each went. Sub-folders of an intake are not kept, names are. Nothing is overwritten; what is
there already, byte for byte and for the same person, is a duplicate and goes; what cannot be placed stays where it is.
Killed anywhere and run again, it ends as if it had not been.
"""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Collection, Iterable
from dataclasses import asdict, dataclass
from datetime import date
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any

from mien.errors import AlbumError, UsageError
from mien.records.catalog import Catalog
from mien.storage.files import HALF_WRITTEN, make_folder, move_file, same_bytes, storage_error
from mien.storage.layout import UNREADABLE, LeftOut, Workspace
from mien.text.names import LONGEST_NAME, folded, valid_person
from mien.vision.images import file_sha256
from mien.vision.sniff import sniff

HELD = "held back"

_FIRST_BYTES = 4096
"""Enough to tell what a file is."""


@dataclass(frozen=True, slots=True)
class Move:
    """A photo that was merged: `photo` is where it waited (relative to the album), `to` where it is or what it is a
    duplicate of (relative to training-images)."""

    photo: str
    to: str

    @property
    def renamed(self) -> bool:
        """Whether it got another name, as its own was taken."""
        return self.photo.rpartition("/")[2] != self.to.rpartition("/")[2]


@dataclass(frozen=True, slots=True)
class Merged:
    """What a merge did with the intakes of `days` (2026-11-23), the oldest first. `left` stays where it was, for the
    reason given."""

    days: tuple[str, ...]
    moved: tuple[Move, ...]
    duplicates: tuple[Move, ...]
    left: tuple[LeftOut, ...]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "days": list(self.days),
            "moved": [asdict(move) for move in self.moved],
            "duplicates": [{"photo": one.photo, "of": one.to} for one in self.duplicates],
            "left": [{"photo": one.path, "reason": one.reason} for one in self.left],
        }


def merge(
    workspace: Workspace, catalog: Catalog, days: Collection[date] | None = None, hold: Collection[str] = ()
) -> Merged:
    """Merges the intakes of `days`, by default all, but for the photos in `hold` (paths relative to the album). A day
    that has no intake any more is merged already. The caller holds the lock.

    Raises StorageError where the disk refuses, AlbumError without training-images; what was moved by then stays moved.
    """
    intakes = [(day, folder) for day, folder in workspace.intakes() if days is None or day in days]
    training, waiting = workspace.walk_training(), workspace.walk_intakes()
    _require_apart(workspace.training, [folder for _, folder in intakes])
    _remember(workspace, catalog)
    hashes, broken = catalog.waiting(), catalog.broken_arrivals()
    shelves = _Shelves(workspace, training.people, catalog.files())
    names = {folder.name for _, folder in intakes}
    moved: list[Move] = []
    duplicates: list[Move] = []
    left = [one for one in waiting.left_out if one.path.split("/")[0] in names]
    for photo in waiting.placements:
        if photo.path.split("/")[0] not in names:
            continue
        file = workspace.waiting_file(photo.path)
        sha256 = hashes.get(photo.path, "")  # "" if it could not be opened
        reason = HELD if photo.path in hold else broken.get(photo.path) or _flaw(file)
        shelf = reason or (shelves.of(photo.person) if sha256 else UNREADABLE)
        if isinstance(shelf, str):
            left.append(LeftOut(photo.path, shelf))
        elif twin := shelf.twin(file, sha256):
            _remove(file)
            duplicates.append(Move(photo.path, twin))
        else:
            moved.append(Move(photo.path, shelf.put(file, sha256)))
    for _, folder in intakes:
        _remove_empty(folder)
    _remember(workspace, catalog)
    left.sort(key=lambda one: one.path)
    return Merged(tuple(day.isoformat() for day, _ in intakes), tuple(moved), tuple(duplicates), tuple(left))


def _require_apart(training: Path, intakes: Iterable[Path]) -> None:
    """Raises AlbumError if training-images is a link into an intake, or to a folder around it: each photo would be
    taken for its own duplicate."""
    real = training.resolve()
    for intake in intakes:
        if real.is_relative_to(intake.resolve()) or intake.resolve().is_relative_to(real):
            raise AlbumError(f"{training} is a link to {real}.", "Link it to a folder of its own.")


def _flaw(file: Path) -> str | None:
    """Why the file is no photo by its first bytes; None if it is one."""
    try:
        with file.open("rb") as opened:
            data = opened.read(_FIRST_BYTES)
    except OSError:
        return UNREADABLE
    looks = sniff(data, file.name)
    if not data:
        return "empty"
    return None if looks.kind == "picture" else f"no photo mien can read; it is {looks.what}"


Files = dict[tuple[str, str], list[str]]
"""(person, SHA-256): the files in training-images that hold that photo, as the catalog knows them."""


class _Shelf:
    """A person's folder in training-images, and what the person has in there at any depth."""

    def __init__(self, person: str, training: Path, folder: Path, files: Files) -> None:
        self._person, self._training, self._folder, self._files = person, training, folder, files
        self._taken: set[str] = set()
        if folder.is_dir():
            for entry in sorted(folder.iterdir()):
                if fnmatchcase(entry.name, HALF_WRITTEN):  # of a merge from another disk that was killed
                    _remove(entry)
                else:
                    self._taken.add(folded(entry.name))

    def twin(self, file: Path, sha256: str) -> str | None:
        """A photo of the person with the same bytes. Not a link: what it points to may be `file` itself."""
        for path in self._files.get((self._person, sha256), ()):
            other = self._training / path
            with contextlib.suppress(OSError):  # one that cannot be read is nobody's twin
                if stat.S_ISREG(other.lstat().st_mode) and same_bytes(file, other):
                    return path
        return None

    def put(self, file: Path, sha256: str) -> str:
        """Moves `file` in, as "<stem>-2" if its name is taken, on whatever system. Where it is now."""
        make_folder(self._folder)
        stem, suffix = os.path.splitext(file.name)  # noqa: PTH122 - of a name, not of a path
        number, name = 1, file.name
        while True:
            if folded(name) not in self._taken:
                self._taken.add(folded(name))
                if move_file(file, self._folder / name):
                    break
            number += 1
            name = f"{stem.encode()[:LONGEST_NAME].decode(errors='ignore')}-{number}{suffix}"
        path = (self._folder / name).relative_to(self._training).as_posix()
        self._files.setdefault((self._person, sha256), []).append(path)
        return path


class _Shelves:
    """The people's folders, each looked into once."""

    def __init__(self, workspace: Workspace, people: Collection[str], files: Files) -> None:
        self._workspace, self._people, self._files = workspace, frozenset(people), files
        self._spelt = {folded(person): person for person in people}
        self._found: dict[str, _Shelf | str] = {}

    def of(self, person: str) -> _Shelf | str:
        """The person's shelf, or why there can be none."""
        if person not in self._found:
            self._found[person] = self._look(person)
        return self._found[person]

    def _look(self, person: str) -> _Shelf | str:
        other = self._spelt.setdefault(folded(person), person)
        if person not in self._people and other != person:
            return f"the album has {other}, who differs from {person} in upper and lower case only"
        try:
            if person not in self._people:
                valid_person(person)
            folder = self._workspace.person_folder(person)
        except (UsageError, AlbumError) as error:
            return error.message.rstrip(".")
        return _Shelf(person, self._workspace.training, folder, self._files)


def _remove(file: Path) -> None:
    try:
        os.unlink(file)  # noqa: PTH108
    except OSError as error:
        raise storage_error(file, error) from error


def _remove_empty(folder: Path) -> None:
    """Removes `folder` and those in it, as far as nothing is left in them."""
    for here, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(here)  # noqa: PTH106 - refused while there is something in it


def _remember(workspace: Workspace, catalog: Catalog) -> None:
    """Lets the catalog know where which photo is now; what was seen in them stays."""
    training = workspace.walk_training()
    catalog.sync(training, lambda path: file_sha256(workspace.photo_file(path)), basis=workspace.settings.basis)
    catalog.sync_intakes(workspace.walk_intakes(), lambda path: file_sha256(workspace.waiting_file(path)))
