"""enrol: one person learned at once, nobody else touched, and `train` still due."""

from __future__ import annotations

import json
import shutil
import sqlite3
import zlib
from contextlib import closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from mien import Album, wiring
from mien.errors import DamagedModelError, EncoderError, EncoderMismatchError, ModelError, NoFaceError
from mien.learning.head import FittedHead, weights
from mien.learning.openset import Calibration, choose_threshold, default_threshold
from mien.records.corrections import Confirmed
from mien.records.faces import TrainingSet
from mien.registry import versions
from mien.registry.card import EncoderCard, HeadCard
from mien.registry.folder import Draft, Model, load_fitted, load_model
from mien.registry.graph import head_graph, head_of_graph
from mien.seeing.eyes import Eyes
from mien.stages.enrol import enrol
from mien.testing import COSINES, FakeDetector, FakeEncoder, fake_eyes
from mien.text.findings import StaleKind
from mien.types import EncoderChoice, Face, Finding, Floats, Pixels
from mien.wiring import HEADS

if TYPE_CHECKING:
    from conftest import Painted
    from mien.album import Added
    from mien.open_album import OpenAlbum

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
ENCODER = EncoderCard(id="encoder", precision="fp32", weights_sha256="ab" * 32, views=4)
PEOPLE = ("Ann", "Eve", "José", "李小龙")
PHOTOS = 60
"""Of each: enough for every head to be what it is."""
OLD = "nearest"
"""A head of earlier versions of mien, with exemplars."""
KINDS = [*(option.name for option in HEADS), OLD]


def seed(name: str) -> int:
    return zlib.crc32(name.encode())


def faces(person: int, photos: int = PHOTOS) -> Floats:
    """(photos, 128) unit embeddings of somebody."""
    middle = np.random.default_rng(person).normal(size=128)
    found = middle + 0.5 * np.random.default_rng(1000 + person).normal(size=(photos, 128))
    return np.asarray(found / np.linalg.norm(found, axis=1, keepdims=True), np.float32)


def training(*photos: tuple[str, int]) -> TrainingSet:
    """The faces of these people, sorted, with so many photos each; a name always has the same face."""
    rows = [faces(seed(name), number) for name, number in photos]
    count = [number for _, number in photos]
    person = np.repeat(np.arange(len(photos)), count)
    return TrainingSet(
        people=tuple(name for name, _ in photos),
        person=person,
        sha256=tuple(f"{owner:08x}{number:056x}" for owner, some in enumerate(count) for number in range(some)),
        embeddings=np.concatenate(rows),
        overall=np.linspace(0.01, 1, len(person), dtype=np.float32),
    )


@dataclass(frozen=True)
class OnePerson:
    """The faces of a catalog that will tell of one person and of nobody else."""

    person: str
    photos: TrainingSet

    def training_set(self, encoder: str, person: str) -> TrainingSet:
        assert (encoder, person) == (ENCODER.id, self.person)
        return self.photos


def opened(models: Path, person: str, photos: int) -> OpenAlbum:
    """An album with so many photos of a person, as far as `enrol` may ask it."""
    known = SimpleNamespace(faces=OnePerson(person, training((person, photos))))
    place, tools = SimpleNamespace(models=models), wiring.tools()
    ledger = SimpleNamespace(corrections=SimpleNamespace(confirmed=lambda: Confirmed(frozenset(), frozenset())))
    asked = SimpleNamespace(
        catalog=known, ledger=ledger, layout=place, tools=tools, eyes=fake_eyes, cosines=COSINES, clock=lambda: NOON
    )
    return cast("OpenAlbum", asked)


def fitted(name: str, of: TrainingSet) -> FittedHead:
    option = next(option for option in HEADS if name in (option.name, *option.formerly))
    head = option.fit_for(COSINES)(of.embeddings, of.person, len(of.people), weights(of.overall))
    return replace(head, exemplars=of.embeddings[::7], owner=of.person[::7], share=0.6) if name == OLD else head


def write(models: Path, name: str, of: TrainingSet) -> Model:
    photos = {who: [of.sha256[row] for row in np.flatnonzero(of.person == n)] for n, who in enumerate(of.people)}
    draft = Draft(
        people=of.people,
        head=fitted(name, of),
        threshold=choose_threshold([0.91, 0.92, 0.93], [0, 1, 2], 3, 0.01, COSINES),
        calibration=Calibration(250.0, 0.004),
        encoder=ENCODER,
        chosen=HeadCard(name=name, tried={name: 0.25}),
        photos=photos,
        counts={"photos": len(of.sha256), "left_out": 1},
        metrics={"top1": 0.5},
        created=NOON,
    )
    return load_model(models / versions.write(models, draft))


def enrolled(models: Path, model: Model, person: str, photos: int) -> tuple[Model, FittedHead]:
    found = enrol(opened(models, person, photos), model, person)
    assert found.photos == photos and found.version != model.version
    new = load_model(models / found.version)
    return new, load_fitted(models / found.version, new)


def rows(head: FittedHead, people: tuple[str, ...], without: str) -> list[tuple[str, bytes, bytes]]:
    """The rows of everybody else."""
    return [
        (name, head.vectors[row].tobytes(), head.exemplars[head.owner == row].tobytes())
        for row, name in enumerate(people)
        if name != without
    ]


def parts(head: FittedHead) -> tuple[float, bytes | None]:
    """What is nobody's own."""
    return head.share, None if head.transform is None else head.transform.tobytes()


@pytest.mark.parametrize("name", KINDS)
@pytest.mark.parametrize(("person", "photos"), [("Abe", 3), ("Fay", PHOTOS), ("王", 1), ("José", PHOTOS + 1)])
def test_nobody_else_is_touched(tmp_path: Path, name: str, person: str, photos: int) -> None:
    before = write(tmp_path, name, training(*((one, PHOTOS) for one in PEOPLE)))
    old = load_fitted(tmp_path / before.version, before)
    after, new = enrolled(tmp_path, before, person, photos)
    assert after.people == tuple(sorted({*PEOPLE, person}))
    assert rows(new, after.people, person) == rows(old, before.people, person)
    assert parts(new) == parts(old)
    assert (after.threshold, after.calibration) == (before.threshold, before.calibration)
    assert after.card.head == before.card.head
    assert after.head.scores(faces(seed(person), 1)).argmax() == after.people.index(person)
    assert np.abs(after.head.scores(faces(5)) - new.scores(faces(5))).max() < 1e-6


@pytest.mark.parametrize("person", ["Abe", "José"])
def test_a_person_is_enrolled_as_training_would(tmp_path: Path, person: str) -> None:
    before = write(tmp_path, "prototypes", training(*((one, PHOTOS) for one in PEOPLE)))
    after, new = enrolled(tmp_path, before, person, 40)
    row = after.people.index(person)
    alone = fitted("prototypes", training((person, 40)))
    assert np.array_equal(new.vectors[row], alone.vectors[0])


@pytest.mark.parametrize("person", ["Abe", "José"])
def test_beside_exemplars_of_others_ones_score_is_the_cosine_to_ones_mean(tmp_path: Path, person: str) -> None:
    """In a model of an earlier version, whose scores are partly those of single faces."""
    before = write(tmp_path, OLD, training(*((one, PHOTOS) for one in PEOPLE)))
    after, new = enrolled(tmp_path, before, person, 40)
    row, probes = after.people.index(person), faces(seed(person), PHOTOS)
    np.testing.assert_allclose(new.scores(probes)[:, row], probes @ new.vectors[row], atol=1e-6)
    assert (after.head.scores(probes).argmax(axis=1) == row).all()


def test_the_card_says_what_was_enrolled_and_keeps_what_was_measured(tmp_path: Path) -> None:
    first = write(tmp_path, "prototypes", training(*((one, PHOTOS) for one in PEOPLE)))
    assert first.enrolled_since_fit == 0
    second, _ = enrolled(tmp_path, first, "Abe", 3)
    third, _ = enrolled(tmp_path, second, "Abe", 5)
    assert (second.enrolled_since_fit, third.enrolled_since_fit) == (3, 5)
    assert third.card.counts == {**first.card.counts, "enrolled_since_fit": 5}
    assert third.card.metrics == first.card.metrics and third.card.encoder == ENCODER
    assert len(third.card.photos["Abe"]) == 5 and len(third.card.photos["Eve"]) == PHOTOS


@pytest.mark.parametrize("share", [0.5, 0.6, 0.35, 1 / 3])
def test_a_head_read_back_is_written_the_same(share: float) -> None:
    unit = faces(1, 9)
    owner = np.array([0, 0, 2, 2, 2, 3])
    for transform in (None, np.eye(128, dtype=np.float32)):
        head = FittedHead(unit[:4], transform, unit[3:], owner, share, np.ones(6, np.bool_))
        again = head_of_graph(head_graph(head))
        assert head_graph(again) == head_graph(head)
        assert np.array_equal(again.scores(unit), head.scores(unit))


@pytest.mark.parametrize(
    "spoilt",
    [
        {"prototypes": np.zeros((128, 4), np.float64)},
        {"prototypes": np.zeros((64, 4), np.float32)},
        {"prototypes": np.full((128, 4), np.nan, np.float32)},
        {"prototypes": np.zeros(128, np.float32)},
        {"owner": np.array([[1, 0, 2]])},
        {"owner": np.array([[0, 1, 4]])},
        {"owner": np.array([[-1, 0, 1]])},
        {"owner": np.array([0, 1, 2])},
        {"share": np.array([1.5], np.float32)},
        {"exemplars": np.zeros((128, 2), np.float32)},
        {"transform": np.zeros((128, 64), np.float32)},
    ],
    ids=lambda spoilt: next(iter(spoilt)),
)
def test_the_network_of_another_program_is_refused(spoilt: dict[str, Any]) -> None:
    unit = faces(1, 7)
    head = FittedHead(unit[:4], np.eye(128, dtype=np.float32), unit[4:], np.array([0, 1, 3]), 0.5, np.ones(3, np.bool_))
    model = onnx.load_model_from_string(head_graph(head))
    for constant in model.graph.initializer:
        if constant.name in spoilt:
            constant.CopyFrom(numpy_helper.from_array(spoilt[constant.name], constant.name))
    with pytest.raises(ValueError, match="not a head that mien wrote"):
        head_of_graph(model.SerializeToString())


def test_what_is_no_network_is_refused() -> None:
    for data in (b"", b"text"):
        with pytest.raises(ValueError, match="not a head that mien wrote"):
            head_of_graph(data)


def test_a_network_that_changed_since_it_was_loaded_is_noticed(tmp_path: Path) -> None:
    model = write(tmp_path, "prototypes", training(("Ann", 2)))
    network = tmp_path / model.version / "model.onnx"
    network.write_bytes(network.read_bytes()[:-1] + b"\0")
    with pytest.raises(DamagedModelError, match=r"model\.onnx"):
        load_fitted(tmp_path / model.version, model)


# In an album


@pytest.fixture
def trained(taught: Painted) -> Painted:
    taught.looked()
    return taught


def names(painted: Painted, *people: str) -> list[str | None]:
    """Who is answered for a photo of these people."""
    (answer,) = painted.open().classify(painted.paint(painted.folder / "party.png", *people))
    painted.looked()
    return [face.prediction.person for face in answer.faces]


def card(painted: Painted) -> dict[str, Any]:
    """That of the current model."""
    models = painted.folder / "models"
    file = models / (models / "current").read_text().strip() / "card.json"
    return cast("dict[str, Any]", json.loads(file.read_text("utf-8")))


def test_somebody_new_is_known_at_once(trained: Painted, tmp_path: Path) -> None:
    assert names(trained, "Ada", "Stranger") == ["Ada", None]
    trained.photo("Bo/another.png")
    added = trained.open().add("Bea", trained.paint(tmp_path / "1.png", "Stranger"), enrol=True)
    assert added.enrolled is not None and (added.enrolled.photos, added.enrolled.changed) == (1, 1)
    assert trained.looked() == ["1.png"], "what is new of others waits"
    assert names(trained, "Ada", "Stranger", "Bo") == ["Ada", "Bea", "Bo"]
    assert card(trained)["run"]["version"] == added.enrolled.version


def test_nobody_elses_faces_are_read(trained: Painted, tmp_path: Path) -> None:
    with closing(sqlite3.connect(trained.folder / ".mien/catalog.sqlite")) as connection, connection:
        connection.execute("UPDATE faces SET embedding = zeroblob(512)")
    trained.open().add("Bea", trained.paint(tmp_path / "1.png", "Stranger"), enrol=True)
    assert names(trained, "Ada", "Stranger", "Bo", "Cy") == ["Ada", "Bea", "Bo", "Cy"]


def test_the_persons_own_face_is_chosen_by_all_their_photos(trained: Painted, tmp_path: Path) -> None:
    trained.open().add("Ada", trained.paint(tmp_path / "1.png", "Bo", "Ada", sides=(90, 60)), enrol=True)
    with trained.reading() as opened:
        ada = opened.catalog.faces.training_set(card(trained)["encoder"]["id"], "Ada").embeddings
    assert len(ada) == 4 and (ada @ ada[0]).min() > 0.99
    assert names(trained, "Ada", "Bo") == ["Ada", "Bo"]


def test_training_is_due_and_makes_what_it_would_have_made(trained: Painted, tmp_path: Path) -> None:
    photo = trained.paint(tmp_path / "1.png", "Ada")
    other = replace(trained, folder=tmp_path / "other")
    shutil.copytree(trained.folder, other.folder)
    trained.open().add("Ada", photo, enrol=True)
    (due,) = trained.open().status().stale
    assert due == Finding(StaleKind.ENROLLED, figures={"photos": 1})
    assert due.why == "1 photo enrolled or removed since the last training, by which the model was measured"
    learned = trained.open().train()
    assert learned.trained is not None and learned.aligned.computed == 0
    assert trained.open().status().stale == ()
    other.open().add("Ada", photo)
    other.open().train()
    cards = [card(one) for one in (trained, other)]
    for one in cards:
        del one["run"]
    assert cards[0] == cards[1], "with the hashes of the other files"


def test_nothing_new_makes_no_version(trained: Painted) -> None:
    before = card(trained)["run"]["version"]
    added = trained.open().add("Ada", trained.training / "Ada", enrol=True)
    assert (added.added, added.known) == ((), 3)
    assert added.enrolled is not None and (added.enrolled.version, added.enrolled.changed) == (before, 0)
    assert trained.open().train().trained is None, "and so nothing is due"


def test_photos_that_went_are_unlearned_with_what_comes(trained: Painted, tmp_path: Path) -> None:
    (trained.training / "Ada/ada-1.png").unlink()
    added = trained.open().add("Ada", trained.paint(tmp_path / "1.png", "Ada"), enrol=True)
    assert added.enrolled is not None and (added.enrolled.photos, added.enrolled.changed) == (3, 2)


def test_the_report_is_that_of_the_version_that_was_measured(trained: Painted, tmp_path: Path) -> None:
    measured = trained.open().report()
    trained.photo("Bo/another.png", "Bo")
    trained.open().train()
    shutil.rmtree(trained.folder / "models" / str(trained.open().version))
    (trained.folder / "models/current").write_text(f"{measured.parent.name}\n")
    trained.open().add("Bea", trained.paint(tmp_path / "1.png", "Stranger"), enrol=True)
    assert trained.open().version != measured.parent.name
    assert trained.open().report() == measured


# Where there is no model yet


def enrolled_only(painted: Painted, tmp_path: Path, *people: str) -> Added:
    """Each of these people enrolled by one photo; what the last one came to."""
    for person in people:
        added = painted.open().add(person, painted.paint(tmp_path / f"in/{person}.png", person), enrol=True)
    return added


def test_one_photo_of_one_person_is_enough_for_the_first_model(painted: Painted, tmp_path: Path) -> None:
    added = enrolled_only(painted, tmp_path, "Ada")
    assert added.enrolled is not None and not added.enrolled.trained
    assert (added.enrolled.photos, added.enrolled.changed) == (1, 1)
    assert names(painted, "Ada", "Stranger") == ["Ada", None]
    made = card(painted)
    assert (made["metrics"], made["head"]) == ({}, {"name": "prototypes", "tried": {}})
    model = load_model(painted.folder / "models" / added.enrolled.version)
    assert not model.is_trained and model.enrolled_since_fit == 1
    assert model.threshold.value == default_threshold(1, 1, 0.01, COSINES) and model.threshold.weight == 0
    assert model.calibration == Calibration(COSINES.slope, COSINES.temperature)


def test_the_first_model_knows_everybody_whose_face_is_chosen(three_people: Painted, tmp_path: Path) -> None:
    three_people.open().align()
    enrolled_only(three_people, tmp_path, "Stranger")
    assert names(three_people, "Ada", "Cy", "Stranger") == ["Ada", "Cy", "Stranger"]


def test_a_threshold_that_was_measured_beforehand_follows_the_people(painted: Painted, tmp_path: Path) -> None:
    """That of one person would name far more strangers than asked for among several."""
    painted.open().add("Ada", painted.paint(tmp_path / "in/1.png", "Ada"))
    painted.open().train()  # one person can play no stranger
    for number, person in enumerate(("Bo", "Cy", "Freya"), 2):
        added = enrolled_only(painted, tmp_path, person)
        assert added.enrolled is not None and added.enrolled.trained
        model = load_model(painted.folder / "models" / added.enrolled.version)
        assert model.threshold.value == default_threshold(number, 1, 0.01, COSINES)
    assert painted.open().report().parent.name < str(painted.open().version), "the page is that of the training"
    painted.open().remove("Cy")
    model = load_model(painted.folder / "models" / str(painted.open().version))
    assert model.threshold.value == default_threshold(3, 1, 0.01, COSINES)


def test_what_was_never_measured_is_called_so_until_it_is_trained(painted: Painted, tmp_path: Path) -> None:
    enrolled_only(painted, tmp_path, "Ada", "Bo")
    status = painted.open().status()
    assert status.model is not None and not status.model.trained
    assert status.stale == (Finding(StaleKind.NEVER_TRAINED, figures={"photos": 2}),)
    with pytest.raises(ModelError, match=r"by enrolling alone.*train"):
        painted.open().report()
    assert painted.open().train().trained is not None
    status = painted.open().status()
    assert status.model is not None and status.model.trained and status.stale == ()
    assert painted.open().report().is_file()


def test_whoever_was_the_only_one_is_known_by_no_model_once_removed(painted: Painted, tmp_path: Path) -> None:
    enrolled_only(painted, tmp_path, "Ada")
    assert painted.open().remove("Ada").version is None
    with pytest.raises(ModelError, match="no model yet"):
        painted.open().known_people()
    with pytest.raises(ModelError, match="removed"):
        painted.open().promote(painted.open().models()[0].version)
    enrolled_only(painted, tmp_path, "Bo")
    assert painted.open().known_people() == ("Bo",)
    assert painted.open().add("Ada", tmp_path / "in/Ada.png", enrol=True).back is not None
    assert painted.open().known_people() == ("Ada", "Bo")


def test_the_last_photo_of_the_only_person_takes_the_model_along(painted: Painted, tmp_path: Path) -> None:
    enrolled_only(painted, tmp_path, "Ada")
    painted.open().remove("Ada", painted.training / "Ada/Ada.png", delete=True)
    assert painted.open().version is None
    enrolled_only(painted, tmp_path, "Ada")
    assert painted.open().known_people() == ("Ada",)


def test_it_is_corrected_as_any_other(painted: Painted, tmp_path: Path) -> None:
    enrolled_only(painted, tmp_path, "Ada", "Bo")
    painted.open().rename("Ada", "Adele")
    assert painted.open().known_people() == ("Adele", "Bo")
    painted.open().join("Bo", "Adele")
    assert painted.open().known_people() == ("Adele",)
    painted.open().undo()
    assert painted.open().known_people() == ("Adele", "Bo")
    painted.open().undo()
    assert painted.open().known_people() == ("Ada", "Bo")
    painted.open().move(painted.training / "Ada/Ada.png", "Bo")
    assert painted.open().known_people() == ("Bo",)
    assert painted.open().undo().version is not None
    assert names(painted, "Ada", "Bo") == ["Ada", "Bo"]
    assert not load_model(painted.folder / "models" / str(painted.open().version)).is_trained


def test_nothing_is_copied_where_nothing_is_known_of_the_encoders_cosines(painted: Painted, tmp_path: Path) -> None:
    def bare(choice: EncoderChoice) -> Eyes:
        return replace(painted.eyes(choice), encoder=FakeEncoder("bare", cosines=None))

    with pytest.raises(EncoderError, match=r"at least 5 people.*without --enrol"):
        Album(painted.folder, eyes=bare).add("Ada", painted.paint(tmp_path / "1.png", "Ada"), enrol=True)
    assert not (painted.training / "Ada").exists() and not (painted.folder / "models").exists()


def test_eyes_that_are_given_ready_are_not_opened_again(trained: Painted, tmp_path: Path) -> None:
    @dataclass(frozen=True)
    class Ready(Eyes):
        def open(self) -> Eyes:
            raise AssertionError("a warm server pays for it with each face")

    def ready(choice: EncoderChoice) -> Eyes:
        eyes = trained.eyes(choice)
        return Ready(eyes.detector, eyes.landmarker, eyes.encoder, eyes.views)

    added = Album(trained.folder, eyes=ready).add("Bo", trained.paint(tmp_path / "1.png", "Bo"), enrol=True)
    assert added.enrolled is not None and added.enrolled.changed == 1


def test_another_encoder_is_refused_before_anything_is_copied(trained: Painted, tmp_path: Path) -> None:
    with pytest.raises(EncoderMismatchError):
        trained.open(views=2).add("Bea", trained.paint(tmp_path / "1.png", "Stranger"), enrol=True)
    assert not (trained.training / "Bea").exists()


def test_a_person_without_a_face_is_refused_and_the_model_stays(trained: Painted, tmp_path: Path) -> None:
    before = card(trained)
    Image.new("RGB", (200, 100)).save(tmp_path / "sky.png")
    with pytest.raises(NoFaceError, match="Bea"):
        trained.open().add("Bea", tmp_path / "sky.png", enrol=True)
    assert card(trained) == before


def test_the_traceback_of_a_tool_that_fails_is_kept_in_the_album(trained: Painted, tmp_path: Path) -> None:
    class Afraid(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            if pixels.any():  # all but what the eyes are opened with
                raise ValueError("a photo")
            return super().detect(pixels)

    afraid = Album(trained.folder, eyes=lambda *settings: replace(trained.eyes(*settings), detector=Afraid()))
    added = afraid.add("Bo", trained.paint(tmp_path / "1.png", "Bo"), enrol=True)
    (failure,) = added.unreadable
    (kept,) = (trained.folder / ".mien/tracebacks").iterdir()
    assert failure.kind == "tool" and str(kept) in failure.message


def test_a_photo_that_cannot_be_decoded_is_told_and_the_others_are_enrolled(trained: Painted, tmp_path: Path) -> None:
    trained.paint(tmp_path / "in/1.png", "Stranger")
    (tmp_path / "in/2.jpg").write_bytes(b"text")
    added = trained.open().add("Bea", tmp_path / "in", enrol=True)
    (failure,) = added.unreadable
    assert failure.kind == "not-a-picture" and len(added.added) == 2 and not added.failures
    assert added.enrolled is not None and added.enrolled.photos == 1
