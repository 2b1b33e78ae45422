"""remove: a person, or some of their photos, out of training-images and the intakes.

Goes in: an album, a person and perhaps photos. Comes out: the files, in removed-images or deleted. That is all the
stage does: catalog and model then follow what is on disk, so a removal that was killed anywhere is finished by the same
command.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import PhotoError, StorageError, UsageError
from mien.storage.free_names import FreeNames
from mien.storage.layout import REMOVED, Layout
from mien.storage.named import places
from mien.storage.photo_store import PhotoStore
from mien.storage.walk import files_below
from mien.text.names import nfc


@dataclass(frozen=True, slots=True)
class Leaving:
    """Files that are to leave a person's `folders` in training-images and the intakes, sorted, and those that were
    named and are not there; `closed` is what could not be looked at, in which there may be more."""

    person: str
    folders: tuple[Path, ...]
    files: tuple[Path, ...]
    missing: tuple[Path, ...]
    closed: tuple[PhotoError, ...] = ()


def leaving(
    layout: Layout, person: str, photos: Sequence[Path] = (), everywhere: bool = False, known: Iterable[Path] = ()
) -> Leaving:
    """What is meant by `person` (NFC) and `photos`: files of that person, by their path, by their path in the person's
    folder, or as mien writes them ("Ada/1.jpg"); without any, all that is in there. Raises UsageError for what is no
    file of that person, AlbumError without training-images, and StorageError where a shelf cannot be listed.

    `everywhere` are the person's folders in removed-images and aligned-images too. The `known` files of the person are
    those of `OpenAlbum.filed`."""
    store = layout.photos
    folders = tuple(sorted({*_folders(layout, person, everywhere), *map(layout.folder_of, known)}))
    if not photos:
        closed: list[PhotoError] = []
        below = [file for folder in folders for file in files_below(store, folder, closed.append, known)]
        files = [file for file in below if everywhere or not _is_linked_folder(store, file)]
        if everywhere:
            files += [entry for entry in _of_name(layout, person, everywhere) if store.is_link(entry)]
        return Leaving(person, folders, tuple(sorted(files)), (), tuple(closed))
    found: set[Path] = set()
    missing = []
    for photo in photos:
        named = (*(folder / photo for folder in folders), *places(layout, photo))
        there = [file for file in named if store.is_there(file)]
        if not there:
            missing.append(photo)
            continue
        real = [store.real(file.parent) / file.name for file in there if not store.is_folder(file)]
        theirs = [file for file in real if any(file.is_relative_to(store.real(folder)) for folder in folders)]
        if not theirs:
            raise UsageError(
                str(photo), f"is no photo of {person} in this album", "Name photos in the person's folder."
            )
        found.add(theirs[0])
    return Leaving(person, folders, tuple(sorted(found)), tuple(missing))


def take_out(layout: Layout, plan: Leaving, delete: bool) -> tuple[Path, ...]:
    """Moves the files to removed-images/<person>/, or deletes them, and removes folders that are empty then. Where they
    are now comes back, nothing if they were deleted. The album is open for writing. Raises AlbumError, StorageError."""
    now = []
    for file in plan.files:
        if delete:
            layout.photos.remove(file)
        else:
            now.append(_set_aside(layout.photos, file, _place(layout, plan, file)))
    for folder in plan.folders:
        layout.photos.remove_empty(folder)
    return tuple(now)


def _folders(layout: Layout, person: str, everywhere: bool) -> tuple[Path, ...]:
    """A person's folders, where they wait to be merged too, or they would come back: on some disks José and José,
    differently spelt, are two."""
    layout.require_training()
    found = _of_name(layout, person, everywhere)
    return tuple(sorted(entry for entry in found if _is_real_folder(layout.photos, entry)))


def _of_name(layout: Layout, person: str, everywhere: bool) -> list[Path]:
    """Folders of the person, and links that have the person's name: where these lead is another matter."""
    tops = [layout.training, *map(layout.shelf, layout.intakes())]
    if everywhere:
        tops += [top for top in (layout.removed, layout.aligned) if _is_real_folder(layout.photos, top)]
    return [entry for top in tops for entry in layout.photos.entries(top) if nfc(entry.name) == person]


def _is_real_folder(store: PhotoStore, entry: Path) -> bool:
    return not store.is_link(entry) and store.is_folder(entry)


def _is_linked_folder(store: PhotoStore, entry: Path) -> bool:
    """Whether it is a link to a folder, which stays where the person's files go."""
    return store.is_link(entry) and entry.is_dir()


def _place(layout: Layout, plan: Leaving, file: Path) -> Path:
    """Where a file goes, its folder made. Raises StorageError for a file in none of the folders."""
    real = layout.photos.real
    here = real(file.parent)
    below = next((here.relative_to(real(one)) for one in plan.folders if here.is_relative_to(real(one))), None)
    if below is None:
        raise StorageError(str(file), f"lies in no folder of {plan.person}", "Name photos in the person's folder.")
    own = layout.person_folder(REMOVED, plan.person)
    layout.photos.make_folder(own / below)
    return own / below / file.name


def _set_aside(store: PhotoStore, file: Path, target: Path) -> Path:
    """Moves `file` to `target`, or beside it under a name that is free; where the same is there already, this one goes.
    A link is never the same: it may lead to `file` itself."""
    names = FreeNames()
    while not store.move(file, free := target.with_name(names.take(target.name))):
        if store.is_copy(file, free):
            store.remove(file)
            break
    return free
