"""What goes wrong, as HTTP tells it: one problem (RFC 9457), whatever raised it.

Routes raise `Problem`, or let errors of mien through. `as_problem` makes one of anything; how it looks on the wire is
the affair of each API (`mien.server.app`): problem+json under /v1, CompreFace's and DeepStack's own shapes elsewhere.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from http import HTTPStatus
from types import MappingProxyType

from mien.errors import (
    AlbumError,
    BusyError,
    EmptyAlbumError,
    EncoderError,
    EngineError,
    MienError,
    MissingExtraError,
    ModelError,
    NoFaceError,
    PhotoError,
    StorageError,
    UsageError,
)

TYPE = "urn:mien:problem:"
"""What the `type` of a problem begins with; its kind follows."""

RETRY_SECONDS = 5
"""Seconds after which somebody who was turned away may ask again."""


class Problem(Exception):  # noqa: N818  # the word of RFC 9457
    """`kind` is one word for programs ("no-face"), `what` a sentence, `remedy` what to do. `figures` are further
    members of the answer, `headers` are HTTP's."""

    def __init__(
        self,
        status: int,
        kind: str,
        what: str,
        remedy: str = "",
        figures: Mapping[str, object] = MappingProxyType({}),
        headers: Mapping[str, str] = MappingProxyType({}),
    ) -> None:
        super().__init__(status, kind, what, remedy)
        self.status, self.kind, self.what, self.remedy = status, kind, what, remedy
        self.figures, self.headers = dict(figures), dict(headers)

    def to_json(self, request_id: str) -> dict[str, object]:
        """The body of an application/problem+json."""
        return {
            "type": f"{TYPE}{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": f"{self.what} {self.remedy}".rstrip(),
            "request_id": request_id,
            **self.figures,
        }


def later(kind: str, what: str, seconds: int = RETRY_SECONDS) -> Problem:
    """A problem that goes by itself."""
    remedy = f"Ask again in {seconds} seconds."
    return Problem(HTTPStatus.SERVICE_UNAVAILABLE, kind, what, remedy, headers={"Retry-After": str(seconds)})


_PLACE = re.compile(r"(?<![\w:/.~])(?:[A-Za-z]:\\|/)(?:[^\s/\\'\"]+[/\\])+")
"""Where a file lies, without its name: an absolute path but for the last part."""

_OF_ERRORS: tuple[tuple[type[MienError], HTTPStatus, str], ...] = (
    (PhotoError, HTTPStatus.UNPROCESSABLE_ENTITY, "unreadable-picture"),
    (NoFaceError, HTTPStatus.UNPROCESSABLE_ENTITY, "no-face"),
    (EmptyAlbumError, HTTPStatus.CONFLICT, "empty-album"),
    (AlbumError, HTTPStatus.SERVICE_UNAVAILABLE, "album"),
    (ModelError, HTTPStatus.CONFLICT, "model"),
    (EncoderError, HTTPStatus.CONFLICT, "encoder"),
    (MissingExtraError, HTTPStatus.NOT_IMPLEMENTED, "not-installed"),
    (EngineError, HTTPStatus.SERVICE_UNAVAILABLE, "engine"),
    (StorageError, HTTPStatus.INSUFFICIENT_STORAGE, "storage"),
    (UsageError, HTTPStatus.UNPROCESSABLE_ENTITY, "refused"),
)
"""The status and the kind of each error; the first that fits."""


def as_problem(error: Exception, folder: str = "") -> Problem:
    """The problem that any exception is. Paths below `folder`, the album's, lose it: who asks over HTTP learns nothing
    of the disk. An error that mien did not foresee says nothing of itself at all."""
    if isinstance(error, Problem):
        return error
    if isinstance(error, BusyError):
        return later("busy", "The album is in use by another run.")
    for kind, status, word in _OF_ERRORS:
        if isinstance(error, kind):
            return Problem(status, word, placeless(error.message, folder), placeless(error.remedy, folder))
    if isinstance(error, MienError):
        said, remedy = placeless(error.message, folder), placeless(error.remedy, folder)
        return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "refused", said, remedy)
    remedy = "The server's log has the traceback under the request's id."
    return Problem(HTTPStatus.INTERNAL_SERVER_ERROR, "internal", "mien made a mistake.", remedy)


def placeless(text: str, folder: str) -> str:
    """A text without paths of the disk: of what lies in the `folder` of the album its place there is left, of anything
    else the last part."""
    if folder:
        text = text.replace(f"mien -C {folder} ", "mien ").replace(f"{folder}/", "")
        text = (text.replace(folder, "The album", 1) if text.startswith(folder) else text).replace(folder, "the album")
    return _PLACE.sub("", text)
