"""Which pictures a TIFF holds: a camera's RAW file is called one whatever its name, and a photo beats its thumbnail."""

from __future__ import annotations

import struct
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import PhotoError
from mien.text.photos import FileType, PhotoFault
from mien.vision import tiff
from mien.vision.images import decode
from mien.vision.sniff import sniff


def made(*directories: dict[Any, Any], order: str = "<", large: bool = False) -> bytes:
    """A TIFF of these directories, each with a strip of grey pixels; one under "below" is a subdirectory."""
    head = (b"II" if order == "<" else b"MM") + struct.pack(order + "H", 43 if large else 42)
    word, size, first = ("Q", 20, 16) if large else ("L", 12, 8)
    out = bytearray(head + (struct.pack(order + "HHQ", 8, 0, 16) if large else struct.pack(order + "L", 8)))

    def directory(fields: dict[Any, Any], last: bool) -> None:
        below = fields.pop("below", None)
        width, height = fields.get(256, 8), fields.get(257, 8)
        fields = {256: width, 257: height, 258: 8, 259: 1, 262: 1, 277: 1, 278: height, 279: width * height, **fields}
        count = len(fields) + 1 + bool(below)
        pixels = (
            len(out) + struct.calcsize(order + ("Q" if large else "H")) + count * size + struct.calcsize(order + word)
        )
        fields[273] = pixels
        if below:
            fields[330] = pixels + width * height
        out.extend(struct.pack(order + ("Q" if large else "H"), count))
        for field, value in sorted(fields.items()):
            out.extend(struct.pack(f"{order}HH{word}{word}", field, 16 if large else 4, 1, value))
        following = 0 if last else pixels + width * height
        out.extend(struct.pack(order + word, following) + bytes([128]) * (width * height))
        if below:
            directory(dict(below), True)

    assert len(out) == first
    for number, fields in enumerate(directories):
        directory(dict(fields), number == len(directories) - 1)
    return bytes(out)


THUMBNAIL: dict[Any, Any] = {254: 1, 256: 4, 257: 4}
RAW: dict[str, dict[Any, Any]] = {
    "DNG": {**THUMBNAIL, 50706: 1},
    "a mosaic": {262: 32803},
    "Nikon": {**THUMBNAIL, "below": {259: 34713}},
    "Sony": {259: 32767},
    "a picture where readers do not look": {**THUMBNAIL, "below": {254: 0}},
}


@pytest.mark.parametrize("kind", RAW)
@pytest.mark.parametrize(("order", "large"), [("<", False), (">", False), ("<", True)])
def test_a_raw_file_under_another_name(kind: str, order: str, large: bool) -> None:
    data = made(RAW[kind], order=order, large=large)
    assert sniff(data, "photo.jpg") is FileType.RAW
    with pytest.raises(PhotoError) as caught:
        decode(data, "photo.tif")
    assert caught.value.fault is PhotoFault.NO_PREVIEW
    assert "RAW" in caught.value.message and "JPEG" in caught.value.remedy


def test_canon_and_phase_one() -> None:
    assert sniff(b"II\x1a\0\0\0HEAPCCDR", "a.jpg") is FileType.RAW
    assert sniff(b"II*\0\x08\0\0\0IIIITwaR", "a.jpg") is FileType.RAW


@pytest.mark.parametrize(
    "directories",
    [
        [{}],
        [{254: 1}],  # says that it is a smaller copy, of nothing
        [{}, THUMBNAIL],
        [{"below": THUMBNAIL}],  # a pyramid
    ],
)
def test_a_plain_tiff(directories: list[dict[Any, Any]]) -> None:
    assert decode(made(*directories), "a.tif").photo.width == 8


def test_the_photo_is_taken_and_not_the_thumbnail_before_it() -> None:
    assert decode(made(THUMBNAIL, {}), "a.tif").photo.width == 8


def test_directories_in_a_circle() -> None:
    data = bytearray(made({}))
    at = 8 + 2 + 12 * struct.unpack_from("<H", data, 8)[0]
    struct.pack_into("<L", data, at, 8)
    assert len(tiff.directories(bytes(data))) == 1


def test_damage_is_survived() -> None:
    whole = made({**THUMBNAIL, "below": {254: 0}}, {})
    generator = np.random.default_rng(0)
    for _ in range(3000):
        data = bytearray(whole)
        for at in generator.integers(0, len(data), 4):
            data[at] = generator.choice((0, 1, 255, int(generator.integers(256))))
        tiff.is_raw(bytes(data[: generator.integers(8, len(data))]))
        tiff.photo(bytes(data))


@pytest.mark.parametrize("compression", [None, "tiff_lzw", "tiff_deflate", "jpeg", "packbits"])
def test_strips_that_are_missing(compression: str | None) -> None:
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (200, 300, 3), np.uint8))
    buffer = BytesIO()
    noise.save(buffer, "TIFF", compression=compression, tiffinfo={278: 8})
    data = buffer.getvalue()
    assert decode(data, "a").photo.width == 300
    with Image.open(BytesIO(data)) as image:
        offsets = image.tag_v2[273]  # type: ignore[attr-defined]
    offsets = [offsets] if isinstance(offsets, int) else list(offsets)
    if len(offsets) > 1:
        table = data.index(struct.pack("<2L", *offsets[:2]))
        for lost in (0, len(data) + 1000):
            hole = bytearray(data)
            struct.pack_into("<L", hole, table + 4 * (len(offsets) // 2), lost)
            with pytest.raises(PhotoError):
                decode(bytes(hole), "a")
