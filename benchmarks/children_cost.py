"""What it costs that strangers' files are decoded in child processes: CPU time, beside decoding in this process.

python benchmarks/children.py [--rounds N]

The photos are sample people, enlarged to the sizes of usual photos. Both ways take turns photo by photo, so that a busy
machine slows both alike; figures are CPU milliseconds of this process and its child together, medians over rounds, of
all that `Eyes.see` does with a photo. The start is that of a child which decodes its first photo.
"""

from __future__ import annotations

import argparse
import hashlib
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Mapping
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.engines import children
from mien.engines.threads import single_opencv_thread
from mien.seeing.eyes import Eyes
from mien.types import EncoderChoice, Photo, Picture
from mien.vision import decoding
from mien.vision.images import read_picture
from mien.vision.phash import phash
from mien.wiring import make_eyes
from protocol import machine

SAMPLE = Path(__file__).parents[1] / "examples" / "album" / "people"
SIZES = {"2 MP": (1632, 1224), "12 MP": (4000, 3000)}
CODINGS: Mapping[str, Mapping[str, Any]] = {
    "JPEG": {"format": "JPEG", "quality": 90},
    "progressive JPEG": {"format": "JPEG", "quality": 90, "progressive": True},
    "PNG": {"format": "PNG", "compress_level": 6},
}
PEOPLE = 4


def spent(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Called in a child: the CPU seconds that it has taken since it began."""
    return {"seconds": time.process_time()}, b""


def seconds() -> float:
    """CPU seconds of this process and the child that it asks."""
    said, _ = children.ask("children_cost:spent", {}, seconds=1)
    return time.process_time() + float(said["seconds"])


def in_this_process(file: Path, eyes: Eyes) -> Picture:
    """What mien did before it had children: Pillow, in this process."""
    data = file.read_bytes()
    with Image.open(BytesIO(data)) as image:
        width, height = image.size
        factor = decoding.reduction(width, height, 1600, eyes.least_scale)
        factor = factor if max(image.size) > 2 * 1600 else 1
        if image.format == "JPEG":
            image.draft(None, (width // factor, height // factor))
        image.load()
        pixels = np.asarray(image.convert("RGB").reduce(max(1, round(factor * image.width / width))))
    photo = Photo(hashlib.sha256(data).hexdigest(), width, height, "", phash(pixels))
    return Picture(photo, pixels, pixels.shape[1] / width)


def in_a_child(file: Path, eyes: Eyes) -> Picture:
    return read_picture(file, least_scale=eyes.least_scale)


def start() -> float:
    """CPU seconds from the start of a child to its first photo, less what the photo takes."""
    buffer = BytesIO()
    Image.new("RGB", (16, 16)).save(buffer, "JPEG")
    children._end_all()
    about = {"name": "a", "max_side": None, "least_scale": 1}
    children.ask("mien.vision.decoding:task", about, buffer.getvalue(), seconds=5)
    said, _ = children.ask("children_cost:spent", {}, seconds=1)
    return float(said["seconds"])


def compared(files: list[Path], eyes: Eyes, rounds: int) -> dict[str, float]:
    """Median CPU milliseconds a photo, by the way in which it is decoded."""
    ways: tuple[Callable[[Path, Eyes], Picture], ...] = (in_this_process, in_a_child)
    taken: dict[str, list[float]] = {way.__name__: [] for way in ways}
    for number in range(rounds + 1):
        for file in files:
            for way in ways if number % 2 else reversed(ways):
                before = seconds()
                eyes.see(way(file, eyes))
                if number:
                    taken[way.__name__].append(1000 * (seconds() - before))
    asking = statistics.median(-1000 * (seconds() - seconds()) for _ in range(20))
    return {name: statistics.median(times) - asking for name, times in taken.items()}


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--rounds", type=int, default=15)
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    print(machine())
    print(f"start of a child: {1000 * statistics.median(start() for _ in range(5)):.0f} ms of CPU\n")
    eyes = make_eyes(EncoderChoice()).open()
    print(f"{'photo':<26}{'in the process':>15}{'in a child':>12}{'extra':>8}")
    with tempfile.TemporaryDirectory() as folder, single_opencv_thread():
        for size, sides in SIZES.items():
            for coding, options in CODINGS.items():
                files = []
                for person in sorted(SAMPLE.iterdir())[:PEOPLE]:
                    file = Path(folder, f"{person.name} {size} {coding}")
                    with Image.open(min(person.iterdir())) as photo:
                        photo.convert("RGB").resize(sides, Image.Resampling.LANCZOS).save(file, **options)
                    files.append(file)
                taken = compared(files, eyes, arguments.rounds)
                before, now = taken["in_this_process"], taken["in_a_child"]
                print(f"{size + ' ' + coding:<26}{before:>12.1f} ms{now:>9.1f} ms{100 * (now / before - 1):>7.1f}%")


if __name__ == "__main__":
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    main()
