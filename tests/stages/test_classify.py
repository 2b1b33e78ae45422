from __future__ import annotations

import gc
import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest
from PIL import Image

import mien
from mien import Album
from mien.errors import EncoderMismatchError, ModelError, StorageError, UsageError
from mien.protocols import Silent
from mien.recogniser import PhotoLike, Recogniser
from mien.records.asked import Remembered, remembered
from mien.registry.folder import load_model
from mien.stages.classify import Asked, classify
from mien.testing import FakeDetector, fake_eyes
from mien.types import EncoderChoice, Face, Picture, Pixels

if TYPE_CHECKING:
    from conftest import Painted
    from mien.seeing.eyes import Eyes
    from mien.types import Answer


@pytest.fixture
def trained(taught: Painted) -> Painted:
    taught.looked()
    return taught


@pytest.fixture
def party(trained: Painted, tmp_path: Path) -> Path:
    """A folder of 12 photos of Ada or Bo, one of which is broken, and one in a folder of its own."""
    folder = tmp_path / "party"
    for number in range(10):
        trained.paint(folder / f"{number}.png", "Ada" if number % 2 else "Bo")
    (folder / "broken.png").write_bytes(b"")
    trained.paint(folder / "later/11.png", "Stranger")
    return folder


def names(answer: Answer) -> list[str | None]:
    return [face.prediction.person for face in answer.faces]


def shelf(album: Painted) -> Remembered:
    """What the album remembers of photos that were asked about."""
    return remembered(album.folder / ".mien/catalog-asked.sqlite")


# The stage


def test_answers_come_in_the_order_of_the_photos_and_errors_among_them(trained: Painted, tmp_path: Path) -> None:
    model = load_model(trained.folder / "models" / str(trained.open().version))
    photos = [trained.paint(tmp_path / f"{n}.png", *people) for n, people in enumerate((("Cy", "Ada"), (), ("Bo",)))]
    photos.insert(1, tmp_path / "missing.png")
    eyes = fake_eyes(1, "fake-fp32")
    model.require_encoder(eyes.encoder_id)
    asked = [Asked(str(photo), photo, Path(photo.name)) for photo in photos]
    answers = list(classify(asked, Recogniser(model, lambda _: eyes, 2), 3, Silent()))
    assert [answer.path for answer in answers] == [str(photo) for photo in photos]
    assert [names(answer) for answer in answers] == [["Cy", "Ada"], [], [], ["Bo"]]
    assert [answer.error is not None for answer in answers] == [False, True, False, False]
    assert {answer.model for answer in answers} == {model.version}
    assert answers[1].photo is None and answers[0].photo is not None and answers[0].photo.width == 240


def test_more_candidates_than_people_are_all_the_people(trained: Painted, tmp_path: Path) -> None:
    photo = trained.paint(tmp_path / "a.png", "Ada")
    for top, given in ((1, 1), (2, 2), (3, 3), (99, 3)):
        (answer,) = trained.open().classify([photo], top=top)
        candidates = answer.faces[0].prediction.candidates
        assert len(candidates) == given
        assert candidates[0].person == "Ada"
        assert [one.probability for one in candidates] == sorted((one.probability for one in candidates), reverse=True)


# Through the album


def test_folders_are_walked_and_each_photo_answered_once(trained: Painted, party: Path) -> None:
    answers = list(trained.open().classify([party, party / "3.png"]))
    assert [Path(answer.path).name for answer in answers] == [f"{n}.png" for n in range(10)] + ["broken.png", "11.png"]
    assert [names(answer) for answer in answers] == [["Bo"], ["Ada"]] * 5 + [[], [None]]
    assert [answer.error.kind for answer in answers if answer.error] == ["empty"]


def test_one_path_need_not_be_in_a_list(trained: Painted, party: Path) -> None:
    (answer,) = trained.open().classify(str(party / "1.png"))
    assert names(answer) == ["Ada"]
    assert len(list(trained.open().classify(party))) == 12


@pytest.mark.parametrize("how", ["close", "drop", "interrupt"])
def test_an_interrupted_run_goes_on_where_it_stopped(trained: Painted, party: Path, how: str) -> None:
    whole = [answer.to_json() for answer in trained.open().classify([party], forget=True)]
    trained.looked()

    if how == "interrupt":
        trained.before_look = interrupting_at("4.png")
        with pytest.raises(KeyboardInterrupt):
            list(trained.open(workers=1).classify([party]))
        trained.before_look = lambda _: None
        given = 4
    else:
        answers = trained.open(workers=1).classify([party])
        assert [next(answers).to_json() for _ in range(3)] == whole[:3]
        given = 3
        if how == "close":
            answers.close()  # type: ignore[attr-defined]
        del answers
    left = {Path(str(one["photo"])).name for one in whole} - set(trained.looked())

    assert [answer.to_json() for answer in trained.open().classify([party])] == whole
    assert trained.looked() == sorted(left) and len(left) <= 12 - given


def interrupting_at(name: str) -> Callable[[Path], None]:
    def before_look(file: Path) -> None:
        if file.name == name:
            raise KeyboardInterrupt

    return before_look


def test_a_photo_that_changed_since_the_interruption_is_looked_at_again(trained: Painted, party: Path) -> None:
    answers = trained.open().classify([party])
    assert [names(next(answers)) for _ in range(2)] == [["Bo"], ["Ada"]]
    del answers
    trained.looked()
    trained.paint(party / "0.png", "Cy", sides=(90,))
    assert [names(answer) for answer in trained.open().classify([party])][:2] == [["Cy"], ["Ada"]]
    assert "0.png" in (looked := trained.looked()) and "1.png" not in looked


def test_an_error_in_the_middle_ends_the_run_and_the_next_goes_on(
    trained: Painted, party: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[Answer] = []
    with monkeypatch.context() as patch:
        answers = trained.open().classify([party], annotate=tmp_path / "out")
        given += [next(answers) for _ in range(4)]
        patch.setattr("mien.storage.files.os.fsync", full)
        with pytest.raises(StorageError, match="full"):
            next(answers)
        with pytest.raises(StopIteration):
            next(answers)
    trained.looked()
    again = list(trained.open().classify([party], annotate=tmp_path / "out"))
    assert len(trained.looked()) <= 12 - 5, "the fifth was seen, though its copy could not be written"
    assert len(again) == 12
    assert len(list((tmp_path / "out").rglob("*.jpg"))) == 11


def full(_: int) -> None:
    raise OSError(28, os.strerror(28))


def test_what_is_wrong_with_the_question_is_said_at_once(trained: Painted, party: Path, tmp_path: Path) -> None:
    album = trained.open()
    with pytest.raises(UsageError, match="does not exist"):
        album.classify([tmp_path / "nowhere.png"])
    with pytest.raises(UsageError, match="top"):
        album.classify([party], top=0)
    with pytest.raises(ModelError):
        album.classify([party], model=tmp_path)
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="no photo"):
        album.classify([tmp_path / "empty"])
    assert trained.looked() == []


def test_a_model_of_other_eyes_is_refused(trained: Painted, party: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("mien.seeing.eyes.RECIPE", "of another version")
    with pytest.raises(EncoderMismatchError):
        trained.open().classify([party])


def test_an_album_without_a_model_says_how_to_make_one(painted: Painted, tmp_path: Path) -> None:
    photo = painted.paint(tmp_path / "a.png", "Ada")
    with pytest.raises(ModelError) as caught:
        painted.open().classify([photo])
    assert "train" in caught.value.remedy


def test_no_more_photos_are_opened_than_are_waited_for(trained: Painted, tmp_path: Path) -> None:
    for number in range(40):
        trained.paint(tmp_path / f"many/{number}.png", "Ada")
    gc.collect()
    before = sum(isinstance(thing, Picture) for thing in gc.get_objects())
    answers = trained.open(workers=2).classify(tmp_path / "many")
    next(answers)
    assert len(trained.looked()) <= 1 + 2 * 2, "two workers, each one photo at hand and one waiting"
    assert len(list(answers)) == 39
    assert sum(isinstance(thing, Picture) for thing in gc.get_objects()) <= before


# Photos without a path


def test_photos_may_be_bytes_images_and_arrays_alone_or_several(trained: Painted, party: Path) -> None:
    ada, bo = party / "1.png", party / "2.png"
    with Image.open(bo) as image:
        image.load()
    pixels = np.asarray(image)
    album = trained.open()
    for alone in (ada.read_bytes(), Image.open(ada), np.asarray(Image.open(ada))):
        (answer,) = album.classify(alone)
        assert (answer.path, names(answer)) == ("image 1", ["Ada"])
    answers = list(album.classify([pixels, pixels, ada.read_bytes(), image]))
    assert [answer.path for answer in answers] == [f"image {number}" for number in (1, 2, 3, 4)]
    assert [names(answer) for answer in answers] == [["Bo"], ["Bo"], ["Ada"], ["Bo"]]
    (answer,) = mien.classify(pixels, trained.folder / "models" / str(answer.model), eyes=trained.eyes)
    assert names(answer) == ["Bo"]


def test_they_may_stand_among_files_and_folders(trained: Painted, party: Path) -> None:
    ada = party / "1.png"
    given: list[PhotoLike] = [
        ada,
        np.asarray(Image.open(ada)),
        party / "later",
        ada.read_bytes(),
        ada,
        party / "later/11.png",
    ]
    answers = list(trained.open().classify(given))
    assert [Path(answer.path).name for answer in answers] == ["1.png", "image 1", "11.png", "image 2"]


def test_their_copies_are_annotated_too(trained: Painted, party: Path, tmp_path: Path) -> None:
    given: list[PhotoLike] = [np.asarray(Image.open(party / "1.png")), (party / "2.png").read_bytes(), b""]
    assert len(list(trained.open().classify(given, annotate=tmp_path / "out"))) == 3
    assert sorted(file.name for file in (tmp_path / "out").glob("*.jpg")) == ["image 1.jpg", "image 2.jpg"]


def test_an_empty_list_is_a_wrong_question(trained: Painted) -> None:
    with pytest.raises(UsageError, match="The list of photos is empty"):
        trained.open().classify([])


# What is left behind


def test_a_plug_in_that_fails_costs_its_photo_and_its_traceback_is_kept_in_the_album(
    trained: Painted, party: Path
) -> None:
    class Fussy(FakeDetector):
        def detect(self, pixels: Pixels) -> list[Face]:
            found = super().detect(pixels)
            if pixels.shape[1] == 240 and len(found) == 1:  # a whole photo as it is
                raise ValueError("only one person")
            return found

    def fussy(choice: EncoderChoice) -> Eyes:
        return replace(trained.eyes(choice), detector=Fussy())

    trained.paint(party / "two.png", "Ada", "Bo")
    *others, two = Album(trained.folder, eyes=fussy).classify([party / "1.png", party / "2.png", party / "two.png"])
    assert names(two) == ["Ada", "Bo"]
    (file,) = (trained.folder / ".mien/tracebacks").iterdir()
    for answer in others:
        assert answer.error and answer.error.kind == "tool"
        assert "The detector fake-detector failed (ValueError: only one person)" in answer.error.message
        assert str(file) in answer.error.message


def test_a_mistake_in_a_tool_of_miens_own_ends_the_run_as_one(
    trained: Painted, party: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def detect(self: FakeDetector, pixels: Pixels) -> list[Face]:
        raise ValueError("a mistake")

    monkeypatch.setattr(FakeDetector, "detect", detect)
    with pytest.raises(ValueError, match="a mistake"):
        list(trained.open().classify(party))
    assert not (trained.folder / ".mien/tracebacks").exists()
