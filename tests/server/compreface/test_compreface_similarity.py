"""Similarity grows with the score, is one half at the threshold, and stays below for a face without a name."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning.openset import SURE, Calibration, Threshold, identify, told
from mien.server.compreface.similarity import BELOW_HALF, is_named, similarities, similarity
from mien.text.answers import AnswerKind
from mien.types import Candidate, Finding, LeastQuality, Prediction, Quality

SLOPE = 38.1
THRESHOLD = 0.4
GOOD = Quality(200.0, 1.0, 1.0, 1.0, 1.0)


def answer(*scores: float, quality: Quality = GOOD) -> Prediction:
    """The answer to a face with these scores, as a model gives it."""
    threshold = Threshold(THRESHOLD, 0.01, None, THRESHOLD, 0.0, len(scores), 0, 0)
    people = [f"P{number}" for number in range(len(scores))]
    calibration = Calibration(SLOPE, 0.02)
    (found,) = identify(np.array([scores], np.float32), people, threshold, calibration, 10)
    return told(found, calibration, quality, LeastQuality())


def test_one_half_is_the_threshold() -> None:
    assert similarities(answer(THRESHOLD), SLOPE, 1) == [("P0", 0.5)]
    above, below = (similarities(answer(THRESHOLD + by), SLOPE, 1)[0][1] for by in (0.001, -0.001))
    assert above > 0.5 > below


@given(st.lists(st.floats(-1, 1), min_size=1, max_size=6))
def test_a_name_is_above_one_half_and_unknown_below(scores: list[float]) -> None:
    prediction = answer(*scores)
    found = similarities(prediction, SLOPE, 10)
    values = [how for _, how in found]
    assert values == sorted(values, reverse=True) and all(0 <= how <= 1 for how in values)
    assert [person for person, _ in found] == [one.person for one in prediction.candidates]
    if prediction.person is None:
        assert values[0] < 0.5
    else:
        assert found[0][0] == prediction.person and values[0] >= 0.5
        if prediction.reason is None:  # a name without doubt is a match for Double Take, too
            assert values[0] >= SURE > 0.6


@pytest.mark.parametrize("quality", [Quality(10, 1, 1, 1, 1), Quality(200, 0.1, 1, 1, 1)])
def test_a_face_that_is_too_poor_is_not_known(quality: Quality) -> None:
    assert similarities(answer(0.99, quality=quality), SLOPE, 1)[0][1] < 0.5


def test_between_two_is_neither() -> None:
    prediction = answer(0.9, 0.9)
    assert prediction.reason and prediction.reason.kind == AnswerKind.BETWEEN
    assert max(how for _, how in similarities(prediction, SLOPE, 2)) < 0.5


def test_twice_in_one_photo_is_one_of_the_two() -> None:
    twice = Prediction("Ada", 0.9, 0.9, 0.4, (Candidate("Ada", 0.9, 0.9),), Finding(AnswerKind.TWICE, ("Ada",)))
    assert not is_named(twice) and similarities(twice, SLOPE, 1)[0][1] < 0.5


def test_rounding_does_not_reach_one_half() -> None:
    assert similarity(0.4999999) == BELOW_HALF and similarity(1.0, may_reach_half=False) == BELOW_HALF
    assert similarity(0.5) == 0.5 and similarity(0.123456) == 0.12346
