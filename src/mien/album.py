"""`Album`, mien's public face: one method a verb.

    album = Album("club")                   # an existing album; Album.create makes one
    album.add("Ada", ["ada.jpg"])
    album.train()
    for answer in album.classify(["party.jpg"]): ...

Every method may raise the errors of `mien.errors`. Methods that write hold the album's lock while they do.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mien.errors import EmptyAlbumError, ModelError, PhotoError, UsageError
from mien.progress import Silent
from mien.walk import photos_below
from mien.workspace import Workspace, chip_keys, people_below, valid_person

if TYPE_CHECKING:
    from mien.answers import Answer
    from mien.catalog import Catalog
    from mien.eyes import Eyes
    from mien.journal import Journal
    from mien.protocols import Progress
    from mien.registry import Model
    from mien.settings import Settings
    from mien.stages.align import Aligned
    from mien.stages.check import Checked
    from mien.stages.enrol import Enrolled
    from mien.stages.evaluate import Evaluated, Pick
    from mien.stages.status import Status
    from mien.stages.train import Trained

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


@dataclass(frozen=True, slots=True)
class Learned:
    """What `Album.train` did: it aligned first; `trained` is None where nothing had changed since `version`."""

    aligned: Aligned
    version: str
    trained: Trained | None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        trained = self.trained.to_json() if self.trained else None
        return {"version": self.version, "trained": trained, "aligned": self.aligned.to_json()}


class Album:
    """A folder of photos by person, with its settings, its memory and its models.

    `folder` must be an album already; `settings` given here go before its mien.toml and the environment; `progress` is
    told how long work goes on. Cheap to make: nothing is opened but mien.toml.
    """

    def __init__(self, folder: StrPath, *, progress: Progress | None = None, **settings: object) -> None:
        self._workspace = Workspace.open(Path(folder), settings)
        self._progress = progress or Silent()

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
    def settings(self) -> Settings:
        """What is set for it; a new `Album` reads them anew."""
        return self._workspace.settings

    def add(self, person: str, photos: StrPath | Iterable[StrPath], enrol: bool = False) -> Added:
        """Copies photos, or all photos in folders, in under a person; the originals stay. A photo that cannot be read
        is reported, and the others go in. With `enrol`, the current model learns the person at once, without training:
        see `mien.stages.enrol`."""
        from mien.catalog import Catalog
        from mien.stages.align import find_changes

        name = valid_person(person)
        files = [photo for photo, _ in photos_below(_paths(photos))]
        sources: dict[Path, str] = {}
        known, failures = 0, []
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
            unreadable, enrolled = self._enrol(catalog, model, name)
        return Added(tuple(sources), known, tuple(failures), unreadable, enrolled)

    def align(self) -> Aligned:
        """Looks at what is new, chooses each person's faces, writes their chips."""
        with self._workspace.lock("align"):
            return self._align()

    def train(self) -> Learned:
        """Aligns, then makes a model of all faces and puts it into use; none if it would be the one in use."""
        from mien import registry
        from mien.catalog import Catalog
        from mien.report import write_report
        from mien.stages import train as stage
        from mien.wiring import HEADS, encoder_card

        with self._workspace.lock("train"):
            aligned = self._align()
            models, card = self._workspace.models, encoder_card(self.settings)
            with Catalog.open(self._workspace.local_catalog()) as catalog:
                try:
                    current = self._current()
                except ModelError:
                    current = None  # a damaged model is what this command is the remedy for
                if current is not None and stage.is_current(
                    current, catalog, card, self.settings.head, self.settings.fpir
                ):
                    return Learned(aligned, current.version, None)
                trained = stage.train(
                    catalog, models, card, HEADS, self.settings.head, self.settings.fpir, datetime.now(UTC)
                )
                write_report(self._workspace, trained, current.card if current else None, _places(catalog))
            registry.promote(models, trained.version)
            return Learned(aligned, trained.version, trained)

    def report(self) -> Path:
        """The page that says what the current model is worth. Raises ModelError if there is none."""
        from mien.report import FILE

        page = self._workspace.models / self._model(None).version / FILE
        if not page.is_file():
            raise ModelError(f"{page} is missing.", f"Make a new model with a report: mien -C {self.folder} train")
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

    def _enrol(self, catalog: Catalog, model: Model, person: str) -> tuple[tuple[PhotoError, ...], Enrolled]:
        """What could not be read of the person's new photos, and the model that is in use now."""
        from mien import registry
        from mien.stages.align import align_person
        from mien.stages.enrol import enrol
        from mien.wiring import enrolment

        models = self._workspace.models
        unreadable = align_person(self._workspace, catalog, person, self._eyes, self._progress)
        enrolled = enrol(catalog, models, model, enrolment(model), person, datetime.now(UTC))
        if enrolled.version != model.version:
            registry.promote(models, enrolled.version)
        return unreadable, enrolled

    def _eyes(self) -> Eyes:
        """Those that the settings ask for."""
        from mien.wiring import make_eyes

        return make_eyes(self.settings.precision, self.settings.views)

    def _align(self) -> Aligned:
        from mien.catalog import Catalog
        from mien.stages.align import align

        with Catalog.open(self._workspace.local_catalog()) as catalog:
            aligned = align(self._workspace, catalog, self._eyes, self._progress)
        if not aligned.photos:  # only now, as the memory of photos that are gone had to go too
            raise EmptyAlbumError(
                f"There is no photo of a person in {self._workspace.training}.",
                "Put photos into a folder there for each person, or use `mien add PERSON PHOTO`.",
            )
        return aligned

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
    from mien.journal import Journal
    from mien.stages.annotate import plan_copies
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
    with closing(answers), closing(journal.keep(answers) if journal else answers) as fresh:
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


def _places(catalog: Catalog) -> dict[tuple[str, str], tuple[str, str]]:
    """For (person, SHA-256) the path of a photo in training-images and the key of its chip."""
    keys = chip_keys(catalog.placements())
    return {of: (path, keys[path]) for of, path in catalog.places().items()}
