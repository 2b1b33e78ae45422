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

from mien.registry import versions
from mien.registry.card import Card
from mien.stages import train as train_stage

if TYPE_CHECKING:
    from conftest import Painted

COLOURS = {
    "Ada": (200, 40, 40),
    "Bo": (40, 200, 40),
    "Cy": (40, 40, 200),
    "Stranger": (200, 200, 40),
    "Passer-by": (200, 40, 200),
}


@pytest.fixture
def misfiled(three_people: Painted) -> Path:
    """Two photos of two people, of whom nobody can tell which is Dee; in one somebody stands beside."""
    three_people.photo("Dee/first.png", "Stranger")
    return three_people.photo("Dee/wrong.png", "Cy", "Passer-by", sides=(60, 90))


def faces(painted: Painted) -> list[str]:
    """Whose face each picture is on the page about the model that training makes."""
    version = painted.open().train().version
    page = (painted.folder / "models" / version / "report.html").read_text(encoding="utf-8")
    assert "wrong.png" in page
    (page,) = re.findall(r'<section id="mistakes".*?</section>', page, re.DOTALL)
    found = []
    for text in re.findall(r"data:image/jpeg;base64,([^\"]+)", page):
        with Image.open(io.BytesIO(base64.b64decode(text))) as image:
            middle = np.asarray(image)[image.height // 2, image.width // 2]
        found += [name for name, colour in COLOURS.items() if np.allclose(middle, colour, atol=16)]
    return found


def test_a_page_names_nobody_who_is_gone(taught: Painted) -> None:
    taught.open().remove("Cy")
    taught.photo("Ada/ada-4.png")
    version = taught.open().train().version
    page = (taught.folder / "models" / version / "report.html").read_text(encoding="utf-8")
    assert "1 person left the album." not in page, "the model in use had forgotten already"
    shutil.rmtree(taught.training / "Bo")
    version = taught.open().train().version
    page = (taught.folder / "models" / version / "report.html").read_text(encoding="utf-8")
    told = re.sub(r"base64,[^\"]+", "", page)
    assert "1 person left the album." in told
    assert "Ada" in told and "Bo" not in told and "Cy" not in told


def test_the_page_shows_the_face_that_was_taken_for_the_persons(three_people: Painted, misfiled: Path) -> None:
    found, (shown,) = faces(three_people), three_people.whose_chip("Dee/wrong.png")
    assert shown == "Passer-by" and sorted(found) == ["Passer-by", "Stranger"]


@pytest.mark.parametrize("replaced", [False, True])
def test_the_page_shows_no_face_of_a_photo_that_changed_meanwhile(
    three_people: Painted, misfiled: Path, replaced: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    train = train_stage.train

    def and_then(*given: Any) -> train_stage.Trained:
        trained = train(*given)
        misfiled.unlink()
        if replaced:
            three_people.photo("Dee/wrong.png", "Bo")
        return trained

    monkeypatch.setattr(train_stage, "train", and_then)
    assert faces(three_people) == ["Stranger"]


def test_the_page_begins_with_what_needs_a_human(three_people: Painted) -> None:
    three_people.photo("Ada/stranger.png", "Stranger")
    three_people.photo("Dee/first.png", "Bo")
    version = three_people.open(minimum=1).train().version
    page = (three_people.folder / "models" / version / "report.html").read_text(encoding="utf-8")
    told = re.sub(r"<[^>]+>", "", page)
    header, _, rest = told.partition("But 2 findings below: photos that may lie under a wrong name.")
    needs = rest.rpartition("What needs a human")[2]
    assert "mien report" in header
    assert needs.index("Ada/stranger.png: unlike the other 3 photos of Ada.") < needs.index("Cross-validated:")
    assert "Bo and Dee look like one person in two folders" in told
    assert "1 photo, unlike the person’s others: Ada/stranger.png" in told
    (section,) = re.findall(r'<section id="suspects".*?</section>', page, re.DOTALL)
    links = re.findall(r'<a class="face" href="([^"]+)"><img src="data:image/jpeg', section)
    assert "../../training-images/Ada/stranger.png" in links and len(links) == 3, "and one each of Bo and Dee"
    assert all((three_people.folder / "models" / version / link).is_file() for link in links)


def test_the_page_says_whose_name_strangers_would_get(three_people: Painted) -> None:
    """Dee is Bo under another name, so each is taken for the other once masked; beside them stand Cy, who may be him,
    and a stranger, whom nobody knows."""
    three_people.photo("Bo/two.png", "Bo", "Stranger")
    three_people.photo("Dee/2.png", "Bo")
    three_people.photo("Dee/3.png", "Bo", "Cy")
    learned = three_people.open().train()
    assert learned.to_json()["trained"]["false_alarms"] == {
        "masked": 12,
        "bystanders": 2,
        "people": [
            {"person": "Dee", "masked": 4, "bystanders": 0},
            {"person": "Bo", "masked": 2, "bystanders": 0},
            {"person": "Cy", "masked": 0, "bystanders": 1},
        ],
    }
    page = (three_people.folder / "models" / learned.version / "report.html").read_text(encoding="utf-8")
    (section,) = re.findall(r'<section id="alarms".*?</section>', page, re.DOTALL)
    rows = re.findall(r"<bdi>(\w+)</bdi></th><td>(\d+)</td><td>(\d+)</td>", section)
    assert rows == [("Dee", "4", "0"), ("Bo", "2", "0"), ("Cy", "0", "1")]
    assert "Masked faces, of 12" in section and "Bystanders, of 2" in section
    assert "No stranger would get the name of 1 other person." in section, "Ada's"


def test_false_alarms_name_nobody_who_was_removed(three_people: Painted) -> None:
    three_people.photo("Bo/two.png", "Bo", "Cy")
    first = three_people.open().train().version
    three_people.open().remove("Cy")
    cards = versions.load_cards(three_people.folder / "models")
    later = {name: card for name, card in cards.items() if name != first and isinstance(card, Card)}
    assert later and not any(card.false_alarms for card in later.values())
    first_card = cards[first]
    assert isinstance(first_card, Card) and "Cy" in first_card.false_alarms, "as in its list of people"
