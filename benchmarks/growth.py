"""What it costs to keep an album trained as it grows: time and memory of `mien train`, and how much it computes anew.

python benchmarks/growth.py [--photos N] [--encoder NAME] [--precision int8] [--views N]

One album grows by folders of photos that are copied in, as users do it: the first 500, all the others, ten more,
nothing. After each step `mien train` runs, a process of its own; the program fails unless it computed exactly the new
photos. The photos are the shared ones of LFW, 4,416 of 2,086 people; with --photos, or where those are absent, that
many are made from the sample people, each with a number appended to its file so that no two are the same.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from pathlib import Path
from typing import NamedTuple

from protocol import DATA, add_encoder, checked, chosen, described, machine, mien, place, settings_of

SAMPLE = Path(__file__).resolve().parents[1] / "examples/album/people"
SOME, FEW = 500, 10
"""Photos of the first step, and of the last but one."""


class Step(NamedTuple):
    """A growth of the album, and the photos that come in."""

    name: str
    photos: list[Path]


def steps(photos: list[Path]) -> list[Step]:
    """The first photos, all others but ten, these ten (spread over the whole, so most are of people who are there
    already), nothing."""
    few = photos[len(photos) // FEW - 1 :: len(photos) // FEW][:FEW]
    rest = [photo for photo in photos if photo not in set(few)]
    return [
        Step(f"the first {SOME}", rest[:SOME]),
        Step(f"{len(rest) - SOME:,} more", rest[SOME:]),
        Step(f"{FEW} more", few),
        Step("nothing new", []),
    ]


def made(count: int, folder: Path) -> list[Path]:
    """`count` photos of the sample people in `folder`, every one another file. What follows the end of a JPEG is not
    part of the picture."""
    sample = sorted(SAMPLE.glob("*/*.jpg"))
    photos = []
    for number in range(count):
        original = sample[number % len(sample)]
        photo = folder / original.parent.name / f"{number:06}.jpg"
        photo.parent.mkdir(parents=True, exist_ok=True)
        photo.write_bytes(original.read_bytes() + str(number).encode())
        photos.append(photo)
    return photos


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the shared data (default: ../shared/data)")
    parser.add_argument("--photos", type=int, help="so many photos made from the sample people instead (at least 1000)")
    add_encoder(parser)
    arguments = parser.parse_args()
    if arguments.photos is not None and arguments.photos < 2 * SOME:
        parser.error(f"--photos must be at least {2 * SOME}")
    settings = settings_of(chosen(arguments))

    with tempfile.TemporaryDirectory() as scratch:
        photos = [] if arguments.photos else sorted((arguments.data / "lfw").glob("*/*"))
        photos = photos or made(arguments.photos or 4400, Path(scratch, "made"))
        people = len({photo.parent for photo in photos})
        print(f"{machine()}\n{described(chosen(arguments))}")
        print(f"{len(photos):,} photos of {people:,} people\n")
        print(f"{'mien train':<16}{'computed':>10}{'seconds':>10}{'CPU s':>10}{'peak MB':>10}", flush=True)
        album = Path(scratch, "album")
        checked(mien("init", album, "--basis", "measurement", quiet=True))
        peaks = []
        for name, new in steps(photos):
            place(new, album / "training-images")
            run = checked(mien("-C", album, "train", "--json", settings=settings))
            computed = json.loads(run.out)["aligned"]["computed"]
            peaks.append(run.peak)
            print(f"{name:<16}{computed:>10,}{run.seconds:>10.1f}{run.cpu:>10.1f}{run.peak:>10.0f}", flush=True)
            if computed != len(new):
                print(f"{len(new)} photos were new, and {computed} were computed.", file=sys.stderr)
                return 1
    print(f"\nMemory at {len(photos):,} photos is {peaks[1] / peaks[0]:.2f} times that at {SOME}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
