"""Pictures as the network of retrain sees them: the largest face, cut for the encoder, or else the whole picture."""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from mien.seeing.eyes import Eyes, unit
from mien.types import Face, Floats, Picture, Pixels
from mien.vision.images import read_picture

NORM = 16.0
"""The length of a bottleneck. retrain.py's were long (those of Inception, some 20), and its learning rate was made for
them: of unit vectors 4,000 steps of 0.01 learn next to nothing."""


def chip_of(eyes: Eyes, picture: Path) -> Pixels:
    """(side, side, 3) uint8 RGB: what the encoder of `eyes` is given of the picture in a file. Raises PhotoError.

    An aligned face is one face, which is found in its picture again, and cut as the encoder wants it. A picture in
    which none is found is taken whole, as retrain.py took all pictures.
    """
    seen = read_picture(picture, least_scale=eyes.least_scale)
    face = largest_face(eyes, seen)
    if face is None:
        side = eyes.encoder.size
        return np.asarray(cv2.resize(seen.pixels, (side, side), interpolation=cv2.INTER_LINEAR), np.uint8)
    return np.asarray(eyes.encoder_chips(seen, face)[0], np.uint8)


def largest_face(eyes: Eyes, picture: Picture, only_one: bool = False) -> Face | None:
    """The face whose box is the largest, in pixels of the full photo; None where there is none, or `only_one` is
    wanted and there are more."""
    found = eyes.find(picture)
    if not found or (only_one and len(found) > 1):
        return None
    return eyes.closely(picture, max(found, key=_area))


def bottlenecks_of(eyes: Eyes, chips: NDArray[np.uint8]) -> Floats:
    """(N, D) float32 of the length `NORM`, for N chips (N, side, side, 3)."""
    return np.asarray(unit(eyes.encoder.encode(chips)) * np.float32(NORM), np.float32)


def _area(face: Face) -> float:
    x0, y0, x1, y1 = face.box
    return (x1 - x0) * (y1 - y0)
