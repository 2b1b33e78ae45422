"""Who changed what: written when a change begins, and ended when it has, without a name of anybody."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mien.records import events
from mien.records.ledger import Ledger
from mien.storage.layout import Place
from mien.types import By

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
LATER = NOON + timedelta(minutes=1)
DESK = By("desk", "r-1")


@pytest.fixture
def file(place_of: Callable[[str], Place]) -> Place:
    return place_of("ledger")


@pytest.fixture
def ledger(file: Place) -> Iterator[Ledger]:
    with Ledger.for_writing(file) as ledger:
        ledger.people.enter(["Ada", "Zephyrine"], "personal", NOON)
        yield ledger


def test_a_change_is_told_with_what_came_of_it(ledger: Ledger) -> None:
    event = ledger.events.begin(DESK, "remove", "Ada", NOON)
    (begun,) = ledger.events.last()
    assert (begun.at, begun.by, begun.verb, begun.person) == (NOON, DESK, "remove", "Ada")
    assert (begun.ended, begun.outcome, begun.version) == (None, None, None)
    ledger.events.end(event, "Ada", LATER, "done", "2026-11-26-002")
    (ended,) = ledger.events.last()
    assert (ended.ended, ended.outcome, ended.version) == (LATER, "done", "2026-11-26-002")
    assert ended.to_json() == {
        "at": "2026-11-26T12:00:00+00:00",
        "ended": "2026-11-26T12:01:00+00:00",
        "key": "desk",
        "request": "r-1",
        "verb": "remove",
        "person": "Ada",
        "outcome": "done",
        "version": "2026-11-26-002",
    }


def test_somebody_who_is_new_is_named_when_the_change_ends(ledger: Ledger) -> None:
    event = ledger.events.begin(DESK, "add", "Bo", NOON)
    assert ledger.events.last()[0].person == ""
    ledger.people.enter(["Bo"], "personal", NOON)
    ledger.events.end(event, "Bo", LATER, "done", None)
    assert ledger.events.last()[0].person == "Bo"


def test_a_change_that_was_never_ended_was_interrupted(ledger: Ledger) -> None:
    ledger.events.begin(DESK, "train", "", NOON)
    ledger.events.begin(By(), "train", "", LATER)
    assert [(one.by.key, one.outcome) for one in ledger.events.last()] == [("", None), ("desk", "interrupted")]


def test_the_last_changes_come_newest_first_page_by_page(ledger: Ledger) -> None:
    for verb in ("add", "align", "train"):
        ledger.events.end(ledger.events.begin(DESK, verb, "", NOON), "", NOON, "done", None)
    first = ledger.events.last(2)
    assert [one.verb for one in first] == ["train", "align"]
    assert [one.verb for one in ledger.events.last(2, first[-1].id)] == ["add"]


def test_there_are_not_more_than_may_be(ledger: Ledger, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "MOST_EVENTS", 2)
    for verb in ("add", "align", "train"):
        ledger.events.begin(DESK, verb, "", NOON)
    assert [one.verb for one in ledger.events.last()] == ["train", "align"]


@pytest.mark.of_files
def test_of_whoever_is_forgotten_it_is_known_that_something_was_done(ledger: Ledger, file: Path) -> None:
    ledger.events.end(ledger.events.begin(DESK, "add", "Zephyrine", NOON), "Zephyrine", NOON, "done", None)
    event = ledger.events.begin(DESK, "remove", "Zephyrine", NOON)
    ledger.forget("Zephyrine")
    ledger.events.end(event, "Zephyrine", LATER, "done", None)
    assert [(one.verb, one.person, one.outcome) for one in ledger.events.last()] == [
        ("remove", "", "done"),
        ("add", "", "done"),
    ]
    ledger.close()
    assert b"Zephyrine" not in file.read_bytes()
