"""models, show and convert."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from mien import Album
from mien.cli.console import SHOWN
from mien.text.shell import command

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


@pytest.fixture
def two(taught: Painted) -> tuple[Painted, str, str]:
    """An album with two models, the second with a photo of Ada and a person more, and their versions."""
    first = str(taught.open().version)
    taught.photo("Ada/ada-4.png")
    taught.photo("Dee/dee-1.png", "Stranger")
    taught.open().train()
    return taught, first, str(taught.open().version)


def rows(output: str) -> dict[str, str]:
    """The entries of an output by their label."""
    return {line[:12].strip(): line[12:] for line in output.splitlines() if line[:1].strip()}


# models


def test_before_the_first_model(mien: Mien, painted: Painted) -> None:
    result = mien("-C", painted.folder, "models")
    told = f"none yet; `{command(painted.folder, 'train')}` makes one"
    assert result.exit_code == 0 and rows(result.stdout) == {"models": told}
    assert json.loads(mien("-C", painted.folder, "models", "--json").stdout) == []
    for words, said in (
        (["rollback"], f"{painted.folder} has no earlier model to go back to."),
        (["promote", "2026-11-24-001"], "models holds no version '2026-11-24-001'"),
        (["promote", "../../etc"], "models holds no version '../../etc'"),
        (["diff", "a", "b"], "models holds no version 'a'"),
    ):
        result = mien("-C", painted.folder, "models", *words)
        assert result.exit_code == 7 and said in result.stderr and result.stdout == ""


def test_models_are_a_table(mien: Mien, two: tuple[Painted, str, str]) -> None:
    painted, first, second = two
    lines = mien("-C", painted.folder, "models").stdout.splitlines()
    assert " ".join(lines[0].split()) == "model people photos right name first TPIR at FPIR 1 % by"
    assert lines[1].split() == [first, "3", "9", "-", "-", "train"]
    assert lines[2].split() == ["*", second, "4", "11", "-", "-", "train"]
    assert lines[3] == "*           in use; by: the command that put it into use"
    assert len({line.rindex("train") for line in lines[1:3]} | {lines[0].rindex("by")}) == 1
    told = json.loads(mien("-C", painted.folder, "models", "--json").stdout)
    assert [(one["version"], one["in_use"], one["people"]) for one in told] == [(first, False, 3), (second, True, 4)]


def test_figures_of_real_faces(mien: Mien, album: Path) -> None:
    line = mien("-C", album, "models").stdout.splitlines()[1]
    assert line.startswith("* ") and " all of 36  " in line and line.endswith("  train")


def test_a_damaged_model_is_listed_as_such(mien: Mien, two: tuple[Painted, str, str]) -> None:
    painted, first, second = two
    (painted.folder / "models" / first / "card.json").write_text("{}")
    lines = mien("-C", painted.folder, "models").stdout.splitlines()
    assert lines[1].startswith(f"  {first}  ") and "card.json" in lines[1] and "0" not in lines[1].split()
    assert lines[2].startswith(f"* {second}")
    assert "card.json" in json.loads(mien("-C", painted.folder, "models", "--json").stdout)[0]["damaged"]
    result = mien("-C", painted.folder, "models", "promote", first)
    assert result.exit_code == 8 and Album(painted.folder).version == second
    how = [one.how for one in Album(painted.folder).models()]
    assert how == ["train", "train"], "nor is written down that it was promoted"


def test_promote_and_rollback_say_what_is_in_use(mien: Mien, two: tuple[Painted, str, str]) -> None:
    painted, first, second = two
    result = mien("-C", painted.folder, "models", "rollback")
    assert (result.exit_code, result.stdout) == (0, f"model       {first} is in use again\n")
    assert Album(painted.folder).version == first
    assert mien("-C", painted.folder, "models", "rollback").exit_code == 7
    result = mien("-C", painted.folder, "models", "promote", second)
    assert (result.exit_code, result.stdout) == (0, f"model       {second} is in use\n")
    assert [one.how for one in Album(painted.folder).models()] == ["rollback", "promote"]


def test_how_two_models_differ(mien: Mien, two: tuple[Painted, str, str]) -> None:
    painted, first, second = two
    result = mien("-C", painted.folder, "models", "diff", first, second)
    found = rows(result.stdout)
    assert result.exit_code == 0
    assert found["models"] == f"{first} and {second}"
    assert (found["new people"], found["new photos"]) == ("Dee", "Ada 1, Dee 1")
    assert "both on the same pictures" in result.stdout.splitlines(), "of painted people there is one each"
    assert "too few pictures" in result.stdout
    back = rows(mien("-C", painted.folder, "models", "diff", second, first).stdout)
    assert (back["gone people"], back["gone photos"]) == ("Dee", "Ada 1, Dee 1")
    told = json.loads(mien("-C", painted.folder, "models", "diff", first, second, "--json").stdout)
    assert told["people_added"] == ["Dee"] and told["compared"]["decision"]["promote"] is True


def test_models_can_be_told_apart_without_a_catalog(mien: Mien, two: tuple[Painted, str, str]) -> None:
    painted, first, second = two
    for file in (painted.folder / ".mien").glob("catalog.sqlite*"):
        file.unlink()
    result = mien("-C", painted.folder, "models", "diff", first, second)
    assert result.exit_code == 0
    assert rows(result.stdout)["compared"] == "the album has no catalog any more"


def test_many_new_people_are_counted(mien: Mien, taught: Painted) -> None:
    for number in range(SHOWN + 2):
        taught.photo(f"P{number:02}/1.png", "Stranger")
    taught.open().train()
    first, second = (one.version for one in taught.open().models())
    found = rows(mien("-C", taught.folder, "models", "diff", first, second).stdout)
    assert found["new people"].startswith("P00, P01, ") and found["new people"].endswith("P09 and 2 more")


def test_pictures_that_only_one_model_names_rightly_are_listed(mien: Mien, album: Path, sample: Path) -> None:
    first = str(Album(album).version)
    Album(album).add("Amara", [sample / f"people/Amara/{number:02}.jpg" for number in (7, 8)])
    Album(album).train()
    result = mien("-C", album, "models", "diff", first, str(Album(album).version))
    assert result.exit_code == 0 and rows(result.stdout)["new photos"] == "Amara 2"
    assert "both on the same 38 pictures, fitted without them" in result.stdout.splitlines()
    assert "  named rightly  " in result.stdout and " to " in result.stdout


# show


def test_everything_known_of_a_photo(mien: Mien, two: tuple[Painted, str, str]) -> None:
    painted, first, second = two
    result = mien("-C", painted.folder, "show", painted.training / "Ada/ada-1.png")
    found = rows(result.stdout)
    assert result.exit_code == 0
    assert found["photo"] == str(painted.training / "Ada/ada-1.png")
    assert found["filed"] == "Ada/ada-1.png, Ada; chip Ada/ada-1.png"
    assert found["learned by"] == f"{first}, {second}; in use is {second}"
    assert "quality" in result.stdout and result.stdout.count("Ada's own") == 1
    told = json.loads(mien("-C", painted.folder, "show", "Ada/ada-1.png", "--json").stdout)
    assert told["known"] is True and list(told["models"]) == [first, second]


def test_how_a_photo_came_is_told_whether_by_hand_or_from_a_source(
    mien: Mien, painted: Painted, tmp_path: Path
) -> None:
    photo = painted.paint(tmp_path / "ada.png", "Ada")
    mien("-C", painted.folder, "add", "Ada", photo)
    lines = mien("-C", painted.folder, "show", photo).stdout.splitlines()
    (came,) = (number for number, line in enumerate(lines) if line.startswith("came from"))
    assert lines[came].startswith(f"came from   {photo} (hand), 20")
    assert lines[came + 1].strip() == "basis painted squares, placed", "nobody said under which licence"
    table = '[sources.club]\nkind = "folder"\npath = "../inbox"\nbasis = "consent"\nlicence = "own work"\n'
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(table)
    other = painted.paint(tmp_path / "inbox/Bo/bo.png", "Bo")
    assert mien("-C", painted.folder, "collect").exit_code == 0
    lines = mien("-C", painted.folder, "show", other).stdout.splitlines()
    (came,) = (number for number, line in enumerate(lines) if line.startswith("came from"))
    assert lines[came].startswith("came from   Bo/bo.png (club), 20")
    assert lines[came + 1].strip() == "licence own work, basis consent, placed"


def test_a_photo_that_nobody_knows(mien: Mien, painted: Painted, tmp_path: Path) -> None:
    result = mien("-C", painted.folder, "show", tmp_path / "nowhere.png")
    assert result.exit_code == 6 and "nowhere.png" in result.stderr
    photo = painted.paint(tmp_path / "x.png", "Ada")
    result = mien("-C", painted.folder, "show", photo)
    assert result.exit_code == 0 and rows(result.stdout)["known"].startswith("no: ")
    assert rows(result.stdout)["photo"] == str(photo)


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such names")
def test_names_cannot_drive_the_terminal(mien: Mien, three_people: Painted) -> None:
    hostile = "\x1b[2J\x07"
    three_people.open().train()
    photo = three_people.photo(f"Dee/{hostile}.png", "Stranger")
    three_people.open().train()
    first, second = (one.version for one in three_people.open().models())
    copy = three_people.folder.parent / f"{hostile}.jpg"
    for words in (
        ["show", photo],
        ["convert", photo, copy],
        ["convert", photo, copy],
        ["models", "diff", first, second],
    ):
        result = mien("-C", three_people.folder, *words)
        assert result.exit_code == 0 and all(line.isprintable() for line in result.stdout.splitlines()), words
        assert "\x1b" not in result.stderr and "\x07" not in result.stderr


# convert


def test_a_photo_is_converted_and_never_over_another(mien: Mien, painted: Painted, tmp_path: Path) -> None:
    photo = painted.paint(tmp_path / "a.png", "Ada")
    result = mien("convert", photo, tmp_path / "a.jpg")
    assert (result.exit_code, result.stdout) == (0, "converted   1 photo\n")
    with Image.open(tmp_path / "a.jpg") as image:
        assert image.format == "JPEG"
    again = rows(mien("convert", photo, tmp_path / "a.jpg").stdout)
    assert again == {"converted": "0 photos", "left alone": f"{photo}: there is a file of that name already"}


def test_a_folder_is_converted_and_what_cannot_be_read_is_6(mien: Mien, painted: Painted, tmp_path: Path) -> None:
    painted.paint(tmp_path / "in/Ada/1.png", "Ada")
    (tmp_path / "in/broken.png").write_bytes(b"text")
    result = mien("convert", tmp_path / "in", tmp_path / "out", "--to", "jpeg")
    assert result.exit_code == 6 and (tmp_path / "out/Ada/1.jpg").is_file()
    assert rows(result.stdout)["converted"] == "1 photo" and "broken.png" in rows(result.stdout)["unreadable"]
    told = json.loads(mien("convert", tmp_path / "in", tmp_path / "out2", "--to", "jpeg", "--json").stdout)
    assert len(told["converted"]) == len(told["failures"]) == 1


def test_wrong_words_for_a_conversion(mien: Mien, painted: Painted, tmp_path: Path) -> None:
    photo = painted.paint(tmp_path / "a.png", "Ada")
    assert "The format to convert to is not said." in mien("convert", photo, tmp_path / "out").stderr
    assert "gif is not a format" in mien("convert", photo, tmp_path / "out", "--to", "gif").stderr
    assert mien("convert", photo, tmp_path / "a.jpg", "--quality", "0").exit_code == 2
