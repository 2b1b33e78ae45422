from __future__ import annotations

import numpy as np
import pytest

from mien.learning.head import Ints
from mien.learning.heads.normalised import PART, normalised
from mien.learning.heads.prototypes import prototypes
from mien.testing import COSINES
from mien.types import Floats

fit_prototypes = prototypes(COSINES)

fit = normalised(fit_prototypes)


def album(wander: float = 0.3, people: int = 20, photos: int = 10) -> tuple[Floats, Ints, int, Floats]:
    """People who differ in dimensions 1 to 8, and whose photos differ by `wander` in dimension 9, by little
    elsewhere."""
    random = np.random.default_rng(0)
    owner = np.repeat(np.arange(people), photos)
    faces = np.eye(32)[0] + np.pad(random.normal(size=(people, 8)) * 0.15, ((0, 0), (1, 23)))[owner]
    faces[:, 9] += random.normal(size=len(owner)) * wander
    faces += random.normal(size=faces.shape) * 0.02
    unit = np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32)
    return unit, owner, people, np.ones(len(owner), np.float32)


def transform(*given: object) -> Floats:
    found = fit(*given).transform  # type: ignore[arg-type]
    assert found is not None
    return found


def test_nothing_is_turned() -> None:
    found = transform(*album())
    np.testing.assert_allclose(found, found.T, atol=1e-6)
    assert np.linalg.eigvalsh(found).min() > 0


def test_where_ones_photos_differ_counts_less() -> None:
    found = np.diagonal(transform(*album()))
    assert found.argmin() == 9
    assert found[9] < 0.5 * np.median(found)


def test_people_told_by_what_does_not_wander_are_told_better() -> None:
    faces, owner, people, weight = album()
    probes = np.arange(len(owner)) % 2 == 1
    given = faces[~probes], owner[~probes], people, weight[~probes]
    right = [(f(*given).scores(faces[probes]).argmax(axis=1) == owner[probes]).mean() for f in (fit_prototypes, fit)]
    assert right[1] > right[0]


def test_it_is_the_inverse_root_of_the_shrunk_covariance() -> None:
    faces, owner, people, weight = album()
    rows = faces.astype(np.float64)
    within = sum(np.cov(rows[owner == one], rowvar=False) for one in range(people)) / people
    shrunk = (1 - PART) * np.eye(32) + PART * 32 * within / np.trace(within)
    found = transform(faces, owner, people, weight).astype(np.float64)
    np.testing.assert_allclose(found @ shrunk @ found, np.eye(32), atol=1e-4)


def test_the_scale_of_the_differences_does_not_matter() -> None:
    """Only how they are spread over the directions: a face that differs twice as much from the mean is not twice
    lost."""
    faces, owner, people, weight = album(0.1)
    means = np.stack([faces[owner == one].mean(axis=0) for one in range(people)])[owner]
    np.testing.assert_allclose(
        transform(means + 0.5 * (faces - means), owner, people, weight),
        transform(faces, owner, people, weight),
        atol=1e-4,
    )


@pytest.mark.parametrize("same", [True, False])
def test_without_any_difference_it_changes_no_direction(same: bool) -> None:
    faces, owner, people, weight = album()
    if same:
        faces = np.repeat(faces[::10], 10, axis=0)
        faces = np.round(faces * 1024) / np.float32(1024)  # so that a mean of equal rows is exact
    else:
        faces, owner, weight = faces[::10], owner[::10], weight[::10]
    found = transform(faces, owner, people, weight)
    np.testing.assert_allclose(found, found[0, 0] * np.eye(32), atol=1e-6)
