"""What is seen of the server from outside: whether it lives, whether it can answer, and its figures."""

from __future__ import annotations

import asyncio

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mien.errors import MienError
from mien.server.house import house_of

router = APIRouter(tags=["watching"])

READY_SECONDS = 5.0
"""Within which the keys have to be read, wherever they are."""
UNTOLD = frozenset({"/healthz", "/readyz", "/metrics"})
"""Routes of which the log says nothing."""


@router.get("/healthz")
async def healthz() -> dict[str, str]:
    """The server lives."""
    return {"status": "alive"}


@router.get("/readyz")
async def readyz(request: Request) -> Response:
    """The server can answer: 200, or 503 where the model in use cannot be had, or the keys cannot be read, or the
    server is about to end. An album without a model is ready, too: it may be taught."""
    house = house_of(request)
    said = {"status": "ready", "model": house.resident.version, "queue": house.looking.taken}
    if house.closing.is_set():
        said["status"] = "closing"
    elif house.resident.trouble:
        said["status"] = "the model in use cannot be had"
    else:
        try:
            async with asyncio.timeout(READY_SECONDS):
                await house.door.reads()
        except (MienError, TimeoutError):
            said["status"] = "the keys cannot be read"
    return JSONResponse(said, 200 if said["status"] == "ready" else 503)


@router.get("/metrics", response_class=Response)
async def metrics(request: Request) -> Response:
    """Figures in Prometheus's text format: no name of anybody."""
    return Response(house_of(request).metrics.text(), media_type="text/plain; version=0.0.4; charset=utf-8")
