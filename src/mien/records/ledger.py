"""The ledger: what mien knows of an album that cannot be made again. SQLite through SQLAlchemy Core.

Who the people are and on what basis, who was removed, where each photo came from, what each run did, which models were
in use.
"""

from __future__ import annotations

from pathlib import Path
from types import TracebackType
from typing import Final, Self

from mien.records.database import Database, DatabaseKind
from mien.records.history import History
from mien.records.people import People
from mien.records.removals import Removals
from mien.records.runs import Runs
from mien.records.schema import LEDGER, LEDGER_STEPS

KIND: Final = DatabaseKind(
    name="ledger",
    application_id=int.from_bytes(b"mlgr", "big"),
    schema=LEDGER,
    steps=LEDGER_STEPS,
    way_out=(
        "move the file aside, with those beside it that end in -wal and -shm, and put a copy from a backup in "
        "its place. It holds what cannot be computed again: who the people are, who was removed, where each photo "
        "came from, under which licence, and what each run did. Without it mien begins a new one, and asks the sources "
        "for every photo once more."
    ),
    durable=True,
)


class Ledger:
    """An open ledger; a context manager."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self.people = People(database)
        self.history = History(database, self.people)
        self.runs = Runs(database, self.people)
        self.removals = Removals(database, self.people)

    @classmethod
    def for_writing(cls, path: Path) -> Self:
        """Opens the ledger at `path`, or makes it."""
        return cls(Database.for_writing(KIND, path))

    @classmethod
    def for_reading(cls, path: Path) -> Self:
        """Opens the ledger at `path`, or an empty one that is kept nowhere."""
        return cls(Database.for_reading(KIND, path))

    def forget(self, name: str) -> None:
        """See `People.forget`."""
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
