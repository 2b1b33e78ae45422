"""/v1: who is in pictures, where faces are, whether two are of one person, and embeddings."""

from __future__ import annotations

from functools import partial
from http import HTTPStatus
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends, Query
from starlette.requests import Request

from mien.errors import PhotoError
from mien.learning.pairs import pair
from mien.records.keys import Key
from mien.server.house import Asks, House, house_of
from mien.server.problems import Problem
from mien.server.v1.shapes import Classified, Detected, Embedded, Verified, about_pictures
from mien.text.access import Scope
from mien.types import SeenFace, SeenPhoto

router = APIRouter(prefix="/v1", tags=["pictures"])

MOST_NAMES = 100
"""Candidates for a face at most."""


@router.post("/classify", **about_pictures(409))
async def classify(
    request: Request,
    _: Annotated[Key, Depends(Asks(Scope.CLASSIFY))],
    top: Annotated[int, Query(ge=1, le=MOST_NAMES, description="Candidates for each face.")] = 3,
    least: Annotated[float, Query(ge=0, le=1, description="How probable a name must be to be one.")] = 0.0,
) -> Classified:
    """Who is in pictures: for each an answer, as `mien classify --json` gives it. A picture that cannot be read has an
    `error` in its answer; where none can, the whole request is refused."""
    house = house_of(request)
    body = await house.body(request)
    answers = await house.answers(_pictures(body.pictures), top)
    request.state.model = answers[0].model  # which the header names, whatever is in use by now
    found = []
    for number, answer in enumerate(answers, start=1):
        said = answer.at_least(least).to_json()
        said["photo"] = f"image {number}"
        if answer.error:
            said["error"] = renamed(answer.error, number).to_json()
        found.append(said)
    _require_one([answer.error for answer in answers])
    return Classified.model_validate({"model": answers[0].model, "answers": found})


@router.post("/detect", **about_pictures())
async def detect(request: Request, _: Annotated[Key, Depends(Asks(Scope.CLASSIFY))]) -> Detected:
    """Where the faces are in pictures. Needs no model."""
    house = house_of(request)
    body = await house.body(request)
    seen = await _seen(house, _pictures(body.pictures))
    _require_one([one if isinstance(one, PhotoError) else None for one in seen])
    return Detected.model_validate({"pictures": [_found(number, one) for number, one in enumerate(seen, start=1)]})


@router.post("/verify", **about_pictures(409))
async def verify(request: Request, _: Annotated[Key, Depends(Asks(Scope.CLASSIFY))]) -> Verified:
    """Whether the largest faces of two pictures are of one person. Needs no model."""
    house = house_of(request)
    body = await house.body(request)
    if len(body.pictures) != 2:
        what = f"Two pictures are compared, and {len(body.pictures)} came."
        raise Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "not-two", what, "Send two.")
    seen = await _seen(house, _pictures(body.pictures))
    faces = []
    for number, one in enumerate(seen, start=1):
        if isinstance(one, PhotoError):
            raise one
        if not one.faces:
            raise no_face(number)
        faces.append(max(one.faces, key=lambda face: face.quality.size))
    cosines = await house.ask(lambda _: house.resident.cosines())
    first, second = (face.embedding.vector for face in faces)
    found = pair(first, second, house.resident.settings.fpir, cosines)
    boxes = [[round(float(value), 1) for value in face.face.box] for face in faces]
    return Verified(
        same=found.same,
        probability=round(found.probability, 6),
        score=round(found.score, 6),
        threshold=round(found.threshold, 6),
        boxes=boxes,
    )


@router.post("/embed", **about_pictures())
async def embed(request: Request, _: Annotated[Key, Depends(Asks(Scope.ADMIN))]) -> Embedded:
    """The embeddings of the faces in pictures, which are biometric data: for whoever builds something of their own."""
    house = house_of(request)
    body = await house.body(request)
    seen = await _seen(house, _pictures(body.pictures))
    _require_one([one if isinstance(one, PhotoError) else None for one in seen])
    encoder = await house.ask(lambda _: house.resident.eyes().encoder_id)
    pictures = [_found(number, one, embeddings=True) for number, one in enumerate(seen, start=1)]
    return Embedded.model_validate({"encoder": encoder, "pictures": pictures})


def no_face(number: int) -> Problem:
    """A picture has no face."""
    remedy = "Send a picture in which a face is at least 40 pixels wide."
    return Problem(HTTPStatus.UNPROCESSABLE_ENTITY, "no-face", f"Picture {number} shows no face.", remedy)


def renamed(error: PhotoError, number: int) -> PhotoError:
    """The error of a picture, by its place in the request."""
    return PhotoError(f"image {number}", error.fault, error.figures, error.sha256)


def _pictures(uploads: Any) -> list[bytes]:
    """The bytes of the pictures of a request. Raises Problem where there is none."""
    pictures = [one.data for one in uploads]
    if not pictures:
        raise Problem(HTTPStatus.BAD_REQUEST, "no-picture", "The request has no picture.", "Send one, or several.")
    return pictures


async def _seen(house: House, pictures: list[bytes]) -> list[SeenPhoto | PhotoError]:
    return await house.look(partial(house.resident.see, name="the picture"), pictures)


def _require_one(errors: list[PhotoError | None]) -> None:
    """Raises the first of the errors if there is one for every picture."""
    if errors and all(errors):
        assert errors[0] is not None
        raise errors[0]


def _found(number: int, seen: SeenPhoto | PhotoError, embeddings: bool = False) -> dict[str, Any]:
    name = f"image {number}"
    if isinstance(seen, PhotoError):
        return {"photo": name, "width": None, "height": None, "faces": [], "error": renamed(seen, number).to_json()}
    faces = [_face(face, embeddings) for face in seen.faces]
    return {"photo": name, "width": seen.photo.width, "height": seen.photo.height, "faces": faces}


def _face(seen: SeenFace, embeddings: bool) -> dict[str, Any]:
    found = seen.to_json()
    if embeddings:
        found["embedding"] = np.round(seen.embedding.vector.astype(np.float64), 7).tolist()
    return found
