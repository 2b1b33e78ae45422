"""Seeing: a photo in, all its faces with their embeddings out.

Knows the order of the steps and when to look again; knows no concrete tool, no album and no person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np

from mien.errors import PhotoError
from mien.protocols import Detector, Encoder, Landmarker
from mien.types import Box, Embedding, Face, Floats, Picture, Pixels, SeenFace, SeenPhoto
from mien.vision.geometry import (
    between,
    cut_from_landmarks,
    cut_from_points,
    from_chip,
    openface_chip,
    square_from_landmarks,
    turn_box,
    turn_points,
    warp_square,
)
from mien.vision.images import read_picture
from mien.vision.quality import face_quality

Views = Literal[1, 2, 4]

RECIPE = "1"
"""Raise this whenever the code below would give other numbers: embeddings are remembered under the id it is part of."""

LOOK = 800
"""Long side, pixels, at which faces are looked for first. YuNet finds 95 of 100 faces that are then 16 pixels wide or
more, and its time goes with the area."""

AGAIN = (1600, 320)
"""Long sides tried when that finds nothing: finer for faces in a crowd, coarser for one that fills the picture."""

UNSURE = 0.9
"""A photo whose best face scores less may be lying on its side or standing on its head, as photos do that lost their
EXIF orientation; YuNet sees such faces too, but not where their eyes are. Of 104 photos turned all ways this finds
100, 100, 98 and 100 % upright again (0 to 3 quarters), and 1 % of upright photos are looked at thrice more in vain."""

SURE, CLEARLY = 0.8, 0.03
"""Score that a face in a turned photo must reach, and by how much it must beat those upright: more looks are more
chances to be wrong."""

CLOSER, CLOSE_UP = 1.6, 320
"""The second look at a face: this many times its chip's square, at this side in pixels. On training photos of LFW and
`wild` it makes the detector's own points as good as the trees', and the square between the two better than either."""

AT_ONCE = 32
"""Faces whose chips are held at a time, so that a photo of a stadium does not fill the memory."""


class Found(NamedTuple):
    """Faces in the coordinates of `pixels`, which is the picture turned by `turn` anticlockwise quarters."""

    pixels: Pixels
    turn: int
    faces: list[Face]


@dataclass(frozen=True)
class Eyes:
    """One set of tools; each worker has its own, because sessions are not shared."""

    detector: Detector
    fallback: Detector
    landmarker: Landmarker
    encoder: Encoder
    views: Views

    @property
    def encoder_id(self) -> str:
        """Names everything that an embedding depends on; embeddings of two such ids are never compared."""
        tools = (self.detector.id, self.fallback.id, self.landmarker.id, self.encoder.id, RECIPE)
        return f"{self.encoder.id}-views{self.views}-{hashlib.sha256('|'.join(tools).encode()).hexdigest()[:8]}"

    def open(self) -> Eyes:
        """These, their tools ready: they open their networks when first used, which may be done in good time."""
        blank = np.zeros((1, self.encoder.size, self.encoder.size, 3), np.uint8)
        self.detector.detect(blank[0])
        self.landmarker.landmarks(blank[0], [])
        self.encoder.encode(blank)
        return self

    def look_at(self, file: Path) -> SeenPhoto | PhotoError:
        """What is in a photo file; or, for the sake of those who look at thousands, what is wrong with it."""
        try:
            return self.look(read_picture(file))
        except PhotoError as error:
            return PhotoError(error.message, error.remedy, error.kind)  # without the traceback, which holds the file

    def look(self, picture: Picture) -> SeenPhoto:
        """All faces of the picture from left to right, in pixels of the full-size upright photo."""
        found = self._find(picture.pixels)
        seen = []
        for start in range(0, len(found.faces), AT_ONCE):
            first = found.faces[start : start + AT_ONCE]
            closer = [self._look_closer(found.pixels, face) for face in first]
            for face, vector in zip(closer, self._embed(found.pixels, first, closer), strict=True):
                quality = face_quality(found.pixels, _scaled(face, 1 / picture.scale), picture.scale)
                placed = _scaled(_turned_back(face, found), 1 / picture.scale)
                seen.append(SeenFace(placed, quality, Embedding(vector, self.encoder_id)))
        seen.sort(key=lambda one: (one.face.box[0] + one.face.box[2], one.face.box[1]))
        return SeenPhoto(picture.photo, tuple(seen))

    def chip(self, picture: Picture, face: Face, size: int) -> Pixels:
        """OpenFace's `outerEyesAndNose` chip of a face that was seen in the picture, (size, size, 3) uint8 RGB."""
        pixels = np.ascontiguousarray(np.rot90(picture.pixels, face.turn))
        height, width = picture.pixels.shape[:2]
        landmarks = turn_points(face.landmarks * picture.scale, face.turn, width, height)
        (points,) = self.landmarker.landmarks(pixels, [square_from_landmarks(landmarks)])
        return openface_chip(pixels, points, size)

    def _find(self, pixels: Pixels) -> Found:
        """All faces. Where the first look finds nothing, or nothing good, other sizes, quarter turns and the slow
        detector are tried, in this order."""
        faces: list[Face] = []
        for side in (LOOK, *AGAIN):
            faces = faces or _detect(self.detector, pixels, side)
        found = Found(pixels, 0, faces)
        if _best(faces) < UNSURE:
            turned = [Found(np.ascontiguousarray(np.rot90(pixels, turn)), turn, []) for turn in (1, 3, 2)]
            tries = [one._replace(faces=_detect(self.detector, one.pixels, LOOK)) for one in turned]
            best = max(tries, key=lambda one: _best(one.faces))
            if _best(best.faces) >= max(SURE, _best(faces) + CLEARLY):
                found = best
        if not found.faces:
            found = found._replace(faces=_detect(self.fallback, pixels, LOOK))
        return found

    def _look_closer(self, pixels: Pixels, face: Face) -> Face:
        """The face with landmarks from a second look at it alone, upright and large; its own if that sees none
        there."""
        own = cut_from_landmarks(face.landmarks)
        cut = own._replace(side=CLOSER * own.side)
        middle = (CLOSE_UP - 1) / 2
        seen = self.detector.detect(warp_square(pixels, cut, CLOSE_UP))
        central = min(seen, key=lambda one: _distance(one, middle, middle), default=None)
        if central is None or _distance(central, middle, middle) > middle / 2:
            return face
        return replace(face, landmarks=from_chip(central.landmarks, cut, CLOSE_UP))

    def _embed(self, pixels: Pixels, first: Sequence[Face], closer: Sequence[Face]) -> Floats:
        """(N, 128) unit embeddings, each the mean over the views of a face, given by its first and its second look.

        The regression trees place the points well but for profiles, and the detector well but for the scale, so the
        first view is the square half way between; its mirror image is one more look at the same face; and either alone
        errs elsewhere. docs/benchmarks.md has what each view brought.
        """
        size = self.encoder.size
        # The trees start from the first look, so that their errors are not those of the second.
        points = self.landmarker.landmarks(pixels, [square_from_landmarks(face.landmarks) for face in first])
        chips = []
        for face, five in zip(closer, points, strict=True):
            trees, own = cut_from_points(five), cut_from_landmarks(face.landmarks)
            middle = between(trees, own)
            views = [(middle, 1), (middle, -1), (trees, 1), (own, -1)][: self.views]
            chips += [warp_square(pixels, cut, size)[:, ::step] for cut, step in views]
        each = unit(self.encoder.encode(np.stack(chips)))
        return unit(each.reshape(len(first), self.views, -1).mean(axis=1))


def unit(vectors: Floats) -> Floats:
    """Rows scaled to length 1."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _detect(detector: Detector, pixels: Pixels, side: int) -> list[Face]:
    """`detector` on `pixels` at a long side of `side`, in pixels of the original; only a second, closer look
    enlarges."""
    scale = min(side / max(pixels.shape[:2]), 2.0 if side > LOOK else 1.0)
    size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
    if size == (pixels.shape[1], pixels.shape[0]):
        return detector.detect(pixels)
    small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
    return [_scaled(face, 1 / scale) for face in detector.detect(np.asarray(small, np.uint8))]


def _best(faces: Sequence[Face]) -> float:
    return max((face.detector_score for face in faces), default=0.0)


def _distance(face: Face, x: float, y: float) -> float:
    x0, y0, x1, y1 = face.box
    return float(np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y))


def _scaled(face: Face, scale: float) -> Face:
    x0, y0, x1, y1 = face.box
    box: Box = (x0 * scale, y0 * scale, x1 * scale, y1 * scale)
    return replace(face, box=box, landmarks=face.landmarks * np.float32(scale))


def _turned_back(face: Face, found: Found) -> Face:
    """A face of the turned pixels where it is in the picture."""
    if not found.turn:
        return face
    height, width = found.pixels.shape[:2]
    return replace(
        face,
        box=turn_box(face.box, -found.turn, width, height),
        landmarks=turn_points(face.landmarks, -found.turn, width, height),
        turn=found.turn,
    )
