"""Untrusted files give a Picture or a PhotoError, and nothing else."""

from __future__ import annotations

import errno
import functools
import hashlib
import json
import os
import struct
import subprocess
import sys
import threading
import warnings
import zlib
from collections import Counter
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image

from mien.engines import children
from mien.engines.children import TaskEndedError
from mien.errors import PhotoError, StorageError
from mien.storage.files import write_atomically
from mien.text.photos import PhotoFault
from mien.types import Picture, Pixels
from mien.vision import decoding, images
from mien.vision.images import decode, file_sha256, read_picture

KINDS = {"unreadable", "truncated", "bomb", "unsupported", "empty", "not-a-picture", "missing-extra"}
HARD = Path(__file__).parents[3] / "shared" / "data"

Q = Image.Transpose
TO_STORED = {1: None, 2: Q.FLIP_LEFT_RIGHT, 3: Q.ROTATE_180, 4: Q.FLIP_TOP_BOTTOM}
TO_STORED |= {5: Q.TRANSPOSE, 6: Q.ROTATE_90, 7: Q.TRANSVERSE, 8: Q.ROTATE_270}
"""How a camera held so stores an upright scene."""


def scene(width: int = 96, height: int = 64) -> Image.Image:
    """Four plain quarters of different colours, which no turn or mirror image maps to itself."""
    picture = Image.new("RGB", (width, height), (200, 40, 40))
    picture.paste((40, 200, 40), (width // 2, 0, width, height // 2))
    picture.paste((40, 40, 200), (0, height // 2, width // 2, height))
    picture.paste((220, 220, 220), (width // 2, height // 2, width, height))
    return picture


def encoded(picture: Image.Image, fmt: str, **options: Any) -> bytes:
    buffer = BytesIO()
    picture.save(buffer, fmt, **options)
    return buffer.getvalue()


def oriented(orientation: int) -> Image.Exif:
    exif = Image.Exif()
    exif[0x0112] = orientation
    return exif


def apart(pixels: Pixels, picture: Image.Image) -> float:
    """Mean difference in grey levels."""
    reference = np.asarray(picture.convert("RGB"), np.int16)
    assert pixels.shape == reference.shape
    return float(np.abs(pixels.astype(np.int16) - reference).mean())


@pytest.fixture
def here(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pictures are decoded in this process, where a test can change how."""

    def ask(task: str, about: dict[str, Any], data: bytes = b"", **_: object) -> tuple[dict[str, Any], bytearray]:
        try:
            said, given = decoding.task(about, data)
        except MemoryError as error:
            raise TaskEndedError("too much memory") from error
        return json.loads(json.dumps(said)), bytearray(given)

    monkeypatch.setattr(children, "ask", ask)


def check(picture: Picture, data: bytes) -> None:
    """What holds of every Picture."""
    pixels, photo = picture.pixels, picture.photo
    assert pixels.dtype == np.uint8
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    assert not pixels.flags.writeable
    assert photo.sha256 == hashlib.sha256(data).hexdigest()
    assert 0.0 < picture.scale <= 1.0
    assert abs(photo.height * picture.scale - pixels.shape[0]) < 1
    assert abs(photo.width * picture.scale - pixels.shape[1]) < 1


def refused(data: bytes, name: str = "a.jpg") -> PhotoError:
    with pytest.raises(PhotoError) as caught:
        decode(data, name)
    error = caught.value
    assert error.kind in KINDS
    assert error.message.startswith(f"{error.about} ") and error.about == name
    assert error.message.endswith(".") and not error.what.endswith(".")
    assert str(PhotoError.restored(name, *error.stored())) == str(error)
    return error


# Formats


@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF", "AVIF", "JPEG2000", "PPM", "PCX", "SGI"])
def test_formats(fmt: str) -> None:
    data = encoded(scene(), fmt)
    picture = decode(data, "a.jpg")  # whatever it is called
    check(picture, data)
    assert picture.photo.format == fmt
    assert picture.scale == 1.0
    assert apart(picture.pixels, scene()) < 6


def test_tga_is_known_by_its_name_alone() -> None:
    data = encoded(scene(), "TGA")
    assert apart(decode(data, "a.tga").pixels, scene()) == 0
    assert refused(data).kind == "not-a-picture"


@pytest.mark.usefixtures("here")
def test_a_format_needs_its_decoder(monkeypatch: pytest.MonkeyPatch) -> None:
    heif = pytest.importorskip("pillow_heif")
    buffer = BytesIO()
    heif.from_pillow(scene()).save(buffer)
    data = buffer.getvalue()
    picture = decode(data, "a.jpg")
    check(picture, data)
    assert picture.photo.format == "HEIF"
    assert apart(picture.pixels, scene()) < 6
    for plugin, file, words in (
        ("pi_heif.as_plugin", data, "a HEIC file"),
        ("pillow_jxl", b"\xff\x0a" + bytes(20), "a JPEG XL picture"),
    ):
        monkeypatch.setitem(sys.modules, plugin, None)
        error = refused(file)
        assert error.kind == "missing-extra"
        assert error.message == f"a.jpg is {words}, and reading those needs a part that is not installed."
        assert "pip install pillow-jxl-plugin" in error.remedy


def test_no_program_but_the_tests_has_an_encoder_of_heic() -> None:
    """pillow-heif comes with x265, which is under the GPL; pi-heif does not."""
    words = "import sys, mien.vision.decoding as d, pi_heif; print(pi_heif.libheif_info()['encoders'], *sys.modules)"
    said = subprocess.run([sys.executable, "-c", words], capture_output=True, text=True, check=True).stdout
    assert "pillow_heif" not in said and "x265" not in said


@pytest.mark.parametrize("fmt", ["GIF", "WEBP", "PNG", "TIFF", "AVIF"])
def test_first_frame_of_several(fmt: str) -> None:
    data = encoded(scene(), fmt, save_all=True, append_images=[Image.new("RGB", (96, 64), "black")])
    assert apart(decode(data, "a").pixels, scene()) < 6


def test_multi_picture_jpeg_is_its_first() -> None:
    data = encoded(scene(), "MPO", save_all=True, append_images=[Image.new("RGB", (96, 64), "black")])
    picture = decode(data, "a")
    assert picture.photo.format == "JPEG"
    assert apart(picture.pixels, scene()) < 6


# Colours


def test_cmyk() -> None:
    red = Image.new("CMYK", (16, 16), (0, 255, 255, 0))
    for data in (encoded(red, "JPEG"), encoded(red, "TIFF")):
        assert np.abs(decode(data, "a").pixels.astype(int) - (255, 0, 0)).max() < 4


@pytest.mark.parametrize("fmt", ["PNG", "TIFF", "PPM", "JPEG2000"])
def test_sixteen_bit_grey_is_scaled_not_clipped(fmt: str) -> None:
    ramp = np.linspace(0, 65535, 64, dtype=np.uint16)[None].repeat(8, 0)
    pixels = decode(encoded(Image.fromarray(ramp), fmt), "a").pixels
    assert np.abs(pixels[0, :, 0] - ramp[0] / 257.0).max() < 2
    assert (pixels[..., 0] == pixels[..., 2]).all()


@pytest.mark.parametrize(
    ("array", "white"),
    [
        (np.linspace(0, 1, 64, dtype=np.float32), 1.0),
        (np.linspace(0, 255, 64, dtype=np.float32), 255.0),
        (np.linspace(0, 4095, 64).astype(np.int32), 4095.0),
        (np.linspace(0, 65535, 64).astype(np.int32), 65535.0),
        (np.linspace(-(2**30), 2**31 - 1, 64).astype(np.int32), 2.0**32),
        (np.array([np.nan, np.inf, -np.inf, 0.0, 1.0], np.float32), 1.0),
        (np.zeros(64, np.float32), 1.0),
    ],
)
def test_deep_grey(array: np.ndarray[Any, Any], white: float) -> None:
    pixels = decode(encoded(Image.fromarray(array[None].repeat(4, 0)), "TIFF"), "a").pixels
    expected = np.clip(np.nan_to_num(array.astype(float), posinf=0, neginf=0) / white * 255, 0, 255)
    assert np.abs(pixels[0, :, 0] - expected).max() <= 1


def test_transparent_is_white() -> None:
    clear = scene().convert("RGBA")
    clear.paste((0, 0, 0, 0), (0, 0, 48, 64))
    flat = scene()
    flat.paste("white", (0, 0, 48, 64))
    palette = flat.quantize(8, dither=Image.Dither.NONE)
    white = next(i for i in range(8) if palette.getpalette()[3 * i : 3 * i + 3] == [255] * 3)  # type: ignore[index]
    keyed = scene()
    keyed.paste((1, 2, 3), (0, 0, 48, 64))
    for data in (
        encoded(clear, "PNG"),
        encoded(clear, "WEBP", lossless=True),
        encoded(palette, "PNG", transparency=bytes(0 if i == white else 255 for i in range(8))),
        encoded(palette, "GIF", transparency=white),
        encoded(keyed, "PNG", transparency=(1, 2, 3)),
    ):
        assert apart(decode(data, "a").pixels, flat) < 1
    grey = np.asarray(decode(encoded(Image.new("LA", (4, 4), (0, 127)), "PNG"), "a").pixels)
    assert np.abs(grey.astype(int) - 128).max() <= 1


@pytest.mark.parametrize("mode", ["1", "L", "P"])
def test_few_colours(mode: str) -> None:
    picture = scene().convert(mode)
    assert apart(decode(encoded(picture, "PNG"), "a").pixels, picture) == 0


@pytest.mark.parametrize("mode", ["LAB", "YCbCr"])
def test_other_colour_spaces(mode: str) -> None:
    data = encoded(scene().convert(mode), "TIFF")
    assert apart(decode(data, "a").pixels, scene()) < 6


# Orientation


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP", "TIFF", "AVIF", "HEIF"])
def test_orientation(fmt: str, orientation: int) -> None:
    turn = TO_STORED[orientation]
    stored = scene() if turn is None else scene().transpose(turn)
    if fmt == "HEIF":
        heif = pytest.importorskip("pillow_heif")
        buffer = BytesIO()
        heif.from_pillow(stored).save(buffer, exif=oriented(orientation).tobytes())
        data = buffer.getvalue()
    else:
        data = encoded(stored, fmt, exif=oriented(orientation))
    picture = decode(data, "a")
    check(picture, data)
    assert (picture.photo.width, picture.photo.height) == (96, 64)
    assert apart(picture.pixels, scene()) < 6


@pytest.mark.parametrize("orientation", range(1, 9))
def test_orientation_of_a_reduced_jpeg(orientation: int) -> None:
    turn = TO_STORED[orientation]
    big = scene(800, 600)
    data = encoded(big if turn is None else big.transpose(turn), "JPEG", exif=oriented(orientation))
    picture = decode(data, "a", max_side=200, least_scale=0)
    check(picture, data)
    assert (picture.photo.width, picture.photo.height, picture.scale) == (800, 600, 0.25)
    assert apart(picture.pixels, big.reduce(4)) < 6


def test_orientation_in_xmp_counts_when_exif_is_silent() -> None:
    xmp = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="6"/></x:xmpmeta>'
    picture = decode(encoded(scene(), "JPEG", xmp=xmp), "a")
    assert apart(picture.pixels, scene().transpose(Q.ROTATE_270)) < 6


@pytest.mark.parametrize("value", [0, 9, 255, 65535])
def test_senseless_orientation_is_ignored(value: int) -> None:
    assert apart(decode(encoded(scene(), "JPEG", exif=oriented(value)), "a").pixels, scene()) < 6


BROKEN_EXIF = [
    b"Exif\0\0",
    b"Exif\0\0garbage that is no TIFF header",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"Exif\0\0II*\0\x08\0\0\0\xff\xff" + bytes(24),
    # XResolution of a wrong type: Pillow's own reader refuses the whole photo
    b"Exif\0\0II*\0\x08\0\0\0\x02\0" + struct.pack("<HHIIHHII", 0x011A, 7, 1, 1, 0x0128, 3, 1, 2) + bytes(4),
]


@pytest.mark.parametrize("exif", BROKEN_EXIF)
@pytest.mark.parametrize("fmt", ["JPEG", "PNG", "WEBP"])
def test_broken_exif_does_not_cost_the_photo(fmt: str, exif: bytes) -> None:
    assert apart(decode(encoded(scene(), fmt, exif=exif), "a").pixels, scene()) < 6


def test_exif_that_breaks_off_still_turns_the_photo() -> None:
    exif = b"Exif\0\0II*\0\x08\0\0\0\x05\0" + struct.pack("<HHIHH", 0x0112, 3, 1, 6, 0)  # five tags promised, one there
    picture = decode(encoded(scene().transpose(Q.ROTATE_90), "JPEG", exif=exif), "a")  # Pillow warns here
    assert apart(picture.pixels, scene()) < 6


# Size


@pytest.mark.parametrize(
    ("width", "height", "max_side", "divisor"),
    [
        (800, 600, 100, 8),
        (799, 600, 100, 4),
        (801, 33, 200, 4),
        (600, 801, 400, 2),
        (500, 400, 400, 1),
        (800, 5, 100, 4),
    ],
)
def test_jpeg_is_decoded_at_a_dct_scale(width: int, height: int, max_side: int, divisor: int) -> None:
    data = encoded(scene(width, height), "JPEG")
    picture = decode(data, "a", max_side=max_side, least_scale=0)
    check(picture, data)
    assert (picture.photo.width, picture.photo.height) == (width, height)
    assert picture.scale == 1 / divisor


@pytest.mark.parametrize(
    ("width", "height", "max_side", "divisor"),
    [(800, 601, 100, 8), (500, 700, 100, 7), (400, 399, 200, 1), (401, 9, 200, 2)],
)
@pytest.mark.parametrize("mode", ["RGB", "RGBA", "P", "L", "I;16"])
def test_others_are_reduced_by_a_whole_factor(mode: str, width: int, height: int, max_side: int, divisor: int) -> None:
    large = scene(width, height).convert("L" if mode == "I;16" else mode)
    if mode == "I;16":
        large = Image.fromarray(np.asarray(large).astype(np.uint16) * 257)
    data = encoded(large, "PNG")
    picture = decode(data, "a", max_side=max_side, least_scale=0)
    check(picture, data)
    assert picture.scale == 1 / divisor
    assert max(picture.pixels.shape) >= max_side
    assert decode(data, "a", max_side=None).pixels.shape == (height, width, 3)


def test_a_huge_jpeg_is_reduced_twice() -> None:
    data = encoded(scene(2000, 400), "JPEG")
    picture = decode(data, "a", max_side=50, least_scale=0)
    check(picture, data)
    assert picture.scale == 1 / 40  # an eighth by the DCT, a fifth by averaging


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("kind", ["JPEG", "PNG"])
@pytest.mark.parametrize(
    ("least_scale", "largest", "divisor"),
    [(0.4, 10**9, 2), (0.3, 10**9, 3), (0.25, 10**9, 4), (1.0, 10**9, 1), (0.4, 90_000, 4), (1.0, 300_000, 2)],
)
def test_a_photo_is_reduced_no_further_than_its_smallest_faces_allow(
    monkeypatch: pytest.MonkeyPatch, kind: Literal["JPEG", "PNG"], least_scale: float, largest: int, divisor: int
) -> None:
    monkeypatch.setattr(decoding, "LARGEST_PICTURE", largest)  # in which memory goes before small faces
    picture = decode(encoded(scene(1200, 900), kind), "a", max_side=100, least_scale=least_scale)
    assert 1 / picture.scale == (2 if (kind, divisor) == ("JPEG", 3) else divisor)


# Bombs


def png_claiming(width: int, height: int) -> bytes:
    def chunk(name: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + name + body + struct.pack(">I", zlib.crc32(name + body))

    header = chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0))
    return b"\x89PNG\r\n\x1a\n" + header + chunk(b"IDAT", zlib.compress(bytes(1000))) + chunk(b"IEND", b"")


def gif_with_a_frame_of(width: int, height: int) -> bytes:
    screen = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return screen + b"," + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\x00;"


def bmp_claiming(width: int, height: int) -> bytes:
    return (
        b"BM" + struct.pack("<IHHIIiiHHIIiiII", 1000, 0, 0, 54, 40, width, height, 1, 24, 0, 0, 0, 0, 0, 0) + bytes(900)
    )


@pytest.mark.parametrize(
    "data",
    [
        png_claiming(60000, 60000),
        png_claiming(13000, 10000),
        gif_with_a_frame_of(65535, 65535),
        gif_with_a_frame_of(12000, 11000),
        bmp_claiming(60000, 60000),
        b"P6 60000 60000 255\n" + bytes(1000),
        encoded(scene(), "JPEG").replace(struct.pack(">HH", 64, 96), struct.pack(">HH", 60000, 60000), 1),
    ],
    ids=["png", "png-just-over", "gif", "gif-just-over", "bmp", "ppm", "jpeg"],
)
def test_bombs_are_refused_by_their_header(data: bytes) -> None:
    error = refused(data)
    assert error.kind == "bomb"
    assert error.fault in (PhotoFault.TOO_MANY_PIXELS, PhotoFault.TOO_MUCH_MEMORY)  # the second: Pillow saw it first


def test_a_bomb_says_how_large_it_claims_to_be() -> None:
    assert refused(png_claiming(60000, 60000)).what == "claims 3,600 million pixels, more than mien decodes"


@pytest.mark.usefixtures("here")
def test_the_limits_follow_what_is_decoded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "MAX_PIXELS", 100 * 100)
    monkeypatch.setattr(decoding, "MAX_JPEG_PIXELS", 400 * 400)
    sequential = encoded(scene(400, 400), "JPEG")
    assert decode(sequential, "a", max_side=100, least_scale=0).pixels.shape == (100, 100, 3)
    with pytest.raises(PhotoError) as caught:
        decode(sequential, "a", max_side=None)
    assert caught.value.kind == "bomb"
    for data in (encoded(scene(401, 400), "JPEG"), encoded(scene(400, 400), "JPEG", progressive=True)):
        with pytest.raises(PhotoError) as caught:
            decode(data, "a", max_side=100, least_scale=0)
        assert caught.value.kind == "bomb"


@pytest.mark.usefixtures("here")
def test_a_progressive_jpeg_of_many_scans_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    data = encoded(scene(400, 400), "JPEG", progressive=True)
    assert decode(data, "a").photo.width == 400
    last = data.rindex(b"\xff\xda")
    many = data[:last] + data[last:-2] * 300 + data[-2:]
    monkeypatch.setattr(decoding, "MAX_SCANNED_PIXELS", 400 * 400 * 300)
    assert (refused(many).kind, refused(many).fault) == ("bomb", PhotoFault.TOO_MANY_SCANS)
    assert decode(data, "a").photo.width == 400


def test_png_text_bomb() -> None:
    body = b"Comment\0\0" + zlib.compress(bytes(50_000_000), 9)
    chunk = struct.pack(">I", len(body)) + b"zTXt" + body + struct.pack(">I", zlib.crc32(b"zTXt" + body))
    data = encoded(scene(), "PNG")
    assert refused(data[:33] + chunk + data[33:]).kind == "bomb"


@pytest.mark.usefixtures("here")
def test_a_file_too_large_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.jpg"
    path.write_bytes(encoded(scene(), "JPEG"))
    monkeypatch.setattr(decoding, "MAX_BYTES", 100)
    with pytest.raises(PhotoError, match="too large") as caught:
        read_picture(path)
    assert (caught.value.kind, caught.value.fault) == ("bomb", PhotoFault.TOO_LARGE)


@pytest.mark.usefixtures("here")
def test_running_out_of_memory_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(decoding, "_rgb", fail)
    error = refused(encoded(scene(), "PNG"))
    assert (error.kind, error.fault) == ("bomb", PhotoFault.TOO_MUCH_MEMORY)


# Damage


def test_a_png_whose_pixels_do_not_fit_their_checksum() -> None:
    data = encoded(scene(), "PNG", compress_level=0)  # stored as they are, so that the decoder would notice nothing
    at = data.index(b"IDAT") + 1000
    for place, value in ((at, data[at] ^ 1), (-13, data[-13] ^ 1)):  # a pixel, and the checksum itself
        broken = bytearray(data)
        broken[place] = value
        assert refused(bytes(broken)).fault is PhotoFault.DAMAGED


@functools.cache
def seeds() -> dict[str, bytes]:
    noisy = np.random.default_rng(0).integers(0, 255, (40, 56, 3), np.uint8)
    picture = Image.fromarray(noisy)
    made = {
        fmt: encoded(picture, fmt) for fmt in ("JPEG", "PNG", "GIF", "BMP", "PPM", "JPEG2000", "PCX", "SGI", "WEBP")
    }
    made["AVIF"] = encoded(picture, "AVIF", exif=oriented(6))
    made["TIFF"] = encoded(picture, "TIFF")
    made["TIFF lzw"] = encoded(picture, "TIFF", compression="tiff_lzw")
    made["JPEG exif"] = encoded(picture, "JPEG", exif=oriented(6), progressive=True)
    made["PNG palette"] = encoded(picture.quantize(16), "PNG", transparency=3)
    made["APNG"] = encoded(picture, "PNG", save_all=True, append_images=[scene(56, 40)])
    return made


def survives(data: bytes, name: str = "a.jpg") -> str:
    try:
        picture = decode(data, name, max_side=20)
    except PhotoError as error:
        assert error.kind in KINDS
        assert error.remedy
        return error.kind
    check(picture, data)
    return "picture"


@pytest.mark.parametrize("fmt", seeds())
def test_truncated_anywhere(fmt: str) -> None:
    data = seeds()[fmt]
    kinds = Counter(survives(data[:cut]) for cut in range(0, len(data), max(1, len(data) // 60)))
    assert kinds["picture"] < 30
    assert survives(data) == "picture"


def test_a_jpeg_that_breaks_off_is_never_half_a_photo() -> None:
    data = seeds()["JPEG"]
    start = data.index(b"\xff\xda") + 20
    assert {survives(data[:cut]) for cut in range(start, len(data) - 64, 50)} == {"truncated"}


@given(st.binary(max_size=200), st.sampled_from(["a.jpg", "a.tga", "a.nef"]))
@settings(max_examples=200, deadline=None, database=None)
def test_random_bytes(data: bytes, name: str) -> None:
    survives(data, name)


@given(st.sampled_from(sorted(seeds())), st.binary(max_size=300))
@settings(max_examples=200, deadline=None, database=None)
def test_a_true_beginning_and_then_random_bytes(fmt: str, tail: bytes) -> None:
    survives(seeds()[fmt][: 12 + len(tail) % 40] + tail)


@given(
    st.sampled_from(sorted(seeds())),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), min_size=1, max_size=12),
    st.floats(0, 1),
)
@settings(max_examples=400, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow])
def test_changed_bytes(fmt: str, changes: list[tuple[float, int]], early: float) -> None:
    """Half of the changes fall in the first bytes, where the headers are."""
    data = bytearray(seeds()[fmt])
    reach = len(data) if early > 0.5 else min(len(data), 200)
    for where, value in changes:
        data[int(where * reach)] = value
    survives(bytes(data))


@pytest.mark.parametrize(
    ("data", "kind", "words"),
    [
        (b"", "empty", "empty"),
        (b"<!DOCTYPE html><html><body>404</body></html>", "not-a-picture", "web page"),
        (b"%PDF-1.4\n", "not-a-picture", "PDF"),
        (b"\0\0\0\x18ftypmp42\0\0\0\0mp42isom", "not-a-picture", "video"),
        (b"II*\0\x10\0\0\0CR\x02\0", "unsupported", "RAW file without a preview"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n", "unsupported", "PostScript"),
        (encoded(scene(), "JPEG").replace(b"\xff\xc0\x00\x11\x08", b"\xff\xc0\x00\x11\x0c"), "unsupported", "12-bit"),
    ],
)
def test_what_is_no_photo_is_named_as_what_it_is(data: bytes, kind: str, words: str) -> None:
    error = refused(data)
    assert error.kind == kind
    assert words in error.message


# Files


def test_read_picture(tmp_path: Path) -> None:
    path = tmp_path / "Zoë.jpg"
    path.write_bytes(encoded(scene(), "PNG"))
    picture = read_picture(path)
    assert apart(picture.pixels, scene()) == 0
    assert picture.photo.sha256 == file_sha256(path) == hashlib.sha256(path.read_bytes()).hexdigest()


@pytest.mark.usefixtures("here")
@pytest.mark.parametrize("function", [read_picture, file_sha256])
def test_what_cannot_be_opened(
    tmp_path: Path, function: Callable[[Path], object], monkeypatch: pytest.MonkeyPatch
) -> None:
    def error_for(path: Path) -> PhotoError:
        with pytest.raises(PhotoError) as caught:
            function(path)
        assert str(path).replace("\0", "") in caught.value.message.replace("\0", "")
        return caught.value

    assert error_for(tmp_path / "none.jpg").message == f"{tmp_path / 'none.jpg'} does not exist."
    assert error_for(tmp_path).kind == "not-a-picture"
    assert error_for(tmp_path).message == f"{tmp_path} is a folder, pipe or device."
    assert error_for(tmp_path / "a\0b.jpg").kind == "unreadable"
    if os.name == "posix":
        (tmp_path / "loop.jpg").symlink_to("loop.jpg")
        assert error_for(tmp_path / "loop.jpg").kind == "unreadable"
        os.mkfifo(tmp_path / "pipe.jpg")
        assert error_for(tmp_path / "pipe.jpg").kind == "not-a-picture"

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, "Permission denied")

    (tmp_path / "a.jpg").write_bytes(b"x")
    monkeypatch.setattr(Path, "open", refuse)
    assert "permission" in error_for(tmp_path / "a.jpg").remedy


@pytest.mark.skipif(os.name == "nt", reason="Windows names are Unicode")
def test_a_path_is_of_the_folder_in_which_it_is_asked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A child works where this process was when it started the child."""
    (tmp_path / "a.jpg").write_bytes(encoded(scene(), "JPEG"))
    read_picture(tmp_path / "a.jpg")
    monkeypatch.chdir(tmp_path)
    assert read_picture(Path("a.jpg")).photo.width == scene().width


def test_a_name_that_is_not_text_can_be_printed(tmp_path: Path) -> None:
    with pytest.raises(PhotoError) as caught:
        read_picture(tmp_path / os.fsdecode(b"caf\xe9.jpg"))
    assert caught.value.message.encode().endswith(rb"caf\udce9.jpg does not exist.")


def test_write(tmp_path: Path) -> None:
    pixels = np.asarray(scene())
    write_atomically(tmp_path / "a.png", images.encoded(pixels, "PNG"))
    assert apart(read_picture(tmp_path / "a.png").pixels, scene()) == 0
    write_atomically(tmp_path / "a.jpg", images.encoded(pixels, "JPEG", 95))
    assert apart(read_picture(tmp_path / "a.jpg").pixels, scene()) < 4
    write_atomically(tmp_path / "b.jpg", images.encoded(pixels, "JPEG", 20))
    assert (tmp_path / "b.jpg").stat().st_size < (tmp_path / "a.jpg").stat().st_size


def test_write_on_a_full_disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(StorageError, match="disk is full"):
        write_atomically(tmp_path / "a.png", images.encoded(np.asarray(scene()), "PNG"))
    assert list(tmp_path.iterdir()) == []


# Warnings


@pytest.mark.usefixtures("here")
def test_pillow_is_hushed_in_the_thread_that_decodes_and_in_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    inside, leave = threading.Event(), threading.Event()

    def wait(*_: object) -> None:
        warnings.warn("of Pillow's", stacklevel=1)  # an error under this test runner, were it not hushed
        inside.set()
        assert leave.wait(30)

    results: list[object] = []
    monkeypatch.setattr(decoding, "_orientation", wait)
    worker = threading.Thread(target=lambda: results.append(decode(encoded(scene(), "PNG"), "a")))
    worker.start()
    assert inside.wait(30)
    try:
        with pytest.raises(UserWarning, match="of the host's"):
            warnings.warn("of the host's", stacklevel=1)
    finally:
        leave.set()
        worker.join()
    assert isinstance(results[0], Picture)
    with pytest.raises(UserWarning, match="afterwards"):
        warnings.warn("afterwards", stacklevel=1)


@pytest.mark.usefixtures("here")
def test_the_filter_does_not_pile_up() -> None:
    for _ in range(5):
        warnings.simplefilter("error")
        decode(encoded(scene(), "PNG"), "a")
    assert sum(entry is decoding._FILTER for entry in warnings.filters) == 1  # type: ignore[comparison-overlap]


# The real world

EXPECTED = {
    "python-pillow__decompression_bomb.gif": "bomb",
    "not_an_image.jpg": "not-a-picture",
    "face_truncated_60pct.jpg": "truncated",
    "face_truncated_5pct.jpg": "truncated",
    "python-pillow__broken.png": "unreadable",
    "python-pillow__hopper.psd": "unsupported",
    "python-pillow__hopper_bad_exif.jpg": "unreadable",  # its entropy-coded data do not fit its tables
    "face_cmyk.jpg": "picture",
    "face_gray16.png": "picture",
    "png_named.jpg": "picture",
}


@pytest.mark.shared
def test_every_hard_file() -> None:
    files = sorted(HARD.glob("hard_*/_/*"))
    if not files:
        pytest.skip("../shared/data is absent")
    kinds = {path.name: survives(path.read_bytes(), path.name) for path in files}
    assert {name: kinds[name] for name in EXPECTED} == EXPECTED
    whole = {path.name for path in files if path.parts[-3] not in ("hard_formats", "hard_exif_face")}
    assert {kinds[name] for name in whole} == {"picture"}


@pytest.mark.shared
def test_one_portrait_in_many_guises() -> None:
    folder = HARD / "hard_exif_face" / "_"
    if not folder.is_dir():
        pytest.skip("../shared/data is absent")
    reference = Image.fromarray(read_picture(folder / "face_orient_1.jpg").pixels)
    for name in (
        *(f"face_orient_{i}.jpg" for i in range(2, 9)),
        "face_cmyk.jpg",
        "png_named.jpg",
        "face_progressive.jpg",
    ):
        assert apart(read_picture(folder / name).pixels, reference) < 4, name
    for name in ("face_gray16.png", "face_gray.jpg"):
        assert apart(read_picture(folder / name).pixels, reference.convert("L")) < 4, name
