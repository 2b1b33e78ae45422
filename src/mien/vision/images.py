"""Untrusted image files to upright RGB pixels, and pixels to files.

Everything foreign stops here. A file is read and decoded in a child process (`mien.engines.children`), which the system
holds to a bounded memory and time: a file that breaks the decoder, or has it compute without end, leaves as a
PhotoError like any other that cannot be read.

Colours are taken as sRGB: embedded ICC profiles are ignored, which costs a face nothing that an encoder needs. Whoever
writes the pixels to another file gives it the profile, see `metadata_in`.
"""

from __future__ import annotations

import contextlib
import hashlib
import threading
from collections.abc import Mapping
from functools import cache
from importlib import metadata
from io import BytesIO
from itertools import accumulate, pairwise
from pathlib import Path
from typing import Any, Literal

import numpy as np
from PIL import Image

from mien.engines import children
from mien.engines.children import TaskEndedError
from mien.errors import PhotoError
from mien.text.photos import FileType, PhotoFault
from mien.types import Photo, Picture, Pixels
from mien.vision import decoding
from mien.vision.decoding import LEAST_SCALE, SIDEWAYS, check_size, guarded, opened, prepared, printable, reduction
from mien.vision.metadata import NO_METADATA, Metadata
from mien.vision.phash import phash

SECONDS, SECONDS_A_MEGABYTE = 3.0, 0.5
"""Seconds of computing that a file may take, and how many more for each megabyte that it has. The slowest of honest
files, PNGs and progressive JPEGs of 100 megapixels, take a tenth of that here."""

_ENDED = {
    "time": PhotoFault.TOO_LONG,
    "hung": PhotoFault.HUNG,
    "too much memory": PhotoFault.TOO_MUCH_MEMORY,
    "short of memory": PhotoFault.SHORT_OF_MEMORY,
    "killed": PhotoFault.KILLED,
}

_UNREAD = (
    PhotoFault.NO_SUCH_FILE,
    PhotoFault.NOT_A_FILE,
    PhotoFault.FORBIDDEN,
    PhotoFault.DISK,
    PhotoFault.TOO_LARGE,
    PhotoFault.BROKEN_LINK,
    PhotoFault.NAME,
)
"""Faults of files whose bytes nobody has read."""


def read_picture(path: Path, *, max_side: int | None = 1600, least_scale: float = LEAST_SCALE) -> Picture:
    """The photo in the file at `path`, which is read once: the bytes hashed are the bytes decoded. `max_side` and
    `least_scale` are as for `decode`. Raises PhotoError."""
    try:
        size = path.stat().st_size
        whole = path.absolute()  # a child works in the folder in which it was started, and nobody says which
    except (OSError, ValueError) as error:
        raise PhotoError.of_file(printable(path), error) from error
    return _picture(printable(path), size, max_side, least_scale, path=str(whole))


def read_bytes(path: Path) -> bytes:
    """The bytes of the file at `path`. Raises PhotoError, also for a file of more than `decoding.MAX_BYTES`."""
    return decoding.read(path)


def decode(data: bytes, name: str, *, max_side: int | None = 1600, least_scale: float = LEAST_SCALE) -> Picture:
    """The photo in `data`, the bytes of a file that errors call `name`.

    `pixels` are HxWx3 uint8 RGB, upright and read-only; transparent parts are white; of an animation or a multi-page
    file they are the first frame; more than 8 bits a channel are scaled down to 8. `max_side` is a length in pixels: a
    picture over twice as long comes reduced by a whole factor, 1/`scale`, so that its long side is still at least
    `max_side`, and its scale at least `least_scale` unless it would have more than `decoding.LARGEST_PICTURE` pixels (a
    JPEG's factor is 2, 4, 8 or a multiple of 8, and it is reduced also at exactly twice). None keeps every pixel.

    Raises PhotoError. A JPEG that breaks off is refused unless Pillow finds everything it needs, so that no face is
    half grey.
    """
    return _picture(name, len(data), max_side, least_scale, data)


def _picture(
    name: str, size: int, max_side: int | None, least_scale: float, data: bytes = b"", **where: str
) -> Picture:
    """The photo of `size` bytes that a child decodes: `data`, or what lies at the path."""
    about = {"name": name, "max_side": max_side, "least_scale": least_scale, **where}
    said: dict[str, Any] = {"large": True}
    given = memoryview(b"")
    if size < decoding.SHARE // 2:  # a larger file would take its share before anybody has looked at it
        said, given = _asked("task", about, data, size, decoding.SHARE)
    if "large" in said:
        with _ALONE:
            said, given = _asked("task", {**about, "alone": True}, data, size, decoding.MEMORY)
    height, width = said["size"]
    pixels = np.frombuffer(given, np.uint8).reshape(height, width, 3)
    pixels.flags.writeable = False
    photo = Photo(said["sha256"], said["width"], said["height"], said["format"], phash(pixels))
    return Picture(photo, pixels, said["scale"])


_ALONE = threading.Lock()
"""Held while a photo is decoded that takes more than its share of memory."""


def _asked(
    task: str, about: Mapping[str, Any], data: bytes, size: int, memory: int
) -> tuple[dict[str, Any], memoryview]:
    """What a child makes of a file of `size` bytes within so much memory. Raises PhotoError."""
    seconds = SECONDS + SECONDS_A_MEGABYTE * min(size, decoding.MAX_BYTES) / 2**20
    try:
        said, given = children.ask(f"mien.vision.decoding:{task}", about, data, seconds=seconds, memory=memory)
    except TaskEndedError as error:
        fault = _ENDED.get(error.reason, PhotoFault.BREAKS_DECODER)
        limit = {PhotoFault.TOO_LONG: seconds, PhotoFault.HUNG: children.PATIENCE * seconds}.get(fault)
        figures = {} if limit is None else {"seconds": round(limit)}
        raise PhotoError(about["name"], fault, figures) from error
    if "fault" in said:
        sha256 = "" if said["fault"] in _UNREAD else said["sha256"]
        raise PhotoError.restored(about["name"], said["fault"], said["figures"], sha256)
    return said, given


def picture_of(
    given: Image.Image | Pixels, name: str, *, max_side: int | None = 1600, least_scale: float = LEAST_SCALE
) -> Picture:
    """The photo that somebody else has decoded, as a PIL image of any mode or an HxWx3 uint8 RGB array; errors call it
    `name`. It is made upright by the image's EXIF orientation, RGB and smaller as `decode` does it, and a PIL image
    with its file still open is decoded now, in this process: whoever opened it has believed it.

    There is no file, so the photo's `format` is "" and its `sha256` that of size and pixels; see `mien.types.Photo`.
    Raises PhotoError where there are too many pixels or none, and as `decode` does for an image that cannot be decoded
    or is of a mode that cannot be made RGB.
    """
    image = given if isinstance(given, Image.Image) else Image.fromarray(given)
    if not image.width or not image.height:
        raise PhotoError(name, PhotoFault.EMPTY)
    with guarded(name, next((one for one in FileType if one == image.format), FileType.OTHER)):
        check_size(image, image.width * image.height, b"", name)
        with _LOADING:
            image.load()
        width, height = image.size
        pixels, factor, orientation = prepared(image, reduction(width, height, max_side, least_scale), max_side)
        pixels.flags.writeable = False
    width, height = (height, width) if orientation in SIDEWAYS else (width, height)
    sha256 = hashlib.sha256(f"{width} x {height} pixels\n".encode() + pixels.tobytes()).hexdigest()
    return Picture(Photo(sha256, width, height, "", phash(pixels)), pixels, 1.0 / factor)


@cache
def decoder() -> str:
    """Which decoders read photos here, by their versions: what one could not read, another may."""
    names = {"mien": "mien", "Pillow": "pillow", "OpenCV": "opencv-python-headless", "pi-heif": "pi-heif"}
    found = []
    for name, package in names.items():
        with contextlib.suppress(metadata.PackageNotFoundError):
            found.append(f"{name} {metadata.version(package)}")
    return ", ".join(found)


_LOADING = threading.Lock()
"""Held while a PIL image reads its file: whoever asks about one image in two threads would have it read at once."""


def metadata_in(photo: Path | bytes, name: str) -> Metadata:
    """What the file at a path, or of these bytes, says besides its pixels; errors call it `name`. Nothing of a file of
    whose type nothing is known. Raises PhotoError where `decode` does for the header."""
    if isinstance(photo, Path):
        about, data = {"name": name, "path": str(photo.absolute())}, b""
    else:
        about, data = {"name": name}, photo
    said, found = _asked("metadata", about, data, len(data), decoding.SHARE)
    ends = [*accumulate(said["lengths"], initial=0)]
    return Metadata(*(bytes(found[start:end]) for start, end in pairwise(ends)))


def file_sha256(path: Path) -> str:
    """The hex digest of the file's bytes, as `Photo.sha256`, however large the file is. Raises PhotoError."""
    with opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encoded(pixels: Pixels, fmt: Literal["PNG", "JPEG"], quality: int = 92, metadata: Metadata = NO_METADATA) -> bytes:
    """The bytes of an image file that holds `pixels` (HxWx3 uint8 RGB). A JPEG has this `quality`, from 1 to 100, and
    all of the `metadata`; a PNG has the colour profile of it."""
    options = {"quality": quality, **metadata.options()} if fmt == "JPEG" else {"icc_profile": metadata.profile or None}
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, fmt, **options)
    return buffer.getvalue()
