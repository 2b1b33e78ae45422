"""A photo on its way into the album: a file that counts for nothing until it gets a name."""

from __future__ import annotations

import contextlib
import hashlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO, Self

from mien.errors import FetchError, PhotoError
from mien.storage.files import created, storage_error, temporary_file
from mien.storage.leftovers import remove_unfinished
from mien.text.fetching import FetchFault
from mien.types import Photo, Receipt
from mien.vision.images import decode

HELD = 1 << 20
"""Bytes of a photo that are held in memory before they go to a file."""


@dataclass(frozen=True, slots=True)
class Arrived:
    """Bytes that came, `size` of them: a `photo` in the hidden `file`, or the `error` that says why they are none, and
    then the file is gone. `receipt` is the source's."""

    receipt: Receipt
    sha256: str
    size: int
    file: Path
    photo: Photo | None
    error: PhotoError | None


class HiddenFile:
    """A `Sink` of `limit` bytes at most, and a context manager that leaves no file unless it was finished. The file is
    made when the photo is found to be one, or to be a large one: what is no picture rarely touches the disk."""

    def __init__(self, folder: Path, location: str, limit: int) -> None:
        self.path = temporary_file(folder / "photo")
        self.size = 0
        self._location, self._limit = location, limit
        self._held = bytearray()
        self._file: BinaryIO | None = None
        self._finished = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if not self._finished:
            self.discard()

    def write(self, data: bytes) -> None:
        if self.size + len(data) > self._limit:
            raise FetchError(
                self._location,
                f"is larger than {self._limit >> 20} MB",
                "If it is to come in, raise max_megabytes of its source.",
                FetchFault.TOO_LARGE,
            )
        self.size += len(data)
        if self._file is None:
            self._held += data
            if len(self._held) > HELD:
                self._spill()
        else:
            with self._storing():
                self._file.write(data)

    def restart(self) -> None:
        self._held.clear()
        if self._file is not None:
            with self._storing():
                self._file.seek(0)
                self._file.truncate()
        self.size = 0

    def arrived(self, name: str, receipt: Receipt) -> Arrived:
        """What came, decoded; errors call it `name`. A photo is on the disk after this."""
        data = self.read()
        try:
            photo = decode(data, name).photo
        except PhotoError as error:
            return Arrived(receipt, hashlib.sha256(data).hexdigest(), len(data), self.path, None, error)
        self.finish()
        return Arrived(receipt, photo.sha256, len(data), self.path, photo, None)

    def read(self) -> bytes:
        """What was written."""
        if self._file is None:
            return bytes(self._held)
        with self._storing():
            self._file.seek(0)
            return self._file.read()

    def finish(self) -> None:
        """The bytes are on the disk after this, in a file that stays."""
        file = self._spill()
        with self._storing():
            file.flush()
            os.fsync(file.fileno())
            file.close()
        self._finished = True

    def discard(self) -> None:
        """Nothing is left after this."""
        with self._storing():
            if self._file is not None:
                self._file.close()
            self.path.unlink(missing_ok=True)  # Ctrl-C may come when the file is there and not yet known here

    def _spill(self) -> BinaryIO:
        """The file, with what was held until now."""
        if self._file is None:
            with self._storing():
                self._file = created(self.path)
                self._file.write(self._held)
            self._held.clear()
        return self._file

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        """A full disk is not the source's fault: it must not take this for an error of its own."""
        try:
            yield
        except OSError as error:
            raise storage_error(self.path, error) from error


def remove_hidden(folder: Path) -> None:
    """Removes the hidden files in a folder that nobody is writing to, and the folder if nothing else is in it. A folder
    that cannot be looked into keeps them."""
    remove_unfinished(folder)
    with contextlib.suppress(OSError):
        folder.rmdir()  # refused while there is something in it
