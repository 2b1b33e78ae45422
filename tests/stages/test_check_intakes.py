"""align and check of what waits in the intakes."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections import Counter
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from mien import open_album, wiring
from mien.open_album import read_settings
from mien.pipeline.daily import HELD
from mien.protocols import Silent
from mien.stages.align import Aligned, align
from mien.stages.check import Checked, check
from mien.text.findings import FindingKind
from mien.types import Finding
from mien.vision.phash import near_pairs

if TYPE_CHECKING:
    from conftest import Painted

DAY = "2026-11-23-training-images"
NOW = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)


def look(painted: Painted) -> Aligned:
    """What aligning the intakes finds."""
    with painted.writing() as album:
        return align(album, album.layout.intakes())


def checked(painted: Painted, **settings: Any) -> Checked:
    """What is said of the intakes."""
    with painted.reading(**settings) as album:
        return check(album, album.layout.intakes())


def found(checked: Checked, kind: str) -> list[tuple[str, tuple[str, ...]]]:
    """The photo, less the intake's name, and people of each finding of a kind."""
    return [(_photo(one), one.people) for one in checked.findings if one.kind == kind]


def did(aligned: Aligned) -> dict[str, int]:
    """What aligning did, where nothing failed."""
    assert aligned.failures == ()
    return {name: getattr(aligned, name) for name in ("photos", "new", "changed", "gone", "computed")}


def without_a_model(painted: Painted) -> None:
    """Takes the model out of use."""
    (painted.folder / "models/current").unlink()


def held(checked: Checked) -> frozenset[str]:
    """The photos of the intake that the daily run leaves there."""
    photos = (photo for one in checked.findings if one.kind in HELD for photo in one.photos)
    return frozenset(photo for photo in photos if photo.startswith(f"{DAY}/"))


def _photo(finding: Finding) -> str:
    return finding.photos[0].removeprefix(f"{DAY}/")


def counts(checked: Checked) -> dict[str, int]:
    """How many findings there are of each kind that there is."""
    return dict(Counter(str(finding.kind) for finding in checked.findings))


def arrive(painted: Painted, path: str, *faces: str, sides: tuple[int, ...] = ()) -> Path:
    return painted.paint(painted.folder / DAY / path, *(faces or (path.split("/")[0],)), sides=sides)


# Looking


def test_each_photo_is_looked_at_once_and_merging_costs_no_second_look(three_people: Painted) -> None:
    three_people.open().align()
    three_people.looked()
    arrive(three_people, "Ada/new.png")
    arrive(three_people, "Dora/deep/first.png", "Stranger")
    assert did(look(three_people)) == {"photos": 2, "new": 2, "changed": 0, "gone": 0, "computed": 2}
    assert three_people.looked() == ["first.png", "new.png"]
    assert did(look(three_people)) == {"photos": 2, "new": 0, "changed": 0, "gone": 0, "computed": 0}
    three_people.open().align()
    assert three_people.counts()["photos"] == 11, "align forgets nothing of what waits"
    three_people.open().merge()
    aligned = three_people.open().align()
    assert (aligned.photos, aligned.computed, aligned.enrolled) == (11, 0, 11)
    assert three_people.looked() == []
    assert look(three_people).photos == 0


def test_photos_moved_by_hand_are_known_too(three_people: Painted) -> None:
    three_people.open().align()
    file = arrive(three_people, "Ada/new.png")
    look(three_people)
    three_people.looked()
    file.rename(three_people.training / "Ada/mine.png")
    assert did(look(three_people)) == {"photos": 0, "new": 0, "changed": 0, "gone": 1, "computed": 0}
    assert three_people.open().align().computed == 0
    assert three_people.looked() == []


def test_what_is_deleted_from_an_intake_is_forgotten_by_the_next_align(three_people: Painted) -> None:
    three_people.open().align()
    file = arrive(three_people, "Ada/new.png")
    look(three_people)
    assert three_people.counts()["faces"] == 10
    file.unlink()
    look(three_people)
    three_people.open().align()
    assert (three_people.counts()["photos"], three_people.counts()["faces"]) == (9, 9)


def test_a_changed_photo_is_looked_at_anew(painted: Painted) -> None:
    file = arrive(painted, "Ada/new.png")
    look(painted)
    painted.paint(file, "Ada", sides=(100,))
    looked = look(painted)
    assert (looked.new, looked.changed, looked.computed) == (0, 1, 1)


def test_what_cannot_be_read_is_told_each_time_and_tried_once(painted: Painted) -> None:
    file = arrive(painted, "Ada/broken.png")
    file.write_bytes(file.read_bytes()[:200])
    for computed in (1, 0):
        looked = look(painted)
        ((path, error),) = looked.failures
        assert (path, looked.computed) == (f"{DAY}/Ada/broken.png", computed)
        assert error.message.startswith(f"{file} is a PNG file that breaks off (")
    assert json.loads(json.dumps(looked.to_json()))["unreadable"] == [{"photo": path, "error": str(error)}]


def test_a_waiting_photo_does_not_count_as_one_of_the_album(three_people: Painted) -> None:
    arrive(three_people, "Ada/new.png")
    look(three_people)
    three_people.open().align()
    status = three_people.open().status()
    assert (status.photos, status.stale) == (9, ())
    assert three_people.open().align().faces == 9


# Checking painted squares


def test_nothing_is_odd_about_good_photos(taught: Painted) -> None:
    arrive(taught, "Ada/new.png", sides=(90,))
    arrive(taught, "Dora/first.png", "Stranger", sides=(60,))
    look(taught)
    version = taught.open().version
    assert checked(taught) == Checked(2, 2, version, ())
    without_a_model(taught)
    assert checked(taught) == Checked(2, 2, None, ())


def test_what_is_odd_about_a_photo_by_itself(three_people: Painted) -> None:
    three_people.open().align()
    Image.new("RGB", (200, 100)).save(three_people.folder / "sky.png")
    (three_people.folder / DAY / "Ada").mkdir(parents=True)
    (three_people.folder / "sky.png").rename(three_people.folder / DAY / "Ada/sky.png")
    (three_people.folder / DAY / "Ada/page.jpg").write_bytes(b"<html>")
    arrive(three_people, "Ada/two.png", "Bo", "Ada", sides=(50, 60))
    (before,) = checked(three_people).findings
    assert before == Finding(FindingKind.NOT_SEEN, figures={"photos": 3}) and before.needs_human
    look(three_people)
    seen = checked(three_people)
    assert found(seen, "no face") == [("Ada/sky.png", ("Ada",))]
    assert found(seen, "several") == [("Ada/two.png", ("Ada",))]
    (broken,) = [one for one in seen.findings if one.kind == "unreadable"]
    assert broken.why == "is not a photo mien can read; it is a web page (HTML)"
    assert broken.remedy == "Fetch the photo again, or take the file out of the folder."
    assert not seen.needs_human and seen.lacks and held(seen) == frozenset()
    assert counts(seen) == {"unreadable": 1, "no face": 1, "several": 1}
    assert checked(three_people, precision="int8").findings == (before,)


def test_pictures_that_are_there_already(three_people: Painted) -> None:
    three_people.open().align()
    own, other = three_people.training / "Ada/ada-1.png", three_people.training / "Bo/bo-1.png"
    for person in ("Ada", "Dora"):
        (three_people.folder / DAY / person).mkdir(parents=True)
    shutil.copy2(own, three_people.folder / DAY / "Ada/again.png")
    with Image.open(own) as image:
        image.resize((image.width * 3 // 4, image.height * 3 // 4)).save(three_people.folder / DAY / "Ada/small.png")
    shutil.copy2(other, three_people.folder / DAY / "Ada/bo.png")
    shutil.copy2(other, three_people.folder / DAY / "Dora/bo.png")
    look(three_people)
    seen = checked(three_people)
    assert found(seen, "copies") == [("Ada/again.png", ("Ada",)), ("Ada/small.png", ("Ada",))]
    assert found(seen, "two people") == [
        ("Ada/bo.png", ("Ada", "Bo", "Dora")),
        ("Dora/bo.png", ("Dora", "Ada", "Bo")),
    ]
    assert held(seen) == {f"{DAY}/Ada/bo.png", f"{DAY}/Dora/bo.png"}
    assert counts(seen) == {"two people": 2, "copies": 2}
    photos = {_photo(one): one.photos for one in seen.findings}
    assert photos["Ada/again.png"] == (f"{DAY}/Ada/again.png", "Ada/ada-1.png"), "and the one that it repeats"
    assert photos["Ada/bo.png"] == (f"{DAY}/Ada/bo.png", "Bo/bo-1.png")
    why = {_photo(one): one.why for one in seen.findings}
    assert why["Ada/again.png"] == "2 copies of the same picture"
    assert why["Ada/bo.png"] == "the same picture under 3 people"


def test_what_looks_alike_by_the_hundred_is_compared_by_its_look_once(
    three_people: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A camera on a stand: pairs of all its pictures would fill the memory."""
    for number in range(12):
        file = arrive(three_people, f"Ada/{number:02}.png")
        file.write_bytes((three_people.training / "Ada/ada-1.png").read_bytes() + bytes([number]))
    compared: list[list[str]] = []

    def watched(hashes: list[str]) -> object:
        compared.append(hashes)
        return near_pairs(hashes)

    monkeypatch.setattr("mien.learning.copies.near_pairs", watched)
    three_people.open().align()
    look(three_people)
    copies = found(checked(three_people), "copies")
    assert [photo for photo, _ in copies] == [f"Ada/{number:02}.png" for number in range(12)]
    (hashes,) = compared
    assert len(hashes) == len(set(hashes)) < 10


def test_a_group_photo_may_lie_with_each_of_its_people(three_people: Painted) -> None:
    three_people.photo("Ada/together.png", "Ada", "Bo", sides=(70, 70))
    three_people.open().align()
    for person in ("Bo", "Dora"):
        (three_people.folder / DAY / person).mkdir(parents=True)
        shutil.copy2(three_people.training / "Ada/together.png", three_people.folder / DAY / person / "together.png")
    shutil.copy2(three_people.training / "Ada/together.png", three_people.folder / DAY / "Bo/twice.png")
    look(three_people)
    seen = checked(three_people)
    assert found(seen, "two people") == []
    assert found(seen, "copies") == [("Bo/twice.png", ("Bo",))], "only the later one is told"


def test_a_person_whom_the_model_sees_instead_is_suspect(taught: Painted) -> None:
    arrive(taught, "Ada/wrong.png", "Bo", sides=(90,))
    arrive(taught, "Ada/stranger.png", "Stranger", sides=(66,))
    arrive(taught, "Ada/both.png", "Bo", "Ada", sides=(60, 96))
    arrive(taught, "Dora/new.png", "Bo", sides=(50,))
    look(taught)
    seen = checked(taught)
    assert found(seen, "suspect") == [("Ada/wrong.png", ("Ada", "Bo"))]
    assert found(seen, "strange") == [("Ada/stranger.png", ("Ada",))], "like nobody, and unlike Ada"
    assert found(seen, "one in two") == [("Dora/new.png", ("Bo", "Dora"))], "somebody new who is there already"
    assert held(seen) == {f"{DAY}/{name}.png" for name in ("Ada/wrong", "Ada/stranger", "Dora/new")}
    assert seen.needs_human
    without_a_model(taught)
    assert held(checked(taught)) == held(seen), "the faces of the album say so as well"


def test_two_people_who_came_as_one_are_all_held_back(three_people: Painted) -> None:
    """Nobody knows which of them is Dora; of Eve, who came with three photos and one odd one, only this waits."""
    three_people.open().align()
    for number, face in enumerate(("Stranger", "Stranger", "Passer-by", "Passer-by")):
        arrive(three_people, f"Dora/{number}.png", face, sides=(60 + 9 * number,))
    look(three_people)
    seen = checked(three_people)
    assert [one.why for one in seen.findings if one.kind == "two groups"] == [
        "two groups of faces: 2 photos like these, and 2 photos of somebody else"
    ] * 2
    assert held(seen) == {f"{DAY}/Dora/{number}.png" for number in range(4)}
    arrive(three_people, "Dora/4.png", "Stranger", sides=(100,))
    arrive(three_people, "Dora/5.png", "Stranger", sides=(110,))
    look(three_people)
    assert found(checked(three_people), "strange") == [("Dora/2.png", ("Dora",)), ("Dora/3.png", ("Dora",))]


def test_what_was_merged_by_hand_is_not_held_back_again(three_people: Painted) -> None:
    three_people.open().align()
    arrive(three_people, "Ada/first.png", "Stranger", sides=(66,))
    look(three_people)
    assert held(checked(three_people)) == {f"{DAY}/Ada/first.png"}
    three_people.open().merge()
    three_people.open().align()
    arrive(three_people, "Ada/second.png", "Stranger", sides=(88,))
    look(three_people)
    assert held(checked(three_people)) == frozenset()


def test_a_picture_that_came_for_two_people_is_held_back_under_the_wrong_name_only(taught: Painted) -> None:
    wrong = arrive(taught, "Ada/wrong.png", "Bo", sides=(90,))
    right = taught.folder / DAY / "Bo/right.png"
    right.parent.mkdir()
    shutil.copy(wrong, right)
    look(taught)
    seen = checked(taught)
    assert [(one.kind, one.photos) for one in seen.findings] == [("suspect", (f"{DAY}/Ada/wrong.png",))]


def test_a_model_of_another_encoder_is_not_asked(three_people: Painted) -> None:
    three_people.open(precision="int8").train()
    arrive(three_people, "Ada/wrong.png", "Bo", sides=(90,))
    look(three_people)
    seen = checked(three_people)
    assert (seen.model, seen.findings) == (None, ())


def test_a_folder_that_cannot_be_opened(painted: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    arrive(painted, "Ada/new.png")
    scandir = os.scandir

    def locked(folder: Path) -> object:
        if Path(folder).name == "Ada":
            raise PermissionError(errno.EACCES, "denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    ((path, error),) = look(painted).failures
    assert path == f"{DAY}/Ada"
    assert str(error) == f"{painted.folder / DAY / 'Ada'} may not be read. Give yourself permission to read it."
    assert found(checked(painted), "closed") == [("Ada", ("Ada",))]


def test_programs_get_the_same(three_people: Painted) -> None:
    Image.new("RGB", (200, 100)).save(three_people.folder / "sky.png")
    (three_people.folder / DAY / "Ada").mkdir(parents=True)
    (three_people.folder / "sky.png").rename(three_people.folder / DAY / "Ada/sky.png")
    look(three_people)
    assert json.loads(json.dumps(checked(three_people).to_json())) == {
        "people": 1,
        "photos": 1,
        "model": None,
        "needs_human": False,
        "findings": [
            {
                "kind": "no face",
                "photos": [f"{DAY}/Ada/sky.png"],
                "people": ["Ada"],
                "figures": {},
                "why": "no face was found",
                "remedy": FindingKind.NO_FACE.remedy,
                "needs_human": False,
            }
        ],
        "confirmed": 0,
    }


def test_what_needs_a_human_comes_first() -> None:
    needs = [kind for kind in FindingKind if kind.needs_human]
    assert list(FindingKind)[: len(needs)] == needs and set(needs) > HELD


# Rendered people, seen by the eyes that users have


def test_misfiled_photos_of_people_are_suspect_and_others_are_not(album: Path, sample: Path) -> None:
    """Two more photos of each of two people under their own name, and two under the other's."""
    for person, wrong in (("Amara", "Nora"), ("Nora", "Amara")):
        for number, under in ((7, person), (8, person), (9, wrong), (10, wrong)):
            (album / DAY / under).mkdir(parents=True, exist_ok=True)
            shutil.copy2(sample / f"people/{person}/{number:02}.jpg", album / DAY / under / f"{person}-{number}.jpg")
    layout, settings = read_settings(album, {})
    with open_album.for_writing(layout, settings, wiring.tools, "test", lambda: NOW, Silent()) as opened:
        align(opened, layout.intakes())
        seen = check(opened, layout.intakes())
    assert found(seen, "suspect") == [
        ("Amara/Nora-10.jpg", ("Amara", "Nora")),
        ("Amara/Nora-9.jpg", ("Amara", "Nora")),
        ("Nora/Amara-10.jpg", ("Nora", "Amara")),
        ("Nora/Amara-9.jpg", ("Nora", "Amara")),
    ]
