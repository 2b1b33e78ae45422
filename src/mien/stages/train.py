"""train: a head from the faces that an album has chosen, its threshold, its calibration, its figures.

Goes in: an album that `align` brought up to date. Comes out: a `Trained`, with the model as it is to be written;
nothing is written here. The same album gives the same model, the time of its making aside.

What is said of a model (figures, calibration, threshold, which head is best) comes from heads that were fitted without
the faces asked about; the head in the model is then refitted on every face.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from importlib import metadata
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import numpy as np

from mien.errors import NoFaceError, UsageError
from mien.learning.crossval import HeldOut, asked_about, held_out, log_loss, split
from mien.learning.false_alarms import count_bystanders, count_masked
from mien.learning.figures import ModelFigures, measure
from mien.learning.head import FittedHead, HeadOption, Scale, weights
from mien.learning.labels import find
from mien.learning.openset import Calibration, Threshold, fit_open_set, scale_for, usual_photos
from mien.open_album import OpenAlbum
from mien.registry.card import FalseAlarms, HeadCard, worst_first
from mien.registry.folder import Draft, Model
from mien.storage.layout import TRAINING, shown
from mien.text.models import ThresholdKind
from mien.types import Cosines, Finding, Floats

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mien.learning.cosines import Measured
    from mien.learning.head import Ints
    from mien.records.faces import TrainingSet

ASKED: Final = "asked"
"""Among a card's counts, where its figures are of a sample: how many faces were asked about."""

STANDARD_ERRORS = 2.0
"""A head is passed over if it costs more than a simpler one by more than this many standard errors of the difference.

Breiman et al. ("Classification and Regression Trees", 1984) take the simplest model within one standard error of the
best. Here the better one is known beforehand, from other albums and with every encoder tried, and an album only says
where that is not so: in 31 albums drawn of LFW and the web, with two encoders, the costs went with what strangers and
known people then got as little as dice (docs/benchmarks.md, "Which head").
"""


@dataclass(frozen=True, slots=True, eq=False)
class Trained:
    """A model that is not written yet (`draft`), and how good it is.

    `faces` is what it was made of. `left_out` are the photos that did not count: those under a wrong name, which are
    not among `faces` (`mien.learning.labels`), and those that contradict their person's others. `held` are the scores
    of heads fitted without the faces asked about, and `measured` what they come to; faces of people who were not asked
    about (`mien.learning.crossval.asked_about`) have none. `bystanders` is how many faces of
    the album are nobody's own. `own_cosines` is what the album showed of an encoder whose cosines nobody had measured,
    None for another.
    """

    draft: Draft
    cosines: Cosines
    faces: TrainingSet
    left_out: tuple[str, ...]
    held: HeldOut
    measured: ModelFigures
    bystanders: int
    own_cosines: Measured | None

    @property
    def people(self) -> int:
        return len(self.faces.people)

    @property
    def photos(self) -> int:
        """How many the album has with a face of their person; of them `left_out` did not count."""
        return self.draft.counts["photos"]

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
        findings = self.threshold.findings
        if self.own_cosines:  # of this encoder nobody has measured strangers beforehand
            findings = (Finding(ThresholdKind.OWN, figures=findings[0].figures), *findings[1:])
        if asked := self.draft.counts.get(ASKED):
            findings = (
                *findings,
                Finding(ThresholdKind.SAMPLE, figures={"asked": asked, "faces": len(self.faces.sha256)}),
            )
        return " ".join(finding.why for finding in findings)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "people": self.people,
            "photos": self.photos,
            "left_out": list(self.left_out),
            "head": self.head,
            "tried": self.tried,
            "threshold": self.threshold.value,
            "fpir": self.threshold.fpir,
            "note": self.note,
            "cosines": None if self.own_cosines is None else self.own_cosines.finding.to_json(),
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
    """Chooses a head and fits a model of the chosen faces, as the settings say; those that lie under a wrong name for
    sure are set aside, unless a human has confirmed them. Raises NoFaceError if no photo shows a face, UsageError if
    the head wanted cannot be had."""
    every = album.catalog.faces.training_set(album.encoder)
    if not every.sha256:
        raise NoFaceError(
            str(album.folder),
            "has no photo in which a face was found",
            "Add photos that show faces, larger ones if you can.",
        )
    known = album.eyes().encoder.cosines
    own = None if known else album.measured
    cosines = known or album.measured.cosines
    wrong = find(every.embeddings, every.person, len(every.people), cosines).wrong
    wrong &= ~every.among(album.ledger.corrections.confirmed().photos)
    faces = _those(every, ~wrong)
    fitted = fit(faces, cosines, album.tools.heads, album.settings.head, album.settings.fpir)
    head, held, threshold, measured = fitted.head, fitted.held, fitted.threshold, fitted.measured

    photos: dict[str, list[str]] = defaultdict(list)
    for person, sha256 in zip(every.person, every.sha256, strict=True):
        photos[every.people[person]].append(sha256)
    counted = ~wrong
    counted[counted] = head.counted
    left_out: dict[str, list[str]] = defaultdict(list)
    for row in np.flatnonzero(~counted):
        left_out[every.people[every.person[row]]].append(every.sha256[row])
    false_alarms, bystanders = _false_alarms(album, faces.people, held, head, threshold.value)
    draft = Draft(
        people=faces.people,
        head=head,
        threshold=threshold,
        calibration=fitted.calibration,
        encoder=album.encoder_card,
        chosen=HeadCard(name=fitted.option.name, tried=fitted.tried),
        photos=photos,
        left_out=left_out,
        counts={
            "photos": len(every.sha256),
            "left_out": int(np.sum(~counted)),
            "bystanders": bystanders,
            **measured.counts(),
            **({} if fitted.asked is None else {ASKED: fitted.asked}),
        },
        metrics=measured.figures(),
        created=album.clock(),
        false_alarms=false_alarms,
        cosines=None if known else cosines,
    )
    return Trained(draft, cosines, faces, _paths(album, left_out), held, measured, bystanders, own)


class Fitted(NamedTuple):
    """A head fitted to all faces of an album, and what is known of it: `option` is which it is, `tried` what each that
    was tried costs a face, `held` the held-out scores of each face, `measured` what they come to. `asked` is how many
    faces were asked about, None where it was all."""

    head: FittedHead
    option: HeadOption
    tried: dict[str, float]
    held: HeldOut
    threshold: Threshold
    calibration: Calibration
    measured: ModelFigures
    asked: int | None


def fit(faces: TrainingSet, cosines: Cosines, heads: Sequence[HeadOption], wanted: str, fpir: float) -> Fitted:
    """Chooses a head (see `choose_head`) and its open-set rule at an `fpir`, measures it, and fits it to all faces.

    A million faces of 100,000 people take 2.5 GB (docs/benchmarks.md, "How learning and search grow with faces").
    Raises UsageError if the head wanted cannot be had.
    """
    people, weight = len(faces.people), weights(faces.overall)
    asked = asked_about(faces.sha256, faces.person)
    whose = faces.person[asked]
    option, scale, tried, held = choose_head(faces, weight, cosines, heads, wanted, asked)
    photos = usual_photos(faces.person, people)
    threshold, calibration = fit_open_set(held, whose, people, fpir, scale, cosines, photos)
    return Fitted(
        head=option.fit_for(cosines)(faces.embeddings, faces.person, people, weight),
        option=option,
        tried=tried,
        held=held if asked.all() else held.placed(np.flatnonzero(asked), len(asked)),
        threshold=threshold,
        calibration=calibration,
        measured=measure(held, whose, threshold, calibration),
        asked=None if asked.all() else int(asked.sum()),
    )


def _those(faces: TrainingSet, rows: NDArray[np.bool_]) -> TrainingSet:
    """These faces alone; everybody keeps one."""
    return replace(
        faces,
        person=faces.person[rows],
        sha256=tuple(photo for photo, kept in zip(faces.sha256, rows, strict=True) if kept),
        embeddings=faces.embeddings[rows],
        overall=faces.overall[rows],
    )


def _paths(album: OpenAlbum, photos: Mapping[str, Sequence[str]]) -> tuple[str, ...]:
    """Where the photos with these hashes are, person by person."""
    places = album.catalog.files.places(TRAINING)
    return tuple(sorted(shown(places[person, one]) for person, some in photos.items() for one in some))


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


class Choice(NamedTuple):
    """A head that was chosen: which it is, the `scale` of its scores, what each head that was `tried` costs a face in
    nats, by name, and the held-out scores of the chosen one for the faces that were asked about."""

    option: HeadOption
    scale: Scale
    tried: dict[str, float]
    held: HeldOut


def choose_head(
    faces: TrainingSet,
    weight: Floats,
    cosines: Cosines,
    heads: Sequence[HeadOption],
    wanted: str,
    asked: NDArray[np.bool_] | None = None,
) -> Choice:
    """Chooses among `heads`, of which the first scores plain cosines, or takes the one `wanted`.

    The last one that can be had is chosen unless cross-validation finds it worse than an earlier one beyond chance.
    `weight` (N,) is what each face of the album counts, and `asked` (N,) says about which it is asked: about all where
    it is not given. Raises UsageError if the head wanted cannot be had.
    """
    whose = faces.person if asked is None else faces.person[asked]
    fold = split(faces.sha256, faces.person, faces.embeddings, cosines)
    people, count = len(faces.people), len(faces.sha256)

    def judge(option: HeadOption) -> HeldOut:
        return held_out(option.fit_for(cosines), faces.embeddings, faces.person, people, weight, fold, asked)

    options = _available(heads, count, people) if wanted == "auto" else [_named(heads, wanted, count, people)]
    plain = judge(heads[0])  # by which the scale of another head is known, too
    held = {option.name: plain if option is heads[0] else judge(option) for option in options}
    costs = {name: log_loss(one, whose) for name, one in held.items()}
    best = options[0]
    for option in options[1:]:
        if not costs_more(costs[option.name], costs[best.name], whose):
            best = option
    return Choice(
        option=best,
        scale=scale_for(best, heads[0], cosines, held[best.name].best_rival, lambda: plain.best_rival, whose),
        tried={name: round(float(cost.mean()), 6) for name, cost in costs.items()},
        held=held[best.name],
    )


def _available(heads: Sequence[HeadOption], photos: int, people: int) -> list[HeadOption]:
    return [option for option in heads if not option.hindrance(photos, people)]


def _named(heads: Sequence[HeadOption], wanted: str, photos: int, people: int) -> HeadOption:
    option = next((option for option in heads if option.name == wanted), None)
    if option is None:
        known = " and ".join(option.name for option in heads)
        raise UsageError(
            f"The head {wanted}",
            "is not known",
            f'There are {known}. Set head in mien.toml to one of them, or to "auto", which chooses.',
        )
    if why := option.hindrance(photos, people):
        raise UsageError(f"The head {wanted}", why, 'Set head = "auto" in mien.toml.')
    return option


def costs_more(cost: NDArray[np.float64], other: NDArray[np.float64], person: Ints) -> bool:
    """Whether N faces cost more on the average than with the `other` head, beyond chance: by `STANDARD_ERRORS` of the
    difference, in which the faces of a person hang together."""
    more = cost - other
    of_person = np.bincount(person, more - more.mean())
    people = len(of_person)
    error = np.sqrt((of_person**2).sum() * people / max(people - 1, 1)) / len(more)
    return bool(more.mean() > STANDARD_ERRORS * error)


def is_up_to_date(album: OpenAlbum, model: Model) -> bool:
    """Whether training now would make `model` again: of the same photos of the same people, in the same way."""
    card, settings = model.card, album.settings
    if model.enrolled_since_fit:
        return False  # head, threshold and calibration were chosen without what was enrolled
    count = sum(map(len, card.photos.values()))
    tried = {option.name for option in _available(album.tools.heads, count, len(card.photos))}
    # A head that was asked for was the only one tried.
    same_head = {*card.head.tried} == tried if settings.head == "auto" else card.head.name == settings.head
    same_way = card.encoder == album.encoder_card and model.fpir == settings.fpir and same_head
    if not (same_way and card.packages["mien"] == metadata.version("mien")):
        return False
    return card.photos == album.catalog.faces.training_photos(album.encoder)
