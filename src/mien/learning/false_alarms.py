"""False alarms by person: how many strangers would get each person's name. Pure arithmetic.

People who look like many others carry most of a model's false alarms, and one figure for all of them, the FPIR, hides
who they are. Two kinds of face play the stranger. Masked faces are the album's own, each with its person masked, as in
`mien.learning.crossval`. Bystanders are faces in the album's photos that are nobody's own face; one of them may be of
somebody enrolled who happens to stand there, so that the two are counted apart and never added.

The counts are for a human to look at. Thresholds are not shifted person by person: tried with the mean and with
quantiles of others' scores, on photos kept apart, that halved TPIR at FPIR 0.1 % with one encoder and brought nothing
with the other.
"""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from mien.learning.best import blocks
from mien.learning.crossval import HeldOut
from mien.learning.head import FittedHead, Ints
from mien.types import Floats


def count_masked(held: HeldOut, people: int, threshold: float) -> Ints:
    """(P,) how many masked faces get each person's name."""
    return np.bincount(held.rival[held.best_rival >= threshold], minlength=people)


def count_bystanders(head: FittedHead, bystanders: Iterable[Floats], threshold: float) -> tuple[Ints, int]:
    """(P,) how many bystanders get each person's name from a head that was fitted on everybody, and how many there are.
    `bystanders` come in any number of parts, (n, D) float32 each, of which one at a time is held."""
    people = len(head.vectors)
    named, seen = np.zeros(people, np.int64), 0
    for part in bystanders:
        seen += len(part)
        for some in blocks(len(part), max(people, len(head.exemplars))):
            scores = head.scores(part[some])
            best = scores.argmax(axis=1)
            reached = scores[np.arange(len(scores)), best].astype(np.float64) >= threshold
            named += np.bincount(best[reached], minlength=people)
    return named, seen
