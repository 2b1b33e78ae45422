from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from mien import Album
from mien.errors import DamagedModelError, EmptyAlbumError, MienError, NoFaceError

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
    assert first.trained is not None and first.trained.version == first.version
    again = three_people.open().train()
    assert (again.version, again.trained, again.aligned.computed) == (first.version, None, 0)
    assert versions(three_people) == [first.version]
    assert first.to_json()["trained"]["photos"] == 9 and again.to_json()["trained"] is None


@pytest.mark.parametrize(
    "setting", [{"fpir": 0.05}, {"precision": "int8"}, {"views": 2}], ids=lambda setting: next(iter(setting))
)
def test_another_setting_makes_a_new_version(three_people: Painted, setting: dict[str, object]) -> None:
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
    assert (learned.trained.people, learned.trained.self_top1, learned.trained.threshold.estimated) == (1, None, None)
    (ada,) = painted.open().classify([painted.paint(painted.folder / "party.png", "Ada", "Cy")])
    assert [face.prediction.person for face in ada.faces] == ["Ada", None]


def test_one_photo_a_person_works(painted: Painted) -> None:
    for person in ("Ada", "Bo", "Cy"):
        painted.photo(f"{person}/only.png")
    learned = painted.open().train()
    assert learned.trained is not None and (learned.trained.people, learned.trained.self_top1) == (3, None)
    (answer,) = painted.open().classify([painted.paint(painted.folder / "party.png", "Cy", "Ada", "Stranger")])
    assert [face.prediction.person for face in answer.faces] == ["Cy", "Ada", None]


def test_a_person_in_whose_photos_nobody_is_seen_is_not_in_the_model(three_people: Painted) -> None:
    (three_people.training / "Dee").mkdir()
    Image.new("RGB", (200, 100)).save(three_people.training / "Dee/sky.png")
    learned = three_people.open().train()
    assert learned.trained is not None and learned.trained.people == 3
    assert learned.aligned.faceless == ("Dee/sky.png",)


def test_a_photo_that_contradicts_the_others_is_left_out_and_counted(three_people: Painted) -> None:
    for number in (4, 5):
        three_people.photo(f"Ada/ada-{number}.png")
    three_people.photo("Ada/wrong.png", "Bo")
    learned = three_people.open().train()
    assert learned.trained is not None
    assert (learned.trained.photos, learned.trained.left_out) == (12, 1)
    assert learned.trained.self_top1 == pytest.approx(11 / 12)


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
    three_people.training.mkdir()
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
    assert second.trained is not None and second.version != first.version
    (answer,) = three_people.open().classify([photo])
    assert answer.model == second.version
