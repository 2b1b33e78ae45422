from __future__ import annotations

import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.seeing.landmarkers.trees import FivePointTrees
from mien.types import Pixels

ROOT = Path(__file__).parents[3]
GOLDEN = np.load(ROOT / "tests" / "golden" / "trees.npz")  # dlib's boxes and dlib's points on the sample album


def pixels_of(photo: str) -> Pixels:
    return np.asarray(Image.open(ROOT / "examples" / "album" / photo).convert("RGB"))


@pytest.fixture(scope="module")
def trees() -> FivePointTrees:
    return FivePointTrees()


def test_rounded_points_are_dlibs(trees: FivePointTrees) -> None:
    photos = GOLDEN["photos"]
    for photo in np.unique(photos):
        here = photos == photo
        points = trees.landmarks(pixels_of(str(photo)), GOLDEN["boxes"][here].tolist())
        assert points.dtype == np.float32
        assert np.array_equal(np.floor(points + 0.5), GOLDEN["points"][here]), photo


def test_a_face_does_not_depend_on_its_company(trees: FivePointTrees) -> None:
    photo = str(GOLDEN["photos"][0])
    pixels = pixels_of(photo)
    boxes = [
        (x, y, x + side, y + side) for x in (80.0, 114.0) for y in (100.0, 134.5) for side in (120.0, 179.0, 220.0)
    ]
    together = trees.landmarks(pixels, boxes)
    for box, points in zip(boxes, together, strict=True):
        assert np.array_equal(trees.landmarks(pixels, [box])[0], points)


def test_views_of_an_image_are_as_good_as_copies(trees: FivePointTrees) -> None:
    pixels = np.ascontiguousarray(np.rot90(pixels_of(str(GOLDEN["photos"][0]))))
    view, box = np.rot90(pixels, -1), GOLDEN["boxes"][0].tolist()
    assert np.array_equal(np.floor(trees.landmarks(view, [box])[0] + 0.5), GOLDEN["points"][0])


@pytest.mark.parametrize("shape", [(1, 1), (1, 4000), (4000, 1), (20, 20)])
def test_boxes_may_lie_outside(trees: FivePointTrees, shape: tuple[int, int]) -> None:
    pixels = np.full((*shape, 3), 90, np.uint8)
    boxes = [(-50.0, -50.0, 40.0, 40.0), (1e4, 1e4, 1.01e4, 1.01e4), (0.0, 0.0, 0.0, 0.0)]
    assert np.isfinite(trees.landmarks(pixels, boxes)).all()


def test_no_box_no_points(trees: FivePointTrees) -> None:
    assert trees.landmarks(np.zeros((9, 9, 3), np.uint8), []).shape == (0, 5, 2)


def test_they_travel_to_workers(trees: FivePointTrees) -> None:
    again = pickle.loads(pickle.dumps(trees))
    assert again.id == trees.id
    assert len(pickle.dumps(trees)) < 200
