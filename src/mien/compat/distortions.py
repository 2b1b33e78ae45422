"""The distortions of retrain.py: pictures for training, resized, cropped, mirrored and brightened by chance."""

from __future__ import annotations

from typing import NamedTuple

import cv2
import numpy as np

from mien.types import Pixels


class Distortions(NamedTuple):
    """What is done by chance: mirroring of half the pictures, and percentages by which the picture may be larger than
    the crop that is taken of it (`crop` always, `scale` at most) and brighter or darker (`brightness`)."""

    flip: bool = False
    crop: int = 0
    scale: int = 0
    brightness: int = 0

    def __bool__(self) -> bool:
        """Whether there is anything to do."""
        return any(self)

    def of(self, pixels: Pixels, random: np.random.Generator) -> Pixels:
        """A distorted picture (side, side, 3) uint8 of such a one. retrain.py's order: resize, crop, mirror, brighten.
        What gets brighter than white is white (retrain.py let it be more)."""
        side = len(pixels)
        larger = int(side * (1 + self.crop / 100) * random.uniform(1, 1 + self.scale / 100))
        resized = np.asarray(cv2.resize(pixels, (larger, larger), interpolation=cv2.INTER_LINEAR), np.uint8)
        x, y = (int(at) for at in random.integers(0, larger - side + 1, 2))
        cropped = resized[y : y + side, x : x + side]
        if self.flip and random.random() < 0.5:
            cropped = cropped[:, ::-1]
        brighter = cropped * random.uniform(1 - self.brightness / 100, 1 + self.brightness / 100)
        return np.asarray(np.clip(np.rint(brighter), 0, 255), np.uint8)
