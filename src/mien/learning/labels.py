"""Which photos of an album lie under a wrong name: several people in a folder, one person in several. Pure arithmetic.

The faces of a folder are put into groups by average linkage: two groups are one as long as their faces agree, on the
average, as one person's do. The largest group is taken for the folder's own person. A turned, tilted or covered face
agrees little with the mean of its person and much with the photo next to it, so each face is judged by both. What is
left is of somebody else: of another person of the album, whose group it agrees with, or of somebody who has no folder.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.learning.cosines import CROWD, MISLABELLED, SAME_FACE
from mien.learning.head import Ints
from mien.learning.openset import default_threshold
from mien.types import Cosines, Floats

Bools = NDArray[np.bool_]
Matrix = NDArray[np.float64]

APART = 2 / 3
"""How far up from the usual stranger to the bound between own faces and strangers (`Cosines.contradicted`) a face must
reach to be taken for the folder's person. On the training photos of LFW's 25 people and of the web's 19, with two
encoders, 1 to 3 % of the faces of others reach so far, and no right one fell below that had a neighbour."""

LARGE = 400
"""Faces of a folder that are linked all with all; of a larger folder so many are, and the others go to these groups."""

LIKENESS = 0.003
"""The share of strangers who agree so well with a person's mean as a face of that person must at least: on the average
of its agreement with the person's other faces and with the nearest of these. On training photos of LFW and `wild`, with
two encoders, no right face falls below that has nine others, and about 1 % of strangers reach it; by the agreement with
the mean alone, one right face in 200 falls below what as many strangers reach."""

FEW = 2
"""Faces of a group that are judged one by one; a larger group needs as many neighbours among the folder's own, each of
another face."""

FOLDERS = 4
"""Folders of one person, at most, that are told from people who look alike. Whoever agrees about as well with so many
others is one of many people whom the encoder tells apart badly, and in none of these folders."""

BETWEEN = 0.7
"""How far two folders of one person fall short of agreeing as well as each does within, as a part of how far people do
who look very much alike. On training photos all halves of a person's ten reach what follows for five photos each
(0.981 with dlib-resnet, 0.727 with retail-0095), and 98 of 100 pairs of two and eight what follows for these; pairs of
two people with ten photos each reach 0.960 and 0.464 at most. Of the sample people, who were rendered, three pairs
reach 0.965 to 0.969 with dlib-resnet."""

_CHUNK = 1 << 22
"""Cosines held at a time: 32 MB."""


class Levels(NamedTuple):
    """The average cosines by which it is told whose faces are; cosines to a mean are as many parts smaller as the mean
    of one person's faces is shorter than these.

    From `together` on, faces are one person's within a folder; from `same` on in two folders of many photos each, whose
    names say the contrary; two photos of a person usually agree as `alike`, and two faces that come `near` to that are
    one person's whatever else is known of them. A single face is a person's from `likely` on (`LIKENESS`). `margin` is
    by how much more a face must agree with another folder to belong there.
    """

    together: float
    same: float
    near: float
    alike: float
    likely: float
    margin: float

    @classmethod
    def of(cls, cosines: Cosines) -> Levels:
        """The levels of an encoder."""
        alike = 1 - (1 - cosines.same_face) / SAME_FACE
        length = math.sqrt(max(alike, 0.0))
        bound = _own(cosines) - cosines.contradicted
        together = _own(cosines) - contradicted(cosines)
        near = (bound * length + alike) / 2  # of 10,000 pairs of strangers' photos at most one agrees so well
        likely = default_threshold(1, math.inf, LIKENESS, cosines) * length
        return cls(together * length, bound * length, near, alike, likely, cosines.mislabelled * length)

    def between(self, photos: int, others: int) -> float:
        """The least agreement of two folders of one person of so many photos, as a part of that within each. Of few
        photos more is asked, as they say less."""
        return 1 - BETWEEN * (1 - self.same / self.alike) * (1 - (1 / photos + 1 / others) / 2)

    def of_folders(self, photos: int, others: int) -> float:
        """From which average cosine on two folders of so many photos are one person's: the fewer photos, the more alike
        two people may look by chance. Halves of a person's ten photos reach it in at least 98 % of trials."""
        return self.same + (self.alike - self.same) * (1 / photos**2 + 1 / others**2) / 2


def contradicted(cosines: Cosines) -> float:
    """So far below the usual cosine of a face to the mean of its person does one lie that is somebody else's: further
    than the bound between own faces and strangers, by a part of the way to these."""
    stranger = default_threshold(1, math.inf, 0.5, cosines)
    return cosines.contradicted + (1 - APART) * (_own(cosines) - cosines.contradicted - stranger)


def _own(cosines: Cosines) -> float:
    """The usual cosine of a face to the mean of its person's others."""
    return default_threshold(CROWD, math.inf, 0.5, cosines) + cosines.mislabelled / MISLABELLED


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Faces `rows` (k,) of a folder that agree with each other and not with the folder's own. `other` is the person of
    the album with whom they agree, -1 for nobody; `own` and `rival` are their average cosines to the own faces of the
    folder and of that person (of nobody: of whoever is nearest)."""

    rows: Ints
    other: int
    own: float
    rival: float


@dataclass(frozen=True, slots=True, eq=False)
class Folder:
    """The faces of `person`: the `own` rows (k,), and the `parts` that are not theirs, the largest first. `clear` says
    whether there are twice as many own faces as of any other group and a third of all: otherwise it is open which group
    is whose."""

    person: int
    own: Ints
    parts: tuple[Part, ...]
    clear: bool


class Same(NamedTuple):
    """Two people, by number, whose own faces agree (`cosine`, average) as one person's do."""

    person: int
    other: int
    cosine: float


@dataclass(frozen=True, slots=True, eq=False)
class Labels:
    """What is odd about an album of `faces` faces: `folders` that hold other faces than their own, and people who lie
    in two (`same`)."""

    faces: int
    folders: tuple[Folder, ...]
    same: tuple[Same, ...]

    @property
    def wrong(self) -> Bools:
        """(N,) the faces that lie under a wrong name for sure: those of another person of the album, and those unlike a
        folder's own where it is clear which these are."""
        found = np.zeros(self.faces, bool)
        for folder in self.folders:
            for part in folder.parts:
                if folder.clear or part.other >= 0:
                    found[part.rows] = True
        return found


def find(
    embeddings: Floats,
    person: Ints,
    people: int,
    cosines: Cosines,
    known: Bools | None = None,
    alike: Callable[[int, int], bool] | None = None,
) -> Labels:
    """What is odd about (N, D) unit embeddings filed under the people `person` (N,), numbers below `people`.

    `known` (N,) are faces that were there before: where a folder has any, its own group is the one with most of these.
    `alike` says of two people whether their names are nearly the same; then less agreement makes them one.

    The result does not depend on the order of the faces. O(N * `LARGE`) within folders, and O(N * people) between.
    """
    if not len(person):
        return Labels(0, (), ())
    levels, faces = Levels.of(cosines), np.asarray(embeddings, np.float64)
    before = np.zeros(len(faces), bool) if known is None else np.asarray(known, bool)
    sorted_ = [_sorted(faces, rows, before, levels) for rows in _by_person(faces, np.asarray(person, np.int64))]
    owner = np.array([person[one.groups[0][0]] for one in sorted_], np.int64)
    own = _own_groups(faces, sorted_, owner, levels)
    centres = np.array([faces[rows].mean(axis=0) for rows in own]).reshape(-1, faces.shape[1])
    folders = [
        _folder(faces, one, rows, number, owner, centres, levels)
        for number, (one, rows) in enumerate(zip(sorted_, own, strict=True))
    ]
    # Of two photos nobody can say which is wrong, so both are asked whether they lie in another folder as well.
    whole = [np.concatenate(one.groups) for one in sorted_]
    asked = [rows if len(rows) <= FEW else mine for rows, mine in zip(whole, own, strict=True)]
    same = tuple(_same(faces, owner, asked, levels, alike))
    folders = [_without_twins(folder, same) for folder in folders]
    return Labels(len(faces), tuple(folder for folder in folders if folder.parts), same)


def _without_twins(folder: Folder, same: Sequence[Same]) -> Folder:
    """A folder in which what agrees with its person's other folder is the person's own."""
    twins = {one for pair in same for one in pair[:2] if folder.person in pair[:2]}
    theirs = [part for part in folder.parts if part.other in twins]
    if not theirs:
        return folder
    own = np.sort(np.concatenate([folder.own, *(part.rows for part in theirs)]))
    return replace(folder, own=own, parts=tuple(part for part in folder.parts if part.other not in twins))


class _Sorted(NamedTuple):
    """The groups of a folder, each as rows (k,), the own one first as far as the folder alone can tell."""

    groups: list[Ints]

    @property
    def clear(self) -> bool:
        """Whether the first group is twice as large as any other, and half as large as all others."""
        own, *others = (len(group) for group in self.groups)
        return not others or own >= max(2, 2 * max(others), sum(others) / 2)


def _by_person(faces: Matrix, person: Ints) -> Iterator[Ints]:
    """The rows of each person who occurs, in the order of what the faces are."""
    bytes_of = np.ascontiguousarray(faces).view(f"V{faces.shape[1] * 8}").ravel()
    order = np.argsort(bytes_of, kind="stable")
    order = order[np.argsort(person[order], kind="stable")]
    for start, end in pairwise(np.flatnonzero(np.diff(person[order], prepend=-1, append=-1))):
        yield order[start:end]


def _sorted(faces: Matrix, rows: Ints, known: Bools, levels: Levels) -> _Sorted:
    """The folder of these rows in groups."""
    mine = faces[rows]
    label = _linked(mine, levels.together)
    groups = [np.flatnonzero(label == one) for one in np.unique(label)]
    groups.sort(key=lambda group: (-int(known[rows[group]].sum()), -len(group), int(group[0])))
    own, *others = groups
    apart = []
    for group in sorted(others, key=len):
        if _belongs(mine, group, own, levels):
            own = np.sort(np.concatenate([own, group]))
        else:
            apart.append(group)
    if len(own) > 2 * FEW:
        unlike = _unlike(mine[own], levels)
        apart += [own[at : at + 1] for at in np.flatnonzero(unlike)]
        own = own[~unlike]
    apart.sort(key=lambda group: (-len(group), int(group[0])))
    return _Sorted([rows[group] for group in (own, *apart)])


def _belongs(faces: Matrix, group: Ints, own: Ints, levels: Levels) -> bool:
    """Whether a group is the person's of the `own` one after all: a few faces of which one is like the own faces, or
    many that have several neighbours among them."""
    cosines = faces[group] @ faces[own].T
    if len(group) <= FEW:
        return float((cosines.mean(axis=1) + cosines.max(axis=1)).max() / 2) >= levels.likely
    near = np.argwhere(cosines >= levels.near)
    return len(near) > 0 and min(len(np.unique(near[:, 0])), len(np.unique(near[:, 1]))) >= FEW


def _unlike(faces: Matrix, levels: Levels) -> Bools:
    """(n,) which of a person's faces are less like the others than faces of a person are; never all of them. Of more
    than `LARGE` faces evenly chosen ones stand for all."""
    some = np.unique(np.linspace(0, len(faces) - 1, min(len(faces), LARGE)).astype(np.intp))
    cosines = faces @ faces[some].T
    cosines[some, np.arange(len(some))] = np.nan
    unlike = (np.nanmean(cosines, axis=1) + np.nanmax(cosines, axis=1)) / 2 < levels.likely
    return np.asarray(unlike & ~unlike.all())


def _linked(faces: Matrix, least: float) -> Ints:
    """(n,) the group of each face, as a number: average linkage, cut at `least`. Of more than `LARGE` faces evenly
    chosen ones are linked, and the others go to the group with which they agree best, as far as they do."""
    label = np.full(len(faces), -1, np.int64)
    rest = np.arange(len(faces))
    while len(rest):
        some = rest if len(rest) <= LARGE else rest[np.linspace(0, len(rest) - 1, LARGE).astype(np.intp)]
        label[some] = some[_average_linkage(faces[some] @ faces[some].T, least)]
        rest = np.flatnonzero(label < 0)
        if len(rest):
            found, index = np.unique(label[some], return_inverse=True)
            centres = np.array([faces[some[index == one]].mean(axis=0) for one in range(len(found))])
            for part in np.array_split(rest, len(rest) * len(found) // _CHUNK + 1):
                agreement = faces[part] @ centres.T
                best = agreement.argmax(axis=1)
                fits = agreement[np.arange(len(part)), best] >= least
                label[part[fits]] = found[best[fits]]
            rest = np.flatnonzero(label < 0)
    return label


def _average_linkage(cosines: Matrix, least: float) -> Ints:
    """(n,) for each of n faces the first of its group, by their (n, n) cosines: the two groups that agree best become
    one as long as their average cosine is `least`."""
    count = len(cosines)
    if not count or cosines.min() >= least:
        return np.zeros(count, np.int64)
    label, size, agreement = np.arange(count), np.ones(count), cosines.copy()
    np.fill_diagonal(agreement, -np.inf)
    while True:
        one, other = sorted(divmod(int(agreement.argmax()), count))
        if agreement[one, other] < least:
            return label
        both = (size[one] * agreement[one] + size[other] * agreement[other]) / (size[one] + size[other])
        both[one] = -np.inf
        agreement[one], agreement[:, one] = both, both
        agreement[other], agreement[:, other] = -np.inf, -np.inf
        size[one] += size[other]
        label[label == other] = one


def _own_groups(faces: Matrix, folders: Sequence[_Sorted], owner: Ints, levels: Levels) -> list[Ints]:
    """The own group of each folder. Where a folder leaves it open, a group that is another folder's person is not."""
    own = [one.groups[0] for one in folders]
    sure = [number for number, one in enumerate(folders) if one.clear]
    centres = np.array([faces[own[number]].mean(axis=0) for number in sure]).reshape(-1, faces.shape[1])
    for number, one in enumerate(folders):
        if one.clear or not sure:
            continue
        large = [group for group in one.groups if 2 * len(group) > len(one.groups[0])]
        free = [group for group in large if (centres @ faces[group].mean(axis=0)).max() < levels.same]
        if free and len(free) < len(large):
            own[number] = free[0]
    return own


def _folder(
    faces: Matrix, found: _Sorted, own: Ints, number: int, owner: Ints, centres: Matrix, levels: Levels
) -> Folder:
    """What is in a folder besides its own faces, and whose these are."""
    parts = [_part(faces, group, number, owner, centres, levels) for group in found.groups if group is not own]
    # Among its own faces there may be one that agrees with them, as somebody who looks alike does, and much better with
    # another person.
    total = centres[number] * len(own)
    stays = []
    for part in np.array_split(own, len(own) * len(centres) // _CHUNK + 1):
        agreement = faces[part] @ centres.T
        agreement[:, number] = -np.inf
        rival = agreement.max(axis=1)
        mine = (faces[part] @ total - 1) / max(len(own) - 1, 1)
        away = (rival >= levels.together) & (rival > mine + levels.margin)
        for at in np.flatnonzero(away):  # but for a turned face beside which there is another
            near = faces[own[own != part[at]]] @ faces[part[at]]
            away[at] = len(near) and near.max() < rival[at] + 2 * levels.margin
        if len(own) == 1 or away.all():
            away[:] = False
        stays.append(part[~away])
        parts += [_part(faces, np.array([row]), number, owner, centres, levels, True) for row in part[away]]
    return Folder(int(owner[number]), np.sort(np.concatenate(stays)), tuple(parts), found.clear)


def _part(
    faces: Matrix, group: Ints, number: int, owner: Ints, centres: Matrix, levels: Levels, taken: bool = False
) -> Part:
    """A group of a folder that is not its own, with whom it agrees: `taken` where it agrees better with somebody else
    than with its own."""
    agreement = centres @ faces[group].mean(axis=0)
    own, agreement[number] = float(agreement[number]), -np.inf
    best = int(agreement.argmax())
    rival = float(agreement[best])
    other = int(owner[best]) if taken or rival >= levels.same else -1
    return Part(np.sort(group), other, own, rival if len(centres) > 1 else math.nan)


def _same(
    faces: Matrix,
    owner: Ints,
    own: Sequence[Ints],
    levels: Levels,
    alike: Callable[[int, int], bool] | None,
) -> Iterator[Same]:
    """The pairs of folders, of `own` faces (k,) each, that are one person's."""
    count = len(own)
    centres = np.array([faces[rows].mean(axis=0) for rows in own]).reshape(-1, faces.shape[1])
    crowd = np.full(count, -np.inf)  # what many folders reach is no sign
    near: list[tuple[int, int, float]] = []
    for part in np.array_split(np.arange(count), count**2 // _CHUNK + 1):
        agreement = centres[part] @ centres.T
        agreement[np.arange(len(part)), part] = -np.inf
        if count > FOLDERS:
            crowd[part] = -np.partition(-agreement, FOLDERS - 1, axis=1)[:, FOLDERS - 1]
        rows, others = np.nonzero(agreement >= levels.together)
        found = zip(part[rows].tolist(), others.tolist(), agreement[rows, others].tolist(), strict=True)
        near += [(one, other, cosine) for one, other, cosine in found if one < other]
    for one, other, cosine in near:
        stands_out = cosine >= max(crowd[one], crowd[other]) + levels.margin
        namesakes = alike is not None and alike(int(owner[one]), int(owner[other]))
        if namesakes or (stands_out and _are_of_one(faces[own[one]], faces[own[other]], levels)):
            yield Same(int(owner[one]), int(owner[other]), cosine)


def _are_of_one(some: Matrix, others: Matrix, levels: Levels) -> bool:
    """Whether the photos of two folders agree nearly as well between the folders as within each (`BETWEEN`), and enough
    for one person: people whose photos are much alike each, as rendered ones are, may look alike and are not one; and
    of somebody whose photos differ much, as those of many years, less agreement is enough, by half."""
    few, many = sorted((some, others), key=len)
    within = [_agreement(rows) for rows in (few, many) if len(rows) > 1]
    if len(few) <= FEW < len(many):  # two photos of one moment say nothing of how much others agree
        within[0] = min(within[0], within[-1])
    between, enough = float((some @ others.T).mean()), levels.of_folders(len(some), len(others))
    if not within:
        return between >= enough
    usual = _mean([max(one, levels.same) for one in within])  # less is that of a folder of several people
    least = levels.between(len(some), len(others)) * _mean(within)
    return between >= least and between * (1 + levels.alike / usual) / 2 >= enough


def _mean(agreements: Sequence[float]) -> float:
    """The geometric mean."""
    return math.prod(agreements) ** (1 / len(agreements))


def _agreement(rows: Matrix) -> float:
    """The mean cosine of different faces (N, D), two at least."""
    total, count = rows.sum(axis=0), len(rows)
    return max(float(total @ total) - count, 0.0) / (count * (count - 1))
