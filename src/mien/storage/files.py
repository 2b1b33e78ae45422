"""Writing a file so that it is either the old one or the new one, whole, whatever happens in between; and looking
whether something is there, which has three answers: yes, no, and an error where nobody can tell."""

from __future__ import annotations

import contextlib
import errno
import os
import secrets
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, cast

from mien.errors import StorageError

HALF_WRITTEN = f".mien-{'[0-9a-f]' * 16}.tmp"
"""What a run that was killed while it wrote a file leaves beside it, as a pattern of `Path.glob`."""

PRIVATE_FILE, PRIVATE_FOLDER = 0o600, 0o700
"""The permissions of what mien makes: faces and names of people are for the owner of the album alone. Whoever wants
others to read them says so to the system, and what is replaced later stays as readable as it was."""

_FREE_SPACE = "Free some space and run the same command again."
_GET_ACCESS = "Give yourself write access to the folder, and close programs that have it open."
_CHECK_DISK = "Check the disk and try again."
_CHECK_PERMISSIONS = "Check its permissions, and those of the folders above it."
_CONNECT = "Connect the drive or share that it is on, or check the disk."

_PART = 1 << 20
"""Bytes of a file held at a time."""

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
    disk, and take the name last. A new file is readable by its owner alone, and one that is replaced keeps its
    permissions; a symbolic link at `path` is itself replaced. Raises StorageError, with the old file untouched and no
    temporary left behind.
    """
    with writing_atomically(path) as file:
        file.write(data)


@contextlib.contextmanager
def writing_atomically(path: Path) -> Iterator[BinaryIO]:
    """`write_atomically` for what is too much to be held at once: a file to write into, which takes the name at the
    end. Nothing is left of it where what is done meanwhile raises; an OSError of that becomes a StorageError."""
    temporary = temporary_file(path)
    try:
        with created(temporary, _mode_of(path)) as opened:
            yield opened
            _finish(opened)
            os.replace(temporary, path)  # noqa: PTH105 - the call whose atomicity is documented
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
        if isinstance(error, OSError):
            raise storage_error(path, error) from error
        raise
    sync_folder(path.parent)


def write_new(path: Path, data: bytes, *, mode: int = PRIVATE_FILE, times: os.stat_result | None = None) -> bool:
    """`write_atomically` that replaces nothing: False, and nothing done, if anything has that name already. The file
    has these permissions, and its `times`, from the moment at which it has its name."""
    temporary = temporary_file(path)
    try:
        with _written(temporary, data, mode):
            if times is not None:
                keep_times(temporary, times)
            named = _name(temporary, path)
    except OSError as error:
        raise storage_error(path, error) from error
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)
    sync_folder(path.parent)
    return named


def created(file: Path, mode: int = PRIVATE_FILE) -> BinaryIO:
    """A file that was not there, open for reading and writing, of which no other process knows yet. It is held while it
    is open: `is_held` tells that somebody writes it. Raises OSError."""
    flags = os.O_RDWR | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)
    opened = cast("BinaryIO", open(os.open(file, flags, PRIVATE_FILE), "w+b"))  # noqa: PTH123, SIM115 - of a handle
    if os.name != "nt":
        import fcntl

        with contextlib.suppress(OSError):  # a disk that knows no locks
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        if mode != PRIVATE_FILE:
            os.fchmod(opened.fileno(), mode)
    return opened


def is_held(file: Path) -> bool:
    """Whether a process is just writing a file that it `created`. Windows lets nobody remove such a file anyway."""
    if os.name == "nt":
        return False
    import fcntl

    try:
        with file.open("rb") as opened:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    except OSError:
        return False
    return False


@contextlib.contextmanager
def _written(file: Path, data: bytes, mode: int) -> Iterator[None]:
    """Writes a file that was not there, down to the disk, and holds it until it has its name."""
    with created(file, mode) as opened:
        opened.write(data)
        _finish(opened)
        yield


def _finish(opened: BinaryIO) -> None:
    """Brings what was written to the disk, and the file into a state in which it can be renamed."""
    opened.flush()
    os.fsync(opened.fileno())
    if os.name == "nt":  # where nothing is renamed that is open
        opened.close()


def _mode_of(path: Path) -> int:
    """The permissions of what will be written at `path`."""
    try:
        found = path.lstat().st_mode
    except OSError:
        return PRIVATE_FILE
    return stat.S_IMODE(found) & 0o777 if stat.S_ISREG(found) else PRIVATE_FILE


def read_plain(file: Path, most: int) -> bytes:
    """The bytes of a plain file, or of one that a link leads to. Raises OSError, also for a pipe or a device, which
    need never end, and for a file of more than `most` bytes."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)  # a pipe must not make it wait
    with open(os.open(file, flags), "rb") as opened:  # noqa: PTH123 - by a handle: what is asked is what is read
        if not stat.S_ISREG(os.fstat(opened.fileno()).st_mode):
            raise OSError(errno.EINVAL, "it is no plain file")
        data = opened.read(most + 1)
    if len(data) > most:
        raise OSError(errno.EFBIG, f"it has more than {most:,} bytes")
    return data


def move_file(source: Path, target: Path, sync: bool = True) -> bool:
    """Moves the file `source` to `target` with its time; False, and nothing done, if anything has that name already.

    At no moment, not in a power cut either, are the bytes nowhere: the file has both names before it loses the old
    one. On another disk it is copied, and the copy read again, before. Raises StorageError, with the file at `source`
    and no temporary left behind; killed, it may leave the file at both places, or a `HALF_WRITTEN` beside `target`.
    Who moves many into a folder says not to `sync`, and calls `sync_folder` after the last: it costs as much for all.
    """
    try:
        try:
            named = _name(source, target)
        except OSError as error:
            if error.errno != errno.EXDEV:
                raise
            named = _copy(source, target)
        if named:
            if sync:
                sync_folder(target.parent)
            with contextlib.suppress(FileNotFoundError):  # it was renamed
                os.unlink(source)  # noqa: PTH108 - like its fellows below, the call whose effect is documented
    except OSError as error:
        raise storage_error(target, error) from error
    return named


def copy_file(source: Path, target: Path) -> bool:
    """Puts a copy of `source`, with its time, at `target`, whole and read again; False, and nothing done, if anything
    has that name already. Raises StorageError."""
    try:
        copied = _copy(source, target)
    except OSError as error:
        raise storage_error(target, error) from error
    sync_folder(target.parent)
    return copied


def _name(source: Path, target: Path) -> bool:
    """Gives the file at `source` the name `target` too, or instead on a disk that knows no two names of one file (FAT,
    exFAT). False if something has it."""
    try:
        os.link(source, target)  # in one step, and only if nothing has that name
    except FileExistsError:
        return False
    except OSError as error:
        if error.errno not in _NO_LINKS:
            raise
        if os.path.lexists(target):
            return False
        os.rename(source, target)  # noqa: PTH104
    return True


def _copy(source: Path, target: Path) -> bool:
    """Puts a copy of `source` at `target`, whole and read again. False if something is there."""
    temporary = temporary_file(target)
    try:
        with source.open("rb") as old, created(temporary) as new:
            shutil.copyfileobj(old, new, _PART)
            new.flush()
            os.fsync(new.fileno())
        keep_times(temporary, source.stat())
        if not same_bytes(source, temporary):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        return _name(temporary, target)
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def keep_times(file: Path, times: os.stat_result) -> None:
    """Gives `file` the times of another, as far as its disk can hold them: a date of the year 2300 or 1600 is worth no
    photo."""
    with contextlib.suppress(OSError, OverflowError):
        os.utime(file, ns=(times.st_atime_ns, times.st_mtime_ns))


_NO_LINKS = frozenset(
    {errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EINVAL}
)
"""What disks say that cannot give a file a second name; where it is something else, the rename fails as well."""


def same_bytes(one: Path, other: Path) -> bool:
    """Whether two files hold the same. Raises OSError."""
    with one.open("rb") as first, other.open("rb") as second:
        while True:
            part = first.read(_PART)
            if part != second.read(_PART):
                return False
            if not part:
                return True


def temporary_file(path: Path) -> Path:
    """A name beside `path` for what will become it, matched by `HALF_WRITTEN`."""
    return path.parent / f".mien-{secrets.token_hex(8)}.tmp"


def make_folder(folder: Path, mode: int = PRIVATE_FOLDER) -> None:
    """Makes `folder` and those above it that are missing, with these permissions; one that exists is fine. Raises
    StorageError."""
    if is_folder(folder):
        return
    make_folder(folder.parent, mode)  # not by mkdir: each must be there after a power cut, or what is moved in is not
    try:
        folder.mkdir(mode, exist_ok=True)
    except OSError as error:
        raise storage_error(folder, error) from error
    sync_folder(folder.parent)


def storage_error(path: Path, error: OSError) -> StorageError:
    """What to tell somebody whose `path` could not be written because of `error`."""
    reason, remedy = _REASONS.get(error.errno or 0, (error.strerror or str(error), _CHECK_DISK))
    return StorageError(str(path), f"could not be written: {reason}", remedy)


def opening_error(path: Path | str, error: OSError) -> StorageError:
    """What to tell somebody whose `path` could not be opened, or even looked at, because of `error`."""
    denied = error.errno in (errno.EACCES, errno.EPERM)
    why = _REASONS[errno.EACCES][0] if denied else error.strerror or str(error)
    return StorageError(str(path), f"cannot be opened: {why}", _CHECK_PERMISSIONS if denied else _CONNECT)


def is_too_long(error: StorageError) -> bool:
    """Whether only the length of a name or path was in the way: another file of the same batch may do."""
    return isinstance(error.__cause__, OSError) and error.__cause__.errno == errno.ENAMETOOLONG


def is_there(path: Path) -> bool:
    """Whether anything has this name, be it a link to nothing. Raises StorageError where the system does not say, as
    for lack of permission or because a share is away: what cannot be looked at is not gone."""
    return _mode(path, follow=False) is not None


def is_folder(path: Path) -> bool:
    """Whether it is a folder, or a link to one. Raises as `is_there` does."""
    return stat.S_ISDIR(_mode(path) or 0)


def is_file(path: Path) -> bool:
    """Whether it is a plain file, or a link to one. Raises as `is_there` does."""
    return stat.S_ISREG(_mode(path) or 0)


def _mode(path: Path, follow: bool = True) -> int | None:
    """The mode of what is there; None for nothing. `Path.exists` and its like take some errors for "no", and which
    ones hangs on the version of Python."""
    try:
        return path.stat(follow_symlinks=follow).st_mode
    except (FileNotFoundError, NotADirectoryError, ValueError):  # ValueError: a zero byte, which no name has
        return None
    except OSError as error:
        if error.errno == errno.ELOOP:  # links in a circle lead to nothing
            return None
        raise opening_error(path, error) from error


def entries(folder: Path) -> list[Path]:
    """What lies in a folder, sorted; nothing if there is no such folder. Raises StorageError if it cannot be listed."""
    try:
        return sorted(folder.iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    except OSError as error:
        raise opening_error(folder, error) from error


def sync_folder(folder: Path) -> None:
    """Lets the new name survive a power cut too. Windows and some network drives cannot; the file is whole anyway."""
    if os.name == "nt":
        return
    with contextlib.suppress(OSError):
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)


def remove_file(file: Path) -> None:
    """Deletes `file`; no harm if it is gone. Raises StorageError."""
    try:
        file.unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(file, error) from error


def remove_empty(folder: Path) -> None:
    """Removes `folder` and those in it, as far as nothing is left in them."""
    for here, _, _ in os.walk(folder, topdown=False):
        with contextlib.suppress(OSError):
            os.rmdir(here)  # noqa: PTH106 - refused while there is something in it


def is_hollow(folder: Path) -> bool:
    """Whether `folder` is there, and nothing but folders is in it."""
    below = os.walk(folder)
    return is_there(folder) and not any(
        files or any(Path(here, name).is_symlink() for name in folders) for here, folders, files in below
    )
