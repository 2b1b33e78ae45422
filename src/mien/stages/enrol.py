"""enrol: one person into a model that is there, or out of it, without training.

Goes in: the current model, and a catalog that has chosen the person's faces. Comes out: a new version, in which that
person's rows alone are other ones, or gone. Everybody else's stay bit for bit, and their faces are not even read, so
the cost is that of the change and of writing the model down. Transform, threshold, calibration and metrics are carried
over: they were fitted on other photos, and the card counts by how many, so that the next `train` fits everything anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from mien.errors import NoFaceError
from mien.learning.head import Fit, Fitted, transformed, weights
from mien.records.catalog import Catalog
from mien.registry import ENROLLED_SINCE_FIT, Model, Provenance, load_fitted, write_model


@dataclass(frozen=True, slots=True)
class Enrolled:
    """The version that knows the person now, by this many `photos`, and how many of these came or went since the
    version before; where none did, that version stays."""

    version: str
    photos: int
    changed: int


def enrol(catalog: Catalog, models: Path, model: Model, fit: Fit, person: str, now: datetime) -> Enrolled:
    """Writes a version of `model` (in `models`, made by the encoder in use) that knows `person` as the catalog does.

    `fit` is the person's own part of the model's head, for embeddings that its transform was applied to; `person` is
    in NFC. Making the version the current one is the caller's decision. Raises NoFaceError if no photo of the person
    shows a face; DamagedModelError, StorageError.
    """
    album = catalog.training_set(model.encoder_id, person)
    if not album.sha256:
        raise NoFaceError(
            f"No face was found in any photo of {person}.", "Add photos that show the face, larger ones if you can."
        )
    changed = len({*album.sha256} ^ {*model.card.photos.get(person, ())})
    if not changed:
        return Enrolled(model.version, len(album.sha256), 0)
    head = load_fitted(models / model.version, model)
    faces = album.embeddings if head.transform is None else transformed(album.embeddings, head.transform)
    own = fit(faces, np.zeros(len(faces), np.int64), 1, weights(album.overall))
    people, head = _placed(model.people, head, person, own)
    photos = {**model.card.photos, person: album.sha256}
    version = _write(models, model, people, head, photos, changed, now)
    return Enrolled(version, len(album.sha256), changed)


def withdraw(models: Path, model: Model, person: str, now: datetime) -> Enrolled | None:
    """Writes a version of `model` that does not know `person`, one of its people; None if it knows nobody else.

    Making it the current one is the caller's decision. Raises DamagedModelError, StorageError.
    """
    if len(model.people) == 1:
        return None
    people, head = _placed(model.people, load_fitted(models / model.version, model), person, None)
    photos = {name: some for name, some in model.card.photos.items() if name != person}
    changed = len(model.card.photos.get(person, ()))
    return Enrolled(_write(models, model, people, head, photos, changed, now), 0, changed)


def _write(
    models: Path,
    model: Model,
    people: Sequence[str],
    head: Fitted,
    photos: Mapping[str, Sequence[str]],
    changed: int,
    now: datetime,
) -> str:
    """Writes `model` with another head, made of `photos`, of which so many came or went."""
    counts = model.card.counts | {ENROLLED_SINCE_FIT: model.enrolled_since_fit + changed}
    provenance = Provenance(model.card.encoder, model.card.head, photos, counts, model.card.metrics)
    return write_model(models, people, head, model.threshold, model.calibration, provenance, now)


def _placed(people: Sequence[str], head: Fitted, person: str, own: Fitted | None) -> tuple[list[str], Fitted]:
    """The sorted `people` and their head with `own`, a head of `person` alone, in the place of that person's rows, or
    between those of the neighbours; without these rows where there is no `own`."""
    at = bisect_left(people, person)
    after = at + (people[at : at + 1] == (person,))
    first, last = np.searchsorted(head.owner, [at, after])
    new = [] if own is None else [own]
    shift = at + len(new) - after
    return [*people[:at], *[person] * len(new), *people[after:]], replace(
        head,
        vectors=np.concatenate([head.vectors[:at], *[one.vectors for one in new], head.vectors[after:]]),
        exemplars=np.concatenate([head.exemplars[:first], *[one.exemplars for one in new], head.exemplars[last:]]),
        owner=np.concatenate([head.owner[:first], *[one.owner + at for one in new], head.owner[last:] + shift]),
    )
