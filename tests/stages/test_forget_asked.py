"""What was seen in photos that were only asked about is forgotten at a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import UsageError
from mien.records.asked import remembered

if TYPE_CHECKING:
    from conftest import Painted


@pytest.fixture
def party(taught: Painted, tmp_path: Path) -> Path:
    """Three photos that were asked about."""
    for number in range(3):
        taught.paint(tmp_path / f"party/{number}.png", "Ada", "Bo")
    list(taught.open().classify(tmp_path / "party"))
    return tmp_path / "party"


def test_some_or_all_are_forgotten(three_people: Painted, party: Path, mien: Callable[..., Any]) -> None:
    club = three_people.folder
    done = three_people.open().forget(party / "1.png")
    assert (done.photos, done.left) == (1, 2)
    assert mien("-C", club, "forget", party / "0.png").stdout == (
        "Forgotten: what was seen in 1 photo. 1 photo still remembered.\n"
    )
    assert "Nothing was remembered of them" in mien("-C", club, "forget", party / "0.png").stdout
    assert json.loads(mien("-C", club, "forget", "--json").stdout) == {"photos": 1, "left": 0}
    assert mien("-C", club, "forget").stdout == "Nothing was remembered.\n"
    assert remembered(club / ".mien/catalog-asked.sqlite").photos == 0
    three_people.looked()
    list(three_people.open().classify(party))
    assert len(three_people.looked()) == 3


def test_the_status_says_how_much_is_remembered(three_people: Painted, party: Path, mien: Callable[..., Any]) -> None:
    assert three_people.open().status().remembered.photos == 3
    said = " ".join(mien("-C", three_people.folder, "status").stdout.split())
    assert "remembered what was seen in 3 photos only asked about, 0.1 MB; mien -C" in said
    told = json.loads(mien("-C", three_people.folder, "status", "--json").stdout)["remembered"]
    assert told["photos"] == 3 and told["bytes"] > 0
    three_people.open().forget()
    assert "remembered" not in mien("-C", three_people.folder, "status").stdout


def test_it_forgets_nobody(three_people: Painted, party: Path, mien: Callable[..., Any]) -> None:
    result = mien("-C", three_people.folder, "forget", "Ada")
    assert result.exit_code == 2 and f"mien -C {three_people.folder} remove <person> --everywhere" in result.stderr
    with pytest.raises(UsageError, match="does not exist"):
        three_people.open().forget("Ada")
    assert remembered(three_people.folder / ".mien/catalog-asked.sqlite").photos == 3
