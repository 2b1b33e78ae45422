from __future__ import annotations

import numpy as np

from mien.learning.head import Ints
from mien.learning.heads.prototypes import prototypes
from mien.learning.heads.softmax import with_softmax
from mien.testing import COSINES
from mien.types import Floats

fit_prototypes = prototypes(COSINES)

fit = with_softmax(fit_prototypes, COSINES)


def album(seed: int = 0) -> tuple[Floats, Ints, int, Floats]:
    """Eight people, hard to tell apart."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(8), 12)
    faces = np.eye(32)[0] + random.normal(size=(8, 32))[owner] * 0.03 + random.normal(size=(len(owner), 32)) * 0.06
    unit = np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32)
    return unit, owner, 8, np.ones(len(owner), np.float32)


def margin(scores: Floats, owner: Ints) -> float:
    """How far the own person is ahead of the best other, on the average."""
    rows = np.arange(len(owner))
    others = scores.copy()
    others[rows, owner] = -np.inf
    return float((scores[rows, owner] - others.max(axis=1)).mean())


def test_it_tells_its_people_apart_better_than_means_do() -> None:
    faces, owner, people, weight = album()
    means, moved = (head(faces, owner, people, weight).scores(faces) for head in (fit_prototypes, fit))
    assert margin(moved, owner) > margin(means, owner)
    assert (moved.argmax(axis=1) == owner).mean() >= (means.argmax(axis=1) == owner).mean()


def test_it_stays_near_the_means_and_of_unit_length() -> None:
    given = album()
    means, moved = fit_prototypes(*given).vectors, fit(*given).vectors
    np.testing.assert_allclose(np.linalg.norm(moved, axis=1), 1, atol=1e-6)
    cosines = (means * moved).sum(axis=1)
    assert (cosines > 0.9).all() and (cosines < 1 - 1e-5).any()


def test_a_face_that_does_not_count_moves_nothing() -> None:
    faces, owner, people, weight = album()
    filed = np.append(owner, 0)
    with_wrong = np.concatenate([faces, -faces[:1]])
    head = fit(with_wrong, filed, people, np.append(weight, np.float32(1)))
    assert list(np.flatnonzero(~head.counted))[-1] == len(faces)
    kept = fit_prototypes(with_wrong, filed, people, np.append(weight, np.float32(1))).counted
    np.testing.assert_allclose(
        head.vectors, fit(with_wrong[kept], filed[kept], people, np.ones(kept.sum(), np.float32)).vectors, atol=1e-4
    )
