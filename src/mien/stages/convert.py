"""convert: copies of photos as PNG or JPEG, for programs that read nothing else.

Goes in: a photo, or a folder of photos in any format that mien reads. Comes out: copies, upright, with their colour
profile, transparent parts white, 8 bits a channel, and without the metadata that tell camera and place. A PNG keeps
every pixel as it was decoded. The originals are only read, and no file is replaced.
"""

from __future__ import annotations

import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.engines import threads as pool
from mien.errors import PhotoError, StorageError, UsageError
from mien.protocols import Progress, Silent
from mien.storage.files import is_folder, is_there, is_too_long, make_folder, write_new
from mien.storage.leftovers import remove_abandoned
from mien.storage.walk import photos_below
from mien.text.names import folded
from mien.text.photos import LeftAlone, PhotoFault
from mien.vision.images import decode, encoded, metadata_in, read_bytes
from mien.vision.metadata import Metadata
from mien.vision.sniff import sniff

Format = Literal["PNG", "JPEG"]

ENDINGS: Mapping[str, Format] = {".png": "PNG", ".jpg": "JPEG", ".jpeg": "JPEG"}
QUALITIES = range(1, 101)
"""Qualities that a JPEG can have."""

_FIRST_BYTES = 4096
"""Bytes that are enough to tell the type of a file."""


@dataclass(frozen=True, slots=True)
class Converted:
    """The outcome of `convert`. `converted` has (photo, copy) of each photo that was copied, `skipped` (photo, the copy
    it would have become, why) of each that was left alone, `failures` the errors of those that cannot be read."""

    converted: tuple[tuple[Path, Path], ...]
    skipped: tuple[tuple[Path, Path, LeftAlone], ...]
    failures: tuple[PhotoError, ...]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "converted": [{"photo": str(photo), "copy": str(copy)} for photo, copy in self.converted],
            "skipped": [
                {"photo": str(photo), "copy": str(copy), "reason": why.value} for photo, copy, why in self.skipped
            ],
            "failures": [error.to_json() for error in self.failures],
        }


def convert(
    source: Path,
    target: Path,
    to: str | None = None,
    quality: int = 92,
    workers: int = 0,
    progress: Progress | None = None,
) -> Converted:
    """Copies the photo `source` to the file `target`, whose ending says the format. With the format `to` ("png" or
    "jpeg"), `target` is a folder, and `source` may be one too: then all photos in it are copied, sub-folders kept.

    `quality` is a JPEG's, from 1 to 100; `workers` the number of threads, 0 for one a core. Raises UsageError for a
    path, format or quality that will not do, and StorageError if a copy cannot be written for another reason than the
    length of its name; copies made before it stay.
    """
    if quality not in QUALITIES:
        raise UsageError("A JPEG's quality", f"cannot be {quality}", "It is a number from 1 to 100; 92 is good.")
    if to is not None:
        ending = f".{to.lower().removeprefix('.')}".replace("jpeg", "jpg")
        below = photos_below([source])
        copies = [(photo, target / inside.with_suffix(ending)) for photo, inside in below.photos]
    else:
        ending = target.suffix.lower()
        if ending not in ENDINGS or is_folder(source):
            remedy = "Name a file that ends in .png or .jpg, or use --to."
            raise UsageError("The format to convert to", "is not said", remedy)
        below = photos_below([source])
        copies = [(photo, target) for photo, _ in below.photos]
    if ending not in ENDINGS:
        raise UsageError(f"{to}", "is not a format to convert to", "Convert to png or jpeg.")
    fmt = ENDINGS[ending]

    def work(_: None, job: tuple[Path, Path]) -> LeftAlone | PhotoError | None:
        try:
            return _convert(*job, fmt, quality)
        except PhotoError as error:
            return PhotoError(error.about, error.fault, error.figures)  # without the traceback, which holds the file

    converted: list[tuple[Path, Path]] = []
    skipped: list[tuple[Path, Path, LeftAlone]] = []
    failures = list(below.closed)
    planned: set[str] = set()
    jobs: list[tuple[Path, Path]] = []
    for photo, copy in copies:
        if _is(photo, fmt):
            skipped.append((photo, copy, LeftAlone.SAME_FORMAT))
        elif folded(str(copy)) in planned:  # a.png beside a.gif: the first has it
            skipped.append((photo, copy, LeftAlone.TAKEN))
        else:
            planned.add(folded(str(copy)))
            jobs.append((photo, copy))
    remove_abandoned({copy.parent for _, copy in jobs})
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
    """Whether the photo has this format already, by its first bytes; False if they cannot be read."""
    try:
        with photo.open("rb") as file:
            return sniff(file.read(_FIRST_BYTES), photo.name) == fmt
    except OSError:
        return False


def _convert(photo: Path, copy: Path, fmt: Format, quality: int) -> LeftAlone | None:
    """Writes the copy; where that is not done, returns why."""
    try:
        if is_there(copy):
            return LeftAlone.TAKEN
        data = read_bytes(photo)
        picture = decode(data, str(photo), max_side=None)
        made = encoded(picture.pixels, fmt, quality, Metadata(profile=metadata_in(data, str(photo)).profile))
        make_folder(copy.parent, 0o777)  # whoever may see a photo may see its copy, by the user's umask
        return None if write_new(copy, made, mode=stat.S_IMODE(photo.stat().st_mode) & 0o666) else LeftAlone.TAKEN
    except StorageError as error:
        if is_too_long(error):
            raise PhotoError(str(photo), PhotoFault.NAME_TOO_LONG) from error
        raise
