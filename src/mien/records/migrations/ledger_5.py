"""Who asked for each change, and what came of it."""

import sqlalchemy as sa
from alembic import op

from mien.records.schema import NUMBER, TEXT

revision = "ledger_5"
down_revision = "ledger_4"


def upgrade() -> None:
    op.create_table(
        "events",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("at", TEXT, nullable=False),
        sa.Column("ended", TEXT),
        *(sa.Column(name, TEXT, nullable=False) for name in ("actor", "request", "verb")),
        sa.Column("person", TEXT, sa.ForeignKey("people.id", ondelete="SET NULL")),
        sa.Column("outcome", TEXT),
        sa.Column("version", TEXT),
    )
    op.create_index("ix_events_person", "events", ["person"])
