"""/v1/models: which models there are, how two differ, which is in use, what each is worth."""

from __future__ import annotations

from http import HTTPStatus
from typing import Annotated, Any

from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import Response

from mien.album import Album
from mien.records.keys import Key
from mien.server.house import Asks, house_of
from mien.server.once import Once, idempotent
from mien.server.problems import Problem
from mien.server.v1.shapes import Shape, problems
from mien.server.v1.told import CHANGING, READING, FindingShape, VersionInUse, VersionName, without_paths
from mien.stages.models import Version
from mien.text.access import Scope

router = APIRouter(prefix="/v1", tags=["models"])
changing = APIRouter(prefix="/v1", tags=["models"], route_class=Once, dependencies=[Depends(idempotent)])

POLICY = "default-src 'none'; img-src data:; style-src 'unsafe-inline'; form-action 'none'; frame-ancestors 'none'; "
POLICY += "base-uri 'none'; sandbox allow-same-origin"
"""Content-Security-Policy of the page about a model, which has neither scripts nor forms, and loads nothing."""


class ShareShape(Shape):
    """A share of photos, how many were counted, and its 95 % interval."""

    value: float | None
    of: int
    interval: list[float] | None


class VersionShape(Shape):
    """A model, as `mien models --json` prints it; where it is `damaged`, nothing else is known of it."""

    version: str
    in_use: bool
    how: str
    people: int
    photos: int
    head: str
    created: str
    damaged: str
    top1: ShareShape
    tpir_at_fpir_1: ShareShape


class VersionsShape(Shape):
    """All models, oldest first."""

    models: list[VersionShape]


class DifferenceShape(Shape):
    """How two models differ, as `mien models diff --json` prints it. What has two items is of before and after."""

    version: list[str]
    encoder: list[str]
    head: list[str]
    threshold: list[float]
    fpir: list[float]
    people_added: list[str]
    people_removed: list[str]
    added: dict[str, list[str]]
    removed: dict[str, list[str]]
    figures: dict[str, list[dict[str, float | None]]]
    compared: dict[str, Any] | None
    incomparable: FindingShape | None


class DroppedShape(Shape):
    """Which models were deleted, and how many are left."""

    dropped: list[str]
    left: int


@router.get("/models", responses=problems(*READING))
async def models(request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))]) -> VersionsShape:
    """The models that there are."""
    house = house_of(request)
    found = [one.to_json() for one in await house.ask(lambda album: album.models())]
    return VersionsShape.model_validate({"models": without_paths(found, house.resident.folder)})


@router.get("/models/{version}", responses=problems(404, *READING))
async def model(request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))], version: VersionName) -> VersionShape:
    """One model."""
    house = house_of(request)
    found = await house.ask(lambda album: require_version(album, version))
    return VersionShape.model_validate(without_paths(found.to_json(), house.resident.folder))


@router.get("/models/{before}/difference/{after}", responses=problems(404, *READING))
async def difference(
    request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))], before: VersionName, after: VersionName
) -> DifferenceShape:
    """How two models differ, and which photos only one of them names rightly."""
    house = house_of(request)

    def look(album: Album) -> dict[str, Any]:
        for version in (before, after):
            require_version(album, version)
        return album.difference(before, after).to_json()

    return DifferenceShape.model_validate(without_paths(await house.ask(look), house.resident.folder))


@router.get(
    "/report",
    response_class=Response,
    responses={
        **problems(*READING),
        200: {"description": "A page.", "content": {"text/html": {"schema": {"type": "string"}}}},
    },
)
async def report(request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))]) -> Response:
    """The page that says what the model in use is worth, where it errs, and what needs a human: HTML with names and
    faces in it."""
    page = await house_of(request).ask(lambda album: album.report().read_bytes())
    headers = {"Content-Security-Policy": POLICY, "Referrer-Policy": "no-referrer"}
    return Response(page, media_type="text/html; charset=utf-8", headers=headers)


@changing.post("/models/{version}/promote", responses=problems(404, *CHANGING))
async def promote(
    request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))], version: VersionName
) -> VersionInUse:
    """Puts a model into use, whatever it is worth. The version that is in use then is another where this one knows
    people who were removed: the same without them."""

    def put(album: Album) -> str:
        require_version(album, version)
        return album.promote(version)

    return VersionInUse(version=await house_of(request).change(request, key, put))


@changing.post("/rollback", responses=problems(*CHANGING))
async def rollback(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> VersionInUse:
    """Goes back to the model that was in use before this one."""
    return VersionInUse(version=await house_of(request).change(request, key, lambda album: album.rollback()))


@changing.delete("/models/{version}", responses=problems(404, *CHANGING))
async def drop(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))], version: VersionName) -> DroppedShape:
    """Deletes a model with its page. The one in use stays: put another into use first."""

    def delete(album: Album) -> dict[str, Any]:
        require_version(album, version)
        return album.drop(version).to_json()

    return DroppedShape.model_validate(await house_of(request).change(request, key, delete))


@changing.post("/prune", responses=problems(*CHANGING))
async def prune(request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> DroppedShape:
    """Deletes old models: the setting `keep` says how many of the newest stay. So do the one in use, the one that a
    rollback goes back to, and the one whose page is shown."""
    done = await house_of(request).change(request, key, lambda album: album.prune())
    return DroppedShape.model_validate(done.to_json())


def require_version(album: Album, version: str) -> Version:
    """The version of this name. Raises Problem (404) where there is none."""
    found = next((one for one in album.models() if one.version == version), None)
    if found is None:
        what = f"There is no model {version}."
        raise Problem(HTTPStatus.NOT_FOUND, "no-model", what, "GET /v1/models names those there are.")
    return found
