"""What was found damaged is kept aside; and a ledger that does not lie in its album knows which one it is of."""

import sqlalchemy as sa
from alembic import op

from mien.records.schema import NUMBER, TEXT

revision = "ledger_3"
down_revision = "ledger_2"


def upgrade() -> None:
    op.create_table(
        "damaged",
        sa.Column("id", NUMBER, primary_key=True),
        sa.Column("of_table", TEXT, nullable=False),
        sa.Column("row", sa.LargeBinary(), nullable=False),
    )
    op.create_table("albums", sa.Column("folder", TEXT, primary_key=True))
