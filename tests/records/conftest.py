"""The tests of this folder run on both kinds of database: in SQLite files, and in the schemas of a real PostgreSQL
server, where each test has a database of its own. One that is about files says so by the mark `of_files`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien.storage.layout import OnServer, Place
from mien.types import Server

if TYPE_CHECKING:
    from conftest import TextAlbum
    from postgres_server import PostgresServer


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "kept_in" in metafunc.fixturenames:
        about_files = metafunc.definition.get_closest_marker("of_files")
        metafunc.parametrize("kept_in", ["sqlite"] if about_files else ["sqlite", "postgresql"])


@pytest.fixture
def server(kept_in: str, request: pytest.FixtureRequest) -> Server | None:
    """The database on a server in which a test keeps what it keeps; None where it does so in files."""
    if kept_in == "sqlite":
        return None
    running: PostgresServer = request.getfixturevalue("postgres_server")
    return Server.of(running.url(running.new_database(request.getfixturevalue("made_database"))))


@pytest.fixture
def place_of(tmp_path: Path, server: Server | None) -> Callable[[str], Place]:
    """Where the database of a kind is: place_of("ledger")."""
    return lambda kind: OnServer(server, f"mien_{kind}") if server else tmp_path / f"{kind}.sqlite"


@pytest.fixture
def text_album(tmp_path: Path, server: Server | None, new_text_album: Callable[..., TextAlbum]) -> Iterator[TextAlbum]:
    """An album whose photos are short texts."""
    with closing(new_text_album(tmp_path / "album", server)) as made:
        yield made
