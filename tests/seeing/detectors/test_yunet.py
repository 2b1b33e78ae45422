from __future__ import annotations

import csv
import pickle
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from mien.seeing.detectors.yunet import YuNet
from mien.storage import weights
from mien.types import Pixels

ALBUM = Path(__file__).parents[3] / "examples" / "album"


def pixels_of(photo: Path) -> Pixels:
    return np.asarray(Image.open(photo).convert("RGB"))


@pytest.fixture(scope="module")
def yunet() -> YuNet:
    return YuNet()


def test_everybody_in_the_groups_is_found_and_nobody_twice(yunet: YuNet) -> None:
    with (ALBUM / "groups" / "truth.csv").open(encoding="utf-8") as file:
        truth = list(csv.DictReader(file))
    for photo in sorted({row["photo"] for row in truth}):
        people = [row for row in truth if row["photo"] == photo]
        faces = yunet.detect(pixels_of(ALBUM / "groups" / photo))
        assert len(faces) == len(people), photo
        for row in people:
            middle = np.array([float(row["face_centre_x"]), float(row["face_centre_y"])])
            near = [np.linalg.norm(face.landmarks[2] - middle) < float(row["head_height"]) / 3 for face in faces]
            assert sum(near) == 1, (photo, row["person"])


def test_faces_are_those_of_opencvs_own_reader_of_yunet(yunet: YuNet) -> None:
    network, none = np.frombuffer(weights.load("yunet_s.onnx"), np.uint8), np.zeros(0, np.uint8)
    for photo in ("groups/03.jpg", "people/Amara/01.jpg"):
        pixels = pixels_of(ALBUM / photo)
        reader = cv2.FaceDetectorYN.create("onnx", network, none, pixels.shape[1::-1], 0.6, 0.45)
        theirs = np.asarray(
            reader.detect(np.ascontiguousarray(pixels[..., ::-1]))[1]
        )  # rows: x, y, w, h, points, score
        ours = yunet.detect(pixels)
        theirs = theirs[np.argsort(-theirs[:, 14])]
        assert np.allclose([face.detector_score for face in ours], theirs[:, 14], atol=1e-3)
        assert np.allclose([face.landmarks for face in ours], theirs[:, 4:14].reshape(-1, 5, 2), atol=0.02)
        assert np.allclose(
            [face.box for face in ours], np.hstack([theirs[:, :2], theirs[:, :2] + theirs[:, 2:4]]), atol=0.02
        )


def test_landmarks_are_in_their_order_and_scores_sorted(yunet: YuNet) -> None:
    faces = yunet.detect(pixels_of(ALBUM / "groups" / "01.jpg"))
    assert [face.detector_score for face in faces] == sorted((f.detector_score for f in faces), reverse=True)
    for face in faces:
        assert face.landmarks.shape == (5, 2)
        assert face.landmarks.dtype == np.float32
        assert face.detector == yunet.id
        right_eye, left_eye, nose, right_mouth, left_mouth = face.landmarks
        x0, y0, x1, y1 = face.box
        assert x0 < right_eye[0] < left_eye[0] < x1
        assert right_mouth[0] < left_mouth[0]
        assert y0 < max(right_eye[1], left_eye[1]) < nose[1] < min(right_mouth[1], left_mouth[1]) < y1


def test_coordinates_are_those_of_the_image_whatever_its_padding(yunet: YuNet) -> None:
    pixels = pixels_of(ALBUM / "groups" / "01.jpg")
    best = yunet.detect(pixels)[0]
    shifted = np.pad(pixels, ((64, 3), (32, 17), (0, 0)))
    again = min(yunet.detect(shifted), key=lambda face: abs(face.box[0] - best.box[0] - 32))
    assert np.allclose(np.array(again.box) - (32, 64, 32, 64), best.box, atol=3)


def test_no_face_no_detection(yunet: YuNet) -> None:
    for photo in sorted((ALBUM / "no-face").iterdir()):
        assert yunet.detect(pixels_of(photo)) == [], photo


@pytest.mark.parametrize("shape", [(1, 1), (3, 2), (31, 33), (1, 5000), (5000, 1)])
def test_images_of_any_size(yunet: YuNet, shape: tuple[int, int]) -> None:
    noise = np.random.default_rng(7).integers(0, 256, (*shape, 3), dtype=np.uint8)
    assert yunet.detect(noise) == []
    assert yunet.detect(np.zeros_like(noise)) == []


def test_the_least_score_is_kept_and_named() -> None:
    pixels = pixels_of(ALBUM / "groups" / "02.jpg")
    scores = {least: [face.detector_score for face in YuNet(least).detect(pixels)] for least in (0.2, 0.6, 0.99)}
    assert len(scores[0.2]) >= len(scores[0.6]) > len(scores[0.99]) == 0
    assert all(score >= least for least, all_scores in scores.items() for score in all_scores)
    assert YuNet(0.2).id != YuNet(0.6).id


def test_it_travels_to_workers(yunet: YuNet) -> None:
    yunet.detect(np.zeros((32, 32, 3), np.uint8))
    again = pickle.loads(pickle.dumps(yunet))
    assert again.id == yunet.id
