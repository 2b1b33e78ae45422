"""Writing a file so that it is either the old one or the new one, whole, whatever happens in between."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
from pathlib import Path

from mien.errors import StorageError

_FREE_SPACE = "Free some space and run the same command again."
_GET_ACCESS = "Give yourself write access to the folder, and close programs that have it open."
_CHECK_DISK = "Check the disk and try again."

_REASONS = {
    errno.ENOSPC: ("the disk is full", _FREE_SPACE),
    errno.EDQUOT: ("your disk quota is used up", _FREE_SPACE),
    errno.EFBIG: ("the file is larger than this disk allows", "Use a disk with a modern file system."),
    errno.EROFS: ("the disk is read-only", "Use a folder that can be written to."),
    errno.EACCES: ("permission denied", _GET_ACCESS),
    errno.EPERM: ("permission denied", _GET_ACCESS),
    errno.ENOENT: ("the folder does not exist", "Create the folder first."),
    errno.EEXIST: ("a file of that name is in the way", "Move the file away or choose another name."),
    errno.ENOTDIR: ("a part of the path is not a folder", "Choose another place."),
    errno.EISDIR: ("a folder of that name is in the way", "Move the folder away or choose another name."),
    errno.ENAMETOOLONG: ("the name is too long for this disk", "Choose a shorter name."),
}


def write_atomically(path: Path, data: bytes) -> None:
    """Puts `data` at `path`, replacing what is there; even a power cut leaves either the old bytes or the new.

    The bytes go to a hidden `.mien-*.tmp` beside `path` first (a rename is only atomic within one disk), reach the
    disk, and take the name last. The new file's permissions follow the umask; a symbolic link at `path` is itself
    replaced. Raises StorageError, with the old file untouched and no temporary left behind.
    """
    temporary = path.parent / f".mien-{secrets.token_hex(8)}.tmp"
    try:
        with temporary.open("xb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        os.replace(temporary, path)  # noqa: PTH105 - the call whose atomicity is documented
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(path, error) from error
        raise
    _sync_folder(path.parent)


def make_folder(folder: Path) -> None:
    """Makes `folder` and those above it that are missing; one that exists is fine. Raises StorageError."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error


def storage_error(path: Path, error: OSError) -> StorageError:
    """What to tell somebody whose `path` could not be written because of `error`."""
    reason, remedy = _REASONS.get(error.errno or 0, (error.strerror or str(error), _CHECK_DISK))
    return StorageError(f"{path}: could not be written: {reason}.", remedy)


def _sync_folder(folder: Path) -> None:
    """Lets the new name survive a power cut too. Windows and some network drives cannot; the file is whole anyway."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
