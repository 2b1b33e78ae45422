"""check: what in an album a human should look at, before it is learned from. Reads what align remembered, changes
nothing.

Some things need a human, for nobody else can put them right: a person with too few photos, a photo that cannot be read,
one under two people or, by its face, under the wrong one. With the others training deals by itself - a photo without a
face teaches nothing, of several faces the person's own is taken, copies count once, a poor face counts little - and
they are told for whoever wants a better album.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mien.learning.crossval import held_out, split
from mien.learning.head import Fit, Ints
from mien.learning.openset import mislabelled
from mien.learning.own_face import SAME_FACE, rule
from mien.records.catalog import Catalog, Drift, Look, TrainingSet
from mien.storage.layout import UNREADABLE, Training, Workspace
from mien.text.names import nfc
from mien.types import Floats
from mien.vision.phash import near_pairs
from mien.vision.quality import POOR

REMEDIES = {
    "few": "Add photos: other days, other light, from other sides.",
    "unreadable": "Check its permissions.",
    "two people": "Leave the photo with the person it shows, and take it out of the other folder.",
    "wrong name": "Look at it: move the photo to the right person, or join two folders that are one person's.",
    "not seen": "Run mien align, then check again.",
    "no face": "Take it out, or put a larger picture of the face in its place.",
    "several": "Cut the photo to the person's face if another one's may have been taken.",
    "copies": "Nothing needs doing; they count once. Other photos would teach more.",
    "poor": "Put a larger, sharper or more frontal picture in its place if there is one.",
}
"""What to do about each kind of finding, in the order in which they are told."""

HUMAN = frozenset({"few", "unreadable", "two people", "wrong name", "not seen"})
"""Kinds that need a human; after "not seen" nobody can tell yet."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something in the album: its `kind` (a key of REMEDIES), the `photos` (paths in training-images, none where it is
    about a person), the `people` concerned (the one it is filed under first), `why` in a line, and what to do."""

    kind: str
    photos: tuple[str, ...]
    people: tuple[str, ...]
    why: str
    remedy: str

    @property
    def needs_human(self) -> bool:
        """Whether mien cannot deal with it by itself."""
        return self.kind in HUMAN


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in `photos` files of `people`, kind by kind, what needs a human first."""

    people: int
    photos: int
    findings: tuple[Finding, ...]

    @property
    def needs_human(self) -> bool:
        """Whether anything does."""
        return any(finding.needs_human for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "people": self.people,
            "photos": self.photos,
            "needs_human": self.needs_human,
            "findings": [asdict(finding) | {"needs_human": finding.needs_human} for finding in self.findings],
        }


def check(workspace: Workspace, encoder_id: str, fit: Fit) -> Checked:
    """Everything that is known of the album; `fit` is the head by which wrong names are told. Raises StorageError and
    AlbumError."""
    training, settings = workspace.walk_training(), workspace.settings
    closed = [one.path for one in training.left_out if one.reason == UNREADABLE]
    findings = [_finding("unreadable", [path], [nfc(path.split("/")[0])], UNREADABLE) for path in closed]
    drift, embeddings = Drift(len(training.placements), 0, 0), np.empty((0, 0), np.float32)
    looks: tuple[Look, ...] = ()
    waiting: frozenset[str] = frozenset()
    if workspace.catalog_file.is_file():
        with Catalog.open(workspace.catalog_file) as catalog:
            drift, known, album = catalog.drift(training), catalog.looks(encoder_id), catalog.training_set(encoder_id)
            waiting = frozenset(catalog.to_choose(rule(encoder_id, settings.skip_multi)))
        there = {placement.path for placement in training.placements}
        looks = tuple(look for look in known.looks if look.path in there)
        embeddings = known.embeddings
        findings += _wrong_names(album, looks, fit)
    groups = _groups(looks, embeddings)
    findings += _few(training, looks, groups, waiting, settings.minimum)
    findings += _not_seen(looks, drift, waiting)
    findings += _each(looks, settings.skip_multi)
    findings += _alike(looks, groups)
    order = list(REMEDIES)
    findings.sort(key=lambda finding: (order.index(finding.kind), finding.people, finding.photos))
    return Checked(len(training.people), len(training.placements), tuple(findings))


def _finding(kind: str, photos: Iterable[str], people: Iterable[str], why: str, remedy: str = "") -> Finding:
    return Finding(kind, tuple(photos), tuple(people), why, remedy or REMEDIES[kind])


def _few(training: Training, looks: Sequence[Look], groups: Ints, waiting: Set[str], minimum: int) -> Iterator[Finding]:
    """People with too few photos that show them, copies counted once; what was not looked at yet may be one, and so may
    those of people `waiting` for their faces to be chosen."""
    different: dict[str, set[object]] = defaultdict(set)
    known = {look.path for look in looks}
    for look, group in zip(looks, groups, strict=True):
        if look.face >= 0 or _is_unseen(look) or look.person in waiting:
            different[look.person].add(int(group))
    for placement in training.placements:
        if placement.path not in known:
            different[placement.person].add(placement.path)
    for person in training.people:
        number = len(different[person])
        if number < minimum:
            why = f"{number:,} of {minimum:,} photos with their face, copies counted once"
            yield _finding("few", [], [person], why)


def _not_seen(looks: Sequence[Look], drift: Drift, waiting: Set[str]) -> Iterator[Finding]:
    number = drift.new + drift.changed + sum(map(_is_unseen, looks))
    if number:
        yield _finding("not seen", [], [], f"{number:,} photo{'s were' if number > 1 else ' was'} not looked at yet")
    elif waiting:
        yield _finding("not seen", [], sorted(waiting), "which face is theirs is to be chosen again")


def _is_unseen(look: Look) -> bool:
    return not look.phash and look.error is None


def _each(looks: Sequence[Look], skip_multi: bool) -> Iterator[Finding]:
    """What is to be said of a photo by itself."""
    for look in looks:
        photo, person = [look.path], [look.person]
        if look.error is not None:
            why, _, remedy = look.error.rpartition(". ")  # an error ends in its remedy, which is one sentence
            yield _finding("unreadable", photo, person, why, remedy)
        elif look.phash and not look.faces:
            yield _finding("no face", photo, person, "no face was found")
        elif look.faces > 1:
            taken = "it is left out" if skip_multi else "the one most like the person's other photos was taken"
            yield _finding("several", photo, person, f"{look.faces} faces; {taken}")
        if look.face >= 0 and look.overall < POOR:
            yield _finding("poor", photo, person, f"the face's quality is {look.overall:.2f}, below {POOR:g}")


def _groups(looks: Sequence[Look], embeddings: Floats) -> Ints:
    """(N,) for each placement the first of those that hold the same picture of the same face. One with faces of which
    none was chosen stands alone: it teaches nothing, or not yet."""
    first = list(range(len(looks)))

    def root(one: int) -> int:
        while first[one] != one:
            first[one] = first[first[one]]
            one = first[one]
        return one

    same_file: dict[tuple[str, bytes], int] = {}
    shown = [number for number, look in enumerate(looks) if look.phash and (look.face >= 0 or not look.faces)]
    for number in shown:
        look = looks[number]
        face = embeddings[look.face].tobytes() if look.face >= 0 else b""
        first[number] = same_file.setdefault((look.sha256, face), number)
    distinct = [number for number in shown if first[number] == number]
    for one, other in near_pairs([looks[number].phash for number in distinct]):
        a, b = distinct[one], distinct[other]
        face, twin = looks[a].face, looks[b].face
        if min(face, twin) < 0 or embeddings[face] @ embeddings[twin] >= SAME_FACE:
            low, high = sorted((root(a), root(b)))
            first[high] = low
    return np.array([root(number) for number in range(len(looks))], np.int64)


def _alike(looks: Sequence[Look], groups: Ints) -> Iterator[Finding]:
    """Copies of one picture: of one person, and under several."""
    together: dict[int, list[Look]] = defaultdict(list)
    for look, group in zip(looks, groups, strict=True):
        together[int(group)].append(look)
    for same in together.values():
        people = sorted({look.person for look in same})
        if len(people) > 1:
            why = f"the same picture under {len(people)} people"
            yield _finding("two people", [look.path for look in same], people, why)
        for person in people:
            own = [look.path for look in same if look.person == person]
            if len(own) > 1:
                yield _finding("copies", own, [person], f"{len(own)} copies of the same picture")


def _wrong_names(album: TrainingSet, looks: Sequence[Look], fit: Fit) -> Iterator[Finding]:
    """Faces that agree clearly better with somebody else than with the person they are filed under, by a head fitted
    without them."""
    people, paths = len(album.people), defaultdict[tuple[str, str], list[str]](list)
    if people < 2:
        return
    for look in looks:
        paths[look.person, look.sha256].append(look.path)
    fold = split(album.sha256, album.person, album.embeddings)
    held = held_out(fit, album.embeddings, album.person, people, np.ones(len(fold), np.float32), fold)
    for row in np.flatnonzero(mislabelled(held.best_rival, held.own)):
        person, other = album.people[album.person[row]], album.people[held.rival[row]]
        why = f"the face is more like {other} ({held.best_rival[row]:.3f}) than like {person} ({held.own[row]:.3f})"
        if photos := paths[person, album.sha256[row]]:
            yield _finding("wrong name", photos, [person, other], why)
