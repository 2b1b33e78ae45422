r"""A dump of CompreFace's database: its subjects and their pictures, read from the SQL that `pg_dump` writes.

The tables, as CompreFace's Liquibase changelogs make them (java/admin, db.changelog-0.1.7.yaml: create-subject-table,
create-img-table, create-embedding-table; java/common, entity/Model.java and App.java):

    app        id bigint, name
    model      id bigint, name, api_key varchar(36), app_id bigint
    subject    id uuid, api_key varchar(36), subject_name varchar(255)
    img        id uuid, content bytea
    embedding  id uuid, subject_id uuid, embedding float8[], calculator, img_id uuid, null where no picture was saved

The rows of a table stand between `COPY public.img (id, content) FROM stdin;` and `\.`, a line each, its values parted
by tabs (PostgreSQL's manual, COPY, "Text Format"); bytes are \\x and hex digits. The file is read once from end to end,
a line at a time and none of it longer than bounds allow; of a picture only its place is kept until it is fetched.
"""

from __future__ import annotations

import binascii
import gzip
import os
import re
import tempfile
import threading
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, NamedTuple

from mien.errors import FetchError, SourceError
from mien.protocols import Sink
from mien.sources.common import fetch_error, offered, source_error
from mien.text.fetching import FetchFault, SourceFault
from mien.text.words import listed
from mien.types import Offer, Receipt

TABLES = {
    "app": ("id", "name"),
    "model": ("name", "api_key", "app_id"),
    "subject": ("id", "api_key", "subject_name"),
    "img": ("id", "content"),
    "embedding": ("id", "subject_id", "img_id"),
}
"""The tables that are read, and the columns that they must have."""

LONGEST_LINE = 1 << 20
"""Bytes of a line that are read, but for those of a picture: an embedding of 512 numbers takes twelve thousand."""

MOST_ROWS = 10_000_000
"""Rows of a table that are kept."""

MOST_TIMES, FREE = 100, 64 << 20
"""A packed dump may be so many times larger unpacked, beside some bytes that are free: pictures in hex digits and
numbers as text become three times larger, and an archive that was made to fill the disk a thousand times."""

_PIECE = 1 << 18

_REMEDY = "Make it by: pg_dump -U postgres -f dump.sql frs"


@dataclass(frozen=True, slots=True)
class Collection:
    """The subjects of one recognition service: its `name` and its application's, its `key`, how many `subjects`, and
    how many `pictures` of these were saved."""

    name: str
    app: str
    key: str
    subjects: int
    pictures: int

    @property
    def label(self) -> str:
        """What it is called in a message; the key, which opens it, is not shown whole."""
        called = f'"{self.name}"' if self.name else f"{self.key[:8]}…"
        return (
            f"{called}{f' of {self.app}' if self.app else ''} ({self.subjects:,} subjects, {self.pictures:,} pictures)"
        )


class _Place(NamedTuple):
    """Where the hex digits of a picture begin in the dump, and how many there are; -1 for bytes written otherwise."""

    offset: int
    digits: int


@dataclass(slots=True)
class Dump:
    """The `Source` of one collection in the dump `file`: the one called `wanted`, by name or key, or the only one whose
    pictures were saved. A packed dump is unpacked into a nameless file in the folder `scratch`, which goes with the
    process. `unsaved` are the pictures of the collection that CompreFace did not keep. Close it after use."""

    name: str
    file: Path
    wanted: str
    scratch: Path
    unsaved: set[str] = field(default_factory=set)
    _dump: BinaryIO | None = None
    _places: dict[str, _Place] = field(default_factory=dict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def close(self) -> None:
        """Closes the dump."""
        if self._dump is not None:
            self._dump.close()

    def offers(self) -> Iterator[Offer | FetchError]:
        """In the order of the table `embedding`. Raises SourceError for what is no such dump, and where it has several
        collections and none of them is wanted."""
        self._dump = _opened(self.name, self.file, self.scratch)
        tables = _read(self.name, self._dump)
        key = _chosen(self.name, self.file, self.wanted, tables)
        told: set[bytes] = set()
        for embedding, subject, img in tables.embeddings:
            its_key, its_name = tables.subjects.get(subject, (b"", b""))
            if its_key != key:
                continue
            location, place = embedding.decode(), tables.images.get(img)
            if place is None:
                self.unsaved.add(location)
                continue
            self._places[location] = place
            try:
                yield offered(self.name, Offer(location, its_name.decode(), location, stamp=location))
            except UnicodeDecodeError:
                if subject not in told:
                    told.add(subject)
                    what = f"has a subject whose name is no UTF-8: {ascii(its_name)[:60]}"
                    yield fetch_error(self.name, what, "Make the dump with --encoding=UTF8.", FetchFault.PERSON)
        if tables.is_cut_off:
            what = f"ends in the middle of a table: {self.file}"
            yield fetch_error(self.name, what, f"What comes before that is read. {_REMEDY}")

    def fetch(self, offer: Offer, into: Sink, since: str) -> Receipt | None:
        """The picture as it was uploaded."""
        place, dump = self._places[offer.location], self._dump
        if place.digits < 0 or place.digits % 2 or dump is None:
            what = f"has the picture {offer.location} in another form than hex digits"
            raise fetch_error(self.name, what, "Make the dump with PostgreSQL's setting bytea_output = hex.")
        for start in range(0, place.digits, _PIECE):
            with self._lock:
                dump.seek(place.offset + start)
                digits = dump.read(min(_PIECE, place.digits - start))
            try:
                into.write(binascii.unhexlify(digits))
            except binascii.Error as error:
                what = f"has the picture {offer.location} damaged: it is not all hex digits"
                raise fetch_error(self.name, what, _REMEDY) from error
        return Receipt(offer.stamp)


# The file


def _opened(name: str, file: Path, scratch: Path) -> BinaryIO:
    """The dump as plain text, from its beginning. Raises SourceError for what is none by its first bytes."""
    try:
        opened = file.open("rb")
        first = opened.read(512)
        opened.seek(0)
    except OSError as error:
        what = f"cannot be read from {file}: {error.strerror or error}"
        raise source_error(name, what, "Check the path, and its permissions.", SourceFault.UNLISTED) from error
    if first.startswith(b"\x1f\x8b"):
        with opened:
            return _unpacked(name, file, opened, scratch)
    if first.startswith((b"PGDMP", b"toc.dat\0")):
        opened.close()
        what = f"cannot be read from {file}, which is in pg_dump's own form"
        raise source_error(name, what, f"Turn it into SQL: pg_restore -f dump.sql {file.name}", SourceFault.UNLISTED)
    if first.startswith((b"\xff\xfe", b"\xfe\xff")):
        opened.close()
        what = f"cannot be read from {file}, which is in UTF-16: PowerShell's > has changed its letters"
        raise source_error(name, what, _REMEDY, SourceFault.UNLISTED)
    return opened


def _unpacked(name: str, file: Path, packed: BinaryIO, scratch: Path) -> BinaryIO:
    """The text that gzip has packed, in a file without a name. Raises SourceError."""
    most = FREE + MOST_TIMES * os.fstat(packed.fileno()).st_size
    plain = tempfile.TemporaryFile(dir=scratch)  # noqa: SIM115 - whoever reads it closes it
    try:
        with gzip.open(packed) as text:
            while piece := text.read(_PIECE):
                plain.write(piece)
                if plain.tell() > most:
                    what = f"cannot be read from {file}, which becomes more than {MOST_TIMES} times larger unpacked"
                    raise source_error(name, what, "Unpack it yourself if it is right.", SourceFault.UNLISTED)
    except (OSError, EOFError, zlib.error) as error:
        plain.close()
        what = f"cannot be unpacked from {file}: {error}"
        raise source_error(name, what, "Make it again, or unpack it yourself.", SourceFault.UNLISTED) from error
    except SourceError:
        plain.close()
        raise
    plain.seek(0)
    return plain


# Its tables


@dataclass(slots=True)
class _Tables:
    """What the tables say: applications by id, (name, application) of services by key, (key, name) of subjects by id,
    the places of pictures by id, and (id, subject, img) of embeddings."""

    apps: dict[bytes, bytes] = field(default_factory=dict)
    models: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    subjects: dict[bytes, tuple[bytes, bytes]] = field(default_factory=dict)
    images: dict[bytes, _Place] = field(default_factory=dict)
    embeddings: list[tuple[bytes, bytes, bytes]] = field(default_factory=list)
    there: set[str] = field(default_factory=set)
    is_cut_off: bool = False

    @property
    def rows(self) -> int:
        by_id = len(self.apps) + len(self.models) + len(self.subjects) + len(self.images)
        return by_id + len(self.embeddings)


_COPY = re.compile(rb'COPY (?:"?\w+"?\.)?"?(\w+)"? \(([^)]*)\) FROM stdin;\s*')
_UUID = re.compile(rb"[0-9a-fA-F]{8}(-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}")
_NULL = b"\\N"


def _read(name: str, dump: BinaryIO) -> _Tables:
    """All tables. Raises SourceError for a text that has not those of CompreFace."""
    tables, other = _Tables(), set[str]()
    while line := _line(dump, LONGEST_LINE):
        if found := _COPY.fullmatch(line):
            table = found[1].decode()
            columns = [one.strip().strip(b'"').decode(errors="replace") for one in found[2].split(b",")]
            if _is_read(table, columns):
                tables.there.add(table)
                tables.is_cut_off |= not _rows(name, dump, tables, table, columns)
            else:
                other.add(table)
                while (row := _line(dump, LONGEST_LINE)) and row.rstrip() != b"\\.":
                    pass
        elif line.startswith(b"INSERT INTO"):
            other.add("INSERT")
    missing = {"subject", "embedding", "img"} - tables.there
    if missing and tables.is_cut_off:
        raise source_error(name, "ends in the middle of a table", _REMEDY, SourceFault.UNLISTED)
    if missing:
        what = f"holds no table {listed(sorted(missing), 'and no')} with CompreFace's columns, as COPY writes them"
        remedy = f"{_REMEDY} (frs is CompreFace's database)."
        if "face" in other:
            remedy = (
                "It is of an old CompreFace: start the last one with it once, which changes the tables, and dump it"
            )
            remedy += " again."
        elif "INSERT" in other:
            remedy = "Make it without --inserts and --column-inserts."
        raise source_error(name, what, remedy, SourceFault.UNLISTED)
    return tables


def _is_read(table: str, columns: list[str]) -> bool:
    """Whether the rows of a table with these columns are read."""
    wanted = TABLES.get(table, ())
    return columns == [*wanted] if table == "img" else bool(wanted) and {*wanted} <= {*columns}


def _line(dump: BinaryIO, most: int) -> bytes:
    """The next line; of one that is longer than `most` bytes, so many, and the rest is passed over."""
    line = rest = dump.readline(most)
    while rest and not rest.endswith(b"\n"):
        rest = dump.readline(_PIECE)
    return line


def _rows(name: str, dump: BinaryIO, tables: _Tables, table: str, columns: list[str]) -> bool:
    """Reads the rows of a table; whether it came to its end. Raises SourceError where they are too many."""
    if table == "img":
        return _pictures(name, dump, tables)
    at = {column: columns.index(column) for column in TABLES[table]}
    while line := _line(dump, LONGEST_LINE):
        if line.rstrip() == b"\\.":
            return True
        values = [_plain(value) for value in line.rstrip(b"\r\n").split(b"\t")]
        if len(values) != len(columns):
            continue
        row = [values[at[column]] for column in TABLES[table]]
        match table:
            case "app":
                tables.apps[row[0]] = row[1]
            case "model":
                tables.models[row[1]] = row[0], row[2]
            case "subject":
                tables.subjects[row[0]] = row[1], row[2]
            case _ if _UUID.fullmatch(row[0]):
                tables.embeddings.append((row[0].lower(), row[1], row[2]))
        _require_few(name, tables)
    return False


def _pictures(name: str, dump: BinaryIO, tables: _Tables) -> bool:
    """Notes where the pictures lie; whether the table came to its end."""
    while True:
        start = dump.tell()
        head = rest = dump.readline(_HEAD)
        while rest and not rest.endswith(b"\n"):
            rest = dump.readline(_PIECE)
        if not head or head.rstrip() == b"\\.":
            return bool(head)
        img, tab, content = head.partition(b"\t")
        if tab and _UUID.fullmatch(img):
            offset = start + len(img) + len(tab) + len(_HEX)
            end = dump.tell() - (len(rest) - len(rest.rstrip(b"\r\n")))
            tables.images[img] = _Place(offset, end - offset if content.startswith(_HEX) else -1)
        _require_few(name, tables)


_HEAD = 200
"""Bytes of a line of the table `img` in which its id and the beginning of the picture stand."""
_HEX = b"\\\\x"
"""How bytes in hex digits begin in a row."""


def _require_few(name: str, tables: _Tables) -> None:
    if tables.rows > MOST_ROWS:
        what = f"has more than {MOST_ROWS:,} rows, which are more than mien keeps in mind"
        raise source_error(name, what, "Dump one collection at a time.", SourceFault.UNLISTED)


_ESCAPED = re.compile(rb"\\(?:x([0-9a-fA-F]{1,2})|([0-7]{1,3})|(.))", re.DOTALL)
_LETTERS = {b"b": b"\b", b"f": b"\f", b"n": b"\n", b"r": b"\r", b"t": b"\t", b"v": b"\v"}


def _plain(value: bytes) -> bytes:
    """A value of a row, its escapes undone; b"" for null, as no column that is read may be empty."""
    if value == _NULL:
        return b""

    def undone(found: re.Match[bytes]) -> bytes:
        if found[1] or found[2]:
            return bytes([int(found[1] or found[2], 16 if found[1] else 8) & 0xFF])
        return _LETTERS.get(found[3], found[3])

    return _ESCAPED.sub(undone, value) if b"\\" in value else value


# Its collections


def collections(tables: _Tables) -> list[Collection]:
    """Those that have a subject, by name."""
    subjects = Counter(key for key, _ in tables.subjects.values())
    pictures: Counter[bytes] = Counter()
    for _, subject, img in tables.embeddings:
        if img in tables.images and subject in tables.subjects:
            pictures[tables.subjects[subject][0]] += 1
    found = []
    for key, number in subjects.items():
        name, app = tables.models.get(key, (b"", b""))
        called, of, its_key = (one.decode(errors="replace") for one in (name, tables.apps.get(app, b""), key))
        found.append(Collection(called, of, its_key, number, pictures[key]))
    return sorted(found, key=lambda one: (one.name, one.key))


def _chosen(name: str, file: Path, wanted: str, tables: _Tables) -> bytes:
    """The key of the collection that is wanted. Raises SourceError."""
    every = collections(tables)
    named = "; ".join(one.label for one in every[:SHOWN]) or "none"
    found = [one for one in every if (wanted in (one.name, one.key) if wanted else one.pictures)]
    if len(found) == 1:
        return found[0].key.encode()
    if wanted and not found:
        what = f"has no collection {wanted!r} in {file}"
    elif wanted:
        what = f"has {len(found)} collections {wanted!r} in {file}"
    elif not found:
        what = (
            f"has no picture in {file}: CompreFace was set to save none, and embeddings of another encoder are no use"
        )
        raise source_error(name, what, "Import the photos from where they were uploaded.", SourceFault.UNLISTED)
    else:
        what = f"has several collections in {file}"
    remedy = f"Name one by --collection, by its name, or by its key where two have one name. There are: {named}."
    raise source_error(name, what, remedy, SourceFault.UNLISTED)


SHOWN = 10
"""Collections named in a message."""
