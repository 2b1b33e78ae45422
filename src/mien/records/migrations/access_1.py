"""The first schema of a list of keys, which is made whole and not by a revision."""

revision = "access_1"
down_revision = None


def upgrade() -> None:
    """Nothing is before the first."""
