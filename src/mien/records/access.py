"""Who may ask a server, and what it was asked to do: keys, replies to requests that are repeated, jobs.

They have a database of their own beside the ledger, catalog-access.sqlite or a schema on a PostgreSQL server, which
needs no lock of the album: a request that only asks must not wait for a run of the night, and a key is revoked at once,
whatever is at work. Any number of processes, and of threads of each, use it at once.
"""

from __future__ import annotations

from contextlib import ExitStack
from threading import Lock
from types import TracebackType
from typing import Final, Self

from mien.records import jobs, opening, replies
from mien.records.database import Database, DatabaseKind
from mien.records.hits import Hits
from mien.records.jobs import Jobs
from mien.records.keys import Keys
from mien.records.replies import Replies
from mien.records.schema import ACCESS, ACCESS_VERSION
from mien.storage.layout import OnServer, Place

KIND: Final = DatabaseKind(
    name="list of keys",
    application_id=int.from_bytes(b"mkey", "big"),
    schema=ACCESS,
    version=ACCESS_VERSION,
    revisions="access",
    way_out="remove the file, and make the keys anew: `mien keys add NAME`.",
    way_out_on_server="drop the schema mien_access, and make the keys anew: `mien keys add NAME`.",
    durable=True,
    shared=True,
)


class Access:
    """The open database; a context manager. Whoever uses it may meet StorageError, AlbumError and BusyError."""

    def __init__(self, place: Place, database: Database, writes: bool) -> None:
        self._place, self._database, self._writes = place, database, writes
        self._opened = ExitStack()
        self._opened.callback(database.close)
        self._opening = Lock()
        self._again: Database | None = None
        self.keys = Keys(database, self._asking, writes)
        self.replies = Replies(database, database.here, database.lives)
        self.jobs = Jobs(database, database.here, database.lives)
        self.hits = Hits(database)
        self.is_shared = isinstance(place, OnServer)
        """Whether servers of other machines use it as well."""

    @classmethod
    def for_writing(cls, place: Place) -> Self:
        """Opens the database at `place`, or makes it if there is none; the folder of a file must exist."""
        return cls(place, opening.for_writing(KIND, place), True)

    @classmethod
    def for_reading(cls, place: Place) -> Self:
        """Opens the database at `place` as it is at this moment, or an empty one that is kept nowhere."""
        return cls(place, opening.for_reading(KIND, place), False)

    @property
    def damage_found(self) -> int:
        """How many rows were found damaged, and are gone, when it was opened."""
        return sum(self._database.damaged.values())

    def forget(self) -> None:
        """Leaves no name of a person in any reply or result, as somebody is being forgotten."""
        with self._database.transaction(write=True) as connection:
            replies.empty(connection)
            jobs.empty(connection)
        self._database.compact()

    def close(self) -> None:
        self._opened.close()

    def _asking(self) -> Database:
        """The same database, opened once more when a key is first looked up."""
        if not self._writes:
            return self._database
        with self._opening:
            if self._again is None:
                self._again = self._opened.enter_context(opening.for_writing(KIND, self._place))
            return self._again

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def forget(place: Place) -> None:
    """Leaves no name of a person in any reply or result in the database at `place`, if there is one."""
    if opening.is_there(KIND, place):
        with Access.for_writing(place) as access:
            access.forget()
