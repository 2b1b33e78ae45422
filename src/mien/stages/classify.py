"""classify: photos in, names out.

Goes in: photo files and a model. Comes out: one `Answer` a photo, in the order given, as they are ready. Knows no
album: a model folder is enough, and nothing of what it sees is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable
from pathlib import Path

import numpy as np

from mien.answers import Answer, NamedFace
from mien.engines import threads as pool
from mien.errors import PhotoError
from mien.learning.openset import identify
from mien.registry import Model
from mien.seeing.eyes import Eyes
from mien.types import Floats, SeenPhoto


def classify(
    photos: Iterable[Path], model: Model, make_eyes: Callable[[], Eyes], top: int = 3, workers: int = 0
) -> Generator[Answer]:
    """Answers for `photos` with the `top` best candidates per face. A photo that cannot be read gives an answer with
    its error; everything else that goes wrong is raised."""

    def look(eyes: Eyes, photo: Path) -> SeenPhoto | PhotoError:
        return eyes.look_at(photo)

    for path, seen in pool.run(photos, make_eyes, look, workers, in_order=True):
        if isinstance(seen, PhotoError):
            yield Answer(str(path), model.version, None, (), seen)
        else:
            yield Answer(str(path), model.version, seen.photo, _name(seen, model, top), None)


def _name(seen: SeenPhoto, model: Model, top: int) -> tuple[NamedFace, ...]:
    if not seen.faces:
        return ()
    embeddings: Floats = np.stack([one.embedding.vector for one in seen.faces])
    predictions = identify(model.head.scores(embeddings), model.people, model.threshold, model.calibration, top)
    return tuple(
        NamedFace(one.face, one.quality, prediction) for one, prediction in zip(seen.faces, predictions, strict=True)
    )
