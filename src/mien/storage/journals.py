"""What an interrupted `classify` had answered already, so that the same command goes on from there.

A journal has a line of JSON for each answer. A line is appended as its answer is given, and counts only while its photo
is unchanged. Names of people stand in a journal, so it goes when its run is complete, when it is `DAYS` days old, and
when somebody who occurs in it is forgotten.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
from collections.abc import Callable, Generator, Iterable, Mapping
from fnmatch import fnmatchcase
from pathlib import Path
from typing import Any, TextIO

import numpy as np

from mien.errors import PhotoError
from mien.storage import leftovers
from mien.storage.files import PRIVATE_FILE, PRIVATE_FOLDER, entries, remove_file, storage_error
from mien.text.answers import AnswerKind, ClassifyNote
from mien.text.names import is_unicode, nfc
from mien.types import Answer, Candidate, Face, Finding, NamedFace, Photo, Prediction, Quality

PREFIX = "classify-"
_PATTERN = f"{PREFIX}*.jsonl"


class Journal:
    """The journal in `folder` of one command: the same version of a model, `top` and paths as they were `named`."""

    def __init__(self, folder: Path, model: str, top: int, named: Iterable[Path]) -> None:
        key = json.dumps([model, top, sorted(str(path.absolute()) for path in named)])
        self._folder, self._model = folder, model
        self._file = folder / f"{PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsonl"

    def read(self) -> dict[str, Answer]:
        """The answers given so far, by path. Lines that a kill cut short, or whose photo changed, are passed over."""
        answers: dict[str, Answer] = {}
        with contextlib.suppress(OSError):
            for line in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError, OSError, AttributeError, RecursionError):
                    entry = json.loads(line)
                    answer = from_journal(entry)
                    if answer.model == self._model and _stamp(Path(answer.path)) == entry["stamp"]:
                        answers[answer.path] = answer
        return answers

    def keep(self, answers: Iterable[Answer], note: Callable[[str], None]) -> Generator[Answer]:
        """Passes `answers` on, each written down first, and removes the journal after the last. Where it cannot be
        written (a full disk, an album that is only for reading), `note` is told so, and the answers go on unwritten."""
        file = self._open(note)
        try:
            for answer in answers:
                if file and not self._wrote(file, answer, note):
                    file = None
                yield answer
        finally:
            if file:
                file.close()
        with contextlib.suppress(OSError):  # a journal that stays is right, if of no use
            self._file.unlink(missing_ok=True)

    def _open(self, note: Callable[[str], None]) -> TextIO | None:
        try:
            self._folder.mkdir(PRIVATE_FOLDER, parents=True, exist_ok=True)
            handle = os.open(self._file, os.O_WRONLY | os.O_CREAT | os.O_APPEND, PRIVATE_FILE)
            file = open(handle, "a", encoding="utf-8")  # noqa: PTH123, SIM115 - of a handle
            if file.tell():
                file.write("\n")  # ends a line that a kill cut short
        except OSError as error:
            self._say_why(error, note)
            return None
        return file

    def _wrote(self, file: TextIO, answer: Answer, note: Callable[[str], None]) -> bool:
        try:
            entry = to_journal(answer) | {"stamp": _stamp(Path(answer.path))}
        except OSError:  # the photo is gone: it will be asked about again
            return True
        try:
            file.write(json.dumps(entry, ensure_ascii=not is_unicode(answer.path)) + "\n")
            file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                file.close()
            self._say_why(error, note)
            return False
        return True

    def _say_why(self, error: OSError, note: Callable[[str], None]) -> None:
        note(ClassifyNote.NO_JOURNAL.say({"why": storage_error(self._file, error).message}))


def remove_old(folder: Path) -> None:
    """Removes the journals in `folder` whose last answer was given over `leftovers.DAYS` days ago: nobody came back to
    the command. A journal that cannot be removed stays, for the next call."""
    leftovers.remove_old(folder, _PATTERN)


def forget(folder: Path, person: str) -> None:
    """Removes every journal in `folder` in which `person` was an answer, a candidate or learned; names are compared
    whole, in NFC. A journal with a line that cannot be read, as after a kill, goes as well, since the name may stand
    there. Raises StorageError if a journal cannot be removed, or nobody can tell whether there are any."""
    for file in _journals(folder):
        try:
            if _may_name(file, nfc(person)):
                file.unlink()
        except FileNotFoundError:  # its run has just been completed
            continue
        except OSError as error:
            raise storage_error(file, error) from error


def forget_model(folder: Path, model: str) -> None:
    """Removes every journal in `folder` with answers by this version of a model, which nobody can give again. Raises
    StorageError as `forget` does."""
    about = f'"model": {json.dumps(model)}'
    for file in _journals(folder):
        try:
            if about in file.read_text(encoding="utf-8", errors="replace"):
                file.unlink()
        except FileNotFoundError:
            continue
        except OSError as error:
            raise storage_error(file, error) from error


def forget_all(folder: Path) -> None:
    """Removes every journal in `folder`. Raises StorageError as `forget` does."""
    for file in _journals(folder):
        remove_file(file)


def _journals(folder: Path) -> list[Path]:
    """The journals in `folder`. `Path.glob` would find none in a folder that may not be listed."""
    return [file for file in entries(folder) if fnmatchcase(file.name, _PATTERN)]


def _may_name(file: Path, person: str) -> bool:
    """Whether `person` (NFC) occurs in an answer of a journal, or may, as a line cannot be read."""
    with file.open(encoding="utf-8") as lines:
        try:
            for line in lines:
                answer = json.loads(line) if line.strip() else {"faces": ()}
                names = list(answer.get("learned", ()))
                for face, (_, _, people, _) in zip(answer["faces"], answer.get("seen_by", ()), strict=True):
                    names += [*people, *(one["person"] for one in (face, *face["candidates"]))]
                if any(name is not None and nfc(name) == person for name in names):
                    return True
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return True
    return False


def to_journal(answer: Answer) -> dict[str, Any]:
    """`answer.to_json()` and what that leaves out, so that `from_journal` can make the same answer again."""
    line = answer.to_json()
    if answer.photo:
        line |= {"sha256": answer.photo.sha256, "format": answer.photo.format, "phash": answer.photo.phash}
    if answer.error:
        line["error"] = [answer.error.about, *answer.error.stored()]
    line["seen_by"] = [_unsaid(named) for named in answer.faces]
    return line


def _unsaid(named: NamedFace) -> list[object]:
    """What the JSON of a face leaves out."""
    reason = named.prediction.reason
    people, figures = (reason.people, reason.figures) if reason else ((), {})
    return [named.face.detector, named.face.turn, list(people), dict(figures)]


def from_journal(line: Mapping[str, Any]) -> Answer:
    """The answer that `to_journal` made `line` of. Raises KeyError, TypeError or ValueError where it made no such
    line."""
    faces = tuple(
        NamedFace(
            Face(tuple(f["box"]), np.asarray(f["landmarks"], np.float32), f["detector_score"], detector, turn),
            Quality(**f["quality"]),
            Prediction(
                f["person"],
                f["probability"],
                f["score"],
                f["threshold"],
                tuple(Candidate(c["person"], c["probability"], c["score"]) for c in f["candidates"]),
                Finding(AnswerKind.of(f["reason"]), tuple(people), figures=figures) if f["reason"] else None,
            ),
        )
        for f, (detector, turn, people, figures) in zip(line["faces"], line["seen_by"], strict=True)
    )
    error = PhotoError.restored(*line["error"]) if "error" in line else None
    photo = None
    if "sha256" in line:
        photo = Photo(line["sha256"], line["width"], line["height"], line["format"], line["phash"])
    return Answer(line["photo"], line["model"], photo, faces, error, tuple(line.get("learned", ())))


def _stamp(photo: Path) -> list[int]:
    """Size and time of the file, by which a photo that changed is told."""
    stat = photo.stat()
    return [stat.st_size, stat.st_mtime_ns]
