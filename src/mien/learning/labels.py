"""Which photos of an album lie under a wrong name: several people in a folder, one person in several. Pure arithmetic.

The faces of a folder are put into groups by average linkage: two groups are one as long as their faces agree, on the
average, as one person's do. The largest group is taken for the folder's own person. A turned, tilted or covered face
agrees little with the mean of its person and much with the photo next to it, so each face is judged by both. What is
left is of somebody else: of another person of the album, whose group it agrees with, or of somebody who has no folder.
"""

from __future__ import annotations

import math
from collections import defaultdict
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from mien.learning.best import EXACT, Among
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

_FACES = 1 << 16
"""Faces held at a time in float64."""


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
    namesakes: Collection[tuple[int, int]] = (),
) -> Labels:
    """What is odd about (N, D) unit embeddings filed under the people `person` (N,), numbers below `people`.

    `known` (N,) are faces that were there before: where a folder has any, its own group is the one with most of these.
    `namesakes` are pairs of people whose names are nearly the same; less agreement makes them one.

    The result does not depend on the order of the faces. O(N * `LARGE`) within folders. Between them faces and people
    are compared: all with all, a block at a time, or in an album with more than `EXACT` pairs of these only those that
    may be alike (`mien.learning.best`).
    """
    if not len(person):
        return Labels(0, (), ())
    levels, faces = Levels.of(cosines), _Faces(np.asarray(embeddings), len(person) * people <= EXACT)
    before = np.zeros(len(person), bool) if known is None else np.asarray(known, bool)
    sorted_ = [_sorted(faces, rows, before, levels) for rows in _by_person(faces, np.asarray(person, np.int64))]
    owner = np.array([person[one.groups[0][0]] for one in sorted_], np.int64)
    own = _own_groups(faces, sorted_, levels)
    centres = faces.means(own)
    folders = _folders(faces, sorted_, own, owner, centres, levels)
    # Of two photos nobody can say which is wrong, so both are asked whether they lie in another folder as well.
    whole = [np.concatenate(one.groups) for one in sorted_]
    asked = [rows if len(rows) <= FEW else mine for rows, mine in zip(whole, own, strict=True)]
    same = tuple(_same(faces, owner, asked, levels, namesakes))
    twins: dict[int, set[int]] = defaultdict(set)
    for one, other, _ in same:
        twins[one].add(other)
        twins[other].add(one)
    folders = [_without_twins(folder, twins.get(folder.person, set())) for folder in folders]
    return Labels(len(person), tuple(folder for folder in folders if folder.parts), same)


@dataclass(frozen=True, slots=True, eq=False)
class _Faces:
    """All faces (N, D), and whether every product between them is to be `exact`, which is of float64."""

    all: NDArray[np.floating]
    exact: bool

    def __getitem__(self, rows: Ints) -> Matrix:
        """These faces (n, D), in float64."""
        return np.asarray(self.all[rows], np.float64)

    def means(self, groups: Sequence[Ints]) -> Matrix:
        """(G, D) the mean of each group of rows."""
        return np.array([self[rows].mean(axis=0) for rows in groups]).reshape(-1, self.all.shape[1])

    def among(self, centres: Matrix) -> Among:
        """The centres, to be asked how much faces and means agree with them."""
        return Among(centres, self.exact)


def _without_twins(folder: Folder, twins: Collection[int]) -> Folder:
    """A folder in which what agrees with its person's other folders, those of the `twins`, is the person's own."""
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


def _by_person(faces: _Faces, person: Ints) -> Iterator[Ints]:
    """The rows of each person who occurs, in the order of what the faces are."""
    order = np.argsort(person, kind="stable")
    for start, end in pairwise(np.flatnonzero(np.diff(person[order], prepend=-1, append=-1))):
        rows = order[start:end]
        mine = np.ascontiguousarray(faces[rows])
        yield rows[np.argsort(mine.view(f"V{mine.shape[1] * 8}").ravel(), kind="stable")]


def _sorted(faces: _Faces, rows: Ints, known: Bools, levels: Levels) -> _Sorted:
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
    itself = some, np.arange(len(some))
    cosines[itself] = -np.inf
    nearest = cosines.max(axis=1)
    cosines[itself] = 0
    others = np.full(len(faces), len(some))
    others[some] -= 1
    unlike = (cosines.sum(axis=1) / others + nearest) / 2 < levels.likely
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


def _own_groups(faces: _Faces, folders: Sequence[_Sorted], levels: Levels) -> list[Ints]:
    """The own group of each folder. Where a folder leaves it open, a group that is another folder's person is not."""
    own = [one.groups[0] for one in folders]
    centres = faces.means([rows for rows, one in zip(own, folders, strict=True) if one.clear])
    open_ = [number for number, one in enumerate(folders) if not one.clear]
    if not (len(centres) and open_):
        return own
    large = [[group for group in folders[at].groups if 2 * len(group) > len(own[at])] for at in open_]
    means = faces.means([group for groups in large for group in groups])
    agreement = faces.among(centres).nearest(means, np.full(len(means), -1)).values[:, 0]
    ends = np.cumsum([len(groups) for groups in large])[:-1]
    for at, groups, most in zip(open_, large, np.split(agreement, ends), strict=True):
        free = [group for group, one in zip(groups, most, strict=True) if one < levels.same]
        if free and len(free) < len(groups):
            own[at] = free[0]
    return own


def _folders(
    faces: _Faces, found: Sequence[_Sorted], own: Sequence[Ints], owner: Ints, centres: Matrix, levels: Levels
) -> list[Folder]:
    """What is in each folder besides its own faces, and whose these are."""
    among = faces.among(centres)
    stays, away = _apart(faces, own, centres, among, levels)
    groups, number, taken = list[Ints](), list[int](), list[bool]()
    for at, one in enumerate(found):
        others = [group for group in one.groups if group is not own[at]]
        groups += [*others, *(np.array([row]) for row in away[at])]
        number += [at] * (len(others) + len(away[at]))
        taken += [*[False] * len(others), *[True] * len(away[at])]
    parts: dict[int, list[Part]] = defaultdict(list)
    for some in (slice(at, at + _FACES) for at in range(0, len(groups), _FACES)):
        mine = np.array(number[some])
        means = faces.means(groups[some])
        own_agreement = np.einsum("nd,nd->n", means, centres[mine])
        rivals, best = (one[:, 0] for one in among.nearest(means, mine))
        for rows, at, gone, agreement, rival, whose in zip(
            groups[some], mine, taken[some], own_agreement.tolist(), rivals.tolist(), owner[best].tolist(), strict=True
        ):
            other = whose if gone or rival >= levels.same else -1
            parts[at].append(Part(np.sort(rows), other, agreement, rival if len(centres) > 1 else math.nan))
    return [
        Folder(int(owner[at]), np.sort(stays[at]), tuple(parts.get(at, ())), one.clear) for at, one in enumerate(found)
    ]


def _apart(
    faces: _Faces, own: Sequence[Ints], centres: Matrix, among: Among, levels: Levels
) -> tuple[list[Ints], list[tuple[int, ...]]]:
    """Of the own faces of each folder those that stay, and those that agree with them, as somebody does who looks
    alike, and much better with another person."""
    stays, gone = list(own), [tuple[int, ...]()] * len(own)
    sizes = np.array([len(rows) for rows in own])
    every, number = np.concatenate(own), np.repeat(np.arange(len(own)), sizes)
    doubtful: list[Ints] = []
    rival = np.empty(len(every))
    for some in (slice(at, at + _FACES) for at in range(0, len(every), _FACES)):
        mine, at = faces[every[some]], number[some]
        rival[some] = among.nearest(mine, at).values[:, 0]
        total = centres[at] * sizes[at, None]
        agreement = (np.einsum("nd,nd->n", mine, total) - 1) / np.maximum(sizes[at] - 1, 1)
        away = (rival[some] >= levels.together) & (rival[some] > agreement + levels.margin) & (sizes[at] > 1)
        doubtful.append(np.flatnonzero(away) + some.start)
    asked = np.concatenate(doubtful)
    for rows in np.split(asked, np.flatnonzero(np.diff(number[asked])) + 1) if len(asked) else ():
        folder = int(number[rows[0]])
        theirs = own[folder]
        leaving = [
            row
            for row in rows.tolist()  # but for a turned face beside which there is another
            if (faces[theirs[theirs != every[row]]] @ faces[every[row : row + 1]][0]).max()
            < rival[row] + 2 * levels.margin
        ]
        if len(leaving) < len(theirs):
            gone[folder] = tuple(every[leaving].tolist())
            stays[folder] = theirs[~np.isin(theirs, every[leaving])]
    return stays, gone


def _same(
    faces: _Faces, owner: Ints, own: Sequence[Ints], levels: Levels, namesakes: Collection[tuple[int, int]]
) -> Iterator[Same]:
    """The pairs of folders, of `own` faces (k,) each, that are one person's."""
    count = len(own)
    centres = faces.means(own)
    found = faces.among(centres).nearest(centres, np.arange(count), FOLDERS)
    crowd = found.values[:, -1]  # what many folders reach is no sign
    called = _numbered(owner, namesakes)
    pairs = {pair: float(centres[pair[0]] @ centres[pair[1]]) for pair in called}
    for one, (others, cosines) in enumerate(zip(found.columns.tolist(), found.values.tolist(), strict=True)):
        pairs |= {(min(one, o), max(one, o)): c for o, c in zip(others, cosines, strict=True) if c > -np.inf}
    for (one, other), cosine in sorted(pairs.items()):
        if cosine < levels.together:
            continue
        stands_out = cosine >= max(crowd[one], crowd[other]) + levels.margin
        if (one, other) in called or (stands_out and _are_of_one(faces[own[one]], faces[own[other]], levels)):
            yield Same(int(owner[one]), int(owner[other]), cosine)


def _numbered(owner: Ints, pairs: Collection[tuple[int, int]]) -> set[tuple[int, int]]:
    """The pairs of people as pairs of folders, the lower number first; those of whom one has no folder are none."""
    place = {person: at for at, person in enumerate(owner.tolist())}
    both = ((place[one], place[other]) for one, other in pairs if one in place and other in place)
    return {(min(pair), max(pair)) for pair in both}


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
