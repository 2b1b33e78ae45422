"""What a model is known to be worth, from held-out scores. Pure arithmetic.

Each face of the album is asked about twice, by a head that was fitted without it: as itself (mated), and with its
person masked, as the stranger it would then be (non-mated).
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from mien import metrics
from mien.gallery import Calibration, Threshold, sureness
from mien.validation import HeldOut

BINS = 15
"""Of the reliability curve."""


SHARES = ("top1", "top3", "tpir", "tpir_at_fpir_1", "tpir_at_fpir_01", "fpir")


@dataclass(frozen=True, slots=True)
class Share:
    """`hits` of `of`, as a fraction with its 95 % Wilson interval; `value` is None where there was nothing to count."""

    hits: int
    of: int

    @property
    def value(self) -> float | None:
        return self.hits / self.of if self.of else None

    @property
    def low(self) -> float:
        return self.interval[0]

    @property
    def high(self) -> float:
        return self.interval[1]

    @property
    def interval(self) -> tuple[float, float]:
        return metrics.wilson(self.hits, self.of)


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Shares of mated faces: `top1`, `top3`; `tpir` named rightly at the threshold; `tpir_at_fpir_1` and `_01` at the
    threshold swept to name 1 % and 0.1 % of the masked. `fpir` is the share of the masked that the threshold names.
    `ece` of the mated and of the masked answers. `single` faces could only be asked about masked.

    `probability` and `correct` (N_mated,) are of the mated answers, `unknown` and `refused` (N_masked,) of the masked.
    """

    top1: Share
    top3: Share
    tpir: Share
    tpir_at_fpir_1: Share
    tpir_at_fpir_01: Share
    fpir: Share
    single: int
    ece_mated: float
    ece_non_mated: float
    probability: NDArray[np.float64]
    correct: NDArray[np.bool_]
    unknown: NDArray[np.float64]
    refused: NDArray[np.bool_]

    def counts(self) -> dict[str, int]:
        """For the card: what the shares were counted from."""
        found: dict[str, int] = {"single": self.single}
        for name in SHARES:
            share: Share = getattr(self, name)
            found |= {f"{name}_hits": share.hits, f"{name}_of": share.of}
        return found

    def figures(self) -> dict[str, float]:
        """For the card: every figure that there is, shares with the ends of their intervals."""
        found: dict[str, float] = {}
        for name in SHARES:
            share: Share = getattr(self, name)
            if share.value is not None:
                low, high = share.interval
                found |= {name: share.value, f"{name}_low": low, f"{name}_high": high}
        found |= {"ece_mated": self.ece_mated, "ece_non_mated": self.ece_non_mated}
        return {name: round(value, 6) for name, value in found.items() if np.isfinite(value)}


def measure(held: HeldOut, threshold: Threshold, calibration: Calibration) -> Measured:
    """What the held-out scores say of a model with this threshold and this calibration."""
    own, best = np.nan_to_num(held.own.astype(np.float64), nan=-np.inf), held.best_rival
    mated, masked = held.mated, np.isfinite(best)
    right = held.right
    ahead = (held.rivals >= held.own[:, None]).sum(axis=1)

    def reached(cut: float) -> Share:
        return Share(int(np.sum(right & (own >= cut))), int(mated.sum()))

    asked = sureness(np.column_stack([own, held.rivals])[mated], threshold, calibration)
    strange = sureness(held.rivals[masked], threshold, calibration)
    correct, refused = right[mated] & asked.named, ~strange.named
    return Measured(
        top1=Share(int(right.sum()), int(mated.sum())),
        top3=Share(int(np.sum(mated & (ahead < 3))), int(mated.sum())),
        tpir=reached(threshold.value),
        tpir_at_fpir_1=reached(metrics.threshold_at_fpir(best[masked], 0.01)),
        tpir_at_fpir_01=reached(metrics.threshold_at_fpir(best[masked], 0.001)),
        fpir=Share(int(strange.named.sum()), int(masked.sum())),
        single=int(np.sum(~mated)),
        ece_mated=metrics.expected_calibration_error(asked.answer, correct, BINS),
        ece_non_mated=metrics.expected_calibration_error(strange.answer, refused, BINS),
        probability=asked.answer,
        correct=correct,
        unknown=strange.answer,
        refused=refused,
    )
