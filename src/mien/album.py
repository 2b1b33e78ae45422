"""`Album`, mien's public face: one method a verb.

    album = Album("club")                   # an existing album; Album.create makes one
    album.add("Ada", ["ada.jpg"])
    album.train()
    for answer in album.classify(["party.jpg"]): ...

Every method may raise the errors of `mien.errors`. Methods that write hold the album's lock while they do; methods that
only read work on a read-only album, and create nothing. Some write where they can all the same: `classify`, `find` and
`evaluate` remember for some days what was seen in the photos, and keep the traceback of a tool that failed; `advice`
remembers that it was given.
"""

from __future__ import annotations

import contextlib
import json
import os
import time as time_zone
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, time, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mien import asking, open_album
from mien.asking import DECODER, StrPath
from mien.errors import AlbumError, MienError, ModelError, PhotoError, UsageError
from mien.open_album import Clock, EyesFor, OpenAlbum, Tools, read_settings
from mien.protocols import Elsewhere, Silent
from mien.servers import Server
from mien.storage.layout import TRAINING, create_album, is_album, shown
from mien.storage.walk import people_below, photos_below
from mien.text.names import nfc, valid_person
from mien.text.photos import PhotoFault
from mien.text.shell import command
from mien.text.words import listed
from mien.types import By

if TYPE_CHECKING:
    from mien.encoders.listing import ListedEncoder
    from mien.intake import Collected
    from mien.learning.cosines import Measured
    from mien.pipeline.correct import Corrected
    from mien.pipeline.daily import Daily
    from mien.pipeline.encoders import Quantised
    from mien.pipeline.import_from import Imported
    from mien.pipeline.learn import Learned
    from mien.pipeline.remove import Removed
    from mien.pipeline.use import Dropped
    from mien.protocols import Progress
    from mien.recogniser import PhotoLike, Recogniser
    from mien.records.access import Access
    from mien.records.events import Event
    from mien.records.keys import Key
    from mien.records.removals import Removal
    from mien.registry.folder import Model
    from mien.seeing.eyes import Eyes
    from mien.settings import Settings
    from mien.stages.align import Aligned
    from mien.stages.check import Checked
    from mien.stages.compare import Difference
    from mien.stages.compare_encoders import ComparedEncoders
    from mien.stages.confirm import Confirmed
    from mien.stages.copy_catalog import CopiedCatalog
    from mien.stages.doctor import Checkup
    from mien.stages.enrol import Enrolled
    from mien.stages.evaluate import Evaluated, Pick
    from mien.stages.find import Found
    from mien.stages.forget import Forgotten
    from mien.stages.merge import Merged
    from mien.stages.models import Version
    from mien.stages.people import Listed, OwnPhoto
    from mien.stages.show import Shown
    from mien.stages.sources import SourceStatus
    from mien.stages.status import Status
    from mien.stages.stored import StoredPhoto
    from mien.types import Answer, Cosines, Finding, Floats


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` did: photos copied in (where they lie now), how many were there already, what could not be copied; and
    since when the person had been kept out as one who was removed, if so. If the person was to be enrolled, which of
    the copied photos cannot be decoded, the model that is in use now, and that the person's face was taken by guess if
    it was. `near` are the people whose name is nearly that of the person, who is new."""

    added: tuple[Path, ...]
    known: int
    failures: tuple[PhotoError, ...]
    unreadable: tuple[PhotoError, ...] = ()
    enrolled: Enrolled | None = None
    back: Removal | None = None
    guesses: tuple[Finding, ...] = ()
    near: tuple[str, ...] = ()


def _local_time() -> datetime:
    if hasattr(time_zone, "tzset"):  # a schedule runs for months, and the zone of the machine may be set meanwhile
        time_zone.tzset()
    return datetime.now().astimezone()


class Album:
    """A folder of photos by person, with its settings, its memory and its models.

    `folder` must be an album already; `settings` given here go before its mien.toml and the environment; `progress` is
    told how long work goes on; `clock` gives the local time, for whoever wants another than the real one; `eyes` makes
    the tools by which photos are seen, for tests and for whoever sees by other means (see `mien.testing.fake_eyes`);
    `by` says who asks for what is changed, which `log` tells. Cheap to make: nothing is opened but mien.toml.
    """

    def __init__(
        self,
        folder: StrPath,
        *,
        eyes: EyesFor | None = None,
        progress: Progress | None = None,
        clock: Clock = _local_time,
        by: By | None = None,
        **settings: object,
    ) -> None:
        self._layout, self._settings = read_settings(Path(folder), settings)
        self._given = settings
        self._eyes = eyes
        self._progress = progress or Silent()
        self._settled: tuple[Finding, ...] = ()
        self._clock = clock
        self._by = by or By()

    @classmethod
    def create(
        cls,
        folder: StrPath,
        basis: str = "personal",
        encoder: str = "",
        *,
        exist_ok: bool = False,
        nested: bool = False,
        progress: Progress | None = None,
    ) -> Self:
        """Makes `folder` an album; what lies in it stays. `basis` says why you may recognise the people in it. Its
        `encoder` is the best one that is on this machine if none is named. An album that is there is opened as it is
        with `exist_ok`. Raises AlbumError for one that is there otherwise, and within another album unless it is to be
        `nested`; EncoderError where an encoder is named that is not there."""
        from mien.encoders.shelf import best, kept
        from mien.storage.leftovers import remove_abandoned

        if exist_ok and is_album(Path(folder)):
            return cls(folder, progress=progress)
        remove_abandoned([Path(folder)])
        create_album(Path(folder), basis, (kept(encoder) if encoder else best()).name, nested)
        return cls(folder, progress=progress)

    @staticmethod
    def is_at(folder: StrPath) -> bool:
        """Whether `folder` is an album."""
        return is_album(Path(folder))

    def __repr__(self) -> str:
        return f"Album({str(self.folder)!r})"

    @property
    def folder(self) -> Path:
        """Where it lies, an absolute path."""
        return self._layout.folder

    @property
    def by(self) -> By:
        """Who asks for what is changed."""
        return self._by

    @property
    def version(self) -> str | None:
        """The model in use; None before the first."""
        with self._reading() as album:
            return album.version

    @property
    def settings(self) -> Settings:
        """What is set for it; a new `Album` reads them anew."""
        return self._settings

    @property
    def settled(self) -> tuple[Finding, ...]:
        """What was done first by the last method that writes, to make the album as its removals say: interrupted ones
        are finished, and whoever has photos in training-images again is back; see `mien.pipeline.remove.settle`."""
        return self._settled

    def add(self, person: str, photos: StrPath | Iterable[StrPath], enrol: bool = False, *, origin: str = "") -> Added:
        """Copies photos, or all photos in folders, in under a person; the originals stay. A photo that cannot be read
        is reported, and the others go in. With `enrol`, the current model learns the person at once, without training;
        where there is none, the first one is made of the album's faces, and nothing is measured: see
        `mien.stages.enrol`. `show` tells where each photo lay, or the `origin` of those that came from elsewhere and
        lie there for this alone. Raises EncoderError where there is no model and nothing is known of the encoder's
        cosines."""
        name = valid_person(person)
        below = photos_below(_paths(photos))
        make_eyes = self._early_eyes() if enrol and self.settings.engine == "local" else None

        from mien.pipeline import learn  # takes as long as opening the eyes, and so they open meanwhile
        from mien.stages.add import add

        with self._writing("add", name) as album:
            model = self._to_enrol_in(album) if enrol else None
            added = add(album, name, [photo for photo, _ in below.photos], origin)
            failures = (*below.closed, *added.failures)
            if not enrol:
                return Added(added.added, added.known, failures, back=added.back, near=added.near)
            unreadable, enrolled = learn.enrol(album, model, name, "enrol", make_eyes)
            guesses = tuple(one.finding for one in album.catalog.faces.guesses(album.encoder, name))
        return Added(added.added, added.known, failures, tuple(unreadable), enrolled, added.back, guesses, added.near)

    def add_person(self, person: str) -> bool:
        """Makes a folder for a person who has no photo yet; False where there is one already. Whoever was removed may
        come in again. Raises UsageError."""
        name = valid_person(person)
        from mien.stages.add import add_person

        with self._writing("add") as album:
            return add_person(album, name)

    def readmit(self, person: str) -> bool:
        """Lets somebody come in again who was removed, as `add` does with photos of theirs; False for whoever was
        not."""
        with self._writing("add") as album:
            removal = album.ledger.removals.of(person)
            if removal:
                album.ledger.removals.bring_back(removal)
            return removal is not None

    def called_now(self, person: str) -> str:
        """What a person is called who had this name before; the name itself for whoever has it, and for nobody."""
        with self._reading() as album:
            return album.ledger.people.called_now(person)

    def stored_photos(self) -> tuple[StoredPhoto, ...]:
        """Every photo in training-images, by path, each with an id that stays."""
        from mien.stages.stored import stored_photos

        with self._reading() as album:
            return stored_photos(album)

    def stored_embedding(self, photo: StoredPhoto, encoder: str) -> Floats | None:
        """The embedding (D,) of the person's own face in one of these photos, as the encoder with this id saw it; None
        where it did not."""
        from mien.stages.stored import stored_embedding

        with self._reading() as album:
            return stored_embedding(album, photo, encoder)

    def people(self, after: str = "", limit: int | None = None) -> tuple[Listed, ...]:
        """Who is in the album, by name: those whose names come `after` one, and so many at most."""
        from mien.stages.people import people

        with self._reading() as album:
            return people(album, nfc(after), limit)

    def person(self, name: str) -> Listed | None:
        """What `people` says of one person; None for nobody's name."""
        from mien.stages.people import person

        with self._reading() as album:
            return person(album, nfc(name))

    def photos_of(self, person: str) -> tuple[OwnPhoto, ...]:
        """The photos of a person in training-images, by the hash of their bytes."""
        from mien.stages.people import photos

        with self._reading() as album:
            return photos(album, nfc(person))

    def photo_bytes(self, photo: StrPath, most: int = 1 << 29) -> bytes:
        """The bytes of a photo of the album, by its path in one of the tuples of `photos_of`, or as mien writes it
        ("Ada/1.jpg"), wherever the photos lie: at `most` so many. Raises PhotoError, StorageError."""
        store, there = self._layout.photos, self._layout.training / photo
        if (size := store.size(there)) > most:
            figures = {"megabytes": size / 2**20, "limit": most / 2**20}
            raise PhotoError(store.where(there), PhotoFault.TOO_LARGE, figures)
        return store.read(there)

    def photo_ids(self) -> dict[str, str]:
        """The hash of each photo's bytes by its path, as mien writes that ("Ada/1.jpg"), as far as `align` has looked,
        and `daily` in the intakes."""
        from mien.stages.people import ids

        with self._reading() as album:
            return {shown(path): sha256 for path, sha256 in ids(album).items()}

    def files_of(
        self, person: str, photos: StrPath | Iterable[StrPath] = (), everywhere: bool = False
    ) -> tuple[Path, ...]:
        """What `remove` would take out."""
        from mien.stages.remove import leaving

        name = nfc(person)
        with self._reading() as album:
            files = leaving(album.layout, name, _paths(photos), everywhere, album.filed(name)).files
        return tuple(file for file in files if not file.is_relative_to(self._layout.aligned))

    def remove(
        self,
        person: str,
        photos: StrPath | Iterable[StrPath] = (),
        delete: bool = False,
        everywhere: bool = False,
    ) -> Removed:
        """Takes a person, or some photos of a person, out of the album, and out of the model in use at once. No source
        brings them back before somebody adds them again. The photos go to removed-images, or with `delete` for good.

        With `everywhere`, all of a person is deleted: photos, also those set aside before, what was seen in them, every
        version that knows the person with its page, what is remembered of photos asked about, records, the name.
        Interrupted, it is finished by the next command that writes. Raises UsageError if nobody has that name, and for
        photos and `everywhere`."""
        from mien.pipeline.remove import remove, remove_everywhere

        some = _paths(photos)
        if everywhere and some:
            raise UsageError("everywhere", "is of a whole person, and photos are named", "Leave one of the two out.")
        with self._writing("remove", person, settled=False) as album:  # what was interrupted may be this very removal
            return remove_everywhere(album, nfc(person)) if everywhere else remove(album, nfc(person), some, delete)

    def move(self, photos: StrPath | Iterable[StrPath], person: str) -> Corrected:
        """Files photos under the right person, who may be new; all of them or none. A photo is named by its path, also
        as mien writes it ("Ada/1.jpg"). The model in use learns it at once. Raises UsageError."""
        from mien.pipeline.correct import move

        some = _paths(photos)
        with self._writing("move", person) as album:
            return move(album, some, nfc(person))

    def rename(self, person: str, name: str) -> Corrected:
        """Gives a person another name: folders, records, the model in use. What sources offer under the old name comes
        in under the new one. Raises UsageError, also for a name that somebody has."""
        from mien.pipeline.correct import rename

        with self._writing("rename", person) as album:
            return rename(album, nfc(person), name)

    def join(self, person: str, into: str) -> Corrected:
        """Makes one person of two names: the photos of `person` become those of `into`. What sources offer under the
        one name comes in under the other. Raises UsageError."""
        from mien.pipeline.correct import join

        with self._writing("join", person) as album:
            return join(album, nfc(person), nfc(into))

    def confirm(self, named: StrPath | Iterable[StrPath]) -> Confirmed:
        """Says that what `check` doubts is right: photos, named as for `move`, lie under the person whom they show; or,
        where the names of two people are given, they are two. A photo that changes is doubted anew. Raises
        UsageError."""
        from mien.stages.confirm import confirm

        some = _paths(named)
        with self._writing("confirm") as album:
            return confirm(album, some)

    def undo(self, dry_run: bool = False) -> Corrected:
        """Undoes the last `move`, `rename`, `join` or `confirm`; a `dry_run` only says what it would do. Photos that
        were removed since stay removed. Raises UsageError where there is none, or something has changed since."""
        from mien.pipeline.correct import plan_undo, undo

        with self._reading() if dry_run else self._writing("undo") as album:
            return plan_undo(album) if dry_run else undo(album)

    def align(self) -> Aligned:
        """Sees what is new, chooses each person's faces, writes their chips."""
        from mien.pipeline.learn import align_training

        with self._writing("align") as album:
            return align_training(album)

    def train(self, keep_encoder: bool = False) -> Learned:
        """Aligns, then makes a model of all faces and puts it into use, whatever it is worth, unless it does not know
        somebody any more whom nobody removed; none is made where one was made of the same photos before. With
        `keep_encoder` the encoder that it was made with is written into mien.toml, as that of the album from now on;
        see `use_encoder`."""
        from mien.pipeline.learn import learn, put_learned_into_use

        with self._writing("train") as album:
            learned = learn(album)
            if keep_encoder:  # before the model is in use: the next run must not go back to another encoder
                self.use_encoder(album.settings.encoder)
            return put_learned_into_use(album, learned)

    def use_encoder(self, name: str) -> None:
        """Writes into mien.toml which encoder the album has from now on. Raises AlbumError where that file must be
        changed by hand, and StorageError."""
        from mien.settings import text_of, with_value
        from mien.storage.files import write_atomically

        file = Path(os.path.realpath(self._layout.settings_file))  # it may be a link
        try:
            text = with_value(text_of(file), "encoder", name)
        except (OSError, ValueError) as error:
            remedy = f"Write into it yourself: encoder = {json.dumps(name)}"
            raise AlbumError(str(file), "could not be changed", remedy) from error
        write_atomically(file, text.encode())

    def compare_encoders(self, names: Iterable[str]) -> ComparedEncoders:
        """Compares the album's encoder with others on this machine, on the album's own photos, cross-validated. What
        each encoder sees is remembered, and nothing else changes. Raises EncoderError."""
        from mien.pipeline.encoders import compare

        with self._writing("encoders compare") as album:
            return compare(album, list(names))

    def measure_encoder(self, name: str) -> Measured:
        """What this album's people show of the cosines of an encoder on this machine, and how sure that is. Raises
        EncoderError where they are too few."""
        from mien.pipeline.encoders import measure

        with self._writing("encoders add") as album:
            return measure(album, name)

    def quantise(self, name: str) -> Quantised:
        """Makes an encoder of 8-bit numbers by this album's own faces, and keeps it if the album's figures do not fall
        and it is faster here. Raises EncoderError, and MissingExtraError without the extra "int8"."""
        from mien.pipeline.encoders import quantise
        from mien.wiring import eyes_with

        with self._writing("encoders quantise") as album:
            return quantise(album, name, eyes_with)

    # Photos that arrive

    def sources(self) -> tuple[SourceStatus, ...]:
        """Which sources are configured, when each last ran, and what it brought."""
        from mien.stages.sources import sources

        with self._reading() as album:
            return sources(album)

    def collect(self, names: Iterable[str] = (), dry_run: bool = False) -> Collected:
        """Fetches what is new in these sources, or in all, into the intake of today; a `dry_run` only lists it."""
        from mien.pipeline.learn import collect

        known = self.settings.sources
        chosen = list(dict.fromkeys(names)) or list(known)
        if unknown := [name for name in chosen if name not in known]:
            raise UsageError(
                str(self._layout.settings_file),
                f"names no source {', '.join(unknown)}",
                f"It names {listed(known)}." if known else "docs/collecting.md says how to write one.",
            )
        with self._writing("collect") as album:
            return collect(album, chosen, dry_run)

    def import_from(self, origin: StrPath, *, key: str = "", collection: str = "", dry_run: bool = False) -> Imported:
        """Brings the subjects of a CompreFace and their pictures into training-images, under the subjects' names; what
        came before is known, and whoever was removed stays out. `origin` is the address of one that is running, for
        which `key` is that of a recognition service, or the file of a dump of its database as SQL, gzip or not, of
        which `collection` names one by its name or key where there are several. A `dry_run` only lists what would come.
        Raises UsageError, SourceError."""
        from mien.pipeline.import_from import import_from
        from mien.wiring import open_compreface

        with self._writing("import") as album, contextlib.ExitStack() as until:
            opened = open_compreface(os.fspath(origin), key, collection, self._layout, self._settings, until)
            return import_from(album, opened, dry_run)

    def merge(self, day: date | None = None) -> Merged:
        """Moves what was collected (on `day`, or ever) into training-images; nothing is overwritten, nothing lost."""
        from mien.stages.merge import merge

        with self._writing("merge") as album:
            return merge(album, None if day is None else [day])

    def daily(self) -> Daily:
        """Collects, aligns, checks, merges, trains, evaluates, and promotes the new model if it is no worse. What goes
        wrong in a way that mien foresees stands in the answer."""
        from mien.pipeline.daily import daily

        with self._writing("daily") as album:
            return daily(album, self.settled)

    def run_daily(
        self, at: time, each: Callable[[Daily], None], failed: Callable[[Exception], None] | None = None
    ) -> None:
        """`daily` each day at `at`, local time, until SIGINT or SIGTERM, which raise KeyboardInterrupt; `each` gets
        what came of it. A missed day is caught up once. mien.toml is read anew for each run; what this Album was given
        stays. With `failed`, what a run raises is told to it, and the next day has its run all the same."""
        from mien.pipeline.daily import COMMAND
        from mien.pipeline.schedule import forever

        def once() -> None:
            again = type(self)(
                self.folder, eyes=self._eyes, progress=self._progress, clock=self._clock, by=self._by, **self._given
            )
            each(again.daily())

        today = self._clock() + timedelta(days=1)  # a run of the future was told by a wrong clock
        last = None
        try:
            begun = (done.run.started for done in self.runs() if done.run.command == COMMAND)
            last = next((each for each in begun if each < today), None)
        except MienError as error:  # which need not be so when the day comes: a disk that is not there yet
            if failed is None:
                raise
            failed(error)
        forever(once, at, last, self._clock, failed=failed)

    def runs(self, limit: int = 20) -> tuple[Daily, ...]:
        """The last runs of the daily loop, the newest first."""
        from mien.pipeline.daily import Daily

        with self._reading() as album:
            return tuple(Daily(run) for run in album.ledger.runs.last(limit))

    def run(self, name: str) -> Daily:
        """One run. Raises UsageError if there is none of this name."""
        from mien.pipeline.daily import Daily

        with self._reading() as album:
            found = album.ledger.runs.run(name)
        if found is None:
            raise UsageError(f"The run {name}", "does not exist", "`mien runs` names those there are.")
        return Daily(found)

    def log(self, limit: int = 100, before: int | None = None) -> tuple[Event, ...]:
        """Who changed what in the album, the newest first; with `before`, what was changed before the event of that
        id."""
        with self._reading() as album:
            return album.ledger.events.last(limit, before)

    # Models

    def models(self) -> tuple[Version, ...]:
        """The versions that there are, oldest first."""
        from mien.stages.models import models

        with self._reading() as album:
            promotions = reversed(album.ledger.history.promotions())
            return models(self._layout.models, [(one.version, one.how) for one in promotions])

    def difference(self, before: str, after: str) -> Difference:
        """How two versions differ, and which photos only one of them names rightly. Raises ModelError."""
        from mien.registry import versions
        from mien.stages.compare import compare, difference

        with self._reading() as album:
            one, other = (versions.load(self._layout.models, version) for version in (before, after))
            return difference(one, other, compare(album, one, other) if album.has_catalog else None)

    def promote(self, version: str) -> str:
        """Puts a version into use, whatever it is worth: the version that is in use then. That is another where this
        one knows people who were removed: the same without them. Raises ModelError if there is none of this name."""
        from mien.pipeline.use import bring_into_use

        with self._writing("promote") as album:
            return bring_into_use(album, version, "promote")

    def rollback(self) -> str:
        """Goes back to the version that was in use before this one, as `promote` does. Raises ModelError if there is
        none."""
        from mien.pipeline.use import bring_into_use, one_before

        with self._writing("rollback") as album:
            return bring_into_use(album, one_before(album), "rollback")

    def drop(self, versions: str | Iterable[str]) -> Dropped:
        """Deletes versions, each with its page. Raises ModelError, with nothing deleted, if one is in use or there is
        none of its name."""
        from mien.pipeline.use import drop

        with self._writing("drop") as album:
            return drop(album, [versions] if isinstance(versions, str) else versions)

    def prune(self) -> Dropped:
        """Deletes old versions: of the newest the setting `keep` says how many stay. So do the one in use, the one that
        a rollback goes back to, and the one whose page `report` shows."""
        from mien.pipeline.use import prune

        with self._writing("prune") as album:
            return prune(album)

    def show(self, photo: StrPath) -> Shown:
        """Everything that is known of a photo, in the album or not. Raises PhotoError."""
        from mien.stages.show import show

        with self._reading() as album:
            return show(album, Path(photo))

    def report(self) -> Path:
        """The page that says what the current model is worth; where people were enrolled or removed since the last
        training, which measured, that of the version which was trained. Raises ModelError if there is none."""
        from mien.registry import versions
        from mien.registry.folder import REPORT

        with self._reading() as album:
            model = self._model(album, None)
        page = versions.page_of(self._layout.models, model)
        if page is None and not model.is_trained:
            remedy = f"Training measures, and writes the page: {command(self.folder, 'train')}"
            raise ModelError(
                f"The model {model.version}", "was made by enrolling alone, so nothing was measured of it", remedy
            )
        if page is None:
            missing = versions.folder(self._layout.models, model.version, [REPORT]) / REPORT
            raise ModelError(str(missing), "is missing", f"Make a new model: {command(self.folder, 'train')}")
        return page

    def check(self, waiting: bool = False) -> Checked:
        """What a human should look at before it is learned from, as far as `align` has looked: in training-images, or
        among what is `waiting` to be merged, as far as `daily` has looked. Changes nothing."""
        from mien.stages.check import check

        with self._reading() as album:
            return check(album, album.layout.intakes() if waiting else [TRAINING])

    def evaluate(
        self, photos: StrPath, face: Pick = "largest", model: StrPath | None = None, forget: bool = False
    ) -> Evaluated:
        """Measures a model (the current one) on a folder of <person>/ photos; see `mien.stages.evaluate`. `forget` is
        as for `classify`."""
        from mien.stages.evaluate import evaluate

        probes, closed = people_below(Path(photos))
        with self._reading() as album, self._recogniser(album, model, forget) as recogniser:
            found = evaluate(album, recogniser, probes, face)
        return replace(found, failures=(*found.failures, *((error.about, error) for error in closed)))

    def classify(
        self,
        photos: PhotoLike | Iterable[PhotoLike],
        top: int = 3,
        annotate: StrPath | None = None,
        model: StrPath | None = None,
        forget: bool = False,
        sheet: StrPath | None = None,
        least: float = 0,
    ) -> Iterator[Answer]:
        """An answer for each photo, in order, as they are ready. With `annotate`, copies with boxes and names go into
        that folder; with `sheet`, a page that shows all the photos and who is in them is at that path after the last.
        A name whose probability is below `least`, from 0 to 1, is only who a face perhaps is. What was seen in a photo
        is remembered, so that asking again, after an interruption or a training, costs reading the photos alone; with
        `forget` nothing of these photos is.

        A photo is a path (a folder is walked), the bytes of a file, a PIL image, or an (H, W, 3) uint8 RGB array; the
        answer for one that has no path calls it "image 1", "image 2" and so on. What is wrong with the question (a
        path, something that is no photo, the model, `top` below 1) is raised at once, before the first answer.
        """
        if not self._layout.asked_file.is_file():  # or the photos may be remembered, and none be decoded
            asking.expect(photos)
        with self._reading() as album:
            recogniser = self._recogniser(album, model, forget)
        return asking.answers(photos, recogniser, top, annotate, sheet, self._progress, self._layout.folder, least)

    def recogniser(self) -> Recogniser:
        """The model in use, ready to answer from as many threads, and for as long, as a program likes, which closes it
        in the end; nothing is kept of the photos that it is asked about. `Recogniser.use` goes on with a later `model`.
        Raises ModelError where there is none."""
        from mien.recogniser import Recogniser

        with self._reading() as album:
            return Recogniser(self._model(album, None), album.eyes_of, self.settings.workers)

    def model(self) -> Model:
        """The model in use. Raises ModelError if there is none."""
        with self._reading() as album:
            return self._model(album, None)

    def eyes(self, model: Model | None = None) -> Eyes:
        """The tools by which photos are seen, for one thread: those that a model was trained with, or those that the
        settings ask for. Raises EncoderError."""
        with self._reading() as album:
            return album.eyes() if model is None else album.eyes_of(model)

    def cosines(self, model: Model | None = None) -> Cosines:
        """What is true of the cosines between embeddings that `eyes` of this model make. Raises EncoderError where
        nobody measured them and the album is too small to show any."""
        with self._reading() as album:
            return album.cosines if model is None else album.cosines_of(model)

    def find(
        self,
        people: str | Iterable[str],
        photos: PhotoLike | Iterable[PhotoLike],
        least: float = 0.0,
        copy: StrPath | None = None,
        link: StrPath | None = None,
        model: StrPath | None = None,
        forget: bool = False,
    ) -> Iterator[Found]:
        """Who of these people (all whom the model knows, if none is named) is in each photo, with a probability of at
        least `least`, from 0 to 1. Copies of the photos go into the folder `copy`, or links to them into the folder
        `link`, by person; no file is replaced, and what lies there already is not looked at. Photos, `model` and
        `forget` are as for `classify`. Raises UsageError for a name that is nobody's, and for a folder that an album
        keeps for itself."""
        with self._reading() as album:
            recogniser = self._recogniser(album, model, forget)
        return asking.found(people, photos, recogniser, least, copy, link, self._progress)

    def known_people(self, model: StrPath | None = None) -> tuple[str, ...]:
        """The people whom a model (the current one) knows, by name."""
        with self._reading() as album:
            return tuple(self._model(album, model).people)

    def forget(self, photos: StrPath | Iterable[StrPath] = ()) -> Forgotten:
        """Forgets what was seen in photos that were only asked about (`classify`, `find`, `evaluate`): in these, or in
        all that are remembered. No person and no photo of the album is touched. Raises StorageError where that cannot
        be done."""
        from mien.stages.forget import forget

        with self._writing("forget") as album:
            return forget(album, _paths(photos))

    # Who may ask a server

    def keys(self) -> tuple[Key, ...]:
        """The keys by which a server knows who asks, by name, also those that are revoked or expired. What each was
        when it was made is kept nowhere."""
        with self.access(writes=False) as access:
            return access.keys.all()

    def add_key(self, name: str, scope: str = "classify", until: date | None = None) -> str:
        """Makes a key, and returns it: only its hash is kept. `scope` is "classify" (ask who is in a picture), "review"
        (read what the album holds as well) or "admin" (change it as well). It is good until the end of the day `until`.
        Raises UsageError for a name that is taken or cannot be a key's, and for a day that is over."""
        from mien.text.access import scope_of, valid_key_name

        wanted = scope_of(scope)
        valid_key_name(name)
        with self.access() as access:
            return access.keys.add(name, wanted, until, self._clock())

    def revoke_key(self, name: str) -> Key:
        """Has the key of this name be refused from now on, also by a server that runs. Raises UsageError where no key
        has it."""
        with self.access(writes=self._has_access) as access:  # where there is none, none is made
            return access.keys.revoke(name, self._clock())

    @property
    def _has_access(self) -> bool:
        from mien.records.access import KIND
        from mien.records.opening import is_there

        return is_there(KIND, self._layout.access_at)

    def access(self, writes: bool = True) -> Access:
        """What is known of who may ask a server, and of what it was asked to do, for whoever closes it: a server has it
        open as long as it runs. The album's lock is not needed."""
        return open_album.open_access(self._layout, self._progress, writes)

    # Where it is kept

    @property
    def catalog(self) -> Path | Server:
        """Where what is known of the album lies: a file, or a database on a server."""
        return self._layout.server or self._layout.catalog_file

    def copy_catalog(self, to: StrPath, use: bool = False) -> CopiedCatalog:
        """Copies catalog, ledger and keys to a place where there are none, and compares every row: to a PostgreSQL
        server ("postgresql://USER@HOST/DATABASE"), or into a file. With `use`, mien.toml names it then; the next
        `Album` uses it. What is there stays as it was. Raises UsageError for a place that cannot be one, AlbumError
        where there is a catalog already, StorageError and BusyError."""
        from mien.settings import place_of_catalog
        from mien.stages.copy_catalog import copy_catalog

        try:
            place = place_of_catalog(os.fspath(to))
        except ValueError as error:
            raise UsageError("The place", "cannot be one of a catalog", f"{str(error).capitalize()}.") from error
        wanted = place if isinstance(place, Server) else Path(to).absolute()
        layout, progress = self._layout, self._progress
        with open_album.for_writing(
            layout, self._settings, self._tools, "catalog copy", self._clock, progress
        ) as album:
            return copy_catalog(album, wanted, use)

    def encoders(self) -> tuple[ListedEncoder, ...]:
        """Which encoders there are, and which of them this album uses."""
        from mien.encoders.listing import list_encoders

        with self._reading() as album:
            model = album.sound_model()
        return list_encoders(self.settings.encoder, model.card.encoder.name if model else "")

    def advice(self) -> Finding | None:
        """What a better encoder would bring the model in use. None where there is none better, where an earlier call
        said it, and where the album cannot be written to, which could not remember."""
        from mien.encoders.listing import advice

        with self._reading() as album:
            model = album.sound_model()
        found = advice(model.card.encoder.name, self.folder) if model else None
        if found:
            try:
                self._layout.advised_file.touch(exist_ok=False)
            except OSError:
                return None
        return found

    def doctor(self) -> Checkup:
        """What of the album's set-up can be reached and is set up: this machine, the disk, the catalog, buckets, the
        engine, the model in use; and what to do where it is not. Changes nothing, but that an object is put into a
        bucket and removed again."""
        from mien.stages.doctor import doctor

        return doctor(self.folder, self._tools, self._clock, self._given)

    def status(self) -> Status:
        """What is in the album, what model is in use, and what is stale. Changes nothing."""
        from mien.stages.status import status

        with self._reading() as album:
            return status(album)

    @contextlib.contextmanager
    def _writing(self, command: str, person: str = "", settled: bool = True) -> Iterator[OpenAlbum]:
        """The album, for a command that writes, which is of a `person` if one is named; and as its removals say if it
        is to be `settled`."""
        self._settled = ()
        layout, progress = self._layout, self._progress
        with (
            open_album.for_writing(layout, self._settings, self._tools, command, self._clock, progress) as album,
            album.event(self._by, command, person),
        ):
            if album.ledger.corrections.pending():
                from mien.pipeline.correct import resume

                self._settled = tuple(resume(album))
            if settled and album.ledger.removals:
                from mien.pipeline.remove import settle

                self._settled += tuple(settle(album))
            yield album

    def _reading(self) -> contextlib.AbstractContextManager[OpenAlbum]:
        """The album, for a command that reads."""
        return open_album.for_reading(self._layout, self._settings, self._tools, self._clock, self._progress)

    def _tools(self) -> Tools:
        from mien import wiring

        return wiring.tools(self._eyes or wiring.make_eyes)

    def _early_eyes(self) -> Callable[[], Eyes]:
        """Eyes as the settings ask for them, the first of which are being opened already; those that this Album was
        given are taken as they are. As a command that writes comes next, the tracebacks of tools that fail are kept in
        the album."""
        from mien.engines.children import start_early
        from mien.engines.threads import early

        start_early(DECODER)

        def opened() -> Eyes:
            eyes = self._tools().eyes(self.settings.choice)
            eyes = replace(eyes, tracebacks=self._layout.tracebacks)
            return eyes if self._eyes else eyes.open()

        return early(opened)

    def _to_enrol_in(self, album: OpenAlbum) -> Model | None:
        """The current model, if faces as they are seen now can be enrolled in it; None where there is none yet and the
        first one can be made of them. Raises EncoderError, EncoderMismatchError."""
        model = album.model()
        if model is None:
            _ = album.cosines  # or nothing can be said of these faces, and none is to be copied
        else:
            model.require_encoder(album.encoder)
        return model

    def _recogniser(self, album: OpenAlbum, folder: StrPath | None, forget: bool = False) -> Recogniser:
        """The model in `folder`, or the current one, ready to answer."""
        from mien.recogniser import Recogniser

        model, sight = self._model(album, folder), album.sight(forget)
        engine = album.tools.engine(self.settings)
        if not isinstance(engine, Elsewhere):
            return Recogniser(model, album.eyes_of, self.settings.workers, sight)
        try:
            return Recogniser(model, partial(album.eyes_elsewhere, engine), engine.places(), sight, engine)
        except BaseException:
            engine.close()
            raise

    def _model(self, album: OpenAlbum, folder: StrPath | None) -> Model:
        """The model in `folder`, or the current one. Raises ModelError if there is none."""
        from mien.registry.folder import load_model

        if folder is not None:
            return self._without_removed(album, load_model(Path(folder)))
        current = album.model()
        if current is None:
            raise ModelError(str(self.folder), "has no model yet", f"Make one: {command(self.folder, 'train')}")
        return current

    def _without_removed(self, album: OpenAlbum, model: Model) -> Model:
        """A model from anywhere, as if it did not know who was removed from the album. Raises ModelError where it knows
        nobody else."""
        from mien.text.models import UseKind

        removed = album.removed_among(model.people)
        if removed:
            self._progress.note(UseKind.ANSWERS_WITHOUT.say({"version": model.version, "names": removed}))
        return model.without(removed) if removed else model


def _paths(given: StrPath | Iterable[StrPath]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(given)] if isinstance(given, (str, os.PathLike)) else [Path(path) for path in given]
