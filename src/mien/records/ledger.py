"""The ledger: what mien knows of an album that cannot be made again. SQLAlchemy Core, on
SQLite or PostgreSQL.

Who the people are and on what basis, who was removed, where each photo came from, what each run did, which models were
in use.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa

from mien.errors import AlbumError
from mien.records import checksums, opening
from mien.records.corrections import Corrections
from mien.records.database import Database, DatabaseKind
from mien.records.events import Events
from mien.records.history import History
from mien.records.people import People
from mien.records.removals import Removals
from mien.records.runs import Runs
from mien.records.schema import LEDGER, LEDGER_VERSION, albums, damaged
from mien.storage.layout import Place
from mien.text.words import count

_WAY_OUT: Final = (
    "move the file aside, with those beside it that end in -wal and -shm, and put a copy from a backup in "
    "its place. It holds what cannot be computed again: who the people are, who was removed, where each photo "
    "came from, under which licence, and what each run did. Without it mien begins a new one, and asks the sources "
    "for every photo once more."
)
_WAY_OUT_ON_SERVER: Final = (
    "restore the schema mien_ledger from a backup of the server. It holds what cannot be computed again: who the "
    "people are, who was removed, where each photo came from."
)

_INDISPENSABLE: Final = {"people": "who the people are", "removals": "who was removed", "salts": "who was removed"}
"""What the tables say without whose every row no answer could be trusted."""


def _set_aside(connection: sa.Connection, found: Mapping[str, int], path: str) -> None:
    """Damaged rows go into a table of their own, where nothing but a human reads them. Raises AlbumError where it is
    not sure any more who the people are, or who may not come back."""
    if lost := [what for table, what in _INDISPENSABLE.items() if table in found]:
        rows = sum(found.get(table, 0) for table in _INDISPENSABLE)
        raise AlbumError(
            path,
            f"is damaged, in {count(rows, 'record')} of {lost[0]}",
            f"To go on, {_WAY_OUT}",
        )
    for table in found:
        condition = checksums.is_damaged(connection, table)
        if table != damaged.name:
            connection.exec_driver_sql(
                f"INSERT INTO damaged (of_table, row) "
                f"SELECT '{table}', {checksums.row_as_text(connection, table)} FROM {table} WHERE {condition}"
            )
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE {condition}")
    connection.exec_driver_sql("DELETE FROM steps WHERE run NOT IN (SELECT id FROM runs)")
    connection.exec_driver_sql("DELETE FROM moves WHERE correction NOT IN (SELECT id FROM corrections)")
    connection.exec_driver_sql("DELETE FROM findings WHERE step NOT IN (SELECT id FROM steps)")


KIND: Final = DatabaseKind(
    name="ledger",
    application_id=int.from_bytes(b"mlgr", "big"),
    schema=LEDGER,
    version=LEDGER_VERSION,
    revisions="ledger",
    way_out=_WAY_OUT,
    way_out_on_server=_WAY_OUT_ON_SERVER,
    durable=True,
    heal=_set_aside,
    sealed=True,
)


class Ledger:
    """An open ledger; a context manager."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.people = People(database)
        self.history = History(database, self.people)
        self.runs = Runs(database, self.people)
        self.removals = Removals(database, self.people)
        self.corrections = Corrections(database, self.people)
        self.events = Events(database, self.people)

    @property
    def damage_found(self) -> int:
        """How many records were found damaged and set aside when it was opened."""
        return sum(self._database.damaged.values())

    def damaged(self) -> dict[str, int]:
        """How many records were ever found damaged, and are out of use, by table."""
        query = sa.select(damaged.c.of_table, sa.func.count().label("number")).group_by(damaged.c.of_table)
        with self._database.transaction() as connection:
            return {row.of_table: row.number for row in connection.execute(query)}

    @classmethod
    def for_writing(cls, place: Place) -> Self:
        """Opens the ledger at `place`, or makes it."""
        return cls(opening.for_writing(KIND, place))

    @classmethod
    def for_reading(cls, place: Place) -> Self:
        """Opens the ledger at `place`, or an empty one that is kept nowhere."""
        return cls(opening.for_reading(KIND, place))

    def album(self) -> Path | None:
        """The folder of the album whose ledger it is; None where nobody said so, or it lies in the album."""
        with self._database.transaction() as connection:
            folder = connection.scalar(sa.select(albums.c.folder))
        return None if folder is None else Path(os.fsdecode(bytes.fromhex(folder)))

    def set_album(self, folder: Path) -> None:
        """Remembers the folder of the album whose ledger it is."""
        with self._database.transaction(write=True) as connection:
            connection.execute(sa.delete(albums))
            connection.execute(sa.insert(albums).values(folder=os.fsencode(folder).hex()))

    def forget(self, name: str) -> None:
        """See `People.forget`. Whoever was removed stays out under each name that they ever had."""
        self.removals.cover(name)
        self.people.forget(name)
        self.removals.read()

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
