"""What became of the versions: which one a rollback goes back to, and which were set aside. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Literal

How = Literal["promoted", "kept", "rolled back"]
"""What became of a version: put into use, not put into use, or put into use again in place of a later one."""


def previous(history: Iterable[tuple[str, How]], current: str) -> str | None:
    """The version that a rollback from `current` goes back to: the one in use before it, None if there was none.

    `history` says what became of versions, oldest first. A rollback takes back what was promoted after the version it
    went to, so that two in a row go back two steps and never forth again.
    """
    used, _ = _replayed(history)
    if current in used:
        used = used[: len(used) - used[::-1].index(current) - 1]
    return used[-1] if used else None


def set_aside(history: Iterable[tuple[str, How]]) -> tuple[str, ...]:
    """The versions that were kept or rolled back from and not put into use since, oldest first: a model that would be
    the same as one of them need not be made, and must not be promoted, again."""
    return _replayed(history)[1]


def _replayed(history: Iterable[tuple[str, How]]) -> tuple[list[str], tuple[str, ...]]:
    """The versions in use one after the other, less those taken back, and those set aside."""
    used: list[str] = []
    seen: dict[str, int] = {}
    aside: dict[str, None] = {}
    for version, how in history:
        seen.setdefault(version, len(seen))
        if how == "kept":
            aside[version] = None
            continue
        # Whoever puts an older version into use, by whichever command, does not want the later ones back.
        later = [one for one in used if seen[one] > seen[version]]
        if how == "rolled back" and version in used:
            place = len(used) - used[::-1].index(version)
            later += used[place:]
            del used[place:]
        aside |= dict.fromkeys(later)
        aside.pop(version, None)
        if used[-1:] != [version]:
            used.append(version)
    return used, tuple(aside)
