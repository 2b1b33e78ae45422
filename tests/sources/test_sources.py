"""What the adapters share: options, patterns, tables, links, names, and the files they may read."""

from __future__ import annotations

import io
import os
import sys
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.errors import FetchError, SourceError
from mien.sources import (
    Options,
    file_name,
    file_stamp,
    inside,
    link,
    path_pattern,
    person_in,
    read_below,
    read_options,
    table_rows,
    text_pattern,
    tidy,
)
from mien.testing import FakeSink


class Few(Options):
    size: int = 3
    name: str


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "The source club: name is missing. "),
        ({"name": "a", "nam": "b"}, "nam is nothing that this kind of source knows. What this kind .*: size, name."),
        ({"name": 5}, "name will not do: input should be a valid string"),
        ({"name": "a", "size": True}, "size will not do: input should be a valid integer"),
    ],
)
def test_wrong_options_name_source_and_key(options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_options(Few, "club", options)


@pytest.mark.parametrize(
    ("pattern", "path", "person"),
    [
        ("{person}/*.jpg", "Ada/1.jpg", "Ada"),
        ("{person}/*.jpg", "Ada/1.JPG", "Ada"),
        ("{person}/*.jpg", "Ada/x/1.jpg", None),
        ("{person}/*.jpg", "1.jpg", None),
        ("{person}/**", "Ada/1.jpg", "Ada"),
        ("{person}/**", "Ada/x/y/1.jpg", "Ada"),
        ("{person}/**", "1.jpg", None),
        ("**/{person}/*", "Ada/1.jpg", "Ada"),
        ("**/{person}/*", "2024/spring/Ada/1.jpg", "Ada"),
        ("{person}_*.jpg", "Ada_Lovelace_0001.jpg", "Ada_Lovelace"),
        ("*_{person}_*.jpg", "a_b_c_d.jpg", "b_c"),
        ("20*/{person}-*-*.*", "2024/Ada-Bo-1-2.png", "Ada-Bo"),
        ("a.b/{person}/*", "axb/Ada/1.jpg", None),
        ("{person}", "Ada", "Ada"),
        ("{person}", "a/b", None),
    ],
)
def test_path_patterns(pattern: str, path: str, person: str | None) -> None:
    assert person_in(path_pattern(pattern), path) == person


@pytest.mark.parametrize(
    ("pattern", "text", "person"),
    [
        ("Portrait of {person}, *", "Portrait of Ada Lovelace, 1840", "Ada Lovelace"),
        ("*: {person}", "Photo: Ada/Bo", "Ada/Bo"),
        ("Portrait of {person}", "A landscape", None),
    ],
)
def test_text_patterns(pattern: str, text: str, person: str | None) -> None:
    assert person_in(text_pattern(pattern), text) == person


@pytest.mark.parametrize(
    ("pattern", "said"),
    [
        ("*.jpg", "{person} once"),
        ("{person}/{person}", "{person} once"),
        ("{person}{person}", "only make"),
        ("{name}/{person}", "only make"),
        ("*{person}/x", "some text must stand"),
        ("{person}*", "some text must stand"),
    ],
)
def test_bad_patterns(pattern: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        path_pattern(pattern)


@given(
    st.lists(st.sampled_from(["*", "a", "b", "*a"]), max_size=5).map("".join),
    st.lists(st.sampled_from(["a", "b"]), max_size=8).map("".join),
)
def test_stars_match_what_they_should(stars: str, text: str) -> None:
    def matches(pattern: str, text: str) -> bool:
        if pattern[:1] == "*":
            return any(matches(pattern[1:], text[start:]) for start in range(len(text) + 1))
        return text[:1] == pattern[:1] and (not pattern or matches(pattern[1:], text[1:]))

    assert (person_in(path_pattern(f"x{stars}/{{person}}"), f"x{text}/Ada") == "Ada") == matches(stars, text)


def test_no_path_keeps_a_pattern_busy() -> None:
    """It would for longer than anybody waits, if every way to match were tried."""
    pattern = path_pattern("**/*a*a*a*a*a/**/b*b*_{person}_*a*a*a*b.jpg")
    for path in ("a" * 1000, "/".join("a" * 500), "b_" * 500, "a/" * 400 + "b" * 100, "a" * 100_000):
        assert person_in(pattern, path) is None


def rows(text: str) -> list[object]:
    found = table_rows("club", "the table", io.StringIO(text), ("file", "url"), ("person",))
    return [each.message if isinstance(each, FetchError) else each for each in found]


def test_csv_rows_have_the_numbers_of_their_lines() -> None:
    assert rows('File ; "Person"\n\na.jpg;Ada\n"b;1.jpg";"Bo ""B"" Bo"\nc.jpg\n') == [
        (3, {"file": "a.jpg", "person": "Ada"}),
        (4, {"file": "b;1.jpg", "person": 'Bo "B" Bo'}),
        (5, {"file": "c.jpg"}),
    ]


def test_json_rows() -> None:
    assert rows('{"url": "a", "license": "CC0"}\n{"url": 5}\n') == [
        (1, {"url": "a", "licence": "CC0"}),
        (2, {"url": 5}),
    ]


@pytest.mark.parametrize(
    ("line", "said"),
    [
        ('a.jpg,"Ada', "line 2 of the table is no row of a CSV"),
        ("a,b,c", "line 2 of the table has 3 values for 2 columns"),
        ("\ufffd.jpg,Ada", "line 2 of the table is not UTF-8"),
        ("a" * 200_000 + ",Ada", "line 2 of the table is too long"),
        ('{"url": ', "line 2 of the table is no JSON object"),
        ('{"url": ' + "[" * 60_000, "line 2 of the table is no JSON object"),
    ],
)
def test_a_bad_line_costs_one_line(line: str, said: str) -> None:
    bad, good = rows(f"file,person\n{line}\nb.jpg,Bo\n")
    assert said in str(bad)
    assert good == (3, {"file": "b.jpg", "person": "Bo"})


def test_missing_columns_are_said() -> None:
    with pytest.raises(SourceError, match="the table has no column file or url"):
        rows("person,path\nAda,1.jpg\n")


@pytest.mark.parametrize(
    ("base", "href", "url"),
    [
        ("https://example.org/a/b", "c.jpg#x", "https://example.org/a/c.jpg"),
        ("https://example.org/a/", " //other.org/d ", "https://other.org/d"),
        ("https://example.org/", "javascript:alert(1)", None),
        ("https://example.org/", "data:image/png;base64,AAAA", None),
        ("https://example.org/", "file:///etc/passwd", None),
        ("https://example.org/", "http://[::1", None),
        ("https://example.org/", "http:///x", None),
        ("https://example.org/", "x" * 3000, None),
        ("https://example.org/", None, None),
        ("", "a.jpg", None),
    ],
)
def test_links(base: str, href: object, url: str | None) -> None:
    assert link(base, href) == url


@pytest.mark.parametrize(
    ("location", "name"),
    [
        ("https://example.org/a/b%20c.jpg?size=1", "b c.jpg"),
        ("https://example.org/a/..%2F..%5Cx.jpg", "x.jpg"),
        ("https://example.org/", "photo"),
        ("https://example.org/%00%0a.jpg", ".jpg"),
        ("Ada/what?.jpg", "what?.jpg"),
        ("Ada/" + "x" * 300 + ".jpeg", "x" * 96 + ".jpeg"),
        ("x" * 300, "x" * 101),
    ],
)
def test_names(location: str, name: str) -> None:
    assert file_name(location) == name


@given(st.text())
def test_names_are_names(text: str) -> None:
    name = file_name(text)
    assert name and len(name) <= 101 and not {"/", "\\", "\0"} & set(name)


def test_tidy_texts() -> None:
    assert tidy("  Ada\n\tLovelace ") == "Ada Lovelace"
    assert tidy(None) == tidy(["Ada"]) == ""


# Files


def test_a_file_is_read_once_and_then_unchanged(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"x" * 3_000_000)
    receipt = read_below("club", tmp_path.resolve(), "a.jpg", sink := FakeSink(), "")
    assert receipt and sink.size == 3_000_000 and receipt.stamp == file_stamp((tmp_path / "a.jpg").stat())
    assert read_below("club", tmp_path.resolve(), "a.jpg", sink, receipt.stamp) is None


@pytest.mark.parametrize("path", ["../secret.jpg", "/etc/hosts", "a/../../secret.jpg", "\0", "x" * 5000, "", "a"])
def test_nothing_is_read_outside_or_that_is_no_file(tmp_path: Path, path: str) -> None:
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (tmp_path / "top/a").mkdir(parents=True)
    with pytest.raises(FetchError, match="The source club: "):
        read_below("club", (tmp_path / "top").resolve(), path, sink := FakeSink(), "")
    assert sink.size == 0


@pytest.mark.skipif(sys.platform == "win32", reason="links need rights on Windows")
def test_links_are_followed_within_only(tmp_path: Path) -> None:
    top = (tmp_path / "top").resolve()
    top.mkdir()
    (tmp_path / "secret.jpg").write_bytes(b"secret")
    (top / "a.jpg").write_bytes(b"photo")
    (top / "in.jpg").symlink_to("a.jpg")
    (top / "out.jpg").symlink_to("../secret.jpg")
    (top / "round.jpg").symlink_to("round.jpg")
    os.mkfifo(top / "pipe.jpg")
    read_below("club", top, "in.jpg", sink := FakeSink(), "")
    assert sink.data == b"photo"
    assert inside(top, "out.jpg") is None
    for path in ("out.jpg", "round.jpg", "pipe.jpg"):
        with pytest.raises(FetchError):
            read_below("club", top, path, FakeSink(), "")


def test_a_photo_that_changes_while_it_is_read_is_noticed(tmp_path: Path) -> None:
    photo = tmp_path / "a.jpg"
    photo.write_bytes(b"half")

    class Slow(FakeSink):
        def write(self, data: bytes) -> None:
            super().write(data)
            with photo.open("ab") as file:
                file.write(b" and the rest" * (file.tell() < 10))

    with pytest.raises(FetchError, match="changed while it was read"):
        read_below("club", tmp_path.resolve(), "a.jpg", Slow(), "")


def test_errors_of_the_sink_come_through(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_bytes(b"photo")

    class Full(FakeSink):
        def write(self, data: bytes) -> None:
            raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space"):
        read_below("club", tmp_path.resolve(), "a.jpg", Full(), "")
