"""Facial points, placed by an ensemble of regression trees in numpy: dlib's five, or those of a user's own trees.

The method is V. Kazemi and J. Sullivan, "One Millisecond Face Alignment with an Ensemble of Regression Trees", CVPR
2014. The numbers of the five points are dlib's `shape_predictor_5_face_landmarks` (public domain), and the arithmetic
below follows dlib's `shape_predictor` step by step, in its precision and its order, so that the points, rounded, are
dlib's own.

A shape is given in the unit square of the face's box: (0, 0) is the centre of the pixel at the box's top left, (1, 1)
that of the pixel at its bottom right. Each stage (of 15) reads the grey values of pixels (800), whose places follow the
current shape, sends every tree (of 500) down comparisons of two of them (4), and adds the leaves (a displacement of all
points) to the shape.

Most photos show one face, and then the calls take more time than the numbers: one of numpy 1 to 3 us, and a stage
some 100 us. So the calls are few, even where that means more numbers: all 15 comparisons of a tree are made at once.
"""

from __future__ import annotations

import hashlib
import io
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import NamedTuple, cast

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.networks.dlib_integers import damaged
from mien.networks.shape_predictor import ShapePredictor, read_shape_predictor
from mien.storage import weights
from mien.types import Box, Floats, Pixels

_FILE = "landmarks5.npz"
_DEPTH = 4  # of dlib's own trees
_NODES = 2**_DEPTH - 1  # inner nodes of such a tree; one more are its leaves
_BITS = (1 << np.arange(_NODES, dtype=np.uint16))[:, None, None]
_THIRDS = np.array([[1, 1, 1, -1]]) / 3  # the mean of R, G and B less 1/3: rounded, it is the mean rounded down


@dataclass(frozen=True, slots=True, eq=False)
class _Stage:
    anchor: NDArray[np.intp]  # (2, pixels): for each pixel, where a shape holds x and y of the point beside it
    delta: Floats  # (2, pixels, 1): how far from that point it lies, in the frame of the initial shape ...
    across: Floats  # (2, pixels, 1): ... and the same turned by a quarter
    pair: NDArray[np.intp]  # (2, nodes, trees): a comparison asks whether the grey of its first pixel ...
    threshold: NDArray[np.int16]  # (nodes, trees, 1): ... minus the grey of its second is more than this
    leaves: Floats  # (trees * leaves of each, 2 * points): dx0, dy0, dx1, ...
    first_leaf: NDArray[np.intp]  # (trees, 1): the row of `leaves` where those of a tree begin


class _Forest(NamedTuple):
    initial: Floats  # (2 * points,): the mean face, where every search starts: x0, y0, x1, ...
    mirrored: list[complex]  # its points around (0, 0), x - iy
    power: float  # the sum of the squares of their distances from (0, 0)
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
        return _landmarks(self._forest, pixels, boxes)


class OwnTrees:
    """The points of a shape predictor in a file of the user's, which dlib may have trained: 68 of a face, say.

    dlib's own for 68 points is not for commercial use, so mien brings none. Raises DamagedModelError where the file is
    no shape predictor.
    """

    def __init__(self, data: bytes) -> None:
        self.id = f"trees-{hashlib.sha256(data).hexdigest()[:8]}"
        self._forest = _forest_of(read_shape_predictor(data))
        if not self._forest.power:
            raise damaged("a face all of whose points are one", 0)

    @property
    def parts(self) -> int:
        """How many points there are."""
        return len(self._forest.mirrored)

    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        """(N, parts, 2) float32, as `FivePointTrees.landmarks` has five."""
        with np.errstate(all="ignore"):  # trees of somebody else's may throw the points anywhere
            points = _landmarks(self._forest, pixels, boxes)
            if not (np.abs(points) < _FAR).all():  # nor where they are no numbers
                raise damaged("trees that throw points out of the picture", 0)
        return points


_FAR = 1e6
"""Pixels; no picture is so large."""


def _landmarks(forest: _Forest, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
    corners = np.array(boxes, np.float64).reshape(-1, 4)
    origin, side = corners[:, :2], corners[:, 2:] - corners[:, :2]
    shape = np.repeat(forest.initial[None], len(corners), axis=0)
    parts = len(forest.mirrored)
    if shape.size == 0:
        return shape.reshape(-1, parts, 2)
    pixels = np.ascontiguousarray(pixels)
    size = np.array([pixels.shape[1], pixels.shape[0]], np.float64)[:, None, None]
    side, origin = side.T[:, None], origin.T[:, None]
    for stage in forest.stages:
        # Places in the square are float32 and in the image float64, as in dlib; faces are the last axis, for speed.
        places = _places(forest, stage, shape) * side
        places += origin
        shape = _moved(stage, shape, _greys(pixels, size, places))
    return (shape.reshape(-1, parts, 2) * side.T + origin.T).astype(np.float32)


def _read(data: bytes) -> _Forest:
    with np.load(io.BytesIO(data), allow_pickle=False) as arrays:
        initial, anchor, delta, leaves = (arrays[name] for name in ("init", "anchor", "deltas", "leaves"))
        first, second, threshold = (arrays[name] for name in ("idx1", "idx2", "thresh"))
    return _forest_of(ShapePredictor(initial, anchor, delta, first, second, threshold, leaves))


def _forest_of(trees: ShapePredictor) -> _Forest:
    stages = []
    for i in range(len(trees.anchor)):
        x, y = trees.delta[i].T[..., None]
        leaves = trees.leaves[i]
        stage = _Stage(
            anchor=2 * trees.anchor[i].astype(np.intp) + [[0], [1]],
            delta=np.array([x, y]),
            across=np.array([-y, x]),
            pair=np.array([trees.first[i].T, trees.second[i].T], np.intp),
            # Greys are whole numbers, so `difference > threshold` and `difference > floor(threshold)` are the same;
            # and no difference is beyond 255.
            threshold=np.array(np.floor(trees.threshold[i].T[..., None]).clip(-256, 256), np.int16, order="C"),
            leaves=leaves.reshape(leaves.shape[0] * leaves.shape[1], -1),
            first_leaf=np.arange(leaves.shape[0])[:, None] * leaves.shape[1],
        )
        stages.append(stage)
    centred = trees.initial - trees.initial.mean(axis=0, dtype=np.float64)
    mirrored = [complex(x, -y) for x, y in centred]
    return _Forest(trees.initial.ravel(), mirrored, float((centred**2).sum()), tuple(stages))


@cache
def _leaf_by_answers() -> NDArray[np.uint8]:
    """(2^15,): the leaf, 0 to 15, to which a tree's 15 answers lead. Bit n of the index is the answer at node n."""
    answers = np.arange(1 << _NODES)
    node = np.zeros_like(answers)
    for _ in range(_DEPTH):
        node = 2 * node + 2 - (answers >> node & 1)  # yes goes to the left child, 2n+1, no to the right one, 2n+2
    leaf: NDArray[np.uint8] = (node - _NODES).astype(np.uint8)
    return leaf


def _places(forest: _Forest, stage: _Stage, shape: Floats) -> Floats:
    """x and y, (2, pixels, N), of the stage's pixels in the unit square, given the current shapes (N, 2 * points)."""
    # Python's own numbers: for ten of them, a call of numpy takes longer than all the arithmetic.
    turn = np.array([_turn(forest, points) for points in shape.view(np.complex64).tolist()], np.complex64)
    places: Floats = turn.real * stage.delta
    places += turn.imag * stage.across
    places += shape.T.take(stage.anchor, axis=0)
    return places


def _turn(forest: _Forest, points: list[complex]) -> complex:
    """The turn and scale that best carry the initial shape to these points (Umeyama 1991): the complex number by which
    x + iy is multiplied."""
    centre = turn = 0j  # (`sum` rounds otherwise in newer Pythons than in older ones.)
    for point in points:
        centre += point
    centre /= len(points)
    for point, start in zip(points, forest.mirrored, strict=True):
        turn += (point - centre) * start
    return turn / forest.power


def _greys(pixels: Pixels, size: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.int16]:
    """dlib's grey (pixels, N) of the image at the places (2, pixels, N): of the pixel nearest, the mean of R, G and B
    rounded down; 0 outside the image."""
    places += 0.5
    column, row = nearest = np.floor(places, out=places)
    inside_x, inside_y = (nearest >= 0) & (nearest < size)
    # (Rows of a flat view: `take` is several times as fast as indexing by row and column.)
    colour = pixels.reshape(-1, 3).take((row * pixels.shape[1] + column).astype(np.intp), axis=0, mode="clip")
    grey = cast("NDArray[np.uint8]", cv2.transform(colour, _THIRDS))
    grey *= inside_x & inside_y
    return grey.astype(np.int16)


def _leaves(answers: NDArray[np.bool_]) -> NDArray[np.integer]:
    """(trees, N) the leaf to which the answers (nodes, trees, N) of each tree lead."""
    if len(answers) == _NODES:
        return _leaf_by_answers()[np.bitwise_or.reduce(answers * _BITS, axis=0)]
    node = np.zeros(answers.shape[1:], np.intp)
    while int(node.flat[0]) < len(answers):  # all leaves of a tree lie equally deep
        node = 2 * node + 2 - np.take_along_axis(answers, node[None], axis=0)[0]
    return node - len(answers)


def _moved(stage: _Stage, shape: Floats, grey: NDArray[np.int16]) -> Floats:
    """The shapes (N, 2 * points) after one stage, given the greys (pixels, N) that the stage compares."""
    first, second = grey.take(stage.pair, axis=0)
    leaf = _leaves(first - second > stage.threshold) + stage.first_leaf
    # float32 sums depend on their order: to the shape, tree after tree. (OpenCV adds row by row, as numpy does, but
    # in half of numpy's time where rows are short.)
    terms = np.empty((1 + len(leaf), *shape.shape), np.float32)
    terms[0] = shape
    stage.leaves.take(leaf, axis=0, out=terms[1:], mode="clip")
    moved = cv2.reduce(terms.reshape(len(terms), -1), 0, cv2.REDUCE_SUM)
    return cast("Floats", moved).reshape(shape.shape)
