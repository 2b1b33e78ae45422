"""Counts, shares and lists as words, and how a kind's words are filled with figures.

Every room that counts, lists or fills a kind's words does it through here, so that plurals, thousands and percentages
read alike in the terminal, in the report and on later pages.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from string import Formatter

Figure = int | float | str | bool | None
"""What a kind's words may be filled with: numbers, and names of things that are no person (a version, a source)."""


def count(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 photo", "2,300 photos", "2 people"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def percent(share: float | None) -> str:
    """A fraction as "99.3 %", where only nothing is 0 and only all is 100; "-" where there is none."""
    if share is None or math.isnan(share):
        return "-"
    if 0 < share < 0.001:
        return "<0.1 %"
    if 0.999 < share < 1:
        return ">99.9 %"
    return f"{100 * share:.1f} %"


def chance(probability: float) -> str:
    """A probability as a whole percentage, wherever one is shown; a calibrated probability is never certain, so neither
    0 nor 100 %."""
    if probability < 0.005:
        return "<1 %"
    return ">99 %" if probability >= 0.995 else f"{100 * probability:.0f} %"


def listed(words: Iterable[str], conjunction: str = "and") -> str:
    """ "Ada", "Ada and Bo", "Ada, Bo and Cy"."""
    *first, last = [*words] or [""]
    return f"{', '.join(first)} {conjunction} {last}" if first else last


def first_few(names: Sequence[str], most: int) -> str:
    """ "Ada, Bo and 7 more": the first `most` of the names, and how many there are besides."""
    rest = f" and {len(names) - most:,} more" if len(names) > most else ""
    return f"{', '.join(names[:most])}{rest}"


class _Filler(Formatter):
    """Knows six kinds of format more than Python: "{n:photo}" counts photos, "{n:person|people}" people, "{x:%}" is a
    percentage with one place, "{x:g%}" one with as many as it needs, "{p:p}" a p-value, "{names:and}" and "{names:or}"
    a list."""

    def format_field(self, value: object, format_spec: str) -> str:
        if format_spec == "%" and isinstance(value, int | float):
            return percent(value)
        if format_spec == "g%" and isinstance(value, int | float):
            return f"{100 * value:.6g} %"
        if format_spec == "p" and isinstance(value, int | float):
            return "p < 0.0001" if value < 0.0001 else f"p = {value:.2g}"
        if format_spec in ("and", "or") and isinstance(value, tuple | list):
            return listed(map(str, value), format_spec)
        if format_spec[:1].isalpha() and isinstance(value, int):
            noun, _, plural = format_spec.partition("|")
            return count(value, noun, plural or None)
        return str(super().format_field(value, format_spec))


_FILLER = _Filler()


def fill(words: str, figures: Mapping[str, object]) -> str:
    """`words` with `figures` in the place of what stands in braces; see `_Filler` for the formats.

    Braces inside a figure stay as they are. Raises KeyError for a figure that is missing.
    """
    return _FILLER.vformat(words, (), figures)
