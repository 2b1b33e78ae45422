"""The few best of very many: which columns of a table of scores are the highest, and which vectors are most alike.

A gallery of a hundred thousand people gives a hundred thousand scores a face, of which a few are looked at. Products
are computed in blocks of rows, so that memory grows neither with the faces nor with the square of the people.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import Ints
from mien.types import Floats

WIDE, SORTED = 1 << 14, 1 << 10
"""Columns from which on held-out scores are sorted out by groups, and up to which a row is sorted as a whole: one of
100,000 takes ten times as long so."""

GROUP = 64
"""Columns of a group, of which only the highest is compared at first."""

BLOCK = 1 << 22
"""Scores held at a time: 16 MB, or 32 MB in float64."""

ROWS, MORE = 256, 16
"""The fewest rows of a block, where it does not take more than so many times the memory for it: a product of fewer
takes up to twice as long a row, as the vectors pass through the processor's cache once a block."""

EXACT = 1 << 32
"""Products, up to which all are computed, in float64. LFW has 2^23: 4,416 faces of 2,086 people."""

LISTS, ROUNDS, SAMPLE, SEED = 3.0, 8, 64, 0
"""Beyond that vectors lie in lists around so many times the root of their number of centres (Lloyd's k-means, these
rounds over this many vectors a list, drawn with this seed)."""

LOOKED_INTO = 0.15
"""The part of the lists that a row looks into, those whose centres are nearest. Of the faces of 100,000 made people
(`benchmarks/growth_faces.py`) 99.9 % find the person whom they are most like if it is their own, in a tenth of the
time."""


FEWEST = 8
"""Lists that it looks into at least, if there are as many."""

AT_ONCE = 1 << 13
"""Rows that look into the lists together: what a list gives to so many fits into a core's cache."""

THREADS = 4
"""Parts of the rows that are worked on at a time at most, a core each; each holds some 100 MB."""

_alone = threading.Lock()


def blocks(rows: int, columns: int) -> list[slice]:
    """All of `rows`, as many at once as there may be scores of so many columns; a few more, if these are too few for a
    quick product."""
    fit = max(BLOCK // max(columns, 1), 1)
    step = max(fit, min(ROWS, MORE * fit))
    return [slice(start, min(start + step, rows)) for start in range(0, rows, step)]


def with_each(parts: Sequence[slice], work: Callable[[slice], object]) -> None:
    """Calls `work` with each part of the rows, on a few cores: what it does with one must not depend on another."""
    if len(parts) < 2:
        for part in parts:
            work(part)
        return
    import threadpoolctl  # type: ignore[import-untyped]

    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    # A product for which the cores are shared out keeps those waiting that have no part of it. That limit is the whole
    # process's: of two at a time, the one that ends last would restore what the other one had set.
    with (
        _alone,
        threadpoolctl.threadpool_limits(1, user_api="blas"),
        ThreadPoolExecutor(min(THREADS, cores)) as threads,
    ):
        list(threads.map(work, parts))  # so that what one raises is raised


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
    if count == 1:
        first = scores.argmax(axis=1)[:, None]
        return Best(np.take_along_axis(scores, first, axis=1), first)
    if width < max(SORTED, 2 * GROUP * count):
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


class Among:
    """Many vectors (P, D), of which those are asked for with which others agree best.

    Where it is to be `exact` all products are computed, in float64. Otherwise each row looks into the nearest lists
    alone (`LOOKED_INTO`), by products in float32: of two that differ by less than 1e-6 either may come first.
    """

    def __init__(self, vectors: NDArray[np.floating], exact: bool) -> None:
        self._vectors, self._exact = vectors, exact
        if not exact:
            self._lists = _Lists(np.asarray(vectors, np.float32))

    def nearest(self, rows: NDArray[np.floating], but: Ints, count: int = 1) -> Best:
        """The `count` vectors with which each of (N, D) rows agrees best, by their products in float64; the vector of
        the number `but` (N,) is none of these, -1 for none. Where so many are not found, -inf and any column."""
        found = Best(np.full((len(rows), count), -np.inf), np.zeros((len(rows), count), np.int64))
        if not self._exact:
            parts = [slice(at, at + AT_ONCE) for at in range(0, len(rows), AT_ONCE)]
            with_each(parts, lambda some: self._look(rows[some], but[some], found, some))
            return found
        most = min(count, len(self._vectors))
        for some in blocks(len(rows), len(self._vectors)):
            products = rows[some] @ self._vectors.T
            _mask(products, but[some], np.arange(len(self._vectors)))
            found.values[some, :most], found.columns[some, :most] = best_of(products, most)
        return found

    def _look(self, rows: NDArray[np.floating], but: Ints, every: Best, some: slice) -> None:
        """Writes into `some` of `every` row what these find in the lists that they look into, best first."""
        found = Best(every.values[some], every.columns[some])
        self._lists.look(np.asarray(rows, np.float32), but, found)
        there = np.isfinite(found.values)
        vectors = np.asarray(self._vectors[found.columns], np.float64)
        found.values[there] = np.einsum("nd,nkd->nk", np.asarray(rows, np.float64), vectors)[there]
        order = np.argsort(-found.values, axis=1, kind="stable")
        for one in found:
            one[:] = np.take_along_axis(one, order, axis=1)


class _Lists:
    """Vectors (P, D) float32 in lists, each around a centre."""

    def __init__(self, vectors: Floats) -> None:
        self._count = max(min(int(LISTS * len(vectors) ** 0.5), len(vectors)), 1)
        random = np.random.default_rng(SEED)
        some = vectors[random.permutation(len(vectors))[: SAMPLE * self._count]]
        self._centres = some[: self._count].copy()
        for _ in range(ROUNDS):
            whose = self._listed(some, 1)[:, 0]
            order = np.argsort(whose, kind="stable")
            there, first, size = np.unique(whose[order], return_index=True, return_counts=True)
            self._centres[there] = np.add.reduceat(some[order], first, axis=0, dtype=np.float64) / size[:, None]
        whose = self._listed(vectors, 1)[:, 0]
        self._members = np.argsort(whose, kind="stable")
        self._ends = np.searchsorted(whose[self._members], np.arange(self._count + 1))
        self._vectors = vectors[self._members]

    def _listed(self, rows: Floats, count: int) -> Ints:
        """(N, count) the lists whose centres are nearest to each row, in as few bytes as hold their numbers."""
        far = (self._centres**2).sum(axis=1) / 2
        found = np.empty((len(rows), count), np.uint16 if self._count < 1 << 16 else np.int64)  # quick to sort
        for some in blocks(len(rows), self._count):
            near = rows[some] @ self._centres.T - far
            found[some] = _few(near, count)
        return found

    def look(self, rows: Floats, but: Ints, found: Best) -> None:
        """Writes into `found` what each row finds in the lists that it looks into, in any order."""
        probed = self._listed(rows, max(int(LOOKED_INTO * self._count), min(FEWEST, self._count)))
        row, which = np.repeat(np.arange(len(rows)), probed.shape[1]), probed.ravel()
        order = np.argsort(which, kind="stable")
        row, ends = row[order], np.searchsorted(which[order], np.arange(self._count + 1))
        count = found.values.shape[1]
        for at in range(self._count):
            asking, mine = row[ends[at] : ends[at + 1]], slice(self._ends[at], self._ends[at + 1])
            members = self._members[mine]
            most = min(count, len(members))
            if not (most and len(asking)):
                continue
            products = rows[asking] @ self._vectors[mine].T
            _mask(products, but[asking], members)
            top = _few(products, most)
            if count == 1:
                value = np.take_along_axis(products, top, axis=1)[:, 0]
                higher = value > found.values[asking, 0]
                found.values[asking[higher], 0] = value[higher]
                found.columns[asking[higher], 0] = members[top[higher, 0]]
                continue
            values = np.hstack([found.values[asking], np.take_along_axis(products, top, axis=1)])
            columns = np.hstack([found.columns[asking], members[top]])
            best = np.argsort(-values, axis=1, kind="stable")[:, :count]
            found.values[asking] = np.take_along_axis(values, best, axis=1)
            found.columns[asking] = np.take_along_axis(columns, best, axis=1)


def _few(products: NDArray[np.floating], count: int) -> Ints:
    """(N, count) the columns of the highest products, in any order."""
    if count == 1:
        return np.asarray(products.argmax(axis=1)[:, None], np.int64)
    if count == products.shape[1]:
        return np.tile(np.arange(count), (len(products), 1))
    return np.argpartition(-products, count - 1, axis=1)[:, :count]


def _mask(products: NDArray[np.floating], but: Ints, members: Ints) -> None:
    """Sets the product of each row with the vector `but` (N,), if it is one of the `members` (sorted), to -inf."""
    at = np.minimum(np.searchsorted(members, but), len(members) - 1)
    rows = np.flatnonzero(members[at] == but)
    products[rows, at[rows]] = -np.inf
