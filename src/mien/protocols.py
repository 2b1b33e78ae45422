"""The sockets: what a tool must answer to be used by mien. Built-in tools live by these rules and by no others.

A tool names itself by `id`; the id changes whenever its numbers would, because results are remembered under it.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping, Sequence
from typing import Protocol, TypeVar, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from mien.errors import FetchError
from mien.types import Alignment, Box, Cosines, Face, Floats, LeastQuality, Offer, Page, Pixels, Receipt

Tool = TypeVar("Tool")
Item = TypeVar("Item")
Result = TypeVar("Result")
Made = TypeVar("Made")
ItemIn = TypeVar("ItemIn", contravariant=True)
ResultOut = TypeVar("ResultOut", covariant=True)


class Detector(Protocol):
    """Finds faces."""

    @property
    def id(self) -> str: ...

    def detect(self, pixels: Pixels) -> list[Face]:
        """All faces in `pixels` (HxWx3 uint8 RGB), best score first, in pixels of exactly this image."""
        ...


class Landmarker(Protocol):
    """Places five points in a face whose square is known."""

    @property
    def id(self) -> str: ...

    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        """(N, 5, 2) float32 for N boxes: dlib's parts 0..4, which are the subject's left eye, outer and inner corner,
        the right eye's, and the base of the nose."""
        ...


class Encoder(Protocol):
    """Turns chips into embeddings, and says how a chip must be cut for it."""

    @property
    def id(self) -> str: ...

    @property
    def weights_sha256(self) -> str:
        """The SHA-256 (hex) of what it computes with."""
        ...

    @property
    def size(self) -> int:
        """Side of a chip, pixels."""
        ...

    @property
    def dimensions(self) -> int:
        """Numbers in an embedding."""
        ...

    @property
    def alignment(self) -> Alignment:
        """How its chips are cut."""
        ...

    @property
    def cosines(self) -> Cosines | None:
        """What is true of the cosines between its embeddings, as `tools/fit_defaults.py` measures it; None where nobody
        did, and each album measures its own people."""
        ...

    @property
    def least(self) -> LeastQuality:
        """What a face must be like for its embedding to tell a name."""
        ...

    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        """(N, dimensions) float32 for (N, size, size, 3) uint8 RGB; raw, as the network gives them. A row depends on
        its chip alone."""
        ...


class Head(Protocol):
    """Scores an embedding against every person. Fitted elsewhere; immutable."""

    @property
    def people(self) -> tuple[str, ...]: ...

    def scores(self, embeddings: Floats) -> Floats:
        """(N, P) float32: a score of each unit embedding (N, D) for each person, in the order of `people`, on the scale
        of cosines; see `mien.learning.head`."""
        ...


class Sink(Protocol):
    """Where the bytes of one photo go. Bounded: `write` raises FetchError (kind "too-large") beyond its limit."""

    @property
    def size(self) -> int:
        """Bytes written so far."""
        ...

    def write(self, data: bytes) -> None: ...

    def restart(self) -> None:
        """Forgets what was written, for another attempt from the beginning."""
        ...


class Web(Protocol):
    """The one way to what HTTP serves: polite (robots.txt, delays, limits per host), bounded, and only to hosts and
    addresses that the source may reach. All methods may be called from several threads and raise FetchError."""

    def page(self, url: str) -> Page:
        """A listing: HTML, a feed, a manifest. At most 32 MiB."""
        ...

    def picture(self, url: str, into: Sink, since: str) -> Receipt | None:
        """Writes the bytes at `url` to `into`; None, and nothing written, where they are as `since` (an earlier
        receipt's stamp, "" for none) says."""
        ...


class Source(Protocol):
    """Says which photos there are and whom they show, and hands them out. It names people as somebody else has filed
    them, and never by their faces."""

    def offers(self) -> Iterator[Offer | FetchError]:
        """Every photo there is, in an order that stays, each `location` once for a person; an error for a part of the
        listing that could not be read. Called from one thread; may take long. Raises SourceError where nothing can be
        listed."""
        ...

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        """Writes the bytes of an offered photo to `into`; None, and nothing written, where it is as `since` (an
        earlier receipt's stamp, "" for none) says. Called from several threads. Raises FetchError."""
        ...


@runtime_checkable
class Paged(Protocol):
    """A `Source` whose listing has pages, and that can go on where the time of an earlier run was over. Both are called
    from the thread that asks for its offers."""

    def unread(self) -> tuple[str, ...]:
        """Where the listing begins, then the page whose photos are being offered, then the pages that are known and
        still to be read, the next one first; in words of the source's own."""
        ...

    def go_on(self, unread: Sequence[str]) -> None:
        """Has `offers` read what was `unread` in an earlier run right after the page at which it begins, and the other
        pages last. What was unread of a listing that begins elsewhere is passed over. Called before `offers`."""
        ...


class Task(Protocol[Tool, ItemIn, ResultOut]):
    """What is done with each of many items: a small frozen value, which can be pickled for another process."""

    @property
    def open(self) -> Callable[[], Tool]:
        """Makes the tool, once for each thread that works; a small value, too, and the same for all tasks that could
        share a tool."""
        ...

    def do(self, tool: Tool, item: ItemIn) -> ResultOut:
        """The result for an item."""
        ...

    def facts(self) -> Mapping[str, str]:
        """What has to be the same in every process that does this, by what it is: where one differs, so might the
        results. Raises MienError where it cannot be done here."""
        ...


class Engine(Protocol):
    """Does a task with many items, of which a bounded number is in flight."""

    def run(
        self,
        task: Task[Tool, Item, Result],
        items: Iterable[Item],
        then: Callable[[Item, Result], Made],
        give_up: Callable[[Item], None],
    ) -> Generator[Sequence[tuple[Item, Made]]]:
        """Yields (item, then(item, result)) for every item, in blocks, as they finish.

        `then` is called in this process, maybe from several threads. An item that ends the processes which work on it
        does not come: `give_up` is told of it instead. An exception in a task is raised here; what was in flight is
        waited for or stopped before, also when the caller stops early. Raises EngineError.
        """
        ...

    def close(self) -> None:
        """Ends what was started."""
        ...


@runtime_checkable
class Elsewhere(Engine, Protocol):
    """An `Engine` that works in other processes than this one, which no item can stop."""

    def places(self) -> int:
        """How many items can be in flight. Raises EngineError."""
        ...

    def ask(self, task: Task[Tool, Item, Result], item: Item) -> Sequence[Result]:
        """The result for one item; nothing for one that ends the processes which work on it. Called from any number of
        threads. Raises what the task raises, and EngineError."""
        ...


class Progress(Protocol):
    """How long work tells how far it is; the null one in `mien.protocols` says nothing."""

    def start(self, title: str, total: int | None) -> None: ...

    def advance(self, steps: int = 1) -> None: ...

    def note(self, line: str) -> None:
        """A line that must be seen (a bad photo, say), printed above the bar."""
        ...

    def finish(self) -> None: ...


class Silent:
    """The null `Progress`: nothing is shown."""

    def start(self, title: str, total: int | None) -> None: ...

    def advance(self, steps: int = 1) -> None: ...

    def note(self, line: str) -> None: ...

    def finish(self) -> None: ...
