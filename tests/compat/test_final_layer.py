from __future__ import annotations

import numpy as np
import pytest

from mien.compat.final_layer import DEVIATION, FinalLayer


@pytest.fixture
def random() -> np.random.Generator:
    return np.random.default_rng(1)


def test_it_starts_small_and_without_far_numbers(random: np.random.Generator) -> None:
    layer = FinalLayer.start(200, 50, random)
    assert np.abs(layer.weights).max() <= 2 * DEVIATION and 0.8 < layer.weights.std() / DEVIATION < 0.95
    assert not layer.biases.any()


def test_a_step_goes_down_the_gradient(random: np.random.Generator) -> None:
    layer = FinalLayer.start(6, 4, random)
    rows, labels = random.standard_normal((9, 6)).astype(np.float32), random.integers(0, 4, 9)
    stepped, tiny = layer.stepped(rows, labels, 1.0), 1e-2
    for at in [(0, 0), (5, 3), (2, 1)]:
        entropies = []
        for sign in (1, -1):
            weights = layer.weights.copy()
            weights[at] += sign * tiny
            entropies.append(FinalLayer(weights, layer.biases).cross_entropy(rows, labels))
        slope = (entropies[0] - entropies[1]) / (2 * tiny)
        assert layer.weights[at] - stepped.weights[at] == pytest.approx(slope, abs=1e-4)
    assert stepped.cross_entropy(rows, labels) < layer.cross_entropy(rows, labels)


def test_probabilities_sum_to_one_also_far_out(random: np.random.Generator) -> None:
    layer = FinalLayer(random.standard_normal((3, 5)).astype(np.float32) * 1000, np.zeros(5, np.float32))
    found = layer.probabilities(random.standard_normal((7, 3)).astype(np.float32))
    assert np.isfinite(found).all()
    np.testing.assert_allclose(found.sum(axis=1), 1, rtol=1e-5)
    assert layer.accuracy(np.eye(3, dtype=np.float32), layer.predicted(np.eye(3, dtype=np.float32))) == 1.0
