"""A second look at a face that is in doubt: enlarged, and turned eight ways.

A detector is less sure of a head that is tilted, lies on its side or stands on its head, and misplaces its landmarks;
it is also less sure of things that are no faces. One close-up for each eighth of a turn tells them apart: a face is
clear in one of them, and its landmarks are right there.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import replace

import cv2
import numpy as np

from mien.seeing.levels import scaled
from mien.types import Face, Pixels
from mien.vision.geometry import Cut, from_chip, warp_square

LOW = 0.3
"""Least score with which a face is worth a second look. YuNet gives it to 77 of 78 faces of
training photos that were tilted by an eighth of a turn or stood on their heads, and to 0.4 things a photo that are no
faces."""

SURE = 0.91
"""A face that scores this or more, at first or in its upright close-up, is not looked at turned: nine of ten do at
first, and two of 78 that stood on their heads."""

LIKELY, TOGETHER = 0.6, 1.3
"""A face found with the first score or more counts if that score and the one of its upright close-up are together at
least the second."""

CLEAR, LEAD = 0.88, 0.01
"""Any face counts if it scores this in a close-up, and it is taken for turned where that scores so much more. In 1,664
turned, mirrored and scaled pictures without a face (hard_noface and the sample's), five things count as faces by these
rules, and 27 score 0.6 or more at first."""

_SIDE, _GLANCE, _BETWEEN, _COLUMNS = 104, 64, 8, 4
"""Pixels of a close-up's side, of one at a glance, and between the close-ups of a sheet, which the detector reads at
once; and close-ups in a row."""
_WORTH = 2
"""Turns that are looked at closely, of the seven that are glanced at: the best, and the one beside it where a head is
tilted by a part of an eighth."""
_AROUND = 1.8
"""Side of what a close-up shows, in sides of the face."""


def second_look(detect: Callable[[Pixels], list[Face]], pixels: Pixels, face: Face, doubtful: bool) -> Face | None:
    """The face as it is best seen; None if it is none. With `doubtful` a face counts that only looks somewhat like one,
    as those of statues and dolls may."""
    first = face.detector_score
    if first >= SURE:
        return face
    x0, y0, x1, y1 = face.box
    square = Cut((x0 + x1) / 2, (y0 + y1) / 2, _AROUND * max(x1 - x0, y1 - y0))
    straight = warp_square(pixels, square, _SIDE)
    (upright,) = _seen(detect, [straight], square, [0])
    if _score(upright) >= SURE:
        return face if first >= LIKELY else upright
    best = _turned(detect, straight, warp_square(pixels, _turn(square, 1), _SIDE), square)
    if best is not None and _score(best) >= max(CLEAR, first + LEAD, _score(upright) + LEAD):
        return best
    if first >= LIKELY and (doubtful or first + _score(upright) >= TOGETHER):
        return face
    return upright if _score(upright) >= CLEAR else None


def _score(face: Face | None) -> float:
    return face.detector_score if face else 0.0


def _turn(square: Cut, eighths: int) -> Cut:
    return square._replace(angle=eighths * math.pi / 4)


def _turned(detect: Callable[[Pixels], list[Face]], straight: Pixels, slanting: Pixels, square: Cut) -> Face | None:
    """The face as the close-up shows it best that is turned by one to seven eighths, given those that are turned by
    none and by one: quarter turns need no other pixels."""
    eighths = range(1, 8)
    small = [cv2.resize(one, (_GLANCE, _GLANCE), interpolation=cv2.INTER_AREA) for one in (straight, slanting)]
    glances = _seen(detect, [np.rot90(small[turn % 2], turn // 2) for turn in eighths], square, eighths)
    promising = sorted(zip(eighths, map(_score, glances), strict=True), key=lambda one: -one[1])[:_WORTH]
    worth = [turn for turn, score in promising if score]
    closely = [np.rot90((straight, slanting)[turn % 2], turn // 2) for turn in worth]
    return max(_seen(detect, closely, square, worth), key=_score, default=None)


def _seen(
    detect: Callable[[Pixels], list[Face]], chips: Sequence[Pixels], square: Cut, eighths: Sequence[int]
) -> list[Face | None]:
    """The face as each of these chips of the square shows it, which are turned by so many eighths; None where one shows
    none in its middle."""
    if not chips:
        return []
    side = len(chips[0])
    pitch = side + _BETWEEN
    rows, columns = math.ceil(len(chips) / _COLUMNS), min(len(chips), _COLUMNS)
    sheet = np.zeros((rows * pitch - _BETWEEN, columns * pitch - _BETWEEN, 3), np.uint8)
    for number, chip in enumerate(chips):
        top, left = (at * pitch for at in divmod(number, _COLUMNS))
        sheet[top : top + side, left : left + side] = chip
    seen: list[Face | None] = [None] * len(chips)
    for found in detect(sheet):  # best score first
        x, y = ((found.box[at] + found.box[at + 2]) / 2 for at in (0, 1))
        column, row = int(x // pitch), int(y // pitch)
        number = row * _COLUMNS + column
        if not (0 <= column < columns and 0 <= number < len(seen)) or seen[number]:
            continue
        own = scaled(found, 1.0, -column * pitch, -row * pitch)
        large = own.box[3] - own.box[1] > side / _AROUND / 2  # and not another face inside this one's box
        if large and math.hypot(x - column * pitch - side / 2, y - row * pitch - side / 2) < side / 4:
            seen[number] = _in_picture(own, _turn(square, eighths[number]), side)
    return seen


def _in_picture(face: Face, cut: Cut, side: int) -> Face:
    """A face of a close-up of this side where it lies in the picture. Its box is the one around the ellipse that fills
    it in the close-up, so that it is no larger for being tilted."""
    x0, y0, x1, y1 = face.box
    x, y = from_chip([(x0 + x1) / 2, (y0 + y1) / 2], cut, side).tolist()
    width, height = (x1 - x0) * cut.side / side / 2, (y1 - y0) * cut.side / side / 2
    cosine, sine = math.cos(cut.angle), math.sin(cut.angle)
    width, height = math.hypot(width * cosine, height * sine), math.hypot(width * sine, height * cosine)
    landmarks = from_chip(face.landmarks, cut, side)
    return replace(face, box=(x - width, y - height, x + width, y + height), landmarks=landmarks)
