"""Softmax: prototypes moved so that each person's faces are told from everybody else's, by L-BFGS.

The logits are scaled cosines ("NormFace", Wang et al. 2017), so what is learned are again unit prototypes and the score
stays a cosine; a pull back to the means keeps strangers away (without it, FPIR rises fast).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import Fit, FittedHead, Ints, transformed
from mien.types import Cosines, Floats

MOST_WORK = 2_000_000
"""Faces times people up to which this head can be had: beyond, it would take minutes and gigabytes."""

_STEPS = 60


def with_softmax(fit: Fit, cosines: Cosines) -> Fit:
    """The head that `fit` makes, with its prototypes trained on; `Cosines.softmax` says how far."""
    scale, pull = cosines.softmax

    def fitted(embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        head = fit(embeddings, person, people, weight)
        if people < 2:
            return head
        owner = person[head.counted]
        faces = transformed(embeddings, head.transform)[head.counted].astype(np.float64)
        return replace(head, vectors=_descend(faces, owner, head.vectors.astype(np.float64), scale, pull))

    return fitted


def _descend(
    faces: NDArray[np.float64], owner: NDArray[np.int64], means: NDArray[np.float64], scale: float, pull: float
) -> Floats:
    """(P, D) float32 unit: the prototypes of least loss, from the means (P, D) of the owners of (N, D) unit faces."""
    from scipy.optimize import minimize

    rows = np.arange(len(faces))
    weight = 1 / np.bincount(owner)[owner]  # each person weighs alike

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        vectors = flat.reshape(means.shape)
        length = np.linalg.norm(vectors, axis=1, keepdims=True)
        axes = vectors / length
        logits = scale * faces @ axes.T
        logits -= logits.max(axis=1, keepdims=True)
        share = np.exp(logits)
        total = share.sum(axis=1, keepdims=True)
        value = float(weight @ (np.log(total[:, 0]) - logits[rows, owner]))
        share /= total
        share[rows, owner] -= 1
        slope = scale * (weight[:, None] * share).T @ faces
        slope = (slope - (slope * axes).sum(axis=1, keepdims=True) * axes) / length
        away = vectors - means
        return value + pull * scale * float((away**2).sum()), (slope + 2 * pull * scale * away).ravel()

    best = minimize(loss, means.ravel(), jac=True, method="L-BFGS-B", options={"maxiter": _STEPS})
    found = best.x.reshape(means.shape)
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)
