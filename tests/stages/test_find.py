"""The photos in which somebody is, and where copies of them and links to them go."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import UsageError

if TYPE_CHECKING:
    from conftest import Painted


@pytest.fixture
def club(taught: Painted) -> Painted:
    taught.looked()
    return taught


@pytest.fixture
def days(club: Painted, tmp_path: Path) -> Path:
    """A folder of five photos in three folders, in two of which a photo has the same name."""
    folder = tmp_path / "days"
    club.paint(folder / "monday/1.png", "Ada", "Bo")
    club.paint(folder / "monday/2.png", "Bo")
    club.paint(folder / "tuesday/1.png", "Ada", "Stranger")
    club.paint(folder / "tuesday/3.png", "Stranger")
    (folder / "broken.png").write_bytes(b"")
    return folder


def below(folder: Path) -> list[str]:
    return sorted(one.relative_to(folder).as_posix() for one in folder.rglob("*") if not one.is_dir())


def test_who_is_looked_for_is_found_with_how_sure_that_is(club: Painted, days: Path) -> None:
    found = {Path(one.path).relative_to(days).as_posix(): one for one in club.open().find("Ada", days)}
    assert [path for path, one in found.items() if one.people] == ["monday/1.png", "tuesday/1.png"]
    (ada,) = found["monday/1.png"].people
    assert ada.person == "Ada" and 0.5 < ada.probability <= 1 and ada.box[0] < 20 and ada.doubt == ""
    assert found["broken.png"].error and len(found) == 5
    assert not any(one.people for one in club.open().find("Ada", days, least=1.1))


def test_several_or_all_people_may_be_looked_for(club: Painted, days: Path) -> None:
    def people(*names: str) -> list[list[str]]:
        return [sorted(who.person for who in one.people) for one in club.open().find(names, days) if one.people]

    assert people("Bo", "Ada") == people() == [["Ada", "Bo"], ["Bo"], ["Ada"]]
    assert people("Cy") == []


def test_somebody_who_has_two_faces_in_a_photo_is_found_once(club: Painted, tmp_path: Path) -> None:
    (found,) = club.open().find("Ada", club.paint(tmp_path / "twins.png", "Ada", "Ada"))
    assert len(found.people) == 1


def test_a_name_that_is_nobodys_says_who_may_be_meant(club: Painted, days: Path) -> None:
    with pytest.raises(UsageError, match=r'"Adda" is the name of nobody whom the model knows. Did you mean Ada'):
        club.open().find("Adda", days)
    with pytest.raises(UsageError, match="is the name of nobody") as caught:
        club.open().find("Zephyrine", days)
    assert "Did you mean" not in str(caught.value)


@pytest.mark.parametrize("how", ["copy", "link"])
def test_photos_go_into_a_folder_per_person_and_nothing_is_replaced(
    club: Painted, days: Path, tmp_path: Path, how: str
) -> None:
    out = tmp_path / "out"
    (out / "Bo").mkdir(parents=True)
    (out / "Bo/2.png").write_bytes(b"my own")
    before = {one: one.read_bytes() for one in days.rglob("*.png")}
    found = list(club.open().find([], days, **{how: out}))  # type: ignore[arg-type]
    assert below(out) == ["Ada/1-2.png", "Ada/1.png", "Bo/1.png", "Bo/2-2.png", "Bo/2.png"]
    assert (out / "Bo/2.png").read_bytes() == b"my own"
    assert (out / "Bo/2-2.png").is_symlink() == (how == "link")
    assert (out / "Bo/2-2.png").read_bytes() == (days / "monday/2.png").read_bytes()
    assert sum(one.new for one in found) == 4
    again = list(club.open().find([], days, **{how: out}))  # type: ignore[arg-type]
    assert [one.placed for one in again] == [one.placed for one in found] and sum(one.new for one in again) == 0
    assert len(below(out)) == 5 and before == {one: one.read_bytes() for one in days.rglob("*.png")}
    if os.name != "nt":
        assert (out / "Ada").stat().st_mode & 0o777 == 0o700


def test_what_was_placed_before_is_not_looked_at(club: Painted, days: Path) -> None:
    assert len(list(club.open().find("Ada", days, copy=days / "found"))) == 5
    assert len(list(club.open().find("Ada", days, copy=days / "found"))) == 5
    assert below(days / "found") == ["Ada/1-2.png", "Ada/1.png"]


def test_nothing_goes_where_an_album_would_learn_from_it(
    club: Painted, days: Path, tmp_path: Path, new_painted: Callable[[Path], Painted]
) -> None:
    other = new_painted(tmp_path / "other album").folder
    (tmp_path / "link").symlink_to(other / "training-images")
    places = [club.folder / "training-images", other / "training-images/Ada", other, tmp_path / "link"]
    places += [other / name for name in ("2026-01-01-training-images", "models/a", ".mien", "removed-images")]
    for place in places:
        with pytest.raises(UsageError, match=r"is an album|keeps for itself"):
            club.open().find([], days, copy=place)
    assert list(club.open().find([], days, copy=other / "found photos")) and club.looked()


def test_a_copy_and_a_link_exclude_each_other(club: Painted, days: Path, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="exclude each other"):
        club.open().find([], days, copy=tmp_path / "a", link=tmp_path / "b")


# The command


def test_the_command_tells_where_somebody_is(
    club: Painted, days: Path, tmp_path: Path, mien: Callable[..., Any]
) -> None:
    result = mien("-C", club.folder, "find", "Ada", days, "--link", tmp_path / "out")
    assert result.exit_code == 6, "a photo is broken"
    lines = result.stdout.splitlines()
    assert [line.split()[-1] for line in lines[:3] if "%" in line] == [
        str(days / "monday/1.png"),
        str(days / "tuesday/1.png"),
    ]
    assert "Ada is in 2 of 5 photos; 1 photo unreadable" in lines
    assert f"2 links made in {tmp_path / 'out'}" in lines
    result = mien("-C", club.folder, "find", days, "--json")
    told = [json.loads(line) for line in result.stdout.splitlines()]
    assert [[one["person"] for one in line["people"]] for line in told if "error" not in line][1:] == [["Bo"], ["Ada"]]
    assert "Found in 3 of 5 photos: " in result.stderr


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["Adda", "days"], "Did you mean Ada"),
        (["Ada"], "Name photos after the names"),
        (["Bo"], "Write ./Bo if you mean the folder"),
        (["Ada", "nowhere"], "nowhere does not exist, and is nobody's name"),
        (["nowhere"], "nowhere does not exist, and is nobody's name"),
        (["Ada", "days", "--copy", "a", "--link", "b"], "exclude each other"),
    ],
)
def test_what_is_wrong_with_the_words_is_said(
    club: Painted, days: Path, mien: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, words: list[str], said: str
) -> None:
    monkeypatch.chdir(days.parent)
    (days.parent / "Bo").mkdir()
    result = mien("-C", club.folder, "find", *words)
    assert result.exit_code == 2 and said in result.stderr


def test_a_folder_that_is_called_as_a_person_comes_after_the_name(
    club: Painted, tmp_path: Path, mien: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    club.paint(tmp_path / "Bo/1.png", "Ada", "Bo")
    assert "Ada is in 1 of 1 photo" in mien("-C", club.folder, "find", "Ada", "./Bo").stdout
    assert "Found in 1 of 1 photo: Ada in 1 and Bo in 1" in mien("-C", club.folder, "find", "./Bo").stdout
