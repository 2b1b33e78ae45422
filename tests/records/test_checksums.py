"""What is not what mien wrote: a changed value in any column, a flipped byte, a damaged index. Of the catalog it is
seen again, of the ledger it is told."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mien.errors import AlbumError
from mien.records import catalog, checksums, ledger
from mien.records.catalog import Catalog
from mien.records.corrections import Step
from mien.records.history import FailedFetch, Fetch, SourceRun
from mien.records.ledger import Ledger
from mien.records.sqlite import SqliteFile
from mien.storage.layout import TRAINING
from mien.text.fetching import FetchFault
from mien.text.findings import FindingKind
from mien.types import By, Finding

if TYPE_CHECKING:
    from conftest import Painted, TextAlbum

pytestmark = pytest.mark.of_files

ENCODER, RULE = "resnet-v1-fp32", "the leftmost"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
REFUSED = {"people", "removals", "salts"}
"""Tables without whose every row mien goes on with nothing."""


@pytest.fixture
def filled(text_album: TextAlbum) -> TextAlbum:
    """Rows in every table of both databases, at rest."""
    for number in range(3):
        text_album.put(f"{TRAINING}/ann/{number}.jpg", str(number))
    text_album.sync()
    for number in range(3):
        text_album.catalog.faces.record(text_album.seen(str(number), 2), ENCODER)
    faces = text_album.catalog.faces.faces_of("ann", ENCODER)
    own = {path: int(faces.ids[2 * row]) for row, path in enumerate(faces.paths)}
    text_album.catalog.faces.choose("ann", ENCODER, RULE, own, centre=(faces.embeddings[0], 3))
    text_album.catalog.faces.begin([text_album.sha("0")])
    keys = {path: f"ann/{row}.png" for row, path in enumerate(faces.paths)}
    for due in text_album.catalog.chips.due(keys, ENCODER, 96, ()):
        text_album.catalog.chips.written(due, 96)
    history, runs, removals = text_album.ledger.history, text_album.ledger.runs, text_album.ledger.removals
    text_album.ledger.people.enter(["bob"], "personal", NOON, {"bob": date(2027, 1, 1)})
    fetch = Fetch("club", "a", "ann", "a" * 64, "", 9, "s", "own", "consent", "", NOON, NOON, "placed", "x/ann/1.jpg")
    history.record([fetch], [FailedFetch("club", "b", "bob", FetchFault.GONE, NOON)])
    history.source_ran(SourceRun("club", NOON, NOON, 1, 2, 3, 4, 5, None))
    history.promoted("2026-11-23-001", NOON, "daily", None)
    run = runs.begin("daily", NOON.date(), NOON).id
    runs.begin_step(run, "check", NOON)
    runs.finish_step(run, "check", NOON, "done", {}, [Finding(FindingKind.NO_FACE, ("ann",))])
    removals.begin("bob", NOON, "aside")
    ids = text_album.ledger.people.enter(["ann", "bob"], "personal", NOON)
    step = Step("training-images/ann/1.jpg", "training-images/bob/1.jpg", ids["ann"], ids["bob"], "a" * 64)
    text_album.ledger.corrections.begin("join", NOON, ids["ann"], ids["bob"], [step], None)
    event = text_album.ledger.events.begin(By("desk", "r-1"), "join", "ann", NOON)
    text_album.ledger.events.end(event, "ann", NOON, "done", "2026-11-23-001")
    text_album.ledger.set_album(text_album.layout.folder)
    text_album.close()
    return text_album


def columns(kind: Any) -> Iterator[tuple[str, str]]:
    for table in kind.schema.sorted_tables:
        for column in (*table.columns.keys(), checksums.COLUMN):
            yield table.name, column


def change(file: Path, table: str, column: str) -> bool:
    """Changes a value by other means than mien's; False where there is no row."""
    with closing(sqlite3.connect(file, isolation_level=None)) as database:
        found = database.execute(f"SELECT {column} FROM {table}").fetchone()
        if found is None:
            return False
        (old,) = found
        new: object = 7 if old is None else old + 1000 if isinstance(old, int | float) else f"{old}x"
        if isinstance(old, bytes):
            new = bytes([old[0] ^ 64]) + old[1:]
        database.execute(f"UPDATE {table} SET {column} = ? WHERE {column} IS ?", (new, old))
        return True


def test_every_value_of_the_catalog_that_was_changed_is_made_again(filled: TextAlbum) -> None:
    file = filled.layout.catalog_file
    before = file.read_bytes()
    for table, column in columns(catalog.KIND):
        file.write_bytes(before)
        assert change(file, table, column), table
        with Ledger.for_reading(filled.layout.ledger_file) as known, Catalog.for_reading(file, known.people) as reader:
            assert reader.damage_found, (table, column)
        assert file.read_bytes() != before
        with Ledger.for_writing(filled.layout.ledger_file) as known, Catalog.for_writing(file, known.people) as opened:
            assert opened.damage_found, (table, column)
            filled.ledger, filled.catalog = known, opened
            filled.sync()
            for sha256, _ in opened.faces.unseen([TRAINING], ENCODER, ""):
                content = next(str(number) for number in range(3) if filled.sha(str(number)) == sha256)
                opened.faces.record(filled.seen(content, 2), ENCODER)
            faces = opened.faces.faces_of("ann", ENCODER)
            assert faces.sha256 == tuple(filled.sha(str(number)) for number in range(3)), (table, column)
            expected = np.stack([filled.vector(str(number), face) for number in range(3) for face in (0, 1)])
            assert np.array_equal(faces.embeddings, expected), (table, column)
            assert opened.faces.to_choose(ENCODER, RULE) == ("ann",)
        with Ledger.for_reading(filled.layout.ledger_file) as known, Catalog.for_reading(file, known.people) as reader:
            assert not reader.damage_found


def test_every_value_of_the_ledger_that_was_changed_is_told(filled: TextAlbum) -> None:
    file = filled.layout.ledger_file
    before = file.read_bytes()
    for table, column in columns(ledger.KIND):
        file.write_bytes(before)
        if table == "damaged":
            continue  # nobody reads it
        assert change(file, table, column), table
        if table in REFUSED:
            for _ in range(2):  # and it is not taken for sound afterwards
                for opened in (Ledger.for_reading, Ledger.for_writing):
                    with pytest.raises(AlbumError, match=r"is damaged, in \d records? of who .*a copy from a backup"):
                        opened(file)
            continue
        with Ledger.for_reading(file) as reader:
            assert reader.damage_found and reader.damaged() == {table: 1}, (table, column)
        with Ledger.for_writing(file) as writer:
            assert writer.damage_found and writer.damaged() == {table: 1}, (table, column)
        with Ledger.for_reading(file) as reader:  # found once, and out of use for good
            assert not reader.damage_found and reader.damaged() == {table: 1}


def test_what_mien_writes_by_whatever_way_has_its_checksum(filled: TextAlbum) -> None:
    filled.open()
    filled.ledger.removals.finish("bob")
    filled.ledger.history.expire(["club"])
    filled.ledger.forget("bob")  # which leaves a removal without a person
    filled.put(f"{TRAINING}/ann/4.jpg", "1")
    filled.sync(now=NOON)
    filled.layout.file(f"{TRAINING}/ann/0.jpg").unlink()
    filled.sync(now=NOON)
    filled.close()
    for kind, file in ((catalog.KIND, filled.layout.catalog_file), (ledger.KIND, filled.layout.ledger_file)):
        file.with_suffix(".seal").unlink()
        with SqliteFile.for_reading(kind, file) as database:
            assert database.damaged == {}


def test_a_flipped_byte_of_an_index_is_mended(filled: TextAlbum) -> None:
    """A photo that stands in the table and not in the index would not be found."""
    file = filled.layout.catalog_file
    with closing(sqlite3.connect(file)) as database:
        (page,) = database.execute("SELECT rootpage FROM sqlite_master WHERE name = 'ix_files_person'").fetchone()
        (size,) = database.execute("PRAGMA page_size").fetchone()
        (person,) = database.execute("SELECT person FROM files").fetchone()
    data = bytearray(file.read_bytes())
    at = data.index(person.encode(), (page - 1) * size, page * size)
    data[at] ^= 1
    file.write_bytes(data)
    for opened in (Catalog.for_reading, Catalog.for_writing):
        with Ledger.for_reading(filled.layout.ledger_file) as known, opened(file, known.people) as read:
            assert len(read.faces.faces_of("ann", ENCODER).paths) == 3


@pytest.mark.parametrize("sealed", [True, False])
def test_a_sealed_file_is_not_looked_through(filled: TextAlbum, monkeypatch: pytest.MonkeyPatch, sealed: bool) -> None:
    looked: list[object] = []

    def look(*about: object) -> dict[str, int]:
        looked.append(about)
        return {}

    monkeypatch.setattr(checksums, "damaged", look)
    if not sealed:
        filled.layout.ledger_file.with_suffix(".seal").unlink()
    Ledger.for_reading(filled.layout.ledger_file).close()
    assert bool(looked) is not sealed


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e18, 0.0])
def test_one_number_of_an_embedding_changes_no_answer(three_people: Painted, value: float) -> None:
    """attacks/12-catalog-bit-rot: a model that knew nobody was put into use."""
    for number in (4, 5):
        three_people.photo(f"Ada/ada-{number}.png")
    three_people.open().train()
    asked = sorted(three_people.training.glob("*/*.png"))

    def answers() -> list[list[tuple[str | None, float]]]:
        return [
            [(face.prediction.person, face.prediction.score) for face in answer.faces]
            for answer in three_people.open().classify(asked)
        ]

    before = answers()
    file = three_people.folder / ".mien/catalog.sqlite"
    with closing(sqlite3.connect(file)) as database, database:
        number, blob = database.execute("SELECT id, embedding FROM faces").fetchone()
        vector = np.frombuffer(blob, "<f4").copy()
        vector[np.argmax(np.abs(vector))] = value
        database.execute("UPDATE faces SET embedding = ? WHERE id = ?", (vector.tobytes(), number))
    three_people.looked()
    assert "DAMAGED" in [finding.kind.name for finding in three_people.open().status().stale]
    three_people.open().train()
    assert len(three_people.looked()) == 1, "one photo is seen again"
    assert answers() == before
    assert not [one for one in three_people.open().status().stale if one.kind.name == "DAMAGED"]
