"""From what training measured to the page: the faces that it shows."""

from __future__ import annotations

import base64
import io
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from PIL import Image

from mien.stages import train as train_stage

if TYPE_CHECKING:
    from conftest import Painted

COLOURS = {"Ada": (200, 40, 40), "Bo": (40, 200, 40), "Cy": (40, 40, 200), "Stranger": (200, 200, 40)}


@pytest.fixture
def misfiled(three_people: Painted) -> Path:
    """A photo of two others among Ada's."""
    return three_people.photo("Ada/wrong.png", "Bo", "Cy")


def faces(painted: Painted) -> list[str]:
    """Whose face each picture is on the page about the model that training makes."""
    version = painted.open().train().version
    page = (painted.folder / "models" / version / "report.html").read_text(encoding="utf-8")
    assert "wrong.png" in page
    found = []
    for text in re.findall(r"data:image/jpeg;base64,([^\"]+)", page):
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            middle = np.asarray(image)[image.height // 2, image.width // 2]
        found += [name for name, colour in COLOURS.items() if np.allclose(middle, colour, atol=16)]
    return found


def test_a_page_names_nobody_who_is_gone(three_people: Painted) -> None:
    three_people.open().train()
    three_people.open().remove("Cy")
    three_people.photo("Ada/ada-4.png")
    version = three_people.open().train().version
    page = (three_people.folder / "models" / version / "report.html").read_text(encoding="utf-8")
    assert "1 person left the album." not in page, "the model in use had forgotten already"
    shutil.rmtree(three_people.training / "Bo")
    version = three_people.open().train().version
    page = (three_people.folder / "models" / version / "report.html").read_text(encoding="utf-8")
    told = re.sub(r"base64,[^\"]+", "", page)
    assert "1 person left the album." in told
    assert "Ada" in told and "Bo" not in told and "Cy" not in told


def test_the_page_shows_the_face_that_was_taken_for_the_persons(three_people: Painted, misfiled: Path) -> None:
    found, (other,) = faces(three_people), three_people.whose_chip("Ada/wrong.png")
    assert other != "Ada" and sorted(found) == ["Ada", "Ada", "Ada", other]


@pytest.mark.parametrize("replaced", [False, True])
def test_the_page_shows_no_face_of_a_photo_that_changed_meanwhile(
    three_people: Painted, misfiled: Path, replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = train_stage.train

    def and_then(*given: Any) -> train_stage.Trained:
        trained = train(*given)
        misfiled.unlink()
        if replaced:
            three_people.photo("Ada/wrong.png", "Stranger")
        return trained

    monkeypatch.setattr(train_stage, "train", and_then)
    assert faces(three_people) == ["Ada", "Ada", "Ada"]
