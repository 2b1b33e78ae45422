"""Who the people of an album are: the one table in which their names have a column of their own.

Every other room of records holds ids; names go in and come out here, and wherever else a method takes or gives one. A
person who was renamed, or joined with another, has the other name too: it is a row that is `same_as` theirs, and
whatever holds its id is of the person who is called otherwise now.
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
from mien.text.fetching import FetchFault
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
        self._same_as: dict[str, str] = {}
        self._ids: dict[str, str] = {}
        self.read()

    def read(self) -> None:
        """Reads them again, as somebody else has written."""
        with self._ledger.transaction() as connection:
            rows = connection.execute(sa.select(people).order_by(people.c.since, people.c.id)).all()
        self._names = {row.id: nfc(row.name) for row in rows}
        self._same_as = {row.id: row.same_as for row in rows if row.same_as}
        self._ids = {self._names[row.id]: row.id for row in reversed(rows)}

    def _now(self, person: str) -> str:
        """The id of the person whose this id is now."""
        while person in self._same_as:
            person = self._same_as[person]
        return person

    def id_of(self, name: str) -> str:
        """The id of the person of this name, or who was called so; "" if there is none."""
        return self._now(self._ids.get(nfc(name), ""))

    def name_of(self, person: str) -> str:
        """The name of the person with this id; "" if they were forgotten."""
        return self._names.get(self._now(person), "")

    def called_now(self, name: str) -> str:
        """What a person is called who was once called `name`; `name` itself for whoever is called so, and for nobody
        that is known."""
        return self.name_of(self._ids.get(nfc(name), "")) or nfc(name)

    def spellings(self, name: str) -> tuple[str, ...]:
        """All names of the person who is called so, this one first."""
        first, person = nfc(name), self.id_of(name)
        others = (one for one, its in self._ids.items() if person and self._now(its) == person)
        return (first, *sorted(one for one in others if one != first))

    def name_in(self, person: str) -> str:
        """The name in the row of this id itself, which may be another name of somebody."""
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
        """Ids by name; who is new gets one, with this `basis`, and so does whoever has a name again that was another
        name of somebody. `until` says by name the last day on which somebody may be recognised."""
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
            self.read()
        apart = [self._ids[name] for name in wanted.values() if self._ids[name] in self._same_as]
        if apart:
            with self._ledger.transaction(write=True) as connection:
                connection.execute(sa.update(people).where(people.c.id.in_(apart)).values(same_as=None))
            self.read()
        return {given: self._ids[name] for given, name in wanted.items()}

    def name_too(self, name: str, person: str, now: datetime) -> str:
        """The id of `name` as another name of the person with the id `person`: a new one, or that of whoever was called
        so before."""
        found = self._ids.get(nfc(name), "")
        row = {"id": found or secrets.token_hex(8), "name": nfc(name), "basis": "", "since": text_of(now)}
        written = insert(people).values(**row, same_as=person)
        with self._ledger.transaction(write=True) as connection:
            connection.execute(written.on_conflict_do_update(index_elements=["id"], set_={"same_as": person}))
        self.read()
        return str(row["id"])

    def forget(self, name: str) -> None:
        """Deletes the name of a person, in all its spellings, other names that the person had, and all that the ledger
        knows of them: how their photos came, what was found. That they were removed is kept, without the name. No harm
        if there is nobody of this name."""
        spelt = [(one, called) for one, called in self._names.items() if self.name_of(one) == nfc(name)]
        for person, called in spelt:
            theirs = removals.c.person == person
            forms = {unicodedata.normalize(form, one) for form in ("NFC", "NFD") for one in (name, called)}
            naming = sa.or_(*(failures.c.location.icontains(one, autoescape=True) for one in sorted(forms)))
            with self._ledger.transaction(write=True) as connection:
                connection.execute(sa.delete(findings).where(findings.c.people.contains(f'"{person}"')))
                pages = failures.c.kind == FetchFault.LATER.value  # in whose addresses names may be spelt in any way
                connection.execute(sa.delete(failures).where(failures.c.person.is_(None), sa.or_(naming, pages)))
                connection.execute(sa.delete(removals).where(theirs, removals.c.photo != ""))
                connection.execute(sa.update(removals).where(theirs).values(pending=None))
                connection.execute(sa.delete(people).where(people.c.id == person))
                connection.execute(sa.delete(damaged))  # nobody knows of whom they were
        self.read()
        self._ledger.compact()  # also where a kill came between the two
