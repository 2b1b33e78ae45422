"""Which version is in use, and which are kept: putting one into use, going back to the one before, dropping others.

A version that is put into use knows nobody who was removed: of one that does, the same without them is used instead.
Each may be repeated without harm. The album is open for writing.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from mien.errors import DamagedModelError, ModelError
from mien.open_album import OpenAlbum
from mien.registry import versions
from mien.registry.folder import Draft
from mien.registry.history import How, previous
from mien.text.models import UseKind

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
    """The version that a rollback goes back to: the last in use before that is, without whoever was removed, another
    model than the one in use. Raises ModelError if there is none."""
    current, there = album.version, versions.names(album.layout.models)
    past = [one for one in history(album) if one[0] in there]
    first = version = previous(past, current) if current else None
    while version and _as_used(album, version) == current:
        version = previous(past, version)
    if version is None:
        without = ": without those who were removed, none is another than the one in use" if first else ""
        raise ModelError(
            str(album.folder),
            f"has no earlier model to go back to{without}",
            "`mien models` lists those there are; promote one by its name.",
        )
    return version


def bring_into_use(album: OpenAlbum, version: str, how: str) -> str:
    """`put_into_use` of a version that somebody asked for, or, if it knows people who were removed, of the same without
    them: the version that is in use then. Raises ModelError, also where it knows nobody else."""
    versions.require(album.layout.models, version)
    removed, draft = _without_removed(album, version)
    if not removed:
        put_into_use(album, version, how)
        return version
    if draft is None:
        raise ModelError(
            f"The model {version}", "knows nobody but people who were removed", "`mien add` brings a person back."
        )
    models, before = album.layout.models, album.version
    clean = versions.twin(models, draft) or versions.write(models, draft)
    if how == "rollback":  # the next one goes back from the version that was asked for
        album.ledger.history.promoted(version, album.clock(), how, before)
    put_into_use(album, clean, "remove" if how == "rollback" else how)
    album.progress.note(UseKind.WITHOUT.say({"asked": version, "names": removed, "version": clean}))
    return clean


def _as_used(album: OpenAlbum, version: str) -> str | None:
    """The version that `bring_into_use` would put into use for this one; None if it has to be made first."""
    removed, draft = _without_removed(album, version)
    return versions.twin(album.layout.models, draft) if removed and draft else version


def _without_removed(album: OpenAlbum, version: str) -> tuple[tuple[str, ...], Draft | None]:
    """Whom of those that a version knows somebody removed, and the same version without them, if it knows anybody
    else. A damaged version knows nobody: whoever uses it is told."""
    if not album.ledger.removals:
        return (), None
    try:
        removed = album.removed_among(versions.people(album.layout.models, version))
    except DamagedModelError:
        return (), None
    if not removed:
        return (), None
    from mien.stages.enrol import without

    return removed, without(album, versions.load(album.layout.models, version), removed)


# Which versions are kept


@dataclass(frozen=True, slots=True)
class Dropped:
    """Versions that were deleted, oldest first, and how many are `left`."""

    versions: tuple[str, ...]
    left: int

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {"dropped": list(self.versions), "left": self.left}


def drop(album: OpenAlbum, some: Iterable[str]) -> Dropped:
    """Deletes versions with their pages. Raises ModelError, with nothing deleted, if one is in use or not there."""
    models, asked = album.layout.models, set(some)
    for version in sorted(asked):
        versions.require(models, version, unused=True)
    chosen = [version for version in versions.names(models) if version in asked]
    for version in chosen:
        versions.drop(models, version)
    return Dropped(tuple(chosen), len(versions.names(models)))


def prune(album: OpenAlbum) -> Dropped:
    """Deletes old versions: the setting `keep` says how many of the newest stay, 0 for all. So do the one in use, the
    one that a rollback goes back to, and the one whose page is shown of the one in use."""
    models, keep = album.layout.models, album.settings.keep
    there = versions.names(models)
    stays = {album.version, *there[-keep:]}
    with contextlib.suppress(ModelError):
        stays.add(one_before(album))
    if (model := album.sound_model()) and (page := versions.page_of(models, model)):
        stays.add(page.parent.name)
    return drop(album, [version for version in there if version not in stays])
