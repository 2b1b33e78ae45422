"""Seeing: a photo in, all its faces with their embeddings out.

`Eyes` know the order of the steps: faces of all sizes are found, those in doubt are looked at again, and each gets its
landmarks, its quality and its embedding. They know no concrete tool, no album and no person.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from mien.errors import PhotoError, ToolError
from mien.protocols import Detector, Encoder, Landmarker
from mien.seeing.levels import faces_of_all_sizes, one_each, scaled
from mien.seeing.memory import is_want_of_memory
from mien.seeing.second_look import second_look
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
    tilt,
    to_chip,
    warp,
    warp_square,
)
from mien.vision.images import read_picture
from mien.vision.quality import face_quality

Views = Literal[1, 2, 4]
"""How many chips of a face an embedding is the mean of."""

DLIB = Alignment(None)
"""How chips are cut for the encoder that came with mien from the beginning."""

RECIPE = "3"
"""Raise this whenever the code below would give other numbers: embeddings are remembered under an id that has it."""

LEAST_SIDE = 18
"""Pixels that a face must have to be found. YuNet finds 95 of 100 faces of web photos that have 16, and seven of eight
that are pasted into other pictures; with two more hardly one is missed."""

SMALLEST_FACE = 40
"""Pixels, in the full photo, of the smallest face that is found in any photo where the settings name none."""

LONG_SIDE = 800
"""Long side, pixels, from which on a photo is not reduced further to find its faces, as long as that is not needed for
the smallest ones: so a photo of up to 2 megapixels takes as long as one of this side."""

CLOSE_UP, CLOSE_UP_SIDE, DLIB_CLOSE_UP_SIDE = 1.6, 224, 320
"""A close-up shows this many times the square of a face's chip, at this side in pixels, the last for dlib's way of
cutting chips. On training photos of LFW and `wild` it makes the detector's own points as good as the trees', and the
square between the two better than either. With twice the pixels retail-0095 tells people apart no better there, and
with half of them worse (docs/benchmarks.md); with dlib's encoder the close-up is a small part of what a face costs."""

LEAST_CLOSE_UP = 0.6
"""Score that a face needs in a close-up to give its landmarks."""

STRAIGHT, STRAIGHT_SIDE = math.pi / 4, 400
"""A face is shown to the landmarker turned by the multiple of this angle, in radians, that sets it most nearly upright;
a face that is turned for it comes in a picture of at most this side in pixels."""

FACES_AT_ONCE = 32
"""Faces whose chips are held at a time, so that a photo of a stadium does not fill the memory."""


@dataclass(frozen=True)
class Eyes:
    """One set of tools by which photos are seen; each worker has a set of its own, because sessions are not shared.

    `tracebacks` is the folder for the tracebacks of tools that mien did not bring and that fail; None is the system's
    folder for temporary files. `smallest_face` and `doubtful_faces` are the settings of these names. `formerly` are the
    ids of the tools and recipes, in order, with which earlier versions of mien found faces for the same encoder.
    """

    detector: Detector
    landmarker: Landmarker
    encoder: Encoder
    views: Views
    tracebacks: Path | None = field(default=None, kw_only=True)
    smallest_face: int = field(default=0, kw_only=True)
    doubtful_faces: bool = field(default=False, kw_only=True)
    formerly: tuple[tuple[str, str, str], ...] = field(default=(), kw_only=True)

    @property
    def encoder_id(self) -> str:
        """Names everything that decides which faces are found and what their embeddings are; embeddings of two such ids
        are never compared."""
        settings = (f"{self.smallest_face} {self.doubtful_faces}",) if self.smallest_face or self.doubtful_faces else ()
        return self._id_of(self.detector.id, self.landmarker.id, RECIPE, *settings)

    def can_answer_for(self, encoder_id: str) -> bool:
        """Whether a model that was made of embeddings of this id can be asked about these eyes' faces: those of today,
        or those of an earlier version of mien, which found other faces and saw the same in them."""
        return encoder_id == self.encoder_id or encoder_id in {self._id_of(*before) for before in self.formerly}

    def _id_of(self, detectors: str, landmarker: str, recipe: str, *settings: str) -> str:
        tools = [detectors, landmarker, self.encoder.id, recipe]
        if self.encoder.alignment != DLIB:
            tools.append(repr(self.encoder.alignment))
        digest = hashlib.sha256("|".join([*tools, *settings]).encode()).hexdigest()[:8]
        return f"{self.encoder.id}-views{self.views}-{digest}"

    @property
    def least_scale(self) -> float:
        """The scale of a photo at which its smallest faces can be found, at most 1."""
        return min(1.0, LEAST_SIDE / (self.smallest_face or SMALLEST_FACE))

    def open(self) -> Eyes:
        """Opens the networks that most photos need, which otherwise happens in the first photo; returns these eyes.
        Raises DamagedModelError and ToolError."""
        blank = np.zeros((1, self.encoder.size, self.encoder.size, 3), np.uint8)
        self._detect(blank[0])
        self._points(blank[0], [])
        self._encode(blank)
        return self

    def see_file(self, file: Path) -> SeenPhoto | PhotoError:
        """The faces in the photo at `file`, or why there are none to be had. The error is returned, as whoever sees
        thousands of photos goes on."""
        return self.see_read(partial(read_picture, file, least_scale=self.least_scale), str(file))

    def see_read(self, read: Callable[[], Picture], name: str) -> SeenPhoto | PhotoError:
        """The faces in the picture that `read` returns. The PhotoError that `read` raises is returned, and so is one
        that calls the photo `name` where memory is short, and where a tool fails that mien did not bring: of the kind
        "tool"."""
        try:
            return self.see(read())
        except PhotoError as error:
            return type(error)(*error.args)  # without the traceback, which holds the file
        except ToolError as error:
            return PhotoError(name, PhotoFault.TOOL, {"tool": error.about, "said": error.what})
        except Exception as error:
            if not is_want_of_memory(error):
                raise
            return PhotoError(name, PhotoFault.SHORT_OF_MEMORY)

    def see(self, picture: Picture) -> SeenPhoto:
        """All faces of the picture from left to right, in pixels of the full-size upright photo. Raises ToolError where
        a tool fails that mien did not bring."""
        found, pixels = self.find(picture), picture.pixels
        seen = []
        for start in range(0, len(found), FACES_AT_ONCE):
            faces = found[start : start + FACES_AT_ONCE]
            close_ups = [self._looked_at(pixels, face) for face in faces]
            for face, vector in zip(close_ups, self._embed(pixels, faces, close_ups), strict=True):
                whole = replace(scaled(face, 1 / picture.scale), turn=round(tilt(face.landmarks) / (math.pi / 2)) % 4)
                quality = face_quality(pixels, whole, picture.scale)
                seen.append(SeenFace(whole, quality, Embedding(vector, self.encoder_id)))
        seen.sort(key=lambda one: (one.face.box[0] + one.face.box[2], one.face.box[1]))
        return SeenPhoto(picture.photo, tuple(seen), picture.scale)

    def chip(self, picture: Picture, face: Face, size: int) -> Pixels:
        """OpenFace's `outerEyesAndNose` chip of a face that was seen in the picture, (size, size, 3) uint8 RGB. Raises
        ToolError where a landmarker fails that mien did not bring."""
        return openface_chip(picture.pixels, self.points(picture, face), size)

    def points(self, picture: Picture, face: Face) -> Floats:
        """(P, 2) float32: the landmarker's points of a face that was seen in the picture, in pixels of the picture's
        array. Raises ToolError where a landmarker fails that mien did not bring."""
        (points,) = self._points(picture.pixels, [face.landmarks * np.float32(picture.scale)])
        return np.asarray(points, np.float32)

    def encoder_chips(self, picture: Picture, face: Face) -> NDArray[np.uint8]:
        """(views, size, size, 3) uint8 RGB: the chips that the encoder is given of a face that was seen in the
        picture. Raises ToolError where a landmarker fails that mien did not bring."""
        own = scaled(face, picture.scale)
        return self._chips(picture.pixels, [own], [own])

    def find(self, picture: Picture) -> list[Face]:
        """All faces, in pixels of the picture."""
        finest = max(LONG_SIDE / max(picture.photo.width, picture.photo.height), self.least_scale)
        found = faces_of_all_sizes(self._detect, picture.pixels, min(1.0, finest / picture.scale))
        looked = [second_look(self._detect, picture.pixels, face, self.doubtful_faces) for face in found]
        faces = one_each([face for face in looked if face])  # two doubtful ones may turn out to be one
        return [face for face in faces if _side(face) >= self.smallest_face * picture.scale]

    def closely(self, picture: Picture, found: Face) -> Face:
        """A face that was found in the picture, as `see` has it: in pixels of the full photo, with the landmarks of its
        close-up."""
        return scaled(self._looked_at(picture.pixels, found), 1 / picture.scale)

    def _looked_at(self, pixels: Pixels, face: Face) -> Face:
        """The face with the landmarks that the detector gives it in a close-up, upright and large; the face as it is
        where the encoder wants no close-up, or one of it shows no face in the middle."""
        if not self.encoder.alignment.close_up:
            return face
        side = DLIB_CLOSE_UP_SIDE if self.encoder.alignment.template is None else CLOSE_UP_SIDE
        own = cut_from_landmarks(face.landmarks)
        cut = own._replace(side=CLOSE_UP * own.side)
        middle = (side - 1) / 2
        seen = [one for one in self._detect(warp_square(pixels, cut, side)) if one.detector_score >= LEAST_CLOSE_UP]
        central = min(seen, key=lambda one: _distance(one, middle, middle), default=None)
        if central is None or _distance(central, middle, middle) > middle / 2:
            return face
        return replace(face, landmarks=from_chip(central.landmarks, cut, side))

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
        points = self._points(pixels, [face.landmarks for face in faces])
        for near, five in zip(close_ups, points, strict=True):
            by_trees, by_detector = cut_from_points(five), cut_from_landmarks(near.landmarks)
            squares = (between(by_trees, by_detector), by_trees, by_detector)
            middle, trees, own = (square_to_image(square, size) for square in squares)
            yield [(middle, 1), (middle, -1), (trees, 1), (own, -1)]

    # The tools, which somebody else may have made

    def _detect(self, pixels: Pixels) -> list[Face]:
        with self._guarded("detector", self.detector):
            return self.detector.detect(pixels)

    def _points(self, pixels: Pixels, landmarks: Sequence[Floats]) -> Floats:
        """(N, P, 2) the landmarker's points of N faces, given by their `Face.landmarks`. It starts from an upright
        square, and so is shown a face that is tilted by more than an eighth of a half turn set upright."""
        turns = [round(tilt(five) / STRAIGHT) for five in landmarks]
        upright = [number for number, turn in enumerate(turns) if not turn]
        placed = self._placed(pixels, [square_from_landmarks(landmarks[number]) for number in upright])
        points = np.empty((len(landmarks), *placed.shape[1:]), np.float32)
        points[upright] = placed
        for number, (five, turn) in enumerate(zip(landmarks, turns, strict=True)):
            if turn:
                own = cut_from_landmarks(five)
                side = math.ceil(2 * own.side)
                cut, size = own._replace(side=side, angle=turn * STRAIGHT), min(side, STRAIGHT_SIDE)
                square = square_from_landmarks(to_chip(five, cut, size))
                points[number] = from_chip(self._placed(warp_square(pixels, cut, size), [square])[0], cut, size)
        return points

    def _placed(self, pixels: Pixels, squares: Sequence[Box]) -> Floats:
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


def _side(face: Face) -> float:
    """The side of a square as large as the face's box."""
    x0, y0, x1, y1 = face.box
    return math.sqrt(max(0.0, x1 - x0) * max(0.0, y1 - y0))


def _distance(face: Face, x: float, y: float) -> float:
    """Pixels from (x, y) to the middle of the face's box."""
    x0, y0, x1, y1 = face.box
    return float(np.hypot((x0 + x1) / 2 - x, (y0 + y1) / 2 - y))
