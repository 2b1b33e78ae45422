"""A folder on disk: a drop folder, or an archive. The path of a photo says who is in it, or a table does."""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from pydantic import Field, model_validator

from mien.errors import FetchError, StorageError
from mien.parsing.markup import tidy
from mien.protocols import Sink, Source, Web
from mien.sources.common import (
    Options,
    fetch_error,
    file_name,
    file_stamp,
    inside,
    offered,
    read_below,
    read_options,
    source_error,
    stamp_inside,
)
from mien.sources.lists import people_listed
from mien.sources.patterns import PERSONS_FOLDERS, PathPattern, names_file, path_pattern, person_in
from mien.sources.table import open_table, path_of, person_of, table_rows
from mien.storage.files import is_folder
from mien.text.fetching import FetchFault, SourceFault
from mien.text.system_folders import is_of_cameras, is_of_systems
from mien.text.words import count
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
    pattern = path_pattern(chosen.pattern or PERSONS_FOLDERS)
    return _Tree(name, folder, pattern, strict=not chosen.pattern, in_files=names_file(chosen.pattern))


@dataclass(frozen=True, slots=True)
class _Tree:
    """A folder in which the path of a photo says who is in it, by `pattern`. Photos that the pattern does not match are
    reported if `strict`, and passed over otherwise. A folder's name is one person's; `in_files` are names of files,
    which may list several."""

    name: str
    folder: Path
    pattern: re.Pattern[str]
    strict: bool
    in_files: bool

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
            if self.strict and person and is_of_cameras(person):
                person = None
            if person:
                several = people_listed(person, prose=False) if self.in_files else ()
                yield offered(self.name, Offer(path, person, file_name(path), stamp, listed=several))
            strays += not person
        if strays and self.strict:
            what = f"has {count(strays, 'photo')} in no person's folder in {self.folder}"
            yield fetch_error(self.name, what, f"Put photos into {self.folder / '<person>'}.", FetchFault.PERSON)

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
            what = f"has a table that is not in {self.folder}: {self.table}"
            raise source_error(self.name, what, "Put the table into the folder.", SourceFault.OPTIONS)
        seen: set[str] = set()
        with open_table(self.name, file) as text:
            for row in table_rows(self.name, str(file), text, ("file",), ("person",)):
                yield row if isinstance(row, FetchError) else self._offer(f"line {row[0]} of {file}", row[1], seen)

    def _offer(self, where: str, row: Mapping[str, object], seen: set[str]) -> Offer | FetchError:
        path = path_of(self.folder, row.get("file"))
        stamp = stamp_inside(self.name, self.folder, path)
        if isinstance(stamp, FetchError):
            return stamp
        if stamp is None:
            what = f"names, in {where}, a file that is not in {self.folder}: {path}"
            return fetch_error(self.name, what, "Correct it, or put the file there.", FetchFault.GONE)
        if path in seen:
            what = f"names {path} a second time, in {where}"
            return fetch_error(self.name, what, "Keep one line a photo.", FetchFault.PERSON)
        seen.add(path)
        person, several = person_of(row)
        return offered(self.name, Offer(path, person, file_name(path), stamp, tidy(row.get("licence")), several))

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        return read_below(self.name, self.folder, offer.location, into, since)


def _require(name: str, folder: Path) -> None:
    """Raises SourceError if the folder is not there: its drive may not be connected, so its photos are not gone."""
    remedy = "Connect its drive, or correct path in mien.toml."
    try:
        if not is_folder(folder):
            raise source_error(name, f"cannot find its folder {folder}", remedy, SourceFault.UNLISTED)
    except StorageError as error:
        what = f"cannot look into its folder: {error.about} {error.what}"
        raise source_error(name, what, error.remedy, SourceFault.UNLISTED) from error


def _walk(name: str, top: Path) -> Iterator[tuple[str, str] | FetchError]:
    """(path below `top`, stamp) of every photo by name, folder by folder in order of name; an error for each folder
    and photo that cannot be read. Links to folders are not followed, nor links that lead out of `top`."""
    unread: list[OSError] = []
    for here, folders, files in os.walk(top, onerror=unread.append):
        kept = [each for each in sorted(folders) if not is_of_systems(each)]
        folders[:] = [each for each in kept if inside(top, str(Path(here, each))) == Path(here, each)]
        for file in sorted(files):
            if is_of_systems(file) or kind_of_name(file) != "photo":
                continue
            path = Path(here, file)
            below = path.relative_to(top).as_posix()
            try:
                below.encode()
                found = path.lstat()
            except UnicodeEncodeError:
                shown = below.encode(errors="replace").decode()
                yield fetch_error(name, f"has a photo whose name is not Unicode: {shown}", "Rename the file.")
            except OSError as error:
                unread.append(error)
            else:
                stamp = file_stamp(found) if stat.S_ISREG(found.st_mode) else stamp_inside(name, top, below)
                if isinstance(stamp, FetchError):
                    yield stamp
                elif stamp is not None:
                    yield below, stamp
    for each in unread:
        what = f"cannot read {each.filename}: {each.strerror}"
        yield fetch_error(name, what, "Check its permissions.")
