"""A face as a small picture, for pages."""

from __future__ import annotations

from typing import Final

from mien.types import Face, Picture
from mien.vision.geometry import chip_from_landmarks
from mien.vision.images import encoded

SIDE: Final = 112
"""Pixels of a side: the size at which pages show a face, enough to tell who it is. About 4 kB as a JPEG."""


def thumbnail(picture: Picture, face: Face) -> bytes:
    """The `face` that was found in `picture`, upright, as a JPEG of `SIDE` x `SIDE` pixels without metadata.

    It is cut as for the encoder: turned, scaled and moved. The chips that `align` keeps are sheared as well, until eyes
    and nose lie where OpenFace wants them, which distorts a face in profile beyond recognition.
    """
    return encoded(chip_from_landmarks(picture.pixels, face.landmarks * picture.scale, SIDE), "JPEG", quality=80)
