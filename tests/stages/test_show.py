from __future__ import annotations

import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from PIL import Image

from mien.errors import PhotoError
from mien.records.files import Files
from mien.records.history import Fetch
from mien.stages.align import align
from mien.text.photos import PhotoFault
from mien.vision.images import file_sha256

if TYPE_CHECKING:
    from conftest import Painted
    from mien.stages.show import Shown

Mien = Callable[..., Any]
DAY = "2026-11-23-training-images"
THEN = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)


def shown(painted: Painted, photo: Path | str) -> Shown:
    return painted.open().show(photo)


def current(painted: Painted) -> str:
    version = painted.open().version
    assert version
    return version


def test_a_photo_of_the_album(three_people: Painted) -> None:
    three_people.photo("Ada/both.png", "Bo", "Ada", sides=(60, 70))
    version = three_people.open().train().version
    found = shown(three_people, three_people.training / "Ada/both.png")
    assert found.known and found.error is None and found.photo
    assert (found.photo.format, found.photo.width, found.photo.height) == ("PNG", 240, 200)
    assert found.bytes == found.file.stat().st_size
    (filed,) = found.filed
    assert (filed.path, filed.person, filed.sha256) == ("training-images/Ada/both.png", "Ada", found.sha256)
    (seen,) = found.sightings
    assert seen.fault is None
    assert [face.own_of for face in seen.faces] == [(), ("Ada",)]
    assert seen.faces[0].face.box[0] < seen.faces[1].face.box[0]
    assert found.chips == {"training-images/Ada/both.png": "Ada/both.png"}
    assert (found.current, found.models) == (version, {version: ("Ada",)})
    assert (found.fetches, found.lookalikes) == ((), ())


def test_why_a_file_teaches_nothing(three_people: Painted, tmp_path: Path) -> None:
    for name, data in (
        ("Ada/film.mp4", b"film"),
        ("Ada/note.txt", b"x"),
        ("Bo/broken.png", b"text"),
        ("loose.png", b""),
    ):
        (three_people.training / name).write_bytes(data)
    three_people.paint(three_people.training / "Ada/nobody.png")
    three_people.photo("Ada/group.png", "Bo", "Ada")
    three_people.open().align()
    three_people.photo("Ada/new.png", "Ada", sides=(70,))

    def why(name: str, **settings: object) -> list[str]:
        return [one.why for one in three_people.open(**settings).show(three_people.training / name).left_out]

    assert why("Ada/film.mp4") == ["is of a kind that mien does not read"]
    assert why("Ada/note.txt") == ["is not a photo by its name"]
    assert why("Bo/broken.png") == ["is not a photo mien can read; it is text"]
    assert why("loose.png") == ["is not in a person's folder"]
    assert why("Ada/nobody.png") == ["no face was found"]
    assert why("Ada/new.png") == ["1 photo not seen yet"]
    assert why("Ada/group.png") == [] and why("Ada/ada-1.png") == []
    assert why("Ada/group.png", skip_multi=True) == ["2 faces; it is left out"]
    assert shown(three_people, "Ada/nobody.png").to_json()["left_out"][0]["remedy"].startswith("It teaches nothing.")
    (tmp_path / "else.txt").write_text("x")
    assert shown(three_people, tmp_path / "else.txt").left_out == ()


@pytest.mark.skipif(sys.platform == "win32", reason="there a link needs a privilege")
def test_a_link_to_nothing_is_called_so(three_people: Painted) -> None:
    (three_people.training / "Ada/away.png").symlink_to("/nowhere/away.png")
    with pytest.raises(PhotoError, match="is a link to nothing"):
        shown(three_people, "Ada/away.png")


def test_a_photo_is_known_by_its_bytes_wherever_it_lies(taught: Painted, tmp_path: Path) -> None:
    shutil.copy2(taught.training / "Ada/ada-1.png", tmp_path / "elsewhere.png")
    shutil.copy2(taught.training / "Ada/ada-1.png", taught.training / "Bo/hers.png")
    taught.open().align()
    found = shown(taught, tmp_path / "elsewhere.png")
    assert [(one.path, one.person) for one in found.filed] == [
        ("training-images/Ada/ada-1.png", "Ada"),
        ("training-images/Bo/hers.png", "Bo"),
    ]
    assert found.file == tmp_path / "elsewhere.png"


def test_a_photo_is_found_as_the_album_names_it(three_people: Painted) -> None:
    three_people.open().align()
    assert shown(three_people, "Ada/ada-1.png").file == three_people.training / "Ada/ada-1.png"
    assert shown(three_people, "training-images/Ada/ada-1.png").known


def test_a_photo_that_goes_while_it_is_shown(three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is locked out by `show`."""
    three_people.open().align()
    monkeypatch.setattr(Files, "on", lambda self, shelves: [])
    assert three_people.open().show(three_people.training / "Ada/ada-1.png").chips == {}


def test_a_photo_that_waits(taught: Painted) -> None:
    taught.paint(taught.folder / DAY / "Ada/new.png", "Ada", sides=(100,))
    assert not shown(taught, f"{DAY}/Ada/new.png").known, "nobody looked into the intake yet"
    with taught.writing() as album:
        align(album, album.layout.intakes())
    found = shown(taught, f"{DAY}/Ada/new.png")
    (filed,) = found.filed
    assert (filed.path, filed.person) == (f"{DAY}/Ada/new.png", "Ada")
    assert found.to_json()["filed"][0]["waiting"] is True
    assert [len(seen.faces) for seen in found.sightings] == [1]
    assert (found.chips, found.models, found.current) == ({}, {}, current(taught))


def test_what_looks_like_it(three_people: Painted) -> None:
    with Image.open(three_people.training / "Ada/ada-1.png") as image:
        image.resize((480, 400)).save(three_people.training / "Bo/large.png")
    (three_people.training / "Ada/ada-2.png").unlink()
    (three_people.training / "Ada/ada-3.png").unlink()
    for name in ("bo-1.png", "bo-2.png", "bo-3.png"):
        (three_people.training / "Bo" / name).unlink()
    shutil.rmtree(three_people.training / "Cy")
    three_people.open().align()
    found = shown(three_people, "Ada/ada-1.png")
    assert [(one.path, one.person) for one in found.lookalikes] == [("training-images/Bo/large.png", "Bo")]


def test_an_unknown_photo_says_so(taught: Painted, tmp_path: Path) -> None:
    stranger = taught.paint(tmp_path / "stranger.png", "Stranger", "Bo")
    found = shown(taught, stranger)
    assert not found.known and found.photo and found.photo.format == "PNG"
    assert (found.filed, found.sightings, found.models, found.lookalikes) == ((), (), {}, ())
    (tmp_path / "text.jpg").write_bytes(b"<html>")
    broken = shown(taught, tmp_path / "text.jpg")
    assert broken.photo is None and broken.error and "web page" in broken.error.message


def test_a_photo_that_could_not_be_read(painted: Painted) -> None:
    (painted.training / "Ada").mkdir()
    (painted.training / "Ada/broken.png").write_bytes(b"<html>")
    painted.open().align()
    found = shown(painted, "Ada/broken.png")
    assert found.known and found.photo is None and found.error
    (seen,) = found.sightings
    assert seen.fault is PhotoFault.NOT_A_PICTURE and "web page" in seen.fault.say(seen.figures)
    assert seen.faces == ()
    said = "is not a photo mien can read; it is a web page (HTML). Fetch the photo again, or take the file out"
    assert found.to_json()["seen"][0]["error"].startswith(said)


def test_there_is_no_such_file(three_people: Painted) -> None:
    with pytest.raises(PhotoError, match=r"missing\.png does not exist"):
        shown(three_people, "Ada/missing.png")


def test_models_that_are_damaged_are_passed_over(three_people: Painted) -> None:
    version = three_people.open().train().version
    (three_people.folder / "models" / version / "card.json").write_text("{}")
    (three_people.folder / "models/current").write_text("no version\n")
    found = shown(three_people, "Ada/ada-1.png")
    assert (found.current, found.models) == (None, {})


def test_that_it_was_asked_about_is_said_until_it_is_forgotten(taught: Painted, tmp_path: Path, mien: Mien) -> None:
    photo = taught.paint(tmp_path / "party.png", "Ada")
    assert shown(taught, photo).asked is None
    before = datetime.now(UTC).replace(microsecond=0)
    list(taught.open().classify(photo))
    asked = shown(taught, photo).asked
    assert asked and before <= asked <= datetime.now(UTC)
    assert shown(taught, photo).to_json()["asked"] == asked.isoformat()
    printed = " ".join(mien("-C", taught.folder, "show", photo).stdout.split())
    told = f"as it was asked about; mien -C {taught.folder} forget {photo} drops it"
    assert f"remembered since {asked.astimezone():%Y-%m-%d %H:%M}, {told}" in printed
    assert taught.open(remember_days=0).show(photo).asked is None, "it counts no more"
    taught.open().forget(photo)
    assert shown(taught, photo).asked is None


def test_programs_get_the_same(three_people: Painted) -> None:
    version = three_people.open().train().version
    with three_people.writing() as album:
        for person, name in (("Ada", "ada-1.png"), ("Bo", "bo-1.png")):
            sha256 = file_sha256(three_people.training / person / name)
            came = Fetch("club", name, person, sha256, "0" * 16, 7, "", "own work", "consent", "", THEN, THEN, "placed")
            album.ledger.history.record([replace(came, path=f"{DAY}/{person}/{name}")])
    found = shown(three_people, "Ada/ada-1.png")
    told = json.loads(json.dumps(found.to_json()))
    assert told["sha256"] == file_sha256(three_people.training / "Ada/ada-1.png") == found.sha256
    assert (told["known"], told["format"], told["current_model"]) == (True, "PNG", version)
    assert told["models"] == {version: ["Ada"]}
    assert told["filed"] == [
        {
            "path": "Ada/ada-1.png",
            "person": "Ada",
            "waiting": False,
            "source": None,
            "added_at": None,
            "chip": "Ada/ada-1.png",
        }
    ]
    (face,) = told["seen"][0]["faces"]
    assert face["own_of"] == ["Ada"] and set(face["quality"]) == {"size", "sharpness", "pose", "exposure", "overall"}
    (came,) = told["provenance"]
    assert (came["source"], came["licence"], came["path"]) == ("club", "own work", f"{DAY}/Ada/ada-1.png")


def test_where_a_photo_was_added_from_is_told(three_people: Painted, tmp_path: Path) -> None:
    photo = three_people.paint(tmp_path / "inbox/ada-4.png", "Ada")
    before = datetime.now(UTC).replace(microsecond=0)
    three_people.open().add("Ada", photo)
    (filed,) = shown(three_people, "Ada/ada-4.png").to_json()["filed"]
    assert (filed["path"], filed["source"]) == ("Ada/ada-4.png", str(photo))
    assert before <= datetime.fromisoformat(filed["added_at"]) <= datetime.now(UTC)
    shutil.copy2(photo, three_people.training / "Bo/hers.png")
    three_people.open().align()
    _, hers = shown(three_people, photo).to_json()["filed"]
    assert (hers["person"], hers["source"], hers["added_at"]) == ("Bo", None, None)
