"""What is a PostgreSQL server's own: its locks, its errors, connections that break. What holds on files as well is in
the tests beside this one, which run on both."""

from __future__ import annotations

import re
import subprocess
import sys
from contextlib import ExitStack, closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import psycopg
import pytest
import sqlalchemy as sa

from mien.errors import AlbumError, BusyError, MienError, StorageError
from mien.records import access, catalog, ledger, opening
from mien.records.access import Access
from mien.records.database import DatabaseKind
from mien.records.ledger import Ledger
from mien.records.postgres import ServerSchema, album_held
from mien.servers import Server
from mien.storage.layout import OnServer

if TYPE_CHECKING:
    from collections.abc import Iterator

    from postgres_server import PostgresServer

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
KINDS = (catalog.KIND, ledger.KIND, access.KIND)


def at(server: Server, kind: DatabaseKind = ledger.KIND, lease: str = "") -> OnServer:
    return OnServer(server, f"mien_{kind.revisions}", lease)


@pytest.fixture
def made(postgres_server: PostgresServer, made_database: str) -> Server:
    """A database with mien's schemas."""
    return Server.of(postgres_server.url(postgres_server.new_database(made_database)))


# What a schema is


def test_where_there_is_none_a_reader_sees_nothing_and_makes_nothing(
    postgres_server: PostgresServer, album_server: Server
) -> None:
    assert not opening.is_there(ledger.KIND, at(album_server))
    with Ledger.for_reading(at(album_server)) as empty:
        assert empty.people.id_of("Ada") == "" and empty.events.last() == ()
        with pytest.raises(StorageError):
            empty.people.enter(["Ada"], "personal", NOON)
    assert not opening.is_there(ledger.KIND, at(album_server))


def test_texts_are_compared_byte_by_byte_whatever_the_server_does(
    postgres_server: PostgresServer, made: Server
) -> None:
    names = ["Zoë", "ada", "Åke", "Bo", "ada-Lee", "ada Lee"]
    with Ledger.for_writing(at(made)) as known:
        known.people.enter(names, "personal", NOON)
        with known._database.transaction() as connection:
            found = connection.scalars(sa.text("SELECT name FROM people ORDER BY name")).all()
            as_english = connection.scalars(sa.text('SELECT name FROM people ORDER BY name COLLATE "en-x-icu"')).all()
    assert found == sorted(names) != as_english


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.revisions)
def test_each_revision_runs_and_leads_to_the_tables_that_are_made_today(
    postgres_server: PostgresServer, album_server: Server, kind: DatabaseKind
) -> None:
    """The first tables, as an album of the first schema has them, brought up to date."""
    import sqlite3

    name = {"catalog": "catalog.sqlite", "ledger": "catalog-ledger.sqlite"}.get(kind.revisions)
    if name is None:
        return  # which has one revision
    first = Path(__file__).parent.parent / "albums/schema-1/.mien" / name
    connection = sqlite3.connect(f"{first.as_uri()}?mode=ro", uri=True)
    made = [sql for (sql,) in connection.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL ORDER BY rowid")]
    connection.close()
    url = postgres_server.url
    schema, database = f"mien_{kind.revisions}", album_server.url.partition("?")[0].rpartition("/")[2]
    script = [f"CREATE SCHEMA {schema}", f"SET search_path = {schema}"]
    for sql in made:
        if "sqlite_sequence" in sql:
            continue
        sql = re.sub(r"\bid INTEGER NOT NULL( PRIMARY KEY AUTOINCREMENT)?", r"id BIGSERIAL NOT NULL\1", sql)
        sql = sql.replace("AUTOINCREMENT", "").replace("WITHOUT ROWID", "").replace("BLOB", "BYTEA")
        sql = re.sub(r"\bTEXT\b", 'TEXT COLLATE "C"', sql).replace("INTEGER", "BIGINT")
        script.append(sql)
    if kind is ledger.KIND:
        script.append("ALTER TABLE runs ADD COLUMN nth BIGINT GENERATED ALWAYS AS IDENTITY")
    script += ["CREATE TABLE alembic_version (version_num VARCHAR(32) PRIMARY KEY)"]
    script += [f"INSERT INTO alembic_version VALUES ('{kind.revisions}_1')"]
    postgres_server.execute("; ".join(script), database)
    with pytest.raises(AlbumError, match=r"earlier version of mien.*any command that writes"):
        ServerSchema.for_reading(kind, at(album_server, kind))
    ServerSchema.for_writing(kind, at(album_server, kind)).close()
    new = Server.of(url(postgres_server.new_database()))
    ServerSchema.for_writing(kind, at(new, kind)).close()

    def shape(server: Server) -> list[tuple[object, ...]]:
        query = (
            "SELECT table_name, column_name, data_type, collation_name, is_nullable FROM information_schema.columns "
            f"WHERE table_schema = '{schema}' ORDER BY 1, 2"
        )
        return postgres_server.execute(query, server.url.partition("?")[0].rpartition("/")[2])

    assert shape(album_server) == shape(new)


def test_what_is_not_mien_s_or_of_a_later_mien_is_refused_and_left_alone(
    postgres_server: PostgresServer, made: Server, album_server: Server
) -> None:
    of = [server.url.partition("?")[0].rpartition("/")[2] for server in (made, album_server)]
    postgres_server.execute("UPDATE mien_ledger.alembic_version SET version_num = 'ledger_99'", of[0])
    postgres_server.execute("CREATE SCHEMA mien_ledger CREATE TABLE bookmarks (url TEXT)", of[1])
    for opened in (ServerSchema.for_writing, ServerSchema.for_reading):
        with pytest.raises(AlbumError, match=r"its schema is 99, not \d.*Update mien"):
            opened(ledger.KIND, at(made))
        with pytest.raises(AlbumError, match=r"is a schema of another program\. Name another database"):
            opened(ledger.KIND, at(album_server))
    assert postgres_server.execute("SELECT count(*) FROM mien_ledger.bookmarks", of[1]) == [(0,)]


# Who may write


def test_the_album_is_held_by_one_who_is_told(made: Server) -> None:
    with (
        album_held(made, "/club", "train"),
        pytest.raises(BusyError, match=r'^/club is in use by "train" \(process \d+ on .+\), since \d{4}-'),
        album_held(made, "/club", "align"),
    ):
        pass
    with album_held(made, "/club", "align"):
        pass


HOLDER = """
import os, sys
from mien.records.postgres import album_held
from mien.records.ledger import Ledger
from mien.storage.layout import OnServer
from mien.servers import Server
import sqlalchemy as sa
server = Server.of(sys.argv[1])
with album_held(server, "/club", "train") as lease:
    ledger = Ledger.for_writing(OnServer(server, "mien_ledger", lease))
    with ledger._database.transaction(write=True) as connection:
        connection.execute(sa.text("INSERT INTO albums VALUES ('00')"))
        print("begun", flush=True)
        sys.stdin.read()
"""


def test_a_holder_that_is_killed_in_a_transaction_leaves_what_was_before(made: Server) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, made.url], stdout=subprocess.PIPE, stdin=subprocess.PIPE)
    with holder:
        assert holder.stdout and holder.stdout.readline() == b"begun\n"
        with pytest.raises(BusyError, match="is in use by"), album_held(made, "/club", "align"):
            pass
        holder.kill()
    with taken_when_free(made) as lease, Ledger.for_writing(at(made, lease=lease)) as known:
        assert known.album() is None


@contextmanager
def taken_when_free(server: Server) -> Iterator[str]:
    """The album's lock, once the server has noticed that its holder is gone."""
    with ExitStack() as until:
        while True:
            try:
                lease = until.enter_context(album_held(server, "/club", "align"))
                break
            except BusyError:
                continue
        yield lease


def test_whoever_lost_the_album_writes_nothing_more(postgres_server: PostgresServer, made: Server) -> None:
    with album_held(made, "/club", "train") as lease, Ledger.for_writing(at(made, lease=lease)) as known:
        known.people.enter(["Ada"], "personal", NOON)
        postgres_server.execute(  # the connection that holds it breaks, and no other
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name LIKE '%train%'"
        )
        with taken_when_free(made) as other, Ledger.for_writing(at(made, lease=other)) as theirs:
            with pytest.raises(StorageError, match=r"not held by this run any more\. Run again"):
                known.people.enter(["Bo"], "personal", NOON)
            theirs.people.enter(["Cy"], "personal", NOON)
            theirs.people.read()
            assert theirs.people.id_of("Ada") and not theirs.people.id_of("Bo")


def test_who_waits_too_long_for_another_is_told(made: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.records.postgres.BUSY_SECONDS", 0.05)
    with Ledger.for_writing(at(made)) as one, Ledger.for_writing(at(made)) as other:
        with one._database.transaction(write=True), pytest.raises(BusyError, match="in use by another run"):
            other.people.enter(["Ada"], "personal", NOON)
        other.people.enter(["Ada"], "personal", NOON)


# Connections


def test_who_serves_goes_on_after_the_server_was_restarted(postgres_server: PostgresServer, made: Server) -> None:
    with Access.for_writing(at(made, access.KIND)) as mine, Access.for_writing(at(made, access.KIND)) as other:
        job = mine.jobs.ask("train", "desk", NOON)
        assert mine.jobs.start_next(NOON) and other.jobs.last()
        postgres_server.stop()
        with pytest.raises(StorageError, match=r"cannot be reached.*Check that the server runs"):
            mine.jobs.last()
        postgres_server.start()
        assert [one.id for one in mine.jobs.last()] == [job.id]
        assert other.jobs.take_over(NOON) == (), "its process lives, and has said so again"


def test_a_process_that_could_not_say_again_that_it_lives_says_so_later(
    postgres_server: PostgresServer, made: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("mien.records.postgres.BUSY_SECONDS", 0.05)
    with (
        closing(ServerSchema.for_writing(access.KIND, at(made, access.KIND))) as mine,
        closing(ServerSchema.for_writing(access.KIND, at(made, access.KIND))) as other,
    ):
        process = mine.here()
        assert other.lives(process)
        with psycopg.connect(made.url, autocommit=True) as old:  # in place of a session that the server still keeps
            pid = mine._connection.exec_driver_sql("SELECT pg_backend_pid()").scalar()
            old.execute("SELECT pg_terminate_backend(%s)", [pid])
            old.execute("SELECT pg_advisory_lock(%s)", [int(process, 16)])
            with pytest.raises(BusyError):
                mine.changes()
            old.execute("SELECT pg_advisory_unlock_all()")
            assert not other.lives(process)
        mine.changes()
        assert other.lives(process)


def test_a_connection_that_breaks_in_a_transaction_is_told_and_nothing_is_half_done(
    postgres_server: PostgresServer, made: Server
) -> None:
    with Ledger.for_writing(at(made)) as known:
        with (
            pytest.raises(StorageError, match="was lost in the middle of work"),
            known._database.transaction(write=True) as connection,
        ):
            connection.execute(sa.text("INSERT INTO albums VALUES ('00')"))
            pid = connection.scalar(sa.text("SELECT pg_backend_pid()"))
            postgres_server.execute(f"SELECT pg_terminate_backend({pid})")
            connection.execute(sa.text("INSERT INTO albums VALUES ('01')"))
        assert known.album() is None, "and the next word to it makes another connection"


@pytest.mark.parametrize(
    ("user", "password", "database", "of", "message"),
    [
        ("guarded", "s3cret", "postgres", StorageError, "refuses this user or password"),
        ("nobody_known", "", "postgres", StorageError, "refuses this user or password"),
        ("postgres", "s3cret", "nowhere", StorageError, "does not exist"),
    ],
)
def test_who_is_not_let_in_is_told_why_and_no_password_is_shown(
    postgres_server: PostgresServer, user: str, password: str, database: str, of: type[MienError], message: str
) -> None:
    server = Server.of(postgres_server.url(database, user, password))
    with pytest.raises(of, match=message) as told:
        Ledger.for_reading(at(server))
    assert "s3cret" not in f"{told.value} {server} {server!r} {at(server)!r}"


def test_a_host_that_does_not_answer_is_told_without_the_password() -> None:
    server = Server.of("postgresql://mien:s3cret@127.0.0.1:1/club")
    with pytest.raises(StorageError, match=r"^postgresql://mien@127\.0\.0\.1:1/club cannot be reached: ") as told:
        Ledger.for_reading(at(server))
    assert "s3cret" not in str(told.value)


@pytest.mark.parametrize(
    ("url", "said"),
    [
        ("postgresql://mien:s3cret@db/club?sslmod=require", 'invalid URI query parameter: "sslmod"'),
        ("postgresql://db/club?password=s3cret%zz", 'invalid percent-encoded token: "..."'),
        ("postgresql://db/club?password=s3+cret%zz", 'invalid percent-encoded token: "..."'),
        ("postgresql://mien:s3 cret@db/club", 'unexpected spaces found in "..."'),
    ],
)
def test_a_url_that_libpq_does_not_know_is_told_without_its_password(url: str, said: str) -> None:
    with pytest.raises(StorageError, match=r"^postgresql://.*/club.* has a URL that cannot be read: ") as told:
        Ledger.for_reading(at(Server(url)))
    assert said in str(told.value) and "s3" not in str(told.value)


def test_a_server_without_a_free_connection_is_busy(postgres_server: PostgresServer, made: Server) -> None:
    name = made.url.partition("?")[0].rpartition("/")[2]
    postgres_server.execute("CREATE ROLE small LOGIN CONNECTION LIMIT 0")
    try:
        with pytest.raises(BusyError, match="has no connection left"):
            Ledger.for_reading(at(Server.of(postgres_server.url(name, "small"))))
    finally:
        postgres_server.execute("DROP ROLE small")


def test_a_user_without_rights_and_a_server_that_only_reads_are_told(
    postgres_server: PostgresServer, made: Server, album_server: Server
) -> None:
    postgres_server.execute("CREATE ROLE guest LOGIN")
    try:
        for server in (made, album_server):
            name = server.url.partition("?")[0].rpartition("/")[2]
            with pytest.raises(StorageError, match=r"may not be used by this user.*catalog-on-postgresql"):
                Ledger.for_writing(at(Server.of(postgres_server.url(name, "guest"))))
        name = made.url.partition("?")[0].rpartition("/")[2]
        postgres_server.execute(f"ALTER DATABASE {name} SET default_transaction_read_only = on")
        with Ledger.for_writing(at(made)) as known, pytest.raises(StorageError, match="the server is read-only"):
            known.people.enter(["Ada"], "personal", NOON)
    finally:
        postgres_server.execute("DROP ROLE guest")


def test_a_database_that_is_not_utf_8_is_refused(postgres_server: PostgresServer) -> None:
    postgres_server.execute("CREATE DATABASE latin TEMPLATE template0 ENCODING LATIN1 LOCALE_PROVIDER libc LOCALE 'C'")
    with pytest.raises(StorageError, match="names of people need UTF-8"):
        Ledger.for_writing(at(Server.of(postgres_server.url("latin"))))


# Who is forgotten


def test_whoever_is_forgotten_is_in_no_row(postgres_server: PostgresServer, made: Server) -> None:
    with Ledger.for_writing(at(made)) as known:
        known.people.enter(["Zoë", "Ada"], "personal", NOON)
        known.removals.begin("Zoë", NOON, "everywhere")
        known.forget("Zoë")
        known.people.read()
        assert known.removals.of("zoe")
    name = made.url.partition("?")[0].rpartition("/")[2]
    for table in ledger.KIND.schema.tables:
        rows = postgres_server.execute(f"SELECT t::text FROM mien_ledger.{table} t", name)
        assert not [row for (row,) in rows if "Zo" in row]
