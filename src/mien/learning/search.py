"""Search: the few people of a very large gallery whom a face is most like, without a look at all of them.

A person is a code of sixteen bytes: in which list of like people the prototype lies, and where in that list, coarsely.
A face looks into the nearest lists, the codes there say who comes into question, and these few are compared exactly
(Jégou, Douze and Schmid 2011, "Product quantization for nearest neighbor search"). The scores that come out are the
same cosines as without it, so that thresholds and probabilities hold; what may go wrong is that the best is not found.

Lists and codes are plain arrays in the order of the people: enrolling somebody adds a code, removing takes one away,
and nobody else's changes. faiss learns lists and codes and scans them. mien never lets faiss read a file, as its reader
trusts what it reads; a code is any number of four bits, and where it lies comes from the order of the people.
"""

from __future__ import annotations

import io
import math
from dataclasses import dataclass, fields
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mien.learning.best import blocks
from mien.learning.head import Ints
from mien.types import Floats

if TYPE_CHECKING:
    import faiss

LARGE = 50_000
"""People up to whom all are compared: a face takes 3 ms of one core then (128 numbers, docs/benchmarks.md), and with an
index half of that."""

AXES, PARTS = 64, 32
"""Directions in which prototypes differ most, in which they are coded, and in how many parts of four bits: 97 % of the
spread of dlib-resnet's. With all directions, or 64 parts, the best is found as often, and a search takes longer."""

LISTS, LOOKED_INTO, FEWEST = 1.0, 0.25, 160
"""Lists, as so many times the root of the number of people, and the part of them that a face looks into, or the fewest.
With 1,000,000 people the best of all was found for 333 of 334 strangers, and of known people for all."""

CANDIDATES = 800
"""People who are compared exactly. With 200 the best is found as often, but too little is known of the others."""

REST = 8_192
"""People drawn for all who are not candidates, when the scores of everybody are summed up."""

SAMPLE, ROUNDS, SEED = 64, 10, 0
"""Prototypes a list from which lists are learned, in so many rounds; `CODED` for the codes."""

CODED = 65_536

_VALUES = 16
"""Of four bits."""


@dataclass(frozen=True, eq=False)
class Index:
    """The codes of P people, whose prototypes have D numbers.

    `middle` (D,) and `axes` (D, A) float32 turn a prototype into A numbers; `centres` (L, A) float32 are those of the
    lists, and `values` (PARTS, 16, A / PARTS) float32 what a code's parts stand for. Of each person `place` (P,) int32
    is the list and `codes` (P, PARTS / 2) uint8 the code, two parts a byte, the low half first.
    """

    middle: Floats
    axes: Floats
    centres: Floats
    values: Floats
    place: NDArray[np.int32]
    codes: NDArray[np.uint8]

    def __len__(self) -> int:
        return len(self.place)

    def candidates(self, faces: Floats, count: int) -> Ints:
        """(N, count) people who come into question for each of (N, D) unit faces, in any order; -1 for nobody. Any
        number of threads may ask at once."""
        import faiss

        faiss.omp_set_num_threads(1)  # of this thread alone: answers share out the cores among themselves
        scan = self._scan
        looked_into = faiss.SearchParametersIVF(nprobe=max(int(LOOKED_INTO * len(self.centres)), FEWEST))  # type: ignore[call-arg]
        rows = np.ascontiguousarray((faces - self.middle) @ self.axes)
        _, found = scan.search(rows, count, params=looked_into)
        return np.asarray(found, np.int64)

    def with_row(self, at: int, vector: Floats) -> Index:
        """The same index with another person before the one of number `at`, whose prototype is `vector` (D,)."""
        turned = (vector[None] - self.middle) @ self.axes
        place = ((turned - self.centres) ** 2).sum(axis=1).argmin()
        parts = (turned[0] - self.centres[place]).reshape(PARTS, 1, -1)
        code = ((parts - self.values) ** 2).sum(axis=2).argmin(axis=1).astype(np.uint8)
        return self._replaced(
            np.insert(self.place, at, place), np.insert(self.codes, at, code[::2] | code[1::2] << 4, axis=0)
        )

    def without_rows(self, rows: Ints) -> Index:
        """The same index without the people of these numbers."""
        return self._replaced(np.delete(self.place, rows), np.delete(self.codes, rows, axis=0))

    def _replaced(self, place: NDArray[np.int32], codes: NDArray[np.uint8]) -> Index:
        return Index(self.middle, self.axes, self.centres, self.values, place.astype(np.int32), codes)

    @cached_property
    def _scan(self) -> faiss.IndexIVFPQFastScan:
        """The codes as faiss scans them."""
        import faiss

        index = _empty(self.centres)
        faiss.copy_array_to_vector(np.ascontiguousarray(self.values).ravel(), index.pq.centroids)
        index.is_trained = True
        order = np.argsort(self.place, kind="stable")
        ends = np.searchsorted(self.place[order], np.arange(len(self.centres) + 1))
        codes = np.ascontiguousarray(self.codes[order])
        for at in np.flatnonzero(np.diff(ends)).tolist():
            mine, count = slice(ends[at], ends[at + 1]), int(ends[at + 1] - ends[at])
            people = np.ascontiguousarray(order[mine], np.int64)
            index.invlists.add_entries(at, count, faiss.swig_ptr(people), faiss.swig_ptr(codes[mine]))
        index.ntotal = len(self)
        return faiss.IndexIVFPQFastScan(index)

    def to_bytes(self) -> bytes:
        """The arrays one after the other, each as a .npy file; the same index gives the same bytes."""
        file = io.BytesIO()
        for part in fields(self):
            np.save(file, np.ascontiguousarray(getattr(self, part.name)), allow_pickle=False)
        return file.getvalue()

    @classmethod
    def of_bytes(cls, data: bytes, people: int, dimensions: int) -> Index:
        """The index of so many people and dimensions that `to_bytes` made. Raises ValueError for anything else: each
        size is checked against `data` before anything is made of it."""
        arrays: list[NDArray[Any]] = []
        at = 0
        for _ in fields(cls):
            one, at = _array(data, at)
            arrays.append(one)
        found = cls(*arrays)
        lists, axes = found.centres.shape if found.centres.ndim == 2 else (0, 0)
        shapes = (dimensions,), (dimensions, axes), (lists, axes), (PARTS, _VALUES, axes // PARTS)
        floats = (found.middle, found.axes, found.centres, found.values)
        sound = (
            at == len(data)
            and axes > 0
            and axes % PARTS == 0
            and all(one.dtype == np.float32 and one.shape == shape for one, shape in zip(floats, shapes, strict=True))
            and all(bool(np.isfinite(one).all()) for one in floats)
            and found.place.dtype == np.int32
            and found.codes.dtype == np.uint8
            and found.place.shape == (people,)
            and found.codes.shape == (people, PARTS // 2)
            and bool(((found.place >= 0) & (found.place < lists)).all())
        )
        if not sound:
            raise ValueError("not the arrays of an index")
        return found


def _array(data: bytes, at: int) -> tuple[NDArray[Any], int]:
    """The array whose .npy file begins there in `data`, and where the next one begins. Raises ValueError where it has
    not all the bytes that it says."""
    file = io.BytesIO(data)
    file.seek(at)
    if np.lib.format.read_magic(file) != (1, 0):
        raise ValueError("not an array as mien writes it")
    shape, in_columns, kind = np.lib.format.read_array_header_1_0(file)
    start, count = file.tell(), math.prod(shape)
    end = start + count * kind.itemsize
    if in_columns or kind.hasobject or count < 0 or end > len(data):
        raise ValueError("not an array as mien writes it")
    return np.frombuffer(data, kind, count, start).reshape(shape).copy(), end


def drawn(people: int) -> Ints:
    """(K,) the people who stand for all when scores are summed up; the same ones for the same number."""
    return np.sort(np.random.default_rng(SEED).permutation(people)[:REST])


def is_there() -> bool:
    """Whether faiss is installed, which comes with the extra `mien[scale]`."""
    from importlib.util import find_spec

    return find_spec("faiss") is not None


def build(vectors: Floats) -> Index:
    """The index of people with these unit prototypes (P, D), D at least `AXES`; the same for the same ones: draws are
    seeded and one thread computes. Needs faiss."""
    import faiss

    faiss.omp_set_num_threads(1)
    random = np.random.default_rng(SEED)
    lists = max(int(LISTS * len(vectors) ** 0.5), 1)
    some = vectors[np.sort(random.permutation(len(vectors))[: max(SAMPLE * lists, CODED)])]
    middle = some.mean(axis=0, dtype=np.float64)
    spread, directions = np.linalg.eigh(np.cov((some - middle).T))
    axes = directions[:, np.argsort(-spread, kind="stable")[:AXES]]
    axes = np.asarray(axes * np.sign(axes[np.abs(axes).argmax(axis=0), np.arange(AXES)]), np.float32)
    middle = middle.astype(np.float32)
    sample = np.ascontiguousarray((some - middle) @ axes)
    means = faiss.Kmeans(AXES, lists, niter=ROUNDS, seed=SEED, max_points_per_centroid=SAMPLE, verbose=False)
    means.train(sample)
    centres = np.asarray(means.centroids, np.float32)
    index = _empty(centres)
    index.pq.cp.seed = SEED
    place = np.concatenate([_place(part, centres) for part in _parts(sample)])
    index.pq.train(np.ascontiguousarray((sample - centres[place])[:CODED]))
    values = faiss.vector_to_array(index.pq.centroids).reshape(PARTS, _VALUES, -1)
    found = np.empty(len(vectors), np.int32)
    codes = np.empty((len(vectors), PARTS // 2), np.uint8)
    for part in blocks(len(vectors), lists):
        turned = np.ascontiguousarray((vectors[part] - middle) @ axes)
        found[part] = _place(turned, centres)
        codes[part] = index.pq.compute_codes(np.ascontiguousarray(turned - centres[found[part]]))
    return Index(middle, axes, centres, values.astype(np.float32), found, codes)


def _parts(rows: Floats) -> list[Floats]:
    return [rows[part] for part in blocks(len(rows), 1 << 10)]


def _place(rows: Floats, centres: Floats) -> Ints:
    """(N,) the list whose centre is nearest to each row."""
    return np.asarray((rows @ centres.T - (centres**2).sum(axis=1) / 2).argmax(axis=1), np.int64)


def _empty(centres: Floats) -> Any:
    """faiss's index with these lists and nobody in them."""
    import faiss

    lists = faiss.IndexFlatL2(centres.shape[1])
    lists.add(np.ascontiguousarray(centres))
    return faiss.IndexIVFPQ(lists, centres.shape[1], len(centres), PARTS, 4, faiss.METRIC_L2)
