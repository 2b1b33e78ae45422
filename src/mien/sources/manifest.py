"""A manifest: a table of people and photos, on disk or at a URL, as any script can write one."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pydantic import Field, model_validator

from mien.errors import FetchError
from mien.parsing.markup import tidy
from mien.protocols import Sink, Source, Web
from mien.sources.common import (
    Options,
    WebAddress,
    fetch_error,
    file_name,
    first_page,
    link,
    offered,
    read_below,
    read_options,
    stamp_inside,
)
from mien.sources.table import encoding_of, open_table, path_of, person_of, table_rows
from mien.text.fetching import FetchFault
from mien.types import Offer, Receipt

_NEEDED = (("person",), ("url", "path"))


class ManifestOptions(Options):
    file: str = Field(default="", description='The manifest on disk, relative to the album, say "../manifest.csv".')
    url: WebAddress | None = Field(default=None, description='The manifest on the web: "https://…".')

    @model_validator(mode="after")
    def _one_place(self) -> ManifestOptions:
        if bool(self.file) == bool(self.url):
            raise ValueError("either file or url must say where the manifest is")
        return self


def open_source(name: str, options: Mapping[str, object], web: Web, album: Path) -> Source:
    """A source that is a manifest. Raises SourceError."""
    chosen = read_options(ManifestOptions, name, options)
    if chosen.url:
        return _OnTheWeb(name, chosen.url, web)
    return _OnDisk(name, (album / Path(chosen.file).expanduser()).resolve(), web)


@dataclass(frozen=True, slots=True)
class _OnTheWeb:
    """A manifest at `url`. The photos are on the web too, at addresses that may be relative to it."""

    name: str
    url: str
    web: Web

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the manifest."""
        page = first_page(self.name, self.web, self.url)
        encoding = encoding_of(page.body, page.charset)
        text = io.TextIOWrapper(io.BytesIO(page.body), encoding=encoding, errors="replace")
        yield from _offers(self.name, self.url, text, page.url, None)

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return self.web.picture(offer.location, into, since)


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """A manifest on disk. The photos are on the web, or in the folder of the manifest."""

    name: str
    file: Path
    web: Web

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the manifest."""
        with open_table(self.name, self.file) as text:
            yield from _offers(self.name, str(self.file), text, "", self.file.parent)

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        if link("", offer.location):
            return self.web.picture(offer.location, into, since)
        return read_below(self.name, self.file.parent, offer.location, into, since)


def _offers(name: str, manifest: str, text: TextIO, base: str, folder: Path | None) -> Iterator[Offer | FetchError]:
    """The offers in the lines of `text`. Links are relative to the URL `base`, paths to `folder`; without a folder each
    line must give a link. `manifest` is what the table is called in errors."""
    seen: set[str] = set()
    for row in table_rows(name, manifest, text, *_NEEDED):
        if isinstance(row, FetchError):
            yield row
            continue
        number, values = row
        where = f"line {number} of {manifest}"
        found = _found(name, where, values, base, folder)
        if isinstance(found, FetchError):
            yield found
        elif found[0] in seen:
            what = f"names {found[0]} a second time, in {where}"
            yield fetch_error(name, what, "Keep one line a photo.", FetchFault.PERSON)
        else:
            location, stamp = found
            seen.add(location)
            called = tidy(values.get("name")) or location
            person, several = person_of(values)
            yield offered(name, Offer(location, person, file_name(called), stamp, tidy(values.get("licence")), several))


def _found(
    name: str, where: str, values: Mapping[str, object], base: str, folder: Path | None
) -> tuple[str, str] | FetchError:
    """The location and the stamp of the photo that a line gives."""
    if tidy(values.get("url")) and tidy(values.get("path")):
        what = f"gives both a url and a path in {where}, which may be two photos"
        return fetch_error(name, what, "Keep one of them, or write a line for each.", FetchFault.ADDRESS)
    if href := tidy(values.get("url")):
        url = link(base, href)
        what = f"gives, in {where}, a url that is no web address: {href[:100]}"
        return (url, "") if url else fetch_error(name, what, "Correct it.", FetchFault.ADDRESS)
    if folder is None:
        remedy = "A manifest on the web needs a url in each line."
        return fetch_error(name, f"gives no url in {where}", remedy, FetchFault.ADDRESS)
    path = path_of(folder, values.get("path"))
    stamp = stamp_inside(name, folder, path)
    if isinstance(stamp, FetchError):
        return stamp
    if stamp is None:
        what = f"names, in {where}, a file that is not in {folder}: {path[:100]}"
        return fetch_error(name, what, "Correct it, or put the file there.", FetchFault.GONE)
    return path, stamp
