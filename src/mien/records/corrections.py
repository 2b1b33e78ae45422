"""What `move`, `rename`, `join` and `confirm` did: under whom photos were filed before, and how each is undone.

A correction is remembered before anything is done, with every step of it, so that one that was killed is finished by
the next command. Rows hold ids of people, and paths, in which the names of folders are theirs: who is forgotten is gone
from here by the deletion of rows. The paths are kept for `UNDO_DAYS`; that a photo was filed under somebody else is
kept as long as both are in the album. What a human has confirmed is a correction whose steps go nowhere.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa

from mien.records.database import Database, execute_many
from mien.records.people import People
from mien.records.schema import corrections, fetches, moves, people
from mien.records.times import text_of

UNDO_DAYS: Final = 90
"""Days for which a correction can be undone."""

Verb = Literal["move", "rename", "join", "confirm"]

State = Literal["begun", "filed", "done", "undoing", "refiled"]
"""How far a correction has come: files are to be moved; names and files are as they are to be, and the model in use is
to follow; done. And back again: files are to be moved back; the model is to follow."""


@dataclass(frozen=True, slots=True)
class Step:
    """A file, or a person's whole folder, that goes from one path of the album to another, and from one id of a person
    to another. `sha256` is "" for a folder, and for what is no photo."""

    was: str
    now: str
    person: str
    target: str
    sha256: str = ""


@dataclass(frozen=True, slots=True)
class Correction:
    """What was corrected `at` some time. `target` is the id of the person whose photos or whose name they are now;
    `person` the one that holds the other name, "" for a move. Where photos were confirmed, each step says whose its
    photo is, and `person` is ""; where two people were, these are `person` and `target`. `before` and `after` are the
    versions that were in use, None for none. `steps` are none once it is too late to undo it."""

    id: int
    verb: Verb
    at: datetime
    person: str
    target: str
    state: State
    before: str | None
    after: str | None
    steps: tuple[Step, ...]


@dataclass(frozen=True, slots=True)
class Confirmed:
    """What a human has said is right: `photos` (name, SHA-256) show the person under whom they lie, and each two names
    of `pairs` are two people."""

    photos: frozenset[tuple[str, str]]
    pairs: frozenset[frozenset[str]]


class Corrections:
    """The corrections in an open ledger."""

    def __init__(self, ledger: Database, people: People) -> None:
        self._ledger, self._people = ledger, people

    def begin(
        self,
        verb: Verb,
        now: datetime,
        person: str,
        target: str,
        steps: Sequence[Step],
        before: str | None,
        state: State = "begun",
    ) -> Correction:
        """Remembers what is about to be corrected; the people (ids) have been entered in `People`. Paths of corrections
        that are older than `UNDO_DAYS` are forgotten."""
        row = {"verb": verb, "at": text_of(now), "person": person or None, "target": target}
        old = sa.select(corrections.c.id).where(corrections.c.at < text_of(now - timedelta(days=UNDO_DAYS)))
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.update(moves).where(moves.c.correction.in_(old)).values(was="", now=""))
            connection.execute(sa.delete(moves).where(moves.c.was == "", moves.c.sha256 == ""))
            done = connection.execute(sa.insert(corrections).values(**row, state=state, before=before))
            number = int(done.inserted_primary_key[0])  # type: ignore[index]  # of a table with a key of one column
            rows: list[dict[str, object]] = [
                {
                    "correction": number,
                    "person": step.person,
                    "target": step.target,
                    "sha256": step.sha256,
                    "was": step.was,
                    "now": step.now,
                }
                for step in steps
            ]
            execute_many(connection, sa.insert(moves), rows)
        return self._of(number)

    def last(self) -> Correction | None:
        """The last correction that can be undone, however far it has come."""
        query = sa.select(sa.func.max(moves.c.correction)).where(moves.c.was != "")
        with self._ledger.transaction() as connection:
            number = connection.scalar(query)
        return None if number is None else self._of(number)

    def pending(self) -> Correction | None:
        """The one that was begun, or is being undone, and is not done; there is one at most."""
        query = sa.select(corrections.c.id).where(corrections.c.state != "done")
        with self._ledger.transaction() as connection:
            number = connection.scalar(query)
        return None if number is None else self._of(number)

    def file(self, correction: Correction) -> Correction:
        """Remembers, once its files lie where they are to lie, whose names are whose from now on. No harm if that was
        done."""
        if correction.state == "begun":
            self._enter(correction, "filed", correction.target)
        return self._of(correction.id)

    def file_back(self, correction: Correction) -> Correction:
        """The same once its files lie where they lay before."""
        if correction.state == "undoing":
            self._enter(correction, "refiled", None)
        return self._of(correction.id)

    def _enter(self, correction: Correction, state: State, same_as: str | None) -> None:
        """Changes the names, and the state, in one transaction: it happens once."""
        person, target = correction.person, correction.target
        with self._ledger.transaction(write=True) as connection:
            if correction.verb == "join":
                connection.execute(sa.update(people).where(people.c.id == person).values(same_as=same_as))
            if correction.verb == "rename":
                rows = connection.execute(
                    sa.select(people.c.id, people.c.name).where(people.c.id.in_((person, target)))
                )
                names = {row.id: row.name for row in rows}
                other = {"same_as": target}  # again, where files that lay there already made it somebody's own name
                for one, values in (
                    (person, {"name": f"/{person}"}),
                    (target, {"name": names[person]}),
                    (person, {"name": names[target], **other}),
                ):
                    connection.execute(sa.update(people).where(people.c.id == one).values(values))
            connection.execute(sa.update(corrections).where(corrections.c.id == correction.id).values(state=state))
        self._people.read()

    def undo(self, correction: Correction) -> Correction:
        """Remembers that a correction is about to be undone."""
        self._set(correction, state="undoing")
        return self._of(correction.id)

    def finish(self, correction: Correction, after: str | None) -> None:
        """Remembers that a correction is done, and that the version `after` is in use then."""
        self._set(correction, state="done", after=after)

    def forget(self, correction: Correction) -> None:
        """Deletes a correction that was undone, and the other name of a person who was renamed, if nothing else was
        known by it."""
        other = correction.person if correction.verb == "rename" else ""
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.delete(corrections).where(corrections.c.id == correction.id))
            if before := self._named_by(connection, other):  # the name is back with whoever an earlier one gave it to
                connection.execute(sa.update(people).where(people.c.id == other).values(same_as=before))
            used = sa.exists().where(corrections.c.person == other), sa.exists().where(fetches.c.person == other)
            unused = sa.delete(people).where(people.c.id == other, people.c.same_as.is_not(None), ~sa.or_(*used))
            connection.execute(unused)
        self._people.read()

    def _named_by(self, connection: sa.Connection, other: str) -> str | None:
        """Whose the last correction that is left made the name of this id; None if no correction did."""
        query = sa.select(corrections.c.target).where(corrections.c.person == other, corrections.c.verb != "confirm")
        named: str | None = connection.scalar(query.order_by(corrections.c.id.desc()).limit(1)) if other else None
        return named

    def _set(self, correction: Correction, **values: object) -> None:
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.update(corrections).where(corrections.c.id == correction.id).values(values))

    def of_photo(self, sha256: str) -> tuple[tuple[datetime, str, str], ...]:
        """When a photo was filed under somebody else, from whom, to whom: the first time first."""
        query = (
            sa.select(corrections.c.at, moves.c.person, moves.c.target)
            .join(moves, moves.c.correction == corrections.c.id)
            .where(moves.c.sha256 == sha256, corrections.c.verb != "confirm")
            .order_by(moves.c.id)
        )
        with self._ledger.transaction() as connection:
            rows = connection.execute(query).all()
        name = self._people.name_of
        return tuple((datetime.fromisoformat(row.at), name(row.person), name(row.target)) for row in rows)

    def filed_now(self, sha256s: Collection[str] | None = None) -> dict[tuple[str, str], str]:
        """For (name, SHA-256) of photos that were filed under somebody else since under whom they are: all photos, or
        these. One that came back to a person is not in it."""
        query = sa.select(moves.c.person, moves.c.target, moves.c.sha256).where(moves.c.sha256 != "")
        with self._ledger.transaction() as connection:
            rows = connection.execute(query.order_by(moves.c.id)).all()
        name = self._people.name_of
        of_photo: dict[str, dict[str, str]] = {}
        for row in rows:
            was, now = name(row.person), name(row.target)
            if was != now and (sha256s is None or row.sha256 in sha256s):
                known = of_photo.setdefault(row.sha256, {})
                known.update({one: now for one, other in known.items() if other == was})
                known[was] = now
                known.pop(now, None)
        return {(one, sha256): now for sha256, known in of_photo.items() for one, now in known.items()}

    def confirmed(self) -> Confirmed:
        """What a human has said is right. A photo that was moved to somebody else since is not in it."""
        of_photos = sa.select(corrections.c.verb, moves.c.person, moves.c.target, moves.c.sha256).join_from(
            moves, corrections, moves.c.correction == corrections.c.id
        )
        of_pairs = sa.select(corrections.c.person, corrections.c.target).where(
            corrections.c.verb == "confirm", corrections.c.person.is_not(None)
        )
        with self._ledger.transaction() as connection:
            rows = connection.execute(of_photos.where(moves.c.sha256 != "").order_by(moves.c.id)).all()
            pairs = connection.execute(of_pairs).all()
        name, photos = self._people.name_of, set[tuple[str, str]]()
        for row in rows:
            if row.verb == "confirm":
                photos.add((name(row.target), row.sha256))
            elif name(row.person) != name(row.target):
                photos.discard((name(row.person), row.sha256))
        return Confirmed(frozenset(photos), frozenset(frozenset((name(one), name(other))) for one, other in pairs))

    def doubt(self, person: str, sha256s: Collection[str]) -> None:
        """Forgets that these photos of the person of this name were confirmed."""
        query = sa.select(moves.c.id, moves.c.target, moves.c.sha256).join(corrections)
        with self._ledger.transaction(write=True) as connection:
            rows = connection.execute(query.where(corrections.c.verb == "confirm", moves.c.sha256 != "")).all()
            theirs = [row.id for row in rows if row.sha256 in sha256s and self._people.name_of(row.target) == person]
            execute_many(connection, _forget, [{"of": number} for number in theirs])

    def _of(self, number: int) -> Correction:
        of_it = sa.select(moves).where(moves.c.correction == number, moves.c.was != "").order_by(moves.c.id)
        with self._ledger.transaction() as connection:
            row = connection.execute(sa.select(corrections).where(corrections.c.id == number)).one()
            steps = connection.execute(of_it).all()
        return Correction(
            row.id,
            row.verb,
            datetime.fromisoformat(row.at),
            row.person or "",
            row.target,
            row.state,
            row.before,
            row.after,
            tuple(Step(one.was, one.now, one.person, one.target, one.sha256) for one in steps),
        )


_forget = sa.delete(moves).where(moves.c.id == sa.bindparam("of"))
