from __future__ import annotations

import httpx
import pytest

from mien.errors import FetchError
from mien.web.urls import ascii_host, host, parse, shown


@pytest.mark.parametrize(
    "text",
    [
        "file:///etc/passwd",
        "ftp://example.org/a.jpg",
        "data:image/jpeg;base64,AAAA",
        "//example.org/a.jpg",
        "a.jpg",
        "",
        "http://",
        "http:///a.jpg",
        "http://example.org:99999/",
        "http://example.org:0/",
        "http://example.org:8o/",
        "http://example.org/\n",
        "http://[fe80::1/",
        "http://user@example.org/",
        "http://:secret@example.org/",
        "http://listed.example\\@other.example/",
        "http://example.org/" + "a" * 100_000,
    ],
)
def test_what_is_no_plain_web_address_is_not_asked_for(text: str) -> None:
    with pytest.raises(FetchError) as caught:
        parse(text)
    assert caught.value.kind == "address"
    assert len(str(caught.value)) < 500


def test_a_url_is_brought_into_one_form() -> None:
    url = parse("HTTP://BÜCHER.example/ä b?q=ü#part")
    assert str(url) == "http://xn--bcher-kva.example/%C3%A4%20b?q=%C3%BC"
    assert ascii_host(url) == "xn--bcher-kva.example"


def test_a_link_is_relative_to_its_page() -> None:
    base = httpx.URL("https://example.org/people/1?page=2")
    assert str(parse("../a.jpg", base)) == "https://example.org/a.jpg"
    assert str(parse("//other.example/a.jpg", base)) == "https://other.example/a.jpg"
    with pytest.raises(FetchError):
        parse("http://[::1", base)


@pytest.mark.parametrize(
    ("text", "seen"),
    [
        ("https://example.org/a.jpg", "https://example.org/a.jpg"),
        ("https://ada:secret@example.org/a.jpg?token=secret#secret", "https://example.org/a.jpg?…"),
        ("https://secret@example.org", "https://example.org"),
        ("https://a:secret\\@example.org/", "https://example.org/"),
        ("https://ada:se/?#cret@example.org/a.jpg", "https://example.org/a.jpg"),
        ("ada:secret@example.org", "ada:example.org"),
        ("//secret@example.org", "//example.org"),
        ("secret@example.org", "example.org"),
        ("http://x/a\n\x1b[31mb", "http://x/a��[31mb"),
    ],
)
def test_a_message_shows_no_secret_and_stays_on_its_line(text: str, seen: str) -> None:
    assert shown(text) == seen
    assert len(shown("http://x/" + "a" * 10_000 + "?q")) < 210


def test_a_url_that_was_read_is_shown_as_it_is() -> None:
    assert shown(httpx.URL("https://[::1]:81/ada@home.jpg")) == "https://[::1]:81/ada@home.jpg"
    assert shown(httpx.URL("https://ada:secret@[::1]:81/ada@home.jpg?a@b")) == "https://[::1]:81/ada@home.jpg?…"


@pytest.mark.parametrize(
    ("name", "ascii_name"),
    [("Example.ORG", "example.org"), ("bücher.example", "xn--bcher-kva.example"), ("::1", "::1"), ("10.0.0.1",) * 2],
)
def test_a_host_is_compared_in_one_form(name: str, ascii_name: str) -> None:
    assert host(name) == ascii_name


@pytest.mark.parametrize("name", ["", "a:80", "http://a/", "a/b", "u@a", "a?q", "a#f", "a b", "*.example.org/", "a\n"])
def test_what_is_not_a_host_alone_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="is not a host"):
        host(name)
