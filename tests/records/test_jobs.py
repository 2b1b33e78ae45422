"""Jobs of a server: asked for, started once, ended, cancelled, and taken over where a process is gone."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest
import sqlalchemy as sa

from mien.records import jobs
from mien.records.access import Access
from mien.records.jobs import MOST_TRIES, Job
from mien.storage.layout import Place

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LATER = NOON + timedelta(hours=1)


@pytest.fixture
def file(place_of: Callable[[str], Place]) -> Place:
    return place_of("access")


@pytest.fixture
def access(file: Place) -> Iterator[Access]:
    with Access.for_writing(file) as access:
        yield access


def started(access: Access, verb: str = "train") -> Job:
    access.jobs.ask(verb, "desk", NOON)
    job = access.jobs.start_next(NOON)
    assert job and job.verb == verb
    return job


def again(access: Access, job: Job) -> Job:
    found = access.jobs.job(job.id)
    assert found
    return found


def test_jobs_start_in_the_order_in_which_they_were_asked_for(access: Access) -> None:
    assert access.jobs.start_next(NOON) is None
    one = access.jobs.ask("align", "desk", NOON, {"keep_encoder": True})
    other = access.jobs.ask("train", "night", NOON)
    assert (one.verb, one.key, one.options, one.asked) == ("align", "desk", {"keep_encoder": True}, NOON)
    assert (one.state, one.started, one.tries, one.is_over) == ("waiting", None, 0, False)
    first = access.jobs.start_next(LATER)
    assert first and first.id == one.id
    assert (first.state, first.started, first.tries) == ("running", LATER, 1) and first.pid
    assert access.jobs.start_next(LATER) is None, "while it runs"
    access.jobs.finish(first.id, LATER, "done", 0)
    second = access.jobs.start_next(LATER)
    assert second and second.id == other.id
    access.jobs.finish(second.id, LATER, "done", 0)
    assert access.jobs.start_next(LATER) is None, "none waits"


def test_others_are_told_how_far_a_job_is_while_it_runs(access: Access, file: Path) -> None:
    job = started(access)
    assert job.progress is None
    access.jobs.tell(job.id, {"step": "align", "done": 2, "of": 9})
    with Access.for_writing(file) as elsewhere:
        assert again(elsewhere, job).progress == {"step": "align", "done": 2, "of": 9}
        elsewhere.jobs.tell(job.id, {"step": "not mine"})
    assert again(access, job).progress == {"step": "align", "done": 2, "of": 9}
    access.jobs.give_back(job.id)
    assert again(access, job).progress is None
    assert access.jobs.start_next(LATER)
    access.jobs.tell(job.id, {"step": "align", "done": 3, "of": 9})
    access.jobs.finish(job.id, LATER, "done", 0)
    assert again(access, job).progress is None


def test_a_list_of_jobs_reads_no_result(access: Access) -> None:
    job = started(access)
    access.jobs.finish(job.id, LATER, "done", 0, {"people": ["Ada"]})
    read: list[str] = []
    with access._database.transaction() as connection:
        sa.event.listen(connection, "before_cursor_execute", lambda *given: read.append(given[2]))
    assert [one.id for one in access.jobs.last()] == [job.id]
    assert [query for query in read if "FROM jobs" in query] and not any("result" in query for query in read)
    assert access.jobs.result(job.id) == {"people": ["Ada"]} and access.jobs.result("none") is None


def test_what_came_of_a_job_is_kept(access: Access, file: Path) -> None:
    job = started(access)
    access.jobs.is_run(job.id, "2026-11-26-001")
    access.jobs.finish(job.id, LATER, "done", 0, {"version": "2026-11-26-001"})
    with Access.for_reading(file) as elsewhere:
        found = again(elsewhere, job)
    assert (found.state, found.ended, found.code, found.is_over) == ("done", LATER, 0, True)
    assert access.jobs.result(job.id) == {"version": "2026-11-26-001"}
    assert found.run == "2026-11-26-001"


def test_a_result_that_is_too_long_is_not_kept(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(jobs, "MOST_BYTES", 20)
    job = started(access)
    access.jobs.finish(job.id, LATER, "failed", 11, {"why": "x" * 20})
    assert (again(access, job).state, access.jobs.result(job.id)) == ("failed", None)


def test_a_job_that_waits_is_cancelled_at_once_and_one_that_runs_is_asked_to_end(access: Access) -> None:
    running, waiting = started(access), access.jobs.ask("daily", "desk", NOON)
    cancelled, asked = access.jobs.cancel(waiting.id, LATER), access.jobs.cancel(running.id, LATER)
    assert cancelled and (cancelled.state, cancelled.ended) == ("cancelled", LATER)
    assert asked and (asked.state, asked.cancel) == ("running", True)
    assert access.jobs.start_next(LATER) is None
    access.jobs.finish(running.id, LATER, "cancelled", 130)
    over = access.jobs.cancel(running.id, LATER + timedelta(hours=1))
    assert over and (over.state, over.ended) == ("cancelled", LATER)
    assert access.jobs.cancel("none", LATER) is None


def test_the_last_jobs_come_newest_first_page_by_page(access: Access) -> None:
    ids = [access.jobs.ask("train", "desk", NOON - timedelta(hours=number)).id for number in range(5)]
    first = access.jobs.last(2)
    assert [job.id for job in first] == [ids[4], ids[3]], "in the order of asking: clocks are set back"
    assert [job.id for job in access.jobs.last(2, before=first[-1].id)] == [ids[2], ids[1]]
    assert [job.id for job in access.jobs.last(2, before=ids[1])] == [ids[0]]
    assert access.jobs.last(2, before=ids[0]) == () == access.jobs.last(2, before="none")


def test_there_are_not_more_jobs_than_may_be_and_none_goes_that_is_not_over(
    access: Access, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(jobs, "MOST_JOBS", 2)
    access.jobs.finish(started(access).id, NOON, "done", 0)
    running = started(access)
    later = [access.jobs.ask("train", "desk", NOON).id for _ in range(2)]
    assert [job.id for job in access.jobs.last()] == [*reversed(later), running.id]


def test_no_two_processes_start_one_job(access: Access, file: Path) -> None:
    for _ in range(4):
        access.jobs.ask("align", "desk", NOON)
    gate, found = Barrier(2), []

    def run() -> None:
        with Access.for_writing(file) as elsewhere:
            gate.wait()
            while not all(job.is_over for job in elsewhere.jobs.last()):
                if job := elsewhere.jobs.start_next(NOON):
                    found.append(job.id)
                    elsewhere.jobs.finish(job.id, NOON, "done", 0)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(found) == sorted(job.id for job in access.jobs.last())


def test_a_job_whose_process_is_gone_waits_again(access: Access, file: Path) -> None:
    with Access.for_writing(file) as elsewhere:
        theirs = started(elsewhere, "daily")
        assert access.jobs.take_over(LATER) == (), "its process lives"
    assert [(job.id, job.state) for job in access.jobs.take_over(LATER)] == [(theirs.id, "waiting")]
    job = access.jobs.start_next(LATER)
    assert job and (job.id, job.tries) == (theirs.id, 2)
    assert access.jobs.take_over(LATER) == (), "it runs here by now"


def test_a_job_that_was_to_end_is_cancelled_when_its_process_is_gone(access: Access, file: Path) -> None:
    with Access.for_writing(file) as elsewhere:
        job = started(elsewhere, "align")
        elsewhere.jobs.cancel(job.id, NOON)
    (taken,) = access.jobs.take_over(LATER)
    assert (taken.id, taken.state, taken.ended) == (job.id, "cancelled", LATER)
    assert access.jobs.start_next(LATER) is None


def test_a_job_that_takes_its_process_down_each_time_fails_in_the_end(access: Access, file: Path) -> None:
    job = access.jobs.ask("train", "desk", NOON)
    for _ in range(MOST_TRIES):
        with Access.for_writing(file) as elsewhere:
            assert elsewhere.jobs.start_next(NOON)
        (taken,) = access.jobs.take_over(LATER)
    assert (taken.id, taken.state, taken.ended, taken.tries) == (job.id, "failed", LATER, MOST_TRIES)
    assert access.jobs.start_next(LATER) is None


def test_a_job_that_was_taken_over_is_not_ended_by_who_had_it(access: Access, file: Path) -> None:
    with Access.for_writing(file) as elsewhere:
        job = started(elsewhere)
    access.jobs.take_over(LATER)
    assert access.jobs.start_next(LATER)
    with Access.for_writing(file) as elsewhere:
        elsewhere.jobs.finish(job.id, LATER, "failed", 1)
    assert again(access, job).state == "running"


def test_when_somebody_is_forgotten_no_result_has_a_name(access: Access, file: Path) -> None:
    done = started(access)
    access.jobs.finish(done.id, NOON, "done", 0, {"people": ["Zephyrine"]})
    running = started(access)
    waiting = access.jobs.ask("daily", "desk", NOON)
    with Access.for_writing(file) as elsewhere:
        elsewhere.forget()
    access.jobs.finish(running.id, LATER, "done", 0, {"people": ["Zephyrine"]})
    assert access.jobs.start_next(LATER)
    access.jobs.finish(waiting.id, LATER, "done", 0, {"people": ["Ada"]})
    assert [access.jobs.result(job.id) for job in (done, running, waiting)] == [None, None, {"people": ["Ada"]}]
    for each in file.parent.iterdir() if isinstance(file, Path) else ():
        assert b"Zephyrine" not in each.read_bytes(), each.name
