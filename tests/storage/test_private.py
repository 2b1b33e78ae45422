"""What mien writes is its owner's alone, in albums of older versions too."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from conftest import Painted

pytestmark = pytest.mark.skipif(os.name == "nt", reason="Windows has other permissions")


@pytest.fixture(autouse=True)
def _open_to_all() -> Iterator[None]:
    before = os.umask(0)
    yield
    os.umask(before)


def open_to_others(folder: Path, *left_out: Path) -> list[str]:
    """What in a folder other users could look into."""
    below = [folder, *folder.rglob("*")]
    return [
        path.relative_to(folder).as_posix()
        for path in below
        if path.lstat().st_mode & 0o077 and not any(path.is_relative_to(one) for one in left_out)
    ]


def test_whatever_is_made_is_its_owners_alone(mien: Callable[..., Any], painted: Painted, tmp_path: Path) -> None:
    album, photos = tmp_path / "album of mine", [painted.paint(tmp_path / f"{n}.png", "Ada") for n in range(3)]
    others = [painted.paint(tmp_path / f"b{n}.png", "Bo") for n in range(3)]
    assert mien("init", album, "--basis", "b").exit_code == 0
    for words in (
        ("add", "Ada", *photos),
        ("add", "Bo", *others),
        ("train",),
        ("classify", tmp_path / "0.png", "--annotate", tmp_path / "out"),
        ("remove", "Ada", photos[0].name),
    ):
        assert mien("-C", album, *words).exit_code == 0, words
    assert open_to_others(album) == [] and open_to_others(tmp_path / "out") == []


def test_an_older_album_is_mended_by_the_next_command_that_writes(mien: Callable[..., Any], painted: Painted) -> None:
    for number in range(3):
        painted.photo(f"Ada/{number}.png")
        painted.photo(f"Bo/{number}.png")
    painted.open().train()
    album, mine = painted.folder, [painted.training, painted.folder / "mien.toml"]
    (album / "models" / "a link").symlink_to(painted.training)
    for path in (album, *album.rglob("*")):
        if not path.is_symlink():
            path.chmod(0o777 if path.is_dir() else 0o666)
    assert mien("-C", album, "status").exit_code == 0
    assert album.joinpath(".mien").stat().st_mode & 0o077, "a command that reads changes nothing"
    assert mien("-C", album, "align").exit_code == 0
    chips = list((album / "aligned-images").rglob("*"))
    assert open_to_others(album, *mine, *chips, album / "models" / "a link") == ["."]
    assert painted.training.stat().st_mode & 0o777 == 0o777


def test_a_converted_copy_is_as_open_as_the_photo(mien: Callable[..., Any], painted: Painted, tmp_path: Path) -> None:
    for mode in (0o600, 0o644):
        photo = painted.paint(tmp_path / f"{mode}.png", "Ada")
        photo.chmod(mode)
        assert mien("convert", photo, tmp_path / "out", "--to", "jpg").exit_code == 0
        assert (tmp_path / "out" / f"{mode}.jpg").stat().st_mode & 0o777 == mode
