"""confirm: a doubt that a human has judged to be unfounded is told no more, and nothing else changes."""

from __future__ import annotations

import json
import shlex
import shutil
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import NEEDS_HUMAN, UsageError
from mien.text.findings import OF_NAMES

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


@pytest.fixture
def doubted(three_people: Painted) -> Painted:
    """With a photo of Bo under Ada, and two of Cy."""
    for number in (4, 5, 6, 7, 8):
        three_people.photo(f"Ada/ada-{number}.png")
    three_people.photo("Ada/wrong.png", "Bo")
    for number in (1, 2):
        three_people.photo(f"Ada/other-{number}.png", "Cy")
    three_people.open().align()
    return three_people


def kinds(painted: Painted) -> dict[str, tuple[str, ...]]:
    """The photos of what may lie under a wrong name, by kind."""
    return {str(one.kind): one.photos for one in painted.open().check().findings if one.kind in OF_NAMES}


def two_people(painted: Painted) -> bool:
    return any(one.kind == "two people" for one in painted.open().check().findings)


def test_what_is_confirmed_is_doubted_no_more(doubted: Painted) -> None:
    others = ("Ada/other-1.png", "Ada/other-2.png")
    assert kinds(doubted) == {"wrong name": ("Ada/wrong.png",), "wrong names": others}
    done = doubted.open().confirm("Ada/wrong.png")
    assert (done.photos, done.people, done.there) == (("training-images/Ada/wrong.png",), ("Ada",), 0)
    assert kinds(doubted) == {"wrong names": others} and doubted.open().check().confirmed == 1
    doubted.open().confirm(doubted.training / others[0])
    (left,) = [one for one in doubted.open().check().findings if one.kind in OF_NAMES]
    assert left.photos == others[1:] and left.why.startswith("1 photo is more like Cy"), "the other is doubted still"
    assert doubted.open().confirm(["Ada/other-1.png", "training-images/Ada/other-2.png"]).there == 1
    assert not kinds(doubted) and doubted.open().check().to_json()["confirmed"] == 2


def test_it_counts_in_training(doubted: Painted) -> None:
    learned = doubted.open().train()
    assert learned.trained is not None and "Ada/wrong.png" in learned.trained.left_out
    doubted.open().confirm("Ada/wrong.png")
    doubted.photo("Ada/ada-9.png")
    learned = doubted.open().train()
    assert not any(finding.photos == ("Ada/wrong.png",) for finding in learned.needs_human)


def test_undo_and_whatever_happens_to_the_photo_have_it_doubted_anew(doubted: Painted) -> None:
    album = doubted.open()
    album.confirm("Ada/wrong.png")
    undone = album.undo()
    assert (undone.verb, undone.people, undone.person) == ("confirm", ("Ada",), "Ada")
    assert "wrong name" in kinds(doubted)
    with pytest.raises(UsageError, match="could be undone"):
        album.undo()
    # It changes, and it is another photo.
    album.confirm("Ada/wrong.png")
    kept = shutil.copy2(doubted.training / "Ada/wrong.png", doubted.folder / "kept.png")
    doubted.paint(doubted.training / "x/wrong.png", "Bo").replace(doubted.training / "Ada/wrong.png")
    (doubted.training / "x").rmdir()
    album.align()
    assert "wrong name" in kinds(doubted)
    # It is what it was, and was confirmed; then it is removed, and somebody adds it again.
    shutil.copy2(kept, doubted.training / "Ada/wrong.png")
    album.align()
    assert "wrong name" not in kinds(doubted)
    album.remove("Ada", "Ada/wrong.png")
    album.add("Ada", kept)
    album.align()
    assert kinds(doubted)["wrong name"] == ("Ada/kept.png",)


def test_it_goes_along_with_names_and_ends_where_the_photo_goes_to_somebody_else(doubted: Painted) -> None:
    album = doubted.open()
    album.confirm("Ada/wrong.png")
    album.rename("Ada", "Adele")
    assert "wrong name" not in kinds(doubted)
    album.move("Adele/wrong.png", "Bo")
    album.move("Bo/wrong.png", "Adele")
    assert "wrong name" in kinds(doubted)
    for _ in range(2):
        album.undo()
    assert "wrong name" not in kinds(doubted), "so it does once that is undone"
    assert album.show("Adele/wrong.png").moved == ()


def test_two_people_may_look_like_one(three_people: Painted) -> None:
    for number in (4, 5, 6):
        three_people.photo(f"Ada/ada-{number}.png")
        three_people.photo(f"Dee/dee-{number}.png", "Ada")
    album = three_people.open()
    album.align()
    (found,) = [one for one in album.check().findings if one.kind == "one in two"]
    done = album.confirm(found.people)
    assert (done.photos, set(done.people)) == ((), {"Ada", "Dee"}) and album.confirm(["Dee", "Ada"]).there == 1
    assert "one in two" not in kinds(three_people)
    album.join("Dee", "Ada")
    album.undo()
    assert "one in two" not in kinds(three_people)
    assert set(album.undo().people) == {"Ada", "Dee"} and "one in two" in kinds(three_people)


def test_one_picture_under_two_people_is_confirmed_under_both(three_people: Painted) -> None:
    shutil.copy2(three_people.training / "Ada/ada-1.png", three_people.training / "Bo/hers.png")
    album = three_people.open()
    album.align()
    (found,) = [one for one in album.check().findings if one.kind == "two people"]
    album.confirm(found.photos[0])
    assert two_people(three_people)
    album.confirm(found.photos)
    assert not two_people(three_people)


def test_what_waits_may_be_confirmed_and_comes_in(three_people: Painted) -> None:
    for number in (4, 5, 6):
        three_people.photo(f"Ada/ada-{number}.png")
    three_people.open().train()
    waiting = three_people.paint(three_people.folder / "2026-03-02-training-images/Ada/odd.png", "Bo")
    assert three_people.open().daily().needs_human and waiting.is_file()
    assert three_people.open().check(waiting=True).needs_human
    three_people.open().confirm(waiting)
    assert not three_people.open().check(waiting=True).needs_human
    assert not three_people.open().daily().needs_human and (three_people.training / "Ada/odd.png").is_file()
    assert not kinds(three_people)


def test_what_cannot_be_confirmed_is_said_and_nothing_is(doubted: Painted) -> None:
    doubted.open().remove("Bo", "bo-1.png")
    for named, told in (
        (["Ada/wrong.png", "Ada/none.png"], "is not there"),
        (["Ada"], "is a person, and no photo"),
        (["Ada", "Nobody"], '^"Nobody" is nobody\'s name in'),
        (["Ada", "Ada"], "is a person, and no photo"),
        (["Ada", "Ada/wrong.png"], "is a person, and no photo"),
        (["Ada", "Bo", "Cy"], "is a person, and no photo"),
        (["Ada/wrong.png", "removed-images/Bo/bo-1.png"], "was taken out of the album"),
        (["Ada/wrong.png", str(doubted.folder / "mien.toml")], "lies outside the folders"),
    ):
        with pytest.raises(UsageError, match=told):
            doubted.open().confirm(named)
    assert "wrong name" in kinds(doubted)


def test_the_command_that_check_prints_does_it(mien: Mien, doubted: Painted) -> None:
    there = ("-C", str(doubted.folder))
    result = mien(*there, "check")
    lines = [
        line.strip()
        for line in result.stdout.splitlines()
        if line.strip().startswith(f"mien -C {doubted.folder} confirm")
    ]
    assert result.exit_code == NEEDS_HUMAN and len(lines) == 4
    for line in lines:
        assert mien(*shlex.split(line)[1:]).exit_code == 0
    result = mien(*there, "check")
    assert result.exit_code == 0 and "4 doubts not told, as you confirmed that all is right" in result.stdout
    said = mien(*there, "confirm", "Ada/wrong.png").stdout
    assert said.startswith("Confirmed 1 photo of Ada; 1 was confirmed before.\n")
    assert json.loads(mien(*there, "undo", "--dry-run", "--json").stdout)["verb"] == "confirm"
    assert mien(*there, "undo", "--yes").stdout.startswith("Undone: the confirm; ")
    assert mien(*there, "confirm", "Ada", "Bo").stdout.startswith("Ada and Bo are two people.\n")
    assert mien(*there, "undo", "--yes").stdout == "Undone: the confirm; Ada and Bo may be doubted again.\n"


def test_whoever_is_removed_everywhere_is_gone_from_it(doubted: Painted) -> None:
    doubted.open().confirm("Ada/wrong.png")
    doubted.open().confirm(["Ada", "Bo"])
    doubted.open().remove("Ada", everywhere=True)
    with doubted.reading() as album:
        confirmed = album.ledger.corrections.confirmed()
    assert not confirmed.photos and not confirmed.pairs
