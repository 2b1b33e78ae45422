"""A feed whose entries carry pictures and say who is in them: RSS, Atom, or JSON Feed (jsonfeed.org, version 1.1)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from pydantic import Field, field_validator

from mien.errors import FetchError
from mien.parsing.markup import tidy
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
    source_error,
)
from mien.sources.lists import people_listed
from mien.sources.patterns import person_in, text_pattern
from mien.text.fetching import FetchFault, SourceFault
from mien.text.names import nfc
from mien.text.words import count, listed
from mien.types import Offer, Receipt

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
class _Feed:
    name: str
    options: FeedOptions
    pattern: re.Pattern[str] | None
    web: Web
    pages: Pages = field(default_factory=Pages)

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the feed, its pages one after the other; those that an earlier run left unread after the
        first."""
        pages, number = self.pages, 0
        pages.begin(self.options.url)
        seen: set[tuple[str, ...]] = set()
        visited: set[str] = set()
        while (url := pages.next()) is not None:
            if url in visited:
                continue
            if number == self.options.pages:
                what = f"goes on after {number} pages, which were read: {self.options.url}"
                yield fetch_error(self.name, what, "Raise pages in mien.toml to read more.", FetchFault.TOO_LARGE)
                return
            number += 1
            try:
                page = self.web.page(url) if number > 1 else first_page(self.name, self.web, url)
                visited |= {url, page.url}
                part = read_page(self.name, page, "feeds:task", content=self.options.content)
            except FetchError as error:
                visited.add(url)
                yield error
                continue
            if not part and number == 1:
                remedy = "Give the address of RSS, Atom or JSON Feed."
                raise source_error(
                    self.name, f"begins at a page that is no feed: {page.url}", remedy, SourceFault.UNLISTED
                )
            if not part:
                yield fetch_error(
                    self.name, f"goes on at a page that is no feed: {page.url}", "Tell whoever makes the feed."
                )
                continue
            after = link(page.url, part["next"])
            pages.add([after] if after is not None and after not in visited else [])
            if part["broken"]:
                what = f"has {count(part['broken'], 'broken entry', 'broken entries')} in {page.url}"
                yield fetch_error(self.name, what, "Tell whoever makes the feed.")
            for entry in part["entries"]:
                yield from self._of({**entry, "author": entry["author"] or part["author"]}, page.url, seen)

    def unread(self) -> tuple[str, ...]:
        return self.pages.unread()

    def go_on(self, unread: Sequence[str]) -> None:
        self.pages.go_on(unread)

    def _of(self, entry: Mapping[str, Any], base: str, seen: set[tuple[str, ...]]) -> Iterator[Offer | FetchError]:
        """What an entry shows. A picture comes once for the same people; whoever asks sees if it comes for others."""
        told = entry[self.options.person]
        texts = [told] if isinstance(told, str) else list(told)
        if self.pattern:
            texts = [tidy(person_in(self.pattern, text)) for text in texts]
        people: dict[str, str] = {}
        for text in filter(None, texts):
            people.setdefault(nfc(text), text)
        if self.pattern and not people:
            return
        for url in filter(None, (first_link(base, hrefs) for hrefs in entry["pictures"])):
            if (url, *people) in seen:
                continue
            seen.add((url, *people))
            if len(people) > 1:  # nobody but a human could tell which of them it is
                what = (
                    f"names several people for {url}, in the entry {entry['title'][:100]!r}: {listed(people.values())}"
                )
                remedy = "Give a pattern that fits one of them, or add the photo by hand."
                yield fetch_error(self.name, what, remedy, FetchFault.PERSON)
            else:
                person = next(iter(people.values()), "")
                offer = Offer(url, person, file_name(url), licence=entry["licence"], listed=people_listed(person))
                yield offered(self.name, offer)

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return self.web.picture(offer.location, into, since)
