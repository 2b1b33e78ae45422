"""DeepStack's and CodeProject.AI's language of faces, for programs that speak it: five calls under /v1/vision/face.

Their clients send the key in the form, as `api_key`, or none at all; a key in the header does as well. Whatever comes
back is JSON with `success`; a picture without a face is no error of whoever asks who is in it.
"""

from __future__ import annotations

import math
import time
from dataclasses import replace
from functools import partial
from http import HTTPStatus
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mien.errors import PhotoError
from mien.records.keys import Key
from mien.server import incoming
from mien.server.bodies import Body, missing
from mien.server.door import key_of
from mien.server.house import House, house_of
from mien.server.problems import Problem
from mien.text.access import Scope
from mien.text.names import folded, nfc, valid_person
from mien.types import Box, Photo, SeenPhoto

PREFIX = "/v1/vision"
UNKNOWN = "unknown"
"""The `userid` of a face that nobody knows."""
NO_FACE = "No face found in image"
"""CodeProject.AI's words, which its clients look for."""

router = APIRouter(prefix=f"{PREFIX}/face", include_in_schema=False)


@router.post("")
async def detect(request: Request) -> dict[str, Any]:
    """Where the faces of the picture `image` are. `confidence` is the detector's."""
    began = time.perf_counter()
    house, _, body = await _asked(request, Scope.CLASSIFY)
    least = _least(body)
    faces = await _faces(house, body.picture("image"))
    return _told(began, [one for one in faces if one["confidence"] >= least])


@router.post("/recognize")
async def recognize(request: Request) -> dict[str, Any]:
    """Who is in the picture `image`. `confidence` is the probability of the name; a face whose name is less probable
    than `min_confidence` is unknown, as everybody is to an album without a model."""
    began = time.perf_counter()
    house, _, body = await _asked(request, Scope.CLASSIFY)
    least, picture = _least(body), body.picture("image")
    if house.resident.recogniser is None:
        faces = await _faces(house, picture)
        return _told(began, [one | {"userid": UNKNOWN, "confidence": 0.0} for one in faces])
    (answer,) = await house.answers([picture], top=1)
    if answer.error:
        raise answer.error
    found = []
    for face in answer.at_least(least).faces:
        said = face.prediction
        name, sure = (said.person, said.probability) if said.person else (UNKNOWN, 0.0)
        found.append({"userid": name, "confidence": round(sure, 6), **_box(face.face.box, answer.photo)})
    return _told(began, found)


@router.post("/register")
async def register(request: Request) -> dict[str, Any]:
    """Adds the pictures of the form to the album as photos of `userid`, whom the next call recognises."""
    began = time.perf_counter()
    house, key, body = await _asked(request, Scope.ADMIN)
    person = valid_person(_userid(body))
    if folded(person) == UNKNOWN:
        raise _refused(f'"{UNKNOWN}" is what strangers are called.', "Choose another userid.")
    if not body.pictures:
        raise missing("image")
    pictures = [one.data for one in body.pictures]
    seen = await house.look(partial(house.resident.see, name="the picture"), pictures)
    good = [data for data, one in zip(pictures, seen, strict=True) if isinstance(one, SeenPhoto) and one.faces]
    if not good:
        raise next((one for one in seen if isinstance(one, PhotoError)), None) or _no_face()
    await house.change(request, key, lambda album: incoming.add(album, person, good))
    left_out = len(pictures) - len(good)
    without = f"; no face was found in {left_out} of {len(pictures)} pictures, which were left out" if left_out else ""
    return _success(began, message=f"face added{without}")


@router.post("/list")
async def names(request: Request) -> dict[str, Any]:
    """Whom the model in use knows."""
    began = time.perf_counter()
    house, _, _ = await _asked(request, Scope.REVIEW)
    recogniser = house.resident.recogniser
    return _success(began, faces=list(recogniser.model.people) if recogniser else [])


@router.post("/delete")
async def delete(request: Request) -> dict[str, Any]:
    """Deletes the photos of `userid`, whom the model in use then knows no more."""
    began = time.perf_counter()
    house, key, body = await _asked(request, Scope.ADMIN)
    person = _userid(body)
    await house.change(request, key, lambda album: album.remove(person, delete=True))
    return _success(began)


def problem_json(_: Request, problem: Problem) -> Response:
    """A problem as these clients know it. What is wrong with the request is a 400 to them, whatever it is exactly."""
    status = HTTPStatus.BAD_REQUEST if problem.status == HTTPStatus.UNPROCESSABLE_ENTITY else problem.status
    error = NO_FACE if problem.kind == "no-face" else f"{problem.what} {problem.remedy}".rstrip()
    return JSONResponse({"success": False, "error": error, "code": status, "duration": 0}, status)


def _no_face() -> Problem:
    """No picture of a request has a face."""
    remedy = "Send a picture in which a face is at least 40 pixels wide."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no-face", "No face found in image.", remedy)


async def _asked(request: Request, scope: Scope) -> tuple[House, Key, Body]:
    """The body of a request whose key allows `scope`. Raises Problem.

    A key in the header is looked at before the body is read. Where there is none at all, the request counts as sent
    with the key that the album's settings name, unless a browser sent it: any page that somebody looks at could have it
    do so.
    """
    house = house_of(request)
    secret = key_of(request)
    key = await house.door.admit(request, scope, secret) if secret else None
    has_body = "transfer-encoding" in request.headers or request.headers.get("content-length", "0") != "0"
    bounds = house.bounds
    if key is None:  # whoever may be anybody shares what one request may bring
        house.door.require_few_wrong(request)
        bounds = replace(bounds, held=house.unknown)
    body = await house.body(request, base64_fields=("image",), bounds=bounds) if has_body else Body(())
    if key is None:
        from_browser = "origin" in request.headers or "sec-fetch-site" in request.headers
        instead = "" if from_browser else house.resident.settings.server.deepstack_key
        key = await house.door.admit(request, scope, body.fields.get("api_key", "").strip(), instead)
    house.door.remember(key)
    request.state.key = key.name
    return house, key, body


async def _faces(house: House, picture: bytes) -> list[dict[str, Any]]:
    (seen,) = await house.look(partial(house.resident.see, name="the picture"), [picture])
    if isinstance(seen, PhotoError):
        raise seen
    faces = [one.face for one in seen.faces]
    return [{"confidence": round(float(one.detector_score), 6), **_box(one.box, seen.photo)} for one in faces]


def _box(box: Box, photo: Photo | None) -> dict[str, int]:
    """A box in whole pixels of the picture, outside which the part of a face may lie that is cut off."""
    assert photo is not None  # as the picture could be read
    x0, y0, x1, y1 = (round(float(value)) for value in box)
    return {
        "x_min": max(0, x0),
        "y_min": max(0, y0),
        "x_max": min(photo.width, x1),
        "y_max": min(photo.height, y1),
    }


def _least(body: Body) -> float:
    """The `min_confidence` of a form, 0 where there is none. Raises Problem."""
    text = body.fields.get("min_confidence", "").strip() or "0"
    try:
        least = float(text)
    except ValueError:
        least = math.nan
    if not 0 <= least <= 1:
        raise _refused("min_confidence is no number from 0 to 1.", "Leave it out, or send such as 0.6.")
    return least


def _userid(body: Body) -> str:
    """The `userid` of a form. Raises Problem."""
    if not (userid := nfc(body.fields.get("userid", "")).strip()):
        raise _refused("The request has no userid.", "Send the name of a person.")
    return userid


def _refused(what: str, remedy: str) -> Problem:
    return Problem(HTTPStatus.BAD_REQUEST, "invalid", what, remedy)


def _told(began: float, predictions: list[dict[str, Any]]) -> dict[str, Any]:
    return _success(began, predictions=predictions, message="" if predictions else NO_FACE)


def _success(began: float, **said: object) -> dict[str, Any]:
    return {"success": True, **said, "duration": round(time.perf_counter() - began, 3)}
