from __future__ import annotations

import io
import pickle
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from mien.seeing.landmarkers.trees import FivePointTrees
from mien.storage import weights
from mien.types import Floats, Pixels

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


@pytest.fixture(scope="module")
def arrays() -> dict[str, Any]:
    with np.load(io.BytesIO(weights.load("landmarks5.npz"))) as file:
        return {name: file[name].tolist() if name in ("idx1", "idx2", "thresh") else file[name] for name in file}


def plain_points(arrays: dict[str, Any], pixels: Pixels, box: Sequence[float]) -> Floats:
    """(5, 2): the points of one face as dlib's `shape_predictor` finds them, one tree after the other."""
    height, width = pixels.shape[:2]
    origin, side = np.array(box[:2]), np.array(box[2:]) - box[:2]
    start = arrays["init"] - arrays["init"].mean(axis=0, dtype=np.float64)
    power = (start**2).sum()
    shape = arrays["init"].copy()
    for stage in range(15):
        now = shape - shape.mean(axis=0, dtype=np.float64)
        cosine = np.float32((now[:, 0] * start[:, 0] + now[:, 1] * start[:, 1]).sum() / power)
        sine = np.float32((now[:, 1] * start[:, 0] - now[:, 0] * start[:, 1]).sum() / power)
        dx, dy = arrays["deltas"][stage].T
        places = np.column_stack([cosine * dx - sine * dy, sine * dx + cosine * dy]) + shape[arrays["anchor"][stage]]
        greys = [
            sum(pixels[int(row), int(column)].tolist()) // 3 if 0 <= column < width and 0 <= row < height else 0
            for column, row in np.floor(places * side + origin + 0.5)
        ]
        trees = (arrays[name][stage] for name in ("idx1", "idx2", "thresh", "leaves"))
        for first, second, threshold, leaves in zip(*trees, strict=True):
            node = 0
            for _ in range(4):
                more = greys[first[node]] - greys[second[node]] > threshold[node]
                node = 2 * node + (1 if more else 2)
            shape += leaves[node - 15].reshape(5, 2)
    points: Floats = (shape * side + origin).astype(np.float32)
    return points


@pytest.mark.parametrize("faces", [0, 1, 2, 7, 33])
def test_points_are_to_the_bit_those_of_a_plain_reading_of_the_trees(
    trees: FivePointTrees, arrays: dict[str, Any], faces: int
) -> None:
    chance = np.random.default_rng(faces)
    photo = pixels_of(str(GOLDEN["photos"][0]))
    height, width = photo.shape[:2]
    # Squares, nearly, of half a pixel to three times the photo, many of them over its border and some beyond it.
    low = chance.uniform(-0.5, 1, (faces, 2)) * (width, height)
    side = np.geomspace(0.5, 3 * width, faces)[::-1, None] * chance.uniform(0.9, 1.1, (faces, 2))
    boxes = np.hstack([low, low + side]).tolist()
    # In noise, unlike in a photo, every neighbouring pixel would send a face elsewhere.
    for pixels in (photo, chance.integers(0, 256, photo.shape, np.uint8)):
        points = trees.landmarks(pixels, boxes)
        expected = np.array([plain_points(arrays, pixels, box) for box in boxes], np.float32).reshape(-1, 5, 2)
        assert points.dtype == np.float32
        assert points.shape == expected.shape
        assert points.tobytes() == expected.tobytes()


def test_the_id_is_that_of_the_weights_as_ever(trees: FivePointTrees) -> None:
    assert trees.id == "trees5-88457d16"


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
