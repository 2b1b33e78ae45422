"""The whole job on people who do not exist: build an album, train, measure, and name the people in two group photos.

Run it by scripts/demo. Each step is a command that you can type yourself; it is printed before it runs. Of every sample
person the last eight photos are left out of the album to measure on, and all of the strangers'. With --days N it shows
N days of the daily loop instead: see days.py.
"""

from __future__ import annotations

import argparse
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

import days

SAMPLE = Path(__file__).parent / "album"
TRAIN = 16
"""Photos of each person that go into the album; the other eight are for measuring."""
GROUPS = ("02.jpg", "05.jpg")
MARK = ".made-by-mien-demo"
"""The file by which an earlier demo's folder is known: nothing else is ever deleted."""


def main() -> int:
    parser = argparse.ArgumentParser(prog="scripts/demo", description="The whole job on people who do not exist.")
    parser.add_argument("folder", nargs="?", type=Path, help="where to work (demo, or demo-days)")
    parser.add_argument("--days", type=int, metavar="N", help="show N days of the daily loop, at least 1")
    given = parser.parse_args()
    if given.days is not None and given.days < 1:
        parser.error("--days needs at least 1")
    target: Path = given.folder or Path("demo" if given.days is None else "demo-days")
    if target.exists() and not (target / MARK).is_file():
        print(
            f"{target} is there already, and no earlier demo made it. Name another: scripts/demo FOLDER",
            file=sys.stderr,
        )
        return 2
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    (target / MARK).touch()
    return whole_job(target) if given.days is None else days.live(target, given.days)


def whole_job(target: Path) -> int:
    """An album from nothing to named group photos, in the empty folder `target`; the exit code."""
    started, installing = time.monotonic(), installation()
    album, probes, groups, annotated = (target / name for name in ("album", "probes", "groups", "annotated"))

    print("The people in these photos were rendered by a computer; none of them exists.")
    print("The encoder is the one in the package; for photos of real people mien prefers retail-0095.")
    title("1. An album: a folder of photos for each person")
    mien("init", album, "--basis", "rendered people, who do not exist", "--encoder", "dlib-resnet")
    people, strangers = folders(SAMPLE / "people"), folders(SAMPLE / "strangers")
    for person in people:
        photos = sorted(person.glob("*.jpg"))
        copy(photos[:TRAIN], album / "training-images" / person.name)
        copy(photos[TRAIN:], probes / person.name)
    for stranger in strangers:
        copy(sorted(stranger.glob("*.jpg")), probes / stranger.name)
    copy([SAMPLE / "groups" / name for name in GROUPS], groups)
    note(f"Copied {TRAIN} photos each of {len(people)} people into {album / 'training-images'}.")

    title("2. Learn them")
    mien("-C", album, "train")

    title("3. Measure, on photos it has not seen and on people it does not know")
    mien("-C", album, "evaluate", probes)

    title("4. Who is in these two pictures? In each, the man on the right is a stranger")
    mien("-C", album, "classify", groups, "--annotate", annotated)

    title(f"Done in {time.monotonic() - started:.0f} seconds{installing}")
    print(f"Look at    {annotated}{os.sep} for the two pictures with boxes and names,")
    print(f"           {album}{os.sep} for the album: settings, photos, aligned faces, model.")
    program = Path(sys.executable).with_name("mien")
    shown = program.relative_to(Path.cwd()) if program.is_relative_to(Path.cwd()) else program
    print(f"Try next   {shown} -C {album} status")
    print(f"           {shown} init my-album     and README.md for the rest of the story")
    return 0


def installation() -> str:
    """How long scripts/demo was at work before this program began, as a part of a sentence; "" if no time to speak
    of."""
    seconds = time.time() - float(os.environ.get("DEMO_SINCE") or time.time())
    return f", after {seconds:.0f} in which mien was installed" if seconds >= 5 else ""


def folders(folder: Path) -> list[Path]:
    return sorted(entry for entry in folder.iterdir() if entry.is_dir())


def copy(photos: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for photo in photos:
        shutil.copy2(photo, folder)


def title(text: str) -> None:
    bold = sys.stdout.isatty() and not os.environ.get("NO_COLOR") and os.environ.get("TERM") != "dumb"
    print(f"\n\x1b[1m{text}\x1b[0m\n" if bold else f"\n{text}\n", flush=True)


def note(text: str) -> None:
    print(text, flush=True)


def mien(*arguments: str | Path) -> None:
    """Runs a command of mien as a user would, showing it first; ends the demo if it fails."""
    words = [str(argument) for argument in arguments]
    note(" ".join(["$ mien", *(f'"{word}"' if " " in word else word for word in words)]))
    code = subprocess.run([sys.executable, "-m", "mien", *words], check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    try:
        sys.exit(main())
    except KeyboardInterrupt:  # the command that was running has said so
        sys.exit(130)
