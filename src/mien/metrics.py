"""What an evaluation reports: TPIR at an FPIR, verification accuracy, calibration error, intervals. Pure numpy.

Scores are "higher is closer". A probe in which no face was found has the score -inf everywhere: it is a miss if its
person is enrolled, and a stranger nobody named, still counted, if not. Every result is a fraction in 0..1, nan where
there was nothing to count. The words (FPIR, TPIR, mated) are those of ISO/IEC 19795-1 and NIST's FRVT 1:N reports.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray

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


def fpir_at(non_mated_best: ArrayLike, threshold: float) -> float:
    """Share of strangers that get any name: (N,) best scores."""
    best = np.asarray(non_mated_best, dtype=np.float64)
    if len(best) == 0:
        return math.nan
    return float(np.mean((best >= threshold) & np.isfinite(best)))


def tpir_at_fpir(
    mated_scores: ArrayLike, mated_is_rank1: ArrayLike, non_mated_best: ArrayLike, fpir: float
) -> tuple[float, float]:
    """(TPIR, threshold) with the threshold swept over these very strangers; see `threshold_at_fpir` and `tpir_at`."""
    threshold = threshold_at_fpir(non_mated_best, fpir)
    return tpir_at(mated_scores, mated_is_rank1, threshold), threshold


def verification_accuracy(scores: ArrayLike, same: ArrayLike, folds: ArrayLike) -> float:
    """Share of pairs judged rightly as same or different, each fold by the threshold that is best on all other folds.

    LFW's protocol (Huang et al. 2007, "image-restricted"): `scores` (N,), `same` (N,) bool, `folds` (N,) any labels.
    Of several best thresholds the middle one is used. A pair without a face (-inf) is judged different.
    """
    values, truth = np.asarray(scores, dtype=np.float64), np.asarray(same, dtype=bool)
    fold_of = np.asarray(folds)
    if len(values) == 0:
        return math.nan
    right = 0
    for fold in np.unique(fold_of):
        held_out = fold_of == fold
        threshold = _best_threshold(values[~held_out], truth[~held_out])
        right += int(np.sum((values[held_out] >= threshold) == truth[held_out]))
    return right / len(values)


def _best_threshold(scores: NDArray[np.float64], same: NDArray[np.bool_]) -> float:
    """The threshold, halfway between two scores, that judges most pairs rightly. Raises ValueError without a score."""
    found = np.isfinite(scores)
    if not found.any():
        raise ValueError("no pair with a score outside the fold")
    levels, level_of = np.unique(scores[found], return_inverse=True)
    # Per level: what accepting these pairs (as well as all above) wins and loses.
    gain = np.bincount(level_of, np.where(same[found], 1.0, -1.0), len(levels))
    won = np.cumsum(gain[::-1])[::-1]
    best = np.flatnonzero(won == won.max())
    middle = int(best[len(best) // 2])
    return float(levels[middle] if middle == 0 else (levels[middle - 1] + levels[middle]) / 2)


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
