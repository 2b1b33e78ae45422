"""Which faces mien finds, by their size and the photo's, and what the search costs.

python benchmarks/detect.py [--data DIR] [--quick]

Faces of the sample people are pasted onto noise, gradients and, with the shared data, crops of hard_noface; every scene
is made with and without one near face. Beside mien stand the rule by which it looked for faces before ("by side": one
long side for all photos, other sizes and turns where that shows nothing good) and, where dlib is installed, dlib's HOG
detector at full size. Then CPU time and memory by photo size, false faces, and faces in groups of known number.
"""

from __future__ import annotations

import argparse
import ctypes
import math
import multiprocessing
import sys
import time
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from pathlib import Path
from typing import Any, NamedTuple

import cv2
import numpy as np

from hard import true_count
from mien.errors import PhotoError
from mien.seeing.detectors.yunet import YuNet
from mien.seeing.levels import scaled
from mien.types import Box, EncoderChoice, Face, Picture, Pixels
from mien.vision.images import picture_of, read_picture
from mien.wiring import make_eyes
from protocol import DATA, machine

SAMPLE = Path(__file__).parents[1] / "examples" / "album" / "people"
SIZES = {
    "1 MP": (1200, 800),
    "2 MP": (1600, 1200),
    "12 MP": (4000, 3000),
    "24 MP": (6000, 4000),
    "100 MP": (12000, 8400),
    "6:1, 24 MP": (12000, 2000),
    "1:6, 24 MP": (2000, 12000),
}
SIDES = (20, 30, 40, 50, 60, 80, 120, 200)
NEAR = 1 / 4
"""Side of the near face, in parts of the photo's short side."""
LARGEST_FOR_HOG = 13_000_000


class Way(NamedTuple):
    """A way to find faces: from a whole photo to boxes in its pixels."""

    name: str
    find: Callable[[Pixels], list[Box]]


def ways() -> list[Way]:
    eyes = make_eyes(EncoderChoice(views=1))
    before = YuNet()

    def mien(pixels: Pixels) -> list[Box]:
        picture = picture_of(pixels, "scene")
        return [scaled(face, 1 / picture.scale).box for face in eyes.find(picture)]

    def by_side(pixels: Pixels) -> list[Box]:
        picture = picture_of(pixels, "scene", least_scale=0)
        return [scaled(face, 1 / picture.scale).box for face in found_by_side(before, picture)]

    found = [Way("mien", mien), Way("by side", by_side)]
    if find_spec("dlib") is not None:
        import dlib

        hog: Any = dlib.get_frontal_face_detector()

        def dlib_hog(pixels: Pixels) -> list[Box]:
            if pixels.shape[0] * pixels.shape[1] > LARGEST_FOR_HOG:
                return []
            return [(one.left(), one.top(), one.right(), one.bottom()) for one in hog(pixels, 0)]

        found.append(Way("dlib HOG", dlib_hog))
    return found


def found_by_side(detector: YuNet, picture: Picture) -> list[Face]:
    """The rule that mien had until November 2026, but for quarter turns and MMOD, which found no more in such scenes:
    a long side of 800 pixels; others only where that shows nothing."""
    pixels = picture.pixels
    for side in (800, 1600, 320):
        scale = min(side / max(pixels.shape[:2]), 2.0 if side > 800 else 1.0)
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        faces = detector.detect(np.asarray(cv2.resize(pixels, size, interpolation=kind), np.uint8))
        if faces:
            return [scaled(face, 1 / scale) for face in faces]
    return []


class Portraits:
    """The sample people, each at any size of face."""

    def __init__(self) -> None:
        detector = YuNet()
        self._whole = []
        for file in sorted(SAMPLE.glob("*/0[1-3].jpg")):
            pixels = read_picture(file).pixels
            x0, y0, x1, y1 = detector.detect(pixels)[0].box
            self._whole.append((pixels, np.array([x0, y0, x1, y1]), ((x1 - x0) * (y1 - y0)) ** 0.5))

    def of(self, number: int, side: float) -> tuple[Pixels, Box]:
        """A portrait whose face is `side` pixels large, and the box of that face in it."""
        pixels, box, own = self._whole[number % len(self._whole)]
        scale = side / own
        kind = cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
        x0, y0, x1, y1 = (box * scale).tolist()
        return np.asarray(cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=kind), np.uint8), (x0, y0, x1, y1)


def background(chance: np.random.Generator, width: int, height: int, textures: Sequence[Path]) -> Pixels:
    """A surface of this size: noise on a gradient, or a picture without faces, enlarged."""
    if textures and chance.random() < 0.5:
        pixels = read_picture(textures[int(chance.integers(len(textures)))]).pixels
        return np.asarray(cv2.resize(pixels, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    corners = chance.integers(40, 216, (2, 2, 3)).astype(np.uint8)
    scene = np.asarray(cv2.resize(corners, (width, height), interpolation=cv2.INTER_LINEAR), np.uint8)
    noise = chance.integers(0, 24, (min(height, 512), min(width, 512), 3), np.uint8)
    for top in range(0, height, 512):
        for left in range(0, width, 512):
            part = scene[top : top + 512, left : left + 512]
            part[:] = cv2.add(part, noise[: part.shape[0], : part.shape[1]])
    return scene


def scene(
    chance: np.random.Generator,
    people: Portraits,
    size: tuple[int, int],
    side: int,
    faces: int,
    textures: Sequence[Path],
) -> tuple[Pixels, list[Box]]:
    """A photo with some faces of this side anywhere outside its upper left quarter, and their boxes."""
    width, height = size
    pixels = background(chance, width, height, textures)
    boxes: list[Box] = []
    for _ in range(100 * faces):
        portrait, (x0, y0, x1, y1) = people.of(int(chance.integers(1000)), side)
        rows, columns = portrait.shape[:2]
        if len(boxes) == faces or rows >= height or columns >= width:
            break
        x, y = int(chance.integers(0, width - columns)), int(chance.integers(0, height - rows))
        box = (x + x0, y + y0, x + x1, y + y1)
        near = (x < width * NEAR * 2) and (y < height * NEAR * 2)
        if near or any(abs(box[0] - b[0]) < 3 * side and abs(box[1] - b[1]) < 3 * side for b in boxes):
            continue
        pixels[y : y + rows, x : x + columns] = portrait
        boxes.append(box)
    return pixels, boxes


def hits(found: Sequence[Box], boxes: Sequence[Box]) -> int:
    """How many of `boxes` are among those found: the middle inside, and a side that agrees within a factor of 1.6."""

    def same(one: Box, other: Box) -> bool:
        x, y = (one[0] + one[2]) / 2, (one[1] + one[3]) / 2
        inside = other[0] < x < other[2] and other[1] < y < other[3]
        return inside and 0.6 < (one[2] - one[0]) / (other[2] - other[0]) < 1.6

    return sum(any(same(one, box) for one in found) for box in boxes)


def recall(people: Portraits, textures: Sequence[Path], quick: bool) -> None:
    rivals = ways()
    print(f"\n{'share of faces found, %':<14}{'':<10}" + "".join(f"{f'{side} px':>8}" for side in SIDES))
    for title, size in SIZES.items():
        if quick and size[0] * size[1] > 13_000_000:
            continue
        shares: dict[tuple[str, bool], list[str]] = {(way.name, near): [] for way in rivals for near in (False, True)}
        for side in SIDES:
            counts, total = dict.fromkeys(shares, 0), 0
            for seed in range(1 if quick or size[0] * size[1] > 50_000_000 else 3):
                chance = np.random.default_rng((seed, side, *size))
                pixels, boxes = scene(chance, people, size, side, 12, textures)
                total += len(boxes)
                for near in (False, True):
                    if near:
                        portrait, _ = people.of(3, NEAR * min(size))
                        room = pixels[: int(size[1] * NEAR * 2), : int(size[0] * NEAR * 2)]
                        part = portrait[: room.shape[0], : room.shape[1]]
                        room[: part.shape[0], : part.shape[1]] = part
                    for way in rivals:
                        counts[way.name, near] += hits(way.find(pixels), boxes)
            for key, count in counts.items():
                shares[key].append(f"{100 * count / total:>8.0f}" if total else f"{'-':>8}")
        for (name, near), cells in shares.items():
            print(f"{title:<14}{name:<10}" + "".join(cells) + ("  and a near face" if near else ""), flush=True)


def cost_of(name: str, size: tuple[int, int]) -> tuple[float, float]:
    """CPU seconds of the search, and by how many megabytes the process grew at its largest, above the decoded picture;
    run in a process of its own."""
    cv2.setNumThreads(1)
    chance = np.random.default_rng(size)
    pixels, _ = scene(chance, Portraits(), size, 60, 12, ())
    eyes, before = make_eyes(EncoderChoice(views=1)).open(), YuNet()
    picture = picture_of(pixels, "scene", least_scale=0 if name == "by side" else eyes.least_scale)
    before.detect(np.zeros((64, 64, 3), np.uint8))
    del pixels
    held, start = held_megabytes(peak=False), time.process_time()
    if name == "by side":
        found_by_side(before, picture)
    else:
        eyes.find(picture)
    spent = time.process_time() - start
    return spent, held_megabytes(peak=True) - held


def held_megabytes(*, peak: bool) -> float:
    """What this process holds, or held at most since the last call; NaN where the system is not Linux."""
    try:
        ctypes.CDLL(None).malloc_trim(0)  # or what was freed before would count as held
        status = Path("/proc/self/status").read_text("ascii")
        Path("/proc/self/clear_refs").write_text("5", "ascii")
    except (OSError, AttributeError, TypeError):
        return math.nan
    name = "VmHWM" if peak else "VmRSS"
    return int(next(line.split()[1] for line in status.splitlines() if line.startswith(name))) / 1024


def costs(quick: bool) -> None:
    print(f"\n{'the search in a photo with 12 faces':<38}{'CPU s':>8}{'MB more':>9}{'by side: s':>12}{'MB more':>9}")
    spawn = multiprocessing.get_context("spawn")
    for title, size in SIZES.items():
        if quick and size[0] * size[1] > 13_000_000:
            continue
        cells = []
        for name in ("mien", "by side"):
            with spawn.Pool(1) as pool:
                cells.append(pool.apply(cost_of, (name, size)))
        (ours, more), (theirs, less) = cells
        print(f"{title:<38}{ours:>8.3f}{more:>9.0f}{theirs:>12.3f}{less:>9.0f}", flush=True)


def counts(data: Path) -> None:
    rivals = ways()[:2]
    for name in ("hard_noface", "hard_pose", "hard_group"):
        faces, photos, right, known = dict.fromkeys(rivals, 0), 0, dict.fromkeys(rivals, 0), 0
        for file in sorted((data / name).rglob("*.*")):
            try:
                pixels = read_picture(file).pixels
            except PhotoError:
                continue
            photos += 1
            truth = true_count(f"{name}/{file.name}")
            known += truth is not None
            for way in rivals:
                found = len(way.find(pixels))
                faces[way] += found
                right[way] += found == truth
        told = ", ".join(f"{way.name} {faces[way]}" for way in rivals)
        also = ", ".join(f"{way.name} {right[way]}" for way in rivals)
        print(
            f"{name}: faces in {photos} photos: {told}" + (f"; of {known} known counts right: {also}" if known else "")
        )


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the shared data (default: ../shared/data)")
    parser.add_argument("--quick", action="store_true", help="one scene each, and photos of up to 12 megapixels")
    arguments = parser.parse_args()
    textures = sorted((arguments.data / "hard_noface").rglob("*.jpg"))
    print(machine(), flush=True)
    recall(Portraits(), textures, arguments.quick)
    costs(arguments.quick)
    if textures:
        print()
        counts(arguments.data)
    return 0


if __name__ == "__main__":
    sys.exit(main())
