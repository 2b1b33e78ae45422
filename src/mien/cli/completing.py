"""How a command line could go on: what a shell is told of people, models, sources and encoders when Tab is pressed."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Callable, Iterable
from pathlib import Path

import typer

from mien.cli.place import place


def _words(of_album: Callable[[Path], Iterable[str]]) -> Callable[[typer.Context], list[str]]:
    """What typer asks for the words that `of_album` has, of which it takes those that begin as the one that is being
    typed. Whatever is wrong with an album, a shell is told nothing of it."""

    def complete(context: typer.Context) -> list[str]:
        with contextlib.suppress(Exception):
            return list(of_album(place(context).folder))
        return []

    return complete


def _people(folder: Path) -> list[str]:
    from mien.storage.layout import TRAINING
    from mien.storage.walk import people_in

    return people_in(folder / TRAINING)


def _versions(folder: Path) -> list[str]:
    """By their folders' names, the newest first."""
    found = (one.name for one in (folder / "models").iterdir() if one.is_dir())
    return sorted((name for name in found if re.fullmatch(r"\d{4}-\d\d-\d\d-\d+", name)), reverse=True)


def _sources(folder: Path) -> list[str]:
    import tomllib

    from mien.text.names import FILE_NAME

    return list(tomllib.loads((folder / FILE_NAME).read_text("utf-8-sig")).get("sources", {}))


def _encoders(_: Path) -> list[str]:
    from mien import list_encoders

    return [one.name for one in list_encoders()]


def _keys(folder: Path) -> list[str]:
    """Those that can be revoked."""
    from mien import Album

    found = Album(folder).keys()
    return [key.name for key in found if key.revoked is None]


people = _words(_people)
versions = _words(_versions)
sources = _words(_sources)
encoders = _words(_encoders)
keys = _words(_keys)
