"""intake: what waits to be merged is looked at, and what is odd about it is told before it is learned from.

Goes in: an album, its catalog and the model in use. Comes out: the catalog brought up to date with the intakes, and an
`IntakeChecked`. A source says who is in a picture; here the album is asked whether that can be. No face is chosen yet:
that is done where the person's other photos can be asked, after merging.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence, Set
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from mien.learning.openset import MISLABELLED, identify
from mien.learning.own_face import SAME_FACE
from mien.looking import CURABLE, look_at
from mien.protocols import Progress
from mien.records.catalog import DIMENSIONS, Arrivals, Catalog, Looks, TrainingSet
from mien.registry import Model
from mien.seeing.eyes import Eyes
from mien.storage.layout import UNREADABLE, Workspace
from mien.types import Floats
from mien.vision.images import file_sha256
from mien.vision.phash import FLAT, near_pairs

DECISIVE = 0.9
"""Probability from which on the model's word for somebody else stands against the word of whoever filed the photo. With
a model of 6 photos of each sample person (one view), of their 288 others none was suspect under its own name, and 259
were under another's; at one half 277, at 0.99 142."""

REMEDIES = {
    "unreadable": "Check its permissions.",
    "suspect": "Look at it: move the photo to the right person, or merge it all the same with `mien merge`.",
    "two people": "Leave the photo with the person it shows, and delete it from the other folder.",
    "not seen": "Run mien check again.",
    "no face": "Nothing needs doing; it teaches nothing. Delete it, or find a larger picture of the face.",
    "several": "Nothing needs doing; the face most like the person's other photos is taken.",
    "copy": "Nothing needs doing; copies count once.",
}
"""What to do about each kind of finding, in the order in which they are told."""

HUMAN = frozenset({"unreadable", "suspect", "two people", "not seen"})
"""Kinds that need a human; after "not seen" nobody can tell yet."""

HELD = frozenset({"suspect", "two people"})
"""Kinds whose photos had better not be merged before somebody looked at them."""


@dataclass(frozen=True, slots=True)
class IntakeLooked:
    """What looking at the intakes did. `photos` counts files, `computed` the photos that were looked at in this run;
    `failures` are (path, error) of all that cannot be read; paths are relative to the album."""

    photos: int
    new: int
    changed: int
    gone: int
    computed: int
    failures: tuple[tuple[str, str], ...]

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        failures = [{"photo": path, "error": error} for path, error in self.failures]
        counts = {name: getattr(self, name) for name in ("photos", "new", "changed", "gone", "computed")}
        return {**counts, "unreadable": failures}


@dataclass(frozen=True, slots=True)
class IntakeFinding:
    """Something odd about a `photo` (path relative to the album): its `kind` (a key of REMEDIES), the `people`
    concerned (the one it is filed under first), `why` in a line, and what to do."""

    kind: str
    photo: str
    people: tuple[str, ...]
    why: str
    remedy: str

    @property
    def needs_human(self) -> bool:
        """Whether mien cannot deal with it by itself."""
        return self.kind in HUMAN


@dataclass(frozen=True, slots=True)
class IntakeChecked:
    """What was found in `photos` files, kind by kind, what needs a human first. `model` is the version whose word was
    heard, None if there was none that could be asked."""

    photos: int
    model: str | None
    findings: tuple[IntakeFinding, ...]

    @property
    def needs_human(self) -> bool:
        """Whether anything does."""
        return any(finding.needs_human for finding in self.findings)

    @property
    def counts(self) -> dict[str, int]:
        """How many findings there are of each kind that there is."""
        return dict(Counter(finding.kind for finding in self.findings))

    @property
    def held(self) -> frozenset[str]:
        """The photos to leave out of a merge that nobody watches."""
        return frozenset(finding.photo for finding in self.findings if finding.kind in HELD)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "photos": self.photos,
            "model": self.model,
            "needs_human": self.needs_human,
            "counts": self.counts,
            "held": sorted(self.held),
            "findings": [asdict(finding) | {"needs_human": finding.needs_human} for finding in self.findings],
        }


def look_at_intake(
    workspace: Workspace, catalog: Catalog, make_eyes: Callable[[], Eyes], progress: Progress
) -> IntakeLooked:
    """Looks at what is new in the intakes. Merged, it is known and not looked at again. The caller holds the lock."""
    encoder_id, waiting = make_eyes().encoder_id, workspace.walk_intakes()
    changes = catalog.sync_intakes(waiting, lambda path: file_sha256(workspace.waiting_file(path)))
    unseen = catalog.unseen_arrivals(encoder_id, CURABLE)
    look_at(unseen, workspace.waiting_file, catalog, make_eyes, workspace.settings.workers, progress)
    failures = [
        (one.path, f"{workspace.waiting_file(one.path)}: {UNREADABLE}. {REMEDIES['unreadable']}")
        for one in waiting.left_out
        if one.reason == UNREADABLE
    ]
    failures += changes.unreadable
    failures += [
        (path, f"{workspace.waiting_file(path)}: {error}") for path, error in sorted(catalog.broken_arrivals().items())
    ]
    return IntakeLooked(
        photos=len(waiting.placements),
        new=changes.new,
        changed=changes.changed,
        gone=changes.gone,
        computed=len(unseen),
        failures=tuple(failures),
    )


def check_intake(workspace: Workspace, catalog: Catalog, encoder_id: str, model: Model | None) -> IntakeChecked:
    """What is odd about the photos that wait, as far as `look_at_intake` has looked. A `model` made of another
    encoder's embeddings is not asked. Changes nothing. Raises StorageError and AlbumError."""
    waiting, known = workspace.walk_intakes(), catalog.arrivals(encoder_id)
    there = {placement.path for placement in waiting.placements}
    arrivals = Arrivals(tuple(one for one in known.arrivals if one.path in there), known.embeddings)
    if model is not None and model.encoder_id != encoder_id:
        model = None
    closed = {one.path for one in waiting.left_out if one.reason == UNREADABLE}
    unknown = there - {one.path for one in arrivals.arrivals}
    findings = [_finding("unreadable", path, (), UNREADABLE) for path in closed]
    findings += [_finding("not seen", path, (), "it was not looked at yet") for path in unknown]
    findings += _each(arrivals)
    suspects = list(_suspects(arrivals, model)) if model else []
    doubted = {finding.photo for finding in suspects}
    findings += suspects
    findings += _copies(arrivals, doubted, catalog.looks(encoder_id), catalog.training_set(encoder_id))
    order = list(REMEDIES)
    findings.sort(key=lambda finding: (order.index(finding.kind), finding.photo))
    return IntakeChecked(len(there), model.version if model else None, tuple(findings))


def _finding(kind: str, photo: str, people: Sequence[str], why: str, remedy: str = "") -> IntakeFinding:
    return IntakeFinding(kind, photo, tuple(people), why, remedy or REMEDIES[kind])


def _each(arrivals: Arrivals) -> Iterator[IntakeFinding]:
    """What is to be said of a photo by itself."""
    for one in arrivals.arrivals:
        person = [one.person]
        if one.error is not None:
            why, _, remedy = one.error.rpartition(". ")  # an error ends in its remedy, which is one sentence
            yield _finding("unreadable", one.path, person, why, remedy)
        elif not one.phash:
            yield _finding("not seen", one.path, person, "it was not looked at yet")
        elif not one.faces:
            yield _finding("no face", one.path, person, "no face was found")
        elif len(one.faces) > 1:
            yield _finding("several", one.path, person, f"{len(one.faces)} faces")


def _suspects(arrivals: Arrivals, model: Model) -> Iterator[IntakeFinding]:
    """Photos of somebody whom the model knows and does not see in them, where the face that fits best is clearly
    somebody else's whom it knows."""
    column = {person: number for number, person in enumerate(model.people)}
    asked = [one for one in arrivals.arrivals if one.faces and one.person in column]
    for one in asked:
        scores = model.head.scores(arrivals.embeddings[one.faces.start : one.faces.stop])
        answers = identify(scores, model.people, model.threshold, model.calibration, top=1)
        own = scores[:, column[one.person]]
        best = int(np.argmax(own))
        named, margin = answers[best].person, answers[best].score - float(own[best])
        if named is None or answers[best].probability < DECISIVE or margin < MISLABELLED:
            continue
        if one.person not in {answer.person for answer in answers}:
            why = f"the face is {named}'s ({answers[best].score:.3f}) rather than {one.person}'s ({own[best]:.3f})"
            yield _finding("suspect", one.path, [one.person, named], why)


@dataclass(frozen=True, slots=True)
class _Picture:
    """A file of the album: where it lies, whose it is said to be, and their own face in it, None if it is not known
    which; `bare` if there is no face in it at all."""

    path: str
    person: str
    sha256: str
    phash: str
    face: Floats | None
    bare: bool

    @property
    def look(self) -> str:
        """What pictures that look the same share, at least all of the same bytes: a hash of no picture says nothing."""
        return self.sha256 if self.phash in ("", FLAT) else self.phash


class _Shelf:
    """Many pictures, of which each can be asked for the others that are the same. By arrays, and each hash once: of a
    camera on a stand thousands look alike."""

    def __init__(self, pictures: Sequence[_Picture]) -> None:
        self._names, self._person = np.unique([one.person for one in pictures], return_inverse=True)
        _, self._content = np.unique([one.sha256 for one in pictures], return_inverse=True)
        nothing = np.zeros(DIMENSIONS, np.float32)
        self._face = np.stack([nothing if one.face is None else one.face for one in pictures])
        self._faced = np.array([one.face is not None for one in pictures])
        self._bare = np.array([one.bare for one in pictures])
        self._pictures = pictures
        by_look: dict[str, list[int]] = defaultdict(list)
        for number, one in enumerate(pictures):
            by_look[one.look].append(number)
        near = {look: [look] for look in by_look}
        hashes = [look for look in by_look if len(look) == len(FLAT)]
        for one_hash, other in near_pairs(hashes):
            near[hashes[one_hash]].append(hashes[other])
            near[hashes[other]].append(hashes[one_hash])
        self._alike = {
            look: np.sort(np.concatenate([np.array(by_look[other]) for other in others]))
            for look, others in near.items()
        }

    def same(self, number: int) -> dict[str, _Picture]:
        """For each person under whom the picture of this number lies as well, the first such file, one of the same
        bytes if there is any; of one person's two only the later one is told. Pictures that look alike are the same if
        the person's face is; a group photo that lies with each of its people is none."""
        others = self._alike[self._pictures[number].look]
        others = others[others != number]
        exact = self._content[others] == self._content[number]
        if self._faced[number]:
            same = self._faced[others] & (self._face[others] @ self._face[number] >= SAME_FACE)
        else:
            same = self._bare[others] & self._bare[number]
        own = self._person[others] == self._person[number]
        same = np.where(own, (others < number) & (exact | same), same)
        others, exact = others[same], exact[same]
        others = others[np.argsort(~exact, kind="stable")]
        people, first = np.unique(self._person[others], return_index=True)
        return {str(self._names[person]): self._pictures[others[at]] for person, at in zip(people, first, strict=True)}


def _copies(arrivals: Arrivals, doubted: Set[str], looks: Looks, album: TrainingSet) -> Iterator[IntakeFinding]:
    """Pictures that are in the album, or came before in the intakes, under the same person or under another. Those in
    `doubted` (paths) are held back already, and say nothing against the same picture under the right name."""
    means = {
        person: album.embeddings[album.person == number].mean(axis=0) for number, person in enumerate(album.people)
    }
    merged = [
        _Picture(
            look.path,
            look.person,
            look.sha256,
            look.phash,
            looks.embeddings[look.face] if look.face >= 0 else None,
            bool(look.phash) and not look.faces,
        )
        for look in looks.looks
    ]
    waiting = [picture for picture in _pictures(arrivals, means) if picture.path not in doubted]
    if not waiting:
        return
    shelf = _Shelf([*merged, *waiting])
    for number, picture in enumerate(waiting, len(merged)):
        same = shelf.same(number)
        if others := [person for person in same if person != picture.person]:
            where = same[others[0]].path
            yield _finding("two people", picture.path, [picture.person, *others], f"the same picture as {where}")
        elif same:
            where = same[picture.person].path
            yield _finding("copy", picture.path, [picture.person], f"the same picture as {where}")


def _pictures(arrivals: Arrivals, means: Mapping[str, Floats]) -> Iterator[_Picture]:
    """The arrivals; of several faces the person's own is the one most like their photos in the album."""
    for one in arrivals.arrivals:
        faces = arrivals.embeddings[one.faces.start : one.faces.stop]
        face = None
        if len(faces) == 1:
            face = faces[0]
        elif len(faces) and one.person in means:
            face = faces[int(np.argmax(faces @ means[one.person]))]
        yield _Picture(one.path, one.person, one.sha256, one.phash, face, bool(one.phash) and not one.faces)
