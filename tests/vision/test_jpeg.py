"""A JPEG of which a part is missing is said to be damaged; one with a harmless oddity is a photo."""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.errors import PhotoError
from mien.text.photos import PhotoFault
from mien.vision import jpeg
from mien.vision.images import decode

NOISE = np.random.default_rng(0).normal(0, 12, (320, 320, 3))
SLOPE = np.linspace(40, 200, 320)[:, None, None]
SCENE = Image.fromarray(np.clip(SLOPE + NOISE, 0, 255).astype(np.uint8))


def made(**options: Any) -> bytes:
    buffer = BytesIO()
    SCENE.save(buffer, "JPEG", **{"quality": 90, **options})
    return buffer.getvalue()


CODINGS: dict[str, dict[str, Any]] = {
    "baseline": {},
    "optimised": {"optimize": True},
    "progressive": {"progressive": True},
    "restarts": {"restart_marker_rows": 2},
}


def cut(data: bytes) -> bytes:
    return data[: len(data) * 45 // 100]


DAMAGE: dict[str, Callable[[bytes], bytes]] = {
    "breaks off": cut,
    "breaks off, with an end": lambda data: cut(data) + jpeg.END,
    "the rest are zeros": lambda data: cut(data).ljust(len(data) - 2, b"\0") + jpeg.END,
    "zeros to the last byte": lambda data: cut(data).ljust(len(data), b"\0"),
    "a cluster of zeros": lambda data: cut(data) + bytes(8192) + data[len(cut(data)) + 8192 :],
    "a cluster of something else": lambda data: cut(data) + bytes(range(256)) * 32 + data[len(cut(data)) + 8192 :],
    "a piece is missing": lambda data: cut(data) + data[len(data) * 55 // 100 :],
}


def refused(data: bytes) -> PhotoFault:
    with pytest.raises(PhotoError) as caught:
        decode(data, "a.jpg")
    assert caught.value.fault in (PhotoFault.BREAKS_OFF, PhotoFault.DAMAGED)
    return caught.value.fault


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize("damage", DAMAGE)
def test_a_part_is_missing(coding: str, damage: str) -> None:
    refused(DAMAGE[damage](made(**CODINGS[coding])))


def test_the_same_where_the_picture_comes_smaller() -> None:
    with pytest.raises(PhotoError):
        decode(cut(made()) + jpeg.END, "a.jpg", max_side=100, least_scale=0)


def test_the_same_of_a_printing_press() -> None:
    buffer = BytesIO()
    SCENE.convert("CMYK").save(buffer, "JPEG", quality=90)
    assert decode(buffer.getvalue(), "a").photo.width == 320
    refused(cut(buffer.getvalue()) + jpeg.END)


def test_a_scan_is_missing() -> None:
    data = made(progressive=True)
    starts = [at for at in range(len(data)) if data.startswith(b"\xff\xc4", at)]  # each scan begins with its tables
    for at in starts[2:]:
        assert refused(data[:at] + jpeg.END) is PhotoFault.BREAKS_OFF


@pytest.mark.parametrize("coding", CODINGS)
@pytest.mark.parametrize(
    "odd",
    [
        lambda data: data[:-2],  # no end marker
        lambda data: data[:-2] + bytes(7) + jpeg.END,
        lambda data: data[:-2] + bytes(5000) + jpeg.END,  # filled up to some size
        lambda data: data[:-2] + b"\x12\x34\x56" + jpeg.END,
        lambda data: data + bytes(4096),
        lambda data: data + b"a trailer of the phone's" * 20,
        lambda data: data[:20] + b"\0\0\0" + data[20:],  # between two segments
        lambda data: data[:20] + b"\xff\xe1\0\x20Exif\0\0" + bytes(24) + data[20:],
    ],
)
def test_harmless(coding: str, odd: Any) -> None:
    data = made(**CODINGS[coding])
    assert (decode(odd(data), "a.jpg").pixels == decode(data, "a.jpg").pixels).all()


def test_what_is_said_of_a_segment_hides_nothing() -> None:
    data = made()
    refused(cut(data[:20] + b"\0\0\0" + data[20:]) + jpeg.END)


def test_a_flat_picture_has_few_bytes_and_many_zeros() -> None:
    for optimize in (False, True):
        for colour in ("white", "black", (12, 200, 90)):
            buffer = BytesIO()
            Image.new("RGB", (3000, 2000), colour).save(buffer, "JPEG", optimize=optimize)
            assert decode(buffer.getvalue(), "a").photo.width == 3000


def test_pixels_are_those_of_pillow() -> None:
    for options in (*CODINGS.values(), {"subsampling": 0}):
        data = made(**options)
        with Image.open(BytesIO(data)) as image:
            assert np.abs(np.asarray(image).astype(int) - decode(data, "a").pixels).max() <= 1
    buffer = BytesIO()
    SCENE.convert("L").save(buffer, "JPEG")
    with Image.open(buffer) as image:
        assert (np.asarray(image)[..., None] == decode(buffer.getvalue(), "a").pixels).all()
