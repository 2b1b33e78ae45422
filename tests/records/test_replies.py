"""A request that carries an idempotency key is carried out once, whoever sends it again, and whatever is killed."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from threading import Barrier, Thread

import pytest

from mien.records import access as records
from mien.records import replies
from mien.records.access import Access
from mien.records.replies import MOST_BYTES, Reply, fingerprint
from mien.storage.layout import Place
from mien.text.access import KeyKind, RepeatKind, Scope

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)
DONE = Reply(201, "application/json", b'{"person": "Ada"}')


@pytest.fixture
def file(place_of: Callable[[str], Place]) -> Place:
    return place_of("access")


@pytest.fixture
def access(file: Place) -> Iterator[Access]:
    with Access.for_writing(file) as access:
        yield access


def begin(access: Access, request: str = "r1", what: str = "POST /people", now: datetime = NOON) -> object:
    return access.replies.begin("desk", request, fingerprint(what), now)


def test_a_new_request_is_to_be_carried_out_and_its_repetition_gets_the_reply(access: Access, file: Path) -> None:
    assert begin(access) is None
    access.replies.finish("desk", "r1", DONE)
    assert begin(access) == DONE
    with Access.for_writing(file) as elsewhere:
        assert begin(elsewhere) == DONE


def test_a_request_that_is_being_carried_out_is_not_begun_again(access: Access, file: Path) -> None:
    assert begin(access) is None
    assert begin(access) is RepeatKind.RUNNING
    with Access.for_writing(file) as elsewhere:
        assert begin(elsewhere) is RepeatKind.RUNNING, "another process sees that the first lives"


def test_another_request_with_the_same_idempotency_key_is_refused(access: Access) -> None:
    assert begin(access) is None
    assert begin(access, what="DELETE /people") is RepeatKind.DIFFERENT
    access.replies.finish("desk", "r1", DONE)
    assert begin(access, what="DELETE /people") is RepeatKind.DIFFERENT


def test_each_key_has_its_own_requests(access: Access) -> None:
    assert begin(access) is None
    assert access.replies.begin("night", "r1", fingerprint("other"), NOON) is None


def test_of_many_who_begin_one_request_at_once_one_carries_it_out(access: Access, file: Path) -> None:
    gate, done, found = Barrier(6), Barrier(6), []

    def run(number: int) -> None:
        with Access.for_writing(file) as elsewhere:
            gate.wait()
            found.append(begin(access if number % 2 else elsewhere))
            done.wait()

    threads = [Thread(target=run, args=(number,)) for number in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found.count(None) == 1 and found.count(RepeatKind.RUNNING) == 5


def killed_after_begin(file: Path) -> None:
    """A process that begins a request and a job, and is killed as `kill -9` does."""
    program = (
        "import os, signal, sys\nfrom datetime import datetime\nfrom pathlib import Path\n"
        "from mien.records.access import Access\nfrom mien.records.replies import fingerprint\n"
        "access = Access.for_writing(Path(sys.argv[1]))\nnow = datetime.fromisoformat(sys.argv[2])\n"
        "assert access.replies.begin('desk', 'r1', fingerprint('POST /people'), now) is None\n"
        "access.jobs.ask('train', 'desk', now)\naccess.jobs.start_next(now)\n"
        "os.kill(os.getpid(), getattr(signal, 'SIGKILL', signal.SIGTERM))"
    )
    done = subprocess.run([sys.executable, "-c", program, file, NOON.isoformat()], check=False)
    assert done.returncode not in (0, 1)


@pytest.mark.of_files
def test_after_a_kill_nobody_can_say_how_far_it_came(file: Path) -> None:
    killed_after_begin(file)
    assert list(file.parent.glob("*.held"))
    with Access.for_writing(file) as access:
        assert begin(access) is RepeatKind.INTERRUPTED
        assert begin(access) is RepeatKind.INTERRUPTED
        assert access.replies.begin("desk", "r1", fingerprint("POST /people"), NOON, take_over=True) is None
        assert begin(access) is RepeatKind.RUNNING
        access.replies.finish("desk", "r1", DONE)
        assert begin(access) == DONE
        (job,) = access.jobs.take_over(NOON)
        assert (job.verb, job.state, job.tries) == ("train", "waiting", 1)
    assert sorted(each.name for each in file.parent.iterdir()) == ["access.sqlite"]


def test_a_request_is_interrupted_too_where_its_server_ended_without_finishing_it(access: Access, file: Path) -> None:
    with Access.for_writing(file) as elsewhere:
        assert begin(elsewhere) is None
    assert begin(access) is RepeatKind.INTERRUPTED


def test_a_request_that_changed_nothing_may_be_sent_again(access: Access) -> None:
    assert begin(access) is None
    access.replies.drop("desk", "r1")
    assert begin(access) is None
    access.replies.finish("desk", "r1", DONE)
    access.replies.drop("desk", "r1")
    assert begin(access) == DONE, "what is done stays so"


def test_a_reply_is_kept_for_a_day(access: Access) -> None:
    begin(access)
    access.replies.finish("desk", "r1", DONE)
    assert begin(access, now=NOON + 23 * HOUR) == DONE
    assert begin(access, now=NOON + 24 * HOUR) is None


def test_a_reply_of_a_time_still_to_come_is_of_a_wrong_clock(access: Access) -> None:
    begin(access, now=NOON + 1000 * HOUR)
    assert begin(access) is None


def test_of_a_long_reply_the_status_is_kept(access: Access) -> None:
    begin(access)
    access.replies.finish("desk", "r1", Reply(200, "text/plain", b"x" * (MOST_BYTES + 1)))
    assert begin(access) == Reply(200, "", None)
    begin(access, "r2")
    access.replies.finish("desk", "r2", Reply(200, "text/plain", b"x" * MOST_BYTES))
    assert begin(access, "r2") == Reply(200, "text/plain", b"x" * MOST_BYTES)


def test_there_are_not_more_replies_than_may_be(access: Access, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(replies, "MOST_REPLIES", 2)
    for number in range(5):
        assert begin(access, f"r{number}") is None
    assert begin(access, "r4") is RepeatKind.RUNNING
    assert begin(access, "r0") is None


def test_when_somebody_is_forgotten_no_reply_has_a_name_and_what_is_done_is_not_done_again(
    access: Access, file: Path
) -> None:
    begin(access, "r1", "POST /people/Zephyrine")
    access.replies.finish("desk", "r1", Reply(200, "application/json", b'{"person": "Zephyrine"}'))
    begin(access, "r2", "DELETE /people/Zephyrine")
    records.forget(file)  # as `mien remove --everywhere` does, from another process, while r2 is being carried out
    access.replies.finish("desk", "r2", Reply(204, "application/json", b'{"gone": "Zephyrine"}'))
    assert begin(access, "r1", "POST /people/Zephyrine") == Reply(200, "", None)
    assert begin(access, "r2", "DELETE /people/Zephyrine") == Reply(204, "", None)
    assert begin(access, "r3") is None
    access.replies.finish("desk", "r3", DONE)
    assert begin(access, "r3") == DONE, "later replies are kept as before"
    digest = fingerprint("POST /people/Zephyrine").encode()
    for each in file.parent.iterdir() if isinstance(file, Path) else ():
        data = each.read_bytes()
        assert b"Zephyrine" not in data and digest not in data, each.name


@pytest.mark.of_files
def test_to_forget_where_there_is_no_file_makes_none(file: Path) -> None:
    records.forget(file)
    assert not file.exists()


@pytest.mark.of_files
def test_the_idempotency_key_itself_is_not_kept(access: Access, file: Path) -> None:
    begin(access, "add-zephyrine-1")
    access.close()
    assert b"zephyrine" not in file.read_bytes()


def test_whoever_gets_the_name_of_a_revoked_key_gets_no_replies_of_it(access: Access) -> None:
    access.keys.add("desk", Scope.ADMIN, None, NOON)
    begin(access)
    access.replies.finish("desk", "r1", DONE)
    access.keys.revoke("desk", NOON)
    access.keys.add("desk", Scope.ADMIN, None, NOON)
    assert begin(access) is None


def test_a_fingerprint_is_of_parts_and_not_of_their_letters_in_a_row() -> None:
    assert fingerprint("GET", "/a", b"") == fingerprint("GET", "/a", b"")
    assert len({fingerprint("ab", "c"), fingerprint("a", "bc"), fingerprint("abc"), fingerprint(b"a", "bc", "")}) == 4


@pytest.mark.of_files
@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_files_are_for_their_owner_alone(access: Access, file: Path) -> None:
    begin(access)
    assert {each.stat().st_mode & 0o777 for each in file.parent.iterdir()} == {0o600}


@pytest.mark.of_files
def test_a_damaged_row_is_taken_out_and_its_key_is_unknown(file: Path) -> None:
    with Access.for_writing(file) as access:
        secret, other = (access.keys.add(name, Scope.CLASSIFY, None, NOON) for name in ("desk", "night"))
    with closing(sqlite3.connect(file, isolation_level=None)) as elsewhere:
        elsewhere.execute("UPDATE keys SET scope = 'admin' WHERE name = 'desk'")  # by other means than mien's
    with Access.for_reading(file) as access:
        assert access.damage_found == 1 and [key.name for key in access.keys.all()] == ["night"]
        assert access.keys.find(secret, NOON) is KeyKind.UNKNOWN
    with Access.for_writing(file) as access:
        assert access.damage_found == 1
        assert access.keys.find(secret, NOON) is KeyKind.UNKNOWN
        assert access.keys.find(other, NOON) not in set(KeyKind)
    with Access.for_writing(file) as access:
        assert access.damage_found == 0
