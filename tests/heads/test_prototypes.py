"""Prototypes: the mean direction, what it leaves out, and the same arithmetic as a model file."""

from __future__ import annotations

import numpy as np
import onnx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.heads.prototypes import MOST_LEFT_OUT, Vectors, fit_prototypes, to_onnx
from mien.nets.session import open_session
from mien.types import Floats

seeds = st.integers(0, 2**32 - 1)


def faces_of(people: int, photos: int, seed: int = 0, spread: float = 0.15) -> tuple[Floats, list[int]]:
    """Unit embeddings (people * photos, 128) as compressed as the real encoder's: all share one large component."""
    random = np.random.default_rng(seed)
    centres = 2.0 * unit(random.normal(size=128)) + unit(random.normal(size=(people, 128)))
    owner = np.repeat(np.arange(people), photos)
    noise = random.normal(size=(people * photos, 128)) * spread * np.sqrt(5 / 128)
    return unit(centres[owner] + noise).astype(np.float32), list(owner)


def unit(vectors: Vectors) -> Vectors:
    length: Vectors = np.linalg.norm(vectors, axis=-1, keepdims=True)
    return vectors / length


def slow_leave_one_out(faces: Floats, owner: list[int], used: Vectors) -> list[float]:
    found = []
    for i, face in enumerate(faces):
        rest = [j for j in range(len(faces)) if owner[j] == owner[i] and j != i and used[j] > 0]
        mean = sum((used[j] * faces[j].astype(np.float64) for j in rest), np.zeros(128))
        found.append(float(unit(mean) @ face) if rest else np.nan)
    return found


def test_a_clean_gallery_is_the_plain_mean() -> None:
    faces, owner = faces_of(5, 6)
    fitted = fit_prototypes(faces, owner, 5)
    assert fitted.counted.all()
    np.testing.assert_allclose(
        fitted.vectors, unit(faces.reshape(5, 6, 128).astype(np.float64).mean(axis=1)), atol=1e-6
    )
    assert fitted.vectors.dtype == np.float32


def test_one_photo_is_its_own_prototype() -> None:
    faces, owner = faces_of(3, 1)
    fitted = fit_prototypes(faces, owner, 3)
    np.testing.assert_allclose(fitted.vectors, faces, atol=1e-6)
    assert np.isnan(fitted.leave_one_out).all()


def test_of_two_photos_neither_is_left_out() -> None:
    faces, _ = faces_of(2, 1)
    fitted = fit_prototypes(faces, [0, 0], 1)
    assert fitted.counted.all()
    np.testing.assert_allclose(fitted.leave_one_out, faces[0] @ faces[1], atol=1e-6)


def test_a_wrong_label_is_left_out_and_the_prototype_does_not_feel_it() -> None:
    faces, owner = faces_of(4, 6)
    wrong = faces.copy()
    wrong[2] = faces[20]  # one of person 3's faces among person 0's
    fitted = fit_prototypes(wrong, owner, 4)
    assert list(np.flatnonzero(~fitted.counted)) == [2]
    right = np.delete(faces, 2, axis=0)
    np.testing.assert_allclose(fitted.vectors[0], fit_prototypes(right, owner[1:], 4).vectors[0], atol=1e-6)


@given(seeds, st.integers(1, 9))
def test_never_more_than_a_third_is_left_out(seed: int, photos: int) -> None:
    strangers, _ = faces_of(photos * 3, 1, seed)  # nobody agrees with anybody
    fitted = fit_prototypes(strangers, np.repeat(np.arange(3), photos), 3)
    left_out = (~fitted.counted).reshape(3, photos).sum(axis=1)
    assert (left_out <= photos // MOST_LEFT_OUT).all()


@given(seeds)
def test_the_order_of_the_faces_changes_no_bit(seed: int) -> None:
    faces, owner = faces_of(4, 5, seed)
    faces[3] = faces[17]
    weight = np.random.default_rng(seed).uniform(0.2, 1, len(faces))
    order = np.random.default_rng(seed).permutation(len(faces))
    one = fit_prototypes(faces, owner, 4, weight)
    other = fit_prototypes(faces[order], np.array(owner)[order], 4, weight[order])
    assert one.vectors.tobytes() == other.vectors.tobytes()
    assert one.leave_one_out[order].tobytes() == other.leave_one_out.tobytes()
    assert (one.counted[order] == other.counted).all()


def test_other_people_change_no_bit() -> None:
    faces, owner = faces_of(4, 5)
    assert (
        fit_prototypes(faces[:10], owner[:10], 2).vectors.tobytes()
        == fit_prototypes(faces, owner, 4).vectors[:2].tobytes()
    )


@given(seeds)
def test_leave_one_out_in_closed_form_is_leaving_one_out(seed: int) -> None:
    faces, owner = faces_of(3, 4, seed)
    faces[1] = faces[9]
    weight = np.random.default_rng(seed).uniform(0.2, 1, len(faces))
    fitted = fit_prototypes(faces, owner, 3, weight)
    np.testing.assert_allclose(
        fitted.leave_one_out, slow_leave_one_out(faces, owner, weight * fitted.counted), atol=1e-6
    )


def test_a_heavier_face_pulls_the_prototype() -> None:
    faces, _ = faces_of(1, 2)
    fitted = fit_prototypes(faces, [0, 0], 1, [3.0, 1.0])
    assert fitted.scores(faces)[0, 0] > fitted.scores(faces)[1, 0]


def test_everybody_needs_a_face() -> None:
    faces, _ = faces_of(2, 1)
    with pytest.raises(ValueError, match="every person needs a face"):
        fit_prototypes(faces, [0, 2], 3)


def test_the_model_file_gives_the_same_scores_for_any_number_of_faces() -> None:
    faces, owner = faces_of(7, 3)
    fitted = fit_prototypes(faces, owner, 7)
    session = open_session(to_onnx(fitted.vectors))
    for batch in (faces, faces[:1], faces[:0]):
        (found,) = session.run(["scores"], {"embedding": batch * np.float32(1.47)})  # it normalises by itself
        np.testing.assert_allclose(found, fitted.scores(batch), atol=1e-6)


def test_the_model_file_is_the_same_bytes_and_keeps_nothing_outside() -> None:
    vectors = fit_prototypes(*faces_of(3, 2), 3).vectors
    data = to_onnx(vectors)
    assert data == to_onnx(vectors.copy(order="F"))
    (weights,) = onnx.load_from_string(data).graph.initializer
    assert not weights.external_data
    np.testing.assert_array_equal(onnx.numpy_helper.to_array(weights).T, vectors)
