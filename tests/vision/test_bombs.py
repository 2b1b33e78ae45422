"""Small files that ask for much: each costs itself, bounded memory and bounded time."""

from __future__ import annotations

import resource
import struct
import sys
import zlib
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from mien.engines import children
from mien.errors import PhotoError
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


def peak(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Called in the child: the most memory that it ever held, in bytes."""
    lines = Path("/proc/self/status").read_text("ascii").splitlines()  # ru_maxrss is also that of who started it
    return {"bytes": sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))}, b""


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
