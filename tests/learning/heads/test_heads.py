"""What every head must keep to, whichever it is."""

from __future__ import annotations

import numpy as np
import pytest

from mien.learning.head import FittedHead, HeadOption, Ints, transformed
from mien.testing import COSINES
from mien.types import Floats
from mien.wiring import HEADS

PEOPLE = 6

every_head = pytest.mark.parametrize("option", HEADS, ids=lambda option: option.name)


def album(seed: int = 0) -> tuple[Floats, Ints, Floats]:
    """Unit embeddings as alike as the encoder's, of six people with 1 to 40 faces; whose they are; their weights."""
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(PEOPLE), [1, 2, 3, 10, 20, 40])
    centres = random.normal(size=(PEOPLE, 128)) * 0.05 + np.eye(128)[0]
    faces = centres[owner] + random.normal(size=(len(owner), 128)) * 0.03
    weight = random.uniform(0.2, 1, len(owner)).astype(np.float32)
    return transformed(np.asarray(faces, np.float32), None), owner, weight


def parts(head: FittedHead) -> list[bytes]:
    transform = b"" if head.transform is None else head.transform.tobytes()
    return [head.vectors.tobytes(), head.exemplars.tobytes(), head.owner.tobytes(), head.counted.tobytes(), transform]


@every_head
def test_the_parts_are_what_a_fitted_head_promises(option: HeadOption) -> None:
    faces, owner, weight = album()
    head = option.fit_for(COSINES)(faces, owner, PEOPLE, weight)
    assert head.vectors.shape == (PEOPLE, 128) and head.vectors.dtype == np.float32
    assert head.exemplars.shape == (len(head.owner), 128) and head.exemplars.dtype == np.float32
    assert head.owner.dtype == np.int64
    assert (np.diff(head.owner) >= 0).all()
    assert head.counted.shape == (len(faces),)
    assert head.transform is None or head.transform.shape == (128, 128)
    np.testing.assert_allclose(np.linalg.norm(head.vectors, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(np.linalg.norm(head.exemplars, axis=1), 1, atol=1e-6)
    assert (head.share == 1.0) == (len(head.exemplars) == 0)


@every_head
def test_scores_are_cosines_in_which_people_know_their_own_faces(option: HeadOption) -> None:
    faces, owner, weight = album()
    scores = option.fit_for(COSINES)(faces, owner, PEOPLE, weight).scores(faces)
    assert scores.shape == (len(faces), PEOPLE) and scores.dtype == np.float32
    assert np.abs(scores).max() <= 1 + 1e-6
    assert (scores.argmax(axis=1) == owner).mean() > 0.95


@every_head
def test_the_same_faces_give_the_same_bytes(option: HeadOption) -> None:
    assert parts(option.fit_for(COSINES)(*_arguments())) == parts(option.fit_for(COSINES)(*_arguments()))


def _arguments() -> tuple[Floats, Ints, int, Floats]:
    faces, owner, weight = album()
    return faces, owner, PEOPLE, weight


@every_head
def test_what_was_given_is_left_as_it_was(option: HeadOption) -> None:
    given, kept = album(), album()
    option.fit_for(COSINES)(given[0], given[1], PEOPLE, given[2])
    for one, other in zip(given, kept, strict=True):
        np.testing.assert_array_equal(one, other)


@every_head
@pytest.mark.parametrize("photos", [[1], [5], [1, 1, 1], [2, 1]], ids=str)
def test_the_smallest_albums_have_a_head(option: HeadOption, photos: list[int]) -> None:
    faces, _, weight = album()
    owner = np.repeat(np.arange(len(photos)), photos)
    scores = option.fit_for(COSINES)(faces[-len(owner) :], owner, len(photos), weight[-len(owner) :]).scores(faces)
    assert scores.shape == (len(faces), len(photos)) and np.isfinite(scores).all()


@every_head
def test_one_face_all_over_is_no_accident(option: HeadOption) -> None:
    faces, owner, weight = album()
    same = np.repeat(faces[:1], len(faces), axis=0)
    np.testing.assert_allclose(option.fit_for(COSINES)(same, owner, PEOPLE, weight).scores(same), 1, atol=1e-4)


@every_head
def test_a_wrong_label_does_not_make_a_stranger_of_its_photo_into_somebody(option: HeadOption) -> None:
    """What the prototypes left out as contradicted is no face of that person in any other part either."""
    faces, owner, weight = album()
    filed = owner.copy()
    wrong = np.flatnonzero(owner == 5)[0]
    filed[wrong] = 4
    head = option.fit_for(COSINES)(faces, filed, PEOPLE, np.ones_like(weight))
    assert not head.counted[wrong]
    scores = head.scores(faces[wrong : wrong + 1])[0]
    assert scores[5] > scores[4]
