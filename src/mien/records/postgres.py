"""A database as a schema on a PostgreSQL server, through SQLAlchemy Core and psycopg.

A transaction that writes takes the schema's lock first, so that one at a time does, as on SQLite; readers see one
moment and wait for nobody. Those locks are advisory, and so is the album's, which a run holds by a session of its own
(`album_held`): it ends with the process, or with its connection. The run has a *lease*, the key of one more lock of
that session. Each transaction that writes under a lease looks whether that lock is still held, after it has taken the
schema's; and whoever takes the album takes the schemas' locks once. So nobody goes on writing an album that somebody
else holds since. A worker on another machine writes under the lease of the run that it works for.

The server has checksums of its own disks, and so rows have none here. What is deleted is gone from every answer at
once; when its bytes are overwritten is the server's affair, as are backups. This is the border at which the server's
errors become mien's. No message shows a password.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import secrets
import socket
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack
from contextvars import ContextVar
from functools import cache
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Self

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite.dml import OnConflictDoNothing, OnConflictDoUpdate
from sqlalchemy.ext.compiler import compiles

from mien.errors import AlbumError, BusyError, MienError, MissingExtraError, StorageError
from mien.records import migrating
from mien.records.database import BUSY_SECONDS, Database, DatabaseKind
from mien.servers import Server
from mien.storage.layout import OnServer
from mien.text.urls import without_secrets

if TYPE_CHECKING:
    import psycopg

CONNECT_SECONDS: Final = 10
STATEMENT_SECONDS: Final = 600
"""That one statement may take: a million embeddings are read in a tenth of it."""
OLDEST: Final = 13
"""The oldest PostgreSQL that knows `pg_current_snapshot`; 12 gets no corrections any more since 2024."""

_ALBUM: Final = int.from_bytes(b"mien", "big"), 1
"""The album's lock: two halves of the key of an advisory lock."""
_SCHEMAS: Final = int.from_bytes(b"msch", "big")
"""The first half of the locks of schemas, whose second is their kind's `application_id`."""
_CATALOG, _LEDGER = int.from_bytes(b"mien", "big"), int.from_bytes(b"mlgr", "big")

_SOMEBODY: Final = "another run of mien"
_HERE: Final = "database = (SELECT oid FROM pg_database WHERE datname = current_database())"


class ServerSchema(Database):
    """An open schema. Without a lease, a connection that was lost between two transactions is made anew."""

    def __init__(self, kind: DatabaseKind, place: OnServer, connection: sa.Connection) -> None:
        super().__init__(kind, place, connection)
        self._at, self._id, self._reads = place, "", False

    @classmethod
    def for_writing(cls, kind: DatabaseKind, place: OnServer) -> Self:
        """Opens the schema, or makes it if there is none."""
        with _border(place, kind):
            database = cls(kind, place, _connected(place, kind.durable))
            with database._closed_on_failure():
                database._prepare()
        return database

    @classmethod
    def for_reading(cls, kind: DatabaseKind, place: OnServer) -> Self | None:
        """Opens the schema as it is; None where there is none. Raises AlbumError for one of an earlier version of
        mien, which a run that writes brings up to date."""
        with _border(place, kind):
            database = cls(kind, place, _connected(place, kind.durable))
            with database._closed_on_failure():
                version = database._version()
                if version is None:
                    database.close()
                    return None
                if version < kind.version:
                    raise AlbumError(
                        str(place),
                        "was written by an earlier version of mien",
                        "Bring it up to date by any command that writes, say `mien align`; then earlier versions of "
                        "mien cannot use it any more.",
                    )
                database._read_only()
        return database

    def changes(self) -> int:
        """The server's snapshot: two that are alike see the same rows. It is another one, too, when this `Database`, or
        somebody in another schema, has written."""
        with self._turn, self._border():
            text = self._begun_by("SELECT pg_current_snapshot()::text").scalar_one()
        return int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")

    def compact(self) -> None:
        """The space of what was deleted is free to be overwritten."""
        with self._turn, self._border():
            self._begun_by(f"VACUUM {', '.join(self._kind.schema.tables)}")

    def here(self) -> str:
        """It is an advisory lock that this session holds, so that processes on other machines see it, too."""
        with self._turn, self._border():
            if not self._id:
                chosen = _new_key()
                _hold(self._connection, chosen)
                self._id = chosen
            return self._id

    def lives(self, process: str) -> bool:
        with self._turn, self._border():
            return bool(process) and (process == self._id or _is_held(self._connection, process))

    def is_damaged(self) -> AlbumError:
        return AlbumError(str(self._at), "is damaged", f"To go on, {self._kind.way_out_on_server}")

    def _border(self) -> contextlib.AbstractContextManager[None]:
        return _border(self._at, self._kind)

    def _close(self) -> None:
        _let_go(self._connection)

    def _begin(self, write: bool) -> None:
        if not write:
            self._begun_by("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
            return
        self._begun_by("BEGIN")
        try:
            if not self._reads:
                self._connection.exec_driver_sql(
                    f"SELECT pg_advisory_xact_lock({_SCHEMAS}, {self._kind.application_id})"
                )
            if self._at.lease and not _is_held(self._connection, self._at.lease):
                raise StorageError(
                    str(self._at.server),
                    "was out of reach, and the album is not held by this run any more",
                    "Run again: what was finished is kept.",
                )
        except BaseException:
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                self._connection.exec_driver_sql("ROLLBACK")
            raise

    def _begun_by(self, statement: str) -> sa.CursorResult[Any]:
        """The first statement of some work. Where the connection was lost since the last, and nothing hangs on it, one
        is made anew: a server that was restarted is noticed by the first word to it."""
        lost = self._connection.closed or self._connection.invalidated
        if lost and self._at.lease:
            raise StorageError(str(self._at.server), _LOST.what, _LOST.remedy)
        if not lost:
            try:
                return self._connection.exec_driver_sql(statement)
            except sa.exc.DBAPIError as error:
                if self._at.lease or not _is_lost(error):
                    raise
        self._close()
        self._connection = _connected(self._at, self._kind.durable)
        try:
            if self._reads:
                self._read_only()
            if self._id:
                _hold(self._connection, self._id)
            return self._connection.exec_driver_sql(statement)
        except BaseException:  # with what is missing in it, it would pass for whole
            self._close()
            raise

    def _read_only(self) -> None:
        self._reads = True
        self._connection.exec_driver_sql("SET default_transaction_read_only = on")

    def _prepare(self) -> None:
        """Makes a schema that is open for writing ready for use."""
        if self._version() == self._kind.version:
            return
        with self.transaction(write=True) as connection:  # two runs may meet here
            version = self._version()
            if version is None:
                _create(connection, self._kind, self._at.schema)
            elif version < self._kind.version:
                migrating.upgrade(connection, self._kind, version)
                migrating.stamp(connection, self._kind)

    def _version(self) -> int | None:
        """The version of the schema; None where there is none. Raises AlbumError for a schema of another program, or of
        a later version of mien."""
        schema, execute = self._at.schema, self._connection.exec_driver_sql
        tables = execute(  # in one question: between two, somebody else may make the schema
            f"SELECT count(*), count(*) FILTER (WHERE relname = '{migrating.VERSION_TABLE}') FROM pg_class "
            f"WHERE relnamespace = (SELECT oid FROM pg_namespace WHERE nspname = '{schema}')"
        ).one()
        if not tables[1]:
            if tables[0]:
                raise self._is_foreign()
            return None
        found = execute(f"SELECT version_num FROM {schema}.{migrating.VERSION_TABLE}").scalars().all()
        stem, _, number = str(found[0]).rpartition("_") if len(found) == 1 else ("", "", "")
        if stem != self._kind.revisions or not number.isdecimal():
            raise self._is_foreign()
        if int(number) > self._kind.version:
            raise AlbumError(
                str(self._at),
                f"was written by another version of mien (its schema is {number}, not {self._kind.version})",
                f"Update mien. Or {self._kind.way_out_on_server}",
            )
        return int(number)

    def _is_foreign(self) -> AlbumError:
        remedy = "Name another database as catalog in mien.toml, one for this album alone: `createdb` makes one."
        return AlbumError(str(self._at), "is a schema of another program", remedy)


def _create(connection: sa.Connection, kind: DatabaseKind, schema: str) -> None:
    """Makes the schema, where that is not done, and its tables."""
    if connection.exec_driver_sql("SHOW server_encoding").scalar() != "UTF8":
        raise StorageError(
            schema,
            "cannot be made: names of people need UTF-8, and this database has another encoding",
            "Make one with it: `createdb --encoding UTF8 --template template0 NAME`.",
        )
    if connection.exec_driver_sql(f"SELECT to_regnamespace('{schema}')").scalar() is None:
        connection.exec_driver_sql(f"CREATE SCHEMA {schema}")
    kind.schema.create_all(connection, checkfirst=False)
    migrating.stamp(connection, kind)


@contextlib.contextmanager
def filled_at_once(
    server: Server, schemas: Mapping[DatabaseKind, str]
) -> Iterator[Callable[[DatabaseKind], contextlib.AbstractContextManager[sa.Connection]]]:
    """Makes schemas by kind, each empty until it is filled: all are there at the end, or none."""
    place = OnServer(server, "mien")
    with _border(place), ExitStack() as until:
        connection = _connected(place, durable=True)
        until.callback(_let_go, connection)
        connection.exec_driver_sql("BEGIN")

        @contextlib.contextmanager
        def into(kind: DatabaseKind) -> Iterator[sa.Connection]:
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMAS}, {kind.application_id})")
            connection.exec_driver_sql(f"SET LOCAL search_path = {schemas[kind]}")
            _create(connection, kind, schemas[kind])
            yield connection

        try:
            yield into
            connection.exec_driver_sql("COMMIT")
        except BaseException:
            with contextlib.suppress(sa.exc.SQLAlchemyError):
                connection.exec_driver_sql("ROLLBACK")
            raise


# The album's lock


@contextlib.contextmanager
def album_held(server: Server, about: str, command: str) -> Iterator[str]:
    """Holds the album that is called `about`, whose catalog is on a server, for a command that writes; the lease comes
    out. Raises BusyError, saying who holds it, and StorageError."""
    place = OnServer(server, "mien_ledger")
    name = f'"{command}" (process {os.getpid()} on {socket.gethostname()})'
    with _border(place), ExitStack() as until:
        connection = _connected(place, durable=True, name=name)
        until.callback(_let_go, connection)
        if not connection.exec_driver_sql(f"SELECT pg_try_advisory_lock({_ALBUM[0]}, {_ALBUM[1]})").scalar():
            raise BusyError(
                about, f"is in use by {_holder(connection) or _SOMEBODY}", "Wait until that is done, then try again."
            )
        lease = _new_key()
        _hold(connection, lease)
        connection.exec_driver_sql("BEGIN")  # until whoever held it before has done with the last transaction
        for kind in (_CATALOG, _LEDGER):
            connection.exec_driver_sql(f"SELECT pg_advisory_xact_lock({_SCHEMAS}, {kind})")
        connection.exec_driver_sql("COMMIT")
        yield lease


def album_holder(server: Server) -> str:
    """Who holds the album whose catalog is on a server, as far as this user may know; "" where nobody does. Raises
    StorageError and BusyError."""
    place = OnServer(server, "mien_ledger")
    with _border(place):
        connection = _connected(place, durable=False)
        try:
            return _holder(connection)
        finally:
            _let_go(connection)


def _holder(connection: sa.Connection) -> str:
    row = connection.exec_driver_sql(
        "SELECT application_name, to_char(backend_start, 'YYYY-MM-DD HH24:MI:SS TZH:TZM') FROM pg_locks "
        "JOIN pg_stat_activity USING (pid) WHERE locktype = 'advisory' AND granted AND objsubid = 2 "
        f"AND classid = {_ALBUM[0]} AND objid = {_ALBUM[1]} AND {_HERE}"
    ).first()
    if row is None:
        return ""
    if not row[0]:
        return _SOMEBODY
    return f"{row[0]}, since {row[1]}" if row[1] else str(row[0])


def _new_key() -> str:
    """A key of 62 bits for an advisory lock, as 16 hexadecimal digits."""
    return f"{secrets.randbits(62):016x}"


def _hold(connection: sa.Connection, key: str) -> None:
    connection.exec_driver_sql(f"SELECT pg_advisory_lock({int(key, 16)})")


def _let_go(connection: sa.Connection) -> None:
    """Ends a session. What it holds is free at once: left to itself, the server notices a moment later."""
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        if not connection.closed and not connection.invalidated:
            connection.exec_driver_sql("SELECT pg_advisory_unlock_all()")
    with contextlib.suppress(sa.exc.SQLAlchemyError):
        connection.close()


def _is_held(connection: sa.Connection, key: str) -> bool:
    """Whether a session holds the lock of a key."""
    try:
        number = int(key, 16)
    except ValueError:  # of a process that had a file for that
        return False
    query = (
        "SELECT EXISTS (SELECT 1 FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 "
        f"AND classid = {number >> 32 & 0xFFFFFFFF} AND objid = {number & 0xFFFFFFFF} AND {_HERE})"
    )
    return bool(connection.exec_driver_sql(query).scalar())


# Connections


class _Wanted(NamedTuple):
    place: OnServer
    durable: bool
    name: str


_TO_CONNECT: ContextVar[_Wanted] = ContextVar("to_connect")
"""What the engine is to connect to."""


def _connected(place: OnServer, durable: bool, name: str = "mien") -> sa.Connection:
    opened = _TO_CONNECT.set(_Wanted(place, durable, name))
    try:
        return _engine().connect()
    finally:
        _TO_CONNECT.reset(opened)


@cache
def _engine() -> sa.Engine:
    """The engine of every connection, which keeps the statements that it has compiled."""
    try:
        import psycopg  # noqa: F401 - asked for before SQLAlchemy does, which says less
    except ImportError as error:
        raise MissingExtraError(
            "PostgreSQL", "cannot be used, as its driver is not installed", "Install it: pip install 'mien[scale]'"
        ) from error
    return sa.create_engine(
        "postgresql+psycopg://", creator=_connect, isolation_level="AUTOCOMMIT", poolclass=sa.NullPool
    )


def _connect() -> psycopg.Connection[Any]:
    import psycopg
    from psycopg.conninfo import conninfo_to_dict, make_conninfo

    wanted = _TO_CONNECT.get()
    defaults: dict[str, Any] = {
        "connect_timeout": CONNECT_SECONDS,
        "keepalives_idle": 30,
        "keepalives_interval": 10,
        "keepalives_count": 3,
        "tcp_user_timeout": 60_000,
        "application_name": wanted.name.encode("ascii", "replace").decode()[:63],
    }
    wishes = make_conninfo(**(defaults | conninfo_to_dict(wanted.place.server.url)))
    connection = psycopg.connect(wishes, autocommit=True)
    try:
        if connection.info.server_version < OLDEST * 10_000:
            raise StorageError(
                str(wanted.place.server),
                f"is PostgreSQL {connection.info.server_version // 10_000}, and mien needs {OLDEST} or later",
                "Update the server, or name another one as catalog in mien.toml.",
            )
        connection.execute(_session(wanted))
    except BaseException:
        connection.close()
        raise
    return connection


def _session(wanted: _Wanted) -> str:
    """What holds for a session: where its tables are, how long it waits, and whether a commit waits for the disk. A
    machine that is gone is noticed by the server within a minute, and what it held is free."""
    return f"""
        SET search_path = {wanted.place.schema};
        SET lock_timeout = '{BUSY_SECONDS}s';
        SET statement_timeout = '{STATEMENT_SECONDS}s';
        SET idle_in_transaction_session_timeout = '{STATEMENT_SECONDS}s';
        SET synchronous_commit = {"on" if wanted.durable else "off"};
        SET tcp_keepalives_idle = 30;
        SET tcp_keepalives_interval = 10;
        SET tcp_keepalives_count = 3;
        SELECT set_config(name, '0', false) FROM pg_settings WHERE name = 'idle_session_timeout';
    """


@compiles(OnConflictDoNothing, "postgresql")
@compiles(OnConflictDoUpdate, "postgresql")
def _on_conflict(clause: Any, compiler: Any, **given: Any) -> str:
    """SQLite's ON CONFLICT, for PostgreSQL, where it says the same: so rooms have one statement for both, made by
    SQLite's `insert`, which costs nobody the import of PostgreSQL's."""
    clause.constraint_target = None  # which SQLite does not know
    return str(getattr(compiler, f"visit_{clause.__visit_name__}")(clause, **given))


# Errors


class _Words(NamedTuple):
    of: type[MienError]
    what: str
    remedy: str


_URL: Final = "Check its parameters. A character of a password that is no letter or digit is written as %25 for %, say."
_AGAIN: Final = "Run again in a moment; what was finished is kept."
_LOST: Final = _Words(StorageError, "was lost in the middle of work", f"Check that the server runs. {_AGAIN}")
_FULL: Final = _Words(BusyError, "has no connection left", "Close other programs, or raise max_connections there.")
_DENIED: Final = _Words(
    StorageError,
    "refuses this user or password",
    "Check the user in the URL. The password may stand there, in PGPASSWORD, or in the file ~/.pgpass.",
)
_NO_DATABASE: Final = _Words(StorageError, "does not exist", "Make it on the server: `createdb --encoding UTF8 NAME`.")
_BUSY: Final = _Words(BusyError, "is in use by another run", "Wait until that is done, then try again.")
_STARTING: Final = _Words(BusyError, "is starting up or shutting down", _AGAIN)
_ERRORS: Final[dict[str, _Words]] = {  # postgresql.org/docs/current/errcodes-appendix.html
    "08": _LOST,
    "25006": _Words(StorageError, "cannot be written: the server is read-only", "Name its primary in mien.toml."),
    "25P03": _LOST,
    "28": _DENIED,
    "3D000": _NO_DATABASE,
    "40": _BUSY,
    "42501": _Words(
        StorageError,
        "may not be used by this user",
        "Make the user its owner, or grant what docs/catalog-on-postgresql.md lists.",
    ),
    "53100": _Words(StorageError, "cannot grow: the server's disk is full", f"Free some space there. {_AGAIN}"),
    "53200": _Words(StorageError, "cannot be used, as the server's memory is short", _AGAIN),
    "53300": _FULL,
    "55P03": _BUSY,
    "57014": _Words(
        StorageError,
        f"gave no answer within {STATEMENT_SECONDS // 60} minutes",
        f"See what else the server does. {_AGAIN}",
    ),
    "57P03": _STARTING,
    "57P": _LOST,
    "58": _Words(StorageError, "cannot be read or written: the server's disk fails", "Check that disk."),
    "XX001": _Words(AlbumError, "is damaged", "To go on, {way_out}"),
    "XX002": _Words(AlbumError, "is damaged", "To go on, {way_out}"),
}
"""By the first letters of a code; the longest that fit."""

_SAID: Final[dict[str, _Words]] = {
    "too many": _FULL,
    "connection slots": _FULL,
    "password": _DENIED,
    "authentication failed": _DENIED,
    "no pg_hba.conf entry": _DENIED,
    'role "': _DENIED,
    'database "': _NO_DATABASE,
    "starting up": _STARTING,
    "shutting down": _STARTING,
}
"""Parts of what is said by a server that lets nobody in: libpq hands no code on then."""


@contextlib.contextmanager
def _border(place: OnServer, kind: DatabaseKind | None = None) -> Iterator[None]:
    """The one place where the server's errors become mien's. What is no fault of server or network is a bug, and
    passes."""
    try:
        yield
    except sa.exc.DBAPIError as error:
        words = _words_for(error, place)
        if words is None:
            raise
        way_out = kind.way_out_on_server if kind else ""
        raise words.of(str(place.server), words.what, words.remedy.format(way_out=way_out)) from None


def _words_for(error: sa.exc.DBAPIError, place: OnServer) -> _Words | None:
    code = getattr(error.orig, "sqlstate", None) or ""
    for length in (5, 3, 2):
        if code[:length] in _ERRORS:
            return _ERRORS[code[:length]]
    if code:
        return None
    if _is_lost(error):
        return _LOST
    said = str(error.orig).strip()
    lines = without_secrets(said, place.server.url).splitlines() or [""]
    if isinstance(error, sa.exc.ProgrammingError) and error.statement is None:  # before there is a connection
        return _Words(StorageError, f"has a URL that cannot be read: {lines[0].rstrip('.')}", _URL)
    if not _is_operational(error):
        return None
    for part, words in _SAID.items():
        if part in said:
            return words
    return _Words(
        StorageError,
        f"cannot be reached: {lines[0].removeprefix('connection failed: ').rstrip('.')}",
        "Check that the server runs, and the host and the port in the URL.",
    )


def _is_lost(error: sa.exc.DBAPIError) -> bool:
    """Whether a connection that there was is none any more."""
    return error.connection_invalidated or (getattr(error.orig, "sqlstate", None) or "")[:3] in ("57P", "08", "25P03")


def _is_operational(error: sa.exc.DBAPIError) -> bool:
    return isinstance(error, sa.exc.OperationalError | sa.exc.InterfaceError)
