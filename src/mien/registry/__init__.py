"""Model versions on disk: write, promote, load. A model is a folder, written whole or not at all, then never changed.

    models/
      2026-11-23-001/
        model.onnx        "embedding" (N, 128) float32 -> "scores" (N, P) float32, cosines
        labels.txt        the P people in that order, one a line, UTF-8 in NFC
        thresholds.json   the open-set rule: `Threshold` and `Calibration`
        card.json         what the model is and was made of, and size and SHA-256 of the other files; sealed
      current             the name of the version in use

Everything that differs between two runs on the same album stands under "run" in the card; all else, and the other
files, are the same bytes. Loading believes nothing: sizes, hashes, types and numbers are checked, nothing is ever
unpickled, and no path is taken from a file. The hashes find damage, not forgery: who can write the folder can seal
anew.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import re
import shutil
import stat
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Final, Literal, TypeVar

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError

from mien.errors import AlbumError, DamagedModelError, EncoderMismatchError, ModelError
from mien.learning.head import Fitted
from mien.learning.openset import Calibration, Threshold
from mien.registry.graph import head_graph, head_of_graph
from mien.seeing.sessions import open_session
from mien.storage.files import storage_error, write_atomically
from mien.types import Floats

if TYPE_CHECKING:
    from onnxruntime import InferenceSession

NETWORK: Final = "model.onnx"
LABELS: Final = "labels.txt"
THRESHOLDS: Final = "thresholds.json"
CARD, CURRENT = "card.json", "current"
LARGEST = {NETWORK: 1 << 30, LABELS: 1 << 26, THRESHOLDS: 1 << 16, CARD: 1 << 28, CURRENT: 64}
"""Bytes, above what a model of a hundred thousand people and a million photos needs. More is not read."""

_REMEDY = "Make a new model with `mien train`."
_PACKAGES = ("mien", "numpy", "onnxruntime", "opencv-python-headless", "pillow")
_VERSION = r"[0-9]{4}-[0-9]{2}-[0-9]{2}-[0-9]{3,6}"
_LEFTOVER = re.compile(rf"\.mien-(?:new-{_VERSION}|[0-9a-f]{{16}})\.tmp")
"""What a killed run may leave in models/: a folder of `write_model`, a file of `write_atomically`."""

ENROLLED_SINCE_FIT: Final = "enrolled_since_fit"
"""Among a card's counts, where there are any: photos that came or went since head, threshold, calibration and metrics
were fitted; see `mien.stages.enrol`."""

Sha256 = Annotated[str, Field(pattern="^[0-9a-f]{64}$")]
Count = Annotated[int, Field(ge=0)]
Name = Annotated[str, Field(min_length=1)]


class _Part(BaseModel):
    """Strict: a file that says "3" for 3, NaN, or something mien does not know, is refused."""

    model_config = ConfigDict(frozen=True, strict=True, extra="forbid", allow_inf_nan=False)


class EncoderCard(_Part):
    """Which encoder made the embeddings, the hash of its weights, and the settings that choose it again."""

    id: Name
    precision: Literal["fp32", "int8"]
    weights_sha256: Sha256
    views: Literal[1, 2, 4]


class HeadCard(_Part):
    """The head that was chosen, and what each that was tried costs a face, in nats (see `crossval.log_loss`)."""

    name: Name
    tried: dict[str, float]


class FileCard(_Part):
    bytes: Count
    sha256: Sha256


class RunCard(_Part):
    """What no two runs share; `created` is ISO 8601, `seal` the SHA-256 of the card without it."""

    version: Annotated[str, Field(pattern=f"^{_VERSION}$")]
    created: Name
    seal: Sha256 | Literal[""]


class Card(_Part):
    """card.json. `photos` are the SHA-256 of the photos used, by person; `counts` and `metrics` what training counted
    and measured; `packages` the versions it ran with."""

    format: Literal[1] = 1
    encoder: EncoderCard
    head: HeadCard
    people: Annotated[int, Field(ge=1)]
    photos: dict[str, list[Sha256]]
    counts: dict[str, Count]
    metrics: dict[str, float]
    packages: dict[str, str]
    files: Annotated[dict[Literal["model.onnx", "labels.txt", "thresholds.json"], FileCard], Field(min_length=3)]
    run: RunCard


class _Rule(_Part):
    """thresholds.json."""

    threshold: Threshold
    calibration: Calibration


@dataclass(frozen=True, slots=True)
class Provenance:
    """What a model was made of, for its card: the encoder, the head, the SHA-256 of each person's photos, counts and
    metrics."""

    encoder: EncoderCard
    head: HeadCard
    photos: Mapping[str, Sequence[str]]
    counts: Mapping[str, int]
    metrics: Mapping[str, float]


@dataclass(frozen=True, slots=True, eq=False)
class OnnxHead:
    """The `Head` of a model folder."""

    people: tuple[str, ...]
    session: InferenceSession

    def scores(self, embeddings: Floats) -> Floats:
        """(N, P) float32 for (N, D) float32; see `mien.protocols.Head`."""
        (found,) = self.session.run(["scores"], {"embedding": np.ascontiguousarray(embeddings, dtype=np.float32)})
        return np.asarray(found, dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model as loaded and checked."""

    people: tuple[str, ...]
    head: OnnxHead
    threshold: Threshold
    calibration: Calibration
    card: Card

    @property
    def version(self) -> str:
        return self.card.run.version

    @property
    def encoder_id(self) -> str:
        return self.card.encoder.id

    @property
    def fpir(self) -> float:
        return self.threshold.fpir

    @property
    def enrolled_since_fit(self) -> int:
        """Photos enrolled without training."""
        return self.card.counts.get(ENROLLED_SINCE_FIT, 0)

    def require_encoder(self, encoder_id: str) -> None:
        """Raises EncoderMismatchError unless the model was made from this encoder's embeddings."""
        if encoder_id != self.encoder_id:
            raise EncoderMismatchError(
                f"The model {self.version} was made with the encoder {self.encoder_id}, the faces with {encoder_id}.",
                "Set precision and views back to what they were, or make a new model with `mien train`.",
            )


def write_model(
    models: Path,
    people: Sequence[str],
    head: Fitted,
    threshold: Threshold,
    calibration: Calibration,
    provenance: Provenance,
    now: datetime,
) -> str:
    """Writes a new version into the folder `models` and returns its name; it is not the current one until `promote`d.

    `head` scores in the order of `people`. Whatever happens on the way, the version is there whole or
    not at all. Versions sort by time: the day of `now` and a counter. The caller holds the album's lock. Raises
    AlbumError for a name that cannot stand in labels.txt, StorageError if the disk refuses.
    """
    contents = {
        NETWORK: head_graph(head),
        LABELS: _labels(people),
        THRESHOLDS: _json(_Rule(threshold=threshold, calibration=calibration)),
    }
    try:
        models.mkdir(parents=True, exist_ok=True)
        _sweep(models)
        version = _next_version(models, now)
    except OSError as error:
        raise storage_error(models, error) from error
    contents[CARD] = _json(_sealed(_card(version, now, len(people), provenance, contents)))
    final, making = models / version, models / f".mien-new-{version}.tmp"
    try:
        making.mkdir()
        for name, data in contents.items():
            write_atomically(making / name, data)  # each reaches the disk before the folder takes its name
        os.rename(making, final)  # noqa: PTH104 - the call whose atomicity is documented
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        shutil.rmtree(making, ignore_errors=True)
        if isinstance(error, OSError):
            raise storage_error(final, error) from error
        raise
    return version


def settled(models: Path, version: str) -> str:
    """`version`, or the one before it if they are the same but for "run" in the card: then a run that was killed made
    that, and `version`, which was just written anew, is deleted. Raises StorageError."""
    *_, twin, newest = [None, None, *versions(models)]
    if twin is None or newest != version:
        return version
    with contextlib.suppress(DamagedModelError):
        card, other = load_card(models / version), load_card(models / twin)
        if other.model_copy(update={"run": card.run}) == card and version != current(models):
            load_model(models / twin)  # or what is kept would be damaged
            drop(models, version)
            return twin
    return version


def promote(models: Path, version: str, before: Callable[[], None] = lambda: None) -> None:
    """Makes `version` the current one, after loading it: a damaged model never becomes current. `before` is called in
    between, for what is to be on record first.

    Raises ModelError if there is no such version, DamagedModelError, StorageError.
    """
    load_version(models, version)
    before()
    write_atomically(models / CURRENT, f"{version}\n".encode())


def current(models: Path) -> str | None:
    """The version in use; None before the first. Raises DamagedModelError if it is gone, or `current` names none."""
    file = models / CURRENT
    if not os.path.lexists(file):
        return None
    version = _read(file).decode("ascii", errors="replace").rstrip()
    if not re.fullmatch(_VERSION, version):
        raise _damaged(file, "it does not name a version")
    if not (models / version).is_dir():
        raise _damaged(file, f"it names {version}, which is not there")
    return version


def versions(models: Path) -> list[str]:
    """All versions, oldest first."""
    if not models.is_dir():
        return []
    found = [entry.name for entry in models.iterdir() if re.fullmatch(_VERSION, entry.name) and entry.is_dir()]
    return sorted(found, key=_age)


def retire(models: Path) -> None:
    """Leaves no version in use. Raises StorageError."""
    try:
        (models / CURRENT).unlink(missing_ok=True)
    except OSError as error:
        raise storage_error(models / CURRENT, error) from error


def drop(models: Path, version: str) -> None:
    """Deletes a version that is not in use, in one step. Raises ModelError if it is in use, StorageError."""
    if version == current(models):
        raise ModelError(f"{version} is in use.", "Put another into use first: mien models promote")
    leaving = models / f".mien-new-{version}.tmp"  # what `_sweep` clears away should this be killed
    try:
        shutil.rmtree(leaving, ignore_errors=True)
        os.rename(models / version, leaving)  # noqa: PTH104 - the call whose atomicity is documented
        shutil.rmtree(leaving)
    except OSError as error:
        raise storage_error(models / version, error) from error


def that_know(models: Path, person: str) -> list[str]:
    """The versions that know `person` (NFC), oldest first; what cannot be read is passed over."""
    found = []
    for version in versions(models):
        with contextlib.suppress(DamagedModelError):
            file = models / version / LABELS
            if person in _people(file, _read(file)):
                found.append(version)
    return found


def fitted_alike(models: Path, model: Model) -> list[str]:
    """The version of `model` and those with the same threshold and calibration, newest first: the one in which these
    were fitted and all that were made from it by enrolling."""
    rule = model.card.files[THRESHOLDS]
    found = []
    for version in reversed(versions(models)):
        with contextlib.suppress(DamagedModelError):
            _read_as(models / version / THRESHOLDS, rule)
            found.append(version)
    return found


def load_model(folder: Path) -> Model:
    """The model in `folder`, checked from end to end. Any folder with the four files will do; others are ignored.

    Raises ModelError if there is no such folder, DamagedModelError naming the file for everything else.
    """
    if not folder.is_dir():
        raise ModelError(f"{folder}: there is no model.", _REMEDY)
    card = load_card(folder)
    contents = {name: _read_as(folder / name, expected) for name, expected in card.files.items()}
    rule = _parse(_Rule, folder / THRESHOLDS, contents[THRESHOLDS])
    if not (rule.calibration.slope > 0 and rule.calibration.temperature > 0):
        raise _damaged(folder / THRESHOLDS, "slope and temperature must be above 0")
    people = _people(folder / LABELS, contents[LABELS])
    if len(people) != card.people:
        raise _damaged(folder / LABELS, f"it names {len(people)} people, and the card says {card.people}")
    session = _session(folder / NETWORK, contents[NETWORK], len(people))
    return Model(people, OnnxHead(people, session), rule.threshold, rule.calibration, card)


def load_version(models: Path, version: str) -> Model:
    """The model of this name in the folder `models`. Raises ModelError if there is none, DamagedModelError."""
    if version not in versions(models):
        raise ModelError(f"{models}: there is no version {version!r}.", "`mien models` names those there are.")
    return load_model(models / version)


def load_card(folder: Path) -> Card:
    """The card of the model in `folder`, checked; the other files are not read. Raises DamagedModelError."""
    sealed = _read(folder / CARD)
    card = _parse(Card, folder / CARD, sealed)
    bare = sealed.replace(f'"seal": "{card.run.seal}"'.encode(), b'"seal": ""', 1)  # as it was when it was hashed
    if hashlib.sha256(bare).hexdigest() != card.run.seal:
        raise _damaged(folder / CARD, "it is not what it was when the model was written")
    return card


def cards(models: Path) -> dict[str, Card | DamagedModelError]:
    """The card of each version, oldest first, or what is wrong with it: a list shows that too."""
    found: dict[str, Card | DamagedModelError] = {}
    for version in versions(models):
        try:
            found[version] = load_card(models / version)
        except DamagedModelError as error:
            found[version] = error
    return found


def load_fitted(folder: Path, model: Model) -> Fitted:
    """The head of `model`, which was loaded from `folder`, as it was fitted, to be changed and written again. Its
    `counted` is empty: which faces were left out, a model does not keep. Raises DamagedModelError."""
    file = folder / NETWORK
    try:
        return head_of_graph(_read_as(file, model.card.files[NETWORK]))
    except ValueError as error:
        raise _damaged(file, str(error)) from error


def _next_version(models: Path, now: datetime) -> str:
    """A clock that was set back must not sort a new model before an old one: the day is never before the newest's."""
    day, counter = f"{now:%Y-%m-%d}", 1
    if existing := versions(models):
        newest, last = _age(existing[-1])
        if newest >= day:
            day, counter = newest, last + 1
    return f"{day}-{counter:03d}"


def _age(version: str) -> tuple[str, int]:
    """The sort key: a day's thousandth model comes after its 999th."""
    return version[:10], int(version[11:])


def _sweep(models: Path) -> None:
    """Removes what a killed run left: only names that mien makes, and through no link."""
    for entry in models.iterdir():
        if not _LEFTOVER.fullmatch(entry.name):
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _labels(people: Sequence[str]) -> bytes:
    """labels.txt. Raises AlbumError for names that it could not give back."""
    names = [unicodedata.normalize("NFC", person) for person in people]
    for name in names:
        if name.splitlines() != [name] or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise AlbumError(f"The name {name!r} is not one line of text.", "Rename the person's folder.")
    if len(set(names)) < len(names):
        twice = next(name for name in names if names.count(name) > 1)
        raise AlbumError(f"Two people are called {twice}.", "Rename one of their folders, or merge the two.")
    return "".join(f"{name}\n" for name in names).encode()


def _people(file: Path, data: bytes) -> tuple[str, ...]:
    try:
        people = tuple(data.decode().split("\n")[:-1])
        if _labels(people) == data:
            return people
    except (UnicodeDecodeError, AlbumError):
        pass
    raise _damaged(file, "it is not a list of names")


def _card(version: str, now: datetime, people: int, provenance: Provenance, contents: Mapping[str, bytes]) -> Card:
    return Card.model_validate(
        {
            "encoder": provenance.encoder,
            "head": provenance.head,
            "people": people,
            "photos": {
                unicodedata.normalize("NFC", person): sorted(photos) for person, photos in provenance.photos.items()
            },
            "counts": dict(provenance.counts),
            "metrics": dict(provenance.metrics),
            "packages": {name: _installed(name) for name in _PACKAGES},
            "files": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()}
                for name, data in contents.items()
            },
            "run": {"version": version, "created": now.isoformat(timespec="seconds"), "seal": ""},
        }
    )


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # OpenCV, say, goes by several names
        return "not installed"


def _sealed(card: Card) -> Card:
    """The card with the hash of all the rest of it."""

    def seal(value: str) -> Card:
        return card.model_copy(update={"run": card.run.model_copy(update={"seal": value})})

    return seal(hashlib.sha256(_json(seal(""))).hexdigest())


def _json(part: _Part) -> bytes:
    """The one way mien writes JSON: the same value gives the same bytes."""
    return (
        json.dumps(part.model_dump(), ensure_ascii=False, allow_nan=False, indent=1, sort_keys=True) + "\n"
    ).encode()


_Parsed = TypeVar("_Parsed", bound=_Part)


def _parse(kind: type[_Parsed], file: Path, data: bytes) -> _Parsed:
    try:
        return kind.model_validate_json(data)
    except ValidationError as error:
        first = error.errors()[0]
        where = ".".join(str(step) for step in first["loc"])
        raise _damaged(file, f"{where}: {first['msg']}" if where else first["msg"]) from error


def _read_as(file: Path, expected: FileCard) -> bytes:
    data = _read(file, expected.bytes)
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise _damaged(file, "it is not what it was when the model was written")
    return data


def _read(file: Path, size: int | None = None) -> bytes:
    """The bytes of a plain file: not of a link, which could lead anywhere, nor of a device, which need never end."""
    try:
        found = file.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise _damaged(file, "it is not a plain file")
        if found.st_size > LARGEST[file.name]:
            raise _damaged(file, f"{found.st_size:,} bytes are too many")
        if size is not None and found.st_size != size:
            raise _damaged(file, f"it has {found.st_size:,} bytes instead of {size:,}")
        with file.open("rb") as opened:
            return opened.read(found.st_size)  # no more than was checked, should it be growing
    except OSError as error:
        raise _damaged(file, f"it cannot be read ({error.strerror or error})") from error


def _session(file: Path, data: bytes, people: int) -> InferenceSession:
    """The network, if it is one with mien's input and output for so many people.

    ONNX Runtime resolves weights kept outside an ONNX file ("external data") against the working directory even for a
    model given as bytes, so a model could read the files there. Every such reference carries the key "location", which
    mien's own models nowhere contain; and its other file format, ORTM, is not one that mien writes.
    """
    if b"location" in data or data[4:8] == b"ORTM":
        raise _damaged(file, "it refers to other files")
    try:
        session = open_session(data)
    except DamagedModelError as error:
        raise _damaged(file, error.message.rstrip(".")) from error
    found = [(one.name, one.type, len(one.shape)) for one in (*session.get_inputs(), *session.get_outputs())]
    if found != [("embedding", "tensor(float)", 2), ("scores", "tensor(float)", 2)]:
        raise _damaged(file, "it is not a network from embeddings to scores")
    if session.get_outputs()[0].shape[1] != people:
        raise _damaged(file, f"it does not score {people} people")
    return session


def _damaged(file: Path, what: str) -> DamagedModelError:
    return DamagedModelError(f"{file}: {what}.", _REMEDY)
