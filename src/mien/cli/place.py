"""The album that a command works in, as the command line names it, or where the command was started."""

from __future__ import annotations

import copy
import enum
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from mien.cli.console import commands_for, printable, tell
from mien.errors import UsageError
from mien.storage.layout import is_album, own_album_around
from mien.text.shell import command

if TYPE_CHECKING:
    from mien import Album
    from mien.open_album import EyesFor
    from mien.protocols import Progress

NAMED = "mien.album"
"""Where the context of a command keeps what -C names, wherever among the words it stood."""

_OPENED = "mien.opened"
WITHOUT = ("init", "convert")
"""Commands that work in no album."""


class EngineName(enum.StrEnum):
    local = "local"
    dask = "dask"


Engine = Annotated[
    EngineName | None,
    typer.Option(help="What looks at the photos, instead of mien.toml's: this process, or Dask.", show_default=False),
]
Scheduler = Annotated[
    str | None,
    typer.Option(
        metavar="ADDRESS",
        help="The scheduler of Dask, tcp://HOST:8786; without one Dask runs on this machine.",
        show_default=False,
    ),
]
"""Flags of commands that look at many photos, which have them as the parameters `engine` and `scheduler`."""
_FLAGS = ("engine", "scheduler")


@dataclass(frozen=True, slots=True)
class Place:
    """What -C `named`, None where it was not given; `eyes` is for tests, which see by other means (see `Album`)."""

    named: Path | None = None
    eyes: EyesFor | None = None

    @property
    def folder(self) -> Path:
        """The album that is named; otherwise that in which the current folder lies, where it is none itself."""
        if self.named is not None:
            return self.named
        here = Path()
        return here if is_album(here) else own_album_around(here) or here


def place(context: typer.Context) -> Place:
    """Where the command works."""
    found = context.obj or Place()
    assert isinstance(found, Place)
    return replace(found, named=named(context))


def named(context: typer.Context) -> Path | None:
    """What -C names, also while a shell asks how a line could go on."""
    found = context.meta.get(NAMED) or context.find_root().params.get("album")
    assert found is None or isinstance(found, Path)
    return found


def opened(context: typer.Context, progress: Progress | None = None, **settings: Any) -> Album:
    """The album there; `settings` are the command's flags, beside those that say what looks at its photos. What had to
    be settled before the command could do its work is told at its end, and which album it is where the command line
    does not say so and it is not the current folder."""
    from mien import Album

    here = place(context)
    folder = here.folder
    settings |= {name: str(given) for name in _FLAGS if (given := context.params.get(name)) is not None}
    album = Album(folder, eyes=here.eyes, progress=progress, **settings)
    if not context.meta.get(_OPENED):
        context.meta[_OPENED] = True
        commands_for(album.folder, here.named)
        if here.named is None and folder != Path() and not context.params.get("quiet"):
            tell(f"In the album {printable(str(folder))}")
    context.call_on_close(lambda: _tell(album))
    return album


def _tell(album: Album) -> None:
    for finding in album.settled:
        tell(printable(finding.line))


def take_album_anywhere(group: Any) -> None:
    """Lets each command below `group`, the program, take -C too: it may stand before the command and after it."""
    album = next(one for one in group.params if one.name == "album")
    for each in _below(group):
        if each.name not in WITHOUT:
            again = copy.copy(album)
            again.expose_value, again.callback = False, _again
            each.params.append(again)


def _below(group: Any) -> Iterator[Any]:
    for each in group.commands.values():
        yield each
        if hasattr(each, "commands"):
            yield from _below(each)


def _again(context: typer.Context, _: object, folder: Path | None) -> None:
    """Keeps what -C names after the command. Raises UsageError where it names another album before."""
    if folder is None:
        return
    before = context.meta.get(NAMED) or folder
    context.meta[NAMED] = folder
    if before != folder:
        both = f"{command(before)} and {command(folder)}"
        raise UsageError(both.replace("mien ", ""), "name two albums", "Name the one that is meant.")
