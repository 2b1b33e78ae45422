"""A feed whose entries carry pictures and say who is in them: RSS, Atom, or JSON Feed (jsonfeed.org, version 1.1)."""

from __future__ import annotations

import contextlib
import io
import json
import re
from codecs import BOM_UTF8
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import unescape
from html.entities import html5
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Literal, cast
from xml.sax import SAXException

import feedparser
from pydantic import BaseModel, Field, ValidationError, field_validator, model_validator

from mien.errors import FetchError
from mien.protocols import Sink, Source, Web
from mien.sources.common import (
    Options,
    WebAddress,
    closed,
    fetch_error,
    file_name,
    first_page,
    link,
    offered,
    read_options,
    source_error,
    tidy,
)
from mien.sources.lists import people_listed
from mien.sources.patterns import person_in, text_pattern
from mien.text.fetching import FetchFault, SourceFault
from mien.text.names import nfc
from mien.text.words import count, listed
from mien.types import Offer, Page, Receipt
from mien.vision.sniff import kind_of_name

Teller = Literal["author", "category", "title"]


class FeedOptions(Options):
    url: WebAddress = Field(description='The feed: "https://…".')
    person: Teller = Field(
        default="author",
        description='The part of an entry that says who is in its pictures: "author", "category" or "title".',
    )
    pattern: str = Field(
        default="",
        description='Where the name stands in that part, say "Portrait of {person}"; {person} once, * any text. Other '
        "entries are left out.",
    )
    content: bool = Field(default=False, description="true: take the pictures in the text of an entry as well.")
    pages: int = Field(default=50, ge=1, le=10_000, description="Pages of the feed that are read, 1 to 10,000.")

    @field_validator("pattern")
    @classmethod
    def _says_who(cls, value: str) -> str:
        if value:
            text_pattern(value)
        return value


def open_source(name: str, options: Mapping[str, object], web: Web, album: Path) -> Source:
    """A source that is a feed. Raises SourceError."""
    chosen = read_options(FeedOptions, name, options)
    return _Feed(name, chosen, text_pattern(chosen.pattern) if chosen.pattern else None, web)


@dataclass(frozen=True, slots=True)
class _Entry:
    """An entry of a feed, whichever its format; `pictures` are links as they were written."""

    title: str
    author: Sequence[str]
    category: Sequence[str]
    pictures: Sequence[str]
    licence: str = ""


@dataclass(frozen=True, slots=True)
class _Part:
    """One page of a feed: its `entries`, without the `bad` ones that could not be read. Links are relative to `base`;
    `next` is the URL of the next page."""

    base: str
    entries: Sequence[_Entry]
    next: str | None
    bad: int = 0


@dataclass(frozen=True, slots=True)
class _Feed:
    name: str
    options: FeedOptions
    pattern: re.Pattern[str] | None
    web: Web

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the feed, its pages one after the other."""
        page = first_page(self.name, self.web, self.options.url)
        seen: set[tuple[str, ...]] = set()
        visited = {self.options.url, page.url}
        for number in range(1, self.options.pages + 1):
            part = _read(page, self.options.content)
            if part is None and number == 1:
                remedy = "Give the address of RSS, Atom or JSON Feed."
                raise source_error(
                    self.name, f"begins at a page that is no feed: {page.url}", remedy, SourceFault.UNLISTED
                )
            if part is None:
                yield fetch_error(
                    self.name, f"goes on at a page that is no feed: {page.url}", "Tell whoever makes the feed."
                )
                return
            if part.bad:
                what = f"has {count(part.bad, 'broken entry', 'broken entries')} in {page.url}"
                yield fetch_error(self.name, what, "Tell whoever makes the feed.")
            for entry in part.entries:
                yield from self._of(entry, part.base, seen)
            if part.next is None or part.next in visited:
                return
            visited.add(part.next)
            if number == self.options.pages:
                break
            try:
                page = self.web.page(part.next)
            except FetchError as error:
                yield error
                return
            visited.add(page.url)
        what = f"goes on after {self.options.pages} pages, which were read: {self.options.url}"
        yield fetch_error(self.name, what, "Raise pages in mien.toml to read more.", FetchFault.TOO_LARGE)

    def _of(self, entry: _Entry, base: str, seen: set[tuple[str, ...]]) -> Iterator[Offer | FetchError]:
        """What an entry shows. A picture comes once for the same people; whoever asks sees if it comes for others."""
        texts = {"title": [entry.title], "author": entry.author, "category": entry.category}[self.options.person]
        if self.pattern:
            texts = [tidy(person_in(self.pattern, text)) for text in texts]
        people: dict[str, str] = {}
        for text in filter(None, texts):
            people.setdefault(nfc(text), text)
        if self.pattern and not people:
            return
        for url in filter(None, (link(base, href) for href in entry.pictures)):
            if (url, *people) in seen:
                continue
            seen.add((url, *people))
            if len(people) > 1:  # nobody but a human could tell which of them it is
                what = f"names several people for {url}, in the entry {entry.title[:100]!r}: {listed(people.values())}"
                remedy = "Give a pattern that fits one of them, or add the photo by hand."
                yield fetch_error(self.name, what, remedy, FetchFault.PERSON)
            else:
                person = next(iter(people.values()), "")
                offer = Offer(url, person, file_name(url), licence=entry.licence, listed=people_listed(person))
                yield offered(self.name, offer)

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return self.web.picture(offer.location, into, since)


def _read(page: Page, content: bool) -> _Part | None:
    """The entries of a page, with the pictures in their text too if `content`; None where it is no feed."""
    is_json = page.body.removeprefix(BOM_UTF8).lstrip().startswith(b"{")
    return _read_json(page, content) if is_json else _read_xml(page, content)


def _is_picture(href: str, kind: object, medium: object = None) -> bool:
    """Whether a file is a picture: by its media type or `medium` in the feed, or by its name if the feed says
    nothing."""
    if isinstance(kind, str) and kind not in ("", "application/octet-stream"):
        return kind.startswith("image/")
    return medium == "image" or (medium is None and kind_of_name(file_name(href)) == "photo")


class _Images(HTMLParser):
    """The addresses of the <img> in a text of HTML."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[str] = []
        with contextlib.suppress(AssertionError):  # which HTMLParser raises for "<![1]>"
            self.feed(closed(text.encode(errors="replace")).decode())

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "img" and (source := dict(attrs).get("src")):
            self.found.append(source)


# RSS and Atom


def _read_xml(page: Page, content: bool) -> _Part | None:
    """A page of RSS or Atom. feedparser gets bytes only: it might take a text for an address, and fetch that. It
    declares no entities but harmless ones and loads nothing that a document refers to; its sanitiser drops scripts from
    texts."""
    kind = f"application/xml; charset={page.charset}" if page.charset else "application/xml"
    try:
        parsed = feedparser.parse(
            io.BytesIO(_mended(page.body)),
            response_headers={"content-location": page.url, "content-type": kind},
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
    entries = [_xml_entry(entry, feed, content, text) for entry in parsed.entries]
    return _Part(page.url, entries, link(page.url, next(after, None)))


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


def _xml_entry(entry: Mapping[str, Any], feed: Mapping[str, Any], content: bool, text: Callable[[str], str]) -> _Entry:
    """An entry as feedparser gives it; `text` makes a name of what it gives for one."""
    pictures = [
        each[key]
        for group, key in (("enclosures", "href"), ("media_content", "url"))
        for each in entry.get(group, ())
        if each.get(key) and _is_picture(each[key], each.get("type"), each.get("medium"))
    ]
    if content:
        for part in entry.get("content") or [entry.get("summary_detail") or {}]:
            pictures += _Images(part.get("value", "")).found
    return _Entry(
        title=_title(entry),
        author=_authors(entry, text) or _authors(feed, text),
        category=[tidy(text(tag.get("label") or tag.get("term") or "")) for tag in entry.get("tags", ())],
        pictures=pictures,
        licence=tidy(entry.get("license"))[:300],
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


# JSON Feed


class _Object(BaseModel):
    """An object of JSON, of which a key without a value is none."""

    @model_validator(mode="before")
    @classmethod
    def _without_nulls(cls, given: object) -> object:
        return {key: value for key, value in given.items() if value is not None} if isinstance(given, dict) else given


class _Named(_Object):
    name: str = ""


class _Attachment(_Object):
    url: str
    mime_type: str = ""


class _Item(_Object):
    """The keys of an item that mien reads; `author` is of version 1."""

    title: str = ""
    authors: list[_Named] = []
    author: _Named | None = None
    tags: list[str] = []
    image: str = ""
    content_html: str = ""
    attachments: list[_Attachment] = []


class _JsonFeed(_Object):
    version: str = Field(pattern="^https?://jsonfeed.org/version/")
    authors: list[_Named] = []
    author: _Named | None = None
    next_url: str | None = None
    items: list[Any] = []


def _read_json(page: Page, content: bool) -> _Part | None:
    try:
        found = json.loads(page.body.removeprefix(BOM_UTF8), object_pairs_hook=_object)
        feed = _JsonFeed.model_validate(found)
    except (ValueError, RecursionError):
        return None
    entries = []
    for each in feed.items:
        try:
            item = _Item.model_validate(each)
        except ValidationError:
            continue
        entries.append(_json_entry(item, feed, content))
    return _Part(page.url, entries, link(page.url, feed.next_url), bad=len(feed.items) - len(entries))


def _object(pairs: Sequence[tuple[str, object]]) -> object:
    """An object of JSON; what no model takes for one if a key has two values, of which one would be dropped."""
    found = dict(pairs)
    return found if all(found[key] == value for key, value in pairs) else ...


def _json_entry(item: _Item, feed: _JsonFeed, content: bool) -> _Entry:
    attached = [each.url for each in item.attachments if _is_picture(each.url, each.mime_type)]
    authors = item.authors or [item.author or _Named()]
    if not any(author.name for author in authors):
        authors = feed.authors or [feed.author or _Named()]
    return _Entry(
        title=tidy(item.title),
        author=[tidy(author.name) for author in authors],
        category=[tidy(tag) for tag in item.tags],
        pictures=[*attached, *filter(None, [item.image]), *(_Images(item.content_html).found if content else ())],
    )
