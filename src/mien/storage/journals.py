"""What an interrupted `classify` had answered already, so that the same command goes on from there.

A line of JSON an answer, appended as it is given and removed when the run is complete: nothing of the people in photos
that were only asked about is kept longer than that. A line counts only while its photo is unchanged.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
from collections.abc import Callable, Generator, Iterable
from pathlib import Path
from typing import TextIO

from mien.answers import Answer, from_journal, to_journal
from mien.storage.files import storage_error

PREFIX = "classify-"


class Journal:
    """The journal of one command: the same model, options and paths."""

    def __init__(self, folder: Path, model: str, top: int, named: Iterable[Path]) -> None:
        key = json.dumps([model, top, sorted(str(path.absolute()) for path in named)])
        self._folder, self._model = folder, model
        self._file = folder / f"{PREFIX}{hashlib.sha256(key.encode()).hexdigest()[:16]}.jsonl"

    def read(self) -> dict[str, Answer]:
        """The answers given so far, by path. Lines that a kill cut short, or whose photo changed, are passed over."""
        answers: dict[str, Answer] = {}
        with contextlib.suppress(OSError):
            for line in self._file.read_text(encoding="utf-8", errors="replace").splitlines():
                with contextlib.suppress(ValueError, KeyError, TypeError, OSError):
                    entry = json.loads(line)
                    answer = from_journal(entry)
                    if answer.model == self._model and _stamp(Path(answer.path)) == entry["stamp"]:
                        answers[answer.path] = answer
        return answers

    def keep(self, answers: Iterable[Answer], note: Callable[[str], None]) -> Generator[Answer]:
        """Passes `answers` on, each written down first; removes the journal after the last. Where it cannot be written
        (a full disk, an album that is only for reading), `note` is told, and the answers go on without."""
        file = self._open(note)
        try:
            for answer in answers:
                if file and not self._wrote(file, answer, note):
                    file = None
                yield answer
        finally:
            if file:
                file.close()
        with contextlib.suppress(OSError):  # one that stays is right, if of no use
            self._file.unlink(missing_ok=True)

    def _open(self, note: Callable[[str], None]) -> TextIO | None:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            file = self._file.open("a", encoding="utf-8")
            if file.tell():
                file.write("\n")  # ends a line that a kill cut short
        except OSError as error:
            self._do_without(error, note)
            return None
        return file

    def _wrote(self, file: TextIO, answer: Answer, note: Callable[[str], None]) -> bool:
        try:
            entry = to_journal(answer) | {"stamp": _stamp(Path(answer.path))}
        except OSError:  # the photo is gone: it will be asked about again
            return True
        try:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
            file.flush()
        except OSError as error:
            with contextlib.suppress(OSError):
                file.close()
            self._do_without(error, note)
            return False
        return True

    def _do_without(self, error: OSError, note: Callable[[str], None]) -> None:
        note(f"{storage_error(self._file, error).message} If this run is interrupted, the next one begins again.")


def _stamp(photo: Path) -> list[int]:
    stat = photo.stat()
    return [stat.st_size, stat.st_mtime_ns]
