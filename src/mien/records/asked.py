"""Photos that mien was only asked about: what was seen in each, so that asking again costs reading and hashing alone.

They have a file of their own beside the catalog, catalog-asked.sqlite, by the SHA-256 of the photo's bytes and the id
of the encoder. No name and no path stands in it. It needs no SQLAlchemy, whose loading takes a fifth of the time of
`mien classify` of one photo, and no lock of the album, as who only asks must not wait for a run of the night: SQLite
has several processes write it at once.

A row is kept for a number of days after its photo was seen, however often it is asked about, and the oldest go where
the rows take more than a number of megabytes. What is deleted is overwritten. All of it can be seen again in the
photos: a row that is not what mien wrote counts as none, and so does a file that SQLite finds damaged.
"""

from __future__ import annotations

import contextlib
import json
import sqlite3
import threading
import time
import zlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, Self

import numpy as np

from mien.errors import PhotoError, StorageError
from mien.storage.files import is_there, make_folder, remove_file
from mien.storage.private import private_file
from mien.text.photos import PhotoFault
from mien.text.retries import DOUBTFUL, MENDABLE, TWICE
from mien.types import Embedding, Face, Floats, Photo, Quality, SeenFace, SeenPhoto

APPLICATION: Final = int.from_bytes(b"mieq", "big")
"""Marks the file as mien's: what another program keeps in a file of this name is left alone."""
VERSION: Final = 1
"""Of the tables and of what a row holds; rows of another are forgotten."""

DAY: Final = 86_400
MEGABYTE: Final = 1_000_000
BUSY_SECONDS: Final = 10
"""How long one run waits for another's transaction."""
AT_ONCE: Final = 100
"""Rows deleted at a time until the others have room."""

_TABLES: Final = (
    "CREATE TABLE IF NOT EXISTS asked (id INTEGER PRIMARY KEY, sha256 TEXT NOT NULL, encoder TEXT NOT NULL, "
    "seen_at INTEGER NOT NULL, seen BLOB NOT NULL, checksum INTEGER NOT NULL, UNIQUE (sha256, encoder))",
    "CREATE INDEX IF NOT EXISTS asked_seen_at ON asked (seen_at)",
    # A photo that is being looked at; the row of one that was seen goes, and those that a killed run had begun stay.
    "CREATE TABLE IF NOT EXISTS begun (sha256 TEXT PRIMARY KEY, at INTEGER NOT NULL) WITHOUT ROWID",
)


@dataclass(frozen=True, slots=True)
class Remembered:
    """How much is remembered of photos that were only asked about: of how many, in how many bytes, and when the one was
    seen that was seen first, in seconds since 1970; None for none."""

    photos: int
    bytes: int
    oldest: int | None


NOTHING: Final = Remembered(0, 0, None)


class AskedPhotos:
    """The remembered photos in an open file, which any number of threads may use. Whoever uses it may meet
    StorageError."""

    def __init__(self, file: Path, connection: sqlite3.Connection, writes: bool, days: int, most: int) -> None:
        self._file, self._connection, self.writes = file, connection, writes
        self._days, self._most = days, most
        self._lock = threading.RLock()
        self._opened_at = int(time.time())
        self._is_full = False

    @classmethod
    def open(cls, file: Path, days: int, megabytes: int) -> Self:
        """Opens the file, or makes it; where it cannot be written, it is opened to be read. What has been kept for so
        many days is deleted, and the oldest that is more than so many megabytes. Raises StorageError."""
        try:
            make_folder(file.parent)
            private_file(file)
            return cls._prepared(file, days, megabytes)
        except (StorageError, sqlite3.Error) as error:
            with contextlib.suppress(sqlite3.Error, StorageError):
                return cls._readable(file, days)
            raise error if isinstance(error, StorageError) else _as_error(file, error) from error

    @classmethod
    def _prepared(cls, file: Path, days: int, megabytes: int, again: bool = True) -> Self:
        connection = _connected(str(file))
        try:
            _recognise(connection, file)
            opened = cls(file, connection, True, days, megabytes * MEGABYTE)
            opened._tidy()
        except sqlite3.DatabaseError as error:
            connection.close()
            if again and _is_damaged(error) and _is_ours(file):
                _remove(file)
                private_file(file)
                return cls._prepared(file, days, megabytes, again=False)
            raise
        except BaseException:
            connection.close()
            raise
        return opened

    @classmethod
    def _readable(cls, file: Path, days: int) -> Self:
        connection = _connected(f"{file.absolute().as_uri()}?mode=ro", uri=True)
        try:
            versions = [connection.execute(f"PRAGMA {name}").fetchone() for name in ("application_id", "user_version")]
            if versions != [(APPLICATION,), (VERSION,)]:
                raise _foreign(file)
            return cls(file, connection, False, days, 0)
        except BaseException:
            connection.close()
            raise

    def recall(self, sha256: str, encoder: str, name: str, decoder: str) -> SeenPhoto | PhotoError | None:
        """What the encoder saw in the photo, or the fault of it as that of the photo which is called `name` now. None
        where that is not remembered, is too old, or may be another today (`mien.text.retries`), as with another
        `decoder`."""
        with self._border():
            row = self._row(sha256, encoder)
        if row is None:
            return None
        seen_at, seen = row
        now = time.time()
        if not now - self._days * DAY < seen_at < now + DAY:  # in a time still to come: the clock was wrong
            return None
        about, numbers = _unpacked(seen)
        if "fault" not in about:
            return _as_seen(sha256, encoder, about, numbers)
        again = about["fault"] in DOUBTFUL and about["times"] < TWICE
        if again or about["decoder"] != decoder:
            return None
        return PhotoError.restored(name, about["fault"], about["figures"], sha256)

    def keep(self, seen: SeenPhoto, encoder: str) -> None:
        """Remembers what the encoder saw in a photo, and that it is not being looked at any more."""
        self._write(seen.photo.sha256, encoder, _packed(_about(seen), _numbers(seen)))

    def keep_fault(self, sha256: str, encoder: str, error: PhotoError, decoder: str, lived: bool = True) -> None:
        """Remembers that the photo cannot be read by the `decoder`, unless that is no fault of the photo's own. Its
        mark stays where the process in which it was looked at has not `lived`."""
        fault, figures = error.stored()
        if error.fault in MENDABLE or error.fault is PhotoFault.TOOL:
            if lived:
                self.finish(sha256)
            return
        with self._border():
            row = self._row(sha256, encoder)
        before: Mapping[str, Any] = _unpacked(row[1])[0] if row else {}
        is_same = (before.get("fault"), before.get("decoder")) == (fault, decoder)
        times = 1 + (before["times"] if is_same else 0)
        about = {"fault": fault, "figures": figures, "decoder": decoder, "times": times}
        self._write(sha256, encoder, _packed(about, b""), lived)

    def begin(self, sha256: str) -> None:
        """Marks a photo as being looked at. The mark stays where the process is stopped before `finish`, which the
        photo may have done."""
        if self.writes:
            with self._transaction() as connection:
                connection.execute("INSERT OR IGNORE INTO begun VALUES (?, ?)", (sha256, int(time.time())))

    def finish(self, sha256: str) -> None:
        """Unmarks a photo that was looked at, whatever came of it."""
        if self.writes:
            with self._transaction() as connection:
                connection.execute("DELETE FROM begun WHERE sha256 = ?", (sha256,))

    def begun(self) -> frozenset[str]:
        """The photos that are marked as being looked at; before anything is, those of a run that was stopped."""
        with self._border():
            return frozenset(sha256 for (sha256,) in self._connection.execute("SELECT sha256 FROM begun"))

    def forget(self, sha256s: Iterable[str]) -> int:
        """Forgets these photos; how many of them were remembered."""
        gone = 0
        with self._transaction(for_good=True) as connection:
            for sha256 in sha256s:
                gone += connection.execute("DELETE FROM asked WHERE sha256 = ?", (sha256,)).rowcount > 0
                connection.execute("DELETE FROM begun WHERE sha256 = ?", (sha256,))
        return gone

    def forget_all(self) -> int:
        """Forgets every photo, and makes the file small; how many were remembered."""
        gone = self.remembered().photos
        with self._transaction(for_good=True) as connection:
            connection.execute("DELETE FROM asked")
            connection.execute("DELETE FROM begun")
        with self._border():
            self._connection.execute("VACUUM")
        return gone

    def remembered(self) -> Remembered:
        """How much is remembered."""
        with self._border():
            query = "SELECT count(DISTINCT sha256), min(seen_at) FROM asked"
            photos, oldest = self._connection.execute(query).fetchone()
            return Remembered(photos, self._size() if photos else 0, oldest)

    @property
    def is_full(self) -> bool:
        """Whether some photo of this run was not remembered, as those before it take all the room."""
        return self._is_full

    def close(self) -> None:
        with self._lock:
            self._connection.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _row(self, sha256: str, encoder: str) -> tuple[int, bytes] | None:
        """When the photo was seen and what; None where that is not remembered, or not as it was written."""
        query = "SELECT seen_at, seen, checksum FROM asked WHERE sha256 = ? AND encoder = ?"
        found = self._connection.execute(query, (sha256, encoder)).fetchone()
        if found is None or not isinstance(found[0], int) or not isinstance(found[1], bytes):
            return None
        seen_at, seen, checksum = found
        return (seen_at, seen) if checksum == _checksum(sha256, encoder, seen_at, seen) else None

    def since(self, sha256: str) -> datetime | None:
        """Since when what was seen in a photo is remembered; None where nothing is."""
        now = int(time.time())
        kept = "SELECT min(seen_at) FROM asked WHERE sha256 = ? AND seen_at > ? AND seen_at < ?"
        with self._border():
            (first,) = self._connection.execute(kept, (sha256, now - self._days * DAY, now + DAY)).fetchone()
        return None if first is None else datetime.fromtimestamp(first, UTC)

    def _write(self, sha256: str, encoder: str, seen: bytes, lived: bool = True) -> None:
        if not self.writes:
            return
        now = int(time.time())
        with self._transaction() as connection:
            if self._has_room():
                connection.execute(
                    "INSERT OR REPLACE INTO asked (sha256, encoder, seen_at, seen, checksum) VALUES (?, ?, ?, ?, ?)",
                    (sha256, encoder, now, seen, _checksum(sha256, encoder, now, seen)),
                )
            else:
                self._is_full = True
            if lived:
                connection.execute("DELETE FROM begun WHERE sha256 = ?", (sha256,))

    def _has_room(self) -> bool:
        """Whether there is room for another photo, for which the oldest go. Those of this run stay, or a folder that is
        too large would be forgotten before it is asked about again."""
        return self._shrunk("seen_at < ?", (self._opened_at,))

    def _tidy(self) -> None:
        now = int(time.time())
        kept = (now - self._days * DAY, now + DAY)
        with self._transaction(for_good=True) as connection:
            connection.execute("DELETE FROM asked WHERE seen_at <= ? OR seen_at > ?", kept)
            connection.execute("DELETE FROM begun WHERE at <= ? OR at > ?", kept)
            self._shrunk("true", ())

    def _shrunk(self, which: str, values: Sequence[object]) -> bool:
        """Whether the rows take less than they may, for which the oldest of those go that meet a condition."""
        oldest = f"SELECT id FROM asked WHERE {which} ORDER BY seen_at LIMIT {AT_ONCE}"
        while self._size() >= self._most:
            if not self._connection.execute(f"DELETE FROM asked WHERE id IN ({oldest})", values).rowcount:
                return False
        return True

    def _size(self) -> int:
        """Bytes of the file that hold something."""
        pages, free, size = (
            int(self._connection.execute(f"PRAGMA {name}").fetchone()[0])
            for name in ("page_count", "freelist_count", "page_size")
        )
        return (pages - free) * size

    @contextlib.contextmanager
    def _transaction(self, for_good: bool = False) -> Iterator[sqlite3.Connection]:
        """A transaction that writes. One `for_good` has reached the disk when it ends; others a power cut may undo."""
        with self._border():
            self._connection.execute(f"PRAGMA synchronous = {'FULL' if for_good else 'OFF'}")
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
                self._connection.execute("COMMIT")
            except BaseException:
                with contextlib.suppress(sqlite3.Error):  # a full disk has rolled it back already
                    self._connection.execute("ROLLBACK")
                raise

    @contextlib.contextmanager
    def _border(self) -> Iterator[None]:
        """One thread at a time, and SQLite's errors as mien's."""
        with self._lock:
            try:
                yield
            except sqlite3.Error as error:
                raise _as_error(self._file, error) from error


def remembered(file: Path) -> Remembered:
    """How much the file remembers; nothing where there is none, or it is of no use. Changes nothing."""
    with contextlib.suppress(StorageError, sqlite3.Error, OSError):
        if file.is_file():
            with AskedPhotos._readable(file, 0) as asked:
                return asked.remembered()
    return NOTHING


def since(file: Path, days: int, sha256: str) -> datetime | None:
    """Since when what was seen in a photo is remembered, by whichever encoder first; None where nothing is that is not
    older than so many days. Changes nothing."""
    with contextlib.suppress(StorageError, sqlite3.Error, OSError):
        if file.is_file():
            with AskedPhotos._readable(file, days) as asked:
                return asked.since(sha256)
    return None


def tidy(file: Path, days: int, megabytes: int) -> None:
    """Deletes from the file, if there is one, what has been kept for so many days, and the oldest that is more than so
    many megabytes. A file that cannot be written stays as it is, for the next call."""
    with contextlib.suppress(StorageError, sqlite3.Error, OSError):
        if file.is_file():
            AskedPhotos._prepared(file, days, megabytes).close()


def forget(file: Path, sha256s: Iterable[str] | None = None) -> int:
    """Forgets these photos, or all; how many of them the file had. Raises StorageError where that cannot be done."""
    if not is_there(file):
        return 0
    try:
        with AskedPhotos._prepared(file, _NO_END, _NO_END) as asked:
            return asked.forget_all() if sha256s is None else asked.forget(sha256s)
    except sqlite3.Error as error:
        raise _as_error(file, error) from error


_NO_END: Final = 1_000_000
"""Days or megabytes that nothing reaches."""


def _connected(database: str, uri: bool = False) -> sqlite3.Connection:
    return sqlite3.connect(database, BUSY_SECONDS, uri=uri, isolation_level=None, check_same_thread=False)


def _recognise(connection: sqlite3.Connection, file: Path) -> None:
    """Makes the tables where there are none of this version. Raises StorageError for a file of another program."""
    for pragma in ("secure_delete = ON", "temp_store = MEMORY"):
        connection.execute(f"PRAGMA {pragma}")

    def asks(query: str) -> int:
        return int(connection.execute(query).fetchone()[0])

    connection.execute("BEGIN IMMEDIATE")
    try:
        is_blank = not asks("SELECT count(*) FROM sqlite_master")
        if not is_blank and asks("PRAGMA application_id") != APPLICATION:
            raise _foreign(file)
        if asks("PRAGMA user_version") != VERSION:
            for table in ("asked", "begun"):
                connection.execute(f"DROP TABLE IF EXISTS {table}")
            for query in _TABLES:
                connection.execute(query)
            connection.execute(f"PRAGMA application_id = {APPLICATION}")
            connection.execute(f"PRAGMA user_version = {VERSION}")
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(sqlite3.Error):
            connection.execute("ROLLBACK")
        raise


def _foreign(file: Path) -> StorageError:
    return StorageError(
        str(file), "is of another program, or of another version of mien", "Move it away, or remove it."
    )


_CORRUPT, _NO_DATABASE = 11, 26
"""SQLite's primary result codes for a damaged file, sqlite.org/rescode.html."""

_WHY: Final = {
    5: ("is in use by another run", "Wait until that is done, then try again."),
    8: ("cannot be written", "Give yourself write access to it."),
    _CORRUPT: ("is damaged", "Remove it: it only holds what can be seen again in photos."),
    13: ("cannot grow: the disk is full", "Free some space."),
    14: ("cannot be opened: permission denied, or its folder is gone", "Give yourself write access to it."),
    _NO_DATABASE: ("is no database, or is damaged", "Remove it: it only holds what can be seen again in photos."),
}


def _code(error: sqlite3.Error) -> int:
    return int(getattr(error, "sqlite_errorcode", 0)) & 0xFF


def _as_error(file: Path, error: sqlite3.Error) -> StorageError:
    what, remedy = _WHY.get(_code(error), (f"cannot be used: {error}", "Remove it, or check the disk."))
    return StorageError(str(file), what, remedy)


def _is_damaged(error: sqlite3.Error) -> bool:
    # A table that is missing, or has other columns, is damage as well: SQLITE_ERROR
    return _code(error) in (1, _CORRUPT, _NO_DATABASE)


def _is_ours(file: Path) -> bool:
    """Whether the file begins as one of mien's: sqlite.org/fileformat.html, 1.3."""
    with contextlib.suppress(OSError), file.open("rb") as opened:
        head = opened.read(72)
        return head.startswith(b"SQLite format 3\0") and head[68:72] == APPLICATION.to_bytes(4, "big")
    return False


def _remove(file: Path) -> None:
    for ending in ("-journal", ""):
        remove_file(file.with_name(file.name + ending))


# What a row holds: a line of JSON, and the numbers of all faces


def _packed(about: Mapping[str, Any], numbers: bytes) -> bytes:
    return json.dumps(about, ensure_ascii=False, separators=(",", ":")).encode() + b"\n" + numbers


def _unpacked(seen: bytes) -> tuple[dict[str, Any], bytes]:
    line, _, numbers = seen.partition(b"\n")
    return json.loads(line), numbers


def _about(seen: SeenPhoto) -> dict[str, Any]:
    photo = seen.photo
    return {
        "photo": [photo.width, photo.height, photo.format, photo.phash],
        "scale": float(seen.scale),
        "faces": [
            [
                [float(side) for side in one.face.box],
                float(one.face.detector_score),
                one.face.detector,
                one.face.turn,
                [float(getattr(one.quality, name)) for name in _QUALITIES],
            ]
            for one in seen.faces
        ],
    }


_QUALITIES: Final = tuple(Quality.__dataclass_fields__)
_LANDMARKS: Final = 10 * 4
"""Bytes of a face's landmarks."""


def _numbers(seen: SeenPhoto) -> bytes:
    """Little-endian float32: the landmarks (5, 2) of each face, then its embedding."""
    return b"".join(
        one.face.landmarks.astype("<f4").tobytes() + one.embedding.vector.astype("<f4").tobytes() for one in seen.faces
    )


def _as_seen(sha256: str, encoder: str, about: Mapping[str, Any], numbers: bytes) -> SeenPhoto:
    faces = []
    size = len(numbers) // max(1, len(about["faces"]))
    for place, (box, score, detector, turn, qualities) in enumerate(about["faces"]):
        own = numbers[place * size : (place + 1) * size]
        landmarks = _floats(own[:_LANDMARKS]).reshape(5, 2)
        face = Face(tuple(box), landmarks, score, detector, turn)
        vector = Embedding(_floats(own[_LANDMARKS:]), encoder)
        faces.append(SeenFace(face, Quality(*qualities), vector))
    return SeenPhoto(Photo(sha256, *about["photo"]), tuple(faces), about["scale"])


def _floats(data: bytes) -> Floats:
    return np.frombuffer(data, "<f4").astype(np.float32)


def _checksum(sha256: str, encoder: str, seen_at: int, seen: bytes) -> int:
    return zlib.crc32(seen, zlib.crc32(f"{sha256} {encoder} {seen_at} ".encode()))
