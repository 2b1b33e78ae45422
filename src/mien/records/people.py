"""Who the people of an album are: the one table in which their names have a column of their own.

Every other room of records holds ids; names go in and come out here, and wherever else a method takes or gives one.
"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date, datetime

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mien.records.database import Database, execute_many
from mien.records.schema import damaged, failures, findings, people, removals
from mien.records.times import text_of
from mien.text.names import nfc


@dataclass(frozen=True, slots=True)
class Person:
    """Somebody in the album: `basis` is why they may be recognised, `since` the moment at which they first came in, and
    `until` the last day on which they may be recognised, as it was known at that moment."""

    id: str
    name: str
    basis: str
    until: date | None
    since: datetime


class People:
    """The people of an open ledger, as they were when it was opened or last written to. A name may be given in any
    form; it is kept, and comes out, in the one in which names are compared. Several rows of an older ledger may be one
    person in that form, whose id is then the first row's."""

    def __init__(self, ledger: Database) -> None:
        self._ledger = ledger
        self._names: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self._read()

    def _read(self) -> None:
        with self._ledger.transaction() as connection:
            rows = connection.execute(sa.select(people.c.id, people.c.name).order_by(people.c.since)).all()
        self._names = {row.id: nfc(row.name) for row in rows}
        self._ids = {self._names[row.id]: row.id for row in reversed(rows)}

    def id_of(self, name: str) -> str:
        """The id of the person of this name; "" if there is none."""
        return self._ids.get(nfc(name), "")

    def name_of(self, person: str) -> str:
        """The name of the person with this id; "" if they were forgotten."""
        return self._names.get(person, "")

    def person(self, name: str) -> Person | None:
        """What is known of the person of this name."""
        with self._ledger.transaction() as connection:
            row = connection.execute(sa.select(people).where(people.c.id == self.id_of(name))).one_or_none()
        if row is None:
            return None
        until = date.fromisoformat(row.until) if row.until else None
        return Person(row.id, self._names[row.id], row.basis, until, datetime.fromisoformat(row.since))

    def enter(
        self, names: Iterable[str], basis: str, now: datetime, until: Mapping[str, date] | None = None
    ) -> dict[str, str]:
        """Ids by name; who is new gets one, with this `basis`. `until` says by name the last day on which somebody may
        be recognised."""
        wanted = {name: nfc(name) for name in names}
        days = {nfc(name): day.isoformat() for name, day in (until or {}).items()}
        rows: list[dict[str, object]] = [
            {
                "id": secrets.token_hex(8),
                "name": name,
                "basis": basis,
                "until": days.get(name),
                "since": text_of(now),
            }
            for name in dict.fromkeys(wanted.values())
            if name not in self._ids
        ]
        if rows:
            with self._ledger.transaction(write=True) as connection:
                execute_many(connection, insert(people).on_conflict_do_nothing(), rows)
            self._read()
        return {given: self._ids[name] for given, name in wanted.items()}

    def forget(self, name: str) -> None:
        """Deletes the name of a person, in all its spellings, and all that the ledger knows of them: how their photos
        came, what was found. That they were removed is kept, without the name. No harm if there is nobody of this
        name."""
        spelt = [(one, called) for one, called in self._names.items() if nfc(called) == nfc(name)]
        for person, called in spelt:
            theirs = removals.c.person == person
            forms = {unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in (name, called)}
            naming = sa.or_(*(failures.c.location.contains(one, autoescape=True) for one in sorted(forms)))
            with self._ledger.transaction(write=True) as connection:
                connection.execute(sa.delete(findings).where(findings.c.people.contains(f'"{person}"')))
                connection.execute(sa.delete(failures).where(failures.c.person.is_(None), naming))
                connection.execute(sa.delete(removals).where(theirs, removals.c.photo != ""))
                connection.execute(sa.update(removals).where(theirs).values(pending=None))
                connection.execute(sa.delete(people).where(people.c.id == person))
                connection.execute(sa.delete(damaged))  # nobody knows of whom they were
        self._read()
        self._ledger.compact()  # also where a kill came between the two
