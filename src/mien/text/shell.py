"""Paths and commands as somebody can type them: quoted as the shell of this system does."""

from __future__ import annotations

import os
import shlex
from pathlib import PurePath


def quoted(word: str | PurePath) -> str:
    """`word` as one word for the shell: cmd and PowerShell on Windows, POSIX elsewhere; as it is where it needs no
    quotes."""
    if os.name == "nt":
        import subprocess  # 5 ms, and only Windows needs it here

        return subprocess.list2cmdline([str(word)])
    return shlex.quote(str(word))


def command(album: PurePath | None, *words: str | PurePath) -> str:
    """The command of mien that does `words` in the folder `album`; None leaves the album out. Without words it is how
    each command in that album begins."""
    place = () if album is None else ("-C", album)
    return " ".join(["mien", *map(quoted, (*place, *words))])
