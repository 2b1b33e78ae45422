"""Photos of sample people, damaged at random: no file kills or holds up a run, and none fails but as a PhotoError.

python benchmarks/mutated.py [--files N] [--seed N] [--side PIXELS] [--commands N]

A small photo in every format is changed by flipped bits, numbers set to extremes, cuts, holes, splices and repeats, and
goes through `decode`; of the first ones, batches go through `mien classify` as well. Prints by format what became of
the files, the longest time and the most memory. Ends with exit code 1 if anything is not as it has to be.
"""

from __future__ import annotations

import argparse
import json
import random
import resource
import struct
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from io import BytesIO
from pathlib import Path
from typing import Any

from PIL import Image

from mien.engines import children
from mien.errors import PhotoError
from mien.vision.images import decode
from protocol import machine, mien

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
MOST_SECONDS, MOST_BYTES = 5.0, 1_000_000_000
"""CPU seconds and bytes that a file of at most 64 kB may take, of mien's process and its child together."""
BATCH = 200
HEADER = 400
"""Bytes at the front of a file in which half of the changes fall: there lie the numbers that decoders believe."""
EXTREMES = (0, 1, 0x7F, 0x80, 0xFF, 0x7FFF, 0x8000, 0xFFFF, 0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)


def seeds(side: int) -> dict[str, bytes]:
    """A photo of a sample person in every format, at most `side` pixels long, by name."""
    photo = Image.open(min((EXAMPLES / "album/people/Amara").iterdir())).convert("RGB")
    photo.thumbnail((side, side))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "camera"
    clear = photo.convert("RGBA")
    clear.putalpha(photo.convert("L"))
    wanted: dict[str, tuple[Image.Image, dict[str, Any]]] = {
        "JPEG": (photo, {"quality": 85, "exif": exif}),
        "JPEG progressive": (photo, {"progressive": True}),
        "JPEG restarts": (photo, {"restart_marker_rows": 1}),
        "JPEG grey": (photo.convert("L"), {}),
        "JPEG cmyk": (photo.convert("CMYK"), {}),
        "PNG": (photo, {"exif": exif}),
        "PNG palette": (photo.quantize(32), {"transparency": 3}),
        "PNG alpha": (clear, {}),
        "PNG frames": (photo, {"save_all": True, "append_images": [photo.rotate(90)]}),
        "GIF": (photo.quantize(32), {"save_all": True, "append_images": [photo.quantize(16)]}),
        "WEBP": (photo, {"exif": exif}),
        "WEBP lossless": (clear, {"lossless": True}),
        "WEBP frames": (photo, {"save_all": True, "append_images": [photo.rotate(90)]}),
        "BMP": (photo, {}),
        "TIFF": (photo, {}),
        "TIFF lzw": (photo, {"compression": "tiff_lzw"}),
        "TIFF deflate": (clear, {"compression": "tiff_deflate"}),
        "TIFF jpeg": (photo, {"compression": "jpeg"}),
        "TIFF deep": (photo.convert("I"), {}),
        "AVIF": (photo, {"exif": exif, "speed": 9}),
        "JPEG2000": (photo, {"quality_layers": [40]}),
        "PPM": (photo, {}),
        "PCX": (photo, {}),
        "SGI": (photo, {}),
        "TGA": (clear, {"compression": "tga_rle"}),
    }
    made = {}
    for name, (picture, options) in wanted.items():
        buffer = BytesIO()
        picture.save(buffer, name.partition(" ")[0], **options)
        made[name] = buffer.getvalue()
    try:
        import pillow_heif
    except ImportError:
        return made
    buffer = BytesIO()
    pillow_heif.from_pillow(photo).save(buffer, quality=50)
    return {**made, "HEIF": buffer.getvalue()}


def _place(data: bytes, chance: random.Random) -> int:
    return chance.randrange(min(len(data), HEADER) if chance.random() < 0.5 else len(data))


def _flipped(data: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 8)):
        changed[_place(data, chance)] ^= 1 << chance.randrange(8)
    return bytes(changed)


def _extreme(data: bytes, other: bytes, chance: random.Random) -> bytes:
    changed = bytearray(data)
    for _ in range(chance.randint(1, 3)):
        form = chance.choice(("<B", "<H", ">H", "<I", ">I"))
        at = min(_place(data, chance), len(data) - 4)
        struct.pack_into(form, changed, at, chance.choice(EXTREMES) & ((1 << 8 * struct.calcsize(form)) - 1))
    return bytes(changed)


def _cut(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: _place(data, chance)]


def _hole(data: bytes, other: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    end = min(len(data), at + chance.choice((1, 16, 512, 4096)))
    return data[:at] + chance.choice((b"\0", b"\xff")) * (end - at) + data[end:]


def _spliced(data: bytes, other: bytes, chance: random.Random) -> bytes:
    return data[: _place(data, chance)] + other[_place(other, chance) :]


def _repeated(data: bytes, other: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    piece = data[at : at + chance.choice((1, 12, 64, 1024))]
    return data[:at] + piece * chance.choice((2, 3, 20)) + data[at + len(piece) :]


def _missing(data: bytes, other: bytes, chance: random.Random) -> bytes:
    at = _place(data, chance)
    return data[:at] + data[at + chance.choice((1, 2, 16, 512)) :]


CHANGES: tuple[Callable[[bytes, bytes, random.Random], bytes], ...] = (
    _flipped,
    _extreme,
    _extreme,
    _cut,
    _hole,
    _spliced,
    _repeated,
    _missing,
)


def mutated(whole: Mapping[str, bytes], count: int, seed: int) -> Iterator[tuple[str, bytes]]:
    """So many damaged files, each with the name of the photo that it was; the same for the same seed."""
    chance = random.Random(seed)
    names = sorted(whole)
    for number in range(count):
        name = names[number % len(names)]
        data = whole[name]
        for _ in range(chance.choice((1, 1, 2))):
            data = chance.choice(CHANGES)(data.ljust(8, b"\0"), whole[chance.choice(names)], chance)
        yield name, data


@dataclass
class Outcomes:
    """What became of the files of each format, the longest time of one by the clock, and what was wrong."""

    counts: dict[str, Counter[str]] = field(default_factory=dict)
    longest: dict[str, float] = field(default_factory=dict)
    wrong: list[str] = field(default_factory=list)


def peak(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """Called in a child: the most memory that it ever held, in bytes, and the CPU seconds that it has taken."""
    return {"bytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024, "seconds": time.process_time()}, b""


def tried(files: Iterator[tuple[str, bytes]], report: Callable[[int], None] = lambda done: None) -> Outcomes:
    """Decodes the files one after the other."""
    outcomes = Outcomes()
    for number, (name, data) in enumerate(files):
        # TGA has no signature: its ending is what tells
        about = "a.tga" if name == "TGA" else "a.jpg"
        began, start, ended = time.perf_counter(), time.process_time(), _of_ended()
        try:
            decode(data, about)
            became = "picture"
        except PhotoError as error:
            became = str(error.fault)
        except Exception as error:  # what must not happen is what is looked for
            became = "WRONG"
            outcomes.wrong.append(f"{name} {number}: {type(error).__name__}: {error}")
        spent = time.process_time() - start + _of_ended() - ended
        outcomes.counts.setdefault(name, Counter())[became] += 1
        outcomes.longest[name] = max(time.perf_counter() - began, outcomes.longest.get(name, 0.0))
        if len(data) <= 64 << 10 and spent > MOST_SECONDS:
            outcomes.wrong.append(f"{name} {number}: {spent:.1f} s")
        report(number + 1)
    return outcomes


def _of_ended() -> float:
    """CPU seconds of the children that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def most_memory() -> int:
    """The most bytes that a child held, of those that ended and the one that is there."""
    said, _ = children.ask("mutated:peak", {}, seconds=1)
    return max(int(said["bytes"]), resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024)


def through_the_command(files: Sequence[tuple[str, bytes]]) -> list[str]:
    """Classifies the files as a user does; returns what was not as it has to be."""
    with tempfile.TemporaryDirectory() as folder:
        photos = Path(folder, "photos")
        photos.mkdir()
        for number, (name, data) in enumerate(files):
            ending = "tga" if name == "TGA" else "jpg"
            (photos / f"{number:06}.{ending}").write_bytes(data)
        run = mien("classify", "--model", EXAMPLES / "model", "--json", photos, quiet=True)
    wrong = []
    if run.code not in (0, PhotoError.exit_code) or "Traceback" in run.errors:
        wrong.append(f"mien classify ended with exit code {run.code}: {run.errors[-500:]}")
    answers = [json.loads(line) for line in run.out.splitlines()]
    if len(answers) != len(files):
        wrong.append(f"mien classify answered {len(answers)} of {len(files)}")
    return wrong


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--files", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--side", type=int, default=96, help="pixels of the photos' long side")
    parser.add_argument("--commands", type=int, default=5, help=f"batches of {BATCH} that `mien classify` is given")
    arguments = parser.parse_args()
    sys.path.insert(0, str(Path(__file__).parent))
    print(f"{machine()}\n{arguments.files:,} files, seed {arguments.seed}, {arguments.side} pixels\n", flush=True)
    whole = seeds(arguments.side)
    started = time.monotonic()

    def report(done: int) -> None:
        if done % 10_000 == 0:
            print(f"{done:,} in {time.monotonic() - started:.0f} s", file=sys.stderr, flush=True)

    outcomes = tried(mutated(whole, arguments.files, arguments.seed), report)
    memory = most_memory()
    if memory > MOST_BYTES:
        outcomes.wrong.append(f"a child held {memory / 1e6:.0f} MB")
    print(f"{'format':<18}{'files':>9}{'pictures':>10}{'longest':>10}   refused as")
    for name, counts in sorted(outcomes.counts.items()):
        refused = ", ".join(f"{kind} {count}" for kind, count in counts.most_common() if kind != "picture")
        print(f"{name:<18}{counts.total():>9}{counts['picture']:>10}{outcomes.longest[name]:>8.2f} s   {refused}")
    for number in range(arguments.commands):
        some = list(mutated(whole, BATCH, arguments.seed + 1 + number))
        outcomes.wrong += through_the_command(some)
    print(f"\n{time.monotonic() - started:.0f} s; a child held at most {memory / 1e6:.0f} MB")
    print(f"{arguments.commands * BATCH} more through `mien classify`")
    for line in outcomes.wrong:
        print(f"WRONG: {line}")
    return 1 if outcomes.wrong else 0


if __name__ == "__main__":
    sys.exit(main())
