"""Boxes and names, drawn on a copy of a picture."""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from mien.types import Box, Pixels

Colour = tuple[int, int, int]
"""RGB."""

NAMED, DOUBTFUL, UNKNOWN, TOO_POOR = (46, 160, 67), (191, 135, 0), (110, 118, 129), (130, 80, 160)
"""Green for a face with a name, amber where that is doubtful or nearly somebody's, grey for an unknown one, violet for
one that is too small or too blurred to be recognised."""

_FONTS = ("DejaVuSans.ttf", "NotoSans-Regular.ttf", "Arial Unicode.ttf", "arial.ttf")
_WIDE_FONTS = ("NotoSansCJK-Regular.ttc", "Arial Unicode.ttf", "PingFang.ttc", "msyh.ttc", "YuGothM.ttc", "malgun.ttf")
"""Fonts of Linux, macOS and Windows, tried in turn for names that are not ASCII; the second list for East Asian names.
Pillow's own font is Latin only. Where no font is installed, boxes stand for letters, and the number in the label tells
who it is."""


def draw_names(pixels: Pixels, boxes: Sequence[Box], labels: Sequence[str], colours: Sequence[Colour]) -> Pixels:
    """A copy of `pixels` (HxWx3 uint8 RGB) with each box outlined in its colour and its label below it, or above where
    there is no room below. `boxes` are in these pixels."""
    image = Image.fromarray(pixels)
    draw = ImageDraw.Draw(image)
    side = max(image.size)
    line, text = max(2, side // 400), max(12, side // 50)
    for box, label, colour in zip(boxes, labels, colours, strict=True):
        draw.rectangle([round(v) for v in box], outline=colour, width=line)
        font = _font(text, _fonts_for(label))
        left, top, right, bottom = draw.textbbox((0, 0), label, font=font)
        width, height, pad = right - left, bottom - top, max(2, text // 4)
        x = min(max(0.0, box[0]), max(0, image.width - width - 2 * pad))
        y = box[3] if box[3] + height + 2 * pad <= image.height else max(0.0, box[1] - height - 2 * pad)
        draw.rectangle((x, y, x + width + 2 * pad, y + height + 2 * pad), fill=colour)
        draw.text((x + pad - left, y + pad - top), label, fill=(255, 255, 255), font=font)
    return np.asarray(image)


def _fonts_for(label: str) -> tuple[str, ...]:
    if label.isascii():
        return ()
    return (*_WIDE_FONTS, *_FONTS) if any(unicodedata.east_asian_width(c) in "WF" for c in label) else _FONTS


@lru_cache
def _font(size: int, names: tuple[str, ...]) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    for name in names:
        try:
            return ImageFont.truetype(name, size)
        except OSError:
            continue
    return ImageFont.load_default(size)
