"""dlib's convolutional face detector, run by ONNX Runtime: slow, and blind to faces under 80 pixels, but sure, and good
with odd poses.

D. E. King, "Max-Margin Object Detection", arXiv:1502.00046. The weights are dlib's `mmod_human_face_detector` (public
domain), and the arithmetic is that of its `cnn_face_detection_model_v1` without upsampling. All levels of an image
pyramid are laid out on one sheet, which the network reads at once. The layout is dlib's to the pixel, since pixels
beside a level shine into it (dlib/image_transforms/image_pyramid.h, dlib/dnn/input.h, dlib/dnn/loss.h).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mien.networks.sessions import open_session
from mien.storage import weights
from mien.storage.tracebacks import guarded
from mien.types import Face
from mien.vision.geometry import landmarks_from_points

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    from mien.protocols import Landmarker
    from mien.types import Box, Floats, Pixels

_FILE = "mmod.onnx"
_BETWEEN, _AROUND = 10, 11  # pixels left free between levels and around the sheet, as in dlib
_MEAN = np.array([122.782, 117.001, 104.298], np.float32)  # RGB of the free pixels, which the network subtracts; dlib's
_STRIDE, _FIRST, _WINDOW = 8, 14, 80  # output cell c stands for the 80 pixels around 8c + 14
_LEAST = 29  # the side of a sheet, pixels, at which the output is one cell
_SAME_FACE = 0.3382761351109955  # suppression threshold, stored with dlib's weights


class _Level(NamedTuple):
    """One level of the pyramid on the sheet, pixels."""

    top: int
    left: int
    height: int
    width: int

    def distance(self, x: float, y: float) -> float:
        """Squared, from a point of the sheet to the nearest pixel of this level."""
        dx = max(self.left - x, 0, x - (self.left + self.width - 1))
        dy = max(self.top - y, 0, y - (self.top + self.height - 1))
        return dx * dx + dy * dy


class MMOD:
    """A `Detector` whose network gives boxes only; `landmarker` places the landmarks.

    Scores are dlib's, above 0 and around 1 for a clear face, and cannot be compared with another detector's. A picture
    takes about 190 bytes of memory a pixel: it should have at most 1,300 pixels a side (240 MB).

    The session is opened on first use and left out of a pickle: a worker that receives an MMOD opens its own.
    """

    def __init__(self, landmarker: Landmarker) -> None:
        self._landmarker = landmarker

    @property
    def id(self) -> str:
        return f"mmod-{weights.manifest()[_FILE].sha256[:8]}+{self._landmarker.id}"

    def detect(self, pixels: Pixels) -> list[Face]:
        """All faces in `pixels` (HxWx3 uint8 RGB, any size), best score first, in pixels of exactly this image.

        The boxes are dlib's rectangles: whole numbers, the last row and column included. Eyes are the middles of the
        corners that the landmarker gives; nose tip and mouth are placed by the eyes (`geometry.landmarks_from_points`).
        Raises DamagedModelError if the network cannot be opened, and ToolError where the landmarker is somebody else's
        and fails.
        """
        levels, height, width = _layout(*pixels.shape[:2])
        if min(height, width) < _LEAST:
            return []
        scores = self._session.run(None, {"rgb": _sheet(pixels, levels, height, width)})[0][0, 0]
        rows, columns = np.nonzero(scores > 0)
        order = np.argsort(-scores[rows, columns], kind="stable")
        found = [(_box(levels, int(rows[i]), int(columns[i])), float(scores[rows[i], columns[i]])) for i in order]
        kept = _one_each(found)
        with guarded(f"The landmarker {self._landmarker.id}", self._landmarker):
            points = self._landmarker.landmarks(pixels, [box for box, _ in kept])
        return [
            Face(box, landmarks_from_points(five), score, self.id)
            for (box, score), five in zip(kept, points, strict=True)
        ]

    @cached_property
    def _session(self) -> InferenceSession:
        return open_session(weights.load(_FILE))

    def __reduce__(self) -> tuple[type[MMOD], tuple[Landmarker]]:
        return MMOD, (self._landmarker,)


def _layout(height: int, width: int) -> tuple[list[_Level], int, int]:
    """The place of each level on the sheet, largest level first, and the sheet's height and width.

    Levels go down one column until the rest fit beside them; those go up along the right edge. Each is 5/6 of the one
    before.
    """
    sizes = [(height, width)]
    while True:
        height, width = int(5 / 6 * height), int(5 / 6 * width)
        if height < 5 or width == 0:
            break
        sizes.append((height, width))
    (first_height, sheet_width), total = sizes[0], sum(h + _BETWEEN for h, _ in sizes) - 2 * _BETWEEN
    column, before = 0, 0
    for h, w in sizes:
        if w <= sheet_width - before - _BETWEEN and (column - first_height) * 2 >= total - first_height:
            break
        column, before = column + h + _BETWEEN, w
    column -= _BETWEEN
    levels: list[_Level] = []
    y = _AROUND
    while len(levels) < len(sizes) and y < column + _AROUND:
        levels.append(_Level(y, _AROUND, *sizes[len(levels)]))
        y += levels[-1].height + _BETWEEN
    y -= _BETWEEN
    for h, w in sizes[len(levels) :]:
        if y - h < levels[0].top + levels[0].height:  # no room left beside the first level
            break
        levels.append(_Level(y - h, _AROUND + sheet_width - w, h, w))
        y -= h + _BETWEEN
    return levels, column + 2 * _AROUND, sheet_width + 2 * _AROUND


def _sheet(pixels: Pixels, levels: list[_Level], height: int, width: int) -> Floats:
    """(1, 3, height, width) float32 RGB, 0..255: every level made from the one before and put in its place."""
    sheet = np.empty((1, 3, height, width), np.float32)
    sheet[:] = _MEAN[:, None, None]
    image: Floats = pixels.transpose(2, 0, 1).astype(np.float32)
    for level in levels:
        image = _resized(_resized(image, level.height).transpose(0, 2, 1), level.width).transpose(0, 2, 1)
        sheet[0, :, level.top : level.top + level.height, level.left : level.left + level.width] = image
    return sheet


def _resized(image: Floats, rows: int) -> Floats:
    """The image (C, H, W) with so many `rows`: linear between the two nearest rows, the outermost rows in place."""
    before = image.shape[1]
    at = np.arange(rows) * ((before - 1) / max(rows - 1, 1))
    upper = np.floor(at).astype(np.intp)
    lower = np.minimum(upper + 1, before - 1)
    part = (at - upper).astype(np.float32)[:, None]
    blend: Floats = image[:, upper] * (1 - part) + image[:, lower] * part
    return blend


def _box(levels: list[_Level], row: int, column: int) -> Box:
    """The rectangle in the image that a cell of the network's output stands for."""
    x, y = _STRIDE * column + _FIRST, _STRIDE * row + _FIRST
    number = min(range(len(levels)), key=lambda i: levels[i].distance(x, y))
    level, half = levels[number], (_WINDOW - 1) / 2
    corners = np.array([x - half - level.left, y - half - level.top, x + half - level.left, y + half - level.top])
    for _ in range(number):
        corners = corners * 1.2 + 0.3  # dlib's pyramid_down<6>::point_up
    left, top, right, bottom = (np.sign(corners) * np.floor(np.abs(corners) + 0.5)).tolist()  # half away from zero
    return (left, top, right, bottom)


def _one_each(found: list[tuple[Box, float]]) -> list[tuple[Box, float]]:
    """The faces without those that overlap with a better one; see `_overlap`."""
    kept: list[tuple[Box, float]] = []
    for box, score in found:
        if all(_overlap(box, other) <= _SAME_FACE for other, _ in kept):
            kept.append((box, score))
    return kept


def _overlap(one: Box, other: Box) -> float:
    """The area that two rectangles share, over the area of the rectangle around both."""
    both: NDArray[np.float64] = np.array([one, other])
    low, high = both[:, :2], both[:, 2:] + 1
    common, around = (high.min(axis=0) - low.max(axis=0)).clip(min=0), high.max(axis=0) - low.min(axis=0)
    return float(common.prod() / around.prod())
