"""The catalog: what mien remembers of an album, so that nothing is computed twice. SQLite through SQLAlchemy Core.

Everything in it can be computed again from the photos, so a damaged catalog is removed, never mended. Embeddings are
biometric data, so what is deleted is overwritten. Each method is one transaction, or several that each make sense: kill
-9 loses nothing that a method has returned from. A catalog belongs to the thread that opened it. Writers hold the
album's lock; readers need not.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mien.records.chips import Chips
from mien.records.database import Database, DatabaseKind
from mien.records.faces import Faces
from mien.records.files import Files
from mien.records.people import People
from mien.records.schema import CATALOG, CATALOG_STEPS

KIND: Final = DatabaseKind(
    name="catalog",
    application_id=int.from_bytes(b"mien", "big"),
    schema=CATALOG,
    steps=CATALOG_STEPS,
    way_out="remove the file and run again: it only holds what can be computed from the photos.",
    durable=False,
)


class Catalog:
    """An open catalog; a context manager. Names of people come from the ledger's `people`."""

    def __init__(self, database: Database, people: People) -> None:
        self._database = database
        self.files = Files(database, people)
        self.faces = Faces(database, people)
        self.chips = Chips(database)

    @classmethod
    def for_writing(cls, path: Path, people: People) -> Self:
        """Opens the catalog at `path`, or makes it."""
        return cls(Database.for_writing(KIND, path), people)

    @classmethod
    def for_reading(cls, path: Path, people: People) -> Self:
        """Opens the catalog at `path`, or an empty one that is kept nowhere."""
        return cls(Database.for_reading(KIND, path), people)

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
