"""What engines are asked to do with photos: to see one, to cut the chip of a face. Each is a `mien.protocols.Task`.

They are values, which say how tools are made and where photos lie, so that a process on another machine can be sent
one. `Photos` is the one place that says how such a process comes by a photo of the album.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Protocol

from mien.errors import PhotoError, ToolError
from mien.seeing.apart import MakeEyes
from mien.seeing.eyes import Eyes
from mien.storage.in_folder import IN_FOLDERS
from mien.storage.photo_store import PhotoStore
from mien.text.names import FILE_NAME
from mien.text.photos import PhotoFault
from mien.types import EncoderChoice, Face, Picture, SeenPhoto
from mien.vision.images import decoder, encoded


@dataclass(frozen=True, slots=True)
class EyesAs:
    """Makes eyes: as `make` does for this choice, with a folder for the tracebacks of tools that fail."""

    make: MakeEyes
    choice: EncoderChoice
    tracebacks: Path | None = None

    def __call__(self) -> Eyes:
        return replace(self.make(self.choice), tracebacks=self.tracebacks)


@dataclass(frozen=True, slots=True)
class Photos:
    """How a process comes by the photos of the album in `folder`: as its `store` reads them, from a bucket, or by their
    paths in a folder that every worker has."""

    folder: Path
    store: PhotoStore

    def where(self, path: str) -> str:
        """Where the photo of an album's path lies, in words."""
        return self.store.where(self.folder / path)

    def picture(self, path: str) -> Picture:
        """The photo of an album's path. Raises PhotoError."""
        return self.store.picture(self.folder / path)

    def seen_in(
        self, path: str, see: Callable[[Path], tuple[SeenPhoto | PhotoError, bool]]
    ) -> tuple[SeenPhoto | PhotoError, bool]:
        """What `see` says of the photo of an album's path, which it is given as a file of this machine, and whether the
        process lived to say it."""
        where = self.where(path)
        try:
            with self.store.as_file(self.folder / path) as file:
                seen, lived = see(file)
        except PhotoError as error:
            return PhotoError(*error.args), True  # without the traceback, which holds the file
        if isinstance(seen, PhotoError) and seen.about == str(file) != where:
            return PhotoError(where, seen.fault, seen.figures, seen.sha256), lived
        return seen, lived

    def facts(self) -> dict[str, str]:
        """What of it has to be the same for every worker: the folder, by its file of settings. A bucket is the same
        everywhere."""
        if self.store != IN_FOLDERS:
            return {}
        try:
            settings = hashlib.sha256((self.folder / FILE_NAME).read_bytes()).hexdigest()[:8]
        except OSError:
            settings = "none"
        return {"folder": f"{self.folder} ({FILE_NAME}: {settings})"}


@dataclass(frozen=True, slots=True)
class See:
    """Sees a photo, (sha256, path in the album)."""

    open: Callable[[], Eyes]
    photos: Photos

    def do(self, tool: Eyes, item: tuple[str, str]) -> SeenPhoto | PhotoError:
        return self.photos.seen_in(item[1], lambda file: (tool.see_file(file), True))[0]

    def facts(self) -> dict[str, str]:
        return {**facts_of(self.open()), **self.photos.facts()}


class Cut(Protocol):
    """A `face` in the photo of a hash at a path in the album."""

    @property
    def path(self) -> str: ...

    @property
    def sha256(self) -> str: ...

    @property
    def face(self) -> Face: ...


@dataclass(frozen=True, slots=True)
class CutChip:
    """Cuts the chip of a face, `size` pixels wide: a PNG. None where the photo cannot be read any more, or is another
    one by now, and a PhotoError where a tool fails that mien did not bring."""

    open: Callable[[], Eyes]
    photos: Photos
    size: int

    def do(self, tool: Eyes, item: Cut) -> bytes | PhotoError | None:
        try:
            picture = self.photos.picture(item.path)
        except PhotoError:
            return None
        if picture.photo.sha256 != item.sha256:
            return None
        try:
            return encoded(tool.chip(picture, item.face, self.size), "PNG")
        except ToolError as error:
            return PhotoError(self.photos.where(item.path), PhotoFault.TOOL, {"tool": error.about, "said": error.what})

    def facts(self) -> dict[str, str]:
        return {**facts_of(self.open()), **self.photos.facts()}


def facts_of(eyes: Eyes) -> dict[str, str]:
    """What decides which faces are seen in a photo, and what their embeddings are."""
    return {"encoder": eyes.encoder_id, "decoders": decoder()}
