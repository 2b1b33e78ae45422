"""`Album`, mien's public face: one method a verb.

    album = Album("club")                   # an existing album; Album.create makes one
    album.add("Ada", ["ada.jpg"])
    album.train()
    for answer in album.classify(["party.jpg"]): ...

Every method may raise the errors of `mien.errors`. Methods that write hold the album's lock while they do.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import date, datetime, time
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Self

from mien.errors import ModelError, PhotoError, UsageError
from mien.protocols import Silent
from mien.storage.layout import Workspace, people_below
from mien.storage.walk import photos_below
from mien.text.names import nfc, valid_person

if TYPE_CHECKING:
    from mien.answers import Answer
    from mien.pipeline.daily import Daily
    from mien.pipeline.learn import Clock, Learned, Removed
    from mien.protocols import Progress
    from mien.records.catalog import Catalog
    from mien.records.ledger import Ledger
    from mien.registry import Model
    from mien.seeing.eyes import Eyes
    from mien.settings import Settings
    from mien.stages.align import Aligned
    from mien.stages.check import Checked
    from mien.stages.collect import Collected
    from mien.stages.compare import Difference
    from mien.stages.convert import Converted
    from mien.stages.enrol import Enrolled
    from mien.stages.evaluate import Evaluated, Pick
    from mien.stages.merge import Merged
    from mien.stages.models import Version
    from mien.stages.show import Shown
    from mien.stages.sources import SourceStatus
    from mien.stages.status import Status
    from mien.storage.journals import Journal

StrPath = str | os.PathLike[str]
"""Wherever a path is wanted, a string will do."""


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` did: photos copied in (where they lie now), how many were there already, what could not be copied. And
    if the person was to be enrolled, which of the copied photos cannot be decoded, and the model that is in use now."""

    added: tuple[Path, ...]
    known: int
    failures: tuple[PhotoError, ...]
    unreadable: tuple[PhotoError, ...] = ()
    enrolled: Enrolled | None = None


def _local_time() -> datetime:
    return datetime.now().astimezone()


class Album:
    """A folder of photos by person, with its settings, its memory and its models.

    `folder` must be an album already; `settings` given here go before its mien.toml and the environment; `progress` is
    told how long work goes on; `clock` gives the local time, for whoever wants another than the real one. Cheap to
    make: nothing is opened but mien.toml.
    """

    def __init__(
        self, folder: StrPath, *, progress: Progress | None = None, clock: Clock = _local_time, **settings: object
    ) -> None:
        self._workspace = Workspace.open(Path(folder), settings)
        self._progress = progress or Silent()
        self._clock = clock

    @classmethod
    def create(cls, folder: StrPath, basis: str = "personal", *, progress: Progress | None = None) -> Self:
        """Makes `folder` an album; what lies in it stays. `basis` says why you may recognise the people in it."""
        Workspace.create(Path(folder), basis)
        return cls(folder, progress=progress)

    @staticmethod
    def is_at(folder: StrPath) -> bool:
        """Whether `folder` is an album."""
        return Workspace.is_at(Path(folder))

    @property
    def folder(self) -> Path:
        """Where it lies, an absolute path."""
        return self._workspace.folder

    @property
    def version(self) -> str | None:
        """The model in use; None before the first."""
        from mien import registry

        return registry.current(self._workspace.models)

    @property
    def settings(self) -> Settings:
        """What is set for it; a new `Album` reads them anew."""
        return self._workspace.settings

    def add(self, person: str, photos: StrPath | Iterable[StrPath], enrol: bool = False) -> Added:
        """Copies photos, or all photos in folders, in under a person; the originals stay. A photo that cannot be read
        is reported, and the others go in. With `enrol`, the current model learns the person at once, without training:
        see `mien.stages.enrol`."""
        name = valid_person(person)
        files = [photo for photo, _ in photos_below(_paths(photos))]
        sources: dict[Path, str] = {}
        known, failures = 0, []
        make_eyes = self._early_eyes() if enrol else self._eyes

        from mien.records.catalog import Catalog  # takes as long as opening the eyes, and so they open meanwhile
        from mien.stages.align import find_changes

        with self._workspace.lock("add"), Catalog.open(self._workspace.local_catalog()) as catalog:
            model = self._to_enrol_in() if enrol else None
            try:
                for photo in files:
                    try:
                        target = self._workspace.add_photo(name, photo)
                    except PhotoError as error:
                        failures.append(error)
                        continue
                    if target is None:
                        known += 1
                    else:
                        sources[target] = str(photo.absolute())
            finally:  # a full disk, Ctrl-C: now is when it is known where those that went in came from
                find_changes(self._workspace, catalog, sources)
            if model is None:
                return Added(tuple(sources), known, tuple(failures))
            from mien.pipeline import learn as pipeline

            with self._ledger() as ledger:
                now = self._clock()
                unreadable, enrolled = pipeline.enrol(
                    self._workspace, catalog, ledger, model, name, make_eyes, now, self._progress
                )
        return Added(tuple(sources), known, tuple(failures), unreadable, enrolled)

    def files_of(self, person: str, photos: StrPath | Iterable[StrPath] = ()) -> tuple[Path, ...]:
        """What `remove` would take out."""
        from mien.stages.remove import leaving

        return leaving(self._workspace, nfc(person), _paths(photos)).files

    def remove(self, person: str, photos: StrPath | Iterable[StrPath] = (), delete: bool = False) -> Removed:
        """Takes a person, or some photos of a person, out of the album, and out of the model in use at once. The photos
        go to removed-images, or with `delete` for good. Raises UsageError if nobody has that name."""
        from mien.pipeline import learn as pipeline

        chosen, now = _paths(photos), self._clock()
        with self._memory("remove") as (catalog, ledger):
            return pipeline.remove(self._workspace, catalog, ledger, nfc(person), chosen, delete, now, self._progress)

    def align(self) -> Aligned:
        """Looks at what is new, chooses each person's faces, writes their chips."""
        from mien.pipeline import learn as pipeline
        from mien.records.catalog import Catalog

        with self._workspace.lock("align"), Catalog.open(self._workspace.local_catalog()) as catalog:
            return pipeline.align(self._workspace, catalog, self._progress)

    def train(self) -> Learned:
        """Aligns, then makes a model of all faces and puts it into use; none if it would be the one in use."""
        from mien.pipeline import learn as pipeline

        with self._memory("train") as (catalog, ledger):
            learned = pipeline.learn(self._workspace, catalog, self._clock(), self._progress)
            pipeline.put_into_use(self._workspace, ledger, learned.version, "train", self._clock())
            return learned

    # Photos that arrive

    def sources(self) -> tuple[SourceStatus, ...]:
        """Which sources are configured, when each last ran, and what it brought."""
        from mien.stages.sources import sources

        with self._remembered() as ledger:
            return sources(self.settings.sources, ledger, self._clock().date())

    def collect(self, names: Iterable[str] = (), dry_run: bool = False) -> Collected:
        """Fetches what is new in these sources, or in all, into the intake of today; a `dry_run` only lists it."""
        from mien.pipeline import learn as pipeline

        known = self.settings.sources
        chosen = list(dict.fromkeys(names)) or list(known)
        if unknown := [name for name in chosen if name not in known]:
            raise UsageError(
                f"There is no source {', '.join(unknown)} in {self._workspace.settings_file}.",
                f"There are {', '.join(known)}." if known else "docs/collecting.md says how to write one.",
            )
        with self._memory("collect") as (catalog, ledger):
            day = self._clock().date()
            return pipeline.collect(self._workspace, catalog, ledger, chosen, day, self._clock, self._progress, dry_run)

    def merge(self, day: date | None = None) -> Merged:
        """Moves what was collected (on `day`, or ever) into training-images; nothing is overwritten, nothing lost."""
        from mien.records.catalog import Catalog
        from mien.stages.merge import merge

        with self._workspace.lock("merge"), Catalog.open(self._workspace.local_catalog()) as catalog:
            return merge(self._workspace, catalog, None if day is None else [day])

    def daily(self) -> Daily:
        """Collects, aligns, checks, merges, trains, evaluates, and promotes the new model if it is no worse. What goes
        wrong in a way that mien foresees stands in the answer."""
        from mien.pipeline.daily import daily

        with self._memory("daily") as (catalog, ledger):
            return daily(self._workspace, catalog, ledger, self._clock, self._progress)

    def run_daily(self, at: time, each: Callable[[Daily], None]) -> None:
        """`daily` each day at `at`, local time, until SIGINT or SIGTERM, which raise KeyboardInterrupt; `each` gets
        what came of it. A missed day is caught up once. The settings are read anew for each run."""
        from mien.pipeline.daily import COMMAND
        from mien.pipeline.schedule import forever

        def once() -> None:
            each(type(self)(self.folder, progress=self._progress, clock=self._clock).daily())

        last = next((done.run.started for done in self.runs() if done.run.command == COMMAND), None)
        forever(once, at, min(last, self._clock()) if last else None, self._clock)  # that clock may have been ahead

    def runs(self, limit: int = 20) -> tuple[Daily, ...]:
        """The last runs of the daily loop, the newest first."""
        from mien.pipeline.daily import Daily

        with self._remembered() as ledger:
            return tuple(Daily(run) for run in ledger.runs(limit)) if ledger else ()

    def run(self, name: str) -> Daily:
        """One run. Raises UsageError if there is none of this name."""
        from mien.pipeline.daily import Daily

        with self._remembered() as ledger:
            found = ledger.run(name) if ledger else None
        if found is None:
            raise UsageError(f"There is no run {name}.", "`mien runs` names those there are.")
        return Daily(found)

    # Models

    def models(self) -> tuple[Version, ...]:
        """The versions that there are, oldest first."""
        from mien.stages.models import models

        with self._remembered() as ledger:
            promotions = [(one.version, one.how) for one in reversed(ledger.promotions())] if ledger else []
        return models(self._workspace.models, promotions)

    def difference(self, before: str, after: str) -> Difference:
        """How two versions differ, and which photos only one of them names rightly. Raises ModelError."""
        from mien import registry
        from mien.records.catalog import Catalog
        from mien.stages.compare import compare, difference
        from mien.wiring import HEADS

        one, other = (registry.load_version(self._workspace.models, version) for version in (before, after))
        if not self._workspace.catalog_file.is_file():
            return difference(one, other)
        with Catalog.open(self._workspace.local_catalog()) as catalog:
            return difference(one, other, compare(catalog, one, other, HEADS))

    def promote(self, version: str) -> None:
        """Puts a version into use, whatever it is worth. Raises ModelError if there is none of this name."""
        from mien.pipeline import learn as pipeline

        with self._workspace.lock("promote"), self._ledger() as ledger:
            pipeline.put_into_use(self._workspace, ledger, version, "promote", self._clock())

    def rollback(self) -> str:
        """Goes back to the version that was in use before this one. Raises ModelError if there is none."""
        from mien.pipeline import learn as pipeline

        with self._workspace.lock("rollback"), self._ledger() as ledger:
            version = pipeline.one_before(self._workspace, ledger)
            pipeline.put_into_use(self._workspace, ledger, version, "rollback", self._clock())
            return version

    def show(self, photo: StrPath) -> Shown:
        """Everything that is known of a photo, in the album or not. Raises PhotoError."""
        from mien.records.catalog import Catalog
        from mien.stages.show import show

        with Catalog.open(self._workspace.local_catalog()) as catalog, self._remembered() as ledger:
            return show(self._workspace, catalog, ledger.provenance if ledger else lambda sha256: (), Path(photo))

    def report(self) -> Path:
        """The page that says what the current model is worth; where people were enrolled or removed since the last
        training, which measured, that of the version which was trained. Raises ModelError if there is none."""
        from mien import registry
        from mien.report import FILE

        models, model = self._workspace.models, self._model(None)
        pages = [models / version / FILE for version in registry.fitted_alike(models, model)]
        page = next((page for page in pages if page.is_file()), None)
        if page is None:
            raise ModelError(f"{pages[0]} is missing.", f"Make a new model with a report: mien -C {self.folder} train")
        return page

    def check(self) -> Checked:
        """What a human should look at before it is learned from, as far as `align` has looked. Changes nothing."""
        from mien.stages.check import check
        from mien.wiring import HEADS, encoder_card

        return check(self._workspace, encoder_card(self.settings).id, HEADS[0].fit)

    def evaluate(self, photos: StrPath, face: Pick = "largest", model: StrPath | None = None) -> Evaluated:
        """Measures a model (the current one) on a folder of <person>/ photos; see `mien.stages.evaluate`."""
        from mien.stages.evaluate import evaluate
        from mien.wiring import eyes_of

        chosen = self._model(model)
        probes = people_below(Path(photos))
        return evaluate(probes, chosen, lambda: eyes_of(chosen), face, self.settings.workers, self._progress)

    def classify(
        self,
        photos: StrPath | Iterable[StrPath],
        top: int = 3,
        annotate: StrPath | None = None,
        model: StrPath | None = None,
    ) -> Iterator[Answer]:
        """An answer for each photo, folders walked, in order, as they are ready. With `annotate`, copies with boxes and
        names go into that folder. A run over folders that was interrupted goes on where it stopped.

        What is wrong with the question (a path, the model, `top` below 1) is raised at once, before the first answer.
        """
        chosen = self._model(model)
        journals = self._workspace.journals
        return _classify(photos, chosen, top, annotate, self.settings.workers, self._progress, journals)

    def status(self) -> Status:
        """What is in the album, what model is in use, and what is stale. Changes nothing."""
        from mien.stages.status import status
        from mien.wiring import encoder_card

        return status(self._workspace, encoder_card(self.settings), self._current)

    def _to_enrol_in(self) -> Model:
        """The current model, if faces as they are seen now can be enrolled in it."""
        model = self._model(None)
        model.require_encoder(self._eyes().encoder_id)
        return model

    def _eyes(self) -> Eyes:
        """Those that the settings ask for."""
        from mien.wiring import make_eyes

        return make_eyes(self.settings.precision, self.settings.views)

    def _early_eyes(self) -> Callable[[], Eyes]:
        """`_eyes`, the first of which are being opened already."""
        from mien.engines.threads import early

        return early(lambda: self._eyes().open())

    @contextlib.contextmanager
    def _memory(self, command: str) -> Iterator[tuple[Catalog, Ledger]]:
        """Catalog and ledger, for a command that writes."""
        from mien.records.catalog import Catalog

        with (
            self._workspace.lock(command),
            Catalog.open(self._workspace.local_catalog()) as catalog,
            self._ledger() as ledger,
        ):
            yield catalog, ledger

    def _ledger(self) -> Ledger:
        from mien.records.ledger import Ledger

        self._workspace.local_catalog()  # the ledger lies beside it
        return Ledger.open(self._workspace.ledger_file)

    @contextlib.contextmanager
    def _remembered(self) -> Iterator[Ledger | None]:
        """The ledger, for a command that only reads; None where there is none yet."""
        if not self._workspace.ledger_file.is_file():
            yield None
            return
        with self._ledger() as ledger:
            yield ledger

    def _current(self) -> Model | None:
        """The model in use; None before the first."""
        from mien import registry

        version = registry.current(self._workspace.models)
        return registry.load_model(self._workspace.models / version) if version else None

    def _model(self, folder: StrPath | None) -> Model:
        from mien import registry

        if folder is not None:
            return registry.load_model(Path(folder))
        current = self._current()
        if current is None:
            raise ModelError(f"{self.folder} has no model yet.", f"Make one: mien -C {self.folder} train")
        return current


def classify(
    photos: StrPath | Iterable[StrPath],
    model: StrPath,
    top: int = 3,
    annotate: StrPath | None = None,
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> Iterator[Answer]:
    """`Album.classify` where there is no album: the folder `model` is enough. Nothing is kept of what it sees, so a run
    that was interrupted begins again."""
    from mien import registry

    chosen = registry.load_model(Path(model))
    return _classify(photos, chosen, top, annotate, workers, progress or Silent(), None)


def convert(
    source: StrPath,
    target: StrPath,
    to: str | None = None,
    quality: int = 92,
    *,
    workers: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Converts a photo, or a folder of them, between PNG and JPEG; see `mien.stages.convert`."""
    from mien.stages.convert import convert

    return convert(Path(source), Path(target), to, quality, workers, progress)


def _classify(
    photos: StrPath | Iterable[StrPath],
    model: Model,
    top: int,
    annotate: StrPath | None,
    workers: int,
    progress: Progress,
    journals: Path | None,
) -> Iterator[Answer]:
    """Looks the question over, then answers; see `Album.classify`."""
    from mien.stages.annotate import plan_copies
    from mien.storage.journals import Journal
    from mien.wiring import eyes_of

    if top < 1:
        raise UsageError(f"top = {top} asks for no name.", "Ask for at least 1.")
    named = _paths(photos)
    found = photos_below(named)
    make_eyes = partial(eyes_of, model)
    make_eyes()
    copies = None if annotate is None else plan_copies(Path(annotate), found)
    is_long = any(path.is_dir() for path in named)
    journal = Journal(journals, model.version, top, named) if journals and is_long else None
    return _answers([photo for photo, _ in found], model, make_eyes, top, copies, workers, progress, journal)


def _answers(
    photos: Sequence[Path],
    model: Model,
    make_eyes: Callable[[], Eyes],
    top: int,
    copies: Mapping[Path, Path] | None,
    workers: int,
    progress: Progress,
    journal: Journal | None,
) -> Iterator[Answer]:
    from mien.stages.annotate import annotate
    from mien.stages.classify import classify

    done = journal.read() if journal else {}
    if done:
        progress.note(f"Going on with an interrupted run: {len(done):,} of {len(photos):,} photos are answered.")
    todo = [photo for photo in photos if str(photo) not in done]
    progress.start("Classifying", len(photos))
    answers = classify(todo, model, make_eyes, top, workers)
    with closing(answers), closing(journal.keep(answers, progress.note) if journal else answers) as fresh:
        for photo in photos:
            answer = done.pop(str(photo), None) or next(fresh)
            if copies is not None:
                annotate(answer, copies[photo])
            progress.advance()
            yield answer
        for _ in fresh:  # nothing is left, but the journal closes itself only after the last
            pass
    progress.finish()


def _paths(given: StrPath | Iterable[StrPath]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(given)] if isinstance(given, (str, os.PathLike)) else [Path(path) for path in given]
