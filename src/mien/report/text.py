"""Words and numbers as the page writes them. Whatever comes from outside passes through `shown` and comes out inert."""

from __future__ import annotations

import html
import math
import unicodedata

LONGEST = 120
"""Characters of a name that are shown; file systems allow 255 bytes."""
LONGEST_PATH = 240

_HIDDEN = frozenset({"Cc", "Cs", "Zl", "Zp"})
"""Control characters, halves of broken file names, line ends: written as escapes, or UTF-8 could not hold the page."""
_TURNS = frozenset("\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Characters that reorder the text around them, and so can make a name look like another."""


def shown(text: str, longest: int = LONGEST, keep_end: bool = False) -> str:
    """`text` for HTML, inside an element or a quoted attribute; cut with "…" at its end, or at its start."""
    if len(text) > longest:
        text = "…" + text[1 - longest :] if keep_end else text[: longest - 1] + "…"
    return html.escape("".join(_visible(c) for c in text))


def _visible(c: str) -> str:
    hidden = c in _TURNS or unicodedata.category(c) in _HIDDEN
    return f"\\u{ord(c):04x}" if hidden else c


def name(text: str) -> str:
    """A person's name as HTML; right-to-left names leave the sentence around them alone."""
    return f"<bdi>{shown(text)}</bdi>"


def path(text: str) -> str:
    """A photo's path as HTML, broken between folders where it must be; of a long one the end is kept."""
    safe = shown(text, LONGEST_PATH, keep_end=True)
    return f'<bdi class="path">{safe.replace("/", "/<wbr>")}</bdi>'


def percent(share: float | None) -> str:
    """ "99.3 %" with a no-break space; only nothing is 0 and only all is 100. A dash where there is no number."""
    return "–" if share is None or math.isnan(share) else f"{per_hundred(share)}\u00a0%"


def per_hundred(share: float) -> str:
    """ "99.3", for sentences that say "of 100"."""
    if share in (0.0, 1.0):
        return f"{100 * share:.0f}"
    if 0 < share < 0.001:
        return "&lt;0.1"
    if 0.999 < share < 1:
        return "&gt;99.9"
    return f"{100 * share:.1f}"


def level(share: float) -> str:
    """ "1 %", "0.1 %": a share that was asked for, not measured."""
    return f"{100 * share:g}\u00a0%"


def points(difference: float) -> str:
    """A difference of two shares in points of a hundred: "+0.4", "−1.2", "0.0"."""
    rounded = round(100 * difference, 1)
    sign = "+" if rounded > 0 else "−" if rounded < 0 else ""
    return f"{sign}{abs(rounded):.1f}"


def score(value: float) -> str:
    """A cosine; a dash for a probe in which no face was found."""
    return f"{value:.3f}".replace("-", "−") if math.isfinite(value) else "–"
