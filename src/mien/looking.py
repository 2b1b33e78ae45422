"""Looking at the photos of an album, many at once, and remembering what was seen in each as soon as it was."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from mien.engines import threads as pool
from mien.errors import PhotoError
from mien.protocols import Progress
from mien.records.catalog import Catalog
from mien.seeing.eyes import Eyes
from mien.types import SeenPhoto
from mien.vision.images import file_sha256

CURABLE = ("missing-extra",)
"""Errors that need not be the photo's: what failed for them is tried again in each run."""


def look_at(
    unseen: Sequence[tuple[str, str]],
    file_of: Callable[[str], Path],
    catalog: Catalog,
    make_eyes: Callable[[], Eyes],
    workers: int,
    progress: Progress,
) -> tuple[PhotoError, ...]:
    """Looks at the photos (sha256, path) that these eyes have not seen; what could not be read comes back. `file_of`
    says where the photo of a path lies."""
    failures: list[PhotoError] = []

    def look(eyes: Eyes, photo: tuple[str, str]) -> tuple[str, SeenPhoto | PhotoError | None]:
        sha256, path = photo
        seen = eyes.look_at(file_of(path))
        changed = isinstance(seen, PhotoError) and not _is_still(file_of(path), sha256)
        return eyes.encoder_id, None if changed else seen

    progress.start("Looking at photos", len(unseen))
    for (sha256, path), (encoder_id, seen) in pool.run(unseen, make_eyes, look, workers):
        if isinstance(seen, PhotoError):
            reason = str(seen).removeprefix(f"{file_of(path)}: ")  # the photo may be moved
            catalog.record_failure(sha256, encoder_id, seen.kind, reason)
            progress.note(str(seen))
            failures.append(seen)
        elif seen:
            catalog.record(seen, encoder_id)
        progress.advance()
    progress.finish()
    return tuple(failures)


def _is_still(file: Path, sha256: str) -> bool:
    """Whether the file holds the photo of this hash. One that is gone, replaced or locked by now says nothing about the
    photo, which may lie elsewhere too; the next run will see."""
    try:
        return file_sha256(file) == sha256
    except PhotoError:
        return False
