"""The open-set rule: when a face gets a name, when it is unknown, and how sure that answer is. It lives here alone.

A face is named if its best score reaches the threshold. The threshold is chosen so that at most a stated share of
strangers (FPIR) would be named, and strangers are made from the album itself by masking: every face is scored against
the prototypes of everybody else, as if its own person were not enrolled. Scores are cosines, compared in float64;
arrays of N faces say by `person` (N,) in 0..P-1 whose each is. Pure numpy; knows nothing of files, networks or how
scores are made.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from statistics import NormalDist
from typing import NamedTuple

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.learning.crossval import HeldOut, golden_section
from mien.types import Candidate, Floats, Prediction

Vector = NDArray[np.float64]

CURVE = (0.8565, 0.03304, -0.00192, -0.01337)
"""What strangers score, measured on LFW by `tools/fit_defaults.py` (default encoder, average of its default views)
with 2,114 faces of people with one or two photos against galleries of 1 to 100 of the 359 others, 200 draws for each
of 33 sizes and numbers of photos: the threshold at an FPIR f is a + b z + c z^2 + d / photos with z =
`normal_deviate`(people, f), for the cosines of strangers to one prototype are nearly normal. Error over f = 0.5 to
0.001: rms 0.0014, at most 0.006."""

SLOPE, TEMPERATURE = 236.0, 0.0041
"""The calibration measured by the same tool in galleries of 100; from draw to draw 195 to 280, and up to 0.005."""

OWN_PEOPLE = 20
"""From this many people on the album's own estimate stands alone; below, it shrinks towards LFW's by people / 20."""

PEOPLE_ABOVE = 2
"""The album's own curve is read no further out than where this many people's faces still lie above, and carried on
from there along LFW's: read directly, the threshold hangs on one or two most mistakable people, and a few wrong
labels or somebody enrolled under two names decide it."""

LENIENT = 1.2
"""The curve is read for this many times the FPIR asked for. People of one album look more alike than strangers do (same
photographers, same places), and masked they overstate the danger a little."""

LEVELS = 8
"""Shares, from one half down to the readable, at which the album is compared with the curve; the mean difference moves
it. In 40 galleries of 25 and 60 LFW people and for every head, strangers of LFW were then named 1.1 % of the time
where 1 % was asked for, 0.5 to 2 % in five galleries of six. Read at the last level alone, or with the steepness
fitted too, the mean is the same and half of the galleries fall outside."""

MISLABELLED = 0.02
"""A face that agrees so much better with another person than with its own is taken for a wrong label. Faces with the
right label agree 0.055 better with their own (median).

The same for every head, though those of a normalised one lie closer together (`Scale`). Of 570 wrong labels planted
among 3 to 5 photos each of 100 to 200 LFW people, `normalised` then finds 562 and doubts 32 right ones; with the margin
in its own scale 567 and 50, as `prototypes` does (569 and 53). A doubt costs a human's look. Where people have 8 photos
or more, nothing differs.
"""

PRIOR_FACES = 2.0
"""How many faces' worth of evidence the calibration measured on LFW counts for: little, but enough to keep an album in
which nobody is ever mistaken from claiming certainty."""


class Scale(NamedTuple):
    """How a head's scores of strangers lie beside cosines to one mean a person: `offset` + `spread` times those."""

    offset: float
    spread: float


PLAIN = Scale(0.0, 1.0)


@dataclass(frozen=True, slots=True)
class Threshold:
    """`value` is the score that a face must reach to be named, chosen to let a share `fpir` of strangers through.

    It is `weight` * `estimated` + (1 - `weight`) * `default`: the album's own estimate from `faces` faces of `people`
    people (None if nobody could be masked), and LFW's for as many people. `mislabelled` faces were kept out of the
    estimate. `note` says all this to the user.
    """

    value: float
    fpir: float
    estimated: float | None
    default: float
    weight: float
    people: int
    faces: int
    mislabelled: int
    note: str


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
    held: HeldOut, person: ArrayLike, people: int, fpir: float, scale: Scale
) -> tuple[Threshold, Calibration]:
    """The threshold and the calibration of a gallery of `people`, from held-out scores of the N faces it is made of."""
    owner, best = np.asarray(person, dtype=np.intp), held.best_rival
    threshold = choose_threshold(best, owner, people, fpir, held.own, scale)
    kept = ~mislabelled(best, held.own)
    return threshold, calibrate(held.own[kept], held.rivals[kept], owner[kept], threshold.value)


def mislabelled(non_mated: ArrayLike, own: ArrayLike) -> NDArray[np.bool_]:
    """(N,) bool: faces whose `non_mated` score (their person masked) beats their `own` so far that the label must be
    wrong. Somebody's only face (nan) is never judged."""
    return np.asarray(non_mated, dtype=np.float64) > np.asarray(own, dtype=np.float64) + MISLABELLED


def default_threshold(people: int, photos: float, fpir: float) -> float:
    """The threshold at which a share `fpir` of LFW's strangers gets a name in a gallery of `people`.

    `photos` is how many photos a prototype is made of (of several people: the harmonic mean). See `CURVE`.
    """
    a, b, c, d = CURVE
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
    own: ArrayLike | None = None,
    scale: Scale = PLAIN,
) -> Threshold:
    """The threshold for a gallery of `people` at `fpir` (above 0, at most one half), from its own faces as strangers.

    `non_mated` (N,) are the masked scores, `own` (N,) the held-out scores for the own person by which wrong labels are
    told (None: no label is doubted). People count alike, however many photos each has. `scale` is that of the head's
    scores. Raises ValueError for another `fpir`.
    """
    if not 0 < fpir <= 0.5:
        raise ValueError(f"an FPIR of {fpir}")
    scores, owner = np.asarray(non_mated, dtype=np.float64), np.asarray(person, dtype=np.intp)
    doubted = np.zeros(len(scores), dtype=bool) if own is None else mislabelled(scores, own)
    photos = people / float(np.sum(1 / np.bincount(owner, minlength=people)))

    def usual(share: float, enrolled: int = people) -> float:
        return scale.offset + scale.spread * default_threshold(enrolled, photos, share)

    default = usual(fpir)
    usable = np.isfinite(scores) & ~doubted
    estimated = None
    if usable.any():
        asked = min(LENIENT * fpir, 0.5)
        last = max(asked, min(PEOPLE_ABOVE / people, 0.5))
        # Masked, the gallery was one person smaller than it is.
        moved = [
            _stranger_quantile(scores[usable], owner[usable], share) - usual(share, people - 1)
            for share in np.geomspace(0.5, last, LEVELS).tolist()
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
        note=_note(people, weight, fpir, int(doubted.sum())),
    )


def _stranger_quantile(scores: Vector, person: NDArray[np.intp], level: float) -> float:
    """The lowest threshold that at most a share `level` of the faces reaches; each person's weigh one in all."""
    order = np.argsort(-scores, kind="stable")
    reached = np.cumsum(_one_each(person)[order])
    first_out = int(np.searchsorted(reached, level * reached[-1] * (1 + 1e-9), side="right"))
    return math.nextafter(float(scores[order][first_out]), math.inf)


def _one_each(person: NDArray[np.intp]) -> Vector:
    """(N,) weights that sum to one for each person who occurs."""
    return 1.0 / np.bincount(person)[person]


def _note(people: int, weight: float, fpir: float, doubted: int) -> str:
    chosen = f"Chosen to name about {100 * fpir:g} % of strangers"
    if weight == 0:
        told = f"{chosen}, from strangers measured on LFW: nobody here can play the stranger."
    elif weight < 1:
        own, usual = f"{100 * weight:.0f} %", f"{100 * (1 - weight):.0f} %"
        told = (
            f"{chosen}: {own} from this album's {people} people, each masked in turn, and {usual} from strangers"
            f" measured on LFW, because fewer than {OWN_PEOPLE} people cannot show enough."
        )
    else:
        told = f"{chosen}, from this album's {people} people, each masked in turn."
    if doubted:
        faces = "1 face" if doubted == 1 else f"{doubted} faces"
        told += f" Left out of that: {faces} more like somebody else than like the person filed under."
    return told


def calibrate(own: ArrayLike, others: ArrayLike, person: ArrayLike, threshold: float) -> Calibration:
    """Fits the two numbers of a `Calibration` on the gallery's own faces; LFW's where these say nothing.

    `own` (N,) leave-one-out scores (nan: an only face), `others` (N, K) rivals' scores, best first. Each person
    weighs alike, and mated faces together as much as non-mated ones. Both losses are convex in the number fitted
    (slope, or one over the temperature), and so is the prior, x - log(x) of its ratio to LFW's value: one minimum,
    found by golden section.
    """
    mine, rival = np.asarray(own, dtype=np.float64), np.asarray(others, dtype=np.float64)
    mated = np.isfinite(mine)
    if not (rival.shape[1] and mated.any()):
        return Calibration(SLOPE, TEMPERATURE)
    owner = np.asarray(person, dtype=np.intp)
    each, each_mated = _one_each(owner), _one_each(owner[mated])
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
    slope, sharpness = _fit(open_loss, SLOPE), _fit(closed_loss, 1 / TEMPERATURE)
    return Calibration(slope=float(f"{slope:.6g}"), temperature=float(f"{1 / sharpness:.6g}"))


def _fit(loss: Callable[[float], float], usual: float) -> float:
    """The positive number of least loss and prior, from a hundredth to a hundred times `usual`."""

    def cost(step: float) -> float:
        ratio = math.exp(step)
        return loss(usual * ratio) + PRIOR_FACES * (ratio - step)

    return usual * math.exp(golden_section(cost, -math.log(100), math.log(100)))


class Sureness(NamedTuple):
    """Of N faces: whether each gets a name, (N,) bool; the probability of `each` person, (N, P), and of the `answer`,
    that name or unknown, (N,)."""

    named: NDArray[np.bool_]
    each: NDArray[np.float64]
    answer: NDArray[np.float64]


def sureness(scores: ArrayLike, threshold: Threshold, calibration: Calibration) -> Sureness:
    """What `scores` (N, P) mean; see `Calibration`. -inf is of nobody, and may not stand for all people of a face."""
    table = np.asarray(scores, dtype=np.float64)
    best = table.max(axis=1, initial=-np.inf)
    named = best >= threshold.value
    known = logistic(calibration.slope * (best - threshold.value))
    share = np.exp((table - best[:, None]) / calibration.temperature)
    each = known[:, None] * share / share.sum(axis=1, keepdims=True)
    return Sureness(named, each, np.where(named, each.max(axis=1, initial=0), 1 - known))


def identify(
    scores: Floats, people: Sequence[str], threshold: Threshold, calibration: Calibration, top: int
) -> list[Prediction]:
    """The answer for each of N faces: `scores` (N, P) in the order of `people`, P and `top` at least 1.

    The best score decides: a name if it reaches the threshold, else unknown. `top` candidates come ranked; of equal
    scores the earlier person goes first. Over all people and unknown the probabilities sum to 1.
    """
    table = np.asarray(scores, dtype=np.float64)
    sure = sureness(table, threshold, calibration)
    answers = []
    for row, ranked in enumerate(np.argsort(-table, axis=1, kind="stable")[:, :top]):
        candidates = tuple(Candidate(people[i], float(sure.each[row, i]), float(table[row, i])) for i in ranked)
        first = candidates[0]
        answers.append(
            Prediction(
                person=first.person if sure.named[row] else None,
                probability=float(sure.answer[row]),
                score=first.score,
                threshold=threshold.value,
                candidates=candidates,
            )
        )
    return answers


def logistic(x: Vector) -> Vector:
    """1 / (1 + exp(-x)), without overflow."""
    return np.exp(-np.logaddexp(0, -x))
