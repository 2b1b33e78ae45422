from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

import mien
from mien import Album
from mien.errors import AlbumError, BusyError, StorageError, UsageError
from mien.records.history import HAND
from mien.records.ledger import Ledger
from mien.vision.images import file_sha256

if TYPE_CHECKING:
    from conftest import Painted


def origins(painted: Painted) -> dict[str, str | None]:
    """Where each photo in training-images was taken from, as `Album.show` says of it."""
    album = painted.open()
    photos = [file for file in painted.training.rglob("*") if file.is_file()]
    filed = [one for photo in photos for one in album.show(photo).to_json()["filed"]]
    return {one["path"]: one["source"] for one in filed}


def by_hand(painted: Painted) -> list[tuple[str, str, str, str]]:
    """(location, person, outcome, path) of every photo that was put in by hand, as the ledger has it."""
    with Ledger.for_reading(painted.folder / ".mien/catalog-ledger.sqlite") as ledger:
        photos = {file_sha256(file) for file in painted.training.rglob("*") if file.is_file()}
        fetches = [one for sha256 in photos for one in ledger.history.provenance(sha256) if one.source == HAND]
    return sorted((one.location, one.person, one.outcome, one.path) for one in fetches)


def test_the_lines_of_python_in_the_docstring_work(
    sample: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mien.__doc__ is not None
    lines = [line[4:] for line in mien.__doc__.splitlines() if line.startswith("    ")]
    assert len(lines) >= 5 and lines[0] == "from mien import Album"
    for number in (1, 2):
        shutil.copy(sample / f"people/Nora/0{number}.jpg", tmp_path / f"ada-{number}.jpg")
    shutil.copy(sample / "people/Nora/03.jpg", tmp_path / "party.jpg")
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MIEN_VIEWS", "1")
    exec("\n".join(lines), {})
    assert capsys.readouterr().out == "party.jpg: Ada >99 %\n"


def test_an_album_knows_its_place_and_settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    album = Album.create("club", "consent")
    assert (album.folder, album.settings.basis) == (tmp_path / "club", "consent")
    assert Album(tmp_path / "club", views=2).settings.views == 2
    with pytest.raises(AlbumError):
        Album(tmp_path)
    with pytest.raises(UsageError):
        Album("club", vews=2)


# add


def test_added_photos_are_copies_that_know_where_they_came_from(painted: Painted, tmp_path: Path) -> None:
    outside = painted.paint(tmp_path / "outside/a.png", "Ada")
    added = painted.open().add("Ada", [outside])
    assert added.added == (painted.training / "Ada/a.png",)
    assert (added.known, added.failures) == (0, ())
    assert added.added[0].read_bytes() == outside.read_bytes()
    assert origins(painted) == {"Ada/a.png": str(outside)}
    (painted.training / "Ada/a.png").rename(painted.training / "Ada/b.png")
    painted.open().align()
    assert origins(painted) == {"Ada/b.png": str(outside)}, "and still do when moved"
    (painted.folder / ".mien/catalog.sqlite").unlink()
    painted.open().align()
    assert origins(painted) == {"Ada/b.png": str(outside)}, "and when the catalog was removed"
    assert by_hand(painted) == [(str(outside), "Ada", "placed", "training-images/Ada/a.png")]


def test_folders_are_added_whole_and_what_is_there_is_not_added_again(painted: Painted, tmp_path: Path) -> None:
    for name in ("a.png", "b.png", "deep/a.png"):
        painted.paint(tmp_path / "outside" / name, "Ada")
    (tmp_path / "outside/notes.txt").write_text("not a photo")
    added = painted.open().add("Ada", tmp_path / "outside")
    assert sorted(file.name for file in added.added) == ["a-2.png", "a.png", "b.png"]
    painted.paint(tmp_path / "outside/c.png", "Ada")
    again = painted.open().add("Ada", str(tmp_path / "outside"))
    assert ([file.name for file in again.added], again.known) == (["c.png"], 3)
    assert len(list((painted.training / "Ada").iterdir())) == 4


def test_one_photo_can_be_of_two_people(painted: Painted, tmp_path: Path) -> None:
    photo = painted.paint(tmp_path / "a.png", "Ada", "Bo")
    for person in ("Ada", "Bo"):
        assert len(painted.open().add(person, [photo]).added) == 1
    assert painted.counts()["photos"] == 1
    assert painted.counts()["files"] == 2
    assert by_hand(painted) == [
        (str(photo), "Ada", "placed", "training-images/Ada/a.png"),
        (str(photo), "Bo", "placed", "training-images/Bo/a.png"),
    ]
    assert origins(painted) == {"Ada/a.png": str(photo), "Bo/a.png": str(photo)}


def test_what_a_source_brought_and_somebody_adds_stays_the_source_s(painted: Painted, tmp_path: Path) -> None:
    photo = painted.paint(tmp_path / "drop/Ada/a.png", "Ada")
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write('[sources.drop]\nkind = "folder"\npath = "../drop"\nbasis = "consent"\nlicence = "own work"\n')
    painted.open().collect()
    painted.open().merge()
    added = painted.open().add("Ada", [photo])
    assert (added.added, added.known) == ((), 1)
    assert by_hand(painted) == [] and origins(painted) == {"Ada/a.png": None}


def test_what_is_there_already_keeps_the_origin_that_it_had(painted: Painted, tmp_path: Path) -> None:
    first, second = (painted.paint(tmp_path / f"{place}/x/a.png", "Ada") for place in ("one", "two"))
    for photo in (first, second, first):
        painted.open().add("Ada", [photo])
    assert origins(painted) == {"Ada/a.png": str(first)}
    assert by_hand(painted) == [(str(first), "Ada", "placed", "training-images/Ada/a.png")]


@pytest.mark.skipif(sys.platform in ("win32", "darwin"), reason="names are Unicode there")
def test_photos_come_from_any_folder(painted: Painted, tmp_path: Path) -> None:
    photo = tmp_path / os.fsdecode(b"caf\xe9") / "a.png"
    photo.parent.mkdir()
    painted.paint(tmp_path / "a.png", "Ada").rename(photo)
    assert len(painted.open().add("Ada", [photo]).added) == 1
    assert origins(painted) == {"Ada/a.png": str(tmp_path / "caf\ufffd/a.png")}


@pytest.mark.skipif(os.name == "nt", reason="not everybody may make links on Windows")
def test_a_photo_that_cannot_be_read_does_not_keep_the_others_out(painted: Painted, tmp_path: Path) -> None:
    painted.paint(tmp_path / "outside/a.png", "Ada")
    (tmp_path / "outside/b.png").symlink_to(tmp_path / "nowhere.png")
    painted.paint(tmp_path / "outside/c.png", "Ada")
    added = painted.open().add("Ada", [tmp_path / "outside"])
    assert [file.name for file in added.added] == ["a.png", "c.png"]
    (failure,) = added.failures
    assert str(tmp_path / "outside/b.png") in failure.message


def test_what_went_in_before_a_failure_knows_where_it_came_from(
    painted: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = [painted.paint(tmp_path / f"outside/{name}.png", "Ada") for name in "abc"]
    (tmp_path / "outside/notes.txt").write_text("not a photo")
    with pytest.raises(UsageError):
        painted.open().add("Ada", [photos[0], tmp_path / "outside/notes.txt", photos[1]])
    assert origins(painted) == {"Ada/a.png": str(photos[0])}

    link = os.link

    def full(source: Path, target: Path, **options: bool) -> None:
        if Path(target).name == "c.png":
            raise OSError(28, "No space left on device")
        link(source, target, **options)

    monkeypatch.setattr(os, "link", full)
    with pytest.raises(StorageError, match="full"):
        painted.open().add("Ada", [photos[1], photos[2]])
    assert origins(painted)["Ada/b.png"] == str(photos[1])


@pytest.mark.parametrize("name", ["", "..", "a/b", ".hidden"])
def test_a_name_that_no_folder_can_have_is_refused(painted: Painted, tmp_path: Path, name: str) -> None:
    with pytest.raises(UsageError):
        painted.open().add(name, [painted.paint(tmp_path / "a.png", "Ada")])
    assert list(painted.training.iterdir()) == []


# Two runs at once

HOLDER = """
import sys
from pathlib import Path
from mien.open_album import read_settings
from mien.storage.lock import lock

with lock(read_settings(Path(sys.argv[1]), {})[0], "train"):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_while_one_run_writes_others_are_told_who_it_is(taught: Painted, tmp_path: Path) -> None:
    photo = taught.paint(tmp_path / "a.png", "Ada")
    command = [sys.executable, "-c", HOLDER, str(taught.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        album = taught.open()
        for busy in (album.align, album.train, lambda: album.add("Ada", [photo])):
            with pytest.raises(BusyError, match=rf'"train" \(process {holder.pid} on '):
                busy()
        assert album.status().stale == (), "reading needs no lock"
        (answer,) = album.classify([photo])
        assert [face.prediction.person for face in answer.faces] == ["Ada"]
        holder.communicate()
    assert len(taught.open().add("Ada", [photo]).added) == 1


def test_a_run_that_was_killed_holds_nothing(three_people: Painted) -> None:
    command = [sys.executable, "-c", HOLDER, str(three_people.folder)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as holder:
        assert holder.stdout is not None and holder.stdout.readline() == "held\n"
        holder.kill()
        holder.communicate()
    assert three_people.open().align().enrolled == 9


# On real photos


def test_the_whole_loop_on_the_sample_people(album: Path, sample: Path, tmp_path: Path) -> None:
    """The faces of photos it has not seen, of people it knows and of strangers."""
    for person in ("Amara", "Erik", "Nora"):
        (tmp_path / "probes" / person).mkdir(parents=True)
        shutil.copy(sample / f"people/{person}/20.jpg", tmp_path / "probes" / person)
    shutil.copytree(sample / "strangers/Mia", tmp_path / "probes/Mia")
    found = Album(album).evaluate(tmp_path / "probes")
    assert (found.top1.hits, found.top1.of, found.no_face) == (3, 3, 0)
    assert (found.people, found.strangers) == (("Amara", "Erik", "Nora"), ("Mia",))
    assert found.fpir.of == 8 and found.fpir.hits <= 1
    (answer,) = Album(album).classify(sample / "people/Luis/20.jpg", annotate=tmp_path / "out")
    (face,) = answer.faces
    assert face.prediction.person == "Luis"
    assert len(face.prediction.candidates) == 3
    assert (tmp_path / "out/20.jpg").is_file()
