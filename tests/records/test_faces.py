"""What encoders saw in the photos, and which face is the person's: `mien.records.faces`."""

from __future__ import annotations

import random
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
import sqlalchemy as sa

from mien.errors import EncoderMismatchError, PhotoError
from mien.learning.own_face import Ground
from mien.records.faces import Guess, GuessedFace
from mien.storage.layout import TRAINING, intake_of
from mien.text.photos import PhotoFault
from mien.text.retries import DOUBTFUL, MENDABLE
from mien.text.words import Figure
from mien.vision.phash import are_near

if TYPE_CHECKING:
    from conftest import TextAlbum

ENCODER, OTHER = "resnet-v1-fp32", "another"
DECODER = "Pillow 1"
RULE = "the leftmost"
DAY = intake_of(date(2026, 11, 23))
CUT = PhotoError("a.jpg", PhotoFault.BREAKS_OFF, {"file_type": "JPEG", "said": "3 bytes are missing"})
HEIC = PhotoError("a.heic", PhotoFault.MISSING_EXTRA, {"file_type": "HEIF"})


def put(album: TextAlbum, *paths: str) -> None:
    """Photos in training-images, each with its path in there as content, or what is given after a colon."""
    for path in paths:
        place, _, content = path.partition(":")
        album.put(f"{TRAINING}/{place}", content or place)
    album.sync()


# Bystanders


def test_bystanders_are_the_faces_that_are_nobodys_own(text_album: TextAlbum) -> None:
    """Three faces in a photo that lies under both names, of which each has one; one in a photo of ann alone; two in a
    photo in which nobody's face was chosen, so that either may be the person's; and one of an intake."""
    put(text_album, "ann/1.jpg:three", "bob/1.jpg:three", "ann/2.jpg:one", "bob/2.jpg:two")
    text_album.put(f"{DAY}/ann/3.jpg", "new")
    text_album.sync(TRAINING, DAY)
    for content, faces in (("three", 3), ("one", 1), ("two", 2), ("new", 2)):
        text_album.record(content, faces)
        text_album.record(content, faces, OTHER)
    text_album.choose(OTHER)
    catalog = text_album.catalog.faces
    assert [*catalog.bystanders(ENCODER)] == []

    def ids(person: str, path: str) -> list[int]:
        found = catalog.faces_of(person, ENCODER)
        return [int(found.ids[row]) for row in np.flatnonzero(found.photo == found.paths.index(path))]

    shared, own = f"{TRAINING}/ann/1.jpg", f"{TRAINING}/ann/2.jpg"
    ann = {shared: ids("ann", shared)[0], own: ids("ann", own)[0]}
    catalog.choose("ann", ENCODER, RULE, ann)
    catalog.choose("bob", ENCODER, RULE, {f"{TRAINING}/bob/1.jpg": ids("ann", shared)[2]})
    (part,) = catalog.bystanders(ENCODER)
    np.testing.assert_array_equal(part, [text_album.vector("three", 1)])
    assert part.dtype == np.float32
    assert sum(map(len, catalog.bystanders(OTHER))) == 2 + 1, "of each photo all but the leftmost"
    assert [*catalog.bystanders("nobody's")] == []


def test_bystanders_come_in_parts(text_album: TextAlbum, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.records.faces._GROUP", 4)
    put(text_album, *(f"ann/{number}.jpg" for number in range(5)))
    for number in range(5):
        text_album.record(f"ann/{number}.jpg", 3)
    text_album.choose()
    parts = [*text_album.catalog.faces.bystanders(ENCODER)]
    assert [part.shape for part in parts] == [(4, 128), (4, 128), (2, 128)]
    want = [text_album.vector(f"ann/{number}.jpg", face) for number in range(5) for face in (1, 2)]
    assert sorted(np.concatenate(parts)[:, 0]) == sorted(one[0] for one in want)


# What was seen


def test_a_face_comes_back_as_it_was(text_album: TextAlbum) -> None:
    put(text_album, "ann/1.jpg:one")
    text_album.record("one", faces=2)
    text_album.reopen()
    found = text_album.catalog.faces.faces_of("ann", ENCODER)
    assert found.paths == (f"{TRAINING}/ann/1.jpg",)
    with text_album.catalog._database.transaction() as connection:
        assert connection.exec_driver_sql("SELECT width, height FROM photos").all() == [(640, 480)]
    np.testing.assert_array_equal(found.photo, [0, 0])
    np.testing.assert_array_equal(found.boxes, np.array([[0, 1, 20, 30], [10.5, 1, 20, 30]], np.float32))
    np.testing.assert_array_equal(found.embeddings, [text_album.vector("one", n) for n in (0, 1)])
    assert found.embeddings.dtype == np.float32
    text_album.catalog.faces.choose("ann", ENCODER, RULE, {f"{TRAINING}/ann/1.jpg": int(found.ids[1])})
    learned = text_album.catalog.faces.training_set(ENCODER)
    sha256 = text_album.sha("one")
    assert (learned.sha256, learned.overall.tolist()) == ((sha256,), [0.125])
    [(path, face)] = text_album.catalog.faces.own_faces([("ann", sha256), ("bob", sha256)], ENCODER).values()
    want = text_album.seen("one", 2).faces[1].face
    assert (path, face.box, face.turn, face.detector, face.detector_score) == (
        f"{TRAINING}/ann/1.jpg",
        want.box,
        1,
        "yunet",
        0.75,
    )
    np.testing.assert_array_equal(face.landmarks, want.landmarks)


def test_faces_come_by_path_and_then_from_left_to_right(text_album: TextAlbum) -> None:
    put(text_album, "ann/2.jpg:two", "ann/1.jpg:one", "ann/3.jpg:none")
    for content, faces in (("two", 2), ("one", 3), ("none", 0)):
        text_album.record(content, faces)
    found = text_album.catalog.faces.faces_of("ann", ENCODER)
    assert found.paths == (f"{TRAINING}/ann/1.jpg", f"{TRAINING}/ann/2.jpg")
    np.testing.assert_array_equal(found.photo, [0, 0, 0, 1, 1])
    wanted = [text_album.vector("one", n) for n in range(3)] + [text_album.vector("two", n) for n in range(2)]
    np.testing.assert_array_equal(found.embeddings, wanted)


def test_a_photo_is_seen_once_by_each_encoder_whatever_came_of_it(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/good.jpg:good", "ann/faceless.jpg:faceless", "ann/broken.jpg:broken", "ann/heic.jpg:heic")
    put(text_album, "bob/good.jpg:good")
    assert [path for _, path in faces.unseen([TRAINING], ENCODER, DECODER)] == [
        f"{TRAINING}/ann/{name}.jpg" for name in ("broken", "faceless", "good", "heic")
    ]
    assert faces.unseen([TRAINING], ENCODER, DECODER, person="bob") == [
        (text_album.sha("good"), f"{TRAINING}/bob/good.jpg")
    ]
    assert faces.unseen([TRAINING], ENCODER, DECODER, person="nobody") == []
    text_album.record("good", 2)
    text_album.record("faceless", 0)
    assert faces.record_fault(text_album.sha("broken"), ENCODER, CUT, DECODER)
    assert faces.record_fault(text_album.sha("heic"), ENCODER, HEIC, DECODER)
    heic = [(text_album.sha("heic"), f"{TRAINING}/ann/heic.jpg")]
    assert faces.unseen([TRAINING], ENCODER, DECODER) == heic, "what it lacks may have been installed"
    assert len(faces.unseen([TRAINING], OTHER, DECODER)) == 4
    text_album.choose()
    seen = faces.on([TRAINING], ENCODER).files
    assert [(one.path.removeprefix(f"{TRAINING}/"), one.person, one.seen, one.faces, one.own >= 0) for one in seen] == [
        ("ann/broken.jpg", "ann", True, 0, False),
        ("ann/faceless.jpg", "ann", True, 0, False),
        ("ann/good.jpg", "ann", True, 2, True),
        ("ann/heic.jpg", "ann", True, 0, False),
        ("bob/good.jpg", "bob", True, 2, True),
    ]
    assert [bool(one.phash) for one in seen] == [False, True, True, False, True]
    assert [(one.fault, one.figures) for one in seen if one.fault] == [
        (PhotoFault.BREAKS_OFF, CUT.figures),
        (PhotoFault.MISSING_EXTRA, HEIC.figures),
    ]
    assert (len({one.sha256 for one in seen}), faces.count([TRAINING], ENCODER)) == (4, 2)
    other = faces.on([TRAINING], OTHER).files
    assert [(one.seen, one.phash, one.fault, one.faces, one.own) for one in other] == [(False, "", None, 0, -1)] * 5
    assert faces.count([TRAINING], OTHER) == 0


def test_seeing_again_replaces_what_was_seen(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one")
    faces.record_fault(text_album.sha("one"), ENCODER, CUT, DECODER)
    text_album.record("one", 3)
    assert [one.fault for one in faces.on([TRAINING], ENCODER).files] == [None]
    text_album.record("one", 1)
    assert faces.count([TRAINING], ENCODER) == 1
    faces.record_fault(text_album.sha("one"), ENCODER, CUT, DECODER)
    assert faces.count([TRAINING], ENCODER) == 0


def test_a_photo_that_is_seen_anew_is_chosen_from_anew(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one", "bob/1.jpg:one", "cy/2.jpg:two")
    for encoder in (ENCODER, OTHER):
        for content in ("one", "two"):
            text_album.record(content, encoder=encoder)
        text_album.choose(encoder)
    old = faces.faces_of("ann", ENCODER).ids
    text_album.record("one")
    assert faces.to_choose(ENCODER, RULE) == ("ann", "bob")
    assert faces.to_choose(OTHER, RULE) == ()
    assert faces.training_set(ENCODER).people == ("cy",)
    assert faces.training_set(OTHER).people == ("ann", "bob", "cy")
    assert not set(old) & set(faces.faces_of("ann", ENCODER).ids), "an old id never means another face"


def test_a_photo_that_changed_meanwhile_is_left_for_the_next_sync(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one")
    assert not faces.record(text_album.seen("changed meanwhile"), ENCODER)
    assert not faces.record_fault(text_album.sha("changed meanwhile"), ENCODER, CUT, DECODER)
    assert faces.unseen([TRAINING], ENCODER, DECODER) == [(text_album.sha("one"), f"{TRAINING}/ann/1.jpg")]


def fault(kind: PhotoFault) -> PhotoError:
    numbers: dict[str, Figure] = dict.fromkeys(("seconds", "megabytes", "limit", "megapixels"), 9)
    return PhotoError("a.jpg", kind, numbers | {"file_type": "JPEG", "said": "no", "tool": "it"})


@pytest.mark.parametrize("kind", PhotoFault)
def test_what_may_pass_is_tried_again_and_all_of_it_by_another_decoder(text_album: TextAlbum, kind: PhotoFault) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one")
    again = [True] * 3 if kind in MENDABLE else [True, False, False] if kind in DOUBTFUL else [False] * 3
    for expected in again:
        faces.record_fault(text_album.sha("one"), ENCODER, fault(kind), DECODER)
        assert bool(faces.unseen([TRAINING], ENCODER, DECODER)) is expected
        assert len(faces.unseen([TRAINING], ENCODER, "Pillow 2")) == 1
    faces.record_fault(text_album.sha("one"), ENCODER, fault(kind), "Pillow 2")
    assert bool(faces.unseen([TRAINING], ENCODER, "Pillow 2")) is again[0], "it has been tried once by this one"


def test_a_fault_of_a_time_that_is_still_to_come_is_not_believed(text_album: TextAlbum) -> None:
    put(text_album, "ann/1.jpg:one")
    text_album.catalog.faces.record_fault(text_album.sha("one"), ENCODER, CUT, DECODER)
    assert not text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER)
    faces = text_album.catalog.faces
    with text_album.catalog._database.transaction(write=True) as connection:
        connection.exec_driver_sql("UPDATE sightings SET seen_at = '2999-01-01T00:00:00+00:00'")
    assert faces.unseen([TRAINING], ENCODER, DECODER)
    faces.record_fault(text_album.sha("one"), ENCODER, CUT, DECODER)
    assert not faces.unseen([TRAINING], ENCODER, DECODER)


def test_a_photo_is_marked_while_it_is_looked_at(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one", "ann/2.jpg:two", "ann/3.jpg:three", "ann/4.jpg:four")
    one, two, three, four = map(text_album.sha, ("one", "two", "three", "four"))
    faces.begin([one, two])
    faces.begin([two, three, four])
    assert faces.begun() == {one, two, three, four}
    for sha256 in (one, two, four):
        faces.finish(sha256)
    text_album.reopen()
    assert text_album.catalog.faces.begun() == {three}
    (text_album.layout.training / "ann/3.jpg").unlink()
    text_album.sync()
    assert text_album.catalog.faces.begun() == set()


def test_embeddings_of_another_encoder_are_refused(text_album: TextAlbum) -> None:
    put(text_album, "ann/1.jpg:one")
    with pytest.raises(EncoderMismatchError):
        text_album.catalog.faces.record(text_album.seen("one", encoder=OTHER), ENCODER)
    assert text_album.catalog.faces.unseen([TRAINING], ENCODER, DECODER)


# Whose face it is


def test_the_training_set_depends_on_the_album_alone(
    tmp_path: Path, new_text_album: Callable[[Path], TextAlbum]
) -> None:
    """Whatever the order in which photos came, and the ids that people were given."""
    names = {"José": "abcd", "A_B": "bcef", "a-b": "g", "山田": "a"}
    placed = [(f"{name}/{content}.jpg", content) for name, contents in names.items() for content in contents]
    for seed in range(6):
        random.Random(seed).shuffle(placed)
        album = new_text_album(tmp_path / str(seed))
        for path, content in placed:
            put(album, f"{path}:{content}")
        for _, content in placed:
            album.record(content)
        album.choose()
        found = album.catalog.faces.training_set(ENCODER)
        wanted = sorted((name, album.sha(content), content) for name, contents in names.items() for content in contents)
        assert found.people == ("A_B", "José", "a-b", "山田")
        assert [(found.people[p], s) for p, s in zip(found.person, found.sha256, strict=True)] == [
            one[:2] for one in wanted
        ]
        np.testing.assert_array_equal(found.embeddings, [album.vector(content) for _, _, content in wanted])
        np.testing.assert_array_equal(found.overall, np.full(10, np.float32(0.0625)))
        photos = album.catalog.faces.training_photos(ENCODER)
        assert list(photos.items()) == [(name, sorted(map(album.sha, names[name]))) for name in sorted(names)]
        jose = album.catalog.faces.training_set(ENCODER, "José")
        assert (jose.people, jose.sha256) == (("José",), tuple(sorted(map(album.sha, "abcd"))))


def test_a_photo_that_lies_twice_under_a_person_counts_once(text_album: TextAlbum) -> None:
    faces, sha256 = text_album.catalog.faces, text_album.sha("one")
    put(text_album, "ann/1.jpg:one", "ann/copy.jpg:one", "bob/1.jpg:one")
    text_album.record("one")
    text_album.choose()
    assert faces.training_set(ENCODER).sha256 == (sha256, sha256)
    assert faces.training_set(ENCODER).people == ("ann", "bob")
    assert faces.training_photos(ENCODER) == {"ann": [sha256], "bob": [sha256]}
    assert [(one.path, one.person) for one in text_album.catalog.files.on([TRAINING])] == [
        (f"{TRAINING}/{path}", path.split("/")[0]) for path in ("ann/1.jpg", "ann/copy.jpg", "bob/1.jpg")
    ]


def test_a_choice_can_be_taken_back(text_album: TextAlbum) -> None:
    put(text_album, "ann/1.jpg:one", "ann/2.jpg:two")
    text_album.record("one")
    text_album.record("two")
    text_album.choose()
    text_album.catalog.faces.choose("ann", ENCODER, RULE, {f"{TRAINING}/ann/1.jpg": None})  # and of the other nothing
    empty = text_album.catalog.faces.training_set(ENCODER)
    assert (empty.people, empty.embeddings.shape, empty.person.shape) == ((), (0, 0), (0,))
    assert empty.embeddings.dtype == np.float32


def test_nobody_has_no_faces(text_album: TextAlbum) -> None:
    found = text_album.catalog.faces.faces_of("nobody", ENCODER)
    assert (found.paths, found.embeddings.shape, found.boxes.shape) == ((), (0, 0), (0, 4))


def test_who_is_to_be_chosen(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one", "Zoë/2.jpg:two")
    text_album.put(f"{DAY}/cy/3.jpg", "three")
    text_album.sync(DAY)
    assert faces.to_choose(ENCODER, RULE) == ("Zoë", "ann")
    text_album.choose()
    assert faces.to_choose(ENCODER, RULE) == ()
    assert faces.to_choose(ENCODER, "another rule") == faces.to_choose(OTHER, RULE) == ("Zoë", "ann")
    put(text_album, "ann/4.jpg:four")
    assert faces.to_choose(ENCODER, RULE) == ("ann",)


def test_whose_choice_depends_on_others_is_chosen_again_with_anybodys(text_album: TextAlbum) -> None:
    faces, centre = text_album.catalog.faces, (text_album.vector("one"), 3)
    put(text_album, "ann/1.jpg:one", "bob/2.jpg:two", "cy/3.jpg:three", "dee/4.jpg:four")
    for content in ("one", "two", "three", "four"):
        text_album.record(content, 2)
    paths = {"ann": "1.jpg", "bob": "2.jpg", "cy": "3.jpg", "dee": "4.jpg"}
    grounds = {"ann": Ground.OWN, "bob": Ground.ALBUM, "cy": Ground.GUESS, "dee": Ground.OWN}

    def choose() -> None:
        for name, ground in grounds.items():
            right = int(faces.faces_of(name, ENCODER).ids[1])
            faces.choose(name, ENCODER, RULE, {f"{TRAINING}/{name}/{paths[name]}": right}, ground, centre)

    choose()
    assert faces.to_choose(ENCODER, RULE) == faces.to_choose_anew(ENCODER, RULE) == ()
    assert faces.to_choose_anew(ENCODER, "another rule") == ("ann", "bob", "cy", "dee")
    known = faces.centres(ENCODER, [Ground.OWN])
    np.testing.assert_array_equal(known.vectors, [text_album.vector("one")] * 2)
    assert (known.photos.tolist(), len(faces.centres(ENCODER, [*Ground], but=["cy", "nobody"]))) == ([3, 3], 3)
    assert len(faces.centres(OTHER, [*Ground])) == 0
    assert faces.guesses(ENCODER) == faces.guesses(ENCODER, "cy")
    assert faces.guesses(ENCODER) == (Guess("cy", (GuessedFace(f"{TRAINING}/cy/3.jpg", 1, 2),)),)
    assert faces.guesses(ENCODER, "ann") == faces.guesses(OTHER) == ()

    text_album.layout.file(f"{TRAINING}/dee/4.jpg").unlink()
    text_album.sync()
    assert faces.to_choose(ENCODER, RULE) == faces.to_choose_anew(ENCODER, RULE) == ("bob", "cy"), "whoever is gone"
    del grounds["dee"]
    choose()
    text_album.record("one", 3)
    assert faces.to_choose(ENCODER, RULE) == ("ann", "bob", "cy"), "whoever was seen anew"
    choose()
    text_album.put(f"{DAY}/cy/5.jpg", "five")
    text_album.sync(DAY)
    text_album.record("five")
    assert faces.to_choose(ENCODER, RULE) == ("cy",), "what waits tells nothing of others"


@pytest.mark.parametrize("order", [(128, 256, 512), (512, 128, 256)])
def test_encoders_whose_embeddings_differ_in_length_stand_side_by_side(
    text_album: TextAlbum, order: tuple[int, ...]
) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one", "ann/2.jpg:two", "bob/3.jpg:three")
    for size in order:
        for content in ("one", "two", "three"):
            text_album.record(content, 2, f"of {size}", size)
        text_album.choose(f"of {size}")
    text_album.reopen()
    faces = text_album.catalog.faces
    for size in order:
        encoder = f"of {size}"
        found = faces.training_set(encoder)
        assert found.people == ("ann", "bob")
        by_person = sorted(("one", "two"), key=text_album.sha)
        wanted = [text_album.vector(content, 0, size) for content in (*by_person, "three")]
        np.testing.assert_array_equal(found.embeddings, wanted)
        assert faces.faces_of("ann", encoder).embeddings.shape == (4, size)
        assert faces.on([TRAINING], encoder).embeddings.shape == (3, size)
        assert faces.on([TRAINING], encoder, every_face=True).embeddings.shape == (6, size)
        assert faces.to_choose(encoder, RULE) == ()


def test_choosing_with_one_encoder_leaves_what_another_chose(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one")
    for encoder in (ENCODER, OTHER):
        text_album.record("one", 2, encoder)
        text_album.choose(encoder)
    second = int(faces.faces_of("ann", OTHER).ids[1])
    faces.choose("ann", OTHER, "a new rule", {f"{TRAINING}/ann/1.jpg": second})
    np.testing.assert_array_equal(faces.training_set(ENCODER).embeddings, [text_album.vector("one", 0)])
    np.testing.assert_array_equal(faces.training_set(OTHER).embeddings, [text_album.vector("one", 1)])
    assert (faces.to_choose(ENCODER, RULE), faces.to_choose(OTHER, RULE)) == ((), ("ann",))
    faces.choose("ann", OTHER, RULE, {})
    assert (faces.training_set(OTHER).people, faces.training_set(ENCODER).people) == ((), ("ann",))


def test_choosing_for_one_person_leaves_the_others(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one", "bob/1.jpg:one")
    text_album.record("one", 2)
    text_album.choose()
    second = int(faces.faces_of("bob", ENCODER).ids[1])
    faces.choose("bob", ENCODER, RULE, {f"{TRAINING}/bob/1.jpg": second})
    wanted = [text_album.vector("one", n) for n in (0, 1)]
    np.testing.assert_array_equal(faces.training_set(ENCODER).embeddings, wanted)


# What there is


def test_a_shelf_as_an_encoder_saw_it(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    for name in ("faceless", "group", "new", "broken"):
        text_album.put(f"{DAY}/Ann/{name}.jpg", name)
    text_album.put(f"{DAY}/Bo/group.jpg", "group")
    text_album.sync(DAY)
    text_album.record("faceless", 0)
    text_album.record("group", 2)
    faces.record_fault(text_album.sha("broken"), ENCODER, CUT, DECODER)
    found = faces.on([DAY], ENCODER, every_face=True)
    assert [(one.path.removeprefix(f"{DAY}/"), one.person, one.fault, one.all_faces) for one in found.files] == [
        ("Ann/broken.jpg", "Ann", PhotoFault.BREAKS_OFF, range(0, 0)),
        ("Ann/faceless.jpg", "Ann", None, range(0, 0)),
        ("Ann/group.jpg", "Ann", None, range(0, 2)),
        ("Ann/new.jpg", "Ann", None, range(2, 2)),
        ("Bo/group.jpg", "Bo", None, range(2, 4)),
    ]
    assert [bool(one.phash) for one in found.files] == [False, True, True, False, True]
    assert {one.own for one in found.files} == {-1}, "nobody's face is chosen before it is merged"
    np.testing.assert_array_equal(found.embeddings, [text_album.vector("group", n) for n in (0, 1, 0, 1)])
    other = faces.on([DAY], OTHER, every_face=True)
    assert [(one.phash, one.fault, one.faces, len(one.all_faces)) for one in other.files] == [("", None, 0, 0)] * 5
    assert other.embeddings.shape == (0, 0)
    assert faces.broken([DAY]) == {f"{DAY}/Ann/broken.jpg": (PhotoFault.BREAKS_OFF, CUT.figures)}


def test_a_shelf_with_every_face_says_which_is_the_persons(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    put(text_album, "ann/1.jpg:one", "ann/2.jpg:two", "bob/1.jpg:one")
    text_album.record("one", 3)
    text_album.record("two", 1)
    ids = faces.faces_of("ann", ENCODER).ids
    faces.choose("ann", ENCODER, RULE, {f"{TRAINING}/ann/1.jpg": int(ids[2]), f"{TRAINING}/ann/2.jpg": int(ids[3])})
    every = faces.on([TRAINING], ENCODER, every_face=True)
    assert [(one.faces, one.own, one.overall, one.all_faces) for one in every.files] == [
        (3, 2, 0.1875, range(0, 3)),
        (1, 3, 0.0625, range(3, 4)),
        (3, -1, 0.0, range(4, 7)),
    ]
    wanted = [("one", 0), ("one", 1), ("one", 2), ("two", 0), ("one", 0), ("one", 1), ("one", 2)]
    np.testing.assert_array_equal(every.embeddings, [text_album.vector(*one) for one in wanted])
    own = faces.on([TRAINING], ENCODER)
    assert [(one.faces, one.own, one.overall, one.all_faces) for one in own.files] == [
        (3, 0, 0.1875, range(0)),
        (1, 1, 0.0625, range(0)),
        (3, -1, 0.0, range(0)),
    ]
    np.testing.assert_array_equal(own.embeddings, [text_album.vector("one", 2), text_album.vector("two", 0)])


def test_a_photo_that_one_encoder_could_read_is_not_broken(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    text_album.put(f"{DAY}/Ann/a.heic", "one")
    text_album.sync(DAY)
    faces.record_fault(text_album.sha("one"), "before", HEIC, DECODER)
    assert faces.broken([DAY]) == {f"{DAY}/Ann/a.heic": (PhotoFault.MISSING_EXTRA, HEIC.figures)}
    text_album.record("one")
    assert faces.broken([DAY]) == {}


def test_of_two_faults_the_figures_are_those_of_the_one_that_is_told(text_album: TextAlbum) -> None:
    text_album.put(f"{DAY}/Ann/a.heic", "one")
    text_album.sync(DAY)
    for encoder, error in (("a", HEIC), ("b", CUT), ("c", HEIC)):
        text_album.catalog.faces.record_fault(text_album.sha("one"), encoder, error, DECODER)
    [(fault, figures)] = text_album.catalog.faces.broken([DAY]).values()
    assert dict(figures) == next(error.figures for error in (HEIC, CUT) if error.fault is fault)


def test_all_that_is_known_of_a_photo(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    text_album.put(f"{TRAINING}/Ann/a.jpg", "one")
    text_album.put(f"{TRAINING}/Bo/a.jpg", "one")
    text_album.put(f"{DAY}/Cy/a.jpg", "one")
    text_album.sync(TRAINING, DAY)
    record = faces.photo(text_album.sha("one"))
    assert record and (record.photo, record.bytes, record.sightings) == (None, 3, ())
    text_album.record("one", 2)
    faces.record_fault(text_album.sha("one"), OTHER, CUT, DECODER)
    face = int(faces.faces_of("Ann", ENCODER).ids[1])
    faces.choose("Ann", ENCODER, RULE, {f"{TRAINING}/Ann/a.jpg": face})
    record = faces.photo(text_album.sha("one"))
    assert record and record.photo == text_album.seen("one").photo
    by = {one.encoder: one for one in record.sightings}
    assert (by[OTHER].fault, by[OTHER].figures, by[OTHER].faces) == (PhotoFault.BREAKS_OFF, CUT.figures, ())
    assert by[ENCODER].fault is None
    assert [(one.id, one.own_of) for one in by[ENCODER].faces] == [(face - 1, ()), (face, ("Ann",))]
    want = text_album.seen("one", 2).faces[1]
    got = by[ENCODER].faces[1]
    assert (got.face.box, got.face.turn, got.quality) == (want.face.box, 1, want.quality)
    np.testing.assert_array_equal(got.face.landmarks, want.face.landmarks)
    faces.choose("Bo", ENCODER, RULE, {f"{TRAINING}/Bo/a.jpg": face})
    again = faces.photo(text_album.sha("one"))
    assert again and [one.own_of for seen in again.sightings for one in seen.faces] == [(), ("Ann", "Bo")]
    assert faces.photo(text_album.sha("two")) is None


def test_own_faces_of_many_photos(text_album: TextAlbum) -> None:
    put(text_album, *(f"ann/{i:04}.jpg" for i in range(1100)), "ann/copy.jpg:ann/0000.jpg", "bob/0.jpg:ann/0000.jpg")
    for i in range(0, 1100, 2):
        text_album.record(f"ann/{i:04}.jpg")
    text_album.choose()
    wanted = [(person, text_album.sha(f"ann/{i:04}.jpg")) for i in range(1100) for person in ("ann", "cy")]
    found = text_album.catalog.faces.own_faces(wanted, ENCODER)
    assert {key: path for key, (path, _) in found.items()} == {
        ("ann", text_album.sha(f"ann/{i:04}.jpg")): f"{TRAINING}/ann/{i:04}.jpg" for i in range(0, 1100, 2)
    }
    assert text_album.catalog.faces.own_faces(wanted, OTHER) == {}


def test_photos_that_look_alike(text_album: TextAlbum) -> None:
    faces = text_album.catalog.faces
    hashes = {"one": "00000000000000ff", "near": "00000000000000f8", "far": "00000000000000f0", "flat": "0" * 16}
    put(text_album, *(f"Ann/{content}.jpg:{content}" for content in hashes), "Ann/new.jpg:new")
    text_album.put(f"{DAY}/Bo/near.jpg", "near")
    text_album.sync(DAY)
    for content, phash in hashes.items():
        assert faces.record(text_album.seen(content, 0, phash=phash), ENCODER)
    found = faces.lookalikes(text_album.seen("one", phash=hashes["one"]).photo)
    assert found == (text_album.sha("near"),)
    assert [one.path for one in text_album.catalog.files.of_photos(found)] == [
        f"{DAY}/Bo/near.jpg",
        f"{TRAINING}/Ann/near.jpg",
    ]
    assert are_near(hashes["one"], hashes["near"])
    assert faces.lookalikes(text_album.seen("flat", phash=hashes["flat"]).photo) == ()


@pytest.mark.of_files
def test_what_is_no_row_of_numbers_is_refused_by_the_file(text_album: TextAlbum) -> None:
    put(text_album, "ann/1.jpg:one")
    text_album.record("one")
    database = text_album.catalog._database
    for column, value in (("embedding", "x'010203'"), ("embedding", "x''"), ("landmarks", "x'00'")):
        with pytest.raises(sa.exc.IntegrityError), database.transaction(write=True) as connection:
            connection.exec_driver_sql(f"UPDATE faces SET {column} = {value}")
