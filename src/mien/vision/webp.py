"""What a WebP says of itself before it is opened: Pillow allocates twice the picture to open one."""

from __future__ import annotations

from typing import NamedTuple


class Header(NamedTuple):
    """Pixels of the picture, whether it is one plain picture (neither transparent nor moving), and its EXIF."""

    width: int
    height: int
    plain: bool
    exif: bytes


def header(data: bytes) -> Header:
    """What the chunks say (RFC 9649, 2.3 to 2.7); a picture of no size where there is none."""
    width = height = 0
    plain, exif, at = True, b"", 12
    while at + 8 <= len(data):
        kind, length = data[at : at + 4], int.from_bytes(data[at + 4 : at + 8], "little")
        body = data[at + 8 : at + 18]
        if kind == b"VP8X":
            width, height = (1 + int.from_bytes(body[start : start + 3], "little") for start in (4, 7))
            plain = not int.from_bytes(body[:1]) & 0x12  # alpha, animation
        elif kind == b"VP8 " and not width:
            width, height = (int.from_bytes(body[start : start + 2], "little") & 0x3FFF for start in (6, 8))
        elif kind == b"VP8L" and not width:
            bits = int.from_bytes(body[1:5], "little")
            width, height, plain = 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF), not bits >> 28 & 1
        elif kind == b"EXIF":
            exif = data[at + 8 : at + 8 + length]
        at += 8 + length + length % 2
    return Header(width, height, plain, exif)
