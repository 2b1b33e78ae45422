"""forget: what was seen in photos that were only asked about is remembered no longer.

Goes in: photos or folders of them, or none for all. Comes out: how many were remembered. The album's own photos, its
people and its models are not concerned: `remove` is for those.
"""

from __future__ import annotations

import contextlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mien.errors import PhotoError
from mien.open_album import OpenAlbum
from mien.records import asked
from mien.storage.walk import photos_below
from mien.vision.images import file_sha256


@dataclass(frozen=True, slots=True)
class Forgotten:
    """How many photos were remembered and are not any more, and how many still are."""

    photos: int
    left: int

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"photos": self.photos, "left": self.left}


def forget(album: OpenAlbum, photos: Sequence[Path]) -> Forgotten:
    """Forgets these photos and all in the folders among them, or all if none is given. Raises UsageError for a path
    that is not there, and StorageError."""
    file = album.layout.asked_file
    if not photos:
        return Forgotten(asked.forget(file), 0)
    hashes = []
    for photo, _ in photos_below(photos).photos:
        with contextlib.suppress(PhotoError):  # of which nothing is remembered that could be found by it
            hashes.append(file_sha256(photo))
    gone = asked.forget(file, hashes)
    return Forgotten(gone, asked.remembered(file).photos)
