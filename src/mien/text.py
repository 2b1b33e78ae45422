"""Words of numbers, as every room says them."""

from __future__ import annotations


def count(number: int, noun: str, plural: str | None = None) -> str:
    """ "1 photo", "2,300 photos", "2 people"."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"
