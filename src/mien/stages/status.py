"""status: what is in an album, what model is in use, and what is stale. Reads, and changes nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from mien.encoders.listing import advice
from mien.errors import EncoderError, MienError, ModelError, StorageError
from mien.learning.own_face import rule
from mien.open_album import OpenAlbum
from mien.records.asked import NOTHING, Remembered, remembered
from mien.records.faces import SeenFile
from mien.records.files import Drift
from mien.records.removals import Removal
from mien.registry.folder import Model
from mien.storage.layout import TRAINING, shown
from mien.storage.walk import LeftOut, Shelved
from mien.text.findings import LeftOutCount, LeftOutKind, MemoryKind, StaleKind, of_records
from mien.text.kinds import Kind
from mien.types import Finding


@dataclass(frozen=True, slots=True)
class PersonStatus:
    """`photos` on disk, and the `faces` chosen from them so far."""

    name: str
    photos: int
    faces: int


@dataclass(frozen=True, slots=True)
class ModelStatus:
    """The model in use: how many `people` and `photos` it knows, which of the photos did not count (`left_out`), and
    when it says unknown. `trained` says whether a training stands behind it, which measured it."""

    version: str
    people: int
    photos: int
    left_out: tuple[str, ...]
    threshold: float
    fpir: float
    trained: bool


@dataclass(frozen=True, slots=True)
class Status:
    """`encoder` is the one that the settings name, and `advice` what a better one would bring. `stale` is what the
    model or the catalog does not know yet. `waiting` counts the photos in the intakes, which are not merged yet.
    `damaged` says what is wrong with the model in use, if it cannot be loaded, and `damage` what of the ledger is out
    of use, as it is not what mien wrote. `removed` may not come back until a human adds them again. `closed` is what
    cannot be looked at in training-images and the intakes; the photos there that mien knows are counted with the
    others. `left_out` counts the files in training-images that teach nothing, by reason, and `refused` what the sources
    offered in vain."""

    folder: Path
    basis: str
    encoder: str
    advice: Finding | None
    photos: int
    waiting: int
    people: tuple[PersonStatus, ...]
    minimum: int
    faceless: int
    unreadable: int
    model: ModelStatus | None
    damaged: MienError | None
    stale: tuple[Finding, ...]
    damage: tuple[Finding, ...]
    removed: tuple[Removal, ...]
    closed: tuple[LeftOut, ...] = ()
    remembered: Remembered = NOTHING
    """How much the album remembers of photos that were only asked about."""
    left_out: tuple[Finding, ...] = ()
    refused: tuple[Finding, ...] = ()

    @property
    def empty(self) -> int:
        """How many of the people have no photo."""
        return sum(not person.photos for person in self.people)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self) | {
            "folder": str(self.folder),
            "advice": self.advice.line if self.advice else None,
            "damaged": str(self.damaged) if self.damaged else None,
            "stale": [finding.why for finding in self.stale],
            "damage": [finding.line for finding in self.damage],
            "removed": [{"person": one.name or None, "on": one.on} for one in self.removed],
            "closed": [one.to_json() for one in self.closed],
            "left_out": {str(one.kind): one.figures["files"] for one in self.left_out},
            "refused": {str(one.kind): one.figures["files"] for one in self.refused},
        }


def status(album: OpenAlbum) -> Status:
    """How the album stands with the settings as they are."""
    training = album.walk([TRAINING])
    waiting = album.walk(album.layout.intakes())
    known = album.catalog.files.on([TRAINING])
    hidden = training.hidden(file.path for file in known)
    on_disk = Counter([file.person for file in training.files] + [file.person for file in known if file.path in hidden])
    people = sorted({*training.people, *on_disk})
    try:
        seen = album.catalog.faces.on([TRAINING], album.encoder).files
        missing = list[Finding]()
    except EncoderError:
        seen, missing = (), [Finding(StaleKind.NO_ENCODER, figures={"encoder": album.settings.encoder})]
    faces = Counter(file.person for file in seen if file.own >= 0)
    damaged = None
    try:
        model = album.model()
    except (ModelError, StorageError) as error:
        model, damaged = None, error
    stale = missing or _unseen(album, sum(not file.seen for file in seen))
    if rows := album.catalog.damage_found:
        stale.append(Finding(StaleKind.DAMAGED, figures={"rows": rows}))
    stale += _drifted(album.catalog.files.drift(training))
    if model and not missing:
        stale += _behind(album, model)
    return Status(
        folder=album.folder,
        basis=album.settings.basis,
        encoder=album.settings.encoder,
        advice=advice(album.settings.encoder, album.folder),
        photos=on_disk.total(),
        waiting=len(waiting.files),
        people=tuple(PersonStatus(name, on_disk[name], faces[name]) for name in people),
        minimum=album.settings.minimum,
        faceless=sum(bool(file.phash) and not file.faces for file in seen),
        unreadable=sum(file.fault is not None for file in seen),
        model=_model_status(album, model) if model else None,
        damaged=damaged,
        stale=tuple(stale),
        damage=_damage(album),
        removed=tuple(one for one in album.ledger.removals.people() if one.name not in people),
        closed=(*training.closed, *waiting.closed),
        remembered=remembered(album.layout.asked_file),
        left_out=_left_out(album, training, seen),
        refused=_refused(album),
    )


def _left_out(album: OpenAlbum, training: Shelved, seen: Sequence[SeenFile]) -> tuple[Finding, ...]:
    """How many files in training-images teach nothing, by reason; what cannot be looked at is told by itself."""
    counts = Counter(_COUNTED[one.kind] for one in training.left_out if one.kind in _COUNTED)
    counts[LeftOutCount.UNREADABLE] = sum(file.fault is not None for file in seen)
    counts[LeftOutCount.NO_FACE] = sum(bool(file.phash) and not file.faces for file in seen)
    if album.settings.skip_multi:
        counts[LeftOutCount.SEVERAL] = sum(file.faces > 1 for file in seen)
    return tuple(Finding(kind, figures={"files": counts[kind]}) for kind in LeftOutCount if counts[kind])


_COUNTED: Mapping[Kind, LeftOutCount] = {
    LeftOutKind.UNSUPPORTED: LeftOutCount.UNSUPPORTED,
    LeftOutKind.NO_PERSON: LeftOutCount.NO_PERSON,
    LeftOutKind.LINKED_FOLDER: LeftOutCount.LINK,
    LeftOutKind.NOT_UNICODE: LeftOutCount.NOT_UNICODE,
}
"""How files that no walk takes for photos are counted."""


def _refused(album: OpenAlbum) -> tuple[Finding, ...]:
    """How much the sources offered that is no photo, or could not be had."""
    history = album.ledger.history
    refused = sum(len(history.refused(name)) for name in album.settings.sources)
    failed = sum(len(history.failures(name)) for name in album.settings.sources)
    counts = ((LeftOutCount.REFUSED, refused), (LeftOutCount.NOT_HAD, failed))
    return tuple(Finding(kind, figures={"files": number}) for kind, number in counts if number)


def _model_status(album: OpenAlbum, model: Model) -> ModelStatus:
    photos = sum(map(len, model.card.photos.values()))
    places = album.catalog.files.places(TRAINING) if model.card.left_out else {}
    left_out = (places.get((person, photo)) for person, some in model.card.left_out.items() for photo in some)
    return ModelStatus(
        model.version,
        len(model.people),
        photos,
        tuple(sorted(shown(path) for path in left_out if path)),
        model.threshold.value,
        model.fpir,
        model.is_trained,
    )


def _damage(album: OpenAlbum) -> tuple[Finding, ...]:
    """What of the ledger was ever found damaged."""
    tables = album.ledger.damaged()
    if not tables:
        return ()
    rows, file = sum(tables.values()), str(album.layout.ledger_at)
    return (Finding(MemoryKind.LEDGER, figures={"rows": rows, "of": of_records(tables), "file": file}),)


def _unseen(album: OpenAlbum, unseen: int) -> list[Finding]:
    """What the catalog knows of and has not seen, or not chosen from, with the present settings."""
    if unseen:
        return [Finding(StaleKind.NOT_SEEN, figures={"photos": unseen})]
    waiting = album.catalog.faces.to_choose(album.encoder, rule(album.encoder, album.settings.skip_multi))
    return [Finding(StaleKind.NOT_CHOSEN, figures={"people": len(waiting)})] if waiting else []


def _drifted(drift: Drift) -> list[Finding]:
    """What is on disk and not in the catalog, or the other way about."""
    counts = ((StaleKind.NEW, drift.new), (StaleKind.CHANGED, drift.changed), (StaleKind.GONE, drift.gone))
    return [Finding(kind, figures={"photos": number}) for kind, number in counts if number]


def _behind(album: OpenAlbum, model: Model) -> list[Finding]:
    """In what the model differs from one that would be trained now."""
    if model.encoder_id != album.encoder:
        return [Finding(StaleKind.OTHER_SETTINGS)]
    found = []
    if model.fpir != album.settings.fpir:
        found.append(Finding(StaleKind.OTHER_FPIR, figures={"of_model": model.fpir, "set": album.settings.fpir}))
    if model.enrolled_since_fit:
        kind = StaleKind.ENROLLED if model.is_trained else StaleKind.NEVER_TRAINED
        found.append(Finding(kind, figures={"photos": model.enrolled_since_fit}))
    if not album.has_catalog:
        return found  # without a catalog nobody can tell which photos have a face to learn from
    used = {(person, photo) for person, photos in model.card.photos.items() for photo in photos}
    chosen = album.catalog.faces.training_photos(album.encoder)
    have = {(person, photo) for person, photos in chosen.items() for photo in photos}
    lost = used - have
    unseen = len(lost & album.catalog.files.places(TRAINING).keys()) if lost else 0
    counts = (
        (StaleKind.NOT_LEARNED, len(have - used)),
        (StaleKind.UNSEEN, unseen),
        (StaleKind.LEFT_ALBUM, len(lost) - unseen),
    )
    return found + [Finding(kind, figures={"photos": number}) for kind, number in counts if number]
