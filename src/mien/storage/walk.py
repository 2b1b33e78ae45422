"""Which photos there are: on a shelf of an album, by person, or below whatever a user names. No photo is opened.

A folder that cannot be listed, a file that cannot be looked at and a link whose target is away say nothing of what was
there: they are reported, and never taken for gone.
"""

from __future__ import annotations

import errno
import os
import stat
import unicodedata
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from operator import attrgetter
from pathlib import Path

from mien.errors import PhotoError, StorageError, UsageError
from mien.storage.files import entries, is_folder
from mien.storage.in_folder import IN_FOLDERS, is_junction, is_real_folder
from mien.storage.layout import TRAINING, Layout, Shelf, day_of, shown
from mien.storage.objects import store_error
from mien.storage.photo_store import PhotoStore, Stored, file_at
from mien.text.findings import LeftOutKind
from mien.text.kinds import Kind
from mien.text.names import folded, is_unicode, nfc, quoted_name
from mien.text.photos import PhotoFault
from mien.text.system_folders import is_of_cameras, is_of_systems
from mien.text.words import Figure
from mien.vision.sniff import container_of_name, kind_of_name


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

    def error(self, about: str) -> PhotoError:
        """Why it cannot be looked at, of what is called `about`. Raises KeyError for what is left out otherwise."""
        return PhotoError(about, _FAULTS[self.kind], self.figures)

    def to_json(self) -> dict[str, str]:
        """The same for programs."""
        return {"photo": shown(self.path), "kind": str(self.kind), "reason": self.reason}


@dataclass(frozen=True, slots=True)
class Shelved:
    """What lies on `shelves`: `people` (NFC, sorted, also those without a photo), `files` and `left_out` by path. Where
    it is what lies there of one `person`, nothing is said of anybody else."""

    shelves: tuple[Shelf, ...]
    people: tuple[str, ...]
    files: tuple[ShelfFile, ...]
    left_out: tuple[LeftOut, ...]
    person: str = ""

    @property
    def closed(self) -> tuple[LeftOut, ...]:
        """The folders and files that could not be looked at: of what is in them nobody knows anything new."""
        return tuple(one for one in self.left_out if one.kind in CLOSED)

    def hidden(self, paths: Iterable[str]) -> set[str]:
        """Those of `paths`, which were there before, that are closed or lie in a closed folder."""
        closed = {one.path for one in self.closed}
        return {path for path in paths if closed and not closed.isdisjoint(_with_folders(path))}


_ASKED_AT_ONCE = 16
"""Photos asked for at once where a listing may be late."""

CLOSED = frozenset({LeftOutKind.UNREADABLE, LeftOutKind.AWAY, LeftOutKind.BROKEN_LINK, LeftOutKind.EMPTIED})
"""Why something cannot be looked at."""

_FAULTS: Mapping[Kind, PhotoFault] = {
    LeftOutKind.UNREADABLE: PhotoFault.FORBIDDEN,
    LeftOutKind.AWAY: PhotoFault.DISK,
    LeftOutKind.BROKEN_LINK: PhotoFault.BROKEN_LINK,
    LeftOutKind.NOT_UNICODE: PhotoFault.NAME,
}


def _with_folders(path: str) -> Iterator[str]:
    """A path, and those of the folders that it lies in."""
    while path:
        yield path
        path = path.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class Below:
    """What lies below what a user named: `photos` as (photo, its path relative to what was named), and what could not
    be looked at, each once."""

    photos: tuple[tuple[Path, Path], ...]
    closed: tuple[PhotoError, ...]


def walk(layout: Layout, shelves: Sequence[Shelf], person: str = "") -> Shelved:
    """Everything on these shelves, of one `person` (NFC) if one is named: then no folder of anybody else is
    looked into. Raises AlbumError if training-images is one of them and missing.

    An intake is walked strictly: links to photos are left out too, and so is what is no photo by its name, for it is
    the user's to say what becomes of it.
    """
    if TRAINING in shelves:
        layout.require_training()
    walks = [_walk_of(layout, shelf, person) for shelf in shelves]
    return Shelved(
        tuple(shelves),
        tuple(sorted({person for one in walks for person in one.people})),
        tuple(file for one in walks for file in one.files),
        tuple(one for each in walks for one in each.left_out),
        person,
    )


def _walk_of(layout: Layout, shelf: Shelf, person: str = "") -> Shelved:
    """What lies on one shelf, of one person if one is named."""
    top, start, strict = layout.shelf(shelf), f"{shelf}/", day_of(shelf) is not None
    flat = layout.photos.flat(top, _spellings(person))
    return _walk(top, start, strict, person) if flat is None else _walk_flat(flat, start, strict, person)


def with_unlisted(layout: Layout, shelved: Shelved, missing: Mapping[str, str]) -> Shelved:
    """`shelved` with those of the `missing` photos (the person of each path) that are there although a listing has not
    got them. One that cannot be asked for is closed."""

    def ask(path: str) -> ShelfFile | LeftOut | None:
        try:
            found = layout.photos.find(layout.file(path))
        except StorageError as error:
            return _left_closed(path, error.__cause__ if isinstance(error.__cause__, OSError) else OSError(error.what))
        return ShelfFile(path, missing[path], found.size, found.version, found.version) if found else None

    if not missing:
        return shelved
    with ThreadPoolExecutor(_ASKED_AT_ONCE) as together:
        found = [one for one in together.map(ask, missing) if one]
    files = [one for one in found if isinstance(one, ShelfFile)]
    by_path = attrgetter("path")
    return replace(
        shelved,
        people=tuple(sorted({*shelved.people, *(one.person for one in files)})),
        files=tuple(sorted([*shelved.files, *files], key=by_path)),
        left_out=tuple(sorted([*shelved.left_out, *(one for one in found if isinstance(one, LeftOut))], key=by_path)),
    )


def has_photo(layout: Layout, person: str) -> bool:
    """Whether the person of this name (NFC) has a photo in training-images. A folder that cannot be looked into has
    none."""
    photos = layout.photos
    flat = photos.flat(layout.training, _spellings(person))
    try:
        if flat is not None:  # a listing may have what is gone already, and so each photo is asked for
            files = _walk_flat(flat, f"{TRAINING}/", False, person).files
            return any(photos.find(layout.file(one.path)) for one in files)
        folders = [one for one in os.scandir(layout.training) if nfc(one.name) == person and is_real_folder(one)]
    except (OSError, StorageError):
        return False
    return any(photo for entry in folders for photo in _photos_in(Path(entry.path), lambda _: None))


def people_of(layout: Layout) -> list[str]:
    """The names (NFC) of all who have a folder in training-images, without a look into it. Raises StorageError."""
    return people_in(layout.training, layout.photos)


def people_in(shelf: Path, photos: PhotoStore = IN_FOLDERS) -> list[str]:
    """`people_of` the folder of any shelf."""
    return sorted({nfc(entry.name) for entry in _folders_of_people(shelf, photos)})


def folders_of_people(layout: Layout) -> dict[str, list[Path]]:
    """By name (NFC) the folders of all who have one in training-images: two where a name is written in two ways. Raises
    StorageError."""
    found: dict[str, list[Path]] = {}
    for entry in _folders_of_people(layout.training, layout.photos):
        if not layout.photos.is_link(entry):
            found.setdefault(nfc(entry.name), []).append(entry)
    return found


def _folders_of_people(shelf: Path, photos: PhotoStore) -> Iterator[Path]:
    """The people's folders on a shelf. In a bucket all that are listed are folders, and none is asked for again."""
    named = (one for one in photos.folders(shelf) if not is_of_systems(one.name) and is_unicode(one.name))
    return (one for one in named if not photos.in_folders or photos.is_folder(one))


def of_person(layout: Layout, person: str, folders: Sequence[Path] | None = None) -> tuple[ShelfFile, ...]:
    """The photos of the person of this name (NFC) in training-images, by path, in these `folders` of theirs if they are
    known already. What cannot be looked at is passed over. Raises StorageError."""
    flat = layout.photos.flat(layout.training, _spellings(person))
    if flat is not None:
        return _walk_flat(flat, f"{TRAINING}/", False, person).files
    mine = folders_of_people(layout).get(person, []) if folders is None else folders
    walks = [_walk(folder, f"{TRAINING}/{folder.name}/", False, whose=person) for folder in mine]
    return tuple(file for each in walks for file in each.files)


def is_empty(layout: Layout) -> bool:
    """Whether nothing lies in training-images, not even an empty folder: so does the place look at which a drive is not
    connected. Raises StorageError if it cannot be listed."""
    flat = layout.photos.flat(layout.training)
    if flat is None:
        return all(is_of_systems(entry.name) for entry in entries(layout.training))
    try:
        return all(is_of_systems(one.path.partition("/")[0]) for one in flat)
    except OSError as error:
        raise store_error(layout.photos.where(layout.training), error) from error


def people_below(folder: Path) -> tuple[list[tuple[Path, str]], tuple[PhotoError, ...]]:
    """(photo, person) for the photos of any folder that is laid out like training-images, in order of path, and what
    could not be looked at.

    Raises UsageError if there is no such folder or no such photo, and PhotoError if nothing in it can be looked at.
    """
    if not is_folder(folder):
        raise UsageError(str(folder), "is not a folder", "Give a folder with a folder of photos for each person.")
    walked = _walk(folder, "", False)
    found = [(folder / one.path, one.person) for one in walked.files]
    closed = tuple(one.error(str(folder / one.path)) for one in walked.left_out if one.kind in _FAULTS)
    if not found and closed:
        raise closed[0]
    if not found:
        raise UsageError(str(folder), "holds no photo in a person's folder", f"Put photos into {folder / '<person>'}.")
    return found, closed


def photos_below(named: Iterable[Path]) -> Below:
    """Every photo below what is `named`, folders in order of name.

    A file named outright is taken whatever it is called; in folders, at any depth, only what looks like a photo by its
    name, and nothing hidden or that systems put beside photos. Links to folders are not followed. Raises UsageError for
    a path that is not there, and if there is no photo at all and everything could be looked at.
    """
    found: dict[Path, Path] = {}
    closed: list[PhotoError] = []
    named = list(named)
    for path in named:
        try:
            is_one = not stat.S_ISDIR(path.stat().st_mode)
        except (OSError, ValueError) as error:  # ValueError: a zero byte, which no name has
            if isinstance(error, ValueError) or error.errno in _NOT_THERE:
                raise UsageError(str(path), "does not exist", "Check the path.") from error
            closed.append(_closed(path, error))
            continue
        for photo in [path] if is_one else _photos_in(path, closed.append):
            found.setdefault(photo, Path(path.name) if is_one else photo.relative_to(path))
    if not found and not closed:
        about = ", ".join(map(str, named)) or "An empty list"
        what = "hold no photo" if len(named) > 1 else "holds no photo"
        for inside in (one.name for path in named for one in entries(path)):
            if (kind := container_of_name(inside)) and kind.fault:
                raise UsageError(about, f"{what}, but {quoted_name(inside)}, {kind.words}", kind.fault.remedy)
        raise UsageError(about, what, "Name photos, or folders that hold some.")
    return Below(tuple(found.items()), tuple({error.about: error for error in closed}.values()))


_NOT_THERE = (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
"""What the system says of a path at which nothing can be."""


def files_below(
    photos: PhotoStore, folder: Path, closed: Callable[[PhotoError], object], known: Iterable[Path] = ()
) -> Iterator[Path]:
    """Everything below a folder that is no folder itself, links to folders among it; `closed` is told of what cannot be
    looked at, and of a key that is no path: the path that it seems to be is that of another file. Where a listing may
    be late, the `known` files that it has not got are asked for by themselves. Raises StorageError for one that cannot
    be."""
    flat = photos.flat(folder)
    if flat is None:
        yield from (Path(entry.path) for entry in _below(folder, closed, lambda _: False))
        return
    listed = set[Path]()
    try:
        for one in flat:
            if file := file_at(folder, one.path):
                listed.add(file)
                yield file
            elif not one.path.endswith("/"):
                closed(PhotoError(f"{photos.where(folder)}/{_printable(one.path)}", PhotoFault.KEY))
    except OSError as error:
        closed(PhotoError.of_file(photos.where(folder), error))
        return
    yield from (file for file in known if folder in file.parents and file not in listed and photos.is_file(file))


def _photos_in(folder: Path, closed: Callable[[PhotoError], object]) -> Iterator[Path]:
    for entry in _below(folder, closed, is_of_systems):
        if kind_of_name(entry.name) == "photo" and not _is_linked_folder(entry):
            yield Path(entry.path)


def _below(
    top: Path, closed: Callable[[PhotoError], object], passed_over: Callable[[str], bool]
) -> Iterator[os.DirEntry[str]]:
    """What is no real folder below `top`: the files of a folder in order of name, then those of the folders in it.
    `os.walk` would pass over what it cannot list, and in Python 3.11 fail where folders lie a thousand deep."""
    folders = [top]
    while folders:
        here = folders.pop()
        try:
            found = sorted(os.scandir(here), key=attrgetter("name"))
        except OSError as error:
            closed(_closed(here, error))
            continue
        inner: list[Path] = []
        for entry in (one for one in found if not passed_over(one.name)):
            try:
                is_real = is_real_folder(entry)
            except OSError as error:
                closed(_closed(Path(entry.path), error))
                continue
            if is_real:
                inner.append(Path(entry.path))
            else:
                yield entry
        folders += reversed(inner)


def _is_linked_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return entry.is_dir()
    except OSError:  # whoever reads it will be told
        return False


def _closed(path: Path, error: OSError) -> PhotoError:
    """Why a folder cannot be listed, or a file not be looked at."""
    return PhotoError.of_file(str(path).encode("utf-8", "backslashreplace").decode(), error)


def _walk(top: Path, start: str, strict: bool, only: str = "", whose: str = "") -> Shelved:
    """A person is a folder directly in `top`, or `top` is that of the person `whose` name is given, with photos at any
    depth. What is hidden or of systems is passed over, and a camera's folder left out where a person's should be. Links
    to photos are followed, links to folders are not: so no walk is endless. `start` is put before each path. A `strict`
    walk follows no link at all and leaves out, rather than passes over, what is no photo by its name. Of the people it
    may be asked for `only` one."""
    people: set[str] = set()
    files: list[ShelfFile] = []
    left_out: list[LeftOut] = []
    folders = [(top, start, whose)]  # folder, its path with a slash behind it, person
    while folders:
        folder, prefix, person = folders.pop()
        try:
            found = list(os.scandir(folder))
        except OSError as error:
            left_out.append(_left_closed(prefix.rstrip("/"), error))
            continue
        for entry in (one for one in found if not is_of_systems(one.name)):
            path = prefix + entry.name
            if only and not person and nfc(entry.name) != only:
                continue
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
                elif why := _unfit(entry.name, entry.is_symlink(), person, strict):
                    left_out.append(LeftOut(path, why))
                elif kind_of_name(entry.name) == "photo":
                    stat = entry.stat()
                    files.append(ShelfFile(path, person, stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns))
            except OSError as error:
                broken = entry.is_symlink() and error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP)
                left_out.append(LeftOut(path, LeftOutKind.BROKEN_LINK) if broken else _left_closed(path, error))
    by_path = attrgetter("path")
    return Shelved((), tuple(sorted(people)), tuple(sorted(files, key=by_path)), tuple(sorted(left_out, key=by_path)))


def _spellings(person: str) -> tuple[str, ...]:
    """How the folder of a person (NFC) may be spelt."""
    return tuple(dict.fromkeys((person, unicodedata.normalize("NFD", person)))) if person else ()


def _walk_flat(found: Iterator[Stored], start: str, strict: bool, only: str = "") -> Shelved:
    """`_walk` of a store that has no folders, whose files come in one listing. What is no path that every disk could
    have is left out, and so is what differs from a file before it in letter case or Unicode form only. A listing that
    fails on the way says nothing of what it did not come to: the shelf is closed as a whole."""
    people: set[str] = set()
    files: list[ShelfFile] = []
    left_out: dict[str, LeftOut] = {}
    folded_paths: set[str] = set()
    try:
        for one in found:
            path = start + one.path
            *folders, name = one.path.split("/")
            person = nfc(folders[0]) if folders else ""
            if only and person != only:
                continue
            if not any(part in ("", "..") for part in folders) and any(map(is_of_systems, folders)):
                continue
            if not _is_path(one.path):
                written = _printable(path)
                left_out[written] = LeftOut(written, LeftOutKind.NO_PATH)
            elif person and is_of_cameras(folders[0]):
                camera = f"{start}{folders[0]}"
                left_out[camera] = LeftOut(camera, LeftOutKind.NO_PERSON)
            elif folded(path) in folded_paths:
                left_out[path] = LeftOut(path, LeftOutKind.ALIKE_NAMES)
            else:
                people.update({person} if person else ())
                if not name or is_of_systems(name):
                    continue
                folded_paths.add(folded(path))
                if why := _unfit(name, False, person, strict):
                    left_out[path] = LeftOut(path, why)
                elif kind_of_name(name) == "photo":
                    files.append(ShelfFile(path, person, one.size, one.version, one.version))
    except OSError as error:
        return Shelved((), (), (), (_left_closed(start.rstrip("/"), error),))
    by_path = attrgetter("path")
    left = tuple(sorted(left_out.values(), key=by_path))
    return Shelved((), tuple(sorted(people)), tuple(sorted(files, key=by_path)), left)


def _printable(path: str) -> str:
    return path if path.isprintable() else path.encode("unicode_escape").decode()


def _is_path(path: str) -> bool:
    """Whether it is the path of a file, or with a slash behind it of a folder, and such as every system can have."""
    parts = path.removesuffix("/").split("/")
    return path.isprintable() and "\\" not in path and not any(part in ("", ".", "..") for part in parts)


def _left_closed(path: str, error: OSError) -> LeftOut:
    if error.errno in (errno.EACCES, errno.EPERM):
        return LeftOut(path, LeftOutKind.UNREADABLE)
    return LeftOut(path, LeftOutKind.AWAY, {"said": error.strerror or str(error)})


def _unfit(name: str, is_link: bool, person: str, strict: bool) -> LeftOutKind | None:
    """Why a file is left out, if it is; a file that is no photo by its name is only left out by a strict walk."""
    kind = kind_of_name(name)
    if strict and is_link:
        return LeftOutKind.LINKED_PHOTO
    if kind == "unsupported":
        return LeftOutKind.UNSUPPORTED
    if kind == "ignored":
        if container := container_of_name(name):
            return LeftOutKind.ARCHIVE if container.fault == PhotoFault.ARCHIVE else LeftOutKind.SHORTCUT
        return LeftOutKind.NO_PHOTO if strict else None
    return None if person else LeftOutKind.NO_PERSON
