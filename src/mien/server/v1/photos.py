"""/v1/people/{person}/photos: photos come in under a person, who is known at once; they are shown, moved, removed."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from functools import partial
from http import HTTPStatus
from pathlib import Path
from typing import Annotated, Any

from fastapi import APIRouter, Depends, Query
from pydantic import BaseModel, ConfigDict
from starlette.requests import Request
from starlette.responses import Response

from mien.album import Added, Album
from mien.errors import PhotoError, StorageError
from mien.pipeline.correct import Corrected
from mien.pipeline.remove import Removed
from mien.records.keys import Key
from mien.server import incoming
from mien.server.house import Asks, house_of
from mien.server.once import Finished, Once, idempotent
from mien.server.problems import Problem
from mien.server.v1.answers import no_face, renamed
from mien.server.v1.people import (
    CorrectedShape,
    Name,
    RemovedShape,
    corrected_shape,
    removed_shape,
    require_person,
)
from mien.server.v1.shapes import PICTURES, Shape, problems
from mien.server.v1.told import (
    CHANGING,
    READING,
    ErrorShape,
    FindingShape,
    PersonName,
    PhotoId,
    about_json,
    said,
)
from mien.text.access import Scope
from mien.text.names import valid_person
from mien.types import SeenPhoto

router = APIRouter(prefix="/v1/people", tags=["people"])
changing = APIRouter(prefix="/v1/people", tags=["people"], route_class=Once, dependencies=[Depends(idempotent)])
adding = APIRouter(prefix="/v1/people", tags=["people"], route_class=Finished, dependencies=[Depends(idempotent)])

LARGEST_SHOWN = 256 << 20
"""Bytes of a photo that is shown, which is read into memory."""


class CameIn(Shape):
    """A picture of the request that is a photo of the person now: its id, and how many faces it shows."""

    photo: str
    id: str
    faces: int


class AddedShape(Shape):
    """What came in: `photos` of the request, of which `known` were there already; `refused` ones cannot be read or show
    no face, and were not kept. `version` is in use now, and `enrolled` says by how many photos it knows the person,
    null where that was not asked for. `guesses` are photos in which the face was taken by guess; `near` are people
    whose name is nearly that of the person, who is new; `back` is the day since when the person had been removed."""

    person: str
    photos: list[CameIn]
    known: int
    refused: list[ErrorShape]
    version: str | None
    enrolled: int | None
    guesses: list[FindingShape]
    near: list[str]
    back: str | None


class Moving(BaseModel):
    """Whom a photo shows."""

    model_config = ConfigDict(extra="forbid")

    person: Name


@adding.post(
    "/{person}/photos",
    status_code=HTTPStatus.CREATED,
    openapi_extra=PICTURES,
    responses={**problems(*CHANGING, 415), 200: {"model": AddedShape, "description": "All of them were there."}},
)
async def add(
    request: Request,
    response: Response,
    key: Annotated[Key, Depends(Asks(Scope.ADMIN))],
    person: PersonName,
    enrol: Annotated[bool, Query(description="The model in use knows the person at once, without training.")] = True,
) -> AddedShape:
    """Keeps pictures under a person, who may be new. A picture that cannot be read, or shows no face, is refused,
    and the others come in; where all are, the whole request is refused."""
    house, name = house_of(request), valid_person(person)
    uploads = [one.data for one in (await house.body(request)).pictures]
    if not uploads:
        raise Problem(HTTPStatus.BAD_REQUEST, "no-picture", "The request has no picture.", "Send one, or several.")
    seen = await house.look(partial(house.resident.see, name="the picture"), uploads)
    good = [data for data, one in zip(uploads, seen, strict=True) if isinstance(one, SeenPhoto) and one.faces]
    if not good:
        raise seen[0] if isinstance(seen[0], PhotoError) else no_face(1)
    added = await house.change(request, key, lambda album: incoming.add(album, name, good, enrol))
    if not added.added:
        response.status_code = HTTPStatus.OK
    return AddedShape.model_validate(_added_json(name, uploads, seen, added, house.resident.version))


def _added_json(
    person: str, uploads: Sequence[bytes], seen: Sequence[SeenPhoto | PhotoError], added: Added, version: str | None
) -> dict[str, Any]:
    photos, refused = [], []
    for number, (data, one) in enumerate(zip(uploads, seen, strict=True), start=1):
        if isinstance(one, PhotoError):
            refused.append({"photo": f"image {number}", **renamed(one, number).to_json()})
        elif not one.faces:
            refused.append(
                {"photo": f"image {number}", "kind": "no-face", "message": f"image {number} shows no face"}
                | {"remedy": no_face(number).remedy}
            )
        else:
            sha256 = hashlib.sha256(data).hexdigest()
            photos.append({"photo": f"image {number}", "id": sha256, "faces": len(one.faces)})
    return {
        "person": person,
        "photos": photos,
        "known": len(photos) - len(added.added),
        "refused": refused,
        "version": version,
        "enrolled": added.enrolled.photos if added.enrolled else None,
        "guesses": [one.to_json() for one in added.guesses],
        "near": list(added.near),
        "back": str(added.back.on) if added.back else None,
    }


@router.get(
    "/{person}/photos/{photo}",
    response_class=Response,
    responses={
        **problems(404, *READING),
        200: {
            "description": "The photo as it came.",
            "content": {kind: {"schema": {"type": "string", "format": "binary"}} for kind in incoming.MEDIA_TYPES},
        },
    },
)
async def show(
    request: Request, _: Annotated[Key, Depends(Asks(Scope.REVIEW))], person: PersonName, photo: PhotoId
) -> Response:
    """The bytes of a photo."""
    data = await house_of(request).ask(lambda album: _bytes(album, person, photo))
    safe = {"Content-Security-Policy": "default-src 'none'; sandbox", "ETag": f'"{photo}"'}
    return Response(data, media_type=incoming.media_type_of(data), headers=safe)


def _bytes(album: Album, person: str, photo: str) -> bytes:
    """The bytes of a person's photo, if they still are those of its id."""
    for file in files_of(album, person, photo):
        try:
            data = album.photo_bytes(file, LARGEST_SHOWN)
        except (PhotoError, StorageError):
            continue
        if hashlib.sha256(data).hexdigest() == photo:
            return data
    raise _no_photo(photo)


def files_of(album: Album, person: str, photo: str) -> list[Path]:
    """Where a photo of a person lies. Raises Problem (404) where it does nowhere, and for nobody's name."""
    require_person(album, person)
    for one in album.photos_of(person):
        if one.sha256 == photo:
            return list(one.files)
    raise _no_photo(photo)


def _no_photo(photo: str) -> Problem:
    what = f"The person has no photo {photo}."
    return Problem(HTTPStatus.NOT_FOUND, "no-photo", what, "GET /v1/people/{person} has the ids of all.")


@changing.delete("/{person}/photos/{photo}", responses=problems(404, *CHANGING))
async def remove(
    request: Request,
    key: Annotated[Key, Depends(Asks(Scope.ADMIN))],
    person: PersonName,
    photo: PhotoId,
    delete: Annotated[bool, Query(description="Delete the photo instead of setting it aside.")] = False,
) -> RemovedShape:
    """Takes a photo out of the album and out of the model in use."""

    def take_out(album: Album) -> Removed:
        return album.remove(person, files_of(album, person, photo), delete)

    return removed_shape(person, await house_of(request).change(request, key, take_out))


@changing.patch("/{person}/photos/{photo}", **about_json(Moving, 404))
async def move(
    request: Request, key: Annotated[Key, Depends(Asks(Scope.ADMIN))], person: PersonName, photo: PhotoId
) -> CorrectedShape:
    """Files a photo under the right person, who may be new. No source brings it back under the wrong one."""
    house, wanted = house_of(request), await said(request, Moving)

    def file(album: Album) -> Corrected:
        return album.move(files_of(album, person, photo), wanted.person)

    return corrected_shape(house, await house.change(request, key, file))
