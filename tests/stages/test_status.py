from __future__ import annotations

import json
import shutil
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from mien.errors import AlbumError, EmptyAlbumError, StorageError
from mien.protocols import Silent
from mien.text.findings import StaleKind
from mien.types import Finding

if TYPE_CHECKING:
    from conftest import Painted
    from mien.stages.status import Status


@pytest.fixture
def trained(taught: Painted) -> Painted:
    return taught


def stale(album: Painted, **settings: object) -> list[str]:
    """What is stale, in words."""
    return [finding.why for finding in album.open(**settings).status().stale]


def test_an_empty_album_says_where_to_put_photos(painted: Painted) -> None:
    found = painted.open().status()
    assert (found.photos, found.people, found.model, found.stale) == (0, (), None, ())
    assert not (painted.folder / ".mien").exists(), "it changes nothing"


def test_a_trained_album_is_up_to_date(trained: Painted) -> None:
    found = trained.open().status()
    assert [(p.name, p.photos, p.faces) for p in found.people] == [("Ada", 3, 3), ("Bo", 3, 3), ("Cy", 3, 3)]
    assert found.model is not None
    assert (found.model.people, found.model.photos, found.model.fpir) == (3, 9, 0.01)
    assert (found.basis, found.stale, found.faceless, found.unreadable) == ("painted squares", (), 0, 0)
    told = json.loads(json.dumps(found.to_json()))
    assert told["people"][0] == {"name": "Ada", "photos": 3, "faces": 3}
    assert told["folder"] == str(trained.folder) and (told["stale"], told["damaged"]) == ([], None)


def test_what_waits_to_be_merged_is_counted_and_not_stale(trained: Painted) -> None:
    assert trained.open().status().waiting == 0
    trained.paint(trained.folder / "2026-11-23-training-images/Ada/new.png", "Ada")
    found = trained.open().status()
    assert (found.waiting, found.photos, found.stale) == (1, 9, ())


def test_photos_without_a_face_and_unreadable_ones_are_counted_and_not_stale(trained: Painted) -> None:
    Image.new("RGB", (200, 100)).save(trained.training / "Ada/sky.png")
    (trained.training / "Ada/broken.png").write_bytes(b"")
    trained.open().train()
    found = trained.open().status()
    assert (found.faceless, found.unreadable, found.stale) == (1, 1, ())
    assert found.to_json()["left_out"] == {"unreadable": 1, "no face": 1}
    assert (found.people[0].photos, found.people[0].faces) == (5, 3)


def test_what_is_left_out_is_counted_by_reason(trained: Painted) -> None:
    for name in ("Ada/film.mp4", "Ada/note.txt", "Bo/shoot.psd", "loose.png"):
        (trained.training / name).write_bytes(b"x")
    (trained.training / "Empty").mkdir()
    found = trained.open().status()
    assert [one.why for one in found.left_out] == ["2 of a kind that mien does not read", "1 in no person's folder"]
    assert (found.photos, len(found.people), found.empty, found.stale) == (9, 4, 1, ())


def test_photos_that_are_new_changed_or_gone(trained: Painted) -> None:
    trained.photo("Ada/ada-4.png")
    trained.photo("Dee/dee-1.png", "Stranger")
    trained.photo("Bo/bo-1.png", "Bo", sides=(100,))
    (trained.training / "Cy/cy-1.png").unlink()
    expected = [
        "2 photos new in training-images, not seen yet",
        "1 photo changed since it was seen",
        "1 photo gone from training-images; the next run forgets it",
    ]
    assert stale(trained) == expected
    assert stale(trained) == expected, "looking does not change it"
    trained.open().align()
    assert stale(trained) == ["3 photos not in the model yet", "2 photos in the model and no longer in the album"]
    trained.open().train()
    assert stale(trained) == []


def test_photos_of_which_no_face_counts_any_more_are_still_in_the_album(trained: Painted) -> None:
    trained.photo("Ada/group.png", "Bo", "Ada")
    trained.open().train()
    trained.open(skip_multi=True).align()
    assert stale(trained, skip_multi=True) == ["1 photo in the model in which no face counts with the present settings"]


def test_an_album_that_was_never_looked_at(three_people: Painted) -> None:
    assert stale(three_people) == ["9 photos new in training-images, not seen yet"]


def test_photos_that_were_added_and_not_looked_at(trained: Painted) -> None:
    trained.open().add("Ada", [trained.paint(trained.folder / "new.png", "Ada")])
    assert stale(trained) == ["1 photo not seen yet with the present settings"]


def test_faces_that_were_seen_and_not_chosen(trained: Painted) -> None:
    class Full(Silent):
        """The end of a run that has seen everything."""

        def finish(self) -> None:
            raise StorageError("The disk", "is full", "Free some space.")

    trained.photo("Ada/ada-4.png")
    with pytest.raises(StorageError):
        trained.open(progress=Full()).align()
    assert stale(trained) == ["1 person whose faces are to be chosen again"]
    assert stale(trained, skip_multi=True) == ["3 people whose faces are to be chosen again"]


def test_settings_that_the_model_was_not_made_with(trained: Painted) -> None:
    assert stale(trained, fpir=0.05) == ["the model's FPIR is 0.01, the setting 0.05"]
    other = (
        "the model was made with another encoder, other settings of precision or views, or by another version of mien"
    )
    for setting in ({"views": 2}, {"precision": "int8"}):
        assert stale(trained, **setting) == ["9 photos not seen yet with the present settings", other]


@pytest.mark.parametrize("name", ["current", "model.onnx"])
def test_a_damaged_model(trained: Painted, name: str) -> None:
    version = model_version(trained.open().status())
    file = trained.folder / "models" / ("current" if name == "current" else f"{version}/{name}")
    file.write_bytes(b"damaged")
    found = trained.open().status()
    assert (found.model, found.stale) == (None, ())
    assert found.damaged is not None
    assert found.damaged.about == str(file) and found.damaged.remedy.endswith("`mien train`.")
    assert json.loads(json.dumps(found.to_json()))["damaged"] == str(found.damaged)


def model_version(status: Status) -> str:
    assert status.model is not None
    return status.model.version


def test_an_album_without_its_catalog_only_has_to_look_again(trained: Painted) -> None:
    version = model_version(trained.open().status())
    shutil.rmtree(trained.folder / ".mien")
    found = trained.open().status()
    assert model_version(found) == version
    assert found.stale == (Finding(StaleKind.NEW, figures={"photos": 9}),)
    learned = trained.open().train()
    assert (learned.version, learned.trained) == (version, None), "the photos are the same, and so is the model"


def test_an_album_that_lost_all_its_photos_says_so_of_its_model(trained: Painted) -> None:
    shutil.rmtree(trained.training)
    trained.training.mkdir()
    with pytest.raises(AlbumError, match=r"training-images is empty, and was not\. Connect its drive; if it is to be"):
        trained.open().align()
    found = trained.open().status()
    assert (found.photos, found.stale, [one.path for one in found.closed]) == (9, (), ["training-images"])
    (trained.training / "Dee").mkdir()
    with pytest.raises(EmptyAlbumError):
        trained.open().align()
    assert stale(trained) == ["9 photos in the model and no longer in the album"]
