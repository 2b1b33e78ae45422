"""A manifest: a table of persons and photos, on disk or at a URL. The general way, and the one to import by hand."""

from __future__ import annotations

import io
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from pydantic import Field, model_validator

from mien.errors import FetchError
from mien.protocols import Sink, Source, Web
from mien.sources import (
    Options,
    WebAddress,
    fetch_error,
    file_name,
    first_page,
    link,
    offered,
    open_table,
    read_below,
    read_options,
    stamp_inside,
    table_rows,
    tidy,
)
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
    """All that it names is on the web too, at addresses that may be relative to its own."""

    name: str
    url: str
    web: Web

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the manifest."""
        page = first_page(self.name, self.web, self.url)
        text = io.TextIOWrapper(io.BytesIO(page.body), encoding="utf-8-sig", errors="replace")
        yield from _offers(self.name, self.url, text, page.url, None)

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return self.web.picture(offer.location, into, since)


@dataclass(frozen=True, slots=True)
class _OnDisk:
    """It may name photos on the web, and those in its own folder."""

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
    """What the lines of `text` offer: links relative to the URL `base`, paths to `folder`, if there is one."""
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
            yield fetch_error(name, f"{where} names {found[0]} a second time", "Keep one line a photo.", "person")
        else:
            location, stamp = found
            seen.add(location)
            called = tidy(values.get("name")) or location
            person, licence = tidy(values.get("person")), tidy(values.get("licence"))
            yield offered(name, Offer(location, person, file_name(called), stamp, licence))


def _found(
    name: str, where: str, values: Mapping[str, object], base: str, folder: Path | None
) -> tuple[str, str] | FetchError:
    """The location of a line's photo and its stamp."""
    if href := tidy(values.get("url")):
        url = link(base, href)
        return (url, "") if url else fetch_error(name, f"{where}: {href[:100]} is no web address", "Correct it.")
    if folder is None:
        return fetch_error(name, f"{where} gives no url", "A manifest on the web gives a url in each line.", "address")
    path = Path(str(values.get("path") or "").strip()).as_posix()
    stamp = stamp_inside(folder, path)
    if stamp is None:
        what = f"{where} names a file that is not in {folder}: {path[:100]}"
        return fetch_error(name, what, "Correct it, or put the file there.", "gone")
    return path, stamp
