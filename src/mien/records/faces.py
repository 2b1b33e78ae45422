"""What was seen in the photos, encoder by encoder: sightings, faces, embeddings, and which face is the person's.

A *sighting* is the fact that an encoder has seen a photo, with the faces it found or the fault it met. What different
encoders saw and chose stands side by side, so that their models can be compared on the same photos.
"""

from __future__ import annotations

import contextlib
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from operator import attrgetter
from types import MappingProxyType

import numpy as np
import sqlalchemy as sa
from numpy.typing import NDArray
from sqlalchemy.dialects.sqlite import insert

from mien.errors import EncoderMismatchError, PhotoError
from mien.learning.own_face import Centres, Ground
from mien.records.database import Database, execute_many
from mien.records.files import in_groups
from mien.records.people import People
from mien.records.schema import begun, choices, chosen, faces, files, photos, sightings
from mien.records.times import text_of
from mien.storage.layout import TRAINING, Shelf, shown
from mien.text.findings import FindingKind
from mien.text.photos import PhotoFault
from mien.text.retries import DOUBTFUL, MENDABLE, TWICE
from mien.text.words import Figure
from mien.types import Face, Finding, Floats, Photo, Quality, SeenFace, SeenPhoto
from mien.vision.phash import are_near

_GROUP = 500
"""Rows fetched by key in one query."""


UNIT = 1e-3
"""How far the square of a unit vector's length may be from 1: far above what float32 rounds, far below a flipped bit
in the exponent of any number that matters."""


@dataclass(frozen=True, slots=True, eq=False)
class PersonFaces:
    """All faces in the M photos of a person that have any, N faces in all, by path and then from left to right.

    `paths` and `sha256` have M entries, which `photo` (N,) int64 indexes. `ids` (N,) int64, `boxes` (N, 4) float32,
    `embeddings` (N, D) float32.
    """

    paths: tuple[str, ...]
    sha256: tuple[str, ...]
    photo: NDArray[np.int64]
    ids: NDArray[np.int64]
    boxes: Floats
    embeddings: Floats


@dataclass(frozen=True, slots=True)
class GuessedFace:
    """Which face was taken in the photo at `path`: the `number`th from the left, 0 first, of `faces`."""

    path: str
    number: int
    faces: int


@dataclass(frozen=True, slots=True)
class Guess:
    """That a person's face was chosen by guess, in these photos of several faces."""

    person: str
    photos: tuple[GuessedFace, ...]

    @property
    def finding(self) -> Finding:
        """The same for people."""
        first = self.photos[0]
        figures: dict[str, Figure] = {"number": first.number, "faces": first.faces, "others": len(self.photos) - 1}
        return Finding(
            FindingKind.UNDECIDED, (self.person,), tuple(shown(photo.path) for photo in self.photos), figures
        )


@dataclass(frozen=True, slots=True, eq=False)
class TrainingSet:
    """The chosen faces of an album: N of them, sorted by person and then by hash, each photo once per person.

    `people` are sorted names (NFC) and `person` (N,) int64 indexes them; `sha256` has N entries; `embeddings` is
    (N, D) float32, `overall` (N,) float32 quality. It depends on what is in the album, not on when it came there.
    """

    people: tuple[str, ...]
    person: NDArray[np.int64]
    sha256: tuple[str, ...]
    embeddings: Floats
    overall: Floats

    def among(self, photos: Collection[tuple[str, str]]) -> NDArray[np.bool_]:
        """(N,): which of the faces are of these photos, by (person, SHA-256)."""
        of = ((self.people[number], sha256) for number, sha256 in zip(self.person, self.sha256, strict=True))
        return np.array([one in photos for one in of], bool)


@dataclass(frozen=True, slots=True)
class SeenFile:
    """What an encoder saw in the photo at `path`.

    `seen` says whether it has seen it; `phash` is "" where it has not, or met a `fault`, which `figures` go with. Of
    `faces` faces the person's own is row `own` of `SeenShelf.embeddings`, -1 for none, and `overall` its quality;
    `all_faces` are the rows of all, from left to right, where they were asked for.
    """

    path: str
    person: str
    sha256: str
    seen: bool
    phash: str
    fault: PhotoFault | None
    figures: Mapping[str, Figure]
    faces: int
    own: int
    overall: float
    all_faces: range


@dataclass(frozen=True, slots=True, eq=False)
class SeenShelf:
    """Every photo of a shelf, by path, as one encoder has seen it; `embeddings` (M, D) float32."""

    files: tuple[SeenFile, ...]
    embeddings: Floats


@dataclass(frozen=True, slots=True, eq=False)
class RememberedFace:
    """A face as an encoder saw it; `id` is the catalog's; `own_of` are the people whose own face it is, `guessed` those
    of them for whom it was taken by guess."""

    id: int
    face: Face
    quality: Quality
    own_of: tuple[str, ...]
    guessed: tuple[str, ...]


@dataclass(frozen=True, slots=True, eq=False)
class Sighting:
    """That an encoder saw a photo: the faces from left to right, or the `fault` it met."""

    encoder: str
    seen_at: str
    fault: PhotoFault | None
    figures: Mapping[str, Figure]
    faces: tuple[RememberedFace, ...]


@dataclass(frozen=True, slots=True, eq=False)
class PhotoRecord:
    """All that is known of a photo: `photo` is None until it was decoded."""

    sha256: str
    bytes: int
    photo: Photo | None
    sightings: tuple[Sighting, ...]


class Faces:
    """The sightings and faces of an open catalog."""

    def __init__(self, catalog: Database, people: People) -> None:
        self._catalog, self._people = catalog, people

    # Seeing

    def unseen(
        self, shelves: Collection[Shelf], encoder: str, decoder: str, person: str | None = None
    ) -> list[tuple[str, str]]:
        """(sha256, a path) of each photo on these shelves, of `person` if one is named, that the encoder has not seen,
        by path. Among them are those that met a fault which may have passed (`mien.text.retries`), or another `decoder`
        than that of today, or in a time that is still to come: the clock was wrong."""
        fault = sightings.c.fault
        again = sa.or_(
            fault.in_(MENDABLE),
            sa.and_(fault.in_(DOUBTFUL), sa.func.coalesce(sightings.c.times, 0) < TWICE),
            sightings.c.decoder.is_distinct_from(decoder),
            sightings.c.seen_at > text_of(datetime.now(UTC)),
        )
        seen = sa.exists().where(
            sightings.c.sha256 == files.c.sha256,
            sightings.c.encoder == encoder,
            sa.or_(fault.is_(None), ~again),
        )
        first = sa.func.min(files.c.path)
        query = sa.select(files.c.sha256, first).where(files.c.shelf.in_(shelves), ~seen)
        if person is not None:
            query = query.where(files.c.person == self._people.id_of(person))
        with self._catalog.transaction() as connection:
            found = connection.execute(query.group_by(files.c.sha256).order_by(first))
            return [(sha256, path) for sha256, path in found]

    def record(self, seen: SeenPhoto, encoder: str) -> bool:
        """Remembers what the encoder saw in a photo; what it saw before is forgotten.

        False, and nothing remembered, if the catalog does not know the photo: the file was changed after the last
        `sync`, and the next one will see it. Raises EncoderMismatchError for an embedding of another encoder.
        """
        if any(face.embedding.encoder_id != encoder for face in seen.faces):
            raise EncoderMismatchError(
                encoder, "was to be remembered as what saw a face that another saw", "Please report this as a bug."
            )
        photo = seen.photo
        decoded = {
            "of": photo.sha256,
            "width": photo.width,
            "height": photo.height,
            "format": photo.format,
            "phash": photo.phash,
        }
        with self._catalog.transaction(write=True) as connection:
            known = connection.execute(_decode, decoded).rowcount
            if known:
                _see(connection, photo.sha256, encoder, faces_found=len(seen.faces))
                rows = [_face_row(photo.sha256, number, face) for number, face in enumerate(seen.faces)]
                execute_many(connection, _keep, rows)
        return bool(known)

    def record_fault(self, sha256: str, encoder: str, error: PhotoError, decoder: str) -> bool:
        """Remembers that a photo could not be read by the `decoder`, so that `unseen` can say when to try it again.
        False as for `record`."""
        fault, figures = error.stored()
        with self._catalog.transaction(write=True) as connection:
            known = connection.scalar(sa.select(photos.c.sha256).where(photos.c.sha256 == sha256))
            if known:
                before = sa.select(sightings.c.times).where(
                    sightings.c.sha256 == sha256,
                    sightings.c.encoder == encoder,
                    sightings.c.fault == fault,
                    sightings.c.decoder == decoder,
                )
                times = 1 + (connection.scalar(before) or 0)
                row = {"fault": fault, "figures": figures, "decoder": decoder, "times": times}
                _see(connection, sha256, encoder, row)
        return bool(known)

    def begin(self, sha256s: Collection[str]) -> None:
        """Marks photos as being looked at, until `finish`. A mark stays where the process is stopped before that, which
        the photo may have done."""
        with self._catalog.transaction(write=True) as connection:
            rows: list[dict[str, object]] = [{"sha256": sha256} for sha256 in sha256s]
            execute_many(connection, insert(begun).on_conflict_do_nothing(), rows)

    def finish(self, sha256: str) -> None:
        """Unmarks a photo that was looked at, whatever came of it."""
        with self._catalog.transaction(write=True) as connection:
            connection.execute(_finish, {"of": sha256})

    def begun(self) -> frozenset[str]:
        """The photos that are marked as being looked at; before anything is, those of a run that was stopped."""
        with self._catalog.transaction() as connection:
            return frozenset(connection.scalars(sa.select(begun.c.sha256)))

    def together(self) -> contextlib.AbstractContextManager[None]:
        """What is remembered in the block is one transaction."""
        return self._catalog.together()

    # Whose face it is

    def faces_of(self, person: str, encoder: str) -> PersonFaces:
        """All faces in the photos of a person in training-images, to choose from."""
        query = (
            sa.select(files.c.path, faces)
            .join_from(files, faces, faces.c.sha256 == files.c.sha256)
            .where(files.c.shelf == TRAINING, files.c.person == self._people.id_of(person), faces.c.encoder == encoder)
            .order_by(files.c.path, faces.c.number)
        )
        index: dict[str, int] = {}
        sha256: list[str] = []
        photo: list[int] = []
        ids: list[int] = []
        boxes: list[tuple[float, ...]] = []
        embeddings = bytearray()
        with self._catalog.transaction() as connection:
            for row in connection.execute(query).yield_per(1000):
                if row.path not in index:
                    sha256.append(row.sha256)
                photo.append(index.setdefault(row.path, len(index)))
                ids.append(row.id)
                boxes.append((row.x0, row.y0, row.x1, row.y1))
                embeddings += row.embedding
        return PersonFaces(
            paths=tuple(index),
            sha256=tuple(sha256),
            photo=np.array(photo, np.int64),
            ids=np.array(ids, np.int64),
            boxes=np.array(boxes, np.float32).reshape(-1, 4),
            embeddings=self._embeddings(embeddings, len(ids)),
        )

    def strangers(self, encoder: str, most: int) -> Floats:
        """(N, D) a face of each of at most so many people, who are different people for all that is known."""
        first = sa.select(sa.func.min(files.c.sha256)).join_from(files, faces, faces.c.sha256 == files.c.sha256)
        first = first.where(files.c.shelf == TRAINING, faces.c.encoder == encoder).group_by(files.c.person)
        query = sa.select(faces.c.embedding).where(
            faces.c.sha256.in_(first), faces.c.encoder == encoder, faces.c.number == 0
        )
        with self._catalog.transaction() as connection:
            rows = connection.scalars(query.order_by(faces.c.sha256).limit(most)).all()
        return self._embeddings(b"".join(rows), len(rows))

    def to_choose(self, encoder: str, rule: str) -> tuple[str, ...]:
        """The people whose faces have not been chosen by this rule since anything changed that they depend on, by
        name."""
        return self._without_choice(encoder, choices.c.rule == rule)

    def to_choose_anew(self, encoder: str, rule: str) -> tuple[str, ...]:
        """Whose faces an album-wide choice has to choose, by name: theirs, and those of everybody whose choice depends
        on other people, as it is made anew whenever any is. Nobody's if none is to be made."""
        known = sa.and_(choices.c.rule == rule, choices.c.ground.is_not(None))
        if not self._without_choice(encoder, known):
            return ()
        return self._without_choice(encoder, sa.and_(known, choices.c.ground == Ground.OWN))

    def _without_choice(self, encoder: str, made: sa.ColumnElement[bool]) -> tuple[str, ...]:
        """The people in training-images whose faces were not chosen like this."""
        done = sa.exists().where(choices.c.person == files.c.person, choices.c.encoder == encoder, made)
        query = sa.select(files.c.person).where(files.c.shelf == TRAINING, ~done).distinct()
        with self._catalog.transaction() as connection:
            return tuple(sorted(map(self._people.name_of, connection.scalars(query))))

    def choose(
        self,
        person: str,
        encoder: str,
        rule: str,
        own: Mapping[str, int | None],
        ground: Ground = Ground.OWN,
        centre: tuple[NDArray[np.floating], int] | None = None,
    ) -> None:
        """Sets which face the encoder takes for the person's in the photo at each path, None for none; a path that is
        not given has none. `centre` is the unit mean (D,) of so many of these faces, None without one."""
        of_person = self._people.id_of(person)
        theirs = sa.select(files.c.path).where(files.c.person == of_person, files.c.shelf == TRAINING)
        rows: list[dict[str, object]] = [
            {"path": path, "encoder": encoder, "face": face} for path, face in own.items() if face is not None
        ]
        vector, photos_of = centre or (None, 0)
        made = {
            "rule": rule,
            "ground": ground.value,
            "centre": None if vector is None else np.asarray(vector, "<f4").tobytes(),
            "photos": photos_of,
        }
        with self._catalog.transaction(write=True) as connection:
            connection.execute(sa.delete(chosen).where(chosen.c.encoder == encoder, chosen.c.path.in_(theirs)))
            execute_many(connection, insert(chosen), rows)
            connection.execute(
                insert(choices)
                .values(person=of_person, encoder=encoder, **made)
                .on_conflict_do_update(index_elements=["person", "encoder"], set_=made)
            )

    def centres(self, encoder: str, grounds: Collection[Ground], but: Collection[str] = ()) -> Centres:
        """The mean faces of everybody whose own were chosen on such grounds, but for the people of these names."""
        query = sa.select(choices.c.person, choices.c.centre, choices.c.photos).where(
            choices.c.encoder == encoder, choices.c.ground.in_(grounds), choices.c.centre.is_not(None)
        )
        left_out = {self._people.id_of(name) for name in but}  # more, perhaps, than a query may name
        vectors, photos_of = bytearray(), list[int]()
        with self._catalog.transaction() as connection:
            for row in connection.execute(query).yield_per(1000):
                if row.person not in left_out:
                    vectors += row.centre
                    photos_of.append(row.photos)
        return Centres(self._embeddings(vectors, len(photos_of)), np.array(photos_of, np.intp))

    def guesses(self, encoder: str, person: str | None = None) -> tuple[Guess, ...]:
        """The choices that were made by guess, of `person` if one is named, by name."""
        seen = faces.alias()
        number = sa.select(sa.func.count(seen.c.id)).where(seen.c.sha256 == files.c.sha256, seen.c.encoder == encoder)
        query = (
            sa.select(
                files.c.person, files.c.path, faces.c.number, number.correlate(files).scalar_subquery().label("faces")
            )
            .join_from(chosen, files)
            .join(faces, faces.c.id == chosen.c.face)
            .join(choices, sa.and_(choices.c.person == files.c.person, choices.c.encoder == chosen.c.encoder))
            .where(chosen.c.encoder == encoder, files.c.shelf == TRAINING, choices.c.ground == Ground.GUESS)
            .order_by(files.c.path)
        )
        if person is not None:
            query = query.where(files.c.person == self._people.id_of(person))
        found: dict[str, list[GuessedFace]] = {}
        with self._catalog.transaction() as connection:
            for row in connection.execute(query):
                if row.faces > 1:
                    mine = found.setdefault(self._people.name_of(row.person), [])
                    mine.append(GuessedFace(row.path, row.number, row.faces))
        return tuple(Guess(name, tuple(found[name])) for name in sorted(found))

    def training_set(self, encoder: str, person: str | None = None) -> TrainingSet:
        """The chosen faces, of `person` if one is named, as the encoder sees them."""
        query = self._chosen(encoder, person).add_columns(faces.c.overall, faces.c.embedding)
        owner: list[str] = []
        sha256: list[str] = []
        overall: list[float] = []
        embeddings = bytearray()
        last: tuple[str, str] | None = None
        with self._catalog.transaction() as connection:
            for row in connection.execute(query).yield_per(1000):
                if (row.person, row.sha256) == last:
                    continue  # twice under one person
                last = (row.person, row.sha256)
                owner.append(self._people.name_of(row.person))
                sha256.append(row.sha256)
                overall.append(row.overall)
                embeddings += row.embedding
        people = tuple(sorted(set(owner)))
        column = {name: number for number, name in enumerate(people)}
        number = np.array([column[name] for name in owner], np.int64)
        order = np.argsort(number, kind="stable")  # within a person they come by hash already
        return TrainingSet(
            people=people,
            person=number[order],
            sha256=tuple(sha256[row] for row in order),
            embeddings=self._embeddings(embeddings, len(owner))[order],
            overall=np.array(overall, np.float32)[order],
        )

    def training_photos(self, encoder: str) -> dict[str, list[str]]:
        """The hashes of the photos in the training set by person, both sorted."""
        found: dict[str, set[str]] = {}
        with self._catalog.transaction() as connection:
            for row in connection.execute(self._chosen(encoder, None)):
                found.setdefault(self._people.name_of(row.person), set()).add(row.sha256)
        return {person: sorted(found[person]) for person in sorted(found)}

    def bystanders(self, encoder: str) -> Iterator[Floats]:
        """The embeddings (n, D) of faces that are nobody's own, in photos in training-images whose own face was chosen,
        a part at a time; no part if there are none. Each face comes once, in however many folders its photo lies."""
        own = sa.select(chosen.c.face).where(chosen.c.encoder == encoder)
        photos_of = sa.select(files.c.sha256).join_from(chosen, files)
        photos_of = photos_of.where(chosen.c.encoder == encoder, files.c.shelf == TRAINING)
        query = (
            sa.select(faces.c.id)
            .where(faces.c.encoder == encoder, faces.c.sha256.in_(photos_of), faces.c.id.not_in(own))
            .order_by(faces.c.sha256, faces.c.number)
        )
        with self._catalog.transaction() as connection:
            found = connection.scalars(query).all()
        for group in in_groups(found, _GROUP):
            with self._catalog.transaction() as connection:
                query = sa.select(faces.c.embedding).where(faces.c.id.in_(group)).order_by(faces.c.id)
                rows = connection.scalars(query).all()
            yield self._embeddings(b"".join(rows), len(rows))

    def _chosen(self, encoder: str, person: str | None) -> sa.Select[str, str]:
        query = (
            sa.select(files.c.person, files.c.sha256)
            .join_from(chosen, files)
            .join(faces, faces.c.id == chosen.c.face)
            .where(chosen.c.encoder == encoder, files.c.shelf == TRAINING)
            .order_by(files.c.person, files.c.sha256, files.c.path)
        )
        return query if person is None else query.where(files.c.person == self._people.id_of(person))

    # What there is

    def on(self, shelves: Collection[Shelf], encoder: str, every_face: bool = False) -> SeenShelf:
        """What is known of each file on these shelves; with `every_face` the embeddings are of all faces and not of the
        people's own alone."""
        by_encoder = (sightings.c.sha256 == files.c.sha256, sightings.c.encoder == encoder)
        shown = (faces.c.sha256 == sightings.c.sha256, faces.c.encoder == sightings.c.encoder)
        wanted = shown if every_face else (faces.c.id == chosen.c.face,)
        number = sa.select(sa.func.count()).select_from(faces).where(*shown).correlate(sightings).scalar_subquery()
        query = (
            sa.select(
                files.c.path,
                files.c.person,
                files.c.sha256,
                photos.c.phash,
                sightings.c.seen_at,
                sightings.c.fault,
                sightings.c.figures,
                number.label("faces"),
                chosen.c.face.label("own"),
                faces.c.id.label("face"),
                faces.c.overall,
                faces.c.embedding,
            )
            .join_from(files, photos)
            .outerjoin(sightings, sa.and_(*by_encoder))
            .outerjoin(chosen, sa.and_(chosen.c.path == files.c.path, chosen.c.encoder == encoder))
            .outerjoin(faces, sa.and_(*wanted))
            .where(files.c.shelf.in_(shelves))
            .order_by(files.c.path, faces.c.number)
        )
        found: list[SeenFile] = []
        embeddings = bytearray()
        count = 0
        with self._catalog.transaction() as connection:
            for _, group in groupby(connection.execute(query).yield_per(1000), attrgetter("path")):
                rows = list(group)
                first, own, overall = count, -1, 0.0
                for row in rows:
                    if row.face is None:
                        continue
                    if row.face == row.own:
                        own, overall = count, row.overall
                    embeddings += row.embedding
                    count += 1
                row = rows[0]
                seen = row.seen_at is not None
                found.append(
                    SeenFile(
                        path=row.path,
                        person=self._people.name_of(row.person),
                        sha256=row.sha256,
                        seen=seen,
                        phash=row.phash if seen and row.fault is None else "",
                        fault=_fault(row.fault),
                        figures=json.loads(row.figures or "{}"),
                        faces=row.faces,
                        own=own,
                        overall=overall,
                        all_faces=range(first, count) if every_face else range(0),
                    )
                )
        return SeenShelf(tuple(found), self._embeddings(embeddings, count))

    def broken(self, shelves: Collection[Shelf]) -> dict[str, tuple[PhotoFault, Mapping[str, Figure]]]:
        """By path the photos on these shelves that every encoder which tried found unreadable, and why."""
        seen = sightings.alias()
        read = sa.exists().where(seen.c.sha256 == files.c.sha256, seen.c.fault.is_(None))
        query = (
            sa.select(files.c.path, sightings.c.fault, sightings.c.figures)
            .join_from(files, sightings, sightings.c.sha256 == files.c.sha256)
            .where(files.c.shelf.in_(shelves), ~read)
            .order_by(files.c.path, sightings.c.fault, sightings.c.encoder)  # of several faults the last is told
        )
        with self._catalog.transaction() as connection:
            rows = connection.execute(query).all()
        return {row.path: (PhotoFault.of(row.fault), json.loads(row.figures or "{}")) for row in rows}

    def count(self, shelves: Collection[Shelf], encoder: str) -> int:
        """How many faces the encoder saw in the photos of these shelves, each photo once."""
        on_them = sa.select(files.c.sha256).where(files.c.shelf.in_(shelves)).scalar_subquery()
        query = sa.select(sa.func.count()).where(faces.c.encoder == encoder, faces.c.sha256.in_(on_them))
        with self._catalog.transaction() as connection:
            return connection.scalar(query) or 0

    def photo(self, sha256: str) -> PhotoRecord | None:
        """All that is known of a photo; None if it is on no shelf that was walked."""
        see = sa.select(sightings).where(sightings.c.sha256 == sha256)
        see = see.order_by(sightings.c.seen_at, sightings.c.encoder)
        face = sa.select(faces).where(faces.c.sha256 == sha256).order_by(faces.c.number)
        made = sa.and_(choices.c.person == files.c.person, choices.c.encoder == chosen.c.encoder)
        own = (
            sa.select(chosen.c.face, files.c.person, choices.c.ground)
            .join_from(chosen, files)
            .outerjoin(choices, made)
            .where(files.c.sha256 == sha256)
            .distinct()
        )
        with self._catalog.transaction() as connection:
            row = connection.execute(sa.select(photos).where(photos.c.sha256 == sha256)).one_or_none()
            if row is None:
                return None
            owners: dict[int, dict[str, bool]] = {}
            for face_id, person, ground in connection.execute(own):
                owners.setdefault(face_id, {})[self._people.name_of(person)] = ground == Ground.GUESS
            by_encoder: dict[str, list[RememberedFace]] = {}
            rows = connection.execute(face).all()
            for one in rows:
                quality = Quality(one.size, one.sharpness, one.pose, one.exposure, one.overall)
                of_whom = sorted(owners.get(one.id, {}).items())
                several = sum(other.encoder == one.encoder for other in rows) > 1
                remembered = RememberedFace(
                    one.id,
                    face_of(one),
                    quality,
                    own_of=tuple(name for name, _ in of_whom),
                    guessed=tuple(name for name, guessed in of_whom if guessed and several),
                )
                by_encoder.setdefault(one.encoder, []).append(remembered)
            seen = [
                Sighting(
                    at.encoder,
                    at.seen_at,
                    _fault(at.fault),
                    json.loads(at.figures or "{}"),
                    tuple(by_encoder.get(at.encoder, ())),
                )
                for at in connection.execute(see)
            ]
        photo = Photo(sha256, row.width, row.height, row.format, row.phash) if row.phash else None
        return PhotoRecord(sha256, row.bytes, photo, tuple(seen))

    def own_faces(self, photos_of: Sequence[tuple[str, str]], encoder: str) -> dict[tuple[str, str], tuple[str, Face]]:
        """For (person, SHA-256) where in training-images the photo lies, and the person's own face in it; what is not
        there any more is missing."""
        found: dict[tuple[str, str], tuple[str, Face]] = {}
        wanted = set(photos_of)
        for group in in_groups(sorted({sha256 for _, sha256 in wanted}), _GROUP):
            query = (
                sa.select(files.c.path, files.c.person.label("owner"), faces)
                .join_from(chosen, files)
                .join(faces, faces.c.id == chosen.c.face)
                .where(chosen.c.encoder == encoder, files.c.shelf == TRAINING, files.c.sha256.in_(group))
                .order_by(files.c.path)
            )
            with self._catalog.transaction() as connection:
                for row in connection.execute(query):
                    key = (self._people.name_of(row.owner), row.sha256)
                    if key in wanted:
                        found.setdefault(key, (row.path, face_of(row)))
        return found

    def _embeddings(self, data: bytes | bytearray, count: int) -> Floats:
        """(count, D) float32, (0, 0) for none. Raises AlbumError unless they are unit vectors: what is not was written
        before rows had checksums, or by an encoder that is none."""
        found = _rows(data, count)
        lengths = np.einsum("nd,nd->n", found, found)
        if not bool(np.all(np.abs(lengths - 1) <= UNIT)):  # which is wrong of NaN, too
            raise self._catalog.is_damaged()
        return found

    def lookalikes(self, photo: Photo) -> tuple[str, ...]:
        """The hashes of other photos that look like this one (see `mien.vision.phash`)."""
        query = sa.select(photos.c.sha256, photos.c.phash).where(photos.c.phash.is_not(None))
        with self._catalog.transaction() as connection:
            rows = connection.execute(query).all()
        return tuple(sha256 for sha256, phash in rows if sha256 != photo.sha256 and are_near(phash, photo.phash))


# What happens for every photo, built once: building a statement takes longer than executing it.
_decode = (
    sa.update(photos)
    .where(photos.c.sha256 == sa.bindparam("of"))
    .values({name: sa.bindparam(name) for name in ("width", "height", "format", "phash")})
)
_forget = sa.delete(sightings).where(
    sightings.c.sha256 == sa.bindparam("of"), sightings.c.encoder == sa.bindparam("by")
)  # with its faces
_notice = insert(sightings)
_keep = insert(faces)
_finish = sa.delete(begun).where(begun.c.sha256 == sa.bindparam("of"))
_choose_again = sa.delete(choices).where(
    choices.c.encoder == sa.bindparam("by"),
    choices.c.person.in_(sa.select(files.c.person).where(files.c.sha256 == sa.bindparam("of"))),
)

_ask_again = sa.delete(choices).where(  # whose choice depends on other people
    choices.c.encoder == sa.bindparam("by"),
    choices.c.ground.in_((Ground.ALBUM.value, Ground.GUESS.value)),
    sa.exists().where(files.c.sha256 == sa.bindparam("of"), files.c.shelf == TRAINING),
)


def _see(
    connection: sa.Connection,
    sha256: str,
    encoder: str,
    fault: Mapping[str, object] = MappingProxyType({}),
    faces_found: int = 0,
) -> None:
    """That the encoder has seen the photo now, or met a fault; the people's faces are to be chosen again."""
    row = dict.fromkeys(("fault", "figures", "decoder", "times"))
    row |= {"sha256": sha256, "encoder": encoder, "seen_at": text_of(datetime.now(UTC)), **fault}
    connection.execute(_forget, {"of": sha256, "by": encoder})
    connection.execute(_notice, row | {"faces": faces_found})
    connection.execute(_choose_again, {"of": sha256, "by": encoder})
    connection.execute(_ask_again, {"of": sha256, "by": encoder})


def _fault(word: str | None) -> PhotoFault | None:
    return None if word is None else PhotoFault.of(word)


def _face_row(sha256: str, number: int, seen: SeenFace) -> dict[str, object]:
    x0, y0, x1, y1 = map(float, seen.face.box)
    quality = seen.quality
    return {
        "sha256": sha256,
        "encoder": seen.embedding.encoder_id,
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


def face_of(row: sa.Row[*tuple[object, ...]]) -> Face:
    """The face in a row of `faces`."""
    landmarks = np.frombuffer(row.landmarks, "<f4").reshape(5, 2).astype(np.float32, copy=False)
    return Face((row.x0, row.y0, row.x1, row.y1), landmarks, row.detector_score, row.detector, row.turn)


def _rows(data: bytes | bytearray, count: int) -> Floats:
    """(count, D) float32, without a copy on a little-endian machine; (0, 0) for none."""
    return np.frombuffer(data, "<f4").reshape(count, -1 if count else 0).astype(np.float32, copy=False)
