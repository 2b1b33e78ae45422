from __future__ import annotations

import errno
import hashlib
import json
import os
import shutil
import sys
import unicodedata
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien import Album, wiring
from mien.errors import AlbumError, PhotoError, StorageError
from mien.open_album import OpenAlbum, for_writing, read_settings
from mien.protocols import Silent
from mien.stages.merge import Merged, Move, merge
from mien.storage.layout import TRAINING, Layout, intake_of
from mien.storage.walk import LeftOut
from mien.text.findings import LeftOutKind
from mien.text.names import nfc
from mien.text.photos import FileType, PhotoFault

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY, NEXT = "2026-11-23-training-images", "2026-11-24-training-images"
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")

Tree = dict[str, str]
"""Path relative to the album -> content."""


def jpeg(content: str) -> bytes:
    """Something that begins as a JPEG does; nobody decodes it here."""
    return b"\xff\xd8\xff" + content.encode()


def album(folder: Path, tree: Tree) -> Layout:
    Album.create(folder)
    for number, (path, content) in enumerate(tree.items()):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(content))
        os.utime(file, ns=(10**18, 10**18 + number))
    layout, _ = read_settings(folder, {})
    return layout


@contextmanager
def opened(layout: Layout) -> Iterator[OpenAlbum]:
    """The album as `mien merge` opens it."""
    _, settings = read_settings(layout.folder, {})
    with for_writing(layout, settings, wiring.tools, "merge", lambda: NOW, Silent()) as opened:
        yield opened


def run(layout: Layout, disk: AbstractContextManager[None] | None = None, **options: Any) -> Merged:
    """Merges, on a disk of another kind if one is given."""
    with opened(layout) as opened_album, disk or nullcontext():
        return merge(opened_album, **options)


def tree_of(layout: Layout) -> Tree:
    """All files of training-images and the intakes; nothing but those that `album` makes."""
    return {
        file.relative_to(layout.folder).as_posix(): file.read_bytes()[3:].decode()
        for top in layout.folder.glob("*training-images")
        for file in top.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


def times_of(layout: Layout) -> dict[str, int]:
    return {path: (layout.folder / path).stat().st_mtime_ns for path in tree_of(layout)}


def reasons(merged: Merged) -> dict[str, tuple[str, str]]:
    return {one.path.removeprefix(f"{DAY}/"): (one.kind, one.reason) for one in merged.left}


def test_photos_go_to_their_person_and_the_intake_goes(tmp_path: Path) -> None:
    layout = album(
        tmp_path / "album",
        {f"{DAY}/Ann/a.jpg": "one", f"{DAY}/Bo/deep/er/b.jpg": "two", "training-images/Ann/old.jpg": "old"},
    )
    times = times_of(layout)
    merged = run(layout)
    assert merged == Merged(
        (MONDAY,),
        (
            Move(f"{DAY}/Ann/a.jpg", "training-images/Ann/a.jpg"),
            Move(f"{DAY}/Bo/deep/er/b.jpg", "training-images/Bo/b.jpg"),
        ),
        (),
        (),
    )
    assert tree_of(layout) == {
        "training-images/Ann/a.jpg": "one",
        "training-images/Ann/old.jpg": "old",
        "training-images/Bo/b.jpg": "two",
    }
    assert times_of(layout)["training-images/Ann/a.jpg"] == times[f"{DAY}/Ann/a.jpg"], "the photo keeps its time"
    assert layout.intakes() == []
    assert run(layout) == Merged((), (), (), ())


def test_the_catalog_knows_where_they_are_now(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})
    run(layout)
    with opened(layout) as now:
        found = now.catalog.files.on([TRAINING, intake_of(MONDAY)])
    assert [(file.path, file.person) for file in found] == [("training-images/Ann/a.jpg", "Ann")]


def test_the_same_bytes_of_the_same_person_are_a_duplicate(tmp_path: Path) -> None:
    layout = album(
        tmp_path / "album",
        {
            f"{DAY}/Ann/a.jpg": "one",
            f"{DAY}/Ann/b.jpg": "one",
            f"{DAY}/Ann/other.jpg": "old",
            f"{DAY}/Bo/a.jpg": "one",
            f"{NEXT}/Ann/c.jpg": "one",
            "training-images/Ann/2019/old.jpg": "old",
        },
    )
    merged = run(layout)
    assert [(one.photo.split("/", 1)[1], one.to) for one in merged.duplicates] == [
        ("Ann/b.jpg", "training-images/Ann/a.jpg"),
        ("Ann/other.jpg", "training-images/Ann/2019/old.jpg"),
        ("Ann/c.jpg", "training-images/Ann/a.jpg"),
    ]
    assert tree_of(layout) == {
        "training-images/Ann/2019/old.jpg": "old",
        "training-images/Ann/a.jpg": "one",
        "training-images/Bo/a.jpg": "one",
    }


def test_a_taken_name_gets_a_number_on_whatever_system(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "é.jpg")
    layout = album(
        tmp_path / "album",
        {
            f"{DAY}/Ann/A.JPG": "new",
            f"{DAY}/Ann/x/a.jpg": "newer",
            f"{DAY}/Ann/{decomposed}": "new é",
            f"{DAY}/Ann/photo.jpg?w=620": "from the web",
            "training-images/Ann/a.jpg": "old",
            "training-images/Ann/a-2.jpg": "old, too",
            "training-images/Ann/é.jpg": "old é",
            "training-images/Ann/photo.jpg?w=620": "old, from the web",
        },
    )
    merged = run(layout)
    assert [(move.to, move.renamed) for move in merged.moved] == [
        ("training-images/Ann/A-3.JPG", True),
        (unicodedata.normalize("NFD", "training-images/Ann/é") + "-2.jpg", True),
        ("training-images/Ann/photo-2.jpg?w=620", True),
        ("training-images/Ann/a-4.jpg", True),
    ]
    assert tree_of(layout)["training-images/Ann/a.jpg"] == "old"
    assert tree_of(layout)["training-images/Ann/a-4.jpg"] == "newer"


def test_a_folder_or_a_file_of_another_kind_may_have_the_name(tmp_path: Path) -> None:
    layout = album(
        tmp_path / "album",
        {f"{DAY}/Ann/a.jpg": "one", "training-images/Ann/a.jpg/deep.jpg": "old", f"{DAY}/Ann/{'x' * 240}.jpg": "long"},
    )
    (layout.training / "Ann" / f"{'x' * 240}.jpg").write_bytes(jpeg("another"))
    merged = run(layout)
    assert {move.to for move in merged.moved} == {
        "training-images/Ann/a-2.jpg",
        f"training-images/Ann/{'x' * 200}-2.jpg",
    }


def test_what_cannot_be_placed_stays_and_is_told(tmp_path: Path) -> None:
    layout = album(
        tmp_path / "album",
        {
            f"{DAY}/Ann/held.jpg": "held",
            f"{DAY}/Ann/good.jpg": "good",
            f"{DAY}/Ann/film.mov": "film",
            f"{DAY}/Ann/notes.txt": "notes",
            f"{DAY}/nobody.jpg": "nobody",
            f"{DAY}/CON/a.jpg": "reserved",
            f"{DAY}/bo/a.jpg": "not Bo",
            "training-images/Bo/a.jpg": "Bo",
        },
    )
    intake = layout.shelf(intake_of(MONDAY))
    (intake / "Ann/page.jpg").write_bytes(b"<html>")
    (intake / "Ann/empty.jpg").write_bytes(b"")
    before = tree_of(layout)
    merged = run(layout, hold={f"{DAY}/Ann/held.jpg"})
    assert reasons(merged) == {
        "Ann/held.jpg": (LeftOutKind.HELD, "is held back until you have looked at it"),
        "Ann/film.mov": (LeftOutKind.UNSUPPORTED, "is of a kind that mien does not read"),
        "Ann/notes.txt": (LeftOutKind.NO_PHOTO, "is not a photo by its name"),
        "nobody.jpg": (LeftOutKind.NO_PERSON, "is not in a person's folder"),
        "Ann/page.jpg": (PhotoFault.NOT_A_PICTURE, "is not a photo mien can read; it is a web page (HTML)"),
        "Ann/empty.jpg": (PhotoFault.EMPTY, "is empty"),
        "CON/a.jpg": (LeftOutKind.NO_NAME, "is of CON, which cannot be a person's name"),
        "bo/a.jpg": (
            LeftOutKind.SAME_IN_LETTERS,
            "is of bo, and the album has Bo: they differ in letter case only, or look the same",
        ),
    }
    assert [move.to for move in merged.moved] == ["training-images/Ann/good.jpg"]
    moved = before.pop(f"{DAY}/Ann/good.jpg")
    assert tree_of(layout) == before | {"training-images/Ann/good.jpg": moved}
    assert run(layout, hold={f"{DAY}/Ann/held.jpg"}).left == merged.left, "and again"
    assert [move.to for move in run(layout).moved] == ["training-images/Ann/held.jpg"], "until it is released"
    told = json.loads(json.dumps(merged.to_json()))
    assert told["moved"] == [{"photo": f"{DAY}/Ann/good.jpg", "to": "Ann/good.jpg"}]
    held = {"kind": "held back", "reason": "is held back until you have looked at it"}
    assert {"photo": f"{DAY}/Ann/held.jpg", **held} in told["left"]
    assert (told["days"], told["duplicates"]) == (["2026-11-23"], [])


def test_what_the_eyes_could_not_read_stays(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "broken", f"{DAY}/Ann/b.jpg": "good"})
    with opened(layout) as before:
        before.sync([intake_of(MONDAY)])
        fault = {"file_type": FileType.JPEG.value, "said": "no end"}
        before.catalog.faces.record_fault(
            sha256(layout.folder / DAY / "Ann/a.jpg"),
            "an encoder",
            PhotoError("a.jpg", PhotoFault.BREAKS_OFF, fault),
            "Pillow 1",
        )
    merged = run(layout)
    assert reasons(merged) == {"Ann/a.jpg": (PhotoFault.BREAKS_OFF, "is a JPEG file that breaks off (no end)")}
    assert [move.to for move in merged.moved] == ["training-images/Ann/b.jpg"]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_two_new_people_who_differ_in_case_only(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one", f"{NEXT}/ann/b.jpg": "two"})
    merged = run(layout)
    assert [move.to for move in merged.moved] == ["training-images/Ann/a.jpg"]
    assert merged.left == (
        LeftOut(f"{NEXT}/ann/b.jpg", LeftOutKind.SAME_IN_LETTERS, {"person": "ann", "other": "Ann"}),
    )


def test_many_photos_of_one_size_are_not_compared_with_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/{number}.jpg": str(number) for number in range(10, 30)})
    real, opens = Path.open, Counter[str]()

    def counting(path: Path, *arguments: Any, **options: Any) -> Any:
        opens[path.name] += path.suffix == ".jpg"
        return real(path, *arguments, **options)

    monkeypatch.setattr(Path, "open", counting)
    assert len(run(layout).moved) == 20
    photos = [name for name in opens if name.endswith(".jpg")]
    assert len(photos) == 20 and max(opens.values()) <= 2, "to be hashed, and to see what it is"


def test_a_twin_that_changed_without_showing_it_is_no_twin(tmp_path: Path) -> None:
    """Same size, same time, other bytes: the catalog does not notice, and nothing is lost all the same."""
    layout = album(tmp_path / "album", {"training-images/Ann/old.jpg": "one"})
    run(layout)
    old = layout.training / "Ann/old.jpg"
    time = old.stat().st_mtime_ns
    old.write_bytes(jpeg("two"))
    os.utime(old, ns=(time, time))
    new = layout.shelf(intake_of(MONDAY)) / "Ann/new.jpg"
    new.parent.mkdir(parents=True)
    new.write_bytes(jpeg("one"))
    assert [move.to for move in run(layout).moved] == ["training-images/Ann/new.jpg"]
    assert set(tree_of(layout).values()) == {"one", "two"}


def test_a_person_is_found_however_the_folder_is_spelt(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "José")
    layout = album(tmp_path / "album", {f"{DAY}/José/a.jpg": "one", f"training-images/{decomposed}/b.jpg": "two"})
    (move,) = run(layout).moved
    assert nfc(move.to) == "training-images/José/a.jpg"
    assert len(list(layout.training.iterdir())) == 1


def test_only_the_days_that_were_asked_for(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one", f"{NEXT}/Ann/b.jpg": "two", f"{DAY}/x.jpg": "x"})
    merged = run(layout, days=[TUESDAY])
    assert (merged.days, merged.left) == ((TUESDAY,), ())
    assert [move.to for move in merged.moved] == ["training-images/Ann/b.jpg"]
    assert set(tree_of(layout)) == {f"{DAY}/Ann/a.jpg", f"{DAY}/x.jpg", "training-images/Ann/b.jpg"}
    assert run(layout, days=[TUESDAY]) == Merged((), (), (), ()), "merged already"


# Links


@LINKS
def test_links_are_never_followed(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one", f"{DAY}/Cy/c.jpg": "three"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.jpg").write_bytes(jpeg("outside"))
    intake = layout.shelf(intake_of(MONDAY))
    (intake / "Ann/link.jpg").symlink_to(elsewhere / "x.jpg")
    (intake / "Ann/dead.jpg").symlink_to(elsewhere / "gone.jpg")
    (intake / "Ann/more").symlink_to(elsewhere)
    (layout.training / "Cy").symlink_to(elsewhere)
    (layout.training / "Ann").mkdir()
    (layout.training / "Ann/mine.jpg").symlink_to(intake / "Ann/a.jpg")
    merged = run(layout)
    to = [move.to for move in merged.moved]
    assert to == ["training-images/Ann/a.jpg"], "what a link in the album points to is no duplicate"
    assert reasons(merged) == {
        "Ann/link.jpg": (LeftOutKind.LINKED_PHOTO, "is a link"),
        "Ann/dead.jpg": (LeftOutKind.LINKED_PHOTO, "is a link"),
        "Ann/more": (LeftOutKind.LINKED_FOLDER, "is a link to a folder"),
        "Cy/c.jpg": (LeftOutKind.NO_FOLDER, "is of Cy, whose folder is a link or cannot be opened"),
    }
    assert [file.name for file in elsewhere.iterdir()] == ["x.jpg"]


@LINKS
@pytest.mark.parametrize("inside", ["", "/Ann"])
def test_a_link_from_training_images_into_an_intake_is_refused(tmp_path: Path, inside: str) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})
    layout.training.rmdir()
    layout.training.symlink_to(f"{layout.shelf(intake_of(MONDAY))}{inside}")
    with pytest.raises(AlbumError, match="is a link to"):
        run(layout)
    assert (layout.shelf(intake_of(MONDAY)) / "Ann/a.jpg").read_bytes() == jpeg("one")


def test_a_missing_training_folder_is_an_error(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})
    layout.training.rmdir()
    with pytest.raises(AlbumError, match="is missing"):
        run(layout)


# Disks that refuse, lack something, or lose their power

CHANGES = ("link", "unlink", "rename", "replace", "rmdir", "mkdir", "utime", "fsync")
"""Everything by which merging changes a disk, but for SQLite and the writing of bytes."""


class Killed(BaseException):
    """What kill -9 looks like from here: nothing of the program runs any more."""


Watch = Callable[[str, tuple[Any, ...]], None]


@contextmanager
def disk(before: Watch) -> Iterator[None]:
    """Tells of each change of the disk, by name and arguments, `before` it."""

    def watched(name: str, real: Callable[..., Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            before(name, arguments)
            return real(*arguments, **options)

        return call

    with pytest.MonkeyPatch.context() as patch:
        for name in CHANGES:
            patch.setattr(os, name, watched(name, getattr(os, name)))
        yield


@contextmanager
def killing(moment: int | None, kind: str) -> Iterator[None]:
    """Kills before the change of this number, if any. `kind` is the disk's: "plain", "other" (the intakes lie on
    another disk than training-images) or "fat" (no file has two names)."""
    passed = 0

    def before(name: str, arguments: tuple[Any, ...]) -> None:
        nonlocal passed
        passed += 1
        if moment is not None and passed > moment:  # and nothing tidies up
            raise Killed
        if name == "link" and kind == "fat":
            raise OSError(errno.EPERM, "no")
        if name == "link" and kind == "other" and "training-images" not in Path(arguments[0]).parts:
            raise OSError(errno.EXDEV, "no")

    with disk(before):
        yield


TREE = {
    f"{DAY}/Ann/a.jpg": "one",
    f"{DAY}/Ann/deep/a.jpg": "two",
    f"{DAY}/Ann/z.jpg": "one",
    f"{DAY}/Bo/b.jpg": "three",
    f"{NEXT}/Ann/a.jpg": "four",
    "training-images/Ann/a.jpg": "old",
}


@pytest.mark.parametrize("kind", ["plain", "other", "fat"])
def test_killed_at_any_change_and_run_again_it_ends_the_same(tmp_path: Path, kind: str) -> None:
    undisturbed = album(tmp_path / "undisturbed", TREE)
    run(undisturbed)
    end, times = tree_of(undisturbed), times_of(undisturbed)
    assert len(end) == 5
    for number in range(1000):
        layout = album(tmp_path / f"{number}", TREE)
        try:
            run(layout, killing(number, kind))
        except Killed:
            contents = set(tree_of(layout).values())
            assert contents >= set(TREE.values()), f"bytes are nowhere after {number}"
        else:
            break
        run(layout, killing(None, kind))
        assert (tree_of(layout), times_of(layout)) == (end, times), number
        assert layout.intakes() == []
        shutil.rmtree(layout.folder)
    assert number > 15, "there were changes to be killed at"
    assert tree_of(layout) == end


@pytest.mark.parametrize(
    ("name", "error"),
    [
        ("link", errno.ENOSPC),
        ("link", errno.EROFS),
        ("unlink", errno.EROFS),
        ("unlink", errno.EACCES),
        ("mkdir", errno.ENOSPC),
        ("mkdir", errno.EACCES),
    ],
)
def test_a_disk_that_refuses(tmp_path: Path, name: str, error: int) -> None:
    layout = album(tmp_path / "album", TREE)

    def refuse(call: str, arguments: tuple[Any, ...]) -> None:
        if call == name and "Bo" in str(arguments[0]):
            raise OSError(error, os.strerror(error))

    with pytest.raises(StorageError, match="could not be written"):
        run(layout, disk(refuse))
    assert set(tree_of(layout).values()) == set(TREE.values())
    run(layout)
    assert layout.intakes() == []
    assert "training-images/Bo/b.jpg" in tree_of(layout)


def test_a_copy_to_another_disk_that_comes_out_wrong_is_no_copy(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})

    def spoil(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "link" and DAY in str(arguments[0]):
            raise OSError(errno.EXDEV, "no")
        if call == "utime":
            Path(arguments[0]).write_bytes(b"rotten")

    with pytest.raises(StorageError):
        run(layout, disk(spoil))
    assert tree_of(layout) == {f"{DAY}/Ann/a.jpg": "one"}


def test_a_name_that_somebody_takes_meanwhile(tmp_path: Path) -> None:
    layout = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})

    def meanwhile(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "link" and not (layout.training / "Ann/a.jpg").exists():
            (layout.training / "Ann/a.jpg").write_bytes(jpeg("somebody's"))

    assert [move.to for move in run(layout, disk(meanwhile)).moved] == ["training-images/Ann/a-2.jpg"]
    assert tree_of(layout) == {"training-images/Ann/a.jpg": "somebody's", "training-images/Ann/a-2.jpg": "one"}


# Any album

PEOPLE = st.sampled_from(["Ann", "ann", "Bo", "José", unicodedata.normalize("NFD", "José")])
NAMES = st.sampled_from(
    ["a.jpg", "A.JPG", "a-2.jpg", "x/a.jpg", "é.jpg", unicodedata.normalize("NFD", "é.jpg"), "t.txt"]
)
FILES = st.dictionaries(st.tuples(PEOPLE, NAMES), st.sampled_from("pqr"), max_size=6)
TREES = st.dictionaries(st.sampled_from([DAY, NEXT, "training-images"]), FILES, min_size=3)
CASELESS = sys.platform in ("win32", "darwin")


@pytest.mark.skipif(CASELESS, reason="the disk takes some of these names for one")
@settings(max_examples=25, deadline=None)
@given(TREES, st.sets(st.sampled_from("pqr"), max_size=1), st.integers(0, 30))
def test_nothing_is_lost_nothing_is_overwritten_and_a_kill_changes_nothing(
    tmp_path_factory: pytest.TempPathFactory, tops: dict[str, dict[tuple[str, str], str]], held: set[str], kill: int
) -> None:
    tree = {
        f"{top}/{person}/{name}": content for top, files in tops.items() for (person, name), content in files.items()
    }
    hold = {path for path, content in tree.items() if content in held}
    root = tmp_path_factory.mktemp("root")
    layout = album(root / "album", tree)
    merged = run(layout, hold=hold)
    after = tree_of(layout)

    def contents(of: Tree) -> Counter[tuple[str, str]]:
        return Counter((nfc(path.split("/")[1]), content) for path, content in of.items())

    gone = Counter((nfc(one.photo.split("/")[1]), tree[one.photo]) for one in merged.duplicates)
    assert contents(after) + gone == contents(tree)
    assert all((nfc(one.to.split("/")[1]), tree[one.photo]) in contents(after) for one in merged.duplicates)
    assert {path: after.get(path) for path in tree if path.startswith("training-images")} == {
        path: content for path, content in tree.items() if path.startswith("training-images")
    }
    assert {one.path for one in merged.left} == {path for path in after if not path.startswith("training-images")}
    assert hold & after.keys() >= {path for path in hold if "t.txt" not in path}
    for one in merged.moved:
        assert after[one.to] == tree[one.photo]

    other = album(root / "other", tree)
    try:
        run(other, killing(kill, "plain"), hold=hold)
    except Killed:
        run(other, hold=hold)
    assert (tree_of(other), times_of(other)) == (after, times_of(layout))
    for folder in (layout.folder, other.folder):
        shutil.rmtree(folder)
