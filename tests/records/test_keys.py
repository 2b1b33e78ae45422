"""Keys of a server: made once, kept as hashes, refused for a reason, revoked at once."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from mien.errors import UsageError
from mien.records.access import Access
from mien.records.keys import Key
from mien.storage.layout import Place
from mien.text.access import KeyKind, Scope

NOON = datetime(2026, 11, 26, 12, 0, 30, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.fixture
def file(place_of: Callable[[str], Place]) -> Place:
    return place_of("access")


@pytest.fixture
def access(file: Place) -> Iterator[Access]:
    with Access.for_writing(file) as access:
        yield access


def add(access: Access, name: str = "front-desk", scope: Scope = Scope.CLASSIFY, until: date | None = None) -> str:
    return access.keys.add(name, scope, until, NOON)


def names(access: Access) -> list[str]:
    return [key.name for key in access.keys.all()]


def test_a_key_is_found_by_whoever_shows_it(access: Access) -> None:
    secret, other = add(access), add(access, "night", Scope.ADMIN, date(2026, 12, 31))
    at = NOON.replace(microsecond=0)
    assert access.keys.find(secret, NOON) == Key("front-desk", Scope.CLASSIFY, at, None, None, None)
    assert access.keys.find(other, NOON) == Key("night", Scope.ADMIN, at, date(2026, 12, 31), None, None)
    assert names(access) == ["front-desk", "night"]


def test_a_key_has_256_random_bits_and_is_known_when_it_is_seen(access: Access) -> None:
    secret = add(access)
    assert secret.startswith("mien_") and len(secret) == len("mien_") + 43, "43 characters of 64 hold 258 bits"
    assert secret != add(access, "other")


@pytest.mark.of_files
def test_only_the_hash_of_a_key_is_kept(access: Access, file: Path, tmp_path: Path) -> None:
    secret = add(access)
    access.keys.find(secret, NOON)
    for each in tmp_path.iterdir():
        assert secret.encode() not in each.read_bytes(), each.name
    access.close()
    assert secret.encode() not in file.read_bytes()


@pytest.mark.parametrize("shown", ["", "mien_", "x" * 43, "\ud800", "é", "x" * 1_000_000])
def test_what_is_no_key_is_unknown(access: Access, shown: str) -> None:
    add(access)
    assert access.keys.find(shown, NOON) is KeyKind.UNKNOWN


def test_a_key_in_part_is_no_key(access: Access) -> None:
    secret = add(access)
    for shown in (secret[:-1], secret + " ", secret.upper(), secret.removeprefix("mien_")):
        assert access.keys.find(shown, NOON) is KeyKind.UNKNOWN


def test_a_key_is_good_until_the_end_of_its_last_day(access: Access) -> None:
    secret = add(access, until=NOON.date() + DAY)
    assert isinstance(access.keys.find(secret, NOON + DAY), Key)
    assert access.keys.find(secret, NOON + 2 * DAY) is KeyKind.EXPIRED


def test_a_revoked_key_is_refused_and_stays_in_the_list(access: Access) -> None:
    secret = add(access)
    access.keys.revoke("front-desk", NOON)
    assert access.keys.find(secret, NOON) is KeyKind.REVOKED
    (key,) = access.keys.all()
    assert key.revoked == NOON.replace(microsecond=0)
    assert access.keys.revoke("front-desk", NOON + DAY).revoked == key.revoked, "a second time changes nothing"


def test_what_another_process_revokes_or_adds_is_seen_by_the_next_who_asks(access: Access, file: Path) -> None:
    secret = add(access)
    assert isinstance(access.keys.find(secret, NOON), Key)
    with Access.for_writing(file) as elsewhere:
        other = add(elsewhere, "night")
        assert isinstance(access.keys.find(other, NOON), Key)
        elsewhere.keys.revoke("front-desk", NOON)
        assert access.keys.find(secret, NOON) is KeyKind.REVOKED
    assert access.keys.find(secret, NOON) is KeyKind.REVOKED


def test_a_name_is_taken_in_any_letter_case(access: Access) -> None:
    add(access)
    with pytest.raises(UsageError, match='"front-desk" is the name of a key already'):
        add(access, "Front-Desk")


def test_the_name_of_a_revoked_key_may_be_had_again(access: Access) -> None:
    old = add(access)
    access.keys.revoke("front-desk", NOON)
    new = add(access, "Front-desk", Scope.REVIEW)
    assert access.keys.find(old, NOON) is KeyKind.UNKNOWN
    found = access.keys.find(new, NOON)
    assert isinstance(found, Key) and found.scope is Scope.REVIEW and names(access) == ["Front-desk"]


@pytest.mark.parametrize("name", ["", " ", "-x", ".x", "_x", "a b", "a/b", "a\nb", "x" * 41, "a:b", "a\u202eb"])
def test_what_cannot_be_the_name_of_a_key(access: Access, name: str) -> None:
    with pytest.raises(UsageError, match="cannot be the name of a key"):
        add(access, name)
    assert names(access) == []


@pytest.mark.parametrize("name", ["a", "受付", "Empfang-Süd", "desk_2.old", "x" * 40])
def test_what_can_be_the_name_of_a_key(access: Access, name: str) -> None:
    add(access, name)
    assert names(access) == [name]


def test_a_day_that_is_over_is_refused(access: Access) -> None:
    with pytest.raises(UsageError, match=r"2026-11-25 is over\."):
        add(access, until=date(2026, 11, 25))
    add(access, until=NOON.date())


def test_who_revokes_an_unknown_name_is_told_which_was_meant(access: Access) -> None:
    add(access)
    with pytest.raises(UsageError, match=r'"frontdesk" is the name of no key\. Did you mean front-desk\?'):
        access.keys.revoke("frontdesk", NOON)


@pytest.mark.of_files
def test_a_use_is_remembered_to_the_minute_and_written_once_in_it(access: Access, file: Path) -> None:
    add(access)
    with closing(sqlite3.connect(file)) as elsewhere:

        def changes() -> int:
            return int(elsewhere.execute("PRAGMA data_version").fetchone()[0])

        before = changes()
        access.keys.used("front-desk", NOON)
        once = changes()
        access.keys.used("front-desk", NOON + timedelta(seconds=29))
        assert changes() == once != before
        access.keys.used("front-desk", NOON + timedelta(seconds=30))
        assert changes() != once
    (key,) = access.keys.all()
    assert key.last_used == datetime(2026, 11, 26, 12, 1, tzinfo=UTC)


@pytest.mark.of_files
def test_a_use_that_cannot_be_written_is_no_error(access: Access, file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    add(access)
    with closing(sqlite3.connect(file, isolation_level=None)) as elsewhere:
        with access._database.transaction() as connection:
            connection.exec_driver_sql("PRAGMA busy_timeout = 0")
        elsewhere.execute("BEGIN IMMEDIATE")
        access.keys.used("front-desk", NOON)
        assert isinstance(access.keys.find("", NOON), KeyKind), "who asks does not wait for who writes"
        elsewhere.execute("ROLLBACK")


def test_of_two_who_add_one_name_at_once_one_does(file: Path) -> None:
    gate, added, refused = Barrier(2), [], []

    def run() -> None:
        with Access.for_writing(file) as access:
            gate.wait()
            try:
                added.append(add(access))
            except UsageError as error:
                refused.append(error)

    threads = [Thread(target=run) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (len(added), len(refused)) == (1, 1)


def test_many_threads_of_one_process_ask_and_write_at_once(access: Access) -> None:
    secrets = [add(access, f"key-{number}") for number in range(4)]
    found: list[bool] = []

    def run(number: int) -> None:
        for minute in range(5):
            key = access.keys.find(secrets[number], NOON)
            found.append(isinstance(key, Key) and key.name == f"key-{number}")
            access.keys.used(f"key-{number}", NOON + timedelta(minutes=minute))

    threads = [Thread(target=run, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [True] * 20
    assert {key.last_used for key in access.keys.all()} == {NOON.replace(second=0) + timedelta(minutes=4)}


def test_each_scope_allows_what_those_before_it_do() -> None:
    allowed = {scope: [needed.value for needed in Scope if scope.allows(needed)] for scope in Scope}
    assert allowed == {
        Scope.CLASSIFY: ["classify"],
        Scope.REVIEW: ["classify", "review"],
        Scope.ADMIN: ["classify", "review", "admin"],
    }


def test_a_key_is_told_to_programs_without_its_hash(access: Access) -> None:
    add(access, until=date(2026, 11, 27))
    (key,) = access.keys.all()
    assert key.to_json(NOON) == {
        "name": "front-desk",
        "scope": "classify",
        "state": "good",
        "created": "2026-11-26T12:00:30+00:00",
        "until": "2026-11-27",
        "revoked": None,
        "last_used": None,
    }
    assert key.to_json(NOON + 3 * DAY)["state"] == "expired"
