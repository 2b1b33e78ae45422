from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mien.errors import AlbumError
from mien.records.ledger import FailedFetch, Fetch, Ledger, Promotion, SourceRun

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = date(2026, 11, 23)
LATER = NOON + timedelta(minutes=5)

A = Fetch(
    source="club",
    location="https://club.example/a.jpg",
    person="Zoë",
    sha256="a" * 64,
    phash="0123456789abcdef",
    bytes=1000,
    stamp='"1"',
    licence="CC0",
    basis="consent",
    robots="allowed",
    fetched_at=NOON,
    checked_at=NOON,
    outcome="placed",
    path="2026-11-23-training-images/Zoë/a.jpg",
)
B = replace(A, location="https://club.example/b.jpg", sha256="b" * 64, person="bob", path=A.path.replace("Zoë", "bob"))
PAGE = replace(
    B, location="https://club.example/p", sha256="c" * 64, outcome="refused", path="", reason="empty", phash=""
)
FAILED = FailedFetch("club", "https://club.example/x.jpg", "bob", "gone", "It is gone. Ask.", NOON)


@pytest.fixture
def ledger(tmp_path: Path) -> Iterator[Ledger]:
    with Ledger.open(tmp_path / "ledger.sqlite") as ledger:
        yield ledger


# What was fetched


def test_what_was_fetched_is_known_by_its_place_and_by_its_bytes(ledger: Ledger) -> None:
    again = replace(A, source="other", outcome="duplicate")
    ledger.record([B, A, PAGE, again])
    assert ledger.fetch("club", A.location) == A
    assert ledger.fetch("club", "elsewhere") is None
    assert ledger.fetch("nobody", A.location) is None
    assert ledger.provenance(A.sha256) == (A, again)
    assert ledger.provenance("d" * 64) == ()
    assert ledger.photos_of("club") == (A, B)
    assert ledger.photos_of("other") == (again,)


def test_what_once_lay_at_a_place_is_remembered_when_it_changes(ledger: Ledger) -> None:
    changed = replace(A, sha256="d" * 64, path=A.path.replace("a.jpg", "a-2.jpg"), stamp='"2"')
    ledger.record([A])
    ledger.record([changed])
    assert ledger.fetch("club", A.location) == changed
    assert (ledger.provenance(A.sha256), ledger.provenance(changed.sha256)) == ((A,), (changed,))
    back = replace(A, stamp='"3"', checked_at=LATER)
    ledger.record([back])
    assert ledger.fetch("club", A.location) == back
    assert ledger.photos_of("club") == (back, changed)


def test_whose_photos_the_album_has(ledger: Ledger) -> None:
    assert ledger.photos() == {}
    ledger.record([A, PAGE, replace(A, source="other", outcome="duplicate"), replace(B, sha256=A.sha256)])
    assert ledger.photos() == {("Zoë", A.sha256): A.path, ("bob", A.sha256): B.path}


def test_what_tells_whether_to_fetch_again(ledger: Ledger) -> None:
    ledger.record([A, PAGE])
    ledger.record([replace(A, sha256="d" * 64, stamp='"2"', checked_at=LATER)])
    assert ledger.known("club") == {A.location: ("Zoë", '"2"', DAY), PAGE.location: ("bob", '"1"', DAY)}
    assert ledger.known("other") == {}


def test_what_was_placed_in_a_folder(ledger: Ledger) -> None:
    other = replace(A, location="o", sha256="e" * 64, path="2026-11-24-training-images/Zoë/a.jpg")
    double = replace(A, location="d", sha256=A.sha256, outcome="duplicate")
    near = replace(A, location="n", sha256="f" * 64, path="2026-11-23-training-images.old/a.jpg")
    ledger.record([A, B, PAGE, other, double, near])
    assert ledger.placed_in("2026-11-23-training-images") == {(A.path, 1000), (B.path, 1000)}
    assert ledger.placed_in("2026-11-25-training-images") == frozenset()


def test_a_failure_counts_on_until_it_is_cured(ledger: Ledger) -> None:
    ledger.record(failures=[FAILED])
    ledger.record([A], [replace(FAILED, kind="server", at=LATER)])
    assert ledger.failures("club") == (replace(FAILED, kind="server", at=LATER, times=2),)
    assert ledger.failures("other") == ()
    ledger.record([replace(A, location=FAILED.location)])
    assert ledger.failures("club") == ()


def test_a_group_is_recorded_whole_or_not_at_all(ledger: Ledger) -> None:
    with pytest.raises(UnicodeEncodeError):
        ledger.record([A, replace(B, person="\udcff")])
    assert ledger.fetch("club", A.location) is None


def test_times_are_kept_in_utc_to_the_second(ledger: Ledger) -> None:
    local = datetime(2026, 11, 23, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    ledger.record([replace(A, fetched_at=local)])
    assert ledger.provenance(A.sha256)[0].fetched_at == NOON
    assert ledger.provenance(A.sha256)[0].to_json()["fetched_at"] == "2026-11-23T12:00:00+00:00"


def test_provenance_is_told_to_programs() -> None:
    assert A.to_json() == {
        "source": "club",
        "location": "https://club.example/a.jpg",
        "person": "Zoë",
        "sha256": "a" * 64,
        "phash": "0123456789abcdef",
        "bytes": 1000,
        "stamp": '"1"',
        "licence": "CC0",
        "basis": "consent",
        "robots": "allowed",
        "fetched_at": "2026-11-23T12:00:00+00:00",
        "checked_at": "2026-11-23T12:00:00+00:00",
        "outcome": "placed",
        "path": A.path,
        "reason": "",
    }


# Privacy


def test_a_person_who_is_forgotten_leaves_no_trace(ledger: Ledger, tmp_path: Path) -> None:
    zoe = replace(A, location="https://club.example/zoe-portrait.jpg")
    failed = replace(FAILED, person="Zoë", location="https://club.example/zoe-gone.jpg")
    ledger.record([zoe, B], [failed, FAILED])
    ledger.forget_person("Zoe\u0308")
    assert (ledger.provenance(A.sha256), ledger.photos_of("club")) == ((), (B,))
    assert ledger.failures("club") == (FAILED,)
    for file in tmp_path.iterdir():
        assert "Zoë".encode() not in file.read_bytes() and b"zoe-" not in file.read_bytes()


def test_what_runs_said_of_a_person_who_is_forgotten_names_them_no_more(ledger: Ledger, tmp_path: Path) -> None:
    run = ledger.begin_run("daily", DAY, NOON).id
    said = {
        "line": "Zoë is recognised worse, and so is Zoëline.",
        "held": ["2026-11-23-training-images/Zoë/1.jpg"],
        "photos": 1,
    }
    for step, detail in (("check", said), ("merge", {"line": "2 photos merged", "moved": 2})):
        ledger.begin_step(run, step, NOON)
        ledger.finish_step(run, step, NOON, "done", detail)
    ledger.forget_person("Zoe\u0308")
    found = ledger.run(run)
    assert found and [step.detail for step in found.steps] == [
        {
            "line": "someone is recognised worse, and so is Zoëline.",
            "held": ["2026-11-23-training-images/someone/1.jpg"],
            "photos": 1,
        },
        {"line": "2 photos merged", "moved": 2},
    ]
    assert not any("/Zoë/".encode() in file.read_bytes() for file in tmp_path.iterdir())


def test_photos_that_are_forgotten_leave_no_trace(ledger: Ledger, tmp_path: Path) -> None:
    ledger.record([A, replace(A, source="other"), B])
    ledger.forget_photos([A.sha256, "0" * 64])
    ledger.forget_photos([])
    assert (ledger.provenance(A.sha256), ledger.provenance(B.sha256)) == ((), (B,))
    assert not any(A.sha256.encode() in file.read_bytes() for file in tmp_path.iterdir())


# How sources fared


def test_the_last_run_of_each_source(ledger: Ledger) -> None:
    first = SourceRun("club", NOON, LATER, 5, 1, 2, 3, 4, None)
    last = replace(first, started=LATER, error="It is shut.")
    feed = replace(first, source="a feed")
    for run in (first, feed, last):
        ledger.source_ran(run)
    assert ledger.source_runs() == {"a feed": feed, "club": last}


# What runs did


def test_a_run_is_told_with_its_steps(ledger: Ledger) -> None:
    run = ledger.begin_run("daily", DAY, NOON)
    assert (run.id, run.state, run.ended, run.steps) == ("20261123T120000Z", "running", None, ())
    ledger.begin_step(run.id, "collect", NOON)
    ledger.finish_step(run.id, "collect", LATER, "done", {"photos": 3})
    ledger.begin_step(run.id, "align", LATER)
    running = ledger.run(run.id)
    assert running
    assert [(one.name, one.outcome, one.ended, one.detail) for one in running.steps] == [
        ("collect", "done", LATER, {"photos": 3}),
        ("align", None, None, {}),
    ]
    assert (running.outcome("collect"), running.outcome("align"), running.outcome("train")) == ("done", None, None)
    ledger.finish_step(run.id, "align", LATER, "failed")
    done = ledger.finish_run(run.id, LATER, "failed")
    assert (done.state, done.ended, done.date, done.outcome("align")) == ("failed", LATER, DAY, "failed")
    assert ledger.run(run.id) == done
    assert ledger.run("no such run") is None


def test_a_run_that_was_killed_is_gone_on_with(ledger: Ledger, tmp_path: Path) -> None:
    assert ledger.unfinished("daily") is None
    ledger.begin_run("other", DAY, NOON)
    run = ledger.begin_run("daily", DAY, NOON + timedelta(seconds=1))
    ledger.begin_step(run.id, "collect", NOON)
    ledger.finish_step(run.id, "collect", NOON, "done")
    ledger.begin_step(run.id, "align", NOON)
    ledger.close()
    with Ledger.open(tmp_path / "ledger.sqlite") as again:
        found = again.unfinished("daily")
        assert found and found.id == run.id
        assert again.resume_run(run.id) == found
        again.begin_step(run.id, "align", LATER)
        again.finish_step(run.id, "align", LATER, "skipped")
        finished = again.finish_run(run.id, LATER, "done")
        assert [(one.name, one.started, one.outcome) for one in finished.steps] == [
            ("collect", NOON, "done"),
            ("align", LATER, "skipped"),
        ]
        assert again.unfinished("daily") is None


def test_an_old_run_that_was_given_up_is_not_gone_on_with(ledger: Ledger) -> None:
    ledger.begin_run("daily", DAY, NOON)
    new = ledger.begin_run("daily", DAY, LATER)
    ledger.finish_run(new.id, LATER, "done")
    assert ledger.unfinished("daily") is None


def test_a_clock_that_was_set_back_hides_no_run(ledger: Ledger) -> None:
    ahead = ledger.begin_run("daily", DAY, NOON + timedelta(days=400))
    ledger.finish_run(ahead.id, LATER, "done")
    killed = ledger.begin_run("daily", DAY, NOON)
    assert ledger.unfinished("daily") == killed
    assert [run.id for run in ledger.runs()] == [killed.id, ahead.id]


def test_runs_come_newest_first_and_their_ids_sort_by_time(ledger: Ledger) -> None:
    ids = [ledger.begin_run("daily", DAY, NOON + timedelta(seconds=second)).id for second in (0, 0, 0, 7)]
    assert ids == ["20261123T120000Z", "20261123T120000Z-2", "20261123T120000Z-3", "20261123T120007Z"]
    assert ids == sorted(ids)
    assert [run.id for run in ledger.runs()] == ids[::-1]
    assert [run.id for run in ledger.runs(2)] == ids[:1:-1]


def test_a_run_that_was_never_begun_is_a_bug(ledger: Ledger) -> None:
    with pytest.raises(KeyError):
        ledger.finish_run("no such run", NOON, "done")


# Which model was in use


def test_promotions_come_last_first(ledger: Ledger) -> None:
    assert ledger.promotions() == ()
    ledger.promoted("v2", NOON, "daily", "v1")
    ledger.promoted("v1", NOON, "rollback", "v2")
    ledger.promoted("v3", LATER, "daily", None)
    assert ledger.promotions() == (
        Promotion("v3", LATER, "daily", None),
        Promotion("v1", NOON, "rollback", "v2"),
        Promotion("v2", NOON, "daily", "v1"),
    )


# The file


def test_a_damaged_ledger_is_not_to_be_deleted(tmp_path: Path) -> None:
    file = tmp_path / "ledger.sqlite"
    file.write_bytes(b"no database" * 1000)
    with pytest.raises(AlbumError, match=r"is not a ledger, or is damaged.*backup.*cannot be computed again") as caught:
        Ledger.open(file)
    assert "-wal" in caught.value.remedy
    assert not {"remove", "delete"} & set(caught.value.remedy.split())


WRITER = """
import sys
from dataclasses import replace
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_ledger import A
from mien.records.ledger import Ledger
with Ledger.open(Path(sys.argv[1])) as ledger:
    for i in range(100000):
        ledger.record([replace(A, location=f"{i}/{n}", sha256=f"{i:060}{n:04}") for n in range(5)])
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
    with Ledger.open(file) as ledger:
        locations = {fetch.location for fetch in ledger.photos_of("club")}
    assert {f"{i}/{n}" for i in finished for n in range(5)} <= locations
    assert len(locations) % 5 == 0
