"""The few best of very many: which columns of a table of scores are the highest, and which vectors are most alike.

A gallery of a hundred thousand people gives a hundred thousand scores a face, of which a few are looked at. Products
are computed in blocks of rows, so that memory grows neither with the faces nor with the square of the people.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import Ints

WIDE = 1 << 14
"""Columns from which on the best are found by groups: a row of 100,000 takes ten times as long
to sort out as a whole."""

GROUP = 64
"""Columns of a group, of which only the highest is compared at first."""

BLOCK = 1 << 22
"""Scores held at a time: 16 MB, or 32 MB in float64."""

ROWS = 256
"""The fewest rows of a block: a product of fewer takes up to twice as long a row, as the vectors pass through the
processor's cache once a block."""

EXACT = 1 << 32
"""Cosines, up to which all are computed in float64; of more (LFW, with 4,416 faces of 2,086 people, has 2^23) in
float32, which takes a third of the time, and those that are looked at once more in float64."""


def blocks(rows: int, columns: int) -> list[slice]:
    """All of `rows`, as many at once as there may be scores of so many columns, and `ROWS` at least."""
    step = max(ROWS, BLOCK // max(columns, 1))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


class Best(NamedTuple):
    """Of each of N rows the K best: their `values` (N, K), the highest first, and their `columns` (N, K) int64. Of
    equal ones the earlier column comes first."""

    values: NDArray[np.floating]
    columns: Ints


def best_of(scores: NDArray[np.floating], count: int) -> Best:
    """The `count` best columns of each row of `scores` (N, P), `count` from 1 to P.

    The highest of each group of columns is known from one pass. As many groups as are wanted reach what the last of
    these reaches, so that nothing below it can be among the best.
    """
    rows, width = scores.shape
    if width < max(WIDE, 2 * GROUP * count):
        columns = np.argsort(-scores, axis=1, kind="stable")[:, :count]
        return Best(np.take_along_axis(scores, columns, axis=1), columns)
    whole = width - width % GROUP
    highest = scores[:, :whole].reshape(rows, GROUP, -1).max(axis=1)
    least = -np.partition(-highest, count - 1, axis=1)[:, count - 1]
    row, column = np.nonzero(scores >= least[:, None])
    found = scores[row, column]
    order = np.lexsort((column, -found, row))
    first = np.searchsorted(row, np.arange(rows))
    taken = order[first[:, None] + np.arange(count)]
    return Best(found[taken], column[taken])


def nearest(rows: NDArray[np.floating], vectors: NDArray[np.floating], but: Ints, exact: bool, count: int = 1) -> Best:
    """The `count` vectors of (P, D) with which each of (N, D) rows agrees best, by their products in float64; the
    vector of the number `but` (N,) is none of these, -1 for none. With fewer than so many others, -inf and any column.

    Unless it is to be `exact` they are chosen by products in float32: of two that differ by less than 1e-6 either may
    come first.
    """
    kind = np.float64 if exact else np.float32
    among = np.ascontiguousarray(vectors, kind)
    found = Best(np.empty((len(rows), count)), np.empty((len(rows), count), np.int64))
    for some in blocks(len(rows), len(among)):
        given = np.asarray(rows[some], kind)
        products = given @ among.T
        masked = np.flatnonzero(but[some] >= 0)
        products[masked, but[some][masked]] = -np.inf
        if count == 1:
            column = products.argmax(axis=1)[:, None]
            values = np.take_along_axis(products, column, axis=1)
        else:
            values, column = best_of(products, min(count, len(among)))
        if not exact:
            again = np.einsum("nd,nkd->nk", np.asarray(rows[some], np.float64), np.asarray(vectors[column], np.float64))
            values = np.where(np.isfinite(values), again, values)
        found.values[some, : values.shape[1]], found.columns[some, : values.shape[1]] = values, column
        found.values[some, values.shape[1] :], found.columns[some, values.shape[1] :] = -np.inf, 0
    return found
