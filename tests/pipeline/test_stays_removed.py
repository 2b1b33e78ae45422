"""Whoever was removed stays removed: whatever brings photos or models, until a human adds the person again."""

from __future__ import annotations

import json
import os
import shutil
import unicodedata
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import Album
from mien.errors import ModelError
from mien.registry import versions
from mien.text.findings import LeftOutKind

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]

START = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)


class Club:
    """An album with a source, a folder, and a clock that goes on by a day a call."""

    def __init__(self, painted: Painted) -> None:
        self.painted, self.folder, self.training = painted, painted.folder, painted.training
        self.drop = painted.folder.parent / "drop"
        self.now = START
        with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
            file.write('[sources.drop]\nkind = "folder"\npath = "../drop"\nbasis = "consent"\nlicence = "own work"\n')
        for person in ("Ada", "Bo", "Cy"):
            for number in (1, 2, 3):
                painted.paint(self.drop / person / f"{number}.png", person)

    def open(self, **settings: Any) -> Album:
        self.now += timedelta(days=1)
        now = self.now
        return self.painted.open(clock=lambda: now, **settings)

    def arrive(self, path: str, of: str) -> Path:
        return self.painted.paint(self.drop / path, of)

    def people(self) -> list[str]:
        return sorted(folder.name for folder in self.training.iterdir() if any(folder.iterdir()))

    def known(self, version: str | None = None) -> tuple[str, ...]:
        return versions.people(self.folder / "models", version or str(self.painted.open().version))

    def answers(self, photo: Path, **options: Any) -> list[str | None]:
        (answer,) = self.open().classify(photo, **options)
        return [face.prediction.person for face in answer.faces]


@pytest.fixture
def club(painted: Painted) -> Club:
    club = Club(painted)
    club.open().daily()
    assert club.people() == ["Ada", "Bo", "Cy"]
    return club


# Photos


@pytest.mark.parametrize("spelt", ["Ada", "ada", "A\u200bda", "Áda"])
def test_no_source_brings_a_person_back(club: Club, spelt: str) -> None:
    club.open().remove("Ada")
    club.arrive(f"{spelt}/new.png", "Ada")
    for done in (club.open().daily(), club.open().daily()):
        collected = done.run.step("collect")
        assert collected and "of 1 removed person passed over" in collected.line
        assert done.exit_code == 0
    assert club.people() == ["Bo", "Cy"] and "Ada" not in club.known()
    assert not list(club.folder.glob("*-training-images"))


def test_collecting_says_who_is_kept_out_and_how_they_come_back(club: Club, mien: Mien) -> None:
    club.open().remove("Ada")
    on = f"{(club.now).astimezone():%Y-%m-%d}"
    club.arrive("Ada/new.png", "Ada")
    said = mien("-C", club.folder, "collect").stdout
    assert f"passed over 4 photos of Ada, who was removed on {on}" in " ".join(said.split())
    assert "add Ada PHOTO" in said and "0 new photos came" in said
    (told,) = json.loads(mien("-C", club.folder, "collect", "--json").stdout)["sources"]
    assert told["removed"] == [{"person": "Ada", "on": on, "photos": 4}] and told["passed_over"] == 0


def test_a_human_brings_a_person_back_and_is_told(club: Club, mien: Mien) -> None:
    club.open().remove("Ada")
    club.arrive("Ada/new.png", "Ada")
    photo = club.folder / "removed-images/Ada/1.png"
    added = mien("-C", club.folder, "add", "Ada", photo)
    assert added.exit_code == 0 and "Ada, who was removed on" in added.stdout
    assert "Ada, who was removed" not in mien("-C", club.folder, "add", "Ada", photo).stdout
    club.open().daily()
    assert {"1.png", "new.png"} <= {file.name for file in (club.training / "Ada").iterdir()}
    assert "Ada" in club.known()


@pytest.mark.skipif(os.name == "nt", reason="Windows has no such files")
def test_what_cannot_be_read_brings_nobody_back(club: Club) -> None:
    club.open().remove("Ada")
    broken = club.folder / "broken.png"
    os.mkfifo(broken)
    added = club.open().add("Ada", [broken])
    assert added.failures and added.back is None
    assert [one.name for one in club.open().status().removed] == ["Ada"]


def test_photos_that_somebody_puts_back_into_training_images_count(club: Club) -> None:
    club.open().remove("Ada")
    shutil.move(club.folder / "removed-images/Ada", club.training / "Ada")
    club.arrive("Ada/new.png", "Ada")
    album = club.open()
    done = album.daily()
    expired = done.run.step("expire")
    assert expired and "1 removed person back, with photos in training-images" in expired.line
    (settled,) = album.settled
    assert settled.line.startswith("Ada, who was removed on") and settled.people == ("Ada",)
    assert (club.training / "Ada/new.png").is_file() and "Ada" in club.known()
    assert club.open().status().removed == ()


def test_whoever_is_back_is_told_by_the_command_line(club: Club, mien: Mien) -> None:
    club.open().remove("Ada")
    shutil.move(club.folder / "removed-images/Ada", club.training / "Ada")
    result = mien("-C", club.folder, "merge")
    assert "Ada, who was removed on" in result.stderr and "is learned from these" in result.stderr
    assert mien("-C", club.folder, "merge").stderr == ""


def test_an_empty_folder_brings_nobody_back(club: Club) -> None:
    club.open().remove("Ada")
    (club.training / "Ada").mkdir()
    (club.training / "Ada/.DS_Store").write_bytes(b"x")
    club.arrive("Ada/new.png", "Ada")
    club.open().daily()
    assert "Ada" not in club.known() and not (club.training / "Ada/new.png").exists()


def test_an_intake_that_still_holds_them_is_neither_seen_nor_merged(club: Club) -> None:
    club.open().remove("Ada")
    club.painted.looked()
    waiting = club.painted.paint(club.folder / "2026-11-19-training-images/Ada/9.png", "Ada")
    club.painted.paint(club.folder / "2026-11-19-training-images/Bo/9.png", "Bo")
    done = club.open().daily()
    merged = done.run.step("merge")
    assert merged and "1 left in the intake, as the person or the photo was removed" in merged.line
    assert waiting.is_file() and (club.training / "Bo/9.png").is_file()
    assert club.people() == ["Bo", "Cy"] and club.painted.looked() == ["9.png"]
    (left,) = club.open().merge().left
    assert left.kind is LeftOutKind.PERSON_REMOVED and "who was removed on 2026-11-" in left.reason
    club.open().add("Ada", [waiting])
    assert [move.to for move in club.open().merge().duplicates] == ["training-images/Ada/9.png"]


def test_a_forgotten_name_does_not_come_back_by_an_intake(club: Club) -> None:
    club.open().remove("Ada", everywhere=True)
    club.painted.paint(club.folder / "2026-11-19-training-images/Ada/9.png", "Ada")
    club.open().daily()
    with club.painted.reading() as album:
        assert album.ledger.people.person("Ada") is None
    assert club.people() == ["Bo", "Cy"]


def test_a_photo_that_was_taken_out_stays_out_under_any_name(club: Club) -> None:
    by_hand = club.painted.paint(club.folder.parent / "hand.png", "Ada")
    club.open().add("Ada", [by_hand])
    club.open().remove("Ada", ["hand.png"], delete=True)
    shutil.copy(by_hand, club.drop / "Ada/another name.png")
    shutil.copy(by_hand, club.drop / "Bo/Bo's.png")
    (told,) = club.open().collect().sources
    assert (told.removed_photos, told.photos) == (1, 1), "to Bo it was never said to be none of his"
    (again,) = club.open().collect().sources
    assert (again.removed_photos, again.known) == (0, 11), "it is not fetched again"
    waiting = club.folder / "2026-11-19-training-images/Ada/copied by hand.png"
    waiting.parent.mkdir(parents=True)
    shutil.copy(by_hand, waiting)
    left = {one.path: one.kind for one in club.open().merge().left}
    assert left[waiting.relative_to(club.folder).as_posix()] is LeftOutKind.PHOTO_REMOVED
    club.open().add("Ada", [by_hand])
    assert not [one for one in club.open().merge().left if one.kind is LeftOutKind.PHOTO_REMOVED]


def test_a_copy_that_was_taken_out_keeps_nothing_out(club: Club) -> None:
    shutil.copy(club.training / "Ada/1.png", club.training / "Ada/copy.png")
    club.open().align()
    club.open().remove("Ada", ["copy.png"])
    with club.painted.reading() as album:
        assert not album.ledger.removals


def test_whose_time_was_over_stays_out_when_mien_toml_says_nothing_any_more(club: Club) -> None:
    settings = club.folder / "mien.toml"
    before = settings.read_text("utf-8")
    settings.write_text(f"{before}\n[people.Ada]\nuntil = {club.now.date() - timedelta(days=400)}\n", "utf-8")
    club.open().daily()
    settings.write_text(before, "utf-8")
    club.arrive("Ada/new.png", "Ada")
    club.open().daily()
    assert club.people() == ["Bo", "Cy"] and [one.name for one in club.open().status().removed] == [""]


def test_what_a_source_may_not_be_used_for_comes_back_when_its_day_is_put_off(club: Club) -> None:
    settings = club.folder / "mien.toml"
    before = settings.read_text("utf-8")
    settings.write_text(f"{before}until = {club.now.date() - timedelta(days=400)}\n", "utf-8")
    assert club.open().daily().figure("expire", "photos") == 9
    assert club.people() == [] and club.open().status().removed == ()
    settings.write_text(before, "utf-8")
    club.open().daily()
    assert club.people() == ["Ada", "Bo", "Cy"]


def test_a_removal_that_was_killed_is_finished_by_the_next_command(
    club: Club, mien: Mien, monkeypatch: pytest.MonkeyPatch
) -> None:
    class Killed(BaseException):
        pass

    def kill(*_: object, **__: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr("mien.storage.in_folder.remove_empty", kill)
        with pytest.raises(Killed):
            club.open().remove("Ada")
    assert "Ada" in club.known()
    club.arrive("Ada/new.png", "Ada")
    result = mien("-C", club.folder, "collect")
    assert "the removal of Ada, which was interrupted, is finished" in result.stderr
    assert "Ada" not in club.known() and "passed over" in result.stdout
    assert club.people() == ["Bo", "Cy"]


# Models


def test_a_rollback_does_not_bring_a_person_back(club: Club, mien: Mien) -> None:
    first = str(club.open().version)
    club.arrive("Bo/4.png", "Bo")
    club.open().train()
    club.open().merge()
    club.arrive("Bo/5.png", "Bo")
    club.open().daily()
    second = str(club.open().version)
    assert second != first
    club.open().remove("Ada")
    removed = str(club.open().version)
    result = mien("-C", club.folder, "models", "rollback")
    now = str(club.open().version)
    assert result.exit_code == 0 and now not in (first, second, removed)
    assert f"{first} knows Ada, removed since: {now} is the same without, and is in use" in result.stderr
    assert club.known() == ("Bo", "Cy") and club.answers(club.drop / "Ada/1.png") == [None]
    assert set(club.known(first)) == {"Ada", "Bo", "Cy"}
    with pytest.raises(ModelError, match="has no earlier model to go back to"):
        club.open().rollback()
    assert club.open().version == now


def test_a_rollback_that_was_killed_before_the_model_was_in_use_is_repeated(
    club: Club, monkeypatch: pytest.MonkeyPatch
) -> None:
    club.arrive("Bo/4.png", "Bo")
    club.open().daily()
    club.open().remove("Ada")
    before = club.open().version

    def kill(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("mien.registry.versions.write_atomically", kill)
        with pytest.raises(KeyboardInterrupt):
            club.open().rollback()
    assert club.open().version == before
    assert club.open().rollback() == club.open().version != before
    assert club.known() == ("Bo", "Cy")


def test_a_version_that_is_promoted_is_so_without_them(club: Club, mien: Mien) -> None:
    first = str(club.open().version)
    club.open().remove("Ada")
    clean = str(club.open().version)
    club.arrive("Bo/4.png", "Bo")
    club.open().daily()
    result = mien("-C", club.folder, "models", "promote", first)
    assert result.stdout.split() == ["model", clean, "is", "in", "use"], "that was made when Ada was removed"
    assert f"{first} knows Ada, removed since" in result.stderr


def test_a_version_that_knows_nobody_else_is_refused(painted: Painted) -> None:
    painted.photo("Ada/1.png")
    painted.open().train()
    first = str(painted.open().version)
    painted.open().remove("Ada")
    with pytest.raises(ModelError, match="knows nobody but people who were removed"):
        painted.open().promote(first)
    with pytest.raises(ModelError, match="knows nobody but people who were removed"):
        list(painted.open().classify(painted.folder / "removed-images", model=painted.folder / "models" / first))


def test_a_model_that_is_only_asked_answers_without_them(club: Club, mien: Mien) -> None:
    first = club.folder / "models" / str(club.open().version)
    shutil.copytree(first, club.folder.parent / "copy")
    club.open().remove("Ada")
    for model in (first, club.folder.parent / "copy"):
        assert club.answers(club.drop / "Ada/1.png", model=model) == [None]
        assert club.answers(club.drop / "Bo/1.png", model=model) == ["Bo"]
        said = mien("-C", club.folder, "classify", club.drop / "Bo/1.png", "--model", model)
        assert f"{first.name} knows Ada, removed since, and answers without" in said.stderr
    club.open().add("Ada", [club.folder / "removed-images/Ada/1.png"])
    assert club.answers(club.drop / "Ada/1.png", model=first) == ["Ada"]


def test_a_model_in_use_that_knows_them_all_the_same_is_changed(club: Club) -> None:
    """A backup of models/ was put back, say."""
    shutil.copytree(club.folder / "models", club.folder.parent / "backup")
    club.open().remove("Ada")
    shutil.rmtree(club.folder / "models")
    shutil.copytree(club.folder.parent / "backup", club.folder / "models")
    assert "Ada" in club.known()
    album = club.open()
    album.merge()
    assert club.known() == ("Bo", "Cy")
    assert ["the model in use knew Ada" in finding.line for finding in album.settled] == [True]
    album.merge()
    assert album.settled == ()


# How it is told


def test_status_says_who_is_kept_out(club: Club, mien: Mien) -> None:
    club.open().remove("Ada")
    club.open().remove("Cy", everywhere=True)
    on = f"{club.now.astimezone():%Y-%m-%d}"
    said = " ".join(mien("-C", club.folder, "status").stdout.split())
    assert "removed Ada (" in said and f"1 other; nobody brings them back but `mien -C {club.folder} add`" in said
    told = json.loads(mien("-C", club.folder, "status", "--json").stdout)["removed"]
    assert [one["person"] for one in told] == ["Ada", None] and told[1]["on"] == on


def test_a_folder_of_a_mac_is_the_same_person(painted: Painted) -> None:
    club = Club(painted)
    nfd = unicodedata.normalize("NFD", "José")
    club.arrive(f"{nfd}/1.png", "Ada")
    club.open().daily()
    club.open().remove("José")
    club.arrive(f"{nfd}/2.png", "Ada")
    club.open().daily()
    assert club.people() == ["Ada", "Bo", "Cy"]
