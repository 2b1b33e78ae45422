"""Who was removed, by every spelling of the name, and after the name is forgotten: `mien.records.removals`."""

from __future__ import annotations

import sqlite3
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from mien.records.ledger import Ledger
from mien.records.removals import common_form
from mien.storage.layout import Place

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
PEOPLE = ("Ada", "Ann Lee", "José", "李小龙", "कमल")


@pytest.fixture
def file(place_of: Callable[[str], Place]) -> Place:
    return place_of("ledger")


@pytest.fixture
def ledger(file: Place) -> Iterator[Ledger]:
    with Ledger.for_writing(file) as ledger:
        ledger.people.enter(PEOPLE, "personal", NOON)
        yield ledger


def remove(ledger: Ledger, *names: str) -> None:
    for name in names:
        ledger.removals.begin(name, NOON, "aside")
        ledger.removals.finish(name)


def test_nobody_was_removed_from_a_new_album(ledger: Ledger) -> None:
    assert not ledger.removals and ledger.removals.people() == ()
    assert ledger.removals.of("Ada") is None and not ledger.removals.has_photo("Ada", "a" * 64)


@pytest.mark.parametrize(
    ("name", "spelt"),
    [
        ("Ada", "ada"),
        ("Ada", "A\u200bda"),
        ("Ada", "Ａｄａ"),
        ("José", unicodedata.normalize("NFD", "José")),
        ("José", "JOSE"),
        ("Ann Lee", "ann_lee"),
        ("Ann Lee", "Lee, Ann"),
        ("Ann Lee", "Ann\u00a0 Lee"),
        ("Ann Lee", "Ann-Lee"),
    ],
)
def test_another_spelling_is_the_same_person(ledger: Ledger, name: str, spelt: str) -> None:
    remove(ledger, name)
    found = ledger.removals.of(spelt)
    assert found and (found.name, found.at, found.pending) == (name, NOON, None)


@pytest.mark.parametrize(("one", "other"), [("Ann", "Ann Lee"), ("कमल", "कुमल"), ("Ada", "Adam"), ("Ada 1", "Ada 2")])
def test_other_people_are_others(one: str, other: str) -> None:
    assert common_form(one) != common_form(other)


def test_a_name_of_no_letters_is_itself() -> None:
    assert common_form("!!") == "!!" and common_form("-") != common_form("!!")


def test_who_has_the_very_name_goes_before_another_spelling(ledger: Ledger) -> None:
    ledger.people.enter(["Jose"], "personal", NOON)
    remove(ledger, "José", "Jose")
    assert [found.name for name in ("José", "Jose") if (found := ledger.removals.of(name))] == ["José", "Jose"]
    assert ledger.removals.of_exactly("jose") is None


def test_a_removal_that_is_not_finished_says_how_it_was_begun(ledger: Ledger, file: Path) -> None:
    ledger.removals.begin("Ada", NOON, "everywhere")
    with Ledger.for_reading(file) as again:
        assert [(one.name, one.pending) for one in again.removals.people()] == [("Ada", "everywhere")]
    ledger.removals.finish("Ada")
    assert [one.pending for one in ledger.removals.people()] == [None]


def test_photos_are_known_by_whose_they_were(ledger: Ledger) -> None:
    ledger.removals.remove_photos("Ada", ["a" * 64, "b" * 64], NOON)
    assert ledger.removals and ledger.removals.of("Ada") is None
    assert ledger.removals.has_photo("ADA", "a" * 64) and not ledger.removals.has_photo("José", "a" * 64)
    ledger.removals.bring_photos_back("Ada", ["a" * 64])
    assert not ledger.removals.has_photo("Ada", "a" * 64) and ledger.removals.has_photo("Ada", "b" * 64)


def test_who_is_brought_back_was_not_removed(ledger: Ledger) -> None:
    remove(ledger, "Ada", "José")
    ledger.removals.remove_photos("Ada", ["a" * 64], NOON)
    found = ledger.removals.of("ada")
    assert found
    ledger.removals.bring_back(found)
    assert ledger.removals.of("Ada") is None and [one.name for one in ledger.removals.people()] == ["José"]
    assert ledger.removals.has_photo("Ada", "a" * 64), "this photo was taken out for itself"


def test_they_are_told_in_the_order_in_which_they_were_removed(ledger: Ledger) -> None:
    remove(ledger, *reversed(PEOPLE))
    for person in ("José", "Ada"):
        ledger.removals.begin(person, NOON - timedelta(days=1), "deleted")
    assert [one.name for one in ledger.removals.people()] == ["Ada", "José", "Ann Lee", "कमल", "李小龙"]


def test_who_is_removed_again_was_removed_then(ledger: Ledger) -> None:
    remove(ledger, "Ada")
    ledger.removals.begin("Ada", NOON + timedelta(days=1), "deleted")
    assert [(one.at - NOON, one.pending) for one in ledger.removals.people()] == [(timedelta(days=1), "deleted")]


@pytest.mark.of_files
def test_who_was_forgotten_is_still_known_and_their_name_is_not_there(ledger: Ledger, file: Path) -> None:
    remove(ledger, "Ann Lee")
    ledger.removals.begin("José", NOON, "everywhere")
    ledger.removals.remove_photos("José", ["a" * 64], NOON)
    ledger.forget("José")
    found = ledger.removals.of("jose")
    assert found and (found.name, found.pending) == ("", None)
    assert not ledger.removals.has_photo("José", "a" * 64)
    ledger.close()
    spelt = [unicodedata.normalize(form, "José") for form in ("NFC", "NFD")]
    data = b"".join(one.read_bytes() for one in file.parent.iterdir())
    assert not [name for name in spelt for code in ("utf-8", "utf-16-le") if name.encode(code) in data]
    with Ledger.for_reading(file) as again:
        assert [one.name for one in again.removals.people()] in (["", "Ann Lee"], ["Ann Lee", ""])
        assert again.removals.of("JOSÉ")


def test_two_albums_know_a_name_by_different_hashes(tmp_path: Path) -> None:
    keys = set()
    for number in (1, 2):
        with Ledger.for_writing(tmp_path / f"{number}.sqlite") as ledger:
            ledger.people.enter(["Ada"], "personal", NOON)
            remove(ledger, "Ada")
            keys.add(ledger.removals.people()[0].key)
    assert len(keys) == 2


def test_nobody_is_removed_who_has_no_id(ledger: Ledger) -> None:
    with pytest.raises(KeyError):
        ledger.removals.begin("Zoë", NOON, "aside")


@pytest.mark.of_files
def test_the_first_schema_gets_the_tables_and_no_rows(file: Path) -> None:
    Ledger.for_writing(file).close()
    with closing(sqlite3.connect(file)) as database:
        database.executescript(
            "DROP TABLE events; DROP TABLE moves; DROP TABLE corrections; DROP TABLE people; "
            "CREATE TABLE people (id TEXT "
            "NOT NULL PRIMARY KEY, name TEXT NOT NULL UNIQUE, basis TEXT NOT NULL, until TEXT, since TEXT NOT NULL); "
            "DROP TABLE removals; DROP TABLE salts; DROP TABLE damaged; DROP TABLE albums; PRAGMA user_version = 1"
        )
    with Ledger.for_reading(file) as old:
        assert not old.removals
    with Ledger.for_writing(file) as ledger:
        ledger.people.enter(["Ada"], "personal", NOON)
        remove(ledger, "Ada")
        assert ledger.removals.of("Ada")
