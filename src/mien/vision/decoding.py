"""Files of strangers decoded: bytes to an upright picture in RGB. A child process does this for `images`.

The file's first bytes choose one Pillow plug-in from a closed list; size and format are checked before a pixel is
decoded; whatever a hostile file makes a decoder throw leaves as one PhotoError. Plug-ins are opened directly.
`Image.open` would try them all, import those that start other programs, and warn about large pictures through the
process-wide `warnings` state, which belongs to the host application (worker threads cannot change it safely). The
limits on size are mien's own, see `check_size`.

JPEGs, most photos by far, are decoded by OpenCV: see `mien.vision.jpeg`.
"""

from __future__ import annotations

import hashlib
import importlib
import logging
import math
import os
import stat
import threading
import warnings
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import astuple
from functools import partial
from io import BufferedReader, BytesIO
from pathlib import Path
from typing import Any, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageFile, JpegImagePlugin

from mien.engines import child
from mien.errors import PhotoError
from mien.text.photos import FileType, PhotoFault
from mien.types import Pixels
from mien.vision import bands, jpeg, raw, tiff, webp
from mien.vision.metadata import metadata_of
from mien.vision.sniff import sniff

MAX_BYTES = 512 * 2**20
"""Bytes of the largest file that is read."""
MAX_PIXELS = 128_000_000
"""Most pixels that are decoded at once. Whether a picture of this size can be had in `MEMORY` depends on its format."""
MAX_JPEG_PIXELS = 512_000_000
"""Most pixels of a sequential JPEG, which is decoded row by row at an eighth of its size: today's phones reach 200
million."""
MAX_SCANNED_PIXELS = 2_000_000_000
"""Most pixels times scans of a progressive JPEG. Ten scans are usual; a small file can ask for thousands."""
LEAST_SCALE = 0.45
"""Scale below which a photo is not reduced, so that faces of 40 pixels can be found in it; see `mien.seeing.eyes`."""
SHARE = 256_000_000
"""Bytes that a photo is decoded in beside others. One that takes more waits until it is alone: so many workers together
take their shares and what one photo may take."""
MEMORY = 480_000_000
"""Bytes that one photo may be decoded in when it is alone, the picture apart: with that, and what two processes take in
any case, a worker stays below 600 MB (`benchmarks/children.py`)."""
_BYTES_A_PIXEL = 16
"""What Pillow takes at most to decode a pixel, its copies included: a WebP takes it all."""
LARGEST_PICTURE = 32_000_000
"""Pixels of a picture from which on it is reduced further, whatever becomes of its small faces: a photo of more than
128 megapixels."""

_PLUGINS = {
    FileType.PNG: ("PIL.PngImagePlugin", "PngImageFile"),
    FileType.GIF: ("PIL.GifImagePlugin", "GifImageFile"),
    FileType.WEBP: ("PIL.WebPImagePlugin", "WebPImageFile"),
    FileType.BMP: ("PIL.BmpImagePlugin", "BmpImageFile"),
    FileType.TIFF: ("PIL.TiffImagePlugin", "TiffImageFile"),
    FileType.AVIF: ("PIL.AvifImagePlugin", "AvifImageFile"),
    FileType.JPEG2000: ("PIL.Jpeg2KImagePlugin", "Jpeg2KImageFile"),
    FileType.PPM: ("PIL.PpmImagePlugin", "PpmImageFile"),
    FileType.PCX: ("PIL.PcxImagePlugin", "PcxImageFile"),
    FileType.SGI: ("PIL.SgiImagePlugin", "SgiImageFile"),
    FileType.TGA: ("PIL.TgaImagePlugin", "TgaImageFile"),
    FileType.HEIF: ("pi_heif.as_plugin", "HeifImageFile"),
    FileType.JPEG_XL: ("pillow_jxl.JpegXLImagePlugin", "JXLImageFile"),  # GPL, so whoever wants it installs it
}

_TURNS: Mapping[int, Callable[[Any], Any]] = {
    2: partial(cv2.flip, flipCode=1),
    3: partial(cv2.rotate, rotateCode=cv2.ROTATE_180),
    4: partial(cv2.flip, flipCode=0),
    5: cv2.transpose,
    6: partial(cv2.rotate, rotateCode=cv2.ROTATE_90_CLOCKWISE),
    7: lambda pixels: cv2.flip(cv2.transpose(pixels), -1),
    8: partial(cv2.rotate, rotateCode=cv2.ROTATE_90_COUNTERCLOCKWISE),
}
"""The turn that sets a picture upright, by EXIF's Orientation, as in Pillow's `exif_transpose`."""
_AVERAGED = ("RGB", "L", "RGBA", "LA", "CMYK", "YCbCr", "I", "F")
"""Pillow's modes whose neighbouring values can be averaged, and that its `reduce` takes."""
_INVISIBLE = 15
"""The most of 255 that a pixel may cover and not be seen."""
SIDEWAYS = (5, 6, 7, 8)
"""Orientations of pictures that lie on their side: upright, width and height change places."""

logging.getLogger("PIL").addHandler(logging.NullHandler())  # else Pillow's remarks on odd TIFFs reach a bare stderr


class _Jpeg(JpegImagePlugin.JpegImageFile):
    """Pillow's JPEG reader without its look for the resolution, which mien does not need, and which refuses photos
    whose EXIF is broken. A multi-picture file (MPO) is read as its first picture."""

    def _read_dpi_from_exif(self) -> None:
        pass


class Decoded(NamedTuple):
    """An upright picture, `pixels` HxWx3 uint8 RGB, `scale` times the size of the photo that a file holds, and `width`
    and `height` of the photo, upright."""

    pixels: Pixels
    file_type: FileType
    width: int
    height: int
    scale: float


class LargeError(Exception):
    """The photo takes more than its share of memory."""


def decoded(data: bytes, name: str, max_side: int | None, least_scale: float, most: int = 0) -> Decoded:
    """The photo in `data`, see `mien.vision.images.decode`. Raises PhotoError, and LargeError for a photo that
    seems to take more than `most` bytes, unless that is 0."""
    if not data:
        raise PhotoError(name, PhotoFault.EMPTY)
    file_type = sniff(data, name)
    if file_type.fault:
        raise PhotoError(name, file_type.fault, {"file_type": file_type.value})
    if file_type is FileType.RAW:
        return decoded(_preview(data, name), name, max_side, least_scale, most)._replace(file_type=file_type)
    with guarded(name, file_type):
        if file_type is FileType.WEBP and (found := _large_webp(data, name, max_side, least_scale, most)):
            return found
        image = _open(data, file_type, name)
        width, height = image.size
        wanted = reduction(width, height, max_side, least_scale)
        divisor = _draft(image, wanted)
        check_size(image, width * height, data, name)
        need = _bytes_for(image, divisor, data)
        if most and need > most:
            raise LargeError
        if isinstance(image, _Jpeg) and need > MEMORY:
            raise MemoryError
        if file_type is FileType.PNG and (exif := bands.png_chunk(data, b"eXIf")):
            image.info["exif"] = exif  # it may come after the pixels, and Pillow would decode them to find it
        orientation = _orientation(image)
        pixels = _jpeg(image, divisor, data, name) if isinstance(image, _Jpeg) else None
        if pixels is not None:
            factor = _factor(pixels.shape, wanted // divisor, max_side)
            reduced = pixels if factor == 1 else np.asarray(Image.fromarray(pixels).reduce(factor))
            pixels = _upright(reduced, orientation)
        else:
            if said := _missing(image, data):
                raise PhotoError(name, PhotoFault.DAMAGED, {"file_type": file_type, "said": said})
            factor = _factor(image.size, wanted, max_side)
            large = factor > 1 and need > SHARE
            pixels = _in_bands(image, factor, data) if large else None
            if pixels is not None:
                pixels = _upright(pixels, orientation)
            else:
                image.load()
                if file_type is FileType.TGA and image.mode == "RGBA" and not data[17] & 15:
                    image.putalpha(255)  # the header says that no bit of the fourth channel is alpha
                if divisor == 1:
                    width, height = image.size  # HEIF may know better after decoding
                pixels, factor, orientation = prepared(image, wanted // divisor, max_side)
    width, height = (height, width) if orientation in SIDEWAYS else (width, height)
    return Decoded(pixels, file_type, width, height, 1.0 / (divisor * factor))


def _preview(data: bytes, name: str) -> bytes:
    """The preview in a RAW file, a JPEG. Raises PhotoError where there is none."""
    found = raw.preview(data)
    if found is None:
        raise PhotoError(name, PhotoFault.NO_PREVIEW, {"file_type": FileType.RAW.value})
    return found


def _in_bands(image: ImageFile.ImageFile, factor: int, data: bytes) -> Pixels | None:
    """The pixels of a picture `factor` times smaller, of which a part is held at a time; None where that cannot be."""
    for flatten in (_on_white, _opaque):
        found, alpha = bands.reduced(image, factor, data), 0
        if found is None:
            return None
        pixels = _room((-(-image.height // factor), -(-image.width // factor), 3))
        for row, band in found:
            alpha = max(alpha, _most_alpha(band))
            pixels[row : row + band.height] = np.asarray(flatten(band))
        if alpha > _INVISIBLE:
            break
    return pixels


def _jpeg(image: _Jpeg, divisor: int, data: bytes, name: str) -> Pixels | None:
    """The pixels of a JPEG as they are stored, `divisor` times smaller. None for those that only Pillow decodes, as
    those of a printing press. Raises PhotoError for a picture of which a part is missing."""
    start = image.fp.tell() if image.fp else 0
    progressive, components = "progressive" in image.info, tuple(layer[0] for layer in image.layer)
    found = list(jpeg.scans(data, data.rfind(b"\xff\xda", 0, start)))
    if jpeg.missing(components, progressive, found):
        raise PhotoError(name, PhotoFault.BREAKS_OFF, {"file_type": FileType.JPEG, "said": "a scan is missing"})
    whole = data if data.find(jpeg.END, start) >= 0 else data + jpeg.END
    pixels, said = jpeg.pixels(whole, divisor)
    damage = jpeg.damage(said, whole, start)
    if damage and (bare := jpeg.bare(whole, start)):  # it tells only the first remark, which may be on metadata
        pixels, said = jpeg.pixels(bare, divisor)
        damage = jpeg.damage(said, bare, len(bare) - len(whole) + start)
    if pixels is not None and damage:
        fault = PhotoFault.BREAKS_OFF if "premature" in damage.lower() else PhotoFault.DAMAGED
        raise PhotoError(name, fault, {"file_type": FileType.JPEG, "said": damage})
    return None if pixels is None or image.mode not in ("L", "RGB") else pixels


def prepared(image: Image.Image, wanted: int, max_side: int | None) -> tuple[Pixels, int, int]:
    """The pixels of a picture that is loaded, in RGB, upright, and `wanted` times smaller if it is over twice as long
    as `max_side`; how many times smaller it became; and its orientation by EXIF."""
    orientation = _orientation(image)
    factor = _factor(image.size, wanted, max_side)
    return _upright(np.asarray(_rgb(image, factor)), orientation), factor, orientation


def _upright(pixels: Pixels, orientation: int) -> Pixels:
    turn = _TURNS.get(orientation)
    return pixels if turn is None else np.asarray(turn(pixels), np.uint8)


def _factor(sides: tuple[int, ...], wanted: int, max_side: int | None) -> int:
    return max(1, wanted) if max_side and max(sides) > 2 * max_side else 1


def task(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes | memoryview]:
    """What a child is asked for: the photo in `data`, or in the file at about["path"]. The pixels come back, and what
    is to be known of them; or the fault of a photo that cannot be read."""
    try:
        if "path" in about:
            data = read(Path(about["path"]))
        most = 0 if about.get("alone") else SHARE
        found = decoded(data, about["name"], about["max_side"], about["least_scale"], most)
    except LargeError:
        return {"large": True}, b""
    except PhotoError as error:
        return _faulty(error, data), b""
    pixels, file_type, width, height, scale = found
    said = {"sha256": hashlib.sha256(data).hexdigest(), "width": width, "height": height, "format": file_type.value}
    return {**said, "scale": scale, "size": pixels.shape[:2]}, _given(pixels)


def _given(pixels: Pixels) -> memoryview:
    """The pixels where the parent reads them."""
    given = child.lent()
    if given is None or not np.may_share_memory(pixels, np.frombuffer(given, np.uint8)):
        given = child.room(pixels.nbytes)
        np.copyto(np.frombuffer(given, np.uint8).reshape(pixels.shape), pixels)
    return given


def _room(shape: tuple[int, int, int]) -> Pixels:
    """Pixels to be filled, where the parent reads them."""
    return np.frombuffer(child.room(math.prod(shape)), np.uint8).reshape(shape)


def read(path: Path) -> bytes:
    """The bytes of the file at `path`. Raises PhotoError, also for a file of more than `MAX_BYTES`."""
    with opened(path) as file:
        size = os.fstat(file.fileno()).st_size
        if size > MAX_BYTES:
            figures = {"megabytes": size / 2**20, "limit": MAX_BYTES / 2**20}
            raise PhotoError(printable(path), PhotoFault.TOO_LARGE, figures)
        return file.read(size)


def metadata(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """What a child is asked for: what the file that `data` are, or the one at about["path"], says besides its pixels
    (`mien.vision.metadata.Metadata`), its blocks one after another and how long each is; or a fault."""
    blocks: tuple[bytes, ...] = ()
    try:
        if "path" in about:
            data = read(Path(about["path"]))
        file_type = sniff(data, about["name"])
        if not file_type.fault:
            if file_type is FileType.RAW:
                data, file_type = _preview(data, about["name"]), FileType.JPEG
            with guarded(about["name"], file_type):
                image = _open(data, file_type, about["name"])
                if file_type is FileType.PNG and (exif := bands.png_chunk(data, b"eXIf")):
                    image.info["exif"] = exif
                blocks = astuple(metadata_of(image))
    except PhotoError as error:
        return _faulty(error, data), b""
    return {"lengths": list(map(len, blocks))}, b"".join(blocks)


def _faulty(error: PhotoError, data: bytes) -> dict[str, Any]:
    if error.fault is PhotoFault.TOO_MUCH_MEMORY:
        raise MemoryError from error  # whether it was the photo's fault is for the child to say
    fault, figures = error.stored()
    return {"fault": fault, "figures": figures, "sha256": hashlib.sha256(data).hexdigest()}


@contextmanager
def opened(path: Path) -> Iterator[BufferedReader]:
    """The regular file at `path`, open for reading. Opening a pipe would wait for its other end, so whether it is a
    regular file is asked first."""
    try:
        if not stat.S_ISREG(path.stat().st_mode):
            raise PhotoError(printable(path), PhotoFault.NOT_A_FILE)
        with path.open("rb") as file:
            yield file
    except (OSError, ValueError) as error:
        raise PhotoError.of_file(printable(path), error) from error


def printable(path: Path) -> str:
    """The path as text that can be printed: bytes that are no text in any encoding are spelt out."""
    return str(path).encode("utf-8", "backslashreplace").decode()


def _open(data: bytes, file_type: FileType, name: str) -> ImageFile.ImageFile:
    """The image with its header read, and no pixel decoded yet."""
    if file_type is FileType.JPEG:
        return _Jpeg(BytesIO(data))
    module, plugin = _PLUGINS[file_type]
    try:
        opener = getattr(importlib.import_module(module), plugin)
    except ImportError as error:
        raise PhotoError(name, PhotoFault.MISSING_EXTRA, {"file_type": file_type.value}) from error
    image = cast(ImageFile.ImageFile, opener(BytesIO(data)))
    if file_type is FileType.TIFF and (number := tiff.photo(data)):
        image.seek(number)
    if file_type is FileType.JPEG_XL and not getattr(image, "jpeg", False):
        image.info.pop("exif", None)  # libjxl has turned the picture (ISO 18181-2), unless it gave back a JPEG
    return image


def _large_webp(data: bytes, name: str, max_side: int | None, least_scale: float, most: int) -> Decoded | None:
    """A WebP that takes more than its share of memory in Pillow, by OpenCV, which takes a quarter; None for a smaller
    one, and for one that only Pillow can have. Raises MemoryError where it cannot, as libwebp would say no more of it
    than that it failed; LargeError as `decoded`."""
    width, height, plain, exif = webp.header(data)
    if width * height > MAX_PIXELS:
        raise PhotoError(name, PhotoFault.TOO_MANY_PIXELS, {"megapixels": width * height / 1e6})
    need = len(data) + _BYTES_A_PIXEL * width * height
    if need <= SHARE:
        return None
    if most and need > most:
        raise LargeError
    factor = _factor((width, height), reduction(width, height, max_side, least_scale), max_side)
    pixels = jpeg.pixels(data, factor)[0] if plain and factor == 2 else None  # it reduces by averages, as for a JPEG
    if pixels is None:
        if need > MEMORY:
            raise MemoryError
        return None
    tags = Image.Exif()
    with suppress(Exception):  # broken EXIF costs the turn, not the photo
        tags.load(exif)
    orientation = next((number for number in _TURNS if number == tags.get(0x0112)), 1)
    width, height = (height, width) if orientation in SIDEWAYS else (width, height)
    return Decoded(_upright(pixels, orientation), FileType.WEBP, width, height, 1 / factor)


def _bytes_for(image: ImageFile.ImageFile, divisor: int, data: bytes) -> int:
    """About how many bytes it takes to decode the image: those of the file, and for each pixel those of the picture and
    its copies, or of the coefficients of a JPEG that comes in scans."""
    pixels = image.width * image.height
    if not isinstance(image, _Jpeg):
        return len(data) + _BYTES_A_PIXEL * pixels
    return len(data) + 3 * pixels + (round(_coefficients(image) * divisor**2 * pixels) if _is_whole(image, data) else 0)


def _coefficients(image: _Jpeg) -> float:
    """Bytes a pixel that libjpeg holds of a JPEG that comes in scans: two for each component, less where its colours
    are stored at a smaller size."""
    areas = [across * down for _, across, down, _ in image.layer]
    whole = max(across for _, across, _, _ in image.layer) * max(down for _, _, down, _ in image.layer)
    return 2 * sum(areas) / max(1, whole)


def _missing(image: ImageFile.ImageFile, data: bytes) -> str:
    """What the file itself says of pixels that are wrong or not there, and Pillow does not look at; "" if nothing."""
    if image.format == "PNG":
        return _wrong_checksum(data)
    if image.format == "TIFF":
        tags = cast(Any, image).tag_v2
        found: Any = tags.get(273) or tags.get(324) or ()  # the places of strips, of tiles
        if any(not 8 <= place < len(data) for place in (found if isinstance(found, tuple) else (found,))):
            return "a strip is missing"
    return ""


def _wrong_checksum(data: bytes) -> str:
    view = memoryview(data)
    for kind, start, end in bands.png_chunks(data):
        if kind == b"IDAT" and zlib.crc32(view[start - 4 : end]) != int.from_bytes(view[end : end + 4], "big"):
            return "a checksum is wrong"
    return ""


def reduction(width: int, height: int, max_side: int | None, least_scale: float) -> int:
    """How many times smaller a picture is to be; see `mien.vision.images.decode`."""
    if max_side is None:
        return 1
    for_faces = int(1 / least_scale + 1e-9) if least_scale else max(width, height)
    for_memory = 1 << math.ceil(math.log(max(1.0, width * height / LARGEST_PICTURE), 4))
    return max(1, min(max(width, height) // max_side, max(for_faces, for_memory)))


def _draft(image: ImageFile.ImageFile, wanted: int) -> int:
    """Makes a JPEG decode at a half, quarter or eighth of its size (the DCT gives these almost for nothing), the
    smallest that is not smaller than asked for. Returns the divisor: 2, 4, 8, or 1 for full size."""
    if not isinstance(image, _Jpeg):
        return 1
    for divisor in (8, 4, 2):
        if wanted >= divisor and min(image.size) >= divisor:
            image.draft(None, (image.width // divisor, image.height // divisor))
            return divisor
    return 1


def check_size(image: Image.Image, header_pixels: int, data: bytes, name: str) -> None:
    """Raises PhotoError for a picture whose decoding would take too much memory or time. `image` has the size at which
    it will be decoded; `header_pixels` is the full size that the file claims."""
    whole = not isinstance(image, _Jpeg) or _is_whole(image, data)
    if header_pixels > (MAX_PIXELS if whole else MAX_JPEG_PIXELS) or image.width * image.height > MAX_PIXELS:
        raise PhotoError(name, PhotoFault.TOO_MANY_PIXELS, {"megapixels": header_pixels / 1e6})
    if isinstance(image, _Jpeg) and whole and header_pixels * _scans(image, data) > MAX_SCANNED_PIXELS:
        raise PhotoError(name, PhotoFault.TOO_MANY_SCANS)


def _is_whole(image: _Jpeg, data: bytes) -> bool:
    """Whether a JPEG comes in scans, so that all of it is held before the first row is there. `image` was read up to
    the first scan."""
    here = image.fp.tell() if image.fp else 0
    first = data[data.rfind(b"\xff\xda", 0, here) + 4 : here]
    return "progressive" in image.info or (first[:1] != b"" and first[0] < len(image.layer))


def _scans(image: _Jpeg, data: bytes) -> int:
    """The number of scans of a JPEG that comes in several, each of which goes over the whole picture. `image` was read
    up to the first scan."""
    here = image.fp.tell() if image.fp else 0
    end = data.find(b"\xff\xd9", here)
    return 1 + data.count(b"\xff\xda", here, end if end >= 0 else len(data))


def _orientation(image: Image.Image) -> int:
    """The Orientation in EXIF or XMP, from 1 to 8; a hostile file may give it any value of any type."""
    try:
        value = Image.Image.getexif(image).get(0x0112)  # PNG's own decodes the picture
    except Exception:  # foreign code on hostile bytes: broken EXIF costs the turn, not the photo
        return 1
    return next((number for number in _TURNS if number == value), 1)


def _rgb(image: Image.Image, factor: int) -> Image.Image:
    """The image in RGB, whatever mode it has, `factor` times smaller by area averaging; transparent parts are white. A
    picture of which nobody would see anything has no transparency: its fourth channel is empty, or means something
    else."""
    if image.mode.startswith("I;16"):
        image = image.convert("I")
    if factor > 1 and (image.mode not in _AVERAGED or "transparency" in image.info):
        return _rgb(image, 1).reduce(factor)
    if factor > 1:  # first, where the mode allows it: the copies below are then small
        image = image.reduce(factor)
    if image.mode in ("I", "F"):
        image = Image.fromarray(_eight_bits(np.asarray(image)))
    return _on_white(image) if _most_alpha(image) > _INVISIBLE else _opaque(image)


def _most_alpha(image: Image.Image) -> int:
    """The most, from 0 to 255, that a pixel covers of what lies behind it."""
    most: Any = image.convert("RGBA").getchannel("A").getextrema()[1] if image.has_transparency_data else 255
    return int(most)


def _opaque(image: Image.Image) -> Image.Image:
    layer = image.convert("RGBA") if image.has_transparency_data else image
    return layer if layer.mode == "RGB" else layer.convert("RGB")


def _on_white(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return _opaque(image)
    layer = image.convert("RGBA")
    white = Image.new("RGB", layer.size, "white")
    white.paste(layer, mask=layer.getchannel("A"))
    return white


def _eight_bits(grey: NDArray[Any]) -> NDArray[np.uint8]:
    """HxW integers or floats as uint8. Files do not say which value is white, so white is the first of 1 (for floats)
    and the largest numbers of 8, 12, 16 and 32 bits that the brightest pixel does not exceed."""
    values = np.nan_to_num(grey.astype(np.float32), copy=False, posinf=0.0, neginf=0.0)
    brightest = float(values.max())
    whites = (1.0,) * (grey.dtype.kind == "f") + (255.0, 4095.0, 65535.0, 2.0**32)
    white = next((white for white in whites if brightest <= white), brightest)
    scaled: NDArray[np.uint8] = np.clip(values * np.float32(255.0 / white) + 0.5, 0, 255).astype(np.uint8)
    return scaled


class _WhileDecoding(threading.local):
    """A pattern for module names, for a warning filter, that matches every module in a thread that decodes, and none in
    the others.

    Pillow warns about broken metadata, which users cannot mend. `warnings.catch_warnings` would silence it, and at
    random the host's other threads with it.
    """

    decoding = False

    def match(self, module: str) -> bool:
        return self.decoding


_PATTERN = _WhileDecoding()
_FILTER = ("ignore", None, Warning, _PATTERN, 0)


@contextmanager
def guarded(name: str, file_type: FileType) -> Iterator[None]:
    """The border to Pillow: whatever Pillow raises or warns about inside leaves as a PhotoError or not at all."""
    filters = cast("list[Any]", warnings.filters)
    if filters[:1] != [_FILTER]:  # each time: test runners and `catch_warnings` put other filters before it
        filters[:] = [_FILTER, *(other for other in filters if other is not _FILTER)]
    _PATTERN.decoding = True
    try:
        yield
    except (PhotoError, LargeError):
        raise
    except Exception as error:  # decoders fed hostile bytes raise a dozen types, and not only those documented
        raise _translated(name, file_type, error) from error
    finally:
        _PATTERN.decoding = False


_WORDS_OF_FAULTS = {
    PhotoFault.TOO_MUCH_MEMORY: ("too large", "decoder error -9", "out of memory", "allocation"),  # -9: no memory
    PhotoFault.BREAKS_OFF: ("truncat", "end of", "eof", "premature", "not enough"),
    PhotoFault.VARIANT: ("cannot handle", "support", "unknown", "not installed"),
}
"""What Pillow and the libraries below it say of a file, in lower case, and what that means; the first that occurs
counts. Their errors have no types to go by, only this English."""


def _translated(name: str, file_type: FileType, error: Exception) -> PhotoError:
    said = str(error).strip().rstrip(".") or type(error).__name__
    if isinstance(error, (MemoryError, Image.DecompressionBombError)):
        fault = PhotoFault.TOO_MUCH_MEMORY
    elif isinstance(error, EOFError):
        fault = PhotoFault.BREAKS_OFF
    else:
        lower = said.lower()
        meant = (fault for fault, words in _WORDS_OF_FAULTS.items() if any(word in lower for word in words))
        fault = next(meant, PhotoFault.DAMAGED)
    return PhotoError(name, fault, {"file_type": file_type.value, "said": said})
