"""What runs did, step by step: `mien.records.runs`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta

import pytest

from mien.records.ledger import Ledger
from mien.records.runs import Runs
from mien.storage.layout import Place
from mien.text.fetching import FetchFault, SourceFault
from mien.text.findings import ErrorKind, FindingKind, StepKind
from mien.text.kinds import Kind
from mien.text.models import GateKind, IncomparableKind
from mien.types import Finding

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY = date(2026, 11, 23)
LATER = NOON + timedelta(minutes=5)

SUSPECT = Finding(
    FindingKind.SUSPECT,
    ("Zoë", "bob"),
    ("2026-11-23-training-images/Zoë/1.jpg", '2026-11-23-training-images/Zoë/2 – "x".jpg'),
    {"rival": 0.75, "own": 0.5},
)
MERGED = Finding(StepKind.MERGED, figures={"photos": 2})
KEPT_OUT = Finding(StepKind.KEPT_OUT, figures={"version": "2026-11-23-001", "champion": "2026-11-22-001"})


@pytest.fixture
def ledger(place_of: Callable[[str], Place]) -> Iterator[Ledger]:
    with Ledger.for_writing(place_of("ledger")) as ledger:
        ledger.people.enter(["Zoë", "bob"], "personal", NOON)
        yield ledger


@pytest.fixture
def runs(ledger: Ledger) -> Runs:
    return ledger.runs


def test_a_run_is_told_with_its_steps(runs: Runs) -> None:
    run = runs.begin("daily", DAY, NOON)
    assert (run.id, run.state, run.ended, run.steps) == ("20261123T120000Z", "running", None, ())
    runs.begin_step(run.id, "collect", NOON)
    runs.finish_step(run.id, "collect", LATER, "done", {"photos": 3})
    runs.begin_step(run.id, "align", LATER)
    running = runs.run(run.id)
    assert running
    assert [(one.name, one.outcome, one.ended, one.figures, one.findings) for one in running.steps] == [
        ("collect", "done", LATER, {"photos": 3}, ()),
        ("align", None, None, {}, ()),
    ]
    collect, align = running.step("collect"), running.step("align")
    assert collect and align and (collect.outcome, align.outcome, running.step("train")) == ("done", None, None)
    runs.finish_step(run.id, "align", LATER, "failed")
    done = runs.finish(run.id, LATER, "failed")
    assert (done.state, done.ended, done.date, done.steps[1].outcome) == ("failed", LATER, DAY, "failed")
    assert runs.run(run.id) == done
    assert runs.run("no such run") is None


def test_a_run_that_was_killed_is_gone_on_with(ledger: Ledger, place_of: Callable[[str], Place]) -> None:
    runs = ledger.runs
    assert runs.unfinished("daily") is None
    runs.begin("other", DAY, NOON)
    run = runs.begin("daily", DAY, NOON + timedelta(seconds=1))
    runs.begin_step(run.id, "collect", NOON)
    runs.finish_step(run.id, "collect", NOON, "done", {"photos": 3}, [MERGED])
    runs.begin_step(run.id, "align", NOON)
    ledger.close()
    with Ledger.for_writing(place_of("ledger")) as opened:
        again = opened.runs
        found = again.unfinished("daily")
        assert found and found.id == run.id
        assert again.resume(run.id) == found
        again.begin_step(run.id, "align", LATER)
        again.finish_step(run.id, "align", LATER, "failed")
        finished = again.finish(run.id, LATER, "done")
        assert [(one.name, one.started, one.outcome, one.findings) for one in finished.steps] == [
            ("collect", NOON, "done", (MERGED,)),
            ("align", LATER, "failed", ()),
        ]
        assert again.unfinished("daily") is None


def test_an_old_run_that_was_given_up_is_not_gone_on_with(runs: Runs) -> None:
    runs.begin("daily", DAY, NOON)
    new = runs.begin("daily", DAY, LATER)
    runs.finish(new.id, LATER, "done")
    assert runs.unfinished("daily") is None


def test_a_clock_that_was_set_back_hides_no_run(runs: Runs) -> None:
    ahead = runs.begin("daily", DAY, NOON + timedelta(days=400))
    runs.finish(ahead.id, LATER, "done")
    killed = runs.begin("daily", DAY, NOON)
    assert runs.unfinished("daily") == killed
    assert [run.id for run in runs.last()] == [killed.id, ahead.id]


def test_runs_come_newest_first_and_their_ids_sort_by_time(runs: Runs) -> None:
    ids = [runs.begin("daily", DAY, NOON + timedelta(seconds=second)).id for second in (0, 0, 0, 7)]
    assert ids == ["20261123T120000Z", "20261123T120000Z-2", "20261123T120000Z-3", "20261123T120007Z"]
    assert ids == sorted(ids)
    assert [run.id for run in runs.last()] == ids[::-1]
    assert [run.id for run in runs.last(2)] == ids[:1:-1]


def test_a_run_that_was_never_begun_is_a_bug(runs: Runs) -> None:
    with pytest.raises(KeyError):
        runs.finish("no such run", NOON, "done")


# What was found


def test_findings_come_back_as_they_were_and_in_their_order(ledger: Ledger, place_of: Callable[[str], Place]) -> None:
    run = ledger.runs.begin("daily", DAY, NOON).id
    found = [SUSPECT, MERGED, KEPT_OUT, MERGED]
    for step in ("check", "merge"):
        ledger.runs.begin_step(run, step, NOON)
    ledger.runs.finish_step(run, "merge", NOON, "done", {"moved": 2}, found[::-1])
    ledger.runs.finish_step(run, "check", NOON, "done", {"model": None, "sure": True}, found)
    ledger.close()
    with Ledger.for_reading(place_of("ledger")) as again:
        told = again.runs.run(run)
    assert told and [step.findings for step in told.steps] == [tuple(found), tuple(found[::-1])]
    assert [step.figures for step in told.steps] == [{"model": None, "sure": True}, {"moved": 2}]
    assert told.steps[0].needs_human == (SUSPECT, KEPT_OUT)
    assert told.steps[0].line == "2 photos merged; 2 photos merged"
    assert [one.kind for one in told.steps[0].findings] == [one.kind for one in found]
    assert type(told.steps[0].findings[0].kind) is FindingKind


def test_a_step_of_which_all_needs_a_human_says_that(runs: Runs) -> None:
    run = runs.begin("daily", DAY, NOON).id
    runs.begin_step(run, "check", NOON)
    runs.finish_step(run, "check", NOON, "done", found=[SUSPECT])
    told = runs.run(run)
    assert told and told.steps[0].line == "the face is bob's (0.750) rather than Zoë's (0.500)"


def test_a_step_that_is_begun_anew_has_found_nothing_yet(runs: Runs) -> None:
    run = runs.begin("daily", DAY, NOON).id
    for step in ("check", "merge"):
        runs.begin_step(run, step, NOON)
        runs.finish_step(run, step, NOON, "failed", {"photos": 1}, [MERGED])
    runs.begin_step(run, "check", LATER)
    told = runs.run(run)
    assert told and [(one.outcome, one.ended, one.figures, one.findings) for one in told.steps] == [
        (None, None, {}, ()),
        ("failed", NOON, {"photos": 1}, (MERGED,)),
    ]
    runs.finish_step(run, "check", LATER, "done", {}, [KEPT_OUT])
    told = runs.run(run)
    assert told and told.steps[0].findings == (KEPT_OUT,)


def test_whoever_was_not_entered_has_no_name_in_what_was_found(runs: Runs) -> None:
    """The gate may speak of somebody of whom the model in use knows and the album does not."""
    run = runs.begin("daily", DAY, NOON).id
    runs.begin_step(run, "check", NOON)
    runs.finish_step(run, "check", NOON, "done", found=[Finding(FindingKind.NOT_CHOSEN, ("Cy",))])
    told = runs.run(run)
    assert told and told.steps[0].findings == (Finding(FindingKind.NOT_CHOSEN, ("",)),)


@pytest.mark.parametrize(
    "kinds", [FindingKind, StepKind, ErrorKind, GateKind, IncomparableKind, SourceFault, FetchFault]
)
def test_every_kind_of_finding_comes_back(runs: Runs, kinds: type[Kind]) -> None:
    run = runs.begin("daily", DAY, NOON).id
    runs.begin_step(run, "check", NOON)
    found = [Finding(kind) for kind in kinds]
    runs.finish_step(run, "check", NOON, "done", found=found)
    told = runs.run(run)
    assert told and [type(one.kind) for one in told.steps[0].findings] == [kinds] * len(found)
    assert told.steps[0].findings == tuple(found)


def test_runs_do_not_grow_for_ever(runs: Runs, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.records.runs.MOST_RUNS", 3)
    for number in range(6):
        run = runs.begin("daily", DAY, NOON + timedelta(days=number))
        runs.begin_step(run.id, "check", NOON)
        runs.finish_step(run.id, "check", NOON, "done", {}, [MERGED])
    assert [run.started.day for run in runs.last()] == [28, 27, 26]
    assert all(run.steps[0].findings == (MERGED,) for run in runs.last())
