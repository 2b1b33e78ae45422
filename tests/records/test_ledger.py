"""How the ledger is kept: killed, damaged, and without a sentence in it."""

from __future__ import annotations

import re
import sqlite3
import subprocess
import sys
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path

import pytest

from mien.errors import AlbumError
from mien.records.corrections import Step
from mien.records.history import HAND, FailedFetch, Fetch, SourceRun
from mien.records.ledger import Ledger
from mien.text.fetching import FetchFault, SourceFault
from mien.text.findings import ErrorKind, FindingKind, StepKind
from mien.text.kinds import Kind
from mien.text.models import GateKind, IncomparableKind
from mien.text.photos import PhotoFault
from mien.types import By, Finding

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)

A = Fetch(
    source="club",
    location="https://club.example/a.jpg",
    person="Zoë",
    sha256="a" * 64,
    phash="0123456789abcdef",
    bytes=1000,
    stamp='"1"',
    licence="CC0, as the club says",
    basis="all of them have agreed",
    robots="allowed",
    fetched_at=NOON,
    checked_at=NOON,
    outcome="placed",
    path="2026-11-23-training-images/Zoë/a.jpg",
)

FAMILIES: tuple[type[Kind], ...] = (
    FindingKind,
    StepKind,
    ErrorKind,
    GateKind,
    IncomparableKind,
    SourceFault,
    FetchFault,
)
KINDS = {kind.key for family in FAMILIES for kind in family} | {*PhotoFault, *SourceFault, *FetchFault, "", None}


def test_a_damaged_ledger_is_not_to_be_deleted(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"no database" * 1000)
    for opened in (Ledger.for_writing, Ledger.for_reading):
        with pytest.raises(
            AlbumError, match=r"is not a ledger, or is damaged.*backup.*cannot be computed again"
        ) as caught:
            opened(file)
        assert "-wal" in caught.value.remedy
        assert not {"remove", "delete"} & set(caught.value.remedy.split())


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import A, NOON
from mien.records.ledger import Ledger
with Ledger.for_writing(Path(sys.argv[1])) as ledger:
    ledger.people.enter(["Zoë"], "personal", NOON)
    for i in range(100000):
        ledger.history.record([replace(A, location=f"{i}/{n}", sha256=f"{i:060}{n:04}") for n in range(5)])
        print(i, flush=True)
"""


def test_a_kill_while_recording_loses_nothing_that_was_recorded(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(file), str(Path(__file__).parent)], stdout=subprocess.PIPE, text=True
    )
    with writer:
        assert writer.stdout
        finished = [int(writer.stdout.readline()) for _ in range(10)]
        writer.kill()
        finished += [int(line) for line in writer.stdout.read().split()]
    for opened in (Ledger.for_reading, Ledger.for_writing):
        with opened(file) as ledger:
            locations = ledger.history.known("club").keys()
        assert {f"{i}/{n}" for i in finished for n in range(5)} <= locations
        assert len(locations) % 5 == 0


def test_there_is_no_sentence_in_a_ledger(tmp_path: Path) -> None:
    """No two words stand side by side in it, but in kinds and in what users write."""
    file = tmp_path / "ledger.sqlite"
    with Ledger.for_writing(file) as ledger:
        history, runs = ledger.history, ledger.runs
        ledger.people.enter(["Zoë", "bob"], "personal", NOON, {"bob": date(2027, 1, 1)})
        history.record([A, replace(A, source=HAND, location="/camera/a.jpg")])
        for number, fault in enumerate(PhotoFault):
            refused = replace(A, location=f"p{number}", sha256=f"{number:064}", outcome="refused", path="")
            history.record([replace(refused, fault=fault)])
        history.record(failed=[FailedFetch("club", f"f{kind}", "bob", kind, NOON) for kind in FetchFault])
        for source_fault in (None, *SourceFault):
            history.source_ran(SourceRun("club", NOON, NOON, 1, 2, 3, 4, 5, source_fault))
        history.promoted("2026-11-23-001", NOON, "daily", None)
        history.expire(["club"])
        ledger.removals.begin("bob", NOON, "everywhere")
        ledger.removals.remove_photos("Zoë", ["b" * 64], NOON)
        run = runs.begin("daily", NOON.date(), NOON).id
        for family in FAMILIES:
            runs.begin_step(run, family.__name__, NOON)
            about = ("training-images/Zoë/1.jpg",)
            found = [Finding(kind, ("Zoë", "bob"), about, {"photos": 2, "version": "v1"}) for kind in family]
            runs.finish_step(run, family.__name__, NOON, "done", {"photos": 2}, found)
        runs.finish(run, NOON, "done")
        history.source_ran(SourceRun("lost", NOON, NOON, 1, 2, 3, 4, 5, None))
        ids = ledger.people.enter(["Zoë", "bob"], "personal", NOON)
        step = Step("training-images/bob/1.jpg", "training-images/Zoë/1.jpg", ids["bob"], ids["Zoë"], "b" * 64)
        ledger.corrections.begin("join", NOON, ids["bob"], ids["Zoë"], [step], "2026-11-23-001")
        ledger.events.begin(By("desk", "r-1"), "join", "bob", NOON)
        ledger.set_album(Path("/photos/club"))
    with closing(sqlite3.connect(file)) as database, database:
        database.execute("UPDATE source_runs SET brought = 2 WHERE source = 'lost'")
    Ledger.for_writing(file).close()  # which sets the damaged record aside
    with closing(sqlite3.connect(file)) as database:
        tables = [name for (name,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'")]
        assert len(tables) == 15
        for table in tables:
            columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
            rows = database.execute(f'SELECT * FROM "{table}"').fetchall()
            assert rows, f"{table} is to be looked into"
            for name, value in (pair for row in rows for pair in zip(columns, row, strict=True)):
                if name in ("kind", "fault"):
                    assert value in KINDS, (table, name, value)
                elif name not in ("licence", "basis"):
                    assert not re.search(r"[^\W\d_]+ [^\W\d_]+", str(value)), (table, name, value)
