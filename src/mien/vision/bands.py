"""Large PNGs, TIFFs, HEICs, and plain pixels in bands of rows, so that Pillow never holds all pixels at full size.

Pillow decodes a picture as a whole, at four bytes a pixel. A band is a small file of the same format, made of a part of
the data: rows of a PNG, whose filters look back no further than the row before; strips of a TIFF, which stand alone.
The plain pixels of a BMP or PPM need no file, nor do those that libheif has made of a HEIC, at three bytes a pixel.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from io import BytesIO
from typing import Any

from PIL import Image, ImageFile, PngImagePlugin, TiffImagePlugin

Band = tuple[int, Image.Image]
"""Rows of a picture, and the number of the first."""

_BAND = 4_000_000
"""Pixels of a band, about."""
_PIECE = 1 << 20
"""Bytes of a PNG that are unpacked at a time."""
_PLAIN = {"L": 1, "RGB": 3, "BGR": 3, "RGBX": 4, "BGRX": 4, "RGBA": 4, "BGRA": 4}
"""Bytes of a pixel in Pillow's names for plain pixels."""
_CHANNELS = {"L": 1, "P": 1, "LA": 2, "RGB": 3, "RGBA": 4}
"""Modes of 8 bits a channel, whose rows Pillow gives back as they were."""
_COPIED = (258, 259, 262, 277, 284, 317, 338, 339, 347, 530, 531, 532)
"""Fields of a TIFF that say how its pixels are coded."""
_WIDTH, _LENGTH, _DEPTH, _OFFSETS, _ROWS, _COUNTS = 256, 257, 258, 273, 278, 279


def reduced(image: ImageFile.ImageFile, factor: int, data: bytes) -> Iterator[tuple[int, Image.Image]] | None:
    """The picture in `data`, whose header `image` is, `factor` times smaller by area averaging, in bands of grey, grey
    with alpha, RGB or RGBA, each with the number of its first row; not always from the top. None where it cannot be had
    in bands. Iterating raises what Pillow and zlib raise."""
    if image.mode not in _CHANNELS or "transparency" in image.info:
        return None
    if isinstance(image, PngImagePlugin.PngImageFile):
        found = _of_png(image, factor, data)
    elif isinstance(image, TiffImagePlugin.TiffImageFile):
        found = _of_tiff(image, factor, data)
    elif image.format in ("BMP", "PPM"):  # of others Pillow says "raw" too, and means what their decoder gives
        found = _of_plain(image, factor, data)
    elif image.format == "HEIF":
        found = _of_heic(image, factor)
    else:
        return None
    return None if found is None else _reduced(found, factor)


def _reduced(found: Iterator[Band], factor: int) -> Iterator[tuple[int, Image.Image]]:
    for row, band in found:
        yield row // factor, (band.convert("RGB") if band.mode == "P" else band).reduce(factor)


def png_chunks(data: bytes) -> Iterator[tuple[bytes, int, int]]:
    """The chunks of a PNG that are there as a whole: the kind of each, and where its body begins and ends."""
    at = 8
    while at + 12 <= len(data):
        end = at + 8 + int.from_bytes(data[at : at + 4], "big")
        if end + 4 > len(data):
            return
        yield data[at + 4 : at + 8], at + 8, end
        at = end + 4


def png_chunk(data: bytes, wanted: bytes) -> bytes:
    """The body of the first chunk of a kind, b"" where there is none."""
    return next((data[start:end] for kind, start, end in png_chunks(data) if kind == wanted), b"")


def _rows(image: Image.Image, factor: int) -> int:
    """Rows of a band, a multiple of `factor`, so that no average is taken over two."""
    return max(1, _BAND // image.width // factor) * factor


def _of_plain(image: ImageFile.ImageFile, factor: int, data: bytes) -> Iterator[Band] | None:
    """Bands of pixels that lie in the file as they are, row by row, from the top or from the bottom."""
    if len(image.tile) != 1 or image.tile[0][0] != "raw" or image.tile[0][1] != (0, 0, *image.size):
        return None
    _, _, start, given = image.tile[0]
    args = given if isinstance(given, tuple) else (given,)
    raw, stride, step = (*args, 0, 1)[:3] if len(args) < 2 else (*args, 1)[:3]
    if raw not in _PLAIN or step not in (1, -1):
        return None
    stride = stride or image.width * _PLAIN[str(raw)]
    return _plain_bands(image, _rows(image, factor), str(raw), start, stride, step, data)


def _of_heic(image: Any, factor: int) -> Iterator[Band] | None:
    """Bands of the pixels that libheif makes, which may be of another size than the header says; then None."""
    decoded = image._heif_file[image.tell()]
    pixels = decoded.data
    if decoded.size != image.size or decoded.mode != image.mode:
        return None
    return _plain_bands(image, _rows(image, factor), decoded.mode, 0, decoded.stride, 1, pixels)


def _plain_bands(
    image: Image.Image, rows: int, raw: str, start: int, stride: int, step: int, data: bytes | memoryview
) -> Iterator[Band]:
    if start + stride * image.height > len(data):
        raise EOFError("image file is truncated")
    for row in range(0, image.height, rows):
        count = min(rows, image.height - row)
        first = start + stride * (row if step > 0 else image.height - row - count)
        part = bytes(data[first : first + stride * count])
        yield row, Image.frombuffer(image.mode, (image.width, count), part, "raw", raw, stride, step)


def _of_png(image: PngImagePlugin.PngImageFile, factor: int, data: bytes) -> Iterator[Band] | None:
    header = data[16:29]
    return None if header[8] != 8 or header[12] else _png_bands(image, _rows(image, factor), data)


def _png_bands(image: PngImagePlugin.PngImageFile, rows: int, data: bytes) -> Iterator[Band]:
    stride = 1 + image.width * _CHANNELS[image.mode]
    pixels = zlib.decompressobj()
    held, before, row, palette = bytearray(), b"", 0, b""
    for kind, start, end in png_chunks(data):
        palette = _chunk(kind, data[start:end]) if kind == b"PLTE" else palette
        for at in range(start, end if kind == b"IDAT" else start, _PIECE):
            body = data[at : min(at + _PIECE, end)]
            while body and row < image.height:
                wanted = min(rows, image.height - row)
                held += pixels.decompress(body, wanted * stride - len(held))
                body = pixels.unconsumed_tail
                if len(held) == wanted * stride:
                    band, before = _png_band(image, wanted, bytes(held), before, data[24:29], palette)
                    yield row, band
                    held, row = bytearray(), row + wanted
    if row < image.height:
        raise EOFError("image file is truncated")


def _png_band(
    image: Image.Image, rows: int, filtered: bytes, before: bytes, kind: bytes, palette: bytes
) -> tuple[Image.Image, bytes]:
    """So many rows, and the last of them as bytes, with which the next band begins."""
    extra = 1 if before else 0
    header = _chunk(b"IHDR", struct.pack(">II", image.width, rows + extra) + kind)
    pixels = zlib.compress(b"\0" * extra + before + filtered, 0)
    file = b"\x89PNG\r\n\x1a\n" + header + palette + _chunk(b"IDAT", pixels) + _chunk(b"IEND", b"")
    with PngImagePlugin.PngImageFile(BytesIO(file)) as band:
        band.load()
        last = band.crop((0, band.height - 1, band.width, band.height)).tobytes()
        return band.crop((0, extra, band.width, band.height)), last


def _chunk(kind: bytes, body: bytes) -> bytes:
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(body, zlib.crc32(kind)))


def _of_tiff(image: TiffImagePlugin.TiffImageFile, factor: int, data: bytes) -> Iterator[Band] | None:
    tags: Any = image.tag_v2
    height, rows = image.height, tags.get(_ROWS, 0)
    offsets, counts = (
        value if isinstance(value, tuple) else (value,) for value in (tags.get(_OFFSETS), tags.get(_COUNTS))
    )
    ints = all(isinstance(one, int) for one in (rows, *offsets, *counts))
    if not ints or tags.get(284, 1) != 1 or tags.get(262) not in (0, 1, 2, 6):
        return None
    depths = tags.get(_DEPTH, (8,))
    depths = set(depths) if isinstance(depths, tuple) else {depths}
    if not depths <= {8, 16} or len(depths) > 1:
        return None
    stride = image.width * _CHANNELS[image.mode] * depths.pop() // 8
    if len(offsets) == 1 and tags.get(259) == 1 and counts[0] >= stride * height:  # as they are: cut where we like
        rows = factor
        starts = range(0, height, rows)
        counts = tuple(stride * min(rows, height - start) for start in starts)
        offsets = tuple(offsets[0] + stride * start for start in starts)
    if not 0 < rows < height:
        return None
    if rows * len(offsets) < height or len(offsets) != len(counts) or tags.get(257) != height:
        return None
    step = max(1, _rows(image, factor) // (rows * factor)) * factor  # strips, whose rows are a multiple of the factor
    if step * rows * image.width > 8 * _BAND:
        return None
    return _tiff_bands(image, rows, step, list(zip(offsets, counts, strict=True)), data)


def _tiff_bands(
    image: TiffImagePlugin.TiffImageFile, rows: int, step: int, strips: list[tuple[int, int]], data: bytes
) -> Iterator[Band]:
    tags: Any = image.tag_v2
    for first in range(0, -(-image.height // rows), step):
        some = strips[first : first + step]
        directory: Any = TiffImagePlugin.ImageFileDirectory_v2(prefix=tags.prefix)
        for field in _COPIED:
            if field in tags:
                directory.tagtype[field] = tags.tagtype[field]
                directory[field] = tags[field]
        directory[_WIDTH], directory[_ROWS] = image.width, rows
        directory[_LENGTH] = min(step * rows, image.height - first * rows)
        places = [sum(count for _, count in some[:number]) for number in range(len(some))]
        for field, values in ((_OFFSETS, places), (_COUNTS, [count for _, count in some])):
            directory.tagtype[field] = 4
            directory[field] = tuple(values)
        head = tags.prefix + (b"*\0\x08\0\0\0" if tags.prefix == b"II" else b"\0*\0\0\0\x08")
        file = head + directory.tobytes(8) + b"".join(data[at : at + count] for at, count in some)
        with TiffImagePlugin.TiffImageFile(BytesIO(file)) as band:
            band.load()
            yield first * rows, band.copy()
