"""An album opened for one command: where it lies, its settings, its memory, its tools, as one value for all verbs.

For writing it is opened with the lock, and catalog and ledger are made where there are none. For reading it is opened
without, and nothing is created, so that a read-only album on a read-only disk will do; of what reads, who asks about
photos alone (`classify`, `find`, `evaluate`) has the album remember what was seen in them, and keeps tracebacks in it,
where that can be written. Databases are opened when they are first asked for: `classify` needs neither.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import TYPE_CHECKING

from mien.engines.threads import Threads
from mien.errors import AlbumError, EncoderError, MienError, ModelError
from mien.protocols import Elsewhere, Engine, Progress
from mien.settings import Settings, SourceSettings
from mien.storage.files import is_there
from mien.storage.layout import TRAINING, Layout, is_album, is_inside, shelf_of
from mien.storage.walk import LeftOut, has_photo, is_empty, walk, with_unlisted
from mien.text.findings import LeftOutKind, MemoryKind, of_records
from mien.text.models import SearchKind
from mien.text.words import Figure
from mien.types import By, EncoderChoice, Finding

if TYPE_CHECKING:  # a command that asks neither database does not load SQLAlchemy
    from mien.learning.cosines import Measured
    from mien.learning.head import HeadOption
    from mien.protocols import Source
    from mien.recogniser import Sight
    from mien.records.access import Access
    from mien.records.asked import AskedPhotos
    from mien.records.catalog import Catalog
    from mien.records.events import Outcome
    from mien.records.files import Changes, Entry
    from mien.records.ledger import Ledger
    from mien.records.removals import Removal
    from mien.registry.card import EncoderCard
    from mien.registry.folder import Model
    from mien.seeing.apart import EyesApart
    from mien.seeing.eyes import Eyes
    from mien.seeing.tasks import EyesAs
    from mien.storage.layout import Shelf
    from mien.storage.walk import Shelved
    from mien.types import Cosines

Clock = Callable[[], datetime]
"""The local time, with its zone."""


EyesFor = Callable[[EncoderChoice], "Eyes"]
"""Makes the eyes with an encoder."""


@dataclass(frozen=True)
class Tools:
    """What verbs are handed, as `mien.wiring` makes it: they know no concrete tool.

    `eyes` are made for the encoder that the settings ask for. `heads` are those that training chooses from, the first
    of which scores cosines to one mean a person. `sources` opens sources by name, whose connections end with the
    ExitStack. `engine` looks at many photos as the settings say, for whoever closes it.
    """

    eyes: EyesFor
    heads: tuple[HeadOption, ...]
    sources: Callable[[Layout, Settings, Sequence[str], ExitStack], dict[str, Callable[[], Source]]]
    engine: Callable[[Settings], Engine]


@dataclass(frozen=True)
class OpenAlbum:
    """An album as one command has it open. `writes` says whether the command holds the lock."""

    layout: Layout
    settings: Settings
    clock: Clock
    progress: Progress
    writes: bool
    _make_tools: Callable[[], Tools] = field(repr=False)
    _opened: ExitStack = field(repr=False)

    @cached_property
    def tools(self) -> Tools:
        """The tools, which are loaded when a verb first asks for one."""
        return self._make_tools()

    @cached_property
    def ledger(self) -> Ledger:
        """What cannot be made again. Raises StorageError, AlbumError (also where it is another album's), BusyError."""
        from mien.records.ledger import Ledger

        place = self.layout.ledger_at
        if isinstance(place, Path):
            _require_not_emptied(place, self.layout.catalog_file)
        ledger = self._opened.enter_context(Ledger.for_writing(place) if self.writes else Ledger.for_reading(place))
        if not (isinstance(place, Path) and is_inside(place, self.folder)):
            self._claim(ledger)
        if rows := ledger.damage_found:
            figures: dict[str, Figure] = {"rows": rows, "of": of_records(ledger.damaged()), "file": str(place)}
            self.progress.note(Finding(MemoryKind.LEDGER, figures=figures).line)
        return ledger

    def _claim(self, ledger: Ledger) -> None:
        """Makes a ledger that lies elsewhere this album's, or raises AlbumError where another album goes on using it,
        of which this one may be a copy. An album that was moved is no longer where it was."""
        owner = ledger.album()
        if owner == self.folder:
            return
        if owner and _still_uses(owner, self.layout):
            if self.layout.server:
                raise AlbumError(
                    str(self.layout.server),
                    f"is the catalog of another album, {owner}",
                    f"Each album needs a database of its own: make one by `createdb`, and name it as catalog in "
                    f"{self.layout.settings_file}.",
                )
            raise AlbumError(
                str(self.layout.catalog_file),
                f"is the catalog of another album, {owner}",
                f"Each album needs its own: name another file as catalog in {self.layout.settings_file}. If this album "
                f"is a copy of that one, first copy {self.layout.ledger_file.name} to beside the new file, and call it "
                "NAME-ledger.sqlite: it says where the photos came from, and who was removed.",
            )
        if self.writes:
            ledger.set_album(self.folder)

    @cached_property
    def catalog(self) -> Catalog:
        """What can be seen again in the photos. Raises as `ledger` does."""
        from mien.records.catalog import Catalog

        place, people = self.layout.catalog_at, self.ledger.people
        catalog = self._opened.enter_context(
            Catalog.for_writing(place, people) if self.writes else Catalog.for_reading(place, people)
        )
        if rows := catalog.damage_found:
            self.progress.note(MemoryKind.CATALOG.say({"rows": rows}))
        return catalog

    @property
    def has_catalog(self) -> bool:
        """Whether there is a catalog. Raises StorageError if nobody can tell."""
        return _has_catalog(self.layout)

    @property
    def folder(self) -> Path:
        return self.layout.folder

    @property
    def today(self) -> date:
        return self.clock().date()

    @property
    def until(self) -> dict[str, date]:
        """By name the last day on which somebody may be recognised, of those for whom mien.toml says one; under a name
        that they had before, too, and the first of several."""
        found: dict[str, date] = {}
        for name, person in self.settings.people.items():
            now = self.ledger.people.called_now(name)
            found[now] = min(person.until, found.get(now, person.until))
        return found

    @contextlib.contextmanager
    def event(self, by: By, verb: str, person: str = "") -> Iterator[None]:
        """What is done meanwhile is remembered as a change that was asked for `by` somebody, with what comes of it."""
        before = self._sound_version()
        number = self.ledger.events.begin(by, verb, person, self.clock())

        def end(outcome: Outcome) -> None:
            now = self._sound_version()
            self.ledger.events.end(number, person, self.clock(), outcome, now if now != before else None)

        try:
            yield
        except BaseException as error:
            with contextlib.suppress(MienError):  # what went wrong is what is told
                end("failed" if isinstance(error, Exception) else "interrupted")
            raise
        end("done")

    def entry(self) -> Entry:
        """On what basis, and since when, whoever is found now is in the album."""
        from mien.records.files import Entry

        return Entry(self.settings.basis, self.until, self.clock())

    def removal_of(self, person: str) -> Removal | None:
        """When the person of this name, in whatever spelling, was removed; None also for whoever has a photo in
        training-images, which a human has put there since."""
        removal = self.ledger.removals.of(person)
        return None if removal is None or has_photo(self.layout, person) else removal

    def removed_among(self, people: Iterable[str]) -> tuple[str, ...]:
        """Those of `people` who were removed."""
        return tuple(person for person in people if self.removal_of(person)) if self.ledger.removals else ()

    def require_training(self) -> Path:
        """training-images. Raises AlbumError if it is missing, or is empty and was not: a drive that is not connected
        is not an album whose photos were all deleted, and nothing is put into its place. Raises StorageError if it
        cannot be opened."""
        folder = self.layout.require_training()
        if self._is_emptied():
            kind = LeftOutKind.EMPTIED
            raise AlbumError(str(folder), kind.words, kind.remedy)
        return folder

    def walk(self, shelves: Sequence[Shelf]) -> Shelved:
        """Everything on these shelves, as `mien.storage.walk` finds it; training-images that is empty and was not
        counts as a folder that cannot be looked at."""
        shelved = walk(self.layout, shelves)
        if TRAINING in shelves and not shelved.hidden([TRAINING]) and self._is_emptied():
            return replace(shelved, left_out=(*shelved.left_out, LeftOut(TRAINING, LeftOutKind.EMPTIED)))
        return self._with_unlisted(shelved)

    def _with_unlisted(self, shelved: Shelved) -> Shelved:
        """`shelved` with what the catalog knows and a listing does not have, which may be late: each such photo is
        asked for by itself. Folders are never late."""
        if self.layout.photos.in_folders or not self.has_catalog:
            return shelved
        known = {one.path: one.person for one in self.catalog.files.on(shelved.shelves, shelved.person)}
        listed = {one.path for one in shelved.files} | {one.path for one in shelved.left_out}
        missing = [path for path in known if path not in listed]
        hidden = shelved.hidden(missing)
        return with_unlisted(self.layout, shelved, {path: known[path] for path in missing if path not in hidden})

    def filed(self, person: str) -> tuple[Path, ...]:
        """The files of a person (NFC), as the catalog knows them, where a listing may be late; none where photos lie in
        folders, which say themselves what is there."""
        if self.layout.photos.in_folders or not self.has_catalog:
            return ()
        on = self.catalog.files.on([TRAINING, *self.layout.intakes()])
        return tuple(self.layout.file(one.path) for one in on if one.person == person)

    def _is_emptied(self) -> bool:
        """Whether nothing lies in training-images, and photos did of people whose removal is not under way."""
        if not is_empty(self.layout) or not self.has_catalog:
            return False
        leaving = {removal.name for removal in self.ledger.removals.people() if removal.pending}
        return not self.catalog.files.people(TRAINING) <= leaving

    def sync(self, shelves: Sequence[Shelf]) -> tuple[Shelved, Changes]:
        """Walks these shelves and makes the catalog know what lies there, but for what waits in an intake of people who
        were removed. Raises AlbumError without training-images, if that is one of them."""
        shelved = self._without_removed(self.walk(shelves))
        return shelved, self._make_known(shelved)

    def sync_person(self, person: str) -> Changes:
        """`sync` of what lies in training-images of one person (NFC), which takes as long as that person has photos.
        Nothing is learned of anybody else's. Raises PhotoError where training-images cannot be listed."""
        shelved = walk(self.layout, [TRAINING], person)
        for one in shelved.closed:
            if one.path == TRAINING:
                raise one.error(self.layout.where(TRAINING))
        return self._make_known(self._with_unlisted(shelved))

    def _make_known(self, shelved: Shelved) -> Changes:
        photos, file = self.layout.photos, self.layout.file
        return self.catalog.files.sync(shelved, lambda path: photos.sha256(file(path)), self.entry())

    def _without_removed(self, shelved: Shelved) -> Shelved:
        """`shelved` without what waits in an intake of people who were removed: it is left out, and not even seen."""
        if not self.ledger.removals:
            return shelved
        removed = {person: removal for person in shelved.people if (removal := self.removal_of(person))}
        left = [
            LeftOut(file.path, LeftOutKind.PERSON_REMOVED, {"person": file.person, "on": removal.on})
            for file in shelved.files
            if shelf_of(file.path) != TRAINING and (removal := removed.get(file.person))
        ]
        gone = {one.path for one in left}
        files = tuple(file for file in shelved.files if file.path not in gone)
        there = {file.person for file in files}
        return replace(
            shelved,
            people=tuple(person for person in shelved.people if person in there or person not in removed),
            files=files,
            left_out=tuple(sorted([*shelved.left_out, *left], key=attrgetter("path"))),
        )

    def eyes(self) -> Eyes:
        """The tools by which photos are seen, as the settings ask for them; where the album is open for writing, the
        tracebacks of those that fail are kept in it."""
        return self.opening()

    @property
    def opening(self) -> EyesAs:
        """What makes `eyes`, also in another process."""
        from mien.seeing.tasks import EyesAs

        return EyesAs(self.tools.eyes, self.settings.choice, self.layout.tracebacks if self.writes else None)

    @cached_property
    def engine(self) -> Engine:
        """What looks at many photos, as the settings say; it ends with the command."""
        engine = self.tools.engine(self.settings)
        self._opened.callback(engine.close)
        return engine

    def seen_by(self, choice: EncoderChoice, tools: Tools | None = None) -> OpenAlbum:
        """The same album as another encoder sees it, by these `tools` if any are given, which this process alone may
        have; both share their databases."""
        other = self._set({"encoder": choice.name, "precision": choice.precision, "views": choice.views})
        if tools is not None:
            other.__dict__.update(tools=tools, engine=Threads(self.settings.workers))
        return other

    def with_source(self, name: str, source: SourceSettings) -> OpenAlbum:
        """The same album with a source that its mien.toml does not name; both share their databases."""
        return self._set({"sources": {**self.settings.sources, name: source}})

    def _set(self, wanted: Mapping[str, object]) -> OpenAlbum:
        """The same album with other settings."""
        other = replace(self, settings=self.settings.model_copy(update=wanted))
        for name in ("tools", "engine", "ledger", "catalog"):  # which each is opened once in an album's life
            other.__dict__[name] = getattr(self, name)
        return other

    def eyes_of(self, model: Model) -> Eyes:
        """`eyes_of` with the album's tools; the tracebacks of those that fail are kept in the album."""
        return replace(eyes_of(model, self._as_trained), tracebacks=self.layout.tracebacks)

    def eyes_elsewhere(self, engine: Elsewhere, model: Model) -> Eyes:
        """`eyes_of` whose photos are seen by an engine."""
        from mien.seeing.elsewhere import EyesElsewhere
        from mien.seeing.tasks import EyesAs

        opening = EyesAs(self.tools.eyes, self._here(model.card.encoder.choice))
        return EyesElsewhere.of(self.eyes_of(model), opening, engine)

    def sight(self, forget: bool = False) -> Sight:
        """How photos are seen that are only asked about: each once, as the settings say for how long that is
        remembered. With `forget` they leave nothing behind, and what is remembered of them goes."""
        from mien.remembering import Forgetting, Remembering

        if forget or not self._remembers:
            return Forgetting(self._asked_if_any)
        return Remembering(self._asked, self._eyes_apart, self.progress.note)

    @property
    def _remembers(self) -> bool:
        return bool(self.settings.remember_days and self.settings.remember_megabytes)

    def _asked(self) -> AskedPhotos:
        from mien.records.asked import AskedPhotos

        settings = self.settings
        return AskedPhotos.open(self.layout.asked_file, settings.remember_days, settings.remember_megabytes)

    def _asked_if_any(self) -> AskedPhotos | None:
        return self._asked() if is_there(self.layout.asked_file) else None

    def _eyes_apart(self, choice: EncoderChoice) -> EyesApart:
        from mien.seeing.apart import EyesApart

        return EyesApart(self.tools.eyes, self._here(choice), self.layout.tracebacks)

    @cached_property
    def cosines(self) -> Cosines:
        """What is true of the cosines of the encoder that the settings ask for: as was measured of it; else as the
        model in use holds, for which the album measured them; else as the album shows now. Raises as `measured`
        does."""
        eyes = self.eyes()
        if eyes.encoder.cosines is not None:
            return eyes.encoder.cosines
        model = self.sound_model()
        if model and model.encoder_id == eyes.encoder_id and model.card.cosines is not None:
            return model.card.cosines
        return self.measured.cosines

    @cached_property
    def measured(self) -> Measured:
        """What the album's own people show of this encoder's cosines. Raises EncoderError where they are too few."""
        return self._measured(self.eyes())

    def cosines_of(self, model: Model) -> Cosines:
        """What is true of the cosines of the encoder that a model was trained with, whether or not this version of mien
        still cuts chips as it did then."""
        eyes = self._as_trained(model.card.encoder.choice)
        return eyes.encoder.cosines or model.card.cosines or self._measured(eyes).cosines

    def _as_trained(self, choice: EncoderChoice) -> Eyes:
        """Eyes with the encoder of a model, run where the settings say."""
        return self.tools.eyes(self._here(choice))

    def _here(self, choice: EncoderChoice) -> EncoderChoice:
        """The encoder of a model, to be run where the settings say."""
        return replace(choice, provider=self.settings.provider, commercial=self.settings.commercial)

    def _measured(self, eyes: Eyes) -> Measured:
        from mien.learning.cosines import FEWEST_PEOPLE, measure

        faces = self.catalog.faces.training_set(eyes.encoder_id)
        try:
            return measure(faces.embeddings, faces.person)
        except ValueError as error:
            raise EncoderError(
                f"The encoder {eyes.encoder.id}",
                f"has no figures of its own, and this album cannot show any: {error}",
                f"Add three photos each of at least {FEWEST_PEOPLE} people, by `mien add` without --enrol, then run "
                "`mien train`. Or take an encoder whose cosines are measured: `mien encoders` says which are.",
            ) from error

    @cached_property
    def encoder(self) -> str:
        """The id of the encoder that the settings ask for."""
        return self.eyes().encoder_id

    @cached_property
    def encoder_card(self) -> EncoderCard:
        """The same as a model's card names it."""
        from mien.registry.card import EncoderCard

        eyes, choice = self.eyes(), self.settings.choice
        return EncoderCard(
            id=eyes.encoder_id,
            name=choice.name,
            precision=choice.precision,
            weights_sha256=eyes.encoder.weights_sha256,
            views=eyes.views,
            smallest_face=choice.smallest_face,
            doubtful_faces=choice.doubtful_faces,
        )

    # The model in use

    @property
    def version(self) -> str | None:
        """The version in use; None before the first. Raises DamagedModelError."""
        from mien.registry import versions

        return versions.current(self.layout.models)

    def _sound_version(self) -> str | None:
        """The version in use; None also where its name cannot be read."""
        with contextlib.suppress(ModelError):
            return self.version
        return None

    def model(self) -> Model | None:
        """The model in use; None before the first. Raises DamagedModelError."""
        from mien.registry import versions

        version = self.version
        if version is None:
            return None
        model = versions.load(self.layout.models, version)
        if model.head.slow and version not in self._told_slow:
            self._told_slow.add(version)
            figures: dict[str, Figure] = {"version": version, "people": len(model.people)}
            self.progress.note(Finding(SearchKind.ALL_COMPARED, figures=figures).line)
        return model

    @cached_property
    def _told_slow(self) -> set[str]:
        """The versions of which it was said that they answer slowly."""
        return set()

    def sound_model(self) -> Model | None:
        """The model in use; None also for a damaged one, which training replaces."""
        with contextlib.suppress(ModelError):
            return self.model()
        return None


def eyes_of(model: Model, make: EyesFor) -> Eyes:
    """Eyes that see as a model does. Raises EncoderMismatchError where this version of mien sees otherwise."""
    eyes = make(model.card.encoder.choice)
    model.require_encoder(eyes.encoder_id, eyes.can_answer_for(model.encoder_id), eyes.encoder.dimensions)
    return eyes


def _require_not_emptied(ledger: Path, catalog: Path) -> None:
    """Raises AlbumError for a ledger of no bytes beside a catalog, which is begun after it: one that was there is lost,
    and to begin a new one in its place would let everybody come back who was removed."""
    with contextlib.suppress(OSError):  # what cannot be looked at is told by whoever opens it
        if ledger.stat().st_size == 0 < catalog.stat().st_size:
            raise AlbumError(
                str(ledger),
                "is empty, and what was in it is lost",
                "Put a copy from a backup in its place. Or remove it to begin a new one, which does not know who was "
                "removed, nor where photos came from.",
            )


def _has_catalog(layout: Layout) -> bool:
    from mien.records.catalog import KIND
    from mien.records.opening import is_there

    return is_there(KIND, layout.catalog_at)


def _still_uses(folder: Path, layout: Layout) -> bool:
    """Whether there is an album in `folder`, other than that of this layout, whose catalog is the same."""
    try:
        if not is_album(folder) or folder.samefile(layout.folder):
            return False
        theirs, _ = read_settings(folder, {})
        if layout.server or theirs.server:
            return bool(layout.server and theirs.server and theirs.server.is_same_as(layout.server))
        return theirs.catalog_file.resolve() == layout.catalog_file.resolve()
    except (MienError, OSError):
        return True  # for all that can be seen


@contextlib.contextmanager
def for_writing(
    layout: Layout, settings: Settings, tools: Callable[[], Tools], command: str, clock: Clock, progress: Progress
) -> Iterator[OpenAlbum]:
    """Opens an album for a command that writes. What killed runs left half-written goes on the way, and
    so does what others left to be looked at, and is old: whoever is in it is then known no longer than that. Raises
    BusyError, NetworkDriveError, StorageError."""
    from mien.records import asked
    from mien.storage import leftovers, private, tracebacks
    from mien.storage.disks import check_local
    from mien.storage.files import make_folder
    from mien.storage.lock import lock

    was_killed = leftovers.was_killed(layout)
    with lock(layout, command), ExitStack() as opened:
        if layout.server:
            from mien.records.postgres import album_held

            layout = replace(layout, lease=opened.enter_context(album_held(layout.server, str(layout.folder), command)))
        else:
            check_local(layout.catalog_file)
        make_folder(layout.catalog_file.parent)
        private.mend(layout)
        leftovers.sweep(layout, thorough=was_killed)
        asked.tidy(layout.asked_file, settings.remember_days, settings.remember_megabytes)
        tracebacks.remove_old(layout.tracebacks)
        yield OpenAlbum(layout, settings, clock, progress, True, tools, opened)


@contextlib.contextmanager
def for_reading(
    layout: Layout, settings: Settings, tools: Callable[[], Tools], clock: Clock, progress: Progress
) -> Iterator[OpenAlbum]:
    """Opens an album for a command that reads, and creates nothing."""
    with ExitStack() as opened:
        yield OpenAlbum(layout, settings, clock, progress, False, tools, opened)


def open_access(layout: Layout, progress: Progress, writes: bool) -> Access:
    """Opens what is known of who may ask a server, for whoever closes it; the album's lock is not needed. For writing,
    it is made where there is none. Raises StorageError, NetworkDriveError, AlbumError and BusyError."""
    from mien.records.access import Access
    from mien.storage.disks import check_local
    from mien.storage.files import PRIVATE_FILE, make_folder, storage_error

    file = layout.access_at
    if writes and isinstance(file, Path):
        check_local(layout.catalog_file)
        make_folder(file.parent)
        try:
            os.close(os.open(file, os.O_RDWR | os.O_CREAT, PRIVATE_FILE))
        except OSError as error:  # which says more of it than SQLite does
            raise storage_error(file, error) from error
    access = Access.for_writing(file) if writes else Access.for_reading(file)
    if rows := access.damage_found:
        progress.note(Finding(MemoryKind.ACCESS, figures={"rows": rows}).line)
    return access


def read_settings(folder: Path, overrides: Mapping[str, object]) -> tuple[Layout, Settings]:
    """The layout and the settings of the album in `folder`; `overrides` go before its mien.toml. Raises AlbumError and
    UsageError."""
    from mien.settings import load
    from mien.storage.layout import require_album

    require_album(folder)
    settings = load(folder, overrides)
    return Layout.of(folder, settings), settings
