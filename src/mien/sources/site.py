"""The pages of one named web site. CSS selectors say which elements are pictures, and which name the person in them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pydantic import Field, field_validator

from mien.errors import FetchError
from mien.parsing.markup import tidy
from mien.parsing.sites import Selector
from mien.protocols import Sink, Source, Web
from mien.sources.common import (
    Options,
    Pages,
    WebAddress,
    fetch_error,
    file_name,
    first_link,
    first_page,
    link,
    offered,
    read_options,
    read_page,
)
from mien.sources.lists import people_listed
from mien.text.fetching import FetchFault
from mien.text.words import listed
from mien.types import Offer, Page, Receipt

_LARGEST_PAGE = 2 << 20
"""Bytes of a page. Parsed, a page takes fifty times the memory, and seconds for each million bytes."""


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


_LIST = "list "
"""What the name of a page begins with, in `Pages`, that is a list of others; the rest is its URL."""


def _named(url: str, is_list: bool) -> str:
    return f"{_LIST}{url}" if is_list else url


@dataclass(frozen=True, slots=True)
class _Site:
    name: str
    options: SiteOptions
    web: Web
    pages: Pages = field(default_factory=Pages)

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the pages. A person's page comes where the list links to it, and then the pages that follow
        it by `next`. Those that an earlier run left unread come after the first."""
        pages = self.pages
        pages.begin(_named(self.options.url, bool(self.options.list)))
        visited: set[str] = set()
        seen: set[tuple[str, ...]] = set()
        read = 0
        while (name := pages.next()) is not None:
            url, is_list = name.removeprefix(_LIST), name.startswith(_LIST)
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
                found = self._read(page, is_list)
            except FetchError as error:
                yield error
                continue
            if page.url != url and page.url in visited:
                continue
            visited.add(page.url)
            base = first_link(page.url, found["base"]) or page.url
            after, people = (list(filter(None, (link(base, href) for href in hrefs))) for hrefs in found["links"])
            pages.add([_named(each, False) for each in people] + [_named(each, is_list) for each in after])
            yield from self._pictures(found, base, seen)

    def unread(self) -> tuple[str, ...]:
        return self.pages.unread()

    def go_on(self, unread: Sequence[str]) -> None:
        self.pages.go_on(unread)

    def _read(self, page: Page, is_list: bool) -> dict[str, Any]:
        """What a page shows: links to other pages, and, of one that is no list, pictures. Raises FetchError."""
        if len(page.body) > _LARGEST_PAGE:
            what = f"has a page of more than {_LARGEST_PAGE >> 20} MB: {page.url}"
            raise fetch_error(self.name, what, "Begin at a page that lists less.", FetchFault.TOO_LARGE)
        options = self.options
        about = {
            "links": [options.next, options.list if is_list else ""],
            "pictures": "" if is_list else options.pictures,
            "person": options.person,
        }
        found = read_page(self.name, page, "sites:task", **about)
        if not found:
            what = f"has a page that cannot be read as HTML: {page.url}"
            raise fetch_error(self.name, what, "Tell whoever runs the site.")
        return found

    def _pictures(
        self, found: Mapping[str, Any], base: str, seen: set[tuple[str, ...]]
    ) -> Iterator[Offer | FetchError]:
        """The pictures of a page. One comes once for the same people; whoever asks sees if it comes for others."""
        named: Sequence[Mapping[str, str]] = found["people"]
        for hrefs, place in found["pictures"]:
            url, people = first_link(base, hrefs), named[place]
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
