"""Eyes whose photos are seen by an engine, on whichever machine it has room.

They are asked as all eyes are, from many threads, and each question is one item for the engine. A photo that is given
by its path is read where it is seen if the same file lies there; otherwise its bytes are sent.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from pathlib import Path
from tempfile import gettempdir
from typing import Self

from mien.errors import PhotoError
from mien.protocols import Elsewhere
from mien.seeing.apart import EyesApart
from mien.seeing.eyes import Eyes
from mien.seeing.tasks import EyesAs, facts_of
from mien.text.photos import PhotoFault
from mien.types import Picture, SeenPhoto
from mien.vision.decoding import printable
from mien.vision.images import decode, read_bytes


@dataclass(frozen=True, slots=True)
class _File:
    """A photo by its path, with the size and the time by which it is known elsewhere."""

    path: Path
    stamp: tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Read:
    """A photo by what reads it, and what errors call it."""

    read: Callable[[], Picture]
    name: str


@dataclass(frozen=True, slots=True)
class SeeAnywhere:
    """Sees a photo of no album. None where the file is not there, or is another."""

    open: Callable[[], Eyes]

    def do(self, tool: Eyes, item: _File | _Read) -> SeenPhoto | PhotoError | None:
        if isinstance(item, _Read):
            return tool.see_read(item.read, item.name)
        return tool.see_file(item.path) if _stamp(item.path) == item.stamp else None

    def facts(self) -> dict[str, str]:
        return facts_of(self.open())


@dataclass(frozen=True)
class EyesElsewhere(Eyes):
    """Eyes that the engine has others like, which `opening` makes."""

    engine: Elsewhere = field(kw_only=True)
    opening: EyesAs = field(kw_only=True)

    @classmethod
    def of(cls, eyes: Eyes, opening: EyesAs, engine: Elsewhere) -> Self:
        """Eyes that see as these do."""
        own = {one.name: getattr(eyes, one.name) for one in fields(Eyes)}
        return cls(**own, opening=opening, engine=engine)

    def see_file(self, file: Path) -> SeenPhoto | PhotoError:
        stamp = _stamp(file)
        if stamp is None:
            return super().see_file(file)  # which says why it cannot be opened
        answer = self.engine.ask(SeeAnywhere(self.opening), _File(file.absolute(), stamp))
        if not answer:
            with EyesApart(self.opening.make, self.opening.choice, self.tracebacks or Path(gettempdir())) as apart:
                return apart.see_file(file)[0]
        (seen,) = answer
        if isinstance(seen, PhotoError):  # of its whole path
            return PhotoError(printable(file), seen.fault, seen.figures, seen.sha256)
        if seen is None:
            try:
                data = read_bytes(file)
            except PhotoError as error:
                return type(error)(*error.args)
            return self.see_read(partial(decode, data, printable(file), least_scale=self.least_scale), str(file))
        return seen

    def see_read(self, read: Callable[[], Picture], name: str) -> SeenPhoto | PhotoError:
        answer = self.engine.ask(SeeAnywhere(self.opening), _Read(read, name))
        return (answer and answer[0]) or PhotoError(name, PhotoFault.STOPS_MIEN)


def _stamp(file: Path) -> tuple[int, int] | None:
    """The size of a file in bytes, and when it was changed; None where there is none."""
    try:
        found = file.stat()
    except (OSError, ValueError):
        return None
    return found.st_size, found.st_mtime_ns
