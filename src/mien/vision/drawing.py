"""Boxes and names, drawn on a copy of a picture.

A label covers no face and no other label. Where there is no room for a name, its number stands in the picture and the
name in a legend below it.
"""

from __future__ import annotations

import math
import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

import numpy as np
from PIL import Image, ImageDraw

from mien.types import Box, Pixels
from mien.vision.fonts import Run, runs, size_of
from mien.vision.labels import Place, place, whole

Colour = tuple[int, int, int]
"""RGB."""

NAMED, DOUBTFUL, UNKNOWN, TOO_POOR = (46, 160, 67), (191, 135, 0), (110, 118, 129), (130, 80, 160)
"""Green for a face with a name, amber where that is doubtful or nearly somebody's, grey for an unknown one, violet for
one that is too small or too blurred to be recognised."""

FEW_NAMELESS: Final = 6
"""Faces without a name that are labelled with words each; more have a number each, or the words hide the picture."""

FEW_SHORT: Final = 3
"""Faces that have a number beside those that have a name; where more have no room for theirs, all have numbers, so that
nobody looks for a name in two places."""

_PAPER, _INK, _ON_COLOUR = (255, 255, 255), (28, 29, 32), (255, 255, 255)
_LEAST, _SMALLEST, _LARGEST = 11, 1 / 66, 1 / 33
"""Pixels that letters are high at least, and their least and greatest share of the picture's side, were it square;
between these they are a third of a face."""


_ENDLESS = 1 << 20
"""Pixels that a label may be wide before it has a place: one too wide finds none."""


@dataclass(frozen=True, slots=True)
class Mark:
    """A face's `box`, in pixels of the picture, and what is to be written of it: a `label`, and how `sure` it is.
    `is_name` says whether the label names somebody; other marks stand back where there is little room, and are put
    together in the legend."""

    box: Box
    label: str
    colour: Colour
    sure: str = ""
    is_name: bool = True


@dataclass(frozen=True, slots=True)
class _Label:
    """Text in its font, with room around it."""

    runs: tuple[tuple[int, Run], ...]
    size: tuple[int, int]
    pad: int

    @classmethod
    def of(cls, texts: Sequence[str], height: int, longest: int) -> _Label:
        """`texts` beside each other, each in its own direction, in letters of this height; the longest of them is cut
        where the label would be wider than `longest`."""
        pad, gap = max(2, height // 4), max(2, height // 3)
        parts = [text for text in texts if text]
        room = longest - 2 * pad - gap * (len(parts) - 1)
        found = [runs(text, height) for text in parts]
        while (wide := sum(size_of(one)[0] for one in found)) > room:
            most = max(range(len(parts)), key=lambda one: size_of(found[one])[0])
            cut = parts[most].removesuffix("…")
            if len(cut) < 2:
                break
            parts[most] = f"{cut[: max(1, min(len(cut) - 1, len(cut) * room // wide))].rstrip()}…"
            found[most] = runs(parts[most], height)
        placed: list[tuple[int, Run]] = []
        at = pad
        for one in found:
            for run in one:
                placed.append((at, run))
                at += run.width
            at += gap
        return cls(tuple(placed), (at - gap + pad, size_of([run for _, run in placed])[1] + 2 * pad), pad)

    def draw(self, draw: ImageDraw.ImageDraw, x: int, y: int, paper: Colour, ink: Colour) -> None:
        width, height = self.size
        draw.rectangle((x, y, x + width - 1, y + height - 1), fill=paper)
        base = y + height - self.pad - max((run.descent for _, run in self.runs), default=0)
        for at, run in self.runs:
            draw.text((x + at, base), run.text, fill=ink, font=run.font, anchor="ls")


def draw_names(pixels: Pixels, marks: Sequence[Mark]) -> Pixels:
    """A copy of `pixels` (HxWx3 uint8 RGB) in which each mark's box is outlined in its colour, with its number, from 1
    on, and its label beside it. The copy is higher than the picture where some labels need a legend."""
    if not marks:
        return pixels.copy()
    height, width = pixels.shape[:2]
    boxes = [mark.box for mark in marks]
    text = letters((width, height), boxes)
    nameless = sum(not mark.is_name for mark in marks) > FEW_NAMELESS
    numbers = [_Label.of([str(number)], text, width) for number in range(1, len(marks) + 1)]
    labels = [
        number if nameless and not mark.is_name else _Label.of([str(position), mark.label, mark.sure], text, _ENDLESS)
        for position, (mark, number) in enumerate(zip(marks, numbers, strict=True), 1)
    ]
    order = sorted(range(len(marks)), key=lambda one: not marks[one].is_name)
    shorts = [one.size for one in numbers]
    places = place((width, height), boxes, [one.size for one in labels], shorts, order)
    if sum(found is None or found.short for found in places) > FEW_SHORT:
        labels, places = numbers, place((width, height), boxes, shorts, shorts, order)
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    line = max(2, text // 8)
    for mark, found in zip(marks, places, strict=True):
        x0, y0, x1, y1 = whole(mark.box, (width, height))
        if x0 < x1 and y0 < y1:
            draw.rectangle((x0, y0, x1 - 1, y1 - 1), outline=mark.colour, width=line)
            if found and found.apart:
                draw.line(_line(found, (x0, y0, x1, y1)), fill=mark.colour, width=line)
    for label, number, mark, found in zip(labels, numbers, marks, places, strict=True):
        if found:
            (number if found.short else label).draw(draw, found.x0, found.y0, mark.colour, _ON_COLOUR)
    told = [
        (number, mark)
        for number, (mark, found) in enumerate(zip(marks, places, strict=True), 1)
        if found is None or found.short or labels[number - 1] is numbers[number - 1]
    ]
    return np.asarray(_with_legend(image, told, text) if told else image)


def letters(size: tuple[int, int], boxes: Sequence[Box]) -> int:
    """How high letters are in a picture of this size with these faces, in pixels."""
    side = math.sqrt(size[0] * size[1])
    wanted = statistics.median(min(box[2] - box[0], box[3] - box[1]) for box in boxes) / 3
    return max(_LEAST, round(min(max(wanted, side * _SMALLEST), side * _LARGEST)))


def _line(found: Place, box: tuple[int, int, int, int]) -> tuple[int, int, int, int]:
    """From the middle of a number to the nearest place on the edge of its box."""
    x, y = (found.x0 + found.x1) // 2, (found.y0 + found.y1) // 2
    return x, y, min(max(x, box[0]), box[2] - 1), min(max(y, box[1]), box[3] - 1)


def _with_legend(image: Image.Image, told: Sequence[tuple[int, Mark]], text: int) -> Image.Image:
    """The picture with what the numbers in it mean below it: a line a name, and one for all that have the same words
    and name nobody."""
    entries: list[tuple[str, list[str], Colour]] = [
        (str(number), [mark.label, mark.sure], mark.colour) for number, mark in told if mark.is_name
    ]
    others: dict[tuple[str, Colour], list[int]] = {}
    for number, mark in told:
        if not mark.is_name:
            others.setdefault((mark.label, mark.colour), []).append(number)
    entries += [(_ranges(numbers), [label], colour) for (label, colour), numbers in others.items()]
    wide = max(1, image.width - text)
    pairs = []
    for numbers, label, colour in entries:
        badge = _Label.of([numbers], text, max(1, wide - 4 * text))
        pairs.append((badge, _Label.of(label, text, max(1, wide - badge.size[0])), colour))
    column = max(badge.size[0] + words.size[0] for badge, words, _ in pairs) + text
    columns = max(1, min(len(pairs), image.width // column))
    rows = -(-len(pairs) // columns)
    high = max(max(badge.size[1], words.size[1]) for badge, words, _ in pairs) + max(2, text // 4)
    edge = max(2, text // 2)
    made = Image.new("RGB", (image.width, image.height + rows * high + 2 * edge), _PAPER)
    made.paste(image)
    draw = ImageDraw.Draw(made)
    for position, (badge, words, colour) in enumerate(pairs):
        x = edge + position // rows * (image.width // columns)
        y = image.height + edge + position % rows * high
        badge.draw(draw, x, y, colour, _ON_COLOUR)
        words.draw(draw, x + badge.size[0], y, _PAPER, _INK)
    return made


def _ranges(numbers: Sequence[int]) -> str:
    """ "2, 4-7" """
    found = []
    for _, run in groupby(enumerate(numbers), key=lambda one: one[1] - one[0]):
        first, *rest = [number for _, number in run]
        found.append(f"{first}-{rest[-1]}" if len(rest) > 1 else ", ".join(map(str, (first, *rest))))
    return ", ".join(found)
