"""Which names are other names of somebody; and what `move`, `rename` and `join` did."""

import sqlalchemy as sa
from alembic import op

from mien.records.schema import NUMBER, TEXT

revision = "ledger_4"
down_revision = "ledger_3"


def upgrade() -> None:
    def person(name: str, nullable: bool = False) -> sa.Column[str]:
        return sa.Column(name, TEXT, sa.ForeignKey("people.id", ondelete="CASCADE"), nullable=nullable)

    op.add_column("people", person("same_as", nullable=True), inline_references=True)
    op.create_table(
        "corrections",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("verb", TEXT, nullable=False),
        sa.Column("at", TEXT, nullable=False),
        person("person", nullable=True),
        person("target"),
        sa.Column("state", TEXT, nullable=False),
        sa.Column("before", TEXT),
        sa.Column("after", TEXT),
    )
    op.create_table(
        "moves",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("correction", NUMBER, sa.ForeignKey("corrections.id", ondelete="CASCADE"), nullable=False),
        person("person"),
        person("target"),
        sa.Column("sha256", TEXT, nullable=False),
        sa.Column("was", TEXT, nullable=False),
        sa.Column("now", TEXT, nullable=False),
    )
    op.create_index("ix_moves_correction", "moves", ["correction"])
    op.create_index("ix_moves_sha256", "moves", ["sha256"])
