"""How commands grow with photos: time, memory and disk of `align`, `train`, `add --enrol` and `classify`, with slopes.

    python benchmarks/growth_photos.py [--sizes 100 1000 10000] [--workers 1 2 4] [--encoder NAME] [--views N]

Each size is an album of its own, aligned from nothing; each command is a process of its own. One person is enrolled
with one photo, and 200 photos are asked about that are not in the album; of these nothing is remembered. The photos are
LFW's, once as they are, then mirrored, then turned by some degrees, until there are as many as wanted, so that no two
look the same. Then the middle size is aligned, and asked about, with each number of `--workers`; efficiency is photos a
second over those of the first of these, by as many more as can run: workers, or cores where there are fewer. Time goes
with photos to the power that is said (least squares of the logarithms, over the sizes from the second on: what a
command takes to start says nothing of growth).
"""

from __future__ import annotations

import argparse
import json
import math
import sys
import tempfile
from collections.abc import Iterator
from itertools import count, islice
from pathlib import Path
from typing import NamedTuple

import numpy as np
from PIL import Image

from mien.engines.threads import usable_cores
from protocol import DATA, Run, add_encoder, checked, chosen, described, link, machine, mien, settings_of

Settings = dict[str, object]
ASKED, SEED = 201, 0
TURN, QUALITY = 4.0, 92
"""Degrees by which each further round of the photos is turned, and as what JPEG it is written."""


class Grown(NamedTuple):
    """What the commands took in an album of so many photos, and bytes of its catalog, of its chips and of its model."""

    photos: int
    people: int
    runs: dict[str, Run]
    catalog: int
    chips: int
    model: int


def made(originals: list[Path], folder: Path) -> Iterator[Path]:
    """Photos without end that look different, below `folder`, in the folder of their person."""
    for round_ in count():
        for original in originals:
            photo = folder / original.parent.name / f"{original.stem}-{round_}.jpg"
            photo.parent.mkdir(parents=True, exist_ok=True)
            if not round_:
                link(original, photo)
            else:
                with Image.open(original) as image:
                    seen = image.convert("RGB")
                seen = seen.transpose(Image.Transpose.FLIP_LEFT_RIGHT) if round_ % 2 else seen
                seen.rotate(TURN * (round_ // 2), Image.Resampling.BICUBIC).save(photo, quality=QUALITY)
            yield photo


def grown(photos: list[Path], asked: list[Path], album: Path, settings: Settings) -> Grown:
    """An album of these photos, and what was done in it."""
    checked(mien("init", album, "--basis", "measurement", quiet=True))
    for photo in photos:
        link(photo, album / "training-images" / photo.parent.name / photo.name)
    (new,), others = asked[:1], asked[1:]
    runs = {"align": checked(mien("-C", album, "align", "--json", settings=settings))}
    computed = json.loads(runs["align"].out)["computed"]
    if computed != len(photos):
        sys.exit(f"{len(photos)} photos were new, and {computed} were computed.")
    runs["train"] = checked(mien("-C", album, "train", "--json", settings=settings, quiet=True))
    runs["add --enrol"] = checked(mien("-C", album, "add", "Somebody", new, "--enrol", settings=settings, quiet=True))
    runs["classify"] = classified(album, others, settings)
    catalog = size((album / ".mien").glob("catalog*"))
    chips = size(file for file in (album / "aligned-images").rglob("*") if file.is_file())
    model = size(max(one for one in (album / "models").iterdir() if one.is_dir()).iterdir())
    return Grown(len(photos), len({photo.parent for photo in photos}), runs, catalog, chips, model)


def classified(album: Path, photos: list[Path], settings: Settings) -> Run:
    """Asks who is in the photos."""
    return checked(mien("-C", album, "classify", "--forget", "--json", *photos, settings=settings, quiet=True))


def size(files: Iterator[Path]) -> int:
    """Bytes of all these files."""
    return sum(file.stat().st_size for file in files)


def slope(sizes: list[int], values: list[float]) -> float:
    """With which power of the size a value grows."""
    return float(np.polyfit(np.log(sizes), np.log(np.maximum(values, 1e-3)), 1)[0]) if len(sizes) > 1 else math.nan


def main() -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data", type=Path, default=DATA, help="the shared data (default: ../shared/data)")
    parser.add_argument("--sizes", type=int, nargs="+", default=[100, 1_000, 10_000])
    parser.add_argument("--workers", type=int, nargs="+", default=[1, 2, 4])
    add_encoder(parser)
    arguments = parser.parse_args()
    settings = settings_of(chosen(arguments))
    originals = sorted((arguments.data / "lfw").glob("*/*"))
    np.random.default_rng(SEED).shuffle(originals)
    asked, originals = originals[:ASKED], originals[ASKED:]
    sizes, found = list[int](arguments.sizes), list[Grown]()
    print(f"{machine()}\n{described(chosen(arguments))}\n")
    print("| photos | people | command | s | CPU s | memory, MB |\n|---|---|---|---|---|---|", flush=True)
    with tempfile.TemporaryDirectory() as scratch:
        every = list(islice(made(originals, Path(scratch, "made")), max(sizes)))
        for number in sizes:
            one = grown(every[:number], asked, Path(scratch, f"album-{number}"), settings)
            found.append(one)
            for name, run in one.runs.items():
                print(
                    f"| {number:,} | {one.people:,} | {name} | {run.seconds:.1f} | {run.cpu:.1f} | {run.peak:.0f} |",
                    flush=True,
                )
        print("\n| photos | catalog, bytes a photo | chips, bytes a photo | model, MB |\n|---|---|---|---|")
        for one in found:
            print(
                f"| {one.photos:,} | {one.catalog / one.photos:,.0f} | {one.chips / one.photos:,.0f}"
                f" | {one.model / 1e6:.2f} |"
            )
        later = found[1:] if len(found) > 2 else found
        grows = [one.photos for one in later]
        print("\n| with photos to the power of | CPU | memory |\n|---|---|---|")
        for name in found[0].runs:
            cpu = slope(grows, [one.runs[name].cpu for one in later])
            print(f"| {name} | {cpu:.2f} | {slope(grows, [one.runs[name].peak for one in later]):.2f} |")
        for name in ("catalog", "chips", "model"):
            print(f"| {name}, bytes | {slope(grows, [getattr(one, name) for one in later]):.2f} | |")

        middle = sizes[(len(sizes) - 1) // 2]
        print(f"\n{middle:,} photos, {usable_cores()} cores\n")
        print("| command | workers | s | CPU s | photos/s | efficiency | memory, MB |\n|---|---|---|---|---|---|---|")
        rates: dict[str, float] = {}
        for workers in arguments.workers:
            here = {**settings, "workers": workers}
            one = grown(every[:middle], asked, Path(scratch, f"workers-{workers}"), here)
            for name, photos in (("align", middle), ("classify", len(asked) - 1)):
                run = one.runs[name]
                rate = photos / run.seconds
                more = min(workers, usable_cores()) / min(arguments.workers[0], usable_cores())
                efficiency = rate / (rates.setdefault(name, rate) * more)
                print(
                    f"| {name} | {workers} | {run.seconds:.1f} | {run.cpu:.1f} | {rate:.1f} | {efficiency:.0%}"
                    f" | {run.peak:.0f} |",
                    flush=True,
                )
    return 0


if __name__ == "__main__":
    sys.exit(main())
