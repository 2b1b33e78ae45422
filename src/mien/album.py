"""`Album`, mien's public face: one method a verb.

    album = Album("club")                   # an existing album; Album.create makes one
    album.add("Ada", ["ada.jpg"])
    album.train()
    for answer in album.classify(["party.jpg"]): ...

Every method may raise the errors of `mien.errors`. Methods that write hold the album's lock while they do.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from mien.errors import EmptyAlbumError, ModelError, PhotoError
from mien.progress import Silent
from mien.walk import photos_below
from mien.workspace import Workspace, people_below, valid_person

if TYPE_CHECKING:
    from mien.answers import Answer
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
        return self._workspace.folder

    @property
    def settings(self) -> Settings:
        return self._workspace.settings

    def add(self, person: str, photos: Iterable[StrPath]) -> Added:
        """Copies photos, or all photos in folders, in under a person; the originals stay. A photo that cannot be read
        is reported, and the others go in."""
        from mien.catalog import Catalog
        from mien.stages.align import find_changes

        name = valid_person(person)
        files = [photo for photo, _ in photos_below(Path(photo) for photo in photos)]
        sources: dict[Path, str] = {}
        known, failures = 0, []
        with self._workspace.lock("add"), Catalog.open(self._workspace.local_catalog()) as catalog:
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
            find_changes(self._workspace, catalog, sources)  # now, while it is known where they came from
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
            if not aligned.photos:
                raise EmptyAlbumError(
                    f"There is no photo in {self._workspace.training}.",
                    "Put photos into a folder there for each person, or use `mien add PERSON PHOTO`.",
                )
            models, card = self._workspace.models, encoder_card(self.settings)
            with Catalog.open(self._workspace.local_catalog()) as catalog:
                current = self._current()
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
        photos: Iterable[StrPath],
        top: int = 3,
        annotate: StrPath | None = None,
        model: StrPath | None = None,
    ) -> Iterator[Answer]:
        """An answer for each photo, folders walked, in order, as they are ready. With `annotate`, copies with boxes and
        names go into that folder. A run over folders that was interrupted goes on where it stopped."""
        from mien.journal import Journal
        from mien.stages.annotate import annotate as draw
        from mien.stages.classify import classify
        from mien.wiring import eyes_of

        named = [Path(photo) for photo in photos]
        found = photos_below(named)
        chosen = self._model(model)
        journal = (
            Journal(self._workspace.journals, chosen.version, top, named) if any(p.is_dir() for p in named) else None
        )
        done = journal.read() if journal else {}
        if done:
            self._progress.note(
                f"Going on with an interrupted run: {len(done):,} of {len(found):,} photos are answered."
            )
        todo = [photo for photo, _ in found if str(photo) not in done]
        fresh = classify(todo, chosen, lambda: eyes_of(chosen), top, self.settings.workers)
        if journal:
            fresh = journal.keep(fresh)
        self._progress.start("Classifying", len(found))
        for photo, relative in found:
            answer = done.get(str(photo)) or next(fresh)
            if annotate is not None:
                draw(answer, Path(annotate, relative))
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
            return align(self._workspace, catalog, make, self._progress)

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
