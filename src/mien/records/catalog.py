"""The catalog: what mien remembers of an album, so that nothing is computed twice. SQLAlchemy Core,
on SQLite or PostgreSQL.

Everything in it can be computed again from the photos: what is found damaged is forgotten, and seen again. Embeddings
are biometric data, so what is deleted is overwritten. Each method is one transaction, or several that each make sense:
kill -9 loses nothing that a method has returned from. A catalog belongs to the thread that opened it. Writers hold the
album's lock; readers need not.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Final, Self

import sqlalchemy as sa

from mien.records import checksums, opening
from mien.records.chips import Chips
from mien.records.database import Database, DatabaseKind
from mien.records.faces import Faces
from mien.records.files import Files
from mien.records.people import People
from mien.records.schema import CATALOG, CATALOG_VERSION
from mien.storage.layout import Place


def _forget(connection: sa.Connection, found: Mapping[str, int], path: str) -> None:
    """Damaged rows go, and all that hangs on them: a file is then new on its shelf, and a photo has not been seen. What
    was chosen of faces hangs on all of them."""
    for table in ("begun", "chips", "choices", "chosen", "faces", "sightings", "files", "photos"):
        if table not in found:
            continue
        condition = checksums.is_damaged(connection, table)
        if table == "photos":
            connection.exec_driver_sql(
                f"DELETE FROM files WHERE sha256 IN (SELECT sha256 FROM photos WHERE {condition})"
            )
        connection.exec_driver_sql(f"DELETE FROM {table} WHERE {condition}")
    for query in _ORPHANS:
        connection.exec_driver_sql(query)


_ORPHANS: Final = (
    "DELETE FROM files WHERE sha256 NOT IN (SELECT sha256 FROM photos)",
    "DELETE FROM sightings WHERE sha256 NOT IN (SELECT sha256 FROM photos)",
    "DELETE FROM sightings WHERE faces IS NOT (SELECT count(*) FROM faces WHERE faces.sha256 = sightings.sha256 "
    "AND faces.encoder = sightings.encoder)",
    "DELETE FROM faces WHERE NOT EXISTS (SELECT 1 FROM sightings WHERE faces.sha256 = sightings.sha256 "
    "AND faces.encoder = sightings.encoder)",
    "DELETE FROM chosen WHERE path NOT IN (SELECT path FROM files) OR face NOT IN (SELECT id FROM faces)",
    "DELETE FROM choices",
)
"""What damaged rows leave behind, in the order in which it is taken out."""

KIND: Final = DatabaseKind(
    name="catalog",
    application_id=int.from_bytes(b"mien", "big"),
    schema=CATALOG,
    version=CATALOG_VERSION,
    revisions="catalog",
    way_out="remove the file and run again: it only holds what can be computed from the photos.",
    way_out_on_server="drop the schema mien_catalog and run again: it only holds what can be computed from the photos.",
    durable=False,
    heal=_forget,
    sealed=True,
)


class Catalog:
    """An open catalog; a context manager. Names of people come from the ledger's `people`."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self.files = Files(database, people)
        self.faces = Faces(database, people)
        self.chips = Chips(database)

    @property
    def damage_found(self) -> int:
        """How many rows were found damaged, and are forgotten, when it was opened."""
        return sum(self._database.damaged.values())

    @classmethod
    def for_writing(cls, place: Place, people: People) -> Self:
        """Opens the catalog at `place`, or makes it."""
        return cls(opening.for_writing(KIND, place), people)

    @classmethod
    def for_reading(cls, place: Place, people: People) -> Self:
        """Opens the catalog at `place`, or an empty one that is kept nowhere."""
        return cls(opening.for_reading(KIND, place), people)

    def compact(self) -> None:
        """Leaves no copy of what was deleted in the write-ahead log."""
        self._database.compact()

    def close(self) -> None:
        self._database.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
