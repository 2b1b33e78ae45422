"""Pages of feeds read: RSS, Atom, or JSON Feed (jsonfeed.org, version 1.1).

Feeds are read liberally: what is null counts as absent, one value where a list is meant as a list of one, a number
where a text is meant as its digits. What is no feed at all, and what gives two values for one key, is not guessed at.
"""

from __future__ import annotations

import contextlib
import io
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Mapping, Sequence
from html import unescape
from html.entities import html5
from html.parser import HTMLParser
from typing import Any, cast
from urllib.parse import urljoin
from xml.sax import SAXException

import feedparser

from mien.parsing.markup import LONGEST_LINK, addresses, closed, links, shortened, tidy

Entry = dict[str, Any]
"""The title, author, category, pictures and licence of an entry; `pictures` are the addresses that each may have, as
they were written, the best first."""


def task(about: Mapping[str, Any], data: bytes) -> tuple[dict[str, Any], bytes]:
    """The feed in `data`, the page at `url` in this `charset`, with the pictures in its texts too if `content`:
    `entries`, how many are `broken`, the `author` of those that name none, the address of the `next` page. Nothing for
    a page that is no feed."""
    text = _json_text(data)
    found = _read_xml(about, data) if text is None else _read_json(about, text)
    return found or {}, b""


def is_picture(href: str, kind: object, medium: object = None) -> bool:
    """Whether a file is a picture: by its media type or `medium` in the feed, or by its name if the feed says
    nothing."""
    if isinstance(kind, str) and kind.strip() not in ("", "application/octet-stream"):
        return kind.strip().lower().startswith("image/")
    return medium == "image" or (medium is None and _ends_as_a_photo(href))


def _ends_as_a_photo(href: str) -> bool:
    from mien.vision.sniff import kind_of_name

    return kind_of_name(re.split(r"[?#]", href)[0].rstrip("/")) == "photo"


class _Images(HTMLParser):
    """The addresses that each <img> in a text of HTML may have."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[list[str]] = []
        with contextlib.suppress(AssertionError):  # which HTMLParser raises for "<![1]>"
            self.feed(closed(text.encode(errors="replace")).decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img" and (found := addresses(dict(attrs).get)):
            self.found.append(found)


def _entry(
    title: str, author: Sequence[str], category: Sequence[str], pictures: Sequence[Sequence[str]], licence: str = ""
) -> Entry:
    return {
        "title": shortened(title),
        "author": [shortened(one) for one in author if one],
        "category": [shortened(one) for one in category if one],
        "pictures": [one for one in pictures if one],
        "licence": licence[:300],
    }


# RSS and Atom


def _read_xml(about: Mapping[str, Any], body: bytes) -> dict[str, Any] | None:
    """A page of RSS or Atom. feedparser gets bytes only: it might take a text for an address, and fetch that. It
    declares no entities but harmless ones and loads nothing that a document refers to; its sanitiser drops scripts from
    texts."""
    charset = about["charset"]
    kind = f"application/xml; charset={charset}" if charset else "application/xml"
    try:
        parsed = feedparser.parse(
            io.BytesIO(_mended(body)),
            response_headers={"content-location": about["url"], "content-type": kind},
            sanitize_html=True,
            resolve_relative_uris=True,
        )
    except (ValueError, LookupError, AssertionError, RecursionError):  # no real encoding, markup without end
        return None
    if not parsed.get("version") and not parsed.entries:
        return None
    feed = cast("Mapping[str, Any]", parsed.feed)
    after = (each.get("href") for each in feed.get("links", ()) if each.get("rel") == "next")
    loose = not parsed.get("encoding") or isinstance(parsed.get("bozo_exception"), SAXException)
    text = unescape if loose else str  # what no XML parser can read is read by one that leaves names escaped
    return {
        "entries": [_xml_entry(entry, about["content"], text) for entry in parsed.entries],
        "broken": 0,
        "author": [shortened(one) for one in _authors(feed, text)],
        "next": _link(next(after, None)),
    }


def _with_their_bases() -> None:
    """Makes feedparser resolve the address of Media RSS's pictures by the xml:base of the element, as it does with
    other addresses."""
    begin = feedparser.mixin._FeedParserMixin._start_media_content

    def resolved(self: Any, attrs_d: dict[str, Any]) -> None:
        if isinstance(url := attrs_d.get("url"), str):
            attrs_d["url"] = self.resolve_uri(url)
        begin(self, attrs_d)

    feedparser.mixin._FeedParserMixin._start_media_content = resolved


_with_their_bases()

_AMPERSAND = re.compile(rb"&(?:(#[0-9]{1,7}|#[xX][0-9a-fA-F]{1,6}|[A-Za-z][A-Za-z0-9]{0,31});)?")
_LEFT_AS_IT_IS = {b"<![CDATA[": b"]]>", b"<!--": b"-->"}
_OF_XML = frozenset({"amp", "lt", "gt", "quot", "apos"})


def _mended(body: bytes) -> bytes:
    """XML in which each & that begins nothing stands for itself, and HTML's names of letters are their numbers: feeds
    are often no XML for these alone."""
    if b"\0" in body or b"<!ENTITY" in body:  # UTF-16; names of letters of its own
        return body
    pieces, end = re.split(rb"(<!\[CDATA\[|\]\]>|<!--|-->)", body), b""
    for place, piece in enumerate(pieces):
        if end:
            end = b"" if piece == end else end
        elif piece in _LEFT_AS_IT_IS:
            end = _LEFT_AS_IT_IS[piece]
        else:
            pieces[place] = _AMPERSAND.sub(_reference, piece)
    return b"".join(pieces)


def _reference(found: re.Match[bytes]) -> bytes:
    name = (found[1] or b"").decode()
    if name in _OF_XML or name.startswith("#"):
        return found[0]
    letters = html5.get(f"{name};", "")
    return "".join(f"&#{ord(each)};" for each in letters).encode() or b"&amp;" + found[0][1:]


def _xml_entry(entry: Mapping[str, Any], content: bool, text: Callable[[str], str]) -> Entry:
    """An entry as feedparser gives it; `text` makes a name of what it gives for one."""
    pictures = [
        links([each[key]])
        for group, key in (("enclosures", "href"), ("media_content", "url"))
        for each in entry.get(group, ())
        if each.get(key) and is_picture(each[key], each.get("type"), each.get("medium"))
    ]
    if content:
        for part in entry.get("content") or [entry.get("summary_detail") or {}]:
            pictures += _Images(part.get("value", "")).found
    return _entry(
        title=_title(entry),
        author=_authors(entry, text),
        category=[tidy(text(tag.get("label") or tag.get("term") or "")) for tag in entry.get("tags", ())],
        pictures=pictures,
        licence=tidy(entry.get("license")),
    )


def _authors(of: Mapping[str, Any], text: Callable[[str], str]) -> list[str]:
    """Everybody who is called an author, by the address of mail where there is no name."""
    found = [tidy(text(one.get("name") or one.get("email") or "")) for one in of.get("authors", ())]
    return [name for name in found if name]


def _title(entry: Mapping[str, Any]) -> str:
    """The title as text, if it is HTML as well."""
    title = entry.get("title")
    if isinstance(title, str) and "html" in str((entry.get("title_detail") or {}).get("type")):
        title = unescape(re.sub(r"<[^<>]*>", "", title))
    return tidy(title)


def _link(href: object) -> str | None:
    return href if isinstance(href, str) and len(href) <= LONGEST_LINK else None


# JSON Feed

_VERSION = re.compile(r"https?://(www\.)?jsonfeed\.org/version/")


class _OddError(ValueError):
    """What stands in an object of JSON cannot be read in one way alone."""


def _json_text(data: bytes) -> str | None:
    """The text of a page that is JSON, None for another."""
    begin = data[:4].lstrip()
    if not (begin.startswith((b"{", BOM_UTF8, b"\xff\xfe", b"\xfe\xff")) or b"\0" in begin or not begin):
        return None
    text = data.decode(json.detect_encoding(data), "replace").removeprefix("\ufeff").lstrip()
    return text if text.startswith("{") else None


def _read_json(about: Mapping[str, Any], text: str) -> dict[str, Any] | None:
    try:
        feed = json.loads(text, object_pairs_hook=_object)
        if not isinstance(feed, dict) or not _VERSION.match(_text(feed, "version")):
            return None
        items, after, authors = _list(feed, "items"), feed.get("next_url"), _people(feed)
    except (ValueError, RecursionError):
        return None
    entries = []
    for each in items:
        with contextlib.suppress(_OddError):
            entries.append(_json_entry(each, about))
    return {
        "entries": entries,
        "broken": len(items) - len(entries),
        "author": [shortened(one) for one in authors],
        "next": _link(after),
    }


def _object(pairs: Sequence[tuple[str, object]]) -> object:
    """An object of JSON; what nothing here takes for one if a key has two values, of which one would be dropped."""
    found = dict(pairs)
    return found if all(found[key] == value for key, value in pairs) else ...


def _list(of: Mapping[str, object], key: str) -> list[Any]:
    """The values of a key: one that is no list is a list of one, and null is none. Raises _OddError."""
    given = of.get(key)
    if given is ...:
        raise _OddError
    return [one for one in (given if isinstance(given, list) else [given]) if one is not None]


def _text(of: object, key: str) -> str:
    """The text of a key; a number is its digits. Raises _OddError."""
    given = of.get(key) if isinstance(of, dict) else of
    if given is ...:
        raise _OddError
    number = isinstance(given, (int, float)) and not isinstance(given, bool)
    return tidy(str(given) if number else given)


def _people(of: Mapping[str, object]) -> list[str]:
    """Everybody who is called an author, as version 1.1 or 1 of the format has them. Raises _OddError."""
    for key in ("authors", "author"):
        if found := [name for one in _list(of, key) if (name := _text(one, "name"))]:
            return found
    return []


def _json_entry(item: object, about: Mapping[str, Any]) -> Entry:
    """Raises _OddError for an item that cannot be read."""
    if not isinstance(item, dict):
        raise _OddError
    pictures: list[list[str]] = []
    for each in _list(item, "attachments"):
        if not (url := _text(each, "url")):
            raise _OddError
        if is_picture(url, each.get("mime_type") if isinstance(each, dict) else None):
            pictures.append(links([url]))
    pictures += [links([_text(each, "url")]) for each in _list(item, "image")]
    if about["content"] and isinstance(html := item.get("content_html"), str):
        base = urljoin(about["url"], _text(item, "url")) if item.get("url") else about["url"]
        pictures += [[urljoin(base, one) for one in found] for found in _Images(html).found]
    return _entry(
        title=_text(item, "title"),
        author=_people(item),
        category=[_text(each, "name") for each in _list(item, "tags")],
        pictures=pictures,
    )
