"""The tracebacks of tools that somebody else made: whatever such a tool raises becomes one error that names a file."""

from __future__ import annotations

import contextlib
import hashlib
import os
import tempfile
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from mien.errors import MienError, ToolError
from mien.storage import leftovers

PREFIX = "mien-traceback-"
MOST = 20
"""Tracebacks kept in a folder; the oldest go first. The same error in a thousand photos is one traceback."""

LONGEST = 200
"""Letters of a tool's own words in a message; the traceback has them all."""


@contextmanager
def guarded(about: str, tool: object, folder: Path | None = None) -> Iterator[None]:
    """Turns what `tool` raises in the block into a ToolError, and keeps its traceback in `folder`.

    `about` names the tool and what it is, as the subject of a sentence: "The detector x-1". `tool` is an object or a
    function. Errors of mien pass as they are, as they are what a tool may raise. So does everything that one of mien's
    own tools raises: a mistake in mien is to be seen as one. `folder` None is the system's folder for temporary files.
    """
    try:
        yield
    except MienError:
        raise
    except (Exception, SystemExit) as error:  # a plug-in may call sys.exit, which would end all other work silently
        if str(getattr(tool, "__module__", "")).partition(".")[0] == "mien":
            raise
        said = " ".join("".join(traceback.format_exception_only(error)).split())
        said = said if len(said) <= LONGEST else f"{said[:LONGEST]}…"
        file = keep_traceback(folder, error)
        where = f"its traceback is in {file}" if file else "its traceback could not be kept"
        raise ToolError(
            about, f"failed ({said.rstrip('.')}); {where}", "Report it to whoever made that tool, with the traceback."
        ) from error


def keep_traceback(folder: Path | None, error: BaseException) -> Path | None:
    """Writes the traceback of `error` into a file in `folder` that only its owner may read, and returns the file.

    Where `folder` is None or cannot be written to, the file lies in the system's folder for temporary files; None if
    that cannot be written to either. Files older than `leftovers.DAYS` days go, and so do all but the `MOST` newest.
    """
    data = "".join(traceback.format_exception(error)).encode("utf-8", "backslashreplace")
    name = f"{PREFIX}{hashlib.sha256(data).hexdigest()[:16]}.txt"
    for place in (folder, None):
        with contextlib.suppress(OSError):
            chosen = place or Path(tempfile.gettempdir())
            chosen.mkdir(mode=0o700, parents=True, exist_ok=True)
            _write(chosen / name, data)
            remove_old(chosen)
            return chosen / name
    return None


def remove_old(folder: Path) -> None:
    """Removes the tracebacks in `folder` that are older than `leftovers.DAYS` days, and all but the `MOST` newest."""
    leftovers.remove_old(folder, f"{PREFIX}*.txt", MOST)


def _write(file: Path, data: bytes) -> None:
    """Puts `data` at `file` unless the same is there already. In a folder that everybody may write to, somebody else's
    file is neither followed nor taken for ours."""
    if file.is_file() and file.read_bytes() == data:
        os.utime(file)  # it is among the newest again
        return
    file.unlink(missing_ok=True)
    with contextlib.suppress(FileExistsError):  # another thread has just met with the same error
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with open(handle, "wb") as opened:  # noqa: PTH123 - of a handle
            opened.write(data)
