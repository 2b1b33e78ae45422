revision = "diary_1"
down_revision = None


def upgrade() -> None:
    pass
