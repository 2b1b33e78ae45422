"""Which face in a photo is the person's: the one that agrees with that person's other photos. Pure arithmetic.

The largest face is often somebody else: the friend nearer the camera, the interviewer, a poster. But only one face
keeps coming back in the photos filed under one person, so each face is asked how well the *other* photos support it.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mien.types import Floats

WITNESSES = 200
"""The most photos that are asked, those with the fewest faces first: support is a mean, and more would only be slow."""

ROUNDS = 5
"""The most refinements; in practice the choice is stable after one or two."""


def rule(encoder_id: str, skip_multi: bool) -> str:
    """The name of the way in which faces are chosen; faces that were chosen in another way are chosen again."""
    return f"{encoder_id}, skip-multi" if skip_multi else encoder_id


def choose_faces(faces: Sequence[Floats], sizes: Sequence[NDArray[np.floating]]) -> list[int | None]:
    """For each photo of one person the index of the person's face, or None where the photo has no face.

    `faces[i]` is (F_i, D), the unit embeddings of photo i's faces; `sizes[i]` is (F_i,), their sides in pixels, which
    decide between equals and where there is no other photo to ask. The result does not depend on the order of the
    photos, but for ties among more than `WITNESSES` photos.
    """
    seen = [i for i, embeddings in enumerate(faces) if len(embeddings)]
    choice: list[int | None] = [None] * len(faces)
    if not seen:
        return choice
    if len(seen) == 1 or all(len(faces[i]) == 1 for i in seen):
        for i in seen:
            choice[i] = int(np.argmax(sizes[i]))
        return choice

    support = _support(faces, seen)
    for i in seen:
        choice[i] = _best(support[i], sizes[i])
    for _ in range(ROUNDS):
        total = np.sum([faces[i][choice[i]] for i in seen], axis=0, dtype=np.float64)
        changed = False
        for i in seen:
            if len(faces[i]) == 1:
                continue
            others = total - faces[i][choice[i]]  # a photo must not vote for its own choice
            better = _best(faces[i] @ others, sizes[i])
            if better != choice[i]:
                choice[i], total, changed = better, others + faces[i][better], True
        if not changed:
            break
    return choice


def _support(faces: Sequence[Floats], seen: Sequence[int]) -> dict[int, NDArray[np.float64]]:
    """For each photo, each face's mean cosine to the most similar face of every witness but the photo itself."""
    counts = [len(faces[i]) for i in seen]
    rows, photo = np.concatenate([faces[i] for i in seen]), np.repeat(seen, counts)
    total, asked = np.zeros(len(rows)), np.zeros(len(rows))
    for witness in sorted(seen, key=lambda i: len(faces[i]))[:WITNESSES]:
        other = photo != witness
        total += (rows @ faces[witness].T).max(axis=1) * other
        asked += other
    return dict(zip(seen, np.split(total / np.maximum(asked, 1), np.cumsum(counts)[:-1]), strict=True))


def _best(agreement: NDArray[np.floating], sizes: NDArray[np.floating]) -> int:
    """The face that agrees best; the larger one between equals."""
    return int(np.lexsort((-np.asarray(sizes), -np.round(agreement, 6)))[0])
