"""JPEGs decoded by OpenCV, whose decoder says what it finds wrong with them.

Where data is missing or makes no sense, libjpeg fills the picture with grey, or with what comes next in a wrong place,
goes on, and says so on standard error. Pillow keeps what it says from everybody; OpenCV does not, and is three times as
fast. The pixels are the same.
"""

from __future__ import annotations

import contextlib
import os
import re
import struct
from collections.abc import Iterator
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

END = b"\xff\xd9"

_FLAGS = {
    1: cv2.IMREAD_COLOR_RGB,
    2: cv2.IMREAD_REDUCED_GRAYSCALE_2 | cv2.IMREAD_COLOR_RGB,
    4: cv2.IMREAD_REDUCED_GRAYSCALE_4 | cv2.IMREAD_COLOR_RGB,
    8: cv2.IMREAD_REDUCED_GRAYSCALE_8 | cv2.IMREAD_COLOR_RGB,
}
"""OpenCV's flags for a picture in RGB, by how many times smaller it is to be."""

_SEVERE = ("premature end", "bad huffman code", "bad arithmetic code", "found marker")
"""What libjpeg says, in lower case, of data that is missing or makes no sense. What it says of harmless things, such as
an unknown Adobe transform, is passed over."""
_SURPLUS = re.compile(r"(\d+) extraneous bytes before marker 0x(\w\w)")
_NEEDED = frozenset((0xC0, 0xC1, 0xC2, 0xC4, 0xC9, 0xCA, 0xCC, 0xDA, 0xDB, 0xDD, 0xE0, 0xEE))
"""Markers of the segments that libjpeg decodes by: frame, tables, scan, restarts; JFIF and Adobe say which colours."""
_FEW = 32
"""Bytes before the end marker that no pixel needs: webcams write a handful. Data that lost its place leaves more."""
_LOST = 8
"""Bytes by which libjpeg may be out when it counts such bytes: those that it has read ahead."""


class Scan(NamedTuple):
    """A scan of a JPEG: the numbers of its components, and which coefficients it brings, down to which bit."""

    components: tuple[int, ...]
    first: int
    last: int
    bit: int


def scans(data: bytes, start: int) -> Iterator[Scan]:
    """The scans whose headers lie in `data` from `start` on. Inside a scan's own data no such marker can occur."""
    end = data.find(END, start)
    end = len(data) if end < 0 else end
    while (start := data.find(b"\xff\xda", start, end)) >= 0:
        header = data[start + 2 : start + 5]
        start += 2
        if len(header) == 3 and (length := struct.unpack(">H", header[:2])[0]) == 6 + 2 * header[2]:
            body = data[start + 3 : start + length]
            if len(body) == length - 3:
                yield Scan(tuple(body[:-3:2]), body[-3], body[-2], body[-1] & 15)
                start += length


def missing(components: tuple[int, ...], progressive: bool, found: list[Scan]) -> bool:
    """Whether the file breaks off between two scans: a component of the picture has none, or, of a progressive one,
    not every coefficient comes to its last bit. The picture is then whole and coarse."""
    if not progressive:
        return not set(components) <= {one for scan in found for one in scan.components}
    final = [scan for scan in found if not scan.bit]
    for component in components:
        there = {n for scan in final if component in scan.components for n in range(scan.first, scan.last + 1)}
        if not set(range(64)) <= there:
            return True
    return False


def pixels(data: bytes, divisor: int) -> tuple[NDArray[np.uint8] | None, str]:
    """The picture, HxWx3 uint8 RGB, as it is stored, 1, 2, 4 or 8 times smaller; None where OpenCV cannot decode it.
    With it comes what the decoder said. Raises MemoryError."""
    with _heard() as said:
        try:
            found: Any = cv2.imdecode(np.frombuffer(data, np.uint8), _FLAGS[divisor] | cv2.IMREAD_IGNORE_ORIENTATION)
        except cv2.error as error:
            found = None
            said.append(str(error))
    text = " ".join(said)
    if found is None and ("nsufficient memory" in text or "Failed to allocate" in text):
        raise MemoryError(text)
    return found, text


def bare(data: bytes, start: int) -> bytes | None:
    """The JPEG with nothing before its first scan, whose data begin at `start`, but what decoding takes. None where
    nothing else lies between its segments: then libjpeg finds nothing there to remark on."""
    kept, at, tidy = [b"\xff\xd8"], 2, True
    while at + 4 <= start:
        marker = data[at + 1]
        if data[at] != 0xFF or marker in (0x00, 0xFF) or 0xD0 <= marker <= 0xD9:
            at, tidy = at + 1, False
            continue
        length = 2 + int.from_bytes(data[at + 2 : at + 4], "big")
        if marker in _NEEDED:
            kept.append(data[at : at + length])
        at += length
    return None if tidy or at != start else b"".join((*kept, data[start:]))


def damage(said: str, data: bytes, start: int) -> str:
    """What libjpeg `said` of damage to the picture in `data`, whose first scan begins at `start`; "" if it is whole."""
    for line in said.splitlines():
        if any(words in line.lower() for words in _SEVERE):
            return line.removeprefix("Corrupt JPEG data: ").strip()
        if surplus := _SURPLUS.search(line):
            count, last = int(surplus[1]), surplus[2] == "d9"
            if not last or (count > _FEW and not _is_padding(count, data, start)):
                return surplus[0]
    return ""


def _is_padding(count: int, data: bytes, start: int) -> bool:
    """Whether the last `count` bytes before the end marker are one value over and over, and those before are not: where
    they are, the picture was made of them as well."""
    end = data.find(END, start)
    before = data[start : len(data) if end < 0 else end]
    alike = len(before) - len(before.rstrip(before[-1:]))
    return abs(alike - count) <= _LOST


@contextlib.contextmanager
def _heard() -> Iterator[list[str]]:
    """What is written to standard error during the block, by whatever library, is in the list afterwards."""
    said: list[str] = []
    reading, writing = os.pipe()
    before = os.dup(2)
    try:
        if os.name == "posix":
            os.set_blocking(writing, False)  # what does not fit is lost, and nobody waits
        os.dup2(writing, 2)
        try:
            yield said
        finally:
            os.dup2(before, 2)
            os.close(writing)
        with open(reading, "rb", closefd=False) as pipe:
            said.append(pipe.read().decode("ascii", "replace"))
    finally:
        os.close(before)
        os.close(reading)
