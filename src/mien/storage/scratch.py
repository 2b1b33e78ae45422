"""Folders in the system's for temporary files, in which photos lie while something looks at them as files."""

from __future__ import annotations

import contextlib
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

_SCRATCH: Final = "mien-scratch-"


def sweep_scratch() -> None:
    """Removes the scratch folders of runs that were killed, in which photos may lie."""
    for left in Path(tempfile.gettempdir()).glob(f"{_SCRATCH}*"):
        if release := _hold(left):
            shutil.rmtree(left, ignore_errors=True)
            release()


@contextlib.contextmanager
def scratch_folder() -> Iterator[Path]:
    """A folder of this user's alone in the system's for temporary files, gone at the end; those of runs that were
    killed go before. Raises OSError."""
    sweep_scratch()
    held = None
    while held is None:  # another run took it for an abandoned one in this very moment
        folder = Path(tempfile.mkdtemp(prefix=_SCRATCH))
        held = _hold(folder, is_new=True)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        held()


def _hold(folder: Path, is_new: bool = False) -> Callable[[], None] | None:
    """Holds a folder of this user's against other processes, and returns what lets it go; None if another holds it, or
    it is not there. Windows cannot lock folders: what is a day old is nobody's there."""
    if sys.platform == "win32":
        old = is_new or folder.stat().st_mtime < time.time() - 86_400
        return (lambda: None) if old else None
    import fcntl

    try:
        handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if os.fstat(handle).st_uid == os.geteuid() and folder.is_dir():
            return partial(os.close, handle)
    except OSError:
        pass
    os.close(handle)
    return None
