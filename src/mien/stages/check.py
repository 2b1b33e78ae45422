"""check: what on a shelf a human should look at, before it is learned from. Changes nothing.

Some things need a human, for nobody else can put them right: a photo under two people or, by its face, under the wrong
one, and what cannot be looked at. With the others training deals by itself - what is no photo, damaged, or without a
face teaches nothing, of several faces the person's own is taken, the same bytes count once, a poor face counts little -
and they are told, with people of few photos, for whoever wants a better album. Copies that were saved anew each count.

In training-images the album's own faces are asked. Of an intake the model in use is asked, whether the person's own
photos in the album agree, and whether it has these pictures already: a source says who is in a picture; here it is
asked whether that can be.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from typing import Any

import numpy as np

from mien import doubts
from mien.learning.copies import Copies, FiledPhoto
from mien.learning.head import Ints
from mien.learning.openset import identify
from mien.learning.own_face import rule
from mien.open_album import OpenAlbum
from mien.records.faces import SeenFile, SeenShelf, TrainingSet
from mien.registry.folder import Model
from mien.storage.layout import TRAINING, Shelf, shown
from mien.storage.walk import Shelved
from mien.text.findings import LACKING, FindingKind, LeftOutKind
from mien.text.kinds import Kind
from mien.text.names import nfc
from mien.types import Finding, Floats
from mien.vision.quality import POOR

DECISIVE = 0.9
"""Probability from which on the model's word for somebody else stands against the word of whoever filed the photo. With
a model of 6 photos of each sample person (one view), of their 288 others none was suspect under its own name, and 259
were under another's; at one half 277, at 0.99 142."""


@dataclass(frozen=True, slots=True)
class Checked:
    """What was found in `photos` files of `people`, kind by kind, what needs a human first. `model` is the version that
    was asked, None if there was none. `confirmed` counts the doubts of which a human has said that all is right, and
    which are no findings."""

    people: int
    photos: int
    model: str | None
    findings: tuple[Finding, ...]
    confirmed: int = 0

    @property
    def needs_human(self) -> bool:
        """Whether anything does."""
        return any(finding.needs_human for finding in self.findings)

    @property
    def lacks(self) -> bool:
        """Whether anything is left out or missing."""
        return any(finding.kind in LACKING for finding in self.findings)

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "people": self.people,
            "photos": self.photos,
            "model": self.model,
            "needs_human": self.needs_human,
            "findings": [finding.to_json() for finding in self.findings],
            "confirmed": self.confirmed,
        }


def check(album: OpenAlbum, shelves: Sequence[Shelf]) -> Checked:
    """Everything odd about what lies on these shelves (training-images, or intakes), as far as `align` has seen it.
    Raises StorageError and AlbumError."""
    shelved = album.walk(shelves)
    seen = _still_there(album.catalog.faces.on(shelves, album.encoder, TRAINING not in shelves), shelved)
    findings = list(_left_out(shelved))
    findings += _not_seen(album, shelved, seen)
    findings += _each(album, seen)
    model = None
    if TRAINING in shelves:
        if rows := album.ledger.damage_found:
            findings.append(Finding(FindingKind.RECORDS_DAMAGED, figures={"rows": rows}))
        findings += _of_training(album, shelved, seen)
    else:
        model = album.sound_model()
        if model is not None and not album.eyes().can_answer_for(model.encoder_id):
            model = None  # it was made of another encoder's embeddings
        findings += _of_intakes(album, seen, model)
    known = album.ledger.corrections.confirmed()
    filed = album.catalog.files.on([TRAINING, *shelves])
    photos = {shown(file.path): (file.person, file.sha256) for file in filed}
    left = [doubts.unconfirmed(finding, photos, known) for finding in findings]
    confirmed, findings = left.count(None), [finding for finding in left if finding]
    order = list(FindingKind)
    findings.sort(key=lambda one: (not one.needs_human, order.index(FindingKind.of(one.kind)), one.people, one.photos))
    version = model.version if model else None
    return Checked(len(shelved.people), len(shelved.files), version, tuple(findings), confirmed)


def _still_there(seen: SeenShelf, shelved: Shelved) -> SeenShelf:
    """What was seen in files that are there, or that nobody can look at now."""
    there = {file.path for file in shelved.files} | shelved.hidden(file.path for file in seen.files)
    return SeenShelf(tuple(file for file in seen.files if file.path in there), seen.embeddings)


def _left_out(shelved: Shelved) -> Iterator[Finding]:
    """What could not be looked at, and what is no photo that can be learned from, with the person in whose folder it
    lies, or whose folder it is."""
    for one in shelved.left_out:
        people = tuple(name for name in map(nfc, one.path.split("/")[1:2]) if name in shelved.people)
        if kind := CLOSED.get(one.kind):
            yield Finding(kind, people, (shown(one.path),), one.figures)
        else:
            yield Finding(FindingKind.LEFT_OUT, people, (shown(one.path),), {**one.figures, "left_out": str(one.kind)})


CLOSED: Mapping[Kind, FindingKind] = {
    LeftOutKind.UNREADABLE: FindingKind.CLOSED,
    LeftOutKind.AWAY: FindingKind.AWAY,
    LeftOutKind.BROKEN_LINK: FindingKind.BROKEN_LINK,
    LeftOutKind.EMPTIED: FindingKind.EMPTIED,
}
"""What is said of something that could not be looked at."""


def _not_seen(album: OpenAlbum, shelved: Shelved, seen: SeenShelf) -> Iterator[Finding]:
    drift = album.catalog.files.drift(shelved)
    if number := drift.new + drift.changed + sum(not file.seen for file in seen.files):
        yield Finding(FindingKind.NOT_SEEN, figures={"photos": number})
    elif TRAINING in shelved.shelves and (waiting := _waiting(album)):
        yield Finding(FindingKind.NOT_CHOSEN, tuple(sorted(waiting)))


def _waiting(album: OpenAlbum) -> Set[str]:
    """The people whose faces are to be chosen again."""
    by = rule(album.encoder, album.settings.skip_multi)
    return frozenset(album.catalog.faces.to_choose(album.encoder, by))


def _each(album: OpenAlbum, seen: SeenShelf) -> Iterator[Finding]:
    """What is to be said of a photo by itself."""
    several = FindingKind.SEVERAL_LEFT_OUT if album.settings.skip_multi else FindingKind.SEVERAL
    for file in seen.files:
        about = (file.person,), (shown(file.path),)
        if file.fault is not None:
            yield Finding(FindingKind.UNREADABLE, *about, {"fault": file.fault.value, **file.figures})
        elif file.phash and not file.faces:
            yield Finding(FindingKind.NO_FACE, *about)
        elif file.faces > 1:
            yield Finding(several, *about, {"faces": file.faces})
        if file.own >= 0 and file.overall < POOR:
            yield Finding(FindingKind.POOR, *about, {"quality": round(file.overall, 4), "least": POOR})


# Training-images


def _of_training(album: OpenAlbum, shelved: Shelved, seen: SeenShelf) -> Iterator[Finding]:
    files = seen.files
    pictures = Copies([_filed(file, _own(seen, file)) for file in files], album.cosines).pictures()
    there = {shown(file.path) for file in files}
    for guess in album.catalog.faces.guesses(album.encoder):
        if there >= set(guess.finding.photos):
            yield guess.finding
    paths = defaultdict[tuple[str, str], list[str]](list)
    for file in files:
        paths[file.person, file.sha256].append(shown(file.path))
    yield from doubts.in_album(album.catalog.faces.training_set(album.encoder), album.cosines, paths)
    yield from _few(album, shelved, files, pictures)
    together: dict[int, list[SeenFile]] = defaultdict(list)
    for file, picture in zip(files, pictures, strict=True):
        together[int(picture)].append(file)
    for same in together.values():
        yield from _copies(same)


def _copies(same: Sequence[SeenFile]) -> Iterator[Finding]:
    """Copies of one picture: under several people, and of one."""
    people = sorted({file.person for file in same})
    if len(people) > 1:
        photos = tuple(shown(file.path) for file in same)
        yield Finding(FindingKind.TWO_PEOPLE, tuple(people), photos, {"number": len(people)})
    for person in people:
        own = tuple(shown(file.path) for file in same if file.person == person)
        if len(own) > 1:
            yield Finding(FindingKind.COPIES, (person,), own, {"copies": len(own)})


def _few(album: OpenAlbum, shelved: Shelved, files: Sequence[SeenFile], pictures: Ints) -> Iterator[Finding]:
    """People with too few photos that show them, copies counted once; a photo that was not seen yet may show them, and
    so may those of people whose faces are to be chosen."""
    different: dict[str, set[object]] = defaultdict(set)
    known, waiting, minimum = {file.path for file in files}, _waiting(album), album.settings.minimum
    for file, picture in zip(files, pictures, strict=True):
        if file.own >= 0 or not file.seen or file.person in waiting:
            different[file.person].add(int(picture))
    for placed in shelved.files:
        if placed.path not in known:
            different[placed.person].add(placed.path)
    closed = {person for one in _left_out(shelved) if one.kind in CLOSED.values() for person in one.people}
    there = {file.person for file in files} | {file.person for file in shelved.files}
    for person in shelved.people:
        number = len(different[person])
        if not number and person in closed:
            continue  # of a closed folder nobody knows what is in it
        if person not in there:
            yield Finding(FindingKind.EMPTY, (person,))
        elif number < minimum:
            yield Finding(FindingKind.FEW, (person,), figures={"different": number, "minimum": minimum})


# Intakes


def _of_intakes(album: OpenAlbum, waiting: SeenShelf, model: Model | None) -> Iterator[Finding]:
    known = album.catalog.faces.training_set(album.encoder)
    means = _means(known)
    suspects = list(_suspects(album, waiting, model)) if model else []
    told = {photo for finding in suspects for photo in finding.photos}
    doubted = list(_doubts(album, waiting, known, means))
    wrong = {photo for finding in doubted for photo in finding.photos}
    there = list(_here_already(album, waiting, told, wrong, means))
    told |= {finding.photos[0] for finding in there if finding.kind == FindingKind.TWO_PEOPLE}
    yield from suspects
    yield from there
    yield from (finding for finding in doubted if not told.issuperset(finding.photos))


def _doubts(album: OpenAlbum, waiting: SeenShelf, known: TrainingSet, means: Mapping[str, Floats]) -> Iterator[Finding]:
    """What the faces that wait and those of the album say of the names under which they came."""
    asked = [(file, face) for file in waiting.files if (face := _likeliest(waiting, file, means)) is not None]
    if asked:
        files, faces = zip(*asked, strict=True)
        paths, people = (tuple(shown(file.path) for file in files), tuple(file.person for file in files))
        yield from doubts.in_intakes(known, doubts.Waiting(paths, people, np.stack(faces)), album.cosines)


def _suspects(album: OpenAlbum, waiting: SeenShelf, model: Model) -> Iterator[Finding]:
    """Photos of somebody whom the model knows and does not see in them, where the face that fits best is clearly
    somebody else's whom it knows."""
    column = {person: number for number, person in enumerate(model.people)}
    margin = album.cosines.mislabelled
    for file in (file for file in waiting.files if file.all_faces and file.person in column):
        faces = waiting.embeddings[file.all_faces.start : file.all_faces.stop]
        best_of_all = model.head.best(faces, 1, model.calibration.temperature)
        answers = identify(best_of_all, model.people, model.threshold, model.calibration, top=1)
        own = model.head.scores_of(faces, column[file.person])
        best = int(np.argmax(own))
        answer, mine = answers[best], float(own[best])
        if answer.person is None or answer.probability < DECISIVE or answer.score - mine < margin:
            continue
        if file.person not in {one.person for one in answers}:
            figures = {"rival": round(answer.score, 4), "own": round(mine, 4)}
            yield Finding(FindingKind.SUSPECT, (file.person, answer.person), (shown(file.path),), figures)


def _here_already(
    album: OpenAlbum, waiting: SeenShelf, told: Set[str], doubted: Set[str], means: Mapping[str, Floats]
) -> Iterator[Finding]:
    """Pictures that are in the album, or came before in the intakes, under the same person or under another. Those of
    which something was `told` (paths) are left out; those `doubted` say nothing against the same picture under the
    right name."""
    asked = [file for file in waiting.files if shown(file.path) not in told]
    if not asked:
        return
    merged = album.catalog.faces.on([TRAINING], album.encoder)
    files = [*merged.files, *asked]
    pictures = [_filed(file, _own(merged, file)) for file in merged.files]
    pictures += [_filed(file, _likeliest(waiting, file, means)) for file in asked]
    copies = Copies(pictures, album.cosines)
    for number in range(len(merged.files), len(files)):
        file, own, elsewhere = files[number], "", dict[str, str]()
        for other in copies.of(number).tolist():
            if files[other].person != file.person:
                if shown(files[other].path) in doubted and shown(file.path) not in doubted:
                    continue
                elsewhere.setdefault(files[other].person, shown(files[other].path))
            elif other < number:  # of one person's two the later one is told
                own = own or shown(files[other].path)
        if elsewhere:
            people = (file.person, *sorted(elsewhere))
            photos = (shown(file.path), elsewhere[people[1]])
            yield Finding(FindingKind.TWO_PEOPLE, people, photos, {"number": len(people)})
        elif own:
            yield Finding(FindingKind.COPIES, (file.person,), (shown(file.path), own), {"copies": 2})


def _means(known: TrainingSet) -> Mapping[str, Floats]:
    """The mean face of everybody in the album."""
    return {person: known.embeddings[known.person == number].mean(axis=0) for number, person in enumerate(known.people)}


def _likeliest(seen: SeenShelf, file: SeenFile, means: Mapping[str, Floats]) -> Floats | None:
    """The person's own face in a photo of an intake: the only one, or the one most like their photos in the album."""
    faces = seen.embeddings[file.all_faces.start : file.all_faces.stop]
    if len(faces) == 1:
        return np.asarray(faces[0], np.float32)
    if not len(faces) or file.person not in means:
        return None
    return np.asarray(faces[int(np.argmax(faces @ means[file.person]))], np.float32)


def _own(seen: SeenShelf, file: SeenFile) -> Floats | None:
    """The face in it that was chosen."""
    return seen.embeddings[file.own] if file.own >= 0 else None


def _filed(file: SeenFile, face: Floats | None) -> FiledPhoto:
    return FiledPhoto(file.person, file.sha256, file.phash, face, bool(file.phash) and not file.faces)
