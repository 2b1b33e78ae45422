"""The whole job with an album whose catalog is on a PostgreSQL server: each command answers as it does in files, and
the model is the same, byte for byte."""

from __future__ import annotations

import json
import re
import shutil
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.errors import AlbumError, BusyError, StorageError, UsageError
from mien.records.database import execute_many
from mien.records.postgres import album_held
from mien.servers import Server

if TYPE_CHECKING:
    from conftest import Painted

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


def on(painted: Painted, server: Server) -> None:
    """Has the album keep its catalog on a server."""
    file = painted.folder / "mien.toml"
    file.write_text(f'catalog = "{server.url}"\n{file.read_text("utf-8")}', "utf-8")


def a_week(painted: Painted) -> list[Any]:
    """What each command answers that an album is asked in some days, as programs read it."""
    told: list[Any] = []
    drop = painted.folder.parent / "drop"
    shutil.rmtree(drop, ignore_errors=True)
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('\n[sources.drop]\nkind = "folder"\npath = "../drop"\nbasis = "squares"\nlicence = "CC0-1.0"\n')

    def album() -> Album:
        return painted.open(clock=lambda: NOON)

    for number in range(4):
        for person in ("Ada", "Bo", "Cy"):
            painted.photo(f"{person}/{number}.png")
    album().train()
    extra = painted.paint(painted.folder.parent / "new/Freya/1.png", "Freya")
    told.append(album().add("Freya", [extra], enrol=True).known)
    told.append(album().status().to_json())
    told += [answer.to_json() for answer in album().classify([painted.training / "Ada/0.png", extra])]
    album().remove("Cy")
    album().rename("Bo", "Zoë")
    told.append(album().status().to_json())
    album().undo()
    for number in range(2):
        painted.paint(drop / f"Ada/{number + 9}.png", "Ada")
    told.append(album().daily().to_json())
    told.append(album().status().to_json())
    told += [event.to_json() for event in album().log()]
    told += [person.to_json() if hasattr(person, "to_json") else str(person) for person in album().runs()]
    return told


def without_times(told: list[Any], folder: Path) -> str:
    """The same without what is another in each run: times, ids, the folder."""
    text = json.dumps(told, indent=1, sort_keys=True, ensure_ascii=False, default=str).replace(
        str(folder.parent), "HERE"
    )
    text = re.sub(r"\d{4}-\d\d-\d\dT[0-9:.+]+", "TIME", text)
    text = re.sub(r"\b1[78]\d{8}\b", "TIME", text)
    return re.sub(r'"(pid|host|seconds|bytes)": [^\n]+', r'"\1"', text)


def models(folder: Path) -> dict[str, bytes]:
    """The files of every version but for its page and card, which tell when it was made."""
    return {
        file.relative_to(folder).as_posix(): file.read_bytes()
        for file in sorted((folder / "models").rglob("*"))
        if file.is_file() and file.suffix in (".onnx", ".safetensors", ".npz", ".npy")
    }


def test_everything_is_answered_as_in_files_and_the_model_is_the_same(
    tmp_path: Path, new_painted: Callable[[Path], Painted], album_server: Server
) -> None:
    in_files, on_server = new_painted(tmp_path / "files/album"), new_painted(tmp_path / "server/album")
    on(on_server, album_server)
    answers = [without_times(a_week(one), one.folder) for one in (in_files, on_server)]
    assert answers[0] == answers[1]
    assert models(in_files.folder) == models(on_server.folder) != {}
    kept = {file.name for file in (on_server.folder / ".mien").glob("catalog*")}
    assert kept == {"catalog-asked.sqlite"}, "what was only asked about stays here"


def test_two_albums_cannot_name_one_database(
    tmp_path: Path, new_painted: Callable[[Path], Painted], album_server: Server
) -> None:
    one, other = new_painted(tmp_path / "one"), new_painted(tmp_path / "other")
    for each in (one, other):
        on(each, album_server)
        each.photo("Ada/1.png")
    one.open().align()
    for verb in ("align", "status"):
        with pytest.raises(
            AlbumError, match=rf"is the catalog of another album, {re.escape(str(one.folder))}.*createdb"
        ):
            getattr(other.open(), verb)()
    one.folder.rename(tmp_path / "moved")
    assert Album(tmp_path / "moved", eyes=one.eyes).align().photos == 1, "an album that was moved is itself"


@pytest.mark.parametrize("everywhere", [False, True])
@pytest.mark.parametrize("verb", ["align", "add_person"])
def test_chips_of_whoever_another_machine_removed_go_with_the_next_command(
    three_people: Painted, album_server: Server, tmp_path: Path, everywhere: bool, verb: str
) -> None:
    """A copy of the album that takes its place stands for another machine with a disk of its own."""
    on(three_people, album_server)
    three_people.open().align()
    other = tmp_path / "other"
    shutil.copytree(three_people.folder, other)
    three_people.open().remove("Bo", delete=True, everywhere=everywhere)
    shutil.rmtree(other / "training-images/Bo")
    three_people.folder.rename(tmp_path / "away")
    chips = {one.parent.name for one in (other / "aligned-images").rglob("*.png")}
    album = Album(other, eyes=three_people.eyes)
    album.align() if verb == "align" else album.add_person("Eve")
    left = {one.parent.name for one in (other / "aligned-images").rglob("*.png")}
    assert "Bo" in chips and left == chips - {"Bo"} and not (other / "aligned-images/Bo").exists()


def test_an_album_that_is_held_elsewhere_is_busy(painted: Painted, album_server: Server) -> None:
    on(painted, album_server)
    with album_held(album_server, "elsewhere", "daily"), pytest.raises(BusyError, match=r'in use by "daily" \(process'):
        painted.open().align()
    assert painted.open().status().photos == 0, "who reads waits for nobody"


# Copied


def test_a_catalog_goes_to_a_server_and_back(taught: Painted, album_server: Server) -> None:
    taught.open().add_key("desk")
    before, memory = taught.open().status(), taught.folder / ".mien"
    there = taught.open().copy_catalog(album_server.url, use=True)
    counts = {(one.database, one.table): one.rows for one in there.tables}
    assert (counts["catalog", "faces"], counts["access", "keys"], counts["ledger", "people"]) == (9, 1, 3)
    assert there.line == f'catalog = "{album_server}"' and there.used
    taught.looked()
    for file in memory.glob("catalog*"):
        file.unlink()
    keys = taught.open().keys()
    assert taught.open().status() == before and [key.name for key in keys] == ["desk"]
    taught.open().align()
    assert taught.looked() == [], "what was seen is not seen again"
    with pytest.raises(AlbumError, match="is a ledger already"):
        taught.open().copy_catalog(album_server.url)
    back = taught.open().copy_catalog(memory / "catalog.sqlite", use=True)
    assert back.line == 'catalog = ".mien/catalog.sqlite"'
    since = {("ledger", "events"): counts["ledger", "events"] + 1, ("ledger", "albums"): 1}
    assert {(one.database, one.table): one.rows for one in back.tables} == counts | since
    assert taught.open().status() == before
    taught.photo("Freya/1.png")
    assert taught.open().align().photos == 10


@pytest.mark.parametrize("to_server", [True, False])
def test_a_copy_that_is_stopped_is_not_there_and_is_made_again(
    three_people: Painted, album_server: Server, monkeypatch: pytest.MonkeyPatch, to_server: bool, tmp_path: Path
) -> None:
    three_people.open().align()
    to = album_server.url if to_server else tmp_path / "copy/c.sqlite"
    with monkeypatch.context() as patch:
        patch.setattr("mien.records.copying._compared", _stopped)
        with pytest.raises(KeyboardInterrupt):
            three_people.open().copy_catalog(to)
    if not to_server:
        assert list((tmp_path / "copy").iterdir()) == []
    assert three_people.open().copy_catalog(to).rows > 0


def _stopped(*_: object) -> int:
    raise KeyboardInterrupt


def test_a_copy_that_is_not_equal_is_given_up(
    three_people: Painted, album_server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_people.open().align()
    insert = execute_many

    def careless(connection: Any, query: Any, rows: list[dict[str, object]]) -> None:
        insert(connection, query, [row | {"phash": "0" * 16} if "phash" in row else row for row in rows])

    with monkeypatch.context() as patch:
        patch.setattr("mien.records.copying.execute_many", careless)
        with pytest.raises(StorageError, match="The table photos is not what it was after its row 0"):
            three_people.open().copy_catalog(album_server.url)
    assert three_people.open().copy_catalog(album_server.url).rows > 0


def test_files_that_are_half_in_their_place_are_refused_until_they_are_copied_again(
    three_people: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    three_people.open().align()
    to, replace = tmp_path / "copy/c.sqlite", Path.replace

    def killed(file: Path, target: Path) -> Path:
        if target.name == "c-ledger.sqlite":
            raise KeyboardInterrupt
        return replace(file, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", killed)
        with pytest.raises(KeyboardInterrupt):
            three_people.open().copy_catalog(to)
    with pytest.raises(AlbumError, match="is empty, and what was in it is lost"):
        three_people.open(catalog=to).align()
    assert three_people.open().copy_catalog(to).rows > 0


def test_a_password_is_not_written_into_mien_toml(painted: Painted) -> None:
    painted.photo("Ada/1.png")
    before = (painted.folder / "mien.toml").read_bytes()
    with pytest.raises(UsageError, match=r"~/\.pgpass"):
        painted.open().copy_catalog("postgresql://mien:s3cret@db/club", use=True)
    for place in ("mysql://db/club", "postgresql://mien:s3cr/et@db/club", "postgresql://mien:s3cret@db"):
        with pytest.raises(UsageError, match="cannot be one of a catalog") as told:
            painted.open().copy_catalog(place)
        assert "s3cr" not in str(told.value)
    assert (painted.folder / "mien.toml").read_bytes() == before
