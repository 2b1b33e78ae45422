"""Copies of a picture: what looks alike, what the faces say to it, and in whatever order the photos come."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.learning.copies import Copies, FiledPhoto, LearnedPhotos
from mien.testing import COSINES
from mien.types import Floats
from mien.vision.phash import FLAT, NEAR, are_near, near_pairs

ADA, ADA_RESIZED, BO = (np.array(face, np.float32) for face in ((1, 0, 0), (0.995, 0.0999, 0), (0, 0, 1)))
LOOK, NEAR_LOOK, OTHER_LOOK = "00000000ffffffff", "00000000fffffff8", "f0f0f0f0f0f0f0f0"


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def photo(person: str, content: str, phash: str = LOOK, face: Floats | None = ADA) -> FiledPhoto:
    return FiledPhoto(person, sha(content), phash, face, faceless=False)


def faceless(person: str, content: str, phash: str = LOOK) -> FiledPhoto:
    return FiledPhoto(person, sha(content), phash, None, faceless=True)


def copies_of(photos: Sequence[FiledPhoto]) -> list[list[int]]:
    copies = Copies(photos, COSINES)
    return [copies.of(number).tolist() for number in range(len(photos))]


def pictures(*photos: FiledPhoto) -> list[int]:
    return list(map(int, Copies(photos, COSINES).pictures()))


def test_the_same_bytes_under_one_person_or_two_are_one_picture() -> None:
    photos = [photo("Ada", "a"), photo("Ada", "a"), photo("Bo", "a"), photo("Bo", "b", OTHER_LOOK)]
    assert copies_of(photos) == [[1, 2], [0, 2], [0, 1], []]
    assert pictures(*photos) == [0, 0, 0, 3]


def test_a_resized_copy_is_the_same_picture_if_the_face_is() -> None:
    photos = [photo("Ada", "a"), photo("Ada", "b", NEAR_LOOK, ADA_RESIZED), photo("Ada", "c", NEAR_LOOK, BO)]
    assert copies_of(photos) == [[1], [0], []]
    assert pictures(*photos) == [0, 0, 2]


def test_the_encoder_says_from_which_cosine_on_a_face_is_the_same() -> None:
    strict = replace(COSINES, same_face=0.999)
    two = [photo("Ada", "a"), photo("Ada", "b", NEAR_LOOK, ADA_RESIZED)]
    assert Copies(two, strict).of(0).tolist() == [] and Copies(two, strict).pictures().tolist() == [0, 1]


def test_those_of_the_same_bytes_come_first() -> None:
    photos = [photo("Ada", "small", NEAR_LOOK), photo("Ada", "a"), photo("Bo", "small", NEAR_LOOK), photo("Bo", "a")]
    assert copies_of(photos)[3] == [1, 0, 2]


def test_a_group_photo_with_each_of_its_people_is_no_copy() -> None:
    photos = [photo("Ada", "group"), photo("Bo", "group", face=BO), photo("Bo", "group", face=BO)]
    assert copies_of(photos) == [[], [2], [1]]
    assert pictures(*photos) == [0, 1, 1]


def test_a_camera_on_a_stand_takes_many_pictures_of_many_people() -> None:
    assert pictures(photo("Ada", "a"), photo("Bo", "b", face=BO), photo("Ada", "c", NEAR_LOOK, BO)) == [0, 1, 1]


def test_pictures_without_a_face_are_told_by_their_look() -> None:
    photos = [faceless("Ada", "sky"), faceless("Bo", "sky"), faceless("Bo", "sky small", NEAR_LOOK)]
    assert copies_of(photos) == [[1, 2], [0, 2], [0, 1]]
    assert pictures(*photos) == [0, 0, 0]


def test_a_copy_too_small_for_its_face_to_be_found_counts_with_the_picture_and_accuses_nobody() -> None:
    photos = [photo("Ada", "a"), faceless("Bo", "a tiny", NEAR_LOOK)]
    assert copies_of(photos) == [[], []]
    assert pictures(*photos) == [0, 0]


def test_where_no_face_was_chosen_the_same_bytes_under_one_person_are_one_picture_and_count_alone() -> None:
    photos = [photo("Ada", "group", face=None), photo("Ada", "group", face=None), photo("Bo", "group", face=None)]
    assert copies_of(photos) == [[1], [0], []]
    assert pictures(*photos) == [0, 1, 2]


@pytest.mark.parametrize("phash", ["", FLAT])
def test_a_hash_that_says_nothing_makes_only_the_same_bytes_alike(phash: str) -> None:
    seen = phash == FLAT
    photos = [FiledPhoto(person, sha(content), phash, None, seen) for person, content in ("Aa", "Aa", "Ab", "Ba")]
    assert copies_of(photos) == [[1, 3] if seen else [1], [0, 3] if seen else [0], [], [0, 1] if seen else []]
    assert pictures(*photos) == ([0, 0, 2, 0] if seen else [0, 1, 2, 3])


def test_links_hold_in_chains_for_pictures_and_not_for_a_single_photo() -> None:
    """Each of three is near the next, but the first is not near the last."""
    looks = ["00000000ffffffff", "00000000fffffff8", "00000000ffffffc0"]
    assert not are_near(looks[0], looks[2]) and are_near(looks[0], looks[1]) and are_near(looks[1], looks[2])
    photos = [photo("Ada", look, look) for look in looks]
    assert copies_of(photos) == [[1], [0, 2], [1]]
    assert pictures(*photos[::2], photos[1]) == [0, 0, 0]


def test_no_photos_have_no_copies() -> None:
    assert Copies([], COSINES).pictures().shape == (0,)


# Whatever the photos


@dataclass(frozen=True)
class Shot:
    """A photo's content, and what an encoder saw in it."""

    sha256: str
    phash: str
    faces: int


SHOTS = st.builds(
    lambda number, phash, faces: Shot(sha(str(number)), phash, faces if phash else 0),
    st.integers(0, 10**6),
    st.sampled_from(["", FLAT, LOOK, NEAR_LOOK, "00000000fffffff0", OTHER_LOOK]),
    st.integers(0, 2),
)


@st.composite
def albums(draw: st.DrawFn) -> list[FiledPhoto]:
    """Photos of a few contents under three people, each of whom has one own face in a content, or none chosen."""
    shots = draw(st.lists(SHOTS, min_size=1, max_size=5, unique_by=lambda shot: shot.sha256))
    own: dict[tuple[str, str], Floats | None] = {}
    found = []
    for shot, person in draw(st.lists(st.tuples(st.sampled_from(shots), st.sampled_from("ABC")), max_size=12)):
        face = draw(st.sampled_from([None, ADA, ADA_RESIZED, BO])) if shot.faces and shot.phash != FLAT else None
        face = own.setdefault((person, shot.sha256), face)
        bare = bool(shot.phash) and not shot.faces
        found.append(FiledPhoto(person, shot.sha256, shot.phash, face, bare))
    return found


@given(albums())
def test_copies_are_mutual_and_a_part_of_one_picture(photos: list[FiledPhoto]) -> None:
    found, picture = copies_of(photos), pictures(*photos)
    for number, others in enumerate(found):
        assert number not in others and len(set(others)) == len(others)
        for other in others:
            assert number in found[other]
            if photos[number].face is not None or photos[number].faceless:
                assert picture[number] == picture[other]
    assert all(picture[first] == first <= number for number, first in enumerate(picture))


@given(albums(), st.randoms(use_true_random=False))
def test_the_order_of_the_photos_does_not_matter(photos: list[FiledPhoto], random: np.random.Generator) -> None:
    order = list(range(len(photos)))
    random.shuffle(order)
    found, shuffled = copies_of(photos), copies_of([photos[number] for number in order])
    for place, number in enumerate(order):
        assert {order[other] for other in shuffled[place]} == set(found[number])
    picture, moved = pictures(*photos), pictures(*(photos[number] for number in order))
    for one, a in enumerate(order):
        for other, b in enumerate(order):
            assert (picture[a] == picture[b]) == (moved[one] == moved[other])


@given(albums())
def test_it_is_what_comparing_each_with_each_finds(photos: list[FiledPhoto]) -> None:
    """The rules of `mien check` for an album and for an intake, one pair at a time."""

    def alike(one: FiledPhoto, other: FiledPhoto) -> bool:
        return one.sha256 == other.sha256 or ("" not in (one.phash, other.phash) and are_near(one.phash, other.phash))

    def same_face(one: FiledPhoto, other: FiledPhoto) -> bool:
        return one.face is not None and other.face is not None and bool(one.face @ other.face >= COSINES.same_face)

    def is_copy(one: FiledPhoto, other: FiledPhoto) -> bool:
        exact = one.sha256 == other.sha256 and one.person == other.person
        return alike(one, other) and (exact or same_face(one, other) or (one.faceless and other.faceless))

    def is_joined(one: FiledPhoto, other: FiledPhoto) -> bool:
        teach = all(photo.face is not None or photo.faceless for photo in (one, other))
        return teach and alike(one, other) and (one.faceless or other.faceless or same_face(one, other))

    for number, others in enumerate(copies_of(photos)):
        assert sorted(others) == [
            other for other in range(len(photos)) if other != number and is_copy(photos[number], photos[other])
        ]
    first = list(range(len(photos)))
    for _ in photos:
        for one in range(len(photos)):
            for other in range(len(photos)):
                if is_joined(photos[one], photos[other]):
                    first[one] = first[other] = min(first[one], first[other])
    assert pictures(*photos) == first


# Many


def test_each_look_is_compared_once_however_many_have_it(monkeypatch: pytest.MonkeyPatch) -> None:
    """A camera on a stand: pairs of all its pictures would fill the memory."""
    compared: list[list[str]] = []

    def watched(hashes: list[str]) -> object:
        compared.append(hashes)
        return near_pairs(hashes)

    monkeypatch.setattr("mien.learning.copies.near_pairs", watched)
    started = time.process_time()
    random = np.random.default_rng(0).normal(size=(3000, 128))
    faces = np.asarray(random / np.linalg.norm(random, axis=1, keepdims=True), np.float32)
    copies = Copies([photo("Ada", str(n), (LOOK, NEAR_LOOK)[n % 2], face) for n, face in enumerate(faces)], COSINES)
    assert (copies.pictures() == np.arange(3000)).all()
    assert not any(len(copies.of(number)) for number in range(0, 3000, 10))
    assert compared == [[LOOK, NEAR_LOOK]] and NEAR >= 3
    assert time.process_time() - started < 60


# Photos that were learned from


SMALL = np.array((0.97, 0.243, 0), np.float32)
"""Ada's face in a copy so small that it is not the same any more, and Ada's all the same."""


def found(
    sha256: str, phash: str, *faces: Floats, learned: Sequence[FiledPhoto], person: str | None = None
) -> tuple[str, bool] | None:
    one = LearnedPhotos(learned, COSINES).find(sha256, phash, [(face, person) for face in faces])
    return (str(one.photo.person), one.same_file) if one else None


def test_a_learned_photo_is_known_by_its_bytes_and_a_copy_by_look_and_face() -> None:
    learned = [photo("Ada", "a"), photo("Bo", "b", OTHER_LOOK, BO), FiledPhoto("Cy", sha("c"), "", None, False)]
    assert found(sha("a"), OTHER_LOOK, BO, learned=learned) == ("Ada", True), "whatever it shows"
    assert found(sha("c"), OTHER_LOOK, learned=learned) == ("Cy", True), "of which the catalog knows nothing"
    assert found(sha("x"), NEAR_LOOK, BO, ADA_RESIZED, learned=learned) == ("Ada", False)
    assert found(sha("x"), NEAR_LOOK, SMALL, learned=learned, person="Ada") == ("Ada", False)
    assert found(sha("x"), NEAR_LOOK, SMALL, learned=learned) is None, "a stranger before the same wall"
    nearer = [*learned, photo("Ada", "d", OTHER_LOOK, SMALL)]
    assert found(sha("x"), NEAR_LOOK, SMALL, learned=nearer, person="Ada") is None, "it is more like another photo"
    assert found(sha("x"), NEAR_LOOK, learned=learned) == ("Ada", False), "too small for a face to be found"
    assert found(sha("x"), NEAR_LOOK, BO, learned=learned) is None, "another person before the same wall"
    assert found(sha("x"), OTHER_LOOK, ADA, learned=learned) is None, "another photo of Ada"
    assert found(sha("x"), FLAT, ADA, learned=[photo("Ada", "a", FLAT)]) is None, "a picture of one colour is no copy"


def test_without_cosines_only_the_same_bytes_are_known() -> None:
    learned = LearnedPhotos([photo("Ada", "a")], None)
    assert learned.find(sha("x"), LOOK, [(ADA, "Ada")]) is None
    assert learned.find(sha("a"), LOOK, []) is not None
    assert LearnedPhotos([], COSINES).find(sha("a"), LOOK, [(ADA, "Ada")]) is None
