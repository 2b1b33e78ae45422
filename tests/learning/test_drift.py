"""Whether faces score as they did when the model was trained."""

from __future__ import annotations

import numpy as np
import pytest

from mien.learning.drift import LEVELS, drift, margin_quantiles, of_card


def margins(count: int, seed: int = 0, moved: float = 0.0) -> np.ndarray:
    return np.random.default_rng(seed).gamma(4.0, 0.05, count) + moved


def test_quantiles_go_into_a_card_and_come_out_of_it() -> None:
    card = {"top1": 0.9, **margin_quantiles(margins(500))}
    assert set(card) == {"top1", "margin_05", "margin_25", "margin_50", "margin_75", "margin_95"}
    assert of_card(card) == tuple(np.quantile(margins(500), LEVELS))
    assert margin_quantiles([]) == {} and of_card({"top1": 0.9}) == () and of_card({"margin_05": 0.1}) == ()


@pytest.mark.parametrize("seed", range(1, 6))
def test_the_same_faces_have_not_moved(seed: int) -> None:
    quantiles = of_card(margin_quantiles(margins(20_000)))
    assert abs(drift(margins(1000, seed), quantiles)) < 1.36 / 1000**0.5 + 0.01


def test_lower_scores_are_above_nothing_and_higher_ones_below() -> None:
    quantiles = of_card(margin_quantiles(margins(20_000)))
    assert drift(margins(1000, 1, moved=-0.1), quantiles) > 0.3
    assert drift(margins(1000, 1, moved=0.1), quantiles) < -0.3
    assert drift([-9.0], quantiles) == pytest.approx(0.95) and drift([9.0], quantiles) == pytest.approx(-0.95)


def test_equal_margins_have_not_moved_from_themselves() -> None:
    assert drift([0.2] * 10, of_card(margin_quantiles([0.2] * 7))) == 0
