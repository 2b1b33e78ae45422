from __future__ import annotations

from pathlib import Path

import cv2
import dlib
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from mien.encoders.shelf import BUILT_IN, kept
from mien.seeing.detectors.yunet import YuNet
from mien.seeing.encoders.network import NetworkEncoder
from mien.types import Floats, Pixels
from mien.vision import geometry

ROOT = Path(__file__).parents[2]
ALBUM = ROOT / "examples" / "album"
GOLDEN = np.load(ROOT / "tests" / "golden" / "trees.npz")
PORTRAIT, POINTS = str(GOLDEN["photos"][0]), GOLDEN["points"][0]

number = st.floats(-2000, 2000, width=32)
side = st.integers(1, 3000)
turn = st.integers(-9, 9)


def pixels_of(photo: str) -> Pixels:
    return np.asarray(Image.open(ALBUM / photo).convert("RGB"))


def dlib_chip(pixels: Pixels, points: np.ndarray) -> Pixels:
    parts = [dlib.point(int(x), int(y)) for x, y in points]
    shape = dlib.full_object_detection(dlib.rectangle(0, 0, 9, 9), parts)
    chip: Pixels = dlib.get_face_chip(pixels, shape, 150, 0.25)
    return chip


def chip_of(pixels: Pixels, points: np.ndarray) -> Pixels:
    return geometry.warp_square(pixels, geometry.cut_from_points(points), geometry.CHIP_SIZE)


def apart(one: Floats, other: Floats) -> float:
    return float(np.linalg.norm(one / np.linalg.norm(one) - other / np.linalg.norm(other)))


@given(st.floats(-3.1, 3.1), st.floats(0.05, 20), number, number)
def test_similarity_finds_the_map_that_made_the_points(angle: float, scale: float, x: float, y: float) -> None:
    made = np.array(
        [[scale * np.cos(angle), -scale * np.sin(angle), x], [scale * np.sin(angle), scale * np.cos(angle), y]]
    )
    source = np.array([(0, 0), (3, 1), (-2, 5), (4, 4)], float)
    assert np.allclose(geometry.similarity(source, source @ made[:, :2].T + made[:, 2]), made, atol=1e-6)


def test_similarity_never_mirrors() -> None:
    source = np.array([(0, 0), (2, 0), (2, 1), (0, 1)], float)
    assert np.linalg.det(geometry.similarity(source, source * (-1, 1))[:, :2]) >= 0


@pytest.mark.parametrize("number", range(0, len(GOLDEN["photos"]), 15))
def test_chips_are_dlibs_but_for_rounding(number: int) -> None:
    pixels, points = pixels_of(str(GOLDEN["photos"][number])), GOLDEN["points"][number]
    # dlib cuts the fraction of a grey value off, OpenCV rounds.
    difference = chip_of(pixels, points).astype(int) - dlib_chip(pixels, points)
    assert np.isin(difference, (0, 1)).mean() > 0.98
    assert np.abs(difference).mean() < 1


def test_embeddings_of_chips_of_large_faces_are_dlibs() -> None:
    pixels = np.asarray(Image.fromarray(pixels_of(PORTRAIT)).resize((1920, 2400), Image.Resampling.BICUBIC))
    points = POINTS * 5 + 2
    ours, dlibs = chip_of(pixels, points), dlib_chip(pixels, points)
    assert apart(*NetworkEncoder(kept(BUILT_IN)).encode(np.stack([ours, dlibs]))) < 0.06
    assert geometry.cut_from_points(points).side > 4 * 150  # so that it was shrunk indeed


@pytest.mark.parametrize(("dx", "dy"), [(-200, 0), (0, -200), (-160, -200)])
def test_faces_over_the_border_are_black_outside(dx: int, dy: int) -> None:
    pixels, points = np.ascontiguousarray(pixels_of(PORTRAIT)[-dy:, -dx:]), POINTS + np.array((dx, dy))
    ours, dlibs = chip_of(pixels, points), dlib_chip(pixels, points)
    assert (dlibs.max(axis=-1) == 0).mean() > 0.1
    assert np.abs(ours.astype(int) - dlibs).mean() < 2


def test_only_the_neighbourhood_is_read() -> None:
    small = pixels_of(PORTRAIT)
    large = np.full((3000, 4000, 3), 255, np.uint8)
    large[1000 : 1000 + small.shape[0], 2000 : 2000 + small.shape[1]] = small
    cut = geometry.cut_from_points(POINTS)._replace(side=150.0)
    moved = cut._replace(x=cut.x + 2000, y=cut.y + 1000)
    assert np.array_equal(geometry.warp_square(large, moved, 100), geometry.warp_square(small, cut, 100))


def test_fine_detail_is_averaged_not_sampled() -> None:
    stripes = np.zeros((1600, 1600, 3), np.uint8)
    stripes[:, ::2] = 255
    chip = geometry.warp_square(stripes, geometry.Cut(800, 800, 1200, 0.1), 150)
    assert chip.min() > 110
    assert chip.max() < 145


@pytest.mark.parametrize("side", [40.0, 150.0, 149.0 * 3 + 1, 149.0 * 8 + 1])
def test_shrinking_moves_nothing(side: float) -> None:
    """A ramp stays where it is to a fraction of a pixel, whatever block it is averaged over."""
    ramp = np.broadcast_to((np.arange(2000) / 10).round().astype(np.uint8)[:, None, None], (2000, 2000, 3))
    chip = geometry.warp_square(np.ascontiguousarray(ramp), geometry.Cut(1000, 1000, side), 150)
    expected = (1000 + (np.arange(150) - 74.5) * (side - 1) / 149) / 10
    assert np.abs(chip[:, 75, 0] - expected).max() < 1.01
    assert abs((chip[:, 75, 0] - expected).mean()) < 0.1


@pytest.mark.parametrize("shape", [(1, 1), (1, 5000), (5000, 1), (40, 30)])
def test_any_image_gives_a_chip(shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 200, np.uint8)
    for at in (0.0, 20.0, -5000.0):
        for side in (2.0, 100.0, 4000.0):
            assert geometry.warp_square(pixels, geometry.Cut(at, at, side, 0.5), 96).shape == (96, 96, 3)
    assert geometry.warp_square(pixels, geometry.Cut(-5000, 0, 100), 96).max() == 0


def test_openface_chip_is_openfaces() -> None:
    # As in openface/align_dlib.py, by its indices 36, 45, 33 = dlib's five points 2, 0, 4.
    low, high = np.array([0.0792396913815, 0.182360984545]), np.array([0.971193274221, 1.06080371126])
    rows = [(0.252418718401, 0.331052263829), (0.782865376271, 0.321305281656), (0.520712933176, 0.634268222208)]
    target = (96 * (np.array(rows) - low) / (high - low)).astype(np.float32)
    pixels = pixels_of(PORTRAIT)
    theirs = cv2.warpAffine(pixels, cv2.getAffineTransform(POINTS[[2, 0, 4]].astype(np.float32), target), (96, 96))
    ours = geometry.openface_chip(pixels, POINTS)
    assert np.abs(ours.astype(int) - theirs).mean() < 1


def test_landmarks_and_points_lead_to_nearly_the_same_cut() -> None:
    detector = YuNet()
    turns, sizes, shifts, overlaps = [], [], [], []
    for photo, box, points in zip(*(GOLDEN[name][::4] for name in ("photos", "boxes", "points")), strict=True):
        middle = points.mean(axis=0)
        faces = detector.detect(pixels_of(str(photo)))
        face = min(faces, key=lambda face: float(np.linalg.norm(face.landmarks[:3].mean(axis=0) - middle)))
        one, other = geometry.cut_from_landmarks(face.landmarks), geometry.cut_from_points(points)
        turns.append(abs(one.angle - other.angle))
        sizes.append(abs(np.log(one.side / other.side)))
        shifts.append(np.hypot(one.x - other.x, one.y - other.y) / other.side)
        a, b = np.array(geometry.square_from_landmarks(face.landmarks)), box
        common = np.prod((np.minimum(a[2:], b[2:]) - np.maximum(a[:2], b[:2])).clip(0))
        overlaps.append(common / (np.prod(a[2:] - a[:2]) + np.prod(b[2:] - b[:2]) - common))
    assert np.median(turns) < np.radians(6)
    assert np.median(sizes) < 0.1
    assert np.median(shifts) < 0.05
    assert np.median(overlaps) > 0.7


def test_a_profile_takes_its_turn_from_eyes_to_mouth() -> None:
    upright = np.array([(50, 40), (53, 44), (60, 60), (50, 80), (52, 80)])  # eyes as good as one, and their line askew
    assert abs(geometry.cut_from_landmarks(upright).angle) < np.radians(12)


def test_landmarks_of_dlibs_mean_face() -> None:
    points = np.array([(86, 21), (65, 23), (12, 21), (33, 23), (49, 63)])
    right_eye, left_eye, nose, right_mouth, left_mouth = geometry.landmarks_from_points(points)
    assert np.allclose(right_eye, (22.5, 22))
    assert np.allclose(left_eye, (75.5, 22))
    assert right_eye[0] < right_mouth[0] < nose[0] < left_mouth[0] < left_eye[0]
    assert nose[1] < points[4, 1] < right_mouth[1] == pytest.approx(left_mouth[1], abs=0.2)


@given(st.integers(1, 12), st.integers(1, 12), turn, st.data())
def test_points_turn_as_pixels_do(width: int, height: int, turn: int, data: st.DataObject) -> None:
    x, y = data.draw(st.integers(0, width - 1)), data.draw(st.integers(0, height - 1))
    image = np.zeros((height, width), bool)
    image[y, x] = True
    turned_x, turned_y = geometry.turn_points((x, y), turn, width, height).astype(int)
    assert np.rot90(image, turn)[turned_y, turned_x]


@given(st.lists(st.tuples(number, number), min_size=1, max_size=5), turn, side, side)
def test_turning_back_gives_the_points_again(
    points: list[tuple[float, float]], turn: int, width: int, height: int
) -> None:
    turned = geometry.turn_points(points, turn, width, height)
    back = (height, width) if turn % 2 else (width, height)
    assert np.allclose(geometry.turn_points(turned, -turn, *back), points, atol=1e-3)


@given(number, number, st.floats(0, 500), st.floats(0, 500), turn, side, side)
def test_a_turned_box_is_a_box(x: float, y: float, w: float, h: float, turn: int, width: int, height: int) -> None:
    box = (x, y, x + w, y + h)
    x0, y0, x1, y1 = geometry.turn_box(box, turn, width, height)
    assert (x1 - x0, y1 - y0) == pytest.approx((h, w) if turn % 2 else (w, h), abs=1e-2)
    back = (height, width) if turn % 2 else (width, height)
    assert geometry.turn_box((x0, y0, x1, y1), -turn, *back) == pytest.approx(box, abs=1e-2)
