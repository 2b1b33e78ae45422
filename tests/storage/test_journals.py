from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from mien.errors import PhotoError, StorageError
from mien.storage.journals import Journal, forget, from_journal, remove_old, to_journal
from mien.storage.leftovers import DAYS
from mien.text.answers import AnswerKind
from mien.text.photos import PhotoFault
from mien.types import Answer, Candidate, Face, Finding, NamedFace, Photo, Prediction, Quality


def answer(path: Path, person: str | None = "Ada") -> Answer:
    face = Face((1.0, 2.0, 30.5, 40.0), np.arange(10, dtype=np.float32).reshape(5, 2), 0.9, "yunet", 1)
    quality = Quality(33.0, 0.5, 0.25, 1.0, 0.125)
    prediction = Prediction(person, 0.75, 0.9, 0.8, (Candidate("Ada", 0.75, 0.9), Candidate("Bo", 0.1, 0.7)))
    if person is None:
        prediction = replace(prediction, reason=Finding(AnswerKind.BETWEEN, ("Ada", "Dee"), figures={"size": 3.0}))
    return Answer(
        str(path),
        "2026-01-01-001",
        Photo("ab" * 32, 640, 480, "JPEG", "5a" * 8),
        (NamedFace(face, quality, prediction),),
        None,
    )


CUT_OFF = {"file_type": "JPEG", "said": "broken data stream"}


def broken(path: Path) -> Answer:
    return Answer(str(path), "2026-01-01-001", None, (), PhotoError(str(path), PhotoFault.BREAKS_OFF, CUT_OFF))


@pytest.fixture
def photos(tmp_path: Path) -> list[Path]:
    found = [tmp_path / f"{number}.jpg" for number in range(3)]
    for photo in found:
        photo.write_bytes(b"a photo")
    return found


def test_an_answer_survives_the_journal(tmp_path: Path) -> None:
    learned = replace(answer(tmp_path / "d.jpg"), learned=("Ada", "Bo"))
    for one in (answer(tmp_path / "a.jpg"), answer(tmp_path / "b.jpg", None), broken(tmp_path / "c.jpg"), learned):
        again = from_journal(json.loads(json.dumps(to_journal(one))))
        assert again.to_json() == one.to_json()
        assert (again.photo, str(again.error)) == (one.photo, str(one.error))
        assert [face.prediction for face in again.faces] == [face.prediction for face in one.faces]
        assert not one.error or (again.error and again.error.fault is PhotoFault.BREAKS_OFF)
        assert [(f.face.detector, f.face.turn) for f in again.faces] == [
            (f.face.detector, f.face.turn) for f in one.faces
        ]


def test_an_interrupted_run_is_found_again_and_a_complete_one_leaves_nothing(
    tmp_path: Path, photos: list[Path]
) -> None:
    def journal(*named: Path) -> Journal:
        return Journal(tmp_path / "j", "2026-01-01-001", 3, named or (tmp_path,))

    def fresh() -> Iterator[Answer]:
        yield answer(photos[0])
        yield broken(photos[1])
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        list(journal().keep(fresh(), print))
    assert set(journal().read()) == {str(photos[0]), str(photos[1])}
    assert journal(photos[0]).read() == {}, "another command has another journal"

    assert len(list(journal().keep(iter([answer(photos[2])]), print))) == 1
    assert list((tmp_path / "j").iterdir()) == []


def test_lines_that_cannot_be_trusted_are_passed_over(tmp_path: Path, photos: list[Path]) -> None:
    journal = Journal(tmp_path / "j", "2026-01-01-001", 3, [tmp_path])
    kept = journal.keep(iter([answer(photo) for photo in photos]), print)
    for _ in photos:
        next(kept)
    kept.close()  # as a kill would: the file stays
    (file,) = (tmp_path / "j").iterdir()
    whole = file.read_text(encoding="utf-8")
    file.write_text(whole + whole.splitlines()[0][:40], encoding="utf-8")
    photos[0].write_bytes(b"another photo")
    os.utime(photos[1], ns=(1, 1))
    assert set(journal.read()) == {str(photos[2])}
    assert Journal(tmp_path / "j", "2026-01-01-002", 3, [tmp_path]).read() == {}


def test_where_it_cannot_be_written_the_answers_go_on_without(tmp_path: Path, photos: list[Path]) -> None:
    (tmp_path / "j").write_bytes(b"a file where the folder should be")
    notes: list[str] = []
    journal = Journal(tmp_path / "j", "m", 3, [tmp_path])
    assert len(list(journal.keep(iter([answer(photo) for photo in photos]), notes.append))) == 3
    (note,) = notes
    assert "could not be written" in note and "begins again" in note


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs a device that is always full")
def test_a_disk_that_fills_up_stops_the_journal_only(tmp_path: Path, photos: list[Path]) -> None:
    notes: list[str] = []
    journal = Journal(tmp_path, "m", 3, [tmp_path])
    journal._file.symlink_to("/dev/full")
    assert len(list(journal.keep(iter([answer(photo) for photo in photos]), notes.append))) == 3
    assert len(notes) == 1 and "full" in notes[0]


def test_an_error_of_the_answers_passes(tmp_path: Path, photos: list[Path]) -> None:
    def fresh() -> Iterator[Answer]:
        yield answer(photos[0])
        raise OSError("not the journal's")

    with pytest.raises(OSError, match="not the journal's"):
        list(Journal(tmp_path / "j", "m", 3, [tmp_path]).keep(fresh(), print))


# How they go


def abandoned(folder: Path, name: str, *answers: Answer) -> Path:
    """The journal of a run over the folder `name` that was killed after these answers."""
    journal = Journal(folder, "2026-01-01-001", 3, [folder / name])
    kept = journal.keep(iter([*answers, answer(folder / "never reached.jpg", "Nobody")]), print)
    for _ in answers:
        next(kept)
    kept.close()
    return journal._file


def test_an_abandoned_journal_goes_when_it_is_old(tmp_path: Path, photos: list[Path]) -> None:
    old, new = (abandoned(tmp_path / "j", name, answer(photos[0])) for name in ("old", "new"))
    (tmp_path / "j/notes.txt").write_text("the user's own")
    for file in (old, tmp_path / "j/notes.txt"):
        os.utime(file, (time.time() - DAYS * 86_400 - 60,) * 2)
    os.utime(new, (time.time() - DAYS * 86_400 + 60,) * 2)
    remove_old(tmp_path / "j")
    assert sorted(file.name for file in (tmp_path / "j").iterdir()) == [new.name, "notes.txt"]
    remove_old(tmp_path / "nowhere")


def test_who_is_forgotten_is_in_no_journal(tmp_path: Path, photos: list[Path]) -> None:
    """Names are compared whole, and in one form."""
    folder = tmp_path / "j"
    ann = abandoned(folder, "1", answer(photos[0], "Bo"), answer(photos[1], "Ann"))
    ann_lee = abandoned(folder, "2", answer(photos[0], "Ann Lee"), broken(photos[1]))
    jose = abandoned(folder, "3", answer(photos[0], "Jose\u0301"))
    forget(folder, "Lee")
    assert {ann, ann_lee, jose} <= set(folder.iterdir())
    forget(folder, "Ann")
    assert not ann.exists() and ann_lee.exists()
    forget(folder, "Jos\u00e9")
    assert not jose.exists() and ann_lee.exists()
    forget(folder, "Ada")
    assert not ann_lee.exists(), "she was a candidate there"
    forget(tmp_path / "nowhere", "Ada")
    between = abandoned(folder, "4", answer(photos[0], None))
    learned = abandoned(folder, "5", replace(answer(photos[0]), learned=("Eve",)))
    for person, file in (("Dee", between), ("Eve", learned)):
        forget(folder, person)
        assert not file.exists(), "she was nearly the answer, or learned from the photo"


@pytest.mark.parametrize("torn", [b'{"photo": "a.jpg", "faces": [{"person": "An', b"7", b"\xff", b'{"faces": [{}]}'])
def test_a_journal_that_cannot_be_read_is_forgotten_too(tmp_path: Path, photos: list[Path], torn: bytes) -> None:
    file = abandoned(tmp_path / "j", "1", answer(photos[0], "Bo"))
    file.write_bytes(file.read_bytes() + torn)
    forget(tmp_path / "j", "Ann")
    assert not file.exists(), "her name may stand in what cannot be read"


def test_a_journal_that_cannot_be_removed_is_an_error(
    tmp_path: Path, photos: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    file = abandoned(tmp_path / "j", "1", answer(photos[0], "Ann"))

    def denied(self: Path) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", denied)
    with pytest.raises(StorageError, match="permission denied"):
        forget(tmp_path / "j", "Ann")
    monkeypatch.undo()
    assert file.exists()
