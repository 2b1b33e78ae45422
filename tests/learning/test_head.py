from __future__ import annotations

import numpy as np
import pytest

from mien.learning.head import LEAST_QUALITY, FittedHead, transformed, weights
from mien.types import Floats


def unit(rows: int, dimensions: int = 8, seed: int = 0) -> Floats:
    found = np.random.default_rng(seed).normal(size=(rows, dimensions))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def head(owner: list[int], share: float = 0.6, transform: Floats | None = None) -> FittedHead:
    """Of four people, with exemplars of those named."""
    return FittedHead(unit(4), transform, unit(len(owner), seed=1), np.array(owner, np.int64), share, np.ones(9, bool))


def slow_score(fitted: FittedHead, face: Floats, person: int) -> float:
    """The formula of the module, for one face and one person."""
    turned = face if fitted.transform is None else face @ fitted.transform
    turned = turned / np.linalg.norm(turned)
    singles = [
        float(turned @ single) for single, own in zip(fitted.exemplars, fitted.owner, strict=True) if own == person
    ]
    return fitted.share * float(turned @ fitted.vectors[person]) + (1 - fitted.share) * max(singles, default=-1.0)


@pytest.mark.parametrize("owner", [[0, 0, 1, 2, 3, 3, 3], [0, 2, 2], [3]], ids=str)
@pytest.mark.parametrize("turned", [False, True])
def test_the_scores_are_those_of_the_formula(owner: list[int], turned: bool) -> None:
    fitted = head(owner, transform=unit(8, seed=2) if turned else None)
    faces = 3 * unit(5, seed=3)
    expected = [[slow_score(fitted, face, person) for person in range(4)] for face in faces]
    np.testing.assert_allclose(fitted.scores(faces), expected, atol=1e-6)


def test_somebody_without_an_exemplar_is_not_nearer_for_it() -> None:
    with_all, without = head([0, 1, 2, 3]), head([0, 1, 3])
    faces = unit(50, seed=3)
    assert (without.scores(faces)[:, 2] < with_all.scores(faces)[:, 2]).all()


def test_without_exemplars_the_prototype_has_all_the_say() -> None:
    fitted = head([], share=1.0)
    faces = unit(5, seed=3)
    np.testing.assert_allclose(fitted.scores(faces), faces @ fitted.vectors.T, atol=1e-6)


def test_no_faces_have_no_scores() -> None:
    assert head([0, 1]).scores(np.empty((0, 8), np.float32)).shape == (0, 4)


def test_a_face_of_another_size_is_refused() -> None:
    with pytest.raises(ValueError, match="mismatch"):
        head([0, 1]).scores(unit(3, dimensions=7))


def test_transformed_rows_are_unit_and_single() -> None:
    found = transformed(5 * unit(6), 2 * unit(8, seed=2))
    assert found.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-6)
    np.testing.assert_allclose(transformed(7 * unit(6), None), unit(6), atol=1e-6)


def test_better_faces_weigh_more_and_none_weighs_nothing() -> None:
    found = weights(np.array([0, LEAST_QUALITY, 0.25, 1], np.float32))
    assert found.dtype == np.float32
    assert found == pytest.approx([LEAST_QUALITY**0.5, LEAST_QUALITY**0.5, 0.5, 1])
