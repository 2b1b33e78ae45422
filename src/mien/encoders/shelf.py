"""Which encoders there are on this machine: those that came with mien, and those that its user added.

What a user adds is kept once per user, for all albums, in a folder for each encoder:

    encoders/retail-0095/encoder.json    the description, and the size and hash of each network
                         fp32.onnx       "rgb" (N, side, side, 3) uint8 -> "embedding" (N, dimensions) float32
                         int8.onnx       the same in 8 bits, if somebody made it

A release may bring such folders in the package, beside the weights. What is read is verified, every time.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import secrets
import shutil
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from functools import cache, partial
from importlib import resources
from pathlib import Path
from typing import Final, Literal

from pydantic import Field, ValidationError

from mien.encoders.description import NAME, Description, Part, parse
from mien.errors import EncoderError, StorageError
from mien.storage import weights
from mien.storage.files import (
    entries,
    is_folder,
    is_there,
    make_folder,
    opening_error,
    read_plain,
    storage_error,
    sync_folder,
    write_atomically,
)
from mien.storage.leftovers import remove_unfinished
from mien.storage.lock import locked
from mien.text.shell import command
from mien.text.words import listed

Precision = Literal["fp32", "int8"]

BUILT_IN: Final = "dlib-resnet"
"""The encoder that comes with mien, whose files lie among its weights."""

PREFERRED: Final = ("retail-0095", BUILT_IN)
"""Encoders from the best to the last by docs/benchmarks.md: a new album takes the first that is there."""

_ENTRIES = resources.files("mien.encoders") / "entries"
_FILE = "encoder.json"
LARGEST: Final = 1 << 20
"""Bytes of an encoder.json; those of mien's have 3 kB."""
_SHIPPED: Final[Mapping[Precision, str]] = {"fp32": "resnet.onnx", "int8": "resnet_int8.onnx"}
_ASIDE: Final = ".mien-old-"


@dataclass(frozen=True, slots=True)
class Network:
    """One network of an encoder: its SHA-256 (hex), its size in bytes, and what reads it, verified, or raises
    EncoderError or DamagedModelError."""

    sha256: str
    size: int
    read: Callable[[], bytes]


@dataclass(frozen=True, slots=True)
class Kept:
    """An encoder that can be used: its description, its networks by precision, its folder (None: in the package)."""

    description: Description
    networks: Mapping[Precision, Network]
    folder: Path | None

    @property
    def name(self) -> str:
        return self.description.name

    def network(self, precision: Precision) -> Network:
        """Raises EncoderError where there is none of this precision."""
        if precision not in self.networks:
            raise EncoderError(
                f"The encoder {self.name}",
                f"has no network of the precision {precision}",
                f"Make one from an album's own faces: {command(None, 'encoders', 'quantise', self.name)}",
            )
        return self.networks[precision]


def network_of(data: bytes) -> Network:
    """A network that is at hand and not kept."""
    return Network(hashlib.sha256(data).hexdigest(), len(data), lambda: data)


class _Stored(Part):
    sha256: str = Field(pattern="^[0-9a-f]{64}$")
    bytes: int = Field(ge=1)


class _Card(Part):
    """encoder.json."""

    format: Literal[1] = 1
    description: Description
    networks: dict[Precision, _Stored]


def home() -> Path:
    """The folder in which encoders are kept: MIEN_HOME/encoders, or one below the user's folder for data."""
    if given := os.environ.get("MIEN_HOME"):
        return Path(given).absolute() / "encoders"
    from platformdirs import user_data_path

    return user_data_path("mien", appauthor=False) / "encoders"


def kept(name: str) -> Kept:
    """The encoder of this name. Raises EncoderError where it is not on this machine, damaged, or cannot be looked
    at."""
    if name == BUILT_IN:
        return _built_in()
    if re.fullmatch(NAME, name):
        for shelf in (home(), _bundled()):
            try:
                if is_folder(folder := shelf / name):
                    return _read(folder)
            except StorageError as error:  # whether it is there nobody can tell
                raise EncoderError(error.about, error.what, error.remedy) from error
    there = names()
    remedy = f"Here there is {there[0]}." if len(there) == 1 else f"Here there are {listed(there)}."
    if re.fullmatch(NAME, name):
        remedy = f"Add it: {command(None, 'encoders', 'add', _addable(name))}. {remedy}"
    raise EncoderError(f"The encoder {name}", "is not on this machine", remedy)


def names() -> list[str]:
    """The names of the encoders on this machine, the preferred first, then by name; also of damaged ones. Raises
    StorageError if they cannot be listed."""
    found = {BUILT_IN, *(folder.name for shelf in (home(), _bundled()) for folder in _folders(shelf))}
    return sorted(found, key=order)


def order(name: str) -> tuple[int, str]:
    """By what encoders are sorted: the preferred first, then by name."""
    return (PREFERRED.index(name) if name in PREFERRED else len(PREFERRED), name)


def all_kept() -> list[Kept]:
    """Every encoder on this machine, in this order. Damaged ones are left out."""
    found = []
    for name in names():
        with contextlib.suppress(EncoderError):
            found.append(kept(name))
    return found


def is_users(encoder: Kept) -> bool:
    """Whether the user added it; others came with mien."""
    return encoder.folder is not None and encoder.folder.parent == home()


def best() -> Kept:
    """The best encoder that is there. Raises EncoderError where nobody can tell, as it cannot be looked at."""
    for name in PREFERRED[:-1]:
        try:
            return kept(name)
        except EncoderError as error:
            if isinstance(error.__cause__, StorageError):
                raise
    return _built_in()


@cache
def known() -> Mapping[str, Description]:
    """The descriptions that come with mien, by name: of the built-in encoder, and of those that can be added."""
    files = sorted(entry.name for entry in _ENTRIES.iterdir() if entry.name.endswith(".toml"))
    return {one.name: one for one in map(_entry, files)}


@cache
def _entry(file: str) -> Description:
    return parse((_ENTRIES / file).read_text("utf-8"), file)


@contextlib.contextmanager
def at_work(doing: str, shelf: Path | None = None) -> Iterator[Path]:
    """Holds the shelf for a command that changes it, and removes what a run that was killed left there. Raises
    BusyError and StorageError."""
    shelf = shelf or home()
    with locked(shelf / ".lock", f"The folder of encoders {shelf}", doing):
        _remove_unfinished(shelf)
        yield shelf


def keep(description: Description, networks: Mapping[Precision, bytes], shelf: Path | None = None) -> Kept:
    """Keeps an encoder under its name, in place of an older one, whole or not at all; for who is `at_work`. Raises
    StorageError."""
    shelf = shelf or home()
    make_folder(shelf)
    folder = shelf / description.name
    at_hand = {precision: network_of(data) for precision, data in networks.items()}
    stored = {precision: _Stored(sha256=one.sha256, bytes=one.size) for precision, one in at_hand.items()}
    card = _Card(description=description, networks=stored)
    new, old = shelf / f".mien-{secrets.token_hex(8)}", shelf / f"{_ASIDE}{description.name}"
    try:
        make_folder(new)
        for precision, data in networks.items():
            write_atomically(new / f"{precision}.onnx", data)
        write_atomically(new / _FILE, f"{card.model_dump_json(indent=1, exclude_defaults=True)}\n".encode())
        if is_there(folder):
            folder.rename(old)
        new.rename(folder)
        sync_folder(shelf)
    except OSError as error:
        raise storage_error(folder, error) from error
    finally:
        if old.exists() and not folder.exists():
            with contextlib.suppress(OSError):
                old.rename(folder)
        for left in (new, old):
            shutil.rmtree(left, ignore_errors=True)
    return _read(folder)


def remove(name: str) -> None:
    """Removes an encoder that the user added; for who is `at_work`. Raises EncoderError where there is none, and
    StorageError."""
    folder = home() / name
    if not (re.fullmatch(NAME, name) and is_folder(folder)):
        raise EncoderError(f"The encoder {name}", "is none that you added", f"See {command(None, 'encoders')}.")
    gone = folder.with_name(f".mien-{secrets.token_hex(8)}")
    try:
        folder.rename(gone)
    except OSError as error:
        raise storage_error(folder, error) from error
    shutil.rmtree(gone, ignore_errors=True)


def _remove_unfinished(shelf: Path) -> None:
    """Raises StorageError."""
    for aside in entries(shelf):
        if not aside.name.startswith(_ASIDE):
            continue
        folder = shelf / aside.name.removeprefix(_ASIDE)
        if is_there(folder):
            shutil.rmtree(aside, ignore_errors=True)
            continue
        try:
            aside.rename(folder)  # killed while it was replaced, an encoder goes back to its name
        except OSError as error:
            raise storage_error(folder, error) from error
    remove_unfinished(shelf)


def _folders(shelf: Path) -> Iterator[Path]:
    """Raises StorageError if they cannot be listed."""
    yield from (one for one in entries(shelf) if re.fullmatch(NAME, one.name) and is_folder(one))


def _bundled() -> Path:
    """Where a release brings encoders along."""
    return Path(str(resources.files("mien.seeing"))) / "data" / "encoders"


@cache
def _built_in() -> Kept:
    shipped = {precision: weights.manifest()[file] for precision, file in _SHIPPED.items()}
    networks = {
        precision: Network(one.sha256, one.bytes, partial(weights.load, one.file)) for precision, one in shipped.items()
    }
    return Kept(_entry(f"{BUILT_IN}.toml"), networks, None)


def _read(folder: Path) -> Kept:
    try:
        card = _Card.model_validate_json(read_plain(folder / _FILE, LARGEST))
    except (FileNotFoundError, NotADirectoryError, ValidationError) as error:
        raise _damaged(folder) from error
    except OSError as error:
        raise opening_error(folder, error) from error
    if card.description.name != folder.name or "fp32" not in card.networks:
        raise _damaged(folder)
    networks = {
        precision: Network(
            stored.sha256, stored.bytes, partial(_verified, folder / f"{precision}.onnx", stored.sha256, stored.bytes)
        )
        for precision, stored in card.networks.items()
    }
    return Kept(_up_to_date(card.description), networks, folder)


def _up_to_date(description: Description) -> Description:
    """The description with what this version of mien has measured of it, where it knows the very same files."""
    if not (_ENTRIES / f"{description.name}.toml").is_file():
        return description
    latest = _entry(f"{description.name}.toml")
    if latest.files != description.files:
        return description
    measured = {"cosines": latest.cosines, "measured": latest.measured, "least": latest.least}
    return description.model_copy(update=measured)


def _verified(file: Path, sha256: str, size: int) -> bytes:
    try:
        data = read_plain(file, size)
    except OSError as error:
        raise _damaged(file.parent) from error
    if len(data) != size or hashlib.sha256(data).hexdigest() != sha256:
        raise _damaged(file.parent)
    return data


def _damaged(folder: Path) -> EncoderError:
    return EncoderError(
        f"The encoder {folder.name}",
        f"is not what it was when it was added, or another version of mien added it: see {folder}",
        f"Add it again: {command(None, 'encoders', 'add', _addable(folder.name))}",
    )


def _addable(name: str) -> str:
    """How an encoder is named to `mien encoders add`: one that mien does not know by its description."""
    return name if name in known() else f"{name}.toml"
