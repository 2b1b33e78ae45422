from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.learning.own_face import choose_faces, rule
from mien.types import Floats


def unit(rng: np.random.Generator, *shape: int) -> Floats:
    x = rng.normal(size=(*shape, 64))
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True), np.float32)


def near(rng: np.random.Generator, centre: Floats, noise: float = 0.05) -> Floats:
    x = centre + noise * rng.normal(size=centre.shape)
    return np.asarray(x / np.linalg.norm(x), np.float32)


@given(st.integers(0, 10_000), st.integers(2, 8), st.integers(1, 5))
@settings(max_examples=60, deadline=None)
def test_the_face_that_keeps_coming_back_is_chosen_however_small(seed: int, photos: int, bystanders: int) -> None:
    rng = np.random.default_rng(seed)
    person = unit(rng)
    faces, sizes, truth = [], [], []
    for _ in range(photos):
        place = int(rng.integers(0, bystanders + 1))
        group = [unit(rng) for _ in range(bystanders)]
        group.insert(place, near(rng, person))
        faces.append(np.stack(group))
        side = np.full(bystanders + 1, 300.0)
        side[place] = 40.0
        sizes.append(side)
        truth.append(place)
    assert choose_faces(faces, sizes) == truth


def test_a_companion_in_every_group_photo_loses_to_the_portraits() -> None:
    rng = np.random.default_rng(1)
    ada, companion = unit(rng), unit(rng)
    portraits = [near(rng, ada)[None] for _ in range(2)]
    together = [np.stack([near(rng, companion), near(rng, ada)]) for _ in range(6)]
    faces = portraits + together
    sizes = [np.array([100.0])] * 2 + [np.array([200.0, 100.0])] * 6
    assert choose_faces(faces, sizes) == [0, 0] + [1] * 6


def test_one_photo_alone_gives_its_largest_face_and_no_face_gives_none() -> None:
    rng = np.random.default_rng(2)
    assert choose_faces([unit(rng, 3)], [np.array([10.0, 30.0, 20.0])]) == [1]
    assert choose_faces([unit(rng, 0), unit(rng, 2)], [np.array([]), np.array([5.0, 9.0])]) == [None, 1]
    assert choose_faces([], []) == []


def test_the_order_of_the_photos_does_not_matter() -> None:
    rng = np.random.default_rng(3)
    person = unit(rng)
    faces = [np.stack([unit(rng), near(rng, person, 0.1), unit(rng)]) for _ in range(12)]
    sizes = [rng.uniform(20, 200, 3) for _ in range(12)]
    straight = choose_faces(faces, sizes)
    order = rng.permutation(12)
    shuffled = choose_faces([faces[i] for i in order], [sizes[i] for i in order])
    assert [straight[i] for i in order] == shuffled


def test_a_person_with_thousands_of_photos_is_no_work() -> None:
    rng = np.random.default_rng(4)
    person = unit(rng)
    faces = [np.stack([unit(rng), near(rng, person)]) if n % 3 else near(rng, person)[None] for n in range(3000)]
    sizes = [np.full(len(one), 50.0) for one in faces]
    assert choose_faces(faces, sizes) == [1 if n % 3 else 0 for n in range(3000)]


def test_the_rule_says_by_what_faces_were_chosen() -> None:
    assert len({rule("a", False), rule("a", True), rule("b", False), rule("b", True)}) == 4
