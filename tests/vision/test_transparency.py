"""Alpha is believed only where somebody would see something."""

from __future__ import annotations

import struct
from io import BytesIO

import numpy as np
import pytest
from PIL import Image

from mien.vision.images import decode

SCENE = np.random.default_rng(0).integers(0, 200, (32, 48, 3), np.uint8)


def with_alpha(alpha: int) -> Image.Image:
    return Image.fromarray(np.dstack([SCENE, np.full(SCENE.shape[:2], alpha, np.uint8)]))


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "TGA", "SGI", "WEBP", "JPEG2000", "AVIF"])
@pytest.mark.parametrize("alpha", [0, 1])
def test_a_picture_that_nobody_would_see(fmt: str, alpha: int) -> None:
    buffer = BytesIO()
    options = {"lossless": True, "exact": True} if fmt == "WEBP" else {"quality": 100} if fmt == "AVIF" else {}
    with_alpha(alpha).save(buffer, fmt, **options)
    pixels = decode(buffer.getvalue(), "a.tga").pixels
    assert np.abs(pixels.astype(int) - SCENE).mean() < 60  # AVIF keeps few colours of noise; white is 155 away


def test_a_picture_that_lets_through_is_on_white() -> None:
    buffer = BytesIO()
    with_alpha(127).save(buffer, "PNG")
    expected = SCENE * (127 / 255) + 128
    assert np.abs(decode(buffer.getvalue(), "a").pixels - expected).max() < 2


def test_a_bitmap_whose_fourth_channel_is_empty() -> None:
    pixels = np.dstack([SCENE[::-1, :, ::-1], np.zeros(SCENE.shape[:2], np.uint8)]).tobytes()
    masks = struct.pack("<4L", 0xFF0000, 0xFF00, 0xFF, 0xFF000000)
    for head, compression, size in ((masks + bytes(52), 3, 108), (b"", 0, 40)):
        header = struct.pack("<LllHHLLllLL", size, 48, 32, 1, 32, compression, len(pixels), 0, 0, 0, 0) + head
        data = b"BM" + struct.pack("<LHHL", 14 + len(header) + len(pixels), 0, 0, 14 + len(header)) + header + pixels
        assert (decode(data, "a").pixels == SCENE).all()


def test_targa_says_whether_its_fourth_channel_is_alpha() -> None:
    alpha = np.random.default_rng(1).integers(0, 255, SCENE.shape[:2], np.uint8)
    buffer = BytesIO()
    Image.fromarray(np.dstack([SCENE, alpha])).save(buffer, "TGA")
    data = bytearray(buffer.getvalue())
    assert (decode(bytes(data), "a.tga").pixels != SCENE).any()
    data[17] &= 0xF0
    assert (decode(bytes(data), "a.tga").pixels == SCENE).all()
