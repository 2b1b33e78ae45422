"""What decoding in a child process costs: CPU time of all that is done with a photo, memory of the largest photos.

    python benchmarks/children.py [--rounds 40] [--encoder NAME] [--only cost|memory|start]

Photos of 0.5, 2 and 12 megapixels (a sample person, enlarged, with a camera's noise, as JPEG of quality 90) are seen as
`align` sees them, in turns with the picture decoded in this process and in a child. The CPU time of a turn is that of
this process and of its children; medians over the rounds are compared, and what a child costs more is a share of all
that is done with the photo: decoding, finding faces, embeddings. A photo of 100 megapixels of each usual format is read
in a worker of its own, as `align` reads it, and what that worker and its child held at most is added up. Last comes
what it takes to start a child.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np
from PIL import Image

from mien.encoders.shelf import BUILT_IN
from mien.engines import children
from mien.types import EncoderChoice, Photo, Picture
from mien.vision import decoding
from mien.vision.images import read_picture
from mien.vision.phash import phash
from mien.wiring import make_eyes
from tiles import tiled

SIZES = ((800, 600), (1632, 1224), (4000, 3000))
SAMPLE = Path(__file__).parents[1] / "examples" / "album" / "people" / "Freya"
NOISE = 3.0
"""Standard deviation of a camera's noise, of 255."""
LARGE = (11_500, 8_700)
FORMATS: dict[str, tuple[str, str, dict[str, Any]]] = {
    "JPEG": ("RGB", "JPEG", {"quality": 85}),
    "JPEG, progressive, 4:2:0": ("RGB", "JPEG", {"quality": 85, "progressive": True}),
    "JPEG, progressive, 4:4:4": ("RGB", "JPEG", {"quality": 85, "progressive": True, "subsampling": 0}),
    "PNG, RGB": ("RGB", "PNG", {"compress_level": 1}),
    "PNG, RGBA": ("RGBA", "PNG", {"compress_level": 1}),
    "TIFF, uncompressed": ("RGB", "TIFF", {}),
    "TIFF, LZW": ("RGB", "TIFF", {"compression": "tiff_lzw"}),
    "BMP": ("RGB", "BMP", {}),
    "PPM": ("RGB", "PPM", {}),
    "WebP": ("RGB", "WEBP", {"quality": 60, "method": 0}),
    "AVIF": ("RGB", "AVIF", {"quality": 60, "speed": 10}),
}
HEIC = {"HEIC": LARGE, "HEIC of 48 megapixels, a phone's": (8_064, 6_048)}
"""The largest size that phones give in this format, and that of the others."""
_WORKER = """
import sys
from contextlib import suppress
from pathlib import Path
from mien.errors import PhotoError
from mien.vision.images import read_picture
def of(pid, what):
    lines = Path(f"/proc/{pid}/status").read_text().splitlines()
    return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith(what))
try:
    picture = read_picture(Path(sys.argv[1]))
    height, width = picture.pixels.shape[:2]
    said = f"{width} x {height}"
except PhotoError as error:
    said = error.message
pids = []
for task in Path("/proc/self/task").iterdir():
    with suppress(FileNotFoundError):
        pids += (task / "children").read_text().split()
held = [of(pid, "VmHWM") for pid in ["self", *pids]]
print(sum(held) - of("self", "RssShmem"), said, sep="|")  # the picture lies in memory of both, and is counted once
"""


def painted(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 1), np.uint8)
    ramp = np.linspace(0, 200, width).astype(np.uint8)[None, :, None]
    return Image.fromarray(np.repeat(noise + ramp, 3, axis=2))


def photographed(width: int, height: int) -> Image.Image:
    with Image.open(min(SAMPLE.iterdir())) as file:
        pixels = np.asarray(file.convert("RGB").resize((width, height), Image.Resampling.BICUBIC))
    noise = np.random.default_rng(0).normal(0, NOISE, (height, width, 1)).astype(np.float32)
    return Image.fromarray(np.clip(pixels + noise, 0, 255).astype(np.uint8))


def pids_of_children() -> Iterator[int]:
    for task in Path("/proc/self/task").iterdir():
        with suppress(FileNotFoundError, ProcessLookupError):  # a thread that has ended since
            yield from map(int, (task / "children").read_text("ascii").split())


def cpu() -> float:
    """CPU seconds of this process and of its children, whatever thread took them."""
    return time.process_time() + sum(time.clock_gettime((~pid << 3) | 2) for pid in pids_of_children())  # as man 3
    # clock_getcpuclockid has it, which Python does not offer: the clock that counts the whole of another process


def seen(encoder: str, file: Path) -> dict[str, Callable[[], object]]:
    """What is done with a photo, by where it is decoded, with all that follows and without."""
    eyes = make_eyes(EncoderChoice(encoder)).open()
    about = {"name": "a", "max_side": 1600, "least_scale": eyes.least_scale, "alone": True, "path": str(file)}

    def here() -> Picture:
        said, given = decoding.task(about, b"")
        pixels = np.frombuffer(given, np.uint8).reshape(*said["size"], 3)
        photo = Photo(said["sha256"], said["width"], said["height"], said["format"], phash(pixels))
        return Picture(photo, pixels, said["scale"])

    def there() -> Picture:
        return read_picture(file, least_scale=eyes.least_scale)

    return {
        "here": here,
        "in a child": there,
        "all, here": lambda: eyes.see(here()),
        "all, in a child": lambda: eyes.see(there()),
    }


def milliseconds(ways: dict[str, Callable[[], object]], rounds: int) -> dict[str, float]:
    """The median CPU milliseconds of each way; they take turns, after some to warm up."""
    spent: dict[str, list[float]] = {name: [] for name in ways}
    for number in range(-3, rounds):
        for name, way in ways.items():
            before = cpu()
            way()
            if number >= 0:
                spent[name].append((cpu() - before) * 1000)
    return {name: median(times) for name, times in spent.items()}


def print_costs(encoder: str, rounds: int, top: Path) -> None:
    print(f"| photo, {encoder} | decoded here, ms | in a child | all, here | in a child | more | share of all |")
    print("|---|---|---|---|---|---|---|")
    for width, height in SIZES:
        file = top / f"{width}.jpg"
        photographed(width, height).save(file, "JPEG", quality=90)
        took = milliseconds(seen(encoder, file), rounds)
        more = took["in a child"] - took["here"]
        figures = " | ".join(f"{figure:.1f}" for figure in (*took.values(), more))
        print(f"| {width * height / 1e6:.1f} MP | {figures} | {100 * more / took['all, here']:+.1f} % |", flush=True)


def print_memory(top: Path) -> None:
    print("\n| 100 megapixels as | a worker and its child hold, MB | came |\n|---|---|---|")
    image, file = painted(*LARGE), top / "large"
    for name, (mode, fmt, options) in FORMATS.items():
        image.convert(mode).save(file, fmt, **options)
        print_held(name, file)
    for name, size in HEIC.items():
        file.write_bytes(tiled(painted(512, 512), *size))
        print_held(name, file)


def print_held(name: str, file: Path) -> None:
    words = [sys.executable, "-c", _WORKER, str(file)]
    held, _, came = subprocess.run(words, capture_output=True, text=True, check=True).stdout.partition("|")
    print(f"| {name} | {int(held) / 1e6:.0f} | {came.strip()} |", flush=True)


def print_start(rounds: int, top: Path) -> None:
    file = top / "small.jpg"
    photographed(*SIZES[0]).save(file, "JPEG", quality=90)
    clock, computed = [], []
    for _ in range(rounds):
        children.end_all()
        before, start = cpu(), time.perf_counter()
        read_picture(file)
        clock.append((time.perf_counter() - start) * 1000)
        computed.append((cpu() - before) * 1000)
    print("\n| the first photo of a child | ms |\n|---|---|")
    print(f"| by the clock | {median(clock):.0f} |\n| CPU | {median(computed):.0f} |")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=40)
    parser.add_argument("--encoder", default=BUILT_IN)
    parser.add_argument("--only", choices=("cost", "memory", "start"))
    asked = parser.parse_args()
    with tempfile.TemporaryDirectory() as top:
        if asked.only in (None, "cost"):
            print_costs(asked.encoder, asked.rounds, Path(top))
        if asked.only in (None, "memory"):
            print_memory(Path(top))
        if asked.only in (None, "start"):
            print_start(min(asked.rounds, 9), Path(top))
    return 0


if __name__ == "__main__":
    sys.exit(main())
