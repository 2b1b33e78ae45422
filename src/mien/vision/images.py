"""Untrusted image files to upright RGB pixels, and pixels to files.

Everything foreign stops here. The file's first bytes choose one Pillow plug-in from a closed list; size and format are
checked before a pixel is decoded; whatever a hostile file makes a decoder throw leaves as one PhotoError. Plug-ins are
opened directly, not through `Image.open`: that would try them all, import those that start other programs, and warn
about large pictures through the process-wide `warnings` state, which belongs to the host application (worker threads
cannot change it safely). The limits on size are mien's own instead, see `_check_size`.

Colours are taken as sRGB: embedded ICC profiles are ignored, which a face survives; who writes the pixels to another
file takes the profile along, see `rgb_profile`.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import os
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, Literal, cast

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin

from mien.errors import PhotoError
from mien.types import Photo, Picture, Pixels
from mien.vision.phash import phash
from mien.vision.sniff import sniff

MAX_BYTES = 512 * 2**20
"""Largest file that is read at all."""
MAX_PIXELS = 128_000_000
"""Most pixels that are decoded at once. At this size a PNG or TIFF takes 0.5 to 1 GB for the moment, a WebP 2 GB."""
MAX_JPEG_PIXELS = 512_000_000
"""Most pixels of a sequential JPEG, which is decoded row by row at an eighth of its size: today's phones reach 200
million."""
MAX_SCANNED_PIXELS = 2_000_000_000
"""Pixels times scans of a progressive JPEG. Ten scans are usual; a small file can ask for thousands."""

_PLUGINS = {
    "PNG": ("PIL.PngImagePlugin", "PngImageFile"),
    "GIF": ("PIL.GifImagePlugin", "GifImageFile"),
    "WEBP": ("PIL.WebPImagePlugin", "WebPImageFile"),
    "BMP": ("PIL.BmpImagePlugin", "BmpImageFile"),
    "TIFF": ("PIL.TiffImagePlugin", "TiffImageFile"),
    "AVIF": ("PIL.AvifImagePlugin", "AvifImageFile"),
    "JPEG2000": ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    "PPM": ("PIL.PpmImagePlugin", "PpmImageFile"),
    "PCX": ("PIL.PcxImagePlugin", "PcxImageFile"),
    "SGI": ("PIL.SgiImagePlugin", "SgiImageFile"),
    "TGA": ("PIL.TgaImagePlugin", "TgaImageFile"),
    "HEIF": ("pillow_heif.as_plugin", "HeifImageFile"),
}

_TURNS = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
"""EXIF's Orientation to the turn that sets the picture upright, as Pillow's `exif_transpose` has it."""
_AVERAGED = ("RGB", "L", "RGBA", "LA", "CMYK", "YCbCr", "I", "F")
"""Pillow's modes in which neighbouring values can be averaged, and that its `reduce` takes."""
_SIDEWAYS = (5, 6, 7, 8)

_FETCH_AGAIN = "Fetch the photo again, or take the file out of the folder."
_EXPORT = "Save it as a JPEG and use that, or take the file out of the folder."
_SMALLER = "If the photo is genuine, save a smaller copy and use that; otherwise delete it."

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Pillow's remarks on odd TIFFs reach a bare stderr


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's reader less a step that mien has no use for and that refuses the photo when its EXIF is broken. A
    multi-picture file (MPO) is read as its first picture."""

    def _read_dpi_from_exif(self) -> None:
        pass


def read_picture(path: Path, *, max_side: int | None = 1600) -> Picture:
    """The photo at `path`; the bytes hashed are the bytes decoded. Otherwise as `decode`."""
    return decode(read_bytes(path), _printable(path), max_side=max_side)


def read_bytes(path: Path) -> bytes:
    """What is in the file at `path`, which should be a photo. Raises PhotoError, also if it is too large for one."""
    with _opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            reason = f"{size / 2**20:.0f} MB is too large; the limit is 512"
            raise PhotoError(f"{_printable(path)}: {reason}.", _SMALLER, "bomb")
        return file.read(size)


def decode(data: bytes, name: str, *, max_side: int | None = 1600) -> Picture:
    """The photo in `data`, which errors call `name`.

    `pixels` are HxWx3 uint8 RGB, upright and read-only; transparent parts are white; of an animation or a multi-page
    file they are the first frame; more than 8 bits a channel are scaled down to 8. A picture over twice as long as
    `max_side` comes reduced by a whole factor, 1/`scale`, so that its long side is still at least `max_side` (a JPEG
    also at exactly twice); None keeps every pixel.

    Raises PhotoError, `kind` saying why: empty; not-a-picture; unsupported (a picture, but not of a kind mien reads);
    bomb (too many pixels, too much work); truncated; unreadable (damaged otherwise); missing-extra (HEIC). A JPEG that
    breaks off is truncated unless Pillow finds everything it needs: never half a face in grey.
    """
    if not data:
        raise PhotoError(f"{name}: the file is empty.", _FETCH_AGAIN, "empty")
    looks = sniff(data, name)
    if looks.kind != "picture":
        remedy = _EXPORT if looks.kind == "unsupported" else _FETCH_AGAIN
        raise PhotoError(f"{name}: not a photo mien can read; it is {looks.what}.", remedy, looks.kind)
    with _guarded(name, looks.what):
        image = _open(data, looks.what, name)
        width, height = image.size
        divisor = _draft(image, max_side)
        _check_size(image, width * height, data, name)
        image.load()
        if divisor == 1:
            width, height = image.size  # HEIF may know better after decoding
        orientation = _orientation(image)
        factor = max(image.size) // max_side if max_side and max(image.size) > 2 * max_side else 1
        pixels = _upright(_rgb(image, factor), orientation)
        if orientation in _SIDEWAYS:
            width, height = height, width
    photo = Photo(hashlib.sha256(data).hexdigest(), width, height, looks.what, phash(pixels))
    return Picture(photo, pixels, 1.0 / (divisor * factor))


def rgb_profile(data: bytes, name: str) -> bytes | None:
    """The ICC profile in which the pixels of `decode` are meant; None if `data` has none, or one of other channels than
    RGB (a CMYK press, say), which those pixels have left behind. Raises PhotoError where `decode` does for the
    header."""
    looks = sniff(data, name)
    if looks.kind != "picture":
        return None
    with _guarded(name, looks.what):
        profile = _open(data, looks.what, name).info.get("icc_profile")
    return profile if isinstance(profile, bytes) and profile[16:20] == b"RGB " else None  # ICC.1:2022, 7.2.6


def file_sha256(path: Path) -> str:
    """Hex digest of the file's bytes, `Photo.sha256`, without holding them. Raises PhotoError."""
    with _opened(path) as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def encoded(pixels: Pixels, fmt: Literal["PNG", "JPEG"], quality: int = 92, profile: bytes | None = None) -> bytes:
    """A file of HxWx3 uint8 RGB `pixels` with the ICC `profile`; `quality`, from 1 to 100, is a JPEG's."""
    options: dict[str, Any] = {"quality": quality} if fmt == "JPEG" else {}
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, fmt, icc_profile=profile, **options)
    return buffer.getvalue()


@contextmanager
def _opened(path: Path) -> Iterator[BufferedReader]:
    """A regular file, open for reading. Asked first, because opening a pipe would wait for its other end."""
    name = _printable(path)
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoError(f"{name}: not a file but a folder, pipe or device.", "Name a photo.", "not-a-picture")
        with path.open("rb") as file:
            yield file
    except FileNotFoundError as error:
        raise PhotoError(f"{name}: there is no such file.", "Check the name.") from error
    except PermissionError as error:
        raise PhotoError(f"{name}: may not be read.", "Give yourself permission to read it.") from error
    except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
        reason = getattr(error, "strerror", None) or error
        raise PhotoError(f"{name}: cannot be read: {reason}.", "Check the disk, or copy the file anew.") from error


def _printable(path: Path) -> str:
    """The path with the bytes that are not text in any encoding spelled out, so that a message can be printed."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _open(data: bytes, fmt: str, name: str) -> ImageFile.ImageFile:
    """Reads the header. No pixel is decoded yet."""
    if fmt == "JPEG":
        return _Jpeg(BytesIO(data))
    module, plugin = _PLUGINS[fmt]
    try:
        opener = getattr(importlib.import_module(module), plugin)
    except ImportError as error:
        raise PhotoError(
            f"{name}: reading HEIC needs a part that is not installed.", "pip install 'mien[heic]'", "missing-extra"
        ) from error
    return cast(ImageFile.ImageFile, opener(BytesIO(data)))


def _draft(image: ImageFile.ImageFile, max_side: int | None) -> int:
    """Makes a JPEG decode at a half, quarter or eighth of its size (the DCT gives these almost for nothing), the
    smallest whose long side is still `max_side`. Returns 2, 4, 8, or 1 where that does not apply."""
    if not isinstance(image, _Jpeg) or max_side is None:
        return 1
    for divisor in (8, 4, 2):
        if max(image.size) >= divisor * max_side and min(image.size) >= divisor:
            image.draft(None, (image.width // divisor, image.height // divisor))
            return divisor
    return 1


def _check_size(image: ImageFile.ImageFile, header_pixels: int, data: bytes, name: str) -> None:
    """Refuses a picture whose decoding would take too much memory or time. `image` is what will be decoded,
    `header_pixels` what the file says."""
    whole = not isinstance(image, _Jpeg) or "progressive" in image.info
    if header_pixels > (MAX_PIXELS if whole else MAX_JPEG_PIXELS) or image.width * image.height > MAX_PIXELS:
        reason = f"it claims {header_pixels / 1e6:,.0f} million pixels, more than mien decodes"
    elif isinstance(image, _Jpeg) and whole and header_pixels * _scans(image, data) > MAX_SCANNED_PIXELS:
        reason = "its progressive coding takes too much work to undo"
    else:
        return
    raise PhotoError(f"{name}: {reason}.", _SMALLER, "bomb")


def _scans(image: _Jpeg, data: bytes) -> int:
    """How often a progressive JPEG goes over the picture: the first scan, where `image` stands, and those after."""
    here = image.fp.tell() if image.fp else 0
    end = data.find(b"\xff\xd9", here)
    return 1 + data.count(b"\xff\xda", here, end if end >= 0 else len(data))


def _orientation(image: Image.Image) -> object:
    """EXIF's or XMP's Orientation, which may be any nonsense."""
    try:
        return image.getexif().get(0x0112)
    except Exception:  # foreign code on hostile bytes: broken EXIF costs the turn, not the photo
        return None


def _upright(image: Image.Image, orientation: object) -> Pixels:
    turn = next((turn for value, turn in _TURNS.items() if value == orientation), None)
    return np.asarray(image if turn is None else image.transpose(turn))


def _rgb(image: Image.Image, factor: int) -> Image.Image:
    """Any mode to RGB, `factor` times smaller by area averaging; transparent parts become white."""
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    if factor > 1 and (image.mode not in _AVERAGED or "transparency" in image.info):
        return _rgb(image, 1).reduce(factor)
    if factor > 1:  # first, where the mode allows it: the copies below are then small
        image = image.reduce(factor)
    if image.mode in ("I", "F"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    if image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.new("RGB", layer.size, "white")
        image.paste(layer, mask=layer.getchannel("A"))
    return image if image.mode == "RGB" else image.convert("RGB")


def _eight_bits(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """HxW integers or floats to uint8. The files do not say where white is, so it is the first of 1 (floats), 8, 12, 16
    and 32 bits that the brightest pixel does not exceed."""
    values = np.nan_to_num(grey.astype(np.float32), copy=False, posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    whites = (1.0,) * (grey.dtype.kind == "f") + (255.0, 4095.0, 65535.0, 2.0**32)
    white = next((white for white in whites if brightest <= white), brightest)
    scaled: NDArray[np.uint8] = np.clip(values * np.float32(255.0 / white) + 0.5, 0, 255).astype(np.uint8)
    return scaled


class _Hush(threading.local):
    """Stands in a warning filter where the pattern for module names stands, and matches in a thread that decodes.

    Pillow warns about broken metadata, which users cannot mend. `warnings.catch_warnings` would silence it, and at
    random the host's other threads with it; this filter is inert outside `_guarded`.
    """

    decoding = False

    def match(self, module: str) -> bool:
        return self.decoding


_HUSH = _Hush()
_FILTER = ("ignore", None, Warning, _HUSH, 0)


@contextmanager
def _guarded(name: str, fmt: str) -> Iterator[None]:
    """The border to Pillow: nothing it says comes out but a PhotoError."""
    filters = cast("list[Any]", warnings.filters)
    if filters[:1] != [_FILTER]:  # each time: test runners and `catch_warnings` put other filters before it
        filters[:] = [_FILTER, *(other for other in filters if other is not _FILTER)]
    _HUSH.decoding = True
    try:
        yield
    except PhotoError:
        raise
    except Exception as error:  # decoders fed hostile bytes raise a dozen types, and not only those documented
        raise _translated(name, fmt, error) from error
    finally:
        _HUSH.decoding = False


_TRUNCATED_WORDS = ("truncat", "end of", "eof", "premature", "not enough")
_UNSUPPORTED_WORDS = ("cannot handle", "support", "unknown")
"""Pillow and the libraries below it have no types for these; their English is all there is."""


def _translated(name: str, fmt: str, error: Exception) -> PhotoError:
    said = str(error).strip().rstrip(".") or type(error).__name__
    lower = said.lower()
    if isinstance(error, (MemoryError, Image.DecompressionBombError)) or "too large" in lower:
        return PhotoError(f"{name}: decoding would take too much memory.", _SMALLER, "bomb")
    if isinstance(error, EOFError) or any(
        word in lower for word in ("truncat", "end of", "eof", "premature", "not enough")
    ):
        return PhotoError(f"{name}: the {fmt} file breaks off ({said}).", _FETCH_AGAIN, "truncated")
    if any(word in lower for word in ("cannot handle", "support", "unknown", "not installed")):
        return PhotoError(f"{name}: a {fmt} of a kind mien cannot read ({said}).", _EXPORT, "unsupported")
    return PhotoError(f"{name}: the {fmt} file is damaged ({said}).", _FETCH_AGAIN, "unreadable")
