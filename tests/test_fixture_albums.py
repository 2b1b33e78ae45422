"""tests/albums: what an earlier version of mien left behind, today's opens, reads, writes to and brings up to date.

A change of a table adds a revision to src/mien/records/migrations, and `python tools/make_fixture_album.py` then
adds tests/albums/schema-N, with what that version says of it in schema-N.json: commit both, and never change them.

On another machine the files have the times of their checkout, and so every copy here has new ones.
"""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import sqlalchemy as sa

from make_fixture_album import ALBUMS, SCHEMA, tell
from mien import Album
from mien.records import catalog, ledger
from mien.records.database import DatabaseKind
from mien.records.sqlite import SqliteFile
from mien.registry.folder import load_model
from mien.text.findings import StaleKind

if TYPE_CHECKING:
    from typer.testing import Result

FIXTURES = sorted(folder for folder in ALBUMS.iterdir() if folder.is_dir())
DATABASES = {"catalog.sqlite": catalog.KIND, "catalog-ledger.sqlite": ledger.KIND}

each = pytest.mark.parametrize("fixture", FIXTURES, ids=lambda folder: folder.name)


@pytest.fixture
def copy(fixture: Path, tmp_path: Path) -> Path:
    """A copy of the fixture, with other times, and with one photo in the folder that its source reads."""
    copied = shutil.copytree(fixture, tmp_path / "album", copy_function=shutil.copyfile)
    for file in copied.rglob("*"):
        os.utime(file, (1_800_000_000, 1_800_000_000))
    return copied


@pytest.fixture
def drop(tmp_path: Path, sample: Path) -> Path:
    """The folder that the album's source reads, with a photo that is new."""
    (tmp_path / "drop/Ingrid").mkdir(parents=True)
    return Path(shutil.copy(sample / "people/Ingrid/12.jpg", tmp_path / "drop/Ingrid/12.jpg"))


FOUND_OTHERWISE = frozenset({"schema-1", "schema-2", "schema-3", "schema-4"})
"""Albums of versions that found faces otherwise: their models answer, and their photos are seen anew once."""


def later(folder: Path) -> Album:
    return Album(folder, clock=lambda: datetime(2026, 12, 1, 9, 30, tzinfo=UTC))


def told(fixture: Path) -> dict[str, Any]:
    """What the version that made it said of it."""
    found: dict[str, Any] = json.loads(fixture.with_suffix(".json").read_text("utf-8"))
    return found


def sorted_findings(facts: dict[str, Any]) -> dict[str, Any]:
    """The same, with what `check` found in one order: which comes first changes with what needs a human."""
    return facts | {"check": sorted(facts["check"], key=lambda finding: json.dumps(finding, sort_keys=True))}


def snapshot(folder: Path) -> dict[str, tuple[bytes, int]]:
    """What lies in a folder, but for what is remembered of photos that were asked about, and that its folder changed
    by that."""
    return {
        path.relative_to(folder).as_posix(): (path.read_bytes() if path.is_file() else b"", path.stat().st_mtime_ns)
        for path in sorted(folder.rglob("*"))
        if path.name not in (".mien", "catalog-asked.sqlite")
    }


def rows(folder: Path, name: str) -> set[tuple[object, ...]]:
    """All rows of a database, as today's schema has them."""
    return rows_of(DATABASES[name], folder / ".mien" / name)


def rows_of(kind: DatabaseKind, file: Path) -> set[tuple[object, ...]]:
    with SqliteFile.for_reading(kind, file) as database, database.transaction() as connection:
        return {
            (table.name, *row) for table in kind.schema.sorted_tables for row in connection.execute(sa.select(table))
        }


# The fixtures themselves


def test_there_is_one_of_every_schema_up_to_todays() -> None:
    assert [folder.name for folder in FIXTURES] == sorted(f"schema-{number + 1}" for number in range(SCHEMA))


@each
def test_it_has_the_schema_that_its_name_says(fixture: Path) -> None:
    versions = {}
    for name in (*DATABASES, "catalog-access.sqlite"):
        if not (fixture / ".mien" / name).exists():  # albums of the first schemas have no key
            versions[name] = 1
            continue
        data = (fixture / ".mien" / name).read_bytes()
        assert data[18:20] == b"\x01\x01", "it lies as one plain file, without a write-ahead log"
        versions[name] = int.from_bytes(data[60:64], "big")  # user_version: sqlite.org/fileformat.html, 1.3
    assert sum(versions.values()) - 2 == int(fixture.name.removeprefix("schema-"))
    if fixture.name == "schema-1":
        assert set(versions.values()) == {1}


@each
def test_it_is_small_and_tells_of_no_machine(fixture: Path) -> None:
    files = [file for file in fixture.rglob("*") if file.is_file()]
    assert sum(file.stat().st_size for file in files) < 1_000_000
    assert not [file for file in files if file.name.endswith(("-wal", "-shm", "-journal"))]
    for file in (*files, fixture.with_suffix(".json")):
        data = file.read_bytes()
        assert not [place for place in (b"/tmp/", b"/home/", b"/root/", b"/work/", b"/Users/") if place in data], file


# Read


@each
def test_it_is_read_as_the_version_that_made_it_read_it(fixture: Path, copy: Path) -> None:
    before, facts = snapshot(copy), told(fixture)
    not_sure = {
        "kind": "not seen",
        "people": [],
        "photos": [],
        "figures": {"photos": facts["photos"]},
    }  # by their times
    if fixture.name in FOUND_OTHERWISE:
        facts["people"] = {name: [photos, 0] for name, (photos, _) in facts["people"].items()}
        facts["unreadable"] = 0
        facts["check"] = [  # what was not seen may show its person
            finding | {"figures": finding["figures"] | {"different": facts["people"][finding["people"][0]][0]}}
            for finding in facts["check"]
            if finding["kind"] == "few"
        ]
        facts["photos by path"] = {
            path: photo | {"faces": []} if "faces" in photo else photo
            for path, photo in facts["photos by path"].items()
        }
        not_sure["figures"] = {"photos": 2 * facts["photos"]}  # as changed, and as not seen
    assert sorted_findings(tell(copy)) == sorted_findings(facts | {"check": [*facts["check"], not_sure]})
    assert snapshot(copy) == before


@each
def test_only_times_differ_after_a_checkout(fixture: Path, copy: Path) -> None:
    facts = told(fixture)
    stale = {one.kind: one.figures for one in later(copy).status().stale}
    assert stale.pop(StaleKind.CHANGED) == {"photos": facts["photos"]}
    if fixture.name in FOUND_OTHERWISE:
        assert stale == {StaleKind.OTHER_SETTINGS: {}, StaleKind.NOT_SEEN: {"photos": facts["photos"]}}
    else:
        assert stale.keys() == {StaleKind.ENROLLED}


@each
def test_each_of_its_models_answers(fixture: Path, copy: Path) -> None:
    before, facts = snapshot(copy), told(fixture)
    photos = sorted((copy / "training-images").glob("*/02.jpg"))
    for model in (None, *(copy / "models" / version for version in facts["models"])):
        answers = list(later(copy).classify(photos, model=model))
        assert [answer.model for answer in answers] == [model.name if model else facts["model"]] * len(photos)
        named = [[face.prediction.person for face in answer.faces] for answer in answers]
        assert named == [[photo.parent.name] for photo in photos]
    assert snapshot(copy) == before


@each
def test_every_reading_command_says_what_it_has(fixture: Path, copy: Path, mien: Callable[..., Result]) -> None:
    before, facts = snapshot(copy), told(fixture)
    first, *_, last = facts["models"]
    for arguments, said, code in (
        (["status"], [*facts["people"], facts["model"]], 0),
        (["check"], ["not seen"] if fixture.name in FOUND_OTHERWISE else ["Erik/05.jpg"], 14),
        (["models"], list(facts["models"]), 0),
        (["models", "diff", first, last], [first, last], 0),
        (["runs"], list(facts["runs"]), 0),
        (["sources"], list(facts["sources"]), 0),
        (["show", "Amara/01.jpg"], ["/photos/Amara/01.jpg"], 0),
        (["report"], ["report.html"], 0),
        (["classify", copy / "training-images/Ingrid/01.jpg"], ["Ingrid"], 0),
    ):
        result = mien("-C", copy, *arguments)
        assert result.exit_code == code, (arguments, result.output)
        assert not [word for word in said if word not in result.output.replace("\n", "")], (arguments, result.output)
    assert snapshot(copy) == before


# Write


def add(copy: Path, sample: Path, anew: bool) -> None:
    added = later(copy).add("Amara", [sample / "people/Amara/12.jpg", copy / "training-images/Amara/01.jpg"])
    assert added.added == (copy / "training-images/Amara/12.jpg",) and added.known == 1


def train(copy: Path, sample: Path, anew: bool) -> None:
    add(copy, sample, anew)
    learned = later(copy).train()
    if anew:
        assert learned.aligned.computed == learned.aligned.photos
    else:
        unreadable = len(learned.aligned.failures)  # tried again once by an album that did not know what decoder failed
        assert learned.aligned.computed in (1, 1 + unreadable), "only the new photo is looked at, whatever the times"
        assert later(copy).align().computed == 0
    assert later(copy).version == learned.version


def rollback(copy: Path, sample: Path, anew: bool) -> None:
    first, enrolled, trained, _ = (one.version for one in later(copy).models())
    if not later(copy).status().removed:  # schema 1 did not keep who was removed
        assert (later(copy).rollback(), later(copy).rollback()) == (trained, enrolled)
        return
    without_jun = later(copy).rollback()  # of `trained` the version in use is the same without Jun already
    assert without_jun not in (first, enrolled, trained)
    assert set(load_model(copy / "models" / without_jun).people) == {"Amara", "Erik", "Ingrid"}
    assert later(copy).rollback() == first


def daily(copy: Path, sample: Path, anew: bool) -> None:
    done = later(copy).daily()
    assert done.run.state == "done"
    assert done.figure("collect", "photos") == 1 and done.figure("merge", "moved") == 2
    assert done.figure("align", "computed") == (3 if anew else 2), "what waited and was seen is not looked at again"
    assert (copy / "training-images/Ingrid/12.jpg").is_file() and (copy / "training-images/Amara/06.jpg").is_file()
    assert list(copy.glob("*-training-images/*/*.jpg")) == [copy / "2026-11-22-training-images/Erik/09.jpg"]


def remove(copy: Path, sample: Path, anew: bool) -> None:
    removed = later(copy).remove("Erik")
    assert len(removed.now) == 5 and all(file.parent == copy / "removed-images/Erik" for file in removed.now)
    assert [person.name for person in later(copy).status().people] == ["Amara", "Ingrid"]
    (answer,) = later(copy).classify(copy / "removed-images/Erik/01.jpg")
    assert [face.prediction.person for face in answer.faces] == [None]


@each
@pytest.mark.parametrize("verb", [add, train, rollback, daily, remove], ids=lambda verb: verb.__name__)
def test_what_the_ledger_holds_is_kept(
    fixture: Path, copy: Path, drop: Path, sample: Path, verb: Callable[[Path, Path, bool], None]
) -> None:
    before = rows(copy, "catalog-ledger.sqlite")
    verb(copy, sample, fixture.name in FOUND_OTHERWISE)
    assert before < rows(copy, "catalog-ledger.sqlite")
    for path, photo in told(fixture)["photos by path"].items():
        place = next(copy.rglob(f"{Path(path).parent.name}/{Path(path).name}"))
        told_now = [fetch.to_json() for fetch in later(copy).show(place).fetches]
        assert [fetch for fetch in photo["provenance"] if fetch not in told_now] == [], path


# Brought up to date


@each
@pytest.mark.parametrize("name", DATABASES)
def test_a_writer_brings_it_to_todays_schema(copy: Path, tmp_path: Path, name: str) -> None:
    file, fresh, kind = copy / ".mien" / name, tmp_path / "fresh", DATABASES[name]
    before = rows(copy, name)
    SqliteFile.for_writing(kind, file).close()
    SqliteFile.for_writing(kind, fresh).close()
    assert shape(file) == shape(fresh)
    assert rows(copy, name) == before and before
    assert sorted(each.name for each in file.parent.glob(f"{name}*")) == [name]


@each
@pytest.mark.parametrize("name", DATABASES)
def test_a_step_that_is_still_to_come_finds_it_as_it_is(copy: Path, name: str) -> None:
    """Schema 1 needs no step today: this is the next one, whichever that will be."""
    file, kind = copy / ".mien" / name, DATABASES[name]

    folder = shutil.copytree(kind.migrations, copy / "revisions")
    last, this = f"{kind.revisions}_{kind.version}", f"{kind.revisions}_{kind.version + 1}"
    (folder / f"{this}.py").write_text(
        f"from alembic import op\n\nrevision, down_revision = {this!r}, {last!r}\n\n\n"
        "def upgrade():\n    op.execute('CREATE TABLE later (number)')\n"
    )
    following = replace(kind, version=kind.version + 1, migrations=folder)
    before, data = rows(copy, name), file.read_bytes()
    with SqliteFile.for_reading(following, file) as database, database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT count(*) FROM later").scalar() == 0
    assert file.read_bytes() == data, "for a reader it is brought up to date in memory"
    SqliteFile.for_writing(following, file).close()
    assert rows_of(following, file) == before
    assert shape(file)["version"] == [(following.version,)]


def shape(file: Path) -> dict[str, Any]:
    """The version of a sound database, and its tables column by column."""
    with closing(sqlite3.connect(file)) as connection:

        def ask(query: str) -> list[tuple[Any, ...]]:
            return connection.execute(query).fetchall()

        assert ask("PRAGMA integrity_check") == [("ok",)] and ask("PRAGMA foreign_key_check") == []
        tables = [name for (name,) in ask("SELECT name FROM sqlite_master WHERE type = 'table'")]
        columns = {table: sorted(column[1:] for column in ask(f"PRAGMA table_info({table})")) for table in tables}
        keys = {table: sorted(key[2:] for key in ask(f"PRAGMA foreign_key_list({table})")) for table in tables}
        return {"version": ask("PRAGMA user_version"), "columns": columns, "keys": keys}
