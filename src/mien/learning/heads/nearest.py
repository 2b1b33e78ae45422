"""Nearest faces: a profile among somebody's photos should be able to answer for itself.

A prototype is a mean, and the mean of many frontal photos and one profile is frontal. So beside the prototype a
person's single faces are kept, and the most similar one has a part of the say.
"""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from mien.learning.head import Fit, FittedHead, Ints, transformed
from mien.types import Floats

SHARE = 0.6
"""The prototype's part of the say. 0.5 to 0.7 are alike on the training photos of LFW and `wild`; the single face
alone, or with more say, names more strangers."""

MOST = 32
"""Faces kept of a person, those least like the prototype, which stands for the others already."""


def with_nearest(fit: Fit) -> Fit:
    """The head that `fit` makes, and the single faces beside it."""

    def fitted(embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        head = fit(embeddings, person, people, weight)
        owner = person
        faces = transformed(embeddings, head.transform)
        along = np.einsum("nd,nd->n", faces, head.vectors[owner])
        order = np.lexsort((along, owner))  # by person, from the least to the most typical
        order = order[head.counted[order]]
        place = np.arange(len(order)) - np.searchsorted(owner[order], owner[order])
        kept = order[place < MOST]
        return replace(head, exemplars=faces[kept], owner=owner[kept], share=SHARE)

    return fitted
