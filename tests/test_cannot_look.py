"""What cannot be looked at is not gone: it stays as it was, somebody is told, and the next run that can look is like
one that always could."""

from __future__ import annotations

import errno
import json
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from mien import convert
from mien.errors import AlbumError, PhotoError, StorageError, UsageError
from mien.registry import versions
from mien.storage.layout import TRAINING

if TYPE_CHECKING:
    from conftest import Painted

LINUX = pytest.mark.skipif(sys.platform != "linux", reason="of Linux: names that are no text, links without rights")

WHY = (errno.EACCES, errno.EIO, errno.ESTALE, errno.ENOTCONN)


@contextmanager
def closed(*folders: Path, code: int = errno.EIO) -> Iterator[None]:
    """While these folders cannot be listed, as when their share is away."""
    scandir, listdir = os.scandir, os.listdir

    def refuse(folder: Any) -> None:
        if Path(os.fsdecode(folder)) in folders:
            raise OSError(code, os.strerror(code), os.fspath(folder))

    def scan(folder: Any = ".") -> Any:
        refuse(folder)
        return scandir(folder)

    def names(folder: Any = ".") -> Any:
        refuse(folder)
        return listdir(folder)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(os, "scandir", scan)
        patch.setattr(os, "listdir", names)
        yield


def known(album: Painted) -> dict[str, list[str]]:
    """By person the photos of the model in use."""
    with album.reading() as opened:
        model = opened.model()
        return {person: sorted(photos) for person, photos in model.card.photos.items()} if model else {}


def rows(album: Painted) -> list[tuple[str, str]]:
    with album.reading() as opened:
        return [(file.path, file.person) for file in opened.catalog.files.on([TRAINING])]


@pytest.fixture
def trained(taught: Painted) -> Painted:
    taught.looked()
    return taught


# A person's folder


@pytest.mark.parametrize("code", WHY)
def test_a_person_whose_folder_cannot_be_listed_stays_in_the_model(trained: Painted, code: int) -> None:
    before, files = known(trained), rows(trained)
    trained.photo("Ada/ada-4.png")
    with closed(trained.training / "Bo", code=code):
        learned = trained.open().train()
        checked, status = trained.open(minimum=1).check(), trained.open().status()
    assert known(trained)["Bo"] == before["Bo"] and len(known(trained)["Ada"]) == 4, "and the others are learned from"
    assert set(files) < set(rows(trained))
    ((path, error),) = learned.aligned.failures
    assert path == "training-images/Bo" and str(trained.training / "Bo") == error.about
    (needs,) = [finding for finding in learned.needs_human if finding.photos == ("Bo",)]
    assert (needs.people, needs in checked.findings) == (("Bo",), True)
    said = "cannot be opened" if code == errno.EACCES else f"cannot be reached ({os.strerror(code)})"
    assert (needs.why, needs.needs_human) == (said, True) and needs.remedy.endswith("is kept until then.")
    assert not [one for one in checked.findings if one.kind == "few"], "nobody can tell that they are few"
    assert [(one.path, one.reason) for one in status.closed] == [("training-images/Bo", said)]
    assert {one.name: (one.photos, one.faces) for one in status.people}["Bo"] == (3, 3) and status.stale == ()
    assert trained.looked() == ["ada-4.png"]
    trained.open().train()
    assert trained.looked() == [], "what was seen is still known when the folder can be listed again"


def test_the_daily_run_tells_a_human_each_day_until_it_can_look(trained: Painted, mien: Callable[..., Any]) -> None:
    before = trained.open().version
    with closed(trained.training / "Bo"):
        for _ in range(2):
            done = trained.open().daily()
            (finding,) = done.needs_human
            assert (finding.people, finding.kind, done.exit_code) == (("Bo",), "away", 14)
        assert "Bo: cannot be reached" in mien("-C", trained.folder, "daily").stdout
        status = mien("-C", trained.folder, "status").stdout
        assert "closed      Bo cannot be reached" in status and "Connect the drive or share" in status
        result = mien("-C", trained.folder, "train")
        assert result.exit_code == PhotoError.exit_code and "needs you" in result.stdout
        assert mien("-C", trained.folder, "check").exit_code == 14
    assert trained.open().version == before
    assert trained.open().daily().exit_code == 0


def test_a_folder_deep_in_a_person_s_hides_what_lies_in_it_and_nothing_else(trained: Painted) -> None:
    trained.photo("Bo/2019/may/bo-4.png", "Bo")
    trained.open().train()
    (trained.training / "Bo/bo-1.png").unlink()
    with closed(trained.training / "Bo/2019"):
        aligned = trained.open().align()
    assert (aligned.gone, aligned.new) == (1, 0)
    assert [path for path, person in rows(trained) if person == "Bo"] == [
        f"training-images/Bo/{name}" for name in ("2019/may/bo-4.png", "bo-2.png", "bo-3.png")
    ]


@LINUX
def test_a_photo_that_is_a_link_to_a_share_that_is_away_stays(trained: Painted, tmp_path: Path) -> None:
    share, photo = tmp_path / "share", trained.training / "Cy/cy-3.png"
    share.mkdir()
    shutil.move(photo, share)
    photo.symlink_to(share / "cy-3.png")
    trained.open().train()
    before = known(trained)
    share.rename(tmp_path / "away")
    learned = trained.open().train()
    assert [path for path, _ in learned.aligned.failures] == ["training-images/Cy/cy-3.png"]
    assert known(trained) == before
    (finding,) = [one for one in trained.open(minimum=1).check().findings if one.needs_human]
    assert finding.line.startswith("Cy/cy-3.png: is a link to nothing. Connect the drive to which it leads, or remove")
    (tmp_path / "away").rename(share)
    assert not trained.open(minimum=1).check().needs_human


# All of training-images


@pytest.mark.parametrize("code", WHY)
def test_training_images_that_cannot_be_listed_are_not_an_empty_album(trained: Painted, code: int) -> None:
    before, files = trained.open().version, rows(trained)
    with closed(trained.training, code=code):
        for verb in (trained.open().align, trained.open().train, trained.open().merge):
            with pytest.raises(StorageError, match="training-images cannot be opened"):
                verb()
        assert trained.open().daily().exit_code == StorageError.exit_code
        assert trained.open().check().needs_human
        status = trained.open().status()
        assert (status.photos, len(status.people), status.stale) == (9, 3, ())
        with pytest.raises(StorageError):
            trained.open().remove("Bo")
    assert (trained.open().version, rows(trained)) == (before, files)


def test_an_empty_mount_point_is_not_an_album_whose_photos_were_deleted(trained: Painted, tmp_path: Path) -> None:
    before, files = trained.open().version, rows(trained)
    new = trained.paint(tmp_path / "new.png", "Ada")
    trained.paint(trained.folder / "2026-11-20-training-images/Ada/waits.png", "Ada")
    trained.training.rename(tmp_path / "share")
    trained.training.mkdir()
    (trained.training / "lost+found").mkdir()
    album = trained.open()
    for verb in (album.align, album.train, album.merge, lambda: album.add("Ada", new), lambda: album.remove("Ada")):
        with pytest.raises(AlbumError, match=r"training-images is empty, and was not\. Connect its drive"):
            verb()
    done = album.daily()
    assert done.exit_code == AlbumError.exit_code and "is empty, and was not" in str(done.error)
    assert [one.photos for one in album.check().findings if one.kind == "emptied"] == [("training-images",)]
    assert [path.name for path in trained.training.iterdir()] == ["lost+found"], "nothing is put into its place"
    assert (album.version, rows(trained)) == (before, files)
    shutil.rmtree(trained.training)
    (tmp_path / "share").rename(trained.training)
    assert trained.open().merge().moved


def test_whoever_empties_an_album_on_purpose_can_say_so(trained: Painted) -> None:
    for person in ("Ada", "Bo", "Cy"):
        trained.open().remove(person, delete=True)
    assert rows(trained) == [] and list(trained.training.iterdir()) == []
    trained.photo("Ada/ada-5.png")
    trained.open().train()
    shutil.rmtree(trained.training / "Ada")
    (trained.training / "Dee").mkdir()
    trained.photo("Dee/dee.png", "Bo")
    learned = trained.open().train()
    assert not learned.in_use  # nobody removed Ada
    trained.open().promote(learned.version)
    assert known(trained).keys() == {"Dee"}


# Whoever is to leave


def test_a_person_who_is_removed_leaves_the_model_at_once_and_the_folder_when_it_can_be_listed(
    trained: Painted,
) -> None:
    trained.photo("Bo/deep/bo-4.png", "Bo")
    trained.open().train()
    with closed(trained.training / "Bo/deep"):
        with pytest.raises(StorageError, match=r"Bo/deep cannot be read .* Then the next command takes it out"):
            trained.open().remove("Bo")
        album = trained.open()
        album.train()
        assert [finding.kind for finding in album.settled] == ["unfinished"]
        assert known(trained).keys() == {"Ada", "Cy"}
        assert trained.open().daily().exit_code == 14
    album = trained.open()
    album.align()
    assert [finding.kind for finding in album.settled] == ["finished"]
    assert not (trained.training / "Bo").exists() and len(list(trained.folder.glob("removed-images/Bo/**/*.png"))) == 4
    assert known(trained).keys() == {"Ada", "Cy"}


def test_everything_of_a_person_whose_folder_is_closed_leaves_the_model_too(trained: Painted) -> None:
    trained.photo("Bo/deep/bo-4.png", "Bo")
    trained.open().train()
    with closed(trained.training / "Bo/deep"), pytest.raises(StorageError, match="could not be emptied"):
        trained.open().remove("Bo", everywhere=True)
    assert known(trained).keys() == {"Ada", "Cy"}
    trained.open().align()
    assert not (trained.training / "Bo").exists() and versions.knowing(trained.folder / "models", "Bo") == []


def test_whoever_s_time_is_over_leaves_the_model_and_the_day_goes_on(trained: Painted) -> None:
    with (trained.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f"\n[people.Bo]\nuntil = {date(2020, 1, 1)}\n")
    with closed(trained.training / "Bo"):
        done = trained.open().daily()
        assert done.run.step("promote") and done.exit_code == 14
        assert "removal" in " ".join(finding.line for finding in done.needs_human)
        assert known(trained).keys() == {"Ada", "Cy"}
    trained.open().daily()
    assert not (trained.training / "Bo").exists() and known(trained).keys() == {"Ada", "Cy"}


# Photos that wait


def test_an_intake_that_is_closed_in_part_is_told_and_the_rest_is_merged(
    trained: Painted, mien: Callable[..., Any]
) -> None:
    intake = trained.folder / "2026-11-20-training-images"
    trained.paint(intake / "Ada/new.png", "Ada")
    trained.paint(intake / "Bo/new.png", "Bo")
    with closed(intake / "Bo", code=errno.EACCES):
        status = trained.open().status()
        assert ([one.path for one in status.closed], status.waiting) == ([f"{intake.name}/Bo"], 1)
        result = mien("-C", trained.folder, "merge")
        assert result.exit_code == PhotoError.exit_code
        assert "Bo cannot be opened. Check its permissions" in result.stdout
    assert (trained.training / "Ada/new.png").exists() and (intake / "Bo/new.png").exists()


# Photos that a user names


@pytest.fixture
def party(trained: Painted, tmp_path: Path) -> Path:
    """A folder with a photo of Ada, and one of Bo in a folder in it."""
    trained.paint(tmp_path / "party/ada.png", "Ada")
    trained.paint(tmp_path / "party/Bo/bo.png", "Bo")
    return tmp_path / "party"


def test_a_folder_that_cannot_be_listed_costs_its_own_photos_and_is_told(
    trained: Painted, party: Path, tmp_path: Path, mien: Callable[..., Any]
) -> None:
    at, copies = party / "Bo", tmp_path / "copies"
    with closed(at, code=errno.EACCES):
        result = mien("-C", trained.folder, "classify", party, "--json", "--annotate", copies)
        answers = [json.loads(line) for line in result.stdout.splitlines()]
        assert [Path(answer["photo"]).name for answer in answers] == ["ada.png", "Bo"]
        assert answers[1]["error"]["message"] == f"{at} may not be read."
        assert result.exit_code == PhotoError.exit_code and (copies / "ada.png.jpg").exists()
        added = trained.open().add("Ada", party)
        assert ([file.name for file in added.added], [one.about for one in added.failures]) == (["ada.png"], [str(at)])
        made = convert(party, tmp_path / "jpegs", "jpeg")
        assert (len(made.converted), [one.about for one in made.failures]) == (1, [str(at)])
        with pytest.raises(PhotoError, match="may not be read"):
            trained.open().evaluate(party)
    trained.paint(party / "Ada/ada-9.png", "Ada")
    with closed(at, code=errno.EACCES):
        found = trained.open().evaluate(party)
    assert [photo for photo, _ in found.failures] == [str(at)] and found.set_apart + found.top1.of == 1
    with closed(party):
        assert mien("-C", trained.folder, "classify", party).exit_code == PhotoError.exit_code


def test_a_source_whose_folder_cannot_be_listed_is_not_one_without_photos(
    trained: Painted, party: Path, mien: Callable[..., Any]
) -> None:
    (party / "ada.png").unlink()
    with (trained.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[sources.party]\nkind = "folder"\npath = "{party}"\nbasis = "consent"\nlicence = "own"\n')
    with closed(party / "Bo"):
        result = mien("-C", trained.folder, "collect")
    assert result.exit_code == 16 and f"cannot read {party / 'Bo'}" in result.stdout
    assert mien("-C", trained.folder, "collect").exit_code == 0


# Names


@LINUX
def test_a_name_that_is_not_utf_8_costs_nobody_else_anything(
    trained: Painted, tmp_path: Path, mien: Callable[..., Any]
) -> None:
    odd = Path(os.fsdecode(b"M\xfcller.png"))
    for name in ("a.png", odd, "z.png"):
        trained.paint(tmp_path / "in/x.png", "Ada").rename(tmp_path / "in" / name)
    answers = [*trained.open().classify(tmp_path / "in", annotate=tmp_path / "copies")]
    assert [answer.faces[0].prediction.person for answer in answers] == ["Ada"] * 3
    result = mien("-C", trained.folder, "classify", tmp_path / "in")
    assert result.exit_code == 0 and "M\\udcfcller.png" in result.stdout
    assert len(list((tmp_path / "copies").glob("*.jpg"))) == 3
    result = mien("-C", trained.folder, "add", "Ada", tmp_path / "in")
    assert result.exit_code == PhotoError.exit_code and "has a name that is not Unicode. Rename it" in result.stdout
    assert {"a.png", "z.png"} <= {path.name for path in (trained.training / "Ada").iterdir()}
    made = convert(tmp_path / "in", tmp_path / "jpegs", "jpeg")
    assert (len(made.converted), made.failures) == (3, ())
    trained.paint(tmp_path / "test/Ada/x.png", "Ada")
    trained.paint(tmp_path / "test/Ada/y.png", "Ada").rename(tmp_path / "test/Ada" / odd)
    found = trained.open().evaluate(tmp_path / "test")
    assert [error.fault for _, error in found.failures] == ["name"] and found.set_apart + found.top1.of == 1
    (tmp_path / "in" / odd).rename(trained.training / "Ada" / odd)
    aligned = trained.open().align()
    assert [one.kind for one in aligned.left_out] == ["not unicode"]
    trained.open().remove("Ada")
    assert (trained.folder / "removed-images/Ada" / odd).exists()


@LINUX
def test_the_longest_names_cost_nobody_else_anything(
    trained: Painted, tmp_path: Path, mien: Callable[..., Any]
) -> None:
    for folder in ("one", "two"):
        trained.paint(tmp_path / "in" / folder / f"{'x' * 251}.png", "Ada")
        trained.paint(tmp_path / "in" / folder / f"{'é' * 125}.png", "Ada")
    trained.paint(tmp_path / "in/a.png", "Ada")
    copies = tmp_path / "copies"
    result = mien("-C", trained.folder, "classify", tmp_path / "in", "--annotate", copies)
    assert result.exit_code == 0 and len(list(copies.rglob("*.jpg"))) == 5
    added = trained.open().add("Ada", tmp_path / "in")
    assert (len(added.added), added.failures) == (5, ())
    trained.open().train()
    made = convert(tmp_path / "in", tmp_path / "jpegs", "jpeg")
    assert (len(made.converted), made.failures) == (5, ())
    trained.open().remove("Ada")
    assert len(list((trained.folder / "removed-images/Ada").iterdir())) == 8


def put_deep(photo: Path, folder: Path, names: Sequence[str]) -> None:
    """Puts a photo into a folder below `folder`, one in another by these names, also where the path is too long."""
    here = os.open(folder, os.O_RDONLY)
    for name in names:
        os.mkdir(name, dir_fd=here)
        below = os.open(name, os.O_RDONLY, dir_fd=here)
        os.close(here)
        here = below
    os.link(photo, photo.name, dst_dir_fd=here)
    os.close(here)


def remove_deep(folder: Path, levels: int) -> None:
    """Takes folders away that are too deep for pytest to clear up."""
    file = folder / "/".join(["d"] * levels)
    for left in file.iterdir():
        left.unlink()
    for _ in range(levels):
        file.rmdir()
        file = file.parent


@LINUX
def test_a_path_too_long_for_a_copy_costs_that_copy(trained: Painted, tmp_path: Path, mien: Callable[..., Any]) -> None:
    deep = tmp_path / "in"
    trained.paint(deep / "a.png", "Ada")
    put_deep(trained.paint(tmp_path / "b.png", "Ada"), deep, ["d" * 250] * 7)
    target = tmp_path / "/".join(["t" * 250] * 9)
    made = convert(deep, target, "jpeg")
    assert (len(made.converted), [error.fault for error in made.failures]) == (1, ["name too long"])
    result = mien("-C", trained.folder, "classify", deep, "--annotate", target / "copies")
    assert result.exit_code == 0 and "has a name that is too long for a copy of it" in result.stderr
    assert "2 photos: 2 faces, 2 named" in result.stdout


@LINUX
def test_folders_a_thousand_deep_are_walked(trained: Painted, tmp_path: Path) -> None:
    (tmp_path / "in").mkdir()
    put_deep(trained.paint(tmp_path / "b.png", "Ada"), tmp_path / "in", ["d"] * 1100)
    (answer,) = trained.open().classify(tmp_path / "in")
    assert answer.path.endswith("/d/d/b.png") and answer.faces
    remove_deep(tmp_path / "in", 1100)


# The rest of what disks and users do


def test_an_error_of_the_system_that_nobody_foresaw_is_the_system_s(
    trained: Painted, mien: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.ENFILE, os.strerror(errno.ENFILE), "/some/where")

    monkeypatch.setattr("mien.stages.status.status", refuse)
    result = mien("-C", trained.folder, "status")
    assert result.exit_code == StorageError.exit_code
    assert result.stderr.startswith("mien: /some/where cannot be opened: Too many open files")


@LINUX
def test_the_folder_in_which_mien_is_started_may_be_gone(
    mien: Callable[..., Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    result = mien("status")
    assert result.exit_code in (AlbumError.exit_code, StorageError.exit_code) and "mistake" not in result.stderr


@LINUX
@pytest.mark.parametrize(
    "words", [("runs",), ("remove",), ("collect",), ("models", "promote"), ("encoders", "compare"), ("show",)]
)
def test_a_word_that_is_not_text_is_the_user_s(
    trained: Painted, mien: Callable[..., Any], words: tuple[str, ...]
) -> None:
    result = mien("-C", trained.folder, *words, os.fsdecode(b"M\xfcller"))
    assert result.exit_code in (UsageError.exit_code, 6, 7, 18) and "mistake" not in result.stderr


@LINUX
def test_an_album_may_lie_in_a_folder_whose_name_is_no_text(
    new_painted: Callable[[Path], Painted], tmp_path: Path, mien: Callable[..., Any], painted: Painted
) -> None:
    album = new_painted(tmp_path / os.fsdecode(b"M\xfcller"))
    for person in ("Ada", "Bo"):
        for number in range(3):
            album.photo(f"{person}/{number}.png")
    new = album.paint(album.folder / "new/ada-9.png", "Ada")
    for words in (("train",), ("status",), ("check",), ("report", "--no-open"), ("classify", new.parent), ("daily",)):
        result = mien("-C", album.folder, *words)
        assert result.exit_code in (0, 14), result.output
