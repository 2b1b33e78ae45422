"""The tables of an older database brought to those of this version of mien, by alembic: the revisions in `migrations`
run on both kinds of database.

A SQLite file has its version in its header (`user_version`), where every version of mien looks before anything else. On
a server it stands where alembic keeps it, in a table `alembic_version` of each schema. Alembic is imported where a
database is made on a server, or is older, and nowhere else: it takes longer than most commands.
"""

from __future__ import annotations

from typing import Final

import sqlalchemy as sa

from mien.records.database import DatabaseKind

VERSION_TABLE: Final = "alembic_version"


def revision(kind: DatabaseKind, version: int) -> str:
    """What alembic calls this version of the tables."""
    return f"{kind.revisions}_{version}"


def upgrade(connection: sa.Connection, kind: DatabaseKind, since: int) -> None:
    """Brings tables of the version `since` to those of this version, in the transaction of the connection."""
    from alembic.migration import MigrationContext
    from alembic.operations import Operations
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(kind.migrations.parent, version_locations=[kind.migrations])
    steps = script.iterate_revisions(revision(kind, kind.version), revision(kind, since))
    with Operations.context(MigrationContext.configure(connection)):
        for step in reversed(list(steps)):
            step.module.upgrade()


def stamp(connection: sa.Connection, kind: DatabaseKind) -> None:
    """Says in alembic's own table that the tables are those of this version."""
    from alembic.migration import MigrationContext
    from alembic.script import ScriptDirectory

    script = ScriptDirectory(kind.migrations.parent, version_locations=[kind.migrations])
    MigrationContext.configure(connection).stamp(script, revision(kind, kind.version))
