"""Which photos there are: `mien.storage.walk`."""

from __future__ import annotations

import errno
import os
import sys
import unicodedata
from pathlib import Path

import pytest

from mien.errors import AlbumError, UsageError
from mien.settings import Settings
from mien.storage.layout import REMOVED, TRAINING, Layout, Shelf, create_album
from mien.storage.walk import LeftOut, ShelfFile, Shelved, people_below, photos_below, walk
from mien.text.findings import LeftOutKind
from mien.text.kinds import Kind

COMPOSED, DECOMPOSED = "José", unicodedata.normalize("NFD", "José")
DAY, NEXT = Shelf("2026-11-23-training-images"), Shelf("2026-11-24-training-images")
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    create_album(tmp_path / "album", "personal")
    return Layout.of(tmp_path / "album", Settings())


def put(layout: Layout, path: str, data: bytes = b"photo") -> Path:
    file = layout.file(path)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(data)
    return file


def train(layout: Layout, *paths: str) -> None:
    """Puts photos into training-images."""
    for path in paths:
        put(layout, f"{TRAINING}/{path}")


def reasons(shelved: Shelved) -> dict[str, Kind]:
    return {one.path.removeprefix(f"{TRAINING}/"): one.kind for one in shelved.left_out}


def paths(shelved: Shelved) -> list[str]:
    return [one.path.removeprefix(f"{TRAINING}/") for one in shelved.files]


def linked(link: Path, target: Path, folder: bool = False) -> None:
    try:
        link.symlink_to(target, target_is_directory=folder)
    except OSError as error:
        pytest.skip(f"no symbolic links here: {error}")


# Training images


def test_photos_at_any_depth_belong_to_the_folder_at_the_top(layout: Layout) -> None:
    for path in ("山田/1.jpg", "山田/2019/夏/2.JPG", "A_B/x.png", "a-b/x.png", "Nobody/notes.txt"):
        put(layout, f"{TRAINING}/{path}", path.encode())
    training = walk(layout, [TRAINING])
    assert training.shelves == (TRAINING,)
    assert training.people == ("A_B", "Nobody", "a-b", "山田")
    assert [(one.person, one.path) for one in training.files] == [
        ("A_B", "training-images/A_B/x.png"),
        ("a-b", "training-images/a-b/x.png"),
        ("山田", "training-images/山田/1.jpg"),
        ("山田", "training-images/山田/2019/夏/2.JPG"),
    ]
    first = training.files[0]
    stat = layout.file(first.path).stat()
    assert (first.size, first.mtime_ns) == (stat.st_size, stat.st_mtime_ns)
    assert training.left_out == ()


def test_hidden_things_and_small_copies_are_passed_over(layout: Layout) -> None:
    train(
        layout,
        "ann/.1.jpg",
        "ann/._2.jpg",
        ".trash/3.jpg",
        "ann/.thumbs/4.jpg",
        "ann/@eaDir/5.jpg",
        "__MACOSX/6.jpg",
        "#recycle/7.jpg",
        "ann/@Recycle/8.jpg",
        "$RECYCLE.BIN/9.jpg",
        "System Volume Information/10.jpg",
    )
    (layout.training / "lost+found").mkdir()
    assert walk(layout, [TRAINING]) == Shelved((TRAINING,), ("ann",), (), ())


def test_what_cannot_be_learned_from_is_reported(layout: Layout) -> None:
    train(layout, "loose.jpg", "ann/film.mp4", "ann/sub/drawing.psd", "readme.txt", "ann/notes.txt")
    found = walk(layout, [TRAINING])
    assert [(one.path, one.kind) for one in found.left_out] == [
        ("training-images/ann/film.mp4", LeftOutKind.UNSUPPORTED),
        ("training-images/ann/sub/drawing.psd", LeftOutKind.UNSUPPORTED),
        ("training-images/loose.jpg", LeftOutKind.NO_PERSON),
    ]


def test_two_spellings_of_one_name_are_one_person(layout: Layout) -> None:
    train(layout, f"{COMPOSED}/1.jpg", f"{DECOMPOSED}/2.jpg")
    training = walk(layout, [TRAINING])
    assert training.people == (COMPOSED,)
    assert {one.person for one in training.files} == {COMPOSED}
    assert sorted(layout.file(one.path).name for one in training.files) == ["1.jpg", "2.jpg"]


def test_names_equal_to_the_eye_are_one_person(layout: Layout) -> None:
    spelt = ["Ada Lovelace", "Ada\u200b Lovelace", "\u200eAda Lovelace", " Ada\u00a0Lovelace ", "Ada Love\u00adlace"]
    train(layout, *(f"{name}/{number}.jpg" for number, name in enumerate(spelt)))
    training = walk(layout, [TRAINING])
    assert training.people == ("Ada Lovelace",) and len(training.files) == len(spelt)
    assert all(layout.file(one.path).is_file() for one in training.files)


def test_folders_of_cameras_are_nobodys_but_may_lie_in_somebodys(layout: Layout) -> None:
    train(layout, "DCIM/100CANON/1.jpg", "ann/DCIM/100CANON/2.jpg", "Thumbs/3.jpg")
    training = walk(layout, [TRAINING])
    assert [one.path for one in training.files] == ["training-images/ann/DCIM/100CANON/2.jpg"]
    assert training.people == ("ann",)
    assert [(one.path, one.kind) for one in training.left_out] == [("training-images/DCIM", LeftOutKind.NO_PERSON)]


def test_links_to_photos_are_followed_and_links_to_folders_are_not(layout: Layout, tmp_path: Path) -> None:
    outside = tmp_path / "outside.jpg"
    outside.write_bytes(b"12345")
    train(layout, "ann/1.jpg")
    ann = layout.training / "ann"
    linked(ann / "linked.jpg", outside)
    linked(ann / "broken.jpg", tmp_path / "nothing.jpg")
    linked(ann / "self.jpg", ann / "self.jpg")
    linked(ann / "loop", layout.training, folder=True)
    linked(layout.training / "bob", ann, folder=True)
    training = walk(layout, [TRAINING])
    assert [(one.path, one.size) for one in training.files] == [
        ("training-images/ann/1.jpg", 5),
        ("training-images/ann/linked.jpg", 5),
    ]
    assert reasons(training) == {
        "ann/broken.jpg": LeftOutKind.BROKEN_LINK,
        "ann/self.jpg": LeftOutKind.BROKEN_LINK,
        "ann/loop": LeftOutKind.LINKED_FOLDER,
        "bob": LeftOutKind.LINKED_FOLDER,
    }


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has file names that are not Unicode")
def test_a_name_that_is_not_unicode_is_reported(layout: Layout) -> None:
    train(layout, "ann/1.jpg")
    Path(os.fsdecode(os.fsencode(layout.training) + b"/ann/caf\xe9.jpg")).write_bytes(b"x")
    training = walk(layout, [TRAINING])
    assert paths(training) == ["ann/1.jpg"]
    assert training.left_out == (LeftOut("training-images/ann/caf?.jpg", LeftOutKind.NOT_UNICODE),)


def test_a_folder_that_cannot_be_opened_is_reported(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    train(layout, "ann/1.jpg", "bob/1.jpg")
    scandir = os.scandir

    def locked(folder: Path) -> object:
        if folder.name == "bob":
            raise PermissionError(errno.EACCES, "denied")
        return scandir(folder)

    monkeypatch.setattr(os, "scandir", locked)
    training = walk(layout, [TRAINING])
    assert training.people == ("ann", "bob")
    assert paths(training) == ["ann/1.jpg"]
    assert training.left_out == (LeftOut("training-images/bob", LeftOutKind.UNREADABLE),)
    assert training.closed == training.left_out


def test_training_images_that_are_not_there_are_not_an_empty_album(layout: Layout) -> None:
    layout.training.rmdir()
    with pytest.raises(AlbumError, match=r"training-images is missing"):
        walk(layout, [TRAINING])
    with pytest.raises(AlbumError, match=r"training-images is missing"):
        walk(layout, [REMOVED, TRAINING])
    assert walk(layout, []) == Shelved((), (), (), ())


def test_no_photo_is_opened(layout: Layout, monkeypatch: pytest.MonkeyPatch) -> None:
    train(layout, "ann/1.jpg")

    def refuse(*_: object, **__: object) -> None:
        raise AssertionError("a photo was opened")

    monkeypatch.setattr("builtins.open", refuse)
    monkeypatch.setattr(Path, "open", refuse)
    assert paths(walk(layout, [TRAINING])) == ["ann/1.jpg"]


# Intakes, and shelves together


def test_what_waits_is_walked_strictly(layout: Layout) -> None:
    for path in (
        f"{NEXT}/Ann/a.jpg",
        f"{DAY}/{DECOMPOSED}/deep/b.jpg",
        f"{DAY}/Ann/a.jpg",
        f"{DAY}/Ann/film.mp4",
        f"{DAY}/Ann/notes.txt",
        f"{DAY}/Ann/.mien-0123456789abcdef.tmp",
        f"{DAY}/Ann/@eaDir/a.jpg",
        f"{DAY}/nobody.jpg",
    ):
        put(layout, path, path.encode())
    (layout.folder / NEXT / "Bo").mkdir()
    waiting = walk(layout, layout.intakes())
    assert waiting.shelves == (DAY, NEXT)
    assert waiting.people == ("Ann", "Bo", "José")
    assert [(one.path, one.person, one.size) for one in waiting.files] == [
        (path, person, len(path.encode()))
        for path, person in (
            (f"{DAY}/Ann/a.jpg", "Ann"),
            (f"{DAY}/{DECOMPOSED}/deep/b.jpg", "José"),
            (f"{NEXT}/Ann/a.jpg", "Ann"),
        )
    ]
    assert [(one.path, one.kind) for one in waiting.left_out] == [
        (f"{DAY}/Ann/film.mp4", LeftOutKind.UNSUPPORTED),
        (f"{DAY}/Ann/notes.txt", LeftOutKind.NO_PHOTO),
        (f"{DAY}/nobody.jpg", LeftOutKind.NO_PERSON),
    ]
    assert layout.file(waiting.files[0].path).is_file()
    assert walk(layout, [TRAINING]) == Shelved((TRAINING,), (), (), ())


@LINKS
def test_in_an_intake_not_even_links_to_photos_are_followed(layout: Layout, tmp_path: Path) -> None:
    (tmp_path / "x.jpg").write_bytes(b"x")
    put(layout, f"{DAY}/Ann/a.jpg")
    (layout.folder / DAY / "Ann/link.jpg").symlink_to(tmp_path / "x.jpg")
    (layout.folder / DAY / "Bo").symlink_to(tmp_path)
    waiting = walk(layout, [DAY])
    assert [one.path for one in waiting.files] == [f"{DAY}/Ann/a.jpg"]
    assert [(one.path, one.kind) for one in waiting.left_out] == [
        (f"{DAY}/Ann/link.jpg", LeftOutKind.LINKED_PHOTO),
        (f"{DAY}/Bo", LeftOutKind.LINKED_FOLDER),
    ]


def test_shelves_are_walked_together_each_in_its_own_way(layout: Layout) -> None:
    for path in (
        f"{TRAINING}/Ann/1.jpg",
        f"{TRAINING}/Ann/notes.txt",
        f"{DAY}/Bo/2.jpg",
        f"{DAY}/Bo/notes.txt",
        f"{REMOVED}/Cy/3.jpg",
        f"{NEXT}/Dee/4.jpg",
    ):
        put(layout, path)
    found = walk(layout, [TRAINING, DAY, REMOVED])
    assert found.people == ("Ann", "Bo", "Cy")
    assert {one.path for one in found.files} == {
        f"{TRAINING}/Ann/1.jpg",
        f"{DAY}/Bo/2.jpg",
        f"{REMOVED}/Cy/3.jpg",
    }
    assert [one.path for one in found.left_out] == [f"{DAY}/Bo/notes.txt"]


def test_why_something_is_left_out_is_told_to_people_and_to_programs() -> None:
    photo = LeftOut("training-images/ann/1.jpg", LeftOutKind.BROKEN_LINK)
    assert photo.reason == "is a link to nothing"
    assert photo.to_json() == {"photo": "ann/1.jpg", "kind": "broken link", "reason": "is a link to nothing"}
    other = LeftOut(f"{DAY}/ADA/1.jpg", LeftOutKind.SAME_IN_LETTERS, {"person": "ADA", "other": "Ada"})
    assert other.to_json() == {
        "photo": f"{DAY}/ADA/1.jpg",
        "kind": "same in letters",
        "reason": "is of ADA, and the album has Ada: they differ in letter case only, or look the same",
    }


def test_files_are_values() -> None:
    assert ShelfFile("a", "Ann", 1, 2) == ShelfFile("a", "Ann", 1, 2)
    assert len({ShelfFile("a", "Ann", 1, 2), ShelfFile("a", "Ann", 1, 2)}) == 1


# Any folder of people


def test_any_folder_of_people_can_be_walked(tmp_path: Path) -> None:
    for path in (f"{DECOMPOSED}/x/1.jpg", "bob/2.jpg", "loose.jpg"):
        (tmp_path / path).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / path).touch()
    found, closed = people_below(tmp_path)
    assert closed == ()
    assert [(path.name, person) for path, person in found] == [("1.jpg", COMPOSED), ("2.jpg", "bob")]
    assert all(path.is_file() for path, _ in found)
    with pytest.raises(UsageError, match=r"loose\.jpg is not a folder"):
        people_below(tmp_path / "loose.jpg")
    with pytest.raises(UsageError, match="bob holds no photo in a person's folder"):
        people_below(tmp_path / "bob")


# Whatever a user names


def touch(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.touch()
    return path


def test_folders_are_walked_in_order_and_only_photos_taken(tmp_path: Path) -> None:
    for name in ("b.jpg", "a.JPG", "deep/er/c.png", ".hidden.jpg", ".git/d.jpg", "@eaDir/e.jpg", "notes.txt"):
        touch(tmp_path / name)
    found = photos_below([tmp_path]).photos
    assert [relative.as_posix() for _, relative in found] == ["a.JPG", "b.jpg", "deep/er/c.png"]
    assert all(photo == tmp_path / relative for photo, relative in found)


def test_a_file_named_outright_is_taken_whatever_it_is_called_and_only_once(tmp_path: Path) -> None:
    odd = touch(tmp_path / "scan.0001")
    plain = touch(tmp_path / "a.jpg")
    assert [photo for photo, _ in photos_below([odd, plain, tmp_path]).photos] == [odd, plain]


def test_what_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match=r"nowhere\.jpg does not exist"):
        photos_below([tmp_path / "nowhere.jpg"])
    with pytest.raises(UsageError, match=f"{tmp_path.name} holds no photo"):
        photos_below([tmp_path])
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match=r"empty, .*empty hold no photo\. Name photos"):
        photos_below([tmp_path / "empty", tmp_path / "empty"])
    with pytest.raises(UsageError, match=r"An empty list holds no photo"):
        photos_below([])


@pytest.mark.skipif(os.name == "nt", reason="links need rights on Windows")
def test_a_link_to_a_folder_above_does_not_walk_for_ever(tmp_path: Path) -> None:
    touch(tmp_path / "a" / "a.jpg")
    (tmp_path / "a" / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert len(photos_below([tmp_path]).photos) == 1


# What people have photos in that is none


def test_an_archive_or_a_shortcut_where_photos_should_be_is_said_to_be_one(tmp_path: Path) -> None:
    create_album(tmp_path / "album", "personal")
    layout = Layout.of(tmp_path / "album", Settings())
    person = layout.training / "Ada"
    person.mkdir()
    for name in ("holiday.zip", "more.RAR", "Photos.lnk", "club.url", "page.webloc", "notes.txt", ".zip"):
        (person / name).write_bytes(b"x")
    (tmp_path / "elsewhere").mkdir()
    (person / "linked").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    left = {one.path.rpartition("/")[2]: str(one.kind) for one in walk(layout, [TRAINING]).left_out}
    assert left == {
        "holiday.zip": "archive",
        "more.RAR": "archive",
        "Photos.lnk": "shortcut",
        "club.url": "shortcut",
        "page.webloc": "shortcut",
        "linked": "linked folder",
    }
    assert all(one.kind.remedy for one in walk(layout, [TRAINING]).left_out), "each says what to do"


def test_a_folder_with_an_archive_and_no_photo_says_so(tmp_path: Path) -> None:
    (tmp_path / "holiday.zip").write_bytes(b"PK\x03\x04")
    with pytest.raises(UsageError, match=r'holds no photo, but "holiday.zip", an archive \(ZIP\). Unpack it'):
        photos_below([tmp_path])
