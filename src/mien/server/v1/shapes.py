"""The shapes of /v1's answers, which its OpenAPI shows."""

from __future__ import annotations

from http import HTTPStatus
from typing import Any

from pydantic import BaseModel, ConfigDict, Field


class Shape(BaseModel):
    """A part of an answer. Parts that are None in mien's own objects are null, and those that are left out are left
    out."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class ProblemShape(BaseModel):
    """What went wrong (RFC 9457): `type` ends in one word for programs, `detail` says it, and what to do."""

    model_config = ConfigDict(extra="allow", title="Problem")

    type: str
    title: str
    status: int
    detail: str
    request_id: str


def problems(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """How a route may fail, for its OpenAPI."""
    content = {"application/problem+json": {"schema": {"$ref": "#/components/schemas/Problem"}}}
    return {status: {"description": HTTPStatus(status).phrase, "content": content} for status in statuses}


_BINARY = {"type": "string", "format": "binary"}
_BASE64 = {"type": "string", "contentEncoding": "base64"}
PICTURES: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "properties": {"picture": {"type": "array", "items": _BINARY}},
                    "required": ["picture"],
                }
            },
            "application/octet-stream": {"schema": _BINARY},
            "image/*": {"schema": _BINARY},
            "application/json": {
                "schema": {
                    "type": "object",
                    "properties": {"pictures": {"type": "array", "items": _BASE64, "minItems": 1}},
                    "required": ["pictures"],
                }
            },
        },
    }
}
"""The body of whatever asks about pictures."""


def about_pictures(*statuses: int) -> dict[str, Any]:
    """What FastAPI is told of a route that takes pictures; `statuses` are further ways in which it may fail."""
    failing = sorted({400, 401, 403, 408, 413, 422, 429, 503, *statuses})
    return {"openapi_extra": PICTURES, "responses": problems(*failing), "response_model_exclude_unset": True}


class Unreadable(Shape):
    """Why a picture cannot be read."""

    kind: str
    message: str
    remedy: str


class Measured(Shape):
    """How much a face can be trusted, 0 to 1; `size` in pixels."""

    size: float
    sharpness: float
    pose: float
    exposure: float
    overall: float


class FaceShape(Shape):
    """A face: `box` (x0, y0, x1, y1) and five landmarks, in pixels of the upright picture."""

    box: list[float] = Field(min_length=4, max_length=4)
    detector_score: float
    landmarks: list[list[float]]
    quality: Measured


class CandidateShape(Shape):
    """Somebody whom a face may be."""

    person: str
    probability: float
    score: float


class NamedShape(FaceShape):
    """A face with its answer: `person` is null for unknown, and then `probability` is that of unknown."""

    person: str | None
    probability: float
    score: float
    threshold: float
    reason: str | None
    candidates: list[CandidateShape]


class Looked(Shape):
    """A picture that was looked at; with an `error` where it could not be."""

    photo: str
    width: int | None
    height: int | None


class AnswerShape(Looked):
    """A picture answered by the model of this version, as `mien classify --json` gives it."""

    model: str
    faces: list[NamedShape]
    learned: list[str] = []
    preview: bool = False
    error: Unreadable | None = None


class Classified(Shape):
    """An answer for each picture, in their order."""

    model: str
    answers: list[AnswerShape]


class DetectedPicture(Looked):
    """A picture with its faces, left to right."""

    faces: list[FaceShape]
    error: Unreadable | None = None


class Detected(Shape):
    """The faces of each picture, in their order."""

    pictures: list[DetectedPicture]


class Verified(Shape):
    """Whether two faces are of one person: a cosine of at least the threshold. `boxes` are theirs."""

    same: bool
    probability: float
    score: float
    threshold: float
    boxes: list[list[float]]


class EmbeddedFace(FaceShape):
    """A face with its unit embedding."""

    embedding: list[float]


class EmbeddedPicture(Looked):
    """A picture with its faces and their embeddings."""

    faces: list[EmbeddedFace]
    error: Unreadable | None = None


class Embedded(Shape):
    """Embeddings, which may be compared with those of the same encoder alone."""

    encoder: str
    pictures: list[EmbeddedPicture]
