from __future__ import annotations

import numpy as np
import pytest

from mien.learning.head import transformed
from mien.learning.heads.nearest import MOST, SHARE, with_nearest
from mien.learning.heads.prototypes import prototypes
from mien.testing import COSINES
from mien.types import Floats

fit_prototypes = prototypes(COSINES)

nearest = with_nearest(fit_prototypes)


def at(*degrees: float) -> Floats:
    """Unit vectors in a plane."""
    turns = np.radians(degrees)
    return np.stack([np.cos(turns), np.sin(turns)], axis=1).astype(np.float32)


def test_a_profile_among_frontal_photos_answers_for_itself() -> None:
    """Person 0 has five frontal photos and one turned by 10 degrees; person 1 looks a little like that profile."""
    faces, owner = at(0, 0, 0, 0, 1, 10, 16.5, 17, 17.5), np.repeat([0, 1], [6, 3])
    given, profile = (faces, owner, 2, np.ones(9, np.float32)), at(10)
    assert fit_prototypes(*given).scores(profile)[0].argmax() == 1
    assert nearest(*given).scores(profile)[0].argmax() == 0


def test_the_score_is_part_mean_and_part_nearest_face() -> None:
    faces = at(0, 4, 40)
    head = nearest(faces, np.array([0, 0, 1]), 2, np.ones(3, np.float32))
    found = head.scores(at(5))[0]
    expected = [SHARE * np.cos(np.radians(a)) + (1 - SHARE) * np.cos(np.radians(b)) for a, b in ((3, 1), (35, 35))]
    assert found == pytest.approx(expected, abs=1e-6)


def test_of_many_faces_those_least_like_the_mean_are_kept() -> None:
    faces = at(*np.linspace(-1, 1, 2 * MOST), 20, 20.1)
    owner = np.repeat([0, 1], [2 * MOST, 2])
    head = nearest(faces, owner, 2, np.ones(len(faces), np.float32))
    assert list(np.bincount(head.owner)) == [MOST, 2]
    angles = np.degrees(np.arctan2(head.exemplars[:MOST, 1], head.exemplars[:MOST, 0]))
    assert np.abs(angles).min() > 0.49


def test_a_contradicted_face_is_not_kept() -> None:
    faces = at(0, 1, 2, 3, 80, 90)
    head = nearest(faces, np.array([0, 0, 0, 0, 0, 1]), 2, np.ones(6, np.float32))
    assert list(np.flatnonzero(~head.counted)) == [4]
    assert list(head.owner) == [0, 0, 0, 0, 1]
    assert head.scores(at(80))[0].argmax() == 1


def test_faces_of_any_length_may_be_asked_about() -> None:
    faces = at(0, 4, 40)
    head = nearest(faces, np.array([0, 0, 1]), 2, np.ones(3, np.float32))
    np.testing.assert_allclose(head.scores(faces * np.float32(1.4)), head.scores(transformed(faces, None)), atol=1e-6)
