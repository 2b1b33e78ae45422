from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

from mien.errors import PhotoError, StorageError, UsageError
from mien.stages.annotate import LIST, SIDE, annotate, label, plan_copies
from mien.text.answers import AnswerKind
from mien.text.photos import PhotoFault
from mien.types import Answer, Candidate, Face, Finding, NamedFace, Photo, Prediction, Quality
from mien.vision.drawing import DOUBTFUL, NAMED, TOO_POOR, UNKNOWN

if TYPE_CHECKING:
    from conftest import Painted
    from mien.types import Box


def named(box: Box, person: str | None, probability: float = 0.97, reason: Finding | None = None) -> NamedFace:
    face = Face(box, np.zeros((5, 2), np.float32), 0.9, "told")
    candidate = Candidate(person or "Ada", probability, 0.9)
    return NamedFace(face, Quality(1, 1, 1, 1, 1), Prediction(person, probability, 0.9, 0.8, (candidate,), reason))


def answer(file: Path, *faces: NamedFace, error: PhotoError | None = None) -> Answer:
    return Answer(str(file), "m", None if error else Photo("0" * 64, 100, 100, "PNG", "5a" * 8), faces, error)


def test_boxes_are_drawn_where_the_faces_are_and_the_photo_stays(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "a.png")
    before = (tmp_path / "a.png").read_bytes()
    faces = named((50, 40, 150, 140), "Ada"), named((250, 40, 350, 140), None)
    assert annotate(answer(tmp_path / "a.png", *faces), tmp_path / "a.png", tmp_path / "out/a.png.jpg")
    with Image.open(tmp_path / "out/a.png.jpg") as copy:
        assert (copy.format, copy.size) == ("JPEG", (400, 300))
        pixels = np.asarray(copy).astype(int)
    assert np.abs(pixels[90, 50] - NAMED).max() < 30
    assert np.abs(pixels[90, 250] - UNKNOWN).max() < 30
    assert pixels[90, 200].min() > 240 and pixels[90, 100].min() > 240
    assert (tmp_path / "a.png").read_bytes() == before


def test_a_large_photo_gets_a_smaller_copy_with_the_box_in_its_place(tmp_path: Path) -> None:
    wide = 3 * SIDE
    Image.new("RGB", (wide, 300), "white").save(tmp_path / "a.png")
    found = answer(tmp_path / "a.png", named((wide / 2, 60, wide - 300, 240), "Ada"))
    assert annotate(found, tmp_path / "a.png", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as copy:
        assert copy.size == (SIDE, 100)
        green = np.abs(np.asarray(copy).astype(int) - NAMED).max(axis=2) < 30
    assert np.flatnonzero(green[50]).min() == pytest.approx(SIDE / 2, abs=6)


def test_what_cannot_be_read_gets_no_copy(tmp_path: Path) -> None:
    error = PhotoError("a.png", PhotoFault.EMPTY)
    assert not annotate(answer(tmp_path / "a.png", error=error), tmp_path / "a.png", tmp_path / "b.jpg")
    assert not annotate(answer(tmp_path / "gone.png"), tmp_path / "gone.png", tmp_path / "b.jpg")
    assert list(tmp_path.iterdir()) == []


def test_a_label_says_who_and_how_sure() -> None:
    assert label(named((0, 0, 1, 1), "Ada", 0.972)) == "Ada 97 %"
    assert label(named((0, 0, 1, 1), "Ada", 0.9999)) == "Ada >99 %", "nothing is certain"
    assert label(named((0, 0, 1, 1), None)) == "unknown"
    reasons = (
        (Finding(AnswerKind.NOBODY), "unknown"),
        (Finding(AnswerKind.TOO_SMALL, figures={"size": 12}), "too small"),
        (Finding(AnswerKind.TOO_BLURRED), "too blurred"),
        (Finding(AnswerKind.BETWEEN, ("Ada", "Bo")), "Ada or Bo?"),
        (Finding(AnswerKind.NEARLY, ("Ada",)), "Ada?"),
    )
    for reason, words in reasons:
        assert label(named((0, 0, 1, 1), None, reason=reason)) == words
    assert label(named((0, 0, 1, 1), "Ada", 0.6, Finding(AnswerKind.BARELY, ("Ada",)))) == "Ada 60 %?"


def test_each_reason_has_its_colour(tmp_path: Path) -> None:
    Image.new("RGB", (400, 300), "white").save(tmp_path / "a.png")
    small, between = Finding(AnswerKind.TOO_SMALL, figures={"size": 12}), Finding(AnswerKind.BETWEEN, ("Ada", "Bo"))
    faces = named((50, 40, 150, 140), None, reason=small), named((250, 40, 350, 140), None, reason=between)
    assert annotate(answer(tmp_path / "a.png", *faces), tmp_path / "a.png", tmp_path / "b.jpg")
    with Image.open(tmp_path / "b.jpg") as copy:
        pixels = np.asarray(copy).astype(int)
    assert np.abs(pixels[90, 50] - TOO_POOR).max() < 30
    assert np.abs(pixels[90, 250] - DOUBTFUL).max() < 45, "as JPEG shows it"


# Where the copies go


def test_every_photo_has_a_copy_of_its_own(tmp_path: Path) -> None:
    photos = ["x/a.jpg", "x/a.png", "x/a.png.jpg", "y/a.jpg", "y/A.JPG", "z/a-2.jpg", "z/b/a.jpg"]
    relative = ["a.jpg", "a.png", "a.png.jpg", "a.jpg", "A.JPG", "a-2.jpg", "b/a.jpg"]
    copies = plan_copies(tmp_path, [(Path(one), Path(other)) for one, other in zip(photos, relative, strict=True)])
    assert list(copies) == [Path(photo) for photo in photos]
    placed = [copy.relative_to(tmp_path).as_posix() for copy in copies.values()]
    assert placed == ["a.jpg", "a.png.jpg", "a.png-2.jpg", "a-2.jpg", "A-3.JPG", "a-2-2.jpg", "b/a.jpg"]
    assert len({name.casefold() for name in placed}) == len(placed)


def test_only_copies_are_ever_replaced(tmp_path: Path) -> None:
    photos = [(Path("in/a.jpg"), Path("a.jpg")), (Path("in/b.jpg"), Path("b.jpg"))]
    for copy in plan_copies(tmp_path / "out", photos).values():
        copy.write_bytes(b"a copy")
    assert len(plan_copies(tmp_path / "out", photos)) == 2, "an earlier run made them"
    (tmp_path / "out/c.jpg").write_bytes(b"the user's own")
    with pytest.raises(UsageError, match=r"c\.jpg is there already, and mien did not make it\. Name another folder\.$"):
        plan_copies(tmp_path / "out", [*photos, (Path("in/c.jpg"), Path("c.jpg"))])
    assert json.loads((tmp_path / "out" / LIST).read_bytes()) == ["a.jpg", "b.jpg"]
    (tmp_path / "out" / LIST).write_bytes(b"damaged")
    with pytest.raises(UsageError):
        plan_copies(tmp_path / "out", photos)


@pytest.mark.skipif(sys.platform != "linux", reason="only there can a name be any bytes")
@pytest.mark.parametrize("name", ["line\nbreak.jpg", "bytes\udcff.jpg", "naïve.jpg"])
def test_odd_names_are_known_again(tmp_path: Path, name: str) -> None:
    for _ in range(2):
        (copy,) = plan_copies(tmp_path, [(Path("in", name), Path(name))]).values()
        copy.write_bytes(b"a copy")


def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "out").write_bytes(b"a file")
    with pytest.raises(StorageError):
        plan_copies(tmp_path / "out", [(Path("a.jpg"), Path("a.jpg"))])


def test_classify_never_draws_over_a_photo(three_people: Painted, tmp_path: Path) -> None:
    three_people.open().train()
    with Image.open(three_people.paint(tmp_path / "in/a.png", "Ada", "Stranger")) as image:
        image.save(tmp_path / "in/a.jpg", quality=95)
    (tmp_path / "in/a.png").unlink()
    before = (tmp_path / "in/a.jpg").read_bytes()
    for photos in (tmp_path / "in", tmp_path / "in/a.jpg"):
        with pytest.raises(UsageError, match="mien did not make it"):
            three_people.open().classify(photos, annotate=tmp_path / "in")
    assert [file.name for file in (tmp_path / "in").iterdir()] == ["a.jpg"]
    for _ in range(2):
        (found,) = three_people.open().classify(tmp_path / "in", annotate=tmp_path / "out")
        assert [face.prediction.person for face in found.faces] == ["Ada", None]
    assert (tmp_path / "in/a.jpg").read_bytes() == before
    assert (tmp_path / "out/a.jpg").is_file()
