from __future__ import annotations

import sqlite3
import threading
from pathlib import Path
from typing import ClassVar

import pytest
import sqlalchemy as sa

from mien.errors import AlbumError, BusyError, StorageError
from mien.records.catalog import Catalog
from mien.records.database import Database, Kind, execute_many
from mien.records.ledger import Ledger

_schema = sa.MetaData()
_notes = sa.Table("notes", _schema, sa.Column("text", sa.Text, primary_key=True))


class Diary(Database):
    kind: ClassVar[Kind] = Kind(
        name="diary",
        application_id=77,
        version=1,
        oldest=1,
        schema=_schema,
        way_out="remember better.",
        durable=True,
    )

    def write(self, *notes: str) -> None:
        with self._transaction(write=True) as connection:
            execute_many(connection, sa.insert(_notes), [{"text": note} for note in notes])

    def read(self) -> list[str]:
        with self._transaction() as connection:
            return list(connection.scalars(sa.select(_notes.c.text)))

    def erase(self, note: str) -> None:
        with self._transaction(write=True) as connection:
            connection.execute(sa.delete(_notes).where(_notes.c.text == note))
        self._compact()


_later = sa.MetaData()
for _table in _schema.tables.values():
    _table.to_metadata(_later)
_moods = sa.Table("moods", _later, sa.Column("mood", sa.Text, primary_key=True))


class NewerDiary(Diary):
    kind = Kind("diary", 77, version=3, oldest=1, schema=_later, way_out="remember better.", durable=False)


class StrictDiary(Diary):
    kind = Kind("diary", 77, version=3, oldest=2, schema=_later, way_out="remember better.", durable=False)


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "diary.sqlite"


def test_what_is_written_is_there_after_opening_again(file: Path) -> None:
    with Diary.open(file) as diary:
        diary.write("one", "two")
        diary.write()
    with Diary.open(file) as diary:
        assert diary.read() == ["one", "two"]


def test_a_transaction_is_whole_or_not_at_all(file: Path) -> None:
    with Diary.open(file) as diary:
        diary.write("one")
        with pytest.raises(sa.exc.IntegrityError):  # a bug of ours: it is not dressed up
            diary.write("two", "one")
        assert diary.read() == ["one"]
        with pytest.raises(KeyboardInterrupt), diary._transaction(write=True) as connection:
            connection.execute(sa.insert(_notes), {"text": "two"})
            raise KeyboardInterrupt
        assert diary.read() == ["one"]


def test_an_older_file_gets_the_tables_that_it_lacks(file: Path) -> None:
    with Diary.open(file) as diary:
        diary.write("one")
    for _ in range(2):
        with NewerDiary.open(file) as newer:
            assert newer.read() == ["one"]
            assert newer._version() == 3
            with newer._transaction() as connection:
                assert connection.execute(sa.select(_moods)).all() == []


def test_a_file_that_is_too_old_or_too_new_is_refused(file: Path) -> None:
    Diary.open(file).close()
    with pytest.raises(AlbumError, match=r"its schema is 1, not 3.*Update mien. Or remember better"):
        StrictDiary.open(file)
    NewerDiary.open(file).close()
    with pytest.raises(AlbumError, match="its schema is 3, not 1"):
        Diary.open(file)


@pytest.mark.parametrize(("one", "other"), [(Diary, Catalog), (Catalog, Ledger), (Ledger, Catalog)])
def test_a_file_of_another_kind_is_left_alone(file: Path, one: type[Database], other: type[Database]) -> None:
    one.open(file).close()
    before = file.read_bytes()
    with pytest.raises(AlbumError, match="of another program"):
        other.open(file)
    assert file.read_bytes() == before


def test_a_damaged_file_is_told_with_the_way_out(file: Path) -> None:
    file.write_bytes(b"my diary\n" * 1000)
    with pytest.raises(AlbumError, match=r"is not a diary, or is damaged. To go on, remember better"):
        Diary.open(file)
    assert file.read_bytes() == b"my diary\n" * 1000


def test_a_file_that_cannot_be_opened_says_so(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        Diary.open(tmp_path / "no folder" / "diary.sqlite")


def test_a_full_disk_is_told(file: Path) -> None:
    with Diary.open(file) as diary:
        pages = diary._connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        diary._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match="the disk is full"):
            diary.write(*(str(n) * 1000 for n in range(100)))
        assert diary.read() == []


def test_a_second_writer_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.records.database.BUSY_SECONDS", 0)
    with Diary.open(file) as one, Diary.open(file) as other, one._transaction(write=True):
        assert other.read() == []
        with pytest.raises(BusyError):
            other.write("mine")


def test_two_who_open_a_new_file_at_once_make_it_once(file: Path) -> None:
    gate = threading.Barrier(4)
    errors: list[Exception] = []

    def begin(number: int) -> None:
        gate.wait(10)
        try:
            with Diary.open(file) as diary:
                diary.write(str(number))
        except (StorageError, AlbumError, BusyError, sa.exc.DBAPIError) as error:
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with Diary.open(file) as diary:
        assert sorted(diary.read()) == ["0", "1", "2", "3"]


def test_what_is_durable_waits_for_the_disk(file: Path, tmp_path: Path) -> None:
    with Diary.open(file) as durable, NewerDiary.open(tmp_path / "other.sqlite") as quick:
        modes = [one._connection.exec_driver_sql("PRAGMA synchronous").scalar() for one in (durable, quick)]
    assert modes == [2, 1]  # FULL, NORMAL


def test_what_is_erased_is_overwritten(file: Path) -> None:
    with Diary.open(file) as diary:
        diary.write("a secret of mine", "the weather")
        diary.erase("a secret of mine")
        files = [one.read_bytes() for one in file.parent.iterdir()]
    assert not any(b"a secret" in data for data in files)
    assert any(b"the weather" in data for data in files)
    with sqlite3.connect(file) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    database.close()
