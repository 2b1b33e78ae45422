"""What decoding in a child process costs: CPU time of a usual photo beside decoding it here, memory of the largest.

    python benchmarks/children.py [--rounds 5]

Photos of 0.5, 2 and 12 megapixels (painted noise over a ramp, as JPEG of quality 90) are decoded in turns in this
process and in a child, and the least CPU time of the rounds counts, that of the child included. A photo of 100
megapixels of each usual format is read in a worker of its own, as `align` reads it, and what that worker and its child
held at most is added up.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from mien.vision import decoding
from mien.vision.decoding import LEAST_SCALE
from mien.vision.images import read_picture

SIZES = ((800, 600), (1632, 1224), (4000, 3000))
LARGE = (11_500, 8_700)
FORMATS: dict[str, tuple[str, dict[str, Any]]] = {
    "JPEG": ("JPEG", {"quality": 85}),
    "JPEG, progressive": ("JPEG", {"quality": 85, "progressive": True}),
    "PNG": ("PNG", {"compress_level": 1}),
    "TIFF": ("TIFF", {}),
    "WebP": ("WEBP", {"quality": 60, "method": 0}),
}
_WORKER = """
import sys
from pathlib import Path
from mien.errors import PhotoError
from mien.vision.images import read_picture
try:
    shape = read_picture(Path(sys.argv[1])).pixels.shape
    said = f"{shape[1]} x {shape[0]}"
except PhotoError as error:
    said = error.message
pids = [pid for task in Path("/proc/self/task").iterdir() for pid in (task / "children").read_text().split()]
lines = [line for pid in ["self", *pids] for line in Path(f"/proc/{pid}/status").read_text().splitlines()]
print(sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM")), said, sep="|")
"""


def painted(width: int, height: int) -> Image.Image:
    noise = np.random.default_rng(0).integers(0, 40, (height, width, 1), np.uint8)
    ramp = np.linspace(0, 200, width).astype(np.uint8)[None, :, None]
    return Image.fromarray(np.repeat(noise + ramp, 3, axis=2))


def cpu() -> float:
    """CPU seconds of this process and of its children, as Linux counts them."""
    tasks = Path("/proc/self/task").iterdir()
    pids = {pid for task in tasks for pid in (task / "children").read_text("ascii").split()}
    held = [Path(f"/proc/{pid}/schedstat").read_text("ascii").split()[0] for pid in pids]
    return time.process_time() + sum(map(int, held)) / 1e9


def least(rounds: int, once: Callable[[], object]) -> float:
    """The least CPU ms of a call, over rounds of twenty."""
    found = []
    for _ in range(rounds):
        before = cpu()
        for _ in range(20):
            once()
        found.append((cpu() - before) / 20 * 1000)
    return min(found)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=5)
    rounds = parser.parse_args().rounds
    with tempfile.TemporaryDirectory() as top:
        print("| photo | here, ms | in a child, ms | more, ms |\n|---|---|---|---|")
        for width, height in SIZES:
            file = Path(top, f"{width}.jpg")
            painted(width, height).save(file, "JPEG", quality=90)
            read_picture(file)
            about = {"name": "a", "max_side": 1600, "least_scale": LEAST_SCALE, "alone": True, "path": str(file)}
            here = least(rounds, lambda about=about: decoding.task(about, b""))  # type: ignore[misc]
            there = least(rounds, lambda file=file: read_picture(file))  # type: ignore[misc]
            print(f"| {width * height / 1e6:.1f} MP | {here:.1f} | {there:.1f} | {there - here:.1f} |")
        print("\n| 100 megapixels as | a worker and its child hold, MB | came |\n|---|---|---|")
        image = painted(*LARGE)
        for name, (fmt, options) in FORMATS.items():
            file = Path(top, "large")
            image.save(file, fmt, **options)
            words = [sys.executable, "-c", _WORKER, str(file)]
            held, _, came = subprocess.run(words, capture_output=True, text=True, check=True).stdout.partition("|")
            print(f"| {name} | {int(held) / 1e6:.0f} | {came.strip()} |")
    return 0


if __name__ == "__main__":
    sys.exit(main())
