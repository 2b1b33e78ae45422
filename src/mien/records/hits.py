"""How many requests each key has sent in each minute, counted once for all servers that share the database.

A request is let in by one statement, so that no two servers let in one that is too many between them. What is counted
lies there for two minutes.
"""

from __future__ import annotations

from functools import cache
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.dialects import postgresql, sqlite

from mien.records.database import Database
from mien.records.schema import hits

_INSERT: Final = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}
_BEFORE: Final = sa.func.coalesce(
    sa.select(hits.c.requests)
    .where(hits.c.key == sa.bindparam("key"), hits.c.minute == sa.bindparam("minute", type_=sa.Integer) - 1)
    .scalar_subquery(),
    0,
) * sa.bindparam("weight", type_=sa.Float)
_MOST: Final = sa.bindparam("most", type_=sa.Integer)


class Hits:
    """The counts in an open database. A `minute` is one since 1970."""

    def __init__(self, access: Database) -> None:
        self._access = access

    def take(self, key: str, minute: int, weight: float, most: int) -> bool:
        """Counts a request, unless it is one too many; whether it was counted. There may be `most` of them in this
        minute, together with the share `weight` (0 to 1) of those in the minute before."""
        given = {"key": key, "minute": minute, "weight": weight, "most": most}
        with self._access.transaction(write=True) as connection:
            count = connection.execute(_take(connection.dialect.name), given).scalar()
            if count == 1:
                connection.execute(sa.delete(hits).where(hits.c.minute < minute - 1))
        return count is not None

    def counted(self, key: str, minute: int) -> tuple[int, int]:
        """How many requests were counted in the minute before and in this one."""
        query = sa.select(hits.c.minute, hits.c.requests).where(hits.c.key == key, hits.c.minute >= minute - 1)
        with self._access.transaction() as connection:
            found = {row.minute: row.requests for row in connection.execute(query)}
        return found.get(minute - 1, 0), found.get(minute, 0)


@cache
def _take(dialect: str) -> sa.Executable:
    """Counts a request in a database of this dialect, and gives the count, or no row for one too many."""
    first = sa.select(
        sa.bindparam("key", type_=sa.Text), sa.bindparam("minute", type_=sa.Integer), sa.literal(1)
    ).where(_BEFORE + 1 < _MOST + 1)
    insert: Any = _INSERT[dialect](hits).from_select(["key", "minute", "requests"], first)
    upsert: sa.Executable = insert.on_conflict_do_update(
        index_elements=["key", "minute"],
        set_={"requests": hits.c.requests + 1},
        where=_BEFORE + hits.c.requests + 1 < _MOST + 1,
    ).returning(hits.c.requests)
    return upsert
