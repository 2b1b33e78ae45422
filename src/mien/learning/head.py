"""A head as fitted: what it takes to score an embedding against every person. Pure arithmetic.

All heads of mien end in this one form, so that there is one way to score, to save and to load them:

    unit = normalised(embedding @ transform)
    score of a person = share * unit . prototype + (1 - share) * the highest unit . exemplar of that person

Every part is a cosine, so the score is one too, and the threshold applies to it whichever head it was.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.types import Floats

Ints = NDArray[np.int64]

LEAST_QUALITY = 0.04
"""A face weighs by the root of its quality, and one of no quality at all as much as one of this."""


@dataclass(frozen=True, slots=True, eq=False)
class Fitted:
    """`vectors` (P, D) float32 unit prototypes; `transform` (D, D) float32, or None to take embeddings as they are;
    `exemplars` (M, D) float32 unit, with `owner` (M,) int64 in 0..P-1, sorted; `share` in 0..1, 1 where there are no
    exemplars. `counted` (N,) bool says which of the faces it was fitted on were not left out as contradicted."""

    vectors: Floats
    transform: Floats | None
    exemplars: Floats
    owner: Ints
    share: float
    counted: NDArray[np.bool_]

    def scores(self, embeddings: Floats) -> Floats:
        """(N, P) float32 for (N, D) embeddings of any length."""
        faces = transformed(embeddings, self.transform)
        found: Floats = faces @ self.vectors.T
        if self.share == 1.0 or not len(self.exemplars):
            return found
        nearest = np.full_like(found, -1.0)  # of somebody without an exemplar: as far as can be
        present, starts = np.unique(self.owner, return_index=True)
        nearest[:, present] = np.maximum.reduceat(faces @ self.exemplars.T, starts, axis=1)
        share = np.float32(self.share)  # and 1 - share of that, so that a head read back from a file scores bit for bit
        return np.asarray(share * found + (1 - share) * nearest, np.float32)


def transformed(embeddings: Floats, transform: Floats | None) -> Floats:
    """(N, D) float32 unit rows of (N, D) embeddings after the transform."""
    rows = np.asarray(embeddings, np.float32)
    if transform is not None:
        rows = rows @ transform
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def weights(quality: Floats) -> Floats:
    """(N,) float32: what faces of these overall qualities (`mien.types.Quality`) weigh when a head is fitted."""
    return np.asarray(np.sqrt(np.maximum(quality, LEAST_QUALITY)), np.float32)


Fit = Callable[[Floats, Ints, int, Floats], Fitted]
"""Makes a head: (embeddings (N, D) float32 unit, person (N,) int64 in 0..P-1, P, weight (N,) above 0) -> Fitted.
Everybody has a face."""
