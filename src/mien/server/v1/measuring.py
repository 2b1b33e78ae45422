"""/v1/evaluate, /v1/sources, /v1/runs: how good a model is, where photos come from, what daily runs did."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Depends, Query
from fastapi import Path as InPath
from starlette.requests import Request

from mien.album import Album
from mien.errors import UsageError
from mien.records.keys import Key
from mien.records.runs import MOST_RUNS
from mien.server import incoming
from mien.server.bodies import Upload, read
from mien.server.house import Asks, house_of
from mien.server.problems import Problem
from mien.server.v1.pages import Cursor, Limit, after, cursor_of
from mien.server.v1.shapes import Shape, problems
from mien.server.v1.told import READING, FindingShape, without_paths
from mien.storage.scratch import scratch_folder
from mien.text.access import Scope
from mien.text.names import valid_person

router = APIRouter(prefix="/v1", tags=["measuring"])

MOST_PROBES = 1000
"""Pictures by which a model is measured in one request."""

_PROBES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "description": "The name of each field is the name of the person whom its pictures show.",
                    "minProperties": 1,
                    "additionalProperties": {"type": "array", "items": {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class PersonMeasured(Shape):
    """What came of one person's pictures; shares are null where there was nothing to count."""

    person: str
    known: bool
    probes: int
    top1: float | None
    named: float | None


class MistakeShape(Shape):
    """A picture of `person` that was answered wrongly, with `answer`; null: unknown."""

    photo: str
    person: str
    answer: str | None
    score: float | None


class NotRead(Shape):
    """A picture that could not be read."""

    photo: str
    kind: str


class EvaluatedShape(Shape):
    """What was measured, as `mien evaluate --json` prints it. Pictures are named "Ada/image 1.jpg"."""

    model: str
    face: str
    threshold: float
    top1: float | None
    top3: float | None
    tpir: float | None
    tpir_at_fpir_1: float | None
    tpir_at_fpir_01: float | None
    fpir: float | None
    ece: float | None
    ece_mated: float | None
    ece_non_mated: float | None
    intervals: dict[str, list[float] | None]
    mated: int
    non_mated: int
    no_face: int
    people: int
    strangers: int
    stranger_names: list[str]
    per_person: list[PersonMeasured]
    mistakes: list[MistakeShape]
    unreadable: list[NotRead]
    findings: list[FindingShape]
    set_apart: int
    counting_all: EvaluatedShape | None


class LastRun(Shape):
    """How a source fared when it ran last."""

    source: str
    started: str
    ended: str
    brought: int
    duplicates: int
    known: int
    refused: int
    failed: int
    fault: str | None


class RefusedShape(Shape):
    """What a source offered and is no photo."""

    location: str
    person: str
    fault: str | None
    why: str


class FailedShape(Shape):
    """What a source offered and could not be had."""

    location: str
    person: str
    kind: str
    why: str


class SourceShape(Shape):
    """A source of mien.toml, as `mien sources --json` prints it."""

    name: str
    kind: str
    basis: str
    licence: str
    until: str | None
    last: LastRun | None
    photos: int
    failing: int
    refused: list[RefusedShape]
    failed: list[FailedShape]
    problem: FindingShape | None


class SourcesShape(Shape):
    """The sources."""

    sources: list[SourceShape]


class StepShape(Shape, extra="allow"):
    """A step of a run, with its figures; `seconds` and `outcome` are null for one that is not finished. `left_out` are
    findings, or how many there are."""

    name: str
    outcome: str | None
    seconds: float | None
    line: str
    needs_human: list[FindingShape]
    left_out: list[FindingShape] | int


class RunShape(Shape):
    """A run of the daily loop, as `mien runs RUN --json` prints it."""

    run: str
    day: str
    started: str
    ended: str | None
    state: str
    resumed: bool
    exit_code: int
    needs_human: list[str]
    steps: list[StepShape]


class RunsShape(Shape):
    """Runs, the newest first; `next` is the cursor of the page after this, null for the last."""

    runs: list[RunShape]
    next: str | None


@router.post(
    "/evaluate",
    openapi_extra=_PROBES,
    responses=problems(400, 401, 403, 408, 409, 413, 422, 429, 503),
)
async def evaluate(
    request: Request,
    _: Annotated[Key, Depends(Asks(Scope.REVIEW))],
    face: Annotated[Literal["largest", "centre"], Query(description="Which face of a picture counts.")] = "largest",
) -> EvaluatedShape:
    """Measures the model in use on pictures of people: multipart, each field's name is that of the person. People whom
    the model does not know are strangers. Nothing is kept of the pictures."""
    house = house_of(request)
    body = await read(request, replace(house.bounds, pictures=MOST_PROBES), ())
    if not body.pictures:
        raise Problem(HTTPStatus.BAD_REQUEST, "no-picture", "The request has no picture.", "Send some as a form.")
    if not all(one.field for one in body.pictures):
        remedy = "Send multipart/form-data, in which each field's name is that of a person."
        raise Problem(HTTPStatus.BAD_REQUEST, "malformed", "Nobody can tell whom the picture shows.", remedy)
    for name in {one.field for one in body.pictures}:
        valid_person(name)
    work = partial(_evaluate, house.resident.album(), pictures=body.pictures, face=face)
    said = await house.in_time(house.measuring.run(work))
    return EvaluatedShape.model_validate(without_paths(said, house.resident.folder))


def _evaluate(album: Album, pictures: Sequence[Upload], face: Literal["largest", "centre"]) -> dict[str, Any]:
    """An evaluation by way of files, which are gone afterwards."""
    album.model()  # or nothing is written at all
    with scratch_folder() as folder:
        for number, one in enumerate(pictures, start=1):
            own = folder / valid_person(one.field)
            own.mkdir(exist_ok=True)
            (own / f"image {number}{incoming.ending_of(one.data)}").write_bytes(one.data)
        found: dict[str, Any] = without_paths(album.evaluate(folder, face, forget=True).to_json(), folder)
        return found


@router.get("/sources", responses=problems(*READING))
async def sources(request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))]) -> SourcesShape:
    """Where photos come from, when each source ran last, what it brought, and what it offered in vain."""
    house = house_of(request)
    found = [one.to_json() for one in await house.ask(lambda album: album.sources())]
    return SourcesShape.model_validate({"sources": without_paths(found, house.resident.folder)})


@router.get("/runs", responses=problems(*READING))
async def runs(
    request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))], limit: Limit = 20, cursor: Cursor = None
) -> RunsShape:
    """What the daily runs did, the newest first."""
    house, before = house_of(request), after("runs", cursor)

    def look(album: Album) -> list[dict[str, Any]]:
        every = list(album.runs(MOST_RUNS if before else limit + 1))
        ids = [one.run.id for one in every]
        start = ids.index(before) + 1 if before in ids else len(ids) if before else 0
        return [one.to_json() for one in every[start : start + limit + 1]]

    found = await house.ask(look)
    further = cursor_of("runs", found[limit - 1]["run"]) if len(found) > limit else None
    return RunsShape.model_validate({"runs": without_paths(found[:limit], house.resident.folder), "next": further})


@router.get("/runs/{run}", responses=problems(404, *READING))
async def run(
    request: Request,
    _: Annotated[Key, Depends(Asks(Scope.REVIEW))],
    run: Annotated[str, InPath(min_length=1, max_length=100, description="A run, as /v1/runs names it.")],
) -> RunShape:
    """One run."""
    house = house_of(request)

    def look(album: Album) -> dict[str, Any]:
        try:
            return album.run(run).to_json()
        except UsageError:
            what = "There is no such run."
            raise Problem(HTTPStatus.NOT_FOUND, "no-run", what, "GET /v1/runs names those there are.") from None

    return RunShape.model_validate(without_paths(await house.ask(look), house.resident.folder))
