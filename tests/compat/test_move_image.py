from __future__ import annotations

from datetime import date
from pathlib import Path

import pytest

from mien.compat import move_image


def fill(root: Path, *files: str, data: str | None = None) -> None:
    for file in files:
        (root / file).parent.mkdir(parents=True, exist_ok=True)
        (root / file).write_text(file if data is None else data)


def below(root: Path) -> list[str]:
    return sorted(file.relative_to(root).as_posix() for file in root.rglob("*") if file.is_file())


def test_todays_folders_go_to_what_is_there(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    today = date.today().isoformat()
    fill(
        tmp_path, f"{today}-training-images/Ann/1.jpg", f"{today}-aligned-images/Ann/1.png", "training-images/Bo/1.jpg"
    )
    fill(tmp_path, "2017-01-01-training-images/Ann/9.jpg")
    assert move_image.main(["--root", str(tmp_path)]) == 0
    assert below(tmp_path) == [
        "2017-01-01-training-images/Ann/9.jpg",
        "aligned-images/Ann/1.png",
        "training-images/Ann/1.jpg",
        "training-images/Bo/1.jpg",
    ]
    assert not (tmp_path / f"{today}-training-images").exists()
    assert capsys.readouterr().out.splitlines() == [
        str(tmp_path / f"{today}-training-images/Ann/1.jpg"),
        str(tmp_path / "training-images/Ann/1.jpg"),
        str(tmp_path / f"{today}-aligned-images/Ann/1.png"),
        str(tmp_path / "aligned-images/Ann/1.png"),
    ]


def test_a_name_that_is_taken_loses_nothing(tmp_path: Path) -> None:
    fill(tmp_path, "2026-01-01-training-images/Ann/1.jpg", data="new")
    fill(tmp_path, "training-images/Ann/1.jpg", data="old")
    assert move_image.main(["--root", str(tmp_path), "--date", "2026-01-01"]) == 0
    assert below(tmp_path) == ["training-images/Ann/1-2.jpg", "training-images/Ann/1.jpg"]
    assert (tmp_path / "training-images/Ann/1.jpg").read_text() == "old"
    assert (tmp_path / "training-images/Ann/1-2.jpg").read_text() == "new"


def test_the_same_bytes_are_there_once(tmp_path: Path) -> None:
    fill(tmp_path, "2026-01-01-training-images/Ann/1.jpg", "training-images/Ann/1.jpg", data="same")
    move_image.main(["--root", str(tmp_path), "--date", "2026-01-01"])
    assert below(tmp_path) == ["training-images/Ann/1.jpg"]


def test_what_is_no_picture_of_anybody_stays_where_it_is(tmp_path: Path) -> None:
    day = "2026-01-01-training-images"
    fill(tmp_path, f"{day}/Ann/1.jpg", f"{day}/Ann/.DS_Store", f"{day}/notes.txt", f"{day}/.hidden/1.jpg")
    (tmp_path / day / "Link").symlink_to(tmp_path / day / "Ann")
    move_image.main(["--root", str(tmp_path), "--date", "2026-01-01"])
    assert below(tmp_path) == [
        f"{day}/.hidden/1.jpg",
        f"{day}/Ann/.DS_Store",
        f"{day}/notes.txt",
        "training-images/Ann/1.jpg",
    ]


@pytest.mark.parametrize("words", [["--date", "yesterday"], ["--root", "/nowhere/at/all"]])
def test_what_makes_no_sense_is_said(tmp_path: Path, words: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert move_image.main(["--root", str(tmp_path), *words]) == 2
    assert capsys.readouterr().err.startswith("mien-move-image: ")


@pytest.mark.parametrize("link", ["training-images", "training-images/Ann", "training-images/Ann/1.jpg"])
def test_a_link_to_what_is_to_be_moved_loses_nothing(tmp_path: Path, link: str) -> None:
    day = tmp_path / "2026-01-01-training-images"
    fill(tmp_path, f"{day.name}/Ann/1.jpg", data="precious")
    (tmp_path / link).parent.mkdir(parents=True, exist_ok=True)
    (tmp_path / link).symlink_to(day / Path(link).relative_to("training-images"))
    assert move_image.main(["--root", str(tmp_path), "--date", "2026-01-01"]) == 0
    assert "precious" in [file.read_text() for file in tmp_path.rglob("*") if file.is_file()]
