"""remove: out of the album and out of the model at once, whenever it is killed, and nobody else is touched."""

from __future__ import annotations

import contextlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien.errors import AlbumError, EncoderMismatchError, UsageError
from mien.pipeline.remove import Removed
from mien.registry.folder import load_fitted, load_model

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]


@pytest.fixture
def trained(taught: Painted) -> Painted:
    taught.looked()
    return taught


def known(painted: Painted) -> dict[str, tuple[bytes, bytes, int]]:
    """For each person in the model in use their rows, and of how many photos they are."""
    folder = painted.folder / "models" / str(painted.open().version)
    model = load_model(folder)
    head = load_fitted(folder, model)
    return {
        name: (head.vectors[row].tobytes(), head.exemplars[head.owner == row].tobytes(), len(model.card.photos[name]))
        for row, name in enumerate(model.people)
    }


def files(painted: Painted, folder: str) -> dict[str, bytes]:
    top = painted.folder / folder
    return {file.relative_to(top).as_posix(): file.read_bytes() for file in top.rglob("*") if file.is_file()}


def everything(painted: Painted) -> object:
    """The state in which a removal ends."""
    photos = files(painted, "training-images"), files(painted, "removed-images")
    return photos, painted.chips(), painted.counts(), known(painted)


def test_a_person_leaves_and_nobody_else_is_touched(trained: Painted) -> None:
    before, photos = known(trained), files(trained, "training-images/Bo")
    first = str(trained.open().version)
    removed = trained.open().remove("Bo")
    assert known(trained) == {name: rows for name, rows in before.items() if name != "Bo"}
    assert not (trained.training / "Bo").exists() and files(trained, "removed-images/Bo") == photos
    assert removed.version == trained.open().version != first and removed.older == (first,)
    assert sorted(removed.now) == sorted((trained.folder / "removed-images/Bo").iterdir())
    assert trained.counts() == {"photos": 6, "files": 6, "sightings": 6, "faces": 6, "chosen": 6, "chips": 6}
    assert [one.name for one in trained.open().status().people] == ["Ada", "Cy"]
    assert not any(key.startswith("Bo/") for key in trained.chips()) and len(trained.chips()) == 6
    assert trained.looked() == []
    assert "3 photos enrolled or removed" in trained.open().status().stale[0].why


def test_a_person_who_keeps_photos_is_enrolled_anew_from_these(trained: Painted) -> None:
    before = known(trained)
    removed = trained.open().remove("Bo", trained.training / "Bo/bo-1.png")
    after = known(trained)
    assert after["Bo"][2] == 2 and after["Bo"][0] != before["Bo"][0]
    assert {name: after[name] for name in ("Ada", "Cy")} == {name: before[name] for name in ("Ada", "Cy")}
    assert removed.files == (trained.training / "Bo/bo-1.png",)
    assert list(files(trained, "removed-images")) == ["Bo/bo-1.png"]
    assert [one.how for one in trained.open().models()] == ["train", "remove"]


def test_the_last_photo_takes_the_person_along(trained: Painted) -> None:
    trained.open().remove("Bo", [Path(f"bo-{number}.png") for number in (1, 2, 3)])
    assert set(known(trained)) == {"Ada", "Cy"} and not (trained.training / "Bo").exists()


def test_the_last_person_leaves_no_model_in_use(trained: Painted) -> None:
    for name in ("Ada", "Bo"):
        trained.open().remove(name)
    removed = trained.open().remove("Cy")
    assert removed.version is None and len(removed.older) == 3 and trained.open().version is None


def test_deleted_photos_are_gone(trained: Painted) -> None:
    removed = trained.open().remove("Bo", delete=True)
    assert (len(removed.files), removed.now) == (3, ()) and "Bo" not in known(trained)
    assert not (trained.folder / "removed-images").exists() and not (trained.training / "Bo").exists()


def test_nothing_that_was_removed_before_is_overwritten(trained: Painted) -> None:
    same = (trained.training / "Bo/bo-1.png").read_bytes()
    aside = trained.folder / "removed-images/Bo"
    aside.mkdir(parents=True)
    (aside / "bo-1.png").write_bytes(same)
    (aside / "bo-2.png").write_bytes(b"another")
    removed = trained.open().remove("Bo")
    assert [file.name for file in removed.now] == ["bo-1.png", "bo-2-2.png", "bo-3.png"]
    assert (aside / "bo-2.png").read_bytes() == b"another" and len(list(aside.iterdir())) == 4


def test_a_link_that_was_set_aside_is_no_copy_of_what_it_leads_to(trained: Painted) -> None:
    intake = trained.folder / "2026-11-23-training-images/Bo"
    intake.mkdir(parents=True)
    (intake / "bo-1.png").symlink_to(trained.training / "Bo/bo-1.png")
    same = (trained.training / "Bo/bo-1.png").read_bytes()
    trained.open().remove("Bo")
    kept = [file for file in (trained.folder / "removed-images/Bo").iterdir() if not file.is_symlink()]
    assert same in [file.read_bytes() for file in kept]


def test_a_folder_in_the_way_is_gone_round(trained: Painted) -> None:
    (trained.folder / "removed-images/Bo/bo-1.png").mkdir(parents=True)
    removed = trained.open().remove("Bo")
    assert [file.name for file in removed.now] == ["bo-1-2.png", "bo-2.png", "bo-3.png"]


def test_folders_below_are_kept_apart_and_what_is_no_photo_goes_along(trained: Painted) -> None:
    trained.photo("Bo/2019/bo-1.png", "Bo")
    (trained.training / "Bo/notes.txt").write_text("x")
    trained.open().remove("Bo")
    assert set(files(trained, "removed-images")) == {
        "Bo/2019/bo-1.png",
        "Bo/bo-1.png",
        "Bo/bo-2.png",
        "Bo/bo-3.png",
        "Bo/notes.txt",
    }


def test_what_is_not_that_persons_is_refused_and_nothing_moves(trained: Painted, tmp_path: Path) -> None:
    before = everything(trained)
    outside = trained.paint(tmp_path / "1.png", "Bo")
    for photo in (outside, Path("../Ada/ada-1.png"), trained.training / "Ada/ada-1.png", trained.training / "Bo"):
        with pytest.raises(UsageError, match="is no photo of Bo in this album"):
            trained.open().remove("Bo", [trained.training / "Bo/bo-1.png", photo])
    for name in ("Nobody", "", "../training-images/Bo"):
        with pytest.raises(UsageError, match=f'^"{name}" is nobody\'s name in '):
            trained.open().remove(name)
    with pytest.raises(EncoderMismatchError):
        trained.open(views=2).remove("Bo", "bo-1.png")
    (trained.folder / "removed-images").symlink_to(tmp_path)
    with pytest.raises(AlbumError, match="is a link"):
        trained.open().remove("Bo")
    (trained.folder / "removed-images").unlink()
    assert everything(trained) == before


@pytest.mark.parametrize("photo", ["bo-1.png", "Bo/bo-1.png", "training-images/Bo/bo-1.png"])
def test_a_photo_is_named_as_mien_writes_it_wherever_one_is(
    trained: Painted, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, photo: str
) -> None:
    trained.paint(tmp_path / "elsewhere" / photo, "Cy")  # which is not meant
    monkeypatch.chdir(tmp_path / "elsewhere")
    assert trained.open().remove("Bo", photo).files == ((trained.training / "Bo/bo-1.png").resolve(),)


def test_what_is_not_there_is_told_and_the_rest_goes(trained: Painted) -> None:
    removed = trained.open().remove("Bo", ["bo-1.png", "bo-9.png"])
    assert removed.missing == (Path("bo-9.png"),) and known(trained)["Bo"][2] == 2


def test_without_a_model_photos_are_set_aside(three_people: Painted) -> None:
    assert three_people.open().remove("Bo").version is None
    assert len(files(three_people, "removed-images")) == 3


class Killed(BaseException):
    pass


STEPS = ("os.link", "os.unlink", "os.rmdir", "os.rename", "os.replace", "os.mkdir")


@pytest.mark.parametrize(
    ("photos", "first"), [((), 0), (("bo-1.png", "bo-3.png"), 1)], ids=["person", "photos"]
)  # each stopped at every other step, to save time
def test_a_removal_that_is_killed_anywhere_is_finished_by_the_same_command(
    trained: Painted, photos: tuple[str, ...], first: int, tmp_path: Path
) -> None:
    undisturbed = replace(trained, folder=shutil.copytree(trained.folder, tmp_path / "undisturbed"))
    undisturbed.open().remove("Bo", photos)
    expected = everything(undisturbed)
    survived = first
    while True:
        album = replace(trained, folder=shutil.copytree(trained.folder, tmp_path / str(survived)))
        if not killed_after(survived, partial(album.open().remove, "Bo", photos)):
            break
        with contextlib.suppress(UsageError):  # stopped when all was done, and then Bo is not known any more
            album.open().remove("Bo", photos)
        assert everything(album) == expected, survived
        shutil.rmtree(album.folder)
        survived += 2
    assert survived > 20


def killed_after(steps: int, action: Callable[[], Removed]) -> bool:
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
        try:
            action()
        except Killed:
            return True
    return False


# On the command line


def test_the_command_says_where_the_photos_are_and_who_still_knows(mien: Mien, trained: Painted) -> None:
    first = trained.open().version
    result = mien("-C", trained.folder, "remove", "Bo")
    lines = result.stdout.splitlines()
    assert result.exit_code == 0 and lines[0] == "Set aside 3 files of Bo."
    assert lines[1].split() == ["now", "in", str(trained.folder / "removed-images")]
    assert f"{trained.open().version} is in use" in lines[2]
    assert lines[3].endswith(f"{first} is still on disk, and still knows Bo")
    report = mien("-C", trained.folder, "report", "--no-open").stdout
    assert f"{first}" in report and "is not measured" in report
    answers = mien("-C", trained.folder, "classify", trained.folder / "removed-images", "--json").stdout
    assert {face["person"] for line in answers.splitlines() for face in json.loads(line)["faces"]} == {None}


def test_deleting_is_asked_for(mien: Mien, trained: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    refused = mien("-C", trained.folder, "remove", "Bo", "--delete")
    assert refused.exit_code == 2 and "3 files of Bo would be deleted" in refused.stderr
    monkeypatch.setattr("mien.cli.albums.asked", lambda: True)
    assert mien("-C", trained.folder, "remove", "Bo", "--delete", typed="n\n").exit_code == 130
    assert len(files(trained, "training-images/Bo")) == 3
    assert mien("-C", trained.folder, "remove", "Bo", "--delete", typed="y\n").exit_code == 0
    assert not (trained.training / "Bo").exists()
    assert mien("-C", trained.folder, "remove", "Cy", "cy-1.png", "--delete", "--yes").exit_code == 0
    missing = mien("-C", trained.folder, "remove", "Cy", "cy-1.png")
    assert missing.exit_code == 2 and "not there" in missing.stdout
