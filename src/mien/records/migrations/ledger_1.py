"""The first schema of a ledger, which is made whole and not by a revision."""

revision = "ledger_1"
down_revision = None


def upgrade() -> None:
    """Nothing is before the first."""
