"""What `mien.records.catalog` remembers of photos before they are merged, and of one photo at all."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from mien.errors import PhotoError
from mien.records.catalog import SCHEMA_VERSION, Catalog, Changes, IntakeChanges
from mien.storage.layout import Workspace
from mien.types import Embedding, Face, Photo, Quality, SeenFace, SeenPhoto

ENCODER = "resnet-v1-fp32"
DAY = "2026-11-23-training-images"


class Shelf:
    """An album on disk with its catalog, and the photos that were hashed in the last look at the disk."""

    def __init__(self, folder: Path) -> None:
        self.album = Workspace.create(folder, "personal")
        self.catalog = Catalog.open(self.album.local_catalog())
        self.hashed: list[str] = []

    def put(self, path: str, content: str) -> Path:
        file = self.album.folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)
        return file

    def sync(self) -> Changes:
        return self.catalog.sync(
            self.album.walk_training(), lambda path: self._hash(f"training-images/{path}"), basis="personal"
        )

    def sync_intakes(self) -> IntakeChanges:
        self.hashed = []
        return self.catalog.sync_intakes(self.album.walk_intakes(), self._hash)

    def _hash(self, path: str) -> str:
        self.hashed.append(path)
        return hashlib.sha256((self.album.folder / path).read_bytes()).hexdigest()

    def record(self, content: str, faces: int = 1) -> None:
        assert self.catalog.record(seen(content, faces), ENCODER)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "album")
    yield shelf
    shelf.catalog.close()


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def vector(content: str, number: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    return np.random.default_rng([*content.encode(), number]).standard_normal(128, np.float32)


def seen(content: str, faces: int = 1, phash: str = "") -> SeenPhoto:
    return SeenPhoto(
        Photo(sha(content), 640, 480, "JPEG", phash or sha(content)[:16]),
        tuple(
            SeenFace(
                Face((10.5 * n, 1, 20, 30), np.arange(10, dtype=np.float32).reshape(5, 2) + n, 0.75, "yunet", n % 4),
                Quality(90.5, 0.5, 0.25, 0.125, 0.0625 * (n + 1)),
                Embedding(vector(content, n), ENCODER),
            )
            for n in range(faces)
        ),
    )


def test_only_what_is_new_or_looks_changed_is_hashed(shelf: Shelf) -> None:
    first = shelf.put(f"{DAY}/Ann/a.jpg", "one")
    shelf.put(f"{DAY}/Bo/b.jpg", "two")
    assert shelf.sync_intakes() == IntakeChanges(new=2, changed=0, gone=0, unreadable=())
    assert shelf.sync_intakes() == IntakeChanges(new=0, changed=0, gone=0, unreadable=())
    assert shelf.hashed == []
    shelf.put(f"{DAY}/Ann/a.jpg", "another")
    shelf.put(f"{DAY}/Ann/c.jpg", "three")
    (shelf.album.folder / DAY / "Bo/b.jpg").unlink()
    assert shelf.sync_intakes() == IntakeChanges(new=1, changed=1, gone=1, unreadable=())
    assert sorted(shelf.hashed) == [f"{DAY}/Ann/a.jpg", f"{DAY}/Ann/c.jpg"]
    assert first.is_file() and shelf.catalog.people() == (), "nobody is in the album yet"


def test_what_cannot_be_opened_is_told_and_drops_out(shelf: Shelf) -> None:
    shelf.put(f"{DAY}/Ann/a.jpg", "one")
    shelf.sync_intakes()
    shelf.put(f"{DAY}/Ann/a.jpg", "changed")

    def locked(path: str) -> str:
        raise PhotoError(f"{path}: permission denied.", "Ask for it.")

    changes = shelf.catalog.sync_intakes(shelf.album.walk_intakes(), locked)
    path = f"{DAY}/Ann/a.jpg"
    assert changes == IntakeChanges(0, 0, 1, ((path, f"{path}: permission denied. Ask for it."),))
    assert shelf.catalog.arrivals(ENCODER).arrivals == ()


def test_what_was_seen_stays_when_a_photo_moves_into_the_album(shelf: Shelf) -> None:
    file = shelf.put(f"{DAY}/Ann/a.jpg", "one")
    shelf.sync_intakes()
    assert shelf.catalog.unseen_arrivals(ENCODER) == [(sha("one"), f"{DAY}/Ann/a.jpg")]
    assert shelf.catalog.unseen(ENCODER) == []
    shelf.record("one")
    assert shelf.catalog.unseen_arrivals(ENCODER) == []
    shelf.sync()
    assert shelf.catalog.photo(sha("one")), "it waits, so it is no orphan"
    (shelf.album.training / "Ann").mkdir()
    file.rename(shelf.album.training / "Ann/a.jpg")
    shelf.sync_intakes()
    assert shelf.sync().new == 1
    assert shelf.catalog.unseen(ENCODER) == []
    assert shelf.catalog.faces_of("Ann", ENCODER).sha256 == (sha("one"),)


def test_a_photo_that_lies_nowhere_any_more_is_forgotten_by_the_next_sync(shelf: Shelf) -> None:
    file = shelf.put(f"{DAY}/Ann/a.jpg", "one")
    shelf.sync_intakes()
    shelf.record("one")
    file.unlink()
    shelf.sync_intakes()
    assert shelf.catalog.photo(sha("one"))
    shelf.sync()
    assert shelf.catalog.photo(sha("one")) is None


def test_arrivals_as_an_encoder_saw_them(shelf: Shelf) -> None:
    for name in ("faceless", "group", "new", "broken"):
        shelf.put(f"{DAY}/Ann/{name}.jpg", name)
    shelf.put(f"{DAY}/Bo/group.jpg", "group")
    shelf.sync_intakes()
    shelf.record("faceless", 0)
    shelf.record("group", 2)
    shelf.catalog.record_failure(sha("broken"), ENCODER, "truncated", "it breaks off.")
    found = shelf.catalog.arrivals(ENCODER)
    assert [(one.path.removeprefix(f"{DAY}/"), one.person, one.error, one.faces) for one in found.arrivals] == [
        ("Ann/broken.jpg", "Ann", "it breaks off.", range(0, 0)),
        ("Ann/faceless.jpg", "Ann", None, range(0, 0)),
        ("Ann/group.jpg", "Ann", None, range(0, 2)),
        ("Ann/new.jpg", "Ann", None, range(2, 2)),
        ("Bo/group.jpg", "Bo", None, range(2, 4)),
    ]
    assert [bool(one.phash) for one in found.arrivals] == [False, True, True, False, True]
    np.testing.assert_array_equal(found.embeddings, [vector("group", n) for n in (0, 1, 0, 1)])
    other = shelf.catalog.arrivals("another")
    assert [(one.phash, one.error, len(one.faces)) for one in other.arrivals] == [("", None, 0)] * 5
    assert shelf.catalog.broken_arrivals() == {f"{DAY}/Ann/broken.jpg": "it breaks off."}


def test_a_photo_that_one_encoder_could_read_is_not_broken(shelf: Shelf) -> None:
    shelf.put(f"{DAY}/Ann/a.heic", "one")
    shelf.sync_intakes()
    shelf.catalog.record_failure(sha("one"), "before", "missing-extra", "HEIC.")
    assert shelf.catalog.unseen_arrivals("before", retry=["missing-extra"]) == [(sha("one"), f"{DAY}/Ann/a.heic")]
    assert shelf.catalog.unseen_arrivals("before") == []
    shelf.record("one")
    assert shelf.catalog.broken_arrivals() == {}


def test_what_waits_is_not_counted_as_the_albums(shelf: Shelf) -> None:
    shelf.put("training-images/Ann/a.jpg", "one")
    shelf.put(f"{DAY}/Ann/b.jpg", "two")
    shelf.sync()
    shelf.sync_intakes()
    shelf.record("one", 2)
    shelf.record("two", 3)
    summary = shelf.catalog.summary(ENCODER)
    assert (summary.photos, summary.faces) == (1, 2)


def test_all_that_is_known_of_a_photo(shelf: Shelf) -> None:
    shelf.put("training-images/Ann/a.jpg", "one")
    shelf.put("training-images/Bo/a.jpg", "one")
    shelf.put(f"{DAY}/Cy/a.jpg", "one")
    shelf.sync()
    shelf.sync_intakes()
    record = shelf.catalog.photo(sha("one"))
    assert record and (record.photo, record.bytes, record.sightings) == (None, 3, ())
    shelf.record("one", 2)
    shelf.catalog.record_failure(sha("one"), "another", "bomb", "too large.")
    face = int(shelf.catalog.faces_of("Ann", ENCODER).ids[1])
    shelf.catalog.choose("Ann", "rule", {"Ann/a.jpg": face})
    record = shelf.catalog.photo(sha("one"))
    assert record and record.photo == seen("one").photo
    assert [(one.path, one.person, one.waiting, one.chosen_face) for one in record.filed] == [
        ("Ann/a.jpg", "Ann", False, face),
        ("Bo/a.jpg", "Bo", False, None),
        (f"{DAY}/Cy/a.jpg", "Cy", True, None),
    ]
    by = {one.encoder_id: one for one in record.sightings}
    assert (by["another"].error, by["another"].faces) == ("too large.", ())
    assert by[ENCODER].error is None and [one.id for one in by[ENCODER].faces] == [face - 1, face]
    want = seen("one", 2).faces[1]
    got = by[ENCODER].faces[1]
    assert (got.face.box, got.face.turn, got.quality) == (want.face.box, 1, want.quality)
    np.testing.assert_array_equal(got.face.landmarks, want.face.landmarks)
    assert shelf.catalog.photo(sha("two")) is None


def test_photos_that_look_alike(shelf: Shelf) -> None:
    hashes = {"one": "00000000000000ff", "near": "00000000000000f8", "far": "00000000000000f0", "flat": "0" * 16}
    for content in hashes:
        shelf.put(f"training-images/Ann/{content}.jpg", content)
    shelf.put(f"{DAY}/Bo/near.jpg", "near")
    shelf.put("training-images/Ann/new.jpg", "new")
    shelf.sync()
    shelf.sync_intakes()
    for content, phash in hashes.items():
        assert shelf.catalog.record(seen(content, 0, phash), ENCODER)
    found = shelf.catalog.lookalikes(seen("one", 0, hashes["one"]).photo)
    assert [one.path for one in found] == ["Ann/near.jpg", f"{DAY}/Bo/near.jpg"]
    assert shelf.catalog.lookalikes(seen("flat", 0, hashes["flat"]).photo) == ()


def test_a_catalog_of_the_first_version_goes_on_working(tmp_path: Path) -> None:
    shelf = Shelf(tmp_path / "album")
    shelf.put("training-images/Ann/a.jpg", "one")
    shelf.sync()
    shelf.record("one")
    shelf.catalog.close()
    with closing(sqlite3.connect(shelf.album.catalog_file)) as database, database:
        database.execute("DROP TABLE arrivals")
        database.execute("PRAGMA user_version = 1")
    shelf.catalog = Catalog.open(shelf.album.catalog_file)
    shelf.put(f"{DAY}/Ann/b.jpg", "two")
    assert shelf.sync_intakes().new == 1
    assert shelf.catalog.faces_of("Ann", ENCODER).sha256 == (sha("one"),)
    shelf.catalog.close()
    with closing(sqlite3.connect(shelf.album.catalog_file)) as database:
        assert database.execute("PRAGMA user_version").fetchone() == (SCHEMA_VERSION,)
        indexes = database.execute("SELECT count(*) FROM sqlite_master WHERE name LIKE 'ix_arrivals%'").fetchone()
        assert indexes == (1,)
    with Catalog.open(shelf.album.catalog_file) as catalog:
        assert len(catalog.arrivals(ENCODER).arrivals) == 1
