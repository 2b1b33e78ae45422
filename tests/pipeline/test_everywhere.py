"""`mien remove PERSON --everywhere`: nothing of the person is left below the album, wherever it was killed."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
import sqlite3
import unicodedata
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

from mien import Album
from mien.errors import DamagedModelError, StorageError, UsageError
from mien.registry import versions
from mien.registry.folder import load_fitted, load_model

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]

NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
NAME = "Zoë Ångström"
NFD = unicodedata.normalize("NFD", NAME)


def open_at(painted: Painted, days: int) -> Album:
    return painted.open(clock=lambda: NOW + timedelta(days=days))


def secrets(painted: Painted) -> set[bytes]:
    """The name as bytes, however it may be spelt or written, and the person's embeddings, in catalog and models."""
    found = set()
    for name in (NAME, NFD, NAME.lower(), NAME.upper()):
        found |= {name.encode(code) for code in ("utf-8", "utf-16-le", "utf-16-be", "unicode_escape", "latin-1")[:4]}
        found.add(json.dumps(name)[1:-1].encode())
    with closing(sqlite3.connect(painted.folder / ".mien/catalog.sqlite")) as database:
        rows = database.execute("SELECT embedding FROM faces JOIN files USING (sha256) WHERE path LIKE '%ngstr%'")
        found |= {embedding for (embedding,) in rows}
    for version in versions.names(painted.folder / "models"):
        with contextlib.suppress(DamagedModelError):
            model = load_model(painted.folder / "models" / version)
            assert NAME in model.people
            head = load_fitted(painted.folder / "models" / version, model)
            found.add(np.ascontiguousarray(head.vectors[model.people.index(NAME)]).tobytes())
    return found


def traces(folder: Path, told: set[bytes]) -> list[str]:
    """Files of the album that hold any of this, or are called so."""
    found = []
    for path in sorted(folder.rglob("*")):
        place = path.relative_to(folder).as_posix()
        named = unicodedata.normalize("NFC", NAME) in unicodedata.normalize("NFC", place)
        data = path.read_bytes() if path.is_file() and not path.is_symlink() else b""
        if named or any(one in data for one in told):
            found.append(place)
    return found


@pytest.fixture
def club(painted: Painted, _club: Path) -> Painted:
    """Someone whom everything in the album names: sources, runs, three versions with pages, chips, what was set aside,
    an intake, a journal of an earlier version, a traceback, what killed runs left."""
    shutil.copytree(_club.parent, painted.folder.parent, dirs_exist_ok=True)
    return painted


@pytest.fixture(scope="module")
def _club(tmp_path_factory: pytest.TempPathFactory, new_painted: Callable[[Path], Painted]) -> Path:
    painted = new_painted(tmp_path_factory.mktemp("club") / "album")
    drop = painted.folder.parent / "drop"
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('[sources.drop]\nkind = "folder"\npath = "../drop"\nbasis = "consent"\nlicence = "own work"\n')
    for person, colour in ((NFD, "Ada"), ("Bo", "Bo"), ("Cy", "Cy")):
        for number in (1, 2, 3):
            painted.paint(drop / person / f"{person}_{number}.png", colour)
    (drop / NFD / f"{NFD}_broken.png").write_bytes(b"")
    (drop / "Bo" / f"{NAME}.txt").write_bytes(b"")
    open_at(painted, 0).daily()
    open_at(painted, 1).add(NAME, [painted.paint(painted.folder.parent / f"{NAME} by hand.png", "Ada")], enrol=True)
    painted.paint(drop / "Bo" / "like her.png", "Ada")  # and it waits, with findings about both
    open_at(painted, 2).daily()
    open_at(painted, 3).remove(NAME, [f"{NAME}_3.png"])
    painted.paint(drop / NFD / "late.png", "Ada")
    open_at(painted, 4).collect()
    list(open_at(painted, 4).classify(painted.paint(painted.folder.parent / "groups/1.png", "Ada", "Bo", "Cy")))
    (painted.folder / ".mien/journals").mkdir()
    (painted.folder / ".mien/journals/classify-0123456789abcdef.jsonl").write_text(f'{{"person": "{NAME}"}}\n', "utf-8")
    tracebacks = painted.folder / ".mien/tracebacks"
    tracebacks.mkdir(exist_ok=True)
    (tracebacks / "mien-traceback-0123456789abcdef.txt").write_text(f"training-images/{NAME}/1.png", "utf-8")
    (painted.folder / "models/.mien-new-2026-11-01-001.tmp").mkdir()
    (painted.folder / "models/.mien-new-2026-11-01-001.tmp/labels.txt").write_text(f"{NAME}\n", "utf-8")
    shutil.copytree(painted.folder / "models" / versions.names(painted.folder / "models")[0], damaged(painted))
    (damaged(painted) / "labels.txt").write_bytes(f"\n{NAME}".encode())
    return painted.folder


def damaged(painted: Painted) -> Path:
    return painted.folder / "models/2026-11-02-001"


def state(painted: Painted) -> object:
    """What a removal ends in, but for the names of versions: the model in use is made anew after some kills."""
    model = load_model(painted.folder / "models" / str(painted.open().version))
    photos = sorted(path.relative_to(painted.folder).as_posix() for path in painted.folder.rglob("*.png"))
    removed = [(one.name, one.pending) for one in painted.open().status().removed]
    return model.people, photos, removed, painted.counts()


def test_the_name_stands_in_many_places_before(club: Painted) -> None:
    found = traces(club.folder, secrets(club))
    kinds = {"journals", "tracebacks", "card.json", "labels.txt", "report.html", "catalog.sqlite", "ledger.sqlite"}
    kinds |= {"training-images/", "removed-images/", "aligned-images/", "2026-11-24-training-images/"}
    assert not [kind for kind in kinds if not any(kind in place for place in found)], found


@pytest.mark.parametrize("spelt", [NAME, NFD])
def test_nothing_is_left(club: Painted, spelt: str) -> None:
    told = secrets(club)
    photos = len([path for path in club.folder.rglob("*.png") if "ngstr" in path.as_posix()])
    chips = len([path for path in club.folder.rglob("aligned-images/*/*.png") if "ngstr" in path.as_posix()])
    removed = open_at(club, 5).remove(spelt, everywhere=True)
    assert len(removed.files) == photos - chips and not (removed.now or removed.older)
    assert traces(club.folder, told) == []
    assert damaged(club).name in removed.dropped and len(removed.dropped) >= 4
    assert load_model(club.folder / "models" / str(removed.version)).people == ("Bo", "Cy")
    assert not removed.mentioned
    with closing(sqlite3.connect(club.folder / ".mien/catalog-ledger.sqlite")) as ledger:
        assert ledger.execute("SELECT count(*) FROM removals WHERE person IS NULL AND pending IS NULL").fetchone() == (
            1,
        )
    done = open_at(club, 6).daily()
    collected = done.run.step("collect")
    assert collected and "of 1 removed person passed over" in collected.line and done.run.state == "done"
    assert traces(club.folder, told) == []
    assert sorted(person.name for person in open_at(club, 6).status().people) == ["Bo", "Cy"]


def test_who_left_before_can_be_removed_everywhere(club: Painted) -> None:
    told = secrets(club)
    open_at(club, 5).remove(NAME)
    assert traces(club.folder, told)
    open_at(club, 6).remove(NAME, everywhere=True)
    assert traces(club.folder, told) == []
    again = open_at(club, 6).remove(NAME, everywhere=True)
    assert again.files == () and traces(club.folder, told) == []


def test_a_damaged_model_in_use_knows_nobody_can_say_whom(club: Painted) -> None:
    told = secrets(club)
    (club.folder / "models" / str(club.open().version) / "card.json").write_text(f'{{"photos": "{NAME}"}}', "utf-8")
    removed = open_at(club, 5).remove(NAME, everywhere=True)
    assert removed.version is None and traces(club.folder, told) == []


def test_links_go_and_what_they_lead_to_stays(club: Painted) -> None:
    told = secrets(club)
    mine = club.folder.parent / "mine"
    club.paint(mine / "kept.png", "Ada")
    (club.training / NAME / "a link").symlink_to(mine)
    (club.folder / "removed-images" / NAME.upper()).mkdir()
    (club.folder / "2026-11-23-training-images").mkdir()
    (club.folder / "2026-11-23-training-images" / NAME).symlink_to(mine)
    open_at(club, 5).remove(NAME, everywhere=True)
    assert (mine / "kept.png").is_file() and traces(club.folder, told) == []
    assert (club.folder / "removed-images" / NAME.upper()).is_dir(), "another name, on this disk"


class Killed(BaseException):
    pass


STEPS = ("os.link", "os.unlink", "os.rmdir", "os.rename", "os.replace", "os.mkdir")


def killed_after(steps: int, action: Callable[[], object]) -> bool:
    """Whether `action` did more than so many steps, and so came to an end before the next."""
    left = steps

    def counting(real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            nonlocal left
            left -= 1
            if left < 0:
                raise Killed
            return real(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for step in STEPS:
            patch.setattr(step, counting(getattr(os, step.partition(".")[2])))
        with contextlib.suppress(Killed):
            action()
            return False
    return True


@pytest.mark.parametrize("first", [6, 7, 8, 9])  # before, what is left half-written goes
def test_killed_anywhere_the_next_command_finishes_it(club: Painted, tmp_path: Path, first: int) -> None:
    told = secrets(club)
    undisturbed = replace(club, folder=shutil.copytree(club.folder, tmp_path / "undisturbed"))
    open_at(undisturbed, 5).remove(NAME, everywhere=True)
    survived = first
    while True:
        album = replace(club, folder=shutil.copytree(club.folder, tmp_path / str(survived)))
        if not killed_after(survived, lambda album=album: open_at(album, 5).remove(NAME, everywhere=True)):  # type: ignore[misc]
            break
        open_at(album, 6).align()
        assert traces(album.folder, told) == [], survived
        assert state(album) == state(undisturbed), survived
        shutil.rmtree(album.folder)
        survived += 8
    assert survived > 24


def test_what_cannot_be_finished_is_said_and_stops_nobody(
    club: Painted, monkeypatch: pytest.MonkeyPatch, mien: Mien
) -> None:
    told = secrets(club)
    with monkeypatch.context() as patch:
        patch.setattr("mien.storage.in_folder.remove_file", _full)
        with pytest.raises(StorageError):
            open_at(club, 5).remove(NAME, everywhere=True)
        done = open_at(club, 6).daily()
        said = [step.line for step in done.run.steps if "cannot be finished" in step.line]
        assert said or "removal" in str([finding.kind for finding in done.needs_human])
        assert done.exit_code == 14
    open_at(club, 7).align()
    assert traces(club.folder, told) == []


def _full(file: Path) -> None:
    raise StorageError(str(file), "could not be written: permission denied", "Get access.")


# On the command line


def test_it_is_asked_for(club: Painted, mien: Mien, monkeypatch: pytest.MonkeyPatch) -> None:
    before = sorted(club.folder.rglob("*"))
    refused = mien("-C", club.folder, "remove", NAME, "--everywhere")
    assert refused.exit_code == 2 and "would be deleted" in refused.stderr and "--yes" in refused.stderr
    monkeypatch.setattr("mien.cli.albums.asked", lambda: True)
    assert mien("-C", club.folder, "remove", NAME, "--everywhere", typed="n\n").exit_code == 130
    assert sorted(club.folder.rglob("*")) == before
    with (club.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'[people."{NFD}"]\nuntil = 2040-01-01\n')
    result = mien("-C", club.folder, "remove", NAME, "--everywhere", typed="y\n")
    said = " ".join(result.stdout.split())
    assert result.exit_code == 0 and f"files of {NAME}." in said and "deleted, pages too" in said
    assert f"mien.toml still names {NAME}" in said and "not reached" in said and "backups" in said


def test_it_is_told_to_programs(club: Painted, mien: Mien) -> None:
    result = mien("-C", club.folder, "remove", NAME, "--everywhere", "--yes", "--json")
    told = json.loads(result.stdout)
    assert told["version"] == club.open().version and told["older"] == [] and told["mentioned"] is False
    assert len(told["files"]) >= 5 and len(told["dropped"]) > 3


def test_it_is_of_a_whole_person_whom_somebody_knows(club: Painted) -> None:
    with pytest.raises(UsageError, match="is of a whole person"):
        club.open().remove(NAME, ["1.png"], everywhere=True)
    with pytest.raises(UsageError, match=r'^"Nobody" is nobody\'s name in '):
        club.open().remove("Nobody", everywhere=True)


def test_a_journal_of_an_earlier_version_goes_with_the_next_command(club: Painted) -> None:
    assert list((club.folder / ".mien/journals").iterdir())
    open_at(club, 5).align()
    assert not (club.folder / ".mien/journals").exists()
