"""Importing: the people and photos of another program that recognises faces come into the album.

What the other program offers is collected as from any source, into the intake of today, and merged at once: its user
has filed it by person already. What waits in the intakes from elsewhere stays there. Each may be repeated without harm,
and goes on where it was interrupted. The album is open for writing.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Protocol

from mien.errors import FetchError, UsageError
from mien.intake import SourceCollected, Trouble
from mien.open_album import OpenAlbum
from mien.protocols import Sink, Source
from mien.settings import SourceSettings
from mien.stages.collect import collect
from mien.stages.merge import merge
from mien.storage.layout import day_of, shelf_of
from mien.storage.walk import people_of
from mien.text.fetching import FetchFault
from mien.text.names import mistakable, quoted_name, valid_person
from mien.text.words import count
from mien.types import Offer, Receipt

if TYPE_CHECKING:
    from mien.stages.merge import Merged

NO_LIMIT = 1_000_000_000
"""Photos that one import brings at most: all."""


class Origin(Source, Protocol):
    """A `Source` of another program, which knows of its own photos which it did not keep."""

    name: str
    unsaved: set[str]


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did: how `collected` fared, where `merged` put the photos (None for a dry run), how many pictures
    the other program did not keep (`unsaved`), so that nobody can bring them, and who was `left_out` for a name that
    will not do here."""

    collected: SourceCollected
    merged: Merged | None
    unsaved: int
    left_out: tuple[Trouble, ...] = ()

    @property
    def failed(self) -> tuple[Trouble, ...]:
        """What could not be had though it is there."""
        return self.collected.failed

    @property
    def left(self) -> int:
        """Photos that were brought, and wait in an intake, as they could not be merged."""
        return len(self.merged.left) if self.merged else 0

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        found = self.collected.to_json()
        return {
            **found,
            "unsaved": self.unsaved,
            "left_out": [one.to_json() for one in self.left_out],
            "merged": self.merged.to_json() if self.merged else None,
        }


def import_from(album: OpenAlbum, origin: Origin, dry_run: bool = False) -> Imported:
    """Brings everything that `origin` has and the album does not know yet. A `dry_run` lists it, and changes nothing.
    Raises UsageError where mien.toml has a source of that name, SourceError where nothing can be listed, and as
    `collect` and `merge` do."""
    name, today = origin.name, album.today
    if name in album.settings.sources:
        what = f"names a source {name}, which is what an import is called in the records"
        raise UsageError(str(album.layout.settings_file), what, "Give that source another name.")
    source = SourceSettings(
        kind=name,
        basis=album.settings.basis,
        licence=f"from {name}",
        limit=NO_LIMIT,
        max_minutes=1440,
    )
    opened = album.with_source(name, source)
    checked = _Checked(origin, people_of(album.layout))
    (fared,) = collect(opened, {name: lambda: checked}, today, dry_run).sources
    if fared.error:
        raise fared.error
    unsaved = {one.location for one in fared.failed} & origin.unsaved
    left_out = tuple(one for one in fared.failed if not one.location and one.error.kind is FetchFault.PERSON)
    others = (one for one in fared.failed if one not in left_out and one.location not in unsaved)
    fared = replace(fared, failed=tuple(others))
    merged = None if dry_run else _merge(opened, name)
    return Imported(fared, merged, len(origin.unsaved), left_out)


def _merge(album: OpenAlbum, name: str) -> Merged:
    """Merges what the import has put into intakes, also one that was interrupted."""
    mine = album.ledger.history.placed_by(name)
    intakes = album.layout.intakes()
    days = {day for shelf in intakes if (day := day_of(shelf)) and any(shelf_of(path) == shelf for path in mine)}
    others = {file.path for file in album.walk(intakes).files} - mine
    return merge(album, days, others)


@dataclass(slots=True)
class _Checked:
    """A `Source` without the pictures of people whose names will not do here, each told once: names that no folder can
    have, and those that are not told from somebody else's, as two people would become one."""

    origin: Origin
    people: list[str]
    _spelt: dict[str, str] = field(default_factory=dict)
    _as_given: dict[str, str] = field(default_factory=dict)

    def offers(self) -> Iterator[Offer | FetchError]:
        """As the other program gives them; at last an error for each person who was left out."""
        refused: Counter[str] = Counter()
        why: dict[str, tuple[str, str]] = {}
        self._spelt = {key: person for person in sorted(self.people) for key in mistakable(person)}
        for offer in self.origin.offers():
            if isinstance(offer, FetchError):
                yield offer
                continue
            if offer.person not in why:
                why[offer.person] = self._hindrance(offer.person)
            if why[offer.person][0]:
                refused[offer.person] += 1
            else:
                yield offer
        for person, photos in refused.items():
            what, remedy = why[person]
            yield FetchError(
                f"{quoted_name(person)}, with {count(photos, 'picture')},", what, remedy, FetchFault.PERSON
            )

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        """As the other program gives it."""
        return self.origin.fetch(offer, into, since)

    def _hindrance(self, given: str) -> tuple[str, str]:
        """Why a name will not do, and the remedy; "" twice if it does."""
        remedy = "Give them another name in the program that they come from, and import again."
        try:
            name = valid_person(given)
        except UsageError as error:
            return error.what, remedy
        first = self._as_given.setdefault(name, given)
        if first != given:
            return f"is not told from {quoted_name(first)} by the eye, and both have pictures", remedy
        others = [self._spelt.setdefault(key, name) for key in mistakable(name)]
        other = None if name in self.people else next((one for one in others if one != name), None)
        if other is None:
            return "", ""
        return f"is not told from {quoted_name(other)} by every disk or eye, and may be somebody else", remedy
