"""What looks wrong about the names under which photos lie, in the album and in what waits in its intakes.

`mien.learning.labels` knows faces and numbers; here they become findings, which name people and photos. What a human
has confirmed is doubted no more.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from mien.learning.head import Ints
from mien.learning.labels import FEW, Bools, Folder, Part, Same, find
from mien.records.corrections import Confirmed
from mien.records.faces import TrainingSet
from mien.text.findings import DOUBTS, FindingKind
from mien.text.names import alike_pairs
from mien.text.words import Figure
from mien.types import Cosines, Finding, Floats

Paths = Mapping[tuple[str, str], Sequence[str]]
"""Where the photos of a person with these bytes are, by person and SHA-256."""


@dataclass(frozen=True, slots=True, eq=False)
class Waiting:
    """N photos that wait, by path, with the person each came for and the face taken for that person's: `faces` (N, D)
    float32."""

    paths: tuple[str, ...]
    people: tuple[str, ...]
    faces: Floats


def in_album(known: TrainingSet, cosines: Cosines, paths: Paths) -> Iterator[Finding]:
    """What is odd about the faces chosen in training-images. A photo that is not in `paths` is not spoken of."""
    names, sizes = known.people, np.bincount(known.person)
    found = find(known.embeddings, known.person, len(names), cosines, namesakes=_namesakes(names))

    def photos(rows: Ints) -> tuple[str, ...]:
        places = (paths.get((names[known.person[row]], known.sha256[row]), ()) for row in rows)
        return tuple(sorted(path for place in places for path in place))

    for folder in found.folders:
        yield from (finding for finding in _of_folder(folder, names, photos) if finding.photos)
    yield from (_in_two(same, names, sizes) for same in found.same)


def _of_folder(folder: Folder, names: Sequence[str], photos: Callable[[Ints], tuple[str, ...]]) -> Iterator[Finding]:
    """What is in a folder besides its person."""
    person, own, parts = names[folder.person], len(folder.own), list(folder.parts)
    if not folder.clear:
        in_all = own + sum(len(part.rows) for part in parts)
        if 3 * (own + len(parts[0].rows)) < 2 * in_all:
            of_each = np.array([folder.own[0], *(part.rows[0] for part in parts)])
            yield Finding(FindingKind.MIXED, (person,), photos(of_each), {"groups": len(of_each), "photos": in_all})
            return
        if parts[0].other < 0:
            yield _two_groups(person, photos(parts[0].rows), own)
            del parts[0]
    odd: list[Ints] = []
    for part in parts:
        if part.other >= 0:
            yield _wrong_name(part, person, names[part.other], photos(part.rows))
        elif len(part.rows) > FEW:
            yield _two_groups(person, photos(part.rows), own)
        else:
            odd.append(part.rows)
    if odd:
        found = photos(np.concatenate(odd))
        yield Finding(FindingKind.ODD, (person,), found, {"photos": len(found), "others": own})


def _two_groups(person: str, photos: tuple[str, ...], others: int) -> Finding:
    return Finding(FindingKind.TWO_GROUPS, (person,), photos, {"photos": len(photos), "others": others})


def _wrong_name(part: Part, person: str, other: str, photos: tuple[str, ...]) -> Finding:
    figures: dict[str, Figure] = {"rival": round(part.rival, 4), "own": round(part.own, 4)}
    if len(photos) == 1:
        return Finding(FindingKind.WRONG_NAME, (person, other), photos, figures)
    return Finding(FindingKind.WRONG_NAMES, (person, other), photos, {"photos": len(photos), **figures})


def _in_two(same: Same, names: Sequence[str], sizes: Ints, photos: tuple[str, ...] = ()) -> Finding:
    """One person in two folders, that with more photos first."""
    one, other = sorted(same[:2], key=lambda number: (-int(sizes[number]), number))
    figures: dict[str, Figure] = {"cosine": round(same.cosine, 4), **({"photos": len(photos)} if photos else {})}
    return Finding(FindingKind.ONE_IN_TWO, (names[one], names[other]), photos, figures)


def _namesakes(names: Sequence[str]) -> list[tuple[int, int]]:
    """The pairs of different `names`, by number, that are nearly the same."""
    number = {name: place for place, name in enumerate(names)}
    return [(number[one], number[other]) for one, other in alike_pairs(names)]


def unconfirmed(finding: Finding, photos: Mapping[str, tuple[str, str]], confirmed: Confirmed) -> Finding | None:
    """What is left of a finding besides what a human has `confirmed`, None if nothing is; `photos` are (person,
    SHA-256) by path of all that lie in the album."""
    if finding.kind not in DOUBTS:
        return finding
    if finding.kind == FindingKind.ONE_IN_TWO:
        return None if frozenset(finding.people) in confirmed.pairs else finding
    right = {path for path in finding.photos if photos.get(path) in confirmed.photos}
    if right.issuperset(finding.photos):
        return None
    if not right or finding.kind in _AS_A_WHOLE:
        return finding
    left = tuple(path for path in finding.photos if path not in right)
    return replace(finding, photos=left, figures={**finding.figures, "photos": len(left)})


_AS_A_WHOLE = frozenset({FindingKind.TWO_PEOPLE, FindingKind.UNDECIDED, FindingKind.MIXED})
"""Doubts about photos together, or of which these are only examples."""


# Intakes


def in_intakes(known: TrainingSet, waiting: Waiting, cosines: Cosines) -> Iterator[Finding]:
    """What had better not be merged before somebody has seen it: photos unlike the person's in the album, by `known`;
    of somebody new those unlike most that came with them; and somebody new who is in the album already."""
    names = tuple(sorted({*known.people, *waiting.people}))
    number = {name: place for place, name in enumerate(names)}
    before = len(known.sha256)
    person = np.array([*(number[known.people[one]] for one in known.person), *(number[one] for one in waiting.people)])
    person = person.astype(np.int64)
    faces = np.concatenate([known.embeddings.reshape(-1, waiting.faces.shape[1]), waiting.faces])
    there: Bools = np.arange(len(person)) < before
    sizes = np.bincount(person[there], minlength=len(names))
    found = find(faces, person, len(names), cosines, there, _namesakes(names))

    def photos(rows: Ints) -> tuple[str, ...]:
        return tuple(sorted(waiting.paths[row - before] for row in rows if row >= before))

    for folder in found.folders:
        # What somebody merged before for all that it is unlike the person's own is not held back again.
        new = [part for part in folder.parts if not there[part.rows].any()]
        if sizes[folder.person]:
            yield from _unlike(folder, new, names, photos, int(sizes[folder.person]))
        elif new:
            yield from _of_somebody_new(folder, names, photos)
    for same in found.same:
        new_people = [one for one in same[:2] if not sizes[one]]
        if new_people:
            came = photos(np.flatnonzero(np.isin(person, new_people)))
            yield _in_two(same, names, sizes, came)


def _unlike(
    folder: Folder, parts: Sequence[Part], names: Sequence[str], photos: Callable[[Ints], tuple[str, ...]], before: int
) -> Iterator[Finding]:
    """Photos that came for somebody who is in the album with `before` photos."""
    person = names[folder.person]
    for part in parts:
        for path in photos(part.rows):
            if part.other >= 0:
                figures: dict[str, Figure] = {"rival": round(part.rival, 4), "own": round(part.own, 4)}
                yield Finding(FindingKind.SUSPECT, (person, names[part.other]), (path,), figures)
            else:
                yield Finding(FindingKind.STRANGE, (person,), (path,), {"others": before})


def _of_somebody_new(
    folder: Folder, names: Sequence[str], photos: Callable[[Ints], tuple[str, ...]]
) -> Iterator[Finding]:
    """Photos of several people who came as one. Where nobody can tell whose the folder is, all of them are held."""
    person, own = names[folder.person], photos(folder.own)
    if folder.clear:
        for part in folder.parts:
            for path in photos(part.rows):
                yield Finding(FindingKind.STRANGE, (person,), (path,), {"others": len(own)})
        return
    groups = [own, *(photos(part.rows) for part in folder.parts)]
    in_all = sum(map(len, groups))
    if 3 * (len(groups[0]) + len(groups[1])) < 2 * in_all:
        everything = tuple(sorted(path for group in groups for path in group))
        figures: dict[str, Figure] = {"groups": len(groups), "photos": in_all}
        yield Finding(FindingKind.MIXED, (person,), everything, figures)
        return
    for group in groups:
        yield _two_groups(person, group, in_all - len(group))
