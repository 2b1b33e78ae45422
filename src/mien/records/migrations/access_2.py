"""What several servers share: how far a job is that runs, and how many requests each key sent in a minute."""

import sqlalchemy as sa
from alembic import op

from mien.records.schema import NUMBER, TEXT

revision = "access_2"
down_revision = "access_1"


def upgrade() -> None:
    op.add_column("jobs", sa.Column("progress", TEXT))
    op.create_table(
        "hits",
        sa.Column("key", TEXT, primary_key=True),
        sa.Column("minute", NUMBER, primary_key=True, autoincrement=False),
        sa.Column("requests", NUMBER, nullable=False),
        sqlite_with_rowid=False,
    )
