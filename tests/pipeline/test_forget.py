"""Whoever may not be recognised any more is forgotten wherever mien wrote their name, and nobody else is."""

from __future__ import annotations

import unicodedata
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from mien import Album
from mien.records.access import Access
from mien.records.asked import remembered
from mien.records.replies import Reply, fingerprint

if TYPE_CHECKING:
    from conftest import Painted

BEFORE = datetime(2026, 11, 24, 3, 30, tzinfo=UTC)
AFTER = datetime(2026, 11, 26, 3, 30, tzinfo=UTC)
UNTIL = "2026-11-25"


def open_at(painted: Painted, now: datetime) -> Album:
    return painted.open(clock=lambda: now)


def say(painted: Painted, text: str) -> None:
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n{text}\n")


def traces(folder: Path, name: str) -> list[str]:
    """The files that mien wrote in which a name stands, however it is spelt, or that are called so."""
    forms = {unicodedata.normalize(form, name) for form in ("NFC", "NFD")}
    spelt = {form.encode() for form in forms} | {form.encode("unicode_escape") for form in forms}
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        if place.startswith("removed-images") or place == "mien.toml":
            continue  # the user's own
        if any(form in place for form in forms) or (path.is_file() and any(one in path.read_bytes() for one in spelt)):
            found.append(place)
    return found


@pytest.fixture
def club(painted: Painted) -> Painted:
    """José, spelt as a Mac does, with photos that carry his name; Ann, and Ann Lee. They came from a source and by
    hand, a daily run found things to say of them, and a classify of a folder was abandoned."""
    jose = unicodedata.normalize("NFD", "José")
    drop = painted.folder.parent / "drop"
    for person, colour in ((jose, "Ada"), ("Ann", "Bo"), ("Ann Lee", "Cy")):
        for number in (1, 2, 3):
            painted.paint(drop / person / f"{person}_{number}.png", colour)
    painted.paint(drop / "Ann" / f"with {jose}.png", "Ada")  # José under the wrong name
    (drop / jose / "José_broken.png").write_bytes(b"")
    say(
        painted,
        '[sources.drop]\nkind = "folder"\npath = "../drop"\nbasis = "consent"\nlicence = "own work"\n'
        f'[people."José"]\nuntil = {UNTIL}\n[people."Ann"]\nuntil = {UNTIL}',
    )
    by_hand = painted.paint(painted.folder.parent / "by hand.png", "Ada")
    first = open_at(painted, BEFORE)
    first.add("José", [by_hand])
    first.daily()
    painted.paint(drop / "Ann Lee" / "like him.png", "Ada")
    open_at(painted, BEFORE.replace(hour=5)).daily()
    list(open_at(painted, BEFORE).classify(painted.paint(painted.folder.parent / "groups/1.png", "Ada", "Bo", "Cy")))
    with Access.for_writing(painted.folder / ".mien/catalog-access.sqlite") as access:  # a server told of him
        for name in ("José", "Ann", "Ann Lee"):
            access.replies.begin("desk", name, fingerprint(name), BEFORE)
            access.replies.finish("desk", name, Reply(200, "text/plain", name.encode()))
            access.jobs.ask("train", "desk", BEFORE)
            job = access.jobs.start_next(BEFORE)
            assert job
            access.jobs.finish(job.id, BEFORE, "done", 0, {"people": [name]})
    return painted


def test_the_names_stand_in_many_places_before(club: Painted) -> None:
    assert len(traces(club.folder, "José")) > 5 and len(traces(club.folder, "Ann")) > 5
    assert remembered(club.folder / ".mien/catalog-asked.sqlite").photos == 1
    assert ".mien/catalog-access.sqlite" in traces(club.folder, "José")


def test_a_name_is_gone_from_everywhere_after(club: Painted) -> None:
    done = open_at(club, AFTER).daily()
    assert done.run.state == "done", done.needs_human
    assert traces(club.folder, "José") == []
    assert remembered(club.folder / ".mien/catalog-asked.sqlite").photos == 0
    assert [place for place in traces(club.folder, "Ann") if "Ann Lee" not in place] == [
        place for place in traces(club.folder, "Ann Lee") if "Ann Lee" not in place
    ], "every Ann that is left is Ann Lee"
    still = open_at(club, AFTER).show(next((club.training / "Ann Lee").iterdir()))
    assert still.fetches[0].person == "Ann Lee"
    assert [person.name for person in open_at(club, AFTER).status().people] == ["Ann Lee"]


def test_it_is_done_once_and_what_is_added_by_hand_after_that_stays(club: Painted) -> None:
    open_at(club, AFTER).daily()
    again = club.paint(club.folder.parent / "again.png", "Ada")
    album = open_at(club, AFTER)
    album.add("José", [again])
    assert open_at(club, AFTER).daily().figure("expire", "photos") == 0
    assert (club.training / "José/again.png").is_file()


def test_what_an_expired_source_brought_goes_once_and_what_came_by_hand_stays(painted: Painted) -> None:
    drop = painted.folder.parent / "drop"
    shots = [painted.paint(drop / "Ada" / f"{number}.png", "Ada") for number in (1, 2, 3)]
    for number in (1, 2):
        painted.photo(f"Bo/{number}.png")
    say(
        painted,
        f'[sources.drop]\nkind = "folder"\npath = "../drop"\nbasis = "consent"\nlicence = "own work"\nuntil = {UNTIL}',
    )
    open_at(painted, BEFORE).daily()
    open_at(painted, BEFORE).add("Ada", [shots[0]])  # there already, by the source's grace
    first = open_at(painted, AFTER).daily()
    assert first.figure("expire", "photos") == 3
    assert not (painted.training / "Ada").exists()
    open_at(painted, AFTER).add("Ada", [shots[1]])
    for _ in range(2):
        assert open_at(painted, AFTER).daily().figure("expire", "photos") == 0
    assert [file.name for file in (painted.training / "Ada").iterdir()] == ["2.png"]


def test_the_history_of_models_says_of_a_removal_that_it_was_one(taught: Painted) -> None:
    taught.open().remove("Bo", [next((taught.training / "Bo").iterdir())])
    taught.open().remove("Bo")
    assert [one.how for one in taught.open().models()] == ["train", "remove", "remove"]
