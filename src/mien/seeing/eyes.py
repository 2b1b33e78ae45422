"""Seeing: a photo in, all its faces with their embeddings out.

`Eyes` know the order of the steps, and when a step is repeated on the picture enlarged, reduced or turned. They know no
concrete tool, no album and no person.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal, NamedTuple

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.errors import PhotoError, ToolError
from mien.protocols import Detector, Encoder, Landmarker
from mien.storage.tracebacks import guarded
from mien.text.photos import PhotoFault
from mien.types import Alignment, Box, Embedding, Face, Floats, Picture, Pixels, SeenFace, SeenPhoto
from mien.vision.geometry import (
    Affine,
    between,
    cut_from_landmarks,
    cut_from_points,
    from_chip,
    openface_chip,
    similarity,
    square_from_landmarks,
    square_to_image,
    turn_box,
    turn_points,
    warp,
    warp_square,
)
from mien.vision.images import read_picture
from mien.vision.quality import face_quality

Views = Literal[1, 2, 4]
"""How many chips of a face an embedding is the mean of."""

DLIB = Alignment(None)
"""How chips are cut for the encoder that came with mien from the beginning."""

RECIPE = "1"
"""Raise this whenever the code below would give other numbers: embeddings are remembered under an id that has it."""

FIRST_SIDE = 800
"""Long side, pixels, at which faces are first looked for. YuNet finds 95 of 100 faces that are then 16 pixels wide or
more, and its time goes with the area."""

OTHER_SIDES = (1600, 320)
"""Long sides tried where the first shows no face: finer for faces in a crowd, coarser for one that fills the
picture."""

SURELY_UPRIGHT = 0.9
"""A photo whose best face scores less may be lying on its side or standing on its head, as photos do that lost their
EXIF orientation; YuNet sees such faces too, but not where their eyes are. Of 104 photos turned all ways this finds
100, 100, 98 and 100 % upright again (0 to 3 quarters), and 1 % of upright photos are turned three times in vain."""

TURNED_SCORE, TURNED_LEAD = 0.8, 0.03
"""The score that a face in a turned photo must reach, and by how much it must beat the faces of the photo as it is:
more turns are more chances to be wrong."""

CLOSE_UP, CLOSE_UP_SIDE = 1.6, 320
"""A close-up shows this many times the square of a face's chip, at this side in pixels. On training photos of LFW and
`wild` it makes the detector's own points as good as the trees', and the square between the two better than either."""

FACES_AT_ONCE = 32
"""Faces whose chips are held at a time, so that a photo of a stadium does not fill the memory."""


class _Turned(NamedTuple):
    """A picture turned by `turn` anticlockwise quarters, and the faces in it, in its own pixels."""

    pixels: Pixels
    turn: int
    faces: list[Face]


@dataclass(frozen=True)
class Eyes:
    """One set of tools by which photos are seen; each worker has a set of its own, because sessions are not shared.

    `tracebacks` is the folder for the tracebacks of tools that mien did not bring and that fail; None is the system's
    folder for temporary files.
    """

    detector: Detector
    fallback: Detector
    landmarker: Landmarker
    encoder: Encoder
    views: Views
    tracebacks: Path | None = field(default=None, kw_only=True)

    @property
    def encoder_id(self) -> str:
        """Names everything that an embedding depends on; embeddings of two such ids are never compared."""
        tools = [self.detector.id, self.fallback.id, self.landmarker.id, self.encoder.id, RECIPE]
        if self.encoder.alignment != DLIB:
            tools.append(repr(self.encoder.alignment))
        return f"{self.encoder.id}-views{self.views}-{hashlib.sha256('|'.join(tools).encode()).hexdigest()[:8]}"

    def open(self) -> Eyes:
        """Opens the networks that most photos need, which otherwise happens in the first photo; returns these eyes.
        Raises DamagedModelError and ToolError."""
        blank = np.zeros((1, self.encoder.size, self.encoder.size, 3), np.uint8)
        self._detect(self.detector, blank[0])
        self._points(blank[0], [])
        self._encode(blank)
        return self

    def see_file(self, file: Path) -> SeenPhoto | PhotoError:
        """The faces in the photo at `file`, or why there are none to be had. The error is returned, as whoever sees
        thousands of photos goes on."""
        return self.see_read(partial(read_picture, file), str(file))

    def see_read(self, read: Callable[[], Picture], name: str) -> SeenPhoto | PhotoError:
        """The faces in the picture that `read` returns. The PhotoError that `read` raises is returned, and so is one,
        of the kind "tool", where a tool fails that mien did not bring; that one calls the photo `name`."""
        try:
            return self.see(read())
        except PhotoError as error:
            return type(error)(*error.args)  # without the traceback, which holds the file
        except ToolError as error:
            return PhotoError(name, PhotoFault.TOOL, {"tool": error.about, "said": error.what})

    def see(self, picture: Picture) -> SeenPhoto:
        """All faces of the picture from left to right, in pixels of the full-size upright photo. Raises ToolError where
        a tool fails that mien did not bring."""
        found = self._find(picture.pixels)
        seen = []
        for start in range(0, len(found.faces), FACES_AT_ONCE):
            faces = found.faces[start : start + FACES_AT_ONCE]
            close_ups = [self._looked_at(found.pixels, face) for face in faces]
            for face, vector in zip(close_ups, self._embed(found.pixels, faces, close_ups), strict=True):
                quality = face_quality(found.pixels, _scaled(face, 1 / picture.scale), picture.scale)
                placed = _scaled(_turned_back(face, found), 1 / picture.scale)
                seen.append(SeenFace(placed, quality, Embedding(vector, self.encoder_id)))
        seen.sort(key=lambda one: (one.face.box[0] + one.face.box[2], one.face.box[1]))
        return SeenPhoto(picture.photo, tuple(seen))

    def chip(self, picture: Picture, face: Face, size: int) -> Pixels:
        """OpenFace's `outerEyesAndNose` chip of a face that was seen in the picture, (size, size, 3) uint8 RGB. Raises
        ToolError where a landmarker fails that mien did not bring."""
        pixels, landmarks = _upright(picture, face)
        (points,) = self._points(pixels, [square_from_landmarks(landmarks)])
        return openface_chip(pixels, points, size)

    def encoder_chips(self, picture: Picture, face: Face) -> NDArray[np.uint8]:
        """(views, size, size, 3) uint8 RGB: the chips that the encoder is given of a face that was seen in the
        picture. Raises ToolError where a landmarker fails that mien did not bring."""
        pixels, landmarks = _upright(picture, face)
        upright = replace(face, landmarks=landmarks)
        return self._chips(pixels, [upright], [upright])

    def _find(self, pixels: Pixels) -> _Turned:
        """All faces. Where the picture shows none at `FIRST_SIDE`, or none good enough, other sizes, quarter turns and
        the slow detector are tried, in this order."""
        faces: list[Face] = []
        for side in (FIRST_SIDE, *OTHER_SIDES):
            faces = faces or self._detect_at(self.detector, pixels, side)
        found = _Turned(pixels, 0, faces)
        if _best(faces) < SURELY_UPRIGHT:
            turned = [(np.ascontiguousarray(np.rot90(pixels, turn)), turn) for turn in (1, 3, 2)]
            tries = [_Turned(one, turn, self._detect_at(self.detector, one, FIRST_SIDE)) for one, turn in turned]
            best = max(tries, key=lambda one: _best(one.faces))
            if _best(best.faces) >= max(TURNED_SCORE, _best(faces) + TURNED_LEAD):
                found = best
        if not found.faces:
            found = found._replace(faces=self._detect_at(self.fallback, pixels, FIRST_SIDE))
        return found

    def _looked_at(self, pixels: Pixels, face: Face) -> Face:
        """The face with the landmarks that the detector gives it in a close-up, upright and large; the face as it is
        where the encoder wants no close-up, or one of it shows no face in the middle."""
        if not self.encoder.alignment.close_up:
            return face
        own = cut_from_landmarks(face.landmarks)
        cut = own._replace(side=CLOSE_UP * own.side)
        middle = (CLOSE_UP_SIDE - 1) / 2
        seen = self._detect(self.detector, warp_square(pixels, cut, CLOSE_UP_SIDE))
        central = min(seen, key=lambda one: _distance(one, middle, middle), default=None)
        if central is None or _distance(central, middle, middle) > middle / 2:
            return face
        return replace(face, landmarks=from_chip(central.landmarks, cut, CLOSE_UP_SIDE))

    def _embed(self, pixels: Pixels, faces: Sequence[Face], close_ups: Sequence[Face]) -> Floats:
        """(N, D) unit embeddings of N faces, each given as it was found and with the landmarks of its close-up; an
        embedding is the mean over the views."""
        each = unit(self._encode(self._chips(pixels, faces, close_ups)))
        return unit(each.reshape(len(faces), self.views, -1).mean(axis=1))

    def _chips(self, pixels: Pixels, faces: Sequence[Face], close_ups: Sequence[Face]) -> NDArray[np.uint8]:
        """(N * views, size, size, 3) uint8: the chips of N faces, face by face, given as for `_embed`."""
        size, chips = self.encoder.size, []
        for views in self._views(pixels, faces, close_ups):
            chips += [warp(pixels, chip_to_image, size)[:, ::step] for chip_to_image, step in views[: self.views]]
        return np.stack(chips)

    def _views(
        self, pixels: Pixels, faces: Sequence[Face], close_ups: Sequence[Face]
    ) -> Iterator[list[tuple[Affine, int]]]:
        """For each face four maps from a chip to the picture, the most useful first, each with the step of its columns:
        -1 for a mirror image, which shows the same face once more."""
        size, template = self.encoder.size, self.encoder.alignment.template
        if template is not None:
            for found, near in zip(faces, close_ups, strict=True):
                one, other = similarity(template, near.landmarks), similarity(template, found.landmarks)
                yield [(one, 1), (one, -1), (other, 1), (other, -1)]
            return
        # dlib's way. The regression trees place the points well but for profiles, and the detector well but for the
        # scale, so the first view is the square half way between; and either square alone errs elsewhere.
        # docs/benchmarks.md has what each view brought. The trees start from the face as it was found, so that their
        # errors are not those of the close-up.
        points = self._points(pixels, [square_from_landmarks(face.landmarks) for face in faces])
        for near, five in zip(close_ups, points, strict=True):
            by_trees, by_detector = cut_from_points(five), cut_from_landmarks(near.landmarks)
            squares = (between(by_trees, by_detector), by_trees, by_detector)
            middle, trees, own = (square_to_image(square, size) for square in squares)
            yield [(middle, 1), (middle, -1), (trees, 1), (own, -1)]

    # The tools, which somebody else may have made

    def _detect_at(self, detector: Detector, pixels: Pixels, side: int) -> list[Face]:
        """What `detector` finds in the picture at a long side of `side`, in pixels of the picture as it is. Only sides
        above `FIRST_SIDE` enlarge a picture, and at most twice."""
        scale = min(side / max(pixels.shape[:2]), 2.0 if side > FIRST_SIDE else 1.0)
        size = max(1, round(pixels.shape[1] * scale)), max(1, round(pixels.shape[0] * scale))
        if size == (pixels.shape[1], pixels.shape[0]):
            return self._detect(detector, pixels)
        small = cv2.resize(pixels, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR)
        return [_scaled(face, 1 / scale) for face in self._detect(detector, np.asarray(small, np.uint8))]

    def _detect(self, detector: Detector, pixels: Pixels) -> list[Face]:
        with self._guarded("detector", detector):
            return detector.detect(pixels)

    def _points(self, pixels: Pixels, squares: Sequence[Box]) -> Floats:
        with self._guarded("landmarker", self.landmarker):
            return self.landmarker.landmarks(pixels, squares)

    def _encode(self, chips: NDArray[np.uint8]) -> Floats:
        with self._guarded("encoder", self.encoder):
            rows = self.encoder.encode(chips)
        if not (np.isfinite(rows).all() and rows.any(axis=1).all()):
            raise ToolError(
                f"The encoder {self.encoder.id}",
                "gives no usable numbers for a face: infinite or none, or all 0",
                "Use another encoder, or mend this one: its network computes something that it cannot for every face.",
            )
        return rows

    def _guarded(self, role: str, tool: Detector | Landmarker | Encoder) -> AbstractContextManager[None]:
        return guarded(f"The {role} {tool.id}", tool, self.tracebacks)


def unit(vectors: Floats) -> Floats:
    """The rows of `vectors` (N, D) scaled to length 1, float32."""
    return np.asarray(vectors / np.linalg.norm(vectors, axis=-1, keepdims=True), np.float32)


def _best(faces: Sequence[Face]) -> float:
    return max((face.detector_score for face in faces), default=0.0)


def _distance(face: Face, x: float, y: float) -> float:
    """Pixels from (x, y) to the middle of the face's box."""
    x0, y0, x1, y1 = face.box
    return float(np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y))


def _scaled(face: Face, scale: float) -> Face:
    x0, y0, x1, y1 = face.box
    box: Box = (x0 * scale, y0 * scale, x1 * scale, y1 * scale)
    return replace(face, box=box, landmarks=face.landmarks * np.float32(scale))


def _upright(picture: Picture, face: Face) -> tuple[Pixels, Floats]:
    """The picture turned so that the face stands upright, and the face's landmarks in it."""
    height, width = picture.pixels.shape[:2]
    landmarks = turn_points(face.landmarks * picture.scale, face.turn, width, height)
    return np.ascontiguousarray(np.rot90(picture.pixels, face.turn)), landmarks


def _turned_back(face: Face, found: _Turned) -> Face:
    """A face of the turned picture where it is in the picture as it was."""
    if not found.turn:
        return face
    height, width = found.pixels.shape[:2]
    return replace(
        face,
        box=turn_box(face.box, -found.turn, width, height),
        landmarks=turn_points(face.landmarks, -found.turn, width, height),
        turn=found.turn,
    )
