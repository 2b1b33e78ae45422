"""dlib's shape predictors, read from their .dat files with numpy alone.

dlib writes no schema, only values in the order of its C++ types (dlib/image_processing/shape_predictor.h), all of
them integers (`mien.networks.dlib_integers`): a float is a mantissa and an exponent, a matrix has its rows and columns
first, both negated. A file is read to its last byte, or DamagedModelError names the byte where it stopped making sense.
No size read from a file is believed before it has been compared with the numbers that remain.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien.errors import DamagedModelError
from mien.networks.dlib_integers import Integers, damaged, decode_integers
from mien.types import Floats

# dlib writes infinities and NaN as exponents from 32000 on. This bound is far below, and far above any weight's; with
# it no number can overflow.
_LARGEST_EXPONENT = 900


@dataclass(frozen=True, slots=True, eq=False)
class ShapePredictor:
    """An ensemble of regression trees (Kazemi and Sullivan, CVPR 2014): C cascades of T trees of S splits for P
    points, reading F pixels. Coordinates are fractions of the face's box.

    `initial` (P, 2) float32 is the mean shape. Pixel f of cascade c lies at `delta[c, f]` (float32 x, y; in the frame
    of the mean shape) from point `anchor[c, f]`. Split s of tree t goes left, to split 2s + 1, if pixel
    `first[c, t, s]` minus pixel `second[c, t, s]` exceeds `threshold[c, t, s]`, else right, to 2s + 2; past the last
    split s lies leaf s - S of `leaves`, which is added to the shape.
    """

    initial: Floats
    anchor: NDArray[np.uint16]  # (C, F)
    delta: Floats  # (C, F, 2)
    first: NDArray[np.uint16]  # (C, T, S)
    second: NDArray[np.uint16]  # (C, T, S)
    threshold: Floats  # (C, T, S)
    leaves: Floats  # (C, T, S + 1, P, 2)


def read_shape_predictor(data: bytes) -> ShapePredictor:
    """The shape predictor in the bytes of a .dat file.

    Such a file is nothing but integers, so all of them are decoded at once and then cut into arrays. Raises
    DamagedModelError if the file is cut, altered or goes on after its end, and for trees of unequal shapes, which
    dlib's trainer does not make.
    """
    cursor = _Cursor(data)
    if cursor.size() != 1:
        raise cursor.error("no shape predictor of version 1", 0)
    initial = cursor.column()
    points = len(initial) // 2
    if len(initial) != 2 * points:
        raise cursor.error(f"a shape of {len(initial)} numbers")

    forest_start = cursor.index
    cascades, trees, splits = cursor.size(), cursor.size(), cursor.size()
    cursor.index -= 2  # trees and splits are announced again in each cascade and tree
    width = 2 + 4 * splits + (splits + 1) * (2 + 4 * points)
    forests = cursor.take(cascades * (1 + trees * width)).reshape(cascades, 1 + trees * width)
    grown = forests[:, 1:].reshape(cascades, trees, width)
    nodes = grown[..., 1 : 1 + 4 * splits].reshape(cascades, trees, splits, 4)
    leaves = grown[..., 2 + 4 * splits :].reshape(cascades, trees, splits + 1, 2 + 4 * points)
    if (
        (splits + 1) & splits
        or (forests[:, 0] != trees).any()
        or (grown[..., 0] != splits).any()
        or (grown[..., 1 + 4 * splits] != splits + 1).any()
        or (leaves[..., :2] != (-2 * points, -1)).any()
    ):
        raise cursor.error("regression trees of unequal or impossible shapes", forest_start)

    pixels_start = cursor.index
    anchor = cursor.table(cascades, 1)[..., 0]
    delta = cursor.table(cascades, 4).reshape(cascades, -1, 2, 2)
    if delta.shape[1] != anchor.shape[1] or not _within(anchor, points) or not _within(nodes[..., :2], anchor.shape[1]):
        raise cursor.error("trees that ask for pixels or points that are not there", pixels_start)
    if cursor.index != len(cursor.integers):
        raise cursor.error("more follows the end of the shape predictor")
    return ShapePredictor(
        initial=initial.reshape(points, 2),
        anchor=anchor.astype(np.uint16),
        delta=cursor.floats(delta, pixels_start),
        first=nodes[..., 0].astype(np.uint16),
        second=nodes[..., 1].astype(np.uint16),
        threshold=cursor.floats(nodes[..., 2:], forest_start),
        leaves=cursor.floats(
            leaves[..., 2:].reshape(cascades, trees, splits + 1, points, 2, 2),
            forest_start,
        ),
    )


def _within(indices: Integers, bound: int) -> bool:
    return bool(indices.min() >= 0 and indices.max() < min(bound, 2**16))


class _Cursor:
    """Walks over the integers of a file that may be hostile."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self.integers = decode_integers(data)
        self.index = 0

    def error(self, what: str, at: int | None = None) -> DamagedModelError:
        offset = 0
        for _ in range(self.index if at is None else at):
            offset += 1 + (self._data[offset] & 15)
        return damaged(what, offset)

    def take(self, count: int) -> Integers:
        if count > len(self.integers) - self.index:
            raise self.error(f"{count:,} numbers are announced and {len(self.integers) - self.index:,} are there")
        start, self.index = self.index, self.index + count
        return self.integers[start : self.index]

    def size(self) -> int:
        """How many of something follow: at least one."""
        if (size := int(self.take(1)[0])) < 1:
            raise self.error(f"{size} of something", self.index - 1)
        return size

    def column(self) -> Floats:
        """A matrix of one column; dlib negates the sides of matrices."""
        rows, columns = self.take(2)
        if rows >= 0 or columns != -1:
            raise self.error(f"no column of numbers but a matrix of {-rows} x {-columns}", self.index - 2)
        start = self.index
        return self.floats(self.take(-2 * int(rows)).reshape(-1, 2), start)

    def table(self, rows: int, width: int) -> Integers:
        """(rows, N, width) integers: a list of `rows` lists of N each, N the same in all."""
        start = self.index
        listed, items = self.size(), self.size()
        self.index -= 1  # the number of items is announced again by each list
        lists = self.take(rows * (1 + items * width)).reshape(rows, 1 + items * width)
        if listed != rows or (lists[:, 0] != items).any():
            raise self.error("lists of unequal lengths", start)
        return lists[:, 1:].reshape(rows, items, width)

    def floats(self, pairs: Integers, start: int) -> Floats:
        """(...) float32 from (..., 2) mantissas and exponents, which lie somewhere behind integer `start`."""
        mantissas, exponents = pairs[..., 0], pairs[..., 1]
        with np.errstate(over="ignore", under="ignore"):
            values: Floats = np.ldexp(mantissas.astype(np.float32), exponents)
        if exponents.max() > _LARGEST_EXPONENT or not np.isfinite(values).all():
            raise self.error("a list with a number that is not finite", start)
        return values
