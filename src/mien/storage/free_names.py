"""Names that are free in a folder, on whatever system the folder may come to lie."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable

from mien.text.names import folded, shortened

_LONGEST_ENDING = 20
"""Characters of what may be an ending; more belong to the name."""


class FreeNames:
    """The names of one folder. Two that differ in upper and lower case or in their Unicode form may be one file on
    macOS or Windows, so they count as equal."""

    def __init__(self, taken: Iterable[str] = ()) -> None:
        self._taken = set(map(folded, taken))
        self._numbers: Counter[str] = Counter()

    def __contains__(self, name: str) -> bool:
        """Whether a name is taken."""
        return folded(name) in self._taken

    def take(self, name: str) -> str:
        """`name`, or "<stem>-2<ending>" and so on: the first that is free, and not free any more."""
        stem, ending = os.path.splitext(name)  # noqa: PTH122 - of a name, not of a path
        if len(ending) > _LONGEST_ENDING:
            stem, ending = name, ""
        free = name
        while free in self:
            self._numbers[folded(name)] += 1
            free = f"{shortened(stem)}-{self._numbers[folded(name)] + 1}{ending}"
        self._taken.add(folded(free))
        return free
