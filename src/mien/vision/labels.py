"""Where labels go in a picture, so that none covers a face or another label.

A label stands beside the box of its face. Where there is no room for it a shorter one is tried, which is a number that
a legend explains, and that one further away as well, with a line to its box.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.types import Box

Size = tuple[int, int]
"""Width and height in pixels."""

RINGS: Final = 3
"""How many heights of a number lie at most between it and the box that it belongs to, where there is no room nearer."""


class Place(NamedTuple):
    """The rectangle of a label: pixels of columns x0 to x1 and rows y0 to y1, without x1 and y1. `short` says that it
    has room for the short label only, `apart` that it does not touch its face's box."""

    x0: int
    y0: int
    x1: int
    y1: int
    short: bool = False
    apart: bool = False


def whole(box: Box, size: Size) -> tuple[int, int, int, int]:
    """The whole pixels that a box touches, as far as they lie in a picture of this size, as (x0, y0, x1, y1) without x1
    and y1; an empty rectangle for a box outside."""
    x0, y0, x1, y1 = map(math.floor, box)
    width, height = size
    left, top = min(max(x0, 0), width), min(max(y0, 0), height)
    return left, top, max(left, min(x1 + 1, width)), max(top, min(y1 + 1, height))


def place(
    size: Size, boxes: Sequence[Box], labels: Sequence[Size], shorts: Sequence[Size], order: Sequence[int]
) -> list[Place | None]:
    """A place for the label of each box in a picture of this `size`, or else for its short label; None where there is
    no room for either.

    `labels` and `shorts` are the sizes of both. Boxes are served in this `order`: whoever comes first has the choice.
    Every place lies in the picture and shares no pixel with a box, with another place, or with what would hide it.
    """
    faces = [whole(box, size) for box in boxes]
    taken = _Taken(size, faces)
    places: list[Place | None] = [None] * len(boxes)
    for number in order:
        places[number] = taken.first(_beside(faces[number], labels[number], size))
    for number in order:  # once every name that has room has its place
        if places[number] is None and not _outside(faces[number]):
            near = _beside(faces[number], shorts[number], size)
            found = taken.first(near) or taken.first(_around(faces[number], shorts[number]))
            places[number] = found._replace(short=True, apart=not _touch(found, faces[number])) if found else None
    return places


class _Taken:
    """What no label may cover: faces, and labels that have their place."""

    def __init__(self, size: Size, faces: Sequence[tuple[int, int, int, int]]) -> None:
        self._size = size
        self._all: NDArray[np.int64] = np.array(faces, np.int64).reshape(-1, 4)

    def first(self, places: Iterable[Place]) -> Place | None:
        """The first of the places that is free, which it takes."""
        every = list(places)
        if not every:
            return None
        x0, y0, x1, y1 = np.array([one[:4] for one in every], np.int64).T[:, :, None]
        left, top, right, bottom = self._all.T[:, None]
        covers = np.any((left < x1) & (x0 < right) & (top < y1) & (y0 < bottom), axis=1)
        inside = (x0 >= 0) & (y0 >= 0) & (x1 <= self._size[0]) & (y1 <= self._size[1])
        free = np.flatnonzero(inside[:, 0] & ~covers)
        if not len(free):
            return None
        chosen = every[int(free[0])]
        self._all = np.vstack([self._all, [chosen[:4]]])
        return chosen


def _outside(face: tuple[int, int, int, int]) -> bool:
    return face[0] >= face[2] or face[1] >= face[3]


def _touch(place: Place, face: tuple[int, int, int, int]) -> bool:
    return place.x0 <= face[2] and face[0] <= place.x1 and place.y0 <= face[3] and face[1] <= place.y1


def _beside(face: tuple[int, int, int, int], label: Size, size: Size) -> Iterator[Place]:
    """Places at the edges of a face, the best first: below, above, at its sides."""
    if _outside(face):
        return
    x0, y0, x1, y1 = face
    width, height = label
    last = max(0, size[0] - width)
    columns = [min(max(0, x), last) for x in (x0, (x0 + x1 - width) // 2, x1 - width)]
    for y in (y1, y0 - height):
        for x in columns:
            yield Place(x, y, x + width, y + height)
    lowest = max(0, size[1] - height)
    for x in (x1, x0 - width):
        for y in (y1 - height, (y0 + y1 - height) // 2, y0):
            y = min(max(0, y), lowest)
            yield Place(x, y, x + width, y + height)


def _around(face: tuple[int, int, int, int], label: Size) -> Iterator[Place]:
    """Places further and further from a face, in rings around it."""
    x0, y0, x1, y1 = face
    width, height = label
    for step in range(1, 2 * RINGS + 1):
        gap = step * height // 2
        left, top, right, bottom = x0 - gap - width, y0 - gap - height, x1 + gap, y1 + gap
        across = range(left, right + 1, max(1, width // 2))
        down = range(top, bottom + 1, max(1, height // 2))
        for x, y in (
            *((x, bottom) for x in across),
            *((x, top) for x in across),
            *((right, y) for y in down),
            *((left, y) for y in down),
        ):
            yield Place(x, y, x + width, y + height)
