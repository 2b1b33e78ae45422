"""The album that a command works in: named before or after the command, or found from where one is."""

from __future__ import annotations

import contextlib
import json
import os
from collections.abc import Callable, Iterator
from functools import partial
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.errors import AlbumError, StorageError
from mien.storage import layout
from mien.storage.layout import album_around, own_album_around
from mien.text.shell import command

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


@pytest.fixture
def club(tmp_path: Path) -> Path:
    """An album without a photo, in which nothing is asked of eyes."""
    return Album.create(tmp_path / "club").folder


@pytest.fixture
def inside(club: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of a person in it, where the command line is."""
    folder = club / "training-images/Ada"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("PWD", str(folder))
    return folder


# -C, and -h


@pytest.mark.parametrize(
    "words",
    [
        ("-C", "ALBUM", "models", "--json"),
        ("models", "-C", "ALBUM", "--json"),
        ("models", "--json", "--album", "ALBUM"),
        ("models", "list", "-C", "ALBUM", "--json"),
        ("models", "-C", "ALBUM", "list", "--json"),
        ("runs", "--json", "-C", "ALBUM"),
        ("check", "--json", "--album=ALBUM"),
        ("encoders", "list", "--json", "-C", "ALBUM"),
    ],
)
def test_an_album_may_be_named_before_and_after_the_command(mien: Mien, club: Path, words: tuple[str, ...]) -> None:
    result = mien(*(word.replace("ALBUM", str(club)) for word in words))
    assert result.exit_code == 0 and result.stderr == "" and json.loads(result.stdout) is not None


def test_two_albums_are_one_too_many(mien: Mien, club: Path) -> None:
    assert mien("-C", club, "status", "-C", club).exit_code == 0
    result = mien("-C", club, "status", "-C", "other")
    assert result.exit_code == 2
    assert result.stderr.startswith(f"mien: -C {club} and -C other name two albums.")


def test_every_command_has_help_by_a_letter(mien: Mien) -> None:
    for words in ([], ["classify"], ["models"], ["models", "diff"], ["encoders", "add"]):
        short, long = mien(*words, "-h"), mien(*words, "--help")
        assert short.exit_code == 0 and short.stdout == long.stdout and "-h, --help" in short.stdout
        assert ("-C, --album ALBUM" in short.stdout) and "Usage: mien" in short.stdout
    assert "--album" not in mien("convert", "-h").stdout, "which works in no album"


# An album around the current folder


def test_an_album_is_found_from_any_folder_below_and_named(mien: Mien, club: Path, inside: Path) -> None:
    result = mien("status", "--json")
    assert result.exit_code == 0
    assert json.loads(result.stdout)["folder"] == str(club)
    assert result.stderr == f"In the album {club}\n"
    assert "In the album" in mien("classify", "nothing.jpg").stderr
    assert "In the album" not in mien("classify", "nothing.jpg", "-q").stderr


def test_in_the_album_itself_nothing_is_said_of_it(mien: Mien, club: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(club)
    assert mien("status", "--json").stderr == ""


def test_the_nearest_album_is_the_one(mien: Mien, club: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    inner = Album.create(club / "inner", nested=True).folder
    monkeypatch.chdir(inner / "training-images")
    assert json.loads(mien("status", "--json").stdout)["folder"] == str(inner)


def test_what_mien_keeps_for_itself_holds_no_album(club: Path) -> None:
    kept = club / ".mien/kept/deeper"
    kept.mkdir(parents=True)
    (club / ".mien/kept/mien.toml").touch()
    assert own_album_around(kept) == club


def test_the_search_ends_at_home(club: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (club / "home/photos").mkdir(parents=True)
    monkeypatch.setattr(Path, "home", lambda: club / "home")
    assert own_album_around(club / "home/photos") is None and own_album_around(club / "home") is None
    assert album_around(club / "home/photos") == club, "but none is made there"


@pytest.mark.skipif(os.name == "nt", reason="Windows does not say so whose a file is")
def test_nobody_elses_album_is_found(mien: Mien, club: Path, inside: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "geteuid", lambda: 12345)
    owner = (club / "mien.toml").stat().st_uid
    if owner == 0:  # the administrator's is found by everybody
        monkeypatch.setattr(layout, "_is_mine", lambda _: False)
    assert own_album_around(inside) is None
    result = mien("status")
    assert result.exit_code == AlbumError.exit_code
    assert result.stderr == (
        f"mien: {inside} is not an album; it lies in one, {club}.\n      Name that album: {command(club, 'status')}\n"
    )
    assert mien("-C", club, "status").exit_code == 0


def test_a_folder_that_is_reached_through_a_link_lies_where_the_link_is(
    club: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "disk/Ada").mkdir(parents=True)
    (club / "training-images").rmdir()
    (club / "training-images").symlink_to(tmp_path / "disk")
    monkeypatch.chdir(club / "training-images/Ada")
    monkeypatch.setenv("PWD", str(club / "training-images/Ada"))
    assert own_album_around(Path()) == club
    monkeypatch.setenv("PWD", str(club))
    assert own_album_around(Path()) is None, "what PWD says is not where it is"


def test_an_album_that_is_named_is_not_looked_for(mien: Mien, club: Path) -> None:
    result = mien("-C", club / "training-images", "status")
    assert result.exit_code == AlbumError.exit_code
    assert "training-images is not an album; it lies in one" in result.stderr
    assert command(club, "status") in result.stderr and "init" not in result.stderr


def test_commands_name_the_album_as_the_reader_may(
    mien: Mien, three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = three_people.folder
    monkeypatch.chdir(folder.parent)
    assert "next        mien -C album train" in mien("status", "-C", "album").stdout.splitlines()
    assert mien("-C", "album", "remove", "Bo").exit_code == 0
    removed = mien("-C", "album", "status").stdout
    assert "nobody brings them back but `mien -C album add`" in removed
    monkeypatch.chdir(folder)
    inside = mien("status").stdout
    assert "next        mien train" in inside.splitlines() and "nobody brings them back but `mien add`" in inside
    assert "`mien -C" not in mien("show", "nowhere.png").stderr
    assert json.loads(mien("status", "--json").stdout)["next_step"] == command(folder, "train"), "for programs, whole"


# A new album


def test_no_album_is_made_within_another(mien: Mien, club: Path, inside: Path) -> None:
    result = mien("init", "new")
    assert result.exit_code == AlbumError.exit_code and not (inside / "new").exists()
    assert result.stderr.startswith(f"mien: new would lie in an album, {club}.")
    assert "mien init new --nested" in result.stderr
    with pytest.raises(AlbumError, match="would lie in an album"):
        Album.create("new")
    assert mien("init", "new", "--nested").exit_code == 0 and Album.is_at(inside / "new")


def test_what_cannot_be_an_album_is_not_begun(mien: Mien, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = tmp_path / "a/b/album"
    result = mien("init", folder, "--basis", "")
    assert result.exit_code == 2 and 'basis = "" on the command line will not do' in result.stderr
    assert list(tmp_path.iterdir()) == []
    monkeypatch.setenv("MIEN_VIEWS", "3")
    assert mien("init", folder).exit_code == 2 and list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("error", [OSError(28, "No space left on device"), KeyboardInterrupt()])
def test_a_stop_leaves_nothing_or_an_album(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: BaseException
) -> None:
    """At each call that writes."""
    for at in range(30):
        folder, calls = tmp_path / f"{at}/new/album", count()
        (tmp_path / str(at)).mkdir()

        def stop(true: Callable[..., Any], *given: Any, at: int = at, calls: Iterator[int] = calls, **more: Any) -> Any:
            if next(calls) == at:
                raise error
            return true(*given, **more)

        with monkeypatch.context() as patch, contextlib.suppress(StorageError, KeyboardInterrupt):
            for name in ("fsync", "replace", "mkdir"):
                patch.setattr(os, name, partial(stop, getattr(os, name)))
            Album.create(folder, encoder="dlib-resnet")
        if Album.is_at(folder):
            assert Album(folder).status().photos == 0
        else:
            assert not any((tmp_path / str(at)).iterdir()), at
        if next(calls) <= at:  # it was not reached any more
            break
    assert at >= 8, "each of the calls was stopped once"


def test_an_album_that_is_there_says_how_to_open_it(mien: Mien, club: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(club.parent)
    with pytest.raises(AlbumError, match="is an album already") as caught:
        Album.create("club")
    assert 'Album("club")' in caught.value.remedy and command(Path("club"), "status") in caught.value.remedy
    assert Album.create("club", exist_ok=True).folder == club
    assert repr(Album("club")) == f"Album({str(club)!r})"
