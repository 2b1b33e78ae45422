"""How a page of somebody else's is handed to a child process, and what it means when the child ends.

A page of a few kilobytes can keep a parser busy for hours or take all memory, by nesting, by a selector, by a regular
expression in a library. The system holds the child to its time and memory; the page that ends it costs itself.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mien.engines import children
from mien.engines.children import TaskEndedError
from mien.text.fetching import FetchFault

SECONDS, SECONDS_A_MEGABYTE = 8.0, 4.0
"""Seconds of computing that a page of up to two megabytes may take, and how many more for each further megabyte. The
slowest of honest pages, two megabytes of HTML, take half of that on a machine of 2020."""
_FREE = 2 << 20
"""Bytes of a page that are read in `SECONDS`."""

_ENDED = {
    "time": FetchFault.TOO_LONG,
    "hung": FetchFault.TOO_LONG,
    "too much memory": FetchFault.TOO_MUCH_MEMORY,
    "short of memory": FetchFault.SHORT_OF_MEMORY,
    "killed": FetchFault.KILLED,
}


class UnparsedError(Exception):
    """A page was not read to its end, for the reason `fault`."""

    def __init__(self, fault: FetchFault) -> None:
        super().__init__(fault)
        self.fault = fault


def parsed(task: str, about: Mapping[str, Any], page: bytes) -> dict[str, Any]:
    """What `task`, a function of this room ("feeds:task"), makes of a page. Raises UnparsedError."""
    seconds = SECONDS + SECONDS_A_MEGABYTE * max(0, len(page) - _FREE) / 2**20
    try:
        return children.ask(f"mien.parsing.{task}", about, page, seconds=seconds)[0]
    except TaskEndedError as error:
        raise UnparsedError(_ENDED.get(error.reason, FetchFault.BREAKS_PARSER)) from error
