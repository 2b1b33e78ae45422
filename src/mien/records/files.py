"""Which files of the album hold which photos, shelf by shelf.

A photo is known by the hash of its bytes, and a file is a place where it lies. Moving a file, also from one shelf to
another, changes its row; what was seen in the photo stays as long as any file holds it.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from itertools import islice
from typing import TypeVar

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mien.errors import PhotoError
from mien.learning.own_face import Ground
from mien.records.database import Database, execute_many
from mien.records.people import People
from mien.records.schema import choices, chosen, files, photos
from mien.storage.layout import TRAINING, Shelf, shelf_of
from mien.storage.walk import ShelfFile, Shelved
from mien.text.photos import PhotoFault

_GROUP = 500
"""Photos hashed, or rows fetched by id, between two transactions: little to lose, little to hold in memory."""


@dataclass(frozen=True, slots=True)
class Entry:
    """Of those who are new: why they may be recognised, until when by name, and since when they are there."""

    basis: str
    until: Mapping[str, date]
    now: datetime


@dataclass(frozen=True, slots=True)
class Changes:
    """What `Files.sync` found different on disk. Counts are of files; a moved or renamed photo is only `moved`.
    `unreadable` are (path, error) of files that could not be opened: those that the catalog knew stay as they were, and
    new ones are not in it."""

    new: int
    changed: int
    moved: int
    gone: int
    unreadable: tuple[tuple[str, PhotoError], ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """Files in which disk and catalog differ, by size and time alone; a moved photo is both `new` and `gone`."""

    new: int
    changed: int
    gone: int


@dataclass(frozen=True, slots=True)
class FiledPhoto:
    """A file that the catalog knows: a photo, by its hash, under a person."""

    path: str
    person: str
    sha256: str


class Files:
    """The files of an open catalog."""

    def __init__(self, catalog: Database, people: People) -> None:
        self._catalog, self._people = catalog, people

    def sync(self, shelved: Shelved, hash_file: Callable[[str], str], entry: Entry) -> Changes:
        """Makes the catalog say what lies on the shelves that were walked, and returns what was different.

        Only files that are new, or have another size or time than before, are hashed: `hash_file(path)` gives the hex
        sha256, or raises PhotoError. The times are that of the contents, which programs set as they like, and that at
        which the system last wrote the file: so the files of a copied album are hashed once. A photo that was moved,
        renamed or copied is known by its hash, and what was computed stays; files that are gone drop out, and so do,
        when training-images was walked, photos that no file holds any more, with all that was seen in them. What could
        not be looked at is not gone, and stays as it was.
        """
        ids = self._people.enter(shelved.people, entry.basis, entry.now, entry.until)
        known = self._known(shelved.shelves, shelved.person)
        gone = _gone(known, shelved)
        came: Counter[str] = Counter()  # hashes of files at new paths
        changed = 0
        unreadable: list[tuple[str, PhotoError]] = []
        for group in in_groups(self._suspects(shelved.files, known, _looks_same), _GROUP):
            rows: list[dict[str, object]] = []
            other_photo: list[str] = []
            other_choice: list[str] = []
            _let_the_clock_go_on(group)
            for file in group:
                before = known.get(file.path)
                try:
                    sha256 = before.sha256 if before and _looks_same(before, file) else hash_file(file.path)
                except PhotoError as error:
                    if before or error.fault is not PhotoFault.NO_SUCH_FILE:  # else it came and went
                        unreadable.append((file.path, error))
                    continue
                if before is None:
                    came[sha256] += 1
                elif before.sha256 != sha256:
                    changed += 1
                    other_photo.append(file.path)
                if before is None or (before.sha256, before.person) != (sha256, ids[file.person]):
                    other_choice.append(file.path)
                rows.append(
                    {
                        "path": file.path,
                        "shelf": shelf_of(file.path),
                        "person": ids[file.person],
                        "sha256": sha256,
                        "size": file.size,
                        "mtime_ns": _stored(file.mtime_ns),
                        "ctime_ns": _stored(file.ctime_ns),
                    }
                )
            contents: list[dict[str, object]] = [{"sha256": row["sha256"], "bytes": row["size"]} for row in rows]
            with self._catalog.transaction(write=True) as connection:
                execute_many(connection, insert(photos).on_conflict_do_nothing(), contents)
                execute_many(connection, _unchoose, _at(other_photo))  # the face was in the photo that was there
                execute_many(connection, _place, rows)
                execute_many(connection, _choose_again, _at(other_choice))
        lost = gone | (known.keys() & {path for path, error in unreadable if error.fault is PhotoFault.NO_SUCH_FILE})
        with self._catalog.transaction(write=True) as connection:
            _take_out(connection, sorted(lost))
            if TRAINING in shelved.shelves and (came or changed or lost):
                connection.execute(_ask_again)
            if TRAINING in shelved.shelves:  # what left an intake may have been put there by hand, and is not known yet
                connection.execute(sa.delete(photos).where(~sa.exists().where(files.c.sha256 == photos.c.sha256)))
        moved = (came & Counter(known[path].sha256 for path in gone)).total()
        return Changes(came.total() - moved, changed, moved, len(lost) - moved, tuple(unreadable))

    def drift(self, shelved: Shelved) -> Drift:
        """What `sync` would look into, found without hashing or changing anything. A file that the system has written
        anew with the size and time that it had is not counted: all of a copied album are such files."""
        known = self._known(shelved.shelves)
        suspects = [file.path for file in self._suspects(shelved.files, known, _times_of_contents)]
        changed = len(known.keys() & set(suspects))
        gone = len(_gone(known, shelved))
        return Drift(len(suspects) - changed, changed, gone)

    def move(self, moves: Iterable[tuple[str, ShelfFile]]) -> None:
        """Files that were at a path lie elsewhere now, the same photos; faces are chosen again for their people. The
        people must have been entered in `People`."""
        shifted = list(moves)
        rows: list[dict[str, object]] = [
            {
                "at": was,
                "to_path": file.path,
                "to_shelf": shelf_of(file.path),
                "to_person": self._people.id_of(file.person),
                "to_mtime_ns": _stored(file.mtime_ns),
                "to_ctime_ns": _stored(file.ctime_ns),
            }
            for was, file in shifted
        ]
        with self._catalog.transaction(write=True) as connection:
            execute_many(connection, _choose_again, _at(was for was, _ in shifted))
            execute_many(connection, _move, rows)
            execute_many(connection, _choose_again, _at(file.path for _, file in shifted))
            connection.execute(_ask_again)

    def drop(self, paths: Iterable[str]) -> None:
        """Files that are there no more; what was seen in their photos goes with the next `sync`."""
        with self._catalog.transaction(write=True) as connection:
            _take_out(connection, paths)
            connection.execute(_ask_again)

    def doubt(self, path: str) -> None:
        """Has a file hashed anew by the next `sync`: when it was read it held other bytes than were hashed."""
        with self._catalog.transaction(write=True) as connection:
            connection.execute(sa.update(files).where(files.c.path == path).values(ctime_ns=None))

    def on(self, shelves: Collection[Shelf], person: str = "") -> list[FiledPhoto]:
        """Every file on these shelves, by path; of the person of this name alone, if one is given."""
        query = sa.select(files.c.path, files.c.person, files.c.sha256).where(files.c.shelf.in_(shelves))
        if person:
            query = query.where(files.c.person == self._people.id_of(person))
        with self._catalog.transaction() as connection:
            rows = connection.execute(query.order_by(files.c.path)).all()
        return [FiledPhoto(row.path, self._people.name_of(row.person), row.sha256) for row in rows]

    def of_photos(self, sha256s: Collection[str]) -> list[FiledPhoto]:
        """Every file that holds one of these photos, by path."""
        found: list[FiledPhoto] = []
        for group in in_groups(sorted(sha256s), _GROUP):
            query = sa.select(files.c.path, files.c.person, files.c.sha256).where(files.c.sha256.in_(group))
            with self._catalog.transaction() as connection:
                rows = connection.execute(query).all()
            found += [FiledPhoto(row.path, self._people.name_of(row.person), row.sha256) for row in rows]
        return sorted(found, key=lambda one: one.path)

    def places(self, shelf: Shelf) -> dict[tuple[str, str], str]:
        """For (person, SHA-256) the path of a photo on the shelf, the first where it lies twice."""
        found: dict[tuple[str, str], str] = {}
        for file in self.on([shelf]):
            found.setdefault((file.person, file.sha256), file.path)
        return found

    def people(self, shelf: Shelf) -> frozenset[str]:
        """Whoever has a file on the shelf."""
        query = sa.select(files.c.person).where(files.c.shelf == shelf).distinct()
        with self._catalog.transaction() as connection:
            return frozenset(map(self._people.name_of, connection.scalars(query)))

    def _known(self, shelves: Collection[Shelf], person: str = "") -> _Known:
        """The rows of these shelves, of one person if one is named."""
        query = sa.select(files).where(files.c.shelf.in_(shelves))
        if person:
            query = query.where(files.c.person == self._people.id_of(person))
        with self._catalog.transaction() as connection:
            return {row.path: row for row in connection.execute(query)}

    def _suspects(
        self, found: Iterable[ShelfFile], known: _Known, looks_same: Callable[[_Row, ShelfFile], bool]
    ) -> Iterator[ShelfFile]:
        """The files that are new or look changed, or whose person has another id: the ledger was begun anew."""
        for file in found:
            row = known.get(file.path)
            if row is None or not looks_same(row, file) or self._people.id_of(file.person) != row.person:
                yield file


_Row = sa.Row[*tuple[object, ...]]
_Known = dict[str, _Row]
"""Rows of files by path."""

_inserted = insert(files)
_place = _inserted.on_conflict_do_update(
    index_elements=["path"],
    set_={name: _inserted.excluded[name] for name in ("person", "sha256", "size", "mtime_ns", "ctime_ns")},
)
_move = (
    sa.update(files)
    .where(files.c.path == sa.bindparam("at"))
    .values({name: sa.bindparam(f"to_{name}") for name in ("path", "shelf", "person", "mtime_ns", "ctime_ns")})
)
_remove = sa.delete(files).where(files.c.path == sa.bindparam("at"))
_unchoose = sa.delete(chosen).where(chosen.c.path == sa.bindparam("at"))
_choose_again = sa.delete(choices).where(
    choices.c.person.in_(sa.select(files.c.person).where(files.c.path == sa.bindparam("at")))
)
"""Has the faces of the person whose file is there chosen anew, by every encoder."""
_ask_again = sa.delete(choices).where(choices.c.ground.in_((Ground.ALBUM.value, Ground.GUESS.value)))
"""Has the faces of everybody chosen anew whose choice depends on other people."""


def _gone(known: _Known, shelved: Shelved) -> set[str]:
    """The paths that are known and are not there any more, for all that can be seen."""
    missing = known.keys() - {file.path for file in shelved.files}
    return missing - shelved.hidden(missing)


def _at(paths: Iterable[str]) -> list[dict[str, object]]:
    return [{"at": path} for path in paths]


def _take_out(connection: sa.Connection, paths: Iterable[str]) -> None:
    rows = _at(paths)
    execute_many(connection, _choose_again, rows)
    execute_many(connection, _remove, rows)


def _looks_same(row: _Row, file: ShelfFile) -> bool:
    return _times_of_contents(row, file) and row.ctime_ns is not None and row.ctime_ns == _stored(file.ctime_ns)


def _times_of_contents(row: _Row, file: ShelfFile) -> bool:
    """Whether the file has the size and the time that it had, which tools can keep while they change its contents."""
    return (row.size, row.mtime_ns) == (file.size, _stored(file.mtime_ns))


_LEAST, _MOST = -(2**63), 2**63 - 1
"""What a column of SQLite holds: in nanoseconds, from the year 1677 to 2262."""


def _stored(time_ns: int | None) -> int | None:
    """A time of a file as the catalog keeps it: one that does not fit becomes the nearest that does."""
    return None if time_ns is None else min(max(time_ns, _LEAST), _MOST)


FINE_NS, COARSE_NS = 20_000_000, 2_000_000_000
"""How far apart in time two changes of a file may be and have one time: a tick of the system's clock, 10 ms at most; on
disks that keep no parts of a second (FAT) two seconds."""


def _let_the_clock_go_on(files: Sequence[ShelfFile]) -> None:
    """Waits while these files, which are about to be hashed, could be changed again with no change in their times."""
    now = time.time_ns()
    grains = [(one, FINE_NS if one % 1_000_000_000 else COARSE_NS) for one in (file.ctime_ns or 0 for file in files)]
    waits = [one + grain - now for one, grain in grains if 0 <= now - one < grain]
    if waits:
        time.sleep(max(waits) / 1e9)


Item = TypeVar("Item")


def in_groups(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """The items, at most `size` at a time."""
    source = iter(items)
    while group := list(islice(source, size)):
        yield group
