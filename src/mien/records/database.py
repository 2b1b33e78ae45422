"""What the catalog, the ledger and the database of access have in common, be each a SQLite file or a schema on a
PostgreSQL server: the tables of SQLAlchemy Core, transactions that are whole or not at all, errors that are mien's.

`mien.records.opening` opens one, in the way of its place. What is said here holds for both kinds; the rooms beside this
one write SQL that means the same on both.
"""

from __future__ import annotations

import contextlib
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa

from mien.errors import AlbumError
from mien.storage.layout import Place

BUSY_SECONDS = 10
"""How long one run waits for another's transaction."""

Heal = Callable[[sa.Connection, Mapping[str, int], str], None]
"""Takes the damaged rows of a SQLite file out, of which there are so many by table, in a transaction. Raises
AlbumError, with the path that it is given, where nothing that is left could be believed."""

MIGRATIONS: Final = Path(__file__).parent / "migrations"


@dataclass(frozen=True, slots=True)
class DatabaseKind:
    """What a database is. `application_id`, 31 bits, marks a file as ours, so that a wrong path in mien.toml never
    writes into the database of another program. `version` is the schema that this version of mien writes, from 1 on;
    the revision `{revisions}_N` in `migrations` brings one of N - 1 to N. `way_out` is what to do with a damaged file,
    `way_out_on_server` the same on a server, and `heal` what becomes of damaged rows of a file, where they do not just
    go. What was committed is still there after a power cut if the kind is `durable`; otherwise the last moments may be
    lost, but never the database. `sealed`: see `mien.records.sqlite`. An open database of a `shared` kind may be used
    by any thread, one at a time."""

    name: str
    application_id: int
    schema: sa.MetaData
    version: int
    revisions: str
    way_out: str
    way_out_on_server: str
    durable: bool
    heal: Heal | None = None
    sealed: bool = False
    shared: bool = False
    migrations: Path = MIGRATIONS


class Database(ABC):
    """An open database; a context manager. It belongs to the thread that opened it, unless its kind is shared: then a
    thread waits until the transaction of another is done.

    Whoever uses one may meet StorageError, AlbumError (damaged, or not of this kind) and BusyError.
    """

    def __init__(self, kind: DatabaseKind, place: Place, connection: sa.Connection) -> None:
        self._kind, self._place, self._connection = kind, place, connection
        self._thread, self._turn = threading.get_ident(), threading.RLock()
        self.damaged: Mapping[str, int] = {}
        """How many rows were found damaged and taken out when it was opened, by table; 0 of one whose index was. None
        on a server, which looks after its own disks."""
        self._together = False

    @contextlib.contextmanager
    def transaction(self, write: bool = False) -> Iterator[sa.Connection]:
        """A connection in a transaction, which is committed at the end and rolled back after an error. One that reads
        sees one moment; one that writes is the only one that does, in this database, until its end."""
        if not self._kind.shared and self._thread != threading.get_ident():
            raise RuntimeError(f"the {self._kind.name} belongs to the thread that opened it")
        if self._together:
            yield self._connection
            return
        with self._turn, self._border():
            self._begin(write)
            try:
                yield self._connection
                self._connection.exec_driver_sql("COMMIT")
            except BaseException:
                with contextlib.suppress(sa.exc.SQLAlchemyError):  # a full disk, or a server that is gone, has done so
                    self._connection.exec_driver_sql("ROLLBACK")
                raise

    @abstractmethod
    def changes(self) -> int:
        """A number that is another one whenever something else than this `Database` has written to it since."""

    @abstractmethod
    def compact(self) -> None:
        """Leaves no copy of what was deleted, as far as that can be said of whoever keeps it."""

    @abstractmethod
    def here(self) -> str:
        """The id of this process, by which others see that it lives, until the database is closed."""

    @abstractmethod
    def lives(self, process: str) -> bool:
        """Whether the process of this id does."""

    @abstractmethod
    def is_damaged(self) -> AlbumError:
        """The error that says that it is damaged, and what to do."""

    @abstractmethod
    def _begin(self, write: bool) -> None:
        """Begins a transaction."""

    @abstractmethod
    def _border(self) -> contextlib.AbstractContextManager[None]:
        """Where the errors of whoever keeps the database become mien's."""

    def close(self) -> None:
        with self._turn:
            self._close()

    @contextlib.contextmanager
    def together(self) -> Iterator[None]:
        """What is written in the block is one transaction: all of it, or nothing after an error. Not for a database
        that several threads use at once."""
        with self.transaction(write=True):
            self._together = True
            try:
                yield
            finally:
                self._together = False

    @abstractmethod
    def _close(self) -> None: ...

    @contextlib.contextmanager
    def _closed_on_failure(self) -> Iterator[None]:
        try:
            yield
        except BaseException:
            self.close()
            raise

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def execute_many(connection: sa.Connection, query: sa.Executable, rows: list[dict[str, object]]) -> None:
    """Executes `query` once for each of `rows`, if there are any: SQLAlchemy takes an empty list for one row without
    values."""
    if rows:
        connection.execute(query, rows)
