"""Who is at work in an album, or in another folder of mien's: one command that writes at a time."""

from __future__ import annotations

import contextlib
import json
import os
import socket
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path

from mien.errors import BusyError, StorageError
from mien.storage.files import PRIVATE_FILE, make_folder, storage_error, write_atomically
from mien.storage.layout import Layout


def lock(layout: Layout, command: str) -> contextlib.AbstractContextManager[None]:
    """Holds the album for a command that writes, as `locked` does."""
    return locked(layout.lock_file, str(layout.folder), command)


@contextlib.contextmanager
def locked(file: Path, about: str, command: str) -> Iterator[None]:
    """Holds the lock `file` of what is called `about`. Raises BusyError, saying who holds it, and StorageError.

    The lock is the operating system's, so it ends with the process, however that ends. Who holds it stands in a file
    beside it (Windows lets nobody read the locked file itself), believed only while the lock is held.
    """
    import filelock  # 0.07 s, and a command that only reads locks nothing

    make_folder(file.parent)
    held = filelock.FileLock(file, mode=PRIVATE_FILE)
    try:
        held.acquire(timeout=0)
    except filelock.Timeout:
        raise BusyError(
            about, f"is in use by {_holder(_card(file))}", "Wait until that is done, then try again."
        ) from None
    except OSError as error:
        raise storage_error(file, error) from error
    except NotImplementedError as error:  # what filelock makes of a disk that answers ENOSYS
        raise StorageError(str(file), "cannot be locked: this disk knows no locks", "Use another disk.") from error
    try:
        holder = {
            "pid": os.getpid(),
            "host": socket.gethostname(),
            "command": command,
            "since": datetime.now(UTC).isoformat(timespec="seconds"),
        }
        write_atomically(_card(file), json.dumps(holder).encode())
        yield
    finally:
        with contextlib.suppress(OSError):
            _card(file).unlink(missing_ok=True)
        held.release()


def _card(lock_file: Path) -> Path:
    """Where the holder of the lock is named."""
    return lock_file.with_suffix(".json")


def _holder(card: Path) -> str:
    """The process that is named there, or less if it has not written that yet."""
    try:
        holder = json.loads(card.read_bytes())
        return f'"{holder["command"]}" (process {holder["pid"]} on {holder["host"]}, since {holder["since"]})'
    except (OSError, ValueError, KeyError, TypeError):
        return "another run of mien"


def hold(file: Path) -> Callable[[], None]:
    """Holds a `file` that was not there, by which others see that this process lives; what lets it go. However the
    process ends, `is_held` says so. Raises StorageError."""
    import filelock

    held = filelock.FileLock(file, mode=PRIVATE_FILE, thread_local=False)  # another thread may let it go
    try:
        held.acquire(timeout=0)
    except OSError as error:
        raise storage_error(file, error) from error

    def let_go() -> None:
        held.release()
        with contextlib.suppress(OSError):
            file.unlink(missing_ok=True)

    return let_go


def is_held(file: Path) -> bool:
    """Whether the process lives that holds a `file`. One that is held no longer goes."""
    import filelock

    if not file.exists():
        return False
    try:
        with filelock.FileLock(file, timeout=0, mode=PRIVATE_FILE):
            pass
    except filelock.Timeout:
        return True
    except OSError:
        return False  # it went in this moment
    with contextlib.suppress(OSError):
        file.unlink(missing_ok=True)
    return False
