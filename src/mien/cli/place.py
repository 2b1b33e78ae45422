"""The album that a command works in, as the command line names it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from mien.cli.console import printable, tell

if TYPE_CHECKING:
    from mien import Album
    from mien.open_album import EyesFor
    from mien.protocols import Progress


@dataclass(frozen=True, slots=True)
class Place:
    """What -C names; `eyes` is for tests, which see by other means (see `Album`)."""

    folder: Path = Path()
    eyes: EyesFor | None = None


def place(context: typer.Context) -> Place:
    """Where the command works."""
    found = context.obj
    assert isinstance(found, Place)
    return found


def opened(context: typer.Context, progress: Progress | None = None, **settings: Any) -> Album:
    """The album there; `settings` are the command's flags. What had to be settled before the command could do its work
    is told at its end."""
    from mien import Album

    here = place(context)
    album = Album(here.folder, eyes=here.eyes, progress=progress, **settings)
    context.call_on_close(lambda: _tell(album))
    return album


def _tell(album: Album) -> None:
    for finding in album.settled:
        tell(printable(finding.line))
