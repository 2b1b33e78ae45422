"""Numbers and texts as pages write them: the filters of the templates. Shares read as they do in the terminal, but for
their typography: a no-break space before the percent sign, and a dash where there is nothing."""

from __future__ import annotations

import base64
import math
import unicodedata
from typing import Final
from urllib.parse import quote

from mien.learning.figures import most_of_none
from mien.storage.layout import TRAINING
from mien.text import words

LONGEST: Final = 120
"""Characters of a name that are shown; file systems allow 255 bytes."""

_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of broken file names, line ends: written as escapes, or UTF-8 could not hold the page."""
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder the text around them, and so can make a name look like another."""


def inert(value: object) -> object:
    """What a template writes in place of `value`: of a text that is no markup, its control characters and those that
    turn the writing direction as escapes ("\\u202e"). Everything that a template prints comes through here."""
    if not isinstance(value, str) or hasattr(value, "__html__"):
        return value
    return "".join(_visible(letter) for letter in value)


def _visible(letter: str) -> str:
    hidden = letter in _TURNS or unicodedata.category(letter) in _HIDDEN
    return f"\\u{ord(letter):04x}" if hidden else letter


def shown(text: str, longest: int = LONGEST, keep_end: bool = False) -> str:
    """`text`, where it is too long cut with "…" at its end, or at its start."""
    if len(text) <= longest:
        return text
    return "…" + text[1 - longest :] if keep_end else text[: longest - 1] + "…"


def number(value: int) -> str:
    """ "2,300"."""
    return f"{value:,}"


def percent(share: float | None) -> str:
    """ "99.3 %"; only nothing is 0 and only all is 100. A dash where there is no number."""
    said = words.percent(share)
    return {"-": "–", "0.0 %": "0 %", "100.0 %": "100 %"}.get(said, said).replace(" ", "\u00a0")


def at_most(tries: int) -> str:
    """What is left possible where nothing was found in so many tries: "at most 8 % at 95 % confidence"."""
    return f"at most {words.bound(most_of_none(tries))} at 95 % confidence".replace(" %", "\u00a0%")


def per_hundred(share: float) -> str:
    """ "99.3", for sentences that say "of 100"."""
    return percent(share).removesuffix("\u00a0%")


def level(share: float) -> str:
    """ "1 %", "0.1 %": a share that was asked for, not measured."""
    return f"{100 * share:g}\u00a0%"


def points(difference: float) -> str:
    """A difference of two shares in points of a hundred: "+0.4", "−1.2", "0.0"."""
    rounded = round(100 * difference, 1)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.1f}"


def photo_link(photo: str) -> str:
    """The address of a photo as seen from the page about a model, which lies in models/<version>; "" for what is no
    path of a photo, as where it is gone."""
    return f"../../{TRAINING}/{quote(photo.encode('utf-8', 'replace'))}" if "/" in photo and len(photo) < 1000 else ""


def score(value: float) -> str:
    """A cosine; a dash for a probe in which no face was found."""
    return f"{value:.3f}".replace("-", "−") if math.isfinite(value) else "–"


def base64_of(data: bytes) -> str:
    """Bytes as a "data:" address holds them."""
    return base64.b64encode(data).decode("ascii")
