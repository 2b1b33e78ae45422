"""Held-out scores: what a head says of faces it was not fitted on. Pure arithmetic.

Everything that a model claims about itself (figures, calibration, threshold, which head is best) is read off scores
in which each face was judged by a head that was fitted without it and without its near-duplicates; the head that ships
is then refitted on every face. Strangers are made by masking: the scores of a face for everybody but its own person are
those of a stranger.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from mien.learning.best import WIDE, best_of, blocks, with_each
from mien.learning.head import Fit, FittedHead, Ints
from mien.types import Cosines, Floats

FOLDS = 5
"""Parts of the album, each judged by a head fitted on the other four."""

RIVALS = 32
"""Rivals remembered per face: those further down add nothing to a probability."""

MOST_ASKED = 50_000
"""Faces that are asked about at most, by which a share of 1 % is known to within a tenth of itself and one of 0.1 % to
within a third (one standard error, photos of a person counted as half independent). A model of 100,000 people then
takes half a minute a head instead of a quarter of an hour."""

_LINKED = 512
"""Faces of a person whose products are all computed at once."""

_ROUNDED = 1e-4
"""Two ways to compute a cosine in float32 differ by less."""


@dataclass(frozen=True, slots=True, eq=False)
class HeldOut:
    """Scores of N faces by heads fitted without them. `own` (N,) float32 for the own person, nan where nobody else's
    face was left to fit them on; `rivals` (N, K) float32 for the others, best first; `rival` (N,) int64 the best one,
    -1 where there is none."""

    own: Floats
    rivals: Floats
    rival: Ints

    def of(self, rows: NDArray[np.bool_]) -> HeldOut:
        """The scores of these faces alone; `rows` (N,)."""
        return self if rows.all() else HeldOut(self.own[rows], self.rivals[rows], self.rival[rows])

    def placed(self, rows: Ints, count: int) -> HeldOut:
        """The same scores as those of the faces in `rows` (N,) among `count`; the other faces have none."""
        own, rival = np.full(count, np.nan, np.float32), np.full(count, -1, np.int64)
        rivals = np.full((count, self.rivals.shape[1]), -np.inf, np.float32)
        own[rows], rivals[rows], rival[rows] = self.own, self.rivals, self.rival
        return HeldOut(own, rivals, rival)

    @property
    def best_rival(self) -> NDArray[np.float64]:
        """(N,) the score with which a masked face would be taken for somebody; -inf where nobody else is enrolled."""
        if not self.rivals.shape[1]:
            return np.full(len(self.own), -math.inf)
        return self.rivals[:, 0].astype(np.float64)

    @property
    def mated(self) -> NDArray[np.bool_]:
        """(N,) whether the face could be recognised at all."""
        return np.isfinite(self.own)

    @property
    def right(self) -> NDArray[np.bool_]:
        """(N,) whether the own person came first."""
        return self.mated & (np.nan_to_num(self.own, nan=-math.inf) > self.best_rival)


def split(sha256: Sequence[str], person: Ints, embeddings: Floats, cosines: Cosines) -> Ints:
    """(N,) the fold of each face, 0..FOLDS-1.

    By the hash of the photo's content, so that neither its name nor what else is in the album moves it. Near-duplicates
    of a person go together. Where that puts all of somebody's pictures into one fold, they are dealt out in order of
    hash, so that of everybody with two pictures one is left to fit on; somebody with a single one, which stays where
    its hash puts it, is only ever asked about as a stranger.
    """
    fold = _hashes(sha256) % FOLDS
    picture = pictures(person, embeddings, cosines)
    linked = np.zeros(int(person.max(initial=-1)) + 1, bool)
    linked[person[picture != np.arange(len(picture))]] = True
    for rows in _rows_by_person(person):
        if not linked[person[rows[0]]] and (len(rows) < 2 or len(np.unique(fold[rows])) > 1):
            continue
        group = picture[rows]
        first = {one: min(rows[group == one], key=lambda row: sha256[row]) for one in np.unique(group)}
        dealt = sorted(first, key=lambda one: sha256[first[one]])
        if len(dealt) > 1 and len({fold[first[one]] for one in dealt}) == 1:
            for place, one in enumerate(dealt):
                fold[first[one]] = place % FOLDS
        fold[rows] = [fold[first[one]] for one in group]
    return fold


def asked_about(sha256: Sequence[str], person: Ints) -> NDArray[np.bool_]:
    """(N,) the faces that are asked about to learn what a head is worth: all of them, or of more than `MOST_ASKED`
    those of whole people, as many as there is room for.

    Which people is drawn by the content of their photos, by which neither names nor the order of anything move it;
    however many photos somebody has, the chance is the same.
    """
    if len(person) <= MOST_ASKED:
        return np.ones(len(person), bool)
    order = np.argsort(person, kind="stable")
    starts = np.flatnonzero(np.diff(person[order], prepend=-1))
    lot = np.bitwise_xor.reduceat(_hashes(sha256)[order], starts)
    drawn = np.argsort(lot, kind="stable")
    photos = np.diff(starts, append=len(person))[drawn]
    drawn = drawn[: max(int(np.searchsorted(np.cumsum(photos), MOST_ASKED, side="right")), 1)]
    return np.isin(person, person[order][starts[drawn]])


def _hashes(sha256: Sequence[str]) -> Ints:
    """(N,) the first 60 bits of each hash."""
    return np.array([int(photo[:15], 16) for photo in sha256], np.int64)


def pictures(person: Ints, embeddings: Floats, cosines: Cosines) -> Ints:
    """(N,) the picture that each face is of, as a number: linked near-duplicates of a person share it."""
    number = np.arange(len(person))
    for rows in _rows_by_person(person):
        if len(rows) > 1:
            number[rows] = rows[_near_duplicates(embeddings[rows], cosines.near_duplicate)]
    return number


def _rows_by_person(person: Ints) -> Iterator[Ints]:
    """The rows of each person who occurs."""
    order = np.argsort(person, kind="stable")
    for start, end in pairwise(np.flatnonzero(np.diff(person[order], prepend=-1, append=-1))):
        yield order[start:end]


def _near_duplicates(faces: Floats, least: float) -> Ints:
    """(N,) a label for each face of one person; linked near-duplicates share it."""
    label = np.arange(len(faces))
    if len(faces) <= _LINKED and np.count_nonzero(faces @ faces.T >= least - _ROUNDED) <= len(faces):
        return label  # each is like itself alone
    for row in range(len(faces)):
        alike = np.flatnonzero(faces[row + 1 :] @ faces[row] >= least) + row + 1
        label[np.isin(label, label[alike])] = label[row]
    return label


def held_out(
    fit: Fit,
    embeddings: Floats,
    person: Ints,
    people: int,
    weight: Floats,
    fold: Ints,
    asked: NDArray[np.bool_] | None = None,
) -> HeldOut:
    """Scores of each face by a head fitted on the other folds; of those `asked` (N,) about alone, if not of all."""
    every = np.ones(len(person), bool)
    asked = every if asked is None else asked
    (held,) = held_out_among(fit, embeddings, person, people, weight, fold, every, asked=asked)
    return held.of(asked)


def held_out_among(
    fit: Fit,
    embeddings: Floats,
    person: Ints,
    people: int,
    weight: Floats,
    fold: Ints,
    known: NDArray[np.bool_],
    *sides: NDArray[np.bool_],
    asked: NDArray[np.bool_] | None = None,
) -> list[HeldOut]:
    """Scores of each face by a head fitted on those of the other folds that are `known` (N,). One for each of `sides`
    (P,) with only its people for rivals, or a single one with everybody. Faces that are not `asked` (N,) about have no
    scores; the time goes with those that are, times people."""
    keep = min(RIVALS, people - 1)
    own = np.full(len(person), np.nan, np.float32)
    among = sides or (np.ones(people, bool),)
    held = [
        HeldOut(own, np.full((len(person), keep), -np.inf, np.float32), np.full(len(person), -1, np.int64))
        for _ in among
    ]
    asked = np.ones(len(person), bool) if asked is None else asked
    for part in np.unique(fold[asked]):
        used = (fold != part) & known
        enrolled, column = np.unique(person[used], return_inverse=True)
        if not len(enrolled):
            continue
        head = fit(embeddings[used], column, len(enrolled), weight[used])
        place = np.full(people, -1, np.int64)
        place[enrolled] = np.arange(len(enrolled))
        rows = np.flatnonzero((fold == part) & asked)
        columns = [np.flatnonzero(side[enrolled]) for side in among]
        _ask(head, embeddings, rows, place[person[rows]], enrolled, list(zip(held, columns, strict=True)))
    return held


def _ask(
    head: FittedHead, faces: Floats, rows: Ints, own: Ints, people: Ints, sides: Sequence[tuple[HeldOut, Ints]]
) -> None:
    """Writes into each of `sides` what `head` says of the `rows` of `faces`: of their own person, in column `own` of
    its scores, -1 for none, and of the side's columns, which are of `people`."""

    def ask(part: slice) -> None:
        some = rows[part]
        scores = head.scores(faces[some])
        mine = np.flatnonzero(own[part] >= 0)
        column = own[part][mine]
        found = scores[mine, column]
        scores[mine, column] = -np.inf
        for held, columns in sides:
            held.own[some[mine]] = found
            _keep_best(held, some, scores if len(columns) == len(people) else scores[:, columns], people[columns])

    with_each(blocks(len(rows), max(len(people), len(head.exemplars))), ask)


def _keep_best(held: HeldOut, rows: Ints, scores: Floats, people: Ints) -> None:
    """Writes into `held` the best of `scores` (n, E), which are those of n `rows` for E `people`."""
    most = min(held.rivals.shape[1], len(people))
    if most and len(people) >= WIDE:
        found, column = best_of(scores, most)
        held.rivals[rows, :most] = found
        held.rival[rows] = np.where(np.isfinite(found[:, 0]), people[column[:, 0]], -1)
    elif most:
        top = np.argpartition(-scores, most - 1, axis=1)[:, :most]
        found = np.take_along_axis(scores, top, axis=1)
        order = np.argsort(-found, axis=1, kind="stable")
        held.rivals[rows, :most] = np.take_along_axis(found, order, axis=1)
        best = people[top[np.arange(len(rows)), order[:, 0]]]
        held.rival[rows] = np.where(np.isfinite(held.rivals[rows, 0]), best, -1)


def log_loss(held: HeldOut, person: Ints) -> NDArray[np.float64]:
    """(N,) what each face costs in nats: the surprise at the right person for it, and at "unknown" for its masked self.

    The probabilities are those that the scores could best support: a logistic curve for whether a face is known and a
    softmax over people, both fitted to these very scores, three numbers for thousands of faces. It asks for all that
    a head is for - the right person first, strangers apart from people - in one figure without a threshold, and heads
    with other scales of score can be compared by it. A face that nobody could recognise costs only as a stranger.
    """
    each = 1 / np.bincount(person)[person]
    mated, best = held.mated, np.maximum(np.nan_to_num(held.own, nan=-math.inf), held.best_rival)
    stranger = np.isfinite(held.best_rival)
    if not (mated.any() and stranger.any()):
        return np.zeros(len(person))
    scale = float(np.std(np.concatenate([best[mated], held.best_rival[stranger]]))) or 1.0
    known, unknown = best[mated] / scale, held.best_rival[stranger] / scale
    slope, offset = _logistic(known, unknown, each[mated], each[stranger])
    behind = (held.rivals[mated].astype(np.float64) - held.own[mated, None]) / scale
    sharpness = golden_section(
        lambda x: float(each[mated] @ _surprise(behind, math.exp(x))), math.log(0.1), math.log(1000)
    )
    cost = np.zeros(len(person))
    cost[mated] += np.logaddexp(0, -(slope * known + offset)) + _surprise(behind, math.exp(sharpness))
    cost[stranger] += np.logaddexp(0, slope * unknown + offset)
    return cost / 2


def _surprise(behind: NDArray[np.float64], sharpness: float) -> NDArray[np.float64]:
    """(N,) surprise at the own person among all people."""
    return np.asarray(np.logaddexp(0, np.logaddexp.reduce(sharpness * behind, axis=1)), np.float64)


def _logistic(
    known: NDArray[np.float64], unknown: NDArray[np.float64], mass: NDArray[np.float64], other: NDArray[np.float64]
) -> tuple[float, float]:
    """Slope and offset of the logistic regression that tells `known` from `unknown` scores, each class with half the
    weight: Newton's method with a weak ridge, so that classes that do not overlap have an answer too."""
    x = np.concatenate([known, unknown])
    y = np.concatenate([np.ones(len(known)), np.zeros(len(unknown))])
    weight = np.concatenate([mass / mass.sum(), other / other.sum()])
    design = np.column_stack([x - x.mean(), np.ones(len(x))])
    ridge, beta = np.diag([1e-5, 0.0]), np.zeros(2)
    for _ in range(50):
        chance = 1 / (1 + np.exp(-np.clip(design @ beta, -500, 500)))
        slope = design.T @ (weight * (chance - y)) + ridge @ beta
        curve = (design * (weight * np.maximum(chance * (1 - chance), 1e-12))[:, None]).T @ design + ridge
        step = np.linalg.solve(curve, slope)
        beta -= step * min(1.0, 10.0 / float(np.abs(step).max() or 1.0))
        if float(np.abs(step).max()) < 1e-9:
            break
    return float(beta[0]), float(beta[1] - beta[0] * x.mean())


def golden_section(cost: Callable[[float], float], low: float, high: float) -> float:
    """Where `cost`, which has one minimum between, is least."""
    golden = (math.sqrt(5) - 1) / 2
    inner, outer = high - golden * (high - low), low + golden * (high - low)
    at_inner, at_outer = cost(inner), cost(outer)
    while high - low > 1e-7:
        if at_inner <= at_outer:
            high, outer, at_outer = outer, inner, at_inner
            inner = high - golden * (high - low)
            at_inner = cost(inner)
        else:
            low, inner, at_inner = inner, outer, at_outer
            outer = low + golden * (high - low)
            at_outer = cost(outer)
    return (low + high) / 2
