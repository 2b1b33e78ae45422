"""Which files hold which photos: what `mien.records.files` knows after the disk has changed."""

from __future__ import annotations

import os
import shutil
import unicodedata
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import PhotoError
from mien.records.files import Changes, Drift, Entry, FiledPhoto, in_groups
from mien.storage.layout import REMOVED, TRAINING, intake_of, shelf_of
from mien.storage.walk import ShelfFile, walk
from mien.text.photos import PhotoFault

if TYPE_CHECKING:
    from conftest import TextAlbum

ENCODER, DECODER = "resnet-v1-fp32", "Pillow 1"
NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)
DAY, NEXT = intake_of(date(2026, 11, 23)), intake_of(date(2026, 11, 24))
QUIET = Changes(new=0, changed=0, moved=0, gone=0, unreadable=())


def locked(path: str) -> str:
    raise PhotoError(path, PhotoFault.FORBIDDEN)


def on_disk(album: TextAlbum, path: str) -> ShelfFile:
    """A file of "ann" as a walk finds it."""
    stat = album.layout.file(path).stat()
    return ShelfFile(path, "ann", stat.st_size, stat.st_mtime_ns, stat.st_ctime_ns)


# What is on disk


def test_a_second_sync_hashes_nothing_and_finds_nothing(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.put(f"{TRAINING}/bob/deep/2.jpg", "two")
    assert text_album.sync() == Changes(new=2, changed=0, moved=0, gone=0, unreadable=())
    assert sorted(text_album.hashed) == [f"{TRAINING}/ann/1.jpg", f"{TRAINING}/bob/deep/2.jpg"]
    assert text_album.catalog.files.people(TRAINING) == {"ann", "bob"}
    text_album.reopen()
    assert text_album.sync() == QUIET
    assert text_album.hashed == []


def test_a_photo_that_was_moved_or_renamed_is_not_computed_again(text_album: TextAlbum) -> None:
    one = text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    two = text_album.put(f"{TRAINING}/ann/2.jpg", "two")
    text_album.sync()
    text_album.record("one")
    text_album.record("two")
    one.rename(one.with_name("renamed.jpg"))
    (text_album.layout.training / "bob").mkdir()
    two.rename(text_album.layout.training / "bob/2.jpg")
    assert text_album.sync() == Changes(new=0, changed=0, moved=2, gone=0, unreadable=())
    assert text_album.catalog.files.people(TRAINING) == {"ann", "bob"}
    assert text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER) == []
    found = text_album.catalog.faces.faces_of("bob", ENCODER)
    assert found.paths == (f"{TRAINING}/bob/2.jpg",)
    np.testing.assert_array_equal(found.embeddings[0], text_album.vector("two", 0))


def test_a_renamed_folder_with_a_photo_twice_is_only_moved(text_album: TextAlbum) -> None:
    for name in ("1.jpg", "copy.jpg"):
        text_album.put(f"{TRAINING}/ann/{name}", "one")
    text_album.sync()
    (text_album.layout.training / "ann").rename(text_album.layout.training / "Ann Smith")
    assert text_album.sync() == Changes(new=0, changed=0, moved=2, gone=0, unreadable=())
    assert text_album.catalog.files.people(TRAINING) == {"Ann Smith"}


def test_a_photo_is_moved_as_often_as_it_is_gone_elsewhere(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one").rename(text_album.layout.training / "ann/2.jpg")
    text_album.sync()
    (text_album.layout.training / "ann/2.jpg").rename(text_album.layout.training / "ann/3.jpg")
    text_album.put(f"{TRAINING}/bob/3.jpg", "one")
    text_album.put(f"{TRAINING}/bob/4.jpg", "four")
    assert text_album.sync() == Changes(new=2, changed=0, moved=1, gone=0, unreadable=())


def test_a_changed_photo_is_seen_anew_and_what_it_was_is_forgotten(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.sync()
    text_album.record("one")
    text_album.choose()
    text_album.put(f"{TRAINING}/ann/1.jpg", "other")
    assert text_album.sync() == Changes(new=0, changed=1, moved=0, gone=0, unreadable=())
    assert text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER) == [
        (text_album.sha("other"), f"{TRAINING}/ann/1.jpg")
    ]
    assert text_album.catalog.faces.training_set(ENCODER).people == ()
    assert text_album.catalog.faces.count([TRAINING], ENCODER) == 0


def test_a_photo_changed_into_another_that_is_known_does_not_keep_the_face_of_the_first(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.put(f"{TRAINING}/bob/1.jpg", "one")
    text_album.put(f"{TRAINING}/bob/2.jpg", "two")
    text_album.sync()
    text_album.record("one")
    text_album.record("two")
    text_album.choose()
    text_album.put(f"{TRAINING}/ann/1.jpg", "two")
    text_album.sync()
    assert text_album.catalog.faces.training_set(ENCODER).people == ("bob",)
    assert text_album.catalog.faces.to_choose(ENCODER, "the leftmost") == ("ann",)


def test_a_photo_that_was_only_touched_keeps_its_face(text_album: TextAlbum) -> None:
    file = text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.sync()
    text_album.record("one")
    text_album.choose()
    os.utime(file, ns=(1, 1))
    assert text_album.sync() == QUIET
    assert text_album.hashed == [f"{TRAINING}/ann/1.jpg"]
    assert text_album.sync() == QUIET
    assert text_album.hashed == []
    assert text_album.catalog.faces.training_set(ENCODER).sha256 == (text_album.sha("one"),)


def test_a_photo_changed_under_its_size_and_time_is_seen_anew(text_album: TextAlbum) -> None:
    file = text_album.put(f"{TRAINING}/ann/1.jpg", "one", time=10**18)
    text_album.sync()
    text_album.record("one")
    text_album.put(f"{TRAINING}/ann/1.jpg", "two", time=10**18)
    assert text_album.sync() == Changes(new=0, changed=1, moved=0, gone=0, unreadable=())
    replaced = file.with_name("copied over it")
    replaced.write_text("six")
    os.utime(replaced, ns=(10**18, 10**18))
    replaced.replace(file)  # as rsync -t does
    assert text_album.sync() == Changes(new=0, changed=1, moved=0, gone=0, unreadable=())
    assert text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER) == [
        (text_album.sha("six"), f"{TRAINING}/ann/1.jpg")
    ]


def test_a_copied_album_is_hashed_once_and_nothing_in_it_is_seen_anew(text_album: TextAlbum) -> None:
    for name in ("1", "2"):
        text_album.put(f"{TRAINING}/ann/{name}.jpg", name, time=10**18)
        text_album.sync()
        text_album.record(name)
    text_album.choose()
    folder = text_album.layout.training
    shutil.copytree(folder, folder.with_name("copy"))  # with the times of the contents, and others of its own
    shutil.rmtree(folder)
    folder.with_name("copy").rename(folder)
    assert text_album.drift() == Drift(0, 0, 0)
    assert text_album.sync() == QUIET
    assert len(text_album.hashed) == 2
    assert text_album.sync() == QUIET
    assert text_album.hashed == []
    assert text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER) == []
    assert text_album.catalog.faces.to_choose(ENCODER, "the leftmost") == ()


def test_a_file_without_a_known_time_is_hashed_each_time(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    found = walk(text_album.layout, [TRAINING])
    unknown = replace(found, files=tuple(replace(file, ctime_ns=None) for file in found.files))
    for _ in range(2):
        text_album.hashed.clear()
        text_album.catalog.files.sync(unknown, text_album.hash, Entry("personal", {}, NOON))
        assert text_album.hashed == [f"{TRAINING}/ann/1.jpg"]


@pytest.mark.parametrize("time", [-(10**19), -(2**63) - 1, -1, 0, 2**63, 253_402_300_800 * 10**9, 10**30])
def test_no_time_of_a_file_ends_a_sync(text_album: TextAlbum, time: int) -> None:
    """From before 1677 and 1970, after 2262 and 9999: a wrong clock, a bad archive."""
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.put(f"{TRAINING}/ann/2.jpg", "two")
    found = walk(text_album.layout, [TRAINING])
    odd = replace(found, files=(replace(found.files[0], mtime_ns=time, ctime_ns=time), found.files[1]))
    for hashed in (2, 0):
        text_album.hashed.clear()
        text_album.catalog.files.sync(odd, text_album.hash, Entry("personal", {}, NOON))
        assert text_album.catalog.files.drift(odd) == Drift(0, 0, 0)
        assert len(text_album.hashed) == hashed


@pytest.mark.parametrize(
    ("age", "waited"), [(0, 0.02), (15_000_000, 0.005), (20_000_000, 0), (-1, 0), (10**18, 0)], ids=str
)
def test_a_file_is_hashed_when_a_later_change_would_have_another_time(
    text_album: TextAlbum, monkeypatch: pytest.MonkeyPatch, age: int, waited: float
) -> None:
    now, slept = 1_700_000_000_500_000_000, [0.0]
    monkeypatch.setattr("time.time_ns", lambda: now)
    monkeypatch.setattr("time.sleep", slept.append)
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    found = walk(text_album.layout, [TRAINING])
    fresh = replace(found, files=(replace(found.files[0], ctime_ns=now - age),))
    text_album.catalog.files.sync(fresh, text_album.hash, Entry("personal", {}, NOON))
    assert slept[-1] == waited
    coarse = replace(found, files=(replace(found.files[0], ctime_ns=1_700_000_000_000_000_000),))
    text_album.catalog.files.sync(coarse, text_album.hash, Entry("personal", {}, NOON))
    assert slept[-1] == 1.5


@pytest.mark.of_files
def test_a_deleted_photo_drops_out_with_all_that_was_seen_in_it(text_album: TextAlbum) -> None:
    for path, content in (("ann/1.jpg", "one"), ("ann/2.jpg", "two"), ("bob/1.jpg", "one")):
        text_album.put(f"{TRAINING}/{path}", content)
    text_album.sync()
    text_album.record("one", faces=2)
    text_album.record("two")
    (text_album.layout.training / "ann/1.jpg").unlink()
    assert text_album.sync().gone == 1
    assert text_album.catalog.faces.count([TRAINING], ENCODER) == 3  # bob still has it
    shutil.rmtree(text_album.layout.training / "bob")
    assert text_album.sync().gone == 1
    assert text_album.catalog.files.people(TRAINING) == {"ann"}
    assert text_album.catalog.faces.count([TRAINING], ENCODER) == 1
    text_album.close()
    assert text_album.vector("one").tobytes() not in text_album.layout.catalog_file.read_bytes()  # secure_delete
    assert text_album.vector("two").tobytes() in text_album.layout.catalog_file.read_bytes()


def test_drift_is_told_and_nothing_changed(text_album: TextAlbum) -> None:
    for name in ("1.jpg", "2.jpg", "3.jpg"):
        text_album.put(f"{TRAINING}/ann/{name}", name)
    text_album.sync()
    assert text_album.drift() == Drift(0, 0, 0)
    text_album.put(f"{TRAINING}/ann/1.jpg", "changed")
    (text_album.layout.training / "ann/2.jpg").unlink()
    text_album.put(f"{TRAINING}/bob/4.jpg", "four")
    text_album.put(f"{TRAINING}/bob/5.jpg", "five")
    for _ in range(2):
        assert text_album.drift() == Drift(new=2, changed=1, gone=1)
    assert text_album.catalog.files.people(TRAINING) == {"ann"}
    assert text_album.ledger.people.id_of("bob") == ""


def test_a_person_once_entered_stays_without_a_photo_or_a_folder(text_album: TextAlbum) -> None:
    file = text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.sync()
    known = text_album.ledger.people.person("ann")
    file.unlink()
    text_album.sync()
    file.parent.rmdir()
    text_album.sync()
    text_album.reopen()
    assert text_album.catalog.files.people(TRAINING) == frozenset()
    assert known and text_album.ledger.people.person("ann") == known


def test_everybody_who_has_a_folder_is_entered(text_album: TextAlbum) -> None:
    (text_album.layout.training / "Nobody").mkdir()
    text_album.until = {"Nobody": date(2027, 1, 1)}
    text_album.sync()
    nobody = text_album.ledger.people.person("Nobody")
    assert nobody and (nobody.basis, nobody.until) == ("personal", date(2027, 1, 1))
    text_album.until = {}
    text_album.sync()
    assert text_album.ledger.people.person("Nobody") == nobody


def test_a_file_that_cannot_be_opened_is_told_and_what_was_known_of_it_stays(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.put(f"{TRAINING}/ann/2.jpg", "two")
    text_album.sync()
    text_album.put(f"{TRAINING}/ann/1.jpg", "changed")
    text_album.put(f"{TRAINING}/ann/3.jpg", "three")
    changes = text_album.sync(hash_file=locked)
    paths = [f"{TRAINING}/ann/1.jpg", f"{TRAINING}/ann/3.jpg"]
    assert [(path, error.about, error.fault) for path, error in changes.unreadable] == [
        (path, path, PhotoFault.FORBIDDEN) for path in paths
    ]
    assert (changes.new, changes.changed, changes.gone) == (0, 0, 0)
    assert len(text_album.catalog.files.on([TRAINING])) == 2
    changes = text_album.sync()
    assert (changes.new, changes.changed) == (1, 1)


def test_names_are_kept_and_never_collapsed(text_album: TextAlbum) -> None:
    decomposed = unicodedata.normalize("NFD", "José")
    for i, name in enumerate(("山田", "A_B", "a-b", "José", decomposed)):
        text_album.put(f"{TRAINING}/{name}/{i}.jpg", str(i))
    text_album.sync()
    assert text_album.catalog.files.people(TRAINING) == {"A_B", "José", "a-b", "山田"}
    for i in range(5):
        text_album.record(str(i))
    assert text_album.catalog.faces.faces_of("José", ENCODER).paths == (
        f"{TRAINING}/{decomposed}/4.jpg",
        f"{TRAINING}/José/3.jpg",
    )


def test_hashes_survive_an_interruption(text_album: TextAlbum) -> None:
    for i in range(1200):
        text_album.put(f"{TRAINING}/ann/{i:04}.jpg", str(i))

    def interrupted(path: str) -> str:
        if len(text_album.hashed) == 1100:
            raise KeyboardInterrupt
        return text_album.hash(path)

    with pytest.raises(KeyboardInterrupt):
        text_album.sync(hash_file=interrupted)
    assert text_album.sync().new == 200  # of three groups of 500, two were finished
    assert text_album.sync() == QUIET


ALBUMS = st.dictionaries(
    st.sampled_from(["ann/1.jpg", "ann/2.jpg", "ann/x/1.jpg", "bob/1.jpg", "José/1.jpg"]), st.sampled_from("pqrs")
)


@settings(max_examples=25, deadline=None)
@given(st.lists(ALBUMS, min_size=2, max_size=4))
def test_after_any_history_the_catalog_is_what_a_new_one_would_be(
    tmp_path_factory: pytest.TempPathFactory,
    new_text_album: Callable[[Path], TextAlbum],
    history: list[dict[str, str]],
) -> None:
    album = new_text_album(tmp_path_factory.mktemp("root") / "album")
    faces = album.catalog.faces
    for time, state in enumerate(history, 1):
        shutil.rmtree(album.layout.training)
        album.layout.training.mkdir()
        for path, content in state.items():
            album.put(f"{TRAINING}/{path}", content, time)
        assert not faces.unseen([TRAINING], ENCODER, DECODER)
        changes = album.sync()
        known = history[time - 2] if time > 1 else {}
        assert changes.new + changes.moved == len(state.keys() - known.keys())
        assert changes.moved + changes.gone == len(known.keys() - state.keys())
        assert changes.changed == sum(state[path] != known[path] for path in state.keys() & known.keys())
        unseen = {album.sha(content) for content in set(state.values()) - set(known.values())}
        assert {one for one, _ in faces.unseen([TRAINING], ENCODER, DECODER)} == unseen
        for content in set(state.values()) - set(known.values()):
            album.record(content)
    final = history[-1]
    assert [(one.path, one.sha256) for one in album.catalog.files.on([TRAINING])] == sorted(
        (f"{TRAINING}/{path}", album.sha(content)) for path, content in final.items()
    )
    assert album.catalog.files.people(TRAINING) == {path.split("/")[0] for path in final}
    assert faces.count([TRAINING], ENCODER) == len(set(final.values()))


# Shelves


def test_of_an_intake_only_what_is_new_or_looks_changed_is_hashed(text_album: TextAlbum) -> None:
    first = text_album.put(f"{DAY}/Ann/a.jpg", "one")
    second = text_album.put(f"{DAY}/Bo/b.jpg", "two")
    assert text_album.sync(DAY) == Changes(new=2, changed=0, moved=0, gone=0, unreadable=())
    assert text_album.sync(DAY) == QUIET
    assert text_album.hashed == []
    text_album.put(f"{DAY}/Ann/a.jpg", "another")
    text_album.put(f"{DAY}/Ann/c.jpg", "three")
    second.unlink()
    assert text_album.sync(DAY) == Changes(new=1, changed=1, moved=0, gone=1, unreadable=())
    assert sorted(text_album.hashed) == [f"{DAY}/Ann/a.jpg", f"{DAY}/Ann/c.jpg"]
    assert first.is_file()
    assert text_album.catalog.files.people(TRAINING) == frozenset(), "nobody is learned from yet"


def test_what_cannot_be_opened_in_an_intake_is_told_and_stays(text_album: TextAlbum) -> None:
    text_album.put(f"{DAY}/Ann/a.jpg", "one")
    text_album.sync(DAY)
    text_album.put(f"{DAY}/Ann/a.jpg", "changed")
    changes = text_album.sync(DAY, hash_file=locked)
    assert (changes.new, changes.changed, changes.gone) == (0, 0, 0)
    assert [(path, str(error)) for path, error in changes.unreadable] == [
        (f"{DAY}/Ann/a.jpg", str(PhotoError(f"{DAY}/Ann/a.jpg", PhotoFault.FORBIDDEN)))
    ]
    assert [file.path for file in text_album.catalog.files.on([DAY])] == [f"{DAY}/Ann/a.jpg"]


def test_what_was_seen_stays_when_a_photo_moves_into_the_album(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    file = text_album.put(f"{DAY}/Ann/a.jpg", "one")
    text_album.sync(DAY)
    assert faces.unseen([DAY], ENCODER, DECODER) == [(text_album.sha("one"), f"{DAY}/Ann/a.jpg")]
    assert faces.unseen([TRAINING], ENCODER, DECODER) == []
    text_album.record("one")
    assert faces.unseen([DAY], ENCODER, DECODER) == []
    text_album.sync()
    assert faces.photo(text_album.sha("one")), "it waits, so it is no orphan"
    (text_album.layout.training / "Ann").mkdir()
    file.rename(text_album.layout.training / "Ann/a.jpg")
    text_album.sync(DAY)
    assert text_album.sync().new == 1
    assert faces.unseen([TRAINING], ENCODER, DECODER) == []
    np.testing.assert_array_equal(faces.faces_of("Ann", ENCODER).embeddings[0], text_album.vector("one", 0))


def test_a_photo_that_lies_nowhere_any_more_is_forgotten_by_the_next_sync_of_the_album(text_album: TextAlbum) -> None:
    file = text_album.put(f"{DAY}/Ann/a.jpg", "one")
    text_album.sync(DAY)
    text_album.record("one")
    file.unlink()
    text_album.sync(DAY)
    assert text_album.catalog.faces.photo(text_album.sha("one"))
    text_album.sync()
    assert text_album.catalog.faces.photo(text_album.sha("one")) is None


def test_what_waits_is_not_counted_as_the_albums(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/Ann/a.jpg", "one")
    text_album.put(f"{DAY}/Ann/b.jpg", "two")
    text_album.sync(TRAINING, DAY)
    text_album.record("one", 2)
    text_album.record("two", 3)
    assert len(text_album.catalog.files.on([TRAINING])) == 1
    assert text_album.catalog.faces.count([TRAINING], ENCODER) == 2
    assert text_album.catalog.faces.count([TRAINING, DAY], ENCODER) == 5


def test_shelves_are_synced_each_by_itself_or_together(text_album: TextAlbum) -> None:
    for shelf in (TRAINING, DAY, NEXT):
        text_album.put(f"{shelf}/Ann/a.jpg", shelf)
    assert text_album.sync(TRAINING, DAY).new == 2
    assert text_album.sync(NEXT).new == 1
    assert [one.path for one in text_album.catalog.files.on([DAY, NEXT])] == [f"{DAY}/Ann/a.jpg", f"{NEXT}/Ann/a.jpg"]
    shutil.rmtree(text_album.layout.shelf(NEXT) / "Ann")
    assert text_album.sync(TRAINING, DAY) == QUIET, "of the other shelf nothing was looked at"
    assert text_album.sync(TRAINING, DAY, NEXT).gone == 1
    assert text_album.drift(TRAINING, DAY, NEXT) == Drift(0, 0, 0)


def test_a_photo_that_goes_from_shelf_to_shelf_is_moved(text_album: TextAlbum) -> None:
    file = text_album.put(f"{DAY}/Ann/a.jpg", "one")
    text_album.sync(TRAINING, DAY)
    (text_album.layout.training / "Ann").mkdir()
    file.rename(text_album.layout.training / "Ann/b.jpg")
    assert text_album.drift(TRAINING, DAY) == Drift(new=1, changed=0, gone=1)
    assert text_album.sync(TRAINING, DAY) == Changes(new=0, changed=0, moved=1, gone=0, unreadable=())
    assert [one.path for one in text_album.catalog.files.on([TRAINING, DAY])] == [f"{TRAINING}/Ann/b.jpg"]


def test_where_photos_lie(text_album: TextAlbum) -> None:
    for path, content in (
        (f"{TRAINING}/ann/1.jpg", "one"),
        (f"{TRAINING}/ann/copy.jpg", "one"),
        (f"{TRAINING}/bob/1.jpg", "one"),
        (f"{REMOVED}/bob/2.jpg", "two"),
        (f"{DAY}/cy/1.jpg", "one"),
    ):
        text_album.put(path, content)
    text_album.sync(TRAINING, REMOVED, DAY)
    files, one, two = text_album.catalog.files, text_album.sha("one"), text_album.sha("two")
    assert files.on([TRAINING]) == [
        FiledPhoto(f"{TRAINING}/ann/1.jpg", "ann", one),
        FiledPhoto(f"{TRAINING}/ann/copy.jpg", "ann", one),
        FiledPhoto(f"{TRAINING}/bob/1.jpg", "bob", one),
    ]
    assert files.places(TRAINING) == {
        ("ann", one): f"{TRAINING}/ann/1.jpg",
        ("bob", one): f"{TRAINING}/bob/1.jpg",
    }
    assert files.of_photos([two, one, "0" * 64]) == [
        FiledPhoto(f"{DAY}/cy/1.jpg", "cy", one),
        FiledPhoto(f"{REMOVED}/bob/2.jpg", "bob", two),
        *files.on([TRAINING]),
    ]
    assert files.of_photos([]) == files.on([]) == []
    assert files.people(TRAINING) == {"ann", "bob"}
    assert files.people(DAY) == {"cy"}


def test_thousands_of_photos_are_asked_for_in_groups(text_album: TextAlbum) -> None:
    for i in range(1100):
        text_album.put(f"{TRAINING}/ann/{i:04}.jpg", str(i))
    text_album.sync()
    found = text_album.catalog.files.of_photos({text_album.sha(str(i)) for i in range(1100)})
    assert [one.path for one in found] == [f"{TRAINING}/ann/{i:04}.jpg" for i in range(1100)]
    assert [len(group) for group in in_groups(range(1100), 500)] == [500, 500, 100]


# Moving


def test_a_move_keeps_what_was_seen_and_hashes_nothing(text_album: TextAlbum) -> None:
    files, faces = text_album.catalog.files, text_album.catalog.faces
    text_album.put(f"{TRAINING}/ann/0.jpg", "zero")
    waiting = [text_album.put(f"{DAY}/ann/{i}.jpg", str(i)) for i in range(2)]
    text_album.sync(TRAINING, DAY)
    for content in ("zero", "0", "1"):
        text_album.record(content)
    text_album.choose()
    assert faces.to_choose(ENCODER, "the leftmost") == ()
    moves = []
    for file, to in zip(waiting, (f"{TRAINING}/ann/a.jpg", f"{TRAINING}/ann/deep/b.jpg"), strict=True):
        target = text_album.layout.file(to)
        target.parent.mkdir(exist_ok=True)
        file.rename(target)
        moves.append((text_album.layout.path(file), on_disk(text_album, to)))
    files.move(moves)
    assert text_album.drift(TRAINING, DAY) == Drift(0, 0, 0)
    assert text_album.sync(TRAINING, DAY) == QUIET
    assert text_album.hashed == []
    assert [one.path for one in files.on([TRAINING, DAY])] == [
        f"{TRAINING}/ann/{name}" for name in ("0.jpg", "a.jpg", "deep/b.jpg")
    ]
    assert faces.unseen([TRAINING], ENCODER, DECODER) == []
    assert faces.to_choose(ENCODER, "the leftmost") == ("ann",), "there are new photos to choose from"
    assert faces.training_set(ENCODER).sha256 == (text_album.sha("zero"),), "until then the choice stays"


def test_a_move_keeps_the_chosen_face(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.sync()
    for encoder in (ENCODER, "another"):
        text_album.record("one", encoder=encoder)
        text_album.choose(encoder)
    (text_album.layout.training / "ann/1.jpg").rename(text_album.layout.training / "ann/2.jpg")
    moved = on_disk(text_album, f"{TRAINING}/ann/2.jpg")
    text_album.catalog.files.move([(f"{TRAINING}/ann/1.jpg", moved)])
    for encoder in (ENCODER, "another"):
        assert text_album.catalog.faces.training_set(encoder).sha256 == (text_album.sha("one"),)
        assert text_album.catalog.faces.to_choose(encoder, "the leftmost") == ("ann",)
        own = text_album.catalog.faces.own_faces([("ann", text_album.sha("one"))], encoder)
        assert [path for path, _ in own.values()] == [f"{TRAINING}/ann/2.jpg"]


def test_after_a_move_from_one_person_to_another_both_are_chosen_again(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.put(f"{TRAINING}/bob/2.jpg", "two")
    text_album.put(f"{TRAINING}/bob/3.jpg", "three")
    text_album.put(f"{TRAINING}/cy/4.jpg", "four")
    text_album.sync()
    text_album.choose()
    (text_album.layout.training / "bob/2.jpg").rename(text_album.layout.training / "ann/2.jpg")
    text_album.catalog.files.move([(f"{TRAINING}/bob/2.jpg", on_disk(text_album, f"{TRAINING}/ann/2.jpg"))])
    assert text_album.catalog.faces.to_choose(ENCODER, "the leftmost") == ("ann", "bob")
    assert text_album.sync() == QUIET


def test_dropped_files_are_gone_and_what_was_seen_in_them_goes_with_the_next_sync(text_album: TextAlbum) -> None:
    file = text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.put(f"{TRAINING}/ann/2.jpg", "two")
    text_album.sync()
    text_album.record("one")
    text_album.record("two")
    text_album.choose()
    file.unlink()
    text_album.catalog.files.drop([text_album.layout.path(file), "never/was/there.jpg"])
    assert text_album.drift() == Drift(0, 0, 0)
    assert text_album.catalog.faces.to_choose(ENCODER, "the leftmost") == ("ann",)
    assert text_album.catalog.faces.photo(text_album.sha("one"))
    text_album.sync()
    assert text_album.catalog.faces.photo(text_album.sha("one")) is None
    assert text_album.catalog.faces.training_set(ENCODER).sha256 == (text_album.sha("two"),)


# A ledger that was begun anew


@pytest.mark.of_files
def test_where_the_ledger_was_lost_the_next_sync_says_again_whose_photos_they_are(text_album: TextAlbum) -> None:
    text_album.put(f"{TRAINING}/ann/1.jpg", "one")
    text_album.put(f"{TRAINING}/bob/2.jpg", "two")
    text_album.sync()
    text_album.record("one")
    text_album.record("two")
    text_album.choose()
    text_album.close()
    text_album.layout.ledger_file.unlink()
    text_album.open()
    assert text_album.drift() == Drift(new=0, changed=2, gone=0)
    assert text_album.sync() == QUIET
    assert text_album.hashed == [], "what a photo is has not changed"
    assert text_album.catalog.files.people(TRAINING) == {"ann", "bob"}
    assert text_album.catalog.faces.training_set(ENCODER).people == ("ann", "bob")
    assert text_album.catalog.faces.to_choose(ENCODER, "the leftmost") == ("ann", "bob")
    assert text_album.drift() == Drift(0, 0, 0)
    np.testing.assert_array_equal(text_album.catalog.faces.training_set(ENCODER).person, [0, 1])


def test_shelves_are_known_by_the_first_part_of_the_path() -> None:
    assert shelf_of(f"{DAY}/Ann/deep/a.jpg") == DAY
