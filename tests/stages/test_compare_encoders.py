"""Comparing encoders: the rows, and the sentence that recommends."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning.crossval import HeldOut
from mien.learning.figures import measure
from mien.learning.openset import Calibration, choose_threshold
from mien.records.faces import TrainingSet
from mien.stages import compare_encoders as module
from mien.stages.compare_encoders import SeenBy, compare_encoders, mcnemar, milliseconds
from mien.testing import COSINES, fake_eyes
from mien.text.encoders import EncoderKind
from mien.types import EncoderChoice, Floats

PEOPLE, EACH = 5, 12
OWNER = np.repeat(np.arange(PEOPLE), EACH)
STRANGER = 0.5
"""What every masked face scores: a photo is named rightly if its own score is above."""


def seen_by(name: str, own: Floats, keep: int = PEOPLE * EACH) -> SeenBy:
    """An album whose faces score `own` for their own people."""
    rows = slice(0, keep)
    rivals = np.full((keep, 1), STRANGER, np.float32)
    held = HeldOut(own[rows].astype(np.float32), rivals, (OWNER[rows] + 1) % PEOPLE)
    people = int(OWNER[rows].max()) + 1
    threshold = choose_threshold(held.best_rival, OWNER[rows], people, 0.01, COSINES)
    faces = TrainingSet(
        people=tuple("ABCDE"[:people]),
        person=OWNER[rows],
        sha256=tuple(f"{number:064x}" for number in range(keep)),
        embeddings=np.eye(keep, 4, dtype=np.float32),
        overall=np.ones(keep, np.float32),
    )
    measured = measure(held, OWNER[rows], threshold, Calibration(20.0, 0.1))
    return SeenBy(EncoderChoice(name), fake_eyes(1, name), 1000, faces, "prototypes", held, measured)


def own(right: int) -> Floats:
    """Scores of which the first `right` are above every stranger's."""
    return np.where(np.arange(PEOPLE * EACH) < right, 0.9, 0.1).astype(np.float32)


@pytest.fixture(autouse=True)
def time_of_a_face(monkeypatch: pytest.MonkeyPatch) -> dict[str, float]:
    """CPU milliseconds a face, by encoder: no test depends on a clock."""
    times = {"old": 10.0, "new": 10.0}
    monkeypatch.setattr(module, "milliseconds", lambda eyes: times[eyes.encoder.id])
    return times


def said(old: SeenBy, new: SeenBy) -> EncoderKind:
    (finding,) = compare_encoders([old, new]).said
    return EncoderKind.of(finding.kind)


def test_an_encoder_that_names_more_is_recommended_and_one_that_names_fewer_is_not() -> None:
    assert said(seen_by("old", own(40)), seen_by("new", own(60))) == EncoderKind.BETTER
    assert said(seen_by("old", own(60)), seen_by("new", own(40))) == EncoderKind.WORSE


def test_a_difference_that_may_be_chance_recommends_nothing(time_of_a_face: dict[str, float]) -> None:
    old, new = seen_by("old", own(57)), seen_by("new", own(60))
    assert said(old, new) == EncoderKind.EVEN
    time_of_a_face["new"] = 2.0
    assert said(old, new) == EncoderKind.FASTER


def test_a_small_album_cannot_tell() -> None:
    assert said(seen_by("old", own(10), 19), seen_by("new", own(19), 19)) == EncoderKind.TOO_FEW


def test_only_photos_that_both_have_seen_are_compared() -> None:
    (finding,) = compare_encoders([seen_by("old", own(60)), seen_by("new", own(60), 48)]).said
    assert finding.figures["of"] == 48


def test_the_sentence_counts_and_names() -> None:
    (finding,) = compare_encoders([seen_by("old", own(40)), seen_by("new", own(60))]).said
    assert finding.why.startswith("new is better than old here: it names 20 photos rightly that old does not")


def test_the_rows_hold_what_each_encoder_is_and_what_it_brings() -> None:
    old, new = compare_encoders([seen_by("old", own(40)), seen_by("new", own(60))]).rows
    assert (old.name, old.dimensions, old.size, old.photos, old.milliseconds) == ("old", 128, 1000, 60, 10.0)
    assert old.measured.tpir_at_fpir_1.hits == 40 and new.measured.tpir_at_fpir_1.hits == 60
    assert old.to_json()["measured"]["tpir_at_fpir_1"] == pytest.approx(40 / 60, abs=1e-5)


def test_an_encoder_of_eight_bits_is_called_so() -> None:
    eight = seen_by("old", own(60))
    (finding,) = compare_encoders([seen_by("old", own(60)), replace(eight, choice=EncoderChoice("old", "int8"))]).said
    assert finding.figures["name"] == "old int8"


def test_a_face_takes_time() -> None:
    assert milliseconds(fake_eyes(4)) > 0


@given(st.integers(0, 60), st.integers(0, 60))
def test_mcnemar_is_a_chance_and_does_not_mind_the_side(won: int, lost: int) -> None:
    assert 0 < mcnemar(won, lost) <= 1
    assert mcnemar(won, lost) == mcnemar(lost, won)
    assert mcnemar(won + 1, lost) <= mcnemar(won, lost) or won < lost + 1


@pytest.mark.parametrize(
    ("won", "lost", "wanted"), [(0, 0, 1), (1, 0, 1), (5, 0, 0.0625), (6, 0, 0.03125), (10, 3, 0.092285), (20, 20, 1)]
)
def test_mcnemar_is_the_two_sided_binomial_test(won: int, lost: int, wanted: float) -> None:
    assert mcnemar(won, lost) == pytest.approx(wanted, abs=1e-6)
