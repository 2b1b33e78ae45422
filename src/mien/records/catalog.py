"""The catalog: what mien remembers of an album, so that nothing is computed twice. SQLite through SQLAlchemy Core.

    people <- placements -> photos <- sightings <- faces
                arrivals ---^

A photo is known by the hash of its bytes; a *placement* is a file that holds it, an *arrival* one that waits in an
intake to be merged; a *sighting* is the fact that an encoder has looked at it, with the faces it found or the error it
met. Foreign keys clear up: when a photo goes, all that was seen in it goes. Everything here can be computed again from
the photos, so a damaged catalog is removed, never mended. Embeddings are biometric data, so secure_delete overwrites
what is deleted.

Each method is one transaction, or several that each make sense: kill -9 loses nothing that a method has returned from.
A catalog belongs to the thread that opened it. Writers hold the album's lock; readers need not.
"""

from __future__ import annotations

import secrets
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from itertools import groupby, islice
from operator import attrgetter
from typing import TypeVar

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.sqlite import insert

from mien.errors import EncoderMismatchError, PhotoError
from mien.records.database import Database, Kind, execute_many
from mien.storage.layout import Placement, Training
from mien.types import Face, Floats, Photo, Quality, SeenFace, SeenPhoto
from mien.vision.phash import are_near

DIMENSIONS = 128
SCHEMA_VERSION = 2
"""1 had no arrivals."""
_GROUP = 500
"""Photos hashed, or rows fetched by id, between two transactions: little to lose, little to hold in memory."""

_schema = sa.MetaData()
people = sa.Table(
    "people",
    _schema,
    sa.Column("id", sa.Text, primary_key=True),  # random, so that nothing but this table knows a name
    sa.Column("name", sa.Text, nullable=False, unique=True),  # NFC
    sa.Column("basis", sa.Text, nullable=False),
    sa.Column("added_at", sa.Text, nullable=False),
    sa.Column("chosen_by", sa.Text),  # the rule by which the faces were chosen; null once something has changed since
)
photos = sa.Table(
    "photos",
    _schema,
    sa.Column("sha256", sa.Text, primary_key=True),
    sa.Column("bytes", sa.Integer, nullable=False),
    sa.Column("width", sa.Integer),  # these four are unknown until it was decoded
    sa.Column("height", sa.Integer),
    sa.Column("format", sa.Text),
    sa.Column("phash", sa.Text),
    sqlite_with_rowid=False,  # here and below: one tree instead of two, as the key is text
)
sightings = sa.Table(
    "sightings",
    _schema,
    sa.Column("sha256", sa.ForeignKey("photos.sha256", ondelete="CASCADE"), primary_key=True),
    sa.Column("encoder_id", sa.Text, primary_key=True),
    sa.Column("seen_at", sa.Text, nullable=False),
    sa.Column("error_kind", sa.Text),
    sa.Column("error", sa.Text),
    sqlite_with_rowid=False,
)
faces = sa.Table(
    "faces",
    _schema,
    sa.Column("id", sa.Integer, primary_key=True),
    sa.Column("sha256", sa.Text, nullable=False),
    sa.Column("encoder_id", sa.Text, nullable=False),
    sa.Column("number", sa.Integer, nullable=False),  # from the left, 0 first
    *(sa.Column(side, sa.Float, nullable=False) for side in ("x0", "y0", "x1", "y1")),
    sa.Column("landmarks", sa.LargeBinary, nullable=False),  # 5x2 little-endian float32
    sa.Column("detector", sa.Text, nullable=False),
    sa.Column("detector_score", sa.Float, nullable=False),
    sa.Column("turn", sa.Integer, nullable=False),
    *(sa.Column(part, sa.Float, nullable=False) for part in ("size", "sharpness", "pose", "exposure", "overall")),
    sa.Column("embedding", sa.LargeBinary, nullable=False),  # little-endian float32
    sa.CheckConstraint("length(landmarks) = 40"),
    sa.CheckConstraint(f"length(embedding) = {4 * DIMENSIONS}"),
    sa.UniqueConstraint("sha256", "encoder_id", "number"),
    sa.ForeignKeyConstraint(("sha256", "encoder_id"), ("sightings.sha256", "sightings.encoder_id"), ondelete="CASCADE"),
    sqlite_autoincrement=True,  # an id is never used again, so an old one can never mean another face
)
placements = sa.Table(
    "placements",
    _schema,
    sa.Column("path", sa.Text, primary_key=True),  # relative to training-images, forward slashes, as on disk
    sa.Column("person_id", sa.ForeignKey("people.id"), nullable=False, index=True),
    sa.Column("sha256", sa.ForeignKey("photos.sha256"), nullable=False, index=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("mtime_ns", sa.Integer, nullable=False),
    sa.Column("source", sa.Text),  # where `mien add` took it from
    sa.Column("added_at", sa.Text, nullable=False),
    sa.Column("chosen_face", sa.ForeignKey("faces.id", ondelete="SET NULL"), index=True),
    sqlite_with_rowid=False,
)
arrivals = sa.Table(
    "arrivals",
    _schema,
    sa.Column("path", sa.Text, primary_key=True),  # relative to the album, forward slashes, as on disk
    sa.Column("person", sa.Text, nullable=False),  # NFC; perhaps of nobody in `people` yet
    sa.Column("sha256", sa.ForeignKey("photos.sha256"), nullable=False, index=True),
    sa.Column("size", sa.Integer, nullable=False),
    sa.Column("mtime_ns", sa.Integer, nullable=False),
    sqlite_with_rowid=False,
)
chips = sa.Table(
    "chips",
    _schema,
    sa.Column("key", sa.Text, primary_key=True),  # relative to aligned-images; written, of this face, at this size
    sa.Column("path", sa.ForeignKey("placements.path", ondelete="SET NULL"), index=True),
    sa.Column("face_id", sa.ForeignKey("faces.id", ondelete="SET NULL"), index=True),
    sa.Column("size", sa.Integer, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Changes:
    """What `Catalog.sync` found different on disk. Counts are of placements; a moved or renamed photo is only `moved`.
    `unreadable` are (path, reason) of files that could not be opened; they are not in the catalog."""

    new: int
    changed: int
    moved: int
    removed: int
    people_new: tuple[str, ...]
    people_removed: tuple[str, ...]
    unreadable: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Drift:
    """Placements in which disk and catalog differ, by size and time alone; a moved photo is both `new` and `gone`."""

    new: int
    changed: int
    gone: int


@dataclass(frozen=True, slots=True)
class IntakeChanges:
    """What `Catalog.sync_intakes` found different on disk: files that were `new`, `changed`, and `gone` (merged, as a
    rule); `unreadable` are (path, reason) of those that could not be opened, which are not in the catalog."""

    new: int
    changed: int
    gone: int
    unreadable: tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, eq=False)
class PersonFaces:
    """All faces in the M photos of a person that have any, N faces in all, by path and then from left to right.

    `paths` and `sha256` have M entries, `shapes` is (M, 2) int64 (width, height); `photo` (N,) int64 indexes them.
    `ids` (N,) int64, `boxes` (N, 4) float32, `overall` (N,) float32 quality, `embeddings` (N, 128) float32.
    """

    paths: tuple[str, ...]
    sha256: tuple[str, ...]
    shapes: NDArray[np.int64]
    photo: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: Floats
    overall: Floats
    embeddings: Floats


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The chosen faces of an album: N of them, sorted by person and then by hash, each photo once per person.

    `people` are sorted names (NFC) and `person` (N,) int64 indexes them; `sha256` has N entries; `embeddings` is
    (N, 128) float32, `overall` (N,) float32 quality. It depends on what is in the album, not on when it came there.
    """

    people: tuple[str, ...]
    person: NDArray[np.int64]
    sha256: tuple[str, ...]
    embeddings: Floats
    overall: Floats


@dataclass(frozen=True, slots=True)
class Look:
    """What an encoder saw in the photo at `path`. `phash` is empty where it has not looked, or met an `error`; `faces`
    counts all; `face` is the row of the chosen one in `Looks.embeddings`, -1 for none, and `overall` its quality."""

    path: str
    person: str
    sha256: str
    phash: str
    error: str | None
    faces: int
    face: int
    overall: float


@dataclass(frozen=True, slots=True, eq=False)
class Looks:
    """Every placement, by path, as one encoder has seen it; `embeddings` (M, 128) float32 are of the chosen faces."""

    looks: tuple[Look, ...]
    embeddings: Floats


@dataclass(frozen=True, slots=True)
class Arrival:
    """What an encoder saw in the photo at `path` (relative to the album) of an intake; `phash` is empty where it has
    not looked, or met an `error`. Its `faces` are rows of `Arrivals.embeddings`, from left to right."""

    path: str
    person: str
    sha256: str
    phash: str
    error: str | None
    faces: range


@dataclass(frozen=True, slots=True, eq=False)
class Arrivals:
    """Every photo of the intakes, by path, as one encoder has seen it; `embeddings` (M, 128) float32 are of all
    faces."""

    arrivals: tuple[Arrival, ...]
    embeddings: Floats


@dataclass(frozen=True, slots=True)
class Filed:
    """A file of the album that holds a photo: `path` relative to training-images, or to the album if it is `waiting` in
    an intake. `source` is where `mien add` took it from, `added_at` when it was first seen, and `chosen_face` the id of
    the person's own face; all None while it waits, or where nothing is known."""

    path: str
    person: str
    waiting: bool
    source: str | None
    added_at: str | None
    chosen_face: int | None


@dataclass(frozen=True, slots=True, eq=False)
class RememberedFace:
    """A face as an encoder saw it; `id` is the catalog's."""

    id: int
    face: Face
    quality: Quality


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """That an encoder looked at a photo: the faces from left to right, or the `error` it met."""

    encoder_id: str
    seen_at: str
    error: str | None
    faces: tuple[RememberedFace, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PhotoRecord:
    """All that is known of a photo: `photo` is None until it was decoded; where it is `filed`, and what was seen."""

    sha256: str
    bytes: int
    photo: Photo | None
    filed: tuple[Filed, ...]
    sightings: tuple[Sighting, ...]


@dataclass(frozen=True, slots=True)
class DueChip:
    """A chip to be cut: of `face` (`face_id` in the catalog) in the photo at `path`, to be written as `key`."""

    path: str
    key: str
    sha256: str
    face_id: int
    face: Face


@dataclass(frozen=True, slots=True)
class Failure:
    """A photo that could not be read: `kind` is one word (see PhotoError), `error` the message."""

    path: str
    kind: str
    error: str


@dataclass(frozen=True, slots=True)
class PersonSummary:
    """Photos of a person: how many, and of these how many are `unseen`, `unreadable`, without a face (`faceless`), with
    `several` faces, and `enrolled`: having a chosen face."""

    name: str
    photos: int
    unseen: int
    unreadable: int
    faceless: int
    several: int
    enrolled: int


@dataclass(frozen=True, slots=True)
class Summary:
    """The album as one encoder has seen it. A photo filed under two people counts for both in `people`, once in
    `photos`. `faceless` and `several` are paths, and so are those of the `failures`."""

    people: tuple[PersonSummary, ...]
    photos: int
    faces: int
    faceless: tuple[str, ...]
    several: tuple[str, ...]
    failures: tuple[Failure, ...]


class Catalog(Database):
    """An open catalog; a context manager. Every method may raise StorageError, AlbumError (damaged) and BusyError."""

    kind = Kind(
        name="catalog",
        application_id=int.from_bytes(b"mien", "big"),
        version=SCHEMA_VERSION,
        oldest=1,
        schema=_schema,
        way_out="remove the file and run again: it only holds what can be computed from the photos.",
        durable=False,
    )

    # What is on disk

    def sync(
        self,
        training: Training,
        hash_file: Callable[[str], str],
        *,
        basis: str,
        sources: Mapping[str, str] | None = None,
    ) -> Changes:
        """Makes the catalog say what is on disk, and returns what was different.

        Only files that are new, or have another size or time than before, are hashed: `hash_file(path)` gives the hex
        sha256, or raises PhotoError. A photo that was moved, renamed or copied is known by its hash, and what was
        computed stays; placements that are gone drop out, and photos that lie nowhere with all that was seen in them.
        `basis` is that of people who are new; `sources` says where new files were taken from.
        """
        with self._transaction() as connection:
            known = {row.path: row for row in connection.execute(sa.select(placements))}
            ids = {row.name: row.id for row in connection.execute(sa.select(people.c.name, people.c.id))}
        new_people = [name for name in training.people if name not in ids]
        ids |= {name: secrets.token_hex(8) for name in new_people}
        gone = known.keys() - {placement.path for placement in training.placements}
        orphans: dict[str, list[sa.Row[*tuple[object, ...]]]] = {}
        for path in sorted(gone, reverse=True):
            orphans.setdefault(known[path].sha256, []).append(known[path])
        counts = {"new": 0, "changed": 0, "moved": 0}
        unreadable: list[tuple[str, str]] = []

        def hashed(group: Iterable[Placement]) -> Iterator[dict[str, object]]:
            for placement in group:
                try:
                    sha256 = hash_file(placement.path)
                except PhotoError as error:
                    unreadable.append((placement.path, str(error)))
                    continue
                before = known.get(placement.path)
                origin = orphans[sha256].pop() if not before and orphans.get(sha256) else None
                if not before:
                    counts["moved" if origin else "new"] += 1
                elif before.sha256 != sha256:
                    counts["changed"] += 1
                yield {
                    "path": placement.path,
                    "person_id": ids[placement.person],
                    "sha256": sha256,
                    "size": placement.size,
                    "mtime_ns": placement.mtime_ns,
                    "source": origin.source if origin else (sources or {}).get(placement.path),
                    "added_at": origin.added_at if origin else _now(),
                }

        with self._transaction(write=True) as connection:
            rows = [{"id": ids[name], "name": name, "basis": basis, "added_at": _now()} for name in new_people]
            execute_many(connection, insert(people), rows)
        for group in _groups(_suspects(training.placements, known), _GROUP):
            found = list(hashed(group))
            with self._transaction(write=True) as connection:
                contents = [{"sha256": row["sha256"], "bytes": row["size"]} for row in found]
                execute_many(connection, insert(photos).on_conflict_do_nothing(), contents)
                execute_many(connection, _place, found)
                _choose_again(connection, {row["person_id"] for row in found})
        lost = gone | (known.keys() & {path for path, _ in unreadable})
        with self._transaction(write=True) as connection:
            leaving = sa.delete(placements).where(placements.c.path == sa.bindparam("gone"))
            execute_many(connection, leaving, [{"gone": path} for path in sorted(lost)])
            _choose_again(connection, {known[path].person_id for path in lost})
            placed = sa.exists().where(placements.c.sha256 == photos.c.sha256)
            waiting = sa.exists().where(arrivals.c.sha256 == photos.c.sha256)
            connection.execute(sa.delete(photos).where(~placed, ~waiting))
            removed_people = sorted(ids.keys() - set(training.people))
            leaving = sa.delete(people).where(people.c.name == sa.bindparam("gone"))
            execute_many(connection, leaving, [{"gone": name} for name in removed_people])
        return Changes(
            **counts,
            removed=len(lost) - counts["moved"],
            people_new=tuple(new_people),
            people_removed=tuple(removed_people),
            unreadable=tuple(unreadable),
        )

    def sync_intakes(self, intakes: Training, hash_file: Callable[[str], str]) -> IntakeChanges:
        """Makes the catalog say what waits in the intakes; `hash_file` and what is hashed are as for `sync`.

        What is gone drops out, but what was seen in it stays until the next `sync`, as it may have been merged.
        """
        with self._transaction() as connection:
            known = {row.path: row for row in connection.execute(sa.select(arrivals))}
        gone = known.keys() - {placement.path for placement in intakes.placements}
        new = changed = 0
        unreadable: list[tuple[str, str]] = []
        for group in _groups(_suspects(intakes.placements, known), _GROUP):
            contents: list[dict[str, object]] = []
            found: list[dict[str, object]] = []
            for one in group:
                try:
                    sha256 = hash_file(one.path)
                except PhotoError as error:
                    unreadable.append((one.path, str(error)))
                    continue
                new += one.path not in known
                changed += one.path in known and known[one.path].sha256 != sha256
                contents.append({"sha256": sha256, "bytes": one.size})
                found.append({**asdict(one), "sha256": sha256})
            with self._transaction(write=True) as connection:
                execute_many(connection, insert(photos).on_conflict_do_nothing(), contents)
                execute_many(connection, _arrive, found)
        lost = gone | (known.keys() & {path for path, _ in unreadable})
        with self._transaction(write=True) as connection:
            leaving = sa.delete(arrivals).where(arrivals.c.path == sa.bindparam("gone"))
            execute_many(connection, leaving, [{"gone": path} for path in sorted(lost)])
        return IntakeChanges(new, changed, len(lost), tuple(unreadable))

    def drift(self, training: Training) -> Drift:
        """What `sync` would look into, found without hashing or changing anything."""
        with self._transaction() as connection:
            known = {row.path: row for row in connection.execute(sa.select(placements))}
        suspects = [placement.path for placement in _suspects(training.placements, known)]
        changed = len(known.keys() & set(suspects))
        gone = len(known.keys() - {placement.path for placement in training.placements})
        return Drift(len(suspects) - changed, changed, gone)

    def placements(self) -> list[tuple[str, str]]:
        """(path, person) of every placement, by path."""
        query = sa.select(placements.c.path, people.c.name).join_from(placements, people).order_by(placements.c.path)
        with self._transaction() as connection:
            return [(path, name) for path, name in connection.execute(query)]

    def places(self) -> dict[tuple[str, str], str]:
        """For (person, SHA-256) the path of a photo, the first where it was placed twice."""
        query = (
            sa.select(people.c.name, placements.c.sha256, sa.func.min(placements.c.path))
            .join_from(placements, people)
            .group_by(people.c.name, placements.c.sha256)
        )
        with self._transaction() as connection:
            return {(name, sha256): path for name, sha256, path in connection.execute(query)}

    def files(self) -> dict[tuple[str, str], list[str]]:
        """For (person, SHA-256) the paths of all files that hold a photo, sorted."""
        query = sa.select(people.c.name, placements.c.sha256, placements.c.path).join_from(placements, people)
        found: dict[tuple[str, str], list[str]] = {}
        with self._transaction() as connection:
            for name, sha256, path in connection.execute(query.order_by(placements.c.path)):
                found.setdefault((name, sha256), []).append(path)
        return found

    def waiting(self) -> dict[str, str]:
        """(path: SHA-256) of the photos of the intakes."""
        with self._transaction() as connection:
            return {row.path: row.sha256 for row in connection.execute(sa.select(arrivals.c.path, arrivals.c.sha256))}

    # What was seen

    def unseen(self, encoder_id: str, retry: Collection[str] = (), person: str | None = None) -> list[tuple[str, str]]:
        """(sha256, a path) of each photo, of `person` if one is named, that the encoder has not looked at, by path;
        `retry` are kinds of error that may have been cured since ("missing-extra")."""
        query = _unseen(placements.c.sha256, placements.c.path, encoder_id, retry)
        if person is not None:
            query = query.where(placements.c.person_id == _id_of(person))
        with self._transaction() as connection:
            return [(sha256, path) for sha256, path in connection.execute(query)]

    def unseen_arrivals(self, encoder_id: str, retry: Collection[str] = ()) -> list[tuple[str, str]]:
        """The same for the photos of the intakes; these paths are relative to the album."""
        query = _unseen(arrivals.c.sha256, arrivals.c.path, encoder_id, retry)
        with self._transaction() as connection:
            return [(sha256, path) for sha256, path in connection.execute(query)]

    def arrivals(self, encoder_id: str) -> Arrivals:
        """What is known of each photo of the intakes."""
        query = (
            sa.select(
                arrivals.c.path,
                arrivals.c.person,
                arrivals.c.sha256,
                sightings.c.seen_at,
                photos.c.phash,
                sightings.c.error,
                faces.c.embedding,
            )
            .join_from(arrivals, photos)
            .outerjoin(sightings, sa.and_(sightings.c.sha256 == photos.c.sha256, sightings.c.encoder_id == encoder_id))
            .outerjoin(
                faces, sa.and_(faces.c.sha256 == sightings.c.sha256, faces.c.encoder_id == sightings.c.encoder_id)
            )
            .order_by(arrivals.c.path, faces.c.number)
        )
        found: list[Arrival] = []
        embeddings = bytearray()
        with self._transaction() as connection:
            for _, group in groupby(connection.execute(query).yield_per(1000), key=attrgetter("path")):
                rows = list(group)
                first = len(embeddings) // (4 * DIMENSIONS)
                for row in rows:
                    embeddings += row.embedding or b""
                row = rows[0]
                looked = row.seen_at is not None and row.error is None
                own = range(first, len(embeddings) // (4 * DIMENSIONS))
                phash = row.phash if looked else ""
                found.append(Arrival(row.path, row.person, row.sha256, phash, row.error, own))
        return Arrivals(tuple(found), _floats(embeddings, DIMENSIONS))

    def broken_arrivals(self) -> dict[str, str]:
        """(path: error) of the photos of the intakes that every encoder that looked at them found unreadable."""
        query = (
            sa.select(arrivals.c.path, sa.func.max(sightings.c.error).label("error"))
            .join_from(arrivals, sightings, sightings.c.sha256 == arrivals.c.sha256)
            .group_by(arrivals.c.path)
            .having(sa.func.count() == sa.func.count(sightings.c.error))
        )
        with self._transaction() as connection:
            return {row.path: row.error for row in connection.execute(query)}

    def record(self, seen: SeenPhoto, encoder_id: str) -> bool:
        """Remembers what the encoder saw in a photo; what it saw before is forgotten.

        False, and nothing remembered, if the catalog does not know the photo: the file was changed after the last
        `sync`, and the next one will see it. Raises EncoderMismatchError for an embedding of another encoder.
        """
        if any(face.embedding.encoder_id != encoder_id for face in seen.faces):
            raise EncoderMismatchError(
                f"A face of another encoder was to be recorded under {encoder_id}.", "Please report this as a bug."
            )
        photo = seen.photo
        decoded = {
            "of": photo.sha256,
            "width": photo.width,
            "height": photo.height,
            "format": photo.format,
            "phash": photo.phash,
        }
        with self._transaction(write=True) as connection:
            known = connection.execute(_decode, decoded).rowcount
            if known:
                _look(connection, photo.sha256, encoder_id)
                rows = [_face_row(photo.sha256, number, face) for number, face in enumerate(seen.faces)]
                execute_many(connection, _keep, rows)
                connection.execute(_stir, {"seen": photo.sha256})
        return bool(known)

    def record_failure(self, sha256: str, encoder_id: str, kind: str, message: str) -> bool:
        """Remembers that a photo could not be read, so that it is not tried again. False as for `record`."""
        with self._transaction(write=True) as connection:
            known = connection.scalar(sa.select(photos.c.sha256).where(photos.c.sha256 == sha256))
            if known:
                _look(connection, sha256, encoder_id, kind, message)
        return bool(known)

    # Whose face it is

    def people(self) -> tuple[str, ...]:
        """The names of all people, sorted."""
        with self._transaction() as connection:
            return tuple(connection.scalars(sa.select(people.c.name).order_by(people.c.name)))

    def faces_of(self, person: str, encoder_id: str) -> PersonFaces:
        """All faces in the photos of a person, to choose from."""
        query = (
            sa.select(placements.c.path, photos.c.width, photos.c.height, faces)
            .join_from(people, placements)
            .join(photos)
            .join(faces, faces.c.sha256 == photos.c.sha256)
            .where(people.c.name == person, faces.c.encoder_id == encoder_id)
            .order_by(placements.c.path, faces.c.number)
        )
        index: dict[str, int] = {}
        sha256: list[str] = []
        shapes: list[tuple[int, int]] = []
        photo: list[int] = []
        ids: list[int] = []
        boxes: list[tuple[float, ...]] = []
        overall: list[float] = []
        embeddings = bytearray()
        with self._transaction() as connection:
            for row in connection.execute(query).yield_per(1000):
                if row.path not in index:
                    index[row.path] = len(index)
                    sha256.append(row.sha256)
                    shapes.append((row.width, row.height))
                photo.append(index[row.path])
                ids.append(row.id)
                boxes.append((row.x0, row.y0, row.x1, row.y1))
                overall.append(row.overall)
                embeddings += row.embedding
        return PersonFaces(
            paths=tuple(index),
            sha256=tuple(sha256),
            shapes=np.array(shapes, np.int64).reshape(-1, 2),
            photo=np.array(photo, np.int64),
            ids=np.array(ids, np.int64),
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            overall=np.array(overall, np.float32),
            embeddings=_floats(embeddings, DIMENSIONS),
        )

    def to_choose(self, rule: str) -> tuple[str, ...]:
        """The people whose faces have not been chosen by this rule since anything of theirs changed, by name."""
        query = sa.select(people.c.name).where(people.c.chosen_by.is_distinct_from(rule)).order_by(people.c.name)
        with self._transaction() as connection:
            return tuple(connection.scalars(query))

    def choose(self, person: str, rule: str, chosen: Mapping[str, int | None]) -> None:
        """Sets which face of the photo at each path is the person's, None for none; a path not given has none."""
        of_person = _id_of(person)
        query = (
            sa.update(placements)
            .where(placements.c.path == sa.bindparam("at"), placements.c.person_id == of_person)
            .values(chosen_face=sa.bindparam("chosen"))
        )
        with self._transaction(write=True) as connection:
            connection.execute(
                sa.update(placements).where(placements.c.person_id == of_person).values(chosen_face=None)
            )
            execute_many(connection, query, [{"at": path, "chosen": face_id} for path, face_id in chosen.items()])
            connection.execute(sa.update(people).where(people.c.name == person).values(chosen_by=rule))

    def training_set(self, encoder_id: str, person: str | None = None) -> TrainingSet:
        """The chosen faces, of `person` if one is named, as the encoder sees them."""
        query = (
            sa.select(people.c.name, placements.c.sha256, faces.c.overall, faces.c.embedding)
            .join_from(placements, people)
            .join(faces, faces.c.id == placements.c.chosen_face)
            .where(faces.c.encoder_id == encoder_id)
            .order_by(people.c.name, placements.c.sha256, placements.c.path)
        )
        if person is not None:
            query = query.where(people.c.name == person)
        names: dict[str, int] = {}
        owner: list[int] = []
        sha256: list[str] = []
        overall: list[float] = []
        embeddings = bytearray()
        last: tuple[str, str] | None = None
        with self._transaction() as connection:
            for row in connection.execute(query).yield_per(1000):
                if (row.name, row.sha256) == last:
                    continue  # placed twice under one person
                last = (row.name, row.sha256)
                owner.append(names.setdefault(row.name, len(names)))
                sha256.append(row.sha256)
                overall.append(row.overall)
                embeddings += row.embedding
        return TrainingSet(
            people=tuple(names),
            person=np.array(owner, np.int64),
            sha256=tuple(sha256),
            embeddings=_floats(embeddings, DIMENSIONS),
            overall=np.array(overall, np.float32),
        )

    def training_photos(self, encoder_id: str) -> dict[str, list[str]]:
        """The hashes of the photos in the training set by person, both sorted."""
        query = (
            sa.select(people.c.name, placements.c.sha256)
            .distinct()
            .join_from(placements, people)
            .join(faces, faces.c.id == placements.c.chosen_face)
            .where(faces.c.encoder_id == encoder_id)
            .order_by(people.c.name, placements.c.sha256)
        )
        photos_of: dict[str, list[str]] = {}
        with self._transaction() as connection:
            for name, sha256 in connection.execute(query):
                photos_of.setdefault(name, []).append(sha256)
        return photos_of

    def looks(self, encoder_id: str) -> Looks:
        """What is known of each photo where it was placed."""
        of_encoder = (faces.c.sha256 == sightings.c.sha256, faces.c.encoder_id == sightings.c.encoder_id)
        found = sa.select(sa.func.count()).select_from(faces).where(*of_encoder).correlate(sightings).scalar_subquery()
        query = (
            sa.select(
                placements.c.path,
                people.c.name,
                placements.c.sha256,
                sightings.c.seen_at,
                photos.c.phash,
                sightings.c.error,
                found.label("found"),
                faces.c.overall,
                faces.c.embedding,
            )
            .join_from(placements, people)
            .join(photos)
            .outerjoin(sightings, sa.and_(sightings.c.sha256 == photos.c.sha256, sightings.c.encoder_id == encoder_id))
            .outerjoin(faces, sa.and_(faces.c.id == placements.c.chosen_face, *of_encoder))
            .order_by(placements.c.path)
        )
        looks: list[Look] = []
        embeddings = bytearray()
        with self._transaction() as connection:
            for row in connection.execute(query).yield_per(1000):
                looked = row.seen_at is not None and row.error is None
                face = -1 if row.embedding is None else len(embeddings) // (4 * DIMENSIONS)
                embeddings += row.embedding or b""
                looks.append(
                    Look(
                        path=row.path,
                        person=row.name,
                        sha256=row.sha256,
                        phash=row.phash if looked else "",
                        error=row.error,
                        faces=row.found,
                        face=face,
                        overall=row.overall or 0.0,
                    )
                )
        return Looks(tuple(looks), _floats(embeddings, DIMENSIONS))

    # Chips: first remove the stale ones, then write those due. On a disk that takes A.png and a.png for one file, the
    # other order would remove what was just written.

    def stale_chips(self, keys: Mapping[str, str]) -> list[str]:
        """Keys of chips that were written but are of no placement's chosen face any more, or whose key is another now;
        `keys` are those of all placements by path. Remove the files, then `forget_chips`."""
        query = (
            sa.select(chips.c.key, chips.c.path)
            .outerjoin(
                placements, sa.and_(placements.c.path == chips.c.path, placements.c.chosen_face == chips.c.face_id)
            )
            .add_columns(placements.c.path.label("placed"))
            .order_by(chips.c.key)
        )
        with self._transaction() as connection:
            return [row.key for row in connection.execute(query) if not row.placed or keys.get(row.path) != row.key]

    def forget_chips(self, keys: Iterable[str]) -> None:
        query = sa.delete(chips).where(chips.c.key == sa.bindparam("gone"))
        with self._transaction(write=True) as connection:
            execute_many(connection, query, [{"gone": key} for key in keys])

    def chips_due(self, keys: Mapping[str, str], size: int, on_disk: Collection[str]) -> Iterator[DueChip]:
        """The chips that are missing, or of another size, by path. `keys` are those of all placements by path, and
        `on_disk` the keys of files that exist. Chips may be written and recorded meanwhile."""
        query = (
            sa.select(placements.c.path, placements.c.chosen_face, chips.c.key)
            .outerjoin(
                chips,
                sa.and_(
                    chips.c.path == placements.c.path,
                    chips.c.face_id == placements.c.chosen_face,
                    chips.c.size == size,
                ),
            )
            .where(placements.c.chosen_face.is_not(None))
            .order_by(placements.c.path)
        )
        with self._transaction() as connection:
            due = [
                (path, face_id)
                for path, face_id, key in connection.execute(query)
                if key != keys[path] or key not in on_disk
            ]
        for group in _groups(due, _GROUP):
            with self._transaction() as connection:
                rows = connection.execute(sa.select(faces).where(faces.c.id.in_([face_id for _, face_id in group])))
                by_id = {row.id: row for row in rows}
            for path, face_id in group:
                row = by_id[face_id]
                yield DueChip(path, keys[path], row.sha256, face_id, _face(row))

    def chip_written(self, path: str, key: str, face_id: int, size: int) -> None:
        """Remembers that the chip of a face in the photo at `path` lies at `key`."""
        row = insert(chips).values(key=key, path=path, face_id=face_id, size=size)
        row = row.on_conflict_do_update(index_elements=["key"], set_=dict(row.excluded.items()))
        with self._transaction(write=True) as connection:
            connection.execute(row)

    # What there is

    def summary(self, encoder_id: str) -> Summary:
        """How the album stands with this encoder."""
        query = (
            sa.select(
                people.c.name,
                placements.c.path,
                sightings.c.seen_at,
                sightings.c.error_kind,
                sightings.c.error,
                sa.func.count(faces.c.id).label("faces"),
                sa.func.coalesce(sa.func.max(faces.c.id == placements.c.chosen_face), 0).label("enrolled"),
            )
            .outerjoin(placements, placements.c.person_id == people.c.id)
            .outerjoin(
                sightings,
                sa.and_(sightings.c.sha256 == placements.c.sha256, sightings.c.encoder_id == encoder_id),
            )
            .outerjoin(
                faces, sa.and_(faces.c.sha256 == sightings.c.sha256, faces.c.encoder_id == sightings.c.encoder_id)
            )
            .group_by(people.c.name, placements.c.path)
            .order_by(people.c.name, placements.c.path)
        )
        tallies: dict[str, dict[str, int]] = {}
        faceless: list[str] = []
        several: list[str] = []
        failures: list[Failure] = []
        with self._transaction() as connection:
            for row in connection.execute(query).yield_per(1000):
                tally = tallies.setdefault(row.name, dict.fromkeys(_TALLIES, 0))
                if row.path is None:
                    continue  # a person with no photo yet
                tally["photos"] += 1
                tally["enrolled"] += row.enrolled
                if row.error_kind:
                    tally["unreadable"] += 1
                    failures.append(Failure(row.path, row.error_kind, row.error))
                elif not row.seen_at:
                    tally["unseen"] += 1
                elif row.faces == 0:
                    tally["faceless"] += 1
                    faceless.append(row.path)
                elif row.faces > 1:
                    tally["several"] += 1
                    several.append(row.path)
            placed = sa.select(placements.c.sha256).distinct().scalar_subquery()
            all_photos = connection.scalar(sa.select(sa.func.count(placements.c.sha256.distinct())))
            of_encoder = sa.select(sa.func.count()).where(faces.c.encoder_id == encoder_id, faces.c.sha256.in_(placed))
            all_faces = connection.scalar(of_encoder)
        return Summary(
            people=tuple(PersonSummary(name, **tally) for name, tally in tallies.items()),
            photos=all_photos or 0,
            faces=all_faces or 0,
            faceless=tuple(faceless),
            several=tuple(several),
            failures=tuple(failures),
        )

    def photo(self, sha256: str) -> PhotoRecord | None:
        """All that is known of a photo; None if it is in no folder of the album that was looked into."""
        place = (
            sa.select(placements, people.c.name)
            .join_from(placements, people)
            .where(placements.c.sha256 == sha256)
            .order_by(placements.c.path)
        )
        wait = sa.select(arrivals).where(arrivals.c.sha256 == sha256).order_by(arrivals.c.path)
        look = sa.select(sightings).where(sightings.c.sha256 == sha256).order_by(sightings.c.seen_at)
        face = sa.select(faces).where(faces.c.sha256 == sha256).order_by(faces.c.number)
        with self._transaction() as connection:
            row = connection.execute(sa.select(photos).where(photos.c.sha256 == sha256)).one_or_none()
            if row is None:
                return None
            filed = [
                Filed(at.path, at.name, False, at.source, at.added_at, at.chosen_face)
                for at in connection.execute(place)
            ] + [Filed(at.path, at.person, True, None, None, None) for at in connection.execute(wait)]
            by_encoder: dict[str, list[RememberedFace]] = {}
            for one in connection.execute(face):
                quality = Quality(one.size, one.sharpness, one.pose, one.exposure, one.overall)
                by_encoder.setdefault(one.encoder_id, []).append(RememberedFace(one.id, _face(one), quality))
            seen = [
                Sighting(at.encoder_id, at.seen_at, at.error, tuple(by_encoder.get(at.encoder_id, ())))
                for at in connection.execute(look)
            ]
        photo = Photo(sha256, row.width, row.height, row.format, row.phash) if row.phash else None
        return PhotoRecord(sha256, row.bytes, photo, tuple(filed), tuple(seen))

    def lookalikes(self, photo: Photo) -> tuple[Filed, ...]:
        """Where other photos lie that look like this one (see `mien.vision.phash`), by path."""
        query = sa.select(photos.c.sha256, photos.c.phash).where(photos.c.phash.is_not(None))
        with self._transaction() as connection:
            rows = list(connection.execute(query))
        near = [sha256 for sha256, phash in rows if sha256 != photo.sha256 and are_near(phash, photo.phash)]
        records = [self.photo(sha256) for sha256 in near]
        return tuple(sorted((at for one in records if one for at in one.filed), key=attrgetter("waiting", "path")))


_TALLIES = ("photos", "unseen", "unreadable", "faceless", "several", "enrolled")

_inserted = insert(placements)
_place = _inserted.on_conflict_do_update(
    index_elements=["path"],
    set_={
        **{name: _inserted.excluded[name] for name in ("person_id", "sha256", "size", "mtime_ns")},
        # A file that was only touched keeps its face; one with other content has another.
        "chosen_face": sa.case((placements.c.sha256 == _inserted.excluded.sha256, placements.c.chosen_face)),
    },
)

_arrived = insert(arrivals)
_arrive = _arrived.on_conflict_do_update(
    index_elements=["path"],
    set_={name: _arrived.excluded[name] for name in ("person", "sha256", "size", "mtime_ns")},
)

# What happens for every photo, built once: building a statement takes longer than executing it.
_decode = (
    sa.update(photos)
    .where(photos.c.sha256 == sa.bindparam("of"))
    .values({name: sa.bindparam(name) for name in ("width", "height", "format", "phash")})
)
_overlook = sa.delete(sightings).where(
    sightings.c.sha256 == sa.bindparam("of"), sightings.c.encoder_id == sa.bindparam("by")
)
_notice = insert(sightings)
_keep = insert(faces)
_stir = (  # new faces, and so their people's are to be chosen again
    sa.update(people)
    .where(people.c.id.in_(sa.select(placements.c.person_id).where(placements.c.sha256 == sa.bindparam("seen"))))
    .values(chosen_by=None)
)


def _unseen(
    sha256: sa.Column[str], path: sa.Column[str], encoder_id: str, retry: Collection[str]
) -> sa.Select[str, str]:
    """(sha256, a path) of each photo in a table of files that the encoder has not looked at, by path."""
    seen = sa.exists().where(
        sightings.c.sha256 == sha256,
        sightings.c.encoder_id == encoder_id,
        sa.func.coalesce(sightings.c.error_kind, "").not_in(retry),
    )
    first = sa.func.min(path)
    return sa.select(sha256, first).where(~seen).group_by(sha256).order_by(first)


def _id_of(person: str) -> sa.ScalarSelect[str]:
    return sa.select(people.c.id).where(people.c.name == person).scalar_subquery()


def _choose_again(connection: sa.Connection, person_ids: Collection[object]) -> None:
    """Marks people something of whom has changed."""
    query = sa.update(people).where(people.c.id == sa.bindparam("changed")).values(chosen_by=None)
    execute_many(connection, query, [{"changed": person_id} for person_id in sorted(map(str, person_ids))])


def _suspects(found: Iterable[Placement], known: Mapping[str, sa.Row[*tuple[object, ...]]]) -> Iterator[Placement]:
    """The placements that are new or look changed."""
    for placement in found:
        row = known.get(placement.path)
        if row is None or (row.size, row.mtime_ns) != (placement.size, placement.mtime_ns):
            yield placement


def _look(
    connection: sa.Connection, sha256: str, encoder_id: str, kind: str | None = None, message: str | None = None
) -> None:
    connection.execute(_overlook, {"of": sha256, "by": encoder_id})
    sighting = {"sha256": sha256, "encoder_id": encoder_id, "seen_at": _now(), "error_kind": kind, "error": message}
    connection.execute(_notice, sighting)


def _face_row(sha256: str, number: int, seen: SeenFace) -> dict[str, object]:
    x0, y0, x1, y1 = map(float, seen.face.box)
    quality = seen.quality
    return {
        "sha256": sha256,
        "encoder_id": seen.embedding.encoder_id,
        "number": number,
        **{"x0": x0, "y0": y0, "x1": x1, "y1": y1},
        "landmarks": seen.face.landmarks.astype("<f4").tobytes(),
        "detector": seen.face.detector,
        "detector_score": float(seen.face.detector_score),
        "turn": seen.face.turn,
        "size": float(quality.size),
        "sharpness": float(quality.sharpness),
        "pose": float(quality.pose),
        "exposure": float(quality.exposure),
        "overall": float(quality.overall),
        "embedding": seen.embedding.vector.astype("<f4").tobytes(),
    }


def _face(row: sa.Row[*tuple[object, ...]]) -> Face:
    return Face(
        box=(row.x0, row.y0, row.x1, row.y1),
        landmarks=_floats(row.landmarks, 2),
        detector_score=row.detector_score,
        detector=row.detector,
        turn=row.turn,
    )


def _floats(data: bytes | bytearray, width: int) -> Floats:
    """(N, width) float32, without a copy on a little-endian machine."""
    return np.frombuffer(data, "<f4").reshape(-1, width).astype(np.float32, copy=False)


Row = TypeVar("Row")


def _groups(rows: Iterable[Row], size: int) -> Iterator[list[Row]]:
    source = iter(rows)
    while group := list(islice(source, size)):
        yield group


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")
