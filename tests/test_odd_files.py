"""Files of mien's own that are odd: each is called what it is, and is never a mistake of mien's. benchmarks/rot.py
changes single values in them, of which some are tried here."""

from __future__ import annotations

import importlib
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import MienError
from mien.registry import versions
from mien.text.findings import StaleKind

if TYPE_CHECKING:
    from conftest import Painted

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture(scope="module")
def rot() -> Iterator[Any]:
    with pytest.MonkeyPatch.context() as patch:
        patch.syspath_prepend(ROOT / "benchmarks")
        yield importlib.import_module("rot")


def test_values_that_were_changed_are_never_believed(rot: Any, capsys: pytest.CaptureFixture[str]) -> None:
    """One of each kind at least; benchmarks/rot.py does hundreds."""
    bad = rot.rot(trials=10, seed=20261126)
    assert bad == 0, capsys.readouterr().out


# Whole files


def emptied(file: Path) -> None:
    file.write_bytes(b"")


def halved(file: Path) -> None:
    file.write_bytes(file.read_bytes()[: file.stat().st_size // 2])


def garbage(file: Path) -> None:
    file.write_bytes(b"\xff\x00garbage" * 100)


def folder(file: Path) -> None:
    file.unlink(missing_ok=True)
    file.mkdir()


def newer(file: Path) -> None:
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 99")


def away(file: Path) -> None:
    file.unlink()
    file.symlink_to(file.parent / "no disk" / file.name)


WAYS: tuple[Callable[[Path], None], ...] = (emptied, halved, garbage, folder)


@pytest.fixture(scope="module")
def whole(new_painted: Callable[[Path], Painted], tmp_path_factory: pytest.TempPathFactory) -> Painted:
    """A painted album that was trained."""
    album = new_painted(tmp_path_factory.mktemp("whole") / "album")
    for person in ("Ada", "Bo"):
        for number in (1, 2, 3):
            album.photo(f"{person}/{number}.png")
    album.open().train()
    return album


@pytest.fixture
def odd(whole: Painted, tmp_path: Path) -> Painted:
    """A copy of it, to be damaged."""
    return type(whole)(shutil.copytree(whole.folder, tmp_path / "album"))


def said(work: Callable[[], object]) -> str:
    """The error that a command ends with, "" for none; any other than mien's own is raised."""
    try:
        work()
    except MienError as error:
        return f"{error.message} {error.remedy}"
    return ""


@pytest.mark.parametrize(
    ("name", "way", "words"),
    [
        ("catalog-ledger.sqlite", emptied, "is empty, and what was in it is lost. Put a copy from a backup"),
        ("catalog-ledger.sqlite", halved, "is damaged"),
        ("catalog-ledger.sqlite", garbage, "is not a ledger, or is damaged"),
        ("catalog-ledger.sqlite", folder, "it is a folder"),
        ("catalog-ledger.sqlite", newer, "was written by another version of mien"),
        ("catalog.sqlite", halved, "is damaged"),
        ("catalog.sqlite", garbage, "is not a catalog, or is damaged"),
        ("catalog.sqlite", folder, "it is a folder"),
        ("catalog.sqlite", newer, "was written by another version of mien"),
    ],
)
def test_a_database_that_is_odd_is_called_what_it_is(
    odd: Painted, name: str, way: Callable[[Path], None], words: str
) -> None:
    way(odd.folder / ".mien" / name)
    for work in (odd.open().status, odd.open().train):
        assert words in said(work)
    assert [answer.faces[0].prediction.person for answer in odd.open().classify(odd.training / "Ada")] == ["Ada"] * 3


@pytest.mark.skipif(os.name == "nt", reason="Windows lets few people make links")
@pytest.mark.parametrize("name", ["catalog-ledger.sqlite", "catalog.sqlite"])
def test_a_database_on_a_disk_that_is_away_is_not_taken_for_none(odd: Painted, name: str) -> None:
    away(odd.folder / ".mien" / name)
    assert "is a link to nothing" in said(odd.open().status)
    assert "cannot be opened" in said(odd.open().train)


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
@pytest.mark.parametrize("name", ["catalog.seal", "lock", "lock.json", "advised"])
def test_what_is_of_no_weight_stops_nobody_but_where_a_folder_is_in_the_way(
    odd: Painted, name: str, way: Callable[[Path], None]
) -> None:
    file = odd.folder / ".mien" / name
    file.touch()
    way(file)
    assert said(odd.open().status) == ""
    assert [one.kind for one in odd.open().status().stale if one.kind is StaleKind.DAMAGED] == []
    in_the_way = way is folder and name.startswith("lock")
    assert ("a folder of that name is in the way" in said(odd.open().train)) is in_the_way


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_odd_name_of_the_version_in_use_is_told_and_made_anew(odd: Painted, way: Callable[[Path], None]) -> None:
    way(odd.folder / "models/current")
    assert "models/current" in said(lambda: list(odd.open().classify(odd.training))).replace(os.sep, "/")
    assert odd.open().status().damaged is not None
    if way is not folder:
        odd.open().train()
        assert odd.open().version == versions.names(odd.folder / "models")[-1]
