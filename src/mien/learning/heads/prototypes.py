"""Prototypes: one mean direction per person, by which a face's score for that person is a cosine.

A face whose label is wrong pulls the mean towards somebody else, so faces that the person's other photos contradict are
left out. A turned, tilted or covered face is unlike the mean as well, but like the photo next to it, and counts.
"""

from __future__ import annotations

from functools import partial

import numpy as np
from numpy.typing import NDArray

from mien.learning.head import Fit, FittedHead, Ints
from mien.learning.labels import contradicted
from mien.types import Cosines, Floats

Vectors = NDArray[np.float64]

MOST_LEFT_OUT = 3
"""At most one face in three is left out, so one of two photos never is: nobody can say which of them is wrong."""

FACES = 1 << 14
"""Faces held at a time in float64, with what is computed of them."""

_ROUNDS = 4
"""Leaving out one face may bring back another; after a few rounds nothing changes any more."""


def prototypes(cosines: Cosines) -> Fit:
    """The head of one prototype a person, for embeddings with such cosines."""
    return partial(fit_prototypes, contradicted=contradicted(cosines))


def fit_prototypes(embeddings: Floats, person: Ints, people: int, weight: Floats, contradicted: float) -> FittedHead:
    """The weighted mean direction of every person's faces, without those that the person's other faces contradict.

    A face is contradicted if its cosine to the mean of the person's others lies more than `contradicted` below the
    median of that person's faces, and no other face that counts agrees with it as two photos of the person usually do.

    The result depends neither on the order of the faces nor on the other people: sums run in float64 in an order that
    the faces themselves give. O(N * D), `FACES` at a time: nobody's faces have a part in anybody else's mean. Raises
    ValueError if somebody has no face.
    """
    faces, owner = np.asarray(embeddings, dtype=np.float32), np.asarray(person, dtype=np.intp)
    given = np.asarray(weight, dtype=np.float64)
    photos = np.bincount(owner, minlength=people)
    if len(photos) > people or not photos.all():
        raise ValueError("every person needs a face")
    vectors, counted = np.empty((people, faces.shape[1]), np.float32), np.empty(len(faces), bool)
    ends = np.cumsum(photos)
    by_person = None if ends[-1] <= FACES else np.argsort(owner, kind="stable")
    first = 0
    while first < people:  # whole people, so many that their faces are not too many
        before = int(ends[first] - photos[first])
        last = max(int(np.searchsorted(ends, before + FACES, side="right")), first + 1)
        rows = slice(None) if by_person is None else by_person[before : ends[last - 1]]
        some = faces[rows], owner[rows] - first, given[rows]
        vectors[first:last], counted[rows] = _means(*some, last - first, contradicted)
        first = last
    return FittedHead(
        vectors=vectors,
        transform=None,
        exemplars=np.empty((0, faces.shape[1]), np.float32),
        owner=np.empty(0, np.int64),
        share=1.0,
        counted=counted,
    )


def _means(
    faces: Floats, owner: NDArray[np.intp], given: Vectors, people: int, contradicted: float
) -> tuple[Floats, NDArray[np.bool_]]:
    """The prototypes (people, D) of these faces, and which of the faces count, (n,) bool."""
    order = _canonical_order(faces, owner, given)
    rows, owner, given = faces[order].astype(np.float64), owner[order], given[order]
    starts = np.searchsorted(owner, np.arange(people))

    counted = np.ones(len(rows), dtype=bool)
    for _ in range(_ROUNDS):
        agreement = _agreement(rows, owner, starts, given * counted)
        before, counted = counted, ~_contradicted(rows, agreement, starts, contradicted)
        if np.array_equal(before, counted):
            break
    used = given * counted
    sums = np.add.reduceat(used[:, None] * rows, starts, axis=0)
    vectors = (sums / np.linalg.norm(sums, axis=1, keepdims=True)).astype(np.float32)
    return vectors, counted[np.argsort(order)]


def _canonical_order(faces: Floats, owner: NDArray[np.intp], weight: Vectors) -> NDArray[np.intp]:
    """The order by person, then by the bytes of the face: the same for the same faces, however they were given."""
    bytes_of = np.ascontiguousarray(np.column_stack([faces.astype(np.float64), weight]))
    by_bytes = np.argsort(bytes_of.view(f"V{bytes_of.shape[1] * 8}").ravel(), kind="stable")
    return by_bytes[np.argsort(owner[by_bytes], kind="stable")]


def _agreement(rows: Vectors, owner: NDArray[np.intp], starts: NDArray[np.intp], weight: Vectors) -> Vectors:
    """(N,) cosine of each face to the weighted mean of its person's other faces; nan where there is none.

    In closed form from the sums s: without face e of weight w the sum is s - w e, whose product with e is s.e - w and
    whose squared length |s|^2 - 2 w s.e + w^2, e being a unit vector.
    """
    sums = np.add.reduceat(weight[:, None] * rows, starts, axis=0)
    others = np.add.reduceat((weight > 0).astype(np.intp), starts)[owner] - (weight > 0)
    along = np.einsum("nd,nd->n", sums[owner], rows)
    length = np.sqrt(np.maximum((sums**2).sum(axis=1)[owner] - 2 * weight * along + weight**2, 1e-12))
    return np.where(others > 0, (along - weight) / length, np.nan)


def _contradicted(rows: Vectors, agreement: Vectors, starts: NDArray[np.intp], margin: float) -> NDArray[np.bool_]:
    """(N,) bool: the faces to leave out, the worst third of a person's at most."""
    out = np.zeros(len(agreement), dtype=bool)
    ends = np.append(starts[1:], len(agreement))
    # Somebody whose worst face lies near the best has none to leave out, and most people are so.
    least, highest = np.minimum.reduceat(agreement, starts), np.maximum.reduceat(agreement, starts)
    asked = np.flatnonzero((ends - starts >= MOST_LEFT_OUT) & ~(least >= highest - margin))
    for start, end in zip(starts[asked].tolist(), ends[asked].tolist(), strict=True):
        own, faces = agreement[start:end], rows[start:end]
        most = len(own) // MOST_LEFT_OUT
        usual = float(np.median(own))
        worst = np.argsort(own, kind="stable")[:most]
        worst = worst[own[worst] < usual - margin]
        if len(worst):
            # Cosines to the mean of many are the roots of those of pairs.
            near = faces[worst] @ np.delete(faces, worst, axis=0).T
            out[start + worst[near.max(axis=1) < usual * abs(usual)]] = True
    return out
