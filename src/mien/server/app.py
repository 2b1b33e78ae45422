"""The application: the routes of each API, and around them what holds for every request.

A request has an id, in its answer and in the log; whatever goes wrong in it is one `Problem`, told in the shape of the
API that was asked; what was done is counted.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import secrets
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.openapi.utils import get_openapi
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mien import __version__
from mien.server import deepstack, pages, watched
from mien.server.bodies import give_back
from mien.server.compreface import errors as compreface
from mien.server.compreface import faces, recognise, subjects
from mien.server.door import HEADER
from mien.server.house import House, id_of
from mien.server.logs import tell
from mien.server.metrics import method_name
from mien.server.problems import Problem, as_problem
from mien.server.v1 import answers, jobs, measuring, models, people, photos
from mien.server.v1.shapes import ProblemShape

Teller = Callable[[Request, Problem], Response]
"""How an API tells what went wrong."""


def make_app(house: House) -> FastAPI:
    """The application of a house, which it closes in the end."""
    app = FastAPI(
        title="mien",
        version=__version__,
        summary="Who is in a picture - or that nobody knows.",
        openapi_url="/v1/openapi.json",
        docs_url=None,
        redoc_url=None,
        lifespan=_life,
        redirect_slashes=False,
    )
    app.state.house = house
    app.openapi = lambda: _openapi(app)  # type: ignore[method-assign]  # as FastAPI's own page says to
    tellers: list[tuple[str, Teller]] = [(compreface.PREFIX, compreface.told)]
    for each in (answers, people, photos, models, measuring, jobs, watched, pages, subjects, faces, recognise):
        app.include_router(each.router)
    for changing in (people.changing, photos.adding, photos.changing, models.changing, jobs.changing):
        app.include_router(changing)
    if house.resident.settings.server.deepstack:
        app.include_router(deepstack.router)
        tellers.append((deepstack.PREFIX, deepstack.problem_json))

    async def told(request: Request, error: Exception) -> Response:
        problem = _of(error, str(house.resident.folder))
        if problem.status >= 500 and not isinstance(error, Problem):
            mistake = error if problem.kind == "internal" else None
            tell("failed", logging.ERROR, mistake, request=id_of(request), error=type(error).__name__)
        path = request.url.path
        teller = next((teller for start, teller in tellers if path.startswith(start)), problem_json)
        response = teller(request, problem)
        response.headers.update(problem.headers)
        if not getattr(request.state, "is_read", False) and _has_body(request):
            response.headers["connection"] = "close"  # nobody will read the rest of it
        return response

    for kind in (Problem, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, told)
    app.add_middleware(Around, house=house, told=told)
    return app


def _openapi(app: FastAPI) -> dict[str, Any]:
    """The OpenAPI of mien's own API, with the shape of its problems."""
    if app.openapi_schema is None:
        said = get_openapi(title=app.title, version=app.version, summary=app.summary, routes=app.routes)
        parts = said.setdefault("components", {})
        parts.setdefault("schemas", {})["Problem"] = ProblemShape.model_json_schema()
        parts["securitySchemes"] = {
            "key": {"type": "apiKey", "in": "header", "name": HEADER},
            "bearer": {"type": "http", "scheme": "bearer"},
        }
        for path, methods in said["paths"].items():
            for operation in methods.values():
                operation["security"] = [] if path in watched.UNTOLD else [{"key": []}, {"bearer": []}]
        app.openapi_schema = said
    return app.openapi_schema


def problem_json(request: Request, problem: Problem) -> Response:
    """A problem as RFC 9457 has it."""
    body = problem.to_json(id_of(request))
    return JSONResponse(body, problem.status, media_type="application/problem+json")


def _of(error: Exception, folder: str) -> Problem:
    if isinstance(error, HTTPException):
        kind = {404: "no-such-address", 405: "method"}.get(error.status_code, "refused")
        return Problem(error.status_code, kind, f"{error.detail}.", headers=error.headers or {})
    if isinstance(error, RequestValidationError):
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"][1:]) or "the body"
        return Problem(422, "invalid", f"{where} will not do: {first['msg']}.")
    return as_problem(error, folder)


def _has_body(request: Request) -> bool:
    return "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"


class Around:
    """What surrounds every request: its id, the log, the metrics, the security headers. What nobody foresaw is answered
    here, as `told` tells it."""

    def __init__(self, app: ASGIApp, house: House, told: Callable[[Request, Exception], Awaitable[Response]]) -> None:
        self._app, self._house, self._told = app, house, told

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.perf_counter(), 0
        request_id = secrets.token_hex(8)
        scope.setdefault("state", {})["id"] = request_id

        async def send_on(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                version = scope["state"].get("model") or self._house.resident.version
                message.setdefault("headers", []).extend(
                    [
                        (b"x-request-id", request_id.encode()),
                        (b"x-content-type-options", b"nosniff"),
                        (b"cache-control", b"no-store"),
                        *([(b"x-mien-model", version.encode())] if version else []),
                    ]
                )
            await send(message)

        try:
            await self._app(scope, receive, send_on)
        except Exception as error:
            if status:  # an answer has begun: it ends here, which its reader sees
                raise
            response = await self._told(Request(scope), error)
            await response(scope, receive, send_on)
        finally:
            give_back(Request(scope).state)
            seconds = time.perf_counter() - began
            route = getattr(scope.get("route"), "path", "none")
            state = scope["state"]
            self._house.metrics.seen(route, scope["method"], status, seconds)
            if route not in watched.UNTOLD:
                tell(
                    "request",
                    request=request_id,
                    route=route,
                    method=method_name(scope["method"]),
                    status=status,
                    ms=round(seconds * 1000, 1),
                    key=state.get("key", ""),
                )


@contextlib.asynccontextmanager
async def _life(app: FastAPI) -> AsyncIterator[None]:
    house: House = app.state.house
    await house.follow()
    tasks = [asyncio.create_task(_follow(house)), asyncio.create_task(house.jobs.run())]
    try:
        yield
    finally:
        house.closing.set()
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)
        await asyncio.to_thread(house.close)


async def _follow(house: House) -> None:
    while True:
        await asyncio.sleep(house.resident.look_seconds)
        try:
            await house.follow()
        except Exception as error:  # the server goes on with the model that it has
            tell("not-followed", logging.ERROR, error=type(error).__name__)
