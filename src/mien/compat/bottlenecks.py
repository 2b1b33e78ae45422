"""The cache of bottlenecks: one text file a picture, numbers joined by commas, under the names of retrain.py.

The names say the picture's name alone, so retrain.py went on with the numbers of a picture that had been replaced, of
another network, and of people who were long gone. Here a card beside the files knows of which bytes, seen by which
encoder, each file is; numbers of any other are made anew, and those of pictures that are gone are removed.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import numpy as np

from mien.errors import StorageError
from mien.storage.files import make_folder, read_plain, remove_empty, remove_file, write_atomically
from mien.types import Floats

CARD: Final = "mien-bottlenecks.json"
LARGEST_CARD, LARGEST_FILE = 1 << 30, 1 << 20
"""Bytes of a card (150 a picture), and of a file of numbers (12 a number)."""


def suffix_of(module: str) -> str:
    """What stands between a picture's name and ".txt": nothing in the first generation of retrain.py, the name of the
    architecture or of the module in the later ones."""
    if not module:
        return ""
    for text in ("://", "/", ":", "\\"):
        module = module.replace(text, "~")
    return f"_{module}"


@dataclass(slots=True)
class Bottlenecks:
    """The cache in the folder `folder` of what an `encoder` (its id) makes of pictures; `suffix` is that of the files.

    `card` has for each file, relative to the folder, the encoder and the stamp of the picture it was made of.
    """

    folder: Path
    suffix: str
    encoder: str
    card: dict[str, list[str]] = field(default_factory=dict)

    @classmethod
    def open(cls, folder: Path, suffix: str, encoder: str) -> Bottlenecks:
        """The cache in a folder, which is made if it is missing. A card that cannot be read is none."""
        make_folder(folder)
        card: dict[str, list[str]] = {}
        with contextlib.suppress(OSError, StorageError, ValueError, AttributeError, TypeError, RecursionError):
            read: Mapping[str, Any] = json.loads(read_plain(folder / CARD, LARGEST_CARD))
            card = {name: [str(part) for part in parts] for name, parts in read.items() if _is_sound(name)}
        return cls(folder, suffix, encoder, card)

    def file(self, folder: str, picture: str) -> Path:
        """The file of a picture in one of the folders of pictures."""
        return self.folder / folder / f"{picture}{self.suffix}.txt"

    def get(self, folder: str, picture: Path, size: int, say: Callable[[str], None]) -> Floats | None:
        """(size,) float32, the numbers of a picture; None where there are none of these bytes by this encoder."""
        file = self.file(folder, picture.name)
        if self.card.get(self._key(file)) != [self.encoder, _stamp(picture)]:
            return None
        try:
            numbers = np.array([float(text) for text in read_plain(file, LARGEST_FILE).split(b",")], np.float32)
        except (OSError, StorageError):
            return None
        except ValueError:
            numbers = np.empty(0, np.float32)
        if numbers.shape != (size,) or not np.isfinite(numbers).all():
            say("Invalid float found, recreating bottleneck")
            return None
        return numbers

    def put(self, folder: str, picture: Path, numbers: Floats) -> None:
        """Writes the numbers of a picture. Raises StorageError."""
        file = self.file(folder, picture.name)
        make_folder(file.parent)
        write_atomically(file, ",".join(str(number) for number in numbers.tolist()).encode())
        self.card[self._key(file)] = [self.encoder, _stamp(picture)]

    def save(self) -> None:
        """Writes the card. Raises StorageError."""
        write_atomically(self.folder / CARD, json.dumps(self.card, indent=0, sort_keys=True).encode())

    def keep_only(self, pictures: Iterable[tuple[str, str]]) -> None:
        """Removes the files of pictures that are not among these (folder, name) any more, as far as mien wrote them."""
        there = {f"{folder}/{name}" for folder, name in pictures}
        for key in [key for key in self.card if not _is_of(key, there)]:
            file = self.folder / key
            with contextlib.suppress(OSError, StorageError, ValueError):  # a card of somebody else's may name anything
                if file.is_file() and file.resolve().is_relative_to(self.folder.resolve()):
                    remove_file(file)
                    remove_empty(file.parent)
            del self.card[key]

    def _key(self, file: Path) -> str:
        return file.relative_to(self.folder).as_posix()


def _is_sound(name: str) -> bool:
    """Whether a key is a folder and a file of numbers in it."""
    return re.fullmatch(r"[^/\0]{1,255}/[^/\0]{1,255}\.txt", name) is not None and ".." not in name.split("/")


def _is_of(key: str, there: set[str]) -> bool:
    """Whether a file of the cache, of whatever suffix, is of one of the pictures."""
    stem = key.removesuffix(".txt")
    return stem in there or any(stem[:at] in there for at, letter in enumerate(stem) if letter == "_")


def _stamp(picture: Path) -> str:
    """What changes when a picture is replaced: its size and its times."""
    found = picture.stat()
    return f"{found.st_size} {found.st_mtime_ns} {found.st_ctime_ns}"
