"""Long lists, a page at a time: a cursor says after what the next page begins.

A cursor is a place in the order of one list and nothing more: it is compared with, never opened or looked up. Whoever
makes one up gets another page of the list that they may read anyway.
"""

from __future__ import annotations

import base64
import json
from http import HTTPStatus
from typing import Annotated

from fastapi import Query

from mien.server.problems import Problem
from mien.text.names import is_unicode

MOST: int = 200
Limit = Annotated[int, Query(ge=1, le=MOST, description="Items on a page at most.")]
Cursor = Annotated[
    str | None,
    Query(max_length=2000, pattern=r"^[A-Za-z0-9_-]*$", description="`next` of the page before; none: the first."),
]


def after(kind: str, cursor: str | None) -> str:
    """The place of which a cursor tells, "" for none. Raises Problem for one that was given for another list, or by
    nobody."""
    if not cursor:
        return ""
    try:
        found = json.loads(base64.urlsafe_b64decode(cursor + "=" * (-len(cursor) % 4)))
    except (ValueError, RecursionError):
        found = None
    match found:
        case [str(its), str(place)] if its == kind and is_unicode(place):
            return place
    remedy = "Send the cursor that came with the page before, or none."
    raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "cursor", "The cursor is none of this list.", remedy)


def cursor_of(kind: str, place: str) -> str:
    """The cursor of a place in a list."""
    said = json.dumps([kind, place], ensure_ascii=False).encode("utf-8", "surrogatepass")
    return base64.urlsafe_b64encode(said).rstrip(b"=").decode()
