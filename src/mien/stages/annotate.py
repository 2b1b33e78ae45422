"""annotate: copies of photos with boxes and names on them.

Goes in: an answer of `classify`, and where the copy goes. Comes out: a JPEG. The photos are only read, and the only
files that are replaced are copies of earlier runs.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Iterable
from pathlib import Path

from mien.errors import PhotoError, StorageError, UsageError
from mien.recogniser import PhotoLike, read
from mien.storage.files import is_too_long, make_folder, opening_error, read_plain, write_atomically
from mien.storage.leftovers import remove_abandoned
from mien.text.answers import AnswerKind
from mien.text.names import folded, shortened
from mien.text.photos import PhotoFault
from mien.text.words import chance
from mien.types import Answer, Box, NamedFace, Prediction
from mien.vision.drawing import DOUBTFUL, NAMED, TOO_POOR, UNKNOWN, Colour, draw_names
from mien.vision.images import encoded

SIDE = 2400
"""Long side in pixels from which on a copy is smaller than its photo."""

LIST = ".mien-copies"
LARGEST_LIST = 1 << 28
"""Bytes of a list, above what two million copies need."""
"""The file in a folder of copies that lists them."""


def plan_copies(folder: Path, photos: Iterable[tuple[Path, Path]]) -> dict[Path, Path]:
    """The place in `folder` for the copy of each photo; `photos` are (photo, its path relative to what the user named).

    "a.jpg" stays "a.jpg", "a.png" becomes "a.png.jpg", and a second "a.jpg" becomes "a-2.jpg". Copies of earlier runs,
    which a list in the folder names, will be replaced. Raises UsageError if any other file is in the way, as it may be
    the user's own photo, and StorageError.
    """
    copies: dict[Path, Path] = {}
    last: dict[str, int] = {}  # the highest number that a name has been given so far
    for photo, relative in photos:
        name = first = _first_name(relative)
        wanted = folded(first.as_posix())
        while folded(name.as_posix()) in last:
            last[wanted] += 1
            name = first.with_stem(f"{first.stem}-{last[wanted]}")
        last[folded(name.as_posix())] = 1
        copies[photo] = folder / name
    _claim(folder, {copy.relative_to(folder).as_posix() for copy in copies.values()})
    return copies


def _first_name(relative: Path) -> Path:
    """What the copy of a photo is called unless that is taken: short enough that ".jpg" and a number may follow."""
    is_jpeg = relative.suffix.lower() in (".jpg", ".jpeg")
    if len(os.fsencode(relative.name)) <= _LONGEST:
        return relative if is_jpeg else Path(f"{relative}.jpg")
    return relative.with_name(f"{shortened(relative.stem)}{relative.suffix if is_jpeg else '.jpg'}")


_LONGEST = 240
"""Bytes of a name that leave room for more."""


def _claim(folder: Path, names: set[str]) -> None:
    """Enters `names` in the folder's list of copies. Raises UsageError if a file of one of these names is not in it."""
    file = folder / LIST
    ours: set[str] = set()
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError, TypeError, RecursionError):
            ours = {str(name) for name in json.loads(read_plain(file, LARGEST_LIST))}
    except OSError as error:
        raise opening_error(file, error) from error
    for name in sorted(names - ours):
        if os.path.lexists(folder / name):
            raise UsageError(str(folder / name), "is there already, and mien did not make it", "Name another folder.")
    make_folder(folder)
    remove_abandoned({folder, *((folder / name).parent for name in names)})
    write_atomically(file, json.dumps(sorted(ours | names), indent=0).encode())


def annotate(answer: Answer, photo: PhotoLike, copy: Path) -> bool:
    """Writes `copy`, a JPEG of `photo` with the faces of its `answer` marked. Returns False, and writes nothing, if the
    photo cannot be read. Raises PhotoError if the path of the copy is too long, and StorageError."""
    if answer.error:
        return False
    try:
        picture = read(photo, answer.path, max_side=SIDE, least_scale=0)
    except PhotoError:  # it was readable a moment ago
        return False
    pixels = draw_names(
        picture.pixels,
        [_scaled(named.face.box, picture.scale) for named in answer.faces],
        [f"{number} {label(named)}" for number, named in enumerate(answer.faces, 1)],
        [_colour(named.prediction) for named in answer.faces],
    )
    try:
        make_folder(copy.parent)
        write_atomically(copy, encoded(pixels, "JPEG"))
    except StorageError as error:
        if is_too_long(error):
            raise PhotoError(answer.path, PhotoFault.NAME_TOO_LONG) from error
        raise
    return True


def _scaled(box: Box, scale: float) -> Box:
    x0, y0, x1, y1 = box
    return (x0 * scale, y0 * scale, x1 * scale, y1 * scale)


def label(named: NamedFace) -> str:
    """The words below a face's box: "Ada 97 %", with "?" where that is doubtful; "unknown", "too small",
    or who it may be: "Ada?", "Ada or Bo?"."""
    prediction, reason = named.prediction, named.prediction.reason
    if prediction.person is not None:
        return f"{prediction.person} {chance(prediction.probability)}{'?' if reason else ''}"
    if reason is None or reason.kind == AnswerKind.NOBODY:
        return "unknown"
    return f"{' or '.join(reason.people)}?" if reason.people else str(reason.kind)


def _colour(prediction: Prediction) -> Colour:
    """The colour of a face's box."""
    if prediction.reason is None:
        return NAMED if prediction.person is not None else UNKNOWN
    kind = prediction.reason.kind
    if kind in (AnswerKind.TOO_SMALL, AnswerKind.TOO_BLURRED):
        return TOO_POOR
    return UNKNOWN if kind == AnswerKind.NOBODY else DOUBTFUL
