"""mien-align-dlib: OpenFace's align-dlib.py with mien's detector, and without dlib.

Goes in: a folder with a folder of pictures for each person. Comes out: a PNG for each picture with a face, its largest
face cut by three landmarks. Several processes may share a folder: each goes through the pictures in an order of its
own, and leaves alone what another has written. The flags, folders and lines are those of util/align-dlib.py of OpenFace
(Copyright 2015-2016 Carnegie Mellon University, Apache-2.0).
"""

from __future__ import annotations

import argparse
import os
import random
import sys
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Final, NamedTuple

import numpy as np
from PIL import Image, ImageDraw

from mien.compat.command import ends, read, say, warn
from mien.compat.pictures import largest_face
from mien.errors import DamagedModelError, NoFaceError, PhotoError, UsageError
from mien.seeing.landmarkers.trees import OwnTrees
from mien.storage.files import is_file, make_folder, move_file, opening_error, write_atomically, write_new
from mien.types import EncoderChoice, Floats
from mien.vision.geometry import OPENFACE_PARTS, openface_chip, square_from_landmarks
from mien.vision.images import encoded, read_bytes, read_picture
from mien.wiring import make_eyes

if TYPE_CHECKING:
    from mien.seeing.eyes import Eyes

PROGRAM = "mien-align-dlib"

ENDINGS: Final = (".jpg", ".jpeg", ".png")
"""Of the files that are taken for pictures, in small letters."""

LANDMARKS: Final = ("outerEyesAndNose", "innerEyesAndBottomLip")

LARGEST_PREDICTOR: Final = 1 << 29
"""Bytes; dlib's own for 68 points has 100 MB."""

_PLOT, _MARGIN, _DOT = 800, 60, 3
"""Pixels of mean.png: its side, the empty border, the radius of a point."""


def parser() -> argparse.ArgumentParser:
    """The flags of align-dlib.py."""
    found = argparse.ArgumentParser(prog=PROGRAM, description="Aligns faces by their landmarks.")
    found.add_argument("inputDir", help="Input image directory.")
    modes = found.add_subparsers(dest="mode", help="Mode", required=True)
    mean = modes.add_parser("computeMean", help="Compute the mean landmarks of a directory of images.")
    mean.add_argument("--numImages", type=int, default=0, help="The number of images. '0' for all images.")
    mean.add_argument("--modelDir", default=".", help="Where mean.csv, std.csv and mean.png are written.")
    align = modes.add_parser("align", help="Align a directory of images.")
    align.add_argument("landmarks", choices=LANDMARKS, help="The landmarks to align to.")
    align.add_argument("outputDir", help="Output directory of aligned images.")
    align.add_argument("--size", type=int, default=96, help="Side of an aligned image, in pixels.")
    align.add_argument("--fallbackLfw", default="", metavar="DIR", help="Where to copy what cannot be aligned from.")
    align.add_argument("--skipMulti", action="store_true", help="Skip images with more than one face.")
    align.add_argument("--version", type=int, choices=(1, 2), default=1, help="Accepted; both are the same here.")
    own = "A shape predictor of dlib's (.dat)."
    for one in (found, mean, align):  # before the mode and after it
        one.add_argument("--dlibFacePredictor", default=argparse.SUPPRESS, metavar="FILE", help=own)
    for one in (found, align):
        one.add_argument("--verbose", action="store_true", default=argparse.SUPPRESS, help="Say what becomes of each.")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags = parser().parse_args(arguments)
    return ends(PROGRAM, partial(_align if flags.mode == "align" else _compute_mean, flags))


class _Image(NamedTuple):
    """A picture: its file, its class (the name of its folder), its name without the ending."""

    path: str
    cls: str
    name: str


def _images(folder: str) -> list[_Image]:
    """All pictures below `folder`, in the order of their paths. Raises UsageError where it is no folder."""
    if not os.path.isdir(folder):  # noqa: PTH112 - of a text, which is printed as it was given
        raise UsageError(folder, "is no folder", "Name the folder that has a folder of pictures for each person.")
    found = []
    for base, folders, files in os.walk(folder, onerror=_unlisted):
        folders.sort()
        for file in files:
            stem, ending = os.path.splitext(file)  # noqa: PTH122
            if ending.lower() in ENDINGS:
                found.append(_Image(os.path.join(base, file), os.path.basename(base.rstrip(os.sep)), stem))  # noqa: PTH118, PTH119
    return sorted(found)


def _unlisted(error: OSError) -> None:
    warn(f"{PROGRAM}: {opening_error(Path(error.filename), error)}")


def _eyes(flags: argparse.Namespace) -> tuple[Eyes, int]:
    """What sees faces, and how many points it places. Raises UsageError, StorageError and DamagedModelError."""
    eyes = make_eyes(EncoderChoice())
    file = getattr(flags, "dlibFacePredictor", "")
    if not file:
        return eyes, 5
    data = read(file, LARGEST_PREDICTOR, "Name a shape predictor, unpacked (.dat).")
    try:
        trees = OwnTrees(data)
    except DamagedModelError as error:
        raise DamagedModelError(file, error.what, error.remedy) from error
    return replace(eyes, landmarker=trees), trees.parts


# align


def _align(flags: argparse.Namespace) -> int:
    images = _images(flags.inputDir)
    if not 0 < flags.size <= _LARGEST:
        raise UsageError(f"--size {flags.size}", "is no side of a picture", f"Name one of 1 to {_LARGEST} pixels.")
    eyes, parts = _eyes(flags)
    if (flags.landmarks, parts) not in OPENFACE_PARTS:
        raise _other_points(flags.landmarks, parts)
    make_folder(Path(flags.outputDir))
    for where, count in Counter((image.cls, image.name) for image in images).items():
        if count > 1:
            warn(f"{PROGRAM}: {count} pictures are called {'/'.join(where)}: only the first to come is aligned.")
    random.shuffle(images)  # so that several processes share the job
    fallbacks = unseen = unread = 0
    for image in images:
        say(f"=== {image.path} ===")
        folder = Path(flags.outputDir) / image.cls
        make_folder(folder)
        if is_file(folder / f"{image.name}.png"):
            _told(flags, "Already found, skipping.")
            continue
        try:
            chip = _chip(eyes, image, flags)
        except PhotoError as error:
            warn(f"{PROGRAM}: {error}")
            _told(flags, "Unable to load.")
            chip, unread = None, unread + 1
        else:
            if chip is None:
                _told(flags, "Unable to align.")
                unseen += 1
        if chip is not None:
            _told(flags, "Writing aligned file to disk.")
            write_new(folder / f"{image.name}.png", chip)
        elif flags.fallbackLfw:
            fallbacks += _copied(Path(flags.fallbackLfw) / image.cls / f"{image.name}.jpg", folder)
    if flags.fallbackLfw:
        say(f"nFallbacks: {fallbacks}")
    if unseen or unread:
        faces = "one face" if flags.skipMulti else "a face"
        warn(f"{PROGRAM}: of {len(images)} pictures {unseen} are without {faces}, and {unread} cannot be read.")
    return 0


_LARGEST = 4096
"""Pixels of the side of an aligned picture."""


def _told(flags: argparse.Namespace, line: str) -> None:
    if getattr(flags, "verbose", False):
        say(f"  + {line}")


def _chip(eyes: Eyes, image: _Image, flags: argparse.Namespace) -> bytes | None:
    """The PNG of the largest face, or of the only one with --skipMulti; None where there is none."""
    picture = read_picture(Path(image.path), least_scale=eyes.least_scale)
    face = largest_face(eyes, picture, flags.skipMulti)
    if face is None:
        return None
    return encoded(openface_chip(picture.pixels, eyes.points(picture, face), flags.size, flags.landmarks), "PNG")


def _copied(fallback: Path, folder: Path) -> int:
    """1 if a picture that was aligned otherwise was copied from elsewhere, else 0."""
    try:
        write_new(folder / fallback.name, read_bytes(fallback))
        return 1
    except PhotoError as error:
        warn(f"{PROGRAM}: {error}")
        return 0


def _other_points(landmarks: str, parts: int) -> UsageError:
    if parts == 5:
        return UsageError(
            landmarks,
            "needs 68 facial points, and mien brings five: dlib's predictor of 68 points was trained on pictures whose "
            "licence forbids commercial use",
            "Align to outerEyesAndNose, which needs no more; or name a predictor of your own with --dlibFacePredictor "
            "FILE, such as dlib's shape_predictor_68_face_landmarks.dat where you may use it.",
        )
    return UsageError(
        landmarks,
        f"is not among the {parts} points of this predictor",
        "Name one of 68 points with --dlibFacePredictor, or leave the flag out for outerEyesAndNose.",
    )


# computeMean


def _compute_mean(flags: argparse.Namespace) -> int:
    images = _images(flags.inputDir)
    if flags.numImages > 0:
        images = random.sample(images, min(flags.numImages, len(images)))
    eyes, _ = _eyes(flags)
    rows = list(_placed(eyes, images))
    if not rows:
        raise NoFaceError(flags.inputDir, "has no picture with a face", "Name a folder of pictures of people.")
    points, folder = np.stack(rows), Path(flags.modelDir)
    mean = points.mean(axis=0)
    make_folder(folder)
    _write(folder / "mean.csv", mean)
    _write(folder / "std.csv", points.std(axis=0))
    write_atomically(folder / "mean.png", _plot(mean))
    return 0


def _placed(eyes: Eyes, images: Sequence[_Image]) -> Iterator[Floats]:
    """(P, 2) for each picture with a face: its points, in the unit square of the box that dlib's detector draws."""
    for image in images:
        try:
            picture = read_picture(Path(image.path), least_scale=eyes.least_scale)
        except PhotoError as error:
            warn(f"{PROGRAM}: {error}")
            continue
        face = largest_face(eyes, picture)
        if face is not None:
            x0, y0, x1, y1 = square_from_landmarks(face.landmarks * np.float32(picture.scale))
            yield np.asarray((eyes.points(picture, face) - (x0, y0)) / (x1 - x0, y1 - y0), np.float32)


def _write(file: Path, rows: Floats) -> None:
    """A line for each point; a file that is there becomes .bak."""
    if is_file(file):
        say(f"{file} exists. Backing up.")
        backup = file.with_name(f"{file.name}.bak")
        backup.unlink(missing_ok=True)
        move_file(file, backup)
    write_atomically(file, "".join(f"{x},{y}\n" for x, y in rows.tolist()).encode())


def _plot(mean: Floats) -> bytes:
    """A PNG of the points, each with its number."""
    low, high = mean.min(axis=0), mean.max(axis=0)
    places = _MARGIN + (mean - low) / max(float((high - low).max()), 1e-6) * (_PLOT - 2 * _MARGIN)
    image = Image.new("RGB", (_PLOT, _PLOT), "white")
    draw = ImageDraw.Draw(image)
    for number, (x, y) in enumerate(places.tolist()):
        draw.ellipse((x - _DOT, y - _DOT, x + _DOT, y + _DOT), fill="black")
        draw.text((x + 2 * _DOT, y - 2 * _DOT), str(number), fill="black")
    buffer = BytesIO()
    image.save(buffer, "PNG")
    return buffer.getvalue()


if __name__ == "__main__":
    sys.exit(main())
