"""Which chips are written, and which are missing or stale: `mien.records.chips`."""

from __future__ import annotations

import shutil
from typing import TYPE_CHECKING

import numpy as np
import pytest

from mien.storage.layout import TRAINING, chip_keys

if TYPE_CHECKING:
    from conftest import TextAlbum

ENCODER, OTHER = "resnet-v1-fp32", "another"
RULE = "the leftmost"


class Aligner:
    """What `align` does about chips, to files that hold the hash of their photo."""

    def __init__(self, album: TextAlbum) -> None:
        self.album = album

    def put(self, *contents: str, faces: int = 1) -> None:
        """Photos of ann, in which an encoder sees this many faces."""
        for content in contents:
            self.album.put(f"{TRAINING}/ann/{content}.jpg", content)
        self.album.sync()
        for content in contents:
            self.album.record(content, faces)

    def keys(self) -> dict[str, str]:
        return chip_keys((one.path, one.person) for one in self.album.catalog.files.on([TRAINING]))

    def update(self, size: int = 96, encoder: str = ENCODER) -> dict[str, str]:
        """Brings the chips up to date; returns what was written, with the paths of the photos in training-images."""
        layout, chips = self.album.layout, self.album.catalog.chips
        stale = chips.stale(self.keys(), encoder)
        for key in stale:
            layout.remove_chip(key)
        chips.forget(stale)
        written = {}
        for due in chips.due(self.keys(), encoder, size, layout.chips()):
            file = layout.chip_file(due.key)
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_text(due.sha256)
            chips.written(due, size)
            written[due.key] = due.path.removeprefix(f"{TRAINING}/")
        return written


@pytest.fixture
def aligner(text_album: TextAlbum) -> Aligner:
    return Aligner(text_album)


def test_chips_follow_their_photos(text_album: TextAlbum, aligner: Aligner) -> None:
    faces, layout = text_album.catalog.faces, text_album.layout
    aligner.put("one", "two", faces=2)
    text_album.choose()
    assert aligner.update() == {"ann/one.png": "ann/one.jpg", "ann/two.png": "ann/two.jpg"}
    assert aligner.update() == {}
    assert len(aligner.update(size=150)) == 2

    layout.chip_file("ann/one.png").unlink()  # by hand
    assert aligner.update(150) == {"ann/one.png": "ann/one.jpg"}

    one, two = faces.faces_of("ann", ENCODER).ids[[1, 2]].tolist()
    own = {f"{TRAINING}/ann/one.jpg": one, f"{TRAINING}/ann/two.jpg": two}  # of one.jpg another face than before
    faces.choose("ann", ENCODER, RULE, own)
    assert aligner.update(150) == {"ann/one.png": "ann/one.jpg"}

    text_album.put(f"{TRAINING}/ann/2019/one.png", "three")  # comes before, so it takes the name
    text_album.sync()
    text_album.record("three")
    own[f"{TRAINING}/ann/2019/one.png"] = int(faces.faces_of("ann", ENCODER).ids[0])
    faces.choose("ann", ENCODER, RULE, own)
    assert aligner.update(150) == {"ann/one.png": "ann/2019/one.png", "ann/one.jpg.png": "ann/one.jpg"}
    assert layout.chip_file("ann/one.png").read_text() == text_album.sha("three")
    assert aligner.update(150) == {}

    shutil.rmtree(layout.training / "ann")
    text_album.sync()
    assert aligner.update(150) == {}
    assert list(layout.aligned.iterdir()) == []


def test_a_chip_that_mien_did_not_write_is_nobodys_to_remove(text_album: TextAlbum) -> None:
    own = text_album.layout.chip_file("ann/own.png")
    own.parent.mkdir(parents=True)
    own.touch()
    assert text_album.catalog.chips.stale({}) == []


def test_a_due_chip_is_of_the_chosen_face(text_album: TextAlbum, aligner: Aligner) -> None:
    aligner.put("one", faces=3)
    ids = text_album.catalog.faces.faces_of("ann", ENCODER).ids
    text_album.catalog.faces.choose("ann", ENCODER, RULE, {f"{TRAINING}/ann/one.jpg": int(ids[1])})
    [due] = text_album.catalog.chips.due(aligner.keys(), ENCODER, 96, ())
    want = text_album.seen("one", 3).faces[1].face
    assert (due.sha256, due.face_id, due.key) == (text_album.sha("one"), ids[1], "ann/one.png")
    assert (due.face.box, due.face.turn, due.face.detector, due.face.detector_score) == (want.box, 1, "yunet", 0.75)
    np.testing.assert_array_equal(due.face.landmarks, want.landmarks)
    assert list(text_album.catalog.chips.due({}, ENCODER, 96, ())) == [], "a photo without a key has no chip"


def test_chips_may_be_recorded_while_more_are_asked_for(text_album: TextAlbum, aligner: Aligner) -> None:
    aligner.put(*(f"{i:04}" for i in range(1100)))
    text_album.choose()
    assert len(aligner.update()) == 1100
    assert aligner.update() == {}


def test_with_another_encoder_chips_are_of_its_faces(text_album: TextAlbum, aligner: Aligner) -> None:
    aligner.put("one", "two")
    text_album.choose()
    aligner.update()
    chips = text_album.catalog.chips
    assert chips.stale(aligner.keys(), OTHER) == ["ann/one.png", "ann/two.png"]
    assert chips.stale(aligner.keys()) == [], "they are still of faces that somebody chose"
    text_album.record("one", encoder=OTHER)
    text_album.choose(OTHER)
    assert aligner.update(encoder=OTHER) == {"ann/one.png": "ann/one.jpg"}
    assert text_album.layout.chips() == {"ann/one.png"}


def test_a_photo_that_is_seen_anew_has_its_chip_cut_anew(text_album: TextAlbum, aligner: Aligner) -> None:
    aligner.put("one")
    text_album.choose()
    aligner.update()
    text_album.record("one")
    assert text_album.catalog.chips.stale(aligner.keys(), ENCODER) == ["ann/one.png"]
    text_album.choose()
    assert aligner.update() == {"ann/one.png": "ann/one.jpg"}


def test_a_renamed_photo_gets_a_chip_of_its_new_name(text_album: TextAlbum, aligner: Aligner) -> None:
    aligner.put("one")
    text_album.choose()
    aligner.update()
    (text_album.layout.training / "ann/one.jpg").rename(text_album.layout.training / "ann/new.jpg")
    text_album.sync()
    text_album.choose()
    assert aligner.update() == {"ann/new.png": "ann/new.jpg"}
    assert text_album.layout.chips() == {"ann/new.png"}
