"""enrol: one person into a model that is there, or out of it, without training; where there is none, it is begun.

Goes in: an album, the model in use, and a person whose faces are chosen. Comes out: a new version, in which that
person's rows alone are other ones, or gone. Everybody else's stay bit for bit, and their faces are not even read, so
the cost is that of the change and of writing the model down. Transform, threshold, calibration and figures are carried
over: they were fitted on other photos, and the card counts by how many, so that the next `train` fits everything anew.

Where no model is in use one is begun of everybody whose face is chosen. Threshold and calibration are then those that
were measured of the encoder beforehand, and as long as nothing else stands behind the threshold it follows the number
of people: that of one person would name most strangers among a hundred.
"""

from __future__ import annotations

import contextlib
from bisect import bisect_left
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from mien.errors import EncoderError, NoFaceError
from mien.learning.head import FittedHead, transformed, weights
from mien.learning.labels import find
from mien.learning.openset import Calibration, Threshold, choose_threshold
from mien.learning.search import Index
from mien.open_album import OpenAlbum
from mien.records.faces import TrainingSet
from mien.registry import versions
from mien.registry.card import ENROLLED_SINCE_FIT, HeadCard
from mien.registry.folder import Draft, Model, load_fitted, load_index
from mien.storage.layout import TRAINING
from mien.types import Cosines


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The version that knows the person now, by this many `photos`, and how many of these came or went since the
    version before; where none did, that version stays. `trained` says whether a training stands behind it: otherwise
    it was made by enrolling alone, and nobody has measured it."""

    version: str
    photos: int
    changed: int
    trained: bool = True


def enrol(album: OpenAlbum, model: Model | None, person: str) -> Enrolled:
    """Writes a version of `model` (made by the encoder in use) that knows `person` (NFC) as the catalog does; for no
    model, the first one.

    The person gets a mean, whatever head it is, in the directions that the head's transform gives. Making the version
    the current one is the caller's decision. Raises NoFaceError if no photo of the person shows a face; without a
    model EncoderError as `OpenAlbum.cosines`; DamagedModelError, StorageError.
    """
    encoder = album.encoder if model is None else model.encoder_id
    faces = album.catalog.faces.training_set(encoder, person)
    if not faces.sha256:
        raise NoFaceError(
            person, "has no photo in which a face was found", "Add photos that show the face, larger ones if you can."
        )
    if model is None:
        return Enrolled(versions.write(album.layout.models, _first(album)), len(faces.sha256), len(faces.sha256), False)
    changed = len({*faces.sha256} ^ {*model.card.photos.get(person, ())})
    if not changed:
        return Enrolled(model.version, len(faces.sha256), 0, model.is_trained)
    folder = versions.folder(album.layout.models, model.version)
    head, index = load_fitted(folder, model), load_index(folder, model)
    people, head, index = _placed(model.people, head, index, person, _own(album, head, faces))
    photos = {**model.card.photos, person: faces.sha256}
    draft = _draft(album, model, people, head, index, photos, changed)
    return Enrolled(versions.write(album.layout.models, draft), len(faces.sha256), changed, model.is_trained)


def _first(album: OpenAlbum) -> Draft:
    """A model of everybody whose face the encoder in use has chosen, as it would be written: a mean for each person,
    and what was measured of the encoder beforehand. Raises EncoderError."""
    faces, cosines = album.catalog.faces.training_set(album.encoder), album.cosines
    people, option = len(faces.people), album.tools.heads[0]
    theirs = ~find(faces.embeddings, faces.person, people, cosines).wrong
    weight = weights(faces.overall[theirs])
    photos: dict[str, list[str]] = {}
    left_out: dict[str, list[str]] = {}
    for person, sha256, counts in zip(faces.person, faces.sha256, theirs, strict=True):
        photos.setdefault(faces.people[person], []).append(sha256)
        if not counts:
            left_out.setdefault(faces.people[person], []).append(sha256)
    return Draft(
        people=faces.people,
        head=option.fit_for(cosines)(faces.embeddings[theirs], faces.person[theirs], people, weight),
        threshold=_beforehand(faces.people, photos, album.settings.fpir, cosines),
        calibration=Calibration(cosines.slope, cosines.temperature),
        encoder=album.encoder_card,
        chosen=HeadCard(name=option.name, tried={}),
        photos=photos,
        left_out=left_out,
        counts={ENROLLED_SINCE_FIT: len(faces.sha256)},
        metrics={},
        created=album.clock(),
        cosines=None if album.eyes().encoder.cosines else cosines,
    )


def _beforehand(people: Sequence[str], photos: Mapping[str, Sequence[str]], fpir: float, cosines: Cosines) -> Threshold:
    """The threshold of a gallery of these people with these photos, by what was measured of the encoder alone."""
    owner = np.repeat(np.arange(len(people)), [max(len(photos.get(person, ())), 1) for person in people])
    return choose_threshold(np.full(len(owner), -np.inf), owner, len(people), fpir, cosines)


def _own(album: OpenAlbum, head: FittedHead, faces: TrainingSet) -> FittedHead:
    """A head of the one person whose faces these are, to be a part of `head`."""
    theirs = ~find(faces.embeddings, faces.person, 1, album.cosines).wrong
    theirs |= faces.among(album.ledger.corrections.confirmed().photos)
    embeddings = faces.embeddings[theirs]
    if head.transform is not None:
        embeddings = transformed(embeddings, head.transform)
    fit = album.tools.heads[0].fit_for(album.cosines)
    own = fit(embeddings, np.zeros(len(embeddings), np.int64), 1, weights(faces.overall[theirs]))
    if head.share < 1:  # of an earlier version, in which everybody has exemplars beside the mean
        own = replace(own, exemplars=own.vectors, owner=np.zeros(1, np.int64))
    return own


def relearned(album: OpenAlbum, model: Model, some: Sequence[str]) -> Draft | None:
    """`model` (made by the encoder in use) as it knows these people if it knows of them what the catalog does, as it
    would be written: whoever has no face any more is out of it. None if it would know nobody. Raises
    DamagedModelError."""
    people, head, index = _loaded(album, model)
    photos: dict[str, Sequence[str]] = dict(model.card.photos)
    there, changed = album.catalog.files.people(TRAINING), 0
    for person in some:
        faces = album.catalog.faces.training_set(model.encoder_id, person)
        learned = faces.sha256 if person in there else ()  # who is called otherwise now is not there
        came_or_went = {*learned} ^ {*photos.pop(person, ())}
        changed += len(came_or_went)
        if came_or_went and (learned or person in people):
            own = _own(album, head, faces) if learned else None
            people, head, index = _placed(people, head, index, person, own)
        if learned:
            photos[person] = learned
    return _draft(album, model, people, head, index, photos, changed) if people else None


def renamed(album: OpenAlbum, model: Model, person: str, name: str) -> Draft:
    """`model` with another name for one of its people, as it would be written: all else is as it was, figures too.
    Raises DamagedModelError."""
    _, head, index = _loaded(album, model)
    at = model.people.index(person)
    mine = head.owner == at
    own = replace(
        head, vectors=head.vectors[at : at + 1], exemplars=head.exemplars[mine], owner=np.zeros(mine.sum(), np.int64)
    )
    others, head, index = _placed(model.people, head, index, person, None)
    people, head, index = _placed(others, head, index, name, own)

    def again(by_name: Mapping[str, Any]) -> dict[str, Any]:
        return {name if one == person else one: of_it for one, of_it in by_name.items()}

    draft = _draft(album, model, people, head, index, again(model.card.photos), 0)
    counts, alarms = model.card.counts, again(model.card.false_alarms)
    return replace(draft, left_out=again(model.card.left_out), counts=counts, false_alarms=alarms)


def withdraw(album: OpenAlbum, model: Model, person: str) -> Enrolled | None:
    """Writes a version of `model` that does not know `person`, one of its people; None if it knows nobody else.

    Making it the current one is the caller's decision. Raises DamagedModelError, StorageError.
    """
    draft = without(album, model, [person])
    if draft is None:
        return None
    photos = len(model.card.photos.get(person, ()))
    return Enrolled(versions.write(album.layout.models, draft), 0, photos, model.is_trained)


def without(album: OpenAlbum, model: Model, some: Collection[str]) -> Draft | None:
    """`model` without `some` of its people, as it would be written; None if it knows nobody else. Raises
    DamagedModelError."""
    if len(model.people) == len(some):
        return None
    people, head, index = _loaded(album, model)
    for person in some:
        people, head, index = _placed(people, head, index, person, None)
    photos = {name: theirs for name, theirs in model.card.photos.items() if name not in some}
    changed = sum(len(model.card.photos.get(person, ())) for person in some)
    return _draft(album, model, people, head, index, photos, changed)


def _loaded(album: OpenAlbum, model: Model) -> tuple[list[str], FittedHead, Index | None]:
    """The people of `model`, its head, and its index if it has one, to be changed."""
    folder = versions.folder(album.layout.models, model.version)
    return [*model.people], load_fitted(folder, model), load_index(folder, model)


def _draft(
    album: OpenAlbum,
    model: Model,
    people: Sequence[str],
    head: FittedHead,
    index: Index | None,
    photos: Mapping[str, Sequence[str]],
    changed: int,
) -> Draft:
    """`model` with another head, made of `photos`, of which so many came or went."""
    threshold = model.threshold
    if threshold.weight == 0:
        with contextlib.suppress(EncoderError):  # of an encoder that is not here any more it stays as it is
            threshold = _beforehand(people, photos, model.fpir, album.cosines_of(model))
    return Draft(
        people=people,
        head=head,
        threshold=threshold,
        calibration=model.calibration,
        encoder=model.card.encoder,
        chosen=model.card.head,
        photos=photos,
        left_out=_still(model.card.left_out, photos),
        counts=model.card.counts | {ENROLLED_SINCE_FIT: model.enrolled_since_fit + changed},
        metrics=model.card.metrics,
        created=album.clock(),
        cosines=model.card.cosines,
        index=index,
    )


def _still(left_out: Mapping[str, Sequence[str]], photos: Mapping[str, Sequence[str]]) -> dict[str, list[str]]:
    """Which photos do not count, of those that are known."""
    known = {person: {*photos.get(person, ())} for person in left_out}
    still = {person: [one for one in some if one in known[person]] for person, some in left_out.items()}
    return {person: some for person, some in still.items() if some}


def _placed(
    people: Sequence[str], head: FittedHead, index: Index | None, person: str, own: FittedHead | None
) -> tuple[list[str], FittedHead, Index | None]:
    """The sorted `people`, their head and their index with `own`, a head of `person` alone, in the place of that
    person's rows, or between those of the neighbours; without these rows where there is no `own`."""
    at = bisect_left(people, person)
    after = at + (person in people[at : at + 1])
    first, last = np.searchsorted(head.owner, [at, after])
    new = [] if own is None else [own]
    if index is not None:
        index = index.without_rows(np.arange(at, after))
        index = index if own is None else index.with_row(at, own.vectors[0])
    shift = at + len(new) - after
    return (
        [*people[:at], *[person] * len(new), *people[after:]],
        replace(
            head,
            vectors=np.concatenate([head.vectors[:at], *[one.vectors for one in new], head.vectors[after:]]),
            exemplars=np.concatenate([head.exemplars[:first], *[one.exemplars for one in new], head.exemplars[last:]]),
            owner=np.concatenate([head.owner[:first], *[one.owner + at for one in new], head.owner[last:] + shift]),
        ),
        index,
    )
