"""Photos that are asked about are seen once: the answers of a second run are those of a fresh one to the bit."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from mien.errors import PhotoError
from mien.records.asked import AskedPhotos, remembered
from mien.registry.folder import load_model
from mien.types import Answer

if TYPE_CHECKING:
    from conftest import Painted


@pytest.fixture
def trained(taught: Painted) -> Painted:
    taught.looked()
    return taught


@pytest.fixture
def party(trained: Painted, tmp_path: Path) -> Path:
    """A folder of five photos, one of which is broken and one shows nobody."""
    folder = tmp_path / "party"
    trained.paint(folder / "1.png", "Ada", "Bo")
    trained.paint(folder / "2.png", "Stranger", "Cy")
    trained.paint(folder / "3.png", "Bo")
    trained.paint(folder / "nobody.png")
    (folder / "broken.png").write_bytes((folder / "1.png").read_bytes()[:300])
    return folder


def shelf(album: Painted) -> Path:
    return album.folder / ".mien/catalog-asked.sqlite"


def whole(answers: Iterator[Answer]) -> list[Any]:
    """All of each answer, with no figure rounded."""
    return [
        (
            answer.path,
            answer.model,
            answer.photo,
            str(answer.error),
            answer.learned,
            [
                (
                    *(one.face.box, one.face.landmarks.tobytes(), one.face.detector_score, one.face.detector),
                    *(one.face.turn, one.quality, one.prediction),
                )
                for one in answer.faces
            ],
        )
        for answer in answers
    ]


def test_a_second_run_looks_at_nothing_and_answers_the_same_to_the_bit(trained: Painted, party: Path) -> None:
    fresh = whole(trained.open().classify(party, forget=True))
    assert len(trained.looked()) == 5 and not shelf(trained).exists(), "--forget leaves nothing behind"
    first = whole(trained.open().classify(party))
    assert len(trained.looked()) == 5
    assert whole(trained.open().classify(party)) == first == fresh
    assert trained.looked() == []
    assert remembered(shelf(trained)).photos == 5


def test_after_training_with_one_more_person_only_what_is_new_is_looked_at(trained: Painted, party: Path) -> None:
    list(trained.open().classify(party))
    for number in range(3):
        trained.photo(f"Freya/{number}.png")
    trained.paint(party / "new.png", "Freya")
    trained.open().train()
    trained.looked()
    again = whole(trained.open().classify(party))
    assert trained.looked() == ["new.png"]
    assert again == whole(trained.open().classify(party, forget=True))
    assert again[-1][1] == trained.open().version


def test_real_eyes_give_the_same_as_a_fresh_run_to_the_bit(album: Path, sample: Path) -> None:
    from mien import Album

    photos = [sample / "groups/01.jpg", sample / "people/Amara/20.jpg"]
    Album(album).forget()  # what other tests asked about
    fresh = whole(Album(album).classify(photos))
    assert whole(Album(album).classify(photos)) == fresh
    assert remembered(album / ".mien/catalog-asked.sqlite").photos == 2


def test_a_box_is_the_same_pixel_after_an_interruption(trained: Painted, party: Path) -> None:
    """What went on with an interrupted run knew boxes to a tenth of a pixel, and these were rounded once more: 11.46
    became 11.5, and then 12."""
    photo = trained.paint(party / "1.png", "Ada", sides=(87,))
    (fresh,) = trained.open().classify(photo, forget=True)
    answers = trained.open(workers=1).classify(party)
    next(answers)
    del answers
    (again,) = trained.open().classify(photo)
    assert again.faces[0].face.box == fresh.faces[0].face.box


def test_a_photo_is_known_by_its_bytes(trained: Painted, party: Path, tmp_path: Path) -> None:
    list(trained.open().classify(party))
    trained.looked()
    copy = Path(shutil.copy(party / "1.png", tmp_path / "copy.png"))
    answer, of_bytes, of_pixels = trained.open().classify([copy, copy.read_bytes(), Image.open(copy)])
    assert answer.path == str(copy) and of_bytes.path == "image 1"
    assert [one.prediction.person for one in answer.faces] == ["Ada", "Bo"]
    assert len(of_pixels.faces) == 2 and trained.looked() == []
    trained.paint(party / "1.png", "Cy", sides=(90,))
    (changed,) = trained.open().classify(party / "1.png")
    assert [one.prediction.person for one in changed.faces] == ["Cy"] and trained.looked() == ["1.png"]


def test_forget_also_takes_out_what_was_remembered_before(trained: Painted, party: Path) -> None:
    list(trained.open().classify(party))
    list(trained.open().classify(party / "1.png", forget=True))
    assert remembered(shelf(trained)).photos == 4
    list(trained.open().classify(party, forget=True))
    assert remembered(shelf(trained)).photos == 0


@pytest.mark.parametrize("off", [{"remember_days": 0}, {"remember_megabytes": 0}])
def test_an_album_may_remember_nothing(trained: Painted, party: Path, off: dict[str, int]) -> None:
    list(trained.open(**off).classify(party))
    assert not shelf(trained).exists()
    list(trained.open().classify(party))
    trained.open(**off).align()
    assert remembered(shelf(trained)).photos == 0


def test_evaluate_remembers_too(trained: Painted, tmp_path: Path) -> None:
    for person in ("Ada", "Bo", "Stranger"):
        trained.paint(tmp_path / f"probes/{person}/1.png", person)
    first = trained.open().evaluate(tmp_path / "probes")
    assert len(trained.looked()) == 3
    assert trained.open().evaluate(tmp_path / "probes") == first
    list(trained.open().classify(tmp_path / "probes"))
    assert trained.looked() == []


def test_another_encoder_has_its_own_memory(trained: Painted, party: Path) -> None:
    list(trained.open().classify(party))
    trained.open(precision="int8").train()
    trained.looked()
    list(trained.open().classify(party))
    assert len(trained.looked()) == 5


def test_a_photo_at_which_a_run_was_stopped_is_looked_at_apart(
    trained: Painted, party: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = list(trained.open().classify(party, forget=True))
    killer = str(answers[0].photo.sha256 if answers[0].photo else "")
    with AskedPhotos.open(shelf(trained), 30, 200) as asked:
        asked.begin(killer)
    apart: list[str] = []

    def see_file(self: Any, file: Path) -> Any:
        from mien.text.photos import PhotoFault

        apart.append(file.name)
        return PhotoError(str(file), PhotoFault.STOPS_MIEN), False

    monkeypatch.setattr("mien.seeing.apart.EyesApart.see_file", see_file)
    for _ in range(3):
        found = list(trained.open().classify(party))
        assert found[0].error and found[0].error.kind == "unreadable" and not found[1].error
    assert apart == ["1.png", "1.png"], "twice met, it is believed"


def test_a_model_is_enough_and_then_nothing_is_remembered(trained: Painted, party: Path) -> None:
    import mien

    model = trained.folder / "models" / str(trained.open().version)
    list(mien.classify(party, model, eyes=trained.eyes))
    assert load_model(model) and not shelf(trained).exists()


def test_where_nothing_can_be_remembered_the_answers_are_the_same(trained: Painted, party: Path) -> None:
    fresh = whole(trained.open().classify(party, forget=True))
    shelf(trained).mkdir(parents=True)
    assert whole(trained.open().classify(party)) == fresh


def test_who_is_removed_is_not_found_in_what_is_remembered(trained: Painted, party: Path) -> None:
    photo = trained.training / "Ada/ada-1.png"
    list(trained.open().classify([party, photo]))
    assert remembered(shelf(trained)).photos == 6
    trained.open().remove("Ada", [photo])
    assert remembered(shelf(trained)).photos == 5, "what was computed from a photo goes with it"
    trained.open().remove("Ada", everywhere=True)
    assert remembered(shelf(trained)).photos == 0, "whether somebody is in the others nobody knows"


def test_what_remove_takes_out_is_forgotten_though_the_catalog_does_not_know_it(
    trained: Painted, tmp_path: Path
) -> None:
    photo = trained.paint(tmp_path / "asked.png", "Ada")
    list(trained.open().classify(photo))
    assert trained.open().status().remembered.photos == 1
    new = trained.training / "Ada/new.png"
    new.write_bytes(photo.read_bytes())
    trained.open().remove("Ada", [new])
    assert trained.open().status().remembered.photos == 0
