"""Two models asked the same: what each is made again from, who is asked about, and what comes out."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import cast

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray

from mien import Album
from mien.learning.figures import Share
from mien.learning.head import Fit, Fitted, Ints
from mien.learning.heads.prototypes import fit_prototypes
from mien.learning.openset import PLAIN, Calibration, Scale, choose_threshold
from mien.records.catalog import Catalog, TrainingSet
from mien.registry import Card, EncoderCard, FileCard, HeadCard, Model, OnnxHead, RunCard, load_model
from mien.stages.compare import Compared, Flip, Incomparable, compare, compare_on, difference
from mien.types import Floats
from mien.wiring import HEADS

Bools = NDArray[np.bool_]
OLD, NEW = "2026-11-23-001", "2026-11-24-001"


@dataclass(frozen=True)
class Head:
    name: str = "prototypes"
    fit: Fit = fit_prototypes
    scale: Scale = PLAIN


def album_of(owner: Sequence[int] | Ints, seed: int = 0, spread: float = 0.03) -> TrainingSet:
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


def photos_of(album: TrainingSet, rows: Bools | None = None) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for row in range(len(album.person)) if rows is None else np.flatnonzero(rows):
        found.setdefault(album.people[album.person[row]], []).append(album.sha256[row])
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
    threshold = choose_threshold([-np.inf], [0], 1, fpir)
    return Model(tuple(photos), cast(OnnxHead, None), threshold, Calibration(250.0, 0.004), card)


def compared(album: TrainingSet, old: Bools | None = None, new: Bools | None = None) -> Compared:
    """A champion of the photos `old` and a challenger of the photos `new`, all where not said."""
    found = compare_on(album, model(OLD, photos_of(album, old)), model(NEW, photos_of(album, new)), [Head()])
    assert isinstance(found, Compared)
    return found


# The same questions


@given(st.lists(st.integers(1, 9), min_size=1, max_size=8), st.integers(0, 1000), st.sampled_from([0.01, 0.03, 0.07]))
@settings(max_examples=25, deadline=None)
def test_a_model_is_promoted_over_itself(photos: list[int], seed: int, spread: float) -> None:
    found = compared(album_of(np.repeat(np.arange(len(photos)), photos), seed, spread))
    assert found.decision.promote and not found.flips and not found.newcomers and not found.taken_for_newcomers
    assert found.top1[0] == found.top1[1]
    assert found.decision.overall.of + found.unasked + found.doubted <= sum(photos)
    assert found.unasked >= sum(one == 1 for one in photos) - found.doubted


def test_what_comparing_counts_is_what_training_measured(trained_album: Path) -> None:
    version = (trained_album / "models/current").read_text().strip()
    trained = load_model(trained_album / "models" / version)
    with Catalog.open(trained_album / ".mien/catalog.sqlite") as catalog:
        found = compare(catalog, trained, trained, HEADS)
    assert isinstance(found, Compared)
    counts = trained.card.counts
    assert found.doubted == found.unasked == 0
    assert found.top1[0] == found.top1[1] == Share(counts["top1_hits"], counts["top1_of"])
    overall, strangers = found.decision.overall, found.decision.strangers
    assert (overall.before, overall.after, overall.of) == (*2 * (counts["tpir_hits"],), counts["tpir_of"])
    assert (strangers.of - strangers.after, strangers.of) == (counts["fpir_hits"], counts["fpir_of"])


def test_neither_is_fitted_on_what_it_is_asked_or_on_what_it_was_not_made_of() -> None:
    album = album_of(np.repeat(np.arange(4), 10))
    old = np.arange(40) % 10 < 7
    given: list[set[bytes]] = []

    def watched(embeddings: Floats, person: Ints, people: int, weight: Floats) -> Fitted:
        given.append({face.tobytes() for face in embeddings})
        return fit_prototypes(embeddings, person, people, weight)

    compare_on(album, model(OLD, photos_of(album, old)), model(NEW, photos_of(album)), [Head(fit=watched)])
    everything = {face.tobytes() for face in album.embeddings}
    known = {face.tobytes() for face in album.embeddings[old]}
    assert len(given) == 10
    for one, other in zip(given[:5], given[5:], strict=True):
        assert other < everything
        assert one == other & known, "the same fold was held out of both"


def test_photos_that_left_the_album_have_left_both() -> None:
    album = album_of(np.repeat(np.arange(5), 10))
    here = np.arange(50) % 10 != 3
    left = replace(
        album,
        person=album.person[here],
        sha256=tuple(np.array(album.sha256)[here]),
        embeddings=album.embeddings[here],
        overall=album.overall[here],
    )
    old, new = model(OLD, photos_of(album)), model(NEW, photos_of(left))
    assert compare_on(left, old, new, [Head()]) == compare_on(left, model(OLD, photos_of(left)), new, [Head()])


def test_a_photo_filed_under_somebody_else_now_was_not_the_champions() -> None:
    album = album_of(np.repeat(np.arange(5), 10))
    person = album.person.copy()
    person[0] = 1
    moved = replace(album, person=person)
    new = model(NEW, photos_of(moved))
    without = photos_of(moved, np.arange(50) != 0)
    assert compare_on(moved, model(OLD, photos_of(album)), new, [Head()]) == compare_on(
        moved, model(OLD, without), new, [Head()]
    )


# What is refused


def test_more_photos_are_welcome() -> None:
    album = album_of(np.repeat(np.arange(12), 10), spread=0.04)
    found = compared(album, old=np.arange(120) % 10 < 5)
    assert found.decision.promote
    assert found.decision.overall.of == 120 and len(found.decision.earlier) == 12
    assert sum(flip.won for flip in found.flips) > sum(not flip.won for flip in found.flips)


def swapped() -> tuple[TrainingSet, Bools]:
    """P0 and P1 are filed under each other's name since the champion, which has 8 of 20 photos of each."""
    person = np.repeat(np.arange(8), 20)
    album, old = album_of(person), (np.arange(160) % 20 < 8) | (person > 1)
    return replace(album, person=np.where(old, person, 1 - person)), old


def test_people_under_each_others_name_are_refused() -> None:
    album, old = swapped()
    found = compared(album, old)
    assert not found.decision.promote
    assert found.doubted == 24, "the champion sees that the new labels are wrong"
    assert {name for name, person in found.decision.people.items() if person.worse} == {"P0", "P1"}
    lost = [flip for flip in found.flips if not flip.won]
    assert {(flip.person, flip.taken_for) for flip in lost} <= {("P0", "P1"), ("P1", "P0"), ("P0", None), ("P1", None)}
    assert {flip.sha256 for flip in lost} == set(np.array(album.sha256)[old & (album.person < 2)])


def test_a_wrong_label_among_the_new_photos_speaks_for_neither() -> None:
    album = album_of(np.repeat(np.arange(8), 12))
    old = np.arange(96) % 12 < 9
    person = album.person.copy()
    person[11] = 1
    found = compared(replace(album, person=person), old)
    assert found.doubted == 1 and found.decision.promote
    assert found.decision.overall.of == 95


# New people


@given(st.integers(0, 1000), st.integers(1, 30))
@settings(max_examples=10, deadline=None)
def test_new_people_alone_never_keep_a_challenger_out(seed: int, new: int) -> None:
    """Each person's row of prototypes depends on nobody else, so the answers stay the same to the last."""
    album = album_of(np.repeat(np.arange(10 + new), 8), seed, 0.05)
    found = compared(album, old=album.person < 10)
    assert found.decision.promote and not found.flips
    assert found.newcomers == tuple(f"P{one}" for one in range(10, 10 + new))
    assert found.recognised.of == 8 * new and found.decision.overall.of <= 80
    assert set(found.decision.people) <= set(album.people[:10])


def test_somebody_under_a_second_name_is_told() -> None:
    album = album_of(np.repeat(np.arange(6), 12))
    person = np.where(np.arange(72) >= 66, 6, album.person)  # half of P5's photos come as P6
    twice = replace(album, person=person, people=(*album.people, "P6"))
    found = compared(twice, old=person < 6)
    assert found.newcomers == ("P6",)
    assert set(found.taken_for_newcomers) == {("P5", "P6")}
    count = found.taken_for_newcomers["P5", "P6"]
    assert f"P5 is taken for P6, who is new, on {count} photos." in found.remarks


def test_two_models_without_a_person_in_common() -> None:
    album = album_of(np.repeat(np.arange(4), 6))
    found = compared(album, old=album.person < 2, new=album.person >= 2)
    assert found.decision.promote and found.decision.overall.of == 0
    assert found.newcomers == ("P2", "P3") and found.recognised.of == 12


def test_one_person_in_common_has_no_rivals() -> None:
    album = album_of(np.repeat(np.arange(3), 6))
    found = compared(album, old=album.person < 2, new=album.person > 0)
    assert found.decision.overall.of == 6 and found.decision.strangers.of == 0
    assert list(found.decision.people) == ["P1"] and found.newcomers == ("P2",)


# What cannot be compared


def test_different_encoders_are_not_comparable(three_people_catalog: Catalog) -> None:
    found = compare(three_people_catalog, model(OLD, {}, encoder="a"), model(NEW, {}, encoder="b"), [Head()])
    assert isinstance(found, Incomparable)
    assert found.reason.startswith(f"{OLD} sees with the encoder a and {NEW} with b")


@pytest.fixture
def three_people_catalog(tmp_path: Path) -> Catalog:
    Album.create(tmp_path / "album", "nobody yet")
    return Catalog.open(tmp_path / "catalog.sqlite")


@pytest.mark.parametrize("unknown", [OLD, NEW])
def test_a_head_that_is_not_known_cannot_be_made_again(unknown: str) -> None:
    album = album_of([0, 0, 1, 1])
    one, other = (
        model(version, photos_of(album), head="oracle" if version == unknown else "prototypes")
        for version in (OLD, NEW)
    )
    assert compare_on(album, one, other, [Head()]) == Incomparable(
        f"{unknown} has a head that this version of mien cannot fit: oracle."
    )


# Told


def test_it_can_be_written_as_json() -> None:
    album, old = swapped()
    found = compared(album, old).to_json()
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
    album, old = swapped()
    one, other = model(OLD, photos_of(album, old)), model(NEW, photos_of(album))
    told = difference(one, other, compare_on(album, one, other, [Head()])).to_json()
    assert Flip(**told["compared"]["flips"][0]).person in ("P0", "P1")
    assert difference(one, other, Incomparable("Because.")).to_json()["incomparable"] == "Because."
