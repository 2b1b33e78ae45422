"""Prototypes: the mean direction, and what it leaves out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning.head import FittedHead, Ints
from mien.learning.heads import prototypes as module
from mien.learning.heads.prototypes import MOST_LEFT_OUT, Vectors, _agreement, fit_prototypes, prototypes
from mien.testing import COSINES
from mien.types import Floats

seeds = st.integers(0, 2**32 - 1)


def faces_of(people: int, photos: int, seed: int = 0, spread: float = 0.15) -> tuple[Floats, Ints]:
    """Unit embeddings (people * photos, 128) as compressed as the real encoder's: all share one large component."""
    random = np.random.default_rng(seed)
    centres = 2.0 * unit(random.normal(size=128)) + unit(random.normal(size=(people, 128)))
    owner = np.repeat(np.arange(people), photos)
    noise = random.normal(size=(people * photos, 128)) * spread * np.sqrt(5 / 128)
    return unit(centres[owner] + noise).astype(np.float32), owner


def unit(vectors: Vectors) -> Vectors:
    length: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / length


def fit(faces: Floats, person: Sequence[int] | Ints, people: int, weight: Floats | None = None) -> FittedHead:
    """Every face weighing one unless said otherwise."""
    given = np.ones(len(faces), np.float32) if weight is None else weight
    return prototypes(COSINES)(faces, np.asarray(person, np.int64), people, given)


def slow_agreement(faces: Floats, owner: Ints, weight: Floats) -> list[float]:
    """The cosine of each face to the weighted mean of its person's other faces, one face at a time."""
    found = []
    for i, face in enumerate(faces):
        others = [j for j in np.flatnonzero(owner == owner[i]) if j != i]
        mean = sum((weight[j] * faces[j].astype(np.float64) for j in others), np.zeros(128))
        found.append(float(unit(mean) @ face))
    return found


def test_a_clean_gallery_is_the_plain_mean() -> None:
    faces, owner = faces_of(5, 6)
    fitted = fit(faces, owner, 5)
    assert fitted.counted.all()
    np.testing.assert_allclose(
        fitted.vectors, unit(faces.reshape(5, 6, 128).astype(np.float64).mean(axis=1)), atol=1e-6
    )
    assert fitted.vectors.dtype == np.float32


def test_one_photo_is_its_own_prototype() -> None:
    faces, owner = faces_of(3, 1)
    fitted = fit(faces, owner, 3)
    np.testing.assert_allclose(fitted.vectors, faces, atol=1e-6)
    assert fitted.counted.all()


def test_of_two_photos_neither_is_left_out() -> None:
    faces, _ = faces_of(2, 1)
    fitted = fit(faces, [0, 0], 1)
    assert fitted.counted.all()


def test_a_wrong_label_is_left_out_and_the_prototype_does_not_feel_it() -> None:
    faces, owner = faces_of(4, 6)
    wrong = faces.copy()
    wrong[2] = faces[20]  # one of person 3's faces among person 0's
    fitted = fit(wrong, owner, 4)
    assert list(np.flatnonzero(~fitted.counted)) == [2]
    right = np.delete(faces, 2, axis=0)
    np.testing.assert_allclose(fitted.vectors[0], fit(right, owner[1:], 4).vectors[0], atol=1e-6)


def test_a_face_that_only_its_neighbour_is_like_counts() -> None:
    """A profile is unlike the mean of its person's faces, and like a half profile among these."""
    faces, _ = faces_of(1, 8, spread=0.25)
    aside = np.zeros(faces.shape[1])
    aside[-1] = 1.0
    mean = faces.mean(axis=0)
    turned, profile = (np.asarray(x / np.linalg.norm(x), np.float32) for x in (mean + 0.25 * aside, mean + 0.5 * aside))
    alone = fit(np.vstack([faces, profile]), [0] * 9, 1)
    assert list(np.flatnonzero(~alone.counted)) == [8]
    beside = fit(np.vstack([faces, turned, profile]), [0] * 10, 1)
    assert beside.counted.all()


@given(seeds, st.integers(1, 9))
def test_never_more_than_a_third_is_left_out(seed: int, photos: int) -> None:
    strangers, _ = faces_of(photos * 3, 1, seed)  # nobody agrees with anybody
    fitted = fit(strangers, np.repeat(np.arange(3), photos), 3)
    left_out = (~fitted.counted).reshape(3, photos).sum(axis=1)
    assert (left_out <= photos // MOST_LEFT_OUT).all()


@given(seeds)
def test_the_order_of_the_faces_changes_no_bit(seed: int) -> None:
    faces, owner = faces_of(4, 5, seed)
    faces[3] = faces[17]
    weight = np.random.default_rng(seed).uniform(0.2, 1, len(faces)).astype(np.float32)
    order = np.random.default_rng(seed).permutation(len(faces))
    one = fit(faces, owner, 4, weight)
    other = fit(faces[order], owner[order], 4, weight[order])
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert (one.counted[order] == other.counted).all()


def test_other_people_change_no_bit() -> None:
    faces, owner = faces_of(4, 5)
    assert fit(faces[:10], owner[:10], 2).vectors.tobytes() == fit(faces, owner, 4).vectors[:2].tobytes()


@given(seeds)
def test_who_contradicts_is_told_by_the_mean_of_all_other_faces(seed: int) -> None:
    faces, owner = faces_of(3, 4, seed)
    faces[1] = faces[9]
    weight = np.random.default_rng(seed).uniform(0.2, 1, len(faces)).astype(np.float32)
    found = _agreement(faces.astype(np.float64), owner, np.array([0, 4, 8]), weight.astype(np.float64))
    np.testing.assert_allclose(found, slow_agreement(faces, owner, weight), atol=1e-6)


def test_a_heavier_face_pulls_the_prototype() -> None:
    faces, _ = faces_of(1, 2)
    fitted = fit(faces, [0, 0], 1, np.array([3, 1], np.float32))
    assert fitted.scores(faces)[0, 0] > fitted.scores(faces)[1, 0]


def test_everybody_needs_a_face() -> None:
    faces, _ = faces_of(2, 1)
    with pytest.raises(ValueError, match="every person needs a face"):
        fit(faces, [0, 2], 3)


def test_how_many_faces_are_held_at_a_time_changes_no_bit(monkeypatch: pytest.MonkeyPatch) -> None:
    random = np.random.default_rng(5)
    person = random.permutation(np.repeat(np.arange(40), 9))
    rows = random.normal(size=(40, 16))[person] + 0.8 * random.normal(size=(360, 16))
    faces = np.asarray(rows / np.linalg.norm(rows, axis=1, keepdims=True), np.float32)
    weight = random.uniform(0.2, 1, 360).astype(np.float32)
    whole = fit_prototypes(faces, person, 40, weight, 0.05)
    monkeypatch.setattr(module, "FACES", 20)
    parts = fit_prototypes(faces, person, 40, weight, 0.05)
    np.testing.assert_array_equal(parts.vectors, whole.vectors)
    np.testing.assert_array_equal(parts.counted, whole.counted)
    assert not whole.counted.all()
