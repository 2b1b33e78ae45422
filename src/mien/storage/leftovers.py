"""What runs leave behind: half-written files and folders of runs that were killed, and files that are of use for some
days at most. Names of people may stand in any of them.

Where a run holds a lock, whatever is half-written there is a killed run's, and goes. Elsewhere, in folders that users
name and in the system's for temporary files, a file or folder is held by the process that writes it.
"""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Final

from mien.storage.files import HALF_WRITTEN, entries, is_held, remove_file, storage_error
from mien.storage.layout import REMOVED, TRAINING, Layout

DAYS = 7
"""Days after which a file is old: long enough to come back to an interrupted command or a failed plug-in, and not much
longer, as names of people may stand in such files."""

_UNFINISHED: Final = re.compile(r"\.mien-(new-[0-9-]+|[0-9a-f]{16})(\.tmp)?")
"""What mien alone calls files and folders that are not finished, or half deleted."""


def was_killed(layout: Layout) -> bool:
    """Whether the last run that wrote in the album did not come to its end: the card beside the lock is still there.
    To be asked before the lock is taken."""
    return layout.lock_card.exists()


def sweep(layout: Layout, thorough: bool) -> None:
    """Removes what killed runs left half-written in an album, for who holds its lock; `thorough`, also in the folders
    of people, of which there may be many. Raises StorageError."""
    arriving = [] if layout.photos.in_folders else [layout.photos.arriving(layout.training)]
    for folder in (layout.folder, layout.lock_file.parent, *arriving, *_versions(layout.models_folder)):
        remove_unfinished(folder)
    for copies in entries(layout.model_copies):
        if copies != layout.models_folder:  # of a bucket in which the models were once
            shutil.rmtree(copies, ignore_errors=True)
            with contextlib.suppress(OSError):
                layout.model_copies.rmdir()  # refused while there is something in it
    _remove_journals(layout)
    if thorough:
        shelves = [TRAINING, REMOVED, *layout.intakes()] if layout.photos.in_folders else []
        for top in (layout.aligned, *map(layout.shelf, shelves)):
            for here, _, _ in os.walk(top):
                remove_unfinished(Path(here))


def _remove_journals(layout: Layout) -> None:
    """Removes what an interrupted `classify` of an earlier version of mien left: names of people stand in it, and
    nobody goes on with it."""
    for file in entries(layout.journals):
        if fnmatchcase(file.name, "classify-*.jsonl"):
            remove_file(file)
    with contextlib.suppress(OSError):
        layout.journals.rmdir()


def _versions(models: Path) -> list[Path]:
    try:
        return [models, *(one for one in models.iterdir() if one.is_dir() and not one.is_symlink())]
    except OSError:  # there is none, or what comes to models will say why
        return []


def remove_unfinished(folder: Path) -> None:
    """Removes what is half-written or half deleted in a folder, not below it: only names that mien makes, and through
    no link. For who holds the lock of whatever the folder belongs to. Raises StorageError."""
    try:
        found = [one for one in os.scandir(folder) if _UNFINISHED.fullmatch(one.name)]
    except OSError:  # not there, or not to be listed: whoever needs it will say so
        return
    for entry in found:
        try:
            if entry.is_dir(follow_symlinks=False):
                shutil.rmtree(entry.path)
            else:
                os.unlink(entry.path)  # noqa: PTH108 - of an entry
        except FileNotFoundError:
            continue
        except OSError as error:
            raise storage_error(Path(entry.path), error) from error


def remove_abandoned(folders: Iterable[Path]) -> None:
    """Removes what killed runs left half-written in folders that a user named, where another run may be at work. What
    cannot be removed stays."""
    for folder in folders:
        with contextlib.suppress(OSError):
            for file in folder.glob(HALF_WRITTEN):
                if not is_held(file):
                    file.unlink()


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
