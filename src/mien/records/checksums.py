"""Checksums of rows, so that what comes back from the disk is known to be what mien wrote: SQLite itself keeps none.

Each table has a column `checksum` beside those of its schema: the CRC-32 of all the others. Temporary triggers of the
connection that writes keep it. So a byte that flips on the disk leaves a row with another checksum, and so does whoever
changes a row by other means than mien's.
"""

from __future__ import annotations

import sqlite3
import struct
import zlib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Final

import sqlalchemy as sa

COLUMN: Final = "checksum"
_FUNCTION: Final = "mien_checksum"
_float = struct.Struct("<d").pack


def enable(connection: sqlite3.Connection) -> None:
    """Lets queries of a connection compute checksums."""
    connection.create_function(_FUNCTION, -1, _checksum, deterministic=True)


def add_to(connection: sa.Connection, tables: Iterable[str]) -> None:
    """Gives each table the column where it has none, and each row its checksum, as it is now."""
    for table in tables:
        found = columns(connection, table)
        if COLUMN not in found:
            connection.exec_driver_sql(f"ALTER TABLE {_quoted(table)} ADD COLUMN {COLUMN} INTEGER")
        connection.exec_driver_sql(f"UPDATE {_quoted(table)} SET {COLUMN} = {_expression(found)}")


def keep(connection: sa.Connection, schema: sa.MetaData) -> None:
    """From now on each row that the connection writes gets its checksum. All is said in one script: statement by
    statement it took most of the time in which a database is opened."""
    query = (
        "SELECT tables.name, columns.name, columns.type FROM sqlite_master AS tables"
        " JOIN pragma_table_info(tables.name) AS columns WHERE tables.type = 'table'"
    )
    found: dict[str, dict[str, str]] = {}
    for table, column, kind in connection.exec_driver_sql(query):
        found.setdefault(table, {})[column] = kind
    script = "".join(_triggers(one, tuple(found.get(one.name, {}).items())) for one in schema.sorted_tables)
    plain = connection.connection.driver_connection
    assert plain is not None
    plain.executescript(f"BEGIN; {script} COMMIT;")


@lru_cache(maxsize=64)
def _triggers(described: sa.Table, columns: tuple[tuple[str, str], ...]) -> str:
    """The statements that have SQLite keep the checksums of a table, whose columns have these names and types."""
    table, found = described.name, dict(columns)
    known = [name for name in found if name != COLUMN]
    has_rowid = described.dialect_options["sqlite"]["with_rowid"]
    keys = ["rowid"] if has_rowid else [column.name for column in described.primary_key]
    row = " AND ".join(f"{_quoted(key)} = NEW.{_quoted(key)}" for key in keys)
    return "".join(
        f"CREATE TEMP TRIGGER {_quoted(f'{table} {event[:6]}')} AFTER {event} ON main.{_quoted(table)} BEGIN "
        f"UPDATE {_quoted(table)} SET {COLUMN} = {_expression(found, 'NEW.')} WHERE {row}; END; "
        for event in ("INSERT", f"UPDATE OF {', '.join(map(_quoted, known))}")
    )


def columns(connection: sa.Connection, table: str) -> dict[str, str]:
    """The types of a table's columns by name; none of a table that is not there."""
    return {name: kind for _, name, kind, *_ in connection.exec_driver_sql(f"PRAGMA table_info({_quoted(table)})")}


def tables(connection: sa.Connection) -> list[str]:
    """The tables that have checksums, by name; those of a file from before there were any have none."""
    query = "SELECT name FROM sqlite_master WHERE type = 'table' ORDER BY name"
    return [name for name in connection.exec_driver_sql(query).scalars().all() if COLUMN in columns(connection, name)]


def damaged(connection: sa.Connection, tables: Iterable[str]) -> dict[str, int]:
    """How many rows of these tables are not what mien wrote, by table; none where all are."""
    counts = {
        table: int(
            connection.exec_driver_sql(
                f"SELECT count(*) FROM {_quoted(table)} NOT INDEXED WHERE {is_damaged(connection, table)}"
            ).scalar_one()
        )
        for table in tables
    }
    return {table: number for table, number in counts.items() if number}


def is_damaged(connection: sa.Connection, table: str) -> str:
    """The condition, as SQL, that a row of the table is not what mien wrote."""
    return f"{COLUMN} IS NOT {_expression(columns(connection, table))}"


def row_as_text(connection: sa.Connection, table: str) -> str:
    """A row as SQL writes it down, in a query of this text."""
    return f"CAST({_concatenated(name for name in columns(connection, table) if name != COLUMN)} AS BLOB)"


def _expression(found: Mapping[str, str], prefix: str = "") -> str:
    """The checksum of a row of these columns, types by name, in a query of this text. Columns come in the order of
    their names, which no migration changes. Numbers with a point and blobs go in as they are, all else as SQL writes
    it: a text that is no UTF-8 any more could not be handed to a function."""
    names = sorted(name for name in found if name != COLUMN)
    as_they_are = {"FLOAT": "real", "BLOB": "blob"}
    plain = [f"{prefix}{_quoted(name)}" for name in names if found[name] not in as_they_are]
    others = [
        f"CASE typeof({prefix}{_quoted(name)}) WHEN '{as_they_are[found[name]]}' THEN {prefix}{_quoted(name)}"
        f" ELSE CAST(quote({prefix}{_quoted(name)}) AS BLOB) END"
        for name in names
        if found[name] in as_they_are
    ]
    text = "||','||".join(f"quote({name})" for name in plain) or "''"
    return f"{_FUNCTION}({', '.join([f'CAST({text} AS BLOB)', *others])})"


def _concatenated(names: Iterable[str]) -> str:
    return "||','||".join(f"quote({_quoted(name)})" for name in names)


def _checksum(*parts: bytes | float) -> int:
    return zlib.crc32(b"".join(_float(part) if isinstance(part, float) else part for part in parts))


def _quoted(name: str) -> str:
    return '"' + name.replace('"', '""') + '"'
