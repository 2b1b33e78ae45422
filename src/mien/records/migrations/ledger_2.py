"""Who was removed, and which photos were."""

import sqlalchemy as sa
from alembic import op

from mien.records.schema import TEXT

revision = "ledger_2"
down_revision = "ledger_1"


def upgrade() -> None:
    op.create_table(
        "removals",
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("photo", TEXT, primary_key=True),
        sa.Column("form", TEXT, nullable=False),
        sa.Column("person", TEXT, sa.ForeignKey("people.id", ondelete="SET NULL")),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("pending", TEXT),
        sqlite_with_rowid=False,
    )
    op.create_index("ix_removals_person", "removals", ["person"])
    op.create_table(
        "salts",
        sa.Column("purpose", TEXT, primary_key=True),
        sa.Column("salt", TEXT, nullable=False),
    )
