"""Faces of every size in a photo of any size: levels of a pyramid, cut into tiles.

A detector finds faces of some sizes only. The picture is therefore reduced in steps, and each level that is too large
for one look is cut into tiles that overlap. Which levels and tiles there are depends on the size of the picture alone,
so that a face is found, or not, whatever else the picture shows; memory depends on the size of a tile.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace

import cv2
import numpy as np

from mien.types import Box, Face, Pixels
from mien.vision.geometry import turn_box, turn_points

TILE = 1024
"""Longest side of a tile, pixels. YuNet takes some 60 MB for one."""

OVERLAP = 128
"""Pixels that neighbouring tiles share: a face up to this size is whole in at least one of them, and a larger one is
whole in a coarser level."""

STEP = 4
"""How much smaller each level is than the one before. YuNet finds faces of 16 to 640 pixels, so a face of 128 pixels,
which may be cut in one level, has 32 in the next."""

COARSEST = 640
"""The long side, pixels, of a level from which on no coarser one is needed: a face that fills it is found."""

TURNED_SIDE = 96
"""Long side, pixels, at which a picture is also looked at lying on either side, for large faces in photos that lost
their EXIF orientation. YuNet gives ten of 78 such faces no score of 0.3 in the picture as it is; with this it misses
one, as with twice the pixels."""

BETWEEN = 8
"""Pixels between pictures that a detector reads at once."""

LYING = 0.6
"""Least score of a face that lies on its side. It counts half: the detector must see it once more, nearer, so that
upright pictures do not get more false faces by being turned."""

SAME_FACE = 0.45
"""Two boxes whose intersection over union is more are one face; libfacedetection's figure."""

PART_OF_FACE, LEAST_PART = 0.8, 0.25
"""A box that lies by this share in another one, and has at least this share of its area, is a part of that face. A
smaller one may be somebody behind."""


def faces_of_all_sizes(detect: Callable[[Pixels], list[Face]], pixels: Pixels, finest: float) -> list[Face]:
    """What `detect` finds in `pixels` (HxWx3 uint8 RGB) at the scale `finest`, at most 1, and at coarser ones, each
    face once, best score first, in pixels of the picture."""
    found: list[Face] = []
    scale, level = finest, pixels
    while True:
        level = _reduced(level, *(max(1, round(side * scale)) for side in pixels.shape[1::-1]))
        found += _in_level(detect, level, scale)
        if scale * max(pixels.shape[:2]) <= COARSEST:
            return one_each([*found, *_lying(detect, level, scale)])
        scale /= STEP


def one_each(faces: Sequence[Face]) -> list[Face]:
    """The faces without those that are another, better one once more, or a part of it; best score first."""
    kept: list[Face] = []
    for face in sorted(faces, key=lambda face: -face.detector_score):
        if not any(_same(face.box, other.box) for other in kept):
            kept.append(face)
    return kept


def scaled(face: Face, scale: float, x: float = 0.0, y: float = 0.0) -> Face:
    """The face moved by (x, y) pixels, and then in a picture `scale` times as large."""
    shift = np.array([x, y, x, y])
    x0, y0, x1, y1 = ((np.array(face.box) + shift) * scale).tolist()
    return replace(face, box=(x0, y0, x1, y1), landmarks=(face.landmarks + np.float32(shift[:2])) * np.float32(scale))


def _in_level(detect: Callable[[Pixels], list[Face]], level: Pixels, scale: float) -> Iterator[Face]:
    """The faces in one level, the picture reduced to `scale`, in pixels of the picture."""
    height, width = level.shape[:2]
    for top, bottom in _cuts(height):
        for left, right in _cuts(width):
            for face in detect(np.ascontiguousarray(level[top:bottom, left:right])):
                moved = scaled(face, 1.0, left, top)
                x0, y0, x1, y1 = moved.box
                if _belongs(x0, x1, left, right, width) and _belongs(y0, y1, top, bottom, height):
                    yield scaled(moved, 1 / scale)


def _lying(detect: Callable[[Pixels], list[Face]], level: Pixels, scale: float) -> Iterator[Face]:
    """The large faces that are upright in the picture turned by a quarter, in pixels of the picture as it is, of which
    `level` is reduced to `scale`."""
    further = min(1.0, TURNED_SIDE / max(level.shape[:2]))
    height, width = (max(1, round(side * further)) for side in level.shape[:2])
    small = _reduced(level, width, height)
    beside = height + BETWEEN  # where the second of the turned pictures begins; the detector reads both at once
    sheet = np.zeros((width, beside + height, 3), np.uint8)
    sheet[:, :height], sheet[:, beside:] = np.rot90(small, 1), np.rot90(small, 3)
    for face in detect(sheet):
        if face.detector_score < LYING:
            continue
        first = (face.box[0] + face.box[2]) / 2 < height + BETWEEN / 2
        turn, face = (1, face) if first else (3, scaled(face, 1.0, -beside))
        box = turn_box(face.box, -turn, height, width)
        landmarks = turn_points(face.landmarks, -turn, height, width)
        hint = replace(face, box=box, landmarks=landmarks, detector_score=face.detector_score / 2)
        yield scaled(hint, 1 / (scale * further))


def _reduced(pixels: Pixels, width: int, height: int) -> Pixels:
    """The picture at this size, which is not larger."""
    if (height, width) == pixels.shape[:2]:
        return pixels
    return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_AREA), np.uint8)


def _cuts(length: int) -> list[tuple[int, int]]:
    """Where the tiles of a side begin and end: as few as will do, of one size, evenly spread."""
    number = max(1, math.ceil((length - OVERLAP) / (TILE - OVERLAP)))
    side = math.ceil((length + (number - 1) * OVERLAP) / number)
    starts = [round(at * (length - side) / max(1, number - 1)) for at in range(number)]
    return [(start, start + side) for start in starts]


def _belongs(low: float, high: float, start: int, end: int, length: int) -> bool:
    """Whether a face from `low` to `high` is for the tile from `start` to `end` to report, along a side of `length`
    pixels. What is cut by a border inside the picture is for another tile, or for another level, to report whole. Two
    tiles see a face some pixels apart, so that both report one in the middle of their overlap, rather than neither."""
    middle, margin = (low + high) / 2, OVERLAP * 3 / 8
    if start and (middle < start + margin or low < start + 1):
        return False
    return not (end < length and (middle >= end - margin or high > end - 1))


def _same(face: Box, better: Box) -> bool:
    """Whether a box shows the face of a better one, or a part of it."""
    width = min(face[2], better[2]) - max(face[0], better[0])
    height = min(face[3], better[3]) - max(face[1], better[1])
    if width <= 0 or height <= 0:
        return False
    common = width * height
    small, large = sorted((box[2] - box[0]) * (box[3] - box[1]) for box in (face, better))
    part = common > PART_OF_FACE * small and small > LEAST_PART * large
    return part or common > SAME_FACE * (small + large - common)
