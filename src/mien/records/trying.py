"""A PostgreSQL server, tried: whether it can be reached, what it is, and what its user may do there."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Final

from mien.errors import StorageError
from mien.text.urls import told, without_secrets

SCHEMAS: Final = ("mien_catalog", "mien_ledger", "mien_access")
"""Which mien makes where its user may."""
LEAST: Final = 13
"""The oldest PostgreSQL that its own project still mended when mien came to use it."""


@dataclass(frozen=True, slots=True)
class Tried:
    """`version` is as in "15.14", `milliseconds` of one question, `schemas` those of mien's that are there, `refused`
    those that its user may not use; `ahead` is by how many seconds our clock is ahead of its, below 0: behind it."""

    version: str
    milliseconds: float
    schemas: tuple[str, ...]
    refused: tuple[str, ...]
    may_create: bool
    is_standby: bool
    is_encrypted: bool
    is_local: bool
    ahead: float

    @property
    def is_old(self) -> bool:
        """Whether it is older than mien knows."""
        return int(self.version.split(".")[0]) < LEAST


def try_server(url: str, seconds: float) -> Tried:
    """What is to be said of the server of a URL, which has so many seconds for each step. Raises StorageError where it
    cannot be used, and ImportError without psycopg."""
    import psycopg

    plain = "postgresql" + url[url.index(":") :]
    try:
        connection = psycopg.connect(
            plain, autocommit=True, connect_timeout=max(2, int(seconds)), application_name="mien doctor"
        )
        with connection, connection.cursor() as cursor:
            cursor.execute(f"SET statement_timeout = {int(seconds * 1000)}")
            began = time.perf_counter()
            cursor.execute("SELECT 1")
            milliseconds = 1000 * (time.perf_counter() - began)
            cursor.execute(
                "SELECT current_setting('server_version'), pg_is_in_recovery(),"
                " has_database_privilege(current_database(), 'CREATE'), extract(epoch FROM clock_timestamp())::float8"
            )
            row = cursor.fetchone()
            assert row is not None
            ahead = time.time() - row[3]
            cursor.execute(
                "SELECT nspname, has_schema_privilege(oid, 'USAGE') FROM pg_namespace WHERE nspname = ANY(%s)",
                [list(SCHEMAS)],
            )
            found: dict[str, bool] = dict(cursor.fetchall())
            return Tried(
                version=row[0].split()[0],
                milliseconds=milliseconds,
                schemas=tuple(sorted(found)),
                refused=tuple(sorted(name for name, may in found.items() if not may)),
                may_create=row[2],
                is_standby=row[1],
                is_encrypted=bool(connection.pgconn.ssl_in_use),
                is_local=_is_local(connection.info.host),
                ahead=ahead,
            )
    except (psycopg.Error, UnicodeError) as error:
        first = without_secrets(str(error), url).strip().split("\n")[0] or type(error).__name__
        remedy = "Check the address, the user and its password."
        raise StorageError(told(url), f"cannot be used: {first}", remedy) from error


def _is_local(host: str) -> bool:
    """Whether a host is this machine: a folder of sockets, or the loopback."""
    return host.startswith(("/", "127.")) or host in ("", "localhost", "::1")
