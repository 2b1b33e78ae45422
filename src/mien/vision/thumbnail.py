"""Small faces for the page."""

from __future__ import annotations

from typing import Final

from mien.types import Face, Picture
from mien.vision.geometry import chip_from_landmarks
from mien.vision.images import encoded

SIDE: Final = 112
"""Pixels: what the page shows a face at, and enough to tell who it is. About 4 kB."""


def thumbnail(picture: Picture, face: Face) -> bytes:
    """A face that was seen in the picture, upright, as a JPEG of `SIDE` x `SIDE` pixels without any metadata.

    It is cut as for the encoder, by a similarity. OpenFace's chips, which `align` keeps, would not do: they are sheared
    until eyes and nose lie where they should, and a profile is then nobody's face.
    """
    return encoded(chip_from_landmarks(picture.pixels, face.landmarks * picture.scale, SIDE), "JPEG", quality=80)
