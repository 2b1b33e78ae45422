"""Whether two faces are of one person, by their embeddings alone: no model, and nobody's name."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from mien.learning.openset import default_threshold, logistic
from mien.types import Cosines, Floats


@dataclass(frozen=True, slots=True)
class Pair:
    """Two faces: the cosine of their embeddings as `score`, the `threshold` from which on they are one person, and the
    `probability` of that, which is one half at the threshold."""

    score: float
    threshold: float
    probability: float

    @property
    def same(self) -> bool:
        return self.score >= self.threshold


def pair(one: Floats, other: Floats, fpir: float, cosines: Cosines) -> Pair:
    """Two unit embeddings (D,) of one encoder. One face is taken for a gallery of one person with one photo: a share
    `fpir` of strangers would be taken for that person (`mien.learning.openset.default_threshold`)."""
    score = float(np.dot(one.astype(np.float64), other.astype(np.float64)))
    threshold = default_threshold(1, 1, fpir, cosines)
    above = np.array([cosines.slope * (score - threshold)])
    return Pair(score, threshold, float(logistic(above)[0]))
