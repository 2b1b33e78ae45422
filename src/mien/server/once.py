"""Requests that are sent again, as a client does that saw no answer: each is carried out once, and answered again.

A client gives a request an `Idempotency-Key` of its choice. The first request of this key is carried out, and its reply
kept for a day; whoever sends the same again gets the same reply.
"""

from __future__ import annotations

import asyncio
import json
import logging
from collections.abc import Callable, Coroutine
from datetime import datetime
from email.message import Message
from http import HTTPStatus
from typing import Annotated, Any, Final

from fastapi import Header
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from mien.errors import MienError
from mien.records.replies import Reply, fingerprint
from mien.server.bodies import whole
from mien.server.house import Asks, house_of, id_of
from mien.server.logs import tell
from mien.server.problems import Problem
from mien.text.access import RepeatKind, Scope

HEADER: Final = "idempotency-key"
AGAIN: Final = "Idempotent-Replay"
"""The header of a reply that was given before."""
LONGEST: Final = 200

_CONFLICTS = {
    RepeatKind.RUNNING: (HTTPStatus.CONFLICT, "still-running"),
    RepeatKind.INTERRUPTED: (HTTPStatus.CONFLICT, "interrupted"),
    RepeatKind.DIFFERENT: (HTTPStatus.UNPROCESSABLE_ENTITY, "key-used"),
}


def idempotent(
    _: Annotated[
        str | None,
        Header(
            alias="Idempotency-Key",
            min_length=1,
            max_length=LONGEST,
            pattern=r"^[\x21-\x7e]+$",
            description="A text of the client's choice, another for each change: a request that is sent again with the "
            "same one is carried out once, and answered as before.",
        ),
    ] = None,
) -> None:
    """A dependency by which the OpenAPI knows the header; `Once` follows it."""


class Once(APIRoute):
    """A route that changes something, which a repeated request does once. One that was interrupted is not begun
    again."""

    take_over = False

    def get_route_handler(self) -> Callable[[Request], Coroutine[Any, Any, Response]]:
        handle = super().get_route_handler()

        async def once(request: Request) -> Response:
            given = request.headers.get(HEADER, "")
            if not (given and len(given) <= LONGEST and given.isascii()):
                return await handle(request)
            return await _once(request, given, handle, self.take_over)

        return once


class Finished(Once):
    """The same for what may be repeated without harm: sent again, an interrupted request is finished."""

    take_over = True


async def _once(
    request: Request, given: str, handle: Callable[[Request], Coroutine[Any, Any, Response]], take_over: bool
) -> Response:
    house = house_of(request)
    key, replies = await Asks(Scope.ADMIN)(request), house.access.replies
    data = await whole(request, house.bounds)
    request._body = data  # as Request.body() does, which knows no bounds; whoever reads it next finds it there
    asked = fingerprint(request.method, request.url.path, request.url.query, *_comparable(request, data))
    now = datetime.now().astimezone()
    before = await asyncio.to_thread(replies.begin, key.name, given, asked, now, take_over)
    if isinstance(before, RepeatKind):
        status, kind = _CONFLICTS[before]
        headers = {"Retry-After": "1"} if before is RepeatKind.RUNNING else {}
        what = f"The request with this idempotency key {before.words}."
        raise Problem(status, kind, what, before.remedy, headers=headers)
    if before is not None:
        return _again(request, before)
    try:
        response = await handle(request)
    except (Problem, MienError, RequestValidationError):  # nothing was changed: to send it again is to ask anew
        await asyncio.to_thread(replies.drop, key.name, given)
        raise
    except BaseException:  # nobody knows how far it came
        await asyncio.to_thread(replies.interrupt, key.name, given)
        raise
    reply = Reply(response.status_code, response.media_type or "application/json", bytes(response.body))
    try:
        await asyncio.to_thread(replies.finish, key.name, given, reply)
    except MienError as error:  # it was carried out, which its sender is told; sent again, it is not done again
        tell("reply-not-kept", logging.ERROR, request=id_of(request), error=type(error).__name__)
    return response


def _comparable(request: Request, data: bytes) -> tuple[str, bytes]:
    """The type of a body and its bytes, the same for the same form: its boundary is another each time that it is
    sent."""
    header = Message()
    header["content-type"] = request.headers.get("content-type", "")
    boundary = str(header.get_param("boundary") or "").encode("utf-8", "replace")
    return header.get_content_type(), data.replace(boundary, b"") if boundary else data


def _again(request: Request, reply: Reply) -> Response:
    """The same reply once more; of work that was accepted, with the address at which it is seen. Raises Problem where
    it is not kept any more."""
    if reply.body is None:
        what = f"The request was carried out before, with the status {reply.status}, and its reply is not kept."
        raise Problem(HTTPStatus.CONFLICT, "reply-gone", what, figures={"answered": reply.status})
    headers = {AGAIN: "true"}
    if reply.status == HTTPStatus.ACCEPTED:
        headers["Location"] = f"{request.url.path}/{json.loads(reply.body)['id']}"
    return Response(reply.body, reply.status, headers, reply.type)
