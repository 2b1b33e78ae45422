from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien.learning import labels
from mien.learning.labels import Labels, Levels, find
from mien.testing import COSINES
from mien.types import Floats

# Faces as the built-in encoder finds them: all in a narrow cone, one person's in a narrower one. Cosines of two photos
# of a person are about 0.96, of two people about 0.83.
ACROSS, WITHIN = 0.46, 0.2


def people(rng: np.random.Generator, count: int) -> Floats:
    cone = np.zeros(256)
    cone[0] = 1.0
    return unit(cone + ACROSS * unit(rng.normal(size=(count, 256))))


def photos(rng: np.random.Generator, who: Floats, count: int, within: float = WITHIN) -> Floats:
    return unit(who + within * unit(rng.normal(size=(count, 256))))


def unit(x: NDArray[np.floating[Any]]) -> Floats:
    return np.asarray(x / np.linalg.norm(x, axis=-1, keepdims=True), np.float32)


def found(folders: Sequence[Sequence[Floats]], known: Sequence[int] = (), **more: object) -> Labels:
    """What is found in folders, each of which is a list of faces (n, D); `known` faces of each were there before."""
    rows = [np.concatenate(list(folder)) for folder in folders]
    person = np.repeat(np.arange(len(rows)), [len(one) for one in rows])
    before = (
        np.concatenate([np.arange(len(one)) < count for one, count in zip(rows, known, strict=True)]) if known else None
    )
    return find(np.concatenate(rows), person, len(rows), COSINES, before, **more)  # type: ignore[arg-type]


def parts(found: Labels) -> list[tuple[int, list[list[int]], list[int], bool]]:
    return [
        (one.person, [part.rows.tolist() for part in one.parts], [part.other for part in one.parts], one.clear)
        for one in found.folders
    ]


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 12))
@settings(max_examples=40, deadline=None)
def test_a_clean_album_gives_nothing(seed: int, count: int, each: int) -> None:
    rng = np.random.default_rng(seed)
    clean = found([[photos(rng, who, each)] for who in people(rng, count)])
    assert clean.folders == () and clean.same == () and not clean.wrong.any()


@given(st.integers(0, 10_000))
@settings(max_examples=30, deadline=None)
def test_the_order_of_the_faces_does_not_matter(seed: int) -> None:
    rng = np.random.default_rng(seed)
    who = people(rng, 8)
    faces = np.concatenate([photos(rng, one, 6) for one in who])
    person = np.repeat(np.arange(8), 6)
    moved = rng.random(len(person)) < 0.2
    person[moved] = rng.integers(0, 8, moved.sum())
    straight = find(faces, person, 8, COSINES)
    order = rng.permutation(len(person))
    other = find(faces[order], person[order], 8, COSINES)
    assert straight.wrong[order].tolist() == other.wrong.tolist()
    assert straight.same == other.same
    assert [(one.person, len(one.parts), one.clear) for one in straight.folders] == [
        (one.person, len(one.parts), one.clear) for one in other.folders
    ]


def test_one_photo_of_three_is_somebody_else_s() -> None:
    rng = np.random.default_rng(1)
    ada, bo, cy = people(rng, 3)
    odd = found([[photos(rng, ada, 2), photos(rng, cy, 1)], [photos(rng, bo, 3)]])
    assert parts(odd) == [(0, [[2]], [-1], True)]
    assert odd.wrong.tolist() == [False, False, True, False, False, False]
    assert parts(found([[photos(rng, ada, 2), photos(rng, bo, 1)], [photos(rng, bo, 3)]])) == [(0, [[2]], [1], True)]


def test_half_and_half_is_told_and_nobody_knows_which_half_is_wrong() -> None:
    rng = np.random.default_rng(2)
    ada, bo, cy = people(rng, 3)
    halves = found([[photos(rng, ada, 8), photos(rng, cy, 7)], [photos(rng, bo, 9)]])
    assert parts(halves) == [(0, [list(range(8, 15))], [-1], False)]
    assert not halves.wrong.any()


def test_the_larger_half_is_wrong_if_it_is_another_folder_s_person() -> None:
    rng = np.random.default_rng(3)
    ada, bo = people(rng, 2)
    halves = found([[photos(rng, ada, 7), photos(rng, bo, 8)], [photos(rng, bo, 9)]])
    assert parts(halves) == [(0, [list(range(7, 15))], [1], False)]
    assert np.flatnonzero(halves.wrong).tolist() == list(range(7, 15))
    assert halves.same == ()


def test_a_dozen_strangers_among_twenty() -> None:
    rng = np.random.default_rng(4)
    ada, bo, *strangers = people(rng, 14)
    found_ = found([[photos(rng, ada, 8), *(photos(rng, one, 1) for one in strangers)], [photos(rng, bo, 9)]])
    ((person, groups, others, clear),) = parts(found_)
    assert (person, clear, set(others)) == (0, True, {-1})
    assert sorted(groups) == [[row] for row in range(8, 20)]


def test_a_team_is_nobody() -> None:
    rng = np.random.default_rng(5)
    team, bo = people(rng, 10), people(rng, 1)[0]
    found_ = found([[photos(rng, one, 1) for one in team], [photos(rng, bo, 9)]])
    ((person, groups, _, clear),) = parts(found_)
    assert (person, len(groups), clear) == (0, 9, False)


def test_one_person_in_two_folders() -> None:
    rng = np.random.default_rng(6)
    ada, bo, cy = people(rng, 3)
    folders = [[photos(rng, ada, 6)], [photos(rng, bo, 6)], [photos(rng, ada, 5)], [photos(rng, cy, 6)]]
    ((one, other, cosine),) = found(folders).same
    assert (one, other) == (0, 2) and cosine > 0.9
    assert found(folders).folders == ()


def test_of_one_person_in_two_folders_no_photo_is_wrong() -> None:
    rng = np.random.default_rng(13)
    ada, bo = people(rng, 2)
    older = unit(ada + 0.2 * unit(rng.normal(size=256)))
    folders = [[photos(rng, ada, 8), photos(rng, older, 2)], [photos(rng, older, 8)], [photos(rng, bo, 8)]]
    two = found(folders)
    assert [one[:2] for one in two.same] == [(0, 1)] and not two.wrong.any() and two.folders == ()


def test_names_that_are_nearly_the_same_make_it_surer() -> None:
    rng = np.random.default_rng(7)
    ada, bo = people(rng, 2)
    younger = unit(ada + 0.3 * unit(rng.normal(size=256)))
    folders = [[photos(rng, ada, 6)], [photos(rng, younger, 2)], [photos(rng, bo, 6)]]
    assert found(folders).same == ()
    assert [one[:2] for one in found(folders, namesakes=[(0, 1)]).same] == [(0, 1)]
    assert found(folders, namesakes=[(2, 0)]).same == (), "names alone say nothing"


def test_people_whom_the_encoder_tells_apart_badly_are_not_one() -> None:
    rng = np.random.default_rng(8)
    ada, bo = people(rng, 2)
    crowd = unit(ada + 0.12 * unit(rng.normal(size=(8, 256))))
    assert found([[photos(rng, one, 6)] for one in (*crowd, bo)]).same == ()


def test_people_who_look_alike_and_always_the_same_are_two() -> None:
    rng = np.random.default_rng(8)
    ada, bo, cy = people(rng, 3)
    sister = unit(ada + 0.27 * unit(rng.normal(size=256)))
    apart = [[photos(rng, ada, 16, 0.1)], [photos(rng, sister, 16, 0.1)], [photos(rng, bo, 6)], [photos(rng, cy, 6)]]
    assert found(apart).same == ()
    assert float(apart[0][0].mean(axis=0) @ apart[1][0].mean(axis=0)) >= Levels.of(COSINES).of_folders(16, 16)
    once = [[photos(rng, ada, 16, 0.1)], [photos(rng, ada, 16, 0.1)], *apart[2:]]
    assert [one[:2] for one in found(once).same] == [(0, 1)]


def test_swapped_photos_go_back() -> None:
    rng = np.random.default_rng(9)
    ada, bo = people(rng, 2)
    swapped = found([[photos(rng, ada, 8), photos(rng, bo, 2)], [photos(rng, bo, 8), photos(rng, ada, 2)]])
    assert parts(swapped) == [(0, [[8, 9]], [1], True), (1, [[18, 19]], [0], True)]


def test_profiles_count_where_a_neighbour_says_so() -> None:
    rng = np.random.default_rng(10)
    ada, bo = people(rng, 2)
    side = unit(ada + 0.46 * unit(rng.normal(size=256)))
    turned = unit(ada + 0.5 * (side - ada))[None]
    profile = photos(rng, side, 1, 0.05)
    levels = Levels.of(COSINES)
    frontal = photos(rng, ada, 8)
    assert (profile @ frontal.mean(axis=0)).item() < levels.together <= (turned @ frontal.mean(axis=0)).item()
    assert found([[frontal, profile], [photos(rng, bo, 8)]]).wrong.tolist() == [False] * 8 + [True] + [False] * 8
    assert not found([[frontal, turned, profile], [photos(rng, bo, 8)]]).folders


def test_what_was_there_before_is_the_folder_s_own() -> None:
    rng = np.random.default_rng(11)
    ada, bo, cy = people(rng, 3)
    folders = [[photos(rng, ada, 3), photos(rng, cy, 12)], [photos(rng, bo, 9)]]
    ((person, groups, _, _),) = parts(found(folders, known=(3, 9)))
    assert (person, groups) == (0, [list(range(3, 15))])


def test_a_folder_of_thousands_is_sorted_by_a_part_of_it(monkeypatch: pytest.MonkeyPatch) -> None:
    rng = np.random.default_rng(12)
    ada, bo, cy = people(rng, 3)
    folders = [[photos(rng, ada, 300), photos(rng, cy, 60)], [photos(rng, bo, 9)]]
    whole = parts(found(folders))
    monkeypatch.setattr(labels, "LARGE", 40)
    assert parts(found(folders)) == whole == [(0, [list(range(300, 360))], [-1], True)]


def test_no_face_at_all() -> None:
    nothing = find(np.empty((0, 256), np.float32), np.empty(0, np.int64), 0, COSINES)
    assert (nothing.folders, nothing.same, len(nothing.wrong)) == ((), (), 0)


def test_a_single_face_is_judged_by_its_nearest_neighbour_too() -> None:
    """Somebody who looks like Ada agrees with all her photos about as well as a turned face of hers does, which agrees
    much better with the photo next to it."""
    rng = np.random.default_rng(14)
    ada, bo = people(rng, 2)
    frontal, levels = photos(rng, ada, 9), Levels.of(COSINES)
    away = unit(rng.normal(size=256))
    by_agreement = [unit(ada + step * away)[None] for step in np.arange(0.1, 0.8, 0.01)]
    agrees = levels.together + 0.1 * (levels.likely - levels.together)
    stranger = min(by_agreement, key=lambda one: abs((one @ frontal.mean(axis=0)).item() - agrees))
    assert (stranger @ frontal.T).max() < 2 * levels.likely - agrees
    ((_, groups, _, _),) = parts(found([[frontal, stranger], [photos(rng, bo, 8)]]))
    assert groups == [[9]]
    beside = unit(stranger + 0.05 * unit(rng.normal(size=(1, 256))) + 0.15 * ada)
    assert found([[frontal, beside, stranger], [photos(rng, bo, 8)]]).folders == ()


def test_two_photos_in_a_folder_of_their_own_need_not_agree() -> None:
    """One of them agrees better with the other folder of their person than with the other photo."""
    rng = np.random.default_rng(15)
    ada, bo = people(rng, 2)
    older, masked = (unit(ada + 0.17 * unit(rng.normal(size=256)))[None] for _ in range(2))
    folders = [[photos(rng, ada, 9)], [older, masked], [photos(rng, bo, 9)]]
    two = found(folders)
    assert [one[:2] for one in two.same] == [(0, 1)] and not two.wrong.any()


def test_photos_that_differ_much_are_one_person_s_in_two_folders_as_they_are_in_one() -> None:
    """Photos of many years agree less than others do, between two folders as within each."""
    rng = np.random.default_rng(16)
    ada, bo = people(rng, 2)
    years = photos(rng, ada, 16, 0.285)
    levels = Levels.of(COSINES)
    assert levels.together < (years[:8] @ years[8:].T).mean() < levels.same
    folders = [[years[:8]], [years[8:]], [photos(rng, bo, 9)]]
    two = found(folders)
    assert [one[:2] for one in two.same] == [(0, 1)] and two.folders == ()


def test_two_folders_of_a_crowd_each_are_not_one_person_s() -> None:
    """Strangers agree as little within each folder as between the two."""
    rng = np.random.default_rng(17)
    crowd, bo = people(rng, 20), people(rng, 1)[0]
    folders = [[photos(rng, one, 1) for one in crowd[:10]], [photos(rng, one, 1) for one in crowd[10:]]]
    assert found([*folders, [photos(rng, bo, 9)]]).same == ()
