"""Drift: whether the faces that a model names today score as those did on which it was measured when it was trained.

Compared are margins, by how much the score of a face that got a name lies above the threshold: faces that got none may
be of strangers, of whom training says nothing. Cards keep a few quantiles of the margins, and no face's own.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import ArrayLike

LEVELS = (0.05, 0.25, 0.5, 0.75, 0.95)
"""Of which margins a card has the quantiles."""


def margin_quantiles(margins: ArrayLike) -> dict[str, float]:
    """The quantiles of N margins by their names in a card, "margin_05" to "margin_95"; none of none."""
    known = np.asarray(margins, dtype=np.float64)
    if not known.size:
        return {}
    return {_name(level): float(value) for level, value in zip(LEVELS, np.quantile(known, LEVELS), strict=True)}


def of_card(metrics: Mapping[str, float]) -> tuple[float, ...]:
    """The quantiles that a card has, by `LEVELS`; empty for the card of a model that was trained before there were
    any, or without faces to measure."""
    names = [_name(level) for level in LEVELS]
    return tuple(metrics[name] for name in names) if all(name in metrics for name in names) else ()


def drift(margins: ArrayLike, quantiles: tuple[float, ...]) -> float:
    """How far the margins of N faces (at least one) have moved from those with these `quantiles`, -1 to 1: 0 where they
    lie alike, above 0 where they are lower.

    It is the largest difference of the two distribution functions at the quantiles (Kolmogorov and Smirnov's, where
    the one function is known), with its sign. Two samples of one distribution differ by less than 1.36 / sqrt(N) in 95
    of 100 cases.
    """
    known = np.sort(np.asarray(margins, dtype=np.float64))
    below = np.searchsorted(known, quantiles, side="left") / len(known)
    until = np.searchsorted(known, quantiles, side="right") / len(known)
    # Of equal margins any share may lie below a quantile: what differs least is what is so.
    more, fewer = below - np.array(LEVELS), np.array(LEVELS) - until
    moved = np.where(more > 0, more, np.where(fewer > 0, -fewer, 0.0))
    return float(moved[np.argmax(np.abs(moved))])


def _name(level: float) -> str:
    return f"margin_{round(100 * level):02d}"
