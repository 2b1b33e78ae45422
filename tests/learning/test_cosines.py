"""Made-up people, of whom it is known how alike they are, and an encoder's cosines as they are measured on them."""

from __future__ import annotations

import math
from dataclasses import asdict
from itertools import combinations

import numpy as np
import pytest
from numpy.typing import NDArray

from mien.learning import cosines
from mien.learning.cosines import FEWEST_PEOPLE, PHOTOS, Measured, measure
from mien.learning.head import Ints
from mien.learning.openset import default_threshold
from mien.types import Floats

DIMENSIONS = 64


def album(people: int, photos: int, alike: float = 0.0, seed: int = 0) -> tuple[Floats, Ints]:
    """Unit embeddings of `people` with `photos` each. The cosine of two strangers is about `alike`; that of two photos
    of a person lies six tenths of the way from there to 1."""
    apart = 0.6
    random = np.random.default_rng(seed)
    owner = np.repeat(np.arange(people), photos)
    common = np.eye(DIMENSIONS + 1)[0] * math.sqrt(alike)

    def unit(rows: int) -> NDArray[np.float64]:
        found = np.pad(random.normal(size=(rows, DIMENSIONS)), ((0, 0), (1, 0)))
        return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True))

    own = math.sqrt((1 - alike) * apart) * unit(people)[owner]
    faces = common + own + math.sqrt((1 - alike) * (1 - apart)) * unit(len(owner))
    return np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32), owner


@pytest.fixture(scope="module")
def wide() -> Measured:
    return measure(*album(120, 6))


def test_the_curve_says_what_strangers_score(wide: Measured) -> None:
    """As the thresholds in galleries drawn of other people show."""
    faces, owner = album(520, 5, seed=1)
    means = faces.reshape(520, 5, -1).sum(axis=1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    for people, share in ((1, 0.1), (5, 0.05), (20, 0.01), (20, 0.1)):
        named = []
        for start in range(0, 500, people):
            enrolled = np.arange(start, start + people)
            best = (faces @ means[enrolled].T).max(axis=1)[~np.isin(owner, enrolled)]
            named.append(np.mean(best >= default_threshold(people, 5, share, wide.cosines)))
        assert share / 1.6 < np.mean(named) < share * 1.6


def test_margins_lie_where_they_belong(wide: Measured) -> None:
    found = wide.cosines
    assert 0.6 < found.same_face < found.near_duplicate < 1
    assert 0 < found.contradicted < 0.6, "less than from one's own to strangers"
    assert 0 < found.mislabelled < 0.4
    assert found.slope > 0 and found.temperature > 0
    assert (wide.people, wide.faces, wide.bent) == (120, 720, True)


def test_an_encoder_with_cosines_ten_times_as_narrow_has_margins_ten_times_as_narrow(wide: Measured) -> None:
    """No figure of one encoder enters for another: all follow from how its own cosines are spread."""
    narrow = measure(*album(120, 6, alike=0.9)).cosines
    one = wide.cosines
    assert narrow.curve[1] == pytest.approx(one.curve[1] / 10, rel=0.1)
    assert narrow.curve[0] == pytest.approx(0.9, abs=0.02)
    for name in ("mislabelled", "contradicted"):
        assert getattr(narrow, name) == pytest.approx(getattr(one, name) / 10, rel=0.4), name
    for name in ("same_face", "near_duplicate"):
        assert 1 - getattr(narrow, name) == pytest.approx((1 - getattr(one, name)) / 10, rel=0.1), name
    assert narrow.slope == pytest.approx(one.slope * 10, rel=0.4)
    assert narrow.temperature == pytest.approx(one.temperature / 10, rel=0.4)


def test_the_same_faces_in_another_order_measure_the_same() -> None:
    """Photos of a person keep their order: at most the first ten count."""
    faces, owner = album(12, 4)
    order = np.concatenate([np.flatnonzero(owner == person) for person in np.random.default_rng(0).permutation(12)])
    assert measure(faces[order], np.array([f"p{owner[row]:02}" for row in order])) == measure(faces, owner)


def test_photos_after_the_tenth_do_not_count() -> None:
    faces, owner = album(8, 13)
    first = np.concatenate([np.flatnonzero(owner == person)[:10] for person in range(8)])
    assert measure(faces, owner) == measure(faces[first], owner[first])


@pytest.mark.parametrize(("people", "photos"), [(2, 9), (FEWEST_PEOPLE - 1, 3), (40, 2)])
def test_too_few_people_are_refused(people: int, photos: int) -> None:
    with pytest.raises(ValueError, match="people with three photos or more"):
        measure(*album(people, photos))


def test_embeddings_that_say_nothing_are_refused() -> None:
    faces, owner = album(20, 4)
    with pytest.raises(ValueError, match="do not tell people apart"):
        measure(faces[np.random.default_rng(0).permutation(len(faces))], owner)


def test_fewer_people_make_wider_claims(wide: Measured) -> None:
    def width(found: Measured) -> float:
        low, high = found.fpir
        assert low < 0.01 < high
        return math.log(high / low)

    five, twenty = measure(*album(5, 6)), measure(*album(20, 6))
    assert width(five) > width(twenty) > width(wide)
    assert width(wide) < math.log(6)
    assert not five.bent and five.cosines.curve[2] == 0


def test_some_wrong_labels_change_little(wide: Measured) -> None:
    faces, owner = album(120, 6)
    filed = owner.copy()
    wrong = np.random.default_rng(0).choice(len(owner), len(owner) // 30, replace=False)
    filed[wrong] = (owner[wrong] + 7) % 120
    found = measure(faces, filed).cosines
    for name, value in asdict(wide.cosines).items():
        if name not in ("curve", "slope", "temperature", "normalised"):
            assert getattr(found, name) == pytest.approx(value, rel=0.2), name


def test_the_chance_of_a_place_is_that_of_all_draws() -> None:
    total, drawn = 7, 3
    firsts = [min(one) for one in combinations(range(total), drawn)]
    np.testing.assert_allclose(
        cosines._best_in_draw(total, drawn), [firsts.count(place) / len(firsts) for place in range(total)], atol=1e-12
    )


def test_the_score_reached_is_that_of_all_galleries() -> None:
    """Drawn one by one: five people, galleries of two, each stranger asked in each."""
    faces, owner = album(5, 2)
    sample = cosines._Sample.of(faces, owner)
    means = faces.reshape(5, 2, -1).sum(axis=1)
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    best = [
        float((means[[*pair]] @ face).max())
        for pair in combinations(range(5), 2)
        for face, person in zip(faces, owner, strict=True)
        if person not in pair
    ]
    found = {(people, share): score for people, share, score in cosines._reached(sample, 2)}
    assert found[2, 0.5] == pytest.approx(np.sort(best)[::-1][math.ceil(len(best) / 2) - 1], abs=1e-6)
    assert set(PHOTOS) >= {1, 2} and {share for _, share in found} == {0.5, 0.3}, "a fifth is one person"


def test_the_curve_is_not_bent_down() -> None:
    """It has to rise as far as anybody may ask."""
    for seed in range(5):
        a, b, c, _ = measure(*album(20, 3, seed=seed)).cosines.curve
        rising = [a + b * z + c * z * z for z in np.linspace(0, cosines.FAR, 50).tolist()]
        assert rising == sorted(rising)
