"""The fakes and mien's own tools keep the promises of `mien.protocols`, and the checks notice who does not."""

from __future__ import annotations

import pickle
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import cycle
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import pytest
from numpy.typing import NDArray

from mien import Album
from mien.registry import versions
from mien.seeing.detectors.mmod import MMOD
from mien.seeing.landmarkers.trees import FivePointTrees
from mien.testing import (
    COSINES,
    FakeDetector,
    FakeEncoder,
    FakeLandmarker,
    check_detector,
    check_encoder,
    check_head,
    check_landmarker,
    draw_photo,
    fake_eyes,
)
from mien.types import Box, EncoderChoice, Face, Floats, Photo, Picture, Pixels
from mien.vision.geometry import chip_from_landmarks, square_from_landmarks
from mien.vision.images import read_picture
from mien.wiring import make_eyes

if TYPE_CHECKING:
    from mien.protocols import Detector, Encoder, Head, Landmarker

PAINTED = draw_photo([((200, 40, 40), (20, 30, 120, 130)), ((40, 200, 40), (180, 60, 240, 120))])


@pytest.fixture(scope="module")
def group(sample: Path) -> Pixels:
    return read_picture(sample / "groups/02.jpg").pixels


def real_faces(group: Pixels) -> list[Face]:
    return make_eyes(EncoderChoice(views=1)).detector.detect(group)


# They hold


def test_the_fakes_keep_the_promises() -> None:
    eyes = fake_eyes()
    check_detector(eyes.detector, PAINTED)
    check_landmarker(eyes.landmarker, PAINTED, [(20.0, 30.0, 120.0, 130.0), (180.0, 60.0, 240.0, 120.0)])
    check_encoder(eyes.encoder, chips(64))


@pytest.mark.parametrize("detector", [make_eyes(EncoderChoice(views=1)).detector, MMOD(FivePointTrees())])
def test_the_detectors_keep_the_promises(group: Pixels, detector: Detector) -> None:
    check_detector(detector, group)
    assert pickle.loads(pickle.dumps(detector)).id == detector.id


def test_the_trees_keep_the_promises(group: Pixels) -> None:
    landmarker = make_eyes(EncoderChoice(views=1)).landmarker
    check_landmarker(landmarker, group, [square_from_landmarks(face.landmarks) for face in real_faces(group)])
    assert pickle.loads(pickle.dumps(landmarker)).id == landmarker.id


@pytest.mark.parametrize("views", [1, 4])
@pytest.mark.parametrize("precision", ["fp32", "int8"])
def test_the_encoders_keep_the_promises(group: Pixels, precision: Any, views: int) -> None:
    encoder = make_eyes(EncoderChoice(precision=precision, views=views)).encoder
    check_encoder(encoder, np.stack([chip_from_landmarks(group, face.landmarks) for face in real_faces(group)]))
    assert pickle.loads(pickle.dumps(encoder)).id == encoder.id


def test_the_heads_keep_the_promises(trained_album: Path) -> None:
    embeddings = np.random.default_rng(1).normal(size=(7, 128)).astype(np.float32)
    embeddings /= np.linalg.norm(embeddings, axis=1, keepdims=True)
    check_head(versions.load(trained_album / "models", Album(trained_album).version or "").head, embeddings)


def chips(size: int) -> NDArray[np.uint8]:
    return np.random.default_rng(0).integers(0, 256, (3, size, size, 3), np.uint8)


# They notice


def changed(**changes: object) -> Callable[[Face], Face]:
    return lambda face: replace(face, **cast("dict[str, Any]", changes))


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda faces: [], "finds no face"),
        (lambda faces: sorted(faces, key=lambda face: face.detector_score), "best score"),
        (lambda faces: [changed(box=(9.0, 9.0, 9.0, 20.0))(faces[0])], "empty"),
        (lambda faces: [changed(box=(900.0, 9.0, 950.0, 20.0))(faces[0])], "not in the photo"),
        (lambda faces: [changed(box=(9, 9, 20, 20))(faces[0])], "four floats"),
        (lambda faces: [changed(landmarks=np.zeros((5, 2)))(faces[0])], "float32"),
        (lambda faces: [changed(landmarks=np.zeros((10,), np.float32))(faces[0])], "shape"),
        (lambda faces: [changed(landmarks=np.full((5, 2), np.nan, np.float32))(faces[0])], "not finite"),
        (lambda faces: [changed(turn=1)(faces[0])], "upright"),
        (lambda faces: [changed(detector="")(faces[0])], "names its detector"),
    ],
)
def test_a_detector_that_breaks_a_promise_is_noticed(spoil: Callable[[list[Face]], list[Face]], said: str) -> None:
    class Spoilt(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            found = super().detect(pixels)
            two = [changed(detector_score=0.9 - n / 10)(face) for n, face in enumerate(found)]
            return spoil(two) if two else []

    with pytest.raises(AssertionError, match=said):
        check_detector(Spoilt(), PAINTED)


def test_a_detector_with_a_mood_or_a_brush_is_noticed() -> None:
    mood = cycle([0, 1])

    class Moody(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            return super().detect(pixels)[next(mood) :]

    class Painter(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            pixels[0, 0] = 0
            return super().detect(pixels)

    with pytest.raises(AssertionError, match="other faces"):
        check_detector(Moody(), PAINTED)
    with pytest.raises(ValueError, match="read-only"):
        check_detector(Painter(), PAINTED)


def test_a_tool_without_a_steady_id_is_noticed() -> None:
    class Nameless(FakeDetector):
        def __deepcopy__(self, memory: object) -> FakeDetector:
            return FakeDetector("another")

    with pytest.raises(AssertionError, match="another id"):
        check_detector(Nameless(), PAINTED)
    with pytest.raises(AssertionError, match="text"):
        check_encoder(FakeEncoder(""), chips(64))


def test_a_landmarker_that_minds_the_company_is_noticed() -> None:
    class Sociable(FakeLandmarker):
        def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
            return super().landmarks(pixels, boxes) + np.float32(len(boxes))

    boxes: list[Box] = [(20.0, 30.0, 120.0, 130.0), (180.0, 60.0, 240.0, 120.0)]
    with pytest.raises(AssertionError, match="company"):
        check_landmarker(Sociable(), PAINTED, boxes)


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (lambda rows: rows.astype(np.float64), "float32"),
        (lambda rows: rows[:, :64], "shape"),
        (lambda rows: rows * 0, "length 0"),
        (lambda rows: rows + np.float32(1e-6) * len(rows), "depends on what else"),
        (lambda rows: rows + np.arange(len(rows), dtype=np.float32)[:, None], "place in the batch"),
    ],
)
def test_an_encoder_that_breaks_a_promise_is_noticed(spoil: Callable[[Floats], Floats], said: str) -> None:
    class Spoilt(FakeEncoder):
        def encode(self, chips: NDArray[np.uint8]) -> Floats:
            return spoil(super().encode(chips))

    with pytest.raises(AssertionError, match=said):
        check_encoder(Spoilt(), chips(64))


@pytest.mark.parametrize(
    ("wrong", "said"),
    [
        ({"slope": 0.0}, "above 0"),
        ({"temperature": -0.1}, "above 0"),
        ({"mislabelled": -0.02}, "margin"),
        ({"contradicted": -0.03}, "margin"),
        ({"same_face": 1.2}, "at most 1"),
        ({"near_duplicate": 0.0}, "at most 1"),
        ({"curve": (0.9, -0.03, 0.0, -0.01)}, "the higher"),
    ],
    ids=lambda one: next(iter(one)) if isinstance(one, dict) else "",
)
def test_an_encoder_whose_cosines_cannot_be_is_noticed(wrong: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_encoder(FakeEncoder(cosines=replace(COSINES, **wrong)), chips(64))


def test_a_head_that_breaks_a_promise_is_noticed() -> None:
    def head(people: tuple[str, ...], scores: Callable[[Floats], Floats]) -> Head:
        return cast("Head", SimpleNamespace(people=people, scores=scores))

    embeddings = np.eye(4, dtype=np.float32)
    check_head(head(("a", "b"), lambda rows: rows[:, :2]), embeddings)
    for people, scores, said in (
        (("a", "a"), lambda rows: rows[:, :2], "different names"),
        (("a", "b"), lambda rows: 3 * rows[:, :2], "cosine"),
        (("a", "b"), lambda rows: rows[:, :3], "shape"),
        (("a", "b"), lambda rows: rows[:, :2] / max(1, len(rows)), "company"),
    ):
        with pytest.raises(AssertionError, match=said):
            check_head(head(people, scores), embeddings)


# The painted world


def test_two_colours_are_two_people_and_two_shades_one() -> None:
    def look(colour: tuple[int, int, int]) -> Floats:
        pixels = draw_photo([(colour, (20, 30, 120, 130))])
        (seen,) = fake_eyes().see(Picture(Photo("0" * 64, 320, 240, "PNG", "5a" * 8), pixels, 1.0)).faces
        return seen.embedding.vector

    red = look((200, 40, 40))
    assert float(red @ look((204, 42, 38))) > 0.98
    assert float(red @ look((200, 120, 40))) < 0.5


if TYPE_CHECKING:  # the fakes are what they say they are
    _detector: Detector = FakeDetector()
    _landmarker: Landmarker = FakeLandmarker()
    _encoder: Encoder = FakeEncoder()
