"""A database as a SQLite file, through SQLAlchemy Core.

Opening for writing makes the tables of a new file, brings those of an older version up to date, and refuses a foreign
file. Opening for reading creates nothing and works on a read-only disk. A transaction is whole or not at all, whatever
happens in it; and this is the border at which SQLite's errors become mien's.

While a writer has a file open, SQLite keeps a write-ahead log ("-wal") and its index ("-shm") beside it, so that
readers need not wait; at rest there is one plain file. A writer that was killed leaves both, and so does one that was
closed while somebody read; the next writer clears them up.

Whoever opens a file is given no row that is not what mien wrote (`mien.records.checksums`): each is taken out first, in
the way of the file's kind, and counted as `damaged`. For a reader this is done in a copy that is kept nowhere. To look
at every row takes a few seconds of a hundred thousand, and so a file that may grow is sealed: a writer that closes it
puts its checksum beside it, and a file of that checksum needs no look.
"""

from __future__ import annotations

import contextlib
import secrets
import shutil
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterator, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from functools import cache
from pathlib import Path
from typing import Self

import sqlalchemy as sa

from mien.errors import AlbumError, BusyError, MienError, StorageError
from mien.records import checksums, migrating
from mien.records.database import BUSY_SECONDS, Database, DatabaseKind
from mien.storage.files import PRIVATE_FILE
from mien.storage.lock import hold, is_held
from mien.storage.private import private_file
from mien.storage.scratch import scratch_folder

_WAL = b"\x02\x02"
"""What stands at byte 18 of a file that keeps a write-ahead log (sqlite.org/fileformat.html, 1.3.3)."""


def take_out(connection: sa.Connection, damaged: Mapping[str, int], path: str) -> None:
    """The `Heal` of a kind whose rows stand for themselves."""
    for table in damaged:
        connection.exec_driver_sql(f'DELETE FROM "{table}" WHERE {checksums.is_damaged(connection, table)}')


class SqliteFile(Database):
    """An open SQLite file."""

    def __init__(self, kind: DatabaseKind, path: Path, connection: sa.Connection) -> None:
        super().__init__(kind, path, connection)
        self._path = path
        self._keeps_log = False
        self._id, self._first, self._until = "", threading.Lock(), ExitStack()
        self._as_sealed = kind.sealed and _is_sealed(path)
        self._may_be_sealed = False

    @classmethod
    def for_writing(cls, kind: DatabaseKind, path: Path) -> Self:
        """Opens the file at `path`, or makes it if there is none; the folder must exist."""
        _require_no_folder(path)
        private_file(path)
        with _border(path, kind):
            database = cls(kind, path, _connected(str(path)))
            with database._closed_on_failure():
                database._prepare()
        return database

    @classmethod
    def for_reading(cls, kind: DatabaseKind, path: Path) -> Self:
        """Opens the file at `path` as it is; where there is none, an empty database that is kept nowhere."""
        _require_no_folder(path)
        with _border(path, kind):
            database = cls(kind, path, _read_only(path))
            with database._closed_on_failure():
                if database._is_blank():
                    database._connection = _in_memory(database._connection)
                    database._create()
                database._recognise()
                database._look_for_damage()
                if database._version() < kind.version or database.damaged:
                    database._connection = _in_memory(database._connection)
                    database._heal()
                    database._migrate()
                database._connection.exec_driver_sql("PRAGMA query_only = ON")
        return database

    @classmethod
    def in_memory(cls, kind: DatabaseKind) -> Self:
        """An empty database that is kept nowhere, to be read."""
        database = cls(kind, Path(":memory:"), _connected(":memory:"))
        with _border(database._path, kind), database._closed_on_failure():
            database._create()
            database._connection.exec_driver_sql("PRAGMA query_only = ON")
        return database

    def _close(self) -> None:
        if self._keeps_log and not self._connection.closed:
            with contextlib.suppress(sa.exc.DBAPIError):  # somebody still reads: the log stays, and is cleared later
                self._connection.exec_driver_sql("PRAGMA busy_timeout = 0")
                self._connection.exec_driver_sql("PRAGMA journal_mode = DELETE")
        self._connection.close()
        self._until.close()
        if self._may_be_sealed:
            _seal(self._path)

    def _begin(self, write: bool) -> None:
        self._connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")

    def _border(self) -> contextlib.AbstractContextManager[None]:
        return _border(self._path, self._kind)

    def changes(self) -> int:
        """It is asked of SQLite itself: through SQLAlchemy it takes ten times as long."""
        with self._turn, self._border():
            plain = self._connection.connection.dbapi_connection
            assert isinstance(plain, sqlite3.Connection)
            return int(plain.execute("PRAGMA data_version").fetchone()[0])  # sqlite.org/pragma.html

    def compact(self) -> None:
        """Nor does the write-ahead log keep one: the file itself is overwritten."""
        with self._turn, self._border():
            self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def here(self) -> str:
        """It is a file that this process holds from the first call on. What killed processes held goes then; one
        process does this at a time, or it might take for dead who is just born."""
        with self._first:
            if not self._id:
                chosen = secrets.token_hex(8)
                with self.transaction(write=True):
                    for left in self._path.parent.glob(self._held("*").name):
                        is_held(left)
                    self._until.callback(hold(self._held(chosen)))
                self._id = chosen
            return self._id

    def lives(self, process: str) -> bool:
        """What it held goes where it does not."""
        return bool(process) and (process == self._id or is_held(self._held(process)))

    def _held(self, process: str) -> Path:
        return self._path.with_name(f"{self._path.stem}-{process}.held")

    def is_damaged(self) -> AlbumError:
        return AlbumError(str(self._path), "is damaged", f"To go on, {self._kind.way_out}")

    def _prepare(self) -> None:
        """Makes a file that is open for writing ready for use."""
        execute, kind = self._connection.exec_driver_sql, self._kind
        execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: it tells of people
        execute(f"PRAGMA synchronous = {'FULL' if kind.durable else 'NORMAL'}")  # see sqlite.org/pragma.html, with WAL
        if self._is_blank():
            self._keep_log()
            with self.transaction(write=True):
                if self._is_blank():  # still: two runs may meet here
                    self._create()
        self._recognise()  # before anything is changed in it
        self._keep_log()
        self._look_for_damage()
        self._heal()
        self._migrate()
        checksums.keep(self._connection, kind.schema)
        self._may_be_sealed = kind.sealed

    def _keep_log(self) -> None:
        """Goes over to a write-ahead log. Where two do so at once SQLite fails without waiting for its turn."""
        latest = time.monotonic() + BUSY_SECONDS
        while not self._keeps_log:
            try:
                self._connection.exec_driver_sql("PRAGMA journal_mode = WAL")
                self._keeps_log = True
            except sa.exc.OperationalError as error:
                if _code(error) != sqlite3.SQLITE_BUSY or time.monotonic() > latest:
                    raise
                time.sleep(0.01)

    def _create(self) -> None:
        """Makes the tables of an empty file."""
        for statement in _statements_that_make(self._kind.schema):
            self._connection.exec_driver_sql(statement)
        checksums.add_to(self._connection, self._kind.schema.tables)
        self._connection.exec_driver_sql(f"PRAGMA application_id = {self._kind.application_id}")
        self._connection.exec_driver_sql(f"PRAGMA user_version = {self._kind.version}")

    def _migrate(self) -> None:
        """Brings the tables of an older version of mien to those of this one, by all steps or none."""
        if self._version() == self._kind.version:
            return
        execute = self._connection.exec_driver_sql
        # Where foreign keys are enforced, dropping a table to make it anew deletes all that refers to its rows. Inside
        # a transaction this cannot be set any more (sqlite.org/lang_altertable.html, 7).
        execute("PRAGMA foreign_keys = OFF")
        with self.transaction(write=True) as connection:
            migrating.upgrade(connection, self._kind, self._version())
            if lost := execute("PRAGMA foreign_key_check").first():
                raise RuntimeError(f"a row of {lost[0]} refers to a row of {lost[2]} that no step kept")
            checksums.add_to(connection, self._kind.schema.tables)
            execute(f"PRAGMA user_version = {self._kind.version}")
        execute("PRAGMA foreign_keys = ON")

    def _look_for_damage(self) -> None:
        """Counts the rows that are not what mien wrote. Raises AlbumError where the tables are not."""
        if self._as_sealed:
            return
        tables = checksums.tables(self._connection)
        self.damaged = checksums.damaged(self._connection, tables)
        if not self.damaged and not self._is_whole():
            self.damaged = dict.fromkeys(tables, 0)
        if self._version() < self._kind.version:
            return
        for table in self._kind.schema.sorted_tables:
            found = checksums.columns(self._connection, table.name)
            if found.keys() != {*table.columns.keys(), checksums.COLUMN}:
                raise self.is_damaged()

    def _heal(self) -> None:
        """Takes the damaged rows out. Raises AlbumError where they do not go, or must not."""
        if not self.damaged:
            return
        rows = {table: number for table, number in self.damaged.items() if number}
        with self.transaction(write=True) as connection:
            connection.exec_driver_sql("REINDEX")  # or a row would not be found by what it says
            if rows:
                (self._kind.heal or take_out)(connection, rows, str(self._path))
            if checksums.damaged(connection, self.damaged) or not self._is_whole():
                raise self.is_damaged()

    def _is_whole(self) -> bool:
        """Whether SQLite finds nothing wrong: each row stands in each index of its table, and no other does."""
        return bool(self._connection.exec_driver_sql("PRAGMA integrity_check(1)").scalar() == "ok")

    def _recognise(self) -> None:
        """Raises AlbumError for a file of another program, or of a later version of mien."""
        if self._connection.exec_driver_sql("PRAGMA application_id").scalar() != self._kind.application_id:
            raise AlbumError(
                str(self._path), "is a database of another program", "Name another file as catalog in mien.toml."
            )
        version = self._version()
        if not 1 <= version <= self._kind.version:
            raise AlbumError(
                str(self._path),
                f"was written by another version of mien (its schema is {version}, not {self._kind.version})",
                f"Update mien. Or {self._kind.way_out}",
            )

    def _is_blank(self) -> bool:
        return not self._connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()

    def _version(self) -> int:
        return int(self._connection.exec_driver_sql("PRAGMA user_version").scalar_one())


def _seal(path: Path) -> None:
    """Puts the checksum of a file that lies at rest beside it. No harm where it does not get there."""
    with contextlib.suppress(OSError):
        if not any(_beside(path, ending).exists() for ending in ("-wal", "-journal")):
            seal = _seal_file(path)
            seal.touch(PRIVATE_FILE)
            seal.write_text(_sum(path), encoding="ascii")


def _is_sealed(path: Path) -> bool:
    """Whether a file is, byte for byte, what the last writer left."""
    try:
        seal = _seal_file(path).read_bytes()[:200]
        return not any(_beside(path, end).exists() for end in ("-wal", "-journal")) and seal == _sum(path).encode()
    except OSError:
        return False


def _seal_file(path: Path) -> Path:
    return path.with_suffix(".seal")


def _sum(path: Path) -> str:
    """CRC-32 and size of a file: it notices what disks do, and takes a quarter of a cryptographic hash's time."""
    found = size = 0
    with path.open("rb") as file:
        while part := file.read(1 << 20):
            found, size = zlib.crc32(part, found), size + len(part)
    return f"{found:08x} {size}"


def _connected(database: str, uri: bool = False) -> sa.Connection:
    opened = _TO_CONNECT.set((database, uri))
    try:
        connection = _engine().connect()
    finally:
        _TO_CONNECT.reset(opened)
    connection.exec_driver_sql("PRAGMA foreign_keys = ON")
    return connection


_TO_CONNECT: ContextVar[tuple[str, bool]] = ContextVar("to_connect")
"""What the engine is to connect to: a database, and whether that is a URI."""


@cache
def _engine() -> sa.Engine:
    """The engine of every file. An engine keeps the statements that it has compiled, which takes SQLAlchemy several
    times as long as SQLite takes to run them, so there is one."""

    def connect() -> sqlite3.Connection:
        database, uri = _TO_CONNECT.get()
        # Which thread may use it is for `Database` to say
        connection = sqlite3.connect(database, timeout=BUSY_SECONDS, uri=uri, check_same_thread=False)
        checksums.enable(connection)
        return connection

    return sa.create_engine(
        "sqlite://",
        creator=connect,
        isolation_level="AUTOCOMMIT",  # transactions are begun by name; sqlite3's own are begun too late
        poolclass=sa.NullPool,
    )


@cache
def _statements_that_make(schema: sa.MetaData) -> tuple[str, ...]:
    """The statements that make the tables and indexes of a schema, in order."""
    dialect = _engine().dialect
    made: list[sa.schema.ExecutableDDLElement] = []
    for table in schema.sorted_tables:
        made += [
            sa.schema.CreateTable(table),
            *map(sa.schema.CreateIndex, sorted(table.indexes, key=lambda one: one.name or "")),
        ]
    return tuple(str(one.compile(dialect=dialect)) for one in made)


def _require_no_folder(path: Path) -> None:
    """Raises StorageError where a folder is in the place of a file."""
    if path.is_dir():
        raise StorageError(
            str(path), "cannot be opened: it is a folder", "Move it away, or name another file as catalog in mien.toml."
        )


def _read_only(path: Path) -> sa.Connection:
    """A connection that creates no file; to an empty database if there is none at `path`."""
    try:
        with path.open("rb") as file:
            keeps_log = file.read(20)[18:] == _WAL
    except FileNotFoundError as error:
        if path.is_symlink():  # to a disk that is away, say: there may be a database
            raise StorageError(
                str(path), "is a link to nothing", "Connect the disk that it leads to, or remove the link."
            ) from error
        return _connected(":memory:")
    except OSError as error:
        raise StorageError(str(path), f"cannot be opened: {error.strerror}", "Check its permissions.") from error
    if (keeps_log and not _beside(path, "-shm").exists()) or _beside(path, "-journal").exists():
        return _copied(path)
    return _connected(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _beside(path: Path, ending: str) -> Path:
    return path.with_name(path.name + ending)


def _copied(path: Path) -> sa.Connection:
    """A database that SQLite could not open without changing its files: the index of the log is missing, as in a
    backup, or a transaction is to be undone, as a writer was killed in the moment in which it began or ended a log."""
    try:
        with scratch_folder() as folder:
            copy = folder / "copy"
            shutil.copyfile(path, copy)
            for ending in ("-wal", "-journal"):
                with contextlib.suppress(FileNotFoundError):
                    shutil.copyfile(_beside(path, ending), _beside(copy, ending))
            return _in_memory(_connected(str(copy)))
    except OSError as error:
        raise StorageError(
            str(path),
            f"cannot be copied to be read: {error.strerror}",
            "Check the disk, and the folder for temporary files.",
        ) from error


def _in_memory(connection: sa.Connection) -> sa.Connection:
    """A copy that is kept nowhere, and may be changed; the original is closed."""
    copy = _connected(":memory:")
    source, target = connection.connection.dbapi_connection, copy.connection.dbapi_connection
    assert isinstance(source, sqlite3.Connection) and isinstance(target, sqlite3.Connection)
    try:
        source.backup(target)
    except BaseException:
        copy.close()
        raise
    finally:
        connection.close()
    return copy


_NO_MEMORY = 7
_ERRORS: dict[int, tuple[type[MienError], str, str]] = {  # SQLite's primary result codes, sqlite.org/rescode.html
    3: (StorageError, "may not be opened", "Check its permissions, and those of its folder."),
    5: (BusyError, "is in use by another run", "Wait until that is done, then try again."),
    6: (BusyError, "is in use by another run", "Wait until that is done, then try again."),
    _NO_MEMORY: (StorageError, "cannot be used, as memory is short", "Close other programs, and run again."),
    8: (StorageError, "cannot be written", "Give yourself write access, or set catalog in mien.toml to another place."),
    10: (StorageError, "cannot be read or written", "Check the disk, and run again."),
    11: (AlbumError, "is damaged", "To go on, {way_out}"),
    13: (StorageError, "cannot grow: the disk is full", "Free some space, and run again; what was finished is kept."),
    14: (StorageError, "cannot be opened", "Check that its folder exists and that you may write to it."),
    15: (BusyError, "cannot be locked", "End other runs, and see that it lies on a disk of this computer."),
    22: (StorageError, "cannot grow: its disk takes no larger files", "Set catalog in mien.toml to another disk."),
    26: (AlbumError, "is not a {name}, or is damaged", "To go on, {way_out}"),
}


@contextlib.contextmanager
def _border(path: Path, kind: DatabaseKind) -> Iterator[None]:
    """The one place where SQLite's errors become mien's. What is not the fault of disk or file is a bug, and passes."""
    try:
        yield
    except (sa.exc.DBAPIError, sqlite3.Error, MemoryError) as error:
        if "user-defined function raised" in str(error):  # Ctrl-C, while it computed a checksum, which raises nothing
            raise KeyboardInterrupt from error
        if _code(error) not in _ERRORS:
            raise
        of, what, remedy = _ERRORS[_code(error)]
        raise of(str(path), what.format(name=kind.name), remedy.format(way_out=kind.way_out)) from error


def _code(error: sa.exc.DBAPIError | sqlite3.Error | MemoryError) -> int:
    """SQLite's primary result code of an error, 0 where there is none."""
    if isinstance(error, MemoryError):  # which is what Python makes of SQLite's own
        return _NO_MEMORY
    origin = error.orig if isinstance(error, sa.exc.DBAPIError) else error
    return int(getattr(origin, "sqlite_errorcode", 0)) & 0xFF
