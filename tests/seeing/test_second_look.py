from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import numpy as np
import pytest

from mien.seeing.eyes import Eyes
from mien.seeing.second_look import CLEAR, LIKELY, SURE, TOGETHER, second_look
from mien.types import EncoderChoice, Face, Photo, Picture, Pixels
from mien.vision.images import read_picture
from mien.wiring import make_eyes

ONE, GLANCES = (104, 104), (136, 280)
AT = np.array([(0.3, 0.4), (0.7, 0.4), (0.5, 0.6), (0.35, 0.75), (0.65, 0.75)])


def face(score: float, x: float = 200, y: float = 150, side: float = 60) -> Face:
    left, top = x - side / 2, y - side / 2
    return Face((left, top, left + side, top + side), (AT * side + (left, top)).astype(np.float32), score, "scripted")


def sheet(upright: float = 0.0, *turned: float) -> Callable[[Pixels], list[Face]]:
    """A detector that sees one face in the middle of each close-up, with these scores; of the turned ones those are
    asked about closely that score best at a glance."""
    closely = sorted((score for score in turned if score), reverse=True)[:2]
    sheets = iter([[upright], closely])  # in this order

    def in_a_row(scores: Sequence[float], side: float) -> list[Face]:
        pitch, size = side + 8, 58 / 104 * side
        seen = [
            face(score, side / 2 + n % 4 * pitch, side / 2 + n // 4 * pitch, size) for n, score in enumerate(scores)
        ]
        return sorted((one for one in seen if one.detector_score), key=lambda one: -one.detector_score)

    def detect(pixels: Pixels) -> list[Face]:
        if pixels.shape[:2] == GLANCES:
            return in_a_row(turned, 64)
        scores = next(sheets)
        assert pixels.shape[:2] == (104, 112 * len(scores) - 8)
        return in_a_row(scores, 104)

    return detect


BLANK = np.zeros((300, 400, 3), np.uint8)


def test_a_sure_face_is_not_looked_at_again() -> None:
    sure = face(SURE)
    assert second_look(sheet(), BLANK, sure, False) is sure


@pytest.mark.parametrize("first", [0.3, LIKELY])
def test_a_face_that_is_surely_upright_is_not_turned(first: float) -> None:
    def detect(pixels: Pixels) -> list[Face]:
        assert pixels.shape[:2] == ONE, "no more than the upright close-up is looked at"
        return [face(SURE, 52, 52, 58)]

    assert second_look(detect, BLANK, face(first), False) is not None


@pytest.mark.parametrize(
    ("first", "close_ups", "counts"),
    [
        (LIKELY, (TOGETHER - LIKELY,), True),
        (LIKELY, (TOGETHER - LIKELY - 0.01,), False),
        (0.89, (), False),
        (0.3, (CLEAR,), True),
        (0.3, (CLEAR - 0.01,), False),
        (0.3, (0.0, 0.0, CLEAR), True),
        (0.5, (0.7, 0.7, CLEAR - 0.01), False),
    ],
)
def test_a_face_counts_if_it_is_seen_again(first: float, close_ups: tuple[float, ...], counts: bool) -> None:
    assert (second_look(sheet(*close_ups), BLANK, face(first), False) is not None) == counts


def test_what_no_glance_shows_is_not_looked_at_closely() -> None:
    shapes = []

    def detect(pixels: Pixels) -> list[Face]:
        shapes.append(pixels.shape[:2])
        return []

    assert second_look(detect, BLANK, face(0.3), False) is None
    assert shapes == [ONE, GLANCES]


def test_doubtful_faces_count_where_they_are_wanted() -> None:
    assert second_look(sheet(), BLANK, face(LIKELY), True) is not None
    assert second_look(sheet(), BLANK, face(LIKELY - 0.01), True) is None


@pytest.fixture(scope="module")
def eyes() -> Eyes:
    return make_eyes(EncoderChoice(views=1))


def seen(eyes: Eyes, pixels: Pixels) -> Picture:
    return Picture(Photo("0" * 64, pixels.shape[1], pixels.shape[0], "PNG", "5a" * 8), pixels, 1.0)


@pytest.mark.parametrize("degrees", [0, 45, -45, 90, 135, 180])
def test_a_tilted_head_beside_upright_ones_has_its_own_embedding(eyes: Eyes, sample: Path, degrees: int) -> None:
    one, other = (read_picture(sample / f"people/{person}/02.jpg").pixels for person in ("Amara", "Kenji"))
    (usual,) = eyes.see(seen(eyes, one)).faces
    height, width = one.shape[:2]
    side = 2 * max(height, width)
    turn = cv2.getRotationMatrix2D(((width - 1) / 2, (height - 1) / 2), degrees, 1.0)
    turn[:, 2] += (side - width) / 2, (side - height) / 2
    scene = np.full((side, 2 * side, 3), 120, np.uint8)
    scene[:, :side] = cv2.warpAffine(one, turn, (side, side), borderMode=cv2.BORDER_REPLICATE)
    scene[: other.shape[0], side : side + other.shape[1]] = other
    tilted, upright = eyes.see(seen(eyes, scene)).faces
    assert upright.face.turn == 0
    assert float(tilted.embedding.vector @ usual.embedding.vector) >= 0.93
