"""Which photos there are: on a shelf of an album, by person, or below whatever a user names. No photo is opened."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from operator import attrgetter
from pathlib import Path

from mien.errors import UsageError
from mien.storage.layout import TRAINING, Layout, Shelf, day_of, is_junction, is_real_folder, shown
from mien.text.findings import LeftOutKind
from mien.text.kinds import Kind
from mien.text.names import is_unicode, nfc
from mien.text.system_folders import is_of_cameras, is_of_systems
from mien.text.words import Figure
from mien.vision.sniff import kind_of_name


@dataclass(frozen=True, slots=True)
class ShelfFile:
    """A photo on a shelf: `path` relative to the album, `person` in NFC, `size` in bytes. `ctime_ns` is when the system
    last wrote the file or its name, which no program can set; None where nobody knows."""

    path: str
    person: str
    size: int
    mtime_ns: int
    ctime_ns: int | None = None


@dataclass(frozen=True, slots=True)
class LeftOut:
    """Something that is not learned from, or not merged, so that nothing is lost silently; `kind` and `figures` say
    why."""

    path: str
    kind: Kind
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def reason(self) -> str:
        """Why, in words that complete "it ", "is a link"."""
        return self.kind.say(self.figures)

    def to_json(self) -> dict[str, str]:
        """The same for programs."""
        return {"photo": shown(self.path), "kind": str(self.kind), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Shelved:
    """What lies on `shelves`: `people` (NFC, sorted, also those without a photo), `files` and `left_out` by path."""

    shelves: tuple[Shelf, ...]
    people: tuple[str, ...]
    files: tuple[ShelfFile, ...]
    left_out: tuple[LeftOut, ...]

    @property
    def unreadable(self) -> tuple[str, ...]:
        """The paths of folders and files that could not be looked at."""
        return tuple(one.path for one in self.left_out if one.kind is LeftOutKind.UNREADABLE)


def walk(layout: Layout, shelves: Sequence[Shelf]) -> Shelved:
    """Everything on these shelves. Raises AlbumError if training-images is one of them and missing.

    An intake is walked strictly: links to photos are left out too, and so is what is no photo by its name, for it is
    the user's to say what becomes of it.
    """
    if TRAINING in shelves:
        layout.require_training()
    walks = [_walk(layout.shelf(shelf), f"{shelf}/", day_of(shelf) is not None) for shelf in shelves]
    return Shelved(
        tuple(shelves),
        tuple(sorted({person for one in walks for person in one.people})),
        tuple(file for one in walks for file in one.files),
        tuple(one for each in walks for one in each.left_out),
    )


def has_photo(layout: Layout, person: str) -> bool:
    """Whether the person of this name (NFC) has a photo in training-images. A folder that cannot be looked into has
    none."""
    try:
        entries = [one for one in os.scandir(layout.training) if nfc(one.name) == person and is_real_folder(one)]
    except OSError:
        return False
    return any(photo for entry in entries for photo in _photos_in(Path(entry.path)))


def people_below(folder: Path) -> list[tuple[Path, str]]:
    """(photo, person) for the photos of any folder that is laid out like training-images, in order of path.

    Raises UsageError if there is no such folder or no such photo.
    """
    if not folder.is_dir():
        raise UsageError(str(folder), "is not a folder", "Give a folder with a folder of photos for each person.")
    found = [(folder / one.path, one.person) for one in _walk(folder, "", False).files]
    if not found:
        raise UsageError(str(folder), "holds no photo in a person's folder", f"Put photos into {folder / '<person>'}.")
    return found


def photos_below(named: Iterable[Path]) -> list[tuple[Path, Path]]:
    """(photo, its path relative to what was named) for every photo, folders in order of name, each photo once.

    A file named outright is taken whatever it is called; in folders, at any depth, only what looks like a photo by its
    name, and nothing hidden or that systems put beside photos. Links to folders are not followed. Raises UsageError for
    a path that is not there, and if there is no photo at all.
    """
    found: dict[Path, Path] = {}
    named = list(named)
    for path in named:
        if path.is_dir():
            for photo in _photos_in(path):
                found.setdefault(photo, photo.relative_to(path))
        elif path.exists():
            found.setdefault(path, Path(path.name))
        else:
            raise UsageError(str(path), "does not exist", "Check the path.")
    if not found:
        about = ", ".join(map(str, named)) or "An empty list"
        what = "hold no photo" if len(named) > 1 else "holds no photo"
        raise UsageError(about, what, "Name photos, or folders that hold some.")
    return list(found.items())


def _photos_in(folder: Path) -> Iterator[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_of_systems(name))
        for name in sorted(files):
            if not is_of_systems(name) and kind_of_name(name) == "photo":
                yield Path(here, name)


def _walk(top: Path, start: str, strict: bool) -> Shelved:
    """A person is a folder directly in `top`, with photos at any depth. What is hidden or of systems is passed over,
    and a camera's folder left out where a person's should be. Links to photos are followed, links to folders are not:
    so no walk is endless. `start` is put before each path. A `strict` walk follows no link at all and leaves out,
    rather than passes over, what is no photo by its name."""
    people: set[str] = set()
    files: list[ShelfFile] = []
    left_out: list[LeftOut] = []
    folders = [(top, start, "")]  # folder, its path with a slash behind it, person
    while folders:
        folder, prefix, person = folders.pop()
        try:
            entries = list(os.scandir(folder))
        except OSError:
            left_out.append(LeftOut(prefix.rstrip("/"), LeftOutKind.UNREADABLE))
            continue
        for entry in (one for one in entries if not is_of_systems(one.name)):
            path = prefix + entry.name
            if not is_unicode(entry.name):
                left_out.append(LeftOut(path.encode(errors="replace").decode(), LeftOutKind.NOT_UNICODE))
                continue
            try:
                if entry.is_dir():
                    if entry.is_symlink() or is_junction(entry):
                        left_out.append(LeftOut(path, LeftOutKind.LINKED_FOLDER))
                        continue
                    if not person and is_of_cameras(entry.name):
                        left_out.append(LeftOut(path, LeftOutKind.NO_PERSON))
                        continue
                    below = person or nfc(entry.name)
                    people.add(below)
                    folders.append((Path(entry.path), f"{path}/", below))
                elif why := _unfit(entry, person, strict):
                    left_out.append(LeftOut(path, why))
                elif kind_of_name(entry.name) == "photo":
                    stat = entry.stat()
                    files.append(ShelfFile(path, person, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
            except OSError:
                broken = entry.is_symlink()
                left_out.append(LeftOut(path, LeftOutKind.BROKEN_LINK if broken else LeftOutKind.UNREADABLE))
    by_path = attrgetter("path")
    return Shelved((), tuple(sorted(people)), tuple(sorted(files, key=by_path)), tuple(sorted(left_out, key=by_path)))


def _unfit(entry: os.DirEntry[str], person: str, strict: bool) -> LeftOutKind | None:
    """Why a file is left out, if it is; a file that is no photo by its name is only left out by a strict walk."""
    kind = kind_of_name(entry.name)
    if strict and entry.is_symlink():
        return LeftOutKind.LINKED_PHOTO
    if kind == "unsupported":
        return LeftOutKind.UNSUPPORTED
    if kind == "ignored":
        return LeftOutKind.NO_PHOTO if strict else None
    return None if person else LeftOutKind.NO_PERSON
