"""annotate: a copy of a photo with boxes and names on it. The original is only read, and no other file is replaced."""

from __future__ import annotations

import contextlib
import json
import os
import unicodedata
from collections.abc import Iterable
from pathlib import Path

from mien.answers import Answer, NamedFace
from mien.errors import PhotoError, UsageError
from mien.storage.files import make_folder, write_atomically
from mien.types import Box
from mien.vision.drawing import draw_names
from mien.vision.images import encoded, read_picture

SIDE = 2400
"""Long side from which on the copy is smaller than the photo, pixels."""

LIST = ".mien-copies"
"""The file in a folder of copies that names them."""


def plan_copies(folder: Path, photos: Iterable[tuple[Path, Path]]) -> dict[Path, Path]:
    """Where in `folder` the copy of each photo goes; `photos` are (photo, its path relative to what the user named).

    "a.jpg" stays "a.jpg", "a.png" becomes "a.png.jpg", and a second "a.jpg" becomes "a-2.jpg". Copies of earlier runs,
    which a list in the folder knows, are replaced. Raises UsageError if any other file is in the way, as it may be the
    user's own photo, and StorageError.
    """
    copies: dict[Path, Path] = {}
    last: dict[str, int] = {}  # the highest number that a name has been given so far
    for photo, relative in photos:
        name = first = relative if relative.suffix.lower() in (".jpg", ".jpeg") else Path(f"{relative}.jpg")
        while _folded(name) in last:
            last[_folded(first)] += 1
            name = first.with_stem(f"{first.stem}-{last[_folded(first)]}")
        last[_folded(name)] = 1
        copies[photo] = folder / name
    _claim(folder, {copy.relative_to(folder).as_posix() for copy in copies.values()})
    return copies


def _folded(name: Path) -> str:
    """Two names that are equal so folded may be one file on macOS or Windows."""
    return unicodedata.normalize("NFC", name.as_posix()).casefold()


def _claim(folder: Path, names: set[str]) -> None:
    """Enters `names` in the folder's list of copies, unless one of them is there and not in the list."""
    file = folder / LIST
    ours: set[str] = set()
    with contextlib.suppress(OSError, ValueError, TypeError):
        ours = set(json.loads(file.read_bytes()))
    for name in sorted(names - ours):
        if os.path.lexists(folder / name):
            raise UsageError(f"{folder / name} is there already, and mien did not make it.", "Name another folder.")
    make_folder(folder)
    write_atomically(file, json.dumps(sorted(ours | names), indent=0).encode())


def annotate(answer: Answer, copy: Path) -> bool:
    """Writes the copy, a JPEG; False, and none, for a photo that cannot be read. Raises StorageError."""
    if answer.error:
        return False
    try:
        picture = read_picture(Path(answer.path), max_side=SIDE)
    except PhotoError:  # it was readable a moment ago
        return False
    pixels = draw_names(
        picture.pixels,
        [_scaled(named.face.box, picture.scale) for named in answer.faces],
        [f"{number} {label(named)}" for number, named in enumerate(answer.faces, 1)],
        [named.prediction.person is not None for named in answer.faces],
    )
    make_folder(copy.parent)
    write_atomically(copy, encoded(pixels, "JPEG"))
    return True


def _scaled(box: Box, scale: float) -> Box:
    x0, y0, x1, y1 = box
    return (x0 * scale, y0 * scale, x1 * scale, y1 * scale)


def label(named: NamedFace) -> str:
    """ "Ada 97 %", never 100 %, or "unknown"."""
    prediction = named.prediction
    if prediction.person is None:
        return "unknown"
    return f"{prediction.person} {min(99, round(100 * prediction.probability))} %"
