"""collect: what is new in the sources comes into today's intake.

Goes in: an album and sources. Comes out: photos in <date>-training-images/<person>/, in the ledger where each came
from, and a `Collected` that says how each source fared. Photos are fetched by many threads into hidden files, checked
there as pictures, and take their names in the order of the offers: so a run that was killed anywhere and is run again
ends with the same files as one that was not. Sources say who is in a picture; nothing here looks at a face. Knows no
source by name.
"""

from __future__ import annotations

import contextlib
import copy
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, fields, replace
from datetime import date
from itertools import islice
from typing import TypeVar

from mien.engines import threads
from mien.errors import (
    AlbumError,
    BusyError,
    FetchError,
    MienError,
    MissingExtraError,
    PhotoError,
    SourceError,
    StorageError,
    ToolError,
    UsageError,
)
from mien.intake import Collected, Intake, SourceCollected, Trouble, unfit
from mien.open_album import OpenAlbum
from mien.protocols import Paged, Source
from mien.records.history import FailedFetch, Fetch, Known, Outcome, SourceRun
from mien.storage.files import make_folder, remove_file
from mien.storage.hidden_file import Arrived, HiddenFile, remove_hidden
from mien.storage.photo_names import photo_name
from mien.storage.tracebacks import guarded
from mien.text.fetching import FetchFault, SourceFault
from mien.text.names import FILE_NAME, nfc, quoted_name, valid_person
from mien.text.photos import PhotoFault
from mien.text.retries import MENDABLE, ON_THE_WAY
from mien.text.shell import command
from mien.text.words import listed
from mien.types import Offer, Receipt

FETCHERS = 6
"""Photos fetched at once at least; how many of one host is the source's affair (`per_host`, 4 unless it says
otherwise). More only get in each other's way: 16 took a tenth longer."""
AHEAD = 16
"""Photos for each of them that may wait for one before them to arrive."""

MakeSource = Callable[[], Source]
Failed = TypeVar("Failed", bound=MienError)


def collect(
    album: OpenAlbum,
    sources: Mapping[str, MakeSource],
    day: date,
    dry_run: bool = False,
    clock: Callable[[], float] = time.monotonic,
) -> Collected:
    """Fetches what is new in `sources` (by name, how to open each) into the intake of `day`; the album is open for
    writing. A `dry_run` lists what it would fetch, and neither fetches nor writes anything.

    A source that may not be used, or fails, is an `error` of its own and does not stop the others. Neither is a source
    that does not come to an end: it has its time, and all have theirs, by the seconds of `clock`. The source that was
    asked the longest time ago is asked first, and of its photos those that failed before come last, so that what is
    always cut off comes forward all the same. What is wrong with
    the album or its disk is raised: AlbumError, StorageError, BusyError.
    """
    settings = {name: album.settings.sources[name] for name in sources}
    errors = {name: unfit(name, one) for name, one in settings.items()}  # all of them, before anything is fetched
    if not dry_run:
        for shelf in album.layout.intakes():  # what killed runs were fetching
            remove_hidden(album.layout.photos.arriving(album.layout.shelf(shelf)))
    intake = Intake(album, day)
    fared: dict[str, SourceCollected] = {}
    ends = clock() + album.settings.max_hours * 3600
    asked = list(album.ledger.history.source_runs())  # the longest time ago first
    for name in sorted(sources, key=lambda name: asked.index(name) if name in asked else -1):
        until = settings[name].until
        if error := errors[name]:
            album.progress.note(str(error))
            fared[name] = SourceCollected(name, error=error)
        elif until and until < day:
            album.progress.note(f"{name}: its photos might be used until {until}; it is passed over.")
            fared[name] = SourceCollected(name, over_since=until)
        elif clock() >= ends:
            album.progress.note(f"{name}: {SourceFault.OUT_OF_TIME.words}.")
            fared[name] = SourceCollected(name, unfinished=True)
        else:
            run = _SourceRun(album, intake, name, day, clock, ends)
            fared[name] = run.dry(sources[name]) if dry_run else run.wet(sources[name])
    return Collected(day, dry_run, tuple(fared[name] for name in sources))


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An offer to fetch for `person`, and what is known of that location, if it was that person's."""

    offer: Offer
    person: str
    before: Fetch | None
    unread: tuple[str, ...] = ()
    """What was unread of the listing when it was offered, see `mien.protocols.Paged`."""


class _SourceRun:
    """One source, once."""

    def __init__(
        self, album: OpenAlbum, intake: Intake, name: str, day: date, clock: Callable[[], float], ends: float
    ) -> None:
        self._album, self._intake, self._name, self._day = album, intake, name, day
        self._settings = settings = album.settings.sources[name]
        self._clock, self._ends = clock, min(ends, clock() + settings.max_minutes * 60)
        self._unfinished = False
        self._unread: tuple[str, ...] = ()
        self._is_cut = False
        self._people = settings.people and {nfc(there): valid_person(here) for there, here in settings.people.items()}
        self._before: dict[str, Known] = album.ledger.history.known(name)
        self._listed: dict[str, str] = {}
        self._shared: list[tuple[str, str, tuple[str, ...]]] = []
        self._brought: Counter[str] = Counter()
        self._duplicates = self._known = self._passed_over = self._left = self._doubtful = 0
        self._kept_out: Counter[str] = Counter()
        self._photos_kept_out = 0
        self._refused: list[Trouble] = []
        self._failed: list[Trouble] = []
        self._error: SourceError | None = None

    def dry(self, make_source: MakeSource) -> SourceCollected:
        """What it would fetch, at most."""
        self._album.progress.start(f"Listing {self._name}", None)
        wanted: tuple[tuple[str, str], ...] = ()
        with self._reading():
            offers = self._wanted(make_source())
            wanted = tuple((each.person, each.offer.location) for each in islice(offers, self._settings.limit))
            self._left = sum(1 for _ in offers)
        self._album.progress.finish()
        return self._fared(wanted)

    def wet(self, make_source: MakeSource) -> SourceCollected:
        """Fetches it."""
        started = self._album.clock()
        self._album.progress.start(f"Collecting from {self._name}", None)
        try:
            with self._reading():
                self._fetch_all(make_source())
        finally:
            self._intake.end()
        self._album.progress.finish()
        if self._error is None:  # else nobody knows where it would have ended
            self._album.ledger.history.leave_unread(self._name, self._unread, self._album.clock())
        fared = self._fared()
        self._album.ledger.history.source_ran(
            SourceRun(
                source=self._name,
                started=started,
                ended=self._album.clock(),
                brought=fared.photos,
                duplicates=fared.duplicates,
                known=fared.known,
                refused=len(fared.refused),
                failed=len(fared.failed),
                fault=fared.error.kind if fared.error else SourceFault.OUT_OF_TIME if fared.unfinished else None,
            )
        )
        return fared

    def _fared(self, wanted: tuple[tuple[str, str], ...] = ()) -> SourceCollected:
        return SourceCollected(
            source=self._name,
            brought=tuple(sorted(self._brought.items())),
            duplicates=self._duplicates,
            known=self._known,
            refused=tuple(self._refused),
            doubtful=self._doubtful,
            failed=tuple(self._failed),
            passed_over=self._passed_over - self._kept_out.total(),
            removed=tuple(
                (person, removal, photos)
                for person, photos in sorted(self._kept_out.items())
                if (removal := self._album.removal_of(person))
            ),
            removed_photos=self._photos_kept_out,
            shared=tuple(self._shared),
            left=self._left,
            unfinished=self._unfinished,
            wanted=wanted,
            error=self._error,
        )

    @contextlib.contextmanager
    def _reading(self) -> Iterator[None]:
        """What is wrong with the source ends it, but not the run; what is wrong with the album ends that."""
        try:
            yield
        except (AlbumError, BusyError, StorageError):
            raise
        except MienError as error:
            if not isinstance(error, SourceError):
                fault = _FAULTS.get(type(error), SourceFault.UNLISTED)
                error = SourceError(error.about, error.what, error.remedy, fault)
            self._error = _fit_to_show(error)
            self._album.progress.note(str(self._error))

    def _guarded(self, source: Source) -> AbstractContextManager[None]:
        """Wherever the source's own program runs: it may be anybody's, raise anything, and hand out anything."""
        return guarded(f"The source {self._name}", source, self._album.layout.tracebacks)

    def _offers(self, source: Source) -> Iterator[Offer | FetchError]:
        """What the source lists. Raises ToolError."""
        offers: Iterator[Offer | FetchError] | None = None
        if isinstance(source, Paged):
            before = self._album.ledger.history.unread(self._name)
            with self._guarded(source):
                source.go_on(before)
        while True:
            with self._guarded(source):
                offers = iter(source.offers()) if offers is None else offers
                try:
                    offer = next(offers)
                except StopIteration:
                    return
                if not isinstance(offer, FetchError):
                    _require(offer, Offer)
            yield offer

    # Which photos

    def _wanted(self, source: Source) -> Iterator[_Wanted]:
        """The offers that are new, or may have changed; last those that could not be had before."""
        offered: set[tuple[str, str]] = set()
        failing = {one.location for one in self._album.ledger.history.failures(self._name)}
        again: list[_Wanted] = []
        with self._reading():  # here, so that what was listed before an error is fetched
            for offer in self._offers(source):
                self._album.progress.advance()
                if self._is_over(offer):
                    self._unread = self._unread or self._unread_of(source)
                    break
                if isinstance(offer, FetchError):
                    self._fail("", "", offer)
                elif (offer.location, offer.person) not in offered:
                    offered.add((offer.location, offer.person))
                    if not (wanted := self._judge(offer)):
                        continue
                    wanted = replace(wanted, unread=self._unread_of(source))
                    if offer.location in failing:
                        again.append(wanted)
                    else:
                        yield wanted
        for place, wanted in enumerate(again):
            if self._is_over():
                self._left += len(again) - place
                return
            yield wanted

    def _unread_of(self, source: Source) -> tuple[str, ...]:
        """What is unread of its listing."""
        if not isinstance(source, Paged):
            return ()
        with self._guarded(source):
            return tuple(map(str, source.unread()))

    def _is_over(self, came: object = None) -> bool:
        """Whether the time of the source is over, by the clock or by what came of it instead of a photo."""
        over = self._clock() >= self._ends or (isinstance(came, FetchError) and came.kind is FetchFault.LATER)
        if over and not self._unfinished:
            self._unfinished = True
            self._album.progress.note(f"{self._name}: {SourceFault.OUT_OF_TIME.words}.")
        return over

    def _judge(self, offer: Offer) -> _Wanted | None:
        """Whether to fetch a photo, and for whom."""
        try:
            person = self._person(offer)
        except FetchError as error:
            self._fail(offer.location, "", error)
            return None
        if person is None:
            self._passed_over += 1
            return None
        first = self._listed.setdefault(offer.location, person)
        if first != person:
            what = f"is offered as a photo of {first} and as one of {person}; it is filed under {first} alone"
            by_hand = command(self._album.layout.folder, "add", person, "PHOTO")
            remedy = f"Correct it at the source. A photo that shows both is put under {person} by hand: {by_hand}"
            self._fail(offer.location, "", FetchError(offer.location, what, remedy, FetchFault.PERSON))
            return None
        before = self._before.get(offer.location)
        if before is None or before.person != person:  # whom the source files under another name now is that one's
            return _Wanted(offer, person, None)
        is_known = self._is_known(offer, before)
        self._known += is_known
        return (
            None if is_known else _Wanted(offer, person, self._album.ledger.history.fetch(self._name, offer.location))
        )

    def _is_known(self, offer: Offer, before: Known) -> bool:
        """Whether a photo need not be asked for again. One that was no picture is asked for by the next run, and after
        that whenever it has been none for twice as long, but every `recheck_days` at the latest."""
        waited, recheck = (self._day - before.checked_on).days, self._settings.recheck_days
        waited += waited == -1  # west of Greenwich; what lies further ahead is of a clock that was wrong
        if before.refused_on:
            return 0 <= waited < min(recheck, (before.checked_on - before.refused_on).days)
        if offer.stamp:
            return offer.stamp == before.stamp
        return 0 <= waited < recheck

    def _person(self, offer: Offer) -> str | None:
        """The name in the album of whom an offer shows; None if they are not to be taken."""
        try:
            "".join((offer.location, offer.person, offer.name, offer.stamp, offer.licence)).encode()
        except UnicodeEncodeError as error:
            raise FetchError(
                f"{offer.location!a}", "is not Unicode", "Rename it at the source.", FetchFault.UNREADABLE
            ) from error
        told, table = nfc(offer.person), self._people
        if table is not None and not any(nfc(one) in table for one in (told, *offer.listed)):
            return None
        if offer.listed and (table is None or told not in table):
            what = f"seems to be of several people: {listed(offer.listed)}"
            remedy = (
                f"If {quoted_name(offer.person)} is one name, say so in the table people of this source in"
                f" {FILE_NAME}, which then names everybody who is to be taken. Otherwise add the photo by hand."
            )
            raise FetchError(offer.location, what, remedy, FetchFault.PERSON)
        try:
            name = self._album.ledger.people.called_now(valid_person(told if table is None else table[told]))
        except UsageError as error:
            what = f"is of somebody whose name will not do: {error.message.rstrip('.')}"
            remedy = f'Give them one in the table people of this source in {FILE_NAME}: {{"name there" = "name here"}}.'
            raise FetchError(offer.location, what, remedy, FetchFault.PERSON) from error
        until = self._album.until.get(name)
        if until and until < self._day:
            return None
        if self._album.removal_of(name):
            self._kept_out[name] += 1
            return None
        if other := self._intake.namesake(name):
            what = f"is of {name}, whom not every disk or reader can tell from {other}"
            remedy = (
                f"Say in the table people of this source in {FILE_NAME} whether {name} is {other} or somebody else."
            )
            raise FetchError(offer.location, what, remedy, FetchFault.PERSON)
        return name

    # Their bytes

    def _fetch_all(self, source: Source) -> None:
        """Fetches until `limit` photos have come in. In rounds of as many as may come at most, so that none is fetched
        for nothing."""

        def fetch(_: None, wanted: _Wanted) -> Arrived | FetchError | None:
            if self._clock() >= self._ends:
                return FetchError(
                    wanted.offer.location, FetchFault.LATER.words, FetchFault.LATER.remedy, FetchFault.LATER
                )
            return self._fetch(source, wanted)

        workers = max(FETCHERS, self._settings.per_host)
        offers = self._wanted(source)
        while room := self._settings.limit - self._brought.total():
            asked = 0
            fetched = threads.run(islice(offers, room), lambda: None, fetch, workers, in_order=True, ahead=AHEAD)
            with contextlib.closing(fetched):
                for wanted, arrived in fetched:
                    asked += 1
                    self._take(wanted, arrived)
            if asked < room:
                return
        self._left += sum(1 for _ in offers)

    def _fetch(self, source: Source, wanted: _Wanted) -> Arrived | FetchError | None:
        """Fetches one photo and looks whether it is one; None if it is as it was. In a thread of its own."""
        offer = wanted.offer
        since = wanted.before.stamp if wanted.before and wanted.before.outcome != "refused" else ""
        make_folder(self._intake.arriving)
        try:
            with HiddenFile(self._intake.arriving, offer.location, self._settings.max_megabytes << 20) as file:
                with self._guarded(source):
                    receipt = source.fetch(offer, file, since)
                    if receipt is not None:
                        _require(receipt, Receipt)
                        f"{receipt.stamp}{receipt.robots}".encode()  # a database could not keep what is not Unicode
                return file.arrived(offer.name, receipt) if receipt else None
        except FetchError as error:
            return error
        except ToolError as error:
            what = f"could not be fetched: the source {self._name} {error.what}"
            return FetchError(offer.location, what, error.remedy, FetchFault.BROKEN)

    def _take(self, wanted: _Wanted, arrived: Arrived | FetchError | None) -> None:
        """Lets in what came, and remembers it."""
        offer, before = wanted.offer, wanted.before
        if isinstance(arrived, FetchError) and arrived.kind is FetchFault.LATER:
            self._left += 1
            if not self._is_cut:  # the first one that did not come: what was listed after it is read again
                self._is_cut, self._unread = True, wanted.unread
            self._is_over(arrived)
        elif isinstance(arrived, FetchError):
            self._fail(offer.location, wanted.person, arrived)
        elif arrived is None and before is None:
            what, remedy = "did not come, and no error either", "Please report this to whoever wrote the source."
            error = FetchError(offer.location, what, remedy, FetchFault.BROKEN)
            self._fail(offer.location, wanted.person, error)
        elif before and (arrived is None or _is_the_same(arrived, before)):
            stamp = arrived.receipt.stamp if arrived else offer.stamp
            self._intake.keep(replace(before, stamp=stamp or before.stamp, checked_at=self._album.clock()))
            if arrived and arrived.error:
                self._refuse(wanted, arrived.error)
            else:
                self._known += 1
            self._drop(arrived)
        elif arrived and arrived.error and arrived.error.fault in MENDABLE:
            lacks_extra = arrived.error.fault is PhotoFault.MISSING_EXTRA
            kind = FetchFault.NOT_A_PICTURE if lacks_extra else FetchFault.NOT_DECODED
            error = FetchError(arrived.error.about, arrived.error.what, arrived.error.remedy, kind)
            self._fail(offer.location, wanted.person, error)
        elif arrived:
            self._let_in(wanted, arrived)

    def _let_in(self, wanted: _Wanted, arrived: Arrived) -> None:
        """What is new at its location."""
        offer, photo, path = wanted.offer, arrived.photo, ""
        outcome: Outcome = "refused"
        if photo:
            outcome, path = self._intake.place(wanted.person, photo_name(offer.name, photo.format), arrived)
            self._drop(arrived)
        if arrived.error:
            self._refuse(wanted, arrived.error)
        elif outcome == "removed":
            self._photos_kept_out += 1
        elif outcome == "placed":
            self._brought[wanted.person] += 1
            if others := self._intake.others_with(wanted.person, arrived.sha256):
                self._shared.append((_plain(offer.location), wanted.person, others))
        else:
            self._duplicates += 1
        time = self._album.clock()
        self._intake.keep(
            Fetch(
                source=self._name,
                location=offer.location,
                person=wanted.person,
                sha256=arrived.sha256,
                phash=photo.phash if photo else "",
                bytes=arrived.size,
                stamp=arrived.receipt.stamp or offer.stamp,
                licence=offer.licence or self._settings.licence,
                basis=self._settings.basis,
                robots=arrived.receipt.robots,
                fetched_at=time,
                checked_at=time,
                outcome=outcome,
                path=path,
                fault=str(arrived.error.fault) if arrived.error else "",
            )
        )

    def _drop(self, arrived: Arrived | None) -> None:
        """Removes a hidden file that did not become a photo."""
        if arrived and arrived.photo:
            remove_file(arrived.file)

    def _refuse(self, wanted: _Wanted, error: PhotoError) -> None:
        self._refused.append(self._trouble(wanted.offer.location, wanted.person, error))
        self._doubtful += not wanted.offer.stamp and error.kind in ON_THE_WAY

    def _fail(self, location: str, person: str, error: FetchError) -> None:
        trouble = self._trouble(location, person, error)
        self._failed.append(trouble)
        if location and location == trouble.location:  # else it is no photo, or no text that a database could keep
            failed = FailedFetch(self._name, location, person, error.kind, self._album.clock())
            self._intake.fail(failed)

    def _trouble(self, location: str, person: str, error: FetchError | PhotoError) -> Trouble:
        trouble = Trouble(_plain(location), _fit_to_show(error), person)
        self._album.progress.note(f"{self._name}: {trouble.error}")
        return trouble


_FAULTS = {ToolError: SourceFault.BROKEN, MissingExtraError: SourceFault.MISSING_EXTRA}
"""What is wrong with a source that raised an error of mien other than a SourceError."""


def _is_the_same(arrived: Arrived, before: Fetch) -> bool:
    """Whether what came is what lay there before, and no more of a picture than it was then."""
    return arrived.sha256 == before.sha256 and (before.outcome == "refused") == (arrived.photo is None)


def _require(given: object, kind: type[Offer | Receipt]) -> None:
    """Raises TypeError unless it is of this kind and holds nothing but texts."""
    if not isinstance(given, kind) or not all(_is_text(getattr(given, one.name)) for one in fields(kind)):
        raise TypeError(f"it handed out {given!r} where {kind.__name__} of texts is due")


def _is_text(value: object) -> bool:
    return isinstance(value, str) or (isinstance(value, tuple) and all(isinstance(each, str) for each in value))


def _fit_to_show(error: Failed) -> Failed:
    """The error, fit to be shown and kept: the query of an address may hold a token, and a source's words anything."""
    clean = copy.copy(error)
    clean.about, clean.what, clean.remedy = (
        _plain(re.sub(r"(https?://[^\s?#]*)[?#]\S+", r"\1?…", text)) for text in (error.about, error.what, error.remedy)
    )
    return clean


def _plain(text: str) -> str:
    """A source's words, fit to be shown: nothing in them can steer a terminal, or is no text at all."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
