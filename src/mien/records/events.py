"""Who changed what in the album, and when: an event for each command that writes, by whoever asked for it.

An event is written before the change begins, and ended when the change has. One that was never ended was interrupted:
the next command that writes says so of it. A person stands in an event as an id, which goes when they are forgotten;
that something was done stays.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa

from mien.records.database import Database
from mien.records.people import People
from mien.records.schema import events
from mien.records.times import text_of, time_of
from mien.types import By

MOST_EVENTS: Final = 50_000
"""That are remembered, the newest: of a hundred changes a day, over a year."""

Outcome = Literal["done", "failed", "interrupted"]


@dataclass(frozen=True, slots=True)
class Event:
    """A change: `by` whom, which `verb`, of whom ("" for nobody, and for somebody who was forgotten). `outcome` is None
    while the change is being made, and after a kill until the next one. `version` was put into use by it, None for
    none."""

    id: int
    at: datetime
    ended: datetime | None
    by: By
    verb: str
    person: str
    outcome: Outcome | None
    version: str | None

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        return {
            "at": text_of(self.at),
            "ended": text_of(self.ended) if self.ended else None,
            "key": self.by.key,
            "request": self.by.request,
            "verb": self.verb,
            "person": self.person,
            "outcome": self.outcome,
            "version": self.version,
        }


class Events:
    """The events in an open ledger. Whoever writes holds the album's lock, so that one change is made at a time."""

    def __init__(self, ledger: Database, people: People) -> None:
        self._ledger, self._people = ledger, people

    def begin(self, by: By, verb: str, person: str, now: datetime) -> int:
        """Remembers that a change begins, and that those before it which were not ended were interrupted; its id. The
        `person` may be nobody yet. Events older than the last `MOST_EVENTS` are forgotten."""
        row = {"at": text_of(now), "actor": by.key, "request": by.request, "verb": verb}
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.update(events).where(events.c.outcome.is_(None)).values(outcome="interrupted"))
            done = connection.execute(sa.insert(events).values(**row, person=self._id(person)))
            number = int(done.inserted_primary_key[0])  # type: ignore[index]  # of a table with a key of one column
            connection.execute(sa.delete(events).where(events.c.id <= number - MOST_EVENTS))
        return number

    def end(self, event: int, person: str, now: datetime, outcome: Outcome, version: str | None) -> None:
        """Remembers what came of a change, and of whom it was, who may be new; `version` is the one that it put into
        use."""
        values = {"ended": text_of(now), "outcome": outcome, "version": version}
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.update(events).where(events.c.id == event).values(**values, person=self._id(person)))

    def last(self, limit: int = 100, before: int | None = None) -> tuple[Event, ...]:
        """The last events, the newest first; with `before`, those before the event of that id."""
        query = sa.select(events).order_by(events.c.id.desc()).limit(limit)
        if before is not None:
            query = query.where(events.c.id < before)
        with self._ledger.transaction() as connection:
            return tuple(map(self._event, connection.execute(query).all()))

    def _id(self, person: str) -> str | None:
        return (self._people.id_of(person) if person else "") or None

    def _event(self, row: sa.Row[*tuple[object, ...]]) -> Event:
        return Event(
            row.id,
            datetime.fromisoformat(row.at),
            time_of(row.ended),
            By(row.actor, row.request),
            row.verb,
            self._people.name_of(row.person or ""),
            row.outcome,
            row.version,
        )
