"""annotate: a copy of a photo with boxes and names on it. The original is only read."""

from __future__ import annotations

from pathlib import Path

from mien.answers import Answer, NamedFace
from mien.errors import PhotoError
from mien.files import make_folder
from mien.types import Box
from mien.vision.drawing import draw_names
from mien.vision.images import read_picture, write_jpeg

SIDE = 2400
"""Long side from which on the copy is smaller than the photo, pixels."""


def annotate(answer: Answer, target: Path) -> Path | None:
    """Writes the copy beside `target`'s name, as JPEG, and returns where; None for a photo that cannot be read.

    "a.jpg" becomes "a.jpg", "a.png" becomes "a.png.jpg", so that two photos never meet. Raises StorageError.
    """
    if answer.error:
        return None
    try:
        picture = read_picture(Path(answer.path), max_side=SIDE)
    except PhotoError:  # it was readable a moment ago
        return None
    pixels = draw_names(
        picture.pixels,
        [_scaled(named.face.box, picture.scale) for named in answer.faces],
        [f"{number} {label(named)}" for number, named in enumerate(answer.faces, 1)],
        [named.prediction.person is not None for named in answer.faces],
    )
    copy = target if target.suffix.lower() in (".jpg", ".jpeg") else target.with_name(f"{target.name}.jpg")
    make_folder(copy.parent)
    write_jpeg(copy, pixels)
    return copy


def _scaled(box: Box, scale: float) -> Box:
    x0, y0, x1, y1 = box
    return (x0 * scale, y0 * scale, x1 * scale, y1 * scale)


def label(named: NamedFace) -> str:
    """ "Ada 97 %", or "unknown"."""
    prediction = named.prediction
    return "unknown" if prediction.person is None else f"{prediction.person} {100 * prediction.probability:.0f} %"
