"""Held-out scores: how the album is split, what a head never sees, and what a face costs."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning import best
from mien.learning import crossval as validation
from mien.learning.crossval import FOLDS, HeldOut, held_out, held_out_among, log_loss, pictures, split
from mien.learning.head import FittedHead, Ints
from mien.learning.heads.prototypes import prototypes
from mien.testing import COSINES
from mien.types import Floats

fit_prototypes = prototypes(COSINES)

seeds = st.integers(0, 2**32 - 1)


def unit(faces: np.ndarray[tuple[int, ...], np.dtype[np.float64]]) -> Floats:
    return np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32)


def faces_of(owner: Ints, seed: int = 0, spread: float = 0.03) -> Floats:
    """Unit embeddings about as alike as the encoder's; no two are taken for one picture."""
    random = np.random.default_rng(seed)
    centres = np.eye(128)[0] + random.normal(size=(int(owner.max()) + 1, 128)) * 0.04
    return unit(centres[owner] + random.normal(size=(len(owner), 128)) * spread)


def hashes(count: int, seed: int = 0) -> list[str]:
    return [hashlib.sha256(f"{seed} {number}".encode()).hexdigest() for number in range(count)]


def in_fold(fold: int, count: int) -> list[str]:
    """Hashes that all say the same fold."""
    return [one for one in hashes(FOLDS * count * 4) if int(one[:15], 16) % FOLDS == fold][:count]


# Split


@given(seeds)
def test_a_face_keeps_its_fold_wherever_it_stands_and_whoever_comes_and_goes(seed: int) -> None:
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(4), 12)
    names, faces = hashes(48, seed), faces_of(owner, seed)
    whole = split(names, owner, faces, COSINES)
    # A part of the album that still has people whose photos are in more than one fold, in another order.
    some = random.permutation(48)[:40]
    by_hash = np.array([int(name[:15], 16) % FOLDS for name in names])
    for person in range(4):
        if len({*by_hash[some][owner[some] == person]}) < 2:
            return
    part = split([names[i] for i in some], owner[some], faces[some], COSINES)
    assert list(part) == list(whole[some])


@given(st.lists(st.integers(1, 9), min_size=1, max_size=6), seeds, st.booleans())
def test_nobody_with_two_pictures_has_them_all_on_one_side(photos: list[int], seed: int, crowded: bool) -> None:
    owner = np.repeat(np.arange(len(photos)), photos)
    names = in_fold(seed % FOLDS, len(owner)) if crowded else hashes(len(owner), seed)
    fold = split(names, owner, faces_of(owner, seed), COSINES)
    assert fold.min() >= 0 and fold.max() < FOLDS
    for person, count in enumerate(photos):
        assert len(set(fold[owner == person])) > 1 or count == 1


def test_a_persons_only_picture_stays_where_its_hash_puts_it() -> None:
    owner, names = np.arange(40), hashes(40)
    fold = split(names, owner, faces_of(owner), COSINES)
    assert list(fold) == [int(name[:15], 16) % FOLDS for name in names]
    assert len(set(fold)) == FOLDS, "or they could not stand in for strangers to one another"


@pytest.mark.parametrize("order", [[0, 1, 2, 3, 4, 5], [5, 2, 0, 4, 1, 3]], ids=str)
def test_near_duplicates_are_on_one_side_and_links_hold_in_chains(order: Sequence[int]) -> None:
    """0-1-2 are each near the next, but 0 is not near 2; 3 is near nobody; 4 and 5 are another person's."""
    step = np.arccos(COSINES.near_duplicate) * 0.9
    angles = np.array([0, step, 2 * step, 1.0, 0, 0])
    faces = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    assert faces[0] @ faces[2] < COSINES.near_duplicate
    owner = np.array([0, 0, 0, 0, 1, 1])
    names = in_fold(1, 1) + in_fold(2, 1) + in_fold(3, 1) + in_fold(2, 2)[1:] + in_fold(4, 1) + in_fold(0, 1)
    fold = split([names[i] for i in order], owner[order], faces[order], COSINES)[np.argsort(order)]
    assert fold[0] == fold[1] == fold[2] != fold[3]
    assert fold[4] == fold[5], "the same picture twice is one picture"


def test_a_thousand_copies_of_one_picture_are_one_picture() -> None:
    owner = np.zeros(1000, np.int64)
    fold = split(hashes(1000), owner, np.repeat(faces_of(owner[:1]), 1000, axis=0), COSINES)
    assert len(set(fold)) == 1


# Held-out scores


class Watched:
    """A fit that remembers what it was given."""

    def __init__(self) -> None:
        self.given: list[tuple[set[bytes], Ints, int, Floats]] = []

    def __call__(self, embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        self.given.append(({face.tobytes() for face in embeddings}, person, people, weight))
        return fit_prototypes(embeddings, person, people, weight)


def album(seed: int = 0) -> tuple[Floats, Ints, Ints, Floats]:
    """Faces, whose, their fold, their weight: two near-duplicates among them, and somebody with one photo."""
    owner = np.repeat(np.arange(6), [6, 5, 4, 3, 2, 1])
    faces = faces_of(owner, seed)
    faces[1] = unit((faces[:1] + 0.0001 * faces[1:2]).astype(np.float64))[0]
    weight = np.random.default_rng(seed).uniform(0.2, 1, len(owner)).astype(np.float32)
    return faces, owner, split(hashes(len(owner), seed), owner, faces, COSINES), weight


def test_no_face_is_scored_by_a_head_that_saw_it_or_its_near_duplicate() -> None:
    faces, owner, fold, weight = album()
    watched = Watched()
    held_out(watched, faces, owner, 6, weight, fold)
    assert len(watched.given) == len(set(fold))
    for part, (seen, person, people, weights) in zip(np.unique(fold), watched.given, strict=True):
        asked = {face.tobytes() for face in faces[fold == part]}
        assert not asked & seen and len(asked) + len(seen) == len(faces)
        assert set(person) == set(range(people)), "everybody it is fitted for has a face"
        np.testing.assert_array_equal(weights, weight[fold != part])
        assert (0 in np.flatnonzero(fold == part)) == (1 in np.flatnonzero(fold == part))


def slow_held_out(faces: Floats, owner: Ints, fold: Ints, weight: Floats) -> list[dict[int, float]]:
    """The score of each face for everybody who can be enrolled without its fold, one face at a time."""
    found = []
    for row in range(len(faces)):
        known = fold != fold[row]
        enrolled = sorted(set(owner[known]))
        person = np.searchsorted(enrolled, owner[known])
        head = fit_prototypes(faces[known], person, len(enrolled), weight[known])
        found.append(dict(zip(enrolled, head.scores(faces[row : row + 1])[0], strict=True)))
    return found


@pytest.mark.parametrize("chunk", [best.BLOCK, 7])
def test_own_and_rival_scores_are_those_of_heads_without_the_fold(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(best, "BLOCK", chunk)
    monkeypatch.setattr(best, "ROWS", 1)
    faces, owner, fold, weight = album()
    held = held_out(fit_prototypes, faces, owner, 6, weight, fold)
    for row, scores in enumerate(slow_held_out(faces, owner, fold, weight)):
        own = scores.pop(owner[row], np.nan)
        assert held.own[row] == pytest.approx(own, abs=1e-6, nan_ok=True)
        assert held.rival[row] == max(scores, key=lambda person: scores[person])
        expected = sorted(scores.values(), reverse=True)
        np.testing.assert_allclose(held.rivals[row, : len(expected)], expected, atol=1e-6)
        assert (held.rivals[row, len(expected) :] == -np.inf).all()


def test_the_own_person_is_never_among_the_rivals(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(validation, "RIVALS", 3)
    faces, owner, fold, weight = album()
    held = held_out(fit_prototypes, faces, owner, 6, weight, fold)
    assert held.rivals.shape == (len(faces), 3)
    assert (held.rival != owner).all()
    assert (np.diff(held.rivals, axis=1) <= 0).all(), "best first"
    assert held.right.sum() > 15 and (held.own > held.rivals[:, 0]).sum() == held.right.sum()


def test_somebody_with_one_photo_is_only_asked_about_as_a_stranger() -> None:
    faces, owner, fold, weight = album()
    held = held_out(fit_prototypes, faces, owner, 6, weight, fold)
    assert list(np.flatnonzero(~held.mated)) == [len(faces) - 1]
    assert np.isfinite(held.best_rival).all()
    assert not held.right[-1]


def test_people_with_one_photo_each_are_strangers_to_one_another() -> None:
    owner = np.arange(30)
    faces = faces_of(owner)
    held = held_out(fit_prototypes, faces, owner, 30, np.ones(30, np.float32), split(hashes(30), owner, faces, COSINES))
    assert not held.mated.any() and np.isfinite(held.best_rival).all()
    assert (held.rival >= 0).all()
    assert (log_loss(held, owner) == 0).all()


@pytest.mark.parametrize("photos", [1, 4])
def test_one_person_alone_has_no_rivals(photos: int) -> None:
    owner = np.zeros(photos, np.int64)
    faces = faces_of(owner)
    held = held_out(
        fit_prototypes, faces, owner, 1, np.ones(photos, np.float32), split(hashes(photos), owner, faces, COSINES)
    )
    assert held.rivals.shape == (photos, 0)
    assert (held.best_rival == -np.inf).all() and (held.rival == -1).all()
    assert held.mated.all() == held.right.all() == (photos > 1)
    assert (log_loss(held, owner) == 0).all()


def test_one_face_all_over_is_right_for_nobody() -> None:
    owner = np.repeat(np.arange(4), 3)
    faces = np.repeat(faces_of(owner[:1]), 12, axis=0)
    fold = np.arange(12) % FOLDS
    held = held_out(fit_prototypes, faces, owner, 4, np.ones(12, np.float32), fold)
    assert np.isfinite(log_loss(held, owner)).all()
    assert not (held.own > held.best_rival + 1e-5).any()


def test_the_same_faces_give_the_same_bytes() -> None:
    one, other = (held_out(fit_prototypes, *(a[0], a[1], 6, a[3], a[2])) for a in (album(), album()))
    assert (one.own.tobytes(), one.rivals.tobytes()) == (other.own.tobytes(), other.rivals.tobytes())


def test_what_is_not_known_is_asked_about_but_never_fitted_on() -> None:
    """As if the unknown faces had been appended to the album, each in a fold that is there already."""
    faces, owner, fold, weight = album()
    known = np.arange(len(faces)) % 3 != 0
    watched = Watched()
    (held,) = held_out_among(watched, faces, owner, 6, weight, fold, known)
    for part, (seen, *_) in zip(np.unique(fold), watched.given, strict=True):
        assert seen == {face.tobytes() for face in faces[known & (fold != part)]}
    for row in range(len(faces)):
        used = known & (fold != fold[row])
        enrolled = sorted(set(owner[used]))
        head = fit_prototypes(faces[used], np.searchsorted(enrolled, owner[used]), len(enrolled), weight[used])
        scores = dict(zip(enrolled, head.scores(faces[row : row + 1])[0], strict=True))
        assert held.own[row] == pytest.approx(scores.pop(owner[row], np.nan), abs=1e-6, nan_ok=True)
        assert held.best_rival[row] == pytest.approx(max(scores.values()), abs=1e-6)


def test_rivals_can_be_kept_apart() -> None:
    faces, owner, fold, weight = album()
    everybody = np.ones(len(faces), bool)
    some = np.array([True, True, False, False, True, False])
    one, other = held_out_among(fit_prototypes, faces, owner, 6, weight, fold, everybody, some, ~some)
    whole = held_out(fit_prototypes, faces, owner, 6, weight, fold)
    np.testing.assert_array_equal(one.own, whole.own)
    np.testing.assert_array_equal(other.own, whole.own)
    assert some[one.rival].all() and not some[other.rival].any()
    assert (np.maximum(one.best_rival, other.best_rival) == whole.best_rival).all()
    assert (np.where(one.best_rival > other.best_rival, one.rival, other.rival) == whole.rival).all()
    (nobody,) = held_out_among(fit_prototypes, faces, owner, 6, weight, fold, everybody, np.zeros(6, bool))
    assert (nobody.best_rival == -np.inf).all() and (nobody.rival == -1).all()


def test_near_duplicates_of_a_person_share_a_number() -> None:
    faces, owner, _, _ = album()
    number = pictures(owner, faces, COSINES)
    assert number[0] == number[1] and len(set(number)) == len(faces) - 1
    assert len(set(pictures(np.arange(5), np.repeat(faces[:1], 5, axis=0), COSINES))) == 5, (
        "of different people they are not"
    )


# What a face costs


def scores(apart: float, seed: int = 0, faces: int = 200) -> tuple[HeldOut, Ints]:
    """Own scores that lie `apart` above the rivals' on the average; all spread by 0.02."""
    random = np.random.default_rng(seed)
    rivals = -np.sort(-random.normal(0.86, 0.02, (faces, 5)), axis=1).astype(np.float32)
    own = random.normal(0.88 + apart, 0.02, faces).astype(np.float32)
    return HeldOut(own, rivals, np.zeros(faces, np.int64)), np.arange(faces) % 20


def test_better_separated_scores_cost_less() -> None:
    costs = [float(log_loss(*scores(apart)).mean()) for apart in (0.0, 0.01, 0.02, 0.04, 0.08, 0.3)]
    assert costs == sorted(costs, reverse=True)
    assert costs[0] > 0.5 and costs[-1] < 0.02


@given(st.floats(0.05, 20), st.floats(-3, 3))
def test_neither_scale_nor_place_of_the_scores_matters(scale: float, place: float) -> None:
    held, owner = scores(0.03)
    other = HeldOut(
        np.asarray(scale * held.own + place, np.float32),
        np.asarray(scale * held.rivals + place, np.float32),
        held.rival,
    )
    np.testing.assert_allclose(log_loss(other, owner), log_loss(held, owner), rtol=0.01, atol=1e-3)


def test_a_face_that_is_mistaken_costs_more_than_one_that_is_not() -> None:
    held, owner = scores(0.05)
    own = held.own.copy()
    own[3] = held.rivals[3, 0] - 0.03
    cost = log_loss(replace(held, own=own), owner)
    assert cost[3] > 3 * np.median(cost)


def test_what_cannot_be_told_apart_costs_what_guessing_does() -> None:
    """An own score that says nothing: known or not is one half, and the person one in six."""
    random = np.random.default_rng(0)
    rivals = np.full((400, 5), 0.86, np.float32)
    held = HeldOut(np.full(400, 0.86, np.float32), rivals, np.zeros(400, np.int64))
    assert log_loss(held, random.permutation(400) % 20) == pytest.approx((2 * np.log(2) + np.log(6)) / 2, abs=1e-3)


def test_a_face_that_nobody_could_recognise_costs_as_a_stranger_only() -> None:
    held, owner = scores(0.03)
    own = held.own.copy()
    own[7] = np.nan
    cost, before = log_loss(replace(held, own=own), owner), log_loss(held, owner)
    assert 0 < cost[7] < before[7]
    assert np.isfinite(cost).all()


@pytest.mark.parametrize("apart", [0.03, 10.0, -0.05])
def test_the_logistic_curve_is_the_best_there_is(apart: float) -> None:
    """The cost is convex in slope and offset, so that one which is least all around is least."""
    random = np.random.default_rng(1)
    known, unknown = random.normal(30 + apart * 40, 1, 200), random.normal(30, 1, 300)
    mass, other = random.uniform(0.5, 1, 200), random.uniform(0.5, 1, 300)

    def cost(slope: float, offset: float) -> float:
        missed, named = np.logaddexp(0, -slope * known - offset), np.logaddexp(0, slope * unknown + offset)
        return float(mass @ missed / mass.sum() + other @ named / other.sum()) + 0.5e-5 * slope * slope

    slope, offset = validation._logistic(known, unknown, mass, other)
    least = cost(slope, offset)
    for angle in np.linspace(0, 2 * np.pi, 36):
        for far in (1e-3, 0.1, 1.0):
            # A step in the slope turns the curve about the middle of the scores, not about 0.
            turned, moved = far * np.cos(angle), far * np.sin(angle)
            assert cost(slope + turned, offset - 30 * turned + moved) >= least - 1e-12


def test_the_least_of_a_valley_is_found() -> None:
    assert validation.golden_section(lambda x: (x - 1.3) ** 2, -2, 7) == pytest.approx(1.3, abs=1e-5)
    assert validation.golden_section(lambda x: x, -2, 7) == pytest.approx(-2, abs=1e-5)


def test_of_many_faces_those_of_whole_people_are_asked_about(monkeypatch: pytest.MonkeyPatch) -> None:
    owner = np.random.default_rng(0).integers(50, size=400)
    assert validation.asked_about(hashes(400), owner).all()
    monkeypatch.setattr(validation, "MOST_ASKED", 100)
    asked = validation.asked_about(hashes(400), owner)
    assert 80 < asked.sum() <= 100
    assert not {*owner[asked]} & {*owner[~asked]}
    order = np.random.default_rng(1).permutation(400)
    shuffled = validation.asked_about([hashes(400)[row] for row in order], 49 - owner[order])
    np.testing.assert_array_equal(shuffled, asked[order])  # neither order nor names move the lot


def test_who_is_asked_about_is_judged_as_if_all_were() -> None:
    faces, owner, fold, weight = album()
    every = held_out(fit_prototypes, faces, owner, 6, weight, fold)
    asked = owner < 3
    some = held_out(fit_prototypes, faces, owner, 6, weight, fold, asked)
    np.testing.assert_allclose(some.own, every.own[asked], atol=1e-6)
    np.testing.assert_array_equal(some.rival, every.rival[asked])
    np.testing.assert_allclose(some.rivals, every.rivals[asked], atol=1e-6)
