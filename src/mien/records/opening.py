"""A database opened where it is: a SQLite file, or a schema on a PostgreSQL server."""

from __future__ import annotations

from pathlib import Path

from mien.records.database import Database, DatabaseKind
from mien.storage.files import is_there as is_file_there
from mien.storage.layout import Place


def for_writing(kind: DatabaseKind, place: Place) -> Database:
    """Opens the database at a place, or makes it if there is none; the folder of a file must exist. Its tables are
    brought to this version's."""
    if isinstance(place, Path):
        from mien.records.sqlite import SqliteFile

        return SqliteFile.for_writing(kind, place)
    from mien.records.postgres import ServerSchema

    return ServerSchema.for_writing(kind, place)


def for_reading(kind: DatabaseKind, place: Place) -> Database:
    """Opens the database at a place as it is; where there is none, an empty one that is kept nowhere."""
    from mien.records.sqlite import SqliteFile

    if isinstance(place, Path):
        return SqliteFile.for_reading(kind, place)
    from mien.records.postgres import ServerSchema

    return ServerSchema.for_reading(kind, place) or SqliteFile.in_memory(kind)


def is_there(kind: DatabaseKind, place: Place) -> bool:
    """Whether there is a database of this kind at a place. Raises StorageError if nobody can tell."""
    if isinstance(place, Path):
        return is_file_there(place)
    from mien.records.postgres import ServerSchema

    found = ServerSchema.for_reading(kind, place)
    if found is not None:
        found.close()
    return found is not None
