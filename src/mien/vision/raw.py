"""The preview in a camera's RAW file: a JPEG that the camera wrote beside what its sensor saw.

Cameras keep one to four of them, from a thumbnail to the whole picture, each kind of file in places of its own. A JPEG
says itself where it begins and ends, so they are found by that, in whatever kind of file. In what a sensor saw nothing
else is taken for one: it would have to name its segments and a size, and be followed by an end.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from typing import Final, NamedTuple

from PIL import Image

from mien.vision import tiff
from mien.vision.metadata import as_read

LEAST_SIDE: Final = 640
"""Pixels of the long side of the smallest preview that is looked at. A smaller one is a thumbnail, in which the faces
of a group are lost: of 160 x 120 pixels in most files, 256 x 171 in a DNG."""
_BEGIN, _END = b"\xff\xd8\xff", b"\xff\xd9"
_FRAMES, _OTHER_FRAMES = (0xC0, 0xC1, 0xC2), (0xC3, 0xC5, 0xC6, 0xC7, 0xC9, 0xCA, 0xCB, 0xCD, 0xCE, 0xCF)
"""Markers of frames: baseline, extended and progressive ones; and those that hold what the sensor saw (lossless), or
that nobody writes."""
_MOST_BEGINNINGS, _MOST_SEGMENTS = 4096, 256
_CR3: Final = b"CMT1"
"""The box of a CR3 that holds, as a TIFF, the tags that other files have in their first directory."""
_TAGS: Final = 1 << 16
"""Bytes in which those tags lie."""
_HEAD: Final = 1 << 20
"""Bytes at the beginning of other files in which theirs do."""
_ABOUT: Final = (0x010E, 0x010F, 0x0110, 0x0132, 0x013B, 0x8298)
"""The tags that are kept of these: description, maker, model, date, artist, copyright."""
_LONGEST: Final = 1000
"""Letters of one of them."""


class _Jpeg(NamedTuple):
    start: int
    end: int
    width: int
    height: int
    has_exif: bool


def preview(data: bytes) -> bytes | None:
    """The largest preview in a RAW file, as a JPEG file that says which way is up, who took it, when, and whose it is,
    as far as the RAW file does; None if there is none of `LEAST_SIDE`."""
    found = max(_jpegs(data), key=lambda one: one.width * one.height, default=None)
    if found is None or max(found.width, found.height) < LEAST_SIDE:
        return None
    if found.has_exif:
        return data[found.start : found.end]
    tags = _described(data)
    tags[tiff.ORIENTATION] = _orientation(data)
    body = tags.tobytes()
    segment = b"\xff\xe1" + (len(body) + 2).to_bytes(2, "big") + body
    return data[found.start : found.start + 2] + segment + data[found.start + 2 : found.end]


def _jpegs(data: bytes) -> Iterator[_Jpeg]:
    """The JPEGs in a file, but none that lies within another."""
    at = 0
    for _ in range(_MOST_BEGINNINGS):
        at = data.find(_BEGIN, at)
        if at < 0:
            return
        found = _jpeg(data, at)
        if found:
            yield found
        at = found.end if found else at + 1


def _jpeg(data: bytes, start: int) -> _Jpeg | None:
    """The JPEG that begins there, if a whole one of 8 bits does."""
    at, width, height, has_exif = start + 2, 0, 0, False
    for _ in range(_MOST_SEGMENTS):
        marker, length = data[at + 1 : at + 2], int.from_bytes(data[at + 2 : at + 4], "big")
        if data[at : at + 1] != b"\xff" or not marker or length < 2 or marker[0] in _OTHER_FRAMES:
            return None
        body = data[at + 4 : at + 2 + length]
        if marker[0] in _FRAMES and len(body) >= 6:
            height, width = int.from_bytes(body[1:3], "big"), int.from_bytes(body[3:5], "big")
            if body[0] != 8 or body[5] not in (1, 3):
                return None
        has_exif |= marker == b"\xe1" and body.startswith(b"Exif\0\0")
        at += 2 + length
        if marker == b"\xda":
            end = data.find(_END, at)
            return _Jpeg(start, end + 2, width, height, has_exif) if end >= 0 and width and height else None
    return None


def _tags(data: bytes, most: int) -> bytes:
    """The file's own tags, as a TIFF; b"" where there are none. Of a file that is a TIFF itself it is so much of it."""
    if not data.startswith(b"ftyp", 4):
        return data[:most]
    at = data.find(_CR3)
    return data[at + len(_CR3) : at + _TAGS] if at >= 0 else b""


def _described(data: bytes) -> Image.Exif:
    """What the file's own tags say of the photo; nothing where they cannot be read."""
    found, made = Image.Exif(), Image.Exif()
    with suppress(Exception):  # foreign code on bytes of strangers: what is broken is left out
        found.load(b"Exif\0\0" + _tags(data, _HEAD))
        texts = {tag: found.get(tag) for tag in _ABOUT}
        kept = {tag: text for tag, text in texts.items() if isinstance(text, str) and 0 < len(text) <= _LONGEST}
        made.update({tag: as_read(text) for tag, text in kept.items()})
    return made


def _orientation(data: bytes) -> int:
    """Which way is up by the file's own tags, from 1 to 8; 1 where they do not say."""
    first = next(iter(tiff.directories(_tags(data, len(data)))), None)
    (value,) = first.fields.get(tiff.ORIENTATION, (1,))[:1] if first else (1,)
    return value if 1 <= value <= 8 else 1
