"""find: the photos in which somebody is, and copies of them or links to them in a folder per person.

Goes in: photos or folders of them, a recogniser, and the people who are looked for. Comes out: one `Found` a photo, in
the order given. The photos are only read, and no file is ever replaced.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Generator, Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from mien.errors import PhotoError, StorageError, UsageError
from mien.protocols import Progress
from mien.recogniser import PhotoLike, Recogniser, is_path
from mien.storage.files import copy_file, make_folder, same_bytes, storage_error
from mien.storage.free_names import FreeNames
from mien.storage.layout import is_album, is_inside
from mien.storage.leftovers import remove_abandoned
from mien.storage.own_folders import refuse_own_folder
from mien.text.names import meant, nfc, quoted_name, valid_person
from mien.types import Answer, Box

How = Literal["copy", "link"]


@dataclass(frozen=True, slots=True)
class FoundPerson:
    """Somebody who is in a photo: how sure that is, where the face is, in pixels of the upright photo, and why that is
    doubtful, "" where it is not."""

    person: str
    probability: float
    box: Box
    doubt: str

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "person": self.person,
            "probability": round(self.probability, 6),
            "box": [round(side, 1) for side in self.box],
            "doubt": self.doubt,
        }


@dataclass(frozen=True, slots=True)
class Found:
    """Who of the people that are looked for is in the photo at `path`, the surest first, each once. `placed` is where a
    copy of the photo or a link to it lies now, for each of them, and `new` how many of those were made in this run.
    `error` says why the photo could not be read."""

    path: str
    people: tuple[FoundPerson, ...]
    error: PhotoError | None
    placed: tuple[Path, ...] = ()
    new: int = 0

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        found: dict[str, Any] = {"photo": self.path, "people": [one.to_json() for one in self.people]}
        if self.placed:
            found["placed"] = list(map(str, self.placed))
        if self.error:
            found["error"] = self.error.to_json()
        return found


def wanted(names: Iterable[str], known: Sequence[str]) -> tuple[str, ...]:
    """The people of these names, each once, of those whom a model knows; all of them where no name is given. Raises
    UsageError for a name that is nobody's."""
    chosen = dict.fromkeys(map(nfc, names))
    people = {nfc(person): person for person in known}
    for name in chosen:
        if name not in people:
            remedy = "`mien status` names all people; `mien find` without a name looks for all of them."
            about, what = quoted_name(name), "is the name of nobody whom the model knows"
            raise UsageError(about, what, f"{meant(name, known)}{remedy}")
    return tuple(people[name] for name in chosen) or tuple(known)


class Places:
    """Where copies of photos, or links to them, go: a folder per person in a folder that the user names.

    Raises UsageError for a folder of an album's own, in which a name may say who somebody is, and for a person whose
    name no folder can have."""

    def __init__(self, folder: Path, how: How, people: Iterable[str]) -> None:
        self.folder, self._how = folder, how
        for person in people:
            valid_person(person)
        _require_outside(folder)
        self._swept: set[Path] = set()

    def holds(self, photo: PhotoLike) -> bool:
        """Whether a photo lies there already, as one placed by an earlier run does."""
        return is_path(photo) and is_inside(Path(photo).parent, self.folder)

    def put(self, photo: Path, person: str) -> tuple[Path, bool]:
        """Where a copy of the photo, or a link to it, lies now for this person, and whether it was made now. Nothing is
        replaced: where another file has the name, it is called "<stem>-2<ending>" and so on. Raises StorageError."""
        folder = self.folder / valid_person(person)
        make_folder(folder)
        if folder not in self._swept:
            remove_abandoned([folder])
            self._swept.add(folder)
        names = FreeNames()
        while True:
            target = folder / names.take(photo.name)
            if self._is_there(photo, target):
                return target, False
            if self._made(photo, target):
                return target, True

    def _is_there(self, photo: Path, target: Path) -> bool:
        try:
            if target.is_symlink():
                return target.resolve() == photo.resolve()
            if not target.is_file():
                return False
            return target.stat().st_size == photo.stat().st_size and same_bytes(photo, target)
        except OSError:
            return False

    def _made(self, photo: Path, target: Path) -> bool:
        """Makes it; False if another file has the name."""
        if os.path.lexists(target):
            return False
        if self._how == "copy":
            return copy_file(photo, target)
        try:
            os.symlink(os.path.abspath(photo), target)  # noqa: PTH100, PTH211 - of the photo, were it a link itself
        except FileExistsError:
            return False
        except OSError as error:
            if error.errno in (errno.EPERM, errno.EACCES, errno.ENOTSUP, errno.EOPNOTSUPP, errno.EINVAL):
                raise StorageError(
                    str(target), "could not be made: no links can be made there", "Use --copy instead of --link."
                ) from error
            raise storage_error(target, error) from error
        return True


def _require_outside(folder: Path) -> None:
    """Raises UsageError for an album, and for a folder that an album keeps for itself: a photo that came into
    training-images under a name would be learned from."""
    refuse_own_folder(folder)
    if is_album(Path(os.path.realpath(folder))):
        raise UsageError(str(folder), "is an album", "Name a folder of its own, outside the album.")


def find(
    asked: Sequence[tuple[str, PhotoLike, PhotoError | None]],
    recogniser: Recogniser,
    people: Sequence[str],
    least: float,
    places: Places | None,
    progress: Progress,
) -> Generator[Found]:
    """Who of `people` is in each of the photos (name, photo, why it cannot be looked at), with a probability of at
    least `least`. Raises StorageError where a copy or a link cannot be made."""
    looked_for = frozenset(people)
    answers = recogniser.answers([photo for _, photo, error in asked if not error], top=1)
    progress.start("Looking", len(asked))
    with closing(answers):
        for name, photo, error in asked:
            answer = Answer(name, recogniser.model.version, None, (), error) if error else next(answers)
            found = _in(answer, looked_for, least)
            placed: list[tuple[Path, bool]] = []
            if places and is_path(photo):
                placed = [places.put(Path(photo), one.person) for one in found]
            progress.advance()
            new = sum(is_new for _, is_new in placed)
            yield Found(answer.path, found, answer.error, tuple(place for place, _ in placed), new)
    progress.finish()


def _in(answer: Answer, people: frozenset[str], least: float) -> tuple[FoundPerson, ...]:
    """Those of `people` who are in the photo; of somebody who has two faces there, the surer."""
    best: dict[str, FoundPerson] = {}
    for one in answer.faces:
        person, probability, reason = one.prediction.person, one.prediction.probability, one.prediction.reason
        if person in people and person is not None and probability >= least:
            found = FoundPerson(person, float(probability), one.face.box, reason.why if reason else "")
            best[person] = max(best.get(person, found), found, key=lambda each: each.probability)
    return tuple(sorted(best.values(), key=lambda each: (-each.probability, each.person)))
