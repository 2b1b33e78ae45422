"""Small files that ask for much: each costs itself, bounded memory and bounded time."""

from __future__ import annotations

import os
import resource
import struct
import sys
import time
import zlib
from collections.abc import Callable, Iterator, Mapping
from contextlib import suppress
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mien.engines import children
from mien.errors import PhotoError
from mien.vision import images
from mien.vision.images import decode, read_picture

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux holds a process to its memory")


def jpeg_of_scans(width: int, height: int, scans: int) -> bytes:
    """A baseline JPEG that claims this size, in many empty scans of one component, each over the whole picture."""
    buffer = BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG", subsampling=0)
    source = buffer.getvalue()
    data, at = b"\xff\xd8", 2
    while source[at + 1] != 0xDA:
        kind, length = source[at + 1], struct.unpack(">H", source[at + 2 : at + 4])[0]
        body = source[at + 4 : at + 2 + length]
        if kind == 0xC0:
            body = body[:1] + struct.pack(">HH", height, width) + body[5:]
        data += b"\xff" + bytes([kind]) + struct.pack(">H", len(body) + 2) + body
        at += 2 + length
    for scan in range(scans):
        body = bytes([1, scan % 3 + 1, 0x11 if scan % 3 else 0, 0, 63, 0])
        data += b"\xff\xda" + struct.pack(">H", len(body) + 2) + body
    return data + b"\xff\xd9"


def tiff_of_a_tile(side: int) -> bytes:
    """A TIFF of 64x64 pixels in one tile of side x side."""
    tile = zlib.compress(bytes(side * 3) * 64, 9)
    tags = [(256, 64), (257, 64), (258, 8), (259, 8), (262, 2), (277, 3), (284, 1), (322, side), (323, side)]
    tags += [(324, 8), (325, len(tile))]
    at = 8 + len(tile) + len(tile) % 2
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in tags)
    return b"II*\0" + struct.pack("<I", at) + tile.ljust(at - 8, b"\0") + body + bytes(4)


def webp_claiming(width: int, height: int) -> bytes:
    """A lossless WebP of this size, whose pixels are missing."""
    size = (width - 1) | (height - 1) << 14
    body = b"\x2f" + struct.pack("<I", size) + b"\x88\x88\x08" + bytes(8)
    chunk = b"VP8L" + struct.pack("<I", len(body)) + body
    return b"RIFF" + struct.pack("<I", 4 + len(chunk)) + b"WEBP" + chunk


def png_of(width: int, height: int) -> bytes:
    """A PNG of one colour, 16 bits a channel with alpha."""
    row = zlib.compressobj(9)
    data = b"".join([*(row.compress(bytes(1 + 8 * width)) for _ in range(height)), row.flush()])

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    header = struct.pack(">IIBBBBB", width, height, 16, 6, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", data) + chunk(b"IEND", b"")


def saved(fmt: str, size: tuple[int, int] = (64, 64), mode: str = "RGB", **options: Any) -> bytes:
    buffer = BytesIO()
    image = Image.new(mode, size)
    if fmt == "HEIF":
        pytest.importorskip("pillow_heif").from_pillow(image).save(buffer)
    else:
        image.save(buffer, fmt, **options)
    return buffer.getvalue()


def png_with(kind: bytes, before: bytes, size: int = 60_000_000) -> bytes:
    """A small PNG with a chunk of metadata that unpacks to so many bytes."""
    body = before + zlib.compress(bytes(size), 9)
    chunk = struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))
    data = saved("PNG")
    return data[:33] + chunk + data[33:]


def box_claiming(fmt: str, side: int) -> bytes:
    """An AVIF or HEIF whose boxes claim this size, around a picture of 64x64."""
    data = saved(fmt)
    at = data.index(b"ispe") + 8
    return data[:at] + struct.pack(">II", side, side) + data[at + 8 :]


def jpeg2000_claiming(side: int) -> bytes:
    """A JPEG 2000 of this size in one tile, whose data are those of 64x64 pixels."""
    data = bytearray(saved("JPEG2000", no_jp2=True))
    at = data.index(b"\xff\x51") + 6
    for place in (0, 4, 16, 20):
        data[at + place : at + place + 4] = struct.pack(">I", side)
    return bytes(data)


def jpeg_with(marker: int, body: bytes, times: int = 1) -> bytes:
    data = saved("JPEG")
    return data[:2] + (b"\xff" + bytes([marker]) + struct.pack(">H", len(body) + 2) + body) * times + data[2:]


def tiff_that_loops() -> bytes:
    """A TIFF header whose first directory names itself as the next, and holds a value of four billion numbers."""
    tags = [(256, 4, 1, 64), (257, 4, 1, 64), (273, 4, 0xFFFFFFFF, 8), (700, 7, 0x7FFFFFFF, 8), (34665, 4, 1, 8)]
    body = struct.pack("<H", len(tags)) + b"".join(struct.pack("<HHII", *tag) for tag in tags)
    return b"II*\0" + struct.pack("<I", 8) + body + struct.pack("<I", 8)


def gif_of(width: int, height: int, frames: int = 1) -> bytes:
    """A GIF of this screen, with frames of the whole screen that hold next to nothing."""
    frame = (
        b"\x21\xf9\x04\x04\0\0\0\0" + b"\x2c" + struct.pack("<HHHHB", 0, 0, width, height, 0) + b"\x02\x02\x4c\x01\0"
    )
    return b"GIF89a" + struct.pack("<HHBBB", width, height, 0x80, 0, 0) + bytes(6) + frame * frames + b";"


def apng_of(width: int, height: int, frames: int) -> bytes:
    """A PNG that announces many frames of this size."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))

    frame = struct.pack(">IIIIIHHBB", 0, width, height, 0, 0, 1, 1, 0, 0)
    header = struct.pack(">IIBBBBB", width, height, 8, 6, 0, 0, 0)
    start = b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"acTL", struct.pack(">II", frames, 0))
    return start + chunk(b"fcTL", frame) * frames + chunk(b"IDAT", zlib.compress(bytes(999), 9)) + chunk(b"IEND", b"")


def webp_that_moves(side: int, frames: int) -> bytes:
    """A moving WebP with this canvas, and frames without pixels."""

    def chunk(kind: bytes, body: bytes) -> bytes:
        return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)

    size = struct.pack("<I", side - 1)[:3]
    still = webp_claiming(side, side)[12:]
    frame = chunk(b"ANMF", bytes(6) + size + size + bytes(4) + still)
    body = chunk(b"VP8X", b"\x02\0\0\0" + size + size) + chunk(b"ANIM", bytes(6)) + frame * frames
    return b"RIFF" + struct.pack("<I", 4 + len(body)) + b"WEBP" + body


def bmp_of(side: int) -> bytes:
    """A BMP of this side, packed in runs that end at once."""
    header = struct.pack("<IiiHHIIiiII", 40, side, side, 1, 8, 1, 4, 0, 0, 256, 0) + bytes(1024)
    return b"BM" + struct.pack("<IHHI", 58 + len(header), 0, 0, 14 + len(header)) + header + b"\xff\1\0\1"


def tga_of(width: int, height: int) -> bytes:
    """A TGA of this size in runs of one colour."""
    return struct.pack("<BBBHHBHHHHBB", 0, 0, 10, 0, 0, 0, 0, 0, width, height, 24, 0) + b"\xff\1\2\3" * 15_000


def pcx_of(side: int) -> bytes:
    """A PCX of this side in runs of one colour."""
    header = struct.pack("<BBBBHHHH", 10, 5, 1, 8, 0, 0, side, side).ljust(65, b"\0")
    return (header + b"\3" + struct.pack("<H", side)).ljust(128, b"\0") + b"\xff\7" * 30_000


def sgi_of(side: int) -> bytes:
    """An SGI picture in packed rows, all of which name the same row."""
    header = struct.pack(">hBBHHHHII", 474, 1, 1, 3, side, side, 3, 0, 255).ljust(512, b"\0")
    return header + struct.pack(">I", 512) * 15_000


def peak(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Called in the child: the most memory that it ever held, in bytes."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()  # ru_maxrss is also that of who started it
    bytes_held = sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    return {"bytes": bytes_held, "pid": os.getpid(), "seconds": time.process_time()}, b""


BOMBS: dict[str, Callable[[], bytes]] = {
    "a JPEG of three scans": lambda: jpeg_of_scans(22000, 22000, 3),
    "a JPEG of three thousand scans": lambda: jpeg_of_scans(22000, 22000, 3000),
    "a smaller JPEG of six thousand scans": lambda: jpeg_of_scans(6000, 6000, 6000),
    "a TIFF of one tile": lambda: tiff_of_a_tile(26000),
    "a WebP without pixels": lambda: webp_claiming(11300, 11300),
    "a PNG of one colour": lambda: png_of(11000, 11000)[: 60 << 10],
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_small_file_costs_little(name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(Path(__file__).parent))
    children.end_all()
    data = BOMBS[name]()
    assert len(data) < 64 << 10
    file = tmp_path / "bomb"
    file.write_bytes(data)
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    with pytest.raises(PhotoError) as caught:
        read_picture(file)
    assert caught.value.kind in ("bomb", "truncated", "unreadable"), str(caught.value)
    with pytest.raises(PhotoError):
        decode(data, name)
    said, _ = children.ask("test_bombs:peak", {}, seconds=1)
    children.end_all()
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert 0 < said["bytes"] < 1_000_000_000
    assert after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime < 2 * 5 + 1


ODDITIES: dict[str, Callable[[], bytes]] = {
    "PNG, zTXt": lambda: png_with(b"zTXt", b"Comment\0\0"),
    "PNG, iTXt": lambda: png_with(b"iTXt", b"Comment\0\1\0\0\0"),
    "PNG, iCCP": lambda: png_with(b"iCCP", b"sRGB\0\0"),
    "PNG, eXIf": lambda: png_with(b"eXIf", tiff_that_loops(), 1000),
    "AVIF": lambda: box_claiming("AVIF", 60_000),
    "AVIF of 100 megapixels": lambda: box_claiming("AVIF", 10_000),
    "HEIF": lambda: box_claiming("HEIF", 60_000),
    "HEIF of 100 megapixels": lambda: box_claiming("HEIF", 10_000),
    "JPEG 2000": lambda: jpeg2000_claiming(60_000),
    "JPEG 2000 of 100 megapixels": lambda: jpeg2000_claiming(10_000),
    "EXIF that loops": lambda: jpeg_with(0xE1, b"Exif\0\0" + tiff_that_loops()),
    "EXIF in many parts": lambda: jpeg_with(0xE1, b"Exif\0\0" + tiff_that_loops(), 600),
    "XMP of many elements": lambda: jpeg_with(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + b"<a>" * 20_000),
    "XMP of entities": lambda: jpeg_with(
        0xE1,
        b"http://ns.adobe.com/xap/1.0/\0" + b'<!DOCTYPE a [<!ENTITY a "' + b"a" * 9000 + b'">]><a>' + b"&a;" * 9000,
    ),
    "ICC in many parts": lambda: jpeg_with(0xE2, b"ICC_PROFILE\0\1\xff" + bytes(200), 250),
    "TIFF that loops": tiff_that_loops,
    "GIF of a large screen": lambda: gif_of(65_535, 65_535),
    "GIF of 100 megapixels": lambda: gif_of(10_000, 10_000, 2_000),
    "PNG of many frames": lambda: apng_of(10_000, 10_000, 1_000),
    "WebP of many frames": lambda: webp_that_moves(10_000, 700),
    "BMP in runs": lambda: bmp_of(11_000),
    "TGA in runs": lambda: tga_of(11_000, 11_000),
    "PCX in runs": lambda: pcx_of(11_000),
    "SGI whose rows are one": lambda: sgi_of(4_900),
    "PPM as text": lambda: b"P3 11000 11000 255 " + b"1 " * 30_000,
    "PPM without pixels": lambda: b"P6 11000 11000 255\n",
    "ICO": lambda: saved("ICO", (256, 256)),
    "PSD": lambda: b"8BPS\0\1" + bytes(6) + struct.pack(">HIIHH", 3, 30_000, 30_000, 8, 3) + bytes(12),
}


@pytest.fixture(scope="module")
def spent() -> Iterator[Callable[[], tuple[int, int, float]]]:
    """The most memory that the child ever held, its pid, and the seconds that it has computed."""
    children.end_all()
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(str(Path(__file__).parent))

        def asked() -> tuple[int, int, float]:
            said, _ = children.ask("test_bombs:peak", {}, seconds=1)
            return said["bytes"], said["pid"], said["seconds"]

        yield asked
    children.end_all()


@pytest.mark.parametrize("name", ODDITIES)
def test_a_small_file_costs_little_whether_it_is_read_or_not(
    name: str, tmp_path: Path, spent: Callable[[], tuple[int, int, float]]
) -> None:
    data = ODDITIES[name]()
    assert len(data) <= 64 << 10
    file = tmp_path / "bomb"
    file.write_bytes(data)
    _, pid, before = spent()
    with suppress(PhotoError):
        picture = read_picture(file)
        assert len(picture.pixels)
    held, still, after = spent()
    assert 0 < held < 1_000_000_000
    assert still != pid or after - before < 5  # one that was ended had come to its limit, which is less
    assert images.SECONDS + images.SECONDS_A_MEGABYTE / 16 < 5
