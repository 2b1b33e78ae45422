from __future__ import annotations

import errno
import os
import shutil
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import sqlalchemy as sa

from mien.errors import AlbumError, BusyError, StorageError
from mien.records import catalog, ledger
from mien.records.database import Database, DatabaseKind, execute_many
from mien.records.sqlite import SqliteFile

_schema = sa.MetaData()
_notes = sa.Table("notes", _schema, sa.Column("text", sa.Text, primary_key=True))
DIARY = DatabaseKind(
    "diary",
    77,
    _schema,
    version=1,
    revisions="diary",
    way_out="remember better.",
    way_out_on_server="ask the server.",
    durable=True,
    migrations=Path(__file__).parent / "diary",
)


# The diary two versions later: 2 has a table more; 3 has its notes numbered, and made anew for that. The revisions lie
# in the folder diary.


_schema_3 = sa.MetaData()
_notes_3 = sa.Table(
    "notes",
    _schema_3,
    sa.Column("text", sa.Text, primary_key=True),
    sa.Column("number", sa.Integer, nullable=False),
)
_moods = sa.Table(
    "moods",
    _schema_3,
    sa.Column("note", sa.ForeignKey("notes.text", ondelete="CASCADE")),
    sa.Column("mood", sa.Text),
)
DIARY_3 = replace(DIARY, schema=_schema_3, version=3, durable=False)


def with_another_last(folder: Path, *lines: str) -> DatabaseKind:
    """`DIARY_3`, but that its last revision, in `folder`, does this."""
    shutil.copytree(DIARY.migrations, folder, ignore=shutil.ignore_patterns("__pycache__", "diary_3.py"))
    head = (
        "import sqlite3",
        "from alembic import op",
        'revision, down_revision = "diary_3", "diary_2"',
        "def upgrade():",
    )
    (folder / "diary_3.py").write_text("\n".join([*head, *(f"    {line}" for line in lines)]))
    return replace(DIARY_3, migrations=folder)


def write(diary: Database, *notes: str) -> None:
    with diary.transaction(write=True) as connection:
        execute_many(connection, sa.insert(_notes), [{"text": note} for note in notes])


def read(diary: Database) -> list[str]:
    with diary.transaction() as connection:
        return list(connection.scalars(sa.select(_notes.c.text).order_by(sa.text("rowid"))))


def erase(diary: Database, note: str) -> None:
    with diary.transaction(write=True) as connection:
        connection.execute(sa.delete(_notes).where(_notes.c.text == note))
    diary.compact()


def made(file: Path, *notes: str) -> None:
    """A diary of the first version with these notes, at rest."""
    with SqliteFile.for_writing(DIARY, file) as diary:
        write(diary, *notes)


def on_disk(folder: Path) -> dict[str, tuple[int, bytes]]:
    """Times and contents of the files of a folder."""
    return {file.name: (file.stat().st_mtime_ns, file.read_bytes()) for file in folder.iterdir()}


def version(file: Path) -> int:
    with closing(sqlite3.connect(file)) as database:
        return int(database.execute("PRAGMA user_version").fetchone()[0])


@pytest.fixture
def file(tmp_path: Path) -> Path:
    (tmp_path / "at").mkdir()
    return tmp_path / "at" / "diary.sqlite"


# Writing


def test_what_is_written_is_there_after_opening_again(file: Path) -> None:
    with SqliteFile.for_writing(DIARY, file) as diary:
        write(diary, "one", "two")
        write(diary)
    with SqliteFile.for_writing(DIARY, file) as diary:
        assert read(diary) == ["one", "two"]


def test_a_transaction_is_whole_or_not_at_all(file: Path) -> None:
    with SqliteFile.for_writing(DIARY, file) as diary:
        write(diary, "one")
        with pytest.raises(sa.exc.IntegrityError):  # a bug of ours: it is not dressed up
            write(diary, "two", "one")
        assert read(diary) == ["one"]
        with pytest.raises(KeyboardInterrupt), diary.transaction(write=True) as connection:
            connection.execute(sa.insert(_notes), {"text": "two"})
            raise KeyboardInterrupt
        assert read(diary) == ["one"]


def test_ctrl_c_while_a_checksum_is_computed_is_no_error_of_the_database(file: Path) -> None:
    def interrupted(*_: object) -> int:
        raise KeyboardInterrupt

    with SqliteFile.for_writing(DIARY, file) as diary:
        with pytest.raises(KeyboardInterrupt), diary.transaction(write=True) as connection:
            sqlite = connection.connection.dbapi_connection
            assert isinstance(sqlite, sqlite3.Connection)
            sqlite.create_function("mien_checksum", -1, interrupted, deterministic=True)
            connection.execute(sa.insert(_notes), {"text": "Monday"})
        assert read(diary) == []


@pytest.mark.parametrize(
    ("one", "other"), [(DIARY, catalog.KIND), (catalog.KIND, ledger.KIND), (ledger.KIND, catalog.KIND)]
)
def test_a_file_of_another_kind_is_left_alone(file: Path, one: DatabaseKind, other: DatabaseKind) -> None:
    SqliteFile.for_writing(one, file).close()
    before = on_disk(file.parent)
    for opened in (SqliteFile.for_writing, SqliteFile.for_reading):
        with pytest.raises(AlbumError, match="of another program"):
            opened(other, file)
    assert on_disk(file.parent) == before


def test_a_damaged_file_is_told_with_the_way_out(file: Path) -> None:
    file.write_bytes(b"my diary\n" * 1000)
    for opened in (SqliteFile.for_writing, SqliteFile.for_reading):
        with pytest.raises(AlbumError, match=r"is not a diary, or is damaged. To go on, remember better"):
            opened(DIARY, file)
    assert file.read_bytes() == b"my diary\n" * 1000


def test_a_file_that_cannot_be_opened_says_so(file: Path) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        SqliteFile.for_writing(DIARY, file.parent / "no folder" / "diary.sqlite")
    for opened in (SqliteFile.for_writing, SqliteFile.for_reading):
        with pytest.raises(StorageError, match="cannot be opened"):
            opened(DIARY, file.parent)


def test_a_full_disk_is_told(file: Path) -> None:
    with SqliteFile.for_writing(DIARY, file) as diary:
        pages = diary._connection.exec_driver_sql("PRAGMA page_count").scalar_one()
        diary._connection.exec_driver_sql(f"PRAGMA max_page_count = {pages}")
        with pytest.raises(StorageError, match="the disk is full"):
            write(diary, *(str(n) * 1000 for n in range(100)))
        assert read(diary) == []


@pytest.mark.parametrize(
    ("code", "error", "says"),
    [
        (sqlite3.SQLITE_PERM, StorageError, "may not be opened"),
        (sqlite3.SQLITE_NOMEM, StorageError, "memory is short"),
        (sqlite3.SQLITE_PROTOCOL, BusyError, "cannot be locked"),
        (sqlite3.SQLITE_NOLFS, StorageError, "no larger files"),
        (0, StorageError, "memory is short"),
    ],
)
def test_what_the_disk_or_the_system_refuses_is_no_mistake_of_mien(
    file: Path, code: int, error: type[Exception], says: str
) -> None:
    failed: Exception = MemoryError()
    if code:
        failed = sqlite3.OperationalError()
        failed.sqlite_errorcode = code
    with SqliteFile.for_writing(DIARY, file) as diary:
        with pytest.raises(error, match=says), diary.transaction(write=True):
            raise failed
        assert read(diary) == []


def test_a_second_writer_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.records.database.BUSY_SECONDS", 0)
    with SqliteFile.for_writing(DIARY, file) as one, SqliteFile.for_writing(DIARY, file) as other:
        with one.transaction(write=True):
            assert read(other) == []
            with pytest.raises(BusyError):
                write(other, "mine")
        write(other, "mine")


def test_four_who_open_a_new_file_at_once_make_it_once(file: Path) -> None:
    gate = threading.Barrier(4)
    errors: list[Exception] = []

    def begin(number: int) -> None:
        gate.wait(10)
        try:
            with SqliteFile.for_writing(DIARY, file) as diary:
                write(diary, str(number))
        except (StorageError, AlbumError, BusyError, sa.exc.DBAPIError) as error:
            errors.append(error)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []
    with SqliteFile.for_writing(DIARY, file) as diary:
        assert sorted(read(diary)) == ["0", "1", "2", "3"]


def test_what_is_durable_waits_for_the_disk(file: Path) -> None:
    quick_kind = replace(DIARY, durable=False)
    with (
        SqliteFile.for_writing(DIARY, file) as durable,
        SqliteFile.for_writing(quick_kind, file.parent / "other.sqlite") as quick,
    ):
        modes = [one._connection.exec_driver_sql("PRAGMA synchronous").scalar() for one in (durable, quick)]
    assert modes == [2, 1]  # FULL, NORMAL


def test_what_is_erased_is_overwritten(file: Path) -> None:
    with SqliteFile.for_writing(DIARY, file) as diary:
        write(diary, "a secret of mine", "the weather")
        erase(diary, "a secret of mine")
        files = [one.read_bytes() for one in file.parent.iterdir()]
    files.append(file.read_bytes())
    assert not any(b"a secret" in data for data in files)
    assert any(b"the weather" in data for data in files)
    with closing(sqlite3.connect(file)) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]


# At rest


def test_at_rest_there_is_one_file(file: Path) -> None:
    for _ in range(2):
        with SqliteFile.for_writing(DIARY, file) as diary:
            write(diary, str(len(read(diary))))
            assert sorted(one.name for one in file.parent.iterdir()) == [
                "diary.sqlite",
                "diary.sqlite-shm",
                "diary.sqlite-wal",
            ]
        assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]
    with closing(sqlite3.connect(f"{file.as_uri()}?immutable=1", uri=True)) as plain:
        assert plain.execute("PRAGMA journal_mode").fetchone() == ("delete",)
        assert plain.execute("SELECT text FROM notes ORDER BY rowid").fetchall() == [("0",), ("1",)]


def test_a_file_that_could_not_be_opened_is_one_file_too(file: Path) -> None:
    made(file)
    with closing(sqlite3.connect(file)) as database:
        database.execute("PRAGMA user_version = 9")
    with pytest.raises(AlbumError):
        SqliteFile.for_writing(DIARY, file)
    assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]


def test_a_writer_that_closes_while_somebody_reads_loses_nothing(file: Path) -> None:
    writer = SqliteFile.for_writing(DIARY, file)
    write(writer, "one")
    with SqliteFile.for_reading(DIARY, file) as reader:
        with reader.transaction() as connection:
            assert list(connection.scalars(sa.select(_notes.c.text))) == ["one"]
            write(writer, "two")
            writer.close()
            assert list(connection.scalars(sa.select(_notes.c.text))) == ["one"], "a transaction sees one moment"
        assert read(reader) == ["one", "two"]
        with SqliteFile.for_writing(DIARY, file) as again:
            write(again, "three")
        assert read(reader) == ["one", "two", "three"]
    with SqliteFile.for_reading(DIARY, file) as reader:
        assert read(reader) == ["one", "two", "three"]
    SqliteFile.for_writing(DIARY, file).close()
    assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]
    with SqliteFile.for_reading(DIARY, file) as reader:
        assert read(reader) == ["one", "two", "three"]


def test_a_reader_goes_on_when_a_writer_comes_and_goes(file: Path) -> None:
    made(file, "one")
    with SqliteFile.for_reading(DIARY, file) as reader:
        assert read(reader) == ["one"]
        with SqliteFile.for_writing(DIARY, file) as writer:
            write(writer, "two")
            assert read(reader) == ["one", "two"]
            write(writer, "three")
        assert read(reader) == ["one", "two", "three"]


# Reading


@pytest.fixture
def shared_file() -> Iterator[Path]:
    """A file that is not there yet, in a folder that everybody may look into."""
    with tempfile.TemporaryDirectory() as folder:
        Path(folder).chmod(0o755)
        yield Path(folder, "diary.sqlite")


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    """Nothing in the folder can be written, nor anything made in it: root is nobody for a while."""
    if os.name == "nt":
        pytest.skip("Windows has no read-only folders")
    modes = {one: one.stat().st_mode for one in (folder, *folder.iterdir())}
    for one in modes:
        one.chmod(0o555 if one.is_dir() else 0o444)
    is_root = os.geteuid() == 0
    try:
        if is_root:
            os.seteuid(65534)
        if not os.access(folder, os.R_OK, effective_ids=True):
            pytest.skip("nobody may look into the folder for temporary files")
        with pytest.raises(PermissionError):
            (folder / "new").touch()
        yield
    finally:
        if is_root:
            os.seteuid(0)
        for one, mode in modes.items():
            one.chmod(mode)


def test_reading_creates_and_changes_nothing(file: Path) -> None:
    made(file, "one")
    before = on_disk(file.parent)
    for _ in range(2):
        with SqliteFile.for_reading(DIARY, file) as diary:
            assert read(diary) == ["one"]
            assert on_disk(file.parent) == before
        assert on_disk(file.parent) == before


def test_where_there_is_no_file_reading_finds_nothing_and_makes_none(file: Path) -> None:
    for path in (file, file.parent / "no folder" / "diary.sqlite"):
        with SqliteFile.for_reading(DIARY, path) as diary:
            assert read(diary) == []
    assert list(file.parent.iterdir()) == []


def test_a_file_that_a_killed_writer_has_only_begun_reads_as_empty(file: Path) -> None:
    file.touch()
    with SqliteFile.for_reading(DIARY, file) as diary:
        assert read(diary) == []
    assert {name: data for name, (_, data) in on_disk(file.parent).items()} == {"diary.sqlite": b""}


def test_a_read_only_file_in_a_read_only_folder_can_be_read(shared_file: Path) -> None:
    made(shared_file, "one")
    before = on_disk(shared_file.parent)
    with read_only(shared_file.parent), SqliteFile.for_reading(DIARY, shared_file) as diary:
        assert read(diary) == ["one"]
        with pytest.raises(StorageError, match="cannot be written"):
            SqliteFile.for_writing(DIARY, shared_file)
    assert on_disk(shared_file.parent) == before


def test_a_file_that_may_not_be_read_is_told(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made(file, "one")

    def refuse(*_: object) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))

    monkeypatch.setattr(Path, "open", refuse)
    with pytest.raises(StorageError, match=r"cannot be opened: Permission denied. Check its permissions"):
        SqliteFile.for_reading(DIARY, file)


def test_what_is_open_for_reading_cannot_be_written(file: Path) -> None:
    made(file, "one")
    for path in (file, file.parent / "absent.sqlite"):
        with SqliteFile.for_reading(DIARY, path) as diary:
            with pytest.raises(StorageError, match="cannot be written"):
                write(diary, "two")
            assert read(diary) == (["one"] if path == file else [])
    assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]


def test_reading_sees_what_a_writer_at_work_has_finished(file: Path) -> None:
    with SqliteFile.for_writing(DIARY, file) as writer:
        write(writer, "one")
        names = set(on_disk(file.parent))
        with SqliteFile.for_reading(DIARY, file) as reader:
            assert read(reader) == ["one"]
            with writer.transaction(write=True) as connection:
                connection.execute(sa.insert(_notes), {"text": "two"})
                assert read(reader) == ["one"]
            assert read(reader) == ["one", "two"]
            assert set(on_disk(file.parent)) == names
        write(writer, "three")
    assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]


KILLED = """
import os, sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_sqlite import DIARY, SqliteFile, write
diary = SqliteFile.for_writing(DIARY, Path(sys.argv[1]))
write(diary, "one", "two")
os._exit(9)
"""


def killed(file: Path) -> None:
    """Leaves the files of a writer that was killed: what it wrote stands in the log alone."""
    subprocess.run([sys.executable, "-c", KILLED, str(file), str(Path(__file__).parent)], check=False)
    assert sorted(one.name for one in file.parent.iterdir()) == [
        "diary.sqlite",
        "diary.sqlite-shm",
        "diary.sqlite-wal",
    ]
    assert b"one" not in file.read_bytes()


def test_what_a_killed_writer_had_finished_is_read_from_its_log(file: Path) -> None:
    killed(file)
    before = on_disk(file.parent)
    del before["diary.sqlite-shm"]  # an index, which its readers share
    for _ in range(2):
        with SqliteFile.for_reading(DIARY, file) as diary:
            assert read(diary) == ["one", "two"]
        after = on_disk(file.parent)
        del after["diary.sqlite-shm"]
        assert after == before
    with SqliteFile.for_writing(DIARY, file) as diary:
        assert read(diary) == ["one", "two"]
    assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]


@pytest.mark.parametrize("missing", ["", "-shm"])
def test_a_log_on_a_read_only_disk_is_read_too(shared_file: Path, missing: str) -> None:
    killed(shared_file)
    if missing:
        shared_file.with_name(f"{shared_file.name}{missing}").unlink()
    before = on_disk(shared_file.parent)
    with read_only(shared_file.parent), SqliteFile.for_reading(DIARY, shared_file) as diary:
        assert read(diary) == ["one", "two"]
        assert on_disk(shared_file.parent) == before


@pytest.mark.parametrize("left", [("-wal",), ()])
def test_a_backup_without_its_index_is_read_and_gets_none(file: Path, tmp_path: Path, left: tuple[str, ...]) -> None:
    killed(file)
    (tmp_path / "backup").mkdir()
    for ending in ("", *left):
        shutil.copyfile(f"{file}{ending}", tmp_path / "backup" / f"diary.sqlite{ending}")
    before = on_disk(tmp_path / "backup")
    with SqliteFile.for_reading(DIARY, tmp_path / "backup" / "diary.sqlite") as diary:
        assert read(diary) == (["one", "two"] if left else [])
    assert on_disk(tmp_path / "backup") == before


INTERRUPTED = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1])
database.execute("PRAGMA cache_size = 5")
database.execute("DELETE FROM notes")
for number in range(1000):
    database.execute("INSERT INTO notes (text) VALUES (?)", (f"{number:0500}",))
os._exit(9)
"""


def test_what_a_killed_writer_has_half_done_is_not_read(file: Path) -> None:
    """It is undone by the next writer; until then readers see what was before."""
    made(file, "one")
    subprocess.run([sys.executable, "-c", INTERRUPTED, str(file)], check=False)
    before = on_disk(file.parent)
    assert set(before) == {"diary.sqlite", "diary.sqlite-journal"} and len(before["diary.sqlite"][1]) > 100_000
    with SqliteFile.for_reading(DIARY, file) as diary:
        assert read(diary) == ["one"]
    assert on_disk(file.parent) == before
    with SqliteFile.for_writing(DIARY, file) as diary:
        assert read(diary) == ["one"]
    assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]


def test_where_a_backup_cannot_be_copied_it_is_told(
    file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    killed(file)
    file.with_name("diary.sqlite-shm").unlink()
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "no such folder"))
    with pytest.raises(StorageError, match="cannot be copied to be read"):
        SqliteFile.for_reading(DIARY, file)


def test_a_path_with_odd_letters_can_be_read(tmp_path: Path) -> None:
    for name in ("a?mode=rwc", "50 % #1", "Zoë & Bo"):
        (tmp_path / name).mkdir()
        made(tmp_path / name / "diary.sqlite", name)
        with SqliteFile.for_reading(DIARY, tmp_path / name / "diary.sqlite") as diary:
            assert read(diary) == [name]


# Versions


@pytest.mark.parametrize("kind", [catalog.KIND, ledger.KIND], ids=lambda kind: kind.name)
def test_what_is_made_has_the_schema_of_this_version(file: Path, kind: DatabaseKind) -> None:
    SqliteFile.for_writing(kind, file).close()
    assert version(file) == kind.version == len(list(kind.migrations.glob(f"{kind.revisions}_*.py")))


def test_who_opens_a_file_of_today_does_not_wait_for_alembic_nor_for_postgresql(file: Path) -> None:
    made(file, "one")
    program = (
        "import sys\nfrom pathlib import Path\nsys.path.insert(0, sys.argv[2])\n"
        "from test_sqlite import DIARY, SqliteFile\n"
        "for opened in (SqliteFile.for_writing, SqliteFile.for_reading): opened(DIARY, Path(sys.argv[1])).close()\n"
        "print(sorted({'alembic', 'psycopg', 'sqlalchemy.dialects.postgresql'} & sys.modules.keys()))"
    )
    words = [sys.executable, "-c", program, str(file), str(Path(__file__).parent)]
    assert subprocess.run(words, capture_output=True, text=True, check=True).stdout == "[]\n"


def test_the_two_databases_are_told_apart() -> None:
    assert catalog.KIND.application_id != ledger.KIND.application_id
    assert (catalog.KIND.durable, ledger.KIND.durable) == (False, True)


def shape(kind: DatabaseKind, file: Path) -> dict[str, list[tuple[object, ...]]]:
    """The columns of each table."""
    with SqliteFile.for_writing(kind, file), closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        return {table: database.execute(f"PRAGMA table_info({table})").fetchall() for table in sorted(tables)}


def test_an_older_file_is_brought_up_to_date_step_by_step(file: Path) -> None:
    made(file, "one", "two")
    for _ in range(2):
        with SqliteFile.for_writing(DIARY_3, file) as newer, newer.transaction() as connection:
            assert connection.execute(sa.select(_notes_3)).all() == [("one", 1), ("two", 2)]
            assert connection.execute(sa.select(_moods)).all() == [("one", "fine"), ("two", "fine")]
        assert version(file) == 3
    assert shape(DIARY_3, file) == shape(DIARY_3, file.parent / "new.sqlite")


def test_after_the_steps_foreign_keys_are_enforced_again(file: Path) -> None:
    made(file, "one", "two")
    with SqliteFile.for_writing(DIARY_3, file) as newer:
        with newer.transaction(write=True) as connection:
            connection.execute(sa.delete(_notes_3).where(_notes_3.c.text == "one"))
        with newer.transaction() as connection:
            assert connection.execute(sa.select(_moods)).all() == [("two", "fine")]


def test_a_file_in_between_takes_the_steps_that_are_left(file: Path) -> None:
    made(file, "one")
    second = replace(DIARY, version=2)
    SqliteFile.for_writing(second, file).close()
    assert version(file) == 2
    with SqliteFile.for_writing(DIARY_3, file) as newer, newer.transaction() as connection:
        assert connection.execute(sa.select(_notes_3)).all() == [("one", 1)]
        assert connection.execute(sa.select(_moods)).all() == [("one", "fine")]
    assert version(file) == 3


@pytest.mark.parametrize(
    ("failure", "raised"),
    [
        ('sqlite3.OperationalError("no such column")', sqlite3.OperationalError),
        ("KeyboardInterrupt", KeyboardInterrupt),
    ],
)
def test_a_step_that_fails_leaves_the_file_as_it_was(
    file: Path, tmp_path: Path, failure: str, raised: type[BaseException]
) -> None:
    made(file, "one")
    failing = with_another_last(tmp_path / "failing", 'op.execute("DELETE FROM notes")', f"raise {failure}")

    def dump() -> list[str]:
        with closing(sqlite3.connect(file)) as database:
            return list(database.iterdump())

    before = dump()
    with pytest.raises(raised):
        SqliteFile.for_writing(failing, file)
    assert (version(file), dump()) == (1, before)
    assert [one.name for one in file.parent.iterdir()] == ["diary.sqlite"]
    with SqliteFile.for_writing(DIARY, file) as diary:
        assert read(diary) == ["one"]
    SqliteFile.for_writing(DIARY_3, file).close()
    assert version(file) == 3


def test_a_step_that_would_leave_rows_without_what_they_refer_to_is_undone(file: Path, tmp_path: Path) -> None:
    made(file, "one")
    careless = with_another_last(tmp_path / "careless", 'op.execute("DELETE FROM notes")')

    with pytest.raises(RuntimeError, match="a row of moods refers to a row of notes"):
        SqliteFile.for_writing(careless, file)
    assert version(file) == 1
    with SqliteFile.for_reading(DIARY, file) as diary:
        assert read(diary) == ["one"]


def test_an_older_file_is_read_as_if_it_were_up_to_date_and_left_as_it_is(file: Path) -> None:
    made(file, "one", "two")
    before = on_disk(file.parent)
    with SqliteFile.for_reading(DIARY_3, file) as newer:
        with newer.transaction() as connection:
            assert connection.execute(sa.select(_notes_3)).all() == [("one", 1), ("two", 2)]
            assert connection.execute(sa.select(_moods)).all() == [("one", "fine"), ("two", "fine")]
        with pytest.raises(StorageError), newer.transaction(write=True) as connection:
            connection.execute(sa.delete(_notes_3))
    assert on_disk(file.parent) == before
    assert version(file) == 1


def test_an_older_log_of_a_killed_writer_is_read_as_if_it_were_up_to_date(file: Path) -> None:
    killed(file)
    with SqliteFile.for_reading(DIARY_3, file) as newer, newer.transaction() as connection:
        assert connection.execute(sa.select(_notes_3)).all() == [("one", 1), ("two", 2)]
    with SqliteFile.for_writing(DIARY_3, file) as newer, newer.transaction() as connection:
        assert connection.execute(sa.select(_notes_3)).all() == [("one", 1), ("two", 2)]


@pytest.mark.parametrize("number", [0, 4, 99])
def test_a_file_of_a_schema_that_is_not_known_is_refused_and_left_alone(file: Path, number: int) -> None:
    SqliteFile.for_writing(DIARY_3, file).close()
    with closing(sqlite3.connect(file)) as database:
        database.execute(f"PRAGMA user_version = {number}")
    before = on_disk(file.parent)
    for opened in (SqliteFile.for_writing, SqliteFile.for_reading):
        with pytest.raises(AlbumError, match=rf"its schema is {number}, not 3.*Update mien. Or remember better"):
            opened(DIARY_3, file)
    assert on_disk(file.parent) == before


def test_a_later_file_is_refused(file: Path) -> None:
    SqliteFile.for_writing(DIARY_3, file).close()
    for opened in (SqliteFile.for_writing, SqliteFile.for_reading):
        with pytest.raises(AlbumError, match="its schema is 3, not 1"):
            opened(DIARY, file)


# Threads


def test_an_open_file_belongs_to_its_thread_unless_its_kind_is_shared(file: Path) -> None:
    def in_another_thread(diary: Database) -> list[BaseException]:
        raised: list[BaseException] = []

        def run() -> None:
            try:
                write(diary, "from elsewhere")
            except RuntimeError as error:
                raised.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        thread.join()
        return raised

    with SqliteFile.for_writing(DIARY, file) as diary:
        (error,) = in_another_thread(diary)
        assert str(error) == "the diary belongs to the thread that opened it"
    with SqliteFile.for_writing(replace(DIARY, shared=True), file) as diary:
        assert in_another_thread(diary) == [] and read(diary) == ["from elsewhere"]


def test_the_changes_of_others_are_noticed_and_not_ones_own(file: Path) -> None:
    with SqliteFile.for_writing(DIARY, file) as mine, SqliteFile.for_writing(DIARY, file) as theirs:
        before = mine.changes()
        write(mine, "one")
        assert mine.changes() == before
        write(theirs, "two")
        assert mine.changes() != before
