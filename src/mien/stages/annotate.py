"""annotate: copies of photos with boxes and names on them.

Goes in: an answer of `classify`, and where the copy goes. Comes out: a JPEG, upright, that keeps what the photo's file
says besides its pixels: EXIF, IPTC, XMP, and the colour profile of RGB pixels. The photos are only read, the only files
that are replaced are copies of earlier runs, and no copy comes to lie where an album is learned from.
"""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
from PIL import Image

from mien.errors import PhotoError, StorageError, UsageError
from mien.recogniser import PhotoLike, read
from mien.storage.files import is_too_long, make_folder, opening_error, read_plain, write_atomically
from mien.storage.leftovers import remove_abandoned
from mien.storage.own_folders import refuse_own_folder
from mien.text.answers import AnswerKind
from mien.text.names import folded, shortened
from mien.text.photos import PhotoFault
from mien.text.words import chance
from mien.types import Answer, NamedFace, Prediction
from mien.vision.drawing import DOUBTFUL, NAMED, TOO_POOR, UNKNOWN, Colour, Mark, draw_names
from mien.vision.images import encoded, metadata_in
from mien.vision.metadata import NO_METADATA, Metadata, metadata_of

SIDE = 2400
"""Long side in pixels from which on a copy is smaller than its photo."""

LIST = ".mien-copies"
"""The file in a folder of copies that lists them."""
LARGEST_LIST = 1 << 28
"""Bytes of a list, above what two million copies need."""


def plan_copies(folder: Path, photos: Iterable[tuple[Path, Path]], album: Path | None = None) -> dict[Path, Path]:
    """The place in `folder` for the copy of each photo; `photos` are (photo, its path relative to what the user named).

    "a.jpg" stays "a.jpg", "a.png" becomes "a.png.jpg", and a second "a.jpg" becomes "a-2.jpg". Copies of earlier runs,
    which a list in the folder names, will be replaced. Raises UsageError if any other file is in the way, as it may be
    the user's own photo, and for a folder that an album keeps for itself (`mien.storage.own_folders`, where `album` is
    the one that is used); StorageError.
    """
    refuse_own_folder(folder, album)
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
    ours = _earlier(folder)
    for name in sorted(names - ours):
        if os.path.lexists(folder / name):
            raise UsageError(str(folder / name), "is there already, and mien did not make it", "Name another folder.")
    make_folder(folder)
    remove_abandoned({folder, *((folder / name).parent for name in names)})
    write_atomically(folder / LIST, json.dumps(sorted(ours | names), indent=0).encode())


def _earlier(folder: Path) -> set[str]:
    """The copies of earlier runs in a folder, by their paths in it. Raises StorageError."""
    file = folder / LIST
    try:
        with contextlib.suppress(FileNotFoundError, NotADirectoryError, ValueError, TypeError, RecursionError):
            return {str(name) for name in json.loads(read_plain(file, LARGEST_LIST))}
    except OSError as error:
        raise opening_error(file, error) from error
    return set()


def is_earlier_copy(folder: Path) -> Callable[[Path], bool]:
    """What says of a photo whether it is a copy that an earlier run put into `folder`. Raises StorageError."""
    top, copies = folder.absolute(), _earlier(folder)

    def is_copy(photo: Path) -> bool:
        photo = photo.absolute()
        return bool(copies) and photo.is_relative_to(top) and photo.relative_to(top).as_posix() in copies

    return is_copy


def annotate(answer: Answer, photo: PhotoLike, copy: Path) -> bool:
    """Writes `copy`, a JPEG of `photo` with the faces of its `answer` marked. Returns False, and writes nothing, if the
    photo cannot be read. Raises PhotoError if the path of the copy is too long, and StorageError."""
    if answer.error:
        return False
    try:
        picture = read(photo, answer.path, max_side=SIDE, least_scale=0)
    except PhotoError:  # it was readable a moment ago
        return False
    pixels = draw_names(picture.pixels, [mark(named, picture.scale) for named in answer.faces])
    try:
        make_folder(copy.parent)
        write_atomically(copy, encoded(pixels, "JPEG", metadata=_metadata(photo, answer.path)))
    except StorageError as error:
        if is_too_long(error):
            raise PhotoError(answer.path, PhotoFault.NAME_TOO_LONG) from error
        raise
    return True


def _metadata(photo: PhotoLike, name: str) -> Metadata:
    """What a photo's file says of it; nothing of pixels, and of a file that says nothing that can be read."""
    with contextlib.suppress(PhotoError):
        if isinstance(photo, Image.Image):
            return metadata_of(photo)
        if not isinstance(photo, np.ndarray):
            return metadata_in(photo if isinstance(photo, bytes) else Path(photo), name)
    return NO_METADATA


def mark(named: NamedFace, scale: float) -> Mark:
    """How a face is marked in a picture that is `scale` times the size of its photo."""
    x0, y0, x1, y1 = (side * scale for side in named.face.box)
    words, sure = label(named)
    reason = named.prediction.reason
    is_name = named.prediction.person is not None or bool(reason and reason.people)
    return Mark((x0, y0, x1, y1), words, _colour(named.prediction), sure, is_name)


def label(named: NamedFace) -> tuple[str, str]:
    """What is written of a face, and how sure it is, as the command line says it: "Ada" and "97.2 %", with "?" where
    the name is doubtful; "unknown", "too small", or who it may be, "Ada?", "Ada or Bo?", with ""."""
    prediction, reason = named.prediction, named.prediction.reason
    if prediction.person is not None:
        return prediction.person, f"{chance(prediction.probability)}{'?' if reason else ''}"
    if reason is None or reason.kind == AnswerKind.NOBODY:
        return "unknown", ""
    return f"{' or '.join(reason.people)}?" if reason.people else str(reason.kind), ""


def _colour(prediction: Prediction) -> Colour:
    """The colour of a face's box."""
    if prediction.reason is None:
        return NAMED if prediction.person is not None else UNKNOWN
    kind = prediction.reason.kind
    if kind in (AnswerKind.TOO_SMALL, AnswerKind.TOO_BLURRED):
        return TOO_POOR
    return UNKNOWN if kind == AnswerKind.NOBODY else DOUBTFUL
