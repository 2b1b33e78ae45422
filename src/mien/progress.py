"""Progress that nobody watches: what the library uses when the caller brings none."""

from __future__ import annotations


class Silent:
    """The null `Progress`."""

    def start(self, title: str, total: int | None) -> None: ...

    def advance(self, steps: int = 1) -> None: ...

    def note(self, line: str) -> None: ...

    def finish(self) -> None: ...
