from __future__ import annotations

import shutil
from datetime import date
from pathlib import Path

import pytest

from mien import Album
from mien.compat import scheduler


def test_a_day_fetches_aligns_moves_checks_and_converts(
    tmp_path: Path, sample: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    root, drop = tmp_path / "face", tmp_path / "drop"
    for person, count in (("Amara", 20), ("Erik", 4)):
        photos = sorted((sample / "people" / person).glob("*.jpg"))[:count]
        for number, photo in enumerate(photos):  # most are there, and the last comes today
            folder = drop if number == count - 1 else root / "training-images"
            (folder / person).mkdir(parents=True, exist_ok=True)
            shutil.copy2(photo, folder / person)
    assert scheduler.main(["--root", str(root), "--once"]) == 0
    assert "is an album of mien's now" in capsys.readouterr().err
    assert not (root / "aligned-images-jpeg/Amara").exists()
    with (root / "mien.toml").open("a") as file:
        file.write(f'\n[sources.drop]\nkind = "folder"\npath = "{drop}"\nbasis = "rendered"\nlicence = "own"\n')
    assert scheduler.main(["--root", str(root), "--once"]) in (0, 14)
    said = capsys.readouterr()
    assert "collect: 2 new photos from 1 source" in said.out
    assert len(list((root / "training-images/Amara").iterdir())) == 20
    assert len(list((root / "aligned-images/Amara").iterdir())) == 20
    assert len(list((root / "aligned-images-jpeg/Amara").iterdir())) == 20
    assert not (root / "aligned-images-jpeg/Erik").exists() and "Erik has 4 pictures, fewer than 20" in said.err
    assert not (root / f"{date.today()}-training-images").exists()
    assert Album(root).version


def test_a_time_that_is_none_is_said(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert scheduler.main(["--root", str(tmp_path), "--at", "25:00"]) == 2
    assert "25:00 is no time of day." in capsys.readouterr().err
    assert not list(tmp_path.iterdir())
