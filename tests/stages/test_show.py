from __future__ import annotations

import json
import shutil
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from PIL import Image

from mien import registry, wiring
from mien.errors import PhotoError
from mien.protocols import Silent
from mien.records.catalog import Catalog
from mien.records.ledger import Fetch
from mien.stages.intake import look_at_intake
from mien.stages.show import Shown, show
from mien.storage.layout import Workspace

if TYPE_CHECKING:
    from conftest import Painted

DAY = "2026-11-23-training-images"
THEN = datetime(2026, 11, 23, 3, 30, tzinfo=UTC)


def nothing(sha256: str) -> Sequence[Fetch]:
    return ()


def shown(painted: Painted, photo: Path | str) -> Shown:
    workspace = Workspace.open(painted.folder)
    with Catalog.open(workspace.local_catalog()) as catalog:
        return show(workspace, catalog, nothing, Path(photo))


def current(painted: Painted) -> str:
    version = registry.current(painted.folder / "models")
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
    assert (filed.path, filed.person, filed.waiting, filed.source) == ("Ada/both.png", "Ada", False, None)
    (seen,) = found.sightings
    assert seen.error is None
    assert [found.whose(face.id) for face in seen.faces] == [(), ("Ada",)]
    assert seen.faces[0].face.box[0] < seen.faces[1].face.box[0]
    assert found.chips == {"Ada/both.png": "Ada/both.png"}
    assert (found.current, found.models) == (version, {version: ("Ada",)})
    assert (found.fetches, found.lookalikes) == ((), ())


def test_a_photo_is_known_by_its_bytes_wherever_it_lies(three_people: Painted, tmp_path: Path) -> None:
    three_people.open().train()
    shutil.copy2(three_people.training / "Ada/ada-1.png", tmp_path / "elsewhere.png")
    shutil.copy2(three_people.training / "Ada/ada-1.png", three_people.training / "Bo/hers.png")
    three_people.open().align()
    found = shown(three_people, tmp_path / "elsewhere.png")
    assert [(one.path, one.person) for one in found.filed] == [("Ada/ada-1.png", "Ada"), ("Bo/hers.png", "Bo")]
    assert found.file == tmp_path / "elsewhere.png"


def test_a_photo_is_found_as_the_album_names_it(three_people: Painted) -> None:
    three_people.open().align()
    assert shown(three_people, "Ada/ada-1.png").file == three_people.training / "Ada/ada-1.png"
    assert shown(three_people, "training-images/Ada/ada-1.png").known


def test_a_photo_that_goes_while_it_is_shown(three_people: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody is locked out by `show`."""
    three_people.open().align()
    monkeypatch.setattr(Catalog, "placements", lambda self: [])
    assert three_people.open().show(three_people.training / "Ada/ada-1.png").chips == {}


def test_a_photo_that_waits(three_people: Painted) -> None:
    three_people.open().train()
    three_people.paint(three_people.folder / DAY / "Ada/new.png", "Ada", sides=(100,))
    workspace = Workspace.open(three_people.folder)
    assert not shown(three_people, f"{DAY}/Ada/new.png").known, "nobody looked into the intake yet"
    with Catalog.open(workspace.catalog_file) as catalog:
        look_at_intake(workspace, catalog, lambda: wiring.make_eyes("fp32", 1), Silent())
    found = shown(three_people, f"{DAY}/Ada/new.png")
    (filed,) = found.filed
    assert (filed.path, filed.person, filed.waiting) == (f"{DAY}/Ada/new.png", "Ada", True)
    assert [len(seen.faces) for seen in found.sightings] == [1]
    assert (found.chips, found.models, found.current) == ({}, {}, current(three_people))


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
    assert [(one.path, one.person) for one in found.lookalikes] == [("Bo/large.png", "Bo")]


def test_an_unknown_photo_says_so(three_people: Painted, tmp_path: Path) -> None:
    three_people.open().train()
    stranger = three_people.paint(tmp_path / "stranger.png", "Stranger", "Bo")
    found = shown(three_people, stranger)
    assert not found.known and found.photo and found.photo.format == "PNG"
    assert (found.filed, found.sightings, found.models, found.lookalikes) == ((), (), {}, ())
    (tmp_path / "text.jpg").write_bytes(b"<html>")
    broken = shown(three_people, tmp_path / "text.jpg")
    assert broken.photo is None and broken.error and "web page" in broken.error


def test_a_photo_that_could_not_be_read(painted: Painted) -> None:
    (painted.training / "Ada").mkdir()
    (painted.training / "Ada/broken.png").write_bytes(b"<html>")
    painted.open().align()
    found = shown(painted, "Ada/broken.png")
    assert found.known and found.photo is None and found.error
    (seen,) = found.sightings
    assert seen.error and "web page" in seen.error and seen.faces == ()


def test_there_is_no_such_file(three_people: Painted) -> None:
    with pytest.raises(PhotoError, match="there is no such file"):
        shown(three_people, "Ada/missing.png")


def test_models_that_are_damaged_are_passed_over(three_people: Painted) -> None:
    version = three_people.open().train().version
    (three_people.folder / "models" / version / "card.json").write_text("{}")
    (three_people.folder / "models/current").write_text("no version\n")
    found = shown(three_people, "Ada/ada-1.png")
    assert (found.current, found.models) == (None, {})


def test_programs_get_the_same(three_people: Painted) -> None:
    version = three_people.open().train().version
    workspace = Workspace.open(three_people.folder)
    asked: list[str] = []

    def provenance(sha256: str) -> Sequence[Fetch]:
        asked.append(sha256)
        place = f"{DAY}/Ada/ada-1.png"
        return [
            Fetch(
                *("club", "ada.png", "Ada", sha256, "0" * 16, 7, "", "own work", "consent", "", THEN, THEN, "placed"),
                path=place,
            )
        ]

    with Catalog.open(workspace.catalog_file) as catalog:
        found = show(workspace, catalog, provenance, Path("Ada/ada-1.png"))
    told = json.loads(json.dumps(found.to_json()))
    assert asked == [found.sha256] == [told["sha256"]]
    assert (told["known"], told["format"], told["current_model"]) == (True, "PNG", version)
    assert told["models"] == {version: ["Ada"]}
    assert told["filed"][0]["chip"] == "Ada/ada-1.png"
    (face,) = told["seen"][0]["faces"]
    assert face["own_of"] == ["Ada"] and set(face["quality"]) == {"size", "sharpness", "pose", "exposure", "overall"}
    (came,) = told["provenance"]
    assert (came["source"], came["licence"], came["path"]) == ("club", "own work", f"{DAY}/Ada/ada-1.png")
