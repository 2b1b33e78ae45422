"""classify."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from mien.cli import answers
from mien.cli.console import cells
from mien.text.answers import AnswerKind
from mien.types import Answer, Candidate, Face, Finding, NamedFace, Photo, Prediction, Quality

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]
GOOD = Quality(80, 1, 1, 1, 1)
PLAIN = answers.View()
FACE = {
    "box",
    "detector_score",
    "landmarks",
    "quality",
    "person",
    "probability",
    "score",
    "threshold",
    "candidates",
    "reason",
}


@pytest.fixture
def trained(three_people: Painted, mien: Mien) -> Painted:
    """`three_people`, trained."""
    assert mien("-C", three_people.folder, "train").exit_code == 0
    return three_people


@pytest.fixture
def party(trained: Painted, tmp_path: Path) -> Path:
    """A folder of two photos, one of which shows Bo, a stranger and Ada, one nobody, and of a file that is no photo."""
    trained.paint(tmp_path / "party/a.png", "Bo", "Stranger", "Ada")
    trained.paint(tmp_path / "party/b.png")
    (tmp_path / "party/c.jpg").write_bytes(b"text")
    return tmp_path / "party"


def test_a_photo_is_answered_in_columns(mien: Mien, trained: Painted, party: Path) -> None:
    result = mien("-C", trained.folder, "classify", party / "a.png", "--verbose")
    assert result.exit_code == 0 and result.stderr == ""
    photo, *faces = result.stdout.splitlines()
    assert photo == f"{party / 'a.png'}  3 faces, left to right"
    assert [face.split()[:2] for face in faces] == [["1", "Bo"], ["2", "unknown"], ["3", "Ada"]]
    assert "  then " in faces[0] and "  nearest " in faces[1]
    assert faces[1].count(" %") == 4, "unknown, and the three nearest"
    assert faces[0].endswith("box 8,20 87,99") and faces[1].endswith("box 100,20 179,99")
    assert len({face.index("box") for face in faces}) == 1
    assert len({face.index("%") for face in faces}) == 1


def test_names_of_any_width_keep_the_columns(mien: Mien, trained: Painted, party: Path) -> None:
    for old, new in (("Ada", "山田 太郎"), ("Bo", "x" * 120)):
        (trained.training / old).rename(trained.training / new)
    mien("-C", trained.folder, "train")
    faces = mien("-C", trained.folder, "classify", party / "a.png", "-v").stdout.splitlines()[1:]
    assert f"{'x' * 39}…" in faces[0] and "山田 太郎" in faces[2]
    assert len({cells(face[: face.index("box")]) for face in faces}) == 1
    assert "x" * 120 in mien("-C", trained.folder, "classify", party / "a.png", "--json").stdout


def test_a_folder_is_walked_and_summed_up(mien: Mien, trained: Painted, party: Path) -> None:
    result = mien("-C", trained.folder, "classify", party)
    assert result.exit_code == 6 and result.stderr == ""
    assert f"{party / 'b.png'}  no face found\n" in result.stdout
    unreadable = f"{party / 'c.jpg'}  unreadable: it is not a photo mien can read; it is text. Fetch the photo again"
    assert unreadable in result.stdout, "the path is not said twice"
    assert result.stdout.splitlines()[-1] == (
        "3 photos: 3 faces, 2 named, 1 unknown; 1 photo without a face; 1 photo unreadable"
    )


def test_top_says_how_many_are_considered(mien: Mien, trained: Painted, party: Path) -> None:
    one = mien("-C", trained.folder, "classify", party / "a.png", "--top", 1).stdout.splitlines()
    assert "then" not in one[1] and one[2].count(" %") == 2
    found = json.loads(mien("-C", trained.folder, "classify", party / "a.png", "--top", 2, "--json").stdout)
    assert [len(face["candidates"]) for face in found["faces"]] == [2, 2, 2]


def test_json_is_as_promised(mien: Mien, trained: Painted, party: Path) -> None:
    result = mien("-C", trained.folder, "classify", party, "--json")
    assert result.exit_code == 6
    assert result.stderr == "3 photos: 3 faces, 2 named, 1 unknown; 1 photo without a face; 1 photo unreadable\n"
    full, empty, broken = map(json.loads, result.stdout.splitlines())
    version = (trained.folder / "models/current").read_text().strip()

    assert list(full) == ["photo", "width", "height", "model", "faces"]
    assert (full["photo"], full["width"], full["height"]) == (str(party / "a.png"), 284, 200)
    assert full["model"] == version
    for face in full["faces"]:
        assert set(face) == FACE
        assert len(face["box"]) == 4 and [len(point) for point in face["landmarks"]] == [2] * 5
        assert set(face["quality"]) == {"size", "sharpness", "pose", "exposure", "overall"}
        assert 0 <= face["probability"] <= 1 and 0 < face["detector_score"] <= 1
        ranked = [candidate["score"] for candidate in face["candidates"]]
        assert ranked == sorted(ranked, reverse=True) and ranked[0] == face["score"] and len(ranked) == 3
        assert all(set(candidate) == {"person", "probability", "score"} for candidate in face["candidates"])
        assert (face["person"] is None) == (face["score"] < face["threshold"])
    assert [face["person"] for face in full["faces"]] == ["Bo", None, "Ada"]
    assert full["faces"][0]["box"] == [8.0, 20.0, 87.0, 99.0]

    assert empty["faces"] == [] and "error" not in empty
    assert (broken["width"], broken["height"], broken["faces"]) == (None, None, [])
    assert set(broken["error"]) == {"kind", "message", "remedy"} and broken["error"]["kind"] == "not-a-picture"
    assert "-0.0" not in result.stdout


def test_csv_has_a_row_a_face(mien: Mien, trained: Painted, party: Path) -> None:
    result = mien("-C", trained.folder, "classify", party, "--csv", "--top", 2)
    assert result.exit_code == 6
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert [(Path(row["photo"]).name, row["face"], row["person"]) for row in rows] == [
        ("a.png", "1", "Bo"),
        ("a.png", "2", ""),
        ("a.png", "3", "Ada"),
        ("b.png", "", ""),
        ("c.jpg", "", ""),
    ]
    assert (rows[0]["x0"], rows[0]["person_1"], float(rows[0]["score"])) == ("8.0", "Bo", float(rows[0]["score_1"]))
    assert "person_2" in rows[0] and "person_3" not in rows[0]
    assert [bool(row["error"]) for row in rows] == [False] * 4 + [True]
    assert None not in rows[0] and None not in rows[4], "every row is as long as the header"


@pytest.mark.parametrize("name", ["=1+1.png", "+a.png", "-a.png", "@a.png", "a,b.png", 'a"b.png'])
def test_no_name_is_a_formula_in_a_table(
    mien: Mien, trained: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    trained.paint(tmp_path / name, "Ada")
    monkeypatch.chdir(tmp_path)
    result = mien("-C", trained.folder, "classify", "--csv", "--", name)
    (row,) = csv.DictReader(io.StringIO(result.stdout))
    assert row["photo"] == (f"'{name}" if name[0] in "=+-@" else name)
    assert json.loads(mien("-C", trained.folder, "classify", "--json", "--", name).stdout)["photo"] == name


def test_a_number_below_zero_stays_a_number(mien: Mien, trained: Painted, tmp_path: Path) -> None:
    from mien.cli.answers import _harmless

    assert [_harmless(cell) for cell in (-0.5, "-0.5", "", 3)] == [-0.5, "'-0.5", "", 3]


def test_copies_are_annotated(mien: Mien, trained: Painted, party: Path, tmp_path: Path) -> None:
    out = tmp_path / "out"
    before = (party / "a.png").read_bytes()
    result = mien("-C", trained.folder, "classify", party, "--annotate", out)
    assert result.exit_code == 6
    assert result.stdout.splitlines()[-1] == f"Annotated copies are in {out}"
    assert sorted(file.name for file in out.glob("*.jpg")) == ["a.png.jpg", "b.png.jpg"]
    with Image.open(out / "a.png.jpg") as copy:
        assert copy.size == (284, 200)
    assert (party / "a.png").read_bytes() == before


def test_a_contact_sheet_is_made(mien: Mien, trained: Painted, party: Path, tmp_path: Path) -> None:
    result = mien("-C", trained.folder, "classify", party, "--sheet", tmp_path / "out/sheet.html")
    assert result.exit_code == 6
    said = re.escape(f"The contact sheet is {tmp_path / 'out/sheet.html'}")
    assert re.fullmatch(said + r" \(\d+ kB\)", result.stdout.splitlines()[-1])
    page = (tmp_path / "out/sheet.html").read_text("utf-8")
    assert "not readable" in page and ">Ada<" in page
    result = mien("-C", trained.folder, "classify", party, "--sheet", trained.folder / "training-images/sheet.html")
    assert result.exit_code == 2 and "keeps for itself" in result.stderr


def test_nothing_to_look_at_is_said(mien: Mien, trained: Painted, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    for given, problem in ((tmp_path / "nowhere.jpg", "does not exist"), (tmp_path / "empty", "holds no photo")):
        result = mien("-C", trained.folder, "classify", given)
        assert result.exit_code == 2
        assert problem in result.stderr and result.stdout == ""
    result = mien("-C", trained.folder, "classify", tmp_path, "--json", "--csv")
    assert result.exit_code == 2 and "exclude each other" in result.stderr


def test_a_model_is_needed(mien: Mien, three_people: Painted) -> None:
    result = mien("-C", three_people.folder, "classify", three_people.training)
    assert result.exit_code == 7
    assert "has no model yet" in result.stderr and "train" in result.stderr


def test_another_model_may_be_named(mien: Mien, trained: Painted, party: Path) -> None:
    current = (trained.folder / "models/current").read_text().strip()
    trained.photo("Ada/more.png")
    mien("-C", trained.folder, "train")
    found = mien(
        "-C", trained.folder, "classify", party / "a.png", "--json", "--model", trained.folder / "models" / current
    )
    assert json.loads(found.stdout)["model"] == current


def test_a_changed_byte_is_noticed(mien: Mien, trained: Painted, party: Path) -> None:
    (network,) = trained.folder.glob("models/*/model.onnx")
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    result = mien("-C", trained.folder, "classify", party)
    assert result.exit_code == 8
    assert "model.onnx is not what it was when the model was written." in result.stderr and result.stdout == ""


def test_another_encoder_is_noticed(mien: Mien, trained: Painted, party: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.seeing.eyes.RECIPE", "another")
    result = mien("-C", trained.folder, "classify", party)
    assert result.exit_code == 9
    assert "was made with the encoder" in result.stderr and f"`mien -C {trained.folder} train`" in result.stderr


def test_people_who_do_not_exist_are_named(mien: Mien, trained_album: Path, sample: Path) -> None:
    """The real networks, once."""
    result = mien("-C", trained_album, "classify", sample / "groups/05.jpg", sample / "no-face/01.jpg", "--json")
    assert result.exit_code == 0
    group, nobody = map(json.loads, result.stdout.splitlines())
    assert nobody["faces"] == []
    assert group["faces"][0]["person"] == "Amara"
    assert [face["box"][0] for face in group["faces"]] == sorted(face["box"][0] for face in group["faces"])


# Why a face is unknown


def face(person: str | None, reason: Finding | None = None, quality: Quality = GOOD, score: float = 0.5) -> NamedFace:
    prediction = Prediction(person, 0.9, score, 0.8, (Candidate("Ada", 0.9, score), Candidate("Bo", 0.05, 0.4)), reason)
    return NamedFace(Face((1, 2, 30, 40), np.zeros((5, 2), np.float32), 0.9, "told"), quality, prediction)


def said(*faces: NamedFace, learned: tuple[str, ...] = (), view: answers.View = PLAIN) -> list[str]:
    photo = Photo("0" * 64, 100, 100, "PNG", "5a" * 8)
    return [" ".join(line.split()) for line in answers._text(Answer("a.jpg", "m", photo, faces, None, learned), view)]


def small(size: float) -> NamedFace:
    return face(None, Finding(AnswerKind.TOO_SMALL, figures={"size": size}), replace(GOOD, size=size), 0.9)


NOBODY = Finding(AnswerKind.NOBODY)


def test_each_answer_says_its_reason_and_what_is_low_in_the_face() -> None:
    poor = Quality(30, 0.4, 0.6, 0.5, 0.1)
    faces = [
        face("Ada"),
        face("Ada", None, poor),
        face("Ada", Finding(AnswerKind.BARELY, ("Ada",))),
        face(None, NOBODY),
        face(None, Finding(AnswerKind.NEARLY, ("Ada",))),
        face(None, Finding(AnswerKind.BETWEEN, ("Ada", "Bo")), score=0.9),
        small(18.4),
    ]
    _, *lines = said(*faces)
    assert lines == [
        "1 Ada 90 % then Bo 5 %",
        "2 Ada 90 % then Bo 5 % small, 30 px; blurred; turned; badly lit",
        "3 Ada 90 % then Bo 5 % doubtful",
        "4 unknown 90 %",
        "5 unknown 90 % perhaps Ada (90 %)",
        "6 unknown - Ada or Bo (90 % and 5 %)",
        "7 unknown - too small to tell, 18 px",
    ]
    blurred = face(None, Finding(AnswerKind.TOO_BLURRED), replace(GOOD, sharpness=0.1))
    _, *lines = said(face(None, NOBODY, poor), *faces[4:], blurred, view=answers.View(top=True, all=True))
    assert lines == [
        "1 unknown 90 % nearest Ada 90 %, Bo 5 % box 1,2 30,40 small, 30 px; blurred; turned; badly lit",
        "2 unknown 90 % nearest Ada 90 %, Bo 5 % box 1,2 30,40 perhaps Ada (90 %)",
        "3 unknown - nearest Ada 90 %, Bo 5 % box 1,2 30,40 Ada or Bo (90 % and 5 %)",
        "4 unknown - box 1,2 30,40 too small to tell, 18 px",
        "5 unknown - box 1,2 30,40 too blurred to tell",
    ]


def test_many_faces_of_which_nothing_is_to_be_said_are_counted() -> None:
    first, *lines = said(face("Ada"), *map(small, range(12, 16)), face(None, NOBODY))
    assert first == "a.jpg 6 faces, left to right" and len(lines) == 2
    assert lines == ["1 Ada 90 % then Bo 5 %", "and 5 unknown faces: 4 too small to tell"]
    _, *lines = said(*[face(None, NOBODY)] * 11)
    assert lines == ["11 unknown faces"]
    assert len(said(*[face(None, NOBODY)] * 3)) == 4 and len(said(*map(small, (12, 13, 14)))) == 4
    assert len(said(*[face(None, NOBODY)] * 11, view=answers.View(all=True))) == 12


def test_only_faces_with_a_name_are_told_where_no_other_is_wanted(mien: Mien, trained: Painted, party: Path) -> None:
    only = answers.View(only_named=True)
    assert said(face(None, NOBODY), face("Ada"), view=only) == [
        "a.jpg 2 faces, left to right, 1 named",
        "2 Ada 90 % then Bo 5 %",
    ]
    assert said(face(None, NOBODY), view=only) == [] and said(view=only) == []
    words = ("-C", trained.folder, "classify", party, "--only-named")
    told = mien(*words)
    assert (
        told.exit_code == 6 and "b.png" not in told.stdout and "c.jpg" in told.stdout and "unknown  " not in told.stdout
    )
    full, broken = map(json.loads, mien(*words, "--json").stdout.splitlines())
    assert [one["person"] for one in full["faces"]] == ["Bo", "Ada"] and "error" in broken
    rows = list(csv.DictReader(io.StringIO(mien(*words, "--csv").stdout)))
    assert [(row["face"], row["person"]) for row in rows] == [("1", "Bo"), ("3", "Ada"), ("", "")]


def test_a_name_that_is_less_sure_than_wanted_is_only_perhaps(
    mien: Mien, trained: Painted, party: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answer = Answer("a.jpg", "m", None, (face("Ada"), face(None, NOBODY)), None)
    assert answer.at_least(0.9).predictions == answer.predictions
    ada, nobody = answer.at_least(0.91).predictions
    assert ada.person is None and ada.reason == Finding(AnswerKind.NEARLY, ("Ada",))
    assert ada.probability == pytest.approx(0.1)
    assert nobody == answer.predictions[1]
    monkeypatch.setattr(Answer, "at_least", lambda self, least: replace(self, learned=(str(least),)))
    told = mien("-C", trained.folder, "classify", party / "a.png", "--least", "97.5", "--json")
    assert json.loads(told.stdout)["learned"] == ["0.975"]
    for least in ("101", "-1"):
        assert mien("-C", trained.folder, "classify", party, "--least", least).exit_code == 2


def test_quiet_prints_the_answers_and_nothing_else(mien: Mien, trained: Painted, party: Path) -> None:
    loud, quiet = (mien("-C", trained.folder, "classify", party, *more) for more in ((), ("-q",)))
    assert loud.stdout.startswith(quiet.stdout) and "3 photos" in loud.stdout and "3 photos" not in quiet.stdout
    assert quiet.stderr == "" and mien("-C", trained.folder, "classify", party, "-q", "--json").stderr == ""


@pytest.mark.parametrize("columns", [60, 80, 120])
def test_answers_fit_the_terminal_without_breaking_a_word(monkeypatch: pytest.MonkeyPatch, columns: int) -> None:
    monkeypatch.setattr(answers, "columns_of", lambda _: columns)
    monkeypatch.setattr("mien.cli.console.columns_of", lambda _: columns)
    poor = Quality(30, 0.4, 0.6, 0.5, 0.1)
    faces = (
        face("Ada", None, poor),
        face("Maximiliane Oberhuber-Schmidt", Finding(AnswerKind.TWICE, ("Maximiliane Oberhuber-Schmidt",)), poor),
        face("山田 太郎", None, poor),
        face(None, Finding(AnswerKind.BETWEEN, ("Maximiliane Oberhuber-Schmidt", "Ada")), poor, 0.9),
    )
    photo = Photo("0" * 64, 100, 100, "PNG", "5a" * 8)
    words = {word for line in said(*faces, view=answers.View(True, True)) for word in line.split()}
    for view in (answers.View(), answers.View(top=True, all=True)):
        learned = ("Ada", "Maximiliane Oberhuber-Schmidt")
        for text in answers._text(Answer("holiday/2026/beach/a.jpg", "m", photo, faces, None, learned), view):
            for line in text.split("\n"):
                assert cells(line) <= columns, line
                assert line == line.rstrip()
            if text.startswith("  "):
                assert set(text.split()) <= words, text


def test_a_photo_that_was_learned_from_says_so(mien: Mien, trained: Painted) -> None:
    assert said(face("Ada"), learned=("Ada",))[0] == "a.jpg 1 face; the model learned Ada from this photo"
    assert said(learned=("Ada", "Bo")) == ["a.jpg no face found; the model learned Ada and Bo from this photo"]
    result = mien("-C", trained.folder, "classify", trained.training / "Ada")
    assert (
        result.stdout.splitlines()[-1] == "3 photos: 3 faces, 3 named, 0 unknown; 3 photos that the model learned from"
    )
    table = mien("-C", trained.folder, "classify", trained.training / "Ada", "--csv").stdout
    assert [row["learned"] for row in csv.DictReader(io.StringIO(table))] == ["Ada"] * 3


def test_the_table_and_json_have_the_reason(mien: Mien, trained: Painted, party: Path) -> None:
    table = mien("-C", trained.folder, "classify", party / "a.png", "--csv").stdout
    assert [row["reason"] for row in csv.DictReader(io.StringIO(table))] == ["", "nobody", ""]
    found = json.loads(mien("-C", trained.folder, "classify", party / "a.png", "--json").stdout)
    assert [one["reason"] for one in found["faces"]] == [None, "nobody", None]


@pytest.mark.parametrize(
    ("name", "data", "said"),
    [
        ("a.zip", b"PK\x03\x04" + b"x" * 99, "is not a photo but an archive (ZIP), which may hold photos"),
        ("a.lnk", b"L\0\0\0\x01\x14\x02\0" + b"x" * 99, "is not a photo but a shortcut, which only says where"),
        ("a.url", b"[InternetShortcut]\r\nURL=x\r\n", "is not a photo but a shortcut"),
        ("a.webloc", b"bplist00" + b"x" * 99, "is not a photo but a shortcut"),
    ],
)
def test_what_holds_or_leads_to_photos_says_what_to_do(
    mien: Mien, trained: Painted, tmp_path: Path, name: str, data: bytes, said: str
) -> None:
    (tmp_path / name).write_bytes(data)
    result = mien("-C", trained.folder, "classify", tmp_path / name)
    assert result.exit_code == 6 and f"{name}  unreadable: it {said}" in result.stdout
    assert "Unpack it" in result.stdout or "Give mien the photo or the folder to which it leads." in result.stdout
    added = mien("-C", trained.folder, "add", "Ada", tmp_path / name)
    assert added.exit_code == 2 and said in added.stderr
