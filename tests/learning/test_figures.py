"""Metrics: worked examples by hand, and what must hold for any numbers."""

from __future__ import annotations

import math
import tracemalloc
from random import Random
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning import figures as metrics
from mien.learning.figures import Share, counted, counted_at_fpir

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


# Intervals by draws of people and strangers

SIX = (0.9, 0.8, 0.7, 0.6, 0.5, -math.inf)


def drawn_by_hand(
    mated: list[list[tuple[float, bool]]], strangers: list[list[float]], fpir: float, draws: int
) -> tuple[float, float]:
    """The percentile interval, draw by draw; a list of probes for each person and each stranger."""
    random = np.random.default_rng(7)
    values = []
    for _ in range(draws):
        people = [mated[one] for one in random.integers(len(mated), size=len(mated))]
        others = [strangers[one] for one in random.integers(len(strangers), size=len(strangers))]
        scores, right = zip(*(probe for person in people for probe in person), strict=True)
        best = [score for stranger in others for score in stranger]
        values.append(metrics.tpir_at_fpir(scores, right, best, fpir)[0])
    low, high = np.quantile(values, (0.025, 0.975))
    return float(low), float(high)


def some_people(seed: int, count: int, most: int, level: float) -> list[list[float]]:
    """Scores of `count` people, rounded so that some are tied; who has more probes scores lower."""
    random = np.random.default_rng(seed)
    sizes = random.integers(1, most + 1, count)
    return [np.round(random.normal(level - 0.05 * n, 0.1, n), 2).tolist() for n in sizes]


@pytest.mark.parametrize("fpir", [0.0, 0.01, 0.1, 1.0])
def test_a_swept_interval_is_that_of_draws_made_one_by_one(fpir: float) -> None:
    mated = [[(score, score > 0.35) for score in one] for one in some_people(1, 25, 6, 0.7)]
    strangers = [*some_people(2, 60, 4, 0.4), [-math.inf] * 3]
    found = counted_at_fpir(
        [score for one in mated for score, _ in one],
        [right for one in mated for _, right in one],
        [name for name, one in enumerate(mated) for _ in one],
        [score for one in strangers for score in one],
        [name for name, one in enumerate(strangers) for _ in one],
        fpir,
    )
    assert found.resampled == pytest.approx(drawn_by_hand(mated, strangers, fpir, 3000), abs=0.02)
    assert found.resampled is not None and 0 < found.resampled[0] < found.resampled[1]


def test_a_plain_interval_is_that_of_draws_made_one_by_one() -> None:
    mated = [[(score, score > 0.45) for score in one] for one in some_people(3, 25, 6, 0.7)]
    found = counted([right for one in mated for _, right in one], [name for name, one in enumerate(mated) for _ in one])
    assert found.resampled == pytest.approx(drawn_by_hand(mated, [[-math.inf]], 1.0, 3000), abs=0.02)


@given(
    st.lists(st.tuples(score, st.booleans(), st.integers(0, 5)), max_size=30),
    st.lists(st.tuples(score, st.integers(0, 5)), max_size=30),
    share,
)
def test_a_swept_share_is_that_of_the_threshold_and_lies_in_its_interval(
    mated: list[tuple[float, bool, int]], strangers: list[tuple[float, int]], fpir: float
) -> None:
    scores, right, person = zip(*mated, strict=True) if mated else ((), (), ())
    best, stranger = zip(*strangers, strict=True) if strangers else ((), ())
    found = counted_at_fpir(scores, right, person, best, stranger, fpir)
    assert found.of == len(mated)
    if mated:
        assert found.value == pytest.approx(metrics.tpir_at_fpir(scores, right, best, fpir)[0])
        assert 0 <= found.low <= found.hits / found.of <= found.high <= 1
    low, high = metrics.wilson(found.hits, found.of)
    assert found.low <= low and high <= found.high, "never narrower than Wilson's"


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5)), max_size=30), st.randoms())
def test_an_interval_hangs_neither_on_the_order_of_the_probes_nor_on_the_day(
    probes: list[tuple[bool, int]], random: Random
) -> None:
    def told(some: list[tuple[bool, int]]) -> tuple[float, float]:
        return counted([hit for hit, _ in some], [person for _, person in some]).interval

    assert told(probes) == told(probes) == told(random.sample(probes, len(probes)))


@pytest.mark.parametrize("strangers", [[], [0.1], [0.1, 0.1, 0.1], [-math.inf, -math.inf]])
def test_one_person_alone_shows_no_more_than_wilsons_interval(strangers: list[float]) -> None:
    right = [True, True, True, True, True, False]
    names = ["Eve"] * len(strangers)
    assert counted(right, ["Ada"] * 6).interval == metrics.wilson(5, 6)
    found = counted_at_fpir(SIX, right, ["Ada"] * 6, strangers, names, 0.01)
    assert (found, found.interval) == (Share(5, 6), metrics.wilson(5, 6))


def test_nobody_to_ask_could_be_anything() -> None:
    assert counted([], []).interval == counted_at_fpir([], [], [], [0.1], ["Eve"], 0.01).interval == (0, 1)


def test_photos_of_one_person_fail_together() -> None:
    """Half of twenty people are never recognised: whom one happens to ask decides."""
    together = counted(np.repeat([True, False], 100), np.repeat(np.arange(20), 10))
    assert together.low < 0.32 and together.high > 0.68
    apart = counted(np.tile([True, False], 100), np.repeat(np.arange(20), 10))
    assert apart.interval == pytest.approx(metrics.wilson(100, 200), abs=0.01)


def test_strangers_all_alike_are_all_named_or_none() -> None:
    above, below = [0.5] * 5, [0.3] * 5
    people = np.arange(10)
    found = counted_at_fpir([*above, *below], [True] * 10, people, [0.4] * 30, np.arange(30), 0.1)
    assert found == Share(5, 10)


def test_the_interval_holds_the_truth_as_often_as_it_says() -> None:
    """300 strangers at FPIR 1 %: three may be named, and Wilson's interval takes the threshold for given."""
    random, normal = np.random.default_rng(0), NormalDist()
    truth = 1 - normal.cdf((normal.inv_cdf(0.99) - 3.5) / 1.0)
    ours = wilsons = 0
    for _ in range(100):
        own = 3.5 + np.repeat(random.normal(0, 0.7, 30), 10) + random.normal(0, 0.7, 300)
        strangers = random.normal(size=300)
        found = counted_at_fpir(own, np.ones(300, bool), np.repeat(range(30), 10), strangers, range(300), 0.01)
        low, high = metrics.wilson(found.hits, found.of)
        ours += found.low <= truth <= found.high
        wilsons += low <= truth <= high
    assert ours >= 90 and wilsons <= 60


def test_memory_does_not_grow_with_the_draws() -> None:
    random = np.random.default_rng(0)
    tracemalloc.start()
    try:
        found = counted_at_fpir(
            random.normal(0.8, 0.1, 2000),
            random.random(2000) < 0.99,
            random.integers(0, 200, 2000),
            random.normal(0.4, 0.1, 10_000),
            np.arange(10_000),
            0.001,
        )
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert found.resampled is not None and peak < 64 << 20


@pytest.mark.parametrize("tries", [1, 2, 37, 1000, 10**6])
def test_what_none_in_some_tries_leaves_possible(tries: int) -> None:
    """At the bound itself no hit at all comes once in twenty."""
    assert (1 - metrics.most_of_none(tries)) ** tries == pytest.approx(0.05)
    assert metrics.most_of_none(tries) == pytest.approx(3 / tries, rel=0.06 if tries > 30 else 1)


def test_nothing_tried_leaves_everything_possible() -> None:
    assert metrics.most_of_none(0) == 1
