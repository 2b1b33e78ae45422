"""Which pictures a TIFF holds, read from its directories: whether it is a camera's RAW file, and which is the photo.

Most RAW files are TIFFs whose first picture is a thumbnail. Under a name that promises something else, only the
directories tell.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping
from typing import NamedTuple

SUBFILE, COMPRESSION, PHOTOMETRIC, ORIENTATION, SUB_DIRECTORIES, DNG = 254, 259, 262, 274, 330, 50706

_WANTED = frozenset((SUBFILE, COMPRESSION, PHOTOMETRIC, ORIENTATION, SUB_DIRECTORIES, DNG))
_FORMS = {1: "B", 3: "H", 4: "L", 7: "B", 13: "L", 16: "Q", 18: "Q"}
"""How values of a field are stored, by its type."""
_MOST_DIRECTORIES, _MOST_FIELDS, _MOST_VALUES = 64, 1024, 16

_OF_SENSORS = frozenset((32803, 34892))
"""PhotometricInterpretation of what a sensor saw: a mosaic of colours, or linear light (DNG 1.7)."""
_OF_CAMERAS = frozenset((32767, 32769, 32770, 34713, 65000, 65535))
"""Compressions of Sony, Epson, Samsung, Nikon, Kodak and Pentax, that only RAW files have."""
_PHASE_ONE = (b"IIII", b"MMMM")


class Directory(NamedTuple):
    """The fields of a directory that matter here, by number, and whether it lies below another."""

    fields: Mapping[int, tuple[int, ...]]
    below: bool

    def has(self, field: int, values: frozenset[int]) -> bool:
        return not values.isdisjoint(self.fields.get(field, ()))

    @property
    def reduced(self) -> bool:
        """Whether it says of its picture that it is a smaller copy of another."""
        return bool(self.fields.get(SUBFILE, (0,))[0] & 1)


def directories(data: bytes) -> list[Directory]:
    """The directories of the TIFF, in the order of its pictures; of a damaged one those that can be read."""
    order = "<" if data.startswith(b"II") else ">"
    large = data[2:4] in (b"+\0", b"\0+")  # BigTIFF
    offset = "Q" if large else "L"
    found: list[Directory] = []
    seen: set[int] = set()
    waiting = [(_number(data, order + offset, 8 if large else 4), False)]
    while waiting and len(found) < _MOST_DIRECTORIES:
        at, below = waiting.pop(0)
        if not at or at in seen:
            continue
        seen.add(at)
        fields, following = _read(data, at, order, large)
        found.append(Directory(fields, below))
        waiting += [(one, True) for one in fields.get(SUB_DIRECTORIES, ())]
        if not below:
            waiting.insert(0, (following, False))
    return sorted(found, key=lambda one: one.below)


def _read(data: bytes, at: int, order: str, large: bool) -> tuple[dict[int, tuple[int, ...]], int]:
    """The fields of the directory at an offset, and the offset of the next directory."""
    head, offset, size = ("Q", "Q", 20) if large else ("H", "L", 12)
    count = _number(data, order + head, at)
    at += struct.calcsize(order + head)
    fields = dict(_fields(data, at, min(count, _MOST_FIELDS), order, offset, size))
    return fields, _number(data, order + offset, at + count * size)


def _fields(
    data: bytes, at: int, count: int, order: str, offset: str, size: int
) -> Iterator[tuple[int, tuple[int, ...]]]:
    for start in range(at, min(at + count * size, len(data) - size + 1), size):
        field, kind, length = struct.unpack_from(f"{order}HH{offset}", data, start)
        if field in _WANTED and kind in _FORMS:
            form = f"{order}{min(length, _MOST_VALUES)}{_FORMS[kind]}"
            place = start + struct.calcsize(f"{order}HH{offset}")
            if struct.calcsize(f"{order}{_FORMS[kind]}") * length > struct.calcsize(order + offset):
                place = _number(data, order + offset, place)
            if length and place + struct.calcsize(form) <= len(data):
                yield field, struct.unpack_from(form, data, place)


def _number(data: bytes, form: str, at: int) -> int:
    """The number at an offset, 0 where the file is shorter."""
    if at + struct.calcsize(form) > len(data):
        return 0
    return int(struct.unpack_from(form, data, at)[0])


def is_raw(data: bytes) -> bool:
    """Whether the TIFF in `data` is a camera's RAW file: it says so, or holds what only such a file does, or its only
    pictures of full size lie where TIFF readers do not look."""
    if data[8:12] in _PHASE_ONE:
        return True
    found = directories(data)
    if any(
        DNG in one.fields or one.has(PHOTOMETRIC, _OF_SENSORS) or one.has(COMPRESSION, _OF_CAMERAS) for one in found
    ):
        return True
    first = [one for one in found if not one.below]
    return bool(first) and all(one.reduced for one in first) and any(one.below and not one.reduced for one in found)


def photo(data: bytes) -> int:
    """The number of the picture that is the photo: the first that is no smaller copy of another, or the first."""
    pictures = [one for one in directories(data) if not one.below]
    return next((number for number, one in enumerate(pictures) if not one.reduced), 0)
