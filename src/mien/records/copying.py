"""The databases of an album copied to another place, between files and a server in any direction, and compared there
row by row.

A copy is there as a whole, or not at all: on a server it is made and compared in one transaction, and files get their
names when everything in them has been compared. Rows go through in parts, so that memory does not grow with the album.
"""

from __future__ import annotations

import itertools
import shutil
from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import AbstractContextManager, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import sqlalchemy as sa

from mien.errors import AlbumError, StorageError
from mien.records import access, catalog, ledger, opening
from mien.records.database import DatabaseKind, execute_many
from mien.records.schema import NTH, faces, people, runs
from mien.storage.files import make_folder, storage_error, temporary_file
from mien.storage.layout import Layout, OnServer, Place
from mien.storage.leftovers import remove_unfinished

_PART: Final = 1000
"""Rows that are held at once; a thousand faces are 2 MB."""

_THERE: Final = {
    "catalog": "is a catalog already",
    "ledger": "is a ledger already",
    "access": "is a list of keys already",
}

Into = Callable[[DatabaseKind], AbstractContextManager[sa.Connection]]
"""A new, empty database of a kind, in the transaction in which it is filled."""


@dataclass(frozen=True, slots=True)
class CopiedTable:
    """A table that was copied: of which database ("catalog", "ledger", "access"), and how many rows, all of which were
    compared and are equal."""

    database: str
    table: str
    rows: int


def copy(source: Layout, target: Layout) -> tuple[CopiedTable, ...]:
    """Copies what is known of an album from where it is to where `target` says, for who holds the album's lock. Raises
    AlbumError where something is there already, StorageError and BusyError."""
    kinds = {ledger.KIND: source.ledger_at, catalog.KIND: source.catalog_at, access.KIND: source.access_at}
    there = {ledger.KIND: target.ledger_at, catalog.KIND: target.catalog_at, access.KIND: target.access_at}
    _require_empty(there)
    kept = {kind: place for kind, place in kinds.items() if opening.is_there(kind, place)}
    if ledger.KIND not in kept:
        raise AlbumError(
            str(source.catalog_at), "is not there yet", "Nothing is to be copied before the first `align`."
        )
    done: list[CopiedTable] = []
    with _made(target, {kind: there[kind] for kind in kept}) as into:
        for kind, place in kept.items():
            with opening.for_reading(kind, place) as known, known.transaction() as read, into(kind) as written:
                done += _copied(kind, read, written)
    return tuple(done)


def _require_empty(there: Mapping[DatabaseKind, Place]) -> None:
    first = there[ledger.KIND]
    if isinstance(first, Path) and first.is_file() and first.stat().st_size == 0:
        return  # a copy was stopped while its files got their names
    for kind, place in there.items():
        if opening.is_there(kind, place):
            raise AlbumError(str(place), _THERE[kind.revisions], "Name a place where there is none.")


def _copied(kind: DatabaseKind, read: sa.Connection, written: sa.Connection) -> Iterator[CopiedTable]:
    """Copies each table of a database, and compares it then."""
    for table in kind.schema.sorted_tables:
        for part in _parts(read, table):
            rows = [dict(row._mapping) for row in part]
            if table is people:  # one may be the other name of somebody who comes later
                rows = [row | {"same_as": None} for row in rows]
            execute_many(written, sa.insert(table), rows)
        if table is people:
            same = sa.update(people).where(people.c.id == sa.bindparam("of")).values(same_as=sa.bindparam("whose"))
            for part in _parts(read, table):
                also = [{"of": row.id, "whose": row.same_as} for row in part if row.same_as]
                execute_many(written, same, also)
    _go_on_counting(kind, read, written)
    for table in kind.schema.sorted_tables:
        yield CopiedTable(kind.revisions, table.name, _compared(table, read, written))


def _compared(table: sa.Table, read: sa.Connection, written: sa.Connection) -> int:
    """How many rows a table has in both. Raises StorageError where one is another."""
    number = 0
    with closing(_rows(read, table)) as before, closing(_rows(written, table)) as after:
        for was, now in itertools.zip_longest(before, after):
            if was is None or now is None or tuple(was) != tuple(now):
                raise StorageError(
                    f"The table {table.name}",
                    f"is not what it was after its row {number}: the copy is given up",
                    "Check disk and memory of both machines, and run again.",
                )
            number += 1
    return number


def _rows(connection: sa.Connection, table: sa.Table) -> Generator[sa.Row[*tuple[object, ...]], None, None]:
    for part in _parts(connection, table):
        yield from part


def _parts(connection: sa.Connection, table: sa.Table) -> Generator[list[sa.Row[*tuple[object, ...]]], None, None]:
    """The rows of a table in their order, a part at a time."""
    order = (NTH,) if table is runs else tuple(table.primary_key)
    query = sa.select(table).order_by(*order).execution_options(yield_per=_PART)
    with connection.execute(query) as found:
        yield from (list(part) for part in found.partitions())


def _go_on_counting(kind: DatabaseKind, read: sa.Connection, written: sa.Connection) -> None:
    """Has ids that are counted go on where they were: one of a face that is gone means no other."""
    if kind.schema is faces.metadata and read.dialect.name == "sqlite":
        last = read.exec_driver_sql("SELECT seq FROM sqlite_sequence WHERE name = 'faces'").scalar() or 0
    elif kind.schema is faces.metadata:
        last = read.exec_driver_sql("SELECT last_value FROM faces_id_seq").scalar() or 0
    else:
        last = 0
    if written.dialect.name == "sqlite":
        if (
            last
            and not written.exec_driver_sql(f"UPDATE sqlite_sequence SET seq = {last} WHERE name = 'faces'").rowcount
        ):
            written.exec_driver_sql(f"INSERT INTO sqlite_sequence (name, seq) VALUES ('faces', {last})")
        return
    for table in kind.schema.sorted_tables:
        column = table.autoincrement_column
        if column is not None:
            highest = written.scalar(sa.select(sa.func.max(column))) or 0
            following = max(highest, last if table is faces else 0) + 1
            sequence = f"pg_get_serial_sequence('{table.name}', '{column.name}')"
            written.exec_driver_sql(f"SELECT setval({sequence}, {following}, false)")


@contextmanager
def _made(target: Layout, there: Mapping[DatabaseKind, Place]) -> Iterator[Into]:
    """New databases at these places, which are there at the end, all of them or none."""
    schemas = {kind: place.schema for kind, place in there.items() if isinstance(place, OnServer)}
    files = {kind: place for kind, place in there.items() if isinstance(place, Path)}
    if target.server:
        from mien.records.postgres import album_held, filled_at_once

        held = album_held(target.server, str(target.server), "catalog copy")
        with held, filled_at_once(target.server, schemas) as fill:
            yield fill
        return
    make_folder(target.catalog_file.parent)
    remove_unfinished(target.catalog_file.parent)
    folder = temporary_file(target.catalog_file)
    new = {kind: folder / file.name for kind, file in files.items()}

    @contextmanager
    def into(kind: DatabaseKind) -> Iterator[sa.Connection]:
        with opening.for_writing(kind, new[kind]) as database, database.transaction(write=True) as connection:
            yield connection

    try:
        make_folder(folder)
        yield into
        _name(new, files)
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def _name(new: Mapping[DatabaseKind, Path], files: Mapping[DatabaseKind, Path]) -> None:
    """Gives the files their names. An empty ledger stands there meanwhile, beside which mien opens no catalog; the
    ledger comes last."""
    last = files[ledger.KIND]
    try:
        last.touch()
        for kind in sorted(new, key=lambda kind: kind is ledger.KIND):
            new[kind].replace(files[kind])
    except OSError as error:
        raise storage_error(last, error) from error
