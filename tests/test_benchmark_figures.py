"""The figures that only benchmarks ask for: worked examples by hand, and what must hold for any numbers."""

from __future__ import annotations

import importlib
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def figures() -> Iterator[Any]:
    """benchmarks/figures.py, which is beside scripts."""
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("figures")


def test_faceless_strangers_stay_in_the_count(figures: Any) -> None:
    assert figures.fpir_at([0.9] + [-math.inf] * 99, 0.5) == 0.01


def test_verification_judges_each_fold_by_the_others(figures: Any) -> None:
    # Fold 0 alone would choose 0.5; the other folds put the threshold at 0.8, which fails fold 0's pair at 0.6.
    pairs = [0.6, 0.4, 0.9, 0.7, 0.9, 0.7]
    same = [True, False, True, False, True, False]
    assert figures.verification_accuracy(pairs, same, [0, 0, 1, 1, 2, 2]) == pytest.approx(5 / 6)


def test_verification_judges_a_pair_without_a_face_as_different(figures: Any) -> None:
    pairs = [0.9, 0.1, -math.inf, 0.9, 0.1, -math.inf]
    assert figures.verification_accuracy(pairs, [True, False, False] * 2, [0, 0, 0, 1, 1, 1]) == 1.0
    assert figures.verification_accuracy(pairs, [True, False, True] * 2, [0, 0, 0, 1, 1, 1]) == pytest.approx(2 / 3)


def test_verification_needs_scores_to_choose_from(figures: Any) -> None:
    with pytest.raises(ValueError, match="no pair"):
        figures.verification_accuracy([-math.inf, 0.5], [True, True], [0, 1])


@given(st.integers(0, 2**32 - 1))
def test_verification_ignores_order_and_scale(figures: Any, seed: int) -> None:
    random = np.random.default_rng(seed)
    same, folds = random.random(60) < 0.5, np.arange(60) % 5
    pairs = np.round(random.normal(same, 1.0), 1)  # rounded: with ties
    order = random.permutation(60)
    accuracy = figures.verification_accuracy(pairs, same, folds)
    assert figures.verification_accuracy(pairs[order], same[order], folds[order]) == accuracy
    assert figures.verification_accuracy(pairs * 4, same, folds) == accuracy


def test_nothing_to_count_is_nan(figures: Any) -> None:
    assert math.isnan(figures.fpir_at([], 0.5)) and math.isnan(figures.verification_accuracy([], [], []))
