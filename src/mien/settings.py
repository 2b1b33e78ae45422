"""Typed settings of an album: default < mien.toml < environment (MIEN_PRECISION, ...) < flag.

Pydantic judges the values; pydantic-settings is not used, as importing it costs 0.2 s of CPU in every command.
"""

from __future__ import annotations

import difflib
import json
import os
import re
import stat
import tomllib
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from pathlib import Path
from typing import Annotated, Literal, NamedTuple

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, field_validator

from mien.errors import AlbumError, MienError, UsageError
from mien.servers import Server
from mien.text.buckets import require_bucket
from mien.text.names import FILE_NAME, nfc, quoted_name
from mien.text.words import listed
from mien.types import EncoderChoice

ENVIRONMENT_PREFIX = "MIEN_"
_LARGEST_BYTES = 1 << 20
"""Bytes of a mien.toml: a hundred for each of ten thousand people."""

VIEWS = (0, 1, 2, 4)
"""How many differently cut chips of a face may be averaged, the dial between time and accuracy; 0 is for as many as the
encoder's description says."""


def _names_once(value: object) -> object:
    """A table by names of people. Raises ValueError where two of its keys are one name, as one would be ignored."""
    first: dict[str, str] = {}
    for name in value if isinstance(value, dict) else ():
        if (other := first.setdefault(nfc(name), name)) != name:
            raise ValueError(f"{quoted_name(other)} and {quoted_name(name)} are one name")
    return value


def place_of_catalog(value: object) -> object:
    """A URL as the database of a server, and all else as it is. Raises ValueError for a URL of something else."""
    if isinstance(value, str) and "://" in value:
        scheme = value.partition("://")[0].lower()
        if scheme not in Server.SCHEMES:
            raise ValueError("it must be the path of a file, or postgresql://USER@HOST/DATABASE")
        return Server.of(value)
    return value


class SourceSettings(BaseModel):
    """The keys that any source of photos has in mien.toml. `model_extra` holds the keys of its kind, see
    docs/collecting.md."""

    model_config = ConfigDict(frozen=True, extra="allow", str_strip_whitespace=True)

    kind: str = Field(min_length=1, description='The kind of source: "folder", "bucket", "manifest", "feed" or "site".')
    basis: str = Field(default="", description='Why you may recognise the people in it, say "consent".')
    licence: str = Field(default="", description='By what right you have its photos, say "own work" or "CC-BY-4.0".')
    until: date | None = Field(default=None, description="The last day on which its photos may be used: 2027-12-31.")
    people: Annotated[dict[str, str], BeforeValidator(_names_once)] | None = Field(
        default=None,
        description='Whom to take from it: {"name there" = "name here"}; without it everybody whom it names.',
    )
    hosts: tuple[str, ...] = Field(
        default=(), description="Hosts it may reach beside those of its own addresses: where its pictures lie."
    )
    allow_private: bool = Field(default=False, description="true: it may reach addresses in your own network.")
    limit: int = Field(default=10_000, ge=1, description="New photos taken in one run at most, 1 or more.")
    max_megabytes: int = Field(default=64, ge=1, le=1024, description="Largest photo that is fetched, 1 to 1024 MB.")
    per_host: int = Field(default=4, ge=1, le=64, description="Requests to one host at once, 1 to 64.")
    delay: float = Field(default=0, ge=0, le=3600, description="Seconds between two requests to one host, 0 to 3600.")
    max_minutes: int = Field(
        default=120,
        ge=1,
        le=1440,
        description="Minutes that one run spends on it at most, 1 to 1440; what is left comes in the next run.",
    )
    recheck_days: int = Field(
        default=30, ge=0, description="Days after which a photo at a known address is asked for changes; 0: each time."
    )


class PersonSettings(BaseModel):
    """The keys that a person has in mien.toml."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    until: date = Field(description="The last day on which this person may be recognised: 2027-12-31.")


class ServerSettings(BaseModel):
    """The keys of the table [server] in mien.toml, which `mien serve` follows."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description='The address at which it listens; "0.0.0.0": at every address of this machine.',
    )
    port: int = Field(default=8000, ge=0, le=65535, description="The port; 0: any that is free.")
    max_megabytes: int = Field(default=32, ge=1, le=512, description="Largest request, 1 to 512 MB.")
    max_pictures: int = Field(default=16, ge=1, le=256, description="Pictures in one request, 1 to 256.")
    seconds: int = Field(
        default=60, ge=1, le=3600, description="Seconds in which a request must have come, and be answered, 1 to 3600."
    )
    waiting: int = Field(
        default=32,
        ge=0,
        le=10_000,
        description="Pictures that wait for their turn, beside those looked at; with more it answers 503.",
    )
    per_minute: int = Field(
        default=600, ge=0, le=1_000_000, description="Requests that each key has in a minute; 0: any number."
    )
    trusted_proxies: tuple[str, ...] = Field(
        default=(), description="Addresses of proxies whose X-Forwarded-For and -Proto are believed."
    )
    certificate: Path | None = Field(default=None, description="The TLS certificate (PEM), if no proxy has it.")
    certificate_key: Path | None = Field(default=None, description="The key of the certificate (PEM).")
    deepstack: bool = Field(
        default=False, description="true: it speaks DeepStack's language under /v1/vision/face, too."
    )
    deepstack_key: str = Field(
        default="",
        description="The name of a key: CodeProject.AI's clients, which send none, count as if they had sent that one.",
    )
    key_in_path: bool = Field(
        default=False,
        description="true: pictures of CompreFace's collection are had at addresses with the key, which proxies log.",
    )

    @field_validator("port", "max_megabytes", "max_pictures", "seconds", "waiting", "per_minute", mode="before")
    @classmethod
    def _truth_is_no_number(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("a number is needed")
        return value


class Settings(BaseModel):
    """The settings of an album. Each description stands in mien.toml, and in the error about a wrong value."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True)

    basis: str = Field(
        default="personal", min_length=1, description="The lawful basis for recognising these people, in your words."
    )
    encoder: str = Field(
        default="dlib-resnet",
        min_length=1,
        description="The encoder, which turns faces into numbers: one that `mien encoders` lists.",
    )
    precision: Literal["fp32", "int8"] = Field(
        default="fp32", description='"fp32", or "int8": 8-bit numbers; `mien encoders` measures what that brings here.'
    )
    views: int = Field(
        default=0,
        description=f"Views of a face that are averaged: {', '.join(map(str, VIEWS[1:]))}, fewer is faster; 0 is what "
        "suits the encoder.",
    )
    provider: Literal["cpu", "openvino", "cuda", "coreml", "directml"] = Field(
        default="cpu",
        description='Where the encoder is run: "cpu", "openvino", "cuda", "coreml", "directml"; see docs/encoders.md.',
    )
    commercial: bool = Field(
        default=False, description="true: refuse encoders whose licence does not allow commercial use."
    )
    workers: int = Field(
        default=0, ge=0, le=1024, description="Photos worked on at once, 0 to 1024; 0 is one for each core."
    )
    engine: Literal["local", "dask"] = Field(
        default="local",
        description='What looks at many photos: "local", threads of mien\'s own, or "dask", processes on any number of '
        "machines; see docs/engines.md.",
    )
    scheduler: str = Field(
        default="",
        pattern=r"^([a-z]+://[^/@\s]+:\d+)?$",
        description='The address of Dask\'s scheduler: "tcp://HOST:8786", or tls://; "": Dask runs on this machine, '
        "as long as a command does.",
    )
    resources: str = Field(
        default="",
        pattern=r"^([^=,\s]+=\d+(\.\d+)?([,\s]\s*[^=,\s]+=\d+(\.\d+)?)*)?$",
        description='What each block of photos takes of a worker of Dask, as its workers are told: "GPU=1".',
    )
    fpir: float = Field(
        default=0.01, gt=0, le=0.5, description="Share of strangers who may be given a name, above 0 and at most 0.5."
    )
    smallest_face: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="Smallest face that counts, in pixels of the full photo, up to 1024; 0 is 40, and less in photos "
        "that are small themselves.",
    )
    doubtful_faces: bool = Field(
        default=False, description="true: what only looks somewhat like a face counts as one (statues, paintings)."
    )
    chip_size: int = Field(
        default=96, ge=16, le=1024, description="Side of the pictures in aligned-images, 16 to 1024 pixels."
    )
    skip_multi: bool = Field(default=False, description="true: leave out training photos that show several faces.")
    head: str = Field(
        default="auto",
        min_length=1,
        description='Which head to train: prototypes, normalised, or "auto" to choose.',
    )
    minimum: int = Field(default=20, ge=1, description="Photos that each person should have, 1 or more.")
    strict: bool = Field(
        default=False,
        description="true: a photo that cannot be read makes an exit code of its own, as with --strict.",
    )
    keep: int = Field(
        default=30,
        ge=0,
        description="Models that `mien daily` keeps, beside the one in use and the one before; 0 keeps all.",
    )
    remember_days: int = Field(
        default=30,
        ge=0,
        le=3650,
        description="Days for which the faces in photos that mien was only asked about are remembered, so that asking "
        "again is quick, up to 3650; 0: not at all. `mien forget` drops them.",
    )
    remember_megabytes: int = Field(
        default=200,
        ge=0,
        le=1_000_000,
        description="Megabytes that they take at most, the oldest go first; 0: none are remembered.",
    )
    photos: str = Field(
        default="",
        description='The bucket in which the photos lie, if not in training-images: "s3://bucket/folder"; see '
        "docs/photos-in-a-bucket.md.",
    )
    models: str = Field(
        default="",
        description='The bucket in which the models are, if not in the folder models: "s3://bucket/folder", for this '
        "album alone; see docs/photos-in-a-bucket.md.",
    )
    catalog: Annotated[Path | Server | None, BeforeValidator(place_of_catalog)] = Field(
        default=None,
        description="Where the catalog lies, if not in the album: another file, as is needed on a network drive, or "
        "postgresql://USER@HOST/DATABASE, see docs/catalog-on-postgresql.md. Each album needs its own.",
    )

    contact: str = Field(
        default="", description="A web or mail address at which a site can reach you; mien sends it in its user agent."
    )
    max_hours: int = Field(
        default=8,
        ge=1,
        le=24,
        description="Hours that one run spends on all sources at most, 1 to 24; what is left comes in the next run.",
    )
    after_daily: tuple[str, ...] = Field(
        default=(), description='A command that gets the summary of `mien daily` as JSON: ["program", "argument"].'
    )
    server: ServerSettings = Field(
        default=ServerSettings(), description="How `mien serve` answers, a table [server]; see docs/serving.md."
    )
    sources: dict[str, SourceSettings] = Field(
        default={}, description="Where photos come from, each a table [sources.NAME]; see docs/collecting.md."
    )
    people: Annotated[dict[str, PersonSettings], BeforeValidator(_names_once)] = Field(
        default={}, description='What holds for one person only, each a table [people."NAME"].'
    )

    @property
    def choice(self) -> EncoderChoice:
        """The encoder that is asked for."""
        return EncoderChoice(
            self.encoder,
            self.precision,
            self.views,
            self.provider,
            self.commercial,
            self.smallest_face,
            self.doubtful_faces,
        )

    @field_validator(
        *("views", "workers", "fpir", "smallest_face", "chip_size", "minimum", "keep"),
        *("remember_days", "remember_megabytes"),
        mode="before",
    )
    @classmethod
    def _truth_is_no_number(cls, value: object) -> object:
        if isinstance(value, bool):
            raise ValueError("a number is needed")
        return value

    @field_validator("views")
    @classmethod
    def _known_views(cls, value: int) -> int:
        if value not in VIEWS:
            raise ValueError(f"it must be one of {', '.join(map(str, VIEWS))}")
        return value

    @field_validator("photos", "models")
    @classmethod
    def _a_bucket(cls, value: str) -> str:
        return require_bucket(value) if value else ""

    @field_validator("catalog")
    @classmethod
    def _a_file(cls, value: Path | Server | None) -> Path | Server | None:
        if isinstance(value, Path) and value.name in ("", ".."):
            raise ValueError("it must be the path of a file")
        return value


class _Origin(NamedTuple):
    """The place that a value came from ("in the environment"), and the error that a wrong value there is."""

    place: str
    error: type[MienError]


def load(folder: Path, overrides: Mapping[str, object], environment: Mapping[str, str] = os.environ) -> Settings:
    """The settings of the album in `folder`; `overrides` are the command's flags, None where one was not given.

    Raises AlbumError for a wrong mien.toml, and UsageError for a wrong environment variable or flag.
    """
    return _validated(folder, _read(folder / FILE_NAME), overrides, environment)


def _validated(
    folder: Path, of_file: Mapping[str, object], overrides: Mapping[str, object], environment: Mapping[str, str]
) -> Settings:
    """`load` of an album whose mien.toml says what `of_file` does."""
    values: dict[str, object] = {}
    origins: dict[str, _Origin] = {}
    for origin, layer in (
        (_Origin(f"in {folder / FILE_NAME}", AlbumError), of_file),
        (_Origin("in the environment", UsageError), _from_environment(environment)),
        (
            _Origin("on the command line", UsageError),
            {key: value for key, value in overrides.items() if value is not None},
        ),
    ):
        for key, value in layer.items():
            if key not in Settings.model_fields:
                raise _unknown(origin, key)
            values[key], origins[key] = value, origin
    try:
        return Settings.model_validate(values)
    except ValidationError as error:
        first = error.errors()[0]
        where = [str(step) for step in first["loc"]]
        key, origin = ".".join(where), origins[where[0]]
        match first["type"]:
            case "missing":
                what = "is missing"
            case "extra_forbidden":
                what = "is no setting"
            case _:
                key = key if "://" in str(first["input"]) else f"{key} = {_shown(first['input'])}"  # a password, say
                what = f"will not do: {_lower_first(first['msg'].removeprefix('Value error, '))}"
        raise origin.error(f"{key} {origin.place}", what, f"{where[-1]}: {_description(where)}") from error


def _description(where: Sequence[str]) -> str | None:
    """The description of the key at the path `where`: of a setting, or of a key in a table [sources.NAME] or
    [people.NAME]."""
    if where[0] == "server" and len(where) > 1:
        of_server = ServerSettings.model_fields
        return (
            of_server[where[1]].description
            if where[1] in of_server
            else f"The keys of [server] are {listed(of_server)}."
        )
    tables: Mapping[str, type[BaseModel]] = {"sources": SourceSettings, "people": PersonSettings}
    if where[0] in tables and len(where) > 2:
        fields = tables[where[0]].model_fields
        if where[2] in fields:
            return fields[where[2]].description
        return f"The keys of a table [{where[0]}.NAME] are {listed(fields)}."
    return Settings.model_fields[where[0]].description


_TABLES = {
    "server": """# [server]
# port = 8000""",
    "sources": """# [sources.club]
# kind = "folder"
# path = "/where/the/photographers/put/them"
# basis = "consent"
# licence = "own work\"""",
    "people": """# [people."Ada Example"]
# until = 2027-12-31""",
}
"""Examples of settings that have no default. Tables end a file, so these keys are the last of `Settings`."""


def template(basis: str, encoder: str = "") -> str:
    """The mien.toml of a new album: `basis` set, and `encoder` if one is named; everything else explained and commented
    out at its default."""
    blocks = [
        "# Settings of this album. Remove a leading # to change one; a flag or MIEN_<NAME> goes before this file."
    ]
    for key, field in Settings.model_fields.items():
        if key == "basis":
            line = f"basis = {_toml_string(basis)}"
        elif key == "encoder" and encoder:
            line = f"encoder = {_toml_string(encoder)}"
        elif key == "catalog":
            line = "# catalog = '/a/local/folder/catalog.sqlite'"
        elif key in _TABLES:
            line = _TABLES[key]
        else:
            line = f"# {key} = {json.dumps(field.get_default())}"
        blocks.append(f"# {field.description}\n{line}")
    return "\n\n".join(blocks) + "\n"


def checked_template(folder: Path, basis: str, encoder: str = "") -> str:
    """`template` for the album that `folder` is to become. Raises UsageError where the album could not be opened with
    it: for a basis that will not do, or a wrong environment variable."""
    text = template(basis, encoder)
    values = tomllib.loads(text)
    _validated(folder, values, {"basis": values["basis"]}, os.environ)
    return text


def with_value(text: str, key: str, value: str) -> str:
    """The text of a mien.toml with another value of a setting, all else as it was, comments and ends of lines too.
    Raises ValueError where its form is too unusual to be changed."""
    end_of_line = "\r\n" if "\r\n" in text else "\n"
    lines = text.splitlines()
    tables = (place for place, line in enumerate(lines) if re.match(r"\s*\[|# \[(server\]|(sources|people)\.)", line))
    end = next(tables, len(lines))
    wanted = f"{key} = {_toml_string(value)}"
    for pattern in (rf"\s*{key}\s*=", rf"\s*#\s*{key}\s*="):  # one that is set goes before one that is explained
        place = next((place for place in range(end) if re.match(pattern, lines[place])), None)
        if place is not None:
            comment = re.search(r"""["']\s*(#[^"']*)$""", lines[place])
            lines[place] = f"{wanted}  {comment[1]}" if comment else wanted
            break
    else:
        lines[end:end] = [wanted, ""]
    changed = end_of_line.join(lines) + end_of_line
    before, after = tomllib.loads(text), tomllib.loads(changed)
    if after != before | {key: value}:
        raise ValueError(key)
    return changed


def text_of(file: Path) -> str:
    """The text of a mien.toml. Raises AlbumError for one that is no text file or far too large, UnicodeDecodeError, and
    OSError."""
    mode = file.stat().st_mode
    if not (stat.S_ISREG(mode) or stat.S_ISDIR(mode)):  # a pipe would be waited for, and a device has no end
        raise AlbumError(str(file), "is not a file", "Put a text file there, as `mien init` writes it.")
    with file.open("rb") as opened:
        data = opened.read(_LARGEST_BYTES + 1)
    if len(data) > _LARGEST_BYTES:
        remedy = "Settings are some lines of text: another file may have come into their place."
        raise AlbumError(str(file), f"has more than {_LARGEST_BYTES >> 20} MB", remedy)
    return data.decode("utf-8-sig")  # Windows editors begin with a byte order mark


def _read(file: Path) -> dict[str, object]:
    try:
        return tomllib.loads(text_of(file))
    except FileNotFoundError:
        return {}
    except RecursionError as error:
        raise AlbumError(str(file), "has lists in lists without end", "Write each list on its own.") from error
    except UnicodeDecodeError as error:
        raise AlbumError(str(file), "is not UTF-8 text", "Save it again as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        remedy = "Write each setting as key = value, with text in quotes, and a Windows path in single ones."
        raise AlbumError(str(file), f"cannot be read: {_lower_first(str(error))}", remedy) from error
    except OSError as error:
        raise AlbumError(str(file), f"cannot be read: {error.strerror}", "Check its permissions.") from error


def _from_environment(environment: Mapping[str, str]) -> dict[str, object]:
    """The settings among the variables MIEN_*. Other such variables may be another program's (Kubernetes sets MIEN_PORT
    for a service called "mien"), and are left alone. Raises UsageError for one that looks like a misspelt setting."""
    layer: dict[str, object] = {}
    for name, value in environment.items():
        if name.upper().startswith(ENVIRONMENT_PREFIX):
            key = name[len(ENVIRONMENT_PREFIX) :].lower()
            if key in Settings.model_fields:
                layer[key] = value
            elif nearest := _nearest(key, cutoff=0.8):
                remedy = f"Did you mean {ENVIRONMENT_PREFIX}{nearest.upper()}?"
                raise UsageError(f"{name} in the environment", "is no setting", remedy)
    return layer


def _unknown(origin: _Origin, key: str) -> MienError:
    nearest = _nearest(key, cutoff=0.5)
    suggestion = f"Did you mean {nearest}? " if nearest else ""
    remedy = f"{suggestion}The settings are {listed(Settings.model_fields)}."
    return origin.error(f"{key} {origin.place}", "is no setting", remedy)


def _nearest(key: str, cutoff: float) -> str | None:
    known: Iterable[str] = Settings.model_fields
    return next(iter(difflib.get_close_matches(key.lower().replace("-", "_"), known, 1, cutoff)), None)


def _shown(value: object) -> str:
    if isinstance(value, str) and "://" in value:  # which may hold a password
        value = f"{value.partition('://')[0]}://..."
    return json.dumps(value, ensure_ascii=False, default=str)


def _lower_first(text: str) -> str:
    return text[:1].lower() + text[1:].rstrip(".")


def _toml_string(text: str) -> str:
    """`text` as a TOML basic string. JSON escapes as TOML does, except that it lets DEL through. A letter that is not
    Unicode (an undecodable byte of a command line) becomes "?"."""
    clean = text.encode("utf-8", "replace").decode("utf-8")
    return json.dumps(clean, ensure_ascii=False).replace("\x7f", "\\u007f")
