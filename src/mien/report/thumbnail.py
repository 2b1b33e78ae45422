"""Small faces for the page."""

from __future__ import annotations

import io
from typing import Final

from PIL import Image

from mien.types import Pixels

SIDE: Final = 112
"""Pixels: what the page shows a face at, and enough to tell who it is. About 4 kB."""


def thumbnail(pixels: Pixels) -> bytes:
    """A face (HxWx3 uint8 RGB) as JPEG, at most `SIDE` pixels wide and high, without any metadata."""
    image = Image.fromarray(pixels)
    image.thumbnail((SIDE, SIDE), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, "JPEG", quality=80, optimize=True)
    return file.getvalue()
