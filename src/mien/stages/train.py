"""train: a head from the faces that an album has chosen, its threshold, its calibration, its card.

Goes in: a catalog that `align` brought up to date. Comes out: a new version in models/, and a `Trained` that describes
it; making it the current one is the caller's decision. The same album gives the same files, times and ids aside.

What is said of a model (metrics, calibration, threshold, which head is best) comes from heads that were fitted without
the faces asked about; the head that ships is then refitted on every face.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import NoFaceError, UsageError
from mien.learning.crossval import HeldOut, held_out, log_loss, split
from mien.learning.figures import Measured, measure
from mien.learning.head import Fit, weights
from mien.learning.openset import PLAIN, Scale, Threshold, fit_open_set
from mien.registry import EncoderCard, HeadCard, Model, Provenance, write_model
from mien.types import Floats

if TYPE_CHECKING:  # wiring names this stage's heads, also for `classify`, which needs no database
    from mien.records.catalog import Catalog, TrainingSet

PRIOR_FACES = 200
"""What a head brought elsewhere (`HeadOption.brought`) counts for as much as what this many faces of the album say:
which of two heads is better shows only in the few faces that are hard."""

TIE = 0.001
"""Nats by which a head must be better than a simpler one to be chosen over it."""


@dataclass(frozen=True, slots=True)
class HeadOption:
    """A head that may be chosen: `brought` is how many nats a face it cost more than prototypes on other albums (less
    than 0: better), and `scale` how its scores of strangers lie. It can be had where there are `fewest_spare` photos
    more than people, and photos times people are at most `most_work`; `only_if_named` heads are never chosen by
    themselves."""

    name: str
    fit: Fit
    brought: float
    scale: Scale = PLAIN
    fewest_spare: int = 0
    most_work: float = math.inf
    only_if_named: bool = False

    def hindrance(self, photos: int, people: int) -> str | None:
        """Why it cannot be had for an album of this size, if it cannot."""
        if photos - people < self.fewest_spare:
            return f"needs {self.fewest_spare} photos more than people"
        if photos * people > self.most_work:
            return f"is too slow for {photos:,} photos of {people:,} people"
        return None


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A new version: what it was made of, the head chosen and what each head tried cost, and what it is worth, with the
    held-out scores that say so."""

    version: str
    created: datetime
    encoder: EncoderCard
    album: TrainingSet
    left_out: int
    head: str
    tried: dict[str, float]
    held: HeldOut
    threshold: Threshold
    measured: Measured

    @property
    def people(self) -> int:
        return len(self.album.people)

    @property
    def photos(self) -> int:
        return len(self.album.sha256)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "version": self.version,
            "people": self.people,
            "photos": self.photos,
            "left_out": self.left_out,
            "head": self.head,
            "tried": self.tried,
            "threshold": self.threshold.value,
            "fpir": self.threshold.fpir,
            "note": self.threshold.note,
            "measured": self.measured.figures(),
        }


def train(
    catalog: Catalog,
    models: Path,
    encoder: EncoderCard,
    heads: Sequence[HeadOption],
    wanted: str,
    fpir: float,
    now: datetime,
) -> Trained:
    """Chooses, fits and writes a model; `wanted` is a head's name or "auto". Raises NoFaceError if no photo shows a
    face, UsageError if the head wanted cannot be had; StorageError."""
    album = catalog.training_set(encoder.id)
    if not album.sha256:
        raise NoFaceError(
            "No face was found in any photo of the album.", "Add photos that show faces, larger ones if you can."
        )
    people, weight = len(album.people), weights(album.overall)
    option, tried, held = choose_head(album, weight, heads, wanted)
    threshold, calibration = fit_open_set(held, album.person, people, fpir, option.scale)
    measured = measure(held, threshold, calibration)
    head = option.fit(album.embeddings, album.person, people, weight)

    photos: dict[str, list[str]] = defaultdict(list)
    for person, sha256 in zip(album.person, album.sha256, strict=True):
        photos[album.people[person]].append(sha256)
    left_out = int(np.sum(~head.counted))
    provenance = Provenance(
        encoder,
        HeadCard(name=option.name, tried=tried),
        photos,
        {"photos": len(album.sha256), "left_out": left_out, **measured.counts()},
        measured.figures(),
    )
    version = write_model(models, album.people, head, threshold, calibration, provenance, now)
    return Trained(version, now, encoder, album, left_out, option.name, tried, held, threshold, measured)


def choose_head(
    album: TrainingSet, weight: Floats, heads: Sequence[HeadOption], wanted: str
) -> tuple[HeadOption, dict[str, float], HeldOut]:
    """The head by cross-validation, what each tried costs a face, and the held-out scores of the one chosen."""
    fold = split(album.sha256, album.person, album.embeddings)
    people, faces = len(album.people), len(album.sha256)

    def judge(option: HeadOption) -> HeldOut:
        return held_out(option.fit, album.embeddings, album.person, people, weight, fold)

    if wanted != "auto":
        named = next((option for option in heads if option.name == wanted), None)
        if named is None:
            known = ", ".join(option.name for option in heads)
            raise UsageError(
                f"The head {wanted} is not known.", f'There are {known}, and "auto", which chooses among them.'
            )
        if why := named.hindrance(faces, people):
            raise UsageError(f"The head {wanted} {why}.", 'Set head = "auto" in mien.toml.')
        held = judge(named)
        return named, {named.name: round(float(log_loss(held, album.person).mean()), 6)}, held

    tried: dict[str, float] = {}
    best: tuple[HeadOption, HeldOut, float] | None = None
    for option in heads:
        if option.only_if_named or option.hindrance(faces, people):
            continue
        held = judge(option)
        cost = float(log_loss(held, album.person).mean())
        tried[option.name] = round(cost, 6)
        believed = (faces * (cost - tried[heads[0].name]) + PRIOR_FACES * option.brought) / (faces + PRIOR_FACES)
        if best is None or believed < best[2] - TIE:
            best = option, held, believed
    assert best is not None  # the first head is always tried
    return best[0], tried, best[1]


def is_current(model: Model, catalog: Catalog, encoder: EncoderCard, wanted: str, fpir: float) -> bool:
    """Whether training now would make the same model: of the same photos of the same people, in the same way."""
    card = model.card
    album = {person: sorted(photos) for person, photos in catalog.training_photos(encoder.id).items()}
    if model.enrolled_since_fit:
        return False  # head, threshold and calibration were chosen without what was enrolled
    # "auto" tries several; a head that was asked for was the only one tried.
    same_head = len(card.head.tried) > 1 if wanted == "auto" else card.head.name == wanted
    same_way = card.encoder == encoder and model.fpir == fpir and same_head
    return same_way and card.packages["mien"] == metadata.version("mien") and card.photos == album
