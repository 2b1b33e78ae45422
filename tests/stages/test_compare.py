"""Two models asked the same: what each is made again from, who is asked about, and what comes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien import Album, open_album, wiring
from mien.learning.figures import Share
from mien.learning.head import FittedHead, HeadOption, Ints
from mien.learning.heads.prototypes import prototypes
from mien.learning.openset import Calibration, choose_threshold
from mien.open_album import OpenAlbum
from mien.protocols import Silent
from mien.records.faces import TrainingSet
from mien.registry.card import Card, EncoderCard, FileCard, HeadCard, RunCard
from mien.registry.folder import Model, load_model
from mien.registry.gallery import OnnxHead
from mien.stages.compare import Compared, Contender, Flip, Incomparable, compare, compare_on, difference
from mien.storage.layout import Shelf
from mien.testing import COSINES
from mien.text.models import IncomparableKind
from mien.types import Cosines, Finding, Floats
from mien.wiring import HEADS

Bools = NDArray[np.bool_]
OLD, NEW = "2026-11-23-001", "2026-11-24-001"


PROTOTYPES = HeadOption("prototypes", prototypes)


def faces_of(owner: Sequence[int] | Ints, seed: int = 0, spread: float = 0.03) -> TrainingSet:
    """People called P0, P1... whose faces are about as alike as the encoder finds them."""
    random = np.random.default_rng(seed)
    person = np.asarray(owner, np.int64)
    centres = np.eye(128)[0] + random.normal(size=(int(person.max()) + 1, 128)) * 0.04
    faces = centres[person] + random.normal(size=(len(person), 128)) * spread
    return TrainingSet(
        people=tuple(f"P{one}" for one in range(int(person.max()) + 1)),
        person=person,
        sha256=tuple(hashlib.sha256(f"{seed} {row}".encode()).hexdigest() for row in range(len(person))),
        embeddings=np.asarray(faces / np.linalg.norm(faces, axis=1, keepdims=True), np.float32),
        overall=np.full(len(person), 0.5, np.float32),
    )


def photos_of(faces: TrainingSet, rows: Bools | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in range(len(faces.person)) if rows is None else np.flatnonzero(rows):
        found.setdefault(faces.people[faces.person[row]], []).append(faces.sha256[row])
    return found


def model(
    version: str,
    photos: Mapping[str, Sequence[str]],
    head: str = "prototypes",
    encoder: str = "resnet",
    fpir: float = 0.01,
    counts: Mapping[str, int] | None = None,
) -> Model:
    """A model as far as it takes to compare it."""
    file = FileCard(bytes=0, sha256="0" * 64)
    card = Card(
        encoder=EncoderCard(id=encoder, precision="fp32", weights_sha256="0" * 64, views=4),
        head=HeadCard(name=head, tried={}),
        people=max(len(photos), 1),
        photos={person: sorted(some) for person, some in photos.items()},
        counts=dict(counts or {}),
        metrics={},
        packages={},
        files={"model.onnx": file, "labels.txt": file, "thresholds.json": file},
        run=RunCard(version=version, created="now", seal=""),
    )
    threshold = choose_threshold([-np.inf], [0], 1, fpir, COSINES)
    return Model(tuple(photos), cast(OnnxHead, None), threshold, Calibration(250.0, 0.004), card)


def compare_two(faces: TrainingSet, old: Model, new: Model, head: HeadOption = PROTOTYPES) -> Compared | Incomparable:
    """Two models of one encoder."""
    return compare_on(Contender(old, faces, COSINES), Contender(new, faces, COSINES), [head])


def compared(faces: TrainingSet, old: Bools | None = None, new: Bools | None = None) -> Compared:
    """A champion of the photos `old` and a challenger of the photos `new`, all where not said."""
    found = compare_two(faces, model(OLD, photos_of(faces, old)), model(NEW, photos_of(faces, new)))
    assert isinstance(found, Compared)
    return found


# The same questions


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 1000), st.sampled_from([0.01, 0.03, 0.07]))
@settings(max_examples=25, deadline=None)
def test_a_model_is_promoted_over_itself(photos: list[int], seed: int, spread: float) -> None:
    found = compared(faces_of(np.repeat(np.arange(len(photos)), photos), seed, spread))
    assert found.decision.promote and not found.flips and not found.newcomers and not found.taken_for_newcomers
    assert found.top1[0] == found.top1[1]
    assert found.decision.overall.of + found.unasked + found.doubted <= sum(photos)
    assert found.unasked >= sum(one == 1 for one in photos) - found.doubted


def read(folder: Path) -> AbstractContextManager[OpenAlbum]:
    """An album, opened as for a command that reads."""
    layout, settings = open_album.read_settings(folder, {})
    return open_album.for_reading(layout, settings, wiring.tools, lambda: datetime.now(UTC), Silent())


def test_what_comparing_counts_is_what_training_measured(trained_album: Path) -> None:
    version = (trained_album / "models/current").read_text().strip()
    trained = load_model(trained_album / "models" / version)
    with read(trained_album) as album:
        found = compare(album, trained, trained)
    assert isinstance(found, Compared)
    counts = trained.card.counts
    assert found.doubted == found.unasked == 0
    assert found.top1[0] == found.top1[1] == Share(counts["top1_hits"], counts["top1_of"])
    overall, strangers = found.decision.overall, found.decision.strangers
    assert (overall.before, overall.after, overall.of) == (*2 * (counts["tpir_hits"],), counts["tpir_of"])
    assert (strangers.of - strangers.after, strangers.of) == (counts["fpir_hits"], counts["fpir_of"])


def test_neither_is_fitted_on_what_it_is_asked_or_on_what_it_was_not_made_of() -> None:
    faces = faces_of(np.repeat(np.arange(4), 10))
    old = np.arange(40) % 10 < 7
    given: list[set[bytes]] = []

    def watched(embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        given.append({face.tobytes() for face in embeddings})
        return prototypes(COSINES)(embeddings, person, people, weight)

    old_model, new_model = model(OLD, photos_of(faces, old)), model(NEW, photos_of(faces))
    compare_two(faces, old_model, new_model, replace(PROTOTYPES, fit_for=lambda _: watched))
    everything = {face.tobytes() for face in faces.embeddings}
    known = {face.tobytes() for face in faces.embeddings[old]}
    assert len(given) == 10
    for one, other in zip(given[:5], given[5:], strict=True):
        assert other < everything
        assert one == other & known, "the same fold was held out of both"


def test_photos_that_left_the_album_have_left_both() -> None:
    faces = faces_of(np.repeat(np.arange(5), 10))
    here = np.arange(50) % 10 != 3
    left = replace(
        faces,
        person=faces.person[here],
        sha256=tuple(np.array(faces.sha256)[here]),
        embeddings=faces.embeddings[here],
        overall=faces.overall[here],
    )
    old, new = model(OLD, photos_of(faces)), model(NEW, photos_of(left))
    assert compare_two(left, old, new) == compare_two(left, model(OLD, photos_of(left)), new)


def test_a_photo_filed_under_somebody_else_now_was_not_the_champions() -> None:
    faces = faces_of(np.repeat(np.arange(5), 10))
    person = faces.person.copy()
    person[0] = 1
    moved = replace(faces, person=person)
    new = model(NEW, photos_of(moved))
    without = photos_of(moved, np.arange(50) != 0)
    assert compare_two(moved, model(OLD, photos_of(faces)), new) == compare_two(moved, model(OLD, without), new)


# What is refused


def test_more_photos_are_welcome() -> None:
    faces = faces_of(np.repeat(np.arange(12), 10), spread=0.04)
    found = compared(faces, old=np.arange(120) % 10 < 5)
    assert found.decision.promote
    assert found.decision.overall.of == 120 and len(found.decision.earlier) == 12
    assert sum(flip.won for flip in found.flips) > sum(not flip.won for flip in found.flips)


def swapped() -> tuple[TrainingSet, Bools]:
    """P0 and P1 are filed under each other's name since the champion, which has 8 of 20 photos of each."""
    person = np.repeat(np.arange(8), 20)
    faces, old = faces_of(person), (np.arange(160) % 20 < 8) | (person > 1)
    return replace(faces, person=np.where(old, person, 1 - person)), old


def test_people_under_each_others_name_are_refused() -> None:
    faces, old = swapped()
    found = compared(faces, old)
    assert not found.decision.promote
    assert found.doubted == 24, "the champion sees that the new labels are wrong"
    assert {name for name, person in found.decision.people.items() if person.worse} == {"P0", "P1"}
    lost = [flip for flip in found.flips if not flip.won]
    assert {(flip.person, flip.taken_for) for flip in lost} <= {("P0", "P1"), ("P1", "P0"), ("P0", None), ("P1", None)}
    assert {flip.sha256 for flip in lost} == set(np.array(faces.sha256)[old & (faces.person < 2)])


def test_a_wrong_label_among_the_new_photos_speaks_for_neither() -> None:
    faces = faces_of(np.repeat(np.arange(8), 12))
    old = np.arange(96) % 12 < 9
    person = faces.person.copy()
    person[11] = 1
    found = compared(replace(faces, person=person), old)
    assert found.doubted == 1 and found.decision.promote
    assert found.decision.overall.of == 95


# New people


@given(st.integers(0, 1000), st.integers(1, 30))
@settings(max_examples=10, deadline=None)
def test_new_people_alone_never_keep_a_challenger_out(seed: int, new: int) -> None:
    """Each person's row of prototypes depends on nobody else, so no answer gets worse; the threshold depends on all,
    and may let one more have its name (seed 324, 25 new people)."""
    faces = faces_of(np.repeat(np.arange(10 + new), 8), seed, 0.05)
    found = compared(faces, old=faces.person < 10)
    assert found.decision.promote and all(flip.won for flip in found.flips)
    assert found.newcomers == tuple(f"P{one}" for one in range(10, 10 + new))
    assert found.recognised.of == 8 * new and found.decision.overall.of <= 80
    assert set(found.decision.people) <= set(faces.people[:10])


def test_somebody_under_a_second_name_is_told() -> None:
    faces = faces_of(np.repeat(np.arange(6), 12))
    person = np.where(np.arange(72) >= 66, 6, faces.person)  # half of P5's photos come as P6
    twice = replace(faces, person=person, people=(*faces.people, "P6"))
    found = compared(twice, old=person < 6)
    assert found.newcomers == ("P6",)
    assert set(found.taken_for_newcomers) == {("P5", "P6")}
    count = found.taken_for_newcomers["P5", "P6"]
    (mixed_up,) = found.mixed_up
    assert (mixed_up.people, mixed_up.why) == (("P5", "P6"), f"P5 is taken for P6, who is new, on {count} photos.")
    assert mixed_up in found.remarks and mixed_up.needs_human


def test_two_models_without_a_person_in_common() -> None:
    faces = faces_of(np.repeat(np.arange(4), 6))
    found = compared(faces, old=faces.person < 2, new=faces.person >= 2)
    assert found.decision.promote and found.decision.overall.of == 0
    assert found.newcomers == ("P2", "P3") and found.recognised.of == 12


def test_one_person_in_common_has_no_rivals() -> None:
    faces = faces_of(np.repeat(np.arange(3), 6))
    found = compared(faces, old=faces.person < 2, new=faces.person > 0)
    assert found.decision.overall.of == 6 and found.decision.strangers.of == 0
    assert list(found.decision.people) == ["P1"] and found.newcomers == ("P2",)


def test_a_head_of_an_earlier_version_is_compared_as_the_one_that_took_its_place() -> None:
    faces = faces_of(np.repeat(np.arange(8), 12))
    old, new = model(OLD, photos_of(faces), head="nearest"), model(NEW, photos_of(faces))
    found = compare_on(Contender(old, faces, COSINES), Contender(new, faces, COSINES), HEADS)
    assert isinstance(found, Compared) and found.decision.promote and not found.flips


# Two encoders

WIDE = Cosines(
    curve=(0.0, 0.125, 0.0, 0.0),
    slope=62.0,
    temperature=0.0155,
    mislabelled=0.08,
    contradicted=0.12,
    same_face=0.95,
    near_duplicate=0.98,
)
"""What is about true of the cosines of `seen_otherwise`."""


def seen_otherwise(
    faces: TrainingSet, person: Ints, spread: float = 0.08, seed: int = 0, rows: Bools | None = None
) -> TrainingSet:
    """The album as another encoder sees it: in 64 dimensions, strangers' cosines about 0. `person` (N,) is who is in
    the photos; it has faces in the `rows` (N,), all where not said."""
    random = np.random.default_rng(seed)
    centres = random.normal(size=(int(person.max()) + 1, 64))
    centres /= np.linalg.norm(centres, axis=1, keepdims=True)
    points = centres[person] + random.normal(size=(len(person), 64)) * spread
    there = np.arange(len(person)) if rows is None else np.flatnonzero(rows)
    people, owner = np.unique(faces.person[there], return_inverse=True)
    return TrainingSet(
        people=tuple(faces.people[one] for one in people),
        person=owner,
        sha256=tuple(faces.sha256[row] for row in there),
        embeddings=np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)[there],
        overall=np.full(len(there), 0.5, np.float32),
    )


def compare_encoders(
    before: TrainingSet, faces: TrainingSet, old: Model, new: Model, head: HeadOption = PROTOTYPES
) -> Compared | Incomparable:
    """A champion that sees in 64 dimensions, and a challenger that sees in 128."""
    return compare_on(Contender(old, before, WIDE), Contender(new, faces, COSINES), [head])


def pair(faces: TrainingSet, old: Bools | None = None) -> tuple[Model, Model]:
    return model(OLD, photos_of(faces, old), encoder="wide"), model(NEW, photos_of(faces), encoder="resnet")


def test_two_encoders_that_see_alike_well_are_no_reason_to_keep_the_challenger_out() -> None:
    faces = faces_of(np.repeat(np.arange(10), 12))
    found = compare_encoders(seen_otherwise(faces, faces.person), faces, *pair(faces))
    assert isinstance(found, Compared) and found.decision.promote
    assert found.decision.overall.of == 120 and found.decision.strangers.of == 120
    assert found.top1[0].hits == found.top1[1].hits == 120 and found.doubted == found.unasked == 0


def test_each_model_is_scored_and_has_its_threshold_in_its_own_cosines() -> None:
    """What is said of either is what is said where both models are that one."""
    faces = faces_of(np.repeat(np.arange(10), 12), spread=0.05)
    before = seen_otherwise(faces, faces.person, 0.2)
    old, new = pair(faces)
    found = compare_encoders(before, faces, old, new)
    both_old = compare_on(Contender(old, before, WIDE), Contender(old, before, WIDE), [PROTOTYPES])
    both_new = compare_two(faces, new, new)
    assert isinstance(found, Compared) and isinstance(both_old, Compared) and isinstance(both_new, Compared)
    assert found.top1 == (both_old.top1[0], both_new.top1[1])
    assert found.decision.overall.before == both_old.decision.overall.before < 120
    assert found.decision.overall.after == both_new.decision.overall.after < 120
    assert found.decision.strangers.before == both_old.decision.strangers.before
    assert found.decision.strangers.after == both_new.decision.strangers.after


def test_an_encoder_that_sees_worse_is_refused_and_one_that_sees_better_is_not() -> None:
    faces = faces_of(np.repeat(np.arange(10), 12))
    blurred = seen_otherwise(faces, faces.person, 0.5)
    old, new = pair(faces)
    better = compare_on(Contender(old, blurred, WIDE), Contender(new, faces, COSINES), [PROTOTYPES])
    worse = compare_on(Contender(new, faces, COSINES), Contender(old, blurred, WIDE), [PROTOTYPES])
    assert isinstance(better, Compared) and better.decision.promote
    assert isinstance(worse, Compared) and not worse.decision.promote and worse.decision.overall.worse


@given(st.integers(0, 1000))
@settings(max_examples=10, deadline=None)
def test_rows_are_matched_by_person_and_content_in_whatever_order(seed: int) -> None:
    faces = faces_of(np.repeat(np.arange(6), 8))
    before = seen_otherwise(faces, faces.person, 0.2)
    order = np.random.default_rng(seed).permutation(48)
    names = np.random.default_rng(seed).permutation(6)
    moved = TrainingSet(
        people=tuple(before.people[one] for one in np.argsort(names)),
        person=names[before.person[order]],
        sha256=tuple(before.sha256[row] for row in order),
        embeddings=before.embeddings[order],
        overall=before.overall[order],
    )
    assert compare_encoders(moved, faces, *pair(faces)) == compare_encoders(before, faces, *pair(faces))


def test_what_the_champions_encoder_has_not_seen_is_learned_by_the_challenger_and_not_asked_about() -> None:
    faces = faces_of(np.repeat(np.arange(6), 10))
    old = np.arange(60) % 10 < 7
    given: list[tuple[int, set[bytes]]] = []

    def watched(embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        given.append((embeddings.shape[1], {face.tobytes() for face in embeddings}))
        return prototypes(COSINES)(embeddings, person, people, weight)

    before = seen_otherwise(faces, faces.person, rows=old)
    found = compare_encoders(before, faces, *pair(faces, old), replace(PROTOTYPES, fit_for=lambda _: watched))
    assert isinstance(found, Compared)
    assert found.decision.overall.of == found.decision.strangers.of == 42 and found.unasked == 0
    learned = {size: set[bytes]().union(*(some for one, some in given if one == size)) for size in (64, 128)}
    assert learned[128] == {face.tobytes() for face in faces.embeddings}
    assert learned[64] == {face.tobytes() for face in before.embeddings}


def test_wrong_names_that_only_the_challengers_encoder_has_seen_are_noticed_by_the_earlier_pictures() -> None:
    faces, old = swapped()
    before = seen_otherwise(faces, np.repeat(np.arange(8), 20), rows=old)
    found = compare_encoders(before, faces, *pair(faces, old))
    assert isinstance(found, Compared) and not found.decision.promote
    assert {name for name, person in found.decision.people.items() if person.worse} == {"P0", "P1"}


def test_a_person_whom_the_champions_encoder_has_no_face_of_is_no_newcomer() -> None:
    faces = faces_of(np.repeat(np.arange(13), 10))
    old = faces.person < 12
    before = seen_otherwise(faces, faces.person, rows=old & (faces.person > 0))
    found = compare_encoders(before, faces, *pair(faces, old))
    assert isinstance(found, Compared) and found.newcomers == ("P12",)
    assert "P0" not in found.decision.people and found.decision.overall.of == 110


@pytest.mark.parametrize(("kept", "comparable"), [(0, False), (53, False), (54, True)])
def test_too_few_faces_in_common_cannot_be_compared(kept: int, comparable: bool) -> None:
    faces = faces_of(np.repeat(np.arange(6), 10))
    rows = np.arange(60) < kept
    empty = replace(faces, people=(), person=faces.person[:0], sha256=(), embeddings=faces.embeddings[:0])
    before = seen_otherwise(faces, faces.person, rows=rows) if kept else empty
    found = compare_encoders(before, faces, *pair(faces))
    assert isinstance(found, Compared) == comparable
    if isinstance(found, Incomparable):
        assert (found.reason.kind, found.reason.figures["common"]) == (IncomparableKind.OTHER_ENCODER, kept)
        assert found.reason.why == (
            f"{OLD} sees with the encoder wide and {NEW} with resnet, and the album has faces of both in only {kept} of"
            f" the 60 photos that {OLD} was made of: too few to ask both models the same."
        )


def test_faces_that_the_challengers_encoder_does_not_find_are_missed() -> None:
    faces = faces_of(np.repeat(np.arange(6), 10))
    half = faces_of(np.repeat(np.arange(6), 10)[:30])
    whole = seen_otherwise(faces, faces.person)
    old, new = model(OLD, photos_of(faces), encoder="wide"), model(NEW, photos_of(half))
    found = compare_on(Contender(old, whole, WIDE), Contender(new, half, COSINES), [PROTOTYPES])
    assert isinstance(found, Incomparable) and found.reason.figures["common"] == 30


@dataclass(frozen=True)
class Memory:
    """The files and faces of a catalog that has kept those of several encoders."""

    sets: Mapping[str, TrainingSet]

    def training_set(self, encoder_id: str) -> TrainingSet:
        return self.sets[encoder_id]

    def places(self, shelf: Shelf) -> dict[tuple[str, str], str]:
        (faces, *_) = self.sets.values()
        return {(person, sha): f"{person}/{sha[:4]}.jpg" for person, some in photos_of(faces).items() for sha in some}


def test_the_catalog_is_asked_for_the_faces_of_both_encoders() -> None:
    faces = faces_of(np.repeat(np.arange(10), 12))
    memory = Memory({"wide": seen_otherwise(faces, faces.person, 0.4), "resnet": faces})
    old, new = pair(faces)
    opened = SimpleNamespace(
        catalog=SimpleNamespace(faces=memory, files=memory),
        cosines_of=lambda one: WIDE if one is old else COSINES,
        tools=SimpleNamespace(heads=[PROTOTYPES]),
    )
    found = compare(cast("OpenAlbum", opened), old, new)
    assert isinstance(found, Compared) and found.decision.promote
    assert found.flips and all(flip.photo == f"{flip.person}/{flip.sha256[:4]}.jpg" for flip in found.flips)


def test_an_album_that_has_no_faces_of_the_champions_encoder(tmp_path: Path) -> None:
    Album.create(tmp_path / "album", "nobody yet")
    one, other = model(OLD, {}, encoder="a"), model(NEW, {}, encoder="b")
    with read(tmp_path / "album") as album:
        opened = SimpleNamespace(catalog=album.catalog, cosines_of=lambda _: COSINES, tools=album.tools)
        found = compare(cast("OpenAlbum", opened), one, other)
    assert isinstance(found, Incomparable)
    assert found.reason.why.startswith(f"{OLD} sees with the encoder a and {NEW} with b")


def test_an_album_that_has_no_faces_any_more_cannot_compare(tmp_path: Path) -> None:
    Album.create(tmp_path / "album", "nobody yet")
    one, other = model(OLD, {"Ada": ["a" * 64]}, encoder="a"), model(NEW, {"Ada": ["a" * 64]}, encoder="a")
    with read(tmp_path / "album") as album:
        opened = SimpleNamespace(catalog=album.catalog, cosines_of=lambda _: COSINES, tools=album.tools)
        found = compare(cast("OpenAlbum", opened), one, other)
    assert isinstance(found, Incomparable)
    assert found.reason == Finding(IncomparableKind.NO_FACES, figures={"version": NEW})


# What cannot be compared


@pytest.mark.parametrize("unknown", [OLD, NEW])
def test_a_head_that_is_not_known_cannot_be_made_again(unknown: str) -> None:
    faces = faces_of([0, 0, 1, 1])
    one, other = (
        model(version, photos_of(faces), head="oracle" if version == unknown else "prototypes")
        for version in (OLD, NEW)
    )
    found = compare_two(faces, one, other)
    assert isinstance(found, Incomparable)
    assert found.reason == Finding(IncomparableKind.UNKNOWN_HEAD, figures={"version": unknown, "head": "oracle"})
    assert found.reason.why == f"{unknown} has a head that this version of mien cannot fit: oracle."


# Told


def test_it_can_be_written_as_json() -> None:
    faces, old = swapped()
    found = compared(faces, old).to_json()
    assert json.loads(json.dumps(found, allow_nan=False)) == found
    assert found["champion"] == OLD and not found["decision"]["promote"]
    assert set(found["flips"][0]) == {"person", "sha256", "won", "taken_for", "photo"}


def test_difference_of_two_cards() -> None:
    one = model(OLD, {"Ada": ["1" * 64, "2" * 64], "Bo": ["3" * 64]}, counts={"top1_hits": 2, "top1_of": 3})
    other = model(NEW, {"Ada": ["2" * 64, "4" * 64], "Cy": ["5" * 64]}, head="nearest", fpir=0.05)
    found = difference(one, other)
    assert (found.people_added, found.people_removed) == (("Cy",), ("Bo",))
    assert found.added == {"Ada": ("4" * 64,), "Cy": ("5" * 64,)}
    assert found.removed == {"Ada": ("1" * 64,), "Bo": ("3" * 64,)}
    assert (found.head, found.fpir, found.version) == (("prototypes", "nearest"), (0.01, 0.05), (OLD, NEW))
    assert found.figures["top1"] == (Share(2, 3), Share(0, 0))
    told = found.to_json()
    assert json.loads(json.dumps(told, allow_nan=False)) == told
    assert told["figures"]["top1"][0]["value"] == 2 / 3 and told["figures"]["top1"][1]["value"] is None
    assert told["compared"] is None and told["incomparable"] is None


def test_difference_has_the_photos_that_flipped_or_why_not() -> None:
    faces, old = swapped()
    one, other = model(OLD, photos_of(faces, old)), model(NEW, photos_of(faces))
    told = difference(one, other, compare_two(faces, one, other)).to_json()
    assert Flip(**told["compared"]["flips"][0]).person in ("P0", "P1")
    why = Finding(IncomparableKind.UNKNOWN_HEAD, figures={"version": OLD, "head": "oracle"})
    assert difference(one, other, Incomparable(why)).to_json()["incomparable"] == why.to_json()


@pytest.mark.parametrize(("measured", "comparable"), [(30, False), (15, True), (0, True)])
def test_a_champion_that_fails_on_its_own_photos_says_that_they_are_not_what_they_were(
    measured: int, comparable: bool
) -> None:
    """attacks/12-catalog-bit-rot: who has nothing to lose is never worse."""
    faces = faces_of([*range(6)] * 5)
    noise = np.random.default_rng(1).normal(size=faces.embeddings.shape)
    rotten = replace(faces, embeddings=np.asarray(noise / np.linalg.norm(noise, axis=1, keepdims=True), np.float32))
    counts = {"top1_of": measured, "top1_hits": measured}
    old = model(OLD, photos_of(faces), counts=counts)
    if not comparable:
        assert isinstance(compare_two(faces, old, model(NEW, photos_of(faces))), Compared), "as it was, it is asked"
    if measured == 15:
        old = model(OLD, photos_of(faces), counts={"top1_of": 30, "top1_hits": measured // 3})
    found = compare_two(rotten, old, model(NEW, photos_of(faces)))
    assert isinstance(found, Compared) is comparable
    if isinstance(found, Incomparable):
        assert found.reason.kind is IncomparableKind.NOT_AS_IT_WAS
        assert found.reason.figures["share"] == 1.0 and float(str(found.reason.figures["share_now"])) < 0.6
