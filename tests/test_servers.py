from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from mien.errors import AlbumError, UsageError
from mien.servers import Server
from mien.settings import load
from mien.storage.layout import Layout, OnServer


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("postgresql://mien:s3cret@db.example:5433/club", "postgresql://mien@db.example:5433/club"),
        ("postgresql:///club?host=/run/pg&password=s3cret", "postgresql:///club?host=/run/pg"),
        (
            "postgres://mien@one,two:5433/club?sslmode=verify-full",
            "postgres://mien@one,two:5433/club?sslmode=verify-full",
        ),
        ("postgresql://mien:s3%23cret@db/?dbname=club", "postgresql://mien@db/?dbname=club"),
        ("postgresql://db/club?sslpassword=s3%2Bcr+et&sslmode=require", "postgresql://db/club?sslmode=require"),
    ],
)
def test_a_database_is_shown_without_its_password(url: str, shown: str) -> None:
    server = Server.of(url)
    assert str(server) == repr(server) == shown and server.url == url
    assert pickle.loads(pickle.dumps(server)) == server
    assert ("s3" in url) == bool(server.secrets)
    assert all(one not in shown for one in server.secrets)


def test_a_password_is_known_as_it_is_written_and_as_it_is_meant() -> None:
    server = Server.of("postgresql://mien:a%2Fb@db/club?password=c+d&sslpassword=e%21")
    assert server.secrets == ("a%2Fb", "e%21", "a/b", "c+d", "e!")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://mien:s3cr#et@db/club",
        "postgresql://mien:s3cr/et@db/club",
        "postgresql://mien:s3cr@et@db/club",
        "postgresql://mien:s3cr%et@db/club",
        "postgresql://db/club?password=s3cret%",
        "postgresql://mien:s3cret@db",
        "postgresql://mien:s3cret@[db/club",
        "mysql://mien:s3cret@db/club",
    ],
)
def test_what_could_not_be_shown_or_names_no_database_is_refused_and_not_shown(tmp_path: Path, url: str) -> None:
    (tmp_path / "mien.toml").write_text(f'catalog = "{url}"\n')
    with pytest.raises(AlbumError, match=r"will not do: it must.*postgresql://USER@HOST/DATABASE") as told:
        load(tmp_path, {})
    (tmp_path / "mien.toml").write_text("")
    with pytest.raises(UsageError) as of_environment:
        load(tmp_path, {}, {"MIEN_CATALOG": url})
    assert "s3cr" not in f"{told.value}{of_environment.value}"


def test_a_database_is_the_same_by_whichever_user() -> None:
    one = Server.of("postgresql://mien:s3cret@DB.example/club")
    for same in ("postgresql://guest@db.example:5432/club", "postgres://db.example/club?sslmode=require"):
        assert one.is_same_as(Server.of(same))
    for other in ("postgresql://db.example/other", "postgresql://db.example:5433/club", "postgresql:///club?host=/run"):
        assert not one.is_same_as(Server.of(other))


def test_of_an_album_on_a_server_the_databases_are_there_and_the_rest_is_local(tmp_path: Path) -> None:
    url = "postgresql://mien@db/club"
    (tmp_path / "mien.toml").write_text(f'catalog = "{url}"\n')
    layout = Layout.of(tmp_path, load(tmp_path, {}))
    server = Server.of(url)
    assert (layout.server, layout.asked_file) == (server, tmp_path / ".mien/catalog-asked.sqlite")
    assert [layout.catalog_at, layout.ledger_at, layout.access_at] == [
        OnServer(server, f"mien_{kind}") for kind in ("catalog", "ledger", "access")
    ]
    assert pickle.loads(pickle.dumps(layout)) == layout
