"""Similarity as CompreFace's clients judge it: from 0 to 1, growing with mien's score, one half at mien's threshold.

Clients compare it with a figure of their own: Viseron with 0.5, Double Take with 0.6 for a match and 0.4 for unknown.
So it is the calibrated probability that a face is of somebody enrolled, read at the score for each subject: a face of
whose name mien is sure (`mien.learning.openset.SURE`, 0.75) lies above 0.6, and a face to which mien gives no name lies
below one half, whatever its score.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from mien.learning.openset import logistic
from mien.text.answers import AnswerKind
from mien.types import Prediction

DIGITS: Final = 5
"""Decimal places, as in CompreFace."""
BELOW_HALF: Final = 0.49999
"""The largest similarity of a face without a name."""


def similarities(prediction: Prediction, slope: float, most: int) -> list[tuple[str, float]]:
    """The nearest subjects for a face, known or not, each with its similarity, the nearest first. `slope` is that of
    the model's `mien.learning.openset.Calibration`."""
    found = []
    sure = is_named(prediction)
    for one in prediction.candidates[:most]:
        plain = float(logistic(np.array([slope * (one.score - prediction.threshold)]))[0])
        found.append((one.person, similarity(plain if sure or plain < 0.5 else plain / 2, sure)))
    return found


def is_named(prediction: Prediction) -> bool:
    """Whether a face gets a name. One whose person is in the photo a second time, more surely, gets none here."""
    reason = prediction.reason
    return prediction.person is not None and not (reason and reason.kind == AnswerKind.TWICE)


def similarity(probability: float, may_reach_half: bool = True) -> float:
    """A probability as similarity: rounded, and below one half unless it `may_reach_half`."""
    found = round(probability, DIGITS)
    return found if may_reach_half and probability >= 0.5 else min(found, BELOW_HALF)
