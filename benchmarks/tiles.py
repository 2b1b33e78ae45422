"""A HEIC of tiles, as phones make their large photos: one picture of HEVC may have 36 megapixels at most."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from io import BytesIO

import pillow_heif
from PIL import Image

Found = tuple[int, int]
"""Where the body of a box begins and ends."""


def tiled(tile: Image.Image, width: int, height: int) -> bytes:
    """A HEIC (ISO 23008-12) of this size whose tiles all show the same square picture, each coded by itself."""
    buffer = BytesIO()
    pillow_heif.from_pillow(tile).save(buffer, quality=60)
    one = buffer.getvalue()
    start, end = _find(one, b"meta", b"iprp", b"ipco", b"hvcC")
    settings = one[start:end]
    start, end = _find(one, b"mdat")
    coded = one[start:end]  # it is the only item with pixels
    rows, columns = -(-height // tile.height), -(-width // tile.width)
    count = rows * columns
    grid = struct.pack(">BBBBII", 0, 1, rows - 1, columns - 1, width, height)
    numbers = range(2, count + 2)

    def meta(at: int) -> bytes:
        entries = [_full(b"infe", 2 << 24, struct.pack(">HH4sx", 1, 0, b"grid"))]
        entries += [_full(b"infe", 2 << 24 | 1, struct.pack(">HH4sx", number, 0, b"hvc1")) for number in numbers]
        tiles = struct.pack(f">HH{count}H", 1, count, *numbers)
        sizes = [_full(b"ispe", 0, struct.pack(">II", *size)) for size in (tile.size, (width, height))]
        has = [struct.pack(">HBB", 1, 1, 3), *(struct.pack(">HBBB", number, 2, 0x81, 2) for number in numbers)]
        places = [struct.pack(">HHHHII", 1, 1, 0, 1, 0, len(grid))]
        places += [
            struct.pack(">HHHHII", number, 0, 0, 1, at + index * len(coded), len(coded))
            for index, number in enumerate(numbers)
        ]
        return _full(
            b"meta",
            0,
            _full(b"hdlr", 0, struct.pack(">I4s13x", 0, b"pict")),
            _full(b"pitm", 0, struct.pack(">H", 1)),
            _full(b"iinf", 0, struct.pack(">H", count + 1), *entries),
            _full(b"iref", 0, _box(b"dimg", tiles)),
            _box(b"iprp", _box(b"ipco", _box(b"hvcC", settings), *sizes), _full(b"ipma", 0, _number(count + 1), *has)),
            _full(b"iloc", 1 << 24, struct.pack(">BBH", 0x44, 0, count + 1), *places),
            _box(b"idat", grid),
        )

    kind = _box(b"ftyp", b"heic", _number(0), b"mif1heic")
    return kind + meta(len(kind) + len(meta(0)) + 8) + _box(b"mdat", coded * count)


def _number(value: int) -> bytes:
    return struct.pack(">I", value)


def _box(kind: bytes, *parts: bytes) -> bytes:
    body = b"".join(parts)
    return _number(8 + len(body)) + kind + body


def _full(kind: bytes, version_and_flags: int, *parts: bytes) -> bytes:
    return _box(kind, _number(version_and_flags), *parts)


def _boxes(data: bytes, at: int, end: int) -> Iterator[tuple[bytes, Found]]:
    while at < end:
        size, kind = struct.unpack_from(">I4s", data, at)
        yield kind, (at + 8, at + size)
        at += size


def _find(data: bytes, *path: bytes) -> Found:
    """The first box at a path of kinds. Raises StopIteration where there is none."""
    at, end = 0, len(data)
    for kind in path:
        at, end = next(found for one, found in _boxes(data, at, end) if one == kind)
        if kind == b"meta":
            at += 4
    return at, end
