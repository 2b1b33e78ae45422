from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from mien.learning import figures as metrics
from mien.learning import openset as gallery
from mien.learning.crossval import HeldOut
from mien.learning.figures import Share, measure
from mien.learning.openset import Calibration, Threshold
from mien.testing import COSINES
from mien.types import Floats

CALIBRATION = Calibration(slope=100.0, temperature=0.01)
THRESHOLD: Threshold = replace(gallery.choose_threshold([0.91, 0.92], [0, 1], 2, 0.01, COSINES), value=0.9)
NAN, NONE = np.nan, -np.inf


def held(own: list[float], rivals: list[list[float]]) -> HeldOut:
    table = np.array(rivals, np.float32).reshape(len(own), -1)
    rival = np.where(np.isfinite(table[:, 0]), 0, -1) if table.shape[1] else np.full(len(own), -1)
    return HeldOut(np.array(own, np.float32), table, rival)


def test_the_shares_are_those_counted_by_hand() -> None:
    """Threshold 0.9. Rightly named; right but below; second, mistaken for somebody; fourth; only asked about masked;
    first in a tie, which counts against us; nobody else there when it was asked."""
    found = measure(
        held(
            [0.95, 0.88, 0.92, 0.80, NAN, 0.85, 0.97],
            [
                [0.89, 0.85, 0.80],
                [0.86, 0.85, 0.80],
                [0.93, 0.85, 0.80],
                [0.87, 0.86, 0.85],
                [0.91, 0.85, NONE],
                [0.85, 0.80, 0.75],
                [NONE, NONE, NONE],
            ],
        ),
        np.arange(7),
        THRESHOLD,
        CALIBRATION,
    )
    assert found.top1 == Share(3, 6)
    assert found.top3 == Share(5, 6)
    assert found.tpir == Share(2, 6)
    assert found.fpir == Share(2, 6)
    assert found.single == 1
    # Of six masked faces none may be named: the threshold is just above 0.93.
    assert found.tpir_at_fpir_1 == found.tpir_at_fpir_01 == Share(2, 6)
    assert list(found.correct) == [True, False, False, False, False, True]
    assert list(found.refused) == [True, True, False, True, False, True]
    assert found.margins == pytest.approx([0.05, 0.07], abs=1e-6)
    assert found.counts()["top3_hits"] == 5 and found.counts()["single"] == 1
    assert found.figures()["fpir"] == pytest.approx(1 / 3, abs=1e-6)
    assert (found.figures()["top1_low"], found.figures()["top1_high"]) == pytest.approx(found.top1.interval, abs=1e-6)


def test_a_persons_faces_stand_and_fall_together() -> None:
    """Two of four people are recognised on all of their ten faces, the others on none; masked, one of the four gets a
    name on each. Wilson's interval takes the faces for forty people."""
    own, rival = np.repeat([0.95, 0.95, 0.7, 0.7], 10), np.repeat([0.8, 0.8, 0.8, 0.92], 10)
    one_by_one = np.arange(40)
    together, apart = (
        measure(held(list(own), [[score] for score in rival]), person, THRESHOLD, CALIBRATION)
        for person in (np.repeat(range(4), 10), one_by_one)
    )
    assert together.top1 == together.tpir == apart.tpir == Share(20, 40)
    assert together.fpir == apart.fpir == Share(10, 40)
    for name in ("top1", "tpir", "fpir"):
        wide, narrow = getattr(together, name).interval, getattr(apart, name).interval
        assert wide[0] < narrow[0] and narrow[1] < wide[1]
        assert narrow == pytest.approx(metrics.wilson(getattr(apart, name).hits, 40), abs=0.02)
    assert together.tpir.interval == (0, 1) and together.fpir.interval[0] == 0
    # Whether the one who is named when masked is among the strangers decides where the threshold lies.
    assert together.tpir_at_fpir_1.interval == (0, 1)


def random_scores(faces: int = 60, people: int = 8) -> Floats:
    """(N, P), column 0 the own person's."""
    random = np.random.default_rng(0)
    found = random.normal(0.87, 0.02, (faces, people))
    found[:, 0] += 0.04
    return np.asarray(found, np.float32)


def test_probabilities_and_decisions_are_those_that_a_user_is_given() -> None:
    table = random_scores()
    rivals = -np.sort(-table[:, 1:], axis=1)
    found = measure(HeldOut(table[:, 0], rivals, np.ones(60, np.int64)), np.arange(60), THRESHOLD, CALIBRATION)
    names = [str(person) for person in range(8)]
    mated = gallery.identify(table, names, THRESHOLD, CALIBRATION, 1)
    masked = gallery.identify(table[:, 1:], names[1:], THRESHOLD, CALIBRATION, 1)
    np.testing.assert_allclose(found.probability, [answer.probability for answer in mated], atol=1e-12)
    np.testing.assert_allclose(found.unknown, [answer.probability for answer in masked], atol=1e-12)
    assert list(found.correct) == [answer.person == "0" for answer in mated]
    assert list(found.refused) == [answer.person is None for answer in masked]
    assert found.tpir.value == np.mean([answer.person == "0" for answer in mated])
    assert found.fpir.value == np.mean([answer.person is not None for answer in masked])
    assert 0 < found.fpir.hits < 60 and 0 < found.tpir.hits < 60


def test_the_calibration_error_is_near_nothing_where_the_answers_are_as_sure_as_they_are_right() -> None:
    """Mated and masked scores from the logistic model itself: at each distance from the threshold, the share of wrong
    answers is what the probability says."""
    random = np.random.default_rng(0)
    scores = random.uniform(0.86, 0.94, 40_000)
    is_known = random.uniform(size=len(scores)) < 1 / (1 + np.exp(-100 * (scores - 0.9)))
    # A face that is known scores so with its own person, far from others; one that is not, so with a rival.
    own = np.where(is_known, scores, 0.5)
    rivals = np.where(is_known, 0.5, scores)
    found = measure(held(list(own), [[score] for score in rivals]), np.arange(40_000) % 500, THRESHOLD, CALIBRATION)
    named = scores >= 0.9
    share_right = np.mean(found.correct[named])
    assert share_right == pytest.approx(found.probability[named].mean(), abs=0.01)
    ece_named = metrics.expected_calibration_error(found.probability[named], found.correct[named])
    assert ece_named < 0.015
    # A slope three times too steep claims too much.
    proud = measure(
        held(list(own), [[score] for score in rivals]),
        np.arange(40_000) % 500,
        THRESHOLD,
        Calibration(slope=300.0, temperature=0.01),
    )
    assert metrics.expected_calibration_error(proud.probability[named], proud.correct[named]) > 5 * ece_named


def test_the_errors_of_the_card_are_those_of_its_answers() -> None:
    table = random_scores()
    found = measure(
        HeldOut(table[:, 0], -np.sort(-table[:, 1:], axis=1), np.ones(60, np.int64)),
        np.arange(60),
        THRESHOLD,
        CALIBRATION,
    )
    assert found.ece_mated == metrics.expected_calibration_error(found.probability, found.correct)
    assert found.ece_non_mated == metrics.expected_calibration_error(found.unknown, found.refused)
    sure = measure(held([0.999] * 9, [[0.5]] * 9), np.arange(9), THRESHOLD, Calibration(slope=5000.0, temperature=0.01))
    assert (sure.ece_mated, sure.ece_non_mated) == pytest.approx((0, 0), abs=1e-9)


@pytest.mark.parametrize("own", [[0.95, 0.85], [NAN, NAN]], ids=["somebody alone", "one photo"])
def test_where_nothing_can_be_asked_nothing_is_claimed(own: list[float]) -> None:
    found = measure(held(own, [[], []]), [0, 1], THRESHOLD, CALIBRATION)
    mated = 2 if own[0] == own[0] else 0
    assert found.top1 == Share(mated, mated)
    assert found.tpir == Share(min(mated, 1), mated)
    assert found.fpir == Share(0, 0) and found.fpir.value is None and found.fpir.interval == (0, 1)
    assert found.single == 2 - mated
    assert not any(name.startswith(("fpir", "ece_non_mated")) for name in found.figures())
    assert all(np.isfinite(value) for value in found.figures().values())


def test_only_photos_are_measured_as_strangers() -> None:
    found = measure(held([NAN, NAN], [[0.95], [0.85]]), [0, 1], THRESHOLD, CALIBRATION)
    assert found.top1.value is None and found.fpir == Share(1, 2)
    assert set(found.figures()) == {"fpir", "fpir_low", "fpir_high", "ece_non_mated"}
