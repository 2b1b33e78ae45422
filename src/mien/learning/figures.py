"""Figures: TPIR at an FPIR, calibration error, intervals, and what a model is worth by them.

Scores are "higher is closer". A probe in which no face was found has the score -inf everywhere: it is a miss if its
person is enrolled, and otherwise a stranger who was not named; it counts in either case. Every result is a fraction in
0..1, nan where there was nothing to count. The words (FPIR, TPIR, mated) are those of ISO/IEC 19795-1 and NIST's FRVT
1:N reports (NISTIR 8271).

An interval says how else a share could have come out, with other photos, other people and other strangers. Wilson's
interval knows the number of tries alone and takes them for independent. But photos of one person fail together, and a
threshold swept over strangers hangs on the few who may be named: of 5,000 at FPIR 0.1 %, on five. So people are drawn
anew with all their photos, strangers too, and the threshold is swept again in each draw: the percentile interval of the
bootstrap (Efron and Tibshirani 1993, "An Introduction to the Bootstrap", chapter 13), by people as in Bolle, Ratha and
Pankanti (2004, doi:10.1016/j.cviu.2003.08.002), of mated and non-mated probes separately as NIST does (Wu, Martin and
Kacker 2011, "Measures, uncertainties, and significance test in operational ROC analysis"). Draws of a few people, or of
hits alone, show too little, and there Wilson's interval is the better one. Hence the one rule: an interval reaches from
the lower of both lower ends to the higher of both higher ends, and is never narrower than Wilson's.

In 200 simulated albums (60 people with 10 probes each, 5,000 strangers, FPIR 0.1 %) the true TPIR lay in 92 % of these
intervals, and in 45 % of Wilson's; 30 people and 300 strangers at 1 %: 94 and 47 %.
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.learning.crossval import HeldOut
from mien.learning.drift import margin_quantiles
from mien.learning.openset import Calibration, Threshold, probabilities

Ints = NDArray[np.int64]

Z95 = 1.959964
"""The normal deviate of a two-sided 95 % interval."""

DRAWS = 1000
"""Draws of people and strangers: as many as Efron and Tibshirani ask for the ends of a 95 % interval."""

_SEED = 0
"""The same data give the same interval."""

_CHUNK = 1 << 20
"""Numbers held at a time while people are drawn: 8 MB."""


def wilson(k: int, n: int, z: float = Z95) -> tuple[float, float]:
    """The interval (low, high) that the share behind `k` hits in `n` tries lies in; 95 % unless another `z` is given.

    Wilson (1927), doi:10.1080/01621459.1927.10502953. It stays within 0..1 and keeps its width when k is 0 or n, which
    the textbook interval does not. No tries say nothing: (0, 1). Raises ValueError unless 0 <= k <= n.
    """
    if not 0 <= k <= n:
        raise ValueError(f"{k} of {n}")
    if n == 0:
        return 0.0, 1.0
    share, slack = k / n, z * z / n
    middle = (share + slack / 2) / (1 + slack)
    half = math.sqrt(share * (1 - share) * slack + slack * slack / 4) / (1 + slack)
    # At the ends the formula gives 0 and 1 exactly; in floating point it may miss them by an ulp.
    return (0.0 if k == 0 else middle - half), (1.0 if k == n else middle + half)


def threshold_at_fpir(non_mated_best: ArrayLike, fpir: float) -> float:
    """The lowest threshold that at most floor(fpir * N) of N strangers reach: `score >= threshold` names somebody.

    `non_mated_best` (N,) is each stranger's best score. The threshold lies one ulp (float64) above the first stranger
    who may not be named, so that equal scores fall together; -inf if all may be. Compare in float64: rounding the
    threshold to float32 would let that stranger in.
    """
    best = np.sort(np.asarray(non_mated_best, dtype=np.float64))[::-1]
    allowed = allowance(fpir, len(best))
    return math.nextafter(best[allowed], math.inf) if allowed < len(best) else -math.inf


def allowance(fpir: float, total: float) -> int:
    """floor(fpir * total), spared the floating-point floor that makes 0.29 * 100 into 28."""
    return math.floor(fpir * total * (1 + 1e-12) + 1e-12)


def _allowances(fpir: float, totals: Ints) -> Ints:
    """`allowance` of many totals."""
    return np.asarray(np.floor(fpir * totals * (1 + 1e-12) + 1e-12), np.int64)


def tpir_at(mated_scores: ArrayLike, mated_is_rank1: ArrayLike, threshold: float) -> float:
    """Share of mated probes that get their own name: (N,) best scores, and whether the best was the right person."""
    scores, right = np.asarray(mated_scores, dtype=np.float64), np.asarray(mated_is_rank1, dtype=bool)
    if len(scores) == 0:
        return math.nan
    return float(np.mean(right & (scores >= threshold) & np.isfinite(scores)))


def tpir_at_fpir(
    mated_scores: ArrayLike, mated_is_rank1: ArrayLike, non_mated_best: ArrayLike, fpir: float
) -> tuple[float, float]:
    """(TPIR, threshold) with the threshold swept over these very strangers; see `threshold_at_fpir` and `tpir_at`."""
    threshold = threshold_at_fpir(non_mated_best, fpir)
    return tpir_at(mated_scores, mated_is_rank1, threshold), threshold


def expected_calibration_error(probability: ArrayLike, correct: ArrayLike, bins: int = 15) -> float:
    """Mean gap between how sure the answers were and how often they were right, over `bins` equal slices of 0..1.

    `probability` (N,) of each answer given, `correct` (N,) bool. Naeini et al. 2015, the 15 bins of Guo et al. 2017.
    """
    sure, right = np.asarray(probability, dtype=np.float64), np.asarray(correct, dtype=np.float64)
    if len(sure) == 0:
        return math.nan
    bin_of = np.minimum((sure * bins).astype(np.intp), bins - 1)
    gaps = np.bincount(bin_of, sure - right, bins)
    return float(np.abs(gaps).sum() / len(sure))


# What a model is worth, from held-out scores. Each face of the album is asked about twice, by a head that was fitted
# without it: as itself (mated), and with its person masked, as the stranger it would then be (non-mated).

BINS = 15
"""Of the reliability curve."""


SHARES = ("top1", "top3", "tpir", "tpir_at_fpir_1", "tpir_at_fpir_01", "fpir")


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, as a fraction with its 95 % interval; `value` is None where there was nothing to count.

    `resampled` are the ends of the interval by draws of people and strangers, None where nothing was drawn: of one
    person's photos, say. Shares are equal where their counts are.
    """

    hits: int
    of: int
    resampled: tuple[float, float] | None = field(default=None, compare=False)

    @property
    def value(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def low(self) -> float:
        return self.interval[0]

    @property
    def high(self) -> float:
        return self.interval[1]

    @property
    def interval(self) -> tuple[float, float]:
        """Wilson's interval, as far as draws of people and strangers do not reach further."""
        low, high = wilson(self.hits, self.of)
        return (low, high) if self.resampled is None else (min(low, self.resampled[0]), max(high, self.resampled[1]))


def most_of_none(tries: int) -> float:
    """The largest share that is behind no hit at all in so many tries, at 95 % confidence; 1 for no tries.

    The exact upper end of the one-sided binomial interval (Clopper and Pearson 1934, doi:10.1093/biomet/26.4.404),
    which is about 3 / tries: the "rule of three" (Hanley and Lippman-Hand 1983, doi:10.1001/jama.1983.03330370053031).
    """
    return 1 - 0.05 ** (1 / tries) if tries else 1.0


def counted(hits: ArrayLike, person: ArrayLike) -> Share:
    """The share of N probes that are `hits` (N,) bool; `person` (N,) says whose each probe is, as any labels.

    People are drawn anew, each with all their probes; it costs draws times people.
    """
    hit, owner = np.asarray(hits, bool), _numbered(person)
    share = Share(int(hit.sum()), len(hit))
    of = np.bincount(owner)
    if len(of) < 2 or share.hits in (0, share.of):
        return share  # every draw says the same
    hits_of = np.bincount(owner, hit)
    random, values = np.random.default_rng(_SEED), np.empty(DRAWS)
    for some in _chunks(len(of)):
        people = random.integers(len(of), size=(some.stop - some.start, len(of)))
        values[some] = hits_of[people].sum(axis=1) / of[people].sum(axis=1)
    return Share(share.hits, share.of, _percentiles(values))


def counted_at_fpir(
    scores: ArrayLike,
    right: ArrayLike,
    person: ArrayLike,
    non_mated_best: ArrayLike,
    stranger: ArrayLike,
    fpir: float,
) -> Share:
    """TPIR at an FPIR: how many of N mated probes get their own name at the threshold swept over M strangers' probes.

    `scores` (N,) are the mated probes' best and `right` (N,) bool says whether the best was the right person;
    `non_mated_best` (M,) are the best scores of the others. `person` (N,) and `stranger` (M,) say whose each probe is,
    as any labels. People and strangers are drawn anew, independently, each with all their probes, and the threshold
    is swept over the strangers of the draw.

    Where less than one of the strangers may be named, the threshold lies above them all. No draw has a stranger who is
    more alike than the most alike of these, so that the lower end is that of strangers like these, and not of worse.
    Without strangers the threshold lets everybody in.
    """
    score, best = np.asarray(scores, np.float64), np.asarray(non_mated_best, np.float64)
    hit = np.asarray(right, bool) & np.isfinite(score)
    owner, other = _numbered(person), _numbered(stranger)
    rising = np.sort(best)
    # Strangers from the most alike on: a probe is named where those ahead of it, who score as much or more, may be.
    ahead, alike = len(best) - np.searchsorted(rising, score[hit]), other[np.argsort(-best, kind="stable")]
    share = Share(int(np.sum(ahead <= allowance(fpir, len(best)))), len(score))
    of = np.bincount(owner)
    if not len(of):
        return share
    random, values = np.random.default_rng(_SEED), np.empty(DRAWS)
    strangers = int(other.max(initial=-1)) + 1
    for some in _chunks(max(len(best), len(score))):
        named = np.cumsum(_drawn(random, strangers, some)[:, alike], axis=1)
        let_in = (named <= _allowances(fpir, named[:, -1:])).sum(axis=1)
        times = _drawn(random, len(of), some)
        values[some] = np.sum(times[:, owner[hit]] * (ahead <= let_in[:, None]), axis=1) / (times @ of)
    return Share(share.hits, share.of, _percentiles(values))


def _numbered(labels: ArrayLike) -> Ints:
    """(N,) labels as numbers from 0 on, in their sorted order, so that no draw hangs on how probes are ordered."""
    return np.asarray(np.unique(np.asarray(labels), return_inverse=True)[1], np.int64)


def _chunks(wide: int) -> Iterator[slice]:
    """The draws in parts that hold so many numbers a draw."""
    step = max(1, _CHUNK // max(wide, 1))
    return (slice(start, min(start + step, DRAWS)) for start in range(0, DRAWS, step))


def _drawn(random: np.random.Generator, people: int, some: slice) -> Ints:
    """(D, people) how often each of the people comes up in D draws of so many with replacement."""
    draws = some.stop - some.start
    if not people:
        return np.zeros((draws, 0), np.int64)
    drawn = random.integers(people, size=(draws, people)) + people * np.arange(draws)[:, None]
    return np.bincount(drawn.ravel(), minlength=draws * people).reshape(draws, people)


def _percentiles(values: NDArray[np.float64]) -> tuple[float, float]:
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


@dataclass(frozen=True, slots=True, eq=False)
class ModelFigures:
    """What a model is worth, counted in held-out scores.

    Shares of mated faces: `top1` and `top3`; `tpir` are named rightly at the model's threshold; `tpir_at_fpir_1` and
    `_01` at a threshold swept to name 1 % and 0.1 % of the masked. `fpir` is the share of the masked that the model's
    threshold names. `ece_mated` and `ece_non_mated` are the calibration errors of the mated and of the masked answers.
    `single` faces are the only ones of their people, and could be asked about masked alone.

    `probability` and `correct` (N_mated,) are of the mated answers, `unknown` and `refused` (N_masked,) of the masked.
    `margins` (N_right,) are by how much the scores of the mated that are named rightly lie above the threshold.
    """

    top1: Share
    top3: Share
    tpir: Share
    tpir_at_fpir_1: Share
    tpir_at_fpir_01: Share
    fpir: Share
    single: int
    ece_mated: float
    ece_non_mated: float
    probability: NDArray[np.float64]
    correct: NDArray[np.bool_]
    unknown: NDArray[np.float64]
    refused: NDArray[np.bool_]
    margins: NDArray[np.float64]

    def counts(self) -> dict[str, int]:
        """For the card: what the shares were counted from."""
        found: dict[str, int] = {"single": self.single}
        for name in SHARES:
            share: Share = getattr(self, name)
            found |= {f"{name}_hits": share.hits, f"{name}_of": share.of}
        return found

    def figures(self) -> dict[str, float]:
        """For the card: every figure that there is, shares with the ends of their intervals, margins by quantiles."""
        found: dict[str, float] = {}
        for name in SHARES:
            share: Share = getattr(self, name)
            if share.value is not None:
                low, high = share.interval
                found |= {name: share.value, f"{name}_low": low, f"{name}_high": high}
        found |= {"ece_mated": self.ece_mated, "ece_non_mated": self.ece_non_mated, **margin_quantiles(self.margins)}
        return {name: round(value, 6) for name, value in found.items() if np.isfinite(value)}


def measure(held: HeldOut, person: ArrayLike, threshold: Threshold, calibration: Calibration) -> ModelFigures:
    """What the held-out scores of N faces say of a model with this threshold and this calibration; `person` (N,) says
    whose each face is. A person's masked faces are one stranger's."""
    own, best = np.nan_to_num(held.own.astype(np.float64), nan=-np.inf), held.best_rival
    mated, masked, owner = held.mated, np.isfinite(best), np.asarray(person)
    right = held.right
    ahead = (held.rivals >= held.own[:, None]).sum(axis=1)

    def of_mated(hits: NDArray[np.bool_]) -> Share:
        return counted(hits[mated], owner[mated])

    def at_fpir(fpir: float) -> Share:
        return counted_at_fpir(own[mated], right[mated], owner[mated], best[masked], owner[masked], fpir)

    asked = probabilities(np.column_stack([own, held.rivals])[mated], threshold, calibration)
    strange = probabilities(held.rivals[masked], threshold, calibration)
    correct, refused = right[mated] & asked.named, ~strange.named
    named = right & (own >= threshold.value)
    return ModelFigures(
        top1=of_mated(right),
        top3=of_mated(ahead < 3),
        tpir=of_mated(named),
        tpir_at_fpir_1=at_fpir(0.01),
        tpir_at_fpir_01=at_fpir(0.001),
        fpir=counted(strange.named, owner[masked]),
        single=int(np.sum(~mated)),
        ece_mated=expected_calibration_error(asked.answer, correct, BINS),
        ece_non_mated=expected_calibration_error(strange.answer, refused, BINS),
        probability=asked.answer,
        correct=correct,
        unknown=strange.answer,
        refused=refused,
        margins=own[named] - threshold.value,
    )
