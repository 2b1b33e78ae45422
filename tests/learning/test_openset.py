"""The open-set rule: who is named, at what threshold, and how sure."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning import figures as metrics
from mien.learning import openset as gallery
from mien.learning.crossval import FOLDS, HeldOut, held_out
from mien.learning.head import PLAIN, FittedHead, HeadOption, Ints, Scale
from mien.learning.heads.prototypes import prototypes
from mien.learning.openset import Calibration, Threshold
from mien.testing import COSINES
from mien.text.answers import AnswerKind
from mien.types import Floats, LeastQuality, Quality

fit_prototypes = prototypes(COSINES)


def faces_of(people: int, photos: int, seed: int) -> Floats:
    """(people * photos, 128) unit, with about the cosines of the encoder: 0.86 +- 0.03 for two strangers, 0.95 for one
    person's photos. People differ in 18 directions, for a spread that wide."""
    random = np.random.default_rng(seed)
    shared = np.zeros(128)
    shared[0] = 1
    own = np.zeros((people, 128))
    own[:, 1:19] = random.normal(size=(people, 18)) * 0.4 / np.sqrt(18)
    noise = random.normal(size=(people * photos, 128)) * 0.24 / np.sqrt(128)
    faces = shared + np.repeat(own, photos, axis=0) + noise
    return np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), dtype=np.float32)


def head_of(faces: Floats, owner: Ints, people: int) -> FittedHead:
    return fit_prototypes(faces, owner, people, np.ones(len(faces), np.float32))


def held_of(faces: Floats, owner: Ints, people: int) -> HeldOut:
    """The faces dealt out over the folds in turn."""
    fold = np.arange(len(owner)) % FOLDS
    return held_out(fit_prototypes, faces, owner, people, np.ones(len(faces), np.float32), fold)


def album(people: int, photos: int, seed: int = 1) -> tuple[HeldOut, Ints, FittedHead]:
    faces, owner = faces_of(people, photos, seed), np.repeat(np.arange(people), photos)
    return held_of(faces, owner, people), owner, head_of(faces, owner, people)


def rule(people: int, photos: int, fpir: float = 0.01, seed: int = 1) -> tuple[Threshold, Calibration]:
    held, owner, _ = album(people, photos, seed)
    return gallery.fit_open_set(held, owner, people, fpir, PLAIN, COSINES)


def said(threshold: Threshold) -> str:
    return " ".join(finding.why for finding in threshold.findings)


THRESHOLD, CALIBRATION = rule(6, 3)


# The threshold


@given(st.integers(0, 2**32 - 1), st.floats(0.01, 0.5))
def test_no_more_of_the_album_reaches_a_level_than_it_says(seed: int, level: float) -> None:
    """People weighing alike, however many photos each has."""
    random = np.random.default_rng(seed)
    owner = np.concatenate([np.arange(400), random.integers(0, 30, 200)])
    scores = np.round(random.uniform(0.8, 0.95, len(owner)), 3)  # rounded: with ties
    cut = gallery._stranger_quantile(scores, owner, level)
    weight = 1 / np.bincount(owner)[owner]
    assert weight[scores >= cut].sum() <= level * 400 + 1e-6
    assert weight[scores >= cut - 2e-3].sum() > level * 400 * 0.9


@pytest.mark.parametrize("people", [5, 60])
def test_an_album_whose_people_look_more_alike_has_a_threshold_as_much_higher(people: int) -> None:
    held, owner, _ = album(people, 3)
    one, other = (gallery.choose_threshold(held.best_rival + more, owner, people, 0.01, COSINES) for more in (0, 0.01))
    assert one.estimated is not None and other.estimated is not None
    assert other.estimated == pytest.approx(one.estimated + 0.01)
    assert other.default == one.default


@pytest.mark.parametrize("people", [1, 5, 60])
def test_a_head_with_another_scale_of_score_has_the_threshold_of_that_scale(people: int) -> None:
    held, owner, _ = album(people, 3)
    scale = Scale(0.35, 0.65)
    one = gallery.choose_threshold(held.best_rival, owner, people, 0.01, COSINES)
    other = gallery.choose_threshold(
        scale.offset + scale.spread * held.best_rival, owner, people, 0.01, COSINES, scale=scale
    )
    assert other.default == pytest.approx(scale.offset + scale.spread * one.default)
    assert other.value == pytest.approx(scale.offset + scale.spread * one.value)


def test_the_scale_is_the_encoders_where_it_has_one_and_the_album_is_not_asked() -> None:
    plain, other = (HeadOption(name, prototypes) for name in ("plain", "other"))

    def never() -> list[float]:
        raise AssertionError("nothing had to be computed")

    measured, unknown = replace(COSINES, normalised=(0.3, 0.7)), replace(COSINES, normalised=None)
    assert gallery.scale_for(plain, plain, measured, [0.5], never, [0]) == PLAIN
    assert gallery.scale_for(other, plain, measured, [0.5, 0.6], never, [0, 1]) == (0.3, 0.7)
    rivals, base = np.array([0.5, 0.7, 0.6]), np.array([0.2, 0.6, 0.4])
    asked = gallery.scale_for(other, plain, unknown, rivals, lambda: base, [0, 1, 2])
    assert asked == gallery.scale_of(rivals, base, [0, 1, 2]) == pytest.approx((0.4, 0.5))


def test_the_scale_of_a_head_is_estimated_on_the_album() -> None:
    held, owner, _ = album(5, 3)
    found = gallery.scale_of(0.35 + 0.65 * held.best_rival, held.best_rival, owner)
    assert found == pytest.approx((0.35, 0.65))
    assert gallery.scale_of(held.best_rival, held.best_rival, owner) == pytest.approx(PLAIN)


@pytest.mark.parametrize("rivals", [[-np.inf, -np.inf], [0.9, -np.inf], [0.9, 0.9]], ids=str)
def test_where_nobody_or_everybody_is_alike_the_scale_is_the_plain_one(rivals: list[float]) -> None:
    assert gallery.scale_of(rivals, rivals, [0, 1]) == PLAIN


def test_somebody_with_many_photos_does_not_weigh_more_in_the_scale() -> None:
    plain, other = np.array([0.8, 0.9, *[0.9] * 50]), np.array([0.4, 0.6, *[0.6] * 50])
    owner = np.array([0, 1, *[1] * 50])
    assert gallery.scale_of(other, plain, owner) == pytest.approx(gallery.scale_of(other[:2], plain[:2], owner[:2]))


def test_somebody_with_many_photos_does_not_decide_alone() -> None:
    few = np.concatenate([np.full(400, 0.90), [0.97]])
    owner = np.concatenate([np.arange(400), [0]])
    many_scores, many_owner = np.append(few, np.full(500, 0.97)), np.append(owner, np.zeros(500, int))
    assert gallery.choose_threshold(few, owner, 400, 0.01, COSINES).value < 0.91
    assert gallery.choose_threshold(many_scores, many_owner, 400, 0.01, COSINES).value < 0.91


@given(st.integers(1, 40), st.integers(1, 4), st.floats(0.001, 0.5), st.floats(0.001, 0.5))
def test_a_lower_fpir_never_lowers_the_threshold(people: int, photos: int, one: float, other: float) -> None:
    held, owner, _ = album(people, photos)
    lax, strict = (
        gallery.choose_threshold(held.best_rival, owner, people, f, COSINES).value
        for f in sorted((one, other), reverse=True)
    )
    assert lax <= strict + 1e-12


@pytest.mark.parametrize("fpir", [0, -0.1, 0.6, float("nan")])
def test_an_impossible_fpir_is_refused(fpir: float) -> None:
    with pytest.raises(ValueError, match="FPIR"):
        gallery.choose_threshold([0.9, 0.9], [0, 1], 2, fpir, COSINES)


def test_small_albums_lean_on_the_default_and_say_so() -> None:
    alone, five, many = (rule(people, 3)[0] for people in (1, 5, 25))
    assert (alone.weight, five.weight, many.weight) == (0.0, 0.25, 1.0)
    assert alone.estimated is None
    assert alone.value == alone.default
    assert five.estimated is not None
    assert five.value == pytest.approx(0.25 * five.estimated + 0.75 * five.default)
    assert many.value == many.estimated
    assert said(alone) == (
        "Chosen to name about 1 % of strangers, from strangers measured beforehand: nobody here can play the stranger."
    )
    assert said(five) == (
        "Chosen to name about 1 % of strangers: 25 % from this album's 5 people, each taken for a stranger in turn, and"
        " 75 % from strangers measured beforehand, because fewer than 20 people cannot show enough."
    )
    assert said(many) == (
        "Chosen to name about 1 % of strangers, from this album's 25 people, each taken for a stranger in turn."
    )


def test_the_default_rises_with_people_and_photos_and_falls_with_fpir() -> None:
    for fpir in (0.5, 0.1, 0.01, 0.001, 0.0001):
        by_people = [
            gallery.default_threshold(people, 5, fpir, COSINES) for people in (1, 2, 5, 20, 100, 2_000, 100_000)
        ]
        assert by_people == sorted(by_people)
        assert 0.8 < by_people[0] < by_people[-1] < 1
        assert gallery.default_threshold(10, 1, fpir, COSINES) < gallery.default_threshold(10, 10, fpir, COSINES)
    assert gallery.default_threshold(10, 5, 0.1, COSINES) < gallery.default_threshold(10, 5, 0.01, COSINES)


def test_a_few_wrong_labels_do_not_move_the_threshold() -> None:
    faces, owner = faces_of(30, 6, 1), np.repeat(np.arange(30), 6)
    filed = owner.copy()
    filed[[0, 6, 12, 18, 24]] = [29, 28, 27, 26, 25]  # five people's photo under somebody else's name
    held = held_of(faces, filed, 30)
    wrong, _ = gallery.fit_open_set(held, filed, 30, 0.01, PLAIN, COSINES)
    right, _ = gallery.fit_open_set(held_of(faces, owner, 30), owner, 30, 0.01, PLAIN, COSINES)
    assert wrong.mislabelled == 5
    assert right.mislabelled == 0
    assert wrong.faces == len(faces) - 5
    assert "5 faces more like somebody else" in said(wrong) and "more like" not in said(right)
    assert wrong.value == pytest.approx(right.value, abs=0.004)
    blind = gallery.choose_threshold(held.best_rival, filed, 30, 0.01, COSINES)
    assert blind.value > wrong.value


def test_an_only_photo_is_never_called_mislabelled() -> None:
    assert list(gallery.mislabelled([0.99, 0.99, 0.96], [np.nan, 0.90, 0.95], COSINES)) == [False, True, False]


@pytest.mark.parametrize("people", [5, 25, 60])
def test_strangers_are_named_about_as_often_as_promised(people: int) -> None:
    strangers = faces_of(3000, 1, seed=99)
    named = []
    for seed in range(8):
        held, owner, head = album(people, 5, seed)
        chosen, _ = gallery.fit_open_set(held, owner, people, 0.03, PLAIN, COSINES)
        best = head.scores(strangers).max(axis=1).astype(np.float64)
        named.append(float(np.mean(best >= chosen.value)))
    assert 0.01 < np.mean(named) < 0.09


def test_a_large_album_whose_strangers_reach_further_than_the_curve_shows_it_by_itself() -> None:
    people = 3000
    usual = gallery.default_threshold(people, 1, 0.5, COSINES)
    spread = gallery.default_threshold(people, 1, 0.16, COSINES) - usual
    random = np.random.default_rng(3)
    strangers = usual + 3 * spread * random.normal(size=(2, people))  # thrice as wide as the curve has them
    thresholds = {
        fpir: gallery.choose_threshold(strangers[0], np.arange(people), people, fpir, COSINES).value
        for fpir in (0.3, 0.1, 0.03, 0.01, 0.003, 0.001)
    }
    assert list(thresholds.values()) == sorted(thresholds.values()), "a lower FPIR never lowers it"
    for fpir in (0.1, 0.03, 0.01):
        assert 0.5 * fpir < np.mean(strangers[1] >= thresholds[fpir]) < 2 * fpir
    some = np.arange(people) < 500  # of whom alone it is known
    sampled = gallery.choose_threshold(strangers[0, some], np.arange(500), people, 0.01, COSINES, photos=1).value
    assert 0.005 < np.mean(strangers[1] >= sampled) < 0.03


# Probability


@given(st.lists(st.floats(-1, 1, width=32), min_size=1, max_size=12), st.floats(0.001, 0.1), st.floats(10, 500))
def test_the_answers_sum_to_one_and_agree_with_the_decision(row: list[float], temperature: float, slope: float) -> None:
    people = [f"person {i}" for i in range(len(row))]
    (answer,) = gallery.identify(
        np.array([row], np.float32), people, THRESHOLD, Calibration(slope, temperature), len(row)
    )
    known = sum(candidate.probability for candidate in answer.candidates)
    assert [c.score for c in answer.candidates] == sorted(row, reverse=True)
    assert [c.probability for c in answer.candidates] == sorted(
        (c.probability for c in answer.candidates), reverse=True
    )
    assert answer.score == max(row)
    if answer.person is None:
        assert answer.score < THRESHOLD.value
        assert known < 0.5 < answer.probability
        assert known + answer.probability == pytest.approx(1)
    else:
        assert answer.score >= THRESHOLD.value
        assert 0.5 <= known <= 1 + 1e-12
        assert answer.probability == answer.candidates[0].probability
        assert answer.person == answer.candidates[0].person


def test_half_sure_exactly_at_the_threshold() -> None:
    for value, person in ((THRESHOLD.value, "Ann"), (np.nextafter(THRESHOLD.value, 0), None)):
        (answer,) = gallery.identify(np.array([[value]]), ["Ann"], THRESHOLD, CALIBRATION, 3)
        assert answer.person == person
        assert answer.probability == pytest.approx(0.5)


def test_ties_go_to_the_earlier_person_and_top_limits_the_candidates() -> None:
    scores = np.array([[0.5, 0.99, 0.99, 0.7]], np.float32)
    (answer,) = gallery.identify(scores, ["Ann", "Bob", "Cy", "Di"], THRESHOLD, CALIBRATION, 3)
    assert [candidate.person for candidate in answer.candidates] == ["Bob", "Cy", "Di"]
    assert answer.candidates[0].probability == answer.candidates[1].probability


def test_no_faces_no_answers() -> None:
    assert gallery.identify(np.empty((0, 2), np.float32), ["Ann", "Bob"], THRESHOLD, CALIBRATION, 3) == []


def test_without_evidence_the_calibration_is_the_default() -> None:
    default = Calibration(COSINES.slope, COSINES.temperature)
    assert rule(1, 4)[1] == default  # nobody to be confused with
    assert rule(4, 1)[1] == default  # nobody seen twice


def test_an_album_without_any_confusion_claims_no_certainty() -> None:
    _, calibration = rule(3, 3)
    assert COSINES.slope / 10 < calibration.slope < COSINES.slope * 10
    assert COSINES.temperature / 10 < calibration.temperature < COSINES.temperature * 10


def test_the_fit_is_the_minimum() -> None:
    found = gallery._least_cost(lambda x: 3 * (x - 7.0) ** 2, 5.0)  # far steeper than the prior
    assert found == pytest.approx(7, abs=0.05)
    prior_only = gallery._least_cost(lambda _: 0.0, 5.0)
    assert prior_only == pytest.approx(5, rel=1e-6)


def test_probabilities_are_calibrated_on_new_photos_and_strangers() -> None:
    people, enrolled = 40, 5
    faces = faces_of(people, 25, seed=5).reshape(people, 25, 128)
    gallery_faces = faces[:, :enrolled].reshape(-1, 128)
    owner = np.repeat(np.arange(people), enrolled)
    head, held = head_of(gallery_faces, owner, people), held_of(gallery_faces, owner, people)
    threshold, calibration = gallery.fit_open_set(held, owner, people, 0.05, PLAIN, COSINES)
    names = [str(i) for i in range(people)]
    probes = np.concatenate([faces[:, enrolled:].reshape(-1, 128), faces_of(800, 1, seed=6)])
    truth = [*np.repeat(names, 20), *[None] * 800]
    answers = gallery.identify(head.scores(probes), names, threshold, calibration, 1)
    right = [answer.person == true for answer, true in zip(answers, truth, strict=True)]
    assert metrics.expected_calibration_error([a.probability for a in answers], right) < 0.05


def test_the_same_faces_in_another_order_give_the_same_rule() -> None:
    held, owner, _ = album(12, 4)
    order = np.random.default_rng(0).permutation(len(owner))
    one = gallery.fit_open_set(held, owner, 12, 0.01, PLAIN, COSINES)
    shuffled = HeldOut(held.own[order], held.rivals[order], held.rival[order])
    other = gallery.fit_open_set(shuffled, owner[order], 12, 0.01, PLAIN, COSINES)
    assert other[1] == one[1]
    assert replace(other[0], value=0, estimated=0) == replace(one[0], value=0, estimated=0)
    assert other[0].value == pytest.approx(one[0].value, abs=1e-12)  # sums may differ in their last bits


# What users are told


PLAINLY = Quality(100, 1, 1, 1, 1)
LEAST = LeastQuality(28, 0.3)


def told(
    scores: list[float], quality: Quality = PLAINLY, threshold: float = 0.9
) -> tuple[str | None, str | None, str, float]:
    """Who a face is said to be, the reason and its words, and the probability."""
    rule = Threshold(threshold, 0.01, None, threshold, 0.0, len(scores), 0, 0)
    calibration = Calibration(200.0, 0.004)
    names = ("Ada", "Bo", "Cy")[: len(scores)]
    (prediction,) = gallery.identify(np.array([scores], np.float32), names, rule, calibration, 2)
    answer = gallery.told(prediction, calibration, quality, LEAST)
    assert answer.candidates == prediction.candidates and answer.score == prediction.score
    reason = answer.reason
    return answer.person, reason.kind if reason else None, reason.why if reason else "", answer.probability


def test_a_name_without_doubt_has_no_reason_and_a_doubtful_one_has() -> None:
    assert told([0.95, 0.8, 0.7])[:3] == ("Ada", None, "")
    assert told([0.903, 0.8, 0.7])[:3] == ("Ada", AnswerKind.BARELY, "doubtful")
    assert told([0.95])[:2] == ("Ada", None), "nobody else is there to be taken for"


def test_who_is_as_like_somebody_else_is_not_named_by_guess() -> None:
    person, kind, why, probability = told([0.95, 0.949, 0.7])
    assert (person, kind, why) == (None, AnswerKind.BETWEEN, "Ada or Bo")
    assert probability < 0.001, "somebody known it is"
    assert told([0.95, 0.95, 0.95])[1] == AnswerKind.BETWEEN
    assert told([0.95, 0.946, 0.7])[0] == "Ada", "less than half as likely"


def test_an_unknown_face_is_like_nobody_or_nearly_like_somebody() -> None:
    assert told([0.8, 0.7, 0.6])[:3] == (None, AnswerKind.NOBODY, "nobody known")
    assert told([0.898, 0.7, 0.6])[:3] == (None, AnswerKind.NEARLY, "perhaps Ada")
    assert told([0.898, 0.8979, 0.6])[:3] == (None, AnswerKind.BETWEEN, "Ada or Bo")


@pytest.mark.parametrize("score", [0.95, 0.5])
def test_too_poor_a_face_is_nobodys_whatever_it_scores(score: float) -> None:
    small, blurred = replace(PLAINLY, size=27.6), replace(PLAINLY, sharpness=0.29)
    assert told([score, 0.4], small)[:3] == (None, AnswerKind.TOO_SMALL, "too small to tell, 28 px")
    assert told([score, 0.4], blurred)[:3] == (None, AnswerKind.TOO_BLURRED, "too blurred to tell")
    assert told([0.95, 0.4], replace(PLAINLY, size=28, sharpness=0.3))[0] == "Ada"
