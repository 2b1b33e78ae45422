"""Whether something lies in a folder that mien keeps: what people look at must not come to lie where photos are learned
from."""

from __future__ import annotations

import os
from pathlib import Path

from mien.errors import UsageError
from mien.storage.files import entries
from mien.storage.layout import is_album, is_kept


def refuse_own_folder(target: Path, album: Path | None = None) -> None:
    """Raises UsageError if `target`, which need not be there yet, lies in a folder that an album keeps for itself:
    training-images, an intake, removed-images and the like. It may be any album above `target`, by its path as given
    or as links lead, or the one at `album`. Raises StorageError if nobody can tell."""
    real = Path(os.path.realpath(target))
    given = Path(os.path.abspath(target))  # noqa: PTH100 - not resolved: that is the other one
    places = dict.fromkeys((given, *given.parents, real, *real.parents))
    reached = {(found.st_dev, found.st_ino) for place in places if (found := _stat(place))}
    for each in dict.fromkeys((*places, *((album.absolute(),) if album else ()))):
        if not is_album(each):
            continue
        named = [place for place in places if place.parent == each and is_kept(place.name)]
        kept = [own for own in entries(each) if is_kept(own.name)]  # each of which may be a link
        linked = [own for own in kept if (found := _stat(own)) and (found.st_dev, found.st_ino) in reached]
        for own in (*named, *linked):
            raise UsageError(
                str(target),
                f"lies in {own.name}, which the album {each} keeps for itself",
                "Name a place outside: what is made to be looked at must never be learned from.",
            )


def _stat(place: Path) -> os.stat_result | None:
    try:
        return place.stat()
    except (OSError, ValueError):
        return None
