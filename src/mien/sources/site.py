"""The pages of one named web site. CSS selectors say which elements are pictures, and which name the person in them."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import chain, islice, takewhile
from pathlib import Path
from typing import NamedTuple

import soupsieve
from bs4 import BeautifulSoup, Tag
from bs4.element import NavigableString, PageElement
from bs4.exceptions import ParserRejectedMarkup
from pydantic import Field, field_validator

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
    tidy,
)
from mien.sources.lists import people_listed
from mien.text.fetching import FetchFault
from mien.text.names import nfc
from mien.text.words import listed
from mien.types import Offer, Page, Receipt

_LARGEST_PAGE = 2 << 20
"""Bytes of a page. Parsed, a page takes fifty times the memory, and seconds for each million bytes."""
_ITEMS = frozenset({"li", "p", "tr", "td", "th", "dd", "dt"})
"""Elements that hold a name each, where several stand in one that names people."""
_BREAK = "\0"
"""Stands for a line break in a text; HTML has no such letter."""
_DEEPEST = 200
"""Elements between a picture and the element that names its person, at most."""


class Selector(NamedTuple):
    """A CSS selector, and the attribute of the elements that is wanted; "" for the usual one."""

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


class SiteOptions(Options):
    url: WebAddress = Field(description='The page to begin at: "https://…".')
    pictures: str = Field(
        min_length=1,
        description='CSS selector of the pictures, or of links to them, say "figure img"; "… @data-full" takes that '
        "attribute.",
    )
    person: str = Field(
        min_length=1,
        description='CSS selector of the name beside them, say "h1" or "figcaption"; "img @alt" takes that attribute.',
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
    """A source that is a site. Raises SourceError."""
    return _Site(name, read_options(SiteOptions, name, options), web)


@dataclass(frozen=True, slots=True)
class _Site:
    name: str
    options: SiteOptions
    web: Web

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the pages. A person's page comes where the list links to it, and then the pages that follow
        it by `next`."""
        waiting = [(self.options.url, bool(self.options.list))]  # (URL, whether it is a list); the last is read next
        visited: set[str] = set()
        seen: set[tuple[str, ...]] = set()
        read = 0
        while waiting:
            url, is_list = waiting.pop()
            if url in visited:
                continue
            if read == self.options.pages:
                what = f"goes on after {read} pages, which were read: {self.options.url}"
                yield fetch_error(self.name, what, "Raise pages in mien.toml to read more.", FetchFault.TOO_LARGE)
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
            waiting += [(each, is_list) for each in reversed(_links(soup, base, self.options.next))]
            if is_list:
                waiting += [(each, False) for each in reversed(_links(soup, base, self.options.list))]
            else:
                yield from self._pictures(soup, base, seen)

    def _parse(self, page: Page) -> BeautifulSoup:
        if len(page.body) > _LARGEST_PAGE:
            what = f"has a page of more than {_LARGEST_PAGE >> 20} MB: {page.url}"
            raise fetch_error(self.name, what, "Begin at a page that lists less.", FetchFault.TOO_LARGE)
        try:
            return BeautifulSoup(
                closed(page.body), "html.parser", from_encoding=page.charset, exclude_encodings=["punycode"]
            )
        except ParserRejectedMarkup as error:
            what = f"has a page that cannot be read as HTML: {page.url}"
            raise fetch_error(self.name, what, "Tell whoever runs the site.") from error

    def _pictures(self, soup: BeautifulSoup, base: str, seen: set[tuple[str, ...]]) -> Iterator[Offer | FetchError]:
        """The pictures of a page. One comes once for the same people; whoever asks sees if it comes for others."""
        named = _names(soup, Selector.parse(self.options.person))
        selector = Selector.parse(self.options.pictures)
        for element in soup.select(selector.css):
            url = next((url for href in _addresses(element, selector.attribute) if (url := link(base, href))), None)
            people = _nearest(element, named)
            if url is None or (url, *people) in seen:
                continue
            seen.add((url, *people))
            if len(people) > 1:  # nobody but a human could tell which of them it is
                what = f"names several people beside {url}, on {base}: {listed(map(tidy, people.values()))}"
                remedy = "Give person a selector that fits one of them, or add the photo by hand."
                yield fetch_error(self.name, what, remedy, FetchFault.PERSON)
            else:
                text = next(iter(people.values()), "")
                yield offered(self.name, Offer(url, tidy(text), file_name(url), listed=people_listed(text)))

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return self.web.picture(offer.location, into, since)


def _base(soup: BeautifulSoup, url: str) -> str:
    """The URL to which the links of a page are relative."""
    element = soup.find("base", href=True)
    return (link(url, element.get("href")) if isinstance(element, Tag) else None) or url


def _links(soup: BeautifulSoup, base: str, text: str) -> list[str]:
    if not text:
        return []
    css, attribute = Selector.parse(text)
    return [url for element in soup.select(css) if (url := link(base, element.get(attribute or "href")))]


def _addresses(element: Tag, attribute: str) -> Iterator[object]:
    """The addresses that the picture of an element may have, the best first. Pages that load pictures late keep the
    real address in data-src, and a placeholder in src."""
    if attribute:
        yield element.get(attribute)
        return
    for key in ("srcset", "data-srcset"):
        yield _largest(str(element.get(key) or ""))
    for key in ("href", "data-src", "src"):
        yield element.get(key)


_CANDIDATE = re.compile(r"(?<![^\s,])([^\s,]\S*[^\s,])(?:\s+(\d+(?:\.\d+)?)[wx])?\s*(?:,|$)")


def _largest(srcset: str) -> str | None:
    """The address of the widest or densest picture in HTML's srcset attribute, None if there is none."""
    found = [(float(size or 1), -place, url) for place, (url, size) in enumerate(_CANDIDATE.findall(srcset[:20_000]))]
    return max(found)[2] if found else None


def _names(soup: BeautifulSoup, selector: Selector) -> dict[int, dict[str, str]]:
    """The names of people in each element of a page that names any, itself or by an element in it: as texts, by the
    form in which they are compared. The keys are the identities (`id`) of elements."""
    names: dict[int, dict[str, str]] = {}
    for element in soup.select(selector.css):
        if person := _told(element, selector.attribute):
            for node in _upwards(element):
                names.setdefault(id(node), {}).setdefault(nfc(tidy(person)), person)
    return names


def _told(element: Tag, attribute: str) -> str:
    """The name that an element gives: its text, the description of an image, or the attribute asked for. Where the text
    is in several items, each is a line."""
    if attribute:
        value = element.get(attribute)  # a list for class and rel
        return tidy(value) if value is None or isinstance(value, str) else tidy(" ".join(value))
    return _lines(element) or tidy(element.get("alt")) or tidy(element.get("content"))


def _lines(element: Tag) -> str:
    """The text of an element: a line for each item of a list, cell and paragraph in it, for each link, if no letter is
    outside of links, and for each part between line breaks, if each has two words, as full names have."""
    texts = [(node, _inside(node, element)) for node in element.descendants if type(node) is NavigableString]
    linked = all("a" in inner.values() for text, inner in texts if any(map(str.isalnum, text)))
    apart = _ITEMS | {"a"} if linked else _ITEMS
    lines, last = [""], 0
    for node in element.descendants:
        if isinstance(node, Tag) and node.name == "br":
            lines[-1] += _BREAK
        elif type(node) is NavigableString:
            item = next((one for one, name in _inside(node, element).items() if name in apart), 0)
            if item != last:
                lines, last = [*lines, ""], item
            lines[-1] += f"{node} "
    return "\n".join(filter(None, map(_unbroken, lines)))


def _inside(node: PageElement, element: Tag) -> dict[int, str]:
    """The elements between a part of an element and that, the innermost first: their names by their identities."""
    return {id(each): each.name for each in takewhile(lambda each: each is not element, node.parents)}


def _unbroken(line: str) -> str:
    parts = [part for part in map(tidy, line.split(_BREAK)) if part]
    return ("\n" if all(" " in part for part in parts) else " ").join(parts)


def _nearest(element: Tag, names: Mapping[int, dict[str, str]]) -> Mapping[str, str]:
    """The names in the smallest part of the page that holds `element` and any."""
    return next((names[id(node)] for node in _upwards(element) if id(node) in names), {})


def _upwards(element: Tag) -> Iterator[Tag]:
    return islice(chain([element], element.parents), _DEEPEST)
