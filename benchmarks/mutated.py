"""Does any damaged file end a run? Small pictures of every format are mutated, and read as `align` reads photos.

    python benchmarks/mutated.py [--files 1000000] [--first 0] [--seed 0]

A mutation flips bits, cuts the file off, takes a piece out, doubles one, puts a piece of another file in, or writes an
extreme number over two or four bytes, up to three times. Every file has to be read, or refused with a PhotoError: no
other error, no decoder that takes this process with it, no child that takes over 1 GB. Prints by format how many were
read, how many had which fault, and the slowest; the exit code is 1 if any file did otherwise. A file depends on its
number and the seed alone, so that `--first 400000` goes on after 400,000 files.

On one core some 700 files go through a second, so that a million take half an hour.
"""

from __future__ import annotations

import argparse
import random
import resource
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image, features

from mien.errors import PhotoError
from mien.vision.images import decode

MEMORY = 1_000_000_000
"""Bytes that a child may ever hold."""
_EXTREMES = (b"\0\0", b"\xff\xff", b"\x7f\xff", b"\xff\x7f", b"\0\0\0\0", b"\xff\xff\xff\xff", b"\x7f\xff\xff\xff")


def pictures() -> dict[str, bytes]:
    """Files of every format that Pillow writes here, by format."""
    noise = np.random.default_rng(0).integers(0, 60, (40, 48, 3), np.uint8)
    ramp = np.linspace(0, 190, 48).astype(np.uint8)[None, :, None]
    image = Image.fromarray(noise + ramp)
    kinds: dict[str, tuple[str, dict[str, Any]]] = {
        "JPEG": ("JPEG", {}),
        "JPEG, progressive": ("JPEG", {"progressive": True}),
        "JPEG, with restarts": ("JPEG", {"restart_marker_blocks": 3}),
        "PNG": ("PNG", {}),
        "GIF": ("GIF", {}),
        "BMP": ("BMP", {}),
        "PPM": ("PPM", {}),
        "PCX": ("PCX", {}),
        "SGI": ("SGI", {}),
        "TIFF": ("TIFF", {}),
        "TIFF, LZW": ("TIFF", {"compression": "tiff_lzw"}),
        "TIFF, JPEG": ("TIFF", {"compression": "jpeg"}),
    }
    if features.check("webp"):
        kinds |= {"WebP": ("WEBP", {}), "WebP, lossless": ("WEBP", {"lossless": True})}
    if features.check("jpg_2000"):
        kinds["JPEG 2000"] = ("JPEG2000", {})
    if features.check("avif"):
        kinds["AVIF"] = ("AVIF", {"speed": 10})
    found = {}
    for name, (fmt, options) in kinds.items():
        buffer = BytesIO()
        image.save(buffer, fmt, **options)
        found[name] = buffer.getvalue()
    return found


def _flip(data: bytearray, chance: random.Random, _: bytes) -> None:
    for _bit in range(chance.choice((1, 1, 2, 8, 64))):
        data[chance.randrange(len(data))] ^= 1 << chance.randrange(8)


def _cut(data: bytearray, chance: random.Random, _: bytes) -> None:
    del data[chance.randrange(1, len(data)) :]


def _take_out(data: bytearray, chance: random.Random, _: bytes) -> None:
    at = chance.randrange(len(data))
    del data[at : at + chance.choice((1, 2, 8, 100))]


def _double(data: bytearray, chance: random.Random, _: bytes) -> None:
    at = chance.randrange(len(data))
    data[at:at] = data[at : at + chance.choice((2, 10, 200))] * chance.choice((1, 1, 30))


def _splice(data: bytearray, chance: random.Random, other: bytes) -> None:
    at, there = chance.randrange(len(data)), chance.randrange(len(other))
    data[at : at + chance.choice((0, 20))] = other[there : there + chance.choice((4, 50, 500))]


def _overwrite(data: bytearray, chance: random.Random, _: bytes) -> None:
    number, at = chance.choice(_EXTREMES), chance.randrange(min(len(data), 200))  # where headers are
    data[at : at + len(number)] = number


_MUTATIONS: tuple[Callable[[bytearray, random.Random, bytes], None], ...] = (
    _flip,
    _cut,
    _take_out,
    _double,
    _splice,
    _overwrite,
)


def mutated(numbers: range, seed: int) -> Iterator[tuple[str, bytes]]:
    """The files of these numbers, each with the format that it was."""
    whole = pictures()
    names = list(whole)
    for number in numbers:
        chance = random.Random(f"{seed} {number}")
        name = chance.choice(names)
        data = bytearray(whole[name])
        for _time in range(chance.choice((1, 1, 2, 3))):
            if len(data) > 1:
                chance.choice(_MUTATIONS)(data, chance, whole[chance.choice(names)])
        yield name, bytes(data)


def outcome(data: bytes) -> str:
    """What came of reading a file: "read", the kind of its fault, or what went wrong."""
    try:
        picture = decode(data, "a file")
    except PhotoError as error:
        return error.kind
    except Exception as error:  # which is what is looked for
        return f"WRONG: {type(error).__name__}: {error}"
    height, width, _ = picture.pixels.shape
    return "read" if height and width else "WRONG: empty"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0, help="the number of the first file")
    words = parser.parse_args()
    numbers = range(words.first, words.first + words.files)
    found: defaultdict[str, Counter[str]] = defaultdict(Counter)
    slowest: Counter[str] = Counter()
    wrong: list[str] = []
    begin = time.perf_counter()
    for number, (name, data) in zip(numbers, mutated(numbers, words.seed), strict=True):
        before = time.perf_counter()
        came = outcome(data)
        found[name][came.split(":")[0]] += 1
        slowest[name] = max(slowest[name], round(1000 * (time.perf_counter() - before)))
        if came.startswith("WRONG"):
            wrong.append(f"{number}, {name}: {came}: {data.hex()[:2000]}")
    seconds = time.perf_counter() - begin
    kinds = sorted({kind for counts in found.values() for kind in counts}, key=lambda kind: (kind != "read", kind))
    print(f"| format | {' | '.join(kinds)} | slowest, ms |\n|{'---|' * (len(kinds) + 2)}")
    for name in sorted(found):
        print(f"| {name} | {' | '.join(str(found[name][kind]) for kind in kinds)} | {slowest[name]} |")
    peak = 0
    if sys.platform == "linux":
        from mien.engines import children

        children.end_all()
        peak = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    print(f"\n{words.files:,} files in {seconds:.0f} s; a child held {peak / 1e6:.0f} MB at most.")
    print(*wrong[:20], sep="\n")
    return int(bool(wrong) or peak > MEMORY)


if __name__ == "__main__":
    sys.exit(main())
