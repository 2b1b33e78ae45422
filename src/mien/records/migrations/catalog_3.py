"""What is sound: of files when their contents or names last changed; of photos how many faces were seen in each, by
which one that is missing is noticed; of faults what decoder met them and how often; and which photos were being looked
at."""

import sqlalchemy as sa
from alembic import op

from mien.records.schema import NUMBER, TEXT

revision = "catalog_3"
down_revision = "catalog_2"


def upgrade() -> None:
    op.add_column("files", sa.Column("ctime_ns", NUMBER))
    op.add_column("sightings", sa.Column("faces", NUMBER))
    op.add_column("sightings", sa.Column("decoder", TEXT))
    op.add_column("sightings", sa.Column("times", NUMBER))
    op.execute(
        "UPDATE sightings SET faces = (SELECT count(*) FROM faces WHERE faces.sha256 = sightings.sha256 "
        "AND faces.encoder = sightings.encoder)"
    )
    op.create_table(
        "begun",
        sa.Column("sha256", TEXT, sa.ForeignKey("photos.sha256", ondelete="CASCADE"), primary_key=True),
        sqlite_with_rowid=False,
    )
