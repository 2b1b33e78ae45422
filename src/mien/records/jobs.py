"""Long work that a server was asked for: which, by whom, how far it came, what came of it.

A job waits until a process starts it. One whose process is gone, as after a restart, waits again: each verb of mien may
be repeated, and goes on where it was stopped. What came of a job may name people, so all results go when somebody is
forgotten.
"""

from __future__ import annotations

import json
import os
import secrets
import socket
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa

from mien.records.database import Database
from mien.records.schema import jobs
from mien.records.times import text_of, time_of

MOST_JOBS: Final = 1000
"""That are remembered, the newest."""
MOST_BYTES: Final = 1_000_000
"""Of a result as JSON; a longer one is not kept."""
MOST_TRIES: Final = 3
"""How often a job is started: one that takes its process down each time fails in the end."""

State = Literal["waiting", "running", "done", "failed", "cancelled"]
Outcome = Literal["done", "failed", "cancelled"]


@dataclass(frozen=True, slots=True)
class Job:
    """A job, asked for by the key of the name `key`. `cancel` says that somebody wants it to end. `pid` and `host` say
    who runs it, or ran it last; `code` is the exit code that the command would have had; `run` is its run in the
    ledger, None for none; `progress` is what its process last told of it, None before that and in the end."""

    id: str
    verb: str
    key: str
    options: Mapping[str, Any]
    asked: datetime
    started: datetime | None
    ended: datetime | None
    state: State
    cancel: bool
    tries: int
    pid: int | None
    host: str | None
    code: int | None
    run: str | None
    progress: Mapping[str, Any] | None

    @property
    def is_over(self) -> bool:
        """Whether it has ended, in whatever way."""
        return self.ended is not None


_OF_A_JOB: Final = tuple(column for column in jobs.c if column is not jobs.c.result)
"""The columns of a `Job`: what came of it may be long, and is read by itself."""
_RUNS_NO_MORE: Final = {"holder": "", "progress": None}


class Jobs:
    """The jobs in an open file. `here` gives the id of this process, and `lives` says whether that of an id does."""

    def __init__(self, access: Database, here: Callable[[], str], lives: Callable[[str], bool]) -> None:
        self._access, self._here, self._lives = access, here, lives

    def ask(self, verb: str, key: str, now: datetime, options: Mapping[str, Any] | None = None) -> Job:
        """Asks for a job; `options` are plain JSON, and name no person. Jobs that are over are forgotten but for the
        last `MOST_JOBS`."""
        job = secrets.token_hex(8)
        row = {"id": job, "verb": verb, "key": key, "options": json.dumps(dict(options or {})), "asked": text_of(now)}
        new = sa.insert(jobs).values(**row, state="waiting", cancel=False, tries=0, holder="", forgotten=False)
        with self._access.transaction(write=True) as connection:
            connection.execute(new)
            last = sa.select(sa.func.max(jobs.c.number)).scalar_subquery()
            connection.execute(sa.delete(jobs).where(jobs.c.ended.is_not(None), jobs.c.number <= last - MOST_JOBS))
            return _of(connection, job)

    def start_next(self, now: datetime) -> Job | None:
        """Starts the job that has waited longest, in this process; None where none waits, or one runs, in whatever
        process: jobs are carried out one after the other."""
        here = {"holder": self._here(), "host": socket.gethostname()}
        start = sa.update(jobs).values(**here, pid=os.getpid(), state="running", started=text_of(now), forgotten=False)
        with self._access.transaction(write=True) as connection:
            if connection.scalar(sa.select(jobs.c.id).where(jobs.c.state == "running").limit(1)) is not None:
                return None
            waiting = sa.select(jobs.c.id).where(jobs.c.state == "waiting").order_by(jobs.c.number).limit(1)
            job = connection.scalar(waiting)
            if job is None:
                return None
            connection.execute(start.where(jobs.c.id == job).values(tries=jobs.c.tries + 1))
            return _of(connection, job)

    def tell(self, job: str, progress: Mapping[str, Any]) -> None:
        """Tells other processes how far a job is that runs in this one; `progress` is plain JSON."""
        mine = (jobs.c.id == job, jobs.c.state == "running", jobs.c.holder == self._here())
        with self._access.transaction(write=True) as connection:
            connection.execute(sa.update(jobs).where(*mine).values(progress=json.dumps(progress)))

    def is_run(self, job: str, run: str) -> None:
        """Remembers which run of the ledger a job is."""
        with self._access.transaction(write=True) as connection:
            connection.execute(sa.update(jobs).where(jobs.c.id == job).values(run=run))

    def finish(self, job: str, now: datetime, outcome: Outcome, code: int, result: Any = None) -> None:
        """Ends a job that runs in this process. `result` is plain JSON. A job that another process has taken over is
        left to that."""
        text = json.dumps(result, ensure_ascii=False) if result is not None else None
        if text is not None and len(text.encode("utf-8", "surrogatepass")) > MOST_BYTES:
            text = None
        mine = (jobs.c.id == job, jobs.c.state == "running", jobs.c.holder == self._here())
        kept = sa.case((jobs.c.forgotten, None), else_=text)
        values = {"state": outcome, "ended": text_of(now), "code": code, "result": kept, "progress": None}
        with self._access.transaction(write=True) as connection:
            connection.execute(sa.update(jobs).where(*mine).values(values))

    def give_back(self, job: str) -> None:
        """Has a job that runs in this process wait again, as if it had not been started: the process ends in order."""
        mine = (jobs.c.id == job, jobs.c.state == "running", jobs.c.holder == self._here())
        again = {"state": "waiting", **_RUNS_NO_MORE, "tries": jobs.c.tries - 1}
        with self._access.transaction(write=True) as connection:
            connection.execute(sa.update(jobs).where(*mine).values(again))

    def cancel(self, job: str, now: datetime) -> Job | None:
        """Wants a job to end: one that waits does at once, one that runs is asked to, and one that is over stays as it
        is. None if there is none of this id."""
        of = jobs.c.id == job
        with self._access.transaction(write=True) as connection:
            waits = {"state": "cancelled", "ended": text_of(now), "cancel": True}
            connection.execute(sa.update(jobs).where(of, jobs.c.state == "waiting").values(waits))
            connection.execute(sa.update(jobs).where(of, jobs.c.state == "running").values(cancel=True))
            row = connection.execute(sa.select(*_OF_A_JOB).where(of)).one_or_none()
        return None if row is None else _job(row)

    def job(self, job: str) -> Job | None:
        """The job of this id; None if there is none."""
        with self._access.transaction() as connection:
            row = connection.execute(sa.select(*_OF_A_JOB).where(jobs.c.id == job)).one_or_none()
        return None if row is None else _job(row)

    def result(self, job: str) -> Any:
        """What came of the job of this id: what its command prints with --json. None before it is over, and for what is
        not kept."""
        with self._access.transaction() as connection:
            text = connection.scalar(sa.select(jobs.c.result).where(jobs.c.id == job))
        return None if text is None else json.loads(text)

    def last(self, limit: int = 20, before: str | None = None) -> tuple[Job, ...]:
        """The last jobs, the newest first; with `before`, those that were asked for before the job of that id, which
        are none if there is none of it."""
        query = sa.select(*_OF_A_JOB).order_by(jobs.c.number.desc()).limit(limit)
        if before is not None:
            query = query.where(jobs.c.number < sa.select(jobs.c.number).where(jobs.c.id == before).scalar_subquery())
        with self._access.transaction() as connection:
            return tuple(map(_job, connection.execute(query).all()))

    def take_over(self, now: datetime) -> tuple[Job, ...]:
        """Has those jobs wait again whose process is gone; those come out. One that was to end is cancelled, and one
        that was started `MOST_TRIES` times has failed."""
        with self._access.transaction(write=True) as connection:
            ran = sa.select(*_OF_A_JOB).where(jobs.c.state == "running").order_by(jobs.c.number)
            running = connection.execute(ran).all()
            left = [row for row in running if not self._lives(row.holder)]
            for row in left:
                state = "cancelled" if row.cancel else "failed" if row.tries >= MOST_TRIES else "waiting"
                values = {"state": state, **_RUNS_NO_MORE, "ended": None if state == "waiting" else text_of(now)}
                connection.execute(sa.update(jobs).where(jobs.c.id == row.id).values(values))
            return tuple(_of(connection, row.id) for row in left)


def empty(connection: sa.Connection) -> None:
    """Leaves no name in any result, nor in those that are still to come of jobs that run."""
    connection.execute(sa.update(jobs).values(result=None, forgotten=jobs.c.state == "running"))


def _of(connection: sa.Connection, job: str) -> Job:
    return _job(connection.execute(sa.select(*_OF_A_JOB).where(jobs.c.id == job)).one())


def _job(row: sa.Row[*tuple[object, ...]]) -> Job:
    return Job(
        row.id,
        row.verb,
        row.key,
        json.loads(row.options),
        datetime.fromisoformat(row.asked),
        time_of(row.started),
        time_of(row.ended),
        row.state,
        row.cancel,
        row.tries,
        row.pid,
        row.host,
        row.code,
        row.run,
        None if row.progress is None else json.loads(row.progress),
    )
