"""Who may ask a server, and what it was asked to do: keys, replies to requests that are repeated, jobs.

They have a file of their own beside the ledger, catalog-access.sqlite, which needs no lock of the album: a request that
only asks must not wait for a run of the night, and a key is revoked at once, whatever is at work. Any number of
processes, and of threads of each, use the file at once.
"""

from __future__ import annotations

import secrets
from contextlib import ExitStack
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import Final, Self

from mien.records import jobs, replies
from mien.records.database import Database, DatabaseKind
from mien.records.hits import Hits
from mien.records.jobs import Jobs
from mien.records.keys import Keys
from mien.records.replies import Replies
from mien.records.schema import ACCESS, ACCESS_STEPS
from mien.storage.files import is_there
from mien.storage.lock import hold, is_held

KIND: Final = DatabaseKind(
    name="list of keys",
    application_id=int.from_bytes(b"mkey", "big"),
    schema=ACCESS,
    steps=ACCESS_STEPS,
    way_out="remove the file, and make the keys anew: `mien keys add NAME`.",
    durable=True,
    shared=True,
)


class Access:
    """The open file; a context manager. Whoever uses it may meet StorageError, AlbumError and BusyError."""

    def __init__(self, path: Path, database: Database, writes: bool) -> None:
        self._path, self._database, self._writes = path, database, writes
        self._opened = ExitStack()
        self._opened.callback(database.close)
        self._first, self._opening = Lock(), Lock()
        self._again: Database | None = None
        self._id = ""
        self.keys = Keys(database, self._asking, writes)
        self.replies = Replies(database, self._here, self._lives)
        self.jobs = Jobs(database, self._here, self._lives)
        self.hits = Hits(database)
        self.is_shared = False
        """Whether servers of other machines use it as well."""

    @classmethod
    def for_writing(cls, path: Path) -> Self:
        """Opens the file at `path`, or makes it if there is none; the folder must exist."""
        return cls(path, Database.for_writing(KIND, path), True)

    @classmethod
    def for_reading(cls, path: Path) -> Self:
        """Opens the file at `path` as it is at this moment, or an empty one that is kept nowhere."""
        return cls(path, Database.for_reading(KIND, path), False)

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
        """The same file, opened once more when a key is first looked up."""
        if not self._writes:
            return self._database
        with self._opening:
            if self._again is None:
                self._again = self._opened.enter_context(Database.for_writing(KIND, self._path))
            return self._again

    def _here(self) -> str:
        """The id of this process, by which others see that it lives: a file that it holds from the first call on. What
        killed processes held goes then; one process does this at a time, or it might take for dead who is just born."""
        with self._first:
            if not self._id:
                chosen = secrets.token_hex(8)
                with self._database.transaction(write=True):
                    for left in self._path.parent.glob(self._held("*").name):
                        is_held(left)
                    self._opened.callback(hold(self._held(chosen)))
                self._id = chosen
            return self._id

    def _lives(self, process: str) -> bool:
        """Whether the process of this id does; what it held goes where it does not."""
        return bool(process) and (process == self._id or is_held(self._held(process)))

    def _held(self, process: str) -> Path:
        return self._path.with_name(f"{self._path.stem}-{process}.held")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def forget(path: Path) -> None:
    """Leaves no name of a person in any reply or result in the file at `path`, if there is one."""
    if is_there(path):
        with Access.for_writing(path) as access:
            access.forget()
