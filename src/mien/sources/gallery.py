"""The pages of one named site. CSS selectors say where the pictures are, and what names the person in them."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice
from pathlib import Path
from typing import NamedTuple

import soupsieve
from bs4 import BeautifulSoup, Tag
from bs4.exceptions import ParserRejectedMarkup
from pydantic import Field, field_validator

from mien.errors import FetchError
from mien.protocols import Sink, Source, Web
from mien.sources import (
    Options,
    WebAddress,
    closed,
    fetch_error,
    file_name,
    first_page,
    link,
    offered,
    read_options,
    tidy,
)
from mien.types import Offer, Page, Receipt

_LARGEST_PAGE = 2 << 20
"""Bytes. A gallery is no longer than that; parsed, it takes fifty times the memory, and seconds for each million."""
_DEEPEST = 200
"""How far up from a picture its person is looked for."""


class Selector(NamedTuple):
    """A CSS selector, and of which attribute of the elements the value is; "" for the usual one."""

    css: str
    attribute: str

    @classmethod
    def parse(cls, text: str) -> Selector:
        """A selector as it is written in mien.toml: "CSS" or "CSS @attribute". Raises ValueError."""
        with_attribute = re.fullmatch(r"(.*\S)\s*@([\w-]+)", text, re.DOTALL)
        css, attribute = with_attribute.groups() if with_attribute else (text, "")
        try:
            soupsieve.compile(css)
        except (soupsieve.SelectorSyntaxError, NotImplementedError) as error:
            raise ValueError(f"{css!r} is no CSS selector") from error
        return cls(css, attribute)


class GalleryOptions(Options):
    url: WebAddress = Field(description='The page to begin at: "https://…".')
    pictures: str = Field(
        min_length=1,
        description='CSS selector of the pictures, or of links to them, say "figure img"; "… @data-full" takes that '
        "attribute.",
    )
    person: str = Field(
        min_length=1,
        description='CSS selector of what names the person, say "h1" or "figcaption"; "img @alt" takes that attribute.',
    )
    list: str = Field(
        default="",
        description='CSS selector of links to pages of pictures, say "ul.members a"; "": url is such a page.',
    )
    next: str = Field(default="", description='CSS selector of the link to the next page, say "a[rel=next]".')
    pages: int = Field(default=200, ge=1, le=100_000, description="Pages that are read, 1 to 100,000.")

    @field_validator("pictures", "person", "list", "next")
    @classmethod
    def _selects(cls, value: str) -> str:
        if value:
            Selector.parse(value)
        return value


def open_source(name: str, options: Mapping[str, object], web: Web, album: Path) -> Source:
    """A source that is a gallery. Raises SourceError."""
    return _Gallery(name, read_options(GalleryOptions, name, options), web)


@dataclass(frozen=True, slots=True)
class _Gallery:
    name: str
    options: GalleryOptions
    web: Web

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the pages: each person's, with those that follow it, where the list has it."""
        waiting = [(self.options.url, bool(self.options.list))]  # the last is the next; whether it is a list
        visited: set[str] = set()
        seen: set[str] = set()
        read = 0
        while waiting:
            url, is_list = waiting.pop()
            if url in visited:
                continue
            if read == self.options.pages:
                what = f"{self.options.url} goes on after {read} pages, which were read"
                yield fetch_error(self.name, what, "Raise pages in mien.toml to read more.", "too-large")
                return
            visited.add(url)
            read += 1
            try:
                page = self.web.page(url) if read > 1 else first_page(self.name, self.web, url)
                soup = self._parse(page)
            except FetchError as error:
                yield error
                continue
            if page.url != url and page.url in visited:
                continue
            visited.add(page.url)
            base = _base(soup, page.url)
            waiting += [(each, is_list) for each in _links(soup, base, self.options.next)[:1]]
            if is_list:
                waiting += [(each, False) for each in reversed(_links(soup, base, self.options.list))]
            else:
                yield from self._pictures(soup, base, seen)

    def _parse(self, page: Page) -> BeautifulSoup:
        if len(page.body) > _LARGEST_PAGE:
            what = f"{page.url} has more than {_LARGEST_PAGE >> 20} MB"
            raise fetch_error(self.name, what, "Begin at a page that lists less.", "too-large")
        try:
            return BeautifulSoup(
                closed(page.body), "html.parser", from_encoding=page.charset, exclude_encodings=["punycode"]
            )
        except ParserRejectedMarkup as error:
            what = f"{page.url} cannot be read as HTML"
            raise fetch_error(self.name, what, "Tell whoever runs the site.") from error

    def _pictures(self, soup: BeautifulSoup, base: str, seen: set[str]) -> Iterator[Offer | FetchError]:
        named = _names(soup, Selector.parse(self.options.person))
        selector = Selector.parse(self.options.pictures)
        for element in soup.select(selector.css):
            url = next((url for href in _addresses(element, selector.attribute) if (url := link(base, href))), None)
            if url is None or url in seen:
                continue
            seen.add(url)
            people = _nearest(element, named)
            if len(people) > 1:  # which of them it is, nobody but a person could tell
                what = f"{base} names several people beside {url}"
                yield fetch_error(self.name, what, "Give person a selector that fits one of them.", "person")
            else:
                yield offered(self.name, Offer(url, next(iter(people), ""), file_name(url)))

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return self.web.picture(offer.location, into, since)


def _base(soup: BeautifulSoup, url: str) -> str:
    """What the links of a page are relative to."""
    element = soup.find("base", href=True)
    return (link(url, element.get("href")) if isinstance(element, Tag) else None) or url


def _links(soup: BeautifulSoup, base: str, text: str) -> list[str]:
    if not text:
        return []
    css, attribute = Selector.parse(text)
    return [url for element in soup.select(css) if (url := link(base, element.get(attribute or "href")))]


def _addresses(element: Tag, attribute: str) -> Iterator[object]:
    """Where the picture of an element may be, the best first: pages that load pictures late keep the real address in
    data-src, and src is a placeholder."""
    if attribute:
        yield element.get(attribute)
        return
    for key in ("srcset", "data-srcset"):
        yield _largest(str(element.get(key) or ""))
    for key in ("href", "data-src", "src"):
        yield element.get(key)


_CANDIDATE = re.compile(r"(?<![^\s,])([^\s,]\S*[^\s,])(?:\s+(\d+(?:\.\d+)?)[wx])?\s*(?:,|$)")


def _largest(srcset: str) -> str | None:
    """The widest or densest of the candidates of HTML's srcset attribute, None if there is none."""
    found = [(float(size or 1), -place, url) for place, (url, size) in enumerate(_CANDIDATE.findall(srcset[:20_000]))]
    return max(found)[2] if found else None


def _names(soup: BeautifulSoup, selector: Selector) -> dict[int, dict[str, None]]:
    """For each element of a page that names people, itself or by what is in it: their names. Keys are identities."""
    names: dict[int, dict[str, None]] = {}
    for element in soup.select(selector.css):
        if person := _told(element, selector.attribute):
            for node in _upwards(element):
                names.setdefault(id(node), {})[person] = None
    return names


def _told(element: Tag, attribute: str) -> str:
    """The name that an element bears: its text, an image's description, or the attribute asked for."""
    if attribute:
        return tidy(element.get(attribute))
    return tidy(element.get_text(" ")) or tidy(element.get("alt")) or tidy(element.get("content"))


def _nearest(element: Tag, names: Mapping[int, dict[str, None]]) -> Collection[str]:
    """The names in the smallest part of the page that holds `element` and any."""
    return next((names[id(node)] for node in _upwards(element) if id(node) in names), {})


def _upwards(element: Tag) -> Iterator[Tag]:
    return islice(chain([element], element.parents), _DEEPEST)
