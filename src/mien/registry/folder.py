"""One version's folder, written and read back.

Reading believes nothing: sizes, hashes, types and numbers are checked, nothing is ever unpickled, and no path is taken
from a file. The hashes find damage, not forgery.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
import unicodedata
from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from importlib import metadata
from pathlib import Path
from typing import Final

from mien.errors import AlbumError, DamagedModelError, EncoderMismatchError, ModelError
from mien.learning import search
from mien.learning.head import FittedHead
from mien.learning.openset import Calibration, Threshold
from mien.learning.search import Index
from mien.networks.sessions import open_session
from mien.registry.card import (
    CHANGED,
    ENROLLED_SINCE_FIT,
    REMEDY,
    Card,
    EncoderCard,
    FalseAlarms,
    FileCard,
    HeadCard,
    Part,
    damaged,
    json_bytes,
    parse,
    parse_card,
    sealed,
)
from mien.registry.gallery import Gallery, LargeHead, OnnxHead
from mien.registry.graph import head_graph, head_of_graph
from mien.storage.files import PRIVATE_FOLDER, is_folder, opening_error, storage_error, write_atomically
from mien.text.names import nfc
from mien.types import Cosines

NETWORK: Final = "model.onnx"
LABELS: Final = "labels.txt"
THRESHOLDS: Final = "thresholds.json"
SEARCH: Final = "search.npy"
CARD: Final = "card.json"
REPORT: Final = "report.html"
CURRENT: Final = "current"
LAST: Final = "last"
"""Names a version that was dropped, so that no other gets its name."""
LARGEST = {
    NETWORK: 1 << 31,
    LABELS: 1 << 26,
    THRESHOLDS: 1 << 16,
    SEARCH: 1 << 26,
    CARD: 1 << 28,
    REPORT: 1 << 28,
    CURRENT: 64,
    LAST: 64,
}
"""Bytes, above what a model of a million people and two million photos needs. More is not read; of a network the format
itself allows 2 GB."""

_PACKAGES = ("mien", "numpy", "onnxruntime", "opencv-python-headless", "pillow")


class _Rule(Part):
    """thresholds.json, the open-set rule."""

    threshold: Threshold
    calibration: Calibration


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class Draft:
    """A model that is to be written, its head scoring in the order of `people`; the rest is for its card: who made the
    embeddings, which head was chosen, the SHA-256 of each person's photos and which of these did not count, counts,
    metrics, when it was made, false alarms by person, and the cosines that the album itself showed of its encoder."""

    people: Sequence[str]
    head: FittedHead
    threshold: Threshold
    calibration: Calibration
    encoder: EncoderCard
    chosen: HeadCard
    photos: Mapping[str, Sequence[str]]
    counts: Mapping[str, int]
    metrics: Mapping[str, float]
    created: datetime
    false_alarms: Mapping[str, FalseAlarms] = field(default_factory=dict)
    cosines: Cosines | None = None
    left_out: Mapping[str, Sequence[str]] = field(default_factory=dict)
    index: Index | None = None
    """That by which these people are found, if it is known; that of many people is built when it is not."""


@dataclass(frozen=True, slots=True, eq=False)
class Model:
    """A model as loaded and checked."""

    people: tuple[str, ...]
    head: Gallery
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
        """Photos enrolled or withdrawn without training."""
        return self.card.counts.get(ENROLLED_SINCE_FIT, 0)

    @property
    def is_trained(self) -> bool:
        """Whether a training stands behind it, which tried heads and measured; otherwise it was made by enrolling
        alone."""
        return bool(self.card.head.tried)

    def without(self, some: Collection[str]) -> Model:
        """The same model, which answers as if it did not know `some` of its people. Raises ModelError where it knows
        nobody else."""
        gone = [number for number, person in enumerate(self.people) if person in some]
        if len(gone) == len(self.people):
            raise ModelError(
                f"The model {self.version}",
                "knows nobody but people who were removed",
                "`mien add` brings a person back.",
            )
        head = self.head.without(gone)
        return replace(self, people=head.people, head=head)

    def require_encoder(self, encoder_id: str, can_answer: bool = False, dimensions: int | None = None) -> None:
        """Raises EncoderMismatchError unless the model was made from this encoder's embeddings, or, as whoever knows
        says, it `can_answer` all the same; and DamagedModelError where its head takes embeddings of other than so many
        `dimensions`, whatever its card says."""
        if dimensions is not None and dimensions != self.head.dimensions:
            raise DamagedModelError(
                f"The model {self.version}",
                f"takes embeddings of {self.head.dimensions} numbers, where its encoder makes {dimensions}",
                REMEDY,
            )
        if encoder_id != self.encoder_id and not can_answer:
            raise EncoderMismatchError(
                f"The model {self.version}",
                f"was made with the encoder {self.encoder_id}, the faces with {encoder_id}",
                "Set encoder, precision and views back to what they were, or make a new model with `mien train`.",
            )


# Writing


def packed(draft: Draft, version: str) -> tuple[Card, dict[str, bytes]]:
    """The card of the version of this name, and the model's files by name, with the index where there are many people;
    the same draft gives the same but for "run" in the card. Raises AlbumError for a name that cannot stand in
    labels.txt, ValueError for a figure that is no number."""
    files = {
        NETWORK: head_graph(draft.head),
        LABELS: _labels([nfc(person) for person in draft.people]),
        THRESHOLDS: json_bytes(_Rule(threshold=draft.threshold, calibration=draft.calibration)),
    }
    if index := draft.index or _index(draft.head):
        files[SEARCH] = index.to_bytes()
    bare = Card.model_validate(
        {
            "encoder": draft.encoder,
            "head": draft.chosen,
            "people": len(draft.people),
            "photos": {nfc(person): sorted(photos) for person, photos in draft.photos.items()},
            "left_out": {nfc(person): sorted(photos) for person, photos in draft.left_out.items()},
            "counts": dict(draft.counts),
            "metrics": dict(draft.metrics),
            "cosines": draft.cosines,
            "false_alarms": {nfc(name): one for name, one in draft.false_alarms.items()},
            "packages": {name: _installed(name) for name in _PACKAGES},
            "files": {
                name: {"bytes": len(data), "sha256": hashlib.sha256(data).hexdigest()} for name, data in files.items()
            },
            "run": {"version": version, "created": draft.created.isoformat(timespec="seconds"), "seal": ""},
        }
    )
    card = sealed(bare)
    return card, {**files, CARD: json_bytes(card)}


def write_folder(folder: Path, files: Mapping[str, bytes]) -> None:
    """Makes `folder`, which is not there yet, with these files in it: whatever happens on the way, even a power cut, it
    is there whole or not at all. Raises StorageError."""
    making = unfinished(folder)
    try:
        making.mkdir(PRIVATE_FOLDER)
        for name, data in files.items():
            write_atomically(making / name, data)  # each reaches the disk before the folder takes its name
        os.rename(making, folder)  # noqa: PTH104 - the call whose atomicity is documented
    except BaseException as error:  # Ctrl-C too must leave nothing behind
        shutil.rmtree(making, ignore_errors=True)
        if isinstance(error, OSError):
            raise storage_error(folder, error) from error
        raise


def unfinished(folder: Path) -> Path:
    """What a version's folder is called while it is written or deleted."""
    return folder.with_name(f".mien-new-{folder.name}.tmp")


def _installed(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:  # OpenCV, say, goes by several names
        return "not installed"


def _labels(people: Sequence[str]) -> bytes:
    """labels.txt. Raises AlbumError for names that it could not give back."""
    names = [unicodedata.normalize("NFC", person) for person in people]
    for name in names:
        if name.splitlines() != [name] or any("\ud800" <= letter <= "\udfff" for letter in name):
            raise AlbumError(f"The name {name!r}", "is not one line of text", "Rename the person's folder.")
    if len(set(names)) < len(names):
        twice = next(name for name, times in Counter(names).items() if times > 1)
        raise AlbumError("Two people", f"are called {twice}", "Rename one of their folders, or merge the two.")
    return "".join(f"{name}\n" for name in names).encode()


# Reading


def load_model(folder: Path) -> Model:
    """The model in `folder`, checked from end to end. Any folder with the model's four files will do; other files in it
    are ignored.

    Raises ModelError if there is no such folder, StorageError if the system does not let a file be read, and
    DamagedModelError naming the file for everything else.
    """
    if not is_folder(folder):
        raise ModelError(str(folder), "holds no model", REMEDY)
    card = load_card(folder)
    files = {str(name): read_as(folder / name, expected) for name, expected in card.files.items()}
    rule = parse(_Rule, folder / THRESHOLDS, files[THRESHOLDS])
    if not (rule.calibration.slope > 0 and rule.calibration.temperature > 0):
        raise damaged(folder / THRESHOLDS, "has a slope or a temperature that is not above 0")
    people = parse_labels(folder / LABELS, files[LABELS])
    if len(people) != card.people:
        raise damaged(folder / LABELS, f"names {len(people)} people, and the card says {card.people}")
    head = _head(folder, files, people)
    return Model(people, head, rule.threshold, rule.calibration, card)


def load_card(folder: Path) -> Card:
    """The card of the model in `folder`, checked; the other files are not read. Raises DamagedModelError."""
    return parse_card(folder / CARD, read_plain(folder / CARD))


def load_rule(folder: Path) -> tuple[Threshold, Calibration]:
    """The open-set rule of the model in `folder`; the other files are not read. Raises DamagedModelError."""
    rule = parse(_Rule, folder / THRESHOLDS, read_plain(folder / THRESHOLDS))
    return rule.threshold, rule.calibration


def load_fitted(folder: Path, model: Model) -> FittedHead:
    """The head of `model`, which was loaded from `folder`, as it was fitted, to be changed and written again. Its
    `counted` is empty, as a model does not keep which faces were left out. Raises DamagedModelError."""
    file = folder / NETWORK
    try:
        return head_of_graph(read_as(file, model.card.files[NETWORK]))
    except ValueError as error:
        raise damaged(file, str(error)) from error


def parse_labels(file: Path, data: bytes) -> tuple[str, ...]:
    """The people whom `file` names in `data`, in the form in which names are compared: a model of mien 0.1 may have
    them in NFC alone, and is left as it is if two of its people are one in that form. Raises DamagedModelError."""
    try:
        people = tuple(data.decode().split("\n")[:-1])
        if _labels(people) == data:
            compared = tuple(map(nfc, people))
            return compared if len(set(compared)) == len(people) else people
    except (UnicodeDecodeError, AlbumError):
        pass
    raise damaged(file, "is not a list of names")


def read_as(file: Path, expected: FileCard) -> bytes:
    """The bytes of a file of the model, if they are those that its card expects. Raises DamagedModelError."""
    data = read_plain(file, expected.bytes)
    if hashlib.sha256(data).hexdigest() != expected.sha256:
        raise damaged(file, CHANGED)
    return data


def read_plain(file: Path, size: int | None = None) -> bytes:
    """The bytes of a plain file, of `size` bytes if it is given: not of a link, which could lead anywhere, nor of a
    device, which need never end. Raises DamagedModelError, and StorageError if the system does not let it be read: that
    says nothing of the model, and no other takes its place for that."""
    try:
        found = file.lstat()
        if not stat.S_ISREG(found.st_mode):
            raise damaged(file, "is not a plain file")
        if found.st_size > LARGEST[file.name]:
            raise damaged(file, f"has {found.st_size:,} bytes, which is too many")
        if size is not None and found.st_size != size:
            raise damaged(file, f"has {found.st_size:,} bytes instead of {size:,}")
        with file.open("rb") as opened:
            return opened.read(found.st_size)  # no more than was checked, should it be growing
    except (FileNotFoundError, NotADirectoryError) as error:
        raise damaged(file, f"cannot be read ({error.strerror or error})") from error
    except OSError as error:
        raise opening_error(file, error) from error


def load_index(folder: Path, model: Model) -> Index | None:
    """The index of `model`, which was loaded from `folder`; None where it has none. Raises DamagedModelError."""
    expected = model.card.files.get(SEARCH)
    if expected is None:
        return None
    return _index_of(folder / SEARCH, read_as(folder / SEARCH, expected), len(model.people), model.head.dimensions)


def _index(head: FittedHead) -> Index | None:
    """The index of a head of many people, where faiss is here to build it."""
    few = len(head.vectors) <= search.LARGE or head.vectors.shape[1] < search.AXES or len(head.exemplars)
    return None if few or not search.is_there() else search.build(head.vectors)


def _index_of(file: Path, data: bytes, people: int, dimensions: int) -> Index:
    try:
        return Index.of_bytes(data, people, dimensions)
    except ValueError as error:
        raise damaged(file, "is not an index that mien wrote") from error


def _head(folder: Path, files: Mapping[str, bytes], people: tuple[str, ...]) -> Gallery:
    """The head of these people, if the network is one that mien writes: no other is run."""
    file, data = folder / NETWORK, files[NETWORK]
    try:
        head = head_of_graph(data)
    except ValueError as error:
        raise damaged(file, str(error)) from error
    if len(head.vectors) != len(people):
        raise damaged(file, f"does not score {len(people)} people")
    if len(people) > search.LARGE:
        index = _index_of(folder / SEARCH, files[SEARCH], *head.vectors.shape) if SEARCH in files else None
        return LargeHead(people, head, index if search.is_there() else None)
    try:
        return OnnxHead(people, open_session(data))
    except DamagedModelError as error:
        raise damaged(file, f"holds no usable network ({error.message.rstrip('.')})") from error
