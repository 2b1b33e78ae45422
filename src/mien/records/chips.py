"""Which chips lie in aligned-images, and which are missing or stale.

First remove the stale ones, then write those due: on a disk that takes A.png and a.png for one file, the other order
would remove what was just written.
"""

from __future__ import annotations

import contextlib
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass

import sqlalchemy as sa
from sqlalchemy.dialects.sqlite import insert

from mien.records.database import Database, execute_many
from mien.records.faces import face_of
from mien.records.files import in_groups
from mien.records.schema import chips, chosen, faces
from mien.types import Face

_GROUP = 500
"""Faces fetched in one query."""


@dataclass(frozen=True, slots=True)
class DueChip:
    """A chip to be cut: of `face` (`face_id` in the catalog) in the photo at `path`, to be written as `key`."""

    path: str
    key: str
    sha256: str
    face_id: int
    face: Face


class Chips:
    """The chips of an open catalog."""

    def __init__(self, catalog: Database) -> None:
        self._catalog = catalog

    def together(self) -> contextlib.AbstractContextManager[None]:
        """What is remembered in the block is one transaction."""
        return self._catalog.together()

    def stale(self, keys: Mapping[str, str], encoder: str | None = None) -> list[str]:
        """Keys of chips that were written but are of no face any more that the encoder chose, or any if none is named,
        or whose key is another now; `keys` are those of all files by path. Remove the chips, then `forget` them."""
        same = (chosen.c.path == chips.c.path, chosen.c.face == chips.c.face)
        query = (
            sa.select(chips.c.key, chips.c.path, sa.func.count(chosen.c.path).label("of_chosen"))
            .outerjoin(chosen, sa.and_(*same, *(() if encoder is None else (chosen.c.encoder == encoder,))))
            .group_by(chips.c.key)
            .order_by(chips.c.key)
        )
        with self._catalog.transaction() as connection:
            return [row.key for row in connection.execute(query) if not row.of_chosen or keys.get(row.path) != row.key]

    def written_keys(self) -> set[str]:
        """The keys of all chips that were written."""
        with self._catalog.transaction() as connection:
            return set(connection.execute(sa.select(chips.c.key)).scalars())

    def forget(self, keys: Iterable[str]) -> None:
        """Chips that are there no more."""
        query = sa.delete(chips).where(chips.c.key == sa.bindparam("gone"))
        with self._catalog.transaction(write=True) as connection:
            execute_many(connection, query, [{"gone": key} for key in keys])

    def due(self, keys: Mapping[str, str], encoder: str, size: int, on_disk: Collection[str]) -> Iterator[DueChip]:
        """The chips that are missing, or of another size or face, by path. `keys` are those of all files by path, and
        `on_disk` the keys of chips that exist. Chips may be written and recorded meanwhile."""
        query = (
            sa.select(chosen.c.path, chosen.c.face, chips.c.key)
            .outerjoin(
                chips, sa.and_(chips.c.path == chosen.c.path, chips.c.face == chosen.c.face, chips.c.size == size)
            )
            .where(chosen.c.encoder == encoder)
            .order_by(chosen.c.path)
        )
        with self._catalog.transaction() as connection:
            due = [
                (path, face)
                for path, face, key in connection.execute(query)
                if path in keys and (key != keys[path] or key not in on_disk)
            ]
        for group in in_groups(due, _GROUP):
            with self._catalog.transaction() as connection:
                rows = connection.execute(sa.select(faces).where(faces.c.id.in_([face for _, face in group])))
                by_id = {row.id: row for row in rows}
            for path, face in group:
                row = by_id[face]
                yield DueChip(path, keys[path], row.sha256, face, face_of(row))

    def written(self, chip: DueChip, size: int) -> None:
        """Remembers that a chip was written at this size."""
        row = insert(chips).values(key=chip.key, path=chip.path, face=chip.face_id, size=size)
        row = row.on_conflict_do_update(index_elements=["key"], set_=dict(row.excluded.items()))
        with self._catalog.transaction(write=True) as connection:
            connection.execute(row)
