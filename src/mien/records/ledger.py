"""The ledger: what mien did that cannot be computed again. SQLite through SQLAlchemy Core, beside the catalog.

    fetches, failures, source_runs     where each photo came from, and how each source has fared
    runs <- steps                      what each run did, and where it stopped
    promotions                         which model was in use when, and how it came to be

A *fetch* is known by its source, its location there and the hash of its bytes: what once lay at a location keeps its
row when something else lies there, which is then the `current` one. A row of a photo that was placed is written after
the photo, so a kill between the two costs another fetch and never a photo. Times come from the caller and are kept in
UTC, to the second. What is committed survives a power cut. Names of people stand in `fetches`, in `failures` and in
what steps said of themselves; `forget_person` and `forget_photos` overwrite what they delete.
"""

from __future__ import annotations

import json
import os
import re
import socket
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal, NamedTuple

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mien.records.database import Database, Kind, execute_many
from mien.text.names import nfc

SCHEMA_VERSION = 1

Outcome = Literal["placed", "duplicate", "refused"]
"""Of a fetch: put into an intake; left out because the album has these bytes of that person; or no picture."""
State = Literal["running", "done", "failed"]
StepOutcome = Literal["done", "failed", "skipped"]

_schema = sa.MetaData()
_fetches = sa.Table(
    "fetches",
    _schema,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("sha256", sa.Text, primary_key=True, index=True),
    sa.Column("current", sa.Boolean, nullable=False),
    sa.Column("person", sa.Text, nullable=False, index=True),  # NFC
    sa.Column("phash", sa.Text, nullable=False),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("stamp", sa.Text, nullable=False),
    *(sa.Column(name, sa.Text, nullable=False) for name in ("licence", "basis", "robots")),
    sa.Column("fetched_at", sa.Text, nullable=False),
    sa.Column("checked_at", sa.Text, nullable=False),
    sa.Column("outcome", sa.Text, nullable=False),
    sa.Column("path", sa.Text, nullable=False, index=True),
    sa.Column("reason", sa.Text, nullable=False),
    sqlite_with_rowid=False,
)
_failures = sa.Table(
    "failures",
    _schema,
    sa.Column("source", sa.Text, primary_key=True),
    sa.Column("location", sa.Text, primary_key=True),
    sa.Column("person", sa.Text, nullable=False),
    sa.Column("kind", sa.Text, nullable=False),
    sa.Column("message", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("times", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
_source_runs = sa.Table(
    "source_runs",
    _schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("source", sa.Text, nullable=False, index=True),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text, nullable=False),
    *(sa.Column(name, sa.Integer, nullable=False) for name in ("brought", "duplicates", "known", "refused", "failed")),
    sa.Column("error", sa.Text),
)
_runs = sa.Table(
    "runs",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),
    sa.Column("command", sa.Text, nullable=False),
    sa.Column("date", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("state", sa.Text, nullable=False),
    sa.Column("pid", sa.Integer, nullable=False),
    sa.Column("host", sa.Text, nullable=False),
)
_steps = sa.Table(
    "steps",
    _schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("run", sa.ForeignKey("runs.id", ondelete="CASCADE"), nullable=False),
    sa.Column("name", sa.Text, nullable=False),
    sa.Column("started", sa.Text, nullable=False),
    sa.Column("ended", sa.Text),
    sa.Column("outcome", sa.Text),
    sa.Column("detail", sa.Text, nullable=False),
    sa.UniqueConstraint("run", "name"),
)
_promotions = sa.Table(
    "promotions",
    _schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("version", sa.Text, nullable=False),
    sa.Column("at", sa.Text, nullable=False),
    sa.Column("how", sa.Text, nullable=False),
    sa.Column("before", sa.Text),
)


@dataclass(frozen=True, slots=True)
class Fetch:
    """A photo that was fetched from a source: its provenance.

    `person` is the name in the album; `sha256` and `bytes` (their number) are of what came; `phash` is "" for what is
    no picture. `stamp`, `licence` and `robots` are as in Offer and Receipt, `basis` that of the source. `checked_at` is
    when the source last said that this is still it. `path` is where it lay, relative to the album: where it was placed,
    or its double if it is a duplicate, "" if it was refused, for the `reason` (a kind of PhotoError).
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
    reason: str = ""

    def to_json(self) -> dict[str, Any]:
        """The same for programs."""
        names = (column.name for column in _fetches.c if column.name != "current")
        times = {"fetched_at": _text(self.fetched_at), "checked_at": _text(self.checked_at)}
        return {name: getattr(self, name) for name in names} | times


class Known(NamedTuple):
    """What tells whether a photo has to be fetched again: see Fetch; `checked_on` is the day, in UTC."""

    person: str
    stamp: str
    checked_on: date


@dataclass(frozen=True, slots=True)
class FailedFetch:
    """A photo that could not be had when it was last tried, after `times` trials: `kind` and `message` as of
    FetchError. `person` is "" where the source's name of them cannot be one."""

    source: str
    location: str
    person: str
    kind: str
    message: str
    at: datetime
    times: int = 1


@dataclass(frozen=True, slots=True)
class SourceRun:
    """How a source fared once: photos that are new in the album (`brought`), that it had already (`duplicates`), that
    needed no fetching (`known`), that are no pictures (`refused`), that could not be had (`failed`); and the `error` if
    it could not be read to its end."""

    source: str
    started: datetime
    ended: datetime
    brought: int
    duplicates: int
    known: int
    refused: int
    failed: int
    error: str | None


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run; `ended` and `outcome` are None while it runs, and after it was killed. `detail` is what it said
    of itself, as JSON has it."""

    name: str
    started: datetime
    ended: datetime | None
    outcome: StepOutcome | None
    detail: Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Run:
    """A run of a `command` for the day `date`, with its steps in the order in which they began. Ids sort by time. One
    that is "running" was killed if no process holds the album; `pid` and `host` say who it was last."""

    id: str
    command: str
    date: date
    started: datetime
    ended: datetime | None
    state: State
    pid: int
    host: str
    steps: tuple[Step, ...]

    def outcome(self, step: str) -> StepOutcome | None:
        """How a step ended; None if it did not, or was not begun."""
        return next((one.outcome for one in self.steps if one.name == step), None)


@dataclass(frozen=True, slots=True)
class Promotion:
    """A model that came into use, in place of the version `before`; `how` is the caller's word: "daily", "rollback"."""

    version: str
    at: datetime
    how: str
    before: str | None


class Ledger(Database):
    """An open ledger; a context manager. Every method may raise StorageError, AlbumError (damaged) and BusyError."""

    kind = Kind(
        name="ledger",
        application_id=int.from_bytes(b"mlgr", "big"),
        version=SCHEMA_VERSION,
        oldest=1,
        schema=_schema,
        way_out=(
            "move the file aside, with those beside it that end in -wal and -shm, and put a copy from a backup in "
            "its place. It holds what cannot be computed again: where each photo came from, under which licence, and "
            "what each run did. Without it mien begins a new one, and asks the sources for every photo once more."
        ),
        durable=True,
    )

    # What was fetched

    def fetch(self, source: str, location: str) -> Fetch | None:
        """What lay at a location of a source when it was last fetched."""
        with self._transaction() as connection:
            row = connection.execute(_current, {"of": source, "at": location}).one_or_none()
        return None if row is None else _fetch(row)

    def known(self, source: str) -> dict[str, Known]:
        """What lay at each location of a source when it was last fetched, in short."""
        columns = (_fetches.c.location, _fetches.c.person, _fetches.c.stamp, _fetches.c.checked_at)
        query = sa.select(*columns).where(_fetches.c.source == source, _fetches.c.current)
        with self._transaction() as connection:
            return {
                location: Known(person, stamp, date.fromisoformat(checked_at[:10]))
                for location, person, stamp, checked_at in connection.execute(query)
            }

    def photos(self) -> dict[tuple[str, str], str]:
        """For (person, SHA-256) of every photo that was ever fetched where in the album it was put, or found."""
        columns = (_fetches.c.person, _fetches.c.sha256, sa.func.min(_fetches.c.path))
        query = sa.select(*columns).where(_fetches.c.outcome != "refused").group_by(*columns[:2])
        with self._transaction() as connection:
            return {(person, sha256): path for person, sha256, path in connection.execute(query)}

    def placed_in(self, folder: str) -> frozenset[tuple[str, int]]:
        """(path, bytes) of every photo that was ever placed in a folder of the album, "2026-11-23-training-images"."""
        below = (_fetches.c.path > f"{folder}/", _fetches.c.path < f"{folder}0")  # "0" is next to "/"
        query = sa.select(_fetches.c.path, _fetches.c.bytes).where(*below, _fetches.c.outcome == "placed")
        with self._transaction() as connection:
            return frozenset((path, size) for path, size in connection.execute(query))

    def record(self, fetches: Iterable[Fetch] = (), failures: Iterable[FailedFetch] = ()) -> None:
        """Remembers, in one transaction, what lies at these locations now; they are no failures any more. A failure
        counts the times on."""
        rows = [_columns(one) for one in fetches]
        places = [{"of": row["source"], "at": row["location"]} for row in rows]
        failed = [_columns(one) for one in failures]
        with self._transaction(write=True) as connection:
            execute_many(connection, _outdate, places)
            execute_many(connection, _keep, [row | {"current": True} for row in rows])
            execute_many(connection, _cured, places)
            execute_many(connection, _fail, failed)

    def failures(self, source: str) -> tuple[FailedFetch, ...]:
        """What could not be had of a source when it was last tried, by location."""
        query = sa.select(_failures).where(_failures.c.source == source).order_by(_failures.c.location)
        with self._transaction() as connection:
            return tuple(FailedFetch(**_times(row, "at")) for row in connection.execute(query))

    def provenance(self, sha256: str) -> tuple[Fetch, ...]:
        """Every way by which these bytes came, by source and location."""
        return self._fetched(_fetches.c.sha256 == sha256)

    def photos_of(self, source: str) -> tuple[Fetch, ...]:
        """Everything that ever came from a source and is a photo, by location and hash."""
        return self._fetched(_fetches.c.source == source, _fetches.c.outcome != "refused")

    def _fetched(self, *conditions: sa.ColumnElement[bool]) -> tuple[Fetch, ...]:
        query = sa.select(_fetches).where(*conditions)
        query = query.order_by(_fetches.c.source, _fetches.c.location, _fetches.c.sha256)
        with self._transaction() as connection:
            return tuple(_fetch(row) for row in connection.execute(query))

    def forget_photos(self, sha256s: Iterable[str]) -> None:
        """Deletes all that is known of how these photos came. A source that still has them will bring them again."""
        query = sa.delete(_fetches).where(_fetches.c.sha256 == sa.bindparam("gone"))
        with self._transaction(write=True) as connection:
            execute_many(connection, query, [{"gone": sha256} for sha256 in sha256s])
        self._compact()

    def forget_person(self, name: str) -> None:
        """Deletes all that is known of how a person's photos came, as `forget_photos` does, and the name from what runs
        said: "someone" stands there then."""
        person = nfc(name)
        word = re.compile(rf"(?<!\w){re.escape(person)}(?!\w)")
        said = sa.update(_steps).where(_steps.c.id == sa.bindparam("of")).values(detail=sa.bindparam("clean"))
        with self._transaction(write=True) as connection:
            for table in (_fetches, _failures):
                connection.execute(sa.delete(table).where(table.c.person == person))
            cleaned = [
                {"of": step, "clean": clean}
                for step, detail in connection.execute(sa.select(_steps.c.id, _steps.c.detail)).all()
                if (clean := json.dumps(_without(word, json.loads(detail)), ensure_ascii=False)) != detail
            ]
            execute_many(connection, said, cleaned)
        self._compact()

    # How sources fared

    def source_ran(self, run: SourceRun) -> None:
        """Remembers how a source fared."""
        with self._transaction(write=True) as connection:
            connection.execute(insert(_source_runs), _columns(run))

    def source_runs(self) -> dict[str, SourceRun]:
        """How each source fared when it was last run, by name."""
        last = sa.select(sa.func.max(_source_runs.c.id)).group_by(_source_runs.c.source)
        query = sa.select(_source_runs).where(_source_runs.c.id.in_(last)).order_by(_source_runs.c.source)
        with self._transaction() as connection:
            rows = [_times(row, "started", "ended") for row in connection.execute(query)]
        return {row["source"]: SourceRun(**{name: row[name] for name in row if name != "id"}) for row in rows}

    # What runs did

    def begin_run(self, command: str, day: date, now: datetime) -> Run:
        """Begins a run of this process for a day."""
        stem = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        with self._transaction(write=True) as connection:
            same = connection.scalars(sa.select(_runs.c.id).where(_runs.c.id.startswith(stem))).all()
            name = f"{stem}-{len(same) + 1}" if same else stem
            row = {"id": name, "command": command, "date": day.isoformat(), "started": _text(now), "state": "running"}
            connection.execute(insert(_runs), row | _this_process())
        return self._run(name)

    def unfinished(self, command: str) -> Run | None:
        """The last run of a command if it has not ended: it runs, or was killed."""
        query = sa.select(_runs.c.id, _runs.c.state).where(_runs.c.command == command).order_by(_newest).limit(1)
        with self._transaction() as connection:
            last = connection.execute(query).one_or_none()
        return self._run(last.id) if last and last.state == "running" else None

    def resume_run(self, run: str) -> Run:
        """Goes on with an unfinished run, in this process."""
        with self._transaction(write=True) as connection:
            connection.execute(sa.update(_runs).where(_runs.c.id == run).values(_this_process()))
        return self._run(run)

    def finish_run(self, run: str, now: datetime, state: Literal["done", "failed"]) -> Run:
        """Ends a run."""
        with self._transaction(write=True) as connection:
            connection.execute(sa.update(_runs).where(_runs.c.id == run).values(ended=_text(now), state=state))
        return self._run(run)

    def begin_step(self, run: str, name: str, now: datetime) -> None:
        """Begins a step of a run, or begins it anew after it was killed or has failed."""
        row = insert(_steps).values(run=run, name=name, started=_text(now), detail="{}")
        again = {"started": row.excluded.started, "ended": None, "outcome": None, "detail": "{}"}
        with self._transaction(write=True) as connection:
            connection.execute(row.on_conflict_do_update(index_elements=["run", "name"], set_=again))

    def finish_step(
        self, run: str, name: str, now: datetime, outcome: StepOutcome, detail: Mapping[str, Any] | None = None
    ) -> None:
        """Ends a step that was begun; `detail` is JSON, whose keys name no person."""
        values = {"ended": _text(now), "outcome": outcome, "detail": json.dumps(detail or {}, ensure_ascii=False)}
        with self._transaction(write=True) as connection:
            connection.execute(sa.update(_steps).where(_steps.c.run == run, _steps.c.name == name).values(values))

    def runs(self, limit: int = 20) -> tuple[Run, ...]:
        """The last runs, the newest first."""
        with self._transaction() as connection:
            ids = connection.scalars(sa.select(_runs.c.id).order_by(_newest).limit(limit)).all()
        return tuple(self._run(name) for name in ids)

    def run(self, name: str) -> Run | None:
        """The run of this id."""
        with self._transaction() as connection:
            row = connection.execute(sa.select(_runs).where(_runs.c.id == name)).one_or_none()
            if row is None:
                return None
            query = sa.select(_steps).where(_steps.c.run == name).order_by(_steps.c.id)
            steps = tuple(_step(step) for step in connection.execute(query))
        return Run(**_times(row, "started", "ended") | {"date": date.fromisoformat(row.date), "steps": steps})

    def _run(self, name: str) -> Run:
        run = self.run(name)
        if run is None:
            raise KeyError(name)
        return run

    # Which model was in use

    def promoted(self, version: str, now: datetime, how: str, before: str | None) -> None:
        """Remembers that a model came into use."""
        with self._transaction(write=True) as connection:
            row = {"version": version, "at": _text(now), "how": how, "before": before}
            connection.execute(insert(_promotions), row)

    def promotions(self) -> tuple[Promotion, ...]:
        """Which models came into use, the last first."""
        columns = (_promotions.c.version, _promotions.c.at, _promotions.c.how, _promotions.c.before)
        with self._transaction() as connection:
            rows = connection.execute(sa.select(*columns).order_by(_promotions.c.id.desc())).all()
        return tuple(Promotion(**_times(row, "at")) for row in rows)


_newest = sa.text("rowid DESC")
"""By the order in which they began: clocks are set back."""

# What happens for every photo, built once: building a statement takes longer than executing it.
_at = (_fetches.c.source == sa.bindparam("of"), _fetches.c.location == sa.bindparam("at"))
_current = sa.select(_fetches).where(*_at, _fetches.c.current)
_outdate = sa.update(_fetches).where(*_at).values(current=False)
_inserted = insert(_fetches)
_keep = _inserted.on_conflict_do_update(
    index_elements=["source", "location", "sha256"], set_=dict(_inserted.excluded.items())
)
_cured = sa.delete(_failures).where(
    _failures.c.source == sa.bindparam("of"), _failures.c.location == sa.bindparam("at")
)
_failing = insert(_failures)
_fail = _failing.on_conflict_do_update(
    index_elements=["source", "location"],
    set_=dict(_failing.excluded.items()) | {"times": _failures.c.times + _failing.excluded.times},
)


def _columns(value: Fetch | FailedFetch | SourceRun) -> dict[str, Any]:
    """A value as a row: its fields, with times as text."""
    row = {name: getattr(value, name) for name in value.__dataclass_fields__}
    return {name: _text(each) if isinstance(each, datetime) else each for name, each in row.items()}


def _times(row: sa.Row[*tuple[object, ...]], *columns: str) -> dict[str, Any]:
    """A row with these columns as times."""
    values: dict[str, Any] = dict(row._mapping)
    return values | {name: _time(values[name]) for name in columns}


def _fetch(row: sa.Row[*tuple[object, ...]]) -> Fetch:
    values = _times(row, "fetched_at", "checked_at")
    del values["current"]
    return Fetch(**values)


def _step(row: sa.Row[*tuple[object, ...]]) -> Step:
    ended = _time(row.ended)
    return Step(row.name, datetime.fromisoformat(row.started), ended, row.outcome, json.loads(row.detail))


def _without(word: re.Pattern[str], value: Any) -> Any:
    """A value of JSON with each text in it changed where `word` stands; keys stay."""
    match value:
        case str():
            return word.sub("someone", value)
        case list():
            return [_without(word, one) for one in value]
        case dict():
            return {key: _without(word, one) for key, one in value.items()}
        case _:
            return value


def _this_process() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname()}


def _text(time: datetime) -> str:
    return time.astimezone(UTC).isoformat(timespec="seconds")


def _time(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
