"""keys on the command line: listed, made, revoked; and the same of an `Album`."""

from __future__ import annotations

import json
import os
import sqlite3
from collections.abc import Callable
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.errors import UsageError
from mien.records.keys import Key
from mien.storage.layout import Layout
from mien.storage.lock import lock
from mien.text.access import KeyKind, Scope
from mien.types import By

if TYPE_CHECKING:
    from conftest import Painted

NOON = datetime(2026, 11, 26, 12, tzinfo=UTC)


@pytest.fixture
def club(tmp_path: Path) -> Path:
    return Album.create(tmp_path / "club").folder


def found(club: Path, secret: str) -> Key | KeyKind:
    with Album(club).access() as access:
        return access.keys.find(secret, datetime.now().astimezone())


def names(club: Path) -> list[str]:
    keys = Album(club).keys()
    return [key.name for key in keys]


def test_where_there_are_no_keys_it_says_how_to_make_one_and_makes_no_file(
    mien: Callable[..., Any], club: Path
) -> None:
    said = mien("-C", club, "keys")
    assert (said.exit_code, said.stdout) == (0, f"keys        none yet; mien -C {club} keys add NAME makes one\n")
    assert mien("-C", club, "keys", "--json").stdout == "[]\n"
    assert mien("-C", club, "keys", "revoke", "desk").exit_code == 2
    assert not (club / ".mien").exists()


def test_a_new_key_stands_alone_on_standard_output(mien: Callable[..., Any], club: Path) -> None:
    made = mien("-C", club, "keys", "add", "front-desk")
    secret = made.stdout.removesuffix("\n")
    assert made.exit_code == 0 and secret.startswith("mien_") and secret.split() == [secret]
    assert made.stderr == (
        "The key front-desk may ask who is in a picture.\n"
        f"It is not shown again. If it is lost: mien -C {club} keys revoke front-desk\n"
    )
    key = found(club, secret)
    assert isinstance(key, Key) and (key.scope, key.until) == (Scope.CLASSIFY, None)
    for words in (["keys"], ["keys", "--json"], ["status"], ["keys", "revoke", "front-desk"]):
        assert secret not in mien("-C", club, *words).output


def test_keys_are_listed_with_what_they_allow(mien: Callable[..., Any], club: Path) -> None:
    mien("-C", club, "keys", "add", "importer", "--scope", "admin", "--until", "2999-12-31")
    mien("-C", club, "keys", "add", "front-desk", "--scope", "review")
    with Album(club).access() as access:
        access.keys.used("front-desk", NOON)
    mien("-C", club, "keys", "revoke", "importer")
    lines = mien("-C", club, "keys").stdout.splitlines()
    assert [line.split() for line in lines] == [
        ["name", "scope", "state", "until", "last", "used"],
        ["front-desk", "review", "good", "-", *f"{NOON.astimezone():%Y-%m-%d %H:%M}".split()],
        ["importer", "admin", "revoked", "2999-12-31", "never"],
    ]
    assert max(map(len, lines)) <= 60
    told = json.loads(mien("-C", club, "keys", "--json").stdout)
    assert [(one["name"], one["state"], one["until"]) for one in told] == [
        ("front-desk", "good", None),
        ("importer", "revoked", "2999-12-31"),
    ]


def test_a_revoked_key_is_refused_and_its_name_is_free(mien: Callable[..., Any], club: Path) -> None:
    secret = mien("-C", club, "keys", "add", "desk").stdout.strip()
    with Album(club).access() as server:
        said = mien("-C", club, "keys", "revoke", "desk")
        assert said.exit_code == 0 and said.stdout.startswith("revoked     desk, on 2")
        assert server.keys.find(secret, NOON) is KeyKind.REVOKED, "a server that runs sees it at once"
    assert mien("-C", club, "keys", "revoke", "desk").exit_code == 0
    assert mien("-C", club, "keys", "add", "desk").exit_code == 0


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["add", "front-desk"], '"front-desk" is the name of a key already'),
        (["add", "a b"], '"a b" cannot be the name of a key'),
        (["add", "new", "--until", "2020-01-01"], "2020-01-01 is over"),
        (["add", "new", "--until", "soon"], "soon is no date"),
        (["revoke", "frontdesk"], "Did you mean front-desk?"),
    ],
)
def test_what_is_refused_says_what_to_do(mien: Callable[..., Any], club: Path, words: list[str], said: str) -> None:
    mien("-C", club, "keys", "add", "front-desk")
    refused = mien("-C", club, "keys", *words)
    assert (refused.exit_code, refused.stdout) == (2, "") and said in refused.stderr, refused.stderr
    assert names(club) == ["front-desk"]


def test_a_scope_that_is_none_is_refused(mien: Callable[..., Any], club: Path) -> None:
    assert mien("-C", club, "keys", "add", "new", "--scope", "root").exit_code == 2
    with pytest.raises(UsageError, match=r'"root" is no scope of a key\. Name classify, review or admin\.'):
        Album(club).add_key("new", "root")
    assert not (club / ".mien").exists()


def test_an_album_makes_and_revokes_keys_by_its_own_clock(club: Path) -> None:
    album = Album(club, clock=lambda: NOON)
    album.add_key("desk", "review", date(2026, 11, 26))
    with pytest.raises(UsageError, match=r"2026-11-25 is over"):
        album.add_key("other", until=date(2026, 11, 25))
    assert album.revoke_key("desk").revoked == NOON
    (key,) = album.keys()
    assert (key.name, key.created) == ("desk", NOON)


def test_keys_do_not_wait_for_a_run_that_holds_the_album(mien: Callable[..., Any], club: Path) -> None:
    album = Album(club)
    with lock(Layout.of(club, album.settings), "mien daily"):
        assert mien("-C", club, "keys", "add", "desk").exit_code == 0
        assert mien("-C", club, "keys", "revoke", "desk").exit_code == 0


def test_damage_is_told(mien: Callable[..., Any], club: Path) -> None:
    mien("-C", club, "keys", "add", "desk")
    mien("-C", club, "keys", "add", "night")
    with closing(sqlite3.connect(club / ".mien/catalog-access.sqlite", isolation_level=None)) as plain:
        plain.execute("UPDATE keys SET scope = 'admin' WHERE name = 'desk'")
    said = mien("-C", club, "keys")
    assert "night" in said.stdout and "desk" not in said.stdout
    assert "1 record of keys and of what servers answered damaged, and gone" in said.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such permissions")
def test_the_file_of_keys_is_for_its_owner_alone(mien: Callable[..., Any], club: Path) -> None:
    mien("-C", club, "keys", "add", "desk")
    assert [file.name for file in (club / ".mien").iterdir()] == ["catalog-access.sqlite"]
    assert (club / ".mien/catalog-access.sqlite").stat().st_mode & 0o777 == 0o600
    assert (club / ".mien").stat().st_mode & 0o777 == 0o700


# Who changed what


def told(painted: Painted) -> list[tuple[str, str, str, str | None, str | None]]:
    found = reversed(painted.open().log())
    return [(one.by.key, one.verb, one.person, one.outcome, one.version) for one in found]


def test_the_log_has_who_changed_what(three_people: Painted, tmp_path: Path, mien: Callable[..., Any]) -> None:
    assert mien("-C", three_people.folder, "keys", "log").stdout == "log         nothing was changed yet\n"
    three_people.open().train()
    desk = three_people.open(by=By("desk", "r-7"), clock=lambda: NOON)
    desk.add("Freya", [three_people.paint(tmp_path / "new.png", "Freya")], enrol=True)
    desk.rename("Freya", "Freja")
    with pytest.raises(UsageError):
        desk.remove("Nobody at all")
    desk.remove("Freja", everywhere=True)
    first, added, renamed, last = (one.version for one in reversed(desk.log()) if one.version)
    assert told(three_people) == [
        ("", "train", "", "done", first),
        ("desk", "add", "", "done", added),
        ("desk", "rename", "", "done", renamed),
        ("desk", "remove", "", "failed", None),
        ("desk", "remove", "", "done", last),
    ], "of whoever is forgotten it is not said"
    lines = mien("-C", three_people.folder, "keys", "log").stdout.splitlines()
    at = f"{NOON.astimezone():%Y-%m-%d %H:%M}"
    assert lines[0].split() == ["when", "key", "what", "outcome"] and len(lines) == 6
    assert lines[4] == f"{at}  desk  remove  failed" and lines[1].split()[2:5] == ["-", "train", "done,"]
    assert max(map(len, lines)) <= 60
    as_json = json.loads(mien("-C", three_people.folder, "keys", "log", "--limit", "1", "--json").stdout)
    assert [(one["key"], one["request"], one["verb"]) for one in as_json] == [("desk", "r-7", "remove")]


def test_the_log_names_the_people(three_people: Painted, mien: Callable[..., Any]) -> None:
    three_people.open(by=By("desk")).join("Bo", "Ada")
    three_people.open(by=By("desk")).move("Ada/ada-1.png", "Cy")
    assert told(three_people) == [("desk", "join", "Ada", "done", None), ("desk", "move", "Cy", "done", None)]
    assert "desk  move Cy   done" in mien("-C", three_people.folder, "keys", "log").stdout


def test_a_change_that_is_stopped_or_killed_is_told_as_interrupted(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    def stop(_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mien.pipeline.learn.align_training", stop)
        with pytest.raises(KeyboardInterrupt):
            three_people.open().align()
    with three_people.writing() as album:
        album.ledger.events.begin(By("desk"), "train", "", NOON)  # and then a kill
    assert told(three_people) == [("", "align", "", "interrupted", None), ("desk", "train", "", None, None)]
    three_people.open().align()
    assert told(three_people)[1:] == [("desk", "train", "", "interrupted", None), ("", "align", "", "done", None)]
