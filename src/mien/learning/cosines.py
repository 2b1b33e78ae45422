"""What is true of an encoder's cosines, measured on embeddings of many people, and how sure that is. Pure numpy.

Each figure of `mien.types.Cosines` comes from one rule, and no rule has a number in it that was measured on one
encoder's scale: they are shares of a spread, of a lead or of a distance, which an encoder of any kind has. People serve
as gallery and as strangers at once: whoever is not in a gallery is a stranger to it, and all galleries that can be
drawn of the people count, not some of them.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from statistics import NormalDist

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.learning.crossval import RIVALS
from mien.learning.figures import Z95
from mien.learning.head import Ints
from mien.learning.openset import Calibration, calibrate, normal_deviate
from mien.text.encoders import CosinesKind
from mien.text.words import Figure
from mien.types import Cosines, Finding, Floats

Vector = NDArray[np.float64]
Curve = tuple[float, float, float, float]

FEWEST_PEOPLE = 5
"""People with three photos or more, below whom nothing is measured: of fewer there are not ten pairs of strangers."""

MOST_PHOTOS = 10
"""Photos that are used of a person, the first ones."""

PEOPLE = (1, 2, 5, 10, 20, 50, 100)
"""Sizes of the galleries at which the curve is fitted, up to half of all people."""

MOST_ENROLLED = 500
"""People from whom galleries are drawn at most, evenly chosen; all are strangers. With all 2,086 of LFW the curve is
the same and takes four times as long."""

MOST_PEOPLE = 5_000
"""People of whom faces are used at all, evenly chosen."""

PHOTOS = (1, 2, 3, 5, 10)
"""Photos a person in these galleries."""

SHARES = (0.5, 0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
"""Shares of the strangers: down from one half, for that is how far up a small album's own curve is read."""

BENT = 20
"""People from whom on the curve may be bent (c). Of albums of 20 and 50 LFW people the median threshold for 1 % then
lets 0.8 to 2.4 % through with two encoders, and 0.2 to 2.9 % without the bend."""

FAR = 6.0
"""Up to this deviate a curve must rise: a share of 0.001 among 100,000 people is at 5.6."""

MISLABELLED = 0.4
"""The part of the lead of one's own person over the best of `CROWD` others by which a face must agree better with
somebody else to have a wrong label: the lead is as large the other way round where the label is wrong and the right
person is in the album. Of 380 wrong labels planted among 3 to 5 photos each of 100 to 200 LFW people all are found with
the ResNet, and 28 of 6,355 right ones doubted; with retail-0095 376 and 8."""

CROWD = 100
"""People among whom the lead of the own person is measured."""

USUAL = 0.9
"""The share of faces by which the spread of faces around their person's median is read: high enough to tell of the
tail, low enough for one wrong label in twenty."""

SAME_FACE, NEAR_DUPLICATE = 1 / 4, 1 / 8
"""How far two pictures of one and the same face may differ, and two of one moment, beside how far any two photos of a
person do (squared distance). Of 173 photos of LFW and the web, resized, recompressed and enlarged, and seen again by
two encoders, 94 % of the web's copies and all of LFW's are within the first; of LFW's photos two pairs are within the
second with one encoder and one of these with the other, each of one picture."""

DRAWS = 40
"""Galleries in which slope and temperature are fitted; the medians count."""

GROUPS = 10
"""Groups of people that are left out in turn to see how much hangs on who was there."""

ASKED, ENROLLED = 0.01, 20
"""The uncertainty is given as the FPIR that this one asked for may come to in a gallery of so many people."""

BEND = 0.1
"""How far a curve may be bent (c, in parts of b) where there are too few people to tell. Of the two encoders measured
on all of LFW one has -0.06 and the other 0.10."""


@dataclass(frozen=True, slots=True)
class Measured:
    """What was measured (`cosines`) on so many `people` and `faces`, and how sure it is.

    `bent` says whether c of the curve was fitted, or is 0 because the people were too few to tell. `error` is the root
    mean square between the curve and what it was fitted to. Where an FPIR of 1 % is asked for by the curve, the true
    one lies between the two `fpir` (95 %), as far as the choice of people goes.
    """

    cosines: Cosines
    people: int
    faces: int
    bent: bool
    error: float
    fpir: tuple[float, float]

    @property
    def finding(self) -> Finding:
        """The same for people; the kind is of `CosinesKind`."""
        low, high = self.fpir
        figures: dict[str, Figure] = {"people": self.people, "faces": self.faces, "low": low, "high": high}
        return Finding(CosinesKind.OWN, figures=figures)


def measure(embeddings: Floats, person: ArrayLike) -> Measured:
    """Measures an encoder's cosines on (N, D) float32 unit embeddings of the people `person` (N,), of whom at most the
    first ten photos each are used, and at most `MOST_PEOPLE` people.

    `curve` is fitted by least squares to what shares of the strangers reach in galleries of several sizes; `slope` and
    `temperature` are fitted in such galleries. `mislabelled` is a part of the lead that a face's own person has;
    `contradicted` lies as many standard deviations below a person's own faces as above strangers; `same_face` and
    `near_duplicate` are parts of the usual distance of two photos of a person. Few wrong labels change little, as the
    margins rest on medians. The result depends on nothing but its arguments.

    Raises ValueError with fewer than `FEWEST_PEOPLE` people of three photos, and where embeddings tell nobody apart.
    """
    sample = _Sample.of(np.asarray(embeddings, np.float32), np.unique(np.asarray(person), return_inverse=True)[1])
    if (several := int(np.sum(sample.photos >= 3))) < FEWEST_PEOPLE:
        raise ValueError(f"{several} people with three photos or more, of {FEWEST_PEOPLE} at least")
    fit = _fit_curve(sample, sample.people >= BENT)
    apart = _own_and_strange(sample)
    lead = apart.own - _threshold(fit.curve, CROWD, 0.5)
    if not (fit.curve[1] > 0 and lead > 0):
        raise ValueError("embeddings that do not tell people apart")
    calibration = _fit_calibration(sample, fit.curve)
    usual = _usual_distance(sample)
    return Measured(
        cosines=Cosines(
            curve=fit.curve,
            slope=calibration.slope,
            temperature=calibration.temperature,
            mislabelled=_round(MISLABELLED * lead),
            contradicted=_round((apart.own - apart.strange) * apart.spread / (apart.spread + apart.strange_spread)),
            same_face=_round(1 - SAME_FACE * usual),
            near_duplicate=_round(1 - NEAR_DUPLICATE * usual),
        ),
        people=sample.people,
        faces=len(sample.faces),
        bent=fit.bent,
        error=fit.error,
        fpir=_true_fpir(sample, fit),
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Sample:
    """Faces (N, D) in order of person, whose each is, `owner` (N,) in 0..P-1, and how many `photos` (P,) each has."""

    faces: Floats
    owner: Ints
    photos: Ints

    @classmethod
    def of(cls, faces: Floats, owner: Ints) -> _Sample:
        """The first photos of each person."""
        people = int(owner.max(initial=-1)) + 1
        if people > MOST_PEOPLE:
            few = np.linspace(0, people - 1, MOST_PEOPLE).astype(np.intp)
            kept = np.isin(owner, few)
            faces, owner = faces[kept], np.searchsorted(few, owner[kept])
        order = np.argsort(owner, kind="stable")
        faces, owner = faces[order], owner[order]
        place = np.arange(len(owner)) - np.searchsorted(owner, owner)
        kept = place < MOST_PHOTOS
        return cls(faces[kept], owner[kept], np.bincount(owner[kept]))

    @property
    def people(self) -> int:
        return len(self.photos)

    @property
    def weight(self) -> Vector:
        """(N,) by which each person counts alike."""
        return 1 / self.photos[self.owner]

    def those(self, people: NDArray[np.bool_]) -> _Sample:
        """Of these people (P,) alone."""
        number = np.cumsum(people) - 1
        kept = people[self.owner]
        return _Sample(self.faces[kept], number[self.owner[kept]], self.photos[people])

    def means(self, count: int, most: int) -> tuple[Ints, Floats]:
        """Those who have `count` photos (E,), `most` of them, and the unit means (E, D) of the first ones."""
        enrolled = np.flatnonzero(self.photos >= count)
        if len(enrolled) > most:
            enrolled = enrolled[np.linspace(0, len(enrolled) - 1, most).astype(np.intp)]
        rows = np.searchsorted(self.owner, enrolled)[:, None] + np.arange(count)
        sums = self.faces[rows].sum(axis=1)
        return enrolled, sums / np.linalg.norm(sums, axis=1, keepdims=True)


@dataclass(frozen=True, slots=True)
class _Fit:
    """The `curve`, whether it is `bent`, the root mean square `error` that is left, and by how much the threshold for
    `ASKED` in a gallery of `ENROLLED` would rise if a curve that is not bent were bent by c = 1 (`lever`)."""

    curve: Curve
    bent: bool
    error: float
    lever: float


def _fit_curve(sample: _Sample, may_bend: bool) -> _Fit:
    """`Cosines.curve` by least squares over sizes, photos and shares; not bent if it would not rise up to `FAR`."""
    rows: list[tuple[float, float, float]] = []
    found: list[float] = []
    for count in PHOTOS:
        if np.sum(sample.photos >= count) >= FEWEST_PEOPLE - 1:  # one may be left out to see what hangs on them
            for people, share, score in _reached(sample, count):
                rows.append((1.0, normal_deviate(people, share), 1 / count))
                found.append(score)
    flat, scores, deviate = np.array(rows), np.array(found), normal_deviate(ENROLLED, ASKED)
    square = flat[:, 1] ** 2
    design, lever = np.column_stack([flat, square]), 0.0
    fitted = np.linalg.lstsq(design, scores, rcond=None)[0]
    bent = may_bend and bool(fitted[1] + 2 * min(fitted[3], 0.0) * FAR > 0)
    if not bent:
        design, fitted = flat, np.linalg.lstsq(flat, scores, rcond=None)[0]
        taken = np.linalg.lstsq(flat, square, rcond=None)[0]
        lever = float(deviate * deviate - taken[0] - taken[1] * deviate)
    error = float(np.sqrt(np.mean((design @ fitted - scores) ** 2)))
    a, b, d, *c = (_round(value) for value in fitted.tolist())
    return _Fit((a, b, c[0] if bent else 0.0, d), bent, error, lever)


def _reached(sample: _Sample, count: int) -> Iterator[tuple[int, float, float]]:
    """The score that a share of the strangers reaches in a gallery of so many people with `count` photos each:
    (people, share, score), over all galleries that can be drawn.

    The i-th best of a face's scores for M others is its best in a gallery of G of them if that one is drawn and none of
    the i better ones is, which is so for C(M - 1 - i, G - 1) of the C(M, G) galleries.
    """
    enrolled, means = sample.means(count, MOST_ENROLLED)
    scores = sample.faces @ means.T
    own = sample.owner[:, None] == enrolled
    scores[own] = -np.inf
    scores = np.sort(scores, axis=1)[:, ::-1]
    others = len(enrolled) - own.any(axis=1).astype(np.intp)
    order = np.argsort(-scores, axis=None, kind="stable")
    face, rank = order // len(enrolled), order % len(enrolled)
    ordered, weight = scores.ravel()[order], sample.weight
    for people in PEOPLE:
        if people > len(enrolled) / 2:
            continue
        first = np.zeros((2, len(enrolled)))
        for row, total in enumerate((len(enrolled) - 1, len(enrolled))):
            first[row, :total] = _best_in_draw(total, people)
        reached = np.cumsum(first[others[face] - len(enrolled) + 1, rank] * weight[face])
        for share in SHARES:
            if share * sample.people >= 1:  # a share of less than one person is nobody
                at = int(np.searchsorted(reached, share * reached[-1]))
                yield people, share, float(ordered[at])


def _best_in_draw(total: int, drawn: int) -> Vector:
    """(total,) the chance that, of `drawn` of `total` at random, the i-th is the first one drawn."""
    chance, found = drawn / total, np.zeros(total)
    for place in range(total - drawn + 1):
        found[place] = chance
        if left := total - 1 - place:
            chance *= (left + 1 - drawn) / left
    return found


@dataclass(frozen=True, slots=True)
class _Apart:
    """How far faces lie from their own people's means and from others': medians and standard deviations as the tails
    that face each other have them."""

    own: float
    spread: float
    strange: float
    strange_spread: float


def _own_and_strange(sample: _Sample) -> _Apart:
    """Cosines of faces to the mean of their person's other faces, and to the means of other people, of those who have
    three photos or more."""
    known = sample.those(sample.photos >= 3)
    if known.people > MOST_ENROLLED:
        some = np.linspace(0, known.people - 1, MOST_ENROLLED).astype(int)
        known = known.those(np.isin(np.arange(known.people), some))
    sums = np.add.reduceat(known.faces, np.searchsorted(known.owner, np.arange(known.people)), axis=0)
    rest = sums[known.owner] - known.faces
    own = np.einsum("nd,nd->n", rest, known.faces) / np.maximum(np.linalg.norm(rest, axis=1), 1e-9)
    middle = np.array([np.median(own[known.owner == person]) for person in range(known.people)])
    below = middle[known.owner] - own
    strange = known.faces @ (sums / np.linalg.norm(sums, axis=1, keepdims=True)).T
    others = known.owner[:, None] != np.arange(known.people)
    half, most = np.quantile(strange[others], (0.5, USUAL))
    deviate = NormalDist().inv_cdf(USUAL)
    return _Apart(
        own=_quantile(own, known.weight, 0.5),
        spread=_quantile(below, known.weight, USUAL) / deviate,
        strange=float(half),
        strange_spread=float(most - half) / deviate,
    )


def _usual_distance(sample: _Sample) -> float:
    """One less the median cosine of two photos of a person; each person counts alike."""
    cosines, weight = [], []
    for person in np.flatnonzero(sample.photos > 1):
        own = sample.faces[sample.owner == person]
        pairs = (own @ own.T)[np.triu_indices(len(own), 1)]
        cosines.append(pairs)
        weight.append(np.full(len(pairs), 1 / len(pairs)))
    return 1 - _quantile(np.concatenate(cosines), np.concatenate(weight), 0.5)


def _fit_calibration(sample: _Sample, curve: Curve) -> Calibration:
    """The medians over galleries of half of those who have three photos, a hundred at most: two photos are enrolled,
    the others are the mated probes, everybody else is a stranger. The threshold is that of the curve for 1 %."""
    enough = np.flatnonzero(sample.photos >= 3)
    size = min(CROWD, len(enough) // 2)
    threshold = _threshold(curve, size, ASKED, photos=2)
    # A start in the unit of the strangers' spread, and a weak one: see `openset.PRIOR_FACES`.
    start = Calibration(slope=8 / curve[1], temperature=curve[1] / 8)
    random = np.random.default_rng(0)
    place = np.arange(len(sample.owner)) - np.searchsorted(sample.owner, sample.owner)
    enrolled, means = sample.means(2, sample.people)
    found = []
    for _ in range(DRAWS):
        drawn = np.sort(random.choice(enough, size, replace=False))
        scores = sample.faces @ means[np.searchsorted(enrolled, drawn)].T
        mated = np.isin(sample.owner, drawn)
        asked = np.flatnonzero(~mated | (place >= 2))
        scores, mated = scores[asked], mated[asked]
        column = np.searchsorted(drawn, sample.owner[asked])[mated]
        own = np.full(len(asked), np.nan)
        own[mated] = scores[mated, column]
        scores[np.flatnonzero(mated), column] = -np.inf
        rivals = -np.sort(-scores, axis=1)[:, :RIVALS]
        found.append(calibrate(own, rivals, sample.owner[asked], threshold, start))
    slope = _round(float(np.median([one.slope for one in found])))
    return Calibration(slope, _round(float(np.median([one.temperature for one in found]))))


def _true_fpir(sample: _Sample, fit: _Fit) -> tuple[float, float]:
    """Between which FPIRs the true one lies where 1 % is asked for, by the jackknife over groups of people.

    Tukey, "Bias and confidence in not-quite large samples", 1958. The threshold of the curve varies with who is left
    out, and by what a bend would do that could not be fitted; the curve says what share of strangers that lets through.
    """
    groups = min(GROUPS, sample.people)
    group = np.random.default_rng(0).permutation(sample.people) % groups
    parts = [_fit_curve(sample.those(group != one), fit.bent).curve for one in range(groups)]
    found = [_threshold(part, ENROLLED, ASKED) for part in parts]
    error = math.sqrt((groups - 1) * float(np.var(found)))
    # The deviate of Student's distribution with as many degrees of freedom, by the first term of its expansion.
    wide = Z95 + (Z95**3 + Z95) / (4 * (groups - 1))
    off = math.hypot(wide * error, BEND * fit.curve[1] * fit.lever)
    middle = _threshold(fit.curve, ENROLLED, ASKED)
    return _share_above(fit.curve, middle + off), _share_above(fit.curve, middle - off)


def _threshold(curve: Curve, people: int, share: float, photos: float = math.inf) -> float:
    """What a share of strangers reaches in a gallery of `people`, by the curve."""
    a, b, c, d = curve
    deviate = normal_deviate(people, share)
    return a + b * deviate + c * deviate * deviate + d / photos


def _share_above(curve: Curve, threshold: float) -> float:
    """The share of strangers that reaches a threshold in a gallery of `ENROLLED`, by the curve."""
    shares = np.geomspace(1e-7, 0.999, 2000)
    return _round(float(shares[int(np.argmin([abs(_threshold(curve, ENROLLED, one) - threshold) for one in shares]))]))


def _quantile(values: Vector, weight: Vector, share: float) -> float:
    """Where the values up to there have this share of the weight."""
    order = np.argsort(values, kind="stable")
    total = np.cumsum(weight[order])
    return float(values[order][min(int(np.searchsorted(total, share * total[-1])), len(order) - 1)])


def _round(value: float) -> float:
    """To four digits: what lies beyond hangs on the processor."""
    return float(f"{value:.4g}")
