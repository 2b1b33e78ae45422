"""The intake of a day while photos come into it: whether a source may bring any, where each goes, and what came of it.

Below the stage `collect`, which asks the sources; whoever shows what was collected needs no more than this.
"""

from __future__ import annotations

import contextlib
import json
import re
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from functools import cached_property
from pathlib import Path
from typing import Any

from mien.errors import AlbumError, FetchError, PhotoError, SourceError, StorageError, UsageError
from mien.open_album import OpenAlbum
from mien.records.history import HAND, FailedFetch, Fetch, Outcome
from mien.records.removals import Removal
from mien.settings import SourceSettings
from mien.storage.hidden_file import Arrived, remove_hidden
from mien.storage.layout import REMOVED, TRAINING, intake_of, shelf_of
from mien.storage.person_folders import PersonFolders
from mien.storage.walk import walk
from mien.text.fetching import SourceFault
from mien.text.findings import FindingKind
from mien.text.names import FILE_NAME, valid_person
from mien.types import Finding

SYNCERS = 16
"""Folders synced at once."""
GROUP = 50
"""Photos remembered in one transaction: a kill costs as many fetches, and a transaction as much as a photo."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A photo that was refused or could not be had, and why; `location` is "" for a part of the listing. `person` is
    whom it shows, "" where nobody knows."""

    location: str
    error: FetchError | PhotoError
    person: str = ""

    @property
    def finding(self) -> Finding | None:
        """The same as it may be remembered, so that it goes when the person is forgotten; None where nobody knows whom
        it is of."""
        if not (self.person and self.location):
            return None
        if isinstance(self.error, PhotoError):
            figures = {"fault": str(self.error.fault), **self.error.figures}
            return Finding(FindingKind.UNREADABLE, (self.person,), (self.location,), figures)
        return Finding(self.error.kind, (self.person,), (self.location,))

    def to_json(self) -> dict[str, str]:
        """The same for programs."""
        return {"location": self.location, "kind": str(self.error.kind), "message": str(self.error)}


@dataclass(frozen=True, slots=True)
class SourceCollected:
    """How a source fared.

    `brought` are (person, photos that are new in the album) by name; `duplicates` counts those that the album had of
    that person already, `known` those that are as they were, `passed_over` those of people who are not to be taken, and
    `left` those for the next run, as `limit` was reached or the time for the source was over: then it is `unfinished`,
    and there may be more. `doubtful` counts those of the `refused` that may be pictures another time: a server gave
    something else, as for want of a login, or broke off. `removed` are (person, when they were removed, photos) of
    those who may not come back, and `removed_photos` counts photos that were taken out of the person's before. `shared`
    are (location, person, others) of pictures that came in under a person and lie under others too. `wanted` are
    (person, location) of what a dry run would fetch. `over_since` is the last day on which its photos might be used, if
    the source was not asked for that; `error` says why it was not asked to its end.
    """

    source: str
    brought: tuple[tuple[str, int], ...] = ()
    duplicates: int = 0
    known: int = 0
    refused: tuple[Trouble, ...] = ()
    doubtful: int = 0
    failed: tuple[Trouble, ...] = ()
    passed_over: int = 0
    removed: tuple[tuple[str, Removal, int], ...] = ()
    removed_photos: int = 0
    shared: tuple[tuple[str, str, tuple[str, ...]], ...] = ()
    left: int = 0
    unfinished: bool = False
    wanted: tuple[tuple[str, str], ...] = ()
    over_since: date | None = None
    error: SourceError | None = None

    @property
    def photos(self) -> int:
        """How many it brought."""
        return sum(count for _, count in self.brought)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "source": self.source,
            "brought": dict(self.brought),
            "photos": self.photos,
            "duplicates": self.duplicates,
            "known": self.known,
            "refused": [one.to_json() for one in self.refused],
            "doubtful": self.doubtful,
            "failed": [one.to_json() for one in self.failed],
            "passed_over": self.passed_over,
            "removed": [
                {"person": person, "on": removal.on, "photos": photos} for person, removal, photos in self.removed
            ],
            "removed_photos": self.removed_photos,
            "shared": [
                {"location": location, "person": person, "others": list(others)}
                for location, person, others in self.shared
            ],
            "left": self.left,
            "unfinished": self.unfinished,
            "wanted": [{"person": person, "location": location} for person, location in self.wanted],
            "over_since": self.over_since.isoformat() if self.over_since else None,
            "error": str(self.error) if self.error else None,
        }


@dataclass(frozen=True, slots=True)
class Collected:
    """What was collected on `day`, by source in the order given; of a `dry_run`, what would be."""

    day: date
    dry_run: bool
    sources: tuple[SourceCollected, ...]

    @property
    def photos(self) -> int:
        """How many came in."""
        return sum(source.photos for source in self.sources)

    @property
    def complete(self) -> bool:
        """Whether every source was read to its end and every photo could be had: none failed, and of none came
        something else that may have come in its place, as a login page does."""
        return not any(source.error or source.failed or source.doubtful for source in self.sources)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "day": self.day.isoformat(),
            "dry_run": self.dry_run,
            "photos": self.photos,
            "complete": self.complete,
            "sources": [source.to_json() for source in self.sources],
        }


def unstated(settings: SourceSettings) -> list[str]:
    """The keys without which nothing is collected from a source, and which it lacks."""
    return [key for key in ("basis", "licence") if not getattr(settings, key)]


def unfit(name: str, settings: SourceSettings) -> SourceError | None:
    """Why a source may not be used at all: nobody has said why these people may be recognised, or by what right these
    photos are had, or the people have impossible names here."""
    about = f"The source {name}"
    if name == HAND:
        return SourceError(about, SourceFault.NAME.words, SourceFault.NAME.remedy, SourceFault.NAME)
    if missing := unstated(settings):
        table = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
        examples = {"basis": 'basis = "consent"', "licence": 'licence = "own work"'}
        lines = " and ".join(examples[key] for key in missing)
        return SourceError(
            about,
            f"states no {' and no '.join(missing)}, so nothing is collected from it",
            f"Write below [sources.{table}] in {FILE_NAME}, in your own words: {lines}",
            SourceFault.UNSET,
        )
    try:
        for here in (settings.people or {}).values():
            valid_person(here)
    except UsageError as error:
        what = f"names somebody impossible in its table people: {error.message.rstrip('.')}"
        return SourceError(about, what, error.remedy, SourceFault.OPTIONS)
    return None


class Intake:
    """The intake of `day` in an album that is open for writing, and what the album has already.

    What is to be remembered of photos is written down in groups, after the photos; whoever ends a source calls `end`.
    Raises AlbumError if the intake, or a person's folder in it, is a link: nothing is written outside the album.
    """

    def __init__(self, album: OpenAlbum, day: date) -> None:
        shelf = intake_of(day)
        self.folder = album.layout.shelf(shelf)
        if album.layout.photos.is_link(self.folder):
            raise AlbumError(str(self.folder), "is a link", "Put a real folder in its place.")
        self.arriving = album.layout.photos.arriving(self.folder)
        self._album = album
        self._folders = PersonFolders(album.layout, shelf)
        self._fetches: list[Fetch] = []
        self._failures: list[FailedFetch] = []
        self._unsynced: set[Path] = set()

    @cached_property
    def _fetched(self) -> dict[tuple[str, str], str]:
        """By person and hash the photos that a source ever brought."""
        return self._album.ledger.history.photos()

    @cached_property
    def _trained(self) -> dict[tuple[str, str], str]:
        """By person and hash the photos in training-images."""
        return self._album.catalog.files.places(TRAINING)

    @cached_property
    def _strays(self) -> dict[tuple[str, str], str]:
        """By person and hash the photos of intakes that the ledger does not know: a run was killed after it had placed
        them, or somebody else did."""
        layout, history = self._album.layout, self._album.ledger.history
        intakes = layout.intakes()
        known = {place for shelf in intakes for place in history.placed_on(shelf)}
        strays: dict[tuple[str, str], str] = {}
        for one in walk(layout, intakes).files:
            if (one.path, one.size) not in known:
                with contextlib.suppress(PhotoError):
                    strays[one.person, layout.photos.sha256(layout.file(one.path))] = one.path
        return strays

    def namesake(self, person: str) -> str | None:
        """See `PersonFolders.namesake`."""
        return self._folders.namesake(person)

    def place(self, person: str, name: str, arrived: Arrived) -> tuple[Outcome, str]:
        """Gives a photo its name in the intake, unless the album has these bytes of that person, or had them until they
        were taken out; and where it lies."""
        key, layout = (person, arrived.sha256), self._album.layout
        if self._album.ledger.removals.has_photo(*key):
            return "removed", ""
        if path := self._fetched.get(key):
            return "duplicate", path
        if path := self._strays.get(key):
            self._unsynced.add(layout.file(path).parent)
            return "placed", path
        if path := self._trained.get(key):
            return "duplicate", path
        file = self._folders.move_in(person, arrived.file, name, sync=False)
        self._unsynced.add(file.parent)
        return "placed", layout.path(file)

    def others_with(self, person: str, sha256: str) -> tuple[str, ...]:
        """Who else has a photo with these bytes in the album: one picture was filed under several people."""
        came = [*self._album.ledger.history.provenance(sha256), *(one for one in self._fetches if one.sha256 == sha256)]
        lie = {(one.person, one.path) for one in came if one.path}
        lie |= {(one.person, one.path) for one in self._album.catalog.files.of_photos([sha256])}
        return tuple(sorted({one for one, path in lie if one != person and self._is_there(path)}))

    def _is_there(self, path: str) -> bool:
        """Whether a photo that came lies in the album still, or may, as its place cannot be looked at."""
        try:
            return shelf_of(path) != REMOVED and self._album.layout.photos.is_file(self._album.layout.file(path))
        except StorageError:
            return True

    def keep(self, fetch: Fetch) -> None:
        """Remembers how a photo came, sooner or later."""
        self._fetches.append(fetch)
        if fetch.outcome in ("placed", "duplicate"):
            self._fetched.setdefault((fetch.person, fetch.sha256), fetch.path)
        if len(self._fetches) >= GROUP:
            self.write()

    def fail(self, failed: FailedFetch) -> None:
        """Remembers that a photo could not be had, sooner or later."""
        self._failures.append(failed)

    def write(self) -> None:
        """Remembers what is still to be remembered: of photos that a power cut cannot take away any more."""
        with ThreadPoolExecutor(SYNCERS) as together:  # so they share what the disk does for each: a third of the time
            deque(together.map(self._album.layout.photos.sync, self._unsynced), maxlen=0)
        ledger, sources = self._album.ledger, self._album.settings.sources
        about = [(one.basis, one.person, one.checked_at) for one in self._fetches]
        about += [(sources[one.source].basis, one.person, one.at) for one in self._failures if one.person]
        for basis in {basis for basis, _, _ in about}:
            people = [(person, at) for its, person, at in about if its == basis]
            first = min(at for _, at in people)
            ledger.people.enter((person for person, _ in people), basis, first, self._album.until)
        ledger.history.record(self._fetches, self._failures)
        self._unsynced, self._fetches, self._failures = set(), [], []

    def end(self) -> None:
        """Ends a source: removes what was in flight when something broke, and remembers the rest."""
        remove_hidden(self.arriving)  # first, as it frees the disk
        self.write()
