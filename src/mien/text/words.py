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


def level(share: float) -> str:
    """ "1 %", "0.25 %": a share that was asked for, not measured, with as many places as it has."""
    return f"{100 * share:.6g} %"


def bound(share: float) -> str:
    """A share that nothing more than an upper bound is known of, rounded up: "8 %", "1.2 %", "0.03 %"."""
    points = 100 * share
    digits = 0 if points >= 5 else 1 if points >= 1 else 1 - math.floor(math.log10(points)) if points > 0 else 0
    return f"{min(100.0, math.ceil(points * 10**digits - 1e-9) / 10**digits):g} %"


def chance(probability: float) -> str:
    """A probability as a whole percentage, wherever one is shown; a calibrated probability is never certain, so neither
    0 nor 100 %."""
    if probability < 0.005:
        return "<1 %"
    return ">99 %" if probability >= 0.995 else f"{100 * probability:.0f} %"


def share(value: float | None, of: int) -> str:
    """A counted share of `of` tries, with no more places than so many can show: "none", "all", "83 %", "97.4 %"; "-"
    where nothing was counted.

    A tenth of a per cent is said where chance moves the share by less than one per cent (`LEAST_ERROR`): of 2,500
    tries, and of fewer the nearer the share is to none or all. "none" and "all" are said of the tries that there were;
    what they say of others is the interval's to tell (`between`).
    """
    if value is None or math.isnan(value) or not of:
        return "-"
    if value in (0, 1):
        return "all" if value else "none"
    error = math.sqrt(max(value * (1 - value), 0) / of)
    return percent(value) if error < LEAST_ERROR else f"{100 * value:.0f} %"


LEAST_ERROR = 0.01
"""Standard error of a share below which its tenths of a per cent mean something. A share that would be rounded to 0 or
100 % has a smaller one."""


def between(low: float, high: float) -> str:
    """The ends of an interval, rounded outwards: "61 to 100 %"; with tenths where it is narrower than ten per cent:
    "97.6 to 98.3 %"."""
    scale, places = (1000, 1) if high - low < 0.1 else (100, 0)
    ends = math.floor(low * scale + 1e-9) / scale, math.ceil(high * scale - 1e-9) / scale
    said = [f"{100 * end:.{0 if end in (0, 1) else places}f}" for end in ends]
    return f"{said[0]} to {said[1]} %"


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
            return level(value)
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
