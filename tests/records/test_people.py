"""Who the people are, and that nothing is left of whom is forgotten: `mien.records.people`."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta, timezone
from pathlib import Path

import pytest

from mien.records.history import HAND, FailedFetch, Fetch
from mien.records.ledger import KIND, Ledger
from mien.records.sqlite import SqliteFile
from mien.storage.layout import Place
from mien.text.fetching import FetchFault
from mien.text.findings import FindingKind, StepKind
from mien.types import Finding

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
LATER = NOON + timedelta(days=400)
NFD = unicodedata.normalize("NFD", "José")
# None of the names can be read as hexadecimal digits ("Ada" can): ids are made of those at random.
PEOPLE = ("Ulf", "Ulf Lovelace", "Ann", "Ann Lee", "José", "Zoë")

FETCH = Fetch(
    source="club",
    location="https://club.example/1.jpg",
    person="Ulf",
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
)


@pytest.fixture
def file(place_of: Callable[[str], Place]) -> Place:
    return place_of("ledger")


@pytest.fixture
def ledger(file: Place) -> Iterator[Ledger]:
    with Ledger.for_writing(file) as ledger:
        yield ledger


@pytest.mark.of_files
def test_rows_of_an_older_ledger_may_be_one_person(file: Path) -> None:
    with Ledger.for_writing(file) as ledger:
        first, other = ledger.people.enter(["Ulf Lovelace", "Zoë"], "personal", NOON).values()
        ledger.history.record([replace(FETCH, person="Zoë")])
    with SqliteFile.for_writing(KIND, file) as database, database.transaction(write=True) as connection:
        connection.exec_driver_sql(  # as the first version wrote it
            "UPDATE people SET name = ?, since = ? WHERE id = ?", ("Ulf\u200b Lovelace", "2027", other)
        )
    with Ledger.for_writing(file) as ledger:
        assert ledger.people.id_of("\u200eUlf Lovelace") == first
        assert ledger.people.name_of(other) == "Ulf Lovelace"
        assert ledger.people.enter(["Ulf\u200b Lovelace"], "personal", LATER) == {"Ulf\u200b Lovelace": first}
        assert ledger.history.known("club")[FETCH.location].person == "Ulf Lovelace"
        ledger.people.forget("Ulf Lovelace")
        assert ledger.people.name_of(first) == ledger.people.name_of(other) == ""
    assert b"Lovelace" not in file.read_bytes()


def fill(ledger: Ledger) -> str:
    """Rows of everything about everybody: fetches, failures, and a run with findings, whose id comes back."""
    ledger.people.enter(PEOPLE, "personal", NOON)
    fetches, failures, findings = [], [], []
    for number, person in enumerate(PEOPLE):
        photo, slug = f"training-images/{person}/{person}_2.jpg", person.lower().replace(" ", "-")
        about = replace(FETCH, person=person, sha256=f"{number:064}")
        fetches.append(replace(about, location=f"https://club.example/{slug}.jpg", path=photo))
        fetches.append(replace(about, source=HAND, location=f"/camera/{unicodedata.normalize('NFD', person)}.jpg"))
        failures.append(FailedFetch("club", f"https://club.example/{slug}-gone.jpg", person, FetchFault.GONE, NOON))
        findings.append(Finding(FindingKind.UNREADABLE, (person,), (photo,)))
        findings.append(Finding(FindingKind.FEW, (person,), figures={"different": number, "minimum": 20}))
    first, last = PEOPLE[0], PEOPLE[-1]
    suspect = {"rival": 0.75, "own": 0.5}
    photos = (f"training-images/{last}/1.jpg",)
    findings.append(Finding(FindingKind.WRONG_NAME, (last, first), photos, suspect))
    findings.append(Finding(StepKind.MERGED, figures={"photos": 2}))
    ledger.history.record(fetches, failures)
    run = ledger.runs.begin("daily", date(2026, 11, 23), NOON).id
    ledger.runs.begin_step(run, "check", NOON)
    ledger.runs.finish_step(run, "check", NOON, "done", {"photos": 2}, findings)
    return run


def texts(file: Path) -> Iterator[tuple[str, str, str]]:
    """(table, column, text) of everything in the file that is no number."""
    with closing(sqlite3.connect(file)) as database:
        for (table,) in database.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            columns = [column[1] for column in database.execute(f"PRAGMA table_info({table})")]
            for row in database.execute(f'SELECT * FROM "{table}"'):
                yield from ((table, name, str(value)) for name, value in zip(columns, row, strict=True))


def spellings(name: str) -> list[bytes]:
    return [form.encode() for form in {name, unicodedata.normalize("NFD", name)}]


# Who they are


@pytest.mark.of_files
def test_whoever_is_new_gets_an_id_that_says_nothing(ledger: Ledger, file: Path) -> None:
    ids = ledger.people.enter(["Ann", "Ann Lee", "Ann"], "consent", NOON, {"Ann": date(2027, 1, 31)})
    assert len(set(ids.values())) == 2 and all(len(one) == 16 for one in ids.values())
    assert "Ann" not in "".join(ids.values())
    ann = ledger.people.person("Ann")
    assert ann and (ann.id, ann.name, ann.basis, ann.until, ann.since) == (
        ids["Ann"],
        "Ann",
        "consent",
        date(2027, 1, 31),
        NOON,
    )
    lee = ledger.people.person("Ann Lee")
    assert lee and (lee.id, lee.until) == (ids["Ann Lee"], None)
    assert (ledger.people.id_of("Ann"), ledger.people.name_of(ids["Ann Lee"])) == (ids["Ann"], "Ann Lee")
    with Ledger.for_writing(file.with_name("other.sqlite")) as other:
        assert other.people.enter(["Ann"], "consent", NOON)["Ann"] != ids["Ann"]


def test_nobody_has_no_id(ledger: Ledger) -> None:
    assert (ledger.people.id_of("Ann"), ledger.people.name_of("0" * 16), ledger.people.person("Ann")) == ("", "", None)
    assert ledger.people.enter([], "consent", NOON) == {}


def test_who_is_entered_again_stays_who_they_were(ledger: Ledger, file: Path) -> None:
    ids = ledger.people.enter(["Ann"], "consent", NOON)
    assert ledger.people.enter(["Ann", "Bo"], "another basis", LATER)["Ann"] == ids["Ann"]
    ledger.close()
    with Ledger.for_writing(file) as again:
        assert again.people.enter(["Ann"], "yet another", LATER) == ids
        ann, bo = again.people.person("Ann"), again.people.person("Bo")
    assert ann and (ann.basis, ann.since) == ("consent", NOON)
    assert bo and (bo.basis, bo.since) == ("another basis", LATER)


def test_the_last_day_is_the_one_that_was_known_when_they_came_in(ledger: Ledger) -> None:
    """Whoever came in after a last day, or when there was none, did so by a decision that mien.toml does not undo."""
    first, second = date(2027, 1, 31), date(2028, 1, 31)
    ledger.people.enter(["Ann", "Bo"], "personal", NOON, {"Ann": first, "Cy": first})
    for days in ({"Ann": second, "Bo": first}, {}, None):
        ledger.people.enter(["Ann", "Bo"], "personal", LATER, days)
        ann, bo = ledger.people.person("Ann"), ledger.people.person("Bo")
        assert ann and (ann.until, ann.since) == (first, NOON)
        assert bo and (bo.until, bo.since) == (None, NOON)
    assert ledger.people.person("Cy") is None, "a name in mien.toml alone is nobody"


def test_a_name_is_the_same_however_it_is_spelt(ledger: Ledger) -> None:
    ids = ledger.people.enter([NFD], "personal", NOON, {NFD: date(2027, 1, 31)})
    assert ledger.people.enter(["José"], "personal", NOON, {"José": date(2027, 1, 31)}) == {"José": ids[NFD]}
    assert ledger.people.id_of(NFD) == ledger.people.id_of("José") == ids[NFD]
    jose = ledger.people.person(NFD)
    assert jose and (jose.name, jose.until) == ("José", date(2027, 1, 31))


def test_since_is_kept_in_utc_to_the_second(ledger: Ledger) -> None:
    local = datetime(2026, 11, 23, 14, 0, 0, 999_999, tzinfo=timezone(timedelta(hours=2)))
    ledger.people.enter(["Ann"], "personal", local)
    ann = ledger.people.person("Ann")
    assert ann and ann.since == NOON


def test_the_ids_of_a_reader_are_those_of_the_writer(ledger: Ledger, file: Path) -> None:
    ids = ledger.people.enter(["Ann"], "personal", NOON)
    with Ledger.for_reading(file) as reader:
        assert reader.people.id_of("Ann") == ids["Ann"]
        ledger.people.enter(["Bo"], "personal", NOON)
        assert reader.people.id_of("Bo") == "", "it is as it was when it was opened"


# Privacy


@pytest.mark.of_files
def test_names_stand_in_one_table_and_in_paths_of_rows_with_an_id(ledger: Ledger, file: Path) -> None:
    fill(ledger)
    named = {
        (table, column)
        for table, column, text in texts(file)
        if any(name.lower() in unicodedata.normalize("NFC", text).lower() for name in PEOPLE)
    }
    assert named == {
        ("people", "name"),
        ("fetches", "path"),
        ("fetches", "location"),
        ("failures", "location"),
        ("findings", "photos"),
    }
    owned = {
        table: {text for each, column, text in texts(file) if (each, column) == (table, "person")}
        for table in ("fetches", "failures")
    }
    assert owned["fetches"] == owned["failures"] == {ledger.people.id_of(name) for name in PEOPLE}


@pytest.mark.of_files
@pytest.mark.parametrize("person", PEOPLE)
def test_whoever_is_forgotten_leaves_no_trace_and_takes_nobody_along(ledger: Ledger, file: Path, person: str) -> None:
    run = fill(ledger)
    before = {name: rows(ledger, run, name) for name in PEOPLE}
    gone = ledger.people.id_of(person)
    ledger.people.forget(unicodedata.normalize("NFD", person))
    for name in PEOPLE:
        both = [finding for finding in before[name][2] if person in finding.people]  # the one about two people
        left = (before[name][0], before[name][1], [one for one in before[name][2] if one not in both])
        assert rows(ledger, run, name) == (((), (), []) if name == person else left)
    assert (ledger.people.id_of(person), ledger.people.name_of(gone), ledger.people.person(person)) == ("", "", None)
    found = ledger.runs.run(run)
    assert found and found.steps[0].findings[-1] == Finding(StepKind.MERGED, figures={"photos": 2})
    everything = [one.read_bytes() for one in file.parent.iterdir()]
    ledger.close()
    everything.append(file.read_bytes())
    for data in everything:
        assert gone.encode() not in data
        for other in PEOPLE:
            if person in other and person != other:  # "Ann" is a part of "Ann Lee", who stays
                data = data.replace(other.encode(), b"").replace(other.lower().replace(" ", "-").encode(), b"")
        for spelling in spellings(person):
            assert spelling not in data and spelling.lower() not in data


def rows(ledger: Ledger, run: str, person: str) -> tuple[tuple[Fetch, ...], tuple[FailedFetch, ...], list[Finding]]:
    """What the ledger knows of a person: fetches, failures and findings."""
    fetches = ledger.history.provenance(f"{PEOPLE.index(person):064}")
    failures = tuple(one for one in ledger.history.failures("club") if one.person == person)
    found = ledger.runs.run(run)
    assert found
    return fetches, failures, [one for one in found.steps[0].findings if person in one.people]


def test_each_of_the_rows_is_there_before_somebody_is_forgotten(ledger: Ledger) -> None:
    run = fill(ledger)
    for person in PEOPLE:
        fetches, failures, findings = rows(ledger, run, person)
        assert (len(fetches), len(failures)) == (2, 1)
        assert len(findings) == (3 if person in ("Ulf", "Zoë") else 2)


def test_who_comes_again_after_being_forgotten_is_somebody_new(ledger: Ledger) -> None:
    old = ledger.people.enter(["Ann"], "consent", NOON)["Ann"]
    ledger.people.forget("Ann")
    new = ledger.people.enter(["Ann"], "another", LATER)["Ann"]
    ann = ledger.people.person("Ann")
    assert new != old and ann and (ann.basis, ann.since) == ("another", LATER)


def test_to_forget_nobody_does_no_harm(ledger: Ledger) -> None:
    run = fill(ledger)
    before = ledger.runs.run(run)
    for name in ("An", "Nobody", "", "%", "ann"):
        ledger.people.forget(name)
    assert ledger.runs.run(run) == before
    assert all(ledger.people.id_of(name) for name in PEOPLE)
