"""Photos under wrong names: how many are found, and how many right ones with them, beside cleanlab.

    python benchmarks/labels.py [--data ../shared/data] [--cache FILE] [--encoder NAME] [--draws 10] [--quick]

Albums are drawn of everybody with 20 or more photos in LFW and `wild`: two people in three are in the album with four
fifths of their photos, the other fifth are probes, and the other people are strangers. Errors are planted at 1, 5 and
20 %: of the photos ("photo" stories), or of the folders, one at least. Of the photos the line says how many planted
ones are found (recall), how many found ones were planted (precision), and the top-1 of the probes by a head of the
clean album, of the planted one, and of that without what was found. Of folders recall and precision count pairs of
folders. What is found in the clean album is listed once.

Some photos lie under a wrong name before anything is planted: `ERRATA`, told by eye. To find one is neither right nor
false; "as filed" is the precision where it counts as false, by the labels of the set.

At the end good photos come for people who are there: how many of everyone's last five would be held back.

Each photo is looked at once (minutes; kept in --cache, the same file as of benchmarks/heads.py). cleanlab is asked if
it can be imported: `pip install cleanlab` into an environment of its own that has mien as well. It is given what it
asks for, labels and out-of-sample probabilities (a softmax of the held-out scores by the encoder's temperature).
"""

from __future__ import annotations

import argparse
import hashlib
import math
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from heads import SETS, cache_of, look
from mien.learning.crossval import split as folds
from mien.learning.head import Fit, Ints
from mien.learning.labels import Labels, find
from mien.seeing.eyes import Eyes
from mien.text.names import alike_pairs
from mien.types import Cosines, Floats
from mien.wiring import HEADS, make_eyes
from protocol import DATA, add_encoder, chosen, described, machine, split

try:
    from cleanlab.filter import find_label_issues
except ImportError:
    find_label_issues = None

SHARES = (0.01, 0.05, 0.2)
IN_ALBUM = 2 / 3
"""Part of the people who are in a drawn album; the others are its strangers."""
PROBES = 0.2
DOZEN = 12
ERRATA = frozenset(f"Laura_Dern/jurassic6__000000{number}.jpg" for number in (10, 18, 21, 24, 25, 29, 31))
"""Photos of `wild` that do not show whom they are filed under, by eye: two other women in the costume of the film, and
a doll (24). None is known among the photos of LFW that are used here."""
LAST = 5
"""Photos of everybody that come later."""

Bools = NDArray[np.bool_]


class Faces(NamedTuple):
    """N faces (N, D), whose each is, their files, and the names of the people."""

    embeddings: Floats
    person: Ints
    files: list[str]
    names: tuple[str, ...]


class Drawn(NamedTuple):
    """An album: the rows of its N photos in all faces, under which of `names` each lies, and whose each is (the number
    in all faces); `probes` are rows of its people."""

    rows: Ints
    person: Ints
    truth: Ints
    names: list[str]
    people: Ints
    strangers: Ints
    probes: Ints


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, help="an .npz file to keep the embeddings in")
    parser.add_argument("--draws", type=int, default=30, help="albums drawn for each line")
    parser.add_argument("--quick", action="store_true", help="two draws of each")
    add_encoder(parser)
    arguments = parser.parse_args()
    choice = chosen(arguments)
    eyes: Eyes = make_eyes(choice)
    cosines = eyes.encoder.cosines
    if cosines is None:
        parser.error(f"nobody measured the cosines of {choice.name}; tools/fit_defaults.py does")
    draws = 2 if arguments.quick else arguments.draws
    print(f"{machine()}\n{described(choice)}; {draws} draws a line")
    if find_label_issues is None:
        print("cleanlab is not here: its columns are empty")
    for name, face in SETS:
        parts = split(arguments.data / name)
        seen = look(parts, face, cache_of(arguments.cache, name, eyes.encoder_id), choice)
        files = [file for file in sorted([*parts.enrolled, *parts.mated]) if seen[file].probe >= 0]
        faces = Faces(
            np.stack([seen[file].embeddings[seen[file].probe] for file in files]),
            np.array([parts.people.index(file.parent.name) for file in files], np.int64),
            [f"{file.parent.name}/{file.name}" for file in files],
            parts.people,
        )
        measure(name, faces, cosines, draws)


def measure(name: str, faces: Faces, cosines: Cosines, draws: int) -> None:
    """All tables of one set."""
    everybody = len(faces.names)
    clean = find(faces.embeddings, faces.person, everybody, cosines)
    odd = np.isin(faces.files, [*ERRATA])
    print(f"\n{name}: {len(faces.files)} photos of {everybody} people; found in the clean album:")
    for folder in clean.folders:
        for part in folder.parts:
            whose = f"like {faces.names[part.other]}" if part.other >= 0 else "like nobody"
            print(
                f"  {whose} ({part.own:.3f} own, {part.rival:.3f}): {', '.join(faces.files[row] for row in part.rows)}"
            )
    for one in clean.same:
        print(f"  one person: {faces.names[one.person]} and {faces.names[one.other]} ({one.cosine:.3f})")
    heading = f"{'photos':<30} {'planted':>8} {'recall':>7} {'precision':>10} {'as filed':>8}"
    heading += f" {'top-1 clean':>12} {'planted':>8} {'after':>7}"
    print(f"\n{heading}   cleanlab: {'recall':>7} {'precision':>10} {'after':>7}")
    for story, plant in PHOTOS.items():
        for share in SHARES:
            print(photo_line(story, plant, share, faces, odd, cosines, draws), flush=True)
    print(f"\n{line('folders', 'planted', 'recall', 'precision')}")
    for story, doubled in FOLDERS.items():
        for share in SHARES:
            print(folder_line(story, doubled, share, faces, odd, cosines, draws), flush=True)
    held, of = later(faces, odd, cosines)
    print(f"\nof {of} good photos that come later {held} would be held back ({100 * held / of:.1f} %)")


def in_parts(found: Labels) -> Bools:
    """(N,) the faces that are named as not their folder's own."""
    rows = np.zeros(found.faces, bool)
    for folder in found.folders:
        for part in folder.parts:
            rows[part.rows] = True
    return rows


def draw(faces: Faces, odd: Bools, random: np.random.Generator) -> Drawn:
    """A clean album. A photo under a wrong name (`odd`) is no probe."""
    order = random.permutation(len(faces.names))
    people = np.sort(order[: round(IN_ALBUM * len(order))])
    mine = np.flatnonzero(np.isin(faces.person, people))
    probe = random.random(len(mine)) < PROBES
    rows = mine[~probe]
    return Drawn(
        rows,
        np.searchsorted(people, faces.person[rows]),
        faces.person[rows],
        [faces.names[one] for one in people],
        people,
        np.flatnonzero(~np.isin(faces.person, people)),
        mine[probe & ~odd[mine]],
    )


# Photos under a wrong name: what is planted goes in the place of photos that were there, or under another name


def anothers(album: Drawn, faces: Faces, share: float, random: np.random.Generator) -> Drawn:
    """Photos go to somebody else of the album."""
    moved = random.choice(len(album.rows), max(1, round(share * len(album.rows))), replace=False)
    person = album.person.copy()
    person[moved] = (person[moved] + random.integers(1, len(album.people), len(moved))) % len(album.people)
    return album._replace(person=person)


def strangers(album: Drawn, faces: Faces, share: float, random: np.random.Generator) -> Drawn:
    """Strangers' photos stand in the place of others."""
    count = min(max(1, round(share * len(album.rows))), len(album.strangers))
    at, new = random.choice(len(album.rows), count, False), random.choice(album.strangers, count, False)
    rows, truth = album.rows.copy(), album.truth.copy()
    rows[at], truth[at] = new, faces.person[new]
    return album._replace(rows=rows, truth=truth)


def swapped(album: Drawn, faces: Faces, share: float, random: np.random.Generator) -> Drawn:
    """Two people in each five have so many of their photos under each other's name."""
    person = album.person.copy()
    order = random.permutation(len(album.people))
    for one, other in order[: max(2, len(order) * 2 // 5 // 2 * 2)].reshape(-1, 2):
        mine, yours = (np.flatnonzero(album.person == who) for who in (one, other))
        count = max(1, round(share * min(len(mine), len(yours))))
        person[random.choice(mine, count, False)] = other
        person[random.choice(yours, count, False)] = one
    return album._replace(person=person)


def two_people(album: Drawn, faces: Faces, share: float, random: np.random.Generator) -> Drawn:
    """A dozen photos of one stranger come into so many folders."""
    who = faces.person[album.strangers]
    free = random.permutation(np.unique(who))
    into = random.choice(len(album.people), min(max(1, round(share * len(album.people))), len(free)), False)
    for folder, stranger in zip(into, free, strict=False):
        new = random.permutation(album.strangers[who == stranger])[:DOZEN]
        album = album._replace(
            rows=np.concatenate([album.rows, new]),
            person=np.concatenate([album.person, np.full(len(new), folder)]),
            truth=np.concatenate([album.truth, faces.person[new]]),
        )
    return album


Plant = Callable[[Drawn, Faces, float, np.random.Generator], Drawn]

PHOTOS: dict[str, Plant] = {
    "another person's photo": anothers,
    "a stranger's photo": strangers,
    "swapped names": swapped,
    "two people in one folder": two_people,
}


def photo_line(story: str, plant: Plant, share: float, faces: Faces, odd: Bools, cosines: Cosines, draws: int) -> str:
    planted = right = wrong = filed = lab_right = lab_wrong = 0
    firsts: list[tuple[float, float, float, float]] = []
    for seed in range(draws):
        random = np.random.default_rng(seed)
        clean = draw(faces, odd, random)
        album = plant(clean, faces, share, random)
        embeddings = faces.embeddings[album.rows]
        bad = album.people[album.person] != album.truth
        counted = bad | ~odd[album.rows]
        found = find(embeddings, album.person, len(album.people), cosines)
        said = in_parts(found)
        planted, right, wrong = planted + bad.sum(), right + (said & bad).sum(), wrong + (said & ~bad & counted).sum()
        filed += (said & ~bad).sum()
        lab = cleanlab(embeddings, album, cosines)
        lab_right, lab_wrong = lab_right + (lab & bad).sum(), lab_wrong + (lab & ~bad & counted).sum()
        everything = np.ones(len(album.rows), bool)
        firsts.append(
            (
                top1(faces, clean, np.ones(len(clean.rows), bool), cosines),
                top1(faces, album, everything, cosines),
                top1(faces, album, ~found.wrong, cosines),
                top1(faces, album, ~lab, cosines) if find_label_issues else math.nan,
            )
        )
    before, with_errors, after, lab_after = (100 * float(one) for one in np.mean(firsts, axis=0))
    told = line(f"{story}, {100 * share:.0f} %", planted, percent(right, planted), percent(right, right + wrong))
    lab_told = f"{percent(lab_right, planted):>7} {percent(lab_right, lab_right + lab_wrong):>10} {lab_after:>7.2f}"
    told += f" {percent(right, right + filed):>8} {before:>12.2f} {with_errors:>8.2f} {after:>7.2f}"
    return f"{told}             {lab_told if find_label_issues else '-'}"


def line(story: str, planted: object, recall: str, precision: str) -> str:
    return f"{story:<30} {planted!s:>8} {recall:>7} {precision:>10}"


def percent(part: int, of: int) -> str:
    return f"{100 * part / of:.1f} %" if of else "-"


def top1(faces: Faces, album: Drawn, used: Bools, cosines: Cosines) -> float:
    """The share of the probes for whom the right person comes first, by the plain head of the `used` photos."""
    fit: Fit = HEADS[0].fit_for(cosines)
    there, column = np.unique(album.person[used], return_inverse=True)
    head = fit(faces.embeddings[album.rows[used]], column, len(there), np.ones(int(used.sum()), np.float32))
    best = there[head.scores(faces.embeddings[album.probes]).argmax(axis=1)]
    return float(np.mean(album.people[best] == faces.person[album.probes]))


def cleanlab(embeddings: Floats, album: Drawn, cosines: Cosines) -> Bools:
    """(N,) what cleanlab calls label issues."""
    count = len(album.rows)
    if find_label_issues is None:
        return np.zeros(count, bool)
    hashes = [hashlib.sha256(f"{row}".encode()).hexdigest() for row in album.rows]
    fold = folds(hashes, album.person, embeddings, cosines)
    fit, chances = HEADS[0].fit_for(cosines), np.zeros((count, len(album.people)))
    for part in np.unique(fold):
        used, asked = fold != part, fold == part
        there, column = np.unique(album.person[used], return_inverse=True)
        head = fit(embeddings[used], column, len(there), np.ones(int(used.sum()), np.float32))
        scores = head.scores(embeddings[asked]).astype(np.float64) / cosines.temperature
        scores = np.exp(scores - scores.max(axis=1, keepdims=True))
        chances[np.ix_(asked, there)] = scores / scores.sum(axis=1, keepdims=True)
    return np.asarray(find_label_issues(album.person, chances, n_jobs=1), bool)


# One person in two folders


def _by_names(names: list[str]) -> list[tuple[int, int]]:
    return [(names.index(one), names.index(other)) for one, other in alike_pairs(names)]


def halves(photos: int) -> int:
    return photos // 2


def two(photos: int) -> int:
    return 2


FOLDERS: dict[str, tuple[Callable[[int], int], bool]] = {
    "one person in two": (halves, False),
    "two photos elsewhere": (two, False),
    "near-equal names": (two, True),
}
"""How many of so many photos go into a second folder, and whether its name is nearly the same. Of near-equal names as
many folders again get one that is nearly another person's."""


def folder_line(
    story: str,
    doubled: tuple[Callable[[int], int], bool],
    share: float,
    faces: Faces,
    odd: Bools,
    cosines: Cosines,
    draws: int,
) -> str:
    moved, near = doubled
    planted = right = wrong = 0
    for seed in range(draws):
        random = np.random.default_rng(seed)
        album = draw(faces, odd, random)
        person, names = album.person.copy(), list(album.names)
        order = random.permutation(len(album.people))
        pairs = set()
        for one in order[: max(1, round(share * len(order)))].tolist():
            mine = np.flatnonzero((album.person == one) & ~odd[album.rows])
            person[random.choice(mine, moved(len(mine)), False)] = len(names)
            pairs.add((one, len(names)))
            names.append(f"{names[one]}s" if near else f"somebody {len(names)}")
        if near:  # decoys: two people whose names differ by a letter
            for one, other in list(zip(order[-1::-2].tolist(), order[-2::-2].tolist(), strict=False))[: len(pairs)]:
                names[other] = f"{names[one]}e"
        found = find(
            faces.embeddings[album.rows],
            person,
            len(names),
            cosines,
            namesakes=_by_names(names),
        )
        told = {(min(one.person, one.other), max(one.person, one.other)) for one in found.same}
        planted, right, wrong = planted + len(pairs), right + len(told & pairs), wrong + len(told - pairs)
    return line(f"{story}, {100 * share:.0f} %", planted, percent(right, planted), percent(right, right + wrong))


# Good photos that come later


def later(faces: Faces, odd: Bools, cosines: Cosines) -> tuple[int, int]:
    """How many of everyone's last photos by file name would be held back, were the others there; and of how many. Those
    under a wrong name are not among them."""
    place = np.array([row - np.searchsorted(faces.person, faces.person[row]) for row in range(len(faces.person))])
    last = place >= np.bincount(faces.person)[faces.person] - LAST
    found = find(faces.embeddings, faces.person, len(faces.names), cosines, ~last)
    held = np.zeros(len(last), bool)
    for rows in _new_parts(found, last):
        held[rows] = True
    good = last & ~odd
    return int((held & good).sum()), int(good.sum())


def _new_parts(found: Labels, new: Bools) -> Iterator[Ints]:
    for folder in found.folders:
        for part in folder.parts:
            if new[part.rows].all():
                yield part.rows


if __name__ == "__main__":
    main()
