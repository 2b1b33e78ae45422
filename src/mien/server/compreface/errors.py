"""What goes wrong, as CompreFace tells it: {"message", "code"}, with CompreFace's codes and statuses.

The codes are those of CompreFace 1.2 (its CommonExceptionCode). A code of 0 is CompreFace's "undefined": clients then
show the message.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import Final

from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mien.server.problems import Problem

PREFIX: Final = "/api/v1"
"""What the addresses of this API begin with."""

_SAID: Final[dict[str, tuple[int, int]]] = {
    "no-key": (20, 400),
    "key-unknown": (10, 404),
    "key-revoked": (10, 404),
    "key-expired": (10, 404),
    "key-in-address": (26, 400),
    "scope": (1, 403),
    "no-image": (11, 404),
    "unreadable-picture": (21, 400),
    "parameter": (26, 400),
    "refused": (26, 400),
    "no-face": (28, 400),
    "many-faces": (31, 400),
    "no-parameter": (33, 400),
    "empty": (34, 400),
    "no-picture": (34, 400),
    "malformed": (36, 400),
    "internal": (41, 500),
    "no-subject": (42, 404),
    "subject-exists": (43, 400),
}
"""CompreFace's code and status for the kind of a problem."""


def told(request: Request, problem: Problem) -> Response:
    """A problem as CompreFace has it; what CompreFace has no code for keeps its status."""
    code, status = _SAID.get(problem.kind, (0, problem.status))
    return JSONResponse({"message": f"{problem.what} {problem.remedy}".rstrip(), "code": code}, status)


def no_face() -> Problem:
    """Clients know this one by its code, and some by its words, which are CompreFace's."""
    return Problem(HTTPStatus.BAD_REQUEST, "no-face", "No face is found in the given image")


def many_faces(count: int) -> Problem:
    """One face was needed."""
    what = f"There is more than one face in the given image: {count}."
    return Problem(HTTPStatus.BAD_REQUEST, "many-faces", what, "Cut one out, or choose another picture.")


def no_subject(name: str) -> Problem:
    """Nobody is called so."""
    return Problem(HTTPStatus.NOT_FOUND, "no-subject", f"The subject {name} does not exist.")


def subject_exists(name: str) -> Problem:
    """Somebody is called so already."""
    return Problem(HTTPStatus.BAD_REQUEST, "subject-exists", f"The subject {name} exists already.")


def no_image(image_id: str) -> Problem:
    """No photo has this id."""
    return Problem(HTTPStatus.NOT_FOUND, "no-image", f"The image {image_id} is not there.")


def no_parameter(name: str) -> Problem:
    """A parameter is missing that must be there."""
    return Problem(HTTPStatus.BAD_REQUEST, "no-parameter", f'The parameter "{name}" is missing.')


def wrong_parameter(name: str, value: str, needed: str) -> Problem:
    """A parameter, or a part of the body, is not as it must be."""
    what = f'"{name}" is {value[:80]!r}.'
    return Problem(HTTPStatus.BAD_REQUEST, "parameter", what, f"It must be {needed}.")
