"""The first schema of a catalog, which is made whole and not by a revision."""

revision = "catalog_1"
down_revision = None


def upgrade() -> None:
    """Nothing is before the first."""
