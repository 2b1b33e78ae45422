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
from mien.workspace import Workspace, people_below, valid_person

if TYPE_CHECKING:
    from mien.answers import Answer
    from mien.eyes import Eyes
    from mien.journal import Journal
    from mien.protocols import Progress
    from mien.registry import Model
    from mien.settings import Settings
    from mien.stages.align import Aligned
    from mien.stages.evaluate import Evaluated, Pick
    from mien.stages.status import Status
    from mien.stages.train import Trained

StrPath = str | os.PathLike[str]
"""Wherever a path is wanted, a string will do."""


@dataclass(frozen=True, slots=True)
class Added:
    """What `add` did: photos copied in (where they lie now), how many were there already, what could not be read."""

    added: tuple[Path, ...]
    known: int
    failures: tuple[PhotoError, ...]


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

    @property
    def folder(self) -> Path:
        """Where it lies, an absolute path."""
        return self._workspace.folder

    @property
    def settings(self) -> Settings:
        """What is set for it; a new `Album` reads them anew."""
        return self._workspace.settings

    def add(self, person: str, photos: StrPath | Iterable[StrPath]) -> Added:
        """Copies photos, or all photos in folders, in under a person; the originals stay. A photo that cannot be read
        is reported, and the others go in."""
        from mien.catalog import Catalog
        from mien.stages.align import find_changes

        name = valid_person(person)
        files = [photo for photo, _ in photos_below(_paths(photos))]
        sources: dict[Path, str] = {}
        known, failures = 0, []
        with self._workspace.lock("add"), Catalog.open(self._workspace.local_catalog()) as catalog:
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
        return Added(tuple(sources), known, tuple(failures))

    def align(self) -> Aligned:
        """Looks at what is new, chooses each person's faces, writes their chips."""
        with self._workspace.lock("align"):
            return self._align()

    def train(self) -> Learned:
        """Aligns, then makes a model of all faces and puts it into use; none if it would be the one in use."""
        from mien import registry
        from mien.catalog import Catalog
        from mien.stages import train as stage
        from mien.wiring import encoder_card, fit_head

        with self._workspace.lock("train"):
            aligned = self._align()
            models, card = self._workspace.models, encoder_card(self.settings)
            with Catalog.open(self._workspace.local_catalog()) as catalog:
                try:
                    current = self._current()
                except ModelError:
                    current = None  # a damaged model is what this command is the remedy for
                if current is not None and stage.is_current(current, catalog, card, self.settings.fpir):
                    return Learned(aligned, current.version, None)
                trained = stage.train(catalog, models, card, fit_head, self.settings.fpir, datetime.now(UTC))
            registry.promote(models, trained.version)
            return Learned(aligned, trained.version, trained)

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
        from mien.journal import Journal
        from mien.stages.annotate import plan_copies
        from mien.wiring import eyes_of

        if top < 1:
            raise UsageError(f"top = {top} asks for no name.", "Ask for at least 1.")
        named = _paths(photos)
        found = photos_below(named)
        chosen = self._model(model)
        make_eyes = partial(eyes_of, chosen)
        make_eyes()
        copies = None if annotate is None else plan_copies(Path(annotate), found)
        is_long = any(path.is_dir() for path in named)
        journal = Journal(self._workspace.journals, chosen.version, top, named) if is_long else None
        return self._answers([photo for photo, _ in found], chosen, make_eyes, top, copies, journal)

    def _answers(
        self,
        photos: Sequence[Path],
        model: Model,
        make_eyes: Callable[[], Eyes],
        top: int,
        copies: Mapping[Path, Path] | None,
        journal: Journal | None,
    ) -> Iterator[Answer]:
        from mien.stages.annotate import annotate
        from mien.stages.classify import classify

        done = journal.read() if journal else {}
        if done:
            self._progress.note(
                f"Going on with an interrupted run: {len(done):,} of {len(photos):,} photos are answered."
            )
        todo = [photo for photo in photos if str(photo) not in done]
        self._progress.start("Classifying", len(photos))
        answers = classify(todo, model, make_eyes, top, self.settings.workers)
        with closing(answers), closing(journal.keep(answers) if journal else answers) as fresh:
            for photo in photos:
                answer = done.pop(str(photo), None) or next(fresh)
                if copies is not None:
                    annotate(answer, copies[photo])
                self._progress.advance()
                yield answer
            for _ in fresh:  # nothing is left, but the journal closes itself only after the last
                pass
        self._progress.finish()

    def status(self) -> Status:
        """What is in the album, what model is in use, and what is stale. Changes nothing."""
        from mien.stages.status import status
        from mien.wiring import encoder_card

        return status(self._workspace, encoder_card(self.settings), self._current)

    def _align(self) -> Aligned:
        from mien.catalog import Catalog
        from mien.stages.align import align
        from mien.wiring import make_eyes

        settings = self.settings
        with Catalog.open(self._workspace.local_catalog()) as catalog:
            make = partial(make_eyes, settings.precision, settings.views)
            aligned = align(self._workspace, catalog, make, self._progress)
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


def _paths(given: StrPath | Iterable[StrPath]) -> list[Path]:
    """One path or several, as a list."""
    return [Path(given)] if isinstance(given, (str, os.PathLike)) else [Path(path) for path in given]
