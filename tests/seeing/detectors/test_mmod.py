from __future__ import annotations

import json
import pickle
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.seeing.detectors.mmod import MMOD
from mien.seeing.landmarkers.trees import FivePointTrees
from mien.types import Pixels

ROOT = Path(__file__).parents[3]
GOLDEN = json.loads((ROOT / "tests" / "golden" / "mmod.json").read_text(encoding="utf-8"))  # what dlib itself finds


def pixels_of(photo: str) -> Pixels:
    return np.asarray(Image.open(ROOT / "examples" / "album" / photo).convert("RGB"))


@pytest.fixture(scope="module")
def mmod() -> MMOD:
    return MMOD(FivePointTrees())


@pytest.mark.parametrize("photo", GOLDEN)
def test_boxes_are_dlibs(mmod: MMOD, photo: str) -> None:
    faces = mmod.detect(pixels_of(photo))
    assert [list(face.box) for face in faces] == [row[:4] for row in GOLDEN[photo]]
    assert [face.detector_score for face in faces] == pytest.approx([row[4] for row in GOLDEN[photo]], abs=1e-4)


def test_the_golden_photos_cover_one_face_several_and_none() -> None:
    assert {0, 1} < {len(rows) for rows in GOLDEN.values()}


def test_landmarks_are_in_yunets_order(mmod: MMOD) -> None:
    (face,) = mmod.detect(pixels_of(next(iter(GOLDEN))))
    assert face.detector == mmod.id
    right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
    x0, y0, x1, y1 = face.box
    assert x0 < right_eye[0] < nose[0] < left_eye[0] < x1
    assert x0 < right_mouth[0] < left_mouth[0] < x1
    assert y0 < max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1]) < y1


@pytest.mark.parametrize("shape", [(1, 1), (5, 7), (7, 7), (31, 33), (1, 5000), (5000, 1), (5000, 8)])
def test_images_of_any_size(mmod: MMOD, shape: tuple[int, int]) -> None:
    assert mmod.detect(np.random.default_rng(7).integers(0, 256, (*shape, 3), dtype=np.uint8)) == []


def test_it_travels_to_workers(mmod: MMOD) -> None:
    mmod.detect(np.zeros((64, 64, 3), np.uint8))
    assert pickle.loads(pickle.dumps(mmod)).id == mmod.id
