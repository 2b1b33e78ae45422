"""The words of mien, as frozen values. Needs numpy, the standard library, the errors, and the kinds of `mien.text`.

    Source -> Photo -> Face -> Chip -> Embedding -> Prediction

A step that learns more makes the next type; it never fills an optional field of the last. Pixels are always HxWx3 uint8
in RGB order; coordinates are pixels of the *upright* photo (EXIF orientation applied) at its full size, x to the right,
y down, pixel centres at whole numbers.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from typing import Any, Literal, Self

import numpy as np
from numpy.typing import NDArray

from mien.errors import PhotoError
from mien.text.answers import AnswerKind
from mien.text.kinds import Kind
from mien.text.photos import FileType
from mien.text.words import Figure, chance

Pixels = NDArray[np.uint8]
"""HxWx3 uint8, RGB."""
Floats = NDArray[np.float32]

FEW = 4
"""Photos or people that a line names."""

Box = tuple[float, float, float, float]
"""(x0, y0, x1, y1), pixels of the upright photo."""


@dataclass(frozen=True, slots=True)
class Photo:
    """One image as it was read from a file, or given as pixels.

    `sha256` is the photo's identity: the hex digest of the file's bytes, or for pixels that of "W x H pixels" in bytes,
    a line feed, and the upright RGB pixels that mien sees. `width` and `height` are of the upright photo at full size;
    `format` is Pillow's name of the file format ("JPEG"), "" for pixels; `phash` is its perceptual hash, 16 hex digits,
    by which copies are known (see `mien.vision.phash`).
    """

    sha256: str
    width: int
    height: int
    format: str
    phash: str


@dataclass(frozen=True, slots=True)
class By:
    """Who asks for a change in an album: the name of a server's `key`, "" for the command line and for a program that
    calls mien; and the server's id of the `request`."""

    key: str = ""
    request: str = ""


@dataclass(frozen=True, slots=True)
class Offer:
    """A photo that a source has. `location` (a URL, or a path in the source) is its identity there, `person` the name
    as the source gives it, `name` the file name it should get. `stamp` changes whenever the photo does ("" where a
    listing cannot tell); `licence` is the photo's own, "" for the source's. `listed` are the names in `person` where
    that may be a list of several people, "Ada and Bo"; a human says whether it is."""

    location: str
    person: str
    name: str
    stamp: str = ""
    licence: str = ""
    listed: tuple[str, ...] = ()


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
    number of anticlockwise quarter turns after which the face stands most nearly upright (0 for nearly all)."""

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


@dataclass(frozen=True, slots=True)
class LeastQuality:
    """The size (pixels) and the sharpness of a face, as in its `Quality`, below which an encoder tells nobody's name.
    Where nobody measured an encoder, these are the figures of dlib-resnet, which asks for more than retail-0095."""

    size: float = 28.0
    sharpness: float = 0.3


@dataclass(frozen=True, slots=True)
class Alignment:
    """How chips are cut for an encoder.

    `template` says where the five `Face.landmarks` lie in a chip, (x, y) in pixels; None is dlib's way, whose square
    follows its own five points as well. `close_up`: whether a face is looked at a second time, enlarged, for its
    landmarks.
    """

    template: tuple[tuple[float, float], ...] | None
    close_up: bool = True


@dataclass(frozen=True, slots=True)
class EncoderChoice:
    """Which encoder is wanted, and how. `name` is one of `mien encoders`; `views` is how many chips of a face an
    embedding is the mean of, 0 for as many as pay with this encoder; `provider` is where ONNX Runtime runs it;
    `commercial`: whether its licence must allow commercial use.

    `smallest_face` and `doubtful_faces` say which faces it is given, as the settings of these names do."""

    name: str = "dlib-resnet"
    precision: Literal["fp32", "int8"] = "fp32"
    views: int = 0
    provider: str = "cpu"
    commercial: bool = False
    smallest_face: int = 0
    doubtful_faces: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Embedding:
    """A unit float32 vector and the encoder that made it; comparing two encoder ids is an error."""

    vector: Floats
    encoder_id: str


@dataclass(frozen=True, slots=True)
class Cosines:
    """What is true of the cosines between one encoder's embeddings, measured once on photos of many people.

    Learning decides by cosines: who is too like somebody else, which score a stranger reaches, which two faces are one
    picture. How large such a cosine is differs from encoder to encoder, so each brings its own figures along
    (`mien.protocols.Encoder.cosines`), and no figure of one is used with the embeddings of another.

    `curve` (a, b, c, d): a share f of strangers scores a + b z + c z^2 + d / n or more against P people of n photos
    each, where z is `mien.learning.openset.normal_deviate`(P, f).
    `slope`, `temperature`: the `mien.learning.openset.Calibration` of an album that cannot show its own.
    `mislabelled`: by so much more does a wrongly labelled face agree with somebody else than with its own person.
    `contradicted`: so far below the median of its person's faces does a face lie that the others contradict.
    `same_face`: from this cosine on the faces in two pictures that look alike are one and the same face.
    `near_duplicate`: from this cosine on two faces of a person are of one picture: a copy, a crop, the next of a burst.
    `normalised` (offset, spread): where the scores of strangers lie under a normalised head, beside cosines to one mean
    a person (`mien.learning.head.Scale`); None where each album measures its own.
    """

    curve: tuple[float, float, float, float]
    slope: float
    temperature: float
    mislabelled: float
    contradicted: float
    same_face: float
    near_duplicate: float
    normalised: tuple[float, float] | None = None


@dataclass(frozen=True, slots=True, eq=False)
class SeenFace:
    """A face with what was computed from it."""

    face: Face
    quality: Quality
    embedding: Embedding

    def to_json(self) -> dict[str, Any]:
        """The same for programs, without the embedding."""
        return _face_json(self.face, self.quality)


@dataclass(frozen=True, slots=True, eq=False)
class SeenPhoto:
    """A photo with all its faces, left to right, as they were seen at `scale` times its size: an encoder is given no
    finer detail."""

    photo: Photo
    faces: tuple[SeenFace, ...]
    scale: float = 1.0


@dataclass(frozen=True, slots=True)
class Finding:
    """Something that mien has to say of an album, of two models, or of a run, as a kind and figures.

    `people` are the names of those concerned, the one it is about first; `photos` are paths of files of the album, as
    `mien.storage.layout.shown` writes them; `figures` what the words of the `kind` are filled with. The words may name
    `person` and `other`, the first two people. Where the figures name a `source`, the words go on from its name.
    """

    kind: Kind
    people: tuple[str, ...] = ()
    photos: tuple[str, ...] = ()
    figures: Mapping[str, Figure] = field(default_factory=dict)

    @property
    def needs_human(self) -> bool:
        """Whether mien cannot deal with it by itself."""
        return self.kind.needs(self.figures)

    @property
    def why(self) -> str:
        """It in words, without whom or what it is about."""
        return self.kind.say(self._filling)

    @property
    def remedy(self) -> str:
        """What to do about it, "" if nothing."""
        return self.kind.advise(self._filling)

    @property
    def about(self) -> tuple[str, ...]:
        """What or whom its words are about: photos, or people whom the words do not name themselves."""
        return self.photos or (self.people if "{person}" not in self.kind.words else ())

    @property
    def line(self) -> str:
        """All of it in a line: what or whom it is about, what it is, and what to do."""
        about = self.about
        start = f"{', '.join(about[:FEW])}{' …' if len(about) > FEW else ''}: " if about else ""
        if source := self.figures.get("source"):
            start = f"The source {source} "
        return f"{start}{self.why.rstrip('.')}. {self.remedy}".rstrip()

    @property
    def _filling(self) -> Mapping[str, object]:
        person, other = (*self.people, "", "")[:2]
        return {"person": person, "other": other, **self.figures}

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


@dataclass(frozen=True, slots=True)
class Candidate:
    """A person the probe may be: calibrated `probability`, and `score` on the scale of cosines, see
    `mien.learning.head`."""

    person: str
    probability: float
    score: float


@dataclass(frozen=True, slots=True)
class Prediction:
    """The answer for one face. `person` is None for unknown, and then `probability` is that of unknown. `score` is the
    best candidate's, and `threshold` what it had to reach. `candidates` are ranked, best first. `reason`, whose
    kind is of `mien.text.answers.AnswerKind`, says why the face is unknown, or what makes the name doubtful; None for a
    name without doubt."""

    person: str | None
    probability: float
    score: float
    threshold: float
    candidates: tuple[Candidate, ...]
    reason: Finding | None = None

    def at_least(self, least: float) -> Self:
        """See `Answer.at_least`."""
        if self.person is None or self.probability >= least:
            return self
        perhaps = Finding(AnswerKind.NEARLY, (self.person,))
        return replace(self, person=None, probability=1 - self.probability, reason=perhaps)


@dataclass(frozen=True, slots=True, eq=False)
class NamedFace:
    """A face with the model's answer."""

    face: Face
    quality: Quality
    prediction: Prediction

    def to_json(self) -> dict[str, Any]:
        """The same for programs: box and landmarks in pixels of the upright photo, figures to the digits that mean
        something."""
        prediction = self.prediction
        return {
            **_face_json(self.face, self.quality),
            "person": prediction.person,
            "probability": _rounded(prediction.probability, 6),
            "score": _rounded(prediction.score, 6),
            "threshold": _rounded(prediction.threshold, 6),
            "reason": str(prediction.reason.kind) if prediction.reason else None,
            "candidates": [
                {"person": c.person, "probability": _rounded(c.probability, 6), "score": _rounded(c.score, 6)}
                for c in prediction.candidates
            ],
        }


def _face_json(face: Face, quality: Quality) -> dict[str, Any]:
    return {
        "box": [_rounded(value, 1) for value in face.box],
        "detector_score": _rounded(face.detector_score, 4),
        "landmarks": [[_rounded(x, 1), _rounded(y, 1)] for x, y in face.landmarks],
        "quality": {name: _rounded(value, 4) for name, value in asdict(quality).items()},
    }


def _rounded(value: float, digits: int) -> float:
    return round(float(value), digits) + 0.0  # which makes 0.0 of -0.0


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class Answer:
    """One photo answered by one model.

    `path` is the photo's as it was given, or "image 2" for the second that has none; `model` the model's version;
    `faces` go from left to right. Where the photo could not be read, `photo` is None, `faces` is empty and `error` says
    why. `learned` are the people whom the model learned from this very photo: that it knows them proves nothing.
    """

    path: str
    model: str
    photo: Photo | None
    faces: tuple[NamedFace, ...]
    error: PhotoError | None
    learned: tuple[str, ...] = ()

    def __str__(self) -> str:
        """In a line: "party.jpg: Ada 98 %, unknown"."""
        if self.error:
            return f"{self.path}: {self.error.what}"
        faces = [f"{one.person} {chance(one.probability)}" if one.person else "unknown" for one in self.predictions]
        return f"{self.path}: {', '.join(faces) or 'no face'}"

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self}>"

    @property
    def predictions(self) -> tuple[Prediction, ...]:
        """What is answered of each face."""
        return tuple(face.prediction for face in self.faces)

    def at_least(self, least: float) -> Self:
        """The same where a name needs a probability of at least `least`: a less sure one is only who a face perhaps is,
        and the probability then that it is not that person."""
        faces = tuple(replace(face, prediction=face.prediction.at_least(least)) for face in self.faces)
        return replace(self, faces=faces)

    def to_json(self) -> dict[str, Any]:
        """The answer as `mien classify --json` prints it."""
        found: dict[str, Any] = {
            "photo": self.path,
            "width": self.photo.width if self.photo else None,
            "height": self.photo.height if self.photo else None,
            "model": self.model,
            "faces": [named.to_json() for named in self.faces],
        }
        if self.learned:
            found["learned"] = list(self.learned)
        if self.photo and self.photo.format == FileType.RAW:
            found["preview"] = True
        if self.error:
            found["error"] = self.error.to_json()
        return found
