"""move, rename, join and undo: photos under the right name, the model too, and all of it there and back."""

from __future__ import annotations

import shutil
import unicodedata
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from mien.errors import AlbumError, PhotoError, StorageError, UsageError
from mien.pipeline.correct import Corrected
from mien.records.access import Access
from mien.records.replies import Reply
from mien.registry.folder import load_fitted, load_model
from mien.storage import files, in_folder
from mien.storage.layout import TRAINING
from mien.text.corrections import CorrectionKind, UnlearnedKind

if TYPE_CHECKING:
    from conftest import Painted

Mien = Callable[..., Any]
NOW = datetime(2026, 11, 20, 9, 30, tzinfo=UTC)
JOSE = "José"
NFD = unicodedata.normalize("NFD", JOSE)


def photos(painted: Painted) -> dict[str, tuple[bytes, int]]:
    """All files of people, with their times."""
    tops = [painted.training, *painted.folder.glob("*-training-images"), painted.folder / "removed-images"]
    return {
        file.relative_to(painted.folder).as_posix(): (file.read_bytes(), file.stat().st_mtime_ns)
        for top in tops
        for file in top.rglob("*")
        if file.is_file()
    }


def everything(painted: Painted) -> object:
    """The album as users and programs find it, once it is aligned."""
    painted.open().align()
    told = painted.open().status().to_json()
    folders = sorted(str(one) for one in painted.training.rglob("*"))
    with painted.reading() as album:
        filed = [(one.path, one.person, one.sha256) for one in album.catalog.files.on([TRAINING])]
        whose = {one.person: album.ledger.people.id_of(one.person) for one in album.catalog.files.on([TRAINING])}
    return photos(painted), painted.chips(), painted.counts(), told, folders, filed, whose


def rows(painted: Painted) -> dict[str, tuple[bytes, int]]:
    """For each person in the model in use their vector, and of how many photos it is."""
    folder = painted.folder / "models" / str(painted.open().version)
    model = load_model(folder)
    head = load_fitted(folder, model)
    return {name: (head.vectors[row].tobytes(), len(model.card.photos[name])) for row, name in enumerate(model.people)}


def named(painted: Painted, photo: Path) -> list[str | None]:
    (answer,) = painted.open().classify(photo)
    return [face.prediction.person for face in answer.faces]


def source(painted: Painted, **extra: str) -> Path:
    """A drop folder that the album collects from."""
    drop = painted.folder.parent / "drop"
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(
            f'\n[sources.drop]\nkind = "folder"\npath = "{drop}"\nbasis = "b"\nlicence = "l"\nrecheck_days = 0\n'
        )
        file.writelines(f"{key} = {value}\n" for key, value in extra.items())
    drop.mkdir(exist_ok=True)
    return drop


# move


def test_a_photo_goes_under_the_right_person_and_the_model_learns_it_at_once(misfiled: Painted) -> None:
    before, data = rows(misfiled), (misfiled.training / "Ada/wrong.png").read_bytes()
    moved = misfiled.open().move("Ada/wrong.png", "Bo")
    assert moved.moved == (("training-images/Ada/wrong.png", "training-images/Bo/wrong.png"),)
    assert (moved.people, moved.person, moved.new, moved.there, moved.copies) == (("Ada",), "Bo", False, 0, 0)
    assert (misfiled.training / "Bo/wrong.png").read_bytes() == data and not (
        misfiled.training / "Ada/wrong.png"
    ).exists()
    after = rows(misfiled)
    assert (after["Ada"][1], after["Bo"][1], after["Cy"]) == (3, 4, before["Cy"])
    assert moved.version == misfiled.open().version and [one.how for one in misfiled.open().models()] == [
        "train",
        "move",
    ]
    assert misfiled.looked() == [], "what was seen is not seen again"
    assert not misfiled.open().check().findings or "wrong name" not in {
        str(one.kind) for one in misfiled.open().check().findings
    }


def test_a_photo_is_named_by_its_path_from_wherever_one_is(misfiled: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    for here, name in ((misfiled.training / "Ada", "wrong.png"), (misfiled.folder, "training-images/Ada/wrong.png")):
        monkeypatch.chdir(here)
        misfiled.open().move(name, "Bo")
        misfiled.open().undo()
    misfiled.open().move(misfiled.training / "Ada/wrong.png", "Bo")


def test_a_new_person_is_said_to_be_new(misfiled: Painted) -> None:
    moved = misfiled.open().move("Ada/wrong.png", "Boo Lee")
    assert moved.new and "Boo Lee" in rows(misfiled) and (misfiled.training / "Boo Lee/wrong.png").is_file()
    again = misfiled.open().move("Boo Lee/wrong.png", "BooLee")
    assert again.alike == ("Boo Lee",)


def test_nothing_is_overwritten_and_sub_folders_are_kept(misfiled: Painted) -> None:
    misfiled.photo("Ada/2019/bo-1.png", "Bo")
    misfiled.photo("Bo/2019/BO-1.png", "Bo")
    before = photos(misfiled)
    moved = misfiled.open().move(["Ada/2019/bo-1.png", "Ada/wrong.png", "Bo/bo-2.png"], "Bo")
    assert dict(moved.moved)["training-images/Ada/2019/bo-1.png"] == "training-images/Bo/2019/bo-1-2.png"
    assert moved.there == 1 and sorted(photos(misfiled).values()) == sorted(before.values())
    assert not (misfiled.training / "Ada/2019").exists()


def test_copies_are_counted_once(misfiled: Painted) -> None:
    shutil.copy2(misfiled.training / "Bo/bo-1.png", misfiled.training / "Ada/also.png")
    moved = misfiled.open().move("Ada/also.png", "Bo")
    assert moved.copies == 1 and (misfiled.training / "Bo/also.png").is_file()
    misfiled.open().align()
    assert rows(misfiled)["Bo"][1] == 3
    assert {one.kind for one in misfiled.open().check().findings if one.people == ("Bo",)} >= {"copies"}


@pytest.mark.parametrize(
    ("photo", "person", "told"),
    [
        ("Ada/none.png", "Bo", "is not there"),
        ("Ada", "Bo", "is a folder"),
        ("../elsewhere.png", "Bo", "lies outside"),
        ("Ada/wrong.png", "bo", "is not told from Bo"),
        ("Ada/wrong.png", "a/b", "cannot be a person's name"),
        ("removed-images/Cy/cy-1.png", "Bo", "was taken out"),
        ("mien.toml", "Bo", "lies outside"),
    ],
)
def test_what_cannot_be_moved_is_said_and_nothing_is(
    misfiled: Painted, tmp_path: Path, photo: str, person: str, told: str
) -> None:
    misfiled.open().remove("Cy")
    misfiled.paint(tmp_path / "elsewhere.png", "Bo")
    before, given = photos(misfiled), misfiled.folder / photo if photo in ("../elsewhere.png", "mien.toml") else photo
    with pytest.raises(UsageError, match=told):
        misfiled.open().move(["Ada/ada-1.png", given], person)
    assert photos(misfiled) == before
    with pytest.raises(UsageError, match="no correction"):
        misfiled.open().undo()


def test_no_source_brings_it_back_under_the_wrong_name(painted: Painted) -> None:
    drop = source(painted)
    for name in ("1", "2"):
        painted.paint(drop / f"Ada/{name}.png", "Ada")
    painted.paint(drop / "Ada/wrong.png", "Bo")
    painted.photo("Ada/by hand.png", "Bo")
    painted.open().collect()
    (waiting,) = painted.folder.glob("*-training-images/Ada/wrong.png")
    painted.open().move([waiting, "Ada/by hand.png"], "Bo")
    assert (waiting.parent.parent / "Bo/wrong.png").is_file() and not waiting.exists()
    shutil.copy2(painted.training / "Bo/by hand.png", drop / "Ada/hand.png")
    shutil.copy2(drop / "Ada/wrong.png", drop / "Ada/wrong again.png")
    for _ in range(2):
        assert painted.open().collect().photos == 0
    painted.open().merge()
    assert painted.open().collect().photos == 0
    lie = sorted(path.relative_to(painted.training).as_posix() for path in painted.training.rglob("*.png"))
    assert lie == ["Ada/1.png", "Ada/2.png", "Bo/by hand.png", "Bo/wrong.png"]
    shown = painted.open().show("Bo/wrong.png")
    assert ("drop", "Ada/wrong.png") in {(fetch.source, fetch.location) for fetch in shown.fetches}
    assert [(was, now) for _, was, now in shown.moved] == [("Ada", "Bo")]


def test_what_a_source_may_not_be_used_for_any_more_goes_under_whom_it_is_filed_now(painted: Painted) -> None:
    drop = source(painted, until="2026-11-30")
    painted.paint(drop / "Ada/wrong.png", "Bo")
    painted.photo("Bo/1.png")
    painted.photo("Ada/1.png")
    album = painted.open(clock=lambda: NOW)
    album.collect()
    album.merge()
    album.move("Ada/wrong.png", "Bo")
    painted.open(clock=lambda: NOW + timedelta(days=30)).daily()
    assert (painted.folder / "removed-images/Bo/wrong.png").is_file()


# rename


def test_a_person_gets_another_name_everywhere(misfiled: Painted) -> None:
    (misfiled.folder / "2026-11-19-training-images/Bo").mkdir(parents=True)
    misfiled.paint(misfiled.folder / "2026-11-19-training-images/Bo/new.png", "Bo")
    misfiled.open().remove("Bo", "bo-3.png")
    before, first = rows(misfiled), misfiled.open().version
    done = misfiled.open().rename("Bo", "Bob Stone")
    assert done.people == ("Bo",) and done.person == "Bob Stone" and len(done.moved) == 3
    after = rows(misfiled)
    assert after == {{"Bo": "Bob Stone"}.get(name, name): row for name, row in before.items()}
    assert named(misfiled, misfiled.training / "Bob Stone/bo-1.png") == ["Bob Stone"]
    assert first in done.older and done.version not in done.older
    assert (misfiled.folder / "removed-images/Bob Stone/bo-3.png").is_file()
    assert (misfiled.folder / "2026-11-19-training-images/Bob Stone/new.png").is_file()
    assert not list(misfiled.folder.glob("*/Bo"))
    assert [one.name for one in misfiled.open().status().people] == ["Ada", "Bob Stone", "Cy"]
    misfiled.looked()
    misfiled.open().align()
    assert misfiled.looked() == []
    assert misfiled.open().train().in_use, "the old name is not taken for somebody who is gone"


def test_a_model_of_the_old_name_does_not_keep_the_next_one_out(misfiled: Painted) -> None:
    first = str(misfiled.open().version)
    misfiled.open().rename("Bo", "Bob")
    misfiled.open().promote(first)
    assert misfiled.open().train().in_use


def test_sources_go_on_under_the_new_name(painted: Painted) -> None:
    drop = source(painted)
    painted.photo("Jon/1.png", "Ada")
    painted.paint(drop / "Jon/2.png", "Ada")
    painted.open().collect()
    painted.open().merge()
    painted.open().remove("Jon", "2.png")
    painted.open().rename("Jon", "John")
    assert painted.open().collect().photos == 0, "what was taken out stays out"
    painted.paint(drop / "Jon/3.png", "Ada")
    (collected,) = painted.open().collect().sources
    assert collected.brought == (("John", 1),)
    painted.open().undo()
    painted.paint(drop / "Jon/4.png", "Ada")
    (collected,) = painted.open().collect().sources
    assert collected.brought == (("Jon", 1),)


def test_the_last_day_of_a_person_goes_on_to_hold(painted: Painted) -> None:
    painted.photo("Jon/1.png", "Ada")
    painted.photo("Bo/1.png", "Bo")
    painted.open(clock=lambda: NOW).align()
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write("\n[people.Jon]\nuntil = 2026-11-30\n")
    done = painted.open(clock=lambda: NOW).rename("Jon", "John")
    assert done.mentioned == ("Jon",)
    with painted.reading() as album:
        assert album.until == {"John": date(2026, 11, 30)}
    painted.open(clock=lambda: NOW + timedelta(days=30)).daily()
    assert not (painted.training / "John").exists() and (painted.folder / "removed-images/John/1.png").is_file()


@pytest.mark.parametrize(
    ("person", "name", "told"),
    [
        ("Bo", "Ada", "is somebody in this album already"),
        ("Bo", "ada", "is not told from Ada"),
        ("Bo", "Bo", "is called so already"),
        ("Bob", "Rob", "is nobody's name"),
        ("Bo", "a/b", "cannot be a person's name"),
        ("Bo", "", "cannot be a person's name"),
    ],
)
def test_a_name_that_will_not_do_is_refused(misfiled: Painted, person: str, name: str, told: str) -> None:
    before = photos(misfiled)
    with pytest.raises(UsageError, match=told):
        misfiled.open().rename(person, name)
    assert photos(misfiled) == before


def test_whoever_asks_for_the_old_name_is_told_the_new_one(misfiled: Painted) -> None:
    misfiled.open().rename("Bo", "Bob")
    again: list[Callable[[], object]] = [
        lambda: misfiled.open().rename("Bo", "Rob"),
        lambda: misfiled.open().remove("Bo", everywhere=True),
        lambda: misfiled.open().move("Ada/wrong.png", "Bo"),
    ]
    for do in again:
        with pytest.raises(UsageError, match="Bo is called Bob now"):
            do()
    with pytest.raises(UsageError, match=r"Did you mean Ada\?"):
        misfiled.open().join("Adda", "Bob")


def test_who_gets_photos_under_the_old_name_by_hand_is_somebody_again(misfiled: Painted) -> None:
    misfiled.open().rename("Bo", "Bob")
    misfiled.photo("Bo/4.png")
    misfiled.open().align()
    assert [one.name for one in misfiled.open().status().people] == ["Ada", "Bo", "Bob", "Cy"]
    with pytest.raises(UsageError, match="has photos of their own again"):
        misfiled.open().undo()


NAMES = ["ADA", NFD, "-Ada", "--help", "Ann  Lee", "O'Neil & Sons; $HOME", "日本 太郎", "Zo\u200be", "100 %"]


@pytest.mark.parametrize("name", NAMES)
def test_odd_names_there_and_back(misfiled: Painted, mien: Mien, name: str) -> None:
    before = everything(misfiled)
    version = misfiled.open().version
    assert mien("-C", misfiled.folder, "rename", "--", "Ada", name).exit_code == 0
    misfiled.open().undo()
    assert everything(misfiled) == before
    done = misfiled.open().rename("Ada", name)
    assert not (misfiled.training / "Ada").exists() or name.casefold() == "ada"
    assert done.person in {one.name for one in misfiled.open().status().people}
    misfiled.open().rename(done.person, "Ada")
    assert misfiled.open().version == version, "the same model is used again"
    assert everything(misfiled) == before


def test_a_name_that_differs_in_case_only_where_the_disk_takes_both_for_one(
    misfiled: Painted, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As macOS and Windows do: the new name is there, and is the same folder."""
    real, there = Path.samefile, files.is_there

    def is_there(path: Path) -> bool:
        return there(path) or any(str(one).lower() == str(path).lower() for one in path.parent.glob("*"))

    def samefile(one: Path, other: Path) -> bool:
        return str(one).lower() == str(other).lower() or real(one, other)

    monkeypatch.setattr(in_folder, "is_there", is_there)
    monkeypatch.setattr(Path, "samefile", samefile)
    misfiled.open().rename("Ada", "ADA")
    assert sorted(one.name for one in misfiled.training.iterdir()) == ["ADA", "Bo", "Cy"]
    misfiled.open().undo()
    assert sorted(one.name for one in misfiled.training.iterdir()) == ["Ada", "Bo", "Cy"]


def test_no_server_repeats_an_answer_by_the_old_name(misfiled: Painted) -> None:
    now, file = datetime.now(UTC), misfiled.folder / ".mien/catalog-access.sqlite"
    with Access.for_writing(file) as access:
        for request in ("rename", "undo"):
            assert access.replies.begin("desk", request, "a", now) is None
            access.replies.finish("desk", request, Reply(200, "text/plain", b"Bo or Bob"))
            misfiled.open().rename("Bo", "Bob") if request == "rename" else misfiled.open().undo()
            assert access.replies.begin("desk", request, "a", now) == Reply(200, "", None)


def test_a_folder_whose_name_no_person_may_have_can_be_renamed_and_back(misfiled: Painted) -> None:
    (misfiled.training / "Bo").rename(misfiled.training / 'Bo: "B"?')
    misfiled.open().align()
    before = photos(misfiled)
    misfiled.open().rename('Bo: "B"?', "Bo B")
    misfiled.open().undo()
    assert photos(misfiled) == before


def test_a_name_written_in_two_ways_becomes_one_folder_and_two_again(painted: Painted) -> None:
    for name in (JOSE, NFD):
        painted.photo(f"{name}/1.png", "Ada")
        painted.photo(f"{name}/{len(name)}.png", "Ada")
    if len(list(painted.training.iterdir())) == 1:
        pytest.skip("this disk takes both for one")
    painted.open().align()
    before = photos(painted)
    painted.open().rename(JOSE, "Pepe")
    assert sorted(one.name for one in (painted.training / "Pepe").iterdir()) == ["1-2.png", "1.png", "4.png", "5.png"]
    painted.open().undo()
    assert photos(painted) == before


# join


def test_two_names_become_one_person(misfiled: Painted) -> None:
    misfiled.photo("Addie/ada-1.png", "Ada")
    misfiled.photo("Addie/2.png", "Ada")
    shutil.copy2(misfiled.training / "Ada/ada-2.png", misfiled.training / "Addie/same.png")
    (misfiled.training / "Addie/notes.txt").write_text("of 2019")
    misfiled.open().train()
    done = misfiled.open().join("Addie", "Ada")
    assert len(done.moved) == 4 and done.copies == 1 and not (misfiled.training / "Addie").exists()
    assert (misfiled.training / "Ada/ada-1-2.png").is_file() and (misfiled.training / "Ada/notes.txt").is_file()
    known = rows(misfiled)
    assert sorted(known) == ["Ada", "Bo", "Cy"] and known["Ada"][1] == 6
    misfiled.looked()
    assert misfiled.open().train().in_use and misfiled.looked() == []


def test_provenance_and_days_are_kept(painted: Painted) -> None:
    drop = source(painted)
    painted.paint(drop / "Jose/1.png", "Ada")
    painted.photo(f"{JOSE}/2.png", "Ada")
    with (painted.folder / "mien.toml").open("a", encoding="utf-8") as file:
        file.write(f'\n[people]\nJose.until = 2027-01-31\n"{JOSE}".until = 2027-12-31\n')
    painted.open().collect()
    painted.open().merge()
    painted.open().join("Jose", JOSE)
    (fetch,) = painted.open().show(f"{JOSE}/1.png").fetches
    assert (fetch.person, fetch.location) == (JOSE, "Jose/1.png")
    with painted.reading() as album:
        assert album.until == {JOSE: date(2027, 1, 31)}, "the earlier of two"
    painted.paint(drop / "Jose/3.png", "Ada")
    (collected,) = painted.open().collect().sources
    assert collected.brought == ((JOSE, 1),) and collected.known + collected.duplicates == 1


# undo


def test_undo_goes_back_one_by_one(misfiled: Painted) -> None:
    version, before = misfiled.open().version, everything(misfiled)
    album = misfiled.open()
    album.move("Ada/wrong.png", "Bo")
    album.rename("Ada", "Adele")
    album.join("Cy", "Bo")
    album.rename("Bo", "Bob")
    plan = album.undo(dry_run=True)
    assert (plan.verb, plan.people, plan.person) == ("rename", ("Bo",), "Bob")
    assert [album.undo().verb for _ in range(4)] == ["rename", "join", "rename", "move"]
    assert album.version == version and everything(misfiled) == before
    with pytest.raises(UsageError, match="no correction of the last 90 days"):
        album.undo()


@pytest.mark.parametrize(
    "done",
    [
        [("rename", "Cy", "Dee Dee"), ("rename", "Bo", "Cy")],
        [("rename", "Cy", "Dee Dee"), ("rename", "Bo", "Cy"), ("rename", "Dee Dee", "Bo")],
        [("join", "Cy", "Ada"), ("rename", "Bo", "Cy")],
        [("join", "Cy", "Ada"), ("rename", "Bo", "Cy"), ("rename", "Ada", "Bo")],
    ],
)
def test_a_name_that_goes_round_comes_back(misfiled: Painted, done: list[tuple[str, str, str]]) -> None:
    before = everything(misfiled)
    for verb, one, other in done:
        getattr(misfiled.open(), verb)(one, other)
    assert [misfiled.open().undo().verb for _ in done] == [verb for verb, *_ in reversed(done)]
    assert everything(misfiled) == before


@pytest.mark.parametrize("change", ["gone", "changed", "in the way"])
def test_undo_is_refused_where_something_has_changed_since(misfiled: Painted, change: str) -> None:
    album = misfiled.open()
    album.move(["Ada/wrong.png", "Ada/ada-1.png"], "Bo")
    if change == "gone":
        (misfiled.training / "Bo/ada-1.png").unlink()
    elif change == "changed":
        misfiled.photo("Bo/ada-1.png", "Cy")
    else:
        misfiled.photo("Ada/ada-1.png", "Cy")
    before = photos(misfiled)
    for dry_run in (True, False):
        with pytest.raises(UsageError, match=r"(not there any more|changed since|there again).*mien move"):
            misfiled.open().undo(dry_run)
    assert photos(misfiled) == before


def test_what_was_removed_since_stays_out_and_the_rest_is_undone(misfiled: Painted) -> None:
    misfiled.open().move(["Ada/wrong.png", "Ada/ada-1.png"], "Bo")
    misfiled.open().remove("Bo", "Bo/wrong.png")
    misfiled.photo("Ada/wrong.png", "Cy")  # in nobody's way
    plan = misfiled.open().undo(dry_run=True)
    assert plan.moved == (("training-images/Bo/ada-1.png", "training-images/Ada/ada-1.png"),)
    assert plan.left_out == ("training-images/Bo/wrong.png",) and plan.to_json()["left_out"] == ["Bo/wrong.png"]
    assert misfiled.open().undo().left_out == plan.left_out
    assert (misfiled.training / "Ada/ada-1.png").is_file() and not (misfiled.training / "Bo/ada-1.png").exists()
    assert (misfiled.folder / "removed-images/Bo/wrong.png").is_file()
    assert {name: number for name, (_, number) in rows(misfiled).items()} == {"Ada": 4, "Bo": 3, "Cy": 3}
    with pytest.raises(UsageError, match="could be undone"):
        misfiled.open().undo()


@pytest.mark.parametrize("new", ["Dee", "Bo"])
def test_a_correction_of_which_all_was_removed_is_not_in_the_way_of_the_one_before(misfiled: Painted, new: str) -> None:
    album, before = misfiled.open(), photos(misfiled)
    album.move("Ada/wrong.png", "Bo")
    album.move("Ada/ada-1.png", new)
    album.remove(new, () if new == "Dee" else "Bo/ada-1.png")
    assert (undone := album.undo()).moved == () and len(undone.left_out) == 1
    album.undo()
    gone = {"training-images/Ada/ada-1.png", f"removed-images/{new}/ada-1.png"}
    assert {path: one for path, one in photos(misfiled).items() if path not in gone} == {
        path: one for path, one in before.items() if path not in gone
    }


def test_no_source_brings_back_what_was_removed_once_the_move_is_undone(painted: Painted) -> None:
    drop = source(painted)
    painted.paint(drop / "Ada/1.png", "Bo")
    painted.open().collect()
    painted.open().merge()
    painted.open().move("Ada/1.png", "Bo")
    painted.open().remove("Bo", "Bo/1.png")
    painted.open().undo()
    assert painted.open().collect().photos == 0 and not list(painted.training.rglob("1.png"))


@pytest.mark.parametrize("before", [False, True])
def test_no_source_brings_back_what_was_removed_once_the_rename_is_undone(painted: Painted, before: bool) -> None:
    drop = source(painted)
    for name in ("01", "02", "03"):
        painted.paint(drop / f"Anton/{name}.png", "Ada")
    painted.open().collect()
    painted.open().merge()
    if before:  # then the folder of what was set aside is renamed too
        painted.open().remove("Anton", "03.png")
    painted.open().rename("Anton", "Tony")
    painted.open().remove("Tony", "01.png")
    assert painted.open().undo(dry_run=True).left_out == ("training-images/Tony/01.png",)
    assert painted.open().undo().left_out == ("training-images/Tony/01.png",)
    (collected,) = painted.open().collect().sources
    assert collected.photos == 0 and not list(painted.folder.glob("*/Anton/01-*"))
    assert (painted.folder / "removed-images/Anton/01.png").is_file()
    assert not list(painted.folder.glob("*/Tony")) and not (painted.training / "Anton/01.png").exists()
    painted.open().add("Anton", painted.folder / "removed-images/Anton/01.png")
    assert (painted.training / "Anton/01.png").is_file(), "a human may"


def test_no_source_brings_back_what_was_removed_once_the_join_is_undone(painted: Painted) -> None:
    drop = source(painted)
    for name in ("01", "02"):
        painted.paint(drop / f"Anton/{name}.png", "Ada")
    painted.photo("Erik/01.png", "Bo")
    painted.open().collect()
    painted.open().merge()
    painted.open().join("Anton", "Erik")
    painted.open().remove("Erik", "01-2.png")
    assert painted.open().undo().left_out == ("training-images/Erik/01-2.png",)
    assert painted.open().collect().photos == 0 and not list(painted.folder.glob("*-training-images/Anton/*"))
    assert sorted(path.name for path in (painted.training / "Anton").iterdir()) == ["02.png"]


def test_a_model_that_was_trained_since_learns_of_an_undo(misfiled: Painted) -> None:
    misfiled.open().move("Ada/wrong.png", "Bo")
    misfiled.photo("Cy/cy-9.png")
    misfiled.open().train()
    misfiled.open().undo()
    known = rows(misfiled)
    assert {name: known[name][1] for name in known} == {"Ada": 4, "Bo": 3, "Cy": 4}


def test_undo_is_possible_for_ninety_days(misfiled: Painted) -> None:
    misfiled.open(clock=lambda: NOW).move("Ada/wrong.png", "Bo")
    misfiled.open(clock=lambda: NOW + timedelta(days=91)).rename("Cy", "Cyril")
    misfiled.open().undo()
    with pytest.raises(UsageError, match="no correction of the last 90 days"):
        misfiled.open().undo()
    assert [one[1:] for one in misfiled.open().show("Bo/wrong.png").moved] == [("Ada", "Bo")]


PEOPLE = ("Ada", "Bo", "Cy", "Dee Dee")


@settings(max_examples=8, deadline=None, suppress_health_check=list(HealthCheck))
@given(st.lists(st.tuples(st.sampled_from(["move", "rename", "join"]), st.permutations(PEOPLE)), max_size=4))
def test_whatever_was_corrected_is_undone_to_the_last_byte(
    misfiled: Painted, done: list[tuple[str, tuple[str, ...]]]
) -> None:
    album, before = misfiled.open(), everything(misfiled)
    for verb, (one, other, *_) in done:
        some = sorted((misfiled.training / one).glob("*.png"))[:2]
        try:
            if verb == "move" and some:
                album.move(some, other)
            elif verb != "move":
                getattr(album, verb)(one, other)
        except UsageError:
            continue
    with pytest.raises(UsageError, match="no correction"):
        while True:
            album.undo()
    assert everything(misfiled) == before


# Whoever is removed


def test_whoever_is_removed_everywhere_is_gone_from_corrections_under_every_name(misfiled: Painted) -> None:
    album = misfiled.open()
    album.move("Ada/wrong.png", "Bo")
    album.rename("Bo", "Zebulon")
    album.rename("Zebulon", "Xanthippe")
    album.rename("Cy", "Quentin")
    album.join("Quentin", "Xanthippe")
    album.remove("Xanthippe", everywhere=True)
    for file in (one for one in misfiled.folder.rglob("*") if one.is_file() and "ada" not in one.name.lower()):
        data = file.read_bytes()
        for name in ("Xanthippe", "Zebulon", "Quentin"):
            assert name.encode() not in data and name not in str(file), file
    with pytest.raises(UsageError, match="no correction"):
        album.undo()
    drop = source(misfiled)
    for name in ("Bo", "Zebulon", "Quentin", "Xanthippe"):
        misfiled.paint(drop / f"{name}/9.png", "Bo")
    assert misfiled.open().collect().photos == 0, "under none of the names they come back"


# Interrupted


class Killed(BaseException):
    pass


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, name: str) -> Iterator[None]:
    def dies(*_: object) -> None:
        raise Killed

    with monkeypatch.context() as patch:
        patch.setattr(f"mien.pipeline.correct.{name}", dies)
        with pytest.raises(Killed):
            yield


@pytest.mark.parametrize("at", ["take", "_keep_out", "_learn", "put_into_use"])
def test_the_next_command_finishes_what_was_interrupted(
    misfiled: Painted, monkeypatch: pytest.MonkeyPatch, at: str
) -> None:
    with killed_at(monkeypatch, at):
        misfiled.open().move("Ada/wrong.png", "Bo")
    album = misfiled.open()
    album.align()
    assert [one.kind for one in album.settled] == [CorrectionKind.FILED]
    assert (misfiled.training / "Bo/wrong.png").is_file() and rows(misfiled)["Bo"][1] == 4
    with killed_at(monkeypatch, "remove_stale_chips"):
        album.undo()
    album.align()
    assert [one.kind for one in album.settled] == [CorrectionKind.UNDONE] and rows(misfiled)["Bo"][1] == 3


def test_what_cannot_be_finished_is_told_and_can_be_undone(misfiled: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    before = photos(misfiled)
    with killed_at(monkeypatch, "take"):
        misfiled.open().rename("Bo", "Bob")
    in_the_way = misfiled.photo("Bob/1.png", "Bo")
    album = misfiled.open()
    album.align()
    (told,) = album.settled
    assert told.kind == CorrectionKind.UNFINISHED and "is in the way" in told.line and "mien undo" in told.line
    in_the_way.unlink()
    in_the_way.parent.rmdir()
    album.align()
    assert [one.kind for one in album.settled] == [CorrectionKind.RENAMED]
    album.undo()
    assert photos(misfiled) == before


def test_where_a_file_cannot_go_all_come_back(misfiled: Painted, monkeypatch: pytest.MonkeyPatch) -> None:
    before, real, count = photos(misfiled), files.move_file, iter(range(9))

    def fails(one: Path, other: Path, sync: bool = True) -> bool:
        if next(count) == 1:
            raise StorageError(str(other), "could not be written: the disk is full", "Free some space.")
        return real(one, other, sync)

    monkeypatch.setattr(in_folder, "move_file", fails)
    with pytest.raises(StorageError, match="the disk is full"):
        misfiled.open().join("Bo", "Ada")
    assert photos(misfiled) == before
    with pytest.raises(UsageError, match="no correction"):
        misfiled.open().undo()


def test_a_model_of_another_encoder_is_left_as_it_is_and_that_is_said(misfiled: Painted) -> None:
    version = misfiled.open().version
    done = misfiled.open(precision="int8").move("Ada/wrong.png", "Bo")
    assert done.unlearned is UnlearnedKind.OTHER_ENCODER and misfiled.open().version == version


def test_without_a_model_photos_go_all_the_same(three_people: Painted) -> None:
    done = three_people.open().join("Bo", "Ada")
    assert done.unlearned is UnlearnedKind.NO_MODEL and done.version is None and len(done.moved) == 3


def test_a_folder_that_is_a_link_is_left_alone(misfiled: Painted, tmp_path: Path) -> None:
    (misfiled.training / "Bo").rename(tmp_path / "elsewhere")
    (misfiled.training / "Bo").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(AlbumError, match="is a link"):
        misfiled.open().move("Ada/wrong.png", "Bo")


def test_it_is_as_json(misfiled: Painted) -> None:
    done: Corrected = misfiled.open().move("Ada/wrong.png", "Bo")
    assert done.to_json() == {
        "verb": "move",
        "people": ["Ada"],
        "person": "Bo",
        "moved": [{"was": "Ada/wrong.png", "now": "Bo/wrong.png"}],
        "new": False,
        "alike": [],
        "there": 0,
        "copies": 0,
        "version": done.version,
        "unlearned": None,
        "older": [],
        "mentioned": [],
        "left_out": [],
    }


def test_a_file_whose_name_is_no_text_is_told_before_anything_goes(misfiled: Painted) -> None:
    odd = misfiled.training / "Bo/\udcff.png"
    try:
        shutil.copy2(misfiled.training / "Bo/bo-1.png", odd)
    except OSError:
        pytest.skip("this disk has no such names")
    before = photos(misfiled)
    with pytest.raises(PhotoError, match=r"udcff"):
        misfiled.open().join("Bo", "Ada")
    with pytest.raises(PhotoError, match=r"udcff"):
        misfiled.open().move([odd], "Ada")
    assert photos(misfiled) == before
    misfiled.open().rename("Bo", "Bob")
    misfiled.open().undo()
    assert photos(misfiled) == before


def test_no_correction_lets_somebody_in_who_was_removed(misfiled: Painted) -> None:
    misfiled.open().remove("Bo")
    with pytest.raises(UsageError, match="was removed from this album on"):
        misfiled.open().move("Ada/wrong.png", "Bo")
    with pytest.raises(UsageError, match="was removed from this album on"):
        misfiled.open().rename("Ada", "Bo")
    assert [one.name for one in misfiled.open().status().removed] == ["Bo"]


def test_nobody_is_added_under_a_name_that_somebody_had(misfiled: Painted, tmp_path: Path) -> None:
    misfiled.open().rename("Bo", "Bob")
    with pytest.raises(UsageError, match="is called Bob now"):
        misfiled.open().add("Bo", misfiled.paint(tmp_path / "1.png", "Bo"))
    misfiled.open().undo()
    assert len(misfiled.open().add("Bo", misfiled.paint(tmp_path / "2.png", "Bo")).added) == 1


def test_a_rename_and_its_undoing_leave_nothing_stale(misfiled: Painted) -> None:
    before = misfiled.open().check().findings
    misfiled.open().rename("Bo", "Bob")
    assert misfiled.open().status().stale == () and len(misfiled.open().check().findings) == len(before)
    misfiled.open().undo()
    assert misfiled.open().status().stale == () and misfiled.open().check().findings == before
