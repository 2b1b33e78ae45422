"""mien-png-to-jpeg: the pictures of whoever has enough of them, as JPEGs.

Goes in: a folder with a folder of PNGs for each person. Comes out: a JPEG for each PNG of whoever has 20 at least, with
the same name. What is there already stays as it is.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from mien.compat.command import ends, say, warn
from mien.engines import threads
from mien.errors import PhotoError, UsageError
from mien.storage.files import entries, is_folder, is_there, make_folder, write_new
from mien.vision.images import encoded, read_picture

PROGRAM = "mien-png-to-jpeg"

ENOUGH = 20
"""Pictures that a person must have: retrain.py warned below. (One version of the script said 40.)"""

QUALITY = 75
"""Pillow's own, which the script used."""

TORCH = ".t7"
"""In the names of files that OpenFace leaves beside the folders."""


def parser() -> argparse.ArgumentParser:
    """The flags of png_to_jpeg.py, and how many pictures are enough."""
    found = argparse.ArgumentParser(prog=PROGRAM, description="PNGs of whoever has enough of them, as JPEGs.")
    found.add_argument("--dir_from", required=True, help="png dir")
    found.add_argument("--dir_to", required=True, help="jpeg dir")
    found.add_argument("--minimum", type=int, default=ENOUGH, help=f"mien's own: how many are enough ({ENOUGH}).")
    return found


def main(arguments: Sequence[str] | None = None) -> int:
    """Runs the command; returns its exit code."""
    flags = parser().parse_args(arguments)
    return ends(PROGRAM, lambda: convert(Path(flags.dir_from), Path(flags.dir_to), flags.minimum))


def convert(source: Path, target: Path, minimum: int = ENOUGH) -> int:
    """Writes the JPEGs that are missing, and returns the exit code: that of PhotoError where a picture could not be
    read. Raises UsageError and StorageError."""
    if not is_folder(source):
        raise UsageError(str(source), "is no folder", "Name the folder that has a folder of pictures for each person.")
    make_folder(target)
    failures = 0
    for folder in sorted(entries(source)):
        if folder.name.startswith(".") or TORCH in folder.name or not is_folder(folder):
            continue
        pictures = sorted(one for one in entries(folder) if _is_picture(one))
        if len(pictures) < minimum:
            warn(f"{PROGRAM}: {folder.name} has {len(pictures)} pictures, fewer than {minimum}: left out.")
            continue
        make_folder(target / folder.name)
        due = [(one, target / folder.name / f"{one.stem}.jpg") for one in pictures]
        due = [(one, copy) for one, copy in due if not is_there(copy)]
        for (_, copy), fault in threads.run(due, lambda: None, _converted, in_order=True):
            if fault is None:
                say(str(copy))
            else:
                failures += 1
                warn(f"{PROGRAM}: {fault}")
    return PhotoError.exit_code if failures else 0


def _is_picture(file: Path) -> bool:
    """Not hidden, not empty, not a network's file, and a file."""
    hidden = file.name.startswith(".") or TORCH in file.name
    return not hidden and file.is_file() and file.stat().st_size > 0


def _converted(_: None, job: tuple[Path, Path]) -> PhotoError | None:
    source, target = job
    try:
        pixels = read_picture(source, max_side=None).pixels
    except PhotoError as error:
        return type(error)(*error.args)  # without the traceback, which holds the file
    write_new(target, encoded(pixels, "JPEG", QUALITY))
    return None


if __name__ == "__main__":
    sys.exit(main())
