"""What `move`, `rename`, `join` and `undo` print, and that what `check` prints about wrong names can be pasted."""

from __future__ import annotations

import json
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.cli.corrections import mending
from mien.text.findings import FindingKind
from mien.types import Finding

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


def said(result: Any) -> list[str]:
    assert result.exit_code == 0, result.output
    return [" ".join(line.split()) for line in result.stdout.splitlines()]


def test_each_says_what_it_did_and_how_it_is_undone(mien: Mien, misfiled: Painted) -> None:
    there = ("-C", misfiled.folder)
    first, *rest = said(mien(*there, "move", "Ada/wrong.png", "Bo/bo-1.png", "Boo"))
    assert first == "Moved 2 photos from Ada and Bo to Boo."
    assert rest[:2] == ["moved Ada/wrong.png -> Boo/wrong.png", "Bo/bo-1.png -> Boo/bo-1.png"]
    assert "new Boo was not in this album before" in rest and rest[-1] == f"undo mien -C {misfiled.folder} undo"
    assert said(mien(*there, "move", "Boo/bo-1.png", "Boo")) == ["Nothing to move: 1 lies under Boo already."]
    first, *rest = said(mien(*there, "rename", "Ada", "Adele"))
    assert first == "Ada is called Adele now." and any(
        line.startswith("earlier 2 versions still say Ada") for line in rest
    )
    first, *_ = said(mien(*there, "join", "Boo", "Bo"))
    assert first == "Boo and Bo are one person now, called Bo."
    assert said(mien(*there, "undo", "--dry-run"))[0] == "To undo: the join; 2 files go back from Bo to Boo."
    for told in ("the join; 2 files go back from Bo to Boo", "the rename; Adele is Ada again"):
        assert said(mien(*there, "undo"))[0] == f"Undone: {told}."
    assert json.loads(mien(*there, "undo", "--json").stdout)["moved"][0] == {
        "was": "Boo/bo-1.png",
        "now": "Bo/bo-1.png",
    }
    refused = mien(*there, "undo")
    assert refused.exit_code == 2 and "no correction of the last 90 days" in refused.stderr


def test_nothing_is_undone_and_nothing_was_stopped_where_the_answer_is_no(
    mien: Mien, misfiled: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    misfiled.open().move("Ada/wrong.png", "Bo")
    monkeypatch.setattr("mien.cli.corrections.asked", lambda: True)
    result = mien("-C", misfiled.folder, "undo", typed="n\n")
    assert result.exit_code == 130 and result.stdout.endswith("Nothing was done.\n") and result.stderr == ""
    assert (misfiled.training / "Bo/wrong.png").is_file()
    assert "Undone: the move" in mien("-C", misfiled.folder, "undo", typed="\n").stdout


def test_a_photo_that_waits_goes_on_waiting(mien: Mien, misfiled: Painted) -> None:
    misfiled.paint(misfiled.folder / "2026-11-20-training-images/Ada/new.png", "Bo")
    lines = said(mien("-C", misfiled.folder, "move", "2026-11-20-training-images/Ada/new.png", "Bo"))
    assert any(line.startswith("waiting to be merged, as before") for line in lines)
    assert (misfiled.folder / "2026-11-20-training-images/Bo/new.png").is_file()


def test_somebody_nearly_called_so_is_asked_about(mien: Mien, misfiled: Painted) -> None:
    misfiled.photo("Freya/1.png")
    lines = said(mien("-C", misfiled.folder, "move", "Ada/wrong.png", "Freyja"))
    assert f"did you mean Freya? Then: mien -C {misfiled.folder} undo" in " ".join(lines)


@pytest.mark.parametrize(
    ("finding", "words"),
    [
        (Finding(FindingKind.WRONG_NAME, ("Ada", "Bo B"), ("Ada/1.png",)), ["move", "Ada/1.png", "Bo B"]),
        (Finding(FindingKind.ONE_IN_TWO, ("Ada", "-Ada")), ["join", "--", "-Ada", "Ada"]),
        (
            Finding(FindingKind.ODD, ("Ada",), ("Ada/1.png", "Ada/2.png")),
            ["move", "Ada/1.png", "Ada/2.png", "<person>"],
        ),
        (Finding(FindingKind.WRONG_NAMES, ("Ada", "Bo"), tuple(map(str, range(99)))), None),
        (Finding(FindingKind.FEW, ("Ada",)), None),
    ],
)
def test_a_finding_about_names_comes_with_its_command(finding: Finding, words: list[str] | None) -> None:
    told = mending(Path("my club"), finding)
    assert shlex.split(told)[3:] == (words or [])


def test_what_check_prints_mends_it(mien: Mien, misfiled: Painted) -> None:
    for number in (4, 5, 6):
        misfiled.photo(f"Ada/ada-{number}.png")
    misfiled.open().align()
    result = mien("-C", misfiled.folder, "check")
    lines = [line.strip() for line in result.stdout.splitlines() if f"mien -C {misfiled.folder} move" in line]
    assert lines == [f"mien -C {misfiled.folder} move Ada/wrong.png Bo"]
    assert mien(*shlex.split(lines[0])[1:]).exit_code == 0
    assert "wrong name" not in mien("-C", misfiled.folder, "check").stdout
