"""Which pictures are of whom, and which are for training, validation and testing: the rules of retrain.py.

Of TensorFlow's examples/image_retraining/retrain.py (Apache-2.0) come the label, the hash that decides the set, the
order of the endings and the messages.
"""

from __future__ import annotations

import hashlib
import os
import re
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from mien.storage.files import entries

Category = Literal["training", "testing", "validation"]

CATEGORIES: Final[tuple[Category, ...]] = ("training", "testing", "validation")
"""In the order in which retrain.py went through them."""

MOST: Final = 2**27 - 1
"""Pictures of a label from which on some are never drawn, which is one less than the numbers that are drawn."""

FEW: Final = 20
"""Pictures of a label below which retrain.py warned."""

ENDINGS: Final = ("jpg", "jpeg", "JPG", "JPEG", "png", "PNG")
"""The order in which they are listed. The PNGs are of the last generation alone."""


@dataclass(frozen=True, slots=True)
class ImageList:
    """The pictures of one label: their names in the folder, which is called `dir`."""

    label: str
    dir: str
    training: tuple[str, ...]
    testing: tuple[str, ...]
    validation: tuple[str, ...]

    def of(self, category: Category) -> tuple[str, ...]:
        """The names of the pictures of one set."""
        match category:
            case "training":
                return self.training
            case "testing":
                return self.testing
            case "validation":
                return self.validation


def percentage(path: str) -> float:
    """Where the picture at `path` stands from 0 to 100, by the SHA-1 of its path up to "_nohash_"."""
    digest = hashlib.sha1(os.fsencode(re.sub(r"_nohash_.*$", "", path)), usedforsecurity=False).hexdigest()
    return int(digest, 16) % (MOST + 1) * (100.0 / MOST)


def category_of(path: str, testing: float, validation: float) -> Category:
    """The set of the picture at `path`, where so many per cent are for testing and for validation."""
    where = percentage(path)
    if where < validation:
        return "validation"
    return "testing" if where < testing + validation else "training"


def label_of(folder: str) -> str:
    """The label that retrain.py makes of a folder's name: small letters from a to z and digits, all else one space."""
    return re.sub(r"[^a-z0-9]+", " ", folder.lower())


def image_lists(image_dir: str, testing: float, validation: float, say: Callable[[str], None]) -> list[ImageList]:
    """A list of pictures for each folder below `image_dir` that has any, in the order of the folders' paths.

    The label is retrain.py's. Where two folders would have the same one, or one without a letter, of which retrain.py
    kept the last, each keeps its folder's own name, and `say` is told; so it is of all that retrain.py said.
    """
    found: dict[str, list[str]] = {}
    for name in _folders(image_dir):
        say(f"Looking for images in '{name}'")
        files = _pictures(Path(image_dir) / name)
        if not files:
            say("No files found")
            continue
        if len(files) < FEW:
            say("WARNING: Folder has less than 20 images, which may cause issues.")
        elif len(files) > MOST:
            say(f"WARNING: Folder {name} has more than {MOST} images. Some images will never be selected.")
        found[name] = files
    return [
        _split(image_dir, name, label, found[name], testing, validation)
        for name, label in zip(found, _labels(list(found), say), strict=True)
    ]


def _folders(image_dir: str) -> Iterator[str]:
    """The names of all folders below, in the order of their paths: those of folders in folders as well, which are
    looked for right below `image_dir` all the same."""
    paths = [os.path.join(base, name) for base, names, _ in os.walk(image_dir) for name in names]  # noqa: PTH118
    return (os.path.basename(path) for path in sorted(paths))  # noqa: PTH119 - of a text, as retrain.py has it


def _pictures(folder: Path) -> list[str]:
    """The names of the pictures in a folder: by ending, and then by name. A file counts once, also where a disk takes
    "JPG" and "jpg" for one. Of a folder that is not there there are none. Raises StorageError where it cannot be
    listed."""
    names = sorted(one.name for one in entries(folder) if not one.name.startswith("."))
    return [name for ending in ENDINGS for name in names if name.endswith(f".{ending}")]


_LINES = dict.fromkeys(map(ord, "\n\r\x0b\x0c\x1c\x1d\x1e\x85\u2028\u2029"), " ")
"""What ends a line: a label is one."""


def _labels(folders: Sequence[str], say: Callable[[str], None]) -> Iterator[str]:
    count = Counter(map(label_of, folders))
    for folder in folders:
        label = label_of(folder)
        if count[label] == 1 and label.strip():
            yield label
        else:
            say(f"WARNING: Folder {folder} keeps its name as its label: '{label}' would not tell who it is.")
            yield os.fsencode(folder).decode("utf-8", "backslashreplace").translate(_LINES)


def _split(
    image_dir: str, folder: str, label: str, files: Sequence[str], testing: float, validation: float
) -> ImageList:
    # The hash is of the path as it was given: scripts that move a folder have always had another split.
    sets: dict[Category, list[str]] = {category: [] for category in CATEGORIES}
    for name in files:
        path = os.path.join(image_dir, folder, name)  # noqa: PTH118 - Path would change what is hashed
        sets[category_of(path, testing, validation)].append(name)
    return ImageList(label, folder, *(tuple(sets[category]) for category in CATEGORIES))
