"""Several prototypes a person: a mean for each way in which somebody is photographed (frontal, profile, young, old)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.learning.head import Fit, FittedHead, Ints, transformed
from mien.types import Floats

MOST = 3
"""Means of a person at most."""

EACH = 4
"""Faces that each mean should have on average: a mean of one or two is no mean."""

SHARE = 0.5
"""The part that the one prototype of all the person's faces keeps."""

_ROUNDS = 20


def with_several(fit: Fit) -> Fit:
    """The head that `fit` makes, and a few means beside each prototype."""

    def fitted(embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        head = fit(embeddings, person, people, weight)
        owner = person
        faces = transformed(embeddings, head.transform)
        means = [_means(faces[(owner == one) & head.counted]) for one in range(people)]
        count = [len(some) for some in means]
        return replace(head, exemplars=np.concatenate(means), owner=np.repeat(np.arange(people), count), share=SHARE)

    return fitted


def _means(faces: Floats) -> Floats:
    """(K, D) unit means of one person's (N, D) faces: spherical k-means (Dhillon and Modha, 2001), begun from the most
    typical face and then always the one farthest from those taken, so that nothing is left to chance."""
    wanted = min(MOST, max(1, len(faces) // EACH))
    middle = faces.sum(axis=0)
    start = [int(np.argmax(faces @ middle))]
    while len(start) < wanted:
        start.append(int(np.argmin((faces @ faces[start].T).max(axis=1))))
    means = faces[start]
    group = np.full(len(faces), -1)
    for _ in range(_ROUNDS):
        nearest = (faces @ means.T).argmax(axis=1)
        if np.array_equal(nearest, group):
            break
        group = nearest
        taken = [group == one for one in range(wanted)]
        sums = np.stack([faces[own].sum(axis=0) if own.any() else old for own, old in zip(taken, means, strict=True)])
        means = np.asarray(sums / np.linalg.norm(sums, axis=1, keepdims=True), np.float32)
    return means
