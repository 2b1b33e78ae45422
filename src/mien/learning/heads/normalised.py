"""Within-class covariance normalisation: directions in which one person's photos differ among themselves (pose, light,
age) count less than those in which people differ.

Hatch, Kajarekar and Stolcke, "Within-class covariance normalization for SVM-based speaker recognition", 2006. The
covariance is of the album's own people: one measured on other people did not help (docs/benchmarks.md).
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import Fit, FittedHead, Ints, transformed
from mien.types import Floats

PART = 0.25
"""How much of the covariance is the album's; the rest is the identity, towards which it is shrunk. 0.2 to 0.4 are alike
on the training photos of LFW's 25 people; one half and more names more strangers."""

FEWEST_PEOPLE, FEWEST_SPARE = 5, 150
"""People, and differences (photos less people), from which on the covariance is worth having (docs/benchmarks.md). Of
5 to 10 people from the web it takes back a third to all of the errors; of 2 people too little is known of how
strangers' scores lie: in one album of twenty 15 % of them were named where 1 % was asked for."""


FACES = 1 << 17
"""Faces held at a time in float64."""


def normalised(fit: Fit) -> Fit:
    """The head that `fit` makes of normalised embeddings."""

    def fitted(embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        transform = _transform(embeddings, person, people)
        head = fit(transformed(embeddings, transform), person, people, weight)
        return replace(head, transform=transform)

    return fitted


def _transform(embeddings: Floats, person: Ints, people: int) -> Floats:
    """(D, D): the inverse root of the shrunk covariance, symmetric, so that nothing is turned."""
    photos = np.bincount(person, minlength=people)
    order, ends = np.argsort(person, kind="stable"), np.cumsum(photos)
    covariance, first = np.zeros((embeddings.shape[1],) * 2), 0
    while first < people:  # whole people, so many that their faces are not too many
        before = int(ends[first] - photos[first])
        last = max(int(np.searchsorted(ends, before + FACES, side="right")), first + 1)
        rows = order[before : ends[last - 1]]
        covariance += _differences(np.asarray(embeddings[rows], np.float64), person[rows] - first, photos[first:last])
        first = last
    size = len(covariance)
    spread = float(np.trace(covariance)) or 1.0  # nobody's photos differ: the identity alone
    shrunk = (1 - PART) * np.eye(size) + PART * size * covariance / spread
    values, axes = np.linalg.eigh(shrunk)
    return np.asarray(axes / np.sqrt(values) @ axes.T, np.float32)


def _differences(rows: NDArray[np.float64], owner: Ints, photos: Ints) -> NDArray[np.float64]:
    """(D, D): how faces (n, D), by person, differ from their people's means, summed up; `photos` is how many of each
    there are."""
    centred = rows - (np.add.reduceat(rows, np.cumsum(photos) - photos, axis=0) / photos[:, None])[owner]
    # A person of n photos has n - 1 differences: their photos weigh as much as those of somebody with many.
    several = photos[owner] > 1
    centred = centred[several] * np.sqrt(photos / np.maximum(photos - 1, 1))[owner[several], None]
    return np.asarray(centred.T @ centred)
