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
from contextlib import contextmanager
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from mien.errors import AlbumError, StorageError
from mien.records.catalog import Catalog
from mien.stages.merge import HELD, Merged, Move, merge
from mien.storage.layout import BROKEN_LINK, LINKED_PHOTO, NO_PERSON, NO_PHOTO, UNSUPPORTED, Workspace
from mien.text.names import nfc

MONDAY, TUESDAY = date(2026, 11, 23), date(2026, 11, 24)
DAY, NEXT = "2026-11-23-training-images", "2026-11-24-training-images"
LINKS = pytest.mark.skipif(sys.platform == "win32", reason="links need a privilege on Windows")

Tree = dict[str, str]
"""Path relative to the album -> content."""


def jpeg(content: str) -> bytes:
    """Something that begins as a JPEG does; nobody decodes it here."""
    return b"\xff\xd8\xff" + content.encode()


def album(folder: Path, tree: Tree) -> Workspace:
    workspace = Workspace.create(folder, "personal")
    for number, (path, content) in enumerate(tree.items()):
        file = folder / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(jpeg(content))
        os.utime(file, ns=(10**18, 10**18 + number))
    return workspace


def run(workspace: Workspace, **options: Any) -> Merged:
    with Catalog.open(workspace.local_catalog()) as catalog:
        return merge(workspace, catalog, **options)


def tree_of(workspace: Workspace) -> Tree:
    """All files of training-images and the intakes; nothing but those that `album` makes."""
    return {
        file.relative_to(workspace.folder).as_posix(): file.read_bytes()[3:].decode()
        for top in workspace.folder.glob("*training-images")
        for file in top.rglob("*")
        if file.is_file() and not file.is_symlink()
    }


def times_of(workspace: Workspace) -> dict[str, int]:
    return {path: (workspace.folder / path).stat().st_mtime_ns for path in tree_of(workspace)}


def reasons(merged: Merged) -> dict[str, str]:
    return {one.path.removeprefix(f"{DAY}/"): one.reason for one in merged.left}


def test_photos_go_to_their_person_and_the_intake_goes(tmp_path: Path) -> None:
    workspace = album(
        tmp_path / "album",
        {f"{DAY}/Ann/a.jpg": "one", f"{DAY}/Bo/deep/er/b.jpg": "two", "training-images/Ann/old.jpg": "old"},
    )
    times = times_of(workspace)
    merged = run(workspace)
    assert merged == Merged(
        ("2026-11-23",),
        (Move(f"{DAY}/Ann/a.jpg", "Ann/a.jpg"), Move(f"{DAY}/Bo/deep/er/b.jpg", "Bo/b.jpg")),
        (),
        (),
    )
    assert tree_of(workspace) == {
        "training-images/Ann/a.jpg": "one",
        "training-images/Ann/old.jpg": "old",
        "training-images/Bo/b.jpg": "two",
    }
    assert times_of(workspace)["training-images/Ann/a.jpg"] == times[f"{DAY}/Ann/a.jpg"], "the photo keeps its time"
    assert workspace.intakes() == []
    assert run(workspace) == Merged((), (), (), ())


def test_the_catalog_knows_where_they_are_now(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})
    run(workspace)
    with Catalog.open(workspace.catalog_file) as catalog:
        assert catalog.placements() == [("Ann/a.jpg", "Ann")]
        assert catalog.arrivals("any").arrivals == ()


def test_the_same_bytes_of_the_same_person_are_a_duplicate(tmp_path: Path) -> None:
    workspace = album(
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
    merged = run(workspace)
    assert [(one.photo.split("/", 1)[1], one.to) for one in merged.duplicates] == [
        ("Ann/b.jpg", "Ann/a.jpg"),
        ("Ann/other.jpg", "Ann/2019/old.jpg"),
        ("Ann/c.jpg", "Ann/a.jpg"),
    ]
    assert tree_of(workspace) == {
        "training-images/Ann/2019/old.jpg": "old",
        "training-images/Ann/a.jpg": "one",
        "training-images/Bo/a.jpg": "one",
    }


def test_a_taken_name_gets_a_number_on_whatever_system(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "é.jpg")
    workspace = album(
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
    merged = run(workspace)
    assert [(move.to, move.renamed) for move in merged.moved] == [
        ("Ann/A-3.JPG", True),
        (unicodedata.normalize("NFD", "Ann/é") + "-2.jpg", True),
        ("Ann/photo-2.jpg?w=620", True),
        ("Ann/a-4.jpg", True),
    ]
    assert tree_of(workspace)["training-images/Ann/a.jpg"] == "old"
    assert tree_of(workspace)["training-images/Ann/a-4.jpg"] == "newer"


def test_a_folder_or_a_file_of_another_kind_may_have_the_name(tmp_path: Path) -> None:
    workspace = album(
        tmp_path / "album",
        {f"{DAY}/Ann/a.jpg": "one", "training-images/Ann/a.jpg/deep.jpg": "old", f"{DAY}/Ann/{'x' * 240}.jpg": "long"},
    )
    (workspace.training / "Ann" / f"{'x' * 240}.jpg").write_bytes(jpeg("another"))
    merged = run(workspace)
    assert {move.to for move in merged.moved} == {"Ann/a-2.jpg", f"Ann/{'x' * 200}-2.jpg"}


def test_what_cannot_be_placed_stays_and_is_told(tmp_path: Path) -> None:
    workspace = album(
        tmp_path / "album",
        {
            f"{DAY}/Ann/held.jpg": "held",
            f"{DAY}/Ann/good.jpg": "good",
            f"{DAY}/Ann/raw.cr2": "raw",
            f"{DAY}/Ann/notes.txt": "notes",
            f"{DAY}/nobody.jpg": "nobody",
            f"{DAY}/CON/a.jpg": "reserved",
            f"{DAY}/bo/a.jpg": "not Bo",
            "training-images/Bo/a.jpg": "Bo",
        },
    )
    intake = workspace.intake(MONDAY)
    (intake / "Ann/page.jpg").write_bytes(b"<html>")
    (intake / "Ann/empty.jpg").write_bytes(b"")
    before = tree_of(workspace)
    merged = run(workspace, hold={f"{DAY}/Ann/held.jpg"})
    assert reasons(merged) == {
        "Ann/held.jpg": HELD,
        "Ann/raw.cr2": UNSUPPORTED,
        "Ann/notes.txt": NO_PHOTO,
        "nobody.jpg": NO_PERSON,
        "Ann/page.jpg": "no photo mien can read; it is a web page (HTML)",
        "Ann/empty.jpg": "empty",
        "CON/a.jpg": '"CON" cannot be a person\'s name: it is reserved by some systems',
        "bo/a.jpg": "the album has Bo, who differs from bo in upper and lower case only",
    }
    assert [move.to for move in merged.moved] == ["Ann/good.jpg"]
    moved = before.pop(f"{DAY}/Ann/good.jpg")
    assert tree_of(workspace) == before | {"training-images/Ann/good.jpg": moved}
    assert run(workspace, hold={f"{DAY}/Ann/held.jpg"}).left == merged.left, "and again"
    assert [move.to for move in run(workspace).moved] == ["Ann/held.jpg"], "until it is released"
    told = json.loads(json.dumps(merged.to_json()))
    assert told["moved"] == [{"photo": f"{DAY}/Ann/good.jpg", "to": "Ann/good.jpg"}]
    assert {"photo": f"{DAY}/Ann/held.jpg", "reason": HELD} in told["left"]
    assert (told["days"], told["duplicates"]) == (["2026-11-23"], [])


def test_what_the_eyes_could_not_read_stays(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "broken", f"{DAY}/Ann/b.jpg": "good"})
    with Catalog.open(workspace.local_catalog()) as catalog:
        catalog.sync_intakes(workspace.walk_intakes(), lambda path: sha256(workspace.folder / path))
        catalog.record_failure(
            sha256(workspace.folder / DAY / "Ann/a.jpg"), "an encoder", "truncated", "it breaks off."
        )
    merged = run(workspace)
    assert reasons(merged) == {"Ann/a.jpg": "it breaks off."}
    assert [move.to for move in merged.moved] == ["Ann/b.jpg"]


def sha256(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def test_two_new_people_who_differ_in_case_only(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one", f"{NEXT}/ann/b.jpg": "two"})
    merged = run(workspace)
    assert [move.to for move in merged.moved] == ["Ann/a.jpg"]
    assert [one.reason for one in merged.left] == [
        "the album has Ann, who differs from ann in upper and lower case only"
    ]


def test_many_photos_of_one_size_are_not_compared_with_each_other(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def compared(one: Path, other: Path) -> bool:
        raise AssertionError(f"{one} and {other} were")

    monkeypatch.setattr("mien.stages.merge.same_bytes", compared)
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/{number}.jpg": str(number) for number in range(10, 30)})
    assert len(run(workspace).moved) == 20


def test_a_twin_that_changed_without_showing_it_is_no_twin(tmp_path: Path) -> None:
    """Same size, same time, other bytes: the catalog does not notice, and nothing is lost all the same."""
    workspace = album(tmp_path / "album", {"training-images/Ann/old.jpg": "one"})
    run(workspace)
    old = workspace.training / "Ann/old.jpg"
    time = old.stat().st_mtime_ns
    old.write_bytes(jpeg("two"))
    os.utime(old, ns=(time, time))
    new = workspace.intake(MONDAY) / "Ann/new.jpg"
    new.parent.mkdir(parents=True)
    new.write_bytes(jpeg("one"))
    assert [move.to for move in run(workspace).moved] == ["Ann/new.jpg"]
    assert set(tree_of(workspace).values()) == {"one", "two"}


def test_a_person_is_found_however_the_folder_is_spelt(tmp_path: Path) -> None:
    decomposed = unicodedata.normalize("NFD", "José")
    workspace = album(tmp_path / "album", {f"{DAY}/José/a.jpg": "one", f"training-images/{decomposed}/b.jpg": "two"})
    (move,) = run(workspace).moved
    assert nfc(move.to) == "José/a.jpg"
    assert len(list(workspace.training.iterdir())) == 1


def test_only_the_days_that_were_asked_for(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one", f"{NEXT}/Ann/b.jpg": "two", f"{DAY}/x.jpg": "x"})
    merged = run(workspace, days=[TUESDAY])
    assert (merged.days, [move.to for move in merged.moved], merged.left) == (("2026-11-24",), ["Ann/b.jpg"], ())
    assert set(tree_of(workspace)) == {f"{DAY}/Ann/a.jpg", f"{DAY}/x.jpg", "training-images/Ann/b.jpg"}
    assert run(workspace, days=[TUESDAY]) == Merged((), (), (), ()), "merged already"


# Links


@LINKS
def test_links_are_never_followed(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one", f"{DAY}/Cy/c.jpg": "three"})
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    (elsewhere / "x.jpg").write_bytes(jpeg("outside"))
    intake = workspace.intake(MONDAY)
    (intake / "Ann/link.jpg").symlink_to(elsewhere / "x.jpg")
    (intake / "Ann/dead.jpg").symlink_to(elsewhere / "gone.jpg")
    (intake / "Ann/more").symlink_to(elsewhere)
    (workspace.training / "Cy").symlink_to(elsewhere)
    (workspace.training / "Ann").mkdir()
    (workspace.training / "Ann/mine.jpg").symlink_to(intake / "Ann/a.jpg")
    merged = run(workspace)
    assert [move.to for move in merged.moved] == ["Ann/a.jpg"], "what a link in the album points to is no duplicate"
    assert reasons(merged) == {
        "Ann/link.jpg": LINKED_PHOTO,
        "Ann/dead.jpg": LINKED_PHOTO,
        "Ann/more": "a link to a folder",
        "Cy/c.jpg": f"{workspace.training / 'Cy'} is a link",
    }
    assert BROKEN_LINK not in reasons(merged).values()
    assert [file.name for file in elsewhere.iterdir()] == ["x.jpg"]


@LINKS
@pytest.mark.parametrize("inside", ["", "/Ann"])
def test_a_link_from_training_images_into_an_intake_is_refused(tmp_path: Path, inside: str) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})
    workspace.training.rmdir()
    workspace.training.symlink_to(f"{workspace.intake(MONDAY)}{inside}")
    with pytest.raises(AlbumError, match="is a link to"):
        run(workspace)
    assert (workspace.intake(MONDAY) / "Ann/a.jpg").read_bytes() == jpeg("one")


def test_a_missing_training_folder_is_an_error(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})
    workspace.training.rmdir()
    with pytest.raises(AlbumError, match="is missing"):
        run(workspace)


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
        workspace = album(tmp_path / f"{number}", TREE)
        try:
            with killing(number, kind):
                run(workspace)
        except Killed:
            contents = set(tree_of(workspace).values())
            assert contents >= set(TREE.values()), f"bytes are nowhere after {number}"
        else:
            break
        with killing(None, kind):
            run(workspace)
        assert (tree_of(workspace), times_of(workspace)) == (end, times), number
        assert workspace.intakes() == []
        shutil.rmtree(workspace.folder)
    assert number > 15, "there were changes to be killed at"
    assert tree_of(workspace) == end


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
    workspace = album(tmp_path / "album", TREE)

    def refuse(call: str, arguments: tuple[Any, ...]) -> None:
        if call == name and "Bo" in str(arguments[0]):
            raise OSError(error, os.strerror(error))

    with disk(refuse), pytest.raises(StorageError, match="could not be written"):
        run(workspace)
    assert set(tree_of(workspace).values()) == set(TREE.values())
    run(workspace)
    assert workspace.intakes() == []
    assert "training-images/Bo/b.jpg" in tree_of(workspace)


def test_a_copy_to_another_disk_that_comes_out_wrong_is_no_copy(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})

    def spoil(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "link" and DAY in str(arguments[0]):
            raise OSError(errno.EXDEV, "no")
        if call == "utime":
            Path(arguments[0]).write_bytes(b"rotten")

    with disk(spoil), pytest.raises(StorageError):
        run(workspace)
    assert tree_of(workspace) == {f"{DAY}/Ann/a.jpg": "one"}


def test_a_name_that_somebody_takes_meanwhile(tmp_path: Path) -> None:
    workspace = album(tmp_path / "album", {f"{DAY}/Ann/a.jpg": "one"})

    def meanwhile(call: str, arguments: tuple[Any, ...]) -> None:
        if call == "link" and not (workspace.training / "Ann/a.jpg").exists():
            (workspace.training / "Ann/a.jpg").write_bytes(jpeg("somebody's"))

    with disk(meanwhile):
        assert [move.to for move in run(workspace).moved] == ["Ann/a-2.jpg"]
    assert tree_of(workspace) == {"training-images/Ann/a.jpg": "somebody's", "training-images/Ann/a-2.jpg": "one"}


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
    workspace = album(root / "album", tree)
    merged = run(workspace, hold=hold)
    after = tree_of(workspace)

    def contents(of: Tree) -> Counter[tuple[str, str]]:
        return Counter((nfc(path.split("/")[1]), content) for path, content in of.items())

    gone = Counter((nfc(one.photo.split("/")[1]), tree[one.photo]) for one in merged.duplicates)
    assert contents(after) + gone == contents(tree)
    assert all((nfc(one.to.split("/")[0]), tree[one.photo]) in contents(after) for one in merged.duplicates)
    assert {path: after.get(path) for path in tree if path.startswith("training-images")} == {
        path: content for path, content in tree.items() if path.startswith("training-images")
    }
    assert {one.path for one in merged.left} == {path for path in after if not path.startswith("training-images")}
    assert hold & after.keys() >= {path for path in hold if "t.txt" not in path}
    for one in merged.moved:
        assert after[f"training-images/{one.to}"] == tree[one.photo]

    other = album(root / "other", tree)
    try:
        with killing(kill, "plain"):
            run(other, hold=hold)
    except Killed:
        run(other, hold=hold)
    assert (tree_of(other), times_of(other)) == (after, times_of(workspace))
    for folder in (workspace.folder, other.folder):
        shutil.rmtree(folder)
