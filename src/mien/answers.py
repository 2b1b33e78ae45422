"""What classify answers for a photo, and the JSON form of it that programs read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mien.errors import PhotoError
from mien.types import Candidate, Face, Photo, Prediction, Quality


@dataclass(frozen=True, slots=True, eq=False)
class NamedFace:
    """A face with the model's answer."""

    face: Face
    quality: Quality
    prediction: Prediction


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """One photo answered by one model: `faces` from left to right. Where the photo could not be read, `photo` is None,
    `faces` is empty and `error` says why."""

    path: str
    model: str
    photo: Photo | None
    faces: tuple[NamedFace, ...]
    error: PhotoError | None


def to_json(answer: Answer) -> dict[str, Any]:
    """The answer as `mien classify --json` prints it; boxes and landmarks in pixels of the upright photo."""
    found: dict[str, Any] = {
        "photo": answer.path,
        "width": answer.photo.width if answer.photo else None,
        "height": answer.photo.height if answer.photo else None,
        "model": answer.model,
        "faces": [_face_to_json(named) for named in answer.faces],
    }
    if answer.error:
        found["error"] = {"kind": answer.error.kind, "message": answer.error.message, "remedy": answer.error.remedy}
    return found


def _face_to_json(named: NamedFace) -> dict[str, Any]:
    face, prediction = named.face, named.prediction
    return {
        "box": [_rounded(value, 1) for value in face.box],
        "detector_score": _rounded(face.detector_score, 4),
        "landmarks": [[_rounded(x, 1), _rounded(y, 1)] for x, y in face.landmarks],
        "quality": {name: _rounded(value, 4) for name, value in asdict(named.quality).items()},
        "person": prediction.person,
        "probability": _rounded(prediction.probability, 6),
        "score": _rounded(prediction.score, 6),
        "threshold": _rounded(prediction.threshold, 6),
        "candidates": [
            {"person": c.person, "probability": _rounded(c.probability, 6), "score": _rounded(c.score, 6)}
            for c in prediction.candidates
        ],
    }


def _rounded(value: float, digits: int) -> float:
    """Digits that mean something; and 0.0, never -0.0."""
    return round(float(value), digits) + 0.0


def to_journal(answer: Answer) -> dict[str, Any]:
    """`to_json` and what it leaves out, so that `from_journal` can make the same answer again."""
    line = to_json(answer)
    if answer.photo:
        line |= {"sha256": answer.photo.sha256, "format": answer.photo.format, "phash": answer.photo.phash}
    line["seen_by"] = [[named.face.detector, named.face.turn] for named in answer.faces]
    return line


def from_journal(line: Mapping[str, Any]) -> Answer:
    """Raises KeyError, TypeError or ValueError where `line` is not what `to_journal` made."""
    faces = tuple(
        NamedFace(
            Face(tuple(f["box"]), np.asarray(f["landmarks"], np.float32), f["detector_score"], detector, turn),
            Quality(**f["quality"]),
            Prediction(
                f["person"],
                f["probability"],
                f["score"],
                f["threshold"],
                tuple(Candidate(c["person"], c["probability"], c["score"]) for c in f["candidates"]),
            ),
        )
        for f, (detector, turn) in zip(line["faces"], line["seen_by"], strict=True)
    )
    error = PhotoError(**line["error"]) if "error" in line else None
    photo = None
    if "sha256" in line:
        photo = Photo(line["sha256"], line["width"], line["height"], line["format"], line["phash"])
    return Answer(line["photo"], line["model"], photo, faces, error)
