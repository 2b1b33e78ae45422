from __future__ import annotations

import gzip

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from mien.web.bodies import Part, Stamp, charset, length, part, pause, unpacked

DATE = "Tue, 24 Nov 2026 03:00:00 GMT"


@given(st.text(), st.text())
def test_a_stamp_survives_being_written_down(etag: str, modified: str) -> None:
    stamp = Stamp.read(str(Stamp(etag, modified)))
    assert stamp == Stamp.read(str(stamp))
    assert all(value in ("", etag, modified) for value in stamp.unless_same().values())
    assert all(value.isascii() and value.isprintable() for value in stamp.unless_same().values())


def test_a_stamp_asks_for_what_has_changed() -> None:
    stamp = Stamp.of(httpx.Headers({"ETag": '"a"', "Last-Modified": DATE}))
    assert stamp.unless_same() == {"If-None-Match": '"a"', "If-Modified-Since": DATE}
    assert str(stamp) == f'{{"etag":"\\"a\\"","modified":"{DATE}"}}'
    assert stamp.strong
    assert stamp.rest(7) == {"Range": "bytes=7-", "If-Range": '"a"'}
    assert not Stamp('W/"a"').strong
    assert not Stamp()
    assert str(Stamp()) == ""


@pytest.mark.parametrize("text", ["", "nonsense", "[]", "{}", "1", '{"other":"a"}', '{"etag":"\\r\\nHost: evil"}'])
def test_a_stamp_that_cannot_be_read_asks_for_everything(text: str) -> None:
    assert Stamp.read(text) == Stamp()


@pytest.mark.parametrize(
    ("value", "read"),
    [
        ("bytes 5-9/10", Part(5, 10)),
        ("bytes 5-9/*", Part(5, None)),
        ("bytes */10", None),
        ("bytes 5-9", None),
        ("pages 5-9/10", None),
        ("", None),
        ("bytes 5-9/" + "9" * 5000, None),
    ],
)
def test_content_range(value: str, read: Part | None) -> None:
    assert part(httpx.Headers({"Content-Range": value})) == read


def test_what_headers_say() -> None:
    assert length({"content-length": "12"}) == 12
    assert length({}) == length({"content-length": "-1"}) == length({"content-length": "9" * 5000}) == 0
    assert charset({"content-type": 'text/html; Charset="UTF-8"'}) == "UTF-8"
    assert charset({"content-type": "text/html"}) is None


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("0", 0),
        ("17", 17),
        ("Tue, 24 Nov 2026 03:00:30 GMT", 30),
        ("Tue, 24 Nov 2026 02:00:00 GMT", 0),
        ("Tue, 24 Nov 2026 03:00:30", None),
        ("soon", None),
        ("", None),
        ("-1", None),
    ],
)
def test_retry_after(value: str, seconds: float | None) -> None:
    assert pause({"retry-after": value, "date": DATE}) == seconds


def test_a_date_means_nothing_without_the_servers_own() -> None:
    assert pause({"retry-after": DATE}) is None


@given(st.binary(max_size=300_000), st.integers(1, 5000))
def test_gzip_is_unpacked_however_it_is_cut(data: bytes, step: int) -> None:
    packed = gzip.compress(data) + b"trailing"
    assert b"".join(unpacked(packed[at : at + step] for at in range(0, len(packed), step))) == data


def test_a_bomb_is_unpacked_in_pieces() -> None:
    bomb = gzip.compress(bytes(20 * 2**20))
    sizes = [len(piece) for piece in unpacked([bomb])]
    assert max(sizes) <= 64 * 1024
    assert sum(sizes) == 20 * 2**20


@pytest.mark.parametrize("data", [b"", b"plain text", gzip.compress(b"a" * 100, mtime=0)[:-9]])
def test_what_is_no_whole_gzip_is_an_error(data: bytes) -> None:
    with pytest.raises(ValueError, match=r"gzip|cut off"):
        list(unpacked([data]))
