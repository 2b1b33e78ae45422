"""Tools of eyes that any number of threads use at once: each call borrows a set from a pool.

For a program that goes on for months, in which many threads see photos now and then: the networks are opened once a
core, however many threads there are.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from mien.engines.pool import Pool
from mien.seeing.eyes import Eyes
from mien.types import Alignment, Box, Cosines, Face, Floats, LeastQuality, Pixels


def shared_eyes(make: Callable[[], Eyes], most: int) -> Eyes:
    """Eyes as `make` makes them, of which at most `most` sets are opened and lent to one thread at a time. Raises what
    `make` raises."""
    first = make().open()
    pool = Pool(make, most, [first])
    return replace(
        first,
        detector=_Detector(pool, first.detector.id),
        landmarker=_Landmarker(pool, first.landmarker.id),
        encoder=_Encoder.of(pool, first),
    )


@dataclass(frozen=True)
class _Detector:
    pool: Pool[Eyes]
    id: str

    def detect(self, pixels: Pixels) -> list[Face]:
        with self.pool.borrow() as eyes:
            return eyes.detector.detect(pixels)


@dataclass(frozen=True)
class _Landmarker:
    pool: Pool[Eyes]
    id: str

    def landmarks(self, pixels: Pixels, boxes: Sequence[Box]) -> Floats:
        with self.pool.borrow() as eyes:
            return eyes.landmarker.landmarks(pixels, boxes)


@dataclass(frozen=True)
class _Encoder:
    pool: Pool[Eyes]
    id: str
    weights_sha256: str
    size: int
    dimensions: int
    alignment: Alignment
    cosines: Cosines | None
    least: LeastQuality

    @classmethod
    def of(cls, pool: Pool[Eyes], eyes: Eyes) -> _Encoder:
        one = eyes.encoder
        return cls(pool, one.id, one.weights_sha256, one.size, one.dimensions, one.alignment, one.cosines, one.least)

    def encode(self, chips: NDArray[np.uint8]) -> Floats:
        with self.pool.borrow() as eyes:
            return eyes.encoder.encode(chips)
