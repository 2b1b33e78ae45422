from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from mien import Album
from mien.errors import DamagedModelError, EmptyAlbumError, MienError, ModelError, NoFaceError, UsageError
from mien.learning.crossval import log_loss
from mien.learning.head import PLAIN, FittedHead, HeadOption, Ints, weights
from mien.records.faces import TrainingSet
from mien.registry.folder import load_model
from mien.stages.train import choose_head, costs_more
from mien.testing import COSINES
from mien.types import Floats
from mien.wiring import HEADS

if TYPE_CHECKING:
    from conftest import Painted


def files(folder: Path) -> dict[str, object]:
    """The current model's files, with the card less its `run`."""
    model = folder / "models" / (folder / "models/current").read_text().strip()
    card: dict[str, Any] = json.loads((model / "card.json").read_text("utf-8"))
    assert set(card.pop("run")) == {"version", "created", "seal"}
    return {"card": card} | {
        name: (model / name).read_bytes() for name in ("model.onnx", "labels.txt", "thresholds.json")
    }


@pytest.fixture
def tried_anyway(monkeypatch: pytest.MonkeyPatch) -> None:
    """Every head can be had for the smallest album."""
    easy = tuple(replace(option, fewest_people=1, fewest_spare=0) for option in HEADS)
    monkeypatch.setattr("mien.wiring.HEADS", easy)


def versions(album: Painted) -> list[str]:
    return sorted(entry.name for entry in (album.folder / "models").iterdir() if entry.is_dir())


def test_the_same_album_gives_the_same_files_in_whatever_order_it_came_to_be(
    three_people: Painted, tmp_path: Path
) -> None:
    three_people.photo("Ada/both.png", "Bo", "Ada")
    other = replace(three_people, folder=tmp_path / "other")
    Album.create(other.folder, "painted squares")
    photos = sorted(three_people.training.rglob("*.png"), reverse=True)
    for part in (photos[3:], photos[:3]):
        for photo in part:
            other.open().add(photo.parent.name, [photo])
        other.open(workers=3, views=1).train()
    three_people.open(workers=1).train()
    assert files(other.folder) == files(three_people.folder)


def test_the_same_photos_give_the_same_files_with_the_real_tools(trained_album: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    Album.create(other, "rendered people, who do not exist")
    for person in sorted((trained_album / "training-images").iterdir(), reverse=True):
        Album(other).add(person.name, [person])
    Album(other, views=1, workers=3).train()
    assert files(other) == files(trained_album)


def test_an_unchanged_album_makes_no_new_version(three_people: Painted) -> None:
    first = three_people.open().train()
    assert first.trained is not None and first.to_json()["trained"]["version"] == first.version
    again = three_people.open().train()
    assert (again.version, again.trained, again.aligned.computed) == (first.version, None, 0)
    assert versions(three_people) == [first.version]
    assert first.to_json()["trained"]["photos"] == 9 and again.to_json()["trained"] is None


@pytest.mark.parametrize(
    "setting",
    [{"fpir": 0.05}, {"precision": "int8"}, {"views": 2}, {"head": "prototypes"}],
    ids=lambda setting: next(iter(setting)),
)
def test_another_setting_makes_a_new_version(
    three_people: Painted, tried_anyway: None, setting: dict[str, object]
) -> None:
    first = three_people.open().train()
    changed = three_people.open(**setting).train()
    assert changed.trained is not None and changed.version != first.version
    assert three_people.open(**setting).train().trained is None, "once is enough"


def test_photos_that_come_and_go_make_new_versions(three_people: Painted) -> None:
    three_people.open().train()
    (three_people.training / "Cy").rename(three_people.folder / "elsewhere")
    fewer = three_people.open().train()
    assert fewer.trained is not None
    assert (fewer.trained.people, fewer.trained.photos) == (2, 6)
    three_people.photo("Ada/ada-4.png")
    more = three_people.open().train()
    assert more.trained is not None and more.trained.photos == 7
    (three_people.folder / "elsewhere").rename(three_people.training / "Cy")
    assert three_people.open().train().trained is not None
    assert len(versions(three_people)) == 4


def test_one_person_alone_works(painted: Painted) -> None:
    for number in (1, 2, 3):
        painted.photo(f"Ada/{number}.png")
    learned = painted.open().train()
    assert learned.trained is not None
    assert (learned.trained.people, learned.trained.threshold.estimated) == (1, None)
    assert learned.trained.measured.fpir.of == 0, "nobody can play the stranger"
    (ada,) = painted.open().classify([painted.paint(painted.folder / "party.png", "Ada", "Cy")])
    assert [face.prediction.person for face in ada.faces] == ["Ada", None]


def test_one_photo_a_person_works(painted: Painted) -> None:
    for person in ("Ada", "Bo", "Cy"):
        painted.photo(f"{person}/only.png")
    learned = painted.open().train()
    assert learned.trained is not None and learned.trained.people == 3
    assert (learned.trained.measured.single, learned.trained.measured.top1.of) == (3, 0)
    (answer,) = painted.open().classify([painted.paint(painted.folder / "party.png", "Cy", "Ada", "Stranger")])
    assert [face.prediction.person for face in answer.faces] == ["Cy", "Ada", None]


def test_a_person_in_whose_photos_nobody_is_seen_is_not_in_the_model(three_people: Painted) -> None:
    (three_people.training / "Dee").mkdir()
    Image.new("RGB", (200, 100)).save(three_people.training / "Dee/sky.png")
    learned = three_people.open().train()
    assert learned.trained is not None and learned.trained.people == 3
    assert learned.aligned.faceless == ("training-images/Dee/sky.png",)


def test_a_photo_that_contradicts_the_others_is_left_out_and_counted(three_people: Painted) -> None:
    for number in (4, 5):
        three_people.photo(f"Ada/ada-{number}.png")
    three_people.photo("Ada/wrong.png", "Bo")
    learned = three_people.open().train()
    assert learned.trained is not None
    assert (learned.trained.photos, learned.trained.left_out) == (12, ("Ada/wrong.png",))
    assert learned.trained.threshold.mislabelled == 0, "the figures are of the others"
    assert len(learned.trained.faces.sha256) == 11
    assert learned.trained.to_json()["left_out"] == ["Ada/wrong.png"]
    assert ("wrong name", ("Ada/wrong.png",)) in [(one.kind, one.photos) for one in learned.needs_human]
    status = three_people.open().status()
    assert status.model is not None and status.model.left_out == ("Ada/wrong.png",)
    assert not status.stale, "what does not count is known all the same"
    assert three_people.open().train().trained is None


def test_training_makes_the_page_again_that_is_missing(three_people: Painted) -> None:
    """The error of `mien report` says so."""
    first = three_people.open().train()
    page = three_people.open().report()
    assert page.parent.name == first.version
    page.unlink()
    with pytest.raises(ModelError, match=r"report\.html is missing.*train"):
        three_people.open().report()
    second = three_people.open().train()
    assert second.trained is not None and second.version != first.version
    assert three_people.open().report() == page.parent.with_name(second.version) / "report.html"
    assert not page.exists(), "nothing is added to a version afterwards"


def test_a_version_comes_with_its_page_or_not_at_all(three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    def no_page(report: object) -> str:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mien.report.build.render", no_page)
        with pytest.raises(KeyboardInterrupt):
            three_people.open().train()
    assert versions(three_people) == []
    learned = three_people.open().train()
    assert learned.trained is not None
    written = {file.name for file in (three_people.folder / "models" / learned.version).iterdir()}
    assert written == {"model.onnx", "labels.txt", "thresholds.json", "card.json", "report.html"}


def train_what_is_there(album: Painted) -> MienError:
    with pytest.raises(MienError) as caught:
        album.open().train()
    assert not (album.folder / "models/current").exists()
    return caught.value


def test_an_album_without_photos_or_without_faces_is_refused(painted: Painted) -> None:
    empty = train_what_is_there(painted)
    assert isinstance(empty, EmptyAlbumError) and str(painted.training) in empty.message
    (painted.training / "Ada").mkdir()
    assert isinstance(train_what_is_there(painted), EmptyAlbumError)
    Image.new("RGB", (200, 100)).save(painted.training / "Ada/sky.png")
    assert isinstance(train_what_is_there(painted), NoFaceError)


def test_an_album_that_lost_all_its_photos_keeps_its_model(three_people: Painted) -> None:
    first = three_people.open().train()
    shutil.rmtree(three_people.training)
    (three_people.training / "Ada").mkdir(parents=True)  # without it, a drive may be away
    with pytest.raises(EmptyAlbumError):
        three_people.open().train()
    model = three_people.open().status().model
    assert model is not None and model.version == first.version


@pytest.mark.parametrize("name", ["model.onnx", "labels.txt", "thresholds.json", "card.json", "current"])
def test_training_mends_a_damaged_model(three_people: Painted, name: str) -> None:
    """Its error says to train: that must help."""
    first = three_people.open().train()
    models = three_people.folder / "models"
    file = models / name if name == "current" else models / first.version / name
    data = bytearray(file.read_bytes())
    data[len(data) // 2] ^= 1
    file.write_bytes(data)
    photo = three_people.paint(three_people.folder / "party.png", "Ada")
    with pytest.raises(DamagedModelError, match="train"):
        three_people.open().classify([photo])
    second = three_people.open().train()
    if name == "current":  # the model itself is whole, and would come out again
        assert second.trained is None and second.version == first.version
    else:
        assert second.trained is not None and second.version != first.version
    (answer,) = three_people.open().classify([photo])
    assert answer.model == second.version


# The head


def test_what_ships_was_fitted_on_every_photo(three_people: Painted) -> None:
    """Though what is said of it was measured on heads that were not."""
    learned = three_people.open().train()
    trained = learned.trained
    assert trained is not None
    model = load_model(three_people.folder / "models" / learned.version)
    faces = trained.faces
    option = next(option for option in HEADS if option.name == trained.head == model.card.head.name)
    everything = faces.embeddings, faces.person, len(faces.people), weights(faces.overall)
    np.testing.assert_allclose(
        model.head.scores(faces.embeddings), option.fit_for(COSINES)(*everything).scores(faces.embeddings), atol=1e-5
    )


def test_what_the_card_claims_was_measured_without_the_faces_asked_about(trained_album: Path) -> None:
    version = (trained_album / "models/current").read_text().strip()
    model = load_model(trained_album / "models" / version)
    counts, metrics = model.card.counts, model.card.metrics
    assert counts["top1_of"] + counts["single"] == counts["photos"] == counts["fpir_of"]
    assert metrics["top1"] == pytest.approx(counts["top1_hits"] / counts["top1_of"], abs=1e-6)
    assert metrics["top1_low"] <= metrics["top1"] <= metrics["top1_high"]


def test_an_album_of_few_photos_is_not_normalised(three_people: Painted) -> None:
    trained = three_people.open().train().trained
    assert trained is not None and set(trained.tried) == {"prototypes"}
    with pytest.raises(UsageError, match="normalised needs 5 people"):
        three_people.open(head="normalised").train()


def test_a_head_that_is_asked_for_is_made_and_no_other_tried(three_people: Painted, tried_anyway: None) -> None:
    named = three_people.open(head="normalised").train().trained
    assert named is not None and named.head == "normalised" and set(named.tried) == {"normalised"}
    assert three_people.open(head="normalised").train().trained is None, "once is enough"
    chosen = three_people.open().train().trained
    assert chosen is not None and len(chosen.tried) == len(HEADS), "left to itself, train chooses again"
    assert three_people.open(head=chosen.head).train().trained is None, "that is what it is already"


@pytest.mark.parametrize("name", ["neural", "nearest", "softmax"])
def test_a_head_that_there_is_not_is_refused_and_those_there_are_named(three_people: Painted, name: str) -> None:
    """Heads of earlier versions among them."""
    with pytest.raises(UsageError, match=f"The head {name} is not known") as caught:
        three_people.open(head=name).train()
    assert all(option.name in caught.value.remedy for option in HEADS) and '"auto"' in caught.value.remedy
    assert not (three_people.folder / "models/current").exists()


def test_a_head_is_passed_over_that_costs_more_beyond_chance() -> None:
    """By more than two standard errors, for which the faces of a person are one witness."""
    random = np.random.default_rng(0)
    person = np.repeat(np.arange(20), 10)
    simple = random.uniform(0, 0.1, 200)
    noise = random.normal(size=20)[person] * 0.02
    assert not costs_more(simple, simple, person), "a tie"
    assert not costs_more(simple - 0.01, simple, person)
    assert not costs_more(simple + noise - noise.mean() + 0.005, simple, person), "chance"
    assert costs_more(simple + noise - noise.mean() + 0.02, simple, person)
    assert costs_more(simple + 0.001, simple, person), "little, and always"


def faces_of(people: int, photos: int) -> TrainingSet:
    random = np.random.default_rng(0)
    owner = np.repeat(np.arange(people), photos)
    centres = random.normal(size=(people, 64)) * 0.06
    points = np.eye(64)[0] + centres[owner] + random.normal(size=(len(owner), 64)) * 0.05
    unit = np.asarray(points / np.linalg.norm(points, axis=1, keepdims=True), np.float32)
    names = tuple(f"{number:015x}" for number in random.permutation(len(owner)))
    return TrainingSet(tuple(map(str, range(people))), owner, names, unit, np.ones(len(owner), np.float32))


@pytest.mark.parametrize(
    ("people", "photos", "tried"), [(19, 8, False), (19, 9, True), (4, 60, False), (5, 31, True), (1, 200, False)]
)
def test_normalisation_is_tried_from_5_people_and_150_photos_more_than_people_on(
    people: int, photos: int, tried: bool
) -> None:
    faces = faces_of(people, photos)
    found = choose_head(faces, np.ones(len(faces.person), np.float32), COSINES, HEADS, "auto")
    assert set(found.tried) == {"prototypes", *(["normalised"] if tried else [])}
    assert found.held.mated.all()


def test_the_scale_of_the_chosen_head_is_that_of_the_encoder_or_else_of_the_album() -> None:
    """Under it masked faces score as they do as plain cosines, of which the curve of strangers is."""
    faces = faces_of(20, 12)
    weight = np.ones(len(faces.person), np.float32)
    known, unknown = replace(COSINES, normalised=(0.3, 0.7)), replace(COSINES, normalised=None)
    assert choose_head(faces, weight, known, HEADS, "normalised").scale == (0.3, 0.7)
    assert choose_head(faces, weight, known, HEADS, "prototypes").scale == PLAIN
    plain = choose_head(faces, weight, unknown, HEADS, "prototypes")
    found = choose_head(faces, weight, unknown, HEADS, "normalised")
    assert plain.scale == PLAIN and found.scale != PLAIN
    moved = found.scale.offset + found.scale.spread * plain.held.best_rival
    assert moved.mean() == pytest.approx(found.held.best_rival.mean(), abs=1e-6)
    assert moved.std() == pytest.approx(found.held.best_rival.std(), rel=1e-6)


def test_a_head_that_spoils_everything_is_tried_and_not_chosen() -> None:
    def spoilt(embeddings: Floats, person: Ints, people: int, weight: Floats) -> FittedHead:
        head = HEADS[0].fit_for(COSINES)(embeddings, person, people, weight)
        return replace(head, vectors=np.roll(head.vectors, 1, axis=0))

    faces = faces_of(20, 12)
    heads = (HEADS[0], HeadOption("spoilt", lambda _: spoilt))
    found = choose_head(faces, np.ones(len(faces.person), np.float32), COSINES, heads, "auto")
    assert found.option is HEADS[0] and set(found.tried) == {"prototypes", "spoilt"} and found.scale == PLAIN
    assert found.tried["prototypes"] == round(float(log_loss(found.held, faces.person).mean()), 6)
