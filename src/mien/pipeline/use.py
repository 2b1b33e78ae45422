"""Which version is in use: putting one into use, going back to the one before, and what became of each.

Each may be repeated without harm. The album is open for writing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping

from mien.errors import ModelError
from mien.open_album import OpenAlbum
from mien.registry import versions
from mien.registry.history import How, previous

KEPT = "kept"
"""How the ledger calls a challenger that was not good enough."""

_HOW: Mapping[str, How] = {KEPT: "kept", "rollback": "rolled back"}


def put_into_use(album: OpenAlbum, version: str, how: str) -> None:
    """Promotes a version in one step, and writes down `how` it came into use. Repeated, it does nothing more, but for a
    rollback, which is written down each time.

    The ledger comes first: a kill between the two is mended when the command is run again, while nobody would notice
    that a model in use is not in the ledger."""
    before = None
    with contextlib.suppress(ModelError):  # a damaged one is none
        before = album.version

    def record() -> None:
        last = album.ledger.history.promotions()
        if how == "rollback" or not last or last[0].version != version or last[0].how == KEPT:
            album.ledger.history.promoted(version, album.clock(), how, before)

    versions.promote(album.layout.models, version, record)


def keep_out(album: OpenAlbum, version: str) -> None:
    """Writes down that a version was not good enough to take the place of the one in use."""
    if version != album.version and version not in {one for one, how in history(album) if how == "kept"}:
        album.ledger.history.promoted(version, album.clock(), KEPT, album.version)


def history(album: OpenAlbum) -> list[tuple[str, How]]:
    """What became of each version, oldest first, as `mien.registry.history` reads it."""
    return [(one.version, _HOW.get(one.how, "promoted")) for one in reversed(album.ledger.history.promotions())]


def one_before(album: OpenAlbum) -> str:
    """The version that a rollback goes back to. Raises ModelError if there is none."""
    current, there = album.version, versions.names(album.layout.models)
    version = previous([one for one in history(album) if one[0] in there], current) if current else None
    if version is None:
        raise ModelError(
            str(album.folder),
            "has no earlier model to go back to",
            "`mien models` lists those there are; promote one by its name.",
        )
    return version
