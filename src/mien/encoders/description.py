"""What an encoder is, described: where its files come from, what they allow, and how a chip becomes their input.

A description is a TOML file of some ten lines (docs/encoders.md has one to begin with). Nothing in it is code: whatever
differs from encoder to encoder is a key, and `mien encoders add` makes one network of the files, which takes chips as
they are.
"""

from __future__ import annotations

import re
import tomllib
from pathlib import Path, PurePosixPath
from typing import Final, Literal
from urllib.parse import urlsplit

from pydantic import BaseModel, ConfigDict, Field, ValidationError, field_validator, model_validator

from mien.errors import EncoderError
from mien.storage.files import read_plain
from mien.text.shell import command
from mien.types import Alignment, Cosines, LeastQuality
from mien.vision.geometry import TEMPLATES

NAME: Final = r"[a-z0-9][a-z0-9.-]{0,39}"
"""What an encoder may be called: it names a folder, too."""

LARGEST = 1 << 30
"""Bytes of a file of an encoder, at most."""

_Point = tuple[float, float]
_LARGEST_TEXT = 1 << 20
"""Bytes of a description."""

_REMEDY = "Write it as docs/encoders.md shows."


class Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, allow_inf_nan=False)


class EncoderFile(Part):
    """A file that an encoder is made of. `name` is what it is called at its official address, or its path beside the
    description; `url` the address, "" where users must bring the file; `sha256` (hex) and `bytes` verify it."""

    name: str = Field(min_length=1)
    url: str = ""
    sha256: str = Field(default="", pattern="^([0-9a-f]{64})?$")
    bytes: int = Field(default=0, ge=0, le=LARGEST)

    @model_validator(mode="after")
    def _checkable(self) -> EncoderFile:
        if self.url:
            if urlsplit(self.url).scheme not in ("http", "https"):
                raise ValueError("an address begins with https://")
            if not (self.sha256 and self.bytes):
                raise ValueError("a file that is fetched needs its sha256 and its bytes")
        return self

    @property
    def file_name(self) -> str:
        """The last part of the name."""
        return PurePosixPath(self.name.replace("\\", "/")).name


class Description(Part):
    """An encoder as its TOML file describes it.

    `side` is that of a chip in pixels; the network gets `colour` channels, each (value - `mean`) / `scale`, channels
    first ("nchw") or last. `template` says where five points of a face lie in a chip: "dlib", another name in
    `mien.vision.geometry.TEMPLATES`, or five points (x, y) in pixels, in the order of `mien.types.Face.landmarks`.
    `close_up`: whether a face is looked at a second time, enlarged, for its points. `views` is the number of views that
    pays. `least` is what a face must be like to be recognised. `cosines` is what is true of
    its cosines, `measured` on what; without them each album measures its own.
    """

    name: str = Field(pattern=f"^{NAME}$")
    title: str = ""
    licence: str = Field(min_length=1)
    commercial: bool
    origin: str = ""
    trained_on: str = ""
    note: str = ""
    files: tuple[EncoderFile, ...] = Field(default=(), max_length=2)
    hosts: tuple[str, ...] = ()
    side: int = Field(ge=16, le=1024)
    colour: Literal["rgb", "bgr"] = "rgb"
    mean: float | tuple[float, float, float] = 0.0
    scale: float | tuple[float, float, float] = 1.0
    layout: Literal["nchw", "nhwc"] = "nchw"
    template: str | tuple[_Point, _Point, _Point, _Point, _Point]
    close_up: bool = True
    dimensions: int = Field(ge=2, le=4096)
    views: Literal[1, 2, 4] = 1
    least: LeastQuality = LeastQuality()
    measured: str = ""
    cosines: Cosines | None = None

    @field_validator("scale")
    @classmethod
    def _divides(cls, value: float | tuple[float, float, float]) -> float | tuple[float, float, float]:
        if 0 in (value if isinstance(value, tuple) else (value,)):
            raise ValueError("values are divided by it, so it must not be 0")
        return value

    @field_validator("template")
    @classmethod
    def _known(cls, value: str | tuple[_Point, ...]) -> str | tuple[_Point, ...]:
        if isinstance(value, str) and value not in ("dlib", *TEMPLATES):
            raise ValueError(f"it must be one of dlib, {', '.join(TEMPLATES)}, or five points")
        return value

    @model_validator(mode="after")
    def _a_face(self) -> Description:
        points = self.alignment.template
        if points is None:
            return self
        xs, ys = zip(*points, strict=True)
        if not (min(*xs, *ys) >= 0 and max(*xs, *ys) <= self.side):
            raise ValueError("the points of its template must lie in the chip, whose side is given")
        if max(xs) - min(xs) < self.side / 20 or max(ys) - min(ys) < self.side / 20:
            raise ValueError("the points of its template must lie apart, as eyes, nose and mouth do")
        return self

    @field_validator("files")
    @classmethod
    def _one_network(cls, value: tuple[EncoderFile, ...]) -> tuple[EncoderFile, ...]:
        endings = sorted(PurePosixPath(file.name).suffix.lower() for file in value)
        if value and endings not in ([".onnx"], [".bin", ".xml"]):
            raise ValueError("they must be one .onnx, or an OpenVINO .xml with its .bin")
        return value

    @property
    def alignment(self) -> Alignment:
        """How its chips are cut."""
        if self.template == "dlib":
            return Alignment(None, self.close_up)
        if isinstance(self.template, str):
            side, points = TEMPLATES[self.template]
            factor = self.side / side
            return Alignment(tuple((x * factor, y * factor) for x, y in points), self.close_up)
        return Alignment(self.template, self.close_up)

    @property
    def bytes(self) -> int:
        """The size of its files, as far as it is known."""
        return sum(file.bytes for file in self.files)

    def require_licence(self, commercial: bool) -> None:
        """Raises EncoderError where its use is to be `commercial`, and its licence does not allow that."""
        if commercial and not self.commercial:
            raise EncoderError(
                f"The encoder {self.name}",
                f"may not be used commercially, and commercial = true is set: its licence is {self.licence}",
                f"Choose another one: {command(None, 'encoders')} lists those that may.",
            )


def parse(text: str, about: str) -> Description:
    """The description in a TOML file called `about`. Raises EncoderError."""
    try:
        return Description.model_validate(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise EncoderError(about, f"cannot be read: {str(error)[:1].lower()}{str(error)[1:]}", _REMEDY) from error
    except RecursionError as error:
        raise EncoderError(about, "cannot be read: its lists are nested too deep", _REMEDY) from error
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"] if not _is_branch(step))
        what = first["msg"].removeprefix("Value error, ")
        said = {"missing": "is missing", "extra_forbidden": "is no key of a description"}.get(first["type"])
        raise EncoderError(
            f"{where} in {about}" if where else about, said or f"will not do: {what[:1].lower()}{what[1:]}", _REMEDY
        ) from error


def read(file: Path) -> Description:
    """The description in `file`. Raises EncoderError."""
    try:
        return parse(read_plain(file, _LARGEST_TEXT).decode("utf-8-sig"), str(file))
    except UnicodeDecodeError as error:
        raise EncoderError(str(file), "is not UTF-8 text", "Save it again as UTF-8.") from error
    except OSError as error:
        raise EncoderError(
            str(file), f"cannot be read: {error.strerror}", "Check the path and its permissions."
        ) from error


def _is_branch(step: int | str) -> bool:
    """Whether a step of pydantic's path names an alternative of a type ("tuple[float, ...]") and no key."""
    return isinstance(step, str) and not re.fullmatch(r"[a-z_0-9]+", step)
