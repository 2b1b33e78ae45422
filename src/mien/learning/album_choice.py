"""Whose face is whose, chosen over a whole album at once. Pure arithmetic.

Two people who are always together cannot be told apart by the photos of one of them. Other people's photos can: a face
that is somebody else's own is most likely company, and one that keeps company with several people is nobody's in
particular. What is decided so decides further folders, and what stays undecided is chosen by guess and said to be one.

Nothing here depends on the order of photos or of people, nor on what was chosen before.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.learning.own_face import (
    RIVAL,
    Alike,
    Centres,
    FolderFaces,
    Ground,
    Identity,
    Vector,
    identities,
    pick,
    unclear,
)

LEAD = 0.1
"""An identity must lead by this part of its photos, and by one photo, to be decided on; a single photo, by half of it:
so much is left of a face that is somebody else's own."""

MEETS = 2
"""A face that may be the own one in its folder and in so many others is company in all of them."""

SURE = 0.001
"""The share of strangers by whom an identity may be claimed. It is less than that by which faces are taken for one
person's (`mien.learning.own_face.SHARE`): a false claim gives somebody the wrong face without a word, and a missed one
leaves them undecided."""

MOST_SCORES = 1 << 23
"""Scores computed at once, so that memory does not grow with the square of the album."""


class Choice(NamedTuple):
    """The number of a person's face in each of their photos, None where there is none; on what ground it was taken."""

    faces: Sequence[int | None]
    ground: Ground


def choose_faces(album: Sequence[FolderFaces], alike: Alike) -> list[Choice]:
    """For each person of an album the face that is theirs in each photo, all computed anew. `mien.stages.align` takes
    the same steps and remembers what came of the first."""
    studied = [alone(folder, alike) for folder in album]
    choices = {at: Choice(own, Ground.OWN) for at, (own, _) in enumerate(studied) if own is not None}
    means = [mean for at, one in choices.items() if (mean := centre_of(album[at], one.faces))]
    known = Centres.of([one for one, _ in means], [photos for _, photos in means])
    asked = [at for at in range(len(album)) if at not in choices]
    settled = settle([studied[at][1] for at in asked], known, alike)
    known += sure_of(settled)
    for at, one in zip(asked, settled, strict=True):
        choices[at] = Choice(pick(album[at], one.own, known, alike), one.ground)
    return [choices[at] for at in range(len(album))]


def alone(folder: FolderFaces, alike: Alike) -> tuple[list[int | None] | None, list[Identity]]:
    """The choice in each photo as the person's own photos decide it; where they do not, None and the identities that
    may be the person's."""
    if all(len(faces) < 2 for faces in folder.faces):
        return [0 if len(faces) else None for faces in folder.faces], []
    found = identities(folder, alike)
    if len(found) == 1 and not unclear(folder, found[0]):
        return pick(folder, found[0], Centres.of([], []), alike), found
    return None, found


def centre_of(folder: FolderFaces, own: Sequence[int | None]) -> tuple[Vector, int] | None:
    """The unit mean of the own faces, and how many they are; None if there is none."""
    mine = [faces[n] for faces, n in zip(folder.faces, own, strict=True) if n is not None]
    if not mine:
        return None
    mean: Vector = np.mean(mine, axis=0, dtype=np.float64)
    return np.asarray(mean / max(float(np.linalg.norm(mean)), 1e-9)), len(mine)


class Settled(NamedTuple):
    """The identity of a folder that was taken for the person's own, and on what ground."""

    own: Identity
    ground: Ground


def sure_of(settled: Sequence[Settled]) -> Centres:
    """Of those who were not guessed."""
    sure = [one.own for one in settled if one.ground is not Ground.GUESS]
    return Centres.of([one.centre for one in sure], [one.photos for one in sure])


def settle(folders: Sequence[Sequence[Identity]], known: Centres, alike: Alike) -> list[Settled]:
    """For each folder, which of its identities (one at least) is the person's own; `known` are the other people of the
    album, of whom it is known already.

    What is decided first decides further folders: two people who are always together are told apart where one of them
    has photos alone, or is always together with somebody who has.
    """
    decided = {at: Settled(one[0], Ground.ALBUM) for at, one in enumerate(folders) if len(one) == 1}
    rivals = _Rivals({at: one for at, one in enumerate(folders) if at not in decided}, alike, len(known) + len(folders))
    new = known + sure_of(list(decided.values()))
    while left := [at for at in range(len(folders)) if at not in decided]:
        rivals.meet(new)
        if not (found := rivals.by_claims(left) or rivals.by_lead(left) or rivals.by_company(left)):
            found = rivals.guessed(left)
        decided |= found
        new = sure_of(list(found.values()))
    return [decided[at] for at in range(len(folders))]


class _Rivals:
    """The identities of folders in which several may be the own one, and whether each is claimed: as somebody else's
    own."""

    def __init__(self, folders: Mapping[int, Sequence[Identity]], alike: Alike, people: int) -> None:
        self._alike, self._people = alike, people
        self._all = [one for folder in folders.values() for one in folder]
        self._owner = np.repeat(np.fromiter(folders, np.intp), [len(one) for one in folders.values()])
        self._mean = np.array([one.mean for one in self._all], np.float32)
        self._weight = np.array([one.weight for one in self._all])
        self._most = np.array([one.most for one in self._all])
        self._unity = np.array([one.unity for one in self._all])
        self._claimed = np.zeros(len(self._all), bool)

    def meet(self, people: Centres) -> None:
        """Takes in what is known of these people: an identity is claimed by whoever its faces are like, and about as
        like as they are to each other."""
        limit = self._alike.limit(people.photos, self._people, SURE)
        for rows in _blocks(len(self._all) if len(people) else 0, len(people)):
            least = np.fmax(limit, (limit + self._unity[rows, None]) / 2)
            self._claimed[rows] |= (self._mean[rows] @ people.vectors.T >= least).any(axis=1)

    def by_claims(self, left: Sequence[int]) -> dict[int, Settled]:
        """Those of whose identities some are claimed, and another leads then or leads all the same."""
        some = set(self._owner[self._claimed].tolist())
        return self._leading([at for at in left if at in some])

    def by_lead(self, left: Sequence[int]) -> dict[int, Settled]:
        """Those in which one recurs more often than the others."""
        return self._leading(left)

    def by_company(self, left: Sequence[int]) -> dict[int, Settled]:
        """Those in which one leads among the identities that are not in several other folders as well."""
        met = self._met(left)
        return self._leading(left, met < MEETS) if (met >= MEETS).any() else {}

    def guessed(self, left: Sequence[int]) -> dict[int, Settled]:
        """The rest: what counts most, is in the fewest other folders, is like the most faces, is the largest."""
        met, found = self._met(left), {}
        for at in left:
            mine = self._of(at)
            some, value = self._all[mine], self._counted(mine, self._weight)
            order = sorted(range(len(some)), key=lambda n: (-value[n], met[mine][n], -some[n].support, -some[n].size))
            found[at] = Settled(some[order[0]], Ground.GUESS)
        return found

    def _of(self, folder: int) -> slice:
        return slice(*np.searchsorted(self._owner, [folder, folder + 1]).tolist())

    def _counted(self, mine: slice, weight: Vector) -> Vector:
        """What photos count, less where they show somebody else's own face."""
        return np.asarray(weight[mine] * np.where(self._claimed[mine], RIVAL, 1.0))

    def _leading(self, folders: Sequence[int], asked: NDArray[np.bool_] | None = None) -> dict[int, Settled]:
        """Those of the folders in which one identity leads, whichever photos show the others as well; of those `asked`,
        if not of all."""
        found = {}
        for at in folders:
            mine = self._of(at)
            least, most = self._counted(mine, self._weight), self._counted(mine, self._most)
            if asked is not None:
                least, most = np.where(asked[mine], least, 0.0), np.where(asked[mine], most, 0.0)
            best = int(np.argmax(least))
            value, second = float(least[best]), float(np.delete(most, best).max())
            if value and value - second >= max(min(1.0, value / 2), LEAD * value):
                found[at] = Settled(self._all[mine][best], Ground.ALBUM)
        return found

    def _met(self, left: Sequence[int]) -> NDArray[np.intp]:
        """In how many other folders that are left each identity is one that may be the own one; of one photo 0, for it
        says too little."""
        here = np.flatnonzero(np.isin(self._owner, left))
        starts = np.flatnonzero(np.diff(self._owner[here], prepend=-1))
        centres = np.array([self._all[one].centre for one in here], np.float32)
        photos = np.array([self._all[one].photos for one in here])
        met = np.zeros(len(self._all), np.intp)
        for rows in _blocks(len(here), len(here)):
            alike = self._mean[here[rows]] @ centres.T >= self._alike.limit(photos, self._people)
            met[here[rows]] = np.logical_or.reduceat(alike, starts, axis=1).sum(axis=1) - 1
        met[here[photos < 2]] = 0
        return met


def _blocks(rows: int, columns: int) -> Iterator[slice]:
    """All rows, as many at once as there may be scores."""
    step = max(1, MOST_SCORES // max(columns, 1))
    return (slice(start, start + step) for start in range(0, rows, step))
