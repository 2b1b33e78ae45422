"""Figures: TPIR at an FPIR, calibration error, intervals, and what a model is worth by them.

Scores are "higher is closer". A probe in which no face was found has the score -inf everywhere: it is a miss if its
person is enrolled, and otherwise a stranger who was not named; it counts in either case. Every result is a fraction in
0..1, nan where there was nothing to count. The words (FPIR, TPIR, mated) are those of ISO/IEC 19795-1 and NIST's FRVT
1:N reports.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.learning.crossval import HeldOut
from mien.learning.openset import Calibration, Threshold, probabilities

Z95 = 1.959964
"""The normal deviate of a two-sided 95 % interval."""


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
    """`hits` of `of`, as a fraction with its 95 % Wilson interval; `value` is None where there was nothing to count."""

    hits: int
    of: int

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
        return wilson(self.hits, self.of)


@dataclass(frozen=True, slots=True, eq=False)
class ModelFigures:
    """What a model is worth, counted in held-out scores.

    Shares of mated faces: `top1` and `top3`; `tpir` are named rightly at the model's threshold; `tpir_at_fpir_1` and
    `_01` at a threshold swept to name 1 % and 0.1 % of the masked. `fpir` is the share of the masked that the model's
    threshold names. `ece_mated` and `ece_non_mated` are the calibration errors of the mated and of the masked answers.
    `single` faces are the only ones of their people, and could be asked about masked alone.

    `probability` and `correct` (N_mated,) are of the mated answers, `unknown` and `refused` (N_masked,) of the masked.
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

    def counts(self) -> dict[str, int]:
        """For the card: what the shares were counted from."""
        found: dict[str, int] = {"single": self.single}
        for name in SHARES:
            share: Share = getattr(self, name)
            found |= {f"{name}_hits": share.hits, f"{name}_of": share.of}
        return found

    def figures(self) -> dict[str, float]:
        """For the card: every figure that there is, shares with the ends of their intervals."""
        found: dict[str, float] = {}
        for name in SHARES:
            share: Share = getattr(self, name)
            if share.value is not None:
                low, high = share.interval
                found |= {name: share.value, f"{name}_low": low, f"{name}_high": high}
        found |= {"ece_mated": self.ece_mated, "ece_non_mated": self.ece_non_mated}
        return {name: round(value, 6) for name, value in found.items() if np.isfinite(value)}


def measure(held: HeldOut, threshold: Threshold, calibration: Calibration) -> ModelFigures:
    """What the held-out scores say of a model with this threshold and this calibration."""
    own, best = np.nan_to_num(held.own.astype(np.float64), nan=-np.inf), held.best_rival
    mated, masked = held.mated, np.isfinite(best)
    right = held.right
    ahead = (held.rivals >= held.own[:, None]).sum(axis=1)

    def reached(cut: float) -> Share:
        return Share(int(np.sum(right & (own >= cut))), int(mated.sum()))

    asked = probabilities(np.column_stack([own, held.rivals])[mated], threshold, calibration)
    strange = probabilities(held.rivals[masked], threshold, calibration)
    correct, refused = right[mated] & asked.named, ~strange.named
    return ModelFigures(
        top1=Share(int(right.sum()), int(mated.sum())),
        top3=Share(int(np.sum(mated & (ahead < 3))), int(mated.sum())),
        tpir=reached(threshold.value),
        tpir_at_fpir_1=reached(threshold_at_fpir(best[masked], 0.01)),
        tpir_at_fpir_01=reached(threshold_at_fpir(best[masked], 0.001)),
        fpir=Share(int(strange.named.sum()), int(masked.sum())),
        single=int(np.sum(~mated)),
        ece_mated=expected_calibration_error(asked.answer, correct, BINS),
        ece_non_mated=expected_calibration_error(strange.answer, refused, BINS),
        probability=asked.answer,
        correct=correct,
        unknown=strange.answer,
        refused=refused,
    )
