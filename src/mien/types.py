"""The words of mien, as frozen values. Needs numpy, the standard library, and the kinds of `mien.text`.

    Source -> Photo -> Face -> Chip -> Embedding -> Prediction -> Verdict -> back into curation

A step that learns more makes the next type; it never fills an optional field of the last. Pixels are always HxWx3 uint8
in RGB order; coordinates are pixels of the *upright* photo (EXIF orientation applied) at its full size, x to the right,
y down, pixel centres at whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray

from mien.text.kinds import Kind
from mien.text.words import Figure

Pixels = NDArray[np.uint8]
"""HxWx3 uint8, RGB."""
Floats = NDArray[np.float32]

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1), pixels of the upright photo."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One image file as it was read.

    `sha256` is the hex digest of the file's bytes and the photo's identity; `width` and `height` are of the upright
    photo at full size; `format` is Pillow's name of the file format ("JPEG"); `phash` is its perceptual hash, 16 hex
    digits, by which copies are known (see `mien.vision.phash`).
    """

    sha256: str
    width: int
    height: int
    format: str
    phash: str


@dataclass(frozen=True, slots=True)
class Offer:
    """A photo that a source has. `location` (a URL, or a path in the source) is its identity there, `person` the name
    as the source gives it, `name` the file name it should get. `stamp` changes whenever the photo does ("" where a
    listing cannot tell); `licence` is the photo's own, "" for the source's."""

    location: str
    person: str
    name: str
    stamp: str = ""
    licence: str = ""


@dataclass(frozen=True, slots=True)
class Receipt:
    """How a photo was fetched: its `stamp` now, and what `robots` said ("" where there are no robots rules, as for a
    folder; "allowed", or "no robots.txt")."""

    stamp: str
    robots: str = ""


@dataclass(frozen=True, slots=True)
class Page:
    """A text that was fetched. `url` is that after all redirects, to which links in the text are relative; `charset` is
    what the server said of it, None if nothing."""

    url: str
    body: bytes
    charset: str | None


@dataclass(frozen=True, slots=True, eq=False)
class Picture:
    """A decoded photo: `pixels` (HxWx3 uint8 RGB, upright, read-only) may be smaller than the photo; `scale` is decoded
    size over full size, at most 1."""

    photo: Photo
    pixels: Pixels
    scale: float


@dataclass(frozen=True, slots=True, eq=False)
class Face:
    """One detection. `landmarks` is (5, 2) float32: right eye, left eye, nose tip, right and left mouth corner of the
    person (YuNet's order: the first eye is the one left in the picture of an upright frontal face). `turn` is the
    number of anticlockwise quarter turns after which the face stands upright (0 for nearly all)."""

    box: Box
    landmarks: Floats
    detector_score: float
    detector: str
    turn: int = 0


@dataclass(frozen=True, slots=True)
class Quality:
    """How much a face can be trusted, each in 0..1 (1 is best) except `size`, the side of the face in full-size pixels.

    `sharpness`, `pose` (1 frontal, 0 profile), `exposure`, and `overall`, their product with a size term.
    """

    size: float
    sharpness: float
    pose: float
    exposure: float
    overall: float


@dataclass(frozen=True, slots=True, eq=False)
class Chip:
    """An aligned face: `pixels` (SxSx3 uint8 RGB) cut by `template`."""

    pixels: Pixels
    template: str


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A unit float32 vector and the encoder that made it; comparing two encoder ids is an error."""

    vector: Floats
    encoder_id: str


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """A face with what was computed from it."""

    face: Face
    quality: Quality
    embedding: Embedding


@dataclass(frozen=True, slots=True, eq=False)
class SeenPhoto:
    """A photo with all its faces, left to right."""

    photo: Photo
    faces: tuple[SeenFace, ...]


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person the probe may be: calibrated `probability` and `score` (cosine to the person's prototype)."""

    person: str
    probability: float
    score: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one face. `person` is None for unknown, and then `probability` is that of unknown. `score` is the
    best candidate's, and `threshold` what it had to reach. `candidates` are ranked, best first."""

    person: str | None
    probability: float
    score: float
    threshold: float
    candidates: tuple[Candidate, ...]


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that mien has to say of an album, of two models, or of a run, as a kind and figures.

    `people` are the names of those concerned, the one it is about first; `photos` are paths of files of the album, as
    `mien.storage.layout.shown` writes them; `figures` what the words of the `kind` are filled with. The words may name
    `person` and `other`, the first two people.
    """

    kind: Kind
    people: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def needs_human(self) -> bool:
        """Whether mien cannot deal with it by itself."""
        return self.kind.needs_human

    @property
    def why(self) -> str:
        """It in words, without whom or what it is about."""
        person, other = (*self.people, "", "")[:2]
        return self.kind.say({"person": person, "other": other, **self.figures})

    @property
    def remedy(self) -> str:
        """What to do about it, "" if nothing."""
        return self.kind.remedy

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "kind": str(self.kind),
            "photos": list(self.photos),
            "people": list(self.people),
            "figures": dict(self.figures),
            "why": self.why,
            "remedy": self.remedy,
            "needs_human": self.needs_human,
        }
