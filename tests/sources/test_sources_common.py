"""What the adapters share: options, links, names, and the files they may read."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from types import SimpleNamespace
from typing import cast

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import Field

from mien.errors import FetchError, SourceError
from mien.parsing.markup import tidy
from mien.sources.common import Options, file_name, file_stamp, inside, link, read_below, read_options
from mien.testing import FakeSink
from mien.text.fetching import FetchFault


class Few(Options):
    size: int = Field(default=3, description="How many.")
    name: str


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({}, "The source club is set up wrongly: name is missing. The keys .* are size and name."),
        ({"name": "a", "nam": "b"}, "wrongly: nam is no key of this kind of source. The keys .* are size and name."),
        ({"name": 5}, "name will not do: input should be a valid string. The keys .* are size and name."),
        ({"name": "a", "size": True}, "size will not do: input should be a valid integer. size: How many."),
    ],
)
def test_wrong_options_name_source_and_key(options: dict[str, object], said: str) -> None:
    with pytest.raises(SourceError, match=said):
        read_options(Few, "club", options)


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
    with pytest.raises(FetchError, match=r"^The source club (names|has a photo that cannot be read: )"):
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


def test_a_photo_of_which_a_drive_gives_less_than_there_is_is_not_taken_for_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "a.jpg").write_bytes(bytes(3_000_000))
    monkeypatch.setattr("mien.sources.common._chunks", lambda *_: iter([bytes(1_000_000)]))
    with pytest.raises(FetchError) as caught:
        read_below("club", tmp_path.resolve(), "a.jpg", FakeSink(), "")
    assert caught.value.kind is FetchFault.CHANGED


def test_a_file_changed_under_its_size_and_time_has_another_stamp(tmp_path: Path) -> None:
    (tmp_path / "a.jpg").write_text("one")
    now = (tmp_path / "a.jpg").stat()
    later = SimpleNamespace(st_size=now.st_size, st_mtime_ns=now.st_mtime_ns, st_ctime_ns=now.st_ctime_ns + 1)
    assert file_stamp(cast("os.stat_result", later)) != file_stamp(now)
