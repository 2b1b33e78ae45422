"""convert: photos as PNG or as JPEG, for those who need them so. mien itself reads either.

Goes in: a photo, or a folder of them in any format that mien reads. Comes out: copies, upright, with their colour
profile, transparent parts white, 8 bits a channel. Nothing else goes along: not the camera, not the place. PNG keeps
every pixel as it is decoded. The originals are only read, and no file is replaced.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.engines import threads as pool
from mien.errors import PhotoError, UsageError
from mien.protocols import Progress, Silent
from mien.storage.files import make_folder, write_new
from mien.storage.walk import photos_below
from mien.text.names import folded
from mien.vision.images import decode, encoded, read_bytes, rgb_profile
from mien.vision.sniff import sniff

Format = Literal["PNG", "JPEG"]

ENDINGS: Mapping[str, Format] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
QUALITIES = range(1, 101)
"""Of a JPEG."""

_FIRST_BYTES = 4096
"""Enough to tell what a file is."""

THERE = "there is a file of that name already"
SAME_FORMAT = "it is one already"


@dataclass(frozen=True, slots=True)
class Converted:
    """What was converted: (photo, copy). `skipped` are (photo, copy, why) of those that were left alone, `failures` of
    what cannot be read."""

    converted: tuple[tuple[Path, Path], ...]
    skipped: tuple[tuple[Path, Path, str], ...]
    failures: tuple[PhotoError, ...]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "converted": [{"photo": str(photo), "copy": str(copy)} for photo, copy in self.converted],
            "skipped": [{"photo": str(photo), "copy": str(copy), "reason": why} for photo, copy, why in self.skipped],
            "failures": [
                {"kind": error.kind, "message": error.message, "remedy": error.remedy} for error in self.failures
            ],
        }


def convert(
    source: Path,
    target: Path,
    to: str | None = None,
    quality: int = 92,
    workers: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Converts the photo `source` into the file `target`, whose ending says the format; or, with the format `to`
    ("png" or "jpeg"), into the folder `target`, and so all photos in the folder `source`, sub-folders kept.

    Raises UsageError for a wrong question and StorageError if a copy cannot be written; then others may be there.
    """
    if quality not in QUALITIES:
        raise UsageError(f"A JPEG's quality cannot be {quality}.", "It is a number from 1 to 100; 92 is good.")
    if to is not None:
        ending = f".{to.lower().removeprefix('.')}".replace("jpeg", "jpg")
        copies = [(photo, target / inside.with_suffix(ending)) for photo, inside in photos_below([source])]
    else:
        ending = target.suffix.lower()
        if source.is_dir() or ending not in ENDINGS:
            raise UsageError("What to convert to is not said.", "Name a file that ends in .png or .jpg, or use --to.")
        copies = [(photo, target) for photo, _ in photos_below([source])]
    if ending not in ENDINGS:
        raise UsageError(f"{to} is not a format to convert to.", "Convert to png or jpeg.")
    fmt = ENDINGS[ending]

    def work(_: None, job: tuple[Path, Path]) -> str | PhotoError:
        try:
            return _convert(*job, fmt, quality)
        except PhotoError as error:
            return PhotoError(error.message, error.remedy, error.kind)  # without the traceback, which holds the file

    converted: list[tuple[Path, Path]] = []
    skipped: list[tuple[Path, Path, str]] = []
    failures: list[PhotoError] = []
    planned: set[str] = set()
    jobs: list[tuple[Path, Path]] = []
    for photo, copy in copies:
        if _is(photo, fmt):
            skipped.append((photo, copy, SAME_FORMAT))
        elif folded(str(copy)) in planned:  # a.png beside a.gif: the first has it
            skipped.append((photo, copy, THERE))
        else:
            planned.add(folded(str(copy)))
            jobs.append((photo, copy))
    progress = progress or Silent()
    progress.start("Converting", len(jobs))
    for (photo, copy), outcome in pool.run(jobs, lambda: None, work, workers, in_order=True):
        if isinstance(outcome, PhotoError):
            failures.append(outcome)
            progress.note(str(outcome))
        elif outcome:
            skipped.append((photo, copy, outcome))
        else:
            converted.append((photo, copy))
        progress.advance()
    progress.finish()
    return Converted(tuple(converted), tuple(sorted(skipped)), tuple(failures))


def _is(photo: Path, fmt: Format) -> bool:
    """Whether it is of this format already, by its first bytes. One that cannot be read is not."""
    try:
        with photo.open("rb") as file:
            return sniff(file.read(_FIRST_BYTES), photo.name).what == fmt
    except OSError:
        return False


def _convert(photo: Path, copy: Path, fmt: Format, quality: int) -> str:
    """Why nothing was done; empty if it was."""
    if copy.exists() or copy.is_symlink():
        return THERE
    data = read_bytes(photo)
    picture = decode(data, str(photo), max_side=None)
    made = encoded(picture.pixels, fmt, quality, rgb_profile(data, str(photo)))
    make_folder(copy.parent)
    return "" if write_new(copy, made) else THERE
