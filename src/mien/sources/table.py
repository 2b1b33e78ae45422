"""Tables of people and photos: CSV or JSON Lines, a line a row."""

from __future__ import annotations

import codecs
import csv
import json
import os
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping, Sequence
from itertools import chain
from pathlib import Path
from typing import TextIO

from mien.errors import FetchError
from mien.parsing.markup import tidy
from mien.sources.common import as_on_disk, fetch_error, source_error
from mien.sources.lists import people_listed
from mien.text.fetching import FetchFault, SourceFault
from mien.text.words import listed

_LONGEST_LINE = 65_536
"""Letters in a line."""

_CORRECT = "Correct that line."


def open_table(name: str, file: Path) -> TextIO:
    """A file for `table_rows`. `name` is the source's. Raises SourceError."""
    try:
        with file.open("rb") as opened:
            begin = opened.read(4)
        return file.open(encoding=encoding_of(begin), errors="replace")
    except OSError as error:
        what = f"has a table that cannot be read: {file}: {error.strerror or error}"
        raise source_error(name, what, "Check the path.", SourceFault.UNLISTED) from error


def encoding_of(text: bytes, said: str | None = None) -> str:
    """The encoding of a table: UTF-8, or UTF-16 if it begins with that mark, as spreadsheets write it; that which a
    server `said` for bytes that are no UTF-8."""
    if text.startswith((BOM_UTF16_LE, BOM_UTF16_BE)):
        return "utf-16"
    try:
        if said and codecs.lookup(said)._is_text_encoding:
            text.decode("utf-8-sig")
    except LookupError:
        pass
    except UnicodeDecodeError:
        return said or "utf-8-sig"
    return "utf-8-sig"


def path_of(folder: Path, value: object) -> str:
    """The path that a row gives, relative to `folder`, as it is written on disk. Where no such file is there, a
    backslash is what it is on Windows."""
    path = value.strip() if isinstance(value, str) else ""
    if "\\" in path and not os.path.lexists(folder / path):
        path = path.replace("\\", "/")
    return as_on_disk(folder, Path(path).as_posix())


def table_rows(
    name: str, where: str, text: TextIO, *needed: tuple[str, ...]
) -> Iterator[tuple[int, dict[str, object]] | FetchError]:
    """(number of the line, its values by column) for each line of a CSV or JSON Lines `text`, an error for a bad one.

    A line is a row: no value holds a line break, so that a lost quotation mark costs one line and not the rest. CSV
    begins with the names of its columns, and is separated by commas, semicolons or tabs. `needed` are columns, each
    with others that will do instead. `name` is the source's, `where` what the table is called in errors. Raises
    SourceError.
    """
    columns: list[str] = []
    separator = ","
    known = {"licence", "name", *chain(*needed)}
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
            if twice := next((title for title in columns if title in known and columns.count(title) > 1), None):
                what = f"has a table with two columns {twice}, of which one would be ignored: {where}"
                raise source_error(name, what, "Take one of them out, or rename it.", SourceFault.UNLISTED)
            for names in needed:
                if not set(names) & set(columns):
                    what = f"has a table without a column {listed(names, 'or')}: {where}"
                    remedy = "Write the names of the columns into the first line of the table."
                    raise source_error(name, what, remedy, SourceFault.UNLISTED)


def person_of(row: Mapping[str, object]) -> tuple[str, tuple[str, ...]]:
    """Whom a row names, and the names in that where it may be a list; JSON may have one as such."""
    person = row.get("person")
    if isinstance(person, list):
        names = tuple(filter(None, map(tidy, person)))
        return ", ".join(names), names if len(names) > 1 else ()
    return tidy(person), people_listed(person, prose=False) if isinstance(person, str) else ()


def _column(title: str) -> str:
    title = title.strip().lower()
    return "licence" if title == "license" else title


def _lines(name: str, where: str, text: TextIO) -> Iterator[tuple[int, str | FetchError]]:
    """The lines that are not blank, by number, each as one line of bounded length."""
    number = 0
    try:
        while line := text.readline(_LONGEST_LINE):
            number += 1
            wrong = "is not UTF-8" if "\ufffd" in line else ""  # decoding puts this letter for bytes that are not
            while not line.endswith("\n") and (more := text.readline(_LONGEST_LINE)):
                wrong, line = "is too long", more
            if wrong:
                yield number, fetch_error(name, f"has a line that {wrong}: line {number} of {where}", _CORRECT)
            elif line.strip():
                yield number, line.strip()
    except OSError as error:
        what = f"has a table that cannot be read: {where}: {error.strerror or error}"
        raise source_error(name, what, "Check the disk.", SourceFault.UNLISTED) from error


def _json_row(name: str, where: str, number: int, line: str) -> tuple[int, dict[str, object]] | FetchError:
    try:
        return number, json.loads(line, object_pairs_hook=_row)
    except _TwiceError as error:
        return fetch_error(name, f"has a line with two values for {error}: {where}", _CORRECT, FetchFault.PERSON)
    except (ValueError, RecursionError) as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "what it holds is not for a table"
        return fetch_error(name, f"has a line that is no JSON object: {where}: {reason}", _CORRECT)


def _row(pairs: Sequence[tuple[str, object]]) -> dict[str, object]:
    """An object of JSON by columns; null is no value, and a number its digits. Raises _TwiceError for two values of one
    column, of which one would be ignored."""
    row: dict[str, object] = {}
    for key, given in pairs:
        number = isinstance(given, (int, float)) and not isinstance(given, bool)
        value = str(given) if number else given
        if value is None:
            continue
        if row.setdefault(_column(key), value) != value:
            raise _TwiceError(_column(key))
    return row


class _TwiceError(ValueError):
    """A column has two values in one row."""


def _csv_row(
    name: str, where: str, number: int, line: str, columns: Sequence[str], separator: str
) -> tuple[int, dict[str, object]] | FetchError:
    try:
        values = next(csv.reader([line], delimiter=separator, strict=True))
    except csv.Error as error:
        what = f"has a line that is no row of a CSV: {where}: {error}"
        return fetch_error(name, what, "Correct that line: mind the quotation marks.")
    if len(values) > len(columns):
        what = f"has a line of {len(values)} values for {len(columns)} columns: {where}"
        return fetch_error(name, what, "Put a value that holds a separator into quotation marks.")
    return number, dict(zip(columns, values, strict=False))
