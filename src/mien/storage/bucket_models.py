"""An album's models in a bucket: each version a folder of objects, whose card comes last, and one small object that
names the version in use.

ONNX Runtime wants a file or bytes of this machine, so what is read of a version is kept in the album's folder
.mien/models, below a name of the bucket's: of a few versions, and of none that is not in the bucket any more. Whoever
reads a copy verifies it as if it came from the bucket just now.
"""

from __future__ import annotations

import contextlib
import re
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Final

from mien.storage.files import entries, is_file, make_folder, write_atomically
from mien.storage.objects import Object, Objects, asked

COPIES: Final = 8
"""Versions of which files are kept on this machine: the one in use, and those that a gate or a rollback compares."""
_MARK: Final = "stamp"
"""The file of a copy that has the mark of its card."""


@dataclass(frozen=True, slots=True)
class BucketModels:
    """The models below a URL. A version is there from when its object `card` is, and until that is deleted. `folder`
    keeps copies. Every method raises StorageError where the bucket cannot be reached."""

    objects: Objects
    folder: Path
    card: str

    def __str__(self) -> str:
        return self.objects.url

    def names(self, pattern: str) -> list[str]:
        """The versions whose names match a pattern. Copies of others go from this machine, and those of which the
        bucket has another card by now."""
        listed = asked(lambda: [*self.objects.listed()], str(self))
        cards = [one for one in listed if re.fullmatch(f"({pattern})/{self.card}", one.key)]
        found = {one.key.removesuffix(f"/{self.card}"): _mark(one) for one in cards}
        for copy in entries(self.folder):
            if re.fullmatch(pattern, copy.name) and found.get(copy.name) != _marked(copy):
                self.forget(copy.name)
        return [*found]

    def has(self, version: str, name: str) -> bool:
        """Whether a version has a file of this name."""
        return asked(lambda: self.objects.find(f"{version}/{name}") is not None, f"{self}/{version}/{name}")

    def fetched(self, version: str, largest: Mapping[str, int]) -> Path:
        """The folder of this machine in which the files of a version lie that are named, as far as the version has
        them, each of so many bytes at most: a larger one is left where it is. The card, by which a copy is known to be
        of this version, is to be among them, and comes first."""
        folder = self.folder / version
        for name, most in sorted(largest.items(), key=lambda one: one[0] != self.card):
            key = f"{version}/{name}"
            if not is_file(folder / name):
                found = asked(partial(self.objects.find, key), f"{self}/{key}")
                if found is not None and found.size <= most:
                    data = asked(lambda: b"".join(self.objects.blocks(found)), f"{self}/{key}")  # noqa: B023 - at once
                    make_folder(folder)
                    write_atomically(folder / name, data)
                    if name == self.card:
                        write_atomically(folder / _MARK, _mark(found))
        self._keep_few(version)
        return folder

    def forget(self, version: str) -> None:
        """Removes the copy of a version from this machine."""
        shutil.rmtree(self.folder / version, ignore_errors=True)

    def small(self, name: str, most: int) -> bytes | None:
        """The first bytes, at `most` so many, of an object beside the versions; None where there is none."""

        def read() -> bytes | None:
            found = self.objects.find(name)
            return None if found is None else self.objects.read(name, min(found.size, most))

        return asked(read, f"{self}/{name}")

    def put(self, name: str, data: bytes) -> None:
        """Writes an object beside the versions, whatever was there."""
        asked(lambda: self.objects.put(name, data), f"{self}/{name}")

    def remove(self, name: str) -> None:
        """Deletes an object beside the versions; no harm if it is gone."""
        asked(lambda: self.objects.remove(name), f"{self}/{name}")

    def write(self, version: str, files: Mapping[str, bytes]) -> bool:
        """Writes a version, its card last; False where somebody else has written, or writes, one of that name: nothing
        of theirs is written over."""
        for name in sorted(files, key=self.card.__eq__):
            key = f"{version}/{name}"
            if not asked(partial(self.objects.put_new, key, files[name]), f"{self}/{key}"):
                return False
        return True

    def drop(self, version: str) -> None:
        """Deletes a version, its card first, and its copy on this machine."""
        self.remove(f"{version}/{self.card}")
        self._clear([version])

    def remove_unfinished(self, pattern: str) -> None:
        """Deletes what was half-written or half deleted: versions without a card, which is asked for by itself, as the
        listing may be late."""
        keys = asked(lambda: {one.key for one in self.objects.listed()}, str(self))
        there = {key.partition("/")[0] for key in keys if re.match(f"({pattern})/", key)}
        self._clear(one for one in there if f"{one}/{self.card}" not in keys and not self.has(one, self.card))

    def _clear(self, versions: Iterable[str]) -> None:
        for version in versions:
            keys = asked(lambda: [one.key for one in self.objects.listed(f"{version}/")], str(self))  # noqa: B023
            for key in keys:
                self.remove(key)
            self.forget(version)

    def _keep_few(self, version: str) -> None:
        """Removes the copies of the oldest versions where there are many."""
        copies = [one.name for one in entries(self.folder) if one.is_dir() and one.name[:1].isdigit()]
        for name in [one for one in copies if one != version][: max(0, len(copies) - COPIES)]:
            self.forget(name)


def _mark(card: Object) -> bytes:
    """What tells the card of a version from that of another that had the same name."""
    return card.stamp.strip('"').encode()


def _marked(copy: Path) -> bytes:
    """The mark of the card of which a copy is; nothing where that is not known."""
    with contextlib.suppress(OSError):
        return (copy / _MARK).read_bytes()
    return b""


Models = Path | BucketModels
"""Where an album's models are: a folder, or a bucket."""
