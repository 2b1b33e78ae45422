"""What the readers of pages share: texts on one line, markup that can be read to its end, addresses of pictures."""

from __future__ import annotations

import re
from collections.abc import Callable

LONGEST_LINK = 2048
"""Letters in a URL."""
LONGEST_TEXT = 1000
"""Letters of a text that are kept: more than the longest name has, so that a longer one is still seen to be too long.
"""


def tidy(text: object) -> str:
    """A text out of a page, on one line and without spaces around it; "" for a value that is no text."""
    return " ".join(text.split()) if isinstance(text, str) else ""


def shortened(text: str) -> str:
    """The beginning of a text."""
    return text[:LONGEST_TEXT]


def closed(markup: bytes) -> bytes:
    """`markup` without the tags, comments and sections that begin in it and never end.

    Python's HTMLParser looks for the end of each of them to the end of the page, once for each (gh-135462): a page of a
    tenth of a megabyte took it minutes.
    """
    for begin, end in ((b"<", b">"), (b"<!--", b"-->"), (b"<![", b"]>")):
        at = markup.rfind(end) + len(end) if end in markup else 0
        markup = markup[:at] + markup[at:].replace(begin, b"")
    return markup


_SETS = ("srcset", "data-srcset", "data-lazy-srcset")
_SINGLE = ("href", "data-src", "data-lazy-src", "data-original", "data-lazy", "src")
"""Attributes that hold the address of a picture, the best first. Pages that load pictures late keep the real address in
one of many, and a placeholder in src."""


def addresses(attribute: Callable[[str], object]) -> list[str]:
    """The addresses that the picture of an element may have, the best first; `attribute` gives those of the element."""
    found = [_largest(str(attribute(key) or "")) for key in _SETS]
    found += [attribute(key) for key in _SINGLE]
    return links(found)


def links(found: list[object]) -> list[str]:
    """Those that can be the address of something."""
    return [each for each in found if isinstance(each, str) and each.strip() and len(each) <= LONGEST_LINK]


_CANDIDATE = re.compile(r"(?<![^\s,])([^\s,]\S*[^\s,])(?:\s+(\d+(?:\.\d+)?)[wx])?(?:\s+\d+h)?\s*(?:,|$)")


def _largest(srcset: str) -> object:
    """The address of the widest or densest picture in HTML's srcset attribute, None if there is none."""
    found = [(float(size or 1), -place, url) for place, (url, size) in enumerate(_CANDIDATE.findall(srcset[:20_000]))]
    return max(found)[2] if found else None
