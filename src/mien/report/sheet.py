"""A contact sheet: one page that shows all the photos that `classify` was asked about, small, and who is where in them.

The page needs no script, no network and no other file, and links to the photos. A photo is rendered as soon as it is
answered and then forgotten, so that a sheet of thousands takes no more memory than one of ten; what stays of it are
people's names, and how often they occur.
"""

from __future__ import annotations

import io
import os
import tempfile
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import IO, Final, Self
from urllib.parse import quote

import cv2
import numpy as np

from mien.errors import PhotoError, UsageError
from mien.recogniser import PhotoLike, is_path, read
from mien.report.environment import environment
from mien.stages.annotate import mark
from mien.storage.files import (
    is_file,
    is_folder,
    is_there,
    make_folder,
    opening_error,
    storage_error,
    writing_atomically,
)
from mien.storage.leftovers import remove_abandoned
from mien.storage.own_folders import refuse_own_folder
from mien.text.words import listed
from mien.types import Answer, Pixels
from mien.vision.drawing import DOUBTFUL, NAMED, TOO_POOR, Mark
from mien.vision.images import encoded
from mien.vision.labels import Place, place

SIDE: Final = 320
"""Pixels of a thumbnail's long side: enough to tell who is who in a group of ten."""
QUALITY: Final = 65
"""Of its JPEG."""
GENERATOR: Final = "mien contact sheet"
"""By this a sheet is known again, and may be replaced."""

_PART: Final = 1 << 16
"""Bytes of cards that are read at a time."""
_DIGIT, _HIGH = 8, 16
"""Pixels of a thumbnail that a digit of a number is wide, and its badge high."""

_KINDS: Final = {NAMED: "named", DOUBTFUL: "doubtful", TOO_POOR: "poor"}
"""What the page calls a face, by the colour that it has on an annotated copy; all others are "nobody"."""
_GROUPS: Final = {"doubtful": "in doubt", "nobody": "strangers", "no-face": "no face", "unreadable": "not readable"}
"""What may be said of a photo, and how the page writes it."""


@dataclass(frozen=True, slots=True)
class Group:
    """Photos that can be shown alone: those of a person, or those of which the same is to be said."""

    id: str
    label: str
    photos: int
    is_person: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """A face on a card: of which `kind`, whose by the `person`'s id ("" for nobody), what is said of it, its rectangle
    in the thumbnail (left, top, width, height), and where its `number` stands there."""

    kind: str
    person: str
    label: str
    sure: str
    box: tuple[float, float, float, float]
    number: int
    badge: Place | None


@dataclass(frozen=True, slots=True)
class Card:
    """A photo on the page. `groups` are the ids of those it belongs to, `href` is its address ("" where it has none),
    `thumbnail` a JPEG of `width` x `height` pixels, b"" where there is no picture; `named` are the faces of which
    somebody's name is said, `others` says the rest, `error` why the photo could not be read."""

    groups: tuple[str, ...]
    photo: str
    href: str
    thumbnail: bytes
    width: int
    height: int
    faces: tuple[Shown, ...]
    others: str
    error: str
    learned: bool

    @property
    def named(self) -> tuple[Shown, ...]:
        return tuple(face for face in self.faces if face.kind in ("named", "doubtful"))


class Sheet:
    """A contact sheet while it is made: `add` an answer after the other, then `finish`.

    A context manager; where it is left before `finish`, nothing is written, and the sheet of an earlier run stays.
    Raises UsageError for a place at which no sheet can be, the folders of an album among them, and StorageError.
    """

    def __init__(self, target: Path, model: str, album: Path | None = None) -> None:
        _check(target, album)
        self._target, self._model = target, model
        self._ids: dict[str, str] = {}
        self._photos: Counter[str] = Counter()
        self._faces: Counter[str] = Counter()
        self._card = environment().get_template("card.html")
        make_folder(target.parent)
        remove_abandoned({target.parent})
        try:  # beside the page, as a folder for temporary files may be memory; without a name, so that none is left
            self._cards: IO[bytes] = tempfile.TemporaryFile(dir=target.parent)  # noqa: SIM115
        except OSError as error:
            raise storage_error(target, error) from error

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._cards.close()

    def add(self, answer: Answer, photo: PhotoLike) -> None:
        """Puts a photo with its answer on the sheet. Raises StorageError."""
        try:
            self._cards.write(self._card.render(card=self._made(answer, photo)).encode())
        except OSError as error:
            raise storage_error(self._target, error) from error

    def finish(self) -> int:
        """Writes the page, which takes its place in one step, readable by its owner alone. Returns how many bytes it
        has. Raises StorageError."""
        people = [Group(key, person, self._photos[key], is_person=True) for person, key in self._ids.items()]
        people.sort(key=lambda group: (-group.photos, group.label))
        others = [Group(key, words, self._photos[key]) for key, words in _GROUPS.items() if self._photos[key]]
        parts = (
            environment()
            .get_template("sheet.html")
            .generate(
                generator=GENERATOR,
                model=self._model,
                photos=self._photos["all"],
                faces=self._faces["all"],
                named=self._faces["named"],
                everything=Group("everything", "all", self._photos["all"]),
                others=others,
                people=people,
                unreadable=self._photos["unreadable"],
                cards=self._parts(),
            )
        )
        with writing_atomically(self._target) as file:
            for part in parts:
                file.write(part.encode())
            return file.tell()

    def _parts(self) -> Iterator[str]:
        """The cards as they were rendered, a part at a time."""
        from markupsafe import Markup

        self._cards.seek(0)
        with io.TextIOWrapper(self._cards, "utf-8", newline="") as text:
            while part := text.read(_PART):
                yield Markup(part)

    def _made(self, answer: Answer, photo: PhotoLike) -> Card:
        pixels = None if answer.error else _thumbnail(answer, photo)
        size = (1, 1) if pixels is None else (pixels.shape[1], pixels.shape[0])
        faces = self._shown(answer, size)
        rest = Counter(face.label for face in faces if face.kind not in ("named", "doubtful"))
        return Card(
            groups=self._grouped(answer, faces),
            photo=answer.path,
            href=self._link(answer.path) if is_path(photo) else "",
            thumbnail=b"" if pixels is None else encoded(pixels, "JPEG", QUALITY),
            width=size[0],
            height=size[1],
            faces=faces,
            others=listed(f"{number:,} {words}" for words, number in rest.items()) if faces else "no face found",
            error=f"It {answer.error.what}. {answer.error.remedy}" if answer.error else "",
            learned=bool(answer.learned),
        )

    def _shown(self, answer: Answer, size: tuple[int, int]) -> tuple[Shown, ...]:
        scale = size[0] / answer.photo.width if answer.photo else 1.0
        marks = [mark(face, scale) for face in answer.faces]
        badges = _badges(size, marks)
        found = []
        for number, (face, drawn, badge) in enumerate(zip(answer.faces, marks, badges, strict=True), 1):
            person = face.prediction.person
            if person is not None and person not in self._ids:
                self._ids[person] = f"p{len(self._ids)}"
            x0, y0, x1, y1 = drawn.box
            found.append(
                Shown(
                    _KINDS.get(drawn.colour, "nobody"),
                    "" if person is None else self._ids[person],
                    drawn.label,
                    drawn.sure,
                    (round(x0, 1), round(y0, 1), round(x1 - x0, 1), round(y1 - y0, 1)),
                    number if drawn.is_name and len(marks) > 1 else 0,
                    badge,
                )
            )
        return tuple(found)

    def _grouped(self, answer: Answer, faces: tuple[Shown, ...]) -> tuple[str, ...]:
        """The groups of a photo, which is counted in each."""
        kinds = {face.kind for face in faces}
        found = [face.person for face in faces if face.person]
        found += [kind for kind in ("doubtful", "nobody") if kind in kinds]
        if not faces:
            found.append("unreadable" if answer.error else "no-face")
        groups = tuple(dict.fromkeys(found))
        self._photos.update((*groups, "all"))
        self._faces.update(all=len(faces), named=sum(bool(face.person) for face in faces))
        return groups

    def _link(self, photo: str) -> str:
        """The photo's address as seen from the page: a relative one, so that both may be moved together."""
        file = Path(photo).absolute()
        try:
            found = os.path.relpath(file, self._target.parent.absolute())
        except ValueError:  # on another of Windows' drives
            return file.as_uri()
        return quote(os.fsencode(found.replace(os.sep, "/")))


def _check(target: Path, album: Path | None) -> None:
    """Raises UsageError unless a sheet can be at `target`."""
    if is_folder(target):
        raise UsageError(str(target), "is a folder", f"Name a file in it: {target / 'sheet.html'}")
    if target.suffix.lower() not in (".html", ".htm"):
        raise UsageError(str(target), "does not end in .html", "A browser opens a page by its ending: add .html.")
    refuse_own_folder(target.parent, album)
    if is_there(target) and not (is_file(target) and _is_sheet(target)):
        raise UsageError(str(target), "is there already, and mien did not make it", "Name another file.")


def _is_sheet(file: Path) -> bool:
    try:
        with file.open("rb") as opened:
            return GENERATOR.encode() in opened.read(1000)
    except OSError as error:
        raise opening_error(file, error) from error


def _thumbnail(answer: Answer, photo: PhotoLike) -> Pixels | None:
    """A photo of at most `SIDE` pixels a side, in RGB; None if it cannot be read any more."""
    try:
        pixels = read(photo, answer.path, max_side=SIDE, least_scale=0).pixels
    except PhotoError:
        return None
    height, width = pixels.shape[:2]
    scale = min(1.0, SIDE / max(height, width))
    if scale == 1:
        return pixels
    size = max(1, round(width * scale)), max(1, round(height * scale))
    return np.asarray(cv2.resize(pixels, size, interpolation=cv2.INTER_AREA), np.uint8)


def _badges(size: tuple[int, int], marks: list[Mark]) -> list[Place | None]:
    """Where the number of each face that may be somebody stands: on no face; None where there is no room, and where a
    photo shows nobody else."""
    if len(marks) < 2:
        return [None] * len(marks)
    sizes = [(_DIGIT * len(str(number)) + 6, _HIGH) for number in range(1, len(marks) + 1)]
    order = [number for number, one in enumerate(marks) if one.is_name]
    return place(size, [one.box for one in marks], sizes, sizes, order)
