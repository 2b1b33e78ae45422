"""Where photos come from, an adapter a file; here is what they share, and what adapters of others may use as well.

An adapter is a function, registered under the entry point group `mien.sources` by the kind that mien.toml names:

    open_source(name: str, options: Mapping[str, object], web: Web, album: Path) -> Source

`name` is the source's in mien.toml, `options` its keys that are not of `mien.settings.SourceSettings`, `web` the one
way to the network, and `album` the folder to which relative paths are relative. Everything that an adapter reads is
somebody else's: names are only ever handed on, links only to `web`, and paths are read through `read_below`.
"""

from __future__ import annotations

import csv
import json
import os
import re
import stat
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, BinaryIO, TextIO, TypeVar
from urllib.parse import unquote, urldefrag, urljoin, urlsplit

from pydantic import AfterValidator, BaseModel, ConfigDict, ValidationError

from mien.errors import FetchError, SourceError
from mien.protocols import Sink, Web
from mien.types import Offer, Page, Receipt

PERSONS_FOLDERS = "{person}/**"
"""The layout without a pattern: a folder a person, photos in it at any depth."""
LONGEST_NAME = 200
"""Letters in a person's name; a folder's name could be no longer anyway (see `mien.storage.layout`)."""
LONGEST_LINK = 2048
"""Letters in a URL."""
_LONGEST_PATH = 1024
_LONGEST_LINE = 65_536
_LONGEST_FILE_NAME = 100
_CHUNK = 1 << 20
"""Bytes of a photo that are in memory at once."""


# What the user wrote


class Options(BaseModel):
    """What an adapter's own keys in mien.toml are derived from: frozen, exact in its types, and without room for a
    slip of the pen."""

    model_config = ConfigDict(frozen=True, extra="forbid", str_strip_whitespace=True, strict=True)


Chosen = TypeVar("Chosen", bound=Options)


def read_options(kind: type[Chosen], name: str, options: Mapping[str, object]) -> Chosen:
    """The options of the source `name`. Raises SourceError, which names the source, the key, and what is allowed."""
    try:
        return kind.model_validate(dict(options))
    except ValidationError as error:
        first = error.errors()[0]
        keys = ", ".join(kind.model_fields)
        key = str(first["loc"][0]) if first["loc"] else ""
        field = kind.model_fields.get(key)
        remedy = f"{key}: {field.description}" if field else f"What this kind of source knows: {keys}."
        reason = first["msg"].removeprefix("Value error, ")
        reason = (reason[:1].lower() + reason[1:]).rstrip(".")
        if first["type"] == "missing":
            what = f"{key} is missing"
        elif first["type"] == "extra_forbidden":
            what = f"{key} is nothing that this kind of source knows"
        else:
            what = f"{key} will not do: {reason}" if key else reason  # no value: it may be a secret
        raise source_error(name, what, remedy) from error


def source_error(name: str, what: str, remedy: str) -> SourceError:
    """`what` completes "the source NAME: "."""
    return SourceError(f"The source {name}: {what}.", remedy)


def fetch_error(name: str, what: str, remedy: str, kind: str = "unreadable") -> FetchError:
    """`what` completes "the source NAME: "; `kind` is one of `mien.errors.FetchError`."""
    return FetchError(f"The source {name}: {what}.", remedy, kind)


def _web_address(text: str) -> str:
    if link("", text) is None:
        raise ValueError("it must begin with http:// or https://")
    return text


WebAddress = Annotated[str, AfterValidator(_web_address)]
"""An option that is a URL."""


# Names of people in paths and texts


def path_pattern(text: str) -> re.Pattern[str]:
    """A pattern of paths, for `person_in`: `{person}`, once, is a name within one part of the path, as long as can be;
    `*` any text within a part, also none; `**` as a whole part any parts, also none. The rest stands for itself, in
    capital letters or small ones. Raises ValueError."""
    *folders, file = text.split("/")
    run = "".join("(?:[^/]*/)*" if part == "**" else _run(part, "[^/]") + "/" for part in folders)
    return _compiled(text, run + ("(?:[^/]*/)*[^/]+" if file == "**" else _run(file, "[^/]")))


def _path_pattern_or_none(text: str) -> str:
    if text:
        path_pattern(text)
    return text


PathPattern = Annotated[str, AfterValidator(_path_pattern_or_none)]
"""An option that `path_pattern` understands, or "" for none."""


def text_pattern(text: str) -> re.Pattern[str]:
    """The same for a line of text, where `/` is a letter like others. Raises ValueError."""
    return _compiled(text, _run(text, "."))


def person_in(pattern: re.Pattern[str], text: str) -> str | None:
    """Whom `text` names by a pattern of the two functions above, None where it does not match."""
    found = pattern.fullmatch(text) if len(text) <= _LONGEST_PATH else None
    return found["person"] if found else None


def _compiled(text: str, run: str) -> re.Pattern[str]:
    if text.count("{person}") != 1:
        raise ValueError("it must say {person} once")
    return re.compile(run, re.IGNORECASE | re.DOTALL)


def _run(text: str, letter: str) -> str:
    """The regular expression of a text with `*` and `{person}`. A star followed by text is an atomic group, as in
    `fnmatch`: its first way to match is the only one tried, which is enough as a later star takes up the slack; so no
    name, however odd, can keep the search busy."""
    before, named, after = text.partition("{person}")
    if set("{}") & set(before + after):
        raise ValueError("{ and } only make {person}")
    if named and (before.endswith("*") or after.startswith("*")):
        raise ValueError("between * and {person} some text must stand, or nothing tells where the name begins and ends")
    if named:
        return _stars(before, letter, last=False) + f"(?P<person>{letter}+)" + _stars(after, letter, last=True)
    return _stars(text, letter, last=True)


def _stars(text: str, letter: str, last: bool) -> str:
    first, *rest = (re.escape(piece) for piece in re.split(r"\*+", text))
    lazy, end = (rest[:-1], rest[-1:]) if last else (rest, [])
    return first + "".join(f"(?>{letter}*?{piece})" for piece in lazy) + "".join(f"{letter}*{piece}" for piece in end)


# Offers


def tidy(text: object) -> str:
    """A text out of a page as one line; "" for what is no text."""
    return " ".join(text.split()) if isinstance(text, str) else ""


def offered(name: str, offer: Offer) -> Offer | FetchError:
    """`offer`, unless it names nobody. `name` is the source's."""
    if not offer.person.strip() or len(offer.person) > LONGEST_NAME:
        what = f"has a name of more than {LONGEST_NAME} letters" if offer.person.strip() else "names nobody"
        return fetch_error(
            name, f"it {what} for {offer.location}", "Correct it there, or leave the photo out.", "person"
        )
    return offer


def file_name(location: str) -> str:
    """A name for the photo at a URL or path: the last part of its path, decoded, short, without control characters."""
    path = urlsplit(location).path if link("", location) else location
    last = re.split(r"[/\\]", unquote(path.rstrip("/")))[-1]
    clean = "".join(letter for letter in last if letter.isprintable()).strip()
    stem, dot, ending = clean.rpartition(".")
    if dot and len(ending) < 10:
        clean = f"{stem[: _LONGEST_FILE_NAME - len(ending)]}.{ending}"
    return clean[: _LONGEST_FILE_NAME + 1] or "photo"


def link(base: str, href: object) -> str | None:
    """The URL that `href` on the page `base` leads to, without its fragment; None unless it is one of http or https."""
    if not isinstance(href, str) or len(href) > LONGEST_LINK:
        return None
    try:
        url = urldefrag(urljoin(base, href.strip())).url
        parts = urlsplit(url)
        return url if parts.scheme in ("http", "https") and parts.hostname else None
    except ValueError:  # brackets that hold no address, say
        return None


def closed(markup: bytes) -> bytes:
    """`markup` without what is begun in it and never ended. Python's HTMLParser looks for the end of each such thing to
    the end of the page, once for each (gh-135462): a page of a tenth of a megabyte took it minutes."""
    for begin, end in ((b"<", b">"), (b"<!--", b"-->"), (b"<![", b"]>")):
        at = markup.rfind(end) + len(end) if end in markup else 0
        markup = markup[:at] + markup[at:].replace(begin, b"")
    return markup


def first_page(name: str, web: Web, url: str) -> Page:
    """The page that a source begins at. Raises SourceError: without it nothing can be listed."""
    try:
        return web.page(url)
    except FetchError as error:
        raise SourceError(f"The source {name}: {error.message}", error.remedy) from error


# Tables


def open_table(name: str, file: Path) -> TextIO:
    """A file for `table_rows`. Raises SourceError."""
    try:
        return file.open(encoding="utf-8-sig", errors="replace")
    except OSError as error:
        raise source_error(name, f"{file} cannot be read: {error.strerror or error}", "Check the path.") from error


def table_rows(
    name: str, where: str, text: TextIO, *needed: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, object]] | FetchError]:
    """(number of the line, its values by column) for each line of a CSV or JSON Lines `text`, an error for a bad one.

    A line is a row: no value holds a line break, so that a lost quotation mark costs one line and not the rest. CSV
    begins with the names of its columns, and is separated by commas, semicolons or tabs. `needed` are columns, each
    with others that will do instead. `where` is how the table is called in errors. Raises SourceError.
    """
    columns: list[str] = []
    separator = ","
    for number, line in _lines(name, where, text):
        if isinstance(line, FetchError):
            yield line
        elif line.startswith("{"):
            yield _json_row(name, f"line {number} of {where}", number, line)
        elif columns:
            yield _csv_row(name, f"line {number} of {where}", number, line, columns, separator)
        else:
            separator = next((mark for mark in ";\t" if mark in line), ",")
            columns = [_column(title.strip(' "')) for title in line.split(separator)]
            for names in needed:
                if not set(names) & set(columns):
                    what = f"{where} has no column {' or '.join(names)}"
                    raise source_error(name, what, "Write the names of the columns into its first line.")


def _column(title: str) -> str:
    title = title.strip().lower()
    return "licence" if title == "license" else title


def _lines(name: str, where: str, text: TextIO) -> Iterator[tuple[int, str | FetchError]]:
    """The lines that are not blank, by number, each as one line of bounded length."""
    number = 0
    try:
        while line := text.readline(_LONGEST_LINE):
            number += 1
            wrong = "is not UTF-8" if "\ufffd" in line else ""  # which is what decoding puts for what is not
            while not line.endswith("\n") and (more := text.readline(_LONGEST_LINE)):
                wrong, line = "is too long", more
            if wrong:
                yield number, fetch_error(name, f"line {number} of {where} {wrong}", "Correct that line.")
            elif line.strip():
                yield number, line.strip()
    except OSError as error:
        raise source_error(name, f"{where} cannot be read: {error.strerror or error}", "Check the disk.") from error


def _json_row(name: str, where: str, number: int, line: str) -> tuple[int, dict[str, object]] | FetchError:
    try:
        return number, {_column(key): value for key, value in json.loads(line).items()}
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "what it holds is not for a table"
        return fetch_error(name, f"{where} is no JSON object: {reason}", "Correct that line.")


def _csv_row(
    name: str, where: str, number: int, line: str, columns: Sequence[str], separator: str
) -> tuple[int, dict[str, object]] | FetchError:
    try:
        values = next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error as error:
        return fetch_error(name, f"{where} is no row of a CSV: {error}", "Correct that line: mind the quotation marks.")
    if len(values) > len(columns):
        what = f"{where} has {len(values)} values for {len(columns)} columns"
        return fetch_error(name, what, "Put a value that holds a separator into quotation marks.")
    return number, dict(zip(columns, values, strict=False))


# Files on disk


def inside(folder: Path, path: str) -> Path | None:
    """Where `path`, relative to `folder`, leads after all links; None where that is not below `folder`, which must be
    resolved itself."""
    try:
        file = (folder / path).resolve()
    except (OSError, RuntimeError, ValueError):  # links in a circle; a null byte
        return None
    return file if file.is_relative_to(folder) else None


def file_stamp(found: os.stat_result) -> str:
    """The stamp of a file on disk: its size and time."""
    return f"{found.st_size}-{found.st_mtime_ns}"


def stamp_inside(folder: Path, path: str) -> str | None:
    """The stamp of the file at `path`, relative to `folder`; None if no file is there, or not below `folder`."""
    try:
        file = inside(folder, path)
        return file_stamp(file.stat()) if file and file.is_file() else None
    except OSError:  # a name that is too long, say
        return None


def read_below(name: str, folder: Path, path: str, into: Sink, since: str) -> Receipt | None:
    """`Source.fetch` for a file below `folder`, which must be resolved, and never for one outside, whatever links say.
    `name` is the source's. Raises FetchError."""
    file = inside(folder, path)
    if file is None:
        raise fetch_error(name, f"{path} is not inside {folder}", "Copy the photo into the folder itself.", "address")
    try:
        if not stat.S_ISREG(file.stat().st_mode):  # before it is opened: a pipe would make us wait for ever
            raise fetch_error(name, f"{file} is not a file", "Put the photo itself there.", "gone")
        opened = file.open("rb")
    except OSError as error:
        raise _unreadable(name, file, error) from error
    with opened:
        stamp = file_stamp(os.fstat(opened.fileno()))
        if stamp == since:
            return None
        for chunk in _chunks(name, file, opened):
            into.write(chunk)
        if file_stamp(os.fstat(opened.fileno())) != stamp:
            raise fetch_error(name, f"{file} changed while it was read", "It is tried again next time.", "changed")
    return Receipt(stamp)


def _chunks(name: str, file: Path, opened: BinaryIO) -> Iterator[bytes]:
    """The bytes of a file. Only errors of reading are met here: those of writing are the sink's to explain."""
    try:
        while chunk := opened.read(_CHUNK):
            yield chunk
    except OSError as error:
        raise _unreadable(name, file, error) from error


def _unreadable(name: str, file: Path, error: OSError) -> FetchError:
    if isinstance(error, FileNotFoundError):
        return fetch_error(name, f"{file} is gone", "Nothing needs doing if that was meant.", "gone")
    return fetch_error(
        name, f"{file} cannot be read: {error.strerror or error}", "Check its permissions, and the disk."
    )
