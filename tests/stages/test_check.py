from __future__ import annotations

import errno
import json
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image, ImageFilter

from mien import Album
from mien.errors import StorageError
from mien.protocols import Silent
from mien.stages.check import Checked
from mien.text.findings import FindingKind
from mien.types import Finding

if TYPE_CHECKING:
    from conftest import Painted

Short = tuple[tuple[str, ...], tuple[str, ...]]


def found(checked: Checked, kind: str) -> list[Short]:
    """The photos and people of each finding of a kind."""
    return [(finding.photos, finding.people) for finding in checked.findings if finding.kind == kind]


def why(checked: Checked, kind: str) -> list[str]:
    return [finding.why for finding in checked.findings if finding.kind == kind]


# Rendered people, seen by the eyes that users have


@pytest.fixture(scope="module")
def messy(trained_album: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory) -> Checked:
    """The trained album after one accident of each sort, aligned and checked."""
    folder = shutil.copytree(trained_album, tmp_path_factory.mktemp("messy") / "album")
    people = folder / "training-images"
    with Image.open(people / "Amara/01.jpg") as image:
        image.resize((image.width * 6 // 10, image.height * 6 // 10)).save(people / "Amara/small.jpg", quality=60)
        image.filter(ImageFilter.GaussianBlur(8)).save(people / "Amara/blurred.png")
    shutil.copy2(people / "Amara/02.jpg", people / "Erik/amara.jpg")
    shutil.copy2(sample / "people/Amara/10.jpg", people / "Jun/wrong.jpg")
    for person in ("Luis", "Amara"):
        shutil.copy2(sample / "groups/04.jpg", people / person / "group.jpg")
    Image.new("RGB", (200, 200), "grey").save(people / "Ingrid/nobody.png")
    (people / "Jun/broken.jpg").write_bytes(b"text")
    (people / "Nora/06.jpg").unlink()
    album = Album(folder, minimum=6)
    album.align()
    return album.check()


def test_an_album_without_accidents_needs_nobody(trained_album: Path) -> None:
    assert Album(trained_album, minimum=6).check() == Checked(6, 36, None, ())


def test_a_resized_copy_is_found_and_counts_once(messy: Checked) -> None:
    assert found(messy, "copies") == [(("Amara/01.jpg", "Amara/small.jpg"), ("Amara",))]


def test_one_picture_under_two_people(messy: Checked) -> None:
    """The group photo lies with two of its people, too, but each has a face of their own in it."""
    assert found(messy, "two people") == [(("Amara/02.jpg", "Erik/amara.jpg"), ("Amara", "Erik"))]


def test_faces_under_the_wrong_name(messy: Checked) -> None:
    assert found(messy, "wrong name") == [
        (("Erik/amara.jpg",), ("Erik", "Amara")),
        (("Jun/wrong.jpg",), ("Jun", "Amara")),
    ]
    assert why(messy, "wrong name")[0].startswith("the face is more like Amara (0.9")


def test_several_people_in_a_folder_and_one_in_two(
    trained_album: Path, sample: Path, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = shutil.copytree(trained_album, tmp_path_factory.mktemp("mixed") / "album")
    people = folder / "training-images"
    for number in ("10", "11", "12"):
        (people / "amara").mkdir(exist_ok=True)
        shutil.copy2(sample / f"people/Amara/{number}.jpg", people / f"amara/{number}.jpg")
    strangers = sorted((sample / "strangers").iterdir())
    for photo in sorted(strangers[0].iterdir())[:4]:
        shutil.copy2(photo, people / f"Erik/new-{photo.name}")
    shutil.copy2(min(strangers[1].iterdir()), people / "Jun/odd.jpg")
    album = Album(folder, minimum=1)
    album.align()
    checked = album.check()
    ((photos, _),) = found(checked, "two groups")
    assert [Path(photo).name[:4] for photo in photos] == ["new-"] * 4
    assert why(checked, "two groups") == ["two groups of faces: 4 photos like these, and 6 photos of somebody else"]
    assert found(checked, "odd") == [(("Jun/odd.jpg",), ("Jun",))]
    assert why(checked, "odd") == ["unlike the other 6 photos of Jun"]
    assert found(checked, "one in two") == [((), ("Amara", "amara"))]
    (one,) = [finding for finding in checked.findings if finding.kind == "one in two"]
    assert one.why.startswith("Amara and amara look like one person in two folders (0.9")
    assert one.remedy == "If they are one, join them. If they are two, say so by `mien confirm`."


def test_photos_that_teach_nothing_or_little(messy: Checked) -> None:
    assert found(messy, "no face") == [(("Ingrid/nobody.png",), ("Ingrid",))]
    assert found(messy, "poor") == [(("Amara/blurred.png",), ("Amara",))]
    assert found(messy, "several") == [(("Amara/group.jpg",), ("Amara",)), (("Luis/group.jpg",), ("Luis",))]
    (broken,) = [finding for finding in messy.findings if finding.kind == "unreadable"]
    assert (broken.photos, broken.people) == (("Jun/broken.jpg",), ("Jun",))
    assert broken.why == "is not a photo mien can read; it is text"
    assert broken.remedy == "Fetch the photo again, or take the file out of the folder."


def test_people_with_too_few_photos(messy: Checked) -> None:
    assert found(messy, "few") == [((), ("Nora",))]
    assert why(messy, "few") == ["5 of 6 photos with their face, copies counted once"]


def test_what_needs_a_human_comes_first(messy: Checked) -> None:
    needs = [finding.needs_human for finding in messy.findings]
    assert needs == sorted(needs, reverse=True) and messy.needs_human
    kinds = [kind.needs_human for kind in FindingKind]
    assert kinds == sorted(kinds, reverse=True)


def test_programs_get_the_same(messy: Checked) -> None:
    told = json.loads(json.dumps(messy.to_json()))
    assert (told["people"], told["photos"], told["needs_human"]) == (6, 43, True)
    assert next(one for one in told["findings"] if one["kind"] == "few") == {
        "kind": "few",
        "photos": [],
        "people": ["Nora"],
        "why": "5 of 6 photos with their face, copies counted once",
        "remedy": "Add photos: other days, other light, from other sides.",
        "needs_human": False,
        "figures": {"different": 5, "minimum": 6},
    }


# Painted squares: all photos of one size and place are copies of each other


def test_copies_count_once(three_people: Painted) -> None:
    three_people.open().align()
    checked = three_people.open(minimum=2).check()
    assert found(checked, "few") == [((), (person,)) for person in ("Ada", "Bo", "Cy")]
    assert set(why(checked, "few")) == {"1 of 2 photos with their face, copies counted once"}
    copies = tuple(f"Ada/ada-{number}.png" for number in (1, 2, 3))
    assert found(checked, "copies")[0] == (copies, ("Ada",))
    assert found(checked, "two people") == [], "they look alike, but the faces differ"
    assert not three_people.open(minimum=1).check().needs_human


def test_a_team_is_nobody(three_people: Painted) -> None:
    team = tuple(f"Team/{face}.png" for face in ("Ada", "Bo", "Passer-by", "Stranger"))
    for photo in team:
        three_people.photo(photo, Path(photo).stem, sides=(90,))
    three_people.open().align()
    checked = three_people.open(minimum=1).check()
    assert found(checked, "mixed") == [(team, ("Team",))]
    assert why(checked, "mixed") == ["faces of 4 people among 4 photos, and none is in most of them"]


def test_a_person_without_a_photo(painted: Painted) -> None:
    (painted.training / "Ada").mkdir()
    checked = painted.open().check()
    assert checked == Checked(1, 0, None, (Finding(FindingKind.EMPTY, ("Ada",)),)) and not checked.needs_human
    assert not (painted.folder / ".mien").exists(), "it changes nothing"


def test_an_empty_album_needs_nobody(painted: Painted) -> None:
    assert painted.open().check() == Checked(0, 0, None, ())


def test_before_the_first_look_nothing_is_said_of_the_photos(three_people: Painted) -> None:
    checked = three_people.open(minimum=3).check()
    assert [finding.kind for finding in checked.findings] == ["not seen"]
    assert why(checked, "not seen") == ["9 photos not seen yet"]
    assert checked.needs_human, "nobody can tell yet whether anything is wrong"
    assert found(three_people.open(minimum=4).check(), "few") == [((), (person,)) for person in ("Ada", "Bo", "Cy")]


def test_photos_that_came_changed_or_went_since_the_last_look(three_people: Painted) -> None:
    three_people.open().align()
    three_people.photo("Ada/ada-4.png")
    three_people.photo("Bo/bo-1.png", "Bo", sides=(100,))
    (three_people.training / "Cy/cy-1.png").unlink()
    checked = three_people.open(minimum=2).check()
    assert why(checked, "not seen") == ["2 photos not seen yet"]
    assert found(checked, "few") == [((), ("Bo",)), ((), ("Cy",))], "Ada's new one may be another picture"
    assert found(checked, "copies")[-1] == (("Cy/cy-2.png", "Cy/cy-3.png"), ("Cy",)), "what is gone is not spoken of"


def test_settings_under_which_nothing_was_looked_at(three_people: Painted) -> None:
    three_people.open().align()
    assert why(three_people.open(views=2, minimum=1).check(), "not seen") == ["9 photos not seen yet"]
    waiting = three_people.open(skip_multi=True, minimum=1).check()
    assert found(waiting, "not chosen") == [((), ("Ada", "Bo", "Cy"))]
    assert found(waiting, "not seen") == []


def test_faces_that_were_seen_and_not_chosen(three_people: Painted) -> None:
    class Full(Silent):
        """The end of a run that has seen everything."""

        def finish(self) -> None:
            raise StorageError("The disk", "is full", "Free some space.")

    with pytest.raises(StorageError):
        three_people.open(progress=Full()).align()
    checked = three_people.open(minimum=1).check()
    assert [finding.kind for finding in checked.findings if finding.needs_human] == ["not chosen"]


def test_a_folder_that_cannot_be_opened(three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def locked(folder: Path) -> object:
        if folder.name == "Bo":
            raise PermissionError(errno.EACCES, "denied")
        return scandir(folder)

    three_people.open().align()
    monkeypatch.setattr(os, "scandir", locked)
    checked = three_people.open(minimum=1).check()
    (closed,) = [finding for finding in checked.findings if finding.needs_human]
    assert closed == Finding(FindingKind.CLOSED, ("Bo",), ("Bo",))
    assert closed.line == ("Bo: cannot be opened. Check its permissions. What is known of it is kept until then."), (
        "and Bo is not said to have too few photos"
    )


def test_the_same_bytes_under_two_people(three_people: Painted) -> None:
    shutil.copy2(three_people.training / "Ada/ada-1.png", three_people.training / "Bo/hers.png")
    three_people.open().align()
    checked = three_people.open(minimum=1).check()
    ((photos, people),) = found(checked, "two people")
    assert {"Ada/ada-1.png", "Bo/hers.png"} <= set(photos) and people == ("Ada", "Bo")


def test_photos_left_out_for_their_several_faces(three_people: Painted) -> None:
    three_people.photo("Ada/group.png", "Ada", "Bo")
    three_people.open(skip_multi=True).align()
    checked = three_people.open(skip_multi=True, minimum=1).check()
    assert found(checked, "several, left out") == [(("Ada/group.png",), ("Ada",))]
    assert why(checked, "several, left out") == ["2 faces; it is left out"]
    assert found(checked, "several") == []
    assert not checked.needs_human
