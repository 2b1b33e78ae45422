"""Figures that only benchmarks ask for; those that mien itself reports are in `mien.learning.figures`."""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import ArrayLike, NDArray


def fpir_at(non_mated_best: ArrayLike, threshold: float) -> float:
    """Share of strangers that get any name: (N,) best scores."""
    best = np.asarray(non_mated_best, dtype=np.float64)
    if len(best) == 0:
        return math.nan
    return float(np.mean((best >= threshold) & np.isfinite(best)))


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
