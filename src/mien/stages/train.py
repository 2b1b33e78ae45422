"""train: a head from the faces that an album has chosen, its threshold, its calibration, its figures.

Goes in: an album that `align` brought up to date. Comes out: a `Trained`, with the model as it is to be written;
nothing is written here. The same album gives the same model, the time of its making aside.

What is said of a model (figures, calibration, threshold, which head is best) comes from heads that were fitted without
the faces asked about; the head in the model is then refitted on every face.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

import numpy as np

from mien.errors import NoFaceError, UsageError
from mien.learning.crossval import HeldOut, held_out, log_loss, split
from mien.learning.false_alarms import count_bystanders, count_masked
from mien.learning.figures import ModelFigures, measure
from mien.learning.head import FittedHead, HeadOption, weights
from mien.learning.openset import Threshold, fit_open_set
from mien.open_album import OpenAlbum
from mien.registry.card import FalseAlarms, HeadCard, worst_first
from mien.registry.folder import Draft, Model
from mien.types import Cosines, Floats

if TYPE_CHECKING:
    from mien.records.faces import TrainingSet

PRIOR_FACES = 200
"""What a head brought elsewhere (`HeadOption.prior_cost`) counts for as much as what this many faces of the album say:
which of two heads is better shows only in the few faces that are hard."""

TIE = 0.001
"""Nats by which a head must be better than a simpler one to be chosen over it."""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model that is not written yet (`draft`), and how good it is.

    `faces` is what it was made of; `left_out` of the photos contradict their person's others and did not count. `held`
    are the scores of heads fitted without the faces asked about, and `measured` what they come to. `bystanders` is how
    many faces of the album are nobody's own.
    """

    draft: Draft
    cosines: Cosines
    faces: TrainingSet
    left_out: int
    held: HeldOut
    measured: ModelFigures
    bystanders: int

    @property
    def people(self) -> int:
        return len(self.faces.people)

    @property
    def photos(self) -> int:
        return len(self.faces.sha256)

    @property
    def head(self) -> str:
        """The name of the head that was chosen."""
        return self.draft.chosen.name

    @property
    def tried(self) -> dict[str, float]:
        """What each head that was tried costs a face, in nats."""
        return self.draft.chosen.tried

    @property
    def threshold(self) -> Threshold:
        return self.draft.threshold

    @property
    def note(self) -> str:
        """Where the threshold comes from, in words."""
        return " ".join(finding.why for finding in self.threshold.findings)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "people": self.people,
            "photos": self.photos,
            "left_out": self.left_out,
            "head": self.head,
            "tried": self.tried,
            "threshold": self.threshold.value,
            "fpir": self.threshold.fpir,
            "note": self.note,
            "measured": self.measured.figures(),
            "false_alarms": {
                "masked": self.measured.fpir.of,
                "bystanders": self.bystanders,
                "people": [
                    {"person": person, "masked": one.masked, "bystanders": one.bystanders}
                    for person, one in worst_first(self.draft.false_alarms)
                ],
            },
        }


def train(album: OpenAlbum) -> Trained:
    """Chooses a head and fits a model of all chosen faces, as the settings say. Raises NoFaceError if no photo shows a
    face, UsageError if the head wanted cannot be had."""
    faces, settings, cosines = album.catalog.faces.training_set(album.encoder), album.settings, album.cosines
    if not faces.sha256:
        raise NoFaceError(
            str(album.folder),
            "has no photo in which a face was found",
            "Add photos that show faces, larger ones if you can.",
        )
    people, weight = len(faces.people), weights(faces.overall)
    option, tried, held = choose_head(faces, weight, cosines, album.tools.heads, settings.head)
    threshold, calibration = fit_open_set(held, faces.person, people, settings.fpir, option.scale, cosines)
    measured = measure(held, faces.person, threshold, calibration)
    head = option.fit_for(cosines)(faces.embeddings, faces.person, people, weight)

    photos: dict[str, list[str]] = defaultdict(list)
    for person, sha256 in zip(faces.person, faces.sha256, strict=True):
        photos[faces.people[person]].append(sha256)
    left_out = int(np.sum(~head.counted))
    false_alarms, bystanders = _false_alarms(album, faces.people, held, head, threshold.value)
    draft = Draft(
        people=faces.people,
        head=head,
        threshold=threshold,
        calibration=calibration,
        encoder=album.encoder_card,
        chosen=HeadCard(name=option.name, tried=tried),
        photos=photos,
        counts={
            "photos": len(faces.sha256),
            "left_out": left_out,
            "bystanders": bystanders,
            **measured.counts(),
        },
        metrics=measured.figures(),
        created=album.clock(),
        false_alarms=false_alarms,
    )
    return Trained(draft, cosines, faces, left_out, held, measured, bystanders)


def _false_alarms(
    album: OpenAlbum, people: Sequence[str], held: HeldOut, head: FittedHead, threshold: float
) -> tuple[dict[str, FalseAlarms], int]:
    """Everybody whose name strangers would get, with how many; and how many bystanders there are."""
    masked = count_masked(held, len(people), threshold)
    named, bystanders = count_bystanders(head, album.catalog.faces.bystanders(album.encoder), threshold)
    found = {
        people[number]: FalseAlarms(masked=int(masked[number]), bystanders=int(named[number]))
        for number in np.flatnonzero(masked + named).tolist()
    }
    return found, bystanders


def choose_head(
    faces: TrainingSet, weight: Floats, cosines: Cosines, heads: Sequence[HeadOption], wanted: str
) -> tuple[HeadOption, dict[str, float], HeldOut]:
    """Chooses a head by cross-validation, or takes the one `wanted`: the head, what each head tried costs a face in
    nats, by name, and the held-out scores of the chosen one. `weight` (N,) is what each face of the album counts.
    Raises UsageError if the head wanted cannot be had."""
    fold = split(faces.sha256, faces.person, faces.embeddings, cosines)
    people, count = len(faces.people), len(faces.sha256)

    def judge(option: HeadOption) -> HeldOut:
        return held_out(option.fit_for(cosines), faces.embeddings, faces.person, people, weight, fold)

    if wanted != "auto":
        named = next((option for option in heads if option.name == wanted), None)
        if named is None:
            known = ", ".join(option.name for option in heads)
            raise UsageError(
                f"The head {wanted}", "is not known", f'There are {known}, and "auto", which chooses among them.'
            )
        if why := named.hindrance(count, people):
            raise UsageError(f"The head {wanted}", why, 'Set head = "auto" in mien.toml.')
        held = judge(named)
        return named, {named.name: round(float(log_loss(held, faces.person).mean()), 6)}, held

    options = [option for option in heads if not (option.only_if_named or option.hindrance(count, people))]
    held_by = [judge(option) for option in options]
    costs = [float(log_loss(held, faces.person).mean()) for held in held_by]
    best = cheapest(options, costs, count)
    tried = {option.name: round(cost, 6) for option, cost in zip(options, costs, strict=True)}
    return options[best], tried, held_by[best]


def cheapest(options: Sequence[HeadOption], costs: Sequence[float], faces: int) -> int:
    """The number of the head to take, where these heads, the simpler first, cost so many nats a face in an album of so
    many faces. What a head brought elsewhere counts, too; see `PRIOR_FACES` and `TIE`."""
    best, least = 0, math.inf
    for number, (option, cost) in enumerate(zip(options, costs, strict=True)):
        believed = (faces * (cost - costs[0]) + PRIOR_FACES * option.prior_cost) / (faces + PRIOR_FACES)
        if believed < least - TIE:
            best, least = number, believed
    return best


def is_up_to_date(album: OpenAlbum, model: Model) -> bool:
    """Whether training now would make `model` again: of the same photos of the same people, in the same way."""
    card, settings = model.card, album.settings
    if model.enrolled_since_fit:
        return False  # head, threshold and calibration were chosen without what was enrolled
    # "auto" tries several; a head that was asked for was the only one tried.
    same_head = len(card.head.tried) > 1 if settings.head == "auto" else card.head.name == settings.head
    same_way = card.encoder == album.encoder_card and model.fpir == settings.fpir and same_head
    if not (same_way and card.packages["mien"] == metadata.version("mien")):
        return False
    return card.photos == album.catalog.faces.training_photos(album.encoder)
