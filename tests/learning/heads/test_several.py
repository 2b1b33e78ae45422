from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from mien.learning.heads.prototypes import prototypes
from mien.learning.heads.several import EACH, MOST, _means, with_several
from mien.testing import COSINES
from mien.types import Floats

fit_prototypes = prototypes(COSINES)


def unit(rows: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Floats:
    return np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)


def ways(seed: int, *photos: int) -> Floats:
    """Faces of one person who is photographed in so many ways, each time about this often."""
    random = np.random.default_rng(seed)
    way = np.repeat(np.arange(len(photos)), photos)
    return unit(np.eye(128)[0] + 0.4 * np.eye(128)[way + 1] + random.normal(size=(len(way), 128)) * 0.01)


@given(st.integers(1, 60), st.integers(0, 2**32 - 1))
def test_there_are_never_more_means_than_the_faces_bear(photos: int, seed: int) -> None:
    means = _means(unit(np.random.default_rng(seed).normal(size=(photos, 16))))
    assert len(means) == min(MOST, max(1, photos // EACH))
    np.testing.assert_allclose(np.linalg.norm(means, axis=1), 1, atol=1e-5)


def test_the_means_are_the_ways_in_which_somebody_is_photographed() -> None:
    means = _means(ways(1, 6, 5, 4))
    found = [int(np.argmax(mean[1:4])) for mean in means]
    assert sorted(found) == [0, 1, 2]
    np.testing.assert_allclose((means @ unit(np.eye(128)[:1] + 0.4 * np.eye(128)[1:4]).T).max(axis=1), 1, atol=0.005)


@given(st.integers(0, 2**32 - 1))
def test_nothing_is_left_to_chance(seed: int) -> None:
    faces = ways(seed, 6, 5, 4)
    assert _means(faces).tobytes() == _means(faces.copy()).tobytes()
    shuffled = _means(faces[np.random.default_rng(seed).permutation(len(faces))])
    np.testing.assert_allclose(np.sort(shuffled @ faces.sum(axis=0)), np.sort(_means(faces) @ faces.sum(axis=0)), 1e-5)


def test_equal_faces_have_equal_means() -> None:
    face = ways(0, 1)
    np.testing.assert_allclose(_means(np.repeat(face, 12, axis=0)), np.repeat(face, 3, axis=0), atol=1e-6)


def test_each_person_has_means_of_the_own_faces_that_count() -> None:
    faces = np.concatenate([ways(1, 4, 4), unit(np.eye(128)[50:51]), ways(2, 3)[:, ::-1]])
    owner = np.repeat([0, 1], [9, 3])
    head = with_several(fit_prototypes)(faces, owner, 2, np.ones(12, np.float32))
    assert list(np.flatnonzero(~head.counted)) == [8]
    assert list(head.owner) == [0, 0, 1]
    assert (head.exemplars[:2, 50] < 0.1).all(), "the face that was left out is in no mean"
