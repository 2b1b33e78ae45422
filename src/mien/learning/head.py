"""Heads: what scores an embedding against every person, in the one form in which all heads end. Pure arithmetic.

There is one way to score, to save and to load a head, whichever way it was fitted:

    unit = normalised(embedding @ transform)
    score of a person = share * unit . prototype + (1 - share) * the highest unit . exemplar of that person

Every part is a cosine, so the score is one too, and the threshold applies to it whichever head it was. Today's heads
keep no exemplars; models of earlier versions do.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.text.models import HeadKind
from mien.types import Cosines, Floats

Ints = NDArray[np.int64]

LEAST_QUALITY = 0.04
"""A face weighs by the root of its quality, and one of no quality at all as much as one of this."""


@dataclass(frozen=True, slots=True, eq=False)
class FittedHead:
    """A head that was fitted to the faces of P people.

    `vectors` (P, D) float32 unit prototypes; `transform` (D, D) float32, or None to take embeddings as they are;
    `exemplars` (M, D) float32 unit, with `owner` (M,) int64 in 0..P-1, sorted; `share` in 0..1 is the part of the score
    that the prototype has, 1 where there are no exemplars. `counted` (N,) bool says which of the N faces it was fitted
    on have a part in it, and were not left out as contradicted by the person's others.
    """

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


Fit = Callable[[Floats, Ints, int, Floats], FittedHead]
"""Fits a head: (embeddings (N, D) float32 unit, person (N,) int64 in 0..P-1, P, weight (N,) above 0) -> FittedHead.
Each of the P people has a face."""


class Scale(NamedTuple):
    """How a head's scores of strangers lie beside cosines to one mean a person: `offset` + `spread` times those."""

    offset: float
    spread: float


PLAIN = Scale(0.0, 1.0)
"""The scale of a head whose scores are such cosines."""


@dataclass(frozen=True, slots=True)
class HeadOption:
    """A head that may be chosen for a model.

    `fit_for` gives its `Fit` for an encoder's cosines. It needs an album of `fewest_people`, and of `fewest_spare`
    photos more than people. `formerly` are names of heads that earlier versions of mien had: a model with one of them
    is compared as if it had this one.
    """

    name: str
    fit_for: Callable[[Cosines], Fit]
    fewest_people: int = 1
    fewest_spare: int = 0
    formerly: tuple[str, ...] = ()

    def hindrance(self, photos: int, people: int) -> str | None:
        """Why this head cannot be had for an album of so many photos and people, in words; None if it can."""
        if people < self.fewest_people:
            return HeadKind.TOO_FEW_PEOPLE.say({"fewest": self.fewest_people})
        if photos - people < self.fewest_spare:
            return HeadKind.TOO_FEW_PHOTOS.say({"fewest": self.fewest_spare})
        return None
