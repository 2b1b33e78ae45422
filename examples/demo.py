"""The whole job on people who do not exist: build an album, train, measure, and name the people in two group photos.

Run it by scripts/demo. Each step is a command that you can type yourself; it is printed before it runs. Of every sample
person the last eight photos are left out of the album to measure on, and all of the strangers'.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from pathlib import Path

SAMPLE = Path(__file__).parent / "album"
TRAIN = 16
"""Photos of each person that go into the album; the other eight are for measuring."""
GROUPS = ("02.jpg", "05.jpg")
MARK = ".made-by-mien-demo"


def main() -> int:
    target = Path(sys.argv[1] if len(sys.argv) > 1 else "demo")
    started = time.monotonic()
    if target.exists() and not (target / MARK).is_file():
        print(
            f"{target} exists and is not from an earlier demo. Name another folder: scripts/demo FOLDER",
            file=sys.stderr,
        )
        return 2
    shutil.rmtree(target, ignore_errors=True)
    target.mkdir(parents=True)
    (target / MARK).touch()
    album, probes, groups = target / "album", target / "probes", target / "groups"

    title("1. An album: a folder of photos for each person")
    mien("init", str(album), "--basis", "rendered people, who do not exist")
    for person in sorted((SAMPLE / "people").iterdir()):
        photos = sorted(person.glob("*.jpg"))
        copy(photos[:TRAIN], album / "training-images" / person.name)
        copy(photos[TRAIN:], probes / person.name)
    for stranger in sorted((SAMPLE / "strangers").iterdir()):
        copy(sorted(stranger.glob("*.jpg")), probes / stranger.name)
    copy([SAMPLE / "groups" / name for name in GROUPS], groups)
    note(f"cp -r {TRAIN} photos each of the sample people into {album / 'training-images'}")

    title("2. Learn them")
    mien("-C", str(album), "train")

    title("3. Measure, on photos it has not seen and people it does not know")
    mien("-C", str(album), "evaluate", str(probes))

    title("4. Who is in these two pictures?")
    mien("-C", str(album), "classify", str(groups), "--annotate", str(target / "annotated"))

    title(f"Done in {time.monotonic() - started:.0f} s")
    print(f"Look at     {target / 'annotated'}{os.sep}  the two pictures with boxes and names")
    print(f"            {album}{os.sep}  the album: mien.toml, training-images, aligned-images, models")
    print(f"Then try    .venv/bin/mien -C {album} classify YOUR-PHOTO.jpg")
    print("            .venv/bin/mien init my-album")
    return 0


def copy(photos: list[Path], folder: Path) -> None:
    folder.mkdir(parents=True)
    for photo in photos:
        shutil.copy2(photo, folder)


def title(text: str) -> None:
    print(
        f"\n\x1b[1m{text}\x1b[0m" if sys.stdout.isatty() and not os.environ.get("NO_COLOR") else f"\n{text}", flush=True
    )


def note(text: str) -> None:
    print(f"$ {text}", flush=True)


def mien(*arguments: str) -> None:
    """Runs a command of mien as a user would, showing it first; ends the demo if it fails."""
    note(" ".join(["mien", *(f'"{a}"' if " " in a else a for a in arguments)]))
    code = subprocess.run([sys.executable, "-m", "mien", *arguments], check=False).returncode
    if code:
        sys.exit(code)


if __name__ == "__main__":
    sys.exit(main())
