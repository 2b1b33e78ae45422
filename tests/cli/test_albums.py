"""init, add and status."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.cli.albums import PEOPLE
from mien.text.shell import command

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]

QUOTE = '"' if os.name == "nt" else "'"
"""Of the shell of this system."""


def rows(output: str) -> dict[str, str]:
    """The entries of an output by their label."""
    return {line[:12].strip(): line[12:] for line in output.splitlines() if line[:1].strip()}


# init


def test_an_album_is_made_and_the_next_step_named(mien: Mien, tmp_path: Path) -> None:
    club = tmp_path / "our club"
    result = mien("init", club, "--basis", 'written "consent"')
    assert result.exit_code == 0 and result.stderr == ""
    assert rows(result.stdout)["basis"] == 'written "consent"'
    assert rows(result.stdout)["next"].endswith(f"then: mien -C {QUOTE}{club}{QUOTE} train")
    assert (club / "training-images").is_dir()
    assert Album(club).settings.basis == 'written "consent"'


def test_without_a_terminal_nothing_is_asked(mien: Mien, tmp_path: Path) -> None:
    assert "Yours" not in mien("init", tmp_path / "a", typed="consent\n").stdout
    assert Album(tmp_path / "a").settings.basis == "personal"


@pytest.mark.parametrize(("typed", "basis"), [("consent\n", "consent"), ("\n", "personal")])
def test_on_a_terminal_the_basis_is_asked(
    mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, typed: str, basis: str
) -> None:
    monkeypatch.setattr("mien.cli.albums.asked", lambda: True)
    result = mien("init", tmp_path / "a", typed=typed)
    assert "lawful basis" in result.stdout
    assert Album(tmp_path / "a").settings.basis == basis


def test_leaving_the_question_makes_no_album(mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.cli.albums.asked", lambda: True)
    result = mien("init", tmp_path / "a", typed="")
    assert result.exit_code == 130
    assert "Stopped." in result.stderr and not (tmp_path / "a").exists()


def test_an_album_is_never_started_over(mien: Mien, album: Path) -> None:
    before = (album / "mien.toml").read_bytes()
    result = mien("init", album, "--basis", "another")
    assert result.exit_code == 3 and "is an album already" in result.stderr
    assert (album / "mien.toml").read_bytes() == before


def test_what_to_type_is_quoted_where_it_must_be() -> None:
    assert command(Path("club"), "train") == "mien -C club train"
    assert command(Path("our club"), "train") == f"mien -C {QUOTE}our club{QUOTE} train"


# add


def test_photos_are_copied_in_and_counted(mien: Mien, painted: Painted, tmp_path: Path) -> None:
    inbox = tmp_path / "inbox"
    first, second = painted.paint(inbox / "1.png", "Ada"), painted.paint(inbox / "2.png", "Ada")
    result = mien("-C", painted.folder, "add", "Ada", first)
    assert (result.exit_code, result.stdout) == (0, "Added 1 photo to Ada.\n")
    assert mien("-C", painted.folder, "add", "Ada", inbox).stdout == "Added 1 photo to Ada; 1 was there already.\n"
    assert sorted(file.name for file in (painted.training / "Ada").iterdir()) == ["1.png", "2.png"]
    assert first.exists() and second.exists()


def test_what_cannot_be_added_is_said(mien: Mien, painted: Painted, tmp_path: Path) -> None:
    photo = painted.paint(tmp_path / "a.png", "Ada")
    (tmp_path / "notes.txt").write_text("no photo")
    for person, given, problem in (
        ("Ada", tmp_path / "nowhere.png", "does not exist"),
        ("Ada", tmp_path / "notes.txt", "is not a photo by its name"),
        ("a/b", photo, "cannot be a person's name"),
        ("con", photo, "cannot be a person's name"),
    ):
        result = mien("-C", painted.folder, "add", person, given)
        assert result.exit_code == 2
        assert problem in result.stderr and result.stdout == ""


def test_a_photo_that_may_not_be_read_is_named_and_the_others_go_in(
    mien: Mien, painted: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    good, bad = painted.paint(tmp_path / "1.png", "Ada"), painted.paint(tmp_path / "2.png", "Ada")
    opened = Path.open

    def guarded(file: Path, *how: Any, **more: Any) -> Any:
        if file == bad:
            raise PermissionError(13, "Permission denied")
        return opened(file, *how, **more)

    monkeypatch.setattr(Path, "open", guarded)
    result = mien("-C", painted.folder, "add", "Ada", good, bad)
    assert result.exit_code == 6
    assert result.stdout.startswith("Added 1 photo to Ada.\nnot added   ") and "2.png may not be read." in result.stdout


# status


def test_an_empty_album_says_what_to_do(mien: Mien, painted: Painted) -> None:
    result = mien("-C", painted.folder, "status")
    assert result.exit_code == 0 and result.stderr == ""
    assert rows(result.stdout) == {
        "album": str(painted.folder),
        "basis": "painted squares",
        "encoder": "dlib-resnet; retail-0095 gives more faces their right name, in little more than half the time. "
        "Add it: mien encoders add retail-0095",
        "photos": "0 of 0 people",
        "model": "none",
        "next": f"put photos into {painted.training / '<person>'}",
    }


def test_people_are_a_table_and_names_of_any_width_keep_its_columns(mien: Mien, three_people: Painted) -> None:
    for name in ("山田 太郎", "x" * 120):
        (three_people.training / name).mkdir()
    mien("-C", three_people.folder, "train")
    lines = mien("-C", three_people.folder, "status").stdout.splitlines()
    table = lines[: lines.index("")]
    assert table[0] == f"{'person':<40}  photos  faces"
    assert f"{'Ada':<40}       3      3  fewer than 20" in table
    assert f"{'山田 太郎':<36}       0      0  no photo" in table
    assert f"{'x' * 39}…       0      0  no photo" in table


def test_what_is_stale_is_said_and_what_is_not(mien: Mien, three_people: Painted) -> None:
    def stale() -> str:
        return str(rows(mien("-C", three_people.folder, "status").stdout)["stale"])

    assert stale() == "9 photos new in training-images, not seen yet"
    mien("-C", three_people.folder, "train")
    assert stale() == "nothing"
    three_people.photo("Ada/ada-4.png")
    assert stale() == "1 photo new in training-images, not seen yet"
    mien("-C", three_people.folder, "align")
    assert stale() == "1 photo not in the model yet"
    (three_people.training / "Bo/bo-1.png").unlink()
    result = mien("-C", three_people.folder, "status")
    assert "1 photo gone from training-images" in result.stdout
    assert result.stdout.splitlines()[-1] == f"next        mien -C {three_people.folder} train"


def test_photos_without_a_face_or_that_cannot_be_read_are_counted(mien: Mien, three_people: Painted) -> None:
    three_people.paint(three_people.training / "Ada/nobody.png")
    (three_people.training / "Ada/broken.jpg").write_bytes(b"text")
    mien("-C", three_people.folder, "align")
    (three_people.training / "Empty").mkdir()
    said = rows(mien("-C", three_people.folder, "status").stdout)
    assert said["photos"] == "11 of 3 people; 1 folder without a photo", "an empty folder is nobody yet"
    assert said["left out"] == f"1 unreadable, 1 without a face: mien -C {three_people.folder} check"


def test_a_damaged_model_is_stale_and_not_a_failure(mien: Mien, album: Path) -> None:
    (network,) = album.glob("models/*/model.onnx")
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    result = mien("-C", album, "status")
    assert result.exit_code == 0
    assert rows(result.stdout)["model"].startswith(f"{network} is not what it was when the model was written.")
    assert rows(result.stdout)["next"] == f"mien -C {album} train" and "stale" not in rows(result.stdout)
    told = json.loads(mien("-C", album, "status", "--json").stdout)
    assert told["model"] is None and str(network) in told["damaged"] and told["stale"] == []
    assert told["next_step"] == f"mien -C {album} train"


def test_of_very_many_people_those_with_the_fewest_photos_are_shown(mien: Mien, painted: Painted) -> None:
    for number in range(PEOPLE + 5):
        (painted.training / f"person {number:02}").mkdir()
    painted.photo("Ada/1.png")
    output = mien("-C", painted.folder, "status").stdout
    assert "Ada" not in output and "… and 6 people with as many photos or more" in output


def test_status_for_programs(mien: Mien, album: Path) -> None:
    result = mien("-C", album, "status", "--json")
    found = json.loads(result.stdout)
    assert result.stderr == ""
    assert found["folder"] == str(album) and found["photos"] == 36 and found["stale"] == []
    assert {"name": "Amara", "photos": 6, "faces": 6} in found["people"]
    assert found["model"]["people"] == 6
    assert (found["next_step"], found["damaged"]) == (None, None), "nothing needs doing"


# Names that are nearly somebody's


@pytest.fixture
def two_people(painted: Painted) -> Painted:
    painted.photo("Ada Lovelace/1.png", "Ada")
    painted.photo("Zoë/1.png", "Bo")
    return painted


@pytest.mark.parametrize(
    ("name", "other"),
    [
        ("ada lovelace", "Ada Lovelace"),
        ("Ada Lovelase", "Ada Lovelace"),
        ("Lovelace Ada", "Ada Lovelace"),
        ("Zoe", "Zoë"),
    ],
)
def test_a_new_name_that_is_nearly_somebodys_is_told(
    mien: Mien, two_people: Painted, tmp_path: Path, name: str, other: str
) -> None:
    photo = two_people.paint(tmp_path / "1.png", "Ada")
    result = mien("-C", two_people.folder, "add", name, photo)
    assert result.exit_code == 0 and result.stdout.startswith(f"Added 1 photo to {name}.\n"), "it works all the same"
    assert rows(result.stdout)["near name"] == (
        f'"{name}" is new, and nearly the name of "{other}"; if they are one person: '
        f"{command(two_people.folder, 'join', name, other)}"
    )
    assert "near name" not in mien("-C", two_people.folder, "add", name, photo).stdout, "nobody is new any more"
    assert "near name" not in mien("-C", two_people.folder, "add", "Grace", photo).stdout


def test_whom_was_meant_is_asked_wherever_a_person_is_named(mien: Mien, two_people: Painted) -> None:
    for words in (
        ["remove", "Ada Lovelase"],
        ["remove", "Ada", "--everywhere", "--yes"],
        ["show", "Ada Lovlace/1.png"],
    ):
        result = mien("-C", two_people.folder, *words)
        assert result.exit_code == 2 and "Did you mean Ada Lovelace?" in result.stderr, words
    assert "Did you mean" not in mien("-C", two_people.folder, "remove", "Grace").stderr
    person = mien("-C", two_people.folder, "show", "Zoë")
    assert person.exit_code == 2 and '"Zoë" is a person, and no photo. ' in person.stderr.replace("\n     ", "")
