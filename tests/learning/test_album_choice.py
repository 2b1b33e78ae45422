"""Scenes: a photo is a string of whose faces it shows, a folder a list of photos, an album a folder a name."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.learning.album_choice import Choice, choose_faces
from mien.learning.own_face import Alike, FolderFaces, Ground
from mien.types import Floats

ALIKE = Alike((0.0, 0.14, 0.0, 0.0))
Scene = Mapping[str, Sequence[str]]
Album = dict[str, FolderFaces]

BYSTANDERS = {"X": ["X"] * 4, "Y": ["Y"] * 4, "Z": ["Z"] * 4}


def faces_of(photo: str, rng: np.random.Generator, noise: float) -> Floats:
    """Faces of the people of one letter each, the same people in every scene."""
    people = [np.random.default_rng(ord(one)).normal(size=64) for one in photo]
    rows = [one / np.linalg.norm(one) + noise * rng.normal(size=64) for one in people]
    return np.array([one / np.linalg.norm(one) for one in rows], np.float32)


def album_of(scene: Scene, seed: int = 0, noise: float = 0.06) -> Album:
    rng = np.random.default_rng(seed)
    return {
        name: FolderFaces([faces_of(one, rng, noise) for one in photos], [rng.uniform(40, 90, len(p)) for p in photos])
        for name, photos in scene.items()
    }


def chosen(album: Album) -> dict[str, Choice]:
    return dict(zip(album, choose_faces([*album.values()], ALIKE), strict=True))


def who(scene: Scene, seed: int = 0) -> dict[str, str]:
    """Whose face was chosen in each photo, and "?" at the end where that was a guess."""
    scene = {**scene, **BYSTANDERS}
    return {
        name: "".join(photo[face] for photo, face in zip(scene[name], choice.faces, strict=True) if face is not None)
        + "?" * (choice.ground is Ground.GUESS)
        for name, choice in chosen(album_of(scene, seed)).items()
    }


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.parametrize(
    ("scene", "own"),
    [
        ({"F": ["FM"] * 6, "M": ["M"] * 6}, "FM"),
        ({"F": ["MF"] * 6 + ["M"], "M": ["M"] * 6}, "FM"),  # the wrong one alone in the folder as well
        ({"F": ["FM"] * 6, "M": ["FM"] * 4 + ["M"]}, "FM"),
        ({"F": ["FM"] * 6 + ["F"], "M": ["FM"] * 6}, "FM"),
        ({"F": ["FM"], "M": ["M"] * 3}, "FM"),  # a single photo of two faces
        ({"F": ["FMS"], "M": ["M"] * 3, "S": ["S"] * 3}, "FMS"),
        ({"A": ["AB"] * 5, "B": ["BC"] * 5, "C": ["C"] * 5}, "ABC"),
        ({"A": ["AB"] * 5, "B": ["BC"] * 5, "C": ["CD"] * 5, "D": ["DE"] * 5, "E": ["E"]}, "ABCDE"),
        ({"A": ["ABC"] * 5, "B": ["B"] * 5, "C": ["C"] * 5}, "ABC"),
        ({"A": ["AI"] * 5, "B": ["BI"] * 5, "C": ["CI"] * 5}, "ABC"),  # an interviewer who has no folder
        ({"A": ["AI"] * 5, "I": ["I"] * 5, "B": ["BI"] * 5}, "AIB"),
        ({"F": ["FM", "FM", "FMS", "FS"], "M": ["M"] * 4}, "FM"),
    ],
)
def test_other_peoples_photos_tell_whose_face_it_is(scene: Scene, own: str, seed: int) -> None:
    found = who(scene, seed)
    for name, photos in scene.items():
        expected = "".join(name if name in photo else photo for photo in photos)
        assert found[name] == expected and name in own


@pytest.mark.parametrize(
    ("scene", "undecided"),
    [
        ({"F": ["FM"] * 6, "M": ["FM"] * 6}, "FM"),  # nobody is alone anywhere
        ({"F": ["FM"] * 6}, "F"),
        ({"F": ["FM"]}, "F"),
        ({"A": ["ABC"] * 5, "B": ["ABC"] * 5, "C": ["C"] * 5}, "AB"),
        ({"A": ["ABC"] * 3, "B": ["ABC"] * 3, "C": ["ABC"] * 3}, "ABC"),
        ({"A": ["AS", "AT"], "B": ["BU", "VW"]}, "B"),  # nobody in two of two photos
    ],
)
def test_what_nothing_tells_is_a_guess(scene: Scene, undecided: str) -> None:
    assert {name for name, faces in who(scene).items() if faces.endswith("?")} == set(undecided)


def test_one_photo_filed_under_both_gives_each_their_own() -> None:
    rng = np.random.default_rng(0)
    both = faces_of("FM", rng, 0.06)
    album = {"F": FolderFaces([both], [np.array([50.0, 90.0])])}
    alone = [faces_of("M", rng, 0.06) for _ in range(3)]
    album["M"] = FolderFaces([*alone, both], [np.array([90.0])] * 3 + [np.array([50.0, 90.0])])
    assert [one.faces for one in chosen(album).values()] == [[0], [0, 0, 0, 1]]


def test_two_folders_of_one_person_keep_their_face() -> None:
    scene = {"W": ["WS", "WT", "WU", "WV"], "V": ["W"] * 5}
    assert who(scene)["W"] == "WWWW"


def test_look_alikes_are_told_apart_by_their_own_photos() -> None:
    """A twin who has a folder is less like Freya's faces than these are like each other."""
    rng = np.random.default_rng(1)
    freya = np.asarray(faces_of("F", rng, 0)[0], np.float64)
    twin = freya + 0.9 * faces_of("T", rng, 0)[0]

    def photo(*centres: np.ndarray) -> Floats:
        rows = [one / np.linalg.norm(one) + 0.04 * rng.normal(size=64) for one in centres]
        return np.array([one / np.linalg.norm(one) for one in rows], np.float32)

    album = {name: FolderFaces([*faces], [np.full(len(one), 50.0) for one in faces]) for name, faces in {
        "F": [photo(freya, faces_of("M", rng, 0)[0]) for _ in range(6)],
        "T": [photo(twin) for _ in range(6)],
        "M": [photo(faces_of("M", rng, 0)[0]) for _ in range(6)],
    }.items()}  # fmt: skip
    assert chosen(album)["F"] == Choice([0] * 6, Ground.ALBUM)


# Whatever the album

PEOPLE = "ABCDE"
photos = st.lists(
    st.lists(st.sampled_from(PEOPLE + "ST"), min_size=0, max_size=3, unique=True).map("".join), min_size=1, max_size=5
)
scenes = st.dictionaries(st.sampled_from(PEOPLE), photos, min_size=1, max_size=5)


@given(scenes, st.integers(0, 1000), st.sampled_from([0.03, 0.08, 0.14]), st.randoms(use_true_random=False))
@settings(max_examples=150, deadline=None)
def test_neither_the_order_of_people_nor_that_of_photos_matters(scene: Scene, seed: int, noise: float, random) -> None:  # type: ignore[no-untyped-def]
    album = album_of(scene, seed, noise)
    found = chosen(album)
    names = [*album]
    random.shuffle(names)
    orders = {name: random.sample(range(len(album[name].faces)), len(album[name].faces)) for name in names}
    shuffled = {
        name: FolderFaces(
            [album[name].faces[at] for at in orders[name]], [album[name].sizes[at] for at in orders[name]]
        )
        for name in names
    }
    for name, choice in chosen(shuffled).items():
        assert choice == Choice([found[name].faces[at] for at in orders[name]], found[name].ground)


@given(scenes, st.integers(0, 1000))
@settings(max_examples=60, deadline=None)
def test_every_photo_with_a_face_gives_one(scene: Scene, seed: int) -> None:
    album = album_of(scene, seed)
    for name, choice in chosen(album).items():
        for faces, face in zip(album[name].faces, choice.faces, strict=True):
            assert (face is None) == (len(faces) == 0) and (face is None or 0 <= face < len(faces))
        if all(len(faces) < 2 for faces in album[name].faces):
            assert choice.ground is Ground.OWN
