"""dlib's five facial points, placed by an ensemble of regression trees in numpy.

The method is V. Kazemi and J. Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR
2014. The numbers are dlib's `shape_predictor_5_face_landmarks` (public domain), and the arithmetic below follows
dlib's `shape_predictor` step by step, in its precision and its order, so that the points, rounded, are dlib's own.

A shape is given in the unit square of the face's box: (0, 0) is the centre of the pixel at the box's top left, (1, 1)
that of the pixel at its bottom right. Each of 15 stages reads the grey values of 800 pixels, whose places follow the
current shape, sends every one of 500 trees down 4 comparisons of two of them, and adds the 500 leaves (a displacement
of all five points) to the shape.
"""

from __future__ import annotations

import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.storage import weights
from mien.types import Box, Floats, Pixels

_FILE = "landmarks5.npz"
_DEPTH = 4
_NODES = 2**_DEPTH - 1  # inner nodes of a tree; one more are its leaves


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    anchor: NDArray[np.intp]  # (pixels,): for each pixel, the point of the shape beside which it lies
    delta: Floats  # (2, pixels, 1): how far from that point it lies, in the frame of the initial shape
    first: NDArray[np.intp]  # (trees * 15,): a comparison asks whether the grey of pixel `first` ...
    second: NDArray[np.intp]  # ... minus the grey of pixel `second` ...
    threshold: NDArray[np.int16]  # (trees * 15, 1): ... is more than this
    leaves: Floats  # (trees * 16, 10): dx0, dy0, dx1, ...


class _Forest(NamedTuple):
    initial: Floats  # (5, 2): the mean face, where every search starts
    stages: tuple[_Stage, ...]


class FivePointTrees:
    """A `Landmarker` that places dlib's parts 0..4 in boxes as dlib's detectors draw them (see
    `geometry.square_from_landmarks`).

    The trees are read on first use and left out of a pickle: a worker that receives a FivePointTrees reads its own.
    """

    @property
    def id(self) -> str:
        return f"trees5-{weights.manifest()[_FILE].sha256[:8]}"

    @cached_property
    def _forest(self) -> _Forest:
        return _read(weights.load(_FILE))

    def __reduce__(self) -> tuple[type[FivePointTrees], tuple[()]]:
        return FivePointTrees, ()

    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        """(N, 5, 2) float32, x and y in pixels of this image, for N boxes in the same pixels.

        A box names the centres of its corner pixels, as dlib's rectangles do; it may reach over the border, where all
        is black. The points: subject's left eye, outer and inner corner; right eye, outer and inner corner; base of
        the nose. Raises DamagedModelError if the trees cannot be read.
        """
        corners = np.array(boxes, np.float64).reshape(-1, 4)
        origin, side = corners[:, :2], corners[:, 2:] - corners[:, :2]
        initial, stages = self._forest
        shape = np.repeat(initial[None], len(corners), axis=0)
        if shape.size == 0:
            return shape
        pixels = np.ascontiguousarray(pixels)
        for stage in stages:
            x, y = _places(stage, initial, shape)
            # Places in the square are float32 and in the image float64, as in dlib; faces are the last axis, for speed.
            grey = _greys(pixels, x * side[:, 0] + origin[:, 0], y * side[:, 1] + origin[:, 1])
            shape = _moved(stage, shape, grey)
        return (shape * side[:, None] + origin[:, None]).astype(np.float32)


def _read(data: bytes) -> _Forest:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        initial, anchor, delta, leaves = (arrays[name] for name in ("init", "anchor", "deltas", "leaves"))
        first, second, threshold = (arrays[name] for name in ("idx1", "idx2", "thresh"))
    stages = (
        _Stage(
            anchor=anchor[i].astype(np.intp),
            delta=np.ascontiguousarray(delta[i].T[..., None]),
            first=first[i].ravel().astype(np.intp),
            second=second[i].ravel().astype(np.intp),
            # Greys are whole numbers, so `difference > threshold` and `difference > floor(threshold)` are the same.
            threshold=np.floor(threshold[i]).astype(np.int16).reshape(-1, 1),
            leaves=leaves[i].reshape(-1, leaves.shape[-1]),
        )
        for i in range(len(anchor))
    )
    return _Forest(initial, tuple(stages))


def _places(stage: _Stage, initial: Floats, shape: Floats) -> tuple[Floats, Floats]:
    """x and y, each (pixels, N), of the stage's pixels in the unit square, given the current shapes (N, 5, 2)."""
    points = np.ascontiguousarray(shape.T)  # (2, 5, N)
    now_x, now_y = points - points.mean(axis=1, keepdims=True, dtype=np.float64)
    centred = initial - initial.mean(axis=0, dtype=np.float64)
    start_x, start_y = centred.T[..., None]
    power = (centred**2).sum()
    # The turn and scale that best carry the initial shape to the current one (Umeyama 1991). Sums over the slow axis
    # add in the same order however many faces there are: a face's points do not depend on its company.
    cosine = ((now_x * start_x + now_y * start_y).sum(axis=0) / power).astype(np.float32)
    sine = ((now_y * start_x - now_x * start_y).sum(axis=0) / power).astype(np.float32)
    dx, dy = stage.delta
    anchor_x, anchor_y = points.take(stage.anchor, axis=1)
    return cosine * dx - sine * dy + anchor_x, sine * dx + cosine * dy + anchor_y


def _greys(pixels: Pixels, x: NDArray[np.float64], y: NDArray[np.float64]) -> NDArray[np.int16]:
    """dlib's grey of the pixels nearest to the points: the mean of R, G and B rounded down; 0 outside the image."""
    height, width = pixels.shape[:2]
    column, row = np.floor(x + 0.5).astype(np.intp), np.floor(y + 0.5).astype(np.intp)
    inside = (column >= 0) & (row >= 0) & (column < width) & (row < height)
    # (Rows of a flat view: `take` is several times as fast as indexing by row and column.)
    colour = pixels.reshape(-1, 3).take((row * width + column) * inside, axis=0).astype(np.int16)
    grey: NDArray[np.int16] = (colour[..., 0] + colour[..., 1] + colour[..., 2]) // np.int16(3) * inside
    return grey


def _moved(stage: _Stage, shape: Floats, grey: NDArray[np.int16]) -> Floats:
    """The shapes (N, 5, 2) after one stage, given the greys (pixels, N) that the stage compares."""
    faces = len(shape)
    more = grey.take(stage.first, axis=0) - grey.take(stage.second, axis=0) > stage.threshold
    # Down all trees at once: yes goes to the left child, 2n+1, no to the right one, 2n+2. Flat: (tree, node, face).
    answers = more.view(np.int8).ravel()
    trees = len(more) // _NODES
    root = (np.arange(trees)[:, None] * _NODES) * faces + np.arange(faces)
    node = np.zeros((trees, faces), np.intp)
    for _ in range(_DEPTH):
        node = 2 * node + 2 - answers.take(root + node * faces)
    leaf = node - _NODES + np.arange(trees)[:, None] * (_NODES + 1)
    # float32 sums depend on their order: to the shape, tree after tree. (Along the slow axis numpy adds row by row.)
    terms = np.concatenate([shape.reshape(1, faces, -1), stage.leaves.take(leaf, axis=0)])
    moved: Floats = np.add.reduce(terms, axis=0).reshape(shape.shape)
    return moved
