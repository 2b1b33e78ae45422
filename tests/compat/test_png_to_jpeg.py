from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from mien.compat import png_to_jpeg
from mien.errors import PhotoError, UsageError


def fill(folder: Path, count: int, mode: str = "RGB") -> None:
    folder.mkdir(parents=True)
    for number in range(count):
        pixels = np.random.default_rng(number).integers(0, 256, (8, 8, 3)).astype(np.uint8)
        Image.fromarray(pixels).convert(mode).save(folder / f"{number:02}.png")


def test_whoever_has_twenty_is_converted(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "png/Ann", 20)
    fill(tmp_path / "png/Bo", 19)
    for name in (".hidden", "cache.t7"):
        fill(tmp_path / "png" / name, 20)
    (tmp_path / "png/Ann/empty.png").write_bytes(b"")
    (tmp_path / "png/Ann/.DS_Store").write_bytes(b"x")
    words = ["--dir_from", str(tmp_path / "png"), "--dir_to", str(tmp_path / "jpeg")]
    assert png_to_jpeg.main(words) == 0
    said = capsys.readouterr()
    assert said.out.splitlines() == [str(tmp_path / f"jpeg/Ann/{number:02}.jpg") for number in range(20)]
    assert said.err == "mien-png-to-jpeg: Bo has 19 pictures, fewer than 20: left out.\n"
    assert [folder.name for folder in (tmp_path / "jpeg").iterdir()] == ["Ann"]
    assert png_to_jpeg.main([*words, "--minimum", "19"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 19, "what is there already stays"


def test_a_jpeg_is_pillows_own(tmp_path: Path) -> None:
    fill(tmp_path / "png/Ann", 1)
    png_to_jpeg.convert(tmp_path / "png", tmp_path / "jpeg", 1)
    with Image.open(tmp_path / "png/Ann/00.png") as image:
        image.convert("RGB").save(tmp_path / "pillow.jpg", "JPEG")
    assert (tmp_path / "jpeg/Ann/00.jpg").read_bytes() == (tmp_path / "pillow.jpg").read_bytes()


@pytest.mark.parametrize("mode", ["RGBA", "L", "P"])
def test_pictures_of_any_mode_become_rgb(tmp_path: Path, mode: str) -> None:
    fill(tmp_path / "png/Ann", 1, mode)
    assert png_to_jpeg.convert(tmp_path / "png", tmp_path / "jpeg", 1) == 0
    with Image.open(tmp_path / "jpeg/Ann/00.jpg") as image:
        assert image.mode == "RGB" and image.size == (8, 8)


def test_a_broken_picture_is_told_and_the_others_go_on(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    fill(tmp_path / "png/Ann", 3)
    (tmp_path / "png/Ann/01.png").write_bytes(b"no picture")
    assert png_to_jpeg.convert(tmp_path / "png", tmp_path / "jpeg", 1) == PhotoError.exit_code
    assert "01.png" in capsys.readouterr().err
    assert sorted(file.name for file in (tmp_path / "jpeg/Ann").iterdir()) == ["00.jpg", "02.jpg"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code = png_to_jpeg.main(["--dir_from", str(tmp_path / "none"), "--dir_to", str(tmp_path / "jpeg")])
    assert code == UsageError.exit_code and "is no folder" in capsys.readouterr().err
    assert not (tmp_path / "jpeg").exists()
