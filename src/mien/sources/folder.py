"""A folder on disk: a drop folder, or an archive. Who is in a photo is said by where it lies, or by a table."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from mien.errors import FetchError
from mien.protocols import Sink, Source, Web
from mien.sources import (
    PERSONS_FOLDERS,
    Options,
    PathPattern,
    fetch_error,
    file_name,
    file_stamp,
    inside,
    offered,
    open_table,
    path_pattern,
    person_in,
    read_below,
    read_options,
    source_error,
    stamp_inside,
    table_rows,
    tidy,
)
from mien.text.names import BESIDE_PHOTOS
from mien.types import Offer, Receipt
from mien.vision.sniff import kind_of_name


class FolderOptions(Options):
    path: str = Field(min_length=1, description='The folder, relative to the album, say "../drop".')
    pattern: PathPattern = Field(
        default="",
        description='Paths of photos in it, say "{person}/*.jpg"; {person} once, * any text in a part, ** any parts.',
    )
    table: str = Field(
        default="",
        description='A CSV file in it with the columns file and person, say "photos.csv"; licence may follow.',
    )

    @model_validator(mode="after")
    def _one_way_to_say_who(self) -> FolderOptions:
        if self.pattern and self.table:
            raise ValueError("pattern and table cannot both say who is in a photo")
        return self


def open_source(name: str, options: Mapping[str, object], web: Web, album: Path) -> Source:
    """A source that is a folder on disk. Raises SourceError."""
    chosen = read_options(FolderOptions, name, options)
    folder = (album / Path(chosen.path).expanduser()).resolve()
    if chosen.table:
        return _Table(name, folder, chosen.table)
    return _Tree(name, folder, path_pattern(chosen.pattern or PERSONS_FOLDERS), strict=not chosen.pattern)


@dataclass(frozen=True, slots=True)
class _Tree:
    """A folder whose paths say who is in a photo. A photo that `pattern` does not match is none of the source's, except
    that with `strict` there is something to say about it."""

    name: str
    folder: Path
    pattern: re.Pattern[str]
    strict: bool

    def offers(self) -> Iterator[Offer | FetchError]:
        """In order of name, folder by folder."""
        _require(self.name, self.folder)
        strays = 0
        for found in _walk(self.name, self.folder):
            if isinstance(found, FetchError):
                yield found
                continue
            path, stamp = found
            person = person_in(self.pattern, path)
            if person:
                yield offered(self.name, Offer(path, person, file_name(path), stamp))
            strays += not person
        if strays and self.strict:
            what = f"{strays} photo{'s lie' if strays > 1 else ' lies'} in no person's folder in {self.folder}"
            yield fetch_error(self.name, what, f"Put photos into {self.folder / '<person>'}.", "person")

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return read_below(self.name, self.folder, offer.location, into, since)


@dataclass(frozen=True, slots=True)
class _Table:
    """A folder with a CSV file that says who is in a photo."""

    name: str
    folder: Path
    table: str

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the table."""
        _require(self.name, self.folder)
        file = inside(self.folder, self.table)
        if file is None:
            raise source_error(self.name, f"{self.table} is not in {self.folder}", "Put the table into the folder.")
        seen: set[str] = set()
        with open_table(self.name, file) as text:
            for row in table_rows(self.name, str(file), text, ("file",), ("person",)):
                yield row if isinstance(row, FetchError) else self._offer(f"line {row[0]} of {file}", row[1], seen)

    def _offer(self, where: str, row: Mapping[str, object], seen: set[str]) -> Offer | FetchError:
        path = Path(str(row.get("file") or "").strip()).as_posix()
        stamp = stamp_inside(self.folder, path)
        if stamp is None:
            return fetch_error(
                self.name, f"{where} names a file that is not in {self.folder}: {path}", "Correct it.", "gone"
            )
        if path in seen:
            return fetch_error(self.name, f"{where} names {path} a second time", "Keep one line a photo.", "person")
        seen.add(path)
        person, licence = tidy(row.get("person")), tidy(row.get("licence"))
        return offered(self.name, Offer(path, person, file_name(path), stamp, licence))

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return read_below(self.name, self.folder, offer.location, into, since)


def _require(name: str, folder: Path) -> None:
    """A network drive that is not connected is not a folder whose photos are all gone."""
    if not folder.is_dir():
        raise source_error(name, f"there is no folder {folder}", "Connect its drive, or correct path in mien.toml.")


def _walk(name: str, top: Path) -> Iterator[tuple[str, str] | FetchError]:
    """(path below `top`, stamp) of every photo by name, depth first in order of name."""
    folders = [top]
    while folders:
        folder = folders.pop()
        try:
            entries = sorted(os.scandir(folder), key=lambda entry: entry.name)
        except OSError as error:
            yield fetch_error(name, f"{folder} cannot be read: {error.strerror}", "Check its permissions.")
            continue
        below = []
        for entry in entries:
            if entry.name.startswith(".") or entry.name in BESIDE_PHOTOS:
                continue
            path = Path(entry.path)
            try:
                if entry.is_dir():
                    if inside(top, entry.path) == path:  # else a link, or a junction of Windows, that leads elsewhere
                        below.append(path)
                elif kind_of_name(entry.name) == "photo" and entry.is_file() and _is_inside(top, entry):
                    yield _unicode(path.relative_to(top).as_posix()), file_stamp(path.stat())
            except UnicodeEncodeError:
                shown = entry.path.encode(errors="replace").decode()
                yield fetch_error(name, f"the name of {shown} is not Unicode", "Rename the file.")
            except OSError as error:
                yield fetch_error(name, f"{path} cannot be read: {error.strerror}", "Check its permissions.")
        folders += reversed(below)


def _is_inside(top: Path, entry: os.DirEntry[str]) -> bool:
    return not entry.is_symlink() or inside(top, entry.path) is not None


def _unicode(path: str) -> str:
    path.encode()  # raises UnicodeEncodeError for the stray bytes that a file system lets through
    return path
