"""How the catalog is kept: killed, full, damaged, of another version, or gone."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.errors import AlbumError, BusyError, StorageError
from mien.records.catalog import KIND, Catalog
from mien.records.ledger import Ledger
from mien.storage.layout import TRAINING

if TYPE_CHECKING:
    from conftest import TextAlbum

ENCODER, DECODER = "resnet-v1-fp32", "Pillow 1"


def fill(album: TextAlbum, photos: int) -> None:
    """Photos of ann that no encoder has seen, whose contents are their numbers."""
    for i in range(photos):
        album.put(f"{TRAINING}/ann/{i}.jpg", str(i))
    album.sync()


WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[3])
from conftest import ENCODER, TextAlbum
from mien.records.catalog import Catalog
from mien.records.ledger import Ledger
with Ledger.for_writing(Path(sys.argv[1])) as ledger, Catalog.for_writing(Path(sys.argv[2]), ledger.people) as catalog:
    for i in range(100000):
        catalog.faces.record(TextAlbum.seen(str(i % 50), 2), ENCODER)
        print(i, flush=True)
"""


@pytest.mark.of_files
def test_a_kill_while_recording_loses_nothing_finished(text_album: TextAlbum) -> None:
    fill(text_album, 50)
    text_album.close()
    files = (text_album.layout.ledger_file, text_album.layout.catalog_file)
    tests = Path(__file__).parent.parent
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, *map(str, files), str(tests)], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout
        finished = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        finished += [int(line) for line in writer.stdout.read().split()]
    text_album.open()
    unseen = {sha256 for sha256, _ in text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER)}
    assert not unseen & {text_album.sha(str(i % 50)) for i in finished}
    found = text_album.catalog.faces.faces_of("ann", ENCODER)
    assert len(found.ids) == 2 * (50 - len(unseen))  # no photo with half its faces
    with closing(sqlite3.connect(text_album.layout.catalog_file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []


def test_one_reads_while_another_writes(text_album: TextAlbum) -> None:
    fill(text_album, 1)
    layout = text_album.layout
    with (
        text_album.catalog._database.transaction(write=True),
        Ledger.for_reading(layout.ledger_at) as ledger,
        Catalog.for_reading(layout.catalog_at, ledger.people) as reader,
    ):
        assert reader.files.people(TRAINING) == {"ann"}


def test_two_writers_at_once_are_told(text_album: TextAlbum, monkeypatch: pytest.MonkeyPatch) -> None:
    for kind in ("sqlite", "postgres"):
        monkeypatch.setattr(f"mien.records.{kind}.BUSY_SECONDS", 0.05)
    fill(text_album, 1)
    with (
        Catalog.for_writing(text_album.layout.catalog_at, text_album.ledger.people) as other,
        text_album.catalog._database.transaction(write=True),
        pytest.raises(BusyError),
    ):
        other.faces.record(text_album.seen("0"), ENCODER)
    text_album.record("0")


@pytest.mark.of_files
def test_a_full_disk_loses_nothing_and_says_so(text_album: TextAlbum) -> None:
    fill(text_album, 50)
    text_album.record("0")
    execute = text_album.catalog._database._connection.exec_driver_sql
    limit = execute("PRAGMA page_count").scalar()
    execute(f"PRAGMA max_page_count = {limit}")
    with pytest.raises(StorageError, match=r"catalog\.sqlite cannot grow: the disk is full"):
        for i in range(1, 50):
            text_album.record(str(i), 9)
    assert len(text_album.catalog.faces.faces_of("ann", ENCODER).ids) % 9 == 1
    execute("PRAGMA max_page_count = 100000")
    text_album.record("49", 9)


def test_a_catalog_that_is_open_for_reading_cannot_be_written(text_album: TextAlbum) -> None:
    fill(text_album, 1)
    with (
        Catalog.for_reading(text_album.layout.catalog_at, text_album.ledger.people) as catalog,
        pytest.raises(StorageError, match="cannot be written"),
    ):
        catalog.faces.record(text_album.seen("0"), ENCODER)
    assert text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER)


@pytest.mark.of_files
@pytest.mark.parametrize("where", ["no folder/c.sqlite", "."])
def test_a_catalog_that_cannot_be_opened_says_so(text_album: TextAlbum, tmp_path: Path, where: str) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        Catalog.for_writing(tmp_path / where, text_album.ledger.people)


@pytest.mark.of_files
def test_a_file_that_is_no_database_is_refused_and_left_alone(text_album: TextAlbum, tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    file.write_bytes(b"my diary\n" * 1000)
    for opened in (Catalog.for_writing, Catalog.for_reading):
        with pytest.raises(AlbumError, match=r"c\.sqlite is not a catalog.*remove the file and run again"):
            opened(file, text_album.ledger.people)
    assert file.read_bytes() == b"my diary\n" * 1000


@pytest.mark.of_files
def test_a_damaged_catalog_is_refused_with_the_way_out(text_album: TextAlbum) -> None:
    fill(text_album, 50)
    for i in range(50):
        text_album.record(str(i))
    text_album.close()
    file = text_album.layout.catalog_file
    data = bytearray(file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)  # all but the first page
    file.write_bytes(data)
    text_album.ledger = Ledger.for_writing(text_album.layout.ledger_file)
    for opened in (Catalog.for_writing, Catalog.for_reading):
        with (
            pytest.raises(AlbumError, match="remove the file and run again"),
            opened(file, text_album.ledger.people) as bad,
        ):
            bad.faces.training_set(ENCODER)
    file.unlink()
    text_album.ledger.close()
    text_album.open()
    assert text_album.sync().new == 50


@pytest.mark.of_files
def test_the_database_of_another_program_is_not_touched(text_album: TextAlbum, tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("CREATE TABLE bookmarks (url)")
    before = file.read_bytes()
    for opened in (Catalog.for_writing, Catalog.for_reading):
        with pytest.raises(AlbumError, match="of another program"):
            opened(file, text_album.ledger.people)
    assert file.read_bytes() == before


@pytest.mark.of_files
def test_a_newer_catalog_is_refused(text_album: TextAlbum) -> None:
    text_album.catalog._database._connection.exec_driver_sql(f"PRAGMA user_version = {KIND.version + 1}")
    for opened in (Catalog.for_writing, Catalog.for_reading):
        with pytest.raises(AlbumError, match=r"another version of mien.*Update mien"):
            opened(text_album.layout.catalog_file, text_album.ledger.people)


@pytest.mark.of_files
def test_no_path_of_the_machine_is_kept(text_album: TextAlbum) -> None:
    fill(text_album, 1)
    text_album.record("0")
    text_album.choose()
    keys = {f"{TRAINING}/ann/0.jpg": "ann/0.png"}
    [due] = text_album.catalog.chips.due(keys, ENCODER, 96, ())
    text_album.catalog.chips.written(due, 96)
    text_album.close()
    for file in (text_album.layout.catalog_file, text_album.layout.ledger_file):
        assert str(text_album.layout.folder).encode() not in file.read_bytes()


@pytest.mark.of_files
def test_names_stand_in_paths_alone(text_album: TextAlbum) -> None:
    """Who a file is of is said by an id of the ledger."""
    text_album.put(f"{TRAINING}/Ada Lovelace/1.jpg", "one")
    text_album.sync()
    text_album.record("one")
    text_album.choose()
    [due] = text_album.catalog.chips.due({f"{TRAINING}/Ada Lovelace/1.jpg": "Ada Lovelace/1.png"}, ENCODER, 96, ())
    text_album.catalog.chips.written(due, 96)
    text_album.close()
    with closing(sqlite3.connect(text_album.layout.catalog_file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        named = {
            (table, column[1])
            for table in tables
            for column in database.execute(f"PRAGMA table_info({table})").fetchall()
            for (value,) in database.execute(f'SELECT "{column[1]}" FROM "{table}"')
            if "Ada" in str(value)
        }
    assert named == {("files", "path"), ("chosen", "path"), ("chips", "path"), ("chips", "key")}


@pytest.mark.of_files
def test_who_the_people_are_survives_the_catalog(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.until = {"ann": date(2030, 1, 1)}
    text_album.sync()
    ann = text_album.ledger.people.person("ann")
    text_album.close()
    text_album.layout.catalog_file.unlink()
    text_album.open()
    assert text_album.sync(now=datetime(2027, 1, 1, tzinfo=UTC)).new == 1
    assert ann and text_album.ledger.people.person("ann") == ann
    assert (ann.basis, ann.since) == ("personal", datetime(2026, 11, 23, 12, tzinfo=UTC))
