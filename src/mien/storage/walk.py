"""Which photos are meant by the files and folders that a user names."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

from mien.errors import UsageError
from mien.text.names import BESIDE_PHOTOS
from mien.vision.sniff import kind_of_name


def photos_below(named: Iterable[Path]) -> list[tuple[Path, Path]]:
    """(photo, its path relative to what was named) for every photo, folders in order of name, each photo once.

    A file named outright is taken whatever it is called; in folders, at any depth, only what looks like a photo by its
    name, and nothing hidden or in one of `BESIDE_PHOTOS`. Links to folders are not followed. Raises UsageError for a
    path that is not there, and if there is no photo at all.
    """
    found: dict[Path, Path] = {}
    named = list(named)
    for path in named:
        if path.is_dir():
            for photo in _walk(path):
                found.setdefault(photo, photo.relative_to(path))
        elif path.exists():
            found.setdefault(path, Path(path.name))
        else:
            raise UsageError(f"{path} does not exist.", "Check the path.")
    if not found:
        raise UsageError(
            f"There is no photo in {', '.join(map(str, named))}.", "Name photos, or folders that hold some."
        )
    return list(found.items())


def _walk(folder: Path) -> Iterable[Path]:
    for here, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith(".") and name not in BESIDE_PHOTOS)
        for name in sorted(files):
            if not name.startswith(".") and kind_of_name(name) == "photo":
                yield Path(here, name)
