"""The source `folder`."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from mien.errors import FetchError, SourceError
from mien.protocols import Source
from mien.sources.folder import open_source
from mien.testing import FakeSink, FakeWeb, check_source
from mien.types import Offer


def put(top: Path, *paths: str) -> None:
    for path in paths:
        (top / path).parent.mkdir(parents=True, exist_ok=True)
        (top / path).write_bytes(path.encode())


def drop(album: Path, **options: object) -> Source:
    return open_source("club", {"path": "drop", **options}, FakeWeb(), album)


def told(source: Source) -> list[object]:
    """(location, person) of each offer, and what each error says."""
    return [each.message if isinstance(each, FetchError) else (each.location, each.person) for each in source.offers()]


def test_keeps_the_promises(tmp_path: Path) -> None:
    put(tmp_path / "drop", "Ada/1.jpg", "Ada/trip/2.jpg", "Bo/1.png", "stray.jpg")
    check_source(lambda: drop(tmp_path))
    (tmp_path / "drop/list.csv").write_text("file,person\nAda/1.jpg,Ada\nBo/1.png,Bo\nBo/2.png,Bo\n")
    check_source(lambda: drop(tmp_path, table="list.csv"))


def test_a_folder_a_person(tmp_path: Path) -> None:
    put(tmp_path / "drop", "Bo/1.jpg", "Ada/b/2.jpg", "Ada/c.jpg", "Ada/notes.txt", "Ada/.hidden.jpg", ".git/x.jpg")
    put(tmp_path / "drop", "Ada/@eaDir/small.jpg", "Ada/a/3.HEIC", "#recycle/4.jpg", "Ada/@Recycle/5.jpg")
    assert told(drop(tmp_path)) == [
        ("Ada/c.jpg", "Ada"),
        ("Ada/a/3.HEIC", "Ada"),
        ("Ada/b/2.jpg", "Ada"),
        ("Bo/1.jpg", "Bo"),
    ]


def test_photos_of_nobody_are_said(tmp_path: Path) -> None:
    put(tmp_path / "drop", "1.jpg", "2.jpg", "Ada/1.jpg")
    *_, last = told(drop(tmp_path))
    assert last == f"The source club has 2 photos in no person's folder in {(tmp_path / 'drop').resolve()}."


def test_a_pattern_chooses(tmp_path: Path) -> None:
    put(tmp_path / "drop", "2023/Ada_1.jpg", "2024/Ada_Lovelace_2.jpg", "2024/x.jpg", "readme.jpg")
    assert told(drop(tmp_path, pattern="20*/{person}_*.jpg")) == [
        ("2023/Ada_1.jpg", "Ada"),
        ("2024/Ada_Lovelace_2.jpg", "Ada_Lovelace"),
    ]


def test_a_table_says_who(tmp_path: Path) -> None:
    put(tmp_path / "drop", "1.jpg", "sub/2.jpg")
    put(tmp_path, "secret.jpg")
    (tmp_path / "drop/who.csv").write_text(
        "file,person,licence\n1.jpg,Ada,CC0\nsub/2.jpg,Bo\n1.jpg,Bo\n../secret.jpg,Ada\n3.jpg,Ada\nsub,Ada\nsub/2.jpg,\n",
        "utf-8-sig",
    )
    first, second, *errors = drop(tmp_path, table="who.csv").offers()
    assert isinstance(first, Offer) and (first.person, first.licence, first.name) == ("Ada", "CC0", "1.jpg")
    assert isinstance(second, Offer) and (second.location, second.licence) == ("sub/2.jpg", "")
    said = [error.message for error in errors if isinstance(error, FetchError)]
    for line, reason in zip(range(4, 9), ["second time", "not in", "not in", "not in", "second time"], strict=True):
        assert f"line {line} of " in said[line - 4] and reason in said[line - 4]


def test_a_changed_photo_has_another_stamp(tmp_path: Path) -> None:
    put(tmp_path / "drop", "Ada/1.jpg")
    source = drop(tmp_path)
    (old,) = source.offers()
    (tmp_path / "drop/Ada/1.jpg").write_bytes(b"changed")
    (new,) = source.offers()
    assert isinstance(old, Offer) and isinstance(new, Offer) and old.stamp != new.stamp
    assert source.fetch(new, sink := FakeSink(), old.stamp) and sink.data == b"changed"


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_lead_nowhere_else(tmp_path: Path) -> None:
    put(tmp_path, "outside/1.jpg", "drop/Ada/1.jpg")
    (tmp_path / "drop/Bo").symlink_to(tmp_path / "outside")
    (tmp_path / "drop/Ada/loop").symlink_to(tmp_path / "drop")
    (tmp_path / "drop/Ada/out.jpg").symlink_to(tmp_path / "outside/1.jpg")
    (tmp_path / "drop/Ada/in.jpg").symlink_to("1.jpg")
    (tmp_path / "drop/Ada/broken.jpg").symlink_to("nothing")
    assert told(drop(tmp_path)) == [("Ada/1.jpg", "Ada"), ("Ada/in.jpg", "Ada")]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems let no such name be")
def test_a_name_that_is_not_unicode_is_said(tmp_path: Path) -> None:
    put(tmp_path / "drop", "Ada/1.jpg")
    (tmp_path / "drop/Ada" / os.fsdecode(b"\xff.jpg")).write_bytes(b"x")
    assert "not Unicode" in str(told(drop(tmp_path)))
    assert ("Ada/1.jpg", "Ada") in told(drop(tmp_path))


def test_a_part_that_cannot_be_read_is_said_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path / "drop", "Ada/1.jpg", "Ada/2.jpg", "Bo/1.jpg", "Cy/1.jpg")
    locked = {tmp_path / "drop/Bo", tmp_path / "drop/Ada/2.jpg"}

    def forbidding(function: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(path: Any, *rest: Any, **options: Any) -> Any:
            if Path(path) in locked:
                raise PermissionError(13, "Permission denied", str(path))
            return function(path, *rest, **options)

        return guarded

    for name in ("scandir", "lstat", "stat"):
        monkeypatch.setattr(os, name, forbidding(getattr(os, name)))
    folder = tmp_path / "drop"
    assert told(drop(tmp_path)) == [
        ("Ada/1.jpg", "Ada"),
        ("Cy/1.jpg", "Cy"),
        f"The source club cannot read {folder / 'Ada/2.jpg'}: Permission denied.",
        f"The source club cannot read {folder / 'Bo'}: Permission denied.",
    ]


def test_a_folder_that_is_not_there_is_not_an_empty_one(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"The source club cannot find its folder .*drop"):
        list(drop(tmp_path).offers())


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"path": ""}, "path will not do"),
        ({"pattern": "*.jpg"}, r"pattern will not do: it must say \{person\} once"),
        ({"pattern": "{person}/*", "table": "a.csv"}, "pattern and table cannot both"),
        ({"paht": "x"}, "paht is no key of this kind of source"),
    ],
)
def test_wrong_options(tmp_path: Path, options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        drop(tmp_path, **options)


@pytest.mark.parametrize(("table", "said"), [("none.csv", "cannot be read"), ("../who.csv", "is not in")])
def test_wrong_tables(tmp_path: Path, table: str, said: str) -> None:
    put(tmp_path, "drop/Ada/1.jpg", "who.csv")
    with pytest.raises(SourceError, match=said):
        list(drop(tmp_path, table=table).offers())


def test_a_folder_of_a_camera_is_nobodys(tmp_path: Path) -> None:
    put(tmp_path / "drop", "DCIM/100CANON/1.jpg", "MISC/2.jpg", "Ada/DCIM/100CANON/3.jpg", "Thumbs/4.jpg")
    first, said = told(drop(tmp_path))
    assert first == ("Ada/DCIM/100CANON/3.jpg", "Ada")
    assert "has 2 photos in no person's folder" in str(said)


def test_names_of_folders_are_one_persons_and_names_of_files_may_list_several(tmp_path: Path) -> None:
    put(tmp_path / "drop", "Earth, Wind & Fire/1.jpg", "Smith, Will/Ada and Bo.jpg", "Smith, Will/Cy Di.jpg")
    offers = [each for each in drop(tmp_path).offers() if isinstance(each, Offer)]
    assert [(one.person, one.listed) for one in offers] == [
        ("Earth, Wind & Fire", ()),
        ("Smith, Will", ()),
        ("Smith, Will", ()),
    ]
    offers = [each for each in drop(tmp_path, pattern="*/{person}.jpg").offers() if isinstance(each, Offer)]
    assert [(one.person, one.listed) for one in offers][1:] == [("Ada and Bo", ("Ada", "Bo")), ("Cy Di", ())]


def test_what_looks_escaped_in_a_path_is_left_as_it_is(tmp_path: Path) -> None:
    put(tmp_path / "drop", "Ada &amp; Co/100%25.jpg")
    (offer,) = drop(tmp_path).offers()
    assert isinstance(offer, Offer) and (offer.person, offer.name) == ("Ada &amp; Co", "100%25.jpg")
