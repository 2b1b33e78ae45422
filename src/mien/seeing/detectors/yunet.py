"""YuNet, mien's face detector, which is small and quick, and gives five landmarks with each face.

W. Wu, H. Peng and S. Yu, "YuNet: A Tiny Millisecond-level Face Detector", Machine Intelligence Research 20(5), 2023.
The weights are YuNet-s of libfacedetection (BSD-3-Clause).
"""

from __future__ import annotations

from functools import cached_property
from typing import TYPE_CHECKING

import cv2
import numpy as np

from mien.networks.sessions import open_session
from mien.seeing.levels import SAME_FACE
from mien.storage import weights
from mien.types import Face

if TYPE_CHECKING:
    from numpy.typing import NDArray
    from onnxruntime import InferenceSession

    from mien.types import Floats, Pixels

_FILE = "yunet_s.onnx"
_STRIDES = (8, 16, 32)  # pixels between the points of its three grids; each point answers for one face
_OUTPUTS = ("cls", "obj", "bbox", "kps")


class YuNet:
    """A `Detector` of the faces that score at least `score` (0..1).

    Measured on web photos: faces 16 to 640 pixels wide are found. A face that lies or stands on its head is often found
    too, with a lower score (mostly under 0.9), but with wrong landmarks: they are placed as in an upright face.

    The session is opened on first use and left out of a pickle: a worker that receives a YuNet opens its own.
    """

    def __init__(self, score: float = 0.6) -> None:
        self._score = score

    @property
    def id(self) -> str:
        return f"yunet-s-{self._score:g}-{weights.manifest()[_FILE].sha256[:8]}"

    def detect(self, pixels: Pixels) -> list[Face]:
        """All faces in `pixels` (HxWx3 uint8 RGB, any size), best score first, in pixels of exactly this image.

        Boxes may reach over the border: where it cuts a face, they show where the rest would be. Raises
        DamagedModelError if the network cannot be opened.
        """
        image = _padded(pixels)
        outputs = self._session.run([f"{name}_{stride}" for stride in _STRIDES for name in _OUTPUTS], {"input": image})
        grids = [
            _decoded(outputs[4 * i : 4 * i + 4], stride, image.shape[3], self._score)
            for i, stride in enumerate(_STRIDES)
        ]
        scores, boxes, landmarks = (np.concatenate(parts) for parts in zip(*grids, strict=True))
        if not len(scores):
            return []
        name = self.id
        return [
            Face(tuple(boxes[i].tolist()), landmarks[i].copy(), float(scores[i]), name)
            for i in _one_each(scores, boxes)
        ]

    @cached_property
    def _session(self) -> InferenceSession:
        return open_session(weights.load(_FILE))

    def __reduce__(self) -> tuple[type[YuNet], tuple[float]]:
        return YuNet, (self._score,)


def _padded(pixels: Pixels) -> Floats:
    """The image as the network takes it, (1, 3, H, W) float32 BGR in 0..255, with black added at the bottom and the
    right up to whole cells of the coarsest grid."""
    height, width = pixels.shape[:2]
    cell = _STRIDES[-1]
    image = np.zeros((1, 3, -(-height // cell) * cell, -(-width // cell) * cell), np.float32)
    for plane, channel in zip(image[0], reversed(cv2.split(pixels)), strict=True):  # half the time of transposing
        plane[:height, :width] = channel
    return image


def _decoded(outputs: list[Floats], stride: int, width: int, least: float) -> tuple[Floats, Floats, Floats]:
    """Scores (N,), boxes (N, 4) and landmarks (N, 5, 2), in pixels, of the faces that score at least `least` in one
    grid over an image `width` pixels wide."""
    face, centred, box, points = (output[0] for output in outputs)
    scores = np.sqrt(face * centred)[:, 0]
    cell = np.flatnonzero(scores >= least)
    origin = np.stack([cell % (width // stride), cell // (width // stride)], axis=1).astype(np.float32)
    centre, half = (origin + box[cell, :2]) * stride, np.exp(box[cell, 2:]) * (stride / 2)
    boxes = np.concatenate([centre - half, centre + half], axis=1)
    return scores[cell], boxes, (origin[:, None] + points[cell].reshape(-1, 5, 2)) * stride


def _one_each(scores: Floats, boxes: Floats) -> list[int]:
    """The numbers of the boxes to keep, best score first: each is the best of those that overlap with it (greedy
    suppression)."""
    areas = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1)
    kept = []
    rest: NDArray[np.intp] = np.argsort(-scores, kind="stable")
    while len(rest):
        best = rest[0]
        kept.append(int(best))
        low, high = np.maximum(boxes[rest, :2], boxes[best, :2]), np.minimum(boxes[rest, 2:], boxes[best, 2:])
        common = (high - low).clip(min=0).prod(axis=1)
        overlap = common / (areas[rest] + areas[best] - common)
        overlap[0] = 1  # with itself, whatever rounding says
        rest = rest[overlap <= SAME_FACE]
    return kept
