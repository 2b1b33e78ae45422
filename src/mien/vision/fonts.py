"""Fonts for names in any script: those that this machine has, letter by letter.

mien brings no font along but Pillow's own, which has the letters of English. For all others the fonts of the system are
asked; a letter that none of them has is drawn as a box.
"""

from __future__ import annotations

import os
import sys
import unicodedata
from collections.abc import Iterator, Sequence
from functools import lru_cache
from itertools import groupby
from pathlib import Path
from typing import Final, NamedTuple, TypeAlias

from PIL import ImageFont

Font: TypeAlias = ImageFont.FreeTypeFont | ImageFont.ImageFont

PREFERRED: Final = (
    "DejaVuSans.ttf",
    "NotoSans-Regular.ttf",
    "NotoSansCJK-Regular.ttc",
    "Arial Unicode.ttf",
    "arial.ttf",
    "PingFang.ttc",
    "msyh.ttc",
    "YuGothM.ttc",
    "malgun.ttf",
    "Nirmala.ttc",
)
"""Fonts of Linux, macOS and Windows that have many letters, asked before the others."""

MOST_FONTS: Final = 500
"""Fonts that are asked for a letter; a designer's machine has thousands, and opening one takes a millisecond."""

_ENDINGS = (".ttf", ".otf", ".ttc")
_NOBODY_HAS = "\U0010fffd"
"""A letter that no font has, as which a font draws those that it lacks."""


class Run(NamedTuple):
    """Letters of one font, with the width of their line, and how far it reaches above and below its base line."""

    text: str
    font: Font
    width: int
    ascent: int
    descent: int


def runs(text: str, height: int) -> tuple[Run, ...]:
    """`text` in fonts that have its letters, `height` pixels high. What is no letter is drawn as a question mark."""
    text = "".join(letter if letter.isprintable() else "?" for letter in text)
    return tuple(_run("".join(letters), font) for font, letters in _parts(text, height))


def size_of(found: Sequence[Run]) -> tuple[int, int]:
    """Width and height in pixels of runs that stand in one line."""
    if not found:
        return 0, 0
    return sum(run.width for run in found), max(run.ascent for run in found) + max(run.descent for run in found)


def can_write(text: str) -> bool:
    """Whether a font here has each letter of `text`."""
    return all(_file_for(letter) is not None for letter in text)


def _parts(text: str, height: int) -> Iterator[tuple[Font, list[str]]]:
    """Letters that stand together, with their font: all in one if there is one that has them all."""
    asked = {letter for letter in text if not _joins(letter)}
    whole = next((file for file in _files() if all(_has(file, letter) for letter in asked)), None)
    files: list[tuple[str | None, str]] = []
    for letter in text:
        same = files and _joins(letter)
        files.append((whole if whole is not None else files[-1][0] if same else _file_for(letter), letter))
    for file, letters in groupby(files, key=lambda one: one[0]):
        yield _font(file or "", height), [letter for _, letter in letters]


def _joins(letter: str) -> bool:
    """Whether a letter stands in whatever font the one before it does: a blank, an accent of its own, a joiner."""
    return unicodedata.category(letter) in ("Mn", "Mc", "Me", "Cf", "Zs")


def _run(text: str, font: Font) -> Run:
    left, top, right, bottom = font.getbbox(text, anchor="ls") if isinstance(font, ImageFont.FreeTypeFont) else (0,) * 4
    ascent, descent = font.getmetrics() if isinstance(font, ImageFont.FreeTypeFont) else (int(bottom - top), 0)
    return Run(text, font, int(max(right, font.getlength(text)) - min(left, 0) + 0.999), ascent, descent)


def _file_for(letter: str) -> str | None:
    """The file of the first font that has a letter, None if there is none."""
    return "" if _joins(letter) else next((file for file in _files() if _has(file, letter)), None)


@lru_cache(1 << 16)
def _has(file: str, letter: str) -> bool:
    try:
        font = _font(file, 24)
        return bytes(font.getmask(letter)) != bytes(font.getmask(_NOBODY_HAS))
    except (OSError, ValueError):  # a font that is broken, or has no outlines
        return False


@lru_cache(256)
def _font(file: str, height: int) -> Font:
    """The font in a file, Pillow's own for "". Raises OSError."""
    return ImageFont.truetype(file, height) if file else ImageFont.load_default(height)


@lru_cache(1)
def _files() -> tuple[str, ...]:
    """The fonts of this machine: the preferred ones, Pillow's own as "", and the others."""
    found: list[Path] = []
    for folder in _folders():
        for here, below, names in os.walk(folder):
            below.sort()
            found += [Path(here, name) for name in sorted(names) if name.lower().endswith(_ENDINGS)]
    order = {name.lower(): number for number, name in enumerate(PREFERRED)}

    def rank(file: Path) -> tuple[int, bool, bool]:
        name = file.name.lower()
        return order.get(name, len(order)), "noto" not in name, "regular" not in name

    found.sort(key=rank)
    best = sum(file.name.lower() in order for file in found)
    return (*map(str, found[:best]), "", *map(str, found[best:MOST_FONTS]))


def _folders() -> list[Path]:
    """Where systems keep fonts."""
    home = Path.home()
    if sys.platform == "win32":
        local = os.environ.get("LOCALAPPDATA", "")
        folders = [Path(os.environ.get("WINDIR", r"C:\Windows"), "Fonts")]
        return folders + ([Path(local, "Microsoft", "Windows", "Fonts")] if local else [])
    if sys.platform == "darwin":
        return [Path("/System/Library/Fonts"), Path("/Library/Fonts"), home / "Library/Fonts"]
    data = os.environ.get("XDG_DATA_DIRS") or "/usr/local/share:/usr/share"
    return [*(Path(one, "fonts") for one in data.split(":") if one), home / ".local/share/fonts", home / ".fonts"]
