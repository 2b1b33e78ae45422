"""What the adapters share: options, errors, offers, links, and files below a folder."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import stat
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Annotated, Any, BinaryIO, TypeVar
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from mien.errors import FetchError, SourceError
from mien.parsing.border import UnparsedError, parsed
from mien.parsing.markup import LONGEST_LINK
from mien.protocols import Sink, Web
from mien.text.fetching import FetchFault, SourceFault
from mien.text.words import listed
from mien.types import Offer, Page, Receipt

_LONGEST_PERSON = 200
"""Letters in a person's name; a folder's name could be no longer anyway (see `mien.text.names`)."""
_LONGEST_FILE_NAME = 100
"""Letters in the name of a photo."""
_CHUNK = 1 << 20
"""Bytes of a photo that are in memory at once."""


_MOST_UNREAD = 1_000
"""Pages that are remembered for the next run. Others are found again from the page at which the listing begins."""


# Options


class Options(BaseModel):
    """An adapter's own keys in mien.toml; each adapter derives its class from this one. Values are frozen, their types
    are taken exactly, and a key that the class does not have is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, strict=True)


Chosen = TypeVar("Chosen", bound=Options)


def read_options(kind: type[Chosen], name: str, options: Mapping[str, object]) -> Chosen:
    """The `options` of the source `name` as a value of `kind`.

    Raises SourceError, which names the source, the key, and what is allowed. No value stands in it: a value may be a
    secret.
    """
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        key = str(first["loc"][0]) if first["loc"] else ""
        field = kind.model_fields.get(key)
        reason = first["msg"].removeprefix("Value error, ")
        reason = (reason[:1].lower() + reason[1:]).rstrip(".")
        if first["type"] == "missing":
            reason = f"{key} is missing"
        elif first["type"] == "extra_forbidden":
            reason = f"{key} is no key of this kind of source"
        elif key:
            reason = f"{key} will not do: {reason}"
        remedy = f"The keys of this kind of source are {listed(kind.model_fields)}."
        if field and field.description:
            remedy = f"{key}: {field.description}"
        raise source_error(name, f"is set up wrongly: {reason}", remedy, SourceFault.OPTIONS) from error


def _web_address(text: str) -> str:
    if link("", text) is None:
        raise ValueError("it must begin with http:// or https://")
    return text


WebAddress = Annotated[str, AfterValidator(_web_address)]
"""An option that is a URL."""


# Errors


def source_error(name: str, what: str, remedy: str, kind: SourceFault) -> SourceError:
    """The error that ends the source `name`. "The source NAME" and `what` make a sentence."""
    return SourceError(f"The source {name}", what, remedy, kind)


def fetch_error(name: str, what: str, remedy: str, kind: FetchFault = FetchFault.UNREADABLE) -> FetchError:
    """The error of one photo, or of a part of the listing, of the source `name`. "The source NAME" and `what` make a
    sentence."""
    return FetchError(f"The source {name}", what, remedy, kind)


# Offers and links


def offered(name: str, offer: Offer) -> Offer | FetchError:
    """`offer` as it is, or an error if the person's name is empty or too long. `name` is the source's."""
    if offer.person.strip() and len(offer.person) <= _LONGEST_PERSON:
        return offer
    whom = f"gives a name of more than {_LONGEST_PERSON} letters" if offer.person.strip() else "names nobody"
    return fetch_error(
        name, f"{whom} for {offer.location}", "Correct it there, or leave the photo out.", FetchFault.PERSON
    )


def file_name(location: str) -> str:
    """A name for the photo at a URL or path: the last part of its path, of a URL decoded, short, without control
    characters."""
    path = unquote(urlsplit(location).path) if link("", location) else location
    last = re.split(r"[/\\]", path.rstrip("/"))[-1]
    clean = "".join(letter for letter in last if letter.isprintable()).strip()
    stem, dot, ending = clean.rpartition(".")
    if dot and len(ending) < 10:
        clean = f"{stem[: _LONGEST_FILE_NAME - len(ending)]}.{ending}"
    return clean[: _LONGEST_FILE_NAME + 1] or "photo"


def link(base: str, href: object) -> str | None:
    """The URL that `href` on the page `base` leads to, without its fragment; None unless it is one of http or https."""
    if not isinstance(href, str) or len(href) > LONGEST_LINK:
        return None
    address, mark, rest = href.strip().partition("?")
    try:
        url = urldefrag(urljoin(base, address.replace("\\", "/") + mark + rest)).url  # as browsers take a backslash
        parts = urlsplit(url)
        return url if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:  # brackets that hold no address, say
        return None


def first_link(base: str, hrefs: Iterable[object]) -> str | None:
    """The first of `hrefs` that leads anywhere, see `link`."""
    return next(filter(None, (link(base, href) for href in hrefs)), None)


# Pages


def read_page(name: str, page: Page, task: str, **about: object) -> dict[str, Any]:
    """What a child process reads in a page of the source `name`, see `mien.parsing`. Raises FetchError for a page that
    ends it."""
    try:
        return parsed(task, {"url": page.url, "charset": page.charset, **about}, page.body)
    except UnparsedError as error:
        what = f"has a page that {error.fault.words}: {page.url}"
        raise fetch_error(name, what, error.fault.remedy, error.fault) from error


def first_page(name: str, web: Web, url: str) -> Page:
    """The page at `url`, where the source `name` begins. Raises SourceError: without the page nothing can be listed."""
    try:
        return web.page(url)
    except FetchError as error:
        what = f"could not be listed: {error.about} {error.what}"
        raise source_error(name, what, error.remedy, SourceFault.UNLISTED) from error


class Pages:
    """The pages of a listing, in the order in which they are read; see `mien.protocols.Paged`."""

    def __init__(self) -> None:
        self._first = self._current = ""
        self._waiting: list[str] = []  # the last is read next
        self._before: tuple[str, ...] = ()

    def begin(self, first: str) -> None:
        """Begins at this page."""
        self._first, self._current, self._waiting = first, "", [first]

    def next(self) -> str | None:
        """The page to read now; None after the last."""
        self._current = self._waiting.pop() if self._waiting else ""
        return self._current or None

    def add(self, pages: Iterable[str]) -> None:
        """Has these pages, to which the current one links, read next, in this order; but before the first of them
        whatever an earlier run has left unread."""
        self._waiting += reversed(list(pages))
        if self._before and self._before[0] == self._first:
            self._waiting += reversed(self._before[1:])
        self._before = ()

    def unread(self) -> tuple[str, ...]:
        """See `mien.protocols.Paged`; of many pages the `_MOST_UNREAD` to be read next."""
        waiting = (*([self._current] if self._current else ()), *reversed(self._waiting), *self._before[1:])
        return (self._first, *waiting[:_MOST_UNREAD])

    def go_on(self, unread: Sequence[str]) -> None:
        """See `mien.protocols.Paged`."""
        self._before = tuple(unread)


# Files below a folder


def inside(folder: Path, path: str) -> Path | None:
    """The file to which `path`, relative to `folder`, leads after all links; None for one that is not below `folder`.
    `folder` must be resolved itself."""
    try:
        file = (folder / path).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle; a null byte
        return None
    return file if file.is_relative_to(folder) else None


def file_stamp(found: os.stat_result) -> str:
    """The stamp of a file on disk: its size, its time, and when the system last wrote it, which tells of a change that
    keeps the others."""
    return f"{found.st_size}-{found.st_mtime_ns}-{found.st_ctime_ns}"


def as_on_disk(folder: Path, path: str) -> str:
    """`path`, relative to `folder`, as its parts are written on disk where they differ in how accents are encoded: a
    table that was made on one system may say NFC of a file that another wrote in NFD, or the other way round. As it is
    where no such file is there, or several are."""
    if path.isascii():
        return path
    here, found = folder, list[str]()
    for part in path.split("/"):
        name = part
        with contextlib.suppress(OSError, ValueError):
            if part not in ("", ".", "..") and not os.path.lexists(here / part):
                same = _names(here, here.stat().st_mtime_ns)[unicodedata.normalize("NFC", part)]
                name = same[0] if len(same) == 1 else part
        here /= name
        found.append(name)
    return "/".join(found)


@lru_cache(maxsize=32)
def _names(folder: Path, written: int) -> Mapping[str, Sequence[str]]:
    """The names in a folder, which was last `written` then, by their form in NFC."""
    names: defaultdict[str, list[str]] = defaultdict(list)
    for one in folder.iterdir():
        names[unicodedata.normalize("NFC", one.name)].append(one.name)
    return names


def stamp_inside(name: str, folder: Path, path: str) -> str | FetchError | None:
    """The stamp of the file at `path`, relative to `folder`; None if no file is there, or not below `folder`; an error
    of the source `name` where nobody can tell."""
    try:
        file = inside(folder, path)
        found = file.stat() if file else None
        return file_stamp(found) if found and stat.S_ISREG(found.st_mode) else None
    except OSError as error:
        if error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG):
            return None
        what = f"cannot read {folder / path}: {error.strerror or error}"
        return fetch_error(name, what, "Check its permissions, and its drive.")


def read_below(name: str, folder: Path, path: str, into: Sink, since: str) -> Receipt | None:
    """`Source.fetch` for a file of the source `name` at `path`, relative to `folder`, which must be resolved. A file
    outside `folder` is never read, whatever links say. Raises FetchError."""
    file = inside(folder, path)
    if file is None:
        what = f"names a file that is not inside {folder}: {path}"
        raise fetch_error(name, what, "Copy the photo into the folder itself.", FetchFault.ADDRESS)
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # before it is opened: a pipe would make us wait for ever
            raise fetch_error(
                name, f"names {file}, which is not a file", "Put the photo itself there.", FetchFault.GONE
            )
        opened = file.open("rb")
    except OSError as error:
        raise _unreadable(name, file, error) from error
    with opened:
        stamp = file_stamp(os.fstat(opened.fileno()))
        if stamp == since:
            return None
        for chunk in _chunks(name, file, opened):
            into.write(chunk)
        after = os.fstat(opened.fileno())
        if file_stamp(after) != stamp or into.size != after.st_size:  # a network drive may give less than there is
            what = f"has a photo that changed while it was read: {file}"
            raise fetch_error(name, what, FetchFault.CHANGED.remedy, FetchFault.CHANGED)
    return Receipt(stamp)


def _chunks(name: str, file: Path, opened: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file. Errors of reading are met here, and no others: an error of writing is the sink's."""
    try:
        while chunk := opened.read(_CHUNK):
            yield chunk
    except OSError as error:
        raise _unreadable(name, file, error) from error


def _unreadable(name: str, file: Path, error: OSError) -> FetchError:
    if isinstance(error, FileNotFoundError):
        return fetch_error(name, f"no longer has {file}", "Nothing needs doing if that was meant.", FetchFault.GONE)
    what = f"has a photo that cannot be read: {file}: {error.strerror or error}"
    return fetch_error(name, what, "Check its permissions, and the disk.")
