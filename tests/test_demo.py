"""scripts/demo --days: what it shows must be so."""

from __future__ import annotations

import importlib
import re
import shutil
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parent.parent


@pytest.fixture
def days(sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The module examples/days.py, with a smaller sample and one view."""
    for kind, how_many in (("people", 4), ("strangers", 1)):
        for person in sorted((sample / kind).iterdir())[:how_many]:
            for photo in sorted(person.glob("*.jpg"))[:18]:
                place = tmp_path / "sample" / kind / person.name / photo.name
                place.parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(photo, place)
    monkeypatch.syspath_prepend(ROOT / "examples")
    monkeypatch.setenv("MIEN_VIEWS", "1")
    module = importlib.import_module("days")
    monkeypatch.setattr(module, "SAMPLE", tmp_path / "sample")
    return module


def test_two_days_end_in_a_table(days: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert days.live(tmp_path / "work", 2) == 0
    out = capsys.readouterr().out
    assert "Monday, 02 March: the first photos come" in out and "Tuesday, 03 March: more photos come" in out
    assert "a photo that is cut off, a web page called .jpg" in " ".join(out.split())
    assert "2 files refused" in out, "the page and the photo that is cut off"
    assert "somebody else.jpg" in out, "what was filed under the wrong name is held back"
    (first, second) = re.findall(r"^(?:Mon|Tue) \d\d Mar +(\d+) +(\d+) +(\d+) +(\d+) ", out, re.MULTILINE)
    assert first == ("12", "0", "12", "4")
    assert int(second[1]) >= 1 and int(second[2]) > 48 and second[3] == "4"
