"""check on the command line."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from mien.cli.albums import FEW
from mien.cli.console import SHOWN
from mien.errors import NEEDS_HUMAN

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


def text(output: str) -> str:
    """An output with its columns closed up."""
    return "\n".join(" ".join(line.split()) for line in output.splitlines())


@pytest.fixture(autouse=True)
def _one_photo_is_enough(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_MINIMUM", "1")


def test_an_album_that_needs_nobody(mien: Mien, painted: Painted) -> None:
    painted.photo("Ada/ada.png")
    mien("-C", painted.folder, "align")
    result = mien("-C", painted.folder, "check")
    assert (result.exit_code, result.stderr) == (0, "")
    assert text(result.stdout) == "check nothing needs you"


def test_what_is_found_by_kind_with_what_to_do(mien: Mien, three_people: Painted) -> None:
    shutil.copy2(three_people.training / "Ada/ada-1.png", three_people.training / "Bo/hers.png")
    (three_people.training / "Cy/broken.jpg").write_bytes(b"text")
    for name in ("bo-1.png", "bo-2.png", "bo-3.png"):
        (three_people.training / "Bo" / name).unlink()
    mien("-C", three_people.folder, "align")
    result = mien("-C", three_people.folder, "check")
    assert (result.exit_code, result.stderr) == (NEEDS_HUMAN, "")
    assert text(result.stdout) == (
        "two people Ada/ada-1.png, Ada/ada-2.png, Ada/ada-3.png, Bo/hers.png: the same picture under 2 people\n"
        "Leave the photo with the person it shows, and take it out of the other folder. If it is right, say so by"
        f" `mien -C {three_people.folder} confirm`.\n"
        f"mien -C {three_people.folder} confirm Ada/ada-1.png Ada/ada-2.png Ada/ada-3.png Bo/hers.png\n"
        "one in two Ada and Bo look like one person in two folders (0.999)\n"
        f"If they are one, join them. If they are two, say so by `mien -C {three_people.folder} confirm`.\n"
        f"mien -C {three_people.folder} join Bo Ada\n"
        f"mien -C {three_people.folder} confirm Ada Bo\n"
        "unreadable Cy/broken.jpg: is not a photo mien can read; it is text\n"
        "Fetch the photo again, or take the file out of the folder.\n"
        "copies Ada/ada-1.png, Ada/ada-2.png, Ada/ada-3.png: 3 copies of the same picture\n"
        "Cy/cy-1.png, Cy/cy-2.png, Cy/cy-3.png: 3 copies of the same picture\n"
        "Nothing needs doing. Other photos would teach more.\n"
        "check 2 findings need you; 3 told for information"
    )


def test_what_is_left_out_is_found_again_with_its_remedy_and_needs_nobody(mien: Mien, three_people: Painted) -> None:
    three_people.paint(three_people.training / "Ada/nobody.png")
    three_people.paint(three_people.training / "loose.png", "Ada")
    (three_people.training / "Cy/broken.jpg").write_bytes(b"text")
    (three_people.training / "Cy/film.mp4").write_bytes(b"film")
    (three_people.training / "Empty").mkdir()
    assert mien("-C", three_people.folder, "align").exit_code == 0
    result = mien("-C", three_people.folder, "check")
    assert result.exit_code == 0, "mien leaves out what it leaves out: it needs nobody, today or in a year"
    said = text(result.stdout)
    assert "empty Empty: a folder without a photo\nPut photos into it, or take it away.\n" in said
    assert "left out loose.png: is not in a person's folder\n" in said
    assert "\nCy/film.mp4: is of a kind that mien does not read\n" in said
    assert "\nPut it into the folder of whom it shows.\nIf it is a photo, save it as a JPEG and put that" in said
    assert "unreadable Cy/broken.jpg: is not a photo mien can read; it is text\n" in said
    assert said.endswith("check nothing needs you; 8 told for information")
    assert mien("-C", three_people.folder, "check", "--strict").exit_code == NEEDS_HUMAN
    told = json.loads(mien("-C", three_people.folder, "check", "--json").stdout)
    left_out = [one for one in told["findings"] if one["kind"] == "left out"]
    assert [(one["photos"], one["figures"]["left_out"]) for one in left_out] == [
        (["loose.png"], "no person"),
        (["Cy/film.mp4"], "unsupported"),
    ]


def test_few_photos_are_a_remark(mien: Mien, three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MIEN_MINIMUM", "2")
    mien("-C", three_people.folder, "align")
    result = mien("-C", three_people.folder, "check")
    assert result.exit_code == 0 and "few Ada: 1 of 2 photos with their face" in text(result.stdout)
    monkeypatch.setenv("MIEN_STRICT", "true")
    assert mien("-C", three_people.folder, "check").exit_code == NEEDS_HUMAN
    assert mien("-C", three_people.folder, "check", "--no-strict").exit_code == 0


def test_what_waits_can_be_checked_too(mien: Mien, three_people: Painted) -> None:
    mien("-C", three_people.folder, "train")
    intake = three_people.folder / "2026-11-23-training-images"
    three_people.paint(intake / "Ada/new.png", "Ada")
    (intake / "Ada/note.txt").write_text("x")
    said = text(mien("-C", three_people.folder, "check", "--waiting").stdout)
    assert "not seen 1 photo not seen yet" in said
    assert f"left out {intake.name}/Ada/note.txt: is not a photo by its name\n" in said


def test_a_face_that_was_guessed_is_said_wherever_it_is_used(mien: Mien, three_people: Painted) -> None:
    three_people.photo("Freya/both.png", "Freya", "Stranger", sides=(60, 90))
    where = "Freya/both.png: of 2 faces it was guessed which is Freya's: the right one"
    remedy = (
        "Cut a photo to the face of Freya, or add one that shows nobody else, if another face may be the right one."
    )
    aligned = mien("-C", three_people.folder, "align")
    assert aligned.exit_code == 0 and f"guessed {where}\n{remedy}" in text(aligned.stdout)
    trained = mien("-C", three_people.folder, "train")
    assert trained.exit_code == 0 and f"needs you {where}" in text(trained.stdout)
    check = mien("-C", three_people.folder, "check")
    assert check.exit_code == NEEDS_HUMAN and f"undecided {where}\n{remedy}" in text(check.stdout)
    shown = mien("-C", three_people.folder, "show", "Freya/both.png")
    assert text(shown.stdout).count(", Freya's own, by guess") == 1
    report = next(three_people.folder.glob("models/*/report.html")).read_text("utf-8")
    assert "the right one of 2" in report
    three_people.photo("Freya/alone.png")
    said = mien("-C", three_people.folder, "train").stdout.replace(str(three_people.folder), "")
    assert "guess" not in said
    assert "undecided" not in mien("-C", three_people.folder, "check").stdout
    assert "by guess" not in mien("-C", three_people.folder, "show", "Freya/both.png").stdout


def test_json_is_for_programs(mien: Mien, three_people: Painted) -> None:
    result = mien("-C", three_people.folder, "check", "--json")
    assert result.exit_code == NEEDS_HUMAN
    told = json.loads(result.stdout)
    assert [finding["kind"] for finding in told["findings"]] == ["not seen"]


def test_long_lists_are_cut_and_json_has_them_whole(mien: Mien, painted: Painted) -> None:
    for number in range(SHOWN + 3):
        painted.paint(painted.training / f"Ada/nobody-{number:02}.png")
    for number in range(FEW + 2):
        painted.photo(f"Bo/bo-{number}.png")
    mien("-C", painted.folder, "align")
    lines = text(mien("-C", painted.folder, "check").stdout).splitlines()
    assert sum("nobody-" in line and "no face" in line for line in lines) == SHOWN
    assert f"… and 3 more: mien -C {painted.folder} check --all" in lines
    whole = mien("-C", painted.folder, "check", "--all").stdout
    assert whole.count("no face was found") == SHOWN + 3 and "… and" not in whole
    names = ", ".join(f"Bo/bo-{number}.png" for number in range(FEW))
    assert f"{names} and 2 more: 6 copies of the same picture" in lines
    findings = json.loads(mien("-C", painted.folder, "check", "--json").stdout)["findings"]
    assert sum(finding["kind"] == "no face" for finding in findings) == SHOWN + 3
