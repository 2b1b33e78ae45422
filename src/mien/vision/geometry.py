"""Where a face lies in a picture, and how a chip is cut from it: similarities, squares, chips, quarter turns.

Points are (x, y), pixel centres at whole numbers. An affine map is (2, 3) float64; `affine[:, :2] @ point + affine[:,
2]` applies it.
"""

from __future__ import annotations

from typing import Any, Final, NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import ArrayLike, NDArray

from mien.types import Box, Floats, Pixels

Affine = NDArray[np.float64]

CHIP_SIZE = 150
"""Side in pixels of the chip that dlib's ResNet reads."""

_PADDING = 0.25  # around dlib's template on each side, in units of the template: what the ResNet was trained with

# dlib's mean face for parts 0..4 in its unit square (get_face_chip_details in dlib/image_transforms/interpolation.h).
_DLIB_TEMPLATE = np.array(
    [
        (0.8595674595992, 0.2134981538014),  # subject's left eye, outer corner
        (0.6460604764104, 0.2289674387677),  # inner
        (0.1205750620789, 0.2137274526848),  # right eye, outer
        (0.3340850613712, 0.2290642403242),  # inner
        (0.4901123135679, 0.6277975316475),  # base of the nose
    ]
)

# And of its 68-point mean face, same place and same unit square, parts 30, 48 and 54: tip of the nose, subject's
# right and left corner of the mouth.
_DLIB_NOSE_AND_MOUTH = np.array([(0.490127, 0.515625), (0.254149, 0.780233), (0.726104, 0.780233)])

# OpenFace's MINMAX_TEMPLATE, from openface/align_dlib.py: (row - minimum) / (maximum - minimum) over all 68 rows.
# Copyright 2015-2016 Carnegie Mellon University, Apache-2.0. Its outer eye corners and base of the nose are rows 36, 45
# and 33, its inner eye corners and bottom lip rows 39, 42 and 57; in each the subject's right eye comes first.
_OPENFACE_TEMPLATES: Final = {
    "outerEyesAndNose": np.array([(0.1941570, 0.1692669), (0.7888591, 0.1581711), (0.4949509, 0.5144414)]),
    "innerEyesAndBottomLip": np.array([(0.3637849, 0.1779469), (0.6189631, 0.1727781), (0.5002040, 0.7505844)]),
}

OPENFACE_PARTS: Final = {
    ("outerEyesAndNose", 5): (2, 0, 4),
    ("outerEyesAndNose", 68): (36, 45, 33),
    ("innerEyesAndBottomLip", 68): (39, 42, 57),
}
"""By OpenFace's name of the landmarks, and the number of dlib's points: which of the points these landmarks are."""


TEMPLATES: Final = {
    "arcface-112": (
        112,
        ((38.2946, 51.6963), (73.5318, 51.5014), (56.0252, 71.7366), (41.5493, 92.3655), (70.7299, 92.2041)),
    ),
    "retail-128": (
        128,
        ((40.393, 59.081), (87.376, 59.081), (64.034, 81.985), (44.732, 105.561), (83.640, 105.561)),
    ),
}
"""Where encoders want the five `Face.landmarks`, by name: the side of a chip in pixels, and (x, y) of the right eye,
left eye, nose tip, right and left corner of the mouth. The first is insightface's `arcface_dst`
(github.com/deepinsight/insightface, MIT); the second that of Open Model Zoo's face-reidentification-retail-0095
(Apache-2.0), whose documentation gives it in parts of the side."""


class Cut(NamedTuple):
    """A square in an image: its middle (x, y), its side in pixels, and its turn in radians, clockwise as one sees it.

    As with dlib's rectangles the side counts pixels: the outermost pixel centres are `side - 1` apart.
    """

    x: float
    y: float
    side: float
    angle: float = 0.0


def similarity(source: ArrayLike, target: ArrayLike) -> Affine:
    """The affine map of turn, scale and shift that carries (N, 2) `source` to `target` with the least squared error.

    S. Umeyama, "Least-squares estimation of transformation parameters between two point patterns", PAMI 13(4), 1991; in
    the plane without reflection it has this closed form, a division of complex numbers. The points of `source` must not
    all be one.
    """
    source, target = np.asarray(source, np.float64), np.asarray(target, np.float64)
    source_mean, target_mean = source.mean(axis=0), target.mean(axis=0)
    (sx, sy), (tx, ty) = (source - source_mean).T, (target - target_mean).T
    power = (sx * sx + sy * sy).sum()
    cosine, sine = (sx * tx + sy * ty).sum() / power, (sx * ty - sy * tx).sum() / power
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, target_mean - linear @ source_mean])


def warp(pixels: Pixels, chip_to_image: Affine, size: int) -> Pixels:
    """The chip (size, size, 3) uint8 whose point p shows what lies at `chip_to_image` of p; black beyond the image.

    Values are interpolated between four pixels. Where the chip is much smaller than the part of the image that it
    shows, the image is first averaged over whole blocks of pixels, or fine detail would turn into noise. Only the
    neighbourhood of the face is read, however large the image.
    """
    linear, shift = chip_to_image[:, :2], chip_to_image[:, 2]
    block = max(1, int(np.sqrt(abs(np.linalg.det(linear)))))  # image pixels to a chip pixel, both ways
    corners = np.array([(0, 0), (size - 1, 0), (0, size - 1), (size - 1, size - 1)]) @ linear.T + shift
    # Some more all around, for the bilinear neighbours; whole blocks, so that the average is one of whole pixels.
    limit = np.array(pixels.shape[1::-1])
    low = np.clip(np.floor(corners.min(axis=0)) - block - 1, 0, limit).astype(int)
    high = np.clip(np.ceil(corners.max(axis=0)) + 2 * block + 1, 0, limit).astype(int)
    width, height = (high - low) // block
    if min(width, height) <= 0:
        return np.zeros((size, size, 3), np.uint8)
    part = pixels[low[1] : low[1] + height * block, low[0] : low[0] + width * block]
    if block > 1:
        part = _uint8(cv2.resize(part, (int(width), int(height)), interpolation=cv2.INTER_AREA))
    # The centre of the first block lies (block - 1) / 2 pixels into it.
    local = np.column_stack([linear, shift - low - (block - 1) / 2]) / block
    return _uint8(cv2.warpAffine(part, local, (size, size), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP))


def _uint8(image: NDArray[Any]) -> Pixels:
    """An image that OpenCV made of uint8, which is uint8 though OpenCV's types do not say so."""
    return cast("Pixels", image)


def warp_square(pixels: Pixels, cut: Cut, size: int) -> Pixels:
    """The chip (size, size, 3) uint8 of the square `cut`, turned upright; see `warp`."""
    return warp(pixels, square_to_image(cut, size), size)


def from_chip(points: ArrayLike, cut: Cut, size: int) -> Floats:
    """The points in the image, (..., 2) float32, of points in the chip that `warp_square` makes of `cut`."""
    affine = square_to_image(cut, size)
    return np.asarray(np.asarray(points, np.float64) @ affine[:, :2].T + affine[:, 2], np.float32)


def to_chip(points: ArrayLike, cut: Cut, size: int) -> Floats:
    """The points in the chip that `warp_square` makes of `cut`, (..., 2) float32, of points in the image."""
    affine = square_to_image(cut, size)
    return np.asarray((np.asarray(points, np.float64) - affine[:, 2]) @ np.linalg.inv(affine[:, :2]).T, np.float32)


def square_to_image(cut: Cut, size: int) -> Affine:
    """The map from a chip of this size to the square that it shows."""
    step = (cut.side - 1) / (size - 1)
    cosine, sine = step * np.cos(cut.angle), step * np.sin(cut.angle)
    linear = np.array([[cosine, -sine], [sine, cosine]])
    return np.column_stack([linear, np.array([cut.x, cut.y]) - linear @ np.full(2, (size - 1) / 2)])


def cut_from_points(points: ArrayLike, size: int = CHIP_SIZE) -> Cut:
    """The square that dlib cuts for (5, 2) points, its parts 0..4 (get_face_chip_details with padding 0.25)."""
    template = (_DLIB_TEMPLATE + _PADDING) / (1 + 2 * _PADDING) * size
    affine = similarity(template, points)
    x, y = affine[:, :2] @ np.full(2, size / 2) + affine[:, 2]
    cosine, sine = affine[:, 0]
    return Cut(float(x), float(y), float(size * np.hypot(cosine, sine)), float(np.arctan2(sine, cosine)))


class _Frame(NamedTuple):
    """The axes of a face: `middle` is half way between the middle of the eyes and that of the mouth, `angle` the turn
    from upright in radians, `unit` the sum of the distances from eye to eye and from eyes to mouth in pixels."""

    middle: NDArray[np.float64]
    unit: float  # hardly changes when the head turns, for then only the first distance shrinks
    angle: float


def _frame(landmarks: ArrayLike) -> _Frame:
    """The axes of a face with these (5, 2) landmarks in YuNet's order."""
    right_eye, left_eye, _, right_mouth, left_mouth = np.asarray(landmarks, np.float64)
    eyes, mouth = (right_eye + left_eye) / 2, (right_mouth + left_mouth) / 2
    across, down = left_eye - right_eye, mouth - eyes
    # Both lines tell the angle, each with the weight of its length: in a profile the eyes are so close together that
    # their line tells nothing, and the other one decides.
    x, y = across[0] + down[1], across[1] - down[0]
    return _Frame((eyes + mouth) / 2, float(np.hypot(*across) + np.hypot(*down)), float(np.arctan2(y, x)))


def tilt(landmarks: ArrayLike) -> float:
    """By how many radians a face with these (5, 2) landmarks is turned from upright, clockwise as one sees it."""
    return _frame(landmarks).angle


def cut_from_landmarks(landmarks: ArrayLike) -> Cut:
    """The square that dlib would cut, nearly, from (5, 2) landmarks in YuNet's order alone.

    The constants are medians over what dlib's points gave for 508 faces (250 photos of LFW, else web photos).
    """
    middle, unit, angle = _frame(landmarks)
    x, y = middle + 0.01 * unit * np.array([-np.sin(angle), np.cos(angle)])
    return Cut(float(x), float(y), 1.32 * unit, angle)


def between(one: Cut, other: Cut) -> Cut:
    """The square half way between two that are turned alike, to some ten degrees."""
    turn = np.exp(1j * one.angle) + np.exp(1j * other.angle)  # not the mean of the angles: they jump at half a turn
    middle = ((one.x + other.x) / 2, (one.y + other.y) / 2, (one.side + other.side) / 2)
    return Cut(*middle, float(np.angle(turn)))


def chip_from_landmarks(pixels: Pixels, landmarks: ArrayLike, size: int = CHIP_SIZE) -> Pixels:
    """The chip (size, size, 3) uint8 of `cut_from_landmarks`. It needs no regression trees, which err at profiles."""
    return warp_square(pixels, cut_from_landmarks(landmarks), size)


def square_from_landmarks(landmarks: ArrayLike) -> Box:
    """The box that dlib's detectors would draw for (5, 2) landmarks in YuNet's order; the regression trees expect it.

    Fitted to dlib's boxes on 2,500 photos of LFW. The box is upright, so the face must be, to some 30 degrees.
    """
    middle, unit, _ = _frame(landmarks)
    x, y = middle + np.array([0.016, 0.0007]) * unit
    half = (1.19 * unit - 1) / 2
    return (float(x - half), float(y - half), float(x + half), float(y + half))


def landmarks_from_points(points: ArrayLike) -> Floats:
    """(5, 2) float32 landmarks in YuNet's order for dlib's parts 0..4.

    The eyes are the middles of their corners; dlib's nose is its base where YuNet's is its tip, and it has no mouth,
    so nose tip and mouth corners are put where they are in the mean face.
    """
    points = np.asarray(points, np.float64)
    guess = similarity(_DLIB_TEMPLATE, points)
    rest = _DLIB_NOSE_AND_MOUTH @ guess[:, :2].T + guess[:, 2]
    return np.concatenate([[points[2:4].mean(axis=0), points[0:2].mean(axis=0)], rest]).astype(np.float32)


def openface_chip(pixels: Pixels, points: ArrayLike, size: int = 96, landmarks: str = "outerEyesAndNose") -> Pixels:
    """OpenFace's chip, (size, size, 3) uint8, by the `landmarks` that it calls so, for dlib's points (5, 2) or (68, 2).

    It is cut by the affine map of three points, shear included, as OpenFace's models want it; dlib's ResNet needs a
    similarity (`cut_from_points`). Large faces are averaged down, see `warp`, which OpenFace does not do. Raises
    KeyError where so few points do not have these landmarks (`OPENFACE_PARTS`).
    """
    points = np.asarray(points, np.float32)
    chosen = points[list(OPENFACE_PARTS[landmarks, len(points)])]
    affine = cv2.getAffineTransform((_OPENFACE_TEMPLATES[landmarks] * size).astype(np.float32), chosen)
    return warp(pixels, np.asarray(affine, np.float64), size)


def turn_points(points: ArrayLike, turn: int, width: int, height: int) -> Floats:
    """The points, (..., 2) float32, at which `points` of a width x height image lie after np.rot90(image, turn).

    `turn` counts anticlockwise quarters. To turn points back, give -turn and the width and height of the turned image.
    """
    x, y = np.moveaxis(np.asarray(points, np.float64), -1, 0)
    right, bottom = width - 1, height - 1
    turned = ((x, y), (y, right - x), (right - x, bottom - y), (bottom - y, x))[turn % 4]
    return np.stack(turned, axis=-1).astype(np.float32)


def turn_box(box: Box, turn: int, width: int, height: int) -> Box:
    """The box at which `box` of a width x height image lies after np.rot90(image, turn); see `turn_points`."""
    (ax, ay), (bx, by) = turn_points([box[:2], box[2:]], turn, width, height).tolist()
    return (min(ax, bx), min(ay, by), max(ax, bx), max(ay, by))
