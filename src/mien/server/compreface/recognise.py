"""Who is in a picture, where its faces are, whether two are of one person; and the same of embeddings."""

from __future__ import annotations

import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

import numpy as np
from fastapi import APIRouter, Depends
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from mien.album import Album
from mien.errors import PhotoError
from mien.learning.openset import identify
from mien.learning.pairs import pair
from mien.records.keys import Key
from mien.registry.folder import Model
from mien.server.bodies import json_of, whole
from mien.server.compreface.errors import PREFIX, many_faces, no_face, no_image, no_parameter, wrong_parameter
from mien.server.compreface.queries import Wanted, query_of, wanted
from mien.server.compreface.similarity import DIGITS, similarities, similarity
from mien.server.house import Asks, House, house_of
from mien.stages.stored import StoredPhoto
from mien.text.access import Scope
from mien.types import Answer, Face, Floats, Prediction, SeenPhoto

router = APIRouter(prefix=PREFIX, include_in_schema=False)

Classifies = Annotated[Key, Depends(Asks(Scope.CLASSIFY))]

MOST_EMBEDDINGS = 1000
"""Embeddings in a request."""


@dataclass(frozen=True, slots=True)
class Found:
    """A face of a picture: its `size` in pixels, its embedding and its prediction, each where there is one."""

    face: Face
    size: float
    embedding: Floats | None = None
    prediction: Prediction | None = None


@router.post("/recognition/recognize")
async def recognise(request: Request, key: Classifies) -> dict[str, Any]:
    """The nearest subjects of each face, known or not; none where nobody is enrolled."""
    house, ask = house_of(request), wanted(query_of(request), key)
    picture, began = await picture_of(house, request), time.perf_counter()
    found, slope = await _recognised(house, picture, ask)
    faces = _chosen(found, ask)
    told = []
    for one in faces:
        near = similarities(one.prediction, slope, ask.candidates) if one.prediction else []
        subjects = [{"subject": person, "similarity": how} for person, how in near]
        told.append(_face(one, ask, began) | {"subjects": subjects})
    return await _answer(house, told, ask)


@router.post("/detection/detect")
async def detect(request: Request, key: Classifies) -> dict[str, Any]:
    """Where the faces of a picture are."""
    house, ask = house_of(request), wanted(query_of(request), key)
    picture, began = await picture_of(house, request), time.perf_counter()
    (seen,) = await seen_in(house, [picture])
    return await _answer(house, [_face(one, ask, began) for one in _chosen(_faces(seen), ask)], ask)


@router.post("/verification/verify")
async def verify(request: Request, key: Classifies) -> dict[str, Any]:
    """How much each face of the target is like the one face of the source."""
    house, ask = house_of(request), wanted(query_of(request), key)
    names = ("source_image", "target_image")
    body = await house.body(request, names)
    pictures, began = [body.picture(name) for name in names], time.perf_counter()
    first, second = await seen_in(house, pictures)
    source = [one for one in _faces(first) if one.face.detector_score >= ask.least]
    targets = _chosen(_faces(second), ask)
    if not source:
        raise no_face()
    if len(source) > 1:
        raise many_faces(len(source))
    embedding = source[0].embedding
    assert embedding is not None
    matches = await _matches(house, embedding, targets, ask, began)
    return await _answer(house, [{"source_image_face": _face(source[0], ask, began), "face_matches": matches}], ask)


@router.post("/recognition/faces/{image_id}/verify")
async def verify_stored(request: Request, image_id: str, key: Classifies) -> dict[str, Any]:
    """How much each face of a picture is like that of a photo in the collection."""
    house, ask = house_of(request), wanted(query_of(request), key)
    picture, began = await picture_of(house, request), time.perf_counter()
    embedding = await house.ask(lambda album: _stored(album, image_id, _model(house)))
    (seen,) = await seen_in(house, [picture])
    return await _answer(house, await _matches(house, embedding, _chosen(_faces(seen), ask), ask, began), ask)


@router.post("/recognition/embeddings/recognize")
async def recognise_embeddings(request: Request, key: Classifies) -> Response:
    """The nearest subjects of each embedding."""
    house, most = house_of(request), wanted(query_of(request), key).candidates
    data = await whole(request, house.bounds)

    def work(album: Album) -> Response:
        model = _model(house)
        given = _embeddings(json_of(data), "embeddings", album.eyes(model).encoder.dimensions)
        near: list[list[tuple[str, float]]] = [[] for _ in given]
        if model:
            best = model.head.best(given, max(most, 2), model.calibration.temperature)
            found = identify(best, model.people, model.threshold, model.calibration, max(most, 2))
            near = [similarities(one, model.calibration.slope, most) for one in found]
        told = [
            {
                "embedding": vector.tolist(),
                "similarities": [{"subject": person, "similarity": how} for person, how in each],
            }
            for vector, each in zip(given, near, strict=True)
        ]
        return JSONResponse({"result": told})

    return await house.ask(work)


@router.post("/recognition/embeddings/faces/{image_id}/verify")
async def verify_embeddings_stored(request: Request, image_id: str, _: Classifies) -> Response:
    """How much each embedding is like the face of a photo in the collection."""
    house = house_of(request)
    data = await whole(request, house.bounds)

    def work(album: Album) -> Response:
        model = _model(house)
        stored = _stored(album, image_id, model)
        return _alike(album, model, stored, _embeddings(json_of(data), "embeddings", len(stored)))

    return await house.ask(work)


@router.post("/verification/embeddings/verify")
async def verify_embeddings(request: Request, _: Classifies) -> Response:
    """How much each of the targets is like the source."""
    house = house_of(request)
    data = await whole(request, house.bounds)

    def work(album: Album) -> Response:
        model, said = _model(house), json_of(data)
        size = album.eyes(model).encoder.dimensions
        (source,) = _embeddings(said, "source", size)
        return _alike(album, model, source, _embeddings(said, "targets", size))

    return await house.ask(work)


async def picture_of(house: House, request: Request) -> bytes:
    """The picture of a request. Raises Problem."""
    return (await house.body(request, ("file",))).picture("file")


async def seen_in(house: House, pictures: Sequence[bytes]) -> list[SeenPhoto]:
    """The faces of pictures, with or without a model. Raises PhotoError for one that cannot be read."""
    found = []
    for one in await house.look(partial(house.resident.see, name="The picture"), pictures):
        if isinstance(one, PhotoError):
            raise one
        found.append(one)
    return found


def find(album: Album, image_id: str) -> StoredPhoto:
    """The photo of the collection that has an id. Raises Problem."""
    found = next((one for one in album.stored_photos() if one.id == image_id.lower()), None)
    if found is None:
        raise no_image(image_id)
    return found


async def _recognised(house: House, picture: bytes, ask: Wanted) -> tuple[list[Found], float]:
    """The faces of a picture with their predictions, and the slope of the model's calibration; without predictions
    where there is no model."""
    recogniser = house.resident.recogniser
    if recogniser is None:
        (seen,) = await seen_in(house, [picture])
        return _faces(seen), 1.0

    def look(data: bytes) -> tuple[Answer, tuple[Floats | None, ...]]:
        if not ask.embeddings:
            answer = recogniser.answer(data, ask.candidates)
            return answer, (None,) * len(answer.faces)
        with closing(recogniser.seen_answers([data], ask.candidates)) as answers:
            return next(answers)

    def look_by_one_model(data: bytes) -> tuple[Answer, tuple[Floats | None, ...], float]:
        while True:
            model = recogniser.model
            answer, embeddings = look(data)
            if answer.model == model.version:  # or another came into use in between
                return answer, embeddings, model.calibration.slope

    ((answer, embeddings, slope),) = await house.look(look_by_one_model, [picture])
    house.metrics.count([answer])
    if answer.error:
        raise PhotoError("The picture", answer.error.fault, answer.error.figures)
    faces = zip(answer.faces, embeddings, strict=True)
    return [Found(one.face, one.quality.size, vector, one.prediction) for one, vector in faces], slope


def _faces(seen: SeenPhoto) -> list[Found]:
    return [Found(one.face, one.quality.size, one.embedding.vector) for one in seen.faces]


def _chosen(found: Sequence[Found], ask: Wanted) -> list[Found]:
    """Those of the faces that are asked for, left to right. Raises Problem where there is none."""
    sure = [one for one in found if one.face.detector_score >= ask.least]
    if not sure:
        raise no_face()
    largest = sorted(sure, key=lambda one: -one.size)[: ask.limit or None]
    return [one for one in sure if any(one is each for each in largest)]


def _face(found: Found, ask: Wanted, began: float) -> dict[str, Any]:
    """A face as CompreFace tells it: its box, and what was asked for."""
    left, top, right, bottom = (round(float(value)) for value in found.face.box)
    probability = round(float(found.face.detector_score), DIGITS)
    told: dict[str, Any] = {
        "box": {"probability": probability, "x_max": right, "y_max": bottom, "x_min": left, "y_min": top}
    }
    if ask.landmarks:
        told["landmarks"] = [[round(float(x)), round(float(y))] for x, y in found.face.landmarks]
    if ask.embeddings and found.embedding is not None:
        told["embedding"] = np.round(found.embedding.astype(np.float64), 7).tolist()
    if ask.status:
        told["execution_time"] = {"detector": round((time.perf_counter() - began) * 1000, 1)}  # of the whole picture
    return told


async def _answer(house: House, result: list[dict[str, Any]], ask: Wanted) -> dict[str, Any]:
    if not ask.status:
        return {"result": result}

    def versions(album: Album) -> dict[str, str]:
        eyes = album.eyes(_model(house))
        return {"detector": eyes.detector.id, "calculator": eyes.encoder_id}

    return {"result": result, "plugins_versions": await house.ask(versions)}


def _model(house: House) -> Model | None:
    """The model in use, if there is one."""
    recogniser = house.resident.recogniser
    return recogniser.model if recogniser else None


async def _matches(
    house: House, embedding: Floats, targets: Sequence[Found], ask: Wanted, began: float
) -> list[dict[str, Any]]:
    """Each target with its similarity to an embedding."""
    vectors = [one.embedding for one in targets if one.embedding is not None]
    how = await house.ask(lambda album: _similar(album, _model(house), embedding, vectors))
    return [_face(one, ask, began) | {"similarity": each} for one, each in zip(targets, how, strict=True)]


def _alike(album: Album, model: Model | None, source: Floats, targets: Floats) -> Response:
    how = _similar(album, model, source, list(targets))
    found = sorted(zip(how, range(len(how)), strict=True), key=lambda one: (-one[0], one[1]))
    return JSONResponse({"result": [{"embedding": targets[row].tolist(), "similarity": each} for each, row in found]})


def _similar(album: Album, model: Model | None, embedding: Floats, others: Sequence[Floats]) -> list[float]:
    cosines, fpir = album.cosines(model), album.settings.fpir
    return [similarity(pair(_unit(embedding), _unit(one), fpir, cosines).probability) for one in others]


def _stored(album: Album, image_id: str, model: Model | None) -> Floats:
    """The embedding of the person's face in a photo of the collection. Raises Problem."""
    found = album.stored_embedding(find(album, image_id), album.eyes(model).encoder_id)
    if found is None:
        raise no_image(image_id)
    return found


def _embeddings(said: Any, name: str, size: int) -> Floats:
    """The embeddings (N, D) in a JSON body under `name`, of `size` numbers each. Raises Problem."""
    given = said.get(name) if isinstance(said, dict) else None
    if given is None:
        raise no_parameter(name)
    rows = [given] if name == "source" else given
    try:
        with np.errstate(over="ignore"):  # what is too large is infinite, and refused
            found = np.asarray(rows, np.float32)
    except (TypeError, ValueError, OverflowError):
        found = np.zeros((0, 0), np.float32)
    fits = found.ndim == 2 and found.size and found.shape[1] == size
    if not fits or len(found) > MOST_EMBEDDINGS or not np.isfinite(found).all() or not found.any(axis=1).all():
        needed = f"a list of lists of {size} numbers each, at most {MOST_EMBEDDINGS}"
        raise wrong_parameter(name, str(given), needed)
    return found


def _unit(vector: Floats) -> Floats:
    return np.asarray(vector / np.linalg.norm(vector), np.float32)
