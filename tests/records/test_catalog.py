from __future__ import annotations

import hashlib
import os
import random
import shutil
import sqlite3
import subprocess
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import AlbumError, BusyError, EncoderMismatchError, PhotoError, StorageError
from mien.records.catalog import SCHEMA_VERSION, Catalog, Changes, Drift, PersonSummary
from mien.storage.layout import Workspace, chip_keys
from mien.types import Embedding, Face, Photo, Quality, SeenFace, SeenPhoto

ENCODER = "resnet-v1-fp32"
QUIET = Changes(new=0, changed=0, moved=0, removed=0, people_new=(), people_removed=(), unreadable=())


class Shelf:
    """An album on disk with its catalog, and the photos that were hashed in the last `sync`."""

    def __init__(self, folder: Path) -> None:
        self.album = Workspace.create(folder, "personal")
        self.catalog = Catalog.open(self.album.local_catalog())
        self.hashed: list[str] = []

    def put(self, path: str, content: str) -> None:
        file = self.album.photo_file(path)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(content)

    def hash(self, path: str) -> str:
        self.hashed.append(path)
        return hashlib.sha256(self.album.photo_file(path).read_bytes()).hexdigest()

    def sync(self, sources: Mapping[str, str] | None = None) -> Changes:
        self.hashed = []
        return self.catalog.sync(self.album.walk_training(), self.hash, basis="personal", sources=sources)

    def record(self, content: str, faces: int = 1) -> None:
        assert self.catalog.record(seen(content, faces), ENCODER)

    def reopen(self) -> None:
        self.catalog.close()
        self.catalog = Catalog.open(self.album.catalog_file)


@pytest.fixture
def shelf(tmp_path: Path) -> Iterator[Shelf]:
    shelf = Shelf(tmp_path / "album")
    yield shelf
    shelf.catalog.close()


def sha(content: str) -> str:
    return hashlib.sha256(content.encode()).hexdigest()


def vector(content: str, number: int) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
    seed = int(hashlib.sha256(f"{content} {number}".encode()).hexdigest()[:8], 16)
    return np.random.default_rng(seed).standard_normal(128, np.float32)


def seen(content: str, faces: int = 1, encoder_id: str = ENCODER) -> SeenPhoto:
    """What an encoder sees in the photo of this content: always the same."""
    return SeenPhoto(
        Photo(sha(content), 640, 480, "JPEG", sha(content)[:16]),
        tuple(
            SeenFace(
                Face((10.5 * n, 1, 20, 30), np.arange(10, dtype=np.float32).reshape(5, 2) + n, 0.75, "yunet", n % 4),
                Quality(90.5, 0.5, 0.25, 0.125, 0.0625 * (n + 1)),
                Embedding(vector(content, n), encoder_id),
            )
            for n in range(faces)
        ),
    )


RULE = "the leftmost"


def choose_all(catalog: Catalog) -> None:
    """Chooses the leftmost face everywhere."""
    for person in catalog.people():
        found = catalog.faces_of(person, ENCODER)
        first = np.flatnonzero(np.diff(found.photo, prepend=-1))
        catalog.choose(person, RULE, {found.paths[found.photo[i]]: int(found.ids[i]) for i in first})


# What is on disk


def test_a_second_sync_hashes_nothing_and_finds_nothing(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.put("bob/deep/2.jpg", "two")
    changes = shelf.sync()
    assert (changes.new, changes.people_new) == (2, ("ann", "bob"))
    assert sorted(shelf.hashed) == ["ann/1.jpg", "bob/deep/2.jpg"]
    shelf.reopen()
    assert shelf.sync() == QUIET
    assert shelf.hashed == []


def test_a_photo_that_was_moved_or_renamed_is_not_computed_again(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.put("ann/2.jpg", "two")
    shelf.sync({"ann/1.jpg": "/camera/1.jpg"})
    shelf.record("one")
    shelf.record("two")
    shelf.album.photo_file("ann/1.jpg").rename(shelf.album.photo_file("ann/renamed.jpg"))
    (shelf.album.training / "bob").mkdir()
    shelf.album.photo_file("ann/2.jpg").rename(shelf.album.photo_file("bob/2.jpg"))
    changes = shelf.sync()
    assert (changes.moved, changes.new, changes.removed, changes.people_new) == (2, 0, 0, ("bob",))
    assert shelf.catalog.unseen(ENCODER) == []
    assert shelf.catalog.faces_of("bob", ENCODER).sha256 == (sha("two"),)
    with sqlite3.connect(shelf.album.catalog_file) as database:
        assert database.execute("SELECT source FROM placements WHERE path = 'ann/renamed.jpg'").fetchall() == [
            ("/camera/1.jpg",)
        ]
    database.close()


def test_a_renamed_folder_with_a_photo_twice_is_only_moved(shelf: Shelf) -> None:
    for path in ("ann/1.jpg", "ann/copy.jpg"):
        shelf.put(path, "one")
    shelf.sync()
    (shelf.album.training / "ann").rename(shelf.album.training / "Ann Smith")
    changes = shelf.sync()
    assert (changes.moved, changes.new, changes.removed) == (2, 0, 0)
    assert (changes.people_new, changes.people_removed) == (("Ann Smith",), ("ann",))


def test_a_changed_photo_is_seen_anew_and_what_it_was_is_forgotten(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.record("one")
    choose_all(shelf.catalog)
    shelf.put("ann/1.jpg", "other")
    changes = shelf.sync()
    assert (changes.changed, changes.new, changes.removed) == (1, 0, 0)
    assert shelf.catalog.unseen(ENCODER) == [(sha("other"), "ann/1.jpg")]
    assert shelf.catalog.training_set(ENCODER).people == ()
    assert shelf.catalog.summary(ENCODER).faces == 0


def test_a_photo_that_was_only_touched_keeps_its_face(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.record("one")
    choose_all(shelf.catalog)
    os.utime(shelf.album.photo_file("ann/1.jpg"), ns=(1, 1))
    assert shelf.sync() == QUIET
    assert shelf.hashed == ["ann/1.jpg"]
    assert shelf.sync() == QUIET
    assert shelf.hashed == []
    assert shelf.catalog.training_set(ENCODER).sha256 == (sha("one"),)


def test_a_deleted_photo_drops_out_with_all_that_was_seen_in_it(shelf: Shelf) -> None:
    for path, content in (("ann/1.jpg", "one"), ("ann/2.jpg", "two"), ("bob/1.jpg", "one")):
        shelf.put(path, content)
    shelf.sync()
    shelf.record("one", faces=2)
    shelf.record("two")
    shelf.album.photo_file("ann/1.jpg").unlink()
    assert shelf.sync().removed == 1
    assert shelf.catalog.summary(ENCODER).faces == 3  # bob still has it
    shutil.rmtree(shelf.album.training / "bob")
    changes = shelf.sync()
    assert (changes.removed, changes.people_removed) == (1, ("bob",))
    summary = shelf.catalog.summary(ENCODER)
    assert (summary.photos, summary.faces) == (1, 1)
    shelf.catalog.close()
    assert vector("one", 0).tobytes() not in shelf.album.catalog_file.read_bytes()  # secure_delete
    assert vector("two", 0).tobytes() in shelf.album.catalog_file.read_bytes()


def test_drift_is_told_and_nothing_changed(shelf: Shelf) -> None:
    for path in ("ann/1.jpg", "ann/2.jpg", "ann/3.jpg"):
        shelf.put(path, path)
    shelf.sync()
    assert shelf.catalog.drift(shelf.album.walk_training()) == Drift(0, 0, 0)
    shelf.put("ann/1.jpg", "changed")
    shelf.album.photo_file("ann/2.jpg").unlink()
    shelf.put("bob/4.jpg", "four")
    shelf.put("bob/5.jpg", "five")
    for _ in range(2):
        assert shelf.catalog.drift(shelf.album.walk_training()) == Drift(new=2, changed=1, gone=1)
    assert shelf.catalog.people() == ("ann",)


def test_a_person_stays_as_long_as_their_folder(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.album.photo_file("ann/1.jpg").unlink()
    assert shelf.sync().people_removed == ()
    assert shelf.catalog.summary(ENCODER).people == (PersonSummary("ann", 0, 0, 0, 0, 0, 0),)
    (shelf.album.training / "ann").rmdir()
    assert shelf.sync().people_removed == ("ann",)
    assert shelf.catalog.people() == ()


def test_a_file_that_cannot_be_opened_is_told_and_left_out(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.put("ann/2.jpg", "two")
    shelf.sync()
    shelf.put("ann/1.jpg", "changed")
    shelf.put("ann/3.jpg", "three")

    def locked(path: str) -> str:
        raise PhotoError(f"{path}: permission denied.", "Ask for it.")

    changes = shelf.catalog.sync(shelf.album.walk_training(), locked, basis="personal")
    assert changes.unreadable == tuple(
        (path, f"{path}: permission denied. Ask for it.") for path in ("ann/1.jpg", "ann/3.jpg")
    )
    assert (changes.new, changes.changed, changes.removed) == (0, 0, 1)
    assert shelf.sync().new == 2


def test_names_are_kept_and_never_collapsed(shelf: Shelf) -> None:
    decomposed = unicodedata.normalize("NFD", "José")
    for i, name in enumerate(("山田", "A_B", "a-b", "José", decomposed)):
        shelf.put(f"{name}/{i}.jpg", str(i))
    shelf.sync()
    assert shelf.catalog.people() == ("A_B", "José", "a-b", "山田")
    for i in range(5):
        shelf.record(str(i))
    assert shelf.catalog.faces_of("José", ENCODER).paths == (f"{decomposed}/4.jpg", "José/3.jpg")


def test_hashes_survive_an_interruption(shelf: Shelf) -> None:
    for i in range(1200):
        shelf.put(f"ann/{i:04}.jpg", str(i))

    def interrupted(path: str) -> str:
        if len(shelf.hashed) == 1100:
            raise KeyboardInterrupt
        return shelf.hash(path)

    with pytest.raises(KeyboardInterrupt):
        shelf.catalog.sync(shelf.album.walk_training(), interrupted, basis="personal")
    assert shelf.sync().new == 200  # of three groups of 500, two were finished
    assert shelf.sync() == QUIET


ALBUMS = st.dictionaries(
    st.sampled_from(["ann/1.jpg", "ann/2.jpg", "ann/x/1.jpg", "bob/1.jpg", "José/1.jpg"]), st.sampled_from("pqrs")
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ALBUMS, min_size=2, max_size=4))
def test_after_any_history_the_catalog_is_what_a_new_one_would_be(
    tmp_path_factory: pytest.TempPathFactory, history: list[dict[str, str]]
) -> None:
    shelf = Shelf(tmp_path_factory.mktemp("root") / "album")
    for time, state in enumerate(history, 1):
        shutil.rmtree(shelf.album.training)
        shelf.album.training.mkdir()
        for path, content in state.items():
            shelf.put(path, content)
            os.utime(shelf.album.photo_file(path), ns=(time, time))
        before = {one for one, _ in shelf.catalog.unseen(ENCODER)}
        assert not before
        changes = shelf.sync()
        known = history[time - 2] if time > 1 else {}
        assert changes.new + changes.moved == len(state.keys() - known.keys())
        assert changes.moved + changes.removed == len(known.keys() - state.keys())
        assert changes.changed == sum(state[path] != known[path] for path in state.keys() & known.keys())
        assert {one for one, _ in shelf.catalog.unseen(ENCODER)} == {
            sha(content) for content in set(state.values()) - set(known.values())
        }
        for content in set(state.values()) - set(known.values()):
            shelf.record(content)
    summary = shelf.catalog.summary(ENCODER)
    final = history[-1]
    assert (summary.photos, summary.faces) == (len(set(final.values())),) * 2
    assert [person.name for person in summary.people] == sorted({path.split("/")[0] for path in final})
    shelf.catalog.close()


# What was seen


def test_a_face_comes_back_as_it_was(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.record("one", faces=2)
    shelf.reopen()
    found = shelf.catalog.faces_of("ann", ENCODER)
    assert (found.paths, found.sha256) == (("ann/1.jpg",), (sha("one"),))
    np.testing.assert_array_equal(found.shapes, [[640, 480]])
    np.testing.assert_array_equal(found.photo, [0, 0])
    np.testing.assert_array_equal(found.boxes, np.array([[0, 1, 20, 30], [10.5, 1, 20, 30]], np.float32))
    np.testing.assert_array_equal(found.overall, np.array([0.0625, 0.125], np.float32))
    np.testing.assert_array_equal(found.embeddings, [vector("one", 0), vector("one", 1)])
    assert found.embeddings.dtype == np.float32
    shelf.catalog.choose("ann", RULE, {"ann/1.jpg": int(found.ids[1])})
    [due] = shelf.catalog.chips_due({"ann/1.jpg": "ann/1.png"}, 96, ())
    want = seen("one", 2).faces[1].face
    assert (due.face.box, due.face.turn, due.face.detector, due.face.detector_score) == (want.box, 1, "yunet", 0.75)
    np.testing.assert_array_equal(due.face.landmarks, want.landmarks)
    assert (due.sha256, due.face_id) == (sha("one"), found.ids[1])


def test_a_photo_is_looked_at_once_by_each_encoder_whatever_came_of_it(shelf: Shelf) -> None:
    for name in ("good", "faceless", "broken", "heic"):
        shelf.put(f"ann/{name}.jpg", name)
    shelf.put("bob/good.jpg", "good")
    shelf.sync()
    assert [path for _, path in shelf.catalog.unseen(ENCODER)] == [
        f"ann/{name}.jpg" for name in ("broken", "faceless", "good", "heic")
    ]
    shelf.record("good", 2)
    shelf.record("faceless", 0)
    assert shelf.catalog.record_failure(sha("broken"), ENCODER, "truncated", "it ends too soon")
    assert shelf.catalog.record_failure(sha("heic"), ENCODER, "missing-extra", "HEIC")
    assert shelf.catalog.unseen(ENCODER) == []
    assert shelf.catalog.unseen(ENCODER, retry=["missing-extra"]) == [(sha("heic"), "ann/heic.jpg")]
    assert len(shelf.catalog.unseen("another")) == 4
    choose_all(shelf.catalog)
    summary = shelf.catalog.summary(ENCODER)
    assert summary.people == (
        PersonSummary("ann", photos=4, unseen=0, unreadable=2, faceless=1, several=1, enrolled=1),
        PersonSummary("bob", photos=1, unseen=0, unreadable=0, faceless=0, several=1, enrolled=1),
    )
    assert (summary.photos, summary.faces, summary.faceless) == (4, 2, ("ann/faceless.jpg",))
    assert [(one.path, one.kind, one.error) for one in summary.failures] == [
        ("ann/broken.jpg", "truncated", "it ends too soon"),
        ("ann/heic.jpg", "missing-extra", "HEIC"),
    ]
    other = shelf.catalog.summary("another")
    assert other.people[0] == PersonSummary("ann", 4, unseen=4, unreadable=0, faceless=0, several=0, enrolled=0)


def test_looking_again_replaces_what_was_seen(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.catalog.record_failure(sha("one"), ENCODER, "unreadable", "?")
    shelf.record("one", 3)
    assert shelf.catalog.summary(ENCODER).failures == ()
    shelf.record("one", 1)
    assert shelf.catalog.summary(ENCODER).faces == 1


def test_a_photo_that_changed_meanwhile_is_left_for_the_next_sync(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    assert not shelf.catalog.record(seen("changed meanwhile"), ENCODER)
    assert not shelf.catalog.record_failure(sha("changed meanwhile"), ENCODER, "unreadable", "?")
    assert shelf.catalog.unseen(ENCODER) == [(sha("one"), "ann/1.jpg")]


def test_embeddings_of_another_encoder_are_refused(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    with pytest.raises(EncoderMismatchError):
        shelf.catalog.record(seen("one", encoder_id="another"), ENCODER)


# Whose face it is


def test_the_training_set_depends_on_the_album_alone(tmp_path: Path) -> None:
    names = {"José": "abcd", "A_B": "bcef", "a-b": "g", "山田": "a"}
    placed = [(f"{name}/{content}.jpg", content) for name, contents in names.items() for content in contents]
    sets = []
    for seed in range(2):
        random.Random(seed).shuffle(placed)
        shelf = Shelf(tmp_path / str(seed))
        for path, content in placed:
            shelf.put(path, content)
            shelf.sync()
        for _, content in placed:
            shelf.record(content)
        choose_all(shelf.catalog)
        sets.append(shelf.catalog.training_set(ENCODER))
        photos_of = shelf.catalog.training_photos(ENCODER)
        shelf.catalog.close()
    for one in sets:
        assert one.people == ("A_B", "José", "a-b", "山田")
        wanted = sorted((name, sha(content), content) for name, contents in names.items() for content in contents)
        assert [(one.people[p], s) for p, s in zip(one.person, one.sha256, strict=True)] == [w[:2] for w in wanted]
        np.testing.assert_array_equal(one.embeddings, [vector(content, 0) for _, _, content in wanted])
        np.testing.assert_array_equal(one.overall, np.full(10, np.float32(0.0625)))
    assert photos_of == {name: sorted(map(sha, names[name])) for name in sorted(names)}


def test_a_photo_placed_twice_under_a_person_counts_once(shelf: Shelf) -> None:
    for path in ("ann/1.jpg", "ann/copy.jpg", "bob/1.jpg"):
        shelf.put(path, "one")
    shelf.sync()
    shelf.record("one")
    choose_all(shelf.catalog)
    assert shelf.catalog.training_set(ENCODER).sha256 == (sha("one"), sha("one"))
    assert shelf.catalog.training_set(ENCODER).people == ("ann", "bob")
    assert shelf.catalog.training_photos(ENCODER) == {"ann": [sha("one")], "bob": [sha("one")]}
    assert shelf.catalog.placements() == [("ann/1.jpg", "ann"), ("ann/copy.jpg", "ann"), ("bob/1.jpg", "bob")]


def test_a_choice_can_be_taken_back(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.record("one")
    choose_all(shelf.catalog)
    shelf.catalog.choose("ann", RULE, {"ann/1.jpg": None})
    empty = shelf.catalog.training_set(ENCODER)
    assert (empty.people, empty.embeddings.shape, empty.person.shape) == ((), (0, 128), (0,))


def test_nobody_has_no_faces(shelf: Shelf) -> None:
    found = shelf.catalog.faces_of("nobody", ENCODER)
    assert (found.paths, found.embeddings.shape, found.boxes.shape, found.shapes.shape) == (
        (),
        (0, 128),
        (0, 4),
        (0, 2),
    )


# Chips


class Chips:
    """What `align` does about chips, to files that hold the hash of their photo."""

    def __init__(self, shelf: Shelf) -> None:
        self.shelf = shelf

    def update(self, size: int = 96) -> dict[str, str]:
        """Brings the chips up to date; returns what was written."""
        album, catalog = self.shelf.album, self.shelf.catalog
        keys = chip_keys((one.path, one.person) for one in album.walk_training().placements)
        stale = catalog.stale_chips(keys)
        for key in stale:
            album.remove_chip(key)
        catalog.forget_chips(stale)
        written = {}
        for due in catalog.chips_due(keys, size, album.walk_aligned()):
            file = album.chip_file(due.key)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(due.sha256)
            catalog.chip_written(due.path, due.key, due.face_id, size)
            written[due.key] = due.path
        return written


def test_chips_follow_their_photos(shelf: Shelf) -> None:
    chips = Chips(shelf)
    for content in ("one", "two"):
        shelf.put(f"ann/{content}.jpg", content)
    shelf.sync()
    for content in ("one", "two"):
        shelf.record(content, 2)
    choose_all(shelf.catalog)
    assert chips.update() == {"ann/one.png": "ann/one.jpg", "ann/two.png": "ann/two.jpg"}
    assert chips.update() == {}
    assert len(chips.update(size=150)) == 2

    shelf.album.chip_file("ann/one.png").unlink()  # by hand
    assert chips.update(150) == {"ann/one.png": "ann/one.jpg"}

    one, two = shelf.catalog.faces_of("ann", ENCODER).ids[[1, 2]].tolist()
    chosen = {"ann/one.jpg": one, "ann/two.jpg": two}  # of one.jpg another face than before
    shelf.catalog.choose("ann", RULE, chosen)
    assert chips.update(150) == {"ann/one.png": "ann/one.jpg"}

    shelf.put("ann/2019/one.png", "three")  # comes before, so it takes the name
    shelf.sync()
    shelf.record("three")
    chosen["ann/2019/one.png"] = int(shelf.catalog.faces_of("ann", ENCODER).ids[0])
    shelf.catalog.choose("ann", RULE, chosen)
    assert chips.update(150) == {"ann/one.png": "ann/2019/one.png", "ann/one.jpg.png": "ann/one.jpg"}
    assert shelf.album.chip_file("ann/one.png").read_text() == sha("three")
    assert chips.update(150) == {}

    shutil.rmtree(shelf.album.training / "ann")
    shelf.sync()
    assert chips.update(150) == {}
    assert list(shelf.album.aligned.iterdir()) == []


def test_a_chip_that_mien_did_not_write_is_nobodys_to_remove(shelf: Shelf) -> None:
    own = shelf.album.chip_file("ann/own.png")
    own.parent.mkdir(parents=True)
    own.touch()
    assert shelf.catalog.stale_chips({}) == []


# How it is kept

WRITER = """
import sys
from pathlib import Path
sys.path.insert(0, sys.argv[2])
from test_catalog import ENCODER, Shelf, seen, sha
from mien.records.catalog import Catalog
with Catalog.open(Path(sys.argv[1])) as catalog:
    for i in range(100000):
        catalog.record(seen(str(i % 50), 2), ENCODER)
        print(i, flush=True)
"""


def test_a_kill_while_recording_loses_nothing_finished(shelf: Shelf) -> None:
    for i in range(50):
        shelf.put(f"ann/{i}.jpg", str(i))
    shelf.sync()
    shelf.catalog.close()
    writer = subprocess.Popen(
        [sys.executable, "-c", WRITER, str(shelf.album.catalog_file), str(Path(__file__).parent)],
        stdout=subprocess.PIPE,
        text=True,
    )
    with writer:
        assert writer.stdout
        finished = [int(writer.stdout.readline()) for _ in range(20)]
        writer.kill()
        finished += [int(line) for line in writer.stdout.read().split()]
    shelf.catalog = Catalog.open(shelf.album.catalog_file)
    unseen = {sha256 for sha256, _ in shelf.catalog.unseen(ENCODER)}
    assert not unseen & {sha(str(i % 50)) for i in finished}
    found = shelf.catalog.faces_of("ann", ENCODER)
    assert len(found.ids) == 2 * (50 - len(unseen))  # no photo with half its faces
    with sqlite3.connect(shelf.album.catalog_file) as database:
        assert database.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
        assert database.execute("PRAGMA foreign_key_check").fetchall() == []
    database.close()


def test_one_reads_while_another_writes(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    with Catalog.open(shelf.album.catalog_file) as reader, shelf.catalog._transaction(write=True):
        assert reader.people() == ("ann",)


def test_two_writers_at_once_are_told(shelf: Shelf, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.records.database.BUSY_SECONDS", 0)
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    with (
        Catalog.open(shelf.album.catalog_file) as other,
        shelf.catalog._transaction(write=True),
        pytest.raises(BusyError),
    ):
        other.record(seen("one"), ENCODER)
    shelf.record("one")


def test_a_full_disk_loses_nothing_and_says_so(shelf: Shelf) -> None:
    for i in range(50):
        shelf.put(f"ann/{i}.jpg", str(i))
    shelf.sync()
    shelf.record("0")
    limit = shelf.catalog._connection.exec_driver_sql("PRAGMA page_count").scalar()
    shelf.catalog._connection.exec_driver_sql(f"PRAGMA max_page_count = {limit}")
    with pytest.raises(StorageError, match=r"catalog\.sqlite cannot grow: the disk is full"):
        for i in range(1, 50):
            shelf.record(str(i), 9)
    assert len(shelf.catalog.faces_of("ann", ENCODER).ids) % 9 == 1
    shelf.catalog._connection.exec_driver_sql("PRAGMA max_page_count = 100000")
    shelf.record("49", 9)


def test_a_read_only_catalog_says_so(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.catalog._connection.exec_driver_sql("PRAGMA query_only = ON")
    with pytest.raises(StorageError, match="cannot be written"):
        shelf.catalog.record(seen("one"), ENCODER)


@pytest.mark.parametrize("where", ["no folder/c.sqlite", "."])
def test_a_catalog_that_cannot_be_opened_says_so(tmp_path: Path, where: str) -> None:
    with pytest.raises(StorageError, match="cannot be opened"):
        Catalog.open(tmp_path / where)


def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    file.write_bytes(b"my diary\n" * 1000)
    with pytest.raises(AlbumError, match=r"c\.sqlite is not a catalog.*remove the file and run again"):
        Catalog.open(file)
    assert file.read_bytes() == b"my diary\n" * 1000


def test_a_damaged_catalog_is_refused_with_the_way_out(shelf: Shelf) -> None:
    for i in range(50):
        shelf.put(f"ann/{i}.jpg", str(i))
    shelf.sync()
    for i in range(50):
        shelf.record(str(i))
    shelf.catalog.close()
    data = bytearray(shelf.album.catalog_file.read_bytes())
    data[4096:] = b"\xa5" * (len(data) - 4096)  # all but the first page
    shelf.album.catalog_file.write_bytes(data)
    with (
        pytest.raises(AlbumError, match="remove the file and run again"),
        Catalog.open(shelf.album.catalog_file) as bad,
    ):
        bad.training_set(ENCODER)
    shelf.album.catalog_file.unlink()
    shelf.catalog = Catalog.open(shelf.album.catalog_file)
    assert shelf.sync().new == 50


def test_the_database_of_another_program_is_not_touched(tmp_path: Path) -> None:
    file = tmp_path / "c.sqlite"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE bookmarks (url)")
    database.close()
    before = file.read_bytes()
    with pytest.raises(AlbumError, match="of another program"):
        Catalog.open(file)
    assert file.read_bytes() == before


def test_a_newer_catalog_is_refused(shelf: Shelf) -> None:
    shelf.catalog._connection.exec_driver_sql(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
    with pytest.raises(AlbumError, match=r"another version of mien.*Update mien"):
        Catalog.open(shelf.album.catalog_file)


def test_no_path_of_the_machine_is_kept(shelf: Shelf) -> None:
    shelf.put("ann/1.jpg", "one")
    shelf.sync()
    shelf.record("one")
    choose_all(shelf.catalog)
    Chips(shelf).update()
    shelf.catalog.close()
    assert str(shelf.album.folder).encode() not in shelf.album.catalog_file.read_bytes()
