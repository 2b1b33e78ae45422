"""What cannot be made again: where each photo came from, how sources fared, which model was in use when.

A *fetch* is known by its source, its location there, the hash of its bytes and the person: what once lay at a location
keeps its row when something else lies there, which is then the `current` one. What `mien add` takes in is a fetch from
the source `HAND`. A row of a photo that was placed is written after the photo, so a kill between the two costs another
fetch and never a photo. Times come from the caller. What is committed survives a power cut.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import Any, Final, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mien.records.corrections import Corrections
from mien.records.database import Database, execute_many
from mien.records.people import People
from mien.records.schema import failures, fetches, promotions, source_runs
from mien.records.times import text_of, time_of
from mien.text.fetching import FetchFault, SourceFault
from mien.text.photos import PhotoFault
from mien.text.retries import ON_THE_WAY

HAND: Final = "hand"
"""The source of photos that somebody put in by `mien add`. No source in mien.toml may be called so."""

MOST_RUNS = 1000
"""Runs of a source that are remembered."""

Outcome = Literal["placed", "duplicate", "refused", "removed", "expired"]
"""Of a fetch: put into the album; left out because the album has these bytes of that person; no picture; taken out of
that person's photos before; or not to be used any more, since the last day of its source is over."""


@dataclass(frozen=True, slots=True)
class Fetch:
    """A photo that was fetched from a source: its provenance.

    `person` is the name in the album; `sha256` and `bytes` (their number) are of what came; `phash` is "" for what is
    no picture. `stamp`, `licence` and `robots` are as in Offer and Receipt, `basis` that of the source. `checked_at` is
    when the source last said that this is still it. `path` is where it lay, relative to the album: where it was placed,
    or its double if it is a duplicate, "" if it did not come in; it was refused for the `fault` (a kind of
    `mien.text.photos`).
    """

    source: str
    location: str
    person: str
    sha256: str
    phash: str
    bytes: int
    stamp: str
    licence: str
    basis: str
    robots: str
    fetched_at: datetime
    checked_at: datetime
    outcome: Outcome
    path: str = ""
    fault: str = ""

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        times = {"fetched_at": text_of(self.fetched_at), "checked_at": text_of(self.checked_at)}
        return {one.name: getattr(self, one.name) for one in fields(self)} | times


class Known(NamedTuple):
    """What tells whether a photo has to be fetched again: see Fetch; `checked_on` is the day, in UTC. `refused_on` is
    the day since when no picture came of it, for a reason that may pass (`mien.text.retries`); None for all others."""

    person: str
    stamp: str
    checked_on: date
    refused_on: date | None = None


@dataclass(frozen=True, slots=True)
class FailedFetch:
    """A photo that could not be had when it was last tried, after `times` trials. `person` is "" where the source's
    name of them cannot be one."""

    source: str
    location: str
    person: str
    kind: FetchFault
    at: datetime
    times: int = 1


@dataclass(frozen=True, slots=True)
class SourceRun:
    """How a source fared once: photos that are new in the album (`brought`), that it had already (`duplicates`), that
    needed no fetching (`known`), that are no pictures (`refused`), that could not be had (`failed`); and the `fault` if
    it could not be read to its end."""

    source: str
    started: datetime
    ended: datetime
    brought: int
    duplicates: int
    known: int
    refused: int
    failed: int
    fault: SourceFault | None


@dataclass(frozen=True, slots=True)
class Promotion:
    """What became of a model at some time. It came into use, in place of the version `before`, and `how` is the
    caller's word ("daily", "rollback"); or it was kept out of use, and `how` is "kept" and `before` the version that
    stayed."""

    version: str
    at: datetime
    how: str
    before: str | None


def may_have_passed(outcome: str, fault: str) -> bool:
    """Whether no picture came in a fetch, for a reason that may pass: the server's, the network's."""
    return outcome == "refused" and (not fault or PhotoFault.of(fault).group in ON_THE_WAY)


_HAD: Final = ("placed", "duplicate")
"""Outcomes by which the album has a photo."""


class History:
    """The history in an open ledger."""

    def __init__(self, ledger: Database, people: People) -> None:
        self._ledger, self._people = ledger, people
        self._corrections = Corrections(ledger, people)

    # What was fetched

    def record(self, fetched: Iterable[Fetch] = (), failed: Iterable[FailedFetch] = ()) -> None:
        """Remembers, in one transaction, what lies at these locations now; they are no failures any more. A failure
        counts the times on. Raises KeyError for somebody who was not entered in `People`."""
        rows = [self._row_of(one) for one in fetched]
        places = [{"of": row["source"], "at": row["location"]} for row in rows]
        faults = [self._row_of(one) for one in failed]
        with self._ledger.transaction(write=True) as connection:
            execute_many(connection, _outdate, places)
            execute_many(connection, _keep, [row | {"current": True} for row in rows])
            execute_many(connection, _mended, places)
            execute_many(connection, _fail, faults)

    def fetch(self, source: str, location: str) -> Fetch | None:
        """What lay at a location of a source when it was last fetched."""
        with self._ledger.transaction() as connection:
            row = connection.execute(_current, {"of": source, "at": location}).one_or_none()
        return None if row is None else self._fetch(row)

    def known(self, source: str) -> dict[str, Known]:
        """What lay at each location of a source when it was last fetched, in short; what has expired is not known."""
        query = sa.select(fetches).where(fetches.c.source == source, fetches.c.current, fetches.c.outcome != "expired")
        with self._ledger.transaction() as connection:
            return {
                row.location: Known(
                    self._people.name_of(row.person),
                    row.stamp,
                    date.fromisoformat(row.checked_at[:10]),
                    date.fromisoformat(row.fetched_at[:10]) if may_have_passed(row.outcome, row.fault) else None,
                )
                for row in connection.execute(query)
            }

    def photos(self) -> dict[tuple[str, str], str]:
        """For (person, SHA-256) of every photo that a source ever brought where in the album it was put, or found; and
        for whom it was filed under since."""
        columns = (fetches.c.person, fetches.c.sha256, sa.func.min(fetches.c.path))
        query = sa.select(*columns).where(fetches.c.outcome.in_(_HAD), fetches.c.source != HAND)
        with self._ledger.transaction() as connection:
            rows = connection.execute(query.group_by(*columns[:2])).all()
        found = {(self._people.name_of(person), sha256): path for person, sha256, path in rows}
        moved = {(now, key[1]): found[key] for key, now in self._corrections.filed_now().items() if key in found}
        return moved | found

    def placed_on(self, shelf: str) -> frozenset[tuple[str, int]]:
        """(path, bytes) of every photo that a source ever placed on a shelf."""
        below = (fetches.c.path > f"{shelf}/", fetches.c.path < f"{shelf}0")  # "0" is next to "/"
        query = sa.select(fetches.c.path, fetches.c.bytes).where(*below, fetches.c.outcome == "placed")
        with self._ledger.transaction() as connection:
            return frozenset((path, size) for path, size in connection.execute(query))

    def placed_by(self, source: str) -> frozenset[str]:
        """Where each photo was put that a source placed."""
        query = sa.select(fetches.c.path).where(fetches.c.source == source, fetches.c.outcome == "placed")
        with self._ledger.transaction() as connection:
            return frozenset(connection.scalars(query))

    def provenance(self, sha256: str) -> tuple[Fetch, ...]:
        """Every way by which these bytes came, by source and location."""
        query = sa.select(fetches).where(fetches.c.sha256 == sha256)
        query = query.order_by(fetches.c.source, fetches.c.location, fetches.c.fetched_at)
        with self._ledger.transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(map(self._fetch, rows))

    def refused(self, source: str) -> tuple[Fetch, ...]:
        """What lies at the locations of a source and is no photo, by location."""
        query = sa.select(fetches).where(fetches.c.source == source, fetches.c.current, fetches.c.outcome == "refused")
        with self._ledger.transaction() as connection:
            rows = connection.execute(query.order_by(fetches.c.location)).all()
        return tuple(map(self._fetch, rows))

    def count(self, source: str) -> int:
        """How many different photos a source ever brought."""
        query = sa.select(sa.func.count(fetches.c.sha256.distinct()))
        query = query.where(fetches.c.source == source, fetches.c.outcome.not_in(("refused", "removed")))
        with self._ledger.transaction() as connection:
            return connection.scalar(query) or 0

    def only_from(self, sources: Collection[str]) -> list[tuple[str, str]]:
        """(person, SHA-256) of the photos that these sources placed, under whomever they were filed since, and that
        came by no other way that still counts: what has expired does not."""
        theirs = sa.select(fetches.c.sha256).where(fetches.c.source.in_(sources), fetches.c.outcome == "placed")
        columns = (fetches.c.person, fetches.c.sha256, fetches.c.source, fetches.c.outcome)
        query = sa.select(*columns).where(fetches.c.sha256.in_(theirs), fetches.c.outcome.in_(_HAD)).distinct()
        with self._ledger.transaction() as connection:
            rows = connection.execute(query).all()
        moved = self._corrections.filed_now({row.sha256 for row in rows})
        placed, elsewhere = set(), set()
        for person, sha256, source, outcome in rows:
            name = self._people.name_of(person)
            photo = (moved.get((name, sha256), name), sha256)
            if source not in sources:
                elsewhere.add(photo)
            elif outcome == "placed":
                placed.add(photo)
        return sorted(placed - elsewhere)

    def expire(self, sources: Collection[str]) -> None:
        """Remembers that these sources may not be used any more, and that what came `only_from` them was taken out, so
        that this is done once: whoever puts such a photo in after that does so by a decision of their own. A photo that
        another source brought too counts as placed by that one from now on."""
        first = fetches.alias()
        placed_by_them = sa.exists().where(
            first.c.person == fetches.c.person,
            first.c.sha256 == fetches.c.sha256,
            first.c.source.in_(sources),
            first.c.outcome == "placed",
        )
        heirs = sa.update(fetches).where(fetches.c.outcome == "duplicate", fetches.c.source.not_in(sources))
        theirs = sa.update(fetches).where(fetches.c.source.in_(sources), fetches.c.outcome.in_(_HAD))
        with self._ledger.transaction(write=True) as connection:
            connection.execute(heirs.where(placed_by_them).values(outcome="placed"))
            connection.execute(theirs.values(outcome="expired"))

    def failures(self, source: str) -> tuple[FailedFetch, ...]:
        """What could not be had of a source when it was last tried, by location."""
        query = sa.select(failures).where(failures.c.source == source).order_by(failures.c.location)
        with self._ledger.transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(
            FailedFetch(
                row.source,
                row.location,
                self._people.name_of(row.person or ""),
                FetchFault.of(row.kind),
                datetime.fromisoformat(row.at),
                row.times,
            )
            for row in rows
        )

    # How sources fared

    def source_ran(self, run: SourceRun) -> None:
        """Remembers how a source fared; what was longer ago than its last `MOST_RUNS` runs is forgotten."""
        of_source = sa.select(source_runs.c.id).where(source_runs.c.source == run.source)
        old = of_source.order_by(source_runs.c.id.desc()).offset(MOST_RUNS)
        with self._ledger.transaction(write=True) as connection:
            connection.execute(insert(source_runs), self._row_of(run))
            connection.execute(sa.delete(source_runs).where(source_runs.c.id.in_(connection.scalars(old).all())))

    def source_runs(self) -> dict[str, SourceRun]:
        """How each source fared when it was last run, by name: first the one whose last run is the oldest, by the order
        in which they ran and not by clocks."""
        last = sa.select(sa.func.max(source_runs.c.id)).group_by(source_runs.c.source)
        query = sa.select(source_runs).where(source_runs.c.id.in_(last)).order_by(source_runs.c.id)
        with self._ledger.transaction() as connection:
            rows = connection.execute(query).all()
        return {
            row.source: SourceRun(
                row.source,
                datetime.fromisoformat(row.started),
                datetime.fromisoformat(row.ended),
                row.brought,
                row.duplicates,
                row.known,
                row.refused,
                row.failed,
                _source_fault(row.fault),
            )
            for row in rows
        }

    # Which model was in use

    def promoted(self, version: str, now: datetime, how: str, before: str | None) -> None:
        """Remembers that a model came into use, or was kept out of it; see Promotion."""
        row = {"version": version, "at": text_of(now), "how": how, "before": before}
        with self._ledger.transaction(write=True) as connection:
            connection.execute(insert(promotions), row)

    def promotions(self) -> tuple[Promotion, ...]:
        """Which models came into use or were kept out of it, the last first."""
        with self._ledger.transaction() as connection:
            rows = connection.execute(sa.select(promotions).order_by(promotions.c.id.desc())).all()
        return tuple(Promotion(row.version, datetime.fromisoformat(row.at), row.how, row.before) for row in rows)

    def _row_of(self, value: Fetch | FailedFetch | SourceRun) -> dict[str, Any]:
        """A value as a row: its fields, with times as text and the person's id."""
        row = {one.name: getattr(value, one.name) for one in fields(value)}
        row = {name: text_of(each) if isinstance(each, datetime) else each for name, each in row.items()}
        if name := row.get("person"):
            row["person"] = self._people.id_of(name)
            if not row["person"]:
                raise KeyError(name)  # nobody could be forgotten of whom there are rows without an id
        elif "person" in row:
            row["person"] = None
        return row

    def _fetch(self, row: sa.Row[*tuple[object, ...]]) -> Fetch:
        values: dict[str, Any] = dict(row._mapping)
        del values["current"]
        values["person"] = self._people.name_of(row.person)
        times = {name: time_of(values[name]) for name in ("fetched_at", "checked_at")}
        return Fetch(**values | times)


def _source_fault(word: str | None) -> SourceFault | None:
    return None if word is None else SourceFault.of(word)


# What happens for every photo, built once: building a statement takes longer than executing it.
_at = (fetches.c.source == sa.bindparam("of"), fetches.c.location == sa.bindparam("at"))
_current = sa.select(fetches).where(*_at, fetches.c.current)
_outdate = sa.update(fetches).where(*_at).values(current=False)
_inserted = insert(fetches)
_keep = _inserted.on_conflict_do_update(
    index_elements=["source", "location", "sha256", "person"], set_=dict(_inserted.excluded.items())
)
_mended = sa.delete(failures).where(failures.c.source == sa.bindparam("of"), failures.c.location == sa.bindparam("at"))
_failing = insert(failures)
_fail = _failing.on_conflict_do_update(
    index_elements=["source", "location"],
    set_=dict(_failing.excluded.items()) | {"times": failures.c.times + _failing.excluded.times},
)
