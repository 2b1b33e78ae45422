"""correct: which files go where when photos go to another person or a person gets another name, and there they go.

Goes in: an album, and photos or people. Comes out: the steps, each a file or a person's folder with the place that it
goes to, under a name that nothing there has. Nothing is overwritten, nothing is deleted. A step may be taken again
after a kill, and back.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Sequence
from pathlib import Path

from mien.errors import AlbumError, PhotoError, StorageError, UsageError
from mien.open_album import OpenAlbum
from mien.records.corrections import Step
from mien.storage.free_names import FreeNames
from mien.storage.layout import REMOVED, TRAINING, Layout, Shelf, shelf_of
from mien.storage.named import text_path
from mien.storage.person_folders import PersonFolders
from mien.storage.photo_store import PhotoStore
from mien.storage.walk import files_below
from mien.text.names import nfc


def person_of(path: str) -> str:
    """Under whom the file at an album's path lies."""
    return nfc(path.split("/")[1])


class Targets:
    """Where files go that become a person's, on whatever shelf: to where they lay below the folder of whoever had them,
    under names that are free there."""

    def __init__(self, album: OpenAlbum, person: str) -> None:
        self._layout, self._person = album.layout, person
        self._folders: dict[Shelf, Path] = {}
        self._names: dict[Path, FreeNames] = {}

    def of(self, path: str) -> str:
        """The path that a file goes to. Raises UsageError for a name that a new person cannot have here, AlbumError."""
        shelf, _, below = path.split("/", 2)
        folder = self._folder(Shelf(shelf)) / Path(below).parent
        if folder not in self._names:
            self._names[folder] = FreeNames(entry.name for entry in self._layout.photos.entries(folder))
        return self._layout.path(folder / self._names[folder].take(Path(below).name))

    def _folder(self, shelf: Shelf) -> Path:
        if shelf not in self._folders:
            self._folders[shelf] = folder_for(self._layout, shelf, self._person)
        return self._folders[shelf]


def folder_for(layout: Layout, shelf: Shelf, person: str, instead: str = "") -> Path:
    """The folder on a shelf of somebody who may be new there, perhaps `instead` of somebody who is there. Raises
    UsageError where not every disk could tell the two, and for a name that no folder can have."""
    folders = PersonFolders(layout, shelf)
    other = folders.namesake(person)
    if other not in (None, instead):
        raise UsageError(person, f"is not told from {other} by every disk or eye", f"If {other} is meant, write it so.")
    return folders.of(person)


def steps_of_join(
    album: OpenAlbum, person: str, target: str, ids: tuple[str, str], known: dict[str, str]
) -> list[Step]:
    """The steps by which all files of a person become somebody else's; `known` are the SHA-256 of photos by path.
    Raises StorageError, PhotoError, AlbumError for what cannot be looked at."""
    targets, filed = Targets(album, target), album.filed(person)
    return [
        Step(path, targets.of(path), *ids, known.get(path, ""))
        for folder in folders_of(album.layout, person, filed)
        for file in _files(album.layout, folder, filed)
        for path in (text_path(album.layout.path(file)),)
    ]


def _files(layout: Layout, folder: Path, filed: Iterable[Path] = ()) -> Iterator[Path]:
    def closed(error: PhotoError) -> None:
        raise error

    return iter(sorted(files_below(layout.photos, folder, closed, filed)))


def folders_of(layout: Layout, person: str, filed: Iterable[Path] = ()) -> list[Path]:
    """The folders of a person (NFC) on all shelves, in whatever form their names are written, those of the files that
    are `filed` under the person among them. Raises AlbumError for a
    link, as nothing is changed outside the album."""
    photos = layout.photos
    found = [
        entry
        for shelf in (TRAINING, *layout.intakes(), REMOVED)
        for entry in photos.entries(layout.shelf(shelf))
        if nfc(entry.name) == person and (photos.is_link(entry) or photos.is_folder(entry))
    ]
    for link in filter(photos.is_link, found):
        raise AlbumError(str(link), "is a link", "Put a real folder in its place.")
    return list(dict.fromkeys((*found, *map(layout.folder_of, filed))))


def steps_of_rename(album: OpenAlbum, person: str, name: str, ids: tuple[str, str]) -> list[Step]:
    """The steps by which the folders of a person get another name, each as a whole; file by file where a shelf has a
    folder of that name, or two of the person's, as their name is written in two ways, and where a listing of the folder
    has not got all of it. Raises as `steps_of_join` does."""
    layout, steps, filed = album.layout, list[Step](), album.filed(person)
    taken: dict[Shelf, FreeNames] = {}
    for folder in folders_of(layout, person, filed):
        shelf = shelf_of(layout.path(folder))
        target = folder_for(layout, shelf, name, instead=person)
        is_free = not layout.photos.is_there(target) or layout.photos.is_same(target, folder)
        files = list(_files(layout, folder, filed))
        if shelf not in taken:
            is_whole = is_free and len(files) == len(list(_files(layout, folder)))
            there = folder if is_whole else target
            taken[shelf] = FreeNames(file.relative_to(there).as_posix() for file in _files(layout, there))
            if is_whole:
                steps.append(Step(layout.path(folder), layout.path(target), *ids))
                continue
        for file in files:
            below = taken[shelf].take(file.relative_to(folder).as_posix())
            steps.append(Step(text_path(layout.path(file)), f"{layout.path(target)}/{below}", *ids))
    return steps


def steps_of_set_aside(
    album: OpenAlbum, person: str, name: str, ids: tuple[str, str], hashes: Collection[str]
) -> list[Step]:
    """The steps by which those photos of a person that were set aside, and have one of these SHA-256, go to where those
    of `name` are set aside."""
    layout = album.layout
    own, target = layout.person_folder(REMOVED, person), layout.person_folder(REMOVED, name)
    if not hashes or not layout.photos.is_there(own):
        return []
    there = _files(layout, target) if layout.photos.is_there(target) else ()
    taken = FreeNames(file.relative_to(target).as_posix() for file in there)
    return [
        Step(layout.path(file), f"{layout.path(target)}/{taken.take(file.relative_to(own).as_posix())}", *ids, sha256)
        for file in _files(layout, own)
        if (sha256 := sha256_of(layout, file)) in hashes
    ]


def back(steps: Sequence[Step]) -> list[Step]:
    """The steps that take these back."""
    return [Step(one.now, one.was, one.target, one.person, one.sha256) for one in reversed(steps)]


def take(layout: Layout, steps: Iterable[Step]) -> None:
    """Takes the steps, those that were taken already too, and removes folders of people that are empty then. What is
    not there any more is passed over. Raises StorageError where something else lies in a file's place."""
    left, filled, photos = set[Path](), set[Path](), layout.photos
    for step in steps:
        source, target = layout.file(step.was), layout.file(step.now)
        if photos.is_there(source):
            photos.make_folder(target.parent)
            if photos.is_folder(source) and not photos.is_link(source):
                _rename(photos, source, target)
            else:
                _move(photos, source, target)
            filled.add(target.parent)
        left.add(layout.folder.joinpath(*step.was.split("/")[:2]))
    for folder in filled:
        photos.sync(folder)
    for folder in left:
        if not photos.is_link(folder):
            photos.remove_empty(folder)


def _rename(photos: PhotoStore, folder: Path, target: Path) -> None:
    """Another name for a folder; another letter case of its name is none that is taken."""
    if not photos.rename_folder(folder, target):
        raise _in_the_way(target)


def _move(photos: PhotoStore, file: Path, target: Path) -> None:
    if photos.move(file, target, sync=False):
        return
    if not photos.is_copy(file, target):
        raise _in_the_way(target)
    photos.remove(file)  # it was killed between its two names


def _in_the_way(target: Path) -> StorageError:
    return StorageError(str(target), "is in the way", "Move it elsewhere, and run the same command again.")


def hindrance(layout: Layout, steps: Sequence[Step]) -> UsageError | None:
    """Why steps cannot be taken back; None if they can: each file is where it was put, as it was, and nothing is where
    it was."""
    photos = layout.photos
    for step in steps:
        now, was = layout.file(step.now), layout.file(step.was)
        if not photos.is_there(now):
            return UsageError(str(now), "is not there any more", _BY_HAND)
        if step.sha256 and sha256_of(layout, now) != step.sha256:
            return UsageError(str(now), "has changed since", _BY_HAND)
        if photos.is_there(was) and not photos.is_same(was, now):
            return UsageError(str(was), "is there again", _BY_HAND)
    return None


_BY_HAND = (
    "So the last correction cannot be undone as a whole. Put the file back to where it was, or correct what is left by "
    "`mien move PHOTO PERSON`."
)


def sha256_of(layout: Layout, file: Path) -> str:
    """The SHA-256 of a file's bytes (hex), "" where it cannot be read."""
    try:
        return layout.photos.sha256(file)
    except PhotoError:
        return ""
