"""people: who is in an album, and which photos of each.

Goes in: an album, and where to begin. Comes out: people by name, or the photos of one. Photos are known by the hash of
their bytes. Changes nothing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from pathlib import Path
from typing import Any

from mien.errors import ModelError, PhotoError
from mien.open_album import OpenAlbum
from mien.registry import versions
from mien.storage.layout import TRAINING
from mien.storage.walk import ShelfFile, folders_of_people, of_person


@dataclass(frozen=True, slots=True)
class Listed:
    """Somebody who has a folder in training-images, or whom the model in use knows: how many `photos` lie there, on
    what `basis` they may be recognised, since when they are in the album, `until` which day they may be recognised.
    `basis` and `since` are None where nothing was looked at yet."""

    person: str
    photos: int
    basis: str | None
    since: datetime | None
    until: date | None
    known: bool

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "person": self.person,
            "photos": self.photos,
            "basis": self.basis,
            "since": self.since.isoformat() if self.since else None,
            "until": self.until.isoformat() if self.until else None,
            "known": self.known,
        }


@dataclass(frozen=True, slots=True)
class OwnPhoto:
    """A photo of a person in training-images: the SHA-256 of its bytes (hex), how many there are, and where it lies;
    more than once where there are copies."""

    sha256: str
    bytes: int
    files: tuple[Path, ...]


def people(album: OpenAlbum, after: str = "", limit: int | None = None) -> tuple[Listed, ...]:
    """Who is in the album, by name: those whose names come `after` one, and so many at most."""
    folders, known = folders_of_people(album.layout), _known(album)
    names = sorted(name for name in {*folders, *known} if name > after)
    return _listed(album, names[:limit], folders, known)


def person(album: OpenAlbum, name: str) -> Listed | None:
    """What `people` says of the person of this name (NFC); None for nobody's name."""
    folders, known = folders_of_people(album.layout), _known(album)
    return _listed(album, [name], folders, known)[0] if name in folders or name in known else None


def photos(album: OpenAlbum, name: str) -> tuple[OwnPhoto, ...]:
    """The photos of the person of this name (NFC), by their hash. What the catalog does not know yet is hashed now, and
    what cannot be read is left out."""
    known = {file.path: file.sha256 for file in album.catalog.files.on([TRAINING], name)}
    found: dict[str, list[ShelfFile]] = {}
    for file in of_person(album.layout, name):
        with contextlib.suppress(PhotoError):
            sha256 = known.get(file.path) or album.layout.photos.sha256(album.layout.file(file.path))
            found.setdefault(sha256, []).append(file)
    return tuple(
        OwnPhoto(sha256, files[0].size, tuple(album.layout.file(one.path) for one in files))
        for sha256, files in sorted(found.items())
    )


def ids(album: OpenAlbum) -> dict[str, str]:
    """For the album's path of each photo of people, also of those that wait to be merged, its SHA-256 (hex), as far as
    the catalog knows them."""
    on = album.catalog.files.on([TRAINING, *album.layout.intakes()])
    return {file.path: file.sha256 for file in on}


def _known(album: OpenAlbum) -> frozenset[str]:
    """Whom the model in use knows; nobody where it is damaged."""
    with contextlib.suppress(ModelError):
        version = album.version
        return frozenset(versions.people(album.layout.models, version) if version else ())
    return frozenset()


def _listed(
    album: OpenAlbum, names: Iterable[str], folders: Mapping[str, list[Path]], known: frozenset[str]
) -> tuple[Listed, ...]:
    until = album.until
    found = []
    for name in names:
        recorded = album.ledger.people.person(name)
        found.append(
            Listed(
                name,
                len(of_person(album.layout, name, folders.get(name, ()))),
                recorded.basis if recorded else None,
                recorded.since if recorded else None,
                until.get(name) or (recorded.until if recorded else None),
                name in known,
            )
        )
    return tuple(found)
