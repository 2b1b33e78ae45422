"""The open-set rule: when a face gets a name, when it is unknown, and how sure that answer is.

A face is named if its best score reaches the threshold. The threshold is chosen so that at most a stated share of
strangers (FPIR) would be named, and strangers are made from the album itself by masking: every face is scored against
the prototypes of everybody else, as if its own person were not enrolled. Scores are cosines, compared in float64;
arrays of N faces say by `person` (N,) in 0..P-1 whose each is. An album too small to show all of this takes the rest
from what was measured of its encoder (`mien.types.Cosines`). Pure numpy.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.learning.best import best_of
from mien.learning.crossval import HeldOut, golden_section
from mien.learning.head import PLAIN, HeadOption, Scale
from mien.text.answers import AnswerKind
from mien.text.models import ThresholdKind
from mien.text.words import Figure
from mien.types import Candidate, Cosines, Finding, Floats, LeastQuality, Prediction, Quality

Vector = NDArray[np.float64]

OWN_PEOPLE = 20
"""From this many people on the album's own estimate stands alone; below, it shrinks towards the encoder's curve by
people / 20."""

PEOPLE_ABOVE = 2
"""The album's own curve is read no further out than where this many people's faces still lie above, and carried on
from there along the encoder's: read directly, the threshold hangs on one or two most mistakable people, and a few wrong
labels or somebody enrolled under two names decide it."""

PEOPLE_FROM = 100
"""From this many people on, who then lie above, the album is compared with the curve: a large one shows by itself how
far out its strangers lie. In 16 galleries of 1,000 LFW people each, strangers of LFW were named 1.5 % of the time so by
dlib-resnet and 1.2 % by retail-0095, where 1 % was asked for; compared from one half on, 1.9 and 1.1 %. Up to 200
people it is one half."""

LENIENT = 1.2
"""The curve is read for this many times the FPIR asked for. People of one album look more alike than strangers do (same
photographers, same places), and masked they overstate the danger a little."""

LEVELS = 8
"""Shares, from one half (`PEOPLE_FROM`) down to the readable, at which the album is compared with the curve; the mean
difference moves it. In 40 galleries of 25 and 60 LFW people and for every head, strangers of LFW were then named 1.1 %
of the time where 1 % was asked for, 0.5 to 2 % in five galleries of six. Read at the last level alone, or with the
steepness fitted too, the mean is the same and half of the galleries fall outside."""

PRIOR_FACES = 2.0
"""How many faces' worth of evidence the encoder's own calibration counts for: little, but enough to keep an album in
which nobody is ever mistaken from claiming certainty."""


RIVAL = 2.0
"""A face is nobody's where a second person is more than half as likely as the first. Of 1,086 faces that got a name
with dlib-resnet that was so of 2, both wrong, and of 1,089 with retail-0095 of none (25 people of LFW and 19 of `wild`,
first ten photos: half of the people enrolled with five each, ten draws)."""

SURE = 0.75
"""Less probable than this a name is doubtful, and unknown is not the whole answer. With dlib-resnet 1 % of the known
faces that got a name were below, and 61 % of the strangers' who did; with retail-0095 0.1 and 50 % (same faces)."""


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value` is the score that a face must reach to be named, chosen to let a share `fpir` of strangers through.

    It is `weight` * `estimated` + (1 - `weight`) * `default`: the album's own estimate from `faces` faces of `people`
    people (None if nobody could be masked), and that of the encoder's curve for as many people. `mislabelled` faces
    were kept out of the estimate.
    """

    value: float
    fpir: float
    estimated: float | None
    default: float
    weight: float
    people: int
    faces: int
    mislabelled: int

    @property
    def findings(self) -> tuple[Finding, ...]:
        """Where the threshold comes from, and which faces were left out; kinds are of `ThresholdKind`."""
        kind = ThresholdKind.BEFOREHAND if self.weight == 0 else ThresholdKind.OWN
        kind = ThresholdKind.BOTH if 0 < self.weight < 1 else kind
        figures: dict[str, Figure] = {
            "fpir": self.fpir,
            "people": self.people,
            "own": self.weight,
            "beforehand": 1 - self.weight,
            "enough": OWN_PEOPLE,
        }
        found = [Finding(kind, figures=figures)]
        if self.mislabelled:
            found.append(Finding(ThresholdKind.MISLABELLED, figures={"faces": self.mislabelled}))
        return tuple(found)


@dataclass(frozen=True, slots=True)
class Calibration:
    """How scores become probabilities, unknown being one of the answers.

    P(known) = 1 / (1 + exp(-`slope` * (best score - threshold))) is one half exactly at the threshold, so that
    decision and probability cannot contradict each other; P(person) = P(known) * softmax(scores / `temperature`). The
    prior that a probe is of somebody enrolled is taken as one half.
    """

    slope: float
    temperature: float


def fit_open_set(
    held: HeldOut,
    person: ArrayLike,
    people: int,
    fpir: float,
    scale: Scale,
    cosines: Cosines,
    photos: float | None = None,
) -> tuple[Threshold, Calibration]:
    """The threshold and the calibration of a gallery of `people`, from held-out scores of the N faces it is made of, or
    of a sample of them; then `photos` is the harmonic mean of how many each of all people has."""
    owner, best = np.asarray(person, dtype=np.intp), held.best_rival
    threshold = choose_threshold(best, owner, people, fpir, cosines, held.own, scale, photos)
    kept = ~mislabelled(best, held.own, cosines)
    return threshold, calibrate(
        held.own[kept],
        held.rivals[kept],
        owner[kept],
        threshold.value,
        Calibration(cosines.slope, cosines.temperature),
    )


def scale_for(
    head: HeadOption,
    plain: HeadOption,
    cosines: Cosines,
    rivals: ArrayLike,
    plain_rivals: Callable[[], ArrayLike],
    person: ArrayLike,
) -> Scale:
    """How the scores of `head` lie beside those of `plain`, which are cosines to one mean a person: as was measured of
    the encoder, else as `scale_of` finds it on the album. `plain_rivals` is asked only then."""
    if head is plain:
        return PLAIN
    return Scale(*cosines.normalised) if cosines.normalised else scale_of(rivals, plain_rivals(), person)


def scale_of(rivals: ArrayLike, plain_rivals: ArrayLike, person: ArrayLike) -> Scale:
    """The scale of a head's scores of strangers, estimated on the album itself.

    `rivals` (N,) are the masked scores of its faces under that head, `plain_rivals` (N,) those of the same faces as
    cosines to one mean a person; mean and standard deviation are made equal, each person counting alike. `PLAIN` where
    nobody can be masked or all are alike.
    """
    found, plain = np.asarray(rivals, dtype=np.float64), np.asarray(plain_rivals, dtype=np.float64)
    usable = np.isfinite(found) & np.isfinite(plain)
    if not usable.any():
        return PLAIN
    weight = _person_weights(np.asarray(person, dtype=np.intp)[usable])
    middle, plain_middle = (float(np.average(some[usable], weights=weight)) for some in (found, plain))
    spread, plain_spread = (
        float(np.average((some[usable] - mean) ** 2, weights=weight)) ** 0.5
        for some, mean in ((found, middle), (plain, plain_middle))
    )
    if spread == 0 or plain_spread == 0:
        return PLAIN
    return Scale(middle - spread / plain_spread * plain_middle, spread / plain_spread)


def mislabelled(non_mated: ArrayLike, own: ArrayLike, cosines: Cosines) -> NDArray[np.bool_]:
    """(N,) bool: faces whose `non_mated` score (their person masked) beats their `own` so far that the label must be
    wrong. Somebody's only face (nan) is never judged."""
    return np.asarray(non_mated, dtype=np.float64) > np.asarray(own, dtype=np.float64) + cosines.mislabelled


def default_threshold(people: int, photos: float, fpir: float, cosines: Cosines) -> float:
    """The threshold at which a share `fpir` of the strangers with whom an encoder was measured gets a name in a gallery
    of `people`.

    `photos` is how many photos a prototype is made of (of several people: the harmonic mean). See `Cosines.curve`.
    """
    a, b, c, d = cosines.curve
    deviate = normal_deviate(people, fpir)
    return a + b * deviate + c * deviate * deviate + d / photos


def normal_deviate(people: int, fpir: float) -> float:
    """How many standard deviations out one person's score lies that a stranger reaches with a chance that makes the
    chance of reaching it for any of `people` equal `fpir`: the inverse normal of (1 - fpir) ** (1 / people)."""
    return NormalDist().inv_cdf((1 - fpir) ** (1 / people))


def choose_threshold(
    non_mated: ArrayLike,
    person: ArrayLike,
    people: int,
    fpir: float,
    cosines: Cosines,
    own: ArrayLike | None = None,
    scale: Scale = PLAIN,
    photos: float | None = None,
) -> Threshold:
    """The threshold for a gallery of `people` at `fpir` (above 0, at most one half), from its own faces as strangers.

    `non_mated` (N,) are the masked scores, `own` (N,) the held-out scores for the own person by which wrong labels are
    told (None: no label is doubted). People count alike, however many photos each has. `scale` is that of the head's
    scores, `photos` the harmonic mean of people's photos where these faces are not all. Raises ValueError for another
    `fpir`.
    """
    if not 0 < fpir <= 0.5:
        raise ValueError(f"an FPIR of {fpir}")
    scores, owner = np.asarray(non_mated, dtype=np.float64), np.asarray(person, dtype=np.intp)
    doubted = np.zeros(len(scores), dtype=bool) if own is None else mislabelled(scores, own, cosines)
    of_each = usual_photos(owner, people) if photos is None else photos

    def usual(share: float, enrolled: int = people) -> float:
        return scale.offset + scale.spread * default_threshold(enrolled, of_each, share, cosines)

    default = usual(fpir)
    usable = np.isfinite(scores) & ~doubted
    estimated = None
    if usable.any():
        asked, shown = min(LENIENT * fpir, 0.5), people if photos is None else len(np.unique(owner[usable]))
        last = max(asked, min(PEOPLE_ABOVE / shown, 0.5))
        first = max(last, min(PEOPLE_FROM / shown, 0.5))
        # Masked, the gallery was one person smaller than it is.
        moved = [
            _stranger_quantile(scores[usable], owner[usable], share) - usual(share, people - 1)
            for share in np.geomspace(first, last, LEVELS).tolist()
        ]
        estimated = usual(asked) + float(np.mean(moved))
    weight = 0.0 if estimated is None else min(1.0, people / OWN_PEOPLE)
    return Threshold(
        value=default if estimated is None else weight * estimated + (1 - weight) * default,
        fpir=fpir,
        estimated=estimated,
        default=default,
        weight=weight,
        people=people,
        faces=int(usable.sum()),
        mislabelled=int(doubted.sum()),
    )


def usual_photos(person: ArrayLike, people: int) -> float:
    """The harmonic mean of how many faces of N each of `people` has, each of whom has one."""
    return people / float(np.sum(1 / np.bincount(np.asarray(person, dtype=np.intp), minlength=people)))


def _stranger_quantile(scores: Vector, person: NDArray[np.intp], level: float) -> float:
    """The lowest threshold that at most a share `level` of the faces reaches; each person's weigh one in all."""
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(_person_weights(person)[order])
    first_out = int(np.searchsorted(reached, level * reached[-1] * (1 + 1e-9), side="right"))
    return math.nextafter(float(scores[order][first_out]), math.inf)


def _person_weights(person: NDArray[np.intp]) -> Vector:
    """(N,) weights that sum to one for each person who occurs."""
    return 1.0 / np.bincount(person)[person]


def calibrate(
    own: ArrayLike, others: ArrayLike, person: ArrayLike, threshold: float, usual: Calibration
) -> Calibration:
    """Fits the two numbers of a `Calibration` on the gallery's own faces; the `usual` ones where these say nothing.

    `own` (N,) leave-one-out scores (nan: an only face), `others` (N, K) rivals' scores, best first. Each person
    weighs alike, and mated faces together as much as non-mated ones. Both losses are convex in the number fitted
    (slope, or one over the temperature), and so is the prior, x - log(x) of its ratio to the usual value: one
    minimum, found by golden section.
    """
    mine, rival = np.asarray(own, dtype=np.float64), np.asarray(others, dtype=np.float64)
    mated = np.isfinite(mine)
    if not (rival.shape[1] and mated.any()):
        return usual
    owner = np.asarray(person, dtype=np.intp)
    each, each_mated = _person_weights(owner), _person_weights(owner[mated])
    each, each_mated = each / each.sum(), each_mated / each_mated.sum()
    known = np.maximum(mine, rival[:, 0])[mated] - threshold
    unknown = rival[:, 0] - threshold
    behind = rival[mated] - mine[mated, None]

    def open_loss(slope: float) -> float:
        missed, named = np.logaddexp(0, -slope * known), np.logaddexp(0, slope * unknown)
        return float(each_mated @ missed + each @ named) * len(mine) / 2

    def closed_loss(sharpness: float) -> float:
        total = np.logaddexp(0, np.logaddexp.reduce(sharpness * behind, axis=1))
        return float(each_mated @ total) * int(mated.sum())

    # Six digits: the last bits of a sum differ between processors and need not reach the model's files.
    slope, sharpness = _least_cost(open_loss, usual.slope), _least_cost(closed_loss, 1 / usual.temperature)
    return Calibration(slope=float(f"{slope:.6g}"), temperature=float(f"{1 / sharpness:.6g}"))


def _least_cost(loss: Callable[[float], float], usual: float) -> float:
    """The positive number of least loss and prior, from a hundredth to a hundred times `usual`."""

    def cost(step: float) -> float:
        ratio = math.exp(step)
        return loss(usual * ratio) + PRIOR_FACES * (ratio - step)

    return usual * math.exp(golden_section(cost, -math.log(100), math.log(100)))


class Probabilities(NamedTuple):
    """Of N faces: whether each gets a name, (N,) bool; the probability of `each` person, (N, P), and of the `answer`,
    that name or unknown, (N,)."""

    named: NDArray[np.bool_]
    each: NDArray[np.float64]
    answer: NDArray[np.float64]


def probabilities(scores: ArrayLike, threshold: Threshold, calibration: Calibration) -> Probabilities:
    """The probabilities that `scores` (N, P) stand for, by a `Calibration`. A score of -inf is that of a person who
    cannot be meant; a face must have another one."""
    table = np.asarray(scores, dtype=np.float64)
    best = table.max(axis=1, initial=-np.inf)
    named = best >= threshold.value
    known = logistic(calibration.slope * (best - threshold.value))
    share = np.exp((table - best[:, None]) / calibration.temperature)
    each = known[:, None] * share / share.sum(axis=1, keepdims=True)
    return Probabilities(named, each, np.where(named, each.max(axis=1, initial=0), 1 - known))


class Ranked(NamedTuple):
    """The K best of P people for each of N faces: their `scores` (N, K), the highest first, and their `columns` (N, K)
    among the people. `total` (N,) is the sum over all people of exp((score - best) / temperature), by which one
    person's share among them is known."""

    scores: NDArray[np.float64]
    columns: NDArray[np.int64]
    total: NDArray[np.float64]


def ranked(scores: ArrayLike, temperature: float, top: int) -> Ranked:
    """The `top` best of a table of scores (N, P), P and `top` at least 1; of equal scores the earlier column first."""
    table = np.asarray(scores, dtype=np.float64)
    found = best_of(table, min(top, table.shape[1]))
    total = np.exp((table - table.max(axis=1, keepdims=True)) / temperature).sum(axis=1)
    return Ranked(np.asarray(found.values, np.float64), found.columns, total)


def identify(
    scores: Floats | Ranked, people: Sequence[str], threshold: Threshold, calibration: Calibration, top: int
) -> list[Prediction]:
    """The answer for each of N faces: `scores` (N, P) in the order of `people`, P and `top` at least 1, or the best of
    these, `top` if there are as many.

    The best score decides: a name if it reaches the threshold, else unknown. `top` candidates come ranked; of equal
    scores the earlier person goes first. Over all people and unknown the probabilities sum to 1.
    """
    best = scores if isinstance(scores, Ranked) else ranked(scores, calibration.temperature, top)
    highest = best.scores[:, 0]
    named = highest >= threshold.value
    known = logistic(calibration.slope * (highest - threshold.value))
    share = np.exp((best.scores - highest[:, None]) / calibration.temperature)
    probability = known[:, None] * share / best.total[:, None]
    answer = np.where(named, probability[:, 0], 1 - known)
    answers = []
    for row in range(len(highest)):
        names = (people[column] for column in best.columns[row, :top].tolist())
        each, found = probability[row, :top].tolist(), best.scores[row, :top].tolist()
        candidates = tuple(map(Candidate, names, each, found))
        first = candidates[0]
        answers.append(
            Prediction(
                person=first.person if named[row] else None,
                probability=float(answer[row]),
                score=first.score,
                threshold=threshold.value,
                candidates=candidates,
            )
        )
    return answers


def told(
    prediction: Prediction, calibration: Calibration, quality: Quality, least: LeastQuality, scale: float = 1.0
) -> Prediction:
    """The answer for a face of this quality as users are told it, with its reason; `prediction` has two candidates, if
    there are two people; the face was seen at `scale` times its size.

    Whoever scores best is not named where the face is poorer than the `least` that the encoder needs, nor where
    somebody else is nearly as likely: the name would be a guess.
    """
    people = tuple(one.person for one in prediction.candidates[:2])
    between = len(people) > 1 and RIVAL * prediction.candidates[1].probability > prediction.candidates[0].probability
    sure, named = prediction.probability >= SURE, prediction.person is not None
    reason: Finding | None = None
    if quality.size * scale < least.size:
        reason = Finding(AnswerKind.TOO_SMALL, figures={"size": quality.size})
    elif quality.sharpness < least.sharpness:
        reason = Finding(AnswerKind.TOO_BLURRED)
    elif sure and not (named and between):
        reason = None if named else Finding(AnswerKind.NOBODY)
    elif between:
        reason = Finding(AnswerKind.BETWEEN, people)
    else:
        reason = Finding(AnswerKind.BARELY if named else AnswerKind.NEARLY, people[:1])
    if reason is None or not named or reason.kind == AnswerKind.BARELY:
        return replace(prediction, reason=reason)
    above = np.array([calibration.slope * (prediction.score - prediction.threshold)])
    return replace(prediction, person=None, probability=float(1 - logistic(above)[0]), reason=reason)


def logistic(x: Vector) -> Vector:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0, -x))
