"""Where photos came from, how sources fared, which model was in use: `mien.records.history`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone

import pytest

from mien.records.history import HAND, UNREAD, FailedFetch, Fetch, History, Promotion, SourceRun
from mien.records.ledger import Ledger
from mien.storage.layout import Place
from mien.text.fetching import FetchFault, SourceFault
from mien.text.photos import PhotoFault

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
    B, location="https://club.example/p", sha256="c" * 64, outcome="refused", path="", fault=PhotoFault.EMPTY, phash=""
)
ADDED = replace(A, source=HAND, location="/camera/a.jpg", path="training-images/Zoë/a.jpg")
FAILED = FailedFetch("club", "https://club.example/x.jpg", "bob", FetchFault.GONE, NOON)


@pytest.fixture
def ledger(place_of: Callable[[str], Place]) -> Iterator[Ledger]:
    with Ledger.for_writing(place_of("ledger")) as ledger:
        ledger.people.enter(["Zoë", "bob"], "personal", NOON)
        yield ledger


@pytest.fixture
def history(ledger: Ledger) -> History:
    return ledger.history


# What was fetched


def test_what_was_fetched_is_known_by_its_place_and_by_its_bytes(history: History) -> None:
    again = replace(A, source="other", outcome="duplicate")
    history.record([B, A, PAGE, again])
    assert history.fetch("club", A.location) == A
    assert history.fetch("club", PAGE.location) == PAGE
    assert history.fetch("club", "elsewhere") is None
    assert history.fetch("nobody", A.location) is None
    assert history.provenance(A.sha256) == (A, again)
    assert history.provenance("d" * 64) == ()
    assert (history.count("club"), history.count("other"), history.count("nobody")) == (2, 1, 0)


def test_what_once_lay_at_a_place_is_remembered_when_it_changes(history: History) -> None:
    changed = replace(A, sha256="d" * 64, path=A.path.replace("a.jpg", "a-2.jpg"), stamp='"2"')
    history.record([A])
    history.record([changed])
    assert history.fetch("club", A.location) == changed
    assert (history.provenance(A.sha256), history.provenance(changed.sha256)) == ((A,), (changed,))
    back = replace(A, stamp='"3"', checked_at=LATER)
    history.record([back])
    assert history.fetch("club", A.location) == back
    assert (history.provenance(A.sha256), history.provenance(changed.sha256)) == ((back,), (changed,))
    assert history.count("club") == 2


def test_what_lies_at_a_place_may_be_filed_under_another_person(history: History) -> None:
    history.record([A])
    moved = replace(A, person="bob", path=A.path.replace("Zoë", "bob"), stamp='"2"')
    history.record([moved])
    assert history.fetch("club", A.location) == moved
    assert history.known("club") == {A.location: ("bob", '"2"', DAY, None)}
    assert set(history.provenance(A.sha256)) == {A, moved}
    assert history.photos() == {("Zoë", A.sha256): A.path, ("bob", A.sha256): moved.path}
    assert history.count("club") == 1, "it is one photo"


def test_what_is_added_by_hand_is_a_fetch_too(history: History) -> None:
    twice = replace(ADDED, person="bob", path="training-images/bob/a.jpg", fetched_at=LATER, checked_at=LATER)
    history.record([A, ADDED])
    history.record([twice])
    assert set(history.provenance(A.sha256)) == {A, ADDED, twice}
    assert history.fetch(HAND, ADDED.location) == twice
    assert history.photos() == {("Zoë", A.sha256): A.path}, "of what sources brought"


def test_whose_photos_the_album_has(history: History) -> None:
    assert history.photos() == {}
    history.record([A, PAGE, replace(A, source="other", outcome="duplicate"), replace(B, sha256=A.sha256)])
    assert history.photos() == {("Zoë", A.sha256): A.path, ("bob", A.sha256): B.path}


def test_what_tells_whether_to_fetch_again(history: History) -> None:
    history.record([A, PAGE])
    history.record([replace(A, sha256="d" * 64, stamp='"2"', checked_at=LATER)])
    assert history.known("club") == {A.location: ("Zoë", '"2"', DAY, None), PAGE.location: ("bob", '"1"', DAY, DAY)}
    assert history.known("other") == {}


@pytest.mark.parametrize("fault", [*PhotoFault, ""])
def test_what_was_no_picture_may_be_one_another_time(history: History, fault: str) -> None:
    history.record([replace(PAGE, fault=fault)])
    [known] = history.known("club").values()
    lasting = {"unsupported", "missing-extra", "bomb", "tool"}
    assert bool(known.refused_on) is (not fault or PhotoFault.of(fault).group not in lasting)


def test_what_was_placed_on_a_shelf(history: History) -> None:
    other = replace(A, location="o", sha256="e" * 64, path="2026-11-24-training-images/Zoë/a.jpg")
    double = replace(A, location="d", sha256=A.sha256, outcome="duplicate")
    near = [
        replace(A, location=ending, sha256="f" * 64, path=f"2026-11-23-training-images{ending}/a.jpg")
        for ending in (".old", "-2", "2", "x")
    ]
    history.record([A, B, PAGE, other, double, *near])
    assert history.placed_on("2026-11-23-training-images") == {(A.path, 1000), (B.path, 1000)}
    assert history.placed_on("2026-11-25-training-images") == frozenset()


def test_a_failure_counts_on_until_it_is_mended(history: History) -> None:
    history.record(failed=[FAILED])
    history.record([A], [replace(FAILED, kind=FetchFault.SERVER, at=LATER)])
    assert history.failures("club") == (replace(FAILED, kind=FetchFault.SERVER, at=LATER, times=2),)
    assert history.failures("other") == ()
    history.record([replace(A, location=FAILED.location)])
    assert history.failures("club") == ()


def test_failures_come_by_location_and_may_be_nobodys(history: History) -> None:
    nobodys = replace(FAILED, person="", location="https://club.example/?", kind=FetchFault.PERSON)
    history.record(failed=[FAILED, nobodys, replace(FAILED, source="other")])
    assert history.failures("club") == (nobodys, FAILED)


def test_a_group_is_recorded_whole_or_not_at_all(history: History) -> None:
    with pytest.raises(UnicodeEncodeError):
        history.record([A, replace(B, path="\udcff")])
    assert history.fetch("club", A.location) is None


@pytest.mark.parametrize(
    ("fetched", "failed"), [([A, replace(B, person="Cy")], []), ([A], [replace(FAILED, person="Cy")])]
)
def test_whoever_was_not_entered_could_not_be_forgotten(
    history: History, fetched: list[Fetch], failed: list[FailedFetch]
) -> None:
    with pytest.raises(KeyError, match="Cy"):
        history.record(fetched, failed)
    assert (history.fetch("club", A.location), history.failures("club")) == (None, ())


def test_times_are_kept_in_utc_to_the_second(history: History) -> None:
    local = datetime(2026, 11, 23, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    history.record([replace(A, fetched_at=local)])
    assert history.provenance(A.sha256)[0].fetched_at == NOON
    assert history.provenance(A.sha256)[0].to_json()["fetched_at"] == "2026-11-23T12:00:00+00:00"


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
        "fault": "",
    }


# What may not be used any more


def test_what_came_from_these_sources_alone(history: History) -> None:
    other = replace(B, source="other", outcome="duplicate", location="o")
    theirs = replace(A, source="fair", location="f", sha256="f" * 64)
    history.record([A, B, PAGE, other, theirs])
    assert history.only_from(["club"]) == [("Zoë", A.sha256)]
    assert history.only_from(["club", "other"]) == [("Zoë", A.sha256), ("bob", B.sha256)]
    assert history.only_from(["other"]) == [], "it placed none"
    assert history.only_from(["fair"]) == [("Zoë", theirs.sha256)]
    assert history.only_from([]) == history.only_from(["nobody"]) == []


def test_the_same_bytes_of_another_person_are_another_photo(history: History) -> None:
    history.record([A, replace(ADDED, person="bob")])
    assert history.only_from(["club"]) == [("Zoë", A.sha256)]


def test_what_is_no_picture_saves_none(history: History) -> None:
    history.record([A, replace(A, source="other", outcome="refused", path="")])
    assert history.only_from(["club"]) == [("Zoë", A.sha256)]


def test_what_was_added_by_hand_as_well_is_spared(history: History) -> None:
    history.record([A, ADDED, B])
    assert history.only_from(["club"]) == [("bob", B.sha256)]


def test_what_the_user_had_already_is_not_taken_for_a_duplicate_from_a_source(history: History) -> None:
    history.record([replace(A, outcome="duplicate", path="training-images/Zoë/a.jpg")])
    assert history.only_from(["club"]) == []
    history.expire(["club"])
    assert history.only_from(["club"]) == []


def test_expiry_is_done_once(history: History) -> None:
    history.record([A, B, PAGE, replace(A, source="other", location="o", sha256="e" * 64)])
    history.expire(["club"])
    assert history.only_from(["club"]) == []
    assert [one.outcome for one in history.provenance(A.sha256)] == ["expired"]
    assert [one.outcome for one in history.provenance(PAGE.sha256)] == ["refused"]
    assert [one.outcome for one in history.provenance("e" * 64)] == ["placed"], "of another source"
    history.record([ADDED])  # the user's own decision
    assert history.only_from(["club"]) == []
    history.expire(["club"])
    assert history.fetch(HAND, ADDED.location) == ADDED
    history.expire([])


def test_where_the_last_day_was_put_off_photos_come_again(history: History) -> None:
    history.record([A, PAGE, replace(B, outcome="duplicate")])
    history.expire(["club"])
    assert history.known("club").keys() == {PAGE.location}
    assert history.photos() == {}, "or what comes would be taken for a duplicate of what is gone"
    history.record([A])
    assert history.known("club").keys() == {PAGE.location, A.location}
    assert history.only_from(["club"]) == [("Zoë", A.sha256)]


def test_a_photo_of_two_sources_goes_when_the_second_is_over_too(history: History) -> None:
    second = replace(A, source="other", location="o", outcome="duplicate")
    history.record([A, second])
    assert history.only_from(["club"]) == []
    history.expire(["club"])
    assert history.fetch("other", "o") == replace(second, outcome="placed")
    assert history.only_from(["other"]) == history.only_from(["club", "other"]) == [("Zoë", A.sha256)]
    history.expire(["other"])
    assert history.only_from(["club", "other"]) == []


def test_a_photo_that_two_sources_brought_goes_when_both_are_over_at_once(history: History) -> None:
    history.record([A, replace(A, source="other", location="o", outcome="duplicate")])
    assert history.only_from(["club", "other"]) == [("Zoë", A.sha256)]
    history.expire(["club", "other"])
    assert {one.outcome for one in history.provenance(A.sha256)} == {"expired"}
    assert history.photos() == {}


# How sources fared


def test_the_last_run_of_each_source(history: History) -> None:
    assert history.source_runs() == {}
    first = SourceRun("club", NOON, LATER, 5, 1, 2, 3, 4, None)
    last = replace(first, started=LATER, fault=SourceFault.UNLISTED)
    feed = replace(first, source="a feed")
    for run in (first, feed, last):
        history.source_ran(run)
    assert history.source_runs() == {"a feed": feed, "club": last}


@pytest.mark.parametrize("kind", [kind for kind in FetchFault if kind.value != UNREAD])
def test_every_fault_of_a_fetch_comes_back(history: History, kind: FetchFault) -> None:
    history.record(failed=[replace(FAILED, kind=kind)])
    assert [one.kind for one in history.failures("club")] == [kind]


@pytest.mark.parametrize("fault", [*SourceFault, None])
def test_every_fault_of_a_source_comes_back(history: History, fault: SourceFault | None) -> None:
    history.source_ran(SourceRun("club", NOON, LATER, 0, 0, 0, 0, 0, fault))
    assert history.source_runs()["club"].fault is fault


# Which model was in use


def test_promotions_come_last_first(history: History) -> None:
    assert history.promotions() == ()
    history.promoted("v2", NOON, "daily", "v1")
    history.promoted("v1", NOON, "rollback", "v2")
    history.promoted("v3", LATER, "daily", None)
    assert history.promotions() == (
        Promotion("v3", LATER, "daily", None),
        Promotion("v1", NOON, "rollback", "v2"),
        Promotion("v2", NOON, "daily", "v1"),
    )


def test_runs_of_sources_do_not_grow_for_ever(history: History, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.records.history.MOST_RUNS", 2)
    for name in ("b", "a", "a", "a", "a"):
        history.source_ran(SourceRun(name, NOON, LATER, 1, 0, 0, 0, 0, None))
    assert list(history.source_runs()) == ["b", "a"], "the one that was asked the longest time ago comes first"
    with history._ledger.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM source_runs").scalar() == 3
