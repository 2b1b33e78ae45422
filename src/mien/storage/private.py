"""Faces and names of people, as mien writes them, are for the owner of the album alone; older albums are made so."""

from __future__ import annotations

import contextlib
import os
import stat
from pathlib import Path

from mien.storage.files import PRIVATE_FILE, PRIVATE_FOLDER
from mien.storage.layout import REMOVED, Layout


def mend(layout: Layout) -> None:
    """Lets nobody but their owner read what mien wrote in an album that an older version made: memory, models, chips,
    intakes and what was set aside. The folder training-images is the user's, and stays as it is; so does what belongs
    to another user, or lies on a disk that knows no permissions."""
    if os.name == "nt":
        return
    for top in (layout.lock_file.parent, layout.models_folder):
        if _closed(top):
            for here, folders, files in os.walk(top):
                for name in (*folders, *files):
                    _close(Path(here, name))
    shelves = [REMOVED, *layout.intakes()] if layout.photos.in_folders else []
    for top in (layout.aligned, *map(layout.shelf, shelves)):
        _closed(top)


def _closed(folder: Path) -> bool:
    """Closes a folder to others, whether it was open to them."""
    with contextlib.suppress(OSError):
        found = folder.lstat()
        return stat.S_ISDIR(found.st_mode) and bool(found.st_mode & 0o077) and _close(folder)
    return False


def _close(path: Path) -> bool:
    """Takes from others what they may do with a file or folder of this user's; whether it did."""
    with contextlib.suppress(OSError):
        found = path.lstat()
        kept = {stat.S_IFDIR: PRIVATE_FOLDER, stat.S_IFREG: PRIVATE_FILE}.get(stat.S_IFMT(found.st_mode))
        if kept is not None and found.st_uid == os.geteuid():
            path.chmod(stat.S_IMODE(found.st_mode) & kept)
            return True
    return False


def private_file(path: Path) -> None:
    """Makes an empty file at `path` where there is none, and closes one that is there to others, so that whoever is to
    write it need not know of permissions."""
    with contextlib.suppress(OSError):
        try:
            if os.name != "nt" and path.stat().st_mode & 0o077:
                _close(path)
        except FileNotFoundError:
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, PRIVATE_FILE))
