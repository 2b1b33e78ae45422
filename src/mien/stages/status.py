"""status: what is in an album, what model is in use, and what is stale. Reads, and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.errors import ModelError
from mien.learning.own_face import rule
from mien.records.catalog import Catalog, Drift
from mien.registry import EncoderCard, Model
from mien.storage.layout import Training, Workspace
from mien.text.words import count


@dataclass(frozen=True, slots=True)
class PersonStatus:
    """`photos` on disk, and the `faces` chosen from them so far."""

    name: str
    photos: int
    faces: int


@dataclass(frozen=True, slots=True)
class ModelStatus:
    version: str
    people: int
    photos: int
    threshold: float
    fpir: float


@dataclass(frozen=True, slots=True)
class Status:
    """`stale` says in words what the model or the catalog does not know yet; `next_step` what to do about it. `waiting`
    counts the photos in the intakes, which are not merged yet."""

    folder: Path
    basis: str
    photos: int
    waiting: int
    people: tuple[PersonStatus, ...]
    minimum: int
    faceless: int
    unreadable: int
    model: ModelStatus | None
    stale: tuple[str, ...]
    next_step: str

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self) | {"folder": str(self.folder)}


def status(workspace: Workspace, encoder: EncoderCard, current: Callable[[], Model | None]) -> Status:
    """`encoder` is the one that the settings ask for; `current` loads the model in use."""
    training = workspace.walk_training()
    on_disk = Counter(placement.person for placement in training.placements)
    stale: list[str] = []
    try:
        model = current()
    except ModelError as error:
        model = None
        stale.append(str(error))
    faces: dict[str, int] = {}
    faceless = unreadable = 0
    photos_of: dict[str, list[str]] | None = None
    drift = Drift(len(training.placements), 0, 0)
    if workspace.catalog_file.is_file():
        with Catalog.open(workspace.catalog_file) as catalog:
            summary = catalog.summary(encoder.id)
            faces = {person.name: person.enrolled for person in summary.people}
            faceless, unreadable = len(summary.faceless), len(summary.failures)
            drift = catalog.drift(training)
            photos_of = catalog.training_photos(encoder.id)
            unseen = sum(person.unseen for person in summary.people)
            waiting = len(catalog.to_choose(rule(encoder.id, workspace.settings.skip_multi)))
            if unseen:
                stale.append(f"{count(unseen, 'photo')} not looked at with the present settings")
            elif waiting:
                stale.append(f"{count(waiting, 'person', 'people')} whose faces are to be chosen again")
    stale += _drifted(drift)
    if model:
        stale += _behind(model, encoder, workspace.settings.fpir, photos_of)
    return Status(
        folder=workspace.folder,
        basis=workspace.settings.basis,
        photos=len(training.placements),
        waiting=len(workspace.walk_intakes().placements),
        people=tuple(PersonStatus(name, on_disk[name], faces.get(name, 0)) for name in training.people),
        minimum=workspace.settings.minimum,
        faceless=faceless,
        unreadable=unreadable,
        model=ModelStatus(
            model.version,
            len(model.people),
            sum(map(len, model.card.photos.values())),
            model.threshold.value,
            model.fpir,
        )
        if model
        else None,
        stale=tuple(stale),
        next_step=_next_step(workspace, training),
    )


def _drifted(drift: Drift) -> list[str]:
    """What is on disk and not in the catalog, or the other way about."""
    words = (
        (drift.new, "new in training-images, not looked at yet"),
        (drift.changed, "changed since it was looked at"),
        (drift.gone, "gone from training-images; the next run forgets it"),
    )
    return [f"{count(number, 'photo')} {what}" for number, what in words if number]


def _behind(model: Model, encoder: EncoderCard, fpir: float, photos_of: dict[str, list[str]] | None) -> list[str]:
    """In what the model differs from one that would be trained now; `photos_of` is None before the first look."""
    if model.encoder_id != encoder.id:
        return ["the model was made with other settings of precision or views, or another version of mien"]
    lines = [] if model.fpir == fpir else [f"the model's FPIR is {model.fpir:g}, the setting {fpir:g}"]
    if model.enrolled_since_fit:
        enrolled = count(model.enrolled_since_fit, "photo")
        lines.append(f"{enrolled} enrolled or removed since the last training, which measured the model otherwise")
    if photos_of is None:
        return lines
    used = {(person, photo) for person, photos in model.card.photos.items() for photo in photos}
    have = {(person, photo) for person, photos in photos_of.items() for photo in photos}
    if have - used:
        lines.append(f"{count(len(have - used), 'photo')} not in the model yet")
    if used - have:
        lines.append(f"{count(len(used - have), 'photo')} in the model and no longer in the album")
    return lines


def _next_step(workspace: Workspace, training: Training) -> str:
    if not training.placements:
        return f"put photos into {workspace.training}/<person>/"
    return f"mien -C {workspace.folder} train"
