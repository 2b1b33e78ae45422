"""The files of an encoder, from a folder or from the web. Nothing reads their bytes before size and hash are verified.

A file on its way from the web lies in the shelf's folder under a hidden name, and is gone when anything goes wrong.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol
from urllib.parse import quote, urlsplit

from mien.encoders.description import LARGEST, Description, EncoderFile
from mien.errors import EncoderError, FetchError, SourceError, StorageError, UsageError
from mien.protocols import Progress, Sink, Web
from mien.storage.files import make_folder, storage_error
from mien.storage.hidden_file import HiddenFile
from mien.text.fetching import FetchFault
from mien.text.shell import command
from mien.text.words import listed

ROOM = 3
"""Times the size of the files that must be free on the disk: they lie there while they come, and a network of 16 bits
becomes one of 32."""

_PASSING = frozenset({FetchFault.NETWORK, FetchFault.TIMEOUT, FetchFault.SERVER})
"""What may go away by itself."""

_KB = 1000


class Connect(Protocol):
    """Opens the web for these hosts, as `mien.web.client.Client` does."""

    def __call__(self, hosts: Iterable[str], *, allow_private: bool, largest: int) -> AbstractContextManager[Web]: ...


@dataclass(frozen=True, slots=True)
class Wanted:
    """An encoder whose files are wanted: its description, what the user called it (a name, or the path of the
    description), and the folder of the description, None for those that come with mien."""

    description: Description
    called: str
    folder: Path | None = None

    @property
    def about(self) -> str:
        """It as the subject of a sentence."""
        return f"The encoder {self.description.name}"

    @property
    def by_hand(self) -> str:
        """How to bring the files without mien fetching them."""
        files = self.description.files
        places = dict.fromkeys(file.url.rpartition("/")[0] + "/" for file in files if file.url)
        named, at = listed(file.file_name for file in files), listed(places) or self.description.origin
        where = "FOLDER" if len(files) > 1 else "FILE"
        add = command(None, "encoders", "add", self.called, "--from", where)
        return f"Download {named}{f' from {at}' if at else ''} on a machine with a network, and run: {add}"


def from_disk(wanted: Wanted, place: Path) -> dict[str, bytes]:
    """The files of an encoder, by name, that lie in the folder `place` under the names that they have at their official
    addresses; `place` may be the one file as well, whatever it is called. Raises EncoderError."""
    files = wanted.description.files
    if len(files) == 1 and not place.is_dir():
        return {files[0].name: _read(files[0], place, wanted)}
    if not place.exists():
        raise _missing(place, wanted)
    folder = place if place.is_dir() else place.parent
    return {file.name: _read(file, folder / file.file_name, wanted) for file in files}


def obtained(wanted: Wanted, shelf: Path, progress: Progress, connect: Connect, mirror: str = "") -> dict[str, bytes]:
    """The files of an encoder, by name: those with an address from there, or from below the address `mirror`, and the
    others from beside the description. Raises EncoderError, StorageError, UsageError."""
    files = wanted.description.files
    if mirror and not all(file.sha256 and file.bytes for file in files):
        raise EncoderError(
            wanted.about,
            "cannot be fetched from a mirror: its description has no sha256 and bytes to verify its files by",
            f"Bring the files yourself. {wanted.by_hand}",
        )
    addresses = {file: f"{mirror.rstrip('/')}/{quote(file.file_name)}" if mirror else file.url for file in files}
    beside = [file for file, url in addresses.items() if not url]
    if beside and wanted.folder is None:
        raise EncoderError(
            wanted.about, "has no address that mien may fetch it from", f"Bring it yourself. {wanted.by_hand}"
        )
    found = {file.name: _read(file, (wanted.folder or Path()) / file.name, wanted) for file in beside}
    away = {file: url for file, url in addresses.items() if url}
    return found | (_fetched(away, wanted, shelf, progress, connect, mirror) if away else {})


def _read(file: EncoderFile, path: Path, wanted: Wanted) -> bytes:
    """A file on this machine, verified."""
    limit = file.bytes or LARGEST
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not make it wait
    try:
        with open(os.open(path, flags), "rb") as opened:  # noqa: PTH123 - by a handle, as what is asked is what is read
            told = os.fstat(opened.fileno())
            if not stat.S_ISREG(told.st_mode):
                raise EncoderError(str(path), "is no plain file", "Name the file itself, or the folder in which it is.")
            if told.st_size > limit:
                raise _wrong_size(str(path), told.st_size, file, wanted)
            data = opened.read(limit + 1)
    except FileNotFoundError as error:
        raise _missing(path, wanted) from error
    except OSError as error:
        raise EncoderError(
            str(path), f"cannot be read: {error.strerror}", "Check the path and its permissions."
        ) from error
    _verify(data, str(path), file, wanted)
    return data


def _missing(path: Path, wanted: Wanted) -> EncoderError:
    return EncoderError(str(path), "does not exist", wanted.by_hand)


def _verify(data: bytes, about: str, file: EncoderFile, wanted: Wanted) -> None:
    """Raises EncoderError where the bytes are not those of the description, as far as it knows them."""
    if len(data) > (file.bytes or LARGEST) or (file.bytes and len(data) != file.bytes):
        raise _wrong_size(about, len(data), file, wanted)
    if file.sha256 and (found := hashlib.sha256(data).hexdigest()) != file.sha256:
        raise EncoderError(
            about,
            f"is another file than {wanted.about[0].lower()}{wanted.about[1:]} is made of: its SHA-256 is {found}, and "
            f"should be {file.sha256}",
            f"It was damaged or changed, and nothing of it was kept. {wanted.by_hand}",
        )


def _wrong_size(about: str, size: int, file: EncoderFile, wanted: Wanted) -> EncoderError:
    wanted_size = f"{file.bytes:,}" if file.bytes else f"at most {LARGEST:,}"
    return EncoderError(
        about,
        f"has {size:,} bytes, where {wanted_size} are expected",
        f"It is another file, or was cut off; nothing of it was kept. {wanted.by_hand}",
    )


# From the web


def _fetched(
    addresses: Mapping[EncoderFile, str], wanted: Wanted, shelf: Path, progress: Progress, connect: Connect, mirror: str
) -> dict[str, bytes]:
    size = sum(file.bytes for file in addresses)
    make_folder(shelf)
    _require_room(shelf, ROOM * size)
    progress.start(f"Fetching {wanted.description.name} (kB)", -(-size // _KB))
    found = {}
    try:
        hosts = {_host(url, mirror) for url in addresses.values()} | (
            {*wanted.description.hosts} if not mirror else set()
        )
        largest = max(file.bytes for file in addresses)
        with connect(hosts, allow_private=bool(mirror), largest=largest) as web:
            for file, url in addresses.items():
                try:
                    with HiddenFile(shelf, url, file.bytes) as hidden:
                        web.picture(url, _Telling(hidden, progress), "")
                        found[file.name] = hidden.read()
                except FetchError as error:
                    raise _explained(error, file, wanted) from error
                _verify(found[file.name], url, file, wanted)
    except SourceError as error:
        raise EncoderError(error.about, error.what, "Correct hosts in its description.") from error
    finally:
        progress.finish()
    return found


def _host(url: str, mirror: str) -> str:
    try:
        parts = urlsplit(url)
        host = parts.hostname if parts.scheme in ("http", "https") else None
    except ValueError:
        host = None
    if not host:
        raise UsageError(mirror or url, "is no web address", "Write it in full: https://example.org/folder")
    return host


def _require_room(shelf: Path, size: int) -> None:
    try:
        free = shutil.disk_usage(shelf).free
    except OSError as error:
        raise storage_error(shelf, error) from error
    if free < size:
        raise StorageError(
            str(shelf),
            f"is on a disk with {free / 1e6:,.0f} MB free, where {size / 1e6:,.0f} MB are needed",
            "Free some space, or set MIEN_HOME to a folder on another disk.",
        )


def _explained(error: FetchError, file: EncoderFile, wanted: Wanted) -> EncoderError:
    """The same for who wants an encoder: the web room's remedies are about sources of photos."""
    below = error.__cause__  # of a file whose site's robots.txt was not to be had: why not
    cause = below if isinstance(below, FetchError) else error
    what, first = cause.what, ""
    match cause.kind:
        case FetchFault.HOST:
            what = "is at a host that the encoder's description does not list"
            first = "Its files were moved there, or somebody leads you astray; a file is known by its hash. "
        case FetchFault.ADDRESS:
            first = "mien fetches from public addresses; a server in your own network can be named by --mirror. "
        case FetchFault.TOO_LARGE:
            what = f"is larger than the {file.bytes:,} bytes that are expected"
            first = "There is another file now. "
        case FetchFault.SERVER:
            first = "Run the same command again later. Or: "
        case kind if kind in _PASSING:
            first = "Check your network, and run the same command again. Or: "
    return EncoderError(cause.about, what, f"{first}{wanted.by_hand}")


class _Telling:
    """A `Sink` that tells how far it is."""

    def __init__(self, into: Sink, progress: Progress) -> None:
        self._into, self._progress, self._told = into, progress, 0

    @property
    def size(self) -> int:
        return self._into.size

    def write(self, data: bytes) -> None:
        self._into.write(data)
        if (now := self.size // _KB) > self._told:
            self._progress.advance(now - self._told)
            self._told = now

    def restart(self) -> None:
        self._into.restart()
