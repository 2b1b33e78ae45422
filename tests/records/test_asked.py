"""What is remembered of photos that mien was only asked about: the same to the bit, for so long, in so much room."""

from __future__ import annotations

import os
import sqlite3
import stat
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mien.errors import PhotoError, StorageError
from mien.records.asked import DAY, AskedPhotos, forget, remembered, tidy
from mien.text.photos import PhotoFault
from mien.types import Embedding, Face, Photo, Quality, SeenFace, SeenPhoto

ENCODER, DECODER = "retail-views2-0123abcd", "mien 1"
SOME = np.random.default_rng(5)


def seen(sha256: str, faces: int = 2, numbers: int = 256) -> SeenPhoto:
    """A photo with faces whose figures have as many digits as they can."""

    def face() -> SeenFace:
        box = (10.46, float(np.float32(11.46)), 1 / 3, 2e-7)
        points = SOME.standard_normal((5, 2)).astype(np.float32)
        vector = SOME.standard_normal(numbers).astype(np.float32)
        return SeenFace(
            Face(box, points, 0.1 + 0.2, "yunet", 3), Quality(33.3, 0.1, 0.7, 1.0, 1 / 7), Embedding(vector, ENCODER)
        )

    photo = Photo(sha256, 4000, 3000, "JPEG", "5a" * 8)
    return SeenPhoto(photo, tuple(face() for _ in range(faces)), 1 / 3)


def flat(one: SeenPhoto | PhotoError | None) -> list[Any]:
    assert isinstance(one, SeenPhoto)
    faces = [
        (
            *(f.face.box, f.face.landmarks.tobytes(), f.face.detector_score, f.face.detector, f.face.turn, f.quality),
            *(f.embedding.vector.tobytes(), f.embedding.vector.dtype, f.embedding.encoder_id),
        )
        for f in one.faces
    ]
    return [one.photo, one.scale, *faces]


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / ".mien/catalog-asked.sqlite"


@pytest.fixture
def shelf(file: Path) -> Iterator[AskedPhotos]:
    with AskedPhotos.open(file, 30, 200) as opened:
        yield opened


def recall(shelf: AskedPhotos, sha256: str, encoder: str = ENCODER, decoder: str = DECODER) -> Any:
    return shelf.recall(sha256, encoder, "party.jpg", decoder)


def test_what_was_seen_comes_back_to_the_bit(shelf: AskedPhotos) -> None:
    photos = [seen("a" * 64), seen("b" * 64, faces=0), seen("c" * 64, faces=40, numbers=128)]
    for one in photos:
        shelf.keep(one, ENCODER)
        assert flat(recall(shelf, one.photo.sha256)) == flat(one)
    assert recall(shelf, "d" * 64) is None
    assert recall(shelf, "a" * 64, "another-encoder") is None


def test_only_its_owner_may_read_it_and_no_name_stands_in_it(shelf: AskedPhotos, file: Path) -> None:
    shelf.keep(seen("a" * 64), ENCODER)
    assert stat.S_IMODE(file.stat().st_mode) == 0o600 or os.name == "nt"
    assert b"party.jpg" not in file.read_bytes()


def test_a_fault_comes_back_under_the_name_that_the_photo_has_now(shelf: AskedPhotos) -> None:
    error = PhotoError("old.jpg", PhotoFault.BREAKS_OFF, {"file_type": "JPEG", "said": "broken"}, "a" * 64)
    shelf.keep_fault("a" * 64, ENCODER, error, DECODER)
    again = recall(shelf, "a" * 64)
    assert (again.about, again.what, again.sha256) == ("party.jpg", error.what, "a" * 64)
    assert recall(shelf, "a" * 64, decoder="mien 2") is None, "another decoder may read it"


def test_a_fault_that_need_not_be_the_photos_is_met_again(shelf: AskedPhotos) -> None:
    short = PhotoError("a.jpg", PhotoFault.SHORT_OF_MEMORY)
    shelf.keep_fault("a" * 64, ENCODER, short, DECODER)
    assert recall(shelf, "a" * 64) is None
    broke = PhotoError("a.jpg", PhotoFault.BREAKS_DECODER)
    shelf.keep_fault("a" * 64, ENCODER, broke, DECODER)
    assert recall(shelf, "a" * 64) is None
    shelf.keep_fault("a" * 64, ENCODER, broke, DECODER)
    assert recall(shelf, "a" * 64).fault is PhotoFault.BREAKS_DECODER


def test_after_its_days_a_photo_is_forgotten_however_often_it_was_asked_about(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("mien.records.asked.time.time", lambda: now)
    with AskedPhotos.open(file, 30, 200) as shelf:
        shelf.keep(seen("a" * 64), ENCODER)
        shelf.begin("b" * 64)
        now += 30 * DAY - 1
        assert recall(shelf, "a" * 64)
        now += 1
        assert recall(shelf, "a" * 64) is None, "also in a run that goes on for long"
        assert rows(file) == 1
    tidy(file, 30, 200)
    assert rows(file) == 0 and remembered(file).photos == 0
    with AskedPhotos.open(file, 30, 200) as shelf:
        assert shelf.begun() == frozenset()
        shelf.keep(seen("a" * 64), ENCODER)
        now -= 2 * DAY
        assert recall(shelf, "a" * 64) is None, "the clock was wrong then, or is now"


def rows(file: Path) -> int:
    with closing(sqlite3.connect(file)) as connection:
        return int(connection.execute("SELECT count(*) FROM asked").fetchone()[0])


def test_the_oldest_go_for_those_that_come_but_none_of_the_same_run(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = 1_800_000_000.0
    monkeypatch.setattr("mien.records.asked.time.time", lambda: now)
    keys = [f"{number:064}" for number in range(400)]
    with AskedPhotos.open(file, 30, 1) as shelf:
        for key in keys:
            shelf.keep(seen(key, 3), ENCODER)
        assert shelf.is_full and recall(shelf, keys[0]) and not recall(shelf, keys[-1])
        many = shelf.remembered()
        assert 900_000 < many.bytes < 1_100_000 and many.photos < 400 and many.oldest == now
    now += 60
    with AskedPhotos.open(file, 30, 1) as shelf:
        shelf.keep(seen(keys[-1], 3), ENCODER)
        assert not shelf.is_full and recall(shelf, keys[-1]) and not recall(shelf, keys[0])
    assert file.stat().st_size < 1_200_000
    tidy(file, 30, 0)
    assert rows(file) == 0


def test_what_is_deleted_is_overwritten(shelf: AskedPhotos, file: Path) -> None:
    one = seen("a" * 64)
    secret = one.faces[0].embedding.vector.tobytes()[:64]
    shelf.keep(one, ENCODER)
    shelf.keep(seen("b" * 64), ENCODER)
    assert secret in file.read_bytes()
    assert shelf.forget(["a" * 64, "c" * 64]) == 1
    assert secret not in file.read_bytes() and recall(shelf, "b" * 64)
    assert forget(file) == 1
    assert remembered(file).photos == 0 and file.stat().st_size < 30_000
    assert [each.name for each in file.parent.iterdir()] == [file.name]


@pytest.mark.parametrize("change", ["seen = x'00'", "seen_at = seen_at - 5", "encoder = 'b'", "checksum = 1"])
def test_a_row_that_mien_did_not_write_counts_as_none(file: Path, change: str) -> None:
    with AskedPhotos.open(file, 30, 200) as shelf:
        shelf.keep(seen("a" * 64), ENCODER)
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute(f"UPDATE asked SET {change}")
    with AskedPhotos.open(file, 30, 200) as shelf:
        assert recall(shelf, "a" * 64) is None and recall(shelf, "a" * 64, "b") is None
        shelf.keep(seen("a" * 64), ENCODER)
        assert recall(shelf, "a" * 64)


def test_a_damaged_file_is_begun_anew(file: Path) -> None:
    with AskedPhotos.open(file, 30, 200) as shelf:
        for number in range(20):
            shelf.keep(seen(f"{number:064}"), ENCODER)
    data = bytearray(file.read_bytes())
    data[100:4096] = b"\xff" * 3996
    file.write_bytes(data)
    with AskedPhotos.open(file, 30, 200) as shelf:
        assert shelf.writes and shelf.remembered().photos == 0
        shelf.keep(seen("a" * 64), ENCODER)


def test_a_file_of_another_program_is_left_alone(file: Path) -> None:
    file.parent.mkdir()
    with closing(sqlite3.connect(file)) as connection, connection:
        connection.execute("CREATE TABLE asked (diary TEXT)")
    before = file.read_bytes()
    with pytest.raises(StorageError, match="is of another program"):
        AskedPhotos.open(file, 30, 200)
    with pytest.raises(StorageError, match="is of another program"):
        forget(file)
    tidy(file, 1, 1)
    file.write_bytes(b"a letter")
    with pytest.raises(StorageError, match="is no database"):
        AskedPhotos.open(file, 30, 200)
    assert before and file.read_bytes() == b"a letter"
    assert remembered(file).photos == 0


def test_marks_stay_until_a_photo_was_seen_and_its_process_lived(file: Path) -> None:
    with AskedPhotos.open(file, 30, 200) as shelf:
        for key in "abcd":
            shelf.begin(key * 64)
        shelf.keep(seen("a" * 64), ENCODER)
        shelf.finish("b" * 64)
        stops = PhotoError("c.jpg", PhotoFault.STOPS_MIEN)
        shelf.keep_fault("c" * 64, ENCODER, stops, DECODER, lived=False)
    with AskedPhotos.open(file, 30, 200) as shelf:
        assert shelf.begun() == {"c" * 64, "d" * 64}


def test_two_runs_may_write_at_once(file: Path) -> None:
    with AskedPhotos.open(file, 30, 200) as one, AskedPhotos.open(file, 30, 200) as other:
        one.keep(seen("a" * 64), ENCODER)
        other.keep(seen("b" * 64), ENCODER)
        assert recall(one, "b" * 64) and recall(other, "a" * 64)
        assert forget(file) == 2
        assert recall(one, "b" * 64) is None
        one.keep(seen("c" * 64), ENCODER)
    assert remembered(file).photos == 1


def test_nothing_is_made_by_looking_how_much_there_is(tmp_path: Path) -> None:
    file = tmp_path / "none/catalog-asked.sqlite"
    assert remembered(file).photos == 0 and forget(file) == 0
    tidy(file, 30, 200)
    assert list(tmp_path.iterdir()) == []
