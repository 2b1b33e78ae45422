"""train: a head from the faces that an album has chosen, its threshold, its calibration, its card.

Goes in: a catalog that `align` brought up to date. Comes out: a new version in models/, and a `Trained` that describes
it; making it the current one is the caller's decision. The same album gives the same files, times and ids aside.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.catalog import Catalog
from mien.errors import NoFaceError
from mien.gallery import Threshold, fit_open_set
from mien.protocols import FittedHead
from mien.registry import EncoderCard, Model, Provenance, write_model
from mien.types import Floats


@dataclass(frozen=True, slots=True)
class Trained:
    """A new version. `self_top1` is the share of its own photos, each left out in turn, that it gives the right name;
    None where nobody has two."""

    version: str
    people: int
    photos: int
    left_out: int
    threshold: Threshold
    self_top1: float | None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return asdict(self)


Fit = Callable[[Floats, NDArray[np.int64], int], FittedHead]
"""(embeddings (N, D), person (N,) in 0..P-1, P) -> a head."""


def train(catalog: Catalog, models: Path, encoder: EncoderCard, fit: Fit, fpir: float, now: datetime) -> Trained:
    """Fits and writes a model. Raises NoFaceError if no photo shows a face; StorageError."""
    album = catalog.training_set(encoder.id)
    if not album.sha256:
        raise NoFaceError(
            "No face was found in any photo of the album.", "Add photos that show faces, larger ones if you can."
        )
    head = fit(album.embeddings, album.person, len(album.people))
    threshold, calibration = fit_open_set(album.embeddings, album.person, head.vectors, head.leave_one_out, fpir)
    self_top1 = _self_top1(head.scores(album.embeddings), album.person, head.leave_one_out)

    photos: dict[str, list[str]] = defaultdict(list)
    for person, sha256 in zip(album.person, album.sha256, strict=True):
        photos[album.people[person]].append(sha256)
    left_out = int(np.sum(~head.counted))
    version = write_model(
        models,
        album.people,
        head.vectors,
        threshold,
        calibration,
        Provenance(
            encoder,
            photos,
            {"photos": len(album.sha256), "left_out": left_out},
            {} if self_top1 is None else {"self_top1": round(self_top1, 6)},
        ),
        now,
    )
    return Trained(version, len(album.people), len(album.sha256), left_out, threshold, self_top1)


def is_current(model: Model, catalog: Catalog, encoder: EncoderCard, fpir: float) -> bool:
    """Whether training now would make the same model: of the same photos of the same people, by the same encoder."""
    album = {person: sorted(photos) for person, photos in catalog.training_photos(encoder.id).items()}
    return model.card.encoder == encoder and model.fpir == fpir and model.card.photos == album


def _self_top1(scores: Floats, person: NDArray[np.int64], own: Floats) -> float | None:
    """The share of faces that are nearer to their own person, without them, than to anybody else."""
    known = np.isfinite(own)
    if not known.any() or scores.shape[1] < 2:
        return None
    others = scores[known].copy()
    others[np.arange(len(others)), person[known]] = -np.inf
    return float(np.mean(own[known] > others.max(axis=1)))
