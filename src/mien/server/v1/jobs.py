"""/v1/jobs: long work that is asked for, followed, and cancelled: align, train, collect, daily."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends
from fastapi import Path as InPath
from pydantic import BaseModel, ConfigDict, Field, RootModel
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse

from mien.records.jobs import Job
from mien.records.keys import Key
from mien.server.house import Asks, House, house_of
from mien.server.jobs import now
from mien.server.once import Once, idempotent
from mien.server.problems import Problem, later
from mien.server.v1.pages import Cursor, Limit, after, cursor_of
from mien.server.v1.shapes import Shape, problems
from mien.server.v1.told import CHANGING, READING, about_json, said, without_paths
from mien.text.access import Scope

router = APIRouter(prefix="/v1", tags=["jobs"])
changing = APIRouter(prefix="/v1", tags=["jobs"], route_class=Once, dependencies=[Depends(idempotent)])

SOME_SECONDS = 0.2
"""Seconds between two events at least."""
HEARTBEAT_SECONDS = 15.0
"""Seconds after which a stream says that it lives, for proxies that end what is silent."""
LOOK_SECONDS = 2.0
"""Seconds after which a job is looked at that another process may carry out, and whether its listener's key holds."""
MOST_LISTENERS = 100
"""Streams of events at a time: each looks into the database every `LOOK_SECONDS`."""

JobId = Annotated[str, InPath(pattern="^[0-9a-f]{16}$", min_length=16, max_length=16, description="The job's id.")]


class _Asked(BaseModel):
    model_config = ConfigDict(extra="forbid")


class AskedAlign(_Asked):
    """See what is new, choose each person's faces, write their chips."""

    verb: Literal["align"]


class AskedTrain(_Asked):
    """Learn what is new, and put the model into use."""

    verb: Literal["train"]


class AskedCollect(_Asked):
    """Fetch what is new from these sources, or from all; with `dry_run` only say what would be fetched."""

    verb: Literal["collect"]
    sources: list[Annotated[str, Field(min_length=1, max_length=200)]] = Field(default=[], max_length=100)
    dry_run: bool = False


class AskedDaily(_Asked):
    """All of it, from collecting to a better model."""

    verb: Literal["daily"]


class AskedJob(RootModel[Annotated[AskedAlign | AskedTrain | AskedCollect | AskedDaily, Field(discriminator="verb")]]):
    """Any of them."""


class ProgressShape(Shape):
    """How far a job is: `done` steps `of` so many; `rate` in steps a second, `eta` in seconds, null where nobody can
    tell. `waiting` says for what it waits."""

    step: str
    done: int
    of: int | None
    rate: float | None
    eta: float | None
    waiting: str


class JobError(Shape):
    """Why a job failed."""

    message: str
    remedy: str


class JobLine(Shape):
    """A job, asked for by the key of the name `key`. `cancel`: somebody wants it to end. `code` is the exit code that
    the command would have had; `run` is its run in /v1/runs."""

    id: str
    verb: str
    options: dict[str, Any]
    key: str
    state: Literal["waiting", "running", "done", "failed", "cancelled"]
    cancel: bool
    asked: str
    started: str | None
    ended: str | None
    tries: int
    code: int | None
    run: str | None
    progress: ProgressShape | None


class JobShape(JobLine):
    """A job with what came of it: what its command prints with --json, or why it failed; null where that is not kept,
    as after somebody was forgotten."""

    result: dict[str, Any] | None
    error: JobError | None


class JobsShape(Shape):
    """Jobs, the newest first; `next` is the cursor of the page after this, null for the last."""

    jobs: list[JobLine]
    next: str | None


@changing.post(
    "/jobs",
    status_code=HTTPStatus.ACCEPTED,
    **about_json((AskedAlign, AskedTrain, AskedCollect, AskedDaily)),
)
async def ask(request: Request, response: Response, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> JobShape:
    """Asks for a job, which waits for those before it. `Location` is the address at which it is seen."""
    house = house_of(request)
    wanted = (await said(request, AskedJob)).root
    options = wanted.model_dump(exclude={"verb"}, exclude_unset=True)
    if unknown := [name for name in options.get("sources", ()) if name not in house.resident.album().settings.sources]:
        what = f"There is no source {unknown[0]}."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no-source", what, "GET /v1/sources names those there are.")
    job = await asyncio.to_thread(house.access.jobs.ask, wanted.verb, key.name, now(), options)
    house.jobs.wake()
    response.headers["Location"] = f"/v1/jobs/{job.id}"
    return await _whole(house, job)


@router.get("/jobs", responses=problems(*READING))
async def jobs(
    request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))], limit: Limit = 20, cursor: Cursor = None
) -> JobsShape:
    """The last jobs, the newest first, without what came of them."""
    house = house_of(request)
    found = await asyncio.to_thread(house.access.jobs.last, limit + 1, after("jobs", cursor) or None)
    further = cursor_of("jobs", found[limit - 1].id) if len(found) > limit else None
    return JobsShape.model_validate({"jobs": [_line(house, job) for job in found[:limit]], "next": further})


@router.get("/jobs/{job}", responses=problems(404, *READING))
async def job(request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))], job: JobId) -> JobShape:
    """A job, how far it is, and what came of it."""
    house = house_of(request)
    return await _whole(house, await _require(house, job))


@changing.post("/jobs/{job}/cancel", responses=problems(404, *CHANGING))
async def cancel(request: Request, _: Annotated[Key, Depends(Asks(Scope.ADMIN))], job: JobId) -> JobShape:
    """Has a job end: one that waits does at once, one that runs is interrupted, and what it finished is kept."""
    house = house_of(request)
    found = await asyncio.to_thread(house.access.jobs.cancel, job, now())
    if found is None:
        raise _no_job()
    house.jobs.wake()
    return await _whole(house, found)


@router.get(
    "/jobs/{job}/events",
    response_class=Response,
    responses={
        **problems(404, *READING),
        200: {
            "description": "Server-sent events: `progress` with the job as it is, `end` with what came of it.",
            "content": {"text/event-stream": {"schema": {"type": "string"}}},
        },
    },
)
async def events(request: Request, key: Annotated[Key, Depends(Asks(Scope.REVIEW))], job: JobId) -> Response:
    """How a job goes on, as server-sent events. The first says how it is now, so that whoever comes back misses
    nothing; `end` is the last. Where the stream ends without, the server does, or the key was revoked: ask again."""
    house = house_of(request)
    await _require(house, job)
    if house.listeners >= MOST_LISTENERS:
        raise later("full", "As many listen to jobs as may.")
    told = _counted(house, _events(house, key, job))
    return StreamingResponse(told, media_type="text/event-stream", headers={"X-Accel-Buffering": "no"})


async def _counted(house: House, told: AsyncIterator[str]) -> AsyncIterator[str]:
    """The same events, by one listener more while there are any."""
    house.listeners += 1
    try:
        async for each in told:
            yield each
    finally:
        house.listeners -= 1


async def _events(house: House, key: Key, job_id: str) -> AsyncIterator[str]:
    told, number, silent = "", 0, 0.0
    while not house.closing.is_set() and await house.door.holds(key):
        job = await asyncio.to_thread(house.access.jobs.job, job_id)
        if job is None:
            return
        shape = (await _whole(house, job)).model_dump_json()
        if shape != told or silent >= HEARTBEAT_SECONDS:
            number, told, silent = number + 1, shape, 0.0
            yield f"id: {number}\nevent: {'end' if job.is_over else 'progress'}\ndata: {shape}\n\n"
        if job.is_over:
            return
        await asyncio.sleep(SOME_SECONDS)
        await house.jobs.changed(house.closing, LOOK_SECONDS)
        silent += LOOK_SECONDS


async def _require(house: House, job: str) -> Job:
    found = await asyncio.to_thread(house.access.jobs.job, job)
    if found is None:
        raise _no_job()
    return found


def _no_job() -> Problem:
    return Problem(HTTPStatus.NOT_FOUND, "no-job", "There is no such job.", "GET /v1/jobs names the last.")


async def _whole(house: House, job: Job) -> JobShape:
    """A job with what came of it."""
    result = await asyncio.to_thread(house.access.jobs.result, job.id) if job.is_over else None
    error = result.get("error") if isinstance(result, dict) and set(result) == {"error"} else None
    came = {"result": None if error else result, "error": error}
    return JobShape.model_validate(_line(house, job) | without_paths(came, house.resident.folder))


def _line(house: House, job: Job) -> dict[str, Any]:
    here = house.jobs.progress
    told = here.to_json() if here and here.job == job.id and not job.is_over else job.progress
    return {
        "id": job.id,
        "verb": job.verb,
        "options": dict(job.options),
        "key": job.key,
        "state": job.state,
        "cancel": job.cancel,
        "asked": job.asked.isoformat(),
        "started": job.started.isoformat() if job.started else None,
        "ended": job.ended.isoformat() if job.ended else None,
        "tries": job.tries,
        "code": job.code,
        "run": job.run,
        "progress": told,
    }
