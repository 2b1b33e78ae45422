"""Where things lie in an album: `mien.storage.layout`."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from collections.abc import Callable
from datetime import date
from pathlib import Path
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import AlbumError, StorageError
from mien.open_album import read_settings
from mien.settings import Settings, load
from mien.storage.layout import (
    REMOVED,
    TRAINING,
    Layout,
    Shelf,
    chip_keys,
    create_album,
    day_of,
    intake_of,
    is_album,
    require_album,
    shelf_of,
    shown,
)
from mien.text.shell import quoted

COMPOSED, DECOMPOSED = "José", unicodedata.normalize("NFD", "José")
DAY, NEXT = "2026-11-23-training-images", "2026-11-24-training-images"
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    create_album(tmp_path / "album", "personal")
    return Layout.of(tmp_path / "album", Settings())


def put(layout: Layout, path: str) -> Path:
    file = layout.file(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(b"photo")
    return file


# An album


def test_a_new_album_is_one(tmp_path: Path) -> None:
    folder = tmp_path / "deep" / "album"
    assert not is_album(folder)
    create_album(folder, 'they said "yes"')
    assert is_album(folder)
    require_album(folder)
    assert load(folder, {}).basis == 'they said "yes"'
    assert Layout.of(folder, Settings()).training.is_dir()


def test_flags_reach_the_settings(layout: Layout) -> None:
    found, settings = read_settings(layout.folder, {"views": 1, "catalog": "near.sqlite"})
    assert settings.views == 1
    assert found == Layout.of(layout.folder, settings)
    assert found.catalog_file == layout.folder / "near.sqlite"
    with pytest.raises(AlbumError, match="is not an album"):
        read_settings(layout.training, {})


def test_what_lies_in_the_folder_stays(tmp_path: Path) -> None:
    (tmp_path / "training-images" / "ann").mkdir(parents=True)
    (tmp_path / "training-images" / "ann" / "1.jpg").write_bytes(b"1")
    create_album(tmp_path, "personal")
    assert (tmp_path / "training-images" / "ann" / "1.jpg").read_bytes() == b"1"


def test_an_album_is_not_made_twice(layout: Layout) -> None:
    layout.settings_file.write_text("views = 1\n")
    with pytest.raises(AlbumError, match="is an album already") as caught:
        create_album(layout.folder, "other")
    assert caught.value.about == str(layout.folder)
    assert layout.settings_file.read_text() == "views = 1\n"


@pytest.mark.parametrize("name", ["plain", "my photos", "Zoë's"])
def test_what_is_no_album_is_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    folder = tmp_path / name
    with pytest.raises(AlbumError) as caught:
        require_album(folder)
    init = f"mien init {quoted(folder)}"
    assert (caught.value.about, caught.value.what) == (str(folder), "does not exist")
    assert caught.value.remedy.endswith(init)
    folder.mkdir()
    with pytest.raises(AlbumError) as caught:
        require_album(folder)
    assert (caught.value.about, caught.value.what) == (
        str(folder),
        "is not an album: there is no mien.toml in it",
    )
    assert caught.value.remedy.endswith(init)


def test_an_album_cannot_be_made_of_a_file(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(StorageError, match="file"):
        create_album(tmp_path / "file", "personal")


def test_an_album_that_may_not_be_looked_at_is_told(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> bool:
        raise PermissionError(errno.EACCES, "Permission denied")

    monkeypatch.setattr(Path, "stat", refuse)
    with pytest.raises(StorageError, match=r"mien.toml cannot be opened: permission denied. Check its permissions"):
        require_album(layout.folder)


def test_the_disk_of_a_new_album_may_be_read_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(Path, "mkdir", refuse)
    with pytest.raises(StorageError, match=r"read-only. Use a folder that can be written to"):
        create_album(tmp_path / "other", "personal")


# Places


def test_the_places_of_an_album(layout: Layout) -> None:
    places = {name: getattr(layout, name) for name in ("training", "removed", "aligned", "models", "journals")}
    assert {name: layout.path(place) for name, place in places.items()} == {
        "training": "training-images",
        "removed": "removed-images",
        "aligned": "aligned-images",
        "models": "models",
        "journals": ".mien/journals",
    }
    assert (layout.path(layout.lock_file), layout.path(layout.tracebacks)) == (".mien/lock", ".mien/tracebacks")
    assert (layout.shelf(TRAINING), layout.shelf(REMOVED)) == (layout.training, layout.removed)
    assert layout.file("training-images/Ann/1.jpg") == layout.training / "Ann" / "1.jpg"
    assert layout.path(layout.training / "Ann" / "1.jpg") == "training-images/Ann/1.jpg"
    assert layout.folder.is_absolute()


def test_a_layout_does_not_change_with_the_current_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    assert Layout.of(Path("album"), Settings()).training == tmp_path / "album" / "training-images"


def test_the_catalog_lies_in_the_album_or_where_the_settings_say(layout: Layout, tmp_path: Path) -> None:
    def catalog(setting: str) -> Path:
        return Layout.of(layout.folder, load(layout.folder, {"catalog": setting})).catalog_file

    assert layout.catalog_file == layout.folder / ".mien" / "catalog.sqlite"
    assert catalog(str(tmp_path / "x" / "c.sqlite")) == tmp_path / "x" / "c.sqlite"
    assert catalog("near.sqlite") == layout.folder / "near.sqlite"
    assert "~" not in str(catalog("~/c.sqlite"))
    assert not (tmp_path / "x").exists(), "to ask where it would lie makes nothing"


def test_the_ledger_lies_beside_the_catalog(layout: Layout, tmp_path: Path) -> None:
    assert layout.ledger_file == layout.folder / ".mien" / "catalog-ledger.sqlite"
    other = Layout.of(layout.folder, Settings(catalog=tmp_path / "x" / "club.db"))
    assert other.ledger_file == tmp_path / "x" / "club-ledger.db"


def test_training_images_that_are_not_there_are_not_an_empty_album(layout: Layout) -> None:
    assert layout.require_training() == layout.training
    layout.training.rmdir()
    with pytest.raises(AlbumError, match=r"training-images is missing"):
        layout.require_training()


# Shelves


def test_a_path_begins_with_its_shelf() -> None:
    assert [shelf_of(f"{shelf}/Ann/deep/1.jpg") for shelf in (TRAINING, REMOVED, DAY)] == [TRAINING, REMOVED, DAY]


def test_users_read_paths_in_training_images_without_it() -> None:
    assert shown("training-images/Ann/deep/1.jpg") == "Ann/deep/1.jpg"
    assert shown(f"{DAY}/Ann/1.jpg") == f"{DAY}/Ann/1.jpg"
    assert shown("removed-images/training-images/1.jpg") == "removed-images/training-images/1.jpg"


def test_an_intake_is_named_by_its_day() -> None:
    assert intake_of(date(2026, 11, 23)) == DAY
    assert intake_of(date(926, 1, 2)) == "0926-01-02-training-images"
    assert (day_of(DAY), day_of("0926-01-02-training-images")) == (date(2026, 11, 23), date(926, 1, 2))


NO_INTAKES = (
    "20261123-training-images",
    "2026-W48-1-training-images",
    "2026-02-30-training-images",
    "2026-11-23-training-images-2",
    "x2026-11-23-training-images",
    "2026-11-25",
    "2026-11-26-Training-Images",
    "-training-images",
    "training-images",
    "",
)


def test_intakes_come_oldest_first_and_nothing_else_is_one(layout: Layout) -> None:
    for name in (NEXT, DAY, "2025-12-31-training-images", "0926-01-02-training-images", *NO_INTAKES):
        (layout.folder / name).mkdir(exist_ok=True)
    (layout.folder / "2026-11-27-training-images").write_bytes(b"")
    assert layout.intakes() == ["0926-01-02-training-images", "2025-12-31-training-images", DAY, NEXT]
    assert [day_of(name) for name in NO_INTAKES] == [None] * len(NO_INTAKES)


def test_an_album_without_intakes(layout: Layout) -> None:
    assert layout.intakes() == []


def test_an_album_folder_that_cannot_be_opened_is_told(layout: Layout) -> None:
    gone = Layout.of(layout.folder / "gone", Settings())
    with pytest.raises(AlbumError, match=r"gone cannot be opened: .*Check its permissions"):
        gone.intakes()


@LINKS
def test_a_link_is_no_intake(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "elsewhere").mkdir()
    (layout.folder / DAY).symlink_to(tmp_path / "elsewhere")
    assert layout.intakes() == []


# A person's folder


def test_a_person_is_found_by_the_other_spelling_of_their_name(layout: Layout) -> None:
    put(layout, f"{TRAINING}/{DECOMPOSED}/1.jpg")
    assert layout.person_folder(TRAINING, COMPOSED) == layout.training / DECOMPOSED
    put(layout, f"{TRAINING}/{COMPOSED}/1.jpg")
    assert layout.person_folder(TRAINING, COMPOSED) == layout.training / COMPOSED
    assert layout.person_folder(REMOVED, COMPOSED) == layout.removed / COMPOSED
    put(layout, f"{TRAINING}/\u200eAda  Lovelace /1.jpg")
    assert layout.person_folder(TRAINING, "Ada Lovelace") == layout.training / "\u200eAda  Lovelace "
    assert layout.person_folder(TRAINING, "Zoë") == layout.training / "Zoë"
    assert not (layout.training / "Zoë").exists()


@LINKS
def test_a_link_is_nobodys_folder(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    for shelf in (TRAINING, Shelf(DAY), REMOVED):
        layout.shelf(shelf).mkdir(exist_ok=True)
        (layout.shelf(shelf) / "Ann").symlink_to(tmp_path / "outside", target_is_directory=True)
        with pytest.raises(AlbumError, match="Ann is a link"):
            layout.person_folder(shelf, "Ann")


@LINKS
def test_training_images_may_be_a_link_and_no_other_shelf(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "outside").mkdir()
    layout.training.rmdir()
    for shelf in (TRAINING, Shelf(DAY), REMOVED):
        layout.shelf(shelf).symlink_to(tmp_path / "outside", target_is_directory=True)
    assert layout.person_folder(TRAINING, "Ann") == layout.training / "Ann"
    for shelf in (Shelf(DAY), REMOVED):
        with pytest.raises(AlbumError, match=f"{shelf} is a link"):
            layout.person_folder(shelf, "Ann")


# Chips


def test_a_chip_has_the_stem_and_where_that_is_taken_the_full_name() -> None:
    paths = ["ann/2019/a.jpg", "ann/A.png", "ann/a.jpg", "ann/b.c.jpg", "bob/a.jpg"]
    assert chip_keys((f"{TRAINING}/{path}", path.split("/")[0]) for path in paths) == {
        f"{TRAINING}/ann/2019/a.jpg": "ann/a.png",
        f"{TRAINING}/ann/A.png": "ann/A.png.png",
        f"{TRAINING}/ann/a.jpg": "ann/a.jpg.png",
        f"{TRAINING}/ann/b.c.jpg": "ann/b.c.png",
        f"{TRAINING}/bob/a.jpg": "bob/a.png",
    }


def test_where_the_full_name_is_taken_too_it_gets_a_number() -> None:
    paths = [f"{TRAINING}/ann/{name}" for name in ("a-b.jpg", "a-b.jpg.jpg", "a/b.jpg", "a/B.JPG", "b.jpg")]
    assert chip_keys((path, "ann") for path in paths) == {
        f"{TRAINING}/ann/a-b.jpg": "ann/a-b.png",
        f"{TRAINING}/ann/a-b.jpg.jpg": "ann/a-b.jpg.png",
        f"{TRAINING}/ann/a/B.JPG": "ann/B.png",
        f"{TRAINING}/ann/a/b.jpg": "ann/a-b.jpg-2.png",
        f"{TRAINING}/ann/b.jpg": "ann/b.jpg.png",
    }


PATHS = st.lists(
    st.text("aAbé./-1", min_size=1, max_size=8).map(lambda text: f"{TRAINING}/ann/{text}.jpg"),
    unique=True,
    max_size=12,
)


@settings(deadline=None)
@given(PATHS, st.randoms())
def test_chips_never_share_a_file_and_depend_on_the_set_alone(paths: list[str], random: Random) -> None:
    keys = chip_keys((path, "ann") for path in paths)
    assert keys.keys() == set(paths)
    assert len({unicodedata.normalize("NFC", key.casefold()) for key in keys.values()}) == len(paths)
    assert all(key.startswith("ann/") and key.count("/") == 1 and key.endswith(".png") for key in keys.values())
    assert chip_keys((path, "ann") for path in random.sample(paths, len(paths))) == keys


def test_the_longest_names_stay_within_what_a_disk_takes() -> None:
    paths = [f"{TRAINING}/ann/{folder}/{'é' * 120}{i}.jpg" for folder in ("x", "y") for i in range(3)]
    keys = chip_keys((path, "ann") for path in paths)
    assert len(set(keys.values())) == 6
    assert max(len(key.encode()) for key in keys.values()) < 250


def test_a_removed_chip_takes_its_empty_folder_along(layout: Layout) -> None:
    for key in ("ann/a.png", "bob/a.png", "bob/b.png"):
        layout.chip_file(key).parent.mkdir(parents=True, exist_ok=True)
        layout.chip_file(key).touch()
    assert layout.chips() == {"ann/a.png", "bob/a.png", "bob/b.png"}
    for key in ("ann/a.png", "bob/a.png", "bob/a.png"):  # a second time does no harm
        layout.remove_chip(key)
    assert [one.name for one in layout.aligned.iterdir()] == ["bob"]
    assert layout.chips() == {"bob/b.png"}


def test_a_chip_that_cannot_be_removed_is_told(layout: Layout) -> None:
    layout.chip_file("ann/a.png").mkdir(parents=True)
    (layout.chip_file("ann/a.png") / "file").touch()
    with pytest.raises(StorageError, match="could not be written"):
        layout.remove_chip("ann/a.png")


def test_an_album_without_chips(layout: Layout) -> None:
    assert layout.chips() == frozenset()


def test_all_ways_to_ask_for_a_place_make_nothing(layout: Layout) -> None:
    before = sorted(layout.folder.rglob("*"))
    asked: list[Callable[[], object]] = [
        layout.intakes,
        layout.chips,
        lambda: layout.person_folder(REMOVED, "Ann"),
        lambda: (layout.catalog_file, layout.ledger_file, layout.journals, layout.lock_file, layout.models),
    ]
    for ask in asked:
        ask()
    assert sorted(layout.folder.rglob("*")) == before
