"""A real PostgreSQL server for tests: in a folder of its own, at a Unix socket alone, as another user where root runs
them, since PostgreSQL refuses root. `scripts/postgres` installs its programs; without them a test fails.

Its databases sort texts as English does, so that a test notices who forgets that names are compared byte by byte.
"""

from __future__ import annotations

import itertools
import os
import shutil
import signal
import subprocess
import tempfile
import time
from pathlib import Path
from typing import Any

import psycopg

OWNER = "postgres"


def programs() -> Path:
    """Where the newest PostgreSQL of this machine has its programs, which Debian keeps off the PATH."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/initdb"), key=lambda one: int(one.parent.parent.name))
    on_path = shutil.which("initdb")
    if not found and not on_path:
        raise RuntimeError("PostgreSQL is not installed here: run scripts/postgres")
    return found[-1].parent if found else Path(str(on_path)).resolve().parent


class PostgresServer:
    """A server that runs; `close` ends it, and removes what it kept."""

    def __init__(self) -> None:
        self.folder = Path(tempfile.mkdtemp(prefix="pg-"))
        self._programs, self._numbers = programs(), itertools.count(1)
        self._as: dict[str, Any] = {}
        if os.geteuid() == 0:
            self._as = {"user": "nobody", "group": "nogroup", "extra_groups": []}
            shutil.chown(self.folder, "nobody", "nogroup")
        self._process: subprocess.Popen[bytes] | None = None
        words = ["--auth=trust", "--no-sync", "--encoding=UTF8", "--locale=C.UTF-8", f"--username={OWNER}"]
        icu = ["--locale-provider=icu", "--icu-locale=en-US"]
        self._run("initdb", "--pgdata", str(self.folder / "data"), *words, *icu)
        rules = self.folder / "data/pg_hba.conf"
        rules.write_text("local all guarded scram-sha-256\n" + rules.read_text())
        self.start()

    def _run(self, program: str, *words: str) -> None:
        done = subprocess.run(
            [self._programs / program, *words], capture_output=True, text=True, check=False, cwd=self.folder, **self._as
        )
        if done.returncode:
            raise RuntimeError(f"{program} failed: {done.stderr}")

    def start(self, *words: str) -> None:
        """Starts it; `words` are further settings, each "name=value"."""
        settings = ("listen_addresses=", "fsync=off", "full_page_writes=off", "max_connections=40", *words)
        given = [word for each in settings for word in ("-c", each)]
        with (self.folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [self._programs / "postgres", "-D", self.folder / "data", "-k", self.folder, *given],
                stdout=log,
                stderr=log,
                cwd=self.folder,
                **self._as,
            )
        while True:
            try:
                self.execute("SELECT 1")
                return
            except psycopg.OperationalError:
                if self._process.poll() is not None:
                    raise RuntimeError((self.folder / "log").read_text()) from None
                time.sleep(0.02)

    def stop(self) -> None:
        """Ends it at once, and with it every connection."""
        if self._process is not None:
            self._process.send_signal(signal.SIGINT)
            self._process.wait()
            self._process = None

    def close(self) -> None:
        self.stop()
        shutil.rmtree(self.folder, ignore_errors=True)

    def url(self, database: str, user: str = OWNER, password: str = "") -> str:
        """The URL of a database."""
        return f"postgresql://{user}{f':{password}' if password else ''}@/{database}?host={self.folder}"

    def execute(self, statement: str, database: str = OWNER) -> list[tuple[Any, ...]]:
        """What a statement answers."""
        with psycopg.connect(self.url(database), autocommit=True) as connection:
            done = connection.execute(statement)
            return list(done.fetchall()) if done.description else []

    def new_database(self, template: str = "template0") -> str:
        """The name of a database that nobody has used."""
        name = f"album_{next(self._numbers)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template}")
        return name
