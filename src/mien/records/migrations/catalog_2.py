"""On what ground faces were chosen. Of choices that were made person by person nobody knows it: the next `align` makes
them again."""

import sqlalchemy as sa
from alembic import op

from mien.records.schema import NUMBER, TEXT

revision = "catalog_2"
down_revision = "catalog_1"


def upgrade() -> None:
    op.add_column("choices", sa.Column("ground", TEXT))
    op.add_column("choices", sa.Column("centre", sa.LargeBinary()))
    op.add_column("choices", sa.Column("photos", NUMBER))
    op.create_index("ix_choices_ground", "choices", ["ground"])
