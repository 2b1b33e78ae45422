"""What each run of the daily loop did, step by step, and where it stopped.

A step leaves figures, which name nobody, and findings. A finding is a row with the ids of those whom it is about, so
that it goes when one of them is forgotten.
"""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Literal

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mien.records.database import Database, execute_many
from mien.records.people import People
from mien.records.schema import NTH, findings, runs, steps
from mien.records.times import text_of, time_of
from mien.text.findings import kind_of
from mien.text.words import Figure
from mien.types import Finding

MOST_RUNS = 1000
"""Runs that are remembered: nearly three years of one a day."""

State = Literal["running", "done", "failed"]
StepOutcome = Literal["done", "failed"]


@dataclass(frozen=True, slots=True)
class Step:
    """A step of a run; `ended` and `outcome` are None while it runs, and after it was killed. `figures` and `findings`
    are what came of it."""

    name: str
    started: datetime
    ended: datetime | None
    outcome: StepOutcome | None
    figures: Mapping[str, Figure]
    findings: tuple[Finding, ...]

    @property
    def line(self) -> str:
        """What it said of itself, in words; "" for a step that was not finished."""
        said = [one for one in self.findings if not one.needs_human and not one.photos] or self.findings
        return "; ".join(finding.why.rstrip(".") for finding in said)

    @property
    def needs_human(self) -> tuple[Finding, ...]:
        """The findings that nobody but a human can put right."""
        return tuple(finding for finding in self.findings if finding.needs_human)

    @property
    def left_out(self) -> tuple[Finding, ...]:
        """The first of the files that it left out rightly, and why; its figures count all."""
        return tuple(finding for finding in self.findings if finding.photos and not finding.needs_human)


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

    def step(self, name: str) -> Step | None:
        """The step of this name, if it was begun."""
        return next((step for step in self.steps if step.name == name), None)


class Runs:
    """The runs in an open ledger."""

    def __init__(self, ledger: Database, people: People) -> None:
        self._ledger, self._people = ledger, people

    def begin(self, command: str, day: date, now: datetime) -> Run:
        """Begins a run of this process for a day. Runs that are older than the last `MOST_RUNS` are forgotten."""
        stem = now.astimezone(UTC).strftime("%Y%m%dT%H%M%SZ")
        old = sa.select(runs.c.id).order_by(_newest).offset(MOST_RUNS - 1)
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.delete(runs).where(runs.c.id.in_(connection.scalars(old).all())))
            same = connection.scalars(sa.select(runs.c.id).where(runs.c.id.startswith(stem))).all()
            name = f"{stem}-{len(same) + 1}" if same else stem
            row = {"id": name, "command": command, "date": day.isoformat(), "started": text_of(now), "state": "running"}
            connection.execute(insert(runs), row | _this_process())
        return self._run(name)

    def unfinished(self, command: str) -> Run | None:
        """The last run of a command if it has not ended: it runs, or was killed."""
        query = sa.select(runs.c.id, runs.c.state).where(runs.c.command == command).order_by(_newest).limit(1)
        with self._ledger.transaction() as connection:
            last = connection.execute(query).one_or_none()
        return self._run(last.id) if last and last.state == "running" else None

    def resume(self, run: str) -> Run:
        """Goes on with an unfinished run, in this process."""
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run).values(_this_process()))
        return self._run(run)

    def finish(self, run: str, now: datetime, state: Literal["done", "failed"]) -> Run:
        """Ends a run."""
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.update(runs).where(runs.c.id == run).values(ended=text_of(now), state=state))
        return self._run(run)

    def begin_step(self, run: str, name: str, now: datetime) -> None:
        """Begins a step of a run, or begins it anew after it was killed or has failed."""
        row = insert(steps).values(run=run, name=name, started=text_of(now), figures="{}")
        again = {"started": row.excluded.started, "ended": None, "outcome": None, "figures": "{}"}
        of_step = sa.select(steps.c.id).where(steps.c.run == run, steps.c.name == name)
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.delete(findings).where(findings.c.step.in_(of_step)))
            connection.execute(row.on_conflict_do_update(index_elements=["run", "name"], set_=again))

    def finish_step(
        self,
        run: str,
        name: str,
        now: datetime,
        outcome: StepOutcome,
        figures: Mapping[str, Figure] | None = None,
        found: Sequence[Finding] = (),
    ) -> None:
        """Ends a step that was begun. `figures` name no person; everybody in what was `found` must have been entered in
        `People`."""
        values = {"ended": text_of(now), "outcome": outcome, "figures": _json(figures or {})}
        of_step = (steps.c.run == run, steps.c.name == name)
        with self._ledger.transaction(write=True) as connection:
            connection.execute(sa.update(steps).where(*of_step).values(values))
            step = connection.scalar(sa.select(steps.c.id).where(*of_step))
            rows: list[dict[str, object]] = [
                {
                    "step": step,
                    "kind": finding.kind.key,
                    "people": _json([self._people.id_of(name) for name in finding.people]),
                    "photos": _json(finding.photos),
                    "figures": _json(dict(finding.figures)),
                }
                for finding in found
            ]
            execute_many(connection, insert(findings), rows)

    def last(self, limit: int = 20) -> tuple[Run, ...]:
        """The last runs, the newest first."""
        with self._ledger.transaction() as connection:
            ids = connection.scalars(sa.select(runs.c.id).order_by(_newest).limit(limit)).all()
        return tuple(self._run(name) for name in ids)

    def run(self, name: str) -> Run | None:
        """The run of this id."""
        with self._ledger.transaction() as connection:
            row = connection.execute(sa.select(runs).where(runs.c.id == name)).one_or_none()
            if row is None:
                return None
            found = connection.execute(sa.select(steps).where(steps.c.run == name).order_by(steps.c.id)).all()
            query = sa.select(findings).where(findings.c.step.in_([step.id for step in found])).order_by(findings.c.id)
            of_step: dict[int, list[Finding]] = {}
            for each in connection.execute(query):
                of_step.setdefault(each.step, []).append(self._finding(each))
        return Run(
            row.id,
            row.command,
            date.fromisoformat(row.date),
            datetime.fromisoformat(row.started),
            time_of(row.ended),
            row.state,
            row.pid,
            row.host,
            tuple(
                Step(
                    step.name,
                    datetime.fromisoformat(step.started),
                    time_of(step.ended),
                    step.outcome,
                    json.loads(step.figures),
                    tuple(of_step.get(step.id, ())),
                )
                for step in found
            ),
        )

    def _run(self, name: str) -> Run:
        run = self.run(name)
        if run is None:
            raise KeyError(name)
        return run

    def _finding(self, row: sa.Row[*tuple[object, ...]]) -> Finding:
        people = tuple(map(self._people.name_of, json.loads(row.people)))
        return Finding(kind_of(row.kind), people, tuple(json.loads(row.photos)), json.loads(row.figures))


_newest = NTH.desc()
"""By the order in which they began: clocks are set back."""


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)


def _this_process() -> dict[str, object]:
    return {"pid": os.getpid(), "host": socket.gethostname()}
