"""add: photos from anywhere come in under a person. The originals stay, nothing is overwritten.

Goes in: an album, a person and photo files. Comes out: copies in training-images, each a fetch from the source "hand"
in the ledger, and an `Added`.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from mien.errors import PhotoError, StorageError, UsageError
from mien.open_album import OpenAlbum
from mien.records.history import HAND, Fetch
from mien.records.removals import Removal
from mien.storage.files import is_too_long
from mien.storage.free_names import FreeNames
from mien.storage.layout import TRAINING, Layout
from mien.storage.walk import people_of
from mien.text.names import alike_names, is_unicode, quoted_name
from mien.text.photos import PhotoFault
from mien.vision.images import read_bytes
from mien.vision.sniff import container_of_name, kind_of_name


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` did: photos copied in (where they lie now), how many were there already, what could not be copied, and
    since when the person had been kept out as one who was removed, if so. `near` are the people whose name is nearly
    that of a person who is new."""

    added: tuple[Path, ...]
    known: int
    failures: tuple[PhotoError, ...]
    back: Removal | None
    near: tuple[str, ...] = ()


def add(album: OpenAlbum, person: str, photos: Sequence[Path], origin: str = "") -> Added:
    """Copies `photos` in under `person`, a valid name. One that cannot be read is reported, and the others go in; the
    catalog knows them after this, also if a full disk or Ctrl-C came between. Whoever was removed, and whichever of
    these photos was, may come in from elsewhere again. `origin` says where
    they come from whose files are mere copies; "": from where they lie. The album is open for writing.

    Raises UsageError for a file that is no photo by its name, AlbumError, StorageError.
    """
    placed: dict[Path, Path] = {}
    there: dict[Path, Path] = {}
    failures: list[PhotoError] = []
    removal = album.removal_of(person)
    album.require_training()
    people = people_of(album.layout)
    now = album.ledger.people.called_now(person)
    if person not in people and now != person:
        raise UsageError(quoted_name(person), f"is called {now} now", f"Add the photos to {now}, or give another name.")
    near = [] if person in people else alike_names(person, people)
    try:
        for photo in photos:
            try:
                target, is_new = copy_in(album.layout, person, photo)
            except PhotoError as error:
                failures.append(error)
            else:
                (placed if is_new else there)[target] = photo
    finally:  # a full disk, Ctrl-C: now is when it is known where those that went in came from
        album.sync_person(person)
        fetches = _fetches(album, person, placed, origin)
        unknown = [one for one in _fetches(album, person, there, origin) if not _is_known(album, one)]  # a killed run's
        album.ledger.history.record([*fetches, *unknown])
        if removal and (placed or there):
            album.ledger.removals.bring_back(removal)
        if album.ledger.removals:
            album.ledger.removals.bring_photos_back(person, [one.sha256 for one in (*fetches, *unknown)])
    return Added(tuple(placed), len(there), tuple(failures), removal if placed or there else None, tuple(near))


def add_person(album: OpenAlbum, person: str) -> bool:
    """Makes the folder of `person`, a valid name, who has no photo yet; False where there is one. Whoever was removed
    may come in again. The album is open for writing. Raises UsageError, AlbumError, StorageError."""
    album.require_training()
    if person in people_of(album.layout):
        return False
    now = album.ledger.people.called_now(person)
    if now != person:
        raise UsageError(quoted_name(person), f"is called {now} now", f"Ask for {now}, or give another name.")
    removal = album.removal_of(person)
    album.layout.photos.add_folder(album.layout.person_folder(TRAINING, person))
    if removal:
        album.ledger.removals.bring_back(removal)
    return True


def copy_in(layout: Layout, person: str, photo: Path) -> tuple[Path, bool]:
    """Copies the photo in under `person`, byte for byte and with its time, and returns where it lies, and whether it
    is new there.

    It is not if it is there already under the same name; another photo of that name stays, and this one becomes
    "<stem>-2". Raises UsageError for something that is no photo by its name, PhotoError if it cannot be read or the
    album cannot have such a name, StorageError if it cannot be written, AlbumError if the person's folder is a link.
    """
    if (container := container_of_name(photo.name)) and container.fault:
        what = container.fault.say({"file_type": container.value})
        raise UsageError(quoted_name(str(photo)), what, container.fault.remedy)
    if kind_of_name(photo.name) != "photo":
        raise UsageError(quoted_name(str(photo)), "is not a photo by its name", "Give files such as .jpg or .png.")
    if not is_unicode(photo.name):
        raise PhotoError(quoted_name(str(photo)), PhotoFault.NAME)
    data = read_bytes(photo)
    try:
        stat = photo.stat()
    except OSError as error:
        raise PhotoError.of_file(str(photo), error) from error
    try:
        return _placed(layout, person, photo.name, data, stat)
    except StorageError as error:
        if is_too_long(error):
            raise PhotoError(str(photo), PhotoFault.NAME_TOO_LONG) from error
        raise


def _placed(layout: Layout, person: str, name: str, data: bytes, stat: os.stat_result) -> tuple[Path, bool]:
    """Puts `data` into the person's folder, with the time that `stat` says; see `copy_in`."""
    folder, photos = layout.person_folder(TRAINING, person), layout.photos
    photos.make_folder(folder)
    names = FreeNames()
    while not photos.write_new(target := folder / names.take(name), data, stat):
        if photos.holds(target, data):
            return target, False
    return target, True


def _fetches(album: OpenAlbum, person: str, placed: Mapping[Path, Path], origin: str) -> list[Fetch]:
    """How the photos came that were `placed`, by where each lies. One that cannot be read just now has no hash to be
    known by."""
    found: list[Fetch] = []
    for target, photo in placed.items():
        with contextlib.suppress(PhotoError, StorageError, OSError):
            found.append(_fetch(album, person, photo, target, origin))
    return found


def _is_known(album: OpenAlbum, fetch: Fetch) -> bool:
    """Whether the ledger knows of some way by which the photo came to this person."""
    return any(one.person == fetch.person for one in album.ledger.history.provenance(fetch.sha256))


def _fetch(album: OpenAlbum, person: str, photo: Path, target: Path, origin: str) -> Fetch:
    """How `photo` came to lie at `target`."""
    file = os.fsencode(photo.absolute()).decode(errors="replace")  # a folder's name need not be Unicode
    now = album.clock()
    return Fetch(
        source=HAND,
        location=f"{origin}/{photo.name}" if origin else file,
        person=person,
        sha256=album.layout.photos.sha256(target),
        phash="",
        bytes=album.layout.photos.size(target),
        stamp="",
        licence="",
        basis=album.settings.basis,
        robots="",
        fetched_at=now,
        checked_at=now,
        outcome="placed",
        path=album.layout.path(target),
    )
