"""What need not be a photo's own fault, or not for ever, and is tried again: when, by what was wrong.

What is in no group here is tried again when the photo's file changes, and when other decoders read it.
"""

from __future__ import annotations

from typing import Final

from mien.text.kinds import Kind
from mien.text.photos import Group, PhotoFault

MENDABLE: Final = (
    PhotoFault.MISSING_EXTRA,
    PhotoFault.SHORT_OF_MEMORY,
    PhotoFault.HUNG,
    PhotoFault.KILLED,
    PhotoFault.DISK,
    PhotoFault.FORBIDDEN,
    PhotoFault.NO_SUCH_FILE,
    PhotoFault.BROKEN_LINK,
)
"""Faults of the computer or its disk rather than of the photo: what failed for them is tried again in each run."""


def is_of_the_photo(fault: Kind) -> bool:
    """Whether a fault is the photo's own, so that nothing is gained by asking for it again; no fault of the computer,
    its disk, or a tool."""
    return isinstance(fault, PhotoFault) and fault not in MENDABLE and fault is not PhotoFault.TOOL


DOUBTFUL: Final = (PhotoFault.TOO_LONG, PhotoFault.BREAKS_DECODER, PhotoFault.STOPS_MIEN)
"""Faults that may be the computer's or the photo's, and cost much to meet: tried again until they were met `TWICE`."""

TWICE: Final = 2

ON_THE_WAY: Final[frozenset[Group]] = frozenset({"empty", "not-a-picture", "truncated", "unreadable"})
"""What a photo may have met on its way from a source: a server that answers with its login page, or breaks off."""
