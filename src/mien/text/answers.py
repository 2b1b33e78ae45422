"""What is said while photos are classified."""

from __future__ import annotations

from mien.text.kinds import Kind


class ClassifyNote(Kind):
    """What `classify` has to say beside its answers."""

    GOES_ON = ("goes on", "Going on with an interrupted run: {answered:,} of {photos:,} photos are answered.")
    NO_JOURNAL = ("no journal", "{why} If this run is interrupted, the next one begins again.")
