"""How often the gate promotes and refuses: challengers that are as good as the champion, and some that are not.

    python benchmarks/gate.py [--data ../shared/data] [--cache FILE] [--draws 40] [--heads prototypes normalised]

Albums are drawn from made-up faces, from LFW's people with 5 or more photos and from `wild`; each photo is looked at
once (minutes; kept in --cache, the same file as of benchmarks/heads.py). For each draw a champion of a part of the
album meets a challenger of all of it, under each of the stories below, and a line says how many were promoted, and how
many refused for known people as a whole, for strangers, and for single people. The first four stories should be
promoted and the last two refused; in that between, it depends on whether the head still recognises the old photos.
"""

from __future__ import annotations

import argparse
import hashlib
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import cast

import numpy as np
from numpy.typing import NDArray

from heads import SETS, cache_of, look
from mien.learning.head import Ints
from mien.learning.openset import Calibration, choose_threshold
from mien.records.faces import TrainingSet
from mien.registry.card import Card, EncoderCard, FileCard, HeadCard, RunCard
from mien.registry.folder import Model
from mien.registry.gallery import OnnxHead
from mien.stages.compare import Compared, Contender, compare_on
from mien.testing import COSINES
from mien.types import EncoderChoice
from mien.wiring import HEADS, make_eyes
from protocol import DATA, machine, split

FEWEST = 5
NEW = 0.2
"""Part of the album that is new."""

Bools = NDArray[np.bool_]
Draw = Callable[[np.random.Generator], TrainingSet]
Story = Callable[[TrainingSet, np.random.Generator], tuple[TrainingSet, Bools]]
"""The album of the challenger, and which of its photos the champion was made of."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, default=DATA)
    parser.add_argument("--cache", type=Path, help="an .npz file to keep the embeddings in")
    parser.add_argument("--draws", type=int, default=40, help="albums drawn of each kind")
    parser.add_argument("--heads", nargs="+", default=["prototypes", "normalised"], help="heads of both models")
    arguments = parser.parse_args()
    print(machine())
    print(f"\n{arguments.draws} draws each\n{'':<56} promoted  overall  strangers  people")
    for name, draw in albums(arguments.data, arguments.cache):
        for head in arguments.heads:
            for story, tell in STORIES.items():
                found = Counter[str]()
                for seed in range(arguments.draws):
                    random = np.random.default_rng(seed)
                    found.update(outcome(*tell(draw(random), random), head))
                counts = (f"{found[kind]:>10}" for kind in ("promoted", "overall", "strangers", "people"))
                print(f"{name:<16} {head:<12} {story:<24}{''.join(counts)}", flush=True)


def outcome(faces: TrainingSet, known: Bools, head: str) -> Iterator[str]:
    """What the gate says of a challenger made of `faces`, whose `known` photos the champion was made of."""
    champion = model(faces, known, head, "2026-11-23-001")
    challenger = model(faces, np.ones(len(known), bool), head, "2026-11-24-001")
    compared = compare_on(Contender(champion, faces, COSINES), Contender(challenger, faces, COSINES), HEADS)
    assert isinstance(compared, Compared)
    decision = compared.decision
    if decision.promote:
        yield "promoted"
    if decision.overall.worse:
        yield "overall"
    if decision.strangers.worse:
        yield "strangers"
    if any(person.worse for person in (*decision.people.values(), *decision.earlier.values())):
        yield "people"


def model(faces: TrainingSet, of: Bools, head: str, version: str, fpir: float = 0.01) -> Model:
    """A model of these photos, as far as it takes to compare it."""
    photos: dict[str, list[str]] = {}
    for row in np.flatnonzero(of):
        photos.setdefault(faces.people[faces.person[row]], []).append(faces.sha256[row])
    file = FileCard(bytes=0, sha256="0" * 64)
    card = Card(
        encoder=EncoderCard(id="benchmark", precision="fp32", weights_sha256="0" * 64, views=4),
        head=HeadCard(name=head, tried={}),
        people=len(photos),
        photos=photos,
        counts={},
        metrics={},
        packages={},
        files={"model.onnx": file, "labels.txt": file, "thresholds.json": file},
        run=RunCard(version=version, created="now", seal=""),
    )
    nobody = cast(OnnxHead, None)  # it is made again from its card
    threshold = choose_threshold([-np.inf], [0], 1, fpir, COSINES)
    return Model(tuple(photos), nobody, threshold, Calibration(250.0, 0.004), card)


# Albums


def albums(data: Path, cache: Path | None) -> Iterator[tuple[str, Draw]]:
    """Names of kinds of albums, and how one is drawn."""
    yield "made-up, 20", partial(made_up, 20, 12)
    yield "made-up, 100", partial(made_up, 100, 40)
    for name, face in SETS:
        if not (data / name).is_dir():
            continue
        seen = look(
            split(data / name), face, cache_of(cache, name, make_eyes(EncoderChoice()).encoder_id), EncoderChoice()
        )
        photos = [file for file in sorted(seen) if seen[file].probe >= 0]
        several = {person for person, count in Counter(file.parent.name for file in photos).items() if count >= FEWEST}
        photos = [file for file in photos if file.parent.name in several]
        names = sorted(several)
        whole = TrainingSet(
            people=tuple(names),
            person=np.array([names.index(file.parent.name) for file in photos], np.int64),
            sha256=tuple(seen[file].sha256 for file in photos),
            embeddings=np.stack([seen[file].embeddings[seen[file].probe] for file in photos]),
            overall=np.array([seen[file].quality[seen[file].probe] for file in photos], np.float32),
        )
        for people in (20, 60, len(names)):
            if people <= len(names):
                yield f"{name}, {people}", partial(some_people, whole, people)


def made_up(people: int, photos: int, random: np.random.Generator, spread: float = 0.04) -> TrainingSet:
    """People with as many photos each, about as alike as the encoder finds people, and some harder to tell."""
    owner = np.repeat(np.arange(people), photos)
    centres = np.eye(128)[0] + random.normal(size=(people, 128)) * 0.04
    noise = random.normal(size=(len(owner), 128)) * random.uniform(0.5, 1.5, len(owner))[:, None] * spread
    return training_of(owner, centres[owner] + noise, int(random.integers(2**32)))


def training_of(owner: Ints, faces: NDArray[np.float64], seed: int = 0) -> TrainingSet:
    """The training set of these faces."""
    return TrainingSet(
        people=tuple(f"Person {number:03}" for number in range(int(owner.max()) + 1)),
        person=owner,
        sha256=tuple(hashlib.sha256(f"{seed} {row}".encode()).hexdigest() for row in range(len(owner))),
        embeddings=np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32),
        overall=np.full(len(owner), 0.5, np.float32),
    )


def some_people(faces: TrainingSet, people: int, random: np.random.Generator) -> TrainingSet:
    chosen = np.sort(random.permutation(len(faces.people))[:people])
    rows = np.flatnonzero(np.isin(faces.person, chosen))
    return TrainingSet(
        people=tuple(faces.people[one] for one in chosen),
        person=np.searchsorted(chosen, faces.person[rows]),
        sha256=tuple(faces.sha256[row] for row in rows),
        embeddings=faces.embeddings[rows],
        overall=faces.overall[rows],
    )


# Stories


def same_photos(faces: TrainingSet, random: np.random.Generator) -> tuple[TrainingSet, Bools]:
    return faces, np.ones(len(faces.person), bool)


def more_photos(faces: TrainingSet, random: np.random.Generator) -> tuple[TrainingSet, Bools]:
    return faces, random.random(len(faces.person)) >= NEW


def more_people(faces: TrainingSet, random: np.random.Generator) -> tuple[TrainingSet, Bools]:
    known = random.permutation(len(faces.people)) >= NEW * len(faces.people)
    return faces, known[faces.person]


def one_wrong_photo(faces: TrainingSet, random: np.random.Generator) -> tuple[TrainingSet, Bools]:
    """More photos, and one of them is filed under somebody else."""
    known = more_photos(faces, random)[1]
    row = random.choice(np.flatnonzero(~known))
    person = faces.person.copy()
    person[row] = (person[row] + 1) % len(faces.people)
    return replace(faces, person=person), known


def a_stranger_for_one(faces: TrainingSet, random: np.random.Generator) -> tuple[TrainingSet, Bools]:
    """All photos of somebody who was not in the album are filed under the one with the median number of photos."""
    photos = np.bincount(faces.person)
    order = np.argsort(-photos, kind="stable")
    stranger, known = order[0], order[len(order) // 2]
    person = np.where(faces.person == stranger, known, faces.person)
    return replace(faces, person=person), faces.person != stranger


def two_swapped(faces: TrainingSet, random: np.random.Generator) -> tuple[TrainingSet, Bools]:
    """Two people were filed under each other's name from some day on, and there are more photos since than before."""
    one, other = np.argsort(-np.bincount(faces.person), kind="stable")[:2]
    known = np.ones(len(faces.person), bool)
    person = faces.person.copy()
    for mine, yours in ((one, other), (other, one)):
        rows = np.flatnonzero(faces.person == mine)
        new = random.permutation(rows)[: (2 * len(rows) + 2) // 3]
        known[new], person[new] = False, yours
    return replace(faces, person=person), known


def shuffled(faces: TrainingSet, random: np.random.Generator) -> tuple[TrainingSet, Bools]:
    """As many photos again as there were, under names dealt out blindly."""
    known = random.random(len(faces.person)) >= 0.5
    person = faces.person.copy()
    person[~known] = random.permutation(person[~known])
    return replace(faces, person=person), known


STORIES: dict[str, Story] = {
    "the same photos": same_photos,
    "a fifth more photos": more_photos,
    "a fifth more people": more_people,
    "one of them wrong": one_wrong_photo,
    "a stranger under a name": a_stranger_for_one,
    "two people swapped": two_swapped,
    "names dealt blindly": shuffled,
}


if __name__ == "__main__":
    main()
