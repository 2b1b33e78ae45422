"""Which face in a photo is the person's: what one person's photos say of it. Pure arithmetic.

The largest face is often somebody else: the friend nearer the camera, the interviewer, a poster. Photos filed under one
person say who keeps coming back there. So every folder is asked which *identities* recur in it, faces that may be the
person's own. In most folders one of them stands out; the others ask the album (`mien.learning.album_choice`). Then the
face is taken in each photo, also where it is turned or covered.

Nothing here depends on the order of the photos.
"""

from __future__ import annotations

import enum
from collections.abc import Sequence
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.learning.openset import normal_deviate
from mien.types import Cosines, Floats

Vector = NDArray[np.float64]

PEOPLE, SHARE = 20, 0.01
"""Two faces are taken for one person's from the score on that this share of strangers reaches in a gallery of so many
people. Of the pairs of one person's training photos in LFW and `wild` 95 % reach it with the ResNet, 98 % with
retail-0095."""

PERHAPS = 0.05
"""The share of strangers who are as like one person as that person's turned and covered faces are."""

MISSED = 0.25
"""Up to this part as many photos as show somebody may show them unrecognised, where they show a face that is not known:
with a person's six faces, as in the scenes of benchmarks/faces.py, one is often unlike the others."""

FEWEST_STRANGERS = 5
"""People who show how alike strangers are to an encoder of whose cosines nothing is known: ten pairs."""

WITNESSES = 200
"""The most photos that are asked how often a face comes back, those with the fewest faces first."""

ROUNDS = 4
"""The most refinements of an identity; in practice it is stable after one or two."""

TO_ITSELF = 2
"""What a photo counts that shows one face alone, beside one that shows several: there is little else for which it can
have been filed under somebody."""

RIVAL = 0.5
"""An identity is a rival of the one that recurs most if it recurs at least this part as often. By so much, too, the
photos of one count that is somebody else's own: two folders of one person, and nobody else in most of the photos, are
not told apart from two people otherwise."""


class Ground(enum.StrEnum):
    """On what a choice rests: on the person's `OWN` photos alone, on the `ALBUM`'s other people, or on a `GUESS`."""

    OWN = "own"
    ALBUM = "album"
    GUESS = "guess"


def rule(encoder_id: str, skip_multi: bool, one_alone: bool = False) -> str:
    """The name of the way in which faces are chosen; faces that were chosen in another way are chosen again. With
    `one_alone` it is that of a choice for one person, which did not ask how it changes other people's."""
    return ", ".join([encoder_id, *["skip-multi"] * skip_multi, *["one alone"] * one_alone])


@dataclass(frozen=True, slots=True)
class Alike:
    """From which cosine on two faces are taken for one person's: `curve` is that of `mien.types.Cosines`."""

    curve: tuple[float, float, float, float]

    @classmethod
    def of(cls, cosines: Cosines | None, strangers: Floats) -> Alike:
        """By what is true of an encoder's cosines; where nobody measured them, by how alike `strangers` (N, D) are,
        faces of different people. Of fewer than `FEWEST_STRANGERS` no two faces are taken for one person's."""
        if cosines is not None:
            return cls(cosines.curve)
        if len(strangers) < FEWEST_STRANGERS:
            return cls((2.0, 0.0, 0.0, 0.0))
        pairs = (strangers @ strangers.T)[np.triu_indices(len(strangers), 1)].astype(np.float64)
        return cls((float(pairs.mean()), float(pairs.std()), 0.0, 0.0))

    def limit(
        self, photos: NDArray[np.integer] | int, people: int = PEOPLE, share: float = SHARE
    ) -> NDArray[np.float64]:
        """The cosine of a face to the mean of so many `photos` of one of so many `people`, `PEOPLE` at least."""
        return self._score(max(people, PEOPLE), share, photos)

    def perhaps(self, photos: int) -> float:
        """From which cosine to the mean of so many photos on a face may be that person's, turned or covered."""
        return float(self._score(1, PERHAPS, photos))

    def _score(self, people: int, share: float, photos: NDArray[np.integer] | int) -> NDArray[np.float64]:
        a, b, c, d = self.curve
        z = normal_deviate(people, share)
        return np.asarray(a + b * z + c * z * z + d / np.maximum(photos, 1), np.float64)


class FolderFaces(NamedTuple):
    """All faces of the M photos of a person: `faces[i]` (F_i, D) are photo i's unit embeddings, `sizes[i]` (F_i,) their
    sides in pixels. No two of the photos are the same file."""

    faces: Sequence[Floats]
    sizes: Sequence[NDArray[np.floating]]


@dataclass(frozen=True, slots=True, eq=False)
class Identity:
    """A face that recurs in a folder of M photos.

    `members` (M,) is its number among each photo's faces, -1 where it is not seen; `weight` counts these photos, each
    that shows nobody else as `TO_ITSELF`, and `most` those as well in which it may be turned or covered. `mean` (D,) is
    that of its faces and not of unit length; `unity` their mean cosine to the mean of the others, nan of one. Equals
    are told apart by `support`, how like it is to all photos, and by `size`, the mean side of its faces.
    """

    members: NDArray[np.intp]
    weight: float
    most: float
    mean: Vector
    unity: float
    support: float
    size: float

    @property
    def photos(self) -> int:
        return int(np.sum(self.members >= 0))

    @property
    def centre(self) -> Vector:
        """(D,) its mean, of unit length."""
        return np.asarray(self.mean / max(float(np.linalg.norm(self.mean)), 1e-9))


def identities(folder: FolderFaces, alike: Alike) -> list[Identity]:
    """The faces that may be the own one of the person whose folder this is: the one that recurs most first, then its
    rivals (`RIVAL`). None if no photo has a face."""
    faces, sizes = folder
    counts = np.array([len(one) for one in faces], np.intp)
    if not counts.sum():
        return []
    rows, photo = np.concatenate([one for one in faces if len(one)]).astype(np.float64), _photo_of(counts)
    number = np.arange(len(rows)) - (np.cumsum(counts) - counts)[photo]
    side = np.concatenate(sizes).astype(np.float64)
    weight = np.where(counts == 1, float(TO_ITSELF), 1.0)
    first = _canonical(rows, side)
    earliest = np.full(len(counts), len(rows))
    np.minimum.at(earliest, photo, first)
    witnesses = [one for one in np.lexsort((earliest, counts)).tolist() if counts[one]][:WITNESSES]
    support, recurs = _support(rows, photo, counts, weight, witnesses, float(alike.limit(1)))

    free = np.ones(len(rows), bool)
    found: list[tuple[float, NDArray[np.bool_]]] = []
    while free.any():
        seen = np.where(free, recurs, -1.0)
        if found and seen.max() < RIVAL * max(one for one, _ in found):
            break
        seed = min(np.flatnonzero(seen == seen.max()).tolist(), key=lambda row: (-support[row], first[row]))
        mine = _grown(rows, photo, free, first, seed, alike)
        free &= ~mine
        free[seed] = False
        found.append((float(weight[photo[mine]].sum()), mine))
    leader = max(one for one, _ in found)
    recurring = [mine for one, mine in found if one >= RIVAL * leader]
    left = ~np.logical_or.reduce(recurring)
    rivals = [_identity(rows, photo, number, side, weight, support, mine, left, alike) for mine in recurring]
    return sorted(rivals, key=lambda one: (-one.weight, -one.support, -one.size))


def _photo_of(counts: NDArray[np.intp]) -> NDArray[np.intp]:
    return np.repeat(np.arange(len(counts)), counts)


def _canonical(rows: Vector, side: Vector) -> NDArray[np.intp]:
    """(N,) the place of each face in an order that the faces themselves give, the largest first."""
    table = np.ascontiguousarray(rows)
    order = np.argsort(table.view(f"V{table.shape[1] * 8}").ravel(), kind="stable")
    order = order[np.argsort(-side[order], kind="stable")]
    place = np.empty(len(rows), np.intp)
    place[order] = np.arange(len(rows))
    return place


def _support(
    rows: Vector,
    photo: NDArray[np.intp],
    counts: NDArray[np.intp],
    weight: Vector,
    witnesses: Sequence[int],
    limit: float,
) -> tuple[Vector, Vector]:
    """For each face its mean cosine to the most similar face of every other witness, and how many photos show it: the
    weight of the witnesses with a face alike, its own photo among them, as of all photos."""
    total, others, shown = np.zeros(len(rows)), np.zeros(len(rows)), np.zeros(len(rows))
    starts = np.cumsum(counts) - counts
    for one in witnesses:
        best = (rows @ rows[starts[one] : starts[one] + counts[one]].T).max(axis=1)
        elsewhere = photo != one
        total += np.where(elsewhere, best, 0.0)
        others += elsewhere
        shown += np.where(elsewhere, weight[one] * (best >= limit), 0.0)
    share = weight[counts > 0].sum() / max(weight[witnesses].sum(), 1.0)
    return np.round(total / np.maximum(others, 1), 6), weight[photo] + np.round(shown * share, 6)


def _grown(
    rows: Vector, photo: NDArray[np.intp], free: NDArray[np.bool_], first: NDArray[np.intp], seed: int, alike: Alike
) -> NDArray[np.bool_]:
    """(N,) bool: the free faces that are the seed's person's, one a photo: the one most like the mean of the others, if
    they are alike; of equals the one that comes `first`."""
    mine = np.zeros(len(rows), bool)
    mine[seed] = True
    for _ in range(ROUNDS):
        cosine, others = _to_others(rows, mine)
        fits = free & (others > 0) & (cosine >= alike.limit(others))
        fits[seed] |= not others[seed]
        at = np.flatnonzero(fits)
        at = at[np.lexsort((first[at], -np.round(cosine[at], 6), photo[at]))]
        now = np.zeros(len(rows), bool)
        now[at[np.unique(photo[at], return_index=True)[1]]] = True
        if np.array_equal(now, mine) or not now.any():
            break
        mine = now
    return mine


def _to_others(rows: Vector, mine: NDArray[np.bool_]) -> tuple[Vector, NDArray[np.intp]]:
    """The cosine of each face to the mean of those that are `mine`, itself left out, and how many they are."""
    total = rows[mine].sum(axis=0)
    along = rows @ total
    others: NDArray[np.intp] = np.sum(mine) - mine.astype(np.intp)
    length = np.sqrt(np.maximum(total @ total - 2 * mine * along + mine, 1e-12))
    return np.where(others > 0, (along - mine) / length, -1.0), others


def _identity(
    rows: Vector,
    photo: NDArray[np.intp],
    number: NDArray[np.intp],
    side: Vector,
    weight: Vector,
    support: Vector,
    mine: NDArray[np.bool_],
    left: NDArray[np.bool_],
    alike: Alike,
) -> Identity:
    members = np.full(len(weight), -1, np.intp)
    members[photo[mine]] = number[mine]
    cosine, others = _to_others(rows, mine)
    elsewhere = left & (members[photo] < 0)
    perhaps = np.unique(photo[elsewhere & (cosine >= alike.perhaps(int(np.sum(mine))))])
    unknown = min(len(np.unique(photo[elsewhere & (weight[photo] == 1)])), int(MISSED * np.sum(mine)))
    return Identity(
        members=members,
        weight=float(weight[photo[mine]].sum()),
        most=float(weight[photo[mine]].sum() + max(weight[perhaps].sum(), unknown)),
        mean=rows[mine].mean(axis=0),
        unity=float(cosine[mine].mean()) if others[mine].any() else np.nan,
        support=float(np.round(support[mine].mean(), 6)),
        size=float(side[mine].mean()),
    )


@dataclass(frozen=True, slots=True, eq=False)
class Centres:
    """The unit means (P, D) float32 of people whose own faces are known, and of how many `photos` (P,) each is made."""

    vectors: Floats
    photos: NDArray[np.intp]

    @classmethod
    def of(cls, vectors: Sequence[Vector | Floats], photos: Sequence[int]) -> Centres:
        """Of as many people as there are vectors, none for nobody."""
        made = np.asarray(vectors, np.float32) if len(vectors) else np.empty((0, 0), np.float32)
        return cls(made, np.asarray(photos, np.intp))

    def __len__(self) -> int:
        return len(self.photos)

    def __add__(self, others: Centres) -> Centres:
        parts = [one for one in (self, others) if len(one)] or [self]
        return Centres(np.concatenate([one.vectors for one in parts]), np.concatenate([one.photos for one in parts]))


def pick(folder: FolderFaces, own: Identity, others: Centres, alike: Alike) -> list[int | None]:
    """The number of the person's face in each photo, None where there is none; `own` is the identity taken for the
    person's, and `others` are of the album's other people (the person may be one of them).

    Where no face is clearly the own one, it is turned or covered: the face most like it is taken, of those that are not
    clearly somebody else's. These are the company in the person's other photos, and the own faces of others.
    """
    found = [0 if len(one) == 1 else int(own.members[at]) for at, one in enumerate(folder.faces)]
    doubtful, centre = unclear(folder, own), own.centre.astype(np.float32)
    if doubtful:
        apart = [(faces, found[at]) for at, faces in enumerate(folder.faces) if len(faces) > 1 and found[at] >= 0]
        company = np.concatenate([np.delete(faces, mine, axis=0) for faces, mine in apart]) if apart else None
    for at in doubtful:
        faces = folder.faces[at]
        mine = faces @ centre
        strange = np.zeros(len(faces), bool)
        if company is not None:
            nearest = (faces @ company.T).max(axis=1)
            strange |= (nearest >= alike.limit(1)) & (nearest > mine)
        if len(others):
            score = faces @ others.vectors.T
            face, person = np.nonzero((score >= alike.limit(others.photos, len(others))) & (score > mine[:, None]))
            same = others.vectors[person] @ centre >= alike.limit(others.photos[person])  # who has two folders
            strange[face[~same]] = True
        score = np.where(strange & ~strange.all(), -np.inf, np.round(mine, 6))
        found[at] = int(np.lexsort((-np.asarray(folder.sizes[at]), -score))[0])
    return [None if not len(faces) else mine for faces, mine in zip(folder.faces, found, strict=True)]


def unclear(folder: FolderFaces, own: Identity) -> list[int]:
    """The photos that show several faces, none of them clearly the own one."""
    return [at for at, faces in enumerate(folder.faces) if len(faces) > 1 and own.members[at] < 0]
