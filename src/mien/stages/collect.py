"""collect: what is new in the sources comes into today's intake.

Goes in: an album, its ledger and catalog, and sources. Comes out: photos in <date>-training-images/<person>/, in the
ledger where each came from, and a `Collected` that says how each source fared. Photos are fetched by many threads into
hidden files, checked there as pictures, and take their names in the order of the offers: so a run that was killed
anywhere and is run again ends with the same files as one that was not. Sources say who is in a picture; nothing here
looks at a face. Knows no source by name.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
from collections import Counter, deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from datetime import date, datetime
from functools import cached_property
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

from mien.engines import threads as pool
from mien.errors import AlbumError, BusyError, FetchError, MienError, PhotoError, SourceError, StorageError, UsageError
from mien.protocols import Progress, Source
from mien.records.catalog import Catalog
from mien.records.ledger import FailedFetch, Fetch, Ledger, Outcome, SourceRun
from mien.settings import FILE_NAME, SourceSettings
from mien.storage.files import HALF_WRITTEN, make_folder, move_file, storage_error, sync_folder, temporary_file
from mien.storage.layout import Workspace
from mien.text.names import LONGEST_NAME, folded, nfc, valid_person
from mien.types import Offer, Photo, Receipt
from mien.vision.images import decode, file_sha256
from mien.vision.sniff import kind_of_name

FETCHERS = 6
"""Photos fetched at once at least; how many of one host is the source's affair (`per_host`, 4 unless it says
otherwise). More only get in each other's way: 16 took a tenth longer."""
AHEAD = 16
"""Photos for each of them that may wait for one before them to arrive."""
SYNCERS = 16
"""Folders synced at once."""
HELD = 1 << 20
"""Bytes of a photo that are held in memory before they go to a file."""
GROUP = 50
"""Photos remembered in one transaction: a kill costs as many fetches, and a transaction as much as a photo."""
_CURABLE = "missing-extra"
"""The kind of PhotoError that need not be the photo's: such a one is fetched again."""


@dataclass(frozen=True, slots=True)
class Trouble:
    """A photo that was refused or could not be had; `location` is "" for a part of the listing. `kind` and `message`
    are those of the FetchError or PhotoError."""

    location: str
    kind: str
    message: str

    def to_json(self) -> dict[str, str]:
        return {"location": self.location, "kind": self.kind, "message": self.message}


@dataclass(frozen=True, slots=True)
class SourceCollected:
    """How a source fared.

    `brought` are (person, photos that are new in the album) by name; `duplicates` counts those that the album had of
    that person already, `known` those that are as they were, `passed_over` those of people who are not to be taken, and
    `left` those for the next run, as `limit` was reached. `wanted` are (person, location) of what a dry run would
    fetch. `skipped` says why the source was not asked, and `error` why not to its end.
    """

    source: str
    brought: tuple[tuple[str, int], ...] = ()
    duplicates: int = 0
    known: int = 0
    refused: tuple[Trouble, ...] = ()
    failed: tuple[Trouble, ...] = ()
    passed_over: int = 0
    left: int = 0
    wanted: tuple[tuple[str, str], ...] = ()
    skipped: str | None = None
    error: str | None = None

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
            "failed": [one.to_json() for one in self.failed],
            "passed_over": self.passed_over,
            "left": self.left,
            "wanted": [{"person": person, "location": location} for person, location in self.wanted],
            "skipped": self.skipped,
            "error": self.error,
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
        """Whether every source was read to its end and every photo could be had."""
        return not any(source.error or source.failed for source in self.sources)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "day": self.day.isoformat(),
            "dry_run": self.dry_run,
            "photos": self.photos,
            "complete": self.complete,
            "sources": [source.to_json() for source in self.sources],
        }


def collect(
    workspace: Workspace,
    ledger: Ledger,
    catalog: Catalog,
    sources: Sequence[tuple[str, SourceSettings, Callable[[], Source]]],
    today: date,
    now: Callable[[], datetime],
    progress: Progress,
    dry_run: bool = False,
) -> Collected:
    """Fetches what is new in `sources` (name, settings, how to open it) into the intake of `today`; the caller holds
    the lock. A `dry_run` lists what it would fetch, and neither fetches nor writes anything.

    A source that may not be used, or fails, is an `error` of its own and does not stop the others. What is wrong with
    the album or its disk is raised: AlbumError, StorageError, BusyError.
    """
    unfit = {name: _unfit(name, settings) for name, settings, _ in sources}  # all of them, before anything is fetched
    if not dry_run:
        _sweep(workspace)
    album = _Album(workspace, ledger, catalog, today)
    fared: list[SourceCollected] = []
    for name, settings, make_source in sources:
        if error := unfit[name]:
            progress.note(str(error))
            fared.append(SourceCollected(name, error=str(error)))
        elif settings.until and settings.until < today:
            until = f"its photos might be used until {settings.until}"
            progress.note(f"{name}: {until}; it is passed over.")
            fared.append(SourceCollected(name, skipped=until))
        else:
            run = _Run(name, settings, album, today, now, progress)
            fared.append(run.dry(make_source) if dry_run else run.wet(make_source))
    return Collected(today, dry_run, tuple(fared))


def _unfit(name: str, settings: SourceSettings) -> SourceError | None:
    """Why a source may not be used at all: nobody has said why these people may be recognised, or by what right these
    photos are had, or the people have impossible names here."""
    missing = [key for key in ("basis", "licence") if not getattr(settings, key)]
    if missing:
        table = name if re.fullmatch(r"[A-Za-z0-9_-]+", name) else json.dumps(name, ensure_ascii=False)
        examples = {"basis": 'basis = "consent"', "licence": 'licence = "own work"'}
        lines = " and ".join(examples[key] for key in missing)
        return SourceError(
            f"The source {name} states no {' and no '.join(missing)}, so nothing is collected from it.",
            f"Write below [sources.{table}] in {FILE_NAME}, in your own words: {lines}",
        )
    try:
        for here in (settings.people or {}).values():
            valid_person(here)
    except UsageError as error:
        return SourceError(f"The source {name}: people: {error.message}", error.remedy)
    return None


@dataclass(frozen=True, slots=True)
class _Wanted:
    """An offer to fetch for `person`, and what is known of that location, if it was that person's."""

    offer: Offer
    person: str
    before: Fetch | None


@dataclass(frozen=True, slots=True)
class _Arrived:
    """Bytes that came: in the hidden `file` if they are a `photo`, and gone if there is an `error`."""

    receipt: Receipt
    sha256: str
    size: int
    file: Path
    photo: Photo | None
    error: PhotoError | None


class _HiddenFile:
    """A `Sink` into a file that counts for nothing until it gets another name. It is made when the photo is found to be
    one, or to be a large one: what is no picture rarely touches the disk."""

    def __init__(self, folder: Path, location: str, limit: int) -> None:
        self.path = temporary_file(folder / "photo")
        self.size = 0
        self._location, self._limit = location, limit
        self._held = bytearray()
        self._file: BinaryIO | None = None

    def write(self, data: bytes) -> None:
        if self.size + len(data) > self._limit:
            raise FetchError(
                f"{self._location} is larger than {self._limit >> 20} MB.",
                "If it is to come in, raise max_megabytes of its source.",
                "too-large",
            )
        self.size += len(data)
        if self._file is None:
            self._held += data
            if len(self._held) > HELD:
                self._spill()
        else:
            with self._storing():
                self._file.write(data)

    def restart(self) -> None:
        self._held.clear()
        if self._file is not None:
            with self._storing():
                self._file.seek(0)
                self._file.truncate()
        self.size = 0

    def read(self) -> bytes:
        if self._file is None:
            return bytes(self._held)
        with self._storing():
            self._file.seek(0)
            return self._file.read()

    def finish(self) -> None:
        """The bytes are on the disk after this."""
        file = self._spill()
        with self._storing():
            file.flush()
            os.fsync(file.fileno())
            file.close()

    def discard(self) -> None:
        if self._file is not None:
            with self._storing():
                self._file.close()
                self.path.unlink(missing_ok=True)

    def _spill(self) -> BinaryIO:
        """The file, with what was held until now."""
        if self._file is None:
            with self._storing():
                self._file = self.path.open("xb+")
                self._file.write(self._held)
            self._held.clear()
        return self._file

    @contextlib.contextmanager
    def _storing(self) -> Iterator[None]:
        """A full disk is not the source's fault: it must not take this for an error of its own."""
        try:
            yield
        except OSError as error:
            raise storage_error(self.path, error) from error


class _Album:
    """Where photos come to: today's intake, and what the album has already."""

    def __init__(self, workspace: Workspace, ledger: Ledger, catalog: Catalog, today: date) -> None:
        self.ledger = ledger
        self.until = {nfc(name): person.until for name, person in workspace.settings.people.items()}
        self.intake = workspace.intake(today)
        if self.intake.is_symlink():
            raise _is_link(self.intake)
        self._workspace, self._catalog = workspace, catalog
        self._taken: dict[str, set[str]] = {}
        self._numbers: Counter[tuple[str, str]] = Counter()
        self._fetches: list[Fetch] = []
        self._failures: list[FailedFetch] = []
        self._unsynced: set[Path] = set()

    @cached_property
    def _fetched(self) -> dict[tuple[str, str], str]:
        """By person and hash the photos that were ever fetched."""
        return self.ledger.photos()

    @cached_property
    def _trained(self) -> dict[tuple[str, str], str]:
        """By person and hash the photos in training-images."""
        return {key: f"{self._workspace.training.name}/{path}" for key, path in self._catalog.places().items()}

    @cached_property
    def _strays(self) -> dict[tuple[str, str], str]:
        """By person and hash the photos of intakes that the ledger does not know: a run was killed after it had placed
        them, or somebody else did."""
        known = {place for _, folder in self._workspace.intakes() for place in self.ledger.placed_in(folder.name)}
        strays: dict[tuple[str, str], str] = {}
        for one in self._workspace.walk_intakes().placements:
            if (one.path, one.size) not in known:
                with contextlib.suppress(PhotoError):
                    strays[one.person, file_sha256(self._workspace.waiting_file(one.path))] = one.path
        return strays

    @cached_property
    def _spelt(self) -> dict[str, str]:
        """By their folded names the people whose photos came today."""
        there = (entry.name for entry in self.intake.iterdir()) if self.intake.is_dir() else ()
        return {folded(name): nfc(name) for name in there}

    def spelt(self, person: str) -> str:
        """Whose folder in today's intake "Ada" gets: that of "ADA", who came before, is the same on some disks."""
        return self._spelt.setdefault(folded(person), person)

    def place(self, person: str, name: str, arrived: _Arrived) -> tuple[Outcome, str]:
        """Gives a photo its name in today's intake, unless the album has these bytes of that person; and where it
        lies."""
        key = (person, arrived.sha256)
        if path := self._fetched.get(key):
            return "duplicate", path
        if path := self._strays.get(key):
            self._unsynced.add(self._workspace.waiting_file(path).parent)
            return "placed", path
        if path := self._trained.get(key):
            return "duplicate", path
        folder = self._folder(person)
        while not move_file(arrived.file, target := folder / self._free_name(person, name), sync=False):
            pass  # somebody else took that name just now
        self._unsynced.add(folder)
        return "placed", target.relative_to(self._workspace.folder).as_posix()

    def _folder(self, person: str) -> Path:
        """The person's folder in today's intake; nothing is written outside the album."""
        folder = self.intake / person
        if person not in self._taken:
            if folder.is_symlink():
                raise _is_link(folder)
            make_folder(folder)
            self._taken[person] = {folded(entry.name) for entry in folder.iterdir()}
        return folder

    def _free_name(self, person: str, name: str) -> str:
        """`name`, or "<stem>-2" and so on: one that no other in the folder is equal to on any system."""
        taken, path = self._taken[person], Path(name)
        while True:
            self._numbers[person, folded(name)] += 1
            number = self._numbers[person, folded(name)]
            free = name if number == 1 else f"{path.stem}-{number}{path.suffix}"
            if folded(free) not in taken:
                taken.add(folded(free))
                return free

    def keep(self, fetch: Fetch) -> None:
        """Remembers a fetch, soon."""
        self._fetches.append(fetch)
        if fetch.outcome != "refused":
            self._fetched.setdefault((fetch.person, fetch.sha256), fetch.path)
        if len(self._fetches) >= GROUP:
            self.write()

    def fail(self, failure: FailedFetch) -> None:
        """Remembers a failure, soon."""
        self._failures.append(failure)

    def write(self) -> None:
        """Writes to the ledger what was to be remembered: of photos that a power cut cannot take away any more."""
        with ThreadPoolExecutor(SYNCERS) as together:  # so they share what the disk does for each: a third of the time
            deque(together.map(sync_folder, self._unsynced), maxlen=0)
        self.ledger.record(self._fetches, self._failures)
        self._unsynced, self._fetches, self._failures = set(), [], []


def _is_link(folder: Path) -> AlbumError:
    return AlbumError(f"{folder} is a link.", "Put a real folder in its place.")


class _Run:
    """One source, once."""

    def __init__(
        self,
        name: str,
        settings: SourceSettings,
        album: _Album,
        today: date,
        now: Callable[[], datetime],
        progress: Progress,
    ) -> None:
        self._name, self._settings, self._album = name, settings, album
        self._today, self._now, self._progress = today, now, progress
        self._people = settings.people and {nfc(there): valid_person(here) for there, here in settings.people.items()}
        self._before = album.ledger.known(name)
        self._brought: Counter[str] = Counter()
        self._duplicates = self._known = self._passed_over = self._left = 0
        self._refused: list[Trouble] = []
        self._failed: list[Trouble] = []
        self._error: str | None = None

    def dry(self, make_source: Callable[[], Source]) -> SourceCollected:
        """What it would fetch, at most."""
        self._progress.start(f"Listing {self._name}", None)
        wanted: tuple[tuple[str, str], ...] = ()
        with self._reading():
            offers = self._wanted(make_source())
            wanted = tuple((each.person, each.offer.location) for each in islice(offers, self._settings.limit))
            self._left = sum(1 for _ in offers)
        self._progress.finish()
        return self._fared(wanted)

    def wet(self, make_source: Callable[[], Source]) -> SourceCollected:
        """Fetches it."""
        started = self._now()
        self._progress.start(f"Collecting from {self._name}", None)
        try:
            with self._reading():
                self._fetch_all(make_source())
        finally:
            _remove_half_written(self._album.intake)  # of what was in flight when something broke; frees the disk, too
            self._album.write()
        self._progress.finish()
        fared = self._fared()
        self._album.ledger.source_ran(
            SourceRun(
                source=self._name,
                started=started,
                ended=self._now(),
                brought=fared.photos,
                duplicates=fared.duplicates,
                known=fared.known,
                refused=len(fared.refused),
                failed=len(fared.failed),
                error=fared.error,
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
            failed=tuple(self._failed),
            passed_over=self._passed_over,
            left=self._left,
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
            self._error = _said(error)
            self._progress.note(f"{self._name}: {self._error}")

    # Which photos

    def _wanted(self, source: Source) -> Iterator[_Wanted]:
        """The offers that are new, or may have changed."""
        listed: set[str] = set()
        with self._reading():  # here, so that what was listed before an error is fetched
            for offer in source.offers():
                self._progress.advance()
                if isinstance(offer, FetchError):
                    self._fail("", "", offer)
                elif offer.location not in listed:
                    listed.add(offer.location)
                    if wanted := self._judge(offer):
                        yield wanted

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
        before = self._before.get(offer.location)
        if before is None or before.person != person:  # whom the source files under another name now is that one's
            return _Wanted(offer, person, None)
        if offer.stamp:
            is_known = offer.stamp == before.stamp
        else:
            is_known = max((self._today - before.checked_on).days, 0) < self._settings.recheck_days  # west of Greenwich
        self._known += is_known
        return None if is_known else _Wanted(offer, person, self._album.ledger.fetch(self._name, offer.location))

    def _person(self, offer: Offer) -> str | None:
        """The name in the album of whom an offer shows; None if they are not to be taken."""
        try:
            "".join((offer.location, offer.person, offer.name, offer.stamp, offer.licence)).encode()
        except UnicodeEncodeError as error:
            raise FetchError(f"{offer.location!a} is not Unicode.", "Rename it at the source.", "unreadable") from error
        name: str | None = nfc(offer.person)
        if self._people is not None:
            name = self._people.get(nfc(offer.person))
        if name is None:
            return None
        try:
            name = valid_person(name)
        except UsageError as error:
            remedy = f'Give them one in the table people of this source in {FILE_NAME}: {{"name there" = "name here"}}.'
            raise FetchError(f"{offer.location}: {error.message}", remedy, "person") from error
        if (other := self._album.spelt(name)) != name:
            remedy = (
                f"Say in the table people of this source in {FILE_NAME} whether {name} is {other} or somebody else."
            )
            raise FetchError(
                f"{offer.location}: {name} and {other} cannot be told apart by every disk.", remedy, "person"
            )
        until = self._album.until.get(name)
        return None if until and until < self._today else name

    # Their bytes

    def _fetch_all(self, source: Source) -> None:
        """Fetches until `limit` photos have come in. In rounds of as many as may come at most, so that none is fetched
        for nothing."""

        def fetch(_: None, wanted: _Wanted) -> _Arrived | FetchError | None:
            return self._fetch(source, wanted)

        threads = max(FETCHERS, self._settings.per_host)
        offers = self._wanted(source)
        while room := self._settings.limit - self._brought.total():
            asked = 0
            fetched = pool.run(islice(offers, room), lambda: None, fetch, threads, in_order=True, ahead=AHEAD)
            with contextlib.closing(fetched):
                for wanted, arrived in fetched:
                    asked += 1
                    self._take(wanted, arrived)
            if asked < room:
                return
        self._left = sum(1 for _ in offers)

    def _fetch(self, source: Source, wanted: _Wanted) -> _Arrived | FetchError | None:
        """Fetches one photo and looks whether it is one; None if it is as it was. In a thread of its own."""
        make_folder(self._album.intake)
        file = _HiddenFile(self._album.intake, wanted.offer.location, self._settings.max_megabytes << 20)
        arrived: _Arrived | None = None
        try:
            receipt = source.fetch(wanted.offer, file, wanted.before.stamp if wanted.before else "")
            if receipt is not None:
                arrived = _check(wanted.offer, receipt, file)
        except FetchError as error:
            return error
        finally:
            if arrived is None or arrived.photo is None:
                file.discard()
        return arrived

    def _take(self, wanted: _Wanted, arrived: _Arrived | FetchError | None) -> None:
        """Lets in what came, and remembers it."""
        offer, before = wanted.offer, wanted.before
        if isinstance(arrived, FetchError):
            self._fail(offer.location, wanted.person, arrived)
        elif arrived is None and before is None:
            error = FetchError(f"{offer.location}: nothing came.", "Please report this to whoever wrote the source.")
            self._fail(offer.location, wanted.person, error)
        elif before and (arrived is None or arrived.sha256 == before.sha256):
            stamp = arrived.receipt.stamp if arrived else offer.stamp
            self._known += 1
            self._album.keep(replace(before, stamp=stamp or before.stamp, checked_at=self._now()))
            self._drop(arrived)
        elif arrived and arrived.error and arrived.error.kind == _CURABLE:
            error = FetchError(arrived.error.message, arrived.error.remedy, "not-a-picture")
            self._fail(offer.location, wanted.person, error)
        elif arrived:
            self._let_in(wanted, arrived)

    def _let_in(self, wanted: _Wanted, arrived: _Arrived) -> None:
        """What is new at its location."""
        offer, photo, path = wanted.offer, arrived.photo, ""
        outcome: Outcome = "refused"
        if photo:
            outcome, path = self._album.place(wanted.person, file_name(offer.name, photo.format), arrived)
            self._drop(arrived)
        if arrived.error:
            self._refused.append(self._trouble(offer.location, arrived.error))
        elif outcome == "placed":
            self._brought[wanted.person] += 1
        else:
            self._duplicates += 1
        time = self._now()
        self._album.keep(
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
                reason=arrived.error.kind if arrived.error else "",
            )
        )

    def _drop(self, arrived: _Arrived | None) -> None:
        """Removes a hidden file that did not become a photo."""
        if arrived and arrived.photo:
            _remove(arrived.file)

    def _fail(self, location: str, person: str, error: FetchError) -> None:
        trouble = self._trouble(location, error)
        self._failed.append(trouble)
        if location and location == trouble.location:  # else it is no photo, or no text that a database could keep
            failed = FailedFetch(self._name, location, person, error.kind, trouble.message, self._now())
            self._album.fail(failed)

    def _trouble(self, location: str, error: FetchError | PhotoError) -> Trouble:
        trouble = Trouble(_plain(location), error.kind, _said(error))
        self._progress.note(f"{self._name}: {trouble.message}")
        return trouble


def _check(offer: Offer, receipt: Receipt, file: _HiddenFile) -> _Arrived:
    """Whether what came is a photo; if so it is on the disk after this."""
    data = file.read()
    try:
        photo = decode(data, offer.name).photo
    except PhotoError as error:
        return _Arrived(receipt, hashlib.sha256(data).hexdigest(), len(data), file.path, None, error)
    file.finish()
    return _Arrived(receipt, photo.sha256, len(data), file.path, photo, None)


def _sweep(workspace: Workspace) -> None:
    """Removes what killed runs were fetching; the lock is held, so nobody is writing it now."""
    for _, folder in workspace.intakes():
        _remove_half_written(folder)


def _remove_half_written(intake: Path) -> None:
    """Removes the hidden files of an intake, and itself if nothing else is in it."""
    for leftover in intake.glob(HALF_WRITTEN):
        _remove(leftover)
    with contextlib.suppress(OSError):
        intake.rmdir()  # refused while there is something in it


def _remove(file: Path) -> None:
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(file, error) from error


_ENDINGS: Mapping[str, tuple[str, ...]] = {
    "JPEG": ("jpg", "jpeg", "jpe", "jfif", "mpo"),
    "PNG": ("png", "apng"),
    "GIF": ("gif",),
    "WEBP": ("webp",),
    "BMP": ("bmp", "dib"),
    "TIFF": ("tif", "tiff"),
    "AVIF": ("avif", "avifs"),
    "HEIF": ("heic", "heif", "heics", "heifs", "hif"),
    "JPEG2000": ("jp2", "j2k", "jpx", "jpf", "jpc", "j2c"),
    "PPM": ("ppm", "pgm", "pbm", "pnm", "pfm"),
    "PCX": ("pcx",),
    "SGI": ("sgi", "rgb"),
    "TGA": ("tga",),
}
"""How the name of a photo of each format may end; the first is what it gets else."""


def file_name(name: str, fmt: str) -> str:
    """A name that any system can give to a file, and that says what is in it (`fmt` as in Photo), as near as can be to
    `name`, which may be hostile: of a path its last part."""
    last = re.split(r"[/\\]", nfc(name))[-1]
    if kind_of_name(last.partition("?")[0]) == "photo":
        last = last.partition("?")[0]  # "a.jpg?w=620"
    clean = "".join(each if each.isprintable() and each not in '<>:"|?*' else "_" for each in last).strip(" .")
    stem, _, ending = clean.rpartition(".")
    if not stem or ending.lower() not in _ENDINGS[fmt]:
        stem = stem if stem and kind_of_name(clean) != "ignored" else clean  # "a.png" that is none, but "J. Smith" is
        ending = _ENDINGS[fmt][0]
    room = LONGEST_NAME - len(ending) - len(".-99999999")
    stem = stem.encode()[:room].decode(errors="ignore").strip(" .") or "photo"
    try:
        return valid_person(f"{stem}.{ending}")  # what a folder can be called, a file can
    except UsageError:
        return f"_{stem}.{ending}"  # a device of Windows, "con.jpg"


def _said(error: MienError) -> str:
    """What an error says, fit to be shown and kept: the query of an address may hold a token."""
    return _plain(re.sub(r"(https?://[^\s?#]*)[?#]\S+", r"\1?…", str(error)))


def _plain(text: str) -> str:
    """A source's words, fit to be shown: nothing in them can steer a terminal, or is no text at all."""
    return "".join(each if each.isprintable() else "\ufffd" for each in text)
