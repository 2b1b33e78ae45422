"""Why a network's file is refused, said by a reader that does not know which file it reads."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from mien.errors import EncoderError


class RefusalError(Exception):
    """`what` and `remedy` as in `mien.errors.MienError`; what the file is called is added by `refusing`."""

    def __init__(self, what: str, remedy: str) -> None:
        super().__init__(what, remedy)
        self.what, self.remedy = what, remedy


@contextmanager
def refusing(about: str) -> Iterator[None]:
    """Turns a RefusalError raised within into an EncoderError about this file."""
    try:
        yield
    except RefusalError as refusal:
        raise EncoderError(about, refusal.what, refusal.remedy) from None
