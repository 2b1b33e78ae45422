"""enrol: one person into a model that is there, without training.

Goes in: the current model, and a catalog that has chosen the person's faces. Comes out: a new version, in which that
person's rows alone are other ones. Everybody else's stay bit for bit, and their faces are not even read, so the cost is
that of the change and of writing the model down. Transform, threshold, calibration and metrics are carried over: they
were fitted without these photos, and the card counts how many, so that the next `train` fits everything anew.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from mien.catalog import Catalog
from mien.errors import NoFaceError
from mien.fitted import Fit, Fitted, transformed, weights
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
    provenance = Provenance(
        model.card.encoder,
        model.card.head,
        model.card.photos | {person: list(album.sha256)},
        model.card.counts | {ENROLLED_SINCE_FIT: model.enrolled_since_fit + changed},
        model.card.metrics,
    )
    version = write_model(models, people, head, model.threshold, model.calibration, provenance, now)
    return Enrolled(version, len(album.sha256), changed)


def _placed(people: Sequence[str], head: Fitted, person: str, own: Fitted) -> tuple[list[str], Fitted]:
    """The sorted `people` and their head with `own`, a head of `person` alone, in the place of that person's rows, or
    between those of the neighbours."""
    at = bisect_left(people, person)
    after = at + (people[at : at + 1] == (person,))
    first, last = np.searchsorted(head.owner, [at, after])
    return [*people[:at], person, *people[after:]], replace(
        head,
        vectors=np.concatenate([head.vectors[:at], own.vectors, head.vectors[after:]]),
        exemplars=np.concatenate([head.exemplars[:first], own.exemplars, head.exemplars[last:]]),
        owner=np.concatenate([head.owner[:first], own.owner + at, head.owner[last:] + (at + 1 - after)]),
    )
