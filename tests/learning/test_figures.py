"""Metrics: worked examples by hand, and what must hold for any numbers."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning import figures as metrics

score = st.floats(-1, 1, width=32) | st.just(-math.inf)
scores = st.lists(score, min_size=1, max_size=40)
share = st.floats(0, 1)


def test_wilson_matches_the_textbook() -> None:
    low, high = metrics.wilson(81, 263)  # Newcombe 1998, table I, method 3
    assert (round(low, 4), round(high, 4)) == (0.2553, 0.3662)


def test_wilson_knows_nothing_without_tries() -> None:
    assert metrics.wilson(0, 0) == (0.0, 1.0)


def test_wilson_refuses_impossible_counts() -> None:
    with pytest.raises(ValueError, match="3 of 2"):
        metrics.wilson(3, 2)


@given(st.integers(1, 10_000), st.data())
def test_wilson_holds_the_share_and_stays_a_fraction(n: int, data: st.DataObject) -> None:
    k = data.draw(st.integers(0, n))
    low, high = metrics.wilson(k, n)
    assert 0 <= low <= k / n <= high <= 1
    assert low < high


@given(st.integers(0, 100), st.integers(1, 100))
def test_wilson_narrows_with_tries(k: int, more: int) -> None:
    few, many = metrics.wilson(k, 100), metrics.wilson(k * (more + 1), 100 * (more + 1))
    assert many[1] - many[0] < few[1] - few[0]


def test_the_threshold_lets_in_the_allowed_strangers_only() -> None:
    strangers = [0.1, 0.2, 0.3, 0.4]
    tpir, threshold = metrics.tpir_at_fpir([0.5, 0.35, 0.3], [True, True, True], strangers, 0.25)
    assert 0.3 < threshold < 0.3000001
    assert tpir == 2 / 3  # the mated probe that ties with the third stranger is a miss


def test_the_threshold_also_holds_for_float32_scores() -> None:
    strangers = np.array([0.9, 0.1], dtype=np.float32)
    threshold = metrics.threshold_at_fpir(strangers, 0.4)
    assert not (strangers.astype(np.float64) >= threshold).any()


def test_rank_one_is_needed_as_well_as_the_threshold() -> None:
    assert metrics.tpir_at([0.9, 0.9], [True, False], 0.5) == 0.5


def test_faceless_strangers_stay_in_the_count() -> None:
    strangers = [0.9] + [-math.inf] * 99
    assert metrics.threshold_at_fpir(strangers, 0.01) < -1  # one of the hundred may be named


def test_without_strangers_everybody_may_be_named() -> None:
    assert metrics.tpir_at_fpir([0.2, -math.inf], [True, True], [], 0.01) == (0.5, -math.inf)


@pytest.mark.parametrize(("fpir", "total", "allowed"), [(0.29, 100, 29), (0.01, 3587, 35), (0.001, 999, 0), (1, 5, 5)])
def test_the_allowance_is_the_exact_floor(fpir: float, total: int, allowed: int) -> None:
    assert metrics.allowance(fpir, total) == allowed


@given(scores, share)
def test_the_threshold_is_the_lowest_that_keeps_to_the_allowance(best: list[float], fpir: float) -> None:
    threshold = metrics.threshold_at_fpir(best, fpir)
    allowed = metrics.allowance(fpir, len(best))
    assert sum(s >= threshold and math.isfinite(s) for s in best) <= allowed
    if allowed < len(best):
        assert sum(s >= math.nextafter(threshold, -math.inf) for s in best) > allowed


@given(scores, scores, share, share)
def test_tpir_grows_with_fpir(mated: list[float], strangers: list[float], one: float, other: float) -> None:
    low, high = sorted((one, other))
    right = [True] * len(mated)
    strict, lax = (metrics.tpir_at_fpir(mated, right, strangers, f)[0] for f in (low, high))
    assert 0 <= strict <= lax <= 1


def test_calibration_error_of_worked_examples() -> None:
    assert metrics.expected_calibration_error([1.0, 1.0, 0.0], [True, True, False]) == 0
    assert metrics.expected_calibration_error([0.9] * 4, [True, True, False, False]) == pytest.approx(0.4)
    # Too sure in one bin and too unsure in another do not cancel.
    assert metrics.expected_calibration_error([0.9, 0.1], [False, True]) == pytest.approx(0.9)


@given(st.lists(st.tuples(share, st.booleans()), min_size=1, max_size=40), st.integers(1, 20))
def test_calibration_error_is_a_fraction(answers: list[tuple[float, bool]], bins: int) -> None:
    sure, right = zip(*answers, strict=True)
    assert 0 <= metrics.expected_calibration_error(sure, right, bins) <= 1


def test_nothing_to_count_is_nan() -> None:
    for value in (
        metrics.tpir_at([], [], 0.5),
        metrics.expected_calibration_error([], []),
    ):
        assert math.isnan(value)
