"""Files that are of use for some days at most: they are removed when they are older, or when there are too many."""

from __future__ import annotations

import contextlib
import time
from pathlib import Path

DAYS = 7
"""Days after which a file is old: long enough to come back to an interrupted command or a failed plug-in, and not much
longer, as names of people may stand in such files."""


def remove_old(folder: Path, pattern: str, most: int | None = None) -> None:
    """Removes the files in `folder` (not below) that match the glob `pattern` and were last written over `DAYS` days
    ago, and of the others all but the `most` newest. A file that cannot be removed stays, for the next call."""
    found: list[tuple[float, Path]] = []
    with contextlib.suppress(OSError):
        for file in folder.glob(pattern):
            with contextlib.suppress(OSError):
                found.append((file.lstat().st_mtime, file))
    oldest = time.time() - DAYS * 86_400
    for place, (written, file) in enumerate(sorted(found, reverse=True)):
        if written < oldest or (most is not None and place >= most):
            with contextlib.suppress(OSError):
                file.unlink()
