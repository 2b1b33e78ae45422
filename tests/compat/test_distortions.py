from __future__ import annotations

import numpy as np
import pytest

from mien.compat.distortions import Distortions

PICTURE = np.random.default_rng(0).integers(0, 256, (40, 40, 3)).astype(np.uint8)


def test_without_any_nothing_is_done() -> None:
    assert not Distortions()
    assert np.array_equal(Distortions().of(PICTURE, np.random.default_rng(0)), PICTURE)


def test_half_of_the_pictures_are_mirrored() -> None:
    random = np.random.default_rng(0)
    found = [Distortions(flip=True).of(PICTURE, random) for _ in range(100)]
    mirrored = sum(np.array_equal(one, PICTURE[:, ::-1]) for one in found)
    assert 30 < mirrored < 70 and mirrored + sum(np.array_equal(one, PICTURE) for one in found) == 100


@pytest.mark.parametrize("distortions", [Distortions(crop=50), Distortions(scale=80), Distortions(brightness=40)])
def test_each_changes_the_picture_and_keeps_its_size(distortions: Distortions) -> None:
    random = np.random.default_rng(3)
    found = [distortions.of(PICTURE, random) for _ in range(5)]
    assert distortions and all(one.shape == PICTURE.shape and one.dtype == np.uint8 for one in found)
    assert len({one.tobytes() for one in found}) > 1


def test_brightness_multiplies_within_its_bounds() -> None:
    grey = np.full((8, 8, 3), 100, np.uint8)
    random = np.random.default_rng(0)
    values = [int(Distortions(brightness=20).of(grey, random)[0, 0, 0]) for _ in range(200)]
    assert 80 <= min(values) < 85 and 115 < max(values) <= 120
