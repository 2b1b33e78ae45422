"""stored: the photos in training-images as a collection: each with an id, whose it is, and the face in it.

Goes in: an album, which is only read. Comes out: what lies in training-images, also what the catalog does not know yet.
"""

from __future__ import annotations

import contextlib
import uuid
from dataclasses import dataclass

from mien.errors import PhotoError
from mien.open_album import OpenAlbum
from mien.storage.layout import TRAINING
from mien.storage.walk import walk
from mien.types import Floats

_NAMESPACE = uuid.UUID("5e9d8c0a-7f55-4c27-9a66-0d5f3f1c2b71")


@dataclass(frozen=True, slots=True)
class StoredPhoto:
    """A photo under a person. The `id`, a UUID in text, is made of the person's id in the ledger and the photo's
    SHA-256: it stays when the file or the person gets another name. Of somebody who has no id yet, as nothing was
    looked at since a folder was made by hand, it is made of the name. `path` is relative to the album."""

    id: str
    person: str
    sha256: str
    path: str


def stored_photos(album: OpenAlbum) -> tuple[StoredPhoto, ...]:
    """Every photo in training-images, by path; copies under one person have one id. What the catalog does not know yet
    is hashed now, and what cannot be read is left out. Raises AlbumError without training-images."""
    known = {file.path: file.sha256 for file in album.catalog.files.on([TRAINING])}
    ids: dict[str, str] = {}
    found = []
    for file in walk(album.layout, [TRAINING]).files:
        if file.person not in ids:
            ids[file.person] = album.ledger.people.id_of(file.person) or file.person
        with contextlib.suppress(PhotoError):
            sha256 = known.get(file.path) or album.layout.photos.sha256(album.layout.file(file.path))
            made = str(uuid.uuid5(_NAMESPACE, f"{ids[file.person]} {sha256}"))
            found.append(StoredPhoto(made, file.person, sha256, file.path))
    return tuple(found)


def stored_embedding(album: OpenAlbum, photo: StoredPhoto, encoder: str) -> Floats | None:
    """The embedding (D,) of the person's own face in a photo, as an encoder sees it; None where the catalog has
    none."""
    faces = album.catalog.faces.training_set(encoder, photo.person)
    return next((faces.embeddings[row] for row, sha256 in enumerate(faces.sha256) if sha256 == photo.sha256), None)
