"""What the catalog and the ledger have in common: one SQLite file each, through SQLAlchemy Core.

Opening makes the tables of a new file and refuses a foreign one; a transaction is begun by name and is whole or not at
all, whatever happens in it; and this is the border at which SQLite's errors become mien's.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import sqlalchemy as sa

from mien.errors import AlbumError, BusyError, MienError, StorageError

BUSY_SECONDS = 10
"""How long one run waits for another's transaction."""


@dataclass(frozen=True, slots=True)
class Kind:
    """What a file is. `application_id` marks it as ours, so that a wrong path in mien.toml never writes into the
    database of another program; `version` is that of its `schema`, and a file of a version from `oldest` on lacks
    nothing but whole tables, which it is given. `way_out` is what to do with a damaged one. What was committed is still
    there after a power cut if it is `durable`; otherwise the last moments may be lost, but never the file."""

    name: str
    application_id: int
    version: int
    oldest: int
    schema: sa.MetaData
    way_out: str
    durable: bool


class Database:
    """An open database; a context manager. It belongs to the thread that opened it.

    Every method of a subclass may raise StorageError, AlbumError (damaged, or not of this kind) and BusyError.
    """

    kind: ClassVar[Kind]

    def __init__(self, path: Path, connection: sa.Connection) -> None:
        self._path = path
        self._connection = connection

    @classmethod
    def open(cls, path: Path) -> Self:
        """Opens the file at `path`, or makes it if there is none; the folder must exist."""
        engine = sa.create_engine(
            sa.URL.create("sqlite", database=str(path)),
            isolation_level="AUTOCOMMIT",  # transactions are begun by name below; sqlite3's own are begun too late
            connect_args={"timeout": BUSY_SECONDS},
            poolclass=sa.NullPool,
        )
        with _border(path, cls.kind):
            database = cls(path, engine.connect())
            try:
                database._prepare()
            except BaseException:
                database.close()
                raise
        return database

    def close(self) -> None:
        self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def _prepare(self) -> None:
        execute, kind = self._connection.exec_driver_sql, self.kind
        execute("PRAGMA foreign_keys = ON")
        execute("PRAGMA secure_delete = ON")  # what is deleted is overwritten: it tells of people
        execute(f"PRAGMA synchronous = {'FULL' if kind.durable else 'NORMAL'}")  # see sqlite.org/pragma.html, with WAL
        if self._is_blank():
            execute("PRAGMA journal_mode = WAL")
            with self._transaction(write=True) as connection:
                if self._is_blank():  # still: two runs may meet here
                    kind.schema.create_all(connection, checkfirst=False)
                    execute(f"PRAGMA application_id = {kind.application_id}")
                    execute(f"PRAGMA user_version = {kind.version}")
        if execute("PRAGMA application_id").scalar() != kind.application_id:
            raise AlbumError(
                f"{self._path} is a database of another program.", "Name another file as catalog in mien.toml."
            )
        version = self._version()
        if kind.oldest <= version < kind.version:
            with self._transaction(write=True) as connection:
                kind.schema.create_all(connection)  # what is missing
                execute(f"PRAGMA user_version = {kind.version}")
        elif version != kind.version:
            raise AlbumError(
                f"{self._path} was written by another version of mien (its schema is {version}, not {kind.version}).",
                f"Update mien. Or {kind.way_out}",
            )

    def _compact(self) -> None:
        """Leaves no copy of what was deleted in the write-ahead log."""
        with _border(self._path, self.kind):
            self._connection.exec_driver_sql("PRAGMA wal_checkpoint(TRUNCATE)")

    def _is_blank(self) -> bool:
        return not self._connection.exec_driver_sql("SELECT count(*) FROM sqlite_master").scalar()

    def _version(self) -> int:
        return int(self._connection.exec_driver_sql("PRAGMA user_version").scalar_one())

    @contextlib.contextmanager
    def _transaction(self, write: bool = False) -> Iterator[sa.Connection]:
        with _border(self._path, self.kind):
            self._connection.exec_driver_sql("BEGIN IMMEDIATE" if write else "BEGIN")
            try:
                yield self._connection
                self._connection.exec_driver_sql("COMMIT")
            except BaseException:
                with contextlib.suppress(sa.exc.DBAPIError):  # a full disk has rolled it back already
                    self._connection.exec_driver_sql("ROLLBACK")
                raise


def execute_many(connection: sa.Connection, query: sa.Executable, rows: list[dict[str, object]]) -> None:
    """Executes `query` once for each of `rows`, if there are any: SQLAlchemy takes an empty list for one row without
    values."""
    if rows:
        connection.execute(query, rows)


_ERRORS: dict[int, tuple[type[MienError], str, str]] = {  # SQLite's primary result codes, sqlite.org/rescode.html
    5: (BusyError, "is in use by another run", "Wait until that is done, then try again."),
    8: (StorageError, "cannot be written", "Give yourself write access, or set catalog in mien.toml to another place."),
    10: (StorageError, "cannot be read or written", "Check the disk, and run again."),
    11: (AlbumError, "is damaged", "To go on, {way_out}"),
    13: (StorageError, "cannot grow: the disk is full", "Free some space, and run again; what was finished is kept."),
    14: (StorageError, "cannot be opened", "Check that its folder exists and that you may write to it."),
    26: (AlbumError, "is not a {name}, or is damaged", "To go on, {way_out}"),
}


@contextlib.contextmanager
def _border(path: Path, kind: Kind) -> Iterator[None]:
    """The one place where SQLite's errors become mien's. What is not the fault of disk or file is a bug, and passes."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        code = getattr(error.orig, "sqlite_errorcode", 0) & 0xFF
        if code not in _ERRORS:
            raise
        of, what, remedy = _ERRORS[code]
        raise of(f"{path} {what.format(name=kind.name)}.", remedy.format(way_out=kind.way_out)) from error
